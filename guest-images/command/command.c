// SPDX-License-Identifier: BSD-2-Clause
//
// The command: what Minivet says of it, and how it begins.
#include "init.h"

#define SIGCHLD         17
#define SIG_SETMASK     2
#define SIGNAL_MASK     8 // bytes
#define F_DUPFD_CLOEXEC 1030
#define TIOCSCTTY       0x540e
#define TIOCSWINSZ      0x5414
#define TIOCSPTLCK      0x40045431
#define TIOCGPTPEER     0x5441
#define CANNOT_EXECUTE  126
#define NOT_FOUND       127

// ---- what Minivet says

static void take_size(struct command *c, const char *text)
{
    c->has_terminal = true;
    c->columns = (uint16_t)number(&text);
    text += *text == 'x';
    c->rows = (uint16_t)number(&text);
}

static void take_record(struct command *c, char *text, size_t *words, size_t *variables)
{
    switch (text[0]) {
    case COMMAND_IS_WORD:
        c->words[(*words)++] = text + 1;
        break;
    case COMMAND_IS_VARIABLE:
        c->variables[(*variables)++] = text + 1;
        break;
    case COMMAND_IS_FOLDER:
        c->folder = text + 1;
        break;
    case COMMAND_IS_TERMINAL:
        take_size(c, text + 1);
        break;
    case COMMAND_IS_JOINED:
        c->is_joined = true;
        break;
    case COMMAND_IS_MODULE:
        load_module_file(text + 1);
        break;
    case COMMAND_IS_LIBRARY:
        c->has_library = true;
        break;
    case COMMAND_IS_NOTE:
        c->note = text + 1;
        break;
    case COMMAND_IS_ROOT:
        c->root = text + 1;
        break;
    case COMMAND_IS_ADDRESS:
        c->address = text + 1;
        break;
    default:
        break;
    }
}

void read_command(struct command *c)
{
    size_t bytes, records = 0, words = 0, variables = 0;
    const char *file = map_file("/" COMMAND_FILE, &bytes);

    if (file == NULL) {
        give_up("/" COMMAND_FILE " is missing", NULL, NULL);
    }
    for (size_t i = 0; i < bytes; i++) {
        records += file[i] == '\0';
    }
    *c = (struct command){.folder = "/", .process = -1, .input = -1, .output = -1, .error = -1};
    c->words = get_memory((records + 1) * sizeof(char *));
    c->variables = get_memory((records + 1) * sizeof(char *));
    for (size_t at = 0; records > 0; records--, at += length(file + at) + 1) {
        take_record(c, (char *)(uintptr_t)(file + at), &words, &variables);
    }
    if (words == 0) {
        give_up("/" COMMAND_FILE " has no command", NULL, NULL);
    }
}

// ---- how it begins

static const char *reason(long error)
{
    switch (error) {
    case -EACCES:
        return ": permission denied";
    case -ENOEXEC:
        return ": is no program for this machine";
    case -E2BIG:
        return ": its words and variables are too long";
    case -ENOENT:
        return ": not found";
    case -ENOTDIR:
        return ": is in no folder";
    case -ENOMEM:
        return ": there is not enough memory";
    default:
        return ": cannot be executed";
    }
}

static const char *search_path(char **variables)
{
    for (; *variables != NULL; variables++) {
        if (begins(*variables, "PATH=")) {
            return *variables + 5;
        }
    }
    return "/bin:/usr/bin";
}

// As a shell does. Returns only if there is none, with the errno that says most.
static long execute(const struct command *c)
{
    const char *name = c->words[0], *at = search_path(c->variables);
    char path[4096], folder[4096];
    long r = -ENOENT;
    bool is_path = name[0] == '\0';

    for (const char *p = name; *p != '\0'; p++) {
        is_path = is_path || *p == '/';
    }
    if (is_path) {
        return CALL(execve, name, c->words, c->variables, 0);
    }
    while (at != NULL) {
        const char *end = at;

        while (*end != '\0' && *end != ':') {
            end++;
        }
        size_t bytes = (size_t)(end - at) + 1;
        join(folder, bytes < sizeof(folder) ? bytes : sizeof(folder), at, NULL, NULL, NULL);
        join(path, sizeof(path), folder, folder[0] != '\0' ? "/" : "", name, NULL);
        long e = CALL(execve, path, c->words, c->variables, 0);
        r = e != -ENOENT && e != -ENOTDIR ? e : r;
        at = *end == ':' ? end + 1 : NULL;
    }
    return r;
}

// In its own process: the three are its streams.
__attribute__((noreturn)) static void become(const struct command *c, const int streams[3])
{
    static const unsigned long none;
    long r;

    CALL(rt_sigprocmask, SIG_SETMASK, &none, NULL, SIGNAL_MASK);
    CALL(setsid, 0, 0, 0, 0);
    if (c->has_terminal) {
        CALL(ioctl, streams[0], TIOCSCTTY, 0, 0);
    }
    for (int i = 0; i < 3; i++) {
        CALL(dup3, streams[i], i, 0, 0);
    }
    r = CALL(chdir, c->folder, 0, 0, 0);
    if (r < 0) {
        say_to(2, "--cwd ", c->folder, reason(r));
        CALL(exit_group, CANNOT_EXECUTE, 0, 0, 0);
    }
    r = execute(c);
    say_to(2, c->words[0], reason(r), NULL);
    CALL(exit_group, r == -ENOENT || r == -ENOTDIR ? NOT_FOUND : CANNOT_EXECUTE, 0, 0, 0);
    for (;;) {
    }
}

static void make_pipe(int ends[2])
{
    if (CALL(pipe2, ends, O_CLOEXEC, 0, 0) < 0) {
        give_up("there are no pipes", NULL, NULL);
    }
}

// Above those that it is to have: dup3() must not close one that is still needed. The other end of
// a terminal or pipe that stayed open here would never end.
static int above_streams(int fd)
{
    long above = CALL(fcntl, fd, F_DUPFD_CLOEXEC, 10, 0);

    close_file(fd);
    return (int)above;
}

static void make_terminal(struct command *c, int streams[3])
{
    int unlocked = 0;
    // That of /dev/pts is there wherever terminals are.
    long master = open_file("/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK);
    long slave = master < 0 ? master : CALL(ioctl, master, TIOCSPTLCK, &unlocked, 0);

    if (slave == 0) {
        slave = CALL(ioctl, master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC, 0);
    }
    if (slave < 0) {
        give_up("there is no terminal for the command: the kernel has no pseudo-terminals "
                "(/dev/pts)",
                NULL, NULL);
    }
    c->input = c->output = (int)master;
    set_size(c, c->columns, c->rows);
    streams[0] = streams[1] = streams[2] = above_streams((int)slave);
}

static void make_output(int *end, int *stream)
{
    int ends[2];

    make_pipe(ends);
    *end = ends[0];
    *stream = above_streams(ends[1]);
}

static void not_blocking(int fd)
{
    if (fd >= 0) {
        CALL(fcntl, fd, F_SETFL, O_NONBLOCK, 0);
    }
}

void start_command(struct command *c)
{
    int ends[2], streams[3];

    if (c->has_terminal) {
        make_terminal(c, streams);
    } else {
        make_pipe(ends);
        c->input = ends[1];
        streams[0] = above_streams(ends[0]);
        make_output(&c->output, &streams[1]);
        streams[2] = streams[1];
    }
    if (!c->is_joined) {
        make_output(&c->error, &streams[2]);
    }
    not_blocking(c->input);
    not_blocking(c->output);
    not_blocking(c->error);
    c->process = CALL5(clone, SIGCHLD, 0, 0, 0, 0);
    if (c->process == 0) {
        become(c, streams);
    }
    if (c->process < 0) {
        give_up("there is no process for the command", NULL, NULL);
    }
    for (int i = 0; i < 3; i++) {
        close_file(streams[i]); // some are the same, which does no harm
    }
}

void set_size(const struct command *c, uint16_t columns, uint16_t rows)
{
    uint16_t size[4] = {rows, columns, 0, 0};

    if (c->has_terminal) {
        CALL(ioctl, c->output, TIOCSWINSZ, size, 0);
    }
}
