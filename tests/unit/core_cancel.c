// SPDX-License-Identifier: BSD-2-Clause
/* core/loop/cancel.c: a request to give up, seen by what computes and by what waits. */
#include "core/loop/cancel.h"

#include <poll.h>

#include "tests/harness/test.h"

Test(cancel, none_never_comes)
{
    int pipes[2];
    cr_assert_eq(pipe(pipes), 0);
    cr_expect_not(cancel_asked(NULL));
    cr_expect_eq(cancel_fd(NULL), -1);
    cr_expect_eq(cancel_poll(NULL, pipes[0], POLLIN, 0), -ETIMEDOUT);
    cr_expect_eq(write(pipes[1], "x", 1), 1);
    cr_expect_eq(cancel_poll(NULL, pipes[0], POLLIN, -1), 0);
    close(pipes[0]);
    close(pipes[1]);
}

Test(cancel, is_seen_by_flag_descriptor_and_wait)
{
    struct cancel c;
    int pipes[2];
    cr_assert_eq(cancel_init(&c), 0);
    cr_assert_eq(pipe(pipes), 0);
    struct pollfd fd = {.fd = cancel_fd(&c), .events = POLLIN};
    cr_expect_not(cancel_asked(&c));
    cr_expect_eq(poll(&fd, 1, 0), 0);
    cancel_ask(&c);
    cancel_ask(&c); /* once more is the same */
    cr_expect(cancel_asked(&c));
    cr_expect_eq(poll(&fd, 1, 0), 1);
    cr_expect_eq(cancel_poll(&c, pipes[0], POLLIN, -1), -ECANCELED);
    cr_expect_eq(cancel_poll(&c, pipes[1], POLLOUT, -1), -ECANCELED, "it wins over what is ready");
    cancel_fini(&c);
    close(pipes[0]);
    close(pipes[1]);
}

static void *ask(void *ctx)
{
    cancel_ask(ctx);
    return NULL;
}

Test(cancel, wakes_what_waits)
{
    struct cancel c;
    pthread_t thread;
    int pipes[2];
    cr_assert_eq(cancel_init(&c), 0);
    cr_assert_eq(pipe(pipes), 0);
    cr_assert_eq(pthread_create(&thread, NULL, ask, &c), 0);
    cr_expect_eq(cancel_poll(&c, pipes[0], POLLIN, -1), -ECANCELED);
    pthread_join(thread, NULL);
    cancel_fini(&c);
    close(pipes[0]);
    close(pipes[1]);
}
