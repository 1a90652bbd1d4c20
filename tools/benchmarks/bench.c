// SPDX-License-Identifier: BSD-2-Clause
#include "bench.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <math.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/xmath.h"
#include "core/output/outputs.h"
#include "core/output/plot.h"
#include "plot.h"
#include "runs.h"

/* ---- what lies beside this program ---- */

static const char *beside(const char *const *places)
{
    static char self[PATH_MAX];
    char file[PATH_MAX + 64];
    ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (len < 0)
        runs_die("read", "/proc/self/exe");
    self[len] = '\0';
    *strrchr(self, '/') = '\0';
    for (; *places != NULL; places++) {
        snprintf(file, sizeof(file), "%s/%s", self, *places);
        if (access(file, R_OK) == 0)
            return strdup(file);
    }
    return NULL;
}

const char *bench_guest(const char *name)
{
    char installed[64], built[64];
    snprintf(installed, sizeof(installed), "%s.elf", name);
    snprintf(built, sizeof(built), "../../guest-images/bare-metal/%s.elf", name);
    const char *file = beside((const char *const[]){installed, built, NULL});
    errno = ENOENT;
    if (file == NULL)
        runs_die("guest", installed);
    return file;
}

/* The Minivet that this program belongs to. */
static const char *own_minivet(void)
{
    const char *file = beside((const char *const[]){"../../minivet", "../../bin/minivet", NULL});
    errno = ENOENT;
    if (file == NULL)
        runs_die("--minivet:", "which?");
    return file;
}

/* ---- the machine ---- */

static bool has_hardware(const char *minivet)
{
    int fd, status;
    char *const argv[] = {(char *)minivet, "check", NULL};
    pid_t pid = runs_start(minivet, argv, -1, &fd);
    char text[4096];
    while (read(fd, text, sizeof(text)) > 0)
        ;
    close(fd);
    return waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void describe_machine(const struct bench *b, char *text, size_t size)
{
    struct utsname u;
    char line[256], cpu[128] = "?";
    double load[1] = {NAN};
    FILE *f = fopen("/proc/cpuinfo", "re");
    while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
        if (sscanf(line, "model name : %127[^\n]", cpu) == 1)
            break;
    }
    if (f != NULL)
        fclose(f);
    uname(&u);
    getloadavg(load, 1);
    snprintf(text, size, "%ld x %s, Linux %s, %s, load %.1f%s", sysconf(_SC_NPROCESSORS_ONLN), cpu,
             u.release,
             b->hardware ? "hardware virtualization"
                         : "KVM without hardware virtualization (emulates level 0)",
             load[0], sched_getscheduler(0) == SCHED_OTHER ? "" : ", with real-time priority");
}

/* ---- rounds ---- */

/* False: the run failed, and has said why. */
static bool run_apart(const struct bench *b, const struct vmm *v, int p, double *figures)
{
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) < 0)
        runs_die("pipe for", v->name);
    fflush(NULL);
    pid_t pid = runs_fork_group();
    if (pid < 0)
        runs_die("fork for", v->name);
    if (pid == 0) {
        b->run(b, v, p, figures);
        ssize_t len = RESULTS_FIGURES * sizeof(figures[0]);
        _exit(write(fds[1], figures, (size_t)len) != len);
    }
    close(fds[1]);
    ssize_t n = read(fds[0], figures, RESULTS_FIGURES * sizeof(figures[0]));
    close(fds[0]);
    return runs_end_group(v->name) == 0 && n > 0;
}

static void one_round(const struct bench *b, const struct vmm *vmms, int most)
{
    struct results *r = b->results;
    int round = r->rounds;
    for (int p = 0; r->patterns[p].name != NULL; p++) {
        for (int c = 0; r->patterns[p].chosen && vmms[c].name != NULL; c++) {
            double figures[RESULTS_FIGURES];
            char what[256];
            if (round > 0 ? !r->took_part[p][c] : b->can != NULL && !b->can(b, &vmms[c], p))
                continue;
            snprintf(what, sizeof(what), "%s %s", r->patterns[p].name, vmms[c].name);
            runs_progress(round + 1, most, what);
            for (int f = 0; f < RESULTS_FIGURES; f++)
                figures[f] = NAN;
            if (run_apart(b, &vmms[c], p, figures)) {
                results_note(r, p, c, round, figures);
            } else if (round > 0 || r->contenders[c].ours) {
                exit(1);
            } else {
                fprintf(stderr, "bench: %s is left out of %s\n", vmms[c].name, r->patterns[p].name);
            }
        }
    }
    r->rounds++;
}

static void run_all(const struct bench *b, const struct vmm *vmms, double tight)
{
    struct results *r = b->results;
    int most = r->rounds;
    r->rounds = 0;
    /* Without a rival nothing is in doubt. */
    while (r->rounds < most &&
           (r->rounds < STATS_FEWEST || results_doubt(r) == 0 || results_doubt(r) > tight))
        one_round(b, vmms, most);
    runs_progress(0, most, NULL);
}

/* ---- results ---- */

static bool measured_any(const struct results *r)
{
    bool any = false;
    for (int p = 0; r->patterns[p].name != NULL; p++)
        any |= results_has(r, p);
    return any;
}

static void print_table(const struct bench *b, const char *machine, double tight)
{
    const struct results *r = b->results;
    double doubt = results_doubt(r);
    printf("%s: %s\nmedians of %d interleaved runs, ratios pair by pair\n%s", r->bench, machine,
           r->rounds, b->notes);
    results_print(r);
    if (isinf(doubt))
        printf("\nNot sure: that takes %d rounds.\n", STATS_FEWEST);
    else if (doubt > tight)
        printf(
            "\nNot sure: the first figure's ratios may be off by %.0f %%, not %.0f %%: more runs, "
            "or a quieter machine.\n",
            doubt * 100, tight * 100);
}

static void print_json(const struct bench *b, const char *machine, const char *file)
{
    cJSON *root = results_json(b->results);
    cJSON_AddStringToObject(root, "machine", machine);
    double doubt = results_doubt(b->results);
    if (isfinite(doubt))
        cJSON_AddNumberToObject(root, "doubt", doubt);
    runs_json_print(root, file);
}

/* ---- which VMMs take part ---- */

/* Whether the list, with commas in it, has the word. */
static bool lists(const char *list, const char *word)
{
    size_t len = strlen(word);
    for (const char *at = strstr(list, word); at != NULL; at = strstr(at + 1, word)) {
        if ((at == list || at[-1] == ',') && (at[len] == ',' || at[len] == '\0'))
            return true;
    }
    return false;
}

/* A VMM in each of its ways, from vmms[count] on. Returns how many there are then. */
static int add_vmm(const struct bench *b, struct vmm *vmms, int count, const struct vmm *v,
                   bool ours, const char *with)
{
    static const struct vmm_way only_one[] = {{.family = ""}, {0}};
    const struct vmm_way *way = b->ways != NULL ? b->ways : only_one;
    int before = count;
    for (; way->family != NULL && count < VMMS_MAX - 1; way++) {
        if ((b->ways != NULL && (v->family == NULL || strcmp(v->family, way->family) != 0)) ||
            (way->on_request && !lists(with, way->kind)))
            continue;
        char name[128];
        snprintf(name, sizeof(name), "%s%s%s", v->name, way->name != NULL ? "-" : "",
                 way->name != NULL ? way->name : "");
        b->results->contenders[count].name = strdup(name);
        b->results->contenders[count].ours = ours;
        b->results->contenders[count].kind = way->kind;
        vmms[count] = *v;
        vmms[count].way = way;
        vmms[count].name = b->results->contenders[count].name;
        count++;
    }
    if (count == before)
        fprintf(stderr, "bench: %s is left out: how to measure its %s is not known\n", v->name,
                b->results->bench);
    return count;
}

/* ---- command line ---- */

static _Noreturn void wrong(const struct bench *b, const char *option, const char *value,
                            const char *remedy)
{
    fprintf(stderr, "bench: %s %s: %s; `minivet bench %s --help` says more\n", option, value,
            remedy, b->results->bench);
    exit(2);
}

static void usage(const struct bench *b)
{
    const char *also = b->vs[1] != NULL ? b->vs[1] : "";
    printf("usage: minivet bench %s [OPTION...]\n%s\n"
           "  --runs N       rounds at most (%d)\n"
           "  --tight PCT    no more rounds than make the first figure's ratios sure to this (3)\n"
           "  --vs VMM       beside this one, may be repeated (%s%s%s): a name, the path of\n"
           "                 another minivet, or a line with {kernel} {append} {mem} {cpus};\n"
           "                 names: qemu-microvm qemu-q35 kvmtool firecracker cloud-hypervisor,\n"
           "                 %s%snone for no comparison\n"
           "  --only WORD    patterns that begin so\n",
           b->results->bench, b->about, b->results->rounds, b->vs[0], *also != '\0' ? " " : "",
           also, also, *also != '\0' ? ", " : "");
    if (b->takes_kernel)
        puts("  --kernel FILE  for the pattern with a stock Linux\n"
             "  --initrd FILE  and its initrd, which has /bin/sh (busybox)");
    puts("  --json[=FILE]  for programs, instead of the table; with FILE beside it\n"
         "  --plot FILE    a plot by gnuplot, as SVG or PNG by FILE's ending; its numbers\n"
         "                 and script are kept in FILE.dat and FILE.gp");
    if (b->seconds > 0)
        printf("  --seconds S    of a run (%g)\n", b->seconds);
    if (b->file_use != NULL)
        printf("  --file FILE    %s\n", b->file_use);
    const char *before = "  --with LIST    what is measured on request only, with commas:";
    bool has_more = false;
    for (const struct vmm_way *way = b->ways; way != NULL && way->family != NULL; way++) {
        if (!way->on_request || strcmp(way->family, "minivet") != 0)
            continue;
        printf("%s %s", has_more ? "" : before, way->kind);
        has_more = true;
    }
    fputs(has_more ? "\npatterns:" : "patterns:", stdout);
    for (int p = 0; b->results->patterns[p].name != NULL; p++)
        printf(" %s", b->results->patterns[p].name);
    putchar('\n');
}

static double number(const struct bench *b, const char *option, const char *text, double least,
                     double most)
{
    char *end, remedy[80];
    double value = strtod(text, &end);
    snprintf(remedy, sizeof(remedy), "give a number from %g to %g", least, most);
    if (end == text || *end != '\0' || !(value >= least && value <= most))
        wrong(b, option, text, remedy);
    return value;
}

/* An option that not all benchmarks have. */
static void need(const struct bench *b, bool has, const char *option, const char *value)
{
    if (!has)
        wrong(b, option, value, "is not for this benchmark");
}

struct wishes {
    const char *only, *plot, *with, *minivet, *json_file;
    double tight;
    int rivals;
    bool json;
};

static void take_vs(struct bench *b, struct wishes *w, const char *name)
{
    if (strcmp(name, "none") != 0 && !vmm_is_known(name))
        wrong(b, "--vs", name, "give a name that is known, a program's path, or a line");
    if (strchr(name, ' ') == NULL && strchr(name, '/') != NULL && access(name, X_OK) < 0)
        wrong(b, "--vs", name, strerror(errno));
    if (w->rivals == VMMS_MAX - 2)
        wrong(b, "--vs", name, "these are too many");
    b->vs[w->rivals++] = name; /* the first takes the place of those that are the default */
    b->vs[w->rivals] = NULL;
}

static void take_with(const struct bench *b, const char *list)
{
    need(b, b->ways != NULL, "--with", list);
    for (const char *at = list; *at != '\0'; at += *at == ',') {
        size_t len = strcspn(at, ",");
        const struct vmm_way *way = b->ways;
        while (way->family != NULL &&
               !(way->on_request && strlen(way->kind) == len && strncmp(way->kind, at, len) == 0))
            way++;
        if (way->family == NULL)
            wrong(b, "--with", list, "there is no such thing");
        at += len;
    }
}

static void take_wish(struct bench *b, struct wishes *w, int option)
{
    switch (option) {
    case 'n':
        b->results->rounds = (int)number(b, "--runs", optarg, 1, RUNS_MAX);
        break;
    case 't':
        w->tight = number(b, "--tight", optarg, 0, 100) / 100;
        break;
    case 'v':
        take_vs(b, w, optarg);
        break;
    case 'o':
        w->only = optarg != NULL ? optarg : "";
        break;
    case 'k':
    case 'i':
        need(b, b->takes_kernel, option == 'k' ? "--kernel" : "--initrd", optarg);
        *(option == 'k' ? &b->kernel : &b->initrd) = optarg;
        break;
    case 'm':
        w->minivet = optarg;
        break;
    case 'p':
        w->plot = optarg;
        if (!plot_takes(optarg))
            wrong(b, "--plot", optarg, "give a file that ends in " PLOT_ENDINGS);
        break;
    case 's':
        need(b, b->seconds > 0, "--seconds", optarg);
        b->seconds = number(b, "--seconds", optarg, 0.01, 3600);
        break;
    case 'f':
        need(b, b->file_use != NULL, "--file", optarg);
        b->file = optarg;
        break;
    case 'w':
        take_with(b, optarg);
        w->with = optarg;
        break;
    case 'j':
        w->json = true;
        w->json_file = optarg;
        break;
    case 'h':
        usage(b);
        exit(0);
    default: /* getopt has said what is wrong */
        fprintf(stderr, "bench: `minivet bench %s --help` has the options\n", b->results->bench);
        exit(2);
    }
}

static struct wishes take_wishes(struct bench *b, int argc, char **argv)
{
    static const struct option options[] = {
        {"runs", required_argument, NULL, 'n'},    {"tight", required_argument, NULL, 't'},
        {"vs", required_argument, NULL, 'v'},      {"only", required_argument, NULL, 'o'},
        {"kernel", required_argument, NULL, 'k'},  {"initrd", required_argument, NULL, 'i'},
        {"minivet", required_argument, NULL, 'm'}, {"plot", required_argument, NULL, 'p'},
        {"seconds", required_argument, NULL, 's'}, {"file", required_argument, NULL, 'f'},
        {"with", required_argument, NULL, 'w'},    {"json", optional_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},          {0}};
    struct wishes w = {.only = b->only != NULL ? b->only : "", .with = "", .tight = 0.03};
    static char name[] = "bench"; /* for getopt's messages */
    argv[0] = name;
    if (b->vs[0] == NULL)
        b->vs[0] = "qemu-microvm";
    for (int c; (c = getopt_long(argc, argv, "h", options, NULL)) != -1;)
        take_wish(b, &w, c);
    if (optind != argc)
        wrong(b, "argument", argv[optind], "there are only options");
    if (!results_choose(b->results, w.only))
        wrong(b, "--only", w.only, "no pattern begins so");
    if (b->takes_kernel && b->kernel == NULL && (b->initrd != NULL || strcmp(w.only, "linux") == 0))
        wrong(b, b->initrd != NULL ? "--initrd" : "--only", b->initrd != NULL ? b->initrd : w.only,
              "give --kernel FILE, too");
    return w;
}

/* Now, not when all has been measured. */
static void check_files(const struct bench *b, const struct wishes *w)
{
    const char *const read[] = {b->kernel, b->initrd}, *const written[] = {w->plot, w->json_file};
    const struct named_file files[] = {
        {FILE_INPUT, "--kernel", b->kernel}, {FILE_INPUT, "--initrd", b->initrd},
        {FILE_INPUT, "--file", b->file},     {FILE_DRAWING, "--plot", w->plot},
        {FILE_JSON, "--json", w->json_file},
    };
    if (outputs_check(files, ARRAY_SIZE(files)) != 0)
        exit(2);
    for (size_t i = 0; i < 2; i++) {
        if (read[i] != NULL && access(read[i], R_OK) < 0)
            runs_die("open", read[i]);
        bool is_new = written[i] != NULL && access(written[i], F_OK) < 0;
        FILE *f = written[i] != NULL ? fopen(written[i], "ae") : NULL;
        if (written[i] != NULL && f == NULL)
            runs_die("write", written[i]);
        if (f != NULL)
            fclose(f);
        if (is_new)
            unlink(written[i]);
    }
}

int bench_main(struct bench *b, int argc, char **argv)
{
    static struct vmm vmms[VMMS_MAX];
    static const char *minivet; /* in use to the end */
    struct vmm v;
    char machine[512];
    struct wishes w = take_wishes(b, argc, argv);
    check_files(b, &w);
    minivet = w.minivet != NULL ? w.minivet : own_minivet();
    if (!vmm_find(minivet, &v))
        return 1;
    b->hardware = has_hardware(v.program);
    v.name = "minivet";
    int count = add_vmm(b, vmms, 0, &v, true, w.with);
    for (int i = 0; b->vs[i] != NULL; i++) {
        if (strcmp(b->vs[i], "none") != 0 && vmm_find(b->vs[i], &v))
            count = add_vmm(b, vmms, count, &v, false, w.with);
    }
    signal(SIGPIPE, SIG_IGN);
    b->results->rival = results_same_kind;
    if (b->prepare != NULL)
        b->prepare(b);
    describe_machine(b, machine, sizeof(machine));
    if (b->kernel != NULL && !b->hardware)
        fprintf(stderr,
                "bench: without hardware virtualization a Linux may not boot in %d s; "
                "`tools/bench boot` counts its instructions\n",
                RUNS_DEADLINE_S);
    runs_catch_ends();
    run_all(b, vmms, w.tight);
    errno = 0;
    if (!measured_any(b->results))
        runs_die("nothing could be measured of", b->results->bench);
    if (w.json)
        print_json(b, machine, w.json_file);
    if (!w.json || w.json_file != NULL)
        print_table(b, machine, w.tight);
    return w.plot == NULL || plot_write(b->results, machine, w.plot) ? 0 : 1;
}
