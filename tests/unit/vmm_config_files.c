// SPDX-License-Identifier: BSD-2-Clause
/* vmm/config/config_files.c: what a run says before it would write over a file, and that it does
 * not. */
#include "core/output/outputs.h"
#include "tests/harness/folder.h"
#include "tests/harness/test.h"
#include "vmm/cli/cli.h"
#include "vmm/cli/exit_code.h"
#include "vmm/config/config.h"
#include "vmm/report/timeline.h"

TestSuite(config_files, .init = folder_enter, .fini = folder_leave);

static void put(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    cr_assert_eq(write(fd, "what is there", 13), 13);
    close(fd);
}

/* Files "a" and "a.svg" stay what they are. */
static void refused(const char *words, const char *why)
{
    char copy[256], *argv[16] = {"run"}, *rest = copy, is[32] = "";
    int argc = 1;
    snprintf(copy, sizeof(copy), "%s", words);
    while (rest != NULL)
        argv[argc++] = strsep(&rest, " ");
    folder_line[0] = '\0';
    put("a");
    put("a.svg");
    cr_expect_eq(cli_run(argc, argv), EXIT_USAGE, "%s", words);
    cr_expect_not_null(strstr(folder_line, why), "%s: %s", words, folder_line);
    for (int i = 0; i < 2; i++) {
        int fd = open(i == 0 ? "a" : "a.svg", O_RDONLY);
        cr_expect_eq(read(fd, is, sizeof(is)), 13, "%s", words);
        cr_expect_str_eq(is, "what is there");
        close(fd);
    }
}

Test(config_files, no_input_and_no_file_of_others_is_written_over)
{
    refused("K -d a -n user,pcap=a", "pcap a: is the file of --disk a");
    refused("K -d b -n user,pcap=a", "pcap a: is there, and is no capture");
    refused("K -d a.svg --timeline=a.svg", "--timeline a.svg: is the file of --disk");
    refused("K --timeline=a.svg", "is no drawing");
    refused("a --record a", "--record a: is the file of --kernel a");
    refused("K -i a --record a", "--record a: is the file of --initrd a");
    refused("K --dtb a --dump-dtb a", "--dump-dtb a: is the file of --dtb a");
    refused("K --dump-dtb a", "--dump-dtb a: is there, and is no device tree");
    refused("K -n user,pcap=b -n user,pcap=b", "is the file of pcap b");
    refused("K -n null,pcap=b --record b", "is the file of");
    refused("K -n socket=b.json --timeline=b.json", "is the file of --net b.json");
    refused("K --timeline=b.svg --record a", "--record a: is there, and is no recording");
    cr_expect_eq(access("b.svg", F_OK), -1, "nothing is made before all is accepted");
}

Test(config_files, a_disk_that_is_written_to_is_one_disk)
{
    refused("K -d a -d a", "--disk a: is the file of --disk a, too");
    refused("K -d a,ro -d ./a", "--disk ./a: is the file of --disk a, too");
    struct vm_config c;
    static char *const argv[] = {"run", "K", "-d", "a,ro", "-d", "a,snapshot=on"};
    cr_assert_eq(config_parse(&c, 6, (char **)argv), 0);
    cr_expect_eq(config_check_files(&c), 0);
    config_free(&c);
}

Test(config_files, a_timeline_is_written_over_a_timeline)
{
    static const struct named_file files[] = {{FILE_JSON, "--timeline", "t.json"},
                                              {FILE_JSON, "--timeline", "t.trace.json"},
                                              {FILE_DRAWING, "--timeline", "t.svg"}};
    const char *const marks[] = {NULL};
    for (unsigned i = 0; i < 3; i++) {
        struct timeline_event began = timeline_now(TIMELINE_SETUP, "main()");
        struct timeline *t;
        cr_assert_eq(timeline_create(&t, files[i].path, marks, &began), 0);
        timeline_finish(t);
        cr_expect_eq(outputs_check(&files[i], 1), 0, "%s", folder_line);
    }
}
