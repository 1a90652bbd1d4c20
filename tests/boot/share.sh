# shellcheck shell=sh
# SPDX-License-Identifier: BSD-2-Clause
# A group of tests/boot/run-all: directories of the host in stock kernels, by virtio-fs. What one side writes the other
# reads, and each file comes out as it went in.
# Command lines are guests' shell lines: they are not for the host's shell to expand.
# shellcheck disable=SC2016,SC2154

# In one directory: an emulated host makes a hundred or so in a second.
many=${SHARE_FILES:-1000}

# Each line is a fact that the host knows, too.
sharer='
exec 2>&1
mkdir /tmp/s && mount -t virtiofs files /tmp/s || exit 9
cd /tmp/s
echo read=$(md5sum <given)
echo listed=$(ls names | wc -l)
echo deep=$(cat a/b/c/d)
dd if=/dev/urandom of=taken bs=64k count=80 2>/dev/null
echo written=$(md5sum <taken)
echo more >>appended
echo more >>appended
dd if=/dev/zero of=cut bs=1k count=8 2>/dev/null
dd of=cut bs=1 count=0 seek=1234 2>/dev/null
ln taken linked
ln -s a/b there
echo links=$(stat -c %h taken) $(readlink there) $(cat there/c/d)
chmod 640 appended
echo mode=$(stat -c %a appended)
mkdir old && echo moved >old/file && mv old new && mv new/file given2
echo moved=$(cat given2) $(ls new | wc -l)
rmdir new
rm linked
echo left=$(stat -c %h taken)
mkfifo fifo
cp /bin/busybox busybox && ./busybox echo runs=from-the-share
sync
cd /
umount /tmp/s
mount -t virtiofs files /tmp/s && echo again=$(md5sum </tmp/s/taken)
mkdir /tmp/s/many && cd /tmp/s/many
i=0
while [ $i -lt MANY ]; do : >file$i; i=$((i + 1)); done
echo made=$(ls | wc -l)
cd / && umount /tmp/s && mount -t virtiofs files /tmp/s
echo found=$(ls -l /tmp/s/many | grep -c "file[0-9]")
rm -r /tmp/s/many
echo many=$(ls -d /tmp/s/many)
df /tmp/s | tail -n 1
umount /tmp/s
dmesg | grep -iE "fuse|virtio.?fs" | grep -iE "error|fail|warn"
echo done=all'

# Waits for the other guest, and answers it.
listener='
mkdir /tmp/s && mount -t virtiofs both /tmp/s
for try in $(seq 1200); do
    [ ! -s /tmp/s/question ] || break
    sleep 0.1
done
echo heard=$(cat /tmp/s/question)
echo well >/tmp/s/.answer && mv /tmp/s/.answer /tmp/s/answer'

asker='
mkdir /tmp/s && mount -t virtiofs both /tmp/s
echo how >/tmp/s/.question && mv /tmp/s/.question /tmp/s/question
for try in $(seq 1200); do
    [ ! -s /tmp/s/answer ] || break
    sleep 0.1
done
echo answer=$(cat /tmp/s/answer)'

reader='
mkdir /tmp/s && mount -t virtiofs files /tmp/s || exit 9
echo read=$(md5sum </tmp/s/given)
echo x >/tmp/s/given
rm /tmp/s/given
mkdir /tmp/s/new
chmod 600 /tmp/s/given
echo still=$(md5sum </tmp/s/given)'

md5() { # FILE
    md5sum <"$1" | cut -d' ' -f1
}

make_files() {
    rm -rf "$work/files"
    mkdir -p "$work/files/names" "$work/files/a/b/c"
    dd if=/dev/urandom of="$work/files/given" bs=64k count=80 2>/dev/null
    echo far down >"$work/files/a/b/c/d"
    for i in $(seq 300); do : >"$work/files/names/a-name-of-some-length-$i"; done
    echo some >"$work/files/appended"
}

share_once() { # KEYS
    make_files
    run_once -m 512M --share "$work/files,tag=files$1"
}

# shared WHAT KEYS: all that the sharer does, and what the host finds afterwards
shared() {
    what=$1
    initramfs "$series" "$(echo "$sharer" | sed "s/MANY/$many/")"
    kernel=$images/$series/vmlinuz
    attempts share_once "$2"
    expect "$what: a guest uses files of its host" ended 0
    expect "$what: reads them" said "^read=$(md5 "$work/files/given") "
    expect "$what: lists them" said '^listed=300$'
    expect "$what: finds its way" said '^deep=far down$'
    expect "$what: writes them" said "^written=$(md5 "$work/files/taken") "
    expect "$what: adds to them" test "$(tr '\n' ' ' <"$work/files/appended")" = 'some more more '
    expect "$what: cuts them" test "$(wc -c <"$work/files/cut")" -eq 1234
    expect "$what: makes links" said '^links=2 a/b far down$'
    expect "$what: sets modes" said '^mode=640$'
    expect "$what: moves files and directories" said '^moved=moved 0$'
    expect "$what: removes a link" said '^left=1$'
    expect "$what: runs a program" said '^runs=from-the-share$'
    expect "$what: mounts it again" said "^again=$(md5 "$work/files/taken") "
    expect "$what: makes $many files in a directory" said "^made=$many$"
    expect "$what: finds them by other mounts" said "^found=$many$"
    expect "$what: removes them" said '^many=$'
    expect "$what: gets to the end without a complaint" said '^done=all$'
    expect "$what: the host has what is left" test "$(cd "$work/files" && echo *)" = \
        'a appended busybox cut fifo given given2 names taken there'
}

# Two guests at once, of both kernels.
share_both() {
    mkdir -p "$work/both"
    rm -f "$work/both/"* "$work/both/".[a-z]*
    initramfs 6.1 "$listener"
    cp "$work/initrd" "$work/listener"
    "$minivet" run "$images/6.1/vmlinuz" -i "$work/listener" -a quiet --timeout 120s --share "$work/both" \
        >"$log.listener" 2>&1 </dev/null &
    listening=$!
    initramfs 6.12 "$asker"
    kernel=$images/6.12/vmlinuz
    run_once --share "$work/both"
    wait $listening
}

group_share() {
    for series in 6.1 6.12; do
        shared "$series" ''
        make_files
        given=$(md5 "$work/files/given")
        guest "$series" vmlinuz "$reader" --share "$work/files,ro"
        expect "$series, read-only: a guest reads files" said "^read=$given "
        expect "$series, read-only: writes none" said 'Read-only file system'
        expect "$series, read-only: and they stay" said "^still=$given "
        expect "$series, read-only: as the host finds, too" test "$(md5 "$work/files/given")" = "$given"
    done
    attempts share_both
    expect "two guests: one reads what the other writes" grep -q '^heard=how' "$log.listener"
    expect "two guests: and answers" said '^answer=well'
    series=6.12
    many=$((many / 10)) # each asks the host several times
    shared "$series, on PCI, packed, nothing kept" ',transport=pci,ring=packed,cache=never,uid=none'
}
