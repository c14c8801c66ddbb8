// What the launchers hand to the kernels: one struct a kernel, passed by value. Plain types only,
// so that the host (g++) and the device compilers agree on every offset.
#pragma once
#include "shapes.h"

namespace ms {

/// One layer of the paged cache: [block][kv_head][block_size][D], keys and values apart.
struct KvView {
  unsigned char* k;
  unsigned char* v;
  long long block_bytes, head_bytes;  // strides
  const float* k_scale;               // null, or this layer's scale
  const float* v_scale;
  int block_size, n_kv_heads;
};

struct DecodeParams {
  KvView kv;
  const unsigned short* q;
  unsigned short* out;
  float* partial;
  int* tickets;
  const int *work_count, *work_row, *work_chunk, *work_indptr, *slot, *context_len, *block_table;
  const float* sinks;
  int n_work, n_q_heads, group, chunk_tokens, max_blocks, window, q_stride;
  float scale, softcap;
};

struct PrefillParams {
  KvView kv;
  const unsigned short* q;
  unsigned short* out;
  const int *tile_count, *tile_row, *tile_start, *slot, *token_start, *context_len, *block_table;
  const float* sinks;
  int n_tiles, n_q_heads, group, max_blocks, window, q_stride, tile_tokens;
  float scale, softcap;
};

struct StepBeginParams {
  const int *counts, *delta_slot, *delta_index, *delta_block, *slot, *token_start, *first_position;
  const int *input_ids, *last_token;
  int *block_table, *token_ids, *positions, *context_len;
  long long* kv_slots;
  int n_rows, n_tokens, n_deltas, max_blocks, block_size;
};

struct EmbedParams {
  const int *count, *ids;
  const unsigned short* table;
  unsigned short* out;
  int n_tokens, hidden, vocab;
  float scale;
};

struct NormParams {
  const int* count;
  const unsigned short* x;
  unsigned short* residual;
  const unsigned short* weight;
  void* out;
  float* out_scale;
  int n_tokens, hidden;
  float eps, weight_offset;
};

struct RopeParams {
  KvView kv;
  const int *count, *positions;
  const long long* kv_slots;
  const float* cos_sin;
  const unsigned short *q_weight, *k_weight;
  unsigned short* qkv;
  int n_tokens, n_q_heads, head_dim, rope, rotary_dim, max_position, fp8;
  float eps, weight_offset;
};

struct GemmParams {
  const int* count;
  const unsigned short* x;
  const unsigned char* w;
  const float* w_scale;
  const unsigned short *norm_weight, *bias, *residual;
  void* y;
  float* partial;
  int* tickets;
  int m, n, k, splits, epilogue, y_f32;
  float eps, weight_offset;
};

struct ActParams {
  const int* count;
  const unsigned short* gate_up;
  unsigned short* out;
  int n_tokens, features, activation;
};

struct QuantParams {
  const int* count;
  const unsigned short* x;
  unsigned char* out;
  float* scale;
  int n_rows, columns;
};

struct GatherParams {
  const int *count, *index;
  const unsigned short* x;
  unsigned short* out;
  int n_rows, columns;
};

struct ArgmaxParams {
  const int* count;
  const float* logits;
  int* out;
  int n_rows, vocab;
};

struct LogitsFixParams {
  const int *count, *row_flags, *slot;
  const float* penalties;
  const unsigned short* counts;
  const int *bias_indptr, *bias_ids;
  const float* bias_values;
  const unsigned int* bitmask;
  float* logits;
  int n_rows, vocab;
};

struct CountParams {
  const int *count, *slot, *token, *mode;
  unsigned short* counts;
  int n_items, vocab;
};

/// Byte for byte ms_sample_row.
struct SampleRow {
  unsigned long long seed;
  long long position;
  float temperature, top_p, min_p;
  int top_k, slot, flags;
};

struct SampleParams {
  const int* count;
  const float* logits;
  const SampleRow* rows;
  int* tokens;
  float* logprob;
  int* last_token;
  int n_rows, vocab;
};

struct TopLogprobsParams {
  const int* count;
  const float* logits;
  const int *wanted, *chosen;
  int* ids;
  float* logprobs;
  float* chosen_logprob;
  int* chosen_rank;
  int n_rows, vocab, max_n;
};

struct BlockCopyParams {
  const int* count;
  const long long *from, *to;
  const unsigned char* source;
  unsigned char* target;
  long long block_bytes, source_blocks, target_blocks;  // of one layer's keys or values
  int n_pairs, planes;                                  // planes = layers * 2
};

}  // namespace ms
