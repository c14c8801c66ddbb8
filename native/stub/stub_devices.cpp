// The devices that the CPU stub plays, how much of their memory is taken, and the faults it is told
// to have.
//
//   MS_STUB_DEVICES=2            devices 0 and 1
//   MS_STUB_MEMORY=2147483648    bytes of each
//   MS_STUB_FAULTS=FILE          lines "DEVICE POINT WHAT [AFTER [EVERY]]", read while the process
//   runs; no file, no fault
//
// POINT is sync (a wait for the device), malloc, graph (making or launching one), launch (of an
// operation that is not in a graph) or logits; WHAT is hang (the wait never ends), lost
// (every wait fails, as after a sticky error), memory (no allocation succeeds any more) or nan
// (once, one row's logits are no numbers). AFTER calls pass first; with EVERY, only
// one in so many fails from then on. Only this library reads these
// names: the GPU library knows none of them.
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "stub.h"

namespace ms::stub {
namespace {

constexpr int kMostDevices = 16;
std::array<std::atomic<int64_t>, kMostDevices> used;

int64_t number(const char* name, int64_t standard, int64_t most) {
  const char* text = std::getenv(name);
  if (text == nullptr) return standard;
  int64_t value = std::atoll(text);
  return value >= 1 && value <= most ? value : standard;
}

/// Whether a fault of that kind is ordered for this device at this point, and its time has come.
bool ordered(ms_ctx* ctx, int point, const char* at, std::string* what) {
  const char* path = std::getenv("MS_STUB_FAULTS");
  FILE* file = path != nullptr ? std::fopen(path, "r") : nullptr;
  if (file == nullptr) return false;
  char line[128], where[16], kind[16];
  bool found = false;
  while (!found && std::fgets(line, sizeof(line), file) != nullptr) {
    int device = -1, after = 0, every = 1;
    int fields = std::sscanf(line, "%d %15s %15s %d %d", &device, where, kind, &after, &every);
    if (fields < 3 || device != ctx->device || std::strcmp(where, at) != 0) continue;
    int turn = ctx->passed[point]++ - after;
    found = turn >= 0 && turn % (every > 0 ? every : 1) == 0;
    *what = kind;
    break;
  }
  std::fclose(file);
  return found;
}

}  // namespace

int device_count() { return static_cast<int>(number("MS_STUB_DEVICES", 1, kMostDevices)); }
int64_t device_bytes() { return number("MS_STUB_MEMORY", int64_t{1} << 34, int64_t{1} << 40); }
int64_t device_used(int device) { return used[static_cast<size_t>(device)].load(); }

bool device_take(int device, int64_t bytes) {
  auto& taken = used[static_cast<size_t>(device)];
  if (taken.fetch_add(bytes) + bytes <= device_bytes()) return true;
  taken.fetch_sub(bytes);
  return false;
}
void device_give(int device, int64_t bytes) { used[static_cast<size_t>(device)].fetch_sub(bytes); }

ms_status injected(ms_ctx* ctx, int point) {
  if (ctx == nullptr) return MS_OK;
  if (ctx->fault_point == point && --ctx->fault_in <= 0) {
    ctx->lost = ctx->fault_status == MS_ERR_DRIVER;
    return fail(ctx->fault_status, "injected fault %d at point %d", ctx->fault_status, point);
  }
  std::string what;
  constexpr const char* kNames[kStubPoints] = {"", "sync", "malloc", "logits", "graph", "launch"};
  if (!ordered(ctx, point, kNames[point], &what)) return MS_OK;
  while (what == "hang") pause();
  ctx->lost = what != "memory";
  return what == "memory"
             ? fail(MS_ERR_MEMORY, "injected: no memory is left on device %d", ctx->device)
             : fail(MS_ERR_DRIVER, "injected: device %d was lost", ctx->device);
}

bool poisons_logits(ms_ctx* ctx) {
  std::string what;
  if (ctx->poisoned || !ordered(ctx, MS_STUB_LOGITS, "logits", &what)) return false;
  return ctx->poisoned = true;
}

}  // namespace ms::stub
