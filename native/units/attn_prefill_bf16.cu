// Prefill attention over a bf16 cache, one kernel a head size.
#include "../kernels/attn_prefill.cuh"

MS_KERNEL(ms_attn_prefill_bf16_32, ms::PrefillParams, ms::PrefillShape<32>::kThreads) {
  ms::attn_prefill<32, false>(p);
}

MS_KERNEL(ms_attn_prefill_bf16_64, ms::PrefillParams, ms::PrefillShape<64>::kThreads) {
  ms::attn_prefill<64, false>(p);
}

MS_KERNEL(ms_attn_prefill_bf16_80, ms::PrefillParams, ms::PrefillShape<80>::kThreads) {
  ms::attn_prefill<80, false>(p);
}

MS_KERNEL(ms_attn_prefill_bf16_96, ms::PrefillParams, ms::PrefillShape<96>::kThreads) {
  ms::attn_prefill<96, false>(p);
}

MS_KERNEL(ms_attn_prefill_bf16_128, ms::PrefillParams, ms::PrefillShape<128>::kThreads) {
  ms::attn_prefill<128, false>(p);
}

MS_KERNEL(ms_attn_prefill_bf16_192, ms::PrefillParams, ms::PrefillShape<192>::kThreads) {
  ms::attn_prefill<192, false>(p);
}

MS_KERNEL(ms_attn_prefill_bf16_256, ms::PrefillParams, ms::PrefillShape<256>::kThreads) {
  ms::attn_prefill<256, false>(p);
}
