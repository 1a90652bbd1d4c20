// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the user asked for: the options of `minivet run`, parsed and checked one by one. One table
 * drives the parser, the help text and the shell completion.
 */
#ifndef MINIVET_VMM_CONFIG_H
#define MINIVET_VMM_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "core/ports/net.h"
#include "devices/net/user/net_user.h"

#define CONFIG_MAX_DISKS       64
#define CONFIG_MAX_NETS        8
#define CONFIG_MAX_PAIRS       16
#define CONFIG_MAX_MARKS       16
#define CONFIG_IOTHREAD_BYTES  256
#define CONFIG_THREAD_NAME_MAX 15u /* what the host calls a thread */

enum console_kind {
    CONSOLE_SERIAL,
    CONSOLE_VIRTIO,
    CONSOLE_OFF,
};

enum transport_kind {
    TRANSPORT_UNSET,
    TRANSPORT_MMIO,
    TRANSPORT_PCI,
};

enum ring_kind {
    RING_UNSET,
    RING_SPLIT,
    RING_PACKED,
};

enum on_off {
    ON_OFF_UNSET,
    ON_OFF_ON,
    ON_OFF_OFF,
};

enum unpack_kind {
    UNPACK_CACHED, /* once, by the VMM */
    UNPACK_ON,     /* by the VMM, each time */
    UNPACK_OFF,    /* by the guest */
};

enum stats_kind {
    STATS_OFF,
    STATS_TABLE, /* for people */
    STATS_JSON,
};

/*
 * The keys that every virtio device takes. What one leaves unset --virtio says, and what that
 * leaves is the default: config_parse() leaves nothing unset in the devices' own.
 */
struct virtio_keys {
    enum transport_kind transport;        /* [mmio] */
    enum ring_kind ring;                  /* [split] */
    enum on_off legacy;                   /* [off] */
    uint32_t queue_size;                  /* most descriptors in a queue [256] */
    char iothread[CONFIG_IOTHREAD_BYTES]; /* NAME[:NAME...] of threads; "": the main one */
};

enum disk_kind {
    DISK_FILE,       /* path: an image in a format, or a block device */
    DISK_NULL,       /* stores nothing; for measuring */
    DISK_VHOST_USER, /* path: the socket of a server that does all of it */
};

enum disk_cache {
    DISK_CACHE_NONE,      /* direct I/O, where the file system can */
    DISK_CACHE_WRITEBACK, /* the host's page cache */
    DISK_CACHE_UNSAFE,    /* likewise, and flushes are ignored */
};

struct disk_config {
    char *path; /* owned; other strings point into it */
    enum disk_kind kind;
    uint64_t null_bytes;
    const char *format; /* "raw", or another of IMAGE_FORMATS, which qemu-storage-daemon reads */
    bool backing;       /* backing files that the image names are opened */
    enum disk_cache cache;
    uint32_t sector_bytes; /* logical blocks that the guest sees; 0: 512 */
    bool read_only;
    bool scsi;                            /* behind a SCSI host of its own, not as a block device */
    bool snapshot;                        /* writes go to a file that is thrown away */
    unsigned queues;                      /* [one for each CPU] */
    uint64_t iops, bytes_per_s, burst_ns; /* limits; 0: none, or the default burst */
    char fault[128];                      /* see devices/disk/filter/blk_fault.h; "": none */
    struct virtio_keys virtio;
    char serial[21]; /* VIRTIO 1.4 5.2.6: at most 20 bytes on the wire */
};

enum net_kind {
    NET_USER,   /* TCP/IP in this process: no privileges */
    NET_TAP,    /* target: an interface of the host's */
    NET_FD,     /* target: N[:N...], descriptors of such, one a queue pair */
    NET_SOCKET, /* target: a path where another machine is, or will be */
    NET_LISTEN, /* target: HOST:PORT, likewise */
    NET_CONNECT,
    NET_VHOST_USER, /* target: the socket of a server that does all of it */
    NET_NULL,       /* nobody is there */
    NET_LOOPBACK,   /* what is sent comes back */
};

struct net_config {
    char *text;   /* owned; other strings point into it */
    char *option; /* owned: as the user said it */
    enum net_kind kind;
    const char *target;
    uint8_t mac[NET_MAC_BYTES]; /* [from the option's text] */
    unsigned pairs;             /* [1] */
    uint32_t mtu_bytes;         /* 0: the backend's */
    bool vhost;                 /* the host's kernel serves the queues */
    bool rss;                   /* the guest may choose queues by hash */
    bool whole_to_host;         /* the guest sends nothing for others to complete */
    bool whole_to_guest;        /* nor is given such */
    struct net_user_config user;
    bool any_peer;    /* another user may be at the other end of a socket */
    const char *pcap; /* a file for all packets; NULL: none */
    uint64_t packets_per_s, bytes_per_s, burst_ns; /* limits; 0: none, or the default burst */
    char fault[128]; /* see devices/net/filter/net_fault.h; "": none */
    struct virtio_keys virtio;
};

/* A device that an option switches on and off: VIRTIO_SWITCH() of virtio/devices.def. */
struct switch_config {
    bool on;
    struct virtio_keys virtio;
    _Alignas(uint64_t) uint8_t own[64]; /* what its own keys set, as vmm/machine/KIND.c has it */
};

struct vm_config {
    const char *kernel; /* NULL: none; strings point into argv unless said otherwise */
    const char *initrd; /* NULL: none */
    const char *append; /* NULL: none */
    uint64_t mem_bytes;
    enum unpack_kind unpack;
    bool kaslr_off;
    bool prefault; /* guest memory is populated before the start */
    unsigned cpus;
    struct disk_config disks[CONFIG_MAX_DISKS]; /* vda, vdb, ... */
    unsigned disk_count;
    struct net_config nets[CONFIG_MAX_NETS];
    unsigned net_count;
    enum console_kind console;
    struct virtio_keys console_virtio;
#define VIRTIO_SWITCH(kind, usual) struct switch_config kind;
#include "virtio/devices.def"
    struct virtio_keys virtio;          /* for all devices */
    uint64_t features_on, features_off; /* by bit, for all devices */
    bool strict;                        /* report what drivers do against the specification */
    enum stats_kind stats;              /* print what the queues have done */
    bool timeline;                      /* print when each phase of the boot finished */
    const char *timeline_path;          /* NULL: to standard error */
    /* Texts that it looks for on the console, up to a NULL. */
    const char *marks[CONFIG_MAX_MARKS + 1];
    bool poll_given;      /* --poll; else the I/O loops' own default */
    uint64_t poll_max_ns; /* how long they look for work before they sleep */
    uint64_t timeout_ns;  /* 0: none */
    const char *record;   /* a file for all that the devices see; NULL: none */
    bool reboot_restart;  /* a reset starts the guest anew instead of ending the run */
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
    const char *arg;   /* NULL: takes no value; "[=...]": may be left out, and value is NULL then */
    const char *alias; /* another spelling, as QEMU has it; NULL: none */
    const char *help;
    enum option_values values;
    int (*set)(struct vm_config *config, const char *value);
};

/* By another process, which maps the guest's memory. */
bool config_disk_is_served_elsewhere(const struct disk_config *disk);

extern const struct option_row config_options[];
extern const unsigned config_option_count;

/* May the value be left out? It is given behind '=' then, and in no other way. */
bool config_value_is_optional(const struct option_row *row);

/* 0, or -EINVAL after one line that names the option and the remedy. */
int config_parse(struct vm_config *config, int argc, char **argv);
void config_free(struct vm_config *config);

/* May what it says be written to be written to? See core/output/outputs.h; reported. */
int config_check_files(const struct vm_config *config);

/* The table, as a screenful of text. */
void config_print_options(FILE *out);

/* "512M", "2G", "64K"; a bare number counts in unit_bytes. 0 or -EINVAL; silent. */
int config_parse_size(const char *text, uint64_t unit_bytes, uint64_t *bytes);

/* Cuts the next item off a comma-separated list in place; ",," stands for a comma. NULL: none. */
char *config_next_item(char **rest);

/* What follows "name=" in key, or NULL. */
const char *config_value_of(const char *key, const char *name);
/* The index of a word in a list that ends with NULL, or -1. */
int config_word(const char *const *words, const char *word);

/* A key, and where its value goes. `expected` says what would have been right. */
struct config_key {
    const char *name, *expected;
    int (*set)(void *into, const char *value); /* 0 or -EINVAL; NULL: by the members below */
    size_t offset, bytes;                      /* of what is set: a bool, an enum or a number */
    const char *const *words; /* one of these, ended by NULL: counted from min; or a number */
    uint64_t min, max;        /* 0: it is a time */
};

#define CONFIG_KEY(name, expected, type, member, words, min, max)                                  \
    {                                                                                              \
        name, expected, NULL, offsetof(type, member), sizeof(((type *)0)->member), words, min, max \
    }
#define CONFIG_SWITCH(name, type, member) \
    CONFIG_KEY(name, "on or off", type, member, config_switches, 0, 0)

extern const char *const config_switches[];

/* 1 if it was one of the keys, 0 if it is none of them, -EINVAL after a line that begins with what.
 */
int config_key(const struct config_key *keys, unsigned count, void *into, const char *key,
               const char *what);
/* Adds words to a list with commas; -EINVAL: no room. */
int config_add_words(char *list, size_t size, const char *words);

/*
 * Takes "transport=pci" and the like. 1 if it was one of the keys, 0 if it is none of them, -EINVAL
 * after a line that begins with what (such as "--disk FILE").
 */
int config_virtio_key(struct virtio_keys *keys, const char *key, const char *what);
/* A whole list of them, and of own keys, which set `into` (NULL: none); -EINVAL for others. */
int config_virtio_list(struct virtio_keys *keys, const struct config_key *own, void *into,
                       const char *list, const char *what);

/* Of a switch, in vmm/machine/KIND.c: its help, and keys of its own, up to one without a name. */
#define VIRTIO_SWITCH(kind, usual)   \
    extern const char kind##_help[]; \
    extern const struct config_key kind##_keys[];
#include "virtio/devices.def"
#define CONFIG_VIRTIO_KEYS                                                 \
    "transport=mmio|pci, ring=split|packed, legacy=on|off, queue-size=N, " \
    "iothread=NAME[:NAME...]"

#define CONFIG_DISK_KEYS                                                   \
    "ro, serial=TEXT, type=blk|scsi, format=raw|qcow2|vmdk|vdi|vhdx|..., " \
    "backing=on|off, cache=none|writeback|unsafe, sector=512|4096, "       \
    "snapshot=on|off, queues=N, iops=N, bw=SIZE, burst=TIME, fault=SPEC, " CONFIG_VIRTIO_KEYS

#define CONFIG_NET_KINDS                                                             \
    "none, user, tap=NAME, fd=N, socket=PATH, listen=HOST:PORT, connect=HOST:PORT, " \
    "vhost-user=SOCKET, null, loopback"
#define CONFIG_NET_KEYS                                                                      \
    "mac=MAC, queues=N, rss=on|off, mtu=N, vhost=on|off, offloads=on|off|to-host|to-guest, " \
    "peers=same|any, pcap=FILE, "                                                            \
    "pps=N, bw=SIZE, burst=TIME, fault=SPEC, " CONFIG_VIRTIO_KEYS
#define CONFIG_NET_USER_KEYS                                              \
    "hostfwd=RULE, guestfwd=RULE, restrict=on|off, net=CIDR, host=ADDR, " \
    "dns=ADDR, hostname=NAME, ipv6=on|off, loopback=on|off, isolate=on|off"

/* Fills in what is unset, and refuses what does not go together; reported. */
int config_resolve_virtio(struct vm_config *config);

/* Can all of it be recorded, with --record? Reported. */
int config_check_record(const struct vm_config *config);

/* Can it be served by as many threads as it has names and queues for? Reported. */
int config_check_disk_threads(const struct disk_config *disk);

/* snapshot=on for all; reported if there is one that cannot. */
int config_snapshot_disks(struct vm_config *config);

/* For options: --net, --disk, --virtio, --features, and switches. */
int config_set_net(struct vm_config *config, const char *value);
int config_set_disk(struct vm_config *config, const char *value);
int config_set_virtio(struct vm_config *config, const char *value);
int config_set_features(struct vm_config *config, const char *value);
int config_set_switch(struct switch_config *config, const struct config_key *own, const char *name,
                      const char *value);

/* "30s", "500ms", "2m", "1h"; a bare number is seconds. 0 or -EINVAL; silent. */
int config_parse_duration(const char *text, uint64_t *ns);

#endif
