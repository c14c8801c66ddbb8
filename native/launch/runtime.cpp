// Memory, streams, events and graphs: thin, checked wrappers of the driver.
#include "context.h"

using ms::cu;
using ms::CuEvent;
using ms::CuGraph;
using ms::CuGraphExec;
using ms::CuPointer;
using ms::CuResult;
using ms::CuStream;
using ms::driver_status;
using ms::enter;
using ms::fail;

namespace {

CuPointer address(const void* p) { return reinterpret_cast<CuPointer>(p); }
CuEvent cu(ms_event* e) { return reinterpret_cast<CuEvent>(e); }
CuGraphExec cu(ms_graph* g) { return reinterpret_cast<CuGraphExec>(g); }

// Enters the context with `handle` required, then runs one driver call.
#define MS_DRIVER(handle, call, name)      \
  ms_status entered_ = enter(ctx, handle); \
  if (entered_ != MS_OK) return entered_;  \
  return driver_status(ctx, ctx->driver.call, name)

}  // namespace

extern "C" ms_status ms_malloc(ms_ctx* ctx, size_t bytes, void** out_h) {
  ms_status status = enter(ctx, out_h);
  if (status != MS_OK) return status;
  CuPointer p = 0;
  status = driver_status(ctx, ctx->driver.mem_alloc(&p, bytes), "cuMemAlloc");
  *out_h = reinterpret_cast<void*>(p);
  return status;
}
extern "C" ms_status ms_free(ms_ctx* ctx, void* pointer) {
  if (pointer == nullptr) return MS_OK;
  MS_DRIVER(pointer, mem_free(address(pointer)), "cuMemFree");
}
extern "C" ms_status ms_host_alloc(ms_ctx* ctx, size_t bytes, void** out_h) {
  MS_DRIVER(out_h, host_alloc(out_h, bytes, 0), "cuMemHostAlloc");
}
extern "C" ms_status ms_host_free(ms_ctx* ctx, void* pointer_h) {
  if (pointer_h == nullptr) return MS_OK;
  MS_DRIVER(pointer_h, host_free(pointer_h), "cuMemFreeHost");
}
extern "C" ms_status ms_memset(ms_ctx* ctx, void* pointer, int32_t byte, size_t n, ms_stream* s) {
  MS_DRIVER(s, memset_async(address(pointer), static_cast<unsigned char>(byte), n, cu(s)),
            "cuMemsetD8Async");
}
extern "C" ms_status ms_h2d(ms_ctx* ctx, void* to, const void* from_h, size_t n, ms_stream* s) {
  MS_DRIVER(s, h2d_async(address(to), from_h, n, cu(s)), "cuMemcpyHtoDAsync");
}
extern "C" ms_status ms_d2h(ms_ctx* ctx, void* to_h, const void* from, size_t n, ms_stream* s) {
  MS_DRIVER(s, d2h_async(to_h, address(from), n, cu(s)), "cuMemcpyDtoHAsync");
}
extern "C" ms_status ms_d2d(ms_ctx* ctx, void* to, const void* from, size_t n, ms_stream* s) {
  MS_DRIVER(s, d2d_async(address(to), address(from), n, cu(s)), "cuMemcpyDtoDAsync");
}

extern "C" ms_status ms_stream_new(ms_ctx* ctx, int32_t high_priority, ms_stream** out_h) {
  ms_status status = enter(ctx, out_h);
  if (status != MS_OK) return status;
  int least = 0, greatest = 0;
  ctx->driver.priority_range(&least, &greatest);
  CuStream s = nullptr;
  // Non-blocking: the legacy default stream, which libtorch uses, never orders this one.
  CuResult result = ctx->driver.stream_create(&s, ms::kCuStreamNonBlocking,
                                              high_priority != 0 ? greatest : least);
  *out_h = reinterpret_cast<ms_stream*>(s);
  return driver_status(ctx, result, "cuStreamCreateWithPriority");
}
extern "C" ms_status ms_stream_free(ms_ctx* ctx, ms_stream* s) {
  MS_DRIVER(s, stream_destroy(cu(s)), "cuStreamDestroy");
}
extern "C" ms_status ms_stream_sync(ms_ctx* ctx, ms_stream* s) {
  MS_DRIVER(s, stream_sync(cu(s)), "cuStreamSynchronize");
}
extern "C" ms_status ms_stream_wait(ms_ctx* ctx, ms_stream* s, ms_event* e) {
  if (e == nullptr) return fail(MS_ERR_ARGUMENT, "e is null");
  MS_DRIVER(s, stream_wait(cu(s), cu(e), 0), "cuStreamWaitEvent");
}

extern "C" ms_status ms_event_new(ms_ctx* ctx, int32_t timing, ms_event** out_h) {
  ms_status status = enter(ctx, out_h);
  if (status != MS_OK) return status;
  CuEvent e = nullptr;
  CuResult result = ctx->driver.event_create(&e, timing != 0 ? 0 : ms::kCuEventDisableTiming);
  *out_h = reinterpret_cast<ms_event*>(e);
  return driver_status(ctx, result, "cuEventCreate");
}
extern "C" ms_status ms_event_free(ms_ctx* ctx, ms_event* e) {
  MS_DRIVER(e, event_destroy(cu(e)), "cuEventDestroy");
}
extern "C" ms_status ms_event_record(ms_ctx* ctx, ms_event* e, ms_stream* s) {
  if (e == nullptr) return fail(MS_ERR_ARGUMENT, "e is null");
  MS_DRIVER(s, event_record(cu(e), cu(s)), "cuEventRecord");
}
extern "C" ms_status ms_event_query(ms_ctx* ctx, ms_event* e, int32_t* done_h) {
  if (done_h == nullptr) return fail(MS_ERR_ARGUMENT, "done_h is null");
  ms_status status = enter(ctx, e);
  if (status != MS_OK) return status;
  CuResult result = ctx->driver.event_query(cu(e));
  *done_h = result == ms::kCuSuccess ? 1 : 0;
  return result == ms::kCuNotReady ? MS_OK : driver_status(ctx, result, "cuEventQuery");
}
extern "C" ms_status ms_event_sync(ms_ctx* ctx, ms_event* e) {
  MS_DRIVER(e, event_sync(cu(e)), "cuEventSynchronize");
}
extern "C" ms_status ms_event_elapsed(ms_ctx* ctx, ms_event* from, ms_event* to, float* ms_h) {
  if (to == nullptr || ms_h == nullptr) return fail(MS_ERR_ARGUMENT, "to or ms_h is null");
  MS_DRIVER(from, event_elapsed(ms_h, cu(from), cu(to)), "cuEventElapsedTime");
}

extern "C" ms_status ms_capture_begin(ms_ctx* ctx, ms_stream* s) {
  MS_DRIVER(s, capture_begin(cu(s), ms::kCuCaptureThreadLocal), "cuStreamBeginCapture");
}
extern "C" ms_status ms_capture_end(ms_ctx* ctx, ms_stream* s, ms_graph** out_h) {
  if (out_h == nullptr) return fail(MS_ERR_ARGUMENT, "out_h is null");
  *out_h = nullptr;
  ms_status status = enter(ctx, s);
  if (status != MS_OK) return status;
  CuGraph graph = nullptr;
  status = driver_status(ctx, ctx->driver.capture_end(cu(s), &graph), "cuStreamEndCapture");
  if (status != MS_OK) return status;
  CuGraphExec exec = nullptr;
  status = driver_status(ctx, ctx->driver.graph_instantiate(&exec, graph, 0),
                         "cuGraphInstantiateWithFlags");
  ctx->driver.graph_destroy(graph);
  if (status != MS_OK) return status;
  status = driver_status(ctx, ctx->driver.graph_upload(exec, cu(s)), "cuGraphUpload");
  if (status != MS_OK) {
    ctx->driver.graph_exec_destroy(exec);
    return status;
  }
  *out_h = reinterpret_cast<ms_graph*>(exec);
  return MS_OK;
}
extern "C" ms_status ms_graph_launch(ms_ctx* ctx, ms_graph* g, ms_stream* s) {
  if (g == nullptr) return fail(MS_ERR_ARGUMENT, "g is null");
  MS_DRIVER(s, graph_launch(cu(g), cu(s)), "cuGraphLaunch");
}
extern "C" ms_status ms_graph_free(ms_ctx* ctx, ms_graph* g) {
  MS_DRIVER(g, graph_exec_destroy(cu(g)), "cuGraphExecDestroy");
}
