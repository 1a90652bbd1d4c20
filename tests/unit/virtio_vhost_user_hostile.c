// SPDX-License-Identifier: BSD-2-Clause
/*
 * vhost-user servers that want Minivet to wait for them, or go when it hurts. Where a test has a
 * deadline it is of ten minutes: a wait for the server is a test that hangs. docs/hostile.md has
 * the cases by number.
 */
#include <sched.h>
#include <sys/epoll.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "core/peers/foreign_connect.h"
#include "core/peers/foreign_fd.h"
#include "tests/harness/lingering.h"
#include "tests/harness/silent.h"
#include "tests/harness/test.h"
#include "tests/harness/vhost_user_rig.h"
#include "virtio/spec.h"
#include "virtio/vhost/vhost_user_job.h"
#include "virtio/vhost/vhost_user_wire.h"

#define FOREVER_MS 600000u
#define LINGER_S   20
#define ROUNDS     100u
#define OFTEN      100u /* that a server may speak first in a minute */

static void start(struct vu_rig *b)
{
    vu_start(b, VIRTIO_BIT(VIRTIO_BLK_F_CONFIG_WCE));
}

static void plug(struct vu_rig *b)
{
    vu_plug(b, FOREVER_MS);
}

static void open_started(struct vu_rig *b, const struct rig_config *config)
{
    vu_prepare(b, config);
    plug(b);
    start(b);
}

static void nap(void *ctx)
{
    (void)ctx;
    nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
}

/* From here on the loop has a thread of its own, as in a machine. */
static void start_loop(struct vu_rig *b)
{
    cr_assert_eq(evloop_start_thread(b->rig.loop), 0);
    b->rig.drv.wait = nap;
    b->threaded = true;
}

#define WAIT_UNTIL(expression) \
    while (!(expression))      \
    nap(NULL)

static void send_read(struct vu_rig *b, struct blkreq *req)
{
    *req = (struct blkreq){.type = VIRTIO_BLK_T_IN, .bytes = 512, .data_write = true};
    cr_assert(blkreq_send(&b->rig, req));
}

static void expect_works(struct vu_rig *b)
{
    struct blkreq req;
    uint32_t head, len;
    send_read(b, &req);
    vu_wait_used(b, &b->rig.drv.q[0]);
    cr_assert(vdrv_used(&b->rig.drv.q[0], &head, &len));
    cr_expect_eq(blkreq_status(&b->rig, &req), VIRTIO_BLK_S_OK);
}

/* All that a vCPU can do with a device but to reset it. */
static void touch(struct vu_rig *b)
{
    uint8_t bytes[8];
    for (unsigned i = 0; i < ROUNDS; i++) {
        vdrv_config_read(&b->rig.drv, VIRTIO_BLK_CONFIG_capacity, bytes, sizeof(bytes));
        (void)vdrv_status(&b->rig.drv);
        (void)vdrv_generation(&b->rig.drv);
        virtio_device_kick(&b->dev->dev, i % 2);
    }
}

/* The counter is full, and who writes to it waits. */
static void fill(int fd)
{
    cr_assert_eq(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    (void)eventfd_write(fd, UINT64_MAX - 1);
    cr_assert_eq(fcntl(fd, F_SETFL, 0), 0);
}

/* ---- eventfds ---- */

OnEachVu(vhost_user_hostile, full_eventfds_stop_nobody, open_started(b, on))
{
    struct blkreq req;
    expect_works(b);
    vhost_server_deafen(&b->server, b->dev->dev.queues[0].kick_fd);
    for (unsigned i = 0; i < 2; i++) {
        fill(b->dev->dev.queues[i].kick_fd);
        fill(b->dev->queues[i].call_fd);
    }
    touch(b);
    send_read(b, &req);
    /* The ring goes to the next server, which finds the same eventfds. */
    vhost_server_kill(&b->server);
    rig_step(&b->rig);
    vu_retry(b);
    cr_expect(b->dev->connected);
    touch(b);
    fill(b->dev->broken_fd);
    rig_step(&b->rig);
    cr_expect(rig_is_broken(&b->rig));
    vdrv_reset(&b->rig.drv);
    cr_expect_eq(vdrv_status(&b->rig.drv), 0);
}

/* The server takes back what it wrote, before it is looked at. */
OnVu(vhost_user_hostile, empty_eventfds_stop_nobody, vu_prepare(b, &rig_variants[2]))
{
    plug(b);
    b->rig.msi.refuse_routes = -ENOSPC; /* each interrupt comes by this process */
    start(b);
    for (unsigned i = 0; i < 2; i++) {
        cr_assert_eq(fcntl(b->dev->queues[i].call_fd, F_SETFL, 0), 0);
        virtio_queue_notify(&b->dev->dev, i);
    }
    (void)rig_queue_irqs(&b->rig, 0);
    expect_works(b);
    rig_step(&b->rig);
    cr_expect_gt(rig_queue_irqs(&b->rig, 0), 0, "what was written is an interrupt still");
}

struct storm {
    pthread_t thread;
    int fd;
    _Atomic bool stop;
};

static void *storm_main(void *arg)
{
    struct storm *s = arg;
    while (!atomic_load(&s->stop))
        (void)eventfd_write(s->fd, 1);
    return NULL;
}

OnVu(vhost_user_hostile, a_storm_of_interrupts_leaves_room_for_others,
     open_started(b, &rig_variants[0]))
{
    struct storm s = {.fd = b->dev->queues[1].call_fd};
    start_loop(b);
    cr_assert_eq(pthread_create(&s.thread, NULL, storm_main, &s), 0);
    touch(b);
    expect_works(b);
    atomic_store(&s.stop, true);
    pthread_join(s.thread, NULL);
}

/* ---- answers that do not come ---- */

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

/* The request comes while a driver uses the device, and is never answered, or a byte at a time. */
static void ask_in_vain(enum vhost_server_fault fault)
{
    struct vu_rig b;
    open_started(&b, &rig_variants[0]);
    vu_misbehave(&b, fault, VHOST_USER_GET_CONFIG);
    start_loop(&b);
    cr_assert_eq(vhost_server_resize(&b.server, 512), 0);
    WAIT_UNTIL(atomic_load(&b.server.faults) == 1);
    touch(&b);
    if (fault == VHOST_SERVER_SILENT) /* the other never looks at its rings */
        expect_works(&b);
    vdrv_reset(&b.rig.drv); /* the driver of virtio-mmio waits, and the server is cut off */
    cr_expect_eq(vdrv_status(&b.rig.drv), 0);
    cr_expect_eq(atomic_load(&logged_lines), 1);
    vu_end(&b);
}

Test(vhost_user_hostile, a_server_that_never_answers_stops_nobody)
{
    ask_in_vain(VHOST_SERVER_SILENT);
}

Test(vhost_user_hostile, a_server_that_answers_a_byte_at_a_time_stops_nobody)
{
    ask_in_vain(VHOST_SERVER_TRICKLES);
}

OnVu(vhost_user_hostile, a_reset_is_not_complete_before_the_server_has_stopped,
     open_started(b, &rig_variants[2]))
{
    vu_misbehave(b, VHOST_SERVER_SILENT, VHOST_USER_GET_VRING_BASE);
    start_loop(b);
    vdrv_write_status(&b->rig.drv, 1); /* so that the next write is another */
    struct virtio_device *dev = &b->dev->dev;
    virtio_device_set_status(dev, 0);
    WAIT_UNTIL(atomic_load(&b->server.faults) == 1);
    cr_expect_neq(vdrv_status(&b->rig.drv), 0);
    touch(b);
    virtio_device_set_status(dev, VIRTIO_STATUS_ACKNOWLEDGE);
    virtio_device_set_status(dev, 0);
    virtio_device_legacy_kick(dev, 0);
    cr_expect_not(dev->active);
    virtio_device_accept(dev, 0, 1);
    cr_expect_eq(virtio_device_accepted(dev, 0), 0);
    cr_expect_null(virtio_device_queue_writable(dev, 0));
    cr_expect_neq(vdrv_status(&b->rig.drv), 0, "nothing that is written meanwhile counts");
    vhost_server_kill(&b->server);
    WAIT_UNTIL(vdrv_status(&b->rig.drv) == 0);
}

Test(vhost_user_hostile, a_queue_reset_is_not_complete_before_the_server_has_stopped)
{
    for (unsigned v = 0; v <= 2; v += 2) {
        struct vu_rig b;
        vu_prepare(&b, &rig_variants[v]);
        plug(&b);
        cr_assert(vdrv_start(&b.rig.drv, VIRTIO_BIT(VIRTIO_F_RING_RESET), 2, 16));
        rig_step(&b.rig);
        vu_misbehave(&b, VHOST_SERVER_SILENT, VHOST_USER_GET_VRING_BASE);
        start_loop(&b);
        struct virtio_device *dev = &b.dev->dev;
        virtio_device_queue_reset(dev, 0);
        WAIT_UNTIL(atomic_load(&b.server.faults) == 1);
        cr_expect(virtio_device_queue_resetting(dev, 0));
        cr_expect_null(virtio_device_queue_writable(dev, 0));
        vhost_server_kill(&b.server);
        WAIT_UNTIL(!virtio_device_queue_resetting(dev, 0));
        cr_expect_not_null(virtio_device_queue_writable(dev, 0));
        vu_end(&b);
    }
}

Test(vhost_user_hostile, a_device_ends_while_its_server_keeps_it_waiting)
{
    static const uint32_t at[] = {VHOST_USER_GET_FEATURES, VHOST_USER_SET_MEM_TABLE,
                                  VHOST_USER_SET_VRING_ENABLE};
    for (unsigned i = 0; i < ARRAY_SIZE(at); i++) {
        struct vu_rig b;
        open_started(&b, &rig_variants[0]);
        vhost_server_kill(&b.server);
        rig_step(&b.rig);
        vu_misbehave(&b, VHOST_SERVER_SILENT, at[i]);
        b.rig.time.now_ns += VU_LONG_RETRY;
        start_loop(&b);
        evloop_call(b.rig.loop, nothing, NULL);
        WAIT_UNTIL(atomic_load(&b.server.faults) == 1);
        touch(&b);
        vu_end(&b);
    }
}

OnVu(vhost_user_hostile, set_up_ends_when_it_is_told_to, vu_prepare(b, &rig_variants[0]))
{
    int cancel_fd = eventfd(1, EFD_CLOEXEC);
    cr_assert_geq(cancel_fd, 0);
    vu_misbehave(b, VHOST_SERVER_SILENT, VHOST_USER_GET_FEATURES);
    struct vhost_user_setup setup = vu_setup(b, "disk");
    setup.cancel_fd = cancel_fd;
    setup.reply_ms = FOREVER_MS;
    cr_expect_eq(vhost_user_blk_create(&b->dev, &setup), -ECANCELED);
    close(cancel_fd);
}

Test(vhost_user_hostile, a_socket_whose_backlog_is_full_is_not_waited_for)
{
    char dir[] = "/tmp/minivet-test-XXXXXX";
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int fds[8], count = 0;
    cr_assert_not_null(mkdtemp(dir));
    snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/socket", dir);
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(bind(listener, (struct sockaddr *)&addr, sizeof(addr)), 0);
    cr_assert_eq(listen(listener, 1), 0);
    while (count < 8 && (fds[count] = foreign_connect(addr.sun_path, -1)) >= 0)
        count++;
    cr_expect_lt(count, 8);
    cr_expect_eq(fds[count], -EAGAIN);
    while (count > 0)
        close(fds[--count]);
    close(listener);
    unlink(addr.sun_path);
    rmdir(dir);
}

Test(vhost_user_hostile, a_path_into_a_file_system_that_is_silent_is_not_waited_for)
{
    char dir[] = "/tmp/minivet-test-XXXXXX", path[64];
    int fd, cancel_fd = eventfd(1, EFD_CLOEXEC);
    cr_assert_not_null(mkdtemp(dir));
    if (!silent_mount(dir, &fd)) {
        rmdir(dir);
        cr_skip_test("no FUSE file system can be mounted");
    }
    snprintf(path, sizeof(path), "%s/socket", dir);
    cr_expect_eq(foreign_connect(path, cancel_fd), -ECANCELED);
    close(fd); /* with it the file system ends */
    umount2(dir, MNT_DETACH);
    rmdir(dir);
    close(cancel_fd);
}

/* ---- too much of it ---- */

/* False: the kernel did not let it in. */
static bool send_fd(int to, const void *data, size_t bytes, int fd, int flags)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } space = {0};
    struct iovec iov = {.iov_base = (void *)(uintptr_t)data, .iov_len = bytes};
    struct msghdr msg = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &space, .msg_controllen = sizeof(space)};
    space.header = (struct cmsghdr){
        .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int))};
    memcpy(CMSG_DATA(&space.header), &fd, sizeof(fd));
    return sendmsg(to, &msg, MSG_NOSIGNAL | flags) >= 0;
}

/* It sends the last reference to a file, and the one who drops that waits. */
static void send_lingering(bool on_backend, bool out_of_band)
{
    struct vhost_user_header out = {
        .request = VHOST_USER_BACKEND_CONFIG_CHANGE_MSG,
        .flags = VHOST_USER_VERSION,
    };
    struct vu_rig b;
    int peer;
    open_started(&b, &rig_variants[0]);
    int fd = lingering(&peer, LINGER_S), to = vhost_server_socket(&b.server, on_backend);
    bool sent = send_fd(to, &out, out_of_band ? 1 : sizeof(out), fd, out_of_band ? MSG_OOB : 0);
    if (sent)
        close(fd);
    if (out_of_band)
        (void)!send(to, &out, sizeof(out), MSG_NOSIGNAL);
    close(to);
    time_t before = time(NULL);
    rig_step(&b.rig);
    rig_step(&b.rig);
    cr_expect_lt(time(NULL) - before, LINGER_S / 2, "the loop waited for the server");
    if (!sent) {
        shutdown(peer, SHUT_RDWR);
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){0}, sizeof(struct linger));
        close(fd);
    }
    close(peer);
    vu_end(&b);
}

static void give_lingering_record(void)
{
    struct vu_rig b;
    int peer;
    time_t before = time(NULL);
    vu_prepare(&b, &rig_variants[1]);
    atomic_store(&b.server.record_fd, lingering(&peer, LINGER_S));
    plug(&b);
    start_loop(&b);
    start(&b);
    WAIT_UNTIL(atomic_load(&b.server.record_fd) < 0);
    vdrv_reset(&b.rig.drv);
    cr_expect_lt(time(NULL) - before, LINGER_S / 2, "the reset waited for the server");
    close(peer); /* the last close may be the server's own: it shall not wait either */
    vu_end(&b);
}

Test(vhost_user_hostile, a_descriptor_whose_close_waits_stops_nobody)
{
    for (unsigned i = 0; i < 4; i++)
        send_lingering(i % 2 == 0, i >= 2);
    give_lingering_record();
}

/* It is readable, and a look finds nothing. */
Test(vhost_user_hostile, an_out_of_band_byte_does_not_keep_the_loop_busy)
{
    for (unsigned on_backend = 0; on_backend < 2; on_backend++) {
        struct vu_rig b;
        open_started(&b, &rig_variants[0]);
        int to = vhost_server_socket(&b.server, on_backend);
        (void)!send(to, "x", 1, MSG_OOB);
        close(to);
        rig_step(&b.rig);
        cr_expect_eq(b.dev->connected, on_backend);
        vu_end(&b);
    }
}

OnVu(vhost_user_hostile, files_are_not_taken_while_others_cannot_be_closed,
     vu_prepare(b, &rig_variants[1]))
{
    int peers[FOREIGN_FDS_MAX];
    plug(b);
    for (unsigned i = 0; i < FOREIGN_FDS_MAX; i++)
        foreign_fd_close(lingering(&peers[i], LINGER_S));
    start(b);
    cr_expect_eq(atomic_load(&logged_lines), 1);
    vu_retry(b);
    cr_expect_eq(atomic_load(&b->server.connections), 1);
    for (unsigned i = 0; i < FOREIGN_FDS_MAX; i++)
        close(peers[i]);
    while (foreign_fds_left() > 0)
        nap(NULL);
    vu_retry(b);
    expect_works(b);
}

OnVu(vhost_user_hostile, a_server_that_changes_its_configuration_all_the_time_is_lost,
     open_started(b, &rig_variants[0]))
{
    unsigned sent = 0;
    while (atomic_load(&logged_lines) == 0 && sent <= OFTEN) {
        b->rig.time.now_ns += 1000000;
        cr_assert_eq(vhost_server_resize(&b->server, 512 * (uint64_t)(sent++ + 1)), 0);
        rig_step(&b->rig);
    }
    cr_expect_eq(sent, OFTEN + 1);
    cr_expect_eq(atomic_load(&logged_lines), 1);
    cr_expect_not(b->dev->connected);
    b->rig.time.now_ns += 2 * VU_LONG_RETRY;
    rig_step(&b->rig);
    for (sent = 0; sent < OFTEN; sent++) { /* in another minute */
        cr_assert_eq(vhost_server_resize(&b->server, 512 * (uint64_t)(sent + 1)), 0);
        rig_step(&b->rig);
    }
    cr_expect(b->dev->connected);
    expect_works(b);
}

/* Each close has a thread: with all of them busy no server is called that could send more. */
OnVu(vhost_user_hostile, no_connection_begins_while_all_closes_wait,
     vu_prepare(b, &rig_variants[0]))
{
    int peers[FOREIGN_FDS_MAX];
    for (unsigned i = 0; i < FOREIGN_FDS_MAX; i++)
        foreign_fd_close(lingering(&peers[i], LINGER_S));
    cr_assert_eq(foreign_fds_left(), FOREIGN_FDS_MAX);
    cr_expect_eq(vu_create(b, FOREVER_MS), -EAGAIN);
    cr_expect_eq(atomic_load(&logged_lines), 1);
    for (unsigned i = 0; i < FOREIGN_FDS_MAX; i++)
        close(peers[i]);
    WAIT_UNTIL(foreign_fds_left() == 0);
    cr_expect_eq(vu_create(b, FOREVER_MS), 0);
}

OnVu(vhost_user_hostile, a_socket_that_is_not_there_is_named, vu_prepare(b, &rig_variants[0]))
{
    int err = vhost_user_blk_create(&b->dev, &(struct vhost_user_setup){
                                                 .setup = rig_setup(&b->rig, "disk"),
                                                 .socket_path = "/nonexistent/socket",
                                             });
    cr_expect_eq(err, -ENOENT);
    cr_expect_eq(atomic_load(&logged_lines), 1);
}

/* ---- servers that go at a bad moment ---- */

static void lose_and_find(struct vu_rig *b)
{
    vhost_server_kill(&b->server);
    rig_step(&b->rig);
    cr_assert_not(b->dev->connected);
    vu_retry(b);
}

/* The kernel says then that the connection was reset. */
OnVu(vhost_user_hostile, a_server_that_goes_with_unread_bytes_is_lost,
     open_started(b, &rig_variants[0]))
{
    b->dev->socket.cb(b->dev->socket.ctx, EPOLLIN); /* for nothing */
    b->dev->backend.cb(b->dev->backend.ctx, EPOLLIN);
    rig_step(&b->rig);
    cr_expect(b->dev->connected);
    int fd = vhost_server_socket(&b->server, false);
    vhost_server_kill(&b->server);
    cr_assert_eq(send(b->dev->vu.fd, "x", 1, 0), 1);
    close(fd);
    rig_step(&b->rig);
    cr_expect_not(b->dev->connected);
    cr_expect_eq(atomic_load(&logged_lines), 1);
}

OnVu(vhost_user_hostile, a_ring_that_breaks_after_a_reset_breaks_nothing,
     open_started(b, &rig_variants[0]))
{
    vdrv_reset(&b->rig.drv);
    cr_assert_eq(eventfd_write(b->dev->broken_fd, 1), 0);
    rig_step(&b->rig);
    cr_expect_eq(vdrv_status(&b->rig.drv), 0);
    start(b);
    expect_works(b);
}

/* The driver is another one when the server has what it was to have. */
OnVu(vhost_user_hostile, what_was_handed_over_for_the_driver_before_does_not_count,
     vu_prepare(b, &rig_variants[0]))
{
    plug(b);
    cr_assert(vdrv_start(&b->rig.drv, 0, 2, 16));
    vhost_user_pursue(b->dev);
    cr_assert(b->dev->busy);
    vdrv_reset(&b->rig.drv);
    cr_expect_not(b->dev->handed_over);
    cr_expect_eq(atomic_load(&logged_lines), 0);
    start(b);
    expect_works(b);
}

/* It says how much it has taken, and is still at it when the driver has waited long enough. */
OnVu(vhost_user_hostile, a_drain_ends_when_nothing_waits_for_it, vu_prepare(b, &rig_variants[2]))
{
    struct blkreq req;
    b->server.answers_early = true;
    b->server.fault_at = VHOST_USER_GET_VRING_BASE; /* counted, and no fault */
    plug(b);
    start(b);
    atomic_store(&b->server.hold_sector, 0);
    send_read(b, &req);
    while (atomic_load(&b->server.taken) == 0)
        rig_step(&b->rig);
    start_loop(b);
    virtio_device_set_status(&b->dev->dev, 0);
    WAIT_UNTIL(atomic_load(&b->server.faults) > 0);
    for (unsigned i = 0; i < 20; i++)
        nap(NULL);
    cr_assert_eq(eventfd_write(b->dev->cancel_fd, 1), 0);
    WAIT_UNTIL(vdrv_status(&b->rig.drv) == 0);
}

/* Two rings without a record of what was in flight: the device fails once. */
OnVu(vhost_user_hostile, rings_without_a_record_fail_together, vu_prepare(b, &rig_variants[0]))
{
    struct blkreq req[2];
    b->server.protocol &= ~VIRTIO_BIT(VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD);
    plug(b);
    start(b);
    atomic_store(&b->server.hold_sector, 0);
    for (unsigned i = 0; i < 2; i++) {
        req[i] = (struct blkreq){
            .type = VIRTIO_BLK_T_IN, .bytes = 512, .data_write = true, .queue = (uint16_t)i};
        cr_assert(blkreq_send(&b->rig, &req[i]));
    }
    while (atomic_load(&b->server.taken) < 2)
        rig_step(&b->rig);
    lose_and_find(b);
    cr_expect(rig_is_broken(&b->rig));
    cr_expect_eq(atomic_load(&logged_lines), 3, "lost, back, failed");
}

OnVu(vhost_user_hostile, rings_that_are_refused_fail_together, vu_prepare(b, &rig_variants[0]))
{
    vu_misbehave(b, VHOST_SERVER_REFUSES, VHOST_USER_SET_VRING_ADDR);
    plug(b);
    cr_assert(vdrv_start(&b->rig.drv, 0, 2, 16));
    rig_step(&b->rig);
    cr_expect_eq(atomic_load(&b->server.faults), 2);
    cr_expect(rig_is_broken(&b->rig));
    cr_expect(b->dev->connected);
    cr_expect_eq(atomic_load(&logged_lines), 1);
}

/* Used in their order, the first that did not come back is where the next server begins. */
OnVu(vhost_user_hostile, rings_in_order_need_no_record,
     vu_prepare(b, &(struct rig_config){.features_on = VIRTIO_BIT(VIRTIO_F_IN_ORDER)}))
{
    struct blkreq req;
    uint32_t head, len;
    b->server.protocol &= ~VIRTIO_BIT(VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD);
    b->server.features |= VIRTIO_BIT(VIRTIO_F_IN_ORDER);
    plug(b);
    cr_assert(vdrv_start(&b->rig.drv, VIRTIO_BIT(VIRTIO_F_IN_ORDER), 2, 16));
    rig_step(&b->rig);
    expect_works(b);
    unsigned taken = atomic_load(&b->server.taken);
    atomic_store(&b->server.hold_sector, 0);
    send_read(b, &req);
    while (atomic_load(&b->server.taken) == taken)
        rig_step(&b->rig);
    atomic_store(&b->server.hold_sector, VHOST_SERVER_NO_SECTOR);
    lose_and_find(b);
    while (!vdrv_has_used(&b->rig.drv.q[0]) && !rig_is_broken(&b->rig))
        rig_step(&b->rig);
    cr_assert_not(rig_is_broken(&b->rig));
    cr_assert(vdrv_used(&b->rig.drv.q[0], &head, &len));
    cr_expect_eq(blkreq_status(&b->rig, &req), VIRTIO_BLK_S_OK);
}
