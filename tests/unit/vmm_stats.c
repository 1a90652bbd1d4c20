// SPDX-License-Identifier: BSD-2-Clause
/* vmm/report/stats.c: what a run did, as people and as programs read it. */
#include "vmm/report/stats.h"

#include <cJSON.h>

#include "tests/harness/rig.h"
#include "tests/harness/test.h"

#define US UINT64_C(1000)

static struct stats_queue a_queue(const char *device)
{
    struct stats_queue q = {
        .device = device,
        .thread = "io",
        .stats = {.requests = 1000,
                  .in_flight = 3,
                  .rd_bytes = 3 * MIB,
                  .wr_bytes = MIB / 2,
                  .batches = 400,
                  .batch_sizes = {100, 300},
                  .kicks = 390,
                  .register_kicks = 7,
                  .polled = 9,
                  .spurious = 5,
                  .interrupts = 200,
                  .suppressed = 199,
                  .resets = 2,
                  .latency_max_ns = 2500 * US},
    };
    q.stats.latencies[10] = 990; /* 512 to 1023 ns */
    q.stats.latencies[22] = 7;   /* 2097152 to 4194303 */
    return q;
}

static struct stats_loop some_loops[] = {
    {.name = "io",
     .engine = "io_uring",
     .stats = {.turns = 11,
               .system_calls = 12,
               .sleeps = 13,
               .poll_hits = 14,
               .poll_misses = 6,
               .poll_window_ns = 15}},
    {.name = "fast-disks", .engine = "epoll", .stats = {.turns = 21, .poll_window_ns = 50000}},
};

static struct stats some_stats(struct stats_queue *queues, unsigned count)
{
    return (struct stats){
        .run_ns = UINT64_C(1500000000),
        .loops = some_loops,
        .loop_count = ARRAY_SIZE(some_loops),
        .queues = queues,
        .count = count,
    };
}

static char *printed(const struct stats *s, bool json)
{
    char *text = NULL;
    size_t bytes;
    FILE *out = open_memstream(&text, &bytes);
    if (json)
        cr_assert_eq(stats_print_json(s, out), 0);
    else
        stats_print_table(s, out);
    fclose(out);
    return text;
}

/* ---- the table ---- */

Test(stats, a_table_has_a_row_for_each_queue)
{
    struct stats_queue queues[] = {a_queue("a.img"), a_queue("rng")};
    struct stats s = some_stats(queues, ARRAY_SIZE(queues));
    queues[1].stats = (struct virtio_stats){0};
    queues[1].thread = "fast-disks";
    char *text = printed(&s, false);
    cr_expect_str_eq(
        text,
        "device   q thread      requests  open  sent MiB   got MiB  batch     kicks    polled  "
        "spurious    "
        "  irqs"
        "  withheld     p50     p99     max\n"
        "a.img    0 io              1000     3       3.0       0.5    2.5       390         9   "
        "      5    "
        "   200"
        "       199   769ns  1.02us  2.50ms\n"
        "rng      0 fast-disks         0     0       0.0       0.0    0.0         0         0   "
        "      0    "
        "     0"
        "         0     0ns     0ns     0ns\n"
        "1.500 s; loop io on io_uring: 11 turns, 12 system calls, 13 sleeps, 14 of 20 looks "
        "before one found work, now up to 15ns\n"
        "1.500 s; loop fast-disks on epoll: 21 turns, 0 system calls, 0 sleeps, 0 of 0 looks "
        "before one found work, now up to 50.0us\n");
    free(text);
}

Test(stats, times_have_the_unit_that_suits_them)
{
    static const struct {
        uint64_t ns;
        const char *text;
    } cases[] = {
        {999, " 999ns\n"},    {1000, " 1.00us\n"},        {99900, " 99.9us\n"},
        {123000, " 123us\n"}, {5 * US * US, " 5.00ms\n"}, {12 * US * US * US, " 12.0s\n"},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        struct stats_queue q = {.device = "d", .thread = "io", .stats.latency_max_ns = cases[i].ns};
        struct stats s = some_stats(&q, 1);
        char *text = printed(&s, false);
        cr_expect(strstr(text, cases[i].text) != NULL, "%s is not in %s", cases[i].text, text);
        free(text);
    }
}

Test(stats, a_long_name_shows_its_end)
{
    struct stats_queue q = a_queue("/a/very/long/path/to/some/image/of/a/disk.img");
    struct stats s = some_stats(&q, 1);
    char *text = printed(&s, false);
    cr_expect(strstr(text, "\nsome/image/of/a/disk.img   0 io ") != NULL, "%s", text);
    free(text);
}

Test(stats, an_external_queue_shows_what_is_seen_of_it)
{
    struct stats_queue q = {
        .device = "sock", .thread = "io", .external = true, .stats.interrupts = 77};
    struct stats s = some_stats(&q, 1);
    char *text = printed(&s, false);
    cr_expect(strstr(text, "sock     0 io     77 interrupts; the rest is its server's\n") != NULL,
              "%s", text);
    free(text);
}

static char lines[8][512];
static unsigned line_count;

static void keep_line(void *ctx, enum log_level level, const char *line)
{
    (void)ctx;
    (void)level;
    if (line_count < ARRAY_SIZE(lines))
        snprintf(lines[line_count++], sizeof(lines[0]), "%s", line);
}

Test(stats, the_table_is_logged_line_by_line)
{
    struct stats_queue q = a_queue("a.img");
    struct stats s = some_stats(&q, 1);
    log_set_sink(keep_line, NULL);
    stats_print(&s, false);
    log_set_sink(NULL, NULL);
    cr_assert_eq(line_count, 4);
    cr_expect(strstr(lines[0], "device") != NULL, "%s", lines[0]);
    cr_expect(strstr(lines[1], "a.img") != NULL, "%s", lines[1]);
    cr_expect(strstr(lines[2], "io_uring") != NULL, "%s", lines[2]);
}

/* ---- JSON ---- */

/* The JSON has this member, which is as said (with \' for "). */
static void expect_json(const struct stats *s, const char *name, const char *said)
{
    char *text = printed(s, true), *wanted = strdup(said);
    for (char *quote; (quote = strchr(wanted, '\'')) != NULL;)
        *quote = '"';
    cr_expect_eq(strchr(text, '\n'), text + strlen(text) - 1, "one line");
    cJSON *top = cJSON_Parse(text), *want = cJSON_Parse(wanted);
    cr_assert(top != NULL && want != NULL, "%s: %s", text, wanted);
    char *is = cJSON_Print(cJSON_GetObjectItem(top, name));
    cr_expect(cJSON_Compare(cJSON_GetObjectItem(top, name), want, true), "%s: %s", name, is);
    free(is);
    cJSON_Delete(want);
    cJSON_Delete(top);
    free(wanted);
    free(text);
}

#define QUEUE_FIGURES                                                                   \
    "'requests':1000,'in_flight':3,'rd_bytes':3145728,'wr_bytes':524288,'batches':400," \
    "'batch_log2':[100,300],'kicks':390,'register_kicks':7,'polled':9,'spurious':5,"    \
    "'interrupts':200,'suppressed':199,'resets':2,'latency_ns':{'count':997,'p50':769," \
    "'p99':1022,'max':2500000,'log2':[0,0,0,0,0,0,0,0,0,0,990,0,0,0,0,0,0,0,0,0,0,0,7]}"

Test(stats, json_holds_every_figure)
{
    struct stats_queue queues[] = {a_queue("a \"b\".img"), a_queue("a \"b\".img")};
    struct stats s = some_stats(queues, ARRAY_SIZE(queues));
    queues[1].queue = 1;
    queues[1].external = true;
    expect_json(&s, "run_ns", "1500000000");
    expect_json(&s, "loops",
                "[{'name':'io','engine':'io_uring','turns':11,'system_calls':12,'sleeps':13,"
                "'poll_hits':14,'poll_misses':6,'poll_window_ns':15},"
                "{'name':'fast-disks','engine':'epoll','turns':21,'system_calls':0,'sleeps':0,"
                "'poll_hits':0,'poll_misses':0,'poll_window_ns':50000}]");
    expect_json(&s, "queues",
                "[{'device':'a \\'b\\'.img','thread':'io','queue':0,'external':false," QUEUE_FIGURES
                "},{'device':'a \\'b\\'.img','thread':'io','queue':1,'external':true," QUEUE_FIGURES
                "}]");
}

Test(stats, what_a_network_card_dropped_is_shown)
{
    struct stats_queue q = a_queue("tap=t0");
    struct stats s = some_stats(&q, 1);
    s.nets[0] = (struct stats_net){"tap=t0", {11, 22, 33, 44}};
    s.net_count = 1;
    char *text = printed(&s, false);
    cr_expect(strstr(text, "tap=t0 dropped: sent 11 that made no sense; received 22 without room, "
                           "33 filtered, 44 of a kind") != NULL,
              "%s", text);
    free(text);
    expect_json(&s, "drops",
                "[{'device':'tap=t0','tx_invalid':11,'rx_no_room':22,'rx_filtered':33,"
                "'rx_invalid':44}]");
}

/* ---- the host's side ---- */

static struct stats host_stats(void)
{
    return (struct stats){
        .exits = {.inside_ns = 2000 * US,
                  .outside_ns = 30 * US,
                  .count = 2,
                  .rows = {{.kind = "interrupted", .count = 3, .total_ns = 300, .max_ns = 200},
                           {.kind = "port write",
                            .device = "serial",
                            .count = 4,
                            .total_ns = 20 * US,
                            .max_ns = 9 * US}}},
        .usage = {.user_ns = 5000 * US,
                  .system_ns = 6000 * US,
                  .minor_faults = 70,
                  .major_faults = 8,
                  .sleeps = 9,
                  .preemptions = 10,
                  .max_rss_bytes = 12 * MIB,
                  .count = 1,
                  .threads = {{.name = "vcpu0",
                               .cpu_ns = 4000 * US,
                               .waited_ns = 500,
                               .minor_faults = 61,
                               .major_faults = 1}}},
        .hv = {{"exits", 180}, {"halt_exits", 0}},
        .hv_count = 2,
    };
}

Test(stats, the_host_has_tables)
{
    struct stats s = host_stats();
    char *text = NULL;
    size_t bytes;
    FILE *out = open_memstream(&text, &bytes);
    stats_print_host(&s, out);
    fclose(out);
    cr_expect_str_eq(
        text,
        "exit            device                       count    total     mean      max\n"
        "port write      serial                           4   20.0us   5.00us   9.00us\n"
        "interrupted                                      3    300ns    100ns    200ns\n"
        "vCPUs: 2.00ms in the hypervisor, 30.0us outside\n"
        "thread               CPU   waited    faults     major\n"
        "vcpu0             4.00ms    500ns        61         1\n"
        "process: 5.00ms user, 6.00ms system; 78 page faults, 8 of them from disk; 9 sleeps, 10 "
        "preemptions; at most 12.0 MiB resident\n"
        "kvm exits                                 180\n");
    free(text);
}

Test(stats, json_has_the_host_too)
{
    struct stats s = host_stats();
    expect_json(&s, "exits",
                "[{'exit':'interrupted','count':3,'total_ns':300,'max_ns':200},"
                "{'exit':'port write','device':'serial','count':4,'total_ns':20000,"
                "'max_ns':9000}]");
    expect_json(&s, "vcpus", "{'inside_ns':2000000,'outside_ns':30000}");
    expect_json(&s, "process",
                "{'user_ns':5000000,'system_ns':6000000,'minor_faults':70,'major_faults':8,"
                "'sleeps':9,'preemptions':10,'max_rss_bytes':12582912}");
    expect_json(&s, "threads",
                "[{'name':'vcpu0','cpu_ns':4000000,'waited_ns':500,'minor_faults':61,"
                "'major_faults':1}]");
    expect_json(&s, "kvm", "{'exits':180,'halt_exits':0}");
}

/* ---- collecting ---- */

Test(stats, every_queue_of_a_measured_device_is_collected)
{
    struct rig rig;
    struct stats s = {0};
    rig_open_echo_on(&rig, &(struct rig_config){.transport = RIG_MMIO, .queues = 11});
    cr_assert_eq(stats_add_device(&s, rig.dev), 0);
    cr_expect_eq(s.count, 0, "it is not measured");
    cr_assert_eq(virtio_device_measure(rig.dev, &rig.clock), 0);
    cr_assert_eq(stats_add_loop(&s, "main", rig.loop), 0);
    cr_assert_eq(stats_add_device(&s, rig.dev), 0);
    cr_assert_eq(stats_add_device(&s, rig.dev), 0);
    cr_assert_eq(s.count, 22);
    for (unsigned i = 0; i < s.count; i++) {
        cr_expect_eq(s.queues[i].queue, i % 11);
        cr_expect_str_eq(s.queues[i].device, "echo");
        cr_expect_str_eq(s.queues[i].thread, "main");
    }
    stats_free(&s);
    cr_expect_eq(s.count, 0);
    rig_close(&rig);
}
