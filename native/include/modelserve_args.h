/* The argument structs of the ops: included by modelserve.h, whose rules on sizes, pointers, counts
 * and shapes hold here. */
#ifndef MODELSERVE_ARGS_H_
#define MODELSERVE_ARGS_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Element types. */
enum { MS_BF16 = 1, MS_F32 = 2, MS_FP8_E4M3 = 3 };

/* ---- the paged cache ----------------------------------------------------------------------- */
/* base: [n_layers][2 (k, v)][n_blocks][n_kv_heads][block_size][head_dim] of dtype, 256 B aligned.
 * Element offsets are 64-bit. A block table names physical blocks in [0, n_blocks). */
typedef struct ms_kv_cache {
  uint32_t struct_size;
  int32_t dtype; /* MS_BF16 or MS_FP8_E4M3 */
  int32_t n_layers, n_kv_heads;
  int32_t head_dim;   /* 32, 64, 80, 96, 128, 192 or 256 */
  int32_t block_size; /* 16, 32 or 64 tokens */
  int64_t n_blocks;
  void* base;
  /* fp8 only, else NULL: [n_layers] f32; stored = real / scale. */
  const float* k_scale;
  const float* v_scale;
} ms_kv_cache;

/* Step prologue: applies block table changes and expands rows to tokens.
 * Token j of row i (token_start[i] <= j < token_start[i + 1]) gets
 *   positions[j]  = first_position[i] + j - token_start[i]
 *   token_ids[j]  = input_ids[j] >= 0 ? input_ids[j] : last_token[slot[i]]
 *   kv_slots[j]   = block_table[slot[i]][position / block] * block + position % block
 * and context_len[i] = first_position[i] + tokens of row i. Tokens and rows past the counts get
 * kv_slots = -1, token_ids = 0, positions = 0, context_len = 0. */
typedef struct ms_step_begin_args {
  uint32_t struct_size;
  int32_t n_rows, n_tokens, n_deltas, max_blocks, block_size;
  const int32_t* counts;         /* [3]: rows, tokens, deltas in this step */
  const int32_t* delta_slot;     /* [n_deltas] */
  const int32_t* delta_index;    /* [n_deltas] */
  const int32_t* delta_block;    /* [n_deltas] */
  const int32_t* slot;           /* [n_rows] */
  const int32_t* token_start;    /* [n_rows + 1] */
  const int32_t* first_position; /* [n_rows] */
  const int32_t* input_ids;      /* [n_tokens]; -1 takes the slot's last sampled token */
  const int32_t* last_token;     /* [slots] */
  int32_t* block_table;          /* [slots][max_blocks], updated */
  int32_t* token_ids;            /* out [n_tokens] */
  int32_t* positions;            /* out [n_tokens] */
  int64_t* kv_slots;             /* out [n_tokens] */
  int32_t* context_len;          /* out [n_rows] */
} ms_step_begin_args;

/* out[t] = table[ids[t]] * scale; ids outside [0, vocab) read row 0. */
typedef struct ms_embed_args {
  uint32_t struct_size;
  int32_t n_tokens, hidden, vocab; /* hidden a multiple of 8 */
  float scale;                     /* 1, or sqrt(hidden) for Gemma */
  const int32_t* count;            /* optional [1] */
  const int32_t* ids;              /* [n_tokens] */
  const void* table;               /* [vocab][hidden] bf16 */
  void* out;                       /* [n_tokens][hidden] bf16 */
} ms_embed_args;

/* h = x + residual (if given); residual = h; out = h * rsqrt(mean(h^2) + eps) * (w + offset). */
typedef struct ms_add_rmsnorm_args {
  uint32_t struct_size;
  int32_t n_tokens, hidden; /* hidden a multiple of 8, at most 16384 */
  float eps, weight_offset; /* weight_offset 1 for Gemma, else 0 */
  const int32_t* count;     /* optional [1] */
  const void* x;            /* [n_tokens][hidden] bf16 */
  void* residual;           /* optional, in and out [n_tokens][hidden] bf16 */
  const void* weight;       /* [hidden] bf16 */
  void* out;                /* [n_tokens][hidden] bf16, or fp8 when out_scale is given */
  float* out_scale;         /* optional [n_tokens]: out is fp8, real = stored * out_scale */
} ms_add_rmsnorm_args;

enum { MS_ROPE_NONE = 0, MS_ROPE_NEOX = 1, MS_ROPE_INTERLEAVED = 2 };

/* Per token: optional RMSNorm of each q and k head, rotation of the first rotary_dim elements, q
 * written in place, k and v written to the cache at kv_slots (negative: nothing is stored). */
typedef struct ms_qk_rope_kv_args {
  uint32_t struct_size;
  int32_t n_tokens, n_q_heads, layer, rope, rotary_dim;
  int32_t max_position; /* rows of cos_sin; a position beyond is clamped to the last */
  float eps, weight_offset;
  const int32_t* count;     /* optional [1] */
  const int32_t* positions; /* [n_tokens] */
  const int64_t* kv_slots;  /* [n_tokens] block * block_size + offset, or -1 */
  const float* cos_sin;     /* [max_position][rotary_dim]: cos of each pair, then sin */
  const void* q_weight;     /* optional [D] bf16 */
  const void* k_weight;     /* optional [D] bf16 */
  void* qkv;                /* [n_tokens][Hq + 2 Hkv][D] bf16; the q part is updated */
  const ms_kv_cache* kv_h;
} ms_qk_rope_kv_args;

/* One query token a row over its paged context. Work item j = (work_row, work_chunk) covers keys
 * [work_chunk * chunk_tokens, ...) of that row. Row i owns work_indptr[i + 1] - work_indptr[i]
 * items: consecutive chunks from the first that the window reaches, listed in any order. With one
 * item the output is written directly, else partials are merged, in chunk order, by the last block
 * to finish. Rows with an empty (or fully masked) context yield zeros; so does a
 * row without work: out must then be cleared by the caller. */
typedef struct ms_attn_decode_args {
  uint32_t struct_size;
  int32_t n_rows, n_work, n_q_heads, layer;
  int32_t chunk_tokens; /* a multiple of 64; 0: read work_count[1], so a captured call can follow */
  int32_t max_blocks;
  int32_t window;             /* 0: none; else the query and the window - 1 tokens before it */
  float softmax_scale;        /* usually 1 / sqrt(D) */
  float softcap;              /* 0: none; else scores become softcap * tanh(score / softcap) */
  int32_t q_stride;           /* elements between rows of q */
  const int32_t* work_count;  /* [2] items, tokens a chunk; optional if both are fixed */
  const int32_t* work_row;    /* [n_work] */
  const int32_t* work_chunk;  /* [n_work] */
  const int32_t* work_indptr; /* [n_rows + 1] */
  const int32_t* slot;        /* [n_rows] row of block_table */
  const int32_t* context_len; /* [n_rows] keys, the query's own included */
  const int32_t* block_table; /* [slots][max_blocks] */
  const float* sinks;         /* optional [Hq]: a logit that takes mass and has no value */
  const void* q;              /* [n_rows] rows of [Hq][D] bf16, q_stride apart */
  void* out;                  /* [n_rows][Hq][D] bf16 */
  float* partial;             /* [n_work][Hq][D + 2] f32 workspace, 16 B aligned */
  int32_t* tickets;           /* [n_rows][Hkv], zero before first use; returns to zero */
  const ms_kv_cache* kv_h;
} ms_attn_decode_args;

/* Causal attention of new tokens over prefix and themselves. Tile j = (tile_row, tile_start): query
 * tokens tile_start .. of that row, ms_prefill_tile_tokens(Hq / Hkv, D) of them. The queries are
 * the last tokens of the context: query t sits at context_len - (its row's tokens) + t. */
typedef struct ms_attn_prefill_args {
  uint32_t struct_size;
  int32_t n_rows, n_tiles, n_q_heads, layer, max_blocks;
  int32_t window;
  float softmax_scale, softcap;
  int32_t q_stride;           /* elements between tokens of q */
  const int32_t* tile_count;  /* optional [1] tiles in this step */
  const int32_t* tile_row;    /* [n_tiles] */
  const int32_t* tile_start;  /* [n_tiles] first query token, relative to its row */
  const int32_t* slot;        /* [n_rows] */
  const int32_t* token_start; /* [n_rows + 1] */
  const int32_t* context_len; /* [n_rows] */
  const int32_t* block_table; /* [slots][max_blocks] */
  const float* sinks;         /* optional [Hq] */
  const void* q;              /* [T] tokens of [Hq][D] bf16, q_stride apart */
  void* out;                  /* [T][Hq][D] bf16 */
  const ms_kv_cache* kv_h;
} ms_attn_prefill_args;

enum { MS_GEMM_AUTO = 0, MS_GEMM_SKINNY = 1, MS_GEMM_CUBLASLT = 2 };
enum { MS_EPILOGUE_NONE = 0, MS_EPILOGUE_SILU_MUL = 1, MS_EPILOGUE_GELU_TANH_MUL = 2 };

/* y[m] = epilogue(x[m] W^T * scales + bias) + residual[m].
 * Gated epilogues (skinny only): W holds 2 N rows, gate then up; y[m][n] = act(gate) * up.
 * norm_weight (skinny only): x is first normalised, as by ms_add_rmsnorm.
 * The skinny kernel takes m <= 64 and k a multiple of 32; cuBLASLt takes fp8 with n and k multiples
 * of 16, and neither gated epilogues nor norm_weight. */
typedef struct ms_gemm_args {
  uint32_t struct_size;
  int32_t path, epilogue;
  int32_t m, n, k;
  int32_t x_dtype; /* MS_BF16; MS_FP8_E4M3 with cuBLASLt only */
  int32_t w_dtype; /* MS_BF16 or MS_FP8_E4M3 */
  int32_t y_dtype; /* MS_BF16 or MS_F32 */
  int32_t splits;  /* skinny: parts of k, 1..16; 0 picks. Equal splits give equal bits. */
  float eps, weight_offset;
  const int32_t* count;    /* optional [1]: rows of x in this step (skinny only) */
  const void* x;           /* [m][k] */
  const void* w;           /* [n or 2n][k] */
  const float* x_scale;    /* fp8 x: [m] */
  const float* w_scale;    /* fp8 w: [rows of w] */
  const void* norm_weight; /* optional [k] bf16 */
  const void* bias;        /* optional [rows of w] bf16 */
  const void* residual;    /* optional [m][n] bf16; may equal y when y is bf16 */
  void* y;                 /* [m][n] */
  void* workspace;         /* see ms_gemm_workspace; 256 B aligned */
  int64_t workspace_bytes;
  int32_t* tickets;      /* skinny with splits: [ceil(n / 8)], zero before first use */
  const uint8_t* algo_h; /* optional [64]: a tuned cuBLASLt algorithm */
} ms_gemm_args;

enum { MS_ACT_SILU = 0, MS_ACT_GELU_TANH = 1 };

/* out[t] = act(gate_up[t][0 .. f)) * gate_up[t][f .. 2f). */
typedef struct ms_act_mul_args {
  uint32_t struct_size;
  int32_t n_tokens, features, activation; /* features a multiple of 8 */
  const int32_t* count;                   /* optional [1] */
  const void* gate_up;                    /* [n_tokens][2 features] bf16 */
  void* out;                              /* [n_tokens][features] bf16 */
} ms_act_mul_args;

/* Per row: scale = max|x| / 448 (1 for a row below 1e-30); out = x / scale in e4m3. */
typedef struct ms_quant_fp8_args {
  uint32_t struct_size;
  int32_t n_rows, columns; /* columns a multiple of 8 */
  const int32_t* count;    /* optional [1] */
  const void* x;           /* [n_rows][columns] bf16 */
  void* out;               /* [n_rows][columns] fp8 */
  float* scale;            /* out [n_rows] */
} ms_quant_fp8_args;

/* out[i] = x[index[i]]: the rows whose logits are wanted. */
typedef struct ms_gather_rows_args {
  uint32_t struct_size;
  int32_t n_rows, columns; /* columns a multiple of 8 */
  const int32_t* count;    /* optional [1] */
  const int32_t* index;    /* [n_rows] row of x; negative leaves out[i] as it was */
  const void* x;           /* [..][columns] bf16 */
  void* out;               /* [n_rows][columns] bf16 */
} ms_gather_rows_args;

/* Index of the largest logit, the first on ties; -1 if every logit is -inf or NaN. */
typedef struct ms_argmax_args {
  uint32_t struct_size;
  int32_t n_rows, vocab;
  const int32_t* count; /* optional [1] */
  const float* logits;  /* [n_rows][vocab] f32 */
  int32_t* out;         /* [n_rows] */
} ms_argmax_args;

enum { MS_FIX_PENALTIES = 1, MS_FIX_BITMASK = 2 };

/* Changes logits in place, in this order: bias, repetition, frequency, presence, bitmask. */
typedef struct ms_logits_fix_args {
  uint32_t struct_size;
  int32_t n_rows, vocab;
  const int32_t* count;       /* optional [1] */
  const int32_t* row_flags;   /* [n_rows] MS_FIX_* */
  const int32_t* slot;        /* [n_rows] row of counts */
  const float* penalties;     /* [n_rows][3]: repetition (1 is off), frequency, presence */
  const uint16_t* counts;     /* [slots][vocab], see ms_count_tokens_args */
  const int32_t* bias_indptr; /* optional [n_rows + 1] */
  const int32_t* bias_ids;    /* [..] */
  const float* bias_values;   /* [..] */
  const uint32_t* bitmask;    /* optional [n_rows][ceil(vocab / 32)]: bit clear = -inf */
  float* logits;              /* in and out [n_rows][vocab] */
} ms_logits_fix_args;

enum { MS_COUNT_OUTPUT = 0, MS_COUNT_PROMPT = 1, MS_COUNT_RESET = 2 };

/* Per item: RESET clears the slot's row first (all resets run before any count); PROMPT sets bit 15
 * of the token's counter; OUTPUT adds one to the low 15 bits, saturating. token < 0 counts nothing.
 */
typedef struct ms_count_tokens_args {
  uint32_t struct_size;
  int32_t n_items, vocab;
  const int32_t* count; /* optional [1] */
  const int32_t* slot;  /* [n_items]; negative skips the item */
  const int32_t* token; /* [n_items] */
  const int32_t* mode;  /* optional [n_items] MS_COUNT_*; absent: OUTPUT */
  uint16_t* counts;     /* [slots][vocab], in and out; padded to a multiple of 4 bytes */
} ms_count_tokens_args;

enum { MS_SAMPLE_SKIP = 1 };

/* One row's rule. The draw depends on seed and position only. 40 bytes. */
typedef struct ms_sample_row {
  uint64_t seed;
  int64_t position;  /* of the token being drawn */
  float temperature; /* below 1e-5 is greedy */
  float top_p;       /* (0, 1]; 1 is off */
  float min_p;       /* [0, 1]; 0 is off */
  int32_t top_k;     /* 0 is off */
  int32_t slot;      /* last_token[slot] receives the token; negative: nobody */
  int32_t flags;     /* MS_SAMPLE_* */
} ms_sample_row;

/* Temperature, min-p, top-k, top-p (renormalised over what the former left), Gumbel-max draw.
 * Survivors are a threshold set: tokens of equal logit stay or go together. tokens[i] = -1 when no
 * logit of the row is finite. logprob is that of the distribution the token was drawn from before
 * truncation (after temperature), or of the raw softmax for greedy rows. */
typedef struct ms_sample_args {
  uint32_t struct_size;
  int32_t n_rows, vocab;
  const int32_t* count;      /* optional [1] */
  const float* logits;       /* [n_rows][vocab] */
  const ms_sample_row* rows; /* [n_rows] device */
  int32_t* tokens;           /* out [n_rows]; untouched for skipped rows */
  float* logprob;            /* optional out [n_rows] */
  int32_t* last_token;       /* optional [slots] */
} ms_sample_args;

/* The n most likely tokens of each flagged row with their log-softmax, sorted by (logit, then lower
 * id), followed by the chosen token's own logprob. */
typedef struct ms_top_logprobs_args {
  uint32_t struct_size;
  int32_t n_rows, vocab, max_n; /* max_n at most 32 */
  const int32_t* count;         /* optional [1] */
  const float* logits;          /* [n_rows][vocab] raw */
  const int32_t* wanted;        /* [n_rows] n of each row, in [0, max_n]; negative skips the row */
  const int32_t* chosen;        /* optional [n_rows] */
  int32_t* ids;                 /* out [n_rows][max_n] */
  float* logprobs;              /* out [n_rows][max_n] */
  float* chosen_logprob;        /* out [n_rows], with chosen */
  /* optional out [n_rows], with chosen: its place in that order, from 1; 0 if it has no logit */
  int32_t* chosen_rank;
} ms_top_logprobs_args;

/* Copies whole blocks, all layers, keys and values: to[i] = from[i]. Pairs must not overlap. */
typedef struct ms_block_copy_args {
  uint32_t struct_size;
  int32_t n_pairs;
  const int32_t* count; /* optional [1] */
  const int64_t* from;  /* [n_pairs] block of source */
  const int64_t* to;    /* [n_pairs] block of kv */
  const ms_kv_cache* source_h;
  const ms_kv_cache* kv_h;
} ms_block_copy_args;

#ifdef __cplusplus
}
#endif

#endif /* MODELSERVE_ARGS_H_ */
