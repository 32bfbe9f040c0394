// Lower bounds: a shorter row for each row, whose distance tells which rows cannot be near.
//
// Nothing is lost: a row is passed over only when its bound proves that it is too far away.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "projection.h"
#include "verify.h"

namespace lookalike {

// Bounds of one chunk of rows, as whichever numbers the kind of bound computes.
using BoundScratch = std::vector<std::uint32_t>;

class Bounds {
public:
    virtual ~Bounds() = default;

    // Bytes of a bounding row, and of a query coded for them.
    virtual std::size_t stride() const = 0;
    virtual std::size_t query_bytes() const = 0;
    virtual void code_query(const Query& query, std::uint8_t* code) const = 0;

    // Computes the bounds of the rows [first, first + count).
    virtual void compute(std::size_t first, std::size_t count, const std::uint8_t* code,
                         BoundScratch& bounds) const = 0;
    // Ascending positions of the rows that may be at a distance below the limit; returns how
    // many. positions has room for count + 16.
    virtual std::size_t may_be_below(std::size_t count, std::uint32_t limit,
                                     const std::uint8_t* code, const BoundScratch& bounds,
                                     std::uint32_t* positions) const = 0;
    // The position in [begin, end) of the smallest bound.
    virtual std::size_t least(std::size_t begin, std::size_t end,
                              const BoundScratch& bounds) const = 0;
};

// For sums of absolute differences of bytes. Byte g of a bounding row is
// floor((sum of the values at order[4g .. 4g+3]) / 2^shift), capped at 255. By the triangle
// inequality
//     sum |x - y| >= 2^shift * sum |x' - y'| - (2^shift - 1) * groups.
struct SumRows {
    const std::uint8_t* data;
    std::size_t stride;          // bytes, a multiple of 16
    const std::uint32_t* order;  // a permutation of the values of a row
    unsigned shift;
};

constexpr std::size_t bound_group = 4;  // values summed into one byte of a bounding row

// Writes the bounding row of each row, zero-filled.
void make_sums(const Rows& rows, const SumRows& shape, std::uint8_t* bounds);

class SumBounds final : public Bounds {
public:
    SumBounds(SumRows rows, std::size_t width) : rows_(rows), width_(width) {}

    std::size_t stride() const override { return rows_.stride; }
    std::size_t query_bytes() const override { return rows_.stride; }
    void code_query(const Query& query, std::uint8_t* code) const override;
    void compute(std::size_t first, std::size_t count, const std::uint8_t* code,
                 BoundScratch& bounds) const override;
    std::size_t may_be_below(std::size_t count, std::uint32_t limit, const std::uint8_t* code,
                             const BoundScratch& bounds, std::uint32_t* positions) const override;
    std::size_t least(std::size_t begin, std::size_t end,
                      const BoundScratch& bounds) const override;

private:
    SumRows rows_;
    std::size_t width_;
};

// For Euclidean distances and angles. A bounding row holds the projection of a row in steps, as
// int16 in [-2047, 2047]: values beyond are cut off, which brings no two rows farther apart. The
// projection stretches no vector, so that
//     |x - y| >= step * (|x' - y'| - slack),
// where the slack stands for all rounding. For angles, rows are of length 1.
struct ProjectedRows {
    const std::int16_t* data;
    std::size_t dimensions;  // a multiple of 32; the projection has as many outputs
    float step;
    double longest;  // at least the length of every row, and of the mean
};

class ProjectionBounds final : public Bounds {
public:
    ProjectionBounds(ProjectedRows rows, Projection projection, Measure measure,
                     std::size_t row_stride)
        : rows_(rows), projection_(projection), measure_(measure), row_stride_(row_stride) {}

    std::size_t stride() const override { return rows_.dimensions * sizeof(std::int16_t); }
    std::size_t query_bytes() const override { return stride() + sizeof(double); }
    void code_query(const Query& query, std::uint8_t* code) const override;
    void compute(std::size_t first, std::size_t count, const std::uint8_t* code,
                 BoundScratch& bounds) const override;
    std::size_t may_be_below(std::size_t count, std::uint32_t limit, const std::uint8_t* code,
                             const BoundScratch& bounds, std::uint32_t* positions) const override;
    std::size_t least(std::size_t begin, std::size_t end,
                      const BoundScratch& bounds) const override;

private:
    ProjectedRows rows_;
    Projection projection_;
    Measure measure_;
    std::size_t row_stride_;
};

// Projected vectors in steps, rounded and cut off.
void make_projected(const float* y, std::size_t count, float step, std::int16_t* codes);

}  // namespace lookalike
