// SPDX-License-Identifier: BSD-2-Clause
/* vmm/config/config_words.c, config_qemu.c: a table of what users of other programs type. */
#include "tests/harness/test.h"
#include "vmm/config/config_words.h"

static const char *transport(const struct virtio_keys *keys)
{
    return keys->transport == TRANSPORT_PCI ? "pci" : "mmio";
}

static void print_disk(const struct disk_config *d, FILE *out)
{
    fprintf(out, " disk=%s:%s:%s:%s%s%s", d->path, d->format, transport(&d->virtio),
            d->scsi ? "scsi" : "blk", d->read_only ? ":ro" : "", d->snapshot ? ":snapshot" : "");
    if (d->serial[0] != '\0')
        fprintf(out, ":serial=%s", d->serial);
    fprintf(out, ":queues=%u", d->queues);
}

static void print_net(const struct net_config *n, FILE *out)
{
    static const char *const kinds[] = {
        [NET_USER] = "user",     [NET_TAP] = "tap",       [NET_FD] = "fd",
        [NET_SOCKET] = "socket", [NET_LISTEN] = "listen", [NET_CONNECT] = "connect",
        [NET_NULL] = "null"};
    fprintf(out, " net=%s", kinds[n->kind]);
    fprintf(out, n->target[0] != '\0' ? "(%s)" : "%s", n->target);
    fprintf(out, ":%s", transport(&n->virtio));
    if (n->user.forward_count > 0)
        fprintf(out, ":forwards=%u", n->user.forward_count);
    fprintf(out, ":mac=%02x", n->mac[5]);
}

/* The machine, in the order of the table's rows. */
static char *machine_of(const struct vm_config *c)
{
    static const char *const consoles[] = {"serial", "virtio", "off"};
    char *text = NULL;
    size_t bytes;
    FILE *out = open_memstream(&text, &bytes);
    fprintf(out, "kernel=%s initrd=%s append=%s cpus=%u mem=%u console=%s", c->kernel,
            c->initrd != NULL ? c->initrd : "", c->append != NULL ? c->append : "", c->cpus,
            (unsigned)(c->mem_bytes / MIB), consoles[c->console]);
    for (unsigned i = 0; i < c->disk_count; i++)
        print_disk(&c->disks[i], out);
    for (unsigned i = 0; i < c->net_count; i++)
        print_net(&c->nets[i], out);
    for (unsigned i = 0; i < c->file_count; i++)
        fprintf(out, " fw-cfg=%s,%s", c->files[i].name,
                c->files[i].path != NULL ? c->files[i].path : c->files[i].text);
    static const char *const inputs[INPUT_KINDS] = {"keyboard", "mouse", "tablet", "touch"};
    for (unsigned i = 0; i < INPUT_KINDS; i++)
        if (c->input.on[i])
            fprintf(out, " %s=%s", inputs[i], transport(&c->input.virtio));
    static const char *const displays[] = {
        [DISPLAY_SDL] = "sdl", [DISPLAY_VNC] = "vnc", [DISPLAY_PNG] = "png"};
    if (c->display.kind != DISPLAY_NOWHERE)
        fprintf(out, " display=%s(%s)", displays[c->display.kind],
                c->display.target != NULL ? c->display.target : "");
    if (c->gpu.on)
        fprintf(out, " gpu=%s", transport(&c->gpu.virtio));
    if (c->balloon.on)
        fprintf(out, " balloon=%s", transport(&c->balloon.virtio));
    if (c->clock.on)
        fprintf(out, " clock=%s", transport(&c->clock.virtio));
    if (c->vsock.on)
        fprintf(out, " vsock=%s", transport(&c->vsock.virtio));
    fprintf(out, " rng=%s%s", transport(&c->rng.virtio), c->prefault ? " prefault" : "");
    fclose(out);
    return text;
}

static int parse(struct vm_config *c, const char *words)
{
    static char text[1024];
    char *argv[64] = {"run"}, *rest = text;
    int argc = 1;
    snprintf(text, sizeof(text), "%s", words);
    while (rest != NULL)
        argv[argc++] = strsep(&rest, " ");
    logged_line[0] = '\0';
    logged_lines = 0;
    return config_parse(c, argc, argv);
}

static void means(const char *words, const char *machine)
{
    struct vm_config c;
    int r = parse(&c, words);
    cr_expect(r == 0, "%s: %s", words, logged_line);
    char *is = machine_of(&c);
    cr_expect(r != 0 || strstr(is, machine) != NULL, "%s: \"%s\" is not in \"%s\"", words, machine,
              is);
    free(is);
    config_free(&c);
}

static void says(const char *words, const char *what)
{
    struct vm_config c;
    cr_expect_eq(parse(&c, words), -EINVAL, "%s", words);
    cr_expect_eq(logged_lines, 1, "%s: %u lines", words, logged_lines);
    cr_expect(strstr(logged_line, what) != NULL, "%s: \"%s\" is not in \"%s\"", words, what,
              logged_line);
    config_free(&c);
}

/* What is said of each without its value, or with one, is said by its own parser. */
Test(guesses, no_word_of_others_hides_one_of_ours)
{
    listen_to_log(LOG_DEBUG);
    for (const struct schema_key *o = config_options; o->name != NULL; o++) {
        char words[64];
        struct vm_config c;
        snprintf(words, sizeof(words), o->arg == NULL ? "--%s=x" : "--%s", o->name);
        cr_expect_eq(parse(&c, words), schema_is_optional(o) ? 0 : -EINVAL, "%s", words);
        cr_expect(schema_is_optional(o) ||
                      strstr(logged_line, o->arg == NULL ? "takes no value" : "needs a value") !=
                          NULL,
                  "%s: %s", words, logged_line);
        config_free(&c);
    }
    log_set_sink(NULL, NULL);
}

Test(guesses, a_disk_of_another_kind_is_warned_of)
{
    struct vm_config c;
    listen_to_log(LOG_DEBUG);
    cr_expect_eq(parse(&c, "-hda x K"), 0);
    cr_expect(logged_lines == 1 && strstr(logged_line, "x: is a virtio disk: vda") != NULL, "%s",
              logged_line);
    config_free(&c);
    cr_expect_eq(parse(&c, "-drive file=x,if=virtio K"), 0);
    cr_expect_eq(logged_lines, 0, "%s", logged_line);
    config_free(&c);
    log_set_sink(NULL, NULL);
}

Test(guesses, each_is_what_was_meant_or_one_line)
{
    listen_to_log(LOG_DEBUG);
#define MEANS(words, machine)    means(words, machine);
#define SAYS(words, logged_line) says(words, logged_line);
#include "tests/unit/guesses.def"
    log_set_sink(NULL, NULL);
}
