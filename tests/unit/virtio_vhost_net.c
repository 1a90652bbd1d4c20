// SPDX-License-Identifier: BSD-2-Clause
/*
 * Networks whose packets the host's kernel moves. Few hosts have /dev/vhost-net, so the kernel is
 * one of the test's own: it takes the calls, is as strict as the real one about their order, and
 * serves rings when it is told to.
 */

#include "tests/harness/fake_net.h"
#include "tests/harness/netio.h"
#include "tests/harness/rig.h"
#include "tests/harness/test.h"
#include "virtio/net/net.h"
#include "virtio/spec.h"
#include "virtio/vhost/vhost_kernel.h"
#include "virtio/vhost/vhost_net.h"

/* After spec.h, since they make macros of the same names. */
#include <linux/if_tun.h>
#include <linux/vhost.h>

#define BIT(feature) VIRTIO_BIT(VIRTIO_NET_F_##feature)
#define PAIRS        2u
#define PACKET       100u
#define ROOM         1600u
#define KNOWN                                                                          \
    (BIT(MRG_RXBUF) | VIRTIO_BIT(VIRTIO_F_VERSION_1) | VIRTIO_BIT(28) /* indirect */ | \
     VIRTIO_BIT(29) /* event_idx */)

struct kernel_ring {
    unsigned size;
    bool has_base, has_addr;
    struct vhost_vring_addr addr;
    int kick, call, err;
    int tap; /* -1: it does not run */
    struct vq_config config;
    struct virtqueue vq;
};

struct kernel_pair {
    int fd;
    bool owned, has_memory;
    uint64_t features;
    int header_bytes; /* of the pair's tap */
    struct kernel_ring rings[2];
};

struct kernel {
    const struct gmem *gmem;
    uint64_t known;
    unsigned opened;
    int open_errno;
    unsigned long refuse; /* a request; 0: none */
    struct kernel_pair pairs[PAIRS];
};

struct bench {
    struct rig rig;
    struct fake_net ether;
    struct kernel kernel;
    struct vhost_kernel_host host;
    struct vhost_net *vhost;
    struct virtio_net *net;
    int taps[PAIRS];
};

/* ---- the kernel ---- */

static int kernel_open(void *ctx)
{
    struct kernel *k = ctx;
    if (k->open_errno != 0) {
        errno = k->open_errno;
        return -1;
    }
    struct kernel_pair *p = &k->pairs[k->opened++];
    *p = (struct kernel_pair){.fd = eventfd(0, EFD_CLOEXEC)};
    for (unsigned i = 0; i < 2; i++)
        p->rings[i] = (struct kernel_ring){.kick = -1, .call = -1, .err = -1, .tap = -1};
    return p->fd;
}

static uint64_t gpa_of(const struct kernel *k, uint64_t user)
{
    for (unsigned i = 0; i < k->gmem->count; i++) {
        const struct gmem_region *r = &k->gmem->regions[i];
        if (range_within(user, 1, (uintptr_t)r->hva, r->bytes))
            return user - (uintptr_t)r->hva + r->gpa;
    }
    return UINT64_MAX;
}

static int run_ring(struct kernel *k, struct kernel_pair *p, struct kernel_ring *r, int tap)
{
    if (r->tap >= 0)
        vq_deactivate(&r->vq);
    r->tap = tap;
    if (tap < 0)
        return 0;
    cr_assert(r->size > 0 && r->has_base && r->has_addr && r->kick >= 0 && r->call >= 0);
    r->config = (struct vq_config){
        .size = r->size,
        .desc = gpa_of(k, r->addr.desc_user_addr),
        .driver = gpa_of(k, r->addr.avail_user_addr),
        .device = gpa_of(k, r->addr.used_user_addr),
    };
    struct vq_setup setup = {
        .config = &r->config,
        .gmem = k->gmem,
        .features = p->features,
        .size_max = r->size,
        .iov_max = 64,
    };
    cr_assert_eq(vq_activate(&r->vq, &setup), 0);
    return 0;
}

static void take_memory(const struct kernel *k, const struct vhost_memory *m)
{
    cr_assert_eq(m->nregions, k->gmem->count);
    for (unsigned i = 0; i < m->nregions; i++) {
        cr_expect_eq(m->regions[i].guest_phys_addr, k->gmem->regions[i].gpa);
        cr_expect_eq(m->regions[i].memory_size, k->gmem->regions[i].bytes);
        cr_expect_eq(m->regions[i].userspace_addr, (uintptr_t)k->gmem->regions[i].hva);
    }
}

static int pair_call(struct kernel *k, struct kernel_pair *p, unsigned long request, void *arg)
{
    const struct vhost_vring_state *state = arg;
    const struct vhost_vring_file *file = arg;
    if (request == VHOST_SET_OWNER) {
        p->owned = true;
        return 0;
    }
    cr_assert(p->owned && arg != NULL);
    struct kernel_ring *r = &p->rings[*(unsigned *)arg % 2]; /* of those that have one */
    switch (request) {
    case VHOST_GET_FEATURES:
        *(uint64_t *)arg = k->known;
        return 0;
    case VHOST_SET_FEATURES:
        p->features = *(uint64_t *)arg;
        return (p->features & ~k->known) == 0 ? 0 : -EOPNOTSUPP;
    case VHOST_SET_MEM_TABLE:
        take_memory(k, arg);
        p->has_memory = true;
        return 0;
    case VHOST_SET_VRING_NUM:
        r->size = state->num;
        return r->tap < 0 ? 0 : -EBUSY;
    case VHOST_SET_VRING_BASE:
        r->has_base = state->num == 0;
        return r->tap < 0 ? 0 : -EBUSY;
    case VHOST_SET_VRING_ADDR:
        cr_assert(p->has_memory);
        r = &p->rings[((struct vhost_vring_addr *)arg)->index];
        r->addr = *(struct vhost_vring_addr *)arg;
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
    case VHOST_NET_SET_BACKEND:
        return run_ring(k, p, r, file->fd);
    default:
        cr_assert_fail("request %#lx", request);
        return -ENOTTY;
    }
}

static int kernel_ioctl(void *ctx, int fd, unsigned long request, void *arg)
{
    struct bench *b = ctx;
    int err = -EBADF;
    if (request == b->kernel.refuse)
        err = -EIO;
    for (unsigned i = 0; i < PAIRS && err == -EBADF; i++) {
        struct kernel_pair *p = &b->kernel.pairs[i];
        if (fd == b->taps[i] && request == TUNSETVNETHDRSZ) {
            p->header_bytes = *(int *)arg;
            err = 0;
        } else if (i < b->kernel.opened && fd == p->fd) {
            err = pair_call(&b->kernel, p, request, arg);
        }
    }
    errno = -err;
    return err == 0 ? 0 : -1;
}

static int open_in_bench(void *ctx, const char *path)
{
    cr_expect_str_eq(path, "/dev/vhost-net");
    struct bench *b = ctx;
    return kernel_open(&b->kernel);
}

static bool was_kicked(const struct kernel_ring *r)
{
    eventfd_t kicks;
    return r->tap >= 0 && eventfd_read(r->kick, &kicks) == 0;
}

/* What the pair sends comes back to it. */
static void serve(struct bench *b, unsigned pair)
{
    struct kernel_pair *p = &b->kernel.pairs[pair];
    struct vq_chain *from, *into;
    uint8_t packet[ROOM];
    cr_assert(was_kicked(&p->rings[1]));
    while (vq_pop(&p->rings[1].vq, &from) > 0) {
        size_t bytes = iobuf_get(&from->rd, packet, sizeof(packet));
        cr_assert_eq(vq_pop(&p->rings[0].vq, &into), 1);
        iobuf_put(&into->wr, packet, bytes);
        vq_push(&p->rings[0].vq, into);
        vq_push(&p->rings[1].vq, from);
    }
    for (unsigned i = 0; i < 2; i++)
        if (vq_flush(&p->rings[i].vq))
            cr_assert_eq(eventfd_write(p->rings[i].call, 1), 0);
    rig_step(&b->rig);
}

/* ---- the bench ---- */

static void prepare(struct bench *b, const struct rig_config *config)
{
    memset(b, 0, sizeof(*b));
    rig_open_host(&b->rig, config);
    fake_net_init(&b->ether);
    b->kernel = (struct kernel){.gmem = b->rig.gmem, .known = KNOWN};
    b->host = (struct vhost_kernel_host){open_in_bench, kernel_ioctl, b};
    for (unsigned i = 0; i < PAIRS; i++)
        b->taps[i] = eventfd(0, EFD_CLOEXEC);
    listen_to_log(LOG_WARN);
}

static int create(struct bench *b)
{
    return vhost_net_create(&b->vhost, &(struct vhost_net_config){
                                           .name = "net",
                                           .taps = b->taps,
                                           .pairs = PAIRS,
                                           .loop = b->rig.loop,
                                           .gmem = b->rig.gmem,
                                           .host = &b->host,
                                       });
}

static int create_device(struct bench *b, uint64_t features_on)
{
    struct virtio_setup setup = rig_setup(&b->rig, "net");
    setup.features_on = features_on;
    return virtio_net_create(&b->net, &setup,
                             &(struct virtio_net_config){
                                 .backend = &b->ether.backend, .vhost = b->vhost, .pairs = PAIRS});
}

static void plug(struct bench *b)
{
    cr_assert_eq(create(b), 0);
    cr_assert_eq(create_device(b, 0), 0);
    rig_plug(&b->rig, virtio_net_device(b->net));
}

static void open_bench(struct bench *b)
{
    prepare(b, &rig_variants[0]);
    plug(b);
}

static void close_host(struct bench *b)
{
    vhost_net_destroy(b->vhost);
    fake_net_fini(&b->ether);
    for (unsigned i = 0; i < PAIRS; i++)
        close(b->taps[i]);
    rig_close(&b->rig);
    log_set_sink(NULL, NULL);
}

static void close_bench(struct bench *b)
{
    rig_unplug(&b->rig);
    virtio_net_destroy(b->net);
    close_host(b);
}

#define OnBench(suite, name, ...) \
    TestWith(suite, name, struct bench, b, (__VA_ARGS__), close_bench(b))

static void expect_works(struct bench *b, unsigned pair)
{
    struct vdrv *d = &b->rig.drv;
    uint32_t head, len;
    struct vdrv_buf rx = {vdrv_alloc(d, ROOM, 16), ROOM, true};
    struct vdrv_buf tx = {vdrv_alloc(d, PACKET, 16), PACKET, false};
    memset(vdrv_ptr(d, tx.gpa, tx.len), 0x40 + (int)pair, tx.len);
    (void)rig_queue_irqs(&b->rig, 2 * pair);
    cr_assert_geq(vdrv_send(&d->q[2 * pair], &rx, 1), 0);
    cr_assert_geq(vdrv_send(&d->q[2 * pair + 1], &tx, 1), 0);
    serve(b, pair);
    cr_assert(vdrv_used(&d->q[2 * pair + 1], &head, &len));
    cr_assert(vdrv_used(&d->q[2 * pair], &head, &len));
    cr_expect_eq(len, PACKET);
    cr_expect_eq(memcmp(vdrv_ptr(d, rx.gpa, PACKET), vdrv_ptr(d, tx.gpa, PACKET), PACKET), 0);
    cr_expect_geq(rig_queue_irqs(&b->rig, 2 * pair), 1);
    for (unsigned i = 0; i < PAIRS; i++)
        cr_expect_eq(b->ether.pairs[i].sends + b->ether.pairs[i].receives, 0, "no packet here");
}

static unsigned running(const struct bench *b)
{
    unsigned bits = 0;
    for (unsigned i = 0; i < 2 * PAIRS; i++)
        bits |= b->kernel.pairs[i / 2].rings[i % 2].tap >= 0 ? 1u << i : 0;
    return bits;
}

Test(vhost_net, leaves_the_packets_to_the_kernel)
{
    struct bench b;
    for (unsigned i = 0; i < RIG_VARIANTS; i++) {
        if (rig_variants[i].packed)
            continue;
        prepare(&b, &rig_variants[i]);
        plug(&b);
        cr_assert(vdrv_start(&b.rig.drv, BIT(MQ) | BIT(CTRL_VQ) | BIT(MRG_RXBUF), 5, 16));
        cr_expect_eq(running(&b), 15);
        for (unsigned p = 0; p < PAIRS; p++)
            for (unsigned r = 0; r < 2; r++)
                cr_expect_eq(b.kernel.pairs[p].rings[r].tap, b.taps[p]);
        for (unsigned n = 0; n < 40; n++)
            expect_works(&b, n % PAIRS);
        cr_assert(vdrv_start(&b.rig.drv, 0, 3, 16)); /* another driver */
        cr_expect_eq(running(&b), 3);
        expect_works(&b, 0);
        vdrv_reset(&b.rig.drv);
        cr_expect_eq(running(&b), 0);
        close_bench(&b);
    }
}

/* The kernel's eventfd is the hypervisor's: the loop need not run, and adds nothing if it does. */
OnBench(vhost_net, interrupts_pass_by, prepare(b, &(struct rig_config){.transport = RIG_PCI}))
{
    plug(b);
    for (unsigned round = 0; round < 2; round++) {
        cr_assert(vdrv_start(&b->rig.drv, BIT(MQ) | BIT(CTRL_VQ), 5, 16));
        expect_works(b, 1);
        for (unsigned queue = 0; queue < 2 * PAIRS; queue++) {
            (void)rig_queue_irqs(&b->rig, queue);
            int call = b->kernel.pairs[queue / 2].rings[queue % 2].call;
            cr_assert_eq(eventfd_write(call, 1), 0);
            cr_expect_eq(rig_queue_irqs(&b->rig, queue), 1, "queue %u", queue);
            cr_assert_eq(eventfd_write(call, 1), 0);
            rig_step(&b->rig);
            cr_expect_eq(rig_queue_irqs(&b->rig, queue), 1, "queue %u", queue);
        }
    }
    vdrv_reset(&b->rig.drv);
    cr_assert_eq(eventfd_write(b->kernel.pairs[0].rings[0].call, 1), 0);
    rig_step(&b->rig);
    cr_expect_eq(rig_queue_irqs(&b->rig, 0), 0);
}

OnBench(vhost_net, keeps_control_and_configuration, open_bench(b))
{
    const uint8_t two[] = {2, 0};
    cr_assert(
        vdrv_start(&b->rig.drv, BIT(MQ) | BIT(CTRL_VQ) | BIT(GUEST_CSUM) | BIT(STATUS), 5, 16));
    cr_expect_eq(b->ether.offloads, NET_CSUM);
    cr_expect_eq(
        netio_command(&b->rig, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, two, 2),
        VIRTIO_NET_OK);
    cr_expect_eq(b->ether.pairs_used, 2);
    expect_works(b, 0);
    expect_works(b, 1);
    fake_net_link(&b->ether, false);
    uint8_t status;
    vdrv_config_read(&b->rig.drv, VIRTIO_NET_CONFIG_status, &status, 1);
    cr_expect_eq(status, 0);
}

/* It does not filter, so the driver is not told that somebody would. */
Test(vhost_net, offers_what_the_kernel_can_do)
{
    const uint64_t filters = BIT(CTRL_RX) | BIT(CTRL_RX_EXTRA) | BIT(CTRL_VLAN);
    struct bench b;
    open_bench(&b);
    uint64_t offered = vdrv_offered(&b.rig.drv);
    cr_expect_eq(offered & filters, 0);
    cr_expect_eq(offered & (BIT(MRG_RXBUF) | BIT(CSUM) | BIT(HOST_TSO4)),
                 BIT(MRG_RXBUF) | BIT(CSUM) | BIT(HOST_TSO4));
    cr_assert(vdrv_start(&b.rig.drv, BIT(CSUM) | BIT(MRG_RXBUF), 3, 16));
    cr_expect_eq(b.kernel.pairs[0].features, BIT(MRG_RXBUF) | VIRTIO_BIT(VIRTIO_F_VERSION_1),
                 "checksums are the tap's");
    close_bench(&b);
    prepare(&b, &rig_variants[0]);
    b.kernel.known = VIRTIO_BIT(VIRTIO_F_VERSION_1);
    plug(&b);
    cr_expect_eq(vdrv_offered(&b.rig.drv) & KNOWN, VIRTIO_BIT(VIRTIO_F_VERSION_1));
    close_bench(&b);
}

Test(vhost_net, has_no_packed_rings)
{
    struct bench b;
    prepare(&b, &rig_variants[0]);
    cr_assert_eq(create(&b), 0);
    cr_expect_eq(create_device(&b, VIRTIO_BIT(VIRTIO_F_RING_PACKED)), -EINVAL);
    cr_expect_eq(logged_lines, 1);
    close_host(&b);
}

/* VIRTIO 1.4 5.1.6.1: theirs are two bytes shorter, and the tap must have the same. */
OnBench(vhost_net, has_headers_that_legacy_drivers_know, prepare(b, &rig_legacy_variants[0]))
{
    plug(b);
    cr_assert(vdrv_start(&b->rig.drv, 0, 3, 16));
    cr_expect_eq(b->kernel.pairs[0].header_bytes, VIRTIO_NET_HDR_LEGACY_BYTES);
    expect_works(b, 0);
    cr_assert(vdrv_start(&b->rig.drv, BIT(MRG_RXBUF), 3, 16));
    cr_expect_eq(b->kernel.pairs[0].header_bytes, VIRTIO_NET_HDR_BYTES);
}

OnBench(vhost_net, stops_a_queue_that_is_reset, open_bench(b))
{
    cr_assert(vdrv_start(&b->rig.drv, VIRTIO_BIT(VIRTIO_F_RING_RESET), 3, 16));
    expect_works(b, 0);
    cr_assert(vdrv_queue_reset(&b->rig.drv, 1));
    cr_expect_eq(running(b), 1);
    vdrv_queue_set_up(&b->rig.drv, 1, 8);
    cr_expect_eq(running(b), 3);
    cr_expect_eq(b->kernel.pairs[0].rings[1].size, 8);
    expect_works(b, 0);
}

OnBench(vhost_net, says_when_the_kernel_gives_up, open_bench(b))
{
    static const unsigned long requests[] = {
        TUNSETVNETHDRSZ,      VHOST_SET_FEATURES,   VHOST_SET_VRING_NUM,
        VHOST_SET_VRING_BASE, VHOST_SET_VRING_ADDR, VHOST_SET_VRING_KICK,
        VHOST_SET_VRING_CALL, VHOST_SET_VRING_ERR,  VHOST_NET_SET_BACKEND};
    for (unsigned i = 0; i < ARRAY_SIZE(requests); i++) {
        vdrv_reset(&b->rig.drv); /* which is never refused */
        b->kernel.refuse = requests[i];
        cr_expect_not(vdrv_start(&b->rig.drv, 0, 3, 16), "request %u", i);
        cr_expect(rig_is_broken(&b->rig));
        b->kernel.refuse = 0;
        cr_expect(vdrv_start(&b->rig.drv, 0, 3, 16), "request %u", i);
        expect_works(b, 0);
    }
    cr_assert_eq(eventfd_write(b->kernel.pairs[0].rings[0].err, 1), 0);
    rig_step(&b->rig);
    cr_expect(rig_is_broken(&b->rig));
}

/* Its tap has gone, and the guest starts the card again and again. */
OnBench(vhost_net, says_once_that_the_kernel_refuses, open_bench(b))
{
    b->kernel.refuse = TUNSETVNETHDRSZ;
    for (unsigned i = 0; i < 20; i++) {
        vdrv_reset(&b->rig.drv);
        cr_expect_not(vdrv_start(&b->rig.drv, 0, 3, 16));
    }
    cr_expect_eq(logged_lines, 2, "%u lines: why, and that it needs a reset", logged_lines);
}

Test(vhost_net, says_why_it_cannot_be)
{
    static const unsigned long requests[] = {VHOST_SET_OWNER, VHOST_GET_FEATURES,
                                             VHOST_SET_MEM_TABLE};
    static const int errors[] = {ENOENT, EACCES, EMFILE};
    struct bench b;
    prepare(&b, &rig_variants[0]);
    for (unsigned i = 0; i < ARRAY_SIZE(errors); i++) {
        b.kernel.open_errno = errors[i];
        cr_expect_eq(create(&b), -errors[i]);
        cr_expect_eq(logged_lines, i + 1);
    }
    b.kernel.open_errno = 0;
    for (unsigned i = 0; i < ARRAY_SIZE(requests); i++) {
        b.kernel.opened = 0;
        b.kernel.refuse = requests[i];
        cr_expect_eq(create(&b), -EIO);
        cr_expect_eq(logged_lines, i + 1 + ARRAY_SIZE(errors));
    }
    close_host(&b);
}
