#!/usr/bin/env bash
# Fuzzes one reader of foreign bytes for some minutes under afl++ with SharpFuzz, beginning with its corpus; prints what came of it.
# usage: tests/fuzz.sh TARGET [MINUTES]     TARGET: safetensors, tokenizer, template, request or json; MINUTES: 10
# Needs afl-fuzz, or apt-get to fetch Debian's package, which is unpacked and not installed.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${1:?a target: safetensors, tokenizer, template, request or json}
minutes=${2:-10}
work=artifacts/fuzz
corpus=tests/ModelServe.Fuzz/Corpus/$target
[ -d "$corpus" ] || { echo "there is no target $target"; exit 2; }
mkdir -p "$work"

afl=$(command -v afl-fuzz || true)
if [ -z "$afl" ]; then
  afl=$PWD/$work/afl/usr/bin/afl-fuzz
  if [ ! -x "$afl" ]; then
    (cd "$work" && apt-get download afl++ >/dev/null && dpkg -x afl++_*.deb afl && rm afl++_*.deb)
  fi
fi

version=$(sed -n 's/.*"SharpFuzz" Version="\([0-9.]*\)".*/\1/p' Directory.Packages.props)
[ -x "$work/tools/sharpfuzz" ] || dotnet tool install SharpFuzz.CommandLine --version "$version" --tool-path "$work/tools" >/dev/null
rm -rf "$work/bin"
dotnet publish -c Release -v quiet tests/ModelServe.Fuzz -o "$work/bin" >/dev/null
for assembly in ModelServe.Codec ModelServe.Execution ModelServe.Api Google.Protobuf; do
  [ ! -f "$work/bin/$assembly.dll" ] || "$work/tools/sharpfuzz" "$work/bin/$assembly.dll" >/dev/null
done

rm -rf "$work/out/$target"
mkdir -p "$work/out"
# Crashes are read from the output below; the host's settings for core files are not this script's to change.
env AFL_NO_UI=1 AFL_SKIP_BIN_CHECK=1 AFL_SKIP_CPUFREQ=1 AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES=1 AFL_NO_AFFINITY=1 DOTNET_TieredPGO=0 \
  "$afl" -i "$corpus" -o "$work/out/$target" -V $((minutes * 60)) -t 10000 -m none -- \
  dotnet exec "$work/bin/ModelServe.Fuzz.dll" "$target" models/tiny-mini >"$work/$target.log" 2>&1 || { tail -n 20 "$work/$target.log"; exit 1; }

stats=$work/out/$target/default/fuzzer_stats
count() { sed -n "s/^$1 *: *//p" "$stats"; }
printf '%s: %s inputs, %s a second, %s in the corpus, %s crashes, %s hangs\n' \
  "$target" "$(count execs_done)" "$(count execs_per_sec)" "$(count corpus_count)" "$(count saved_crashes)" "$(count saved_hangs)"
[ "$(count saved_crashes)" = 0 ] && [ "$(count saved_hangs)" = 0 ]
