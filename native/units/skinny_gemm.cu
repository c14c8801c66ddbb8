// Skinny GEMM, one kernel a token bound and weight type.
#include "../kernels/skinny_gemm.cuh"

MS_KERNEL(ms_skinny_bf16_8, ms::GemmParams, ms::kGemmThreads) { ms::skinny_gemm<1, false>(p); }
MS_KERNEL(ms_skinny_fp8_8, ms::GemmParams, ms::kGemmThreads) { ms::skinny_gemm<1, true>(p); }
MS_KERNEL(ms_skinny_bf16_16, ms::GemmParams, ms::kGemmThreads) { ms::skinny_gemm<2, false>(p); }
MS_KERNEL(ms_skinny_fp8_16, ms::GemmParams, ms::kGemmThreads) { ms::skinny_gemm<2, true>(p); }
MS_KERNEL(ms_skinny_bf16_32, ms::GemmParams, ms::kGemmThreads) { ms::skinny_gemm<4, false>(p); }
MS_KERNEL(ms_skinny_fp8_32, ms::GemmParams, ms::kGemmThreads) { ms::skinny_gemm<4, true>(p); }
MS_KERNEL(ms_skinny_bf16_64, ms::GemmParams, ms::kGemmThreads) { ms::skinny_gemm<8, false>(p); }
MS_KERNEL(ms_skinny_fp8_64, ms::GemmParams, ms::kGemmThreads) { ms::skinny_gemm<8, true>(p); }
