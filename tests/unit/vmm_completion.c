// SPDX-License-Identifier: BSD-2-Clause
/* The completion script, as bash runs it: the line so far, and what is offered for its last word.
 */
#include "tests/harness/test.h"
#include "vmm/cli/cli.h"
#include "vmm/cli/exit_code.h"

/* As bash calls a completion function: words are cut at '=', too. */
static const char driver[] = "\n"
                             "compopt() { :; }\n"
                             "minivet() {\n"
                             "  [[ $3 == --help ]] && echo 'patterns: bare linux'\n"
                             "  case $* in\n"
                             "  ps) printf '%s\\n' 'PID STATE' '4711 running' '815 running';;\n"
                             "  'ctl 4711 console') printf '%s\\n' 'agent /run/agent'; return;;\n"
                             "  'ctl 4711 info')\n"
                             "    printf '  - device: %s\\n' disk0 net1 '$(id)'\n"
                             "    echo '  - port 0, console true'\n"
                             "    printf '  - port 1, name %s, null\\n' agent '$(id)'\n"
                             "    return;;\n"
                             "  esac\n"
                             "  [[ $1 == ctl ]] && printf '%s x\\n' stop '$(echo${IFS}st)' st\\`x\n"
                             "}\n"
                             "compgen() {\n"
                             "  local dir=/sys/class/net\n"
                             "  [[ $1 == -G ]] || { builtin compgen \"$@\"; return; }\n"
                             "  printf '%s/tun_flags\\n' $dir/tap0 $dir/tun1 $dir/'$(echo x)'\n"
                             "}\n"
                             "COMP_LINE=$1 COMP_POINT=${#1}\n"
                             "read -ra COMP_WORDS <<<\"${COMP_LINE//=/ = }\"\n"
                             "[[ $1 == *' ' ]] && COMP_WORDS+=('')\n"
                             "COMP_CWORD=$((${#COMP_WORDS[@]} - 1))\n"
                             "_minivet\n"
                             "echo \"${COMPREPLY[*]}\"\n";

static char script[] = "/tmp/minivet-completion-XXXXXX";

/* The script of a shell, and something behind it. */
static void print_script(const char *shell, const char *more)
{
    char *argv[] = {"completion", (char *)shell, NULL};
    int fd = mkstemp(script), out = dup(STDOUT_FILENO);
    cr_assert(fd >= 0 && out >= 0);
    fflush(stdout);
    dup2(fd, STDOUT_FILENO);
    cr_assert_eq(cli_completion(2, argv), 0);
    fputs(more, stdout);
    fflush(stdout);
    dup2(out, STDOUT_FILENO);
    close(out);
    close(fd);
}

static void setup(void)
{
    print_script("bash", driver);
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
    offers("minivet he", "help");
    offers("minivet help ch", "check");
    offers("minivet check --j", "--json");
    offers("minivet completion ", "bash zsh --help");
    offers("minivet run --stri", "--strict");
    offers("minivet run --reboot ", "exit restart");
    offers("minivet run --unpack ", "cached on off");
    offers("minivet run --console v", "virtio");
    offers("minivet run --stats=", "table json");
    offers("minivet run --timel", "--timeline");
}

Test(completion, runs_and_what_they_are_told)
{
    offers("minivet ctl 47", "4711");
    offers("minivet console 8", "815");
    offers("minivet ctl 4711 st", "stop");
    offers("minivet console 4711 ", "agent");
    offers("minivet ctl 4711 info ", "disk0 net1");
    offers("minivet ctl --json 4711 info n", "net1");
    offers("minivet ctl 4711 disk-swap ", "0");
    offers("minivet ctl 4711 disk-swap 0 /bin/fals", "/bin/false");
    offers("minivet ctl 4711 screenshot /bin/fals", "/bin/false");
    offers("minivet ctl 4711 disk-resize 0 ", "");
    offers("minivet ctl 4711 link ", "1");
    offers("minivet ctl 4711 link 1 ", "up down");
    offers("minivet ctl 4711 port-remove ", "agent");
    offers("minivet ctl 4711 click r", "right");
    offers("minivet ctl 4711 type ", "");
    offers("minivet ctl --j", "--json");
    offers("minivet console 4711 agent ", "");
}

Test(completion, nothing_is_offered_for_a_command_of_the_guest)
{
    offers("minivet run -- ", "");
    offers("minivet run vmlinuz -- /bin/fals", "");
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
    offers("minivet bench di", "display");
    offers("minivet bench sh", "share");
    offers("minivet bench display --se", "--seconds");
    offers("minivet bench boot --only ", "bare linux");
    offers("minivet bench boot --only l", "linux");
}

Test(completion, keys_of_lists)
{
    offers("minivet run --virtio r", "ring=split ring=packed");
    offers("minivet run --virtio queue", "queue-size=");
    offers("minivet run --virtio=transport=pci,le", "pci,legacy=on pci,legacy=off");
    offers("minivet run --console virtio,ring=p", "packed");
    offers("minivet run --input keyboard,ta", "keyboard,tablet");
    offers("minivet run -d a.img,ro,cache=w", "writeback");
    offers("minivet run --disk a.img,ty", "a.img,type=blk a.img,type=scsi");
    offers("minivet run --net n", "none null");
    offers("minivet run -n user,offloads=to", "to-host to-guest");
    offers("minivet run --features +in", "+indirect_desc +in_order");
    offers("minivet run --features +in_order,-ev", "+in_order,-event_idx");
    offers("minivet run --cpu-features -s", "-sve");
    offers("minivet run --cpu-features -sve,+", "-sve,+pmu -sve,+sve");
    offers("minivet run --net tap=", "tap0 tun1");
    offers("minivet run -n tap=tu", "tun1");
    offers("minivet run -n tap=tun1,mt", "tun1,mtu=");
}

/* bash runs what is in $() among words. */
Test(completion, of_commands_runs_nothing_that_a_socket_answers)
{
    offers("minivet ctl 4711 ", "stop");
    offers("minivet ctl 4711 st", "stop");
}

/* Completion continues the word where the shell has cut it. */
Test(completion, values_are_completed_behind_the_last_cut)
{
    offers("minivet run --virtio ring=", "split packed");
    offers("minivet run --virtio ring=packed,transport=", "mmio pci");
    offers("minivet run --virtio ring=packed,tr", "packed,transport=mmio packed,transport=pci");
}

/* As zsh's _arguments reads it: what a shell that may not be installed would do is not seen here.
 */
Test(completion, zsh_gets_each_option_with_its_values)
{
    static const char *const has[] = {
        "#compdef minivet\n",
        "on the host, or in the guest \\[cached\\]]:unpack:(cached on off )' \\\n",
        "'*--unpack=[Unpack it on the host and cache it (cached), ",
        "'*-k+[Kernel to boot\\: vmlinuz",
        "[The kernel'\\''s command line, after Minivet'\\''s own words]:append:' \\\n",
        "::stats:(table json )' \\\n",
        ":virtio:{_minivet_list \"transport=mmio transport=pci ",
        ":net:{_minivet_list \"none user tap= ",
        ":disk:{_minivet_list \"\" ro serial= type=blk ",
        ":cpu-features:{_minivet_list \"+pmu -pmu +sve -sve \" +pmu ",
        "compadd -- ${(f)\"$(minivet ctl $run $list 2>/dev/null |\n",
        ":features:{_minivet_list \"+indirect_desc -indirect_desc ",
    };
    static char text[32768];
    unlink(script); /* bash's */
    snprintf(script, sizeof(script), "/tmp/minivet-completion-XXXXXX");
    print_script("zsh", "");
    FILE *f = fopen(script, "re");
    cr_assert_not_null(f);
    text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
    fclose(f);
    for (unsigned i = 0; i < ARRAY_SIZE(has); i++)
        cr_expect(strstr(text, has[i]) != NULL, "%s", has[i]);
}

Test(completion, another_shell_is_refused)
{
    char *argv[] = {"completion", "fish", NULL};
    cr_expect_eq(cli_completion(2, argv), EXIT_USAGE);
}
