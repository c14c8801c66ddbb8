// The checked emulator finds each planted fault, by the right name, and nothing in what is right.
// Exit status 0 when all do.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <initializer_list>

#include "../emu/shadow.h"
#include "planted.h"

using emu::Shadow;

namespace {

struct Case {
  const char* kernel;
  const char* expected;  // part of the report; null: none may come
  bool in_is_output;     // whether a kernel wrote `in` just before, without a full stop
};

constexpr Case kCases[] = {
    {"clean_exchange", nullptr, false},
    {"no_barrier", "a read races with a write of another thread|reads what nobody wrote", false},
    {"clean_warp", nullptr, false},
    {"no_warp_sync", "a read races with a write of another thread", false},
    {"clean_copy", nullptr, false},
    {"no_wait", "races with", false},
    {"no_barrier_after_wait", "races with|reads what nobody wrote", false},
    {"tile_overwritten", "races with", false},
    {"clean_ticket", nullptr, false},
    {"no_fence", "a read races with a write of another block", false},
    {"no_barrier_before_ticket", "a read races with a write of another block", false},
    {"no_barrier_after_ticket", "a write of another block|reads what nobody wrote", false},
    {"shared_not_written", "reads what nobody wrote", false},
    {"static_not_written", "reads what nobody wrote", false},
    {"beyond_shared", "reaches beyond shared memory", false},
    {"beyond_buffer", "reaches beyond a buffer", false},
    {"not_written", "reads what nobody wrote", false},
    {"misaligned", "an address that its 8 bytes do not divide", false},
    {"blocks_collide", "a write races with a write of another block", false},
    {"host_memory", "touches memory that is not the device's", false},
    {"read_before_wait", nullptr, false},
    {"read_before_wait", "reads a kernel's output before griddepcontrol.wait", true},
    {"write_before_wait", "writes before griddepcontrol.wait", false},
    {"never_waits", "ends without griddepcontrol.wait", false},
    {"counter_read_plainly", "races with", false},
};

/// Whether the text holds one of the alternatives, which a bar parts.
bool holds(const char* text, const char* alternatives) {
  char copy[200];
  std::snprintf(copy, sizeof(copy), "%s", alternatives);
  for (char* part = std::strtok(copy, "|"); part != nullptr; part = std::strtok(nullptr, "|")) {
    if (std::strstr(text, part) != nullptr) return true;
  }
  return false;
}

/// Device memory in a mapping of its own would be slower to tell than this.
int* device(std::size_t words, bool written) {
  auto* memory = static_cast<int*>(std::aligned_alloc(256, (words * 4 + 255) / 256 * 256));
  std::memset(memory, 0, words * 4);
  Shadow::allocated(memory, words * 4);
  if (written) Shadow::copied_to(memory, words * 4);
  return memory;
}

bool passes(const Case& c) {
  const emu::Kernel* kernel = emu::find_kernel(c.kernel);
  if (kernel == nullptr) {
    std::printf("%s: there is no such kernel\n", c.kernel);
    return false;
  }
  constexpr unsigned kBlocks = 5;
  bool tickets =
      std::strstr(c.kernel, "ticket") != nullptr || std::strcmp(c.kernel, "no_fence") == 0;
  bool several = tickets || std::strcmp(c.kernel, "blocks_collide") == 0;
  PlantedParams p{device(64, true), device(64, false), device(kBlocks, false), device(1, true), 0};
  p.blocks = several ? kBlocks : 1;
  int of_host = 0;
  if (std::strcmp(c.kernel, "host_memory") == 0) p.ticket = &of_host;
  if (c.in_is_output) {
    PlantedParams before = p;
    before.in = device(64, true);
    before.out = p.in;
    emu::run(*emu::find_kernel("clean_exchange"), {1, 1, 1}, {64, 1, 1}, 256, &before);
  }
  int earlier = Shadow::reports();
  auto blocks = static_cast<unsigned>(p.blocks);
  bool short_of_one = std::strcmp(c.kernel, "beyond_shared") == 0;
  emu::run(*kernel, {blocks, 1, 1}, {64, 1, 1}, short_of_one ? 252 : 256, &p);
  int found = Shadow::reports() - earlier;
  for (int* memory : {p.in, p.out, p.partial}) Shadow::freed(memory);
  bool good =
      c.expected == nullptr ? found == 0 : found > 0 && holds(Shadow::last_report(), c.expected);
  if (!good) {
    std::printf("%s: %d reports, expected %s; the last one: %s\n", c.kernel, found,
                c.expected != nullptr ? c.expected : "none", Shadow::last_report());
  }
  return good;
}

}  // namespace

int main() {
  std::setvbuf(stdout, nullptr, _IONBF, 0);
  if (!Shadow::enabled()) {
    std::printf("this is not the checked emulator\n");
    return 1;
  }
  Shadow::collect(true);
  int good = 0, all = 0;
  for (const Case& c : kCases) {
    good += passes(c) ? 1 : 0;
    ++all;
  }
  std::printf("%d of %d planted kernels judged rightly\n", good, all);
  return good == all ? 0 : 1;
}
