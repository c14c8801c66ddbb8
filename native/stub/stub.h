// The CPU stub: the same ABI as plain loops on host memory, for building and testing everything
// above the kernels without a GPU. A capture records the calls, a launch of the graph replays them.
#pragma once

#include <cstdint>
#include <cstring>
#include <functional>
#include <vector>

#include "../launch/checks.h"

// Makes the nth next wait for an event (or allocation of device memory, making or launch of a
// graph, launch of an operation) of a context fail with that status, and all after it, as a lost
// GPU would: ms_stub_inject, which point 0 ends. Only the stub has it.
enum {
  MS_STUB_EVENT_SYNC = 1,
  MS_STUB_MALLOC = 2,
  MS_STUB_LOGITS = 3,
  MS_STUB_GRAPH = 4,
  MS_STUB_LAUNCH = 5
};
constexpr int kStubPoints = 6;

struct ms_ctx {
  int device = 0;
  int fault_point = 0, fault_in = 0;
  ms_status fault_status = MS_OK;
  int64_t launches = 0;  // operations run so far
  int tunings = 0;       // calls of ms_gemm_tune so far
  // Faults ordered by file: calls that have passed since the order was first seen, and whether a
  // single one was carried out.
  int passed[kStubPoints] = {};
  int capturing = 0;  // streams that record
  bool poisoned = false;
  bool lost = false;  // after a driver error nothing succeeds any more, as on a GPU
};

struct ms_stream {
  bool capturing = false;
  std::vector<std::function<void()>> recorded;
};

struct ms_event {
  bool recorded = false;
};

struct ms_graph {
  std::vector<std::function<void()>> work;
};

namespace ms::stub {

/// Devices that the stub plays, and bytes of each: MS_STUB_DEVICES (1), MS_STUB_MEMORY (16 GiB).
int device_count();
int64_t device_bytes();
/// Bytes of a device that are allocated in this process.
int64_t device_used(int device);
/// Takes or gives back bytes of a device; false when it has not so many.
bool device_take(int device, int64_t bytes);
void device_give(int device, int64_t bytes);

/// Refuses what a driver refuses the thread that captures.
ms_status outside_capture(const ms_ctx* ctx, const char* call);

/// Carries out what is ordered for this call; MS_OK when nothing is.
ms_status injected(ms_ctx* ctx, int point);
/// Whether the logits of one row of this step shall not be numbers: once for each order.
bool poisons_logits(ms_ctx* ctx);

/// Refuses null handles by name, and everything once the device is lost.
ms_status require(const ms_ctx* ctx, const void* handle);

/// Runs the work now, or records it while the stream captures.
template <class F>
ms_status submit(ms_ctx* ctx, ms_stream* s, F work) {
  ms_status status = require(ctx, s);
  if (status != MS_OK) return status;
  if (s->capturing) {
    s->recorded.emplace_back(std::move(work));
  } else {
    work();
  }
  return MS_OK;
}

/// Checks the arguments, then submits body(copy of the arguments).
template <class Args, class F>
ms_status op(ms_ctx* ctx, const Args* a, ms_stream* s, F body) {
  ms_status status = check(a);
  if (status == MS_OK) status = injected(ctx, MS_STUB_LAUNCH);
  if (status != MS_OK) return status;
  Args copy = *a;
  return submit(ctx, s, [ctx, copy, body] {
    ++ctx->launches;
    body(copy);
  });
}

inline int true_count(const int32_t* count, int bound) {
  return count == nullptr || *count > bound ? bound : *count;
}

inline float bf16_to_float(uint16_t v) {
  uint32_t bits = static_cast<uint32_t>(v) << 16;
  float x;
  std::memcpy(&x, &bits, 4);
  return x;
}
inline uint16_t float_to_bf16(float x) {
  uint32_t b;
  std::memcpy(&b, &x, 4);
  if ((b & 0x7fffffffu) > 0x7f800000u) return static_cast<uint16_t>((b >> 16) | 0x40u);
  return static_cast<uint16_t>((b + 0x7fffu + ((b >> 16) & 1u)) >> 16);
}
float fp8_to_float(uint8_t v);
/// Round to nearest even, saturating at 448.
uint8_t float_to_fp8(float x);

inline const uint16_t* bf16(const void* p) { return static_cast<const uint16_t*>(p); }
inline uint16_t* bf16(void* p) { return static_cast<uint16_t*>(p); }

/// One element of the paged cache, and the scale of its layer.
class Cache {
 public:
  Cache(const ms_kv_cache& kv, int layer);
  /// plane 0: keys, 1: values. slot: block * block_size + offset.
  float get(int plane, int64_t slot, int head, int d) const;
  void set(int plane, int64_t slot, int head, int d, float x);
  int64_t slot_of(const int32_t* table, int position) const {
    return static_cast<int64_t>(table[position / kv_.block_size]) * kv_.block_size +
           position % kv_.block_size;
  }

 private:
  int64_t offset(int plane, int64_t slot, int head, int d) const;
  ms_kv_cache kv_;
  int layer_;
  float scale_[2];
};

float activate(float x, bool gelu);

}  // namespace ms::stub
