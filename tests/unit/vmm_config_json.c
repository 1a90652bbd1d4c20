// SPDX-License-Identifier: BSD-2-Clause
/* vmm/config/config_json.c, config_tree.c: options as JSON, and what is refused as such. */
#include <cJSON.h>

#include "tests/harness/test.h"
#include "vmm/config/options.h"

static char line[2048];

static void keep_line(void *ctx, enum log_level level, const char *text)
{
    (void)ctx;
    (void)level;
    snprintf(line, sizeof(line), "%s", text);
}

static void setup(void)
{
    log_set_sink(keep_line, NULL);
}

static void teardown(void)
{
    log_set_sink(NULL, NULL);
}

TestSuite(config_json, .init = setup, .fini = teardown);

static int parse(struct vm_config *c, int count, const char *const *words)
{
    char *argv[32] = {"run"};
    for (int i = 0; i < count; i++)
        argv[i + 1] = (char *)words[i];
    line[0] = '\0';
    return config_parse(c, count + 1, argv);
}

static int parse_json(struct vm_config *c, const char *json)
{
    return parse(c, 2, (const char *const[]){"--config", json});
}

/* All that a machine is made of, with texts for pointers. */
static void expect_same(const struct vm_config *a, const struct vm_config *b, const char *what)
{
    static struct vm_config x, y;
    x = *a;
    y = *b;
    struct vm_config *const both[] = {&x, &y};
    char *texts[2];
    for (unsigned n = 0; n < 2; n++) {
        struct vm_config *c = both[n];
        size_t bytes;
        FILE *out = open_memstream(&texts[n], &bytes);
        /* Their texts are in the JSON, which is compared. */
        c->command = c->env = NULL;
        const char **members[] = {
            &c->kernel,       &c->initrd,         &c->cwd,
            &c->append,       &c->timeline_path,  &c->record,
            &c->control,      &c->display.target, &c->display.password,
            &c->dtb,          &c->dtb_overlay,    &c->dump_dtb,
            &c->log,          &c->root.path,      &c->root.upper,
            &c->root.modules, &c->sandbox.folder, (const char **)(void *)c->vsock.own};
        for (unsigned i = 0; i < ARRAY_SIZE(members); i++) {
            fprintf(out, "%s;", *members[i] != NULL ? *members[i] : "(none)");
            *members[i] = NULL;
        }
        for (unsigned i = 0; c->marks[i] != NULL; c->marks[i++] = NULL)
            fprintf(out, "%s;", c->marks[i]);
        for (unsigned i = 0; i < c->disk_count; i++) {
            fprintf(out, "%s;%s;", c->disks[i].path, c->disks[i].format);
            c->disks[i].path = c->disks[i].format = NULL;
        }
        for (unsigned i = 0; i < c->net_count; i++) {
            struct net_config *net = &c->nets[i];
            fprintf(out, "%s;%s;%s;%s;%s;", net->text, net->target, net->pcap ? net->pcap : "",
                    net->user.hostname ? net->user.hostname : "", net->option ? net->option : "");
            for (unsigned k = 0; k < net->user.forward_count; k++) {
                fprintf(out, "%s;", net->user.forwards[k].text);
                net->user.forwards[k].text = net->user.forwards[k].target = NULL;
            }
            net->text = net->target = net->pcap = net->user.hostname = net->option = NULL;
        }
        for (unsigned i = 0; i < c->share_count; i++) {
            fprintf(out, "%s;", c->shares[i].path);
            c->shares[i].path = NULL;
        }
        for (unsigned i = 0; i < c->port_count; i++) {
            struct port_config *port = &c->ports[i];
            fprintf(out, "%s;%s;", port->name, port->null ? "" : port->paths[port->kind]);
            port->name = NULL;
            memset(port->paths, 0, sizeof(port->paths));
        }
        for (unsigned i = 0; i < c->file_count; i++) {
            struct board_file *file = &c->files[i];
            fprintf(out, "%s;%s;", file->name, file->path != NULL ? file->path : file->text);
            *file = (struct board_file){0};
        }
        fclose(out);
        c->given = c->texts = NULL;
        c->has_json = false;
    }
    cr_expect_str_eq(texts[0], texts[1], "%s", what);
    cr_expect_eq(memcmp((const char *)&x, (const char *)&y, offsetof(struct vm_config, disks)), 0,
                 "%s: other values", what);
    cr_expect_eq(
        memcmp((const char *)x.disks, (const char *)y.disks, x.disk_count * sizeof(x.disks[0])), 0,
        "%s: other disks", what);
    cr_expect_eq(
        memcmp((const char *)x.nets, (const char *)y.nets, x.net_count * sizeof(x.nets[0])), 0,
        "%s: other network cards", what);
    cr_expect_eq(
        memcmp((const char *)x.shares, (const char *)y.shares, x.share_count * sizeof(x.shares[0])),
        0, "%s: other shares", what);
    cr_expect_eq(
        memcmp((const char *)x.ports, (const char *)y.ports, x.port_count * sizeof(x.ports[0])), 0,
        "%s: other ports", what);
    free(texts[0]);
    free(texts[1]);
}

/* Each option and each key has a row here; that is checked below. */
static const struct {
    const char *words[9]; /* up to eight, then NULL */
} rows[] = {
    {{"--kernel", "a b,c"}},
    {{"--initrd", "I \"x\" \\"}},
    {{"--append", "console=x, \t\xc3\xa4"}},
    {{"--command", "a b", "--env", "A=\"b\" c", "--cwd", "/x y", "--", "-m"}},
    {{"--dtb", "t.dtb"}},
    {{"--dtb-overlay", "o.dtbo"}},
    {{"--dump-dtb", "d.dtb"}},
    {{"--unpack", "off"}},
    {{"--unpack", "on"}},
    {{"--kaslr", "off"}},
    {{"--mem", "768"}},
    {{"--mem", "2G"}},
    {{"--prefault"}},
    {{"--cpus", "4"}},
    {{"--rtc", "base=2024-02-29T12:00:00"}},
    {{"--rtc", "base=localtime"}},
    {{"--smbios", "manufacturer=m,product=p,version=v,serial=a,,b;c=d,sku=k,family=f", "--smbios",
      "uuid=00112233-4455-6677-8899-aAbBcCdDeEfF,type=1"}},
    {{"--cpu-features", "+pmu,-sve", "--cpu-features", "-pmu"}},
    {{"--disk", "a,,b,ro,serial=12", "--disk", "null:1M,type=scsi", "-d", "null:1024"}},
    {{"--disk", "i,format=qcow2,backing=on,cache=unsafe,queues=2"}},
    {{"--disk", "i,sector=4096,snapshot=on,iops=1k,bw=1M,burst=2s,fault=eio:1%,lat:5ms"}},
    {{"--disk", "vhost-user=/s,transport=pci,ring=packed,legacy=off,queue-size=100"}},
    {{"--disk", "x,iothread=a:b,queues=2,legacy=on"}},
    {{"--disk", "file:x", "-d", "x=y,ro=off"}},
    {{"--net", "none"}},
    {{"--net", "user,hostfwd=tcp::1-:1,hostfwd=udp::2-:2,guestfwd=tcp:10.0.3.9:1-unix:/a,,b"}},
    {{"--net", "user,restrict=on,loopback=off,ipv6=off,net=10.0.3.0/24,host=10.0.3.2"}},
    {{"--net", "user,dns=10.0.2.9,hostname=h,isolate=on,pcap=p"}},
    {{"--net", "tap=t,mac=52:54:00:00:00:01,queues=2,mtu=1400,vhost=on"}},
    {{"--net", "fd=3:4,rss=on,offloads=to-host,pcap=p,pps=5,bw=1M,burst=1s,fault=drop:1%"}},
    {{"--net", "socket=/s,peers=any,mac=52:54:00:00:00:02"}},
    {{"--net", "listen=:1", "--net", "connect=h:1"}},
    {{"--net", "vhost-user=/v", "--net", "null,transport=pci", "--net", "loopback"}},
    {{"--root", "/a,,b,rw", "--cwd", "/c"}},
    {{"--root", "a,ro,modules=m", "--", "true"}},
    {{"--root", "a,overlay=b"}},
    {{"--share", "/a,,b/", "--share", "c,tag=t,ro,uid=none,cache=always,writeback=on"}},
    {{"--share", "d,uid=xattr,xattr=on,cache=never,locks=on,queues=2,iothread=e"}},
    {{"--share", "vhost-user=S,tag=t,transport=pci,queue-size=64"}},
    {{"--console", "serial"}},
    {{"--console", "virtio,ring=packed"}},
    {{"--console", "off"}},
    {{"--log", "a.log"}},
    {{"--console", "virtio", "--port", "a,listen=L,console=on", "--port", "b,socket=S"}},
    {{"--console", "virtio", "--port", "a,file=F", "--port", "b,pipe=P", "--port", "c,pty=T"}},
    {{"--console", "virtio", "--port", "name.b_c-d.0,null,console=off"}},
    {{"--input", "keyboard,mouse", "--input", "tablet,touch,transport=pci"}},
    {{"--input", "none"}},
    {{"--rng", "on,queue-size=8,iothread=r"}},
    {{"--rng", "off"}},
    {{"--gpu", "on,outputs=2,size=800x600,memory=32M"}},
    {{"--gpu", "off"}},
    {{"--watchdog", "on,action=none,timeout=1m"}},
    {{"--watchdog", "off"}},
    {{"--sandbox", "on,allow=d"}},
    {{"--sandbox", "off"}},
    {{"--sandbox", "report"}},
    {{"--fw-cfg", "opt/a,file=F", "--fw-cfg", "opt/b/c,string=T=,,U"}},
    {{"--balloon", "on,size=256M,oom=off,reporting=off"}},
    {{"--balloon", "off"}},
    {{"--vsock", "on,path=PATH,cid=7"}},
    {{"--vsock", "on,vhost=on,cid=7"}},
    {{"--vsock", "off"}},
    {{"--clock", "on"}},
    {{"--clock", "off"}},
    {{"--display", "none"}},
    {{"--display", "png=DIR"}},
    {{"--display", "sdl"}},
    {{"--display", "vnc=:1,password=F"}},
    {{"--virtio", "transport=pci", "--virtio", "ring=packed,transport=mmio"}},
    {{"--features", "+in_order,-event_idx", "--features", "+event_idx"}},
    {{"--strict"}},
    {{"--stats"}},
    {{"--stats=json"}},
    {{"--timeline", "--mark", "a b", "--mark", "{c}"}},
    {{"--timeline=a.svg"}},
    {{"--poll", "0"}},
    {{"--record", "R"}},
    {{"--ctl", "C"}},
    {{"--timeout", "1500ms"}},
    {{"--timeout", "7"}},
    {{"--grace", "30s"}},
    {{"--hang", "10s"}},
    {{"--reboot", "restart"}},
    {{"-v", "-v", "--verbose"}},
    {{"-drive", "file=x,if=virtio", "-snapshot", "-hda", "y"}},
};

Test(config_json, what_is_printed_is_the_same_machine)
{
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        static struct vm_config a, b;
        int count = 0;
        while (rows[i].words[count] != NULL)
            count++;
        cr_assert_eq(parse(&a, count, rows[i].words), 0, "%s", line);
        char *json = config_json(&a), *again;
        cr_assert_not_null(json);
        cr_expect_eq(parse_json(&b, json), 0, "%s: %s", json, line);
        expect_same(&a, &b, json);
        again = config_json(&b);
        cr_expect_str_eq(json, again);
        free(json);
        free(again);
        config_free(&a);
        config_free(&b);
    }
}

static bool has_row(const char *option, const char *key)
{
    char item[64];
    snprintf(item, sizeof(item), ",%s", key);
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        for (unsigned k = 0; rows[i].words[k] != NULL; k++) {
            const char *word = rows[i].words[k], *next = rows[i].words[k + 1];
            if (strncmp(word, "--", 2) != 0 || strncmp(word + 2, option, strlen(option)) != 0)
                continue;
            if (key == NULL || (next != NULL && (strncmp(next, key, strlen(key)) == 0 ||
                                                 strstr(next, item) != NULL)))
                return true;
        }
    }
    return false;
}

Test(config_json, each_option_and_each_key_has_a_row)
{
    for (const struct schema_key *o = config_options; o->name != NULL; o++) {
        cr_expect(o->is_act || has_row(o->name, NULL), "%s", o->name);
        for (const struct schema_table *t = o->tables; t != NULL && t->keys != NULL; t++)
            for (const struct schema_key *k = t->keys; k->name != NULL; k++) {
                bool shared = t->keys == config_virtio_keys;
                bool is_unsaid = t->is_first && k == t->keys && k->kind == SCHEMA_FILE;
                cr_expect(has_row(shared ? "disk" : o->name, k->name) || is_unsaid ||
                              strcmp(k->name, "file") == 0,
                          "%s %s", o->name, k->name);
            }
    }
}

Test(config_json, members_are_options_by_their_names)
{
    static struct vm_config c;
    cr_assert_eq(parse_json(&c, "{\"memory\":\"512M\",\"cpus\":2,\"kernel\":\"K\",\"strict\":false,"
                                "\"disk\":[{\"file\":\"a,b\",\"iops\":100,\"ro\":true},\"c,ro\"],"
                                "\"net\":{\"user\":true,\"hostfwd\":\"tcp::1-:1\"},"
                                "\"console\":\"virtio\",\"features\":\"+in_order,-event_idx\","
                                "\"rng\":{\"on\":true,\"legacy\":false},\"verbose\":1}"),
                 0, "%s", line);
    cr_expect_eq(c.mem_bytes, 512 * MIB);
    cr_expect_eq(c.cpus, 2);
    cr_expect_eq(c.disk_count, 2);
    cr_expect_str_eq(c.disks[0].path, "a,b");
    cr_expect_eq(c.disks[0].limits.count_per_s, 100);
    cr_expect(c.disks[1].read_only && !c.strict);
    cr_expect_eq(c.nets[0].user.forward_count, 1);
    cr_expect_eq(c.console, CONSOLE_VIRTIO);
    cr_expect_eq(c.features_off, UINT64_C(1) << 29);
    cr_expect_eq(c.verbosity, 1);
    config_free(&c);
}

Test(config_json, a_command_line_adds_to_it_and_overrides)
{
    static const char json[] = "{\"mem\":\"1G\",\"kernel\":\"K\",\"disk\":[\"a\"],"
                               "\"virtio\":{\"ring\":\"packed\",\"queue-size\":8}}";
    static const char *const words[] = {"-m", "64", "--config", json,         "-c", "3",
                                        "-d", "b",  "--virtio", "ring=split", "L"};
    static struct vm_config c;
    cr_assert_eq(parse(&c, ARRAY_SIZE(words), words), 0, "%s", line);
    cr_expect_eq(c.mem_bytes, GIB, "what comes later counts");
    cr_expect_str_eq(c.kernel, "L");
    cr_expect_eq(c.cpus, 3);
    cr_expect_eq(c.disk_count, 2);
    cr_expect_eq(c.rng.virtio.ring, RING_SPLIT);
    cr_expect_eq(c.rng.virtio.queue_size, 8);
    config_free(&c);
}

Test(config_json, what_is_wrong_is_refused_in_a_line)
{
    static const struct {
        const char *json, *says;
    } wrong[] = {
        {"{\"kernel\":}", "no JSON at byte 10"},
        {"{} x", "no JSON at byte 3"},
        {"{\"frobnicate\":1}", "unknown option \"frobnicate\"; options are: kernel, initrd, "},
        {"{\"dsk\":\"a\"}", "unknown option \"dsk\": is disk meant?"},
        {"{\"config\":\"a\"}", "unknown option \"config\""},
        {"{\"help\":true}", "unknown option \"help\""},
        {"{\"mem\":1,\"cpus\":1,\"mem\":2}", "mem is given twice"},
        {"{\"mem\":1,\"memory\":2}", "mem is given twice"},
        {"{\"mem\":true}", "--mem: give a size"},
        {"{\"mem\":null}", "--mem: give a size"},
        {"{\"mem\":[512]}", "--mem: give a size"},
        {"{\"mem\":512.5}", "--mem 512.5: give a size"},
        {"{\"cpus\":-1}", "--cpus -1: give a number from 1 to 64"},
        {"{\"kernel\":5}", "--kernel: give a text"},
        {"{\"kernel\":{\"a\":1}}", "--kernel: give a text"},
        {"{\"strict\":\"yes\"}", "--strict yes: give on or off"},
        {"{\"timeline\":false}", "--timeline: give a file that ends in"},
        {"{\"verbose\":1e300}", "--verbose 1.0000000000000001e+300: give a number"},
        {"{\"rtc\":\"base=utc,base=utc\"}", "--rtc: base is given twice"},
        {"{\"disk\":5}", "--disk: give an object"},
        {"{\"disk\":[[\"a\"]]}", "--disk: an array in an array"},
        {"{\"disk\":{}}", "--disk (object): give file=FILE, null:SIZE, vhost-user=SOCKET"},
        {"{\"disk\":{\"file\":\"a\",\"null\":\"1G\"}}", "--disk (object): give file=FILE"},
        {"{\"disk\":{\"file\":\"\"}}", "give a file name"},
        {"{\"disk\":{\"file\":\"a\",\"fast\":1}}", "--disk a: unknown key \"fast\"; keys are: ro"},
        {"{\"disk\":{\"file\":\"a\",\"ro\":1,\"ro\":0}}", "--disk a: ro is given twice"},
        {"{\"disk\":{\"file\":\"a\",\"iops\":{}}}", "--disk a: iops: give requests a second"},
        {"{\"disk\":{\"file\":\"a\",\"iops\":[1]}}", "--disk a: iops: give requests a second"},
        {"{\"disk\":{\"null\":1000}}", "--disk null:1000: give a size in whole sectors"},
        {"{\"net\":{\"user\":false}}", "--net (object): give none, user"},
        {"{\"net\":{\"user\":true,\"hostfwd\":[[]]}}", "--net user: hostfwd: give tcp or udp"},
        {"{\"net\":{\"null\":true,\"hostfwd\":[]}}", "--net null: hostfwd is for --net user"},
        {"{\"features\":[5]}", "--features: give + or -"},
        {"{\"cpu-features\":true}", "--cpu-features: give + or -"},
        {"{\"append\":\"a\\u0000b\"}", "a character of zero"},
        {"{\"append\":\"\xff\"}", "is not UTF-8"},
        {"{\"append\":\"\xed\xa0\x80\"}", "is not UTF-8"},
        {"{\"append\":\"\xc0\x80\"}", "is not UTF-8"},
        {"{\"a\":[[[[[[[1]]]]]]]}", "is nested too deeply"},
        {"[]", "files are read for `minivet run` alone"},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++) {
        static struct vm_config c;
        cr_expect_eq(parse_json(&c, wrong[i].json), -EINVAL, "%s", wrong[i].json);
        cr_expect(strstr(line, wrong[i].says) != NULL, "%s: %s", wrong[i].json, line);
        config_free(&c);
    }
}

/* A tape's command line, or a file of options, may have a list of a hundred thousand. */
Test(config_json, a_list_has_a_few_keys)
{
    static const char *const says[] = {"--disk a: ro is given twice",
                                       "--disk a: has more than 256 keys"};
    char json[1000] = "{\"disk\":\"a";
    for (unsigned i = 0; i < 256; i++)
        strcat(json, ",ro");
    for (unsigned i = 0; i < ARRAY_SIZE(says); i++) {
        static struct vm_config c;
        strcpy(strrchr(json, 'o'), i == 0 ? "o\"}" : "o,ro\"}");
        cr_expect_eq(parse_json(&c, json), -EINVAL);
        cr_expect(strstr(line, says[i]) != NULL, "%s", line);
        config_free(&c);
    }
}

/* In a file of that many bytes, of which the first are given. */
static int parse_file(struct vm_config *c, const char *text, size_t bytes, size_t padding)
{
    char name[] = "/tmp/minivet-config-XXXXXX", *argv[] = {"run", "--config", name};
    int fd = mkstemp(name);
    cr_assert(fd >= 0 && write(fd, text, bytes) == (ssize_t)bytes);
    char *spaces = malloc(padding + 1);
    memset(spaces, ' ', padding + 1);
    cr_assert_eq(write(fd, spaces, padding), (ssize_t)padding);
    free(spaces);
    close(fd);
    line[0] = '\0';
    int r = config_parse_with_files(c, ARRAY_SIZE(argv), argv);
    unlink(name);
    return r;
}

Test(config_json, a_file_is_text_of_up_to_a_mebibyte)
{
    static struct vm_config c;
    static const char text[] = "{\"kernel\":\"K\"}";
    size_t bytes = strlen(text);
    cr_expect_eq(parse_file(&c, text, bytes, MIB - bytes), 0, "%s", line);
    cr_expect_str_eq(c.kernel, "K");
    config_free(&c);
    cr_expect_eq(parse_file(&c, text, bytes, MIB - bytes + 1), -EINVAL);
    cr_expect(strstr(line, "is larger than 1 MiB") != NULL, "%s", line);
    config_free(&c);
    cr_expect_eq(parse_file(&c, text, bytes + 1, 0), -EINVAL);
    cr_expect(strstr(line, "has a byte of zero") != NULL, "%s", line);
    config_free(&c);
    cr_expect_eq(parse_file(&c, "", 0, 0), -EINVAL);
    cr_expect(strstr(line, "no JSON at byte 0") != NULL, "%s", line);
    config_free(&c);
    cr_expect_eq(parse_file(&c, "[]", 2, 0), -EINVAL);
    cr_expect(strstr(line, "give an object, such as") != NULL, "%s", line);
    config_free(&c);
    char *argv[] = {"run", "--config", "/nowhere/vm.json"};
    cr_expect_eq(config_parse_with_files(&c, 3, argv), -EINVAL);
    cr_expect(strstr(line, "--config /nowhere/vm.json: No such file") != NULL, "%s", line);
    config_free(&c);
}
