# shellcheck shell=sh
# SPDX-License-Identifier: BSD-2-Clause
# A group of tests/boot/run-all, by name: Debian's arm64 kernel under Minivet in an emulated arm64 host, by tools/cross.
# Command lines are guests' shell lines: they are not for the host's shell to expand.
# shellcheck disable=SC2016,SC2154

arm64_guest() { # OPTION... -- CMD
    tools/cross run "$@" >"$log" 2>&1 </dev/null
    status=$?
}

group_arm64() {
    if ! command -v aarch64-linux-gnu-gcc >/dev/null || ! command -v qemu-system-aarch64 >/dev/null; then
        result ok "arm64 # SKIP no cross compiler or emulator: tools/setup cross"
        return
    fi
    tools/cross build >"$log" 2>&1
    expect "arm64: Minivet is built" [ -x build/arm64/minivet ]
    arm64_guest -- 'uname -m; exit 7'
    expect "arm64: a guest's status is the exit status" ended 7
    expect "arm64: it is the kernel asked for" said '^aarch64$'
    for options in 'transport=mmio' 'transport=mmio,ring=packed' 'transport=pci' 'transport=pci,ring=packed'; do
        arm64_guest --host-cpus 2 -c 2 -d null:16M --virtio "$options" --strict -- 'echo cpus=$(nproc)
            dd if=/dev/vda bs=64k count=64 2>/dev/null | wc -c; cat /proc/interrupts
            dmesg | grep -iE "warn|fail|bug"; true'
        expect "arm64, $options: runs" ended 0
        expect "arm64, $options: has two processors" said '^cpus=2$'
        expect "arm64, $options: reads the disk" said '^4194304$'
        expect "arm64, $options: the driver does right" said 'strict: null:16M: nothing to report'
        expect "arm64, $options: the kernel finds no fault" not_said '] .*([Ww]arn|[Ff]ail|BUG)'
        case $options in
        *pci*) expect "arm64, $options: a queue has its message" said 'ITS-MSI.*virtio[0-9]-req.1' ;;
        *) expect "arm64, $options: the interrupt is wired" said 'GICv3.*Edge +virtio' ;;
        esac
    done
    arm64_guest -d null:16M --virtio transport=pci -a pci=nomsi -- 'dd if=/dev/vda bs=64k count=64 2>/dev/null | wc -c
        cat /proc/interrupts'
    expect "arm64, INTx: reads the disk" said '^4194304$'
    expect "arm64, INTx: by a level" said 'GICv3.*Level +virtio'
    arm64_guest -- 'reboot -f; sleep 60'
    expect "arm64: a reset ends the run" ended 0
    arm64_guest -- 'echo c >/proc/sysrq-trigger'
    expect "arm64: a panic is told" ended 123
    arm64_guest --timeout 5s -- 'sleep 60'
    expect "arm64: a guest that hangs is ended" ended 124
    arm64_guest --cpu cortex-a72 -c 4 -- 'nproc'
    expect "arm64, without VHE: has four processors" said '^4$'
}
