// SPDX-License-Identifier: BSD-2-Clause
/*
 * Is each order needed? One place in the source after the other is made weaker, and something has
 * to go wrong. What is stronger than these checks need is listed by its function, with what would
 * do.
 */
#ifndef MINIVET_TESTS_ORDER_NEEDED_H
#define MINIVET_TESTS_ORDER_NEEDED_H

#include <stdbool.h>

struct stronger {
    const char *function, *enough; /* "acq_rel", "relaxed" */
};

/* holds(): goes through all there is to check; false: something went wrong, which is an error if
 * `says`. NULL ends the list. */
void check_orders_are_needed(bool (*holds)(bool says), const struct stronger *list);

/* Other code has locks besides, and orders that no check can miss: in each of these functions some
 * order is needed, and relaxed is found. NULL ends the list. */
void check_relaxed_is_found(bool (*holds)(bool says), const char *const *functions);

#endif
