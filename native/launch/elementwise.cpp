// Launchers of the norms, row movements and the step prologue.
#include "../kernels/params.h"
#include "checks.h"
#include "context.h"

using namespace ms;

namespace {

const unsigned short* bf16(const void* p) { return static_cast<const unsigned short*>(p); }
unsigned short* bf16(void* p) { return static_cast<unsigned short*>(p); }
unsigned blocks(long long units, int per_block) {
  return static_cast<unsigned>((units + per_block - 1) / per_block);
}

/// The narrowest kernel that holds the row in registers.
const char* norm_kernel(int hidden, bool fp8) {
  if (hidden <= 2048) return fp8 ? "ms_add_rmsnorm_fp8_2048" : "ms_add_rmsnorm_2048";
  if (hidden <= 4096) return fp8 ? "ms_add_rmsnorm_fp8_4096" : "ms_add_rmsnorm_4096";
  if (hidden <= 8192) return fp8 ? "ms_add_rmsnorm_fp8_8192" : "ms_add_rmsnorm_8192";
  return fp8 ? "ms_add_rmsnorm_fp8_16384" : "ms_add_rmsnorm_16384";
}

}  // namespace

extern "C" ms_status ms_step_begin(ms_ctx* ctx, const ms_step_begin_args* a, ms_stream* s) {
  ms_status status = check(a);
  if (status != MS_OK) return status;
  StepBeginParams p{};
  p.counts = a->counts;
  p.delta_slot = a->delta_slot;
  p.delta_index = a->delta_index;
  p.delta_block = a->delta_block;
  p.slot = a->slot;
  p.token_start = a->token_start;
  p.first_position = a->first_position;
  p.input_ids = a->input_ids;
  p.last_token = a->last_token;
  p.block_table = a->block_table;
  p.token_ids = a->token_ids;
  p.positions = a->positions;
  p.context_len = a->context_len;
  p.kv_slots = reinterpret_cast<long long*>(a->kv_slots);
  p.n_rows = a->n_rows;
  p.n_tokens = a->n_tokens;
  p.n_deltas = a->n_deltas;
  p.max_blocks = a->max_blocks;
  p.block_size = a->block_size;
  return launch(ctx, "ms_step_prologue", Grid{1}, kStepThreads, 0, s, &p);
}

extern "C" ms_status ms_embed(ms_ctx* ctx, const ms_embed_args* a, ms_stream* s) {
  ms_status status = check(a);
  if (status != MS_OK) return status;
  EmbedParams p{a->count,    a->ids,    bf16(a->table), bf16(a->out),
                a->n_tokens, a->hidden, a->vocab,       a->scale};
  return launch(ctx, "ms_embed_rows", Grid{blocks(a->n_tokens, kRowThreads / 32)}, kRowThreads, 0,
                s, &p);
}

extern "C" ms_status ms_add_rmsnorm(ms_ctx* ctx, const ms_add_rmsnorm_args* a, ms_stream* s) {
  ms_status status = check(a);
  if (status != MS_OK) return status;
  NormParams p{a->count,     bf16(a->x),  bf16(a->residual), bf16(a->weight), a->out,
               a->out_scale, a->n_tokens, a->hidden,         a->eps,          a->weight_offset};
  return launch(ctx, norm_kernel(a->hidden, a->out_scale != nullptr),
                Grid{static_cast<unsigned>(a->n_tokens)}, kNormThreads, 0, s, &p);
}

extern "C" ms_status ms_quant_fp8(ms_ctx* ctx, const ms_quant_fp8_args* a, ms_stream* s) {
  ms_status status = check(a);
  if (status != MS_OK) return status;
  QuantParams p{a->count, bf16(a->x), static_cast<unsigned char*>(a->out),
                a->scale, a->n_rows,  a->columns};
  return launch(ctx, "ms_quant_fp8_rows", Grid{static_cast<unsigned>(a->n_rows)}, kNormThreads, 0,
                s, &p);
}

extern "C" ms_status ms_gather_rows(ms_ctx* ctx, const ms_gather_rows_args* a, ms_stream* s) {
  ms_status status = check(a);
  if (status != MS_OK) return status;
  GatherParams p{a->count, a->index, bf16(a->x), bf16(a->out), a->n_rows, a->columns};
  return launch(ctx, "ms_gather", Grid{static_cast<unsigned>(a->n_rows)}, kRowThreads, 0, s, &p);
}

extern "C" ms_status ms_act_mul(ms_ctx* ctx, const ms_act_mul_args* a, ms_stream* s) {
  ms_status status = check(a);
  if (status != MS_OK) return status;
  ActParams p{a->count, bf16(a->gate_up), bf16(a->out), a->n_tokens, a->features, a->activation};
  long long units = static_cast<long long>(a->n_tokens) * (a->features / 8);
  return launch(ctx, "ms_act_mul_rows", Grid{blocks(units, kRowThreads)}, kRowThreads, 0, s, &p);
}
