// Everything that runs on logits.
#include "../kernels/logits_fix.cuh"
#include "../kernels/logprobs.cuh"
#include "../kernels/sampler.cuh"

MS_KERNEL(ms_sample_rows, ms::SampleParams, ms::kRowBlock) { ms::sample(p); }
MS_KERNEL(ms_argmax_rows, ms::ArgmaxParams, ms::kRowBlock) { ms::argmax(p); }
MS_KERNEL(ms_top_logprobs_rows, ms::TopLogprobsParams, ms::kRowBlock) { ms::top_logprobs(p); }
MS_KERNEL(ms_logits_fix_rows, ms::LogitsFixParams, ms::kRowBlock) { ms::logits_fix(p); }
MS_KERNEL(ms_count_reset, ms::CountParams, ms::kRowBlock) { ms::count_reset(p); }
MS_KERNEL(ms_count_add, ms::CountParams, ms::kRowBlock) { ms::count_tokens(p); }
