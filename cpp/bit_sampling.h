// Bit sampling: a code is made of single tests on single bytes of an item.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "items.h"

namespace lookalike {

// One bit of a code: (item[offset] & mask) >= level.
//
// A bit of packed data is one mask and level 1. A bit of a pixel written in unary (bit t is
// 1 exactly when the pixel > t) is mask 255 and level t + 1: the unary string is never built.
struct BitTest {
    std::uint32_t offset;
    std::uint8_t mask;
    std::uint8_t level;
};

// Codes of `bits` tests for each of `tables` tables. Bit j of a code is bit j % 64 of its
// word j / 64; unused bits of the last word are zero.
class BitSampler {
public:
    // tests: (tables, bits), every offset below width.
    BitSampler(std::vector<BitTest> tests, std::size_t tables, std::size_t bits, std::size_t width,
               std::uint8_t limit);

    std::size_t tables() const { return tables_; }
    std::size_t bits() const { return bits_; }
    std::size_t words() const { return (bits_ + 63) / 64; }
    std::size_t width() const { return width_; }
    std::uint8_t limit() const { return limit_; }

    // Codes of one item of `width` bytes: (tables, words).
    void code(const std::uint8_t* item, std::uint64_t* codes) const;

    // Codes of a batch: (tables, items.count, words), so that each table's lie together.
    void codes(const Items& items, std::size_t threads, std::uint64_t* codes) const;

private:
    void code_block(const std::uint8_t* rows, std::size_t first, std::size_t count,
                    std::size_t total, std::uint8_t* columns, std::uint64_t* codes) const;

    std::vector<BitTest> tests_;
    std::vector<std::uint32_t> used_;    // the distinct offsets, ascending
    std::vector<std::uint32_t> column_;  // of each test: its offset's place in used_
    std::size_t tables_, bits_, width_;
    std::uint8_t limit_;
};

}  // namespace lookalike
