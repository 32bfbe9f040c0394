// The table of kernels: every function whose machine code depends on the CPU level.
//
// One file per level (kernels_<level>.cpp) fills one table. All levels return identical
// results. Sums of integers do not overflow, so their order does not matter. Sums of floats
// are taken in 16 lanes (8 for doubles), lane i adding the terms i, i + 16, i + 32 ..., and
// the lanes are folded in one fixed tree (i with i + 8, i + 4, i + 2, i + 1); multiplication
// and addition are rounded one after the other, never fused. Each function works on a whole
// range, so that the indirect call is paid once per range and not once per row.
//
// A level's file states in its head which processors it is for and which compiler flags
// it needs; CMakeLists.txt reads that, so a new level is a new file and nothing else.
// Such a file includes no C++ library header: an inline library function compiled with
// the level's flags could be the copy that the linker keeps for the whole library.
#pragma once

#include <cstddef>
#include <cstdint>

namespace lookalike {

struct Range {
    std::uint32_t least, most;
};

struct Products {
    double mutual;  // sum of x y
    double own;     // sum of x x
};

struct Kernels {
    const char* name;
    int rank;                     // the usable level of highest rank is the default
    const char* const* features;  // CPU features it needs, ended by nullptr (see dispatch.cpp)

    // Distances of a query from neighbouring rows, and from the rows at slots[0..count).
    // Rows begin `stride` bytes apart, at any alignment; the query holds stride bytes.
    using Distances = void (*)(const std::uint8_t* rows, std::size_t stride, std::size_t count,
                               const std::uint8_t* query, std::uint32_t* distances);
    using DistancesAt = void (*)(const std::uint8_t* rows, std::size_t stride,
                                 const std::uint32_t* slots, std::size_t count,
                                 const std::uint8_t* query, std::uint32_t* distances);

    // Bytes, stride a multiple of 16: sum of |x - q|.
    Distances absolute_differences;
    DistancesAt absolute_differences_at;

    // Bytes, stride a multiple of 16 and at most 2^16: sum of (x - q)^2.
    Distances squared_differences;
    DistancesAt squared_differences_at;

    // The same for queries_at_once queries, one behind the other: distances[q * count + i]. A row
    // is read once for all of them.
    Distances squared_differences_of_several;

    // Bits, stride a multiple of 8: number of bits that differ.
    Distances differing_bits;
    DistancesAt differing_bits_at;
    Distances differing_bits_of_several;  // as above

    // Floats, stride a multiple of 64. Distances are floats >= 0, written as their bits: read as
    // unsigned numbers these have the same order.
    Distances float_squares;  // sum of (x - q)^2
    DistancesAt float_squares_at;
    Distances float_absolutes;  // sum of |x - q|
    DistancesAt float_absolutes_at;
    // max(0, 1 - f * sum of x q), where f is the last float of the row, 1 / |x|. The query is of
    // length 1 and its last float is 0, so that f adds nothing to the sum.
    Distances float_angles;
    DistancesAt float_angles_at;

    // Of two rows of `count` floats, a multiple of 16, in double precision.
    double (*sum_of_squares)(const float* x, const float* y, std::size_t count);
    double (*sum_of_absolutes)(const float* x, const float* y, std::size_t count);
    Products (*sums_of_products)(const float* x, const float* y, std::size_t count);

    // Writes, ascending, every position i < count with values[i] < limit; returns how many.
    // positions must have room for count + 16 entries: whole vectors are stored.
    std::size_t (*positions_below)(const std::uint32_t* values, std::size_t count,
                                   std::uint32_t limit, std::uint32_t* positions);

    // How many values are at most `limit`.
    std::size_t (*count_at_most)(const std::uint32_t* values, std::size_t count,
                                 std::uint32_t limit);

    // Position of the first smallest value; count >= 1.
    std::size_t (*least)(const std::uint32_t* values, std::size_t count);

    // The smallest and the largest value; count >= 1.
    Range (*range)(const std::uint32_t* values, std::size_t count);

    // Keeps the values below the limit, and the others at their places, in order; returns how many.
    // Both arrays have room for count + 16 entries.
    std::size_t (*keep_below)(std::uint32_t* values, std::uint32_t* others, std::size_t count,
                              std::uint32_t limit);

    // bounds[i] = the same sum as absolute_differences, capped at 65535. For bounding rows: half
    // the bytes of a distance, so that choosing among many bounds costs half as much.
    void (*bounding_differences)(const std::uint8_t* rows, std::size_t stride, std::size_t count,
                                 const std::uint8_t* query, std::uint16_t* bounds);

    // bounds[i] = sum of (x - q)^2 for rows of int16 in [-2047, 2047]. dimensions is a multiple of
    // 32 and at most 224.
    void (*bounding_squares)(const std::int16_t* rows, std::size_t dimensions, std::size_t count,
                             const std::int16_t* query, std::uint32_t* bounds);

    // positions_below for bounds.
    std::size_t (*bounds_below)(const std::uint16_t* bounds, std::size_t count, std::uint16_t limit,
                                std::uint32_t* positions);

    // Position of the first smallest bound; count >= 1.
    std::size_t (*least_bound)(const std::uint16_t* bounds, std::size_t count);

    // sums[i * outputs + k] = sum over j < width of rows[i * stride + j] * m(j, k), where m(j, k)
    // in [-16, 16] lies at matrix[(j / 4) * 4 * outputs + 4 * k + j % 4]. width is a multiple of
    // 4 and at most stride, outputs a multiple of 16.
    void (*project_bytes)(const std::uint8_t* rows, std::size_t stride, std::size_t count,
                          std::size_t width, const std::int8_t* matrix, std::size_t outputs,
                          std::int32_t* sums);

    // The same for floats: sum over ascending j of (x_j - mean_j) * matrix[j * outputs + k].
    void (*project_floats)(const float* rows, std::size_t stride, std::size_t count,
                           std::size_t width, const float* mean, const float* matrix,
                           std::size_t outputs, float* sums);

    // Sketch blocks (see sketch.h): a block holds the 4-bit codes u of 16 vectors, and a norm for
    // each. For each vector in turn: estimate = norm + offset - (sum of u_j query_j) * 2^shift,
    // modulo 2^32. dimensions is a multiple of 8, and so is the number of bytes in query, none
    // -128.
    void (*estimate_blocks)(const std::uint8_t* blocks, std::size_t count, const std::int8_t* query,
                            std::size_t dimensions, unsigned shift, std::uint32_t offset,
                            std::uint32_t* estimates);

    // The same, but keeps only estimates below the limit, and the number of each one's vector,
    // counted from `first`. Returns how many; both outputs have room for 16 * (count + 1).
    std::size_t (*scan_blocks)(const std::uint8_t* blocks, std::size_t count,
                               const std::int8_t* query, std::size_t dimensions, unsigned shift,
                               std::uint32_t offset, std::uint32_t limit, std::uint32_t first,
                               std::uint32_t* estimates, std::uint32_t* slots);
};

constexpr std::size_t queries_at_once = 8;  // of squared_differences_of_several and its like
constexpr std::size_t block_vectors = 16;   // vectors in a sketch block

constexpr std::size_t block_bytes(std::size_t dimensions) {
    return block_vectors * (sizeof(std::int32_t) + dimensions / 2);
}

}  // namespace lookalike
