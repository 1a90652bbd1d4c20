// SPDX-License-Identifier: BSD-2-Clause
/*
 * SMBIOS tables (DSP0134 3.0): what a machine is called. Types 0 (firmware, which says that this is
 * a virtual machine), 1 (system), 3 (chassis), 32 (boot status) and 127 (the end).
 */
#ifndef MINIVET_FIRMWARE_SMBIOS_H
#define MINIVET_FIRMWARE_SMBIOS_H

#include <stdint.h>

#define SMBIOS_TEXT_BYTES 256 /* with the NUL */
#define SMBIOS_UUID_BYTES 16

struct gmem;

/* Of the system; "": the default, or none. */
struct smbios_config {
    char manufacturer[SMBIOS_TEXT_BYTES]; /* Minivet */
    char product[SMBIOS_TEXT_BYTES];      /* Minivet */
    char version[SMBIOS_TEXT_BYTES];      /* Minivet's */
    char serial[SMBIOS_TEXT_BYTES];
    char sku[SMBIOS_TEXT_BYTES];
    char family[SMBIOS_TEXT_BYTES];
    uint8_t uuid[SMBIOS_UUID_BYTES]; /* in the order in which it is written; 0: none */
};

/*
 * Writes the tables into guest memory at X86_SMBIOS_GPA, where guests look for the entry point.
 * Before the guest runs. 0, or -ENOMEM if memory ends below; reported.
 */
int smbios_write(const struct gmem *g, const struct smbios_config *config);

#endif
