// SPDX-License-Identifier: BSD-2-Clause
/*
 * A test bench: memory with a hole, buses, a loop, one device behind any transport, and a driver
 * for it. rig_step() is what happens while the guest waits.
 */
#ifndef MINIVET_TESTS_HARNESS_RIG_H
#define MINIVET_TESTS_HARNESS_RIG_H

#include <stdbool.h>
#include <stdint.h>

#include "core/ports/pci.h"
#include "tests/harness/echo.h"
#include "tests/harness/fake.h"
#include "tests/harness/fake_display.h"
#include "tests/harness/fake_net.h"
#include "tests/harness/fake_share.h"
#include "tests/harness/fake_vsock.h"
#include "tests/harness/inputio.h"
#include "tests/harness/vdrv.h"
#include "virtio/base/device.h"

struct bus;
struct gmem;
struct rig;
struct state;

#define RIG_RAM_BYTES     UINT64_C(0x400000) /* half of it below the hole */
#define RIG_HOLE_GPA      UINT64_C(0x200000)
#define RIG_HOLE_END_GPA  UINT64_C(0x300000)
#define RIG_RAM_END_GPA   UINT64_C(0x500000)
#define RIG_WINDOW_GPA    UINT64_C(0x210000)
#define RIG_BAR_GPA       UINT64_C(0x220000) /* to the hole's end */
#define RIG_BAR_PORT      0x1000u
#define RIG_SHM_GPA       UINT64_C(0x280000) /* virtio-mmio */
#define RIG_DISK_BYTES    UINT64_C(0x100000)
#define RIG_BALLOON_BYTES UINT64_C(0x10000) /* that it is asked for at first */
#define RIG_CID           42u               /* of the guest */
#define RIG_PORTS         2u                /* of a console, beside port 0 */
#define RIG_GPU_BYTES     UINT64_C(0x1000000)
#define RIG_GPU_WIDTH     640u /* that its driver is asked for */
#define RIG_GPU_HEIGHT    480u

enum rig_transport {
    RIG_MMIO,
    RIG_MMIO_LEGACY,
    RIG_PCI,
    RIG_PCI_LEGACY,       /* a transitional function, driven by the legacy interface */
    RIG_PCI_TRANSITIONAL, /* the same, driven by the modern one */
    RIG_TRANSPORTS,
};

/*
 * A machine to put the device into in place of the fakes. open() fills in what is not a function,
 * when memory, buses and loop of the rig are made; close() comes before they end.
 */
struct rig_machine {
    void (*open)(struct rig_machine *m, struct rig *rig);
    void (*close)(struct rig_machine *m);
    /* Puts a function behind a bridge; returns what the guest's configuration accesses go to. */
    struct pci_function *(*plug)(struct rig_machine *m, struct pci_function *func,
                                 const struct pci_windows *windows);
    void (*unplug)(struct rig_machine *m); /* the device: no vCPU is in it any more */
    /* What the guest took since the last time: of the message with that data, or of the line. */
    unsigned (*msi_take)(struct rig_machine *m, uint32_t data);
    unsigned (*irq_take)(struct rig_machine *m);

    struct irq_line irq;
    struct msi_sink msi;
    struct doorbell doorbell;
    struct bus *mmio, *pio; /* accesses of the guest */
};

/* A zeroed one is virtio-mmio with a split ring. */
struct rig_config {
    enum rig_transport transport;
    bool packed; /* offers the packed ring, and the driver takes it */
    bool intx;   /* PCI: no MSI-X */
    bool strict;
    uint64_t features_on, features_off; /* see struct virtio_device_config */
    uint64_t always;                    /* features that the driver adds to those it is told */
    uint32_t queue_size_max;            /* 0: the device's default */
    unsigned queues;    /* echo: 0 is two; disk, network (pairs), files (for requests): 0 is one */
    uint64_t shm_bytes; /* echo: one shared memory region; 0: none */
    bool rss;           /* network */
    unsigned ports;     /* console, beside port 0: RIG_PORTS or none */
    enum input_kind input; /* 0 is a keyboard */
    bool read_only;        /* disk */
    bool plain; /* disk: reads, writes and flushes, and tells nothing; network: no offloads */
    bool write_through;           /* disk */
    uint32_t logical_bytes;       /* disk: 0 is 512 */
    uint64_t disk_bytes;          /* 0: RIG_DISK_BYTES */
    unsigned scanouts;            /* GPU: 0 is two */
    uint64_t gpu_bytes;           /* GPU: its memory; 0: RIG_GPU_BYTES */
    uint64_t ram_bytes, hole_gpa; /* 0: RIG_RAM_BYTES, RIG_HOLE_GPA; the hole's end is the same */
    /* Memory, buses and loop outlive rig_close(), for the next opening of the same rig, which was
     * zeroed before its first one; rig_end_host() ends them. */
    bool keep_host;
    struct rig_machine *machine; /* NULL: the fakes; the same from opening to opening */
};

struct rig {
    struct rig_config cfg;
    struct gmem *gmem;
    struct bus *bus, *pio;
    struct bus *guest_bus, *guest_pio; /* where the driver makes its accesses */
    struct evloop *loop;
    struct clock clock;
    struct fake_clock time;
    struct fake_irq irq; /* virtio-mmio, INTx */
    struct fake_msi msi;
    struct msi_sink sink; /* to it */
    struct fake_doorbell bell;
    struct virtio_device *dev;
    struct virtio_device *(*make)(struct rig *rig); /* of its kind; NULL: it is the test's own */
    struct virtio_mmio *mmio;                       /* or */
    struct virtio_pci *pci;
    struct pci_function *func; /* as the driver sees it */
    struct pci_intx intx;
    struct pci_windows windows;
    unsigned queue_irqs, config_irqs; /* of a shared line: seen, and not asked for yet */
    /* The driver watches what resets change: vdrv_watch.h. Beside `disk` the device has those,
     * whose requests may end in a reset. */
    bool watched;
    const struct fake_blk *disks;
    unsigned disk_count;
    struct vdrv drv;

    /* Which of them there is says the rig_open_ function. */
    struct echo echo;
    struct virtio_blk *blk;
    struct fake_blk disk;
    struct virtio_rng *rng;
    struct fake_entropy random;
    struct entropy entropy;
    struct virtio_balloon *balloon;
    struct virtio_rtc *rtc;
    unsigned counter_looks; /* at the counter of the guest's processors, for rtc */
    int counter_error;      /* what such a look ends with */
    struct virtio_vsock *vsock;
    struct fake_vsock sockets;
    struct virtio_console *console;
    struct fake_chr chr;
    struct fake_chr *ports;   /* of the others; NULL: there are none */
    struct virtio_scsi *scsi; /* its target 0 is the disk */
    struct virtio_net *net;
    struct fake_net ether;
    struct virtio_gpu *gpu;
    struct fake_display display;
    struct virtio_fs *fs;
    struct fake_share files;
    struct virtio_input *input;
    struct fake_input person;
    uint64_t event_gpa[INPUTIO_IDS]; /* inputio.c, portio.c: of the buffer with that id */
};

void rig_open_echo_on(struct rig *rig, const struct rig_config *config);
void rig_open_blk_on(struct rig *rig, const struct rig_config *config);
void rig_open_rng_on(struct rig *rig, const struct rig_config *config);
void rig_open_balloon_on(struct rig *rig, const struct rig_config *config);
void rig_open_rtc_on(struct rig *rig, const struct rig_config *config);
void rig_open_vsock_on(struct rig *rig, const struct rig_config *config);
void rig_open_console_on(struct rig *rig, const struct rig_config *config);
void rig_open_scsi_on(struct rig *rig, const struct rig_config *config);
void rig_open_net_on(struct rig *rig, const struct rig_config *config);
void rig_open_gpu_on(struct rig *rig, const struct rig_config *config);
void rig_open_fs_on(struct rig *rig, const struct rig_config *config);
void rig_open_input_on(struct rig *rig, const struct rig_config *config);

/* The same on virtio-mmio with a split ring. */
void rig_open_echo(struct rig *rig);
void rig_open_blk(struct rig *rig, bool read_only);
void rig_open_rng(struct rig *rig);
void rig_open_console(struct rig *rig);

/*
 * For a device that is the test's own: memory, buses and a loop; then a transport and a driver for
 * the device. The test ends the device after rig_unplug() and before rig_close().
 */
void rig_open_host(struct rig *rig, const struct rig_config *config);
void rig_plug(struct rig *rig, struct virtio_device *dev);
/* PCI: gives the function's BARs their addresses and finds it again, as another guest would. */
void rig_find_device(struct rig *rig);
void rig_unplug(struct rig *rig);

/* For such a device: on the bench, by its configuration. */
struct virtio_setup rig_setup(const struct rig *rig, const char *name);

/* What test cases call the configuration; a string constant. */
const char *rig_config_name(const struct rig_config *config);

/*
 * The transports and rings that a driver of today may use; rig_legacy_variants are the others. For
 * a loop over them, with RIG_VARIANTS and RIG_LEGACY_VARIANTS.
 */
#define RIG_VARIANTS        5
#define RIG_LEGACY_VARIANTS 2
#define RIG_ALL_VARIANTS    (RIG_VARIANTS + RIG_LEGACY_VARIANTS)
#define rig_variants        rig_all_variants
#define rig_legacy_variants (rig_all_variants + RIG_VARIANTS)
extern const struct rig_config rig_all_variants[RIG_ALL_VARIANTS];

void rig_close(struct rig *rig);
void rig_end_host(struct rig *rig);

/* Saves or loads the device and its transport. */
void rig_state(struct rig *rig, struct state *s);
/* Ends them, and makes fresh ones in front of the same back end. The driver goes on. */
void rig_renew(struct rig *rig);

/* Until the loop has nothing to do. */
void rig_step(struct rig *rig);
/* Shows the queue's chains to the device, and lets it serve them. */
void rig_kick(struct rig *rig, unsigned queue);
/* vdrv_start(), which must succeed, and the device's first look at its queues. */
void rig_start(struct rig *rig, uint64_t features, unsigned queues, uint32_t size);

/* Of a console with ports: the i-th of them comes, or goes; as the device said, and whether it was
 * there. */
int rig_add_port(struct rig *rig, unsigned i);
bool rig_remove_port(struct rig *rig, unsigned i);

/* DEVICE_NEEDS_RESET */
bool rig_is_broken(struct rig *rig);

/*
 * Interrupts since the last time it was asked: for used buffers of a queue, for the configuration.
 * With MSI-X they are the messages of that vector, and such as came between two questions may count
 * as one. Else one line carries all: reads and acknowledges the interrupt status, and if both kinds
 * came, one is taken to be the configuration's; the queue does not matter.
 */
unsigned rig_queue_irqs(struct rig *rig, unsigned queue);
unsigned rig_config_irqs(struct rig *rig);

#endif
