// SPDX-License-Identifier: BSD-2-Clause
/* vmm/kvm/stats.c on a file that looks like KVM's. */

#include "kvm/impl.h"
#include "tests/harness/test.h"

#define NAME_BYTES 16
#define DESC_BYTES (sizeof(struct kvm_stats_desc) + NAME_BYTES)
#define DESCS_AT   64
#define DATA_AT    1024

static const struct {
    const char *name;
    unsigned flags, size;
    uint64_t value;
} figures[] = {
    {"exits", KVM_STATS_TYPE_CUMULATIVE, 1, 180},
    {"most", KVM_STATS_TYPE_PEAK, 1, 7},
    {"blocking", KVM_STATS_TYPE_INSTANT, 1, 1},
    {"hist", KVM_STATS_TYPE_LOG_HIST, 4, 9},
    {"pages_1234567890", KVM_STATS_TYPE_CUMULATIVE, 1, UINT64_MAX},
};

static struct hv_vm vm = {.stats_fd = -1};
static struct hv_stat out[8];

static void make_file(uint32_t descs)
{
    const struct kvm_stats_header h = {.name_size = NAME_BYTES,
                                       .num_desc = descs,
                                       .desc_offset = DESCS_AT,
                                       .data_offset = DATA_AT};
    vm.stats_fd = memfd_create("stats", 0);
    cr_assert_geq(vm.stats_fd, 0);
    cr_assert_eq((size_t)pwrite(vm.stats_fd, &h, sizeof(h), 0), sizeof(h));
    for (unsigned i = 0; i < ARRAY_SIZE(figures); i++) {
        char bytes[DESC_BYTES] = {0};
        struct kvm_stats_desc d = {
            .flags = figures[i].flags, .size = (uint16_t)figures[i].size, .offset = 32 * i};
        memcpy(bytes, &d, sizeof(d));
        memcpy(bytes + sizeof(d), figures[i].name, strnlen(figures[i].name, NAME_BYTES));
        cr_assert_eq(
            (size_t)pwrite(vm.stats_fd, bytes, DESC_BYTES, (off_t)(DESCS_AT + i * DESC_BYTES)),
            DESC_BYTES);
        cr_assert_eq((size_t)pwrite(vm.stats_fd, &figures[i].value, 8, DATA_AT + 32 * i), 8);
    }
}

Test(kvm_stats, what_adds_up_is_read)
{
    make_file(ARRAY_SIZE(figures));
    cr_assert_eq(kvm_stats(&vm, NULL, out, 8), 3);
    cr_expect_str_eq(out[0].name, "exits");
    cr_expect_eq(out[0].value, 180);
    cr_expect_str_eq(out[1].name, "blocking");
    cr_expect_str_eq(out[2].name, "pages_1234567890", "as long as a name can be");
    cr_expect_eq(out[2].value, UINT64_MAX);
    cr_expect_eq(kvm_stats(&vm, NULL, out, 2), 2, "as many as there is room for");
    close(vm.stats_fd);
}

Test(kvm_stats, a_header_that_promises_too_much)
{
    make_file(UINT32_MAX);
    /* The file ends behind the last figure; what lies between has type and size 0. */
    cr_expect_eq(kvm_stats(&vm, NULL, out, 8), 3);
    close(vm.stats_fd);
}

Test(kvm_stats, a_kernel_without_them)
{
    struct hv_vcpu v = {.stats_fd = -1};
    cr_expect_eq(kvm_stats(&vm, NULL, out, 8), 0);
    cr_expect_eq(kvm_stats(&vm, &v, out, 8), 0);
    cr_expect_eq(kvm_stats_open(-1), -1);
}
