#!/usr/bin/env bash
# What to look at when a GPU is at hand, in about four minutes: is it right (recorded runs of PyTorch, compute-sanitizer), how fast (steps, IIM,
# memory, launches, each kernel), beside PyTorch in the same run. Build before, where there is cargo:
#   cargo test --release --features cuda --test golden --no-run
# Then: ISDARTS=target/release/isdarts-host GOLDEN=target/release/deps/golden-... benches/gpu.sh [folder for the lists of kernels]
# With ISDARTS_DATA, where CIFAR-10 lies, it ends with the paper's search.
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
if [ -n "${GOLDEN:-}" ]; then
    LINES_SHOWN=14 show "$GOLDEN" engine_agrees --nocapture --test-threads=1
fi
nas=(bench step --device cuda -c 16 -n 5 --batch 64)
darts=(bench step --device cuda --space darts -c 16 -n 2 --batch 64)
show "$ISDARTS" "${nas[@]}" --steps 20
show "$ISDARTS" bench step --device cuda -c 16 -n 5 --batch 256 --steps 10
show "$ISDARTS" "${darts[@]}" --steps 10
show "$PYTHON" tests/peer/torch_supernet.py bench -c 16 -n 5 --batch 64 --steps 8 --warmup 2 --device cuda
show "$PYTHON" tests/peer/torch_supernet.py bench --space darts -c 16 -n 2 --batch 64 --steps 5 --warmup 2 --device cuda
"$ISDARTS" "${nas[@]}" --steps 3 --kernels >"$out/kernels-nas-bench-201.txt" || failed=1
"$ISDARTS" "${darts[@]}" --steps 3 --kernels >"$out/kernels-darts.txt" || failed=1
for list in "$out"/kernels-*.txt; do
    echo "== $list"
    grep ' launches ' "$list"
done
if command -v compute-sanitizer >/dev/null; then
    for tool in memcheck racecheck initcheck; do
        LINES_SHOWN=1 show compute-sanitizer --tool "$tool" "$ISDARTS" bench step --device cuda -c 8 -n 1 --batch 4 --size 8 --steps 1
    done
fi
if [ -n "${ISDARTS_DATA:-}" ]; then
    LIMIT=600 LINES_SHOWN=20 show "$ISDARTS" scripts/is_darts.rhai --data cifar10 --set channels=16 --set cells=5 --seed 0 --device cuda --out "$out/is_darts-0"
fi
exit $failed
