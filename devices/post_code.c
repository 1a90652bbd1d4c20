// SPDX-License-Identifier: BSD-2-Clause
#include "devices/post_code.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "core/bus.h"
#include "core/clock.h"
#include "core/fail.h"
#include "core/xmath.h"

struct post_code {
    struct bus *pio;
    struct bus_region region;
    const struct clock *clock;
    pthread_mutex_t lock; /* vCPUs against each other and a query: what follows */
    uint64_t written;
    struct post_code_stamp stamps[POST_CODE_STAMPS]; /* number n is at n % POST_CODE_STAMPS */
};

static uint64_t post_code_read(void *dev, uint64_t offset, unsigned width)
{
    struct post_code *pc = dev;
    (void)offset, (void)width;

    pthread_mutex_lock(&pc->lock);
    uint8_t value = pc->written == 0 ? 0 : pc->stamps[(pc->written - 1) % POST_CODE_STAMPS].value;
    pthread_mutex_unlock(&pc->lock);
    return value;
}

static void post_code_write(void *dev, uint64_t offset, unsigned width, uint64_t value)
{
    struct post_code *pc = dev;
    (void)offset, (void)width;

    pthread_mutex_lock(&pc->lock);
    pc->stamps[pc->written++ % POST_CODE_STAMPS] = (struct post_code_stamp){
        .when_ns = clock_now_ns(pc->clock),
        .value = (uint8_t)value,
    };
    pthread_mutex_unlock(&pc->lock);
}

static const struct bus_ops post_code_ops = {.read = post_code_read, .write = post_code_write};

int post_code_create(struct post_code **out, const struct post_code_config *config)
{
    struct post_code *pc = calloc(1, sizeof(*pc));
    if (!pc)
        return fail(-ENOMEM, "post code");
    pc->pio = config->pio;
    pc->clock = config->clock;
    pthread_mutex_init(&pc->lock, NULL);
    pc->region = (struct bus_region){
        .name = "post-code",
        .base = POST_CODE_PORT,
        .size = 1,
        .widths = BUS_W1,
        .ops = &post_code_ops,
        .dev = pc,
    };
    int err = bus_add(pc->pio, &pc->region);
    if (err < 0) {
        post_code_destroy(pc);
        return fail(err, "post code: port 0x%x", POST_CODE_PORT);
    }
    *out = pc;
    return 0;
}

void post_code_destroy(struct post_code *pc)
{
    if (!pc)
        return;
    bus_remove(pc->pio, &pc->region); /* -ENOENT if create failed, which is as well */
    pthread_mutex_destroy(&pc->lock);
    free(pc);
}

unsigned post_code_stamps(struct post_code *pc, struct post_code_stamp *out, unsigned max,
                          uint64_t *written)
{
    pthread_mutex_lock(&pc->lock);
    unsigned count = (unsigned)min_u64(min_u64(pc->written, POST_CODE_STAMPS), max);
    for (unsigned i = 0; i < count; i++)
        out[i] = pc->stamps[(pc->written - count + i) % POST_CODE_STAMPS];
    if (written != NULL)
        *written = pc->written;
    pthread_mutex_unlock(&pc->lock);
    return count;
}
