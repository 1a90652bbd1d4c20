// SPDX-License-Identifier: BSD-2-Clause
/* core/output/plot.c: the files that gnuplot gets, and how it is run. */
#include "core/output/plot.h"

#include "tests/harness/test.h"

/* ---- a folder, in which the test is ---- */

static char folder[] = "/tmp/minivet-plot-XXXXXX";

static void enter(void)
{
    cr_assert_not_null(mkdtemp(folder));
    cr_assert_eq(chdir(folder), 0);
    listen_to_log(LOG_DEBUG);
}

static void leave(void)
{
    char command[64];
    log_set_sink(NULL, NULL);
    snprintf(command, sizeof(command), "/bin/rm -r %s", folder);
    cr_assert_eq(system(command), 0);
}

/* What is in the file, behind which there is a 0; -1: there is no such file. */
static long contents(const char *file, char *text, size_t size)
{
    FILE *f = fopen(file, "re");
    if (f == NULL)
        return -1;
    size_t len = fread(text, 1, size - 1, f);
    text[len] = '\0';
    fclose(f);
    return (long)len;
}

static void expect_holds(const char *file, const char *words)
{
    char text[8192];
    cr_assert_geq(contents(file, text, sizeof(text)), 0, "%s", file);
    cr_expect_not_null(strstr(text, words), "%s: %s", words, text);
}

/* A program of the shell's is gnuplot, and the only one that is found. */
static void be_gnuplot(const char *lines)
{
    FILE *f = fopen("gnuplot", "we");
    fprintf(f, "#!/bin/sh\n%s\n", lines);
    fclose(f);
    cr_assert_eq(chmod("gnuplot", 0755), 0);
    setenv("PATH", folder, 1);
}

/* The places of three points, with a name that is anything. */
static int draw(const char *file, const char *name)
{
    struct plot p;
    int r = plot_open(&p, file);
    if (r < 0)
        return r;
    plot_begin(&p, 400, 300);
    fputs("1 2\n2 3\n3 5\n", p.data);
    plot_row(&p, name, 2);
    fputs("plot data using 1:2 title ", p.script);
    plot_text(&p, name);
    fputc('\n', p.script);
    return plot_finish(&p);
}

/* ---- what is written ---- */

Test(plot, the_ending_says_how)
{
    static const char *const taken[] = {"a.svg", "a.png", "b/c.x.png"}, *const others[] = {
                                                                            "",      "svg",
                                                                            ".svg",  "b/.png",
                                                                            "a.pdf", "a.svg.gp"};
    for (unsigned i = 0; i < ARRAY_SIZE(taken); i++)
        cr_expect(plot_takes(taken[i]), "%s", taken[i]);
    for (unsigned i = 0; i < ARRAY_SIZE(others); i++)
        cr_expect(!plot_takes(others[i]), "%s", others[i]);
}

Test(plot, the_terminal_is_the_ending_s, .init = enter, .fini = leave)
{
    setenv("PATH", "/nowhere", 1);
    cr_assert_eq(draw("a.svg", "n"), 0);
    expect_holds("a.svg.gp", "set terminal svg size 400,300 ");
    expect_holds("a.svg.gp", "background '#ffffff' noenhanced ");
    expect_holds("a.svg.dat", "1 2\n2 3\n3 5\n");
    cr_assert_eq(draw("a.png", "n"), 0);
    expect_holds("a.png.gp", "set terminal pngcairo size 800,600 ");
}

Test(plot, nothing_in_a_text_is_special, .init = enter, .fini = leave)
{
    setenv("PATH", "/nowhere", 1);
    cr_assert_eq(draw("a.svg", "it's `date` \"50 %\" \\\nexit µ\xff"), 0);
    expect_holds("a.svg.gp",
                 "set label 'it''s `date` \"50 %\" \\?exit µ?' at graph 0, first 2 right ");
    expect_holds("a.svg.gp", " title 'it''s `date` \"50 %\" \\?exit µ?'\n");
}

Test(plot, a_file_that_cannot_be_is_refused_at_once, .init = enter, .fini = leave)
{
    struct plot p;
    cr_expect_eq(plot_open(&p, "/nowhere/a.svg"), -ENOENT);
    cr_expect_str_eq(logged_line,
                     "plot /nowhere/a.svg: create /nowhere/a.svg.dat: No such file or directory");
    cr_assert_eq(mkdir("b.svg.gp", 0755), 0);
    cr_expect_eq(plot_open(&p, "b.svg"), -EISDIR);
    cr_expect_str_eq(logged_line, "plot b.svg: create b.svg.gp: Is a directory");
}

Test(plot, what_could_not_be_written_is_said, .init = enter, .fini = leave)
{
    be_gnuplot("echo drawn >drawn");
    cr_assert_eq(symlink("/dev/full", "a.svg.dat"), 0);
    cr_expect_lt(draw("a.svg", "n"), 0);
    cr_expect_str_eq(logged_line, "a.svg.dat: write: No space left on device");
    cr_expect_neq(access("drawn", F_OK), 0);
}

/* ---- how gnuplot is run ---- */

Test(plot, without_gnuplot_the_remedy_is_named, .init = enter, .fini = leave)
{
    setenv("PATH", folder, 1);
    cr_expect_eq(draw("a.svg", "n"), 0);
    cr_expect_str_eq(logged_line, "gnuplot is not installed, so a.svg is not drawn: "
                                  "apt-get install gnuplot-nox; gnuplot a.svg.gp");
    cr_expect_neq(access("a.svg", F_OK), 0);
}

Test(plot, no_file_s_name_is_an_option_or_a_command, .init = enter, .fini = leave)
{
    be_gnuplot("for i; do echo \"<$i>\"; done >arguments");
    cr_expect_eq(draw("-a b.svg", "n"), 0);
    expect_holds("arguments", "<-d>\n<-e>\n<ARG0 = './-a b.svg.gp'>\n<->\n");
    cr_expect_eq(draw("|a.svg", "n"), 0);
    expect_holds("arguments", "<-d>\n<-e>\n<ARG0 = './|a.svg.gp'>\n<->\n");
    char file[64], words[80];
    snprintf(file, sizeof(file), "%s/c.png", folder);
    snprintf(words, sizeof(words), "<ARG0 = '%s.gp'>\n", file);
    cr_expect_eq(draw(file, "n"), 0);
    expect_holds("arguments", words);
}

Test(plot, its_error_is_said, .init = enter, .fini = leave)
{
    be_gnuplot("printf 'plot x\\n     ^\\n\"./a.svg.gp\" line 3: bad \\033\\n\\n' >&2; exit 1");
    cr_expect_eq(draw("a.svg", "n"), -EIO);
    cr_expect_str_eq(logged_line, "gnuplot ./a.svg.gp: \"./a.svg.gp\" line 3: bad ?");
    be_gnuplot("exit 3");
    cr_expect_eq(draw("a.svg", "n"), -EIO);
    cr_expect_str_eq(logged_line, "gnuplot ./a.svg.gp: ended early");
    be_gnuplot("echo nothing is wrong");
    logged_line[0] = '\0';
    cr_expect_eq(draw("a.svg", "n"), 0);
    cr_expect_str_eq(logged_line, "");
}

/* Although this thread holds the signal back, as `minivet run` does. */
Test(plot, a_signal_ends_it, .init = enter, .fini = leave)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGINT, SIG_DFL); /* a shell's background jobs ignore it */
    be_gnuplot("kill -INT $$; exit 0");
    cr_expect_eq(draw("a.svg", "n"), -EINTR);
    cr_expect_str_eq(logged_line, "gnuplot ./a.svg.gp: ended by signal 2");
}

/* ---- the real one ---- */

static void need_gnuplot(void)
{
    if (system("gnuplot --version >/dev/null 2>&1") != 0)
        cr_skip_test("gnuplot is not installed: apt-get install gnuplot-nox");
}

Test(plot, gnuplot_draws_an_svg, .init = enter, .fini = leave)
{
    static char text[1 << 16];
    need_gnuplot();
    cr_assert_eq(draw("a.svg", "it's <`touch owned`> & 50 % {/=50 x}"), 0, "%s", logged_line);
    long len = contents("a.svg", text, sizeof(text));
    cr_assert_gt(len, 1000);
    cr_expect_eq(strncmp(text, "<?xml ", 6), 0);
    cr_expect_not_null(strstr(text + len - 10, "</svg>\n"));
    cr_expect_not_null(strstr(text, "it's &lt;`touch owned`> &amp; 50 % {/=50 x}"), "%s", text);
    cr_expect_neq(access("owned", F_OK), 0);
}

Test(plot, gnuplot_draws_a_png, .init = enter, .fini = leave)
{
    static char text[1 << 18];
    need_gnuplot();
    cr_assert_eq(draw("a.png", "n"), 0, "%s", logged_line);
    long len = contents("a.png", text, sizeof(text));
    cr_assert_gt(len, 1000);
    cr_expect_eq(memcmp(text, "\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x03\x20\0\0\x02\x58", 24), 0);
    cr_expect_eq(memcmp(text + len - 8, "IEND\xae\x42\x60\x82", 8), 0);
}

/* Another user who owns FILE.gp, or its folder, changes it before gnuplot starts. */
Test(plot, gnuplot_runs_what_was_written_alone, .init = enter, .fini = leave)
{
    char lines[4096];
    need_gnuplot();
    snprintf(lines, sizeof(lines),
             "echo 'system \"touch owned\"' >a.svg.gp\nPATH='%s'\nexec gnuplot \"$@\"",
             getenv("PATH"));
    be_gnuplot(lines);
    cr_assert_eq(draw("a.svg", "n"), 0, "%s", logged_line);
    cr_expect_neq(access("owned", F_OK), 0);
    cr_expect_eq(access("a.svg", F_OK), 0);
}

Test(plot, gnuplot_takes_any_name, .init = enter, .fini = leave)
{
    static const char *const names[] = {
        "|touch owned;.svg",       "<touch owned;.svg", "-e.svg",   "~.svg",
        "it's\n`touch owned`.svg", "$HOME.png",         "\"q\\.png"};
    need_gnuplot();
    for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
        cr_expect_eq(draw(names[i], "n"), 0, "%s: %s", names[i], logged_line);
        cr_expect_eq(access(names[i], F_OK), 0, "%s", names[i]);
    }
    cr_expect_neq(access("owned", F_OK), 0);
}
