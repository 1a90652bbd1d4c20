// SPDX-License-Identifier: BSD-2-Clause
#include "tests/fuzz/script.h"

#include <string.h>

#include "core/base/le.h"
#include "core/base/xmath.h"
#include "tests/harness/rig.h"

const struct fuzz_op_info fuzz_ops[FUZZ_OPS] = {
    [FUZZ_START] = {"start", "dbh"},       /* features, queues, size */
    [FUZZ_OUT] = {"out", "s"},             /* a buffer with these bytes joins the chain */
    [FUZZ_FILL] = {"fill", "hb"},          /* one of so many bytes, all of this value */
    [FUZZ_IN] = {"in", "h"},               /* one for the device to write */
    [FUZZ_SEND] = {"send", "bb"},          /* queue, how: the chain that was built */
    [FUZZ_KICK] = {"kick", "b"},           /* queue */
    [FUZZ_RESET] = {"reset", ""},          /* of the device */
    [FUZZ_QUEUE_RESET] = {"qreset", "b"},  /* queue */
    [FUZZ_QUEUE_SETUP] = {"qsetup", "bh"}, /* queue, size */
    [FUZZ_CONFIG] = {"config", "hs"},      /* offset, bytes to write */
    [FUZZ_IRQ] = {"irq", "bb"},            /* queue, wanted */
    [FUZZ_STATUS] = {"status", "b"},       /* value */
    [FUZZ_EDIT] = {"edit", "hs"},          /* offset in the data, bytes: while it is in flight */
    [FUZZ_HOLD] = {"hold", ""},            /* the backend answers later */
    [FUZZ_RELEASE] = {"release", ""},      /* now */
    [FUZZ_FAIL] = {"fail", "bb"},          /* errno, requests that go well before */
    [FUZZ_RESIZE] = {"resize", "h"},       /* sectors */
    [FUZZ_PACKET] = {"packet", "bs"},      /* queue pair, header and frame; typed bytes; events */
    [FUZZ_ROOM] = {"room", "bh"},          /* queue pair, packets; bytes of the terminal */
    [FUZZ_LINK] = {"link", "b"},           /* up */
    [FUZZ_TIME] = {"time", "w"},           /* microseconds pass */
    [FUZZ_AT] = {"at", "dwb"},             /* a buffer at an address: length, for writing */
    [FUZZ_NOTIFY] = {"notify", "bw"},      /* queue, value */
    [FUZZ_BEND] = {"bend", "bd"},          /* fault, value */
    [FUZZ_POKE] = {"poke", "bbhs"},        /* queue, area, offset, bytes: into a ring */
    [FUZZ_MEM] = {"mem", "ws"},            /* address, bytes */
    [FUZZ_GET] = {"get", "bhb"},           /* space, offset, width */
    [FUZZ_SET] = {"set", "bhbd"},          /* and value */
    [FUZZ_ACCEPT] = {"accept", "bw"},      /* word of features, value */
};

const char *const fuzz_device_names[FUZZ_DEVICES] = {
    [FUZZ_ECHO] = "ring",       [FUZZ_BLK] = "blk",     [FUZZ_SCSI] = "scsi",   [FUZZ_NET] = "net",
    [FUZZ_CONSOLE] = "console", [FUZZ_RNG] = "rng",     [FUZZ_INPUT] = "input", [FUZZ_GPU] = "gpu",
    [FUZZ_BALLOON] = "balloon", [FUZZ_VSOCK] = "vsock", [FUZZ_RTC] = "rtc",     [FUZZ_FS] = "fs",
};

#define VARIANTS (RIG_VARIANTS + RIG_LEGACY_VARIANTS)

static unsigned operand_bytes(char kind)
{
    return kind == 'b' ? 1 : kind == 'h' || kind == 's' ? 2 : kind == 'w' ? 4 : 8;
}

/* ---- bytes ---- */

struct cursor {
    const uint8_t *at, *end;
};

/* Little-endian; what is missing is 0. */
static uint64_t take(struct cursor *c, unsigned bytes)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < bytes && c->at < c->end; i++)
        value |= (uint64_t)*c->at++ << (8 * i);
    return value;
}

static void decode_step(struct cursor *c, struct fuzz_step *step)
{
    *step = (struct fuzz_step){.op = (uint8_t)(take(c, 1) % FUZZ_OPS)};
    unsigned arg = 0;
    for (const char *kind = fuzz_ops[step->op].operands; *kind != '\0'; kind++) {
        uint64_t value = take(c, operand_bytes(*kind));
        if (*kind != 's') {
            step->arg[arg++] = value;
            continue;
        }
        step->len = (uint32_t)min_u64(value % (FUZZ_BYTES_MAX + 1), (uint64_t)(c->end - c->at));
        step->bytes = c->at;
        c->at += step->len;
    }
}

bool fuzz_script_decode(struct fuzz_script *s, const uint8_t *data, size_t len)
{
    if (len < FUZZ_HEAD_BYTES || memcmp(data, FUZZ_MAGIC, 4) != 0)
        return false;
    s->head = (struct fuzz_head){
        .device = data[4] % FUZZ_DEVICES,
        .variant = (uint8_t)(data[5] % VARIANTS),
        .options = data[6] & FUZZ_OPTIONS,
    };
    struct cursor c = {data + FUZZ_HEAD_BYTES, data + len};
    for (s->count = 0; c.at < c.end && s->count < FUZZ_STEPS_MAX; s->count++)
        decode_step(&c, &s->steps[s->count]);
    return true;
}

static size_t encode_step(const struct fuzz_step *step, uint8_t *out)
{
    uint8_t *at = out;
    unsigned arg = 0;
    *at++ = step->op;
    for (const char *kind = fuzz_ops[step->op].operands; *kind != '\0'; kind++) {
        uint64_t value = *kind == 's' ? step->len : step->arg[arg++];
        for (unsigned i = 0; i < operand_bytes(*kind); i++)
            *at++ = (uint8_t)(value >> (8 * i));
        if (*kind == 's' && step->len > 0) {
            memcpy(at, step->bytes, step->len);
            at += step->len;
        }
    }
    return (size_t)(at - out);
}

size_t fuzz_script_encode(const struct fuzz_script *s, uint8_t *out, size_t max)
{
    const uint8_t head[FUZZ_HEAD_BYTES] = {
        'M', 'V', 'F', '1', s->head.device, s->head.variant, s->head.options};
    if (max < sizeof(head))
        return 0;
    memcpy(out, head, sizeof(head));
    size_t len = sizeof(head);
    for (unsigned i = 0; i < s->count; i++) {
        if (len + 1 + 8 * FUZZ_ARGS + s->steps[i].len > max)
            break;
        len += encode_step(&s->steps[i], out + len);
    }
    return len;
}

bool fuzz_script_is_portable(const struct fuzz_script *s)
{
    for (unsigned i = 0; i < s->count; i++)
        if (s->steps[i].op >= FUZZ_FIRST_RAW)
            return false;
    return true;
}
