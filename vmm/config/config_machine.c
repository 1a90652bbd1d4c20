// SPDX-License-Identifier: BSD-2-Clause
/* --rtc: what a machine has besides memory, processors and virtio devices. */
#include <errno.h>
#include <string.h>
#include <time.h>

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
    *c = (struct clock_choice){.kind = CLOCK_TIME};
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

int64_t clock_choice_ahead_s(const struct clock_choice *clock, uint64_t wall_ns)
{
    time_t now = (time_t)(wall_ns / NS_PER_S);
    struct tm tm = {0};
    if (clock->kind == CLOCK_LOCALTIME)
        localtime_r(&now, &tm);
    return clock->kind == CLOCK_TIME ? clock->time_s - now : tm.tm_gmtoff;
}
