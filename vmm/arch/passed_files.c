// SPDX-License-Identifier: BSD-2-Clause
#include "arch/passed_files.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "arch/arch.h"
#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "devices/platform/fw_cfg.h"
#include "firmware/kernel/image.h"

_Static_assert(FW_CFG_FILES_MAX == BOARD_FILES_MAX && FW_CFG_NAME_BYTES == BOARD_FILE_NAME_BYTES,
               "what users may pass fits");

struct passed_files {
    struct fw_cfg *device;
    struct fw_cfg_file files[FW_CFG_FILES_MAX];
    void *loaded[FW_CFG_FILES_MAX]; /* NULL: a text */
};

static int load(struct passed_files *p, unsigned i, const char *path)
{
    struct image img;
    int r = image_open(&img, "fw-cfg", path);
    if (r == 0 && img.bytes > BOARD_FILE_BYTES_MAX)
        r = fail_msg(-EFBIG, "fw-cfg %s: has more than %u MiB", path,
                     (unsigned)(BOARD_FILE_BYTES_MAX / MIB));
    if (r == 0 && (p->loaded[i] = malloc(img.bytes)) == NULL)
        r = fail(-ENOMEM, "fw-cfg %s", path);
    if (r == 0)
        r = image_read(&img, 0, p->loaded[i], img.bytes);
    p->files[i].data = p->loaded[i];
    p->files[i].bytes = (uint32_t)img.bytes;
    image_close(&img);
    return r;
}

static int load_all(struct passed_files *p, const struct board_file *files, unsigned count)
{
    int r = 0;
    for (unsigned i = 0; r == 0 && i < count; i++) {
        strncpy(p->files[i].name, files[i].name, sizeof(p->files[i].name) - 1);
        if (files[i].path != NULL) {
            r = load(p, i, files[i].path);
        } else {
            p->files[i].data = files[i].text;
            p->files[i].bytes = (uint32_t)strlen(files[i].text);
        }
    }
    return r;
}

int passed_files_create(struct passed_files **out, const struct board_config *board,
                        enum bus_space space, uint64_t base)
{
    struct passed_files *p = calloc(1, sizeof(*p));
    if (p == NULL)
        return fail(-ENOMEM, "fw-cfg");
    int r = load_all(p, board->files, board->file_count);
    if (r == 0)
        r = fw_cfg_create(
            &p->device, &(struct fw_cfg_config){.space = space,
                                                .bus = space == BUS_PIO ? board->pio : board->mmio,
                                                .base = base,
                                                .files = p->files,
                                                .count = board->file_count});
    if (r < 0) {
        passed_files_destroy(p);
        return r;
    }
    *out = p;
    return 0;
}

void passed_files_destroy(struct passed_files *p)
{
    if (p == NULL)
        return;
    fw_cfg_destroy(p->device);
    for (unsigned i = 0; i < ARRAY_SIZE(p->loaded); i++)
        free(p->loaded[i]);
    free(p);
}
