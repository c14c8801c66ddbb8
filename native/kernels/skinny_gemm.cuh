// y[m <= 64, n] = x w^T with few tokens: memory-bound, so the weights are the stream. Weight rows
// are the 16 rows of the mma, tokens its 8 columns. Each of eight warps takes every eighth slice of
// k and loads its fragments straight from global memory, 16 bytes a lane: a dot product may visit k
// in any order as long as w and x agree, so lane t of a quad takes elements 8t .. 8t+7 of each 32.
// The first weights are requested before the wait for the previous kernel (programmatic dependent
// launch): nothing but weights may be. With several splits of k the last block to finish adds the
// parts in order. Equal (n, k, splits) give equal bits for a row, whatever the other rows are.
#pragma once
#include "fp8.cuh"
#include "params.h"
#include "rows.cuh"

namespace ms {

constexpr int kGemmWarps = 8;
constexpr int kGemmSlice = 32;                      // k elements of one fragment pair
constexpr int kGemmStep = kGemmSlice * kGemmWarps;  // k of one round of all warps

enum SkinnyEpilogue { kPlain = 0, kSiluMul = 1, kGeluMul = 2 };

/// Weights of one 32-wide slice of k: rows r and r + 8, eight elements each.
template <bool Fp8>
struct WeightSlice {
  Vec4 low, high;

  MS_DEVICE void load(const u8* low_row, const u8* high_row, int k) {
    if (Fp8) {
      // 8 bytes a lane and row.
      load_stream8(low_row + k, low.w[0], low.w[1]);
      load_stream8(high_row + k, high.w[0], high.w[1]);
    } else {
      low = load_stream(low_row + (i64)k * 2);
      high = load_stream(high_row + (i64)k * 2);
    }
  }
  /// A fragments of the two mma steps of the slice.
  MS_DEVICE void fragments(u32 (&a)[2][4]) const {
    if (Fp8) {
#pragma unroll
      for (int s = 0; s < 2; ++s) {
        a[s][0] = fp8x2_to_bf16x2(low.w[s]);
        a[s][1] = fp8x2_to_bf16x2(high.w[s]);
        a[s][2] = fp8x2_to_bf16x2(low.w[s] >> 16);
        a[s][3] = fp8x2_to_bf16x2(high.w[s] >> 16);
      }
    } else {
#pragma unroll
      for (int s = 0; s < 2; ++s) {
        a[s][0] = low.w[2 * s];
        a[s][1] = high.w[2 * s];
        a[s][2] = low.w[2 * s + 1];
        a[s][3] = high.w[2 * s + 1];
      }
    }
  }
};

/// Eight elements of x for token n of a tile; normalised up to the row's rstd when norm is given.
MS_DEVICE Vec4 load_x(const GemmParams& p, int token, int n_tokens, int k, float& squares) {
  Vec4 v = {{0, 0, 0, 0}};
  if (token >= n_tokens) return v;
  v = *(const Vec4*)(p.x + (i64)token * p.k + k);
  if (p.norm_weight == nullptr) return v;
  Vec4 w = *(const Vec4*)(p.norm_weight + k);
#pragma unroll
  for (int e = 0; e < 4; ++e) {
    float lo = bf16_lo(v.w[e]), hi = bf16_hi(v.w[e]);
    squares += lo * lo + hi * hi;
    v.w[e] = pack_bf16(lo * (bf16_lo(w.w[e]) + p.weight_offset),
                       hi * (bf16_hi(w.w[e]) + p.weight_offset));
  }
  return v;
}

/// The weight row of row r (0-15) of a tile. Gated: rows 0-7 gate, 8-15 the same features' up, so
/// that one thread's accumulators hold both. Rows past the end repeat the last and are not stored.
MS_DEVICE int weight_row(const GemmParams& p, int tile, int r) {
  if (p.epilogue == kPlain) return min_i(tile * 16 + r, p.n - 1);
  int feature = min_i(tile * 8 + r % 8, p.n - 1);
  return r < 8 ? feature : p.n + feature;
}

MS_DEVICE float gate(const GemmParams& p, float x) {
  return p.epilogue == kSiluMul ? silu(x) : gelu_tanh(x);
}

MS_DEVICE void store_y(const GemmParams& p, int token, int column, float y) {
  i64 at = (i64)token * p.n + column;
  if (p.residual != nullptr) y += bf16_to_float(p.residual[at]);
  if (p.y_f32) {
    ((float*)p.y)[at] = y;
  } else {
    ((u16*)p.y)[at] = float_to_bf16(y);
  }
}

/// sums: [16][Tokens + 1] complete dot products of the tile; rstd: [Tokens] factors.
template <int Tokens>
MS_DEVICE void skinny_epilogue(const GemmParams& p, int tile, int n_tokens, const float* sums,
                               const float* rstd) {
  constexpr int pitch = Tokens + 1;
  bool gated = p.epilogue != kPlain;
  int rows = gated ? 8 : 16;
  for (int e = threadIdx.x; e < rows * Tokens; e += kGemmThreads) {
    // Neighbouring threads take neighbouring columns of one token.
    int r = e % rows, token = e / rows;
    int column = tile * rows + r;
    if (token >= n_tokens || column >= p.n) continue;
    float value[2] = {0.f, 0.f};
    for (int h = 0; h < (gated ? 2 : 1); ++h) {
      int w = weight_row(p, tile, r + 8 * h);
      value[h] = sums[(r + 8 * h) * pitch + token] * rstd[token];
      if (p.w_scale != nullptr) value[h] *= p.w_scale[w];
      if (p.bias != nullptr) value[h] += bf16_to_float(p.bias[w]);
    }
    store_y(p, token, column, gated ? gate(p, value[0]) * value[1] : value[0]);
  }
}

/// NT: n8 tiles, 8 tokens each. Grid (tiles of weight rows, splits).
template <int NT, bool Fp8>
MS_DEVICE void skinny_gemm(const GemmParams& p) {
  constexpr int kTokens = NT * 8, kPitch = kTokens + 1;
  constexpr int kDepth = NT <= 2 ? 4 : 2;  // slices of weights in flight a warp
  __shared__ float warp_sums[kGemmWarps][16 * kPitch];
  __shared__ float rstd[kTokens];
  __shared__ float squares_of[kGemmWarps][kTokens];
  __shared__ int drawn;
  int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
  int tile = (int)blockIdx.x, split = (int)blockIdx.y;
  int wbytes = Fp8 ? 1 : 2;
  const u8* low_row = p.w + (i64)weight_row(p, tile, lane / 4) * p.k * wbytes;
  const u8* high_row = p.w + (i64)weight_row(p, tile, lane / 4 + 8) * p.k * wbytes;
  // Rounds of all warps over k; each split takes a run of them. In the last round of a k that is no
  // multiple of the step only the first warps have a slice.
  int rounds = ceil_div(p.k, kGemmStep);
  int per_split = ceil_div(rounds, p.splits);
  int begin = split * per_split, end = min_i(rounds, begin + per_split);
  int k_lane = warp * kGemmSlice + lane % 4 * 8;
  end = min_i(end, ceil_div(p.k - warp * kGemmSlice, kGemmStep));

  WeightSlice<Fp8> ahead[kDepth];
#pragma unroll
  for (int d = 0; d < kDepth; ++d) {
    if (begin + d < end) ahead[d].load(low_row, high_row, (begin + d) * kGemmStep + k_lane);
  }
  griddep_launch();
  griddep_wait();
  int n_tokens = true_count(p.count, p.m);

  float acc[NT][4];
  float squares[NT];
#pragma unroll
  for (int n = 0; n < NT; ++n) {
    squares[n] = 0.f;
#pragma unroll
    for (int i = 0; i < 4; ++i) acc[n][i] = 0.f;
  }
  for (int round = begin; round < end; round += kDepth) {
#pragma unroll
    for (int d = 0; d < kDepth; ++d) {
      if (round + d >= end) break;
      u32 a[2][4];
      ahead[d].fragments(a);
      int next = round + d + kDepth;
      if (next < end) ahead[d].load(low_row, high_row, next * kGemmStep + k_lane);
      int k = (round + d) * kGemmStep + k_lane;
#pragma unroll
      for (int n = 0; n < NT; ++n) {
        Vec4 x = load_x(p, n * 8 + lane / 4, n_tokens, k, squares[n]);
        mma_bf16(acc[n], a[0], x.w[0], x.w[1]);
        mma_bf16(acc[n], a[1], x.w[2], x.w[3]);
      }
    }
  }

  // Warps to one tile, in warp order.
#pragma unroll
  for (int n = 0; n < NT; ++n) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      int r = lane / 4 + (i >> 1) * 8, token = n * 8 + 2 * (lane % 4) + (i & 1);
      warp_sums[warp][r * kPitch + token] = acc[n][i];
    }
    float s = squares[n] + shfl_xor(squares[n], 1);
    s += shfl_xor(s, 2);
    if (lane % 4 == 0) squares_of[warp][n * 8 + lane / 4] = s;
  }
  sync_block();
  for (int e = threadIdx.x; e < 16 * kPitch; e += kGemmThreads) {
    if (e % kPitch == kTokens) continue;
    float sum = 0.f;
    for (int w = 0; w < kGemmWarps; ++w) sum += warp_sums[w][e];
    warp_sums[0][e] = sum;
  }
  for (int t = threadIdx.x; t < kTokens; t += kGemmThreads) {
    float sum = 0.f;
    for (int w = 0; w < kGemmWarps; ++w) sum += squares_of[w][t];
    rstd[t] = p.norm_weight != nullptr ? rsqrtf(sum / (float)p.k + p.eps) : 1.f;
  }
  sync_block();
  if (p.splits > 1) {
    // [tile][split][16][tokens]; a norm is refused with splits, so rstd is 1 everywhere.
    float* parts = p.partial + (i64)tile * p.splits * 16 * kTokens;
    for (int e = threadIdx.x; e < 16 * kTokens; e += kGemmThreads) {
      parts[(i64)split * 16 * kTokens + e] = warp_sums[0][e / kTokens * kPitch + e % kTokens];
    }
    fence_device();
    sync_block();
    if (threadIdx.x == 0) {
      drawn = atomic_add(p.tickets + tile, 1);
      if (drawn == p.splits - 1) p.tickets[tile] = 0;
    }
    sync_block();
    if (drawn != p.splits - 1) return;
    fence_device();
    for (int e = threadIdx.x; e < 16 * kTokens; e += kGemmThreads) {
      float sum = 0.f;
      for (int s = 0; s < p.splits; ++s) sum += load_l2(parts + (i64)s * 16 * kTokens + e);
      warp_sums[0][e / kTokens * kPitch + e % kTokens] = sum;
    }
    sync_block();
  }
  skinny_epilogue<kTokens>(p, tile, n_tokens, warp_sums[0], rstd);
}

}  // namespace ms
