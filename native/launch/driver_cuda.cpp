// The driver table from libcuda.
#include <dlfcn.h>

#include "driver.h"

namespace ms {

namespace {

template <class F>
void bind(void* library, const char* name, F& f, const char*& missing) {
  f = reinterpret_cast<F>(dlsym(library, name));
  if (f == nullptr && missing == nullptr) missing = name;
}

}  // namespace

const char* load_driver(Driver& d) {
  void* lib = dlopen("libcuda.so.1", RTLD_NOW | RTLD_GLOBAL);
  if (lib == nullptr) return "libcuda.so.1 (the NVIDIA driver)";
  const char* missing = nullptr;
  d.emulated = false;
  bind(lib, "cuInit", d.init, missing);
  bind(lib, "cuDeviceGet", d.device_get, missing);
  bind(lib, "cuDeviceGetName", d.device_name, missing);
  bind(lib, "cuDriverGetVersion", d.driver_version, missing);
  bind(lib, "cuDeviceGetAttribute", d.device_attribute, missing);
  bind(lib, "cuDevicePrimaryCtxRetain", d.primary_retain, missing);
  bind(lib, "cuDevicePrimaryCtxRelease_v2", d.primary_release, missing);
  bind(lib, "cuCtxSetCurrent", d.set_current, missing);
  bind(lib, "cuGetErrorString", d.error_string, missing);
  bind(lib, "cuMemGetInfo_v2", d.mem_info, missing);
  bind(lib, "cuMemAlloc_v2", d.mem_alloc, missing);
  bind(lib, "cuMemFree_v2", d.mem_free, missing);
  bind(lib, "cuMemHostAlloc", d.host_alloc, missing);
  bind(lib, "cuMemFreeHost", d.host_free, missing);
  bind(lib, "cuMemsetD8Async", d.memset_async, missing);
  bind(lib, "cuMemcpyHtoDAsync_v2", d.h2d_async, missing);
  bind(lib, "cuMemcpyDtoHAsync_v2", d.d2h_async, missing);
  bind(lib, "cuMemcpyDtoDAsync_v2", d.d2d_async, missing);
  bind(lib, "cuCtxGetStreamPriorityRange", d.priority_range, missing);
  bind(lib, "cuStreamCreateWithPriority", d.stream_create, missing);
  bind(lib, "cuStreamDestroy_v2", d.stream_destroy, missing);
  bind(lib, "cuStreamSynchronize", d.stream_sync, missing);
  bind(lib, "cuStreamWaitEvent", d.stream_wait, missing);
  bind(lib, "cuEventCreate", d.event_create, missing);
  bind(lib, "cuEventDestroy_v2", d.event_destroy, missing);
  bind(lib, "cuEventRecord", d.event_record, missing);
  bind(lib, "cuEventQuery", d.event_query, missing);
  bind(lib, "cuEventSynchronize", d.event_sync, missing);
  bind(lib, "cuEventElapsedTime", d.event_elapsed, missing);
  bind(lib, "cuStreamBeginCapture_v2", d.capture_begin, missing);
  bind(lib, "cuStreamEndCapture", d.capture_end, missing);
  bind(lib, "cuGraphInstantiateWithFlags", d.graph_instantiate, missing);
  bind(lib, "cuGraphUpload", d.graph_upload, missing);
  bind(lib, "cuGraphLaunch", d.graph_launch, missing);
  bind(lib, "cuGraphExecDestroy", d.graph_exec_destroy, missing);
  bind(lib, "cuGraphDestroy", d.graph_destroy, missing);
  bind(lib, "cuModuleLoadData", d.module_load, missing);
  bind(lib, "cuModuleUnload", d.module_unload, missing);
  bind(lib, "cuModuleGetFunction", d.module_function, missing);
  bind(lib, "cuFuncSetAttribute", d.function_attribute, missing);
  bind(lib, "cuLaunchKernelEx", d.launch, missing);
  return missing;
}

}  // namespace ms
