/* Compiles only if the header is plain C11; fixes the layout that the C# bindings mirror. */
#include "modelserve.h"

_Static_assert(sizeof(ms_sample_row) == 40, "C# mirrors ms_sample_row byte for byte");
_Static_assert(offsetof(ms_kv_cache, n_blocks) == 24, "no hidden padding before n_blocks");
_Static_assert(sizeof(ms_kv_cache) == 56, "C# mirrors ms_kv_cache byte for byte");
_Static_assert(sizeof(ms_device_info) == 112, "C# mirrors ms_device_info byte for byte");
_Static_assert(sizeof(void*) == 8, "64-bit only");

ms_status abi_is_c11(ms_ctx* ctx, ms_stream* stream);

ms_status abi_is_c11(ms_ctx* ctx, ms_stream* stream) {
  ms_embed_args embed = {.struct_size = sizeof(ms_embed_args), .n_tokens = 1, .scale = 1.0f};
  return ms_embed(ctx, &embed, stream);
}
