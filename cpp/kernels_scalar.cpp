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

void absolute_differences(const std::uint8_t* rows, std::size_t stride, std::size_t count,
                          const std::uint8_t* query, std::uint32_t* distances) {
    for (std::size_t i = 0; i < count; ++i)
        distances[i] = absolute_difference(rows + i * stride, query, stride);
}

void absolute_differences_at(const std::uint8_t* rows, std::size_t stride,
                             const std::uint32_t* slots, std::size_t count,
                             const std::uint8_t* query, std::uint32_t* distances) {
    for (std::size_t i = 0; i < count; ++i)
        distances[i] = absolute_difference(rows + slots[i] * stride, query, stride);
}

void differing_bits(const std::uint8_t* rows, std::size_t stride, std::size_t count,
                    const std::uint8_t* query, std::uint32_t* distances) {
    for (std::size_t i = 0; i < count; ++i)
        distances[i] = differing(rows + i * stride, query, stride);
}

void differing_bits_at(const std::uint8_t* rows, std::size_t stride, const std::uint32_t* slots,
                       std::size_t count, const std::uint8_t* query, std::uint32_t* distances) {
    for (std::size_t i = 0; i < count; ++i)
        distances[i] = differing(rows + slots[i] * stride, query, stride);
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

const char* const features[] = {nullptr};

}  // namespace

const Kernels scalar_kernels = {"scalar",
                                0,
                                features,
                                absolute_differences,
                                absolute_differences_at,
                                differing_bits,
                                differing_bits_at,
                                positions_below,
                                bounding_differences,
                                bounds_below,
                                least_bound};

}  // namespace lookalike
