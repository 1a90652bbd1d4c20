// SPDX-License-Identifier: BSD-2-Clause
/*
 * No loop and no vCPU ever waits for another process: all guests' devices, or a CPU, would stand
 * still for as long as that process likes. What may wait for one (a reply, a connection, the end of
 * a child) says so by may_block(), which debug builds check.
 */
#ifndef MINIVET_CORE_MAY_BLOCK_H
#define MINIVET_CORE_MAY_BLOCK_H

#ifdef MINIVET_DEBUG

/* The caller is about to wait for another process: a bug on a thread that must not. */
void may_block(void);

/* The calling thread must not, until as many calls of allow: the event loop's, and a vCPU's. */
void may_block_forbid(void);
void may_block_allow(void);

/* Allows it all at once, for a work of a lane that a test runs in its own thread; and restores what
 * was forbidden. */
unsigned may_block_lift(void);
void may_block_restore(unsigned forbidden);

#else

static inline void may_block(void)
{
}

static inline void may_block_forbid(void)
{
}

static inline void may_block_allow(void)
{
}

static inline unsigned may_block_lift(void)
{
    return 0;
}

static inline void may_block_restore(unsigned forbidden)
{
    (void)forbidden;
}

#endif

#endif
