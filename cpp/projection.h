// The projection: a row becomes a few numbers that keep most of its differences from others.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace lookalike {

// y = V (x - mean), where V has learned, orthogonal rows. Arrays are not owned.
//
// Rows of floats use V as it is, transposed: matrix[j * outputs + k]. Rows of bytes use V rounded
// to whole numbers in [-16, 16] times a scale for each output, so that the sum is one of integers:
// y_k = scales[k] * (sum over j of x_j byte_matrix(j, k)) - offsets[k], laid out as
// project_bytes in kernels.h wants it.
struct Projection {
    bool bytes = false;
    std::size_t width = 0;    // values of a row, without padding
    std::size_t outputs = 0;  // numbers computed, a multiple of 16; those of no use are zero
    const float* mean = nullptr;
    const float* matrix = nullptr;
    const std::int8_t* byte_matrix = nullptr;
    const float* scales = nullptr;
    const float* offsets = nullptr;

    // Rows begin `stride` bytes apart and are zero behind width.
    void apply(const std::uint8_t* rows, std::size_t stride, std::size_t count, float* y) const;

    // The mean as a row of that stride; that of bytes is rounded.
    std::vector<std::uint8_t> mean_row(std::size_t stride) const;

    // What the first `dimensions` outputs leave out of each row: max(0, |x - mean|^2 - |y|^2).
    void tails(const std::uint8_t* rows, std::size_t stride, std::size_t count, const float* y,
               std::size_t dimensions, float* tails) const;
};

}  // namespace lookalike
