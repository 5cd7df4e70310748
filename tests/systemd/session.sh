#!/usr/bin/env bash
# What the units promise, tried in the session of user-manager.sh. Prints a line a promise and fails at the first that is broken.
set -euo pipefail

service=buttplugd.service
property() { systemctl --user show --property "$1" --value "$service"; }
kept() { echo "kept: $*"; }
broken() { echo "broken: $*" >&2; exit 1; }
is() { [ "$(property "$1")" = "$2" ] || broken "$3: $1 is $(property "$1"), not $2"; }
# Waits for a condition, with a limit.
until_true() { for _ in $(seq 250); do "$@" && return; sleep 0.04; done; broken "never came true: $*"; }

systemctl --user start buttplugd.socket
is ActiveState inactive "before anyone connects"
buttplugctl list >/dev/null || broken "a client that connects starts the service"
is ActiveState active "after a client connected"
[ -n "$(property StatusText)" ] || broken "the service says that it is ready, and how it is"
kept "the socket starts the service, which says when it is ready"

# The state folder is $XDG_CONFIG_HOME/buttplugd/state for a systemd older than 254, $XDG_STATE_HOME/buttplugd/state for others.
state=$XDG_STATE_HOME/buttplugd/state
[ -d "$state" ] || state=$XDG_CONFIG_HOME/buttplugd/state
buttplugctl scan --for 500ms >/dev/null 2>&1
[ -s "$state/devices.toml" ] || broken "devices keep their indexes in $state"
buttplugctl output 0 50% >/dev/null 2>&1 &
client=$!
# The journal has a line `+N` for each start of device N, and a line `-N` for its rest.
runs() { [ -e "$state/running" ] && [ "$(grep -c '^+' "$state/running")" -gt "$(grep -c '^-' "$state/running")" ]; }
until_true runs
kept "state is kept in $state"

pid=$(property MainPID)
inside=/proc/$pid/root
for place in "$HOME/x" "$XDG_CONFIG_HOME/buttplugd/x" "$XDG_CONFIG_HOME/systemd/user/x" /etc/x /usr/x /run/user/0/x; do
    if touch "$inside$place" 2>/dev/null; then broken "the sandbox lets the service write to $place"; fi
done
for place in "$state/x" /run/user/0/buttplugd/x; do
    touch "$inside$place" || broken "the service cannot write to $place"
    rm "$inside$place"
done
grep -q '^NoNewPrivs:.*1' "/proc/$pid/status" || broken "NoNewPrivileges"
grep -q '^Seccomp:.*2' "/proc/$pid/status" || broken "SystemCallFilter"
[ "$(readlink "/proc/$pid/ns/user")" != "$(readlink /proc/self/ns/user)" ] || broken "PrivateUsers"
kept "the service can write where it must, and nowhere else"

systemctl --user stop "$service" 2>/dev/null
is Result success "after a stop"
is ExecMainStatus 0 "after a stop"
wait "$client" || true
! runs || broken "a stop left a device running"
kept "systemctl stop ends the service cleanly, and what ran is stopped"

busctl --user call org.buttplugd.Buttplug1 /org/buttplugd/Buttplug1 org.buttplugd.Buttplug1.Server Stop >/dev/null ||
    broken "a call on the bus starts the service"
is ActiveState active "after a call on the bus"
kept "the bus starts the service through its unit"

mkdir -p "$XDG_CONFIG_HOME/systemd/user/$service.d"
printf '[Service]\nWatchdogSec=1s\nRestartSec=100ms\n' >"$XDG_CONFIG_HOME/systemd/user/$service.d/fast.conf"
systemctl --user daemon-reload
systemctl --user restart "$service"
restarts=$(property NRestarts)
for _ in 1 2 3; do
    last=$(property WatchdogTimestampMonotonic)
    later() { [ "$(property WatchdogTimestampMonotonic)" != "$last" ]; }
    until_true later
done
is NRestarts "$restarts" "while the watchdog looks"
kept "the watchdog hears of the service in time"

systemctl --user kill --kill-whom=main --signal=ABRT "$service"
restarted() { [ "$(property NRestarts)" -gt "$restarts" ] && [ "$(property ActiveState)" = active ]; }
until_true restarted
buttplugctl list >/dev/null || broken "the service serves again after a crash"
kept "after a crash the service is started again"

systemctl --user reload "$service"
# The service hears the signal after the command has returned, and says itself when it is reloading and when it is ready again.
active() { [ "$(property ActiveState)" = active ]; }
until_true active
systemctl --user stop buttplugd.socket "$service"
kept "a reload is survived"
