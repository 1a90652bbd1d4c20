# shellcheck shell=sh
# SPDX-License-Identifier: BSD-2-Clause
# Do disks keep what is given to them? Part of run-all: what fio wrote is there after a reboot, with
# every way to attach a disk; what was synced is there after Minivet was killed, or its host.
# Command lines are guests' shell lines: they are not for the host's shell to expand.
# shellcheck disable=SC2016,SC2154

# Which name a disk gets is a matter of luck. The disk of tools is the only large one; of the others
# disk N has N sectors more than $1. They become /dev/disk1, /dev/disk2, ...
find_disks='
while read -r m; do insmod /modules/$m 2>/dev/null; done </modules/scsi
umount /mnt 2>/dev/null
find_disks() { # SECTORS COUNT
    tries=0
    until [ -b /dev/disk$2 ] || [ $tries -eq 50 ]; do
        for d in /sys/block/[sv]d*; do
            n=$(($(cat $d/size) - $1))
            [ $n -lt 100000 ] || ln -sf /dev/${d##*/} /dev/tools
            [ $n -lt 1 ] || [ $n -gt $2 ] || ln -sf /dev/${d##*/} /dev/disk$n
        done
        tries=$((tries + 1)); sleep 0.1
    done
    mkdir /tools; mount -t ext4 -o ro,noload /dev/tools /tools
    ln -s /tools/usr /usr; ln -s /tools/usr/lib /lib; ln -s /tools/usr/lib64 /lib64
    echo disks=$(ls -d /dev/disk[0-9]* | wc -l)
}
'

# qcow2_or_raw FILE BYTES: an empty image of the best format there is, and that in $format.
qcow2_or_raw() {
    if command -v qemu-storage-daemon >/dev/null && command -v qemu-img >/dev/null; then
        qemu-img create -q -f qcow2 "$1" "$2"
        format=format=qcow2
    else
        result ok "qcow2 # SKIP qemu-storage-daemon is not installed"
        format=format=raw
    fi
}

# ---- fio

# A disk: 128 KiB to be trimmed while other writes go on, 64 KiB for write-zeroes, and the rest, to a
# last sector that is no whole page, for writes of all sizes. That is written twice over, so that
# requests cut across what earlier ones wrote.
fio_sectors=$((768 * 2))
fio_work='
sed "s/^ *//" >/tmp/global <<J
    [global]
    thread
    ioengine=libaio
    direct=1
    iodepth=8
    verify=crc32c
    verify_fatal=1
    fsync=16
    group_reporting
J
jobs() { # NAME SEED OPTION...: one for each disk, beside the others
    name=$1 seed=$2
    shift 2
    for n in $(seq $disks); do
        printf "%s\n" "[$name-$n]" rw=randwrite offset=192k filename=/dev/disk$n randseed=$((seed * 100 + n)) \
            bssplit=512/25:3k/15:4k/30:16k/20:64k/8:256k/2 "$@"
    done
}
trims() {
    for n in $(seq $disks); do
        printf "%s\n" "[trim-$n]" rw=randtrimwrite size=128k bs=8k filename=/dev/disk$n
    done
}
letters() { # what disk N has between 128 and 192 KiB: a letter of its own
    head -c 65536 /dev/zero | tr "\\0" $(printf "\\%o" $((64 + $1)))
}
check_zeroes() {
    for n in $(seq $disks); do
        letters $n >/tmp/letters
        dd if=/dev/zero of=/tmp/letters bs=512 seek=3 count=101 conv=notrunc 2>/dev/null
        dd if=/dev/disk$n bs=64k skip=2 count=1 iflag=direct 2>/dev/null | cmp - /tmp/letters && echo zeroes $n
    done
}
write_zeroes() {
    for n in $(seq $disks); do
        letters $n | dd of=/dev/disk$n bs=64k seek=2 iflag=fullblock oflag=direct 2>/dev/null
        /usr/bin/blkdiscard -z -o $((128 * 1024 + 3 * 512)) -l $((101 * 512)) /dev/disk$n
    done
    check_zeroes
}
write() { # SEED
    { cat /tmp/global; jobs first 1$1; jobs again $1 stonewall; trims; } >/tmp/write
    # Only the first of a group of jobs waits for those before it; the others begin with it.
    awk "/^stonewall/ && seen++ { next } { print }" /tmp/write >/tmp/jobs
    /usr/bin/fio --minimal /tmp/jobs >/tmp/said 2>&1
    status=$?; echo write $1: $status; [ $status -eq 0 ] || cat /tmp/said
}
verify() { # SEED
    { cat /tmp/global; jobs again $1; } >/tmp/jobs
    /usr/bin/fio --minimal --verify_only /tmp/jobs >/tmp/said 2>&1
    status=$?; echo verify $1: $status; [ $status -eq 0 ] || cat /tmp/said
}
trimmed() { # how many disks have taken at least ten discards
    for n in $(seq $disks); do
        d=$(readlink /dev/disk$n)
        awk "\$12 >= 10" /sys/block/${d##*/}/stat
    done | wc -l
}
complaints() {
    dmesg | grep -iE "I/O error|blk_update_request|sd 0.*(error|failed)|timed out|hung task" | sed "s/^/complaint: /"
}
'

# fio_guest SERIES SCRIPT OPTION...: a guest of two processors with the disk of tools and the others.
fio_guest() {
    series=$1 script=$2
    shift 2
    guest "$series" vmlinuz "$find_disks $fio_work disks=$fio_disks; find_disks $fio_sectors $fio_disks
        $script; complaints" -c 2 -d "$images/tools.ext4,ro,transport=mmio" "$@"
}

group_fio() {
    fio_disks=7
    for n in 1 2 3 4 5 6 7; do
        truncate -s $(((fio_sectors + n) * 512)) "$work/fio.$n"
    done
    qcow2_or_raw "$work/fio.7" $(((fio_sectors + 7) * 512))
    fio_guest 6.1 'write_zeroes; write 1; echo trimmed=$(trimmed)' \
        -d "$work/fio.1,transport=mmio,ring=split,queues=2,cache=none" \
        -d "$work/fio.2,transport=mmio,ring=packed,queues=2,cache=writeback" \
        -d "$work/fio.3,transport=pci,ring=split,queues=2,cache=writeback,iothread=a:b" \
        -d "$work/fio.4,transport=pci,ring=packed,queues=2,cache=none" \
        -d "$work/fio.5,type=scsi,transport=pci,ring=packed,cache=none,iothread=a" \
        -d "$work/fio.6,type=scsi,transport=mmio,ring=split,cache=writeback" \
        -d "$work/fio.7,$format,transport=pci,queues=2,cache=none"
    expect "fio: sees every disk" said "^disks=$fio_disks\$"
    expect "fio: finds what it wrote" said '^write 1: 0$'
    expect "fio: trims every disk meanwhile" said "^trimmed=$fio_disks\$"
    for n in 1 2 3 4 5 6 7; do
        expect "fio: zeroes are where they were written, disk $n" said "^zeroes $n\$"
    done
    expect "fio: the kernel finds no fault" not_said '^complaint'

    fio_guest 6.12 'check_zeroes; verify 1; write 2' --features -indirect_desc,-event_idx \
        -d "$work/fio.1,type=scsi,transport=pci,ring=split,cache=writeback" \
        -d "$work/fio.2,transport=pci,ring=packed,cache=none,queue-size=16,iothread=a" \
        -d "$work/fio.3,transport=mmio,ring=packed,queues=2,cache=none" \
        -d "$work/fio.4,transport=mmio,ring=split,cache=writeback" \
        -d "$work/fio.5,transport=pci,ring=split,queues=2,cache=unsafe" \
        -d "$work/fio.6,transport=pci,ring=packed,queues=2,cache=writeback,iothread=a:b" \
        -d "$work/fio.7,$format,transport=mmio,cache=writeback"
    expect "fio: sees every disk again" said "^disks=$fio_disks\$"
    expect "fio: finds what it wrote before the reboot" said '^verify 1: 0$'
    expect "fio: finds what it wrote without indirect descriptors and event index" said '^write 2: 0$'
    for n in 1 2 3 4 5 6 7; do
        expect "fio: zeroes are there after the reboot, disk $n" said "^zeroes $n\$"
    done
    expect "fio: the kernel finds no fault after the reboot" not_said '^complaint'
    [ $format = format=raw ] || expect "fio: the qcow2 image is whole" qemu-img check -q "$work/fio.7"
}

# ---- Minivet is killed

# Three file systems are written to at once. Of each, what a round has synced is checked by the
# next: of a file for each number the last eight, and a file with eight places that are written again
# and again.
kill_sectors=$((16 * 2048))
kill_work='
text() { # NUMBER: what its file holds, some KB
    seq $1 $(($1 + 100 * ($1 % 20 + 1)))
}
check() { # DISK SYNCED OLDEST
    mount -t ext4 /dev/disk$1 /d$1 && umount /d$1
    /usr/bin/e2fsck -fn /dev/disk$1 >/tmp/said 2>&1 && echo whole $1 || cat /tmp/said
    mount -t ext4 /dev/disk$1 /d$1
    bad=
    for n in $(seq $2 -1 $(($2 - 7))); do
        [ $n -ge $3 ] || continue
        text $n | cmp - /d$1/$n || bad="$bad file $n"
        place=$(dd if=/d$1/places bs=512 skip=$((n % 8)) count=1 2>/dev/null | tr -dc 0-9)
        [ "${place:-0}" -ge $n ] || bad="$bad place of $n"
    done
    echo "lost $1:$bad"
}
fill() { # DISK NUMBER: write for ever
    n=$2
    while n=$((n + 1)); do
        printf "%-511s\n" $n | dd of=/d$1/places bs=512 seek=$((n % 8)) conv=notrunc,fsync 2>/dev/null
        text $n | dd of=/d$1/$n bs=64k conv=fsync iflag=fullblock 2>/dev/null
        echo synced $1 $n
        rm -f /d$1/$((n - 100))
    done
}
'

synced() { # DISK: the last number that the guest said of it
    tr -d '\r' <"$log" | sed -n "s/^synced $1 \([0-9]*\)\$/\1/p" | tail -n 1
}

everything_synced() {
    [ "$(synced 1)" ] && [ "$(synced 2)" ] && [ "$(synced 3)" ]
}

# until_it CONDITION...: waits until it holds, the guest of $pid is gone, or it takes too long.
until_it() {
    tries=0
    until "$@" || ! kill -0 "$pid" 2>/dev/null || [ $tries -eq 600 ]; do
        sleep 0.1
        tries=$((tries + 1))
    done
}

synced_after_statistics() {
    tr -d '\r' <"$log" | awk '/device +q .*requests/ { seen = 1 } seen && /^synced/ { ok = 1 } END { exit !ok }'
}

# draw N: a number below N in $drawn; the same one for the same seed.
draw() {
    seed=$(((seed * 1103515245 + 12345) % 2147483648))
    drawn=$((seed / 65536 % $1))
}

# kill_it ROUND: now or up to three seconds later. In every other round the server of the qcow2 disk
# is killed, too; else it ends by itself.
kill_it() {
    draw 300
    sleep "$((drawn / 100)).$((drawn / 10 % 10))$((drawn % 10))"
    servers=$(cat /proc/"$pid"/task/*/children)
    kill -KILL "$pid"
    for one in $servers; do
        [ $(($1 % 2)) -eq 0 ] || kill -KILL "$one" 2>/dev/null
        while kill -0 "$one" 2>/dev/null; do
            sleep 0.1
        done
    done
    wait "$pid" 2>/dev/null
    echo "# killed after 0.01 s * $drawn and $(grep -c ^synced "$log") files"
}

# kill_guest SCRIPT: one with the three disks, over the transports $1, $2 and $3 of its caller.
kill_guest() {
    initramfs 6.1 "$find_disks $kill_work find_disks $kill_sectors 3; mkdir /d1 /d2 /d3; $1"
    : >"$log"
    "$minivet" run "$images/6.1/vmlinuz" -i "$work/initrd" -a quiet -c 2 --stats --timeout 120s \
        -d "$images/tools.ext4,ro" -d "$work/kill.1,cache=${CUT_CACHE:-none},queues=2,transport=$2" \
        -d "$work/kill.2,cache=${CUT_CACHE:-writeback},ring=packed,transport=$3" \
        -d "$work/kill.3,$format,transport=$4" >"$log" 2>&1 </dev/null &
    pid=$!
}

# kill_round ROUND TRANSPORT...: checks what the last round has left, and goes on writing.
kill_round() {
    for try in 1 2 3; do
        kill_guest "$todo
            for d in 1 2 3; do fill \$d ${1}000 & done; wait" "$2" "$3" "$4"
        until_it everything_synced
        ! everything_synced && [ "${MINIVET_TESTBED-}" ] && [ $try -lt 3 ] || return
        kill -KILL "$pid" 2>/dev/null
        wait "$pid"
        echo "# not one file from each disk in the testbed: trying again"
    done
}

# empty_disks DIR: kill.1 to kill.3 there, and what makes file systems on them in $todo.
empty_disks() {
    for n in 1 2 3; do
        truncate -s $(((kill_sectors + n) * 512)) "$1/kill.$n"
    done
    qcow2_or_raw "$1/kill.3" $(((kill_sectors + 3) * 512))
    todo='for d in 1 2 3; do
        /usr/bin/mke2fs -q -t ext4 /dev/disk$d && mount -t ext4 /dev/disk$d /d$d
        dd if=/dev/zero of=/d$d/places bs=512 count=8 2>/dev/null
    done'
}

# to_check ROUND NUMBER NUMBER NUMBER: what checks three disks, of which these were synced last.
to_check() {
    todo="check 1 $2 ${1}001; check 2 $3 ${1}001; check 3 $4 ${1}001"
}

group_kill() {
    seed=${SEED:-$(date +%s)}
    echo "# SEED=$seed: the same moments again"
    empty_disks "$work"
    set -- mmio pci mmio
    for round in 1 2 3; do
        kill_round $round "$@"
        if [ $round -eq 1 ]; then
            kill -USR1 "$pid"
            until_it synced_after_statistics
            expect "SIGUSR1: prints what the queues did" said 'kill\.1 +[01] +([a-z]+ +)?[1-9]'
            expect "SIGUSR1: the guest goes on" synced_after_statistics
        else
            checked "kill -9, $((round - 1)) times"
        fi
        kill_it $round
        to_check $round "$(synced 1)" "$(synced 2)" "$(synced 3)"
        set -- "$2" "$3" "$2"
    done
    attempts last_guest "$todo" "$@"
    checked "kill -9, $round times"
    expect "kill -9: the last guest ends" ended 0
    [ $format = format=raw ] ||
        expect "kill -9: the qcow2 image has lost clusters at most" qemu-img check -q -r leaks "$work/kill.3"
}

last_guest() {
    kill_guest "$@"
    wait "$pid"
    status=$?
}

checked() { # AFTER WHAT
    for n in 1 2 3; do
        expect "$1: the file system is whole, disk $n" said "^whole $n\$"
        expect "$1: nothing that was synced is lost, disk $n" said "^lost $n:\$"
    done
}

# The two halves of tests/boot/power-cut. The disks' files are on the drive $CUT of this host, which
# dies in the first half.
group_cut() {
    mkdir "$work/drive"
    mount -t ext4 "$CUT" "$work/drive" || exit 1
    format=format=raw
    ! command -v qemu-storage-daemon >/dev/null || format=format=qcow2
    for n in 1 2 3; do
        ln -s "$work/drive/kill.$n" "$work/kill.$n"
    done
    if [ ! "${CUT_SYNCED-}" ]; then
        empty_disks "$work/drive"
        sync
        kill_round 1 mmio pci mmio
        sleep 2
        echo "# synced before the cut: $(synced 1) $(synced 2) $(synced 3)"
        sleep 1 # it is on its way to a terminal
        echo b >/proc/sysrq-trigger
        sleep 60
    fi
    # shellcheck disable=SC2086 # three numbers
    to_check 1 $CUT_SYNCED
    attempts last_guest "$todo" mmio pci mmio
    checked "power cut"
    expect "power cut: the last guest ends" ended 0
    [ $format = format=raw ] || expect "power cut: the qcow2 image has lost clusters at most" qemu-img check -q -r leaks "$work/kill.3"
    umount "$work/drive"
}
