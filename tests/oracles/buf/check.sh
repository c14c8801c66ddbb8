#!/usr/bin/env bash
# Lints the contracts and compares them with the committed baseline: tests/oracles/buf/check.sh
# A meant change of a contract: tests/oracles/buf/check.sh --accept writes the baseline anew; review it by the proto's own diff.
set -euo pipefail
cd "$(dirname "$0")"
buf=node_modules/.bin/buf
protos=../../../src/ModelServe.Api/Protos
baseline=baseline.binpb
if [ ! -x "$buf" ]; then
  echo "buf is not installed: npm install --prefix tests/oracles/buf --no-package-lock"
  exit 2
fi

if [ "${1:-}" = "--accept" ]; then
  "$buf" build "$protos" --exclude-source-info -o "$baseline"
  echo "wrote $baseline"
  exit 0
fi

"$buf" lint "$protos"
"$buf" breaking "$protos" --against "$baseline"
echo "buf: lint clean, nothing broken against the baseline"
