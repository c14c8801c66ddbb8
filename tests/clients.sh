#!/usr/bin/env bash
# Clients of other makers against the server, counted. Installs them; none may be skipped.
# usage: tests/clients.sh
set -uo pipefail
. "$(dirname "$0")/tally.sh"
prepare "Foreign clients" ModelServe.Api.Tests
for client in grpc-js buf openai-js; do
  npm install --prefix "tests/oracles/$client" --no-package-lock --no-audit --no-fund >/dev/null 2>&1 || { echo "npm could not install tests/oracles/$client"; exit 1; }
done
run ModelServe.Api.Tests -class '*.ClientMatrixTests' -class '*.ForeignClientTests' -class '*.BufTests' -class '*.JavaScriptClientTests' -class '*.NuGetClientTests'
report none-skipped
