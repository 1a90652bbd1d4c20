// SPDX-License-Identifier: BSD-2-Clause

#include "core/peers/shared_event.h"
#include "tests/harness/test.h"

/* The peer has cleared O_NONBLOCK: a wait is a test that hangs. */
Test(core_shared_event, signals_come_and_a_full_counter_stays_full)
{
    struct shared_event_signal s;
    eventfd_t count;
    int fd = eventfd(0, EFD_CLOEXEC);
    cr_assert_geq(fd, 0);
    cr_assert_eq(shared_event_signal_open(&s), 0);
    for (unsigned i = 0; i < 10000; i++) /* more than wait to be collected */
        shared_event_signal(&s, fd);
    cr_assert_eq(eventfd_read(fd, &count), 0);
    cr_expect_eq(count, 10000);
    cr_assert_eq(eventfd_write(fd, UINT64_MAX - 1), 0);
    shared_event_signal(&s, fd);
    shared_event_signal(&s, fd);
    cr_assert_eq(eventfd_read(fd, &count), 0);
    cr_expect_geq(count, UINT64_MAX - 1);
    shared_event_signal_close(&s);
    shared_event_signal_close(&s);
    close(fd);
}

Test(core_shared_event, takes_what_is_there)
{
    int fd = eventfd(3, EFD_CLOEXEC);
    cr_assert_geq(fd, 0);
    cr_expect(shared_event_take(fd));
    cr_expect_not(shared_event_take(fd));
    close(fd);
}
