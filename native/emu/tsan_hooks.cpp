// The calls that -fsanitize=thread places before each access of the units, in place of the thread
// sanitizer's library: what follows is the emulator's own account of it (shadow.h).
#include "shadow.h"

using emu::Access;
using emu::Shadow;

namespace {

void touched(void* address, std::size_t bytes, Access access) {
  Shadow::aligned(address, bytes);
  Shadow::touch(address, bytes, access);
}

}  // namespace

extern "C" {

void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void**, void*) {}

#define MS_HOOK(n)                                                                               \
  void __tsan_read##n(void* p) { touched(p, n, Access::kRead); }                                 \
  void __tsan_write##n(void* p) { touched(p, n, Access::kWrite); }                               \
  /* An address that the compiler could not prove aligned: the machine wants it all the same. */ \
  void __tsan_unaligned_read##n(void* p) { touched(p, n, Access::kRead); }                       \
  void __tsan_unaligned_write##n(void* p) { touched(p, n, Access::kWrite); }
MS_HOOK(1)
MS_HOOK(2)
MS_HOOK(4)
MS_HOOK(8)
MS_HOOK(16)
#undef MS_HOOK

void __tsan_read_range(void* p, std::size_t n) { Shadow::touch(p, n, Access::kRead); }
void __tsan_write_range(void* p, std::size_t n) { Shadow::touch(p, n, Access::kWrite); }

}  // extern "C"
