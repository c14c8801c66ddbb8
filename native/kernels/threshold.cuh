// Sort-free truncation. Survivors of top-k, top-p and min-p are { x >= tau }; tau is found by
// narrowing an interval of float keys with seven pivots a read, and, once at most 1024 candidates
// are left inside, in shared memory. Probability mass is counted in 2^-40 fixed point, whose sums
// do not depend on their order: the same row gives the same set in every run and every batch.
#pragma once
#include "logits_row.cuh"

namespace ms {

constexpr int kPivots = 7;
constexpr int kCandidates = 1024;
constexpr u64 kNoLimit = ~0ull;

/// exp(x - top) in 2^-40.
MS_DEVICE u64 mass_of(float x, float top) { return (u64)(exp2_fast((x - top) * kLog2e) * 0x1p40f); }

struct Above {
  u64 count, mass;  // of the tokens whose key is greater than something
};

struct SearchScratch {
  u64 parts[kRowWarps][2 * kPivots];
  u64 totals[2 * kPivots];
  float candidates[kCandidates];
  int n_candidates;
};

/// A token at the pivot is kept while fewer than k tokens and less than `limit` mass lie above it.
struct KeepRule {
  u64 k, limit;
  MS_DEVICE bool keeps(const Above& above) const { return above.count < k && above.mass < limit; }
};

/// Adds one token to the counters of the pivots below it.
MS_DEVICE void count_token(float x, float top, u32 low, u32 high, const u32 (&pivot)[kPivots],
                           u32 (&count)[kPivots], u64 (&mass)[kPivots]) {
  u32 key = key_of(x);
  if (key <= low || key > high) return;
  u64 m = mass_of(x, top);
#pragma unroll
  for (int i = 0; i < kPivots; ++i) {
    if (key > pivot[i]) {
      ++count[i];
      mass[i] += m;
    }
  }
}

/// Block-wide totals of the seven counters.
MS_DEVICE void total_counts(const u32 (&count)[kPivots], const u64 (&mass)[kPivots],
                            SearchScratch& s) {
  int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
#pragma unroll
  for (int i = 0; i < kPivots; ++i) {
    u64 c = count[i], m = mass[i];
    for (int x = 16; x > 0; x >>= 1) {
      c += shfl_xor(c, x);
      m += shfl_xor(m, x);
    }
    if (lane == 0) {
      s.parts[warp][2 * i] = c;
      s.parts[warp][2 * i + 1] = m;
    }
  }
  sync_block();
  if (threadIdx.x < 2 * kPivots) {
    u64 sum = 0;
    for (int w = 0; w < kRowWarps; ++w) sum += s.parts[w][threadIdx.x];
    s.totals[threadIdx.x] = sum;
  }
  sync_block();
}

/// Copies the tokens whose key lies in (low, high] to shared memory, in any order.
MS_DEVICE void gather_candidates(const LogitsRow& row, u32 low, u32 high, SearchScratch& s) {
  sync_block();
  if (threadIdx.x == 0) s.n_candidates = 0;
  sync_block();
  for (int q = threadIdx.x; q < row.quads(); q += kRowBlock) {
    Logits4 v = row.quad(q);
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      u32 key = key_of(v.x[i]);
      if (key <= low || key > high) continue;
      int at = atomic_add(&s.n_candidates, 1);
      if (at < kCandidates) s.candidates[at] = v.x[i];
    }
  }
  sync_block();
}

/// Mass of the tokens whose key is greater than `key`, and their number.
MS_DEVICE Above above_key(const LogitsRow& row, float top, u32 key, SearchScratch& s) {
  u32 pivot[kPivots], count[kPivots];
  u64 mass[kPivots];
#pragma unroll
  for (int i = 0; i < kPivots; ++i) {
    pivot[i] = key;
    count[i] = 0;
    mass[i] = 0;
  }
  for (int q = threadIdx.x; q < row.quads(); q += kRowBlock) {
    Logits4 v = row.quad(q);
#pragma unroll
    for (int i = 0; i < 4; ++i) count_token(v.x[i], top, key, ~0u, pivot, count, mass);
  }
  total_counts(count, mass, s);
  return Above{s.totals[0], s.totals[1]};
}

/// The smallest key >= lowest that the rule keeps (or one that separates the same tokens). `all`:
/// what lies above lowest - 1; the row's maximum is always kept.
MS_DEVICE u32 find_threshold(const LogitsRow& row, float top, u32 lowest, Above all, KeepRule rule,
                             SearchScratch& s) {
  u32 low = lowest - 1, high = key_of(top);
  Above above_low = all, above_high = {0, 0};
  bool in_shared = false, first = true;
  while (high - low > 1 && above_low.count > above_high.count) {
    if (!in_shared && above_low.count - above_high.count <= (u64)kCandidates) {
      gather_candidates(row, low, high, s);
      in_shared = true;
    }
    u32 pivot[kPivots], count[kPivots];
    u64 mass[kPivots];
#pragma unroll
    for (int i = 0; i < kPivots; ++i) {
      // First by value, as probabilities fall; then by even division of the keys.
      float value = top - 0.5f * (float)(1 << (kPivots - 1 - i));
      u32 key = key_of(value);
      u32 even = low + (u32)((u64)(high - low) * (u64)(i + 1) / (kPivots + 1));
      pivot[i] = first && key > low && key < high ? key : first ? (key <= low ? low : high) : even;
      count[i] = 0;
      mass[i] = 0;
    }
    if (in_shared) {
      for (int i = threadIdx.x; i < s.n_candidates; i += kRowBlock) {
        count_token(s.candidates[i], top, low, high, pivot, count, mass);
      }
    } else {
      for (int q = threadIdx.x; q < row.quads(); q += kRowBlock) {
        Logits4 v = row.quad(q);
#pragma unroll
        for (int i = 0; i < 4; ++i) count_token(v.x[i], top, low, high, pivot, count, mass);
      }
    }
    total_counts(count, mass, s);
    // Pivots ascend: the first kept one bounds from above, the one before it from below.
    u32 next_low = low, next_high = high;
    Above base = above_high;
#pragma unroll
    for (int i = kPivots - 1; i >= 0; --i) {
      Above above = {base.count + s.totals[2 * i], base.mass + s.totals[2 * i + 1]};
      if (rule.keeps(above) && pivot[i] > low) {
        next_high = pivot[i];
        above_high = above;
      }
    }
#pragma unroll
    for (int i = 0; i < kPivots; ++i) {
      Above above = {base.count + s.totals[2 * i], base.mass + s.totals[2 * i + 1]};
      if (!rule.keeps(above) && pivot[i] < next_high) {
        next_low = pivot[i];
        above_low = above;
      }
    }
    low = next_low;
    high = next_high;
    first = false;
    sync_block();  // totals are read before the next round writes them
  }
  return high;
}

}  // namespace ms
