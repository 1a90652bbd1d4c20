// SPDX-License-Identifier: BSD-2-Clause
/* A disk behind qemu-storage-daemon. */
#include "devices/disk/image/storage_daemon.h"

#include "tests/harness/test.h"
#include "tests/harness/vhost_user_rig.h"
#include "virtio/spec.h"

struct image {
    char dir[64], path[96];
};

/* A qcow2 image of 1 MiB; false: there are no tools to make and serve one. */
static bool make_image(struct image *image)
{
    char command[256];
    if (access("/usr/bin/qemu-storage-daemon", X_OK) != 0 || access("/usr/bin/qemu-img", X_OK) != 0)
        return false;
    strcpy(image->dir, "/tmp/minivet-test-XXXXXX");
    cr_assert_not_null(mkdtemp(image->dir));
    snprintf(image->path, sizeof(image->path), "%s/a,b.qcow2", image->dir);
    snprintf(command, sizeof(command), "qemu-img create -q -f qcow2 '%s' 1M", image->path);
    cr_assert_eq(system(command), 0);
    return true;
}

static void remove_image(struct image *image)
{
    unlink(image->path);
    rmdir(image->dir);
}

static struct storage_daemon *plug_daemon(struct vu_rig *b, const struct image *image,
                                          bool read_only)
{
    struct storage_daemon *daemon;
    cr_assert_eq(storage_daemon_create(&daemon,
                                       &(struct storage_daemon_config){
                                           .name = "disk",
                                           .path = image->path,
                                           .format = "qcow2",
                                           .read_only = read_only,
                                           .queues = 2,
                                       }),
                 0);
    struct vhost_user_setup setup = vu_setup(b, "disk");
    setup.connect = storage_daemon_connect_until;
    setup.connect_ctx = daemon;
    cr_assert_eq(vhost_user_blk_create(&b->dev, &setup), 0);
    rig_plug(&b->rig, &b->dev->dev);
    return daemon;
}

static void end_daemon(struct vu_rig *b, struct storage_daemon *daemon)
{
    rig_unplug(&b->rig);
    vhost_user_device_destroy(b->dev);
    b->dev = NULL;
    storage_daemon_destroy(daemon);
    vu_end(b);
}

Test(virtio_vhost_user, a_qcow2_image_keeps_what_was_written, .timeout = 60)
{
    static const struct rig_config *const variants[] = {&rig_variants[0], &rig_variants[2]};
    struct image image;
    if (!make_image(&image))
        cr_skip_test("qemu-storage-daemon or qemu-img is not installed (qemu-utils)");
    for (unsigned v = 0; v < ARRAY_SIZE(variants); v++) {
        struct vu_rig b;
        struct blkreq x;
        vu_prepare(&b, variants[v]);
        struct storage_daemon *daemon = plug_daemon(&b, &image, false);
        cr_expect_eq(vu_config_get(&b, VIRTIO_BLK_CONFIG_capacity, 8), MIB / 512);
        vu_start(&b, VIRTIO_BIT(VIRTIO_F_EVENT_IDX));
        vu_send_write(&b, &x, 100 + v, (uint8_t)(0xa0 + v));
        cr_expect_eq(vu_finish(&b, &x), VIRTIO_BLK_S_OK);
        vu_start(&b, VIRTIO_BIT(VIRTIO_F_EVENT_IDX)); /* a reset between */
        cr_expect_eq(vu_do_read(&b, &x, 100 + v), VIRTIO_BLK_S_OK);
        cr_expect_eq(*(uint8_t *)blkreq_data(&b.rig, &x), 0xa0 + v);
        cr_expect_eq(logged_lines, 0);
        end_daemon(&b, daemon);
    }
    struct vu_rig b;
    struct blkreq x;
    vu_prepare(&b, &rig_variants[0]);
    struct storage_daemon *daemon = plug_daemon(&b, &image, true);
    cr_expect_neq(vdrv_offered(&b.rig.drv) & VIRTIO_BIT(VIRTIO_BLK_F_RO), 0);
    vu_start(&b, 0);
    for (unsigned v = 0; v < ARRAY_SIZE(variants); v++) {
        cr_expect_eq(vu_do_read(&b, &x, 100 + v), VIRTIO_BLK_S_OK);
        cr_expect_eq(*(uint8_t *)blkreq_data(&b.rig, &x), 0xa0 + v);
    }
    vu_send_write(&b, &x, 100, 1);
    cr_expect_eq(vu_finish(&b, &x), VIRTIO_BLK_S_IOERR);
    end_daemon(&b, daemon);
    remove_image(&image);
}

/* The child of this process that runs the daemon. */
static pid_t find_daemon(void)
{
    char path[64], children[64] = "";
    snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
    FILE *f = fopen(path, "r");
    cr_assert_not_null(f);
    cr_assert_not_null(fgets(children, sizeof(children), f));
    fclose(f);
    return (pid_t)strtol(children, NULL, 10);
}

Test(virtio_vhost_user, a_daemon_that_dies_is_started_again, .timeout = 60)
{
    struct image image;
    struct vu_rig b;
    struct blkreq x;
    if (!make_image(&image))
        cr_skip_test("qemu-storage-daemon or qemu-img is not installed (qemu-utils)");
    vu_prepare(&b, &rig_variants[0]);
    struct storage_daemon *daemon = plug_daemon(&b, &image, false);
    vu_start(&b, VIRTIO_BIT(VIRTIO_F_EVENT_IDX));
    vu_send_write(&b, &x, 7, 0x77);
    cr_expect_eq(vu_finish(&b, &x), VIRTIO_BLK_S_OK);
    x = vu_request(VIRTIO_BLK_T_FLUSH, 0, 0);
    cr_assert(blkreq_send(&b.rig, &x));
    cr_expect_eq(vu_finish(&b, &x), VIRTIO_BLK_S_OK);
    pid_t pid = find_daemon();
    cr_assert_gt(pid, 0);
    kill(pid, SIGKILL);
    VU_STEP_UNTIL(&b, logged_lines == 1);
    vu_retry(&b);
    cr_expect_eq(logged_lines, 2);
    cr_expect_eq(vu_do_read(&b, &x, 7), VIRTIO_BLK_S_OK);
    cr_expect_eq(*(uint8_t *)blkreq_data(&b.rig, &x), 0x77);
    end_daemon(&b, daemon);
    remove_image(&image);
}
