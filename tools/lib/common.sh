# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause
#
# What every script of the project shares. Source it after `set -euo pipefail`.

MINIVET_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
MINIVET_CACHE=${MINIVET_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/minivet}
mkdir -p "$MINIVET_CACHE" 2>/dev/null || true
MINIVET_CACHE=$(realpath -m "$MINIVET_CACHE")
export MINIVET_ROOT MINIVET_CACHE
script_name=$(realpath --relative-to="$MINIVET_ROOT" "$0")

# say WORDS...: one line of progress. Progress goes to stderr, results to stdout.
say() {
    printf '%s: %s\n' "$script_name" "$*" >&2
}

# die WORDS...: name the thing and the remedy, and end with DIE_STATUS (1 unless set).
die() {
    say "$*"
    exit "${DIE_STATUS:-1}"
}

# usage_error WORDS...: a mistake on the command line.
usage_error() {
    say "$* (see $script_name --help)"
    exit 2
}

# need_value OPTION COUNT: an option that takes a value is the last of COUNT words.
need_value() {
    (($2 > 1)) || usage_error "$1 needs a value"
}

# print_help: the script's own leading comment, from its third line on.
print_help() {
    awk 'NR > 2 { if (!/^#/ || /^# shellcheck/) exit; sub(/^# ?/, ""); print }' "$0"
}

# need TOOL PACKAGE: the tool must be there.
need() {
    command -v "$1" >/dev/null || PATH=$PATH:/usr/sbin:/sbin command -v "$1" >/dev/null ||
        die "$1 is missing: run tools/setup, or install the package $2"
}

# pack_cpio DIR: DIR as a newc archive on stdout, the same bytes for the same contents: sorted,
# owned by root, with one fixed time. DIR is changed (times). Padded so that another can follow.
pack_cpio() {
    find "$1" -exec touch -h -d @0 {} +
    (cd "$1" && find . -mindepth 1 -printf '%P\n' | LC_ALL=C sort |
        cpio --quiet --create --format=newc --owner=+0:+0 --reproducible)
}

# standard_modules DIR: the modules in DIR/modules move to where programs look for them, DIR/lib/modules/VERSION, with
# depmod's list of what each needs, and DIR/modules becomes a link. Where there are none nothing is done.
standard_modules() {
    local PATH=$PATH:/usr/sbin:/sbin version
    version=$(find "$1/modules" -name '*.ko' -print -quit)
    [[ $version ]] || return 0
    version=$(modinfo -F vermagic "$version" | cut -d' ' -f1)
    mkdir -p "$1/lib/modules"
    mv "$1/modules" "$1/lib/modules/$version"
    depmod --basedir "$1" "$version" 2>/dev/null # it misses lists that nobody here reads
    find "$1/lib/modules" -name 'modules.*' ! -name modules.dep -delete
    ln -s "lib/modules/$version" "$1/modules"
}

# shell_words ARG...: the arguments as one line that a POSIX shell reads back unchanged.
shell_words() {
    local word
    for word; do
        printf "'%s' " "${word//\'/\'\\\'\'}"
    done
}

# command_script ARG...: a shell script that runs a command. A single argument is a line for the
# shell; several are a program and its arguments, taken as they are.
command_script() {
    if (($# == 1)); then
        printf '%s\n' "$1"
    else
        shell_words "$@"
        printf '\n'
    fi
}

# digest FILE...: one hash over the contents of the files.
digest() {
    cat -- "$@" | sha256sum | cut -c1-64
}

# busybox_links BUSYBOX DIR: the static busybox, and a link for each of its commands, in DIR.
busybox_links() {
    local name
    install -D -m 755 "$1" "$2/busybox"
    "$1" --list | while read -r name; do
        [[ $name == busybox ]] || ln -s busybox "$2/$name"
    done
}

# copy_libraries ROOT: what the dynamic programs named on stdin need, copied to ROOT.
copy_libraries() {
    local library
    { xargs -r -d '\n' ldd 2>/dev/null || true; } |
        awk '$2 == "=>" && $3 ~ /^\// { print $3 } $1 ~ /^\// && NF == 2 && !/:$/ { print $1 }' |
        sort -u | while read -r library; do
        # /lib is a link to usr/lib, and an archive that held a folder there would stumble over it.
        install -D -m 755 "$library" "$1/usr/${library#/usr/}"
    done
}

# make_image DIR FILE: an ext4 image without a journal, of a directory.
make_image() {
    local size
    size=$(du -sm --apparent-size "$1" | cut -f1)
    truncate -s "$((size * 5 / 4 + 64))M" "$2"
    mke2fs -q -t ext4 -O ^has_journal -m 0 -E root_owner=0:0 -d "$1" "$2" ||
        die "$2: mke2fs failed: is there space in $MINIVET_CACHE?"
}

# count_in_testbed SECONDS OPTION...: `tools/testbed --icount` with that limit. A host's emulated SVM now and then
# interrupts a guest that has interrupts off, for ever after; it does the same again, unless its random numbers are
# others. So what it prints is held back until it is whole.
count_in_testbed() {
    local seed output seconds=$1
    shift
    for seed in 1 2 3; do
        if output=$("$MINIVET_ROOT/tools/testbed" --icount --seed "$seed" --timeout "$seconds" "$@"); then
            printf '%s\n' "$output"
            return
        fi
        say "the emulated host failed"
    done
    return 1
}
