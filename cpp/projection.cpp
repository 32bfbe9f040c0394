#include "projection.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "dispatch.h"

namespace lookalike {
namespace {

// Four sums, because one would wait for itself; always added in this order.
template <typename T>
double distance_from_mean(const T* row, const float* mean, std::size_t width) {
    double sums[4] = {};
    for (std::size_t j = 0; j < width; ++j) {
        const double difference = double(row[j]) - double(mean[j]);
        sums[j % 4] += difference * difference;
    }
    return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

double sum_of_squares(const float* y, std::size_t count) {
    double sum = 0;
    for (std::size_t k = 0; k < count; ++k) sum += double(y[k]) * double(y[k]);
    return sum;
}

}  // namespace

void Projection::apply(const std::uint8_t* rows, std::size_t stride, std::size_t count,
                       float* y) const {
    if (!bytes) {
        kernels().project_floats(reinterpret_cast<const float*>(rows), stride / sizeof(float),
                                 count, width, mean, matrix, outputs, y);
        return;
    }
    // The sums are written where the outputs will be: both take four bytes.
    std::int32_t* sums = reinterpret_cast<std::int32_t*>(y);
    kernels().project_bytes(rows, stride, count, (width + 3) / 4 * 4, byte_matrix, outputs, sums);
    for (std::size_t i = 0; i < count; ++i) {
        for (std::size_t k = 0; k < outputs; ++k) {
            std::int32_t sum;
            std::memcpy(&sum, sums + i * outputs + k, sizeof sum);
            y[i * outputs + k] = scales[k] * float(sum) - offsets[k];
        }
    }
}

std::vector<std::uint8_t> Projection::mean_row(std::size_t stride) const {
    std::vector<std::uint8_t> row(stride);
    if (!bytes) {
        std::memcpy(row.data(), mean, width * sizeof(float));
        return row;
    }
    for (std::size_t j = 0; j < width; ++j)
        row[j] = std::uint8_t(std::clamp(std::lround(mean[j]), 0l, 255l));
    return row;
}

void Projection::tails(const std::uint8_t* rows, std::size_t stride, std::size_t count,
                       const float* y, std::size_t dimensions, float* tails) const {
    for (std::size_t i = 0; i < count; ++i) {
        const std::uint8_t* row = rows + i * stride;
        const double whole =
            bytes ? distance_from_mean(row, mean, width)
                  : distance_from_mean(reinterpret_cast<const float*>(row), mean, width);
        tails[i] = float(std::max(0.0, whole - sum_of_squares(y + i * outputs, dimensions)));
    }
}

}  // namespace lookalike
