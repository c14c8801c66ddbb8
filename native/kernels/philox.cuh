// Philox4x32-10 (Salmon et al. 2011): a counter-based generator, so that the noise of a token is a
// function of (seed, position, token id) and of nothing else.
#pragma once
#include "ptx.cuh"

namespace ms {

struct Noise4 {
  u32 w[4];
};

MS_DEVICE Noise4 philox(u64 seed, u64 position, u32 quad) {
  u32 c0 = (u32)position, c1 = quad, c2 = 0, c3 = (u32)(position >> 32);
  u32 k0 = (u32)seed, k1 = (u32)(seed >> 32);
#pragma unroll
  for (int round = 0; round < 10; ++round) {
    u32 h0 = mul_high(0xD2511F53u, c0), l0 = 0xD2511F53u * c0;
    u32 h1 = mul_high(0xCD9E8D57u, c2), l1 = 0xCD9E8D57u * c2;
    c0 = h1 ^ c1 ^ k0;
    c1 = l1;
    c2 = h0 ^ c3 ^ k1;
    c3 = l0;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return Noise4{{c0, c1, c2, c3}};
}

/// Standard Gumbel noise, always finite. v is uniform in (0, 1) and close to 0 where the noise is
/// large, so that the upper tail, which decides the draw, has the full resolution of a float.
MS_DEVICE float gumbel(u32 bits) {
  float v = ((float)bits + 0.5f) * 0x1p-32f;
  v = fminf(v, 0x1.fffffep-1f);
  return -logf(-log1pf(-v));
}

}  // namespace ms
