// SPDX-License-Identifier: BSD-2-Clause
/* What x86-64 alone asks of the buses, or finds: ports, odd accesses, the device hole, CPUID. */
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/base/xmath.h"
#include "core/memory/gmem.h"
#include "core/ports/doorbell.h"
#include "kvm/kvm.h"
#include "tap.h"
#include "tvm.h"
#include "vmm/report/exits.h"

#define RINGS 100 /* as many as the guest makes */

static struct tvm t;

static void port_widths(void)
{
    tvm_run_ok(&(struct tvm_config){.guest = "pio"});
}

static void paused_port_access(void)
{
    tvm_run_paused("pio");
}

static void any_memory_access(void)
{
    tvm_run_ok(&(struct tvm_config){.guest = "mmio_any"});
}

static void cpuid(void)
{
    for (unsigned cpus = 1; cpus <= 4; cpus++)
        tvm_run_ok(&(struct tvm_config){.guest = "cpuid", .cpus = cpus});
}

/* 5 GiB: 3 below the hole, 2 from 4 GiB up. The host sees what the guest wrote. */
static void memory_above_4_gib(void)
{
    tvm_create(&t, &(struct tvm_config){.guest = "highmem", .ram_bytes = 5 * GIB});
    tvm_finish(&t);
    const uint64_t gpas[] = {4 * GIB, 5 * GIB, 6 * GIB - 8};
    for (unsigned i = 0; i < ARRAY_SIZE(gpas); i++) {
        uint64_t value;
        CHECK_EQ(gmem_read(t.gmem, gpas[i], &value, sizeof(value)), 0);
        CHECK_EQ(value, gpas[i] * 0x9e3779b97f4a7c15);
    }
    tvm_destroy(&t);
}

static void port_doorbell(void)
{
    tvm_create(&t, &(struct tvm_config){.guest = "doorbell_port"});
    const struct doorbell bell = hv_kvm.doorbell(t.vm);
    const struct doorbell_addr addr = {BUS_PIO, TVM_DOORBELL_PORT, 2, true, 3};
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    CHECK_EQ(doorbell_bind(&bell, &addr, fd), 0);
    tvm_finish(&t);
    eventfd_t rings = 0;
    CHECK_EQ(eventfd_read(fd, &rings), 0);
    CHECK_EQ(rings, RINGS);
    CHECK_EQ(t.pio_doorbell.writes, 0);
    close(fd);
    tvm_destroy(&t);
}

static void port_writes_are_counted(void)
{
    static struct exits sum;
    uint64_t port = 0;
    tvm_create(&t, &(struct tvm_config){.guest = "doorbell_port"});
    tvm_finish(&t);
    vcpus_exits(t.vcpus, &sum);
    for (unsigned i = 0; i < sum.count; i++) {
        const struct exits_row *r = &sum.rows[i];
        if (r->device != NULL && strcmp(r->device, "latch") == 0)
            port += strcmp(r->kind, "port write") == 0 ? r->count : 0;
    }
    CHECK_EQ(port, RINGS);
    CHECK_EQ(t.pio_doorbell.writes, RINGS);
    tvm_destroy(&t);
}

const struct tap_test port_tests[] = {
    {"ports: accesses of every width, single and repeated", port_widths, 0},
    {"ports: pauses lose no access", paused_port_access, 0},
    {"ports: a doorbell rings without an exit", port_doorbell, 0},
    {"ports: exits are counted", port_writes_are_counted, 0},
    {"exits: memory accesses that are not aligned, and repeated", any_memory_access, 0},
    {"exits: memory on both sides of the device hole", memory_above_4_gib, 0},
    {"exits: CPUID knows each CPU", cpuid, 0},
    {0},
};
