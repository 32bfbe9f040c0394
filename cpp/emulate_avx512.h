// AVX-512 intrinsics on a CPU without them, to test kernels_avx512.cpp: SIMDe's, and plain
// loops for the few that it lacks. Only for builds with LOOKALIKE_EMULATE; see .ci/emulate.
#pragma once

#include <x86/avx512.h>

#include <cstddef>
#include <cstdint>

namespace emulated {

template <typename T>
struct Lanes {
    T of[64 / sizeof(T)];
};

template <typename T>
Lanes<T> lanes_of(__m512i vector) {
    Lanes<T> lanes;
    __builtin_memcpy(&lanes, &vector, sizeof lanes);
    return lanes;
}

template <typename T>
__m512i vector_of(const Lanes<T>& lanes) {
    __m512i vector;
    __builtin_memcpy(&vector, &lanes, sizeof vector);
    return vector;
}

// Reads only the lanes of the mask, as the instruction does.
template <typename T>
__m512i masked_load(__m512i otherwise, std::uint64_t mask, const void* memory) {
    Lanes<T> lanes = lanes_of<T>(otherwise);
    for (std::size_t i = 0; i < 64 / sizeof(T); ++i)
        if (mask >> i & 1)
            __builtin_memcpy(&lanes.of[i], static_cast<const T*>(memory) + i, sizeof(T));
    return vector_of(lanes);
}

template <typename T, typename Compare>
std::uint64_t masked_compare(std::uint64_t mask, __m512i a, __m512i b, Compare compare) {
    const Lanes<T> x = lanes_of<T>(a), y = lanes_of<T>(b);
    std::uint64_t result = 0;
    for (std::size_t i = 0; i < 64 / sizeof(T); ++i)
        result |= std::uint64_t(compare(x.of[i], y.of[i])) << i;
    return result & mask;
}

inline bool less(std::uint32_t a, std::uint32_t b) {
    return a < b;
}
inline bool equal(std::uint32_t a, std::uint32_t b) {
    return a == b;
}

inline __m512i mm512_maskz_loadu_epi8(__mmask64 mask, const void* memory) {
    return masked_load<std::uint8_t>(_mm512_setzero_si512(), mask, memory);
}
inline __m512i mm512_maskz_loadu_epi16(__mmask32 mask, const void* memory) {
    return masked_load<std::uint16_t>(_mm512_setzero_si512(), mask, memory);
}
inline __m512i mm512_mask_loadu_epi16(__m512i otherwise, __mmask32 mask, const void* memory) {
    return masked_load<std::uint16_t>(otherwise, mask, memory);
}
inline __m512i mm512_maskz_loadu_epi32(__mmask16 mask, const void* memory) {
    return masked_load<std::uint32_t>(_mm512_setzero_si512(), mask, memory);
}
inline __m512i mm512_mask_loadu_epi32(__m512i otherwise, __mmask16 mask, const void* memory) {
    return masked_load<std::uint32_t>(otherwise, mask, memory);
}
inline __m512i mm512_maskz_loadu_epi64(__mmask8 mask, const void* memory) {
    return masked_load<std::uint64_t>(_mm512_setzero_si512(), mask, memory);
}
inline __mmask16 mm512_mask_cmplt_epu32_mask(__mmask16 mask, __m512i a, __m512i b) {
    return __mmask16(masked_compare<std::uint32_t>(mask, a, b, less));
}
inline __mmask16 mm512_mask_cmpeq_epu32_mask(__mmask16 mask, __m512i a, __m512i b) {
    return __mmask16(masked_compare<std::uint32_t>(mask, a, b, equal));
}
inline __mmask32 mm512_mask_cmplt_epu16_mask(__mmask32 mask, __m512i a, __m512i b) {
    return __mmask32(masked_compare<std::uint16_t>(mask, a, b, less));
}
inline __mmask32 mm512_mask_cmpeq_epu16_mask(__mmask32 mask, __m512i a, __m512i b) {
    return __mmask32(masked_compare<std::uint16_t>(mask, a, b, equal));
}
inline __m512d mm512_cvtps_pd(__m256 narrow) {
    float values[8];
    double wide[8];
    __builtin_memcpy(values, &narrow, sizeof values);
    for (std::size_t i = 0; i < 8; ++i) wide[i] = double(values[i]);
    __m512d vector;
    __builtin_memcpy(&vector, wide, sizeof vector);
    return vector;
}
inline __m128i mm512_cvtepi64_epi16(__m512i wide) {
    const Lanes<std::uint64_t> lanes = lanes_of<std::uint64_t>(wide);
    std::uint16_t narrow[8];
    for (std::size_t i = 0; i < 8; ++i) narrow[i] = std::uint16_t(lanes.of[i]);
    __m128i vector;
    __builtin_memcpy(&vector, narrow, sizeof vector);
    return vector;
}

// Quarters of the result: two of a, then two of b, each chosen by two bits.
inline __m512i mm512_shuffle_i64x2(__m512i a, __m512i b, int control) {
    const Lanes<std::uint64_t> from[2] = {lanes_of<std::uint64_t>(a), lanes_of<std::uint64_t>(b)};
    Lanes<std::uint64_t> lanes;
    for (int quarter = 0; quarter < 4; ++quarter)
        for (int half = 0; half < 2; ++half)
            lanes.of[2 * quarter + half] =
                from[quarter / 2].of[2 * (control >> 2 * quarter & 3) + half];
    return vector_of(lanes);
}

inline __m512i mm512_srai_epi32(__m512i vector, unsigned bits) {
    Lanes<std::int32_t> lanes = lanes_of<std::int32_t>(vector);
    for (std::int32_t& lane : lanes.of) lane >>= bits;  // of a sign too, since C++20
    return vector_of(lanes);
}

}  // namespace emulated

// The compiler declares these names too, some as macros, for targets that have the instructions.
#undef _mm512_maskz_loadu_epi8
#undef _mm512_maskz_loadu_epi16
#undef _mm512_mask_loadu_epi16
#undef _mm512_maskz_loadu_epi32
#undef _mm512_mask_loadu_epi32
#undef _mm512_maskz_loadu_epi64
#undef _mm512_mask_cmplt_epu32_mask
#undef _mm512_mask_cmpeq_epu32_mask
#undef _mm512_mask_cmplt_epu16_mask
#undef _mm512_mask_cmpeq_epu16_mask
#undef _mm512_cvtps_pd
#undef _mm512_cvtepi64_epi16
#undef _mm512_shuffle_i64x2
#undef _mm512_srai_epi32
#define _mm512_maskz_loadu_epi8 emulated::mm512_maskz_loadu_epi8
#define _mm512_maskz_loadu_epi16 emulated::mm512_maskz_loadu_epi16
#define _mm512_mask_loadu_epi16 emulated::mm512_mask_loadu_epi16
#define _mm512_maskz_loadu_epi32 emulated::mm512_maskz_loadu_epi32
#define _mm512_mask_loadu_epi32 emulated::mm512_mask_loadu_epi32
#define _mm512_maskz_loadu_epi64 emulated::mm512_maskz_loadu_epi64
#define _mm512_mask_cmplt_epu32_mask emulated::mm512_mask_cmplt_epu32_mask
#define _mm512_mask_cmpeq_epu32_mask emulated::mm512_mask_cmpeq_epu32_mask
#define _mm512_mask_cmplt_epu16_mask emulated::mm512_mask_cmplt_epu16_mask
#define _mm512_mask_cmpeq_epu16_mask emulated::mm512_mask_cmpeq_epu16_mask
#define _mm512_cvtps_pd emulated::mm512_cvtps_pd
#define _mm512_cvtepi64_epi16 emulated::mm512_cvtepi64_epi16
#define _mm512_shuffle_i64x2 emulated::mm512_shuffle_i64x2
#define _mm512_srai_epi32 emulated::mm512_srai_epi32
