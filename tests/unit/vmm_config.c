// SPDX-License-Identifier: BSD-2-Clause
/* vmm/config/config.c: every option, in every spelling, and what a wrong one is told. */
#include "vmm/config/config.h"

#include <cJSON.h>
#include <sys/mman.h>

#include "core/ports/hv.h"
#include "tests/harness/test.h"
#include "virtio/spec.h"
#include "vmm/config/options.h"

/* Parses a command line that is cut at spaces. */
static int parse(struct vm_config *c, const char *line)
{
    static char text[1024];
    char *argv[256] = {NULL};
    int argc = 0;
    snprintf(text, sizeof(text), "run %s", line);
    char *rest = text;
    for (char *word = strsep(&rest, " "); word != NULL; word = strsep(&rest, " ")) {
        if (word[0] != '\0')
            argv[argc++] = word;
    }
    listen_to_log(LOG_DEBUG);
    int r = config_parse(c, argc, argv);
    log_set_sink(NULL, NULL);
    return r;
}

/* The next one, after which the one before is gone. */
static void again(struct vm_config *c, const char *line)
{
    config_free(c);
    cr_assert_eq(parse(c, line), 0, "%s: %s", line, logged_line);
}

/* What a line means. */
#define OnConfig(name, line)                    \
    TestWith(config, name, struct vm_config, c, \
             cr_assert_eq(parse(c, line), 0, "%s", (const char *)logged_line), config_free(c))

/* Refused, with a line that holds all of the words. */
static void refused(const char *line, const char *word, const char *remedy)
{
    struct vm_config c;
    cr_expect_eq(parse(&c, line), -EINVAL, "%s", line);
    cr_expect(strstr(logged_line, word) != NULL, "\"%s\" does not name %s", logged_line, word);
    cr_expect(strstr(logged_line, remedy) != NULL, "\"%s\" does not say %s", logged_line, remedy);
    config_free(&c);
}

OnConfig(defaults, "vmlinuz")
{
    cr_expect_str_eq(c->kernel, "vmlinuz");
    cr_expect_eq(c->mem_bytes, 512 * MIB);
    cr_expect_eq(c->cpus, 1);
    cr_expect_eq(c->console, CONSOLE_SERIAL);
    cr_expect_eq(c->timeout_ns, 0);
    cr_expect_eq(c->grace_ns, 0);
    cr_expect_not(c->reboot_restart);
}

Test(config, long_short_and_qemu_words_mean_the_same)
{
    static const char *const lines[] = {
        "--kernel K --initrd I --append A --mem 1G --cpus 4",
        "--kernel=K --initrd=I --append=A --mem=1024 --cpus=4",
        "-k K -i I -a A -m 1G -c 4",
        "-m1G -c4 -iI -aA K",
        "-kernel K -initrd I -append A -m 1024 -smp 4",
        "-smp 4 -m 1048576K -append A -initrd I K",
    };
    for (unsigned i = 0; i < ARRAY_SIZE(lines); i++) {
        struct vm_config c;
        cr_assert_eq(parse(&c, lines[i]), 0, "%s: %s", lines[i], logged_line);
        cr_expect_str_eq(c.kernel, "K", "%s", lines[i]);
        cr_expect_str_eq(c.initrd, "I", "%s", lines[i]);
        cr_expect_str_eq(c.append, "A", "%s", lines[i]);
        cr_expect_eq(c.mem_bytes, GIB, "%s", lines[i]);
        cr_expect_eq(c.cpus, 4, "%s", lines[i]);
        config_free(&c);
    }
}

OnConfig(disks_keep_their_order_and_keys,
         "K -d a.img --disk b.img,ro,serial=S1 -d c,,d.img,serial=S2")
{
    cr_assert_eq(c->disk_count, 3);
    cr_expect_str_eq(c->disks[0].path, "a.img");
    cr_expect_not(c->disks[0].read_only);
    cr_expect_str_eq(c->disks[1].path, "b.img");
    cr_expect(c->disks[1].read_only);
    cr_expect_str_eq(c->disks[1].serial, "S1");
    cr_expect_str_eq(c->disks[2].path, "c,d.img");
    cr_expect_str_eq(c->disks[2].serial, "S2");
}

OnConfig(other_options, "K --console virtio --timeout 1500ms --grace 2m --reboot restart -v -v")
{
    cr_expect_eq(c->console, CONSOLE_VIRTIO);
    cr_expect_eq(c->timeout_ns, UINT64_C(1500000000));
    cr_expect_eq(c->grace_ns, UINT64_C(120000000000));
    cr_expect(c->reboot_restart);
    cr_expect_eq(c->verbosity, 2);
    cr_expect_eq(c->unpack, UNPACK_CACHED);
    cr_expect_not(c->kaslr_off);
    cr_expect_not(c->prefault);
    again(c, "K --unpack on --kaslr off --prefault");
    cr_expect(c->prefault);
    cr_expect_eq(c->unpack, UNPACK_ON);
    cr_expect(c->kaslr_off);
    again(c, "K --unpack off --kaslr on");
    cr_expect_eq(c->unpack, UNPACK_OFF);
    cr_expect_not(c->kaslr_off);
    again(c, "--help");
    cr_expect(c->help);
}

OnConfig(an_optional_value_stands_behind_an_equals_sign, "K")
{
    cr_expect_eq(c->stats, STATS_OFF);
    again(c, "--stats K");
    cr_expect_eq(c->stats, STATS_TABLE);
    cr_expect_str_eq(c->kernel, "K", "a word of its own is none of the option's");
    again(c, "--stats=table K");
    cr_expect_eq(c->stats, STATS_TABLE);
    again(c, "K -stats=json");
    cr_expect_eq(c->stats, STATS_JSON);
}

OnConfig(a_timeline_and_its_marks, "K")
{
    cr_expect_not(c->timeline);
    again(c, "--timeline K --mark login: --mark=b");
    cr_expect(c->timeline && c->timeline_path == NULL);
    cr_expect_str_eq(c->marks[0], "login:");
    cr_expect_str_eq(c->marks[1], "b");
    cr_expect(c->marks[2] == NULL);
    again(c, "--timeline=a.svg K");
    cr_expect_str_eq(c->timeline_path, "a.svg");
    refused("K --timeline=a.txt", "a.txt", ".trace.json, .svg or .png");
    refused("K --mark a", "--mark a", "--timeline");
    refused("K --timeline --mark=", "--mark", "1 to 127");
    refused("K --timeline --mark 1 --mark 2 --mark 3 --mark 4 --mark 5 --mark 6 --mark 7 --mark 8 "
            "--mark 9 --mark 10 --mark 11 --mark 12 --mark 13 --mark 14 --mark 15 --mark 16 "
            "--mark 17",
            "--mark 17", "16");
}

Test(config, bad_options_name_themselves_and_the_remedy)
{
    refused("K L", "L", "K was given before");
    refused("K --frobnicate", "--frobnicate", "minivet run --help");
    refused("K --con serial --c 3", "--c",
            "is --cwd or --cpus or --cpu-features or --console or --clock or --ctl meant?");
    refused("K -z", "-z", "no such option");
    refused("K --strict=yes", "--strict=yes", "takes no value");
    refused("K --mem", "--mem", "needs a value");
    refused("K -m lots", "lots", "512M");
    refused("K -m 8M", "8M", "32M");
    refused("K -m 2000T", "2000T", "1T");
    refused("K -m 99999999999999999999", "--mem", "give a size");
    refused("K -m 33000K", "33000K", "whole MiB");
    refused("K -m -5", "-5", "512M");
    refused("K -c 0", "--cpus 0", "1 to 64");
    refused("K -c 65", "--cpus 65", "1 to 64");
    refused("K -c 2K", "--cpus 2K", "1 to 64");
    refused("K -d a.img,fast", "\"fast\"", "ro, serial=");
    refused("K -d ,ro", "--disk", "no file name");
    refused("K -d a,serial=123456789012345678901", "serial", "20 bytes");
    refused("K --console tty", "tty", "serial, virtio");
    refused("K --timeout soon", "soon", "30s");
    refused("K --timeout 0", "--timeout 0", "30s");
    refused("K --grace 0", "--grace 0", "30s");
    refused("K --reboot maybe", "maybe", "exit or restart");
    refused("K --unpack maybe", "maybe", "cached, on or off");
    refused("K --kaslr maybe", "maybe", "on or off");
    refused("K --stats=csv", "csv", "table or json");
    refused("K --stats=", "--stats=", "table or json");
}

/* ---- a command ---- */

OnConfig(a_command, "K -m 1G --env A=b -- uname -a -m 2G --")
{
    cr_expect_eq(c->mem_bytes, GIB);
    cr_expect_str_eq(c->kernel, "K");
    cr_expect_eq(cJSON_GetArraySize(c->command), 5);
    cr_expect_str_eq(cJSON_GetArrayItem(c->command, 4)->valuestring, "--");
    cr_expect_eq(cJSON_GetArraySize(c->env), 1);
    again(c, "-- true");
    cr_expect_null(c->kernel);
    char *json = config_json(c);
    cr_expect_not_null(strstr(json, "\"true\""), "%s", json);
    free(json);
    again(c, "K --port a,null -- true");
    again(c, "K");
    cr_expect_null(c->command);
}

Test(config, commands_that_are_wrong)
{
    refused("K --", "--:", "uname -a");
    refused("K --env A=b", "--env", "-- CMD");
    refused("K --cwd /tmp", "--cwd", "-- CMD");
    refused("K --env A -- true", "--env A", "NAME=VALUE");
    refused("K --env =A -- true", "--env =A", "NAME=VALUE");
    refused("K --reboot restart -- true", "--reboot restart", "command");
    refused("K --record T -- true", "--record", "a command");
    refused("K -a rdinit=/x -- true", "--append", "rdinit=");
    refused("K --port minivet.a,null -- true", "--port minivet.a", "give another");
    refused("K --config {\"command\":[\"a\",1]}", "command", "give");
}

/* ---- ports ---- */

OnConfig(ports_have_names_and_ends,
         "K --console virtio --port org.a-b_0,listen=L --port 2,null,console=on --port c,pty=T")
{
    cr_assert_eq(c->port_count, 3);
    cr_expect_str_eq(c->ports[0].name, "org.a-b_0");
    cr_expect_eq(c->ports[0].kind, CHR_LISTEN);
    cr_expect_str_eq(c->ports[0].paths[CHR_LISTEN], "L");
    cr_expect_not(c->ports[0].is_console);
    cr_expect_eq(c->ports[1].kind, CHR_NULL);
    cr_expect(c->ports[1].is_console);
    cr_expect_eq(c->ports[2].kind, CHR_PTY);
    again(c, "K --console virtio");
    cr_expect_eq(c->port_count, 0);
}

Test(config, a_log_is_of_a_console)
{
    refused("K --console off --log F", "--log F: there is no console", "leave --console off out");
}

Test(config, wrong_ports_are_refused)
{
    refused("K --port a,null", "--port a", "say --console virtio");
    refused("K --console virtio --port a", "--port a: ends nowhere", "listen, socket");
    refused("K --console virtio --port a,null,file=F", "has several ends", "say one of");
    refused("K --console virtio --port a,null --port a,null", "there twice", "another name");
    refused("K --console virtio --port a,listen=", "listen=", "a file name");
    refused("K --console virtio --port a,tcp=x", "\"tcp=x\"", "listen=PATH, socket=PATH");
    refused("K --console virtio --port name=a,null", "--port name=a", "the name comes first");
    refused("K --console virtio --record R --port a,null", "--port", "not recorded");
    const char *const bad[] = {"a/b", ".a", "a b", "-", "\xc3\xa4"};
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        struct vm_config c;
        char port[64];
        snprintf(port, sizeof(port), "--port=%s,null", bad[i]);
        char *argv[] = {(char *)"run", (char *)"K", (char *)"--console=virtio", port};
        listen_to_log(LOG_DEBUG);
        cr_expect_eq(config_parse(&c, 4, argv), -EINVAL, "%s", bad[i]);
        log_set_sink(NULL, NULL);
        cr_expect(strstr(logged_line, "letters, digits") != NULL, "%s", logged_line);
        config_free(&c);
    }
}

Test(config, too_many_ports_are_refused)
{
    char line[2048] = "K --console virtio";
    size_t used = strlen(line);
    for (int i = 0; i <= CONFIG_MAX_PORTS; i++)
        used += (size_t)snprintf(line + used, sizeof(line) - used, " --port p%d,null", i);
    refused(line, "--port", "at most 30");
}

Test(config, too_many_disks_are_refused)
{
    char line[1024] = "K";
    size_t used = 1;
    for (int i = 0; i <= CONFIG_MAX_DISKS; i++)
        used += (size_t)snprintf(line + used, sizeof(line) - used, " -d x");
    refused(line, "--disk", "at most 64");
}

/* ---- virtio keys ---- */

static bool same_keys(const struct virtio_keys *k, enum transport_kind transport,
                      enum ring_kind ring, enum on_off legacy, uint32_t queue_size)
{
    return k->transport == transport && k->ring == ring && k->legacy == legacy &&
           k->queue_size == queue_size;
}

OnConfig(virtio_devices_have_defaults, "K -d x")
{
    cr_expect(same_keys(&c->disks[0].virtio, TRANSPORT_MMIO, RING_SPLIT, ON_OFF_OFF, 256));
    cr_expect(same_keys(&c->rng.virtio, TRANSPORT_MMIO, RING_SPLIT, ON_OFF_OFF, 256));
    cr_expect(same_keys(&c->console_virtio, TRANSPORT_MMIO, RING_SPLIT, ON_OFF_OFF, 256));
    cr_expect(c->rng.on);
    cr_expect_not(c->strict);
}

OnConfig(a_device_s_keys_go_before_those_for_all_wherever_they_stand,
         "K -d x,ring=split,queue-size=8,ro --console virtio,transport=mmio "
         "--virtio transport=pci,ring=packed,queue-size=100 -d y,legacy=on,"
         "queue-size=64 --rng on,ring=split,queue-size=32768 --strict")
{
    cr_expect(same_keys(&c->disks[0].virtio, TRANSPORT_PCI, RING_SPLIT, ON_OFF_OFF, 8));
    cr_expect(c->disks[0].read_only);
    cr_expect(same_keys(&c->disks[1].virtio, TRANSPORT_PCI, RING_PACKED, ON_OFF_ON, 64));
    cr_expect(same_keys(&c->console_virtio, TRANSPORT_MMIO, RING_PACKED, ON_OFF_OFF, 100));
    cr_expect(same_keys(&c->rng.virtio, TRANSPORT_PCI, RING_SPLIT, ON_OFF_OFF, 32768));
    cr_expect_eq(c->console, CONSOLE_VIRTIO);
    cr_expect(c->strict);
}

OnConfig(a_thread_is_named_and_several_are_for_disks_that_can,
         "K -c 2 -d x,iothread=a:b-2:c_3 -d null:1M --rng on,iothread=a "
         "-d y,type=scsi,iothread=one -d z,snapshot=on,queues=1 "
         "--virtio iothread=all:of --console virtio")
{
    cr_expect_str_eq(c->disks[0].virtio.iothread, "a:b-2:c_3");
    cr_expect_str_eq(c->disks[1].virtio.iothread, "all:of");
    cr_expect_str_eq(c->disks[2].virtio.iothread, "one");
    cr_expect_str_eq(c->rng.virtio.iothread, "a");
    again(c, "K -d x");
    cr_expect_str_eq(c->disks[0].virtio.iothread, "");
}

Test(config, wrong_threads_are_refused)
{
    static const char *const names[] = {"", ":", "a:", ":a", "a::b", "a/b", "0123456789abcdef"};
    for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
        char args[64];
        snprintf(args, sizeof(args), "K -d x,iothread=%s", names[i]);
        refused(args, "--disk x: iothread=", "up to 15 letters");
    }
    refused("K -c 2 -d x,type=scsi,iothread=a:b", "--disk x", "name one thread");
    refused("K -c 2 -d x,snapshot=on,iothread=a:b", "iothread=a:b", "snapshot");
    refused("K -c 2 -d x,iops=5 --virtio iothread=a:b", "iothread=a:b", "iops");
    refused("K -c 2 -d x,format=qcow2,iothread=a:b", "--disk x", "another process");
    refused("K -c 2 -d vhost-user=s,iothread=a:b", "--disk s", "another process");
    refused("K --console virtio,iothread=a", "--console", "main thread");
    refused("K --gpu on,iothread=a", "--gpu", "main thread");
}

OnConfig(features_are_switched_by_name_and_the_last_word_counts,
         "K --features +in_order,-event_idx,+ring_reset --features "
         "-ring_reset --rng off")
{
    cr_expect_eq(c->features_on, VIRTIO_BIT(VIRTIO_F_IN_ORDER));
    cr_expect_eq(c->features_off, VIRTIO_BIT(VIRTIO_F_EVENT_IDX) | VIRTIO_BIT(VIRTIO_F_RING_RESET));
    cr_expect_not(c->rng.on);
}

OnConfig(processors_have_what_the_last_word_says, "K --cpu-features +pmu,+sve --cpu-features -sve")
{
    cr_expect_eq(c->cpu_on, HV_CPU_PMU);
    cr_expect_eq(c->cpu_off, HV_CPU_SVE);
}

OnConfig(input_devices_are_of_the_kinds_that_are_named,
         "K --input keyboard,ring=packed --input touch --virtio transport=pci")
{
    cr_expect(c->input.on[INPUT_KEYBOARD] && c->input.on[INPUT_TOUCH]);
    cr_expect(!c->input.on[INPUT_MOUSE] && !c->input.on[INPUT_TABLET] && !c->input.none);
    cr_expect(same_keys(&c->input.virtio, TRANSPORT_PCI, RING_PACKED, ON_OFF_OFF, 256));
    again(c, "K --input none");
    cr_expect(c->input.none);
    refused("K --input joystick", "joystick", "tablet");
    refused("K --input none,mouse", "--input none", "is given, too");
    refused("K --input mouse,iothread=a", "--input: iothread", "main thread");
    refused("K --input mouse,keyboard,mouse", "--input", "mouse is given twice");
}

struct own {
    bool loud;
    uint32_t level;
};

static int ring_bell(struct switch_config *c, const char *json)
{
    static const struct schema_key keys[] = {
        {"loud", "on|off", SCHEMA_SWITCH, SCHEMA_AT(struct own, loud)},
        {"level", "N", SCHEMA_NUMBER, SCHEMA_AT(struct own, level), .min = 1, .max = 9},
        {0},
    };
    static const struct schema_table tables[] = CONFIG_SWITCH_TABLES(keys);
    static const struct schema_key bell = {"bell", "on[,KEY...]|off", SCHEMA_LIST,
                                           .tables = tables};
    char text[128];
    for (size_t i = 0; i <= strlen(json); i++)
        text[i] = (char)(json[i] == '\'' ? '"' : json[i]);
    cJSON *list = cJSON_Parse(text);
    int r = config_apply_switch(c, &bell, list);
    cJSON_Delete(list);
    return r;
}

/* What a device of virtio/devices.def may bring along. */
Test(config, a_switch_takes_keys_of_its_own)
{
    struct switch_config c = {.on = false};
    const struct own *own = (const void *)c.own;
    cr_assert_eq(ring_bell(&c, "{'on':true,'level':7,'ring':'packed','loud':true}"), 0);
    cr_expect(c.on);
    cr_expect(own->loud);
    cr_expect_eq(own->level, 7);
    cr_expect_eq((int)c.virtio.ring, RING_PACKED);
    cr_expect_eq(ring_bell(&c, "{'on':true,'level':0}"), -EINVAL);
    cr_expect_eq(ring_bell(&c, "{'off':true,'level':1}"), -EINVAL);
    cr_assert_eq(ring_bell(&c, "{'off':true}"), 0);
    cr_expect_not(c.on);
}

Test(config, wrong_virtio_keys_are_refused)
{
    refused("K --virtio transport=isa", "transport=isa", "mmio or pci");
    refused("K --virtio ring=", "ring=", "split or packed");
    refused("K --virtio legacy=yes", "legacy=yes", "on or off");
    refused("K --virtio queue-size=3", "queue-size=3", "4 to 32768");
    refused("K --virtio queue-size=32769", "queue-size=32769", "4 to 32768");
    refused("K --virtio queue-size=100", "--virtio: queue-size=100", "such as 64");
    refused("K -d x,transport", "transport", "mmio or pci");
    refused("K --virtio colour=red", "colour=red", "transport=");
    refused("K -d disk,colour=red", "colour=red", "queue-size=N");
    refused("K --virtio legacy=on,ring=packed", "legacy=on", "ring=split");
    refused("K --virtio legacy=on --features +ring_packed", "legacy=on", "ring=split");
    refused("K -d x,ring=split --features +ring_packed", "--disk x", "+ring_packed");
    refused("K --virtio ring=packed --features -ring_packed", "--virtio", "-ring_packed");
    refused("K --cpu-features +avx", "+avx", "+ or - and one of: pmu, sve");
    refused("K --cpu-features pmu", "pmu", "+ or -");
    refused("K --cpu-features ,", "--cpu-features ", "+ or -");
    refused("K --features packed", "packed", "ring_packed");
    refused("K --features +version_1", "+version_1", "in_order");
    refused("K --rng maybe", "maybe", "off");
    refused("K --rng off,ring=split", "--rng off: ring", "is for --rng on");
    static const char *const sizes[] = {"63x100", "100x4096",  "1280",    "1280x",
                                        "x800",   "100x100x1", "-100x100"};
    for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
        char line[64];
        snprintf(line, sizeof(line), "K --gpu on,size=%s", sizes[i]);
        refused(line, "size=", "1280x800");
    }
    refused("K --gpu on,outputs=17", "outputs=17", "1 to 16");
    refused("K --gpu on,memory=4G", "memory=4G", "2G");
    refused("K --console serial,ring=split", "--console serial: ring", "is for --console virtio");
}

/* ---- disks ---- */

OnConfig(disks_have_defaults, "-c 3 K -d x")
{
    const struct disk_config *d = &c->disks[0];
    cr_expect_eq(d->kind, DISK_FILE);
    cr_expect_str_eq(d->format, "raw");
    cr_expect_eq(d->cache, DISK_CACHE_NONE);
    cr_expect_not(d->snapshot);
    cr_expect_eq(d->queues, 3);
}

Test(config, a_clock_has_a_base)
{
    enum { NOW_S = 1800000000 };
    static const struct {
        const char *line, *zone;
        int64_t ahead_s;
    } rows[] = {{"K", "XYZ-5", 0},
                {"K --rtc base=utc", "XYZ-5", 0},
                {"K -rtc base=localtime", "XYZ-5", 5 * 3600},
                {"K -rtc base=localtime", "XYZ3:30", -12600},
                {"K --rtc base=2024-02-29T12:00:01", "XYZ-5", 1709208001 - NOW_S},
                {"K --rtc base=1970-01-01", "XYZ-5", -(int64_t)NOW_S},
                {"K --rtc base=@4294967295", "XYZ-5", UINT32_MAX - (int64_t)NOW_S}};
    static const char *const wrong[] = {"",
                                        "now",
                                        "UTC",
                                        "2023-02-29",
                                        "2024-2-1",
                                        "2024-13-01",
                                        "2024-02-28T24:00:00",
                                        "2024-02-28T23:59:60",
                                        "2024-02-28T",
                                        "2024-02-28T12:00:00Z",
                                        "1969-12-31",
                                        "2106-02-08",
                                        "@",
                                        "@-1",
                                        "@1k",
                                        "@4294967296",
                                        "99999999999999999999"};
    struct vm_config c;
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        setenv("TZ", rows[i].zone, 1);
        tzset();
        cr_assert_eq(parse(&c, rows[i].line), 0, "%s", logged_line);
        cr_expect_eq(clock_choice_ahead_s(&c.rtc, NOW_S * UINT64_C(1000000000) + 1),
                     rows[i].ahead_s, "%s", rows[i].line);
        config_free(&c);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++) {
        char line[64];
        snprintf(line, sizeof(line), "K --rtc base=%s", wrong[i]);
        refused(line, "--rtc: base=", "such as 2024-02-29T12:00:00, or @SECONDS");
    }
    refused("K -rtc base=utc,clock=host", "clock=host", "leave it out");
    refused("K --rtc utc", "utc", "base=utc|localtime|TIME");
}

OnConfig(looks_for_hangs, "K --hang 10s")
{
    cr_expect_eq(c->hang_ns, UINT64_C(10000000000));
    refused("K --hang 10ms", "--hang 10ms", "at least a second");
}

OnConfig(has_a_watchdog, "K --watchdog on,action=pause,timeout=30s")
{
    cr_expect(c->watchdog.on);
    cr_expect_eq(c->watchdog.action, WATCHDOG_PAUSE);
    cr_expect_eq(c->watchdog.boot_ns, UINT64_C(30000000000));
    again(c, "K --watchdog on");
    cr_expect(c->watchdog.on && c->watchdog.action == WATCHDOG_RESET && c->watchdog.boot_ns == 0);
    again(c, "K --watchdog off");
    cr_expect_not(c->watchdog.on);
    again(c, "K");
    cr_expect_not(c->watchdog.on);
    refused("K --watchdog maybe", "maybe", "on");
    refused("K --watchdog off,action=reset", "action", "on");
    refused("K --watchdog on,action=shutdown", "action=shutdown", "reset, exit, pause or none");
    refused("K --watchdog on,timeout=10ms", "timeout=10ms", "at least a second");
}

OnConfig(passes_files_and_texts, "K --fw-cfg opt/a,file=F --fw-cfg opt/b/c.d,string=T")
{
    cr_assert_eq(c->file_count, 2);
    cr_expect_str_eq(c->files[0].name, "opt/a");
    cr_expect_str_eq(c->files[0].path, "F");
    cr_expect_null(c->files[0].text);
    cr_expect_str_eq(c->files[1].name, "opt/b/c.d");
    cr_expect_str_eq(c->files[1].text, "T");
    refused("K --fw-cfg opt/a", "opt/a", "give file=FILE or string=TEXT");
    refused("K --fw-cfg opt/a,file=F,string=T", "opt/a", "give file=FILE or string=TEXT");
    refused("K --fw-cfg opt/a,file=F --fw-cfg opt/a,file=G", "opt/a", "twice");
    refused("K --fw-cfg etc/e820,file=F", "etc/e820", "such as opt/");
    refused("K --fw-cfg opt/,file=F", "opt/", "such as opt/");
    refused("K --fw-cfg opt/3456789012345678901234567890123456789012345678901234567,file=F", "opt/",
            "up to 55");
    char line[BOARD_FILES_MAX * 24 + 64] = "K";
    for (unsigned i = 0; i <= BOARD_FILES_MAX; i++)
        snprintf(line + strlen(line), sizeof(line) - strlen(line), " --fw-cfg opt/%u,file=F", i);
    refused(line, "--fw-cfg", "at most 32");
}

OnConfig(knows_addresses_of_vnc_servers, "K")
{
    static const char *const wrong[] = {"foo", ":", ":59636", ":1x", "host:-1", "5901"};
    static const char *const right[] = {":0", "host:59635", "[::1]:1", "unix:a:b"};
    char line[64];
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        snprintf(line, sizeof(line), "K --display vnc=%s", wrong[i]);
        refused(line, "--display", "unix:PATH");
    }
    for (size_t i = 0; i < ARRAY_SIZE(right); i++) {
        snprintf(line, sizeof(line), "K --display vnc=%s", right[i]);
        again(c, line);
        cr_expect_str_eq(c->display.target, right[i]);
    }
}

OnConfig(a_machine_is_called_something, "K")
{
    static const uint8_t uuid[16] = {0,    0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77,
                                     0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff};
    char line[400] = "K --smbios serial=";
    cr_expect_not(c->has_smbios);
    again(c, "K --smbios serial=ds=nocloud;s=http://h/,product=p -uuid "
             "00112233-4455-6677-8899-aAbBcCdDeEfF");
    cr_expect(c->has_smbios);
    cr_expect_str_eq(c->smbios.serial, "ds=nocloud;s=http://h/");
    cr_expect_str_eq(c->smbios.product, "p");
    cr_expect_arr_eq(c->smbios.uuid, uuid, 16);
    memset(line + strlen(line), 'x', 255);
    again(c, line);
    strcat(line, "x");
    refused(line, "--smbios: serial=xx", "1 to 255 bytes");
    refused("K --smbios family=", "--smbios: family=", "1 to 255 bytes");
    refused("K --smbios uuid=00112233-4455-6677-8899-aabbccddeef", "uuid=", "such as 123e4567");
    refused("K --smbios uuid=00112233-4455-6677-8899-aabbccddeefg", "uuid=", "such as 123e4567");
    refused("K --smbios uuid=0011223344-55-6677-8899-aabbccddeeff", "uuid=", "such as 123e4567");
    refused("K --smbios name=x", "name=x", "product=TEXT");
}

Test(config, poll_is_in_microseconds)
{
    struct vm_config c;
    cr_assert_eq(parse(&c, "K"), 0);
    cr_expect_not(c.poll_given);
    config_free(&c);
    cr_assert_eq(parse(&c, "K --poll 20"), 0);
    cr_expect(c.poll_given);
    cr_expect_eq(c.poll_max_ns, 20000);
    config_free(&c);
    cr_assert_eq(parse(&c, "K --poll 0"), 0);
    cr_expect(c.poll_given);
    cr_expect_eq(c.poll_max_ns, 0);
    config_free(&c);
    refused("K --poll 10001", "--poll 10001", "0 (off) to 10000");
    refused("K --poll fast", "--poll fast", "microseconds");
}

OnConfig(disks_take_keys, "K -d a,,b,format=qcow2,cache=writeback,queues=2,backing=on "
                          "-d null:1G,iops=1k,bw=10M,burst=1s,fault=eio:1%,lat:5ms,ro "
                          "-d vhost-user=/run/s -d x,cache=unsafe,snapshot=on,sector=4096")
{
    const struct disk_config *d = c->disks;
    cr_expect_str_eq(d[0].path, "a,b");
    cr_expect(d[0].backing && !d[3].backing);
    cr_expect_str_eq(d[0].format, "qcow2");
    cr_expect_eq(d[0].cache, DISK_CACHE_WRITEBACK);
    cr_expect_eq(d[0].queues, 2);
    cr_expect_eq(d[1].kind, DISK_NULL);
    cr_expect_eq(d[1].null_bytes, GIB);
    cr_expect_eq(d[1].limits.count_per_s, 1024);
    cr_expect_eq(d[1].limits.bytes_per_s, 10 * MIB);
    cr_expect_eq(d[1].limits.burst_ns, UINT64_C(1000000000));
    cr_expect_str_eq(d[1].fault, "eio:1%,lat:5ms");
    cr_expect(d[1].read_only);
    cr_expect_eq(d[2].kind, DISK_VHOST_USER);
    cr_expect_str_eq(d[2].path, "/run/s");
    cr_expect_eq(d[3].cache, DISK_CACHE_UNSAFE);
    cr_expect(d[3].snapshot);
    cr_expect_eq(d[3].sector_bytes, 4096);
}

Test(config, wrong_disk_keys_are_refused)
{
    refused("K -d x,format=", "format=", "qcow2");
    refused("K -d x,format=../x", "format=../x", "qcow2");
    refused("K -d x,format=nbd", "format=nbd", "qcow2");
    refused("K -d x,backing=on", "--disk x", "a raw image has no backing file");
    refused("K -d x,format=vhdx,backing=on", "--disk x", "a vhdx image has no backing file");
    refused("K -d x,format=qcow2,backing=yes", "backing=yes", "on or off");
    refused("K -d x,cache=yes", "cache=yes", "none, writeback or unsafe");
    refused("K -d x,sector=1024", "sector=1024", "512 or 4096");
    refused("K -d x,format=qcow2,sector=4096", "--disk x", "another process");
    refused("K -d x,snapshot=maybe", "snapshot=maybe", "on or off");
    refused("K -d x,queues=65", "queues=65", "1 to 64");
    refused("K -d x,iops=0", "iops=0", "requests a second");
    refused("K -d x,bw=fast", "bw=fast", "bytes a second");
    refused("K -d x,fault=", "fault=", "eio:1%");
    refused("K -d x,burst=1s", "burst", "iops=N");
    refused("K -d null:1G,format=qcow2", "null:1G", "images in files");
    refused("K -d vhost-user=", "vhost-user=", "no file name");
    refused("K -d x,ro=maybe", "ro=maybe", "on or off");
    refused("K -d x,burst=1y", "burst=1y", "500ms");
    refused("K -d x,fault=fire:1%", "--disk x", "fire");
    refused("K -d null:100", "null:100", "whole sectors");
    refused("K -d vhost-user=", "--disk", "no file name");
    refused("K -d x,format=qcow2,snapshot=on", "--disk x", "raw");
    refused("K -d vhost-user=s,iops=5", "--disk s", "another process");
    refused("K -d x,format=vdi,serial=S", "--disk x", "other process");
}

/* ---- shares ---- */

OnConfig(shares_take_keys, "K --share /src/ --share t,tag=other,ro,uid=none,cache=never,queues=3 "
                           "--share vhost-user=s,tag=vu,transport=pci,iothread=x "
                           "--share u,uid=xattr,xattr=on,locks=on,writeback=on,queue-size=64")
{
    const struct share_config *s = c->shares;
    cr_assert_eq(c->share_count, 4);
    cr_expect(s[0].kind == SHARE_DIR && !s[0].read_only && !s[0].xattr && !s[0].locks);
    cr_expect(s[0].uid == SHARE_IDS_MAP && s[0].cache == SHARE_CACHES_AUTO && !s[0].writeback);
    cr_expect_str_eq(s[0].path, "/src/");
    cr_expect_eq(s[0].queues, 1);
    cr_expect_eq(s[0].virtio.queue_size, 1024);
    cr_expect_str_eq(s[0].virtio.iothread, "share0");
    cr_expect_str_eq(s[1].tag, "other");
    cr_expect(s[1].read_only && s[1].uid == SHARE_IDS_HOST && s[1].cache == SHARE_CACHES_NEVER);
    cr_expect_eq(s[1].queues, 3);
    cr_expect_str_eq(s[1].virtio.iothread, "share1");
    cr_expect_eq(s[2].kind, SHARE_VHOST_USER);
    cr_expect_str_eq(s[2].virtio.iothread, "x");
    cr_expect(s[3].uid == SHARE_IDS_XATTR && s[3].xattr && s[3].locks && s[3].writeback);
    cr_expect_eq(s[3].virtio.queue_size, 64);
}

OnConfig(shares_have_the_keys_of_all_devices, "K --share a --virtio queue-size=128,iothread=one "
                                              "--share vhost-user=s,tag=b")
{
    for (unsigned i = 0; i < 2; i++) {
        cr_expect_eq(c->shares[i].virtio.queue_size, 128);
        cr_expect_str_eq(c->shares[i].virtio.iothread, "one");
    }
}

OnConfig(a_share_has_a_tag_of_its_own,
         "K --share /a/mnt --share mnt// --share mnt,tag=mnt-2 --share ../mnt --share / --share . "
         "--share ./.. --share /a/0123456789012345678901234567890123456789 "
         "--share 01234567890123456789012345678901234\303\244 "
         "--share b/01234567890123456789012345678901234567")
{
    static const char *const tags[] = {"mnt",
                                       "mnt-3",
                                       "mnt-2",
                                       "mnt-4",
                                       "root",
                                       "share",
                                       "share-2",
                                       "012345678901234567890123456789012345",
                                       "01234567890123456789012345678901234",
                                       "0123456789012345678901234567890123-2"};
    for (unsigned i = 0; i < ARRAY_SIZE(tags); i++)
        cr_expect_str_eq(c->shares[i].tag, tags[i], "%s: %s", c->shares[i].path, c->shares[i].tag);
}

Test(config, shares_are_refused)
{
    refused("K --share", "--share", "");
    refused("K --share a,tag=", "tag=", "1 to 36 bytes");
    refused("K --share a,tag=0123456789012345678901234567890123456", "tag=", "1 to 36 bytes");
    refused("K --share a,tag=a\nb", "tag=", "1 to 36 bytes");
    refused("K --share a,tag=\377", "tag=", "1 to 36 bytes");
    refused("K --share a\177", "--share a", "tag=NAME");
    refused("K --share a,tag=t --share b,tag=t", "--share", "give another tag");
    refused("K --share a,uid=0", "uid=0", "none");
    refused("K --share a,cache=some", "cache=some", "auto");
    refused("K --share a,queues=64", "queues=64", "1 to 63");
    refused("K --share vhost-user=s", "vhost-user=s", "tag=NAME");
    refused("K --share vhost-user=s,tag=t,ro", "vhost-user=s", "the server's");
    refused("K --share a,mount_tag=t", "mount_tag", "tag=NAME");
    refused("K --share a --record R", "--share", "not recorded");
    char words[512] = "K";
    for (unsigned i = 0; i < 17; i++)
        snprintf(words + strlen(words), sizeof(words) - strlen(words), " --share d%u", i);
    refused(words, "--share", "at most 16");
}

/* ---- network cards ---- */

OnConfig(network_cards_take_keys,
         "K -n user,hostfwd=tcp::2222-:22,hostfwd=udp::53-:53,restrict=on "
         "--net tap=tap0,queues=4,mtu=9000,vhost=on,transport=pci "
         "--net fd=3:4,queues=2,mac=52:54:00:00:00:01,pcap=x.pcap "
         "--net listen=:1234 --net connect=h:1234 "
         "--net null,rss=on,pps=1k,bw=10M,burst=1s,fault=drop:1%,delay:5ms")
{
    const struct net_config *n = c->nets;
    cr_assert_eq(c->net_count, 6);
    cr_expect_eq(n[0].kind, NET_USER);
    cr_expect_eq(n[0].user.forward_count, 2);
    cr_expect_eq(n[0].user.forwards[0].host_port, 2222);
    cr_expect(n[0].user.restricted);
    cr_expect_eq(n[0].pairs, 1);
    cr_expect(n[5].rss && !n[0].rss);
    cr_expect_eq(n[1].kind, NET_TAP);
    cr_expect_str_eq(n[1].target, "tap0");
    cr_expect_eq(n[1].pairs, 4);
    cr_expect_eq(n[1].mtu_bytes, 9000);
    cr_expect(n[1].vhost);
    cr_expect_eq(n[1].virtio.transport, TRANSPORT_PCI);
    cr_expect_eq(n[2].kind, NET_FD);
    cr_expect_str_eq(n[2].target, "3:4");
    cr_expect_eq(n[2].mac[5], 1);
    cr_expect_str_eq(n[2].pcap, "x.pcap");
    cr_expect_eq(n[3].kind, NET_LISTEN);
    cr_expect_eq(n[4].kind, NET_CONNECT);
    cr_expect_str_eq(n[4].target, "h:1234");
    cr_expect_eq(n[5].limits.count_per_s, 1024);
    cr_expect_eq(n[5].limits.bytes_per_s, 10 * MIB);
    cr_expect_str_eq(n[5].fault, "drop:1%,delay:5ms");
}

OnConfig(offloads_are_of_a_direction, "K -n null,offloads=on -n null,offloads=to-host "
                                      "-n null,offloads=to-guest -n null,offloads=off")
{
    for (unsigned i = 0; i < 4; i++) {
        cr_expect_eq(c->nets[i].whole_to_guest, i == 1 || i == 3);
        cr_expect_eq(c->nets[i].whole_to_host, i == 2 || i == 3);
    }
}

OnConfig(no_network_may_be_said, "K -n none -net none")
{
    cr_expect_eq(c->net_count, 0);
}

/* Each page of it costs the start a page fault. */
Test(config, room_for_devices_is_not_touched)
{
    struct vm_config *c =
        mmap(NULL, sizeof(*c), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uint8_t is_there[sizeof(*c) / 4096 + 1];
    unsigned pages = 0, all = (unsigned)((sizeof(*c) + 4095) / 4096);
    cr_assert_neq((void *)c, MAP_FAILED);
    if (sysconf(_SC_PAGESIZE) != 4096)
        cr_skip_test("pages are larger");
    cr_assert_eq(parse(c, "K -d x -c 2"), 0);
    cr_assert_eq(mincore(c, sizeof(*c), is_there), 0);
    for (unsigned i = 0; i < all; i++)
        pages += is_there[i] & 1;
    cr_expect_lt(pages, all / 2, "%u of %u pages", pages, all);
    config_free(c);
    munmap(c, sizeof(*c));
}

Test(config, a_network_card_keeps_its_address)
{
    struct vm_config a, b;
    cr_assert_eq(parse(&a, "K -n tap=tap0 -n tap=tap0 -n tap=tap1"), 0);
    cr_assert_eq(parse(&b, "K -n tap=tap0,mtu=1400"), 0);
    cr_expect_eq(memcmp(a.nets[0].mac, b.nets[0].mac, NET_MAC_BYTES), 0);
    for (unsigned i = 1; i < 3; i++)
        cr_expect_neq(memcmp(a.nets[0].mac, a.nets[i].mac, NET_MAC_BYTES), 0);
    cr_expect_eq(a.nets[0].mac[0], 0x52);
    config_free(&a);
    config_free(&b);
}

Test(config, both_ends_of_a_socket_have_an_address_of_their_own)
{
    struct vm_config a, b;
    int ends[2];
    uint8_t other[NET_MAC_BYTES];
    cr_assert_eq(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0)
        _exit(parse(&b, "K -n socket=/s") != 0 ||
              write(ends[1], b.nets[0].mac, NET_MAC_BYTES) != NET_MAC_BYTES);
    cr_assert_eq(parse(&a, "K -n socket=/s"), 0);
    cr_assert_eq((int)read(ends[0], other, sizeof(other)), NET_MAC_BYTES);
    cr_expect_neq(memcmp(a.nets[0].mac, other, NET_MAC_BYTES), 0);
    waitpid(child, NULL, 0);
    config_free(&a);
}

Test(config, wrong_network_cards_are_refused)
{
    refused("K -n tap", "--net tap", "tap=NAME");
    refused("K -n tap=", "--net tap=", "tap=NAME");
    refused("K -n radio", "--net radio", "loopback");
    refused("K -n user,mac=1:2:3:4:5:6", "mac=1:2", "52:54");
    refused("K -n user,mac=01:00:00:00:00:00", "mac=01", "unicast");
    refused("K -n user,mac=00:00:00:00:00:00", "mac=00", "not zero");
    refused("K -n user,mtu=67", "mtu=67", "68 to 65535");
    refused("K -n user,queues=17", "queues=17", "1 to 16");
    refused("K -n user,hostfwd=22", "hostfwd=22", "tcp::2222-:22");
    refused("K -n null,hostfwd=tcp::2222-:22", "hostfwd", "hostfwd is for --net user");
    refused("K -n user,vhost=on", "vhost=on", "tap=NAME");
    refused("K -n null,rss=yes", "rss=yes", "on or off");
    refused("K -n tap=t,vhost=on,rss=on", "tap=t", "do not pass");
    refused("K -n vhost-user=/s,rss=on", "vhost-user=/s", "do not pass");
    refused("K -n tap=t,vhost=on,pcap=x", "tap=t", "do not pass");
    refused("K -n vhost-user=s,bw=1M", "vhost-user=s", "do not pass");
    refused("K -n user,offloads=some", "offloads=some", "to-guest");
    refused("K -n vhost-user=s,offloads=off", "vhost-user=s", "the server's");
    refused("K -n user,colour=red", "colour=red", "hostfwd=RULE");
    refused("K -n null,fault=eat:1%", "eat", "drop");
}

/* One thread sees all of it, or it cannot be written down. */
Test(config, what_cannot_be_recorded_is_refused)
{
    struct vm_config c;
    char *args[] = {"run", "K", "--record", "R", "-d", "x", "-n", "user"};
    cr_expect_eq(config_parse(&c, ARRAY_SIZE(args), args), 0);
    cr_expect_str_eq(c.record, "R");
    config_free(&c);
    refused("K --record R --reboot restart", "--record", "one run");
    refused("K --record R --rng on,iothread=a", "--record", "iothread");
    refused("K --record R -d x,iothread=a", "--record", "iothread");
    refused("K --record R -n user,iothread=a", "--record", "iothread");
    refused("K --record R -n tap=t,vhost=on", "--record", "elsewhere");
    refused("K --record R -n vhost-user=s", "--record", "elsewhere");
    refused("K --record R -d vhost-user=s", "--record", "elsewhere");
    refused("K --record R -d x,format=qcow2", "--record", "elsewhere");
}
