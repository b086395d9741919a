#!/bin/bash
# `tests/slurm/time_limit.sh PROGRAM DIR`: a search that takes longer than its job may, through Slurm: two minutes before the time is
# over Slurm signals it, it saves, is queued again and goes on, to the bits of one that ran by itself. `EPOCHS` so many that
# the search takes more than a minute and less than three. Needs Slurm (`cluster.sh`) and root; some minutes.
. "$(dirname "$0")/begin.sh"
cat > sweep.toml <<TOML
script = "search"
out = "runs"
[grid]
seed = [0]
[set]
method = "darts"
channels = 8
cells = 1
epochs = ${EPOCHS:-400}
[resources]
threads = 1
time = "3m"
TOML
job=$("$program" sweep sweep.toml --engine slurm)
starts=0 before=
while [ -n "$(squeue -h)" ]; do
    lock=$(cat runs/*/lock 2>/dev/null || true)
    if [ -n "$lock" ] && [ "$lock" != "$before" ]; then
        starts=$((starts + 1)); before=$lock; echo "$(date +%T) $lock"
    fi
    sleep 1
done
"$program" sweep status runs --once
[ "$starts" -gt 1 ] || { echo "job $job was begun once: its time was enough"; exit 1; }
"$program" sweep sweep.toml --out alone --jobs 1 2>/dev/null
"$here/../same_bits.py" runs alone
