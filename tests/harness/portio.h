// SPDX-License-Identifier: BSD-2-Clause
/* A driver's side of a console with several ports: its control messages. */
#ifndef MINIVET_TESTS_HARNESS_PORTIO_H
#define MINIVET_TESTS_HARNESS_PORTIO_H

#include <stdint.h>

struct rig;

#define PORTIO_QUEUES  8u /* of three ports */
#define PORTIO_BUFFERS 8u
#define PORTIO_TEXT    512u

/* Port 0 is the terminal; port 1 is called "one"; port 2, "two", is a console as well. */
struct rig_config portio_config(const struct rig_config *on);

/* Control buffers, of so many bytes. */
void portio_give(struct rig *rig, unsigned count, uint32_t bytes);
void portio_say(struct rig *rig, uint32_t id, uint16_t event, uint16_t value);

/*
 * What was told since the last time, as "0:add 1:name(one) 1:open 1:closed"; each buffer is given
 * again. It is overwritten by the next call.
 */
const char *portio_hear(struct rig *rig);

/* Starts the device, and becomes acquainted with its ports, all of which are open then. */
void portio_start(struct rig *rig, uint64_t features);

#endif
