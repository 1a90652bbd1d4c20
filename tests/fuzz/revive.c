// SPDX-License-Identifier: BSD-2-Clause
/* After whatever happened: a reset, and one real request. */
#include <stdlib.h>
#include <string.h>

#include "core/base/le.h"
#include "core/base/xmath.h"
#include "tests/fuzz/play_impl.h"
#include "tests/harness/blkreq.h"
#include "tests/harness/fsreq.h"
#include "tests/harness/gpureq.h"
#include "tests/harness/netio.h"
#include "tests/harness/portio.h"
#include "tests/harness/vsockreq.h"
#include "virtio/balloon/balloon.h"
#include "virtio/rtc/rtc.h"
#include "virtio/spec.h"

#define SIZE 8u

static const char *run_chain(struct fuzz_player *p, unsigned queue, const struct vdrv_buf *bufs,
                             unsigned count, uint32_t *len)
{
    struct vdrv_queue *q = &p->rig.drv.q[queue];
    uint32_t head;
    vdrv_send(q, bufs, count);
    rig_step(&p->rig);
    return vdrv_used(q, &head, len) ? NULL : "a request does not come back";
}

static const char *revive_echo(struct fuzz_player *p)
{
    struct vdrv *d = &p->rig.drv;
    uint64_t gpa = vdrv_alloc(d, 16, 16);
    uint32_t len = 0;
    memcpy(vdrv_ptr(d, gpa, 8), "minivet", 8);
    const char *wrong =
        run_chain(p, 0, (struct vdrv_buf[]){{gpa, 8, false}, {gpa + 8, 8, true}}, 2, &len);
    if (wrong != NULL)
        return wrong;
    return len == 8 && memcmp(vdrv_ptr(d, gpa + 8, 8), "minivet", 8) == 0 ? NULL : "no echo";
}

static const char *revive_blk(struct fuzz_player *p)
{
    struct blkreq req = {.bytes = 4096, .data_write = true};
    memset(p->rig.disk.bytes, 0x42, 4096);
    if (blkreq_do(&p->rig, &req, NULL) != VIRTIO_BLK_S_OK)
        return "a disk cannot be read";
    if (memcmp(blkreq_data(&p->rig, &req), p->rig.disk.bytes, 4096) != 0)
        return "a disk reads something else";
    return p->rig.disk.out == 0 ? NULL : "requests are out that nobody made";
}

/* INQUIRY: VIRTIO 1.4 5.6.6.1, the response's byte 11. */
static const char *revive_scsi(struct fuzz_player *p)
{
    enum { REQUEST = 51, RESPONSE = 108, DATA = 36, RESPONSE_CODE = 11, REQUESTS = 2 };
    struct vdrv *d = &p->rig.drv;
    uint64_t gpa = vdrv_alloc(d, REQUEST + RESPONSE + DATA, 16);
    uint32_t len = 0;
    uint8_t *at = vdrv_ptr(d, gpa, REQUEST + RESPONSE);
    at[0] = 1; /* the LUN: target 0, unit 0 */
    at[2] = 0x40;
    at[19] = 0x12;
    at[19 + 4] = DATA;
    const char *wrong = run_chain(p, REQUESTS,
                                  (struct vdrv_buf[]){
                                      {gpa, REQUEST, false},
                                      {gpa + REQUEST, RESPONSE + DATA, true},
                                  },
                                  2, &len);
    if (wrong != NULL)
        return wrong;
    return at[REQUEST + RESPONSE_CODE] == 0 ? NULL : "INQUIRY fails";
}

static const char *revive_net(struct fuzz_player *p)
{
    struct rig *rig = &p->rig;
    struct fake_packet *sent;
    while ((sent = fake_net_take(&rig->ether, 0)) != NULL)
        free(sent);
    for (unsigned i = 0; i < FAKE_NET_PAIRS; i++)
        fake_net_open(&rig->ether, i, UINT32_MAX);
    fake_net_link(&rig->ether, true);
    if (rig->drv.t->legacy)
        return NULL; /* its header is another one */
    struct netio_packet packet = {.frame_bytes = 60, .fill = 7};
    netio_send(rig, 0, &packet, true);
    sent = fake_net_take(&rig->ether, 0);
    bool right = sent != NULL && sent->bytes == NET_HEADER_BYTES + 60;
    free(sent);
    if (!right)
        return "a packet is not sent";
    /* What came before and was not taken comes first. */
    for (unsigned tries = 0; tries < 100; tries++) {
        uint32_t len;
        uint8_t *at = netio_post(rig, 0, 2048);
        netio_arrive(rig, 0, &packet);
        while (netio_take(rig, 0, &len))
            if (len == NET_HEADER_BYTES + 60 && at[NET_HEADER_BYTES + 59] == 7)
                return NULL;
        if (rig->drv.heap_end_gpa - rig->drv.heap_gpa < 4096)
            break;
    }
    return "no packet is received";
}

/* All are there, each in its own place; they are met, and told of. */
static const char *revive_ports(struct rig *rig)
{
    for (unsigned i = 0; i < RIG_PORTS; i++)
        (void)rig_remove_port(rig, i);
    for (unsigned i = 0; i < RIG_PORTS; i++) {
        if (rig_add_port(rig, i) != 0)
            return "a port finds no place";
        fake_chr_come(&rig->ports[i]);
    }
    portio_start(rig, 0);
    fake_chr_leave(&rig->ports[0]);
    return strcmp(portio_hear(rig), "1:closed") == 0 ? NULL : "nobody is missed at a port";
}

static const char *revive_console(struct fuzz_player *p)
{
    struct vdrv *d = &p->rig.drv;
    fake_chr_open(&p->rig.chr, UINT32_MAX);
    uint64_t before = p->rig.chr.out_bytes, gpa = vdrv_alloc(d, 4, 1);
    uint32_t len;
    const char *wrong = run_chain(p, 1, &(struct vdrv_buf){gpa, 4, false}, 1, &len);
    if (wrong != NULL)
        return wrong;
    if (p->rig.chr.out_bytes != before + 4)
        return "nothing is printed";
    bool has_room = !d->t->legacy; /* whose queues are large */
    return p->rig.ports != NULL && has_room ? revive_ports(&p->rig) : NULL;
}

static const char *revive_rng(struct fuzz_player *p)
{
    uint64_t gpa = vdrv_alloc(&p->rig.drv, 16, 1);
    uint32_t len = 0;
    const char *wrong = run_chain(p, 0, &(struct vdrv_buf){gpa, 16, true}, 1, &len);
    if (wrong != NULL)
        return wrong;
    return len == 16 ? NULL : "no random bytes";
}

/* A page goes, and the statistics stay with the device. */
static const char *revive_balloon(struct fuzz_player *p)
{
    struct vdrv *d = &p->rig.drv;
    uint64_t gpa = vdrv_alloc(d, 4096, 4096), number_gpa = vdrv_alloc(d, 4, 4);
    uint32_t number = (uint32_t)(gpa / 4096), len;
    memset(vdrv_ptr(d, gpa, 4096), 1, 4096);
    memcpy(vdrv_ptr(d, number_gpa, 4), &number, 4);
    const char *wrong =
        run_chain(p, VIRTIO_BALLOON_INFLATE, &(struct vdrv_buf){number_gpa, 4, false}, 1, &len);
    if (wrong != NULL)
        return wrong;
    return *(uint8_t *)vdrv_ptr(d, gpa, 1) == 0 ? NULL : "a page does not go back";
}

/* The clock tells the time. */
static const char *revive_rtc(struct fuzz_player *p)
{
    struct vdrv *d = &p->rig.drv;
    uint64_t gpa = vdrv_alloc(d, 32, 16);
    uint8_t *message = vdrv_ptr(d, gpa, 32);
    const struct vdrv_buf bufs[] = {{gpa, 16, false}, {gpa + 16, 16, true}};
    uint32_t len;
    memset(message, 0, 16);
    message[0] = VIRTIO_RTC_REQ_READ;
    const char *wrong = run_chain(p, VIRTIO_RTC_REQUESTS, bufs, 2, &len);
    if (wrong != NULL)
        return wrong;
    bool is_right = len == 16 && message[16] == VIRTIO_RTC_S_OK &&
                    le64_get(message + 24) == p->rig.time.now_ns + p->rig.time.wall_ahead_ns;
    return is_right ? NULL : "a clock does not tell the time";
}

/* A message is answered. */
static const char *revive_fs(struct fuzz_player *p)
{
    if (p->rig.files.out > 0)
        return "a reset device has requests out";
    p->rig.files.hold = false;
    p->rig.files.fail = 0;
    return fsreq_serves(&p->rig, VIRTIO_FS_REQUESTS) ? NULL : "a message is not answered";
}

/* A connection's byte arrives. */
static const char *revive_vsock(struct fuzz_player *p)
{
    struct rig *rig = &p->rig;
    if (rig->sockets.opened != rig->sockets.closed)
        return "a reset device has connections";
    vsockreq_begin(rig, 1);
    rig->sockets.reads_nothing = false;
    struct fake_stream *st = vsockreq_connect(rig, 7, 52);
    struct vsockreq packet = vsockreq_make(VIRTIO_VSOCK_OP_RW, 7, 52);
    packet.len = 1;
    if (st == NULL)
        return "there is no connection";
    vsockreq_send(rig, &packet, "x");
    return st->out_bytes == 1 ? NULL : "no byte arrives";
}

static const char *revive_input(struct fuzz_player *p)
{
    struct rig *rig = &p->rig;
    struct input_event got[SIZE];
    inputio_give(rig, SIZE, INPUT_EVENT_BYTES);
    fake_input_key(&rig->person, 1, true);
    rig_step(rig);
    unsigned n = inputio_take(rig, got, SIZE);
    return n == 2 && got[0].code == 1 && got[0].value == 1 ? NULL : "no key is heard of";
}

/* What was shown is gone, and a picture is seen as it is. */
static const char *revive_gpu(struct fuzz_player *p)
{
    for (unsigned i = 0; i < DISPLAY_SCANOUTS_MAX; i++)
        if (p->rig.display.screens[i].shows || p->rig.display.screens[i].cursor != NULL)
            return "a reset device shows something";
    gpureq_show(&p->rig, 0, 1, 16, 12, 1);
    vdrv_alloc(&p->rig.drv, 4096, 1); /* requests lay there, and left their bytes */
    return gpureq_sees(&p->rig, 0, 16, 12, 1) ? NULL : "a picture is not seen";
}

const char *fuzz_revive(struct fuzz_player *p)
{
    static const struct {
        unsigned queues;
        const char *(*request)(struct fuzz_player *p);
    } devices[FUZZ_DEVICES] = {
        [FUZZ_ECHO] = {2, revive_echo},       [FUZZ_BLK] = {1, revive_blk},
        [FUZZ_SCSI] = {3, revive_scsi},       [FUZZ_NET] = {2, revive_net},
        [FUZZ_CONSOLE] = {2, revive_console}, [FUZZ_RNG] = {1, revive_rng},
        [FUZZ_INPUT] = {2, revive_input},     [FUZZ_GPU] = {2, revive_gpu},
        [FUZZ_BALLOON] = {5, revive_balloon}, [FUZZ_VSOCK] = {3, revive_vsock},
        [FUZZ_RTC] = {2, revive_rtc},         [FUZZ_FS] = {2, revive_fs},
    };
    struct rig *rig = &p->rig;
    unsigned device = p->script->head.device;
    rig->disk.hold = false;
    rig->disk.fail = rig->random.fail = 0;
    if (rig->disk.bytes != NULL) {
        fake_blk_release(&rig->disk);
        fake_blk_resize(&rig->disk, FUZZ_DISK_BYTES);
    }
    if (device == FUZZ_ECHO)
        echo_release(&rig->echo);
    if (rig->pci != NULL)
        rig_find_device(rig);
    if (!vdrv_start(&rig->drv, 0, devices[device].queues, SIZE))
        return "the device does not start";
    rig_step(rig);
    return devices[device].request(p);
}
