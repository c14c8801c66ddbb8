// Head norm, rotation and the write into the paged cache, one warp a (token, head). A head lives in
// registers, element lane + 32 i in slot i, so that both halves of a pair are reached by a shuffle
// or sit in the same lane; q goes back in place, k and v into their page.
#pragma once
#include "fp8.cuh"
#include "params.h"

namespace ms {

constexpr int kRopeNeox = 1;         // pairs (i, i + rotary_dim / 2)
constexpr int kRopeInterleaved = 2;  // pairs (2 i, 2 i + 1)

/// Elements of a head a lane holds; D = 80 leaves the last slot half empty.
template <int D>
struct HeadShape {
  static constexpr int kSlots = (D + kWarp - 1) / kWarp;
};

/// RMSNorm over the head.
template <int D>
MS_DEVICE void norm_head(float (&x)[HeadShape<D>::kSlots], const u16* weight, float eps,
                         float offset, int lane) {
  float squares = 0.f;
#pragma unroll
  for (int i = 0; i < HeadShape<D>::kSlots; ++i) squares += x[i] * x[i];
  float rstd = rsqrtf(warp_sum(squares) / (float)D + eps);
#pragma unroll
  for (int i = 0; i < HeadShape<D>::kSlots; ++i) {
    int e = lane + i * kWarp;
    if (e < D) x[i] *= rstd * (bf16_to_float(weight[e]) + offset);
  }
}

/// Rotates the first rotary_dim elements. The head passes through shared memory, because partial
/// rotations pair elements that no fixed shuffle reaches. row: this warp's [D] floats.
template <int D>
MS_DEVICE void rotate_head(float (&x)[HeadShape<D>::kSlots], const float* cos_sin, int rotary_dim,
                           int rope, float* row, int lane) {
#pragma unroll
  for (int i = 0; i < HeadShape<D>::kSlots; ++i) {
    int e = lane + i * kWarp;
    if (e < D) row[e] = x[i];
  }
  sync_warp();
  int half = rotary_dim / 2;
#pragma unroll
  for (int i = 0; i < HeadShape<D>::kSlots; ++i) {
    int e = lane + i * kWarp;
    if (e >= rotary_dim) continue;
    bool interleaved = rope == kRopeInterleaved;
    int pair = interleaved ? e / 2 : e % half;
    bool first = interleaved ? e % 2 == 0 : e < half;
    int partner = interleaved ? e ^ 1 : (first ? e + half : e - half);
    float cosine = cos_sin[pair], sine = cos_sin[half + pair];
    x[i] = first ? x[i] * cosine - row[partner] * sine : x[i] * cosine + row[partner] * sine;
  }
  sync_warp();
}

template <int D>
MS_DEVICE void qk_rope_kv(const RopeParams& p) {
  __shared__ float rows[kRopeThreads / kWarp][D];
  griddep_launch();
  griddep_wait();
  int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
  int heads = p.n_q_heads + 2 * p.kv.n_kv_heads;
  i64 unit = (i64)blockIdx.x * (kRopeThreads / kWarp) + warp;
  int t = (int)(unit / heads), head = (int)(unit % heads);
  if (t >= true_count(p.count, p.n_tokens))
    return;  // whole warps leave; none meets a block barrier
  bool is_q = head < p.n_q_heads, is_k = !is_q && head < p.n_q_heads + p.kv.n_kv_heads;
  i64 slot = p.kv_slots[t];
  if (!is_q && slot < 0) return;  // a padded token stores nothing
  u16* from = p.qkv + ((i64)t * heads + head) * D;
  float x[HeadShape<D>::kSlots];
#pragma unroll
  for (int i = 0; i < HeadShape<D>::kSlots; ++i) {
    int e = lane + i * kWarp;
    x[i] = e < D ? bf16_to_float(from[e]) : 0.f;
  }
  if (is_q || is_k) {
    const u16* weight = is_q ? p.q_weight : p.k_weight;
    if (weight != nullptr) norm_head<D>(x, weight, p.eps, p.weight_offset, lane);
    if (p.rope != 0) {
      int position = min_i(max_i(p.positions[t], 0), p.max_position - 1);
      rotate_head<D>(x, p.cos_sin + (i64)position * p.rotary_dim, p.rotary_dim, p.rope, rows[warp],
                     lane);
    }
  }
  if (is_q) {
#pragma unroll
    for (int i = 0; i < HeadShape<D>::kSlots; ++i) {
      int e = lane + i * kWarp;
      if (e < D) from[e] = float_to_bf16(x[i]);
    }
    return;
  }
  int kv_head = head - p.n_q_heads - (is_k ? 0 : p.kv.n_kv_heads);
  i64 block = slot / p.kv.block_size;
  int offset = (int)(slot % p.kv.block_size);
  u8* page = (is_k ? p.kv.k : p.kv.v) + block * p.kv.block_bytes + kv_head * p.kv.head_bytes;
  const float* scale = is_k ? p.kv.k_scale : p.kv.v_scale;
  float inverse = scale != nullptr ? 1.f / *scale : 1.f;
#pragma unroll
  for (int i = 0; i < HeadShape<D>::kSlots; ++i) {
    int e = lane + i * kWarp;
    if (e >= D) continue;
    if (p.fp8) {
      page[(i64)offset * D + e] = float_to_fp8(x[i] * inverse);
    } else {
      ((u16*)page)[(i64)offset * D + e] = float_to_bf16(x[i]);
    }
  }
}

}  // namespace ms
