// SPDX-License-Identifier: BSD-2-Clause
/*
 * The driver monitor: every rule has a driver that breaks it and nothing else, and is told so with
 * the section; a driver that breaks none hears nothing, whatever it uses.
 */
#include <linux/input-event-codes.h>

#include "core/ports/bus.h"
#include "tests/harness/blkreq.h"
#include "tests/harness/test.h"
#include "tests/harness/types.h"
#include "tests/unit/virtio_strict_cases.h"
#include "virtio/blk/blk.h"
#include "virtio/console/console.h"
#include "virtio/input/input.h"
#include "virtio/spec.h"

struct heard {
    unsigned lines;
    char all[8192];
};

static void hear(void *ctx, enum log_level level, const char *line)
{
    struct heard *h = ctx;
    size_t used = strlen(h->all);
    (void)level;
    if (strncmp(line, "strict: ", 8) != 0)
        return;
    h->lines++;
    snprintf(h->all + used, sizeof(h->all) - used, "%s\n", line);
}

void strict_open(struct rig *rig, enum strict_device device, const struct rig_config *config)
{
    static void (*const open[])(struct rig *, const struct rig_config *) = {
        [ON_ECHO] = rig_open_echo_on,       [ON_BLK] = rig_open_blk_on,
        [ON_RNG] = rig_open_rng_on,         [ON_CONSOLE] = rig_open_console_on,
        [ON_SCSI] = rig_open_scsi_on,       [ON_NET] = rig_open_net_on,
        [ON_INPUT] = rig_open_input_on,     [ON_GPU] = rig_open_gpu_on,
        [ON_BALLOON] = rig_open_balloon_on, [ON_VSOCK] = rig_open_vsock_on,
        [ON_RTC] = rig_open_rtc_on,         [ON_FS] = rig_open_fs_on,
    };
    open[device](rig, config);
}

/* ---- who breaks a rule is told ---- */

static void run_case(const struct strict_case *c, unsigned index)
{
    struct rig rig;
    struct rig_config config = c->config;
    struct heard heard = {0};
    char section[64];
    config.strict = true;
    strict_open(&rig, c->device, &config);
    const struct virtio_rule *info = strict_rule_info(rig.dev->cfg.type, c->rule);
    log_set_sink(hear, &heard);
    strict_slip(&rig, c);
    log_set_sink(NULL, NULL);
    uint64_t count = virtio_strict_count(rig.dev, c->rule), total = virtio_strict_total(rig.dev);
    cr_expect_gt(count, 0, "case %u, %s: %s\n%s", index, info->section, info->text, heard.all);
    snprintf(section, sizeof(section), "VIRTIO 1.4 %s: %s: ", info->section, info->text);
    cr_expect_not_null(strstr(heard.all, section), "case %u: %s", index, heard.all);
    if (!c->more)
        cr_expect_eq(count, total, "case %u, %s: more than that:\n%s", index, info->text,
                     heard.all);
    rig_close(&rig);
}

Test(virtio_strict, slips_by_registers_are_told)
{
    for (unsigned i = 0; i < strict_register_count; i++)
        run_case(&strict_register_cases[i], i);
}

Test(virtio_strict, slips_in_rings_are_told)
{
    for (unsigned i = 0; i < strict_ring_count; i++)
        run_case(&strict_ring_cases[i], i);
}

Test(virtio_strict, slips_in_requests_are_told)
{
    for (unsigned i = 0; i < strict_type_count; i++)
        run_case(&strict_type_cases[i], i);
}

/* A type's rules have the same numbers as another's: its cases are on its device. */
static const char *const type_names[] = {
    [ON_ECHO] = "echo",       [ON_BLK] = "blk",     [ON_RNG] = "rng",     [ON_CONSOLE] = "console",
    [ON_SCSI] = "scsi",       [ON_NET] = "net",     [ON_INPUT] = "input", [ON_GPU] = "gpu",
    [ON_BALLOON] = "balloon", [ON_VSOCK] = "vsock", [ON_RTC] = "rtc",     [ON_FS] = "fs",
};

static bool is_tried(const struct virtio_device_type *type, unsigned rule)
{
    const struct strict_case *const lists[] = {strict_register_cases, strict_ring_cases,
                                               strict_type_cases};
    const unsigned counts[] = {strict_register_count, strict_ring_count, strict_type_count};
    for (unsigned l = 0; l < ARRAY_SIZE(lists); l++)
        for (unsigned i = 0; i < counts[l]; i++)
            if (lists[l][i].rule == rule &&
                (type == NULL || strcmp(type_names[lists[l][i].device], type->name) == 0))
                return true;
    return false;
}

/* Calls it with the rules of all drivers, and then with each type's own. */
static void for_each_rule(void (*check)(const struct virtio_device_type *type, unsigned rule,
                                        const struct virtio_rule *info))
{
    for (unsigned rule = 0; rule < STRICT_RULES; rule++)
        check(NULL, rule, strict_rule_info(NULL, rule));
    for (const struct virtio_device_type *const *type = virtio_types; *type != NULL; type++)
        for (unsigned i = 0; i < (*type)->rule_count; i++)
            check(*type, STRICT_RULES + i, strict_rule_info(*type, STRICT_RULES + i));
}

static void check_tried(const struct virtio_device_type *type, unsigned rule,
                        const struct virtio_rule *info)
{
    cr_expect(is_tried(type, rule), "%s: %s", info->section, info->text);
}

Test(virtio_strict, every_rule_is_tried)
{
    for_each_rule(check_tried);
}

static char page[65536];

static void check_documented(const struct virtio_device_type *type, unsigned rule,
                             const struct virtio_rule *info)
{
    char row[256];
    (void)type;
    (void)rule;
    snprintf(row, sizeof(row), "| %s | %s |", info->section, info->text);
    cr_expect_not_null(strstr(page, row), "%s", row);
}

Test(virtio_strict, every_rule_is_documented)
{
    FILE *in = fopen(MINIVET_SOURCE_DIR "/docs/strict.md", "r");
    cr_assert_not_null(in);
    size_t size = fread(page, 1, sizeof(page) - 1, in);
    fclose(in);
    cr_assert_gt(size, 0);
    for_each_rule(check_documented);
}

/* Without the monitor the same slips are as they were: nothing is counted, printed or kept. */
Test(virtio_strict, nothing_is_told_while_it_is_off)
{
    struct heard heard = {0};
    log_set_sink(hear, &heard);
    for (unsigned i = 0; i < strict_ring_count; i++) {
        struct rig rig;
        strict_open(&rig, strict_ring_cases[i].device, &strict_ring_cases[i].config);
        strict_slip(&rig, &strict_ring_cases[i]);
        cr_expect_null(rig.dev->observers);
        cr_expect_eq(virtio_strict_total(rig.dev), 0);
        rig_close(&rig);
    }
    cr_expect_eq(heard.lines, 0, "%s", heard.all);
    log_set_sink(NULL, NULL);
}

/* ---- who breaks none is not ---- */

/* What is negotiated: the rows are tried with every transport, ring and device. */
static const struct {
    uint64_t on, accept;
} choices[] = {
    {0, 0},
    {0, VIRTIO_BIT(VIRTIO_F_EVENT_IDX)},
    {0, VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC) | VIRTIO_BIT(VIRTIO_F_EVENT_IDX) |
            VIRTIO_BIT(VIRTIO_F_RING_RESET)},
    {VIRTIO_BIT(VIRTIO_F_IN_ORDER), VIRTIO_BIT(VIRTIO_F_IN_ORDER)},
    {VIRTIO_BIT(VIRTIO_F_NOTIFICATION_DATA),
     VIRTIO_BIT(VIRTIO_F_NOTIFICATION_DATA) | VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC)},
};

#define ROUNDS 40u /* several laps of a ring */
#define SIZE   8u

static void take_all(struct rig *rig, unsigned queue)
{
    uint32_t head, len;
    rig_step(rig);
    while (vdrv_used(&rig->drv.q[queue], &head, &len))
        ;
    rig_queue_irqs(rig, queue);
}

/* Indirect where that was negotiated, by turns. */
static void send(struct rig *rig, unsigned queue, const struct vdrv_buf *bufs, unsigned count,
                 unsigned round)
{
    struct vdrv_queue *q = &rig->drv.q[queue];
    bool indirect = (rig->drv.features & VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC)) && round % 2;
    int head = indirect ? vdrv_add_indirect(q, bufs, count) : vdrv_add(q, bufs, count);
    cr_assert_geq(head, 0);
    vdrv_publish(q);
    if (vdrv_kick_wanted(q))
        vdrv_notify(q);
}

static void use_echo(struct rig *rig)
{
    uint64_t gpa = vdrv_alloc(&rig->drv, 64, 16);
    struct vdrv_buf bufs[] = {{gpa, 16, false}, {gpa + 16, 0, false}, {gpa + 32, 16, true}};
    for (unsigned i = 0; i < ROUNDS; i++) {
        if (i % 3 == 0)
            vdrv_irq_off(&rig->drv.q[1]);
        send(rig, 1, bufs, 1 + i % 3, i);
        take_all(rig, 1);
        vdrv_irq_on(&rig->drv.q[1]);
    }
    /* One that stays while others come and go. */
    for (unsigned i = 0; i < ROUNDS; i++) {
        rig->echo.hold = true;
        send(rig, 0, bufs, 2, i);
        rig_step(rig);
        rig->echo.hold = false;
        send(rig, 0, bufs, 1 + i % 2, i + 1);
        send(rig, 0, bufs, 1, i);
        rig_step(rig);
        echo_release(&rig->echo);
        take_all(rig, 0);
    }
}

static void use_blk_ranges(struct rig *rig, unsigned sector)
{
    static const uint32_t types[] = {VIRTIO_BLK_T_DISCARD, VIRTIO_BLK_T_WRITE_ZEROES};
    for (unsigned i = 0; i < ARRAY_SIZE(types); i++) {
        struct blkreq req = {.type = types[i], .bytes = 2 * VIRTIO_BLK_RANGE_BYTES};
        req.data_gpa = vdrv_alloc(&rig->drv, req.bytes, 8);
        uint8_t *raw = blkreq_data(rig, &req);
        le64_put(raw + VIRTIO_BLK_RANGE_sector, sector);
        le32_put(raw + VIRTIO_BLK_RANGE_num_sectors, 8);
        le32_put(raw + VIRTIO_BLK_RANGE_flags, types[i] == VIRTIO_BLK_T_WRITE_ZEROES);
        cr_expect_eq(blkreq_do(rig, &req, NULL), VIRTIO_BLK_S_OK);
    }
}

static void use_blk(struct rig *rig)
{
    if (rig->drv.features & VIRTIO_BIT(VIRTIO_BLK_F_DISCARD))
        use_blk_ranges(rig, 5);
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct blkreq reqs[] = {
            {.type = VIRTIO_BLK_T_OUT, .sector = i, .bytes = 1024, .cut = 512},
            {.type = VIRTIO_BLK_T_IN, .sector = i, .bytes = 512, .data_write = true},
            {.type = VIRTIO_BLK_T_GET_ID, .bytes = 20, .data_write = true},
            {.type = VIRTIO_BLK_T_FLUSH},
        };
        bool can_flush = (rig->drv.features & VIRTIO_BIT(VIRTIO_BLK_F_FLUSH)) != 0;
        struct blkreq *req = &reqs[i % (can_flush ? 4 : 3)];
        req->indirect = (rig->drv.features & VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC)) != 0;
        cr_expect_eq(blkreq_do(rig, req, NULL), VIRTIO_BLK_S_OK);
    }
}

static void use_rng(struct rig *rig)
{
    struct vdrv_buf buf = {vdrv_alloc(&rig->drv, 64, 16), 64, true};
    for (unsigned i = 0; i < ROUNDS; i++) {
        send(rig, 0, &buf, 1, i);
        take_all(rig, 0);
    }
}

static void use_console(struct rig *rig)
{
    uint64_t gpa = vdrv_alloc(&rig->drv, 64, 16);
    struct vdrv_buf in = {gpa, 16, true}, out = {gpa + 16, 16, false};
    fake_chr_open(&rig->chr, 4096);
    for (unsigned i = 0; i < ROUNDS; i++) {
        send(rig, VIRTIO_CONSOLE_RX, &in, 1, i);
        send(rig, VIRTIO_CONSOLE_TX, &out, 1, i);
        rig_step(rig);
        fake_chr_type(&rig->chr, "x", 1);
        take_all(rig, VIRTIO_CONSOLE_RX);
        take_all(rig, VIRTIO_CONSOLE_TX);
    }
}

static void use_input(struct rig *rig)
{
    struct input_event events[SIZE];
    uint8_t led[INPUT_EVENT_BYTES];
    uint64_t gpa = vdrv_alloc(&rig->drv, sizeof(led), 8);
    input_event_put(led, &(struct input_event){EV_LED, LED_NUML, 1});
    memcpy(vdrv_ptr(&rig->drv, gpa, sizeof(led)), led, sizeof(led));
    for (unsigned i = 0; i < ROUNDS; i++) {
        inputio_give(rig, 2, INPUT_EVENT_BYTES);
        send(rig, VIRTIO_INPUT_STATUS, &(struct vdrv_buf){gpa, sizeof(led), false}, 1, i);
        fake_input_key(&rig->person, KEY_A, i % 2 == 0);
        rig_step(rig);
        cr_expect_eq(inputio_take(rig, events, SIZE), 2);
        take_all(rig, VIRTIO_INPUT_STATUS);
    }
}

/* Fields by their own widths. */
static void read_config(struct rig *rig, enum strict_device device)
{
    uint64_t base = vdrv_config_gpa(&rig->drv), value;
    if (rig->drv.t->legacy)
        return;
    vdrv_generation(&rig->drv);
    if (device == ON_BLK) {
        bus_read(rig->bus, base + VIRTIO_BLK_CONFIG_capacity, 4, &value);
        bus_read(rig->bus, base + VIRTIO_BLK_CONFIG_capacity + 4, 4, &value);
        bus_read(rig->bus, base + VIRTIO_BLK_CONFIG_seg_max, 4, &value);
        bus_read(rig->bus, base + VIRTIO_BLK_CONFIG_max_discard_seg, 4, &value);
        bus_write(rig->bus, base + VIRTIO_BLK_CONFIG_writeback, 1, 0);
    } else if (device == ON_CONSOLE) {
        bus_read(rig->bus, base + VIRTIO_CONSOLE_CONFIG_cols, 2, &value);
        bus_read(rig->bus, base + VIRTIO_CONSOLE_CONFIG_rows, 2, &value);
    } else if (device == ON_INPUT) {
        inputio_query(rig, VIRTIO_INPUT_CFG_EV_BITS, EV_LED, NULL);
    }
}

static void use_well(enum strict_device device, struct rig_config config, uint64_t features)
{
    static void (*const use[])(struct rig *) = {[ON_ECHO] = use_echo,
                                                [ON_BLK] = use_blk,
                                                [ON_RNG] = use_rng,
                                                [ON_CONSOLE] = use_console,
                                                [ON_INPUT] = use_input};
    struct rig rig;
    struct heard heard = {0};
    config.strict = true;
    strict_open(&rig, device, &config);
    log_set_sink(hear, &heard);
    if (device == ON_BLK)
        features |= VIRTIO_BIT(VIRTIO_BLK_F_FLUSH) | VIRTIO_BIT(VIRTIO_BLK_F_SEG_MAX) |
                    VIRTIO_BIT(VIRTIO_BLK_F_DISCARD) | VIRTIO_BIT(VIRTIO_BLK_F_WRITE_ZEROES) |
                    VIRTIO_BIT(VIRTIO_BLK_F_CONFIG_WCE);
    for (unsigned i = 0; i < 2; i++) { /* and once more after a reset */
        vdrv_offered(&rig.drv);
        cr_assert(vdrv_start(&rig.drv, features, rig.dev->cfg.queue_count, SIZE));
        read_config(&rig, device);
        use[device](&rig);
        if (rig.drv.features & VIRTIO_BIT(VIRTIO_F_RING_RESET)) {
            cr_assert(vdrv_queue_reset(&rig.drv, 0));
            vdrv_queue_set_up(&rig.drv, 0, SIZE / 2);
            if (device == ON_RNG)
                use_rng(&rig);
        }
    }
    log_set_sink(NULL, NULL);
    cr_expect_eq(virtio_strict_total(rig.dev), 0, "device %d, %s, features %#llx:\n%s", device,
                 rig_config_name(&config), (unsigned long long)features, heard.all);
    rig_close(&rig);
}

Test(virtio_strict, a_driver_that_does_right_hears_nothing)
{
    for (unsigned device = ON_ECHO; device <= ON_INPUT; device++)
        for (unsigned v = 0; v < RIG_VARIANTS; v++)
            for (unsigned i = 0; i < ARRAY_SIZE(choices); i++) {
                struct rig_config config = rig_variants[v];
                config.features_on = choices[i].on;
                use_well((enum strict_device)device, config, choices[i].accept);
            }
}

Test(virtio_strict, nor_does_a_legacy_driver)
{
    for (unsigned device = ON_BLK; device <= ON_CONSOLE; device++)
        for (unsigned v = 0; v < RIG_LEGACY_VARIANTS; v++)
            use_well((enum strict_device)device, rig_legacy_variants[v], 0);
}

/* ---- how it is told ---- */

OnRig(virtio_strict, a_flood_is_counted,
      rig_open_echo_on(rig, &(struct rig_config){.strict = true}))
{
    struct heard heard = {0};
    log_set_sink(hear, &heard);
    for (unsigned i = 0; i < 100; i++)
        vdrv_set(&rig->drv, VIRTIO_MMIO_Version, i);
    log_set_sink(NULL, NULL);
    cr_expect_eq(heard.lines, STRICT_BURST);
    cr_expect_eq(virtio_strict_count(rig->dev, STRICT_MMIO_READ_ONLY), 100);
    cr_expect_not_null(strstr(heard.all, "(more are only counted)"));
    cr_expect_eq(strncmp(heard.all, "strict: echo: VIRTIO 1.4 4.2.2.2: ", 34), 0, "%s", heard.all);
}

/* Nobody has to ask for more than errors to see it. */
OnEcho(virtio_strict, no_level_hides_it, .strict = true)
{
    struct heard heard = {0};
    log_set_level(LOG_ERROR);
    log_set_sink(hear, &heard);
    vdrv_set(&rig->drv, VIRTIO_MMIO_Version, 0);
    log_set_sink(NULL, NULL);
    cr_expect_eq(heard.lines, 1);
}

OnRig(virtio_strict, every_notification_is_seen,
      rig_open_echo_on(rig, &(struct rig_config){.strict = true}))
{
    cr_assert(vdrv_start(&rig->drv, 0, 2, SIZE));
    cr_expect_eq(rig->bell.count, 0, "a doorbell would ring past it");
}

static void summary_of(struct rig *rig, struct heard *heard)
{
    *heard = (struct heard){0};
    log_set_sink(hear, heard);
    virtio_strict_summary(rig->dev);
    log_set_sink(NULL, NULL);
}

OnRig(virtio_strict, a_summary_says_how_often,
      rig_open_echo_on(rig, &(struct rig_config){.strict = true}))
{
    struct heard heard;
    summary_of(rig, &heard);
    cr_expect_str_eq(heard.all, "strict: echo: nothing to report\n");
    cr_assert(vdrv_start(&rig->drv, 0, 2, SIZE));
    for (unsigned i = 0; i < 7; i++)
        vdrv_set(&rig->drv, VIRTIO_MMIO_Version, 0);
    vdrv_avail_flags(&rig->drv.q[1], 2);
    rig_kick(rig, 1);
    summary_of(rig, &heard);
    cr_expect_eq(heard.lines, 2);
    cr_expect_not_null(strstr(heard.all, "7 in all: VIRTIO 1.4 4.2.2.2"), "%s", heard.all);
    cr_expect_not_null(strstr(heard.all, "1 in all: queue 1: VIRTIO 1.4 2.7.7.1"), "%s", heard.all);
}

OnEcho(virtio_strict, no_summary_without_it)
{
    struct heard heard;
    summary_of(rig, &heard);
    cr_expect_eq(heard.lines, 0);
}
