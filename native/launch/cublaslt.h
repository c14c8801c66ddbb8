// cuBLASLt by dlopen: y[m, n] = x[m, k] w[n, k]^T with bias, residual and fp8 scales. The dozen
// prototypes and constants it needs are declared here, from NVIDIA's documentation of the library.
#pragma once

#include <cstdint>
#include <map>
#include <tuple>

#include "driver.h"
#include "modelserve.h"

namespace ms {

/// An opaque algorithm, as the library hands it out: 64 bytes that may be stored.
struct LtAlgo {
  std::uint64_t data[8];
};
struct LtHeuristic {
  LtAlgo algo;
  std::size_t workspace;
  int state;
  float waves;
  int reserved[4];
};
static_assert(sizeof(LtHeuristic) == 96, "cublasLtMatmulHeuristicResult_t");

class CublasLt {
 public:
  static constexpr std::size_t kWorkspaceBytes = std::size_t{32} << 20;

  /// Tries the path, or else the copy already in the process, then the usual names.
  void open(const char* path);
  void close();
  bool is_open() const { return handle_ != nullptr; }
  int version() const { return is_open() ? static_cast<int>(version_()) : 0; }

  ms_status multiply(const ms_gemm_args* a, CuStream stream);
  /// Up to `limit` candidates for these sizes, best first by the library's own estimate.
  ms_status candidates(const ms_gemm_args* a, LtHeuristic* out, int limit, int* count);

 private:
  using Handle = void*;
  struct Plan {
    void *desc, *a, *b, *c, *d;
    LtAlgo algo;
    bool has_algo;  // searched for when first needed: a caller's own algorithm needs none
  };
  using Key = std::tuple<int, int, int, int, int, int, bool, bool>;

  static constexpr std::size_t kMaxPlans = 4096;

  void drop(const Plan& plan);
  ms_status plan_for(const ms_gemm_args* a, Plan** out);
  ms_status describe(const ms_gemm_args* a, Plan* plan);
  ms_status set_pointers(const ms_gemm_args* a, const Plan& plan);
  ms_status search(const ms_gemm_args* a, const Plan& plan, LtHeuristic* out, int limit,
                   int* count);

  Handle handle_ = nullptr;
  std::map<Key, Plan> plans_;

  std::size_t (*version_)() = nullptr;
  int (*create_)(Handle*) = nullptr;
  int (*destroy_)(Handle) = nullptr;
  int (*desc_create_)(void**, int, int) = nullptr;
  int (*desc_destroy_)(void*) = nullptr;
  int (*desc_set_)(void*, int, const void*, std::size_t) = nullptr;
  int (*layout_create_)(void**, int, std::uint64_t, std::uint64_t, std::int64_t) = nullptr;
  int (*layout_destroy_)(void*) = nullptr;
  int (*preference_create_)(void**) = nullptr;
  int (*preference_destroy_)(void*) = nullptr;
  int (*preference_set_)(void*, int, const void*, std::size_t) = nullptr;
  int (*heuristic_)(Handle, void*, void*, void*, void*, void*, void*, int, LtHeuristic*,
                    int*) = nullptr;
  int (*matmul_)(Handle, void*, const void*, const void*, void*, const void*, void*, const void*,
                 const void*, void*, void*, void*, const LtAlgo*, void*, std::size_t,
                 CuStream) = nullptr;
};

}  // namespace ms
