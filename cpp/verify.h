// Exact distances: the last step of every search.
//
// Distances are compared as unsigned 32-bit numbers. For bytes and bits these are the exact whole
// numbers (of squares, for the Euclidean distance). For floats they are the bits of a float32 sum,
// which has the same order; whatever lies within its rounding error of the k nearest is kept,
// and compared once more in float64.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "dispatch.h"
#include "items.h"
#include "select.h"

namespace lookalike {

enum class Measure {
    absolute_differences,
    squared_differences,
    differing_bits,
    float_absolutes,
    float_squares,
    float_angles,
};

bool is_float(Measure measure);

// Stored rows, not owned: `stride` bytes apart, zero behind `width` values; where the measure is of
// angles, the last float of a row is 1 / its length.
struct Rows {
    const std::uint8_t* data;
    std::size_t count;
    std::size_t width;   // values in a row
    std::size_t stride;  // bytes from one row to the next
};

// What items may hold, and what becomes of them: bytes are at most `limit`; floats are multiplied
// by `scale`, a power of two.
struct Values {
    std::uint8_t limit = 255;
    float scale = 1.0f;
};

// A query as the kernels want it, and as float64 wants it; the same row unless the measure is
// of angles, for which the first is of length 1.
struct Query {
    const std::uint8_t* row;
    const std::uint8_t* exact;
};

// Queries with the memory that they lie in.
struct Queries {
    std::vector<std::uint8_t> bytes;
    std::size_t count = 0, bytes_each = 0, exact_at = 0;

    Query operator[](std::size_t q) const {
        const std::uint8_t* row = bytes.data() + q * bytes_each;
        return {row, row + exact_at};
    }
};

// A row that was found, at its exact distance.
struct Hit {
    double distance;
    std::uint32_t slot;

    bool operator<(const Hit& other) const {
        return distance != other.distance ? distance < other.distance : slot < other.slot;
    }
};

class Verifier {
public:
    Verifier(Rows rows, Measure measure, Values values);

    const Rows& rows() const { return rows_; }
    Measure measure() const { return measure_; }

    // Throws std::invalid_argument unless every item could be a row. `queries` may be used again
    // for other items without allocating.
    void prepare(const Items& items, Queries& queries) const;

    void distances(std::size_t first, std::size_t count, const Query& query,
                   std::uint32_t* distances) const {
        (kernels().*all_)(rows_.data + first * rows_.stride, rows_.stride, count, query.row,
                          distances);
    }
    // Of queries_at_once queries, whose rows follow each other, where there is a kernel for it.
    bool compares_several() const { return several_ != nullptr; }
    void distances_of_several(std::size_t first, std::size_t count, const Query& query,
                              std::uint32_t* distances) const {
        (kernels().*several_)(rows_.data + first * rows_.stride, rows_.stride, count, query.row,
                              distances);
    }
    void distances_at(const std::uint32_t* slots, std::size_t count, const Query& query,
                      std::uint32_t* distances) const {
        (kernels().*at_)(rows_.data, rows_.stride, slots, count, query.row, distances);
    }

    // The distance that a number stands for, a little rounded for floats; infinity for no limit.
    double distance_at(std::uint32_t limit) const;
    // Of two rows that are no angles, in the same way.
    double distance_between(const std::uint8_t* row, const std::uint8_t* other) const;

    Nearest nearest(std::size_t k) const { return Nearest(k, margin_); }
    // A row within the radius is at a distance strictly below this.
    std::uint32_t limit_within(double radius) const;

    // Writes the k nearest of what was kept, filled up with slot -1 and distance infinity.
    void write(Nearest& nearest, const Query& query, std::size_t k, std::int64_t* slots,
               double* distances) const;
    // Those of the keys that lie within the radius, ascending.
    std::vector<Hit> hits(const std::vector<Key>& keys, const Query& query, double radius) const;

private:
    // The sum of a query's squares where distances are of angles, which need it, and 0 elsewhere.
    double exact_square(const Query& query) const;
    double exact_distance(Key key, const Query& query, double square) const;

    Rows rows_;
    Measure measure_;
    Values values_;
    Margin margin_;
    Kernels::Distances Kernels::* all_;
    Kernels::Distances Kernels::* several_;  // null where there is none
    Kernels::DistancesAt Kernels::* at_;
};

// Writes items as rows. Throws std::invalid_argument unless bytes are whole and at most the limit,
// and floats are finite, with squares that float32 can add and, for angles, a length.
void pack_items(const Items& items, Measure measure, const Values& values, std::size_t stride,
                std::uint8_t* rows);

}  // namespace lookalike
