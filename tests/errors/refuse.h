// SPDX-License-Identifier: BSD-2-Clause
/*
 * A host that refuses: of the calls that the program makes to the host while a scene is on, one
 * fails that would not have. Scenes are played once for each call that there is, so that every way
 * out of what they do is gone once. The calls are those of refuse.def; the linker leads them here.
 */
#ifndef MINIVET_TESTS_ERRORS_REFUSE_H
#define MINIVET_TESTS_ERRORS_REFUSE_H

#include <pthread.h>

/*
 * A scene does things between refuse_begin() and refuse_end(), and cleans up. It returns 0, or the
 * error that was reported. Judged afterwards: who was not refused anything succeeds; who fails has
 * said so; no descriptor and no memory is left.
 */
void refuse_each(int (*scene)(void));
/* The same, but for an error that such a host never gives, and that would mean something else. */
void refuse_each_but(int (*scene)(void), int never);

void refuse_begin(void);
void refuse_end(void);

/* A thread that stands for another program. */
void refuse_spare(pthread_t thread);

#endif
