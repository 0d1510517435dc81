/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_PROCESS_REAPER_H
#define FL_PROCESS_REAPER_H

#include <stdbool.h>

/*
 * The reaper is a thread that reaps the children whose handles were freed, and those whose start
 * has failed. It lives from the first such child until the process exits or the library is
 * unloaded. The reaper blocks all signals.
 */

/*
 * Takes over the pidfd of a child, and reaps the child when it ends. `killed`: the child was sent
 * SIGKILL, so even the end of the reaper waits for it. `stack`: of an intermediate, to be freed
 * after its end; or NULL.
 */
void fl__reaper_adopt(int pidfd, bool killed, void *stack);

/* Returns the number of reaper threads: 0 or 1. */
unsigned fl__reaper_threads(void);

/*
 * While the calling thread holds the reaper, the reaper holds no lock of the C library: it uses the
 * allocator only under its own lock, which this is.
 */
void fl__reaper_hold(void);
void fl__reaper_release(void);

/* In a forked child: drops what belongs to the parent's reaper. */
void fl__reaper_after_fork(void);

#endif
