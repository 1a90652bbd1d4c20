// SPDX-License-Identifier: BSD-2-Clause
/* vmm/cli/stock_kernel.c: where a kernel is looked for, and what is said. */
#include "vmm/cli/stock_kernel.h"

#include "tests/harness/folder.h"
#include "tests/harness/test.h"
#include "vmm/cli/cli.h"
#include "vmm/cli/exit_code.h"
#include "vmm/config/config.h"

static char path[PATH_MAX];
static struct stock_kernel stock;

static void set_up(void)
{
    folder_enter();
    unsetenv("MINIVET_CACHE");
    unsetenv("XDG_CACHE_HOME");
    setenv("HOME", folder_path(), 1);
}

TestSuite(stock_kernel, .init = set_up, .fini = folder_leave);

static const char *in_dir(const char *name)
{
    snprintf(path, sizeof(path), "%s/%s", folder_path(), name);
    return path;
}

static void put(const char *name)
{
    char command[128];
    snprintf(command, sizeof(command), "mkdir -p $(dirname %s) && : >%s", name, name);
    cr_assert_eq(system(command), 0);
}

Test(stock_kernel, the_one_of_the_oldest_series_is_taken_with_its_initramfs)
{
    struct vm_config c = {0};
    put(".cache/minivet/images/6.12/vmlinuz");
    put(".cache/minivet/images/6.1/vmlinuz");
    cr_assert_eq(stock_kernel_choose(&stock, &c), 0);
    cr_expect_str_eq(c.kernel, in_dir(".cache/minivet/images/6.1/vmlinuz"));
    cr_expect_null(c.initrd);
    put(".cache/minivet/images/6.1/initramfs.gz");
    cr_assert_eq(stock_kernel_choose(&stock, &c), 0);
    cr_expect_str_eq(c.initrd, in_dir(".cache/minivet/images/6.1/initramfs.gz"));
    cr_expect(strstr(folder_line, c.kernel) != NULL && strstr(folder_line, c.initrd) != NULL, "%s",
              folder_line);
}

Test(stock_kernel, variables_name_the_folder)
{
    static const char *const names[] = {"h/.cache/minivet", "x/minivet", "m"};
    static const char *const variables[] = {"HOME", "XDG_CACHE_HOME", "MINIVET_CACHE"};
    for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
        struct vm_config c = {.initrd = "I"};
        char file[64], base[2] = {names[i][0], '\0'};
        snprintf(file, sizeof(file), "%s/images/6.1/vmlinuz", names[i]);
        put(file);
        setenv(variables[i], in_dir(base), 1);
        cr_assert_eq(stock_kernel_choose(&stock, &c), 0);
        cr_expect_str_eq(c.kernel, in_dir(file));
        cr_expect_str_eq(c.initrd, "I");
    }
}

Test(stock_kernel, without_one_the_way_to_it_is_said)
{
    char *argv[] = {"run", NULL};
    cr_expect_eq(cli_run(1, argv), EXIT_USAGE);
    cr_expect(strstr(folder_line, "minivet run KERNEL") != NULL &&
                  strstr(folder_line, "tools/run-linux") != NULL,
              "%s", folder_line);
    unsetenv("HOME");
    cr_expect_eq(stock_kernel_choose(&stock, &(struct vm_config){0}), -ENOENT);
}

/* What is booted is an input, as a kernel that was given is. */
Test(stock_kernel, it_is_not_written_over)
{
    char *argv[] = {"run", "--record", ".cache/minivet/images/6.1/vmlinuz", NULL};
    put(".cache/minivet/images/6.1/vmlinuz");
    cr_expect_eq(cli_run(3, argv), EXIT_USAGE);
    cr_expect_not_null(strstr(folder_line, "is the file of --kernel"));
}
