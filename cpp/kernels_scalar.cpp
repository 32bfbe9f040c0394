// The scalar level: plain loops, the definition that the other levels are tested against.
// level: scalar
// processors: any
// flags:
#include "kernels.h"

namespace lookalike {
extern const Kernels scalar_kernels;

namespace {

std::uint32_t absolute_difference(const std::uint8_t* row, const std::uint8_t* query,
                                  std::size_t stride) {
    std::uint32_t sum = 0;
    for (std::size_t j = 0; j < stride; ++j) {
        const int difference = int(row[j]) - int(query[j]);
        sum += std::uint32_t(difference < 0 ? -difference : difference);
    }
    return sum;
}

std::uint64_t load_word(const std::uint8_t* bytes) {
    std::uint64_t word;
    __builtin_memcpy(&word, bytes, sizeof word);
    return word;
}

std::uint32_t differing(const std::uint8_t* row, const std::uint8_t* query, std::size_t stride) {
    std::uint32_t sum = 0;
    for (std::size_t j = 0; j < stride; j += 8)
        sum += std::uint32_t(__builtin_popcountll(load_word(row + j) ^ load_word(query + j)));
    return sum;
}

std::uint32_t squared_difference(const std::uint8_t* row, const std::uint8_t* query,
                                 std::size_t stride) {
    std::uint32_t sum = 0;
    for (std::size_t j = 0; j < stride; ++j) {
        const int difference = int(row[j]) - int(query[j]);
        sum += std::uint32_t(difference * difference);
    }
    return sum;
}

template <typename T>
T square_term(T x, T y) {
    return (x - y) * (x - y);
}

template <typename T>
T absolute_term(T x, T y) {
    return x < y ? y - x : x - y;
}

template <typename T>
T product_term(T x, T y) {
    return x * y;
}

// The sum of all terms in `lanes` lanes, as kernels.h defines it.
template <typename T, std::size_t lanes, T (*term)(T, T)>
T lane_sum(const float* x, const float* y, std::size_t count) {
    T sums[lanes] = {};
    for (std::size_t j = 0; j < count; j += lanes)
        for (std::size_t i = 0; i < lanes; ++i) sums[i] += term(T(x[j + i]), T(y[j + i]));
    for (std::size_t half = lanes / 2; half > 0; half /= 2)
        for (std::size_t i = 0; i < half; ++i) sums[i] += sums[i + half];
    return sums[0];
}

template <double (*term)(double, double)>
double double_sum(const float* x, const float* y, std::size_t count) {
    return lane_sum<double, 8, term>(x, y, count);
}

Products sums_of_products(const float* x, const float* y, std::size_t count) {
    return {double_sum<product_term<double>>(x, y, count),
            double_sum<product_term<double>>(x, x, count)};
}

std::uint32_t bits_of(float value) {
    std::uint32_t bits;
    __builtin_memcpy(&bits, &value, sizeof bits);
    return bits;
}

const float* floats_at(const std::uint8_t* bytes) {
    return reinterpret_cast<const float*>(bytes);
}

template <float (*term)(float, float)>
std::uint32_t float_sum(const std::uint8_t* row, const std::uint8_t* query, std::size_t stride) {
    return bits_of(lane_sum<float, 16, term>(floats_at(row), floats_at(query), stride / 4));
}

std::uint32_t angle(const std::uint8_t* row, const std::uint8_t* query, std::size_t stride) {
    const float* x = floats_at(row);
    const float product = lane_sum<float, 16, product_term<float>>(x, floats_at(query), stride / 4);
    const float distance = 1.0f - product * x[stride / 4 - 1];
    return bits_of(distance > 0.0f ? distance : 0.0f);
}

using Distance = std::uint32_t (*)(const std::uint8_t* row, const std::uint8_t* query,
                                   std::size_t stride);

template <Distance distance>
void each(const std::uint8_t* rows, std::size_t stride, std::size_t count,
          const std::uint8_t* query, std::uint32_t* distances) {
    for (std::size_t i = 0; i < count; ++i)
        distances[i] = distance(rows + i * stride, query, stride);
}

template <Distance distance>
void each_at(const std::uint8_t* rows, std::size_t stride, const std::uint32_t* slots,
             std::size_t count, const std::uint8_t* query, std::uint32_t* distances) {
    for (std::size_t i = 0; i < count; ++i)
        distances[i] = distance(rows + slots[i] * stride, query, stride);
}

void squared_differences_of_several(const std::uint8_t* rows, std::size_t stride, std::size_t count,
                                    const std::uint8_t* queries, std::uint32_t* distances) {
    for (std::size_t q = 0; q < queries_at_once; ++q)
        each<squared_difference>(rows, stride, count, queries + q * stride, distances + q * count);
}

void differing_bits_of_several(const std::uint8_t* rows, std::size_t stride, std::size_t count,
                               const std::uint8_t* queries, std::uint32_t* distances) {
    for (std::size_t q = 0; q < queries_at_once; ++q)
        each<differing>(rows, stride, count, queries + q * stride, distances + q * count);
}

std::size_t positions_below(const std::uint32_t* values, std::size_t count, std::uint32_t limit,
                            std::uint32_t* positions) {
    std::size_t kept = 0;
    for (std::size_t i = 0; i < count; ++i) {
        positions[kept] = std::uint32_t(i);
        kept += values[i] < limit;
    }
    return kept;
}

void bounding_differences(const std::uint8_t* rows, std::size_t stride, std::size_t count,
                          const std::uint8_t* query, std::uint16_t* bounds) {
    for (std::size_t i = 0; i < count; ++i) {
        const std::uint32_t sum = absolute_difference(rows + i * stride, query, stride);
        bounds[i] = std::uint16_t(sum < 65535 ? sum : 65535);
    }
}

void bounding_squares(const std::int16_t* rows, std::size_t dimensions, std::size_t count,
                      const std::int16_t* query, std::uint32_t* bounds) {
    for (std::size_t i = 0; i < count; ++i) {
        bounds[i] = 0;
        for (std::size_t j = 0; j < dimensions; ++j) {
            const int difference = rows[i * dimensions + j] - query[j];
            bounds[i] += std::uint32_t(difference * difference);
        }
    }
}

std::size_t bounds_below(const std::uint16_t* bounds, std::size_t count, std::uint16_t limit,
                         std::uint32_t* positions) {
    std::size_t kept = 0;
    for (std::size_t i = 0; i < count; ++i) {
        positions[kept] = std::uint32_t(i);
        kept += bounds[i] < limit;
    }
    return kept;
}

std::size_t least_bound(const std::uint16_t* bounds, std::size_t count) {
    std::size_t least = 0;
    for (std::size_t i = 1; i < count; ++i)
        if (bounds[i] < bounds[least]) least = i;
    return least;
}

std::size_t count_at_most(const std::uint32_t* values, std::size_t count, std::uint32_t limit) {
    std::size_t most = 0;
    for (std::size_t i = 0; i < count; ++i) most += values[i] <= limit;
    return most;
}

std::size_t least(const std::uint32_t* values, std::size_t count) {
    std::size_t place = 0;
    for (std::size_t i = 1; i < count; ++i)
        if (values[i] < values[place]) place = i;
    return place;
}

Range range(const std::uint32_t* values, std::size_t count) {
    Range ends = {values[0], values[0]};
    for (std::size_t i = 1; i < count; ++i) {
        if (values[i] < ends.least) ends.least = values[i];
        if (values[i] > ends.most) ends.most = values[i];
    }
    return ends;
}

std::size_t keep_below(std::uint32_t* values, std::uint32_t* others, std::size_t count,
                       std::uint32_t limit) {
    std::size_t kept = 0;
    for (std::size_t i = 0; i < count; ++i) {
        const std::uint32_t value = values[i];
        values[kept] = value;
        others[kept] = others[i];
        kept += value < limit;
    }
    return kept;
}

void project_bytes(const std::uint8_t* rows, std::size_t stride, std::size_t count,
                   std::size_t width, const std::int8_t* matrix, std::size_t outputs,
                   std::int32_t* sums) {
    for (std::size_t i = 0; i < count; ++i, rows += stride, sums += outputs) {
        for (std::size_t k = 0; k < outputs; ++k) sums[k] = 0;
        for (std::size_t j = 0; j < width; j += 4) {
            const std::int8_t* four = matrix + j * outputs;
            for (std::size_t k = 0; k < outputs; ++k)
                for (std::size_t b = 0; b < 4; ++b) sums[k] += int(rows[j + b]) * four[4 * k + b];
        }
    }
}

void project_floats(const float* rows, std::size_t stride, std::size_t count, std::size_t width,
                    const float* mean, const float* matrix, std::size_t outputs, float* sums) {
    for (std::size_t i = 0; i < count; ++i, rows += stride, sums += outputs) {
        for (std::size_t k = 0; k < outputs; ++k) sums[k] = 0.0f;
        for (std::size_t j = 0; j < width; ++j) {
            const float centred = rows[j] - mean[j];
            for (std::size_t k = 0; k < outputs; ++k) sums[k] += centred * matrix[j * outputs + k];
        }
    }
}

std::int32_t norm_of(const std::uint8_t* block, std::size_t lane) {
    std::int32_t norm;
    __builtin_memcpy(&norm, block + lane * sizeof norm, sizeof norm);
    return norm;
}

std::uint32_t estimate(const std::uint8_t* block, std::size_t lane, const std::int8_t* query,
                       std::size_t dimensions, unsigned shift, std::uint32_t offset) {
    std::int32_t product = 0;
    for (std::size_t j = 0; j < dimensions; j += 8) {
        const std::uint8_t* codes = block + block_vectors * (4 + j / 2) + 4 * lane;
        for (std::size_t b = 0; b < 4; ++b) {
            product += (codes[b] & 15) * query[j + b];
            product += (codes[b] >> 4) * query[j + 4 + b];
        }
    }
    return std::uint32_t(norm_of(block, lane)) + offset - (std::uint32_t(product) << shift);
}

void estimate_blocks(const std::uint8_t* blocks, std::size_t count, const std::int8_t* query,
                     std::size_t dimensions, unsigned shift, std::uint32_t offset,
                     std::uint32_t* estimates) {
    const std::size_t bytes = block_bytes(dimensions);
    for (std::size_t i = 0; i < count * block_vectors; ++i)
        estimates[i] = estimate(blocks + i / block_vectors * bytes, i % block_vectors, query,
                                dimensions, shift, offset);
}

std::size_t scan_blocks(const std::uint8_t* blocks, std::size_t count, const std::int8_t* query,
                        std::size_t dimensions, unsigned shift, std::uint32_t offset,
                        std::uint32_t limit, std::uint32_t first, std::uint32_t* estimates,
                        std::uint32_t* slots) {
    const std::size_t bytes = block_bytes(dimensions);
    std::size_t kept = 0;
    for (std::size_t i = 0; i < count * block_vectors; ++i) {
        estimates[kept] = estimate(blocks + i / block_vectors * bytes, i % block_vectors, query,
                                   dimensions, shift, offset);
        slots[kept] = std::uint32_t(first + i);
        kept += estimates[kept] < limit;
    }
    return kept;
}

const char* const features[] = {nullptr};

}  // namespace

const Kernels scalar_kernels = {
    .name = "scalar",
    .rank = 0,
    .features = features,
    .absolute_differences = each<absolute_difference>,
    .absolute_differences_at = each_at<absolute_difference>,
    .squared_differences = each<squared_difference>,
    .squared_differences_at = each_at<squared_difference>,
    .squared_differences_of_several = squared_differences_of_several,
    .differing_bits = each<differing>,
    .differing_bits_at = each_at<differing>,
    .differing_bits_of_several = differing_bits_of_several,
    .float_squares = each<float_sum<square_term<float>>>,
    .float_squares_at = each_at<float_sum<square_term<float>>>,
    .float_absolutes = each<float_sum<absolute_term<float>>>,
    .float_absolutes_at = each_at<float_sum<absolute_term<float>>>,
    .float_angles = each<angle>,
    .float_angles_at = each_at<angle>,
    .sum_of_squares = double_sum<square_term<double>>,
    .sum_of_absolutes = double_sum<absolute_term<double>>,
    .sums_of_products = sums_of_products,
    .positions_below = positions_below,
    .count_at_most = count_at_most,
    .least = least,
    .range = range,
    .keep_below = keep_below,
    .bounding_differences = bounding_differences,
    .bounding_squares = bounding_squares,
    .bounds_below = bounds_below,
    .least_bound = least_bound,
    .project_bytes = project_bytes,
    .project_floats = project_floats,
    .estimate_blocks = estimate_blocks,
    .scan_blocks = scan_blocks,
};

}  // namespace lookalike
