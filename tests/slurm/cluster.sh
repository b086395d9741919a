#!/bin/bash
# A Slurm of one machine and one node for tests, on the loopback interface, as root: `cluster.sh start DIR` and `cluster.sh stop DIR`.
# It needs slurmctld, slurmd and munged (Debian: apt-get install slurm-wlm munge). `export SLURM_CONF=DIR/slurm.conf` then uses it.
set -e
what=$1 dir=$(realpath -m "$2") host=$(hostname -s)

running() { [ -f "$dir/$1.pid" ] && kill -0 "$(cat "$dir/$1.pid")" 2>/dev/null; }

start_controller() { slurmctld -c -f "$dir/slurm.conf"; }
# Without -c it knows the jobs of before.
restart_controller() { slurmctld -f "$dir/slurm.conf"; }
start_node() { slurmd -N "$host" -f "$dir/slurm.conf"; }

case $what in
start)
    for program in slurmctld slurmd munged; do
        command -v $program >/dev/null || { echo "SKIPPED: slurm: no $program"; exit 77; }
    done
    mkdir -p "$dir/state" "$dir/spool" "$dir/munge"
    chmod 700 "$dir/munge"
    [ -f "$dir/munge/key" ] || { head -c 1024 /dev/urandom > "$dir/munge/key"; chmod 400 "$dir/munge/key"; }
    chown -R munge "$dir/munge"
    chmod 755 "$dir"
    runuser -u munge -- munged --socket="$dir/munge/socket" --key-file="$dir/munge/key" --pid-file="$dir/munge/pid" \
        --log-file="$dir/munge/log" --seed-file="$dir/munge/seed" --force
    cat > "$dir/slurm.conf" <<CONF
ClusterName=one
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=16817
SlurmdPort=16818
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$dir/munge/socket
CredType=cred/munge
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/slurmd.pid
SlurmctldLogFile=$dir/slurmctld.log
SlurmdLogFile=$dir/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SchedulerParameters=batch_sched_delay=0,sched_interval=2
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ReturnToService=2
SlurmdTimeout=15
SlurmctldTimeout=15
KillWait=10
MailProg=/bin/true
NodeName=$host NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=all Nodes=$host Default=YES MaxTime=INFINITE State=UP
CONF
    start_controller
    start_node
    export SLURM_CONF="$dir/slurm.conf"
    for _ in $(seq 60); do
        [ "$(sinfo -h -o %T 2>/dev/null)" = idle ] && exit 0
        sleep 0.5
    done
    sinfo
    exit 1
    ;;
restart-controller) restart_controller ;;
restart-node) start_node ;;
stop)
    for daemon in slurmctld slurmd munge/; do
        file=$dir/${daemon/%\//\/pid}
        [ "$daemon" = munge/ ] || file=$dir/$daemon.pid
        [ -f "$file" ] && kill "$(cat "$file")" 2>/dev/null || true
    done
    ;;
*) echo "cluster.sh start|stop|restart-controller|restart-node DIR"; exit 2 ;;
esac
