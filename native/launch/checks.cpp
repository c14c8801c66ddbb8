#include "checks.h"

namespace ms {

namespace {

#define MS_REQUIRE(condition, status, ...)              \
  do {                                                  \
    if (!(condition)) return fail(status, __VA_ARGS__); \
  } while (false)

#define MS_STRUCT(a)                                                                     \
  MS_REQUIRE((a) != nullptr, MS_ERR_ARGUMENT, "%s: arguments are null", __func__);       \
  MS_REQUIRE((a)->struct_size == sizeof(*(a)), MS_ERR_ABI, "struct_size is %u, not %zu", \
             (a)->struct_size, sizeof(*(a)))

#define MS_POINTER(a, field) MS_REQUIRE((a)->field != nullptr, MS_ERR_ARGUMENT, #field " is null")

#define MS_RANGE(a, field, low, high)                                                 \
  MS_REQUIRE((a)->field >= (low) && (a)->field <= (high), MS_ERR_ARGUMENT,            \
             #field " must be in [%lld, %lld], is %lld", static_cast<long long>(low), \
             static_cast<long long>(high), static_cast<long long>((a)->field))

#define MS_MULTIPLE(a, field, of)                                                                \
  MS_REQUIRE((a)->field % (of) == 0, MS_ERR_ARGUMENT, #field " must be a multiple of %d, is %d", \
             of, static_cast<int>((a)->field))

#define MS_TRY(call)                      \
  do {                                    \
    ms_status status_ = (call);           \
    if (status_ != MS_OK) return status_; \
  } while (false)

constexpr int kMaxRows = 1 << 20;
constexpr int kMaxVocab = 1 << 24;
constexpr int kMaxGroup = 16;

bool is_head_dim(int d) {
  return d == 32 || d == 64 || d == 80 || d == 96 || d == 128 || d == 192 || d == 256;
}

ms_status check_group(int n_q_heads, const ms_kv_cache* kv) {
  MS_REQUIRE(n_q_heads > 0 && n_q_heads % kv->n_kv_heads == 0, MS_ERR_ARGUMENT,
             "n_q_heads must be a positive multiple of n_kv_heads = %d, is %d", kv->n_kv_heads,
             n_q_heads);
  MS_REQUIRE(n_q_heads / kv->n_kv_heads <= kMaxGroup, MS_ERR_UNSUPPORTED,
             "query heads per key/value head must be at most %d, are %d", kMaxGroup,
             n_q_heads / kv->n_kv_heads);
  return MS_OK;
}

}  // namespace

ms_status check(const ms_kv_cache* kv) {
  MS_STRUCT(kv);
  MS_REQUIRE(kv->dtype == MS_BF16 || kv->dtype == MS_FP8_E4M3, MS_ERR_UNSUPPORTED,
             "kv dtype %d: only MS_BF16 and MS_FP8_E4M3 have kernels", kv->dtype);
  MS_REQUIRE(is_head_dim(kv->head_dim), MS_ERR_UNSUPPORTED,
             "head_dim %d: there are kernels for 32, 64, 80, 96, 128, 192 and 256", kv->head_dim);
  MS_REQUIRE(kv->block_size == 16 || kv->block_size == 32 || kv->block_size == 64,
             MS_ERR_UNSUPPORTED, "block_size must be 16, 32 or 64, is %d", kv->block_size);
  MS_RANGE(kv, n_layers, 1, 4096);
  MS_RANGE(kv, n_kv_heads, 1, 1024);
  MS_RANGE(kv, n_blocks, 1, int64_t{1} << 31);
  MS_POINTER(kv, base);
  return MS_OK;
}

ms_status check(const ms_step_begin_args* a) {
  MS_STRUCT(a);
  MS_RANGE(a, n_rows, 1, kMaxRows);
  MS_RANGE(a, n_tokens, 1, kMaxRows);
  MS_RANGE(a, n_deltas, 0, 1 << 24);
  MS_RANGE(a, max_blocks, 1, 1 << 24);
  MS_RANGE(a, block_size, 1, 1024);
  MS_POINTER(a, counts);
  MS_REQUIRE(a->n_deltas == 0 || (a->delta_slot && a->delta_index && a->delta_block),
             MS_ERR_ARGUMENT, "delta_slot, delta_index or delta_block is null with n_deltas > 0");
  MS_POINTER(a, slot);
  MS_POINTER(a, token_start);
  MS_POINTER(a, first_position);
  MS_POINTER(a, input_ids);
  MS_POINTER(a, last_token);
  MS_POINTER(a, block_table);
  MS_POINTER(a, token_ids);
  MS_POINTER(a, positions);
  MS_POINTER(a, kv_slots);
  MS_POINTER(a, context_len);
  return MS_OK;
}

ms_status check(const ms_embed_args* a) {
  MS_STRUCT(a);
  MS_RANGE(a, n_tokens, 1, kMaxRows);
  MS_RANGE(a, hidden, 8, 1 << 20);
  MS_MULTIPLE(a, hidden, 8);
  MS_RANGE(a, vocab, 1, kMaxVocab);
  MS_POINTER(a, ids);
  MS_POINTER(a, table);
  MS_POINTER(a, out);
  return MS_OK;
}

ms_status check(const ms_add_rmsnorm_args* a) {
  MS_STRUCT(a);
  MS_RANGE(a, n_tokens, 1, kMaxRows);
  MS_RANGE(a, hidden, 8, 16384);
  MS_MULTIPLE(a, hidden, 8);
  MS_POINTER(a, x);
  MS_POINTER(a, weight);
  MS_POINTER(a, out);
  return MS_OK;
}

ms_status check(const ms_qk_rope_kv_args* a) {
  MS_STRUCT(a);
  MS_TRY(check(a->kv_h));
  MS_RANGE(a, n_tokens, 1, kMaxRows);
  MS_RANGE(a, n_q_heads, 1, 4096);
  MS_RANGE(a, layer, 0, a->kv_h->n_layers - 1);
  MS_REQUIRE(a->rope >= MS_ROPE_NONE && a->rope <= MS_ROPE_INTERLEAVED, MS_ERR_UNSUPPORTED,
             "rope %d is not an MS_ROPE_*", a->rope);
  if (a->rope != MS_ROPE_NONE) {
    MS_RANGE(a, rotary_dim, 2, a->kv_h->head_dim);
    MS_MULTIPLE(a, rotary_dim, 2);
    MS_RANGE(a, max_position, 1, 1 << 30);
    MS_POINTER(a, cos_sin);
  }
  MS_POINTER(a, positions);
  MS_POINTER(a, kv_slots);
  MS_POINTER(a, qkv);
  return MS_OK;
}

ms_status check(const ms_attn_decode_args* a) {
  MS_STRUCT(a);
  MS_TRY(check(a->kv_h));
  MS_TRY(check_group(a->n_q_heads, a->kv_h));
  MS_RANGE(a, n_rows, 1, kMaxRows);
  MS_RANGE(a, n_work, 1, 1 << 24);
  MS_RANGE(a, layer, 0, a->kv_h->n_layers - 1);
  MS_RANGE(a, chunk_tokens, a->work_count != nullptr ? 0 : 64, 1 << 30);
  MS_MULTIPLE(a, chunk_tokens, 64);
  MS_RANGE(a, max_blocks, 1, 1 << 24);
  MS_RANGE(a, window, 0, 1 << 30);
  MS_REQUIRE(a->softcap >= 0.0f, MS_ERR_ARGUMENT, "softcap must be at least 0, is %g",
             static_cast<double>(a->softcap));
  MS_RANGE(a, q_stride, a->n_q_heads * a->kv_h->head_dim, 1 << 30);
  MS_MULTIPLE(a, q_stride, 8);
  MS_POINTER(a, work_row);
  MS_POINTER(a, work_chunk);
  MS_POINTER(a, work_indptr);
  MS_POINTER(a, slot);
  MS_POINTER(a, context_len);
  MS_POINTER(a, block_table);
  MS_POINTER(a, q);
  MS_POINTER(a, out);
  MS_POINTER(a, partial);
  MS_POINTER(a, tickets);
  return MS_OK;
}

ms_status check(const ms_attn_prefill_args* a) {
  MS_STRUCT(a);
  MS_TRY(check(a->kv_h));
  MS_TRY(check_group(a->n_q_heads, a->kv_h));
  MS_RANGE(a, n_rows, 1, kMaxRows);
  MS_RANGE(a, n_tiles, 1, 1 << 24);
  MS_RANGE(a, layer, 0, a->kv_h->n_layers - 1);
  MS_RANGE(a, max_blocks, 1, 1 << 24);
  MS_RANGE(a, window, 0, 1 << 30);
  MS_REQUIRE(a->softcap >= 0.0f, MS_ERR_ARGUMENT, "softcap must be at least 0, is %g",
             static_cast<double>(a->softcap));
  MS_RANGE(a, q_stride, a->n_q_heads * a->kv_h->head_dim, 1 << 30);
  MS_MULTIPLE(a, q_stride, 8);
  MS_POINTER(a, tile_row);
  MS_POINTER(a, tile_start);
  MS_POINTER(a, slot);
  MS_POINTER(a, token_start);
  MS_POINTER(a, context_len);
  MS_POINTER(a, block_table);
  MS_POINTER(a, q);
  MS_POINTER(a, out);
  return MS_OK;
}

ms_status check(const ms_gemm_args* a) {
  MS_STRUCT(a);
  MS_RANGE(a, path, MS_GEMM_AUTO, MS_GEMM_CUBLASLT);
  MS_RANGE(a, epilogue, MS_EPILOGUE_NONE, MS_EPILOGUE_GELU_TANH_MUL);
  MS_RANGE(a, m, 1, kMaxRows);
  MS_RANGE(a, n, 1, kMaxVocab);
  MS_RANGE(a, k, 8, 1 << 20);
  MS_MULTIPLE(a, k, 8);
  MS_RANGE(a, splits, 0, 16);
  MS_REQUIRE(a->x_dtype == MS_BF16 || a->x_dtype == MS_FP8_E4M3, MS_ERR_UNSUPPORTED,
             "x_dtype %d: only MS_BF16 and MS_FP8_E4M3", a->x_dtype);
  MS_REQUIRE(a->w_dtype == MS_BF16 || a->w_dtype == MS_FP8_E4M3, MS_ERR_UNSUPPORTED,
             "w_dtype %d: only MS_BF16 and MS_FP8_E4M3", a->w_dtype);
  MS_REQUIRE(a->y_dtype == MS_BF16 || a->y_dtype == MS_F32, MS_ERR_UNSUPPORTED,
             "y_dtype %d: only MS_BF16 and MS_F32", a->y_dtype);
  MS_REQUIRE(a->x_dtype == MS_BF16 || a->w_dtype == MS_FP8_E4M3, MS_ERR_UNSUPPORTED,
             "fp8 x needs fp8 w");
  MS_REQUIRE(a->w_dtype == MS_BF16 || a->w_scale != nullptr, MS_ERR_ARGUMENT,
             "w_scale is null with fp8 w");
  MS_REQUIRE(a->x_dtype == MS_BF16 || a->x_scale != nullptr, MS_ERR_ARGUMENT,
             "x_scale is null with fp8 x");
  MS_POINTER(a, x);
  MS_POINTER(a, w);
  MS_POINTER(a, y);
  return MS_OK;
}

bool wants_skinny(const ms_gemm_args* a, bool has_cublaslt) {
  if (a->path != MS_GEMM_AUTO) return a->path == MS_GEMM_SKINNY;
  bool can = a->m <= kSkinnyMaxTokens && a->k % kSkinnyStep == 0 && a->x_dtype == MS_BF16;
  bool must = a->epilogue != MS_EPILOGUE_NONE || a->norm_weight != nullptr || !has_cublaslt ||
              a->w_dtype != a->x_dtype;
  return must || (can && a->m <= kSkinnyMaxTokens);
}

int pick_splits(const ms_gemm_args* a, int sm_count) {
  if (a->splits > 0) return a->splits;
  if (a->norm_weight != nullptr) return 1;
  int rows = a->epilogue == MS_EPILOGUE_NONE ? 16 : 8;
  int tiles = (a->n + rows - 1) / rows;
  int rounds = a->k / kSkinnyStep;
  int splits = 1;
  // Enough blocks for two a multiprocessor, as long as each still has two rounds of weights.
  while (splits < 8 && tiles * splits < 2 * sm_count && rounds / (splits * 2) >= 2) splits *= 2;
  return splits;
}

ms_status check(const ms_act_mul_args* a) {
  MS_STRUCT(a);
  MS_RANGE(a, n_tokens, 1, kMaxRows);
  MS_RANGE(a, features, 8, 1 << 20);
  MS_MULTIPLE(a, features, 8);
  MS_REQUIRE(a->activation == MS_ACT_SILU || a->activation == MS_ACT_GELU_TANH, MS_ERR_UNSUPPORTED,
             "activation %d is not an MS_ACT_*", a->activation);
  MS_POINTER(a, gate_up);
  MS_POINTER(a, out);
  return MS_OK;
}

ms_status check(const ms_quant_fp8_args* a) {
  MS_STRUCT(a);
  MS_RANGE(a, n_rows, 1, kMaxRows);
  MS_RANGE(a, columns, 8, 1 << 20);
  MS_MULTIPLE(a, columns, 8);
  MS_POINTER(a, x);
  MS_POINTER(a, out);
  MS_POINTER(a, scale);
  return MS_OK;
}

ms_status check(const ms_gather_rows_args* a) {
  MS_STRUCT(a);
  MS_RANGE(a, n_rows, 1, kMaxRows);
  MS_RANGE(a, columns, 8, 1 << 20);
  MS_MULTIPLE(a, columns, 8);
  MS_POINTER(a, index);
  MS_POINTER(a, x);
  MS_POINTER(a, out);
  return MS_OK;
}

ms_status check(const ms_argmax_args* a) {
  MS_STRUCT(a);
  MS_RANGE(a, n_rows, 1, kMaxRows);
  MS_RANGE(a, vocab, 1, kMaxVocab);
  MS_POINTER(a, logits);
  MS_POINTER(a, out);
  return MS_OK;
}

ms_status check(const ms_logits_fix_args* a) {
  MS_STRUCT(a);
  MS_RANGE(a, n_rows, 1, kMaxRows);
  MS_RANGE(a, vocab, 1, kMaxVocab);
  MS_POINTER(a, row_flags);
  MS_POINTER(a, logits);
  MS_REQUIRE(a->bias_indptr == nullptr || (a->bias_ids && a->bias_values), MS_ERR_ARGUMENT,
             "bias_ids or bias_values is null with bias_indptr");
  MS_REQUIRE((a->counts == nullptr) == (a->penalties == nullptr) &&
                 (a->counts == nullptr || a->slot != nullptr),
             MS_ERR_ARGUMENT, "counts, penalties and slot come together or not at all");
  return MS_OK;
}

ms_status check(const ms_count_tokens_args* a) {
  MS_STRUCT(a);
  MS_RANGE(a, n_items, 1, 1 << 24);
  MS_RANGE(a, vocab, 1, kMaxVocab);
  MS_POINTER(a, slot);
  MS_POINTER(a, token);
  MS_POINTER(a, counts);
  return MS_OK;
}

ms_status check(const ms_sample_args* a) {
  MS_STRUCT(a);
  MS_RANGE(a, n_rows, 1, kMaxRows);
  MS_RANGE(a, vocab, 1, kMaxVocab);
  MS_POINTER(a, logits);
  MS_POINTER(a, rows);
  MS_POINTER(a, tokens);
  return MS_OK;
}

ms_status check(const ms_top_logprobs_args* a) {
  MS_STRUCT(a);
  MS_RANGE(a, n_rows, 1, kMaxRows);
  MS_RANGE(a, vocab, 1, kMaxVocab);
  MS_RANGE(a, max_n, 1, 32);
  MS_POINTER(a, logits);
  MS_POINTER(a, wanted);
  MS_POINTER(a, ids);
  MS_POINTER(a, logprobs);
  MS_REQUIRE(a->chosen == nullptr || a->chosen_logprob != nullptr, MS_ERR_ARGUMENT,
             "chosen_logprob is null with chosen");
  return MS_OK;
}

ms_status check(const ms_block_copy_args* a) {
  MS_STRUCT(a);
  MS_TRY(check(a->source_h));
  MS_TRY(check(a->kv_h));
  MS_RANGE(a, n_pairs, 1, 1 << 24);
  MS_POINTER(a, from);
  MS_POINTER(a, to);
  const ms_kv_cache *s = a->source_h, *t = a->kv_h;
  MS_REQUIRE(s->dtype == t->dtype && s->n_layers == t->n_layers && s->n_kv_heads == t->n_kv_heads &&
                 s->head_dim == t->head_dim && s->block_size == t->block_size,
             MS_ERR_ARGUMENT, "source and target caches differ in more than n_blocks and base");
  return MS_OK;
}

}  // namespace ms
