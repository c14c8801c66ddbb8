// e4m3 to and from wider floats, without the conversion instructions that sm_80 lacks. Widening is
// exact: the bits are moved under a wider exponent and the difference of biases is a power of two.
#pragma once
#include "ptx.cuh"

namespace ms {

constexpr float kFp8Max = 448.f;

/// Bytes 0 and 1 of v as f16x2.
MS_DEVICE u32 fp8x2_to_f16x2(u32 v) {
  u32 spread = ((v & 0xffu) << 8) | ((v & 0xff00u) << 16);
  u32 bits = (spread & 0x80008000u) | ((spread & 0x7f007f00u) >> 1);
  return mul_f16x2(bits, 0x5c005c00u);  // 2^8 = 2^(15 - 7)
}

/// Bytes 0 and 1 of v as bf16x2.
MS_DEVICE u32 fp8x2_to_bf16x2(u32 v) {
  u32 spread = ((v & 0xffu) << 8) | ((v & 0xff00u) << 16);
  u32 bits = (spread & 0x80008000u) | ((spread & 0x7f007f00u) >> 4);
  return mul_bf16x2(bits, 0x7b807b80u);  // 2^120 = 2^(127 - 7)
}

MS_DEVICE float fp8_to_float(u8 v) {
  u32 sign = (u32)(v & 0x80u) << 24;
  float magnitude = float_of((u32)(v & 0x7fu) << 20) * 0x1p120f;
  return float_of(bits_of(magnitude) | sign);
}

/// Round to nearest even, saturating at 448; NaN becomes 0x7f.
MS_DEVICE u8 float_to_fp8(float x) {
  u32 sign = (bits_of(x) >> 24) & 0x80u;
  float a = fabsf(x);
  if (!(a == a)) return 0x7f;
  if (a >= kFp8Max) return (u8)(sign | 0x7eu);
  if (a < 0x1p-6f) return (u8)(sign | (u32)rintf(a * 0x1p9f));  // subnormals: steps of 2^-9
  u32 bits = bits_of(a);
  bits += 0x7ffffu + ((bits >> 20) & 1u);  // keep 3 of 23 mantissa bits
  u32 code = (bits >> 20) - ((127u - 7u) << 3);
  return (u8)(sign | (code > 0x7eu ? 0x7eu : code));
}

}  // namespace ms
