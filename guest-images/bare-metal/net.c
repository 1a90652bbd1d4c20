// SPDX-License-Identifier: BSD-2-Clause
/*
 * A load for a virtio network device, for tools/bench net: sends frames, takes what comes, polls
 * for both, and prints what came of it on the serial port.
 *
 * The kernel's command line has its orders, all of them numbers:
 *   kind=0|1|2|3    what is sent: frames that nobody wants, ARP requests to 10.0.2.2, UDP to its
 *                   port `port`, TCP that is to be cut into segments [0]
 *   size=BYTES      of a frame [60]                depth=N       frames in flight; 0: none [1]
 *   answers=0|1     a frame is in flight until it was sent or until it was answered [0]
 *   ticks=N         to measure                     warm=TICKS    of the same, not measured [0]
 *   room=BYTES      of a buffer for frames [2048]  port=N        of UDP [0]
 *   packed=0|1 event_idx=0|1                       take this feature if offered [0 1]
 *   device=GPA      its registers [the first]      linger=TICKS  before the run ends [0]
 *
 * It says "net: start" when measuring begins and ends with a line of results. Ticks are those of
 * the time stamp counter; a latency is from the frame's being shown to the device until its answer
 * was found, which only means something at depth 1.
 */
#include "driver/load.h"
#include "driver/ring.h"
#include "driver/transport.h"
#include "rt.h"
#include "virtio/spec.h"

#define TX_GPA     (RAM_GPA + 0x1000000ull) /* free RAM of a guest with 128 MiB */
#define TX_BYTES   0x11000ull               /* of a place */
#define RX_GPA     (RAM_GPA + 0x4000000ull)
#define RX_BYTES   0x3000000ull
#define QUEUE_SIZE 256u
#define RX_QUEUE   0u
#define TX_QUEUE   1u

#define ETHERNET_BYTES 14u
#define SEGMENT_BYTES  1448u
#define LOST_TICKS     100000000ull /* some 40 ms: no answer comes so late */

enum kind { UNWANTED, ARP, UDP, TCP };

struct results {
    uint64_t sent, answered, received, received_bytes, lost, kicks, ticks;
    struct load_latencies latencies;
};

static struct {
    uint64_t kind, size, depth, answers, ticks, warm, room, port;
    uint64_t packed, event_idx, device, linger;
} orders = {.size = 60, .depth = 1, .ticks = LOAD_FOREVER, .room = 2048, .event_idx = 1};

static struct results results;
static struct ring_memory rx_memory, tx_memory;
static struct ring rx, tx;
static uint64_t device_gpa;
static unsigned rx_more;             /* buffers of a frame that has begun */
static uint8_t idle[RING_SLOTS_MAX]; /* a stack of slots */
static unsigned idle_count, unanswered;
static uint64_t shown;                                    /* when the last frames were */
static uint8_t host_mac[6] = {0x02, 0, 0, 0, 0xff, 0xfe}; /* nobody's, until ARP says whose */

static const uint8_t own_mac[6] = {0x02, 0, 0, 0, 0, 0x0f};
static const uint8_t own_ip[4] = {10, 0, 2, 15}, host_ip[4] = {10, 0, 2, 2};

/* ---- frames ---- */

static uint8_t *put(uint8_t *at, const void *from, unsigned bytes)
{
    __builtin_memcpy(at, from, bytes);
    return at + bytes;
}

static uint8_t *put16(uint8_t *at, uint64_t value)
{
    return put(at, (const uint8_t[]){(uint8_t)(value >> 8), (uint8_t)value}, 2);
}

static uint8_t *put_ethernet(uint8_t *at, const uint8_t *to, uint16_t type)
{
    return put16(put(put(at, to, 6), own_mac, 6), type);
}

static void put_arp(uint8_t *at)
{
    static const uint8_t request[8] = {0, 1, 8, 0, 6, 4, 0, 1},
                         everybody[6] = {255, 255, 255, 255, 255, 255};
    at = put(put_ethernet(at, everybody, 0x0806), request, sizeof(request));
    put(put(put(at, own_mac, 6), own_ip, 4) + 6, host_ip, 4);
}

static uint8_t *put_ip(uint8_t *at, uint8_t protocol)
{
    uint8_t *header = at;
    uint32_t sum = 0;
    at = put16(put16(at, 0x4500), orders.size - ETHERNET_BYTES);
    at = put16(put16(put16(at, 0), 0), 64 << 8 | protocol);
    at = put(put(at + 2, own_ip, 4), host_ip, 4);
    for (unsigned i = 0; i < 20; i += 2)
        sum += (uint32_t)header[i] << 8 | header[i + 1];
    sum = (sum & 0xffff) + (sum >> 16);
    put16(header + 10, ~(sum + (sum >> 16)));
    return at;
}

/* A header of the device's, VIRTIO 1.4 5.1.6, and the frame. */
static void put_frame(uint8_t *at)
{
    uint8_t *frame = at + VIRTIO_NET_HDR_BYTES;
    uint8_t *ip = frame + ETHERNET_BYTES;
    __builtin_memset(at, 0, VIRTIO_NET_HDR_BYTES + 60);
    switch (orders.kind) {
    case UNWANTED:
        put_ethernet(frame, host_mac, 0x88b5); /* for experiments */
        break;
    case ARP:
        put_arp(frame);
        break;
    case UDP: /* a checksum of 0: none */
        put_ethernet(frame, host_mac, 0x0800);
        put16(put16(put16(put_ip(ip, 17), 9), orders.port), orders.size - ETHERNET_BYTES - 20);
        break;
    default:
        put_ethernet(frame, host_mac, 0x0800);
        put16(put16(put_ip(ip, 6), 9), 9)[8] = 0x50; /* so many words of header */
        at[VIRTIO_NET_HDR_flags] = VIRTIO_NET_HDR_F_NEEDS_CSUM;
        at[VIRTIO_NET_HDR_gso_type] = VIRTIO_NET_HDR_GSO_TCPV4;
        at[VIRTIO_NET_HDR_hdr_len] = ETHERNET_BYTES + 40;
        at[VIRTIO_NET_HDR_gso_size] = SEGMENT_BYTES & 0xff;
        at[VIRTIO_NET_HDR_gso_size + 1] = SEGMENT_BYTES >> 8;
        at[VIRTIO_NET_HDR_csum_start] = ETHERNET_BYTES + 20;
        at[VIRTIO_NET_HDR_csum_offset] = 16;
    }
}

/* ARP's answers say who the host is. */
static bool is_answer(const uint8_t *frame)
{
    if (frame[12] != 0x08)
        return false;
    if (frame[13] == 0x06 && frame[21] == 2) {
        put(host_mac, frame + 22, 6);
        return orders.kind == ARP;
    }
    return frame[13] == 0x00 && frame[23] == 17 && orders.kind == UDP;
}

/* ---- the device ---- */

static void open_queue(unsigned queue, struct ring *ring, struct ring_memory *memory,
                       uint64_t features)
{
    uint32_t size = transport_queue_max(device_gpa, queue);
    ring_init(ring, memory, size < QUEUE_SIZE ? size : QUEUE_SIZE, 1, features);
    transport_queue(device_gpa, queue, ring);
}

static void open_device(void)
{
    uint64_t wanted = VIRTIO_BIT(VIRTIO_F_VERSION_1) | VIRTIO_BIT(VIRTIO_NET_F_MRG_RXBUF) |
                      VIRTIO_BIT(VIRTIO_NET_F_CSUM) | VIRTIO_BIT(VIRTIO_NET_F_HOST_TSO4) |
                      VIRTIO_BIT(VIRTIO_NET_F_GUEST_CSUM) | VIRTIO_BIT(VIRTIO_NET_F_GUEST_TSO4);
    if (orders.packed)
        wanted |= VIRTIO_BIT(VIRTIO_F_RING_PACKED);
    if (orders.event_idx)
        wanted |= VIRTIO_BIT(VIRTIO_F_EVENT_IDX);
    device_gpa = orders.device != 0 ? orders.device : transport_find(VIRTIO_ID_NET);
    CHECK(device_gpa != 0);
    uint64_t features = transport_negotiate(device_gpa, wanted);
    CHECK(!orders.packed || features & VIRTIO_BIT(VIRTIO_F_RING_PACKED));
    CHECK(orders.kind != TCP || features & VIRTIO_BIT(VIRTIO_NET_F_HOST_TSO4));
    open_queue(RX_QUEUE, &rx, &rx_memory, features);
    open_queue(TX_QUEUE, &tx, &tx_memory, features);
    CHECK(orders.depth <= ring_slots(&tx) && orders.room <= RX_BYTES / ring_slots(&rx));
    transport_start(device_gpa);
}

static uint8_t *rx_place(unsigned slot)
{
    return (uint8_t *)(RX_GPA + slot * orders.room);
}

static void fill_rx(void)
{
    for (unsigned slot = 0; slot < ring_slots(&rx); slot++) {
        ring_describe(&rx, slot, &(struct ring_part){rx_place(slot), (uint32_t)orders.room, true});
        ring_add(&rx, slot);
    }
    if (ring_publish(&rx))
        transport_kick(device_gpa, RX_QUEUE);
}

static void describe_tx(void)
{
    uint32_t bytes = (uint32_t)(VIRTIO_NET_HDR_BYTES + orders.size);
    idle_count = 0;
    for (unsigned slot = 0; slot < orders.depth; slot++) {
        uint8_t *place = (uint8_t *)(TX_GPA + slot * TX_BYTES);
        put_frame(place);
        ring_describe(&tx, slot, &(struct ring_part){place, bytes, false});
        idle[idle_count++] = (uint8_t)slot;
    }
}

/* ---- the load ---- */

static void note_frame(const uint8_t *frame, uint64_t now)
{
    bool answers = is_answer(frame);
    results.received++;
    if (!answers || unanswered == 0)
        return;
    unanswered--;
    results.answered++;
    load_note(&results.latencies, now - shown);
}

/* Everything that has come; its buffers go back. */
static void take_frames(void)
{
    uint32_t written;
    int slot = ring_take(&rx, &written);
    if (slot < 0)
        return;
    for (uint64_t now = rt_ticks(); slot >= 0; slot = ring_take(&rx, &written)) {
        const uint8_t *place = rx_place((unsigned)slot);
        results.received_bytes += written;
        if (rx_more > 0) {
            rx_more--;
        } else {
            results.received_bytes -= VIRTIO_NET_HDR_BYTES;
            rx_more = *(const volatile uint16_t *)(place + VIRTIO_NET_HDR_num_buffers) - 1u;
            note_frame(place + VIRTIO_NET_HDR_BYTES, now);
        }
        ring_add(&rx, (unsigned)slot);
    }
    if (ring_publish(&rx)) {
        results.kicks++;
        transport_kick(device_gpa, RX_QUEUE);
    }
}

static void take_sent(void)
{
    for (int slot = ring_take(&tx, NULL); slot >= 0; slot = ring_take(&tx, NULL)) {
        idle[idle_count++] = (uint8_t)slot;
        results.sent++;
    }
}

/* Who waits for answers sends no more than can be in flight; what was lost is not waited for. */
static void send_frames(void)
{
    unsigned before = unanswered, idle_before = idle_count;
    if (orders.answers && unanswered > 0 && rt_ticks() - shown > LOST_TICKS) {
        results.lost += unanswered;
        before = unanswered = 0;
    }
    uint64_t now = rt_ticks();
    while (idle_count > 0 && (!orders.answers || unanswered < orders.depth)) {
        ring_add(&tx, idle[--idle_count]);
        unanswered += orders.answers != 0;
    }
    if (unanswered > before)
        shown = now;
    if (idle_count < idle_before && ring_publish(&tx)) {
        results.kicks++;
        transport_kick(device_gpa, TX_QUEUE);
    }
}

static void run(uint64_t ticks)
{
    results = (struct results){.latencies.min = UINT64_MAX};
    uint64_t begin = rt_ticks();
    do {
        send_frames();
        take_frames();
        take_sent();
        pause();
    } while ((results.ticks = rt_ticks() - begin) < ticks);
}

/* Nobody sends to whom they do not know: asks for the host's address, and so gives ours. */
static void introduce_ourselves(void)
{
    const uint64_t kind = orders.kind, answers = orders.answers;
    const uint8_t unknown = host_mac[4];
    orders.kind = ARP;
    orders.answers = 1;
    describe_tx();
    idle_count = 1;
    while (host_mac[4] == unknown) {
        send_frames();
        take_frames();
    }
    while (idle_count == 0)
        take_sent();
    orders.kind = kind;
    orders.answers = answers;
}

int main(void)
{
    const struct load_order words[] = {
        {"kind", &orders.kind},           {"size", &orders.size},     {"depth", &orders.depth},
        {"answers", &orders.answers},     {"ticks", &orders.ticks},   {"warm", &orders.warm},
        {"room", &orders.room},           {"port", &orders.port},     {"packed", &orders.packed},
        {"event_idx", &orders.event_idx}, {"device", &orders.device}, {"linger", &orders.linger},
    };
    rt_irq_init(); /* with EVENT_IDX an interrupt comes all 65,536 buffers, wanted or not */
    load_take_orders(words, sizeof(words) / sizeof(words[0]));
    CHECK(orders.size >= 60 && orders.size <= TX_BYTES - VIRTIO_NET_HDR_BYTES);
    open_device();
    fill_rx();
    if (orders.kind == UDP)
        introduce_ourselves();
    describe_tx();
    if (orders.warm != 0)
        run(orders.warm);
    rt_puts("net: start\n");
    run(orders.ticks);

    rt_puts("net: end");
    load_say("sent", results.sent);
    load_say("answered", results.answered);
    load_say("received", results.received);
    load_say("bytes", results.received_bytes);
    load_say("lost", results.lost);
    load_say("ticks", results.ticks);
    load_say("kicks", results.kicks);
    if (results.latencies.count > 0)
        load_say_latencies(&results.latencies);
    rt_puts("\n");
    load_sleep(orders.linger);
    return 0;
}
