// SPDX-License-Identifier: BSD-2-Clause
/*
 * A test bench: memory with a hole, a bus, a loop, one device behind a virtio-mmio window in the
 * hole, and a driver for it. rig_step() is what happens while the guest waits.
 */
#ifndef MINIVET_TESTS_HARNESS_RIG_H
#define MINIVET_TESTS_HARNESS_RIG_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/harness/fake.h"
#include "tests/harness/vdrv.h"
#include "virtio/device.h"

struct bus;
struct gmem;

#define RIG_RAM_BYTES    UINT64_C(0x400000) /* half of it below the hole */
#define RIG_HOLE_GPA     UINT64_C(0x200000)
#define RIG_HOLE_END_GPA UINT64_C(0x300000)
#define RIG_RAM_END_GPA  UINT64_C(0x500000)
#define RIG_WINDOW_GPA   UINT64_C(0x210000)
#define RIG_DISK_BYTES   UINT64_C(0x100000)

/*
 * A device for tests of what all devices share: copies what it reads to where it may write, on two
 * queues. Its configuration space is 10 bytes, 1 to 10, which the guest may write.
 */
struct echo {
    struct virtio_device dev;
    uint8_t config[10];
    unsigned activations, resets, stops, served;
    int refuse; /* a negative errno for activate() */
    bool hold;  /* takes chains and keeps them */
    struct vq_chain *held;
};

struct rig {
    struct gmem *gmem;
    struct bus *bus;
    struct evloop *loop;
    struct clock clock;
    struct fake_clock time;
    struct fake_irq irq;
    struct fake_doorbell bell;
    struct virtio_device *dev;
    struct virtio_mmio *mmio;
    struct vdrv drv;

    /* Which of them there is says the rig_open_ function. */
    struct echo echo;
    struct virtio_blk *blk;
    struct fake_blk disk;
    struct virtio_rng *rng;
    struct fake_entropy random;
    struct entropy entropy;
    struct virtio_console *console;
    struct fake_chr chr;
};

void rig_open_echo(struct rig *rig);
void rig_open_blk(struct rig *rig, bool read_only);
void rig_open_rng(struct rig *rig);
void rig_open_console(struct rig *rig);
void rig_close(struct rig *rig);

/* Until the loop has nothing to do. */
void rig_step(struct rig *rig);

/* DEVICE_NEEDS_RESET */
bool rig_is_broken(struct rig *rig);

#endif
