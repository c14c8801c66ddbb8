#!/usr/bin/env bash
# Builds the GPU library here, without a GPU, so that a machine that has one spends no minute on compiling: kernels as sm_90a
# machine code by NVRTC, host code by g++, one file that needs the driver and the C++ runtime only. run.sh and server.sh take it
# as long as the sources are those it was made from.
#
#   tests/gpu/pack_kernels.sh [FOLDER]       default: tests/gpu/prebuilt
#
# NVRTC: MODELSERVE_NVRTC, or what native/gate/compile_gate.sh found or fetched. MODELSERVE_CUBIN_ARCH for another GPU than sm_90a.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
out=${1:-$here/prebuilt}
nvrtc=${MODELSERVE_NVRTC:-$("$root/native/gate/compile_gate.sh" --nvrtc)}
[ -n "$nvrtc" ] || { echo "pack: there is no NVRTC" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
MODELSERVE_NVRTC=$nvrtc "$root/native/build_gpu.sh" "$work" | grep -v '^sm_'
mkdir -p "$out"
cp "$work/libmodelserve.so" "$work/sources.sha256" "$out/"
# What it asks of a machine: nothing newer than that machine has, and no CUDA library.
needed=$(objdump -p "$out/libmodelserve.so" | awk '$1 == "NEEDED" {print $2}' | tr '\n' ' ')
newest=$(objdump -T "$out/libmodelserve.so" | grep -o 'GLIBC_[0-9.]*' | sort -uV | tail -n 1)
case $needed in *cuda* | *cublas* | *nvrtc*) echo "pack: it must not need a CUDA library, needs $needed" >&2; exit 1 ;; esac
echo "pack: $out/libmodelserve.so, $(stat -c %s "$out/libmodelserve.so") bytes, needs $needed(at most $newest)"
