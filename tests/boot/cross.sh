# shellcheck shell=sh
# SPDX-License-Identifier: BSD-2-Clause
# Groups of tests/boot/run-all, by name: Debian's kernels for arm64 and riscv64 under Minivet, in emulated hosts of that
# architecture, by tools/cross.
# Command lines are guests' shell lines: they are not for the host's shell to expand.
# shellcheck disable=SC2016,SC2154

cross_guest() { # OPTION... -- CMD
    tools/cross --arch "$arch" run "$@" >"$log" 2>&1 </dev/null
    status=$?
}

# cross_ready COMPILER EMULATOR: they are there, and so are libraries and a kernel.
cross_ready() {
    if ! command -v "$1" >/dev/null || ! command -v "$2" >/dev/null; then
        result ok "$group # SKIP no cross compiler or emulator: tools/setup cross"
    elif ! tools/cross --arch "$arch" sysroot >"$log" 2>&1 </dev/null; then
        result ok "$group # SKIP $(tail -n 1 "$log")"
    else
        return 0
    fi
    return 1
}

# cross_built: Minivet is.
cross_built() {
    tools/cross --arch "$arch" build >"$log" 2>&1 </dev/null
    status=$?
    expect "$arch: Minivet is built" ended 0
}

# cross_guests DO OPTION...: guests one after the other in one host. DO, the host's commands, starts each by `guest WHAT
# OPTION...`: WHAT is on its command line, and says what it does there. The last one has OPTION..., and ends with 7.
cross_guests() {
    in_host=$1
    shift
    cross_guest --host 'guest() {
            what=$1
            shift
            echo "${what%% *}: begins"
            minivet run /kernel -i /initrd.gz -a "quiet do=$what" "$@"
            echo "${what%% *}: ended with $?"
        }
        (until ip addr add 10.9.0.1/24 dev tap0 2>/dev/null; do sleep 0.2; done; ip link set tap0 up) &
        '"$in_host" "$@" -- 'look() {
            echo cpus=$(nproc)
            dd if=/dev/vda bs=64k count=64 2>/dev/null | wc -c | sed "s/^/read=/"
            cat /proc/interrupts; dmesg | grep -i pmu; grep -o " sve " /proc/cpuinfo
        }
        write() {
            for disk in vda vdb; do
                yes | dd of=/dev/$disk bs=64k count=1 iflag=fullblock conv=fsync 2>/dev/null
            done
            echo 3 >/proc/sys/vm/drop_caches
        }
        read() {
            for disk in vda vdb; do
                echo "$disk=$(dd if=/dev/$disk bs=64k count=1 2>/dev/null | tr -cd y | wc -c)"
            done
            cat /proc/interrupts
        }
        # Debian has no driver for it there.
        bar() {
            for device in /sys/bus/pci/devices/*; do
                grep -q 0x0011 $device/device || continue
                echo 1 >$device/enable
                at=$(sed "s/ .*//; q" $device/resource)
                echo mask=$(devmem $at 8)
                sleep 1 # until that is printed
                devmem $at 8 1
            done
        }
        case $(cat /proc/cmdline) in
        *do=disk*)
            if dd if=/dev/vda count=1 2>/dev/null | grep -q written; then exit 9; fi
            echo written | dd of=/dev/vda conv=sync 2>/dev/null; sync; reboot -f; sleep 60 ;;
        *do=look*) look; exit 3 ;;
        *do=write*) write; read ;;
        *do=read*) read ;;
        *do=user*) ip addr add 10.0.2.15/24 dev eth0; ip link set eth0 up; ping -c 1 -w 10 10.0.2.2 ;;
        *do=tap*) ip addr add 10.9.0.2/24 dev eth0; ip link set eth0 up; ping -c 1 -w 10 10.9.0.1 ;;
        *do=reset*) reboot -f; sleep 60 ;;
        *do=panic*) echo c >/proc/sysrq-trigger ;;
        *do=bar*) bar; sleep 60 ;;
        *do=passed*) cat /sys/firmware/qemu_fw_cfg/by_name/opt/*/raw ;;
        *do=hang*) sleep 60 ;;
        *) uname -m; exit 7 ;;
        esac'
}

# told WHAT PATTERN: that one of them printed a line like it.
told() {
    tr -d '\r' <"$log" | sed -n "/^$1: begins/,/^$1: ended/p" | grep -qE -- "$2"
}

not_told() { # WHAT PATTERN
    ! told "$@"
}

cross_session() { # CMD: it has a terminal, with a shell at the other end
    : >"$log"
    script -qefc "$1" /dev/null >"$log" 2>&1 <"$work/typing" &
    session=$!
    exec 9<>"$work/typing"
    prompted && keys "sh -c 'echo run-\$((1)); exec sleep 1000'\r"
    heard '^run-1' && keys '\003'
    prompted && keys 'echo int=$? $(tty) $(uname -m)\r'
    heard '^int=' && prompted && keys 'exit 6\r'
    terminal_ends
}

said_times() { # COUNT PATTERN: so many lines of the last run are like it
    [ "$(tr -d '\r' <"$log" | grep -cE -- "$2")" -eq "$1" ]
}

# cross_boots MACHINE PCI MMIO: what `uname -m` says, and lines of /proc/interrupts for a disk there.
cross_boots() {
    for key in transport=mmio transport=mmio,ring=packed transport=pci transport=pci,ring=packed; do
        set -- "$@" -d "null:16M,$key"
    done
    machine=$1 pci=$2 mmio=$3
    shift 3
    cross_guest --host-cpus 2 -c 2 "$@" --strict -- 'echo cpus=$(nproc)
        for disk in /sys/block/vd*; do
            dd if=/dev/${disk##*/} bs=64k count=64 2>/dev/null | wc -c | sed "s/^/read=/"
            cut -c 35 $disk/device/features | sed "s/^/packed=/" # VIRTIO_F_RING_PACKED
        done
        cat /proc/interrupts; hwclock -r >/dev/null && echo clock=ok
        dmesg | grep -iE "warn|fail|bug"; true'
    expect "$arch: runs" ended 0
    expect "$arch: has two processors" said '^cpus=2$'
    expect "$arch: reads four disks" said_times 4 '^read=4194304$'
    expect "$arch: two of them have packed rings" said_times 2 '^packed=1$'
    expect "$arch: the drivers do right" said_times 4 'strict: null:16M: nothing to report'
    expect "$arch: reads the clock" said '^clock=ok$'
    expect "$arch: the kernel finds no fault" not_said '] .*([Ww]arn|[Ff]ail|BUG)'
    expect "$arch, virtio-mmio: the disks' interrupts come" said "$mmio"
    expect "$arch, virtio-pci: the disks' interrupts come" said "$pci"
    cross_guests 'echo "command: begins"
        printf "in\nput\n" | minivet run /kernel -i /initrd.gz -- busybox sh -c "busybox cat; busybox uname -m >&2; exit 7" >/out 2>/err
        echo "command: ended with $?"
        cat /out /err
        truncate -s 16M /disk
        guest disk -d /disk --reboot restart
        guest user -n user
        guest tap -n tap=tap0,vhost=off
        guest reset
        guest panic
        guest bar -d null:16M,transport=pci
        guest passed --fw-cfg "opt/a,string=a word:" --fw-cfg opt/b,file=/err
        guest hang --timeout 5s' --module qemu_fw_cfg
    expect "$arch: a guest's status is the exit status" ended 7
    expect "$arch: it is the kernel asked for" said "^$machine\$"
    expect "$arch: a command's status is the exit status" told command ' ended with 7$'
    expect "$arch: and it has input, output and error" sh -c 'tr -d "\r" <"$1" | grep -A 3 "^command: ended" | tr "\n" " " |
        grep -q "7 in put $2 "' x "$log" "$machine"
    expect "$arch: a disk is kept over a reset" told disk ' ended with 9$'
    expect "$arch, user network: its gateway answers" told user ' ended with 0$'
    expect "$arch, tap: the host answers" told tap ' ended with 0$'
    expect "$arch: a reset ends the run" told reset ' ended with 0$'
    expect "$arch: a panic is told" told panic ' ended with 123$'
    expect "$arch: a PCI function takes events" told bar '^mask=0x03'
    expect "$arch: and a panic, of which it tells" told bar ' ended with 123$'
    expect "$arch: files are passed" told passed "^a word:$machine\$"
    expect "$arch: a guest that hangs is ended" told hang ' ended with 124$'
    tools/cross --arch "$arch" count --vs "build/$arch/minivet" --rounds 1 --json >"$log" 2>&1 </dev/null
    status=$?
    expect "$arch: boots are counted" ended 0
    expect "$arch: two boots of one program take the same" \
        said '"Linux, the same words: exec to init", .*"ratio": (0[.]99|1[.]00)'
}

group_arm64() {
    arch=arm64
    cross_ready aarch64-linux-gnu-gcc qemu-system-aarch64 || return 0
    cross_built
    cross_boots aarch64 'ITS-MSI.*virtio[0-9]-req.1' 'GICv3.*Edge +virtio'
    expect "arm64: Minivet writes to little memory" said '"KiB that the VMM writes to.*"minivet": (1[0-9]|2[0-6])[0-9][.]'
    # qemu-storage-daemon for arm64 serves the first disk of `write` and `read`.
    cross_guests 'qemu-img create -q -f qcow2 /disk 16M
        truncate -s 16M /file
        guest write -d /disk,format=qcow2 -d /file,snapshot=on --virtio transport=pci
        guest read -d /disk,format=qcow2 -d /file --virtio transport=pci
        guest tap -n tap=tap0,vhost=on --virtio transport=pci
        guest "look pci=nomsi" -d null:16M --virtio transport=pci
        guest sve --cpu-features +sve
        guest terabyte -m 1T' --program qemu-storage-daemon --program qemu-img
    expect "arm64, vhost-user: a disk has what is written" told write '^vda=32768'
    expect "arm64, vhost-user: a queue has its message" told write '[1-9].* ITS-MSI .*virtio0-req'
    expect "arm64, vhost-user: a disk keeps what is written" told read '^vda=32768'
    expect "arm64, snapshot=on: a disk has what is written" told write '^vdb=32768'
    expect "arm64, snapshot=on: its file does not" told read '^vdb=0'
    expect "arm64, vhost-net: the host answers" told tap ' ended with 0$'
    expect "arm64, INTx: reads the disk" told look '^read=4194304$'
    expect "arm64, INTx: by a level" told look 'GICv3.*Level +virtio'
    expect "arm64: the host has no scalable vectors" told sve '--cpu-features [+]sve: this host.s processor has no scalable'
    expect "arm64: so much memory is refused" told terabyte 'addresses of 40 bits; give --mem 1046528M or less'
    cross_guest --cpu cortex-a72 -c 4 -- 'nproc'
    expect "arm64, without VHE: has four processors" said '^4$'
    cross_guests 'guest look -c 2 -d null:16M --virtio transport=pci --cpu-features +pmu
        guest look-8 -c 8 -d null:16M
        guest nine -c 9' --gicv2 --host-cpus 2
    expect "arm64, GICv2: has two processors" told look '^cpus=2$'
    expect "arm64, GICv2: reads the disk" told look '^read=4194304$'
    expect "arm64, GICv2: by a level" told look 'GIC-0 .*Level +virtio'
    expect "arm64, GICv2: performance counters are found" told look 'armv8_pmuv3 PMU driver'
    expect "arm64, GICv2: has eight processors" told look-8 '^cpus=8$'
    expect "arm64, GICv2: reads a disk on virtio-mmio" told look-8 '^read=4194304$'
    expect "arm64, GICv2: nine processors are refused" told nine 'this host allows 8; give --cpus 8 or less'
    cross_guests 'guest look
        guest look-other --cpu-features=+pmu,-sve' --cpu max,pauth-impdef=on
    expect "arm64, all features: has scalable vectors" told look '^ sve $'
    expect "arm64, all features: has no performance counters" not_told look 'PMU driver'
    expect "arm64, other features: runs" told look-other ' ended with 3$'
    expect "arm64, other features: has no scalable vectors" not_told look-other '^ sve $'
    expect "arm64, other features: has performance counters" told look-other 'PMU driver'
    mkfifo "$work/typing"
    cross_session "tools/run-linux --arch arm64"
    expect "arm64, a guest's shell: ends with its status" ended 6
    expect "arm64, a guest's shell: Ctrl-C ends a program" said '^int=130 /dev/ttyS0 aarch64'
    cross_session "tools/testbed --arch arm64"
    expect "arm64, a host's shell: ends with its status" ended 6
    expect "arm64, a host's shell: Ctrl-C ends a program" said '^int=130 /dev/hvc0 aarch64'
    # Cloud kernels have no driver for a screen, nor for keys without a keyboard.
    other=linux-image-arm64/trixie
    if tools/cross sysroot --kernel $other >"$log" 2>&1 </dev/null; then
        cross_guest --kernel $other --module gpio_keys --module evdev --host '
            (while sleep 1; do minivet ctl /ctl sleep; minivet ctl /ctl power; done) >/dev/null 2>&1 &' \
            --ctl /ctl --display png="$work" -- 'uname -r; dmesg | grep fb0
            echo freeze >/sys/power/state && echo awake # by a button
            head -c 384 /dev/input/event0 | hexdump -v -e "24/1 \"%02x\" \"\n\"" | cut -c 33-40' # type and code
        expect "arm64, another kernel: runs" ended 0
        expect "arm64, another kernel: is Debian 13's" said '^6\.12\..*-arm64$'
        expect "arm64, another kernel: finds the screen" said 'simple-framebuffer.*fb0'
        expect "arm64, another kernel: a button wakes it up" said '^awake$'
        expect "arm64, another kernel: the sleep button is a key" said '^01008e00$'
        expect "arm64, another kernel: the power button is a key" said '^01007400$'
    else
        result ok "arm64, another kernel # SKIP $(tail -n 1 "$log")"
    fi
}

# cross_units OPTION... [NAME...]: each unit test counts.
cross_units() {
    : >"$work/units"
    tools/cross --arch "$arch" test --tap "$work/units" "$@" >"$log" 2>&1 </dev/null
    status=$?
    sed "s/ - / - $arch, /" "$work/units" >>"$tap"
    count=$((count + $(wc -l <"$work/units")))
    expect "$arch: unit tests pass" ended 0
    tail -n 1 "$log"
}

group_arm64_units() {
    arch=arm64
    cross_ready aarch64-linux-gnu-gcc qemu-system-aarch64 || return 0
    cross_units
}

# What is its own, where it has interrupt controllers for messages, too.
group_riscv64_units() {
    arch=riscv64
    cross_ready riscv64-linux-gnu-gcc qemu-system-riscv64 || return 0
    if tools/cross --arch riscv64 sysroot --aia >"$log" 2>&1 </dev/null; then
        cross_units --aia kvm_guests kvm arch
    else
        cross_units kvm_guests kvm arch
    fi
}

group_riscv64() {
    arch=riscv64
    cross_ready riscv64-linux-gnu-gcc qemu-system-riscv64 || return 0
    cross_built
    if tools/cross --arch riscv64 sysroot --aia >"$log" 2>&1 </dev/null; then
        cross_guest --aia --host-cpus 2 -c 2 -d null:16M --virtio transport=pci -- 'cat /proc/interrupts
            dd if=/dev/vda bs=64k count=64 2>/dev/null | wc -c'
        expect "riscv64, AIA: runs" ended 0
        expect "riscv64, AIA: reads the disk" said '^4194304$'
        expect "riscv64, AIA: a queue has its message" said 'PCI-MSIX.*virtio[0-9]-req.1'
        expect "riscv64, AIA: the serial port's interrupt is wired" said 'APLIC-MSI.*ttyS0'
    else
        result ok "riscv64, AIA # SKIP $(tail -n 1 "$log")"
    fi
    cross_boots riscv64 'SiFive PLIC +[4-7] .*virtio' 'SiFive PLIC +(1[6-9]|[2-4][0-9]) .*virtio'
}
