// SPDX-License-Identifier: BSD-2-Clause
/* What a device says of itself, on each transport and ring, and that it changes nothing by that. */
#include "core/output/facts.h"

#include <pthread.h>

#include "tests/harness/rig_test.h"
#include "tests/harness/test.h"
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
