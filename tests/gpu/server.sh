#!/usr/bin/env bash
# The server stage of the GPU check: serves random checkpoints of real shapes and the shipped models, on a machine with a GPU
# and no .NET. Writes the measured table to $OUT/serving.md (default tests/gpu/results).
#
#   tests/gpu/server.sh PACK.tar.xz LIBRARY [ABI_CHECK.py]      PACK from pack_server.sh, LIBRARY from run.sh build
#   tests/gpu/server.sh --dry SERVER_FOLDER LIBRARY             a built server and the CPU stub: one answer, no figures
#
# ABI_CHECK.py, where given, is run first against the Python wheel's libtorch; the GPU path itself does not need libtorch.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
out=${OUT:-$here/results}
work=$(mktemp -d "${TMPDIR:-/dev/shm}/modelserve-XXXXXX")
server_pid=
finish() { [ -z "$server_pid" ] || kill "$server_pid" 2>/dev/null; rm -rf "$work"; }
trap finish EXIT
mkdir -p "$out"
failed=0
note() { echo "server: $*"; }
check() { # check NAME COMMAND…: says what failed, and goes on
  local name=$1
  shift
  if "$@"; then note "$name: ok"; else note "$name: FAILED"; failed=1; fi
}

start_server() { # start_server NAME FOLDER OPTION…: waits until it is ready; prints seconds from start to ready
  local name=$1 folder=$2 begin
  shift 2
  begin=$(date +%s.%N)
  "$server" serve --model "$name=$folder" --device cuda --kernel-library "$library" --grpc 127.0.0.1:8001 --http 127.0.0.1:8000 "$@" 2>"$out/server-$name.log" &
  server_pid=$!
  for _ in $(seq 600); do
    grep -q '^ready' "$out/server-$name.log" && { echo "$(date +%s.%N) - $begin" | awk '{printf "%.2f", $1 - $3}'; return 0; }
    kill -0 "$server_pid" 2>/dev/null || break
    sleep 0.1
  done
  tail -n 5 "$out/server-$name.log" >&2
  return 1
}
stop_server() { kill -TERM "$server_pid" && wait "$server_pid"; server_pid=; }

if [ "${1:-}" = --dry ]; then
  server=$2/modelserve library=$3
  [ -x "$server" ] || server="dotnet exec $2/modelserve.dll"
  python3 "$here/random_checkpoint.py" tiny "$root/models/tiny-mini" "$work/tiny" || exit 1
  check "a random checkpoint answers" $server run --device cuda --kernel-library "$library" --model "$work/tiny" --kv-memory 16MiB \
    --max-model-len 64 --max-batched-tokens 64 --max-running 1 --max-tokens 4 --ignore-eos --raw hello
  check "a shipped model answers" bash -c "[ \"\$($server run --device cuda --kernel-library $library --kv-memory 16MiB \
    --max-model-len 128 --max-batched-tokens 128 --max-running 1 'What is 27 + 58?')\" = 85 ]"
  exit $failed
fi

pack=$1 library=$2
tar -C "$work" -xJf "$pack" || exit 1
server=$work/server/modelserve load=$work/load/ModelServe.LoadGenerator
if [ -n "${3:-}" ]; then
  torch=$(python3 -c 'import torch; print(torch.__path__[0])')/lib
  check "libtorch fits LibTorchSharp" python3 "$3" "$torch" "$work/server/libLibTorchSharp.so"
fi
for model in tiny-mini tiny-nano; do
  check "accuracy of $model on the GPU" "$server" eval "$work/models/eval/easy.jsonl" --model "$work/models/$model" --device cuda --kernel-library "$library"
done
table=$work/serving.md
{
  echo "# Serving on $(nvidia-smi --query-gpu=name --format=csv,noheader | head -n 1)"
  echo
  echo "Commit $(cat "$root/COMMIT" 2>/dev/null || git -C "$root" rev-parse HEAD 2>/dev/null || echo unknown); \`tests/gpu/server.sh\`; random weights; load from the same machine."
  echo
} > "$table"
runs=0
for shape in qwen3-0.6b llama-3.2-1b llama-3.1-8b; do
  python3 "$here/random_checkpoint.py" "$shape" "$work/models/tiny-mini" "$work/$shape" || { failed=1; continue; }
  if seconds=$(start_server "$shape" "$work/$shape"); then
    { echo "## $shape: ready after $seconds s"; echo; grep -E 'GB/s' "$out/server-$shape.log"; echo; echo '```'; } >> "$table"
    for streams in 1 32 256; do
      check "$shape, $streams streams" "$load" --model "$shape" --concurrency "$streams" --requests $((streams * 2)) \
        --prompt-tokens 1024 --output-tokens 256 --seed 0 > "$work/load.txt" 2>&1 && { cat "$work/load.txt" >> "$table"; runs=$((runs + 1)); }
    done
    check "$shape, 64 requests a second" "$load" --model "$shape" --rate 64 --requests 512 --prompt-tokens 512 --output-tokens 128 \
      --seed 0 > "$work/load.txt" 2>&1 && { cat "$work/load.txt" >> "$table"; runs=$((runs + 1)); }
    { echo '```'; echo; } >> "$table"
    check "$shape stops cleanly" stop_server
  else
    note "$shape did not become ready"
    failed=1
  fi
  rm -rf "${work:?}/$shape"
done
# No figure that was not measured: without a run there is no table.
[ "$runs" -gt 0 ] && cp "$table" "$out/serving.md" && note "table: $out/serving.md"
exit $failed
