# shellcheck shell=sh
# SPDX-License-Identifier: BSD-2-Clause
# Two groups of tests/boot/run-all that run by name only: do shared directories behave as the host's own file system?
# tests/boot/posix.c says what that is; what it prints of a share is compared with what it prints of the file system that
# is shared. Each difference is expected here, and has its reason in docs/sharing.md.
#   posix          in guests with stock kernels, and Debian's git, rsync and dpkg there
#   posix_mounted  on this host, whose kernel mounts the shares itself, by tests/boot/mount.c: for much more of the same
# Command lines are guests' shell lines: they are not for the host's shell to expand.
# shellcheck disable=SC2016,SC2034,SC2154

# What differs, as posix.c names it: a line for each, and for whom.
never_there='fallocate: COLLAPSE_RANGE
fallocate: which takes it out
fallocate: INSERT_RANGE'
no_setid='chmod: set-user-ID
chmod: which it is
chmod: set-group-ID
chown: takes set-user-ID away'
no_devices='mknod: a device
mknod: which it is
mknod: and which can be used'
only_user_attributes='setxattr: trusted.one
getxattr: trusted.one
setxattr: security.capability
getxattr: security.capability'
nothing_kept='mmap: shared, for writing'
written_later='SEEK_DATA: over a hole
SEEK_HOLE: in one
pwrite: behind all
pread: nothing behind the end'
links_are_roots='lchown: which it is
symlink: which is that user
sticky: which can remove it'
one_user='chown: a group
chown: which it is
chown: both
chown: which they are
lchown: a symbolic link
lchown: which it is
lchown: not its target
access: which is the user
access: and the group
sticky: but one
set-group-ID: a new file
set-group-ID: and a directory
symlink: which is that user
sticky: which can remove it
mkfifo: of another user
sticky: which can remove it, too'

# differs_by KEYS USER: of a share with these keys, served by that user.
differs_by() {
    echo "$never_there"
    case $1 in
    *uid=xattr*) echo "$links_are_roots" ;;
    *)
        printf '%s\n' "$no_setid" "$no_devices" "$only_user_attributes"
        [ "$2" = 0 ] || echo "$one_user"
        ;;
    esac
    case $1 in *cache=never*) echo "$nothing_kept" ;; esac
    case $1 in *writeback*) echo "$written_later" ;; esac
}

# as_on_host FOUND: what was found of a share is what was found in $work/on-host, but for $work/differs.
as_on_host() {
    grep -q '^# .* failed$' "$1" || { echo '# it did not come to its end'; tail -n 3 "$1" | sed 's/^/# /'; return 1; }
    sed 's/^/not ok - /' "$work/differs" >"$work/expected"
    grep -vxFf "$work/on-host" "$1" | grep -v '^#' >"$work/others"
    grep -vFf "$work/expected" "$work/others" | sed 's/^/# differs: /'
    ! grep -qvFf "$work/expected" "$work/others"
}

# all_differ FOUND: each difference that is expected was found.
all_differ() {
    gone=
    while read -r line; do
        grep -qF "not ok - $line" "$1" || { gone=1; echo "# no more: $line"; }
    done <"$work/differs"
    [ ! "$gone" ]
}

# ---- in guests

# The program is in the share, and so is what it prints.
checker='
mkdir /tmp/s && mount -t virtiofs files /tmp/s || exit 9
chmod 755 /minivet/posix
cd /tmp/s
/minivet/posix check /tmp/s MANY >/tmp/found 2>&1
cp /tmp/found found
i=1
while [ $i -le 3 ]; do /minivet/posix random data $i STEPS; i=$((i + 1)); done >random
MINIVET_DIRECT=1 /minivet/posix random data 4 STEPS >>random
cd /
umount /tmp/s
dmesg | grep -iE "fuse|virtio.?fs" | grep -iE "error|fail|warn"
echo done=all'

appender='
mkdir /tmp/s && mount -t virtiofs both /tmp/s
cd /tmp/s
: >here-WHO
for try in $(seq 1200); do
    [ ! -e here-a ] || [ ! -e here-b ] || break
    sleep 0.1
done
/minivet/posix append log WHO 300 && echo written=WHO
i=0
while [ $i -lt 100 ]; do echo WHO$i >WHO-file-$i; i=$((i + 1)); done
: >done-WHO
for try in $(seq 1200); do
    [ ! -e done-a ] || [ ! -e done-b ] || break
    sleep 0.1
done
sleep 2
echo seen=$(cat a-file-* b-file-* | wc -l) lines=$(wc -l <log)
cd /; umount /tmp/s'

# In a root directory of Debian packages, which is the share: Debian programs there, and a second share for dpkg.
debian='
exec 2>&1
export HOME=/root PATH=$PATH:/usr/sbin:/sbin GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b
mount -t virtiofs files /srv && mkdir /tmp/t && mount -t virtiofs target /tmp/t && cd /srv
mkdir files && cp -a /usr/bin/[a-d]* /etc files
ln files/bash files/linked; ln -s nowhere files/link; mkfifo files/fifo
truncate -s 50M files/sparse; setfattr -n user.note -v text files/bash
rsync -aHXS files/ /tmp/t/there/ && rsync -aHXS /tmp/t/there/ back/ && diff -r --no-dereference files/etc back/etc &&
    echo rsync=$(rsync -aHXSni files/ back/ | wc -l) links=$(stat -c %h back/linked) $(getfattr --only-values -n user.note back/bash)
git init -q repo && cd repo && cp -a /usr/share/perl* /etc . 2>/dev/null
git add -A && git commit -qm one && git repack -adq && git fsck --no-progress && echo fsck=$?
sleep 2
echo status=$(git status --porcelain | wc -l)
cd .. && git clone -q --no-local repo clone && cd clone && git fsck --no-progress && git status --porcelain | wc -l | sed "s/^/clone=/"
installs() { # PACKAGE ROOT
    (cd $2 && mkdir -p var/lib/dpkg/info var/lib/dpkg/updates var/lib/dpkg/triggers && : >>var/lib/dpkg/status)
    dpkg --root=$2 --force-depends -i /debs/$1.deb >/tmp/dpkg.log 2>&1; echo $1=$?
    grep -i error /tmp/dpkg.log
    dpkg --root=$2 --verify && echo verified-$1=$(dpkg-query --admindir=$2/var/lib/dpkg -f "\${Status}" -W $1)
}
installs acl / # with its scripts
installs attr /tmp/t
cd /tmp/t && chown 12:34 usr/bin/getfattr && chmod 4755 usr/bin/getfattr && stat -c "owner=%u:%g:%a" usr/bin/getfattr
dpkg --root=/tmp/t --force-depends --purge attr >/dev/null 2>&1; ls usr/bin/getfattr 2>/dev/null | wc -l | sed "s/^/purged=/"
cd / && umount /tmp/t /srv; echo done=all'

run_posix() { # OPTION...
    rm -rf "$room/files" && mkdir "$room/files" && chown "$user:$user" "$room/files"
    /usr/bin/setpriv --reuid "$user" --regid "$user" --clear-groups "$minivet" run "$images/$series/vmlinuz" -i "$work/initrd" -a quiet \
        -m 512M --timeout 900s "$@" >"$log" 2>&1 </dev/null
    status=$?
}

# compared SERIES KEYS [USER]: the suite in a guest, on a share that Minivet serves as that user.
compared() {
    series=$1 user=${3:-0}
    title="$1, $2${3:+, user $3}"
    initramfs "$1" "$(echo "$checker" | sed "s/MANY/$many/; s/STEPS/$steps/g")"
    attempts run_posix --share "$room/files,tag=files,xattr=on,$2"
    expect "$title: the guest comes to its end" said '^done=all$'
    differs_by "$2" "$user" >"$work/differs"
    expect "$title: is as the host's file system" as_on_host "$room/files/found"
    expect "$title: but for what is said" all_differ "$room/files/found"
    expect "$title: random operations on a file" [ "$(grep -c '^ok' "$room/files/random")" -eq 4 ]
    ! grep '^not ok' "$room/files/random" | sed 's/^/# /'
}

# Two guests at once, which write to one file and make files side by side.
two_guests() { # KEYS
    rm -rf "$room/both" && mkdir "$room/both"
    for who in a b; do
        initramfs "$series" "$(echo "$appender" | sed "s/WHO/$who/g")"
        cp "$work/initrd" "$work/initrd-$who"
        "$minivet" run "$images/$series/vmlinuz" -i "$work/initrd-$who" -a quiet --timeout 300s \
            --share "$room/both,$1" >"$log.$who" 2>&1 </dev/null &
    done
    wait
    status=0
    cat "$log.a" "$log.b" >"$log"
}

posix_suite() {
    mkdir "$room/own"
    "$program" check "$room/own" "$many" >"$work/on-host" 2>&1
    grep '^not ok' "$work/on-host" | sed 's/^/# the file system itself: /'
    rm -rf "$room/own"
    for keys in ${MINIVET_KEYS:-uid=map uid=none,cache=never uid=xattr,cache=always uid=map,locks=on,writeback=on}; do
        compared "$on" "$keys"
    done
}

posix_user() {
    chmod 666 /dev/kvm
    compared "$on" uid=map 1234
    compared "$on" uid=xattr 1234
}

posix_two() {
    series=$on
    for keys in cache=auto cache=never; do
        two_guests "$keys"
        for who in a b; do
            expect "$on, two guests, $keys: $who writes" grep -q "^written=$who" "$log.$who"
            expect "$on, two guests, $keys: $who sees all of it" grep -q '^seen=200 lines=600' "$log.$who"
        done
        expect "$on, two guests, $keys: no record is torn" [ "$(grep -cxE 'a{63}|b{63}' "$room/both/log")" -eq 600 ]
    done
}

in_debian() {
    rm -rf "$room/target" "$room/files" && mkdir "$room/target" "$room/files"
    "$minivet" run --root "$room,rw" "$images/$on/vmlinuz" -m 768M --timeout 900s \
        --share "$room/files,xattr=on" --share "$room/target,uid=xattr,xattr=on" -- bash -c "$debian" >"$log" 2>&1 </dev/null
    status=$?
}

posix_debian() {
    attempts in_debian
    expect "$on, Debian: rsync there and back finds nothing to do" said '^rsync=0 links=2 text$'
    expect "$on, Debian: git fsck finds nothing" said '^fsck=0$'
    expect "$on, Debian: git status neither" said '^status=0$'
    expect "$on, Debian: and a clone of it" said '^clone=0$'
    for name in acl attr; do
        expect "$on, Debian: dpkg installs $name" said "^$name=0\$"
        expect "$on, Debian: and finds it whole" said "^verified-$name=install ok installed\$"
    done
    expect "$on, Debian: files have owners of their own" said '^owner=12:34:4755$'
    expect "$on, Debian: dpkg removes a package" said '^purged=0$'
    expect "$on, Debian: gets to its end" said '^done=all$'
}

group_posix() {
    on=${MINIVET_SERIES:-6.1}
    many=${MINIVET_MANY:-1000} steps=${MINIVET_STEPS:-1000}
    program=${minivet%/*}/tests/boot-posix
    if [ ! -e "$images/posix.ext4" ]; then
        result ok "posix # SKIP no such disk: guest-images/build posix"
        return
    fi
    mkdir -p "$work/cmd/minivet"
    cp "$program" "$work/cmd/minivet/posix"
    room=$work/room
    mkdir "$room"
    chmod 755 "$work"
    cp "$images/posix.ext4" "$work/disk"
    mount -o loop "$work/disk" "$room"
    for part in ${MINIVET_PARTS:-suite user two debian}; do
        "posix_$part"
    done
    umount "$room"
    rm "$work/cmd/minivet/posix"
}

# ---- on this host

# mounted KEYS USER COMMAND...: with $work/mounted a share of $work/shared. Another process may have the mount in a namespace
# of its own, so that the server would not end by itself.
mounted() {
    keys=$1 user=$2
    shift 2
    rm -rf "$work/shared" && mkdir -p "$work/shared" "$work/mounted" && chown "$user:$user" "$work/shared"
    # shellcheck disable=SC2086 # several words
    "${minivet%/*}/tests/boot-mount" "$work/shared" "$work/mounted" user="$user" $keys >"$work/server" 2>&1 &
    server=$!
    until mountpoint -q "$work/mounted" || ! kill -0 "$server" 2>/dev/null; do
        sleep 0.1
    done
    "$@" >"$log" 2>&1
    status=$?
    kill -0 "$server" 2>/dev/null || status=99
    umount -l "$work/mounted"
    kill "$server" 2>/dev/null
    wait "$server" 2>/dev/null
    cat "$work/server" >>"$log"
}

# What programs do there; each line that it prints is a complaint.
programs() {
    cd "$work/mounted" || return
    export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0='*'
    git clone -q --no-hardlinks "$tree" repo
    (cd repo && git repack -adq && git fsck --no-dangling --no-progress && sleep 2 && git status --porcelain &&
        touch README.md && git status --porcelain) || echo "git: $?"
    for engine in psync io_uring mmap; do
        case $keys/$engine in *cache=never*/mmap) continue ;; esac
        fio --name=v --directory=. --size=32m --rw=randwrite --bsrange=4k-64k --ioengine=$engine --verify=crc32c \
            --do_verify=1 --verify_fatal=1 --numjobs=2 --minimal >"$work/fio" 2>&1 || tail -n 3 "$work/fio"
    done
    for seed in 1 2 3; do "$program" random data $seed 20000; done | grep -v ^ok
    MINIVET_DIRECT=1 "$program" random data 4 10000 | grep -v ^ok
    rm -rf -- *
    ls -A
}

group_posix_mounted() {
    if [ "$(id -u)" != 0 ] || [ ! -c /dev/fuse ] || ! command -v git fio >/dev/null; then
        result ok "posix_mounted # SKIP needs root, /dev/fuse, git and fio"
        return
    fi
    many=${MINIVET_MANY:-100000}
    tree=$PWD
    program=$(realpath "${minivet%/*}/tests/boot-posix")
    minivet=$(realpath "$minivet")
    chmod 755 "$work"
    mkdir "$work/own"
    "$program" check "$work/own" "$many" >"$work/on-host" 2>&1
    grep '^not ok' "$work/on-host" | sed 's/^/# the file system itself: /'
    rm -rf "$work/own"
    while read -r user keys; do
        title="mounted, $keys, user $user"
        mounted "xattr $keys" "$user" "$program" check "$work/mounted" "$many"
        cp "$log" "$work/found"
        differs_by "$keys" "$user" >"$work/differs"
        expect "$title: is as the host's file system" as_on_host "$work/found"
        expect "$title: but for what is said" all_differ "$work/found"
        (mounted "xattr $keys" "$user" programs; [ ! -s "$log" ])
        expect "$title: git, fio and random operations find no fault" [ $? -eq 0 ]
    done <<'END'
0 uid=map
0 uid=none cache=never
0 uid=xattr cache=always
0 uid=map locks writeback
1234 uid=map
1234 uid=xattr
END
}
