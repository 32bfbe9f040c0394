#include "sketch.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <stdexcept>

#include "kernels.h"

namespace lookalike {
namespace {

constexpr float most_query = 127.0f;
constexpr int code_bias = 8;
constexpr unsigned most_shift = 10;  // 500 times the data: sums still fit 29 bits

// Adding this pushes the fraction of any |x| < 2^22 out of a float32, rounding to even.
constexpr float rounder = 12582912.0f;

// In this order, so that what is no number becomes -most.
float clamped(float value, float most) {
    return std::min(std::max(-most, value), most);
}

}  // namespace

std::int32_t rounded(float value, float most) {
    const float inside = clamped(value, most);
    if (inside > -4194304.0f && inside < 4194304.0f)
        return std::int32_t((inside + rounder) - rounder);
    return std::int32_t(inside);  // its last bit is worth a half at least
}

Sketch::Sketch(std::vector<float> steps, float unit) : steps_(std::move(steps)), unit_(unit) {
    if (steps_.empty() || steps_.size() % 8 != 0)
        throw std::invalid_argument("dimensions must be a multiple of 8");
    if (!(unit > 0.0f)) throw std::invalid_argument("the unit of a sketch must be positive");
    for (const float step : steps_) {
        if (!(step > 0.0f && std::isfinite(step)))
            throw std::invalid_argument("the steps of a sketch must be positive");
        query_factors_.push_back(step / unit);
    }
}

void Sketch::code_query(const float* y, QueryCode& query) const {
    query.codes.resize(dimensions());
    std::int8_t* codes = query.codes.data();
    const float* factors = query_factors_.data();
    float largest_of[8] = {};  // eight, because one would wait for itself
    for (std::size_t j = 0; j < dimensions(); j += 8)
        for (std::size_t lane = 0; lane < 8; ++lane)
            largest_of[lane] =
                std::max(largest_of[lane], std::fabs(y[j + lane] * factors[j + lane]));
    float largest = *std::max_element(largest_of, largest_of + 8);
    query.shift = 1;
    float factor = 1;
    for (; largest > most_query && query.shift < most_shift; ++query.shift, factor /= 2)
        largest /= 2;
    std::int32_t sum = 0;
    for (std::size_t j = 0; j < dimensions(); ++j) {
        const float inside = clamped(y[j] * factors[j] * factor, most_query);
        const std::int32_t code = std::int32_t((inside + rounder) - rounder);
        codes[j] = std::int8_t(code);
        sum += code;
    }
    query.bias = std::uint32_t(code_bias * sum) << query.shift;
}

void Sketch::code(const float* values, std::int8_t* codes) const {
    for (std::size_t j = 0; j < dimensions(); ++j)
        codes[j] = std::int8_t(std::min(rounded(values[j] / steps_[j], 8.0f), 7));
}

void Sketch::decode(const std::int8_t* codes, float* values) const {
    for (std::size_t j = 0; j < dimensions(); ++j) values[j] = float(codes[j]) * steps_[j];
}

void Sketch::write(std::uint8_t* block, std::size_t lane, const std::int8_t* codes,
                   std::int32_t norm) const {
    std::memcpy(block + lane * sizeof norm, &norm, sizeof norm);
    std::uint8_t* bytes = block + block_vectors * sizeof norm + 4 * lane;
    for (std::size_t j = 0; j < dimensions(); j += 8, bytes += 4 * block_vectors)
        for (std::size_t b = 0; b < 4; ++b)
            bytes[b] =
                std::uint8_t((codes[j + b] + code_bias) | (codes[j + 4 + b] + code_bias) << 4);
}

}  // namespace lookalike
