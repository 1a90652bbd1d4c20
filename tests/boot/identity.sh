# shellcheck shell=sh
# SPDX-License-Identifier: BSD-2-Clause
# A group of tests/boot/run-all: what a machine says of itself to stock kernels, by options and by default.
# Command lines are guests' shell lines: they are not for the host's shell to expand.
# shellcheck disable=SC2016,SC2154

group_identity() {
    for series in 6.1 6.12; do
        guest "$series" vmlinuz 'echo date=$(date -u +%Y-%m-%dT%H); echo rtc=$(cat /sys/class/rtc/rtc0/date)' \
            --rtc base=2040-02-29T12:00:00
        expect "$series: --rtc: ends" ended 0
        expect "$series: --rtc: the clock shows it" said '^rtc=2040-02-29'
        expect "$series: --rtc: Linux has the time from there" said '^date=2040-02-29T12'
    done
}
