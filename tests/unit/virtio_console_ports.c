// SPDX-License-Identifier: BSD-2-Clause
#include "core/base/le.h"
#include "core/base/log.h"
#include "core/state/state.h"
#include "tests/harness/portio.h"
#include "tests/harness/rig_test.h"
#include "tests/harness/test.h"
#include "virtio/console/console.h"
#include "virtio/spec.h"

#define MULTIPORT   VIRTIO_BIT(VIRTIO_CONSOLE_F_MULTIPORT)
#define EMERG_WRITE VIRTIO_BIT(VIRTIO_CONSOLE_F_EMERG_WRITE)
#define SIZE        VIRTIO_BIT(VIRTIO_CONSOLE_F_SIZE)

#define RX_OF(port) (2 * (port) + 2) /* but port 0 */
#define TX_OF(port) (2 * (port) + 3)

static void open_ports(struct rig *rig)
{
    struct rig_config config = portio_config(&rig_variants[0]);
    rig_open_console_on(rig, &config);
}

static void open_started(struct rig *rig)
{
    open_ports(rig);
    portio_start(rig, 0);
}

static void print(struct rig *rig, unsigned queue, const char *text)
{
    uint32_t len = (uint32_t)strlen(text);
    uint64_t gpa = vdrv_alloc(&rig->drv, len, 1);
    memcpy(vdrv_ptr(&rig->drv, gpa, len), text, len);
    cr_assert_geq(vdrv_send(&rig->drv.q[queue], &(struct vdrv_buf){gpa, len, false}, 1), 0);
    rig_step(rig);
}

static const char *listen(struct rig *rig, unsigned queue, uint32_t len)
{
    uint64_t gpa = vdrv_alloc(&rig->drv, len, 1);
    cr_assert_geq(vdrv_send(&rig->drv.q[queue], &(struct vdrv_buf){gpa, len, true}, 1), 0);
    rig_step(rig);
    return vdrv_ptr(&rig->drv, gpa, len);
}

static unsigned take(struct rig *rig, unsigned queue)
{
    uint32_t head, len;
    unsigned n = 0;
    while (vdrv_used(&rig->drv.q[queue], &head, &len))
        n++;
    return n;
}

static void expect_out(const struct fake_chr *chr, const char *text)
{
    cr_expect_eq(chr->out_bytes, strlen(text));
    cr_expect_arr_eq(chr->out, text, strlen(text), "%.*s", (int)chr->out_bytes, chr->out);
}

OnRig(virtio_console_ports, are_counted_in_the_configuration, open_ports(rig))
{
    uint8_t count[4];
    cr_expect(vdrv_offered(&rig->drv) & MULTIPORT);
    vdrv_config_read(&rig->drv, VIRTIO_CONSOLE_CONFIG_max_nr_ports, count, sizeof(count));
    cr_expect_eq(le32_get(count), 1 + RIG_PORTS);
    cr_expect_eq(rig->dev->cfg.queue_count, PORTIO_QUEUES);
}

OnRig(virtio_console_ports, a_console_without_others_has_none,
      rig_open_console_on(rig, &rig_variants[0]))
{
    const uint8_t last = '!';
    cr_expect_eq(vdrv_offered(&rig->drv) & (MULTIPORT | EMERG_WRITE), 0);
    vdrv_config_write(&rig->drv, VIRTIO_CONSOLE_CONFIG_emerg_wr, &last, 1);
    cr_expect_eq(rig->chr.out_bytes, 0);
    cr_expect_eq(rig->dev->cfg.queue_count, 2);
}

OnEachRig(virtio_console_ports, are_told_one_after_the_other,
          rig_open_console_on(rig, (struct rig_config[]){portio_config(on)}))
{
    const char *name = rig_config_name(&rig->cfg);
    fake_chr_leave(&rig->ports[0]);
    rig_start(rig, MULTIPORT | SIZE, PORTIO_QUEUES, 16);
    portio_give(rig, PORTIO_BUFFERS, 96);
    cr_expect_str_eq(portio_hear(rig), "", "%s: nothing before it is asked", name);
    portio_say(rig, 7, VIRTIO_CONSOLE_DEVICE_READY, 1);
    cr_expect_str_eq(portio_hear(rig), "0:add 1:add 2:add", "%s", name);
    portio_say(rig, 0, VIRTIO_CONSOLE_PORT_READY, 1);
    cr_expect_str_eq(portio_hear(rig), "0:console 0:size(80x25) 0:open", "%s", name);
    portio_say(rig, 1, VIRTIO_CONSOLE_PORT_READY, 1);
    cr_expect_str_eq(portio_hear(rig), "1:name(one)", "%s: nobody is there", name);
    portio_say(rig, 2, VIRTIO_CONSOLE_PORT_READY, 1);
    cr_expect_str_eq(portio_hear(rig), "2:console 2:name(two) 2:open", "%s", name);
}

OnRig(virtio_console_ports, carry_bytes_each_its_own, open_started(rig))
{
    const char *zero = listen(rig, VIRTIO_CONSOLE_RX, 8), *two = listen(rig, RX_OF(2), 8);
    print(rig, VIRTIO_CONSOLE_TX, "console");
    print(rig, TX_OF(1), "first");
    print(rig, TX_OF(2), "second");
    expect_out(&rig->chr, "console");
    expect_out(&rig->ports[0], "first");
    expect_out(&rig->ports[1], "second");
    cr_expect_eq(fake_chr_type(&rig->ports[0], "x", 1), 0, "no buffer, no input");
    cr_expect_eq(fake_chr_type(&rig->ports[1], "to two", 6), 6);
    cr_expect_eq(fake_chr_type(&rig->chr, "key", 3), 3);
    rig_step(rig);
    cr_expect_arr_eq(two, "to two", 6);
    cr_expect_arr_eq(zero, "key", 3);
    cr_expect_eq(take(rig, RX_OF(2)), 1);
    cr_expect_eq(take(rig, RX_OF(1)), 0);
}

OnRig(virtio_console_ports, wait_for_none_of_the_others, open_started(rig))
{
    rig->ports[0].room = 3;
    for (unsigned i = 0; i < 10; i++)
        print(rig, TX_OF(1), "stalled");
    print(rig, TX_OF(2), "goes on");
    print(rig, VIRTIO_CONSOLE_TX, "as well");
    expect_out(&rig->ports[1], "goes on");
    expect_out(&rig->chr, "as well");
    cr_expect_eq(rig->ports[0].out_bytes, 3);
    cr_expect_eq(take(rig, TX_OF(1)), 0);
    fake_chr_open(&rig->ports[0], 7);
    rig_step(rig);
    cr_expect_eq(take(rig, TX_OF(1)), 1);
}

OnRig(virtio_console_ports, ask_for_input_only_while_the_guest_has_them_open, open_ports(rig))
{
    rig_start(rig, MULTIPORT, PORTIO_QUEUES, 16);
    portio_give(rig, PORTIO_BUFFERS, 96);
    portio_say(rig, 0, VIRTIO_CONSOLE_DEVICE_READY, 1);
    portio_hear(rig);
    portio_say(rig, 1, VIRTIO_CONSOLE_PORT_READY, 1);
    listen(rig, RX_OF(1), 8);
    cr_expect_eq(rig->ports[0].rx_max, 0);
    portio_say(rig, 1, VIRTIO_CONSOLE_PORT_OPEN, 1);
    cr_expect_eq(rig->ports[0].rx_max, 8);
    portio_say(rig, 1, VIRTIO_CONSOLE_PORT_OPEN, 0);
    cr_expect_eq(rig->ports[0].rx_max, 0);
}

OnRig(virtio_console_ports, tell_who_leaves_and_comes, open_started(rig))
{
    fake_chr_leave(&rig->ports[0]);
    cr_expect_str_eq(portio_hear(rig), "1:closed");
    fake_chr_come(&rig->ports[0]);
    cr_expect_str_eq(portio_hear(rig), "1:open");
    fake_chr_leave(&rig->ports[0]);
    fake_chr_come(&rig->ports[0]);
    cr_expect_str_eq(portio_hear(rig), "1:closed 1:open", "it is somebody else");
}

/* However often somebody comes and goes: no more is kept than the last of it. */
OnRig(virtio_console_ports, keep_no_more_news_than_there_are_kinds, open_started(rig))
{
    uint32_t id, len;
    while (vdrv_used(&rig->drv.q[VIRTIO_CONSOLE_CONTROL_RX], &id, &len))
        ;
    for (unsigned i = 0; i < 1000; i++) {
        fake_chr_leave(&rig->ports[0]);
        fake_chr_come(&rig->ports[0]);
        fake_chr_leave(&rig->ports[1]);
        if (i == PORTIO_BUFFERS) /* until here each was told */
            rig_step(rig);
    }
    const char *told = portio_hear(rig);
    cr_expect(strstr(told, "1:closed 2:closed 1:open") == told, "%s", told);
    cr_expect_str_eq(portio_hear(rig), "");
}

OnRig(virtio_console_ports, drop_what_nobody_reads, open_started(rig))
{
    rig->ports[0].room = 4;
    print(rig, TX_OF(1), "for the first");
    cr_expect_eq(take(rig, TX_OF(1)), 0);
    fake_chr_leave(&rig->ports[0]);
    rig_step(rig);
    cr_expect_eq(take(rig, TX_OF(1)), 1);
    print(rig, TX_OF(1), "for nobody");
    cr_expect_eq(take(rig, TX_OF(1)), 1);
    fake_chr_come(&rig->ports[0]);
    fake_chr_open(&rig->ports[0], 100);
    print(rig, TX_OF(1), "!");
    expect_out(&rig->ports[0], "for !");
}

OnRig(virtio_console_ports, the_rest_of_a_line_is_not_for_the_next, open_started(rig))
{
    rig->ports[0].room = 4;
    print(rig, TX_OF(1), "for the first");
    fake_chr_leave(&rig->ports[0]);
    fake_chr_come(&rig->ports[0]);
    fake_chr_open(&rig->ports[0], 100);
    rig_step(rig);
    expect_out(&rig->ports[0], "for ");
    cr_expect_eq(take(rig, TX_OF(1)), 1);
}

OnRig(virtio_console_ports, a_window_has_its_size_told, open_ports(rig))
{
    portio_start(rig, SIZE);
    rig->chr.backend.handler->on_resize(rig->chr.backend.handler->ctx, 132, 43);
    cr_expect_str_eq(portio_hear(rig), "0:size(132x43)");
    rig->chr.backend.handler->on_resize(rig->chr.backend.handler->ctx, 100, 30);
    rig->chr.backend.handler->on_resize(rig->chr.backend.handler->ctx, 90, 20);
    cr_expect_str_eq(portio_hear(rig), "0:size(90x20)");
}

/* Port 2 is a terminal, port 1 is none. */
OnRig(virtio_console_ports, have_a_terminals_size_told, open_ports(rig))
{
    cr_expect_eq(virtio_console_resize_port(rig->console, "two", 120, 40), 0);
    portio_start(rig, SIZE);
    cr_expect_eq(virtio_console_resize_port(rig->console, "two", 132, 43), 0);
    cr_expect_str_eq(portio_hear(rig), "2:size(132x43)");
    cr_expect_eq(virtio_console_resize_port(rig->console, "one", 132, 43), -ENOTTY);
    cr_expect_eq(virtio_console_resize_port(rig->console, "three", 132, 43), -ENODEV);
    cr_expect_str_eq(portio_hear(rig), "");
    vdrv_reset(&rig->drv);
    rig_start(rig, MULTIPORT | SIZE, PORTIO_QUEUES, 16);
    portio_give(rig, PORTIO_BUFFERS, 96);
    portio_say(rig, 0, VIRTIO_CONSOLE_DEVICE_READY, 1);
    portio_hear(rig);
    portio_say(rig, 2, VIRTIO_CONSOLE_PORT_READY, 1);
    cr_expect_str_eq(portio_hear(rig), "2:console 2:size(132x43) 2:name(two) 2:open");
}

OnRig(virtio_console_ports, a_driver_without_sizes_is_told_none, open_ports(rig))
{
    portio_start(rig, 0);
    cr_expect_eq(virtio_console_resize_port(rig->console, "two", 132, 43), 0);
    cr_expect_str_eq(portio_hear(rig), "");
}

/* VIRTIO 1.4 5.3: without MULTIPORT there is port 0, which needs no acquaintance. */
OnRig(virtio_console_ports, a_driver_may_do_without, open_ports(rig))
{
    rig_start(rig, SIZE, PORTIO_QUEUES, 16);
    portio_give(rig, 1, 96);
    portio_say(rig, 0, VIRTIO_CONSOLE_DEVICE_READY, 1);
    print(rig, TX_OF(1), "nowhere");
    cr_expect_eq(rig->ports[0].out_bytes, 0);
    listen(rig, VIRTIO_CONSOLE_RX, 8);
    print(rig, VIRTIO_CONSOLE_TX, "somewhere");
    cr_expect_eq(rig->chr.rx_max, 8);
    expect_out(&rig->chr, "somewhere");
    cr_expect_str_eq(portio_hear(rig), "");
}

OnRig(virtio_console_ports, a_reset_forgets_them, open_started(rig))
{
    listen(rig, RX_OF(1), 8);
    vdrv_reset(&rig->drv);
    cr_expect_eq(rig->ports[0].rx_max, 0);
    fake_chr_leave(&rig->ports[0]);
    rig_start(rig, MULTIPORT, PORTIO_QUEUES, 16);
    portio_give(rig, PORTIO_BUFFERS, 96);
    cr_expect_str_eq(portio_hear(rig), "");
    listen(rig, RX_OF(1), 8);
    cr_expect_eq(rig->ports[0].rx_max, 0);
    portio_say(rig, 0, VIRTIO_CONSOLE_DEVICE_READY, 1);
    cr_expect_str_eq(portio_hear(rig), "0:add 1:add 2:add");
}

/* A loaded device's backend may have been left, or joined. */
OnRig(virtio_console_ports, a_load_tells_who_has_left, open_started(rig))
{
    struct state s;
    fake_chr_leave(&rig->ports[1]);
    portio_hear(rig);
    virtio_device_hold(rig->dev);
    cr_assert(virtio_device_is_idle(rig->dev));
    state_save(&s);
    rig_state(rig, &s);
    cr_assert_eq(state_error(&s), 0);
    rig->ports[0].backend.is_away = true;
    rig_renew(rig);
    rig->ports[1].backend.is_away = false;
    struct state loads;
    state_load(&loads, s.bytes, s.len);
    rig_state(rig, &loads);
    cr_assert_eq(state_error(&loads), 0);
    state_fini(&loads);
    state_fini(&s);
    cr_expect_str_eq(portio_hear(rig), "1:closed 2:open");
}

/* All 31, behind as many queues as a device may have. */
OnRig(virtio_console_ports, there_may_be_thirty, rig_open_host(rig, &rig_variants[0]))
{
    struct virtio_console *console;
    struct virtio_console_port ports[VIRTIO_CONSOLE_PORTS_MAX];
    struct virtio_setup setup = rig_setup(rig, "console");
    static struct fake_chr chr[1 + VIRTIO_CONSOLE_PORTS_MAX];
    for (unsigned i = 0; i < ARRAY_SIZE(chr); i++)
        fake_chr_init(&chr[i], 0, 0);
    for (unsigned i = 0; i < ARRAY_SIZE(ports); i++)
        ports[i] = (struct virtio_console_port){.name = "p", .backend = &chr[1 + i].backend};
    cr_assert_eq(virtio_console_create(&console, &setup,
                                       &(struct virtio_console_config){&chr[0].backend, ports,
                                                                       ARRAY_SIZE(ports),
                                                                       ARRAY_SIZE(ports)}),
                 0);
    cr_expect_eq(virtio_console_device(console)->cfg.queue_count, VIRTIO_QUEUES_MAX);
    rig_plug(rig, virtio_console_device(console));
    cr_assert(vdrv_negotiate(&rig->drv, MULTIPORT));
    vdrv_queue_set_up(&rig->drv, 0, 4);
    vdrv_driver_ok(&rig->drv);
    rig_unplug(rig);
    virtio_console_destroy(console);
    cr_expect_null(chr[30].backend.handler);
}

/* ---- ports come and go ---- */

OnEachRig(virtio_console_ports, that_go_give_back_what_they_have,
          rig_open_console_on(rig, (struct rig_config[]){portio_config(on)}))
{
    portio_start(rig, 0);
    rig->ports[0].room = 3;
    print(rig, TX_OF(1), "stalled");
    print(rig, TX_OF(1), "behind it");
    listen(rig, RX_OF(1), 8);
    cr_expect_eq(take(rig, TX_OF(1)), 0);
    cr_assert(rig_remove_port(rig, 0));
    rig_step(rig);
    cr_expect_str_eq(portio_hear(rig), "1:remove");
    cr_expect_null(rig->ports[0].backend.handler);
    cr_expect_eq(rig->ports[0].rx_max, 0);
    cr_expect_eq(take(rig, TX_OF(1)), 2);
    cr_expect_eq(take(rig, RX_OF(1)), 1);
    print(rig, TX_OF(1), "to nobody");
    listen(rig, RX_OF(1), 8);
    cr_expect_eq(take(rig, TX_OF(1)), 1, "it is dropped");
    cr_expect_eq(take(rig, RX_OF(1)), 0, "it is kept for the next port");
    expect_out(&rig->ports[0], "sta");
    cr_expect_not(rig_remove_port(rig, 0), "it is not there");
    cr_expect_not(rig_is_broken(rig));
}

OnEachRig(virtio_console_ports, that_come_take_the_place,
          rig_open_console_on(rig, (struct rig_config[]){portio_config(on)}))
{
    portio_start(rig, 0);
    cr_expect_eq(rig_add_port(rig, 0), -EEXIST);
    cr_assert(rig_remove_port(rig, 0));
    cr_expect_eq(rig_add_port(rig, 1), -EEXIST);
    cr_assert_eq(rig_add_port(rig, 0), 0);
    rig_step(rig);
    cr_expect_str_eq(portio_hear(rig), "1:remove 1:add");
    portio_say(rig, 1, VIRTIO_CONSOLE_PORT_READY, 1);
    portio_say(rig, 1, VIRTIO_CONSOLE_PORT_OPEN, 1);
    cr_expect_str_eq(portio_hear(rig), "1:name(one) 1:open");
    print(rig, TX_OF(1), "again");
    expect_out(&rig->ports[0], "again");
    listen(rig, RX_OF(1), 8);
    cr_expect_eq(fake_chr_type(&rig->ports[0], "key", 3), 3);
    rig_step(rig);
    cr_expect_eq(take(rig, RX_OF(1)), 1);
}

/* What the driver has not been told of it need not be told has gone. */
OnRig(virtio_console_ports, that_nobody_knew_go_without_a_word, open_ports(rig))
{
    cr_assert(rig_remove_port(rig, 0));
    rig_start(rig, MULTIPORT, PORTIO_QUEUES, 16);
    portio_give(rig, PORTIO_BUFFERS, 96);
    cr_assert_eq(rig_add_port(rig, 0), 0);
    cr_assert(rig_remove_port(rig, 1));
    rig_step(rig);
    cr_expect_str_eq(portio_hear(rig), "", "it has not asked");
    portio_say(rig, 0, VIRTIO_CONSOLE_DEVICE_READY, 1);
    cr_expect_str_eq(portio_hear(rig), "0:add 1:add");
    cr_expect_eq(rig_add_port(rig, 1), 0);
    rig_step(rig);
    cr_expect_str_eq(portio_hear(rig), "2:add");
}

/* It talks of a port that it has been told has gone, and one comes and goes all the time. */
OnRig(virtio_console_ports, that_have_gone_hear_nothing, open_started(rig))
{
    cr_assert(rig_remove_port(rig, 1));
    portio_say(rig, 2, VIRTIO_CONSOLE_PORT_READY, 1);
    portio_say(rig, 2, VIRTIO_CONSOLE_PORT_OPEN, 1);
    cr_expect_str_eq(portio_hear(rig), "2:remove");
    for (unsigned i = 0; i < 100; i++) {
        cr_assert_eq(rig_add_port(rig, 1), 0);
        cr_assert(rig_remove_port(rig, 1));
    }
    rig_step(rig);
    cr_expect_str_eq(portio_hear(rig), "", "it was never told of them");
    vdrv_reset(&rig->drv);
    cr_expect_eq(rig_add_port(rig, 1), 0);
}
