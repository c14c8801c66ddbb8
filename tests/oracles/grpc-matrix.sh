#!/usr/bin/env bash
# The gRPC contract in the hands of clients of other makers: installs them, runs every test that uses them, prints counts.
# Fails when a test fails, and when one was skipped: here nothing may be.
set -euo pipefail
cd "$(dirname "$0")/../.."
for client in grpc-js buf; do
  npm install --prefix "tests/oracles/$client" --no-package-lock --no-audit --no-fund >/dev/null 2>&1
done
dotnet build -c Release -v quiet tests/ModelServe.Api.Tests >/dev/null
failed=0
for suite in ForeignClientTests BufTests; do
  summary=$(dotnet exec tests/ModelServe.Api.Tests/bin/Release/net10.0/ModelServe.Api.Tests.dll -noColor -class "*.$suite" 2>&1) || failed=1
  line=$(printf '%s\n' "$summary" | grep -E 'Total: [0-9]+' | tail -n 1)
  printf '%-20s %s\n' "$suite" "${line#*Tests  }"
  printf '%s\n' "$line" | grep -qE 'Total: [1-9].*Failed: 0, Skipped: 0' || { printf '%s\n' "$summary"; failed=1; }
done
exit "$failed"
