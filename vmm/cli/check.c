// SPDX-License-Identifier: BSD-2-Clause
/* `minivet check`: can this host run guests, and if not, what to do. */
#include <cJSON.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "core/ports/hv.h"
#include "kvm/kvm.h"
#include "vmm/cli/cli.h"
#include "vmm/cli/exit_code.h"
#include "vmm/sandbox/sandbox.h"

struct report {
    cJSON *rows; /* NULL: lines for people */
    bool ok;
};

static void add_row(struct report *r, bool ok, bool required, const char *what, const char *detail)
{
    r->ok &= ok || !required;
    if (r->rows == NULL) {
        printf("  %-7s %-28s %s\n", ok ? "ok" : required ? "MISSING" : "absent", what, detail);
        return;
    }
    cJSON *row = cJSON_CreateObject();
    cJSON_AddStringToObject(row, "what", what);
    cJSON_AddBoolToObject(row, "ok", ok);
    cJSON_AddBoolToObject(row, "required", required);
    cJSON_AddStringToObject(row, "detail", detail);
    cJSON_AddItemToArray(r->rows, row);
}

/* Returns whether there is hardware virtualization. */
static bool add_rows(struct report *r)
{
    struct hv_capability caps[64];
    int n = hv_kvm.capabilities(caps, ARRAY_SIZE(caps)); /* says what is wrong with /dev/kvm */
    add_row(r, n >= 0, true, "/dev/kvm", n >= 0 ? "can be opened" : "cannot be used");
    for (int i = 0; i < n; i++)
        add_row(r, caps[i].value > 0, caps[i].required, caps[i].name, caps[i].used_for);
    struct sandbox_report measures[SANDBOX_REPORTS];
    unsigned count = sandbox_measures(measures);
    for (unsigned i = 0; i < count; i++)
        add_row(r, measures[i].is_active, false, measures[i].what, measures[i].detail);
    const char *vt = hv_kvm.virtualization();
    add_row(r, vt != NULL, true, "hardware virtualization",
            vt != NULL ? vt : "/proc/cpuinfo shows none");
    return vt != NULL;
}

static int print_json(void)
{
    cJSON *top = cJSON_CreateObject();
    struct report r = {.rows = cJSON_AddArrayToObject(top, "checks"), .ok = true};
    if (r.rows != NULL)
        add_rows(&r);
    char *text = cJSON_AddBoolToObject(top, "can_run_guests", r.ok) ? cJSON_Print(top) : NULL;
    int status = r.ok ? 0 : EXIT_SETUP;
    if (text == NULL || puts(text) < 0) {
        fail(-ENOMEM, "check --json");
        status = EXIT_SETUP;
    }
    cJSON_free(text);
    cJSON_Delete(top);
    return status;
}

int cli_check(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--json") == 0)
        return print_json();
    if (argc > 1) {
        printf("usage: minivet check [--json]\n\n"
               "Says whether this host can run guests: access to /dev/kvm, hardware "
               "virtualization, and\n"
               "each KVM capability that Minivet uses; --json: for programs. Exit status: 0 it "
               "can, 125 "
               "it\n"
               "cannot.\n");
        return strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ? 0 : EXIT_USAGE;
    }
    struct report r = {.ok = true};
    if (!add_rows(&r))
        puts(hv_kvm.without_virtualization);
    puts(r.ok ? "\nThis host can run guests." : "\nThis host cannot run guests.");
    return r.ok ? 0 : EXIT_SETUP;
}
