// SPDX-License-Identifier: BSD-2-Clause
#include "arch/arch.h"
#include "firmware/kernel/boot_request.h"
#include "tests/harness/test.h"

static char last_error[128];

static void keep_error(void *ctx, enum log_level level, const char *line)
{
    (void)ctx;
    if (level == LOG_ERROR)
        snprintf(last_error, sizeof(last_error), "%s", line);
}

Test(arch_board, a_pc_has_no_device_tree)
{
    static const struct boot_request requests[] = {
        {.dtb = "t"}, {.dtb_overlay = "t"}, {.dump_dtb = "t"}};
    static const char *const names[] = {"--dtb:", "--dtb-overlay:", "--dump-dtb:"};
    log_set_sink(keep_error, NULL);
    for (unsigned i = 0; i < ARRAY_SIZE(requests); i++) {
        cr_expect_eq(arch_host.load_kernel(NULL, &requests[i]), -EINVAL);
        cr_expect_eq(strncmp(last_error, names[i], strlen(names[i])), 0, "%s", last_error);
        cr_expect_not_null(strstr(last_error, "ACPI"));
    }
}
