// Decode attention over a bf16 cache, one kernel a head size.
#include "../kernels/attn_decode.cuh"

MS_KERNEL(ms_attn_decode_bf16_32, ms::DecodeParams, ms::kDecodeThreads) {
  ms::attn_decode<32, false>(p);
}
MS_KERNEL(ms_attn_decode_bf16_64, ms::DecodeParams, ms::kDecodeThreads) {
  ms::attn_decode<64, false>(p);
}
MS_KERNEL(ms_attn_decode_bf16_80, ms::DecodeParams, ms::kDecodeThreads) {
  ms::attn_decode<80, false>(p);
}
MS_KERNEL(ms_attn_decode_bf16_96, ms::DecodeParams, ms::kDecodeThreads) {
  ms::attn_decode<96, false>(p);
}
MS_KERNEL(ms_attn_decode_bf16_128, ms::DecodeParams, ms::kDecodeThreads) {
  ms::attn_decode<128, false>(p);
}
MS_KERNEL(ms_attn_decode_bf16_192, ms::DecodeParams, ms::kDecodeThreads) {
  ms::attn_decode<192, false>(p);
}
MS_KERNEL(ms_attn_decode_bf16_256, ms::DecodeParams, ms::kDecodeThreads) {
  ms::attn_decode<256, false>(p);
}
