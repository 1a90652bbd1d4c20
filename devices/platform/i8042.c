// SPDX-License-Identifier: BSD-2-Clause
#include "devices/platform/i8042.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "core/base/fail.h"
#include "core/ports/bus.h"

/* Status register. Input is taken at once, so the input-buffer-full bit (1) is never set. */
#define STATUS_OUTPUT_FULL 0x01
#define STATUS_SYSTEM      0x04 /* the self-test has passed */
#define STATUS_COMMAND     0x08 /* the last write was a command */
#define STATUS_UNLOCKED    0x10
#define STATUS_TIMEOUT     0x40 /* a device did not answer */

#define MODE_SYSTEM          0x04
#define MODE_DISABLE_DEVICES 0x30

#define OUTPUT_NO_RESET 0x01 /* the reset line is active low */
#define OUTPUT_A20      0x02

#define SELF_TEST_PASSED 0x55
#define NO_MOUSE_CLOCK   0x02 /* interface test: clock line stuck high */
#define NOBODY_ANSWERS   0xfe /* "resend", as the controller says on a timeout */

enum command {
    READ_MODE = 0x20,
    WRITE_MODE = 0x60,
    TEST_MOUSE = 0xa9,
    SELF_TEST = 0xaa,
    TEST_KEYBOARD = 0xab,
    READ_INPUT_PORT = 0xc0,
    READ_OUTPUT_PORT = 0xd0,
    WRITE_OUTPUT_PORT = 0xd1,
    ECHO_KEYBOARD = 0xd2,
    ECHO_MOUSE = 0xd3,
    WRITE_MOUSE = 0xd4,
    PULSE_LINES = 0xf0, /* to 0xff: the lines whose bits are 0 */
};

struct i8042 {
    struct bus *pio;
    struct bus_region regions[2]; /* of data and of commands */
    struct power power;
    pthread_mutex_t lock; /* vCPUs against each other: what follows */
    uint8_t status;
    uint8_t mode; /* the command byte */
    uint8_t output_port;
    uint8_t output;  /* what port 0x60 reads */
    uint8_t command; /* that waits for its data byte; 0: none */
};

static void answer(struct i8042 *kbc, uint8_t byte)
{
    kbc->output = byte;
    kbc->status |= STATUS_OUTPUT_FULL;
}

static uint64_t data_read(void *dev, uint64_t offset, unsigned width)
{
    struct i8042 *kbc = dev;
    (void)offset, (void)width;

    pthread_mutex_lock(&kbc->lock);
    kbc->status &= (uint8_t) ~(STATUS_OUTPUT_FULL | STATUS_TIMEOUT);
    uint8_t value = kbc->output;
    pthread_mutex_unlock(&kbc->lock);
    return value;
}

/* Takes the byte and says whether it pulled the reset line. */
static bool take_data(struct i8042 *kbc, uint8_t byte)
{
    enum command command = kbc->command;
    kbc->command = 0;
    kbc->status &= (uint8_t)~STATUS_COMMAND;

    switch (command) {
    case WRITE_MODE:
        kbc->mode = byte;
        kbc->status &= (uint8_t)~STATUS_SYSTEM;
        kbc->status |= byte & MODE_SYSTEM;
        return false;
    case WRITE_OUTPUT_PORT:
        kbc->output_port = byte | OUTPUT_NO_RESET;
        return !(byte & OUTPUT_NO_RESET);
    case ECHO_KEYBOARD:
    case ECHO_MOUSE: /* without the mouse bit in the status: no mouse port */
        answer(kbc, byte);
        return false;
    default: /* for the mouse (WRITE_MOUSE) or the keyboard */
        kbc->status |= STATUS_TIMEOUT;
        answer(kbc, NOBODY_ANSWERS);
        return false;
    }
}

static void data_write(void *dev, uint64_t offset, unsigned width, uint64_t value)
{
    struct i8042 *kbc = dev;
    (void)offset, (void)width;

    pthread_mutex_lock(&kbc->lock);
    bool reset = take_data(kbc, (uint8_t)value);
    pthread_mutex_unlock(&kbc->lock);
    if (reset)
        power_request(&kbc->power, POWER_RESET, 0);
}

static uint64_t status_read(void *dev, uint64_t offset, unsigned width)
{
    struct i8042 *kbc = dev;
    (void)offset, (void)width;

    pthread_mutex_lock(&kbc->lock);
    uint8_t status = kbc->status;
    pthread_mutex_unlock(&kbc->lock);
    return status;
}

static bool take_command(struct i8042 *kbc, uint8_t command)
{
    kbc->command = 0;
    kbc->status |= STATUS_COMMAND;

    switch (command) {
    case READ_MODE:
        answer(kbc, kbc->mode);
        break;
    case SELF_TEST:
        kbc->mode |= MODE_SYSTEM | MODE_DISABLE_DEVICES;
        kbc->status |= STATUS_SYSTEM;
        answer(kbc, SELF_TEST_PASSED);
        break;
    case TEST_KEYBOARD: /* the interface works; nothing is plugged in */
        answer(kbc, 0);
        break;
    case TEST_MOUSE:
        answer(kbc, NO_MOUSE_CLOCK);
        break;
    case READ_INPUT_PORT:
        answer(kbc, 0);
        break;
    case READ_OUTPUT_PORT:
        answer(kbc, kbc->output_port);
        break;
    case WRITE_MODE:
    case WRITE_OUTPUT_PORT:
    case ECHO_KEYBOARD:
    case ECHO_MOUSE:
    case WRITE_MOUSE:
        kbc->command = command;
        break;
    default:
        return command >= PULSE_LINES && !(command & OUTPUT_NO_RESET);
    }
    return false;
}

static void command_write(void *dev, uint64_t offset, unsigned width, uint64_t value)
{
    struct i8042 *kbc = dev;
    (void)offset, (void)width;

    pthread_mutex_lock(&kbc->lock);
    bool reset = take_command(kbc, (uint8_t)value);
    pthread_mutex_unlock(&kbc->lock);
    if (reset)
        power_request(&kbc->power, POWER_RESET, 0);
}

static const struct bus_ops data_ops = {.read = data_read, .write = data_write};
static const struct bus_ops command_ops = {.read = status_read, .write = command_write};

int i8042_create(struct i8042 **out, const struct i8042_config *config)
{
    struct i8042 *kbc = calloc(1, sizeof(*kbc));
    if (!kbc)
        return fail(-ENOMEM, "i8042");
    pthread_mutex_init(&kbc->lock, NULL);
    kbc->pio = config->pio;
    kbc->power = config->power;
    kbc->status = STATUS_UNLOCKED | STATUS_SYSTEM;
    kbc->mode = MODE_SYSTEM | MODE_DISABLE_DEVICES;
    kbc->output_port = OUTPUT_NO_RESET | OUTPUT_A20;
    kbc->regions[0] = (struct bus_region){"i8042-data", I8042_DATA_PORT, 1, BUS_W1, &data_ops, kbc};
    kbc->regions[1] =
        (struct bus_region){"i8042-command", I8042_COMMAND_PORT, 1, BUS_W1, &command_ops, kbc};

    int err = bus_add(kbc->pio, &kbc->regions[0]);
    if (err == 0)
        err = bus_add(kbc->pio, &kbc->regions[1]);
    if (err < 0) {
        i8042_destroy(kbc);
        return fail(err, "i8042: ports 0x%x and 0x%x", I8042_DATA_PORT, I8042_COMMAND_PORT);
    }
    *out = kbc;
    return 0;
}

void i8042_destroy(struct i8042 *kbc)
{
    if (!kbc)
        return;
    /* A region that was not added is not found, which is as well. */
    bus_remove(kbc->pio, &kbc->regions[0]);
    bus_remove(kbc->pio, &kbc->regions[1]);
    pthread_mutex_destroy(&kbc->lock);
    free(kbc);
}
