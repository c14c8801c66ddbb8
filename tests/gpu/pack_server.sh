#!/usr/bin/env bash
# Packs the server for a GPU machine that has no .NET: a self-contained, trimmed publish without libtorch (the GPU path needs
# none), the load generator, the shipped models. Below 64 MiB, or it fails.
#
#   tests/gpu/pack_server.sh [OUT.tar.xz]       default: tests/gpu/results/server.tar.xz
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
out=${1:-$root/tests/gpu/results/server.tar.xz}
limit=$((64 << 20))
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
mkdir -p "$(dirname "$out")"
for part in src/ModelServe.Host:server benchmarks/ModelServe.LoadGenerator:load; do
  # Apart from the ordinary build, whose restored packages are others.
  dotnet publish "$root/${part%%:*}" -c Release -r linux-x64 --self-contained -p:Accelerator=none -p:RunAnalyzers=false -p:PublishTrimmed=true \
    --artifacts-path "${ARTIFACTS:-$root/artifacts/pack}" \
    -p:InvariantGlobalization=true -p:SuppressTrimAnalysisWarnings=true -p:TreatWarningsAsErrors=false -o "$stage/${part##*:}"
done
mkdir -p "$stage/models"
cp -r "$root/models/tiny-mini" "$root/models/tiny-nano" "$root/models/eval" "$stage/models/"
tar -C "$stage" -cJf "$out" server load models
bytes=$(stat -c %s "$out")
echo "pack: $out, $bytes bytes"
[ "$bytes" -le "$limit" ] || { echo "pack: at most $limit bytes; got $bytes" >&2; exit 1; }
