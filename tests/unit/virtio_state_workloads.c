// SPDX-License-Identifier: BSD-2-Clause
/* A workload for each device, in two halves: see virtio_state.c. */
#include <linux/input-event-codes.h>

#include "core/ports/input_queue.h"
#include "tests/harness/gpureq.h"
#include "tests/harness/portio.h"
#include "tests/harness/scsireq.h"
#include "tests/harness/test.h"
#include "tests/unit/virtio_state.h"
#include "virtio/balloon/balloon.h"
#include "virtio/console/console.h"
#include "virtio/input/input.h"
#include "virtio/scsi/scsi_codes.h"
#include "virtio/spec.h"

static void note(struct trace *t, const void *bytes, size_t len)
{
    cr_assert_leq(len, sizeof(t->bytes) - t->len);
    memcpy(t->bytes + t->len, bytes, len);
    t->len += len;
}

void note_number(struct trace *t, uint64_t n)
{
    note(t, &n, sizeof(n));
}

/* ---- a workload's steps ---- */

/* A chain: bytes that the device reads, and room that it may write. Returns where the room is. */
uint64_t send_chain(struct rig *rig, unsigned queue, const void *bytes, uint32_t len, uint32_t room)
{
    struct vdrv_buf bufs[2];
    unsigned count = 0;
    uint64_t room_gpa = 0;
    if (len > 0) {
        bufs[count++] = (struct vdrv_buf){vdrv_alloc(&rig->drv, len, 1), len, false};
        memcpy(vdrv_ptr(&rig->drv, bufs[0].gpa, len), bytes, len);
    }
    if (room > 0) {
        room_gpa = vdrv_alloc(&rig->drv, room, 1);
        bufs[count++] = (struct vdrv_buf){room_gpa, room, true};
    }
    cr_assert_geq(vdrv_send(&rig->drv.q[queue], bufs, count), 0);
    return room_gpa;
}

void take_all(struct rig *rig, struct trace *t)
{
    rig_step(rig);
    for (unsigned q = 0; q < QUEUES && rig->drv.q[q].size > 0; q++) {
        uint32_t head, len;
        while (vdrv_used(&rig->drv.q[q], &head, &len))
            note_number(t, (uint64_t)q << 48 | (uint64_t)head << 32 | len);
        note_number(t, rig_queue_irqs(rig, q));
    }
    note_number(t, rig_config_irqs(rig));
    note_number(t, rig->bell.count);
    note_number(t, vdrv_status(&rig->drv));
    if (!rig->drv.t->legacy)
        note_number(t, vdrv_generation(&rig->drv));
}

static void note_room(struct rig *rig, struct trace *t, uint64_t gpa, uint32_t len)
{
    note(t, vdrv_ptr(&rig->drv, gpa, len), len);
}

/* ---- workloads ---- */

void echo_some(struct rig *rig, struct trace *t)
{
    for (unsigned i = 0; i < 5; i++) {
        uint8_t text[] = {'a', 'b', (uint8_t)i};
        uint64_t gpa = send_chain(rig, i % 2, text, sizeof(text), sizeof(text));
        rig_step(rig);
        note_room(rig, t, gpa, sizeof(text));
        if (i == 3)
            take_all(rig, t);
    }
    if (!rig->drv.t->legacy)
        vdrv_config_write(&rig->drv, 2, "xyz", 3);
}

static void echo_more(struct rig *rig, struct trace *t)
{
    uint8_t config[10];
    for (unsigned i = 0; i < 3 * QUEUE_SIZE; i++) {
        echo_some(rig, t);
        take_all(rig, t);
    }
    vdrv_config_read(&rig->drv, 0, config, sizeof(config));
    note(t, config, sizeof(config));
}

static void blk_request(struct rig *rig, uint32_t type, uint64_t sector, uint8_t fill)
{
    uint8_t request[VIRTIO_BLK_REQ_HEADER_BYTES + 512] = {0};
    bool writes = type == VIRTIO_BLK_T_OUT;
    le32_put(request, type);
    le64_put(request + 8, sector);
    memset(request + VIRTIO_BLK_REQ_HEADER_BYTES, fill, 512);
    send_chain(rig, 0, request, VIRTIO_BLK_REQ_HEADER_BYTES + (writes ? 512 : 0), writes ? 1 : 513);
}

/* Requests are out in the backend when the device is held: they are done by then. */
static void blk_first(struct rig *rig, struct trace *t)
{
    uint8_t writeback = 0;
    (void)t;
    for (unsigned i = 0; i < 3; i++)
        blk_request(rig, VIRTIO_BLK_T_OUT, i, (uint8_t)(0x10 + i));
    if (!rig->drv.t->legacy)
        vdrv_config_write(&rig->drv, VIRTIO_BLK_CONFIG_writeback, &writeback, 1);
}

static void blk_second(struct rig *rig, struct trace *t)
{
    uint8_t config[VIRTIO_BLK_CONFIG_BYTES];
    vdrv_config_read(&rig->drv, 0, config, sizeof(config));
    note(t, config, sizeof(config));
    for (unsigned lap = 0; lap < 2 * QUEUE_SIZE; lap++) {
        take_all(rig, t);
        blk_request(rig, VIRTIO_BLK_T_IN, lap % 3, 0);
        blk_request(rig, VIRTIO_BLK_T_OUT, lap, (uint8_t)lap);
    }
    take_all(rig, t);
    note(t, rig->disk.bytes, 4096);
}

static void rng_first(struct rig *rig, struct trace *t)
{
    uint64_t gpa = send_chain(rig, 0, NULL, 0, 32);
    rig_step(rig);
    note_room(rig, t, gpa, 32);
}

static void rng_second(struct rig *rig, struct trace *t)
{
    for (unsigned i = 0; i < 3 * QUEUE_SIZE; i++) {
        take_all(rig, t);
        rng_first(rig, t);
    }
    take_all(rig, t);
}

/* The reader is slow: a line is cut in its middle, and another waits. So does a buffer for input.
 */
static void console_first(struct rig *rig, struct trace *t)
{
    take_all(rig, t);
    rig->chr.room = 4;
    send_chain(rig, 1, "hello ", 6, 0);
    send_chain(rig, 1, "world", 5, 0);
    send_chain(rig, 0, NULL, 0, 3);
    send_chain(rig, 0, NULL, 0, 8);
    rig_step(rig);
    fake_chr_type(&rig->chr, "x", 1);
}

static void console_second(struct rig *rig, struct trace *t)
{
    rig_step(rig);
    note_number(t, rig->chr.rx_max);
    fake_chr_type(&rig->chr, "typed", 5);
    fake_chr_open(&rig->chr, 3);
    take_all(rig, t);
    fake_chr_open(&rig->chr, 1000);
    take_all(rig, t);
    for (unsigned i = 0; i < 2 * QUEUE_SIZE; i++) {
        uint64_t gpa = send_chain(rig, 0, NULL, 0, 4);
        send_chain(rig, 1, "again", 5, 0);
        rig_step(rig);
        fake_chr_type(&rig->chr, "abcd", 4);
        take_all(rig, t);
        note_room(rig, t, gpa, 4);
    }
    note(t, rig->chr.out, rig->chr.out_bytes);
}

static void open_ports(struct rig *rig, const struct rig_config *on)
{
    struct rig_config config = portio_config(on);
    rig_open_console_on(rig, &config);
}

/* A port waits for its reader and the other for its guest, and there is news of both. */
static void ports_first(struct rig *rig, struct trace *t)
{
    take_all(rig, t);
    portio_give(rig, 2, 96);
    portio_say(rig, 0, VIRTIO_CONSOLE_DEVICE_READY, 1);
    take_all(rig, t);
    portio_give(rig, 1, 96);
    for (unsigned id = 0; id < 3; id++)
        portio_say(rig, id, VIRTIO_CONSOLE_PORT_READY, 1);
    portio_say(rig, 1, VIRTIO_CONSOLE_PORT_OPEN, 1);
    rig->ports[0].room = 4;
    send_chain(rig, 5, "hello ", 6, 0);
    send_chain(rig, 6, NULL, 0, 8);
    rig_step(rig);
}

static void ports_second(struct rig *rig, struct trace *t)
{
    portio_give(rig, 3, 96);
    note(t, portio_hear(rig), PORTIO_TEXT);
    fake_chr_open(&rig->ports[0], 100);
    portio_say(rig, 2, VIRTIO_CONSOLE_PORT_OPEN, 1);
    fake_chr_type(&rig->ports[1], "typed", 5);
    take_all(rig, t);
    note(t, rig->ports[0].out, rig->ports[0].out_bytes);
}

/* Half a report is with the driver, others wait, and more than there is room for. */
static void input_first(struct rig *rig, struct trace *t)
{
    const struct input_event step[] = {{EV_REL, REL_X, 5}, {EV_REL, REL_WHEEL, -1}};
    take_all(rig, t);
    inputio_query(rig, VIRTIO_INPUT_CFG_EV_BITS, EV_KEY, NULL);
    inputio_give(rig, 4, INPUT_EVENT_BYTES);
    fake_input_key(&rig->person, BTN_LEFT, true);
    fake_input_report(&rig->person, step, 2);
    for (unsigned i = 0; i < INPUT_QUEUE_EVENTS; i++)
        fake_input_key(&rig->person, BTN_RIGHT, i % 2 == 0);
    fake_input_key(&rig->person, BTN_LEFT, false);
    fake_input_report(&rig->person, step, 2);
}

static void input_second(struct rig *rig, struct trace *t)
{
    struct input_event event;
    uint32_t len;
    uint8_t led[INPUT_EVENT_BYTES], bits[256];
    input_event_put(led, &(struct input_event){EV_LED, LED_NUML, 1});
    vdrv_config_read(&rig->drv, 0, bits, VIRTIO_INPUT_CONFIG_BYTES);
    note(t, bits, VIRTIO_INPUT_CONFIG_BYTES);
    for (unsigned i = 0; i < INPUT_QUEUE_EVENTS; i++) {
        while (inputio_next(rig, &event, &len))
            note(t, &event, sizeof(event));
        inputio_give(rig, 1, INPUT_EVENT_BYTES);
        rig_step(rig);
        if (i % 64 != 0)
            continue;
        send_chain(rig, 1, led, sizeof(led), 0);
        take_all(rig, t);
    }
}

uint64_t scsi_command(struct rig *rig, uint8_t op, uint32_t out, uint32_t in)
{
    uint8_t request[VIRTIO_SCSI_CMD_cdb + VIRTIO_SCSI_CDB_DEFAULT_SIZE + 512] = {1, 0, 0x40};
    uint32_t header = VIRTIO_SCSI_CMD_cdb + VIRTIO_SCSI_CDB_DEFAULT_SIZE;
    uint8_t *cdb = request + VIRTIO_SCSI_CMD_cdb;
    cdb[0] = op;
    cdb[8] = 1; /* a block */
    memset(request + header, 0x5c, 512);
    return send_chain(rig, 2, request, header + out,
                      VIRTIO_SCSI_RESP_sense + VIRTIO_SCSI_SENSE_DEFAULT_SIZE + in);
}

/* The unit has an attention to tell, and an event was missed. */
static void scsi_first(struct rig *rig, struct trace *t)
{
    scsi_command(rig, SCSI_WRITE_10, 512, 0);
    take_all(rig, t);
    fake_blk_resize(&rig->disk, RIG_DISK_BYTES / 2);
    rig_step(rig);
    scsi_command(rig, SCSI_INQUIRY, 0, 36);
}

static void scsi_second(struct rig *rig, struct trace *t)
{
    take_all(rig, t);
    uint64_t event = send_chain(rig, 1, NULL, 0, VIRTIO_SCSI_EVENT_BYTES);
    uint64_t attention = scsi_command(rig, SCSI_TEST_UNIT_READY, 0, 0);
    take_all(rig, t);
    note_room(rig, t, event, VIRTIO_SCSI_EVENT_BYTES);
    note_room(rig, t, attention, VIRTIO_SCSI_RESP_sense + 32);
    for (unsigned i = 0; i < 2 * QUEUE_SIZE; i++) {
        uint64_t gpa = scsi_command(rig, SCSI_READ_10, 0, 512);
        take_all(rig, t);
        note_room(rig, t, gpa, 600);
    }
}

#define NET_FEATURES                                                                              \
    (NET(MAC) | NET(STATUS) | NET(CTRL_VQ) | NET(CTRL_RX) | NET(CTRL_RX_EXTRA) | NET(CTRL_VLAN) | \
     NET(CTRL_MAC_ADDR) | NET(CSUM) | NET(GUEST_CSUM) | NET(GUEST_TSO4) |                         \
     NET(CTRL_GUEST_OFFLOADS))

#define NET_BUFFER_BYTES 512
#define NET_BUFFERS      64

static struct {
    const uint8_t *at[NET_BUFFERS];
    unsigned count;
} net_buffers;

static void net_post(struct rig *rig, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        net_buffers.at[net_buffers.count++ % NET_BUFFERS] = netio_post(rig, 0, NET_BUFFER_BYTES);
}

/* Buffers wait for packets, and one packet waits for the network. */
static void net_first(struct rig *rig, struct trace *t)
{
    const uint8_t macs[] = {1, 0, 0, 0, 0x52, 0x54, 0, 9, 9, 9, 0, 0, 0, 0};
    const uint8_t vlan[] = {7, 0};
    uint8_t offloads[8];
    net_buffers.count = 0;
    le64_put(offloads, NET(GUEST_CSUM));
    if (rig->drv.features & VIRTIO_BIT(VIRTIO_NET_F_CTRL_VQ)) {
        note_number(t, netio_command(rig, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, macs,
                                     sizeof(macs)));
        note_number(t, netio_command(rig, VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_ADD, vlan,
                                     sizeof(vlan)));
        note_number(t, netio_command(rig, VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_NOBCAST, "\1", 1));
        note_number(t, netio_command(rig, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET,
                                     "RT\0\1\2\7", 6));
        note_number(t, netio_command(rig, VIRTIO_NET_CTRL_GUEST_OFFLOADS,
                                     VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET, offloads, 8));
    }
    if (rig->cfg.rss) {
        uint8_t data[2048];
        struct netio_rss rss = {
            .types = 0x3f, .entries = 2, .pairs = {0, 0}, .tx_pairs = 1, .key_bytes = 40};
        uint32_t len = netio_make_rss(&rss, data);
        note_number(
            t, netio_command(rig, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_RSS_CONFIG, data, len));
    }
    net_post(rig, 4);
    netio_arrive(rig, 0, &(struct netio_packet){.frame_bytes = 64, .fill = 1});
    rig->ether.pairs[0].room = 0;
    netio_send(rig, 0, &(struct netio_packet){.frame_bytes = 80, .fill = 2}, false);
}

static void net_second(struct rig *rig, struct trace *t)
{
    static const uint8_t known[] = {0x52, 0x54, 0, 9, 9, 9}, new[] = "RT\0\1\2\7",
                         all[] = "\xff\xff\xff\xff\xff\xff";
    const uint8_t *dsts[] = {NULL, known, new, all};
    rig_step(rig);
    fake_net_open(&rig->ether, 0, 100);
    take_all(rig, t);
    for (unsigned lap = 0; lap < 3 * QUEUE_SIZE; lap++) {
        netio_arrive(rig, 0,
                     &(struct netio_packet){.frame_bytes = 70 + lap,
                                            .dst = dsts[lap % ARRAY_SIZE(dsts)],
                                            .tagged = lap % 5 == 0,
                                            .vlan = (uint16_t)(lap % 10 == 0 ? 7 : 8),
                                            .udp = (uint16_t)(lap % 3),
                                            .fill = (uint8_t)lap});
        netio_send(rig, 0, &(struct netio_packet){.frame_bytes = 60 + lap}, lap % 2 == 0);
        take_all(rig, t);
        net_post(rig, rig->drv.q[0].ring.free_descs / 2);
    }
    for (unsigned i = 0; i < net_buffers.count && i < NET_BUFFERS; i++)
        note(t, net_buffers.at[i], NET_BUFFER_BYTES);
    for (struct fake_packet *p; (p = fake_net_take(&rig->ether, 0)) != NULL; free(p))
        note(t, p->data, p->bytes);
    note_number(t, rig->ether.offloads);
}

#define GPU_WIDTH  12u
#define GPU_HEIGHT 9u

static const struct display_rect gpu_all = {0, 0, GPU_WIDTH, GPU_HEIGHT};

/* Host memory, and guest memory in two pieces, are seen; a copy waits for its turn. */
static void gpu_first(struct rig *rig, struct trace *t)
{
    const struct gpureq_frame frame = {GPU_WIDTH, GPU_HEIGHT, GPUREQ_FORMAT, GPU_WIDTH * 4, 0};
    uint8_t request[VIRTIO_GPU_TRANSFER_BYTES];
    uint64_t gpa = gpureq_show(rig, 0, 1, GPU_WIDTH, GPU_HEIGHT, 5);
    struct gpureq_entry halves[] = {{gpa + 200, 232}, {gpa, 200}};
    note_number(t, gpureq_blob(rig, 2, 432, halves, 2));
    note_number(t, gpureq_scanout_blob(rig, 1, 2, GPUREQ_RECT(1, 1, 8, 7), &frame));
    note_number(t, gpureq_simple(rig, VIRTIO_GPU_CMD_RESOURCE_ASSIGN_UUID, 2));
    display_tell_size(&rig->display.backend, 1, 100, 100);
    display_tell_size(&rig->display.backend, 1, RIG_GPU_WIDTH, RIG_GPU_HEIGHT);
    memset(vdrv_ptr(&rig->drv, gpa, 432), 0x3c, 432);
    take_all(rig, t);
    gpureq_send(rig, 0, request, gpureq_make_transfer(request, 1, &gpu_all, 0), 24);
}

static void gpu_second(struct rig *rig, struct trace *t)
{
    uint8_t config[VIRTIO_GPU_CONFIG_BYTES];
    take_all(rig, t);
    for (unsigned lap = 0; lap < 2 * QUEUE_SIZE; lap++) {
        note_number(t, gpureq_flush(rig, 2 - lap % 2, &gpu_all));
        for (unsigned i = 0; i < 2; i++)
            note(t, rig->display.screens[i].seen, 8 * 7 * 4);
    }
    note_number(t, gpureq_simple(rig, VIRTIO_GPU_CMD_RESOURCE_ASSIGN_UUID, 2));
    note(t, gpureq_response(rig), VIRTIO_GPU_RESP_UUID_BYTES);
    note_number(t, gpureq_simple(rig, VIRTIO_GPU_CMD_RESOURCE_ASSIGN_UUID, 1));
    note(t, gpureq_response(rig), VIRTIO_GPU_RESP_UUID_BYTES);
    note_number(t, gpureq_simple(rig, VIRTIO_GPU_CMD_RESOURCE_UNREF, 2));
    vdrv_config_read(&rig->drv, 0, config, sizeof(config));
    note(t, config, sizeof(config));
    take_all(rig, t);
}

/* Statistics are with the device, pages come in two requests. */
static void balloon_first(struct rig *rig, struct trace *t)
{
    uint32_t actual = 3;
    uint8_t entry[VIRTIO_BALLOON_STAT_BYTES] = {5, 0, 77};
    uint8_t number[4];
    (void)t;
    le32_put(number, (uint32_t)(RIG_HOLE_END_GPA / 4096));
    memset(vdrv_ptr(&rig->drv, RIG_HOLE_END_GPA, 3 * 4096), 0x5a, 3 * 4096);
    virtio_balloon_set_target(rig->balloon, 3 * 4096);
    vdrv_config_write(&rig->drv, VIRTIO_BALLOON_CONFIG_actual, &actual, 4);
    send_chain(rig, VIRTIO_BALLOON_STATS, entry, sizeof(entry), 0);
    send_chain(rig, VIRTIO_BALLOON_INFLATE, number, sizeof(number), 0);
}

static void balloon_second(struct rig *rig, struct trace *t)
{
    struct virtio_balloon_status status;
    uint8_t number[4];
    take_all(rig, t);
    le32_put(number, (uint32_t)(RIG_HOLE_END_GPA / 4096 + 2));
    send_chain(rig, VIRTIO_BALLOON_INFLATE, number, sizeof(number), 0);
    take_all(rig, t);
    virtio_balloon_status(rig->balloon, &status);
    note_number(t, status.target_bytes);
    note_number(t, status.actual_bytes);
    note_number(t, status.known);
    note_number(t, status.stats[5]);
    note_room(rig, t, RIG_HOLE_END_GPA, 3 * 4096);
    take_all(rig, t);
}

const struct workload workloads[STATE_WORKLOADS] = {
    {"echo", rig_open_echo_on, 0, 2, false, echo_some, echo_more},
    {"echo with event indices", rig_open_echo_on, VIRTIO_BIT(VIRTIO_F_EVENT_IDX), 2, false,
     echo_some, echo_more},
    {"blk", rig_open_blk_on, VIRTIO_BIT(VIRTIO_BLK_F_FLUSH) | VIRTIO_BIT(VIRTIO_BLK_F_CONFIG_WCE),
     1, false, blk_first, blk_second},
    {"rng", rig_open_rng_on, 0, 1, false, rng_first, rng_second},
    {"console", rig_open_console_on, VIRTIO_BIT(VIRTIO_CONSOLE_F_SIZE), 2, false, console_first,
     console_second},
    {"console with ports", open_ports, VIRTIO_BIT(VIRTIO_CONSOLE_F_MULTIPORT), PORTIO_QUEUES, false,
     ports_first, ports_second},
    {"balloon", rig_open_balloon_on, VIRTIO_BIT(VIRTIO_BALLOON_F_STATS_VQ), 3, false, balloon_first,
     balloon_second},
    {"input", rig_open_input_on, 0, 2, false, input_first, input_second},
    {"scsi", rig_open_scsi_on, VIRTIO_BIT(VIRTIO_SCSI_F_CHANGE) | VIRTIO_BIT(VIRTIO_SCSI_F_HOTPLUG),
     3, false, scsi_first, scsi_second},
    {"net", rig_open_net_on, NET_FEATURES, 3, false, net_first, net_second},
    {"net with rss", rig_open_net_on, NET_FEATURES | NET(RSS) | NET(HASH_REPORT), 3, true,
     net_first, net_second},
    {"gpu", rig_open_gpu_on, GPUREQ_FEATURES, 2, false, gpu_first, gpu_second},
};
