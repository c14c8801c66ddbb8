#include "error.h"

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstring>

namespace {

thread_local char last_error[512] = "";

}  // namespace

namespace ms {

ms_status fail(ms_status status, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(last_error, sizeof(last_error), format, arguments);
  va_end(arguments);
  return status;
}

}  // namespace ms

extern "C" size_t ms_last_error(char* buffer_h, size_t length) {
  size_t full = std::strlen(last_error);
  if (buffer_h != nullptr && length > 0) {
    size_t n = std::min(full, length - 1);
    std::memcpy(buffer_h, last_error, n);
    buffer_h[n] = '\0';
  }
  return full;
}

extern "C" int32_t ms_abi_version(void) { return MS_ABI_VERSION; }

extern "C" size_t ms_sizeof(int32_t kind) {
  switch (kind) {
    case MS_KIND_DEVICE_INFO:
      return sizeof(ms_device_info);
    case MS_KIND_KV_CACHE:
      return sizeof(ms_kv_cache);
    case MS_KIND_STEP_BEGIN:
      return sizeof(ms_step_begin_args);
    case MS_KIND_EMBED:
      return sizeof(ms_embed_args);
    case MS_KIND_ADD_RMSNORM:
      return sizeof(ms_add_rmsnorm_args);
    case MS_KIND_QK_ROPE_KV:
      return sizeof(ms_qk_rope_kv_args);
    case MS_KIND_ATTN_DECODE:
      return sizeof(ms_attn_decode_args);
    case MS_KIND_ATTN_PREFILL:
      return sizeof(ms_attn_prefill_args);
    case MS_KIND_GEMM:
      return sizeof(ms_gemm_args);
    case MS_KIND_ACT_MUL:
      return sizeof(ms_act_mul_args);
    case MS_KIND_QUANT_FP8:
      return sizeof(ms_quant_fp8_args);
    case MS_KIND_ARGMAX:
      return sizeof(ms_argmax_args);
    case MS_KIND_LOGITS_FIX:
      return sizeof(ms_logits_fix_args);
    case MS_KIND_SAMPLE_ROW:
      return sizeof(ms_sample_row);
    case MS_KIND_SAMPLE:
      return sizeof(ms_sample_args);
    case MS_KIND_COUNT_TOKENS:
      return sizeof(ms_count_tokens_args);
    case MS_KIND_TOP_LOGPROBS:
      return sizeof(ms_top_logprobs_args);
    case MS_KIND_BLOCK_COPY:
      return sizeof(ms_block_copy_args);
    case MS_KIND_GATHER_ROWS:
      return sizeof(ms_gather_rows_args);
    default:
      return 0;
  }
}
