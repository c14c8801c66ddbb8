// Paged split-KV decode attention. One block = one work item (a row's chunk of keys) and one
// key/value head; its up to 16 query heads are the 16 rows of the mma. Four warps share each
// 64-token tile, 16 tokens each, with their own softmax state; they merge once at the end. Rows
// split over several items are merged by the last block to finish, in chunk order, so the result is
// the same in every run. After FlashDecoding and FlashInfer's plan/run split; the ticket merge
// saves a launch.
#pragma once
#include "kv_tile.cuh"

namespace ms {

template <int D, bool Fp8>
struct DecodeShape {
  static constexpr int kStages = decode_stages(D);
  static constexpr int kTileBytes = kDecodeTile * KvRow<D, Fp8>::kPitch;
};

/// Query fragments. For fp8 keys the k index is permuted (see fp8_key_scores) and q becomes f16.
template <int D, bool Fp8>
MS_DEVICE void load_query(u32 (&a)[D / 16][4], const u16* q, int group, int lane) {
  int row = lane / 4, t = lane % 4;
  for (int half = 0; half < 2; ++half) {
    int head = row + half * 8;
    const u16* from = q + (i64)head * D;
#pragma unroll
    for (int kk = 0; kk < D / 16; ++kk) {
      u32 lo = 0, hi = 0;
      if (head < group) {
        lo = *(const u32*)(from + kk * 16 + (Fp8 ? 4 * t : 2 * t));
        hi = *(const u32*)(from + kk * 16 + (Fp8 ? 4 * t + 2 : 2 * t + 8));
        if (Fp8) {
          lo = pack_f16(bf16_lo(lo), bf16_hi(lo));
          hi = pack_f16(bf16_lo(hi), bf16_hi(hi));
        }
      }
      a[kk][half] = lo;
      a[kk][half + 2] = hi;
    }
  }
}

/// s[n] = q . k for the warp's 16 tokens (n: tokens 0-7, 8-15).
template <int D>
MS_DEVICE void bf16_key_scores(float (&s)[2][4], const u32 (&a)[D / 16][4], const u8* k_tile,
                               int token, int lane) {
#pragma unroll
  for (int kk = 0; kk < D / 16; ++kk) {
    u32 b[4];
    ldmatrix_x4(b, key_fragment(k_tile, KvRow<D, false>::kPitch, token, kk * 16, lane));
    mma_bf16(s[0], a[kk], b[0], b[1]);
    mma_bf16(s[1], a[kk], b[2], b[3]);
  }
}

/// A dot product may visit its elements in any order, as long as q and k agree: lane t takes bytes
/// 4t .. 4t+3 of each 16, one 32-bit load, where the layout asks for 2t, 2t+1, 2t+8, 2t+9.
template <int D>
MS_DEVICE void fp8_key_scores(float (&s)[2][4], const u32 (&a)[D / 16][4], const u8* k_tile,
                              int token, int lane) {
#pragma unroll
  for (int n = 0; n < 2; ++n) {
    const u8* row = k_tile + (token + n * 8 + lane / 4) * KvRow<D, true>::kPitch + 4 * (lane % 4);
#pragma unroll
    for (int kk = 0; kk < D / 16; ++kk) {
      u32 bytes = *(const u32*)(row + kk * 16);
      mma_f16(s[n], a[kk], fp8x2_to_f16x2(bytes), fp8x2_to_f16x2(bytes >> 16));
    }
  }
}

template <int D>
MS_DEVICE void bf16_add_values(float (&o)[D / 8][4], const u32 (&p)[4], const u8* v_tile, int token,
                               int lane) {
#pragma unroll
  for (int d = 0; d < D / 16; ++d) {
    u32 b[4];
    ldmatrix_x4_trans(b, value_fragment(v_tile, KvRow<D, false>::kPitch, token, d * 16, lane));
    mma_bf16(o[2 * d], p, b[0], b[1]);
    mma_bf16(o[2 * d + 1], p, b[2], b[3]);
  }
}

/// Columns are permuted: fragment 2d + i, column c holds element 16 d + 2 c + i, so that one 16-bit
/// load feeds two fragments. fp8_column undoes it.
template <int D>
MS_DEVICE void fp8_add_values(float (&o)[D / 8][4], const u32 (&p)[4], const u8* v_tile, int token,
                              int lane) {
  int c = lane / 4, t = lane % 4;
  const u8* from = v_tile + (token + 2 * t) * KvRow<D, true>::kPitch + 2 * c;
  constexpr int pitch = KvRow<D, true>::kPitch;
#pragma unroll
  for (int d = 0; d < D / 16; ++d) {
    u32 r0 = *(const u16*)(from + d * 16), r1 = *(const u16*)(from + d * 16 + pitch);
    u32 r8 = *(const u16*)(from + d * 16 + 8 * pitch);
    u32 r9 = *(const u16*)(from + d * 16 + 9 * pitch);
    // Byte i of each row goes to fragment 2d + i: tokens 2t, 2t+1 and 2t+8, 2t+9.
    u32 low = r0 | r1 << 16, high = r8 | r9 << 16;
    u32 even0 = fp8x2_to_f16x2((low & 0xffu) | ((low >> 8) & 0xff00u));
    u32 even1 = fp8x2_to_f16x2((high & 0xffu) | ((high >> 8) & 0xff00u));
    u32 odd0 = fp8x2_to_f16x2(((low >> 8) & 0xffu) | ((low >> 16) & 0xff00u));
    u32 odd1 = fp8x2_to_f16x2(((high >> 8) & 0xffu) | ((high >> 16) & 0xff00u));
    mma_f16(o[2 * d], p, even0, even1);
    mma_f16(o[2 * d + 1], p, odd0, odd1);
  }
}

/// The element of the head that fragment n, accumulator i of this lane holds.
template <bool Fp8>
MS_DEVICE int value_column(int n, int i, int lane) {
  int c = 2 * (lane % 4) + i;
  return Fp8 ? n / 2 * 16 + 2 * c + n % 2 : n * 8 + c;
}

/// One warp's share of the chunk: state and unnormalised output of 16 rows.
template <int D, bool Fp8>
struct DecodeWarp {
  u32 q[D / 16][4];
  float o[D / 8][4];
  RowSoftmax state[2];

  MS_DEVICE void tile(const DecodeParams& p, const u8* k_tile, const u8* v_tile, int warp,
                      int first, int low, int high, float k_scale, int lane) {
    int token = warp * 16;
    float s[2][4] = {};
    if (Fp8) {
      fp8_key_scores<D>(s, q, k_tile, token, lane);
    } else {
      bf16_key_scores<D>(s, q, k_tile, token, lane);
    }
    float top[2] = {kMasked, kMasked};
#pragma unroll
    for (int n = 0; n < 2; ++n) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        int position = first + token + n * 8 + 2 * (lane % 4) + (i & 1);
        bool seen = position >= low && position < high;
        s[n][i] = seen ? score_log2(s[n][i], p.scale * k_scale, p.softcap) : kMasked;
        top[i >> 1] = fmaxf(top[i >> 1], s[n][i]);
      }
    }
    float factor[2] = {state[0].raise(top[0]), state[1].raise(top[1])};
#pragma unroll
    for (int n = 0; n < D / 8; ++n) {
#pragma unroll
      for (int i = 0; i < 4; ++i) o[n][i] *= factor[i >> 1];
    }
#pragma unroll
    for (int n = 0; n < 2; ++n) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        s[n][i] = exp2_fast(s[n][i] - state[i >> 1].top);
        state[i >> 1].sum += s[n][i];
      }
    }
    // The accumulator layout of two n-tiles is the A layout of one 16 x 16 tile.
    u32 a[4];
#pragma unroll
    for (int n = 0; n < 2; ++n) {
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        a[2 * n + h] =
            Fp8 ? pack_f16(s[n][2 * h], s[n][2 * h + 1]) : pack_bf16(s[n][2 * h], s[n][2 * h + 1]);
      }
    }
    if (Fp8) {
      fp8_add_values<D>(o, a, v_tile, token, lane);
    } else {
      bf16_add_values<D>(o, a, v_tile, token, lane);
    }
  }
};

/// Adds the sink, an optional logit without a value, and normalises. No mass at all: zero.
MS_DEVICE float finish(float value, float sum, float top, const float* sinks, int head) {
  if (sinks != nullptr) {
    float sink = sinks[head] * kLog2e;
    float next = fmaxf(top, sink);
    float factor = exp2_fast(top - next);
    value *= factor;
    sum = sum * factor + exp2_fast(sink - next);
  }
  return sum == 0.f ? 0.f : value / sum;  // a sum that is no number must show
}

/// Merges partial outputs of one row and head, [item][D values, top, sum], in item order.
template <int D>
MS_DEVICE void merge_items(const DecodeParams& p, int row, int head, int first_item, int n_items) {
  i64 stride = (i64)p.n_q_heads * (D + 2);
  const float* from = p.partial + (i64)first_item * stride + (i64)head * (D + 2);
  float top = kLowest;
  for (int i = 0; i < n_items; ++i) top = fmaxf(top, load_l2(from + i * stride + D));
  for (int d = threadIdx.x % kWarp; d < D; d += kWarp) {
    float value = 0.f, sum = 0.f;
    for (int i = 0; i < n_items; ++i) {
      float weight = exp2_fast(load_l2(from + i * stride + D) - top);
      value += weight * load_l2(from + i * stride + d);
      sum += weight * load_l2(from + i * stride + D + 1);
    }
    p.out[((i64)row * p.n_q_heads + head) * D + d] =
        float_to_bf16(finish(value, sum, top, p.sinks, head));
  }
}

/// Combines the four warps' states in shared memory and writes the block's result.
template <int D, bool Fp8>
MS_DEVICE void decode_epilogue(const DecodeParams& p, DecodeWarp<D, Fp8>& w, u8* shared, int row,
                               int kv_head, int item, int first_item, int n_items, float v_scale) {
  constexpr int kPitch = D + 2;
  float* merge = (float*)shared;
  int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
  for (int h = 0; h < 2; ++h) {
    float* to = merge + (warp * kDecodeRows + lane / 4 + 8 * h) * kPitch;
    float sum = w.state[h].quad_sum();
#pragma unroll
    for (int n = 0; n < D / 8; ++n) {
      to[value_column<Fp8>(n, 0, lane)] = w.o[n][2 * h];
      to[value_column<Fp8>(n, 1, lane)] = w.o[n][2 * h + 1];
    }
    if (lane % 4 == 0) {
      to[D] = w.state[h].top;
      to[D + 1] = sum;
    }
  }
  sync_block();
  for (int e = threadIdx.x; e < p.group * D; e += kDecodeThreads) {
    int r = e / D, d = e % D, head = kv_head * p.group + r;
    float top = kLowest;
    for (int i = 0; i < kDecodeWarps; ++i) {
      top = fmaxf(top, merge[(i * kDecodeRows + r) * kPitch + D]);
    }
    float value = 0.f, sum = 0.f;
    for (int i = 0; i < kDecodeWarps; ++i) {
      const float* from = merge + (i * kDecodeRows + r) * kPitch;
      float weight = exp2_fast(from[D] - top);
      value += weight * from[d];
      sum += weight * from[D + 1];
    }
    value *= v_scale;
    if (n_items == 1) {
      p.out[((i64)row * p.n_q_heads + head) * D + d] =
          float_to_bf16(finish(value, sum, top, p.sinks, head));
    } else {
      float* to = p.partial + ((i64)(first_item + item) * p.n_q_heads + head) * kPitch;
      to[d] = value;
      if (d == 0) {
        to[D] = top;
        to[D + 1] = sum;
      }
    }
  }
  if (n_items == 1) return;
  fence_device();  // partials before the ticket, for whoever draws the last one
  sync_block();
  int* drawn = (int*)shared;
  if (threadIdx.x == 0) {
    int* ticket = p.tickets + (i64)row * p.kv.n_kv_heads + kv_head;
    drawn[0] = atomic_add(ticket, 1);
    if (drawn[0] == n_items - 1) *ticket = 0;  // nobody else draws it in this launch
  }
  sync_block();
  if (drawn[0] != n_items - 1) return;
  fence_device();
  for (int r = warp; r < p.group; r += kDecodeWarps) {
    merge_items<D>(p, row, kv_head * p.group + r, first_item, n_items);
  }
}

template <int D, bool Fp8>
MS_DEVICE void attn_decode(const DecodeParams& p) {
  using Shape = DecodeShape<D, Fp8>;
  MS_SHARED_BYTES(shared);
  griddep_launch();
  griddep_wait();
  int j = (int)blockIdx.x, kv_head = (int)blockIdx.y;
  if (j >= true_count(p.work_count, p.n_work)) return;
  int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
  int row = p.work_row[j], chunk = p.work_chunk[j], context = p.context_len[row];
  int chunk_tokens = p.chunk_tokens > 0 ? p.chunk_tokens : p.work_count[1];
  int first_item = p.work_indptr[row], n_items = p.work_indptr[row + 1] - first_item;
  int visible = p.window > 0 ? max_i(0, context - p.window) : 0;
  int item = chunk - visible / chunk_tokens;
  int low = max_i(chunk * chunk_tokens, visible);
  int high = min_i(context, chunk * chunk_tokens + chunk_tokens);
  int start = low / kDecodeTile * kDecodeTile;
  int n_tiles = high > low ? ceil_div(high - start, kDecodeTile) : 0;
  const int* table = p.block_table + (i64)p.slot[row] * p.max_blocks;

  DecodeWarp<D, Fp8> w;
  const u16* q = p.q + (i64)row * p.q_stride + (i64)kv_head * p.group * D;
  load_query<D, Fp8>(w.q, q, p.group, lane);
#pragma unroll
  for (int n = 0; n < D / 8; ++n) {
#pragma unroll
    for (int i = 0; i < 4; ++i) w.o[n][i] = 0.f;
  }
  w.state[0].reset();
  w.state[1].reset();
  float k_scale = p.kv.k_scale != nullptr ? *p.kv.k_scale : 1.f;
  float v_scale = p.kv.v_scale != nullptr ? *p.kv.v_scale : 1.f;

  auto stage = [&](int tile) {
    u8* k_tile = shared + tile % Shape::kStages * 2 * Shape::kTileBytes;
    load_kv_tile<D, Fp8, kDecodeTile, kDecodeThreads>(p.kv, table, kv_head,
                                                      start + tile * kDecodeTile, low, high, k_tile,
                                                      k_tile + Shape::kTileBytes);
  };
  for (int t = 0; t < Shape::kStages - 1; ++t) {
    if (t < n_tiles) stage(t);
    cp_async_commit();
  }
  for (int t = 0; t < n_tiles; ++t) {
    cp_async_wait<Shape::kStages - 2>();
    sync_block();  // tile t is there for all, and tile t - 1 is done with
    if (t + Shape::kStages - 1 < n_tiles) stage(t + Shape::kStages - 1);
    cp_async_commit();  // also when empty: the wait counts groups
    const u8* k_tile = shared + t % Shape::kStages * 2 * Shape::kTileBytes;
    w.tile(p, k_tile, k_tile + Shape::kTileBytes, warp, start + t * kDecodeTile, low, high, k_scale,
           lane);
  }
  cp_async_wait<0>();
  sync_block();
  decode_epilogue<D, Fp8>(p, w, shared, row, kv_head, item, first_item, n_items, v_scale);
}

}  // namespace ms
