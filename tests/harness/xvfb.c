// SPDX-License-Identifier: BSD-2-Clause
#include "tests/harness/xvfb.h"

#include <poll.h>
#include <spawn.h>

#include "tests/harness/test.h"
#include "tests/harness/xwd.h"

#define DEADLINE 30000 /* ms */

void xvfb_start(struct xvfb *s)
{
    char number[16] = ":", fd[12];
    int ends[2];
    cr_assert_eq(pipe(ends), 0);
    (void)snprintf(fd, sizeof(fd), "%d", ends[1]);
    /* However the test ends, the server ends with it. */
    char *args[] = {"setpriv", "--pdeathsig", "KILL",   "Xvfb", "-displayfd", fd,  "-screen",
                    "0",       XVFB_SCREEN,   "-fbdir", ".",    "-noreset",   NULL};
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addclose(&actions, ends[0]);
    posix_spawn_file_actions_addopen(&actions, 2, "server.log", O_CREAT | O_WRONLY, 0666);
    cr_assert_eq(posix_spawnp(&s->pid, args[0], &actions, NULL, args, environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    for (size_t len = 1; len == 1 || number[len - 1] != '\n'; len++) {
        struct pollfd p = {ends[0], POLLIN, 0};
        cr_assert_eq(poll(&p, 1, DEADLINE), 1);
        cr_assert_lt(len, sizeof(number) - 1);
        if (read(ends[0], number + len, 1) != 1)
            cr_skip_test("Xvfb does not start: apt-get install xvfb xdotool");
    }
    *strchr(number, '\n') = 0;
    close(ends[0]);
    cr_assert_eq(setenv("DISPLAY", number, 1), 0);
    struct stat st;
    int screen = open("Xvfb_screen0", O_RDONLY | O_CLOEXEC);
    cr_assert_geq(screen, 0);
    cr_assert_eq(fstat(screen, &st), 0);
    s->bytes = (size_t)st.st_size;
    s->screen = mmap(NULL, s->bytes, PROT_READ, MAP_SHARED, screen, 0);
    cr_assert_neq(s->screen, MAP_FAILED);
    close(screen);
}

void xvfb_end(struct xvfb *s, int signal)
{
    if (s->pid > 0) {
        kill(s->pid, signal);
        waitpid(s->pid, NULL, 0);
    }
    s->pid = 0;
}

uint32_t xvfb_pixel(const struct xvfb *s, uint32_t x, uint32_t y)
{
    size_t at = xwd_pixel_at(s->screen, x, y);
    cr_assert_lt(at, s->bytes);
    return le32_get(s->screen + at) & 0xffffff;
}

void xvfb_person(const char *args)
{
    char line[256];
    (void)snprintf(line, sizeof(line), "%s%s >/dev/null",
                   strncmp(args, "sh ", 3) == 0 ? "" : "xdotool ", args);
    cr_assert_eq(system(line), 0, "%s", line); // NOLINT(cert-env33-c): the test's own words
}
