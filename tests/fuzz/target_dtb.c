// SPDX-License-Identifier: BSD-2-Clause
/*
 * Device trees that a user has from elsewhere: `--dtb` and `--dtb-overlay`.
 *
 *     byte 0       bit 0: there is a tree, or else the machine's own; 1: an overlay
 *     bytes 1, 2   how many bytes of the rest are the tree; the others are the overlay
 *
 * What the kernel gets is a whole tree that has its command line, or nothing; and an error is told
 * in one line.
 */
#include <libfdt.h>
#include <string.h>
#include <unistd.h>

#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "core/memory/gmem.h"
#include "firmware/fdt/machine_tree.h"
#include "firmware/fdt/tree_file.h"
#include "firmware/kernel/boot_request.h"
#include "firmware/kernel/linux_image.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/target.h"

#define RAM_GPA  UINT64_C(0x80000000)
#define FILE_MAX (1u << 16)

static void put_irq(uint32_t *cells, unsigned irq, bool is_level)
{
    cells[0] = irq + is_level;
}

static uint32_t cpu_reg(void *ctx, unsigned id)
{
    (void)ctx;
    return id;
}

static void put_nothing(struct dt *t, void *ctx)
{
    (void)t;
    (void)ctx;
}

static void put_cpu(struct dt *t, void *ctx, unsigned id)
{
    (void)id;
    put_nothing(t, ctx);
}

/* A file without a name that has what comes next. */
static int make_file(struct fuzz_input *in, size_t max, char path[32])
{
    size_t bytes;
    const uint8_t *from = fuzz_take_bytes(in, max, &bytes);
    int fd = fuzz_make_file(path);
    BUG_ON(write(fd, from, bytes) != (ssize_t)bytes);
    return fd;
}

static void check_tree(const void *tree)
{
    int bad = fdt_check_full(tree, LINUX_TREE_BYTES);
    fuzz_check(bad == 0, "the kernel gets no tree: %s", fdt_strerror(bad));
    const char *line = fdt_getprop(tree, fdt_path_offset(tree, "/chosen"), "bootargs", NULL);
    fuzz_check(line != NULL && strcmp(line, "quiet") == 0, "the command line is lost");
}

static void run(struct fuzz_input *in)
{
    struct boot_request request = {.cmdline = "quiet"};
    struct machine_tree own = {
        .arch = {.irq_cells = 1,
                 .irq = put_irq,
                 .cpu_reg = cpu_reg,
                 .cpu = put_cpu,
                 .nodes = put_nothing},
        .vcpus = 1,
        .serial = {0x1000000, 1},
    };
    const struct linux_image image = {.tree_gpa = RAM_GPA};
    struct gmem *g;
    char paths[2][32];
    int files[2];
    unsigned how = (unsigned)fuzz_take(in, 1);
    size_t tree_bytes = (size_t)fuzz_take(in, 2);
    BUG_ON(gmem_create_shared(&g, LINUX_TREE_BYTES, 0, RAM_GPA) != 0);
    own.gmem = g;
    files[0] = make_file(in, tree_bytes, paths[0]);
    files[1] = make_file(in, FILE_MAX, paths[1]);
    request.dtb = how & 1 ? paths[0] : NULL;
    request.dtb_overlay = how & 2 ? paths[1] : NULL;
    unsigned open_before = fuzz_open_fds();
    fuzz_count_lines(LOG_ERROR);
    int err = tree_load(g, &own, &request, &image);
    fuzz_check(fuzz_lines() == (err != 0), "error %d was told in %u lines", err, fuzz_lines());
    fuzz_check(fuzz_open_fds() == open_before, "a file was left open");
    if (err == 0)
        check_tree(gmem_ptr(g, RAM_GPA, LINUX_TREE_BYTES, 8));
    close(files[0]);
    close(files[1]);
    gmem_destroy(g);
}

const struct fuzz_target fuzz_target_dtb = {.name = "dtb", .run = fuzz_run_bytes, .bytes = run};
