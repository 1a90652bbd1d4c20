// SPDX-License-Identifier: BSD-2-Clause
/*
 * The virtio devices of a machine: each with its backend, behind a virtio-mmio window or a function
 * on the PCI bus, as the user asked. In the order of their creation they get windows and PCI slots:
 * disks, network cards, console, rng, gpu, input devices.
 */
#ifndef MINIVET_VMM_VIRTIO_DEVICES_H
#define MINIVET_VMM_VIRTIO_DEVICES_H

#include <stdio.h>

#include "arch/arch.h"

struct blk_file;
struct blk_file_config;
struct bus;
struct cancel;
struct console;
struct chr_backend;
struct command;
struct display_backend;
struct evloop;
struct facts;
struct gmem;
struct hv;
struct hv_vm;
struct input_hub;
struct stats;
struct tape;
struct virtio_balloon;
struct virtio_devices;
struct vm_config;

/* All of it outlives the devices. */
struct virtio_devices_config {
    const struct arch *arch;
    const struct vm_config *vm;
    const struct hv *hv;
    struct hv_vm *hv_vm;
    struct bus *mmio;
    struct bus *pio;     /* NULL: the architecture has no port I/O */
    struct evloop *loop; /* the main one, of those that ask for no thread of their own */
    const struct gmem *gmem;
    struct chr_backend *terminal;    /* for the console; NULL if there is none */
    const struct command *command;   /* which has ports of it, or NULL */
    struct display_backend *display; /* of the main loop; NULL: no picture is seen */
    struct input_hub *input;         /* for input devices; NULL: a replay, or there are none */
    struct tape *tape;               /* NULL: they are on none */
    struct pci_function *function;   /* the board's, on the bus behind them; NULL: it has none */
    const struct cancel *cancel;     /* ends set-up early; NULL: nothing does */
};

/* Errors are reported. */
int virtio_devices_create(struct virtio_devices **out, const struct virtio_devices_config *config);

/* No thread runs the main loop. NULL is allowed. */
void virtio_devices_destroy(struct virtio_devices *d);

/* The threads that devices asked for, besides the main loop's. */
int virtio_devices_start(struct virtio_devices *d);
void virtio_devices_stop(struct virtio_devices *d);

/* On the main loop: waits for every disk's requests. */
void virtio_devices_drain(struct virtio_devices *d);

/* At the run's end: what the drivers did against the specification, with --strict. */
void virtio_devices_report(const struct virtio_devices *d);

/* On the main loop: adds the loops and the queues, in their order. -ENOMEM; reported. */
int virtio_devices_stats(const struct virtio_devices *d, struct stats *s);

/*
 * Any thread that is no loop's and no vCPU's, while the loops run: names the loops and each device;
 * or the device of that name (disk1, or what it is called) alone. -ENODEV: there is none.
 */
int virtio_devices_describe(const struct virtio_devices *d, const char *name, struct facts *f);

/*
 * On the main loop: which queues have chains that the driver has not been given back, as words in
 * one line; how many queues. Not of devices that another process serves.
 */
unsigned virtio_devices_print_in_flight(const struct virtio_devices *d, FILE *out);

/* On the main loop: the balloon, or NULL. */
struct virtio_balloon *virtio_devices_balloon(const struct virtio_devices *d);
/* Likewise the virtio console, see console.h. */
struct console *virtio_devices_console(const struct virtio_devices *d);

/* On the main loop: pulls the cable of a network card, or puts it back. -ENODEV: there is no such
 * card; -EOPNOTSUPP: another process or the kernel moves its packets. */
int virtio_devices_set_link(const struct virtio_devices *d, unsigned card, bool up);

/* On the main loop: blk_file_begin_resize() of a disk, or (is_done) blk_file_end_resize(). -ENODEV:
 * there is no such disk; -EOPNOTSUPP: it is no file of ours; -ERANGE: it is larger. */
int virtio_devices_resize(const struct virtio_devices *d, unsigned disk, uint64_t bytes,
                          bool is_done);

/*
 * On the main loop: another file for a disk (devices/disk/blk_file.h). The first says how it is to
 * be opened; -ENODEV: there is no such disk; -EOPNOTSUPP: it is no file of ours; -EPERM: it keeps
 * writes apart; -EMLINK: its queues have several threads. The second takes no more of the driver's
 * requests, and puts the file there as soon as none is in flight; then the driver is told, and all
 * goes on. -EAGAIN: one is, so ask again before long, or with NULL to let it go on as it was. Else
 * as blk_spare_exchange(), and all goes on as it was.
 */
int virtio_devices_begin_swap(const struct virtio_devices *d, unsigned disk,
                              struct blk_file_config *out);
int virtio_devices_swap(const struct virtio_devices *d, unsigned disk, struct blk_file *spare);

/* For what tells the guest where they are; it lives as long as the devices. */
struct board_devices virtio_devices_places(const struct virtio_devices *d);

#endif
