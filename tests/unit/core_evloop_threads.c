// SPDX-License-Identifier: BSD-2-Clause
/* Crossings into a loop: calls, posts, stop, helpers. ThreadSanitizer checks what they share. */
#include <sys/epoll.h>

#include "tests/harness/test.h"

static struct evloop *loop_new(void)
{
    struct evloop *loop = NULL;
    cr_assert_eq(evloop_create(&loop, "io", &clock_host), 0);
    return loop;
}

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

/* ---- calls ---- */

struct where {
    struct evloop *loop;
    pthread_t thread;
    sigset_t blocked;
    char name[16];
    int depth;
};

static int look_around(void *arg)
{
    struct where *w = arg;
    w->thread = pthread_self();
    pthread_sigmask(SIG_SETMASK, NULL, &w->blocked);
    pthread_getname_np(pthread_self(), w->name, sizeof(w->name));
    if (w->depth++ == 0)
        return evloop_call(w->loop, look_around, w); /* on the owner: a plain call */
    return 17;
}

Test(core_evloop_threads, a_call_runs_on_the_loops_thread_and_brings_its_result)
{
    struct where w = {.loop = loop_new()};
    cr_assert_eq(evloop_start_thread(w.loop), 0);
    cr_assert_eq(evloop_call(w.loop, look_around, &w), 17);
    cr_assert_eq(w.depth, 2);
    cr_assert(!pthread_equal(w.thread, pthread_self()));
    cr_assert_eq(sigismember(&w.blocked, SIGTERM), 1);
    cr_assert_eq(sigismember(&w.blocked, SIGUSR1), 1);
    evloop_stop_thread(w.loop);
    evloop_stop_thread(w.loop);

    cr_assert_eq(evloop_call(w.loop, look_around, &w), 17);
    cr_assert(pthread_equal(w.thread, pthread_self()));
    evloop_destroy(w.loop);
}

static int measure_stack(void *arg)
{
    size_t *bytes = arg;
    pthread_attr_t attr;
    pthread_getattr_np(pthread_self(), &attr);
    pthread_attr_getstacksize(&attr, &bytes[0]);
    pthread_attr_getguardsize(&attr, &bytes[1]);
    return pthread_attr_destroy(&attr);
}

/* libslirp runs there, with frames of 64 KiB: several fit, and none reaches over the guard. */
Test(core_evloop_threads, the_loops_thread_has_room_for_large_frames)
{
    struct evloop *loop = loop_new();
    size_t bytes[2] = {0};
    cr_assert_eq(evloop_start_thread(loop), 0);
    cr_assert_eq(evloop_call(loop, measure_stack, bytes), 0);
    cr_expect_geq(bytes[0], (size_t)512 * 1024);
    cr_expect_geq(bytes[1], (size_t)128 * 1024);
    evloop_destroy(loop);
}

Test(core_evloop_threads, destroy_ends_the_thread)
{
    struct evloop *loop = loop_new();
    cr_assert_eq(evloop_start_thread(loop), 0);
    evloop_destroy(loop);
}

/*
 * Callers while the loop's thread comes and goes: each call runs once, and no two at a time (the
 * counter is a plain one).
 */
enum { CALLERS = 3, CALLS = 2000 };

struct traffic {
    struct evloop *loop;
    unsigned calls;
    unsigned posts;
    _Atomic unsigned callers_left;
};

struct caller {
    struct traffic *t;
    unsigned lost;
    struct ev_post post;
    unsigned posted_runs; /* the loop's */
};

static int count_call(void *arg)
{
    struct traffic *t = arg;
    return (int)++t->calls;
}

static void count_post(void *ctx)
{
    struct caller *c = ctx;
    c->t->posts++;
    c->posted_runs++;
}

static void *call_often(void *arg)
{
    struct caller *c = arg;
    int last = 0;
    for (unsigned i = 0; i < CALLS; i++) {
        int seen = evloop_call(c->t->loop, count_call, c->t);
        c->lost += seen <= last;
        last = seen;
    }
    atomic_fetch_sub(&c->t->callers_left, 1);
    return NULL;
}

static int read_runs(void *arg)
{
    const struct caller *c = arg;
    return (int)c->posted_runs;
}

/* A post before a call has run when the call returns. */
static void *post_often(void *arg)
{
    struct caller *c = arg;
    for (unsigned i = 1; i <= CALLS; i++) {
        evloop_post(c->t->loop, &c->post);
        c->lost += evloop_call(c->t->loop, read_runs, c) != (int)i;
    }
    atomic_fetch_sub(&c->t->callers_left, 1);
    return NULL;
}

static void come_and_go(void *(*fn)(void *arg), struct traffic *t)
{
    struct caller callers[CALLERS];
    pthread_t threads[CALLERS];
    *t = (struct traffic){.loop = loop_new(), .callers_left = CALLERS};
    cr_assert_eq(evloop_start_thread(t->loop), 0);
    for (unsigned i = 0; i < CALLERS; i++) {
        callers[i] = (struct caller){.t = t, .post = {.cb = count_post, .ctx = &callers[i]}};
        cr_assert_eq(pthread_create(&threads[i], NULL, fn, &callers[i]), 0);
    }
    while (atomic_load(&t->callers_left) > 0) {
        evloop_stop_thread(t->loop);
        cr_assert_eq(evloop_start_thread(t->loop), 0);
    }
    evloop_stop_thread(t->loop);
    for (unsigned i = 0; i < CALLERS; i++) {
        pthread_join(threads[i], NULL);
        cr_assert_eq(callers[i].lost, 0);
    }
    evloop_destroy(t->loop);
}

Test(core_evloop_threads, calls_that_race_with_stop_run_exactly_once)
{
    struct traffic t;
    come_and_go(call_often, &t);
    cr_assert_eq(t.calls, CALLERS * CALLS);
}

Test(core_evloop_threads, posts_that_race_with_stop_run_exactly_once)
{
    struct traffic t;
    come_and_go(post_often, &t);
    cr_assert_eq(t.posts, CALLERS * CALLS);
}

/* ---- posts ---- */

struct mark {
    pthread_t thread;
    unsigned runs;
    struct evloop *loop;
    struct ev_post *again; /* posted by the callback, until it ran three times */
};

static void on_mark(void *ctx)
{
    struct mark *m = ctx;
    m->thread = pthread_self();
    m->runs++;
    if (m->again && m->runs < 3)
        evloop_post(m->loop, m->again);
}

Test(core_evloop_threads, a_post_after_the_end_runs_in_the_caller)
{
    struct mark m = {0};
    struct ev_post p = {.cb = on_mark, .ctx = &m};
    struct evloop *loop = loop_new();
    evloop_post(loop, &p);
    cr_assert_eq(evloop_start_thread(loop), 0);
    cr_assert_eq(evloop_call(loop, nothing, NULL), 0);
    evloop_stop_thread(loop);
    cr_assert_eq(m.runs, 1);
    cr_assert(!pthread_equal(m.thread, pthread_self()));
    evloop_post(loop, &p);
    cr_assert_eq(m.runs, 2);
    cr_assert(pthread_equal(m.thread, pthread_self()));
    evloop_destroy(loop);
}

Test(core_evloop_threads, a_post_after_the_end_may_post_again)
{
    struct mark m = {.loop = loop_new()};
    struct ev_post p = {.cb = on_mark, .ctx = &m};
    m.again = &p;
    cr_assert_eq(evloop_start_thread(m.loop), 0);
    evloop_stop_thread(m.loop);
    evloop_post(m.loop, &p);
    cr_assert_eq(m.runs, 3);
    evloop_destroy(m.loop);
}

struct delivery {
    struct evloop *loop;
    struct ev_post *post;
};

static void *deliver(void *arg)
{
    const struct delivery *d = arg;
    evloop_post(d->loop, d->post);
    return NULL;
}

static void stop_it(void *ctx)
{
    evloop_stop(ctx);
}

Test(core_evloop_threads, a_post_wakes_a_loop_that_sleeps)
{
    struct evloop *loop = loop_new();
    struct ev_post p = {.cb = stop_it, .ctx = loop};
    struct delivery d = {.loop = loop, .post = &p};
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, deliver, &d), 0);
    cr_assert_eq(evloop_run(loop), 0); /* for ever, if it does not */
    pthread_join(thread, NULL);
    evloop_destroy(loop);
}

/* ---- events and timers of a running loop ---- */

struct pinger {
    struct evloop *loop;
    struct ev_fd ev;
    struct ev_timer timer;
    int answer_fd;
    uint64_t value;
};

static void on_ping(void *ctx, uint32_t events)
{
    struct pinger *p = ctx;
    (void)events;
    p->value++;
    eventfd_write(p->answer_fd, p->value);
}

static void on_timer(void *ctx)
{
    on_ping(ctx, EPOLLIN);
}

static int pinger_add(void *arg)
{
    struct pinger *p = arg;
    evloop_timer_set(p->loop, &p->timer, clock_now_ns(&clock_host) + 1000);
    return evloop_event_add(p->loop, &p->ev, p->ev.fd);
}

static int pinger_del(void *arg)
{
    struct pinger *p = arg;
    evloop_fd_del(p->loop, &p->ev);
    return 0;
}

Test(core_evloop_threads, a_sleeping_loop_answers_events_and_timers)
{
    struct pinger p = {.loop = loop_new(), .answer_fd = eventfd(0, 0)};
    p.ev = (struct ev_fd){.cb = on_ping, .ctx = &p, .fd = eventfd(0, EFD_NONBLOCK)};
    p.timer = (struct ev_timer){.cb = on_timer, .ctx = &p};
    eventfd_t answer;
    cr_assert_eq(evloop_start_thread(p.loop), 0);
    cr_assert_eq(evloop_call(p.loop, pinger_add, &p), 0);
    cr_assert_eq(eventfd_read(p.answer_fd, &answer), 0); /* the timer */
    cr_assert_eq(answer, 1);
    for (unsigned i = 2; i < 100; i++) {
        cr_assert_eq(eventfd_write(p.ev.fd, 1), 0);
        cr_assert_eq(eventfd_read(p.answer_fd, &answer), 0);
        cr_assert_eq(answer, i);
    }
    cr_assert_eq(evloop_call(p.loop, pinger_del, &p), 0);
    evloop_stop_thread(p.loop);
    close(p.ev.fd);
    close(p.answer_fd);
    evloop_destroy(p.loop);
}

/* ---- threads that take turns ---- */

struct turns {
    struct evloop *loop;
    struct ev_fd event, plain;
    unsigned events, plains;
};

static void on_event(void *ctx, uint32_t events)
{
    struct turns *t = ctx;
    (void)events;
    t->events++;
}

static void on_plain(void *ctx, uint32_t events)
{
    struct turns *t = ctx;
    eventfd_t count;
    (void)events;
    t->plains++;
    eventfd_read(t->plain.fd, &count);
}

static void *ring_and_drain(void *arg)
{
    struct turns *t = arg;
    eventfd_write(t->event.fd, 1);
    eventfd_write(t->plain.fd, 1);
    evloop_drain(t->loop);
    return NULL;
}

/* What one thread waits for another must see, whether or not the first one has ended. */
Test(core_evloop_threads, whoever_drains_sees_what_has_come)
{
    enum { ROUNDS = 20 };
    struct turns t = {.loop = loop_new()};
    t.event = (struct ev_fd){.cb = on_event, .ctx = &t};
    t.plain = (struct ev_fd){.cb = on_plain, .ctx = &t};
    cr_assert_eq(evloop_event_add(t.loop, &t.event, eventfd(0, EFD_NONBLOCK)), 0);
    cr_assert_eq(evloop_fd_add(t.loop, &t.plain, eventfd(0, EFD_NONBLOCK), EPOLLIN), 0);
    for (unsigned i = 1; i <= ROUNDS; i++) {
        unsigned events = t.events;
        if (i % 3 == 0) {
            ring_and_drain(&t);
        } else {
            pthread_t thread;
            cr_assert_eq(pthread_create(&thread, NULL, ring_and_drain, &t), 0);
            pthread_join(thread, NULL);
        }
        cr_assert_gt(t.events, events);
        cr_assert_eq(t.plains, i);
        if (i % 5 == 0) {
            cr_assert_eq(evloop_start_thread(t.loop), 0);
            evloop_stop_thread(t.loop);
        }
    }
    evloop_fd_del(t.loop, &t.event);
    evloop_fd_del(t.loop, &t.plain);
    close(t.event.fd);
    close(t.plain.fd);
    evloop_destroy(t.loop);
}

static int del_plain(void *arg)
{
    struct turns *t = arg;
    evloop_fd_del(t->loop, &t->plain);
    return 0;
}

/* Nothing keeps a descriptor open after its removal: the other end of the pipe notices. */
Test(core_evloop_threads, a_removed_descriptor_is_let_go, .signal = SIGPIPE)
{
    struct turns t = {.loop = loop_new(), .plain = {.cb = on_plain, .ctx = &t}};
    int fds[2];
    cr_assert_eq(pipe(fds), 0);
    cr_assert_eq(evloop_fd_add(t.loop, &t.plain, fds[0], EPOLLIN), 0);
    cr_assert_eq(evloop_start_thread(t.loop), 0);
    evloop_call(t.loop, nothing, NULL);
    evloop_call(t.loop, del_plain, &t);
    close(fds[0]);
    (void)!write(fds[1], "x", 1);
}

/* ---- helpers ---- */

enum { WORKS = 64, MAX_HELPERS = 4 };

struct crowd {
    struct evloop *loop;
    pthread_t owner;
    _Atomic unsigned running, most, wrong_thread;
    unsigned done, resubmit;
};

struct job {
    struct crowd *crowd;
    struct ev_work w;
    unsigned ran; /* by a helper, then read on the loop */
};

static void job_run(void *ctx)
{
    struct job *j = ctx;
    struct crowd *c = j->crowd;
    unsigned now = atomic_fetch_add(&c->running, 1) + 1, most = atomic_load(&c->most);
    while (now > most && !atomic_compare_exchange_weak(&c->most, &most, now))
        ;
    if (pthread_equal(pthread_self(), c->owner))
        atomic_fetch_add(&c->wrong_thread, 1);
    j->ran++;
    usleep(100);
    atomic_fetch_sub(&c->running, 1);
}

static void job_done(void *ctx)
{
    struct job *j = ctx;
    struct crowd *c = j->crowd;
    if (!pthread_equal(pthread_self(), c->owner))
        atomic_fetch_add(&c->wrong_thread, 1);
    c->done++;
    if (c->resubmit > 0) {
        c->resubmit--;
        evloop_work(c->loop, &j->w);
    }
}

static void crowd_submit(struct crowd *c, struct job jobs[WORKS])
{
    *c = (struct crowd){.loop = loop_new(), .owner = pthread_self(), .resubmit = 10};
    for (unsigned i = 0; i < WORKS; i++) {
        jobs[i] = (struct job){.crowd = c};
        jobs[i].w = (struct ev_work){.run = job_run, .done = job_done, .ctx = &jobs[i]};
        evloop_work(c->loop, &jobs[i].w);
    }
    cr_assert_eq(c->done, 0); /* never inside submit */
}

static void crowd_check(struct crowd *c, const struct job jobs[WORKS])
{
    unsigned ran = 0;
    for (unsigned i = 0; i < WORKS; i++) {
        cr_assert_geq(jobs[i].ran, 1);
        ran += jobs[i].ran;
    }
    cr_assert_eq(ran, WORKS + 10);
    cr_assert_eq(c->done, WORKS + 10);
    cr_assert_eq(c->wrong_thread, 0);
    cr_assert_leq(c->most, MAX_HELPERS);
}

Test(core_evloop_threads, drain_waits_for_work)
{
    struct crowd c;
    static struct job jobs[WORKS];
    crowd_submit(&c, jobs);
    evloop_drain(c.loop);
    crowd_check(&c, jobs);
    evloop_destroy(c.loop);
}

Test(core_evloop_threads, destroy_waits_for_work)
{
    struct crowd c;
    static struct job jobs[WORKS];
    crowd_submit(&c, jobs);
    evloop_destroy(c.loop);
    crowd_check(&c, jobs);
}

/* Four works that each wait for the others end only if there are four helpers. */
struct meeting {
    pthread_barrier_t barrier;
    unsigned done;
};

static void meet(void *ctx)
{
    struct meeting *m = ctx;
    pthread_barrier_wait(&m->barrier);
}

static void met(void *ctx)
{
    struct meeting *m = ctx;
    m->done++;
}

Test(core_evloop_threads, works_that_block_run_side_by_side)
{
    struct evloop *loop = loop_new();
    struct meeting m = {.done = 0};
    struct ev_work works[MAX_HELPERS];
    pthread_barrier_init(&m.barrier, NULL, MAX_HELPERS);
    for (unsigned round = 0; round < 20; round++) {
        for (unsigned i = 0; i < MAX_HELPERS; i++) {
            works[i] = (struct ev_work){.run = meet, .done = met, .ctx = &m};
            evloop_work(loop, &works[i]);
        }
        evloop_drain(loop);
        cr_assert_eq(m.done, MAX_HELPERS * (round + 1));
    }
    evloop_destroy(loop);
    pthread_barrier_destroy(&m.barrier);
}

/* ---- misuse ---- */

#ifdef MINIVET_DEBUG
Test(core_evloop_threads, only_the_owner_may_touch_the_loop, .signal = SIGABRT)
{
    struct evloop *loop = loop_new();
    struct ev_defer d = {.cb = stop_it, .ctx = loop};
    listen_to_log(LOG_DEBUG);
    cr_assert_eq(evloop_start_thread(loop), 0);
    evloop_call(loop, nothing, NULL);
    evloop_defer(loop, &d);
}
#endif

Test(core_evloop_threads, draining_another_threads_loop_is_a_bug, .signal = SIGABRT)
{
    struct evloop *loop = loop_new();
    listen_to_log(LOG_DEBUG);
    cr_assert_eq(evloop_start_thread(loop), 0);
    evloop_drain(loop);
}
