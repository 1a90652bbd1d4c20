# shellcheck shell=sh
# SPDX-License-Identifier: BSD-2-Clause
# A group of tests/boot/run-all: ports of the virtio console, of stock kernels. What is at their other ends comes and goes.
# Command lines are guests' shell lines: they are not for the host's shell to expand.
# shellcheck disable=SC2016,SC2154

# Ports come one by one, some after the guest's script has begun: it waits for the names of all.
# Sends back what comes by one port, answers lines of another, gives a shell by a third and writes to a fourth; the last
# three without udev.
porter='
until [ "$(cat /sys/class/virtio-ports/*/name 2>/dev/null | wc -l)" -eq 4 ]; do sleep 0.1; done
for p in /sys/class/virtio-ports/*; do
    name=$(cat "$p/name" 2>/dev/null)
    [ ! "$name" ] || ln -s "${p##*/}" "/dev/port.$name"
    echo "port=${p##*p} name=$name"
done
exec 3<>/dev/port.echo 4<>/dev/port.org.lines-0
while :; do cat <&3 >&3; sleep 0.1; done &
while :; do
    heard=
    while read -r line; do
        heard=1
        echo "heard $line" >/dev/console
        echo "answer to $line"
    done <&4 >&4
    [ ! "$heard" ] || echo "nobody at lines" >/dev/console
    sleep 0.1
done &
(until p=$(grep -lx late /sys/class/virtio-ports/*/name 2>/dev/null); do sleep 0.1; done
p=${p%/name}
exec 5<>"/dev/${p##*/}"
echo late=here >/dev/console
until read -r line <&5; do sleep 0.1; done
echo "answer to $line" >&5
while grep -qx late /sys/class/virtio-ports/*/name 2>/dev/null; do sleep 0.1; done
echo late=gone >/dev/console) &
setsid sh -c "exec sh </dev/hvc1 >/dev/hvc1 2>&1" &
echo written by the guest >/dev/port.log
echo ready=ports
read -r order
poweroff
sleep 60'

at_port() { # TEXT: a line there, and its answer
    on_host say "port:$work/lines" "$1" && grep -qx "answer to $1" "$log.host"
}

# hears PATTERN: the guest says so, before long
hears() {
    for try in $(seq 300); do
        ! said "$1" || return 0
        sleep 0.1
    done
    echo "# not after $try looks"
    return 1
}

late_answers() {
    on_host say "port:$work/late" late && grep -qx 'answer to late' "$log.host"
}

by_shell() { # that the guest has at its second terminal
    exec 8<>"$work/tty"
    echo 'echo sum=$((40 + 2))' >&8
    timeout 30 grep -m 1 -q 'sum=42' <&8
    code=$?
    exec 8>&-
    return $code
}

by_console() { # `minivet console` at a port, for a line
    : >"$work/console"
    echo by console | "$minivet" console "$work/ctl" org.lines-0 >"$work/console" 2>&1 &
    pid=$!
    until_it grep -qx 'answer to by console' "$work/console"
    kill "$pid"
    grep -qx 'answer to by console' "$work/console" || { sed 's/^/# /' "$work/console"; false; }
}

group_ports() {
    program=${minivet%/*}/tests/boot-vsock
    [ -p "$work/orders" ] || mkfifo "$work/orders"
    for series in 6.1 6.12; do
        initramfs "$series" "$porter"
        case $series in
        6.1) keys=transport=mmio ;;
        *) keys=transport=pci,ring=packed ;;
        esac
        rm -f "$work/port.log"
        start_guest "$series" --console "virtio,$keys" --port "echo,listen=$work/echo" \
            --port "org.lines-0,listen=$work/lines" --port "shell,pty=$work/tty,console=on" \
            --port "log,file=$work/port.log"
        until said '^ready=' || ! kill -0 "$run" 2>/dev/null; do
            sleep 0.2
        done
        for name in '0 name=' '1 name=echo' '2 name=org.lines-0' '3 name=shell' '4 name=log'; do
            expect "$series: the guest has port $name" said "^port=$name$"
        done
        expect "$series: a line and its answer" at_port one
        expect "$series: and of a process that comes later" at_port two
        expect "$series: the guest knows when it has left" said '^nobody at lines$'
        expect "$series: and of minivet console" by_console
        expect "$series: 10 MiB and back, each byte right" on_host load "port:$work/echo" 1 10485760
        expect "$series: and again" on_host load "port:$work/echo" 1 1000000
        expect "$series: a byte there and back" on_host turns "port:$work/echo" 200
        expect "$series: a shell at the second terminal" by_shell
        expect "$series: a file has what was written" grep -qx 'written by the guest' "$work/port.log"
        expect "$series: lines still have answers" at_port three
        "$minivet" ctl "$work/ctl" port-add "late,listen=$work/late"
        expect "$series: a port that comes late" hears '^late=here$'
        expect "$series: carries a line and its answer" late_answers
        "$minivet" ctl "$work/ctl" port-remove late
        expect "$series: and goes again" hears '^late=gone$'
        expect "$series: with its socket" test ! -e "$work/late"
        echo off >&9
        await_guest
        expect "$series: and the guest lives" ended 0
        expect "$series: nothing is left at the paths" test ! -e "$work/lines" -a ! -L "$work/tty"
    done
}
