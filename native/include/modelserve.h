/* The whole C ABI of ModelServe's native library: C11, no CUDA and no torch type.
 *
 * Status   every function returns an ms_status; the text of the calling thread's last failure is
 *          written into the caller's buffer by ms_last_error. Nothing throws, exits or prints.
 * Structs  every struct starts with struct_size = sizeof(struct); a mismatch is MS_ERR_ABI. The
 *          loader also compares ms_abi_version() with MS_ABI_VERSION and sizes with ms_sizeof().
 * Pointers are device pointers unless the name ends in _h. The caller owns every buffer; the
 * library keeps none, allocates none and synchronises nothing inside an op, so every op can be
 *          captured. Buffers of a captured op must outlive the graph. Matrices and activations
 *          start at multiples of 16 bytes, a GEMM's workspace at one of 256; others are refused.
 * Counts   n_* fields are upper bounds that fix the launch grid. Where an optional device counter
 *          (count, [1] int32) is given, the kernel reads the true number from it and ignores the
 *          padded rest, which lets one captured graph serve any smaller step.
 * Shapes   row-major, innermost last. T tokens, B rows (sequences), Hq query heads, Hkv key/value
 *          heads, D head size, V vocabulary. Activations are bf16 unless said otherwise.
 * Threads  one thread drives one context at a time.
 */
#ifndef MODELSERVE_H_
#define MODELSERVE_H_

#include <stddef.h>
#include <stdint.h>

#include "modelserve_args.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MS_ABI_VERSION 3
#define MS_API __attribute__((visibility("default")))

/* 0 is success; failures are negative. */
typedef int32_t ms_status;
enum {
  MS_OK = 0,
  MS_ERR_ABI = -1,         /* struct_size or version mismatch */
  MS_ERR_ARGUMENT = -2,    /* a value outside its range; the text names field, limit and value */
  MS_ERR_UNSUPPORTED = -3, /* a combination this build has no kernel for */
  MS_ERR_MEMORY = -4,      /* the device or the host is out of memory */
  MS_ERR_DRIVER = -5,      /* the CUDA driver refused a call */
  MS_ERR_LIBRARY = -6,     /* a shared library or symbol is missing */
  MS_ERR_STATE = -7,       /* wrong order of calls, e.g. ending a capture that never began */
  MS_ERR_CUBLAS = -8       /* cuBLASLt refused a call */
};

/* What ms_sizeof knows. */
enum {
  MS_KIND_DEVICE_INFO = 1,
  MS_KIND_KV_CACHE,
  MS_KIND_STEP_BEGIN,
  MS_KIND_EMBED,
  MS_KIND_ADD_RMSNORM,
  MS_KIND_QK_ROPE_KV,
  MS_KIND_ATTN_DECODE,
  MS_KIND_ATTN_PREFILL,
  MS_KIND_GEMM,
  MS_KIND_ACT_MUL,
  MS_KIND_QUANT_FP8,
  MS_KIND_ARGMAX,
  MS_KIND_LOGITS_FIX,
  MS_KIND_SAMPLE_ROW,
  MS_KIND_SAMPLE,
  MS_KIND_COUNT_TOKENS,
  MS_KIND_TOP_LOGPROBS,
  MS_KIND_BLOCK_COPY,
  MS_KIND_GATHER_ROWS
};

typedef struct ms_ctx ms_ctx;       /* one device, its kernels and cuBLASLt handle */
typedef struct ms_stream ms_stream; /* a CUstream; NULL is never accepted */
typedef struct ms_event ms_event;
typedef struct ms_graph ms_graph; /* an instantiated graph */

typedef struct ms_device_info {
  uint32_t struct_size;
  int32_t compute_major, compute_minor, sm_count;
  int64_t total_bytes, free_bytes;
  int32_t has_cublaslt; /* 1: ms_gemm accepts MS_GEMM_CUBLASLT */
  int32_t is_emulated;  /* 1: no GPU behind this library (stub or emulator) */
  /* What a choice among kernels depends on, beside the sizes: for caches of such choices. */
  int32_t driver_version;   /* of CUDA that the driver speaks, 1000 major + 10 minor; 0 emulated */
  int32_t cublaslt_version; /* 10000 major + 100 minor + patch; 0 without cuBLASLt */
  char name[64];            /* the device's, NUL-terminated */
} ms_device_info;

/* ---- version, errors, context, memory ------------------------------------------------------ */
MS_API int32_t ms_abi_version(void);
/* Bytes of the struct of that MS_KIND_*, or 0 for an unknown kind. */
MS_API size_t ms_sizeof(int32_t kind);
/* Copies the calling thread's last failure, NUL-terminated, into buffer; returns its full length.
 */
MS_API size_t ms_last_error(char* buffer_h, size_t length);
/* cublaslt_path_h: file name or path for dlopen, or NULL to try the usual names. A missing cuBLASLt
 * is not an error here (see has_cublaslt). *out_h is owned by the caller until ms_ctx_free. */
MS_API ms_status ms_ctx_new(int32_t device, const char* cublaslt_path_h, ms_ctx** out_h);
MS_API ms_status ms_ctx_free(ms_ctx* ctx);
MS_API ms_status ms_ctx_info(ms_ctx* ctx, ms_device_info* info_h);
MS_API ms_status ms_malloc(ms_ctx* ctx, size_t bytes, void** out_h); /* 256 B aligned */
MS_API ms_status ms_free(ms_ctx* ctx, void* pointer);
MS_API ms_status ms_host_alloc(ms_ctx* ctx, size_t bytes, void** out_h); /* pinned */
MS_API ms_status ms_host_free(ms_ctx* ctx, void* pointer_h);
MS_API ms_status ms_memset(ms_ctx* ctx, void* pointer, int32_t byte, size_t n, ms_stream* s);
MS_API ms_status ms_h2d(ms_ctx* ctx, void* to, const void* from_h, size_t n, ms_stream* s);
MS_API ms_status ms_d2h(ms_ctx* ctx, void* to_h, const void* from, size_t n, ms_stream* s);
MS_API ms_status ms_d2d(ms_ctx* ctx, void* to, const void* from, size_t n, ms_stream* s);

/* ---- streams, events, graphs --------------------------------------------------------------- */
MS_API ms_status ms_stream_new(ms_ctx* ctx, int32_t high_priority, ms_stream** out_h);
MS_API ms_status ms_stream_free(ms_ctx* ctx, ms_stream* s);
MS_API ms_status ms_stream_sync(ms_ctx* ctx, ms_stream* s);
MS_API ms_status ms_stream_wait(ms_ctx* ctx, ms_stream* s, ms_event* e);
MS_API ms_status ms_event_new(ms_ctx* ctx, int32_t timing, ms_event** out_h);
MS_API ms_status ms_event_free(ms_ctx* ctx, ms_event* e);
MS_API ms_status ms_event_record(ms_ctx* ctx, ms_event* e, ms_stream* s);
MS_API ms_status ms_event_query(ms_ctx* ctx, ms_event* e, int32_t* done_h);
MS_API ms_status ms_event_sync(ms_ctx* ctx, ms_event* e);
/* Both events must have been made with timing = 1 and have completed. */
MS_API ms_status ms_event_elapsed(ms_ctx* ctx, ms_event* from, ms_event* to, float* ms_h);
/* Between begin and end, ops on that stream are recorded and not run. Run each once before. */
MS_API ms_status ms_capture_begin(ms_ctx* ctx, ms_stream* s);
MS_API ms_status ms_capture_end(ms_ctx* ctx, ms_stream* s, ms_graph** out_h);
MS_API ms_status ms_graph_launch(ms_ctx* ctx, ms_graph* g, ms_stream* s);
MS_API ms_status ms_graph_free(ms_ctx* ctx, ms_graph* g);

/* ---- ops: launch on stream s, return at once ------------------------------------------------ */
MS_API ms_status ms_step_begin(ms_ctx* ctx, const ms_step_begin_args* a_h, ms_stream* s);
MS_API ms_status ms_embed(ms_ctx* ctx, const ms_embed_args* a_h, ms_stream* s);
MS_API ms_status ms_add_rmsnorm(ms_ctx* ctx, const ms_add_rmsnorm_args* a_h, ms_stream* s);
MS_API ms_status ms_qk_rope_kv(ms_ctx* ctx, const ms_qk_rope_kv_args* a_h, ms_stream* s);
MS_API ms_status ms_attn_decode(ms_ctx* ctx, const ms_attn_decode_args* a_h, ms_stream* s);
/* Query tokens of one prefill tile, for group = Hq / Hkv; 0 if there is no kernel. */
MS_API int32_t ms_prefill_tile_tokens(int32_t group, int32_t head_dim);
MS_API ms_status ms_attn_prefill(ms_ctx* ctx, const ms_attn_prefill_args* a_h, ms_stream* s);
/* Workspace bytes ms_gemm wants for these sizes. */
MS_API ms_status ms_gemm_workspace(ms_ctx* ctx, const ms_gemm_args* a_h, int64_t* bytes_h);
MS_API ms_status ms_gemm(ms_ctx* ctx, const ms_gemm_args* a_h, ms_stream* s);
/* Times every cuBLASLt candidate for these sizes and buffers (y is overwritten; not capturable);
 * algo_out_h [64] receives the fastest and us_h its time, both ready for a cache on disk. The
 * algorithm serves any m of the same n, k, types and operands (bias, residual) on the same device,
 * driver and cuBLASLt; ms_gemm refuses one that does not fit with MS_ERR_CUBLAS. */
MS_API ms_status ms_gemm_tune(ms_ctx* ctx, const ms_gemm_args* a_h, ms_stream* s,
                              uint8_t* algo_out_h, float* us_h);
MS_API ms_status ms_act_mul(ms_ctx* ctx, const ms_act_mul_args* a_h, ms_stream* s);
MS_API ms_status ms_quant_fp8(ms_ctx* ctx, const ms_quant_fp8_args* a_h, ms_stream* s);
MS_API ms_status ms_gather_rows(ms_ctx* ctx, const ms_gather_rows_args* a_h, ms_stream* s);
MS_API ms_status ms_argmax(ms_ctx* ctx, const ms_argmax_args* a_h, ms_stream* s);
MS_API ms_status ms_logits_fix(ms_ctx* ctx, const ms_logits_fix_args* a_h, ms_stream* s);
MS_API ms_status ms_count_tokens(ms_ctx* ctx, const ms_count_tokens_args* a_h, ms_stream* s);
MS_API ms_status ms_sample(ms_ctx* ctx, const ms_sample_args* a_h, ms_stream* s);
MS_API ms_status ms_top_logprobs(ms_ctx* ctx, const ms_top_logprobs_args* a_h, ms_stream* s);
MS_API ms_status ms_block_copy(ms_ctx* ctx, const ms_block_copy_args* a_h, ms_stream* s);

#ifdef __cplusplus
}
#endif

#endif /* MODELSERVE_H_ */
