#include "checks.h"

#include "rules.h"

namespace ms {

namespace {

constexpr int kMaxWindow = 1 << 30;
constexpr int kMaxGroup = 16;

bool is_head_dim(int d) {
  return d == 32 || d == 64 || d == 80 || d == 96 || d == 128 || d == 192 || d == 256;
}

/// Rules that a cache and the arguments that name it share: layer, query heads, rows of q.
template <class Args>
ms_status check_heads(const Args* a) {
  MS_TRY(check_struct(a));
  MS_TRY(check(a->kv_h));
  int kv_heads = a->kv_h->n_kv_heads, width = a->n_q_heads * a->kv_h->head_dim;
  MS_REQUIRE(a->n_q_heads > 0 && a->n_q_heads % kv_heads == 0, MS_ERR_ARGUMENT,
             "n_q_heads must be a positive multiple of n_kv_heads = %d, is %d", kv_heads,
             a->n_q_heads);
  MS_REQUIRE(a->n_q_heads / kv_heads <= kMaxGroup, MS_ERR_UNSUPPORTED,
             "query heads per key/value head must be at most %d, are %d", kMaxGroup,
             a->n_q_heads / kv_heads);
  MS_REQUIRE(a->layer >= 0 && a->layer < a->kv_h->n_layers, MS_ERR_ARGUMENT,
             "layer must be in [0, %d], is %d", a->kv_h->n_layers - 1, a->layer);
  MS_REQUIRE(a->softcap >= 0.0f, MS_ERR_ARGUMENT, "softcap must be at least 0, is %g",
             static_cast<double>(a->softcap));
  MS_REQUIRE(a->q_stride >= width && a->q_stride % 8 == 0, MS_ERR_ARGUMENT,
             "q_stride must be a multiple of 8 and at least %d, is %d", width, a->q_stride);
  return MS_OK;
}

// One row a field, whatever the formatter would make of it.
// clang-format off
constexpr FieldRule kKvCache[] = {
    MS_RANGE(ms_kv_cache, n_layers, 1, 4096),
    MS_RANGE(ms_kv_cache, n_kv_heads, 1, 1024),
    MS_RANGE(ms_kv_cache, n_blocks, 1, int64_t{1} << 31),
    MS_ALIGNED(ms_kv_cache, base, 16),
};

constexpr FieldRule kStepBegin[] = {
    MS_RANGE(ms_step_begin_args, n_rows, 1, kMaxRows),
    MS_RANGE(ms_step_begin_args, n_tokens, 1, kMaxRows),
    MS_RANGE(ms_step_begin_args, n_deltas, 0, kMaxItems),
    MS_RANGE(ms_step_begin_args, max_blocks, 1, kMaxItems),
    MS_RANGE(ms_step_begin_args, block_size, 1, 1024),
    MS_POINTER(ms_step_begin_args, counts),
    MS_POINTER(ms_step_begin_args, slot),
    MS_POINTER(ms_step_begin_args, token_start),
    MS_POINTER(ms_step_begin_args, first_position),
    MS_POINTER(ms_step_begin_args, input_ids),
    MS_POINTER(ms_step_begin_args, last_token),
    MS_POINTER(ms_step_begin_args, block_table),
    MS_POINTER(ms_step_begin_args, token_ids),
    MS_POINTER(ms_step_begin_args, positions),
    MS_ALIGNED(ms_step_begin_args, kv_slots, 8),
    MS_POINTER(ms_step_begin_args, context_len),
};

constexpr FieldRule kEmbed[] = {
    MS_RANGE(ms_embed_args, n_tokens, 1, kMaxRows),
    MS_RANGE(ms_embed_args, hidden, 8, kMaxColumns),
    MS_MULTIPLE(ms_embed_args, hidden, 8),
    MS_RANGE(ms_embed_args, vocab, 1, kMaxVocab),
    MS_POINTER(ms_embed_args, ids),
    MS_ALIGNED(ms_embed_args, table, 16),
    MS_ALIGNED(ms_embed_args, out, 16),
};

constexpr FieldRule kAddRmsNorm[] = {
    MS_RANGE(ms_add_rmsnorm_args, n_tokens, 1, kMaxRows),
    MS_RANGE(ms_add_rmsnorm_args, hidden, 8, 16384),
    MS_MULTIPLE(ms_add_rmsnorm_args, hidden, 8),
    MS_ALIGNED(ms_add_rmsnorm_args, x, 16),
    MS_ALIGNED(ms_add_rmsnorm_args, weight, 16),
    MS_ALIGNED(ms_add_rmsnorm_args, out, 16),
    MS_ALIGNED_OR_NULL(ms_add_rmsnorm_args, residual, 16),
};

constexpr FieldRule kQkRopeKv[] = {
    MS_RANGE(ms_qk_rope_kv_args, n_tokens, 1, kMaxRows),
    MS_RANGE(ms_qk_rope_kv_args, n_q_heads, 1, 4096),
    MS_POINTER(ms_qk_rope_kv_args, positions),
    MS_ALIGNED(ms_qk_rope_kv_args, kv_slots, 8),
    MS_POINTER(ms_qk_rope_kv_args, qkv),
};

constexpr FieldRule kRotation[] = {
    MS_RANGE(ms_qk_rope_kv_args, rotary_dim, 2, 256),
    MS_MULTIPLE(ms_qk_rope_kv_args, rotary_dim, 2),
    MS_RANGE(ms_qk_rope_kv_args, max_position, 1, 1 << 30),
    MS_POINTER(ms_qk_rope_kv_args, cos_sin),
};

constexpr FieldRule kAttnDecode[] = {
    MS_RANGE(ms_attn_decode_args, n_rows, 1, kMaxRows),
    MS_RANGE(ms_attn_decode_args, n_work, 1, kMaxItems),
    MS_RANGE(ms_attn_decode_args, chunk_tokens, 0, 1 << 30),
    MS_MULTIPLE(ms_attn_decode_args, chunk_tokens, 64),
    MS_RANGE(ms_attn_decode_args, max_blocks, 1, kMaxItems),
    MS_RANGE(ms_attn_decode_args, window, 0, kMaxWindow),
    MS_POINTER(ms_attn_decode_args, work_row),
    MS_POINTER(ms_attn_decode_args, work_chunk),
    MS_POINTER(ms_attn_decode_args, work_indptr),
    MS_POINTER(ms_attn_decode_args, slot),
    MS_POINTER(ms_attn_decode_args, context_len),
    MS_POINTER(ms_attn_decode_args, block_table),
    MS_ALIGNED(ms_attn_decode_args, q, 16),
    MS_POINTER(ms_attn_decode_args, out),
    MS_ALIGNED(ms_attn_decode_args, partial, 16),
    MS_POINTER(ms_attn_decode_args, tickets),
};

constexpr FieldRule kAttnPrefill[] = {
    MS_RANGE(ms_attn_prefill_args, n_rows, 1, kMaxRows),
    MS_RANGE(ms_attn_prefill_args, n_tiles, 1, kMaxItems),
    MS_RANGE(ms_attn_prefill_args, max_blocks, 1, kMaxItems),
    MS_RANGE(ms_attn_prefill_args, window, 0, kMaxWindow),
    MS_POINTER(ms_attn_prefill_args, tile_row),
    MS_POINTER(ms_attn_prefill_args, tile_start),
    MS_POINTER(ms_attn_prefill_args, slot),
    MS_POINTER(ms_attn_prefill_args, token_start),
    MS_POINTER(ms_attn_prefill_args, context_len),
    MS_POINTER(ms_attn_prefill_args, block_table),
    MS_ALIGNED(ms_attn_prefill_args, q, 16),
    MS_ALIGNED(ms_attn_prefill_args, out, 16),
};

constexpr FieldRule kActMul[] = {
    MS_RANGE(ms_act_mul_args, n_tokens, 1, kMaxRows),
    MS_RANGE(ms_act_mul_args, features, 8, kMaxColumns),
    MS_MULTIPLE(ms_act_mul_args, features, 8),
    MS_ALIGNED(ms_act_mul_args, gate_up, 16),
    MS_ALIGNED(ms_act_mul_args, out, 16),
};

constexpr FieldRule kQuantFp8[] = {
    MS_RANGE(ms_quant_fp8_args, n_rows, 1, kMaxRows),
    MS_RANGE(ms_quant_fp8_args, columns, 8, kMaxColumns),
    MS_MULTIPLE(ms_quant_fp8_args, columns, 8),
    MS_ALIGNED(ms_quant_fp8_args, x, 16),
    MS_ALIGNED(ms_quant_fp8_args, out, 16),
    MS_POINTER(ms_quant_fp8_args, scale),
};

constexpr FieldRule kGatherRows[] = {
    MS_RANGE(ms_gather_rows_args, n_rows, 1, kMaxRows),
    MS_RANGE(ms_gather_rows_args, columns, 8, kMaxColumns),
    MS_MULTIPLE(ms_gather_rows_args, columns, 8),
    MS_POINTER(ms_gather_rows_args, index),
    MS_ALIGNED(ms_gather_rows_args, x, 16),
    MS_ALIGNED(ms_gather_rows_args, out, 16),
};

constexpr FieldRule kArgmax[] = {
    MS_RANGE(ms_argmax_args, n_rows, 1, kMaxRows),
    MS_RANGE(ms_argmax_args, vocab, 1, kMaxVocab),
    MS_ALIGNED(ms_argmax_args, logits, 16),
    MS_POINTER(ms_argmax_args, out),
};

constexpr FieldRule kLogitsFix[] = {
    MS_RANGE(ms_logits_fix_args, n_rows, 1, kMaxRows),
    MS_RANGE(ms_logits_fix_args, vocab, 1, kMaxVocab),
    MS_POINTER(ms_logits_fix_args, row_flags),
    MS_POINTER(ms_logits_fix_args, logits),
};

constexpr FieldRule kCountTokens[] = {
    MS_RANGE(ms_count_tokens_args, n_items, 1, kMaxItems),
    MS_RANGE(ms_count_tokens_args, vocab, 1, kMaxVocab),
    MS_POINTER(ms_count_tokens_args, slot),
    MS_POINTER(ms_count_tokens_args, token),
    MS_ALIGNED(ms_count_tokens_args, counts, 4),
};

constexpr FieldRule kSample[] = {
    MS_RANGE(ms_sample_args, n_rows, 1, kMaxRows),
    MS_RANGE(ms_sample_args, vocab, 1, kMaxVocab),
    MS_ALIGNED(ms_sample_args, logits, 16),
    MS_ALIGNED(ms_sample_args, rows, 8),
    MS_POINTER(ms_sample_args, tokens),
};

constexpr FieldRule kTopLogprobs[] = {
    MS_RANGE(ms_top_logprobs_args, n_rows, 1, kMaxRows),
    MS_RANGE(ms_top_logprobs_args, vocab, 1, kMaxVocab),
    MS_RANGE(ms_top_logprobs_args, max_n, 1, 32),
    MS_ALIGNED(ms_top_logprobs_args, logits, 16),
    MS_POINTER(ms_top_logprobs_args, wanted),
    MS_POINTER(ms_top_logprobs_args, ids),
    MS_POINTER(ms_top_logprobs_args, logprobs),
};

constexpr FieldRule kBlockCopy[] = {
    MS_RANGE(ms_block_copy_args, n_pairs, 1, kMaxItems),
    MS_POINTER(ms_block_copy_args, from),
    MS_POINTER(ms_block_copy_args, to),
};
// clang-format on

}  // namespace

ms_status check(const ms_kv_cache* kv) {
  MS_TRY(apply(kv, kKvCache));
  MS_REQUIRE(kv->dtype == MS_BF16 || kv->dtype == MS_FP8_E4M3, MS_ERR_UNSUPPORTED,
             "kv dtype %d: only MS_BF16 and MS_FP8_E4M3 have kernels", kv->dtype);
  MS_REQUIRE(is_head_dim(kv->head_dim), MS_ERR_UNSUPPORTED,
             "head_dim %d: there are kernels for 32, 64, 80, 96, 128, 192 and 256", kv->head_dim);
  MS_REQUIRE(kv->block_size == 16 || kv->block_size == 32 || kv->block_size == 64,
             MS_ERR_UNSUPPORTED, "block_size must be 16, 32 or 64, is %d", kv->block_size);
  return MS_OK;
}

ms_status check(const ms_step_begin_args* a) {
  MS_TRY(apply(a, kStepBegin));
  MS_REQUIRE(a->n_deltas == 0 || (a->delta_slot && a->delta_index && a->delta_block),
             MS_ERR_ARGUMENT, "delta_slot, delta_index or delta_block is null with n_deltas > 0");
  return MS_OK;
}

ms_status check(const ms_embed_args* a) { return apply(a, kEmbed); }
ms_status check(const ms_add_rmsnorm_args* a) { return apply(a, kAddRmsNorm); }

ms_status check(const ms_qk_rope_kv_args* a) {
  MS_TRY(check_struct(a));
  MS_TRY(check(a->kv_h));
  MS_TRY(apply(a, kQkRopeKv));
  MS_REQUIRE(a->layer >= 0 && a->layer < a->kv_h->n_layers, MS_ERR_ARGUMENT,
             "layer must be in [0, %d], is %d", a->kv_h->n_layers - 1, a->layer);
  MS_REQUIRE(a->rope >= MS_ROPE_NONE && a->rope <= MS_ROPE_INTERLEAVED, MS_ERR_UNSUPPORTED,
             "rope %d is not an MS_ROPE_*", a->rope);
  if (a->rope == MS_ROPE_NONE) return MS_OK;
  MS_TRY(apply(a, kRotation));
  MS_REQUIRE(a->rotary_dim <= a->kv_h->head_dim, MS_ERR_ARGUMENT,
             "rotary_dim must be at most head_dim = %d, is %d", a->kv_h->head_dim, a->rotary_dim);
  return MS_OK;
}

ms_status check(const ms_attn_decode_args* a) {
  MS_TRY(check_heads(a));
  MS_TRY(apply(a, kAttnDecode));
  MS_REQUIRE(a->work_count != nullptr || a->chunk_tokens > 0, MS_ERR_ARGUMENT,
             "chunk_tokens must be at least 64 without work_count, is %d", a->chunk_tokens);
  return MS_OK;
}

ms_status check(const ms_attn_prefill_args* a) {
  MS_TRY(check_heads(a));
  return apply(a, kAttnPrefill);
}

ms_status check(const ms_act_mul_args* a) {
  MS_TRY(apply(a, kActMul));
  MS_REQUIRE(a->activation == MS_ACT_SILU || a->activation == MS_ACT_GELU_TANH, MS_ERR_UNSUPPORTED,
             "activation %d is not an MS_ACT_*", a->activation);
  return MS_OK;
}

ms_status check(const ms_quant_fp8_args* a) { return apply(a, kQuantFp8); }
ms_status check(const ms_gather_rows_args* a) { return apply(a, kGatherRows); }
ms_status check(const ms_argmax_args* a) { return apply(a, kArgmax); }

ms_status check(const ms_logits_fix_args* a) {
  MS_TRY(apply(a, kLogitsFix));
  MS_REQUIRE(a->bias_indptr == nullptr || (a->bias_ids && a->bias_values), MS_ERR_ARGUMENT,
             "bias_ids or bias_values is null with bias_indptr");
  MS_REQUIRE((a->counts == nullptr) == (a->penalties == nullptr) &&
                 (a->counts == nullptr || a->slot != nullptr),
             MS_ERR_ARGUMENT, "counts, penalties and slot come together or not at all");
  return MS_OK;
}

ms_status check(const ms_count_tokens_args* a) { return apply(a, kCountTokens); }
ms_status check(const ms_sample_args* a) { return apply(a, kSample); }

ms_status check(const ms_top_logprobs_args* a) {
  MS_TRY(apply(a, kTopLogprobs));
  MS_REQUIRE(a->chosen == nullptr || a->chosen_logprob != nullptr, MS_ERR_ARGUMENT,
             "chosen_logprob is null with chosen");
  return MS_OK;
}

ms_status check(const ms_block_copy_args* a) {
  MS_TRY(apply(a, kBlockCopy));
  const ms_kv_cache *s = a->source_h, *t = a->kv_h;
  MS_TRY(check(s));
  MS_TRY(check(t));
  MS_REQUIRE(s->dtype == t->dtype && s->n_layers == t->n_layers && s->n_kv_heads == t->n_kv_heads &&
                 s->head_dim == t->head_dim && s->block_size == t->block_size,
             MS_ERR_ARGUMENT, "source and target caches differ in more than n_blocks and base");
  return MS_OK;
}

}  // namespace ms
