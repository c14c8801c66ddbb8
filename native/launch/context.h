// One device: the driver table, the loaded kernels and cuBLASLt.
#pragma once

#include <string_view>
#include <unordered_map>
#include <vector>

#include "cublaslt.h"
#include "driver.h"
#include "error.h"

/// The opaque type of the ABI.
struct ms_ctx {
  ms::Driver driver;
  ms::CuContext context = nullptr;
  int device = 0, sm_count = 0, compute_major = 0, compute_minor = 0;
  bool dependent_launch = false;  // kernels begin while the one before ends, from sm_90 on
  std::vector<ms::CuModule> modules;
  ms::CublasLt cublaslt;

  struct Function {
    ms::CuFunction handle;
    unsigned shared_limit;  // dynamic shared memory it was allowed so far
  };
  std::unordered_map<std::string_view, Function> functions;  // keys are string literals
};

namespace ms {

/// One compiled kernel file, as the driver loads it (cubin or fat binary).
struct KernelImage {
  const char* unit;
  const void* data;
};
/// The images linked into this library.
const std::vector<KernelImage>& kernel_images();

/// Turns a driver result into a status with the driver's text.
ms_status driver_status(const ms_ctx* ctx, CuResult result, const char* call);

/// Makes the device current for the calling thread; refuses null handles by name.
ms_status enter(ms_ctx* ctx, const void* stream);

struct Grid {
  unsigned x, y = 1, z = 1;
};

/// Launches the named kernel with one struct as its only parameter, chained to the kernel before it
/// by programmatic dependent launch where the device has that.
ms_status launch(ms_ctx* ctx, const char* name, Grid grid, unsigned threads, unsigned shared_bytes,
                 ms_stream* stream, const void* params);

inline CuStream cu(ms_stream* s) { return reinterpret_cast<CuStream>(s); }

}  // namespace ms
