// Head norm, rotation and cache write, one kernel a head size.
#include "../kernels/rope.cuh"

MS_KERNEL(ms_qk_rope_kv_32, ms::RopeParams, ms::kRopeThreads) { ms::qk_rope_kv<32>(p); }
MS_KERNEL(ms_qk_rope_kv_64, ms::RopeParams, ms::kRopeThreads) { ms::qk_rope_kv<64>(p); }
MS_KERNEL(ms_qk_rope_kv_80, ms::RopeParams, ms::kRopeThreads) { ms::qk_rope_kv<80>(p); }
MS_KERNEL(ms_qk_rope_kv_96, ms::RopeParams, ms::kRopeThreads) { ms::qk_rope_kv<96>(p); }
MS_KERNEL(ms_qk_rope_kv_128, ms::RopeParams, ms::kRopeThreads) { ms::qk_rope_kv<128>(p); }
MS_KERNEL(ms_qk_rope_kv_192, ms::RopeParams, ms::kRopeThreads) { ms::qk_rope_kv<192>(p); }
MS_KERNEL(ms_qk_rope_kv_256, ms::RopeParams, ms::kRopeThreads) { ms::qk_rope_kv<256>(p); }
