// SPDX-License-Identifier: BSD-2-Clause
#include "core/loop/evloop_impl.h"

#include "core/base/fail.h"

void evloop_io(struct evloop *loop, struct ev_io *io)
{
    evloop_assert_owner(loop);
    io->cancel = false;
    loop->engine->io(loop, io);
}

void evloop_io_cancel(struct evloop *loop, struct ev_io *io)
{
    evloop_assert_owner(loop);
    loop->engine->io_cancel(loop, io);
}

void evloop_io_wait(struct evloop *loop, bool (*finished)(void *ctx), void *ctx)
{
    bool nested = evloop_is_owner(loop);
    if (!nested)
        evloop_own(loop);
    while (!finished(ctx)) {
        BUG_ON(loop->works_out == 0);
        int err = loop->engine->io_turn(loop);
        if (err < 0) /* done() has been told */
            fail(err, "event loop %s: wait by %s", loop->name, loop->engine->name);
    }
    if (!nested)
        evloop_disown(loop, false);
}

const char *evloop_engine(const struct evloop *loop)
{
    return loop->engine->name;
}
