// SPDX-License-Identifier: BSD-2-Clause
/* One thread: descriptors, timers, deferred work. Crossings are in core_evloop_threads.c. */
#include <sys/epoll.h>
#include <sys/socket.h>

#include "tests/harness/test.h"

static uint64_t fake_now(void *ctx)
{
    return *(uint64_t *)ctx;
}

/* A loop on a clock that stands still, and what its callbacks leave behind. */
struct bench {
    uint64_t now;
    struct clock clock;
    struct evloop *loop;
    char trace[64];
};

static void trace(struct bench *b, char c)
{
    size_t used = strlen(b->trace);
    cr_assert_lt(used, sizeof(b->trace) - 1, "callbacks without end");
    b->trace[used] = c;
}

static void bench_init(struct bench *b)
{
    *b = (struct bench){.now = 1000};
    b->clock = (struct clock){.now_ns = fake_now, .wall_ns = fake_now, .ctx = &b->now};
    cr_assert_eq(evloop_create(&b->loop, "bench", &b->clock), 0);
}

#define OnLoop(suite, name) \
    TestWith(suite, name, struct bench, b, bench_init(b), evloop_destroy(b->loop))

/* Lets the loop run; these callbacks have then run since the test's beginning. */
static void runs(struct bench *b, const char *trace)
{
    evloop_drain(b->loop);
    cr_assert_str_eq(b->trace, trace);
}

static void runs_at(struct bench *b, uint64_t now, const char *trace)
{
    b->now = now;
    runs(b, trace);
}

/* ---- descriptors ---- */

struct source {
    struct bench *b;
    char name;
    struct ev_fd ev;
    struct source *victim; /* to be removed by the callback */
    bool drain;            /* the callback drains the loop */
    uint32_t events;
};

static void on_source(void *ctx, uint32_t events)
{
    struct source *s = ctx;
    eventfd_t count;
    trace(s->b, s->name);
    s->events = events;
    if (!s->ev.is_event)
        eventfd_read(s->ev.fd, &count);
    if (s->victim) {
        int fd = s->victim->ev.fd;
        evloop_fd_del(s->b->loop, &s->victim->ev);
        close(fd);
    }
    if (s->drain)
        evloop_drain(s->b->loop);
}

static void source_event(struct source *s, struct bench *b, char name, unsigned count)
{
    *s = (struct source){.b = b, .name = name, .ev = {.cb = on_source, .ctx = s}};
    int fd = eventfd(count, EFD_NONBLOCK);
    cr_assert_geq(fd, 0);
    cr_assert_eq(evloop_event_add(b->loop, &s->ev, fd), 0);
}

/* The same as a plain descriptor: no failed read hides an event that should not have come. */
static void source_plain(struct source *s, struct bench *b, char name, unsigned count)
{
    source_event(s, b, name, count);
    evloop_fd_del(b->loop, &s->ev);
    cr_assert_eq(evloop_fd_add(b->loop, &s->ev, s->ev.fd, EPOLLIN), 0);
}

static void source_close(struct source *s)
{
    evloop_fd_del(s->b->loop, &s->ev);
    close(s->ev.fd);
}

OnLoop(core_evloop, an_event_is_dropped_before_its_callback)
{
    struct source s;
    source_event(&s, b, 'a', 3);
    cr_assert_eq(eventfd_write(s.ev.fd, 2), 0);
    runs(b, "a");
    cr_assert_eq(s.events, EPOLLIN);
    cr_assert_eq(eventfd_write(s.ev.fd, 1), 0);
    evloop_drain(b->loop);
    runs(b, "aa");
    source_close(&s);
}

/* One that is asked for something else needs a second place until the kernel forgets the first. */
OnLoop(core_evloop, a_descriptor_that_cannot_be_set_stays_as_it_is)
{
    enum { MANY = 10000 }; /* more than a loop on io_uring has places for */
    static struct source all[MANY];
    unsigned count = 0;
    int err = 0;
    if (strcmp(evloop_engine(b->loop), "io_uring") != 0)
        cr_skip_test("epoll changes a descriptor where it is");
    int fd = eventfd(0, EFD_NONBLOCK);
    while (count < MANY && err == 0) {
        struct source *s = &all[count];
        *s = (struct source){.b = b, .name = 'a', .ev = {.cb = on_source, .ctx = s}};
        err = evloop_fd_add(b->loop, &s->ev, fd, EPOLLIN);
        count += err == 0;
    }
    cr_assert_eq(err, -ENOSPC);
    evloop_drain(b->loop);
    cr_expect_eq(evloop_fd_set(b->loop, &all[0].ev, EPOLLOUT), -ENOSPC);
    for (unsigned i = 1; i < count; i++)
        evloop_fd_del(b->loop, &all[i].ev);
    cr_assert_eq(eventfd_write(fd, 1), 0);
    runs(b, "a");
    cr_expect_eq(evloop_fd_set(b->loop, &all[0].ev, EPOLLOUT), 0, "there is room again");
    source_close(&all[0]);
}

static void take_byte(void *ctx, uint32_t events)
{
    struct source *s = ctx;
    char byte;
    if ((events & EPOLLIN) != 0 && read(s->ev.fd, &byte, 1) == 1)
        trace(s->b, byte);
    if ((events & EPOLLHUP) != 0) {
        trace(s->b, '!');
        evloop_fd_del(s->b->loop, &s->ev);
    }
}

OnLoop(core_evloop, descriptors_are_level_triggered)
{
    int fds[2];
    struct source s = {.b = b, .ev = {.cb = take_byte, .ctx = &s}};
    cr_assert_eq(pipe(fds), 0);
    cr_assert_eq(evloop_fd_add(b->loop, &s.ev, fds[0], EPOLLIN), 0);
    cr_assert(s.ev.armed);
    runs(b, "");

    cr_assert_eq(write(fds[1], "abc", 3), 3);
    runs(b, "abc");

    cr_assert_eq(evloop_fd_set(b->loop, &s.ev, 0), 0);
    cr_assert_eq(write(fds[1], "de", 2), 2);
    runs(b, "abc");
    cr_assert_eq(evloop_fd_set(b->loop, &s.ev, EPOLLIN), 0);
    close(fds[1]);
    runs(b, "abcd!");
    cr_assert_not(s.ev.armed);
    evloop_fd_del(b->loop, &s.ev); /* twice does no harm */
    close(fds[0]);
}

OnLoop(core_evloop, a_bad_descriptor_is_refused)
{
    struct source s = {.b = b, .ev = {.cb = take_byte, .ctx = &s}};
    cr_assert_lt(evloop_fd_add(b->loop, &s.ev, -1, EPOLLIN), 0);
    cr_assert_not(s.ev.armed);
    evloop_fd_del(b->loop, &s.ev);
}

/* Both are ready in one batch, and whichever comes first removes the other. */
OnLoop(core_evloop, a_removed_source_gets_no_stale_event)
{
    struct source x, y;
    source_plain(&x, b, 'x', 1);
    source_plain(&y, b, 'x', 1);
    x.victim = &y;
    y.victim = &x;
    runs(b, "x");
    cr_assert_neq(x.ev.armed, y.ev.armed);
    source_close(x.ev.armed ? &x : &y);
}

/* More than any table of descriptors holds, one after the other and without a turn between. */
OnLoop(core_evloop, descriptors_come_and_go_without_end)
{
    enum { ROUNDS = 5000 };
    struct source s[3];
    for (unsigned i = 0; i < ROUNDS; i++) {
        for (unsigned j = 0; j < 3; j++)
            source_plain(&s[j], b, 'x', i == ROUNDS / 2);
        if (i % 7 == 0 || i == ROUNDS / 2)
            evloop_drain(b->loop);
        for (unsigned j = 0; j < 3; j++)
            source_close(&s[j]);
    }
    cr_assert_str_eq(b->trace, "xxx");
}

Test(core_evloop, a_plain_file_is_refused)
{
    struct bench b;
    struct source s = {.b = &b, .ev = {.cb = on_source, .ctx = &s}};
    int fd = memfd_create("plain", MFD_CLOEXEC);
    bench_init(&b);
    cr_assert_eq(evloop_fd_add(b.loop, &s.ev, fd, EPOLLIN), -EPERM);
    cr_assert_not(s.ev.armed);
    close(fd);
    evloop_destroy(b.loop);
}

/* Hundreds of descriptors are ready in the same turn, as the queues of a machine may be. */
OnLoop(core_evloop, a_removed_descriptor_is_let_go_of_while_many_are_ready)
{
    enum { READY = 300 };
    struct source ready[READY], s = {.b = b, .ev = {.cb = take_byte, .ctx = &s}};
    int ends[2];
    char byte;
    for (unsigned i = 0; i < READY; i++) {
        source_event(&ready[i], b, 'r', 0);
    }
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    cr_assert_eq(evloop_fd_add(b->loop, &s.ev, ends[0], EPOLLIN), 0);
    evloop_drain(b->loop);
    for (unsigned i = 0; i < READY; i++)
        cr_assert_eq(eventfd_write(ready[i].ev.fd, 1), 0);
    evloop_fd_del(b->loop, &s.ev);
    close(ends[0]);
    cr_assert_eq(recv(ends[1], &byte, 1, 0), 0, "its other end sees it closed");
    close(ends[1]);
    for (unsigned i = 0; i < READY; i++)
        source_close(&ready[i]);
}

static void replace_victim(void *ctx, uint32_t events)
{
    struct source *s = ctx;
    (void)events;
    trace(s->b, s->name);
    source_close(s->victim);
    source_plain(s->victim, s->b, 'n', 0);
}

OnLoop(core_evloop, a_replaced_source_gets_no_event_of_its_predecessor)
{
    struct source first, second;
    source_event(&first, b, 'f', 0);
    source_plain(&second, b, 's', 0);
    first.victim = &second;
    first.ev.cb = replace_victim;
    /* Readiness is reported in the order in which it came, of what is being waited for. */
    evloop_drain(b->loop);
    cr_assert_eq(eventfd_write(first.ev.fd, 1), 0);
    cr_assert_eq(eventfd_write(second.ev.fd, 1), 0);
    runs(b, "f");
    source_close(&first);
    source_close(&second);
}

OnLoop(core_evloop, a_drain_inside_a_callback_loses_nothing)
{
    struct source s[6];
    for (unsigned i = 0; i < 6; i++) {
        source_event(&s[i], b, (char)('0' + i), 1);
        s[i].drain = i % 2 == 0;
    }
    evloop_drain(b->loop);
    cr_assert_eq(strlen(b->trace), 6);
    for (unsigned i = 0; i < 6; i++) {
        cr_assert(strchr(b->trace, '0' + (int)i) != NULL);
        source_close(&s[i]);
    }
}

/* ---- timers ---- */

struct alarm {
    struct bench *b;
    char name;
    struct ev_timer t;
    struct alarm *cancels;
    unsigned again;    /* sets itself so many times more */
    uint64_t again_at; /* to this time */
};

static void on_alarm(void *ctx)
{
    struct alarm *a = ctx;
    cr_assert_not(a->t.armed);
    trace(a->b, a->name);
    if (a->cancels)
        evloop_timer_cancel(a->b->loop, &a->cancels->t);
    if (a->again > 0) {
        a->again--;
        evloop_timer_set(a->b->loop, &a->t, a->again_at);
    }
}

static void alarm_set(struct alarm *a, struct bench *b, char name, uint64_t when)
{
    *a = (struct alarm){.b = b, .name = name, .t = {.cb = on_alarm, .ctx = a}};
    evloop_timer_set(b->loop, &a->t, when);
}

OnLoop(core_evloop, timers_run_in_order_when_they_are_due)
{
    struct alarm a[5];
    alarm_set(&a[0], b, 'd', 2001);
    alarm_set(&a[1], b, 'b', 2000);
    alarm_set(&a[2], b, 'c', 2000); /* the same time: the one set first goes first */
    alarm_set(&a[3], b, 'a', 5);    /* long ago */
    alarm_set(&a[4], b, 'e', UINT64_MAX);
    runs(b, "a");
    runs_at(b, 1999, "a");
    runs_at(b, 2000, "abc");
    runs_at(b, 1000000, "abcd");
    cr_assert(a[4].t.armed);
    evloop_timer_cancel(b->loop, &a[4].t);
}

OnLoop(core_evloop, timers_move_and_cancel)
{
    struct alarm a[3];
    alarm_set(&a[0], b, 'a', 2000);
    alarm_set(&a[1], b, 'b', 2100);
    alarm_set(&a[2], b, 'c', 2200);
    evloop_timer_set(b->loop, &a[0].t, 2150);
    evloop_timer_cancel(b->loop, &a[2].t);
    evloop_timer_cancel(b->loop, &a[2].t);
    cr_assert_not(a[2].t.armed);
    runs_at(b, 2100, "b");
    runs_at(b, 3000, "ba");
}

OnLoop(core_evloop, a_due_timer_can_be_cancelled_by_another)
{
    struct alarm a[3];
    alarm_set(&a[0], b, 'a', 1000);
    alarm_set(&a[1], b, 'b', 1000);
    alarm_set(&a[2], b, 'c', 1000);
    a[0].cancels = &a[1];
    runs(b, "ac");
}

OnLoop(core_evloop, a_timer_may_set_itself_again)
{
    struct alarm a;
    alarm_set(&a, b, 'a', 1000);
    a.again = 3;
    a.again_at = 1; /* always late */
    runs(b, "aaaa");
    alarm_set(&a, b, 'b', 1000);
    a.again = 1;
    a.again_at = 1001;
    runs(b, "aaaab");
    b->now++;
    runs(b, "aaaabb");
}

/* ---- deferred ---- */

struct later {
    struct bench *b;
    char name;
    struct ev_defer d;
    struct later *defers, *cancels;
};

static void on_later(void *ctx)
{
    struct later *l = ctx;
    trace(l->b, l->name);
    if (l->cancels)
        evloop_defer_cancel(l->b->loop, &l->cancels->d);
    if (l->defers)
        evloop_defer(l->b->loop, &l->defers->d);
    l->defers = NULL;
}

static struct later later(struct bench *b, char name)
{
    return (struct later){.b = b, .name = name, .d = {.cb = on_later}};
}

static void defer(struct later *l)
{
    l->d.ctx = l;
    evloop_defer(l->b->loop, &l->d);
}

OnLoop(core_evloop, deferred_work_runs_once_in_order)
{
    struct later x = later(b, 'x'), y = later(b, 'y'), z = later(b, 'z');
    defer(&x);
    defer(&y);
    defer(&x);
    defer(&z);
    evloop_defer_cancel(b->loop, &z.d); /* the last one */
    evloop_defer_cancel(b->loop, &z.d);
    runs(b, "xy");
    defer(&z);
    runs(b, "xyz");
}

OnLoop(core_evloop, deferred_work_may_defer_and_cancel)
{
    struct later x = later(b, 'x'), y = later(b, 'y'), z = later(b, 'z');
    x.defers = &x; /* itself, once */
    x.cancels = &y;
    defer(&x);
    defer(&y);
    defer(&z);
    runs(b, "xzx");
}

/* Each takes 600 microseconds, and waits for the next turn if this one has taken its millisecond.
 */
static void on_long(void *ctx)
{
    struct later *l = ctx;
    if (evloop_turn_is_over(l->b->loop)) {
        trace(l->b, '-');
        evloop_defer(l->b->loop, &l->d);
        return;
    }
    trace(l->b, l->name);
    l->b->now += 600000;
}

OnLoop(core_evloop, a_turn_ends_in_time_and_all_have_theirs)
{
    struct later many[4];
    for (unsigned i = 0; i < 4; i++) {
        many[i] = later(b, (char)('a' + i));
        many[i].d.cb = on_long;
        defer(&many[i]);
    }
    runs(b, "abc-d");
    cr_expect(evloop_may_copy(b->loop, 2 << 20));
    cr_expect_not(evloop_may_copy(b->loop, 1));
    cr_expect_not(evloop_may_copy(b->loop, SIZE_MAX));
    evloop_drain(b->loop);
    cr_expect(evloop_may_copy(b->loop, 1), "in the next turn");
}

static void defer_from_source(void *ctx, uint32_t events)
{
    struct later *l = ctx;
    (void)events;
    trace(l->b, '(');
    defer(l);
    trace(l->b, ')');
}

OnLoop(core_evloop, deferred_work_runs_after_the_batch_it_came_from)
{
    struct source s[3];
    struct later l = later(b, 'd');
    for (unsigned i = 0; i < 3; i++) {
        source_event(&s[i], b, 's', 1);
        s[i].ev.cb = defer_from_source;
        s[i].ev.ctx = &l;
    }
    runs(b, "()()()d");
    for (unsigned i = 0; i < 3; i++)
        source_close(&s[i]);
}

/* ---- posts and calls without any other thread ---- */

struct note {
    struct bench *b;
    struct ev_post p;
    unsigned again;
};

static void on_note(void *ctx)
{
    struct note *n = ctx;
    trace(n->b, 'p');
    if (n->again > 0) {
        n->again--;
        evloop_post(n->b->loop, &n->p);
    }
}

static int call_trace(void *arg)
{
    trace(arg, 'c');
    return 42;
}

OnLoop(core_evloop, a_post_waits_for_the_loop_before_it_ever_ran)
{
    struct note n = {.b = b, .p = {.cb = on_note, .ctx = &n}, .again = 2};
    evloop_post(b->loop, &n.p);
    evloop_post(b->loop, &n.p);
    cr_assert_str_eq(b->trace, "");
    runs(b, "ppp");
}

OnLoop(core_evloop, a_call_on_an_idle_loop_is_a_plain_call)
{
    cr_assert_eq(evloop_call(b->loop, call_trace, b), 42);
    cr_assert_str_eq(b->trace, "c");
    struct note n = {.b = b, .p = {.cb = on_note, .ctx = &n}};
    evloop_post(b->loop, &n.p);
    cr_assert_eq(evloop_call(b->loop, call_trace, b), 42); /* after what was posted */
    cr_assert_str_eq(b->trace, "cpc");
}

static void stop_loop(void *ctx)
{
    struct bench *b = ctx;
    trace(b, 's');
    evloop_stop(b->loop);
}

OnLoop(core_evloop, run_ends_when_it_is_told_and_can_run_again)
{
    evloop_stop(b->loop);
    cr_assert_eq(evloop_run(b->loop), 0);
    for (unsigned i = 0; i < 3; i++) {
        struct ev_timer t = {.cb = stop_loop, .ctx = b};
        evloop_timer_set(b->loop, &t, b->now);
        cr_assert_eq(evloop_run(b->loop), 0);
    }
    cr_assert_str_eq(b->trace, "sss");
}

Test(core_evloop, the_engine_is_what_was_asked_for)
{
    struct bench b;
    setenv("MINIVET_NO_URING", "1", 1);
    bench_init(&b);
    cr_assert_str_eq(evloop_engine(b.loop), "epoll");
    evloop_destroy(b.loop);
    unsetenv("MINIVET_NO_URING");
    bench_init(&b);
    if (strcmp(evloop_engine(b.loop), "io_uring") != 0)
        cr_skip_test("the host refuses io_uring");
    evloop_destroy(b.loop);
}

/* One system call hands in all that was asked for, and takes what has completed. */
OnLoop(core_evloop, a_turn_costs_one_system_call)
{
    struct source s[8];
    struct evloop_stats before, after;
    for (unsigned i = 0; i < 8; i++)
        source_event(&s[i], b, 's', 0);
    evloop_drain(b->loop);
    for (unsigned i = 0; i < 8; i++)
        eventfd_write(s[i].ev.fd, 1);
    evloop_stats(b->loop, &before);
    evloop_drain(b->loop);
    evloop_stats(b->loop, &after);
    cr_assert_str_eq(b->trace, "ssssssss");
    cr_assert_leq(after.system_calls - before.system_calls, 2); /* epoll: once more, in vain */
    for (unsigned i = 0; i < 8; i++)
        source_close(&s[i]);
}

Test(core_evloop, destroying_nothing_is_allowed)
{
    evloop_destroy(NULL);
}
