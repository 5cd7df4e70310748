#!/usr/bin/env bash
# A real `systemd --user` and a real session bus, in namespaces of their own: nothing of the machine's systemd is needed or touched.
#   user-manager.sh BIN UNITS SCRIPT...    as root. BIN has buttplugd and buttplugctl, UNITS our unit files; SCRIPT runs in the session.
# Exit status 77: the machine does not allow namespaces.
set -euo pipefail

if [ "${1:-}" != --inner ]; then
    unshare --mount --pid --fork --mount-proc --uts --ipc true 2>/dev/null || exit 77
    group=buttplugd-test.$$
    # Of whichever layout the cgroups are: the manager needs a branch of its own.
    for root in /sys/fs/cgroup/systemd /sys/fs/cgroup/unified /sys/fs/cgroup; do
        [ -e "$root/cgroup.procs" ] && mkdir "$root/$group" 2>/dev/null || true
    done
    status=0
    GROUP=$group unshare --mount --pid --fork --mount-proc --uts --ipc --kill-child bash "$0" --inner "$@" || status=$?
    find /sys/fs/cgroup -depth -type d -path "*/$group*" -exec rmdir {} + 2>/dev/null || true
    exit "$status"
fi
shift
bin=$1 units=$2
shift 2

for root in /sys/fs/cgroup/systemd /sys/fs/cgroup/unified /sys/fs/cgroup; do
    [ -e "$root/$GROUP/cgroup.procs" ] && echo $$ >"$root/$GROUP/cgroup.procs" || true
done
[ -e /dev/kmsg ] && mount --bind /dev/null /dev/kmsg
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /home
# By its existence systemd knows that it is what the machine was started with.
mkdir -p /run/systemd/system /run/bin /home/tester /run/user/0
chmod 700 /run/user/0
# What hides files from services; a machine's first process makes these.
hidden=/run/systemd/inaccessible
mkdir -p $hidden/dir && touch $hidden/reg && mkfifo $hidden/fifo && mknod $hidden/chr c 0 0 && mknod $hidden/blk b 0 0
chmod 000 $hidden/*
# PrivateTmp hides programs under /tmp, and the source tree may be there.
cp "$bin/buttplugd" "$bin/buttplugctl" /run/bin/
export HOME=/home/tester XDG_RUNTIME_DIR=/run/user/0 DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/0/bus PATH=/run/bin:$PATH
export XDG_CONFIG_HOME=$HOME/.config XDG_DATA_HOME=$HOME/.local/share XDG_STATE_HOME=$HOME/.local/state
unset XDG_CONFIG_DIRS XDG_DATA_DIRS DBUS_SYSTEM_BUS_ADDRESS NOTIFY_SOCKET
mkdir -p "$XDG_CONFIG_HOME/systemd/user" "$XDG_CONFIG_HOME/buttplugd" "$XDG_DATA_HOME/dbus-1/services" "$XDG_STATE_HOME"
printf '[simulated]\nenabled = true\n[transports]\nbluetooth = false\nserial = false\nhid = false\n' >"$XDG_CONFIG_HOME/buttplugd/buttplugd.toml"
for unit in "$units"/buttplugd*.service "$units"/buttplugd*.socket; do
    sed 's,^ExecStart=/usr/bin/,ExecStart=/run/bin/,' "$unit" >"$XDG_CONFIG_HOME/systemd/user/${unit##*/}"
done
cp "$units"/org.buttplugd.*.service "$XDG_DATA_HOME/dbus-1/services/"

find_program() { for one in "/usr/lib/systemd/$1" "/lib/systemd/$1"; do [ -x "$one" ] && echo "$one" && return; done; }
mkdir -p /run/systemd/journal /run/log/journal
"$(find_program systemd-journald)" 2>/run/journald.log &
"$(find_program systemd)" --user --log-level=notice --log-target=console --unit=basic.target 2>/run/manager.log &
manager=$!
for _ in $(seq 200); do
    systemctl --user is-system-running 2>/dev/null | grep -qE 'running|degraded' && break
    sleep 0.02
done
systemctl --user start dbus.socket
status=0
"$@" || status=$?
if [ "$status" -ne 0 ]; then
    journalctl --no-pager -o cat -n 60 2>/dev/null | tail -60 >&2 || true
    tail -n 30 /run/manager.log >&2
fi
systemctl --user exit 2>/dev/null || true
wait "$manager" || true
exit "$status"
