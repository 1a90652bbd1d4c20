# shellcheck shell=sh
# SPDX-License-Identifier: BSD-2-Clause
# What guests put on a wire, and what they do when it breaks. Part of run-all, with what net.sh has.
# The hosts of a network are namespaces.
# Command lines are guests' shell lines: they are not for the host's shell to expand.
# shellcheck disable=SC2016,SC2154

# Not the one that may be part of the shell, which knows no pairs.
ip=/sbin/ip

# lan: a host of its own for what is on the other side, in $lan.
lan() {
    unshare -n sleep 100000 &
    lan=$! pid=$!
    net_pids="$net_pids $lan"
    until_it in_another_net "$lan"
    within "$lan" $ip link set lo up
}

in_another_net() { # PID
    [ "$(readlink "/proc/$1/ns/net")" != "$(readlink /proc/self/ns/net)" ]
}

# To be waited for or killed by its number: without a shell in between.
with_lan() { # LAN COMMAND... &
    lan_pid=$1
    shift
    exec nsenter -t "$lan_pid" -n "$@"
}

within() { # LAN COMMAND...
    lan_pid=$1
    shift
    nsenter -t "$lan_pid" -n "$@"
}

# until_said PATTERN: or until the guest has ended, which its own timeout sees to.
until_said() {
    while ! said "$1" && kill -0 "$pid" 2>/dev/null; do
        sleep 0.2
    done
}

# ---- checksums, on the wire and in the guest

# Whoever has checksums filled in by others must find someone who does. A guest's cards differ in
# what they leave to the host, and each is told to do without this and that while TCP and UDP go both
# ways. All cards are on a bridge with one end of a wire. The host at the other end does all by itself
# at first, so that what is captured there is final, then nothing, so that guests get the unfinished.
sums_cards='
transport=pci,ring=packed
transport=pci,offloads=off
transport=pci,offloads=to-host
transport=pci,ring=packed,offloads=to-guest
'
# While what is captured: a card's number, and what it does without.
sums_cases='
final 0
final 0 tso
final 0 tx
final 0 gso gro
final 1
final 2
final 2 tso
final 3
open 0
open 0 rx-gro-hw gro
open 1
open 3
'

sums_work='
export PATH=$PATH:/usr/bin:/usr/sbin
echo 1 >/proc/sys/net/ipv4/conf/all/arp_ignore
echo 2 >/proc/sys/net/ipv4/conf/all/arp_announce
for card in /sys/class/net/eth*; do
    number=${card#*/eth}
    echo 0 >/proc/sys/net/ipv6/conf/eth$number/dad_transmits
    ip -6 addr add fd0$number::2/64 dev eth$number
    ip addr add 192.168.3$number.2/24 dev eth$number
done
sum_errors() {
    cat /proc/net/snmp /proc/net/netstat /proc/net/snmp6 | awk "
        \$1 == last { for (i = 2; i <= NF; i++) if (name[i] ~ /CsumErr/) wrong += \$i }
        \$1 != last { for (i = 2; i <= NF; i++) name[i] = \$i; last = \$1 }
        \$1 ~ /InCsumErr/ { wrong += \$2 }
        END { print wrong + 0 }"
}
# TCP there and back, a datagram there, and one from there. A kernel answers a datagram to a port of
# nobody, if its sum is right: that is how routes are traced, and costs little.
streams() { # CARD
    for host in 192.168.3$1. fd0$1::; do
        timeout 20 nc ${host}1 7 </tmp/bulk | cmp -s - /tmp/bulk && echo tcp
        traceroute -n -m 1 -q 3 -w 5 ${host}1 600 2>&1 | grep -q " ms" && echo sent
        echo ${host}2 | timeout 20 nc ${host}1 8 | grep -q " ms" && echo received
    done
}
switch() { # CARD on|off WORD...
    card=$1 state=$2
    shift 2
    for one; do
        ethtool -K eth$card $one $state >/dev/null || echo "cannot switch $one"
    done
}
cases() { # PHASE
    grep "^$1" /tmp/cases | while read -r phase card words; do
        switch $card off $words
        echo "$phase: card $card without <$words>:" $(streams $card), $(sum_errors) wrong
        switch $card on $words
    done
    echo "phase $1"
}
echo 0 >/proc/sys/net/ipv4/icmp_ratelimit
echo 0 >/proc/sys/net/ipv6/icmp/ratelimit
head -c 200000 /dev/urandom >/tmp/bulk
wait_for reaches 192.168.30.1
wait_for reaches fd00::1
cases final
wait_for reaches 192.168.30.99
cases open
'

far_offloads() { # on|off
    for one in "ethtool -K near" "within $far ethtool -K far"; do
        $one tx "$1" rx "$1" sg "$1" gso "$1" gro "$1" tso "$1" >/dev/null
    done
}

sums_net() {
    lan
    far=$lan
    $ip link add wire type bridge
    $ip link set wire up
    $ip link add near type veth peer name far netns "$far"
    $ip link set near master wire up
    within "$far" $ip link set far up
    for n in 0 1 2 3; do
        within "$far" $ip addr add 192.168.3$n.1/24 dev far
        within "$far" $ip addr add fd0$n::1/64 dev far nodad
    done
    echo '#!/bin/sh
        read -r host
        exec '"$images/busybox"' traceroute -n -m 1 -q 3 -w 5 "$host" 600' >"$work/trace"
    chmod +x "$work/trace"
    within "$far" sh -c 'echo 0 >/proc/sys/net/ipv4/icmp_ratelimit; echo 0 >/proc/sys/net/ipv6/icmp/ratelimit'
    with_lan "$far" "$images/busybox" nc -ll -p 7 -e "$images/busybox" cat &
    net_pids="$net_pids $!"
    with_lan "$far" "$images/busybox" nc -ll -p 8 -e "$work/trace" &
    net_pids="$net_pids $!"
}

# capture PHASE COMMAND...: what is at the other end, in $work/PHASE, until the guest is through with it
# and COMMAND finds there what has to be there: tcpdump may be behind.
capture() {
    phase=$1
    shift
    : >"$work/tcpdump"
    with_lan "$far" tcpdump -Z root -B 16384 -U --immediate-mode -i far -w "$work/$phase" ip or ip6 2>"$work/tcpdump" &
    tcpdump=$!
    until_it grep -q listening "$work/tcpdump"
    [ "$phase" = final ] || within "$far" $ip addr add 192.168.30.99/24 dev far
    until_said "^phase $phase"
    until_it "$@" "$phase"
    kill $tcpdump
    wait $tcpdump
}

# all_kinds PHASE: TCP and UDP by IPv4 and IPv6 were captured, in each direction of each card.
all_kinds() {
    tcpdump -Z root -r "$work/$1" -nq 2>/dev/null | sed -nE '
        s/.*IP6? (fd0|192\.168\.3)(.)(.*\.|::)2\.[0-9]+ > .*: (tcp|UDP).*/\1 \4 from \2/p
        s/.*IP6? .* > (fd0|192\.168\.3)(.)(.*\.|::)2\.[0-9]+: (tcp|UDP).*/\1 \4 to \2/p' | sort -u >"$work/kinds"
    [ "$(wc -l <"$work/kinds")" -eq $(((last_card + 1) * 8)) ]
}

wrong_sums() { # PHASE
    tcpdump -Z root -r "$work/$1" -nvv 2>/dev/null | grep -E 'incorrect|bad (udp )?cksum'
}

no_wrong_sums() {
    ! wrong_sums "$@"
}

some_wrong_sums() {
    wrong_sums "$@" >"$work/found"
}

sums_run() {
    within "$far" $ip addr del 192.168.30.99/24 dev far 2>/dev/null
    far_offloads off
    start "$@"
    for n in $(seq 0 "$last_card"); do
        until_it $ip link set "sum$n" master wire up 2>"$work/waits"
    done
    capture final all_kinds
    far_offloads on
    capture open some_wrong_sums
    wait "$pid"
    status=$?
}

net_sums() {
    sums_net
    set --
    last_card=-1
    for one in $sums_cards; do
        last_card=$((last_card + 1))
        set -- "$@" --net "tap=sum$last_card,$one"
    done
    attempts sums_run 6.1 "echo '$sums_cases' | grep . >/tmp/cases; $sums_work" \
        -d "$images/tools.ext4,ro,transport=mmio" --timeout 200s "$@"
    expect "checksums: runs" ended 0
    echo "$sums_cases" | grep . >"$work/cases"
    while read -r phase card words; do
        expect "checksums, $phase: card $card without <$words>" \
            said "^$phase: card $card without <$words>: tcp sent received tcp sent received, 0 wrong"
    done <"$work/cases"
    expect "checksums: each card sent and was sent TCP and UDP by IPv4 and IPv6" \
        all_kinds final
    expect "checksums: all are right on the wire" no_wrong_sums final
    expect "checksums: those that are not filled in are found" some_wrong_sums open
}

# ---- guests of two hosts

hosts_work='
seq $1 60000 >/www/file
httpd -h /www
for card in 0 1; do
    ip addr add 192.168.4$card.$1/24 dev eth$card
    ip link set eth$card up
done
echo mtu=$(cat /sys/class/net/eth1/mtu)
wait_for reaches 192.168.40.$2
wait_for reaches 192.168.41.$2 -s 8900 && ping -c 1 -W 10 -s 8900 192.168.41.$2 >/dev/null && echo pinged
fetch() { # NAME URL: and keeps the own file
    echo $1 $(timeout 20 wget -q -O - "$2" | sha256sum)
}
fetch small http://192.168.40.$2/file
fetch large http://192.168.41.$2/file
local=fe80::ff:fe00:$2%eth0
wait_for reaches $local
echo local $(printf "GET /file HTTP/1.0\r\n\r\n" | timeout 20 nc $local 80 | sed "1,/^\r*\$/d" | sha256sum)
complaints
echo done
sleep 1000 # the other may not be ready yet
'

# hosts_net: two hosts with two bridges each, for packets of 1500 bytes and of 9000.
hosts_net() {
    lan
    left=$lan
    lan
    right=$lan
    for mtu in 1500 9000; do
        within "$left" $ip link add "wire$mtu" mtu $mtu type veth peer name "wire$mtu" mtu $mtu netns "$right"
        for host in $left $right; do
            within "$host" $ip link add "wires$mtu" mtu $mtu type bridge
            within "$host" $ip link set "wires$mtu" up
            within "$host" $ip link set "wire$mtu" master "wires$mtu" up
        done
    done
}

# hosts_start HOST NUMBER OTHER SERIES OPTION...: a guest on a host.
hosts_start() {
    on_host=$1 number=$2 other=$3 series=$4
    shift 4
    start "$series" "set -- $number $other; $hosts_work" "$@" --timeout 120s \
        --net "tap=card1500,mac=02:00:00:00:00:0$number" --net "tap=card9000,mtu=9000,mac=02:00:00:00:01:0$number"
    for mtu in 1500 9000; do
        until_it within "$on_host" $ip link set card$mtu mtu $mtu master wires$mtu up 2>"$work/waits"
    done
    on_host=
}

hosts_run() {
    hosts_start "$left" 1 2 6.1 --virtio transport=pci
    first=$pid
    log=$work/second
    hosts_start "$right" 2 1 6.12 --virtio transport=pci,ring=packed
    until_said '^done'
    log=$work/log
    until_said '^done'
    kill "$first" "$pid" 2>/dev/null
    wait "$pid"
    wait "$first"
    if said '^done'; then status=0; else status=124; fi
}

net_hosts() {
    hosts_net
    attempts hosts_run
    for number in 1 2; do
        theirs=$(seq $((3 - number)) 60000 | sha256sum | cut -d' ' -f1)
        expect "two hosts, guest $number: a file at MTU 1500" said "^small $theirs"
        expect "two hosts, guest $number: a file at MTU 9000" said "^large $theirs"
        expect "two hosts, guest $number: the MTU is told" said '^mtu=9000'
        expect "two hosts, guest $number: a large ping" said '^pinged'
        expect "two hosts, guest $number: a file over IPv6 by link-local addresses" said "^local $theirs"
        expect "two hosts, guest $number: the kernel finds no fault" not_said '^complaint'
        log=$work/second
    done
    log=$work/log
}

# ---- wires that break

gone_work='
address eth0 192.168.7.2 192.168.7.1
address eth1 192.168.8.2 192.168.8.1
(while :; do timeout 5 nc 192.168.7.1 9 </dev/zero; done) >/dev/null 2>&1 &
load=$!
wait_for sh -c "[ \$(cat /sys/class/net/eth0/statistics/tx_bytes) -gt 1000000 ]"
echo busy
wait_for grep -q 0 /sys/class/net/eth0/carrier && echo carrier=$(cat /sys/class/net/eth0/carrier)
ping -c 1 -W 1 192.168.7.1 >/dev/null || echo unreachable
kill $load
ip link set eth0 down && ip link set eth0 up && echo usable
device=$(readlink -f /sys/class/net/eth0/device); device=${device##*/}
cd /sys/bus/virtio/drivers/virtio_net
echo $device >unbind && echo $device >bind && echo rebound
cd /
fetch other http://192.168.8.1:8080/file
'

# shellcheck disable=SC2034 # the status is for attempts
gone_run() {
    start "$@"
    tap_up mv0 192.168.7.1 1500
    tap_up mv1 192.168.8.1 1500
    until_said '^busy'
    $ip link del mv0
    wait "$pid"
    status=$?
    $ip link del mv0 2>/dev/null # the guest may not have come so far
}

said_once() { # PATTERN
    [ "$(grep -cE -- "$1" "$log")" -eq 1 ]
}

net_gone() { # NAME SERIES OPTION...
    name=$1 series=$2
    shift 2
    # What it starts for a connection outlives it, and would hold the output open.
    "$images/busybox" nc -ll -p 9 -e "$images/busybox" sha256sum >/dev/null 2>&1 &
    sink=$!
    attempts gone_run "$series" "$gone_work" "$@" --timeout 120s --net tap=mv0 --net tap=mv1
    kill $sink
    expect "tap deleted, $name: the guest ends by itself" ended 0
    expect "tap deleted, $name: the guest's link is down" said '^carrier=0'
    expect "tap deleted, $name: is said once" said_once 'mv0: the interface has gone'
    expect "tap deleted, $name: nobody is there" said '^unreachable'
    expect "tap deleted, $name: the guest's card goes down and up" said '^usable'
    expect "tap deleted, $name: a driver finds it again" said '^rebound'
    expect "tap deleted, $name: the other card works" said "^other $sum"
    expect "tap deleted, $name: the kernel finds no fault" not_said '^complaint'
}

flood_work='
httpd -p 81 -h /www
nc -ll -p 80 -e sleep 1000 &
fetch before http://10.0.2.2:8080/file
echo ready
wait_for wget -q -O /www/done http://10.0.2.2:8080/done
fetch after http://10.0.2.2:8080/file
'

# own_memory: what Minivet has for itself, in KiB; the guest's is a mapping of 256 MiB.
own_memory() {
    awk '$1 == "Size:" { own = $2 < 200000 } $1 == "Rss:" && own { n += $2 } END { print n + 0 }' "/proc/$pid/smaps"
}

flood_run() {
    start "$@"
    until_said '^ready'
    before=$(own_memory)
    grown=0
    flood=
    for n in 1 2 3 4 5 6 7 8; do
        "$images/busybox" nc 127.0.0.1 2222 </dev/zero >/dev/null 2>&1 &
        flood="$flood $!"
    done
    for n in 1 2 3 4 5 6 7 8 9 10; do
        sleep 0.5
        [ $(($(own_memory) - before)) -le $grown ] || grown=$(($(own_memory) - before))
    done
    meanwhile=$(get http://127.0.0.1:2223/file)
    # shellcheck disable=SC2086 # several
    kill $flood
    finish
}

net_flood() {
    attempts flood_run 6.12 "$flood_work" --virtio transport=pci -m 256M --timeout 120s \
        --net user,hostfwd=tcp:127.0.0.1:2222-:80,hostfwd=tcp:127.0.0.1:2223-:81
    echo "# Minivet took $grown KiB more"
    expect "a flood that the guest does not read: runs" ended 0
    expect "a flood that the guest does not read: takes little memory" [ "$grown" -lt 16384 ]
    expect "a flood that the guest does not read: other peers are served" [ "$meanwhile" = "$sum" ]
    expect "a flood that the guest does not read: the guest reaches others afterwards" said "^after $sum"
}

group_wires() {
    $ip link set lo up 2>/dev/null
    if [ "${MINIVET_NETNS-}" ] && [ -w /dev/net/tun ] && [ "$(id -u)" -eq 0 ] && command -v tcpdump >/dev/null &&
        $ip link add tried type veth peer name other 2>/dev/null; then
        $ip link del tried
        serve
        net_sums
        net_hosts
        net_gone mmio 6.1
        net_flood
    else
        result ok "wires # SKIP no root, /dev/net/tun, veth or tcpdump, or not tests/boot/run-all wires alone"
    fi
    for one in $net_pids; do
        kill "$one" 2>/dev/null
    done
}
