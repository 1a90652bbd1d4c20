// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the user asked for: the options of `minivet run`, from a command line or a JSON file, parsed
 * and checked one by one. The tables of options.h say what there is.
 */
#ifndef MINIVET_VMM_CONFIG_H
#define MINIVET_VMM_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arch/arch.h"
#include "core/ports/input.h"
#include "core/ports/net.h"
#include "devices/backend/bucket.h"
#include "devices/char/chr_path.h"
#include "devices/net/user/net_user.h"
#include "firmware/smbios/smbios.h"

#define CONFIG_MAX_DISKS       64
#define CONFIG_MAX_NETS        8
#define CONFIG_MAX_PAIRS       16
#define CONFIG_MAX_SHARES      16
#define CONFIG_TAG_BYTES       36 /* of what the guest mounts a share by */
#define CONFIG_MAX_PORTS       30
#define CONFIG_COMMAND_PORTS   4 /* of those, for a command in the guest */
#define CONFIG_MAX_MARKS       16
#define CONFIG_MARK_BYTES      128 /* the longest text to look for on the console */
#define CONFIG_THREAD_NAME_MAX 15u /* what the host calls a thread */
#define CONFIG_IOTHREAD_BYTES  256

struct cJSON;

enum console_kind {
    CONSOLE_SERIAL, /* in the order of the option's words */
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

enum disk_kind {                  /* in the order of the option's words */
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
    const char *path;
    enum disk_kind kind;
    uint64_t null_bytes;
    const char *format; /* "raw", or another of IMAGE_FORMATS, which qemu-storage-daemon reads */
    bool backing;       /* backing files that the image names are opened */
    enum disk_cache cache;
    uint32_t sector_bytes; /* logical blocks that the guest sees; 0: 512 */
    bool read_only;
    bool scsi;                   /* behind a SCSI host of its own, not as a block device */
    bool snapshot;               /* writes go to a file that is thrown away */
    unsigned queues;             /* [one for each CPU] */
    struct budget_config limits; /* of requests */
    char fault[128];             /* see devices/disk/filter/blk_fault.h; "": none */
    struct virtio_keys virtio;
    char serial[21]; /* VIRTIO 1.4 5.2.6: at most 20 bytes on the wire */
};

enum net_kind {             /* in the order of the option's words */
                NET_USER,   /* TCP/IP in this process: no privileges */
                NET_TAP,    /* target: an interface of the host's */
                NET_FD,     /* target: N[:N...], descriptors of such, one a queue pair */
                NET_SOCKET, /* target: a path where another machine is, or will be */
                NET_LISTEN, /* target: HOST:PORT, likewise */
                NET_CONNECT,
                NET_VHOST_USER, /* target: the socket of a server that does all of it */
                NET_NULL,       /* takes every packet */
                NET_LOOPBACK,   /* what is sent comes back */
};

struct net_config {
    const char *text;   /* what it is connected to, as the user said it */
    const char *option; /* for net-user, the process; NULL: no process is wanted */
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
    bool any_peer;               /* another user may be at the other end of a socket */
    const char *pcap;            /* a file for all packets; NULL: none */
    struct budget_config limits; /* of packets, each way */
    char fault[128];             /* see devices/net/filter/net_fault.h; "": none */
    struct virtio_keys virtio;
};

enum share_kind {                   /* in the order of the option's words */
                  SHARE_DIR,        /* path: a directory, served by this process */
                  SHARE_VHOST_USER, /* path: the socket of a server that does all of it */
};

enum share_ids { /* as enum share_uid, enum share_cache of devices/share/share_dir.h */
                 SHARE_IDS_MAP,
                 SHARE_IDS_HOST,
                 SHARE_IDS_XATTR,
};

enum share_caches {
    SHARE_CACHES_AUTO,
    SHARE_CACHES_ALWAYS,
    SHARE_CACHES_NEVER,
};

struct share_config {
    const char *path;
    enum share_kind kind;
    char tag[CONFIG_TAG_BYTES + 1]; /* [from the path] no other share has it */
    bool read_only;
    enum share_ids uid;
    enum share_caches cache;
    bool xattr, writeback, locks;
    bool flat;       /* see devices/share/share_dir.h; of --root */
    unsigned queues; /* for requests */
    struct virtio_keys virtio;
};

/* Beside the console's own. */
struct port_config {
    const char *name;
    enum chr_path_kind kind;
    const char *paths[CHR_NULL]; /* of its kind; the others are NULL */
    bool null, is_console;
};

enum display_kind { DISPLAY_NOWHERE, DISPLAY_SDL, DISPLAY_VNC, DISPLAY_PNG };

struct display_config {
    enum display_kind kind;
    const char *target;   /* an address, a folder */
    const char *password; /* a file; NULL: none */
};

struct input_config {
    bool on[INPUT_KINDS];
    bool none; /* as the user said */
    struct virtio_keys virtio;
};

/* A device that an option switches on and off: VIRTIO_SWITCH() of virtio/devices.def. */
struct switch_config {
    bool on;
    struct virtio_keys virtio;
    _Alignas(uint64_t) uint8_t own[64]; /* what its own keys set, as vmm/machine/KIND.c has it */
};

enum root_writes { ROOT_MEMORY, ROOT_KEPT, ROOT_LIVE, ROOT_REFUSED };

/* A directory of the host's as the guest's root; a command runs in it. */
struct root_config {
    const char *path; /* NULL: there is none */
    enum root_writes writes;
    bool live, read_only;
    bool is_shell;       /* no command was given */
    const char *upper;   /* a directory, of ROOT_KEPT */
    const char *modules; /* where the kernel's are, as the user said; NULL: not said */

    /* As vmm/cli/root.c found it. */
    const char *module_folder; /* NULL: none */
    bool has_library;          /* that folder is a share, too: the root does not have it */
    const char *note;          /* on its modules, for the guest's messages */
};

/* Of --vsock. */
struct vsock_config {
    const char *path; /* NULL: vhost */
    uint32_t cid;     /* 0: the default */
    bool vhost;       /* the host's kernel has the sockets */
};

enum clock_kind { CLOCK_UTC, CLOCK_LOCALTIME, CLOCK_TIME };

/* What the guest's real-time clock shows when the run begins. */
struct clock_choice {
    enum clock_kind kind;
    int64_t time_s; /* of CLOCK_TIME, since 1970 in UTC */
};

enum watchdog_action {                 /* in the order of the option's words */
                       WATCHDOG_RESET, /* as a reset button does; it ends the run unless --reboot
                                          restart is given */
                       WATCHDOG_EXIT,
                       WATCHDOG_PAUSE,
                       WATCHDOG_NONE,
};

struct watchdog_choice {
    bool on;
    enum watchdog_action action;
    uint64_t boot_ns; /* for the guest's start; 0: it runs when the guest starts it */
};

enum sandbox_mode { SANDBOX_OFF, SANDBOX_ON, SANDBOX_REPORT }; /* in the order of the words */

struct sandbox_choice {
    enum sandbox_mode mode;
    const char *folder; /* for what control commands open; NULL: none */
};

/* By how much it is ahead of the host's, which is wall_ns since 1970 in UTC. */
int64_t clock_choice_ahead_s(const struct clock_choice *clock, uint64_t wall_ns);

struct vm_config {
    struct cJSON *given; /* owned: what was said, as JSON; strings point into it */
    struct cJSON *texts; /* owned: other strings */
    const char *kernel;  /* NULL: none */
    const char *initrd;  /* NULL: none */
    const char *append;  /* NULL: none */
    /* A command in the guest, its environment: arrays of strings, in `given`; NULL: none. */
    const struct cJSON *command, *env;
    const char *cwd; /* where it begins; NULL: the default */
    struct root_config root;
    /* Files of device trees; NULL: none. As struct boot_request has them. */
    const char *dtb, *dtb_overlay, *dump_dtb;
    uint64_t mem_bytes;
    enum unpack_kind unpack;
    bool kaslr_off;
    bool prefault; /* guest memory is populated before the start */
    unsigned cpus;
    struct clock_choice rtc;
    bool has_smbios; /* the user has said something of it */
    struct smbios_config smbios;
    struct watchdog_choice watchdog;
    struct sandbox_choice sandbox;
    uint64_t cpu_on, cpu_off; /* HV_CPU_..., as the user said */
    unsigned disk_count, net_count, share_count, port_count, file_count;
    enum console_kind console;
    struct virtio_keys console_virtio;
    const char *log; /* a file for what the console prints; NULL: none */
    struct display_config display;
    struct input_config input;
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
    uint64_t hang_ns;     /* that vCPUs may run with interrupts disabled; 0: as long as they like */
    uint64_t grace_ns;    /* for the guest, from SIGTERM; 0: none */
    const char *record;   /* a file for all that the devices see; NULL: none */
    const char *control;  /* a path for the control socket; NULL: none */
    bool reboot_restart;  /* a reset starts the guest anew instead of ending the run */
    int verbosity;
    bool has_json;     /* some of it is from --config */
    bool help;         /* --help was given: print it and do nothing else */
    bool print_config; /* likewise */

    /* As many as there are: config_parse() leaves the others, most of it, alone. */
    struct disk_config disks[CONFIG_MAX_DISKS]; /* vda, vdb, ... */
    struct net_config nets[CONFIG_MAX_NETS];
    struct share_config shares[CONFIG_MAX_SHARES];
    struct port_config ports[CONFIG_MAX_PORTS];
    struct board_file files[BOARD_FILES_MAX];
};

static inline const struct vsock_config *vsock_config_of(const struct vm_config *c)
{
    return (const void *)c->vsock.own;
}

/* By another process, which maps the guest's memory. */
bool config_disk_is_served_elsewhere(const struct disk_config *disk);

/*
 * The command line of `minivet run`. 0, or -EINVAL after one line that names the option and the
 * remedy. No file is opened: --config takes JSON, not the name of a file.
 */
int config_parse(struct vm_config *config, int argc, char **argv);
/* Likewise, but --config FILE is read. */
int config_parse_with_files(struct vm_config *config, int argc, char **argv);
void config_free(struct vm_config *config);

/* All that was given, as --config takes it, to be freed; NULL: reported. */
char *config_json(const struct vm_config *config);

/* May what it says be written to be written to? See core/output/outputs.h; reported. */
int config_check_files(const struct vm_config *config);

#endif
