// SPDX-License-Identifier: BSD-2-Clause
/* Messages that no kernel sends, and requests that the device lets go of. */
#include "tests/harness/share_rig.h"
#include "tests/harness/test.h"

static void begin(void)
{
    share_rig_open((struct share_dir_config){.uid = SHARE_UID_XATTR, .xattr = true});
}

/* Sends it as it is, and takes any answer that is well-formed; the room is 0 to 63 bytes, or much.
 */
static void send_raw(const void *message, size_t bytes, uint32_t room)
{
    rig.client.room = room;
    (void)fuse_raw(&rig.client, message, bytes);
    rig.client.room = FUSE_CLIENT_BYTES;
}

/* The share goes on, and nothing has left it. */
static void check_alive(void)
{
    cr_assert_eq(fuse_client_init(&rig.client), 0);
    uint64_t node = make_file(ROOT, "alive");
    cr_assert_eq(fuse_lookup(&rig.client, ROOT, "alive", NULL), node);
    cr_assert(has_text("secret", "secret"));
}

Test(devices_share_messages, messages_may_end_anywhere)
{
    struct {
        struct fuse_in_header head;
        uint8_t rest[160];
    } message;
    begin();
    write_file("secret", "secret");
    for (uint32_t opcode = 0; opcode < 64; opcode++)
        for (uint32_t bytes = 0; bytes <= sizeof(message); bytes++) {
            memset(message.rest, bytes % 3 == 0 ? 0 : bytes % 3 == 1 ? 'a' : 0xff, 160);
            message.head = (struct fuse_in_header){
                .len = bytes, .opcode = opcode, .nodeid = ROOT, .unique = bytes};
            send_raw(&message, bytes, bytes % 5 == 0 ? 0 : FUSE_CLIENT_BYTES);
            message.head.len = bytes + 1; /* and what it says is not so */
            send_raw(&message, bytes, FUSE_CLIENT_BYTES);
        }
    check_alive();
    share_rig_close();
}

Test(devices_share_messages, any_bytes_are_messages)
{
    static const char *const names[] = {"a", "b", "..", "../secret", "a/b", "x"};
    uint64_t random = 88172645463325252u, fh;
    struct {
        struct fuse_in_header head;
        uint64_t rest[20];
    } message;
    begin();
    write_file("secret", "secret");
    (void)fuse_create(&rig.client, ROOT, "a", O_RDWR, 0644, &fh, NULL);
    (void)fuse_mkdir(&rig.client, ROOT, "b");
    for (unsigned i = 0; i < 50000; i++) {
        for (unsigned j = 0; j < 20; j++) {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            message.rest[j] = j * 8 % 64 < (random & 63) ? random >> 40 & 7 : random;
        }
        message.head = (struct fuse_in_header){.len = 40 + (uint32_t)(random >> 32) % 160,
                                               .opcode = (uint32_t)(random >> 20) % 54,
                                               .nodeid = random >> 8 & 3};
        if (message.head.opcode == FUSE_FALLOCATE || message.head.opcode == FUSE_DESTROY)
            continue; /* they would fill the disk, or end it all */
        const char *name = names[random % 6];
        memcpy((uint8_t *)message.rest + (random >> 3) % 100, name, strlen(name) + 1);
        send_raw(&message, message.head.len, random & 64 ? FUSE_CLIENT_BYTES : random >> 50 & 63);
    }
    check_alive();
    share_rig_close();
}

Test(devices_share_messages, before_init_and_after_the_end_nothing_is_done)
{
    struct fuse_attr attr;
    struct fuse_init_in init = {.major = 8, .minor = 1};
    struct fuse_init_out out;
    uint64_t fh;
    begin();
    uint64_t node = make_file(ROOT, "a");
    cr_assert_eq(fuse_open(&rig.client, node, O_RDONLY, &fh), 0);
    cr_assert_eq(fuse_call(&rig.client, FUSE_DESTROY, 0, "", 0, "", 0), 0);
    cr_assert_eq(fuse_getattr(&rig.client, ROOT, &attr), -EIO);
    cr_assert_eq(CALL(FUSE_INIT, 0, init), 0); /* a newer kernel asks again */
    memcpy(&out, rig.client.out, sizeof(out));
    cr_assert_eq(out.major, FUSE_KERNEL_VERSION);
    cr_assert_eq(fuse_getattr(&rig.client, ROOT, &attr), -EIO);
    init = (struct fuse_init_in){.major = 7, .minor = 30};
    cr_assert_eq(CALL(FUSE_INIT, 0, init), -EPROTO);
    cr_assert_eq(fuse_client_init(&rig.client), 0);
    cr_assert_eq(fuse_getattr(&rig.client, node, &attr), -ESTALE);
    cr_assert_eq(fuse_lookup(&rig.client, ROOT, "a", NULL) == node, false);
    cr_assert_eq(fuse_open(&rig.client, node, O_RDONLY, &fh), -ESTALE);
    share_rig_close();
}

/* ---- letting go ---- */

static bool is_over(void *ctx)
{
    (void)ctx;
    return true;
}

static void abandon(void)
{
    if (!rig.client.is_done)
        rig.share->ops->abandon(rig.share, rig.client.req);
    memset(rig.client.out, 0xa5, 4096); /* it is the guest's again */
}

Test(devices_share_messages, a_request_can_be_let_go_of_on_a_helper)
{
    uint64_t fh;
    begin();
    uint64_t node = fuse_create(&rig.client, ROOT, "a", O_RDWR, 0644, &fh, NULL);
    for (unsigned i = 0; i < 200; i++) {
        const struct fuse_fsync_in in = {.fh = fh};
        fuse_send(&rig.client, FUSE_FSYNC, node, &in, sizeof(in), "", 0);
        abandon();
    }
    rig.share->ops->reset(rig.share);
    evloop_run_until(rig.loop, is_over, NULL);
    cr_assert_eq(fuse_client_init(&rig.client), 0);
    cr_assert_eq(rig.client.out[2000], 0xa5);
    share_rig_close();
}

Test(devices_share_messages, a_share_may_end_before_what_its_helpers_do)
{
    uint64_t fh;
    begin();
    uint64_t node = fuse_create(&rig.client, ROOT, "a", O_RDWR, 0644, &fh, NULL);
    const struct fuse_fallocate_in in = {.fh = fh, .length = 1 << 20};
    for (unsigned i = 0; i < 20; i++) {
        fuse_send(&rig.client, FUSE_FALLOCATE, node, &in, sizeof(in), "", 0);
        abandon();
    }
    share_rig_close();
}

/* Nothing is written into the guest's memory after that. */
Test(devices_share_messages, reads_and_writes_can_be_let_go_of)
{
    static uint8_t block[1 << 20];
    uint64_t fh;
    begin();
    uint64_t node = fuse_create(&rig.client, ROOT, "a", O_RDWR, 0644, &fh, NULL);
    cr_assert_eq(fuse_write(&rig.client, node, fh, 0, block, sizeof(block)), sizeof(block));
    const struct fuse_read_in in = {.fh = fh, .size = sizeof(block)};
    const struct fuse_write_in out = {.fh = fh, .size = sizeof(block)};
    for (unsigned i = 0; i < 100; i++) {
        fuse_send(&rig.client, FUSE_READ, node, &in, sizeof(in), "", 0);
        abandon();
        for (unsigned j = 0; j < 4096; j++)
            cr_assert_eq(rig.client.out[j], 0xa5);
        fuse_send(&rig.client, FUSE_WRITE, node, &out, sizeof(out), block, sizeof(block));
        abandon();
    }
    share_rig_close();
}
