// SPDX-License-Identifier: BSD-2-Clause
#include "core/output/outputs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "core/output/plot.h"

#define LOOK_BYTES 512

/* How files begin that an earlier run wrote, and what else is in their first bytes. */
static const struct {
    enum file_use use;
    const char *begins, *has;
} formers[] = {
    {FILE_CAPTURE, "\x4d\x3c\xb2\xa1", ""},
    {FILE_RECORDING, "minivet tape ", ""},
    {FILE_TREE, "\xd0\x0d\xfe\xed", ""},
    {FILE_DRAWING, "<?xml ", "Produced by GNUPLOT "},
    {FILE_DRAWING, "\x89PNG\r\n\x1a\n", ""}, /* which does not name the program that drew it */
    {FILE_DRAWING, "set terminal ", "\npicture = ARG0["}, /* core/output/plot.h: FILE.gp */
    {FILE_DRAWING, PLOT_DATA_BEGINS, ""},                 /* and FILE.dat */
    {FILE_JSON, "{\"events\":[{\"event\":\"process started\"", ""},
    {FILE_JSON, "{\"traceEvents\":[{\"args\":{\"name\":\"set-up\"", ""},
    {FILE_JSON, "{\n\t\"bench\":\t\"", "\t\"rounds\":\t"},
};

static bool is_former(enum file_use use, const char *text, size_t len)
{
    for (unsigned i = 0; i < ARRAY_SIZE(formers); i++) {
        size_t begins = strlen(formers[i].begins);
        if (formers[i].use == use && len >= begins &&
            memcmp(text, formers[i].begins, begins) == 0 &&
            memmem(text, len, formers[i].has, strlen(formers[i].has)) != NULL)
            return true;
    }
    return false;
}

/* Of what is there already. */
static int check_content(const struct named_file *f)
{
    static const char *const names[] = {[FILE_CAPTURE] = "capture",
                                        [FILE_RECORDING] = "recording",
                                        [FILE_TREE] = "device tree",
                                        [FILE_DRAWING] = "drawing",
                                        [FILE_JSON] = "JSON"};
    char text[LOOK_BYTES];
    int fd = open(f->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    ssize_t len = fd < 0 ? -1 : pread(fd, text, sizeof(text), 0);
    int err = len < 0 ? fail(-errno, "%s %s: read what is there", f->option, f->path) : 0;
    if (fd >= 0)
        close(fd);
    if (len <= 0 || is_former(f->use, text, (size_t)len))
        return err;
    return fail_msg(-EINVAL, "%s %s: is there, and is no %s that Minivet wrote; give a new name",
                    f->option, f->path, names[f->use]);
}

/*
 * Neither is there. glibc gives the name of what is missing: of the file, of one that a symbolic
 * link leads to, or of a folder that both would be in.
 */
static bool same_new_file(const char *a, const char *b)
{
    char real_a[PATH_MAX] = "", real_b[PATH_MAX] = "";
    struct stat link;
    (void)!realpath(a, real_a);
    (void)!realpath(b, real_b);
    return real_a[0] != '\0' && strcmp(real_a, real_b) == 0 &&
           (strcmp(basename(a), basename(b)) == 0 || lstat(a, &link) == 0 || lstat(b, &link) == 0);
}

static bool is_same(const struct named_file *a, const struct stat *sa, const struct named_file *b)
{
    struct stat sb;
    if (stat(b->path, &sb) < 0)
        return sa == NULL && same_new_file(a->path, b->path);
    if (sa == NULL)
        return false;
    return (sa->st_dev == sb.st_dev && sa->st_ino == sb.st_ino) ||
           (S_ISBLK(sa->st_mode) && S_ISBLK(sb.st_mode) && sa->st_rdev == sb.st_rdev);
}

static int check_output(const struct named_file *files, unsigned count, const struct named_file *f)
{
    struct stat st;
    bool is_there = stat(f->path, &st) == 0;
    if (is_there && (S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode)))
        return 0;
    for (unsigned i = 0; i < count; i++) {
        if (&files[i] != f && files[i].path != NULL && is_same(f, is_there ? &st : NULL, &files[i]))
            return fail_msg(-EINVAL, "%s %s: is the file of %s %s, too; give a new name", f->option,
                            f->path, files[i].option, files[i].path);
    }
    return is_there && f->use != FILE_LOG ? check_content(f) : 0;
}

/* Beside a drawing lie its numbers and its script (core/output/plot.h). */
static int check_beside(const struct named_file *files, unsigned count, const struct named_file *f)
{
    static const char *const endings[] = {".dat", ".gp"};
    int err = 0;
    for (unsigned i = 0; err == 0 && i < ARRAY_SIZE(endings); i++) {
        char path[PATH_MAX];
        int len = snprintf(path, sizeof(path), "%s%s", f->path, endings[i]);
        err = len < (int)sizeof(path)
                  ? check_output(files, count, &(struct named_file){f->use, f->option, path})
                  : fail(-ENAMETOOLONG, "%s %s%s", f->option, f->path, endings[i]);
    }
    return err;
}

int outputs_check(const struct named_file *files, unsigned count)
{
    int err = 0;
    for (unsigned i = 0; err == 0 && i < count; i++) {
        if (files[i].use == FILE_INPUT || files[i].path == NULL)
            continue;
        err = check_output(files, count, &files[i]);
        if (err == 0 && files[i].use == FILE_DRAWING)
            err = check_beside(files, count, &files[i]);
    }
    return err;
}

enum timeline_format timeline_format_of(const char *path)
{
    static const struct {
        const char *ending;
        enum timeline_format format;
    } endings[] = {{".trace.json", TIMELINE_TRACE}, {".json", TIMELINE_JSON}};
    if (path == NULL)
        return TIMELINE_TABLE;
    if (plot_takes(path))
        return TIMELINE_PLOT;
    size_t len = strlen(path);
    for (unsigned i = 0; i < ARRAY_SIZE(endings); i++) {
        size_t n = strlen(endings[i].ending);
        if (len > n && strcmp(path + len - n, endings[i].ending) == 0)
            return endings[i].format;
    }
    return TIMELINE_UNKNOWN;
}
