#!/usr/bin/env bash
# Checks the formatting. Compiles every kernel unit for sm_80, sm_90 and sm_90a without a GPU; fails on errors and register
# spills; prints a table of registers and static shared memory. Then compiles the host code, the CPU
# stub and the emulator with g++, and runs the emulated kernels against the references.
#
#   native/gate/compile_gate.sh [BUILD_FOLDER]      default: native/build/gate
#   native/gate/compile_gate.sh --nvrtc             only finds or fetches NVRTC, and prints where it is
#
# NVRTC comes from a CUDA toolkit where there is one (CUDA_HOME, /usr/local/cuda, the linker's paths),
# else from Debian's packages libnvrtc12 and libnvrtc-builtins12.4, taken with the machine's own apt
# mirrors and unpacked into the build folder. Neither reachable is a failure, never a skip.
set -euo pipefail

native=$(cd "$(dirname "$0")/.." && pwd)
only_nvrtc=
[ "${1:-}" != --nvrtc ] || { only_nvrtc=1; shift; }
build=${1:-$native/build/gate}
archs=(sm_80 sm_90 sm_90a)
mkdir -p "$build"

# Prints the path of libnvrtc of a toolkit or of an earlier run; empty if there is none.
find_nvrtc() {
  local folder candidate
  for folder in "${CUDA_HOME:-}" /usr/local/cuda; do
    [ -n "$folder" ] || continue
    for candidate in "$folder"/lib64/libnvrtc.so.1[2-9] "$folder"/lib64/libnvrtc.so; do
      [ -e "$candidate" ] && { echo "$candidate"; return; }
    done
  done
  candidate=$( (ldconfig -p 2>/dev/null || true) | awk '/libnvrtc\.so\.1[2-9]/ {print $NF; exit}')
  [ -n "$candidate" ] && { echo "$candidate"; return; }
  mkdir -p "$build/nvrtc/files"
  find "$build/nvrtc/files" -name 'libnvrtc.so.12' | head -n 1
}

# Writes a source list for trixie's non-free component with the mirror and key the machine uses.
derive_sources() {
  local mirror="" key="" file
  for file in /etc/apt/sources.list.d/*.sources; do
    [ -e "$file" ] || continue
    mirror=$(awk '/^URIs:/ {for (i = 2; i <= NF; ++i) if ($i ~ /\/debian\/?$/) {print $i; exit}}' "$file")
    key=$(awk '/^Signed-By:/ {print $2; exit}' "$file")
    [ -n "$mirror" ] && break
  done
  if [ -z "$mirror" ]; then
    mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null |
      awk '$1 == "deb" {for (i = 2; i <= NF; ++i) if ($i ~ /\/debian\/?$/) {print $i; exit}}')
  fi
  [ -n "$mirror" ] || { echo "compile gate: no Debian mirror among apt's sources" >&2; return 1; }
  [ -n "$key" ] || key=/usr/share/keyrings/debian-archive-keyring.gpg
  printf 'Types: deb\nURIs: %s\nSuites: trixie\nComponents: non-free\nSigned-By: %s\n' \
    "$mirror" "$key"
}

fetch_nvrtc() {
  local root=$build/nvrtc options
  mkdir -p "$root/lists/partial" "$root/cache/archives/partial" "$root/files"
  derive_sources > "$root/nvrtc.sources"
  options=(-o Dir::Etc::sourcelist="$root/nvrtc.sources" -o Dir::Etc::sourceparts=-
    -o Dir::State::Lists="$root/lists" -o Dir::Cache="$root/cache" -o APT::Sandbox::User=root
    -o Acquire::Languages=none)
  apt-get "${options[@]}" -qq update
  (cd "$root" && apt-get "${options[@]}" -qq download libnvrtc12 libnvrtc-builtins12.4)
  for package in "$root"/*.deb; do dpkg -x "$package" "$root/files"; done
}

nvrtc=$(find_nvrtc)
if [ -z "$nvrtc" ]; then
  fetch_nvrtc >&2
  nvrtc=$(find_nvrtc)
fi
[ -n "$nvrtc" ] || { echo "compile gate: NVRTC is neither installed nor reachable" >&2; exit 1; }
[ -z "$only_nvrtc" ] || { echo "$nvrtc"; exit 0; }

# The formatter's versions differ in details, so only the one that the sources are kept in judges them.
format_version=14
formatter=$(command -v "clang-format-$format_version" || command -v clang-format || true)
if [ -z "$formatter" ] && command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
  { apt-get -qq update && apt-get -qq install -y --no-install-recommends clang-format; } >/dev/null 2>&1 || true
  formatter=$(command -v clang-format || true)
fi
if [ -n "$formatter" ] && "$formatter" --version | grep -q "version $format_version\."; then
  find "$native"/{include,kernels,units,launch,stub,emu,gate,tests} -regex '.*\.\(h\|c\|cuh\|cu\|cpp\)' -print0 |
    xargs -0 "$formatter" --dry-run --Werror
  echo "compile gate: formatted"
else
  echo "compile gate: formatting not checked, for want of clang-format $format_version" \
    "(found: $([ -n "$formatter" ] && "$formatter" --version || echo none))"
fi

export LD_LIBRARY_PATH="$(dirname "$nvrtc")${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
echo "NVRTC: $(basename "$(readlink -f "$nvrtc")")"

g++ -std=c++17 -O1 -Wall -Wextra -Werror "$native/gate/nvrtc_compile.cpp" -o "$build/nvrtc_compile" -ldl
mkdir -p "$build/cubin"
printf '%-8s %-34s %9s %12s %6s %6s\n' arch kernel registers 'static smem' stack spills
failed=0
for unit in "$native"/units/*.cu; do
  for arch in "${archs[@]}"; do
    "$build/nvrtc_compile" "$nvrtc" "$unit" "$arch" \
      "$build/cubin/$(basename "$unit" .cu).$arch.cubin" || failed=$((failed + 1))
  done
done
[ "$failed" -eq 0 ] || { echo "compile gate: $failed unit(s) failed" >&2; exit 1; }
echo "compile gate: $(ls "$native"/units/*.cu | wc -l) units for ${archs[*]}: no error, no spill"

# Host code, stub and emulator; then the kernels themselves, emulated, and the stub against fp64.
gcc -std=c11 -Wall -Wextra -Wpedantic -Werror -I"$native/include" -c "$native/tests/abi_is_c11.c" \
  -o "$build/abi_is_c11.o"
flags=(-std=c++17 -Wall -Wextra -Werror -fPIC -fvisibility=hidden -I"$native/include")
host=()
for source in "$native"/launch/*.cpp; do
  object=$build/$(basename "$source" .cpp).o
  g++ "${flags[@]}" -O1 -c "$source" -o "$object"
  [ "$(basename "$source")" = driver_cuda.cpp ] || host+=("$object")
done
g++ "${flags[@]}" -O2 -shared "$native"/stub/*.cpp "$build/error.o" "$build/checks.o" "$build/gemm_rules.o" \
  -o "$build/libmodelserve_stub.so"
units=()
for unit in "$native"/units/*.cu; do
  object=$build/$(basename "$unit" .cu).emu.o
  g++ "${flags[@]}" -O2 -DMS_EMULATE -Wno-unknown-pragmas -x c++ -c "$unit" -o "$object"
  units+=("$object")
done
g++ "${flags[@]}" -O2 -shared "${host[@]}" "${units[@]}" "$native"/emu/*.cpp \
  -o "$build/libmodelserve_emu.so" -ldl
g++ "${flags[@]}" -O2 -shared "$native/tests/fake_cublaslt.cpp" -o "$build/libfake_cublaslt.so"
plain_units=("${units[@]}")
# The same with an account of every access (emu/shadow.h), which must first find what was planted for it.
checked=(-DMS_CHECKED -fsanitize=thread --param tsan-instrument-func-entry-exit=0 -DMS_EMULATE -Wno-unknown-pragmas -x c++)
units=()
for unit in "$native"/units/*.cu "$native/tests/planted.cu"; do
  object=$build/$(basename "$unit" .cu).checked.o
  g++ "${flags[@]}" -O2 "${checked[@]}" -c "$unit" -o "$object"
  [ "$(basename "$unit")" = planted.cu ] || units+=("$object")
done
g++ "${flags[@]}" -O2 -DMS_CHECKED -shared "${host[@]}" "${units[@]}" "$native"/emu/*.cpp \
  -o "$build/libmodelserve_checked.so" -ldl
g++ "${flags[@]}" -O2 -DMS_CHECKED "$native/tests/sanitizer_catches.cpp" "$native"/emu/{fibers,shadow,races,tsan_hooks}.cpp \
  "$build/planted.checked.o" -o "$build/sanitizer_catches" -ldl
for seed in 1 2 3; do
  MS_EMU_SEED=$seed "$build/sanitizer_catches" | sed 's/^/compile gate: emulator: /'
done
# The GPU library itself, its machine code inside, over a driver whose device is the emulator.
MODELSERVE_CUBINS=$build/cubin JOBS=2 "$native/build_gpu.sh" "$build/gpu" > "$build/build_gpu.txt"
mkdir -p "$build/fake"
g++ "${flags[@]}" -O2 -shared -Wl,-soname,libcuda.so.1 "$native/tests/fake_libcuda.cpp" "$native"/emu/*.cpp "${plain_units[@]}" \
  "$build/error.o" -o "$build/fake/libcuda.so.1" -ldl
checks=$native/../tests/gpu/check.py
python=
for candidate in python3 /usr/bin/python3; do
  "$candidate" -c 'import numpy' 2>/dev/null && { python=$candidate; break; }
done
if [ -z "$python" ] && command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
  { apt-get -qq update && apt-get -qq install -y --no-install-recommends python3-numpy; } >/dev/null
  python=/usr/bin/python3
fi
[ -n "$python" ] || { echo "compile gate: the checks need Python 3 with numpy" >&2; exit 1; }
status=0
for form in stub emu; do
  PYTHONDONTWRITEBYTECODE=1 OPENBLAS_NUM_THREADS=1 "$python" "$checks" \
    "$build/libmodelserve_$form.so" --cublaslt "$build/libfake_cublaslt.so" > "$build/check_$form.txt" || status=1
  # Each check that failed by its name and reason, then the counts.
  { grep ' FAILED ' "$build/check_$form.txt" || true; tail -n 1 "$build/check_$form.txt"; } |
    sed "s/^/compile gate: libmodelserve_$form: /"
done
LD_LIBRARY_PATH=$build/fake:$LD_LIBRARY_PATH PYTHONDONTWRITEBYTECODE=1 OPENBLAS_NUM_THREADS=1 "$python" "$checks" "$build/gpu/libmodelserve.so" \
  --cublaslt "$build/libfake_cublaslt.so" --only "d128,graph,refusals,rope neox 128,skinny m8,cublaslt,step prologue,sample rows 64" \
  > "$build/check_gpu.txt" 2>&1 || status=1
{ grep -E ' FAILED |fake libcuda' "$build/check_gpu.txt" || true; tail -n 1 "$build/check_gpu.txt"; } |
  sed 's/^/compile gate: the GPU library over a driver that emulates: /'
# Races, bounds, memory nobody wrote, what a dependent launch may not touch: every kernel.
for seed in 1; do
  MS_EMU_SEED=$seed PYTHONDONTWRITEBYTECODE=1 OPENBLAS_NUM_THREADS=1 "$python" "$checks" "$build/libmodelserve_checked.so" \
    --cublaslt "$build/libfake_cublaslt.so" --without "sample support" > "$build/check_checked_$seed.txt" 2>&1 || status=1
  { grep -E ' FAILED |^emulator:' "$build/check_checked_$seed.txt" || true; tail -n 1 "$build/check_checked_$seed.txt"; } |
    sed "s/^/compile gate: every access checked, order $seed: /"
done
[ "$status" -eq 0 ] || exit 1
# The GPU check as it is started there, as far as it goes without a GPU: stages, arguments, files.
OUT=$build/dry OPENBLAS_NUM_THREADS=1 "$native/../tests/gpu/run.sh" --dry "$build/libmodelserve_stub.so" > "$build/dry.txt" || status=1
for script in timing decode_bench; do
  PYTHONDONTWRITEBYTECODE=1 "$python" "$(dirname "$checks")/$script.py" "$build/libmodelserve_checked.so" --dry | tail -n 1 |
    sed "s/^/compile gate: $script --dry: /" || status=1
done
grep '^== .* exit status' "$build/dry.txt" | sed 's/^== /compile gate: run.sh --dry: /'
exit "$status"
