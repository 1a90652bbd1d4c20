// SPDX-License-Identifier: BSD-2-Clause
/* What the control socket's commands are, and what they do. */
#include <cJSON.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/xmath.h"
#include "vmm/control/control.h"
#include "vmm/machine/machine.h"

struct call {
    const struct control_target *target;
    const char *args[CONTROL_ARGS];
    char *error;
    unsigned error_bytes;
};

struct command {
    const char *name, *args, *help;
    unsigned min_args, max_args;
    cJSON *(*run)(const struct call *c);
};

static cJSON *refuse(const struct call *c, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static cJSON *refuse(const struct call *c, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    vsnprintf(c->error, c->error_bytes, format, values);
    va_end(values);
    return NULL;
}

static struct machine *machine_of(const struct call *c)
{
    return c->target->machine(c->target->ctx);
}

static cJSON *run_power(const struct call *c)
{
    if (machine_of(c) == NULL)
        return refuse(c, "power: no guest runs now");
    machine_press_power(machine_of(c));
    return cJSON_CreateNull();
}

static cJSON *run_stop(const struct call *c)
{
    c->target->stop(c->target->ctx);
    return cJSON_CreateNull();
}

static cJSON *run_status(const struct call *c)
{
    cJSON *status = cJSON_CreateObject();
    cJSON_AddStringToObject(status, "state", machine_of(c) != NULL ? "running" : "being set up");
    cJSON_AddNumberToObject(status, "pid", getpid());
    cJSON_AddStringToObject(status, "version", MINIVET_VERSION);
    return status;
}

static cJSON *run_help(const struct call *c);

static const struct command commands[] = {
    {"help", "", "List the commands", 0, 0, run_help},
    {"power", "", "Press the power button: most guests shut down", 0, 0, run_power},
    {"status", "", "Say whether a guest runs", 0, 0, run_status},
    {"stop", "", "End the run at once, as Ctrl-A x does", 0, 0, run_stop},
};

static cJSON *run_help(const struct call *c)
{
    cJSON *list = cJSON_CreateArray();
    (void)c;
    for (unsigned i = 0; i < ARRAY_SIZE(commands); i++) {
        cJSON *row = cJSON_CreateObject();
        cJSON_AddStringToObject(row, "command", commands[i].name);
        cJSON_AddStringToObject(row, "args", commands[i].args);
        cJSON_AddStringToObject(row, "help", commands[i].help);
        cJSON_AddItemToArray(list, row);
    }
    return list;
}

static const struct command *find(const char *name)
{
    for (unsigned i = 0; i < ARRAY_SIZE(commands); i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

/* Returns how many there are, or -1: they are not a list of a few strings. */
static int take_args(struct call *c, const cJSON *args)
{
    int count = 0;
    const cJSON *arg;
    if (args != NULL && !cJSON_IsArray(args))
        return -1;
    cJSON_ArrayForEach(arg, args)
    {
        if (!cJSON_IsString(arg) || count == CONTROL_ARGS)
            return -1;
        c->args[count++] = arg->valuestring;
    }
    return count;
}

cJSON *control_run(const struct control_target *target, const cJSON *request, char *error,
                   unsigned error_bytes)
{
    struct call c = {.target = target, .error = error, .error_bytes = error_bytes};
    const cJSON *name = cJSON_GetObjectItemCaseSensitive(request, "command");
    if (!cJSON_IsString(name))
        return refuse(&c, "give an object with a \"command\", such as {\"command\": \"help\"}");
    const struct command *command = find(name->valuestring);
    if (command == NULL)
        return refuse(&c, "%.40s: no such command; `help` lists all", name->valuestring);
    int count = take_args(&c, cJSON_GetObjectItemCaseSensitive(request, "args"));
    if (count < (int)command->min_args || count > (int)command->max_args)
        return refuse(&c, "%s takes %s", command->name,
                      command->max_args > 0 ? command->args : "no arguments");
    return command->run(&c);
}
