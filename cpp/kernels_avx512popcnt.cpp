// The AVX-512 level for CPUs that count the bits of a vector (Ice Lake, Zen 4 and later).
// level: avx512popcnt
// processors: x86_64 AMD64 amd64
// flags: -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni -mavx512vpopcntdq -mbmi -mbmi2 -mpopcnt -mlzcnt -Wno-unknown-warning-option -Wno-uninitialized -Wno-maybe-uninitialized
#define LOOKALIKE_VPOPCNT
#include "kernels_avx512.cpp"
