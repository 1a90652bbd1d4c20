// SPDX-License-Identifier: BSD-2-Clause
/*
 * PCI port: what the host bridge and a function behind it need of each other. (Implementations:
 * functions are made of devices/pci/function; the bridge is devices/platform/pci_host.)
 */
#ifndef MINIVET_CORE_PCI_H
#define MINIVET_CORE_PCI_H

#include <stdbool.h>
#include <stdint.h>

struct pci_function;

/* ---- registers of configuration space with a type 0 header (PCI 3.0 6.1) ---- */
enum {
    PCI_REG_VENDOR = 0x00,
    PCI_REG_DEVICE = 0x02,
    PCI_REG_COMMAND = 0x04,
    PCI_REG_STATUS = 0x06,
    PCI_REG_REVISION = 0x08,
    PCI_REG_CLASS = 0x09, /* interface, subclass, class */
    PCI_REG_CACHE_LINE = 0x0c,
    PCI_REG_HEADER_TYPE = 0x0e,
    PCI_REG_BAR = 0x10,
    PCI_REG_SUBSYSTEM_VENDOR = 0x2c,
    PCI_REG_SUBSYSTEM = 0x2e,
    PCI_REG_CAPABILITIES = 0x34,
    PCI_REG_INTERRUPT_LINE = 0x3c,
    PCI_REG_INTERRUPT_PIN = 0x3d,
    PCI_HEADER_BYTES = 0x40,
};

enum { /* command */
       PCI_CMD_IO = 0x0001,
       PCI_CMD_MEMORY = 0x0002,
       PCI_CMD_MASTER = 0x0004,
       PCI_CMD_PARITY = 0x0040,
       PCI_CMD_SERR = 0x0100,
       PCI_CMD_INTX_DISABLE = 0x0400,
};

enum { /* status */
       PCI_STATUS_INTX = 0x0008,
       PCI_STATUS_CAP_LIST = 0x0010,
       PCI_STATUS_RW1C = 0xf900,
};

enum { /* base address register */
       PCI_BAR_IS_IO = 0x1,
       PCI_BAR_IO_FLAGS = 0x3,
       PCI_BAR_IS_64 = 0x4,
       PCI_BAR_IS_PREFETCH = 0x8,
       PCI_BAR_MEM_FLAGS = 0xf,
};

#define PCI_BARS                6u
#define PCI_HEADER_TYPE_MASK    0x7fu
#define PCI_HEADER_TYPE_MULTI   0x80u /* the slot has more functions than number 0 */
#define PCI_INTERRUPT_LINE_NONE 0xffu

/* ---- the bridge's half ---- */
/*
 * A wired interrupt of one function; pin 0 is A (which the Interrupt Pin register calls 1). Any
 * thread; may be called under any lock.
 */
struct pci_intx {
    void (*set)(void *ctx, unsigned devfn, unsigned pin, bool level); /* NULL: not connected */
    void *ctx;
    unsigned devfn;
};

struct pci_window {
    uint64_t base;
    uint64_t bytes; /* 0: there is none */
};

/* The addresses that the bridge hands on. A BAR decodes inside one of them, whole, or not at all.
 */
struct pci_windows {
    struct pci_window memory32;
    struct pci_window memory64;
    struct pci_window ports;
};

/* ---- the function's half ---- */
struct pci_function_ops {
    /* On the thread of the vCPU that makes the access, which is inside one doubleword; offset +
     * width <= 4096. */
    uint32_t (*config_read)(struct pci_function *f, unsigned offset, unsigned width);
    void (*config_write)(struct pci_function *f, unsigned offset, unsigned width, uint32_t value);
    /* Once, when the function is put on the bus; the windows outlive it. May be NULL. */
    void (*connect)(struct pci_function *f, const struct pci_intx *intx,
                    const struct pci_windows *windows);
};

struct pci_function {
    const struct pci_function_ops *ops;
    const char *name;
};

#endif
