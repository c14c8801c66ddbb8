#!/usr/bin/env bash
# The list of faults, every test of it, counted: at the reduced counts of the ordinary tests, or in full.
# usage: tests/faults.sh [--reduced]
set -uo pipefail
. "$(dirname "$0")/tally.sh"
explicit=on
[ "${1:-}" = --reduced ] && explicit=off
prepare "Faults ($([ "$explicit" = on ] && echo full || echo reduced) counts)" ModelServe.Engine.Tests ModelServe.Api.Tests ModelServe.Host.Tests
run ModelServe.Engine.Tests -explicit "$explicit" -class '*.ExhaustionTests' -class '*.InboxTests' -class '*.RequestStreamTests' -class '*.SimulatedExecutorTests'
run ModelServe.Api.Tests -explicit "$explicit" -namespace '*.Faults'
run ModelServe.Api.Tests -class '*.MalformedTests'
run ModelServe.Host.Tests -explicit "$explicit" -namespace '*.Faults'
run ModelServe.Host.Tests -class '*.GpuFaultTests'
report
