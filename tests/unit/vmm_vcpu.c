// SPDX-License-Identifier: BSD-2-Clause
/* vmm/machine/vcpu.c on a hypervisor that plays a script: dispatch, ends, pause and stop. */
#include "vmm/machine/vcpu.h"

#include <sched.h>

#include "core/loop/evloop.h"
#include "tests/harness/test.h"
#include "vmm/machine/hang.h"
#include "vmm/report/exits.h"

/* Plays its script once, then runs until it is kicked, over and over. */
struct hv_vcpu {
    const struct hv_exit *script;
    unsigned length, at;
    _Atomic bool kicked;
    _Atomic uint64_t entries;
    _Atomic bool inside;
    _Atomic int doing;
    _Atomic unsigned asked; /* what it does */
};

static struct hv_vcpu fakes[4];

static int fake_create(struct hv_vcpu **out, struct hv_vm *vm, unsigned id)
{
    (void)vm;
    if (id >= 4)
        return -ENOMEM;
    *out = &fakes[id];
    return 0;
}

static void fake_destroy(struct hv_vcpu *v)
{
    (void)v;
}

static int fake_run(struct hv_vcpu *v, struct hv_exit *exit)
{
    atomic_fetch_add(&v->entries, 1);
    if (v->at < v->length) {
        *exit = v->script[v->at++];
        return exit->raw_reason == 1 ? -EIO : 0;
    }
    atomic_store(&v->inside, true);
    while (!atomic_exchange(&v->kicked, false))
        sched_yield();
    atomic_store(&v->inside, false);
    exit->reason = HV_EXIT_INTERRUPTED;
    return 0;
}

static void fake_kick(struct hv_vcpu *v)
{
    atomic_store(&v->kicked, true);
}

static void fake_nothing(struct hv_vcpu *v)
{
    (void)v;
}

static _Atomic unsigned completed;

static void fake_complete(struct hv_vcpu *v)
{
    (void)v;
    completed++;
}

static unsigned pauses;

static void fake_paused(struct hv_vcpu *v)
{
    cr_assert_not(atomic_load(&v->inside));
    pauses++;
}

static void fake_dump(struct hv_vcpu *v, const struct hv_exit *exit, FILE *out)
{
    (void)v;
    fprintf(out, "registers of reason %d\n", exit->reason);
}

static int fake_doing(struct hv_vcpu *v)
{
    atomic_fetch_add(&v->asked, 1);
    return atomic_load(&v->doing);
}

static const struct hv hv_fake = {
    .name = "fake",
    .vcpu_create = fake_create,
    .vcpu_destroy = fake_destroy,
    .vcpu_run = fake_run,
    .vcpu_complete = fake_complete,
    .vcpu_kick = fake_kick,
    .vcpu_bind_thread = fake_nothing,
    .vcpu_paused = fake_paused,
    .vcpu_dump = fake_dump,
    .vcpu_doing = fake_doing,
};

/* A device that keeps what was written and counts up what is read. */
static struct {
    uint64_t offset[8], value[8];
    unsigned writes;
    uint64_t next;
} seen;

static uint64_t wait_at; /* the read during which a stop comes */

static uint64_t dev_read(void *dev, uint64_t offset, unsigned width)
{
    (void)dev;
    (void)offset;
    (void)width;
    while (seen.next + 1 == wait_at && !atomic_load(&fakes[0].kicked)) {
        atomic_store(&fakes[0].inside, true);
        sched_yield();
    }
    return ++seen.next;
}

static void dev_write(void *dev, uint64_t offset, unsigned width, uint64_t value)
{
    (void)dev;
    (void)width;
    seen.offset[seen.writes % 8] = offset;
    seen.value[seen.writes++ % 8] = value;
}

static const struct bus_ops dev_ops = {.read = dev_read, .write = dev_write};
static const struct bus_region port_region = {
    .name = "ports", .base = 0x100, .size = 8, .widths = BUS_W124, .ops = &dev_ops};
static const struct bus_region mmio_region = {
    .name = "mmio", .base = 0xd0000000, .size = 0x1000, .widths = BUS_W1248, .ops = &dev_ops};

static struct bus *mmio, *pio;
static _Atomic int ends;
static _Atomic enum power_event last_end;

static void on_end(void *ctx, enum power_event end, int status)
{
    (void)ctx, (void)status;
    atomic_store(&last_end, end);
    atomic_fetch_add(&ends, 1);
}

static struct vcpus *make_counting(unsigned count, const struct clock *clock)
{
    struct vcpus *g = NULL;
    listen_to_log(LOG_DEBUG);
    cr_assert_eq(bus_create(&mmio, "mmio", UINT64_MAX), 0);
    cr_assert_eq(bus_create(&pio, "pio", 65536), 0);
    cr_assert_eq(bus_add(mmio, &mmio_region), 0);
    cr_assert_eq(bus_add(pio, &port_region), 0);
    struct vcpus_config config = {.hv = &hv_fake,
                                  .count = count,
                                  .mmio = mmio,
                                  .pio = pio,
                                  .clock = clock,
                                  .is_watched = true,
                                  .power = {.request = on_end}};
    cr_assert_eq(vcpus_create(&g, &config), 0);
    return g;
}

static struct vcpus *make(unsigned count)
{
    return make_counting(count, NULL);
}

static void finish(struct vcpus *g)
{
    vcpus_destroy(g);
    bus_destroy(mmio);
    bus_destroy(pio);
}

static void wait_until_inside(unsigned id)
{
    while (!atomic_load(&fakes[id].inside))
        sched_yield();
}

Test(vcpu, accesses_reach_their_bus)
{
    uint8_t string_out[] = {1, 0, 2, 0, 3, 0};
    uint8_t read_back[4] = {0};
    uint64_t mmio_value = 0x1122334455667788;
    const struct hv_exit script[] = {
        {.reason = HV_EXIT_PIO,
         .addr = 0x102,
         .data = string_out,
         .width = 2,
         .count = 3,
         .is_write = true},
        {.reason = HV_EXIT_PIO, .addr = 0x100, .data = read_back, .width = 1, .count = 4},
        {.reason = HV_EXIT_MMIO,
         .addr = 0xd0000008,
         .data = &mmio_value,
         .width = 8,
         .count = 1,
         .is_write = true},
    };
    fakes[0] = (struct hv_vcpu){.script = script, .length = 3};
    struct vcpus *g = make(1);
    cr_assert_eq(vcpus_start(g), 0);
    wait_until_inside(0);
    vcpus_stop(g);
    cr_assert_eq(seen.writes, 4);
    for (unsigned i = 0; i < 3; i++) {
        cr_expect_eq(seen.offset[i], 2, "a string instruction stays on its port");
        cr_expect_eq(seen.value[i], i + 1, "and walks through the data");
    }
    cr_expect_eq(seen.offset[3], 8);
    cr_expect_eq(seen.value[3], mmio_value);
    cr_expect_eq(memcmp(read_back, (uint8_t[]){1, 2, 3, 4}, 4), 0);
    finish(g);
}

/* Each of its accesses may wait for a loop. */
Test(vcpu, a_stop_comes_between_the_accesses_of_a_string)
{
    uint8_t data[1024] = {0};
    const struct hv_exit string = {
        .reason = HV_EXIT_PIO, .addr = 0x100, .data = data, .width = 1, .count = 1024};
    fakes[0] = (struct hv_vcpu){.script = &string, .length = 1};
    wait_at = 3;
    struct vcpus *g = make(1);
    cr_assert_eq(vcpus_start(g), 0);
    wait_until_inside(0);
    vcpus_stop(g);
    cr_expect_eq(seen.next, 3);
    cr_expect_eq(completed, 0, "what has not been read yet is not given to the guest");

    atomic_store(&fakes[0].inside, false);
    cr_assert_eq(vcpus_start(g), 0);
    wait_until_inside(0);
    vcpus_stop(g);
    cr_expect_eq(seen.next, 1024, "the rest follows");
    for (unsigned i = 0; i < 1024; i++)
        cr_assert_eq(data[i], (uint8_t)(i + 1));
    cr_expect_eq(completed, 1);
    finish(g);
}

/* A clock that goes by one at each look: an exit takes one, and so does what is between two. */
static uint64_t tick(void *ctx)
{
    (void)ctx;
    static _Atomic uint64_t now;
    return atomic_fetch_add(&now, 1);
}

static const struct clock ticking = {.now_ns = tick};

Test(vcpu, exits_are_counted_by_who_took_them)
{
    uint8_t data[8] = {0};
    const struct hv_exit script[] = {
        {.reason = HV_EXIT_PIO, .addr = 0x102, .data = data, .width = 1, .count = 1},
        {.reason = HV_EXIT_PIO, .addr = 0x102, .data = data, .width = 2, .count = 2},
        {.reason = HV_EXIT_PIO, .addr = 0x200, .data = data, .width = 1, .count = 1},
        {.reason = HV_EXIT_MMIO, .addr = 0xd0000008, .data = data, .width = 8, .is_write = true},
        {.reason = HV_EXIT_SHUTDOWN},
    };
    static struct exits sum;
    fakes[0] = (struct hv_vcpu){.script = script, .length = 5};
    struct vcpus *g = make_counting(1, &ticking);
    cr_assert_eq(vcpus_start(g), 0);
    while (atomic_load(&ends) == 0)
        sched_yield();
    vcpus_stop(g);
    vcpus_exits(g, &sum);
    cr_assert_eq(sum.count, 4);
    cr_expect_eq(sum.inside_ns, 5);
    cr_expect_eq(sum.outside_ns, 5);
    static const struct exits_row rows[] = {{"port read", "ports", 2, 2, 1},
                                            {"port read", "none", 1, 1, 1},
                                            {"memory write", "mmio", 1, 1, 1},
                                            {"triple fault", NULL, 1, 1, 1}};
    for (unsigned i = 0; i < 4; i++) {
        cr_expect_str_eq(sum.rows[i].kind, rows[i].kind);
        cr_expect(i == 3 ? sum.rows[i].device == NULL
                         : strcmp(sum.rows[i].device, rows[i].device) == 0);
        cr_expect_eq(sum.rows[i].count, rows[i].count);
        cr_expect_eq(sum.rows[i].total_ns, rows[i].total_ns);
        cr_expect_eq(sum.rows[i].max_ns, rows[i].max_ns);
    }
    finish(g);
}

Test(vcpu, without_a_clock_nothing_is_counted)
{
    const struct hv_exit shutdown = {.reason = HV_EXIT_SHUTDOWN};
    static struct exits sum;
    fakes[0] = (struct hv_vcpu){.script = &shutdown, .length = 1};
    struct vcpus *g = make(1);
    cr_assert_eq(vcpus_start(g), 0);
    while (atomic_load(&ends) == 0)
        sched_yield();
    vcpus_exits(g, &sum);
    cr_expect_eq(sum.count, 0);
    finish(g);
}

static enum power_event end_of(const struct hv_exit exit)
{
    fakes[0] = (struct hv_vcpu){.script = &exit, .length = 1};
    atomic_store(&ends, 0);
    struct vcpus *g = make(1);
    cr_assert_eq(vcpus_start(g), 0);
    while (atomic_load(&ends) == 0)
        sched_yield();
    finish(g);
    cr_expect_eq(atomic_load(&ends), 1);
    return atomic_load(&last_end);
}

Test(vcpu, every_exit_reason_has_an_answer)
{
    static const struct {
        enum hv_exit_reason reason;
        enum power_event end;
    } rows[] = {
        {HV_EXIT_SHUTDOWN, POWER_PANIC},       {HV_EXIT_CRASH, POWER_PANIC},
        {HV_EXIT_RESET, POWER_RESET},          {HV_EXIT_POWER_OFF, POWER_OFF},
        {HV_EXIT_ENTRY_FAILED, POWER_FAULT},   {HV_EXIT_HALT, POWER_FAULT},
        {HV_EXIT_INTERNAL_ERROR, POWER_FAULT}, {HV_EXIT_UNKNOWN, POWER_FAULT},
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        cr_expect_eq(end_of((struct hv_exit){.reason = rows[i].reason}), rows[i].end, "reason %d",
                     rows[i].reason);
    cr_expect_eq(end_of((struct hv_exit){.raw_reason = 1}), POWER_FAULT);
}

Test(vcpu, stop_returns_when_no_vcpu_runs)
{
    for (unsigned i = 0; i < 4; i++)
        fakes[i] = (struct hv_vcpu){0};
    struct vcpus *g = make(4);
    cr_assert_eq(vcpus_start(g), 0);
    for (unsigned round = 0; round < 200; round++) {
        vcpus_stop(g);
        uint64_t before[4];
        for (unsigned i = 0; i < 4; i++) {
            cr_assert_not(atomic_load(&fakes[i].inside));
            before[i] = atomic_load(&fakes[i].entries);
        }
        sched_yield();
        for (unsigned i = 0; i < 4; i++)
            cr_assert_eq(atomic_load(&fakes[i].entries), before[i]);
        cr_assert_eq(vcpus_start(g), 0);
        for (unsigned i = 0; i < 4; i++)
            wait_until_inside(i);
    }
    finish(g);
}

Test(vcpu, a_pause_is_told_to_each)
{
    fakes[0] = fakes[1] = (struct hv_vcpu){0};
    struct vcpus *g = make(2);
    pauses = 0;
    cr_assert_eq(vcpus_start(g), 0);
    wait_until_inside(0);
    vcpus_pause(g);
    cr_expect_eq(pauses, 2);
    uint64_t before = atomic_load(&fakes[0].entries);
    cr_assert_eq(vcpus_start(g), 0);
    wait_until_inside(0);
    cr_expect_gt(atomic_load(&fakes[0].entries), before);
    vcpus_stop(g);
    cr_expect_eq(pauses, 2, "an end is no pause");
    finish(g);
}

Test(vcpu, one_that_has_ended_does_not_hold_up_a_stop_or_a_start)
{
    const struct hv_exit shutdown = {.reason = HV_EXIT_SHUTDOWN};
    fakes[0] = (struct hv_vcpu){0};
    fakes[1] = (struct hv_vcpu){.script = &shutdown, .length = 1};
    struct vcpus *g = make(2);
    cr_assert_eq(vcpus_start(g), 0);
    while (atomic_load(&ends) == 0)
        sched_yield();
    vcpus_stop(g);
    cr_assert_eq(vcpus_start(g), 0);
    wait_until_inside(0);
    vcpus_stop(g);
    finish(g);
}

Test(vcpu, a_failed_creation_leaves_nothing)
{
    struct vcpus *g = NULL;
    listen_to_log(LOG_DEBUG);
    struct vcpus_config config = {.hv = &hv_fake, .count = 5, .power = {.request = on_end}};
    cr_assert_eq(vcpus_create(&g, &config), -ENOMEM);
    cr_assert_null(g);
}

/* ---- guests that hang ---- */

#define HANG_NS UINT64_C(8000)

static uint64_t hang_now;
static unsigned hangs;

static uint64_t hang_now_ns(void *ctx)
{
    (void)ctx;
    return hang_now;
}

static const struct clock hang_clock = {.now_ns = hang_now_ns, .wall_ns = hang_now_ns};

static void on_hang(void *ctx)
{
    (void)ctx;
    hangs++;
}

/* So many looks, an eighth of the time between them; each is over before the next. */
static unsigned look_on(struct evloop *loop, unsigned count, unsigned looks)
{
    for (unsigned n = 0; n < looks && hangs == 0; n++) {
        unsigned before[4];
        for (unsigned i = 0; i < count; i++)
            before[i] = atomic_load(&fakes[i].asked);
        hang_now += HANG_NS / 8;
        evloop_drain(loop);
        for (unsigned i = 0; i < count; i++)
            while (atomic_load(&fakes[i].asked) == before[i])
                sched_yield();
        sched_yield();
    }
    return hangs;
}

static const struct {
    int first, second;
    bool hangs;
} doings[] = {{HV_DOES_WELL, HV_DOES_WELL, false}, {HV_DOES_WELL, HV_RUNS_MASKED, true},
              {HV_DOES_WELL, HV_IS_DEAD, false},   {HV_IS_OFF, HV_IS_OFF, false},
              {HV_IS_OFF, HV_IS_DEAD, true},       {HV_IS_DEAD, HV_IS_DEAD, true},
              {HV_RUNS_MASKED, HV_IS_DEAD, true},  {-EIO, -EIO, false},
              {HV_DOES_WELL, HV_IS_OFF, false}};

Test(vcpu, guests_that_hang_are_found)
{
    for (unsigned i = 0; i < ARRAY_SIZE(doings); i++) {
        struct evloop *loop = NULL;
        struct hang *hang = NULL;
        hangs = 0;
        fakes[0] = (struct hv_vcpu){.doing = doings[i].first};
        fakes[1] = (struct hv_vcpu){.doing = doings[i].second};
        struct vcpus *g = make(2);
        cr_assert_eq(evloop_create(&loop, "test", &hang_clock), 0);
        cr_assert_eq(vcpus_start(g), 0);
        cr_assert_eq(hang_create(&hang, &(struct hang_config){.loop = loop,
                                                              .clock = &hang_clock,
                                                              .vcpus = g,
                                                              .count = 2,
                                                              .time_ns = HANG_NS,
                                                              .on_hang = on_hang}),
                     0);
        cr_expect_eq(look_on(loop, 2, 8), 0, "row %u: too early", i);
        cr_expect_eq(look_on(loop, 2, 8), doings[i].hangs, "row %u", i);
        hang_destroy(hang);
        evloop_destroy(loop);
        finish(g);
    }
}

Test(vcpu, a_guest_that_takes_an_interrupt_now_and_then_does_not_hang)
{
    struct evloop *loop = NULL;
    struct hang *hang = NULL;
    fakes[0] = (struct hv_vcpu){.doing = HV_RUNS_MASKED};
    struct vcpus *g = make(1);
    cr_assert_eq(evloop_create(&loop, "test", &hang_clock), 0);
    cr_assert_eq(vcpus_start(g), 0);
    cr_assert_eq(hang_create(&hang, &(struct hang_config){.loop = loop,
                                                          .clock = &hang_clock,
                                                          .vcpus = g,
                                                          .count = 1,
                                                          .time_ns = HANG_NS,
                                                          .on_hang = on_hang}),
                 0);
    for (unsigned i = 0; i < 4; i++) {
        atomic_store(&fakes[0].doing, HV_RUNS_MASKED);
        cr_expect_eq(look_on(loop, 1, 6), 0);
        atomic_store(&fakes[0].doing, HV_DOES_WELL);
        cr_expect_eq(look_on(loop, 1, 2), 0);
    }
    hang_destroy(hang);
    evloop_destroy(loop);
    finish(g);
}

/* Where it is, unless it has said so; of many only some. */
Test(vcpu, where_they_are_is_printed)
{
    const struct hv_exit script = {.reason = HV_EXIT_SHUTDOWN};
    char *text = NULL;
    size_t bytes;
    fakes[0] = (struct hv_vcpu){.script = &script, .length = 1};
    fakes[1] = fakes[2] = (struct hv_vcpu){0};
    struct vcpus *g = make(3);
    cr_assert_eq(vcpus_start(g), 0);
    while (atomic_load(&ends) == 0)
        sched_yield();
    vcpus_stop(g);
    cr_expect(vcpus_triple_faulted(g));
    FILE *out = open_memstream(&text, &bytes);
    vcpus_print(g, 2, out);
    fclose(out);
    cr_expect_not_null(strstr(text, "and 1 other vCPUs"), "%s", text);
    cr_expect_eq(strncmp(text, "registers of reason ", 20), 0, "%s", text);
    free(text);
    finish(g);
}
