// SPDX-License-Identifier: BSD-2-Clause
#include "devices/platform/serial.h"

#include "core/ports/chr.h"
#include "tests/harness/test.h"

#define PORT 0x3f8

enum { RBR = 0, THR = 0, DLL = 0, DLM = 1, IER = 1, IIR = 2, FCR = 2, LCR = 3 };
enum { MCR = 4, LSR = 5, MSR = 6, SCR = 7 };

static struct bus *pio;
static struct evloop *loop;
static struct serial *serial;
static _Atomic int edges;

/* The outside: takes up to `takes` bytes and remembers them. */
static struct {
    struct chr_backend b;
    char text[65536];
    size_t len;
    size_t takes;
    size_t rx_max;
    int flushes;
} outside;

static size_t outside_write(struct chr_backend *b, const uint8_t *data, size_t len)
{
    (void)b;
    size_t n = min_u64(min_u64(len, outside.takes), sizeof(outside.text) - outside.len);
    memcpy(outside.text + outside.len, data, n);
    outside.len += n;
    outside.takes -= n;
    return n;
}

static void outside_rx_enable(struct chr_backend *b, size_t max)
{
    (void)b;
    outside.rx_max = max;
}

static void outside_flush(struct chr_backend *b)
{
    (void)b;
    outside.flushes++;
}

static const struct chr_backend_ops outside_ops = {
    .write = outside_write,
    .rx_enable = outside_rx_enable,
    .flush = outside_flush,
};

static void irq_fake(void *ctx, unsigned irq, bool level)
{
    (void)ctx;
    cr_assert_eq((int)irq, 4);
    if (level)
        edges++;
}

static void make(struct chr_backend *chr)
{
    cr_assert_eq(bus_create(&pio, "pio", 65536), 0);
    cr_assert_eq(evloop_create(&loop, "test", &clock_host), 0);
    outside.b.ops = &outside_ops;
    outside.takes = SIZE_MAX;
    struct serial_config config = {
        .bus = pio,
        .base = PORT,
        .irq = {.set = irq_fake, .irq = 4, .eventfd = -1},
        .loop = loop,
        .chr = chr,
    };
    cr_assert_eq(serial_create(&serial, &config), 0);
}

static void setup(void)
{
    make(&outside.b);
}

static void teardown(void)
{
    serial_destroy(serial);
    evloop_destroy(loop);
    bus_destroy(pio);
}

TestSuite(serial, .init = setup, .fini = teardown);

static int in(unsigned reg)
{
    uint64_t value = 0;
    cr_assert(bus_read(pio, PORT + reg, 1, &value));
    return (int)value;
}

static void out(unsigned reg, unsigned value)
{
    cr_assert(bus_write(pio, PORT + reg, 1, value));
}

static int take_edges(void)
{
    return atomic_exchange(&edges, 0);
}

static void type(const char *text)
{
    cr_assert_leq(strlen(text), outside.rx_max);
    outside.b.handler->on_rx(outside.b.handler->ctx, (const uint8_t *)text, strlen(text));
}

static void expect_outside(const char *text)
{
    cr_expect_eq(outside.len, strlen(text));
    cr_expect_eq(memcmp(outside.text, text, outside.len), 0);
}

/* ---- sending ---- */

Test(serial, what_is_sent_comes_out)
{
    for (const char *c = "Hello\r\n"; *c; c++) {
        cr_expect_eq(in(LSR), 0x60);
        out(THR, (unsigned char)*c);
    }
    expect_outside("");
    evloop_drain(loop);
    expect_outside("Hello\r\n");
    cr_expect_eq(take_edges(), 0);
}

Test(serial, the_transmitter_interrupts_when_it_is_enabled_and_when_it_has_sent)
{
    out(IER, 0x02);
    cr_expect_eq(take_edges(), 1);
    cr_expect_eq(in(IIR), 0x02);
    cr_expect_eq(in(IIR), 0x01); /* reading it is the acknowledgement */

    out(THR, 'a');
    out(THR, 'b');
    cr_expect_eq(in(IIR), 0x01);
    cr_expect_eq(take_edges(), 0);
    evloop_drain(loop);
    cr_expect_eq(take_edges(), 1); /* one for the batch */
    cr_expect_eq(in(IIR), 0x02);

    /* Enabled again without being disabled: nothing new. From disabled: asserted again. */
    out(IER, 0x02);
    cr_expect_eq(in(IIR), 0x01);
    out(IER, 0x00);
    out(IER, 0x02);
    cr_expect_eq(take_edges(), 1);
    cr_expect_eq(in(IIR), 0x02);
}

Test(serial, a_stalled_outside_fills_the_transmitter_and_stops_nobody)
{
    outside.takes = 0;
    out(FCR, 0x01);
    out(IER, 0x02);
    unsigned sent = 0;
    while (in(LSR)&0x20) {
        out(THR, 'x');
        if (++sent % 100 == 0)
            evloop_drain(loop);
        cr_assert_lt((int)sent, 10000);
    }
    cr_expect_gt((int)sent, 4000);
    evloop_drain(loop);
    for (int i = 0; i < 10000; i++) {
        out(THR, 'y');
        sent += sent < 4096;
    }
    evloop_drain(loop);
    take_edges();
    in(IIR);
    cr_expect_eq(in(IIR), 0xc1);

    outside.takes = SIZE_MAX;
    outside.b.handler->on_writable(outside.b.handler->ctx);
    cr_expect_eq((int)outside.len, (int)sent);
    cr_expect_eq(take_edges(), 1);
    cr_expect_eq(in(IIR), 0xc2);
    cr_expect_eq(in(LSR), 0x60);
}

Test(serial, the_ring_goes_round)
{
    unsigned n = 0;
    for (int round = 0; round < 20; round++) {
        for (unsigned i = 0; i < 1500; i++)
            out(THR, n++ & 0xff);
        evloop_drain(loop);
    }
    cr_assert_eq((int)outside.len, 30000);
    for (n = 0; n < 30000; n++)
        cr_assert_eq((uint8_t)outside.text[n], (int)(n & 0xff));
}

Test(serial, flush_hands_over_what_waits)
{
    out(THR, 'z');
    serial_flush(serial);
    expect_outside("z");
    cr_expect_gt(outside.flushes, 0);
    outside.takes = 0;
    out(THR, 'z');
    serial_flush(serial); /* ends although nobody takes it */
}

Test(serial, destroy_with_a_post_on_its_way)
{
    out(THR, 'z');
    serial_destroy(serial);
    serial = NULL;
    expect_outside("z");
    cr_expect_null(outside.b.handler);
}

/* ---- receiving ---- */

Test(serial, a_byte_is_received_without_fifos)
{
    cr_expect_eq(outside.rx_max, 1);
    out(IER, 0x01);
    type("a");
    cr_expect_eq(outside.rx_max, 0);
    cr_expect_eq(take_edges(), 1);
    cr_expect_eq(in(IIR), 0x04);
    cr_expect_eq(in(LSR), 0x61);
    cr_expect_eq(in(RBR), 'a');
    cr_expect_eq(in(LSR), 0x60);
    cr_expect_eq(in(IIR), 0x01);
    cr_expect_eq(outside.rx_max, 0);
    evloop_drain(loop);
    cr_expect_eq(outside.rx_max, 1);
}

Test(serial, fifo_trigger_levels)
{
    static const struct {
        unsigned fcr;
        int level;
    } cases[] = {{0x01, 1}, {0x41, 4}, {0x81, 8}, {0xc1, 14}};
    out(IER, 0x01);
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        out(FCR, cases[i].fcr | 0x02);
        evloop_drain(loop);
        for (int n = 1; n <= 16; n++) {
            type("q");
            cr_expect_eq(in(IIR), n < cases[i].level ? 0xcc : 0xc4);
        }
        cr_expect_eq(outside.rx_max, 0);
        cr_expect_gt(take_edges(), 0);
    }
}

Test(serial, room_is_told_once_the_fifo_is_empty)
{
    out(FCR, 0x01);
    evloop_drain(loop);
    cr_expect_eq(outside.rx_max, 16);
    type("0123456789abcdef");
    cr_expect_eq(outside.rx_max, 0);
    for (int i = 0; i < 16; i++)
        cr_expect_eq(in(RBR), "0123456789abcdef"[i]);
    cr_expect_eq(in(RBR), 0);
    evloop_drain(loop);
    cr_expect_eq(outside.rx_max, 16);
}

Test(serial, every_batch_brings_an_edge)
{
    out(FCR, 0x01);
    out(IER, 0x01);
    evloop_drain(loop);
    take_edges(); /* the guest had the line masked, say */
    type("a");
    cr_expect_eq(take_edges(), 1);
    type("b");
    cr_expect_eq(take_edges(), 1);
    out(IER, 0x01);
    cr_expect_eq(take_edges(), 1);
}

Test(serial, clearing_the_fifo_makes_room)
{
    out(FCR, 0x01);
    evloop_drain(loop);
    type("0123456789abcdef");
    out(FCR, 0x03);
    cr_expect_eq(in(LSR)&0x01, 0);
    evloop_drain(loop);
    cr_expect_eq(outside.rx_max, 16);
}

/* ---- loopback, modem, line ---- */

Test(serial, loopback_brings_bytes_back)
{
    out(MCR, 0x10);
    evloop_drain(loop);
    cr_expect_eq(outside.rx_max, 0);
    out(IER, 0x01);
    out(THR, 0x5a);
    cr_expect_eq(take_edges(), 1);
    cr_expect_eq(in(RBR), 0x5a);
    out(MCR, 0x00);
    evloop_drain(loop);
    expect_outside("");
    cr_expect_eq(outside.rx_max, 1);
}

/* A driver that has never raised RTS does without it. */
Test(serial, input_waits_while_rts_is_lowered)
{
    out(FCR, 0x01);
    out(MCR, 0x00);
    evloop_drain(loop);
    cr_expect_eq(outside.rx_max, 16);
    out(MCR, 0x03);
    out(MCR, 0x01);
    evloop_drain(loop);
    cr_expect_eq(outside.rx_max, 0);
    out(MCR, 0x13); /* loopback */
    out(MCR, 0x01);
    evloop_drain(loop);
    cr_expect_eq(outside.rx_max, 0);
    out(MCR, 0x03);
    evloop_drain(loop);
    cr_expect_eq(outside.rx_max, 16);
}

Test(serial, loopback_connects_the_modem_lines)
{
    cr_expect_eq(in(MSR), 0xb0);
    out(MCR, 0x1a);
    cr_expect_eq(in(MSR)&0xf0, 0x90);
    static const struct {
        unsigned mcr;
        int msr;
    } cases[] = {{0x10, 0x00}, {0x11, 0x20}, {0x12, 0x10}, {0x14, 0x40}, {0x18, 0x80}};
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        out(MCR, cases[i].mcr);
        cr_expect_eq(in(MSR)&0xf0, cases[i].msr);
        cr_expect_eq(in(MSR)&0x0f, 0);
    }
    out(MCR, 0xff);
    cr_expect_eq(in(MCR), 0x1f);
}

Test(serial, modem_changes_interrupt_until_they_are_read)
{
    out(MCR, 0x10);
    in(MSR);
    out(IER, 0x08);
    cr_expect_eq(take_edges(), 0);
    out(MCR, 0x14); /* ring: only its end counts */
    cr_expect_eq(in(IIR), 0x01);
    out(MCR, 0x12);
    cr_expect_eq(take_edges(), 1);
    cr_expect_eq(in(IIR), 0x00);
    cr_expect_eq(in(MSR), 0x15);
    cr_expect_eq(in(IIR), 0x01);
}

Test(serial, overrun_is_a_line_error_and_interrupts_first)
{
    out(MCR, 0x10);
    in(MSR);
    out(IER, 0x0f);
    out(THR, 'a');
    out(THR, 'b');
    cr_expect_eq(in(IIR), 0x06);
    cr_expect_eq(in(LSR), 0x63);
    cr_expect_eq(in(LSR), 0x61);
    cr_expect_eq(in(IIR), 0x04);
    cr_expect_eq(in(RBR), 'a');
    cr_expect_eq(in(IIR), 0x02);
    cr_expect_eq(in(IIR), 0x01);
}

Test(serial, what_is_still_pending_brings_another_edge)
{
    out(MCR, 0x10);
    out(IER, 0x0a);
    cr_expect_eq(take_edges(), 1);
    cr_expect_eq(in(IIR), 0x02);
    cr_expect_eq(take_edges(), 1);
    cr_expect_eq(in(IIR), 0x00);
}

/* ---- registers ---- */

Test(serial, plain_registers)
{
    out(SCR, 0xa5);
    cr_expect_eq(in(SCR), 0xa5);
    out(IER, 0xff);
    cr_expect_eq(in(IER), 0x0f);
    out(IER, 0x00);
    out(LCR, 0x83);
    out(DLL, 0x34);
    out(DLM, 0x12);
    cr_expect_eq(in(DLL), 0x34);
    cr_expect_eq(in(DLM), 0x12);
    cr_expect_eq(in(LCR), 0x83);
    out(LCR, 0x03);
    cr_expect_eq(in(IER), 0);
    out(LSR, 0xff);
    out(MSR, 0xff);
    cr_expect_eq(in(LSR), 0x60);
    cr_expect_eq(in(MSR), 0xb0);
    evloop_drain(loop);
    expect_outside("");
}

/* The steps by which Linux's 8250 driver tells its many kinds of port apart. */
Test(serial, linux_finds_a_16550a)
{
    out(IER, 0x00);
    cr_expect_eq(in(IER)&0x0f, 0);
    out(IER, 0x0f);
    cr_expect_eq(in(IER)&0x0f, 0x0f);
    out(IER, 0x00);
    out(MCR, 0x1a);
    cr_expect_eq(in(MSR)&0xf0, 0x90);
    out(MCR, 0x00);
    out(LCR, 0xbf); /* no enhanced feature register... */
    out(FCR, 0x00);
    out(LCR, 0x00);
    out(FCR, 0x01);
    cr_expect_eq(in(IIR) >> 6, 3); /* ...but FIFOs that work */
    out(LCR, 0x80);
    cr_expect_neq(in(2), 0); /* no 16650 */
    out(LCR, 0xbf);
    cr_expect_neq(in(2), 0);
    out(LCR, 0x00);
    out(FCR, 0x21);
    cr_expect_eq(in(IIR) >> 5, 6); /* no 16750 */
    out(LCR, 0x80);
    out(FCR, 0x21);
    cr_expect_eq(in(IIR) >> 5, 6);
    out(LCR, 0x00);
    out(IER, 0x40); /* no XScale */
    cr_expect_eq(in(IER), 0);
}

Test(serial, only_bytes_are_taken)
{
    uint64_t value = 0;
    cr_expect_not(bus_write(pio, PORT, 2, 0x4141));
    cr_expect_not(bus_read(pio, PORT + 4, 4, &value));
    evloop_drain(loop);
    expect_outside("");
}

/* ---- hostile ---- */

Test(serial, random_accesses_harm_nothing)
{
    srand(2);
    for (int i = 0; i < 200000; i++) {
        unsigned reg = (unsigned)rand() % 8;
        if (rand() % 2)
            out(reg, (unsigned)rand() & 0xff);
        else
            in(reg);
        if (rand() % 64 == 0)
            outside.takes = (size_t)rand() % 4 * 10;
        if (rand() % 16 == 0 && outside.rx_max > 0)
            type("r");
        if (rand() % 16 == 0)
            evloop_drain(loop);
        outside.len = 0;
    }
    /* It still works. */
    outside.takes = SIZE_MAX;
    serial_flush(serial);
    outside.len = 0;
    out(LCR, 0x03);
    out(MCR, 0x02); /* RTS */
    out(FCR, 0x07);
    in(LSR);
    in(MSR);
    out(IER, 0x00);
    out(IER, 0x01);
    evloop_drain(loop);
    out(THR, '!');
    evloop_drain(loop);
    expect_outside("!");
    take_edges();
    type("?");
    cr_expect_eq(take_edges(), 1);
    cr_expect_eq(in(RBR), '?');
}

/* Bytes in, in order, while the loop has a thread of its own; reading is what ends the test. */
static _Atomic int received;

static int start_typing(void *ctx)
{
    (void)ctx;
    if (outside.rx_max > 0) {
        uint8_t byte = (uint8_t)received;
        outside.b.handler->on_rx(outside.b.handler->ctx, &byte, 1);
    }
    return 0;
}

static void *flood(void *ctx)
{
    (void)ctx;
    for (unsigned i = 0; i < 20000; i++)
        out(THR, i & 0xff);
    return NULL;
}

Test(serial, vcpus_and_the_loop_may_race)
{
    pthread_t vcpu;
    out(IER, 0x03);
    cr_assert_eq(evloop_start_thread(loop), 0);
    cr_assert_eq(pthread_create(&vcpu, NULL, flood, NULL), 0);
    while (received < 500) {
        evloop_call(loop, start_typing, NULL);
        in(IIR);
        if (in(LSR)&0x01) {
            cr_assert_eq(in(RBR), (uint8_t)received);
            received++;
        }
    }
    pthread_join(vcpu, NULL);
    evloop_stop_thread(loop);
    serial_flush(serial);
    cr_expect_gt(take_edges(), 0);
    cr_expect_leq(outside.len, 20000);
}

Test(serial_alone, a_line_to_nowhere_takes_everything)
{
    make(NULL);
    out(IER, 0x02);
    cr_expect_eq(in(IIR), 0x02);
    for (int i = 0; i < 10000; i++)
        out(THR, 'x');
    cr_expect_eq(in(LSR), 0x60);
    cr_expect_eq(in(IIR), 0x02);
    serial_flush(serial);
    teardown();
}

Test(serial_alone, a_taken_port_is_an_error)
{
    struct serial *second = NULL;
    setup();
    struct serial_config config = {.bus = pio, .base = PORT + 7, .loop = loop};
    cr_expect_lt(serial_create(&second, &config), 0);
    teardown();
}
