# shellcheck shell=sh
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck disable=SC2154,SC2016 # what run-all sets; what guests' shells expand
# tools/run-linux as its user has it: a terminal whose keys reach the guest's programs, on both consoles, and streams
# where there is no terminal; and what is left of it after a signal. Sourced by tests/boot/run-all.

# Until then the guest was at work, or it is gone.
heard() { # PATTERN: the guest printed a line like it
    until said "$1" || ! kill -0 "$session" 2>/dev/null; do
        sleep 0.2
    done
}

prompted() { # the guest's shell waits for a line; it may have asked the terminal where the cursor is
    until tail -n 1 "$log" | tr -d '\033' | grep -q '# \(\[6n\)*$' || ! kill -0 "$session" 2>/dev/null; do
        sleep 0.2
    done
}

keys() {
    printf "$1" >&9
}

# on_terminal ARG...: run-linux has a terminal, whose keys are typed by `keys`.
on_terminal() {
    : >"$log"
    script -qefc "tools/run-linux --cpus 1 --timeout 120s --disk none --net none $*" /dev/null >"$log" 2>&1 <"$work/typing" &
    session=$!
    # Not only for writing: that would wait for a reader, which may have gone.
    exec 9<>"$work/typing"
}

terminal_ends() {
    wait "$session"
    status=$?
    exec 9>&-
}

# What programs print differs from what the shell echoes of their command lines.
shell_session() { # CONSOLE
    on_terminal --console "$1"
    prompted && keys "tty; sh -c 'echo run-\$((1)); exec sleep 1000'\r"
    heard '^run-1' && keys '\003'
    prompted && keys 'echo int=$?\r'
    heard '^int=' && prompted && keys "sh -c 'echo run-\$((2)); exec tr a-z A-Z'\r"
    heard '^run-2' && keys '\032'
    heard Stopped && prompted && keys 'fg\r'
    heard '^sh -c' && keys 'two\n'
    heard '^TWO' && keys '\034'
    prompted && keys 'echo quit=$?\r'
    heard '^quit=' && prompted && keys "sh -c 'echo run-\$((3)); exec cat'; echo eof=\$?\r"
    heard '^run-3' && keys 'line\r\004'
    heard '^eof=' && prompted && keys '\001pgrep Ged /proc/interrupts\r'
    heard 'ACPI:Ged' && prompted && keys 'exit\r'
    terminal_ends
}

command_session() {
    on_terminal -- "'echo run-\$((1)); exec sleep 1000'"
    heard '^run-1' && keys '\003'
    terminal_ends
}

# alone MARK: no process is left of what began with RUN_LINUX=MARK in its environment; after a minute it is an error.
alone() {
    tries=0
    while [ $tries -lt 60 ]; do
        left=
        for process in /proc/[0-9]*; do
            if tr '\0' '\n' 2>/dev/null <"$process/environ" | grep -qx "RUN_LINUX=$1"; then
                left="$left ${process#/proc/}"
            fi
        done
        [ "$left" ] || return 0
        sleep 1
        tries=$((tries + 1))
    done
    echo "# left:$left"
    return 1
}

# begin MARK ARG...: run-linux in the background, with an input that stays open.
begin() {
    mark=$1
    shift
    RUN_LINUX=$mark tools/run-linux --cpus 1 --timeout 120s "$@" <>"$work/open" >"$work/$mark.out" 2>"$log" &
    session=$!
}

printed() { # MARK LINE
    until grep -qsx "$2" "$work/$1.out"; do
        kill -0 "$session" 2>/dev/null || return 1
        sleep 0.2
    done
}

first_run() {
    begin first -- 'echo ready; cat'
    printed first ready && status=0 || wait "$session" || status=$?
}

second_run() {
    tools/run-linux --cpus 1 --timeout 120s --console "$1" -- 'cat; echo error >&2; cat /mnt/etc/motd >&2; exit 5' \
        <"$work/bytes" >"$work/out" 2>"$log"
    status=$?
}

# ---- minivet run -- COMMAND

# own_command OPTION... -- COMMAND: with files as its standard streams.
own_command() {
    "$minivet" run "$images/6.1/vmlinuz" -i "$images/6.1/initramfs.gz" --timeout 120s "$@" \
        <"$work/bytes" >"$work/out" 2>"$log"
    status=$?
}

# A terminal of a size that changes.
sized_session() {
    : >"$log"
    rm -f "$work/resize"
    script -qefc "stty rows 31 cols 97; (until [ -e $work/resize ]; do sleep 0.2; done; stty rows 41 cols 121) </dev/tty &
        exec $minivet run $images/6.1/vmlinuz -i $images/6.1/initramfs.gz --timeout 120s -- sh -c '
        trap \"stty size\" WINCH; stty size; tty; echo run-\$((1)); while :; do sleep 1; done'" \
        /dev/null >"$log" 2>&1 <"$work/typing" &
    session=$!
    exec 9<>"$work/typing"
    heard '^run-1' && : >"$work/resize"
    heard '^41 121' && keys '\003'
    terminal_ends
}

# Nothing is lost in front of a reader that takes its time, nor behind one that reads no more.
piped_command() {
    head -c 20000000 /dev/zero | md5sum >"$work/want"
    { "$minivet" run "$images/6.1/vmlinuz" -i "$images/6.1/initramfs.gz" --timeout 120s -- head -c 20000000 /dev/zero 2>"$log" \
        </dev/null && echo ended >&2; } 2>"$work/ended" | (sleep 3 && md5sum) >"$work/sum"
    grep -q ended "$work/ended" && status=0 || status=1
}

commands_of_minivet() {
    head -c 3000000 /dev/urandom >"$work/bytes"
    want=7
    attempts own_command --env 'V=a  b' --cwd /tmp -- sh -c 'cat; pwd >&2; echo "$V|$1|$2" >&2; exit 7' x "c  'd" ''
    expect "run --: ends with the command's status" ended 7
    expect "run --: 3 MB come back as they went" cmp "$work/bytes" "$work/out"
    expect "run --: standard error is apart, and nothing but the command's" sh -c 'printf "/tmp\na  b|c  %sd|\n" "'"'"'" | cmp - "$1"' x "$log"
    want=130
    attempts sized_session
    want=''
    expect "run --, in a terminal: Ctrl-C ends it" ended 130
    expect "run --, in a terminal: has one of its size" said '^31 97'
    expect "run --, in a terminal: is told of another" said '^41 121'
    expect "run --, in a terminal: it is the guest's own" said '^/dev/pts/0'
    attempts piped_command
    expect "run --: 20 MB reach a reader that stalls" cmp "$work/sum" "$work/want"
    attempts own_command -d "$images/root.ext4,snapshot=on" -a root=/dev/vda -- sh -c 'cat /etc/motd; grep " / " /proc/mounts'
    expect "run --: changes to a root on a disk" grep -q '^A disk of Minivet' "$work/out"
    expect "run --: which is read-only" grep -q '^/dev/.* / ext4 ro' "$work/out"
}

# The names that a user gives are seen from the user's folder.
own_share() {
    top=$PWD
    mkdir -p "$work/mine/docs"
    echo mine >"$work/mine/docs/whose"
    status=0
    (cd "$work/mine" && "$top/tools/run-linux" --cpus 1 --timeout 120s --disk none --net none --share docs \
        -- 'mount -t virtiofs docs /mnt && cat /mnt/whose') </dev/null >"$work/out" 2>"$log" || status=$?
}

group_terminal() {
    mkfifo "$work/typing" "$work/open"
    commands_of_minivet
    for console in serial virtio; do
        attempts shell_session $console
        expect "a shell, $console: ends with 0" ended 0
        expect "a shell, $console: its terminal is the console" said "^/dev/$(echo $console | sed 's/serial/ttyS0/; s/virtio/hvc0/')"
        expect "a shell, $console: Ctrl-C ends a program" said '^int=130'
        expect "a shell, $console: Ctrl-Z stops one, which fg continues" said '^TWO'
        expect "a shell, $console: Ctrl-\\ ends a program" said '^quit=131'
        expect "a shell, $console: Ctrl-D ends a program's input" said '^eof=0'
        expect "a shell, $console: Ctrl-A p presses the power button" said '^ *[0-9]*: *1 .*ACPI:Ged'
    done
    want=130
    attempts command_session
    expect "a command: Ctrl-C ends it" ended 130
    want=

    attempts first_run
    expect "without a terminal: output comes while the command runs" printed first ready
    head -c 30000 /dev/urandom >"$work/bytes"
    want=5
    for console in serial virtio; do
        attempts second_run $console
        expect "a second run, $console: ends with the command's status" ended 5
        expect "a second run, $console: bytes come back as they went" cmp "$work/bytes" "$work/out"
        expect "a second run, $console: standard error is apart" said '^error'
        expect "a second run, $console: says that its disk is another" said 'another run has the disk'
        expect "a second run, $console: has a disk" said '^A disk of Minivet'
    done
    want=
    echo more >"$work/open"
    expect "without a terminal: input comes while the command runs" printed first more
    kill -KILL "$session"
    expect "SIGKILL of the script ends all of it" alone first
    attempts first_run
    kill -TERM "$session"
    wait "$session"
    status=$?
    expect "SIGTERM of the script: ends with 143" ended 143
    expect "SIGTERM of the script ends all of it" alone first

    attempts own_share
    expect "a directory of the user's folder: the command ends with 0" ended 0
    expect "a directory of the user's folder: is that one" grep -qx mine "$work/out"
}

# emulator MARK: waits for the program that emulates a host, or for Minivet itself.
emulator() {
    until for process in /proc/[0-9]*; do
        case $(cat "$process/comm" 2>/dev/null) in
        qemu-system* | minivet) tr '\0' '\n' 2>/dev/null <"$process/environ" | grep -qx "RUN_LINUX=$1" && break ;;
        esac
        false
    done; do
        kill -0 "$session" 2>/dev/null || return
        sleep 0.5
    done
}

greeted() { # PORT: a VNC server says which version it speaks
    [ "$(timeout 2 bash -c "exec 3<>/dev/tcp/127.0.0.1/$1 && head -c 4 <&3" 2>/dev/null)" = 'RFB ' ]
}

own_kernel() {
    tools/run-linux --cpus 1 --timeout 120s --kernel "$images/6.12/vmlinuz" --modules "$work/tree" \
        -- 'cat; uname -r; tail -n 1 /mnt/etc/motd; exit 5' <"$work/bytes" >"$work/out" 2>"$log"
    status=$?
}

# Where there is no hardware virtualization all of this is in an emulated host, and this is what tests those.
group_bed() {
    mkfifo "$work/open"
    for signal in TERM KILL; do
        begin $signal -- 'sleep 1000'
        emulator $signal
        kill -s $signal "$session"
        expect "SIG$signal of the script ends the host, too" alone $signal
    done

    begin vnc --display vnc=:77 -- 'sleep 1000'
    until greeted 5977 || ! kill -0 "$session" 2>/dev/null; do
        sleep 0.5
    done
    expect "a viewer reaches the guest's screen" greeted 5977
    kill -TERM "$session"
    expect "SIGTERM of the script ends a run with a screen, too" alone vnc

    head -c 5000 /dev/urandom >"$work/bytes"
    # shellcheck disable=SC2012 # names of our own
    dpkg-deb -x "$(ls -t "${images%/*}"/debs/6.12-*.deb | head -n 1)" "$work/tree"
    release=$(ls "$work/tree/lib/modules")
    PATH=$PATH:/sbin:/usr/sbin depmod --basedir "$work/tree" "$release"
    (cat "$work/bytes" && echo "$release" && echo 'A disk of Minivet test guests.') >"$work/want"
    want=5
    emulated=1 # what emulates the host fails now and then
    attempts own_kernel
    emulated='' want=''
    expect "a kernel of one's own: ends with the command's status" ended 5
    expect "a kernel of one's own: has its input, its modules and a disk" cmp "$work/want" "$work/out"
}
