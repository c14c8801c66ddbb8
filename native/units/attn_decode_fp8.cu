// Decode attention over a fp8 cache, one kernel a head size.
#include "../kernels/attn_decode.cuh"

MS_KERNEL(ms_attn_decode_fp8_32, ms::DecodeParams, ms::kDecodeThreads) {
  ms::attn_decode<32, true>(p);
}
MS_KERNEL(ms_attn_decode_fp8_64, ms::DecodeParams, ms::kDecodeThreads) {
  ms::attn_decode<64, true>(p);
}
MS_KERNEL(ms_attn_decode_fp8_80, ms::DecodeParams, ms::kDecodeThreads) {
  ms::attn_decode<80, true>(p);
}
MS_KERNEL(ms_attn_decode_fp8_96, ms::DecodeParams, ms::kDecodeThreads) {
  ms::attn_decode<96, true>(p);
}
MS_KERNEL(ms_attn_decode_fp8_128, ms::DecodeParams, ms::kDecodeThreads) {
  ms::attn_decode<128, true>(p);
}
MS_KERNEL(ms_attn_decode_fp8_192, ms::DecodeParams, ms::kDecodeThreads) {
  ms::attn_decode<192, true>(p);
}
MS_KERNEL(ms_attn_decode_fp8_256, ms::DecodeParams, ms::kDecodeThreads) {
  ms::attn_decode<256, true>(p);
}
