// SPDX-License-Identifier: BSD-2-Clause
#include <arpa/inet.h>
#include <cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/fail.h"
#include "devices/net/user/net_user.h"
#include "vmm/command/command.h"
#include "vmm/command/modules.h"
#include "vmm/command/protocol.h"
#include "vmm/config/config.h"

static void put(FILE *out, int letter, const char *text)
{
    fputc(letter, out);
    fputs(text, out);
    fputc('\0', out);
}

static size_t name_length(const char *variable)
{
    return strcspn(variable, "=");
}

/* Does one behind `after` (NULL: any) set the same variable? */
static bool is_set(const cJSON *list, const cJSON *after, const char *variable)
{
    size_t len = name_length(variable) + 1;
    const cJSON *v = after != NULL ? after->next : list != NULL ? list->child : NULL;
    while (v != NULL && strncmp(v->valuestring, variable, len) != 0)
        v = v->next;
    return v != NULL;
}

/* A few that programs expect, where the user has said nothing of them; and of the user's the last.
 */
static void put_variables(FILE *out, const cJSON *list, bool has_terminal)
{
    char term[64];
    const char *own = getenv("TERM");
    snprintf(term, sizeof(term), "TERM=%s", own != NULL && own[0] != '\0' ? own : "linux");
    const char *const usual[] = {
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root",
        has_terminal ? term : NULL};
    for (unsigned i = 0; i < sizeof(usual) / sizeof(usual[0]); i++)
        if (usual[i] != NULL && !is_set(list, NULL, usual[i]))
            put(out, COMMAND_IS_VARIABLE, usual[i]);
    const cJSON *v;
    cJSON_ArrayForEach(v, list)
    {
        if (!is_set(list, v, v->valuestring))
            put(out, COMMAND_IS_VARIABLE, v->valuestring);
    }
}

/* ---- a root of the host's ---- */

#define DRIVERS_MAX 20

/* What is needed to come so far, and then what the machine's other devices need: no program of the
 * root's looks for drivers. */
static void list_drivers(const struct vm_config *vm, const char *names[DRIVERS_MAX])
{
    bool has_overlay = vm->root.writes == ROOT_MEMORY || vm->root.writes == ROOT_KEPT;
    const struct {
        const char *name;
        bool wanted;
    } all[] = {
#define DRIVER(name) {name, true},
#include "vmm/command/drivers.def"
        {"virtiofs", true},
        {"overlay", has_overlay},
        {"virtio-rng", vm->rng.on},
        {"virtio_blk", vm->disk_count > 0},
        {"virtio_scsi", vm->disk_count > 0},
        {"sd_mod", vm->disk_count > 0},
        {"virtio_net", vm->net_count > 0},
        {"af_packet", vm->net_count > 0},
        {"virtio_balloon", vm->balloon.on},
        {"vmw_vsock_virtio_transport", vm->vsock.on},
        {"virtio_gpu", vm->gpu.on},
        {"virtio_input", vm->display.kind != DISPLAY_NOWHERE},
        {"evdev", vm->display.kind != DISPLAY_NOWHERE}};
    _Static_assert(sizeof(all) / sizeof(all[0]) < DRIVERS_MAX, "with a NULL behind them");
    unsigned count = 0;
    for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        if (all[i].wanted)
            names[count++] = all[i].name;
}

/* What DHCP would give: there may be no program for it. */
static void put_address(FILE *out, const struct net_config *net)
{
    struct net_user_addresses a;
    char text[4][INET_ADDRSTRLEN];
    net_user_addresses(&net->user, &a);
    const struct in_addr all[] = {a.guest, a.mask, a.host, a.dns};
    for (unsigned i = 0; i < 4; i++)
        inet_ntop(AF_INET, &all[i], text[i], sizeof(text[i]));
    fprintf(out, "%c%s %s %s %s%c", COMMAND_IS_ADDRESS, text[0], text[1], text[2], text[3], '\0');
}

static int put_root(FILE *out, const struct vm_config *vm, struct cpio *archive)
{
    static const char *const words[] = {[ROOT_MEMORY] = COMMAND_ROOT_MEMORY,
                                        [ROOT_KEPT] = COMMAND_ROOT_KEPT,
                                        [ROOT_LIVE] = COMMAND_ROOT_LIVE,
                                        [ROOT_REFUSED] = COMMAND_ROOT_REFUSED};
    const char *names[DRIVERS_MAX] = {NULL};
    const struct root_config *root = &vm->root;
    put(out, COMMAND_IS_ROOT, words[root->writes]);
    if (root->has_library)
        put(out, COMMAND_IS_LIBRARY, "");
    if (root->note != NULL)
        put(out, COMMAND_IS_NOTE, root->note);
    if (vm->net_count > 0 && vm->nets[0].kind == NET_USER)
        put_address(out, &vm->nets[0]);
    list_drivers(vm, names);
    return root->module_folder != NULL ? modules_add(archive, out, root->module_folder, names) : 0;
}

/* ---- all of it ---- */

char *command_records(const struct vm_config *vm, struct cpio *archive, uint16_t columns,
                      uint16_t rows, bool is_joined, size_t *bytes)
{
    char *text = NULL, size[16];
    const cJSON *word;
    FILE *out = open_memstream(&text, bytes);
    if (out == NULL) {
        fail(-ENOMEM, "command");
        return NULL;
    }
    snprintf(size, sizeof(size), "%ux%u", columns, rows);
    if (columns != 0)
        put(out, COMMAND_IS_TERMINAL, size);
    if (is_joined)
        put(out, COMMAND_IS_JOINED, "");
    if (vm->cwd != NULL)
        put(out, COMMAND_IS_FOLDER, vm->cwd);
    int r = vm->root.path != NULL ? put_root(out, vm, archive) : 0;
    put_variables(out, vm->env, columns != 0);
    cJSON_ArrayForEach(word, vm->command)
    {
        put(out, COMMAND_IS_WORD, word->valuestring);
    }
    if (fclose(out) != 0 && r == 0)
        r = fail(-ENOMEM, "command");
    if (r < 0) {
        free(text);
        return NULL;
    }
    return text;
}
