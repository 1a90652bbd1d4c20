// SPDX-License-Identifier: BSD-2-Clause
/*
 * The capture that is written of a network. The input is a list of packets, four bytes each: bit 0
 * of the first says that it comes from outside, bits 1 and 2 into how many pieces it is cut, bit 3
 * that the loop runs; then its bytes (two), with 256 more for each of the last.
 *
 * The file is whole, and has the packets that passed, in their order, each with its time. None is
 * missing if all of them fit into the writer's buffer.
 */
#include <string.h>
#include <unistd.h>

#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "core/loop/evloop.h"
#include "devices/net/filter/net_pcap.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/target.h"
#include "tests/harness/fake.h"
#include "tests/harness/fake_net.h"

#define PACKETS_MAX  200u
#define BUFFER_BYTES (512 * KIB)
#define FILE_HEADER  24u
#define HEADER       16u
#define NS_PER_S     UINT64_C(1000000000)

static struct bench {
    struct fuzz_host host;
    struct fake_net ether;
    struct net_backend *net;
    int fd;
    char path[32];
    uint8_t packet[NET_PACKET_MAX + 70000];
    uint8_t file[(PACKETS_MAX + 1) * (NET_PACKET_MAX + HEADER)];
    struct passed {
        size_t bytes; /* of the frame */
        uint64_t when_ns;
    } passed[PACKETS_MAX];
    unsigned count;
    size_t all_bytes;
} bench;

/* The first bytes of its frame say which it is, if it has as many. */
static void fill(struct bench *b, size_t bytes)
{
    memset(b->packet, (int)b->count, bytes);
}

static void pass(struct bench *b, struct fuzz_input *in)
{
    unsigned how = (unsigned)fuzz_take(in, 1), pieces = 1 + (how >> 1 & 3);
    size_t bytes = fuzz_take(in, 2);
    bytes += 256 * fuzz_take(in, 1);
    struct iovec iov[4];
    for (size_t i = 0, at = 0; i < pieces; i++) {
        size_t len = i + 1 == pieces ? bytes - at : bytes / pieces;
        iov[i] = (struct iovec){b->packet + at, len};
        at += len;
    }
    b->host.time.now_ns += bytes * bytes + how;
    fill(b, bytes);
    bool passes = bytes >= NET_HEADER_BYTES && bytes <= NET_PACKET_MAX;
    if (how & 1 && passes) {
        fake_net_arrive(&b->ether, 0, b->packet, (uint32_t)bytes);
        ssize_t n = b->net->ops->receive(b->net, 0, iov, pieces);
        fuzz_check(n == (ssize_t)bytes, "%zu bytes arrive as %zd", bytes, n);
    } else if (b->net->ops->send(b->net, 0, iov, pieces) < 0) {
        passes = false;
    }
    if (passes) {
        b->passed[b->count++] =
            (struct passed){bytes - NET_HEADER_BYTES, clock_wall_ns(&b->host.clock)};
        b->all_bytes += HEADER + bytes - NET_HEADER_BYTES;
    }
    if (how & 8)
        evloop_drain(b->host.loop);
}

/* The packet of the file at `at`, which is the n-th that passed or a later one. */
static unsigned find_passed(const struct bench *b, size_t at, size_t size, unsigned n)
{
    uint32_t h[4];
    fuzz_check(size - at >= HEADER, "%zu bytes behind the last packet", size - at);
    memcpy(h, b->file + at, sizeof(h));
    fuzz_check(h[2] == h[3] && h[2] <= size - at - HEADER, "a packet of %u bytes", h[2]);
    for (; n < b->count; n++) {
        const struct passed *p = &b->passed[n];
        const uint8_t *frame = b->file + at + HEADER;
        if (p->bytes == h[2] && p->when_ns == h[0] * NS_PER_S + h[1] &&
            (p->bytes == 0 || (frame[0] == (uint8_t)n && frame[p->bytes - 1] == (uint8_t)n)))
            return n;
    }
    fuzz_check(false, "a packet of %u bytes that never passed", h[2]);
    return n;
}

static void check_file(struct bench *b)
{
    ssize_t size = pread(b->fd, b->file, sizeof(b->file), 0);
    unsigned n = 0, found = 0;
    fuzz_check(size >= FILE_HEADER, "a file of %zd bytes", size);
    for (size_t at = FILE_HEADER; at < (size_t)size; found++) {
        n = find_passed(b, at, (size_t)size, n);
        at += HEADER + b->passed[n++].bytes;
    }
    fuzz_check(found == b->count || FILE_HEADER + b->all_bytes > BUFFER_BYTES,
               "%u of %u packets are there", found, b->count);
}

static void run(struct fuzz_input *in)
{
    struct bench *b = &bench;
    fuzz_host_open(&b->host);
    if (b->path[0] == '\0')
        b->fd = fuzz_make_file(b->path);
    unsigned files = fuzz_open_fds();
    b->all_bytes = b->count = 0;
    fake_net_init(&b->ether);
    b->net = &b->ether.backend;
    int err = net_pcap_create(&b->net, b->host.loop, &b->host.clock, b->path);
    BUG_ON(err != 0);
    for (unsigned i = 0; i < PACKETS_MAX && in->left > 0; i++)
        pass(b, in);
    b->net->ops->destroy(b->net);
    fake_net_fini(&b->ether);
    check_file(b);
    fuzz_check(fuzz_open_fds() == files, "a file was left open");
}

const struct fuzz_target fuzz_target_pcap = {.name = "pcap", .run = fuzz_run_bytes, .bytes = run};
