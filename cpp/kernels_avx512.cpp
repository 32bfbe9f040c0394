// The AVX-512 level: 64 bytes at a time, masks instead of tails.
// level: avx512
// processors: x86_64 AMD64 amd64
// flags: -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni -mbmi -mbmi2 -mpopcnt -mlzcnt -Wno-unknown-warning-option -Wno-uninitialized -Wno-maybe-uninitialized
#ifdef LOOKALIKE_EMULATE  // to test this file on a CPU without AVX-512 (see .ci/emulate)
#include "emulate_avx512.h"
#else
#include <immintrin.h>
#endif

#include "kernels.h"

namespace lookalike {
extern const Kernels avx512_kernels, avx512popcnt_kernels;

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

// Into the second cache only: the first has too few misses under way at a time for so many lines.
void prefetch_row(const std::uint8_t* row, std::size_t stride) {
    for (std::size_t j = 0; j < stride && j < 2048; j += 64)
        _mm_prefetch(reinterpret_cast<const char*>(row + j), _MM_HINT_T1);
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
    for (std::size_t i = 0; i < count; ++i) {
        if (i + ahead < count) prefetch_row(rows + slots[i + ahead] * stride, stride);
        distances[i] = Distance::of(rows + slots[i] * stride, query, stride);
    }
}

// Two accumulators: one would wait for itself.
struct Pair {
    __m512i low, high;
};

// Adds the squares of 64 differences to two times sixteen 32-bit lanes.
Pair add_squares(Pair sums, __m512i x, __m512i q) {
    const __m512i zero = _mm512_setzero_si512();
    const __m512i difference = _mm512_or_si512(_mm512_subs_epu8(x, q), _mm512_subs_epu8(q, x));
    const __m512i low = _mm512_unpacklo_epi8(difference, zero);
    const __m512i high = _mm512_unpackhi_epi8(difference, zero);
    return {_mm512_dpwssd_epi32(sums.low, low, low), _mm512_dpwssd_epi32(sums.high, high, high)};
}

std::uint32_t sum_of_sixteen(__m512i sums) {
    const __m256i eight =
        _mm256_add_epi32(_mm512_castsi512_si256(sums), _mm512_extracti64x4_epi64(sums, 1));
    const __m128i four =
        _mm_add_epi32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256(eight, 1));
    const __m128i two = _mm_add_epi32(four, _mm_unpackhi_epi64(four, four));
    return std::uint32_t(_mm_cvtsi128_si32(two) + _mm_extract_epi32(two, 1));
}

struct SquaredDifference {
    static std::uint32_t of(const std::uint8_t* row, const std::uint8_t* query,
                            std::size_t stride) {
        Pair sums = {_mm512_setzero_si512(), _mm512_setzero_si512()};
        std::size_t j = 0;
        for (; j + 64 <= stride; j += 64)
            sums = add_squares(sums, _mm512_loadu_si512(row + j), _mm512_loadu_si512(query + j));
        if (j < stride) {
            const __mmask64 tail = tail_mask(stride - j);
            sums = add_squares(sums, _mm512_maskz_loadu_epi8(tail, row + j),
                               _mm512_maskz_loadu_epi8(tail, query + j));
        }
        return sum_of_sixteen(_mm512_add_epi32(sums.low, sums.high));
    }
};

// Of eight vectors the sums of their lanes, in order.
inline __attribute__((always_inline)) __m256i sums_of_eight(const __m512i v[8]) {
    const auto pairs = [](__m512i a, __m512i b) {  // in each quarter: a b a b
        return _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
    };
    const auto fours = [](__m512i a, __m512i b) {  // in each quarter: a0 a1 b0 b1
        return _mm512_add_epi32(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
    };
    const __m512i a = fours(pairs(v[0], v[1]), pairs(v[2], v[3]));
    const __m512i b = fours(pairs(v[4], v[5]), pairs(v[6], v[7]));
    // Quarters a0 a1 b0 b1 and a2 a3 b2 b3, then a b.
    const __m512i halves =
        _mm512_add_epi32(_mm512_shuffle_i64x2(a, b, 0x44), _mm512_shuffle_i64x2(a, b, 0xEE));
    return _mm512_castsi512_si256(_mm512_add_epi32(_mm512_shuffle_i64x2(halves, halves, 0x08),
                                                   _mm512_shuffle_i64x2(halves, halves, 0x0D)));
}

// Several queries shifted to signed bytes, a piece of them at a time: <x, q> is <x, q - 128> and
// 128 times the sum of x.
constexpr std::size_t several_bytes = 1024;

struct SignedQueries {
    alignas(64) std::uint8_t bytes[queries_at_once][several_bytes];
    alignas(32) std::uint32_t squares[queries_at_once];

    SignedQueries(const std::uint8_t* queries, std::size_t stride, std::size_t size) {
        const __m512i zero = _mm512_setzero_si512(), shift = _mm512_set1_epi8(char(0x80));
        for (std::size_t k = 0; k < queries_at_once; ++k) {
            Pair sums = {zero, zero};
            for (std::size_t j = 0; j < size; j += 64) {
                const __mmask64 present = j + 64 <= size ? ~__mmask64(0) : tail_mask(size - j);
                const __m512i q = _mm512_maskz_loadu_epi8(present, queries + k * stride + j);
                sums = add_squares(sums, q, zero);
                _mm512_store_si512(bytes[k] + j, _mm512_xor_si512(q, shift));
            }
            squares[k] = sum_of_sixteen(_mm512_add_epi32(sums.low, sums.high));
        }
    }
};

void squared_differences_of_several(const std::uint8_t* rows, std::size_t stride, std::size_t count,
                                    const std::uint8_t* queries, std::uint32_t* distances) {
    const __m512i zero = _mm512_setzero_si512(), ones = _mm512_set1_epi8(1);
    for (std::size_t first = 0; first < stride; first += several_bytes) {
        const std::size_t size = stride - first < several_bytes ? stride - first : several_bytes;
        const SignedQueries several(queries + first, stride, size);
        const __m256i query_squares =
            _mm256_load_si256(reinterpret_cast<const __m256i*>(several.squares));
        for (std::size_t i = 0; i < count; ++i) {
            const std::uint8_t* row = rows + i * stride + first;
            __m512i products[queries_at_once], sums = zero;
            Pair squares = {zero, zero};
            for (__m512i& product : products) product = zero;
            const auto add = [&](__m512i x, std::size_t j) __attribute__((always_inline)) {
                squares = add_squares(squares, x, zero);
                sums = _mm512_dpbusd_epi32(sums, x, ones);
                for (std::size_t k = 0; k < queries_at_once; ++k)
                    products[k] = _mm512_dpbusd_epi32(products[k], x,
                                                      _mm512_load_si512(several.bytes[k] + j));
            };
            std::size_t j = 0;
            for (; j + 256 <= size; j += 256) {
                add(_mm512_loadu_si512(row + j), j);
                add(_mm512_loadu_si512(row + j + 64), j + 64);
                add(_mm512_loadu_si512(row + j + 128), j + 128);
                add(_mm512_loadu_si512(row + j + 192), j + 192);
            }
            for (; j + 64 <= size; j += 64) add(_mm512_loadu_si512(row + j), j);
            if (j < size) add(_mm512_maskz_loadu_epi8(tail_mask(size - j), row + j), j);
            const __m512i own = _mm512_sub_epi32(_mm512_add_epi32(squares.low, squares.high),
                                                 _mm512_slli_epi32(sums, 8));
            for (__m512i& product : products)
                product = _mm512_sub_epi32(own, _mm512_slli_epi32(product, 1));
            alignas(32) std::uint32_t all[queries_at_once];
            _mm256_store_si256(reinterpret_cast<__m256i*>(all),
                               _mm256_add_epi32(query_squares, sums_of_eight(products)));
            for (std::size_t k = 0; k < queries_at_once; ++k) {
                std::uint32_t& distance = distances[k * count + i];
                distance = (first == 0 ? 0 : distance) + all[k];
            }
        }
    }
}

// The terms of a sum of floats; the same names for eight doubles.
struct Square {
    static __m512 of(__m512 x, __m512 y) {
        const __m512 difference = _mm512_sub_ps(x, y);
        return _mm512_mul_ps(difference, difference);
    }
    static __m512d of(__m512d x, __m512d y) {
        const __m512d difference = _mm512_sub_pd(x, y);
        return _mm512_mul_pd(difference, difference);
    }
};

struct Absolute {
    static __m512 of(__m512 x, __m512 y) {
        return _mm512_castsi512_ps(_mm512_and_si512(_mm512_castps_si512(_mm512_sub_ps(x, y)),
                                                    _mm512_set1_epi32(0x7FFFFFFF)));
    }
    static __m512d of(__m512d x, __m512d y) {
        return _mm512_castsi512_pd(_mm512_and_si512(_mm512_castpd_si512(_mm512_sub_pd(x, y)),
                                                    _mm512_set1_epi64(0x7FFFFFFFFFFFFFFF)));
    }
};

struct Product {
    static __m512 of(__m512 x, __m512 y) { return _mm512_mul_ps(x, y); }
};

// Lanes i and i + 8, i + 4, i + 2, i + 1.
float fold(__m512 sixteen) {
    const __m256 eight =
        _mm256_add_ps(_mm512_castps512_ps256(sixteen),
                      _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(sixteen), 1)));
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

double fold(__m512d eight) {
    const __m256d four =
        _mm256_add_pd(_mm512_castpd512_pd256(eight), _mm512_extractf64x4_pd(eight, 1));
    const __m128d two = _mm_add_pd(_mm256_castpd256_pd128(four), _mm256_extractf128_pd(four, 1));
    return _mm_cvtsd_f64(two) + _mm_cvtsd_f64(_mm_unpackhi_pd(two, two));
}

template <typename Term>
inline __attribute__((always_inline)) float float_sum(const float* x, const float* y,
                                                      std::size_t count) {
    __m512 sums = _mm512_setzero_ps();
    for (std::size_t j = 0; j < count; j += 16)
        sums = _mm512_add_ps(sums, Term::of(_mm512_loadu_ps(x + j), _mm512_loadu_ps(y + j)));
    return fold(sums);
}

template <typename Term>
double double_sum(const float* x, const float* y, std::size_t count) {
    __m512d sums = _mm512_setzero_pd();
    for (std::size_t j = 0; j < count; j += 8)
        sums = _mm512_add_pd(sums, Term::of(_mm512_cvtps_pd(_mm256_loadu_ps(x + j)),
                                            _mm512_cvtps_pd(_mm256_loadu_ps(y + j))));
    return fold(sums);
}

Products sums_of_products(const float* x, const float* y, std::size_t count) {
    __m512d mutual = _mm512_setzero_pd(), own = mutual;
    for (std::size_t j = 0; j < count; j += 8) {
        const __m512d a = _mm512_cvtps_pd(_mm256_loadu_ps(x + j));
        const __m512d b = _mm512_cvtps_pd(_mm256_loadu_ps(y + j));
        mutual = _mm512_add_pd(mutual, _mm512_mul_pd(a, b));
        own = _mm512_add_pd(own, _mm512_mul_pd(a, a));
    }
    return {fold(mutual), fold(own)};
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

// The bits set in each of eight 64-bit lanes. kernels_avx512popcnt.cpp compiles this file once
// more, for the CPUs that have an instruction for it.
__m512i bit_counts(__m512i bits) {
#ifdef LOOKALIKE_VPOPCNT
    return _mm512_popcnt_epi64(bits);
#else
    const __m512i of_nibble =
        _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4));
    const __m512i lower = _mm512_set1_epi8(0x0F);
    const __m512i low = _mm512_shuffle_epi8(of_nibble, _mm512_and_si512(bits, lower));
    const __m512i high =
        _mm512_shuffle_epi8(of_nibble, _mm512_and_si512(_mm512_srli_epi16(bits, 4), lower));
    return _mm512_sad_epu8(_mm512_add_epi8(low, high), _mm512_setzero_si512());
#endif
}

// Eight 64-bit counts of differing bits.
__m512i differing(const std::uint8_t* row, const std::uint8_t* query, std::size_t stride) {
    __m512i sum = _mm512_setzero_si512();
    std::size_t j = 0;
    for (; j + 64 <= stride; j += 64)
        sum = _mm512_add_epi64(sum, bit_counts(_mm512_xor_si512(_mm512_loadu_si512(row + j),
                                                                _mm512_loadu_si512(query + j))));
    if (j < stride) {
        const __mmask8 tail = __mmask8(0xFF >> (8 - (stride - j) / 8));
        sum = _mm512_add_epi64(
            sum, bit_counts(_mm512_xor_si512(_mm512_maskz_loadu_epi64(tail, row + j),
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
        const __m512i ab = bit_counts(_mm512_xor_si512(_mm512_loadu_si512(rows + 32 * i), twice));
        const __m512i cd =
            bit_counts(_mm512_xor_si512(_mm512_loadu_si512(rows + 32 * i + 64), twice));
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

// One 64-bit word of eight rows of 32 bytes in each vector: no sum is across lanes. In a vector the
// rows stand in the order 0, 2, 1, 3, 4, 6, 5, 7.
struct WordsOfEight {
    __m512i word[4];
};

WordsOfEight words_of_eight(const std::uint8_t* rows) {
    __m512i two[4];  // rows in each
    for (std::size_t v = 0; v < 4; ++v) two[v] = _mm512_loadu_si512(rows + 64 * v);
    const __m512i even = _mm512_unpacklo_epi64(two[0], two[1]);
    const __m512i odd = _mm512_unpackhi_epi64(two[0], two[1]);
    const __m512i later_even = _mm512_unpacklo_epi64(two[2], two[3]);
    const __m512i later_odd = _mm512_unpackhi_epi64(two[2], two[3]);
    return {
        {_mm512_shuffle_i64x2(even, later_even, 0x88), _mm512_shuffle_i64x2(odd, later_odd, 0x88),
         _mm512_shuffle_i64x2(even, later_even, 0xDD), _mm512_shuffle_i64x2(odd, later_odd, 0xDD)}};
}

__m512i differing_of_eight(const WordsOfEight& rows, const std::uint8_t* query) {
    __m512i count[4];
    for (std::size_t w = 0; w < 4; ++w) {
        std::int64_t word;
        __builtin_memcpy(&word, query + 8 * w, sizeof word);
        count[w] = bit_counts(_mm512_xor_si512(rows.word[w], _mm512_set1_epi64(word)));
    }
    return _mm512_add_epi64(_mm512_add_epi64(count[0], count[1]),
                            _mm512_add_epi64(count[2], count[3]));
}

// Rows of exactly 32 bytes, sixteen of them a step, which all queries share.
void differing_bits_32_of_several(const std::uint8_t* rows, std::size_t count,
                                  const std::uint8_t* queries, std::uint32_t* distances) {
    const __m512i in_order =
        _mm512_setr_epi32(0, 4, 2, 6, 8, 12, 10, 14, 16, 20, 18, 22, 24, 28, 26, 30);
    const std::size_t whole = count / 16 * 16;
    for (std::size_t i = 0; i < whole; i += 16) {
        const WordsOfEight first = words_of_eight(rows + 32 * i);
        const WordsOfEight second = words_of_eight(rows + 32 * (i + 8));
        for (std::size_t q = 0; q < queries_at_once; ++q) {
            const std::uint8_t* query = queries + 32 * q;
            _mm512_storeu_si512(
                distances + q * count + i,
                _mm512_permutex2var_epi32(differing_of_eight(first, query), in_order,
                                          differing_of_eight(second, query)));
        }
    }
    for (std::size_t q = 0; q < queries_at_once; ++q)
        for (std::size_t i = whole; i < count; ++i)
            distances[q * count + i] = lane_sum(differing(rows + 32 * i, queries + 32 * q, 32));
}

void differing_bits_of_several(const std::uint8_t* rows, std::size_t stride, std::size_t count,
                               const std::uint8_t* queries, std::uint32_t* distances) {
    if (stride == 32) return differing_bits_32_of_several(rows, count, queries, distances);
    for (std::size_t q = 0; q < queries_at_once; ++q)
        differing_bits(rows, stride, count, queries + q * stride, distances + q * count);
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

__mmask16 present_values(std::size_t count) {
    return count >= 16 ? __mmask16(0xFFFF) : __mmask16(0xFFFF >> (16 - count));
}

std::size_t count_at_most(const std::uint32_t* values, std::size_t count, std::uint32_t limit) {
    if (limit == 0xFFFFFFFF) return count;
    const __m512i above = _mm512_set1_epi32(int(limit + 1));
    std::size_t most = 0;
    for (std::size_t i = 0; i < count; i += 16) {
        const __mmask16 present = present_values(count - i);
        most += unsigned(__builtin_popcount(_mm512_mask_cmplt_epu32_mask(
            present, _mm512_maskz_loadu_epi32(present, values + i), above)));
    }
    return most;
}

std::size_t place_of(const std::uint32_t* values, std::size_t count, std::uint32_t value) {
    const __m512i wanted = _mm512_set1_epi32(int(value));
    for (std::size_t i = 0;; i += 16) {
        const __mmask16 present = present_values(count - i);
        const __mmask16 hits = _mm512_mask_cmpeq_epu32_mask(
            present, _mm512_maskz_loadu_epi32(present, values + i), wanted);
        if (hits) return i + unsigned(__builtin_ctz(hits));
    }
}

std::uint32_t least_lane(__m512i sixteen) {
    const __m256i eight =
        _mm256_min_epu32(_mm512_castsi512_si256(sixteen), _mm512_extracti64x4_epi64(sixteen, 1));
    const __m128i four =
        _mm_min_epu32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256(eight, 1));
    const __m128i two = _mm_min_epu32(four, _mm_unpackhi_epi64(four, four));
    const std::uint32_t a = std::uint32_t(_mm_cvtsi128_si32(two));
    const std::uint32_t b = std::uint32_t(_mm_extract_epi32(two, 1));
    return a < b ? a : b;
}

std::size_t least(const std::uint32_t* values, std::size_t count) {
    const __m512i most = _mm512_set1_epi32(-1);
    __m512i minima = most;
    for (std::size_t i = 0; i < count; i += 16)
        minima = _mm512_min_epu32(
            minima, _mm512_mask_loadu_epi32(most, present_values(count - i), values + i));
    return place_of(values, count, least_lane(minima));
}

Range range(const std::uint32_t* values, std::size_t count) {
    const __m512i most = _mm512_set1_epi32(-1);
    __m512i minima = most, maxima = _mm512_setzero_si512();
    for (std::size_t i = 0; i < count; i += 16) {
        const __mmask16 present = present_values(count - i);
        minima = _mm512_min_epu32(minima, _mm512_mask_loadu_epi32(most, present, values + i));
        maxima = _mm512_max_epu32(maxima, _mm512_maskz_loadu_epi32(present, values + i));
    }
    return {least_lane(minima), ~least_lane(_mm512_xor_si512(maxima, most))};
}

std::size_t keep_below(std::uint32_t* values, std::uint32_t* others, std::size_t count,
                       std::uint32_t limit) {
    const __m512i limits = _mm512_set1_epi32(int(limit));
    std::size_t kept = 0;
    for (std::size_t i = 0; i < count; i += 16) {  // never writes beyond what was read
        const __mmask16 present = present_values(count - i);
        const __m512i some = _mm512_maskz_loadu_epi32(present, values + i);
        const __m512i other = _mm512_maskz_loadu_epi32(present, others + i);
        const __mmask16 below = _mm512_mask_cmplt_epu32_mask(present, some, limits);
        _mm512_storeu_si512(values + kept, _mm512_maskz_compress_epi32(below, some));
        _mm512_storeu_si512(others + kept, _mm512_maskz_compress_epi32(below, other));
        kept += unsigned(__builtin_popcount(below));
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

// Sixteen lanes, folded to eight, hold sums of squares of one row.
inline __attribute__((always_inline)) __m256i sums_of_row(const std::int16_t* row,
                                                          std::size_t dimensions,
                                                          const std::int16_t* query) {
    __m512i sums = _mm512_setzero_si512();
    for (std::size_t j = 0; j < dimensions; j += 32) {
        const __m512i difference =
            _mm512_sub_epi16(_mm512_loadu_si512(row + j), _mm512_loadu_si512(query + j));
        sums = _mm512_dpwssd_epi32(sums, difference, difference);
    }
    return _mm256_add_epi32(_mm512_castsi512_si256(sums), _mm512_extracti64x4_epi64(sums, 1));
}

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
    for (; i < count; ++i, rows += dimensions) {
        const __m256i eight = sums_of_row(rows, dimensions, query);
        const __m128i four =
            _mm_add_epi32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256(eight, 1));
        const __m128i two = _mm_add_epi32(four, _mm_unpackhi_epi64(four, four));
        bounds[i] = std::uint32_t(_mm_cvtsi128_si32(two) + _mm_extract_epi32(two, 1));
    }
}

void bounding_squares(const std::int16_t* rows, std::size_t dimensions, std::size_t count,
                      const std::int16_t* query, std::uint32_t* bounds) {
    if (dimensions == 64) return bounding_squares_of(rows, 64, count, query, bounds);
    bounding_squares_of(rows, dimensions, count, query, bounds);
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

__m512i broadcast_word(const void* four_bytes) {
    std::int32_t word;
    __builtin_memcpy(&word, four_bytes, sizeof word);
    return _mm512_set1_epi32(word);
}

// Outputs k to k + 16 * vectors of some rows, which read the matrix together.
template <std::size_t together, std::size_t vectors>
void project_some_bytes(const std::uint8_t* rows, std::size_t stride, std::size_t width,
                        const std::int8_t* matrix, std::size_t outputs, std::int32_t* sums) {
    __m512i sum[together][vectors];
    for (std::size_t i = 0; i < together; ++i)
        for (std::size_t v = 0; v < vectors; ++v) sum[i][v] = _mm512_setzero_si512();
    for (std::size_t j = 0; j < width; j += 4, matrix += 4 * outputs) {
        for (std::size_t v = 0; v < vectors; ++v) {
            const __m512i column = _mm512_loadu_si512(matrix + 64 * v);
            for (std::size_t i = 0; i < together; ++i)
                sum[i][v] =
                    _mm512_dpbusd_epi32(sum[i][v], broadcast_word(rows + i * stride + j), column);
        }
    }
    for (std::size_t i = 0; i < together; ++i)
        for (std::size_t v = 0; v < vectors; ++v)
            _mm512_storeu_si512(sums + i * outputs + 16 * v, sum[i][v]);
}

template <std::size_t together>
void project_rows_of_bytes(const std::uint8_t* rows, std::size_t stride, std::size_t width,
                           const std::int8_t* matrix, std::size_t outputs, std::int32_t* sums) {
    std::size_t k = 0;
    for (; k + 64 <= outputs; k += 64)
        project_some_bytes<together, 4>(rows, stride, width, matrix + 4 * k, outputs, sums + k);
    for (; k + 32 <= outputs; k += 32)
        project_some_bytes<together, 2>(rows, stride, width, matrix + 4 * k, outputs, sums + k);
    for (; k < outputs; k += 16)
        project_some_bytes<together, 1>(rows, stride, width, matrix + 4 * k, outputs, sums + k);
}

void project_bytes(const std::uint8_t* rows, std::size_t stride, std::size_t count,
                   std::size_t width, const std::int8_t* matrix, std::size_t outputs,
                   std::int32_t* sums) {
    std::size_t i = 0;
    for (; i + 4 <= count; i += 4)
        project_rows_of_bytes<4>(rows + i * stride, stride, width, matrix, outputs,
                                 sums + i * outputs);
    for (; i < count; ++i)
        project_rows_of_bytes<1>(rows + i * stride, stride, width, matrix, outputs,
                                 sums + i * outputs);
}

// Outputs k to k + 16 * vectors of some rows, which share what is read of the matrix. Every sum is
// taken in one order, so that it takes eight of them, side by side, to keep the adders busy.
template <std::size_t rows, std::size_t vectors>
void project_some_floats(const float* x, std::size_t stride, std::size_t width, const float* mean,
                         const float* matrix, std::size_t outputs, float* sums) {
    __m512 sum[rows][vectors];
    for (std::size_t i = 0; i < rows; ++i)
        for (std::size_t v = 0; v < vectors; ++v) sum[i][v] = _mm512_setzero_ps();
    for (std::size_t j = 0; j < width; ++j, matrix += outputs) {
        __m512 centred[rows];
        for (std::size_t i = 0; i < rows; ++i)
            centred[i] = _mm512_set1_ps(x[i * stride + j] - mean[j]);
        for (std::size_t v = 0; v < vectors; ++v) {
            const __m512 directions = _mm512_loadu_ps(matrix + 16 * v);
            for (std::size_t i = 0; i < rows; ++i)
                sum[i][v] = _mm512_add_ps(sum[i][v], _mm512_mul_ps(centred[i], directions));
        }
    }
    for (std::size_t i = 0; i < rows; ++i)
        for (std::size_t v = 0; v < vectors; ++v)
            _mm512_storeu_ps(sums + i * outputs + 16 * v, sum[i][v]);
}

// As many vectors of outputs as there are, `most` at a time.
template <std::size_t rows, std::size_t most>
void project_float_rows(const float* x, std::size_t stride, std::size_t width, const float* mean,
                        const float* matrix, std::size_t outputs, std::size_t first, float* sums) {
    if constexpr (most > 1)
        if (first + 16 * most > outputs)
            return project_float_rows<rows, most - 1>(x, stride, width, mean, matrix, outputs,
                                                      first, sums);
    project_some_floats<rows, most>(x, stride, width, mean, matrix + first, outputs, sums + first);
    if (first + 16 * most < outputs)
        project_float_rows<rows, most>(x, stride, width, mean, matrix, outputs, first + 16 * most,
                                       sums);
}

void project_floats(const float* rows, std::size_t stride, std::size_t count, std::size_t width,
                    const float* mean, const float* matrix, std::size_t outputs, float* sums) {
    std::size_t i = 0;
    for (; i + 2 <= count; i += 2)
        project_float_rows<2, 8>(rows + i * stride, stride, width, mean, matrix, outputs, 0,
                                 sums + i * outputs);
    if (i < count)
        project_float_rows<1, 8>(rows + i * stride, stride, width, mean, matrix, outputs, 0,
                                 sums + i * outputs);
}

// Sums of code times query for the 16 vectors of a block. High nibbles stay where they are, which
// makes their products 16 times too large: exactly, so that one shift at the end mends all of them.
// Two accumulators of each: one would wait for itself.
inline __attribute__((always_inline)) __m512i block_products(const std::uint8_t* codes,
                                                             const std::int8_t* query,
                                                             std::size_t dimensions) {
    const __m512i lower = _mm512_set1_epi8(0x0F), upper = _mm512_set1_epi8(char(0xF0));
    const __m512i zero = _mm512_setzero_si512();
    __m512i low[2] = {zero, zero}, high[2] = {zero, zero};
    for (std::size_t j = 0; j < dimensions; j += 8, codes += 64) {
        const __m512i pairs = _mm512_loadu_si512(codes);
        const std::size_t turn = j / 8 % 2;
        low[turn] = _mm512_dpbusd_epi32(low[turn], _mm512_and_si512(pairs, lower),
                                        broadcast_word(query + j));
        high[turn] = _mm512_dpbusd_epi32(high[turn], _mm512_and_si512(pairs, upper),
                                         broadcast_word(query + j + 4));
    }
    return _mm512_add_epi32(_mm512_add_epi32(low[0], low[1]),
                            _mm512_srai_epi32(_mm512_add_epi32(high[0], high[1]), 4));
}

inline __attribute__((always_inline)) __m512i block_estimates(const std::uint8_t* block,
                                                              const std::int8_t* query,
                                                              std::size_t dimensions, __m128i shift,
                                                              __m512i offset) {
    const __m512i products = block_products(block + 64, query, dimensions);
    return _mm512_sub_epi32(_mm512_add_epi32(_mm512_loadu_si512(block), offset),
                            _mm512_sll_epi32(products, shift));
}

// A query, and what scanning for it adds up.
struct BlockQuery {
    const std::int8_t* codes;
    unsigned shift;
    std::uint32_t offset;
};

struct EstimateAll {
    static inline __attribute__((always_inline)) std::size_t with(std::size_t dimensions,
                                                                  const std::uint8_t* blocks,
                                                                  std::size_t count,
                                                                  BlockQuery query,
                                                                  std::uint32_t* estimates) {
        const __m128i shifts = _mm_cvtsi32_si128(int(query.shift));
        const __m512i offsets = _mm512_set1_epi32(int(query.offset));
        for (std::size_t i = 0; i < count; ++i)
            _mm512_storeu_si512(estimates + 16 * i,
                                block_estimates(blocks + i * block_bytes(dimensions), query.codes,
                                                dimensions, shifts, offsets));
        return count;
    }
};

struct KeepBelow {
    static inline __attribute__((always_inline)) std::size_t with(
        std::size_t dimensions, const std::uint8_t* blocks, std::size_t count, BlockQuery query,
        std::uint32_t limit, std::uint32_t first, std::uint32_t* estimates, std::uint32_t* slots) {
        const __m128i shifts = _mm_cvtsi32_si128(int(query.shift));
        const __m512i offsets = _mm512_set1_epi32(int(query.offset));
        const __m512i limits = _mm512_set1_epi32(int(limit));
        const __m512i lanes =
            _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
        std::size_t kept = 0;
        for (std::size_t i = 0; i < count; ++i, blocks += block_bytes(dimensions), first += 16) {
            const __m512i all = block_estimates(blocks, query.codes, dimensions, shifts, offsets);
            const __mmask16 below = _mm512_mask_cmplt_epu32_mask(0xFFFF, all, limits);
            if (!below) continue;
            _mm512_storeu_si512(estimates + kept, _mm512_maskz_compress_epi32(below, all));
            _mm512_storeu_si512(slots + kept,
                                _mm512_maskz_compress_epi32(
                                    below, _mm512_add_epi32(lanes, _mm512_set1_epi32(int(first)))));
            kept += unsigned(__builtin_popcount(below));
        }
        return kept;
    }
};

// For the usual numbers of dimensions the loop over them is unrolled, and the query stays in
// registers.
template <typename Scan, typename... Rest>
std::size_t scan_with(std::size_t dimensions, Rest... rest) {
    switch (dimensions) {
        case 16: return Scan::with(16, rest...);
        case 32: return Scan::with(32, rest...);
        case 48: return Scan::with(48, rest...);
        case 64: return Scan::with(64, rest...);
        case 80: return Scan::with(80, rest...);
        case 96: return Scan::with(96, rest...);
        default: return Scan::with(dimensions, rest...);
    }
}

void estimate_blocks(const std::uint8_t* blocks, std::size_t count, const std::int8_t* query,
                     std::size_t dimensions, unsigned shift, std::uint32_t offset,
                     std::uint32_t* estimates) {
    scan_with<EstimateAll>(dimensions, blocks, count, BlockQuery{query, shift, offset}, estimates);
}

std::size_t scan_blocks(const std::uint8_t* blocks, std::size_t count, const std::int8_t* query,
                        std::size_t dimensions, unsigned shift, std::uint32_t offset,
                        std::uint32_t limit, std::uint32_t first, std::uint32_t* estimates,
                        std::uint32_t* slots) {
    return scan_with<KeepBelow>(dimensions, blocks, count, BlockQuery{query, shift, offset}, limit,
                                first, estimates, slots);
}

const char* const features[] = {
#ifdef LOOKALIKE_EMULATE
    "avx2", "popcnt", nullptr
#else
    "avx512f",
    "avx512bw",
    "avx512dq",
    "avx512vl",
    "avx512vnni",
    "bmi",
    "bmi2",
    "popcnt",
    "lzcnt",
#ifdef LOOKALIKE_VPOPCNT
    "avx512vpopcntdq",
#endif
    nullptr
#endif
};

}  // namespace

#ifdef LOOKALIKE_VPOPCNT
const Kernels avx512popcnt_kernels = {
    .name = "avx512popcnt",
    .rank = 3,
#else
const Kernels avx512_kernels = {
    .name = "avx512",
    .rank = 2,
#endif
    .features = features,
    .absolute_differences = absolute_differences,
    .absolute_differences_at = absolute_differences_at,
    .squared_differences = each<SquaredDifference>,
    .squared_differences_at = each_at<SquaredDifference>,
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
