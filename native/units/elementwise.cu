// Norms, quantisation, row movement and the step prologue.
#include "../kernels/norm.cuh"
#include "../kernels/rows.cuh"
#include "../kernels/step.cuh"

// The suffix is the widest row, in elements; a row is held in registers.
MS_KERNEL(ms_add_rmsnorm_2048, ms::NormParams, ms::kNormThreads) { ms::add_rmsnorm<1, false>(p); }
MS_KERNEL(ms_add_rmsnorm_4096, ms::NormParams, ms::kNormThreads) { ms::add_rmsnorm<2, false>(p); }
MS_KERNEL(ms_add_rmsnorm_8192, ms::NormParams, ms::kNormThreads) { ms::add_rmsnorm<4, false>(p); }
MS_KERNEL(ms_add_rmsnorm_16384, ms::NormParams, ms::kNormThreads) { ms::add_rmsnorm<8, false>(p); }
MS_KERNEL(ms_add_rmsnorm_fp8_2048, ms::NormParams, ms::kNormThreads) {
  ms::add_rmsnorm<1, true>(p);
}
MS_KERNEL(ms_add_rmsnorm_fp8_4096, ms::NormParams, ms::kNormThreads) {
  ms::add_rmsnorm<2, true>(p);
}
MS_KERNEL(ms_add_rmsnorm_fp8_8192, ms::NormParams, ms::kNormThreads) {
  ms::add_rmsnorm<4, true>(p);
}
MS_KERNEL(ms_add_rmsnorm_fp8_16384, ms::NormParams, ms::kNormThreads) {
  ms::add_rmsnorm<8, true>(p);
}

MS_KERNEL(ms_quant_fp8_rows, ms::QuantParams, ms::kNormThreads) { ms::quant_fp8(p); }
MS_KERNEL(ms_embed_rows, ms::EmbedParams, ms::kRowThreads) { ms::embed(p); }
MS_KERNEL(ms_gather, ms::GatherParams, ms::kRowThreads) { ms::gather_rows(p); }
MS_KERNEL(ms_act_mul_rows, ms::ActParams, ms::kRowThreads) { ms::act_mul(p); }
MS_KERNEL(ms_block_copy_pairs, ms::BlockCopyParams, ms::kRowThreads) { ms::block_copy(p); }
MS_KERNEL(ms_step_prologue, ms::StepBeginParams, ms::kStepThreads) { ms::step_begin(p); }
