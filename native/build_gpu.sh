#!/usr/bin/env bash
# Builds the GPU library with a compiler and nothing else: no CMake, no ninja, no CUDA header.
#
#   native/build_gpu.sh FOLDER        FOLDER/libmodelserve.so, and FOLDER/sources.sha256 of what it was made from
#
# Kernels by nvcc (NVCC=, else the path and /usr/local/cuda) for sm_80, sm_90a and what comes later; or, with MODELSERVE_NVRTC naming
# libnvrtc, by NVRTC for MODELSERVE_CUBIN_ARCH (sm_90a), which needs no GPU and no toolkit and is taken first where it is given.
# JOBS compilers at once (the processors). MODELSERVE_CUBINS=FOLDER takes UNIT.ARCH.cubin as the gate left them.
set -euo pipefail
native=$(cd "$(dirname "$0")" && pwd)
out=${1:?usage: build_gpu.sh FOLDER}
mkdir -p "$out/objects"
out=$(cd "$out" && pwd)
jobs=${JOBS:-$(nproc)}
nvrtc=${MODELSERVE_NVRTC:-}
nvcc=${NVCC:-$(command -v nvcc || ls /usr/local/cuda/bin/nvcc 2>/dev/null || true)}
units=(attn_decode_bf16 attn_decode_fp8 attn_prefill_bf16 attn_prefill_fp8 elementwise rope sampling skinny_gemm)
host=(error checks gemm_rules context runtime attention elementwise gemm sampling cublaslt driver_cuda)
flags=(-std=c++17 -O2 -fPIC -fvisibility=hidden -I"$native/include" -I"$native/launch")

if [ -n "${MODELSERVE_CUBINS:-}" ]; then
  compile_unit() { cp "$MODELSERVE_CUBINS/$1.${MODELSERVE_CUBIN_ARCH:-sm_90a}.cubin" "$out/objects/$1.image"; }
elif [ -n "$nvrtc" ]; then
  g++ -std=c++17 -O1 "$native/gate/nvrtc_compile.cpp" -o "$out/objects/nvrtc_compile" -ldl
  export LD_LIBRARY_PATH="$(dirname "$nvrtc")${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
  compile_unit() { "$out/objects/nvrtc_compile" "$nvrtc" "$native/units/$1.cu" "${MODELSERVE_CUBIN_ARCH:-sm_90a}" "$out/objects/$1.image"; }
elif [ -n "$nvcc" ]; then
  compile_unit() {
    "$nvcc" -std=c++17 -O3 -fatbin -gencode arch=compute_80,code=sm_80 -gencode arch=compute_90a,code=sm_90a \
      -gencode arch=compute_90,code=compute_90 -Xptxas -v "$native/units/$1.cu" -o "$out/objects/$1.image"
  }
else
  echo "build_gpu.sh: there is no nvcc, and MODELSERVE_NVRTC names no libnvrtc" >&2
  exit 1
fi
compile_host() { g++ "${flags[@]}" -c "$native/launch/$1.cpp" -o "$out/objects/$1.o"; }

# The compiled kernels as data that the driver loads.
{
  echo '#include "context.h"'
  for unit in "${units[@]}"; do
    printf 'asm(".section .rodata\\n.balign 64\\n.globl ms_image_%s\\n.hidden ms_image_%s\\nms_image_%s:\\n.incbin \\"%s\\"\\n.previous\\n");\n' \
      "$unit" "$unit" "$unit" "$out/objects/$unit.image"
    echo "extern \"C\" const unsigned char ms_image_$unit[];"
  done
  echo 'const std::vector<ms::KernelImage>& ms::kernel_images() {'
  echo '  static const std::vector<KernelImage> images = {'
  for unit in "${units[@]}"; do echo "      {\"$unit\", ms_image_$unit},"; done
  echo '  };'
  echo '  return images;'
  echo '}'
} > "$out/objects/kernel_images.cpp"

# At most so many at once; the first that fails ends the build, by its name.
running=()
names=()
reap() {
  wait "${running[0]}" || { echo "build_gpu.sh: ${names[0]} failed" >&2; exit 1; }
  running=("${running[@]:1}")
  names=("${names[@]:1}")
}
for task in "${units[@]/#/compile_unit }" "${host[@]/#/compile_host }"; do
  $task & # two words: what, and which
  running+=($!)
  names+=("$task")
  [ "${#running[@]}" -lt "$jobs" ] || reap
done
while [ "${#running[@]}" -gt 0 ]; do reap; done
g++ "${flags[@]}" -c "$out/objects/kernel_images.cpp" -o "$out/objects/kernel_images.o"
objects=()
for name in "${host[@]}"; do objects+=("$out/objects/$name.o"); done
g++ -shared -Wl,-soname,libmodelserve.so -Wl,--no-undefined "${objects[@]}" "$out/objects/kernel_images.o" -o "$out/libmodelserve.so" -ldl
"$native/sources.sh" > "$out/sources.sha256"
echo "built: $out/libmodelserve.so, $(stat -c %s "$out/libmodelserve.so") bytes"
