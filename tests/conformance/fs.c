// SPDX-License-Identifier: BSD-2-Clause
/* The file system device: VIRTIO 1.4 5.11. */
#include "conformance.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/le.h"
#include "core/base/xmath.h"
#include "devices/share/share_dir.h"
#include "tests/harness/folder.h"
#include "tests/harness/fsreq.h"
#include "tests/harness/fusereq.h"

#define SIZE 8u

static uint32_t request_queues(struct rig *rig)
{
    uint8_t bytes[4];
    vdrv_config_read(&rig->drv, VIRTIO_FS_CONFIG_num_request_queues, bytes, sizeof(bytes));
    return le32_get(bytes);
}

/* And as many as it says. */
Test(conformance, fs_config_1)
{
    for (unsigned queues = 0; queues <= 3; queues++)
        FOR_EACH_RIG(rig, FS, MODERN, .queues = queues)
        {
            expect(request_queues(rig) == max_u64(queues, 1));
            start(rig, 0, SIZE);
            for (uint32_t queue = 0; queue < request_queues(rig); queue++)
                expect(fsreq_serves(rig, VIRTIO_FS_REQUESTS + queue));
            expect(vdrv_queue_size_max(&rig->drv, VIRTIO_FS_REQUESTS + request_queues(rig)) == 0);
        }
}

/* However many requests are under way: a queue full of them, and one that has more to take. */
Requirement(fs_hiprio_1, FS, MODERN, .queues = 2)
{
    struct fsreq forget = {.queue = VIRTIO_FS_HIPRIO, .opcode = FUSE_FORGET, .bytes = 8};
    start(rig, 0, SIZE);
    rig->files.hold = true;
    for (unsigned i = 0; i < SIZE / 2; i++)
        fsreq_send(rig, &(struct fsreq){.queue = VIRTIO_FS_REQUESTS, .room = 32});
    rig_step(rig);
    expect(rig->files.out == SIZE / 2);
    fsreq_send(rig, &forget);
    for (unsigned i = 0; i < SIZE / 2; i++)
        fsreq_send(rig, &(struct fsreq){.queue = VIRTIO_FS_REQUESTS + 1, .room = 32});
    rig_step(rig);
    expect(fsreq_is_returned(rig, &forget));
    expect(rig->files.out == SIZE);
    fake_share_release(&rig->files);
}

/* ---- with a directory ---- */

/* What the client of tests/harness/fusereq.h asks goes through the device. */
struct by_device {
    struct share share;
    struct rig *rig;
};

static void send_by_device(struct share *share, struct share_req *req)
{
    struct rig *rig = container_of(share, struct by_device, share)->rig;
    struct vdrv_queue *q = &rig->drv.q[VIRTIO_FS_REQUESTS];
    uint32_t room = (uint32_t)min_u64(req->wr.left, 4096), used;
    struct vdrv_buf bufs[] = {
        {vdrv_alloc(&rig->drv, req->rd.left, 8), (uint32_t)req->rd.left, false},
        {vdrv_alloc(&rig->drv, room, 8), room, true}};
    iobuf_get(&req->rd, vdrv_ptr(&rig->drv, bufs[0].gpa, bufs[0].len), bufs[0].len);
    demand(vdrv_send(q, bufs, 2) >= 0);
    while (!vdrv_has_used(q))
        rig_step(rig);
    take_one(rig, VIRTIO_FS_REQUESTS, &used);
    iobuf_put(&req->wr, vdrv_ptr(&rig->drv, bufs[1].gpa, room), used);
    req->done(req);
}

/* There is no DAX window: all data go by READ and WRITE. */
static void fs_dax_3(const struct rig_config *config)
{
    static const struct share_ops ops = {.submit = send_by_device};
    struct rig bench, *rig = &bench;
    struct by_device device = {{&ops, sizeof(struct share_req)}, rig};
    struct fuse_client client;
    struct share *dir;
    char text[8] = "";
    uint64_t fh, bytes;
    uint64_t gpa;
    rig_open_host(rig, config);
    demand(share_dir_create(&dir, &(struct share_dir_config){.path = folder_path(),
                                                             .descriptors_max = 256,
                                                             .nodes_max = 65536}) == 0);
    struct virtio_setup setup = rig_setup(rig, "fs");
    demand(virtio_fs_create(&rig->fs, &setup,
                            &(struct virtio_fs_config){.tag = FSREQ_TAG, .share = dir}) == 0);
    rig_plug(rig, virtio_fs_device(rig->fs));
    start(rig, 0, SIZE);
    for (unsigned id = 0; id < 256; id++)
        expect(!vdrv_shm(&rig->drv, (uint8_t)id, &gpa, &bytes));
    fuse_client_open(&client, &device.share, rig->loop);
    demand(fuse_client_init(&client) == 0);
    uint64_t node = fuse_create(&client, FUSE_ROOT_ID, "file", O_RDWR, 0600, &fh, NULL);
    expect(node != 0);
    expect(fuse_write(&client, node, fh, 0, "by WRITE", 8) == 8);
    expect(fuse_read(&client, node, fh, 3, text, sizeof(text)) == 5);
    expect(strcmp(text, "WRITE") == 0);
    fuse_client_close(&client);
    rig_close(rig);
    dir->ops->destroy(dir);
}

Test(conformance, fs_dax_3, .init = folder_enter, .fini = folder_leave)
{
    for (unsigned v = 0; v < RIG_VARIANTS; v++) {
        walk_place = rig_config_name(&rig_variants[v]);
        fs_dax_3(&rig_variants[v]);
        demand(unlink("file") == 0);
    }
}
