// SPDX-License-Identifier: BSD-2-Clause
/* What one life of a device leaves to the next. */
#include "tests/hostile/hostile.h"

#include <stdio.h>

/*
 * A queue that was reset alone, and then the whole device: the next driver leaves that queue out,
 * and a queue that was left out cannot come after DRIVER_OK (VIRTIO 1.4 3.1.1), before as after.
 */
OnEach(hostile_transport, h33_a_queue_reset_does_not_survive_a_reset)
{
    const uint64_t ring_reset = VIRTIO_BIT(VIRTIO_F_RING_RESET);
    for (unsigned past = 0; past < 2; past++) {
        struct rig rig;
        rig_open_echo_on(&rig, on);
        if (past) {
            cr_assert(vdrv_start(&rig.drv, ring_reset, 2, 8));
            cr_assert(vdrv_queue_reset(&rig.drv, 1));
        }
        cr_assert(vdrv_start(&rig.drv, ring_reset, 1, 8));
        vdrv_queue_alloc(&rig.drv, 1, 8);
        vdrv_queue_write(&rig.drv, 1);
        cr_expect(!vdrv_queue_ready(&rig.drv, 1), "%s: %s a queue reset", rig_config_name(on),
                  past ? "after" : "without");
        rig_close(&rig);
    }
}

/* Queues that were set up through one interface at status 0 are not the other one's. */
Test(hostile_transport, h33_a_queue_does_not_change_interfaces)
{
    struct rig rig;
    uint64_t page, enable;
    rig_open_echo_on(&rig, &(struct rig_config){.transport = RIG_PCI_TRANSITIONAL});
    bus_write(rig.pio, rig.drv.pci.bar_gpa[0] + VIRTIO_PCI_LEGACY_queue_select, 2, 0);
    bus_write(rig.pio, rig.drv.pci.bar_gpa[0] + VIRTIO_PCI_LEGACY_queue_address, 4, 0x10);
    bus_read(rig.pio, rig.drv.pci.bar_gpa[0] + VIRTIO_PCI_LEGACY_queue_address, 4, &page);
    cr_assert_eq(page, 0x10);
    bus_read(rig.bus, rig.drv.pci.common + VIRTIO_PCI_COMMON_queue_enable, 2, &enable);
    cr_expect_eq(enable, 0);
    rig_close(&rig);
}

static long resident_pages(void)
{
    char sizes[128], *resident = sizes;
    FILE *f = fopen("/proc/self/statm", "re");
    cr_assert(f != NULL && fgets(sizes, sizeof(sizes), f) != NULL);
    fclose(f);
    strtol(sizes, &resident, 10); /* all pages */
    return strtol(resident, NULL, 10);
}

/*
 * A queue has room for all chains that may ever be in flight, here 32 MiB of it. Resets that clear
 * it each time hold the loop for seconds if there are many queues, and keep all of it in memory.
 */
OnEachDisk(hostile_transport, h62_resets_do_not_fill_large_queues,
           (on->queues = VDRV_QUEUES, on->queue_size_max = 1024, rig_open_blk_on(rig, on)))
{
    long before = 0;
    for (unsigned lap = 0; lap < 6; lap++) {
        cr_assert(vdrv_start(&rig->drv, HOSTILE_FEATURES, VDRV_QUEUES, 1024));
        if (lap == 0)
            before = resident_pages();
    }
    cr_expect_lt(resident_pages() - before, 4096, "%s: %ld pages", rig_config_name(&rig->cfg),
                 resident_pages() - before);
}
