// SPDX-License-Identifier: BSD-2-Clause
/*
 * QEMU's firmware configuration device (its specification: docs/specs/fw_cfg of QEMU), by which a
 * host passes files to its guest: Linux's qemu_fw_cfg shows them in /sys/firmware/qemu_fw_cfg/
 * by_name, and systemd takes credentials from there. A selector of 16 bits and a register of data;
 * it never accesses guest memory (there is no DMA), and what the guest writes to it is dropped.
 *
 *   ports    ACPI id QEMU0002: the selector is little-endian, and a byte of data is behind it
 *   memory   "qemu,fw-cfg-mmio" in a device tree: up to 8 bytes of data, as they lie in memory, and
 *            the selector behind them, big-endian
 *
 * Any vCPU may access. They share the selector, so guests lock around it.
 */
#ifndef MINIVET_DEVICES_FW_CFG_H
#define MINIVET_DEVICES_FW_CFG_H

#include <stddef.h>
#include <stdint.h>

#include "core/ports/doorbell.h"

#define FW_CFG_PORTS        2
#define FW_CFG_MEMORY_BYTES 10
#define FW_CFG_NAME_BYTES   56 /* of a file's, its NUL included */

struct bus;
struct fw_cfg;

struct fw_cfg_file {
    char name[FW_CFG_NAME_BYTES];
    const void *data;
    uint32_t bytes;
};

struct fw_cfg_config {
    enum bus_space space; /* as which it has its registers */
    struct bus *bus;
    uint64_t base;
    const struct fw_cfg_file *files; /* they and their data outlive the device */
    unsigned count;                  /* at most FW_CFG_FILES_MAX */
};

#define FW_CFG_FILES_MAX 32u

/* Errors are reported. */
int fw_cfg_create(struct fw_cfg **out, const struct fw_cfg_config *config);
void fw_cfg_destroy(struct fw_cfg *f); /* NULL is allowed */

#endif
