// SPDX-License-Identifier: BSD-2-Clause
/* A share: messages that are none, and requests without end: H123, H124. */
#include "hostile.h"

#include <fcntl.h>
#include <unistd.h>

#include "devices/share/share_dir.h"
#include "tests/harness/folder.h"
#include "tests/harness/fsreq.h"

#define FIRST   VIRTIO_FS_REQUESTS
#define OPCODES 60u /* and a few that do not exist */

/* ---- H123: in front of a directory ---- */

static struct share *dir;

static void open_dir(struct rig *rig, const struct rig_config *on)
{
    folder_enter();
    rig_open_host(rig, on);
    cr_assert_eq(share_dir_create(&dir, &(struct share_dir_config){.path = folder_path(),
                                                                   .uid = SHARE_UID_XATTR,
                                                                   .xattr = true,
                                                                   .locks = true,
                                                                   .descriptors_max = 256,
                                                                   .nodes_max = 65536}),
                 0);
    struct virtio_setup setup = rig_setup(rig, "fs");
    cr_assert_eq(virtio_fs_create(&rig->fs, &setup,
                                  &(struct virtio_fs_config){.tag = FSREQ_TAG, .share = dir}),
                 0);
    rig_plug(rig, virtio_fs_device(rig->fs));
    fsreq_start(rig, HOSTILE_SIZE);
}

static void close_dir(struct rig *rig)
{
    rig_close(rig);
    dir->ops->destroy(dir);
    folder_leave();
}

static uint32_t seed;

static uint32_t any(uint32_t below)
{
    seed = seed * 1664525 + 1013904223;
    return (seed >> 8) % below;
}

/* The answer to a message in the buffer, whose place is behind it; -1: there was none. */
static int send_message(struct rig *rig, unsigned queue, uint64_t gpa, uint32_t bytes,
                        uint32_t room)
{
    struct vdrv_buf bufs[] = {{gpa, bytes, false}, {gpa + 512, room, true}};
    uint32_t head, used;
    if (bytes == 0)
        bufs[0] = bufs[1];
    cr_assert_geq(vdrv_send(&rig->drv.q[queue], bufs, bytes > 0 && room > 0 ? 2 : 1), 0);
    for (unsigned i = 0; i < 100000 && !vdrv_has_used(&rig->drv.q[queue]); i++)
        rig_step(rig);
    cr_assert(vdrv_used(&rig->drv.q[queue], &head, &used));
    cr_assert_leq(used, room);
    return used > 0 ? (int)used : -1;
}

static int init(struct rig *rig, uint64_t gpa)
{
    struct fuse_in_header header = {.len = sizeof(header) + sizeof(struct fuse_init_in),
                                    .opcode = FUSE_INIT};
    struct fuse_init_in in = {.major = FUSE_KERNEL_VERSION, .minor = 36};
    uint8_t *message = vdrv_ptr(&rig->drv, gpa, 1024);
    memcpy(message, &header, sizeof(header));
    memcpy(message + sizeof(header), &in, sizeof(in));
    return send_message(rig, FIRST, gpa, header.len, 512);
}

OnEachRig(hostile_files, h123_any_bytes_as_messages, open_dir(rig, on), close_dir(rig))
{
    uint64_t gpa = vdrv_alloc(&rig->drv, 1024, 8);
    uint8_t *message = vdrv_ptr(&rig->drv, gpa, 1024);
    seed = 1;
    cr_assert_gt(init(rig, gpa), 0);
    for (unsigned i = 0; i < 4000; i++) {
        uint32_t bytes = any(4) == 0 ? any(512) : FSREQ_HEADER + any(64);
        uint32_t room = any(4) == 0 ? any(24) : any(512);
        struct fuse_in_header header = {.len = any(8) == 0 ? any(600) : bytes,
                                        .opcode = any(OPCODES),
                                        .unique = i,
                                        .nodeid = any(4)};
        if (header.opcode == FUSE_DESTROY && any(8) != 0)
            header.opcode = FUSE_LOOKUP;
        for (uint32_t at = 0; at < 512; at++)
            message[at] = (uint8_t)(any(3) == 0 ? any(256) : 0);
        if (any(16) != 0)
            memcpy(message, &header, sizeof(header));
        if (bytes + room > 0)
            send_message(rig, any(2), gpa, bytes, room);
        cr_assert_not(rig_is_broken(rig));
    }
    vdrv_reset(&rig->drv);
    fsreq_start(rig, HOSTILE_SIZE);
    cr_expect_gt(init(rig, vdrv_alloc(&rig->drv, 1024, 8)), 0);
}

/* ---- H124 ---- */

OnEachRig(hostile_files, h124_requests_that_wait_without_end,
          (on->queues = 3, rig_open_fs_on(rig, on)), rig_close(rig))
{
    unsigned fds = hostile_fds();
    for (unsigned round = 0; round < 50; round++) {
        rig_start(rig, VIRTIO_BIT(VIRTIO_F_RING_RESET), 4, HOSTILE_SIZE);
        rig->files.hold = true;
        for (unsigned i = 0; i < 3 * HOSTILE_SIZE / 2; i++)
            fsreq_send(rig, &(struct fsreq){.queue = FIRST + i % 3, .room = 64});
        rig_step(rig);
        cr_assert_eq(rig->files.out, 3 * HOSTILE_SIZE / 2);
        cr_assert(vdrv_queue_reset(&rig->drv, FIRST + round % 3));
        cr_assert_eq(rig->files.out, HOSTILE_SIZE);
        if (round % 2 == 0)
            fake_share_release_one(&rig->files, round % HOSTILE_SIZE);
        vdrv_reset(&rig->drv);
        cr_assert_eq(rig->files.out, 0);
    }
    cr_expect_eq(hostile_fds(), fds);
    rig_start(rig, 0, 4, HOSTILE_SIZE);
    fake_share_release(&rig->files);
    cr_expect(fsreq_serves(rig, FIRST));
}
