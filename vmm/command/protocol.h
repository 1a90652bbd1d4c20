// SPDX-License-Identifier: BSD-2-Clause
/*
 * What Minivet and its program in the guest (guest-images/command) tell each other of a command
 * that runs there: a file, ports of the virtio console, and messages on one of them.
 *
 * The file is a list of records: a letter of COMMAND_IS_..., a text, and a NUL.
 *
 * Ports carry bytes as they are and say nothing of their end, nor when a reader has left. So
 * messages say how many bytes a stream has.
 */
#ifndef MINIVET_VMM_COMMAND_PROTOCOL_H
#define MINIVET_VMM_COMMAND_PROTOCOL_H

#include "vmm/config/root_tags.h"

/* In the initramfs. */
#define COMMAND_FOLDER  "minivet"
#define COMMAND_PROGRAM COMMAND_FOLDER "/init"
#define COMMAND_FILE    COMMAND_FOLDER "/command"
#define COMMAND_MODULES COMMAND_FOLDER "/modules"

enum {
    COMMAND_IS_WORD = 'w',     /* the next word of the command */
    COMMAND_IS_VARIABLE = 'v', /* NAME=VALUE of its environment */
    COMMAND_IS_FOLDER = 'f',   /* where it begins */
    COMMAND_IS_TERMINAL = 't', /* it has one: COLUMNSxROWS */
    COMMAND_IS_JOINED = 'j',   /* its standard error is its standard output */

    /* Where the root is a directory of the host's, a virtio-fs device. */
    COMMAND_IS_MODULE = 'm',  /* a file of a driver, to be loaded behind those before it */
    COMMAND_IS_LIBRARY = 'l', /* the kernel's modules are a device, ROOT_MODULES_TAG */
    COMMAND_IS_NOTE = 'n',    /* where drivers come from, for messages */
    COMMAND_IS_ROOT = 'r',    /* what becomes of writes: a word of COMMAND_ROOT_... */
    COMMAND_IS_ADDRESS = 'a', /* of the first network card: "ADDRESS MASK GATEWAY NAMESERVER" */
};

#define COMMAND_ROOT_MEMORY  "memory"  /* they are kept in the guest's memory */
#define COMMAND_ROOT_KEPT    "kept"    /* in another directory of the host's */
#define COMMAND_ROOT_LIVE    "live"    /* in the directory itself */
#define COMMAND_ROOT_REFUSED "refused" /* nowhere */

#define COMMAND_PORT_PREFIX  "minivet."
#define COMMAND_PORT_CONTROL COMMAND_PORT_PREFIX "control"
#define COMMAND_PORT_STDIN   COMMAND_PORT_PREFIX "stdin"
#define COMMAND_PORT_STDOUT  COMMAND_PORT_PREFIX "stdout"
#define COMMAND_PORT_STDERR  COMMAND_PORT_PREFIX "stderr" /* not of one that is joined */
#define COMMAND_PORT_TTY     COMMAND_PORT_PREFIX "tty"    /* instead of stdin and stdout */

/* A message: what it is, and a value; then two more values. Little-endian. */
enum {
    COMMAND_MESSAGE_TYPE = 0,  /* u32 */
    COMMAND_MESSAGE_VALUE = 4, /* u32 */
    COMMAND_MESSAGE_A = 8,     /* u64 */
    COMMAND_MESSAGE_B = 16,    /* u64 */
    COMMAND_MESSAGE_BYTES = 24,
};

enum {
    /* From the guest. */
    COMMAND_HAS_BEGUN = 1, /* it is about to be run */
    COMMAND_HAS_ENDED = 2, /* with the status `value`; a, b: all that it wrote to stdout, stderr */

    /* To the guest. */
    COMMAND_SIGNAL = 16,    /* value: for the command */
    COMMAND_SIZE = 17,      /* its terminal's; value: columns, a: rows */
    COMMAND_INPUT_END = 18, /* a: all that stdin has */
    COMMAND_READER_GONE = 19 /* value 1: stdout has no reader any more; 2: stderr */,
};

#endif
