// SPDX-License-Identifier: BSD-2-Clause
#include "vmm/cli/stock_kernel.h"

#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/fail.h"
#include "core/base/log.h"
#include "core/base/xmath.h"
#include "vmm/config/config.h"

/* As tools/lib/common.sh has it. */
static const struct {
    const char *variable, *folder;
} caches[] = {{"MINIVET_CACHE", ""}, {"XDG_CACHE_HOME", "/minivet"}, {"HOME", "/.cache/minivet"}};

int stock_kernel_choose(struct stock_kernel *s, struct vm_config *config)
{
    const char *base = NULL;
    glob_t found = {0};
    unsigned i = 0;
    while (i < ARRAY_SIZE(caches) && ((base = getenv(caches[i].variable)) == NULL || *base == '\0'))
        i++;
    s->kernel[0] = '\0';
    if (i < ARRAY_SIZE(caches))
        snprintf(s->kernel, sizeof(s->kernel), "%s%s/images/*/vmlinuz", base, caches[i].folder);
    if (glob(s->kernel, 0, NULL, &found) != 0)
        return fail_msg(-ENOENT, "no kernel given: minivet run KERNEL, see `minivet run --help`; "
                                 "tools/run-linux fetches one and boots it");
    snprintf(s->kernel, sizeof(s->kernel), "%s", found.gl_pathv[0]); /* of the oldest series */
    globfree(&found);
    config->kernel = s->kernel;
    int folder = (int)(strrchr(s->kernel, '/') - s->kernel);
    snprintf(s->initramfs, sizeof(s->initramfs), "%.*s/initramfs.gz", folder, s->kernel);
    if (config->initrd == NULL && config->root.path == NULL && access(s->initramfs, R_OK) == 0)
        config->initrd = s->initramfs;
    /* What a command prints is not to be mixed with it. */
    log_at(config->command != NULL ? LOG_INFO : LOG_WARN, "no kernel given: booting %s, initrd %s",
           config->kernel, config->initrd != NULL ? config->initrd : "none");
    return 0;
}
