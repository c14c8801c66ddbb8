// The n most likely tokens of a row with their log-softmax, by threshold and not by sorting.
#pragma once
#include "threshold.cuh"

namespace ms {

constexpr int kMaxTop = 32;

struct TopList {
  float value[kMaxTop];
  int index[kMaxTop];
  int n;
};

/// Fills the list with the tokens above the threshold (fewer than n), in any order.
MS_DEVICE void collect_above(const LogitsRow& row, u32 threshold, TopList& list) {
  sync_block();
  if (threadIdx.x == 0) list.n = 0;
  sync_block();
  for (int q = threadIdx.x; q < row.quads(); q += kRowBlock) {
    Logits4 v = row.quad(q);
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      if (key_of(v.x[i]) <= threshold) continue;
      int at = atomic_add(&list.n, 1);
      if (at < kMaxTop) {
        list.value[at] = v.x[i];
        list.index[at] = 4 * q + i;
      }
    }
  }
  sync_block();
}

/// The best token at or below the threshold that comes after `after` in (value, lower id) order.
MS_DEVICE Best next_best(const LogitsRow& row, u32 threshold, Best after) {
  Best best = {0.f, -1};
  for (int q = threadIdx.x; q < row.quads(); q += kRowBlock) {
    Logits4 v = row.quad(q);
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      float x = v.x[i];
      int id = 4 * q + i;
      if (is_masked(x) || key_of(x) > threshold) continue;
      if (after.index >= 0 && (x > after.value || (x == after.value && id <= after.index)))
        continue;
      best.take(x, id);
    }
  }
  return block_best(best);
}

/// A token's place in (value, lower id) order, from 1; 0 if it is masked.
MS_DEVICE int rank_of(const LogitsRow& row, int token) {
  __shared__ float scratch[32];
  float value = row.clean(row.from[token]);
  int before = 0;
  for (int q = threadIdx.x; q < row.quads(); q += kRowBlock) {
    Logits4 v = row.quad(q);
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      float x = v.x[i];
      before += x > value || (x == value && 4 * q + i < token) ? 1 : 0;
    }
  }
  // A vocabulary is far below 2^24, so the sum is exact.
  int rank = 1 + (int)block_sum((float)before, scratch);
  return is_masked(value) ? 0 : rank;
}

MS_DEVICE void top_logprobs(const TopLogprobsParams& p) {
  __shared__ SearchScratch scratch;
  __shared__ TopList list;
  griddep_launch();
  griddep_wait();
  int r = (int)blockIdx.x;
  if (r >= true_count(p.count, p.n_rows) || p.wanted[r] < 0) return;
  int wanted = min_i(p.wanted[r], p.max_n);
  LogitsRow row = {p.logits + (i64)r * p.vocab, p.vocab, 1.f};
  RowSummary summary = summarise(row);
  if (p.chosen != nullptr) {
    int token = p.chosen[r];
    bool known = token >= 0 && token < p.vocab && summary.best.index >= 0;
    int rank = known && p.chosen_rank != nullptr ? rank_of(row, token) : 0;
    if (threadIdx.x == 0) {
      p.chosen_logprob[r] = known ? row.clean(row.from[token]) - summary.log_sum : 0.f;
      if (p.chosen_rank != nullptr) p.chosen_rank[r] = rank;
    }
  }
  for (int i = (int)threadIdx.x; i < p.max_n; i += kRowBlock) {
    p.ids[(i64)r * p.max_n + i] = -1;
    p.logprobs[(i64)r * p.max_n + i] = 0.f;
  }
  if (wanted == 0 || summary.best.index < 0) return;
  float top = summary.best.value;
  Above all = above_key(row, top, kLowestKey - 1, scratch);
  u32 threshold =
      find_threshold(row, top, kLowestKey, all, KeepRule{(u64)wanted, kNoLimit}, scratch);
  collect_above(row, threshold, list);
  // What is left to find sits at the threshold, lowest ids first, or below it when the search
  // stopped at a key that no token has.
  Best after = {0.f, -1};
  for (int have = min_i(list.n, wanted); have < wanted; ++have) {
    after = next_best(row, threshold, after);
    if (after.index < 0) break;
    if (threadIdx.x == 0) {
      list.value[have] = after.value;
      list.index[have] = after.index;
      list.n = have + 1;
    }
    sync_block();
  }
  sync_block();
  int n = min_i(list.n, wanted), me = (int)threadIdx.x;
  if (me >= n) return;
  int rank = 0;
  for (int i = 0; i < n; ++i) {
    bool better = list.value[i] > list.value[me] ||
                  (list.value[i] == list.value[me] && list.index[i] < list.index[me]);
    rank += better ? 1 : 0;
  }
  p.ids[(i64)r * p.max_n + rank] = list.index[me];
  p.logprobs[(i64)r * p.max_n + rank] = list.value[me] - summary.log_sum;
}

}  // namespace ms
