#include "context.h"

#include <cstdlib>
#include <cstring>
#include <new>

namespace ms {

ms_status driver_status(const ms_ctx* ctx, CuResult result, const char* call) {
  if (result == kCuSuccess) return MS_OK;
  const char* text = nullptr;
  if (ctx->driver.error_string != nullptr) ctx->driver.error_string(result, &text);
  return fail(result == kCuOutOfMemory ? MS_ERR_MEMORY : MS_ERR_DRIVER, "%s: %s (CUDA error %d)",
              call, text != nullptr ? text : "unknown error", result);
}

ms_status enter(ms_ctx* ctx, const void* stream) {
  if (ctx == nullptr) return fail(MS_ERR_ARGUMENT, "ctx is null");
  if (stream == nullptr) return fail(MS_ERR_ARGUMENT, "the stream or object handle is null");
  return driver_status(ctx, ctx->driver.set_current(ctx->context), "cuCtxSetCurrent");
}

namespace {

ms_status find_function(ms_ctx* ctx, const char* name, ms_ctx::Function** out) {
  auto found = ctx->functions.find(name);
  if (found == ctx->functions.end()) {
    CuFunction handle = nullptr;
    for (CuModule module : ctx->modules) {
      CuResult result = ctx->driver.module_function(&handle, module, name);
      if (result == kCuSuccess) break;
      if (result != kCuNotFound) return driver_status(ctx, result, "cuModuleGetFunction");
      handle = nullptr;
    }
    if (handle == nullptr) return fail(MS_ERR_UNSUPPORTED, "this build has no kernel %s", name);
    found = ctx->functions.emplace(name, ms_ctx::Function{handle, 48 * 1024}).first;
  }
  *out = &found->second;
  return MS_OK;
}

ms_status load_modules(ms_ctx* ctx) {
  for (const KernelImage& image : kernel_images()) {
    CuModule module = nullptr;
    CuResult result = ctx->driver.module_load(&module, image.data);
    if (result != kCuSuccess) return driver_status(ctx, result, image.unit);
    ctx->modules.push_back(module);
  }
  return MS_OK;
}

ms_status open_device(ms_ctx* ctx, int32_t device, const char* cublaslt_path_h) {
  Driver& d = ctx->driver;
  if (const char* missing = load_driver(d)) {
    return fail(MS_ERR_LIBRARY, "cannot load %s", missing);
  }
  ms_status status = driver_status(ctx, d.init(0), "cuInit");
  if (status != MS_OK) return status;
  status = driver_status(ctx, d.device_get(&ctx->device, device), "cuDeviceGet");
  if (status != MS_OK) return status;
  d.device_attribute(&ctx->sm_count, kCuMultiprocessors, ctx->device);
  d.device_attribute(&ctx->compute_major, kCuComputeMajor, ctx->device);
  d.device_attribute(&ctx->compute_minor, kCuComputeMinor, ctx->device);
  if (ctx->compute_major < 8) {
    return fail(MS_ERR_UNSUPPORTED, "compute capability must be at least 8.0, is %d.%d",
                ctx->compute_major, ctx->compute_minor);
  }
  // The way to tell, on a GPU, whether a wrong result comes from kernels that overlap.
  const char* overlap = std::getenv("MODELSERVE_DEPENDENT_LAUNCH");
  ctx->dependent_launch =
      ctx->compute_major >= 9 && (overlap == nullptr || std::strcmp(overlap, "0") != 0);
  // The primary context is the one the CUDA runtime, and so libtorch, uses: pointers are shared.
  status =
      driver_status(ctx, d.primary_retain(&ctx->context, ctx->device), "cuDevicePrimaryCtxRetain");
  if (status != MS_OK) return status;
  status = driver_status(ctx, d.set_current(ctx->context), "cuCtxSetCurrent");
  if (status != MS_OK) return status;
  status = load_modules(ctx);
  if (status != MS_OK) return status;
  // The emulator takes one that was named, the tests' own; the real one knows nothing of its
  // memory.
  if (!d.emulated || cublaslt_path_h != nullptr) ctx->cublaslt.open(cublaslt_path_h);
  return MS_OK;
}

}  // namespace

ms_status launch(ms_ctx* ctx, const char* name, Grid grid, unsigned threads, unsigned shared_bytes,
                 ms_stream* stream, const void* params) {
  ms_status status = enter(ctx, stream);
  if (status != MS_OK) return status;
  ms_ctx::Function* function = nullptr;
  status = find_function(ctx, name, &function);
  if (status != MS_OK) return status;
  if (shared_bytes > function->shared_limit) {
    CuResult result = ctx->driver.function_attribute(function->handle, kCuFunctionMaxDynamicShared,
                                                     static_cast<int>(shared_bytes));
    if (result != kCuSuccess) return driver_status(ctx, result, "cuFuncSetAttribute");
    function->shared_limit = shared_bytes;
  }
  if (grid.y > 65535 || grid.z > 65535) {
    return fail(MS_ERR_ARGUMENT, "%s: grid dimension %u exceeds 65535", name,
                grid.y > grid.z ? grid.y : grid.z);
  }
  CuLaunchAttribute attribute{};
  attribute.id = kCuLaunchProgrammaticSerialization;
  attribute.value.programmatic_serialization = 1;
  CuLaunchConfig config{
      grid.x, grid.y,       grid.z,     threads,    1,
      1,      shared_bytes, cu(stream), &attribute, ctx->dependent_launch ? 1u : 0u};
  void* arguments[] = {const_cast<void*>(params)};
  return driver_status(ctx, ctx->driver.launch(&config, function->handle, arguments, nullptr),
                       name);
}

}  // namespace ms

using ms::driver_status;
using ms::fail;

extern "C" ms_status ms_ctx_new(int32_t device, const char* cublaslt_path_h, ms_ctx** out_h) {
  if (out_h == nullptr) return fail(MS_ERR_ARGUMENT, "out_h is null");
  *out_h = nullptr;
  ms_ctx* ctx = new (std::nothrow) ms_ctx();
  if (ctx == nullptr) return fail(MS_ERR_MEMORY, "out of host memory");
  ms_status status = ms::open_device(ctx, device, cublaslt_path_h);
  if (status != MS_OK) {
    if (ctx->context != nullptr) ctx->driver.primary_release(ctx->device);
    delete ctx;
    return status;
  }
  *out_h = ctx;
  return MS_OK;
}

extern "C" ms_status ms_ctx_free(ms_ctx* ctx) {
  if (ctx == nullptr) return MS_OK;
  ctx->driver.set_current(ctx->context);
  ctx->cublaslt.close();
  for (ms::CuModule module : ctx->modules) ctx->driver.module_unload(module);
  ctx->driver.primary_release(ctx->device);
  delete ctx;
  return MS_OK;
}

extern "C" ms_status ms_ctx_info(ms_ctx* ctx, ms_device_info* info_h) {
  if (info_h == nullptr || info_h->struct_size != sizeof(*info_h)) {
    return fail(MS_ERR_ABI, "info_h is null or its struct_size is not %zu", sizeof(*info_h));
  }
  ms_status status = ms::enter(ctx, info_h);
  if (status != MS_OK) return status;
  size_t free_bytes = 0, total_bytes = 0;
  status = driver_status(ctx, ctx->driver.mem_info(&free_bytes, &total_bytes), "cuMemGetInfo");
  if (status != MS_OK) return status;
  info_h->compute_major = ctx->compute_major;
  info_h->compute_minor = ctx->compute_minor;
  info_h->sm_count = ctx->sm_count;
  info_h->total_bytes = static_cast<int64_t>(total_bytes);
  info_h->free_bytes = static_cast<int64_t>(free_bytes);
  info_h->has_cublaslt = ctx->cublaslt.is_open() ? 1 : 0;
  info_h->is_emulated = ctx->driver.emulated ? 1 : 0;
  info_h->cublaslt_version = ctx->cublaslt.version();
  info_h->driver_version = 0;
  std::memset(info_h->name, 0, sizeof(info_h->name));
  status =
      driver_status(ctx, ctx->driver.driver_version(&info_h->driver_version), "cuDriverGetVersion");
  if (status != MS_OK) return status;
  status = driver_status(
      ctx, ctx->driver.device_name(info_h->name, sizeof(info_h->name) - 1, ctx->device),
      "cuDeviceGetName");
  if (status != MS_OK) return status;
  return MS_OK;
}
