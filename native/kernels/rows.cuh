// Kernels that move or combine whole rows: embedding, gather, gated activation, block copy.
#pragma once
#include "params.h"
#include "ptx.cuh"

namespace ms {

MS_DEVICE float silu(float x) { return x / (1.f + expf(-x)); }
MS_DEVICE float gelu_tanh(float x) {
  return 0.5f * x * (1.f + tanhf(0.7978845608028654f * (x + 0.044715f * x * x * x)));
}

/// One warp a token.
MS_DEVICE void embed(const EmbedParams& p) {
  griddep_launch();
  griddep_wait();
  int t = (int)blockIdx.x * (kRowThreads / kWarp) + (int)threadIdx.x / kWarp;
  if (t >= true_count(p.count, p.n_tokens)) return;
  int id = p.ids[t];
  if (id < 0 || id >= p.vocab) id = 0;
  const u16* from = p.table + (i64)id * p.hidden;
  u16* to = p.out + (i64)t * p.hidden;
  for (int v = threadIdx.x % kWarp; v < p.hidden / 8; v += kWarp) {
    Vec4 x = *(const Vec4*)(from + v * 8);
    if (p.scale != 1.f) {
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        x.w[e] = pack_bf16(bf16_lo(x.w[e]) * p.scale, bf16_hi(x.w[e]) * p.scale);
      }
    }
    *(Vec4*)(to + v * 8) = x;
  }
}

/// One block a row.
MS_DEVICE void gather_rows(const GatherParams& p) {
  griddep_launch();
  griddep_wait();
  int t = (int)blockIdx.x;
  if (t >= true_count(p.count, p.n_rows)) return;
  int index = p.index[t];
  if (index < 0) return;
  const u16* from = p.x + (i64)index * p.columns;
  u16* to = p.out + (i64)t * p.columns;
  for (int v = threadIdx.x; v < p.columns / 8; v += kRowThreads) {
    *(Vec4*)(to + v * 8) = *(const Vec4*)(from + v * 8);
  }
}

/// Grid (column parts, tokens folded over x): one thread eight features.
MS_DEVICE void act_mul(const ActParams& p) {
  griddep_launch();
  griddep_wait();
  int vecs = p.features / 8;
  i64 i = (i64)blockIdx.x * kRowThreads + threadIdx.x;
  i64 t = i / vecs;
  if (t >= true_count(p.count, p.n_tokens)) return;
  int v = (int)(i % vecs);
  const u16* row = p.gate_up + t * 2 * p.features;
  Vec4 g = *(const Vec4*)(row + v * 8), u = *(const Vec4*)(row + p.features + v * 8), out;
#pragma unroll
  for (int e = 0; e < 4; ++e) {
    float lo = bf16_lo(g.w[e]), hi = bf16_hi(g.w[e]);
    lo = p.activation == 0 ? silu(lo) : gelu_tanh(lo);
    hi = p.activation == 0 ? silu(hi) : gelu_tanh(hi);
    out.w[e] = pack_bf16(lo * bf16_lo(u.w[e]), hi * bf16_hi(u.w[e]));
  }
  *(Vec4*)(p.out + t * p.features + v * 8) = out;
}

/// Grid (pairs, planes): one block copies one block of one layer's keys or values.
MS_DEVICE void block_copy(const BlockCopyParams& p) {
  griddep_launch();
  griddep_wait();
  int pair = (int)blockIdx.x;
  i64 plane = blockIdx.y;
  if (pair >= true_count(p.count, p.n_pairs)) return;
  const u8* from = p.source + (plane * p.source_blocks + p.from[pair]) * p.block_bytes;
  u8* to = p.target + (plane * p.target_blocks + p.to[pair]) * p.block_bytes;
  for (i64 v = threadIdx.x; v < p.block_bytes / 16; v += kRowThreads) {
    *(Vec4*)(to + v * 16) = *(const Vec4*)(from + v * 16);
  }
}

}  // namespace ms
