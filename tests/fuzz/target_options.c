// SPDX-License-Identifier: BSD-2-Clause
/*
 * The command line of `minivet run`, with JSON in it: what is parsed and checked before anything is
 * opened. The input is its arguments, each ended by a newline.
 *
 * What is refused is so in one line, what is accepted is complete and within bounds, and means the
 * same when it is printed as JSON and read again.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "core/ports/hv.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/target.h"
#include "virtio/base/device.h"
#include "virtio/spec.h"
#include "vmm/config/options.h"

#define ARGS_MAX  64
#define WORDS_MAX 256u
#define WORD_MAX  64u

/* ---- what is accepted ---- */

static void check_keys(const struct virtio_keys *k)
{
    fuzz_check(k->transport == TRANSPORT_MMIO || k->transport == TRANSPORT_PCI, "no transport");
    fuzz_check(k->ring == RING_SPLIT || k->ring == RING_PACKED, "no ring");
    fuzz_check(k->legacy == ON_OFF_ON || k->legacy == ON_OFF_OFF, "legacy is open");
    fuzz_check(k->queue_size >= 4 && k->queue_size <= VIRTQ_MAX_SIZE, "queues of %u",
               k->queue_size);
    fuzz_check(k->ring == RING_PACKED || is_pow2(k->queue_size) || k->legacy == ON_OFF_OFF,
               "a split ring of %u", k->queue_size);
    fuzz_check(memchr(k->iothread, '\0', sizeof(k->iothread)) != NULL, "a name without an end");
}

static void check_disk(const struct disk_config *d)
{
    check_keys(&d->virtio);
    fuzz_check(d->path != NULL && d->queues >= 1 && d->queues <= VIRTIO_QUEUES_MAX,
               "a disk of %u queues", d->queues);
    fuzz_check(d->sector_bytes == 0 || d->sector_bytes == 512 || d->sector_bytes == 4096,
               "sectors of %u bytes", d->sector_bytes);
    fuzz_check(memchr(d->serial, '\0', sizeof(d->serial)) != NULL, "a serial without an end");
    fuzz_check(memchr(d->fault, '\0', sizeof(d->fault)) != NULL, "faults without an end");
}

static void check_net(const struct net_config *n)
{
    check_keys(&n->virtio);
    fuzz_check(n->pairs >= 1 && n->pairs <= CONFIG_MAX_PAIRS, "%u pairs", n->pairs);
    fuzz_check(n->target != NULL && (n->mac[0] & 1) == 0, "a card without a target or an address");
    fuzz_check(n->mtu_bytes == 0 || (n->mtu_bytes >= 68 && n->mtu_bytes <= 65535), "mtu %u",
               n->mtu_bytes);
    fuzz_check(n->user.forward_count <= NET_USER_FORWARDS, "%u ports are forwarded",
               n->user.forward_count);
    for (unsigned i = 0; i < n->user.forward_count; i++)
        fuzz_check(n->user.forwards[i].guest_port != 0, "port 0 is forwarded");
}

static void check_share(const struct vm_config *c, unsigned index)
{
    const struct share_config *s = &c->shares[index];
    check_keys(&s->virtio);
    fuzz_check(s->queues >= 1 && s->queues < VIRTIO_QUEUES_MAX, "%u queues", s->queues);
    fuzz_check(s->path != NULL && s->tag[0] != '\0', "a share without a path or a tag");
    for (unsigned i = 0; i < index; i++)
        fuzz_check(strcmp(s->tag, c->shares[i].tag) != 0, "two shares have the tag %s", s->tag);
}

static void check_accepted(const struct vm_config *c)
{
    fuzz_check(c->mem_bytes >= MIB && is_aligned(c->mem_bytes, MIB), "memory");
    fuzz_check(c->cpus >= 1 && c->cpus <= HV_MAX_VCPUS, "%u CPUs", c->cpus);
    fuzz_check((c->cpu_on & c->cpu_off) == 0, "a processor's features are on and off");
    fuzz_check((c->features_on & c->features_off) == 0, "features are on and off");
    fuzz_check(c->disk_count <= CONFIG_MAX_DISKS && c->net_count <= CONFIG_MAX_NETS, "too many");
    check_keys(&c->rng.virtio);
    check_keys(&c->console_virtio);
    for (unsigned i = 0; i < c->disk_count; i++)
        check_disk(&c->disks[i]);
    for (unsigned i = 0; i < c->net_count; i++)
        check_net(&c->nets[i]);
    fuzz_check(c->share_count <= CONFIG_MAX_SHARES, "too many shares");
    for (unsigned i = 0; i < c->share_count; i++)
        check_share(c, i);
}

/* What is no UTF-8 is not printed. */
static void check_json(const struct vm_config *c)
{
    static struct vm_config again;
    char option[] = "--config", *json = config_json(c), *argv[] = {option, option, json};
    if (json == NULL)
        return;
    int err = config_parse(&again, ARRAY_SIZE(argv), argv);
    fuzz_check(err == 0, "what was printed is refused: %s", json);
    char *same = config_json(&again);
    fuzz_check(same != NULL && strcmp(same, json) == 0, "%s became %s", json, same);
    free(same);
    free(json);
    config_free(&again);
}

static void run(struct fuzz_input *in)
{
    static struct vm_config config;
    char name[] = "run", *argv[ARGS_MAX + 1] = {name};
    int argc = 1;
    size_t len = in->left;
    char *text = malloc(len + 1), *rest = text;
    BUG_ON(text == NULL);
    memcpy(text, in->at, len);
    text[len] = '\0';
    while (rest != NULL && *rest != '\0' && argc < ARGS_MAX)
        argv[argc++] = strsep(&rest, "\n");
    fuzz_count_lines(LOG_ERROR);
    unsigned files = fuzz_open_fds();
    int err = config_parse(&config, argc, argv);
    fuzz_check(err == 0 || err == -EINVAL, "error %d", err);
    fuzz_check(fuzz_lines() == (err != 0), "error %d was told in %u lines", err, fuzz_lines());
    fuzz_check(fuzz_open_fds() == files, "a file was opened");
    if (err == 0) {
        check_accepted(&config);
        check_json(&config);
    }
    config_free(&config);
    free(text);
}

/* ---- words, from the tables that say what there is ---- */

static char words[WORDS_MAX][WORD_MAX];
static unsigned word_count;

static void add_words(const char *text)
{
    for (const char *p = text; *p != '\0' && word_count < WORDS_MAX;) {
        size_t len = strcspn(p, " ,|=[]\n");
        if (len > 0 && len < WORD_MAX)
            snprintf(words[word_count++], WORD_MAX, "%.*s%s", (int)len, p,
                     p[len] == '=' ? "=" : "");
        p += len + (p[len] != '\0');
    }
}

/* The names, arguments and keys of all options. */
static void add_options(void)
{
    char *text = NULL;
    size_t bytes;
    FILE *out = open_memstream(&text, &bytes);
    BUG_ON(out == NULL);
    for (const struct schema_key *o = config_options; o->name != NULL; o++) {
        fprintf(out, "--%s\n\"%s\":\n%s\n", o->name, o->name, o->arg != NULL ? o->arg : "");
        for (const struct schema_table *t = o->tables; t != NULL && t->keys != NULL; t++) {
            if (t->keys != config_virtio_keys || o->tables == config_virtio_tables)
                config_name_keys(out, t->keys);
            fputc('\n', out);
        }
    }
    fclose(out);
    add_words(text);
    free(text);
}

static void make_words(void)
{
    static const char *const texts[] = {
        "null:1G null:4294967296T off on,transport=pci +ring_packed,-in_order +pmu,-sve",
        "table json x /x",
        "tcp::2222-:22 udp:127.0.0.1:1-10.0.2.15:65535 tcp:10.0.2.9:80-unix:/x :8-cmd:true",
        "10.0.0.0/8 10.0.2.2 52:54:00:12:34:56 1 0 2 64 65 4096 32768 512M 64K 16777216T 5ms 1h",
        "-drive -hda -netdev -nic -device -snapshot file=x if=none if=virtio id=a drive=a netdev=a",
        "virtio-blk-pci virtio-net-device virtio-rng-pci scsi-hd ifname=t readonly listen=:1 stdio",
        "eio:1%:lat:5ms drop:1/100 dup:2% seed:9 at:4K cut:1 ,, - -- --- : 18446744073709551616",
        "{\"disk\":{\"file\":\"x\"}} {\"net\":{\"user\":true \"ro\":true \"hostfwd\": {} } ] [",
        "\"a\" \"on\" 1e3 -1 0.5 false true \\u00e4 \\u0000 \\ud800 \"cpus\":2} \"queues\":3",
    };
    add_options();
    for (unsigned i = 0; i < ARRAY_SIZE(texts); i++)
        add_words(texts[i]);
}

static uint64_t next(uint64_t *random)
{
    *random = *random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *random >> 33;
}

static size_t put_in(uint8_t *data, size_t len, size_t max, size_t at, const char *what)
{
    size_t n = strlen(what);
    if (len + n > max)
        return len;
    memmove(data + at + n, data + at, len - at);
    memcpy(data + at, what, n);
    return len + n;
}

/* Words at the ends of other words mostly, and what is between them. */
static size_t mutate(const struct fuzz_target *target, uint8_t *data, size_t len, size_t max,
                     unsigned seed)
{
    static const char *const between[] = {"\n", "\n", ",", ",", "=", ":", "}", ""};
    uint64_t random = seed;
    (void)target;
    if (word_count == 0)
        make_words();
    for (unsigned n = 1 + (unsigned)next(&random) % 4; n > 0; n--) {
        size_t at = next(&random) % (len + 1), to = at + next(&random) % 16;
        switch (next(&random) % 8) {
        case 0: /* away with some */
            to = min_u64(to, len);
            memmove(data + at, data + to, len - to);
            len -= to - at;
            break;
        case 1:
            if (at < len)
                data[at] = (uint8_t)next(&random);
            break;
        case 2: /* another number */
            while (at < len && !isxdigit(data[at]))
                at++;
            if (at < len)
                data[at] = (uint8_t) "0123456789abcdef"[next(&random) % 16];
            break;
        default:
            while (at < len && strchr("\n,=:", data[at]) == NULL)
                at++;
            if (at < len && next(&random) % 2 == 0) /* or behind it */
                at++;
            len = put_in(data, len, max, at, words[next(&random) % word_count]);
            len = put_in(data, len, max, at, between[next(&random) % ARRAY_SIZE(between)]);
            break;
        }
    }
    return len;
}

const struct fuzz_target fuzz_target_options = {
    .name = "options", .run = fuzz_run_bytes, .bytes = run, .mutate = mutate};
