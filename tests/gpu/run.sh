#!/usr/bin/env bash
# The GPU check, one command on a bare Linux machine with an NVIDIA GPU:
#
#   tests/gpu/run.sh [STAGE ...]        stages: build check attention sanitize timing decode peers; default: all
#   tests/gpu/run.sh --dry LIBRARY      the stages that need no GPU, on the stub or the emulator: small shapes, no times
#
# Needs g++, cmake, ninja, Python 3 with numpy, and nvcc (or MODELSERVE_NVRTC=path of libnvrtc); timing and decode
# also need torch. No .NET, no network. Each stage stays below nine minutes. Tables and JSON go to
# $OUT (default tests/gpu/results), what failed is named, and the exit status is that of the worst stage.
set -uo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
out=${OUT:-$here/results}
build=${MODELSERVE_BUILD:-$root/native/build/gpu}
library=$build/libmodelserve.so
export PYTHONDONTWRITEBYTECODE=1 CUDA_MODULE_LOADING=EAGER
mkdir -p "$out"
dry= full=--full
if [ "${1:-}" = --dry ]; then
  library=$2 dry=--dry full=
  set -- check attention timing decode
fi
[ $# -gt 0 ] || set -- build check attention sanitize timing decode peers
python=$(for p in python3 /usr/bin/python3; do "$p" -c 'import numpy' 2>/dev/null && { echo "$p"; break; }; done)
[ -n "$python" ] || { echo "run.sh needs Python 3 with numpy" >&2; exit 1; }
worst=0

# cuBLASLt as the nvidia-cublas wheel or the toolkit brings it; empty lets the library try the usual names.
cublaslt=$("$python" - <<'PY' 2>/dev/null
import glob, site, sys
roots = site.getsitepackages() + [p for p in sys.path if p.endswith("-packages")]
found = [f for r in roots for f in glob.glob(r + "/nvidia/**/libcublasLt.so.1[23]", recursive=True)]
found += glob.glob("/usr/local/cuda*/lib64/libcublasLt.so.1[23]")
print(found[0] if found else "")
PY
)

stage_build() {
  command -v nvidia-smi >/dev/null && nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader
  { command -v nvcc && nvcc --version | tail -n 2; } || echo "no nvcc; NVRTC: ${MODELSERVE_NVRTC:-none given}"
  echo "cuBLASLt: ${cublaslt:-the usual names}"
  cmake -G Ninja -S "$root/native" -B "$build" -DMODELSERVE_GPU=ON -DMODELSERVE_WERROR=OFF ${MODELSERVE_NVRTC:+-DMODELSERVE_NVRTC="$MODELSERVE_NVRTC"} &&
    cmake --build "$build" --target modelserve || return 1
  if cmake --build "$build" --target help | grep -q cuda_constants; then
    cmake --build "$build" --target cuda_constants && echo "the toolkit's headers agree with what is declared of them"
  else
    echo "no cublasLt.h: what is declared of CUDA is not compared with a toolkit's headers"
  fi
}
stage_check() {
  timeout 540 "$python" "$here/check.py" "$library" $full --module dense,sampling,graph --json "$out/check.json" \
    ${cublaslt:+--cublaslt "$cublaslt"}
}
stage_attention() {
  timeout 540 "$python" "$here/check.py" "$library" $full --module attention --json "$out/attention.json" \
    ${cublaslt:+--cublaslt "$cublaslt"}
}
# Small shapes only: the tools slow kernels down a hundredfold. A missing tool is said, and is no failure.
stage_sanitize() {
  command -v compute-sanitizer >/dev/null || { echo "compute-sanitizer is not installed: not run"; return 0; }
  local tool status=0
  for tool in memcheck racecheck; do
    echo "compute-sanitizer $tool"
    timeout 260 compute-sanitizer --tool "$tool" --error-exitcode 9 "$python" "$here/check.py" "$library" \
      --only "d128,skinny m8,skinny fp8 m16,skinny splits,skinny norm silu,skinny in place,sample rows 64,step prologue,norm 64,quant" ${cublaslt:+--cublaslt "$cublaslt"} | tail -n 15 || status=1
  done
  return $status
}
stage_timing() {
  timeout 540 "$python" "$here/timing.py" "$library" $dry --json "$out/timing.json" ${cublaslt:+--cublaslt "$cublaslt"}
}
stage_decode() {
  timeout 540 "$python" "$here/decode_bench.py" "$library" $dry --json "$out/decode.json" ${cublaslt:+--cublaslt "$cublaslt"}
}
# What the decode steps are compared with, on the same machine; a missing package is a line of its table.
stage_peers() {
  timeout 570 "$python" "$here/decode_bench.py" "$library" $dry --peers-only --json "$out/peers.json" ${cublaslt:+--cublaslt "$cublaslt"}
}

for stage in "$@"; do
  echo "== $stage"
  "stage_$stage" 2>&1 | tee "$out/$stage.txt"
  status=${PIPESTATUS[0]}
  echo "== $stage: exit status $status"
  [ "$status" -eq 0 ] || worst=1
  [ "$stage" != build ] || [ "$status" -eq 0 ] || exit 1
done
exit $worst
