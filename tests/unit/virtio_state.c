// SPDX-License-Identifier: BSD-2-Clause
/*
 * Devices that are saved in the middle of their work, and loaded into fresh ones: the driver must
 * not be able to tell. Each workload runs twice on each rig, with that in its middle and without,
 * and both have to give the same answers, bytes and interrupts.
 */
#include "tests/unit/virtio_state.h"

#include <dirent.h>

#include "core/state/state.h"
#include "tests/harness/portio.h"
#include "tests/harness/test.h"
#include "virtio/base/observer.h"
#include "virtio/scsi/scsi_codes.h"
#include "virtio/spec.h"

#define SAME SIZE_MAX

/* Where two traces part. */
static size_t difference(const struct trace *a, const struct trace *b)
{
    size_t at = 0;
    while (at < a->len && at < b->len && a->bytes[at] == b->bytes[at])
        at++;
    return at == a->len && at == b->len ? SAME : at;
}

/* ---- in its middle ---- */

/* A kernel has delivered them by now. */
static void deliver_messages(struct rig *rig)
{
    (void)fake_msi_sent(&rig->msi);
}

/* As a machine does it: hold, wait, save. */
static void save(struct rig *rig, struct state *s)
{
    unsigned turns = 0;
    virtio_device_hold(rig->dev);
    for (; !virtio_device_is_idle(rig->dev); rig_step(rig))
        cr_assert_lt(turns++, 1000, "the device never comes to rest");
    state_save(s);
    rig_state(rig, s);
    cr_assert_eq(state_error(s), 0);
    deliver_messages(rig);
}

static int load(struct rig *rig, const void *bytes, size_t len)
{
    struct state s;
    state_load(&s, bytes, len);
    rig_state(rig, &s);
    int err = state_error(&s);
    state_fini(&s);
    return err;
}

static void go_on_as_it_is(struct rig *rig)
{
    struct state s;
    save(rig, &s);
    state_fini(&s);
    virtio_device_release(rig->dev);
}

static void go_on_in_another(struct rig *rig)
{
    struct state s;
    save(rig, &s);
    rig_renew(rig);
    cr_assert_eq(load(rig, s.bytes, s.len), 0);
    state_fini(&s);
}

static void do_nothing(struct rig *rig)
{
    rig_step(rig);
    deliver_messages(rig);
}

/* ---- both ways ---- */

static void open_started(struct rig *rig, const struct rig_config *config, const struct workload *w)
{
    struct rig_config on = *config;
    on.rss = w->rss;
    w->open(rig, &on);
    uint64_t features = w->features & (rig->drv.t->legacy ? UINT32_MAX : UINT64_MAX);
    cr_assert(vdrv_start(&rig->drv, features, w->queues, QUEUE_SIZE));
    rig_step(rig);
}

static void run(const struct rig_config *config, const struct workload *w, struct trace *t,
                void (*middle)(struct rig *rig), void (*end)(struct rig *rig, struct trace *t))
{
    struct rig rig;
    t->len = 0;
    open_started(&rig, config, w);
    w->first(&rig, t);
    middle(&rig);
    end(&rig, t);
    rig_close(&rig);
}

static void expect_same(const struct rig_config *config, const struct workload *w,
                        void (*end)(struct rig *rig, struct trace *t))
{
    static struct trace straight, held, loaded;
    run(config, w, &straight, do_nothing, end);
    run(config, w, &held, go_on_as_it_is, end);
    run(config, w, &loaded, go_on_in_another, end);
    cr_expect_gt(straight.len, 0);
    cr_expect_eq(difference(&straight, &held), SAME, "%s on %s, held: at byte %zu of %zu", w->name,
                 rig_config_name(config), difference(&straight, &held), straight.len);
    cr_expect_eq(difference(&straight, &loaded), SAME, "%s on %s, loaded: at byte %zu of %zu",
                 w->name, rig_config_name(config), difference(&straight, &loaded), straight.len);
}

Test(virtio_state, a_driver_goes_on_with_a_loaded_device)
{
    for (unsigned i = 0; i < STATE_WORKLOADS; i++)
        for (unsigned v = 0; v < RIG_VARIANTS; v++)
            expect_same(&rig_variants[v], &workloads[i], workloads[i].second);
}

static bool has_legacy(const struct workload *w)
{
    return w->open != rig_open_scsi_on && w->open != rig_open_gpu_on &&
           w->open != rig_open_input_on && !w->rss;
}

Test(virtio_state, a_legacy_driver_goes_on_with_a_loaded_device)
{
    for (unsigned i = 0; i < STATE_WORKLOADS; i++)
        for (unsigned v = 0; v < RIG_LEGACY_VARIANTS && has_legacy(&workloads[i]); v++)
            expect_same(&rig_legacy_variants[v], &workloads[i], workloads[i].second);
}

/* ---- what a driver may do next ---- */

static void note_queues(struct rig *rig, struct trace *t)
{
    take_all(rig, t);
    for (unsigned q = 0; q < QUEUES; q++)
        note_number(t, vdrv_queue_ready(&rig->drv, q));
}

/* With other features. */
static void start_again(struct rig *rig, struct trace *t)
{
    note_queues(rig, t);
    vdrv_reset(&rig->drv);
    note_queues(rig, t);
    cr_assert(vdrv_start(&rig->drv, VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC), 1, 4));
    note_queues(rig, t);
    for (unsigned i = 0; i < 4; i++) {
        send_chain(rig, 0, NULL, 0, 1);
        take_all(rig, t);
    }
}

static void reset_a_queue(struct rig *rig, struct trace *t)
{
    take_all(rig, t);
    note_number(t, vdrv_queue_reset(&rig->drv, 0));
    note_queues(rig, t);
    vdrv_queue_set_up(&rig->drv, 0, 4);
    note_queues(rig, t);
    for (unsigned i = 0; i < 4; i++) {
        send_chain(rig, 0, NULL, 0, 1);
        take_all(rig, t);
    }
}

Test(virtio_state, a_loaded_device_is_reset)
{
    for (unsigned i = 0; i < STATE_WORKLOADS; i++)
        for (unsigned v = 0; v < RIG_VARIANTS; v++)
            expect_same(&rig_variants[v], &workloads[i], start_again);
}

Test(virtio_state, a_queue_of_a_loaded_device_is_reset)
{
    for (unsigned i = 0; i < STATE_WORKLOADS; i++) {
        struct workload w = workloads[i];
        w.features |= VIRTIO_BIT(VIRTIO_F_RING_RESET);
        for (unsigned v = 0; v < RIG_VARIANTS; v++)
            expect_same(&rig_variants[v], &w, reset_a_queue);
    }
}

/* In order, a chain that is done early waits for those before it. */
Test(virtio_state, buffers_come_back_in_order)
{
    for (unsigned i = 0; i < STATE_WORKLOADS; i++) {
        if (workloads[i].open == rig_open_scsi_on)
            continue;
        for (unsigned v = 0; v < RIG_VARIANTS; v++) {
            struct rig_config on = rig_variants[v];
            on.features_on |= VIRTIO_BIT(VIRTIO_F_IN_ORDER);
            on.always |= VIRTIO_BIT(VIRTIO_F_IN_ORDER);
            expect_same(&on, &workloads[i], workloads[i].second);
        }
    }
}

/* The ring is broken: only a reset helps, before the load and after it. */
static void break_ring(struct rig *rig, struct trace *t)
{
    unsigned queue = rig->net != NULL || rig->console != NULL ||
                     rig->input != NULL; /* the other keeps what it gets */
    send_chain(rig, queue, NULL, 0, 1);
    take_all(rig, t);
    vdrv_send(&rig->drv.q[queue], &(struct vdrv_buf){UINT64_C(1) << 50, 8, true}, 1);
    rig_step(rig);
    cr_assert(rig_is_broken(rig));
    note_queues(rig, t);
}

static void send_and_start_again(struct rig *rig, struct trace *t)
{
    vdrv_notify(&rig->drv.q[0]);
    rig_step(rig);
    cr_assert(rig_is_broken(rig));
    start_again(rig, t);
}

Test(virtio_state, a_device_that_needs_a_reset_still_does)
{
    listen_to_log(LOG_WARN);
    for (unsigned i = 0; i < STATE_WORKLOADS; i++) {
        struct workload w = workloads[i];
        w.first = break_ring;
        for (unsigned v = 0; v < RIG_VARIANTS; v++)
            expect_same(&rig_variants[v], &w, send_and_start_again);
    }
}

/* ---- held in the middle of a request ---- */

static void expect_done_while_held(struct rig *rig, const uint8_t *status, unsigned good)
{
    unsigned turns = 0;
    virtio_device_hold(rig->dev);
    for (; !virtio_device_is_idle(rig->dev); fake_blk_release(&rig->disk)) {
        cr_assert_lt(turns++, 1000, "the device never comes to rest");
        rig_step(rig);
    }
    cr_expect_gt(turns, 1);
    cr_expect_eq(*status, good, "%s: status %u", rig_config_name(&rig->cfg), *status);
}

OnEachRig(virtio_state, a_held_disk_ends_what_it_has_begun,
          (on->write_through = true, rig_open_blk_on(rig, on)))
{
    cr_assert(vdrv_start(&rig->drv, 0, 1, QUEUE_SIZE));
    rig->disk.hold = true;
    uint8_t request[VIRTIO_BLK_REQ_HEADER_BYTES + 512] = {VIRTIO_BLK_T_OUT};
    uint64_t gpa = send_chain(rig, 0, request, sizeof(request), 1);
    rig_step(rig);
    expect_done_while_held(rig, vdrv_ptr(&rig->drv, gpa, 1), VIRTIO_BLK_S_OK);
}

OnEachRig(virtio_state, a_held_scsi_disk_ends_what_it_has_begun, rig_open_scsi_on(rig, on))
{
    uint8_t request[VIRTIO_SCSI_CMD_cdb + VIRTIO_SCSI_CDB_DEFAULT_SIZE + 512] = {1, 0, 0x40};
    uint8_t *cdb = request + VIRTIO_SCSI_CMD_cdb;
    cdb[0] = SCSI_WRITE_10;
    cdb[1] = 0x08; /* FUA: a flush follows */
    cdb[8] = 1;
    cr_assert(vdrv_start(&rig->drv, 0, 3, QUEUE_SIZE));
    rig->disk.hold = true;
    uint64_t gpa = send_chain(rig, 2, request, sizeof(request),
                              VIRTIO_SCSI_RESP_sense + VIRTIO_SCSI_SENSE_DEFAULT_SIZE);
    rig_step(rig);
    const uint8_t *response = vdrv_ptr(&rig->drv, gpa, VIRTIO_SCSI_RESP_sense);
    expect_done_while_held(rig, response + VIRTIO_SCSI_RESP_response, VIRTIO_SCSI_S_OK);
}

/* ---- before a driver has started it ---- */

/* How far it came. */
static void set_up(struct rig *rig, unsigned steps)
{
    if (steps > 0)
        vdrv_set_status(&rig->drv, VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER);
    if (steps > 1)
        vdrv_accept(&rig->drv, 0, 1u << VIRTIO_F_INDIRECT_DESC);
    if (steps > 2)
        vdrv_negotiate(&rig->drv, 0);
    if (steps > 3)
        vdrv_queue_alloc(&rig->drv, 0, QUEUE_SIZE);
    if (steps > 4)
        vdrv_queue_write(&rig->drv, 0);
    if (steps > 5)
        vdrv_driver_ok(&rig->drv);
}

Test(virtio_state, a_driver_goes_on_with_its_set_up)
{
    for (unsigned v = 0; v < RIG_VARIANTS; v++) {
        for (unsigned steps = 0; steps <= 6; steps++) {
            struct rig rig;
            rig_open_echo_on(&rig, &rig_variants[v]);
            set_up(&rig, steps);
            uint32_t status = vdrv_status(&rig.drv);
            go_on_in_another(&rig);
            cr_expect_eq(vdrv_status(&rig.drv), status);
            if (steps <= 2)
                vdrv_negotiate(&rig.drv, 0);
            if (steps <= 3)
                vdrv_queue_alloc(&rig.drv, 0, QUEUE_SIZE);
            if (steps <= 4)
                vdrv_queue_write(&rig.drv, 0);
            if (steps <= 5)
                vdrv_driver_ok(&rig.drv);
            uint64_t gpa = send_chain(&rig, 0, "!", 1, 1);
            rig_step(&rig);
            cr_expect_eq(*(char *)vdrv_ptr(&rig.drv, gpa, 1), '!', "%s, after %u steps",
                         rig_config_name(&rig_variants[v]), steps);
            rig_close(&rig);
        }
    }
}

/* ---- what is not in registers and queues ---- */

OnRig(virtio_state, a_held_console_takes_no_input, rig_open_console(rig))
{
    cr_assert(vdrv_start(&rig->drv, 0, 2, QUEUE_SIZE));
    send_chain(rig, 0, NULL, 0, 8);
    rig_step(rig);
    cr_expect_eq(rig->chr.rx_max, 8);
    virtio_device_hold(rig->dev);
    cr_expect(virtio_device_is_idle(rig->dev));
    cr_expect_eq(rig->chr.rx_max, 0);
    virtio_device_release(rig->dev);
    rig_step(rig);
    cr_expect_eq(rig->chr.rx_max, 8);
}

/* A line of which a part was out: as many bytes of the next driver's line are not left out. */
OnEachRig(virtio_state, a_loaded_console_that_is_reset_begins_anew, rig_open_console_on(rig, on))
{
    cr_assert(vdrv_start(&rig->drv, 0, 2, QUEUE_SIZE));
    rig->chr.room = 4;
    send_chain(rig, 1, "hello ", 6, 0);
    rig_step(rig);
    go_on_in_another(rig);
    vdrv_reset(&rig->drv);
    cr_assert(vdrv_start(&rig->drv, 0, 2, QUEUE_SIZE));
    fake_chr_open(&rig->chr, 1000);
    send_chain(rig, 1, "again", 5, 0);
    rig_step(rig);
    cr_expect_eq(rig->chr.out_bytes, 4 + 5);
}

OnRig(virtio_state, a_scsi_host_keeps_its_sizes, rig_open_scsi_on(rig, &rig_variants[0]))
{
    uint8_t sizes[8], loaded[8];
    le32_put(sizes, 20);
    le32_put(sizes + 4, 64);
    cr_assert(vdrv_negotiate(&rig->drv, 0));
    vdrv_config_write(&rig->drv, VIRTIO_SCSI_CONFIG_sense_size, sizes, sizeof(sizes));
    go_on_in_another(rig);
    vdrv_config_read(&rig->drv, VIRTIO_SCSI_CONFIG_sense_size, loaded, sizeof(loaded));
    cr_expect_arr_eq(loaded, sizes, sizeof(sizes));
}

OnRig(virtio_state, a_driver_is_told_what_has_changed_meanwhile, rig_open_blk(rig, false))
{
    struct state s;
    uint8_t capacity[8];
    cr_assert(vdrv_start(&rig->drv, 0, 1, QUEUE_SIZE));
    save(rig, &s);
    fake_blk_resize(&rig->disk, 2 * RIG_DISK_BYTES);
    (void)rig_config_irqs(rig);
    rig_renew(rig);
    cr_assert_eq(load(rig, s.bytes, s.len), 0);
    state_fini(&s);
    cr_expect_eq(rig_config_irqs(rig), 1);
    vdrv_config_read(&rig->drv, VIRTIO_BLK_CONFIG_capacity, capacity, sizeof(capacity));
    cr_expect_eq(le64_get(capacity), 2 * RIG_DISK_BYTES / 512);
}

OnNet(virtio_state, a_driver_is_told_that_the_link_is_down, .queues = 2)
{
    struct state s;
    uint8_t status[2];
    cr_assert(vdrv_start(&rig->drv, NET(STATUS) | NET(CTRL_VQ), 5, QUEUE_SIZE));
    save(rig, &s);
    fake_net_link(&rig->ether, false);
    (void)rig_config_irqs(rig);
    rig_renew(rig);
    cr_assert_eq(load(rig, s.bytes, s.len), 0);
    state_fini(&s);
    cr_expect_eq(rig_config_irqs(rig), 1);
    vdrv_config_read(&rig->drv, VIRTIO_NET_CONFIG_status, status, sizeof(status));
    cr_expect_eq(le16_get(status), 0);
}

OnNet(virtio_state, a_network_may_refuse_the_pairs, .queues = 2)
{
    struct state s;
    cr_assert(netio_start(rig, NET(MQ) | NET(CTRL_VQ), 2, QUEUE_SIZE));
    cr_assert_eq(netio_command(rig, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, "\2", 2),
                 0);
    save(rig, &s);
    rig_renew(rig);
    cr_expect_eq(rig->ether.pairs_used, 1);
    listen_to_log(LOG_ERROR);
    rig->ether.refuse_pairs = -EBUSY;
    cr_expect_eq(load(rig, s.bytes, s.len), -EINVAL);
    expect_logged("its network has other queues");
    rig_renew(rig);
    rig->ether.refuse_pairs = 0;
    cr_expect_eq(load(rig, s.bytes, s.len), 0);
    cr_expect_eq(rig->ether.pairs_used, 2);
    state_fini(&s);
}

OnEcho(virtio_state, a_queue_that_was_reset_is_set_up_after_the_load, .transport = RIG_PCI)
{
    cr_assert(vdrv_start(&rig->drv, VIRTIO_BIT(VIRTIO_F_RING_RESET), 2, QUEUE_SIZE));
    cr_assert(vdrv_queue_reset(&rig->drv, 1));
    go_on_in_another(rig);
    cr_expect(vdrv_queue_ready(&rig->drv, 0) && !vdrv_queue_ready(&rig->drv, 1));
    vdrv_queue_set_up(&rig->drv, 1, QUEUE_SIZE);
    uint64_t gpa = send_chain(rig, 1, "!", 1, 1);
    rig_step(rig);
    cr_expect_eq(*(char *)vdrv_ptr(&rig->drv, gpa, 1), '!');
}

/* ---- interrupts that are due ---- */

static void mask(struct rig *rig, bool on)
{
    struct pci_function *f = rig->func;
    unsigned at = rig->drv.pci.msix_cap + 2;
    uint32_t control = f->ops->config_read(f, at, 2) & 0xbfffu;
    f->ops->config_write(f, at, 2, control | (on ? 0x4000u : 0));
}

OnEcho(virtio_state, a_pending_message_comes_after_the_load, .transport = RIG_PCI)
{
    cr_assert(vdrv_start(&rig->drv, 0, 1, QUEUE_SIZE));
    mask(rig, true);
    send_chain(rig, 0, "!", 1, 1);
    rig_step(rig);
    go_on_in_another(rig);
    cr_expect_eq(rig_queue_irqs(rig, 0), 0);
    mask(rig, false);
    cr_expect_eq(rig_queue_irqs(rig, 0), 1);
}

OnEcho(virtio_state, a_raised_line_stays_up, .transport = RIG_PCI, .intx = true)
{
    cr_assert(vdrv_start(&rig->drv, 0, 1, QUEUE_SIZE));
    send_chain(rig, 0, "!", 1, 1);
    rig_step(rig);
    cr_expect(rig->irq.level);
    go_on_in_another(rig);
    cr_expect(rig->irq.level);
    cr_expect_eq(vdrv_take_isr(&rig->drv), VIRTIO_ISR_QUEUE);
    cr_expect_not(rig->irq.level);
}

static void hold(void *ctx)
{
    virtio_device_hold(ctx);
}

/*
 * Task management waits until commands that were sent before it are taken, in turns. The device is
 * held after the first of them.
 */
static void reset_unit(struct rig *rig, struct trace *t)
{
    uint8_t tmf[VIRTIO_SCSI_TMF_BYTES] = {0};
    struct ev_defer holds = {.cb = hold, .ctx = rig->dev};
    take_all(rig, t);
    vdrv_reset(&rig->drv);
    cr_assert(vdrv_start(&rig->drv, 0, 3, 128));
    rig_step(rig);
    tmf[VIRTIO_SCSI_TMF_lun] = 1;
    tmf[VIRTIO_SCSI_TMF_lun + 2] = 0x40;
    le32_put(tmf + VIRTIO_SCSI_TMF_subtype, VIRTIO_SCSI_T_TMF_LOGICAL_UNIT_RESET);
    rig->disk.hold = true;
    for (unsigned i = 0; i < 40; i++)
        scsi_command(rig, SCSI_READ_10, 0, 512);
    send_chain(rig, 0, tmf, sizeof(tmf), 1);
    evloop_defer(rig->loop, &holds);
    rig_step(rig);
    cr_expect(!virtio_device_is_idle(rig->dev) && rig->disk.out < 40);
    fake_blk_release(&rig->disk);
}

static void end_of_reset(struct rig *rig, struct trace *t)
{
    virtio_device_release(rig->dev);
    take_all(rig, t);
    cr_expect_eq(rig->drv.q[0].ring.free_descs, 128);
    cr_expect_eq(rig->drv.q[2].ring.free_descs, 128);
}

OnEachRig(virtio_state, task_management_goes_on, rig_open_scsi_on(rig, on))
{
    static struct trace t;
    t.len = 0;
    cr_assert(vdrv_start(&rig->drv, 0, 3, QUEUE_SIZE));
    reset_unit(rig, &t);
    go_on_in_another(rig);
    end_of_reset(rig, &t);
    uint64_t gpa = scsi_command(rig, SCSI_TEST_UNIT_READY, 0, 0);
    rig_step(rig);
    cr_expect_eq(((uint8_t *)vdrv_ptr(&rig->drv, gpa, 12))[VIRTIO_SCSI_RESP_status],
                 SCSI_CHECK_CONDITION, "the unit was reset");
}

/* The monitor does not know what the driver did before: it is silent, until there is a reset. */
OnEachRig(virtio_state, the_monitor_reports_no_driver_of_a_loaded_device,
          (on->strict = true, rig_open_echo_on(rig, on)))
{
    static struct trace t;
    t.len = 0;
    cr_assert(vdrv_start(&rig->drv, VIRTIO_BIT(VIRTIO_F_EVENT_IDX), 2, QUEUE_SIZE));
    listen_to_log(LOG_WARN);
    unsigned before = logged_lines;
    echo_some(rig, &t);
    go_on_in_another(rig);
    for (unsigned i = 0; i < 2 * QUEUE_SIZE; i++) {
        send_chain(rig, i % 2, "!", 1, 1);
        take_all(rig, &t);
    }
    cr_expect_eq(logged_lines, before, "%s: %s", rig_config_name(&rig->cfg), logged_line);
    vdrv_reset(&rig->drv);
    vdrv_notify_value(&rig->drv.q[0], 0);
    cr_expect_gt(logged_lines, before);
}

/* ---- what cannot be loaded ---- */

OnEcho(virtio_state, another_device_refuses, .transport = RIG_PCI)
{
    struct state s;
    struct rig other;
    cr_assert(vdrv_start(&rig->drv, VIRTIO_BIT(3), 1, QUEUE_SIZE));
    save(rig, &s);
    listen_to_log(LOG_ERROR);
    rig_open_echo_on(&other, &(struct rig_config){.transport = RIG_PCI, .features_off = 1 << 3});
    cr_expect_eq(load(&other, s.bytes, s.len), -EINVAL);
    expect_logged("features that this device does not offer");
    rig_close(&other);
    rig_open_rng_on(&other, &(struct rig_config){.transport = RIG_PCI});
    cr_expect_eq(load(&other, s.bytes, s.len), -EINVAL);
    expect_logged("another PCI function");
    rig_close(&other);
    rig_open_echo_on(&other, &(struct rig_config){.transport = RIG_MMIO});
    cr_expect_eq(load(&other, s.bytes, s.len), -EINVAL);
    expect_logged("missing");
    rig_close(&other);
    state_fini(&s);
}

static void on_event(struct virtio_observer *o, const struct virtio_event *e)
{
    (void)o, (void)e;
}

static void on_destroy(struct virtio_observer *o)
{
    (void)o;
}

Test(virtio_state, a_recorded_device_is_not_saved)
{
    struct state s;
    struct rig rig;
    struct echo echo;
    struct virtio_observer order = {
        .event = on_event, .destroy = on_destroy, .sees = VIRTIO_SEES_ORDER};
    rig_open_host(&rig, &rig_variants[0]);
    echo_init(&echo, &(struct echo_config){.setup = rig_setup(&rig, "echo")});
    virtio_observer_add(&echo.dev, &order);
    rig_plug(&rig, &echo.dev);
    listen_to_log(LOG_ERROR);
    state_save(&s);
    rig_state(&rig, &s);
    cr_expect_eq(state_error(&s), -EINVAL);
    expect_logged("it is recorded");
    state_fini(&s);
    rig_unplug(&rig);
    echo_fini(&echo);
    rig_close(&rig);
}

/* No guest sets the page size of a function to 0. Modern registers start a legacy queue, too. */
OnRig(virtio_state, a_legacy_queue_without_a_page_size_shows_no_page,
      rig_open_echo_on(rig, &(struct rig_config){.transport = RIG_PCI_LEGACY}))
{
    static const char name[] = {'p', 'a', 'g', 'e', '_', 'b', 'y', 't', 'e', 's', 8, 0, 0, 0};
    struct state s;
    vdrv_set_status(&rig->drv, VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER);
    save(rig, &s);
    uint8_t *value = memmem(s.bytes, s.len, name, sizeof(name));
    cr_assert(value != NULL);
    le64_put(value + sizeof(name), 0);
    rig_renew(rig);
    cr_assert_eq(load(rig, s.bytes, s.len), 0);
    state_fini(&s);
    bus_write(rig->guest_bus, rig->drv.pci.common + VIRTIO_PCI_COMMON_queue_enable, 2, 1);
    cr_expect(virtio_device_queue_ready(rig->dev, 0));
    cr_expect_not(vdrv_queue_ready(&rig->drv, 0));
}

OnRig(virtio_state, a_report_of_which_more_was_sent_than_there_is_is_refused,
      rig_open_input_on(rig, &rig_variants[0]))
{
    static const char name[] = {4, 's', 'e', 'n', 't', 8, 0, 0, 0};
    struct state s;
    listen_to_log(LOG_ERROR);
    cr_assert(vdrv_start(&rig->drv, 0, 2, QUEUE_SIZE));
    save(rig, &s);
    uint8_t *value = memmem(s.bytes, s.len, name, sizeof(name));
    cr_assert(value != NULL);
    le64_put(value + sizeof(name), 1);
    rig_renew(rig);
    cr_expect_eq(load(rig, s.bytes, s.len), -EINVAL);
    state_fini(&s);
}

/* The driver would be told the name of the first port, which has none. */
OnRig(virtio_state, a_name_of_a_port_without_one_is_refused,
      rig_open_console_on(rig, (struct rig_config[]){portio_config(&rig_variants[0])}))
{
    static const char name[] = {4, 'n', 'e', 'w', 's', 8, 0, 0, 0};
    struct state s;
    listen_to_log(LOG_ERROR);
    portio_start(rig, 0);
    save(rig, &s);
    uint8_t *value = memmem(s.bytes, s.len, name, sizeof(name));
    cr_assert(value != NULL);
    le64_put(value + sizeof(name), 1u << 4);
    rig_renew(rig);
    cr_expect_eq(load(rig, s.bytes, s.len), -EINVAL);
    state_fini(&s);
    portio_give(rig, PORTIO_BUFFERS, 96);
    rig_step(rig);
}

/* One was removed before the state was saved, and is not there where it is loaded. */
OnRig(virtio_state, a_place_without_a_port_has_nothing_to_load,
      rig_open_console_on(rig, (struct rig_config[]){portio_config(&rig_variants[0])}))
{
    static const char is[] = {2, 'i', 's', 8, 0, 0, 0},
                      news[] = {4, 'n', 'e', 'w', 's', 8, 0, 0, 0};
    struct state s;
    listen_to_log(LOG_ERROR);
    portio_start(rig, 0);
    cr_assert(rig_remove_port(rig, 1));
    rig_step(rig);
    save(rig, &s);
    for (unsigned i = 0; i < 3; i++) {
        const char *name = i == 1 ? is : news;
        size_t bytes = i == 1 ? sizeof(is) : sizeof(news);
        uint8_t *value = s.bytes, *end = s.bytes + s.len;
        for (unsigned port = 0; port < 3; port++, value += bytes) {
            value = memmem(value, (size_t)(end - value), name, bytes);
            cr_assert(value != NULL);
        }
        uint64_t was = le64_get(value);
        le64_put(value, i == 0 ? was : 2);
        rig_renew(rig);
        cr_assert(rig_remove_port(rig, 1));
        cr_expect_eq(load(rig, s.bytes, s.len), i == 0 ? 0 : -EINVAL, "%u", i);
        le64_put(value, was);
    }
    state_fini(&s);
}

/* Whatever is loaded, or refused, is used a little, and reset. */
static void load_and_use(struct rig *rig, const uint8_t *bytes, size_t len)
{
    if (load(rig, bytes, len) == 0) {
        for (unsigned q = 0; q < rig->dev->cfg.queue_count; q++)
            vdrv_notify_value(&rig->drv.q[q % QUEUES], q);
        rig_step(rig);
        (void)vdrv_take_isr(&rig->drv);
        (void)vdrv_queue_ready(&rig->drv, 0);
    }
    rig_step(rig);
    rig_renew(rig);
}

/* Each byte of a stream is changed, and it ends at each of them. */
static void spoil(const struct rig_config *config, const struct workload *w, unsigned bits)
{
    static struct trace t;
    struct rig rig;
    struct state s;
    t.len = 0;
    open_started(&rig, config, w);
    w->first(&rig, &t);
    save(&rig, &s);
    rig_renew(&rig);
    for (size_t at = 0; at < s.len; at++) {
        uint8_t was = s.bytes[at];
        for (unsigned bit = 0; bit < 8; bit += 8 / bits) {
            s.bytes[at] = (uint8_t)(was ^ 1u << bit);
            load_and_use(&rig, s.bytes, s.len);
        }
        s.bytes[at] = was;
        cr_expect_neq(load(&rig, s.bytes, at), 0, "%s, cut at %zu", w->name, at);
        rig_renew(&rig);
    }
    cr_expect_eq(load(&rig, s.bytes, s.len), 0, "%s on %s", w->name, rig_config_name(config));
    state_fini(&s);
    rig_close(&rig);
}

Test(virtio_state, a_stream_that_was_tampered_with_does_no_harm)
{
    listen_to_log(LOG_DEBUG);
    for (unsigned i = 0; i < STATE_WORKLOADS; i++)
        spoil(&rig_variants[i % RIG_VARIANTS], &workloads[i],
              workloads[i].open == rig_open_scsi_on ? 8 : 2);
    for (unsigned v = 0; v < RIG_LEGACY_VARIANTS; v++)
        spoil(&rig_legacy_variants[v], &workloads[0], 8);
}

/* ---- what a device holds of the host's ---- */

static unsigned entries(const char *path)
{
    unsigned count = 0;
    DIR *dir = opendir(path);
    cr_assert_not_null(dir);
    while (readdir(dir) != NULL)
        count++;
    closedir(dir);
    return count;
}

struct held {
    unsigned files, threads;
};

static struct held held(void)
{
    return (struct held){entries("/proc/self/fd"), entries("/proc/self/task")};
}

/* Each queue alone, in the middle of its work, and then the device. */
static void reset_all(struct rig *rig, const struct workload *w, bool queues)
{
    static struct trace t;
    t.len = 0;
    w->first(rig, &t);
    for (unsigned q = 0; queues && q < w->queues; q++)
        cr_assert(vdrv_queue_reset(&rig->drv, q));
    vdrv_reset(&rig->drv);
    cr_assert(vdrv_start(&rig->drv, w->features | VIRTIO_BIT(VIRTIO_F_RING_RESET), w->queues,
                         QUEUE_SIZE));
    rig_step(rig);
}

Test(virtio_state, resets_keep_no_files_and_no_threads)
{
    for (unsigned i = 0; i < STATE_WORKLOADS; i++)
        for (unsigned v = 0; v < RIG_VARIANTS; v++) {
            const char *name = rig_config_name(&rig_variants[v]);
            struct rig rig;
            open_started(&rig, &rig_variants[v], &workloads[i]);
            reset_all(&rig, &workloads[i], false);
            const struct held before = held();
            for (unsigned round = 0; round < 4; round++)
                reset_all(&rig, &workloads[i], round % 2);
            const struct held after = held();
            cr_expect_eq(after.files, before.files, "%s on %s: %u files, then %u",
                         workloads[i].name, name, before.files, after.files);
            cr_expect_eq(after.threads, before.threads, "%s on %s: %u threads, then %u",
                         workloads[i].name, name, before.threads, after.threads);
            rig_close(&rig);
        }
}
