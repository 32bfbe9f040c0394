#include "cells.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>

#include "cell_groups.h"
#include "dispatch.h"
#include "select.h"
#include "workers.h"

namespace lookalike {
namespace {

constexpr std::size_t assigned_together = 256;  // rows a task assigns
constexpr std::size_t compared_exactly = 8;     // cells that a row may belong to
constexpr std::size_t ranked_at_once = 896;     // more cells are ranked in groups
constexpr float cut_off = 2.8f;                 // root mean squares that a 4-bit code reaches,
constexpr float centroid_reach = 4.5f;          // a centroid's code,
constexpr float query_reach = 4.5f;             // and a query's 8-bit code
constexpr int most_code = 119;                  // so that both digits fit 4 bits

// So many dimensions are ranked by two digits.
std::size_t finer_dimensions(std::size_t dimensions) {
    return std::min<std::size_t>(dimensions, 16);
}

int upper_digit(std::int8_t code) {
    return (int(code) + 8) >> 4;  // rounds down, also below zero
}

std::vector<float> steps_of_digits(const std::vector<float>& steps) {
    std::vector<float> digits;
    for (const float step : steps) digits.push_back(16 * step);
    digits.insert(digits.end(), steps.begin(),
                  steps.begin() + std::ptrdiff_t(finer_dimensions(steps.size())));
    return digits;
}

// The largest that a query like these times a step comes to is 127 units.
float unit_for(const std::vector<float>& queries_rms, const std::vector<float>& steps,
               float least_step) {
    float unit = least_step * least_step;
    for (std::size_t j = 0; j < queries_rms.size(); ++j)
        unit = std::max(unit, query_reach / 127.0f * queries_rms[j] * steps[j]);
    return unit;
}

// The centroids that these would become as codes.
Cells rounded_cells(const float* centroids, std::size_t cells, const std::vector<float>& reach,
                    float least_step) {
    const std::size_t dimensions = reach.size();
    std::vector<float> steps = root_mean_squares(centroids, dimensions, cells, dimensions);
    for (float& step : steps)
        step = std::max(centroid_reach / float(most_code) * step, least_step / 16);
    std::vector<std::int8_t> codes(cells * dimensions);
    for (std::size_t i = 0; i < codes.size(); ++i)
        codes[i] = std::int8_t(rounded(centroids[i] / steps[i % dimensions], float(most_code)));
    const float unit = unit_for(reach, steps_of_digits(steps), least_step);
    return Cells(std::move(steps), unit, std::move(codes));
}

// Each centroid moves to the mean of its rows.
void move_centroids(const float* y, std::size_t stride, std::size_t count,
                    const std::vector<std::uint32_t>& cells, std::size_t dimensions,
                    std::size_t cell_count, std::size_t round, float* centroids) {
    std::vector<double> sums(cell_count * dimensions);
    std::vector<std::size_t> sizes(cell_count);
    for (std::size_t i = 0; i < count; ++i) {
        double* sum = sums.data() + cells[i] * dimensions;
        for (std::size_t j = 0; j < dimensions; ++j) sum[j] += double(y[i * stride + j]);
        ++sizes[cells[i]];
    }
    for (std::size_t c = 0; c < cell_count; ++c) {
        float* centroid = centroids + c * dimensions;
        if (sizes[c] == 0) {  // rows come in random order, so that any one will do
            const std::size_t row = (c + (round + 1) * cell_count) % count;
            std::copy_n(y + row * stride, dimensions, centroid);
            continue;
        }
        for (std::size_t j = 0; j < dimensions; ++j)
            centroid[j] = float(sums[c * dimensions + j] / double(sizes[c]));
    }
}

}  // namespace

std::vector<float> root_mean_squares(const float* y, std::size_t stride, std::size_t count,
                                     std::size_t dimensions) {
    std::vector<double> sums(dimensions);
    for (std::size_t i = 0; i < count; ++i)
        for (std::size_t j = 0; j < dimensions; ++j)
            sums[j] += double(y[i * stride + j]) * double(y[i * stride + j]);
    std::vector<float> rms(dimensions);
    for (std::size_t j = 0; j < dimensions; ++j)
        rms[j] = float(std::sqrt(sums[j] / double(std::max<std::size_t>(count, 1))));
    return rms;
}

Sketch make_sketch(const std::vector<float>& residuals_rms, const std::vector<float>& queries_rms,
                   float least_step) {
    std::vector<float> steps;
    for (const float rms : residuals_rms)
        steps.push_back(std::max(cut_off / 7.5f * rms, least_step));
    const float unit = unit_for(queries_rms, steps, least_step);
    return Sketch(std::move(steps), unit);
}

Cells::Cells(std::vector<float> steps, float unit, std::vector<std::int8_t> codes)
    : steps_(std::move(steps)),
      codes_(std::move(codes)),
      sketch_(steps_of_digits(steps_), unit),
      count_(codes_.size() / dimensions()),
      stride_((dimensions() + 15) / 16 * 16),
      centroids_(count_ * stride_) {
    if (dimensions() % 8 != 0) throw std::invalid_argument("dimensions must be a multiple of 8");
    if (count_ == 0 || count_ * dimensions() != codes_.size())
        throw std::invalid_argument("cells need whole centroids");
    for (const std::int8_t code : codes_)
        if (code > most_code) throw std::invalid_argument("a code does not fit two digits");
    blocks_.resize(padded_size() / block_vectors * block_bytes(digits()));
    for (std::size_t c = 0; c < count_; ++c) {
        const std::int8_t* code = codes_.data() + c * dimensions();
        for (std::size_t j = 0; j < dimensions(); ++j)
            centroids_[c * stride_ + j] = float(code[j]) * steps_[j];
        write(c, blocks_.data(), c);
    }
    const std::vector<std::int8_t> nothing(digits());
    for (std::size_t c = count_; c < padded_size(); ++c)
        sketch_.write(blocks_.data() + c / block_vectors * block_bytes(digits()), c % block_vectors,
                      nothing.data(), padding_norm);
}

// The norm is that of what the digits stand for, without the square of what they leave out: so
// this enters the distance from a query only times how far the query is from the centroid.
void Cells::write(std::size_t cell, std::uint8_t* blocks, std::size_t place) const {
    const std::int8_t* code = codes_.data() + cell * dimensions();
    const std::size_t finer = finer_dimensions(dimensions());
    std::vector<std::int8_t> digits_of(digits());
    double norm = 0;
    for (std::size_t j = 0; j < dimensions(); ++j) {
        const int upper = upper_digit(code[j]), lower = int(code[j]) - 16 * upper;
        digits_of[j] = std::int8_t(upper);
        if (j < finer) digits_of[dimensions() + j] = std::int8_t(lower);
        const double left_out = j < finer ? 0 : double(lower) * double(steps_[j]);
        const double seen = double(code[j]) * double(steps_[j]) - left_out;
        norm += seen * seen - left_out * left_out;
    }
    sketch_.write(blocks + place / block_vectors * block_bytes(digits()), place % block_vectors,
                  digits_of.data(), rounded(float(norm / double(sketch_.unit())), most_norm));
}

void Cells::code_query(const float* y, QueryCode& query) const {
    thread_local std::vector<float> of_digits;
    of_digits.assign(y, y + dimensions());
    of_digits.insert(of_digits.end(), y, y + finer_dimensions(dimensions()));
    sketch_.code_query(of_digits.data(), query);
}

std::size_t Cells::padded_size() const {
    return (count_ + block_vectors - 1) / block_vectors * block_vectors;
}

void Cells::rank(const QueryCode& query, std::uint32_t* distances) const {
    kernels().estimate_blocks(blocks_.data(), padded_size() / block_vectors, query.codes.data(),
                              digits(), query.shift, estimate_zero + query.bias, distances);
}

void Cells::exact_distances(const float* y, const std::uint32_t* cells, std::size_t count,
                            std::uint32_t* distances) const {
    kernels().float_squares_at(reinterpret_cast<const std::uint8_t*>(centroids_.data()),
                               stride_ * sizeof(float), cells, count,
                               reinterpret_cast<const std::uint8_t*>(y), distances);
}

std::size_t Cells::first_cells(const std::uint32_t* distances, std::size_t wanted,
                               std::uint32_t* cells) const {
    const std::size_t least = std::min(wanted, count_);
    const std::uint32_t limit = about_kth_smallest(distances, count_, least, least / 8 + 1) + 1;
    return kernels().positions_below(distances, count_, limit, cells);
}

std::uint32_t Cells::nearest(const float* y, std::size_t count, const std::uint32_t* distances,
                             const std::uint32_t* cells, bool roughly, std::uint32_t* first,
                             std::uint32_t* exact) const {
    if (roughly) return cells[kernels().least(distances, count)];
    const std::size_t least = std::min(compared_exactly, count);
    const std::uint32_t limit = about_kth_smallest(distances, count, least, least / 8 + 1) + 1;
    std::size_t some = kernels().positions_below(distances, count, limit, first);
    std::size_t kept = 0;
    for (std::size_t i = 0; i < some; ++i) {  // padding may be among the first of very few
        first[kept] = cells[first[i]];
        kept += first[kept] < count_;
    }
    exact_distances(y, first, kept, exact);
    return first[kernels().least(exact, kept)];
}

std::uint64_t Cells::assign(const float* y, std::size_t stride, std::size_t count, bool roughly,
                            std::size_t threads, std::uint32_t* cells) const {
    if (count_ > ranked_at_once)
        return CellGroups(*this).assign(y, stride, count, roughly, threads, cells);
    std::vector<std::uint32_t> all(count_);
    std::iota(all.begin(), all.end(), 0u);
    run_pieces(count, assigned_together, threads, [&](std::size_t i, std::size_t end, std::size_t) {
        QueryCode code;
        std::vector<std::uint32_t> ranked(padded_size()), first(count_ + block_vectors),
            exact(first.size());
        for (; i < end; ++i) {
            code_query(y + i * stride, code);
            rank(code, ranked.data());
            cells[i] = nearest(y + i * stride, count_, ranked.data(), all.data(), roughly,
                               first.data(), exact.data());
        }
    });
    return std::uint64_t(count) * count_;
}

Cells learn_cells(const float* y, std::size_t stride, std::size_t count, std::size_t dimensions,
                  std::size_t cells, std::size_t rounds, float least_step, std::size_t threads) {
    if (cells == 0 || count < cells) throw std::invalid_argument("fewer rows than cells");
    std::vector<float> centroids(cells * dimensions);
    for (std::size_t c = 0; c < cells; ++c)
        std::copy_n(y + c * stride, dimensions, centroids.data() + c * dimensions);
    const std::vector<float> reach = root_mean_squares(y, stride, count, dimensions);
    std::vector<std::uint32_t> of_row(count);
    for (std::size_t round = 0; round < rounds; ++round) {
        rounded_cells(centroids.data(), cells, reach, least_step)
            .assign(y, stride, count, true, threads, of_row.data());
        move_centroids(y, stride, count, of_row, dimensions, cells, round, centroids.data());
    }
    return rounded_cells(centroids.data(), cells, reach, least_step);
}

}  // namespace lookalike
