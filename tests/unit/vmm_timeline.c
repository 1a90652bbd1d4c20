// SPDX-License-Identifier: BSD-2-Clause
/* vmm/report/timeline.c, timeline_print.c: what gets into it, and how it is shown. */
#include "vmm/report/timeline.h"

#include <cJSON.h>

#include "core/output/plot.h"
#include "tests/harness/test.h"
#include "vmm/config/config.h"

#define MS UINT64_C(1000000)

static const struct timeline_event events[] = {
    {.name = "process started", .code = -1, .ns = 5000 * MS},
    {.name = "first KVM_RUN", .code = -1, .ns = 5010 * MS, .cpu_ns = 4 * MS},
    {.name = "", .code = 0x4f, .part = TIMELINE_GUEST, .ns = 5030 * MS, .cpu_ns = 14 * MS},
    {.name = "it's 5 %\xff",
     .code = -1,
     .part = TIMELINE_GUEST,
     .ns = 5060 * MS,
     .cpu_ns = 34 * MS},
    {.name = "gone", .code = -1, .part = TIMELINE_TEARDOWN, .ns = 5100 * MS, .cpu_ns = 35 * MS},
};

static char *printed(enum timeline_format format)
{
    char *text = NULL;
    size_t bytes;
    FILE *out = open_memstream(&text, &bytes);
    cr_assert_eq(timeline_print(events, ARRAY_SIZE(events), format, out), 0);
    fclose(out);
    return text;
}

static double number(const cJSON *object, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    cr_assert(cJSON_IsNumber(item), "no number \"%s\"", name);
    return item->valuedouble;
}

static const char *string(const cJSON *object, const char *name)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
    cr_assert(text != NULL, "no string \"%s\"", name);
    return text;
}

static void contents(const char *file, char *text, size_t size)
{
    FILE *f = fopen(file, "r");
    cr_assert(f != NULL, "%s", file);
    text[fread(text, 1, size - 1, f)] = '\0';
    fclose(f);
    unlink(file);
}

/* ---- how it is shown ---- */

Test(timeline, a_table)
{
    char *text = printed(TIMELINE_TABLE);
    cr_expect_str_eq(text, "part       event                  at ms      took ms       CPU ms\n"
                           "set-up     process started        0.000\n"
                           "set-up     first KVM_RUN         10.000       10.000        4.000\n"
                           "guest      port 0x80: 0x4f       30.000       20.000       10.000\n"
                           "guest      it's 5 %?             60.000       30.000       20.000\n"
                           "tear-down  gone                 100.000       40.000        1.000\n");
    free(text);
}

Test(timeline, json)
{
    char *text = printed(TIMELINE_JSON);
    cJSON *top = cJSON_Parse(text);
    const cJSON *array = cJSON_GetObjectItem(top, "events");
    cr_assert_eq(cJSON_GetArraySize(array), ARRAY_SIZE(events));
    const cJSON *code = cJSON_GetArrayItem(array, 2);
    cr_expect_str_eq(string(code, "event"), "port 0x80: 0x4f");
    cr_expect_str_eq(string(code, "part"), "guest");
    cr_expect_eq(number(code, "ns"), 30e6);
    cr_expect_eq(number(code, "cpu_ns"), 14e6);
    cJSON_Delete(top);
    free(text);
}

/* As the Trace Event Format has it: complete events, microseconds, a thread for each part. */
Test(timeline, trace_events)
{
    char *text = printed(TIMELINE_TRACE);
    cJSON *top = cJSON_Parse(text);
    const cJSON *array = cJSON_GetObjectItem(top, "traceEvents");
    cr_assert_eq(cJSON_GetArraySize(array), 3 + ARRAY_SIZE(events) - 1);
    const cJSON *name = cJSON_GetArrayItem(array, 2);
    cr_expect_str_eq(string(name, "ph"), "M");
    cr_expect_str_eq(string(cJSON_GetObjectItem(name, "args"), "name"), "tear-down");
    const cJSON *slice = cJSON_GetArrayItem(array, 6);
    cr_expect_str_eq(string(slice, "ph"), "X");
    cr_expect_str_eq(string(slice, "name"), "gone");
    cr_expect_eq(number(slice, "tid"), number(name, "tid"));
    cr_expect_eq(number(slice, "ts"), 60000);
    cr_expect_eq(number(slice, "dur"), 40000);
    cr_expect_eq(number(cJSON_GetObjectItem(slice, "args"), "cpu_ms"), 1);
    cJSON_Delete(top);
    free(text);
}

/* A picture's name, and those of what gnuplot is told. */
static const char *picture(const char *ending)
{
    static char file[64];
    snprintf(file, sizeof(file), "/tmp/minivet-timeline-%d.svg%s", getpid(), ending);
    return file;
}

Test(timeline, a_plot)
{
    char script[4096], data[4096];
    struct plot plot;
    setenv("PATH", "/nowhere", 1);
    cr_assert_eq(plot_open(&plot, picture("")), 0);
    timeline_plot(events, ARRAY_SIZE(events), &plot);
    cr_assert_eq(plot_finish(&plot), 0);
    contents(picture(".gp"), script, sizeof(script));
    contents(picture(".dat"), data, sizeof(data));
    cr_expect(strstr(script, "'Boot timeline: 100.000 ms, 35.000 ms of processor time'") != NULL);
    cr_expect(strstr(script, "set xlabel 'time since the process started, ms'") != NULL);
    cr_expect(strstr(script, "set label 'it''s 5 %?' at graph 0, first 3 right ") != NULL, "%s",
              script);
    cr_expect(strstr(script, " lt 3 title 'tear-down'") != NULL);
    cr_expect_str_eq(data,
                     PLOT_DATA_BEGINS "# row, from, to (ms), line type, CPU time (ms) # phase\n"
                                      "1 0 10 1 4 # first KVM_RUN\n"
                                      "2 10 30 2 10 # port 0x80: 0x4f\n"
                                      "3 30 60 2 20 # it's 5 %?\n"
                                      "4 60 100 3 1 # gone\n");
}

Test(timeline, the_ending_says_how)
{
    static const struct {
        const char *path;
        enum timeline_format format;
    } rows[] = {
        {NULL, TIMELINE_TABLE},   {"a.json", TIMELINE_JSON},   {"a.trace.json", TIMELINE_TRACE},
        {"a.svg", TIMELINE_PLOT}, {"svg", TIMELINE_UNKNOWN},   {".svg", TIMELINE_UNKNOWN},
        {"a.png", TIMELINE_PLOT}, {"a.txt", TIMELINE_UNKNOWN}, {"", TIMELINE_UNKNOWN}};
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
        cr_expect_eq(timeline_format_of(rows[i].path), rows[i].format, "%s", rows[i].path);
}

/* ---- what gets into it ---- */

static char path[] = "/tmp/minivet-timeline-XXXXXX.json";
static struct timeline *t;

static void open_timeline(const char *const *marks)
{
    struct timeline_event began = timeline_now(TIMELINE_SETUP, "main()");
    int fd = mkstemps(path, 5);
    cr_assert_geq(fd, 0);
    close(fd);
    cr_assert_eq(timeline_create(&t, path, marks, &began), 0);
}

/* Ends it; what it holds, checked for order. */
static cJSON *close_timeline(void)
{
    static char text[1 << 16];
    timeline_finish(t);
    contents(path, text, sizeof(text));
    cJSON *top = cJSON_Parse(text);
    const cJSON *array = cJSON_GetObjectItem(top, "events"), *e;
    double last_ns = 0, last_cpu_ns = 0;
    cr_assert(array != NULL, "%s", text);
    cJSON_ArrayForEach(e, array)
    {
        cr_expect_geq(number(e, "ns"), last_ns);
        cr_expect_geq(number(e, "cpu_ns"), last_cpu_ns);
        last_ns = number(e, "ns");
        last_cpu_ns = number(e, "cpu_ns");
    }
    return top;
}

static void expect_events(const char *const *names)
{
    cJSON *top = close_timeline();
    const cJSON *e;
    unsigned i = 0;
    cJSON_ArrayForEach(e, cJSON_GetObjectItem(top, "events"))
    {
        cr_assert(names[i] != NULL, "one more: %s", string(e, "event"));
        cr_expect_str_eq(string(e, "event"), names[i]);
        i++;
    }
    cr_expect(names[i] == NULL, "there is no %s", names[i]);
    cJSON_Delete(top);
}

static const char *const no_marks[] = {NULL};

static void say(const char *text)
{
    timeline_console(t, (const uint8_t *)text, strlen(text));
}

Test(timeline, it_begins_with_the_process)
{
    open_timeline(no_marks);
    timeline_add(t, TIMELINE_SETUP, "KVM ready");
    expect_events(
        (const char *[]){"process started", "main()", "options parsed", "KVM ready", NULL});
}

Test(timeline, a_code_counts_once)
{
    open_timeline(no_marks);
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned code = 0; code < 256; code++)
            timeline_code(t, (uint8_t)(code ^ 0x55));
    }
    cJSON *top = close_timeline();
    const cJSON *array = cJSON_GetObjectItem(top, "events");
    cr_expect_eq(cJSON_GetArraySize(array), 3 + 256);
    cr_expect_str_eq(string(cJSON_GetArrayItem(array, 3), "event"), "port 0x80: 0x55");
    cJSON_Delete(top);
}

Test(timeline, a_linux_that_talks)
{
    open_timeline(no_marks);
    say("[    0.000000] Linux version 6.1.0-30-amd64 (debian-kernel@lists.debian.org)\r\n");
    say("[    0.184403] Trying to unpack rootfs image as initramfs...\r\n");
    say("[    0.310000] Freeing initrd memory: 1234K\r\n");
    say("[    0.412000] Run /init as init process\r\n");
    say("[    0.412000] Run /bin/sh as init process\r\n");
    expect_events((const char *[]){
        "process started", "main()", "options parsed", "first console output", "Linux's first line",
        "unpacking the initramfs", "initramfs unpacked", "init started", NULL});
}

Test(timeline, what_is_not_printed_is_not_there)
{
    open_timeline(no_marks);
    timeline_console(t, NULL, 0);
    expect_events((const char *[]){"process started", "main()", "options parsed", NULL});
}

Test(timeline, a_mark_is_found_however_it_comes)
{
    static const char *const marks[] = {"aab", "the end", NULL};
    open_timeline(marks);
    for (const char *c = "aaaab"; *c != '\0'; c++)
        timeline_console(t, (const uint8_t *)c, 1);
    char flood[5000];
    memset(flood, '.', sizeof(flood));
    memcpy(flood + 4995, "the e", 5);
    timeline_console(t, (const uint8_t *)flood, sizeof(flood));
    say("nd aab");
    expect_events((const char *[]){"process started", "main()", "options parsed",
                                   "first console output", "aab", "the end", NULL});
}

Test(timeline, the_longest_mark_crosses_pieces)
{
    char mark[TIMELINE_MARK_BYTES], before[4 * TIMELINE_MARK_BYTES];
    memset(mark, 'm', sizeof(mark) - 1);
    mark[sizeof(mark) - 1] = '\0';
    memset(before, '-', sizeof(before));
    for (unsigned cut = 1; cut < 4 * TIMELINE_MARK_BYTES; cut += 37) {
        strcpy(path + sizeof(path) - sizeof("XXXXXX.json"), "XXXXXX.json");
        open_timeline((const char *const[]){mark, NULL});
        timeline_console(t, (const uint8_t *)before, cut);
        say(mark);
        cJSON *top = close_timeline();
        cr_expect_eq(cJSON_GetArraySize(cJSON_GetObjectItem(top, "events")), 5, "%u", cut);
        cJSON_Delete(top);
    }
}

Test(timeline, gnuplot_takes_it)
{
    char text[1 << 16];
    if (system("gnuplot --version >/dev/null 2>&1") != 0)
        cr_skip_test("gnuplot is not installed: apt-get install gnuplot-nox");
    struct timeline_event began = timeline_now(TIMELINE_SETUP, "main()");
    cr_assert_eq(timeline_create(&t, picture(""), no_marks, &began), 0);
    timeline_add(t, TIMELINE_SETUP, "KVM <ready>");
    timeline_finish(t);
    contents(picture(""), text, sizeof(text));
    cr_expect(strstr(text, ">KVM &lt;ready></text>") != NULL, "%s", text);
    unlink(picture(".gp"));
    unlink(picture(".dat"));
}

Test(timeline, none_is_none)
{
    timeline_add(NULL, TIMELINE_SETUP, "a");
    timeline_code(NULL, 1);
    timeline_console(NULL, (const uint8_t *)"a", 1);
    timeline_finish(NULL);
}

Test(timeline, a_file_that_cannot_be_is_refused_at_once)
{
    struct timeline_event began = timeline_now(TIMELINE_SETUP, "main()");
    listen_to_log(LOG_DEBUG);
    cr_expect_eq(timeline_create(&t, "/nowhere/a.json", no_marks, &began), -ENOENT);
    cr_expect_str_eq(logged_line, "--timeline=/nowhere/a.json: No such file or directory");
    cr_expect_eq(timeline_create(&t, "/nowhere/a.svg", no_marks, &began), -ENOENT);
    cr_expect_str_eq(logged_line,
                     "plot /nowhere/a.svg: create /nowhere/a.svg.dat: No such file or directory");
    log_set_sink(NULL, NULL);
}

Test(timeline, a_full_standard_error_is_not_waited_for)
{
    struct timeline_event began = timeline_now(TIMELINE_SETUP, "main()");
    static const char block[65536];
    int fds[2], saved = dup(STDERR_FILENO);
    cr_assert_eq(timeline_create(&t, NULL, no_marks, &began), 0);
    cr_assert_eq(pipe2(fds, O_NONBLOCK), 0);
    while (write(fds[1], block, sizeof(block)) > 0)
        ;
    cr_assert_eq(fcntl(fds[1], F_SETFL, 0), 0);
    dup2(fds[1], STDERR_FILENO);
    timeline_finish(t);
    dup2(saved, STDERR_FILENO);
}
