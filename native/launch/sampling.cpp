// Launchers of the kernels over logits: one block a row.
#include "../kernels/params.h"
#include "checks.h"
#include "context.h"

using namespace ms;

static_assert(sizeof(SampleRow) == sizeof(ms_sample_row), "the kernels read the ABI's rows");

namespace {

ms_status launch_rows(ms_ctx* ctx, const char* kernel, int n_rows, ms_stream* s, const void* p) {
  return launch(ctx, kernel, Grid{static_cast<unsigned>(n_rows)}, kRowBlock, 0, s, p);
}

}  // namespace

extern "C" ms_status ms_argmax(ms_ctx* ctx, const ms_argmax_args* a, ms_stream* s) {
  ms_status status = check(a);
  if (status != MS_OK) return status;
  ArgmaxParams p{a->count, a->logits, a->out, a->n_rows, a->vocab};
  return launch_rows(ctx, "ms_argmax_rows", a->n_rows, s, &p);
}

extern "C" ms_status ms_logits_fix(ms_ctx* ctx, const ms_logits_fix_args* a, ms_stream* s) {
  ms_status status = check(a);
  if (status != MS_OK) return status;
  LogitsFixParams p{a->count,   a->row_flags,   a->slot,     a->penalties,
                    a->counts,  a->bias_indptr, a->bias_ids, a->bias_values,
                    a->bitmask, a->logits,      a->n_rows,   a->vocab};
  return launch_rows(ctx, "ms_logits_fix_rows", a->n_rows, s, &p);
}

extern "C" ms_status ms_count_tokens(ms_ctx* ctx, const ms_count_tokens_args* a, ms_stream* s) {
  ms_status status = check(a);
  if (status != MS_OK) return status;
  CountParams p{a->count, a->slot, a->token, a->mode, a->counts, a->n_items, a->vocab};
  if (a->mode != nullptr) {
    status = launch_rows(ctx, "ms_count_reset", a->n_items, s, &p);
    if (status != MS_OK) return status;
  }
  return launch_rows(ctx, "ms_count_add", (a->n_items + kRowBlock - 1) / kRowBlock, s, &p);
}

extern "C" ms_status ms_sample(ms_ctx* ctx, const ms_sample_args* a, ms_stream* s) {
  ms_status status = check(a);
  if (status != MS_OK) return status;
  SampleParams p{a->count,  a->logits,  reinterpret_cast<const SampleRow*>(a->rows),
                 a->tokens, a->logprob, a->last_token,
                 a->n_rows, a->vocab};
  return launch_rows(ctx, "ms_sample_rows", a->n_rows, s, &p);
}

extern "C" ms_status ms_top_logprobs(ms_ctx* ctx, const ms_top_logprobs_args* a, ms_stream* s) {
  ms_status status = check(a);
  if (status != MS_OK) return status;
  TopLogprobsParams p{a->count,          a->logits,      a->wanted, a->chosen, a->ids,  a->logprobs,
                      a->chosen_logprob, a->chosen_rank, a->n_rows, a->vocab,  a->max_n};
  return launch_rows(ctx, "ms_top_logprobs_rows", a->n_rows, s, &p);
}
