// The functions of kernels/ptx.cuh, for the host.
#pragma once

namespace ms {

inline float float_of(unsigned bits) {
  float x;
  std::memcpy(&x, &bits, 4);
  return x;
}
inline unsigned bits_of(float x) {
  unsigned b;
  std::memcpy(&b, &x, 4);
  return b;
}

struct MmaIn {
  float c[4];
  unsigned a[4], b[2];
};

/// Fragments to matrices, product, and back. Half(bits) widens one 16-bit element.
template <float (*Half)(unsigned)>
void mma_op(const void* const (&in)[32], void* const (&out)[32]) {
  float a[16][16], b[16][8];
  for (int lane = 0; lane < 32; ++lane) {
    const MmaIn& f = *static_cast<const MmaIn*>(in[lane]);
    int g = lane / 4, t = lane % 4;
    for (int i = 0; i < 4; ++i) {
      int row = g + (i & 1) * 8, col = 2 * t + (i >> 1) * 8;
      a[row][col] = Half(f.a[i] & 0xffffu);
      a[row][col + 1] = Half(f.a[i] >> 16);
    }
    for (int i = 0; i < 2; ++i) {
      b[2 * t + i * 8][g] = Half(f.b[i] & 0xffffu);
      b[2 * t + i * 8 + 1][g] = Half(f.b[i] >> 16);
    }
  }
  for (int lane = 0; lane < 32; ++lane) {
    const MmaIn& f = *static_cast<const MmaIn*>(in[lane]);
    float* c = static_cast<float*>(out[lane]);
    int g = lane / 4, t = lane % 4;
    for (int i = 0; i < 4; ++i) {
      int row = g + (i >> 1) * 8, col = 2 * t + (i & 1);
      float sum = f.c[i];
      for (int k = 0; k < 16; ++k) sum += a[row][k] * b[k][col];
      c[i] = sum;
    }
  }
}

inline float widen_bf16(unsigned bits) { return float_of(bits << 16); }
inline float widen_f16(unsigned bits) { return emu::half_to_float(static_cast<uint16_t>(bits)); }

template <float (*Half)(unsigned)>
void mma_any(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
  MmaIn in{{c[0], c[1], c[2], c[3]}, {a[0], a[1], a[2], a[3]}, {b0, b1}};
  emu::warp_collective(mma_op<Half>, &in, c);
}
inline void mma_bf16(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
  mma_any<widen_bf16>(c, a, b0, b1);
}
inline void mma_f16(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
  mma_any<widen_f16>(c, a, b0, b1);
}

template <bool Trans>
void ldmatrix_op(const void* const (&in)[32], void* const (&out)[32]) {
  for (int lane = 0; lane < 32; ++lane) {
    emu::lane_reads(lane, *static_cast<const void* const*>(in[lane]), 16);
  }
  for (int lane = 0; lane < 32; ++lane) {
    unsigned* r = static_cast<unsigned*>(out[lane]);
    for (int m = 0; m < 4; ++m) {
      int g = lane / 4, t = lane % 4;
      uint16_t e[2];
      for (int i = 0; i < 2; ++i) {
        int row = Trans ? 2 * t + i : g, col = Trans ? g : 2 * t + i;
        const void* address = *static_cast<const void* const*>(in[m * 8 + row]);
        std::memcpy(&e[i], static_cast<const unsigned char*>(address) + 2 * col, 2);
      }
      r[m] = e[0] | static_cast<unsigned>(e[1]) << 16;
    }
  }
}
inline void ldmatrix_x4(unsigned (&r)[4], const void* row) {
  emu::warp_collective(ldmatrix_op<false>, &row, r);
}
inline void ldmatrix_x4_trans(unsigned (&r)[4], const void* row) {
  emu::warp_collective(ldmatrix_op<true>, &row, r);
}

template <class T>
struct ShflIn {
  T value;
  int source;
};
template <class T>
void shfl_op(const void* const (&in)[32], void* const (&out)[32]) {
  T values[32];
  for (int lane = 0; lane < 32; ++lane) {
    int source = static_cast<const ShflIn<T>*>(in[lane])->source;
    values[lane] = static_cast<const ShflIn<T>*>(in[source])->value;
  }
  for (int lane = 0; lane < 32; ++lane) *static_cast<T*>(out[lane]) = values[lane];
}
template <class T>
T shfl(T v, int lane) {
  ShflIn<T> in{v, lane};
  T out;
  emu::warp_collective(shfl_op<T>, &in, &out);
  return out;
}
template <class T>
T shfl_xor(T v, int mask) {
  return shfl(v, static_cast<int>(emu::g_thread.x % 32) ^ mask);
}
inline void sync_warp() { emu::sync_warp(); }
inline void sync_block() { emu::barrier(); }
inline void fence_device() { emu::fence_device(); }
inline int atomic_add(int* p, int v) { return emu::atomic_add(p, v); }
inline unsigned atomic_cas(unsigned* p, unsigned expected, unsigned desired) {
  return emu::atomic_cas(p, expected, desired);
}
inline unsigned load_relaxed(const unsigned* p) { return emu::load_relaxed(p); }

inline void cp_async16(void* to, const void* from, bool valid) { emu::cp_async(to, from, valid); }
inline void cp_async_commit() { emu::cp_async_commit(); }
template <int N>
void cp_async_wait() {
  emu::cp_async_wait(N);
}

inline unsigned pack_bf16(float lo, float hi) {
  return emu::float_to_bf16(lo) | static_cast<unsigned>(emu::float_to_bf16(hi)) << 16;
}
inline unsigned pack_f16(float lo, float hi) {
  return emu::float_to_half(lo) | static_cast<unsigned>(emu::float_to_half(hi)) << 16;
}
inline unsigned mul_f16x2(unsigned a, unsigned b) {
  return pack_f16(widen_f16(a & 0xffffu) * widen_f16(b & 0xffffu),
                  widen_f16(a >> 16) * widen_f16(b >> 16));
}
inline unsigned mul_bf16x2(unsigned a, unsigned b) {
  return pack_bf16(widen_bf16(a & 0xffffu) * widen_bf16(b & 0xffffu),
                   widen_bf16(a >> 16) * widen_bf16(b >> 16));
}
inline float exp2_fast(float x) { return exp2f(x); }
inline unsigned mul_high(unsigned a, unsigned b) {
  return static_cast<unsigned>((static_cast<unsigned long long>(a) * b) >> 32);
}
inline float load_l2(const float* p) { return *p; }
inline void griddep_launch() {}
inline void griddep_wait() { emu::griddep_wait(); }

}  // namespace ms
