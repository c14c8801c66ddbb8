#!/usr/bin/env bash
# The server stages of the GPU check: serves random checkpoints of real shapes and the shipped models, on a machine with a GPU and
# no .NET. Tables go to $OUT/serving.md (default tests/gpu/results), which holds only what was measured.
#
#   tests/gpu/server.sh PACK.tar.xz LIBRARY [STAGE…]      PACK from pack_server.sh, LIBRARY from pack_kernels.sh or run.sh build
#     stages: accuracy cross qwen3-0.6b llama-3.2-1b llama-3.1-8b workload peers; default: all, each below nine minutes
#   tests/gpu/server.sh PACK.tar.xz LIBRARY quick         accuracy, the public workload, the 8B shape at 1, 32 and 256 streams
#   tests/gpu/server.sh --dry SERVER_FOLDER LOAD_FOLDER LIBRARY
#     the same stages on the CPU stub with tiny checkpoints and counts, into a folder that is removed: the way, not the figures
#
# Each shape is started twice: the first start measures its products and keeps the choice, the second is the one that is timed.
# cuBLASLt is looked for as run.sh does. Peers (peers.py) need torch and transformers, and are rows beside the server's; a missing
# package is a row that says so. A run of the load generator that does not end is ended, and named.
# ABI_CHECK=FILE.py is run first, with libtorch's folder and LibTorchSharp, where both are there; the GPU path needs neither.
# TORCH_LIB_DIR names libtorch's folder; default: that of Python's torch, if it has one.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
export PYTHONDONTWRITEBYTECODE=1
python=$(command -v python3)
"$python" -c 'import numpy' 2>/dev/null || { [ ! -x /usr/bin/python3 ] || python=/usr/bin/python3; }
# Memory for the checkpoints where there is enough of it: a container's /dev/shm may be tiny.
room=$(df --output=avail -B 1G /dev/shm 2>/dev/null | tail -n 1)
work=$(mktemp -d "${TMPDIR:-$([ -w /dev/shm ] && [ "${room:-0}" -ge 40 ] && echo /dev/shm || echo /tmp)}/modelserve-XXXXXX")
server_pid=
finish() { [ -z "$server_pid" ] || kill "$server_pid" 2>/dev/null; rm -rf "$work"; }
trap finish EXIT
failed=0
note() { echo "server: $*"; }
check() { # check NAME COMMAND…: says what failed, and goes on
  local name=$1
  shift
  if "$@"; then note "$name: ok"; else note "$name: FAILED"; failed=1; fi
}

# What differs between the two ways: programs, counts, sizes. sizes_* are options of the serve command.
if [ "${1:-}" = --dry ]; then
  dry=1 library=$4 models=$root/models out=$work/results
  server=(dotnet exec "$2/modelserve.dll") load=(dotnet exec "$3/ModelServe.LoadGenerator.dll")
  [ ! -x "$2/modelserve" ] || [ -f "$2/modelserve.dll" ] || server=("$2/modelserve")
  shift 4
  qwen=tiny-qwen3 llama=tiny-llama large=tiny-llama
  questions=8 asked=4 tolerance=0 streams="1 3" per_stream=1 prompt=16 output=4 rate=20 rated=4
  workload=(--sequences 6 --low 4 --high 16 --vocabulary 8192)
  peers=(--dry) patience=60
  sizes=(--max-model-len 256 --max-batched-tokens 64 --max-running 4)
  sizes_other=(--max-model-len 256 --max-batched-tokens 16 --max-running 4)
  sizes_tight=(--max-model-len 96 --max-batched-tokens 64 --max-running 4 --kv-memory 172032)
  declare -A floors=([tiny-mini]=0.6 [tiny-nano]=0.6)
  minutes=1
else
  dry=0 library=$2 models=$work/models out=${OUT:-$here/results}
  # A bare machine may lack xz; Python has it inside.
  tar -C "$work" -xJf "$1" 2>/dev/null || "$python" -c 'import sys, tarfile; tarfile.open(sys.argv[1]).extractall(sys.argv[2])' "$1" "$work" || exit 1
  shift 2
  server=("$work/server/modelserve") load=("$work/load/ModelServe.LoadGenerator")
  qwen=qwen3-0.6b llama=llama-3.2-1b large=llama-3.1-8b
  # Near-ties: products of other sizes round otherwise.
  questions=650 asked=200 tolerance=0.01 streams="1 32 256" per_stream=2 prompt=1024 output=256 rate=64 rated=512
  workload=()
  peers=() patience=200
  export XDG_CACHE_HOME=$work/cache
  cublaslt=$("$here/find_cublaslt.sh" "$python")
  [ -z "$cublaslt" ] || export LD_LIBRARY_PATH="$(dirname "$cublaslt")${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
  note "cuBLASLt: ${cublaslt:-the usual names}"
  sizes=() sizes_other=(--max-batched-tokens 64 --max-running 64) sizes_tight=(--max-model-len 128 --kv-memory 512KiB --max-running 64)
  # What the models reach on a CPU, less what another rounding may turn.
  declare -A floors=([tiny-mini]=0.97 [tiny-nano]=0.945)
  minutes=9
fi
mkdir -p "$out"
quick=0
[ "${1:-}" != quick ] || { quick=1 rated=0 questions=200; set -- accuracy workload "$large"; }
[ $# -gt 0 ] || set -- accuracy cross "$qwen" "$llama" $([ "$large" = "$llama" ] || echo "$large") workload peers
free_ports() { "$python" -c 'import socket
s = [socket.socket() for _ in "ab"]
[x.bind(("127.0.0.1", 0)) for x in s]
print(*[x.getsockname()[1] for x in s])'; }
read -r grpc http < <(free_ports)
table=$out/serving.md
gpu=$(nvidia-smi --query-gpu=name --format=csv,noheader 2>/dev/null | head -n 1)
[ -s "$table" ] || {
  echo "# Serving on ${gpu:-the CPU stub}"
  echo
  echo "Commit $(cat "$root/COMMIT" 2>/dev/null || git -C "$root" rev-parse HEAD 2>/dev/null || echo unknown); \`tests/gpu/server.sh\`; random weights, load from the same machine."
} > "$table"

start_server() { # start_server NAME FOLDER OPTION…: waits until it is ready; sets ready_seconds
  local name=$1 folder=$2 begin
  shift 2
  begin=$(date +%s.%N)
  "${server[@]}" serve --model "$name=$folder" --device cuda --kernel-library "$library" --grpc "127.0.0.1:$grpc" --http "127.0.0.1:$http" \
    "$@" 2>"$out/server-$name.log" &
  server_pid=$!
  for _ in $(seq 1800); do
    grep -q '^ready' "$out/server-$name.log" && {
      ready_seconds=$(echo "$(date +%s.%N) $begin" | awk '{printf "%.2f", $1 - $2}')
      return 0
    }
    kill -0 "$server_pid" 2>/dev/null || break
    sleep 0.05
  done
  note "$name did not become ready"
  tail -n 5 "$out/server-$name.log" >&2
  server_pid=
  return 1
}
stop_server() { # a server that does not stop within 40 s is ended, and that is a failure
  local pid=$server_pid
  server_pid=
  kill -TERM "$pid" || return 1
  for _ in $(seq 400); do
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.1
  done
  kill -KILL "$pid" 2>/dev/null
  wait "$pid"
}
measure() { # measure TITLE LOAD_OPTION…: a run of the load generator into the table
  local title=$1
  shift
  if timeout -k 5 "$patience" "${load[@]}" --address "http://127.0.0.1:$grpc" --seed 0 "$@" > "$work/load.txt" 2>&1; then
    { echo; echo "### $title"; echo; echo '```'; cat "$work/load.txt"; echo '```'; } >> "$table"
    note "$title: ok"
  else
    note "$title: FAILED"
    tail -n 5 "$work/load.txt" >&2
    failed=1
  fi
}

stage_accuracy() {
  local model
  for model in tiny-mini tiny-nano; do
    head -n "$questions" "$models/eval/easy.jsonl" > "$work/questions.jsonl"
    if timeout -k 5 "$patience" "${server[@]}" eval "$work/questions.jsonl" --model "$models/$model" --device cuda --kernel-library "$library" --min-accuracy "${floors[$model]}" \
      "${sizes[@]}" > "$work/eval.txt" 2>"$work/eval.err"; then
      note "accuracy of $model: $(tail -n 1 "$work/eval.txt" | tr -s ' ')"
      { echo; echo "## Accuracy of $model"; echo; echo '```'; cat "$work/eval.txt"; echo '```'; } >> "$table"
    else
      note "accuracy of $model: FAILED"
      tail -n 3 "$work/eval.txt" "$work/eval.err" >&2
      failed=1
    fi
  done
}
stage_cross() { # the same answers whatever the sizes of steps, the mates in the batch, prefix hits and preemption
  local way answers=$work/answers.json preempted=0
  for way in sizes sizes_other sizes_tight; do
    local -n options=$way
    [ $way != sizes_tight ] || preempted=1
    start_server cross "$models/tiny-nano" --deterministic "${options[@]}" || { failed=1; continue; }
    check "cross product, $way" "$python" "$here/cross_product.py" "http://127.0.0.1:$http" "$models/eval/easy.jsonl" "$asked" "$answers" \
      --tolerance "$tolerance" --preemptions $preempted
    check "cross product, $way, stops cleanly" stop_server
  done
}
bench_row() { # bench_row SHAPE STREAMS: what the decode bench of run.sh measured in the same folder, to stand beside a run
  "$python" - "$out" "$1" "$2" <<'PY'
import json, pathlib, sys
out, shape, streams = pathlib.Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
for name in ("decode.json", "steps.json"):
    rows = json.loads((out / name).read_text()) if (out / name).exists() else []
    best = min((r["ms"] for r in rows if r.get("model", "").lower() == shape and r.get("batch") == streams and not r.get("fp8") and "ms" in r), default=None)
    if best is not None:
        print(f"\nThe decode bench at batch {streams}, 1,024 tokens of context ({name}): {best:.3f} ms a step.")
        break
PY
}
serve_random() { # serve_random SHAPE: makes it, serves it, loads it
  local shape=$1 n
  [ -d "$work/$shape" ] || "$python" "$here/random_checkpoint.py" "$shape" "$models/tiny-mini" "$work/$shape" || { failed=1; return; }
  start_server "$shape" "$work/$shape" "${sizes[@]}" || { failed=1; return; }
  local first_seconds=$ready_seconds
  [ $dry = 1 ] || grep -q 'cuBLASLt for wide products' "$out/server-$shape.log" || { note "$shape: the server found no cuBLASLt, so prompts are slow"; failed=1; }
  cp "$out/server-$shape.log" "$out/server-$shape-first.log"
  check "$shape stops cleanly after its first start" stop_server
  start_server "$shape" "$work/$shape" "${sizes[@]}" || { failed=1; return; }
  { echo; echo "## $shape: ready after $ready_seconds s, the first time after $first_seconds s"; echo
    grep -hE 'GB/s|^[^ ]*: products:' "$out/server-$shape-first.log" "$out/server-$shape.log"; } >> "$table"
  for n in $streams; do
    measure "$shape, $n streams" --model "$shape" --concurrency "$n" --requests $((n * per_stream)) --warmup 1 --prompt-tokens "$prompt" --output-tokens "$output"
    bench_row "$shape" "$n" >> "$table"
  done
  [ "$rated" = 0 ] || measure "$shape, $rate requests a second" --model "$shape" --rate "$rate" --requests "$rated" --warmup 1 --prompt-tokens $((prompt / 2)) --output-tokens $((output / 2))
  check "$shape stops cleanly" stop_server
}
stage_workload() { # what small engines publish
  [ -d "$work/$qwen" ] || "$python" "$here/random_checkpoint.py" "$qwen" "$models/tiny-mini" "$work/$qwen" || { failed=1; return; }
  start_server workload "$work/$qwen" "${sizes[@]}" || { failed=1; return; }
  if timeout -k 5 "$patience" "$python" "$here/public_workload.py" "http://127.0.0.1:$http" "${workload[@]}" > "$work/load.txt" 2>&1; then
    { echo; echo "### $qwen, the public workload"; echo; echo '```'; cat "$work/load.txt"; echo '```'; } >> "$table"
    note "$(tail -n 1 "$work/load.txt")"
  else
    note "public workload: FAILED"
    tail -n 5 "$work/load.txt" >&2
    failed=1
  fi
  check "workload stops cleanly" stop_server
}

stage_peers() { # what else runs on this machine, beside the server's rows
  local part
  { echo; echo "## Peers on the same machine"; echo; echo '```'; } >> "$table"
  for part in "" --serving; do
    timeout -k 5 $((patience + 60)) "$python" "$here/peers.py" $part "${peers[@]}" 2>"$work/peers.err" | tee -a "$table"
    [ "${PIPESTATUS[0]}" -eq 0 ] || { note "peers $part: did not end; $(tail -n 1 "$work/peers.err")" | tee -a "$table"; }
  done
  echo '```' >> "$table"
}

if [ -n "${ABI_CHECK:-}" ]; then
  torch=${TORCH_LIB_DIR:-$(python3 -c 'import torch; print(torch.__path__[0] + "/lib")' 2>/dev/null)}
  if [ -n "$torch" ] && [ -f "$work/server/libLibTorchSharp.so" ]; then
    check "libtorch fits LibTorchSharp" python3 "$ABI_CHECK" "$torch" "$work/server/libLibTorchSharp.so"
  else
    note "libtorch or LibTorchSharp is not here: their fit is not checked"
  fi
fi
for stage in "$@"; do
  begin=$SECONDS
  case $stage in
    accuracy|cross|workload|peers) "stage_$stage" ;;
    "$qwen"|"$llama"|"$large") serve_random "$stage" ;;
    *) note "stage: accuracy, cross, $qwen, $llama, $large, workload or peers; got $stage"; failed=1 ;;
  esac
  took=$((SECONDS - begin))
  note "stage $stage: $took s"
  [ $took -le $((minutes * 60)) ] || { note "stage $stage: at most $minutes minutes; took $took s"; failed=1; }
  # Sixteen gigabytes in memory are not kept for the stages that follow.
  [ "$stage" = "$qwen" ] || rm -rf "${work:?}/$stage"
done
[ $dry = 0 ] || cat "$table"
grep -q '^```' "$table" && note "table: $(grep -c '^### ' "$table") runs in $table" || { note "nothing was measured, so there is no table"; rm -f "$table"; }
exit $failed
