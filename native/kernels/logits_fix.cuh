// Logit bias, penalties and grammar masks, in place; and the per-slot token counts behind
// penalties. A counter is 16 bits: bit 15 says that the token is in the prompt, the rest counts the
// output.
#pragma once
#include "logits_row.cuh"

namespace ms {

constexpr int kFixPenalties = 1;
constexpr int kFixBitmask = 2;
constexpr int kCountPrompt = 1;
constexpr int kCountReset = 2;
constexpr u32 kPromptBit = 0x8000u;
constexpr u32 kCountMax = 0x7fffu;

MS_DEVICE void logits_fix(const LogitsFixParams& p) {
  griddep_launch();
  griddep_wait();
  int r = (int)blockIdx.x;
  if (r >= true_count(p.count, p.n_rows)) return;
  float* logits = p.logits + (i64)r * p.vocab;
  if (p.bias_indptr != nullptr) {
    for (int i = p.bias_indptr[r] + (int)threadIdx.x; i < p.bias_indptr[r + 1]; i += kRowBlock) {
      int id = p.bias_ids[i];
      if (id >= 0 && id < p.vocab) logits[id] += p.bias_values[i];  // ids of a row are distinct
    }
    sync_block();
  }
  int flags = p.row_flags[r];
  if (flags == 0) return;
  float repetition = 1.f, frequency = 0.f, presence = 0.f;
  const u16* counts = nullptr;
  if ((flags & kFixPenalties) && p.counts != nullptr) {
    repetition = p.penalties[3 * r];
    frequency = p.penalties[3 * r + 1];
    presence = p.penalties[3 * r + 2];
    counts = p.counts + (i64)p.slot[r] * p.vocab;
  }
  bool masked = (flags & kFixBitmask) && p.bitmask != nullptr;
  const u32* mask = masked ? p.bitmask + (i64)r * ceil_div(p.vocab, 32) : nullptr;
  for (int id = threadIdx.x; id < p.vocab; id += kRowBlock) {
    bool allowed = mask == nullptr || (mask[id / 32] >> (id % 32) & 1u);
    if (!allowed) {
      logits[id] = minus_infinity();
      continue;
    }
    u32 seen = counts != nullptr ? counts[id] : 0u;
    if (seen == 0) continue;
    float x = logits[id];
    x = x > 0.f ? x / repetition : x * repetition;
    u32 n = seen & kCountMax;
    if (n > 0) x = x - frequency * (float)n - presence;
    logits[id] = x;
  }
}

/// Grid: items; each block clears its item's slot if it asks for that. Runs before count_tokens.
MS_DEVICE void count_reset(const CountParams& p) {
  griddep_launch();
  griddep_wait();
  int i = (int)blockIdx.x;
  if (p.mode == nullptr || i >= true_count(p.count, p.n_items)) return;
  if (p.mode[i] != kCountReset || p.slot[i] < 0) return;
  u16* counts = p.counts + (i64)p.slot[i] * p.vocab;
  for (int id = threadIdx.x; id < p.vocab; id += kRowBlock) counts[id] = 0;
}

/// Changes one 16-bit counter inside its 32-bit word.
MS_DEVICE void bump(u16* counter, bool prompt) {
  u64 address = (u64)counter;
  u32* word = (u32*)(address & ~3ull);
  int shift = (int)(address & 2) * 8;
  u32 old = load_relaxed(word);
  for (;;) {
    u32 field = old >> shift & 0xffffu;
    u32 next = prompt ? field | kPromptBit : (field & kCountMax) == kCountMax ? field : field + 1;
    u32 seen = atomic_cas(word, old, (old & ~(0xffffu << shift)) | next << shift);
    if (seen == old) return;
    old = seen;
  }
}

MS_DEVICE void count_tokens(const CountParams& p) {
  griddep_launch();
  griddep_wait();
  int i = (int)blockIdx.x * kRowBlock + (int)threadIdx.x;
  if (i >= true_count(p.count, p.n_items)) return;
  int token = p.token[i], slot = p.slot[i];
  int mode = p.mode != nullptr ? p.mode[i] : 0;
  if (mode == kCountReset || slot < 0 || token < 0 || token >= p.vocab) return;
  bump(p.counts + (i64)slot * p.vocab + token, mode == kCountPrompt);
}

}  // namespace ms
