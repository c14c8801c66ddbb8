// Device code as host C++: every CUDA thread of a block is a fiber; warp instructions and barriers
// are rendezvous. Slow and exact about indices, fragments, masks and waits; says nothing about
// time. Included by kernels/types.cuh under MS_EMULATE.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

inline float rsqrtf(float x) { return 1.0f / std::sqrt(x); }

#define MS_DEVICE inline
#define MS_SHARED_BYTES(name) unsigned char* name = emu::dynamic_shared()
#define __shared__ static
#define threadIdx emu::g_thread
#define blockIdx emu::g_block
#define blockDim emu::g_block_dim
#define gridDim emu::g_grid_dim
#define MS_KERNEL(name, Params, threads)                                      \
  static void name(const Params& p);                                          \
  static const emu::Registration registration_##name(                         \
      #name, threads, sizeof(Params),                                         \
      [](const void* params) { name(*static_cast<const Params*>(params)); }); \
  static void name(const Params& p)

namespace emu {

struct Dim {
  unsigned x, y, z;
};
extern Dim g_thread, g_block, g_block_dim, g_grid_dim;

using Body = void (*)(const void* params);

/// A kernel that the emulated driver finds by name.
struct Registration {
  Registration(const char* name, int max_threads, std::size_t param_bytes, Body body);
};

struct Kernel {
  const char* name;
  int max_threads;
  std::size_t param_bytes;
  Body body;
};
/// Null when no such kernel is registered.
const Kernel* find_kernel(const char* name);
/// All of them: the nth, null behind the last.
const Kernel* kernel_at(std::size_t n);

/// Runs the whole grid, blocks and threads in a shuffled order; aborts with the kernel's name on a
/// deadlock or on lanes that meet in different instructions.
void run(const Kernel& kernel, Dim grid, Dim block, std::size_t shared_bytes, const void* params);

unsigned char* dynamic_shared();
void barrier();

using WarpOp = void (*)(const void* const (&in)[32], void* const (&out)[32]);
/// All 32 lanes meet; the last to arrive runs op for all.
void warp_collective(WarpOp op, const void* in, void* out);

void cp_async(void* to, const void* from, bool valid);
void cp_async_commit();
void cp_async_wait(int pending_groups);

/// What orders accesses, and accesses that are not the running thread's own: for shadow.h.
void sync_warp();
void fence_device();
void griddep_wait();
int atomic_add(int* p, int v);
unsigned atomic_cas(unsigned* p, unsigned expected, unsigned desired);
unsigned load_relaxed(const unsigned* p);
/// A lane's row of an ldmatrix.
void lane_reads(int lane, const void* address, std::size_t bytes);
bool is_fiber_stack(const void* address);

float half_to_float(uint16_t bits);
uint16_t float_to_half(float x);
uint16_t float_to_bf16(float x);

}  // namespace emu

#include "warp.h"
