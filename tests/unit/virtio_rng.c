// SPDX-License-Identifier: BSD-2-Clause
#include "tests/harness/rig_test.h"
#include "tests/harness/test.h"
#include "virtio/rng/rng.h"
#include "virtio/spec.h"

static void open_started(struct rig *rig)
{
    rig_open_rng(rig);
    rig_start(rig, 0, 1, 64);
}

/* Asks for len bytes in buffers of at most `cut`; returns how many came. */
static uint32_t ask(struct rig *rig, uint64_t gpa, uint32_t len, uint32_t cut)
{
    struct vdrv_buf bufs[64];
    unsigned count = 0;
    uint32_t head, used = UINT32_MAX;
    for (uint32_t at = 0; at < len; at += cut)
        bufs[count++] = (struct vdrv_buf){gpa + at, len - at < cut ? len - at : cut, true};
    cr_assert_geq(vdrv_send(&rig->drv.q[0], bufs, count), 0);
    rig_step(rig);
    cr_assert(vdrv_used(&rig->drv.q[0], &head, &used));
    return used;
}

OnRig(virtio_rng, fills_buffers_in_order, open_started(rig))
{
    cr_expect_eq(vdrv_get(&rig->drv, VIRTIO_MMIO_DeviceID), VIRTIO_ID_ENTROPY);
    uint64_t gpa = vdrv_alloc(&rig->drv, 10000, 16);
    uint8_t *data = vdrv_ptr(&rig->drv, gpa, 10000);
    cr_expect_eq(ask(rig, gpa, 9999, 333), 9999);
    for (unsigned i = 0; i < 9999; i++)
        cr_assert_eq(data[i], fake_entropy_byte(i), "byte %u", i);
    cr_expect_eq(data[9999], 0, "not beyond what was asked for");
}

OnRig(virtio_rng, a_request_is_bounded, open_started(rig))
{
    uint64_t gpa = vdrv_alloc(&rig->drv, 100000, 16);
    cr_expect_eq(ask(rig, gpa, 100000, 100000), VIRTIO_RNG_REQUEST_BYTES);
    cr_expect_eq(*(uint8_t *)vdrv_ptr(&rig->drv, gpa + VIRTIO_RNG_REQUEST_BYTES, 1), 0);
}

OnRig(virtio_rng, one_byte_is_a_request_too, open_started(rig))
{
    cr_expect_eq(ask(rig, vdrv_alloc(&rig->drv, 1, 1), 1, 1), 1);
}

OnRig(virtio_rng, a_host_without_randomness_gives_none, open_started(rig))
{
    rig->random.fail = -EAGAIN;
    struct vdrv_buf buf = {vdrv_alloc(&rig->drv, 16, 16), 16, true};
    vdrv_send(&rig->drv.q[0], &buf, 1);
    rig_step(rig);
    cr_expect(rig_is_broken(rig));
    cr_expect_eq(vdrv_used_idx(&rig->drv.q[0]), 0, "no buffer goes back empty");
    rig->random.fail = 0;
    cr_assert(vdrv_start(&rig->drv, 0, 1, 64));
    cr_expect_eq(ask(rig, vdrv_alloc(&rig->drv, 16, 16), 16, 16), 16);
}

OnRig(virtio_rng, a_readable_buffer_is_left_alone, open_started(rig))
{
    uint32_t head, used;
    struct vdrv_buf buf = {vdrv_alloc(&rig->drv, 16, 16), 16, false};
    vdrv_send(&rig->drv.q[0], &buf, 1);
    rig_step(rig);
    cr_assert(vdrv_used(&rig->drv.q[0], &head, &used));
    cr_expect_eq(used, 0);
    cr_expect_eq(*(uint8_t *)vdrv_ptr(&rig->drv, buf.gpa, 1), 0);
}
