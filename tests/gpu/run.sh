#!/usr/bin/env bash
# The GPU check, one command on a bare Linux machine with an NVIDIA GPU:
#
#   tests/gpu/run.sh [STAGE ...]        stages: build check attention sanitize timing decode peers; default: all
#   tests/gpu/run.sh quick              build smoke core steps kernels: what decides, the most telling first, in at most eight minutes
#   tests/gpu/run.sh --dry LIBRARY      the stages that need no GPU, on the stub or the emulator: small shapes, no times
#
# The library: MODELSERVE_LIBRARY, or tests/gpu/prebuilt (pack_kernels.sh) where it was made from these sources, or it is built: by nvcc
# (or MODELSERVE_NVRTC=path of libnvrtc), with CMake and ninja where they are, else by native/build_gpu.sh. Needs g++ for that, Python 3
# with numpy, and for timing and decode torch. No .NET, no network. Each stage ends within nine minutes, and writes its table to $OUT
# (default tests/gpu/results) row by row; what failed is named, a row that loses the device costs itself only, and the exit status is
# that of the worst stage.
set -uo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
out=${OUT:-$here/results}
build=${MODELSERVE_BUILD:-$root/native/build/gpu}
# Kernels are loaded when they are first launched, which is always before a capture: to load torch's thousands at once would cost every process its start.
export PYTHONDONTWRITEBYTECODE=1
mkdir -p "$out"
dry= full=--full library=
if [ "${1:-}" = --dry ]; then
  library=$2 dry=--dry full=
  set -- check attention timing decode smoke core steps kernels
fi
[ "${1:-}" != quick ] || set -- build smoke core steps kernels
[ $# -gt 0 ] || set -- build check attention sanitize timing decode peers
python=$(for p in python3 /usr/bin/python3; do "$p" -c 'import numpy' 2>/dev/null && { echo "$p"; break; }; done)
[ -n "$python" ] || { echo "run.sh needs Python 3 with numpy" >&2; exit 1; }
worst=0
prebuilt=$here/prebuilt
fits() { [ -f "$prebuilt/libmodelserve.so" ] && [ "$(cat "$prebuilt/sources.sha256" 2>/dev/null)" = "$("$root/native/sources.sh")" ]; }
if [ -z "$library" ]; then
  library=${MODELSERVE_LIBRARY:-}
  [ -n "$library" ] || { fits && library=$prebuilt/libmodelserve.so; } || library=$build/libmodelserve.so
fi

# cuBLASLt as the nvidia-cublas wheel or the toolkit brings it; empty lets the library try the usual names.
cublaslt=$([ -n "$dry" ] || "$here/find_cublaslt.sh" "$python")

stage_build() {
  command -v nvidia-smi >/dev/null && nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.max.sm,clocks.max.mem --format=csv,noheader
  { command -v nvcc && nvcc --version | tail -n 2; } || echo "no nvcc; NVRTC: ${MODELSERVE_NVRTC:-none given}"
  echo "cuBLASLt: ${cublaslt:-the usual names}"
  if [ "$library" != "$build/libmodelserve.so" ]; then
    echo "library: $library, built before, $(stat -c %s "$library") bytes"
    return 0
  fi
  [ ! -f "$prebuilt/libmodelserve.so" ] || echo "tests/gpu/prebuilt was made from other sources: not taken"
  if command -v cmake >/dev/null && command -v ninja >/dev/null; then
    cmake -G Ninja -S "$root/native" -B "$build" -DMODELSERVE_GPU=ON -DMODELSERVE_WERROR=OFF ${MODELSERVE_NVRTC:+-DMODELSERVE_NVRTC="$MODELSERVE_NVRTC"} &&
      cmake --build "$build" --target modelserve || return 1
    if cmake --build "$build" --target help | grep -q cuda_constants; then
      cmake --build "$build" --target cuda_constants && echo "the toolkit's headers agree with what is declared of them"
    else
      echo "no cublasLt.h: what is declared of CUDA is not compared with a toolkit's headers"
    fi
  else
    echo "CMake and ninja are not both here: native/build_gpu.sh"
    "$root/native/build_gpu.sh" "$build"
  fi
}
check() { # check SECONDS JSON OPTION…
  local limit=$1 json=$2
  shift 2
  timeout -k 10 "$limit" "$python" "$here/check.py" "$library" --json "$out/$json.json" ${cublaslt:+--cublaslt "$cublaslt"} "$@"
}
stage_check() { check 540 check $full --module dense,sampling,graph; }
stage_attention() { check 540 attention $full --module attention; }
# Everything once at small shapes: does it run at all, and does a graph give the bits of eager launches.
# Where it fails it runs once more with kernels that do not overlap, which tells a race of dependent launches from a wrong kernel.
stage_smoke() {
  check 80 smoke --module graph,attention,dense,sampling --without "sample support" && return 0
  echo "once more, MODELSERVE_DEPENDENT_LAUNCH=0:"
  MODELSERVE_DEPENDENT_LAUNCH=0 check 60 smoke-no-overlap --module graph,attention,dense,sampling --without "sample support"
  return 1
}
# The sweep where the served models are: heads of 128 and 64, both caches, far blocks, large vocabularies.
stage_core() {
  check 120 core $full --module attention,dense,sampling \
    --only "bf16 d128 g4,fp8 d128 g4,bf16 d128 g2,bf16 d64 g4,batch 256,beyond 2^32,cublaslt,sample support 151936 {'top_k': 20,argmax 151936,norm 4096,silu"
}
# Small shapes only: the tools slow kernels down a hundredfold. A missing tool is said, and is no failure.
stage_sanitize() {
  command -v compute-sanitizer >/dev/null || { echo "compute-sanitizer is not installed: not run"; return 0; }
  local tool status=0
  for tool in memcheck racecheck; do
    echo "compute-sanitizer $tool"
    timeout -k 10 260 compute-sanitizer --tool "$tool" --error-exitcode 9 "$python" "$here/check.py" "$library" \
      --only "d128,skinny m8,skinny fp8 m16,skinny splits,skinny norm silu,skinny in place,sample rows 64,step prologue,norm 64,quant" ${cublaslt:+--cublaslt "$cublaslt"} | tail -n 15 || status=1
  done
  return $status
}
bench() { # bench SECONDS SCRIPT JSON OPTION…
  local limit=$1 script=$2 json=$3
  shift 3
  timeout -k 10 "$limit" "$python" "$here/$script.py" "$library" $dry --json "$out/$json.json" ${cublaslt:+--cublaslt "$cublaslt"} "$@"
}
stage_timing() { bench 540 timing timing; }
stage_kernels() { bench 90 timing kernels --core; }
stage_decode() { bench 540 decode_bench decode; }
stage_steps() { bench 150 decode_bench steps --core; }
# What the decode steps are compared with, on the same machine; a missing package is a line of its table.
stage_peers() { bench 570 decode_bench peers --peers-only; }

for stage in "$@"; do
  declare -F "stage_$stage" >/dev/null || { echo "run.sh: there is no stage $stage" >&2; worst=1; continue; }
  echo "== $stage"
  began=$SECONDS
  "stage_$stage" 2>&1 | tee "$out/$stage.txt"
  status=${PIPESTATUS[0]}
  echo "== $stage: exit status $status, $((SECONDS - began)) s" | tee -a "$out/summary.txt"
  [ "$status" -eq 0 ] || worst=1
  [ "$stage" != build ] || [ "$status" -eq 0 ] || exit 1
done
exit $worst
