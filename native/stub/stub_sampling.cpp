// Everything on logits, for the CPU stub. The draw uses the kernels' noise (Philox, Gumbel), so a
// token differs from the GPU's only where rounding makes two candidates equal.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "stub.h"

using namespace ms::stub;

namespace {

constexpr float kNone = -std::numeric_limits<float>::infinity();

/// A row scaled by 1 / temperature; NaN counts as masked.
std::vector<float> clean_row(const float* logits, int vocab, float inverse) {
  std::vector<float> x(logits, logits + vocab);
  for (float& v : x) v = std::isnan(v) || v < -3e38f ? kNone : std::min(v * inverse, 3e38f);
  return x;
}

/// First index of the maximum, -1 if all are masked.
int best_of(const std::vector<float>& x) {
  auto top = std::max_element(x.begin(), x.end());
  return *top == kNone ? -1 : static_cast<int>(top - x.begin());
}

double log_sum(const std::vector<float>& x, float top) {
  double sum = 0;
  for (float v : x) sum += std::exp(static_cast<double>(v) - top);
  return top + std::log(sum);
}

void philox(uint64_t seed, uint64_t position, uint32_t quad, uint32_t (&out)[4]) {
  uint32_t c[4] = {static_cast<uint32_t>(position), quad, 0, static_cast<uint32_t>(position >> 32)};
  uint32_t k[2] = {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)};
  for (int round = 0; round < 10; ++round) {
    uint64_t p0 = uint64_t{0xD2511F53u} * c[0], p1 = uint64_t{0xCD9E8D57u} * c[2];
    uint32_t next[4] = {static_cast<uint32_t>(p1 >> 32) ^ c[1] ^ k[0], static_cast<uint32_t>(p1),
                        static_cast<uint32_t>(p0 >> 32) ^ c[3] ^ k[1], static_cast<uint32_t>(p0)};
    std::copy(next, next + 4, c);
    k[0] += 0x9E3779B9u;
    k[1] += 0xBB67AE85u;
  }
  std::copy(c, c + 4, out);
}

float gumbel(uint32_t bits) {
  float v = std::min((static_cast<float>(bits) + 0.5f) * 0x1p-32f, 0x1.fffffep-1f);
  return -std::log(-std::log1p(-v));
}

/// Smallest value that survives min-p, top-k and top-p, in that order.
float threshold_of(const std::vector<float>& x, const ms_sample_row& rule, float top) {
  std::vector<float> sorted;
  for (float v : x) {
    if (v != kNone && (rule.min_p <= 0 || v >= top + std::log(rule.min_p))) sorted.push_back(v);
  }
  std::sort(sorted.begin(), sorted.end(), std::greater<float>());
  if (rule.top_k > 0 && static_cast<size_t>(rule.top_k) < sorted.size()) {
    float last = sorted[rule.top_k - 1];
    while (sorted.back() < last) sorted.pop_back();
  }
  if (rule.top_p >= 1) return sorted.back();
  double total = 0, before = 0;
  for (float v : sorted) total += std::exp(static_cast<double>(v) - top);
  float lowest = sorted[0];
  for (float v : sorted) {
    if (before >= static_cast<double>(rule.top_p) * total) break;
    lowest = v;
    before += std::exp(static_cast<double>(v) - top);
  }
  return lowest;
}

int draw(const std::vector<float>& x, const ms_sample_row& rule, float threshold) {
  int best = -1;
  float best_value = 0;
  uint32_t noise[4];
  for (size_t i = 0; i < x.size(); ++i) {
    if (i % 4 == 0) {
      philox(rule.seed, static_cast<uint64_t>(rule.position), static_cast<uint32_t>(i / 4), noise);
    }
    if (x[i] == kNone || x[i] < threshold) continue;
    float value = x[i] + gumbel(noise[i % 4]);
    if (best < 0 || value > best_value) {
      best = static_cast<int>(i);
      best_value = value;
    }
  }
  return best;
}

void sample(const ms_sample_args& a, bool poisoned) {
  int n = true_count(a.count, a.n_rows);
  for (int r = 0; r < n; ++r) {
    const ms_sample_row& rule = a.rows[r];
    if (rule.flags & MS_SAMPLE_SKIP) continue;
    bool greedy = rule.temperature < 1e-5f;
    std::vector<float> x = clean_row(a.logits + static_cast<int64_t>(r) * a.vocab, a.vocab,
                                     greedy ? 1.0f : 1.0f / rule.temperature);
    if (poisoned) std::fill(x.begin(), x.end(), kNone);
    poisoned = false;
    int best = best_of(x), token = best;
    if (!greedy && best >= 0) token = draw(x, rule, threshold_of(x, rule, x[best]));
    a.tokens[r] = token;
    if (a.logprob != nullptr) {
      a.logprob[r] = token >= 0 ? static_cast<float>(x[token] - log_sum(x, x[best])) : 0.0f;
    }
    if (a.last_token != nullptr && rule.slot >= 0 && token >= 0) a.last_token[rule.slot] = token;
  }
}

void argmax(const ms_argmax_args& a, bool poisoned) {
  int n = true_count(a.count, a.n_rows);
  for (int r = 0; r < n; ++r) {
    a.out[r] = best_of(clean_row(a.logits + static_cast<int64_t>(r) * a.vocab, a.vocab, 1.0f));
    if (r == 0 && poisoned) a.out[r] = -1;
  }
}

void top_logprobs(const ms_top_logprobs_args& a) {
  int n = true_count(a.count, a.n_rows);
  for (int r = 0; r < n; ++r) {
    if (a.wanted[r] < 0) continue;
    std::vector<float> x = clean_row(a.logits + static_cast<int64_t>(r) * a.vocab, a.vocab, 1.0f);
    int best = best_of(x);
    double sum = best >= 0 ? log_sum(x, x[best]) : 0;
    std::vector<int32_t> order;
    for (int i = 0; i < a.vocab; ++i) {
      if (x[i] != kNone) order.push_back(i);
    }
    size_t wanted =
        std::min<size_t>(static_cast<size_t>(std::min(a.wanted[r], a.max_n)), order.size());
    std::partial_sort(order.begin(), order.begin() + static_cast<long>(wanted), order.end(),
                      [&](int i, int j) { return x[i] > x[j] || (x[i] == x[j] && i < j); });
    for (int i = 0; i < a.max_n; ++i) {
      int64_t at = static_cast<int64_t>(r) * a.max_n + i;
      bool known = static_cast<size_t>(i) < wanted;
      a.ids[at] = known ? order[i] : -1;
      a.logprobs[at] = known ? static_cast<float>(x[order[i]] - sum) : 0.0f;
    }
    if (a.chosen == nullptr) continue;
    int token = a.chosen[r];
    bool known = token >= 0 && token < a.vocab && best >= 0;
    a.chosen_logprob[r] = known ? static_cast<float>(x[token] - sum) : 0.0f;
    if (a.chosen_rank == nullptr) continue;
    a.chosen_rank[r] = 0;
    if (!known || x[token] == kNone) continue;
    for (int i = 0; i < a.vocab; ++i) {
      a.chosen_rank[r] += x[i] > x[token] || (x[i] == x[token] && i <= token) ? 1 : 0;
    }
  }
}

void fix_row(const ms_logits_fix_args& a, int r) {
  float* logits = a.logits + static_cast<int64_t>(r) * a.vocab;
  if (a.bias_indptr != nullptr) {
    for (int i = a.bias_indptr[r]; i < a.bias_indptr[r + 1]; ++i) {
      if (a.bias_ids[i] >= 0 && a.bias_ids[i] < a.vocab) logits[a.bias_ids[i]] += a.bias_values[i];
    }
  }
  if ((a.row_flags[r] & MS_FIX_PENALTIES) && a.counts != nullptr) {
    const uint16_t* counts = a.counts + static_cast<int64_t>(a.slot[r]) * a.vocab;
    const float* p = a.penalties + 3 * r;
    for (int i = 0; i < a.vocab; ++i) {
      if (counts[i] == 0) continue;
      logits[i] = logits[i] > 0 ? logits[i] / p[0] : logits[i] * p[0];
      int seen = counts[i] & 0x7fff;
      if (seen > 0) logits[i] -= p[1] * static_cast<float>(seen) + p[2];
    }
  }
  if ((a.row_flags[r] & MS_FIX_BITMASK) && a.bitmask != nullptr) {
    const uint32_t* mask = a.bitmask + static_cast<int64_t>(r) * ((a.vocab + 31) / 32);
    for (int i = 0; i < a.vocab; ++i) {
      if (!(mask[i / 32] >> (i % 32) & 1u)) logits[i] = kNone;
    }
  }
}

void logits_fix(const ms_logits_fix_args& a) {
  int n = true_count(a.count, a.n_rows);
  for (int r = 0; r < n; ++r) fix_row(a, r);
}

void count_tokens(const ms_count_tokens_args& a) {
  int n = true_count(a.count, a.n_items);
  for (int i = 0; i < n && a.mode != nullptr; ++i) {
    if (a.mode[i] != MS_COUNT_RESET || a.slot[i] < 0) continue;
    std::fill_n(a.counts + static_cast<int64_t>(a.slot[i]) * a.vocab, a.vocab, uint16_t{0});
  }
  for (int i = 0; i < n; ++i) {
    int mode = a.mode != nullptr ? a.mode[i] : MS_COUNT_OUTPUT;
    if (mode == MS_COUNT_RESET || a.slot[i] < 0 || a.token[i] < 0 || a.token[i] >= a.vocab)
      continue;
    uint16_t& counter = a.counts[static_cast<int64_t>(a.slot[i]) * a.vocab + a.token[i]];
    if (mode == MS_COUNT_PROMPT) {
      counter |= 0x8000;
    } else if ((counter & 0x7fff) != 0x7fff) {
      ++counter;
    }
  }
}

}  // namespace

extern "C" {

ms_status ms_argmax(ms_ctx* ctx, const ms_argmax_args* a, ms_stream* s) {
  return op(ctx, a, s, [ctx](const ms_argmax_args& args) {
    argmax(args, true_count(args.count, args.n_rows) > 0 && poisons_logits(ctx));
  });
}
ms_status ms_logits_fix(ms_ctx* ctx, const ms_logits_fix_args* a, ms_stream* s) {
  return op(ctx, a, s, logits_fix);
}
ms_status ms_count_tokens(ms_ctx* ctx, const ms_count_tokens_args* a, ms_stream* s) {
  return op(ctx, a, s, count_tokens);
}
ms_status ms_sample(ms_ctx* ctx, const ms_sample_args* a, ms_stream* s) {
  return op(ctx, a, s, [ctx](const ms_sample_args& args) {
    sample(args, true_count(args.count, args.n_rows) > 0 && poisons_logits(ctx));
  });
}
ms_status ms_top_logprobs(ms_ctx* ctx, const ms_top_logprobs_args* a, ms_stream* s) {
  return op(ctx, a, s, top_logprobs);
}

}  // extern "C"
