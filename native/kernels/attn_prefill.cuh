// Paged causal attention of a chunk of new tokens over prefix and chunk. One block = one tile of
// query rows of one sequence and one key/value head: the group's heads are packed into the rows
// (row r is token r / group, head r % group), so that keys are read once for all of them. Each warp
// owns 16 rows and runs over all keys with its own softmax state. After FlashAttention-2.
#pragma once
#include "kv_tile.cuh"

namespace ms {

template <int D>
struct PrefillShape {
  static constexpr int kRows = prefill_rows(D);
  static constexpr int kKeys = prefill_keys(D);
  static constexpr int kThreads = prefill_threads(D);
  static constexpr int kPitch = KvRow<D, false>::kPitch;  // tiles are 16-bit for every cache type
  static constexpr int kQueryBytes = kRows * kPitch;
  static constexpr int kTileBytes = kKeys * kPitch;
};

/// fp8 keys and values are widened to f16 on their way to shared memory: exact, and every warp
/// reads every tile, so widening later would repeat the work. Scales are applied to scores and
/// output.
template <int D, int Rows, int Threads>
MS_DEVICE void widen_kv_tile(const KvView& kv, const int* table, int head, int first, int low,
                             int high, u8* k_tile, u8* v_tile) {
  constexpr int vecs = D / 16, pitch = KvRow<D, false>::kPitch;
  for (int i = threadIdx.x; i < Rows * vecs; i += Threads) {
    int token = i / vecs, vec = i % vecs, position = first + token;
    bool valid = position >= low && position < high;
    i64 offset = valid ? kv_offset(kv, table, position, head, D) + vec * 16 : 0;
    Vec4 k = {{0, 0, 0, 0}}, v = {{0, 0, 0, 0}};
    if (valid) {
      k = *(const Vec4*)(kv.k + offset);
      v = *(const Vec4*)(kv.v + offset);
    }
    int to = token * pitch + vec * 32;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      Vec4 wide_k, wide_v;
#pragma unroll
      for (int e = 0; e < 2; ++e) {
        wide_k.w[2 * e] = fp8x2_to_f16x2(k.w[2 * half + e]);
        wide_k.w[2 * e + 1] = fp8x2_to_f16x2(k.w[2 * half + e] >> 16);
        wide_v.w[2 * e] = fp8x2_to_f16x2(v.w[2 * half + e]);
        wide_v.w[2 * e + 1] = fp8x2_to_f16x2(v.w[2 * half + e] >> 16);
      }
      *(Vec4*)(k_tile + to + half * 16) = wide_k;
      *(Vec4*)(v_tile + to + half * 16) = wide_v;
    }
  }
}

template <bool Fp8>
MS_DEVICE void mma_half(float (&c)[4], const u32 (&a)[4], u32 b0, u32 b1) {
  if (Fp8) {
    mma_f16(c, a, b0, b1);
  } else {
    mma_bf16(c, a, b0, b1);
  }
}

/// Query rows of the tile into shared memory, zeros past the last; f16 for an fp8 cache.
template <int D, bool Fp8>
MS_DEVICE void load_query_tile(const PrefillParams& p, u8* to, int first_token, int n_rows,
                               int kv_head) {
  using Shape = PrefillShape<D>;
  constexpr int vecs = D / 8;
  for (int i = threadIdx.x; i < Shape::kRows * vecs; i += Shape::kThreads) {
    int r = i / vecs, vec = i % vecs;
    Vec4 v = {{0, 0, 0, 0}};
    if (r < n_rows) {
      i64 token = first_token + r / p.group;
      int head = kv_head * p.group + r % p.group;
      v = *(const Vec4*)(p.q + token * p.q_stride + (i64)head * D + vec * 8);
      if (Fp8) {
#pragma unroll
        for (int e = 0; e < 4; ++e) v.w[e] = pack_f16(bf16_lo(v.w[e]), bf16_hi(v.w[e]));
      }
    }
    *(Vec4*)(to + r * Shape::kPitch + vec * 16) = v;
  }
}

template <int D, bool Fp8>
struct PrefillWarp {
  using Shape = PrefillShape<D>;
  static constexpr int kN = Shape::kKeys / 8;
  float o[D / 8][4];
  RowSoftmax state[2];

  /// seen[h]: [low, high) of row lane / 4 + 8 h.
  MS_DEVICE void tile(const PrefillParams& p, const u8* q_tile, const u8* k_tile, const u8* v_tile,
                      int first, const int (&low)[2], const int (&high)[2], float scale, int lane) {
    float s[kN][4];
#pragma unroll
    for (int n = 0; n < kN; ++n) {
#pragma unroll
      for (int i = 0; i < 4; ++i) s[n][i] = 0.f;
    }
#pragma unroll
    for (int kk = 0; kk < D / 16; ++kk) {
      u32 a[4];  // rows 0-7 and 8-15 of elements 0-7, then of elements 8-15
      ldmatrix_x4(a, q_tile + (lane % 16) * Shape::kPitch + (kk * 16 + lane / 16 * 8) * 2);
#pragma unroll
      for (int n = 0; n < kN / 2; ++n) {
        u32 b[4];
        ldmatrix_x4(b, key_fragment(k_tile, Shape::kPitch, n * 16, kk * 16, lane));
        mma_half<Fp8>(s[2 * n], a, b[0], b[1]);
        mma_half<Fp8>(s[2 * n + 1], a, b[2], b[3]);
      }
    }
    float top[2] = {kMasked, kMasked};
#pragma unroll
    for (int n = 0; n < kN; ++n) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        int position = first + n * 8 + 2 * (lane % 4) + (i & 1), h = i >> 1;
        bool seen = position >= low[h] && position < high[h];
        s[n][i] = seen ? score_log2(s[n][i], scale, p.softcap) : kMasked;
        top[h] = fmaxf(top[h], s[n][i]);
      }
    }
    float factor[2] = {state[0].raise(top[0]), state[1].raise(top[1])};
#pragma unroll
    for (int n = 0; n < D / 8; ++n) {
#pragma unroll
      for (int i = 0; i < 4; ++i) o[n][i] *= factor[i >> 1];
    }
#pragma unroll
    for (int n = 0; n < kN; ++n) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        s[n][i] = exp2_fast(s[n][i] - state[i >> 1].top);
        state[i >> 1].sum += s[n][i];
      }
    }
#pragma unroll
    for (int n = 0; n < kN / 2; ++n) {
      u32 a[4];
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        const float* from = &s[2 * n + e / 2][e % 2 * 2];
        a[e] = Fp8 ? pack_f16(from[0], from[1]) : pack_bf16(from[0], from[1]);
      }
#pragma unroll
      for (int d = 0; d < D / 16; ++d) {
        u32 b[4];
        ldmatrix_x4_trans(b, value_fragment(v_tile, Shape::kPitch, n * 16, d * 16, lane));
        mma_half<Fp8>(o[2 * d], a, b[0], b[1]);
        mma_half<Fp8>(o[2 * d + 1], a, b[2], b[3]);
      }
    }
  }

  MS_DEVICE void write(const PrefillParams& p, int first_token, int n_rows, int warp_row,
                       int kv_head, float v_scale, int lane) {
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      float sum = state[h].quad_sum(), factor = v_scale;
      int r = warp_row + lane / 4 + 8 * h;
      if (r >= n_rows) continue;
      int head = kv_head * p.group + r % p.group;
      if (p.sinks != nullptr) {
        float sink = p.sinks[head] * kLog2e, next = fmaxf(state[h].top, sink);
        float shrink = exp2_fast(state[h].top - next);
        factor *= shrink;
        sum = sum * shrink + exp2_fast(sink - next);
      }
      factor = sum == 0.f ? 0.f : factor / sum;  // a sum that is no number must show
      i64 token = first_token + r / p.group;
      u16* to = p.out + (token * p.n_q_heads + head) * D + 2 * (lane % 4);
#pragma unroll
      for (int n = 0; n < D / 8; ++n) {
        *(u32*)(to + n * 8) = pack_bf16(o[n][2 * h] * factor, o[n][2 * h + 1] * factor);
      }
    }
  }
};

template <int D, bool Fp8>
MS_DEVICE void attn_prefill(const PrefillParams& p) {
  using Shape = PrefillShape<D>;
  MS_SHARED_BYTES(shared);
  griddep_launch();
  griddep_wait();
  int j = (int)blockIdx.x, kv_head = (int)blockIdx.y;
  if (j >= true_count(p.tile_count, p.n_tiles)) return;
  int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
  int row = p.tile_row[j], start = p.tile_start[j], context = p.context_len[row];
  int row_first = p.token_start[row], row_tokens = p.token_start[row + 1] - row_first;
  int tokens = min_i(p.tile_tokens, row_tokens - start);
  int n_rows = tokens * p.group;
  int before = context - row_tokens;  // keys before the row's first new token
  const int* table = p.block_table + (i64)p.slot[row] * p.max_blocks;

  // Keys any row of the tile sees, and then those of this lane's two rows.
  int tile_high = before + start + tokens;
  int tile_low = p.window > 0 ? max_i(0, before + start + 1 - p.window) : 0;
  int low[2], high[2];
  for (int h = 0; h < 2; ++h) {
    int r = warp * 16 + lane / 4 + 8 * h;
    int position = before + start + r / p.group;
    high[h] = r < n_rows ? position + 1 : 0;
    low[h] = p.window > 0 ? max_i(0, position + 1 - p.window) : 0;
  }
  float k_scale = p.kv.k_scale != nullptr ? *p.kv.k_scale : 1.f;
  float v_scale = p.kv.v_scale != nullptr ? *p.kv.v_scale : 1.f;

  u8* tiles = shared + Shape::kQueryBytes;
  int first = tile_low / Shape::kKeys * Shape::kKeys;
  int n_tiles = tile_high > first ? ceil_div(tile_high - first, Shape::kKeys) : 0;
  auto stage = [&](int t) {
    u8* k_tile = tiles + t % 2 * 2 * Shape::kTileBytes;
    u8* v_tile = k_tile + Shape::kTileBytes;
    int from = first + t * Shape::kKeys;
    if (Fp8) {
      widen_kv_tile<D, Shape::kKeys, Shape::kThreads>(p.kv, table, kv_head, from, tile_low,
                                                      tile_high, k_tile, v_tile);
    } else {
      load_kv_tile<D, false, Shape::kKeys, Shape::kThreads>(p.kv, table, kv_head, from, tile_low,
                                                            tile_high, k_tile, v_tile);
    }
  };
  if (n_tiles > 0) stage(0);
  cp_async_commit();
  load_query_tile<D, Fp8>(p, shared, row_first + start, n_rows, kv_head);

  PrefillWarp<D, Fp8> w;
#pragma unroll
  for (int n = 0; n < D / 8; ++n) {
#pragma unroll
    for (int i = 0; i < 4; ++i) w.o[n][i] = 0.f;
  }
  w.state[0].reset();
  w.state[1].reset();
  const u8* q_tile = shared + warp * 16 * Shape::kPitch;
  for (int t = 0; t < n_tiles; ++t) {
    cp_async_wait<0>();
    sync_block();  // tile t is there for all, and tile t - 1 is done with
    if (t + 1 < n_tiles) stage(t + 1);
    cp_async_commit();
    const u8* k_tile = tiles + t % 2 * 2 * Shape::kTileBytes;
    w.tile(p, q_tile, k_tile, k_tile + Shape::kTileBytes, first + t * Shape::kKeys, low, high,
           p.scale * k_scale, lane);
  }
  cp_async_wait<0>();
  w.write(p, row_first + start, n_rows, warp * 16, kv_head, v_scale, lane);
}

}  // namespace ms
