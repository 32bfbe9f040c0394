// The AVX-512 level: 64 bytes at a time, masks instead of tails.
// level: avx512
// processors: x86_64 AMD64 amd64
// flags: -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni -mavx512vbmi2 -mavx512vpopcntdq -mbmi -mbmi2 -mpopcnt -mlzcnt -Wno-unknown-warning-option -Wno-uninitialized -Wno-maybe-uninitialized
#ifdef LOOKALIKE_EMULATE  // to test this file on a CPU without AVX-512 (see .ci/emulate)
#include "emulate_avx512.h"
#else
#include <immintrin.h>
#endif

#include "kernels.h"

namespace lookalike {
extern const Kernels avx512_kernels;

namespace {

__mmask64 tail_mask(std::size_t bytes) {
    return ~__mmask64(0) >> (64 - bytes);
}

// Eight 64-bit partial sums of |row - query|.
__m512i absolute_difference(const std::uint8_t* row, const std::uint8_t* query,
                            std::size_t stride) {
    __m512i sum = _mm512_setzero_si512();
    std::size_t j = 0;
    for (; j + 64 <= stride; j += 64)
        sum = _mm512_add_epi64(
            sum, _mm512_sad_epu8(_mm512_loadu_si512(row + j), _mm512_loadu_si512(query + j)));
    if (j < stride) {
        const __mmask64 tail = tail_mask(stride - j);
        sum = _mm512_add_epi64(sum, _mm512_sad_epu8(_mm512_maskz_loadu_epi8(tail, row + j),
                                                    _mm512_maskz_loadu_epi8(tail, query + j)));
    }
    return sum;
}

__m256i fold(__m512i sums) {  // eight 64-bit lanes to four
    return _mm256_add_epi64(_mm512_castsi512_si256(sums), _mm512_extracti64x4_epi64(sums, 1));
}

// Lane sums of four vectors whose 64-bit lanes all stay below 2^32.
__m128i lane_sums(__m256i a, __m256i b, __m256i c, __m256i d) {
    const __m256i ab = _mm256_or_si256(a, _mm256_slli_epi64(b, 32));
    const __m256i cd = _mm256_or_si256(c, _mm256_slli_epi64(d, 32));
    const __m256i sums =
        _mm256_add_epi32(_mm256_unpacklo_epi64(ab, cd), _mm256_unpackhi_epi64(ab, cd));
    return _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
}

std::uint32_t lane_sum(__m512i sums) {
    const __m256i four = fold(sums);
    const __m128i two =
        _mm_add_epi64(_mm256_castsi256_si128(four), _mm256_extracti128_si256(four, 1));
    return std::uint32_t(_mm_cvtsi128_si32(two) + _mm_extract_epi32(two, 2));
}

void absolute_differences(const std::uint8_t* rows, std::size_t stride, std::size_t count,
                          const std::uint8_t* query, std::uint32_t* distances) {
    std::size_t i = 0;
    for (; i + 4 <= count; i += 4) {
        const std::uint8_t* row = rows + i * stride;
        const __m128i sums = lane_sums(fold(absolute_difference(row, query, stride)),
                                       fold(absolute_difference(row + stride, query, stride)),
                                       fold(absolute_difference(row + 2 * stride, query, stride)),
                                       fold(absolute_difference(row + 3 * stride, query, stride)));
        _mm_storeu_si128(reinterpret_cast<__m128i*>(distances + i), sums);
    }
    for (; i < count; ++i)
        distances[i] = lane_sum(absolute_difference(rows + i * stride, query, stride));
}

// How many rows ahead to ask for: about 3 KiB, so that the loads arrive in time.
std::size_t prefetch_distance(std::size_t stride) {
    const std::size_t rows = 3072 / stride;
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
    for (std::size_t i = 0; i < count; ++i) {
        if (i + ahead < count) prefetch_row(rows + slots[i + ahead] * stride, stride);
        distances[i] = lane_sum(absolute_difference(rows + slots[i] * stride, query, stride));
    }
}

// Eight 64-bit counts of differing bits.
__m512i differing(const std::uint8_t* row, const std::uint8_t* query, std::size_t stride) {
    __m512i sum = _mm512_setzero_si512();
    std::size_t j = 0;
    for (; j + 64 <= stride; j += 64)
        sum =
            _mm512_add_epi64(sum, _mm512_popcnt_epi64(_mm512_xor_si512(
                                      _mm512_loadu_si512(row + j), _mm512_loadu_si512(query + j))));
    if (j < stride) {
        const __mmask8 tail = __mmask8(0xFF >> (8 - (stride - j) / 8));
        sum = _mm512_add_epi64(
            sum, _mm512_popcnt_epi64(_mm512_xor_si512(_mm512_maskz_loadu_epi64(tail, row + j),
                                                      _mm512_maskz_loadu_epi64(tail, query + j))));
    }
    return sum;
}

// Rows of exactly 32 bytes, the 256-bit perceptual hashes: two rows a vector, four a step.
void differing_bits_32(const std::uint8_t* rows, std::size_t count, const std::uint8_t* query,
                       std::uint32_t* distances) {
    const __m512i twice =
        _mm512_broadcast_i64x4(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(query)));
    std::size_t i = 0;
    for (; i + 4 <= count; i += 4) {
        const __m512i ab =
            _mm512_popcnt_epi64(_mm512_xor_si512(_mm512_loadu_si512(rows + 32 * i), twice));
        const __m512i cd =
            _mm512_popcnt_epi64(_mm512_xor_si512(_mm512_loadu_si512(rows + 32 * i + 64), twice));
        _mm_storeu_si128(reinterpret_cast<__m128i*>(distances + i),
                         lane_sums(_mm512_castsi512_si256(ab), _mm512_extracti64x4_epi64(ab, 1),
                                   _mm512_castsi512_si256(cd), _mm512_extracti64x4_epi64(cd, 1)));
    }
    for (; i < count; ++i) distances[i] = lane_sum(differing(rows + 32 * i, query, 32));
}

void differing_bits(const std::uint8_t* rows, std::size_t stride, std::size_t count,
                    const std::uint8_t* query, std::uint32_t* distances) {
    if (stride == 32) return differing_bits_32(rows, count, query, distances);
    for (std::size_t i = 0; i < count; ++i)
        distances[i] = lane_sum(differing(rows + i * stride, query, stride));
}

void differing_bits_at(const std::uint8_t* rows, std::size_t stride, const std::uint32_t* slots,
                       std::size_t count, const std::uint8_t* query, std::uint32_t* distances) {
    const std::size_t ahead = prefetch_distance(stride);
    for (std::size_t i = 0; i < count; ++i) {
        if (i + ahead < count) prefetch_row(rows + slots[i + ahead] * stride, stride);
        distances[i] = lane_sum(differing(rows + slots[i] * stride, query, stride));
    }
}

std::size_t positions_below(const std::uint32_t* values, std::size_t count, std::uint32_t limit,
                            std::uint32_t* positions) {
    const __m512i limits = _mm512_set1_epi32(int(limit));
    __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    std::size_t kept = 0;
    for (std::size_t i = 0; i < count; i += 16) {
        const __mmask16 present =
            count - i >= 16 ? __mmask16(0xFFFF) : __mmask16(0xFFFF >> (16 - (count - i)));
        const __mmask16 below = _mm512_mask_cmplt_epu32_mask(
            present, _mm512_maskz_loadu_epi32(present, values + i), limits);
        if (below) {  // compress in the register: compressing to memory is slow on Zen 4
            _mm512_storeu_si512(positions + kept, _mm512_maskz_compress_epi32(below, lanes));
            kept += unsigned(__builtin_popcount(below));
        }
        lanes = _mm512_add_epi32(lanes, _mm512_set1_epi32(16));
    }
    return kept;
}

// Rows of exactly 16 bytes: four rows a vector, eight rows a step.
void bounding_differences_16(const std::uint8_t* rows, std::size_t count, const std::uint8_t* query,
                             std::uint16_t* bounds) {
    const __m512i fourfold =
        _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(query)));
    // Two partial sums a row: even 64-bit lanes and odd ones, rows 0..3 and 4..7.
    const __m512i even = _mm512_setr_epi64(0, 2, 4, 6, 8, 10, 12, 14);
    const __m512i odd = _mm512_setr_epi64(1, 3, 5, 7, 9, 11, 13, 15);
    std::size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        const __m512i a = _mm512_sad_epu8(_mm512_loadu_si512(rows + 16 * i), fourfold);
        const __m512i b = _mm512_sad_epu8(_mm512_loadu_si512(rows + 16 * i + 64), fourfold);
        const __m512i sums = _mm512_add_epi64(_mm512_permutex2var_epi64(a, even, b),
                                              _mm512_permutex2var_epi64(a, odd, b));
        _mm_storeu_si128(reinterpret_cast<__m128i*>(bounds + i), _mm512_cvtepi64_epi16(sums));
    }
    for (; i < count; ++i)
        bounds[i] = std::uint16_t(lane_sum(absolute_difference(rows + 16 * i, query, 16)));
}

void bounding_differences(const std::uint8_t* rows, std::size_t stride, std::size_t count,
                          const std::uint8_t* query, std::uint16_t* bounds) {
    if (stride == 16) return bounding_differences_16(rows, count, query, bounds);
    std::size_t i = 0;
    for (; i + 4 <= count; i += 4) {
        const std::uint8_t* row = rows + i * stride;
        const __m128i sums = lane_sums(fold(absolute_difference(row, query, stride)),
                                       fold(absolute_difference(row + stride, query, stride)),
                                       fold(absolute_difference(row + 2 * stride, query, stride)),
                                       fold(absolute_difference(row + 3 * stride, query, stride)));
        _mm_storel_epi64(reinterpret_cast<__m128i*>(bounds + i), _mm_packus_epi32(sums, sums));
    }
    for (; i < count; ++i) {
        const std::uint32_t sum = lane_sum(absolute_difference(rows + i * stride, query, stride));
        bounds[i] = std::uint16_t(sum < 65535 ? sum : 65535);
    }
}

__mmask32 present_lanes(std::size_t count) {
    return count >= 32 ? __mmask32(0xFFFFFFFF) : __mmask32(0xFFFFFFFF >> (32 - count));
}

std::size_t bounds_below(const std::uint16_t* bounds, std::size_t count, std::uint16_t limit,
                         std::uint32_t* positions) {
    const __m512i limits = _mm512_set1_epi16(short(limit));
    const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    std::size_t kept = 0;
    for (std::size_t i = 0; i < count; i += 32) {
        const __mmask32 present = present_lanes(count - i);
        const __mmask32 below = _mm512_mask_cmplt_epu16_mask(
            present, _mm512_maskz_loadu_epi16(present, bounds + i), limits);
        const __mmask16 low = __mmask16(below), high = __mmask16(below >> 16);
        if (low) {  // compress in the register: compressing to memory is slow on Zen 4
            _mm512_storeu_si512(positions + kept,
                                _mm512_maskz_compress_epi32(
                                    low, _mm512_add_epi32(lanes, _mm512_set1_epi32(int(i)))));
            kept += unsigned(__builtin_popcount(low));
        }
        if (high) {
            _mm512_storeu_si512(positions + kept,
                                _mm512_maskz_compress_epi32(
                                    high, _mm512_add_epi32(lanes, _mm512_set1_epi32(int(i + 16)))));
            kept += unsigned(__builtin_popcount(high));
        }
    }
    return kept;
}

std::size_t least_bound(const std::uint16_t* bounds, std::size_t count) {
    const __m512i most = _mm512_set1_epi16(-1);
    __m512i minima = most;
    for (std::size_t i = 0; i < count; i += 32)
        minima = _mm512_min_epu16(
            minima, _mm512_mask_loadu_epi16(most, present_lanes(count - i), bounds + i));
    const __m256i half =
        _mm256_min_epu16(_mm512_castsi512_si256(minima), _mm512_extracti64x4_epi64(minima, 1));
    const __m128i quarter =
        _mm_min_epu16(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
    const std::uint16_t smallest = std::uint16_t(_mm_cvtsi128_si32(_mm_minpos_epu16(quarter)));
    const __m512i wanted = _mm512_set1_epi16(short(smallest));
    for (std::size_t i = 0;; i += 32) {
        const __mmask32 present = present_lanes(count - i);
        const __mmask32 hits = _mm512_mask_cmpeq_epu16_mask(
            present, _mm512_maskz_loadu_epi16(present, bounds + i), wanted);
        if (hits) return i + unsigned(__builtin_ctz(hits));
    }
}

#ifdef LOOKALIKE_EMULATE
const char* const features[] = {"avx2", "popcnt", nullptr};
#else
const char* const features[] = {"avx512f",    "avx512bw",    "avx512dq",        "avx512vl",
                                "avx512vnni", "avx512vbmi2", "avx512vpopcntdq", "bmi",
                                "bmi2",       "popcnt",      "lzcnt",           nullptr};
#endif

}  // namespace

const Kernels avx512_kernels = {"avx512",
                                2,
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
