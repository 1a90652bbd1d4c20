// SPDX-License-Identifier: BSD-2-Clause
#include "virtio/console/console.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "core/base/fail.h"
#include "core/base/le.h"
#include "core/base/xmath.h"
#include "core/ports/chr.h"
#include "core/state/state.h"
#include "virtio/base/device.h"
#include "virtio/spec.h"

#define QUEUES      2u
#define CHUNK_BYTES 2048u

struct virtio_console {
    struct virtio_device dev;
    struct chr_backend *backend;
    struct chr_handler handler;
    struct vq_chain *tx; /* being written out, or NULL */
    uint64_t tx_done;    /* bytes of the next one that were written before it was loaded */
    struct vq_chain *rx; /* waits for bytes from outside, or NULL: the guest asked for none */
    uint8_t config[VIRTIO_CONSOLE_CONFIG_BYTES];
};

/* ---- guest to outside ---- */

/* Returns whether all of tx is out. If not, the backend or the next turn goes on. */
static bool tx_write(struct virtio_console *con, size_t *budget)
{
    struct iobuf *rd = &con->tx->rd;
    while (rd->left > 0) {
        if (*budget == 0) {
            virtio_queue_serve_later(&con->dev, VIRTIO_CONSOLE_TX);
            return false;
        }
        uint8_t chunk[CHUNK_BYTES];
        struct iobuf peek = *rd;
        size_t len = iobuf_get(&peek, chunk, min_u64(sizeof(chunk), *budget));
        size_t taken = con->backend->ops->write(con->backend, chunk, len);
        iobuf_skip(rd, taken);
        *budget -= taken;
        if (taken < len)
            return false;
    }
    return true;
}

static void tx_ready(struct virtio_console *con)
{
    size_t budget = VIRTIO_CONSOLE_TURN_BYTES;
    for (;;) {
        if (con->tx == NULL)
            con->tx = virtio_queue_next(&con->dev, VIRTIO_CONSOLE_TX);
        if (con->tx == NULL)
            return;
        iobuf_skip(&con->tx->rd, con->tx_done);
        con->tx_done = 0;
        if (!tx_write(con, &budget))
            return;
        virtio_queue_push(&con->dev, VIRTIO_CONSOLE_TX, con->tx);
        con->tx = NULL;
    }
}

static void on_writable(void *ctx)
{
    struct virtio_console *con = ctx;
    virtio_queue_serve(&con->dev, VIRTIO_CONSOLE_TX);
}

/* ---- outside to guest ---- */

static void rx_push(struct virtio_console *con)
{
    virtio_queue_push(&con->dev, VIRTIO_CONSOLE_RX, con->rx);
    con->rx = NULL;
}

/* Has a buffer with room at hand if the guest gave one, and asks for that much. */
static void rx_ready(struct virtio_console *con)
{
    while (con->rx == NULL) {
        con->rx = virtio_queue_next(&con->dev, VIRTIO_CONSOLE_RX);
        if (con->rx == NULL)
            break;
        if (con->rx->wr.left == 0)
            rx_push(con);
    }
    con->backend->ops->rx_enable(con->backend, con->rx != NULL ? con->rx->wr.left : 0);
}

static void on_rx(void *ctx, const uint8_t *data, size_t len)
{
    struct virtio_console *con = ctx;
    if (con->rx == NULL)
        return;
    size_t put = iobuf_put(&con->rx->wr, data, len);
    BUG_ON(put < len); /* no more than it was asked for */
    rx_push(con);      /* at once, full or not: a user is typing */
    rx_ready(con);
}

/* ---- size ---- */

static void set_size(struct virtio_console *con, uint16_t columns, uint16_t rows)
{
    le16_put(con->config + VIRTIO_CONSOLE_CONFIG_cols, columns);
    le16_put(con->config + VIRTIO_CONSOLE_CONFIG_rows, rows);
}

static void on_resize(void *ctx, uint16_t columns, uint16_t rows)
{
    struct virtio_console *con = ctx;
    set_size(con, columns, rows);
    virtio_device_config_changed(&con->dev);
}

/* ---- the device's half ---- */

/*
 * Linux 6.1 reads the size when it is notified of a change, and not before (6.12 does): its console
 * would have none until the window changes. So the device notifies of the first size, too.
 */
static int console_activate(struct virtio_device *dev)
{
    if (virtio_device_has(dev, VIRTIO_CONSOLE_F_SIZE))
        virtio_device_config_changed(dev);
    return 0;
}

static int console_queue_start(struct virtio_device *dev, unsigned queue)
{
    struct virtio_console *con = container_of(dev, struct virtio_console, dev);
    if (queue == VIRTIO_CONSOLE_TX)
        con->tx_done = 0; /* or what is loaded next */
    return 0;
}

static void console_queue_ready(struct virtio_device *dev, unsigned queue)
{
    struct virtio_console *con = container_of(dev, struct virtio_console, dev);
    if (queue == VIRTIO_CONSOLE_TX)
        tx_ready(con);
    else
        rx_ready(con);
}

static void console_queue_stop(struct virtio_device *dev, unsigned queue)
{
    struct virtio_console *con = container_of(dev, struct virtio_console, dev);
    if (queue == VIRTIO_CONSOLE_TX) {
        con->tx = NULL;
        return;
    }
    con->rx = NULL;
    con->backend->ops->rx_enable(con->backend, 0);
}

static unsigned console_queue_hold(struct virtio_device *dev, unsigned queue)
{
    struct virtio_console *con = container_of(dev, struct virtio_console, dev);
    if (queue == VIRTIO_CONSOLE_TX)
        return con->tx != NULL;
    con->backend->ops->rx_enable(con->backend, 0);
    return con->rx != NULL;
}

static void console_state(struct virtio_device *dev, struct state *s)
{
    struct virtio_console *con = container_of(dev, struct virtio_console, dev);
    uint64_t done = con->tx != NULL ? con->tx->rd.done : con->tx_done;
    done = state_number(s, "tx_done", done, UINT32_MAX);
    if (s->loads)
        con->tx_done = done;
}

static const struct virtio_device_ops console_ops = {
    .activate = console_activate,
    .queue_start = console_queue_start,
    .queue_ready = console_queue_ready,
    .queue_stop = console_queue_stop,
    .queue_hold = console_queue_hold,
    .state = console_state,
};

/* ---- life ---- */

int virtio_console_create(struct virtio_console **out, const struct virtio_setup *setup,
                          struct chr_backend *backend)
{
    struct virtio_console *con = calloc(1, sizeof(*con));
    if (con == NULL)
        return fail(-ENOMEM, "virtio %s", setup->name);
    bool has_size = backend->columns != 0 && backend->rows != 0;
    int err = virtio_device_init(&con->dev, setup,
                                 &(struct virtio_device_config){
                                     .type = &virtio_console_type,
                                     .ops = &console_ops,
                                     .features = has_size ? VIRTIO_BIT(VIRTIO_CONSOLE_F_SIZE) : 0,
                                     .config = con->config,
                                     .config_bytes = sizeof(con->config),
                                     .queue_count = QUEUES,
                                     .iov_max = VIRTIO_QUEUE_SIZE_DEFAULT,
                                 });
    if (err != 0) {
        free(con);
        return err;
    }
    set_size(con, backend->columns, backend->rows);
    con->handler = (struct chr_handler){
        .on_rx = on_rx,
        .on_writable = on_writable,
        .on_resize = has_size ? on_resize : NULL,
        .ctx = con,
    };
    con->backend = backend;
    con->backend->handler = &con->handler;
    *out = con;
    return 0;
}

void virtio_console_destroy(struct virtio_console *con)
{
    if (con == NULL)
        return;
    con->backend->handler = NULL;
    virtio_device_fini(&con->dev);
    free(con);
}

struct virtio_device *virtio_console_device(struct virtio_console *con)
{
    return &con->dev;
}
