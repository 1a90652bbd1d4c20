// SPDX-License-Identifier: BSD-2-Clause
/* --rtc, --smbios, --fw-cfg, --watchdog: what a machine has besides memory, processors and virtio
 * devices. */
#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <time.h>

#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "vmm/config/options.h"

#define NS_PER_S UINT64_C(1000000000)

/* Exactly as it is written by strftime(). */
static bool parse_date(const char *text, int64_t *time_s)
{
    static const char *const forms[] = {"%Y-%m-%dT%H:%M:%S", "%Y-%m-%d"};
    for (unsigned i = 0; i < ARRAY_SIZE(forms); i++) {
        struct tm tm = {0};
        char again[32] = "";
        const char *end = strptime(text, forms[i], &tm);
        if (end == NULL || *end != '\0')
            continue;
        *time_s = timegm(&tm); /* which carries what is out of range */
        return strftime(again, sizeof(again), forms[i], &tm) > 0 && strcmp(again, text) == 0;
    }
    return false;
}

/* Clocks of 32-bit seconds, such as PL031, show all of these. */
static int set_base(void *into, const char *value)
{
    static const struct schema_unit seconds[] = {{"", 1}};
    struct clock_choice *c = into;
    uint64_t s;
    c->kind = CLOCK_TIME; /* what lies between the two members stays zero, for comparisons */
    c->time_s = 0;
    if (strcmp(value, "utc") == 0)
        c->kind = CLOCK_UTC;
    else if (strcmp(value, "localtime") == 0)
        c->kind = CLOCK_LOCALTIME;
    else if (value[0] == '@' && schema_parse_unit(value + 1, seconds, 1, &s) == 0 &&
             s <= UINT32_MAX)
        c->time_s = (int64_t)s;
    else if (!parse_date(value, &c->time_s) || c->time_s < 0 || c->time_s > UINT32_MAX)
        return -EINVAL;
    return 0;
}

static const struct schema_key rtc_keys[] = {
    {"base", "utc|localtime|TIME", SCHEMA_TEXT, .set = set_base, .usual = "utc",
     .expected = "utc, localtime, a time in UTC from 1970 to 2105 such as 2024-02-29T12:00:00, or "
                 "@SECONDS since 1970",
     .help = "When the run begins: the host's time in UTC or of its time zone, or a time in UTC "
             "such as 2024-02-29T12:00:00 or @1709208000 (seconds since 1970)"},
    {0},
};

const struct schema_table config_rtc_tables[] = {{.keys = rtc_keys}, {0}};

/* ---- what it is called ---- */

/* As RFC 9562 writes it: 8-4-4-4-12 digits. */
static int set_uuid(void *into, const char *value)
{
    static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
    struct smbios_config *c = into;
    unsigned digits = 0;
    memset(c->uuid, 0, sizeof(c->uuid));
    if (strlen(value) != strlen(form))
        return -EINVAL;
    for (unsigned i = 0; form[i] != '\0'; i++) {
        int letter = tolower((unsigned char)value[i]);
        if (form[i] == '-' ? letter != '-' : !isxdigit(letter))
            return -EINVAL;
        if (form[i] == '-')
            continue;
        unsigned digit = (unsigned)(isdigit(letter) ? letter - '0' : letter - 'a' + 10);
        c->uuid[digits / 2] |= (uint8_t)(digits % 2 == 0 ? digit << 4 : digit);
        digits++;
    }
    return 0;
}

#define TEXT(member)                                                        \
#member, "TEXT", SCHEMA_CHARS, SCHEMA_AT(struct smbios_config, member), \
        .min = 1, .expected = "a text of 1 to 255 bytes"

static const struct schema_key smbios_keys[] = {
    {TEXT(manufacturer), .usual = "Minivet", .help = "Who made it"},
    {TEXT(product), .usual = "Minivet", .help = "Its name"},
    {TEXT(version), .usual = "Minivet's", .help = "Its version"},
    {TEXT(serial), .help =
                       "Its serial number; cloud-init takes one like ds=nocloud;s=URL for where "
                       "its data are"},
    {"uuid", "UUID", SCHEMA_TEXT, .set = set_uuid,
     .expected = "a UUID such as 123e4567-e89b-12d3-a456-426614174000",
     .help = "Its identity; without, it has none"},
    {TEXT(sku), .help = "Its stock-keeping number"},
    {TEXT(family), .help = "The family of products that it is of"},
    {"type", "1", SCHEMA_WORD, .help = NULL}, /* QEMU's users name the table */
    {0},
};

const struct schema_table config_smbios_tables[] = {{.keys = smbios_keys}, {0}};

/* ---- its clock ---- */

int64_t clock_choice_ahead_s(const struct clock_choice *clock, uint64_t wall_ns)
{
    time_t now = (time_t)(wall_ns / NS_PER_S);
    struct tm tm = {0};
    if (clock->kind == CLOCK_LOCALTIME)
        localtime_r(&now, &tm);
    return clock->kind == CLOCK_TIME ? clock->time_s - now : tm.tm_gmtoff;
}

/* ---- what the guest is given by a name ---- */

/* What is not under opt/ is the firmware's (QEMU's docs/specs/fw_cfg). */
static int set_file_name(void *into, const char *value)
{
    static const char opt[] = "opt/";
    bool good = strncmp(value, opt, sizeof(opt) - 1) == 0 && value[sizeof(opt) - 1] != '\0' &&
                strlen(value) < BOARD_FILE_NAME_BYTES;
    for (const char *c = value; *c != '\0'; c++)
        good = good && isgraph((unsigned char)*c);
    ((struct board_file *)into)->name = value;
    return good ? 0 : -EINVAL;
}

static const struct schema_key file_names[] = {
    {"name", "NAME", SCHEMA_FILE, .set = set_file_name,
     .expected = "a name such as opt/org.example/key, of up to 55 letters, digits and signs"},
    {0},
};

static const struct schema_key file_keys[] = {
    {"file", "FILE", SCHEMA_FILE, SCHEMA_AT(struct board_file, path), .min = 1,
     .expected = "a file name", .help = "What is in FILE, up to 16 MiB"},
    {"string", "TEXT", SCHEMA_TEXT, SCHEMA_AT(struct board_file, text), .help = "The text itself"},
    {0},
};

const struct schema_table config_fw_cfg_tables[] = {
    {.keys = file_names, .is_first = true}, {.keys = file_keys}, {0}};

int config_apply_fw_cfg(struct vm_config *c, const struct schema_key *option,
                        const struct cJSON *list)
{
    if (c->file_count == BOARD_FILES_MAX)
        return fail_msg(-EINVAL, "--fw-cfg: at most %u of them", BOARD_FILES_MAX);
    struct board_file *file = &c->files[c->file_count];
    *file = (struct board_file){0};
    int r = config_take(option, file, list);
    if (r < 0)
        return r;
    for (unsigned i = 0; i < c->file_count; i++)
        if (strcmp(c->files[i].name, file->name) == 0)
            return fail_msg(-EINVAL, "--fw-cfg %s: is there twice; give another name", file->name);
    if ((file->path != NULL) == (file->text != NULL))
        return fail_msg(-EINVAL, "--fw-cfg %s: give file=FILE or string=TEXT", file->name);
    c->file_count++;
    return 0;
}

/* ---- its watchdog ---- */

static const struct schema_key watchdog_keys[] = {
    {"action", "reset|exit|pause|none", SCHEMA_WORD, SCHEMA_AT(struct watchdog_choice, action),
     .usual = "reset",
     .help = "What follows when it has not been petted: a reset, which ends the run with status "
             "121 unless --reboot restart is given; that end, or a pause (see `minivet ctl`)"},
    {"timeout", "TIME", SCHEMA_TIME, SCHEMA_AT(struct watchdog_choice, boot_ns), .min = NS_PER_S,
     .expected = "a duration of at least a second, such as 30s or 2m",
     .help = "It runs from the start of the guest, which has to pet it, or to stop it, within TIME "
             "(at most an hour; arm64: 5m)"},
    {0},
};

const struct schema_table config_watchdog_tables[] = {
    {.keys = config_switch_words, .is_first = true}, {.keys = watchdog_keys, .only = "on"}, {0}};

int config_apply_watchdog(struct vm_config *c, const struct schema_key *option,
                          const struct cJSON *list)
{
    int off = config_take(option, &c->watchdog, list);
    c->watchdog.on = off == 0;
    return off < 0 ? off : 0;
}
