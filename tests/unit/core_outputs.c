// SPDX-License-Identifier: BSD-2-Clause
/* core/output/outputs.c: which files a run may write to, and that the others stay as they are. */
#include "core/output/outputs.h"

#include "core/output/plot.h"
#include "core/tape/tape.h"
#include "tests/harness/folder.h"
#include "tests/harness/test.h"

TestSuite(outputs, .init = folder_enter, .fini = folder_leave);

static void put(const char *path, const void *bytes, size_t len)
{
    FILE *f = fopen(path, "we");
    cr_assert_not_null(f);
    cr_assert_eq(fwrite(bytes, 1, len, f), len);
    cr_assert_eq(fclose(f), 0);
}

static int check(enum file_use use, const char *path, const char *input)
{
    const struct named_file files[] = {
        {FILE_INPUT, "--disk", input}, {use, "--out", path}, {FILE_INPUT, "--kernel", NULL}};
    folder_line[0] = '\0';
    return outputs_check(files, ARRAY_SIZE(files));
}

static void refused(enum file_use use, const char *path, const char *input, const char *why)
{
    cr_expect_eq(check(use, path, input), -EINVAL, "%s %s", path, input);
    cr_expect(strstr(folder_line, path) != NULL && strstr(folder_line, why) != NULL, "\"%s\": %s",
              folder_line, why);
}

Test(outputs, an_input_is_no_output_by_any_name)
{
    put("disk", "", 0); /* nothing in it says what it is */
    cr_assert_eq(symlink("disk", "symbolic"), 0);
    cr_assert_eq(link("disk", "hard"), 0);
    refused(FILE_CAPTURE, "disk", "disk", "the file of --disk disk");
    refused(FILE_CAPTURE, "symbolic", "./disk", "the file of --disk ./disk");
    refused(FILE_CAPTURE, "hard", "symbolic", "the file of --disk symbolic");
    cr_expect_eq(check(FILE_CAPTURE, "disk", "null"), 0);
}

Test(outputs, one_file_is_one_output)
{
    cr_assert_eq(mkdir("folder", 0700), 0);
    cr_assert_eq(symlink("later", "dangling"), 0);
    static const struct {
        const char *a, *b;
        int result;
    } cases[] = {
        {"new", "new", -EINVAL},        {"new", "folder/../new", -EINVAL},
        {"later", "dangling", -EINVAL}, {"new", "other", 0},
        {"none/a", "none/b", 0}, /* which cannot be made, and what makes them says so */
        {"/dev/null", "/dev/null", 0},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        const struct named_file files[] = {{FILE_JSON, "--json", cases[i].a},
                                           {FILE_DRAWING, "--plot", cases[i].b}};
        cr_expect_eq(outputs_check(files, 2), cases[i].result, "%s %s: %s", cases[i].a, cases[i].b,
                     folder_line);
    }
}

Test(outputs, a_file_that_no_earlier_run_wrote_is_left_alone)
{
    static const char disk[4096] = {0};
    put("disk", disk, sizeof(disk));
    put("text", "dear diary", 10);
    put("other.svg", "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"5\"/>", 51);
    put("other.json", "{\"name\": \"package\"}", 19);
    for (int use = FILE_CAPTURE; use <= FILE_JSON; use++) {
        refused(use, "disk", NULL, "that Minivet wrote");
        refused(use, "text", NULL, "give a new name");
        refused(use, "other.svg", NULL, "give a new name");
        refused(use, "other.json", NULL, "give a new name");
        cr_expect_eq(check(use, "new", NULL), 0);
        cr_expect_eq(access("new", F_OK), -1, "a check makes no file");
    }
    cr_expect_eq(check(FILE_LOG, "text", NULL), 0, "what is only added to may be any");
    refused(FILE_LOG, "text", "text", "give a new name");
    cr_assert_eq(mkdir("folder", 0700), 0);
    cr_expect_eq(check(FILE_JSON, "folder", NULL), -EISDIR);
}

/* What vmm_timeline.c, core_tape.c and others find in what the program has really written. */
Test(outputs, what_an_earlier_run_wrote_is_written_over)
{
    static const char gnuplot[] = "<?xml version=\"1.0\"?>\n<svg\n><title>Gnuplot</title>\n"
                                  "<desc>Produced by GNUPLOT 5.4 patchlevel 4 </desc>\n";
    static const struct {
        enum file_use use;
        const char *bytes;
        size_t len;
    } cases[] = {
        {FILE_CAPTURE, "\x4d\x3c\xb2\xa1\2\0\4\0", 8},
        {FILE_RECORDING, TAPE_MAGIC, sizeof(TAPE_MAGIC)},
        {FILE_TREE, "\xd0\x0d\xfe\xed\0\0\1\0", 8},
        {FILE_DRAWING, gnuplot, sizeof(gnuplot)},
        {FILE_DRAWING, "\x89PNG\r\n\x1a\n....", 12},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        put("old", cases[i].bytes, cases[i].len);
        for (int use = FILE_CAPTURE; use <= FILE_JSON; use++)
            cr_expect_eq(check(use, "old", NULL), use == (int)cases[i].use ? 0 : -EINVAL,
                         "%u as %d: %s", i, use, folder_line);
    }
}

Test(outputs, what_lies_beside_a_drawing_is_checked_too)
{
    put("a.svg.dat", "dear diary", 10);
    refused(FILE_DRAWING, "a.svg", NULL, "a.svg.dat: is there");
    put("profile", "# ~/.profile: executed by the shell", 35);
    cr_assert_eq(symlink("profile", "c.svg.dat"), 0);
    refused(FILE_DRAWING, "c.svg", NULL, "c.svg.dat: is there");
    put("d.svg.dat", PLOT_DATA_BEGINS "1 2\n", sizeof(PLOT_DATA_BEGINS "1 2\n") - 1);
    cr_expect_eq(check(FILE_DRAWING, "d.svg", NULL), 0);
    put("b.svg.gp", "", 0);
    refused(FILE_DRAWING, "b.svg", "b.svg.gp", "b.svg.gp: is the file of --disk b.svg.gp");
    cr_expect_eq(check(FILE_DRAWING, "b.svg", NULL), 0);
}

Test(outputs, fifos_and_devices_are_left_to_what_opens_them)
{
    cr_assert_eq(mkfifo("fifo", 0600), 0);
    cr_expect_eq(check(FILE_JSON, "fifo", "fifo"), 0);
    cr_expect_eq(check(FILE_CAPTURE, "/dev/null", "/dev/null"), 0);
}
