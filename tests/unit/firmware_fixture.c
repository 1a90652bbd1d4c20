// SPDX-License-Identifier: BSD-2-Clause
#include "tests/unit/firmware_fixture.h"

#include <criterion/criterion.h>

#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/gmem.h"
#include "core/le.h"
#include "core/log.h"
#include "firmware/kernel.h"
#include "firmware/x86_layout.h"

#define PATH_OF_FILES "/proc/self/fd/"

/* Each test is a process of its own. */
static char error_line[1024];
static unsigned error_lines;

static void keep(void *ctx, enum log_level level, const char *line)
{
    (void)ctx;
    if (level == LOG_ERROR) {
        error_lines++;
        snprintf(error_line, sizeof(error_line), "%s", line);
    }
}

void fx_capture_errors(void)
{
    error_lines = 0;
    error_line[0] = '\0';
    log_set_sink(keep, NULL);
}

const char *fx_error(void)
{
    cr_assert_eq(error_lines, 1, "%u error lines, the last is: %s", error_lines, error_line);
    return error_line;
}

void fx_expect_error(const char *line)
{
    const char *is = fx_error();
    const char *path = strchr(line, '%');
    size_t before = path ? (size_t)(path - line) : strlen(line);

    cr_assert(strncmp(is, line, before) == 0, "expected: %s\n     got: %s", line, is);
    is += before;
    if (path) {
        cr_assert(strncmp(is, PATH_OF_FILES, strlen(PATH_OF_FILES)) == 0, "%s", is);
        is += strlen(PATH_OF_FILES);
        is += strspn(is, "0123456789");
        line = path + 1;
    } else {
        line += before;
    }
    cr_assert_str_eq(is, line);
}

void fx_expect_untouched(const struct gmem *g)
{
    cr_assert_eq(lseek(g->fd, 0, SEEK_DATA), -1);
    cr_assert_eq(errno, ENXIO);
}

struct gmem *fx_memory(uint64_t bytes)
{
    struct gmem *g = NULL;

    cr_assert_eq(gmem_create(&g, bytes, X86_HOLE_GPA, X86_HOLE_END_GPA), 0);
    return g;
}

const char *fx_file(const void *bytes, size_t len, uint64_t total)
{
    static struct {
        char path[40];
        int fd;
    } files[2] = {{.fd = -1}, {.fd = -1}};
    static unsigned turn;
    char *path = files[turn % 2].path;
    int fd = memfd_create("firmware-test", MFD_CLOEXEC);

    if (files[turn % 2].fd >= 0)
        close(files[turn % 2].fd);
    files[turn++ % 2].fd = fd;
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, bytes, len), (ssize_t)len);
    cr_assert_eq(ftruncate(fd, (off_t)total), 0);
    snprintf(path, sizeof(files[0].path), PATH_OF_FILES "%d", fd);
    return path;
}

void fx_expect_bytes(const struct gmem *g, uint64_t gpa, const void *bytes, size_t len)
{
    const void *p = gmem_ptr(g, gpa, len, 1);

    cr_assert_not_null(p);
    cr_assert_arr_eq(p, bytes, len);
}

uint32_t fx_u32(const struct gmem *g, uint64_t gpa)
{
    uint32_t v;

    cr_assert_eq(gmem_read(g, gpa, &v, sizeof(v)), 0);
    return le32toh(v);
}

uint64_t fx_u64(const struct gmem *g, uint64_t gpa)
{
    uint64_t v;

    cr_assert_eq(gmem_read(g, gpa, &v, sizeof(v)), 0);
    return le64toh(v);
}

void fx_bzimage(uint8_t *file)
{
    memset(file, 0, FX_BZ_BYTES);
    le16_put(file, 0x5a4d); /* "MZ": it is an EFI program too */
    file[SETUP_SECTS] = FX_SETUP_BYTES / 512 - 1;
    le32_put(file + SETUP_SYSSIZE, FX_BODY_BYTES / 16);
    le16_put(file + SETUP_BOOT_FLAG, SETUP_BOOT_FLAG_VALUE);
    file[0x200] = 0xeb;
    file[SETUP_JUMP_LENGTH] = 0x6a;
    le32_put(file + SETUP_MAGIC, SETUP_MAGIC_VALUE);
    le16_put(file + SETUP_VERSION, 0x20f);
    file[SETUP_LOADFLAGS] = 0x81; /* a heap is only for real mode, and must not be passed on */
    le32_put(file + SETUP_INITRD_ADDR_MAX, 0x7fffffff);
    le32_put(file + SETUP_KERNEL_ALIGNMENT, 0x200000);
    le16_put(file + SETUP_XLOADFLAGS, 0x7f);
    le32_put(file + SETUP_CMDLINE_SIZE, 2047);
    le64_put(file + SETUP_SETUP_DATA, 0xdead000);
    le64_put(file + SETUP_PREF_ADDRESS, FX_PREF_GPA);
    le32_put(file + SETUP_INIT_SIZE, FX_INIT_BYTES);
    memset(file + FX_SETUP_BYTES, 0x5a, FX_BODY_BYTES);
}

static void program_header(uint8_t *file, unsigned n, uint32_t type, uint64_t offset, uint64_t gpa,
                           uint64_t file_bytes, uint64_t bytes)
{
    Elf64_Phdr ph = {
        .p_type = type,
        .p_offset = offset,
        .p_vaddr = gpa + FX_VIRT,
        .p_paddr = gpa,
        .p_filesz = file_bytes,
        .p_memsz = bytes,
        .p_align = 4,
    };

    memcpy(file + FX_PHDR(n), &ph, sizeof(ph));
}

static void note(uint8_t *p, const char *name, uint32_t type, uint64_t value)
{
    le32_put(p, 4);
    le32_put(p + 4, 8);
    le32_put(p + 8, type);
    memcpy(p + 12, name, 4);
    le64_put(p + 16, value);
}

void fx_elf(uint8_t *file)
{
    Elf64_Ehdr eh = {
        .e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
        .e_type = ET_EXEC,
        .e_machine = EM_X86_64,
        .e_version = EV_CURRENT,
        .e_entry = FX_ELF_ENTRY,
        .e_phoff = sizeof(eh),
        .e_ehsize = sizeof(eh),
        .e_phentsize = sizeof(Elf64_Phdr),
        .e_phnum = 3,
    };

    memset(file, 0, FX_ELF_BYTES);
    memcpy(file, &eh, sizeof(eh));
    program_header(file, 0, PT_LOAD, 0x1000, FX_TEXT_GPA, 0x1000, 0x1000);
    program_header(file, 1, PT_LOAD, 0x2000, FX_DATA_GPA, 0x800, 0x1000);
    program_header(file, 2, PT_NOTE, FX_NOTES, 0, FX_NOTES_BYTES, FX_NOTES_BYTES);
    memset(file + 0x1000, 0xa5, 0x1000);
    memset(file + 0x2000, 0xc3, 0x800);
    note(file + FX_NOTES, "GNU", 18, 1); /* same type, another's: to be passed over */
    note(file + FX_PVH_NOTE, "Xen", 18, FX_PVH_ENTRY);
}
