// SPDX-License-Identifier: BSD-2-Clause
/*
 * Writes much to the console, then gives back what it reads, for tools/bench console. On the
 * kernel's command line: virtio=0|1 for the serial port or a virtio console; bytes=N to write at
 * once, chunks=N how often, each time after a key. It polls. Its lines are on the console, too:
 * "con: start", and "con: end" with the ticks of the time stamp counter that the writing took.
 */
#include "driver/load.h"
#include "driver/ring.h"
#include "driver/transport.h"
#include "rt.h"
#include "virtio/spec.h"

#define BUFFER_BYTES 4096u
#define IN_SLOTS     4u
#define RING_SIZE    8u

/* The 16550A's registers and bits. */
#define UART_FCR  2
#define UART_LSR  5
#define LSR_READY 0x01 /* to be read */
#define LSR_EMPTY 0x20 /* to be written */
#define FIFO      16u

enum { RECEIVEQ, TRANSMITQ };

static uint64_t virtio, bytes = 1 << 20, chunks = 1;
static uint64_t device_gpa;
static struct ring_memory memories[2];
static struct ring rings[2];
static uint8_t out[BUFFER_BYTES], in[IN_SLOTS][BUFFER_BYTES];

/* ---- the virtio console (VIRTIO 1.4 5.3) ---- */

static void post_buffer(unsigned slot)
{
    ring_add(&rings[RECEIVEQ], slot);
    if (ring_publish(&rings[RECEIVEQ]))
        transport_kick(device_gpa, RECEIVEQ);
}

static void open_device(void)
{
    device_gpa = transport_find(VIRTIO_ID_CONSOLE);
    CHECK(device_gpa != 0);
    uint64_t features = transport_negotiate(device_gpa, VIRTIO_BIT(VIRTIO_F_VERSION_1));
    for (unsigned q = 0; q < 2; q++) {
        ring_init(&rings[q], &memories[q], RING_SIZE, 1, features);
        transport_queue(device_gpa, q, &rings[q]);
    }
    transport_start(device_gpa);
    for (unsigned slot = 0; slot < IN_SLOTS; slot++) {
        ring_describe(&rings[RECEIVEQ], slot, &(struct ring_part){in[slot], BUFFER_BYTES, true});
        post_buffer(slot);
    }
}

static void put_virtio(const uint8_t *data, uint32_t len)
{
    ring_describe(&rings[TRANSMITQ], 0, &(struct ring_part){data, len, false});
    ring_add(&rings[TRANSMITQ], 0);
    if (ring_publish(&rings[TRANSMITQ]))
        transport_kick(device_gpa, TRANSMITQ);
    while (ring_take(&rings[TRANSMITQ], NULL) < 0)
        pause();
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

static void put(const void *data, uint32_t len)
{
    (virtio ? put_virtio : put_serial)(data, len);
}

static uint8_t await_key(void)
{
    int slot;
    uint8_t key;
    if (!virtio) {
        while (!(serial_in(UART_LSR) & LSR_READY))
            pause();
        return serial_in(0);
    }
    while ((slot = ring_take(&rings[RECEIVEQ], NULL)) < 0)
        pause();
    key = in[slot][0]; /* keys come one by one */
    post_buffer((unsigned)slot);
    return key;
}

/* Returns the ticks that it took. */
static uint64_t put_chunk(void)
{
    uint64_t begin = rt_ticks();
    for (uint64_t done = 0; done < bytes; done += BUFFER_BYTES)
        put(out, BUFFER_BYTES);
    return rt_ticks() - begin;
}

static void put_number(uint64_t n)
{
    char text[20];
    uint32_t at = sizeof(text);
    do {
        text[--at] = (char)('0' + n % 10);
        n /= 10;
    } while (n > 0);
    put(text + at, sizeof(text) - at);
}

int main(void)
{
    const struct load_order words[] = {{"virtio", &virtio}, {"bytes", &bytes}, {"chunks", &chunks}};
    rt_irq_init();
    load_take_orders(words, sizeof(words) / sizeof(words[0]));
    serial_out(UART_FCR, 1);
    if (virtio)
        open_device();
    for (unsigned i = 0; i < BUFFER_BYTES; i++)
        out[i] = '.';
    put("con: start\n", 11);
    uint64_t ticks = 0;
    for (uint64_t i = 0; i < chunks; i++) {
        await_key();
        ticks += put_chunk();
    }
    put("con: end ticks=", 15);
    put_number(ticks);
    put("\n", 1);
    for (;;)
        put((uint8_t[]){await_key()}, 1);
}
