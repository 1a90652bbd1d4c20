// SPDX-License-Identifier: BSD-2-Clause
/*
 * Tests whose body is given an open rig: the set-up is named beside the test's name, and the rig is
 * closed after the body.
 *
 *     OnDisk(virtio_blk, tells_that_it_is_read_only, .read_only = true)
 *     {
 *         cr_expect(vdrv_offered(&rig->drv) & VIRTIO_BIT(VIRTIO_BLK_F_RO));
 *     }
 */
#ifndef MINIVET_TESTS_HARNESS_RIG_TEST_H
#define MINIVET_TESTS_HARNESS_RIG_TEST_H

#include "tests/harness/rig.h"
#include "tests/harness/with.h"

/* On one rig. */
#define OnRig(suite, name, ...) \
    TestWith(suite, name, struct rig, rig, (__VA_ARGS__), rig_close(rig))

/* A device that the test starts itself; more arguments are of the rig's configuration. */
#define OnEcho(suite, name, ...) \
    OnRig(suite, name, rig_open_echo_on(rig, &(struct rig_config){__VA_ARGS__}))
#define OnDisk(suite, name, ...) \
    OnRig(suite, name, rig_open_blk_on(rig, &(struct rig_config){__VA_ARGS__}))
#define OnNet(suite, name, ...) \
    OnRig(suite, name, rig_open_net_on(rig, &(struct rig_config){__VA_ARGS__}))

/* On disks behind a SCSI host (scsireq.h). */
#define OnScsi(suite, name, ...) \
    TestWith(suite, name, struct scsi_rig, s, (__VA_ARGS__), scsi_rig_close(s))

/* On a rig of each variant, one after the other; `on` is a copy that may be changed first. */
#define OnRigs(suite, name, count, list, ...)     \
    static void suite##_##name(struct rig *rig);  \
    Test(suite, name)                             \
    {                                             \
        for (unsigned v = 0; v < (count); v++) {  \
            struct rig_config on[] = {(list)[v]}; \
            struct rig bench, *rig = &bench;      \
            __VA_ARGS__;                          \
            suite##_##name(rig);                  \
            rig_close(rig);                       \
        }                                         \
    }                                             \
    static void suite##_##name(struct rig *rig)
#define OnEachRig(suite, name, ...) OnRigs(suite, name, RIG_VARIANTS, rig_variants, __VA_ARGS__)
/* Those of legacy drivers, too. */
#define OnEveryRig(suite, name, ...) \
    OnRigs(suite, name, RIG_ALL_VARIANTS, rig_all_variants, __VA_ARGS__)

#endif
