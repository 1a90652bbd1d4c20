// SPDX-License-Identifier: BSD-2-Clause
//
// How the one console of a guest carries the three streams of a command. Two programs talk on it:
// streams.c in the guest, which runs the command, and streams-host.c on the host, which runs
// Minivet. An escape byte stands before what is not data.
#ifndef MINIVET_GUEST_STREAMS_H
#define MINIVET_GUEST_STREAMS_H

#define STREAMS_ESCAPE 0x10

// From the guest. Twice it is a byte of the data. What follows is standard output, standard error,
// or what others print on the console: the kernel, above all. That is also where it begins.
#define STREAMS_OUT     'o'
#define STREAMS_ERR     'e'
#define STREAMS_CONSOLE 'k'
// So many more bytes of standard input may come: none come before, while the console may still be
// set otherwise.
#define STREAMS_CREDIT       '+'
#define STREAMS_CREDIT_BYTES 1024
#define STREAMS_CREDITS      16
// The command has closed its standard input.
#define STREAMS_CLOSED 'c'

// To the guest: standard input has ended.
#define STREAMS_END '.'
// And a byte of the data that must not come as it is, as its exclusive-or with this: the escape
// itself, and what a Linux on hvc0 takes for its magic SysRq.
#define STREAMS_HIDE  0x40
#define STREAMS_SYSRQ 0x0f

#endif
