// SPDX-License-Identifier: BSD-2-Clause
/* Devices on a host that refuses, from their making to a driver that starts them. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/ports/bus.h"
#include "devices/pci/function.h"
#include "tests/errors/refuse.h"
#include "tests/harness/fake_net.h"
#include "tests/harness/rig.h"
#include "tests/harness/vhost_server.h"
#include "virtio/balloon/balloon.h"
#include "virtio/blk/blk.h"
#include "virtio/blk/vhost_user_blk.h"
#include "virtio/console/console.h"
#include "virtio/fs/fs.h"
#include "virtio/gpu/gpu.h"
#include "virtio/input/input.h"
#include "virtio/net/net.h"
#include "virtio/observe/stats.h"
#include "virtio/observe/strict.h"
#include "virtio/rng/rng.h"
#include "virtio/scsi/scsi.h"
#include "virtio/spec.h"
#include "virtio/transport/mmio.h"
#include "virtio/transport/pci.h"
#include "virtio/vhost/vhost_net.h"
#include "virtio/vsock/vsock.h"

static struct rig rig;
static const struct rig_config *on;

/* ---- devices ---- */

static int observe(struct virtio_device *dev)
{
    int err = virtio_strict_watch(dev);
    return err != 0 ? err : virtio_device_measure(dev, &rig.clock);
}

#define SCENE(device, before, create, after)               \
    static int device##_scene(void)                        \
    {                                                      \
        struct virtio_##device *made = NULL;               \
        rig = (struct rig){0};                             \
        rig_open_host(&rig, &rig_variants[0]);             \
        struct virtio_setup s = rig_setup(&rig, "device"); \
        before;                                            \
        refuse_begin();                                    \
        int err = create;                                  \
        if (err == 0) {                                    \
            err = observe(virtio_##device##_device(made)); \
            virtio_##device##_destroy(made);               \
        }                                                  \
        refuse_end();                                      \
        after;                                             \
        rig_close(&rig);                                   \
        return err;                                        \
    }

SCENE(rng, rig.entropy = fake_entropy_port(&rig.random), virtio_rng_create(&made, &s, &rig.entropy),
      (void)0)
SCENE(balloon, (void)0,
      virtio_balloon_create(&made, &s, &(struct virtio_balloon_config){.clock = &rig.clock}),
      (void)0)
SCENE(vsock, fake_vsock_init(&rig.sockets, rig.loop),
      virtio_vsock_create(&made, &s,
                          &(struct virtio_vsock_config){.guest_cid = RIG_CID,
                                                        .backend = &rig.sockets.backend}),
      (void)0)
SCENE(fs, fake_share_init(&rig.files),
      virtio_fs_create(&made, &s,
                       &(struct virtio_fs_config){
                           .tag = "files", .share = &rig.files.share, .queues = 2}),
      fake_share_fini(&rig.files))
SCENE(console, fake_chr_init(&rig.chr, 80, 25),
      virtio_console_create(&made, &s,
                            &(struct virtio_console_config){.backend = &rig.chr.backend}),
      (void)0)
SCENE(input, fake_input_init(&rig.person, INPUT_TABLET),
      virtio_input_create(&made, &s, &rig.person.backend), (void)0)
SCENE(gpu, fake_display_init(&rig.display),
      virtio_gpu_create(&made, &s,
                        &(struct virtio_gpu_config){.display = &rig.display.backend,
                                                    .scanouts = 2,
                                                    .width = 64,
                                                    .height = 64,
                                                    .memory_bytes = 1 << 20}),
      fake_display_fini(&rig.display))
SCENE(blk, fake_blk_init(&rig.disk, rig.loop, 65536),
      virtio_blk_create(&made, &s,
                        &(struct virtio_blk_config){.backend = &rig.disk.backend, .queues = 2}),
      fake_blk_fini(&rig.disk))
SCENE(scsi, fake_blk_init(&rig.disk, rig.loop, 65536),
      virtio_scsi_create(
          &made, &s,
          &(struct virtio_scsi_config){
              .backends = (struct blk_backend *[]){&rig.disk.backend}, .count = 1, .queues = 2}),
      fake_blk_fini(&rig.disk))
SCENE(net, fake_net_init(&rig.ether),
      virtio_net_create(&made, &s,
                        &(struct virtio_net_config){
                            .backend = &rig.ether.backend, .pairs = 2, .rss = true}),
      fake_net_fini(&rig.ether))

Test(errors, devices)
{
    refuse_each(rng_scene);
    refuse_each(balloon_scene);
    refuse_each(vsock_scene);
    refuse_each(fs_scene);
    refuse_each(console_scene);
    refuse_each(input_scene);
    refuse_each(gpu_scene);
    refuse_each(blk_scene);
    refuse_each(scsi_scene);
    refuse_each(net_scene);
}

/* ---- transports ---- */

#define TRANSPORT(transport, ...)                                                                  \
    static int transport##_scene(void)                                                             \
    {                                                                                              \
        struct virtio_##transport *made = NULL;                                                    \
        rig = (struct rig){0};                                                                     \
        rig_open_host(&rig, &rig_variants[0]);                                                     \
        echo_init(&rig.echo,                                                                       \
                  &(struct echo_config){.setup = rig_setup(&rig, "device"), .shm_bytes = 65536});  \
        refuse_begin();                                                                            \
        int err = virtio_##transport##_create(                                                     \
            &made,                                                                                 \
            &(struct virtio_##transport##_config){                                                 \
                .device = &rig.echo.dev, .doorbell = fake_doorbell_port(&rig.bell), __VA_ARGS__}); \
        if (err == 0)                                                                              \
            virtio_##transport##_destroy(made);                                                    \
        refuse_end();                                                                              \
        echo_fini(&rig.echo);                                                                      \
        rig_close(&rig);                                                                           \
        return err;                                                                                \
    }

TRANSPORT(mmio, .bus = rig.bus, .base_gpa = RIG_WINDOW_GPA, .irq = fake_irq_line(&rig.irq),
          .shm_gpa = RIG_SHM_GPA)
TRANSPORT(pci, .mmio = rig.bus, .pio = rig.pio, .msi = fake_msi_sink(&rig.msi))

Test(errors, transports)
{
    refuse_each(mmio_scene);
    refuse_each(pci_scene);
}

/* A driver that starts a device: what is refused costs the device, and a reset mends it. */
static int driver(void)
{
    rig = (struct rig){0};
    rig_open_blk_on(&rig, on);
    rig.drv.watch.host = NULL; /* it takes memory, which is counted here */
    cr_assert(vdrv_negotiate(&rig.drv, VIRTIO_BIT(VIRTIO_F_VERSION_1)));
    vdrv_queue_alloc(&rig.drv, 0, 16);
    refuse_begin();
    vdrv_queue_write(&rig.drv, 0);
    vdrv_driver_ok(&rig.drv);
    rig_step(&rig);
    refuse_end();
    vdrv_reset(&rig.drv);
    cr_expect(vdrv_start(&rig.drv, VIRTIO_BIT(VIRTIO_F_VERSION_1), 1, 16));
    cr_expect_not(rig_is_broken(&rig));
    rig_close(&rig);
    return 0;
}

Test(errors, drivers)
{
    for (unsigned i = 0; i < RIG_VARIANTS; i++) {
        on = &rig_variants[i];
        refuse_each(driver);
    }
}

/* ---- servers ---- */

static struct vhost_server s;

/* The server is another program: it is refused nothing. */
static int connect_server(void *ctx, int cancel_fd)
{
    refuse_end();
    int fd = vhost_server_connect(ctx, cancel_fd);
    refuse_spare(s.thread);
    refuse_begin();
    return fd;
}

static int server(void)
{
    struct vhost_user_device *disk = NULL;
    rig = (struct rig){0};
    rig_open_host(&rig, &rig_variants[0]);
    vhost_server_init(&s);
    s.front = rig.gmem;
    refuse_begin();
    int err = vhost_user_blk_create(&disk, &(struct vhost_user_setup){
                                               .setup = rig_setup(&rig, "device"),
                                               .socket_path = "a thread",
                                               .connect = connect_server,
                                               .connect_ctx = &s,
                                               .groups = 2,
                                               .clock = &rig.clock,
                                           });
    if (err == 0)
        vhost_user_device_destroy(disk);
    refuse_end();
    vhost_server_fini(&s);
    rig_close(&rig);
    return err;
}

Test(errors, servers)
{
    refuse_each(server);
}
