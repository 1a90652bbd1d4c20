// SPDX-License-Identifier: BSD-2-Clause
#include "tests/harness/vhost_user_rig.h"

#include <time.h>

#include "tests/harness/test.h"
#include "virtio/spec.h"

static void prepare(struct vu_rig *b, const struct rig_config *config,
                    void (*init)(struct vhost_server *s))
{
    rig_open_host(&b->rig, config);
    init(&b->server);
    b->server.front = b->rig.gmem;
    b->dev = NULL;
    b->threaded = false;
    listen_to_log(LOG_WARN);
}

void vu_prepare(struct vu_rig *b, const struct rig_config *config)
{
    prepare(b, config, vhost_server_init);
}

void vu_prepare_net(struct vu_rig *b, const struct rig_config *config)
{
    prepare(b, config, vhost_server_init_net);
}

struct vhost_user_setup vu_setup(struct vu_rig *b, const char *name)
{
    return (struct vhost_user_setup){
        .setup = rig_setup(&b->rig, name),
        .socket_path = "a thread",
        .connect = vhost_server_connect,
        .connect_ctx = &b->server,
        .groups = 2,
        .clock = &b->rig.clock,
    };
}

int vu_create(struct vu_rig *b, unsigned reply_ms)
{
    struct vhost_user_setup setup = vu_setup(b, "disk");
    setup.reply_ms = reply_ms;
    return vhost_user_blk_create(&b->dev, &setup);
}

void vu_plug(struct vu_rig *b, unsigned reply_ms)
{
    cr_assert_eq(vu_create(b, reply_ms), 0);
    rig_plug(&b->rig, &b->dev->dev);
}

void vu_start(struct vu_rig *b, uint64_t features)
{
    cr_assert(vdrv_start(&b->rig.drv, features, 2, 16));
    if (!b->threaded)
        rig_step(&b->rig);
}

void vu_end(struct vu_rig *b)
{
    if (b->threaded)
        evloop_stop_thread(b->rig.loop);
    rig_unplug(&b->rig);
    vhost_user_device_destroy(b->dev);
    vhost_server_fini(&b->server);
    rig_close(&b->rig);
    log_set_sink(NULL, NULL);
}

void vu_step(struct vu_rig *b)
{
    if (!b->threaded)
        rig_step(&b->rig);
    nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
}

void vu_wait_used(struct vu_rig *b, struct vdrv_queue *q)
{
    unsigned steps = 0;
    while (!vdrv_has_used(q)) {
        if (++steps % 1000 == 0 && !b->threaded)
            b->rig.time.now_ns += VU_LONG_RETRY;
        vu_step(b);
    }
}

void vu_misbehave(struct vu_rig *b, enum vhost_server_fault fault, uint32_t at)
{
    b->server.fault_at = at;
    b->server.fault = fault;
}

void vu_retry(struct vu_rig *b)
{
    b->rig.time.now_ns += VU_LONG_RETRY;
    rig_step(&b->rig);
}

/* ---- requests to a disk ---- */

uint8_t vu_finish(struct vu_rig *b, const struct blkreq *req)
{
    uint32_t head, len;
    vu_wait_used(b, &b->rig.drv.q[req->queue]);
    cr_assert(vdrv_used(&b->rig.drv.q[req->queue], &head, &len));
    return blkreq_status(&b->rig, req);
}

struct blkreq vu_request(uint32_t type, uint64_t sector, uint32_t bytes)
{
    return (struct blkreq){
        .type = type,
        .sector = sector,
        .bytes = bytes,
        .data_write = type == VIRTIO_BLK_T_IN,
    };
}

void vu_send_write(struct vu_rig *b, struct blkreq *req, uint64_t sector, uint8_t fill)
{
    *req = vu_request(VIRTIO_BLK_T_OUT, sector, 512);
    req->data_gpa = vdrv_alloc(&b->rig.drv, 512, 16);
    memset(blkreq_data(&b->rig, req), fill, 512);
    cr_assert(blkreq_send(&b->rig, req));
}

uint8_t vu_do_read(struct vu_rig *b, struct blkreq *req, uint64_t sector)
{
    *req = vu_request(VIRTIO_BLK_T_IN, sector, 512);
    cr_assert(blkreq_send(&b->rig, req));
    return vu_finish(b, req);
}

uint64_t vu_config_get(struct vu_rig *b, unsigned offset, unsigned bytes)
{
    uint8_t raw[8] = {0};
    vdrv_config_read(&b->rig.drv, offset, raw, bytes);
    return le64_get(raw);
}
