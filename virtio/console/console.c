// SPDX-License-Identifier: BSD-2-Clause
#include "virtio/console/console.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/fail.h"
#include "core/base/le.h"
#include "core/output/facts.h"
#include "core/state/state.h"
#include "virtio/console/console_impl.h"

#define QUEUES      2u /* of one port, */
#define QUEUES_MANY 4u /* and with control queues */
#define CHUNK_BYTES 8192u

static struct virtio_console *console_of(struct virtio_device *dev)
{
    return container_of(dev, struct virtio_console, dev);
}

/* ---- queues of ports ---- */

static bool is_control(unsigned queue)
{
    return queue == VIRTIO_CONSOLE_CONTROL_RX || queue == VIRTIO_CONSOLE_CONTROL_TX;
}

static bool is_tx(unsigned queue)
{
    return queue % 2 == VIRTIO_CONSOLE_TX;
}

/* Of a queue that is no control queue. */
static struct console_port *port_of(struct virtio_device *dev, unsigned queue)
{
    return &console_of(dev)->ports[queue < QUEUES ? 0 : queue / 2 - 1];
}

static unsigned rx_queue(const struct console_port *p)
{
    return p->id == 0 ? VIRTIO_CONSOLE_RX : 2 * p->id + 2;
}

static unsigned tx_queue(const struct console_port *p)
{
    return rx_queue(p) + 1;
}

/* ---- guest to outside ---- */

/* Returns whether all of tx is out. If not, the backend or the next turn goes on. */
static bool tx_write(struct console_port *p, size_t *budget)
{
    struct iobuf *rd = &p->tx->rd;
    if (p->backend == NULL || p->backend->is_away) {
        iobuf_skip(rd, rd->left);
        return true;
    }
    while (rd->left > 0) {
        if (*budget == 0) {
            virtio_queue_serve_later(&p->con->dev, tx_queue(p));
            return false;
        }
        uint8_t chunk[CHUNK_BYTES];
        struct iobuf peek = *rd;
        size_t len = iobuf_get(&peek, chunk, min_u64(sizeof(chunk), *budget));
        size_t taken = p->backend->ops->write(p->backend, chunk, len);
        iobuf_skip(rd, taken);
        *budget -= taken;
        if (taken < len)
            return false;
    }
    return true;
}

static void tx_ready(struct console_port *p)
{
    size_t budget = VIRTIO_CONSOLE_TURN_BYTES;
    for (;;) {
        if (p->tx == NULL)
            p->tx = virtio_queue_next(&p->con->dev, tx_queue(p));
        if (p->tx == NULL)
            return;
        iobuf_skip(&p->tx->rd, p->tx_done);
        p->tx_done = 0;
        if (!tx_write(p, &budget))
            return;
        virtio_queue_push(&p->con->dev, tx_queue(p), p->tx);
        p->tx = NULL;
    }
}

static void on_writable(void *ctx)
{
    struct console_port *p = ctx;
    virtio_queue_serve(&p->con->dev, tx_queue(p));
}

/* ---- outside to guest ---- */

static void rx_push(struct console_port *p)
{
    virtio_queue_push(&p->con->dev, rx_queue(p), p->rx);
    p->rx = NULL;
}

/* Has a buffer with room at hand if the guest gave one, and asks for that much. */
static void rx_ready(struct console_port *p)
{
    if (p->backend == NULL) /* what the driver gives is for the next port here */
        return;
    bool is_open = !console_has_control(p->con) || (p->is & PORT_IS_OPEN) != 0;
    while (p->rx == NULL) {
        p->rx = virtio_queue_next(&p->con->dev, rx_queue(p));
        if (p->rx == NULL)
            break;
        if (p->rx->wr.left == 0)
            rx_push(p);
    }
    p->backend->ops->rx_enable(p->backend, p->rx != NULL && is_open ? p->rx->wr.left : 0);
}

static void on_rx(void *ctx, const uint8_t *data, size_t len)
{
    struct console_port *p = ctx;
    if (p->rx == NULL)
        return;
    size_t put = iobuf_put(&p->rx->wr, data, len);
    BUG_ON(put < len); /* no more than it was asked for */
    rx_push(p);        /* at once, full or not: a user is typing */
    rx_ready(p);
}

void console_port_changed(struct console_port *p)
{
    virtio_queue_serve_later(&p->con->dev, rx_queue(p));
}

/* ---- who is there ---- */

/* What one did not read is not for the next. */
static void on_away(void *ctx, bool is_away)
{
    struct console_port *p = ctx;
    if (is_away && p->tx != NULL)
        iobuf_skip(&p->tx->rd, p->tx->rd.left);
    virtio_queue_serve_later(&p->con->dev, tx_queue(p));
    console_news(p, is_away ? NEWS_GONE : NEWS_HERE);
}

/* ---- size ---- */

static void set_size(struct virtio_console *con, uint16_t columns, uint16_t rows)
{
    le16_put(con->config + VIRTIO_CONSOLE_CONFIG_cols, columns);
    le16_put(con->config + VIRTIO_CONSOLE_CONFIG_rows, rows);
}

static void on_resize(void *ctx, uint16_t columns, uint16_t rows)
{
    struct console_port *p = ctx;
    p->backend->columns = columns;
    p->backend->rows = rows;
    if (p->id == 0) {
        set_size(p->con, columns, rows);
        virtio_device_config_changed(&p->con->dev);
    }
    console_size_news(p);
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
    if (!is_control(queue) && is_tx(queue))
        port_of(dev, queue)->tx_done = 0; /* or what is loaded next */
    return 0;
}

static void console_queue_ready(struct virtio_device *dev, unsigned queue)
{
    struct virtio_console *con = console_of(dev);
    if (queue >= QUEUES && !console_has_control(con))
        return;
    if (queue == VIRTIO_CONSOLE_CONTROL_RX)
        console_tell(con);
    else if (queue == VIRTIO_CONSOLE_CONTROL_TX)
        console_hear(con);
    else if (is_tx(queue))
        tx_ready(port_of(dev, queue));
    else
        rx_ready(port_of(dev, queue));
}

static void ask_for_nothing(struct console_port *p)
{
    if (p->backend != NULL)
        p->backend->ops->rx_enable(p->backend, 0);
}

static void console_queue_stop(struct virtio_device *dev, unsigned queue)
{
    if (is_control(queue))
        return;
    struct console_port *p = port_of(dev, queue);
    if (is_tx(queue)) {
        p->tx = NULL;
        return;
    }
    p->rx = NULL;
    ask_for_nothing(p);
}

static unsigned console_queue_hold(struct virtio_device *dev, unsigned queue)
{
    if (is_control(queue))
        return 0;
    struct console_port *p = port_of(dev, queue);
    if (is_tx(queue))
        return p->tx != NULL;
    ask_for_nothing(p);
    return p->rx != NULL;
}

/* A driver's last words, before it has queues or when it can use them no more. */
static void console_config_write(struct virtio_device *dev, unsigned offset, const void *src,
                                 unsigned len)
{
    struct chr_backend *backend = console_of(dev)->ports[0].backend;
    (void)len;
    if (offset == VIRTIO_CONSOLE_CONFIG_emerg_wr &&
        (dev->cfg.features & VIRTIO_BIT(VIRTIO_CONSOLE_F_EMERG_WRITE)) != 0)
        (void)backend->ops->write(backend, src, 1);
}

static void console_reset(struct virtio_device *dev)
{
    struct virtio_console *con = console_of(dev);
    con->next = 0;
    for (unsigned i = 0; i < con->port_count; i++)
        con->ports[i].is = con->ports[i].news = 0;
}

static void port_state(struct console_port *p, struct state *s)
{
    uint64_t done = p->tx != NULL ? p->tx->rd.done : p->tx_done;
    done = state_number(s, "tx_done", done, UINT32_MAX);
    if (s->loads)
        p->tx_done = done;
    if (p->con->port_count == 1)
        return;
    p->is = (unsigned)state_number(s, "is", p->is, PORT_IS_ALL);
    p->news = (unsigned)state_number(s, "news", p->news, (1u << NEWS_COUNT) - 1);
    bool is_there = p->backend != NULL || (p->is == 0 && (p->news & ~(1u << NEWS_REMOVE)) == 0);
    if (!is_there || (p->backend != NULL && p->name == NULL && (p->news & 1u << NEWS_NAME) != 0)) {
        state_refuse(s, is_there ? "a name of a port that has none" : "a port that is not there");
        p->is = p->news = 0;
    }
    bool is_away = p->backend != NULL && p->backend->is_away;
    if (state_number(s, "is_away", is_away, true) != is_away)
        console_news(p, is_away ? NEWS_GONE : NEWS_HERE);
}

static void console_state(struct virtio_device *dev, struct state *s)
{
    struct virtio_console *con = console_of(dev);
    port_state(&con->ports[0], s);
    for (unsigned i = 1; i < con->port_count && state_begin(s, "port", i, 1); i++) {
        port_state(&con->ports[i], s);
        state_end(s);
    }
}

static void console_describe(struct virtio_device *dev, struct facts *f)
{
    const struct virtio_console *con = console_of(dev);
    facts_list(f, "ports");
    for (unsigned i = 0; i < con->port_count; i++) {
        const struct console_port *p = &con->ports[i];
        if (p->backend == NULL)
            continue;
        facts_group(f, NULL);
        facts_number(f, "port", i);
        facts_word(f, "name", p->name);
        facts_flag(f, "console", p->is_console);
        facts_flag(f, "peer", !p->backend->is_away);
        if (console_has_control(con)) {
            facts_flag(f, "guest_knows", (p->is & PORT_IS_READY) != 0);
            facts_flag(f, "guest_open", (p->is & PORT_IS_OPEN) != 0);
        }
        facts_end(f);
    }
    facts_end(f);
}

static const struct virtio_device_ops console_ops = {
    .config_write = console_config_write,
    .activate = console_activate,
    .queue_start = console_queue_start,
    .queue_ready = console_queue_ready,
    .queue_stop = console_queue_stop,
    .queue_hold = console_queue_hold,
    .reset = console_reset,
    .state = console_state,
    .describe = console_describe,
};

/* ---- life ---- */

/* Of a terminal whose size is not known. */
#define COLUMNS 80
#define ROWS    24

static bool any_console(const struct virtio_console_config *config)
{
    for (unsigned i = 0; i < config->port_count; i++)
        if (config->ports[i].is_console)
            return true;
    return false;
}

static void open_port(struct virtio_console *con, unsigned id,
                      const struct virtio_console_port *port, bool has_size)
{
    struct console_port *p = &con->ports[id];
    *p = (struct console_port){
        .con = con,
        .id = id,
        .name = port->name,
        .is_console = port->is_console,
        .backend = port->backend,
    };
    p->handler = (struct chr_handler){
        .on_rx = on_rx,
        .on_writable = on_writable,
        .on_resize = has_size ? on_resize : NULL,
        .on_away = on_away,
        .ctx = p,
    };
    p->backend->handler = &p->handler;
}

int virtio_console_create(struct virtio_console **out, const struct virtio_setup *setup,
                          const struct virtio_console_config *config)
{
    unsigned count = 1 + config->ports_max;
    struct chr_backend *backend = config->backend;
    struct virtio_console *con = calloc(1, sizeof(*con) + count * sizeof(con->ports[0]));
    if (con == NULL)
        return fail(-ENOMEM, "virtio %s", setup->name);
    bool has_size = backend->columns != 0 && backend->rows != 0;
    uint64_t more = count > 1 ? VIRTIO_BIT(VIRTIO_CONSOLE_F_MULTIPORT) |
                                    VIRTIO_BIT(VIRTIO_CONSOLE_F_EMERG_WRITE)
                              : 0;
    bool has_sizes = has_size || any_console(config);
    BUG_ON(config->ports_max > VIRTIO_CONSOLE_PORTS_MAX || config->port_count > config->ports_max);
    int err = virtio_device_init(
        &con->dev, setup,
        &(struct virtio_device_config){
            .type = &virtio_console_type,
            .ops = &console_ops,
            .features = (has_sizes ? VIRTIO_BIT(VIRTIO_CONSOLE_F_SIZE) : 0) | more,
            .config = con->config,
            .config_bytes = sizeof(con->config),
            .queue_count = count > 1 ? QUEUES_MANY + 2 * config->ports_max : QUEUES,
            .iov_max = VIRTIO_QUEUE_SIZE_DEFAULT,
        });
    if (err != 0) {
        free(con);
        return err;
    }
    if (has_sizes)
        set_size(con, has_size ? backend->columns : COLUMNS, has_size ? backend->rows : ROWS);
    if (count > 1)
        le32_put(con->config + VIRTIO_CONSOLE_CONFIG_max_nr_ports, count);
    con->port_count = count;
    open_port(con, 0, &(struct virtio_console_port){.backend = backend, .is_console = true},
              has_size);
    for (unsigned i = 1; i < count; i++)
        con->ports[i] = (struct console_port){.con = con, .id = i};
    for (unsigned i = 1; i <= config->port_count; i++)
        open_port(con, i, &config->ports[i - 1], false);
    *out = con;
    return 0;
}

void virtio_console_destroy(struct virtio_console *con)
{
    if (con == NULL)
        return;
    for (unsigned i = 0; i < con->port_count; i++)
        if (con->ports[i].backend != NULL)
            con->ports[i].backend->handler = NULL;
    virtio_device_fini(&con->dev);
    free(con);
}

struct virtio_device *virtio_console_device(struct virtio_console *con)
{
    return &con->dev;
}

/* NULL: there is none. The first place has no name. */
static struct console_port *find_port(struct virtio_console *con, const char *name)
{
    for (unsigned i = 1; i < con->port_count; i++)
        if (con->ports[i].backend != NULL && strcmp(con->ports[i].name, name) == 0)
            return &con->ports[i];
    return NULL;
}

int virtio_console_resize_port(struct virtio_console *con, const char *name, uint16_t columns,
                               uint16_t rows)
{
    struct console_port *p = find_port(con, name);
    if (p == NULL || !p->is_console)
        return p == NULL ? -ENODEV : -ENOTTY;
    on_resize(p, columns, rows);
    return 0;
}

int virtio_console_add_port(struct virtio_console *con, const struct virtio_console_port *port)
{
    unsigned id = 1;
    if (find_port(con, port->name) != NULL)
        return -EEXIST;
    while (id < con->port_count && con->ports[id].backend != NULL)
        id++;
    if (id >= con->port_count)
        return -ENOSPC;
    unsigned news = con->ports[id].news; /* of the port that was there */
    open_port(con, id, port, false);
    con->ports[id].news = news;
    console_port_added(&con->ports[id]);
    return 0;
}

static void give_back(struct console_port *p, unsigned queue, struct vq_chain **chain)
{
    if (*chain != NULL && virtio_queue_answers(&p->con->dev.queues[queue]))
        virtio_queue_push(&p->con->dev, queue, *chain);
    *chain = NULL;
}

struct chr_backend *virtio_console_remove_port(struct virtio_console *con, const char *name)
{
    struct console_port *p = find_port(con, name);
    if (p == NULL)
        return NULL;
    struct chr_backend *backend = p->backend;
    ask_for_nothing(p);
    backend->handler = NULL;
    p->backend = NULL;
    p->name = NULL;
    p->tx_done = 0;
    give_back(p, rx_queue(p), &p->rx);
    give_back(p, tx_queue(p), &p->tx);
    virtio_queue_serve_later(&con->dev, tx_queue(p)); /* what waited behind it is dropped */
    console_port_removed(p);
    return backend;
}
