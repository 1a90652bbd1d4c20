// SPDX-License-Identifier: BSD-2-Clause
#include "core/evloop_impl.h"

#include "core/fail.h"

void evloop_io(struct evloop *loop, struct ev_io *io)
{
    evloop_assert_owner(loop);
    evloop_pool_io(loop, io);
}

void evloop_io_cancel(struct evloop *loop, struct ev_io *io)
{
    evloop_assert_owner(loop);
    evloop_pool_io_cancel(loop, io);
}

void evloop_io_wait(struct evloop *loop, bool (*finished)(void *ctx), void *ctx)
{
    bool nested = evloop_is_owner(loop);
    if (!nested)
        evloop_own(loop);
    while (!finished(ctx)) {
        BUG_ON(loop->works_out == 0);
        evloop_pool_io_turn(loop);
    }
    if (!nested)
        evloop_disown(loop);
}

const char *evloop_engine(const struct evloop *loop)
{
    (void)loop;
    return "epoll";
}
