#include "bounds.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

#include "dispatch.h"
#include "sketch.h"

namespace lookalike {
namespace {

constexpr std::uint32_t no_limit = std::numeric_limits<std::uint32_t>::max();
constexpr std::uint32_t no_bound = std::numeric_limits<std::uint16_t>::max();  // capped here
constexpr float most_steps = 2047.0f;

void sums_of_row(const std::uint8_t* row, std::size_t width, const SumRows& shape,
                 std::uint8_t* bound) {
    std::size_t j = 0, group = 0;
    for (; j < width; ++group) {
        const std::size_t end = std::min(j + bound_group, width);
        unsigned sum = 0;
        for (; j < end; ++j) sum += row[shape.order[j]];
        bound[group] = std::uint8_t(std::min(sum >> shape.shift, 255u));
    }
    std::fill(bound + group, bound + shape.stride, std::uint8_t(0));
}

const std::uint16_t* short_bounds(const BoundScratch& bounds) {
    return reinterpret_cast<const std::uint16_t*>(bounds.data());
}

std::size_t all_positions(std::size_t count, std::uint32_t* positions) {
    std::iota(positions, positions + count, 0u);
    return count;
}

double length_of(const Query& query, std::size_t stride, bool bytes) {
    double sum = 0;
    if (bytes) {
        for (std::size_t j = 0; j < stride; ++j) sum += double(query.row[j]) * query.row[j];
        return std::sqrt(sum);
    }
    const float* row = reinterpret_cast<const float*>(query.row);
    return std::sqrt(kernels().sums_of_products(row, row, stride / sizeof(float)).own);
}

// The Euclidean distance, of rows as they are projected, that belongs to a limit.
double euclidean(std::uint32_t limit, Measure measure) {
    if (measure == Measure::squared_differences) return std::sqrt(double(limit));
    float distance;
    std::memcpy(&distance, &limit, sizeof distance);
    // The angle of vectors of length 1: |x - y|^2 = 2 (1 - cos).
    return std::sqrt(double(distance) * (measure == Measure::float_angles ? 2.0 : 1.0));
}

}  // namespace

void make_sums(const Rows& rows, const SumRows& shape, std::uint8_t* bounds) {
    for (std::size_t i = 0; i < rows.count; ++i)
        sums_of_row(rows.data + i * rows.stride, rows.width, shape, bounds + i * shape.stride);
}

void SumBounds::code_query(const Query& query, std::uint8_t* code) const {
    sums_of_row(query.row, width_, rows_, code);
}

void SumBounds::compute(std::size_t first, std::size_t count, const std::uint8_t* code,
                        BoundScratch& bounds) const {
    bounds.resize(std::max(bounds.size(), count / 2 + 1));
    kernels().bounding_differences(rows_.data + first * rows_.stride, rows_.stride, count, code,
                                   reinterpret_cast<std::uint16_t*>(bounds.data()));
}

std::size_t SumBounds::may_be_below(std::size_t count, std::uint32_t limit, const std::uint8_t*,
                                    const BoundScratch& bounds, std::uint32_t* positions) const {
    const std::uint64_t groups = (width_ + bound_group - 1) / bound_group;
    const std::uint64_t unit = std::uint64_t(1) << rows_.shift;
    const std::uint64_t reach = std::uint64_t(limit) + (unit - 1) * groups;
    const std::uint64_t most = (reach + unit - 1) >> rows_.shift;
    if (most > no_bound) return all_positions(count, positions);  // a capped bound excludes nothing
    return kernels().bounds_below(short_bounds(bounds), count, std::uint16_t(most), positions);
}

std::size_t SumBounds::least(std::size_t begin, std::size_t end, const BoundScratch& bounds) const {
    return begin + kernels().least_bound(short_bounds(bounds) + begin, end - begin);
}

void make_projected(const float* y, std::size_t count, float step, std::int16_t* codes) {
    for (std::size_t i = 0; i < count; ++i)
        codes[i] = std::int16_t(rounded(y[i] / step, most_steps));
}

void ProjectionBounds::code_query(const Query& query, std::uint8_t* code) const {
    thread_local std::vector<float> y;
    y.resize(projection_.outputs);
    projection_.apply(query.row, row_stride_, 1, y.data());
    make_projected(y.data(), rows_.dimensions, rows_.step, reinterpret_cast<std::int16_t*>(code));
    // Rounding to steps moves each of two rows by half a step in each dimension; and the sums of
    // the projection are floats, with an error for each term.
    const double longest = 2 * rows_.longest + length_of(query, row_stride_, projection_.bytes);
    const double terms = double(projection_.width + 64);
    const double slack = 1.001 * std::sqrt(double(rows_.dimensions)) +
                         4 * terms * 0x1p-24 * longest / double(rows_.step);
    std::memcpy(code + stride(), &slack, sizeof slack);
}

void ProjectionBounds::compute(std::size_t first, std::size_t count, const std::uint8_t* code,
                               BoundScratch& bounds) const {
    bounds.resize(std::max(bounds.size(), count));
    kernels().bounding_squares(rows_.data + first * rows_.dimensions, rows_.dimensions, count,
                               reinterpret_cast<const std::int16_t*>(code), bounds.data());
}

std::size_t ProjectionBounds::may_be_below(std::size_t count, std::uint32_t limit,
                                           const std::uint8_t* code, const BoundScratch& bounds,
                                           std::uint32_t* positions) const {
    if (limit == no_limit) return all_positions(count, positions);
    double slack;
    std::memcpy(&slack, code + stride(), sizeof slack);
    const double reach = euclidean(limit, measure_) / double(rows_.step) * 1.0001 + slack;
    const double most = std::ceil(reach * reach) + 1.0;
    if (!(most < double(no_limit))) return all_positions(count, positions);
    return kernels().positions_below(bounds.data(), count, std::uint32_t(most), positions);
}

std::size_t ProjectionBounds::least(std::size_t begin, std::size_t end,
                                    const BoundScratch& bounds) const {
    return begin + kernels().least(bounds.data() + begin, end - begin);
}

}  // namespace lookalike
