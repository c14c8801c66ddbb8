#include "cublaslt.h"

#include <dlfcn.h>

#include <cstring>

#include "cublaslt_constants.h"
#include "error.h"

namespace ms {

namespace {

int data_type(int32_t dtype) {
  return dtype == MS_F32 ? kF32 : dtype == MS_FP8_E4M3 ? kE4m3 : kBf16;
}

ms_status lt_status(int result, const char* call) {
  return result == 0 ? MS_OK : fail(MS_ERR_CUBLAS, "%s failed with cuBLAS status %d", call, result);
}

#define MS_LT(call, name)                      \
  do {                                         \
    ms_status status_ = lt_status(call, name); \
    if (status_ != MS_OK) return status_;      \
  } while (false)

void* open_library(const char* path) {
  if (path != nullptr) return dlopen(path, RTLD_NOW);
  const char* names[] = {"libcublasLt.so.13", "libcublasLt.so.12", "libcublasLt.so"};
  for (const char* name : names) {
    if (void* loaded = dlopen(name, RTLD_NOW | RTLD_NOLOAD)) return loaded;
  }
  for (const char* name : names) {
    if (void* loaded = dlopen(name, RTLD_NOW)) return loaded;
  }
  return nullptr;
}

template <class F>
bool bind(void* library, const char* name, F& f) {
  f = reinterpret_cast<F>(dlsym(library, name));
  return f != nullptr;
}

}  // namespace

void CublasLt::open(const char* path) {
  void* lib = open_library(path);
  if (lib == nullptr) return;
  bool complete = bind(lib, "cublasLtGetVersion", version_) &&
                  bind(lib, "cublasLtCreate", create_) && bind(lib, "cublasLtDestroy", destroy_) &&
                  bind(lib, "cublasLtMatmulDescCreate", desc_create_) &&
                  bind(lib, "cublasLtMatmulDescDestroy", desc_destroy_) &&
                  bind(lib, "cublasLtMatmulDescSetAttribute", desc_set_) &&
                  bind(lib, "cublasLtMatrixLayoutCreate", layout_create_) &&
                  bind(lib, "cublasLtMatrixLayoutDestroy", layout_destroy_) &&
                  bind(lib, "cublasLtMatmulPreferenceCreate", preference_create_) &&
                  bind(lib, "cublasLtMatmulPreferenceDestroy", preference_destroy_) &&
                  bind(lib, "cublasLtMatmulPreferenceSetAttribute", preference_set_) &&
                  bind(lib, "cublasLtMatmulAlgoGetHeuristic", heuristic_) &&
                  bind(lib, "cublasLtMatmul", matmul_);
  if (!complete || create_(&handle_) != 0) handle_ = nullptr;
}

void CublasLt::close() {
  for (auto& entry : plans_) drop(entry.second);
  plans_.clear();
  if (handle_ != nullptr) destroy_(handle_);
  handle_ = nullptr;
}

// Column-major: y^T [n x m] = w (k x n, transposed) times x^T (k x m).
ms_status CublasLt::describe(const ms_gemm_args* a, Plan* plan) {
  MS_LT(desc_create_(&plan->desc, kCompute32F, kF32), "cublasLtMatmulDescCreate");
  MS_LT(desc_set_(plan->desc, kTransA, &kOpT, sizeof(int)), "TRANSA");
  MS_LT(desc_set_(plan->desc, kTransB, &kOpN, sizeof(int)), "TRANSB");
  if (a->bias != nullptr) {
    MS_LT(desc_set_(plan->desc, kEpilogue, &kEpilogueBias, sizeof(int)), "EPILOGUE");
  }
  if (a->x_dtype == MS_FP8_E4M3) {
    MS_LT(desc_set_(plan->desc, kAScaleMode, &kScaleOuterVector, sizeof(int)), "A_SCALE_MODE");
    MS_LT(desc_set_(plan->desc, kBScaleMode, &kScaleOuterVector, sizeof(int)), "B_SCALE_MODE");
    int8_t fast = 0;  // fp8 tensor cores keep about 14 bits unless sums are promoted on the way
    MS_LT(desc_set_(plan->desc, kFastAccumulate, &fast, sizeof(fast)), "FAST_ACCUM");
  }
  auto m = static_cast<uint64_t>(a->m), n = static_cast<uint64_t>(a->n);
  auto k = static_cast<uint64_t>(a->k);
  int y = data_type(a->y_dtype);
  MS_LT(layout_create_(&plan->a, data_type(a->w_dtype), k, n, a->k), "layout of w");
  MS_LT(layout_create_(&plan->b, data_type(a->x_dtype), k, m, a->k), "layout of x");
  MS_LT(layout_create_(&plan->c, y, n, m, a->n), "layout of residual");
  MS_LT(layout_create_(&plan->d, y, n, m, a->n), "layout of y");
  return MS_OK;
}

ms_status CublasLt::set_pointers(const ms_gemm_args* a, const Plan& plan) {
  if (a->bias != nullptr) {
    MS_LT(desc_set_(plan.desc, kBiasPointer, &a->bias, sizeof(void*)), "BIAS_POINTER");
  }
  if (a->x_dtype == MS_FP8_E4M3) {
    MS_LT(desc_set_(plan.desc, kAScalePointer, &a->w_scale, sizeof(void*)), "A_SCALE_POINTER");
    MS_LT(desc_set_(plan.desc, kBScalePointer, &a->x_scale, sizeof(void*)), "B_SCALE_POINTER");
  }
  return MS_OK;
}

ms_status CublasLt::search(const ms_gemm_args* a, const Plan& plan, LtHeuristic* out, int limit,
                           int* count) {
  ms_status status = set_pointers(a, plan);
  if (status != MS_OK) return status;
  void* preference = nullptr;
  MS_LT(preference_create_(&preference), "cublasLtMatmulPreferenceCreate");
  uint64_t bytes = kWorkspaceBytes;
  uint32_t reduction = kReduceInComputeType, alignment = 16;
  int result = preference_set_(preference, kPreferWorkspace, &bytes, sizeof(bytes));
  if (result == 0) {
    result = preference_set_(preference, kPreferReduction, &reduction, sizeof(reduction));
  }
  for (int operand = 0; operand < 4 && result == 0; ++operand) {
    result = preference_set_(preference, kPreferAlignment + operand, &alignment, sizeof(alignment));
  }
  if (result == 0) {
    result = heuristic_(handle_, plan.desc, plan.a, plan.b, plan.c, plan.d, preference, limit, out,
                        count);
  }
  preference_destroy_(preference);
  MS_LT(result, "cublasLtMatmulAlgoGetHeuristic");
  if (*count == 0) return fail(MS_ERR_UNSUPPORTED, "cuBLASLt has no algorithm for these sizes");
  return MS_OK;
}

void CublasLt::drop(const Plan& plan) {
  if (plan.desc != nullptr) desc_destroy_(plan.desc);
  for (void* layout : {plan.a, plan.b, plan.c, plan.d}) {
    if (layout != nullptr) layout_destroy_(layout);
  }
}

ms_status CublasLt::plan_for(const ms_gemm_args* a, Plan** out) {
  Key key{a->m,
          a->n,
          a->k,
          a->x_dtype,
          a->w_dtype,
          a->y_dtype,
          a->bias != nullptr,
          a->residual != nullptr};
  auto found = plans_.find(key);
  if (found == plans_.end()) {
    Plan plan{};
    ms_status status = describe(a, &plan);
    if (status != MS_OK) {
      drop(plan);
      return status;
    }
    // A long-lived server meets every m of a mixed step; descriptions are small and quick to make.
    if (plans_.size() >= kMaxPlans) {
      drop(plans_.begin()->second);
      plans_.erase(plans_.begin());
    }
    found = plans_.emplace(key, plan).first;
  }
  *out = &found->second;
  return MS_OK;
}

ms_status CublasLt::candidates(const ms_gemm_args* a, LtHeuristic* out, int limit, int* count) {
  Plan* plan = nullptr;
  ms_status status = plan_for(a, &plan);
  return status == MS_OK ? search(a, *plan, out, limit, count) : status;
}

ms_status CublasLt::multiply(const ms_gemm_args* a, CuStream stream) {
  Plan* plan = nullptr;
  ms_status status = plan_for(a, &plan);
  if (status == MS_OK) status = set_pointers(a, *plan);
  if (status != MS_OK) return status;
  if (a->algo_h == nullptr && !plan->has_algo) {
    LtHeuristic best{};
    int count = 0;
    status = search(a, *plan, &best, 1, &count);
    if (status != MS_OK) return status;
    plan->algo = best.algo;
    plan->has_algo = true;
  }
  LtAlgo algo = plan->algo;
  if (a->algo_h != nullptr) std::memcpy(&algo, a->algo_h, sizeof(algo));
  float alpha = 1.0f, beta = a->residual != nullptr ? 1.0f : 0.0f;
  const void* c = a->residual != nullptr ? a->residual : a->y;
  return lt_status(
      matmul_(handle_, plan->desc, &alpha, a->w, plan->a, a->x, plan->b, &beta, c, plan->c, a->y,
              plan->d, &algo, a->workspace, static_cast<std::size_t>(a->workspace_bytes), stream),
      "cublasLtMatmul");
}

}  // namespace ms
