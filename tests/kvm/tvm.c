// SPDX-License-Identifier: BSD-2-Clause
#include "tvm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arch/x86_64/power_on.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/xmath.h"
#include "core/memory/gmem.h"
#include "firmware/x86/e820.h"
#include "firmware/x86/linux_boot.h"
#include "firmware/x86/x86_layout.h"
#include "kvm/kvm.h"
#include "tap.h"

#define DEFAULT_RAM_BYTES (16 * MIB)
#define CPU_COUNT_PORT    0x520
#define PIO_LATCH_PORT    0x510
#define S5_WRITTEN        (0x20 | X86_S5_TYPE << 2)

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

static void on_vcpu_end(void *ctx, enum power_event end, int status)
{
    static const enum tvm_end ends[] = {
        [POWER_RESET] = TVM_RESET,
        [POWER_OFF] = TVM_OFF,
        [POWER_PANIC] = TVM_PANIC,
        [POWER_FAULT] = TVM_FAULT,
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
static void write_status(void *dev, uint64_t offset, unsigned width, uint64_t value)
{
    (void)offset, (void)width;
    end_run(dev, TVM_STATUS, (uint8_t)value);
}

static void write_stamp(void *dev, uint64_t offset, unsigned width, uint64_t value)
{
    struct tvm *t = dev;
    (void)offset, (void)width;
    pthread_mutex_lock(&t->lock);
    if (t->stamp_count < TVM_STAMPS)
        t->stamps[t->stamp_count++] = (uint8_t)value;
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

static void write_power(void *dev, uint64_t offset, unsigned width, uint64_t value)
{
    (void)offset, (void)width;
    if (value == S5_WRITTEN)
        end_run(dev, TVM_OFF, 0);
}

static uint64_t read_cpu_count(void *dev, uint64_t offset, unsigned width)
{
    (void)offset, (void)width;
    return ((struct tvm *)dev)->cpus;
}

static uint64_t read_ones(void *dev, uint64_t offset, unsigned width)
{
    (void)dev, (void)offset;
    return width_mask(width);
}

static void write_nothing(void *dev, uint64_t offset, unsigned width, uint64_t value)
{
    (void)dev, (void)offset, (void)width, (void)value;
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

static const struct bus_ops status_ops = {.read = read_ones, .write = write_status};
static const struct bus_ops stamp_ops = {.read = read_ones, .write = write_stamp};
static const struct bus_ops serial_ops = {.read = read_ones, .write = write_serial};
static const struct bus_ops power_ops = {.read = read_ones, .write = write_power};
static const struct bus_ops cpu_count_ops = {.read = read_cpu_count, .write = write_nothing};
static const struct bus_ops latch_ops = {.read = read_latch, .write = write_latch};

static void add_port(struct tvm *t, struct bus_region *r, const char *name, uint64_t port,
                     const struct bus_ops *ops)
{
    *r = (struct bus_region){
        .name = name, .base = port, .size = 1, .widths = BUS_W1, .ops = ops, .dev = t};
    CHECK_EQ(bus_add(t->pio, r), 0);
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
    CHECK_EQ(bus_create(&t->mmio, "mmio", UINT64_C(1) << 48), 0);
    CHECK_EQ(bus_create(&t->pio, "pio", 65536), 0);
    add_port(t, &t->status, "status", X86_DEBUG_EXIT_PORT, &status_ops);
    add_port(t, &t->stamp, "stamp", X86_POST_PORT, &stamp_ops);
    add_port(t, &t->serial, "serial", X86_SERIAL_PORT, &serial_ops);
    add_port(t, &t->power, "power", X86_SLEEP_CONTROL_PORT, &power_ops);
    add_port(t, &t->cpu_count, "cpus", CPU_COUNT_PORT, &cpu_count_ops);
    add_latch(t->pio, &t->pio_latch, PIO_LATCH_PORT, 4);
    add_latch(t->pio, &t->pio_doorbell, TVM_DOORBELL_PORT, 2);
    add_latch(t->mmio, &t->mmio_latch, TVM_LATCH_GPA, 16);
    add_latch(t->mmio, &t->mmio_doorbell, TVM_DOORBELL_GPA, 16);
}

/* ---- life ---- */
static void load(struct tvm *t, const struct tvm_config *config, struct boot_state *state)
{
    char path[512];
    const char *dir = getenv("MINIVET_GUESTS");
    snprintf(path, sizeof(path), "%s/%s.elf", dir != NULL ? dir : GUESTS_DIR, config->guest);
    struct e820_map map;
    e820_build(&map, t->gmem, false, 0);
    CHECK_EQ(linux_boot_load(t->gmem,
                             &(struct linux_boot_config){
                                 .request.kernel_path = path,
                                 .request.cmdline = config->cmdline != NULL ? config->cmdline : "",
                                 .map = &map,
                             },
                             state),
             0);
}

void tvm_create(struct tvm *t, const struct tvm_config *config)
{
    *t = (struct tvm){.cpus = config->cpus != 0 ? config->cpus : 1};
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->changed, NULL);
    uint64_t ram_bytes = config->ram_bytes != 0 ? config->ram_bytes : DEFAULT_RAM_BYTES;
    CHECK_EQ(gmem_create(&t->gmem, ram_bytes, X86_HOLE_GPA, X86_HOLE_END_GPA), 0);
    CHECK_EQ(
        hv_kvm.vm_create(
            &t->vm, &(struct hv_vm_config){.memory = t->gmem, .vcpus = t->cpus, .stats = true}),
        0);
    add_devices(t);

    struct boot_state state;
    load(t, config, &state);
    const struct vcpus_config vcpus = {.hv = &hv_kvm,
                                       .vm = t->vm,
                                       .count = t->cpus,
                                       .mmio = t->mmio,
                                       .pio = t->pio,
                                       .clock = &clock_host,
                                       .power = {on_vcpu_end, t}};
    CHECK_EQ(vcpus_create(&t->vcpus, &vcpus), 0);
    for (unsigned i = 0; i < t->cpus; i++)
        CHECK_EQ(x86_power_on(&hv_kvm, t->vm, vcpus_get(t->vcpus, i), i, t->cpus, &state), 0);
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
    bus_destroy(t->pio);
    bus_destroy(t->mmio);
    hv_kvm.vm_destroy(t->vm);
    gmem_destroy(t->gmem);
    pthread_cond_destroy(&t->changed);
    pthread_mutex_destroy(&t->lock);
}

void tvm_finish(struct tvm *t)
{
    tvm_start(t);
    enum tvm_end end = tvm_wait(t);
    if (end != TVM_STATUS || t->exit_status != 0)
        tap_say("guest: %s log: %s", t->text, t->log);
    CHECK_EQ(end, TVM_STATUS);
    CHECK_EQ(t->exit_status, 0);
}

void tvm_run_ok(const struct tvm_config *config)
{
    static struct tvm t;
    tvm_create(&t, config);
    tvm_finish(&t);
    tvm_destroy(&t);
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
