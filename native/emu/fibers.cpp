// Fibers, rendezvous and the kernel registry of the emulator.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <random>
#include <vector>

#include "shadow.h"

#if !defined(__x86_64__)
#error "the emulator's fiber switch is written for x86-64"
#endif

// Saves the callee-saved registers and swaps stacks: switch(save_sp, load_sp).
asm(R"(
.text
.globl ms_emu_switch
.type ms_emu_switch,@function
ms_emu_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
)");
extern "C" void ms_emu_switch(void** save_sp, void* load_sp);

namespace emu {

Dim g_thread, g_block, g_block_dim, g_grid_dim;

namespace {

constexpr std::size_t kStackBytes = 96 * 1024;
constexpr int kMaxThreads = 1024;

struct Copy {
  void* to;
  const void* from;
  bool valid;
};

struct Fiber {
  void* sp;
  bool done;
  std::vector<std::vector<Copy>> groups;
  std::vector<Copy> open;
};

struct Warp {
  int arrived;
  unsigned generation;
  WarpOp op;
  const void* in[32];
  void* out[32];
};

/// MS_EMU_SEED gives another order of blocks and threads.
unsigned seed() {
  const char* text = std::getenv("MS_EMU_SEED");
  return text != nullptr ? static_cast<unsigned>(std::atoi(text)) : 12345u;
}

struct Machine {
  Fiber fibers[kMaxThreads];
  Warp warps[kMaxThreads / 32];
  unsigned char* stacks = nullptr;
  unsigned char* shared = nullptr;
  void* scheduler_sp = nullptr;
  const Kernel* kernel = nullptr;
  const void* params = nullptr;
  int current = 0, alive = 0, at_barrier = 0;
  unsigned barrier_generation = 0;
  unsigned long long progress = 0;
  std::mt19937 random{seed()};
};

Machine& machine() {
  static Machine instance;
  return instance;
}

std::vector<Kernel>& registry() {
  static std::vector<Kernel> kernels;
  return kernels;
}

[[noreturn]] void die(const char* what) {
  Machine& m = machine();
  std::fprintf(stderr, "emulator: %s in %s, block (%u, %u, %u), thread %d\n", what,
               m.kernel ? m.kernel->name : "?", g_block.x, g_block.y, g_block.z, m.current);
  std::abort();
}

void yield() {
  Machine& m = machine();
  ms_emu_switch(&m.fibers[m.current].sp, m.scheduler_sp);
}

void release_barrier_if_full() {
  Machine& m = machine();
  if (m.at_barrier == 0 || m.at_barrier < m.alive) return;
  m.at_barrier = 0;
  ++m.barrier_generation;
  ++m.progress;
  Shadow::barrier_passed();
}

void fiber_main() {
  Machine& m = machine();
  m.kernel->body(m.params);
  Shadow::thread_ended(m.current);
  m.fibers[m.current].done = true;
  --m.alive;
  ++m.progress;
  release_barrier_if_full();
  yield();
  die("a finished thread was resumed");
}

void start_fiber(int i) {
  Machine& m = machine();
  Fiber& f = m.fibers[i];
  f.done = false;
  f.groups.clear();
  f.open.clear();
  auto top =
      reinterpret_cast<std::uintptr_t>(m.stacks + (i + 1) * kStackBytes) & ~std::uintptr_t{15};
  void** sp = reinterpret_cast<void**>(top) - 1;  // the entry finds rsp = 8 mod 16, as after a call
  *--sp = reinterpret_cast<void*>(fiber_main);
  for (int r = 0; r < 6; ++r) *--sp = nullptr;
  f.sp = sp;
}

void run_block(int threads) {
  Machine& m = machine();
  m.alive = threads;
  m.at_barrier = 0;
  for (int w = 0; w < threads / 32; ++w) m.warps[w] = Warp{};
  for (int i = 0; i < threads; ++i) start_fiber(i);
  std::vector<int> order(threads);
  std::iota(order.begin(), order.end(), 0);
  std::shuffle(order.begin(), order.end(), m.random);
  while (m.alive > 0) {
    unsigned long long before = m.progress;
    for (int i : order) {
      if (m.fibers[i].done) continue;
      m.current = i;
      g_thread = Dim{static_cast<unsigned>(i), 0, 0};
      ms_emu_switch(&m.scheduler_sp, m.fibers[i].sp);
    }
    if (m.progress == before) die("deadlock");
  }
}

}  // namespace

Registration::Registration(const char* name, int max_threads, std::size_t param_bytes, Body body) {
  registry().push_back(Kernel{name, max_threads, param_bytes, body});
}

const Kernel* find_kernel(const char* name) {
  for (const Kernel& k : registry()) {
    if (std::strcmp(k.name, name) == 0) return &k;
  }
  return nullptr;
}

const Kernel* kernel_at(std::size_t n) { return n < registry().size() ? &registry()[n] : nullptr; }

unsigned char* dynamic_shared() { return machine().shared; }

void barrier() {
  Machine& m = machine();
  unsigned generation = m.barrier_generation;
  ++m.at_barrier;
  ++m.progress;
  release_barrier_if_full();
  while (m.barrier_generation == generation) yield();
}

void warp_collective(WarpOp op, const void* in, void* out) {
  Machine& m = machine();
  int lane = m.current % 32;
  Warp& w = m.warps[m.current / 32];
  if (w.arrived == 0) w.op = op;
  if (w.op != op) die("lanes of one warp met in different instructions");
  w.in[lane] = in;
  w.out[lane] = out;
  ++m.progress;
  unsigned generation = w.generation;
  if (++w.arrived == 32) {
    Shadow::in_collective(true);
    op(w.in, w.out);
    Shadow::in_collective(false);
    w.arrived = 0;
    ++w.generation;
    return;
  }
  while (w.generation == generation) yield();
}

// The bytes arrive at the wait and not before; until then the destination reads as NaN.
void cp_async(void* to, const void* from, bool valid) {
  Shadow::aligned(to, 16);
  Shadow::touch(to, 16, Access::kWrite);
  if (valid) {
    Shadow::aligned(from, 16);
    Shadow::touch(from, 16, Access::kRead);
  }
  std::memset(to, 0xff, 16);
  machine().fibers[machine().current].open.push_back(Copy{to, from, valid});
}

void cp_async_commit() {
  Fiber& f = machine().fibers[machine().current];
  f.groups.push_back(std::move(f.open));
  f.open.clear();
}

void cp_async_wait(int pending_groups) {
  Fiber& f = machine().fibers[machine().current];
  while (static_cast<int>(f.groups.size()) > pending_groups) {
    for (const Copy& c : f.groups.front()) {
      Shadow::touch(c.to, 16, Access::kWrite);  // at any time since it was asked for
      if (c.valid) {
        std::memcpy(c.to, c.from, 16);
      } else {
        std::memset(c.to, 0, 16);
      }
    }
    f.groups.erase(f.groups.begin());
  }
}

bool is_fiber_stack(const void* address) {
  const auto* at = static_cast<const unsigned char*>(address);
  const unsigned char* stacks = machine().stacks;
  return at >= stacks && at < stacks + kStackBytes * kMaxThreads;
}

void sync_warp() {
  WarpOp op = [](const void* const(&)[32], void* const(&)[32]) {
    Shadow::warp_synced(machine().current / 32);
  };
  warp_collective(op, nullptr, nullptr);
}
void fence_device() { Shadow::fenced(machine().current); }
void griddep_wait() { Shadow::waited(machine().current); }
int atomic_add(int* p, int v) {
  Shadow::aligned(p, 4);
  Shadow::atomic(machine().current, p);
  int old = *p;
  *p += v;
  return old;
}
unsigned atomic_cas(unsigned* p, unsigned expected, unsigned desired) {
  Shadow::aligned(p, 4);
  Shadow::atomic(machine().current, p);
  unsigned old = *p;
  if (old == expected) *p = desired;
  return old;
}
unsigned load_relaxed(const unsigned* p) { return *p; }
void lane_reads(int lane, const void* address, std::size_t bytes) {
  int thread = machine().current / 32 * 32 + lane;
  if (reinterpret_cast<std::uintptr_t>(address) % bytes != 0)
    die("a row of ldmatrix is not aligned");
  Shadow::touch(thread, address, bytes, Access::kRead);
}

void run(const Kernel& kernel, Dim grid, Dim block, std::size_t shared_bytes, const void* params) {
  Machine& m = machine();
  int threads = static_cast<int>(block.x * block.y * block.z);
  m.kernel = &kernel;
  m.params = params;
  if (threads > kernel.max_threads || threads % 32 != 0 || block.y != 1 || block.z != 1) {
    die("a block size outside the kernel's launch bounds");
  }
  if (m.stacks == nullptr) {
    m.stacks =
        static_cast<unsigned char*>(mmap(nullptr, kStackBytes * kMaxThreads, PROT_READ | PROT_WRITE,
                                         MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  }
  // Shared memory ends at a page that faults, and starts as NaN in every block.
  const std::size_t page = 4096;
  std::size_t rounded = (shared_bytes + 127) & ~std::size_t{127};
  std::size_t mapped = (rounded + page - 1) / page * page + page;
  auto* region = static_cast<unsigned char*>(
      mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  mprotect(region + mapped - page, page, PROT_NONE);
  m.shared = region + mapped - page - rounded;
  g_grid_dim = grid;
  g_block_dim = block;
  Shadow::begin_launch(kernel, shared_bytes, params, kernel.param_bytes);
  std::vector<unsigned> blocks(static_cast<std::size_t>(grid.x) * grid.y * grid.z);
  std::iota(blocks.begin(), blocks.end(), 0u);
  std::shuffle(blocks.begin(), blocks.end(), m.random);
  for (unsigned b : blocks) {
    g_block = Dim{b % grid.x, b / grid.x % grid.y, b / grid.x / grid.y};
    std::memset(m.shared, 0xff, rounded);
    Shadow::begin_block(b, threads);
    run_block(threads);
  }
  Shadow::end_launch();
  munmap(region, mapped);
  m.kernel = nullptr;
}

float half_to_float(uint16_t bits) {
  _Float16 h;
  std::memcpy(&h, &bits, 2);
  return static_cast<float>(h);
}
uint16_t float_to_half(float x) {
  _Float16 h = static_cast<_Float16>(x);
  uint16_t bits;
  std::memcpy(&bits, &h, 2);
  return bits;
}
uint16_t float_to_bf16(float x) {
  uint32_t b;
  std::memcpy(&b, &x, 4);
  if ((b & 0x7fffffffu) > 0x7f800000u) return static_cast<uint16_t>((b >> 16) | 0x40u);
  return static_cast<uint16_t>((b + 0x7fffu + ((b >> 16) & 1u)) >> 16);
}

}  // namespace emu
