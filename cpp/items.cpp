#include "items.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <stdexcept>

#include "dispatch.h"

namespace lookalike {
namespace {

// Branch-free and in simple loops, so that the compiler vectorises them: the verdict is
// collected, not thrown.
template <typename T>
bool pack_values(const T* __restrict values, std::size_t count, std::uint8_t limit,
                 std::uint8_t* __restrict bytes) {
    constexpr std::size_t piece = 64;
    std::int32_t whole[piece];
    std::int32_t wrong = 0;
    for (std::size_t done = 0; done < count; done += piece) {
        const std::size_t size = std::min(piece, count - done);
        const T* __restrict from = values + done;
        for (std::size_t j = 0; j < size; ++j) {
            const T above = from[j] > T(0) ? from[j] : T(0);  // NaN becomes 0
            whole[j] = std::int32_t(above < T(limit) ? above : T(limit));
        }
        for (std::size_t j = 0; j < size; ++j) wrong |= T(whole[j]) == from[j] ? 0 : 1;
        for (std::size_t j = 0; j < size; ++j) bytes[done + j] = std::uint8_t(whole[j]);
    }
    return wrong == 0;
}

template <>
bool pack_values(const std::uint8_t* __restrict values, std::size_t count, std::uint8_t limit,
                 std::uint8_t* __restrict bytes) {
    std::memcpy(bytes, values, count);
    if (limit == std::numeric_limits<std::uint8_t>::max()) return true;
    unsigned wrong = 0;
    for (std::size_t j = 0; j < count; ++j) wrong |= unsigned(values[j] > limit);
    return wrong == 0;
}

template <typename T>
bool pack_all(const Items& items, std::uint8_t limit, std::size_t stride, std::uint8_t* rows) {
    const T* values = static_cast<const T*>(items.data);
    bool exact = true;
    for (std::size_t i = 0; i < items.count; ++i) {
        std::uint8_t* row = rows + i * stride;
        exact &= pack_values(values + i * items.width, items.width, limit, row);
        std::memset(row + items.width, 0, stride - items.width);
    }
    return exact;
}

bool pack(const Items& items, std::uint8_t limit, std::size_t stride, std::uint8_t* rows) {
    switch (items.element) {
        case Element::u8: return pack_all<std::uint8_t>(items, limit, stride, rows);
        case Element::i32: return pack_all<std::int32_t>(items, limit, stride, rows);
        case Element::i64: return pack_all<std::int64_t>(items, limit, stride, rows);
        case Element::f32: return pack_all<float>(items, limit, stride, rows);
        case Element::f64: return pack_all<double>(items, limit, stride, rows);
    }
    return false;
}

// Rounded once: the scale is a power of two.
template <typename T>
float scaled(T value, float scale) {
    return float(double(value) * double(scale));
}

float scaled(float value, float scale) {
    return value * scale;
}

template <typename T>
bool pack_float_row(const T* values, std::size_t width, float scale, bool lengths,
                    std::size_t stride, float* row) {
    for (std::size_t j = 0; j < width; ++j) row[j] = scaled(values[j], scale);
    std::fill(row + width, row + stride, 0.0f);
    const double squares = kernels().sums_of_products(row, row, stride).own;
    if (!lengths) return squares <= most_squares;  // phrased so that NaN fails as well
    const double length = std::sqrt(squares);
    row[stride - 1] = float(1.0 / length);
    return length > 1e-37 && length < 1e37;
}

template <typename T>
bool pack_all_floats(const Items& items, float scale, bool lengths, std::size_t stride,
                     float* rows) {
    const T* values = static_cast<const T*>(items.data);
    bool good = true;
    for (std::size_t i = 0; i < items.count; ++i)
        good &= pack_float_row(values + i * items.width, items.width, scale, lengths, stride,
                               rows + i * stride);
    return good;
}

bool pack_as_floats(const Items& items, float scale, bool lengths, std::size_t stride,
                    float* rows) {
    switch (items.element) {
        case Element::u8: return pack_all_floats<std::uint8_t>(items, scale, lengths, stride, rows);
        case Element::i32:
            return pack_all_floats<std::int32_t>(items, scale, lengths, stride, rows);
        case Element::i64:
            return pack_all_floats<std::int64_t>(items, scale, lengths, stride, rows);
        case Element::f32: return pack_all_floats<float>(items, scale, lengths, stride, rows);
        case Element::f64: return pack_all_floats<double>(items, scale, lengths, stride, rows);
    }
    return false;
}

std::size_t size_bytes(Element element) {
    switch (element) {
        case Element::u8: return 1;
        case Element::i32:
        case Element::f32: return 4;
        case Element::i64:
        case Element::f64: return 8;
    }
    return 0;
}

}  // namespace

Items Items::at(std::size_t i) const {
    const auto* bytes = static_cast<const std::uint8_t*>(data);
    return {bytes + i * width * size_bytes(element), element, 1, width};
}

void pack_floats(const Items& items, float scale, bool lengths, std::size_t stride, float* rows) {
    if (items.count == 0) return;
    if (!pack_as_floats(items, scale, lengths, stride, rows))
        throw std::invalid_argument("a value is not finite, or a row's squares do not fit float32");
}

std::size_t padded_width(std::size_t width, std::size_t alignment) {
    return (width + alignment - 1) / alignment * alignment;
}

void pack_rows(const Items& items, std::uint8_t limit, std::size_t stride, std::uint8_t* rows) {
    if (items.count == 0) return;
    if (!pack(items, limit, stride, rows))
        throw std::invalid_argument("a value is not a whole number in the allowed range");
}

PackedRows packed_rows(const Items& items, std::uint8_t limit, std::size_t stride) {
    PackedRows packed{std::vector<std::uint8_t>(items.count * stride), stride};
    pack_rows(items, limit, stride, packed.bytes.data());
    return packed;
}

}  // namespace lookalike
