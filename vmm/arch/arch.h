// SPDX-License-Identifier: BSD-2-Clause
/*
 * Architecture port: what a machine of one processor architecture is. vmm/machine wires a machine
 * of any architecture and knows no address, interrupt number or table itself. A folder beside this
 * header has each architecture; the build takes the one of the host.
 *
 * The plain fields say where memory is, and where virtio-mmio windows and the PCI bus are. The
 * calls are the board's: the platform devices and their interrupts, how the guest learns of all
 * devices, where the kernel goes, and how a vCPU starts. Unless they say otherwise, all of them
 * come from the thread that makes the machine, before vCPUs run; errors are reported.
 */
#ifndef MINIVET_ARCH_ARCH_H
#define MINIVET_ARCH_ARCH_H

#include <stdbool.h>
#include <stdint.h>

#include "core/ports/pci.h"
#include "core/ports/power.h"

struct board;
struct boot_request;
struct bus;
struct chr_backend;
struct evloop;
struct facts;
struct gmem;
struct hv;
struct hv_vcpu;
struct hv_vm;
struct smbios_config;

/* What a guest starts and pets; it bites when it was not petted for long. */
struct board_watchdog {
    bool on;
    uint64_t boot_ns;           /* it runs from the start, for so long; 0: the guest starts it */
    bool has_bitten;            /* it is why the guest starts */
    void (*on_bite)(void *ctx); /* on the loop; ctx is the board's */
};

#define BOARD_FILES_MAX       32u
#define BOARD_FILE_NAME_BYTES 56u /* its NUL included */
#define BOARD_FILE_BYTES_MAX  (UINT64_C(16) << 20)

/* What the user passes to the guest by a name. */
struct board_file {
    const char *name;
    const char *path, *text; /* one of them; the other is NULL */
};

/* All of it outlives the board. */
struct board_config {
    const struct hv *hv;
    struct hv_vm *vm;
    const struct gmem *gmem;
    struct bus *mmio;
    struct bus *pio; /* NULL: the architecture has no port I/O */
    struct evloop *loop;
    struct power power;
    unsigned vcpus;
    int64_t clock_ahead_s;              /* the real-time clock's, of the host's */
    const struct smbios_config *smbios; /* NULL: the user has said nothing of it */
    const struct board_file *files;     /* first of file_count */
    unsigned file_count;
    struct board_watchdog watchdog;
    struct chr_backend *serial;                    /* of the serial port; NULL: there is none */
    void (*on_post_code)(void *ctx, uint8_t code); /* a vCPU's thread; the boot has come that far */
    void *ctx;
};

/* The devices that the machine has put where the fields of struct arch say. */
struct board_devices {
    unsigned virtio_windows; /* that are in use: the first ones */
    bool pci;                /* is anything on the bus? */
    const struct pci_windows *windows;
};

struct arch {
    const char *name;           /* as the kernel calls it: x86_64 */
    const char *serial_console; /* what Linux calls the serial port */

    /* RAM is from 0 up, and goes on behind this hole. */
    uint64_t hole_gpa, hole_end_gpa;
    uint64_t mmio_limit;      /* the first address beyond what a vCPU can access */
    uint64_t pio_limit;       /* likewise of ports; 0: there is no port I/O */
    uint64_t framebuffer_gpa; /* 0: its kernels learn of none */

    /* Window n is n strides above the first, and has the n-th interrupt: edge-triggered. */
    struct {
        uint64_t gpa, stride;
        unsigned count;
        const unsigned *irqs;
    } virtio;

    /* Bus 0. The wires of INTx have interrupts in a row, from `irq` up: level-triggered. */
    struct {
        uint64_t ecam_gpa, ecam_bytes;
        struct pci_window config_ports; /* of the first mechanism; bytes 0: there is ECAM only */
        struct pci_windows windows;     /* the 64-bit one only if RAM ends below it */
        unsigned irq;
    } pci;

    int (*board_create)(struct board **out, const struct board_config *config);
    /* No vCPU runs, nor does the loop elsewhere: what the guest has sent by then is written. */
    void (*board_flush)(struct board *b);
    /* On the loop: names how the platform devices stand. */
    void (*board_describe)(const struct board *b, struct facts *f);
    void (*board_destroy)(struct board *b); /* the same rule; NULL is allowed */

    /* What the board has on the PCI bus, if other devices are there. NULL: nothing. */
    struct pci_function *(*board_function)(struct board *b);
    /* Once all devices are there: leaves in guest memory how the guest finds them. */
    int (*describe)(struct board *b, const struct board_devices *devices);
    int (*load_kernel)(struct board *b, const struct boot_request *request);
    /* Presses a button, once the guest runs. Any thread, until board_destroy(). */
    void (*press)(struct board *b, enum power_button button);
    /* The guest is paused, or goes on: what counts its time stops, too. While no vCPU runs. */
    void (*hold)(struct board *b, bool on);
    /* After load_kernel(), for each vCPU: its state at power-on. */
    int (*power_on)(struct board *b, struct hv_vcpu *vcpu, unsigned id);
};

/* The host's. */
extern const struct arch arch_host;

#endif
