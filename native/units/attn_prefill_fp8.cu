// Prefill attention over a fp8 cache, one kernel a head size.
#include "../kernels/attn_prefill.cuh"

MS_KERNEL(ms_attn_prefill_fp8_32, ms::PrefillParams, ms::PrefillShape<32>::kThreads) {
  ms::attn_prefill<32, true>(p);
}

MS_KERNEL(ms_attn_prefill_fp8_64, ms::PrefillParams, ms::PrefillShape<64>::kThreads) {
  ms::attn_prefill<64, true>(p);
}

MS_KERNEL(ms_attn_prefill_fp8_80, ms::PrefillParams, ms::PrefillShape<80>::kThreads) {
  ms::attn_prefill<80, true>(p);
}

MS_KERNEL(ms_attn_prefill_fp8_96, ms::PrefillParams, ms::PrefillShape<96>::kThreads) {
  ms::attn_prefill<96, true>(p);
}

MS_KERNEL(ms_attn_prefill_fp8_128, ms::PrefillParams, ms::PrefillShape<128>::kThreads) {
  ms::attn_prefill<128, true>(p);
}

MS_KERNEL(ms_attn_prefill_fp8_192, ms::PrefillParams, ms::PrefillShape<192>::kThreads) {
  ms::attn_prefill<192, true>(p);
}

MS_KERNEL(ms_attn_prefill_fp8_256, ms::PrefillParams, ms::PrefillShape<256>::kThreads) {
  ms::attn_prefill<256, true>(p);
}
