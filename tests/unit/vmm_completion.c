// SPDX-License-Identifier: BSD-2-Clause
/* The completion script, as bash runs it: the line so far, and what is offered for its last word.
 */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/cli/cli.h"

/* As bash calls a completion function: words are cut at '=', too. */
static const char driver[] = "\n"
                             "compopt() { :; }\n"
                             "COMP_LINE=$1 COMP_POINT=${#1}\n"
                             "read -ra COMP_WORDS <<<\"${COMP_LINE//=/ = }\"\n"
                             "[[ $1 == *' ' ]] && COMP_WORDS+=('')\n"
                             "COMP_CWORD=$((${#COMP_WORDS[@]} - 1))\n"
                             "_minivet\n"
                             "echo \"${COMPREPLY[*]}\"\n";

static char script[] = "/tmp/minivet-completion-XXXXXX";

static void setup(void)
{
    char *argv[] = {"completion", NULL};
    int fd = mkstemp(script), out = dup(STDOUT_FILENO);
    cr_assert(fd >= 0 && out >= 0);
    fflush(stdout);
    dup2(fd, STDOUT_FILENO);
    cr_assert_eq(cli_completion(1, argv), 0);
    fputs(driver, stdout);
    fflush(stdout);
    dup2(out, STDOUT_FILENO);
    close(out);
    close(fd);
}

static void teardown(void)
{
    unlink(script);
}

TestSuite(completion, .init = setup, .fini = teardown);

static void offers(const char *line, const char *expected)
{
    char command[512], said[1024] = "";
    snprintf(command, sizeof(command), "bash %s '%s'", script, line);
    FILE *f = popen(command, "r");
    cr_assert_neq(f, NULL);
    if (fgets(said, sizeof(said), f) != NULL)
        said[strcspn(said, "\n")] = '\0';
    cr_expect_eq(pclose(f), 0);
    cr_expect_str_eq(said, expected, "%s: %s", line, said);
}

Test(completion, options_and_their_words)
{
    offers("minivet ru", "run");
    offers("minivet run --stri", "--strict");
    offers("minivet run --reboot ", "exit restart");
    offers("minivet run --unpack ", "cached on off");
    offers("minivet run --console v", "virtio");
    offers("minivet run --stats=", "table json");
    offers("minivet run --timel", "--timeline");
}

Test(completion, benchmarks)
{
    offers("minivet bench me", "memory");
    offers("minivet bench boot --ru", "--runs");
    offers("minivet bench boot --vs qemu", "qemu-microvm qemu-q35");
    offers("minivet bench boot --ker", "--kernel");
    offers("minivet bench boot --kernel /bin/fals", "/bin/false");
    offers("minivet bench boot --json=/bin/fals", "/bin/false");
    offers("minivet bench boot --vs /bin/fals", "/bin/false");
    offers("minivet bench exit --ker", "");
    offers("minivet bench blk --wi", "--with");
}

Test(completion, keys_of_lists)
{
    offers("minivet run --virtio r", "ring=split ring=packed");
    offers("minivet run --virtio queue", "queue-size=");
    offers("minivet run --virtio=transport=pci,le", "pci,legacy=on pci,legacy=off");
    offers("minivet run --console virtio,ring=p", "packed");
    offers("minivet run -d a.img,ro,cache=w", "writeback");
    offers("minivet run --disk a.img,ty", "a.img,type=blk a.img,type=scsi");
    offers("minivet run --net n", "none null");
    offers("minivet run -n user,offloads=to", "to-host to-guest");
}

/* Completion continues the word where the shell has cut it. */
Test(completion, values_are_completed_behind_the_last_cut)
{
    offers("minivet run --virtio ring=", "split packed");
    offers("minivet run --virtio ring=packed,transport=", "mmio pci");
    offers("minivet run --virtio ring=packed,tr", "packed,transport=mmio packed,transport=pci");
}
