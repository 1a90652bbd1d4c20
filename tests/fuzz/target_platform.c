// SPDX-License-Identifier: BSD-2-Clause
/*
 * A PC's small devices on a bus of ports: serial port, clock, keyboard controller, ACPI's power
 * registers, POST codes, debug exit, pvpanic, files that are passed, watchdogs (an SP805 has a bus
 * of its own).
 *
 * The input is a list of steps. A step begins with a byte: the step (bits 0 to 3), the width (4,
 * 5).
 *
 *     0 to 3   write a port: its name (a byte), the value (a byte; wider ones repeat it)
 *     4 to 6   read a port
 *     7, 8     write a register of the clock: register, value
 *     9        read one
 *     10       type: length, bytes
 *     11       the terminal takes so many bytes more
 *     12       time passes: four bytes of a number, and by how much it is shifted
 *     13       as many writes of one port as the byte says, times 16
 *     14       a watchdog's register: which (bits 0 to 4; 5: SP805; 6: read), and a number of four
 * bytes others   the loop runs
 *
 * After each step what the devices hold is bounded, and the loop has little to do. After the last
 * the guest resets the serial port, prints, and hears what is typed; the clock tells the time.
 */
#include <string.h>

#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "core/loop/evloop.h"
#include "core/ports/bus.h"
#include "devices/platform/byte_device.h"
#include "devices/platform/fw_cfg.h"
#include "devices/platform/i8042.h"
#include "devices/platform/rtc.h"
#include "devices/platform/serial.h"
#include "devices/platform/watchdog.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/target.h"
#include "tests/harness/fake.h"

#define SERIAL_PORT  0x3f8u
#define PVPANIC_PORT 0x505u
#define ACPI_PM_PORT 0x600u
#define POST_PORT    0x80u
#define FW_CFG_PORT  0x510u
#define EXIT_PORT    0xf4u
#define DOG_PORT     0x620u
#define SP805_GPA    0x10000u
#define STEPS_MAX    1000u
#define TURNS_MAX    20u
#define TIME_MAX_NS  (UINT64_C(1) << 62) /* room is left behind it */
#define RX_MAX       16u                 /* the FIFO */

/* Registers of a 16550A. */
enum { DATA, IER, FCR, LCR, MCR, LSR };

static struct bench {
    struct bus *pio;
    struct fuzz_host host;
    struct fake_irq irq;
    struct fake_chr chr;
    struct serial *serial;
    struct rtc *rtc;
    struct i8042 *kbc;
    struct byte_device *small[4];
    struct fw_cfg *files;
    struct watchdog *wdat, *sp805;
    unsigned bites;
} bench;

static const uint16_t ports[] = {
    SERIAL_PORT,     SERIAL_PORT + 1,  SERIAL_PORT + 2,  SERIAL_PORT + 3,
    SERIAL_PORT + 4, SERIAL_PORT + 5,  SERIAL_PORT + 6,  SERIAL_PORT + 7,
    RTC_PORT,        RTC_PORT + 1,     I8042_DATA_PORT,  I8042_COMMAND_PORT,
    ACPI_PM_PORT,    ACPI_PM_PORT + 1, ACPI_PM_PORT + 2, POST_PORT,
    EXIT_PORT,       PVPANIC_PORT,     SERIAL_PORT - 1,  SERIAL_PORT + 8,
    RTC_PORT - 1,    FW_CFG_PORT,      FW_CFG_PORT + 1,  0,
};

static const struct {
    const struct byte_device_kind *kind;
    uint16_t port;
} small[] = {{&acpi_pm_kind, ACPI_PM_PORT},
             {&post_code_kind, POST_PORT},
             {&debug_exit_kind, EXIT_PORT},
             {&pvpanic_kind, PVPANIC_PORT}};

static void on_power(void *ctx, enum power_event event, int status)
{
    (void)ctx;
    fuzz_check(event <= POWER_PANIC && (event != POWER_EXIT || (status >= 0 && status <= 255)),
               "power event %d with status %d", event, status);
}

static void on_bite(void *ctx)
{
    ((struct bench *)ctx)->bites++;
}

static int open_watchdogs(struct bench *b)
{
    struct watchdog_config config = {.bus = b->pio,
                                     .base = DOG_PORT,
                                     .clock = &b->host.clock,
                                     .loop = b->host.loop,
                                     .on_bite = on_bite,
                                     .ctx = b};
    int err = watchdog_create(&b->wdat, &wdat_kind, &config);
    config.base = SP805_GPA;
    return err | watchdog_create(&b->sp805, &sp805_kind, &config);
}

static const struct fw_cfg_file passed = {"opt/file", "its content", 11};

static void open_bench(struct bench *b)
{
    struct power power = {.request = on_power};
    fuzz_host_open(&b->host);
    if (b->pio == NULL)
        BUG_ON(bus_create(&b->pio, "ports", SP805_GPA + SP805_BYTES) != 0);
    b->irq = (struct fake_irq){0};
    fake_chr_init(&b->chr, 80, 25);
    int err = serial_create(&b->serial, &(struct serial_config){
                                            .bus = b->pio,
                                            .base = SERIAL_PORT,
                                            .irq = fake_irq_line(&b->irq),
                                            .loop = b->host.loop,
                                            .chr = &b->chr.backend,
                                        });
    err |= rtc_create(&b->rtc, &(struct rtc_config){.pio = b->pio,
                                                    .clock = &b->host.clock,
                                                    .loop = b->host.loop,
                                                    .ram_below_4g_bytes = GIB,
                                                    .ram_above_4g_bytes = GIB});
    err |=
        fw_cfg_create(&b->files, &(struct fw_cfg_config){BUS_PIO, b->pio, FW_CFG_PORT, &passed, 1});
    err |= i8042_create(&b->kbc, &(struct i8042_config){.pio = b->pio, .power = power});
    for (unsigned i = 0; i < ARRAY_SIZE(small); i++)
        err |= byte_device_create(
            &b->small[i], small[i].kind,
            &(struct byte_device_config){.bus = b->pio, .base = small[i].port, .power = power});
    err |= open_watchdogs(b);
    BUG_ON(err != 0);
}

static void close_bench(struct bench *b)
{
    serial_destroy(b->serial);
    rtc_destroy(b->rtc);
    i8042_destroy(b->kbc);
    fw_cfg_destroy(b->files);
    watchdog_destroy(b->wdat);
    watchdog_destroy(b->sp805);
    for (unsigned i = 0; i < ARRAY_SIZE(small); i++)
        byte_device_destroy(b->small[i]);
    evloop_drain(b->host.loop);
}

static void out(struct bench *b, unsigned port, unsigned value)
{
    bus_write(b->pio, port, 1, value);
}

static unsigned in(struct bench *b, unsigned port)
{
    uint64_t value;
    bus_read(b->pio, port, 1, &value);
    return (unsigned)value;
}

static void run_loop(struct bench *b)
{
    struct evloop_stats stats;
    evloop_stats(b->host.loop, &stats);
    uint64_t turns = stats.turns;
    evloop_drain(b->host.loop);
    evloop_stats(b->host.loop, &stats);
    fuzz_check(stats.turns - turns <= TURNS_MAX, "the loop turned %llu times for one step",
               (unsigned long long)(stats.turns - turns));
    fuzz_check(b->chr.rx_max <= RX_MAX, "the serial port asks for %zu bytes", b->chr.rx_max);
}

static void type(struct bench *b, struct fuzz_input *input)
{
    size_t len;
    const uint8_t *bytes = fuzz_take_bytes(input, fuzz_take(input, 1) % 64, &len);
    fake_chr_type(&b->chr, bytes, len);
}

static void touch_watchdog(struct bench *b, struct fuzz_input *input)
{
    static const uint16_t sp805[] = {0, 4, 8, 0xc, 0x10, 0x14, 0xc00, 0xfe0, 0xffc, 2};
    uint64_t what = fuzz_take(input, 1), value = fuzz_take(input, 4), at = DOG_PORT + (what & 31);
    unsigned before = b->bites;
    if (what & 32)
        at = SP805_GPA + sp805[(what & 31) % ARRAY_SIZE(sp805)];
    if (what & 64)
        bus_read(b->pio, at, 4, &value);
    else
        bus_write(b->pio, at, 4, value);
    run_loop(b);
    fuzz_check(b->bites - before <= 2, "watchdogs bite %u times", b->bites - before);
}

static void do_step(struct bench *b, struct fuzz_input *input, unsigned op, unsigned width)
{
    uint64_t value;
    unsigned port = 0;
    if (op < 7 || op == 13)
        port = ports[fuzz_take(input, 1) % ARRAY_SIZE(ports)];
    switch (op) {
    case 0:
    case 1:
    case 2:
    case 3:
        bus_write(b->pio, port, width, fuzz_take(input, 1) * UINT64_C(0x0101010101010101));
        break;
    case 4:
    case 5:
    case 6:
        bus_read(b->pio, port, width, &value);
        break;
    case 7:
    case 8:
        out(b, RTC_PORT, (unsigned)fuzz_take(input, 1));
        out(b, RTC_PORT + 1, (unsigned)fuzz_take(input, 1));
        break;
    case 9:
        out(b, RTC_PORT, (unsigned)fuzz_take(input, 1));
        (void)in(b, RTC_PORT + 1);
        break;
    case 10:
        type(b, input);
        break;
    case 11:
        fake_chr_open(&b->chr, fuzz_take(input, 2));
        break;
    case 12:
        value = fuzz_take(input, 4);
        value <<= fuzz_take(input, 1) % 30;
        b->host.time.now_ns = min_u64(b->host.time.now_ns + value, TIME_MAX_NS);
        break;
    case 13:
        value = fuzz_take(input, 1);
        for (uint64_t i = 0; i < 16 * value; i++)
            out(b, port, (unsigned)i);
        break;
    case 14:
        touch_watchdog(b, input);
        break;
    default:
        run_loop(b);
        break;
    }
}

/* ---- another guest ---- */

static void print_again(struct bench *b)
{
    static const char text[] = "minivet";
    for (unsigned i = 0; i < RX_MAX; i++) /* what was received in loopback, or before */
        (void)in(b, SERIAL_PORT + DATA);
    out(b, SERIAL_PORT + LCR, 3);
    out(b, SERIAL_PORT + IER, 0);
    out(b, SERIAL_PORT + MCR, 3);
    out(b, SERIAL_PORT + FCR, 7);
    fake_chr_open(&b->chr, UINT32_MAX);
    run_loop(b);
    uint64_t before = b->chr.out_bytes;
    fuzz_check((in(b, SERIAL_PORT + LSR) & 0x61) == 0x60, "the serial port is not empty");
    for (unsigned i = 0; i < sizeof(text); i++)
        out(b, SERIAL_PORT + DATA, (unsigned char)text[i]);
    run_loop(b);
    fuzz_check(b->chr.out_bytes == before + sizeof(text), "the serial port does not print");
    fuzz_check(b->chr.out_bytes > FAKE_CHR_OUT ||
                   memcmp(b->chr.out + before, text, sizeof(text)) == 0,
               "the serial port prints something else");
    fuzz_check(fake_chr_type(&b->chr, "x", 1) == 1, "the serial port takes nothing");
    fuzz_check(in(b, SERIAL_PORT + LSR) & 1 && in(b, SERIAL_PORT + DATA) == 'x',
               "the serial port hears nothing");
    out(b, SERIAL_PORT + IER, 0);
    fake_irq_take(&b->irq);
    out(b, SERIAL_PORT + IER, 2);
    fuzz_check(fake_irq_take(&b->irq) > 0, "the serial port does not interrupt");
}

static unsigned clock_register(struct bench *b, unsigned reg)
{
    out(b, RTC_PORT, reg);
    return in(b, RTC_PORT + 1);
}

/* Binary and 24 hours: the date is one. */
static void tell_time(struct bench *b)
{
    out(b, RTC_PORT, 0x0b);
    out(b, RTC_PORT + 1, 0x06);
    unsigned month = clock_register(b, 8), day = clock_register(b, 7);
    fuzz_check(clock_register(b, 0) < 61 && clock_register(b, 2) < 60 && clock_register(b, 4) < 24,
               "the clock's time is none");
    fuzz_check(month >= 1 && month <= 12 && day >= 1 && day <= 31, "the clock's day is none");
    fuzz_check(clock_register(b, 9) < 100, "the clock's year is none");
}

/* Started anew, a watchdog bites exactly when it has not been petted. */
static void be_petted(struct bench *b)
{
    bus_write(b->pio, DOG_PORT + WDAT_PERIOD, 4, 10);
    bus_write(b->pio, DOG_PORT + WDAT_RUNS, 4, 0);
    bus_write(b->pio, SP805_GPA + 0xc00, 4, 0x1acce551);
    bus_write(b->pio, SP805_GPA + 8, 4, 0);
    run_loop(b);
    b->bites = 0;
    bus_write(b->pio, DOG_PORT + WDAT_RUNS, 4, 1);
    for (unsigned i = 0; i < 3; i++) {
        run_loop(b);
        fuzz_check(b->bites == (i == 2), "a watchdog bites %u times at %u", b->bites, i);
        b->host.time.now_ns += i == 0 ? 999999999 : 1;
    }
}

static void run(struct fuzz_input *in)
{
    struct bench *b = &bench;
    open_bench(b);
    for (unsigned i = 0; in->left > 0 && i < STEPS_MAX; i++) {
        unsigned byte = (unsigned)fuzz_take(in, 1);
        do_step(b, in, byte & 15, 1u << (byte >> 4 & 3));
    }
    run_loop(b);
    print_again(b);
    tell_time(b);
    be_petted(b);
    close_bench(b);
}

const struct fuzz_target fuzz_target_platform = {
    .name = "platform", .run = fuzz_run_bytes, .bytes = run};
