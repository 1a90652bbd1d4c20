// SPDX-License-Identifier: BSD-2-Clause
#include "tests/unit/firmware_fixture.h"

#include "firmware/x86/x86_layout.h"
#include "tests/harness/test.h"

#define PATH_OF_FILES "/proc/self/fd/"

/* Each test is a process of its own. */
static char error_line[1024];
static unsigned error_lines;
static const char *case_name = "";

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
    cr_assert_eq(error_lines, 1, "%s: %u error lines, the last is: %s", case_name, error_lines,
                 error_line);
    return error_line;
}

void fx_expect_error(const char *line)
{
    const char *is = fx_error();
    const char *path = strchr(line, '%');
    size_t before = path ? (size_t)(path - line) : strlen(line);

    cr_assert(strncmp(is, line, before) == 0, "%s: expected: %s\n     got: %s", case_name, line,
              is);
    is += before;
    if (path) {
        cr_assert(strncmp(is, PATH_OF_FILES, strlen(PATH_OF_FILES)) == 0, "%s", is);
        is += strlen(PATH_OF_FILES);
        is += strspn(is, "0123456789");
        line = path + 1;
    } else {
        line += before;
    }
    cr_assert_str_eq(is, line, "%s: %s", case_name, is);
}

void fx_expect_refused(const char *name, const char *error, const struct gmem *g)
{
    char line[256];
    case_name = name;
    snprintf(line, sizeof(line), "kernel %%: %s", error);
    fx_expect_error(line);
    fx_expect_untouched(g);
}

void fx_expect_untouched(const struct gmem *g)
{
    cr_assert_eq(lseek(g->fd, 0, SEEK_DATA), -1);
    cr_assert_eq(errno, ENXIO);
}

struct gmem *fx_memory(uint64_t bytes)
{
    struct gmem *g = NULL;

    cr_assert_eq(gmem_create_shared(&g, bytes, X86_HOLE_GPA, X86_HOLE_END_GPA), 0);
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
