#!/bin/bash
# `tests/slurm/run.sh PROGRAM DIR`: 24 searches on digits through Slurm, while the node is killed (slurmd, steps and runs), the
# controller is killed and started again, and one point is cancelled and retried. In the end there are 24 finished runs, whose bits
# are those of 24 that ran one by one, and one table. Needs Slurm (`cluster.sh`) and root; a quarter of an hour.
. "$(dirname "$0")/begin.sh"
say() { echo "$(date +%T) $*"; }
cat > sweep.toml <<TOML
script = "search"
out = "runs"
[grid]
method = ["is_darts", "darts", "gdas", "i_darts"]
seed = "0..5"
[set]
channels = 4
cells = 1
epochs = ${EPOCHS:-60}
limit = ${LIMIT:-40}
[[where]]
when = { method = "is_darts" }
set = { shrink_steps = 2, shrink_every = 2 }
[resources]
threads = 1
TOML
say "submit"; "$program" sweep sweep.toml --engine slurm > job; job=$(cat job)
first=$("$program" sweep status runs --once | head -1); say "$first"
wait_for() { while ! "$program" sweep status runs --once | head -1 | grep -q "$1"; do sleep 1; done; say "$("$program" sweep status runs --once | head -1)"; }
wait_for "[2-9] finished.* running"
say "kill -9 of slurmd, its steps and its runs"
steps=$(pgrep -x slurmstepd || true)
tasks=$(awk '/process/ { print $4 }' runs/*/lock)
kill -9 "$(cat cluster/slurmd.pid)" $steps $tasks 2>/dev/null || true
say "$("$program" sweep status runs --once | head -1)"
sleep 25; squeue -h -o "%i %T %r" | head -3
say "the node is back"; "$here/cluster.sh" restart-node cluster
wait_for "[6-9] finished.* running\|1[0-9] finished.* running"
say "kill -9 of slurmctld"; kill -9 "$(cat cluster/slurmctld.pid)"; sleep 3
squeue >/dev/null 2>&1 && { echo "squeue works without a controller?"; exit 1; }
say "the controller is back"; "$here/cluster.sh" restart-controller cluster; sleep 5
# It saves its state every five seconds: of a task that began after the last time it knows nothing, starts it again, and drains the node that
# has it already, now or when the next task is to begin. That is for whoever runs the cluster to clear.
cleared() {
    if sinfo -h -o %T | grep -q drain; then
        say "the node is drained"; scontrol update nodename="$(hostname -s)" state=resume; scontrol release "$job" 2>/dev/null || true
    fi
}
emptied() { while [ -n "$(squeue -h)" ]; do cleared; sleep 2; done; }
cleared
until last=$(squeue -h -t R -o %K -r | tail -1); [ -n "$last" ]; do cleared; sleep 1; done
sleep 2
say "cancel point $last"; scancel "${job}_$last"
emptied
say "$("$program" sweep status runs --once)"
say "retry"; "$program" sweep retry runs --engine slurm
emptied
"$program" sweep sweep.toml --engine slurm
emptied
summary=$("$program" sweep status runs --once | head -1); say "$summary"
[ "$summary" = "24 points: 24 finished" ] || { echo "not all are finished"; exit 1; }
"$program" sweep table runs
say "one by one"
"$program" sweep sweep.toml --out alone --jobs 1 2>/dev/null
"$here/../same_bits.py" runs alone
