// SPDX-License-Identifier: BSD-2-Clause
#include <dirent.h>

#include "tests/harness/share_rig.h"
#include "tests/harness/test.h"

#define FILES 10000u

static uint64_t offsets[FILES + 2]; /* behind each entry */
static uint8_t seen[FILES];
static unsigned dots;

static void begin(unsigned files)
{
    char path[32];
    memset(seen, 0, sizeof(seen));
    dots = 0;
    share_rig_open((struct share_dir_config){.uid = SHARE_UID_MAP});
    for (unsigned i = 0; i < files; i++) {
        snprintf(path, sizeof(path), "shared/f%u", i);
        write_file(path, "");
    }
}

static uint64_t open_dir(uint64_t node)
{
    const struct fuse_open_in in = {.flags = O_RDONLY};
    struct fuse_open_out out;
    cr_assert_eq(CALL(FUSE_OPENDIR, node, in), 0);
    memcpy(&out, rig.client.out, sizeof(out));
    return out.fh;
}

static int read_dir(uint64_t fh, uint64_t offset, uint32_t bytes, bool plus)
{
    const struct fuse_read_in in = {.fh = fh, .offset = offset, .size = bytes};
    return CALL(plus ? FUSE_READDIRPLUS : FUSE_READDIR, ROOT, in);
}

/* The entries of an answer, counted; *offset is behind the last. */
static unsigned take_entries(bool plus, uint64_t *offset, unsigned count)
{
    struct fuse_entry_out entry;
    struct fuse_dirent d;
    const size_t head = plus ? sizeof(entry) : 0;
    char name[256];
    size_t at = 0;
    while (at < rig.client.out_bytes) {
        cr_assert(at + head + sizeof(d) <= rig.client.out_bytes);
        memcpy(&entry, rig.client.out + at, head);
        memcpy(&d, rig.client.out + at + head, sizeof(d));
        cr_assert(d.namelen > 0 && d.namelen < sizeof(name));
        memcpy(name, rig.client.out + at + head + sizeof(d), d.namelen);
        name[d.namelen] = '\0';
        at += FUSE_DIRENT_ALIGN(head + sizeof(d) + d.namelen);
        cr_assert(at <= rig.client.out_bytes);
        *offset = d.off;
        offsets[count++] = d.off;
        if (name[0] == '.') {
            cr_assert(!plus || entry.nodeid == 0);
            dots++;
            continue;
        }
        unsigned number = (unsigned)strtoul(name + 1, NULL, 10);
        seen[number]++;
        cr_assert(!plus || (entry.nodeid != 0 && S_ISREG(entry.attr.mode)));
    }
    return count;
}

static unsigned read_all(uint64_t fh, uint32_t bytes, bool plus)
{
    uint64_t offset = 0;
    unsigned count = 0;
    do {
        cr_assert_eq(read_dir(fh, offset, bytes, plus), 0);
        count = take_entries(plus, &offset, count);
    } while (rig.client.out_bytes != 0);
    return count;
}

Test(devices_share_list, each_of_ten_thousand_is_listed_once)
{
    begin(FILES);
    uint64_t fh = open_dir(ROOT);
    cr_assert_eq(read_all(fh, 4096, false), FILES + 2);
    cr_assert_eq(read_all(fh, 65536, true), FILES + 2);
    cr_assert_eq(dots, 4);
    for (unsigned i = 0; i < FILES; i++)
        cr_assert_eq(seen[i], 2, "%u", i);
    share_rig_close();
}

Test(devices_share_list, a_small_room_has_few_entries_or_none)
{
    begin(20);
    uint64_t fh = open_dir(ROOT);
    cr_assert_eq(read_all(fh, 32, false), 22);
    cr_assert_eq(read_all(fh, 160, true), 22);
    for (uint32_t bytes = 0; bytes < 32; bytes++)
        cr_assert_eq(read_dir(fh, 0, bytes, false), -EINVAL);
    cr_assert_eq(read_dir(fh, 0, 128, true), -EINVAL);
    rig.client.room = 31;
    cr_assert_eq(read_dir(fh, 0, 4096, false), -EINVAL);
    share_rig_close();
}

Test(devices_share_list, a_listing_goes_on_from_any_entry)
{
    begin(300);
    uint64_t fh = open_dir(ROOT), offset;
    unsigned count = read_all(fh, 256, false);
    uint64_t behind[302];
    cr_assert_eq(count, 302);
    memcpy(behind, offsets, sizeof(behind));
    for (unsigned i = 0; i < count; i += 7) {
        unsigned from = i * 31 % count; /* also back and forth */
        cr_assert_eq(read_dir(fh, behind[from], 4096, false), 0);
        unsigned more = take_entries(false, &offset, 0);
        cr_assert(from + 1 == count ? more == 0 : more > 0 && offsets[0] == behind[from + 1]);
    }
    (void)read_dir(fh, UINT64_MAX, 4096, false); /* whatever that is */
    (void)read_dir(fh, INT64_MAX, 4096, false);
    cr_assert_eq(read_all(fh, 4096, false), 302);
    share_rig_close();
}

/* More directories are listed at a time than there are buffers for what comes next. */
Test(devices_share_list, many_listings_at_once)
{
    enum { LISTINGS = 100 };
    uint64_t fh[LISTINGS], offset[LISTINGS] = {0};
    unsigned count[LISTINGS] = {0};
    begin(30);
    for (unsigned i = 0; i < LISTINGS; i++)
        fh[i] = open_dir(ROOT);
    for (unsigned round = 0; round < 40; round++)
        for (unsigned i = 0; i < LISTINGS; i++) {
            cr_assert_eq(read_dir(fh[i], offset[i], 48, false), 0);
            count[i] = take_entries(false, &offset[i], count[i]);
        }
    for (unsigned i = 0; i < LISTINGS; i++)
        cr_assert_eq(count[i], 32);
    share_rig_close();
}

Test(devices_share_list, fifos_and_links_are_listed_as_what_they_are)
{
    struct fuse_entry_out entry;
    struct fuse_dirent d;
    uint8_t types[3] = {0};
    begin(0);
    cr_assert_eq(mkfifo("shared/0", 0644), 0);
    cr_assert_eq(symlink("/etc", "shared/1"), 0);
    cr_assert_eq(mkdir("shared/2", 0755), 0);
    uint64_t fh = open_dir(ROOT);
    cr_assert_eq(read_dir(fh, 0, 4096, true), 0);
    for (size_t at = 0; at < rig.client.out_bytes;
         at += FUSE_DIRENTPLUS_SIZE((struct fuse_direntplus *)(rig.client.out + at))) {
        memcpy(&entry, rig.client.out + at, sizeof(entry));
        memcpy(&d, rig.client.out + at + sizeof(entry), sizeof(d));
        uint8_t first = rig.client.out[at + sizeof(entry) + sizeof(d)];
        if (first == '.')
            continue;
        cr_assert_eq(d.type, entry.attr.mode >> 12);
        types[first - '0'] = (uint8_t)d.type;
    }
    cr_assert(types[0] == DT_FIFO && types[1] == DT_LNK && types[2] == DT_DIR);
    share_rig_close();
}
