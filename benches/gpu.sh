#!/usr/bin/env bash
# What to look at when a GPU is at hand, in under four minutes: is it right (recorded runs of PyTorch, compute-sanitizer, the same bits
# twice), how fast (steps, IIM, memory, launches, each kernel), beside PyTorch in the same run, and what it says where it cannot.
# Build before, where there is cargo:
#   cargo test --release --features cuda --test golden --no-run
# Then: ISDARTS=target/release/isdarts-host GOLDEN=target/release/deps/golden-... benches/gpu.sh [folder for the lists of kernels]
# With ISDARTS_DATA, where CIFAR-10 lies, it ends with the paper's search, which takes some three minutes more.
set -uo pipefail
cd "$(dirname "$0")/.."
: "${ISDARTS:=target/release/isdarts-host}" "${PYTHON:=python3}"
out=${1:-target/gpu-results}
mkdir -p "$out"
# CUDA's libraries, where they come with PyTorch.
if libraries=$("$PYTHON" -c 'import nvidia; print(list(nvidia.__path__)[0])' 2>/dev/null); then
    export LD_LIBRARY_PATH=$libraries/cu13/lib:$libraries/cudnn/lib:/usr/local/nvidia/lib64:${LD_LIBRARY_PATH:-}
fi
failed=0
show() {
    echo "== $*"
    local begin=$SECONDS
    timeout "${LIMIT:-60}" "$@" 2>&1 | tail -n "${LINES_SHOWN:-1}" || failed=1
    echo "-- $((SECONDS - begin)) s"
}
nvidia-smi --query-gpu=name,driver_version --format=csv,noheader
show "$ISDARTS" --device cuda -e 'tensor([1.0, 2.0]).sum().to_float()'

echo "== right"
begin=$SECONDS
jobs=()
rm -f "$out"/golden.txt "$out"/*check-*.txt
if [ -n "${GOLDEN:-}" ]; then
    timeout 120 "$GOLDEN" engine_agrees --nocapture --test-threads=1 >"$out/golden.txt" 2>&1 &
    jobs+=($!)
fi
small=(-c 8 -n 1 --batch 4 --size 8 --steps 1)
if command -v compute-sanitizer >/dev/null; then
    for space in nas-bench-201 darts; do
        for tool in memcheck racecheck initcheck; do
            timeout 120 compute-sanitizer --tool "$tool" "$ISDARTS" bench step --device cuda --space $space "${small[@]}" \
                >"$out/$tool-$space.txt" 2>&1 &
            jobs+=($!)
        done
    done
fi
for run in 1 2; do
    rm -rf "$out/digits-$run"
    "$ISDARTS" scripts/is_darts.rhai --device cuda --quiet --out "$out/digits-$run" >/dev/null 2>&1 &
    jobs+=($!)
done
for job in ${jobs[@]+"${jobs[@]}"}; do wait "$job" || failed=1; done
[ ! -e "$out/golden.txt" ] || grep -ho '\[.*\]: [0-9]* comparisons, [0-9]* deviations' "$out/golden.txt" | awk '{n += $(NF - 3); d += $(NF - 1)} END {print n " comparisons with PyTorch, " d " deviations"}'
[ ! -e "$out/golden.txt" ] || tail -n 2 "$out/golden.txt"
for said in "$out"/*check-*.txt; do [ ! -e "$said" ] || echo "$(basename "$said" .txt): $(tail -n 1 "$said")"; done
weights=checkpoint/loop-000/state.safetensors
"$PYTHON" - "$out/digits-1/$weights" "$out/digits-2/$weights" <<'PYTHON' || failed=1
import sys
from safetensors.numpy import load_file
a, b = map(load_file, sys.argv[1:])
other = [k for k in a if a[k].tobytes() != b[k].tobytes()]
print(f"twice the same search on digits: {len(a)} tensors, {len(other)} with other bits {other[:3]}")
sys.exit(bool(other))
PYTHON
echo "-- $((SECONDS - begin)) s"

nas=(bench step --device cuda -c 16 -n 5 --batch 64)
darts=(bench step --device cuda --space darts -c 16 -n 2 --batch 64)
show "$ISDARTS" "${nas[@]}" --steps 50
show "$ISDARTS" bench step --device cuda -c 16 -n 5 --batch 256 --steps 20
show "$ISDARTS" "${darts[@]}" --steps 30
show "$ISDARTS" bench step --device cuda --space darts -c 16 -n 2 --batch 256 --steps 10
show "$PYTHON" tests/peer/torch_supernet.py bench -c 16 -n 5 --batch 64 --steps 8 --warmup 2 --device cuda
show "$PYTHON" tests/peer/torch_supernet.py bench --space darts -c 16 -n 2 --batch 64 --steps 5 --warmup 2 --device cuda
"$ISDARTS" "${nas[@]}" --steps 3 --kernels >"$out/kernels-nas-bench-201.txt" || failed=1
"$ISDARTS" "${darts[@]}" --steps 3 --kernels >"$out/kernels-darts.txt" || failed=1
for list in "$out"/kernels-*.txt; do
    echo "== $list"
    grep ' launches ' "$list"
done

echo "== the main job on digits: seconds on the GPU, on two cores of the CPU"
seconds() { grep -o '"seconds": [0-9.]*' "$1/manifest.json"; }
for device in cuda cpu; do
    rm -rf "$out/digits-$device"
    taskset -c 0,1 "$ISDARTS" scripts/is_darts.rhai --device "$device" --threads 2 --quiet --out "$out/digits-$device" >/dev/null 2>&1
    echo "$device $(seconds "$out/digits-$device")"
done

echo "== what it says where it cannot"
CUDA_VISIBLE_DEVICES='' "$ISDARTS" --device cuda -e 1 2>&1 | tail -n 1
"$ISDARTS" --device cuda:7 -e 1 2>&1 | tail -n 1
timeout 60 "$ISDARTS" bench step --device cuda -c 128 -n 5 --batch 2048 --steps 1 2>&1 | tail -n 1
LD_LIBRARY_PATH=/usr/local/nvidia/lib64 ISDARTS_CACHE=$(mktemp -d) "$ISDARTS" bench step --device cuda "${small[@]}" 2>&1 | tail -n 1

if [ -n "${ISDARTS_DATA:-}" ]; then
    LIMIT=600 LINES_SHOWN=6 show "$ISDARTS" scripts/is_darts.rhai --data cifar10 --set channels=16 --set cells=5 --seed 0 --device cuda --out "$out/is_darts-0"
    seconds "$out/is_darts-0"
fi
exit $failed
