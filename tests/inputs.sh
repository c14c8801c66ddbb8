#!/usr/bin/env bash
# Bad inputs of both dialects and of every reader of foreign bytes, counted.
# usage: tests/inputs.sh
set -uo pipefail
. "$(dirname "$0")/tally.sh"
prepare "Bad inputs" ModelServe.Api.Tests ModelServe.Host.Tests
run ModelServe.Api.Tests -class '*.BadInputTests' -class '*.BadRequestTests' -class '*.RejectionTests' -class '*.MalformedTests' -class '*.EveryEndpointTests'
run ModelServe.Host.Tests -class '*.FuzzCorpusTests'
report
