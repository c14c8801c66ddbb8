// Kernels with one fault each of a kind that runs by luck, for the checked emulator to find, and
// the same without it, for it to pass. Compiled as the units are; they belong to no library.
#include "../kernels/ptx.cuh"
#include "planted.h"

using namespace ms;

namespace {

MS_DEVICE int me() { return (int)threadIdx.x; }
MS_DEVICE void begin() {
  griddep_launch();
  griddep_wait();
}

/// Each thread reads what another one wrote.
template <bool Synced>
MS_DEVICE void exchange(const PlantedParams& p, int distance) {
  MS_SHARED_BYTES(shared);
  int* words = (int*)shared;
  begin();
  words[me()] = p.in[me()];
  if (Synced) sync_block();
  p.out[me()] = words[(me() + distance) % 64];
}

template <bool Synced>
MS_DEVICE void exchange_in_warp(const PlantedParams& p) {
  MS_SHARED_BYTES(shared);
  int* words = (int*)shared;
  begin();
  words[me()] = p.in[me()];
  if (Synced) {
    sync_warp();
  } else {
    shfl(0, 0);  // lanes meet, but a shuffle orders no memory
  }
  p.out[me()] = words[me() ^ 1];
}

/// A tile of 16 bytes a thread by asynchronous copies, read by the neighbour.
template <bool Waits, bool Synced, bool Again>
MS_DEVICE void copy_tile(const PlantedParams& p) {
  MS_SHARED_BYTES(shared);
  int* words = (int*)shared;
  begin();
  if (me() < 16) cp_async16(words + me() * 4, p.in + me() * 4, true);
  cp_async_commit();
  if (Waits) cp_async_wait<0>();
  if (Synced) sync_block();
  p.out[me()] = words[(me() + 4) % 64];
  // The next tile into the same place while others may still read.
  if (Again && me() < 16) cp_async16(words + me() * 4, p.in + me() * 4, true);
  cp_async_wait<0>();
}

/// Blocks add up by a ticket, as the split kernels do.
template <bool Fenced, bool SyncedBefore, bool SyncedAfter>
MS_DEVICE void add_up(const PlantedParams& p) {
  __shared__ int drawn;
  begin();
  if (me() == 40) p.partial[blockIdx.x] = p.in[blockIdx.x];
  if (Fenced) fence_device();
  if (SyncedBefore) sync_block();
  if (me() == 0) {
    drawn = atomic_add(p.ticket, 1);
    if (drawn == p.blocks - 1) *p.ticket = 0;
  }
  if (SyncedAfter) {
    sync_block();
    if (drawn != p.blocks - 1) return;
    fence_device();
  } else if (me() != 0 || drawn != p.blocks - 1) {
    // Thread 40 of the last block reads beside the thread that drew.
    if (me() != 40 || (int)blockIdx.x != p.blocks - 1) return;
  }
  if (me() != (SyncedAfter ? 0 : 40)) return;
  int sum = 0;
  for (int i = 0; i < p.blocks; ++i) sum += p.partial[i];
  p.out[0] = sum;
}

}  // namespace

#define MS_PLANT(name, body) \
  MS_KERNEL(name, PlantedParams, 64) { body; }

MS_PLANT(clean_exchange, exchange<true>(p, 33))
MS_PLANT(no_barrier, exchange<false>(p, 33))
MS_PLANT(clean_warp, exchange_in_warp<true>(p))
MS_PLANT(no_warp_sync, exchange_in_warp<false>(p))
MS_PLANT(clean_copy, (copy_tile<true, true, false>(p)))
MS_PLANT(no_wait, (copy_tile<false, true, false>(p)))
MS_PLANT(no_barrier_after_wait, (copy_tile<true, false, false>(p)))
MS_PLANT(tile_overwritten, (copy_tile<true, true, true>(p)))
MS_PLANT(clean_ticket, (add_up<true, true, true>(p)))
MS_PLANT(no_fence, (add_up<false, true, true>(p)))
MS_PLANT(no_barrier_before_ticket, (add_up<true, false, true>(p)))
MS_PLANT(no_barrier_after_ticket, (add_up<true, true, false>(p)))

MS_KERNEL(shared_not_written, PlantedParams, 64) {
  MS_SHARED_BYTES(shared);
  begin();
  p.out[me()] = ((int*)shared)[me()];
}
MS_KERNEL(static_not_written, PlantedParams, 64) {
  __shared__ int words[64];
  begin();
  if (me() < 63) words[me()] = me();
  sync_block();
  p.out[me()] = words[me()];
}
MS_KERNEL(beyond_shared, PlantedParams, 64) {
  MS_SHARED_BYTES(shared);
  begin();
  if (me() == 63) ((int*)shared)[63] = p.in[me()];  // of 63 words
}
MS_KERNEL(beyond_buffer, PlantedParams, 64) {
  begin();
  p.out[me() + 1] = 1;
}
MS_KERNEL(not_written, PlantedParams, 64) {
  begin();
  p.out[me()] = p.partial[0];
}
MS_KERNEL(misaligned, PlantedParams, 64) {
  begin();
  if (me() > 0) return;
  *(u64*)(p.out) = *(const u64*)(p.in + 1);
}
MS_KERNEL(blocks_collide, PlantedParams, 64) {
  begin();
  p.out[me()] = (int)blockIdx.x;
}
MS_KERNEL(host_memory, PlantedParams, 64) {
  begin();
  if (me() == 0) p.out[0] = *(const int*)(const void*)p.ticket;
}
MS_KERNEL(read_before_wait, PlantedParams, 64) {
  griddep_launch();
  int early = p.in[me()];
  griddep_wait();
  p.out[me()] = early;
}
MS_KERNEL(write_before_wait, PlantedParams, 64) {
  p.out[me()] = 1;
  griddep_wait();
}
MS_KERNEL(never_waits, PlantedParams, 64) {
  if (p.blocks > 0) griddep_launch();
}
MS_KERNEL(counter_read_plainly, PlantedParams, 64) {
  begin();
  int old = *p.ticket;
  atomic_add(p.ticket, old + 1);
}
