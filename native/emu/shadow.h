// What the checked emulator knows of every byte that kernels touch: who wrote and read it, and what
// orders the accesses. Reports what compute-sanitizer's memcheck, racecheck and initcheck would,
// and what programmatic dependent launch forbids, from a single run in any order of threads.
//
// The units are compiled with -fsanitize=thread, whose calls before each access (tsan_hooks.cpp)
// end here in place of the thread sanitizer's own library.
#pragma once

#include <cstddef>
#include <cstdint>

#include "emu.h"

namespace emu {

/// The access of one thread. Warp instructions name the lane whose address it is.
enum class Access : unsigned char { kRead, kWrite };

/// Only in the checked emulator; every call is nothing in the other.
class Shadow {
 public:
  /// Whether this library was built with the checks.
  static bool enabled();

  /// Device memory comes and goes, and is written or read by copies: full stops between kernels.
  static void allocated(const void* start, std::size_t bytes);
  static void freed(const void* start);
  static void copied_to(const void* to, std::size_t bytes);
  static void copied_from(const void* from, std::size_t bytes);
  /// Everything launched so far has ended before what is launched next begins.
  static void full_stop();

  static void begin_launch(const Kernel& kernel, std::size_t shared_bytes, const void* params,
                           std::size_t param_bytes);
  static void end_launch();
  static void begin_block(unsigned block, int threads);
  static void barrier_passed();
  static void thread_ended(int thread);

  static void touch(int thread, const void* address, std::size_t bytes, Access access);
  /// The same by the running thread; what a warp instruction does for its lanes is told apart.
  static void touch(const void* address, std::size_t bytes, Access access);
  /// An instruction that wants its address aligned by its size.
  static void aligned(const void* address, std::size_t bytes);
  static void warp_synced(int warp);
  static void fenced(int thread);
  static void atomic(int thread, const void* address);
  static void waited(int thread);
  /// While set, accesses belong to a warp instruction and are not the running thread's.
  static void in_collective(bool on);

  /// How many reports there were; with collect, a report does not end the process.
  static int reports();
  static const char* last_report();
  static void collect(bool on);
};

}  // namespace emu
