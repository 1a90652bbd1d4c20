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

cross_tap() { # KEY OPTION...: the guest asks the emulated host over a tap.
    key=$1
    shift
    cross_guest --host '(until ip addr add 10.9.0.1/24 dev tap0 2>/dev/null; do sleep 0.2; done; ip link set tap0 up) &' \
        -n "tap=tap0,$key" "$@" -- 'ip addr add 10.9.0.2/24 dev eth0; ip link set eth0 up; ping -c 2 -w 10 10.9.0.1'
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

# cross_boots MACHINE PCI MMIO: what `uname -m` says, and lines of /proc/interrupts for a disk there.
cross_boots() {
    cross_guest -- 'uname -m; exit 7'
    expect "$arch: a guest's status is the exit status" ended 7
    expect "$arch: it is the kernel asked for" said "^$1\$"
    for options in 'transport=mmio' 'transport=mmio,ring=packed' 'transport=pci' 'transport=pci,ring=packed'; do
        cross_guest --host-cpus 2 -c 2 -d null:16M --virtio "$options" --strict -- 'echo cpus=$(nproc)
            dd if=/dev/vda bs=64k count=64 2>/dev/null | wc -c; cat /proc/interrupts; hwclock -r >/dev/null && echo clock=ok
            dmesg | grep -iE "warn|fail|bug"; true'
        expect "$arch, $options: runs" ended 0
        expect "$arch, $options: has two processors" said '^cpus=2$'
        expect "$arch, $options: reads the disk" said '^4194304$'
        expect "$arch, $options: reads the clock" said '^clock=ok$'
        expect "$arch, $options: the driver does right" said 'strict: null:16M: nothing to report'
        expect "$arch, $options: the kernel finds no fault" not_said '] .*([Ww]arn|[Ff]ail|BUG)'
        case $options in
        *pci*) expect "$arch, $options: the disk's interrupts come" said "$2" ;;
        *) expect "$arch, $options: the disk's interrupts come" said "$3" ;;
        esac
    done
    cross_guest --host 'truncate -s 16M /disk' -d /disk --reboot restart -- 'if dd if=/dev/vda count=1 2>/dev/null | grep -q written
        then exit 9; fi; echo written | dd of=/dev/vda conv=sync 2>/dev/null; sync; reboot -f; sleep 60'
    expect "$arch: a disk is kept over a reset" ended 9
    cross_guest -n user -- 'ip addr add 10.0.2.15/24 dev eth0; ip link set eth0 up; ping -c 1 -w 10 10.0.2.2'
    expect "$arch, user network: its gateway answers" ended 0
    cross_tap vhost=off
    expect "$arch, tap: the host answers" ended 0
    cross_guest -- 'reboot -f; sleep 60'
    expect "$arch: a reset ends the run" ended 0
    cross_guest -- 'echo c >/proc/sysrq-trigger'
    expect "$arch: a panic is told" ended 123
    cross_guest --timeout 5s -- 'sleep 60'
    expect "$arch: a guest that hangs is ended" ended 124
    tools/cross --arch "$arch" count --vs "build/$arch/minivet" --json >"$log" 2>&1 </dev/null
    status=$?
    expect "$arch: boots are counted" ended 0
    expect "$arch: two boots of one program take the same" said '"Linux: exec to init", .*"ratio": (0[.]99|1[.]00)'
}

group_arm64() {
    arch=arm64
    cross_ready aarch64-linux-gnu-gcc qemu-system-aarch64 || return 0
    cross_built
    cross_boots aarch64 'ITS-MSI.*virtio[0-9]-req.1' 'GICv3.*Edge +virtio'
    expect "arm64: Minivet writes to little memory" said '"KiB that the VMM writes to.*"minivet": (1[0-9]|2[0-4])[0-9][.]'
    cross_guest -d null:16M --virtio transport=pci -a pci=nomsi -- 'dd if=/dev/vda bs=64k count=64 2>/dev/null | wc -c
        cat /proc/interrupts'
    expect "arm64, INTx: reads the disk" said '^4194304$'
    expect "arm64, INTx: by a level" said 'GICv3.*Level +virtio'
    cross_tap vhost=on --virtio transport=pci
    expect "arm64, vhost-net: the host answers" ended 0
    cross_guest --cpu cortex-a72 -c 4 -- 'nproc'
    expect "arm64, without VHE: has four processors" said '^4$'
    cross_guest --gicv2 --host-cpus 2 -c 2 -d null:16M --virtio transport=pci --cpu-features +pmu -- 'nproc; cat /proc/interrupts
        dd if=/dev/vda bs=64k count=64 2>/dev/null | wc -c; dmesg | grep -i pmu'
    expect "arm64, GICv2: has two processors" said '^2$'
    expect "arm64, GICv2: reads the disk" said '^4194304$'
    expect "arm64, GICv2: by a level" said 'GIC-0 .*Level +virtio'
    expect "arm64, GICv2: performance counters are found" said 'armv8_pmuv3 PMU driver'
    cross_guest --gicv2 -c 8 -d null:16M -- 'nproc; dd if=/dev/vda bs=64k count=64 2>/dev/null | wc -c'
    expect "arm64, GICv2: has eight processors" said '^8$'
    expect "arm64, GICv2: reads a disk on virtio-mmio" said '^4194304$'
    cross_guest --gicv2 -c 9 -- true
    expect "arm64, GICv2: nine processors are refused" said 'this host allows 8; give --cpus 8 or less'
    cross_guest -m 1T -- true
    expect "arm64: so much memory is refused" said 'addresses of 40 bits; give --mem 1046528M or less'
    cross_guest --cpu-features +sve -- true
    expect "arm64: the host has no scalable vectors" said '--cpu-features [+]sve: this host.s processor has no scalable'
    cross_guest --cpu max,pauth-impdef=on -- 'grep -o " sve " /proc/cpuinfo; dmesg | grep -i pmu; exit 3'
    expect "arm64, all features: has scalable vectors" said '^ sve $'
    expect "arm64, all features: has no performance counters" not_said 'PMU driver'
    cross_guest --cpu max,pauth-impdef=on --cpu-features=+pmu,-sve -- 'grep -o " sve " /proc/cpuinfo; dmesg | grep -i pmu; exit 3'
    expect "arm64, other features: runs" ended 3
    expect "arm64, other features: has no scalable vectors" not_said '^ sve $'
    expect "arm64, other features: has performance counters" said 'PMU driver'
    mkfifo "$work/typing"
    cross_session "tools/run-linux --arch arm64"
    expect "arm64, a guest's shell: ends with its status" ended 6
    expect "arm64, a guest's shell: Ctrl-C ends a program" said '^int=130 /dev/ttyS0 aarch64'
    cross_session "tools/testbed --arch arm64"
    expect "arm64, a host's shell: ends with its status" ended 6
    expect "arm64, a host's shell: Ctrl-C ends a program" said '^int=130 /dev/hvc0 aarch64'
    # Cloud kernels have no driver for a screen.
    other=linux-image-arm64/trixie
    if tools/cross sysroot --kernel $other >"$log" 2>&1 </dev/null; then
        cross_guest --kernel $other --display png="$work" -- 'uname -r; dmesg | grep fb0'
        expect "arm64, another kernel: runs" ended 0
        expect "arm64, another kernel: is Debian 13's" said '^6\.12\..*-arm64$'
        expect "arm64, another kernel: finds the screen" said 'simple-framebuffer.*fb0'
    else
        result ok "arm64, another kernel # SKIP $(tail -n 1 "$log")"
    fi
}

# Each unit test counts.
group_arm64_units() {
    arch=arm64
    cross_ready aarch64-linux-gnu-gcc qemu-system-aarch64 || return 0
    : >"$work/units"
    tools/cross test --tap "$work/units" >"$log" 2>&1 </dev/null
    status=$?
    sed 's/ - / - arm64, /' "$work/units" >>"$tap"
    count=$((count + $(wc -l <"$work/units")))
    expect "arm64: unit tests pass" ended 0
    tail -n 1 "$log"
}

group_riscv64() {
    arch=riscv64
    cross_ready riscv64-linux-gnu-gcc qemu-system-riscv64 || return 0
    cross_built
    # An unpacked QEMU 8 or newer, for the Advanced Interrupt Architecture: messages, and no PLIC.
    if [ "${CROSS_QEMU-}" ] && [ -x "$CROSS_QEMU/usr/bin/qemu-system-riscv64" ]; then
        cross_guest --qemu "$CROSS_QEMU" --aia --host-cpus 2 -c 2 -d null:16M --virtio transport=pci -- 'cat /proc/interrupts
            dd if=/dev/vda bs=64k count=64 2>/dev/null | wc -c'
        expect "riscv64, AIA: runs" ended 0
        expect "riscv64, AIA: reads the disk" said '^4194304$'
        expect "riscv64, AIA: a queue has its message" said 'PCI-MSIX.*virtio[0-9]-req.1'
        expect "riscv64, AIA: the serial port's interrupt is wired" said 'APLIC-MSI.*ttyS0'
    else
        result ok "riscv64, AIA # SKIP CROSS_QEMU names no folder with usr/bin/qemu-system-riscv64, 8 or newer"
    fi
    cross_boots riscv64 'SiFive PLIC +[4-7] .*virtio' 'SiFive PLIC +(1[6-9]|[2-4][0-9]) .*virtio'
}
