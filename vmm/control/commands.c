// SPDX-License-Identifier: BSD-2-Clause
/* What the control socket's commands are, and what they do. */
#include <cJSON.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/input-event-codes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/schema.h"
#include "core/base/xmath.h"
#include "core/loop/may_block.h"
#include "core/output/facts.h"
#include "core/output/own_file.h"
#include "devices/display/png.h"
#include "vmm/config/config.h"
#include "vmm/control/control.h"
#include "vmm/control/keys.h"
#include "vmm/machine/console.h"
#include "vmm/machine/machine.h"

#define KEYS_AT_ONCE 8u
#define SWAP_LOOKS   1000u /* 10 ms apart */

struct call {
    const struct control_target *target;
    const char *args[CONTROL_ARGS];
    struct control_task *task;
};

struct command {
    const char *name, *args, *help;
    unsigned min_args, max_args;
    cJSON *(*run)(const struct call *c);
};

static cJSON *no_result(int len)
{
    (void)len;
    return NULL;
}

/* NULL, with the reason in the task. */
#define refuse(c, ...) no_result(snprintf((c)->task->error, sizeof((c)->task->error), __VA_ARGS__))

static bool guest_runs(const struct call *c)
{
    if (!c->target->runs(c->target->ctx))
        return refuse(c, "no guest runs now") != NULL;
    return true;
}

static cJSON *press(const struct call *c, enum power_button button)
{
    if (!guest_runs(c))
        return NULL;
    c->target->press(c->target->ctx, button);
    return cJSON_CreateNull();
}

static cJSON *run_power(const struct call *c)
{
    return press(c, POWER_BUTTON);
}

static cJSON *run_sleep(const struct call *c)
{
    return press(c, SLEEP_BUTTON);
}

static cJSON *run_pause(const struct call *c)
{
    if (!guest_runs(c))
        return NULL;
    c->target->pause(c->target->ctx, true);
    return cJSON_CreateNull();
}

static cJSON *run_resume(const struct call *c)
{
    if (!guest_runs(c))
        return NULL;
    int err = c->target->pause(c->target->ctx, false);
    return err < 0 ? refuse(c, "resume: %s", strerror(-err)) : cJSON_CreateNull();
}

static cJSON *run_reset(const struct call *c)
{
    if (!guest_runs(c))
        return NULL;
    int err = c->target->reset(c->target->ctx);
    return err < 0 ? refuse(c, "reset: it would end the run: give --reboot restart")
                   : cJSON_CreateNull();
}

static cJSON *run_stats(const struct call *c)
{
    char *text = NULL;
    size_t bytes;
    if (!guest_runs(c))
        return NULL;
    FILE *out = open_memstream(&text, &bytes);
    int err = out != NULL ? c->target->stats(c->target->ctx, out) : -ENOMEM;
    if (out != NULL)
        fclose(out);
    cJSON *stats = err == 0 ? cJSON_Parse(text) : NULL;
    free(text);
    if (err == -ENODATA)
        return refuse(c, "stats: nothing is counted: give --stats");
    return stats != NULL ? stats : refuse(c, "stats: %s", strerror(err < 0 ? -err : ENOMEM));
}

static cJSON *run_info(const struct call *c)
{
    struct facts f;
    int err;
    if (!guest_runs(c))
        return NULL;
    facts_begin(&f);
    int found = c->target->describe(c->target->ctx, c->args[0], &f);
    char *text = facts_finish(&f, &err);
    cJSON *info = text != NULL ? cJSON_Parse(text) : NULL;
    free(text);
    if (found == -ENODEV) {
        cJSON_Delete(info);
        return refuse(c, "info: there is no device %.40s; `info` alone lists all", c->args[0]);
    }
    if (err == -EFBIG)
        return refuse(c, "info: this is too much for one answer; name a device, such as disk0");
    return info != NULL ? info : refuse(c, "info: %s", strerror(ENOMEM));
}

static cJSON *run_explain(const struct call *c)
{
    char *text = NULL;
    size_t bytes;
    if (!guest_runs(c))
        return NULL;
    FILE *out = open_memstream(&text, &bytes);
    int err = out != NULL ? c->target->explain(c->target->ctx, out) : -ENOMEM;
    if (out != NULL)
        fclose(out);
    cJSON *report = err == 0 ? cJSON_CreateString(text) : NULL;
    free(text);
    return report != NULL ? report : refuse(c, "explain: %s", strerror(err < 0 ? -err : ENOMEM));
}

/* What an error means to a user. */
struct error_words {
    int err;
    const char *says;
};

static const char *words_of(const struct error_words *rows, size_t count, int err)
{
    for (size_t i = 0; i < count; i++)
        if (rows[i].err == err)
            return rows[i].says;
    return strerror(-err);
}

#define WORDS_OF(rows, err) words_of(rows, ARRAY_SIZE(rows), err)

/* Counted from 0, in the order of options; -1: it is no number. */
static int number_of(const char *text)
{
    size_t digits = strspn(text, "0123456789");
    return digits > 0 && digits <= 3 && text[digits] == '\0' ? (int)strtol(text, NULL, 10) : -1;
}

/* On a helper: the server of a file system may take its time. */
static void set_length(struct control_task *t)
{
    may_block();
    if (ftruncate(t->fd, (off_t)t->bytes) < 0)
        snprintf(t->error, sizeof(t->error), "disk-resize: disk %u: %s", t->disk, strerror(errno));
    close(t->fd);
}

static void end_resize(struct control_task *t, const struct control_target *target)
{
    target->end_resize(target->ctx, t->disk, t->error[0] == '\0' ? t->bytes : 0);
}

static cJSON *begin_resize(struct control_task *t, unsigned disk, uint64_t bytes, int fd)
{
    t->fd = fd;
    t->disk = disk;
    t->bytes = bytes;
    t->run = set_length;
    t->end = end_resize;
    return cJSON_CreateNull();
}

static cJSON *run_disk_resize(const struct call *c)
{
    const char *disk = c->args[0];
    int number = number_of(disk);
    uint64_t bytes = 0;
    if (!guest_runs(c))
        return NULL;
    if (number < 0 || schema_parse_size(c->args[1], MIB, &bytes) != 0 || bytes > INT64_MAX)
        return refuse(c, "disk-resize: give a disk and its size, such as 0 20G; the first --disk "
                         "is disk 0");
    int err = c->target->begin_resize(c->target->ctx, (unsigned)number, bytes);
    if (err >= 0)
        return begin_resize(c->task, (unsigned)number, bytes, err);
    switch (err) {
    case -EALREADY:
        return refuse(c, "disk-resize: another disk-resize or disk-swap is not done yet");
    case -ENODEV:
        return refuse(c, "disk-resize: there is no disk %s; the first --disk is disk 0", disk);
    case -EBUSY:
        return refuse(c, "disk-resize: the run is recorded; leave out --record");
    case -EOPNOTSUPP:
        return refuse(c,
                      "disk-resize: disk %s is no raw file; use a tool of its format while no "
                      "guest runs",
                      disk);
    case -EROFS:
        return refuse(c,
                      "disk-resize: disk %s is read-only, or a snapshot; leave out ro and "
                      "snapshot=on",
                      disk);
    case -ERANGE:
        return refuse(c, "disk-resize: disk %s is larger, and does not shrink", disk);
    case -EINVAL:
        return refuse(c, "disk-resize: disk %s is a block device, or %s are not whole sectors",
                      disk, c->args[1]);
    default:
        return refuse(c, "disk-resize: disk %s: %s", disk, strerror(-err));
    }
}

/* ---- another file for a disk ---- */

/* What goes wrong with the file itself; the run says more of it. */
static void say_swap_error(struct control_task *t, int err)
{
    static const struct error_words rows[] = {
        {-ENOENT, "there is no such file; give FILE, or FILE,ro"},
        {-EISDIR, "is a directory; give a raw image file or a block device"},
        {-EBUSY, "another disk, program or machine uses it; stop that one first"},
        {-EINVAL, "is smaller than a sector, or neither a file nor a block device; give a raw "
                  "image file, such as one by `truncate -s 1G FILE`"},
        {-EACCES,
         "may not be opened as the disk is, for reading and (without ro) for writing; under "
         "--sandbox on it has to be below its allow=DIR"},
        {-EROFS, "is on a read-only file system, and the disk is not read-only"},
        {-EOPNOTSUPP, "cannot discard, as the guest may; put it on a file system with holes, such "
                      "as ext4"},
        {-EAGAIN, "the guest's requests to the old file have not ended for 10 s; try it again"},
        {-ENXIO, "no guest runs now"},
    };
    snprintf(t->error, sizeof(t->error), "disk-swap: %.120s: %s", t->path, WORDS_OF(rows, err));
}

/* On a helper, as is its close. */
static void open_spare(struct control_task *t)
{
    may_block();
    int err = blk_spare_open(&t->spare, &t->opens);
    if (err < 0)
        say_swap_error(t, err);
}

static void close_spare(struct control_task *t)
{
    may_block();
    int err = blk_spare_close(t->spare);
    if (err < 0 && t->error[0] == '\0')
        snprintf(t->error, sizeof(t->error),
                 "disk-swap: the disk has that file now, but the last one may have lost data: %s",
                 strerror(-err));
    t->spare = NULL;
}

/* No loop waits for the old file's requests: it is looked again and again. */
static bool swap(struct control_task *t, const struct control_target *target)
{
    int err = target->swap(target->ctx, t->disk, t->spare, t->path);
    if (err == -EAGAIN && ++t->looks < SWAP_LOOKS)
        return true;
    if (err < 0) {
        target->swap(target->ctx, t->disk, NULL, NULL);
        say_swap_error(t, err);
    }
    return false;
}

static void end_swap(struct control_task *t, const struct control_target *target)
{
    (void)t;
    target->end_swap(target->ctx);
}

static void end_open(struct control_task *t, const struct control_target *target)
{
    if (t->error[0] != '\0') {
        end_swap(t, target);
        return;
    }
    t->step = swap;
    t->run = close_spare;
    t->end = end_swap;
}

static cJSON *refuse_swap(const struct call *c, int err)
{
    static const struct error_words rows[] = {
        {-EALREADY, "another disk-resize or disk-swap is not done yet"},
        {-ENODEV, "there is no such disk; the first --disk is disk 0"},
        {-EBUSY, "the run is recorded; leave out --record"},
        {-EOPNOTSUPP, "it is no raw file of the run's own; give it a raw image from the start"},
        {-EPERM, "its writes are kept apart from its file; leave out snapshot=on"},
        {-EMLINK, "its queues have several threads; name one in iothread="},
        {-EROFS, "it is not read-only for its guest; leave out ro, or give it to --disk"},
    };
    return refuse(c, "disk-swap: disk %s: %s", c->args[0], WORDS_OF(rows, err));
}

/* FILE or FILE,ro: what else --disk has said stays as it is. */
static bool take_file(struct control_task *t, const char *file)
{
    size_t len = strlen(file);
    bool ro = len > 3 && strcmp(file + len - 3, ",ro") == 0;
    snprintf(t->path, sizeof(t->path), "%.*s", (int)(ro ? len - 3 : len), file);
    return ro;
}

static cJSON *run_disk_swap(const struct call *c)
{
    struct control_task *t = c->task;
    int number = number_of(c->args[0]);
    if (!guest_runs(c))
        return NULL;
    if (number < 0 || strlen(c->args[1]) >= sizeof(t->path) || c->args[1][0] == '\0')
        return refuse(c, "disk-swap: give a disk and its next file, such as 0 other.img; the first "
                         "--disk is disk 0");
    bool ro = take_file(t, c->args[1]);
    int err = c->target->begin_swap(c->target->ctx, (unsigned)number, &t->opens);
    if (err < 0)
        return refuse_swap(c, err);
    if (ro && !t->opens.read_only) {
        c->target->end_swap(c->target->ctx);
        return refuse_swap(c, -EROFS);
    }
    t->opens.path = t->path;
    t->disk = (unsigned)number;
    t->run = open_spare;
    t->end = end_open;
    return cJSON_CreateNull();
}

static cJSON *run_link(const struct call *c)
{
    const char *card = c->args[0];
    int number = number_of(card);
    int up = schema_word("down|up", c->args[1], strlen(c->args[1]));
    if (!guest_runs(c))
        return NULL;
    if (up < 0 || number < 0)
        return refuse(c, "link: give a card and up or down; the first --net is card 0");
    int err = c->target->set_link(c->target->ctx, (unsigned)number, up == 1);
    if (err == -ENODEV)
        return refuse(c, "link: there is no card %s; the first --net is card 0", card);
    if (err == -EBUSY)
        return refuse(c, "link: the run is recorded; leave out --record");
    if (err == -EOPNOTSUPP)
        return refuse(c, "link: packets of card %s do not pass Minivet; leave out vhost", card);
    return err < 0 ? refuse(c, "link: %s", strerror(-err)) : cJSON_CreateNull();
}

static cJSON *run_stop(const struct call *c)
{
    c->target->stop(c->target->ctx);
    return cJSON_CreateNull();
}

/* NULL: it is not there, and that was said. */
static struct input_sink *input_of(const struct call *c, enum input_kind kind, const char *option)
{
    if (!guest_runs(c))
        return NULL;
    struct input_sink *sink = c->target->input(c->target->ctx, kind);
    if (sink == NULL)
        refuse(c, "the guest has no such device: give --input %s", option);
    return sink;
}

/* Presses them in their order, and lets go in the reverse one. */
static cJSON *run_sendkey(const struct call *c)
{
    unsigned keys[KEYS_AT_ONCE], count = 0;
    struct input_sink *sink = input_of(c, INPUT_KEYBOARD, "keyboard");
    if (sink == NULL)
        return NULL;
    for (const char *name = c->args[0]; name != NULL; count++) {
        size_t len = strcspn(name, "-");
        unsigned key = key_by_name(name, len);
        if (key == 0)
            return refuse(c, "sendkey: no key is called \"%.*s\"; ctrl-alt-f2 and ret are examples",
                          len < 40 ? (int)len : 40, name);
        if (count == KEYS_AT_ONCE)
            return refuse(c, "sendkey: these are more than %u keys", KEYS_AT_ONCE);
        keys[count] = key;
        name = name[len] == '-' ? name + len + 1 : NULL;
    }
    for (unsigned i = 0; i < count; i++)
        sink->ops->key(sink, keys[i], true);
    while (count-- > 0)
        sink->ops->key(sink, keys[count], false);
    return cJSON_CreateNull();
}

/* One character: a program in the guest hears some 16 of them between two of its own turns. */
static bool type_one(struct control_task *t, const struct control_target *target)
{
    struct call c = {.target = target, .task = t};
    struct input_sink *sink = input_of(&c, INPUT_KEYBOARD, "keyboard");
    bool shift;
    if (sink == NULL || t->text[t->typed] == '\0')
        return false;
    unsigned key = key_of_char(t->text[t->typed], &shift);
    if (shift)
        sink->ops->key(sink, KEY_LEFTSHIFT, true);
    sink->ops->key(sink, key, true);
    sink->ops->key(sink, key, false);
    if (shift)
        sink->ops->key(sink, KEY_LEFTSHIFT, false);
    return t->text[++t->typed] != '\0';
}

static cJSON *run_type(const struct call *c)
{
    bool shift;
    const char *text = c->args[0];
    if (input_of(c, INPUT_KEYBOARD, "keyboard") == NULL)
        return NULL;
    if (strlen(text) >= sizeof(c->task->text))
        return refuse(c, "type: this is more than %u characters", CONTROL_TYPED_BYTES - 1);
    for (const char *at = text; *at != '\0'; at++)
        if (key_of_char(*at, &shift) == 0)
            return refuse(c, "type: no key of a US keyboard types byte 0x%02x", (uint8_t)*at);
    strcpy(c->task->text, text);
    c->task->step = type_one;
    return cJSON_CreateNull();
}

static struct input_sink *pointer_of(const struct call *c)
{
    bool mouse =
        c->target->runs(c->target->ctx) && c->target->input(c->target->ctx, INPUT_MOUSE) != NULL;
    return input_of(c, mouse ? INPUT_MOUSE : INPUT_TABLET, "tablet");
}

/* A part of the screen's side as a position on the axis; -1: it is none. */
static int position_of(const char *percent)
{
    char *end;
    double part = strtod(percent, &end) / 100;
    bool is_part = end != percent && (*end == '\0' || strcmp(end, "%") == 0);
    return is_part && part >= 0 && part <= 1 ? (int)(part * INPUT_AXIS_MAX) : -1;
}

static cJSON *run_mouse(const struct call *c)
{
    int x = position_of(c->args[0]), y = position_of(c->args[1]);
    struct input_sink *sink = pointer_of(c);
    if (sink == NULL)
        return NULL;
    if (x < 0 || y < 0)
        return refuse(c, "mouse: give two parts of the screen, such as 50%% 25.5%%");
    sink->ops->move_to(sink, 0, (unsigned)x, (unsigned)y);
    return cJSON_CreateNull();
}

static cJSON *run_click(const struct call *c)
{
    static const struct {
        const char *name;
        unsigned button;
    } buttons[] = {{"left", BTN_LEFT}, {"right", BTN_RIGHT}, {"middle", BTN_MIDDLE}};
    struct input_sink *sink = pointer_of(c);
    if (sink == NULL)
        return NULL;
    for (unsigned i = 0; i < ARRAY_SIZE(buttons); i++)
        if (c->args[0] == NULL || strcmp(c->args[0], buttons[i].name) == 0) {
            sink->ops->key(sink, buttons[i].button, true);
            sink->ops->key(sink, buttons[i].button, false);
            return cJSON_CreateNull();
        }
    return refuse(c, "click: give left, right or middle");
}

/* On a helper: to pack a picture and to write a file takes its time. */
static void write_picture(struct control_task *t)
{
    int fd = own_file_open(AT_FDCWD, t->path, O_WRONLY | O_TRUNC, 0666);
    int err = fd < 0 ? fd : png_write(fd, t->picture.pixels, t->picture.width, t->picture.height);
    if (fd >= 0 && close(fd) < 0 && err == 0)
        err = -errno;
    if (err < 0)
        snprintf(t->error, sizeof(t->error), "screenshot: %.150s: %s", t->path, strerror(-err));
}

static cJSON *refuse_picture(const struct call *c, int err)
{
    switch (err) {
    case -ENODEV:
        return refuse(c, "screenshot: the guest has no screen: give --gpu on or --display");
    case -ENOENT:
        return refuse(c, "screenshot: the guest shows no picture now");
    case -EFBIG:
        return refuse(c, "screenshot: the picture has more than %u MiB",
                      (unsigned)(DISPLAY_PICTURE_BYTES / MIB));
    case -EAGAIN:
        return refuse(c, "screenshot: the guest has just changed the picture's size");
    default:
        return refuse(c, "screenshot: %s", strerror(-err));
    }
}

/* A large one in many turns of the loop that devices have, too. */
static bool copy_picture(struct control_task *t, const struct control_target *target)
{
    const struct call c = {.target = target, .task = t};
    int err = guest_runs(&c) ? target->picture(target->ctx, 0, &t->picture) : 0;
    if (err < 0)
        refuse_picture(&c, err);
    if (t->error[0] != '\0')
        t->run = NULL;
    return err > 0;
}

static cJSON *run_screenshot(const struct call *c)
{
    if (!guest_runs(c))
        return NULL;
    if (strlen(c->args[0]) >= sizeof(c->task->path))
        return refuse(c, "screenshot: the file's name is too long");
    strcpy(c->task->path, c->args[0]);
    if (copy_picture(c->task, c->target))
        c->task->step = copy_picture;
    if (c->task->picture.pixels == NULL)
        return NULL;
    c->task->run = write_picture;
    return cJSON_CreateNull();
}

static cJSON *statistics(const struct machine_balloon *b)
{
    uint64_t age_ms = b->stats_age_ns / 1000000;
    cJSON *list = cJSON_CreateObject();
    for (unsigned i = 0; i < VIRTIO_BALLOON_TAGS; i++)
        if (b->status.known >> i & 1)
            cJSON_AddNumberToObject(list, virtio_balloon_stat_name(i), (double)b->status.stats[i]);
    if (b->status.known != 0)
        cJSON_AddNumberToObject(list, "age_ms", (double)age_ms);
    return list;
}

static cJSON *run_balloon(const struct call *c)
{
    struct machine_balloon b;
    const char *text = c->args[0];
    uint64_t bytes = 0;
    if (!guest_runs(c))
        return NULL;
    if (text != NULL && (schema_parse_size(text, MIB, &bytes) != 0 || bytes < MIB))
        return refuse(c, "balloon: give a size such as 256M, at least 1M");
    int err = c->target->balloon(c->target->ctx, text != NULL ? &bytes : NULL, &b);
    if (err == -ENODEV)
        return refuse(c, "balloon: the guest has no such device: give --balloon on");
    if (err == -EBUSY)
        return refuse(c, "balloon: the run is recorded; leave out --record");
    if (err == -ERANGE)
        return refuse(c, "balloon: %.40s is more memory than the guest has", text);
    if (err < 0)
        return refuse(c, "balloon: %s", strerror(-err));
    cJSON *reply = cJSON_CreateObject();
    cJSON_AddNumberToObject(reply, "memory_bytes", (double)b.memory_bytes);
    cJSON_AddNumberToObject(reply, "asked_bytes", (double)(b.memory_bytes - b.status.target_bytes));
    cJSON_AddNumberToObject(reply, "guest_bytes",
                            (double)b.memory_bytes - (double)b.status.actual_bytes);
    cJSON_AddBoolToObject(reply, "driver", b.status.driver_runs);
    cJSON_AddItemToObject(reply, "statistics", statistics(&b));
    return reply;
}

static cJSON *run_status(const struct call *c)
{
    cJSON *status = cJSON_CreateObject();
    bool runs = c->target->runs(c->target->ctx);
    bool is_paused = runs && c->target->is_paused(c->target->ctx);
    cJSON_AddStringToObject(status, "state",
                            is_paused ? "paused"
                            : runs    ? "running"
                                      : "being set up");
    cJSON_AddNumberToObject(status, "pid", getpid());
    cJSON_AddStringToObject(status, "kernel", c->target->kernel);
    cJSON_AddStringToObject(status, "version", MINIVET_VERSION);
    return status;
}

/* A port to which a process may connect; a relative path is one from where the run was started. */
static void list_port(void *list, const struct port_config *port)
{
    char here[CONTROL_PATH_BYTES / 2], full[CONTROL_PATH_BYTES];
    const char *path = port->paths[CHR_LISTEN];
    if (port->kind != CHR_LISTEN)
        return;
    if (path[0] != '/' && getcwd(here, sizeof(here)) != NULL) {
        snprintf(full, sizeof(full), "%s/%s", here, path);
        path = full;
    }
    cJSON *row = cJSON_CreateObject();
    cJSON_AddStringToObject(row, "port", port->name);
    cJSON_AddStringToObject(row, "path", path);
    cJSON_AddBoolToObject(row, "console", port->is_console);
    cJSON_AddItemToArray(list, row);
}

static cJSON *run_console(const struct call *c)
{
    cJSON *list = cJSON_CreateArray();
    c->target->each_port(c->target->ctx, list_port, list);
    return list;
}

/* Of a terminal, up to `end`. 0: there is none. */
static uint16_t parse_extent(const char *text, char end)
{
    char *after;
    unsigned long extent = isdigit((unsigned char)text[0]) ? strtoul(text, &after, 10) : 0;
    return extent > 0 && extent <= UINT16_MAX && *after == end ? (uint16_t)extent : 0;
}

static cJSON *run_console_size(const struct call *c)
{
    if (!guest_runs(c))
        return NULL;
    const char *by = strchr(c->args[1], 'x');
    uint16_t columns = parse_extent(c->args[1], 'x');
    uint16_t rows = by != NULL ? parse_extent(by + 1, '\0') : 0;
    if (columns == 0 || rows == 0)
        return refuse(c, "console-size: give a port and its size, such as shell 120x40");
    int err = c->target->resize_port(c->target->ctx, c->args[0], columns, rows);
    if (err == -ENOTTY)
        return refuse(c, "console-size: port %.40s is no terminal; give it console=on", c->args[0]);
    return err < 0 ? refuse(c, "console-size: there is no port %.40s", c->args[0])
                   : cJSON_CreateNull();
}

/* On a helper. */
static void open_end(struct control_task *t)
{
    int err = console_end_open(&t->port, &t->config->ports[0]);
    if (err < 0)
        snprintf(t->error, sizeof(t->error), "port-add: %.63s: %s; the run has said what is wrong",
                 t->config->ports[0].name, strerror(-err));
}

static void close_end(struct control_task *t)
{
    console_end_close(t->port);
}

static void say_port_error(struct control_task *t, const char *name, int err)
{
    static const struct error_words rows[] = {
        {-ENXIO, "no guest runs now"},
        {-ENODEV,
         "the guest's console has no ports: give --console virtio and one --port at least"},
        {-EBUSY, "the run is recorded; leave out --record"},
        {-EEXIST, "there is a port of that name; give another one"},
        {-ENOSPC, "the console has no place for one more port; remove another one first"},
        {-ENOENT, "there is no such port; `info console0` lists them"},
    };
    snprintf(t->error, sizeof(t->error), "port %.63s: %s", name, WORDS_OF(rows, err));
}

/* There may be another guest by now. */
static void add_port(struct control_task *t, const struct control_target *target)
{
    int err = target->runs(target->ctx) ? 0 : -ENXIO;
    if (t->port != NULL && err == 0)
        err = target->add_port(target->ctx, t->port);
    if (t->port != NULL && err < 0) {
        say_port_error(t, t->config->ports[0].name, err);
        t->run = close_end;
    }
    config_free(t->config);
    free(t->config);
}

static cJSON *run_port_add(const struct call *c)
{
    char *words[] = {(char[]){"run"},    (char[]){"K"},      (char[]){"--console"},
                     (char[]){"virtio"}, (char[]){"--port"}, (char *)c->args[0]};
    if (!guest_runs(c))
        return NULL;
    struct vm_config *config = malloc(sizeof(*config));
    if (config == NULL)
        return refuse(c, "port-add: %s", strerror(ENOMEM));
    if (config_parse(config, ARRAY_SIZE(words), words) < 0 || config->port_count != 1) {
        config_free(config);
        free(config);
        return refuse(c, "port-add: give a port as --port takes it, such as log,file=PATH; the run "
                         "has said what is wrong");
    }
    c->task->config = config;
    c->task->run = open_end;
    c->task->end = add_port;
    return cJSON_CreateNull();
}

static cJSON *run_port_remove(const struct call *c)
{
    if (!guest_runs(c))
        return NULL;
    int err = c->target->remove_port(c->target->ctx, c->args[0], &c->task->port);
    if (err < 0) {
        say_port_error(c->task, c->args[0], err);
        return NULL;
    }
    c->task->run = close_end;
    return cJSON_CreateNull();
}

static cJSON *run_help(const struct call *c);

static const struct command commands[] = {
    {"balloon", "[SIZE]", "Leave the guest SIZE of its memory, or say what it has", 0, 1,
     run_balloon},
    {"click", "[left|right|middle]", "Press a button of the mouse and let it go", 0, 1, run_click},
    {"console", "", "List the ports that `minivet console` may connect to", 0, 0, run_console},
    {"console-size", "PORT COLUMNSxROWS", "Tell the guest how large the terminal at a port is", 2,
     2, run_console_size},
    {"disk-resize", "DISK SIZE", "Grow a disk (0, 1...), and tell the guest", 2, 2,
     run_disk_resize},
    {"disk-swap", "DISK FILE[,ro]", "Put another raw image into a disk (0, 1...)", 2, 2,
     run_disk_swap},
    {"explain", "", "Say where the guest is, and what its devices and console do", 0, 0,
     run_explain},
    {"help", "", "List the commands", 0, 0, run_help},
    {"info", "[DEVICE]", "Say how the machine, or one device (disk0), stands", 0, 1, run_info},
    {"link", "CARD up|down", "Pull the cable of a network card (0, 1...), or put it back", 2, 2,
     run_link},
    {"mouse", "X Y", "Move the pointer there: parts of the screen, such as 50% 50%", 2, 2,
     run_mouse},
    {"pause", "", "Stop the guest where it is", 0, 0, run_pause},
    {"port-add", "NAME,KEY...", "Add a port to the virtio console, as --port does", 1, 1,
     run_port_add},
    {"port-remove", "NAME", "Remove a port of the virtio console", 1, 1, run_port_remove},
    {"power", "", "Press the power button: most guests shut down", 0, 0, run_power},
    {"reset", "", "Reset the guest, with --reboot restart", 0, 0, run_reset},
    {"resume", "", "Let a paused guest go on", 0, 0, run_resume},
    {"screenshot", "FILE", "Write what the guest shows to FILE, as PNG", 1, 1, run_screenshot},
    {"sendkey", "KEYS", "Press keys together, such as ctrl-alt-f2, a or ret", 1, 1, run_sendkey},
    {"sleep", "", "Press the sleep button, a key that the guest's programs may heed", 0, 0,
     run_sleep},
    {"stats", "", "Say what the guest's devices have done, with --stats", 0, 0, run_stats},
    {"status", "", "Say whether a guest runs", 0, 0, run_status},
    {"stop", "", "End the run at once, as Ctrl-A x does", 0, 0, run_stop},
    {"type", "TEXT", "Type up to 128 characters on the keyboard (US layout)", 1, 1, run_type},
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

cJSON *control_run(const struct control_target *target, const cJSON *request,
                   struct control_task *task)
{
    struct call c = {.target = target, .task = task};
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
