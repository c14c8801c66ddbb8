// The paged cache and attention of the CPU stub: work lists are read, as the kernels read them.
#include <cmath>
#include <limits>
#include <vector>

#include "../kernels/shapes.h"
#include "stub.h"

using namespace ms::stub;

namespace {

void norm_head(std::vector<float>& x, const void* weight, float eps, float offset) {
  if (weight == nullptr) return;
  float squares = 0;
  for (float v : x) squares += v * v;
  float rstd = 1.0f / std::sqrt(squares / static_cast<float>(x.size()) + eps);
  for (size_t d = 0; d < x.size(); ++d) x[d] *= rstd * (bf16_to_float(bf16(weight)[d]) + offset);
}

void rotate_head(std::vector<float>& x, const ms_qk_rope_kv_args& a, int position) {
  int half = a.rotary_dim / 2;
  position = std::min(std::max(position, 0), a.max_position - 1);
  const float* table = a.cos_sin + static_cast<int64_t>(position) * a.rotary_dim;
  for (int i = 0; i < half; ++i) {
    int first = a.rope == MS_ROPE_INTERLEAVED ? 2 * i : i;
    int second = a.rope == MS_ROPE_INTERLEAVED ? 2 * i + 1 : i + half;
    float p = x[first], q = x[second], c = table[i], s = table[half + i];
    x[first] = p * c - q * s;
    x[second] = q * c + p * s;
  }
}

void qk_rope_kv(const ms_qk_rope_kv_args& a, const ms_kv_cache& kv) {
  Cache cache(kv, a.layer);
  int n = true_count(a.count, a.n_tokens), hkv = kv.n_kv_heads, d = kv.head_dim;
  int heads = a.n_q_heads + 2 * hkv;
  std::vector<float> x(static_cast<size_t>(d));
  for (int t = 0; t < n; ++t) {
    for (int h = 0; h < heads; ++h) {
      bool is_q = h < a.n_q_heads, is_k = !is_q && h < a.n_q_heads + hkv;
      int64_t slot = a.kv_slots[t];
      if (!is_q && slot < 0) continue;
      uint16_t* head = bf16(a.qkv) + (static_cast<int64_t>(t) * heads + h) * d;
      for (int i = 0; i < d; ++i) x[i] = bf16_to_float(head[i]);
      if (is_q || is_k) {
        norm_head(x, is_q ? a.q_weight : a.k_weight, a.eps, a.weight_offset);
        if (a.rope != MS_ROPE_NONE) rotate_head(x, a, a.positions[t]);
      }
      for (int i = 0; i < d; ++i) {
        if (is_q) {
          head[i] = float_to_bf16(x[i]);
        } else {
          cache.set(is_k ? 0 : 1, slot, h - a.n_q_heads - (is_k ? 0 : hkv), i, x[i]);
        }
      }
    }
  }
}

struct HeadRule {
  float scale, softcap;
  const float* sink;  // null, or this head's
};

/// One query head over keys [low, high) of one sequence.
void attend(const Cache& cache, const int32_t* table, int kv_head, int d, const uint16_t* q,
            int low, int high, HeadRule rule, uint16_t* out) {
  std::vector<float> scores(static_cast<size_t>(std::max(high - low, 0)));
  float top = rule.sink != nullptr ? *rule.sink : -std::numeric_limits<float>::infinity();
  for (int p = low; p < high; ++p) {
    int64_t slot = cache.slot_of(table, p);
    float s = 0;
    for (int i = 0; i < d; ++i) s += bf16_to_float(q[i]) * cache.get(0, slot, kv_head, i);
    s *= rule.scale;
    if (rule.softcap > 0) s = rule.softcap * std::tanh(s / rule.softcap);
    scores[p - low] = s;
    top = std::max(top, s);
  }
  std::vector<float> sum(static_cast<size_t>(d));
  float total = rule.sink != nullptr ? std::exp(*rule.sink - top) : 0;
  for (int p = low; p < high; ++p) {
    float weight = std::exp(scores[p - low] - top);
    total += weight;
    int64_t slot = cache.slot_of(table, p);
    for (int i = 0; i < d; ++i) sum[i] += weight * cache.get(1, slot, kv_head, i);
  }
  for (int i = 0; i < d; ++i) out[i] = float_to_bf16(total == 0 ? 0 : sum[i] / total);
}

void attn_decode(const ms_attn_decode_args& a, const ms_kv_cache& kv) {
  Cache cache(kv, a.layer);
  int group = a.n_q_heads / kv.n_kv_heads, d = kv.head_dim;
  int work = true_count(a.work_count, a.n_work);
  int chunk_tokens = a.chunk_tokens > 0 ? a.chunk_tokens : a.work_count[1];
  for (int j = 0; j < work; ++j) {
    int row = a.work_row[j], context = a.context_len[row];
    int low = a.window > 0 ? std::max(0, context - a.window) : 0;
    if (a.work_chunk[j] != low / chunk_tokens) continue;  // a row is done whole, at its first item
    const int32_t* table = a.block_table + static_cast<int64_t>(a.slot[row]) * a.max_blocks;
    for (int h = 0; h < a.n_q_heads; ++h) {
      const uint16_t* q = bf16(a.q) + static_cast<int64_t>(row) * a.q_stride + h * d;
      uint16_t* out = bf16(a.out) + (static_cast<int64_t>(row) * a.n_q_heads + h) * d;
      attend(cache, table, h / group, d, q, low, context,
             {a.softmax_scale, a.softcap, a.sinks != nullptr ? a.sinks + h : nullptr}, out);
    }
  }
}

void attn_prefill(const ms_attn_prefill_args& a, const ms_kv_cache& kv) {
  Cache cache(kv, a.layer);
  int group = a.n_q_heads / kv.n_kv_heads, d = kv.head_dim;
  int tile = ms_prefill_tile_tokens(group, d);
  int tiles = true_count(a.tile_count, a.n_tiles);
  for (int j = 0; j < tiles; ++j) {
    int row = a.tile_row[j], first = a.token_start[row];
    int tokens = a.token_start[row + 1] - first, before = a.context_len[row] - tokens;
    const int32_t* table = a.block_table + static_cast<int64_t>(a.slot[row]) * a.max_blocks;
    for (int t = a.tile_start[j]; t < std::min(tokens, a.tile_start[j] + tile); ++t) {
      int high = before + t + 1, low = a.window > 0 ? std::max(0, high - a.window) : 0;
      for (int h = 0; h < a.n_q_heads; ++h) {
        const uint16_t* q = bf16(a.q) + static_cast<int64_t>(first + t) * a.q_stride + h * d;
        uint16_t* out = bf16(a.out) + (static_cast<int64_t>(first + t) * a.n_q_heads + h) * d;
        attend(cache, table, h / group, d, q, low, high,
               {a.softmax_scale, a.softcap, a.sinks != nullptr ? a.sinks + h : nullptr}, out);
      }
    }
  }
}

void block_copy(const ms_block_copy_args& a, const ms_kv_cache& source, const ms_kv_cache& target) {
  int64_t bytes = static_cast<int64_t>(target.n_kv_heads) * target.block_size * target.head_dim *
                  (target.dtype == MS_BF16 ? 2 : 1);
  int n = true_count(a.count, a.n_pairs);
  for (int64_t plane = 0; plane < 2 * target.n_layers; ++plane) {
    for (int i = 0; i < n; ++i) {
      std::memcpy(static_cast<char*>(target.base) + (plane * target.n_blocks + a.to[i]) * bytes,
                  static_cast<char*>(source.base) + (plane * source.n_blocks + a.from[i]) * bytes,
                  static_cast<size_t>(bytes));
    }
  }
}

}  // namespace

// The cache struct is on the host and may be gone when a graph replays, so it is copied here.
extern "C" {

ms_status ms_qk_rope_kv(ms_ctx* ctx, const ms_qk_rope_kv_args* a, ms_stream* s) {
  ms_status status = ms::check(a);
  if (status != MS_OK) return status;
  ms_kv_cache kv = *a->kv_h;
  return op(ctx, a, s, [kv](const ms_qk_rope_kv_args& args) { qk_rope_kv(args, kv); });
}
ms_status ms_attn_decode(ms_ctx* ctx, const ms_attn_decode_args* a, ms_stream* s) {
  ms_status status = ms::check(a);
  if (status != MS_OK) return status;
  ms_kv_cache kv = *a->kv_h;
  return op(ctx, a, s, [kv](const ms_attn_decode_args& args) { attn_decode(args, kv); });
}
int32_t ms_prefill_tile_tokens(int32_t group, int32_t head_dim) {
  bool known = head_dim == 32 || head_dim == 64 || head_dim == 80 || head_dim == 96 ||
               head_dim == 128 || head_dim == 192 || head_dim == 256;
  return known && group >= 1 && group <= 16 ? ms::prefill_rows(head_dim) / group : 0;
}
ms_status ms_attn_prefill(ms_ctx* ctx, const ms_attn_prefill_args* a, ms_stream* s) {
  ms_status status = ms::check(a);
  if (status != MS_OK) return status;
  ms_kv_cache kv = *a->kv_h;
  return op(ctx, a, s, [kv](const ms_attn_prefill_args& args) { attn_prefill(args, kv); });
}
ms_status ms_block_copy(ms_ctx* ctx, const ms_block_copy_args* a, ms_stream* s) {
  ms_status status = ms::check(a);
  if (status != MS_OK) return status;
  ms_kv_cache source = *a->source_h, target = *a->kv_h;
  return op(ctx, a, s,
            [source, target](const ms_block_copy_args& args) { block_copy(args, source, target); });
}

}  // extern "C"
