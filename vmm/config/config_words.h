// SPDX-License-Identifier: BSD-2-Clause
/* Words that users of other VMMs type: put into Minivet's, or answered with the nearest of those.
 */
#ifndef MINIVET_VMM_CONFIG_WORDS_H
#define MINIVET_VMM_CONFIG_WORDS_H

#include <stdbool.h>

/* A command line, and the same in Minivet's words. What was put into those is owned. */
struct config_words {
    int argc;
    char **argv;
    char **out; /* ended by NULL, as argv is */
    int count;
    char **owned;
    int owned_count;
    bool snapshot;   /* of all disks */
    const char *ide; /* a disk that would be one of IDE; NULL: there is none */
};

/* 0, or -EINVAL after one line. To be freed in either case. */
int config_translate(struct config_words *w, int argc, char **argv);
void config_words_free(struct config_words *w);

/* Is b what a may have been meant to be? */
bool config_is_near(const char *a, const char *b);

/*
 * For keys of lists. `keys` is a text such as "ro, serial=TEXT"; the line begins with what, and has
 * the nearest key, or all of them. Returns -EINVAL.
 */
int config_unknown_key(const char *what, const char *key, const char *keys);
/* -EINVAL after a line if a key stands in the list twice that is for once. */
int config_check_twice(const char *what, const char *list);

/* ---- between the files of it ---- */

/* Two of Minivet's words, of which the second is to be owned; -ENOMEM is reported, for NULL too. */
int config_words_put(struct config_words *w, char *option, char *value);
int config_words_refuse(const char *word, const char *remedy);

/* QEMU's options of several words, each with its value. */
int config_qemu_drive(struct config_words *w, const char *value);
int config_qemu_hd(struct config_words *w, const char *value);
int config_qemu_netdev(struct config_words *w, const char *value);
int config_qemu_nic(struct config_words *w, const char *value);
int config_qemu_device(struct config_words *w, const char *value);

#endif
