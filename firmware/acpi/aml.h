// SPDX-License-Identifier: BSD-2-Clause
/*
 * A writer of ACPI Machine Language (ACPI 6.5 20.2): as much of the language as describes devices
 * and their resources. It appends to a buffer of fixed size; what does not fit sets `overflow`
 * and is dropped, so only the end result needs a check.
 *
 * Things that hold other things are opened and closed:
 *
 *     size_t dev = aml_device(a, "COM1");
 *     aml_name(a, "_HID");
 *     aml_eisa_id(a, "PNP0501");
 *     aml_close(a, dev);
 *
 * The encoding is the shortest one everywhere, as the ACPICA compiler emits it.
 */
#ifndef MINIVET_FIRMWARE_AML_H
#define MINIVET_FIRMWARE_AML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct aml {
    uint8_t *buf;
    size_t capacity;
    size_t len; /* bytes written; never above capacity */
    bool overflow;
};

void aml_init(struct aml *a, void *buf, size_t capacity);

/* Bytes as they are, for the parts of a table that are not AML. */
void aml_bytes(struct aml *a, const void *src, size_t len);

/* ---- things that are closed again, innermost first ---- */
/* A name has four characters and is looked up from the scope it is in. */
size_t aml_scope(struct aml *a, const char *name);
size_t aml_device(struct aml *a, const char *name);
size_t aml_package(struct aml *a, uint8_t elements);
size_t aml_method(struct aml *a, const char *name, unsigned args);
size_t aml_if_arg0_is(struct aml *a, uint64_t value); /* in a method */
void aml_close(struct aml *a, size_t open);

/* ---- a name, followed by the one object that it names ---- */
void aml_name(struct aml *a, const char *name);
void aml_integer(struct aml *a, uint64_t value);
void aml_string(struct aml *a, const char *s);
void aml_eisa_id(struct aml *a, const char *id); /* three capitals, four hexadecimal digits */

/* ---- what a method does ---- */
void aml_notify(struct aml *a, const char *device, uint8_t value);

/* ---- a resource template (ACPI 6.5 6.4), an object; ends are inclusive ---- */
size_t aml_resources(struct aml *a);
void aml_resources_close(struct aml *a, size_t open);

/* What a device itself uses. Interrupts are edge-triggered, active high and not shared. */
void aml_res_ports(struct aml *a, uint16_t first, uint8_t count);
void aml_res_irq(struct aml *a, unsigned irq); /* ISA: 0 to 15 */
void aml_res_gsi(struct aml *a, uint32_t gsi);
void aml_res_memory(struct aml *a, uint32_t gpa, uint32_t bytes);

/* What a bridge hands on to the devices behind it: numbers of 2, 4 or 8 bytes. */
enum aml_space {
    AML_MEMORY,
    AML_PORTS,
    AML_BUS,
};
void aml_res_window(struct aml *a, enum aml_space space, unsigned width, uint64_t first,
                    uint64_t last);

#endif
