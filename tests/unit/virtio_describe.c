// SPDX-License-Identifier: BSD-2-Clause
/* What a device says of itself, on each transport and ring, and that it changes nothing by that. */
#include "core/output/facts.h"

#include <pthread.h>

#include "tests/harness/portio.h"
#include "tests/harness/rig_test.h"
#include "tests/harness/scsireq.h"
#include "tests/harness/test.h"
#include "virtio/console/console.h"
#include "virtio/net/net.h"
#include "virtio/spec.h"
#include "virtio/transport/mmio.h"
#include "virtio/transport/pci_impl.h"

static char *described;

static void describe(struct rig *rig)
{
    struct facts f;
    int err;
    free(described);
    facts_begin(&f);
    if (rig->pci != NULL)
        virtio_pci_describe(rig->pci, &f);
    else
        virtio_mmio_describe(rig->mmio, &f);
    described = facts_finish(&f, &err);
    cr_assert_eq(err, 0);
}

static void expect_said(const char *what)
{
    cr_expect_not_null(strstr(described, what), "%s: %s", what, described);
}

OnEachRig(virtio_describe, a_device_without_a_driver, rig_open_blk_on(rig, on))
{
    describe(rig);
    expect_said("\"status\":[]");
    expect_said("\"features_accepted\":[]");
    expect_said("\"role\":\"requestq\",\"state\":\"unset\",\"ready\":false");
    expect_said("\"blk\":{\"capacity_bytes\":");
}

OnEachRig(virtio_describe, a_device_at_work, rig_open_blk_on(rig, on))
{
    uint64_t features = VIRTIO_BIT(VIRTIO_BLK_F_FLUSH) | VIRTIO_BIT(VIRTIO_F_EVENT_IDX);
    rig_start(rig, features, 1, 16);
    describe(rig);
    expect_said("\"DRIVER_OK\"");
    expect_said("\"features_accepted\":[\"flush\",\"event_idx\",");
    expect_said("\"state\":\"live\",\"ready\":true,\"size\":16");
    expect_said(rig->cfg.packed ? "\"ring\":\"packed\"" : "\"ring\":\"split\"");
    expect_said("\"in_flight\":0,");
    expect_said(rig->cfg.packed ? "\"next_avail\":\"0 wrap 1\"" : "\"next_avail\":0,");
}

/* How many requests are inside it, and that a driver has broken its ring. */
OnRig(virtio_describe, a_ring_that_is_in_use_and_one_that_is_broken, rig_open_console(rig))
{
    uint64_t gpa = vdrv_alloc(&rig->drv, 8, 1);
    struct vdrv_buf text = {gpa, 8, false};
    rig_start(rig, 0, 2, 16);
    cr_expect_eq(virtio_queue_in_flight(rig->dev, VIRTIO_CONSOLE_TX), 0);
    rig->chr.room = 0;
    vdrv_send(&rig->drv.q[VIRTIO_CONSOLE_TX], &text, 1);
    rig_step(rig);
    cr_expect_eq(virtio_queue_in_flight(rig->dev, VIRTIO_CONSOLE_TX), 1);
    describe(rig);
    expect_said("\"in_flight\":1,");
    text.gpa = UINT64_MAX - 8;
    vdrv_send(&rig->drv.q[VIRTIO_CONSOLE_TX], &text, 1);
    fake_chr_open(&rig->chr, 100);
    rig_step(rig);
    describe(rig);
    expect_said("\"broken\":\"");
}

OnRig(virtio_describe, the_ports_of_a_console,
      rig_open_console_on(rig, (struct rig_config[]){portio_config(&rig_variants[0])}))
{
    describe(rig);
    expect_said("{\"port\":1,\"name\":\"one\",\"console\":false,\"peer\":true}");
    portio_start(rig, 0);
    fake_chr_leave(&rig->ports[0]);
    describe(rig);
    expect_said("{\"port\":0,");
    expect_said("{\"port\":1,\"name\":\"one\",\"console\":false,\"peer\":false,"
                "\"guest_knows\":true,\"guest_open\":true}");
    expect_said("{\"port\":2,\"name\":\"two\",\"console\":true,\"peer\":true,");
}

OnNet(virtio_describe, a_network_card, .queues = 2)
{
    describe(rig);
    expect_said("\"mac\":\"");
    expect_said("\"link\":\"up\",\"vhost\":false,\"pairs\":2,\"pairs_used\":1,\"mtu_bytes\":");
    cr_assert_eq(virtio_net_set_link(rig->net, false), 0);
    describe(rig);
    expect_said("\"link\":\"down\"");
}

OnNet(virtio_describe, a_network_card_that_says_no_mtu, .plain = true)
{
    describe(rig);
    cr_expect_null(strstr(described, "mtu_bytes"));
}

OnScsi(virtio_describe, the_disks_of_a_scsi_host,
       scsi_rig_start(s, &rig_variants[0], VIRTIO_BIT(VIRTIO_SCSI_F_CHANGE)))
{
    describe(&s->rig);
    expect_said("{\"target\":0,\"capacity_bytes\":");
    expect_said("\"events_missed\":false");
    fake_blk_resize(&s->disks[1], 2 * RIG_DISK_BYTES);
    rig_step(&s->rig);
    describe(&s->rig);
    expect_said("\"read_only\":false,\"unit_attention\":\"0x");
    expect_said("\"events_missed\":true");
}

/* A driver that reads the interrupt status clears it; one who looks does not. */
OnEachRig(virtio_describe, a_look_changes_nothing, rig_open_blk_on(rig, on))
{
    rig_start(rig, 0, 1, 16);
    virtio_device_config_changed(rig->dev);
    describe(rig);
    expect_said("\"CONFIG\"");
    expect_said("\"config_generation\":1");
    describe(rig);
    expect_said("\"CONFIG\"");
}

/* Who holds the registers may be waiting for another process: whoever looks does not. */
static void *look(void *rig)
{
    describe(rig);
    return NULL;
}

Test(virtio_describe, nobody_waits_for_registers_in_use)
{
    struct rig rig;
    pthread_t thread;
    rig_open_blk_on(&rig, &(struct rig_config){.transport = RIG_PCI});
    pthread_mutex_lock(&rig.pci->regs.lock);
    pthread_mutex_lock(&rig.pci->func.lock);
    cr_assert_eq(pthread_create(&thread, NULL, look, &rig), 0);
    pthread_join(thread, NULL);
    pthread_mutex_unlock(&rig.pci->func.lock);
    pthread_mutex_unlock(&rig.pci->regs.lock);
    expect_said("\"busy\":true");
    rig_close(&rig);
}
