// Memory, streams, events and graphs of the CPU stub, and its number formats.
#include <cmath>
#include <cstdlib>
#include <new>

#include "stub.h"

using ms::fail;
using ms::stub::injected;
using ms::stub::outside_capture;
using ms::stub::require;
using ms::stub::submit;

namespace ms::stub {

ms_status require(const ms_ctx* ctx, const void* handle) {
  if (ctx == nullptr) return fail(MS_ERR_ARGUMENT, "ctx is null");
  if (handle == nullptr) return fail(MS_ERR_ARGUMENT, "the stream or object handle is null");
  if (ctx->lost) return fail(MS_ERR_DRIVER, "device %d was lost before", ctx->device);
  return MS_OK;
}

ms_status outside_capture(const ms_ctx* ctx, const char* call) {
  return ctx == nullptr || ctx->capturing == 0
             ? MS_OK
             : fail(MS_ERR_DRIVER, "%s: not while a stream of this thread captures", call);
}

float fp8_to_float(uint8_t v) {
  int exponent = v >> 3 & 15, mantissa = v & 7;
  float x = exponent == 0 ? std::ldexp(static_cast<float>(mantissa), -9)
                          : std::ldexp(static_cast<float>(8 + mantissa), exponent - 10);
  if ((v & 0x7f) == 0x7f) x = std::nanf("");
  return v & 0x80 ? -x : x;
}

uint8_t float_to_fp8(float x) {
  uint8_t sign = std::signbit(x) ? 0x80 : 0;
  float a = std::fabs(x);
  if (std::isnan(a)) return 0x7f;
  if (a >= 448.0f) return sign | 0x7e;
  int exponent = 0;
  std::frexp(a, &exponent);  // a = f 2^exponent with f in [1/2, 1)
  exponent = a > 0 ? std::max(exponent - 1, -6) : -6;
  // Steps of 2^(exponent - 3), round to even; a carry moves into the next binade by itself.
  auto steps = static_cast<int>(std::nearbyint(std::ldexp(a, 3 - exponent)));
  int code = steps + (exponent + 6) * 8;
  return sign | static_cast<uint8_t>(code > 0x7e ? 0x7e : code);
}

Cache::Cache(const ms_kv_cache& kv, int layer) : kv_(kv), layer_(layer) {
  scale_[0] = kv.k_scale != nullptr ? kv.k_scale[layer] : 1.0f;
  scale_[1] = kv.v_scale != nullptr ? kv.v_scale[layer] : 1.0f;
}

int64_t Cache::offset(int plane, int64_t slot, int head, int d) const {
  int64_t block = slot / kv_.block_size, token = slot % kv_.block_size;
  int64_t page = (static_cast<int64_t>(layer_) * 2 + plane) * kv_.n_blocks + block;
  return ((page * kv_.n_kv_heads + head) * kv_.block_size + token) * kv_.head_dim + d;
}

float Cache::get(int plane, int64_t slot, int head, int d) const {
  int64_t at = offset(plane, slot, head, d);
  return kv_.dtype == MS_BF16 ? bf16_to_float(bf16(kv_.base)[at])
                              : fp8_to_float(static_cast<uint8_t*>(kv_.base)[at]) * scale_[plane];
}

void Cache::set(int plane, int64_t slot, int head, int d, float x) {
  int64_t at = offset(plane, slot, head, d);
  if (kv_.dtype == MS_BF16) {
    bf16(kv_.base)[at] = float_to_bf16(x);
  } else {
    static_cast<uint8_t*>(kv_.base)[at] = float_to_fp8(x / scale_[plane]);
  }
}

float activate(float x, bool gelu) {
  if (!gelu) return x / (1 + std::exp(-x));
  return 0.5f * x * (1 + std::tanh(0.7978845608028654f * (x + 0.044715f * x * x * x)));
}

}  // namespace ms::stub

namespace {

// Before a device allocation lies its size, so that a device's memory can be counted.
constexpr size_t kHeader = 256;

void* allocate(size_t bytes) { return std::aligned_alloc(256, (bytes + 256) & ~size_t{255}); }

ms_status allocate_into(ms_ctx* ctx, size_t bytes, void** out_h) {
  ms_status status = require(ctx, out_h);
  if (status != MS_OK) return status;
  *out_h = allocate(bytes);
  return *out_h != nullptr ? MS_OK : fail(MS_ERR_MEMORY, "cannot allocate %zu bytes", bytes);
}

ms_status copy(ms_ctx* ctx, void* to, const void* from, size_t n, ms_stream* s) {
  return submit(ctx, s, [=] { std::memcpy(to, from, n); });
}

/// Makes one of the stub's handles.
template <class T>
ms_status make(ms_ctx* ctx, T** out_h) {
  ms_status status = require(ctx, out_h);
  if (status != MS_OK) return status;
  *out_h = new (std::nothrow) T();
  return *out_h != nullptr ? MS_OK : fail(MS_ERR_MEMORY, "out of host memory");
}

template <class T>
ms_status drop(ms_ctx* ctx, T* handle) {
  ms_status status = require(ctx, handle);
  if (handle != nullptr) delete handle;  // what of it is the host's is given back all the same
  return status;
}

}  // namespace

extern "C" {

MS_API ms_status ms_stub_inject(ms_ctx* ctx, int32_t point, int32_t after, ms_status status) {
  ms_status known = require(ctx, ctx);
  if (known != MS_OK) return known;
  ctx->fault_point = point;
  ctx->fault_in = after;
  ctx->fault_status = status;
  return MS_OK;
}

/// What the tests count: operations run on a context, from graphs too, and products tuned.
MS_API int64_t ms_stub_launches(const ms_ctx* ctx) { return ctx != nullptr ? ctx->launches : -1; }
MS_API int32_t ms_stub_tunings(const ms_ctx* ctx) { return ctx != nullptr ? ctx->tunings : -1; }

ms_status ms_ctx_new(int32_t device, const char*, ms_ctx** out_h) {
  if (out_h == nullptr) return fail(MS_ERR_ARGUMENT, "out_h is null");
  *out_h = nullptr;
  int last = ms::stub::device_count() - 1;
  if (device != 0 && last == 0)
    return fail(MS_ERR_ARGUMENT, "device must be 0 on the CPU stub, is %d", device);
  if (device < 0 || device > last) {
    return fail(MS_ERR_ARGUMENT, "device must be 0..%d on the CPU stub, is %d", last, device);
  }
  *out_h = new (std::nothrow) ms_ctx();
  if (*out_h == nullptr) return fail(MS_ERR_MEMORY, "out of host memory");
  (*out_h)->device = device;
  return MS_OK;
}
ms_status ms_ctx_free(ms_ctx* ctx) {
  delete ctx;
  return MS_OK;
}
ms_status ms_ctx_info(ms_ctx* ctx, ms_device_info* info_h) {
  if (info_h == nullptr || info_h->struct_size != sizeof(*info_h)) {
    return fail(MS_ERR_ABI, "info_h is null or its struct_size is not %zu", sizeof(*info_h));
  }
  ms_status status = require(ctx, info_h);
  if (status != MS_OK) return status;
  *info_h = ms_device_info{};
  info_h->struct_size = sizeof(*info_h);
  info_h->sm_count = 1;
  info_h->total_bytes = ms::stub::device_bytes();
  info_h->free_bytes = info_h->total_bytes - ms::stub::device_used(ctx->device);
  info_h->has_cublaslt = info_h->is_emulated = 1;  // products of any size are the same loop
  std::strncpy(info_h->name, "CPU stub", sizeof(info_h->name) - 1);
  return MS_OK;
}

ms_status ms_malloc(ms_ctx* ctx, size_t bytes, void** out_h) {
  ms_status status = require(ctx, out_h);
  if (status == MS_OK) status = outside_capture(ctx, "ms_malloc");
  if (status == MS_OK) status = injected(ctx, MS_STUB_MALLOC);
  if (status != MS_OK) return status;
  auto size = static_cast<int64_t>(bytes);
  if (!ms::stub::device_take(ctx->device, size)) {
    return fail(MS_ERR_MEMORY, "cannot allocate %zu bytes on device %d", bytes, ctx->device);
  }
  status = allocate_into(ctx, bytes + kHeader, out_h);
  if (status != MS_OK) {
    ms::stub::device_give(ctx->device, size);
    return status;
  }
  std::memcpy(*out_h, &size, sizeof(size));
  *out_h = static_cast<char*>(*out_h) + kHeader;
  return MS_OK;
}
ms_status ms_free(ms_ctx* ctx, void* pointer) {
  if (ctx == nullptr || pointer == nullptr) return require(ctx, ctx);
  ms_status status = outside_capture(ctx, "ms_free");
  if (status != MS_OK) return status;
  void* start = static_cast<char*>(pointer) - kHeader;
  int64_t size;
  std::memcpy(&size, start, sizeof(size));
  ms::stub::device_give(ctx->device, size);
  std::free(start);
  return require(ctx, ctx);
}
ms_status ms_host_alloc(ms_ctx* ctx, size_t bytes, void** out_h) {
  ms_status status = outside_capture(ctx, "ms_host_alloc");
  if (status != MS_OK) return status;
  return allocate_into(ctx, bytes, out_h);
}
ms_status ms_host_free(ms_ctx* ctx, void* pointer_h) {
  std::free(pointer_h);
  return require(ctx, ctx);
}
ms_status ms_memset(ms_ctx* ctx, void* pointer, int32_t byte, size_t n, ms_stream* s) {
  return submit(ctx, s, [=] { std::memset(pointer, byte, n); });
}
ms_status ms_h2d(ms_ctx* ctx, void* to, const void* from_h, size_t n, ms_stream* s) {
  return copy(ctx, to, from_h, n, s);
}
ms_status ms_d2h(ms_ctx* ctx, void* to_h, const void* from, size_t n, ms_stream* s) {
  return copy(ctx, to_h, from, n, s);
}
ms_status ms_d2d(ms_ctx* ctx, void* to, const void* from, size_t n, ms_stream* s) {
  return copy(ctx, to, from, n, s);
}

ms_status ms_stream_new(ms_ctx* ctx, int32_t, ms_stream** out_h) { return make(ctx, out_h); }
ms_status ms_stream_free(ms_ctx* ctx, ms_stream* s) { return drop(ctx, s); }
ms_status ms_stream_sync(ms_ctx* ctx, ms_stream* s) {
  ms_status status = require(ctx, s);
  if (status == MS_OK) status = outside_capture(ctx, "ms_stream_sync");
  return status == MS_OK ? injected(ctx, MS_STUB_EVENT_SYNC) : status;
}
ms_status ms_stream_wait(ms_ctx* ctx, ms_stream* s, ms_event* e) {
  ms_status status = require(ctx, s);
  return status == MS_OK ? require(ctx, e) : status;
}
ms_status ms_event_new(ms_ctx* ctx, int32_t, ms_event** out_h) { return make(ctx, out_h); }
ms_status ms_event_free(ms_ctx* ctx, ms_event* e) { return drop(ctx, e); }
ms_status ms_event_record(ms_ctx* ctx, ms_event* e, ms_stream* s) {
  ms_status status = require(ctx, e);
  if (status == MS_OK) status = require(ctx, s);
  if (status == MS_OK) e->recorded = true;
  return status;
}
ms_status ms_event_query(ms_ctx* ctx, ms_event* e, int32_t* done_h) {
  ms_status status = require(ctx, e);
  if (status == MS_OK) status = require(ctx, done_h);
  if (status == MS_OK) *done_h = 1;
  return status;
}
ms_status ms_event_sync(ms_ctx* ctx, ms_event* e) {
  ms_status status = require(ctx, e);
  if (status == MS_OK) status = outside_capture(ctx, "ms_event_sync");
  return status == MS_OK ? injected(ctx, MS_STUB_EVENT_SYNC) : status;
}
ms_status ms_event_elapsed(ms_ctx* ctx, ms_event* from, ms_event* to, float* ms_h) {
  ms_status status = require(ctx, ms_h);
  if (status != MS_OK) return status;
  if (from == nullptr || to == nullptr || !from->recorded || !to->recorded) {
    return fail(MS_ERR_STATE, "both events must have been recorded");
  }
  *ms_h = 0;  // the stub keeps no time
  return MS_OK;
}

ms_status ms_capture_begin(ms_ctx* ctx, ms_stream* s) {
  ms_status status = require(ctx, s);
  if (status != MS_OK) return status;
  if (s->capturing) return fail(MS_ERR_STATE, "the stream is already capturing");
  s->capturing = true;
  ++ctx->capturing;
  s->recorded.clear();
  return MS_OK;
}
ms_status ms_capture_end(ms_ctx* ctx, ms_stream* s, ms_graph** out_h) {
  ms_status status = require(ctx, s);
  if (status != MS_OK) return status;
  if (!s->capturing) return fail(MS_ERR_STATE, "the stream is not capturing");
  s->capturing = false;
  --ctx->capturing;
  status = injected(ctx, MS_STUB_GRAPH);
  if (status == MS_OK) status = make(ctx, out_h);
  if (status != MS_OK) return status;
  (*out_h)->work = std::move(s->recorded);
  s->recorded.clear();
  return MS_OK;
}
ms_status ms_graph_launch(ms_ctx* ctx, ms_graph* g, ms_stream* s) {
  ms_status status = require(ctx, g);
  if (status == MS_OK) status = injected(ctx, MS_STUB_GRAPH);
  if (status != MS_OK) return status;
  return submit(ctx, s, [g] {
    for (const auto& work : g->work) work();
  });
}
ms_status ms_graph_free(ms_ctx* ctx, ms_graph* g) { return drop(ctx, g); }

}  // extern "C"
