// SPDX-License-Identifier: BSD-2-Clause
/* --root DIR: the option, what vmm/cli/root.c finds on the host, and what the guest gets. */
#include "vmm/cli/root.h"

#include <cJSON.h>

#include "firmware/kernel/cpio.h"
#include "tests/harness/folder.h"
#include "tests/harness/test.h"
#include "vmm/cli/stock_kernel.h"
#include "vmm/command/command.h"
#include "vmm/command/modules.h"
#include "vmm/config/config.h"

static struct vm_config vm;
static struct stock_kernel stock;
static char path[PATH_MAX];

static const char *in_dir(const char *name)
{
    snprintf(path, sizeof(path), "%s/%s", folder_path(), name);
    return path;
}

static void shell(const char *line)
{
    cr_assert_eq(system(line), 0, "%s", line);
}

static void put(const char *name, const char *text)
{
    char line[512];
    snprintf(line, sizeof(line), "mkdir -p $(dirname %s)", name);
    shell(line);
    FILE *file = fopen(name, "w");
    cr_assert_not_null(file);
    fputs(text, file);
    fclose(file);
}

static void set_up(void)
{
    folder_enter();
    clearenv();
    setenv("PATH", "/usr/bin:/sbin", 1);
    put("kernels/vmlinuz-6.1.9", "x");
    shell("mkdir -p root/bin root/home/u root/sub 'ro,ot'");
}

static void tear_down(void)
{
    config_free(&vm);
    folder_leave();
}

TestSuite(root, .init = set_up, .fini = tear_down);

static int parse(char **words)
{
    int count = 0;
    while (words[count] != NULL)
        count++;
    return config_parse(&vm, count, words);
}

static void choose(char *root)
{
    char *words[] = {"run", "--root", root, "kernels/vmlinuz-6.1.9", "--", "true", NULL};
    cr_assert_eq(parse(words), 0, "%s", folder_line);
    cr_assert_eq(root_choose(&vm, &stock), 0, "%s", folder_line);
}

static void expect_refused(char *root, const char *why)
{
    char *words[] = {"run", "--root", root, "kernels/vmlinuz-6.1.9", "--", "true", NULL};
    int r = parse(words);
    if (r == 0)
        r = root_choose(&vm, &stock);
    cr_expect_lt(r, 0, "%s", root);
    cr_expect_not_null(strstr(folder_line, why), "%s: %s", root, folder_line);
    config_free(&vm);
}

static const char *variable(const char *name)
{
    const cJSON *v;
    size_t len = strlen(name);
    cJSON_ArrayForEach(v, vm.env)
    {
        if (strncmp(v->valuestring, name, len) == 0 && v->valuestring[len] == '=')
            return v->valuestring + len + 1;
    }
    return NULL;
}

/* ---- the option ---- */

Test(root, writes_go_where_it_says)
{
    static const struct {
        char *text;
        enum root_writes writes;
    } cases[] = {{"root", ROOT_MEMORY},
                 {"root,rw", ROOT_LIVE},
                 {"root,ro", ROOT_REFUSED},
                 {"root,overlay=kernels", ROOT_KEPT},
                 {"ro,,ot", ROOT_MEMORY}};
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        choose(cases[i].text);
        cr_expect_eq(vm.root.writes, cases[i].writes, "%s", cases[i].text);
        config_free(&vm);
    }
    expect_refused("root,rw,ro", "one of them is enough");
    expect_refused("root,rw,overlay=kernels", "one of them is enough");
}

Test(root, what_is_no_directory_is_refused)
{
    expect_refused("none", "none: No such file");
    expect_refused("kernels/vmlinuz-6.1.9", "is not a directory");
    expect_refused("root,overlay=none", "overlay=none: No such file");
    expect_refused("root,modules=root", "no modules.dep there, nor in its lib/modules/6.1.9");
}

Test(root, one_run_at_a_time_has_an_overlay)
{
    choose("root,overlay=kernels");
    config_free(&vm);
    expect_refused("root,overlay=kernels", "another run has it");
}

/* ---- modules ---- */

Test(root, modules_are_found_where_they_may_be)
{
    static const char *const places[] = {"root/lib/modules/6.1.9", "kernels/lib/modules/6.1.9"};
    char file[128];
    choose("root");
    cr_expect_null(vm.root.module_folder);
    cr_expect_not_null(strstr(vm.root.note, "root/lib/modules/6.1.9"), "%s", vm.root.note);
    config_free(&vm);
    for (unsigned i = 0; i < ARRAY_SIZE(places); i++) { /* the last one is the nearest */
        snprintf(file, sizeof(file), "%s/modules.dep", places[i]);
        put(file, "");
        choose("root");
        cr_expect_str_eq(vm.root.module_folder, in_dir(places[i]));
        config_free(&vm);
    }
    put("other/modules.dep", "");
    choose("root,modules=other");
    cr_expect_str_eq(vm.root.module_folder, in_dir("other"));
    config_free(&vm);
    shell("rm -r other/* && mkdir -p other/lib/modules && mv root/lib/modules/* other/lib/modules");
    choose("root,modules=other");
    cr_expect_str_eq(vm.root.module_folder, in_dir("other/lib/modules/6.1.9"));
}

/* It may be another's: its links are not this host's. */
Test(root, a_root_does_not_lead_out_of_itself)
{
    put("other/6.1.9/modules.dep", "");
    shell("mkdir -p root/lib && ln -s $PWD/other root/lib/modules");
    choose("root");
    cr_expect_null(vm.root.module_folder);
}

static FILE *records;
static char *recorded;
static size_t recorded_bytes;

static int add_modules(struct cpio *archive, const char *folder, const char *const *names)
{
    records = open_memstream(&recorded, &recorded_bytes);
    int r = modules_add(archive, records, folder, names);
    fclose(records);
    return r;
}

Test(root, drivers_come_with_what_they_need_and_in_order)
{
    static const char *const names[] = {"virtio_c", "virtio-a", "built_in", NULL};
    static const char want[] = "m/minivet/modules/ring.ko\0m/minivet/modules/base.ko.xz\0"
                               "m/minivet/modules/virtio_c.ko\0m/minivet/modules/virtio-a.ko";
    struct cpio archive = {0};
    put("m/k/ring.ko", "RING");
    put("m/k/base.ko.xz", "BASE");
    put("m/k/virtio-a.ko", "AAAA");
    put("m/k/virtio-ab.ko", "ABAB");
    put("m/k/virtio_c.ko", "CCCC");
    put("m/modules.dep", "k/ring.ko:\nk/virtio-ab.ko:\nk/base.ko.xz: k/ring.ko\n"
                         "k/virtio-a.ko: k/base.ko.xz k/ring.ko\n"
                         "k/virtio_c.ko: k/base.ko.xz k/ring.ko\n");
    cr_assert_eq(add_modules(&archive, "m", names), 0, "%s", folder_line);
    cr_expect(recorded_bytes == sizeof(want) && memcmp(recorded, want, sizeof(want)) == 0);
    cr_expect_eq(archive.entries, 5);
    cr_expect_not_null(memmem(archive.data, archive.bytes, "virtio-a.ko\0", 12));
    cr_expect_not_null(memmem(archive.data, archive.bytes, "BASE", 4));
    cr_expect_null(memmem(archive.data, archive.bytes, "ABAB", 4));
    free(archive.data);
    free(recorded);
}

Test(root, modules_that_are_not_what_they_should_be_are_refused)
{
    static const char *const names[] = {"a", NULL};
    static const struct {
        const char *list, *why;
    } cases[] = {{"a.ko: ../secret\n", "leads out of"},
                 {"a.ko: link.ko\n", "leads out of"},
                 {"a.ko: missing.ko\n", "No such file"},
                 {"a.ko: folder\n", "Invalid argument"}};
    put("secret", "SECRET");
    put("m/a.ko", "A");
    shell("mkdir m/folder; ln -s ../secret m/link.ko");
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        struct cpio archive = {0};
        put("m/modules.dep", cases[i].list);
        cr_expect_lt(add_modules(&archive, "m", names), 0, "%s", cases[i].list);
        cr_expect_not_null(strstr(folder_line, cases[i].why), "%s", folder_line);
        cr_expect(archive.data == NULL || !memmem(archive.data, archive.bytes, "SECRET", 6));
        free(archive.data);
        free(recorded);
    }
}

/* ---- the command ---- */

Test(root, it_begins_in_the_current_directory)
{
    choose("root");
    cr_expect_null(vm.cwd);
    config_free(&vm);
    choose("/");
    cr_expect_str_eq(vm.cwd, folder_path());
    config_free(&vm);
    cr_assert_eq(chdir("root/sub"), 0);
    char *words[] = {"run", "--root", "..", "../../kernels/vmlinuz-6.1.9", "--", "true", NULL};
    cr_assert_eq(parse(words), 0);
    cr_assert_eq(root_choose(&vm, &stock), 0);
    cr_expect_str_eq(vm.cwd, "/sub");
}

Test(root, its_environment_is_the_users_without_this_session)
{
    setenv("LANG", "C", 1);
    setenv("XDG_CACHE_HOME", "/c", 1);
    setenv("MAKEFLAGS", "-j", 1);
    setenv("SSH_AUTH_SOCK", "/s", 1);
    setenv("DISPLAY", ":0", 1);
    setenv("DISPLAYED", "yes", 1);
    setenv("HOME", "/home/u", 1);
    setenv("TERM", "xterm", 1);
    char *words[] = {"run",   "--root", "root",  "kernels/vmlinuz-6.1.9",
                     "--env", "LANG=D", "--env", "A=1",
                     "--",    "true",   NULL};
    cr_assert_eq(parse(words), 0);
    cr_assert_eq(root_choose(&vm, &stock), 0);
    cr_expect_str_eq(variable("PATH"), "/usr/bin:/sbin:/usr/local/sbin:/usr/sbin");
    cr_expect_str_eq(variable("XDG_CACHE_HOME"), "/c");
    cr_expect_str_eq(variable("DISPLAYED"), "yes");
    cr_expect_str_eq(variable("HOME"), "/home/u");
    cr_expect_str_eq(variable("USER"), "root");
    cr_expect_str_eq(variable("A"), "1");
    static const char *const gone[] = {"MAKEFLAGS", "SSH_AUTH_SOCK", "DISPLAY", "TERM"};
    for (unsigned i = 0; i < ARRAY_SIZE(gone); i++)
        cr_expect_null(variable(gone[i]), "%s", gone[i]);
    size_t bytes;
    char *text = command_records(&vm, NULL, 0, 0, false, &bytes);
    cr_expect_not_null(memmem(text, bytes, "vLANG=D\0", 8));
    cr_expect_null(memmem(text, bytes, "vLANG=C\0", 8));
    cr_expect_null(memmem(text, bytes, "vHOME=/root", 11));
    free(text);
}

Test(root, without_a_command_it_is_the_users_shell)
{
    char *words[] = {"run", "--root", "root", "kernels/vmlinuz-6.1.9", NULL};
    cr_assert_eq(parse(words), 0);
    setenv("SHELL", "/bin/fish", 1);
    cr_assert_eq(root_choose(&vm, &stock), 0);
    cr_expect_str_eq(vm.command->child->valuestring, "/bin/sh");
    config_free(&vm);
    put("root/bin/fish", "");
    shell("chmod +x root/bin/fish");
    cr_assert_eq(parse(words), 0);
    cr_assert_eq(root_choose(&vm, &stock), 0);
    cr_expect_str_eq(vm.command->child->valuestring, "/bin/fish");
}

/* ---- what the guest is told ---- */

static void expect_told(char *root, char *net, const char *want, size_t len)
{
    char *words[] = {"run", "--root", root, "kernels/vmlinuz-6.1.9", "--net", net,
                     "--",  "true",   NULL};
    size_t bytes;
    cr_assert_eq(parse(words), 0);
    cr_assert_eq(root_choose(&vm, &stock), 0);
    char *text = command_records(&vm, NULL, 0, 0, false, &bytes);
    cr_assert_not_null(text);
    cr_expect_not_null(memmem(text, bytes, want, len), "%s", want);
    free(text);
    config_free(&vm);
}

Test(root, the_guest_is_told_of_writes_and_its_address)
{
    expect_told("root", "null", "rmemory\0", 8);
    expect_told("root,rw", "null", "rlive\0", 6);
    expect_told("root,ro", "null", "rrefused\0", 9);
    expect_told("root,overlay=kernels", "null", "rkept\0", 6);
    expect_told("root", "user", "a10.0.2.15 255.255.255.0 10.0.2.2 10.0.2.3\0", 43);
    expect_told("root", "user,net=192.168.7.0/24,dns=192.168.7.9",
                "a192.168.7.15 255.255.255.0 192.168.7.2 192.168.7.9\0", 52);
}

Test(root, no_kernel_is_said_with_a_remedy)
{
    char *words[] = {"run", "--root", "root", "--", "true", NULL};
    cr_assert_eq(parse(words), 0);
    setenv("MINIVET_CACHE", folder_path(), 1);
    if (root_choose(&vm, &stock) < 0)
        cr_expect_not_null(strstr(folder_line, "tools/run-linux"), "%s", folder_line);
    else /* this host's own */
        cr_expect_not_null(vm.root.module_folder);
    config_free(&vm);
    put("images/6.1/vmlinuz", "x");
    cr_assert_eq(parse(words), 0);
    cr_assert_eq(root_choose(&vm, &stock), 0);
    cr_expect_not_null(vm.kernel);
    cr_expect_null(vm.initrd);
}
