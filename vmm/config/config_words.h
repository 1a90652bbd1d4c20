// SPDX-License-Identifier: BSD-2-Clause
/* Words that users of other VMMs type: put into Minivet's, or answered with the nearest of those.
 */
#ifndef MINIVET_VMM_CONFIG_WORDS_H
#define MINIVET_VMM_CONFIG_WORDS_H

#include <stdbool.h>

#include "vmm/config/options.h"

/* Is b what a may have been meant to be? */
bool config_is_near(const char *a, const char *b);

/* What is said to another program's key (up to a '='), or NULL. */
const char *config_foreign_key(const struct schema_key *option, const char *item);
/* -EINVAL, after a line that begins with what and has the nearest key, or all of them. */
int config_unknown_key(const struct schema_key *option, const char *what, const char *item);
/* Likewise, of the options that JSON may have. */
int config_unknown_member(const char *name);

/* ---- between the files of it ---- */

int config_words_refuse(const char *word, const char *remedy);
/* QEMU's options of several words: drive, hda, netdev, nic, device, snapshot. */
int config_qemu(struct config_words *w, const char *option, const char *value);

#endif
