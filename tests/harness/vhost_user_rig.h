// SPDX-License-Identifier: BSD-2-Clause
/* A rig whose device is behind a vhost-user server of the test's (vhost_server.h). */
#ifndef MINIVET_TESTS_HARNESS_VHOST_USER_RIG_H
#define MINIVET_TESTS_HARNESS_VHOST_USER_RIG_H

#include "tests/harness/blkreq.h"
#include "tests/harness/rig.h"
#include "tests/harness/vhost_server.h"
#include "tests/harness/with.h"
#include "virtio/blk/vhost_user_blk.h"

#define VU_LONG_RETRY UINT64_C(40000000000) /* longer than any pause between two tries */

struct vu_rig {
    struct rig rig;
    struct vhost_server server;
    struct vhost_user_device *dev;
    bool threaded; /* the loop has a thread of its own */
};

/* Of a disk; the server can be changed before there is a device. Warnings are listened to. */
void vu_prepare(struct vu_rig *b, const struct rig_config *config);
/* The same of a network. */
void vu_prepare_net(struct vu_rig *b, const struct rig_config *config);
/* What all devices are created with. */
struct vhost_user_setup vu_setup(struct vu_rig *b, const char *name);
int vu_create(struct vu_rig *b, unsigned reply_ms);
void vu_plug(struct vu_rig *b, unsigned reply_ms);
/* Starts the driver with two queues, and lets the server take the rings. */
void vu_start(struct vu_rig *b, uint64_t features);
void vu_end(struct vu_rig *b);

/* Lets the loop and the server run for a moment. */
void vu_step(struct vu_rig *b);
/* A hang is the test's time-out. */
#define VU_STEP_UNTIL(b, expression) \
    while (!(expression))            \
    vu_step(b)
/* Until something came back; a good server that is late on a busy host is connected to again. */
void vu_wait_used(struct vu_rig *b, struct vdrv_queue *q);

/* As many servers do at that request. */
void vu_misbehave(struct vu_rig *b, enum vhost_server_fault fault, uint32_t at);
/* The time for the next try comes. */
void vu_retry(struct vu_rig *b);

/* ---- requests to a disk ---- */
struct blkreq vu_request(uint32_t type, uint64_t sector, uint32_t bytes);
/* Of one sector, full of that byte. */
void vu_send_write(struct vu_rig *b, struct blkreq *req, uint64_t sector, uint8_t fill);
/* Waits for the request; its status. */
uint8_t vu_finish(struct vu_rig *b, const struct blkreq *req);
uint8_t vu_do_read(struct vu_rig *b, struct blkreq *req, uint64_t sector);
uint64_t vu_config_get(struct vu_rig *b, unsigned offset, unsigned bytes);

#define OnVu(suite, name, ...) TestWith(suite, name, struct vu_rig, b, (__VA_ARGS__), vu_end(b))
/* On each variant, one after the other; `on` is its configuration. */
#define OnEachVu(suite, name, ...)                                \
    static void suite##_##name(struct vu_rig *b);                 \
    Test(suite, name)                                             \
    {                                                             \
        for (unsigned v = 0; v < RIG_VARIANTS; v++) {             \
            const struct rig_config *const on = &rig_variants[v]; \
            struct vu_rig bench, *b = &bench;                     \
            __VA_ARGS__;                                          \
            suite##_##name(b);                                    \
            vu_end(b);                                            \
        }                                                         \
    }                                                             \
    static void suite##_##name(struct vu_rig *b)

#endif
