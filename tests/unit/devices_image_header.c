// SPDX-License-Identifier: BSD-2-Clause
/* What is taken from headers of disk images, and the chains of backing files that come of it. */
#include <endian.h>

#include "devices/disk/image/image_chain.h"
#include "devices/disk/image/image_header.h"
#include "tests/harness/test.h"

/* ---- headers ---- */

#define BYTES 65536u

static uint8_t image[BYTES];
static struct image_facts facts;

static void be32(size_t at, uint32_t v)
{
    v = htobe32(v);
    memcpy(image + at, &v, sizeof(v));
}

static void be64(size_t at, uint64_t v)
{
    v = htobe64(v);
    memcpy(image + at, &v, sizeof(v));
}

static void text(size_t at, const char *bytes)
{
    memcpy(image + at, bytes, strlen(bytes));
}

static int file_of(const void *bytes, size_t n)
{
    int fd = memfd_create("image", MFD_CLOEXEC);
    cr_assert_geq(fd, 0);
    cr_assert_eq(pwrite(fd, bytes, n, 0), (ssize_t)n);
    return fd;
}

static int read_as(const char *format, size_t bytes)
{
    int fd = file_of(image, bytes);
    int err = image_header_read(&facts, format, fd, bytes);
    close(fd);
    cr_expect_eq(err == 0, facts.why[0] == '\0', "%s", facts.why);
    return err;
}

static void begin_qcow2(uint32_t version)
{
    memset(image, 0, sizeof(image));
    text(0, "QFI\xfb");
    be32(4, version);
    be32(20, 16);   /* cluster_bits */
    be32(100, 104); /* header_length */
}

/* Behind the header: an extension, at `at`; where the next one goes. */
static size_t extension(size_t at, uint32_t type, const char *data)
{
    be32(at, type);
    be32(at + 4, (uint32_t)strlen(data));
    text(at + 8, data);
    return align_up(at + 8 + strlen(data), 8);
}

/* A qcow2 image of its own, but for a field of so many bytes. */
static int read_with(unsigned bytes, size_t at, uint64_t value)
{
    begin_qcow2(3);
    if (bytes == 8)
        be64(at, value);
    else
        be32(at, (uint32_t)value);
    return read_as("qcow2", BYTES);
}

static void name_backing(const char *name, const char *format)
{
    size_t at = format != NULL ? extension(104, 0xe2792aca, format) : 104;
    be64(8, at + 8);
    be32(16, (uint32_t)strlen(name));
    text(at + 8, name);
}

Test(devices_image_header, a_qcow2_image_of_its_own)
{
    begin_qcow2(3);
    cr_expect_eq(read_as("qcow2", BYTES), 0);
    cr_expect_not(facts.has_backing);
    begin_qcow2(2);
    cr_expect_eq(read_as("qcow2", 104), 0);
    cr_expect_not(facts.has_backing);
}

Test(devices_image_header, a_backing_file_and_its_format)
{
    begin_qcow2(3);
    name_backing("../secret", "raw");
    cr_expect_eq(read_as("qcow2", BYTES), 0);
    cr_expect(facts.has_backing);
    cr_expect_str_eq(facts.backing, "../secret");
    cr_expect_str_eq(facts.backing_format, "raw");
    be32(4, 1); /* the older qcow has it at the same place, and no format */
    cr_expect_eq(read_as("qcow", BYTES), -EINVAL);
    be64(8, 0);
    cr_expect_eq(read_as("qcow", BYTES), 0);
}

Test(devices_image_header, names_that_do_not_fit_are_damage)
{
    static const uint64_t places[] = {1, 103, 65530, 65536, UINT64_MAX, UINT64_MAX - 3};
    static const uint32_t sizes[] = {0, 1024, 70000, UINT32_MAX};
    for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
        begin_qcow2(3);
        name_backing("abcdefghij", "raw");
        be64(8, places[i]);
        cr_expect_eq(read_as("qcow2", BYTES), -EINVAL, "%zu", i);
    }
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        begin_qcow2(3);
        name_backing("abcdefghij", "raw");
        be32(16, sizes[i]);
        cr_expect_eq(read_as("qcow2", BYTES), -EINVAL, "%zu", i);
    }
    begin_qcow2(3);
    name_backing("abc", "raw");
    be32(16, 5); /* with zeroes inside */
    cr_expect_eq(read_as("qcow2", BYTES), -EINVAL);
    begin_qcow2(3);
    be32(104, 1); /* an extension that is longer than all */
    be32(108, UINT32_MAX);
    cr_expect_eq(read_as("qcow2", BYTES), -EINVAL);
    begin_qcow2(3);
    name_backing("abc", "a format with a long name");
    cr_expect_eq(read_as("qcow2", BYTES), -EINVAL);
}

Test(devices_image_header, an_external_data_file_is_refused)
{
    cr_expect_eq(read_with(8, 72, 4), -EINVAL);
    cr_expect_not_null(strstr(facts.why, "another file"));
    begin_qcow2(3);
    extension(104, 0x44415441, "/etc/passwd"); /* named, and not in use yet */
    cr_expect_eq(read_as("qcow2", BYTES), -EINVAL);
}

Test(devices_image_header, versions_that_are_unknown_are_refused)
{
    for (uint32_t version = 4; version < 8; version++) {
        begin_qcow2(version);
        cr_expect_eq(read_as("qcow2", BYTES), -EINVAL);
    }
    begin_qcow2(1);
    cr_expect_eq(read_as("qcow2", BYTES), -EINVAL);
    cr_expect_not_null(strstr(facts.why, "is it qcow?"), "%s", facts.why);
    cr_expect_eq(read_with(4, 100, 72), -EINVAL);
    cr_expect_eq(read_with(4, 20, 40), -EINVAL);
}

Test(devices_image_header, qed_says_whether_its_backing_file_is_raw)
{
    memset(image, 0, sizeof(image));
    text(0, "QED");
    cr_expect_eq(read_as("qed", BYTES), 0);
    cr_expect_not(facts.has_backing);
    le64_put(image + 16, 1 | 4);
    le32_put(image + 56, 64);
    le32_put(image + 60, 4);
    text(64, "base");
    cr_expect_eq(read_as("qed", BYTES), 0);
    cr_expect_str_eq(facts.backing, "base");
    cr_expect_str_eq(facts.backing_format, "raw");
    le32_put(image + 56, UINT32_MAX);
    cr_expect_eq(read_as("qed", BYTES), -EINVAL);
}

/* ---- vmdk ---- */

#define WHOLE "CID=1\nparentCID=ffffffff\ncreateType=\"monolithicSparse\"\nRW 9 SPARSE \"a.vmdk\"\n"

static int read_vmdk(const char *descriptor)
{
    memset(image, 0, sizeof(image));
    text(0, "KDMV");
    le64_put(image + 12, 2048);
    le64_put(image + 28, 1);
    text(512, descriptor);
    return read_as("vmdk", BYTES);
}

Test(devices_image_header, vmdk_with_all_in_one_file)
{
    cr_expect_eq(read_vmdk(WHOLE), 0);
    cr_expect_eq(read_vmdk(""), 0);
    cr_expect_eq(read_vmdk("createType=\"streamOptimized\"\r\nRDONLY 9 SPARSE \"a.vmdk\"\r\n"), 0);
    le64_put(image + 28, 20); /* what says so twice */
    text(20 * 512, WHOLE);
    cr_expect_eq(read_as("vmdk", BYTES), 0);
}

Test(devices_image_header, vmdk_extents_in_other_files_are_refused)
{
    cr_expect_eq(read_vmdk("createType=\"monolithicFlat\"\nRW 9 FLAT \"/etc/passwd\" 0\n"),
                 -EINVAL);
    cr_expect_eq(read_vmdk("createType=\"twoGbMaxExtentSparse\"\n"), -EINVAL);
    cr_expect_eq(read_vmdk("RW 9 FLAT \"/etc/passwd\" 0\n"), -EINVAL);
    cr_expect_eq(read_vmdk("RW 9 SPARSE \"a\"\nRW 9 SPARSE \"b\"\n"), -EINVAL);
    cr_expect_eq(read_vmdk("RW 9"), -EINVAL);
    cr_expect_eq(read_vmdk(WHOLE), 0);
    le64_put(image + 28, 20); /* another descriptor */
    text(20 * 512, "RW 9 VMFS \"b\"\n");
    cr_expect_eq(read_as("vmdk", BYTES), -EINVAL);
    cr_expect_eq(read_vmdk(WHOLE), 0);
    le64_put(image + 12, 0); /* no data in this one */
    cr_expect_eq(read_as("vmdk", BYTES), -EINVAL);
    memset(image, 0, sizeof(image));
    text(0, "# Disk DescriptorFile\nRW 9 FLAT \"/etc/passwd\" 0\n");
    cr_expect_eq(read_as("vmdk", 100), -EINVAL);
    cr_expect_not_null(strstr(facts.why, "other files"), "%s", facts.why);
    memset(image, 0, sizeof(image));
    text(0, "COWD");
    cr_expect_eq(read_as("vmdk", BYTES), -EINVAL);
}

Test(devices_image_header, parents_of_differencing_images_are_refused)
{
    cr_expect_eq(read_vmdk("parentCID=12345678\n"), -EINVAL);
    cr_expect_eq(read_vmdk("parentFileNameHint=\"/etc/passwd\"\n"), -EINVAL);
    cr_expect_eq(read_vmdk("# ParentFileNameHint=\"/etc/passwd\"\n"), -EINVAL);

    memset(image, 0, sizeof(image));
    le32_put(image + 64, 0xbeda107f);
    for (uint32_t type = 0; type < 6; type++) {
        le32_put(image + 76, type);
        cr_expect_eq(read_as("vdi", 512), type == 1 || type == 2 ? 0 : -EINVAL);
    }
    le32_put(image + 76, 1);
    image[440] = 1; /* a parent's identity */
    cr_expect_eq(read_as("vdi", 512), -EINVAL);

    memset(image, 0, sizeof(image));
    text(0, "conectix");
    for (uint32_t type = 0; type < 6; type++) {
        be32(60, type);
        cr_expect_eq(read_as("vpc", 1024), type == 2 || type == 3 ? 0 : -EINVAL);
    }
    memset(image, 0, sizeof(image));
    text(4096, "conectix"); /* a footer alone: of a fixed one */
    be32(4096 + 60, 2);
    cr_expect_eq(read_as("vpc", 4096 + 512), 0);
    be32(4096 + 60, 4);
    cr_expect_eq(read_as("vpc", 4096 + 512), -EINVAL);
}

/* ---- vhdx ---- */

static const char metadata_guid[] =
    "\x06\xa2\x7c\x8b\x90\x47\x9a\x4b\xb8\xfe\x57\x5f\x05\x0f\x88\x6e";
static const char params_guid[] =
    "\x37\x67\xa1\xca\x36\xfa\x43\x4d\xb3\xb6\x33\xf0\xaa\x44\xe7\x6b";
static const char locator_guid[] =
    "\x2d\x5f\xd3\xa8\x0b\xb3\x4d\x45\xab\xf7\xd3\xd8\x48\x34\xab\x0c";

struct vhdx {
    uint8_t magic[8];
    uint8_t pad[192 * KIB - 8];
    uint8_t regions[64 * KIB];
    uint8_t again[64 * KIB];
    uint8_t metadata[128 * KIB];
};

static struct vhdx vhdx;

static void begin_vhdx(void)
{
    memset(&vhdx, 0, sizeof(vhdx));
    memcpy(vhdx.magic, "vhdxfile", 8);
    memcpy(vhdx.regions, "regi", 4);
    le32_put(vhdx.regions + 8, 1);
    memcpy(vhdx.regions + 16, metadata_guid, 16);
    le64_put(vhdx.regions + 32, offsetof(struct vhdx, metadata));
    memcpy(vhdx.metadata, "metadata", 8);
    le16_put(vhdx.metadata + 10, 1);
    memcpy(vhdx.metadata + 32, params_guid, 16);
    le32_put(vhdx.metadata + 48, 64 * KIB);
}

static int read_vhdx(void)
{
    int fd = file_of(&vhdx, sizeof(vhdx));
    int err = image_header_read(&facts, "vhdx", fd, sizeof(vhdx));
    close(fd);
    begin_vhdx(); /* for the next one */
    return err;
}

Test(devices_image_header, vhdx_is_read_where_its_tables_are)
{
    begin_vhdx();
    cr_expect_eq(read_vhdx(), 0, "%s", facts.why);
    le32_put(vhdx.metadata + 64 * KIB + 4, 2);
    cr_expect_eq(read_vhdx(), -EINVAL, "it has a parent");
    le16_put(vhdx.metadata + 10, 2);
    memcpy(vhdx.metadata + 64, locator_guid, 16);
    cr_expect_eq(read_vhdx(), -EINVAL, "it says where");
    memcpy(vhdx.again, vhdx.regions, sizeof(vhdx.again));
    le64_put(vhdx.again + 32, offsetof(struct vhdx, metadata) + 4096);
    cr_expect_eq(read_vhdx(), -EINVAL, "the other table leads elsewhere");
}

Test(devices_image_header, vhdx_with_tables_that_lie_is_damaged)
{
    begin_vhdx();
    le32_put(vhdx.regions + 8, UINT32_MAX);
    cr_expect_eq(read_vhdx(), -EINVAL);
    le64_put(vhdx.regions + 32, UINT64_MAX);
    cr_expect_eq(read_vhdx(), -EINVAL);
    le16_put(vhdx.metadata + 10, UINT16_MAX);
    cr_expect_eq(read_vhdx(), -EINVAL);
    le16_put(vhdx.metadata + 10, 0);
    cr_expect_eq(read_vhdx(), -EINVAL);
    le32_put(vhdx.metadata + 48, UINT32_MAX); /* beyond the end: zeroes */
    cr_expect_eq(read_vhdx(), 0);
    memset(vhdx.regions, 0, 4);
    cr_expect_eq(read_vhdx(), -EINVAL);
}

/* ---- formats ---- */

Test(devices_image_header, a_file_without_the_magic_is_refused)
{
    static const char *const all[] = {"qcow2", "qcow",      "qed",   "vmdk",  "vdi", "vhdx",
                                      "vpc",   "parallels", "bochs", "cloop", "dmg"};
    memset(image, 0, sizeof(image));
    for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
        cr_expect(image_format_is_known(all[i]));
        for (size_t bytes = 0; bytes <= 1024; bytes += 512) {
            cr_expect_eq(read_as(all[i], bytes), -EINVAL, "%s", all[i]);
            cr_expect_not_null(strstr(facts.why, "is it raw?"), "%s", facts.why);
        }
    }
    cr_expect_eq(read_as("raw", 512), 0);
    text(0, "vhdxfile");
    cr_expect_eq(read_as("qcow2", 512), -EINVAL);
    cr_expect_str_eq(facts.why, "the file is not a qcow2 image; is it vhdx?");
}

Test(devices_image_header, what_has_no_names_needs_its_magic_alone)
{
    memset(image, 0, sizeof(image));
    text(0, "WithoutFreeSpace");
    cr_expect_eq(read_as("parallels", 512), 0);
    text(1024 - 512, "koly");
    cr_expect_eq(read_as("dmg", 1024), 0);
    text(0, "Bochs Virtual HD Image");
    cr_expect_eq(read_as("bochs", 512), 0);
    text(0, "#!/bin/sh\n#V2.0 Format\nmodprobe cloop");
    cr_expect_eq(read_as("cloop", 512), 0);
}

Test(devices_image_header, protocols_are_no_formats)
{
    static const char *const none[] = {"nbd",      "ssh",         "https", "fat",
                                       "vvfat",    "null-co",     "file",  "blkdebug",
                                       "throttle", "replication", "",      "qcow3"};
    for (size_t i = 0; i < ARRAY_SIZE(none); i++)
        cr_expect_not(image_format_is_known(none[i]), "%s", none[i]);
    cr_expect_eq(read_as("nbd", 512), -EINVAL);
    cr_expect_not_null(strstr(facts.why, "qcow2"));
}

/* ---- chains ---- */

struct scene {
    char dir[64], said[1024];
    struct image_chain chain;
};

static void open_scene(struct scene *s)
{
    *s = (struct scene){.dir = "/tmp/minivet-test-XXXXXX"};
    cr_assert_not_null(mkdtemp(s->dir));
    cr_assert_eq(chdir(s->dir), 0);
    listen_to_log(LOG_WARN);
}

static void close_scene(struct scene *s)
{
    char command[128];
    log_set_sink(NULL, NULL);
    snprintf(command, sizeof(command), "rm -r %s", s->dir);
    cr_expect_eq(system(command), 0);
}

#define OnScene(suite, name) TestWith(suite, name, struct scene, s, open_scene(s), close_scene(s))

static void write_bytes(const char *name)
{
    int fd = open(name, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, image, 4096), 4096);
    close(fd);
}

/* A qcow2 file; backing NULL: of its own. */
static void write_image(const char *name, const char *backing, const char *format)
{
    begin_qcow2(3);
    if (backing != NULL)
        name_backing(backing, format);
    write_bytes(name);
}

static int open_chain(struct scene *s, const char *path, bool backing)
{
    int err = image_chain_open(
        &s->chain, &(struct image_chain_config){
                       .name = path, .path = path, .format = "qcow2", .backing = backing});
    if (err != 0)
        cr_expect_eq(s->chain.count, 0);
    return err;
}

OnScene(devices_image_header, backing_files_are_refused_unless_they_are_wanted)
{
    write_image("top", "base", "qcow2");
    write_image("base", NULL, NULL);
    cr_expect_eq(open_chain(s, "top", false), -EINVAL);
    expect_logged("backing=on");
    expect_logged("base");
    cr_expect_eq(logged_lines, 1);
    cr_expect_eq(open_chain(s, "top", true), 0, "%s", logged_line);
    cr_expect_eq(s->chain.count, 2);
    cr_expect_eq(fcntl(s->chain.links[0].fd, F_GETFL) & O_ACCMODE, O_RDWR);
    cr_expect_eq(fcntl(s->chain.links[1].fd, F_GETFL) & O_ACCMODE, O_RDONLY);
    image_chain_close(&s->chain);
}

OnScene(devices_image_header, names_count_from_the_folder_of_their_image)
{
    struct stat st;
    char path[128];
    cr_assert_eq(mkdir("a", 0700), 0);
    cr_assert_eq(mkdir("a/b", 0700), 0);
    snprintf(path, sizeof(path), "%s/a/base", s->dir);
    write_image("a/top", "b/middle", "qcow2");
    write_image("a/b/middle", "../lower", "qcow2");
    write_image("a/lower", path, "raw");
    write_image("a/base", "not looked at", NULL); /* raw: it has no header */
    cr_assert_eq(open_chain(s, "a/top", true), 0, "%s", logged_line);
    cr_assert_eq(s->chain.count, 4);
    cr_assert_eq(stat("a/base", &st), 0);
    cr_expect_eq(s->chain.links[3].ino, st.st_ino);
    cr_expect_str_eq(s->chain.links[3].format, "raw");
    image_chain_close(&s->chain);
}

OnScene(devices_image_header, protocols_are_never_followed)
{
    static const char *const names[] = {
        "json:{\"driver\":\"file\",\"filename\":\"/etc/passwd\"}",
        "nbd:unix:/run/nbd.sock",
        "fat:rw:/home",
        "https://example.com/x",
        "ssh://host/x",
        "file:/etc/passwd",
        "blkdebug::/etc/passwd",
        ":",
    };
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        write_image("top", names[i], "raw");
        cr_expect_eq(open_chain(s, "top", true), -EINVAL, "%s", names[i]);
        expect_logged("only names of files");
    }
}

OnScene(devices_image_header, a_backing_file_needs_its_format)
{
    write_image("top", "base", NULL);
    write_image("base", NULL, NULL);
    cr_expect_eq(open_chain(s, "top", true), -EINVAL);
    const char *command = strstr(logged_line, "qemu-img rebase");
    cr_assert_not_null(command, "%s", logged_line);
    cr_expect_null(strstr(command + 15, "base"), "a shell would run what the header says");
    write_image("top", "base", "nbd");
    cr_expect_eq(open_chain(s, "top", true), -EINVAL);
    write_image("top", "base", "vmdk");
    cr_expect_eq(open_chain(s, "top", true), -EINVAL, "its magic is another");
    expect_logged("is it qcow2?");
}

OnScene(devices_image_header, a_format_that_qed_cannot_say_is_not_asked_for)
{
    memset(image, 0, sizeof(image));
    text(0, "QED");
    le64_put(image + 16, 1);
    le32_put(image + 56, 64);
    le32_put(image + 60, 4);
    text(64, "base");
    write_bytes("top");
    struct image_chain_config config = {
        .name = "top", .path = "top", .format = "qed", .backing = true};
    cr_expect_eq(image_chain_open(&s->chain, &config), -EINVAL);
    cr_expect_null(strstr(logged_line, "rebase"), "%s", logged_line);
    expect_logged("qemu-img convert");
}

OnScene(devices_image_header, chains_end)
{
    char name[8], below[8];
    write_image("top", "top", "qcow2");
    cr_expect_eq(open_chain(s, "top", true), -ELOOP);
    write_image("top", "base", "qcow2");
    write_image("base", "./top", "qcow2");
    cr_expect_eq(open_chain(s, "top", true), -ELOOP);
    for (unsigned i = 1; i <= IMAGE_CHAIN_MAX + 1; i++) {
        snprintf(name, sizeof(name), "%u", i);
        snprintf(below, sizeof(below), "%u", i + 1);
        write_image(name, below, "qcow2");
    }
    write_image("9", NULL, NULL);
    cr_expect_eq(open_chain(s, "1", true), -ELOOP);
    expect_logged("more than 8");
    cr_expect_eq(open_chain(s, "2", true), 0);
    cr_expect_eq(s->chain.count, IMAGE_CHAIN_MAX);
    image_chain_close(&s->chain);
}

OnScene(devices_image_header, only_files_and_block_devices_are_opened)
{
    static const char *const names[] = {"fifo", "folder", "/dev/zero", "link"};
    cr_assert_eq(mkfifo("fifo", 0600), 0);
    cr_assert_eq(mkdir("folder", 0700), 0);
    cr_assert_eq(symlink("/dev/tty", "link"), 0);
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        write_image("top", names[i], "raw");
        cr_expect_eq(open_chain(s, "top", true), -EMEDIUMTYPE, "%s", names[i]);
        cr_expect_eq(open_chain(s, names[i], true), -EMEDIUMTYPE, "%s", names[i]);
    }
    write_image("top", "not there", "raw");
    cr_expect_eq(open_chain(s, "top", true), -ENOENT);
    expect_logged("not there");
}

static int refuse_to_open(void *ctx, const char *path, bool writable)
{
    (void)path;
    (void)writable;
    return *(const int *)ctx;
}

/* What the host refuses for writing alone, a disk that is only read may get. */
OnScene(devices_image_header, a_file_that_cannot_be_written_may_be_read)
{
    static const int errs[] = {-EACCES, -EPERM, -EROFS, -EIO};
    for (size_t i = 0; i < ARRAY_SIZE(errs); i++)
        for (unsigned read_only = 0; read_only < 2; read_only++) {
            int err = errs[i];
            struct image_chain_config config = {.name = "top",
                                                .path = "top",
                                                .format = "raw",
                                                .open = refuse_to_open,
                                                .open_ctx = &err,
                                                .read_only = read_only};
            cr_expect_eq(image_chain_open(&s->chain, &config), err);
            cr_expect_eq(strstr(logged_line, ",ro") != NULL, read_only == 0 && err != -EIO, "%s",
                         logged_line);
        }
    cr_expect_eq(logged_lines, 2 * ARRAY_SIZE(errs));
}

/* ---- what qemu-img writes ---- */

Test(devices_image_header, images_of_qemu_img_are_taken)
{
    static const char *const all[] = {
        "qcow2",
        "qcow",
        "qed",
        "vmdk",
        "vdi",
        "vhdx",
        "vpc",
        "parallels",
        "vmdk -o subformat=streamOptimized",
        "vdi -o static=on",
        "vpc -o subformat=fixed",
        "vhdx -o subformat=fixed",
        "qcow2 -o compat=0.10",
        "qcow2 -o cluster_size=2M",
        "qcow2 -o cluster_size=512",
        "qcow2 -o extended_l2=on",
    };
    struct scene s;
    char command[256], format[16];
    if (access("/usr/bin/qemu-img", X_OK) != 0)
        cr_skip_test("qemu-img is not installed (qemu-utils)");
    open_scene(&s);
    for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
        snprintf(format, sizeof(format), "%.*s", (int)strcspn(all[i], " "), all[i]);
        snprintf(command, sizeof(command), "qemu-img create -q -f %s image 8M", all[i]);
        cr_assert_eq(system(command), 0);
        int err = image_chain_open(
            &s.chain, &(struct image_chain_config){.name = "x", .path = "image", .format = format});
        cr_expect_eq(err, 0, "%s: %s", all[i], logged_line);
        image_chain_close(&s.chain);
        unlink("image");
    }
    cr_assert_eq(system("qemu-img create -q -f vmdk -o subformat=monolithicFlat image 8M"), 0);
    int err = image_chain_open(
        &s.chain, &(struct image_chain_config){.name = "x", .path = "image", .format = "vmdk"});
    cr_expect_eq(err, -EINVAL);
    close_scene(&s);
}
