// Launchers of the kernels that touch the paged cache.
#include <cstdio>

#include "../kernels/params.h"
#include "checks.h"
#include "context.h"

namespace ms {

namespace {

// Names are interned as literals, because the function table keys on their contents and keeps them.
const char* by_head_dim(const char* const (&names)[7], int d) {
  switch (d) {
    case 32:
      return names[0];
    case 64:
      return names[1];
    case 80:
      return names[2];
    case 96:
      return names[3];
    case 128:
      return names[4];
    case 192:
      return names[5];
    default:
      return names[6];  // 256: check() let no other through
  }
}

#define MS_HEAD_DIMS(prefix) \
  { prefix "32", prefix "64", prefix "80", prefix "96", prefix "128", prefix "192", prefix "256" }

constexpr const char* kDecodeBf16[7] = MS_HEAD_DIMS("ms_attn_decode_bf16_");
constexpr const char* kDecodeFp8[7] = MS_HEAD_DIMS("ms_attn_decode_fp8_");
constexpr const char* kPrefillBf16[7] = MS_HEAD_DIMS("ms_attn_prefill_bf16_");
constexpr const char* kPrefillFp8[7] = MS_HEAD_DIMS("ms_attn_prefill_fp8_");
constexpr const char* kRope[7] = MS_HEAD_DIMS("ms_qk_rope_kv_");

KvView view(const ms_kv_cache& kv, int layer) {
  KvView v{};
  long long element = kv.dtype == MS_FP8_E4M3 ? 1 : 2;
  v.head_bytes = static_cast<long long>(kv.block_size) * kv.head_dim * element;
  v.block_bytes = v.head_bytes * kv.n_kv_heads;
  long long plane = v.block_bytes * kv.n_blocks;
  v.k = static_cast<unsigned char*>(kv.base) + plane * 2 * layer;
  v.v = v.k + plane;
  v.k_scale = kv.k_scale != nullptr ? kv.k_scale + layer : nullptr;
  v.v_scale = kv.v_scale != nullptr ? kv.v_scale + layer : nullptr;
  v.block_size = kv.block_size;
  v.n_kv_heads = kv.n_kv_heads;
  return v;
}

}  // namespace

}  // namespace ms

using namespace ms;

extern "C" ms_status ms_qk_rope_kv(ms_ctx* ctx, const ms_qk_rope_kv_args* a, ms_stream* s) {
  ms_status status = check(a);
  if (status != MS_OK) return status;
  const ms_kv_cache& kv = *a->kv_h;
  RopeParams p{};
  p.kv = view(kv, a->layer);
  p.count = a->count;
  p.positions = a->positions;
  p.kv_slots = reinterpret_cast<const long long*>(a->kv_slots);
  p.cos_sin = a->cos_sin;
  p.q_weight = static_cast<const unsigned short*>(a->q_weight);
  p.k_weight = static_cast<const unsigned short*>(a->k_weight);
  p.qkv = static_cast<unsigned short*>(a->qkv);
  p.n_tokens = a->n_tokens;
  p.n_q_heads = a->n_q_heads;
  p.head_dim = kv.head_dim;
  p.rope = a->rope;
  p.rotary_dim = a->rotary_dim;
  p.max_position = a->max_position;
  p.fp8 = kv.dtype == MS_FP8_E4M3;
  p.eps = a->eps;
  p.weight_offset = a->weight_offset;
  long long units = static_cast<long long>(a->n_tokens) * (a->n_q_heads + 2 * kv.n_kv_heads);
  long long blocks = (units + kRopeThreads / 32 - 1) / (kRopeThreads / 32);
  return launch(ctx, by_head_dim(kRope, kv.head_dim), Grid{static_cast<unsigned>(blocks)},
                kRopeThreads, 0, s, &p);
}

extern "C" ms_status ms_attn_decode(ms_ctx* ctx, const ms_attn_decode_args* a, ms_stream* s) {
  ms_status status = check(a);
  if (status != MS_OK) return status;
  const ms_kv_cache& kv = *a->kv_h;
  DecodeParams p{};
  p.kv = view(kv, a->layer);
  p.q = static_cast<const unsigned short*>(a->q);
  p.out = static_cast<unsigned short*>(a->out);
  p.partial = a->partial;
  p.tickets = a->tickets;
  p.work_count = a->work_count;
  p.work_row = a->work_row;
  p.work_chunk = a->work_chunk;
  p.work_indptr = a->work_indptr;
  p.slot = a->slot;
  p.context_len = a->context_len;
  p.block_table = a->block_table;
  p.sinks = a->sinks;
  p.n_work = a->n_work;
  p.n_q_heads = a->n_q_heads;
  p.group = a->n_q_heads / kv.n_kv_heads;
  p.chunk_tokens = a->chunk_tokens;
  p.max_blocks = a->max_blocks;
  p.window = a->window;
  p.q_stride = a->q_stride;
  p.scale = a->softmax_scale;
  p.softcap = a->softcap;
  bool fp8 = kv.dtype == MS_FP8_E4M3;
  Grid grid{static_cast<unsigned>(a->n_work), static_cast<unsigned>(kv.n_kv_heads)};
  return launch(ctx, by_head_dim(fp8 ? kDecodeFp8 : kDecodeBf16, kv.head_dim), grid, kDecodeThreads,
                static_cast<unsigned>(decode_shared_bytes(kv.head_dim, fp8)), s, &p);
}

extern "C" int32_t ms_prefill_tile_tokens(int32_t group, int32_t head_dim) {
  bool known = head_dim == 32 || head_dim == 64 || head_dim == 80 || head_dim == 96 ||
               head_dim == 128 || head_dim == 192 || head_dim == 256;
  return known && group >= 1 && group <= 16 ? prefill_rows(head_dim) / group : 0;
}

extern "C" ms_status ms_attn_prefill(ms_ctx* ctx, const ms_attn_prefill_args* a, ms_stream* s) {
  ms_status status = check(a);
  if (status != MS_OK) return status;
  const ms_kv_cache& kv = *a->kv_h;
  PrefillParams p{};
  p.kv = view(kv, a->layer);
  p.q = static_cast<const unsigned short*>(a->q);
  p.out = static_cast<unsigned short*>(a->out);
  p.tile_count = a->tile_count;
  p.tile_row = a->tile_row;
  p.tile_start = a->tile_start;
  p.slot = a->slot;
  p.token_start = a->token_start;
  p.context_len = a->context_len;
  p.block_table = a->block_table;
  p.sinks = a->sinks;
  p.n_tiles = a->n_tiles;
  p.n_q_heads = a->n_q_heads;
  p.group = a->n_q_heads / kv.n_kv_heads;
  p.max_blocks = a->max_blocks;
  p.window = a->window;
  p.q_stride = a->q_stride;
  p.tile_tokens = ms_prefill_tile_tokens(p.group, kv.head_dim);
  p.scale = a->softmax_scale;
  p.softcap = a->softcap;
  bool fp8 = kv.dtype == MS_FP8_E4M3;
  Grid grid{static_cast<unsigned>(a->n_tiles), static_cast<unsigned>(kv.n_kv_heads)};
  return launch(ctx, by_head_dim(fp8 ? kPrefillFp8 : kPrefillBf16, kv.head_dim), grid,
                static_cast<unsigned>(prefill_threads(kv.head_dim)),
                static_cast<unsigned>(prefill_shared_bytes(kv.head_dim)), s, &p);
}

extern "C" ms_status ms_block_copy(ms_ctx* ctx, const ms_block_copy_args* a, ms_stream* s) {
  ms_status status = check(a);
  if (status != MS_OK) return status;
  const ms_kv_cache& kv = *a->kv_h;
  BlockCopyParams p{};
  p.count = a->count;
  p.from = reinterpret_cast<const long long*>(a->from);
  p.to = reinterpret_cast<const long long*>(a->to);
  p.source = static_cast<const unsigned char*>(a->source_h->base);
  p.target = static_cast<unsigned char*>(kv.base);
  p.block_bytes = view(kv, 0).block_bytes;
  p.source_blocks = a->source_h->n_blocks;
  p.target_blocks = kv.n_blocks;
  p.n_pairs = a->n_pairs;
  p.planes = kv.n_layers * 2;
  Grid grid{static_cast<unsigned>(a->n_pairs), static_cast<unsigned>(p.planes)};
  return launch(ctx, "ms_block_copy_pairs", grid, kRowThreads, 0, s, &p);
}
