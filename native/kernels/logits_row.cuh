// One row of f32 logits as one block sees it: reading four at a time, maximum with its index, and
// the sum of exponentials, all in a fixed order.
#pragma once
#include "params.h"
#include "ptx.cuh"

namespace ms {

constexpr int kRowWarps = kRowBlock / kWarp;

/// Order-preserving map from floats to unsigned: greater logit, greater key.
MS_DEVICE u32 key_of(float x) {
  u32 b = bits_of(x);
  return (b & 0x80000000u) ? ~b : b | 0x80000000u;
}
/// The first key above that of -inf: what is masked can never survive.
constexpr u32 kLowestKey = 0x00800000u;

MS_DEVICE float minus_infinity() { return float_of(0xff800000u); }

struct Logits4 {
  float x[4];
};

/// A vocabulary row scaled by 1 / temperature. NaN counts as masked; the top is kept finite.
struct LogitsRow {
  const float* from;
  int vocab;
  float inverse_temperature;

  MS_DEVICE float clean(float l) const {
    if (!(l == l) || l < -3e38f) return minus_infinity();
    return fminf(l * inverse_temperature, 3e38f);
  }
  MS_DEVICE int quads() const { return ceil_div(vocab, 4); }
  /// Tokens 4 q .. 4 q + 3; masked past the end.
  MS_DEVICE Logits4 quad(int q) const {
    Logits4 v;
    if (vocab % 4 == 0) {
      Vec4 raw = *(const Vec4*)(from + 4 * q);
#pragma unroll
      for (int i = 0; i < 4; ++i) v.x[i] = clean(float_of(raw.w[i]));
    } else {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        v.x[i] = 4 * q + i < vocab ? clean(from[4 * q + i]) : minus_infinity();
      }
    }
    return v;
  }
};

MS_DEVICE bool is_masked(float x) { return x < -3.3e38f; }

struct Best {
  float value;
  int index;  // -1: none

  MS_DEVICE void take(float v, int i) {
    if (index < 0 || v > value || (v == value && i < index)) {
      value = v;
      index = i;
    }
  }
};

/// The block's best, first index on ties; every thread gets it.
MS_DEVICE Best block_best(Best b) {
  __shared__ float values[kRowWarps];
  __shared__ int indices[kRowWarps];
  for (int m = 16; m > 0; m >>= 1) {
    float v = shfl_xor(b.value, m);
    int i = shfl_xor(b.index, m);
    if (i >= 0) b.take(v, i);
  }
  sync_block();
  if (threadIdx.x % kWarp == 0) {
    values[threadIdx.x / kWarp] = b.value;
    indices[threadIdx.x / kWarp] = b.index;
  }
  sync_block();
  Best all = {0.f, -1};
  for (int w = 0; w < kRowWarps; ++w) {
    if (indices[w] >= 0) all.take(values[w], indices[w]);
  }
  return all;
}

struct RowSummary {
  Best best;
  float log_sum;  // log of the sum of exponentials
};

/// One read of the row: maximum and log-sum-exp.
MS_DEVICE RowSummary summarise(const LogitsRow& row) {
  __shared__ float scratch[32];
  Best best = {0.f, -1};
  float top = -3.4e38f, sum = 0.f;
  for (int q = threadIdx.x; q < row.quads(); q += kRowBlock) {
    Logits4 v = row.quad(q);
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      float x = v.x[i];
      if (is_masked(x)) continue;
      best.take(x, 4 * q + i);
      if (x > top) {
        sum = sum * expf(top - x) + 1.f;
        top = x;
      } else {
        sum += expf(x - top);
      }
    }
  }
  RowSummary s;
  int found = best.index;
  s.best = block_best(best);
  sum = found >= 0 ? sum * expf(top - s.best.value) : 0.f;
  s.log_sum = s.best.value + logf(block_sum(sum, scratch));
  return s;
}

}  // namespace ms
