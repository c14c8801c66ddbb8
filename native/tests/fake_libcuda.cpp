// A libcuda.so.1 whose device is the emulator, so that the GPU library itself, with its compiled
// kernels inside, can be loaded and driven without a GPU: the functions that it binds by name, the
// modules that it loads, the names and parameters of the kernels in them. What runs is the same
// source, emulated; what is proven is everything around it.
//
// A module is a cubin, read as the ELF file that it is: a kernel NAME has a section .text.NAME, and
// its parameters lie in .nv.constant0.NAME behind what the driver keeps there (528 bytes on sm_90).
#include <elf.h>

#include <cstdio>
#include <cstring>

#include "../emu/shadow.h"
#include "../launch/driver.h"

namespace {

using ms::CuResult;

ms::Driver& emulated() {
  static ms::Driver driver = [] {
    ms::Driver d;
    ms::load_driver(d);
    return d;
  }();
  return driver;
}

constexpr CuResult kInvalidImage = 200;
constexpr long kDriversConstants = 528;

/// The size of that section of the cubin; -1 if there is none.
long section_bytes(const void* image, const char* prefix, const char* kernel) {
  const auto* bytes = static_cast<const unsigned char*>(image);
  Elf64_Ehdr header;
  std::memcpy(&header, bytes, sizeof(header));
  const auto* sections = reinterpret_cast<const Elf64_Shdr*>(bytes + header.e_shoff);
  const char* names = reinterpret_cast<const char*>(bytes + sections[header.e_shstrndx].sh_offset);
  char wanted[128];
  std::snprintf(wanted, sizeof(wanted), "%s%s", prefix, kernel);
  for (int i = 0; i < header.e_shnum; ++i) {
    if (std::strcmp(names + sections[i].sh_name, wanted) == 0) {
      return static_cast<long>(sections[i].sh_size);
    }
  }
  return -1;
}

}  // namespace

extern "C" {

#define MS_EXPORT __attribute__((visibility("default")))
#define MS_FORWARD(name, member, parameters, arguments) \
  MS_EXPORT CuResult name parameters { return emulated().member arguments; }

using S = ms::CuStream;
using E = ms::CuEvent;
using P = ms::CuPointer;
using N = std::size_t;

MS_FORWARD(cuInit, init, (unsigned f), (f))
MS_FORWARD(cuDeviceGet, device_get, (int* d, int i), (d, i))
MS_FORWARD(cuDeviceGetName, device_name, (char* s, int n, int d), (s, n, d))
MS_FORWARD(cuDriverGetVersion, driver_version, (int* v), (v))
MS_FORWARD(cuDeviceGetAttribute, device_attribute, (int* v, int a, int d), (v, a, d))
MS_FORWARD(cuDevicePrimaryCtxRetain, primary_retain, (ms::CuContext * c, int d), (c, d))
MS_FORWARD(cuDevicePrimaryCtxRelease_v2, primary_release, (int d), (d))
MS_FORWARD(cuCtxSetCurrent, set_current, (ms::CuContext c), (c))
MS_FORWARD(cuGetErrorString, error_string, (CuResult r, const char** s), (r, s))
MS_FORWARD(cuMemGetInfo_v2, mem_info, (N * f, N* t), (f, t))
MS_FORWARD(cuMemAlloc_v2, mem_alloc, (P * p, N n), (p, n))
MS_FORWARD(cuMemFree_v2, mem_free, (P p), (p))
MS_FORWARD(cuMemHostAlloc, host_alloc, (void** p, N n, unsigned f), (p, n, f))
MS_FORWARD(cuMemFreeHost, host_free, (void* p), (p))
MS_FORWARD(cuMemsetD8Async, memset_async, (P p, unsigned char b, N n, S s), (p, b, n, s))
MS_FORWARD(cuMemcpyHtoDAsync_v2, h2d_async, (P t, const void* f, N n, S s), (t, f, n, s))
MS_FORWARD(cuMemcpyDtoHAsync_v2, d2h_async, (void* t, P f, N n, S s), (t, f, n, s))
MS_FORWARD(cuMemcpyDtoDAsync_v2, d2d_async, (P t, P f, N n, S s), (t, f, n, s))
MS_FORWARD(cuCtxGetStreamPriorityRange, priority_range, (int* l, int* g), (l, g))
MS_FORWARD(cuStreamCreateWithPriority, stream_create, (S * s, unsigned f, int p), (s, f, p))
MS_FORWARD(cuStreamDestroy_v2, stream_destroy, (S s), (s))
MS_FORWARD(cuStreamSynchronize, stream_sync, (S s), (s))
MS_FORWARD(cuStreamWaitEvent, stream_wait, (S s, E e, unsigned f), (s, e, f))
MS_FORWARD(cuEventCreate, event_create, (E * e, unsigned f), (e, f))
MS_FORWARD(cuEventDestroy_v2, event_destroy, (E e), (e))
MS_FORWARD(cuEventRecord, event_record, (E e, S s), (e, s))
MS_FORWARD(cuEventQuery, event_query, (E e), (e))
MS_FORWARD(cuEventSynchronize, event_sync, (E e), (e))
MS_FORWARD(cuEventElapsedTime, event_elapsed, (float* ms, E a, E b), (ms, a, b))
MS_FORWARD(cuStreamBeginCapture_v2, capture_begin, (S s, int m), (s, m))
MS_FORWARD(cuStreamEndCapture, capture_end, (S s, ms::CuGraph* g), (s, g))
MS_FORWARD(cuGraphInstantiateWithFlags, graph_instantiate,
           (ms::CuGraphExec * e, ms::CuGraph g, unsigned long long f), (e, g, f))
MS_FORWARD(cuGraphUpload, graph_upload, (ms::CuGraphExec e, S s), (e, s))
MS_FORWARD(cuGraphLaunch, graph_launch, (ms::CuGraphExec e, S s), (e, s))
MS_FORWARD(cuGraphExecDestroy, graph_exec_destroy, (ms::CuGraphExec e), (e))
MS_FORWARD(cuGraphDestroy, graph_destroy, (ms::CuGraph g), (g))
MS_FORWARD(cuModuleUnload, module_unload, (ms::CuModule m), (m))
MS_FORWARD(cuFuncSetAttribute, function_attribute, (ms::CuFunction f, int a, int v), (f, a, v))
MS_FORWARD(cuLaunchKernelEx, launch,
           (const ms::CuLaunchConfig* c, ms::CuFunction f, void** p, void** e), (c, f, p, e))

MS_EXPORT CuResult cuModuleLoadData(ms::CuModule* out, const void* image) {
  if (std::memcmp(image, ELFMAG, SELFMAG) != 0) return kInvalidImage;
  // Host and device compilers must agree on what every kernel takes, not only on what is launched.
  for (std::size_t n = 0; emu::kernel_at(n) != nullptr; ++n) {
    const emu::Kernel& kernel = *emu::kernel_at(n);
    if (section_bytes(image, ".text.", kernel.name) < 0) continue;
    long bytes = section_bytes(image, ".nv.constant0.", kernel.name) - kDriversConstants;
    if (bytes != static_cast<long>(kernel.param_bytes)) {
      std::fprintf(stderr, "fake libcuda: %s takes %ld bytes on the device, %zu on the host\n",
                   kernel.name, bytes, kernel.param_bytes);
      return kInvalidImage;
    }
  }
  *out = reinterpret_cast<ms::CuModule>(const_cast<void*>(image));
  return ms::kCuSuccess;
}

MS_EXPORT CuResult cuModuleGetFunction(ms::CuFunction* out, ms::CuModule module, const char* name) {
  if (section_bytes(module, ".text.", name) < 0) return ms::kCuNotFound;
  *out = reinterpret_cast<ms::CuFunction>(const_cast<emu::Kernel*>(emu::find_kernel(name)));
  return ms::kCuSuccess;
}

}  // extern "C"
