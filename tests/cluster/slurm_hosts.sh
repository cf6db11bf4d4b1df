#!/usr/bin/env bash
# slurm_hosts.sh up DIR [KEEP...] | in DIR NUMBER COMMAND... | down DIR
#
# A Slurm of two nodes, slurm1 and slurm2, on this machine: each has its own network, processes, host name, /tmp and
# /dev/shm, four CPUs and two GPUs that are none. They share the rest of the disk, and of /tmp the folders DIR and
# KEEP. DIR/slow holds the seconds that a step's start takes on slurm1. Needs root, iproute2, slurm-wlm, munge.
set -euo pipefail

readonly NET=10.213.78 BRIDGE=lrslurm
verb=${1:-}
dir=$(realpath "${2:?DIR}")

configure() {
  printf 'Name=gpu File=/dev/null,/dev/zero\n' >"$dir/gres.conf"
  printf 'CgroupPlugin=cgroup/v1\n' >"$dir/cgroup.conf"
  printf '127.0.0.1 localhost\n%s.11 slurm1\n%s.12 slurm2\n' $NET $NET >"$dir/hosts"
  cat >"$dir/prolog" <<END
#!/bin/sh
if [ "\$SLURMD_NODENAME" = slurm1 ] && [ "\$SLURM_STEP_ID" = 0 ]; then sleep "\$(cat $dir/slow)"; fi
END
  chmod +x "$dir/prolog"
  echo 0 >"$dir/slow"
  cat >"$dir/slurm.conf" <<END
ClusterName=learner
SlurmctldHost=slurm1
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=cred_expire=10
StateSaveLocation=/var/spool/slurmctld
SlurmdSpoolDir=/var/spool/slurmd
SlurmctldPidFile=/run/slurm/ctld.pid
SlurmdPidFile=/run/slurm/slurmd.pid
SlurmctldLogFile=$dir/slurmctld.log
SlurmdLogFile=$dir/%h.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
TaskProlog=$dir/prolog
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
ReturnToService=2
MinJobAge=3600
MpiDefault=none
SwitchType=switch/none
GresTypes=gpu
NodeName=slurm1 NodeAddr=$NET.11 CPUs=4 RealMemory=1000 Gres=gpu:2
NodeName=slurm2 NodeAddr=$NET.12 CPUs=4 RealMemory=1000 Gres=gpu:2
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
END
}

# The processes of node $1, from within its namespaces; ends with them. As process 1 it takes the orphans' last words.
node() {
  local number=$1 kept=()
  shift
  hostname "slurm$number"
  mount --make-rprivate /
  mount -t tmpfs tmpfs /run
  for folder in "$dir" "$@"; do
    mkdir "/run/keep${#kept[@]}" && mount --bind "$folder" "/run/keep${#kept[@]}" && kept+=("$folder")
  done
  mount -t tmpfs tmpfs /tmp && chmod 1777 /tmp
  for i in "${!kept[@]}"; do
    mkdir -p "${kept[i]}" && mount --bind "/run/keep$i" "${kept[i]}"
  done
  mount -t tmpfs tmpfs /dev/shm && chmod 1777 /dev/shm
  mkdir -p /run/munge /run/slurm && chown munge /run/munge
  mount -t tmpfs tmpfs /sys/fs/cgroup
  for group in freezer memory cpuset cpu; do
    mkdir -p /sys/fs/cgroup/$group
    mount -t cgroup -o $group cgroup /sys/fs/cgroup/$group || true
  done
  mount -t tmpfs tmpfs /var/spool && mkdir -p /var/spool/slurmd /var/spool/slurmctld
  mount -t tmpfs tmpfs /var/log && mkdir -p /var/log/munge && chown munge /var/log/munge
  mount -t tmpfs tmpfs /etc/slurm && cp "$dir"/{slurm,gres,cgroup}.conf /etc/slurm/
  mount --bind "$dir/hosts" /etc/hosts
  mount --bind /dev/null /etc/resolv.conf
  runuser -u munge -- /usr/sbin/munged
  until [ -S /run/munge/munge.socket.2 ]; do sleep 0.1; done
  if [ "$number" = 1 ]; then /usr/sbin/slurmctld -c; fi
  /usr/sbin/slurmd
  sleep infinity &
  while true; do wait -n || true; done
}

up() {
  if ip link show "$BRIDGE" >/dev/null 2>&1; then
    echo "there is such a Slurm already: take it down first" >&2
    exit 1
  fi
  configure
  ip link add "$BRIDGE" type bridge
  ip address add "$NET.1/24" dev "$BRIDGE"
  ip link set "$BRIDGE" up
  for i in 1 2; do
    ip netns add "lrslurm$i"
    ip link add "lrslveth$i" type veth peer name eth0 netns "lrslurm$i"
    ip link set "lrslveth$i" master "$BRIDGE" up
    ip -n "lrslurm$i" address add "$NET.1$i/24" dev eth0
    ip -n "lrslurm$i" link set eth0 up
    ip -n "lrslurm$i" link set lo up
    ip -n "lrslurm$i" route add default via "$NET.1"
    setsid ip netns exec "lrslurm$i" unshare --pid --fork --kill-child --mount-proc --mount --uts \
      bash "$0" node "$dir" "$i" "$@" >"$dir/node$i.log" 2>&1 </dev/null &
    echo $! >"$dir/node$i.pid"
  done
}

inside() {
  local first
  first=$(pgrep -P "$(cat "$dir/node$1.pid")" | head -n 1)
  shift
  exec nsenter -t "$first" -m -p -n -u "$@"
}

down() {
  for pid in "$dir"/node*.pid; do
    if [ -e "$pid" ]; then kill -9 "$(cat "$pid")" 2>/dev/null || true; fi
  done
  for i in 1 2; do
    ip netns delete "lrslurm$i" 2>/dev/null || true
    ip link delete "lrslveth$i" 2>/dev/null || true
  done
  ip link delete "$BRIDGE" 2>/dev/null || true
}

shift 2 || true
case $verb in
  up) up "$@" ;;
  node) node "$@" ;;
  in) inside "$@" ;;
  down) down ;;
  *) sed -n 2,6p "$0" && exit 2 ;;
esac
