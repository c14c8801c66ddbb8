// Sizes that launchers and kernels must agree on, as plain constant expressions.
#pragma once

#if defined(__CUDACC__)
#define MS_SHAPE __host__ __device__ constexpr
#else
#define MS_SHAPE constexpr
#endif

namespace ms {

constexpr int kDecodeTile = 64;  // keys a decode block takes at once
constexpr int kDecodeThreads = 128;
constexpr int kDecodeWarps = 4;
constexpr int kDecodeRows = 16;

/// Bytes between tokens of a shared tile of keys or values.
MS_SHAPE int kv_pitch(int d, bool fp8) { return d * (fp8 ? 1 : 2) + 16; }
MS_SHAPE int decode_stages(int d) { return d <= 64 ? 4 : d <= 128 ? 3 : 2; }
MS_SHAPE int decode_pipe_bytes(int d, bool fp8) {
  return decode_stages(d) * 2 * kDecodeTile * kv_pitch(d, fp8);
}
MS_SHAPE int decode_merge_bytes(int d) { return kDecodeWarps * kDecodeRows * (d + 2) * 4; }
MS_SHAPE int decode_shared_bytes(int d, bool fp8) {
  return decode_pipe_bytes(d, fp8) > decode_merge_bytes(d) ? decode_pipe_bytes(d, fp8)
                                                           : decode_merge_bytes(d);
}

MS_SHAPE int prefill_rows(int d) { return d <= 128 ? 128 : 64; }
MS_SHAPE int prefill_keys(int d) { return d <= 128 ? 64 : 32; }
MS_SHAPE int prefill_threads(int d) { return prefill_rows(d) / 16 * 32; }
/// The query tile and two stages of keys and values; 16-bit for every cache type.
MS_SHAPE int prefill_shared_bytes(int d) {
  return (prefill_rows(d) + 4 * prefill_keys(d)) * kv_pitch(d, false);
}

constexpr int kRopeThreads = 128;
constexpr int kNormThreads = 256;
constexpr int kRowThreads = 256;  // kernels that move whole rows
constexpr int kStepThreads = 1024;
constexpr int kGemmThreads = 256;
constexpr int kRowBlock = 512;  // kernels over one row of logits

}  // namespace ms
