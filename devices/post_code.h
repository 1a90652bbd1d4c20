// SPDX-License-Identifier: BSD-2-Clause
/*
 * POST codes: a byte that the guest writes to the port is kept with the time of the write, so that
 * a boot can be shown as a timeline. The last POST_CODE_STAMPS of them are kept. Reading the port
 * gives the last byte. Any thread may access and query.
 */
#ifndef MINIVET_DEVICES_POST_CODE_H
#define MINIVET_DEVICES_POST_CODE_H

#include <stdint.h>

#define POST_CODE_PORT   0x80
#define POST_CODE_STAMPS 64

struct bus;
struct clock;
struct post_code;

struct post_code_config {
    struct bus *pio;
    const struct clock *clock; /* outlives the device */
};

struct post_code_stamp {
    uint64_t when_ns; /* on the clock's monotonic time */
    uint8_t value;
};

/* Errors are reported. */
int post_code_create(struct post_code **out, const struct post_code_config *config);
void post_code_destroy(struct post_code *pc); /* NULL is allowed */

/*
 * Copies the newest stamps, up to max, oldest first, and returns how many that is. *written (may
 * be NULL) is how many bytes the guest has written in all.
 */
unsigned post_code_stamps(struct post_code *pc, struct post_code_stamp *out, unsigned max,
                          uint64_t *written);

#endif
