// SPDX-License-Identifier: BSD-2-Clause
#include "tvm.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arch/arch.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/xmath.h"
#include "core/loop/evloop.h"
#include "core/memory/gmem.h"
#include "firmware/kernel/boot_request.h"
#include "kvm/kvm.h"
#include "tap.h"
#include "vmm/report/exits.h"

#define DEFAULT_RAM_BYTES (16 * MIB)
#define SERIAL            (arch_host.pio_limit != 0 ? 0x3f8 : 0x01000000)
#define SERIAL_BYTES      8
#define PIO_LATCH_PORT    0x510

static void end_run(struct tvm *t, enum tvm_end end, uint8_t status)
{
    pthread_mutex_lock(&t->lock);
    if (t->end == TVM_RUNS) {
        t->end = end;
        t->exit_status = status;
    }
    pthread_cond_broadcast(&t->changed);
    pthread_mutex_unlock(&t->lock);
}

static void on_end(void *ctx, enum power_event end, int status)
{
    static const enum tvm_end ends[] = {
        [POWER_RESET] = TVM_RESET, [POWER_OFF] = TVM_OFF,     [POWER_EXIT] = TVM_STATUS,
        [POWER_PANIC] = TVM_PANIC, [POWER_FAULT] = TVM_FAULT,
    };
    end_run(ctx, ends[end], (uint8_t)status);
}

static void on_log(void *ctx, enum log_level level, const char *line)
{
    struct tvm *t = ctx;
    (void)level;
    pthread_mutex_lock(&t->lock);
    int n = snprintf(t->log + t->log_bytes, TVM_TEXT - t->log_bytes, "%s\n", line);
    if (n > 0)
        t->log_bytes = (unsigned)min_u64(t->log_bytes + (unsigned)n, TVM_TEXT - 1);
    pthread_mutex_unlock(&t->lock);
}

/* ---- devices ---- */
static void on_stamp(void *ctx, uint8_t value)
{
    struct tvm *t = ctx;
    pthread_mutex_lock(&t->lock);
    if (t->stamp_count < TVM_STAMPS)
        t->stamps[t->stamp_count++] = value;
    pthread_cond_broadcast(&t->changed);
    pthread_mutex_unlock(&t->lock);
}

static void write_serial(void *dev, uint64_t offset, unsigned width, uint64_t value)
{
    struct tvm *t = dev;
    (void)offset, (void)width;
    pthread_mutex_lock(&t->lock);
    if (t->text_bytes + 1 < TVM_TEXT)
        t->text[t->text_bytes++] = (char)value;
    pthread_mutex_unlock(&t->lock);
}

/* How many CPUs there are, and what machines without ports have for stamps. */
static uint64_t read_own(void *dev, uint64_t offset, unsigned width)
{
    (void)offset, (void)width;
    return ((struct tvm *)dev)->cpus;
}

static void write_own(void *dev, uint64_t offset, unsigned width, uint64_t value)
{
    (void)width;
    if (offset == 1)
        on_stamp(dev, (uint8_t)value);
}

static uint64_t read_ones(void *dev, uint64_t offset, unsigned width)
{
    (void)dev, (void)offset;
    return width_mask(width);
}

static uint64_t read_latch(void *dev, uint64_t offset, unsigned width)
{
    const struct tvm_latch *l = dev;
    uint64_t value = 0;
    memcpy(&value, l->bytes + offset, width);
    return value;
}

static void write_latch(void *dev, uint64_t offset, unsigned width, uint64_t value)
{
    struct tvm_latch *l = dev;
    memcpy(l->bytes + offset, &value, width);
    l->writes++;
}

static const struct bus_ops serial_ops = {.read = read_ones, .write = write_serial};
static const struct bus_ops own_ops = {.read = read_own, .write = write_own};
static const struct bus_ops latch_ops = {.read = read_latch, .write = write_latch};

static void add_bytes(struct tvm *t, struct bus *bus, struct bus_region *r, uint64_t base,
                      uint64_t bytes, const struct bus_ops *ops)
{
    *r = (struct bus_region){
        .name = "tvm", .base = base, .size = bytes, .widths = BUS_W1, .ops = ops, .dev = t};
    CHECK_EQ(bus_add(bus, r), 0);
}

static void add_latch(struct bus *bus, struct tvm_latch *l, uint64_t addr, uint64_t bytes)
{
    l->region = (struct bus_region){.name = "latch",
                                    .base = addr,
                                    .size = bytes,
                                    .widths = BUS_W1248,
                                    .ops = &latch_ops,
                                    .dev = l};
    CHECK_EQ(bus_add(bus, &l->region), 0);
}

static void add_devices(struct tvm *t)
{
    add_bytes(t, t->pio != NULL ? t->pio : t->mmio, &t->serial, SERIAL, SERIAL_BYTES, &serial_ops);
    add_bytes(t, t->mmio, &t->own, TVM_OWN_GPA, 2, &own_ops);
    add_latch(t->mmio, &t->mmio_latch, TVM_LATCH_GPA, 16);
    add_latch(t->mmio, &t->mmio_doorbell, TVM_DOORBELL_GPA, 16);
    if (t->pio != NULL) {
        add_latch(t->pio, &t->pio_latch, PIO_LATCH_PORT, 4);
        add_latch(t->pio, &t->pio_doorbell, TVM_DOORBELL_PORT, 2);
    }
}

/* ---- life ---- */
void tvm_guest(char path[TVM_PATH], const char *name)
{
    const char *dir = getenv("MINIVET_GUESTS");
    snprintf(path, TVM_PATH, "%s/%s" GUEST_SUFFIX, dir != NULL ? dir : GUESTS_DIR, name);
}

/* What the machine of this architecture has, but its serial port. */
static void create_board(struct tvm *t, const struct tvm_config *config)
{
    static const struct pci_windows no_windows;
    char path[TVM_PATH];
    tvm_guest(path, config->guest);
    CHECK_EQ(bus_create(&t->mmio, "mmio", arch_host.mmio_limit), 0);
    if (arch_host.pio_limit != 0)
        CHECK_EQ(bus_create(&t->pio, "pio", arch_host.pio_limit), 0);
    CHECK_EQ(evloop_create(&t->loop, "tvm", &clock_host), 0);
    CHECK_EQ(arch_host.board_create(&t->board, &(struct board_config){.hv = &hv_kvm,
                                                                      .vm = t->vm,
                                                                      .gmem = t->gmem,
                                                                      .mmio = t->mmio,
                                                                      .pio = t->pio,
                                                                      .loop = t->loop,
                                                                      .power = {on_end, t},
                                                                      .vcpus = t->cpus,
                                                                      .on_post_code = on_stamp,
                                                                      .ctx = t}),
             0);
    add_devices(t);
    CHECK_EQ(arch_host.describe(t->board, &(struct board_devices){.windows = &no_windows}), 0);
    CHECK_EQ(arch_host.load_kernel(t->board,
                                   &(struct boot_request){
                                       .kernel_path = path,
                                       .cmdline = config->cmdline != NULL ? config->cmdline : "",
                                   }),
             0);
}

void tvm_create(struct tvm *t, const struct tvm_config *config)
{
    *t = (struct tvm){.cpus = config->cpus != 0 ? config->cpus : 1};
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->changed, NULL);
    uint64_t ram_bytes = config->ram_bytes != 0 ? config->ram_bytes : DEFAULT_RAM_BYTES;
    CHECK_EQ(gmem_create(&t->gmem, ram_bytes, arch_host.hole_gpa, arch_host.hole_end_gpa), 0);
    CHECK_EQ(
        hv_kvm.vm_create(
            &t->vm, &(struct hv_vm_config){.memory = t->gmem, .vcpus = t->cpus, .stats = true}),
        0);
    create_board(t, config);
    const struct vcpus_config vcpus = {.hv = &hv_kvm,
                                       .vm = t->vm,
                                       .count = t->cpus,
                                       .mmio = t->mmio,
                                       .pio = t->pio,
                                       .clock = &clock_host,
                                       .power = {on_end, t}};
    CHECK_EQ(vcpus_create(&t->vcpus, &vcpus), 0);
    for (unsigned i = 0; i < t->cpus; i++)
        CHECK_EQ(arch_host.power_on(t->board, vcpus_get(t->vcpus, i), i), 0);
    log_set_sink(on_log, t);
}

void tvm_start(struct tvm *t)
{
    CHECK_EQ(vcpus_start(t->vcpus), 0);
}

enum tvm_end tvm_wait(struct tvm *t)
{
    pthread_mutex_lock(&t->lock);
    while (t->end == TVM_RUNS)
        pthread_cond_wait(&t->changed, &t->lock);
    pthread_mutex_unlock(&t->lock);
    vcpus_stop(t->vcpus);
    return t->end;
}

void tvm_destroy(struct tvm *t)
{
    log_set_sink(NULL, NULL);
    vcpus_destroy(t->vcpus);
    arch_host.board_destroy(t->board);
    evloop_destroy(t->loop);
    bus_destroy(t->pio);
    bus_destroy(t->mmio);
    hv_kvm.vm_destroy(t->vm);
    gmem_destroy(t->gmem);
    pthread_cond_destroy(&t->changed);
    pthread_mutex_destroy(&t->lock);
}

static void expect_passed(struct tvm *t)
{
    enum tvm_end end = tvm_wait(t);
    if (end != TVM_STATUS || t->exit_status != 0)
        tap_say("guest: %s log: %s", t->text, t->log);
    CHECK_EQ(end, TVM_STATUS);
    CHECK_EQ(t->exit_status, 0);
}

void tvm_finish(struct tvm *t)
{
    tvm_start(t);
    expect_passed(t);
}

void tvm_run_ok(const struct tvm_config *config)
{
    static struct tvm t;
    tvm_create(&t, config);
    tvm_finish(&t);
    tvm_destroy(&t);
}

static uint64_t accesses(const struct tvm *t)
{
    static struct exits sum;
    sum = (struct exits){0};
    vcpus_exits(t->vcpus, &sum);
    uint64_t count = 0;
    for (unsigned i = 0; i < sum.count; i++)
        count += sum.rows[i].device != NULL ? sum.rows[i].count : 0;
    return count;
}

static bool runs(struct tvm *t)
{
    pthread_mutex_lock(&t->lock);
    bool runs = t->end == TVM_RUNS;
    pthread_mutex_unlock(&t->lock);
    return runs;
}

void tvm_run_paused(const char *guest)
{
    static struct tvm t;
    for (unsigned i = 0; i < 5; i++) {
        tvm_create(&t, &(struct tvm_config){.guest = guest});
        tvm_start(&t);
        while (runs(&t)) {
            uint64_t before = accesses(&t);
            while (runs(&t) && accesses(&t) == before)
                sched_yield();
            vcpus_stop(t.vcpus);
            CHECK_EQ(vcpus_start(t.vcpus), 0);
        }
        expect_passed(&t);
        tvm_destroy(&t);
    }
}

uint64_t tvm_msi_gpa(void)
{
    static const struct {
        const char *arch;
        uint64_t gpa;
    } places[] = {{"x86_64", 0xfee00000}, {"aarch64", 0x08090040}, {"riscv64", 0x28000000}};
    unsigned i = 0;
    while (strcmp(places[i].arch, arch_host.name) != 0)
        i++;
    return places[i].gpa;
}

_Atomic uint64_t *tvm_counters(const struct tvm *t)
{
    return gmem_ptr(t->gmem, t->gmem->regions[0].gpa + TVM_COUNTER, 4 * 8, 8);
}

uint8_t tvm_wait_stamp(struct tvm *t, unsigned n)
{
    pthread_mutex_lock(&t->lock);
    while (t->end == TVM_RUNS && t->stamp_count <= n)
        pthread_cond_wait(&t->changed, &t->lock);
    if (t->stamp_count <= n)
        tap_say("guest: %s log: %s", t->text, t->log);
    CHECK(t->stamp_count > n);
    uint8_t stamp = t->stamps[n];
    pthread_mutex_unlock(&t->lock);
    return stamp;
}
