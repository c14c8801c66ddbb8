// The step prologue: block table changes, then rows expanded to tokens. One block, because every
// token reads tables that the deltas just changed, and a grid-wide barrier would cost a launch.
#pragma once
#include "params.h"
#include "ptx.cuh"

namespace ms {

/// The row whose [token_start[i], token_start[i + 1]) holds token j.
MS_DEVICE int row_of_token(const int* token_start, int n_rows, int j) {
  int low = 0, high = n_rows - 1;
  while (low < high) {
    int middle = (low + high + 1) / 2;
    if (token_start[middle] <= j) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  return low;
}

MS_DEVICE void step_begin(const StepBeginParams& p) {
  griddep_launch();
  griddep_wait();
  int rows = min_i(p.counts[0], p.n_rows), tokens = min_i(p.counts[1], p.n_tokens);
  int deltas = min_i(p.counts[2], p.n_deltas);
  for (int i = threadIdx.x; i < deltas; i += kStepThreads) {
    p.block_table[(i64)p.delta_slot[i] * p.max_blocks + p.delta_index[i]] = p.delta_block[i];
  }
  for (int i = threadIdx.x; i < p.n_rows; i += kStepThreads) {
    int length = i < rows ? p.token_start[i + 1] - p.token_start[i] : 0;
    p.context_len[i] = i < rows ? p.first_position[i] + length : 0;
  }
  sync_block();
  for (int j = threadIdx.x; j < p.n_tokens; j += kStepThreads) {
    if (j >= tokens || rows == 0) {
      p.token_ids[j] = 0;
      p.positions[j] = 0;
      p.kv_slots[j] = -1;
      continue;
    }
    int row = row_of_token(p.token_start, rows, j), slot = p.slot[row];
    int position = p.first_position[row] + j - p.token_start[row];
    int id = p.input_ids[j];
    i64 block = p.block_table[(i64)slot * p.max_blocks + position / p.block_size];
    p.token_ids[j] = id >= 0 ? id : p.last_token[slot];
    p.positions[j] = position;
    p.kv_slots[j] = block * p.block_size + position % p.block_size;
  }
}

}  // namespace ms
