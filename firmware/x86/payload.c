// SPDX-License-Identifier: BSD-2-Clause
/*
 * The kernel proper within a bzImage: an ELF file and its table of relocations, packed, then how
 * large it is. A kernel that is started as boot.rst says unpacks it, moves it to a random place and
 * enters it; here this is done before the guest runs, where it is faster, and once for many runs.
 * What is entered is then startup_64 of the kernel proper, which takes boot_params as the other
 * entry does.
 */
#include "firmware/x86/kernel.h"

#include <elf.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/fail.h"
#include "core/base/le.h"
#include "core/base/log.h"
#include "core/base/xmath.h"
#include "core/memory/gmem.h"
#include "firmware/kernel/cmdline.h"
#include "firmware/kernel/packed.h"
#include "firmware/kernel/unpack.h"
#include "firmware/x86/relocs.h"

#define SIZE_BYTES       4u /* at the payload's end: how much it unpacks to */
#define ALIGN_MIN        (2 * MIB)
#define RELOCS_MAX_BYTES (64 * MIB) /* many times what Linux has */
/* Linux maps so much for itself, if it has relocations. Its modules are above. */
#define LINUX_MAP_BYTES (UINT64_C(1) << 30)

/* ---- find and unpack ---- */

/* 1, 0 for what is not known here, or a negative errno; reported. */
static int find(struct packed *p, const struct kernel *k, uint64_t body_offset, uint64_t body_bytes)
{
    uint32_t offset = le32_get(k->head + SETUP_PAYLOAD_OFFSET);
    uint8_t magic[UNPACK_MAGIC_BYTES], size[SIZE_BYTES];

    p->bytes = le32_get(k->head + SETUP_PAYLOAD_LENGTH);
    p->offset = body_offset + offset;
    if (p->bytes == 0)
        return 0;
    if (!range_within(offset, p->bytes, 0, body_bytes) || p->bytes < sizeof(magic) + sizeof(size))
        return kernel_bad(k,
                          "%" PRIu32 " packed bytes at %" PRIu32 " of a body of %" PRIu64 " bytes",
                          p->bytes, offset, body_bytes);
    int err = image_read(&k->file, p->offset, magic, sizeof(magic));
    if (!err)
        err = image_read(&k->file, p->offset + p->bytes - sizeof(size), size, sizeof(size));
    if (err)
        return err;
    p->format = unpack_format(magic);
    if (!p->format)
        return 0;
    p->unpacked_bytes = le32_get(size);
    if (p->unpacked_bytes == 0 || p->unpacked_bytes > k->end_gpa - k->start_gpa)
        return kernel_bad(k, "%" PRIu32 " unpacked bytes are to run in %" PRIu64, p->unpacked_bytes,
                          k->end_gpa - k->start_gpa);
    return 1;
}

/* ---- relocate ---- */

struct move {
    uint64_t gpa;  /* added to every physical address */
    uint64_t virt; /* added to every virtual address */
};

/* What is behind the ELF file, which ends with its table of sections. NULL: no relocations. */
static uint8_t *read_relocs(const struct kernel *elf, uint64_t *bytes)
{
    Elf64_Ehdr eh;

    memcpy(&eh, elf->head, sizeof(eh));
    uint64_t end = le64toh(eh.e_shoff);
    uint64_t sections = (uint64_t)le16toh(eh.e_shentsize) * le16toh(eh.e_shnum);
    if (end == 0 || !checked_add_u64(end, sections, &end) || end >= elf->file.bytes)
        return NULL;
    *bytes = elf->file.bytes - end;
    uint8_t *table = *bytes <= RELOCS_MAX_BYTES ? malloc(*bytes) : NULL;
    if (table && image_read(&elf->file, end, table, *bytes) == 0 && relocs_are(table, *bytes))
        return table;
    free(table);
    return NULL;
}

/* One of the places for `bytes` bytes in [from, end), as how far it is from the first. */
static uint64_t random_distance(const struct entropy *entropy, uint64_t from, uint64_t end,
                                uint64_t bytes, uint64_t align)
{
    uint64_t random;

    if (end < from || end - from < bytes || entropy->fill(entropy->ctx, &random, sizeof(random)))
        return 0;
    return random % ((end - from - bytes) / align + 1) * align;
}

/*
 * As the kernel itself would: physical and virtual address each for itself. The initrd's place is
 * left free. A user's own memmap= overrides the map: the kernel stays where it is.
 */
static struct move choose_move(const struct kernel *k, const struct gmem *g,
                               const struct linux_boot_config *config)
{
    uint64_t align = le32_get(k->head + SETUP_KERNEL_ALIGNMENT);
    uint64_t bytes = k->end_gpa - k->start_gpa;
    uint64_t end = min_u64(kernel_low_bytes(g), k->initrd_max_gpa + 1);
    struct move move = {0};

    if (!is_pow2(align) || align < ALIGN_MIN)
        align = ALIGN_MIN;
    end = end > k->initrd_bytes ? align_down(end - k->initrd_bytes, ALIGN_MIN) : 0;
    if (!linux_cmdline_has(config->request.cmdline, "mem=") &&
        !linux_cmdline_has(config->request.cmdline, "memmap="))
        move.gpa = random_distance(config->request.entropy, k->start_gpa, end, bytes, align);
    move.virt =
        random_distance(config->request.entropy, k->start_gpa, LINUX_MAP_BYTES, bytes, align);
    return move;
}

/* ---- load ---- */

static int load(struct kernel *k, struct kernel *elf, const struct gmem *g,
                const struct linux_boot_config *config)
{
    uint64_t link_gpa = k->start_gpa, relocs_bytes = 0;
    struct move move = {0};
    uint8_t *relocs =
        config->request.entropy && !linux_cmdline_has(config->request.cmdline, "nokaslr")
            ? read_relocs(elf, &relocs_bytes)
            : NULL;

    if (relocs)
        move = choose_move(k, g, config);
    k->kaslr = relocs != NULL;
    k->start_gpa += move.gpa;
    k->end_gpa += move.gpa;
    elf->move_gpa = move.gpa;
    int err = elf_kernel_load(elf, g, LINUX_ENTRY_LONG64);
    if (!err && (elf->start_gpa < k->start_gpa || elf->end_gpa > k->end_gpa))
        err = kernel_bad(k, "what it unpacks to lies outside of what it asks for");
    if (!err && move.virt > 0 &&
        !relocs_apply(relocs, relocs_bytes, move.virt,
                      gmem_ptr(g, k->start_gpa, k->end_gpa - k->start_gpa, 1), link_gpa,
                      elf->end_gpa - k->start_gpa))
        err = kernel_bad(k, "a relocation is outside of it");
    free(relocs);
    k->mode = BOOT_LONG64;
    k->entry_gpa = elf->entry_gpa;
    return err;
}

int payload_load(struct kernel *k, const struct gmem *g, const struct linux_boot_config *config,
                 uint64_t body_offset, uint64_t body_bytes)
{
    struct packed p = {.image.fd = -1};
    int err = config->request.unpack ? find(&p, k, body_offset, body_bytes) : 0;

    if (err <= 0) {
        if (err == 0)
            log_info("kernel %s: unpacks itself", k->file.path);
        return err;
    }
    struct kernel elf = {0};
    err = packed_open(&p, &k->file, config->request.cache_dir);
    if (!err) {
        elf.file = p.image;
        err = kernel_identify(&elf);
    }
    if (!err && elf.format != KERNEL_ELF)
        err = kernel_bad(k, "what it unpacks to is not ELF");
    if (!err)
        err = load(k, &elf, g, config);
    /* Only now: what is no kernel is not worth its room. */
    if (!err)
        packed_keep(&p, &k->file);
    packed_close(&p);
    return err < 0 ? err : 1;
}
