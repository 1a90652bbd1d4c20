// SPDX-License-Identifier: BSD-2-Clause
#include "vmm/control/control.h"

#include <cJSON.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "core/loop/evloop.h"
#include "core/peers/foreign_fd.h"
#include "core/peers/peer.h"
#include "core/peers/unix_listener.h"

#define CANNOT_OPEN "control socket %s", c->cfg.path
#define AGAIN_NS    UINT64_C(500000000)
#define STEP_NS     UINT64_C(10000000)
#define IDLE_NS     UINT64_C(1000000000) /* after which a client's place may be another's */

struct client {
    struct control *control;
    struct ev_fd ev;
    struct ev_defer next;
    int fd;            /* -1: the place is free */
    bool ended;        /* no further command comes */
    uint64_t since_ns; /* it came then, or its last command */
    uint32_t in_bytes;
    char in[CONTROL_LINE_BYTES];
    /* The command: done, or left to a helper or for later. */
    bool is_busy;
    struct ev_timer later;
    cJSON *id, *result;
    struct control_task task;
    struct ev_work work;
    char *out; /* the answer that is being sent, or NULL */
    size_t out_done, out_bytes;
};

struct control {
    struct control_config cfg;
    struct ev_fd listener;
    struct ev_timer again; /* to listen, when no descriptor or place was free */
    struct unix_listener socket;
    bool is_ending;
    struct client clients[CONTROL_CLIENTS];
};

/* ---- a client ---- */

static void listen_again(struct control *c);
static void step(void *ctx);

static void close_client(struct client *client)
{
    struct evloop *loop = client->control->cfg.loop;
    evloop_defer_cancel(loop, &client->next);
    evloop_timer_cancel(loop, &client->later);
    evloop_fd_del(loop, &client->ev);
    foreign_socket_close(client->fd);
    cJSON_Delete(client->id);
    cJSON_Delete(client->result);
    free(client->out);
    free(client->task.picture.pixels);
    blk_spare_close(client->task.spare);
    *client = (struct client){.control = client->control, .fd = -1};
    listen_again(client->control);
}

/* An object becomes a line: what comes after a command. */
static void set_answer(struct client *client)
{
    cJSON *reply = cJSON_CreateObject();
    if (client->id != NULL)
        cJSON_AddItemToObject(reply, "id", client->id);
    if (client->result != NULL && client->task.error[0] == '\0')
        cJSON_AddItemToObject(reply, "result", client->result);
    else
        cJSON_Delete(client->result);
    if (client->task.error[0] != '\0')
        cJSON_AddStringToObject(reply, "error", client->task.error);
    client->id = client->result = NULL;
    client->out = cJSON_PrintUnformatted(reply);
    client->out_bytes = client->out != NULL ? strlen(client->out) : 0;
    client->out_done = 0;
    if (client->out != NULL)
        client->out[client->out_bytes++] = '\n'; /* in place of the NUL */
    cJSON_Delete(reply);
}

static void on_task(void *ctx)
{
    struct client *client = ctx;
    client->task.run(&client->task);
}

static uint64_t after(const struct control *c, uint64_t ns)
{
    return clock_now_ns(c->cfg.clock) + ns;
}

/* False: the task has nothing for later. */
static bool begin_task(struct client *client)
{
    const struct control *c = client->control;
    client->is_busy = client->task.run != NULL || client->task.step != NULL;
    if (client->task.step != NULL)
        evloop_timer_set(c->cfg.loop, &client->later, after(c, 0));
    else if (client->is_busy)
        evloop_work(c->cfg.loop, &client->work);
    return client->is_busy;
}

static void on_task_done(void *ctx)
{
    struct client *client = ctx;
    struct control_task *t = &client->task;
    void (*end)(struct control_task *, const struct control_target *) = t->end;
    t->run = NULL;
    t->step = NULL;
    t->end = NULL;
    if (end != NULL)
        end(t, &client->control->cfg.target);
    if (begin_task(client))
        return;
    free(t->picture.pixels);
    t->picture.pixels = NULL;
    set_answer(client);
    step(client);
}

static void on_later(void *ctx)
{
    struct client *client = ctx;
    const struct control *c = client->control;
    if (client->task.step(&client->task, &c->cfg.target))
        evloop_timer_set(c->cfg.loop, &client->later, after(c, STEP_NS));
    else if (client->task.run != NULL)
        evloop_work(c->cfg.loop, &client->work);
    else
        on_task_done(client);
}

/* The first of those that have come; false: none has come as a whole. */
static bool take_line(struct client *client)
{
    const struct control *c = client->control;
    char *end = memchr(client->in, '\n', client->in_bytes);
    if (end == NULL)
        return false;
    *end++ = '\0';
    client->since_ns = after(c, 0);
    cJSON *request = cJSON_ParseWithOpts(client->in, NULL, true);
    client->id = cJSON_DetachItemFromObjectCaseSensitive(request, "id");
    client->task = (struct control_task){0};
    client->result = control_run(&c->cfg.target, request, &client->task);
    cJSON_Delete(request);
    client->in_bytes -= (uint32_t)(end - client->in);
    memmove(client->in, end, client->in_bytes);
    if (!begin_task(client))
        set_answer(client);
    return true;
}

/* Returns 0, -EAGAIN if there is more to send, or another error. */
static int send_answer(struct client *client)
{
    while (client->out != NULL && client->out_done < client->out_bytes) {
        ssize_t n = send(client->fd, client->out + client->out_done,
                         client->out_bytes - client->out_done, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno != EINTR)
            return -errno;
        client->out_done += n > 0 ? (size_t)n : 0;
    }
    free(client->out);
    client->out = NULL;
    return 0;
}

/* One command a turn; while its answer is not taken, no further one is heard. */
static void step(void *ctx)
{
    struct client *client = ctx;
    struct evloop *loop = client->control->cfg.loop;
    int err = send_answer(client);
    if (err == 0 && !client->is_busy && take_line(client)) {
        if (client->is_busy)
            evloop_fd_del(loop, &client->ev); /* until there is an answer */
        else
            evloop_defer(loop, &client->next);
        return;
    }
    if (client->is_busy)
        return;
    if (!client->ev.armed && evloop_fd_add(loop, &client->ev, client->fd, EPOLLIN) != 0)
        err = -ENOMEM;
    if (err == 0 && (client->ended || client->in_bytes == sizeof(client->in)))
        err = -EPIPE;
    if (err == 0 || err == -EAGAIN)
        err = evloop_fd_set(loop, &client->ev, err == 0 ? EPOLLIN : EPOLLOUT);
    if (err != 0)
        close_client(client);
}

static void on_client(void *ctx, uint32_t events)
{
    struct client *client = ctx;
    size_t room = sizeof(client->in) - client->in_bytes;
    if (client->out == NULL && room > 0 && (events & EPOLLIN)) {
        ssize_t n = foreign_socket_receive(client->fd, client->in + client->in_bytes, room, NULL);
        client->ended = n <= 0 && n != -EAGAIN && n != -EINTR;
        client->in_bytes += n > 0 ? (uint32_t)n : 0;
    }
    step(client);
}

/* ---- the socket ---- */

static struct client *free_place(struct control *c)
{
    for (unsigned i = 0; i < CONTROL_CLIENTS; i++)
        if (c->clients[i].fd < 0)
            return &c->clients[i];
    return NULL;
}

static void listen_again(struct control *c)
{
    evloop_timer_cancel(c->cfg.loop, &c->again);
    if (!c->is_ending && !c->listener.armed)
        evloop_fd_add(c->cfg.loop, &c->listener, c->socket.fd, EPOLLIN);
}

static void on_again(void *ctx)
{
    listen_again(ctx);
}

static void listen_later(struct control *c, uint64_t at_ns)
{
    evloop_fd_del(c->cfg.loop, &c->listener);
    evloop_timer_set(c->cfg.loop, &c->again, at_ns);
}

/* Of those for which nothing is being done the one that has been so the longest; NULL: none. */
static struct client *longest_idle(struct control *c)
{
    struct client *found = NULL;
    for (unsigned i = 0; i < CONTROL_CLIENTS; i++) {
        struct client *client = &c->clients[i];
        if (!client->is_busy && (found == NULL || client->since_ns < found->since_ns))
            found = client;
    }
    return found;
}

/*
 * While all places are taken by clients that have just come, or that a helper works for, further
 * ones stay in the kernel's queue. One that says nothing for longer than that, or takes no answer,
 * gives its place to them.
 */
static bool make_room(struct control *c)
{
    if (free_place(c) != NULL)
        return true;
    struct client *idle = longest_idle(c);
    bool has_had_time = idle != NULL && after(c, 0) >= idle->since_ns + IDLE_NS;
    if (has_had_time)
        close_client(idle);
    else
        listen_later(c, idle != NULL ? idle->since_ns + IDLE_NS : after(c, AGAIN_NS));
    return has_had_time;
}

static void on_connect(void *ctx, uint32_t events)
{
    struct control *c = ctx;
    (void)events;
    if (!make_room(c))
        return;
    struct client *client = free_place(c);
    int fd = accept4(c->socket.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0 && errno != EAGAIN && errno != EINTR) /* it would be ready again at once */
        listen_later(c, after(c, AGAIN_NS));
    if (fd < 0)
        return;
    foreign_socket_open(fd);
    if (peer_check(fd, NULL) != 0) {
        foreign_socket_close(fd);
        return;
    }
    client->fd = fd;
    client->since_ns = after(c, 0);
    client->next = (struct ev_defer){.cb = step, .ctx = client};
    client->work = (struct ev_work){.run = on_task, .done = on_task_done, .ctx = client};
    client->later = (struct ev_timer){.cb = on_later, .ctx = client};
    client->ev = (struct ev_fd){.cb = on_client, .ctx = client};
    if (evloop_fd_add(c->cfg.loop, &client->ev, fd, EPOLLIN) != 0)
        close_client(client);
}

static int open_socket(struct control *c)
{
    int r = unix_listen(&c->socket, c->cfg.path, CONTROL_CLIENTS);
    if (r == -EADDRINUSE)
        return fail(r, "control socket %s: listen; name another path", c->cfg.path);
    if (r < 0)
        return fail(r, CANNOT_OPEN);
    c->listener = (struct ev_fd){.cb = on_connect, .ctx = c};
    c->again = (struct ev_timer){.cb = on_again, .ctx = c};
    r = evloop_fd_add(c->cfg.loop, &c->listener, c->socket.fd, EPOLLIN);
    return r < 0 ? fail(r, CANNOT_OPEN) : 0;
}

int control_create(struct control **out, const struct control_config *config)
{
    struct control *c = calloc(1, sizeof(*c));
    if (c == NULL)
        return fail(-ENOMEM, "control socket");
    c->cfg = *config;
    c->socket.fd = -1;
    for (unsigned i = 0; i < CONTROL_CLIENTS; i++)
        c->clients[i] = (struct client){.control = c, .fd = -1};
    int r = open_socket(c);
    if (r < 0) {
        control_destroy(c);
        return r;
    }
    *out = c;
    return 0;
}

void control_destroy(struct control *c)
{
    if (c == NULL)
        return;
    c->is_ending = true; /* no further clients */
    if (c->listener.armed)
        evloop_fd_del(c->cfg.loop, &c->listener);
    for (unsigned i = 0; i < CONTROL_CLIENTS; i++) { /* nor commands, which may come for ever */
        evloop_fd_del(c->cfg.loop, &c->clients[i].ev);
        c->clients[i].in_bytes = 0;
        c->clients[i].ended = true;
        if (c->clients[i].later.armed) /* the last step, since there is no guest any more */
            evloop_timer_set(c->cfg.loop, &c->clients[i].later, after(c, 0));
    }
    evloop_drain(c->cfg.loop); /* what helpers do comes to its end */
    for (unsigned i = 0; i < CONTROL_CLIENTS; i++)
        if (c->clients[i].fd >= 0)
            close_client(&c->clients[i]);
    evloop_timer_cancel(c->cfg.loop, &c->again);
    unix_unlisten(&c->socket);
    free(c);
}
