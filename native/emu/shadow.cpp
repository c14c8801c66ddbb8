#include <link.h>
#include <sys/mman.h>

#include <cstdarg>
#include <cstdio>
#include <cstdlib>

#include "account.h"

namespace emu {

State& state() {
  static State instance;
  return instance;
}

void report(int thread, const void* address, const char* format, ...) {
  State& s = state();
  char text[300];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(text, sizeof(text), format, arguments);
  va_end(arguments);
  std::snprintf(s.last, sizeof(s.last), "%s in %s, block %u, thread %d, address %p", text, s.kernel,
                s.block, thread, address);
  ++s.reports;
  if (s.collecting) return;
  std::fprintf(stderr, "emulator: %s\n", s.last);
  std::abort();
}

namespace {

#if defined(MS_CHECKED)
constexpr bool kEnabled = true;
#else
constexpr bool kEnabled = false;
#endif

Region make_region(std::uintptr_t start, std::size_t bytes) {
  std::size_t mapped = bytes * sizeof(Byte);
  void* shadow = mmap(nullptr, mapped, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return Region{start, bytes, mapped, shadow == MAP_FAILED ? nullptr : static_cast<Byte*>(shadow)};
}

/// The writable statics of this library are the kernels' static shared memory.
int add_statics(dl_phdr_info* info, std::size_t, void* self) {
  State& s = state();
  std::vector<Region> writable, constant;
  bool mine = false;
  auto at = reinterpret_cast<std::uintptr_t>(self);
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const auto& h = info->dlpi_phdr[i];
    if (h.p_type != PT_LOAD) continue;
    std::uintptr_t start = info->dlpi_addr + h.p_vaddr;
    if (at >= start && at < start + h.p_memsz) mine = true;
    if (h.p_flags & PF_W) {
      writable.push_back(Region{start, h.p_memsz, 0, nullptr});
    } else {
      constant.push_back(Region{start, h.p_memsz, 0, nullptr});
    }
  }
  if (!mine) return 0;
  s.constants = constant;
  for (const Region& r : writable) s.shared.push_back(make_region(r.start, r.bytes));
  return 1;
}

Byte* shared_byte(std::uintptr_t at, std::size_t bytes, bool* beyond) {
  for (const Region& r : state().shared) {
    std::size_t behind = &r == &state().shared[0] && r.bytes > 0 ? kBehind : 0;
    if (at < r.start || at >= r.start + r.bytes + behind) continue;
    *beyond = at + bytes > r.start + r.bytes;
    return r.shadow + (at - r.start);
  }
  return nullptr;
}

const Region* device_region(std::uintptr_t at) {
  auto& regions = state().regions;
  auto next = regions.upper_bound(at);
  if (next == regions.begin()) return nullptr;
  // What lies a little behind a buffer was meant for it, and is told as such.
  const Region& r = std::prev(next)->second;
  return at < r.start + r.bytes + kBehind ? &r : nullptr;
}

bool is_constant(std::uintptr_t at) {
  for (const Region& r : state().constants) {
    if (at >= r.start && at < r.start + r.bytes) return true;
  }
  return false;
}

bool is_thread_index(std::uintptr_t at) {
  for (const Dim* d : {&g_thread, &g_block, &g_block_dim, &g_grid_dim}) {
    auto start = reinterpret_cast<std::uintptr_t>(d);
    if (at >= start && at < start + sizeof(Dim)) return true;
  }
  return false;
}

}  // namespace

bool Shadow::enabled() { return kEnabled; }

void Shadow::allocated(const void* start, std::size_t bytes) {
  if (!kEnabled) return;
  auto at = reinterpret_cast<std::uintptr_t>(start);
  state().regions[at] = make_region(at, bytes);
}

void Shadow::freed(const void* start) {
  if (!kEnabled) return;
  auto found = state().regions.find(reinterpret_cast<std::uintptr_t>(start));
  if (found == state().regions.end()) return;
  munmap(found->second.shadow, found->second.mapped);
  state().regions.erase(found);
}

void Shadow::copied_to(const void* to, std::size_t bytes) {
  if (!kEnabled || bytes == 0) return;
  full_stop();
  auto at = reinterpret_cast<std::uintptr_t>(to);
  const Region* r = device_region(at);
  if (r == nullptr) return;  // the host's
  if (at + bytes > r->start + r->bytes) return report(-1, to, "a copy writes beyond the buffer");
  for (std::size_t i = 0; i < bytes; ++i) r->shadow[at - r->start + i].write_launch = kByCopy;
}

void Shadow::copied_from(const void* from, std::size_t bytes) {
  if (!kEnabled || bytes == 0) return;
  full_stop();
  auto at = reinterpret_cast<std::uintptr_t>(from);
  const Region* r = device_region(at);
  if (r != nullptr && at + bytes > r->start + r->bytes) {
    report(-1, from, "a copy reads beyond the buffer");
  }
}

void Shadow::full_stop() {
  if (kEnabled) state().last_stop = state().launch;
}

void Shadow::begin_launch(const Kernel& kernel, std::size_t shared_bytes, const void* params,
                          std::size_t param_bytes) {
  if (!kEnabled) return;
  State& s = state();
  if (s.shared.empty()) {
    s.shared.push_back(Region{});
    dl_iterate_phdr(add_statics, &g_thread);
  }
  Region& dynamic = s.shared[0];
  if (dynamic.shadow != nullptr) munmap(dynamic.shadow, dynamic.mapped);
  dynamic = shared_bytes > 0
                ? make_region(reinterpret_cast<std::uintptr_t>(dynamic_shared()), shared_bytes)
                : Region{};
  s.kernel = kernel.name;
  s.params = reinterpret_cast<std::uintptr_t>(params);
  s.params_end = s.params + param_bytes;
  ++s.launch;
  s.tickets.clear();
}

void Shadow::end_launch() {
  if (kEnabled) state().running = false;
}

void Shadow::begin_block(unsigned block, int threads) {
  if (!kEnabled) return;
  State& s = state();
  s.block = block;
  s.barrier = 0;
  s.n_threads = threads;
  for (int w = 0; w < threads / 32; ++w) s.warp_sync[w] = 0;
  for (int t = 0; t < threads; ++t) s.threads[t] = Thread{};
  s.acquired.clear();
  s.block_acquired = false;
  s.running = true;
}

void Shadow::barrier_passed() {
  if (!kEnabled) return;
  State& s = state();
  ++s.barrier;
  for (int t = 0; t < s.n_threads; ++t) {
    s.threads[t].fences_visible = s.threads[t].fences;
    s.block_acquired = s.block_acquired || s.threads[t].acquired;
  }
}

void Shadow::thread_ended(int thread) {
  if (kEnabled && !state().threads[thread].waited) {
    report(thread, nullptr, "ends without griddepcontrol.wait");
  }
}

void Shadow::touch(int thread, const void* address, std::size_t bytes, Access access) {
  State& s = state();
  if (!kEnabled || !s.running) return;
  auto at = reinterpret_cast<std::uintptr_t>(address);
  if (is_fiber_stack(address) || is_thread_index(at) || (at >= s.params && at < s.params_end)) {
    return;
  }
  bool beyond = false;
  if (Byte* b = shared_byte(at, bytes, &beyond)) {
    if (beyond) return report(thread, address, "reaches beyond shared memory");
    int before = s.reports;
    for (std::size_t i = 0; i < bytes && s.reports == before; ++i) {
      check_byte(thread, address, b[i], access, true);
    }
    return;
  }
  const Region* r = device_region(at);
  if (r == nullptr && access == Access::kRead && is_constant(at)) return;
  if (r == nullptr) return report(thread, address, "touches memory that is not the device's");
  if (at + bytes > r->start + r->bytes) return report(thread, address, "reaches beyond a buffer");
  int before = s.reports;
  for (std::size_t i = 0; i < bytes && s.reports == before; ++i) {
    check_byte(thread, address, r->shadow[at - r->start + i], access, false);
  }
}

void Shadow::touch(const void* address, std::size_t bytes, Access access) {
  if (kEnabled && state().running && !state().collective) {
    touch(static_cast<int>(g_thread.x), address, bytes, access);
  }
}

void Shadow::aligned(const void* address, std::size_t bytes) {
  State& s = state();
  if (!kEnabled || !s.running || s.collective || is_fiber_stack(address)) return;
  if (reinterpret_cast<std::uintptr_t>(address) % bytes != 0) {
    report(static_cast<int>(g_thread.x), address, "an address that its %zu bytes do not divide",
           bytes);
  }
}

void Shadow::warp_synced(int warp) {
  if (kEnabled) ++state().warp_sync[warp];
}

void Shadow::fenced(int thread) {
  if (!kEnabled) return;
  ++state().threads[thread].fences;  // others learn of it at the next barrier
}

void Shadow::atomic(int thread, const void* address) {
  State& s = state();
  if (!kEnabled || !s.running) return;
  auto at = reinterpret_cast<std::uintptr_t>(address);
  bool beyond = false;
  if (Byte* shared = shared_byte(at, 4, &beyond)) return shared_atomic(thread, address, shared);
  const Region* r = device_region(at);
  if (r == nullptr) return report(thread, address, "touches memory that is not the device's");
  if (!s.threads[thread].waited) report(thread, address, "an atomic before griddepcontrol.wait");
  if (at + 4 > r->start + r->bytes) return report(thread, address, "reaches beyond a buffer");
  auto& history = s.tickets[at];
  for (const Released& earlier : history) s.acquired.push_back(earlier);
  Released mine{s.block, std::vector<std::uint16_t>(kMaxThreads)};
  for (int t = 0; t < s.n_threads; ++t) {
    mine.fences[t] = t == thread ? s.threads[t].fences : s.threads[t].fences_visible;
  }
  history.push_back(std::move(mine));
  s.threads[thread].acquired = true;
  // The word itself is ordered by its atomics: a plain reset by who drew last is not a race.
  for (int i = 0; i < 4; ++i) {
    Byte& b = r->shadow[at - r->start + i];
    if (b.write_launch == 0) report(thread, address, "an atomic on what nobody wrote");
    note_write(thread, b);
  }
}

void Shadow::waited(int thread) {
  if (kEnabled) state().threads[thread].waited = true;
}

void Shadow::in_collective(bool on) {
  if (kEnabled) state().collective = on;
}

int Shadow::reports() { return state().reports; }
const char* Shadow::last_report() { return state().last; }
void Shadow::collect(bool on) { state().collecting = on; }

}  // namespace emu
