// SPDX-License-Identifier: BSD-2-Clause
/*
 * POST codes: a byte that the guest writes to the port is told to whoever shows how far the boot
 * has come. Reading the port gives the last byte. Any thread may access.
 */
#ifndef MINIVET_DEVICES_POST_CODE_H
#define MINIVET_DEVICES_POST_CODE_H

#include <stdint.h>

#define POST_CODE_PORT 0x80

struct bus;
struct post_code;

struct post_code_config {
    struct bus *pio;
    void (*on_code)(void *ctx, uint8_t code); /* on the thread that writes; NULL: nobody cares */
    void *ctx;
};

/* Errors are reported. */
int post_code_create(struct post_code **out, const struct post_code_config *config);
void post_code_destroy(struct post_code *pc); /* NULL is allowed */

#endif
