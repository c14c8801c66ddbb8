// Integer names, vector type and the words that device code is written with. No system header: one
// source compiles under nvcc, NVRTC and, with MS_EMULATE, as host C++ that runs thread by thread.
#pragma once

#if defined(MS_EMULATE)
#include "../emu/emu.h"
#else
#define MS_DEVICE __device__ __forceinline__
#define MS_SHARED_BYTES(name) extern __shared__ __align__(128) unsigned char name[]
#define MS_KERNEL(name, Params, threads) \
  extern "C" __global__ void __launch_bounds__(threads, 1) name(const __grid_constant__ Params p)
#endif

namespace ms {

using u8 = unsigned char;
using u16 = unsigned short;
using u32 = unsigned int;
using u64 = unsigned long long;
using i64 = long long;

/// 16 bytes, moved by one instruction.
struct alignas(16) Vec4 {
  u32 w[4];
};

constexpr int kWarp = 32;
constexpr float kLog2e = 1.4426950408889634f;
/// The running maximum before any score: finite, so that exp2(-inf - kLowest) is 0 and never NaN.
constexpr float kLowest = -1e30f;

MS_DEVICE int ceil_div(int a, int b) { return (a + b - 1) / b; }
MS_DEVICE int min_i(int a, int b) { return a < b ? a : b; }
MS_DEVICE int max_i(int a, int b) { return a > b ? a : b; }

/// The true count of a step: the device counter where there is one, clipped to the bound.
MS_DEVICE int true_count(const int* count, int bound) {
  if (count == nullptr) return bound;
  int n = *count;
  return n < bound ? n : bound;
}

}  // namespace ms
