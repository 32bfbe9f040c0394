// The table of kernels: every function whose machine code depends on the CPU level.
//
// One file per level (kernels_<level>.cpp) fills one table. All levels return identical
// results: everything here is integer arithmetic without overflow, so the order of a sum
// does not matter. Each function works on a whole range, so that the indirect call is
// paid once per range and not once per row.
//
// A level's file states in its head which processors it is for and which compiler flags
// it needs; CMakeLists.txt reads that, so a new level is a new file and nothing else.
// Such a file includes no C++ library header: an inline library function compiled with
// the level's flags could be the copy that the linker keeps for the whole library.
#pragma once

#include <cstddef>
#include <cstdint>

namespace lookalike {

struct Kernels {
    const char* name;
    int rank;                     // the usable level of highest rank is the default
    const char* const* features;  // CPU features it needs, ended by nullptr (see dispatch.cpp)

    // distances[i] = sum over j of |rows[i * stride + j] - query[j]|, j < stride.
    // stride is a multiple of 16; any alignment; query holds stride bytes.
    void (*absolute_differences)(const std::uint8_t* rows, std::size_t stride, std::size_t count,
                                 const std::uint8_t* query, std::uint32_t* distances);

    // The same for the rows at slots[0..count): distances[i] belongs to slots[i].
    void (*absolute_differences_at)(const std::uint8_t* rows, std::size_t stride,
                                    const std::uint32_t* slots, std::size_t count,
                                    const std::uint8_t* query, std::uint32_t* distances);

    // distances[i] = number of bits in which row i and the query differ.
    // stride is a multiple of 8; any alignment; query holds stride bytes.
    void (*differing_bits)(const std::uint8_t* rows, std::size_t stride, std::size_t count,
                           const std::uint8_t* query, std::uint32_t* distances);

    void (*differing_bits_at)(const std::uint8_t* rows, std::size_t stride,
                              const std::uint32_t* slots, std::size_t count,
                              const std::uint8_t* query, std::uint32_t* distances);

    // Writes, ascending, every position i < count with values[i] < limit; returns how many.
    // positions must have room for count + 16 entries: whole vectors are stored.
    std::size_t (*positions_below)(const std::uint32_t* values, std::size_t count,
                                   std::uint32_t limit, std::uint32_t* positions);

    // bounds[i] = the same sum as absolute_differences, capped at 65535. For bounding rows: half
    // the bytes of a distance, so that choosing among many bounds costs half as much.
    void (*bounding_differences)(const std::uint8_t* rows, std::size_t stride, std::size_t count,
                                 const std::uint8_t* query, std::uint16_t* bounds);

    // positions_below for bounds.
    std::size_t (*bounds_below)(const std::uint16_t* bounds, std::size_t count, std::uint16_t limit,
                                std::uint32_t* positions);

    // Position of the first smallest bound; count >= 1.
    std::size_t (*least_bound)(const std::uint16_t* bounds, std::size_t count);
};

}  // namespace lookalike
