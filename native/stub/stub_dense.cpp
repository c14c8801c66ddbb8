// Step prologue, rows, norms and GEMM of the CPU stub.
#include <cmath>
#include <vector>

#include "../kernels/shapes.h"
#include "stub.h"

using namespace ms::stub;

namespace {

void step_begin(const ms_step_begin_args& a) {
  int rows = std::min(a.counts[0], a.n_rows), tokens = std::min(a.counts[1], a.n_tokens);
  int deltas = std::min(a.counts[2], a.n_deltas);
  for (int i = 0; i < deltas; ++i) {
    a.block_table[static_cast<int64_t>(a.delta_slot[i]) * a.max_blocks + a.delta_index[i]] =
        a.delta_block[i];
  }
  for (int j = 0; j < a.n_tokens; ++j) {
    a.token_ids[j] = a.positions[j] = 0;
    a.kv_slots[j] = -1;
  }
  for (int i = 0; i < a.n_rows; ++i) a.context_len[i] = 0;
  for (int i = 0; i < rows; ++i) {
    const int32_t* table = a.block_table + static_cast<int64_t>(a.slot[i]) * a.max_blocks;
    a.context_len[i] = a.first_position[i] + a.token_start[i + 1] - a.token_start[i];
    for (int j = a.token_start[i]; j < a.token_start[i + 1] && j < tokens; ++j) {
      int position = a.first_position[i] + j - a.token_start[i];
      a.positions[j] = position;
      a.token_ids[j] = a.input_ids[j] >= 0 ? a.input_ids[j] : a.last_token[a.slot[i]];
      a.kv_slots[j] = static_cast<int64_t>(table[position / a.block_size]) * a.block_size +
                      position % a.block_size;
    }
  }
}

void embed(const ms_embed_args& a) {
  int n = true_count(a.count, a.n_tokens);
  for (int t = 0; t < n; ++t) {
    int id = a.ids[t] >= 0 && a.ids[t] < a.vocab ? a.ids[t] : 0;
    const uint16_t* from = bf16(a.table) + static_cast<int64_t>(id) * a.hidden;
    uint16_t* to = bf16(a.out) + static_cast<int64_t>(t) * a.hidden;
    for (int i = 0; i < a.hidden; ++i) to[i] = float_to_bf16(bf16_to_float(from[i]) * a.scale);
  }
}

/// Writes a row as fp8 with its scale.
void quantise(const std::vector<float>& row, uint8_t* out, float* scale) {
  float top = 0;
  for (float x : row) top = std::max(top, std::fabs(x));
  *scale = top > 1e-30f ? top / 448.0f : 1.0f;
  for (size_t i = 0; i < row.size(); ++i) out[i] = float_to_fp8(row[i] / *scale);
}

void add_rmsnorm(const ms_add_rmsnorm_args& a) {
  int n = true_count(a.count, a.n_tokens);
  std::vector<float> h(static_cast<size_t>(a.hidden));
  for (int t = 0; t < n; ++t) {
    int64_t at = static_cast<int64_t>(t) * a.hidden;
    float squares = 0;
    for (int i = 0; i < a.hidden; ++i) {
      float sum = bf16_to_float(bf16(a.x)[at + i]);
      if (a.residual != nullptr) sum += bf16_to_float(bf16(a.residual)[at + i]);
      uint16_t stored = float_to_bf16(sum);
      if (a.residual != nullptr) bf16(a.residual)[at + i] = stored;
      h[i] = bf16_to_float(stored);
      squares += h[i] * h[i];
    }
    float rstd = 1.0f / std::sqrt(squares / static_cast<float>(a.hidden) + a.eps);
    for (int i = 0; i < a.hidden; ++i) {
      h[i] *= rstd * (bf16_to_float(bf16(a.weight)[i]) + a.weight_offset);
    }
    if (a.out_scale != nullptr) {
      quantise(h, static_cast<uint8_t*>(a.out) + at, a.out_scale + t);
    } else {
      for (int i = 0; i < a.hidden; ++i) bf16(a.out)[at + i] = float_to_bf16(h[i]);
    }
  }
}

void quant_fp8(const ms_quant_fp8_args& a) {
  int n = true_count(a.count, a.n_rows);
  std::vector<float> row(static_cast<size_t>(a.columns));
  for (int t = 0; t < n; ++t) {
    int64_t at = static_cast<int64_t>(t) * a.columns;
    for (int i = 0; i < a.columns; ++i) row[i] = bf16_to_float(bf16(a.x)[at + i]);
    quantise(row, static_cast<uint8_t*>(a.out) + at, a.scale + t);
  }
}

void gather_rows(const ms_gather_rows_args& a) {
  int n = true_count(a.count, a.n_rows);
  for (int i = 0; i < n; ++i) {
    if (a.index[i] < 0) continue;
    std::memcpy(bf16(a.out) + static_cast<int64_t>(i) * a.columns,
                bf16(a.x) + static_cast<int64_t>(a.index[i]) * a.columns,
                static_cast<size_t>(a.columns) * 2);
  }
}

void act_mul(const ms_act_mul_args& a) {
  int n = true_count(a.count, a.n_tokens);
  for (int t = 0; t < n; ++t) {
    const uint16_t* gate = bf16(a.gate_up) + static_cast<int64_t>(t) * 2 * a.features;
    uint16_t* out = bf16(a.out) + static_cast<int64_t>(t) * a.features;
    for (int i = 0; i < a.features; ++i) {
      out[i] = float_to_bf16(activate(bf16_to_float(gate[i]), a.activation == MS_ACT_GELU_TANH) *
                             bf16_to_float(gate[a.features + i]));
    }
  }
}

/// The dot product of one row of x and one row of w, scales and bias applied.
float dot(const ms_gemm_args& a, const std::vector<float>& x, int w_row) {
  int64_t at = static_cast<int64_t>(w_row) * a.k;
  float sum = 0;
  if (a.w_dtype == MS_BF16) {
    for (int k = 0; k < a.k; ++k) sum += x[k] * bf16_to_float(bf16(a.w)[at + k]);
  } else {
    for (int k = 0; k < a.k; ++k)
      sum += x[k] * fp8_to_float(static_cast<const uint8_t*>(a.w)[at + k]);
    sum *= a.w_scale[w_row];
  }
  return a.bias != nullptr ? sum + bf16_to_float(bf16(a.bias)[w_row]) : sum;
}

std::vector<float> gemm_input(const ms_gemm_args& a, int m) {
  std::vector<float> x(static_cast<size_t>(a.k));
  int64_t at = static_cast<int64_t>(m) * a.k;
  float squares = 0;
  for (int k = 0; k < a.k; ++k) {
    x[k] = a.x_dtype == MS_BF16
               ? bf16_to_float(bf16(a.x)[at + k])
               : fp8_to_float(static_cast<const uint8_t*>(a.x)[at + k]) * a.x_scale[m];
    squares += x[k] * x[k];
  }
  if (a.norm_weight == nullptr) return x;
  float rstd = 1.0f / std::sqrt(squares / static_cast<float>(a.k) + a.eps);
  for (int k = 0; k < a.k; ++k) {
    x[k] *= rstd * (bf16_to_float(bf16(a.norm_weight)[k]) + a.weight_offset);
  }
  return x;
}

void gemm(const ms_gemm_args& a) {
  int rows = true_count(a.count, a.m);
  for (int m = 0; m < rows; ++m) {
    std::vector<float> x = gemm_input(a, m);
    for (int n = 0; n < a.n; ++n) {
      float y = dot(a, x, n);
      if (a.epilogue != MS_EPILOGUE_NONE) {
        y = activate(y, a.epilogue == MS_EPILOGUE_GELU_TANH_MUL) * dot(a, x, a.n + n);
      }
      int64_t at = static_cast<int64_t>(m) * a.n + n;
      if (a.residual != nullptr) y += bf16_to_float(bf16(a.residual)[at]);
      if (a.y_dtype == MS_F32) {
        static_cast<float*>(a.y)[at] = y;
      } else {
        bf16(a.y)[at] = float_to_bf16(y);
      }
    }
  }
}

/// What stands for a cuBLASLt algorithm here: the 64 bytes name what they were made for.
struct Algorithm {
  int32_t mark, n, k, x_dtype, w_dtype, y_dtype, bias, residual;
  int32_t rest[8];
  bool operator==(const Algorithm& o) const { return std::memcmp(this, &o, sizeof(o)) == 0; }
};
static_assert(sizeof(Algorithm) == 64, "as the ABI says");

Algorithm algorithm_of(const ms_gemm_args& a) {
  return Algorithm{0x4d534c54,
                   a.n,
                   a.k,
                   a.x_dtype,
                   a.w_dtype,
                   a.y_dtype,
                   a.bias != nullptr,
                   a.residual != nullptr,
                   {}};
}

}  // namespace

extern "C" {

ms_status ms_step_begin(ms_ctx* ctx, const ms_step_begin_args* a, ms_stream* s) {
  return op(ctx, a, s, step_begin);
}
ms_status ms_embed(ms_ctx* ctx, const ms_embed_args* a, ms_stream* s) {
  return op(ctx, a, s, embed);
}
ms_status ms_add_rmsnorm(ms_ctx* ctx, const ms_add_rmsnorm_args* a, ms_stream* s) {
  return op(ctx, a, s, add_rmsnorm);
}
ms_status ms_quant_fp8(ms_ctx* ctx, const ms_quant_fp8_args* a, ms_stream* s) {
  return op(ctx, a, s, quant_fp8);
}
ms_status ms_gather_rows(ms_ctx* ctx, const ms_gather_rows_args* a, ms_stream* s) {
  return op(ctx, a, s, gather_rows);
}
ms_status ms_act_mul(ms_ctx* ctx, const ms_act_mul_args* a, ms_stream* s) {
  return op(ctx, a, s, act_mul);
}
// Both paths of ms_gemm are one loop here; a path only decides which sizes and algorithms are
// refused, and those are refused exactly as a GPU with cuBLASLt would.
ms_status ms_gemm(ms_ctx* ctx, const ms_gemm_args* a, ms_stream* s) {
  ms_status status = ms::check(a);
  if (status != MS_OK) return status;
  if (ms::wants_skinny(a, true)) {
    status = ms::check_skinny(a, ms::pick_splits(a, 1));
  } else {
    status = ms::check_wide(a);
    if (status == MS_OK && a->algo_h != nullptr) {
      Algorithm given;
      std::memcpy(&given, a->algo_h, sizeof(given));
      if (!(given == algorithm_of(*a))) {
        return ms::fail(MS_ERR_CUBLAS, "the algorithm was made for other sizes or types");
      }
    }
  }
  return status == MS_OK ? op(ctx, a, s, gemm) : status;
}
ms_status ms_gemm_workspace(ms_ctx* ctx, const ms_gemm_args* a, int64_t* bytes_h) {
  ms_status status = require(ctx, bytes_h);
  if (status == MS_OK) status = ms::check(a);
  if (status == MS_OK) *bytes_h = 0;
  return status;
}
// Times nothing, but hands out what ms_gemm can recognise.
ms_status ms_gemm_tune(ms_ctx* ctx, const ms_gemm_args* a, ms_stream* s, uint8_t* algo_out_h,
                       float* us_h) {
  ms_status status = require(ctx, s);
  if (status == MS_OK) status = ms::check(a);
  if (status == MS_OK) status = ms::check_wide(a);
  if (status != MS_OK) return status;
  if (algo_out_h == nullptr || us_h == nullptr) {
    return ms::fail(MS_ERR_ARGUMENT, "algo_out_h or us_h is null");
  }
  Algorithm algorithm = algorithm_of(*a);
  std::memcpy(algo_out_h, &algorithm, sizeof(algorithm));
  *us_h = 1;
  ++ctx->tunings;
  return MS_OK;
}

}  // extern "C"
