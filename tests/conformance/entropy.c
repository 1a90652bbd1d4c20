// SPDX-License-Identifier: BSD-2-Clause
/* The entropy device: VIRTIO 1.4 5.4. */
#include "conformance.h"

#include <errno.h>

/* Each buffer gets at least one random byte. */
Requirement(entropy_op_1, RNG, EVERYWHERE)
{
    static const uint32_t sizes[] = {1, 2, 64, 4096, 65536};
    start(rig, 0, 8);
    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        uint64_t given = rig->random.given;
        struct vdrv_buf buf = {0x100000, sizes[i], true};
        uint32_t len;
        demand(vdrv_send(&rig->drv.q[0], &buf, 1) >= 0);
        rig_step(rig);
        demand(has_used(rig, 0));
        take_one(rig, 0, &len);
        expect(len >= 1 && len <= sizes[i]);
        const uint8_t *data = vdrv_ptr(&rig->drv, 0x100000, len);
        for (uint32_t n = 0; n < len; n++)
            demand(data[n] == fake_entropy_byte(given + n));
    }
    /* A host that has none: the buffer does not come back empty. */
    struct vdrv_buf buf = {0x100000, 16, true};
    rig->random.fail = -EAGAIN;
    demand(vdrv_send(&rig->drv.q[0], &buf, 1) >= 0);
    rig_step(rig);
    expect(!has_used(rig, 0));
}
