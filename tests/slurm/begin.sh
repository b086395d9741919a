# Sourced by tests beside it with PROGRAM DIR: a Slurm of one machine in DIR/cluster, which ends with the test; the test goes on in DIR.
set -e
here=$(dirname "$(realpath "$0")") program=$(realpath "$1")
mkdir -p "$2"; dir=$(realpath "$2")
for name in slurmctld slurmd munged; do
    command -v $name >/dev/null || { echo "SKIPPED: slurm: no $name"; exit 0; }
done
cd "$dir"
export SLURM_CONF=$dir/cluster/slurm.conf
trap '"$here/cluster.sh" stop "$dir/cluster"' EXIT
"$here/cluster.sh" start "$dir/cluster"
