// The AVX2 level: 32 bytes at a time.
// level: avx2
// processors: x86_64 AMD64 amd64
// flags: -mavx2 -mbmi -mbmi2 -mpopcnt -mlzcnt
#include <immintrin.h>

#include "kernels.h"

namespace lookalike {
extern const Kernels avx2_kernels;

namespace {

__m256i load(const std::uint8_t* bytes) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(bytes));
}

__m256i load_half(const std::uint8_t* bytes) {  // 16 bytes, upper half zero
    return _mm256_zextsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes)));
}

// Four 64-bit partial sums of |row - query|.
__m256i absolute_difference(const std::uint8_t* row, const std::uint8_t* query,
                            std::size_t stride) {
    __m256i sum = _mm256_setzero_si256();
    std::size_t j = 0;
    for (; j + 32 <= stride; j += 32)
        sum = _mm256_add_epi64(sum, _mm256_sad_epu8(load(row + j), load(query + j)));
    if (j < stride)
        sum = _mm256_add_epi64(sum, _mm256_sad_epu8(load_half(row + j), load_half(query + j)));
    return sum;
}

// Lane sums of four vectors whose 64-bit lanes all stay below 2^32.
__m128i lane_sums(__m256i a, __m256i b, __m256i c, __m256i d) {
    const __m256i ab = _mm256_or_si256(a, _mm256_slli_epi64(b, 32));
    const __m256i cd = _mm256_or_si256(c, _mm256_slli_epi64(d, 32));
    const __m256i sums =
        _mm256_add_epi32(_mm256_unpacklo_epi64(ab, cd), _mm256_unpackhi_epi64(ab, cd));
    return _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
}

std::uint32_t lane_sum(__m256i sums) {
    const __m128i halves =
        _mm_add_epi64(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
    return std::uint32_t(_mm_cvtsi128_si32(halves) + _mm_extract_epi32(halves, 2));
}

// Distances of four neighbouring rows: each vector of the query is loaded once for them.
inline __attribute__((always_inline)) __m128i four_rows(const std::uint8_t* row,
                                                        const std::uint8_t* query,
                                                        std::size_t stride) {
    __m256i a = _mm256_setzero_si256(), b = a, c = a, d = a;
    std::size_t j = 0;
    for (; j + 32 <= stride; j += 32, row += 32) {
        const __m256i q = load(query + j);
        a = _mm256_add_epi64(a, _mm256_sad_epu8(load(row), q));
        b = _mm256_add_epi64(b, _mm256_sad_epu8(load(row + stride), q));
        c = _mm256_add_epi64(c, _mm256_sad_epu8(load(row + 2 * stride), q));
        d = _mm256_add_epi64(d, _mm256_sad_epu8(load(row + 3 * stride), q));
    }
    if (j < stride) {
        const __m256i q = load_half(query + j);
        a = _mm256_add_epi64(a, _mm256_sad_epu8(load_half(row), q));
        b = _mm256_add_epi64(b, _mm256_sad_epu8(load_half(row + stride), q));
        c = _mm256_add_epi64(c, _mm256_sad_epu8(load_half(row + 2 * stride), q));
        d = _mm256_add_epi64(d, _mm256_sad_epu8(load_half(row + 3 * stride), q));
    }
    return lane_sums(a, b, c, d);
}

// Inlined with a constant stride, the query stays in registers.
inline __attribute__((always_inline)) void absolute_differences_of(const std::uint8_t* rows,
                                                                   std::size_t stride,
                                                                   std::size_t count,
                                                                   const std::uint8_t* query,
                                                                   std::uint32_t* distances) {
    std::size_t i = 0;
    for (; i + 4 <= count; i += 4)
        _mm_storeu_si128(reinterpret_cast<__m128i*>(distances + i),
                         four_rows(rows + i * stride, query, stride));
    for (; i < count; ++i)
        distances[i] = lane_sum(absolute_difference(rows + i * stride, query, stride));
}

void absolute_differences(const std::uint8_t* rows, std::size_t stride, std::size_t count,
                          const std::uint8_t* query, std::uint32_t* distances) {
    if (stride == 64) return absolute_differences_of(rows, 64, count, query, distances);
    absolute_differences_of(rows, stride, count, query, distances);
}

// How many rows ahead to ask for: about 1 KiB, so that the loads arrive in time.
std::size_t prefetch_distance(std::size_t stride) {
    const std::size_t rows = 1024 / stride;
    return rows < 4 ? 4 : rows > 24 ? 24 : rows;
}

void prefetch_row(const std::uint8_t* row, std::size_t stride) {
    for (std::size_t j = 0; j < stride && j < 2048; j += 64)
        _mm_prefetch(reinterpret_cast<const char*>(row + j), _MM_HINT_T0);
}

void absolute_differences_at(const std::uint8_t* rows, std::size_t stride,
                             const std::uint32_t* slots, std::size_t count,
                             const std::uint8_t* query, std::uint32_t* distances) {
    const std::size_t ahead = prefetch_distance(stride);
    std::size_t i = 0;
    for (; i + 4 <= count; i += 4) {
        __m256i sums[4];
        for (std::size_t j = 0; j < 4; ++j) {
            if (i + j + ahead < count) prefetch_row(rows + slots[i + j + ahead] * stride, stride);
            sums[j] = absolute_difference(rows + slots[i + j] * stride, query, stride);
        }
        _mm_storeu_si128(reinterpret_cast<__m128i*>(distances + i),
                         lane_sums(sums[0], sums[1], sums[2], sums[3]));
    }
    for (; i < count; ++i)
        distances[i] = lane_sum(absolute_difference(rows + slots[i] * stride, query, stride));
}

std::uint64_t load_word(const std::uint8_t* bytes) {
    std::uint64_t word;
    __builtin_memcpy(&word, bytes, sizeof word);
    return word;
}

// The popcnt instruction on 64-bit words: as fast as table look-ups in vectors up to
// about 512 bits a row, and simpler.
std::uint32_t differing(const std::uint8_t* row, const std::uint8_t* query, std::size_t stride) {
    std::uint64_t sum = 0;
    for (std::size_t j = 0; j < stride; j += 8)
        sum += std::uint64_t(_mm_popcnt_u64(load_word(row + j) ^ load_word(query + j)));
    return std::uint32_t(sum);
}

void differing_bits(const std::uint8_t* rows, std::size_t stride, std::size_t count,
                    const std::uint8_t* query, std::uint32_t* distances) {
    if (stride == 32) {  // 256-bit perceptual hashes: let the compiler unroll
        for (std::size_t i = 0; i < count; ++i) distances[i] = differing(rows + i * 32, query, 32);
        return;
    }
    for (std::size_t i = 0; i < count; ++i)
        distances[i] = differing(rows + i * stride, query, stride);
}

void differing_bits_at(const std::uint8_t* rows, std::size_t stride, const std::uint32_t* slots,
                       std::size_t count, const std::uint8_t* query, std::uint32_t* distances) {
    const std::size_t ahead = prefetch_distance(stride);
    for (std::size_t i = 0; i < count; ++i) {
        if (i + ahead < count) prefetch_row(rows + slots[i + ahead] * stride, stride);
        distances[i] = differing(rows + slots[i] * stride, query, stride);
    }
}

__m256i load_values(const std::uint32_t* values) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(values));
}

// Writes the numbers of the set bits, counted from `first`; returns the end of what is kept.
// AVX2 has no compress: 64 comparisons are gathered in a word, whose bits are then taken off,
// four at a time, whether they are there or not: how many there are cannot be predicted.
std::size_t append_bits(std::uint64_t word, std::size_t first, std::uint32_t* positions,
                        std::size_t kept) {
    if (word == 0) return kept;
    const std::size_t end = kept + std::size_t(_mm_popcnt_u64(word));
    for (; kept < end; kept += 4) {
        for (std::size_t j = 0; j < 4; ++j, word = _blsr_u64(word))
            positions[kept + j] = std::uint32_t(first + std::size_t(_tzcnt_u64(word)));
    }
    return end;
}

std::size_t positions_below(const std::uint32_t* values, std::size_t count, std::uint32_t limit,
                            std::uint32_t* positions) {
    if (limit == 0) return 0;
    const __m256i most = _mm256_set1_epi32(int(limit - 1));
    std::size_t kept = 0, i = 0;
    for (; i + 64 <= count; i += 64) {
        std::uint64_t hits = 0;
        for (unsigned j = 0; j < 64; j += 8) {
            const __m256i v = load_values(values + i + j);
            // AVX2 has no unsigned comparison: v <= most exactly when min(v, most) == v.
            const __m256i below = _mm256_cmpeq_epi32(_mm256_min_epu32(v, most), v);
            hits |= std::uint64_t(unsigned(_mm256_movemask_ps(_mm256_castsi256_ps(below)))) << j;
        }
        kept = append_bits(hits, i, positions, kept);
    }
    for (; i < count; ++i) {
        positions[kept] = std::uint32_t(i);
        kept += values[i] < limit;
    }
    return kept;
}

// Rows of exactly 16 bytes: two rows a vector, sixteen rows a step. A row's two partial sums
// are at most 8 * 255, so they can be packed to 16 bits and added in pairs.
void bounding_differences_16(const std::uint8_t* rows, std::size_t count, const std::uint8_t* query,
                             std::uint16_t* bounds) {
    const __m256i twice =
        _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(query)));
    const __m256i order = _mm256_setr_epi8(0, 1, 8, 9, 2, 3, 10, 11, 4, 5, 12, 13, 6, 7, 14, 15, 0,
                                           1, 8, 9, 2, 3, 10, 11, 4, 5, 12, 13, 6, 7, 14, 15);
    const auto eight_rows = [&](const std::uint8_t* row) {  // 0 2 4 6 | 1 3 5 7, 32 bits each
        const __m256i ab = _mm256_packus_epi32(_mm256_sad_epu8(load(row), twice),
                                               _mm256_sad_epu8(load(row + 32), twice));
        const __m256i cd = _mm256_packus_epi32(_mm256_sad_epu8(load(row + 64), twice),
                                               _mm256_sad_epu8(load(row + 96), twice));
        const __m256i partial = _mm256_packus_epi32(ab, cd);
        // Not vpmaddwd: it would wait for the unit that vpsadbw keeps busy.
        return _mm256_srli_epi32(_mm256_add_epi16(partial, _mm256_slli_epi32(partial, 16)), 16);
    };
    std::size_t i = 0;
    for (; i + 16 <= count; i += 16) {
        // Halves: 0 2 4 6 8 10 12 14 and 1 3 5 ... 15. Exchanging quarters and shuffling bytes
        // brings them in order.
        const __m256i halves =
            _mm256_packus_epi32(eight_rows(rows + 16 * i), eight_rows(rows + 16 * i + 128));
        const __m256i quarters = _mm256_permute4x64_epi64(halves, 0xD8);  // 0 2 1 3
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(bounds + i),
                            _mm256_shuffle_epi8(quarters, order));
    }
    for (; i < count; ++i)
        bounds[i] = std::uint16_t(lane_sum(absolute_difference(rows + 16 * i, query, 16)));
}

void bounding_differences(const std::uint8_t* rows, std::size_t stride, std::size_t count,
                          const std::uint8_t* query, std::uint16_t* bounds) {
    if (stride == 16) return bounding_differences_16(rows, count, query, bounds);
    std::size_t i = 0;
    for (; i + 4 <= count; i += 4) {
        const __m128i sums = four_rows(rows + i * stride, query, stride);
        _mm_storel_epi64(reinterpret_cast<__m128i*>(bounds + i), _mm_packus_epi32(sums, sums));
    }
    for (; i < count; ++i) {
        const std::uint32_t sum = lane_sum(absolute_difference(rows + i * stride, query, stride));
        bounds[i] = std::uint16_t(sum < 65535 ? sum : 65535);
    }
}

__m256i load_bounds(const std::uint16_t* bounds) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(bounds));
}

std::size_t bounds_below(const std::uint16_t* bounds, std::size_t count, std::uint16_t limit,
                         std::uint32_t* positions) {
    if (limit == 0) return 0;
    const __m256i most = _mm256_set1_epi16(short(limit - 1));
    const auto below = [&](const std::uint16_t* sixteen) {
        const __m256i v = load_bounds(sixteen);
        return _mm256_cmpeq_epi16(_mm256_min_epu16(v, most), v);
    };
    std::size_t kept = 0, i = 0;
    for (; i + 64 <= count; i += 64) {
        std::uint64_t hits = 0;
        for (unsigned j = 0; j < 64; j += 32) {
            const __m256i bytes = _mm256_permute4x64_epi64(
                _mm256_packs_epi16(below(bounds + i + j), below(bounds + i + j + 16)), 0xD8);
            hits |= std::uint64_t(unsigned(_mm256_movemask_epi8(bytes))) << j;
        }
        kept = append_bits(hits, i, positions, kept);
    }
    for (; i < count; ++i) {
        positions[kept] = std::uint32_t(i);
        kept += bounds[i] < limit;
    }
    return kept;
}

std::size_t least_bound(const std::uint16_t* bounds, std::size_t count) {
    std::size_t i = 0;
    std::uint16_t smallest = 65535;
    if (count >= 16) {
        __m256i minima = load_bounds(bounds);
        for (i = 16; i + 16 <= count; i += 16)
            minima = _mm256_min_epu16(minima, load_bounds(bounds + i));
        const __m128i half =
            _mm_min_epu16(_mm256_castsi256_si128(minima), _mm256_extracti128_si256(minima, 1));
        smallest = std::uint16_t(_mm_cvtsi128_si32(_mm_minpos_epu16(half)));
    }
    for (; i < count; ++i) smallest = bounds[i] < smallest ? bounds[i] : smallest;
    const __m256i wanted = _mm256_set1_epi16(short(smallest));
    for (i = 0; i + 16 <= count; i += 16) {
        const unsigned hits =
            unsigned(_mm256_movemask_epi8(_mm256_cmpeq_epi16(load_bounds(bounds + i), wanted)));
        if (hits) return i + unsigned(__builtin_ctz(hits)) / 2;
    }
    while (bounds[i] != smallest) ++i;
    return i;
}

const char* const features[] = {"avx2", "bmi", "bmi2", "popcnt", "lzcnt", nullptr};

}  // namespace

const Kernels avx2_kernels = {"avx2",
                              1,
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
