#include "bit_sampling.h"

#include <algorithm>
#include <stdexcept>

#include "workers.h"

namespace lookalike {
namespace {

constexpr std::size_t block = 256;  // items coded together: their columns stay in the cache

// bits[i] |= flag where the test holds. Plain, and vectorised by the compiler as long as it
// stays a function of its own: inlined, GCC 12 forgets __restrict and is ten times slower.
__attribute__((noinline)) void test_column(const std::uint8_t* __restrict column, std::uint8_t mask,
                                           std::uint8_t level, std::uint8_t flag,
                                           std::uint8_t* __restrict bits) {
    for (std::size_t i = 0; i < block; ++i) {
        const std::uint8_t value = column[i] & mask;
        bits[i] = std::uint8_t(bits[i] | (value >= level ? flag : std::uint8_t(0)));
    }
}

// words[i] |= bits[i] as byte number `byte`.
void set_byte(const std::uint8_t* __restrict bits, std::size_t byte,
              std::uint64_t* __restrict words) {
    for (std::size_t i = 0; i < block; ++i) words[i] |= std::uint64_t(bits[i]) << (8 * byte);
}

}  // namespace

BitSampler::BitSampler(std::vector<BitTest> tests, std::size_t tables, std::size_t bits,
                       std::size_t width, std::uint8_t limit)
    : tests_(std::move(tests)), tables_(tables), bits_(bits), width_(width), limit_(limit) {
    if (tests_.size() != tables_ * bits_ || bits_ == 0 || tables_ == 0)
        throw std::invalid_argument("bit tests must have shape (tables, bits), both at least 1");
    for (const BitTest& test : tests_) {
        if (test.offset >= width_)
            throw std::invalid_argument("a bit test reads beyond the item's width");
        used_.push_back(test.offset);
    }
    std::sort(used_.begin(), used_.end());
    used_.erase(std::unique(used_.begin(), used_.end()), used_.end());
    for (const BitTest& test : tests_)
        column_.push_back(std::uint32_t(std::lower_bound(used_.begin(), used_.end(), test.offset) -
                                        used_.begin()));
}

void BitSampler::code(const std::uint8_t* item, std::uint64_t* codes) const {
    const BitTest* test = tests_.data();
    for (std::size_t table = 0; table < tables_; ++table) {
        for (std::size_t done = 0; done < bits_; done += 64) {
            const std::size_t count = std::min<std::size_t>(64, bits_ - done);
            std::uint64_t word = 0;
            for (std::size_t j = 0; j < count; ++j, ++test)
                word |= std::uint64_t((item[test->offset] & test->mask) >= test->level) << j;
            *codes++ = word;
        }
    }
}

// One block: its used columns side by side, then eight tests at a time into one byte.
void BitSampler::code_block(const std::uint8_t* rows, std::size_t first, std::size_t count,
                            std::size_t total, std::uint8_t* columns, std::uint64_t* codes) const {
    for (std::size_t c = 0; c < used_.size(); ++c) {
        const std::uint8_t* value = rows + first * width_ + used_[c];
        for (std::size_t i = 0; i < count; ++i) columns[c * block + i] = value[i * width_];
    }
    std::uint8_t bits[block];
    std::uint64_t code_words[block];
    for (std::size_t table = 0; table < tables_; ++table) {
        for (std::size_t word = 0; word < words(); ++word) {
            std::fill_n(code_words, block, 0);
            for (std::size_t byte = 0; 64 * word + 8 * byte < bits_ && byte < 8; ++byte) {
                const std::size_t from = 64 * word + 8 * byte;
                std::fill_n(bits, block, std::uint8_t(0));
                for (std::size_t j = from; j < std::min(from + 8, bits_); ++j) {
                    const BitTest& test = tests_[table * bits_ + j];
                    test_column(columns + column_[table * bits_ + j] * block, test.mask, test.level,
                                std::uint8_t(1u << (j % 8)), bits);
                }
                set_byte(bits, byte, code_words);
            }
            std::uint64_t* out = codes + (table * total + first) * words() + word;
            for (std::size_t i = 0; i < count; ++i) out[i * words()] = code_words[i];
        }
    }
}

void BitSampler::codes(const Items& items, std::size_t threads, std::uint64_t* codes) const {
    const PackedRows packed = packed_rows(items, limit_, width_);
    std::vector<std::vector<std::uint8_t>> columns(std::max<std::size_t>(threads, 1));
    run_pieces(items.count, block, threads,
               [&](std::size_t first, std::size_t end, std::size_t worker) {
                   columns[worker].resize(used_.size() * block);
                   code_block(packed.bytes.data(), first, end - first, items.count,
                              columns[worker].data(), codes);
               });
}

}  // namespace lookalike
