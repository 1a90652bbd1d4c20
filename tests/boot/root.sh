# shellcheck shell=sh
# SPDX-License-Identifier: BSD-2-Clause
# A group of tests/boot/run-all: directories of the host as a guest's root (minivet run --root DIR), for stock kernels.
# Command lines are guests' shell lines: they are not for the host's shell to expand.
# shellcheck disable=SC2016,SC2034,SC2154

# in_root SERIES ROOT OPTION... -- COMMAND...: one run; its output is in $log, its status in $status
in_root() {
    series=$1 root=$2
    shift 2
    attempts rooted "$@"
}

rooted() {
    "$minivet" run --root "$root" "$images/$series/vmlinuz" --timeout 120s "$@" >"$log" 2>&1 </dev/null
    status=$?
}

small_root() { # DIR: one with a shell and no more
    mkdir -p "$1/bin" "$1/etc/folder" "$1/tmp"
    cp "$images/busybox" "$1/bin/busybox"
    for name in sh cat ls mkdir mv rm grep stat touch; do
        ln -s busybox "$1/bin/$name"
    done
    echo below >"$1/etc/file"
    echo below >"$1/etc/folder/file"
    ln -s ../run/resolve/resolv.conf "$1/etc/resolv.conf"
}

root_of_host() { # SERIES
    variable='a b' in_root "$1" / -- sh -c 'uname -sr; echo "variable=$variable home=$HOME"; pwd; id -u
        echo here >written && cat written; [ -d /proc/self ] && [ -c /dev/null ] && echo fresh=$(ls /run | wc -l); exit 7'
    expect "root / of $1: ends with the command's status" ended 7
    expect "root / of $1: is the kernel asked for" said "^Linux $1\."
    expect "root / of $1: has the environment" said "^variable=a b home=$HOME\$"
    expect "root / of $1: begins in the current directory" said "^$PWD\$"
    expect "root / of $1: is root's" said '^0$'
    expect "root / of $1: can be written to" said '^here$'
    expect "root / of $1: the host does not see that" [ ! -e written ]
    expect "root / of $1: has a /run of its own" said '^fresh=1$'
}

# Files are renamed, replaced and removed; what was so is so in the next run, and only there.
root_kept() { # SERIES
    change='cat /etc/file; echo above >/etc/file; mkdir /new && echo new >/new/file; mv /etc/folder /etc/moved; rm /etc/gone'
    look='cat /etc/file /new/file /etc/moved/file; ls /etc; stat -c %u:%a /new/file'
    mkdir -p "$work/kept/$1"
    echo gone >"$work/root/etc/gone"
    in_root "$1" "$work/root,overlay=$work/kept/$1" -- sh -c "$change"
    expect "root with overlay=DIR of $1: is written to" ended 0
    in_root "$1" "$work/root,overlay=$work/kept/$1" -- sh -c "$look"
    expect "root with overlay=DIR of $1: the next run finds that" [ "$(tr '\n' ' ' <"$log")" = 'above new below file moved resolv.conf 0:644 ' ]
    in_root "$1" "$work/root" -- sh -c "cat /etc/file /etc/folder/file /etc/gone"
    expect "root with overlay=DIR of $1: others do not" [ "$(tr '\n' ' ' <"$log")" = 'below below gone ' ]
}

root_live() { # SERIES
    in_root "$1" "$work/root,rw" -- sh -c 'echo guest >/etc/from; stat -c %u /etc/file; grep " / " /proc/mounts'
    expect "root with rw of $1: is DIR itself" said '^minivet-root / virtiofs rw'
    expect "root with rw of $1: the user's files are root's" said '^0$'
    expect "root with rw of $1: the host sees what is written" [ "$(cat "$work/root/etc/from")" = guest ]
    rm -f "$work/root/etc/from"
    in_root "$1" "$work/root,ro" -- sh -c 'echo guest >/etc/other || echo refused; echo fresh >/tmp/x; cat /tmp/x'
    expect "root with ro of $1: refuses writes" said '^refused$'
    expect "root with ro of $1: has a fresh /tmp" said '^fresh$'
}

root_network() { # SERIES
    mkdir -p "$work/www"
    echo from-the-host >"$work/www/page"
    busybox httpd -f -p 127.0.0.1:8099 -h "$work/www" &
    server=$!
    in_root "$1" "$work/root" --net user -- sh -c 'busybox ip -4 address show eth0; cat /etc/resolv.conf
        busybox wget -q -O - http://10.0.2.2:8099/page'
    kill "$server"
    expect "root with a network of $1: has an address" said 'inet 10\.0\.2\.15/24'
    expect "root with a network of $1: has a name server" said '^nameserver 10\.0\.2\.3$'
    expect "root with a network of $1: reaches the host" said '^from-the-host$'
}

on_root_terminal() {
    script -qefc "stty rows 30 cols 90; '$minivet' run --root / '$images/6.1/vmlinuz' --timeout 120s -- sh -c 'stty size; tty; exit 5'" \
        /dev/null >"$log" 2>&1 </dev/null
    status=$?
}

# What is kept needs extended attributes, which tmpfs has since Linux 6.6.
root_disk() {
    mkdir "$work/kept"
    cp "$images/root.ext4" "$work/disk"
    case $(stat -fc %T "$work") in
    tmpfs | overlay*) mount -o loop "$work/disk" "$work/kept" ;;
    esac
}

group_root() {
    small_root "$work/root"
    root_disk
    for series in 6.1 6.12; do
        root_of_host "$series"
        root_kept "$series"
        root_live "$series"
    done
    root_network 6.12
    umount "$work/kept" 2>/dev/null
    attempts on_root_terminal
    expect "root in a terminal: has one, of its size" said '30 90$'
    expect "root in a terminal: has the status" ended 5
}
