#!/bin/bash
# `parallel.sh PROGRAM DIR`, behind `run.sh` with the same: the 24 searches of its sweep by GNU parallel, which is killed with its runs
# (kill -9), once more with SIGTERM, and started again each time; and by the local engine, which is killed twice. The bits are those of
# `run.sh`'s runs one by one.
set -e
here=$(dirname "$(realpath "$0")") program=$(realpath "$1")
command -v parallel >/dev/null || { echo "SKIPPED: parallel: no GNU parallel"; exit 0; }
cd "$2"
say() { echo "$(date +%T) $*"; }
look() { say "$("$program" sweep status "$1" --once | head -1)"; }
tasks() { awk '/process/ { print $4 }' "$1"/*/lock 2>/dev/null || true; }

"$program" sweep sweep.toml --out by-parallel --engine print > lines 2>/dev/null
for signal in KILL TERM; do
    parallel --will-cite --jobs 2 < lines > /dev/null 2>&1 &
    sleep "${PAUSE:-20}"
    say "kill -$signal of parallel and its runs"
    kill -$signal $! $(tasks by-parallel); wait $! || true
    sleep 2; look by-parallel
done
"$program" sweep by-parallel --engine print 2>/dev/null | parallel --will-cite --jobs 2 --joblog log > /dev/null 2>&1; say "parallel: $?"
look by-parallel
"$here/../same_bits.py" by-parallel alone

for _ in 1 2; do
    "$program" sweep sweep.toml --out by-local --jobs 2 > /dev/null 2>&1 &
    sleep "${PAUSE:-20}"
    say "kill -9 of the local engine"
    kill -9 $!; wait $! || true
    sleep 2; say "living runs: $(for task in $(tasks by-local); do kill -0 "$task" 2>/dev/null && echo "$task"; done | wc -l)"; look by-local
done
"$program" sweep by-local --jobs 2 2>&1 | tail -1
look by-local
"$here/../same_bits.py" by-local alone
