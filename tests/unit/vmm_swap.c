// SPDX-License-Identifier: BSD-2-Clause
/* Another file for a disk of a machine, while its driver is at work. The guest is this test. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "arch/arch.h"
#include "core/ports/hv.h"
#include "devices/disk/blk_file_impl.h"
#include "devices/platform/pci_host.h"
#include "tests/harness/folder.h"
#include "tests/harness/test.h"
#include "tests/harness/vdrv.h"
#include "virtio/scsi/scsi_codes.h"
#include "virtio/spec.h"
#include "vmm/config/config.h"
#include "vmm/machine/virtio_devices.h"

#define OLD "old.img"
#define NEW "new.img"

static struct vm_config vm;
static struct evloop *loop;
static struct gmem *gmem;
static struct bus *mmio;
static struct virtio_devices *virtio;
static struct vdrv drv;

/* ---- a machine ---- */

static void set_line(void *ctx, unsigned irq, bool level)
{
    (void)ctx, (void)irq, (void)level;
}

static int irq_line(struct hv_vm *v, unsigned irq, enum irq_way way, struct irq_line *out)
{
    (void)v, (void)way;
    *out = (struct irq_line){.set = set_line, .irq = irq, .eventfd = -1};
    return 0;
}

static void irq_line_release(struct hv_vm *v, struct irq_line *line)
{
    (void)v, (void)line;
}

static struct doorbell doorbell(struct hv_vm *v)
{
    (void)v;
    return doorbell_none;
}

static const struct hv hv = {
    .irq_line = irq_line, .irq_line_release = irq_line_release, .doorbell = doorbell};

/* Of sectors that all begin with that letter. */
static void make_file(const char *path, char letter, unsigned sectors)
{
    uint8_t sector[512] = {(uint8_t)letter};
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    cr_assert_geq(fd, 0);
    for (unsigned i = 0; i < sectors; i++)
        cr_assert_eq(write(fd, sector, sizeof(sector)), (ssize_t)sizeof(sector));
    close(fd);
}

static void open_machine(char *disk)
{
    char *args[] = {"run", "K", "-m", "64", "-d", disk, "--console", "off"};
    make_file(OLD, 'o', 16);
    make_file(NEW, 'n', 64);
    cr_assert_eq(config_parse(&vm, ARRAY_SIZE(args), args), 0);
    cr_assert_eq(gmem_create(&gmem, vm.mem_bytes, arch_host.hole_gpa, arch_host.hole_end_gpa), 0);
    cr_assert_eq(evloop_create(&loop, "test", &clock_host), 0);
    cr_assert_eq(bus_create(&mmio, "mmio", arch_host.mmio_limit), 0);
    cr_assert_eq(virtio_devices_create(&virtio, &(struct virtio_devices_config){.arch = &arch_host,
                                                                                .vm = &vm,
                                                                                .hv = &hv,
                                                                                .mmio = mmio,
                                                                                .loop = loop,
                                                                                .gmem = gmem}),
                 0);
    vdrv_init(&drv, gmem, mmio, arch_host.virtio.gpa);
    drv.heap_gpa = drv.heap_start_gpa = gmem->regions[0].gpa + MIB;
    drv.heap_end_gpa = drv.heap_gpa + MIB;
}

static void close_machine(void)
{
    vdrv_fini(&drv);
    virtio_devices_destroy(virtio);
    bus_destroy(mmio);
    evloop_destroy(loop);
    gmem_destroy(gmem);
    config_free(&vm);
}

static void fini(void)
{
    close_machine();
    folder_leave();
}

TestSuite(swap, .init = folder_enter, .fini = fini);

/* ---- its driver ---- */

static void start(void)
{
    cr_assert(vdrv_start(&drv, 0, 1, 16));
    evloop_drain(loop);
}

/* Reads a sector, or (not 0) writes one that begins with that letter. Where its status will be. */
static const uint8_t *ask(uint64_t sector, char letter, uint8_t **data)
{
    uint64_t gpa = vdrv_alloc(&drv, 16 + 512 + 1, 16);
    uint8_t *p = vdrv_ptr(&drv, gpa, 16 + 512 + 1);
    const struct vdrv_buf bufs[] = {
        {gpa, 16, false}, {gpa + 16, 512, letter == 0}, {gpa + 16 + 512, 1, true}};
    le32_put(p, letter != 0 ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN);
    le64_put(p + 8, sector);
    p[16] = (uint8_t)letter;
    p[16 + 512] = 0xee;
    cr_assert_geq(vdrv_send(&drv.q[0], bufs, 3), 0);
    if (data != NULL)
        *data = p + 16;
    return p + 16 + 512;
}

/* What the sector begins with; 0: it cannot be read. */
static int first_of(uint64_t sector)
{
    uint8_t *data;
    const uint8_t *status = ask(sector, 0, &data);
    for (unsigned i = 0; i < 1000 && *status == 0xee; i++) {
        evloop_drain(loop);
        usleep(100);
    }
    cr_expect_neq(*status, 0xee, "it is not answered");
    return *status == VIRTIO_BLK_S_OK ? *data : 0;
}

static uint64_t capacity(void)
{
    uint8_t sectors[8];
    vdrv_config_read(&drv, VIRTIO_BLK_CONFIG_capacity, sectors, sizeof(sectors));
    return le64_get(sectors);
}

static char in_file(const char *path, unsigned sector)
{
    char byte = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    cr_assert_eq(pread(fd, &byte, 1, (off_t)sector * 512), 1);
    close(fd);
    return byte;
}

/* ---- the person who has another file ---- */

static struct blk_file *begin(void)
{
    struct blk_file *spare;
    struct blk_file_config config;
    cr_assert_eq(virtio_devices_begin_swap(virtio, 0, &config), 0);
    config.path = NEW;
    cr_assert_eq(blk_spare_open(&spare, &config), 0);
    return spare;
}

static int swap(struct blk_file *spare)
{
    return virtio_devices_swap(virtio, 0, spare);
}

/* Till nothing is in flight. */
static void await_swap(struct blk_file *spare)
{
    int r;
    for (unsigned i = 0; (r = swap(spare)) == -EAGAIN; i++) {
        cr_assert_lt(i, 10000);
        evloop_drain(loop);
        usleep(1000);
    }
    cr_assert_eq(r, 0);
    evloop_drain(loop);
}

static bool is_locked(const char *path)
{
    struct flock all = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int fd = open(path, O_RDWR | O_CLOEXEC);
    bool locked = fcntl(fd, F_OFD_SETLK, &all) < 0;
    close(fd);
    return locked;
}

#define CONFIG_CHANGED 2u /* in the interrupt status */

Test(swap, the_driver_finds_another_file)
{
    open_machine(OLD);
    start();
    cr_expect_eq(first_of(15), 'o');
    struct blk_file *spare = begin();
    vdrv_take_isr(&drv);
    cr_assert_eq(swap(spare), 0);
    cr_expect(vdrv_take_isr(&drv) & CONFIG_CHANGED);
    cr_expect(is_locked(NEW) && is_locked(OLD));
    blk_spare_close(spare);
    cr_expect(is_locked(NEW) && !is_locked(OLD));
    cr_expect_eq(capacity(), 64);
    cr_expect_eq(first_of(0), 'n');
    cr_expect_eq(first_of(63), 'n');
    /* Back again, and smaller: what is behind its end is no sector any more. */
    cr_assert_eq(rename(OLD, NEW), 0);
    spare = begin();
    cr_assert_eq(swap(spare), 0);
    blk_spare_close(spare);
    cr_expect_eq(capacity(), 16);
    cr_expect_eq(first_of(63), 0);
    cr_expect_eq(first_of(15), 'o');
}

Test(swap, is_told_also_of_a_file_of_the_same_size)
{
    open_machine(OLD);
    make_file(NEW, 'n', 16);
    start();
    struct blk_file *spare = begin();
    vdrv_take_isr(&drv);
    cr_assert_eq(swap(spare), 0);
    blk_spare_close(spare);
    cr_expect(vdrv_take_isr(&drv) & CONFIG_CHANGED);
    cr_expect_eq(first_of(3), 'n');
}

Test(swap, before_there_is_a_driver)
{
    open_machine(OLD);
    struct blk_file *spare = begin();
    cr_assert_eq(swap(spare), 0);
    blk_spare_close(spare);
    start();
    cr_expect_eq(capacity(), 64);
    cr_expect_eq(first_of(0), 'n');
}

Test(swap, requests_in_flight_end_in_the_old_file)
{
    open_machine(OLD ",fault=lat:20ms");
    start();
    struct blk_file *spare = begin();
    const uint8_t *status = ask(5, 'W', NULL);
    evloop_drain(loop);
    cr_assert_eq(swap(spare), -EAGAIN);
    const uint8_t *later = ask(6, 'W', NULL); /* not taken before the other file is there */
    evloop_drain(loop);
    cr_expect_eq(*status, 0xee);
    await_swap(spare);
    cr_expect_eq(*status, VIRTIO_BLK_S_OK);
    blk_spare_close(spare);
    cr_expect_eq(first_of(5), 'n');
    cr_expect_eq(first_of(6), 'W');
    cr_expect_eq(*later, VIRTIO_BLK_S_OK);
    cr_expect_eq(in_file(OLD, 5), 'W');
    cr_expect_eq(in_file(OLD, 6), 'o');
    cr_expect_eq(in_file(NEW, 6), 'W');
}

Test(swap, is_given_up_and_all_goes_on)
{
    open_machine(OLD ",fault=lat:20ms");
    start();
    struct blk_file *spare = begin();
    ask(5, 'W', NULL);
    evloop_drain(loop);
    cr_assert_eq(swap(spare), -EAGAIN);
    cr_assert_eq(swap(NULL), 0);
    blk_spare_close(spare);
    cr_expect_not(is_locked(NEW));
    cr_expect_eq(first_of(5), 'W');
    cr_expect_eq(capacity(), 16);
    cr_expect_eq(in_file(NEW, 5), 'n');
}

static void reset_device(void)
{
    vdrv_reset(&drv);
    cr_assert(vdrv_start(&drv, VIRTIO_BIT(VIRTIO_F_RING_RESET), 1, 16));
}

static void reset_queue(void)
{
    cr_assert(vdrv_queue_reset(&drv, 0));
    vdrv_queue_set_up(&drv, 0, 16);
}

/* What it starts anew is at work with the old file, until it is held again. */
Test(swap, the_driver_resets_it_meanwhile)
{
    static void (*const resets[])(void) = {reset_device, reset_queue, reset_device};
    open_machine(OLD ",fault=lat:20ms");
    reset_device();
    struct blk_file *spare = begin();
    for (unsigned i = 0; i < ARRAY_SIZE(resets); i++) {
        ask(i, 'W', NULL);
        evloop_drain(loop);
        cr_assert_eq(swap(spare), -EAGAIN, "%u", i);
        resets[i]();
        ask(8, 'W', NULL);
        evloop_drain(loop);
        cr_assert_eq(swap(spare), -EAGAIN, "%u", i);
    }
    cr_expect_eq(capacity(), 16);
    await_swap(spare);
    blk_spare_close(spare);
    cr_expect_eq(capacity(), 64);
    cr_expect_eq(first_of(0), 'n');
    cr_expect_eq(in_file(OLD, 0), 'o', "what had not begun was cancelled");
    cr_expect_eq(in_file(OLD, 8), 'W', "what was in flight at last has ended");
}

Test(swap, files_that_do_not_suit_are_refused)
{
    struct blk_file_config config;
    struct blk_file *spare;
    open_machine(OLD);
    start();
    cr_assert_eq(virtio_devices_begin_swap(virtio, 0, &config), 0);
    config.path = NEW;
    config.read_only = true;
    cr_assert_eq(blk_spare_open(&spare, &config), 0);
    cr_expect_eq(swap(spare), -EINVAL);
    blk_spare_close(spare);
    config.read_only = false;
    cr_assert_eq(blk_spare_open(&spare, &config), 0);
    spare->b.info.can_discard = false; /* as on a file system without holes */
    cr_expect_eq(swap(spare), -EOPNOTSUPP);
    blk_spare_close(spare);
    config.path = OLD;
    cr_expect_eq(blk_spare_open(&spare, &config), -EBUSY, "it is this disk's");
    config.path = ".";
    cr_expect_eq(blk_spare_open(&spare, &config), -EISDIR);
    cr_expect_eq(first_of(0), 'o');
}

Test(swap, some_disks_keep_their_file)
{
    static const struct {
        char *disk;
        int answer;
    } rows[] = {{"null:1M", -EOPNOTSUPP},        {OLD ",snapshot=on", -EPERM},
                {OLD ",snapshot=on,ro", 0},      {OLD ",queues=2,iothread=a:b", -EMLINK},
                {OLD ",queues=2,iothread=a", 0}, {OLD ",iops=1000", 0}};
    struct blk_file_config config;
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        open_machine(rows[i].disk);
        cr_expect_eq(virtio_devices_begin_swap(virtio, 0, &config), rows[i].answer, "%s",
                     rows[i].disk);
        cr_expect_eq(virtio_devices_begin_swap(virtio, 1, &config), -ENODEV);
        if (i + 1 < ARRAY_SIZE(rows))
            close_machine();
    }
}

/* ---- a driver that does not wait ---- */

static atomic_bool has_enough;
static unsigned refused;

/* Nearly a ring of requests at once, and a reset now and then. */
static void *ask_again_and_again(void *arg)
{
    const uint8_t *statuses[5];
    uint32_t head, len;
    (void)arg;
    for (unsigned round = 0; !atomic_load(&has_enough); round++) {
        reset_device();
        for (unsigned turn = 0; turn < 8; turn++) {
            for (unsigned i = 0; i < ARRAY_SIZE(statuses); i++)
                statuses[i] = ask(i, round % 2 == 0 ? 'W' : 0, NULL);
            if (turn == round % 8) /* the device is reset with these in flight */
                break;
            for (unsigned back = 0; back < ARRAY_SIZE(statuses);)
                if (vdrv_used(&drv.q[0], &head, &len))
                    back++;
                else
                    sched_yield();
            for (unsigned i = 0; i < ARRAY_SIZE(statuses); i++)
                refused += *statuses[i] != VIRTIO_BLK_S_OK;
        }
    }
    return NULL;
}

Test(swap, while_the_disk_s_own_thread_is_at_work)
{
    pthread_t driver;
    int r;
    open_machine(OLD ",iothread=a");
    cr_assert_eq(evloop_start_thread(loop), 0);
    cr_assert_eq(virtio_devices_start(virtio), 0);
    cr_assert_eq(pthread_create(&driver, NULL, ask_again_and_again, NULL), 0);
    for (unsigned i = 0; i < 40; i++) {
        struct blk_file *spare = begin();
        while ((r = swap(spare)) == -EAGAIN)
            usleep(100);
        cr_expect_eq(r, 0);
        blk_spare_close(spare);
        cr_assert_eq(rename(OLD, "next"), 0);
        cr_assert_eq(rename(NEW, OLD), 0);
        cr_assert_eq(rename("next", NEW), 0);
    }
    atomic_store(&has_enough, true);
    pthread_join(driver, NULL);
    virtio_devices_stop(virtio);
    evloop_stop_thread(loop);
    cr_expect_eq(refused, 0);
}

/* TEST UNIT READY; the sense key, additional sense code and qualifier, or 0. */
static unsigned sense(void)
{
    uint64_t gpa = vdrv_alloc(&drv, 51 + 108, 16);
    uint8_t *p = vdrv_ptr(&drv, gpa, 51 + 108), *back = p + 51;
    const struct vdrv_buf bufs[] = {{gpa, 51, false}, {gpa + 51, 108, true}};
    p[0] = 1; /* LUN: target 0, unit 0 */
    p[2] = 0x40;
    vdrv_send(&drv.q[VIRTIO_SCSI_REQUESTQ], bufs, 2);
    evloop_drain(loop);
    const uint8_t *s = back + 12;
    return le32_get(back) > 0 ? SCSI_SENSE(s[2], s[12], s[13]) : 0;
}

Test(swap, a_scsi_disk_has_another_medium)
{
    open_machine(OLD ",type=scsi");
    cr_assert(vdrv_start(&drv, VIRTIO_BIT(VIRTIO_SCSI_F_CHANGE), 3, 16));
    uint64_t gpa = vdrv_alloc(&drv, VIRTIO_SCSI_EVENT_BYTES, 16);
    const struct vdrv_buf event = {gpa, VIRTIO_SCSI_EVENT_BYTES, true};
    vdrv_send(&drv.q[VIRTIO_SCSI_EVENTQ], &event, 1);
    evloop_drain(loop);
    cr_expect_eq(sense(), 0);
    struct blk_file *spare = begin();
    cr_assert_eq(swap(spare), 0);
    blk_spare_close(spare);
    evloop_drain(loop);
    const uint8_t *told = vdrv_ptr(&drv, gpa, VIRTIO_SCSI_EVENT_BYTES);
    cr_expect_eq(le32_get(told), VIRTIO_SCSI_T_PARAM_CHANGE);
    cr_expect_eq(sense(), SCSI_MEDIUM_CHANGED);
    cr_expect_eq(sense(), 0);
}
