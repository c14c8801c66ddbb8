# Sourced by the scripts beside it: runs test programs, prints what their tests counted as one table, and adds it up.
# Every test that counts writes a line "count | ROW | WHAT | SENT | ANSWERED | ENDED | LOST".

prepare() { # prepare TITLE PROJECT…: builds the projects
  title=$1
  shift
  cd "$(dirname "${BASH_SOURCE[0]}")/.."
  log=$(mktemp)
  trap 'rm -f "$log"' EXIT
  failed=0
  for project in "$@"; do
    dotnet build -c Release -v quiet "tests/$project" >"$log" 2>&1 || { cat "$log"; exit 1; }
  done
  : >"$log"
}

run() { # run PROJECT ARGUMENTS…: runs one test program; its arguments are those of xunit.v3
  local project=$1
  shift
  dotnet exec "tests/$project/bin/Release/net10.0/$project.dll" -noColor -showLiveOutput "$@" >>"$log" 2>&1 || failed=1
}

report() { # report [none-skipped]: the table, the tests' own summaries, the total; its exit status is the verdict
  printf '%s\n\n' "$title"
  sed -n 's/.*\[OUTPUT\] count | //p' "$log" | sort -s -t '|' -k 1,1 | awk -F ' *[|] *' '
    BEGIN { printf "| | what | sent | answered | ended as meant | lost |\n|---|---|---|---|---|---|\n" }
    { printf "| %s | %s | %s | %s | %s | %s |\n", $1, $2, $3, $4, $5, $6; sent += $3; answered += $4; ended += $5; lost += $6 }
    END { printf "\n%d sent, %d answered, %d refused or ended as meant, %d lost\n", sent, answered, ended, lost; exit lost > 0 || sent == 0 }' || failed=1
  grep -hoE '[A-Za-z.]+ +Total: .*' "$log"
  if [ "$failed" -ne 0 ] || { [ "${1:-}" = none-skipped ] && grep -qE 'Skipped: [1-9]' "$log"; }; then
    grep -A 12 -E '\[(FAIL|SKIP)\]' "$log"
    return 1
  fi
}
