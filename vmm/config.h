// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the user asked for: the options of `minivet run`, parsed and checked one by one. One table
 * drives the parser, the help text and the shell completion.
 */
#ifndef MINIVET_VMM_CONFIG_H
#define MINIVET_VMM_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define CONFIG_MAX_DISKS 14

enum console_kind {
    CONSOLE_SERIAL,
    CONSOLE_VIRTIO,
    CONSOLE_OFF,
};

struct disk_config {
    char *path; /* owned */
    bool read_only;
    char serial[21]; /* VIRTIO 1.4 5.2.6: at most 20 bytes on the wire */
};

struct vm_config {
    const char *kernel; /* strings point into argv unless said otherwise */
    const char *initrd; /* NULL: none */
    const char *append; /* NULL: none */
    uint64_t mem_bytes;
    unsigned cpus;
    struct disk_config disks[CONFIG_MAX_DISKS]; /* vda, vdb, ... */
    unsigned disk_count;
    enum console_kind console;
    uint64_t timeout_ns; /* 0: none */
    bool reboot_restart; /* a reset starts the guest anew instead of ending the run */
    int verbosity;
    bool help; /* --help was given: print it and do nothing else */
};

/* Where an argument's value for completion comes from. */
enum option_values {
    VALUES_NONE,
    VALUES_FILE,
    VALUES_WORDS, /* the words of option_row.arg, cut at '|' */
};

struct option_row {
    const char *name;
    char letter;       /* 0: none */
    const char *arg;   /* NULL: takes no value */
    const char *alias; /* another spelling, as QEMU has it; NULL: none */
    const char *help;
    enum option_values values;
    int (*set)(struct vm_config *config, const char *value);
};

extern const struct option_row config_options[];
extern const unsigned config_option_count;

/* 0, or -EINVAL after one line that names the option and the remedy. */
int config_parse(struct vm_config *config, int argc, char **argv);
void config_free(struct vm_config *config);

/* The table, as a screenful of text. */
void config_print_options(FILE *out);

/* "512M", "2G", "64K"; a bare number counts in unit_bytes. 0 or -EINVAL; silent. */
int config_parse_size(const char *text, uint64_t unit_bytes, uint64_t *bytes);

/* "30s", "500ms", "2m", "1h"; a bare number is seconds. 0 or -EINVAL; silent. */
int config_parse_duration(const char *text, uint64_t *ns);

#endif
