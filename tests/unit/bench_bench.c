// SPDX-License-Identifier: BSD-2-Clause
/* The command line of a benchmark, and that nothing goes on when it is ended. */

#include "tools/benchmarks/bench.h"
#include "tests/harness/test.h"
#include "tools/benchmarks/runs.h"

static char said[4096];

/* A VMM that says that it is there, and then nothing. */
static void run(const struct bench *b, const struct vmm *v, int pattern, double *figures)
{
    char *const argv[] = {"/bin/sh", "-c", "echo up >&2; sleep 1000 & wait", NULL};
    int fd;
    (void)b, (void)v, (void)pattern, (void)figures;
    runs_start("sh", argv, -1, &fd);
    for (;;)
        pause();
}

/* The process that was started; its standard error is `fd`. */
static pid_t start(char *const *options, int *fd)
{
    static struct results results = {
        .bench = "none", .rounds = 3, .patterns = {{.name = "bare"}, {.name = "linux"}}};
    struct bench b = {.results = &results, .about = "", .notes = "", .run = run};
    char *argv[16] = {"bench", "--minivet", "/bin/false", "--vs", "none"};
    int fds[2], argc = 5;
    b.takes_kernel = true;
    while (*options != NULL)
        argv[argc++] = *options++;
    cr_assert_eq(pipe(fds), 0);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(fds[1], STDERR_FILENO);
        close(fds[0]);
        close(fds[1]);
        _exit(bench_main(&b, argc, argv));
    }
    close(fds[1]);
    *fd = fds[0];
    return pid;
}

static void is_refused(char *const *options, const char *words)
{
    int fd, status;
    pid_t pid = start(options, &fd);
    size_t len = 0;
    for (ssize_t n; (n = read(fd, said + len, sizeof(said) - 1 - len)) > 0;)
        len += (size_t)n;
    said[len] = '\0';
    close(fd);
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_expect(WIFEXITED(status) && WEXITSTATUS(status) != 0);
    cr_expect(strstr(said, words) != NULL, "%s: %s", words, said);
}

#define REFUSED(words, ...) is_refused((char *[]){__VA_ARGS__, NULL}, words)

Test(bench, says_what_is_wrong)
{
    REFUSED("'--other'", "--other");
    REFUSED("--runs 1x: give a number", "--runs", "1x");
    REFUSED("--runs 0: give a number", "--runs", "0");
    REFUSED("--tight nan: give a number", "--tight", "nan");
    REFUSED("--only other: no pattern", "--only", "other");
    REFUSED("--only linux: give --kernel", "--only", "linux");
    REFUSED("--vs other: give a name", "--vs", "other");
    REFUSED("--vs /nowhere/vmm: No such file", "--vs", "/nowhere/vmm");
    REFUSED("--seconds 1: is not for this", "--seconds", "1");
    REFUSED("--with packed: is not for this", "--with", "packed");
    REFUSED("open /nowhere/vmlinuz: No such file", "--kernel", "/nowhere/vmlinuz");
    REFUSED("--plot a.pdf: give a file that ends in .svg or .png", "--plot", "a.pdf");
    REFUSED("write /nowhere/plot.svg: No such file", "--plot", "/nowhere/plot.svg");
    REFUSED("write /nowhere/all.json: No such file", "--json=/nowhere/all.json");
}

/* What is there is left alone, unless an earlier run has drawn it. */
Test(bench, writes_over_no_file_of_others)
{
    char path[] = "/tmp/minivet-bench-XXXXXX.svg", text[8] = "", option[64];
    int fd = mkstemps(path, 4);
    cr_assert_eq(write(fd, "mine", 4), 4);
    snprintf(option, sizeof(option), "--json=%s", path);
    REFUSED("is there, and is no drawing that Minivet wrote", "--plot", path);
    REFUSED("is there, and is no JSON that Minivet wrote", option);
    REFUSED("is the file of --kernel", "--kernel", path, "--initrd", path, "--plot", path);
    REFUSED("is the file of --json /tmp/minivet-new.svg", "--plot", "/tmp/minivet-new.svg",
            "--json=/tmp/minivet-new.svg");
    cr_expect_eq(pread(fd, text, sizeof(text), 0), 4);
    cr_expect_str_eq(text, "mine");
    close(fd);
    unlink(path);
}

Test(bench, a_signal_ends_what_was_started, .timeout = 60)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        int fd, status;
        pid_t pid = start((char *[]){NULL}, &fd);
        cr_assert_gt(read(fd, said, sizeof(said)), 0);
        kill(pid, signals[i]);
        cr_assert_eq(waitpid(pid, &status, 0), pid);
        cr_expect(WIFSIGNALED(status) && WTERMSIG(status) == signals[i]);
        while (read(fd, said, sizeof(said)) > 0) /* until the last that has it is gone */
            ;
        close(fd);
    }
}
