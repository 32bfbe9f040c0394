// The sketch: a vector as 4-bit codes that estimate its distance from a query.
//
// Notation. y is a projected vector, c the centroid of its cell, r = y - c. A code v_j in [-8, 7]
// stands for v_j * steps[j]. A query is coded with the steps folded in, q_j = 2 y_j steps[j] /
// (unit
// * 2^shift) in [-127, 127], so that 2 <y, v steps> is about unit * 2^shift * sum q_j v_j, a sum of
// integers. The shift is 1 for queries like the data, and more for those that are larger.
//
// Blocks, as the kernels read them: the codes of 16 vectors, biased to u = v + 8.
//     [0, 64)             16 norms, int32, in order
//     [64 + 64 k, ...)    byte 4 lane + b, low nibble: dimension 8 k + b, high: 8 k + 4 + b
// for k < dimensions / 8 and b < 4.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace lookalike {

// A query coded for a sketch, and what the bias of u adds to its estimates.
struct QueryCode {
    std::vector<std::int8_t> codes;
    unsigned shift = 1;
    std::uint32_t bias = 0;
};

class Sketch {
public:
    // steps has an entry for each dimension, a multiple of 8; all are positive.
    Sketch(std::vector<float> steps, float unit);

    std::size_t dimensions() const { return steps_.size(); }
    float unit() const { return unit_; }
    const std::vector<float>& steps() const { return steps_; }

    void code_query(const float* y, QueryCode& query) const;
    // v for each dimension of a value.
    void code(const float* values, std::int8_t* codes) const;
    // What the codes stand for.
    void decode(const std::int8_t* codes, float* values) const;
    // Writes one vector to a lane of a block. The norm is in units, already rounded.
    void write(std::uint8_t* block, std::size_t lane, const std::int8_t* codes,
               std::int32_t norm) const;

private:
    std::vector<float> steps_, query_factors_;
    float unit_;
};

// Rounds to the nearest whole number, ties to even, and clamps: the same on every processor.
std::int32_t rounded(float value, float most);

// Estimates are written as unsigned numbers with this added, so that all are positive and keep
// their order.
constexpr std::uint32_t estimate_zero = std::uint32_t(1) << 31;
// Norms and offsets are clamped here: the estimates of real vectors stay below that of padding.
constexpr float most_norm = float(1 << 28);
constexpr std::int32_t padding_norm = (1 << 30) + (1 << 28);
// Two codes of zero, as a byte of a block.
constexpr std::uint8_t padding_codes = 0x88;

}  // namespace lookalike
