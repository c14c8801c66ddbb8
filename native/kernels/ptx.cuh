// The machine instructions the kernels use, each behind one function. Fragment layouts are those of
// the PTX manual, "Matrix Fragments for mma.m16n8k16"; emu/warp.h implements the same on the host.
#pragma once
#include "types.cuh"

#if !defined(MS_EMULATE)
namespace ms {

MS_DEVICE u32 shared_address(const void* p) { return (u32)__cvta_generic_to_shared(p); }

/// c[16 x 8] += a[16 x 16] b[16 x 8], bf16 in, f32 out.
MS_DEVICE void mma_bf16(float (&c)[4], const u32 (&a)[4], u32 b0, u32 b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
      "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};\n"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

MS_DEVICE void mma_f16(float (&c)[4], const u32 (&a)[4], u32 b0, u32 b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
      "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};\n"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

/// Four 8 x 8 b16 matrices; lane i names row i % 8 of matrix i / 8.
MS_DEVICE void ldmatrix_x4(u32 (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];\n"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row))
               : "memory");
}

MS_DEVICE void ldmatrix_x4_trans(u32 (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];\n"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row))
               : "memory");
}

/// 16 bytes global to shared, asynchronously; zeros when !valid (the source is then not read).
MS_DEVICE void cp_async16(void* to, const void* from, bool valid) {
  int bytes = valid ? 16 : 0;
  asm volatile("cp.async.cg.shared.global.L2::128B [%0], [%1], 16, %2;\n" ::"r"(shared_address(to)),
               "l"(from), "r"(bytes)
               : "memory");
}
MS_DEVICE void cp_async_commit() { asm volatile("cp.async.commit_group;\n" ::: "memory"); }
/// Waits until at most N of this thread's groups are in flight; others need a block barrier too.
template <int N>
MS_DEVICE void cp_async_wait() {
  asm volatile("cp.async.wait_group %0;\n" ::"n"(N) : "memory");
}

/// A weight: read once, not through L1.
MS_DEVICE Vec4 load_stream(const void* p) {
  Vec4 v;
  asm volatile("ld.global.nc.L1::no_allocate.L2::256B.v4.u32 {%0,%1,%2,%3}, [%4];\n"
               : "=r"(v.w[0]), "=r"(v.w[1]), "=r"(v.w[2]), "=r"(v.w[3])
               : "l"(p));
  return v;
}

/// Eight bytes of it.
MS_DEVICE void load_stream8(const void* p, u32& low, u32& high) {
  asm volatile("ld.global.nc.L1::no_allocate.L2::128B.v2.u32 {%0,%1}, [%2];\n"
               : "=r"(low), "=r"(high)
               : "l"(p));
}

/// From L2: another block may have written it during this kernel, and L1 is not coherent.
MS_DEVICE float load_l2(const float* p) {
  float v;
  asm volatile("ld.global.cg.f32 %0, [%1];\n" : "=f"(v) : "l"(p) : "memory");
  return v;
}

/// Two floats to bf16, round to nearest even; lo in the low half.
MS_DEVICE u32 pack_bf16(float lo, float hi) {
  u32 r;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;\n" : "=r"(r) : "f"(hi), "f"(lo));
  return r;
}
MS_DEVICE u32 pack_f16(float lo, float hi) {
  u32 r;
  asm("cvt.rn.f16x2.f32 %0, %1, %2;\n" : "=r"(r) : "f"(hi), "f"(lo));
  return r;
}
MS_DEVICE u32 mul_f16x2(u32 a, u32 b) {
  u32 r;
  asm("mul.rn.f16x2 %0, %1, %2;\n" : "=r"(r) : "r"(a), "r"(b));
  return r;
}
MS_DEVICE u32 mul_bf16x2(u32 a, u32 b) {
  u32 r;
  // bf16x2 has only fma on sm_80; adding -0 keeps every product, and its sign, as it is.
  asm("fma.rn.bf16x2 %0, %1, %2, %3;\n" : "=r"(r) : "r"(a), "r"(b), "r"(0x80008000u));
  return r;
}

MS_DEVICE float exp2_fast(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;\n" : "=f"(y) : "f"(x));
  return y;
}
MS_DEVICE float float_of(u32 bits) { return __uint_as_float(bits); }
MS_DEVICE u32 bits_of(float x) { return __float_as_uint(x); }
MS_DEVICE u32 mul_high(u32 a, u32 b) { return __umulhi(a, b); }

template <class T>
MS_DEVICE T shfl_xor(T v, int mask) {
  return __shfl_xor_sync(0xffffffffu, v, mask);
}
template <class T>
MS_DEVICE T shfl(T v, int lane) {
  return __shfl_sync(0xffffffffu, v, lane);
}
MS_DEVICE void sync_block() { __syncthreads(); }
MS_DEVICE void sync_warp() { __syncwarp(); }
MS_DEVICE void fence_device() { __threadfence(); }
/// A word that other threads change by atomics meanwhile.
MS_DEVICE u32 load_relaxed(const u32* p) {
  u32 v;
  asm volatile("ld.relaxed.gpu.global.u32 %0, [%1];\n" : "=r"(v) : "l"(p) : "memory");
  return v;
}
MS_DEVICE int atomic_add(int* p, int v) { return atomicAdd(p, v); }
MS_DEVICE u32 atomic_cas(u32* p, u32 expected, u32 desired) {
  return atomicCAS(p, expected, desired);
}

/// Lets the next kernel of the stream start; its own wait still sees all of this kernel's writes.
MS_DEVICE void griddep_launch() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;\n" ::: "memory");
#endif
}
/// Blocks until the kernels before have finished and flushed. Every kernel executes it, or
/// visibility is not transitive; only weights and constant tables may be read before.
MS_DEVICE void griddep_wait() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;\n" ::: "memory");
#endif
}

}  // namespace ms
#else
namespace ms {
MS_DEVICE Vec4 load_stream(const void* p) { return *static_cast<const Vec4*>(p); }
MS_DEVICE void load_stream8(const void* p, u32& low, u32& high) {
  low = static_cast<const u32*>(p)[0];
  high = static_cast<const u32*>(p)[1];
}
}  // namespace ms
#endif

namespace ms {

MS_DEVICE float bf16_lo(u32 v) { return float_of(v << 16); }
MS_DEVICE float bf16_hi(u32 v) { return float_of(v & 0xffff0000u); }
MS_DEVICE float bf16_to_float(u16 v) { return float_of((u32)v << 16); }
MS_DEVICE u16 float_to_bf16(float x) { return (u16)(pack_bf16(x, 0.f) & 0xffffu); }

MS_DEVICE float warp_sum(float v) {
  for (int m = 16; m > 0; m >>= 1) v += shfl_xor(v, m);
  return v;
}
MS_DEVICE float warp_max(float v) {
  for (int m = 16; m > 0; m >>= 1) v = fmaxf(v, shfl_xor(v, m));
  return v;
}

/// Sum over the block in a fixed order; every thread gets it. scratch: [32] shared floats.
MS_DEVICE float block_sum(float v, float* scratch) {
  v = warp_sum(v);
  int warps = (int)(blockDim.x + kWarp - 1) / kWarp;
  sync_block();  // scratch may still be read from an earlier call
  if (threadIdx.x % kWarp == 0) scratch[threadIdx.x / kWarp] = v;
  sync_block();
  float total = 0.f;
  for (int i = 0; i < warps; ++i) total += scratch[i];
  return total;
}
MS_DEVICE float block_max(float v, float* scratch) {
  v = warp_max(v);
  int warps = (int)(blockDim.x + kWarp - 1) / kWarp;
  sync_block();
  if (threadIdx.x % kWarp == 0) scratch[threadIdx.x / kWarp] = v;
  sync_block();
  float top = scratch[0];
  for (int i = 1; i < warps; ++i) top = fmaxf(top, scratch[i]);
  return top;
}

}  // namespace ms
