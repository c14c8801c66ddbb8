// Which accesses no barrier, warp synchronisation or ticket orders.
#include "account.h"

namespace emu {

namespace {

/// Whether another thread's access, at that barrier and warp synchronisation, comes before this
/// one.
bool ordered(int thread, std::uint16_t other, std::uint32_t barrier, std::uint32_t warp_sync) {
  State& s = state();
  if (other == thread || barrier != s.barrier) return true;
  return other / 32 == thread / 32 && warp_sync != s.warp_sync[thread / 32];
}

/// Whether a write of another block was released to this one by a ticket.
bool released(int thread, const Byte& b) {
  State& s = state();
  if (!s.block_acquired && !s.threads[thread].acquired) return false;
  for (const Released& r : s.acquired) {
    if (r.block == b.write_block && r.fences[b.write_thread] > b.write_fence) return true;
  }
  return false;
}

const char* race_of_write(int thread, const Byte& b) {
  State& s = state();
  bool same_block = b.write_block == s.block;
  if (b.write_launch != s.launch) return nullptr;
  if (!same_block) return released(thread, b) ? nullptr : "races with a write of another block";
  return ordered(thread, b.write_thread, b.write_barrier, b.write_warp_sync)
             ? nullptr
             : "races with a write of another thread";
}

const char* race_of_read(int thread, const Byte& b, bool is_shared) {
  State& s = state();
  if (b.read_launch != s.launch) return nullptr;
  if (b.read_block != s.block) return is_shared ? nullptr : "races with a read of another block";
  for (std::uint16_t reader : {b.reader, b.other_reader}) {
    if (reader != kNobody && !ordered(thread, reader, b.read_barrier, b.read_warp_sync)) {
      return "races with a read of another thread";
    }
  }
  return nullptr;
}

void note_read(int thread, Byte& b) {
  State& s = state();
  bool current =
      b.read_launch == s.launch && b.read_block == s.block && b.read_barrier == s.barrier;
  auto me = static_cast<std::uint16_t>(thread);
  if (!current) {
    b.reader = me;
    b.other_reader = kNobody;
  } else if (b.reader != me && b.other_reader != me) {
    // A later reader says more; of the first two those of other warps than the newest are kept.
    if (b.other_reader == kNobody || b.reader / 32 != me / 32) {
      b.other_reader = me;
    } else {
      b.reader = b.other_reader;
      b.other_reader = me;
    }
  }
  b.read_launch = s.launch;
  b.read_block = s.block;
  b.read_barrier = s.barrier;
  b.read_warp_sync = s.warp_sync[thread / 32];
}

}  // namespace

void note_write(int thread, Byte& b) {
  State& s = state();
  b.write_launch = s.launch;
  b.write_block = s.block;
  b.write_barrier = s.barrier;
  b.write_warp_sync = s.warp_sync[thread / 32];
  b.write_thread = static_cast<std::uint16_t>(thread);
  b.write_fence = s.threads[thread].fences;
}

void check_byte(int thread, const void* address, Byte& b, Access access, bool is_shared) {
  State& s = state();
  const char* race = race_of_write(thread, b);
  if (access == Access::kRead) {
    // Shared memory begins undefined in every block.
    bool written =
        is_shared ? b.write_launch == s.launch && b.write_block == s.block : b.write_launch != 0;
    if (!written) return report(thread, address, "reads what nobody wrote");
    if (race != nullptr) return report(thread, address, "a read %s", race);
    if (!is_shared && !s.threads[thread].waited && b.write_launch > s.last_stop) {
      return report(thread, address, "reads a kernel's output before griddepcontrol.wait");
    }
    note_read(thread, b);
    return;
  }
  if (!is_shared && !s.threads[thread].waited) {
    return report(thread, address, "writes before griddepcontrol.wait");
  }
  if (race == nullptr) race = race_of_read(thread, b, is_shared);
  if (race != nullptr && !(is_shared && b.write_block != s.block)) {
    return report(thread, address, "a write %s", race);
  }
  note_write(thread, b);
}

/// Atomics do not race with each other; with plain accesses of other threads they do.
void shared_atomic(int thread, const void* address, Byte* bytes) {
  State& s = state();
  for (int i = 0; i < 4; ++i) {
    Byte& b = bytes[i];
    if (b.write_launch != s.launch || b.write_block != s.block) {
      return report(thread, address, "an atomic on what nobody wrote");
    }
    const char* race = b.write_fence == kAtomic ? nullptr : race_of_write(thread, b);
    if (race == nullptr) race = race_of_read(thread, b, true);
    if (race != nullptr) return report(thread, address, "an atomic %s", race);
    note_write(thread, b);
    b.write_fence = kAtomic;
  }
}

}  // namespace emu
