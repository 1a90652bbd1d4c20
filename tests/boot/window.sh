# shellcheck shell=sh
# SPDX-License-Identifier: BSD-2-Clause
# A group of tests/boot/run-all: a stock kernel seen through windows of an X server, Minivet's own and that of a VNC
# client. A person is xdotool; what the X server has on its screen must be what guest-images/screen.c draws, pixel by pixel.
# Command lines are guests' shell lines: they are not for the host's shell to expand.
# shellcheck disable=SC2016,SC2154

# A shell on the screen, a button, and a mode as large as the window; the last two orders come when the window is gone.
# The console of a screen that grows stays as it is, and drops modes that are larger, until the connector is probed again.
window_work='
dmesg -n 1
until ps | grep -q "[s]h -l"; do sleep 0.2; done
echo ready=shell
until [ -e /tmp/typed ]; do sleep 0.2; done
echo typed=$(cat /tmp/typed)
for device in /sys/class/input/event*; do
    ! grep -q tablet $device/device/name || tablet=/dev/input/${device##*/}
done
screen button 640 480 1 $tablet
echo ready=resize
connector=/sys/class/drm/card0-Virtual-1
until echo detect >$connector/status; set -- $(head -n 1 $connector/modes | tr x " "); [ ${1:-640} != 640 ]; do
    sleep 0.2
done
echo size=$1x$2
screen mode $1 $2 2
echo alone=$?
poweroff; sleep 60'

start_x_server() {
    rm -rf "$work/x"
    mkdir "$work/x"
    Xvfb -displayfd 7 -screen 0 1024x768x24 -fbdir "$work/x" -nolisten tcp 7>"$work/x/number" 2>"$work/x/log" &
    x_server=$!
    until [ -s "$work/x/number" ] || ! kill -0 "$x_server" 2>/dev/null; do
        sleep 0.2
    done
    DISPLAY=:$(cat "$work/x/number")
    export DISPLAY
}

# await_window: sets $window; its title begins with the guest's name. There is no window manager to give it the focus.
await_window() {
    until window=$(xdotool search --onlyvisible --name '^vmlinuz' 2>/dev/null) || ! kill -0 "$run" 2>/dev/null; do
        sleep 0.5
    done
    xdotool windowfocus "$window"
}

# look NAME ARGUMENT...: once the guest is ready, until the window has what boot-picture makes of the arguments, for which
# NAME.seen is left. The pointer is outside of the window meanwhile.
look() {
    name=$1
    shift
    ready "$name"
    xdotool mousemove 1020 760
    "${minivet%/*}/tests/boot-picture" "$@" >"$work/x/expected"
    tries=0
    while kill -0 "$run" 2>/dev/null && [ $tries -lt 40 ]; do
        eval "$(xdotool getwindowgeometry --shell "$window")"
        "${minivet%/*}/tests/boot-picture" part "$X" "$Y" "$1" "$2" <"$work/x/Xvfb_screen0" >"$work/x/seen"
        cmp -s "$work/x/expected" "$work/x/seen" && : >"$work/$name.seen" && break
        tries=$((tries + 1))
        sleep 0.5
    done
}

use_window() { # DISPLAY [VIEWER...]
    rm -f "$work"/*.seen
    start_x_server
    start_guest generic-6.1 -a 'quiet shell=tty1' --gpu on,size=640x480 --input keyboard,tablet --display "$1"
    shift
    ready shell
    [ $# -eq 0 ] || "$@" >"$work/x/viewer" 2>&1 &
    await_window
    xdotool type --delay 50 'tty >/tmp/typing; mv /tmp/typ*g /tmp/typed'
    xdotool key Return
    look button 640 480 1
    xdotool mousemove --window "$window" 300 300 click 1
    xdotool mousemove --window "$window" 120 60 click 1
    look changed 640 480 1 changed
    echo go >&9
    ready resize
    xdotool windowsize "$window" 800 600
    look mode 800 600 2
    kill -KILL "$x_server"
    wait "$x_server" 2>/dev/null
    printf 'go\ngo\n' >&9
    await_guest
}

window_is_used() { # NAME DISPLAY [VIEWER...]
    on=$1
    shift
    attempts use_window "$@"
    expect "$on: a shell on the screen hears what is typed" said '^typed=/dev/tty1'
    expect "$on: what the guest draws is seen" [ -e "$work/button.seen" ]
    expect "$on: a click beside a program's button is no click on it" [ "$(grep -c '^missed' "$log")" -eq 1 ]
    expect "$on: a click on it changes what is seen" [ -e "$work/changed.seen" ]
    expect "$on: the guest's preferred mode has the window's size" said '^size=800x600'
    expect "$on: a mode of that size is seen" [ -e "$work/mode.seen" ]
    expect "$on: without the X server the guest goes on" said '^alone=0'
    expect "$on: and ends as it wants" ended 0
}

# lacks NAME TOOL...: one of them is not there; the tests are skipped.
lacks() {
    on=$1
    shift
    for tool; do
        command -v "$tool" >/dev/null || ! result ok "$on # SKIP no $tool: tools/setup test" || return 0
    done
    return 1
}

group_window() {
    has_kernel generic-6.1 || return 0
    [ -p "$work/orders" ] || mkfifo "$work/orders"
    initramfs generic-6.1 "$window_work"
    lacks "a window" Xvfb xdotool || window_is_used "a window" sdl
    lacks "a VNC client" Xvfb xdotool xtigervncviewer ||
        window_is_used "a VNC client" vnc=:9 xtigervncviewer -NoJPEG=1 -RemoteResize=1 127.0.0.1:9
}
