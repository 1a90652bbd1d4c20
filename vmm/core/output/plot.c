// SPDX-License-Identifier: BSD-2-Clause
#include "core/output/plot.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/fail.h"
#include "core/base/log.h"
#include "core/base/text.h"
#include "core/loop/may_block.h"
#include "core/output/own_file.h"

#define TEXT_BYTES 512
#define LINE_BYTES 1024

static bool ends(const char *file, const char *ending)
{
    size_t len = strlen(file), n = strlen(ending);
    return len > n && strcmp(file + len - n, ending) == 0 && file[len - n - 1] != '/';
}

bool plot_takes(const char *file)
{
    return ends(file, ".svg") || ends(file, ".png");
}

/* ---- writing ---- */

static int create(FILE **f, const char *file, const char *ending)
{
    char *name;
    if (asprintf(&name, "%s%s", file, ending) < 0)
        return fail(-ENOMEM, "%s%s", file, ending);
    int fd = own_file_open(AT_FDCWD, name, O_WRONLY | O_TRUNC, 0666);
    *f = fd >= 0 ? fdopen(fd, "w") : NULL;
    int r = *f != NULL ? 0 : fail(fd < 0 ? fd : -errno, "plot %s: create %s", file, name);
    free(name);
    return r;
}

/* What gnuplot runs: another user may own what has FILE.gp's name, or the folder that it is in. */
static int create_script(FILE **f)
{
    int fd = memfd_create("gnuplot", MFD_CLOEXEC);
    *f = fd >= 0 ? fdopen(fd, "w+") : NULL;
    if (*f != NULL)
        return 0;
    int r = fail(-errno, "gnuplot: memory");
    if (fd >= 0)
        close(fd);
    return r;
}

int plot_open(struct plot *p, const char *file)
{
    *p = (struct plot){.file = strdup(file)};
    int r = p->file != NULL ? 0 : fail(-ENOMEM, "%s", file);
    if (r == 0)
        r = create(&p->data, file, ".dat");
    if (r == 0)
        r = create(&p->kept, file, ".gp");
    if (r == 0)
        r = create_script(&p->script);
    if (r == 0) {
        fputs(PLOT_DATA_BEGINS, p->data);
        return 0;
    }
    if (p->data != NULL)
        fclose(p->data);
    if (p->kept != NULL)
        fclose(p->kept);
    free(p->file);
    return r;
}

void plot_begin(struct plot *p, double width, double height)
{
    p->width = width;
    p->height = height;
    if (ends(p->file, ".png"))
        fprintf(p->script,
                "set terminal pngcairo size %.0f,%.0f fontscale 1.5 linewidth 2 pointscale 3",
                2 * width, 2 * height);
    else
        fprintf(p->script, "set terminal svg size %.0f,%.0f", width, height);
    fputs(" background '#ffffff' noenhanced font 'sans-serif,13'\n"
          "set encoding utf8\n"
          "picture = ARG0[1:strlen(ARG0) - 3] # this file's name without .gp\n"
          "data = picture.'.dat'\n"
          "set output picture\n"
          "short(x) = sprintf(x < 1 ? '%.3g' : x < 10 ? '%.2f' : x < 100 ? '%.1f' : '%.0f', x < "
          "1e-6 ? 0 : x)\n"
          "set linetype 1 lc rgb '#0072b2' lw 2 pt 7\n"
          "set linetype 2 lc rgb '#d55e00' lw 2 pt 5\n"
          "set linetype 3 lc rgb '#009e73' lw 2 pt 9\n"
          "set linetype 4 lc rgb '#cc79a7' lw 2 pt 13\n"
          "set linetype 5 lc rgb '#e69f00' lw 2 pt 11\n"
          "set linetype 6 lc rgb '#56b4e9' lw 2 pt 15\n"
          "set linetype 7 lc rgb '#7f6000' lw 2 pt 2\n"
          "set linetype 8 lc rgb '#666666' lw 2 pt 1\n"
          "set linetype cycle 8\n"
          "set style fill solid border\n"
          "set border 3 lc rgb '#888888'\n"
          "set tics nomirror out scale 0.5 format '%g' textcolor rgb '#000000'\n"
          "set grid lt 1 lc rgb '#dddddd' lw 1\n",
          p->script);
}

/* Between single quotes gnuplot expands nothing. */
static void quote(FILE *out, const char *text)
{
    fputc('\'', out);
    for (const char *c = text; *c != '\0'; c++)
        fputs(*c == '\'' ? "''" : (char[]){*c, '\0'}, out);
    fputc('\'', out);
}

void plot_text(const struct plot *p, const char *text)
{
    char copy[TEXT_BYTES];
    snprintf(copy, sizeof(copy), "%s", text);
    text_neutralize(copy);
    quote(p->script, copy);
}

void plot_frame(const struct plot *p, double left, double right, double top, double bottom)
{
    fprintf(p->script,
            "set lmargin at screen %.4f\nset rmargin at screen %.4f\n"
            "set tmargin at screen %.4f\nset bmargin at screen %.4f\n",
            left / p->width, right / p->width, 1 - top / p->height, 1 - bottom / p->height);
}

void plot_note(const struct plot *p, const char *text, double x, double y, const char *style)
{
    fputs("set label ", p->script);
    plot_text(p, text);
    fprintf(p->script, " at screen %.4f, screen %.4f %s\n", x / p->width, 1 - y / p->height, style);
}

void plot_row(const struct plot *p, const char *text, int y)
{
    fputs("set label ", p->script);
    plot_text(p, text);
    fprintf(p->script, " at graph 0, first %d right offset -1, 0\n", y);
}

/* ---- drawing ---- */

/* All that the process says; the last line that is not empty has where and why. */
static void hear(int fd, char line[LINE_BYTES])
{
    char next[LINE_BYTES];
    FILE *f = fdopen(fd, "r");
    line[0] = '\0';
    while (f != NULL && fgets(next, sizeof(next), f) != NULL) {
        next[strcspn(next, "\n")] = '\0';
        if (next[0] != '\0')
            strcpy(line, next);
    }
    if (f != NULL)
        fclose(f);
    text_neutralize(line);
}

/*
 * Signals reach gnuplot whatever the caller does with them: Ctrl-C ends it. The script is its
 * standard input ("-").
 */
static int start(char *named, int script_fd, int out_fd, pid_t *pid)
{
    char *const argv[] = {"gnuplot", "-d" /* without the user's settings */, "-e", named, "-",
                          NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    sigset_t none, pipe_only;
    sigemptyset(&none);
    sigemptyset(&pipe_only);
    sigaddset(&pipe_only, SIGPIPE);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, script_fd, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, out_fd, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, out_fd, STDERR_FILENO);
    posix_spawnattr_init(&attr);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setsigdefault(&attr, &pipe_only);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    int err = posix_spawnp(pid, argv[0], &actions, &attr, argv, environ);
    posix_spawnattr_destroy(&attr);
    posix_spawn_file_actions_destroy(&actions);
    return -err;
}

static int await(pid_t pid, int fd, const char *script)
{
    char line[LINE_BYTES];
    int status;
    may_block();
    hear(fd, line);
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR)
            return fail(-errno, "gnuplot %s: wait", script);
    }
    if (WIFSIGNALED(status))
        return fail_msg(-EINTR, "gnuplot %s: ended by signal %d", script, WTERMSIG(status));
    if (WEXITSTATUS(status) != 0)
        return fail_msg(-EIO, "gnuplot %s: %s", script, line[0] != '\0' ? line : "ended early");
    return 0;
}

/* named: a command that tells the script its own name. */
static int draw(const struct plot *p, const char *script, char *named)
{
    int fds[2];
    pid_t pid;
    if (pipe2(fds, O_CLOEXEC) < 0)
        return fail(-errno, "gnuplot: pipe");
    rewind(p->script);
    int r = start(named, fileno(p->script), fds[1], &pid);
    close(fds[1]);
    if (r == 0)
        return await(pid, fds[0], script);
    close(fds[0]);
    if (r != -ENOENT)
        return fail(r, "gnuplot");
    log_warn("gnuplot is not installed, so %s is not drawn: apt-get install gnuplot-nox; gnuplot "
             "%s.gp",
             p->file, p->file);
    return 0;
}

static int close_file(FILE *f, const char *file, const char *ending)
{
    bool bad = ferror(f) != 0;
    if (fclose(f) == 0 && !bad)
        return 0;
    return fail(bad ? -EIO : -errno, "%s%s: write", file, ending);
}

/* With ./ the name is no option, nor, by its first character, a command of the shell's. */
static int draw_named(const struct plot *p)
{
    char *script = NULL, *named = NULL;
    size_t bytes;
    FILE *f = open_memstream(&named, &bytes);
    bool ok = f != NULL &&
              asprintf(&script, "%s%s.gp", p->file[0] == '/' ? "" : "./", p->file) >= 0 &&
              fputs("ARG0 = ", f) >= 0;
    if (ok)
        quote(f, script);
    ok = (f == NULL || fclose(f) == 0) && ok;
    int r = ok ? draw(p, script, named) : fail(-ENOMEM, "gnuplot");
    free(script);
    free(named);
    return r;
}

static void keep_script(const struct plot *p)
{
    rewind(p->script);
    for (int c; (c = getc(p->script)) != EOF;)
        putc(c, p->kept);
}

int plot_finish(struct plot *p)
{
    keep_script(p);
    int data = close_file(p->data, p->file, ".dat"), r = close_file(p->kept, p->file, ".gp");
    if (data == 0 && r == 0)
        r = draw_named(p);
    fclose(p->script);
    free(p->file);
    return data < 0 ? data : r;
}
