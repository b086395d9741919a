#!/usr/bin/env bash
# kill_resume.sh [PROGRAM] [TIMES] [SEED] [search|train]: kill -9 a run at a random moment, TIMES times over (20), every
# other time twice, then --resume: a search must end with the metrics (but the seconds), measurements and genotype of a run
# that was not killed; the training of a genotype with its metrics, curve, confusion table and weights; to the bit. Digits,
# reduced settings; about a minute on two cores. Build first: cargo build --release
set -u
here=$(cd "$(dirname "$0")/.." && pwd)
program=${1:-$here/target/release/isdarts-host}
times=${2:-20}
RANDOM=${3:-1}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
kind=${4:-search}
options=(--seed 4 --quiet)
case $kind in
search)
    settings=("$here/scripts/is_darts.rhai" --set epochs=12 --set channels=4 --set iim_samples=50 "${options[@]}")
    words=()
    outcome() { sed 's/,[^,]*$//' "$1/metrics.csv"; cat "$1/iim.csv" "$1/genotype.txt"; } ;;
train)
    settings=("$here/scripts/train_genotype.rhai" --set epochs=12 --set channels=4 --set cells=3 --set limit=40 "${options[@]}")
    words=(-- DARTS_V2)
    outcome() {
        local of=$1/train-000
        sed 's/,[^,]*$//' "$1/metrics.csv" "$of/curve.csv"
        cat "$of/confusion.csv" "$of/genotype.txt"
        sha256sum < "$of/last.safetensors"; sha256sum < "$of/best.safetensors"
    } ;;
*) echo "got $kind, expected search or train" >&2; exit 2 ;;
esac
# killed MILLISECONDS ARGUMENTS...: run the program, kill -9 after that time (unless it has ended by then)
killed() {
    local after=$1; shift
    "$program" "$@" > "$work/out" 2>&1 & local pid=$!
    sleep "$(printf '%d.%03d' $((after / 1000)) $((after % 1000)))"
    { kill -9 $pid; wait $pid; } 2>/dev/null
}

[ -x "$program" ] || { echo "no program $program; build it: cargo build --release" >&2; exit 2; }
t0=$(date +%s%N)
"$program" "${settings[@]}" --out "$work/whole" "${words[@]}" > "$work/out" 2>&1 || { cat "$work/out" >&2; exit 1; }
length=$(( ($(date +%s%N) - t0) / 1000000 ))
outcome "$work/whole" > "$work/expected"
echo "uninterrupted: $length ms; last row $(tail -1 "$work/whole/metrics.csv")"

failed=0
for i in $(seq "$times"); do
    run=$work/$i
    first=$((RANDOM * length / 32768)); second=$((RANDOM * length / 32768))
    killed $first "${settings[@]}" --out "$run" "${words[@]}"
    rows=$(cat "$run/metrics.csv" 2>/dev/null | wc -l)
    what="killed after $first ms ($rows rows)"
    # Killed before there was a manifest: the command line must be said again.
    mkdir -p "$run"
    again=(--resume "$run" --quiet)
    [ -f "$run/manifest.json" ] || again=("${settings[@]}" --resume "$run" "${words[@]}")
    if [ $((i % 2)) = 0 ]; then
        killed $second "${again[@]}"
        what="$what, again after $second ms ($(wc -l < "$run/metrics.csv") rows)"
    fi
    if "$program" "${again[@]}" > "$work/out" 2>&1 && outcome "$run" | cmp -s - "$work/expected"; then
        echo "$i of $times: $what: the same"
    else
        echo "$i of $times: $what: DIFFERENT"; tail -3 "$work/out"; outcome "$run" | diff - "$work/expected" | head -5
        failed=$((failed + 1))
    fi
done
echo "$((times - failed)) of $times the same"
[ $failed = 0 ]
