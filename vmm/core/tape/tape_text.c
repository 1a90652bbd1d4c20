// SPDX-License-Identifier: BSD-2-Clause
/* What the records mean, for people. */
#include <inttypes.h>

#include "core/tape/tape.h"

/* NULL: the number means nothing. */
struct meaning {
    const char *text, *a, *b;
    bool queue;
};

static const struct meaning meanings[TAPE_TYPES] = {
    [TAPE_ARGS] = {"command line", "words", NULL, false},
    [TAPE_TIME] = {"time", "ns", NULL, false},
    [TAPE_END] = {"end", NULL, NULL, false},
    [TAPE_INFO] = {"what the backend can do", NULL, NULL, false},
    [TAPE_READ] = {"register read", NULL, NULL, false},
    [TAPE_WRITE] = {"register written", NULL, "value", false},
    [TAPE_KICK] = {"kick", NULL, NULL, true},
    [TAPE_LATER] = {"chains were seen", NULL, NULL, true},
    [TAPE_DONE] = {"request done", "number", "result", false},
    [TAPE_RESIZED] = {"the disk is resized", "bytes", NULL, false},
    [TAPE_RX] = {"there may be packets", NULL, NULL, true},
    [TAPE_WRITABLE] = {"there is room again", NULL, NULL, true},
    [TAPE_LINK] = {"the link changes", "up", NULL, false},
    [TAPE_TYPED] = {"bytes come in", NULL, NULL, false},
    [TAPE_WINDOW] = {"the window changes", "columns", "rows", false},
    [TAPE_POP] = {"takes a chain", NULL, NULL, true},
    [TAPE_MORE] = {"looks again for chains", NULL, NULL, true},
    [TAPE_LOOK] = {"looks for chains", "there are some", NULL, true},
    [TAPE_FLUSH] = {"shows used chains", "the driver wants an interrupt", NULL, true},
    [TAPE_DRAINED] = {"is drained", NULL, NULL, false},
    [TAPE_SEND] = {"sends a packet", "bytes", "result", true},
    [TAPE_RECEIVE] = {"receives a packet", "room", "result", true},
    [TAPE_PAIRS] = {"uses queue pairs", "pairs", "result", false},
    [TAPE_PRINT] = {"puts bytes out", "bytes", "taken", false},
    [TAPE_RANDOM] = {"takes randomness", "bytes", "result", false},
    [TAPE_VALUE] = {"register's value", NULL, "value", false},
    [TAPE_PUSH] = {"gives a chain back", "head", "written", true},
    [TAPE_DEVICE] = {"device", "type", "queues", false},
    [TAPE_INTERRUPT] = {"interrupt", NULL, NULL, true},
    [TAPE_CONFIG_INTERRUPT] = {"interrupt: configuration changed", NULL, NULL, false},
    [TAPE_SUBMIT] = {"request to the disk", "offset", "bytes", true},
    [TAPE_DRAIN] = {"waits for the disk", NULL, NULL, false},
    [TAPE_OFFLOADS] = {"takes offloads", "bits", NULL, false},
    [TAPE_LISTEN] = {"takes input", "bytes", NULL, false},
};

const char *tape_type_text(unsigned type)
{
    return type < TAPE_TYPES ? meanings[type].text : "of no known type";
}

/* What the field `queue` is. */
static const char *queue_means(unsigned type)
{
    switch (type) {
    case TAPE_SUBMIT:
        return "operation";
    case TAPE_RX:
    case TAPE_WRITABLE:
    case TAPE_SEND:
    case TAPE_RECEIVE:
        return "pair";
    default:
        return "queue";
    }
}

static void show_chain(const struct tape_rec *rec, FILE *out)
{
    if (rec->b == TAPE_NO_CHAIN)
        fputs(": there is none", out);
    else if (rec->b == TAPE_BROKEN_CHAIN)
        fputs(": the ring is broken", out);
    else
        fprintf(out, ", head %#x, buffers %#" PRIx64, (unsigned)(rec->b & 0xffff), rec->a);
}

void tape_show(const struct tape_rec *rec, FILE *out)
{
    const struct meaning *m = &meanings[rec->type];
    fputs(m->text, out);
    if (m->queue)
        fprintf(out, ", %s %u", queue_means(rec->type), rec->queue);
    if (rec->type == TAPE_READ || rec->type == TAPE_WRITE || rec->type == TAPE_VALUE)
        fprintf(out, ", %u bytes at %s %#" PRIx64, rec->queue & 0xffu,
                rec->queue >> 8 != 0 ? "port" : "address", rec->a);
    if (rec->type == TAPE_POP)
        show_chain(rec, out);
    if (m->a != NULL)
        fprintf(out, ", %s %#" PRIx64, m->a, rec->a);
    if (m->b != NULL)
        fprintf(out, ", %s %#" PRIx64, m->b, rec->b);
    if (rec->len > 0)
        fprintf(out, ", %u bytes", rec->len);
}
