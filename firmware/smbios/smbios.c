// SPDX-License-Identifier: BSD-2-Clause
#include "firmware/smbios/smbios.h"

#include <errno.h>
#include <string.h>

#include "core/base/fail.h"
#include "core/base/le.h"
#include "core/base/xmath.h"
#include "core/memory/gmem.h"
#include "firmware/x86/x86_layout.h"

#define ENTRY_BYTES 24u
#define TABLE_ROOM  (X86_SMBIOS_BYTES - ENTRY_BYTES)

enum { FIRMWARE = 0, SYSTEM = 1, CHASSIS = 3, BOOT_STATUS = 32, END = 127 };

#define NO_CHARACTERISTICS 0x08u /* of the firmware: none is told */
#define IS_VIRTUAL_MACHINE 0x10u
#define NO_RELEASE         0xffu
#define BY_POWER_SWITCH    6u
#define CHASSIS_OTHER      1u
#define STATE_SAFE         3u
#define SECURITY_UNKNOWN   2u

struct table {
    uint8_t *at;
    size_t bytes;
    uint16_t structures;
};

struct text {
    uint8_t field; /* the offset of the byte that has its number */
    const char *text;
};

static void append(struct table *t, const void *bytes, size_t len)
{
    BUG_ON(len > TABLE_ROOM - t->bytes);
    memcpy(t->at + t->bytes, bytes, len);
    t->bytes += len;
}

/* DSP0134 6.1: the fields, the texts that they number from 1 up, and a NUL; two if there are none.
 */
static void put(struct table *t, uint8_t *fields, uint8_t len, const struct text *texts,
                unsigned count)
{
    uint8_t number = 0;
    fields[1] = len;
    le16_put(fields + 2, t->structures++);
    for (unsigned i = 0; i < count; i++)
        if (texts[i].text[0] != '\0')
            fields[texts[i].field] = ++number;
    append(t, fields, len);
    for (unsigned i = 0; i < count; i++)
        if (texts[i].text[0] != '\0')
            append(t, texts[i].text, strlen(texts[i].text) + 1);
    append(t, "\0", number > 0 ? 1 : 2);
}

static void put_firmware(struct table *t)
{
    static const struct text texts[] = {
        {0x04, "Minivet"}, {0x05, MINIVET_VERSION}, {0x08, "01/01/2026"}};
    uint8_t f[0x18] = {FIRMWARE};
    le16_put(f + 0x06, X86_SMBIOS_GPA >> 4);
    f[0x0a] = NO_CHARACTERISTICS;
    f[0x13] = IS_VIRTUAL_MACHINE;
    memset(f + 0x14, NO_RELEASE, 4);
    put(t, f, sizeof(f), texts, ARRAY_SIZE(texts));
}

static const char *either(const char *text, const char *usual)
{
    return text[0] != '\0' ? text : usual;
}

/* DSP0134 7.2.1: the first three numbers of a UUID are little-endian. */
static void put_uuid(uint8_t *field, const uint8_t *uuid)
{
    static const uint8_t order[SMBIOS_UUID_BYTES] = {3, 2, 1,  0,  5,  4,  7,  6,
                                                     8, 9, 10, 11, 12, 13, 14, 15};
    for (unsigned i = 0; i < SMBIOS_UUID_BYTES; i++)
        field[i] = uuid[order[i]];
}

static void put_system(struct table *t, const struct smbios_config *c)
{
    const struct text texts[] = {{0x04, either(c->manufacturer, "Minivet")},
                                 {0x05, either(c->product, "Minivet")},
                                 {0x06, either(c->version, MINIVET_VERSION)},
                                 {0x07, c->serial},
                                 {0x19, c->sku},
                                 {0x1a, c->family}};
    uint8_t f[0x1b] = {SYSTEM};
    put_uuid(f + 0x08, c->uuid);
    f[0x18] = BY_POWER_SWITCH;
    put(t, f, sizeof(f), texts, ARRAY_SIZE(texts));
}

static void put_chassis(struct table *t, const struct smbios_config *c)
{
    const struct text texts[] = {{0x04, either(c->manufacturer, "Minivet")}};
    uint8_t f[0x16] = {CHASSIS};
    f[0x05] = CHASSIS_OTHER;
    memset(f + 0x09, STATE_SAFE, 3);
    f[0x0c] = SECURITY_UNKNOWN;
    put(t, f, sizeof(f), texts, ARRAY_SIZE(texts));
}

static void put_bare(struct table *t, uint8_t type, uint8_t len)
{
    uint8_t f[0x0b] = {type};
    put(t, f, len, NULL, 0);
}

/* DSP0134 5.2.2: the 64-bit entry point. */
static void write_entry(uint8_t *e, size_t table_bytes)
{
    static const uint8_t head[ENTRY_BYTES] = {'_', 'S', 'M', '3', '_', 0, ENTRY_BYTES, 3, 0, 0, 1};
    unsigned sum = 0;
    memcpy(e, head, sizeof(head));
    le32_put(e + 12, (uint32_t)table_bytes);
    le64_put(e + 16, X86_SMBIOS_GPA + ENTRY_BYTES);
    for (unsigned i = 0; i < ENTRY_BYTES; i++)
        sum += e[i];
    e[5] = (uint8_t)(0x100 - (sum & 0xff));
}

int smbios_write(const struct gmem *g, const struct smbios_config *config)
{
    uint8_t *room = gmem_ptr(g, X86_SMBIOS_GPA, X86_SMBIOS_BYTES, 16);
    if (room == NULL)
        return fail_msg(-ENOMEM,
                        "memory is too small for the SMBIOS tables, which are below 1 MiB");
    struct table t = {.at = room + ENTRY_BYTES};
    put_firmware(&t);
    put_system(&t, config);
    put_chassis(&t, config);
    put_bare(&t, BOOT_STATUS, 0x0b);
    put_bare(&t, END, 4);
    write_entry(room, t.bytes);
    return 0;
}
