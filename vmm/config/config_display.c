// SPDX-License-Identifier: BSD-2-Clause
/* --display KIND,KEY,...: where a person sees the guest's pictures. */
#include <cJSON.h>

#include <errno.h>

#include "core/base/xmath.h"
#include "devices/display/vnc_listen.h"
#include "vmm/config/options.h"

#define AT(member) SCHEMA_AT(struct display_config, member)

static int set_vnc(void *into, const char *value)
{
    struct vnc_place unused;
    ((struct display_config *)into)->target = value;
    return vnc_place_parse(&unused, value) ? 0 : -EINVAL;
}

static const struct schema_key kinds[] = {
    /* enum display_kind */
    {"none", NULL, SCHEMA_SWITCH, .help = "Nowhere, but in what `minivet ctl screenshot` writes"},
    {"sdl", NULL, SCHEMA_SWITCH, .help = "A window for each monitor, on X11 or Wayland"},
    {"vnc", "ADDR", SCHEMA_TEXT, .set = set_vnc, .expected = VNC_ADDRESS,
     .help = "A VNC server: :1 (port 5901 of this host), HOST:1, unix:PATH"},
    {"png", "DIR", SCHEMA_FILE, AT(target), .min = 1,
     .help = "PNG files in a folder, at most ten a second"},
    {0},
};

static const struct schema_key vnc_keys[] = {
    {"password", "FILE", SCHEMA_FILE, AT(password), .min = 1,
     .help = "The file whose first line a client has to know"},
    {0},
};

const struct schema_table config_display_tables[] = {
    {.keys = kinds, .is_first = true}, {.keys = vnc_keys, .only = "vnc"}, {0}};

int config_apply_display(struct vm_config *c, const struct schema_key *option,
                         const struct cJSON *list)
{
    int kind = config_take(option, &c->display, list);
    c->display.kind = kind < 0 ? DISPLAY_NOWHERE : (enum display_kind)kind;
    return kind < 0 ? kind : 0;
}

static bool is_given(const struct vm_config *c, const char *option)
{
    return cJSON_GetObjectItemCaseSensitive(c->given, option) != NULL;
}

void config_resolve_display(struct vm_config *c)
{
    bool is_seen = c->display.kind != DISPLAY_NOWHERE, is_felt = is_seen && !is_given(c, "input");
    if (is_seen && !is_given(c, "gpu"))
        c->gpu.on = true;
    if (is_felt && c->display.kind != DISPLAY_PNG)
        c->input.on[INPUT_KEYBOARD] = c->input.on[INPUT_TABLET] = true;
}
