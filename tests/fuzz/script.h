// SPDX-License-Identifier: BSD-2-Clause
/*
 * Scripts: what a guest and a host do to one device, step by step, as bytes for fuzzers and as text
 * for people. docs/fuzzing.md lists the steps.
 *
 *     bytes   "MVF1", device, variant, options, 0; then steps: one byte says which, operands follow
 *     text    "minivet-fuzz 1", device, variant and options; then a step a line
 *
 * Bytes that are no script's do not exist behind the magic: numbers are taken modulo what there is,
 * and what is cut off is zeroes. So whatever a fuzzer makes of a script is one, too.
 */
#ifndef MINIVET_TESTS_FUZZ_SCRIPT_H
#define MINIVET_TESTS_FUZZ_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define FUZZ_MAGIC      "MVF1"
#define FUZZ_HEAD_BYTES 8u
#define FUZZ_STEPS_MAX  512u
#define FUZZ_ARGS       4u
#define FUZZ_BYTES_MAX  4096u /* of a step's bytes */
#define FUZZ_FILE_MAX   (1u << 16)

enum fuzz_device {
    FUZZ_ECHO, /* the rings and what all devices have in common */
    FUZZ_BLK,
    FUZZ_SCSI,
    FUZZ_NET,
    FUZZ_CONSOLE,
    FUZZ_RNG,
    FUZZ_INPUT,
    FUZZ_GPU,
    FUZZ_BALLOON,
    FUZZ_VSOCK,
    FUZZ_RTC,
    FUZZ_FS,
    FUZZ_DEVICES,
};

enum fuzz_option {
    FUZZ_INDIRECT = 1 << 0,  /* chains are indirect where that is negotiated */
    FUZZ_READ_ONLY = 1 << 1, /* a disk */
    FUZZ_PLAIN = 1 << 2,     /* a backend that can do little */
    FUZZ_STRICT = 1 << 3,    /* the driver monitor watches */
    FUZZ_MANY = 1 << 4,      /* several queues, or ports of a console */
    FUZZ_4K = 1 << 5,        /* a disk of 4096-byte sectors */
    FUZZ_LATE = 1 << 6,      /* rings have gone round almost once: tests/harness/late.h */
    FUZZ_OPTION_BITS = 7,
    FUZZ_OPTIONS = (1 << FUZZ_OPTION_BITS) - 1,
};

/* The variants are rig_variants, then rig_legacy_variants. */
struct fuzz_head {
    uint8_t device, variant, options;
};

enum fuzz_op {
    /* The driver, as drivers are: the same on every transport and both rings. */
    FUZZ_START,
    FUZZ_OUT,
    FUZZ_FILL,
    FUZZ_IN,
    FUZZ_SEND,
    FUZZ_KICK,
    FUZZ_RESET,
    FUZZ_QUEUE_RESET,
    FUZZ_QUEUE_SETUP,
    FUZZ_CONFIG,
    FUZZ_IRQ,
    FUZZ_STATUS,
    FUZZ_EDIT,
    /* The host. */
    FUZZ_HOLD,
    FUZZ_RELEASE,
    FUZZ_FAIL,
    FUZZ_RESIZE,
    FUZZ_PACKET,
    FUZZ_ROOM,
    FUZZ_LINK,
    FUZZ_TIME,
    /* The driver, as no driver is. */
    FUZZ_AT,
    FUZZ_NOTIFY,
    FUZZ_BEND,
    FUZZ_POKE,
    FUZZ_MEM,
    FUZZ_GET,
    FUZZ_SET,
    FUZZ_ACCEPT,
    FUZZ_OPS,
};

#define FUZZ_FIRST_RAW FUZZ_AT

/* FUZZ_SEND: how */
enum {
    FUZZ_SEND_INDIRECT = 1, /* the other way than FUZZ_INDIRECT says */
    FUZZ_SEND_HELD = 2,     /* added, and published with the next one */
    FUZZ_SEND_SILENT = 4,   /* published without a notification */
    FUZZ_SEND_HOW = 8,
};

/* FUZZ_BEND: what is done to the next chain before it is published. */
enum fuzz_fault {
    FUZZ_LOOP,        /* its last descriptor goes on with its first */
    FUZZ_SELF,        /* its first with itself */
    FUZZ_NEXT,        /* its last with descriptor VALUE; packed: VALUE is its buffer id */
    FUZZ_HEAD,        /* the ring names VALUE */
    FUZZ_JUMP,        /* the ring's index goes on by VALUE; packed: the wrap bits are wrong */
    FUZZ_ADDR,        /* the first buffer's address is VALUE */
    FUZZ_LEN,         /* its length */
    FUZZ_FLAGS,       /* its flags, by exclusive or */
    FUZZ_LAST_FLAGS,  /* those of the last */
    FUZZ_TABLE_LEN,   /* an indirect table's length */
    FUZZ_TABLE_FLAGS, /* flags of the descriptor that names the table, by exclusive or */
    FUZZ_TWICE,       /* it is made available a second time */
    FUZZ_TABLE_END,   /* an indirect table is cut to VALUE bytes, the last of guest memory */
    FUZZ_FAULTS,
};

/* FUZZ_POKE: where */
enum {
    FUZZ_AREA_DESC,
    FUZZ_AREA_DRIVER,
    FUZZ_AREA_DEVICE,
    FUZZ_AREAS,
};

/* FUZZ_GET, FUZZ_SET: what the offset counts from */
enum fuzz_space {
    FUZZ_SPACE_REGS,   /* the virtio-mmio window; PCI: the common configuration */
    FUZZ_SPACE_CONFIG, /* the device's configuration */
    FUZZ_SPACE_NOTIFY, /* and ISR: PCI */
    FUZZ_SPACE_ISR,
    FUZZ_SPACE_PCI,  /* PCI configuration space */
    FUZZ_SPACE_BAR1, /* MSI-X */
    FUZZ_SPACE_PORT, /* the legacy BAR */
    FUZZ_SPACE_HOLE, /* where no memory is */
    FUZZ_SPACES,
};

struct fuzz_step {
    uint8_t op;
    uint64_t arg[FUZZ_ARGS];
    uint32_t len;
    const uint8_t *bytes;
};

/* Of a step: its name, and its operands: b w d are 1, 4, 8 bytes, h 2, s a string of bytes. */
struct fuzz_op_info {
    const char *name, *operands;
};

extern const struct fuzz_op_info fuzz_ops[FUZZ_OPS];
extern const char *const fuzz_device_names[FUZZ_DEVICES];

struct fuzz_script {
    struct fuzz_head head;
    unsigned count;
    struct fuzz_step steps[FUZZ_STEPS_MAX];
};

/* The bytes stay the caller's, and steps point into them. False: these are no script's. */
bool fuzz_script_decode(struct fuzz_script *s, const uint8_t *data, size_t len);
/* Returns the bytes; steps that do not fit are left out. */
size_t fuzz_script_encode(const struct fuzz_script *s, uint8_t *out, size_t max);

/* Is it the same to the guest on every transport and both rings? */
bool fuzz_script_is_portable(const struct fuzz_script *s);

void fuzz_script_show(const struct fuzz_script *s, FILE *out);
void fuzz_step_show(const struct fuzz_step *step, FILE *out);
/*
 * Text to bytes, in out. Returns how many, or 0 with what is wrong, and in which line, said on
 * `errors`.
 */
size_t fuzz_script_assemble(FILE *in, const char *name, uint8_t *out, size_t max, FILE *errors);

#endif
