#!/usr/bin/env bash
# virtual_hosts.sh up DIR COUNT | kill DIR NUMBER | boot DIR NUMBER | down DIR
#
# Hosts 10.213.77.11, .12 ... on this machine, to bring a cluster up on: each has its own network, processes (`ray
# stop` ends every Ray process it sees), host name, home, /tmp/ray and /dev/shm, and an sshd that lets DIR/key in as
# root. They share the rest of the disk, as hosts share an NFS folder. Needs root, iproute2, openssh-server.
set -euo pipefail

readonly NET=10.213.77 BRIDGE=lrhosts
verb=${1:-}
dir=$(realpath "${2:?DIR}")

# The processes of host $1, from within its namespaces; ends with them.
host() {
  hostname "host$1"
  mount -t tmpfs tmpfs /dev/shm
  mount -t tmpfs tmpfs /tmp/ray
  mount -t tmpfs tmpfs /run && mkdir /run/sshd /run/ray
  mount --bind "$dir/home$1" /run/ray
  mount --bind "$dir/passwd" /etc/passwd
  # Every host knows the others' names, and no name server: this machine's cannot be reached, and each question waits.
  mount --bind "$dir/hosts" /etc/hosts
  mount --bind /dev/null /etc/resolv.conf
  exec /usr/sbin/sshd -D -e -f "$dir/sshd$1.conf"
}

up() {
  if ip link show "$BRIDGE" >/dev/null 2>&1; then
    echo "there are virtual hosts already: take them down first" >&2
    exit 1
  fi
  ssh-keygen -q -t ed25519 -N '' -f "$dir/key"
  ssh-keygen -q -t ed25519 -N '' -f "$dir/host_key"
  sed 's#^root:.*#root:x:0:0:root:/run/ray:/bin/bash#' /etc/passwd >"$dir/passwd"
  echo "127.0.0.1 localhost" >"$dir/hosts"
  for i in $(seq "$1"); do echo "$NET.$((10 + i)) host$i" >>"$dir/hosts"; done
  mkdir -p /tmp/ray
  ip link add "$BRIDGE" type bridge
  ip address add "$NET.1/24" dev "$BRIDGE"
  ip link set "$BRIDGE" up
  for i in $(seq "$1"); do start "$i"; done
  for i in $(seq "$1"); do await "$NET.$((10 + i))"; done
}

start() {
  local address="$NET.$((10 + $1))" space="lrhost$1"
  ip netns add "$space"
  ip link add "lrveth$1" type veth peer name eth0 netns "$space"
  ip link set "lrveth$1" master "$BRIDGE" up
  ip -n "$space" address add "$address/24" dev eth0
  # Its own for good, as a machine has one: what others know of a host that is plugged in again stays true.
  ip -n "$space" link set eth0 address "02:00:0a:d5:4d:0$1" up
  ip -n "$space" link set lo up
  # Ray takes for its own address the one it would reach the world from; without a route, 127.0.0.1.
  ip -n "$space" route add default via "$NET.1"
  mkdir -p "$dir/home$1"
  cat >"$dir/sshd$1.conf" <<END
ListenAddress $address
HostKey $dir/host_key
AuthorizedKeysFile $dir/key.pub
StrictModes no
UsePAM no
PasswordAuthentication no
PidFile none
END
  setsid ip netns exec "$space" unshare --pid --fork --kill-child --mount-proc --mount --uts \
    bash "$0" host "$dir" "$1" >"$dir/host$1.log" 2>&1 </dev/null &
  echo $! >"$dir/host$1.pid"
}

await() {
  for _ in $(seq 50); do
    if timeout 2 bash -c "exec 3<>/dev/tcp/$1/22" 2>/dev/null; then return; fi
    sleep 0.2
  done
  echo "$1 did not come up:" >&2
  cat "$dir"/host*.log >&2
  exit 1
}

# Like a pulled plug: nothing on the host is asked.
pull() {
  kill -9 "$(cat "$dir/host$1.pid")"
  rm "$dir/host$1.pid"
}

# A pulled host is plugged in again: its disk is as it was.
boot() {
  ip netns delete "lrhost$1"
  ip link delete "lrveth$1" 2>/dev/null || true
  start "$1"
  await "$NET.$((10 + $1))"
}

down() {
  local pid space link
  for pid in "$dir"/host*.pid; do
    if [ -e "$pid" ]; then kill -9 "$(cat "$pid")" 2>/dev/null || true; fi
  done
  for space in $(ip netns list | awk '/^lrhost[0-9]+/ {print $1}'); do ip netns delete "$space"; done
  # The kernel takes a dead namespace's end away some time later; this takes both at once.
  for link in $(ip -o link | grep -oE 'lrveth[0-9]+' | sort -u); do ip link delete "$link" 2>/dev/null || true; done
  if ip link show "$BRIDGE" >/dev/null 2>&1; then ip link delete "$BRIDGE"; fi
  rmdir /tmp/ray 2>/dev/null || true
  rm -rf "$dir"/key* "$dir"/host* "$dir"/sshd*.conf "$dir"/passwd
}

case $verb in
  up) up "$3" ;;
  host) host "$3" ;;
  kill) pull "$3" ;;
  boot) boot "$3" ;;
  down) down ;;
  *) sed -n 2,6p "$0" && exit 2 ;;
esac
