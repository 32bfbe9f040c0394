// Learned buckets: every vector belongs to the cell of its nearest centroid.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "sketch.h"

namespace lookalike {

// A centroid is kept as a code v_j in [-128, 119] for each dimension, which stands for
// v_j * steps[j]; and "centroid" means what the codes stand for: residuals, assignment and search
// all use it, so that its rounding is no error.
//
// Cells are ranked by a sketch of their centroids, with codes of 4 bits: the upper digit of each
// code (v = 16 upper + lower, both in [-8, 7]), and behind those the lower digits of the first
// dimensions. In these the centroids differ most, and a step of an upper digit is much of what
// vectors differ by within a cell.
class Cells {
public:
    // steps: for each dimension, a multiple of 8; codes: count x dimensions; unit: of the sketch.
    Cells(std::vector<float> steps, float unit, std::vector<std::int8_t> codes);

    std::size_t size() const { return count_; }
    std::size_t dimensions() const { return steps_.size(); }
    std::size_t digits() const { return sketch_.dimensions(); }  // of a centroid's sketch
    const float* centroid(std::size_t cell) const { return centroids_.data() + cell * stride_; }

    // Codes a projected vector as rank() takes it.
    void code_query(const float* y, QueryCode& query) const;
    // Roughly the distance of the query from every centroid: estimate_zero + (|c|^2 - 2 <y, c>) /
    // unit. The query's own square is left out: it is the same for all. 8 bits of the query say
    // little of the dimensions in which it is small, so this ranks cells and no more.
    // `distances` has room for padded_size().
    void rank(const QueryCode& query, std::uint32_t* distances) const;
    std::size_t padded_size() const;

    // |y - c|^2 for some cells, as floats written as their bits. y has as many floats as a whole
    // number of 16, zero behind dimensions.
    void exact_distances(const float* y, const std::uint32_t* cells, std::size_t count,
                         std::uint32_t* distances) const;

    // Numbers of at least `wanted` cells that rank first, in ascending order; returns how many.
    // `cells` has room for size() + 16.
    std::size_t first_cells(const std::uint32_t* distances, std::size_t wanted,
                            std::uint32_t* cells) const;

    // The cell of each y, rows of `stride` floats: the nearest of those that rank first; ties by
    // number. Or, roughly, just the one that ranks first. Many cells are ranked in groups (see
    // cell_groups.h), few all at once. Returns how many distances from centroids were estimated.
    std::uint64_t assign(const float* y, std::size_t stride, std::size_t count, bool roughly,
                         std::size_t threads, std::uint32_t* cells) const;

    // That for one y, among `count` cells with these distances by rank(), at least one of them no
    // padding. The last two arrays have room for count + 16 numbers.
    std::uint32_t nearest(const float* y, std::size_t count, const std::uint32_t* distances,
                          const std::uint32_t* cells, bool roughly, std::uint32_t* first,
                          std::uint32_t* exact) const;

    // Writes the sketch of a centroid to a place among blocks.
    void write(std::size_t cell, std::uint8_t* blocks, std::size_t place) const;
    std::size_t stride() const { return stride_; }  // floats from one centroid to the next

    const std::vector<float>& steps() const { return steps_; }
    const std::vector<std::int8_t>& codes() const { return codes_; }
    const Sketch& sketch() const { return sketch_; }  // of digits

private:
    std::vector<float> steps_;
    std::vector<std::int8_t> codes_;
    Sketch sketch_;
    std::size_t count_, stride_;  // stride_: floats of a centroid, a multiple of 16
    std::vector<float> centroids_;
    std::vector<std::uint8_t> blocks_;
};

// k-means: `count` rows of `stride` floats, in random order, are divided among cells whose
// centroids start at the first rows; a centroid left without rows starts again at another.
// least_step, the least that an upper digit stands for, keeps all steps positive.
Cells learn_cells(const float* y, std::size_t stride, std::size_t count, std::size_t dimensions,
                  std::size_t cells, std::size_t rounds, float least_step, std::size_t threads);

// The sketch for residuals of which each dimension has this root mean square (times 2.8: values
// beyond are cut off), for queries with these ones (times 4.5).
Sketch make_sketch(const std::vector<float>& residuals_rms, const std::vector<float>& queries_rms,
                   float least_step);

// The root mean square of each dimension.
std::vector<float> root_mean_squares(const float* y, std::size_t stride, std::size_t count,
                                     std::size_t dimensions);

}  // namespace lookalike
