// SPDX-License-Identifier: BSD-2-Clause
/* `minivet run` as a whole, and what it leaves behind. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arch/arch.h"
#include "core/base/xmath.h"
#include "tap.h"
#include "tvm.h"
#include "vmm/cli/cli.h"

static char text[65536];

static void take_text(const char *path)
{
    FILE *f = fopen(path, "r");
    CHECK(f != NULL);
    text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
    fclose(f);
    unlink(path);
}

static const char *hello(void)
{
    static char path[TVM_PATH];
    tvm_guest(path, "hello");
    return path;
}

/* Runs the guest `hello`, whose command line has to hold that word; text: what FILE got. */
static void run_hello(const char *kernel, const char *timeline)
{
    char option[600];
    snprintf(option, sizeof(option), "--timeline=%s", timeline);
    char *argv[] = {"run",    (char *)kernel, "-a",        "hello", option,   "--mark", "ell",
                    "--mark", "goodbye",      "--timeout", "60s",   "--cpus", "2",      NULL};
    int out = dup(STDOUT_FILENO), null = open("/dev/null", O_RDWR | O_CLOEXEC);
    CHECK(out >= 0 && null >= 0);
    CHECK(dup2(null, STDIN_FILENO) >= 0 && dup2(null, STDOUT_FILENO) >= 0);
    int status = cli_run(ARRAY_SIZE(argv) - 1, argv);
    CHECK(dup2(out, STDOUT_FILENO) >= 0);
    CHECK_EQ(status, 0);
    take_text(timeline);
}

static void a_timeline(void)
{
    const char *const stamp = arch_host.pio_limit != 0 ? "port 0x80: 0x68" : "first exit";
    const char *const events[] = {"process started",     "main()",       "options parsed",
                                  "guest memory mapped", "KVM ready",    "devices ready",
                                  "kernel loaded",       "vCPUs ready",  "first KVM_RUN",
                                  "first exit",          stamp,          "exit status",
                                  "vCPUs and devices",   "devices gone", "KVM gone",
                                  "guest memory gone"};
    char path[64];
    snprintf(path, sizeof(path), "/tmp/minivet-timeline-%d.json", getpid());
    run_hello(hello(), path);
    const char *at = text;
    for (unsigned i = 0; i < ARRAY_SIZE(events); i++) {
        const char *next = strstr(at, events[i]);
        if (next == NULL)
            tap_fail(__FILE__, __LINE__, "no '%s' in its place: %s", events[i], text);
        at = next;
    }
    /* What it says goes through the I/O loop, which need not keep step with the vCPU. */
    CHECK(strstr(text, "first console output") != NULL);
    CHECK(strstr(text, "\"event\":\"ell\"") != NULL);
    CHECK(strstr(text, "goodbye") == NULL); /* the guest never said it */
}

/* What a run of that kernel says on standard error, in text. */
static void hear_run(const char *kernel)
{
    char messages[64], timeline[64];
    snprintf(messages, sizeof(messages), "/tmp/minivet-messages-%d", getpid());
    snprintf(timeline, sizeof(timeline), "/tmp/minivet-timeline-%d.json", getpid());
    int fd = open(messages, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    CHECK(fd >= 0 && dup2(fd, STDERR_FILENO) >= 0);
    run_hello(kernel, timeline);
    take_text(messages);
}

static void a_host_that_emulates(void)
{
    static char guest[1 << 20]; /* as large as a Linux: `hello` and zeroes */
    char kernel[64];
    snprintf(kernel, sizeof(kernel), "/tmp/minivet-kernel-%d", getpid());
    FILE *f = fopen(hello(), "r");
    CHECK(f != NULL && fread(guest, 1, sizeof(guest), f) > 0);
    fclose(f);
    f = fopen(kernel, "w");
    CHECK(f != NULL && fwrite(guest, 1, sizeof(guest), f) == sizeof(guest));
    fclose(f);
    hear_run(kernel);
    unlink(kernel);
    const char *warning = strstr(text, "warning: this host has neither VT-x nor AMD-V");
    CHECK_EQ(warning != NULL, !tvm_has_virtualization());
    CHECK(warning == NULL || strchr(warning, '\n')[1] == '\0'); /* one line, and nothing else */
    hear_run(hello());
    CHECK(text[0] == '\0');
}

const struct tap_test run_tests[] = {
    {"runs: the timeline has what the guest did, in order", a_timeline, 0},
    {"runs: a host that can only emulate is told", a_host_that_emulates, 0},
    {0},
};
