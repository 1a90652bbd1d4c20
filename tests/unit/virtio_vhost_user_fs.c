// SPDX-License-Identifier: BSD-2-Clause
/*
 * File systems behind a vhost-user server, which is the tests' disk: to the device a chain is a
 * chain. What all such devices share is in virtio_vhost_user.c.
 */
#include "core/base/le.h"
#include "tests/harness/test.h"
#include "tests/harness/vhost_user_rig.h"
#include "virtio/fs/fs.h"
#include "virtio/fs/vhost_user_fs.h"
#include "virtio/spec.h"

#define TAG "files"

static int create(struct vu_rig *b, unsigned queues)
{
    struct vhost_user_setup setup = vu_setup(b, TAG);
    setup.groups = queues;
    return vhost_user_fs_create(&b->dev, &setup, TAG);
}

static void plug(struct vu_rig *b, unsigned queues)
{
    cr_assert_eq(create(b, queues), 0);
    rig_plug(&b->rig, &b->dev->dev);
}

OnEachVu(vhost_user_fs, has_its_tag_and_queues, vu_prepare(b, on))
{
    const uint8_t tag[VIRTIO_FS_TAG_BYTES] = TAG;
    uint8_t config[VIRTIO_FS_CONFIG_BYTES];
    b->server.queues = 3;
    plug(b, 2);
    vdrv_config_read(&b->rig.drv, 0, config, sizeof(config));
    cr_expect_eq(memcmp(config + VIRTIO_FS_CONFIG_tag, tag, sizeof(tag)), 0);
    cr_expect_eq(le32_get(config + VIRTIO_FS_CONFIG_num_request_queues), 2);
    cr_expect_not(vdrv_offered(&b->rig.drv) & VIRTIO_BIT(VIRTIO_F_IN_ORDER));
    cr_assert(vdrv_start(&b->rig.drv, 0, 3, 16));
    for (unsigned queue = 0; queue < 3; queue++) {
        struct blkreq r = vu_request(VIRTIO_BLK_T_IN, 1, 512);
        r.queue = queue;
        memset(b->server.disk + 512, 0x40 + (int)queue, 512);
        blkreq_send(&b->rig, &r);
        cr_expect_eq(vu_finish(b, &r), VIRTIO_BLK_S_OK);
        cr_expect_eq(*(uint8_t *)blkreq_data(&b->rig, &r), 0x40 + queue);
    }
}

OnVu(vhost_user_fs, has_as_many_queues_as_its_server, vu_prepare(b, &rig_variants[0]))
{
    uint8_t queues[4];
    b->server.queues = 2;
    plug(b, 4);
    vdrv_config_read(&b->rig.drv, VIRTIO_FS_CONFIG_num_request_queues, queues, sizeof(queues));
    cr_expect_eq(le32_get(queues), 1);
}

OnVu(vhost_user_fs, needs_a_queue_for_requests, vu_prepare(b, &rig_variants[0]))
{
    b->server.queues = 1;
    cr_expect_eq(create(b, 1), -ENOTSUP);
    cr_expect_not_null(strstr(logged_line, "no queue for requests"), "%s", logged_line);
}
