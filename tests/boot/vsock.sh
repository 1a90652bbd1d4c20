# shellcheck shell=sh
# SPDX-License-Identifier: BSD-2-Clause
# A group of tests/boot/run-all: AF_VSOCK of stock kernels. Each byte of each stream comes back through a process that
# echoes, in the guest and on the host, and is compared: tests/boot/vsock.c.
# Command lines are guests' shell lines: they are not for the host's shell to expand.
# shellcheck disable=SC2016,SC2154

# A program that listens; then what the host orders.
talker='
ulimit -n 4096
/minivet/vsock echo vsock:1024 >/tmp/echo &
/minivet/vsock echo seq-vsock:1025 >/tmp/seq-echo &
/minivet/vsock drain vsock:1026 >/tmp/drain &
until grep -q listening /tmp/echo && grep -q listening /tmp/seq-echo && grep -q listening /tmp/drain; do sleep 0.1; done
echo cid=$(cat /sys/bus/virtio/drivers/vmw_vsock_virtio_transport/virtio*/device)
echo ready=echo
while read -r order; do
    case $order in
    off) poweroff; sleep 60 ;;
    *) /minivet/vsock $order 2>&1; echo "status=$? $order" ;;
    esac
done'

# in_guest WORDS: the program there, with them
in_guest() {
    echo "$*" >&9
    until said "^status=.* $*" || ! kill -0 "$run" 2>/dev/null; do
        sleep 0.2
    done
    said "^status=0 $*"
}

on_host() { # WORDS: the program here
    ulimit -n 4096
    timeout 200 "$program" "$@" >"$log.host" 2>&1
    code=$?
    sed 's/^/# host: /' "$log.host"
    return $code
}

no_answer() { # in the guest: the port has no listener
    ! in_guest turns vsock:99 1 && said 'vsock:99: Connection reset by peer'
}

no_port() { # of the guest
    ! on_host turns "connect:$socket:99" 1 && grep -q 'no OK' "$log.host"
}

listen() { # WORDS: the program here, until the guest has ended
    "$program" "$@" >"$log.listens" &
    listening="$listening $!"
}

run_talker() { # SERIES KEYS
    start_guest "$1" -m 512M --vsock "on,$2"
    until said '^ready=' || ! kill -0 "$run" 2>/dev/null; do
        sleep 0.2
    done
}

end_talker() { # TITLE
    tr -d '\r' <"$log" | sed -n 's/^.*\(streams of\|poured\|messages on\|there and back\)/# guest: &/p'
    echo off >&9
    await_guest
    expect "$1: and the guest lives" ended 0
    # shellcheck disable=SC2086 # several
    kill $listening
    listening=
}

# What the sockets of the host's kernel cost without a guest, for comparison.
loopback() {
    listen drain vsock:55
    listen echo vsock:56
    sleep 0.5
    on_host pour cid:1:55 16000000 && on_host turns cid:1:56 200
    # shellcheck disable=SC2086
    kill $listening
    listening=
}

# The host's kernel has the sockets.
vhost_variant() { # SERIES
    if [ ! -w /dev/vhost-vsock ]; then
        result ok "vhost=on # SKIP no /dev/vhost-vsock that may be opened"
        return
    fi
    initramfs "$1" "$talker"
    listen echo vsock:52
    listen echo seq-vsock:53
    listen drain vsock:54
    run_talker "$1" vhost=on,cid=99,transport=pci
    expect "$1, vhost: a guest's streams come back from the host" in_guest load vsock:52 100 20000
    expect "$1, vhost: the host's streams come back from the guest" on_host load cid:99:1024 100 20000
    expect "$1, vhost: and one long one" on_host load cid:99:1024 1 8000000
    expect "$1, vhost: a guest's messages come back whole" in_guest messages seq-vsock:53 5 10
    expect "$1, vhost: and the host's" on_host messages seq-cid:99:1025 5 10
    expect "$1, vhost: a byte there and back from the host" on_host turns cid:99:1024 200
    expect "$1, vhost: and from the guest" in_guest turns vsock:52 200
    expect "$1, vhost: a guest's bytes are read" in_guest pour vsock:54 16000000
    expect "$1, vhost: and the host's" on_host pour cid:99:1026 16000000
    end_talker "$1, vhost"
    [ ! -d /sys/module/vsock_loopback ] || expect "the host's own sockets" loopback
}

group_vsock() {
    program=${minivet%/*}/tests/boot-vsock
    listening=
    socket=$work/vsock
    [ -p "$work/orders" ] || mkfifo "$work/orders"
    mkdir -p "$work/cmd/minivet"
    cp "$program" "$work/cmd/minivet/vsock"
    for series in 6.1 6.12; do
        initramfs "$series" "$talker"
        case $series in
        6.1) keys=cid=77 ;;
        *) keys=transport=pci,ring=packed ;;
        esac
        listen echo "unix:${socket}_52"
        listen echo "seq-unix:${socket}_53"
        listen drain "unix:${socket}_54"
        run_talker "$series" "path=$socket,$keys"
        expect "$series: a guest's streams come back from the host" in_guest load vsock:52 200 20000
        expect "$series: and one long one" in_guest load vsock:52 1 8000000
        expect "$series: the host's streams come back from the guest" on_host load "connect:$socket:1024" 200 20000
        expect "$series: and one long one of the host's" on_host load "connect:$socket:1024" 1 8000000
        expect "$series: a guest's messages come back whole" in_guest messages seq-vsock:53 20 10
        expect "$series: and the host's" on_host messages "seq-connect:$socket.seqpacket:1025" 20 10
        expect "$series: a byte there and back from the guest" in_guest turns vsock:52 200
        expect "$series: and from the host" on_host turns "connect:$socket:1024" 200
        expect "$series: a guest's bytes are read" in_guest pour vsock:54 16000000
        expect "$series: and the host's" on_host pour "connect:$socket:1026" 16000000
        expect "$series: a port of the host at which nobody listens" no_answer
        expect "$series: a port of the guest likewise" no_port
        end_talker "$series"
        rm -f "${socket}"_5?
    done
    vhost_variant 6.12
    rm "$work/cmd/minivet/vsock"
}
