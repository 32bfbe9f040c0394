// A batch of items as the caller holds it, and its rows as the kernels want them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace lookalike {

enum class Element { u8, i32, i64, f32, f64 };

// count x width values, C-contiguous, in native byte order.
struct Items {
    const void* data;
    Element element;
    std::size_t count;
    std::size_t width;

    Items at(std::size_t i) const;  // the i-th alone
};

// Rows of bytes, `stride` apart; the bytes after `width` are zero.
struct PackedRows {
    std::vector<std::uint8_t> bytes;
    std::size_t stride;

    const std::uint8_t* row(std::size_t i) const { return bytes.data() + i * stride; }
};

// The smallest multiple of `alignment` that holds `width` bytes.
std::size_t padded_width(std::size_t width, std::size_t alignment);

// Writes the items as bytes to count rows of `stride`, zero-filled behind `width`.
// Throws std::invalid_argument unless every value is a whole number in [0, limit]:
// nothing is rounded, and NaN is refused.
void pack_rows(const Items& items, std::uint8_t limit, std::size_t stride, std::uint8_t* rows);

// Writes the items as float32, multiplied by `scale`, to count rows of `stride` floats, zero-filled
// behind `width`; with `lengths` the last float of a row is 1 / its length. Throws
// std::invalid_argument unless values are finite, the sum of squares of a row is at most
// `most_squares`, and with `lengths` both the length and 1 / it are normal float32 numbers.
void pack_floats(const Items& items, float scale, bool lengths, std::size_t stride, float* rows);

constexpr double most_squares = 8e37;  // four times this is still a float32

PackedRows packed_rows(const Items& items, std::uint8_t limit, std::size_t stride);

}  // namespace lookalike
