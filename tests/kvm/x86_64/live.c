// SPDX-License-Identifier: BSD-2-Clause
/*
 * Scripts of the fuzzers in a real machine (tests/fuzz/live.c): of each device some, in turn on
 * each transport and ring, and all that once found something. A finding ends the test by abort().
 */
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/log.h"
#include "tap.h"
#include "tests/fuzz/play.h"
#include "tests/harness/rig.h"

#define SCRIPTS_MAX 10 /* of a device's corpus: two on each variant */

static void drop(void *ctx, enum log_level level, const char *line)
{
    (void)ctx, (void)level, (void)line;
}

static void play_file(const char *path, unsigned variant)
{
    static struct fuzz_script s;
    static uint8_t bytes[FUZZ_FILE_MAX];
    FILE *f = fopen(path, "rb");
    CHECK(f != NULL);
    size_t len = fread(bytes, 1, sizeof(bytes), f);
    fclose(f);
    if (!fuzz_script_decode(&s, bytes, len))
        return;
    tap_say("%s", path); /* the last one is what a finding is about */
    fuzz_play_live(&s, variant < RIG_VARIANTS ? variant : s.head.variant, NULL);
}

/* Returns how many there were. */
static int play_folder(const char *kind, const char *device, int max)
{
    char dir[512], path[1024];
    struct dirent **list;
    snprintf(dir, sizeof(dir), "%s/%s/%s", FUZZ_DIR, kind, device);
    int count = scandir(dir, &list, NULL, alphasort), played = 0;
    for (int i = 0; i < count; i++) {
        snprintf(path, sizeof(path), "%s/%s", dir, list[i]->d_name);
        if (list[i]->d_name[0] != '.' && played < max)
            play_file(path, max < INT_MAX ? (unsigned)played++ % RIG_VARIANTS : RIG_VARIANTS);
        free(list[i]);
    }
    if (count >= 0)
        free(list);
    return played;
}

static void play(const char *device)
{
    if (getenv("MINIVET_TESTBED") != NULL) /* each access is an exit, and a turn of its one CPU */
        tap_skip("an emulated host would need hours");
    log_set_sink(drop, NULL);
    CHECK(play_folder("corpus", device, SCRIPTS_MAX) == SCRIPTS_MAX);
    play_folder("regressions", device, INT_MAX);
    fuzz_play_end();
}

static void ring(void)
{
    play("ring");
}

static void blk(void)
{
    play("blk");
}

static void scsi(void)
{
    play("scsi");
}

static void net(void)
{
    play("net");
}

static void console(void)
{
    play("console");
}

static void rng(void)
{
    play("rng");
}

static void gpu(void)
{
    play("gpu");
}

const struct tap_test live_tests[] = {
    {"live: scripts of the rings", ring, 600},
    {"live: scripts of the disk", blk, 600},
    {"live: scripts of the SCSI host", scsi, 600},
    {"live: scripts of the network", net, 600},
    {"live: scripts of the console", console, 600},
    {"live: scripts of the random numbers", rng, 600},
    {"live: scripts of the display adapter", gpu, 600},
    {0},
};
