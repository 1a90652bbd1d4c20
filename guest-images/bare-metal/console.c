// SPDX-License-Identifier: BSD-2-Clause
/*
 * Writes much to a console and reads much from it, then gives back what it reads, for tools/bench
 * console. On the kernel's command line: virtio=0|1 for the serial port or a virtio console with
 * two ports, and test=0|1 which of them is measured. bytes=N to write at once, chunks=N how often,
 * each time after a key; in=N to read at once, as often, each time answered by a dot. It polls, and
 * asks for no more input than it says. Keys, dots and its lines are the other port's: "con: start",
 * "con: end" and "con: read" with the ticks of the time stamp counter that writing and reading
 * took.
 * A console without ports has its keys and lines where it is measured.
 */
#include "driver/load.h"
#include "driver/ring.h"
#include "driver/transport.h"
#include "rt.h"
#include "virtio/spec.h"

#define BUFFER_BYTES 4096u
#define IN_SLOTS     16u
#define RING_SIZE    32u
#define PORTS        2u
#define QUEUES       (2 * PORTS + 2)

/* The 16550A's registers and bits. */
#define UART_FCR  2
#define UART_LSR  5
#define LSR_READY 0x01 /* to be read */
#define LSR_EMPTY 0x20 /* to be written */
#define FIFO      16u

enum { RX, TX, CONTROL_RX, CONTROL_TX };

static uint64_t virtio, test, bytes = 1 << 20, chunks = 1, in_bytes;
static uint64_t device_gpa;
static bool has_ports;
static struct ring_memory memories[QUEUES];
static struct ring rings[QUEUES];
static uint8_t out[BUFFER_BYTES], in[QUEUES][IN_SLOTS][BUFFER_BYTES];
static uint32_t asked[QUEUES]; /* slots that the device has, by bit */

/* ---- the virtio console (VIRTIO 1.4 5.3) ---- */

static unsigned queue_of(unsigned port, unsigned direction)
{
    return (port == 0 ? 0 : 2 * port + 2) + direction;
}

static void publish(unsigned queue, unsigned slot)
{
    ring_add(&rings[queue], slot);
    if (ring_publish(&rings[queue]))
        transport_kick(device_gpa, queue);
}

/* Has the device have buffers for that much. */
static void ask(unsigned queue, uint64_t want)
{
    uint64_t has = 0;
    for (unsigned slot = 0; slot < IN_SLOTS; slot++)
        has += asked[queue] >> slot & 1 ? BUFFER_BYTES : 0;
    for (unsigned slot = 0; slot < IN_SLOTS && has < want; slot++) {
        if (asked[queue] >> slot & 1)
            continue;
        asked[queue] |= 1u << slot;
        has += BUFFER_BYTES;
        ring_describe(&rings[queue], slot,
                      &(struct ring_part){in[queue][slot], BUFFER_BYTES, true});
        publish(queue, slot);
    }
}

/* Returns the buffer that was filled. */
static const uint8_t *receive(unsigned queue, uint64_t want, uint32_t *len)
{
    int slot;
    ask(queue, want);
    while ((slot = ring_take(&rings[queue], len)) < 0)
        pause();
    asked[queue] &= ~(1u << slot);
    return in[queue][slot];
}

static void send(unsigned queue, const void *data, uint32_t len)
{
    ring_describe(&rings[queue], 0, &(struct ring_part){data, len, false});
    publish(queue, 0);
    while (ring_take(&rings[queue], NULL) < 0)
        pause();
}

static void say(uint32_t port, uint16_t event)
{
    struct {
        uint32_t port;
        uint16_t event, value;
    } message = {port, event, 1};
    send(CONTROL_TX, &message, sizeof(message));
}

/* Until that was said of the port. */
static void hear(uint32_t port, uint16_t event)
{
    const uint8_t *m;
    uint32_t len;
    do
        m = receive(CONTROL_RX, IN_SLOTS * BUFFER_BYTES, &len);
    while (m[0] != port || m[4] != event || m[6] != 1);
}

/* The second one may be a process's that has yet to come. */
static void open_ports(void)
{
    ask(CONTROL_RX, IN_SLOTS * BUFFER_BYTES);
    say(0, VIRTIO_CONSOLE_DEVICE_READY);
    for (uint32_t port = 0; port < PORTS; port++)
        hear(port, VIRTIO_CONSOLE_DEVICE_ADD);
    for (uint32_t port = 0; port < PORTS; port++) {
        say(port, VIRTIO_CONSOLE_PORT_READY);
        hear(port, VIRTIO_CONSOLE_PORT_OPEN);
        say(port, VIRTIO_CONSOLE_PORT_OPEN);
    }
}

static void open_device(void)
{
    device_gpa = transport_find(VIRTIO_ID_CONSOLE);
    CHECK(device_gpa != 0);
    uint64_t features = transport_negotiate(device_gpa, VIRTIO_BIT(VIRTIO_F_VERSION_1) |
                                                            VIRTIO_BIT(VIRTIO_CONSOLE_F_MULTIPORT));
    has_ports = (features & VIRTIO_BIT(VIRTIO_CONSOLE_F_MULTIPORT)) != 0;
    for (unsigned q = 0; q < (has_ports ? QUEUES : CONTROL_RX); q++) {
        ring_init(&rings[q], &memories[q], RING_SIZE, 1, features);
        transport_queue(device_gpa, q, &rings[q]);
    }
    transport_start(device_gpa);
    if (has_ports)
        open_ports();
}

/* ---- the serial port: a FIFO's bytes, as drivers do ---- */

static void put_serial(const uint8_t *data, uint32_t len)
{
    for (uint32_t i = 0; i < len; i++) {
        while (i % FIFO == 0 && !(serial_in(UART_LSR) & LSR_EMPTY))
            pause();
        serial_out(0, data[i]);
    }
}

/* ---- either ---- */

static void put(unsigned port, const void *data, uint32_t len)
{
    if (virtio)
        send(queue_of(port, TX), data, len);
    else
        put_serial(data, len);
}

/* How many of so many bytes came at once, and their first. */
static uint32_t get(unsigned port, uint64_t want, uint8_t *first)
{
    uint32_t len = 1;
    if (virtio) {
        *first = receive(queue_of(port, RX), want, &len)[0];
        return len;
    }
    while (!(serial_in(UART_LSR) & LSR_READY))
        pause();
    *first = serial_in(0);
    return len;
}

/* Keys come one by one. */
static uint8_t await_key(unsigned port)
{
    uint8_t key;
    get(port, 1, &key);
    return key;
}

/* Both return the ticks that it took. */
static uint64_t put_chunk(void)
{
    uint32_t most = bytes < BUFFER_BYTES ? (uint32_t)bytes : BUFFER_BYTES;
    uint64_t begin = rt_ticks();
    for (uint64_t done = 0; done < bytes; done += most)
        put((unsigned)test, out, most);
    return rt_ticks() - begin;
}

static uint64_t get_chunk(void)
{
    uint8_t first;
    uint64_t begin = rt_ticks();
    for (uint64_t done = 0; done < in_bytes;)
        done += get((unsigned)test, in_bytes - done, &first);
    return rt_ticks() - begin;
}

static void tell(unsigned port, const char *what, uint64_t ticks)
{
    char text[40];
    uint32_t at = sizeof(text), len;
    text[--at] = '\n';
    do {
        text[--at] = (char)('0' + ticks % 10);
        ticks /= 10;
    } while (ticks > 0);
    for (len = 0; what[len] != '\0'; len++)
        ;
    while (len > 0)
        text[--at] = what[--len];
    put(port, text + at, (uint32_t)sizeof(text) - at);
}

int main(void)
{
    const struct load_order words[] = {
        {"virtio", &virtio}, {"test", &test},   {"bytes", &bytes},
        {"chunks", &chunks}, {"in", &in_bytes},
    };
    rt_irq_init();
    load_take_orders(words, sizeof(words) / sizeof(words[0]));
    serial_out(UART_FCR, 1);
    if (virtio)
        open_device();
    unsigned orders = has_ports ? 1 - (unsigned)test : 0;
    for (unsigned i = 0; i < BUFFER_BYTES; i++)
        out[i] = '.';
    put(orders, "con: start\n", 11);
    uint64_t ticks = 0;
    for (uint64_t i = 0; i < chunks; i++) {
        await_key(orders);
        ticks += put_chunk();
    }
    tell(orders, "con: end ticks=", ticks);
    ticks = 0;
    for (uint64_t i = 0; in_bytes > 0 && i < chunks; i++) {
        await_key(orders);
        ticks += get_chunk();
        put(orders, ".", 1);
    }
    if (in_bytes > 0)
        tell(orders, "con: read ticks=", ticks);
    for (;;)
        put((unsigned)test, (uint8_t[]){await_key((unsigned)test)}, 1);
}
