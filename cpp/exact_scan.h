// Exact search by comparing with every row, or with given rows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "bounds.h"
#include "verify.h"

namespace lookalike {

// All rows within a radius of each query: those of query q are at [offsets[q], offsets[q + 1]).
struct Found {
    std::vector<std::int64_t> offsets;
    std::vector<std::int64_t> slots;
    std::vector<double> distances;
};

// What a search did: rows compared exactly. The rest were excluded by their bounds.
struct ScanWork {
    std::uint64_t verified = 0;
};

class ExactScan {
public:
    // Bounds are of the same rows; none means that every row is compared.
    ExactScan(Rows rows, Measure measure, Values values, std::shared_ptr<const Bounds> bounds = {})
        : verifier_(rows, measure, values), bounds_(std::move(bounds)) {}

    // The k nearest rows of each query: slots and distances are (queries.count, k), ascending
    // by (distance, slot), filled up with slot -1 and distance infinity. A mask has a byte for each
    // row.
    ScanWork nearest(const Items& queries, std::size_t k, Mask allowed, std::size_t threads,
                     std::int64_t* slots, double* distances) const;

    // The same for one item, for the least delay.
    void nearest_of_one(const Items& item, std::size_t k, Mask allowed, std::int64_t* slots,
                        double* distances) const;

    // The same among candidates: those of query q are candidates[offsets[q] .. offsets[q + 1]),
    // ascending, without repetition.
    void nearest_among(const Items& queries, const std::int64_t* offsets,
                       const std::int64_t* candidates, std::size_t k, std::size_t threads,
                       std::int64_t* slots, double* distances) const;

    // Every row at a distance of at most `radius`, ascending by (distance, slot).
    Found within(const Items& queries, double radius, Mask allowed, std::size_t threads) const;
    Found within_among(const Items& queries, const std::int64_t* offsets,
                       const std::int64_t* candidates, double radius, std::size_t threads) const;

    const Rows& rows() const { return verifier_.rows(); }
    const Verifier& verifier() const { return verifier_; }

private:
    struct BoundQueries;
    struct Scratch;

    BoundQueries prepare(const Items& items) const;
    void make_query_bounds(BoundQueries& queries) const;
    void seed_limit(const Query& query, std::size_t first, std::size_t count, std::size_t k,
                    Scratch& scratch, Nearest& nearest) const;
    template <typename Sink>
    void scan_rows(const Query& query, std::size_t first, std::size_t count,
                   const std::uint32_t* known, Scratch& scratch, Sink& sink) const;
    bool compares_blocks() const;
    void nearest_in_chunk(const BoundQueries& queries, std::size_t q, std::size_t first,
                          std::size_t count, std::size_t k, Scratch& scratch,
                          Nearest& nearest) const;
    template <typename Sink>
    void scan_bounds(const Query& query, const std::uint8_t* code, std::size_t first,
                     std::size_t count, Scratch& scratch, Sink& sink) const;
    template <typename Sink>
    void compare_candidates(const Query& query, const std::int64_t* candidates, std::size_t count,
                            Scratch& scratch, Sink& sink) const;
    std::size_t chunk_rows() const;

    Verifier verifier_;
    std::shared_ptr<const Bounds> bounds_;
};

}  // namespace lookalike
