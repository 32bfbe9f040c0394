// Search in cells: hash to the nearest cells, filter by sketch, verify exactly.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "cell_blocks.h"
#include "cells.h"
#include "projection.h"
#include "sketch.h"
#include "verify.h"

namespace lookalike {

// How hard a search tries: cells that are scanned, and rows that are verified.
struct Effort {
    std::size_t probes;
    std::size_t candidates;
};

// Where a row would be found: the number of cells that are as near as its own or nearer, and the
// number of rows whose estimates are at most its own.
struct Ranks {
    std::uint32_t cell;
    std::uint32_t estimate;
};

// What one search did, step by step.
struct CellTrace {
    std::size_t scanned = 0;   // rows in the cells that were scanned
    std::size_t verified = 0;  // rows whose exact distance was computed
    double hash_us = 0, filter_us = 0, verify_us = 0;
};

class CellScan {
public:
    CellScan(Verifier verifier, Projection projection, const Cells& cells, Sketch sketch,
             CellBlocks blocks);

    // The k nearest of the rows that are verified: (queries.count, k), ascending by (distance,
    // row), filled up with row -1 and distance infinity. A mask has a byte for each row; rows that
    // it does not allow are not counted among the candidates either.
    void nearest(const Items& queries, std::size_t k, Effort effort, Mask allowed,
                 std::size_t threads, std::int64_t* rows, double* distances) const;
    // The same for one item, for the least delay.
    void nearest_of_one(const Items& item, std::size_t k, Effort effort, Mask allowed,
                        std::int64_t* rows, double* distances, CellTrace* trace = nullptr) const;

    // The rows that would be verified, ascending.
    std::vector<std::uint32_t> candidates(const Items& item, Effort effort, Mask allowed) const;

    // Ranks of `count` wanted rows for each query: (queries.count, count). The row excluded[q], if
    // it is one, is left out of the counts for query q, and so are rows that are not allowed.
    void ranks(const Items& queries, const std::int64_t* wanted, std::size_t count,
               const std::int64_t* excluded, Mask allowed, std::size_t threads, Ranks* ranks) const;

    const Verifier& verifier() const { return verifier_; }
    const Cells& cells() const { return cells_; }

private:
    struct Scratch;

    void code(const Query& query, Scratch& scratch) const;
    void choose_cells(std::size_t probes, Scratch& scratch) const;
    void filter(std::size_t candidates, Scratch& scratch) const;
    void take_allowed(std::size_t found, Scratch& scratch) const;
    void scan_cell(Key probe, std::uint32_t limit, Scratch& scratch) const;
    void search(const Query& query, std::size_t k, Effort effort, Scratch& scratch,
                std::int64_t* rows, double* distances, CellTrace* trace) const;
    std::uint32_t offset_of(std::uint32_t cell_distance, const Scratch& scratch) const;
    void estimate_all(Scratch& scratch, std::vector<std::uint32_t>& estimates) const;

    Verifier verifier_;
    Projection projection_;
    const Cells& cells_;
    Sketch sketch_;
    CellBlocks blocks_;
    std::size_t largest_ = 0;  // blocks of the largest cell
};

}  // namespace lookalike
