
# One point of the sweep. Before its time is over Slurm sends USR1: the run saves and ends, and the task is queued again, to go on
# where it stopped. scancel sends TERM: the run saves and ends.
@task@ $(( SLURM_ARRAY_TASK_ID + ${1:-0} )) &
task=$!
trap 'again=yes; kill -TERM "$task"' USR1
trap 'kill -TERM "$task"' TERM INT
wait "$task"; code=$?
while kill -0 "$task" 2>/dev/null; do wait "$task"; code=$?; done
if [ "$again" ] && [ "$code" = 130 ]; then
    scontrol requeue "${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID" && sleep 60
fi
exit "$code"
