// Exact search by comparing with every row, or with given rows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "items.h"
#include "select.h"

namespace lookalike {

enum class Measure { absolute_differences, differing_bits };

// Stored rows, not owned: `stride` bytes apart, zero behind `width`.
struct Rows {
    const std::uint8_t* data;
    std::size_t count;
    std::size_t width;
    std::size_t stride;
};

// A shorter row for each row, whose distance bounds the row's from below: byte g is
// floor((sum of the values at order[4g .. 4g+3]) / 2^shift), capped at 255. By the triangle
// inequality
//     sum |x - y| >= 2^shift * sum |x' - y'| - (2^shift - 1) * groups,
// so a row whose bounding row is too far away need not be read. Without data: no bounding.
struct Bounds {
    const std::uint8_t* data = nullptr;
    std::size_t stride = 0;
    const std::uint32_t* order = nullptr;  // a permutation of the values of a row
    unsigned shift = 0;
};

constexpr std::size_t bound_group = 4;  // values summed into one byte of a bounding row

// Writes the bounding row of each row, `shape.stride` bytes apart, zero-filled.
void make_bounds(const Rows& rows, const Bounds& shape, std::uint8_t* bounds);

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
    ExactScan(Rows rows, Measure measure, Bounds bounds, std::uint8_t limit)
        : rows_(rows), measure_(measure), bounds_(bounds), limit_(limit) {}

    // The k nearest rows of each query: slots and distances are (queries.count, k), ascending
    // by (distance, slot), filled up with slot -1 and distance infinity.
    ScanWork nearest(const Items& queries, std::size_t k, std::size_t threads, std::int64_t* slots,
                     double* distances) const;

    // The same for one item, for the least delay.
    void nearest_of_one(const Items& item, std::size_t k, std::int64_t* slots,
                        double* distances) const;

    // The same among candidates: those of query q are candidates[offsets[q] .. offsets[q + 1]),
    // ascending, without repetition.
    void nearest_among(const Items& queries, const std::int64_t* offsets,
                       const std::int64_t* candidates, std::size_t k, std::size_t threads,
                       std::int64_t* slots, double* distances) const;

    // Every row at a distance of at most `radius`, ascending by (distance, slot).
    Found within(const Items& queries, std::uint32_t radius, std::size_t threads) const;
    Found within_among(const Items& queries, const std::int64_t* offsets,
                       const std::int64_t* candidates, std::uint32_t radius,
                       std::size_t threads) const;

    const Rows& rows() const { return rows_; }

private:
    struct Query;
    struct Queries;
    struct Scratch;

    Queries prepare(const Items& items) const;
    void distances_at(const std::uint32_t* slots, std::size_t count, const std::uint8_t* query,
                      std::uint32_t* distances) const;
    std::uint32_t bound_limit(std::uint32_t limit) const;
    void seed_limit(const std::uint8_t* query, std::size_t first, std::size_t count, std::size_t k,
                    Scratch& scratch, Nearest& nearest) const;
    template <typename Sink>
    void scan_rows(const std::uint8_t* query, std::size_t first, std::size_t count,
                   Scratch& scratch, Sink& sink) const;
    void nearest_in_chunk(const Query& query, std::size_t first, std::size_t count, std::size_t k,
                          Scratch& scratch, Nearest& nearest) const;
    void bound_chunk(const std::uint8_t* bound, std::size_t first, std::size_t count,
                     Scratch& scratch) const;
    template <typename Sink>
    void scan_bounds(const std::uint8_t* query, std::size_t first, std::size_t count,
                     Scratch& scratch, Sink& sink) const;
    template <typename Sink>
    void compare_candidates(const std::uint8_t* query, const std::int64_t* candidates,
                            std::size_t count, Scratch& scratch, Sink& sink) const;
    std::size_t chunk_rows() const;

    Rows rows_;
    Measure measure_;
    Bounds bounds_;
    std::uint8_t limit_;
};

}  // namespace lookalike
