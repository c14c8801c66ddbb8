#!/usr/bin/env bash
# Builds what Dockerfile.cuda puts into its image, with the same commands, and tries it as far as a machine goes.
#
#   deploy/build_cuda.sh kernels FOLDER        libmodelserve.so: for GPUs with nvcc, or NVRTC by MODELSERVE_NVRTC; else the CPU stub
#   deploy/build_cuda.sh server FOLDER         the self-contained server
#   deploy/build_cuda.sh check FOLDER [USER]   starts it as a container would, as that user id if this is root, and asks it
#   deploy/build_cuda.sh all FOLDER            all three; what the tests run, with the stub where there is no CUDA
#
# FOLDER receives the files of the image's /app. REQUIRE_GPU=1 fails where only the stub could be built; STUB=1 takes it anyway.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
limit=$((256 << 20))

build_kernels() {
  local app=$1 build target=modelserve_stub gpu=OFF
  build=${BUILD:-$root/artifacts/cuda/kernels}
  if [ "${STUB:-0}" = 1 ]; then
    echo "kernels: the CPU stub, as asked for"
  elif command -v nvcc >/dev/null 2>&1 || [ -x /usr/local/cuda/bin/nvcc ] || [ -n "${MODELSERVE_NVRTC:-}" ]; then
    gpu=ON target=modelserve
  elif [ "${REQUIRE_GPU:-0}" = 1 ]; then
    echo "kernels: REQUIRE_GPU=1, and there is neither nvcc nor MODELSERVE_NVRTC" >&2
    return 1
  else
    echo "kernels: no CUDA toolkit here, so the CPU stub of the same interface stands in"
  fi
  if command -v cmake >/dev/null 2>&1; then
    cmake -S "$root/native" -B "$build" ${GENERATOR:+-G "$GENERATOR"} -DCMAKE_BUILD_TYPE=Release -DMODELSERVE_GPU=$gpu \
      ${MODELSERVE_NVRTC:+-DMODELSERVE_NVRTC="$MODELSERVE_NVRTC"}
    cmake --build "$build" --target $target
  else
    [ $gpu = OFF ] || { echo "kernels: cmake is not installed" >&2; return 1; }
    mkdir -p "$build"
    g++ -std=c++17 -O2 -fPIC -fvisibility=hidden -shared -I"$root/native/include" "$root"/native/stub/*.cpp \
      "$root"/native/launch/{error,checks,gemm_rules}.cpp -Wl,-soname,libmodelserve.so -o "$build/libmodelserve_stub.so"
  fi
  mkdir -p "$app"
  # One name, whichever it is: the program looks for it beside itself.
  install -m 755 "$build/lib$target.so" "$app/libmodelserve.so"
}

build_server() {
  # Apart from the ordinary build's folders, whose restored packages are others. Compiled ahead, so that a young server need not compile
  # while it answers; what is hot is compiled again for the machine it runs on.
  dotnet publish "$root/src/ModelServe.Host" -c Release -r linux-x64 --self-contained -p:Accelerator=none -p:PublishReadyToRun=true -p:RunAnalyzers=false \
    --artifacts-path "${ARTIFACTS:-$root/artifacts/cuda/publish}" -o "$1"
}

check_layout() {
  local app=$1 file bytes
  for file in modelserve libmodelserve.so models/tiny-mini/config.json models/tiny-mini/model.safetensors models/tiny-nano/tokenizer.json; do
    [ -s "$app/$file" ] || { echo "layout: $app/$file is missing or empty" >&2; return 1; }
  done
  [ -x "$app/modelserve" ] || { echo "layout: $app/modelserve is not executable" >&2; return 1; }
  if compgen -G "$app/libtorch*.so*" >/dev/null; then
    echo "layout: libtorch is not needed on this path, and half a gigabyte" >&2
    return 1
  fi
  bytes=$(du -sb "$app" | cut -f 1)
  [ "$bytes" -le $limit ] || { echo "layout: at most $limit bytes; got $bytes" >&2; return 1; }
  echo "layout: $bytes bytes"
}

# The image's entry point and health check on free ports, as a user without a home and without a right to write.
check_server() {
  local app=$1 user=${2:-10001} log pid=0 http grpc answer status=1 run=()
  log=$(mktemp)
  read -r grpc http < <(python3 -c 'import socket; s=[socket.socket() for _ in "ab"]; [x.bind(("127.0.0.1",0)) for x in s]; print(*[x.getsockname()[1] for x in s])')
  if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null 2>&1; then
    run=(setpriv --reuid "$user" --regid "$user" --clear-groups)
  fi
  (cd / && exec "${run[@]}" env -i PATH="$PATH" "$app/modelserve" serve --device cuda --grpc "127.0.0.1:$grpc" --http "127.0.0.1:$http" \
    --model chat="$app/models/tiny-mini" --max-model-len 256 --max-batched-tokens 64 --max-running 4 2>"$log") &
  pid=$!
  for _ in $(seq 300); do
    curl -fsS "http://127.0.0.1:$http/health/ready" >/dev/null 2>&1 && { status=0; break; }
    kill -0 $pid 2>/dev/null || break
    sleep 0.1
  done
  if [ $status = 0 ]; then
    answer=$(curl -fsS "http://127.0.0.1:$http/v1/chat/completions" -H 'Content-Type: application/json' \
      -d '{"model":"chat","messages":[{"role":"user","content":"What is 27 + 58?"}]}')
    [[ $answer == *'"content":"85"'* ]] || { echo "check: expected 85; got $answer" >&2; status=1; }
    kill -TERM $pid
    wait $pid || { echo "check: exit status $? after SIGTERM" >&2; status=1; }
  else
    echo "check: not ready" >&2
    kill $pid 2>/dev/null || true
  fi
  cat "$log" >&2
  rm -f "$log"
  [ $status != 0 ] || echo "check: healthy, answered, stopped; as user $([ ${#run[@]} -gt 0 ] && echo "$user" || id -u)"
  return $status
}

command=${1:-} app=${2:-}
[ -n "$app" ] || { sed -n '2,11p' "$0" >&2; exit 2; }
mkdir -p "$app"
app=$(cd "$app" && pwd)
case $command in
  kernels) build_kernels "$app" ;;
  server) build_server "$app" ;;
  check) check_layout "$app"; check_server "$app" "${3:-10001}" ;;
  all) build_kernels "$app"; build_server "$app"; check_layout "$app"; check_server "$app" "${3:-10001}" ;;
  *) sed -n '2,11p' "$0" >&2; exit 2 ;;
esac
