# shellcheck shell=sh
# SPDX-License-Identifier: BSD-2-Clause
# A group of tests/boot/run-all, which runs by name only: a stock Debian with systemd and what a user of a server has there
# (`guest-images/build system`). All is done in one guest, by what is typed at its second terminal; what its programs
# answer is written to its console, the log.
# Command lines are guests' shell lines: they are not for the host's shell to expand.
# shellcheck disable=SC2016,SC2154

paste_mib=${MINIVET_PASTE_MIB:-10}   # typed at once
stream_mib=${MINIVET_STREAM_MIB:-64} # through one socket, each way
stream=$((stream_mib << 20))
connections=${MINIVET_CONNECTIONS:-1000} # each way
batch=50                                 # at a time
pause=60 # seconds

lives() {
    kill -0 "$run" 2>/dev/null
}

# await SECONDS COMMAND...: it comes to succeed in that time, while the guest lives
await() {
    limit=$(($(date +%s) + $1))
    shift
    until "$@"; do
        if ! lives || [ "$(date +%s)" -ge "$limit" ]; then
            return 1
        fi
        sleep 0.2
    done
}

# shown PATTERN: at the second terminal
shown() {
    tr -d '\r' <"$work/shown" | grep -qE -- "$1"
}

# type_line SECONDS LINE: to the shell there. Its status is that of the line's last command.
typed=0
type_line() {
    typed=$((typed + 1))
    printf '{ echo; %s\n} >/dev/console 2>&1; echo "typed-%d=$?" >/dev/console\n' "$2" "$typed" >&8
    await "$1" said "^typed-$typed=" || { echo "# not done after $1 s: $2"; return 1; }
    said "^typed-$typed=0\$"
}

# answers_line SECONDS LINE PATTERN: the line's programs print that, and succeed
answers_line() {
    before=$(wc -l <"$log")
    type_line "$1" "$2" || return 1
    tail -n +"$before" "$log" | tr -d '\r' | grep -qE -- "$3"
}

log_in() { # at a terminal that is raw, as a user would
    exec 8<>"$work/tty"
    cat <&8 >"$work/shown" 2>/dev/null &
    shown_run=$!
    await 200 shown 'minivet login: ' || return 1
    printf 'root\n' >&8
    await 60 shown '# $'
}

took() { # since $began
    echo "# $(($(date +%s) - began)) s"
}

# ---- sockets

# echo_once N: a line to the guest's port 1024 and back; else N is noted. Few processes: each takes its time in an emulated
# host.
echo_once() {
    printf 'CONNECT 1024\nline %d\n' "$1" | socat -t 100 - "UNIX-CONNECT:$socket" 2>"$work/connect.$1" | {
        read -r first
        read -r second
        case $first/$second in
        OK\ [1-9]*/"line $1") ;;
        *) echo "$1: $first/$second $(cat "$work/connect.$1")" >>"$work/wrong" ;;
        esac
    }
}

# Jobs of another shell, which may wait for all of them.
host_connects() (
    : >"$work/wrong"
    n=0
    while [ $n -lt "$connections" ]; do
        for _ in $(seq $batch); do
            n=$((n + 1))
            echo_once $n &
        done
        wait
    done
    [ -s "$work/wrong" ] || return 0
    echo "# of $n connections went wrong: $(wc -l <"$work/wrong")"
    head -n 3 "$work/wrong" | sed 's/^/# /'
    return 1
)

# Linux gives the host two seconds to accept, which an emulated guest that starts 50 programs may need for itself: such a
# connection is tried again. Any other error counts.
guest_connects='
one() {
    for try in 1 2 3 4 5; do
        echo line $1 | socat -t 100 - VSOCK-CONNECT:2:52 2>/tmp/why.$1 | { read -r line; [ "$line" = "line $1" ]; } && return
        grep -q "Connection timed out" /tmp/why.$1 || break
        echo $1 >>/tmp/again
    done
    echo "$1: $(cat /tmp/why.$1)" >>/tmp/wrong
}
: >/tmp/again
: >/tmp/wrong
n=0
while [ $n -lt $1 ]; do
    for _ in $(seq $2); do n=$((n + 1)); one $n & done
    wait
done
head -n 3 /tmp/wrong
echo "again=$(wc -l </tmp/again)"
echo "went-wrong=$(wc -l </tmp/wrong) of $n"
'

# The size is in the sum: what is not sent would be equal, too.
summed='tee >(wc -c >/tmp/size) | sha256sum | { read -r sum _; sleep 0.5; echo $sum $(cat /tmp/size); }'

host_streams() {
    type_line 20 "socat -u VSOCK-LISTEN:1025 - 2>/dev/null | $summed >/tmp/came &" || return 1
    sleep 1
    head -c "$stream" /dev/urandom | tee "$work/copy" | timeout 3000 "$minivet" vsock "$socket" 1025 >/dev/null &
    sender=$!
    sent=$(sha256sum <"$work/copy" | cut -c1-64)
    wait "$sender"
    type_line 60 'wait; sed "s/^/came=/" /tmp/came' && said "^came=$sent $stream$"
}

guest_streams() {
    timeout 3000 socat -u "UNIX-LISTEN:${socket}_53" - >"$work/copy" &
    taker=$!
    sha256sum <"$work/copy" >"$work/came" &
    summer=$!
    type_line 3000 "head -c $stream /dev/urandom | tee /tmp/copy | socat -u - VSOCK-CONNECT:2:53 & cat /tmp/copy |
        $summed | sed s/^/sent=/; wait" || { kill "$taker"; return 1; }
    wait "$taker" "$summer"
    said "^sent=$(cut -c1-64 "$work/came") $stream$"
}

by_ssh() { # COMMAND...: in the guest, by its vsock
    timeout 120 ssh -F none -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR \
        -o "ProxyCommand=$minivet vsock $socket 22" root@guest "$@"
}

ssh_carries() {
    head -c 1000000 /dev/urandom >"$work/copied"
    [ "$(by_ssh sha256sum <"$work/copied" | cut -c1-64)" = "$(sha256sum <"$work/copied" | cut -c1-64)" ]
}

systemd_sockets() {
    socat "UNIX-LISTEN:${socket}_52,fork" PIPE &
    echo_run=$!
    type_line 20 'socat VSOCK-LISTEN:1024,fork,backlog=128 PIPE & disown'
    sleep 1
    began=$(date +%s)
    expect "$on: socat: $connections connections from the host, each answered" host_connects
    took
    type_line 20 "cat >/tmp/connect <<'EOF'
$guest_connects
EOF"
    began=$(date +%s)
    type_line 1500 "bash /tmp/connect $connections $batch"
    expect "$on: socat: $connections connections from the guest, each answered" said "^went-wrong=0 of $connections$"
    tr -d '\r' <"$log" | sed -n 's/^again=/# tried again: /p'
    took
    kill "$echo_run"
    mkfifo "$work/copy"
    type_line 20 'mkfifo /tmp/copy'
    began=$(date +%s)
    expect "$on: socat: $stream_mib MiB from the host have their sum" host_streams
    took
    began=$(date +%s)
    expect "$on: socat: $stream_mib MiB from the guest have their sum" guest_streams
    took
    began=$(date +%s)
    answer=$(by_ssh 'uname -n; tty; cat /proc/1/comm' 2>&1 | tr '\n' ' ')
    echo "# ssh: $answer"
    expect "$on: ssh by vsock: runs a command" [ "$answer" = 'minivet not a tty systemd ' ]
    expect "$on: ssh by vsock: 1 MB have their sum" ssh_carries
    took
}

# ---- a terminal takes all that is pasted

# What comes behind Ctrl-O at hvc0, its console, Linux takes for a SysRq: it is left out.
paste() { # TERMINAL FD
    tr '\017' x </dev/urandom 2>/dev/null | head -c $((paste_mib << 20)) >"$work/pasted"
    sum=$(sha256sum <"$work/pasted" | cut -c1-64)
    printf '%s' "(stty raw -echo; echo ready-$1 >/dev/console; timeout --foreground 300 head -c ${paste_mib}M |
        sha256sum; stty sane) </dev/$1 >/dev/console; echo done-$1 >/dev/console" | tr '\n' ' ' >&8
    echo >&8
    await 20 said "^ready-$1" || return 1
    timeout 300 cat "$work/pasted" >&"$2"
    await 310 said "^done-$1" && said "^$sum"
}

systemd_paste() {
    began=$(date +%s)
    expect "$on: $paste_mib MiB pasted at hvc1 have their sum" paste hvc1 8
    took
    type_line 20 'systemctl stop serial-getty@hvc0'
    began=$(date +%s)
    expect "$on: $paste_mib MiB pasted at hvc0 have their sum" paste hvc0 9
    took
}

# ---- a pause under load

# What may not be in the log of a kernel that was paused.
complaints='soft lockup|hard lockup|rcu.*(stall|starved)|clocksource.*(unstable|skew)|blocked for more than'

is_paused() {
    "$minivet" ctl "$work/ctl" status | grep -q paused
}

clock_agrees() {
    type_line 20 'date +%s | sed s/^/clock=/' || return 1
    now=$(date +%s)
    guest=$(tr -d '\r' <"$log" | sed -n 's/^clock=//p' | tail -n 1)
    echo "# the guest is $((now - guest)) s behind"
    [ $((now - guest)) -le 2 ] && [ $((guest - now)) -le 2 ]
}

systemd_pause() {
    type_line 20 'dmesg -C; (while :; do :; done) & (while :; do dd if=/dev/zero of=/load bs=64k count=400 conv=fsync; done) 2>/dev/null &'
    sleep 5
    "$minivet" ctl "$work/ctl" pause
    expect "$on: pause: the guest is paused under load" is_paused
    sleep "$pause"
    "$minivet" ctl "$work/ctl" resume
    expect "$on: pause: and goes on after $pause s" type_line 60 true
    expect "$on: pause: its clock is right" clock_agrees
    sleep 25 # watchdogs look every few seconds
    type_line 60 "kill %+ %-; dmesg | sed 's/^/dmesg: /'"
    expect "$on: pause: its kernel has no complaint" not_said "^dmesg: .*($complaints)"
    expect "$on: pause: its disk can be written" answers_line 60 'dd if=/dev/zero of=/load bs=64k count=400 conv=fsync && wc -c </load' \
        '^26214400$'
    type_line 60 'rm /load'
}

# ---- a balloon under load

systemd_pressure() {
    type_line 60 'head -c 60M /dev/urandom >/dev/shm/held; sha256sum /dev/shm/held >/tmp/held'
    type_line 20 '(while :; do head -c 40M /dev/zero | tail -c 30M | wc -c; sha256sum -c /tmp/held; done) >/dev/null &'
    sleep 3
    "$minivet" ctl "$work/ctl" balloon 256M >/dev/null
    expect "$on: balloon: half of the memory is left" has_left 268435456
    expect "$on: balloon: and the host has the other" becomes less 330
    sleep 10
    expect "$on: balloon: the guest works with half" type_line 60 'sha256sum --quiet -c /tmp/held'
    "$minivet" ctl "$work/ctl" balloon 512M >/dev/null
    expect "$on: balloon: all comes back" has_left 536870912
    type_line 20 'kill %+'
    expect "$on: balloon: which a program can fill" answers_line 300 'head -c 210M /dev/zero | tail -c 200M | wc -c' '^209715200$'
    expect "$on: balloon: what was held is whole" type_line 60 'sha256sum --quiet -c /tmp/held'
    type_line 20 'rm /dev/shm/held; dmesg | sed "s/^/later: /"'
    expect "$on: balloon: no program was killed" not_said '^later: .*([Oo]ut of memory|oom-kill)'
}

# ---- what the machine says it is

systemd_stock() {
    expect "$on: systemd-detect-virt says kvm" answers_line 20 'systemd-detect-virt' '^kvm$'
    expect "$on: dmidecode: the product" answers_line 20 'dmidecode -s system-product-name' '^Testbox$'
    expect "$on: dmidecode: the serial number" answers_line 20 'dmidecode -s system-serial-number' '^ds=nocloud;s=http://10.0.2.2/$'
    expect "$on: dmidecode: the UUID" answers_line 20 'dmidecode -s system-uuid' '^6d696e69-7665-4400-8000-00000000002a$'
    expect "$on: ds-identify finds NoCloud by DMI" answers_line 60 \
        '/usr/lib/cloud-init/ds-identify --force; cat /run/cloud-init/cloud.cfg' '^datasource_list: \[ NoCloud'
    began=$(date +%s)
    expect "$on: hwclock -r reads the clock" answers_line 40 'hwclock -r' "^$(date +%Y)-"
    took
    expect "$on: hwclock -r: without a time-out" not_said 'time[d ]*-*out.*(clock|rtc)|clock tick timed out'
}

group_systemd() {
    on=${MINIVET_SERIES:-6.1}
    if [ ! -e "$images/system.ext4" ]; then
        result ok "systemd # SKIP no such disk: guest-images/build system"
        return
    fi
    for name in socat ssh; do
        command -v $name >/dev/null || { result ok "systemd # SKIP $name is not installed"; return; }
    done
    [ -p "$work/orders" ] || mkfifo "$work/orders"
    socket=$work/vsock
    initramfs "$on" true
    began=$(date +%s)
    start_guest "$on" -m 512M --timeout 120m --console virtio --port "shell,pty=$work/tty,console=on" --rtc base=utc \
        -d "$images/system.ext4,snapshot=on" -a switch=/sbin/init --vsock "on,path=$socket" --balloon on,reporting=off \
        --smbios 'product=Testbox,serial=ds=nocloud;s=http://10.0.2.2/,uuid=6d696e69-7665-4400-8000-00000000002a'
    await 20 test -L "$work/tty"
    expect "$on: agetty on hvc1 answers with login, and lets a user in" log_in
    took
    if lives; then
        for part in ${MINIVET_PARTS:-stock sockets paste pause pressure}; do
            lives && "systemd_$part"
        done
    fi
    began=$(date +%s)
    "$minivet" ctl "$work/ctl" power
    await 90 false
    ! lives || kill "$run"
    await_guest
    took
    expect "$on: the power button powers the guest off: ends with 0" ended 0
    kill "$shown_run" 2>/dev/null
    exec 8>&-
}
