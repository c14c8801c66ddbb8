// ms_gemm: the choice between the skinny kernel and cuBLASLt, and the tuning of the latter.
#include <cstring>

#include "../kernels/params.h"
#include "checks.h"
#include "context.h"

using namespace ms;

namespace {

constexpr int kTuneCandidates = 16;
constexpr int kTuneRuns = 10;
constexpr int kRowScales = 120900;  // the first cuBLASLt that scales rows of fp8 operands

const char* skinny_kernel(int m, bool fp8) {
  if (m <= 8) return fp8 ? "ms_skinny_fp8_8" : "ms_skinny_bf16_8";
  if (m <= 16) return fp8 ? "ms_skinny_fp8_16" : "ms_skinny_bf16_16";
  if (m <= 32) return fp8 ? "ms_skinny_fp8_32" : "ms_skinny_bf16_32";
  return fp8 ? "ms_skinny_fp8_64" : "ms_skinny_bf16_64";
}

int padded_tokens(int m) { return m <= 8 ? 8 : m <= 16 ? 16 : m <= 32 ? 32 : 64; }
int weight_tiles(const ms_gemm_args* a) {
  int columns = a->epilogue == MS_EPILOGUE_NONE ? 16 : 8;
  return (a->n + columns - 1) / columns;
}
long long partial_bytes(const ms_gemm_args* a, int splits) {
  return splits <= 1 ? 0 : 4LL * weight_tiles(a) * splits * 16 * padded_tokens(a->m);
}

ms_status check_split_buffers(const ms_gemm_args* a, int splits) {
  if (splits > 1 && (a->workspace == nullptr || a->tickets == nullptr ||
                     a->workspace_bytes < partial_bytes(a, splits))) {
    return fail(MS_ERR_ARGUMENT, "%d splits need tickets and workspace_bytes >= %lld, is %lld",
                splits, partial_bytes(a, splits), static_cast<long long>(a->workspace_bytes));
  }
  return MS_OK;
}

ms_status check_cublaslt(const ms_ctx* ctx, const ms_gemm_args* a) {
  if (!ctx->cublaslt.is_open()) return fail(MS_ERR_LIBRARY, "cuBLASLt is not loaded");
  if (a->x_dtype == MS_FP8_E4M3 && !ctx->driver.emulated &&
      (ctx->compute_major != 9 || ctx->cublaslt.version() < kRowScales)) {
    return fail(MS_ERR_UNSUPPORTED,
                "cuBLASLt takes fp8 with a scale for each row from version %d on sm_90, this is %d "
                "on sm_%d%d",
                kRowScales, ctx->cublaslt.version(), ctx->compute_major, ctx->compute_minor);
  }
  return check_wide(a);
}

ms_status run_skinny(ms_ctx* ctx, const ms_gemm_args* a, ms_stream* s) {
  int splits = pick_splits(a, ctx->sm_count);
  ms_status status = check_skinny(a, splits);
  if (status == MS_OK) status = check_split_buffers(a, splits);
  if (status != MS_OK) return status;
  GemmParams p{};
  p.count = a->count;
  p.x = static_cast<const unsigned short*>(a->x);
  p.w = static_cast<const unsigned char*>(a->w);
  bool fp8 = a->w_dtype == MS_FP8_E4M3;
  p.w_scale = fp8 ? a->w_scale : nullptr;
  p.norm_weight = static_cast<const unsigned short*>(a->norm_weight);
  p.bias = static_cast<const unsigned short*>(a->bias);
  p.residual = static_cast<const unsigned short*>(a->residual);
  p.y = a->y;
  p.partial = static_cast<float*>(a->workspace);
  p.tickets = a->tickets;
  p.m = a->m;
  p.n = a->n;
  p.k = a->k;
  p.splits = splits;
  p.epilogue = a->epilogue;
  p.y_f32 = a->y_dtype == MS_F32;
  p.eps = a->eps;
  p.weight_offset = a->weight_offset;
  Grid grid{static_cast<unsigned>(weight_tiles(a)), static_cast<unsigned>(splits)};
  return launch(ctx, skinny_kernel(a->m, fp8), grid, kGemmThreads, 0, s, &p);
}

/// Microseconds of one call, averaged over kTuneRuns.
ms_status time_algo(ms_ctx* ctx, const ms_gemm_args* a, CuStream stream, CuEvent from, CuEvent to,
                    float* us) {
  ms_status status = MS_OK;
  for (int i = 0; i < 2 && status == MS_OK; ++i) status = ctx->cublaslt.multiply(a, stream);
  if (status != MS_OK) return status;
  ctx->driver.event_record(from, stream);
  for (int i = 0; i < kTuneRuns && status == MS_OK; ++i) status = ctx->cublaslt.multiply(a, stream);
  if (status != MS_OK) return status;
  ctx->driver.event_record(to, stream);
  status = driver_status(ctx, ctx->driver.event_sync(to), "cuEventSynchronize");
  float ms = 0;
  if (status == MS_OK) {
    status = driver_status(ctx, ctx->driver.event_elapsed(&ms, from, to), "cuEventElapsedTime");
  }
  *us = ms * 1000 / kTuneRuns;
  return status;
}

}  // namespace

extern "C" ms_status ms_gemm_workspace(ms_ctx* ctx, const ms_gemm_args* a, int64_t* bytes_h) {
  ms_status status = enter(ctx, bytes_h);
  if (status == MS_OK) status = check(a);
  if (status != MS_OK) return status;
  *bytes_h = wants_skinny(a, ctx->cublaslt.is_open())
                 ? partial_bytes(a, pick_splits(a, ctx->sm_count))
                 : static_cast<int64_t>(CublasLt::kWorkspaceBytes);
  return MS_OK;
}

extern "C" ms_status ms_gemm(ms_ctx* ctx, const ms_gemm_args* a, ms_stream* s) {
  ms_status status = enter(ctx, s);
  if (status == MS_OK) status = check(a);
  if (status != MS_OK) return status;
  if (wants_skinny(a, ctx->cublaslt.is_open())) return run_skinny(ctx, a, s);
  status = check_cublaslt(ctx, a);
  return status == MS_OK ? ctx->cublaslt.multiply(a, cu(s)) : status;
}

extern "C" ms_status ms_gemm_tune(ms_ctx* ctx, const ms_gemm_args* a, ms_stream* s,
                                  uint8_t* algo_out_h, float* us_h) {
  if (algo_out_h == nullptr || us_h == nullptr) {
    return fail(MS_ERR_ARGUMENT, "algo_out_h or us_h is null");
  }
  ms_status status = enter(ctx, s);
  if (status == MS_OK) status = check(a);
  if (status == MS_OK) status = check_cublaslt(ctx, a);
  if (status != MS_OK) return status;
  LtHeuristic found[kTuneCandidates];
  int count = 0;
  status = ctx->cublaslt.candidates(a, found, kTuneCandidates, &count);
  if (status != MS_OK) return status;
  CuEvent from = nullptr, to = nullptr;
  status = driver_status(ctx, ctx->driver.event_create(&from, 0), "cuEventCreate");
  if (status == MS_OK)
    status = driver_status(ctx, ctx->driver.event_create(&to, 0), "cuEventCreate");
  float best = -1;
  for (int i = 0; i < count && status == MS_OK; ++i) {
    if (found[i].state != 0 || found[i].workspace > static_cast<size_t>(a->workspace_bytes))
      continue;
    ms_gemm_args with_algo = *a;
    with_algo.algo_h = reinterpret_cast<const uint8_t*>(&found[i].algo);
    float us = 0;
    // A candidate that refuses to run is passed over; the heuristic promises nothing.
    if (time_algo(ctx, &with_algo, cu(s), from, to, &us) != MS_OK) continue;
    if (best < 0 || us < best) {
      best = us;
      std::memcpy(algo_out_h, &found[i].algo, sizeof(found[i].algo));
    }
  }
  if (from != nullptr) ctx->driver.event_destroy(from);
  if (to != nullptr) ctx->driver.event_destroy(to);
  if (status != MS_OK) return status;
  if (best < 0) return fail(MS_ERR_CUBLAS, "none of %d candidates ran", count);
  *us_h = best;
  return MS_OK;
}
