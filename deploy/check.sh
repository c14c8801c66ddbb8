#!/usr/bin/env bash
# Checks what is deployed beside the server: the alert rules and their tests, the scrape configuration, and every query of the
# dashboard, with the promtool that is installed or, failing that, the one in Debian's package, unpacked and not installed.
# Exit 0: all good. 1: something is wrong. 2: there is no promtool, and none can be had.
set -euo pipefail
cd "$(dirname "$0")/.."
out=artifacts/deploy-check
mkdir -p "$out"

promtool=$(command -v promtool || true)
if [ -z "$promtool" ] && [ -x "$out/prometheus/usr/bin/promtool" ]; then
  promtool=$out/prometheus/usr/bin/promtool
fi
if [ -z "$promtool" ]; then
  command -v apt-get >/dev/null 2>&1 || { echo "no promtool, and no apt-get to fetch it with"; exit 2; }
  (cd "$out" && { apt-get download -qq prometheus || { apt-get update -qq && apt-get download -qq prometheus; }; })
  dpkg -x "$out"/prometheus_*.deb "$out/prometheus"
  promtool=$out/prometheus/usr/bin/promtool
fi

"$promtool" check config deploy/prometheus/prometheus.yml
"$promtool" test rules deploy/prometheus/alerts.test.yml

# Each query of the dashboard as a recording rule: what promtool can read, Prometheus can run.
python3 - "$out/dashboard.yml" <<'PYTHON'
import json, sys
board = json.load(open('deploy/grafana/modelserve.json'))
queries = [target['expr'] for panel in board['panels'] for target in panel.get('targets', [])]
ready = [query.replace('$__rate_interval', '1m').replace('$model', '.*') for query in queries]
left = [query for query in ready if '$' in query]
if left or len(queries) < 30:
    sys.exit(f'{len(queries)} queries; with unknown variables: {left}')
rules = [{'record': f'dashboard:query:{i}', 'expr': query} for i, query in enumerate(ready)]
json.dump({'groups': [{'name': 'dashboard', 'rules': rules}]}, open(sys.argv[1], 'w'))
print(f'{len(queries)} queries of the dashboard')
PYTHON
"$promtool" check rules "$out/dashboard.yml"
echo "deploy check: good"
