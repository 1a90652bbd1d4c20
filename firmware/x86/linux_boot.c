// SPDX-License-Identifier: BSD-2-Clause
#include "firmware/x86/linux_boot.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "core/memory/gmem.h"
#include "firmware/kernel/initrd.h"
#include "firmware/x86/handover.h"
#include "firmware/x86/kernel.h"
#include "firmware/x86/x86_layout.h"

#define INITRD_ALIGN UINT64_C(4096)

/*
 * The highest free place of `bytes` bytes in [floor, ceiling) that stays clear of the kernel:
 * above it if there is room, else below it, as happens in small guests.
 */
static bool find_highest(const struct kernel *k, uint64_t floor, uint64_t ceiling, uint64_t bytes,
                         uint64_t *gpa)
{
    const struct {
        uint64_t start, end;
    } gaps[] = {
        {max_u64(floor, k->end_gpa), ceiling},
        {floor, min_u64(ceiling, k->start_gpa)},
    };

    for (size_t i = 0; i < ARRAY_SIZE(gaps); i++) {
        if (gaps[i].end < bytes)
            continue;
        *gpa = align_down(gaps[i].end - bytes, INITRD_ALIGN);
        if (*gpa >= gaps[i].start)
            return true;
    }
    return false;
}

static int initrd_no_room(const struct kernel *k, const struct gmem *g, const struct initrd *initrd)
{
    uint64_t low_bytes = kernel_low_bytes(g);
    uint64_t end = align_up(k->end_gpa, INITRD_ALIGN);

    if (!checked_add_u64(end, initrd->bytes, &end) || end > X86_HOLE_GPA ||
        end - 1 > k->initrd_max_gpa)
        return fail_msg(-ENOMEM,
                        "initrd %s: %" PRIu64 " MiB are too large: this kernel takes an initrd up "
                        "to address 0x%" PRIx64 " and uses the memory below 0x%" PRIx64 " itself",
                        initrd_name(initrd), image_mib(initrd->bytes),
                        min_u64(k->initrd_max_gpa, X86_HOLE_GPA - 1), k->end_gpa);
    return fail_msg(-ENOMEM,
                    "initrd %s: its %" PRIu64 " MiB do not fit into %" PRIu64
                    " MiB of memory beside the kernel; give the guest at least %" PRIu64 " MiB",
                    initrd_name(initrd), image_mib(initrd->bytes), low_bytes / MIB, image_mib(end));
}

static int load_initrd(const struct kernel *k, const struct gmem *g, const struct initrd *initrd,
                       struct handover *h)
{
    uint64_t ceiling = min_u64(kernel_low_bytes(g), k->initrd_max_gpa + 1);

    h->initrd_bytes = initrd->bytes;
    if (!find_highest(k, X86_HIGH_MEMORY_GPA, ceiling, initrd->bytes, &h->initrd_gpa))
        return initrd_no_room(k, g, initrd);
    return initrd_load(initrd, g, h->initrd_gpa);
}

static int write_cmdline(const struct kernel *k, const struct gmem *g, const char *cmdline)
{
    size_t len = strlen(cmdline);
    uint64_t max = min_u64(k->cmdline_max_bytes, X86_CMDLINE_BYTES - 1);

    if (len > max)
        return fail_msg(-E2BIG,
                        "command line: has %zu bytes, but this kernel takes at most %" PRIu64
                        "; shorten it",
                        len, max);
    return gmem_write(g, X86_CMDLINE_GPA, cmdline, len + 1);
}

static void hand_over(const struct kernel *k, const struct gmem *g, const struct handover *h,
                      struct boot_state *out)
{
    *out = (struct boot_state){
        .mode = k->mode,
        .rip = k->entry_gpa,
        .rsp = X86_BOOT_STACK_GPA,
    };
    handover_write_gdt(g, out);
    if (k->mode == BOOT_LONG64) {
        handover_write_boot_params(g, h);
        handover_write_page_tables(g, out);
        out->rsi = X86_BOOT_PARAMS_GPA;
    } else {
        handover_write_start_info(g, h);
        out->rbx = X86_START_INFO_GPA;
    }
}

int linux_boot_load(const struct gmem *g, const struct linux_boot_config *config,
                    struct boot_state *out)
{
    struct handover h = {.map = config->map,
                         .rsdp_gpa = config->rsdp_gpa,
                         .framebuffer = config->request.framebuffer};
    struct initrd initrd = {.file.fd = -1};
    struct kernel k;
    int err = kernel_open(&k, config->request.kernel_path);

    if (!err && kernel_low_bytes(g) <= X86_HIGH_MEMORY_GPA)
        err = fail_msg(-ENOMEM, "kernel %s: does not fit into %" PRIu64 " KiB of memory",
                       config->request.kernel_path, kernel_low_bytes(g) / KIB);
    if (!err)
        err = initrd_open(&initrd, &config->request);
    k.initrd_bytes = initrd.bytes;
    k.file.cancel = config->request.cancel;
    if (!err && k.format == KERNEL_BZIMAGE)
        err = bzimage_load(&k, g, config);
    else if (!err)
        err = elf_kernel_load(&k, g, config->entry);
    if (!err && initrd.bytes > 0)
        err = load_initrd(&k, g, &initrd, &h);
    if (!err)
        err = write_cmdline(&k, g, config->request.cmdline);
    if (!err) {
        h.kaslr = k.kaslr;
        h.setup_head = k.format == KERNEL_BZIMAGE ? k.head : NULL;
        hand_over(&k, g, &h, out);
    }
    initrd_close(&initrd);
    kernel_close(&k);
    return err;
}
