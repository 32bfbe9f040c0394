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

// How many rows ahead to ask for: about 6 KiB, so that the loads arrive in time.
std::size_t prefetch_distance(std::size_t stride) {
    const std::size_t rows = 6144 / stride;
    return rows < 4 ? 4 : rows > 24 ? 24 : rows;
}

// Into the second cache only: the first has too few misses under way at a time for so many lines,
// and a row that waits there costs little more (Zen 4: a seventh of a search).
void prefetch_row(const std::uint8_t* row, std::size_t stride) {
    for (std::size_t j = 0; j < stride && j < 2048; j += 64)
        _mm_prefetch(reinterpret_cast<const char*>(row + j), _MM_HINT_T1);
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

// Sums of squares of 32 differences, in eight 32-bit lanes. The query has been widened to 16 bits
// once, in the order in which a row's bytes are unpacked: q[0] belongs to the lower ones.
__m256i square_differences(__m256i x, const __m256i* q) {
    const __m256i zero = _mm256_setzero_si256();
    const __m256i low = _mm256_sub_epi16(_mm256_unpacklo_epi8(x, zero), _mm256_load_si256(q));
    const __m256i high = _mm256_sub_epi16(_mm256_unpackhi_epi8(x, zero), _mm256_load_si256(q + 1));
    return _mm256_add_epi32(_mm256_madd_epi16(low, low), _mm256_madd_epi16(high, high));
}

__m256i squared_difference(const std::uint8_t* row, const __m256i* query, std::size_t stride) {
    __m256i a = _mm256_setzero_si256(), b = a;
    std::size_t j = 0;
    for (; j + 64 <= stride; j += 64, query += 4) {
        a = _mm256_add_epi32(a, square_differences(load(row + j), query));
        b = _mm256_add_epi32(b, square_differences(load(row + j + 32), query + 2));
    }
    if (j + 32 <= stride) {
        a = _mm256_add_epi32(a, square_differences(load(row + j), query));
        j += 32;
        query += 2;
    }
    if (j < stride) b = _mm256_add_epi32(b, square_differences(load_half(row + j), query));
    return _mm256_add_epi32(a, b);
}

std::uint32_t sum_of_eight(__m256i sums) {
    const __m128i four =
        _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
    const __m128i two = _mm_add_epi32(four, _mm_unpackhi_epi64(four, four));
    return std::uint32_t(_mm_cvtsi128_si32(two) + _mm_extract_epi32(two, 1));
}

// Longer rows are compared a piece at a time, so that the widened query has a fixed place.
constexpr std::size_t widened_bytes = 4096;

struct WideQuery {
    alignas(32) __m256i halves[widened_bytes / 16];

    WideQuery(const std::uint8_t* query, std::size_t bytes) {
        const __m256i zero = _mm256_setzero_si256();
        for (std::size_t j = 0; j < bytes; j += 32) {
            const __m256i q = j + 32 <= bytes ? load(query + j) : load_half(query + j);
            halves[j / 16] = _mm256_unpacklo_epi8(q, zero);
            halves[j / 16 + 1] = _mm256_unpackhi_epi8(q, zero);
        }
    }
};

// Calls compare(piece of the query, where it begins, its bytes), the first time with 0.
template <typename Compare>
void by_pieces(const std::uint8_t* query, std::size_t stride, Compare compare) {
    for (std::size_t first = 0; first < stride; first += widened_bytes) {
        const std::size_t bytes = stride - first < widened_bytes ? stride - first : widened_bytes;
        compare(WideQuery(query + first, bytes), first, bytes);
    }
}

void squared_differences(const std::uint8_t* rows, std::size_t stride, std::size_t count,
                         const std::uint8_t* query, std::uint32_t* distances) {
    by_pieces(query, stride, [=](const WideQuery& q, std::size_t first, std::size_t bytes) {
        for (std::size_t i = 0; i < count; ++i) {
            const __m256i sums = squared_difference(rows + i * stride + first, q.halves, bytes);
            distances[i] = (first == 0 ? 0 : distances[i]) + sum_of_eight(sums);
        }
    });
}

// |x|^2 - 2 <x, q> + |q|^2, a piece of all queries at a time.
constexpr std::size_t several_bytes = 512;

struct WideQueries {
    alignas(32) __m256i halves[queries_at_once][several_bytes / 16];
    std::uint32_t squares[queries_at_once];

    WideQueries(const std::uint8_t* queries, std::size_t stride, std::size_t bytes) {
        const __m256i zero = _mm256_setzero_si256();
        for (std::size_t k = 0; k < queries_at_once; ++k) {
            __m256i sums = zero;
            for (std::size_t j = 0; j < bytes; j += 32) {
                const std::uint8_t* at = queries + k * stride + j;
                const __m256i q = j + 32 <= bytes ? load(at) : load_half(at);
                const __m256i low = _mm256_unpacklo_epi8(q, zero);
                const __m256i high = _mm256_unpackhi_epi8(q, zero);
                halves[k][j / 16] = low;
                halves[k][j / 16 + 1] = high;
                sums = _mm256_add_epi32(sums, _mm256_add_epi32(_mm256_madd_epi16(low, low),
                                                               _mm256_madd_epi16(high, high)));
            }
            squares[k] = sum_of_eight(sums);
        }
    }
};

void squared_differences_of_several(const std::uint8_t* rows, std::size_t stride, std::size_t count,
                                    const std::uint8_t* queries, std::uint32_t* distances) {
    const __m256i zero = _mm256_setzero_si256();
    for (std::size_t first = 0; first < stride; first += several_bytes) {
        const std::size_t bytes = stride - first < several_bytes ? stride - first : several_bytes;
        const WideQueries wide(queries + first, stride, bytes);
        for (std::size_t i = 0; i < count; ++i) {
            const std::uint8_t* row = rows + i * stride + first;
            __m256i products[queries_at_once], squares = zero;
            for (__m256i& sums : products) sums = zero;
            for (std::size_t j = 0; j < bytes; j += 32) {
                const __m256i x = j + 32 <= bytes ? load(row + j) : load_half(row + j);
                const __m256i low = _mm256_unpacklo_epi8(x, zero);
                const __m256i high = _mm256_unpackhi_epi8(x, zero);
                squares = _mm256_add_epi32(
                    squares,
                    _mm256_add_epi32(_mm256_madd_epi16(low, low), _mm256_madd_epi16(high, high)));
                for (std::size_t k = 0; k < queries_at_once; ++k) {
                    const __m256i* q = wide.halves[k] + j / 16;
                    products[k] = _mm256_add_epi32(products[k],
                                                   _mm256_add_epi32(_mm256_madd_epi16(low, q[0]),
                                                                    _mm256_madd_epi16(high, q[1])));
                }
            }
            for (std::size_t k = 0; k < queries_at_once; ++k) {
                const __m256i twice = _mm256_add_epi32(products[k], products[k]);
                std::uint32_t& distance = distances[k * count + i];
                distance = (first == 0 ? 0 : distance) + wide.squares[k] +
                           sum_of_eight(_mm256_sub_epi32(squares, twice));
            }
        }
    }
}

void squared_differences_at(const std::uint8_t* rows, std::size_t stride,
                            const std::uint32_t* slots, std::size_t count,
                            const std::uint8_t* query, std::uint32_t* distances) {
    const std::size_t ahead = prefetch_distance(stride);
    by_pieces(query, stride, [=](const WideQuery& q, std::size_t first, std::size_t bytes) {
        for (std::size_t i = 0; i < ahead && i < count; ++i)
            prefetch_row(rows + slots[i] * stride + first, bytes);
        for (std::size_t i = 0; i < count; ++i) {
            if (i + ahead < count) prefetch_row(rows + slots[i + ahead] * stride + first, bytes);
            const __m256i sums =
                squared_difference(rows + slots[i] * stride + first, q.halves, bytes);
            distances[i] = (first == 0 ? 0 : distances[i]) + sum_of_eight(sums);
        }
    });
}

// The terms of a sum of floats; the same names for four doubles.
struct Square {
    static __m256 of(__m256 x, __m256 y) {
        const __m256 difference = _mm256_sub_ps(x, y);
        return _mm256_mul_ps(difference, difference);
    }
    static __m256d of(__m256d x, __m256d y) {
        const __m256d difference = _mm256_sub_pd(x, y);
        return _mm256_mul_pd(difference, difference);
    }
};

struct Absolute {
    static __m256 of(__m256 x, __m256 y) {
        return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), _mm256_sub_ps(x, y));
    }
    static __m256d of(__m256d x, __m256d y) {
        return _mm256_andnot_pd(_mm256_set1_pd(-0.0), _mm256_sub_pd(x, y));
    }
};

struct Product {
    static __m256 of(__m256 x, __m256 y) { return _mm256_mul_ps(x, y); }
};

// Lanes i and i + 2, then 0 and 1.
float fold(__m128 four) {
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

double fold(__m256d four) {
    const __m128d two = _mm_add_pd(_mm256_castpd256_pd128(four), _mm256_extractf128_pd(four, 1));
    return _mm_cvtsd_f64(two) + _mm_cvtsd_f64(_mm_unpackhi_pd(two, two));
}

// The sum of all terms in the 16 lanes of kernels.h: `low` holds lanes 0 to 7.
template <typename Term>
inline __attribute__((always_inline)) float float_sum(const float* x, const float* y,
                                                      std::size_t count) {
    __m256 low = _mm256_setzero_ps(), high = low;
    for (std::size_t j = 0; j < count; j += 16) {
        low = _mm256_add_ps(low, Term::of(_mm256_loadu_ps(x + j), _mm256_loadu_ps(y + j)));
        high =
            _mm256_add_ps(high, Term::of(_mm256_loadu_ps(x + j + 8), _mm256_loadu_ps(y + j + 8)));
    }
    const __m256 eight = _mm256_add_ps(low, high);
    return fold(_mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1)));
}

template <typename Term>
double double_sum(const float* x, const float* y, std::size_t count) {
    __m256d low = _mm256_setzero_pd(), high = low;
    for (std::size_t j = 0; j < count; j += 8) {
        low = _mm256_add_pd(low, Term::of(_mm256_cvtps_pd(_mm_loadu_ps(x + j)),
                                          _mm256_cvtps_pd(_mm_loadu_ps(y + j))));
        high = _mm256_add_pd(high, Term::of(_mm256_cvtps_pd(_mm_loadu_ps(x + j + 4)),
                                            _mm256_cvtps_pd(_mm_loadu_ps(y + j + 4))));
    }
    return fold(_mm256_add_pd(low, high));
}

Products sums_of_products(const float* x, const float* y, std::size_t count) {
    __m256d mutual[2] = {_mm256_setzero_pd(), _mm256_setzero_pd()};
    __m256d own[2] = {mutual[0], mutual[0]};
    for (std::size_t j = 0; j < count; j += 8) {
        for (std::size_t h = 0; h < 2; ++h) {
            const __m256d a = _mm256_cvtps_pd(_mm_loadu_ps(x + j + 4 * h));
            const __m256d b = _mm256_cvtps_pd(_mm_loadu_ps(y + j + 4 * h));
            mutual[h] = _mm256_add_pd(mutual[h], _mm256_mul_pd(a, b));
            own[h] = _mm256_add_pd(own[h], _mm256_mul_pd(a, a));
        }
    }
    return {fold(_mm256_add_pd(mutual[0], mutual[1])), fold(_mm256_add_pd(own[0], own[1]))};
}

std::uint32_t bits_of(float value) {
    std::uint32_t bits;
    __builtin_memcpy(&bits, &value, sizeof bits);
    return bits;
}

const float* floats_at(const std::uint8_t* bytes) {
    return reinterpret_cast<const float*>(bytes);
}

template <typename Term>
struct FloatSum {
    static std::uint32_t of(const std::uint8_t* row, const std::uint8_t* query,
                            std::size_t stride) {
        return bits_of(float_sum<Term>(floats_at(row), floats_at(query), stride / 4));
    }
};

struct Angle {
    static std::uint32_t of(const std::uint8_t* row, const std::uint8_t* query,
                            std::size_t stride) {
        const float* x = floats_at(row);
        const float distance =
            1.0f - float_sum<Product>(x, floats_at(query), stride / 4) * x[stride / 4 - 1];
        return bits_of(distance > 0.0f ? distance : 0.0f);
    }
};

template <typename Distance>
void each(const std::uint8_t* rows, std::size_t stride, std::size_t count,
          const std::uint8_t* query, std::uint32_t* distances) {
    for (std::size_t i = 0; i < count; ++i)
        distances[i] = Distance::of(rows + i * stride, query, stride);
}

template <typename Distance>
void each_at(const std::uint8_t* rows, std::size_t stride, const std::uint32_t* slots,
             std::size_t count, const std::uint8_t* query, std::uint32_t* distances) {
    const std::size_t ahead = prefetch_distance(stride);
    for (std::size_t i = 0; i < ahead && i < count; ++i)
        prefetch_row(rows + slots[i] * stride, stride);
    for (std::size_t i = 0; i < count; ++i) {
        if (i + ahead < count) prefetch_row(rows + slots[i + ahead] * stride, stride);
        distances[i] = Distance::of(rows + slots[i] * stride, query, stride);
    }
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

void differing_bits_of_several(const std::uint8_t* rows, std::size_t stride, std::size_t count,
                               const std::uint8_t* queries, std::uint32_t* distances) {
    for (std::size_t q = 0; q < queries_at_once; ++q)
        differing_bits(rows, stride, count, queries + q * stride, distances + q * count);
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

std::size_t count_at_most(const std::uint32_t* values, std::size_t count, std::uint32_t limit) {
    const __m256i most = _mm256_set1_epi32(int(limit));
    __m256i counts = _mm256_setzero_si256();
    std::size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        const __m256i v = load_values(values + i);
        counts = _mm256_sub_epi32(counts, _mm256_cmpeq_epi32(_mm256_min_epu32(v, most), v));
    }
    std::size_t total = sum_of_eight(counts);
    for (; i < count; ++i) total += values[i] <= limit;
    return total;
}

std::size_t place_of(const std::uint32_t* values, std::size_t count, std::uint32_t value) {
    const __m256i wanted = _mm256_set1_epi32(int(value));
    std::size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        const __m256i equal = _mm256_cmpeq_epi32(load_values(values + i), wanted);
        const unsigned hits = unsigned(_mm256_movemask_ps(_mm256_castsi256_ps(equal)));
        if (hits) return i + unsigned(__builtin_ctz(hits));
    }
    while (values[i] != value) ++i;
    return i;
}

template <typename Choose, typename ChooseEight>
std::uint32_t extreme(const std::uint32_t* values, std::size_t count, Choose choose,
                      ChooseEight choose_eight) {
    std::uint32_t best = values[0];
    std::size_t i = 0;
    if (count >= 8) {
        __m256i eight = load_values(values);
        for (i = 8; i + 8 <= count; i += 8) eight = choose_eight(eight, load_values(values + i));
        std::uint32_t lanes[8];
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(lanes), eight);
        for (const std::uint32_t lane : lanes) best = choose(best, lane);
    }
    for (; i < count; ++i) best = choose(best, values[i]);
    return best;
}

std::uint32_t smallest(const std::uint32_t* values, std::size_t count) {
    return extreme(
        values, count, [](std::uint32_t a, std::uint32_t b) { return a < b ? a : b; },
        [](__m256i a, __m256i b) { return _mm256_min_epu32(a, b); });
}

std::uint32_t largest(const std::uint32_t* values, std::size_t count) {
    return extreme(
        values, count, [](std::uint32_t a, std::uint32_t b) { return a > b ? a : b; },
        [](__m256i a, __m256i b) { return _mm256_max_epu32(a, b); });
}

std::size_t least(const std::uint32_t* values, std::size_t count) {
    return place_of(values, count, smallest(values, count));
}

Range range(const std::uint32_t* values, std::size_t count) {
    return {smallest(values, count), largest(values, count)};
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

__m256i load_short(const std::int16_t* values) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(values));
}

// The eight lanes hold sums of squares of one row.
inline __attribute__((always_inline)) __m256i sums_of_row(const std::int16_t* row,
                                                          std::size_t dimensions,
                                                          const std::int16_t* query) {
    __m256i a = _mm256_setzero_si256(), b = a;
    for (std::size_t j = 0; j < dimensions; j += 32) {
        const __m256i first = _mm256_sub_epi16(load_short(row + j), load_short(query + j));
        const __m256i second =
            _mm256_sub_epi16(load_short(row + j + 16), load_short(query + j + 16));
        a = _mm256_add_epi32(a, _mm256_madd_epi16(first, first));
        b = _mm256_add_epi32(b, _mm256_madd_epi16(second, second));
    }
    return _mm256_add_epi32(a, b);
}

// Inlined with a constant number of dimensions, the query stays in registers.
inline __attribute__((always_inline)) void bounding_squares_of(const std::int16_t* rows,
                                                               std::size_t dimensions,
                                                               std::size_t count,
                                                               const std::int16_t* query,
                                                               std::uint32_t* bounds) {
    std::size_t i = 0;
    for (; i + 4 <= count; i += 4, rows += 4 * dimensions) {
        const __m256i ab = _mm256_hadd_epi32(sums_of_row(rows, dimensions, query),
                                             sums_of_row(rows + dimensions, dimensions, query));
        const __m256i cd = _mm256_hadd_epi32(sums_of_row(rows + 2 * dimensions, dimensions, query),
                                             sums_of_row(rows + 3 * dimensions, dimensions, query));
        const __m256i halves = _mm256_hadd_epi32(ab, cd);  // a b c d, of each half
        _mm_storeu_si128(
            reinterpret_cast<__m128i*>(bounds + i),
            _mm_add_epi32(_mm256_castsi256_si128(halves), _mm256_extracti128_si256(halves, 1)));
    }
    for (; i < count; ++i, rows += dimensions)
        bounds[i] = sum_of_eight(sums_of_row(rows, dimensions, query));
}

void bounding_squares(const std::int16_t* rows, std::size_t dimensions, std::size_t count,
                      const std::int16_t* query, std::uint32_t* bounds) {
    if (dimensions == 64) return bounding_squares_of(rows, 64, count, query, bounds);
    bounding_squares_of(rows, dimensions, count, query, bounds);
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

__m256i broadcast_word(const void* four_bytes) {
    std::int32_t word;
    __builtin_memcpy(&word, four_bytes, sizeof word);
    return _mm256_set1_epi32(word);
}

// Adds four bytes of a row at a time, times the matrix, to 16-bit sums.
template <std::size_t vectors>
inline __attribute__((always_inline)) void add_four(const std::uint8_t* four,
                                                    const std::int8_t* matrix, __m256i* narrow,
                                                    bool first) {
    const __m256i values = broadcast_word(four);
#pragma GCC unroll 8
    for (std::size_t v = 0; v < vectors; ++v) {
        const __m256i products = _mm256_maddubs_epi16(
            values, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(matrix + 32 * v)));
        narrow[v] = first ? products : _mm256_add_epi16(narrow[v], products);
    }
}

// Outputs k to k + 8 * vectors of one row. vpmaddubsw is exact here: a pair of products is at
// most 2 * 255 * 16, and four of these fit 16 bits before they have to be widened.
template <std::size_t vectors>
void project_some_bytes(const std::uint8_t* row, std::size_t width, const std::int8_t* matrix,
                        std::size_t outputs, std::int32_t* sums) {
    const __m256i ones = _mm256_set1_epi16(1);
    __m256i sum[vectors] = {};
    for (std::size_t j = 0; j < width;) {
        __m256i narrow[vectors];
        const std::size_t end = j + 16 < width ? j + 16 : width;
        add_four<vectors>(row + j, matrix, narrow, true);
        for (j += 4, matrix += 4 * outputs; j < end; j += 4, matrix += 4 * outputs)
            add_four<vectors>(row + j, matrix, narrow, false);
        for (std::size_t v = 0; v < vectors; ++v)
            sum[v] = _mm256_add_epi32(sum[v], _mm256_madd_epi16(narrow[v], ones));
    }
    for (std::size_t v = 0; v < vectors; ++v)
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(sums + 8 * v), sum[v]);
}

void project_bytes(const std::uint8_t* rows, std::size_t stride, std::size_t count,
                   std::size_t width, const std::int8_t* matrix, std::size_t outputs,
                   std::int32_t* sums) {
    for (std::size_t i = 0; i < count; ++i, rows += stride, sums += outputs) {
        std::size_t k = 0;
        for (; k + 32 <= outputs; k += 32)
            project_some_bytes<4>(rows, width, matrix + 4 * k, outputs, sums + k);
        for (; k < outputs; k += 16)
            project_some_bytes<2>(rows, width, matrix + 4 * k, outputs, sums + k);
    }
}

// Outputs k to k + 8 * vectors of some rows, which share what is read of the matrix. Every sum is
// taken in one order, so that it takes six of them, side by side, to keep the adders busy.
template <std::size_t rows, std::size_t vectors>
void project_some_floats(const float* x, std::size_t stride, std::size_t width, const float* mean,
                         const float* matrix, std::size_t outputs, float* sums) {
    __m256 sum[rows][vectors] = {};
    for (std::size_t j = 0; j < width; ++j, matrix += outputs) {
        __m256 centred[rows];
        for (std::size_t i = 0; i < rows; ++i)
            centred[i] = _mm256_set1_ps(x[i * stride + j] - mean[j]);
        for (std::size_t v = 0; v < vectors; ++v) {
            const __m256 directions = _mm256_loadu_ps(matrix + 8 * v);
            for (std::size_t i = 0; i < rows; ++i)
                sum[i][v] = _mm256_add_ps(sum[i][v], _mm256_mul_ps(centred[i], directions));
        }
    }
    for (std::size_t i = 0; i < rows; ++i)
        for (std::size_t v = 0; v < vectors; ++v)
            _mm256_storeu_ps(sums + i * outputs + 8 * v, sum[i][v]);
}

// As many vectors of outputs as there are, `most` at a time; their number is even.
template <std::size_t rows, std::size_t most>
void project_float_rows(const float* x, std::size_t stride, std::size_t width, const float* mean,
                        const float* matrix, std::size_t outputs, std::size_t first, float* sums) {
    if constexpr (most > 2)
        if (first + 8 * most > outputs)
            return project_float_rows<rows, most - 2>(x, stride, width, mean, matrix, outputs,
                                                      first, sums);
    project_some_floats<rows, most>(x, stride, width, mean, matrix + first, outputs, sums + first);
    if (first + 8 * most < outputs)
        project_float_rows<rows, most>(x, stride, width, mean, matrix, outputs, first + 8 * most,
                                       sums);
}

void project_floats(const float* rows, std::size_t stride, std::size_t count, std::size_t width,
                    const float* mean, const float* matrix, std::size_t outputs, float* sums) {
    std::size_t i = 0;
    for (; i + 2 <= count; i += 2)
        project_float_rows<2, 6>(rows + i * stride, stride, width, mean, matrix, outputs, 0,
                                 sums + i * outputs);
    if (i < count)
        project_float_rows<1, 8>(rows + i * stride, stride, width, mean, matrix, outputs, 0,
                                 sums + i * outputs);
}

// Sums of code times query for the 16 vectors of a block, eight in each half.
struct Products {
    __m256i half[2];
};

// Sixteen-bit sums over the first 8 * vectors dimensions from here. vpmaddubsw is exact: a pair of
// products is at most 2 * 15 * 127, and eight of these fit 16 bits.
template <std::size_t vectors>
inline __attribute__((always_inline)) void add_products(const std::uint8_t* codes,
                                                        const std::int8_t* query, Products& sums) {
    const __m256i ones = _mm256_set1_epi16(1), nibble = _mm256_set1_epi8(15);
    __m256i low_sums[2], high_sums[2];
#pragma GCC unroll 4
    for (std::size_t v = 0; v < vectors; ++v) {
        const __m256i low = broadcast_word(query + 8 * v), high = broadcast_word(query + 8 * v + 4);
#pragma GCC unroll 2
        for (std::size_t h = 0; h < 2; ++h) {
            const __m256i pairs = load(codes + 64 * v + 32 * h);
            const __m256i above = _mm256_and_si256(_mm256_srli_epi16(pairs, 4), nibble);
            const __m256i l = _mm256_maddubs_epi16(_mm256_and_si256(pairs, nibble), low);
            const __m256i a = _mm256_maddubs_epi16(above, high);
            low_sums[h] = v == 0 ? l : _mm256_add_epi16(low_sums[h], l);
            high_sums[h] = v == 0 ? a : _mm256_add_epi16(high_sums[h], a);
        }
    }
    for (std::size_t h = 0; h < 2; ++h) {
        const __m256i narrow = _mm256_add_epi16(low_sums[h], high_sums[h]);
        sums.half[h] = _mm256_add_epi32(sums.half[h], _mm256_madd_epi16(narrow, ones));
    }
}

inline __attribute__((always_inline)) Products block_products(const std::uint8_t* codes,
                                                              const std::int8_t* query,
                                                              std::size_t dimensions) {
    Products sums = {{_mm256_setzero_si256(), _mm256_setzero_si256()}};
    std::size_t j = 0;
    for (; j + 32 <= dimensions; j += 32) add_products<4>(codes + 8 * j, query + j, sums);
    for (; j < dimensions; j += 8) add_products<1>(codes + 8 * j, query + j, sums);
    return sums;
}

__m256i estimates_of(const std::uint8_t* norms, __m256i products, __m128i shift, __m256i offset) {
    return _mm256_sub_epi32(_mm256_add_epi32(load(norms), offset),
                            _mm256_sll_epi32(products, shift));
}

void estimate_blocks(const std::uint8_t* blocks, std::size_t count, const std::int8_t* query,
                     std::size_t dimensions, unsigned shift, std::uint32_t offset,
                     std::uint32_t* estimates) {
    const __m128i shifts = _mm_cvtsi32_si128(int(shift));
    const __m256i offsets = _mm256_set1_epi32(int(offset));
    for (std::size_t i = 0; i < count; ++i, blocks += block_bytes(dimensions), estimates += 16) {
        const Products products = block_products(blocks + 64, query, dimensions);
        for (std::size_t h = 0; h < 2; ++h)
            _mm256_storeu_si256(reinterpret_cast<__m256i*>(estimates + 8 * h),
                                estimates_of(blocks + 32 * h, products.half[h], shifts, offsets));
    }
}

std::size_t scan_blocks(const std::uint8_t* blocks, std::size_t count, const std::int8_t* query,
                        std::size_t dimensions, unsigned shift, std::uint32_t offset,
                        std::uint32_t limit, std::uint32_t first, std::uint32_t* estimates,
                        std::uint32_t* slots) {
    if (limit == 0) return 0;
    const __m128i shifts = _mm_cvtsi32_si128(int(shift));
    const __m256i offsets = _mm256_set1_epi32(int(offset));
    const __m256i most = _mm256_set1_epi32(int(limit - 1));
    std::size_t kept = 0;
    for (std::size_t i = 0; i < count; ++i, blocks += block_bytes(dimensions), first += 16) {
        const Products products = block_products(blocks + 64, query, dimensions);
        alignas(32) std::uint32_t all[16];
        unsigned hits = 0;
        for (unsigned h = 0; h < 2; ++h) {
            const __m256i e = estimates_of(blocks + 32 * h, products.half[h], shifts, offsets);
            _mm256_store_si256(reinterpret_cast<__m256i*>(all + 8 * h), e);
            const __m256i below = _mm256_cmpeq_epi32(_mm256_min_epu32(e, most), e);
            hits |= unsigned(_mm256_movemask_ps(_mm256_castsi256_ps(below))) << (8 * h);
        }
        for (; hits; hits &= hits - 1, ++kept) {
            const unsigned lane = unsigned(__builtin_ctz(hits));
            estimates[kept] = all[lane];
            slots[kept] = first + lane;
        }
    }
    return kept;
}

const char* const features[] = {"avx2", "bmi", "bmi2", "popcnt", "lzcnt", nullptr};

}  // namespace

const Kernels avx2_kernels = {
    .name = "avx2",
    .rank = 1,
    .features = features,
    .absolute_differences = absolute_differences,
    .absolute_differences_at = absolute_differences_at,
    .squared_differences = squared_differences,
    .squared_differences_at = squared_differences_at,
    .squared_differences_of_several = squared_differences_of_several,
    .differing_bits = differing_bits,
    .differing_bits_at = differing_bits_at,
    .differing_bits_of_several = differing_bits_of_several,
    .float_squares = each<FloatSum<Square>>,
    .float_squares_at = each_at<FloatSum<Square>>,
    .float_absolutes = each<FloatSum<Absolute>>,
    .float_absolutes_at = each_at<FloatSum<Absolute>>,
    .float_angles = each<Angle>,
    .float_angles_at = each_at<Angle>,
    .sum_of_squares = double_sum<Square>,
    .sum_of_absolutes = double_sum<Absolute>,
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
