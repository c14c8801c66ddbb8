// What every implementation of the ABI refuses, in one place: the GPU library, the emulator and the
// CPU stub call the same checks. Each returns MS_OK, or names field, limit and value.
#pragma once

#include "error.h"

namespace ms {

ms_status check(const ms_kv_cache* kv);
ms_status check(const ms_step_begin_args* a);
ms_status check(const ms_embed_args* a);
ms_status check(const ms_add_rmsnorm_args* a);
ms_status check(const ms_qk_rope_kv_args* a);
ms_status check(const ms_attn_decode_args* a);
ms_status check(const ms_attn_prefill_args* a);
ms_status check(const ms_gemm_args* a);
ms_status check(const ms_act_mul_args* a);
ms_status check(const ms_quant_fp8_args* a);
ms_status check(const ms_gather_rows_args* a);
ms_status check(const ms_argmax_args* a);
ms_status check(const ms_logits_fix_args* a);
ms_status check(const ms_count_tokens_args* a);
ms_status check(const ms_sample_args* a);
ms_status check(const ms_top_logprobs_args* a);
ms_status check(const ms_block_copy_args* a);

/// Whether ms_gemm with these arguments runs on the skinny kernel; sizes have passed check().
bool wants_skinny(const ms_gemm_args* a, bool has_cublaslt);
/// Splits of k the skinny kernel uses when the caller leaves the choice (0).
int pick_splits(const ms_gemm_args* a, int sm_count);
/// What the skinny kernel and what cuBLASLt refuse beyond check(); workspace sizes are the
/// caller's.
ms_status check_skinny(const ms_gemm_args* a, int splits);
ms_status check_wide(const ms_gemm_args* a);
constexpr int kSkinnyMaxTokens = 64;
constexpr int kSkinnySlice = 32;  // k is a multiple
constexpr int kSkinnyStep = 256;  // k that one round of all warps takes

}  // namespace ms
