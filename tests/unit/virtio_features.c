// SPDX-License-Identifier: BSD-2-Clause
/* What is said, with -v, of what a driver has made of a device. */
#include "virtio/base/features.h"

#include "tests/harness/rig_test.h"
#include "tests/harness/test.h"
#include "virtio/spec.h"

#define RING_FEATURES (VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC) | VIRTIO_BIT(VIRTIO_F_EVENT_IDX))

static char said[1024];
static unsigned lines;

static void keep(void *ctx, enum log_level level, const char *line)
{
    (void)ctx;
    (void)level;
    if (strstr(line, " runs, ") == NULL)
        return;
    snprintf(said, sizeof(said), "%s", line);
    lines++;
}

static void listen(enum log_level level)
{
    log_set_sink(keep, NULL);
    log_set_level(level);
    said[0] = '\0';
    lines = 0;
}

OnDisk(virtio_features, a_driver_s_choice_is_said)
{
    listen(LOG_INFO);
    cr_assert(vdrv_start(&rig->drv, RING_FEATURES | VIRTIO_BIT(VIRTIO_BLK_F_FLUSH), 1, 64));
    cr_expect_str_eq(said, "virtio disk runs, split ring; features flush indirect_desc event_idx "
                           "version_1; queues (number:size/vector) 0:64");
}

/* A name is a device type's: bit 0 of a console is not that of a disk. */
Test(virtio_features, rings_vectors_and_types_are_told_apart)
{
    struct rig rig;
    listen(LOG_INFO);
    rig_open_console_on(&rig, &(struct rig_config){.transport = RIG_PCI, .packed = true});
    cr_assert(vdrv_start(&rig.drv, VIRTIO_BIT(VIRTIO_CONSOLE_F_SIZE), 2, 16));
    cr_expect_neq(strstr(said, "packed ring; features size version_1 ring_packed;"), NULL, "%s",
                  said);
    cr_expect_neq(strstr(said, " 0:16/"), NULL, "%s", said);
    cr_expect_neq(strstr(said, " 1:16/"), NULL, "%s", said);
    rig_close(&rig);
    rig_open_blk_on(&rig, &(struct rig_config){.transport = RIG_MMIO_LEGACY});
    cr_assert(vdrv_start(&rig.drv, 0, 1, 16));
    cr_expect_neq(strstr(said, "runs, legacy, split ring; features"), NULL, "%s", said);
    rig_close(&rig);
}

Test(virtio_features, a_guest_that_starts_over_cannot_fill_a_disk)
{
    struct rig rig;
    listen(LOG_INFO);
    rig_open_blk(&rig, false);
    for (unsigned i = 0; i < 2 * LOG_GUEST_BURST; i++)
        cr_assert(vdrv_start(&rig.drv, 0, 1, 16));
    cr_expect_eq(lines, LOG_GUEST_BURST);
    listen(LOG_WARN);
    rig_close(&rig);
    rig_open_blk(&rig, false);
    cr_assert(vdrv_start(&rig.drv, 0, 1, 16));
    cr_expect_eq(lines, 0);
    rig_close(&rig);
}
