// What is kept of every byte and of the threads of a launch, and the rules that find races in it.
// Only shadow.cpp and races.cpp see it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

#include "shadow.h"

namespace emu {

constexpr int kMaxThreads = 1024;
constexpr std::size_t kBehind = 256;
constexpr std::uint32_t kByCopy = 1;  // launch number of what the host or a copy wrote
constexpr std::uint16_t kNobody = 0xffff;
constexpr std::uint16_t kAtomic = 0xffff;  // in place of the fence, for shared memory

/// One byte: its last write and last reads in the launch numbered there.
struct Byte {
  std::uint32_t write_launch, write_block, write_barrier, write_warp_sync;
  std::uint32_t read_launch, read_block, read_barrier, read_warp_sync;
  std::uint16_t write_thread, write_fence;
  std::uint16_t reader, other_reader;  // two of the threads that read it since the last barrier
};

struct Region {
  std::uintptr_t start;
  std::size_t bytes, mapped;
  Byte* shadow;
};

/// What a block had made visible when it drew a ticket.
struct Released {
  std::uint32_t block;
  std::vector<std::uint16_t> fences;  // [thread] fences that the drawing thread knows to be passed
};

struct Thread {
  std::uint16_t fences;          // so far
  std::uint16_t fences_visible;  // at the last barrier
  bool waited;
  bool acquired;  // has drawn a ticket; the others of the block follow at the next barrier
};

struct State {
  std::map<std::uintptr_t, Region> regions;  // device memory by start
  std::vector<Region> shared;                // dynamic, then the library's own statics
  std::uintptr_t shared_start = 0;
  std::uintptr_t params = 0, params_end = 0;
  std::vector<Region> constants;  // the library's own, read only
  std::uint32_t launch = kByCopy, last_stop = kByCopy, block = 0, barrier = 0;
  std::uint32_t warp_sync[kMaxThreads / 32];
  Thread threads[kMaxThreads];
  int n_threads = 0;
  bool running = false, collective = false, collecting = false, block_acquired = false;
  std::map<std::uintptr_t, std::vector<Released>> tickets;  // of this launch
  std::vector<Released> acquired;                           // of this block
  const char* kernel = "?";
  int reports = 0;
  char last[512] = "";
};

State& state();

/// Says what is wrong, and ends the process unless reports are collected.
void report(int thread, const void* address, const char* format, ...);

/// One byte of an access against what is known of it; then it is noted.
void check_byte(int thread, const void* address, Byte& b, Access access, bool is_shared);
/// The four bytes of an atomic on shared memory.
void shared_atomic(int thread, const void* address, Byte* bytes);
void note_write(int thread, Byte& b);

}  // namespace emu
