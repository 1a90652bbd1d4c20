# shellcheck shell=sh
# SPDX-License-Identifier: BSD-2-Clause
# A group of tests/boot/run-all: memory that Linux gives back is the host's, and it may have it again.
# Command lines are guests' shell lines: they are not for the host's shell to expand.
# shellcheck disable=SC2016,SC2154

# Uses memory when it is told to, and lets go of it.
hoarder='
while read -r order; do
    case $order in
    fill) mount -t tmpfs -o size=100% none /mnt; dd if=/dev/urandom of=/mnt/f bs=1M count=256 2>/dev/null ;;
    free) rm /mnt/f; umount /mnt ;;
    off) poweroff; sleep 60 ;;
    esac
    echo ready=$order
done'

# order NAME: and waits until it is done
order() {
    before=$(tr -d '\r' <"$log" | grep -c "^ready=$1")
    echo "$1" >&9
    until [ "$(tr -d '\r' <"$log" | grep -c "^ready=$1")" -gt "$before" ] || ! kill -0 "$run" 2>/dev/null; do
        sleep 0.2
    done
}

resident() { # MiB that Minivet uses
    awk '/^VmRSS/ { print int($2 / 1024) }' "/proc/$run/status"
}

balloon() { # [SIZE]
    "$minivet" ctl --json "$work/ctl" balloon "$@"
}

# becomes LESS|MORE MIB: what Minivet uses does so, before long
becomes() {
    for try in $(seq 60); do
        mib=$(resident)
        case $1 in
        less) [ "${mib:-0}" -ge "$2" ] || break ;;
        more) [ "${mib:-0}" -le "$2" ] || break ;;
        esac
        sleep 0.5
    done
    echo "# Minivet has $mib MiB"
    [ "$try" -lt 60 ]
}

# has_left BYTES: the guest comes to have so much
has_left() {
    for try in $(seq 60); do
        balloon >"$log.balloon"
        ! grep -q "\"guest_bytes\":.$1," "$log.balloon" || ! grep -q '"driver":.true' "$log.balloon" || return 0
        sleep 0.5
    done
    sed 's/^/# /' "$log.balloon"
    return 1
}

run_hoarder() { # KEYS
    start_guest "$series" -m 512M --balloon "on$1"
    until said '^ready=' || ! kill -0 "$run" 2>/dev/null; do
        sleep 0.2
    done
}

group_balloon() {
    [ -p "$work/orders" ] || mkfifo "$work/orders"
    for series in 6.1 6.12; do
        initramfs "$series" "echo ready=shell; $hoarder"
        run_hoarder ",transport=pci"
        expect "$series: the guest says what it has" has_left 536870912
        order fill
        expect "$series: a guest's memory is the host's" becomes more 256
        order free
        expect "$series: pages that are free go back by themselves" becomes less 256
        echo off >&9
        await_guest
        expect "$series: and the guest lives" ended 0

        run_hoarder ",reporting=off,size=384M,ring=packed"
        expect "$series: less from the start" has_left 402653184
        order fill
        order free
        expect "$series: without reports the pages stay" becomes more 256
        balloon 128M >/dev/null
        expect "$series: the balloon takes them" has_left 134217728
        expect "$series: and the host has them" becomes less 200
        balloon >/dev/null
        balloon >"$log.stats"
        expect "$series: the guest tells its statistics" grep -q '"available_bytes"' "$log.stats"
        balloon 512M >/dev/null
        expect "$series: and the guest gets all back" has_left 536870912
        order fill
        expect "$series: which it can use" becomes more 256
        echo off >&9
        await_guest
        expect "$series: and lives on" ended 0
    done
}
