// SPDX-License-Identifier: BSD-2-Clause
#include "firmware/acpi/aml.h"

#include <string.h>

#include "core/base/fail.h"
#include "core/base/le.h"

/* ACPI 6.5 20.3, table 20.2 */
enum {
    OP_ZERO = 0x00,
    OP_ONE = 0x01,
    OP_NAME = 0x08,
    OP_BYTE = 0x0a,
    OP_WORD = 0x0b,
    OP_DWORD = 0x0c,
    OP_STRING = 0x0d,
    OP_QWORD = 0x0e,
    OP_SCOPE = 0x10,
    OP_BUFFER = 0x11,
    OP_PACKAGE = 0x12,
    OP_METHOD = 0x14,
    OP_EXT = 0x5b,
    OP_ARG0 = 0x68,
    OP_EXT_DEVICE = 0x82, /* after OP_EXT */
    OP_NOTIFY = 0x86,
    OP_EQUAL = 0x93,
    OP_IF = 0xa0,
};

/* Resource descriptors: ACPI 6.5 6.4.2 and 6.4.3; small ones carry their length in the tag. */
enum {
    RES_IRQ = 0x22,
    RES_PORTS = 0x47,
    RES_END = 0x79,
    RES_MEMORY32_FIXED = 0x86,
    RES_DWORD_SPACE = 0x87,
    RES_WORD_SPACE = 0x88,
    RES_INTERRUPT = 0x89,
    RES_QWORD_SPACE = 0x8a,
};

/* General flags of an address space: handed on, both ends fixed, decoded positively. */
#define SPACE_FIXED_WINDOW 0x0c
/* And those of each space: writable memory, all ports. */
static const uint8_t space_flags[] = {[AML_MEMORY] = 0x01, [AML_PORTS] = 0x03, [AML_BUS] = 0};

#define INTERRUPT_CONSUMER_EDGE 0x03 /* not shared, active high, edge, for the device itself */

void aml_init(struct aml *a, void *buf, size_t capacity)
{
    *a = (struct aml){.buf = buf, .capacity = capacity};
}

static void insert(struct aml *a, size_t at, const void *src, size_t len)
{
    if (a->overflow || len > a->capacity - a->len) {
        a->overflow = true;
        return;
    }
    memmove(a->buf + at + len, a->buf + at, a->len - at);
    memcpy(a->buf + at, src, len);
    a->len += len;
}

void aml_bytes(struct aml *a, const void *src, size_t len)
{
    insert(a, a->len, src, len);
}

static void put_byte(struct aml *a, unsigned byte)
{
    uint8_t b = (uint8_t)byte;

    aml_bytes(a, &b, 1);
}

static void put_name(struct aml *a, const char *name)
{
    BUG_ON(strlen(name) != 4);
    aml_bytes(a, name, 4);
}

size_t aml_scope(struct aml *a, const char *name)
{
    size_t open;

    put_byte(a, OP_SCOPE);
    open = a->len;
    put_name(a, name);
    return open;
}

size_t aml_device(struct aml *a, const char *name)
{
    size_t open;

    put_byte(a, OP_EXT);
    put_byte(a, OP_EXT_DEVICE);
    open = a->len;
    put_name(a, name);
    return open;
}

size_t aml_package(struct aml *a, uint8_t elements)
{
    size_t open;

    put_byte(a, OP_PACKAGE);
    open = a->len;
    put_byte(a, elements);
    return open;
}

/* Flags of a method: how many arguments; not serialized. */
size_t aml_method(struct aml *a, const char *name, unsigned args)
{
    size_t open;

    BUG_ON(args > 7);
    put_byte(a, OP_METHOD);
    open = a->len;
    put_name(a, name);
    put_byte(a, args);
    return open;
}

size_t aml_if_arg0_is(struct aml *a, uint64_t value)
{
    size_t open;

    put_byte(a, OP_IF);
    open = a->len;
    put_byte(a, OP_EQUAL);
    put_byte(a, OP_ARG0);
    aml_integer(a, value);
    return open;
}

/*
 * PkgLength (ACPI 6.5 20.2.4) counts itself. Up to 63 it is one byte; else the first byte's top
 * two bits say how many bytes follow and its low four bits are the lowest of the number.
 */
void aml_close(struct aml *a, size_t open)
{
    uint8_t enc[4];
    size_t len, extra = 0;

    if (a->overflow)
        return;
    len = a->len - open + 1;
    if (len < 64) {
        enc[0] = (uint8_t)len;
    } else {
        while (extra < 3 && (extra == 0 || len >> (4 + 8 * extra) != 0)) {
            extra++;
            len++;
        }
        BUG_ON(len >> (4 + 8 * extra) != 0);
        enc[0] = (uint8_t)(extra << 6 | (len & 0xf));
        for (size_t i = 1; i <= extra; i++)
            enc[i] = (uint8_t)(len >> (8 * i - 4));
    }
    insert(a, open, enc, 1 + extra);
}

void aml_name(struct aml *a, const char *name)
{
    put_byte(a, OP_NAME);
    put_name(a, name);
}

/* Returns how many bytes of enc, which holds nine, were used. */
static size_t encode_integer(uint8_t *enc, uint64_t value)
{
    unsigned width;

    if (value <= 1) {
        enc[0] = value == 0 ? OP_ZERO : OP_ONE;
        return 1;
    }
    if (value <= UINT8_MAX) {
        enc[0] = OP_BYTE;
        width = 1;
    } else if (value <= UINT16_MAX) {
        enc[0] = OP_WORD;
        width = 2;
    } else if (value <= UINT32_MAX) {
        enc[0] = OP_DWORD;
        width = 4;
    } else {
        enc[0] = OP_QWORD;
        width = 8;
    }
    le_put(enc + 1, value, width);
    return 1 + width;
}

void aml_integer(struct aml *a, uint64_t value)
{
    uint8_t enc[9];

    aml_bytes(a, enc, encode_integer(enc, value));
}

void aml_string(struct aml *a, const char *s)
{
    put_byte(a, OP_STRING);
    aml_bytes(a, s, strlen(s) + 1);
}

static unsigned hex_digit(char c)
{
    BUG_ON(!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'F')));
    return (unsigned)(c <= '9' ? c - '0' : c - 'A' + 10);
}

/* ACPI 6.5 19.3.4: letters in five bits each, digits in four, the whole in big-endian order. */
void aml_eisa_id(struct aml *a, const char *id)
{
    uint32_t v = 0;
    uint8_t enc[5];

    BUG_ON(strlen(id) != 7);
    for (unsigned i = 0; i < 3; i++)
        v = v << 5 | ((uint32_t)id[i] - '@');
    for (unsigned i = 3; i < 7; i++)
        v = v << 4 | hex_digit(id[i]);
    enc[0] = OP_DWORD;
    for (unsigned i = 0; i < 4; i++)
        enc[1 + i] = (uint8_t)(v >> (24 - 8 * i));
    aml_bytes(a, enc, sizeof(enc));
}

void aml_notify(struct aml *a, const char *device, uint8_t value)
{
    put_byte(a, OP_NOTIFY);
    put_name(a, device);
    aml_integer(a, value);
}

size_t aml_resources(struct aml *a)
{
    put_byte(a, OP_BUFFER);
    return a->len;
}

/* The end tag's checksum of 0 means "not computed" (ACPI 6.5 6.4.2.9). */
void aml_resources_close(struct aml *a, size_t open)
{
    static const uint8_t end[] = {RES_END, 0};
    uint8_t enc[9];

    aml_bytes(a, end, sizeof(end));
    if (a->overflow)
        return;
    insert(a, open, enc, encode_integer(enc, a->len - open));
    aml_close(a, open);
}

void aml_res_ports(struct aml *a, uint16_t first, uint8_t count)
{
    uint8_t d[8] = {RES_PORTS, 1 /* decodes 16 bits */};

    le16_put(d + 2, first);
    le16_put(d + 4, first);
    d[6] = 1; /* alignment */
    d[7] = count;
    aml_bytes(a, d, sizeof(d));
}

void aml_res_irq(struct aml *a, unsigned irq)
{
    uint8_t d[3] = {RES_IRQ};

    BUG_ON(irq > 15);
    le16_put(d + 1, (uint16_t)(1u << irq));
    aml_bytes(a, d, sizeof(d));
}

void aml_res_gsi(struct aml *a, uint32_t gsi)
{
    uint8_t d[9] = {RES_INTERRUPT, 6, 0, INTERRUPT_CONSUMER_EDGE, 1 /* interrupt follows */};

    le32_put(d + 5, gsi);
    aml_bytes(a, d, sizeof(d));
}

void aml_res_memory(struct aml *a, uint32_t gpa, uint32_t bytes)
{
    uint8_t d[12] = {RES_MEMORY32_FIXED, 9, 0, 1 /* writable */};

    le32_put(d + 4, gpa);
    le32_put(d + 8, bytes);
    aml_bytes(a, d, sizeof(d));
}

/* ACPI 6.5 6.4.3.5: after the flags, five numbers of one width; granularity and offset stay 0. */
void aml_res_window(struct aml *a, enum aml_space space, unsigned width, uint64_t first,
                    uint64_t last)
{
    uint8_t d[6 + 5 * 8] = {0};
    size_t len = 6 + 5 * width;

    BUG_ON(last < first);
    d[0] = width == 2 ? RES_WORD_SPACE : width == 4 ? RES_DWORD_SPACE : RES_QWORD_SPACE;
    le16_put(d + 1, (uint16_t)(len - 3));
    d[3] = (uint8_t)space;
    d[4] = SPACE_FIXED_WINDOW;
    d[5] = space_flags[space];
    le_put(d + 6 + width, first, width);
    le_put(d + 6 + 2 * width, last, width);
    le_put(d + 6 + 4 * width, last - first + 1, width);
    aml_bytes(a, d, len);
}
