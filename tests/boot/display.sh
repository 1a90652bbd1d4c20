# shellcheck shell=sh
# SPDX-License-Identifier: BSD-2-Clause
# A group of tests/boot/run-all: pictures of stock kernels without a driver of a display, which draw in the framebuffer.
# Command lines are guests' shell lines: they are not for the host's shell to expand.
# shellcheck disable=SC2016,SC2154

drawing='
echo graphics=$(ls /sys/class/graphics)
echo 0 >/sys/class/graphics/fbcon/cursor_blink
dd if=/dev/zero of=/dev/fb0 bs=4096 count=768 2>/dev/null
echo ready=blank; read go
dd if=/dev/urandom of=/dev/fb0 bs=4096 count=768 2>/dev/null
echo ready=noise; read go
poweroff; sleep 60'

# picture NAME: once the guest has drawn it
picture() {
    until said "^ready=$1" || ! kill -0 "$run" 2>/dev/null; do
        sleep 0.5
    done
    "$minivet" ctl "$work/ctl" screenshot "$work/$1.png"
    echo go >&9
}

# start_guest SERIES OPTION...: a guest in the background, to which orders are written.
start_guest() {
    series=$1
    shift
    : >"$log"
    "$minivet" run "$images/$series/vmlinuz" -i "$work/initrd" -a quiet --timeout 120s --ctl "$work/ctl" "$@" \
        >"$log" 2>&1 <"$work/orders" &
    run=$!
    # Not only for writing: that would wait for a reader, which may have gone.
    exec 9<>"$work/orders"
}

await_guest() {
    wait "$run"
    status=$?
    exec 9>&-
}

boot_and_draw() { # SERIES
    rm -rf "$work/frames" "$work/blank.png" "$work/noise.png"
    start_guest "$1" --display png="$work/frames"
    picture blank
    picture noise
    await_guest
}

larger() { # BYTES FILE
    [ "$(wc -c <"$2")" -gt "$1" ]
}

smaller() { # BYTES FILE
    [ "$(wc -c <"$2")" -lt "$1" ]
}

group_display() {
    [ -p "$work/orders" ] || mkfifo "$work/orders"
    for series in 6.1 6.12; do
        initramfs $series "$drawing"
        attempts boot_and_draw $series
        expect "a framebuffer, $series: runs" ended 0
        expect "a framebuffer, $series: the kernel has it" said '^graphics=.*fb0 fbcon'
        # What does not change packs well, and what is random does not.
        expect "a framebuffer, $series: what is blank is shown" smaller 20000 "$work/blank.png"
        expect "a framebuffer, $series: so is what is drawn" larger 2000000 "$work/noise.png"
        expect "a framebuffer, $series: its frames are files" larger 1000 "$work/frames/0-000000.png"
    done
}
