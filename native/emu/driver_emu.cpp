// The driver table of the emulator: memory is the host's, streams run at once, a capture records
// launches and copies and a graph replays them, kernels run thread by thread.
#include <sys/mman.h>

#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <vector>

#include "../launch/context.h"
#include "shadow.h"

namespace ms {

namespace {

using Work = std::vector<std::function<void()>>;

// What the driver answers to what it forbids.
constexpr CuResult kInvalidValue = 1;
constexpr CuResult kCaptureUnsupported = 900;
constexpr unsigned kSharedUnasked = 48 * 1024;  // dynamic bytes that need no attribute
constexpr int kSharedMost = 227 * 1024;
int captures = 0;  // streams that are capturing, of the one thread there is

struct EmuStream {
  bool capturing = false;
  Work recorded;
};

std::map<CuPointer, std::size_t>& allocations() {
  static std::map<CuPointer, std::size_t> all;
  return all;
}

EmuStream* stream_of(CuStream s) { return reinterpret_cast<EmuStream*>(s); }

CuResult submit(CuStream s, std::function<void()> work) {
  EmuStream* stream = stream_of(s);
  if (stream->capturing) {
    stream->recorded.push_back(std::move(work));
  } else {
    work();
  }
  return kCuSuccess;
}

// Every allocation ends at a page that faults (up to the last 255 bytes of alignment) and starts as
// NaN, so that reads beyond a buffer or of what nobody wrote are seen.
CuResult mem_alloc(CuPointer* out, std::size_t bytes) {
  if (captures > 0) return kCaptureUnsupported;
  if (bytes == 0) return kInvalidValue;
  const std::size_t page = 4096;
  std::size_t rounded = (bytes + 255) & ~std::size_t{255};
  std::size_t mapped = (rounded + page - 1) / page * page + page;
  void* region = mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (region == MAP_FAILED) return kCuOutOfMemory;
  auto* base = static_cast<unsigned char*>(region);
  mprotect(base + mapped - page, page, PROT_NONE);
  unsigned char* start = base + mapped - page - rounded;
  if (bytes <= (std::size_t{64} << 20)) std::memset(start, 0xff, rounded);
  *out = reinterpret_cast<CuPointer>(start);
  allocations()[*out] = mapped;
  emu::Shadow::allocated(start, bytes);
  return kCuSuccess;
}

CuResult mem_free(CuPointer p) {
  if (captures > 0) return kCaptureUnsupported;
  auto found = allocations().find(p);
  if (found == allocations().end()) return 1;
  const std::size_t page = 4096;
  auto* start = reinterpret_cast<unsigned char*>(p & ~CuPointer{page - 1});
  emu::Shadow::freed(reinterpret_cast<void*>(p));
  munmap(start, found->second);
  allocations().erase(found);
  return kCuSuccess;
}

CuResult copy(void* to, const void* from, std::size_t n, CuStream s) {
  return submit(s, [=] {
    emu::Shadow::copied_from(from, n);
    emu::Shadow::copied_to(to, n);
    std::memcpy(to, from, n);
  });
}

/// Waiting is forbidden while the thread captures; elsewhere everything has ended by then.
CuResult wait_for_all() {
  emu::Shadow::full_stop();
  return captures > 0 ? kCaptureUnsupported : kCuSuccess;
}

std::map<const void*, int>& shared_attributes() {
  static std::map<const void*, int> limits;
  return limits;
}

CuResult launch_kernel(const CuLaunchConfig* c, CuFunction f, void** params, void**) {
  const auto* kernel = reinterpret_cast<const emu::Kernel*>(f);
  std::vector<unsigned char> bytes(kernel->param_bytes);
  std::memcpy(bytes.data(), params[0], bytes.size());
  emu::Dim grid{c->grid_x, c->grid_y, c->grid_z}, block{c->block_x, c->block_y, c->block_z};
  auto asked = shared_attributes().find(f);
  unsigned limit =
      asked != shared_attributes().end() ? static_cast<unsigned>(asked->second) : kSharedUnasked;
  bool fits = grid.x > 0 && grid.x <= 0x7fffffffu && grid.y > 0 && grid.y <= 65535 && grid.z > 0 &&
              grid.z <= 65535 && block.x > 0 && block.x * block.y * block.z <= 1024;
  if (!fits || c->shared_bytes > limit) return kInvalidValue;
  std::size_t shared = c->shared_bytes;
  return submit(c->stream, [=] { emu::run(*kernel, grid, block, shared, bytes.data()); });
}

CuResult capture_begin(CuStream s, int) {
  if (stream_of(s)->capturing) return 401;  // CUDA_ERROR_ILLEGAL_STATE
  ++captures;
  stream_of(s)->capturing = true;
  stream_of(s)->recorded.clear();
  return kCuSuccess;
}
CuResult capture_end(CuStream s, CuGraph* out) {
  if (!stream_of(s)->capturing) return 401;  // CUDA_ERROR_ILLEGAL_STATE
  stream_of(s)->capturing = false;
  --captures;
  *out = reinterpret_cast<CuGraph>(new Work(std::move(stream_of(s)->recorded)));
  return kCuSuccess;
}

}  // namespace

const char* load_driver(Driver& d) {
  d.emulated = true;
  d.init = [](unsigned) { return kCuSuccess; };
  d.device_get = [](int* out, int ordinal) {
    *out = ordinal;
    return ordinal == 0 ? kCuSuccess : 101;  // CUDA_ERROR_INVALID_DEVICE
  };
  d.device_name = [](char* out, int length, int) {
    std::strncpy(out, "emulator", static_cast<std::size_t>(length));
    return kCuSuccess;
  };
  d.driver_version = [](int* out) {
    *out = 0;
    return kCuSuccess;
  };
  d.device_attribute = [](int* out, int attribute, int) {
    *out = attribute == kCuMultiprocessors ? 4 : attribute == kCuComputeMajor ? 9 : 0;
    return kCuSuccess;
  };
  d.primary_retain = [](CuContext* out, int) {
    static int context;
    *out = reinterpret_cast<CuContext>(&context);
    return kCuSuccess;
  };
  d.primary_release = [](int) { return kCuSuccess; };
  d.set_current = [](CuContext) { return kCuSuccess; };
  d.error_string = [](CuResult, const char** text) {
    *text = "emulated driver error";
    return kCuSuccess;
  };
  d.mem_info = [](std::size_t* free_bytes, std::size_t* total_bytes) {
    *free_bytes = *total_bytes = std::size_t{1} << 34;
    return kCuSuccess;
  };
  d.mem_alloc = mem_alloc;
  d.mem_free = mem_free;
  d.host_alloc = [](void** out, std::size_t n, unsigned) {
    if (captures > 0) return kCaptureUnsupported;
    *out = std::aligned_alloc(256, (n + 255) & ~std::size_t{255});
    return *out != nullptr ? kCuSuccess : kCuOutOfMemory;
  };
  d.host_free = [](void* p) {
    std::free(p);
    return kCuSuccess;
  };
  d.memset_async = [](CuPointer p, unsigned char byte, std::size_t n, CuStream s) {
    return submit(s, [=] {
      emu::Shadow::copied_to(reinterpret_cast<void*>(p), n);
      std::memset(reinterpret_cast<void*>(p), byte, n);
    });
  };
  d.h2d_async = [](CuPointer to, const void* from, std::size_t n, CuStream s) {
    return copy(reinterpret_cast<void*>(to), from, n, s);
  };
  d.d2h_async = [](void* to, CuPointer from, std::size_t n, CuStream s) {
    return copy(to, reinterpret_cast<void*>(from), n, s);
  };
  d.d2d_async = [](CuPointer to, CuPointer from, std::size_t n, CuStream s) {
    return copy(reinterpret_cast<void*>(to), reinterpret_cast<void*>(from), n, s);
  };
  d.priority_range = [](int* least, int* greatest) {
    *least = *greatest = 0;
    return kCuSuccess;
  };
  d.stream_create = [](CuStream* out, unsigned, int) {
    *out = reinterpret_cast<CuStream>(new EmuStream());
    return kCuSuccess;
  };
  d.stream_destroy = [](CuStream s) {
    delete stream_of(s);
    return kCuSuccess;
  };
  d.stream_sync = [](CuStream) { return wait_for_all(); };
  d.stream_wait = [](CuStream, CuEvent, unsigned) { return kCuSuccess; };
  d.event_create = [](CuEvent* out, unsigned) {
    *out = reinterpret_cast<CuEvent>(new int(0));
    return kCuSuccess;
  };
  d.event_destroy = [](CuEvent e) {
    delete reinterpret_cast<int*>(e);
    return kCuSuccess;
  };
  d.event_record = [](CuEvent, CuStream) { return kCuSuccess; };
  d.event_query = [](CuEvent) { return wait_for_all(); };
  d.event_sync = [](CuEvent) { return wait_for_all(); };
  d.event_elapsed = [](float* ms, CuEvent, CuEvent) {
    *ms = 0;
    return kCuSuccess;
  };
  d.capture_begin = capture_begin;
  d.capture_end = capture_end;
  d.graph_instantiate = [](CuGraphExec* out, CuGraph graph, unsigned long long) {
    *out = reinterpret_cast<CuGraphExec>(new Work(*reinterpret_cast<Work*>(graph)));
    return kCuSuccess;
  };
  d.graph_upload = [](CuGraphExec, CuStream) { return kCuSuccess; };
  d.graph_launch = [](CuGraphExec graph, CuStream) {
    // A graph begins when everything before it has ended, and the other way round.
    emu::Shadow::full_stop();
    for (auto& work : *reinterpret_cast<Work*>(graph)) work();
    emu::Shadow::full_stop();
    return kCuSuccess;
  };
  d.graph_exec_destroy = [](CuGraphExec graph) {
    delete reinterpret_cast<Work*>(graph);
    return kCuSuccess;
  };
  d.graph_destroy = [](CuGraph graph) {
    delete reinterpret_cast<Work*>(graph);
    return kCuSuccess;
  };
  d.module_load = [](CuModule* out, const void*) {
    *out = nullptr;
    return kCuSuccess;
  };
  d.module_unload = [](CuModule) { return kCuSuccess; };
  d.module_function = [](CuFunction* out, CuModule, const char* name) {
    const emu::Kernel* kernel = emu::find_kernel(name);
    *out = reinterpret_cast<CuFunction>(const_cast<emu::Kernel*>(kernel));
    return kernel != nullptr ? kCuSuccess : kCuNotFound;
  };
  d.function_attribute = [](CuFunction f, int attribute, int value) {
    if (attribute != kCuFunctionMaxDynamicShared || value > kSharedMost) return kInvalidValue;
    shared_attributes()[f] = value;
    return kCuSuccess;
  };
  d.launch = launch_kernel;
  return nullptr;
}

const std::vector<KernelImage>& kernel_images() {
  static const std::vector<KernelImage> images = {{"emulated", nullptr}};
  return images;
}

}  // namespace ms
