// SPDX-License-Identifier: BSD-2-Clause
/*
 * A kernel file on its way into guest memory. For linux_boot.c, which asks kernel_open() what the
 * file is and then one of the loaders to load it.
 *
 * The file is as hostile as the guest it becomes: its first bytes are copied once, and every
 * number in them is checked before it is used.
 */
#ifndef MINIVET_FIRMWARE_KERNEL_H
#define MINIVET_FIRMWARE_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "firmware/kernel/image.h"
#include "firmware/x86/linux_boot.h"

struct gmem;

enum kernel_format {
    KERNEL_BZIMAGE,
    KERNEL_ELF,
};

#define KERNEL_HEAD_BYTES 4096u

struct kernel {
    struct image file;
    enum kernel_format format;
    uint8_t head[KERNEL_HEAD_BYTES]; /* the file's beginning; zero beyond its end */
    size_t head_bytes;               /* how much of it the file has */

    /* For the loaders. */
    uint64_t initrd_bytes; /* 0: none */
    uint64_t move_gpa;     /* ELF: added to every physical address in it */

    /* Set by the loaders. */
    enum boot_mode mode;
    uint64_t entry_gpa;
    uint64_t start_gpa;         /* from here ... */
    uint64_t end_gpa;           /* ... to below here is the kernel's until it runs */
    uint64_t initrd_max_gpa;    /* the highest address at which an initrd's byte may be */
    uint64_t cmdline_max_bytes; /* without the NUL */
    bool kaslr;                 /* it was told apart from where it was linked, by chance */
};

/* Opens and identifies; what is not a kernel is refused. kernel_close() is right after a failure.
 */
int kernel_open(struct kernel *k, const char *path);
/* For a file that is open already. */
int kernel_identify(struct kernel *k);
void kernel_close(struct kernel *k);

/* How much of a machine's memory is below the device hole: where everything here goes. */
uint64_t kernel_low_bytes(const struct gmem *g);

/* May the kernel have this range? 0, -ENOEXEC or -ENOMEM, reported. */
int kernel_check_range(const struct kernel *k, const struct gmem *g, uint64_t gpa, uint64_t bytes);

#define kernel_bad(k, ...) image_bad(&(k)->file, __VA_ARGS__)

int bzimage_load(struct kernel *k, const struct gmem *g, const struct linux_boot_config *config);
/*
 * For bzimage_load(), which has filled in all but the mode and the entry: what is packed in its
 * body. 1 if it is loaded, 0 if it must unpack itself, or a negative errno; reported.
 */
int payload_load(struct kernel *k, const struct gmem *g, const struct linux_boot_config *config,
                 uint64_t body_offset, uint64_t body_bytes);
int elf_kernel_load(struct kernel *k, const struct gmem *g, enum linux_entry entry);

/* The fields of Linux's setup header, by their offset in the file and in boot_params alike. */
enum {
    SETUP_HEADER = 0x1f1,
    SETUP_SECTS = 0x1f1,
    SETUP_SYSSIZE = 0x1f4,
    SETUP_BOOT_FLAG = 0x1fe,
    SETUP_JUMP_LENGTH = 0x201, /* counted from 0x202: where the header ends */
    SETUP_MAGIC = 0x202,
    SETUP_VERSION = 0x206,
    SETUP_TYPE_OF_LOADER = 0x210,
    SETUP_LOADFLAGS = 0x211,
    SETUP_RAMDISK_IMAGE = 0x218,
    SETUP_RAMDISK_SIZE = 0x21c,
    SETUP_CMD_LINE_PTR = 0x228,
    SETUP_INITRD_ADDR_MAX = 0x22c,
    SETUP_KERNEL_ALIGNMENT = 0x230,
    SETUP_XLOADFLAGS = 0x236,
    SETUP_CMDLINE_SIZE = 0x238,
    SETUP_PAYLOAD_OFFSET = 0x248, /* in the protected-mode part */
    SETUP_PAYLOAD_LENGTH = 0x24c,
    SETUP_SETUP_DATA = 0x250,
    SETUP_PREF_ADDRESS = 0x258,
    SETUP_INIT_SIZE = 0x260,
    SETUP_HEADER_MIN_END = 0x264, /* a header of protocol 2.12 has all of the above */
    SETUP_HEADER_MAX_END = 0x290, /* in boot_params other things begin here */
};

#define SETUP_BOOT_FLAG_VALUE UINT32_C(0xaa55)
#define SETUP_MAGIC_VALUE     UINT32_C(0x53726448) /* "HdrS" */
#define SETUP_MIN_VERSION     0x20cu
#define SETUP_LOADED_HIGH     0x01u
#define SETUP_KASLR           0x02u /* the kernel's place was chosen by chance */
#define SETUP_LOADER_UNKNOWN  0xffu /* no id was assigned to this loader */
#define SETUP_XLF_KERNEL_64   0x01u

/* What an x86 Linux that has no setup header takes: its COMMAND_LINE_SIZE and its initrd limit. */
#define LINUX_CMDLINE_MAX_BYTES 2047u
#define LINUX_INITRD_MAX_GPA    UINT64_C(0x7fffffff)

#endif
