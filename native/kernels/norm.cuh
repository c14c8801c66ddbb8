// Residual add and RMSNorm in one pass: one block a token, the row held in registers between the
// sum of squares and the scaling, sums in f32. Also the per-row fp8 quantisation, which has its
// shape.
#pragma once
#include "fp8.cuh"
#include "params.h"

namespace ms {

/// A row's scale for fp8. Rows of next to nothing are nothing: the inverse of their scale would be
/// infinite, and their zeros times it no number.
MS_DEVICE float fp8_row_scale(float top) { return top > 1e-30f ? top / kFp8Max : 1.f; }

/// Writes eight floats as fp8.
MS_DEVICE void store_fp8(u8* to, const float (&x)[8], float inverse_scale) {
  u32 w[2] = {0, 0};
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    w[i / 4] |= (u32)float_to_fp8(x[i] * inverse_scale) << (i % 4 * 8);
  }
  *(u32*)to = w[0];
  *(u32*)(to + 4) = w[1];
}

template <int Vecs, bool Fp8Out>
MS_DEVICE void add_rmsnorm(const NormParams& p) {
  __shared__ float scratch[32];
  griddep_launch();
  griddep_wait();
  int t = (int)blockIdx.x;
  if (t >= true_count(p.count, p.n_tokens)) return;
  i64 row = (i64)t * p.hidden;
  int vecs = p.hidden / 8;
  float h[Vecs][8];
  float squares = 0.f;
#pragma unroll
  for (int i = 0; i < Vecs; ++i) {
    int v = (int)threadIdx.x + i * kNormThreads;
    if (v >= vecs) continue;
    Vec4 x = *(const Vec4*)(p.x + row + v * 8);
    Vec4 r = {{0, 0, 0, 0}};
    if (p.residual != nullptr) r = *(const Vec4*)(p.residual + row + v * 8);
    Vec4 sum;
#pragma unroll
    for (int e = 0; e < 4; ++e) {
      float lo = bf16_lo(x.w[e]) + bf16_lo(r.w[e]), hi = bf16_hi(x.w[e]) + bf16_hi(r.w[e]);
      // The stored residual is what later layers see, so its rounded value is normalised.
      sum.w[e] = pack_bf16(lo, hi);
      h[i][2 * e] = bf16_lo(sum.w[e]);
      h[i][2 * e + 1] = bf16_hi(sum.w[e]);
      squares += h[i][2 * e] * h[i][2 * e] + h[i][2 * e + 1] * h[i][2 * e + 1];
    }
    if (p.residual != nullptr) *(Vec4*)(p.residual + row + v * 8) = sum;
  }
  float rstd = rsqrtf(block_sum(squares, scratch) / (float)p.hidden + p.eps);
  float top = 0.f;
#pragma unroll
  for (int i = 0; i < Vecs; ++i) {
    int v = (int)threadIdx.x + i * kNormThreads;
    if (v >= vecs) continue;
    Vec4 w = *(const Vec4*)(p.weight + v * 8);
#pragma unroll
    for (int e = 0; e < 4; ++e) {
      h[i][2 * e] *= rstd * (bf16_lo(w.w[e]) + p.weight_offset);
      h[i][2 * e + 1] *= rstd * (bf16_hi(w.w[e]) + p.weight_offset);
      top = fmaxf(top, fmaxf(fabsf(h[i][2 * e]), fabsf(h[i][2 * e + 1])));
    }
  }
  float scale = 1.f;
  if (Fp8Out) {
    top = block_max(top, scratch);
    scale = fp8_row_scale(top);
    if (threadIdx.x == 0) p.out_scale[t] = scale;
  }
#pragma unroll
  for (int i = 0; i < Vecs; ++i) {
    int v = (int)threadIdx.x + i * kNormThreads;
    if (v >= vecs) continue;
    if (Fp8Out) {
      store_fp8((u8*)p.out + row + v * 8, h[i], 1.f / scale);
    } else {
      Vec4 out;
#pragma unroll
      for (int e = 0; e < 4; ++e) out.w[e] = pack_bf16(h[i][2 * e], h[i][2 * e + 1]);
      *(Vec4*)((u16*)p.out + row + v * 8) = out;
    }
  }
}

/// Per-row absolute-maximum quantisation; the row is read twice, the second time from cache.
MS_DEVICE void quant_fp8(const QuantParams& p) {
  __shared__ float scratch[32];
  griddep_launch();
  griddep_wait();
  int t = (int)blockIdx.x;
  if (t >= true_count(p.count, p.n_rows)) return;
  i64 row = (i64)t * p.columns;
  float top = 0.f;
  for (int v = threadIdx.x; v < p.columns / 8; v += kNormThreads) {
    Vec4 x = *(const Vec4*)(p.x + row + v * 8);
#pragma unroll
    for (int e = 0; e < 4; ++e) {
      top = fmaxf(top, fmaxf(fabsf(bf16_lo(x.w[e])), fabsf(bf16_hi(x.w[e]))));
    }
  }
  top = block_max(top, scratch);
  float scale = fp8_row_scale(top);
  if (threadIdx.x == 0) p.scale[t] = scale;
  for (int v = threadIdx.x; v < p.columns / 8; v += kNormThreads) {
    Vec4 x = *(const Vec4*)(p.x + row + v * 8);
    float values[8];
#pragma unroll
    for (int e = 0; e < 4; ++e) {
      values[2 * e] = bf16_lo(x.w[e]);
      values[2 * e + 1] = bf16_hi(x.w[e]);
    }
    store_fp8(p.out + row + v * 8, values, 1.f / scale);
  }
}

}  // namespace ms
