# shellcheck shell=sh
# SPDX-License-Identifier: BSD-2-Clause
# A group of tests/boot/run-all: a guest that is paused, goes on, and is reset, by the control socket. Its watchdogs are
# made impatient: they would complain of a vCPU that does nothing for two seconds.
# Command lines are guests' shell lines: they are not for the host's shell to expand.
# shellcheck disable=SC2016,SC2154

counter='
echo 1 >/proc/sys/kernel/watchdog_thresh
echo softlockup=$(cat /proc/sys/kernel/soft_watchdog)
n=0
(while :; do n=$((n + 1)); echo tick=$n; sleep 0.2; done) &
while read -r order; do
    case $order in
    time) echo time=$(date +%s) ;;
    complaints)
        dmesg | grep -iE "soft lockup|rcu.*stall|clocksource.*unstable" >/tmp/complaints
        cat /tmp/complaints
        echo complaints=$(wc -l </tmp/complaints)
        ;;
    size*) echo $order=$(cat /sys/block/vda/size) ;;
    vdb*|sda*) # its next file is the larger one
        disk=/dev/${order%?}
        for try in $(seq 100); do
            [ $(blockdev --getsize64 $disk) -lt 50000000 ] || break
            sleep 0.1
        done
        echo $order=$(blockdev --getsize64 $disk):$(head -c 8 $disk)
        ;;
    carrier*) echo $order=$(cat /sys/class/net/eth0/carrier) ;;
    keys)
        while read -r module; do insmod /modules/$module 2>/dev/null; done </modules/button
        for device in /dev/input/event*; do # the first event of each: its code is at byte 18
            echo key=$(dd if=$device bs=24 count=1 2>/dev/null | tail -c +19 | head -c 2 | hexdump -e "1/2 \"%d\"") &
        done
        echo keys=ready
        ;;
    acpi) echo acpi=$(dmesg | grep -c "Excess arguments") ;;
    off) poweroff; sleep 60 ;;
    esac
done'

ctl() {
    "$minivet" ctl "$work/ctl" "$@"
}

ticks() {
    tr -d '\r' <"$log" | grep -c '^tick='
}

# ticks_beyond N: it counts on, before long
ticks_beyond() {
    for try in $(seq 100); do
        [ "$(ticks)" -le "$1" ] || return 0
        sleep 0.2
    done
    echo "# still at $(ticks) after $try looks"
    return 1
}

stands_still() {
    before=$(ticks)
    sleep 3 # longer than watchdogs wait
    [ "$(ticks)" -eq "$before" ]
}

# answers ORDER PATTERN: the guest does so
answers() {
    echo "$1" >&9
    for try in $(seq 100); do
        ! said "^$1=" || break
        sleep 0.2
    done
    said "^$1=$2\$"
}

clock_is_right() {
    answers time '[0-9]+' || return 1
    now=$(date +%s)
    guest=$(tr -d '\r' <"$log" | sed -n 's/^time=//p' | tail -n 1)
    echo "# the guest is $((now - guest)) s behind"
    [ $((now - guest)) -le 2 ] && [ $((guest - now)) -le 2 ]
}

describes_disk() {
    ctl info disk0 --json | tr -d ' \t\n' >"$work/info"
    for text in '"status":\["ACKNOWLEDGE","DRIVER","DRIVER_OK","FEATURES_OK"\]' '"state":"live"' \
        '"features_accepted":\[[^]]*"flush"[^]]*"version_1"'; do
        grep -q "$text" "$work/info" || { sed 's/^/# /' "$work/info" && return 1; }
    done
}

hears_key() { # CODE
    for try in $(seq 100); do
        ! said "^key=$1\$" || return 0
        sleep 0.2
    done
    echo "# no key $1 after $try looks"
    return 1
}

boots_again() {
    for try in $(seq 100); do
        [ "$(tr -d '\r' <"$log" | grep -c '^softlockup=1')" -lt 2 ] || return 0
        sleep 0.5
    done
    echo "# not after $try looks"
    return 1
}

other() { # FILE
    head -c 4096 /dev/zero | tr '\0' n >"$1"
    truncate -s 48M "$1"
}

group_control() {
    [ -p "$work/orders" ] || mkfifo "$work/orders"
    for series in 6.1 6.12; do
        cp "$images/root.ext4" "$work/disk"
        initramfs "$series" "$counter"
        rm -f "$work/second" "$work/third"
        truncate -s 16M "$work/second" "$work/third"
        other "$work/other2"
        other "$work/other3"
        start_guest "$series" -c 2 --reboot restart --stats=json -n null -d "$work/disk" -d "$work/second" \
            -d "$work/third,type=scsi"
        expect "$series: a guest counts" ticks_beyond 3
        ctl pause
        expect "$series: a paused guest does nothing" stands_still
        expect "$series: and that is what its status says" sh -c "'$minivet' ctl '$work/ctl' status | grep paused >/dev/null"
        before=$(ticks)
        ctl resume
        expect "$series: it goes on" ticks_beyond "$before"
        expect "$series: its clock is right" clock_is_right
        expect "$series: and it has no complaint" answers complaints 0
        expect "$series: what its devices did is told" sh -c "'$minivet' ctl --json '$work/ctl' stats | grep queues >/dev/null"
        expect "$series: and how its disk stands" describes_disk
        ctl link 0 down
        expect "$series: a cable that is pulled" answers carrier1 0
        ctl link 0 up
        expect "$series: and put back" answers carrier2 1
        ctl disk-resize 0 1G
        expect "$series: a disk that has grown" answers size1 2097152
        expect "$series: does not shrink" sh -c "! '$minivet' ctl '$work/ctl' disk-resize 0 64M 2>/dev/null"
        expect "$series: it listens to its buttons" answers keys ready
        ctl sleep
        expect "$series: the sleep button is a key" hears_key 142
        ctl power
        expect "$series: and the power button is one" hears_key 116
        expect "$series: and ACPI has no complaint" answers acpi 0
        ctl disk-swap 1 "$work/other2"
        expect "$series: a disk with another file" answers vdb1 50331648:nnnnnnnn
        ctl disk-swap 2 "$work/other3"
        expect "$series: a SCSI disk with another file" answers sda1 50331648:nnnnnnnn
        expect "$series: takes none that another disk has" sh -c "! '$minivet' ctl '$work/ctl' disk-swap 2 '$work/other2' 2>/dev/null"
        ctl reset
        expect "$series: it is reset, and boots again" boots_again
        expect "$series: to count from the start" ticks_beyond 3
        expect "$series: with the file that a disk had last" answers vdb2 50331648:nnnnnnnn
        echo off >&9
        await_guest
        expect "$series: and lives on" ended 0
    done
}
