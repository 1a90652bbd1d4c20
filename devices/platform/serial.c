// SPDX-License-Identifier: BSD-2-Clause
/* Registers as in National Semiconductor's PC16550D data sheet, section 8. */
#include "devices/platform/serial.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "core/base/alloc.h"
#include "core/base/fail.h"
#include "core/base/log.h"
#include "core/base/xmath.h"
#include "core/loop/evloop.h"
#include "core/output/facts.h"
#include "core/ports/bus.h"
#include "core/ports/chr.h"

#define FIFO_BYTES 16u
#define TX_BYTES   4096u

enum reg {
    REG_DATA, /* receive and transmit; with DLAB: divisor, low byte */
    REG_IER,  /* with DLAB: divisor, high byte */
    REG_IIR,  /* read: interrupt identification; write: FIFO control */
    REG_LCR,
    REG_MCR,
    REG_LSR,
    REG_MSR,
    REG_SCR,
};

/* Interrupt enable bits; they also name the sources. */
#define IER_RX    0x01u
#define IER_TX    0x02u
#define IER_LINE  0x04u
#define IER_MODEM 0x08u
#define IER_MASK  0x0fu

#define IIR_MODEM      0x00u
#define IIR_NONE       0x01u
#define IIR_TX         0x02u
#define IIR_RX         0x04u
#define IIR_LINE       0x06u
#define IIR_RX_TIMEOUT 0x0cu
#define IIR_FIFOS      0xc0u

#define FCR_ENABLE   0x01u
#define FCR_CLEAR_RX 0x02u

#define LCR_DLAB 0x80u

#define MCR_DTR  0x01u
#define MCR_RTS  0x02u
#define MCR_OUT1 0x04u
#define MCR_OUT2 0x08u
#define MCR_LOOP 0x10u
#define MCR_MASK 0x1fu

#define LSR_DATA    0x01u
#define LSR_OVERRUN 0x02u
#define LSR_SENT    0x60u /* holding register and shift register are empty */

#define MSR_CTS_CHANGED 0x01u
#define MSR_DSR_CHANGED 0x02u
#define MSR_RI_ENDED    0x04u
#define MSR_DCD_CHANGED 0x08u
#define MSR_DELTAS      0x0fu
#define MSR_CTS         0x10u
#define MSR_DSR         0x20u
#define MSR_RI          0x40u
#define MSR_DCD         0x80u

/* What is left to do when the lock has been dropped. */
#define AFTER_PULSE 1u
#define AFTER_SEND  2u
#define AFTER_ROOM  4u

struct serial {
    struct bus *bus;
    struct bus_region region;
    struct irq_line irq;
    struct evloop *loop;
    struct chr_backend *chr;
    struct chr_handler handler;
    struct ev_post send_post, room_post;
    struct log_guest_count lost;

    pthread_mutex_t lock; /* vCPUs against the loop and each other: all below */
    unsigned after;
    uint8_t ier, lcr, mcr, msr, scr, overrun;
    uint8_t divisor[2];
    bool fifos;
    bool has_rts;     /* the driver has raised RTS: it may lower it, to have others wait */
    bool tx_pending;  /* the transmitter became ready; not yet told or answered */
    unsigned trigger; /* bytes at which the receiver interrupts */
    unsigned pulsed;  /* the sources that were on when the line was last looked at */
    uint8_t rx[FIFO_BYTES];
    unsigned rx_start, rx_count;
    unsigned rx_room; /* what the backend was last told */
    unsigned tx_start, tx_count;
    bool send_posted, room_posted;
    uint8_t tx[TX_BYTES]; /* the first that is not cleared */
};

/* ---- what it says of itself ---- */

void serial_describe(struct serial *s, struct facts *f)
{
    static const char *const enabled[] = {"RX", "TX", "LINE", "MODEM"};
    static const char *const modem[] = {"DTR", "RTS", "OUT1", "OUT2", "LOOP"};
    facts_group(f, "serial");
    pthread_mutex_lock(&s->lock);
    facts_bits(f, "interrupts_enabled", s->ier, enabled, ARRAY_SIZE(enabled));
    facts_bits(f, "modem_control", s->mcr, modem, ARRAY_SIZE(modem));
    facts_hex(f, "line_control", s->lcr);
    facts_number(f, "divisor", s->divisor[0] | s->divisor[1] << 8);
    facts_flag(f, "fifos", s->fifos);
    facts_number(f, "received_waiting", s->rx_count);
    facts_number(f, "sent_waiting", s->tx_count);
    pthread_mutex_unlock(&s->lock);
    facts_end(f);
}

/* ---- under the lock ---- */

static unsigned sources(const struct serial *s)
{
    unsigned on = 0;
    if (s->overrun)
        on |= IER_LINE;
    if (s->rx_count > 0)
        on |= IER_RX;
    if (s->tx_pending)
        on |= IER_TX;
    if (s->msr & MSR_DELTAS)
        on |= IER_MODEM;
    return on & s->ier;
}

/* `fresh` sources count as new even if they were on already. */
static void update_irq(struct serial *s, unsigned fresh)
{
    unsigned on = sources(s);
    if (on & (~s->pulsed | fresh))
        s->after |= AFTER_PULSE;
    s->pulsed = on;
}

static void post_send(struct serial *s)
{
    if (!s->send_posted)
        s->after |= AFTER_SEND;
    s->send_posted = true;
}

static void post_room(struct serial *s)
{
    if (!s->room_posted)
        s->after |= AFTER_ROOM;
    s->room_posted = true;
}

static unsigned rx_capacity(const struct serial *s)
{
    return s->fifos ? FIFO_BYTES : 1;
}

static void rx_push(struct serial *s, uint8_t byte)
{
    if (s->rx_count >= rx_capacity(s)) {
        s->overrun = LSR_OVERRUN;
        return;
    }
    s->rx[(s->rx_start + s->rx_count++) % FIFO_BYTES] = byte;
}

static uint8_t rx_pop(struct serial *s)
{
    if (s->rx_count == 0)
        return 0;
    uint8_t byte = s->rx[s->rx_start];
    s->rx_start = (s->rx_start + 1) % FIFO_BYTES;
    if (--s->rx_count == 0 && s->rx_room == 0)
        post_room(s);
    return byte;
}

static bool tx_ready(const struct serial *s)
{
    return TX_BYTES - s->tx_count >= FIFO_BYTES;
}

static void tx_push(struct serial *s, uint8_t byte)
{
    unsigned fresh = 0;
    s->tx_pending = false;
    if ((s->mcr & MCR_LOOP) || !s->chr) {
        if (s->mcr & MCR_LOOP)
            rx_push(s, byte);
        s->tx_pending = true;
        fresh = IER_TX;
    } else if (s->tx_count == TX_BYTES) {
        log_guest(&s->lost, "%s: guest sends although the transmitter is full", s->region.name);
    } else {
        s->tx[(s->tx_start + s->tx_count++) % TX_BYTES] = byte;
        post_send(s);
    }
    update_irq(s, fresh);
}

/* Whether bytes from outside have to wait: none are received in loopback either. */
static bool rx_is_held(const struct serial *s)
{
    return (s->mcr & MCR_LOOP) || (s->has_rts && !(s->mcr & MCR_RTS));
}

/* The modem's lines, or in loopback the port's own. */
static unsigned modem_lines(const struct serial *s)
{
    if (!(s->mcr & MCR_LOOP))
        return MSR_CTS | MSR_DSR | MSR_DCD;
    return (s->mcr & MCR_RTS ? MSR_CTS : 0) | (s->mcr & MCR_DTR ? MSR_DSR : 0) |
           (s->mcr & MCR_OUT1 ? MSR_RI : 0) | (s->mcr & MCR_OUT2 ? MSR_DCD : 0);
}

static void write_mcr(struct serial *s, uint8_t value)
{
    bool was_held = rx_is_held(s);
    s->mcr = value & MCR_MASK;
    s->has_rts |= (value & (MCR_LOOP | MCR_RTS)) == MCR_RTS;
    unsigned lines = modem_lines(s);
    unsigned changed = s->msr ^ lines;
    unsigned deltas = s->msr & MSR_DELTAS;
    deltas |= changed & MSR_CTS ? MSR_CTS_CHANGED : 0;
    deltas |= changed & MSR_DSR ? MSR_DSR_CHANGED : 0;
    deltas |= changed & s->msr & MSR_RI ? MSR_RI_ENDED : 0;
    deltas |= changed & MSR_DCD ? MSR_DCD_CHANGED : 0;
    s->msr = (uint8_t)(lines | deltas);
    if (rx_is_held(s) != was_held)
        post_room(s);
    update_irq(s, 0);
}

static void write_fcr(struct serial *s, uint8_t value)
{
    static const uint8_t triggers[] = {1, 4, 8, 14};
    bool fifos = value & FCR_ENABLE;
    if (fifos != s->fifos || (fifos && (value & FCR_CLEAR_RX))) {
        s->rx_count = 0;
        post_room(s);
    }
    s->fifos = fifos;
    s->trigger = fifos ? triggers[value >> 6] : 1;
    update_irq(s, 0);
}

static void write_ier(struct serial *s, uint8_t value)
{
    if (!(s->ier & IER_TX) && (value & IER_TX) && tx_ready(s))
        s->tx_pending = true;
    s->ier = value & IER_MASK;
    update_irq(s, s->ier);
}

/* The highest priority first (data sheet, table III). Below the trigger: the timeout is over. */
static uint8_t read_iir(struct serial *s)
{
    unsigned on = sources(s);
    unsigned id = IIR_NONE;
    if (on & IER_LINE) {
        id = IIR_LINE;
    } else if (on & IER_RX) {
        id = s->rx_count >= s->trigger ? IIR_RX : IIR_RX_TIMEOUT;
    } else if (on & IER_TX) {
        id = IIR_TX;
        s->tx_pending = false;
        update_irq(s, IER_MODEM);
    } else if (on & IER_MODEM) {
        id = IIR_MODEM;
    }
    return (uint8_t)(id | (s->fifos ? IIR_FIFOS : 0));
}

static uint8_t read_lsr(struct serial *s)
{
    unsigned value = s->overrun | (s->rx_count > 0 ? LSR_DATA : 0) | (tx_ready(s) ? LSR_SENT : 0);
    s->overrun = 0;
    update_irq(s, 0);
    return (uint8_t)value;
}

static uint8_t read_msr(struct serial *s)
{
    uint8_t value = s->msr;
    s->msr &= (uint8_t)~MSR_DELTAS;
    update_irq(s, 0);
    return value;
}

static uint8_t read_data(struct serial *s)
{
    uint8_t byte = rx_pop(s);
    update_irq(s, 0);
    return byte;
}

static uint8_t read_locked(struct serial *s, enum reg reg)
{
    if ((s->lcr & LCR_DLAB) && reg <= REG_IER)
        return s->divisor[reg];
    switch (reg) {
    case REG_DATA:
        return read_data(s);
    case REG_IER:
        return s->ier;
    case REG_IIR:
        return read_iir(s);
    case REG_LCR:
        return s->lcr;
    case REG_MCR:
        return s->mcr;
    case REG_LSR:
        return read_lsr(s);
    case REG_MSR:
        return read_msr(s);
    case REG_SCR:
        return s->scr;
    }
    return 0xff;
}

static void write_locked(struct serial *s, enum reg reg, uint8_t value)
{
    if ((s->lcr & LCR_DLAB) && reg <= REG_IER) {
        s->divisor[reg] = value;
        return;
    }
    switch (reg) {
    case REG_DATA:
        tx_push(s, value);
        break;
    case REG_IER:
        write_ier(s, value);
        break;
    case REG_IIR:
        write_fcr(s, value);
        break;
    case REG_LCR:
        s->lcr = value;
        break;
    case REG_MCR:
        write_mcr(s, value);
        break;
    case REG_LSR: /* read-only */
    case REG_MSR:
        break;
    case REG_SCR:
        s->scr = value;
        break;
    }
}

/* ---- the two sides ---- */

static void unlock(struct serial *s)
{
    unsigned after = s->after;
    s->after = 0;
    pthread_mutex_unlock(&s->lock);
    if (after & AFTER_PULSE)
        irq_pulse(&s->irq);
    if (after & AFTER_SEND)
        evloop_post(s->loop, &s->send_post);
    if (after & AFTER_ROOM)
        evloop_post(s->loop, &s->room_post);
}

static uint64_t serial_read(void *dev, uint64_t offset, unsigned width)
{
    struct serial *s = dev;
    (void)width;
    pthread_mutex_lock(&s->lock);
    uint8_t value = read_locked(s, (enum reg)offset);
    unlock(s);
    return value;
}

static void serial_write(void *dev, uint64_t offset, unsigned width, uint64_t value)
{
    struct serial *s = dev;
    (void)width;
    pthread_mutex_lock(&s->lock);
    write_locked(s, (enum reg)offset, (uint8_t)value);
    unlock(s);
}

static const struct bus_ops serial_ops = {.read = serial_read, .write = serial_write};

/*
 * On the loop: hands over what is in the ring now; what comes meanwhile has posted again. Only
 * this function takes from the ring, so what it looks at stays in place without the lock.
 */
static void send_ring(void *ctx)
{
    struct serial *s = ctx;
    pthread_mutex_lock(&s->lock);
    s->send_posted = false;
    unsigned left = s->tx_count;
    bool any = left > 0;
    while (left > 0) {
        unsigned start = s->tx_start;
        unsigned len = (unsigned)min_u64(left, TX_BYTES - start);
        pthread_mutex_unlock(&s->lock);
        unsigned taken = (unsigned)s->chr->ops->write(s->chr, s->tx + start, len);
        pthread_mutex_lock(&s->lock);
        s->tx_start = (start + taken) % TX_BYTES;
        s->tx_count -= taken;
        left -= taken;
        if (taken < len)
            break; /* on_writable() follows */
    }
    if (any && tx_ready(s)) {
        s->tx_pending = true;
        update_irq(s, IER_TX);
    }
    unlock(s);
}

/* On the loop: tells the backend how many bytes fit. */
static void tell_room(void *ctx)
{
    struct serial *s = ctx;
    pthread_mutex_lock(&s->lock);
    s->room_posted = false;
    s->rx_room = rx_is_held(s) ? 0 : rx_capacity(s) - s->rx_count;
    unsigned room = s->rx_room;
    unlock(s);
    if (s->chr)
        s->chr->ops->rx_enable(s->chr, room);
}

static void on_rx(void *ctx, const uint8_t *data, size_t len)
{
    struct serial *s = ctx;
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < len; i++)
        rx_push(s, data[i]);
    update_irq(s, IER_RX);
    unlock(s);
    tell_room(s);
}

/* ---- life ---- */

int serial_create(struct serial **out, const struct serial_config *config)
{
    struct serial *s = ALLOC_BEFORE(struct serial, tx);
    if (!s)
        return fail(-ENOMEM, "serial port");
    pthread_mutex_init(&s->lock, NULL);
    s->bus = config->bus;
    s->irq = config->irq;
    s->loop = config->loop;
    s->send_post = (struct ev_post){.cb = send_ring, .ctx = s};
    s->room_post = (struct ev_post){.cb = tell_room, .ctx = s};
    s->handler = (struct chr_handler){.on_rx = on_rx, .on_writable = send_ring, .ctx = s};
    s->divisor[0] = 1;
    s->trigger = 1;
    s->msr = (uint8_t)modem_lines(s);
    s->region = (struct bus_region){
        .name = "serial",
        .base = config->base,
        .size = SERIAL_REGISTERS,
        .widths = BUS_W1,
        .ops = &serial_ops,
        .dev = s,
    };
    int err = bus_add(s->bus, &s->region);
    if (err < 0) {
        serial_destroy(s);
        return fail(err, "serial port at 0x%llx", (unsigned long long)config->base);
    }
    s->chr = config->chr;
    if (s->chr)
        s->chr->handler = &s->handler;
    tell_room(s);
    *out = s;
    return 0;
}

void serial_flush(struct serial *s)
{
    unsigned before;
    if (!s->chr)
        return;
    do {
        before = s->tx_count;
        send_ring(s);
        s->chr->ops->flush(s->chr);
    } while (s->tx_count < before);
}

void serial_destroy(struct serial *s)
{
    if (!s)
        return;
    bus_remove(s->bus, &s->region); /* -ENOENT if create failed, which is as well */
    evloop_drain(s->loop);          /* posts that it still has would use a freed device */
    serial_flush(s);
    if (s->chr) {
        s->chr->ops->rx_enable(s->chr, 0);
        s->chr->handler = NULL;
    }
    pthread_mutex_destroy(&s->lock);
    free(s);
}
