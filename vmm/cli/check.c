// SPDX-License-Identifier: BSD-2-Clause
/* `minivet check`: can this host run guests, and if not, what to do. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "core/fail.h"
#include "core/hv.h"
#include "core/xmath.h"
#include "kvm/kvm.h"
#include "vmm/cli/cli.h"
#include "vmm/exit_code.h"

const char *cli_hardware_virtualization(void)
{
    FILE *f = fopen("/proc/cpuinfo", "re");
    if (f == NULL)
        return NULL;
    const char *found = NULL;
    char line[8192];
    while (found == NULL && fgets(line, sizeof(line), f) != NULL) {
        if (strncmp(line, "flags", 5) != 0)
            continue;
        char *rest = line;
        for (char *flag = strsep(&rest, " \t\n"); flag != NULL; flag = strsep(&rest, " \t\n")) {
            if (strcmp(flag, "vmx") == 0)
                found = "VT-x";
            else if (strcmp(flag, "svm") == 0)
                found = "AMD-V";
        }
        break;
    }
    fclose(f);
    return found;
}

static bool print_row(bool ok, bool required, const char *what, const char *detail)
{
    printf("  %-7s %-28s %s\n", ok ? "ok" : required ? "MISSING" : "absent", what, detail);
    return ok || !required;
}

int cli_check(int argc, char **argv)
{
    if (argc > 1) {
        printf(
            "usage: minivet check\n\n"
            "Says whether this host can run guests: access to /dev/kvm, VT-x or AMD-V, and each\n"
            "KVM capability that Minivet uses. Exit status: 0 it can, 125 it cannot.\n");
        return strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ? 0 : EXIT_USAGE;
    }
    struct hv_capability caps[64];
    int n = hv_kvm.capabilities(caps, ARRAY_SIZE(caps)); /* says what is wrong with /dev/kvm */
    bool ok = print_row(n >= 0, true, "/dev/kvm", n >= 0 ? "can be opened" : "see above");
    for (int i = 0; i < n; i++)
        ok &= print_row(caps[i].value > 0, caps[i].required, caps[i].name, caps[i].used_for);
    const char *vt = cli_hardware_virtualization();
    ok &= print_row(vt != NULL, true, "hardware virtualization",
                    vt != NULL ? vt : "/proc/cpuinfo shows neither vmx nor svm");
    if (vt == NULL)
        puts("\nWithout VT-x or AMD-V KVM, if there is one, emulates most of a kernel's code and "
             "stops\n"
             "at instructions that it does not know. Enable virtualization in the firmware's "
             "set-up,\n"
             "or nested virtualization where this host is itself a guest; or use tools/run-linux,\n"
             "which runs Minivet inside an emulated host.");
    puts(ok ? "\nThis host can run guests." : "\nThis host cannot run guests.");
    return ok ? 0 : EXIT_SETUP;
}
