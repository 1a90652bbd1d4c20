// SPDX-License-Identifier: BSD-2-Clause
/*
 * Disks behind a vhost-user server: the whole way from a driver to a server that takes the chains
 * itself, servers that misbehave, servers that go and come back.
 */
#include <sys/socket.h>

#include "core/state/state.h"
#include "tests/harness/test.h"
#include "tests/harness/vhost_user_rig.h"
#include "virtio/spec.h"

#define SECOND    UINT64_C(1000000000)
#define SHORT_MS  100u  /* a deadline that is missed; all others are met by far */
#define ENOUGH_MS 1000u /* one that is missed in the end, and must not be before */
#define HELD      8u    /* the sector that servers hold */

static void open_started(struct vu_rig *b, const struct rig_config *config)
{
    vu_prepare(b, config);
    vu_plug(b, 0);
    vu_start(b, VIRTIO_BIT(VIRTIO_F_EVENT_IDX));
}

static void expect_works(struct vu_rig *b, const char *when)
{
    struct blkreq req;
    b->server.disk[3 * 512] ^= 0x5a;
    cr_expect_eq(vu_do_read(b, &req, 3), VIRTIO_BLK_S_OK, "%s", when);
    cr_expect_eq(memcmp(blkreq_data(&b->rig, &req), b->server.disk + 3 * 512, 512), 0, "%s", when);
}

/* The server is gone, and the device knows. */
static void lose_server(struct vu_rig *b)
{
    vhost_server_kill(&b->server);
    VU_STEP_UNTIL(b, logged_lines > 0);
}

/* ---- a good server ---- */

OnEachVu(virtio_vhost_user, reads_and_writes_behind_every_transport_and_ring, open_started(b, on))
{
    const char *name = rig_config_name(&b->rig.cfg);
    struct blkreq w, r;
    for (unsigned i = 0; i < 100; i++) { /* more than the ring's size, twice */
        vu_send_write(b, &w, i, (uint8_t)(i + 1));
        cr_assert_eq(vu_finish(b, &w), VIRTIO_BLK_S_OK, "%s", name);
        cr_assert_eq(b->server.disk[i * 512 + 511], i + 1, "%s", name);
        cr_assert_eq(vu_do_read(b, &r, i), VIRTIO_BLK_S_OK, "%s", name);
        cr_assert_eq(*(uint8_t *)blkreq_data(&b->rig, &r), i + 1, "%s", name);
        if (i % 10 == 9) /* gives the driver's memory back */
            vu_start(b, VIRTIO_BIT(VIRTIO_F_EVENT_IDX));
    }
    cr_expect_eq(logged_lines, 0, "%s", name);
}

OnEachVu(virtio_vhost_user, interrupts_for_each_queue, open_started(b, on))
{
    for (unsigned queue = 0; queue < 2; queue++) {
        struct blkreq req = vu_request(VIRTIO_BLK_T_IN, 1, 1024);
        unsigned irqs = 0;
        req.queue = queue;
        cr_assert(blkreq_send(&b->rig, &req));
        VU_STEP_UNTIL(b, (irqs += rig_queue_irqs(&b->rig, queue)) > 0);
        cr_expect_eq(vu_finish(b, &req), VIRTIO_BLK_S_OK);
    }
}

OnVu(virtio_vhost_user, takes_indirect_chains, vu_prepare(b, &rig_variants[0]))
{
    vu_plug(b, 0);
    vu_start(b, VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC));
    struct blkreq req = vu_request(VIRTIO_BLK_T_IN, 0, 4096);
    req.indirect = true;
    req.cut = 512;
    memset(b->server.disk, 0x77, 4096);
    cr_assert(blkreq_send(&b->rig, &req));
    cr_expect_eq(vu_finish(b, &req), VIRTIO_BLK_S_OK);
    cr_expect_eq(memcmp(blkreq_data(&b->rig, &req), b->server.disk, 4096), 0);
}

OnVu(virtio_vhost_user, uses_memory_on_both_sides_of_the_hole, open_started(b, &rig_variants[0]))
{
    struct blkreq req = vu_request(VIRTIO_BLK_T_IN, 0, 512);
    req.data_gpa = RIG_HOLE_END_GPA + 0x1000;
    memset(b->server.disk, 0x42, 512);
    cr_assert(blkreq_send(&b->rig, &req));
    cr_expect_eq(vu_finish(b, &req), VIRTIO_BLK_S_OK);
    cr_expect_eq(*(uint8_t *)blkreq_data(&b->rig, &req), 0x42);
}

Test(virtio_vhost_user, serves_a_legacy_driver)
{
    for (unsigned v = 0; v < RIG_LEGACY_VARIANTS; v++) {
        struct vu_rig b;
        vu_prepare(&b, &rig_legacy_variants[v]);
        vu_plug(&b, 0);
        cr_assert(vdrv_start(&b.rig.drv, 0, 1, 256));
        expect_works(&b, rig_config_name(&rig_legacy_variants[v]));
        vu_end(&b);
    }
}

Test(virtio_vhost_user, offers_what_the_server_can_do)
{
    struct vu_rig b;
    const uint64_t bare = VIRTIO_BIT(VIRTIO_F_VERSION_1) | VIRTIO_BIT(VIRTIO_BLK_F_FLUSH);
    vu_prepare(&b, &rig_variants[1]); /* with packed rings, if it may */
    b.server.features = bare | VIRTIO_BIT(40) | VIRTIO_BIT(23) | VIRTIO_BIT(33);
    vu_plug(&b, 0);
    cr_expect_eq(logged_lines, 1, "packed rings were asked for");
    cr_expect_eq(vdrv_offered(&b.rig.drv), bare | VIRTIO_BIT(VIRTIO_F_RING_RESET));
    b.rig.drv.always = 0;
    vu_start(&b, VIRTIO_BIT(VIRTIO_F_RING_RESET) | VIRTIO_BIT(VIRTIO_BLK_F_FLUSH));
    rig_step(&b.rig);
    cr_expect_eq(atomic_load(&b.server.acked), bare | VIRTIO_BIT(VHOST_USER_F_PROTOCOL_FEATURES));
    expect_works(&b, "bare");
    vu_end(&b);
}

OnVu(virtio_vhost_user, shows_the_servers_configuration, vu_prepare(b, &rig_variants[0]))
{
    b->server.queues = VHOST_SERVER_RINGS; /* the driver gets two */
    vu_plug(b, 0);
    cr_expect_eq(vu_config_get(b, VIRTIO_BLK_CONFIG_capacity, 8), VHOST_SERVER_DISK_BYTES / 512);
    cr_expect_eq(vu_config_get(b, VIRTIO_BLK_CONFIG_seg_max, 4), 126);
    cr_expect_eq(vu_config_get(b, VIRTIO_BLK_CONFIG_num_queues, 2), 2);
}

OnVu(virtio_vhost_user, takes_fewer_queues_if_the_server_has_not_as_many,
     vu_prepare(b, &rig_variants[0]))
{
    b->server.queues = 1;
    vu_plug(b, 0);
    cr_expect_eq(logged_lines, 1);
    cr_expect_eq(vu_config_get(b, VIRTIO_BLK_CONFIG_num_queues, 2), 1);
    cr_expect_eq(vdrv_queue_size_max(&b->rig.drv, 1), 0);
}

OnVu(virtio_vhost_user, switches_the_servers_cache, vu_prepare(b, &rig_variants[0]))
{
    uint8_t on = 1, off = 0;
    vu_plug(b, 0);
    vu_start(b, 0); /* CONFIG_WCE is not negotiated: not a driver's to write */
    vdrv_config_write(&b->rig.drv, VIRTIO_BLK_CONFIG_writeback, &on, 1);
    cr_expect_eq(atomic_load(&b->server.writeback), 0);
    vu_start(b, VIRTIO_BIT(VIRTIO_BLK_F_CONFIG_WCE));
    vdrv_config_write(&b->rig.drv, VIRTIO_BLK_CONFIG_capacity, &on, 1);
    cr_expect_eq(atomic_load(&b->server.writeback), 0);
    vdrv_config_write(&b->rig.drv, VIRTIO_BLK_CONFIG_writeback, &on, 1);
    cr_expect_eq(atomic_load(&b->server.writeback), 1);
    vdrv_config_write(&b->rig.drv, VIRTIO_BLK_CONFIG_writeback, &off, 1);
    cr_expect_eq(atomic_load(&b->server.writeback), 0);
    atomic_store(&b->server.writeback, -1);
    lose_server(b);
    vu_retry(b);
    cr_expect_eq(atomic_load(&b->server.writeback), 0, "the next server is told");
}

/* A server's own word on its cache is not taken: see vu_prepare() in vhost_user_blk.c. */
OnVu(virtio_vhost_user, tells_the_server_whether_the_driver_flushes,
     vu_prepare(b, &rig_variants[0]))
{
    static const struct {
        uint64_t features;
        int writeback;
    } cases[] = {
        {VIRTIO_BIT(VIRTIO_BLK_F_FLUSH) | VIRTIO_BIT(VIRTIO_BLK_F_CONFIG_WCE), 1},
        {VIRTIO_BIT(VIRTIO_BLK_F_CONFIG_WCE), 0},
        {VIRTIO_BIT(VIRTIO_BLK_F_FLUSH), 1},
        {0, 0},
    };
    vu_plug(b, 0);
    cr_expect_eq(vu_config_get(b, VIRTIO_BLK_CONFIG_writeback, 1), 1);
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        vu_start(b, cases[i].features);
        cr_expect_eq(atomic_load(&b->server.writeback), cases[i].writeback, "case %u", i);
        cr_expect_eq(vu_config_get(b, VIRTIO_BLK_CONFIG_writeback, 1),
                     (unsigned)cases[i].writeback);
    }
}

OnVu(virtio_vhost_user, tells_the_driver_of_another_size, open_started(b, &rig_variants[0]))
{
    unsigned irqs = 0;
    uint32_t generation = vdrv_generation(&b->rig.drv);
    cr_assert_eq(vhost_server_resize(&b->server, 512 * 100), 0);
    VU_STEP_UNTIL(b, (irqs += rig_config_irqs(&b->rig)) > 0);
    cr_expect_eq(vu_config_get(b, VIRTIO_BLK_CONFIG_capacity, 8), 100);
    cr_expect_neq(vdrv_generation(&b->rig.drv), generation);
    uint8_t answer[sizeof(struct vhost_user_header) + 8];
    int fd = vhost_server_socket(&b->server, true);
    cr_assert_eq(recv(fd, answer, sizeof(answer), 0), (ssize_t)sizeof(answer));
    close(fd);
    cr_expect_eq(answer[sizeof(struct vhost_user_header)], 0, "it said that it understood");
}

OnVu(virtio_vhost_user, a_broken_ring_needs_a_reset, open_started(b, &rig_variants[0]))
{
    struct vdrv_buf wild = {.gpa = RIG_HOLE_GPA, .len = 16};
    vdrv_send(&b->rig.drv.q[0], &wild, 1);
    VU_STEP_UNTIL(b, rig_is_broken(&b->rig));
    vu_start(b, 0);
    expect_works(b, "after the reset");
}

/* ---- reset ---- */

/* ThreadSanitizer does not know that a message and its answer order what was before them. */
#if !defined(__SANITIZE_THREAD__)
Test(virtio_vhost_user, a_reset_waits_for_what_the_server_has_taken)
{
    for (unsigned v = 0; v < RIG_VARIANTS; v++) {
        for (unsigned early = 0; early < 2; early++) {
            struct vu_rig b;
            struct blkreq req;
            vu_prepare(&b, &rig_variants[v]);
            if (early != 0 && rig_variants[v].packed) {
                vu_end(&b); /* such a ring cannot tell */
                continue;
            }
            b.server.answers_early = early != 0;
            vu_plug(&b, 0);
            /* One queue: to stop a second one would wait for the first. */
            cr_assert(vdrv_start(&b.rig.drv, 0, 1, 16));
            atomic_store(&b.server.hold_sector, HELD);
            vu_send_write(&b, &req, HELD, 0x31);
            VU_STEP_UNTIL(&b, atomic_load(&b.server.taken) == 1);
            cr_assert_eq(atomic_load(&b.server.done), 0);
            vdrv_reset(&b.rig.drv);
            cr_expect_eq(atomic_load(&b.server.done), 1);
            cr_expect_eq(b.server.disk[HELD * 512], 0x31);
            vu_start(&b, 0);
            expect_works(&b, "after the reset");
            vu_end(&b);
        }
    }
}
#endif

OnEachVu(virtio_vhost_user, a_queue_alone_is_reset_and_comes_back, vu_prepare(b, on))
{
    struct blkreq req;
    vu_plug(b, 0);
    vu_start(b, VIRTIO_BIT(VIRTIO_F_RING_RESET));
    expect_works(b, "before");
    atomic_store(&b->server.hold_sector, HELD);
    vu_send_write(b, &req, HELD, 0x31);
    VU_STEP_UNTIL(b, atomic_load(&b->server.taken) == 2);
    if (!vdrv_queue_reset(&b->rig.drv, 0)) {
        return; /* a transport without it */
    }
    cr_expect_eq(atomic_load(&b->server.done), 2);
    vdrv_queue_set_up(&b->rig.drv, 0, 8);
    expect_works(b, "after");
}

/* ---- bad servers ---- */

static bool is_slow(enum vhost_server_fault fault)
{
    return fault == VHOST_SERVER_SILENT || fault == VHOST_SERVER_TRICKLES;
}

/* A file may come with one answer only, and where none does nothing is missed. */
static bool breaks(enum vhost_server_fault fault)
{
    return fault != VHOST_SERVER_GOOD && fault != VHOST_SERVER_NO_FD;
}

Test(virtio_vhost_user, no_device_of_a_server_that_misbehaves, .timeout = 60)
{
    static const uint32_t at[] = {
        VHOST_USER_GET_FEATURES, VHOST_USER_GET_PROTOCOL_FEATURES, VHOST_USER_GET_QUEUE_NUM,
        VHOST_USER_GET_CONFIG,   VHOST_USER_SET_BACKEND_REQ_FD,
    };
    for (unsigned i = 0; i < ARRAY_SIZE(at); i++) {
        for (unsigned fault = 0; fault < VHOST_SERVER_FAULTS; fault++) {
            struct vu_rig b;
            vu_prepare(&b, &rig_variants[0]);
            vu_misbehave(&b, fault, at[i]);
            int err = vu_create(&b, is_slow(fault) ? SHORT_MS : 0);
            cr_expect_eq(err != 0, breaks(fault), "fault %u at %u: %d", fault, at[i], err);
            cr_expect_eq(logged_lines, err != 0 ? 1 : 0, "fault %u at %u", fault, at[i]);
            vu_end(&b);
        }
    }
}

Test(virtio_vhost_user, a_server_that_misbehaves_later_is_lost_and_found, .timeout = 60)
{
    static const uint32_t at[] = {
        VHOST_USER_SET_FEATURES,     VHOST_USER_SET_MEM_TABLE,  VHOST_USER_GET_INFLIGHT_FD,
        VHOST_USER_SET_INFLIGHT_FD,  VHOST_USER_SET_VRING_ADDR, VHOST_USER_SET_VRING_KICK,
        VHOST_USER_SET_VRING_ENABLE,
    };
    for (unsigned i = 0; i < ARRAY_SIZE(at); i++) {
        for (unsigned fault = 0; fault < VHOST_SERVER_FAULTS; fault++) {
            struct vu_rig b;
            bool inflight = at[i] == VHOST_USER_GET_INFLIGHT_FD;
            if (is_slow(fault) && !inflight && at[i] != VHOST_USER_SET_FEATURES)
                continue; /* twice is enough: it takes time */
            vu_prepare(&b, &rig_variants[0]);
            vu_misbehave(&b, fault, at[i]);
            vu_plug(&b, is_slow(fault) ? ENOUGH_MS : 0);
            bool ring = at[i] >= VHOST_USER_SET_VRING_NUM && at[i] <= VHOST_USER_SET_VRING_ENABLE &&
                        at[i] != VHOST_USER_GET_PROTOCOL_FEATURES;
            bool runs = vdrv_start(&b.rig.drv, 0, 2, 16);
            rig_step(&b.rig);
            runs = runs && !rig_is_broken(&b.rig);
            if (fault == VHOST_SERVER_REFUSES && ring) {
                cr_expect_not(runs, "a ring that is refused at %u", at[i]);
                vu_end(&b);
                continue;
            }
            bool lost = breaks(fault) || (inflight && fault == VHOST_SERVER_NO_FD);
            cr_expect_eq(logged_lines, lost ? 1 : 0, "fault %u at %u", fault, at[i]);
            if (lost) {
                vhost_server_kill(&b.server);
                b.server.fault = VHOST_SERVER_GOOD;
                vu_retry(&b);
                cr_expect_eq(logged_lines, 2, "fault %u at %u", fault, at[i]);
            }
            expect_works(&b, "with a good server");
            vu_end(&b);
        }
    }
}

OnVu(virtio_vhost_user, a_server_that_never_stops_a_ring_does_not_stop_a_reset,
     vu_prepare(b, &rig_variants[0]))
{
    vu_misbehave(b, VHOST_SERVER_SILENT, VHOST_USER_GET_VRING_BASE);
    vu_plug(b, ENOUGH_MS);
    vu_start(b, 0);
    vdrv_reset(&b->rig.drv);
    cr_expect_eq(vdrv_status(&b->rig.drv), 0);
    cr_expect_eq(logged_lines, 1);
    vhost_server_kill(&b->server);
    b->server.fault = VHOST_SERVER_GOOD;
    vu_retry(b);
    vu_start(b, 0);
    expect_works(b, "with the next one");
}

OnVu(virtio_vhost_user, needs_virtio_1_and_a_configuration, vu_prepare(b, &rig_variants[0]))
{
    b->server.features &= ~VIRTIO_BIT(VIRTIO_F_VERSION_1);
    cr_expect_neq(vu_create(b, 0), 0);
    b->server.features |= VIRTIO_BIT(VIRTIO_F_VERSION_1);
    b->server.protocol &= ~VIRTIO_BIT(VHOST_USER_PROTOCOL_F_CONFIG);
    cr_expect_neq(vu_create(b, 0), 0);
    b->server.down = true;
    cr_expect_neq(vu_create(b, 0), 0);
    cr_expect_eq(logged_lines, 3);
}

OnVu(virtio_vhost_user, runs_with_the_fewest_protocol_features, vu_prepare(b, &rig_variants[0]))
{
    b->server.protocol = VIRTIO_BIT(VHOST_USER_PROTOCOL_F_CONFIG);
    vu_plug(b, 0);
    vu_start(b, 0);
    expect_works(b, "with CONFIG alone");
}

/* ---- servers that come back ---- */

OnEachVu(virtio_vhost_user, requests_wait_for_a_server_that_is_gone, open_started(b, on))
{
    struct blkreq w;
    expect_works(b, "before");
    lose_server(b);
    b->server.down = true;
    vu_send_write(b, &w, 5, 0x99);
    for (unsigned i = 0; i < 100; i++)
        vu_retry(b);
    cr_expect_eq(logged_lines, 1, "tries are silent");
    cr_expect_not(vdrv_has_used(&b->rig.drv.q[0]));
    b->server.down = false;
    vu_retry(b);
    cr_expect_eq(vu_finish(b, &w), VIRTIO_BLK_S_OK);
    cr_expect_eq(b->server.disk[5 * 512], 0x99);
    cr_expect_eq(logged_lines, 2);
    expect_works(b, "after");
}

OnEachVu(virtio_vhost_user, an_interrupt_that_was_lost_with_the_server_comes_later,
         open_started(b, on))
{
    struct blkreq req = vu_request(VIRTIO_BLK_T_IN, 1, 512);
    atomic_store(&b->server.mute, true);
    cr_assert(blkreq_send(&b->rig, &req));
    VU_STEP_UNTIL(b, vdrv_has_used(&b->rig.drv.q[0]));
    lose_server(b);
    cr_assert_eq(rig_queue_irqs(&b->rig, 0), 0);
    vu_retry(b);
    cr_expect_gt(rig_queue_irqs(&b->rig, 0), 0);
}

OnVu(virtio_vhost_user, tries_every_second, open_started(b, &rig_variants[0]))
{
    b->rig.time.now_ns += 20 * SECOND; /* it was a good connection */
    lose_server(b);
    unsigned before = atomic_load(&b->server.connections);
    b->rig.time.now_ns += SECOND - 1;
    rig_step(&b->rig);
    cr_expect_eq(atomic_load(&b->server.connections), before);
    b->rig.time.now_ns += 1;
    rig_step(&b->rig);
    cr_expect_eq(atomic_load(&b->server.connections), before + 1);
    expect_works(b, "after");
}

/* A and C are held, B is done: only the memory of requests in flight knows which. */
OnVu(virtio_vhost_user, repeats_what_was_in_flight_once_each, open_started(b, &rig_variants[0]))
{
    struct blkreq x[3];
    expect_works(b, "before");
    unsigned taken = atomic_load(&b->server.taken);
    atomic_store(&b->server.hold_sector, HELD);
    vu_send_write(b, &x[0], HELD, 0x11);
    vu_send_write(b, &x[1], HELD + 1, 0x22);
    vu_send_write(b, &x[2], HELD, 0x33);
    VU_STEP_UNTIL(b, atomic_load(&b->server.taken) == taken + 3);
    cr_expect_eq(vu_finish(b, &x[1]), VIRTIO_BLK_S_OK);
    lose_server(b);
    b->server.disk[(HELD + 1) * 512] = 0xee; /* shows if B is done again */
    atomic_store(&b->server.hold_sector, VHOST_SERVER_NO_SECTOR);
    vu_retry(b);
    cr_expect_eq(vu_finish(b, &x[0]), VIRTIO_BLK_S_OK);
    cr_expect_eq(vu_finish(b, &x[2]), VIRTIO_BLK_S_OK);
    cr_expect_eq(atomic_load(&b->server.repeated), 2);
    cr_expect_eq(atomic_load(&b->server.taken), taken + 5);
    cr_expect_eq(b->server.disk[HELD * 512], 0x33);
    cr_expect_eq(b->server.disk[(HELD + 1) * 512], 0xee);
    expect_works(b, "after");
}

OnVu(virtio_vhost_user, finds_the_place_in_a_packed_ring, open_started(b, &rig_variants[1]))
{
    struct blkreq x[2];
    for (unsigned i = 0; i < 7; i++) /* into the second lap */
        expect_works(b, "before");
    atomic_store(&b->server.hold_sector, HELD);
    vu_send_write(b, &x[0], HELD, 0x11);
    vu_send_write(b, &x[1], HELD, 0x22);
    VU_STEP_UNTIL(b, atomic_load(&b->server.taken) == 9);
    lose_server(b);
    atomic_store(&b->server.hold_sector, VHOST_SERVER_NO_SECTOR);
    vu_retry(b);
    cr_expect_eq(vu_finish(b, &x[0]), VIRTIO_BLK_S_OK);
    cr_expect_eq(vu_finish(b, &x[1]), VIRTIO_BLK_S_OK);
    cr_expect_eq(b->server.disk[HELD * 512], 0x22);
    expect_works(b, "after");
}

/* The server chose the file, and its size, and may have anything in it. */
Test(virtio_vhost_user, believes_no_record_that_cannot_be)
{
    enum { RINGS = 2, RING_BYTES = 64, SIZE = 8, PLACE = 18, WRAP = 21 };
    struct vhost_user_inflight record = {.bytes = RINGS * RING_BYTES, .queues = RINGS};
    uint8_t bytes[RINGS * RING_BYTES] = {[RING_BYTES + PLACE] = SIZE - 1, [RING_BYTES + WRAP] = 1};
    uint32_t base = 0;
    record.fd = memfd_create("record", MFD_CLOEXEC);
    cr_assert_geq(record.fd, 0);
    cr_assert_eq(write(record.fd, bytes, sizeof(bytes)), sizeof(bytes));
    cr_assert_eq(vhost_user_inflight_packed_base(&record, 1, SIZE, &base), 0);
    cr_expect_eq(base, 0x80078007);
    cr_expect_eq(vhost_user_inflight_packed_base(&record, 1, SIZE - 1, &base), -EPROTO);
    record.offset = UINT64_MAX - RING_BYTES + 1; /* and RING_BYTES more is 0 again */
    cr_expect_eq(vhost_user_inflight_packed_base(&record, 1, SIZE, &base), -EPROTO);
    record.offset = 0;
    record.bytes = RINGS * WRAP; /* too little for what is read of a ring */
    cr_expect_eq(vhost_user_inflight_packed_base(&record, 0, SIZE, &base), -EPROTO);
    record.bytes = RINGS * RING_BYTES;
    cr_assert_eq(ftruncate(record.fd, RING_BYTES + WRAP), 0);
    cr_expect_eq(vhost_user_inflight_packed_base(&record, 1, SIZE, &base), -EPROTO);
    close(record.fd);
    record.fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC); /* enough bytes, but no memory */
    cr_expect_eq(vhost_user_inflight_packed_base(&record, 0, 65535, &base), -EPROTO);
    close(record.fd);
}

OnVu(virtio_vhost_user, without_a_record_only_an_idle_ring_goes_on, vu_prepare(b, &rig_variants[0]))
{
    struct blkreq req;
    b->server.protocol &= ~VIRTIO_BIT(VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD);
    vu_plug(b, 0);
    vu_start(b, 0);
    expect_works(b, "before");
    lose_server(b);
    vu_retry(b);
    expect_works(b, "nothing was in flight");

    unsigned taken = atomic_load(&b->server.taken);
    logged_lines = 0;
    atomic_store(&b->server.hold_sector, HELD);
    vu_send_write(b, &req, HELD, 0x11);
    VU_STEP_UNTIL(b, atomic_load(&b->server.taken) == taken + 1);
    lose_server(b);
    atomic_store(&b->server.hold_sector, VHOST_SERVER_NO_SECTOR);
    cr_expect_not(rig_is_broken(&b->rig));
    vu_retry(b);
    cr_expect(rig_is_broken(&b->rig), "a request might be done twice");
    vu_start(b, 0);
    expect_works(b, "after a reset");
}

/* One that comes first or last without a record, between servers that have one. */
Test(virtio_vhost_user, a_record_counts_from_one_server_to_the_next_only)
{
    const uint64_t bit = VIRTIO_BIT(VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD);
    for (unsigned gains = 0; gains < 2; gains++) {
        struct vu_rig b;
        struct blkreq req;
        vu_prepare(&b, &rig_variants[0]);
        if (gains)
            b.server.protocol &= ~bit;
        vu_plug(&b, 0);
        vu_start(&b, 0);
        atomic_store(&b.server.hold_sector, HELD);
        vu_send_write(&b, &req, HELD, 0x11);
        VU_STEP_UNTIL(&b, atomic_load(&b.server.taken) == 1);
        lose_server(&b);
        b.server.protocol ^= bit;
        vu_retry(&b);
        cr_expect(rig_is_broken(&b.rig), "what was in flight is not known, %u", gains);
        vu_end(&b);
    }
}

OnVu(virtio_vhost_user, a_reset_needs_no_server, open_started(b, &rig_variants[2]))
{
    lose_server(b);
    b->server.down = true;
    vu_start(b, 0);
    struct blkreq req = vu_request(VIRTIO_BLK_T_IN, 3, 512);
    cr_assert(blkreq_send(&b->rig, &req));
    b->server.down = false;
    vu_retry(b);
    cr_expect_eq(vu_finish(b, &req), VIRTIO_BLK_S_OK);
}

OnVu(virtio_vhost_user, a_server_that_offers_less_is_not_taken, open_started(b, &rig_variants[0]))
{
    lose_server(b);
    uint64_t features = b->server.features;
    b->server.features &= ~VIRTIO_BIT(VIRTIO_BLK_F_FLUSH);
    vu_retry(b);
    cr_expect_eq(logged_lines, 1);
    b->server.features = features;
    b->server.queues = 1;
    vu_retry(b);
    cr_expect_eq(logged_lines, 1);
    b->server.queues = 2;
    vu_retry(b);
    cr_expect_eq(logged_lines, 2);
    expect_works(b, "after");
}

OnVu(virtio_vhost_user, a_disk_that_grew_meanwhile_is_told, open_started(b, &rig_variants[0]))
{
    lose_server(b);
    atomic_store(&b->server.capacity_bytes, 512 * 7);
    rig_config_irqs(&b->rig);
    vu_retry(b);
    cr_expect_gt(rig_config_irqs(&b->rig), 0);
    cr_expect_eq(vu_config_get(b, VIRTIO_BLK_CONFIG_capacity, 8), 7);
}

OnVu(virtio_vhost_user, is_not_saved, open_started(b, &rig_variants[0]))
{
    struct state s;
    state_save(&s);
    rig_state(&b->rig, &s);
    cr_expect_eq(state_error(&s), -EINVAL);
    cr_expect(strstr(logged_line, "the kernel or another process serves its queues"), "%s",
              logged_line);
    state_fini(&s);
}
