// cuBLASLt as this library uses it, in plain loops on host memory: lets the emulator run the code
// around the real one. It refuses what the real one refuses of these calls, and an algorithm that
// it did not hand out; it keeps no time and needs no workspace.
#include <cmath>
#include <cstdint>
#include <cstring>

#include "../launch/cublaslt.h"
#include "../launch/cublaslt_constants.h"

#define FAKE_API extern "C" __attribute__((visibility("default")))

using namespace ms;

namespace {

constexpr int kInvalid = 7, kUnsupported = 15;  // cublasStatus_t
constexpr std::uint64_t kMark = 0x46414b454c54ULL;

struct Desc {
  int compute, scale, trans_a = kOpN, trans_b = kOpN, epilogue = 1;
  int mode_a = 0, mode_b = 0;
  const void* bias = nullptr;
  const float *scale_a = nullptr, *scale_b = nullptr;
};

struct Layout {
  int type;
  std::uint64_t rows, columns;
  std::int64_t ld;
};

float from_bf16(std::uint16_t v) {
  std::uint32_t bits = static_cast<std::uint32_t>(v) << 16;
  float x;
  std::memcpy(&x, &bits, 4);
  return x;
}
std::uint16_t to_bf16(float x) {
  std::uint32_t b;
  std::memcpy(&b, &x, 4);
  return static_cast<std::uint16_t>((b + 0x7fffu + ((b >> 16) & 1u)) >> 16);
}
float from_e4m3(std::uint8_t v) {
  int exponent = v >> 3 & 15, mantissa = v & 7;
  float x = exponent == 0 ? std::ldexp(static_cast<float>(mantissa), -9)
                          : std::ldexp(static_cast<float>(8 + mantissa), exponent - 10);
  return (v & 0x80) != 0 ? -x : x;
}

float element(const void* data, const Layout& l, std::uint64_t row, std::uint64_t column) {
  std::uint64_t at = column * static_cast<std::uint64_t>(l.ld) + row;
  if (l.type == kF32) return static_cast<const float*>(data)[at];
  if (l.type == kBf16) return from_bf16(static_cast<const std::uint16_t*>(data)[at]);
  return from_e4m3(static_cast<const std::uint8_t*>(data)[at]);
}

/// What the real library refuses of such a product, as far as this one's callers could get it
/// wrong.
int check(const Desc& d, const Layout& a, const Layout& b, const Layout& c, const Layout& out) {
  if (d.trans_a != kOpT || d.trans_b != kOpN) return kUnsupported;
  if (a.rows != b.rows || a.columns != out.rows || b.columns != out.columns) return kInvalid;
  if (c.rows != out.rows || c.columns != out.columns || c.type != out.type) return kInvalid;
  if (a.ld < static_cast<std::int64_t>(a.rows) || out.ld < static_cast<std::int64_t>(out.rows)) {
    return kInvalid;
  }
  if (a.type != b.type || d.compute != kCompute32F || d.scale != kF32) return kUnsupported;
  if (a.type != kE4m3) return d.scale_a == nullptr && d.scale_b == nullptr ? 0 : kInvalid;
  bool rows = d.mode_a == kScaleOuterVector && d.mode_b == kScaleOuterVector;
  if (!rows || a.rows % 16 != 0 || a.columns % 16 != 0) return kUnsupported;
  return d.scale_a != nullptr && d.scale_b != nullptr ? 0 : kInvalid;
}

template <class T>
int set(T& field, const void* value, std::size_t bytes) {
  if (bytes != sizeof(T)) return kInvalid;
  std::memcpy(&field, value, bytes);
  return 0;
}

}  // namespace

FAKE_API std::size_t cublasLtGetVersion() { return 130000; }
FAKE_API int cublasLtCreate(void** handle) {
  *handle = new int(0);
  return 0;
}
FAKE_API int cublasLtDestroy(void* handle) {
  delete static_cast<int*>(handle);
  return 0;
}
FAKE_API int cublasLtMatmulDescCreate(void** out, int compute, int scale) {
  *out = new Desc{compute, scale};
  return 0;
}
FAKE_API int cublasLtMatmulDescDestroy(void* desc) {
  delete static_cast<Desc*>(desc);
  return 0;
}
FAKE_API int cublasLtMatmulDescSetAttribute(void* desc, int attribute, const void* value,
                                            std::size_t bytes) {
  auto& d = *static_cast<Desc*>(desc);
  switch (attribute) {
    case kTransA:
      return set(d.trans_a, value, bytes);
    case kTransB:
      return set(d.trans_b, value, bytes);
    case kEpilogue:
      return set(d.epilogue, value, bytes);
    case kBiasPointer:
      return set(d.bias, value, bytes);
    case kAScalePointer:
      return set(d.scale_a, value, bytes);
    case kBScalePointer:
      return set(d.scale_b, value, bytes);
    case kAScaleMode:
      return set(d.mode_a, value, bytes);
    case kBScaleMode:
      return set(d.mode_b, value, bytes);
    case kFastAccumulate:
      return bytes == 1 && *static_cast<const char*>(value) == 0 ? 0 : kInvalid;
    default:
      return kInvalid;
  }
}
FAKE_API int cublasLtMatrixLayoutCreate(void** out, int type, std::uint64_t rows,
                                        std::uint64_t columns, std::int64_t ld) {
  *out = new Layout{type, rows, columns, ld};
  return 0;
}
FAKE_API int cublasLtMatrixLayoutDestroy(void* layout) {
  delete static_cast<Layout*>(layout);
  return 0;
}
FAKE_API int cublasLtMatmulPreferenceCreate(void** out) {
  *out = new std::uint64_t(0);
  return 0;
}
FAKE_API int cublasLtMatmulPreferenceDestroy(void* preference) {
  delete static_cast<std::uint64_t*>(preference);
  return 0;
}
FAKE_API int cublasLtMatmulPreferenceSetAttribute(void* preference, int attribute,
                                                  const void* value, std::size_t bytes) {
  std::uint32_t small = 0;
  if (attribute == kPreferWorkspace) {
    return set(*static_cast<std::uint64_t*>(preference), value, bytes);
  }
  bool known = attribute == kPreferReduction ||
               (attribute >= kPreferAlignment && attribute < kPreferAlignment + 4);
  return known ? set(small, value, bytes) : kInvalid;
}
FAKE_API int cublasLtMatmulAlgoGetHeuristic(void*, void* desc, void* a, void* b, void* c, void* d,
                                            void*, int limit, LtHeuristic* out, int* count) {
  int status = check(*static_cast<Desc*>(desc), *static_cast<Layout*>(a), *static_cast<Layout*>(b),
                     *static_cast<Layout*>(c), *static_cast<Layout*>(d));
  if (status != 0) return status;
  *count = limit < 3 ? limit : 3;
  for (int i = 0; i < *count; ++i) {
    out[i] = LtHeuristic{};
    out[i].algo.data[0] = kMark;
    out[i].algo.data[1] = static_cast<std::uint64_t>(i);
    out[i].algo.data[2] = static_cast<std::uint64_t>(static_cast<Layout*>(a)->type);
  }
  return 0;
}
FAKE_API int cublasLtMatmul(void*, void* desc, const float* alpha, const void* a, void* a_layout,
                            const void* b, void* b_layout, const float* beta, const void* c,
                            void* c_layout, void* out, void* out_layout, const LtAlgo* algo,
                            void* workspace, std::size_t workspace_bytes, void*) {
  const auto& d = *static_cast<Desc*>(desc);
  const auto &la = *static_cast<Layout*>(a_layout), &lb = *static_cast<Layout*>(b_layout);
  const auto &lc = *static_cast<Layout*>(c_layout), &lo = *static_cast<Layout*>(out_layout);
  int status = check(d, la, lb, lc, lo);
  if (status != 0) return status;
  if (algo->data[0] != kMark || algo->data[2] != static_cast<std::uint64_t>(la.type)) {
    return kUnsupported;
  }
  if (workspace_bytes > 0 && workspace == nullptr) return kInvalid;
  if (d.epilogue == kEpilogueBias && d.bias == nullptr) return kInvalid;
  for (std::uint64_t column = 0; column < lo.columns; ++column) {
    for (std::uint64_t row = 0; row < lo.rows; ++row) {
      float sum = 0;
      for (std::uint64_t k = 0; k < la.rows; ++k) {
        sum += element(a, la, k, row) * element(b, lb, k, column);
      }
      if (la.type == kE4m3) sum *= d.scale_a[row] * d.scale_b[column];
      sum *= *alpha;
      if (*beta != 0) sum += *beta * element(c, lc, row, column);
      if (d.epilogue == kEpilogueBias) {
        sum += from_bf16(static_cast<const std::uint16_t*>(d.bias)[row]);
      }
      std::uint64_t at = column * static_cast<std::uint64_t>(lo.ld) + row;
      if (lo.type == kF32) {
        static_cast<float*>(out)[at] = sum;
      } else {
        static_cast<std::uint16_t*>(out)[at] = to_bf16(sum);
      }
    }
  }
  return 0;
}
