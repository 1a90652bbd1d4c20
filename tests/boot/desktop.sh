# shellcheck shell=sh
# SPDX-License-Identifier: BSD-2-Clause
# A group of tests/boot/run-all: Debian's generic kernels, which have a driver for virtio-gpu. What guest-images/screen.c
# draws in each way must be on the screenshot, pixel by pixel, and what is typed and clicked must come as events.
# Command lines are guests' shell lines: they are not for the host's shell to expand.
# shellcheck disable=SC2016,SC2154

# Linux 6.1 shows nothing of a row that is written to /dev/fb0 by itself.
screen_work='
dmesg -n 1
echo fb=$(cat /proc/fb)
card=/sys/class/drm/card0-Virtual-1
echo connector=$(cat $card/status), $(head -n 1 $card/modes), $(wc -c <$card/edid) bytes
echo features=$(cat /sys/bus/virtio/drivers/virtio_gpu/virtio*/features)
echo 0 >/sys/class/graphics/fbcon/cursor_blink
printf "\033[?25l\033[2J" >/dev/tty1
echo ready=clear; read go
echo "a console" >/dev/tty1
echo ready=text; read go
screen pattern 640 480 1 >/tmp/pattern
cat /tmp/pattern >/dev/fb0
echo ready=fb0; read go
screen mode 800 600 2
echo mode=$?
for device in /sys/class/input/event*; do
    case $(cat $device/device/name) in
    *keyboard) screen events /dev/input/${device##*/} 1 >/tmp/keys & ;;
    *tablet) screen events /dev/input/${device##*/} 274 >/tmp/pointer & ;;
    esac
done
until grep -qs listening /tmp/keys && grep -qs listening /tmp/pointer; do sleep 0.1; done
echo ready=input; wait
sed "s/^/key: /" /tmp/keys
sed "s/^/pointer: /" /tmp/pointer
poweroff; sleep 60'

ready() { # NAME: the guest is, or it is gone
    until said "^ready=$1" || ! kill -0 "$run" 2>/dev/null; do
        sleep 0.5
    done
}

# screen NAME TEST...: once the guest is ready, screenshots until one of them passes the test, for which NAME.seen is left:
# drivers show things a moment later.
screen() {
    name=$1
    shift
    ready "$name"
    tries=0
    while kill -0 "$run" 2>/dev/null && [ $tries -lt 40 ]; do
        "$minivet" ctl "$work/ctl" screenshot "$work/$name.png"
        "$@" && : >"$work/$name.seen" && break
        tries=$((tries + 1))
        sleep 0.5
    done
    echo go >&9
}

differs() { # NAME: from that screenshot
    ! cmp -s "$work/$1.png" "$work/$name.png"
}

pattern() { # ARGUMENT...: of boot-picture
    "${minivet%/*}/tests/boot-picture" "$@" | cmp -s - "$work/$name.png"
}

use_screen() { # SERIES OPTION...
    rm -f "$work"/*.png "$work"/*.seen
    start_guest "$@" --gpu on,size=640x480 --input keyboard,tablet --stats
    screen clear true
    screen text differs clear
    screen fb0 pattern 640 480 1
    screen mode pattern 800 600 2
    screen changed pattern 800 600 2 changed
    ready input
    for command in 'type a-B' 'sendkey ctrl-shift-home' 'mouse 25% 75%' 'click left' 'mouse 50% 25%' 'click right' \
        'sendkey esc' 'click middle'; do
        # Words without blanks.
        # shellcheck disable=SC2086
        "$minivet" ctl "$work/ctl" $command
    done
    await_guest
}

# events KIND EVENT...: these came from the device, in this order; `.` ends a report. The guest's kernel repeats a key (2)
# that is held down, which may be long for a slow guest.
events() {
    kind=$1
    shift
    printf '%s\n' listening "$@" | sed 's/^\.$/0 0 0/' >"$work/events"
    tr -d '\r' <"$log" | sed -n "s/^$kind: //p" | grep -v -e '^1 .* 2$' -e '^0 0 1$' >"$work/came"
    cmp "$work/events" "$work/came"
}

# Codes as in linux/input-event-codes.h: a, minus, left shift with b; left control, left shift, home; escape.
keys_typed() {
    events key '1 30 1' . '1 30 0' . '1 12 1' . '1 12 0' . '1 42 1' . '1 48 1' . '1 48 0' . '1 42 0' . \
        '1 29 1' . '1 42 1' . '1 102 1' . '1 102 0' . '1 42 0' . '1 29 0' . '1 1 1' . '1 1 0' .
}

# Positions are parts of 32767; buttons begin with 272.
pointer_used() {
    events pointer '3 0 8191' '3 1 24575' . '1 272 1' . '1 272 0' . '3 0 16383' '3 1 8191' . '1 273 1' . '1 273 0' . \
        '1 274 1' . '1 274 0' .
}

screen_is_used() { # SERIES TRANSPORT RING
    on="$1, $2, $3"
    attempts use_screen "$1" --virtio "transport=$2,ring=$3"
    expect "$on: runs" ended 0
    expect "$on: the ring is asked for" negotiated 34 "$([ "$3" = packed ] && echo 1 || echo 0)"
    expect "$on: fbcon is on virtio-gpu" said '^fb=0 virtio_gpudrmfb'
    expect "$on: the monitor has an EDID" said '^connector=connected, 640x480, 128 bytes'
    expect "$on: the console is seen" [ -e "$work/text.seen" ]
    expect "$on: what /dev/fb0 is given is seen" [ -e "$work/fb0.seen" ]
    expect "$on: a mode of a program's is seen" [ -e "$work/mode.seen" ]
    expect "$on: so is what it changes" [ -e "$work/changed.seen" ]
    expect "$on: its cursor is set and moved" said 'gpu +1 +[a-z]+ +[2-9]'
    expect "$on: all keys come in order" keys_typed
    expect "$on: so do positions and buttons" pointer_used
}

# has_kernel SERIES: it was fetched; else the tests are skipped.
has_kernel() {
    [ ! -e "$images/$1/initramfs.gz" ] || return 0
    result ok "a display, $1 # SKIP no such kernel: guest-images/build initramfs --series $1"
    return 1
}

# What is typed at the screen reaches the shell there, while the command runs.
use_shell() {
    : >"$log"
    rm -rf "$work/frames"
    tools/run-linux --kernel-series "$series" --cpus 1 --timeout 120s --disk none --net none --display png="$work/frames" --input keyboard \
        --ctl "$work/ctl" -- 'echo ready=shell; until [ -e /tmp/typed ]; do sleep 0.2; done
        cat /proc/fb /tmp/typed; exit 5' >"$log" 2>&1 </dev/null &
    run=$!
    ready shell
    "$minivet" ctl "$work/ctl" type 'tty >/tmp/typing; mv /tmp/typ*g /tmp/typed'
    "$minivet" ctl "$work/ctl" sendkey ret
    wait "$run"
    status=$?
}

group_desktop() {
    [ -p "$work/orders" ] || mkfifo "$work/orders"
    for one in 'generic-6.1 pci split' 'generic-6.1 pci packed' 'generic-6.1 mmio split' 'generic-6.1 mmio packed' \
        'generic-6.12 pci split' 'generic-6.12 mmio packed'; do
        # Words without blanks.
        # shellcheck disable=SC2086
        set -- $one
        has_kernel "$1" || continue
        initramfs "$1" "$screen_work"
        screen_is_used "$@"
    done
    # A framebuffer is there first, and gives way.
    for series in generic-6.1 generic-6.12; do
        has_kernel "$series" || continue
        want=5
        attempts use_shell
        want=
        expect "run-linux --display, $series: ends with the command's status" ended 5
        expect "run-linux --display, $series: the screen is virtio-gpu's alone" said '^0 virtio_gpudrmfb'
        expect "run-linux --display, $series: a shell hears what is typed there" said '^/dev/tty1'
        expect "run-linux --display, $series: it is seen" larger 1000 "$work/frames/0-000000.png"
    done
}

# retry_until NAME COMMAND...: again and again, until the guest says that it came: a program that has just begun does not hear.
retry_until() {
    awaited=$1
    shift
    until said "^ready=$awaited" || ! kill -0 "$run" 2>/dev/null; do
        "$@"
        sleep 2
    done
}

type_to_shell() {
    "$minivet" ctl "$work/ctl" type 'tty >/tmp/typing; mv /tmp/typ*g /tmp/typed'
    "$minivet" ctl "$work/ctl" sendkey ret
}

# Wherever weston puts a window of 800x600 pixels, the middle of the screen is in it.
use_x11() {
    "$minivet" ctl "$work/ctl" mouse 50% 50%
    "$minivet" ctl "$work/ctl" sendkey x
    "$minivet" ctl "$work/ctl" click left
}

click_on_panel() {
    "$minivet" ctl "$work/ctl" mouse 2% 2%
    "$minivet" ctl "$work/ctl" click left
}

# A terminal hears what is typed, an X11 program keys and clicks; a click on the panel's button opens another terminal.
use_weston() {
    : >"$log"
    rm -rf "$work/frames"
    tools/run-linux --desktop --cpus 2 --timeout 120s --disk none --net none --display png="$work/frames" --ctl "$work/ctl" \
        -- 'until pidof weston-terminal >/dev/null; do sleep 1; done; echo ready=terminal
        until [ -e /desktop/tmp/typed ]; do sleep 1; done; echo ready=typed
        cd /desktop/tmp
        until grep -qs "keysym 0x78, x" events && grep -qs ^ButtonPress events; do sleep 1; done; echo ready=x11
        until set -- $(pidof weston-terminal) && [ $# -gt 1 ]; do sleep 1; done; echo ready=panel
        cat typed; exit 5' >"$log" 2>&1 </dev/null &
    run=$!
    ready terminal
    retry_until typed type_to_shell
    "$minivet" ctl "$work/ctl" type 'xev -geometry 800x600 >/tmp/events'
    "$minivet" ctl "$work/ctl" sendkey ret
    retry_until x11 use_x11
    "$minivet" ctl "$work/ctl" screenshot "$work/weston.png"
    retry_until panel click_on_panel
    wait "$run"
    status=$?
}

group_weston() {
    has_kernel generic-6.1 || return 0
    if [ ! -e "$images/desktop.ext4" ]; then
        result ok "weston # SKIP no such disk: guest-images/build desktop"
        return
    fi
    want=5
    attempts use_weston
    want=
    expect "run-linux --desktop: ends with the command's status" ended 5
    expect "run-linux --desktop: a shell in the terminal hears what is typed" said '^/dev/pts/'
    # A blank picture of this size has 15 kB.
    expect "run-linux --desktop: an X11 program hears keys and clicks" said '^ready=x11'
    expect "run-linux --desktop: it is seen" larger 20000 "$work/weston.png"
}
