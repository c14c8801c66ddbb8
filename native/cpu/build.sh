#!/bin/sh
# usage: build.sh OUTPUT.so: compiles every source of this folder where a C compiler is found that knows the instructions.
# Without one it says so, removes a stale output and succeeds: the server then runs its C# kernels. A compiler that knows the
# instructions but refuses the sources is an error.
set -eu
output=$1
cd "$(dirname "$0")"
probe='#include <immintrin.h>
__attribute__((target("avx512f,avx512bw,avx512vl,avx512bf16,avx512vnni"))) __m512 f(__m512 a, __m512i b)
{ return _mm512_dpbf16_ps(a, (__m512bh)_mm512_dpbusd_epi32(b, b, b), (__m512bh)b); }'
for compiler in ${CC:-} cc gcc clang; do
  command -v "$compiler" >/dev/null 2>&1 || continue
  printf '%s\n' "$probe" | "$compiler" -std=c11 -O2 -fPIC -x c -c -o /dev/null - 2>/dev/null || continue
  mkdir -p "$(dirname "$output")"
  # No contraction: the same additions in the same order, whichever compiler.
  "$compiler" -std=c11 -O3 -fPIC -shared -fvisibility=hidden -fno-math-errno -ffp-contract=off -Wall -Wextra -Werror \
    -Wl,-soname,libmodelserve_cpu.so -Wl,-z,now -o "$output.part" ./*.c
  mv -f "$output.part" "$output"
  echo "native CPU kernels: built with $(command -v "$compiler")"
  exit 0
done
rm -f "$output"
echo "native CPU kernels: not built, because no C compiler was found that knows AVX-512 BF16 and VNNI; the C# kernels run instead"
