// SPDX-License-Identifier: BSD-2-Clause
/*
 * Failing: three kinds, never mixed.
 *
 * Host or configuration: functions return a negative errno. The function that knows the name of
 * the thing reports, once:  return fail(-errno, "disk %s: open", path);  callers pass it up.
 * Guest: answered with the device's status, counted by log_guest(); never ends the VMM.
 * Our own bug: BUG_ON(), whose condition depends on no input.
 */
#ifndef MINIVET_CORE_FAIL_H
#define MINIVET_CORE_FAIL_H

/*
 * Logs "<message>: <strerror>" at level ERROR and returns err, which is a negative errno.
 * fail_msg() leaves the strerror out, for when the message says it all.
 */
int fail(int err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int fail_msg(int err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

_Noreturn void bug(const char *file, int line, const char *condition);

#define BUG_ON(condition)                        \
    do {                                         \
        if (__builtin_expect(!!(condition), 0))  \
            bug(__FILE__, __LINE__, #condition); \
    } while (0)

#endif
