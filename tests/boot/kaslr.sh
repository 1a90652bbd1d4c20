# shellcheck shell=sh
# SPDX-License-Identifier: BSD-2-Clause
# A group of tests/boot/run-all: kernels that are unpacked by Minivet and moved by chance.
# MINIVET_BOOTS says how many boots at random addresses (default 3).
# Command lines are guests' shell lines: they are not for the host's shell to expand.
# shellcheck disable=SC2016,SC2154

where_work='
echo "virtual=$(grep -m 1 " _text$" /proc/kallsyms | cut -d" " -f1)"
echo "physical=$(grep "Kernel code" /proc/iomem | tr -d " " | cut -d- -f1)"
echo kernel=$(uname -r)
'

# where NAME: what the last run printed behind it
where() {
    tr -d '\r' <"$log" | sed -n "s/^$1=//p"
}

# kernels COUNT: as many are kept
kernels() {
    [ "$(find "$XDG_CACHE_HOME/minivet/kernels" -type f | wc -l)" -eq "$1" ]
}

distinct() { # virtual|physical: how many addresses
    sort -u "$work/$1" | wc -l
}

# boots SERIES COUNT OPTION...: its addresses, a line each, in $work/virtual and $work/physical
boots() {
    series=$1 left=$2
    shift 2
    : >"$work/virtual"
    : >"$work/physical"
    failed=0
    while [ "$left" -gt 0 ]; do
        left=$((left - 1))
        guest "$series" vmlinuz "$where_work" -v "$@"
        [ "$status" -eq 0 ] && said "^kernel=$series" || failed=$((failed + 1))
        where virtual >>"$work/virtual"
        where physical >>"$work/physical"
    done
    echo "# $series $*: $(distinct virtual) virtual addresses, $(distinct physical) physical"
}

group_kaslr() {
    XDG_CACHE_HOME=$work/cache
    export XDG_CACHE_HOME
    all_images=$images
    images=$work/images # where the cache is: what lies on another file system may not be kept
    for series in 6.1 6.12; do
        mkdir -p "$images/$series"
        cp "$all_images/$series/vmlinuz" "$images/$series"
        ln -s "$all_images/$series/initramfs.gz" "$images/$series"
    done
    kept=0
    for series in 6.1 6.12; do
        kept=$((kept + 1))
        boots "$series" "${MINIVET_BOOTS:-3}"
        expect "$series: every boot works" [ "$failed" -eq 0 ]
        expect "$series: was unpacked before" said 'data, unpacked before$'
        expect "$series: is kept once" kernels "$kept"
        expect "$series: runs at other virtual addresses" [ "$(distinct virtual)" -ge 2 ]
        expect "$series: and at other physical ones" [ "$(distinct physical)" -ge 2 ]
        boots "$series" 1 --kaslr off
        expect "$series, --kaslr off: boots" [ "$failed" -eq 0 ]
        expect "$series, --kaslr off: at the address it was linked for" [ "$(where virtual)" = ffffffff81000000 ]
        boots "$series" 1 -c 2 -m 128M
        expect "$series, little memory: boots" [ "$failed" -eq 0 ]
    done
    boots 6.12 1 -m 4G -a mem=200M
    expect "mem=: boots" [ "$failed" -eq 0 ]
    expect "mem=: stays in what is left" [ "$(where physical)" = 01000000 ]
    boots 6.1 1 --unpack off
    expect "--unpack off: unpacks itself" said 'unpacks itself$'
    expect "--unpack off: boots" [ "$failed" -eq 0 ]
    boots 6.1 1 --unpack on
    expect "--unpack on: unpacks again" said 'data, unpacked now$'
    images=$all_images
}
