// SPDX-License-Identifier: BSD-2-Clause
/*
 * Sockets of which the host's kernel has the connections. The kernel is one of the test's own, as
 * strict as the real one about what it is given before it runs.
 */
#include "tests/harness/rig.h"
#include "tests/harness/test.h"
#include "virtio/spec.h"
#include "virtio/vhost/vhost_vsock.h"
#include "virtio/vsock/vsock.h"

/* After spec.h, since it makes macros of the same names. */
#include <linux/vhost.h>

#define SEQPACKET VIRTIO_BIT(VIRTIO_VSOCK_F_SEQPACKET)
#define KNOWN     (SEQPACKET | VIRTIO_BIT(VIRTIO_F_VERSION_1) | VIRTIO_BIT(28) | VIRTIO_BIT(29))
#define CID       99u
#define QUEUE     16u

struct kernel {
    uint64_t known, features, cid;
    int open_errno, cid_errno;
    unsigned long refuse; /* a request; 0: none */
    bool owned, has_memory, runs;
    unsigned begun; /* how often */
    struct kernel_ring {
        unsigned size;
        bool has_base, has_addr;
        int kick, call, err;
    } rings[2];
};

struct bench {
    struct rig rig;
    struct kernel kernel;
    struct vhost_kernel_host host;
    struct vhost_vsock *vhost;
    struct virtio_vsock *vsock;
};

/* ---- the kernel ---- */

static int kernel_open(void *ctx, const char *path)
{
    struct bench *b = ctx;
    cr_expect_str_eq(path, "/dev/vhost-vsock");
    errno = b->kernel.open_errno;
    return errno != 0 ? -1 : eventfd(0, EFD_CLOEXEC);
}

static int run(struct kernel *k, bool on)
{
    for (unsigned i = 0; on && i < 2; i++)
        if (k->rings[i].size == 0 || !k->rings[i].has_base || !k->rings[i].has_addr)
            return -EFAULT;
    k->begun += on && !k->runs;
    k->runs = on;
    return 0;
}

static int ring_call(struct kernel *k, unsigned long request, void *arg)
{
    struct kernel_ring *r = &k->rings[*(unsigned *)arg % 2];
    const struct vhost_vring_state *state = arg;
    const struct vhost_vring_file *file = arg;
    cr_assert(k->has_memory);
    switch (request) {
    case VHOST_SET_VRING_NUM:
        r->size = state->num;
        return k->runs ? -EBUSY : 0;
    case VHOST_SET_VRING_BASE:
        r->has_base = state->num == 0;
        return k->runs ? -EBUSY : 0;
    case VHOST_SET_VRING_ADDR:
        r->has_addr = true;
        return 0;
    case VHOST_SET_VRING_KICK:
        r->kick = file->fd;
        return 0;
    case VHOST_SET_VRING_CALL:
        r->call = file->fd;
        return 0;
    case VHOST_SET_VRING_ERR:
        r->err = file->fd;
        return 0;
    default:
        cr_assert_fail("request %#lx", request);
        return -ENOTTY;
    }
}

static int answer(struct kernel *k, unsigned long request, void *arg)
{
    if (request == k->refuse)
        return -EIO;
    switch (request) {
    case VHOST_SET_OWNER:
        k->owned = true;
        return 0;
    case VHOST_GET_FEATURES:
        *(uint64_t *)arg = k->known;
        return 0;
    case VHOST_SET_FEATURES:
        k->features = *(uint64_t *)arg;
        return (k->features & ~k->known) == 0 ? 0 : -EOPNOTSUPP;
    case VHOST_SET_MEM_TABLE:
        k->has_memory = k->owned;
        return 0;
    case VHOST_VSOCK_SET_GUEST_CID:
        k->cid = *(uint64_t *)arg;
        return -k->cid_errno;
    case VHOST_VSOCK_SET_RUNNING:
        return run(k, *(int *)arg);
    default:
        return ring_call(k, request, arg);
    }
}

static int kernel_ioctl(void *ctx, int fd, unsigned long request, void *arg)
{
    struct bench *b = ctx;
    (void)fd;
    int err = answer(&b->kernel, request, arg);
    errno = -err;
    return err == 0 ? 0 : -1;
}

/* ---- the bench ---- */

static void prepare(struct bench *b, const struct rig_config *config)
{
    memset(b, 0, sizeof(*b));
    rig_open_host(&b->rig, config);
    b->kernel.known = KNOWN;
    b->host = (struct vhost_kernel_host){kernel_open, kernel_ioctl, b};
    listen_to_log(LOG_WARN);
}

static int create(struct bench *b)
{
    return vhost_vsock_create(&b->vhost,
                              &(struct vhost_vsock_config){.name = "vsock",
                                                           .cid = CID,
                                                           .features = VIRTIO_VSOCK_VHOST_FEATURES,
                                                           .loop = b->rig.loop,
                                                           .gmem = b->rig.gmem,
                                                           .host = &b->host});
}

static int create_device(struct bench *b, uint64_t features_on)
{
    struct virtio_setup setup = rig_setup(&b->rig, "vsock");
    setup.features_on = features_on;
    return virtio_vsock_create(&b->vsock, &setup,
                               &(struct virtio_vsock_config){.guest_cid = CID, .vhost = b->vhost});
}

static void open_bench(struct bench *b, const struct rig_config *config)
{
    prepare(b, config);
    cr_assert_eq(create(b), 0);
    cr_assert_eq(create_device(b, 0), 0);
    rig_plug(&b->rig, virtio_vsock_device(b->vsock));
}

static void close_host(struct bench *b)
{
    vhost_vsock_destroy(b->vhost);
    rig_close(&b->rig);
    log_set_sink(NULL, NULL);
}

static void close_bench(struct bench *b)
{
    rig_unplug(&b->rig);
    virtio_vsock_destroy(b->vsock);
    close_host(b);
}

#define OnBench(name) \
    TestWith(vhost_vsock, name, struct bench, b, open_bench(b, &rig_variants[0]), close_bench(b))

static bool start(struct bench *b, uint64_t features)
{
    return vdrv_start(&b->rig.drv, features, VIRTIO_VSOCK_QUEUES, QUEUE);
}

OnBench(the_kernel_has_both_queues_and_the_cid)
{
    cr_expect_eq(b->kernel.cid, CID);
    cr_expect_not(b->kernel.runs);
    cr_assert(start(b, SEQPACKET));
    cr_expect(b->kernel.runs);
    cr_expect_eq(b->kernel.features, SEQPACKET | VIRTIO_BIT(VIRTIO_F_VERSION_1));
    cr_expect_eq(b->kernel.rings[VIRTIO_VSOCK_RX].size, QUEUE);
    cr_expect_eq(b->kernel.rings[VIRTIO_VSOCK_TX].size, QUEUE);
    eventfd_t kicks;
    cr_expect_eq(eventfd_read(b->kernel.rings[VIRTIO_VSOCK_TX].kick, &kicks), 0,
                 "it looks at what is there");
    vdrv_reset(&b->rig.drv);
    cr_expect_not(b->kernel.runs);
    cr_assert(start(b, 0));
    cr_expect_eq(b->kernel.features, VIRTIO_BIT(VIRTIO_F_VERSION_1));
    cr_expect_eq(b->kernel.begun, 2);
}

OnBench(the_kernels_calls_interrupt_the_guest)
{
    cr_assert(start(b, 0));
    for (unsigned queue = 0; queue < 2; queue++) {
        (void)rig_queue_irqs(&b->rig, queue);
        cr_assert_eq(eventfd_write(b->kernel.rings[queue].call, 1), 0);
        rig_step(&b->rig);
        cr_expect_geq(rig_queue_irqs(&b->rig, queue), 1);
    }
}

OnBench(stops_while_a_queue_is_reset)
{
    cr_assert(start(b, VIRTIO_BIT(VIRTIO_F_RING_RESET)));
    cr_assert(vdrv_queue_reset(&b->rig.drv, VIRTIO_VSOCK_RX));
    cr_expect_not(b->kernel.runs);
    vdrv_queue_set_up(&b->rig.drv, VIRTIO_VSOCK_RX, 8);
    cr_expect(b->kernel.runs);
    cr_expect_eq(b->kernel.rings[VIRTIO_VSOCK_RX].size, 8);
    cr_expect_eq(b->kernel.rings[VIRTIO_VSOCK_TX].size, QUEUE);
}

OnBench(says_when_the_kernel_gives_up)
{
    static const unsigned long requests[] = {
        VHOST_SET_FEATURES,   VHOST_SET_VRING_NUM,  VHOST_SET_VRING_BASE, VHOST_SET_VRING_ADDR,
        VHOST_SET_VRING_KICK, VHOST_SET_VRING_CALL, VHOST_SET_VRING_ERR,  VHOST_VSOCK_SET_RUNNING};
    for (unsigned i = 0; i < ARRAY_SIZE(requests); i++) {
        b->kernel.refuse = requests[i];
        cr_expect_not(start(b, 0), "request %u", i);
        cr_expect(rig_is_broken(&b->rig));
        b->kernel.refuse = 0;
        vdrv_reset(&b->rig.drv);
        cr_expect(start(b, 0), "request %u", i);
        cr_expect(b->kernel.runs);
        vdrv_reset(&b->rig.drv);
    }
    cr_assert(start(b, 0));
    cr_assert_eq(eventfd_write(b->kernel.rings[0].err, 1), 0);
    rig_step(&b->rig);
    cr_expect(rig_is_broken(&b->rig));
}

OnBench(an_event_buffer_is_the_devices)
{
    cr_assert(start(b, 0));
    uint64_t gpa = vdrv_alloc(&b->rig.drv, VIRTIO_VSOCK_EVENT_BYTES, 8);
    struct vdrv_buf buf = {gpa, VIRTIO_VSOCK_EVENT_BYTES, true};
    cr_assert_geq(vdrv_send(&b->rig.drv.q[VIRTIO_VSOCK_EVENT], &buf, 1), 0);
    rig_step(&b->rig);
    cr_expect_not(rig_is_broken(&b->rig));
}

Test(vhost_vsock, offers_what_the_kernel_can_do)
{
    struct bench b;
    open_bench(&b, &rig_variants[0]);
    cr_expect(vdrv_offered(&b.rig.drv) & SEQPACKET);
    close_bench(&b);
    prepare(&b, &rig_variants[0]);
    b.kernel.known = VIRTIO_BIT(VIRTIO_F_VERSION_1);
    cr_assert_eq(create(&b), 0);
    cr_assert_eq(create_device(&b, 0), 0);
    rig_plug(&b.rig, virtio_vsock_device(b.vsock));
    cr_expect_eq(vdrv_offered(&b.rig.drv) & KNOWN, VIRTIO_BIT(VIRTIO_F_VERSION_1));
    cr_expect(vdrv_offered(&b.rig.drv) & VIRTIO_BIT(VIRTIO_VSOCK_F_STREAM));
    close_bench(&b);
}

Test(vhost_vsock, has_no_packed_rings)
{
    struct bench b;
    prepare(&b, &rig_variants[0]);
    cr_assert_eq(create(&b), 0);
    cr_expect_eq(create_device(&b, VIRTIO_BIT(VIRTIO_F_RING_PACKED)), -EINVAL);
    expect_logged("vhost=on needs ring=split");
    close_host(&b);
}

Test(vhost_vsock, says_why_it_cannot_be)
{
    struct bench b;
    prepare(&b, &rig_variants[0]);
    b.kernel.open_errno = ENOENT;
    cr_expect_eq(create(&b), -ENOENT);
    expect_logged("the host has no /dev/vhost-vsock (sudo modprobe vhost_vsock, or path=PATH)");
    b.kernel.open_errno = EACCES;
    cr_expect_eq(create(&b), -EACCES);
    expect_logged("this user may not open /dev/vhost-vsock");
    b.kernel.open_errno = 0;
    b.kernel.cid_errno = EADDRINUSE;
    cr_expect_eq(create(&b), -EADDRINUSE);
    expect_logged("another guest has CID 99; say another cid=N");
    b.kernel.cid_errno = EINVAL;
    cr_expect_eq(create(&b), -EINVAL);
    close_host(&b);
}
