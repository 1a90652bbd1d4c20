// SPDX-License-Identifier: BSD-2-Clause
/*
 * Leaves to the host over and over, for tools/bench exit. On the kernel's command line:
 *   what=0  a port that nobody has         what=1  a register of the local APIC, KVM's
 *   what=2  a register of a virtio device  what=3  a queue's doorbell (nothing is in the queue)
 *   what=4  cpuid                          ticks=N how long; linger=N at the end
 * It says when it starts, and ends with a line of results on the serial port; ticks are those of
 * the time stamp counter.
 */
#include "driver/load.h"
#include "driver/ring.h"
#include "driver/transport.h"
#include "rt.h"
#include "virtio/spec.h"

#define NOBODYS_PORT  0x999
#define LAPIC_VERSION 0xfee00030
#define AT_ONCE       64 /* between two looks at the clock */

enum { PORT, APIC, REGISTER, DOORBELL, CPUID };

static uint64_t what, linger, ticks = 1000000000;
static struct ring_memory ring_memory;
static struct ring ring;

static uint64_t open_device(void)
{
    uint64_t gpa = transport_find(VIRTIO_ID_ENTROPY);
    CHECK(gpa != 0);
    uint64_t features = transport_negotiate(gpa, VIRTIO_BIT(VIRTIO_F_VERSION_1));
    ring_init(&ring, &ring_memory,
              transport_queue_max(gpa, 0) < 8 ? transport_queue_max(gpa, 0) : 8, 1, features);
    transport_queue(gpa, 0, &ring);
    transport_start(gpa);
    return gpa;
}

static void leave(uint64_t device_gpa)
{
    uint32_t out[4];
    switch (what) {
    case PORT:
        inb(NOBODYS_PORT);
        break;
    case APIC:
        mmio_read32(LAPIC_VERSION);
        break;
    case REGISTER:
        mmio_read32(device_gpa + VIRTIO_MMIO_MagicValue);
        break;
    case DOORBELL:
        transport_kick(device_gpa, 0);
        break;
    default:
        cpuid(0, 0, out);
        break;
    }
}

int main(void)
{
    const struct load_order words[] = {{"what", &what}, {"ticks", &ticks}, {"linger", &linger}};
    rt_irq_init();
    load_take_orders(words, sizeof(words) / sizeof(words[0]));
    CHECK(what <= CPUID);
    uint64_t device_gpa = what == REGISTER || what == DOORBELL ? open_device() : 0;
    rt_puts("exit: start\n");
    uint64_t exits = 0, begin = rt_ticks(), now;
    do {
        for (unsigned i = 0; i < AT_ONCE; i++)
            leave(device_gpa);
        exits += AT_ONCE;
        now = rt_ticks();
    } while (now - begin < ticks);
    rt_puts("exit: end");
    load_say("exits", exits);
    load_say("ticks", now - begin);
    rt_puts("\n");
    load_sleep(linger);
    return 0;
}
