// Draws one token a row: temperature, min-p, top-k, top-p, then argmax of logit + Gumbel noise,
// which samples from the truncated distribution without normalising it. One block a row, always, so
// a row gives the same token alone and in any batch.
#pragma once
#include "philox.cuh"
#include "threshold.cuh"

namespace ms {

constexpr int kSampleSkip = 1;
constexpr float kGreedyBelow = 1e-5f;

/// The threshold key of a row's rules, applied in the order min-p, top-k, top-p.
MS_DEVICE u32 truncate(const LogitsRow& row, const SampleRow& rule, float top, SearchScratch& s) {
  u32 lowest = kLowestKey;
  if (rule.min_p > 0.f) {
    u32 key = key_of(top + logf(rule.min_p));
    lowest = key > lowest ? key : lowest;
  }
  bool by_count = rule.top_k > 0 && rule.top_k < row.vocab;
  bool by_mass = rule.top_p < 1.f;
  if (!by_count && !by_mass) return lowest;
  Above all = above_key(row, top, lowest - 1, s);
  if (by_count && all.count > (u64)rule.top_k) {
    lowest = find_threshold(row, top, lowest, all, KeepRule{(u64)rule.top_k, kNoLimit}, s);
    if (by_mass) all = above_key(row, top, lowest - 1, s);
  }
  if (!by_mass) return lowest;
  u64 limit = (u64)((double)all.mass * (double)rule.top_p);
  return find_threshold(row, top, lowest, all, KeepRule{kNoLimit, limit > 0 ? limit : 1}, s);
}

MS_DEVICE Best draw(const LogitsRow& row, const SampleRow& rule, u32 threshold) {
  Best best = {0.f, -1};
  for (int q = threadIdx.x; q < row.quads(); q += kRowBlock) {
    Logits4 v = row.quad(q);
    bool any = false;
#pragma unroll
    for (int i = 0; i < 4; ++i) any = any || key_of(v.x[i]) >= threshold;
    if (!any) continue;
    Noise4 noise = philox(rule.seed, (u64)rule.position, (u32)q);
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      if (key_of(v.x[i]) >= threshold) best.take(v.x[i] + gumbel(noise.w[i]), 4 * q + i);
    }
  }
  return block_best(best);
}

MS_DEVICE void sample(const SampleParams& p) {
  __shared__ SearchScratch scratch;
  griddep_launch();
  griddep_wait();
  int r = (int)blockIdx.x;
  if (r >= true_count(p.count, p.n_rows)) return;
  SampleRow rule = p.rows[r];
  if (rule.flags & kSampleSkip) return;
  bool greedy = rule.temperature < kGreedyBelow;
  const float* logits = p.logits + (i64)r * p.vocab;
  LogitsRow row = {logits, p.vocab, greedy ? 1.f : 1.f / rule.temperature};
  RowSummary summary = summarise(row);
  int token = summary.best.index;
  if (!greedy && token >= 0) {
    u32 threshold = truncate(row, rule, summary.best.value, scratch);
    token = draw(row, rule, threshold).index;
  }
  if (threadIdx.x != 0) return;
  p.tokens[r] = token;
  if (p.logprob != nullptr) {
    p.logprob[r] = token >= 0 ? row.clean(logits[token]) - summary.log_sum : 0.f;
  }
  if (p.last_token != nullptr && rule.slot >= 0 && token >= 0) p.last_token[rule.slot] = token;
}

MS_DEVICE void argmax(const ArgmaxParams& p) {
  griddep_launch();
  griddep_wait();
  int r = (int)blockIdx.x;
  if (r >= true_count(p.count, p.n_rows)) return;
  LogitsRow row = {p.logits + (i64)r * p.vocab, p.vocab, 1.f};
  Best best = {0.f, -1};
  for (int q = threadIdx.x; q < row.quads(); q += kRowBlock) {
    Logits4 v = row.quad(q);
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      if (!is_masked(v.x[i])) best.take(v.x[i], 4 * q + i);
    }
  }
  best = block_best(best);
  if (threadIdx.x == 0) p.out[r] = best.index;
}

}  // namespace ms
