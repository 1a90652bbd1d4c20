# shellcheck shell=sh
# SPDX-License-Identifier: BSD-2-Clause
# Networks as stock drivers use them. Part of run-all. A file goes to the guest and back again, by
# HTTP, over everything that carries packets. The group has the host's network to itself, in a
# namespace: there even a user may make taps.
# Command lines are guests' shell lines: they are not for the host's shell to expand.
# shellcheck disable=SC2016,SC2154

net_pids=

# serve: a file for guests to fetch and who gives it to them, and the other end of streams.
serve() {
    mkdir -p "$work/www"
    head -c 3000000 /dev/urandom >"$work/www/file"
    sum=$(sha256sum <"$work/www/file" | cut -d' ' -f1)
    "$images/busybox" httpd -f -p 8080 -h "$work/www" &
    net_pids="$net_pids $!"
    iperf3 -s >"$work/iperf" 2>&1 &
    net_pids="$net_pids $!"
}

# get URL: the checksum of what is there.
get() {
    timeout 60 "$images/busybox" wget -q -O - "$1" 2>>"$log" | sha256sum | cut -d' ' -f1
}

# What guests do. A file that came is kept, to be given back.
net_work='
# The disk of tools, if it is there.
ln -s /mnt/usr/lib /lib 2>/dev/null; ln -s /mnt/usr/lib64 /lib64 2>/dev/null; ln -s /mnt/usr /usr 2>/dev/null
mkdir -p /www
fetch() { # NAME URL
    rm -f /www/file
    timeout 20 wget -q -O /www/file "$2" 2>/dev/null
    echo "$1" $(sha256sum </www/file)
}
wait_for() { # COMMAND...
    tries=0
    until "$@" >/dev/null 2>&1 || [ $tries -eq 300 ]; do
        tries=$((tries + 1)); sleep 0.1
    done
}
stream() { # NAME HOST OPTION...: traffic to the server there, or from it
    name=$1
    shift
    /usr/bin/iperf3 -c "$@" >/tmp/said 2>&1 && echo $name || cat /tmp/said
}
# Serves what came until the host has seen enough.
serve_until_done() { # HOST
    httpd -h /www
    echo ready
    wait_for wget -q -O /www/done http://$1:8080/done
}
reaches() { # HOST [OPTION...]
    ping -c 1 -W 1 "$@"
}
address() { # CARD ADDRESS HOST
    ip addr add $2/24 dev $1
    ip link set $1 up
    wait_for reaches $3
}
complaints() {
    dmesg | grep -iE "virtio.*(fail|error)|(tx|watchdog).*time|bad gso|checksum fail|hw csum|BUG:|WARNING: .* (net|drivers)/" | sed "s/^/complaint: /"
}
'

# start SERIES SCRIPT OPTION...: a guest in the background, in $pid, on $on_host if there are several.
on_host=
start() {
    initramfs "$1" "$net_work $2 complaints"
    series=$1
    # Two guests may start at once.
    mv "$work/initrd" "$work/initrd-$series"
    shift 2
    rm -f "$work/www/done"
    : >"$log"
    ${on_host:+nsenter -t "$on_host" -n} "$minivet" run "$images/$series/vmlinuz" -i "$work/initrd-$series" -a quiet \
        --timeout 60s "$@" >"$log" 2>&1 </dev/null &
    pid=$!
    net_pids="$net_pids $pid"
}

# finish: lets the guest of `start` end.
finish() {
    touch "$work/www/done"
    wait "$pid"
    status=$?
}

# ---- the user's own sockets

user_work='
ip addr | sed -n "s/ *inet \([0-9.]*\).*\(eth.*\)/address \2 \1/p"
fetch http4 http://10.0.2.2:8080/file
wait_for sh -c "ip -6 addr show dev eth0 scope site | grep -v tentative | grep inet6"
ip -6 route | sed "s/^/route6 /"
fetch http6 http://[fec0::2]:8080/file
stream udp-sent 10.0.2.2 -u -t 1
stream udp-received 10.0.2.2 -u -t 1 -R
udhcpc -i eth1 -n -q -s /etc/udhcpc.script >/dev/null 2>&1
ip -4 addr show eth1 | sed -n "s/ *inet \([0-9.]*\).*/restricted address \1/p"
cp /www/file /www/kept
fetch restricted http://10.0.3.2:8080/file
mv /www/kept /www/file
echo 0 >/proc/sys/net/ipv6/conf/eth0/dad_transmits
ip -6 addr add fec0::15/64 dev eth0
serve_until_done 10.0.2.2
'

user_run() {
    start "$@"
    until_it said '^ready'
    there_and_back=$(get http://127.0.0.1:2222/file)
    by_ipv6=$(get "http://[::1]:2222/file")
    restricted=$(get http://127.0.0.1:2223/file)
    finish
}

user_variant() { # NAME SERIES OPTION
    name=$1
    attempts user_run "$2" "$user_work" -d "$images/tools.ext4,ro" --virtio "$3" \
        --net "user,hostfwd=tcp:127.0.0.1:2222-:80,hostfwd=tcp:[::1]:2222-[fec0::15]:80,pcap=$work/pcap" \
        --net user,net=10.0.3.0/24,restrict=on,ipv6=off,hostfwd=tcp:127.0.0.1:2223-:80
    expect "$name: runs" ended 0
    expect "$name: an address by DHCP" said '^address eth0 10\.0\.2\.15$'
    expect "$name: a file from the host" said "^http4 $sum"
    expect "$name: a route for IPv6" said '^route6 default'
    expect "$name: a file from the host by IPv6" said "^http6 $sum"
    expect "$name: the file back, over hostfwd" [ "$there_and_back" = "$sum" ]
    expect "$name: the file back by IPv6, over hostfwd" [ "$by_ipv6" = "$sum" ]
    expect "$name: all of that in the capture" [ "$(wc -c <"$work/pcap")" -gt 9000000 ]
    expect "$name: datagrams to the host" said '^udp-sent$'
    expect "$name: datagrams from the host" said '^udp-received$'
    expect "$name: restrict=on: an address" said '^restricted address 10\.0\.3\.15'
    expect "$name: restrict=on: no way to the host" not_said "^restricted $sum"
    expect "$name: restrict=on: a way from the host" [ "$restricted" = "$sum" ]
    expect "$name: the kernel finds no fault" not_said '^complaint'
}

# ---- two guests on a wire

pair_work='
seq $2 60000 >/www/file
httpd -h /www
address eth0 192.168.9.$1 192.168.9.$3
mkdir /from
wait_for timeout 20 wget -q -O /from/yours http://192.168.9.$3/file
ip addr
complaints
echo from $3 $(sha256sum </from/yours)
sleep 1000 # the other may not be ready yet
'

pair_run() {
    start 6.1 "set -- 1 100 2; $pair_work" --virtio transport=pci --net "socket=$work/wire"
    first=$pid
    log=$work/second
    start 6.12 "set -- 2 200 1; $pair_work" --virtio ring=packed --net "socket=$work/wire"
    until_it said '^from .* -$'
    log=$work/log
    until_it said '^from .* -$'
    kill "$first" "$pid"
    wait "$pid"
    wait "$first"
    cat "$work/second" >>"$log"
    # shellcheck disable=SC2034 # for attempts
    if said '^from 1 .* -$' && said '^from 2 .* -$'; then status=0; else status=124; fi
}

net_pair() {
    attempts pair_run
    expect "two guests: the first one's file arrives" said "^from 1 $(seq 100 60000 | sha256sum | cut -d' ' -f1)"
    expect "two guests: the second one's file arrives" said "^from 2 $(seq 200 60000 | sha256sum | cut -d' ' -f1)"
    expect "two guests: each has an address of its own" not_said dadfailed
    expect "two guests: the kernels find no fault" not_said '^complaint'
}

# ---- taps of the host

# tap_up TAP ADDRESS MTU: once the guest's VMM has made it.
tap_up() {
    until_it ip link show "$1" >"$work/tap_up" 2>&1
    ip addr add "$2/24" dev "$1"
    ip link set "$1" mtu "$3" up
}

queues_work='
address eth0 192.168.7.2 192.168.7.1
echo mtu=$(cat /sys/class/net/eth0/mtu)
reaches 192.168.7.1 -s 8900 >/dev/null && echo pinged
fetch http http://192.168.7.1:8080/file
/usr/bin/ethtool -k eth0 | grep -E "(tx-checksumming|tcp-segmentation|rx-checksumming|udp-segmentation).*: on" | sed "s/^/offload /"
/usr/bin/ethtool -l eth0 | tail -n 5 | sed -n "s/^Combined:[^0-9]*/queues /p"
/usr/bin/ethtool -x eth0 | grep -c "^ *[0-9]*: *0 *1 *0 *1" | sed "s/^/table /"
/usr/bin/ethtool -K eth0 rxhash on 2>/dev/null && echo rxhash
stream sent 192.168.7.1 -P 8 -t 1
stream received 192.168.7.1 -P 8 -t 1 -R
grep -E "virtio.*(input|output)" /proc/interrupts | sed "s/^/irq /"
ping 192.168.7.1 >/dev/null 2>&1 &
(while :; do timeout 1 wget -q -O /dev/null http://192.168.7.1:8080/file; done) >/dev/null 2>&1 &
load=$!
device=$(readlink -f /sys/class/net/eth0/device); device=${device##*/}
cd /sys/bus/virtio/drivers/virtio_net
n=0
while [ $n -lt 10 ]; do
    echo $device >unbind && echo $device >bind && ip addr add 192.168.7.2/24 dev eth0 && ip link set eth0 up || break
    n=$((n + 1)); sleep 0.1
done
cd /; kill $load
echo rebound=$n
wait_for reaches 192.168.7.1
fetch again http://192.168.7.1:8080/file
httpd -h /www
echo ready
wait_for grep -q 0 /sys/class/net/eth0/carrier && echo carrier=$(cat /sys/class/net/eth0/carrier)
wait_for grep -q 1 /sys/class/net/eth0/carrier && echo carrier=$(cat /sys/class/net/eth0/carrier)
wait_for wget -q -O /www/done http://192.168.7.1:8080/done
'

tap_run() {
    start "$@"
    tap_up mv0 192.168.7.1 9000
    until_it said '^ready'
    pinged=no
    ! ping -c 1 -W 5 192.168.7.2 >/dev/null || pinged=yes
    there_and_back=$(get http://192.168.7.2/file)
    ip link set mv0 down
    until_it said '^carrier=0'
    ip link set mv0 up
    until_it said '^carrier=1'
    finish
}

# tap_variant NAME SERIES KEYS VIRTIO: everything that there is of a tap.
tap_variant() {
    name=$1
    attempts tap_run "$2" "$queues_work" -c 2 -d "$images/tools.ext4,ro,transport=mmio" \
        --virtio "$4" --net "tap=mv0,queues=2,mtu=9000$3"
    expect "$name: runs" ended 0
    expect "$name: the MTU is told" said '^mtu=9000'
    expect "$name: a large ping" said '^pinged'
    expect "$name: a ping from the host" [ "$pinged" = yes ]
    expect "$name: a file from the host" said "^http $sum"
    expect "$name: the file back" [ "$there_and_back" = "$sum" ]
    for offload in tx-checksumming rx-checksumming tcp-segmentation-offload; do
        expect "$name: $offload" said "^offload $offload: on"
    done
    expect "$name: two queue pairs" said '^queues 2'
    for queue in input.0 input.1 output.0 output.1; do
        expect "$name: a vector for $queue" said "^irq .*MSI.*virtio[0-9]+-$queue"
    done
    expect "$name: 8 streams from the guest" said '^sent$'
    expect "$name: 8 streams to the guest" said '^received$'
    expect "$name: bound 10 times under load" said '^rebound=10'
    expect "$name: works afterwards" said "^again $sum"
    expect "$name: the guest sees the link go" said '^carrier=0'
    expect "$name: and come" said '^carrier=1'
    expect "$name: the kernel finds no fault" not_said '^complaint'
}

small_work='
address eth0 192.168.7.2 192.168.7.1
echo mtu=$(cat /sys/class/net/eth0/mtu)
reaches 192.168.7.1 -s 1252 >/dev/null && echo pinged
fetch http http://192.168.7.1:8080/file
serve_until_done 192.168.7.1
'

small_run() {
    start "$@"
    tap_up mv0 192.168.7.1 1280
    until_it said '^ready'
    there_and_back=$(get http://192.168.7.2/file)
    finish
}

# small_variant NAME SERIES KEYS VIRTIO: over a network of small packets.
small_variant() {
    name=$1
    attempts small_run "$2" "$small_work" --virtio "$4" --net "tap=mv0,mtu=1280$3"
    expect "$name: runs" ended 0
    expect "$name: the MTU is told" said '^mtu=1280'
    expect "$name: a ping" said '^pinged'
    expect "$name: a file from the host" said "^http $sum"
    expect "$name: the file back" [ "$there_and_back" = "$sum" ]
    expect "$name: the kernel finds no fault" not_said '^complaint'
}

net_taps() {
    if [ ! "${MINIVET_NETNS-}" ] || [ ! -w /dev/net/tun ]; then
        result ok "taps # SKIP no /dev/net/tun, or not tests/boot/run-all net alone"
        return
    fi
    tap_variant "tap, PCI, packed" 6.12 "" transport=pci,ring=packed
    tap_variant "tap with RSS, PCI, split" 6.1 ,rss=on transport=pci
    expect "tap with RSS: the guest spreads flows over two queues" said '^table [1-9]'
    expect "tap with RSS: the guest is told their hashes" said '^rxhash'
    small_variant "tap, mmio, split" 6.1 "" transport=mmio
    if [ ! -w /dev/vhost-net ]; then
        result ok "vhost=on # SKIP no /dev/vhost-net that may be opened"
        return
    fi
    tap_variant "vhost, PCI, split" 6.1 ,vhost=on transport=pci
    small_variant "vhost, mmio, split" 6.12 ,vhost=on transport=mmio
}

group_net() {
    ip link set lo up 2>/dev/null
    serve
    user_variant "user, mmio, split" 6.1 transport=mmio
    user_variant "user, PCI, packed" 6.12 transport=pci,ring=packed
    net_pair
    net_taps
    for one in $net_pids; do
        kill "$one" 2>/dev/null
    done
}
