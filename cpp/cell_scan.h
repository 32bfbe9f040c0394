// Search in cells: hash to the nearest cells, filter by sketch, verify exactly.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "cell_blocks.h"
#include "cells.h"
#include "effort.h"
#include "projection.h"
#include "sketch.h"
#include "verify.h"

namespace lookalike {

// Where a row would be found: the number of cells that are as near as its own or nearer, and the
// number of rows whose estimates are at most its own.
struct Ranks {
    std::uint32_t cell;
    std::uint32_t estimate;
};

// What the search for a query knows of it: the cell that ranks first, and its signs.
struct Sighting {
    std::uint32_t cell;
    Signs signs;
};

// What one search did, step by step.
struct CellTrace {
    std::size_t probes = 0;    // cells that were scanned
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
    // it does not allow are not counted among the candidates either. `widened`, unless null, gets a
    // byte for each query: 1 where its signs were unusual and the effort wide.
    void nearest(const Items& queries, std::size_t k, const Efforts& efforts, Mask allowed,
                 std::size_t threads, std::int64_t* rows, double* distances,
                 std::uint8_t* widened) const;
    // The same for one item, for the least delay; returns whether the effort was wide.
    bool nearest_of_one(const Items& item, std::size_t k, const Efforts& efforts, Mask allowed,
                        std::int64_t* rows, double* distances, CellTrace* trace = nullptr) const;

    // The rows that would be verified, ascending.
    std::vector<std::uint32_t> candidates(const Items& item, const Efforts& efforts,
                                          Mask allowed) const;

    // Ranks of `count` wanted rows for each query: (queries.count, count). The row excluded[q], if
    // it is one, is left out of the counts for query q, and so are rows that are not allowed.
    // Sightings: (queries.count,).
    void ranks(const Items& queries, const std::int64_t* wanted, std::size_t count,
               const std::int64_t* excluded, Mask allowed, std::size_t threads, Ranks* ranks,
               Sighting* sightings) const;

    const Verifier& verifier() const { return verifier_; }
    const Cells& cells() const { return cells_; }

private:
    struct Hashed;
    struct Scratch;
    struct Part;

    void project(const Queries& queries, std::size_t first, std::size_t count, float* y) const;
    void rank_cells(const float* y, Scratch& scratch) const;
    std::uint32_t first_cell(const Scratch& scratch) const;
    float tail(const Query& query, const float* y) const;
    void choose_cells(std::size_t probes, Scratch& scratch, Hashed& hashed) const;
    void hash(const Query& query, const float* y, const Efforts& efforts, Scratch& scratch,
              Hashed& hashed) const;
    void hash_some(const Queries& queries, std::size_t i, std::size_t end, const Efforts& efforts,
                   Scratch& scratch, Part& part) const;
    void ask_for_rows(const Scratch& scratch) const;
    void filter(const Hashed& hashed, Scratch& scratch) const;
    void filter_at_least(std::size_t k, Hashed& hashed, Scratch& scratch) const;
    void take_allowed(std::size_t found, Scratch& scratch) const;
    void scan_cell(Key probe, std::uint32_t limit, const Hashed& hashed, Scratch& scratch) const;
    void verify(const Query& query, std::size_t k, Scratch& scratch, std::int64_t* rows,
                double* distances) const;
    std::uint32_t offset_of(std::uint32_t cell_distance, const Hashed& hashed) const;
    void estimate_all(Hashed& hashed, std::vector<std::uint32_t>& distances,
                      std::vector<std::uint32_t>& estimates) const;
    std::uint32_t rank_of_cell(std::uint32_t cell, const Scratch& scratch,
                               const std::vector<std::uint32_t>& distances) const;

    Verifier verifier_;
    Projection projection_;
    const Cells& cells_;
    Sketch sketch_;
    CellBlocks blocks_;
    std::vector<std::uint8_t> mean_;  // of the rows, as a row
};

}  // namespace lookalike
