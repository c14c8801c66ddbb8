// What ms_gemm refuses, and which of its two kernels takes what: shared by the GPU library, the
// emulator and the CPU stub, so that a product the GPU would refuse is refused without one as well.
#include "checks.h"
#include "rules.h"

namespace ms {

namespace {

// clang-format off
constexpr FieldRule kGemm[] = {
    MS_RANGE(ms_gemm_args, path, MS_GEMM_AUTO, MS_GEMM_CUBLASLT),
    MS_RANGE(ms_gemm_args, epilogue, MS_EPILOGUE_NONE, MS_EPILOGUE_GELU_TANH_MUL),
    MS_RANGE(ms_gemm_args, m, 1, kMaxRows),
    MS_RANGE(ms_gemm_args, n, 1, kMaxVocab),
    MS_RANGE(ms_gemm_args, k, 8, kMaxColumns),
    MS_MULTIPLE(ms_gemm_args, k, 8),
    MS_RANGE(ms_gemm_args, splits, 0, 16),
    MS_ALIGNED(ms_gemm_args, x, 16),
    MS_ALIGNED(ms_gemm_args, w, 16),
    MS_ALIGNED(ms_gemm_args, y, 16),
    MS_ALIGNED_OR_NULL(ms_gemm_args, norm_weight, 16),
    MS_ALIGNED_OR_NULL(ms_gemm_args, residual, 16),
    MS_ALIGNED_OR_NULL(ms_gemm_args, workspace, 256),
};
// clang-format on

}  // namespace

ms_status check(const ms_gemm_args* a) {
  MS_TRY(apply(a, kGemm));
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
  return MS_OK;
}

bool wants_skinny(const ms_gemm_args* a, bool has_cublaslt) {
  if (a->path != MS_GEMM_AUTO) return a->path == MS_GEMM_SKINNY;
  if (a->x_dtype != MS_BF16 && has_cublaslt) return false;
  bool must = a->epilogue != MS_EPILOGUE_NONE || a->norm_weight != nullptr || !has_cublaslt ||
              a->w_dtype != a->x_dtype;
  return must || (a->m <= kSkinnyMaxTokens && a->k % kSkinnySlice == 0);
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

ms_status check_skinny(const ms_gemm_args* a, int splits) {
  MS_REQUIRE(a->m <= kSkinnyMaxTokens && a->k % kSkinnySlice == 0, MS_ERR_UNSUPPORTED,
             "the skinny kernel takes m <= %d and k a multiple of %d, not m = %d, k = %d",
             kSkinnyMaxTokens, kSkinnySlice, a->m, a->k);
  MS_REQUIRE(a->x_dtype == MS_BF16, MS_ERR_UNSUPPORTED, "the skinny kernel takes bf16 x");
  MS_REQUIRE(splits == 1 || a->norm_weight == nullptr, MS_ERR_UNSUPPORTED,
             "norm_weight needs splits = 1, is %d", splits);
  return MS_OK;
}

ms_status check_wide(const ms_gemm_args* a) {
  MS_REQUIRE(
      a->epilogue == MS_EPILOGUE_NONE && a->norm_weight == nullptr && a->w_dtype == a->x_dtype,
      MS_ERR_UNSUPPORTED, "gated epilogues, norm_weight and mixed types are for the skinny kernel");
  MS_REQUIRE(a->y_dtype == MS_BF16 || (a->bias == nullptr && a->residual == nullptr),
             MS_ERR_UNSUPPORTED, "bias and residual need y_dtype MS_BF16 with cuBLASLt");
  MS_REQUIRE(a->w_dtype == MS_BF16 || (a->n % 16 == 0 && a->k % 16 == 0), MS_ERR_UNSUPPORTED,
             "cuBLASLt takes fp8 with n and k multiples of 16, not n = %d, k = %d", a->n, a->k);
  MS_REQUIRE(a->workspace_bytes == 0 || a->workspace != nullptr, MS_ERR_ARGUMENT,
             "workspace is null with workspace_bytes > 0");
  return MS_OK;
}

}  // namespace ms
