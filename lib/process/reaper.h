/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_PROCESS_REAPER_H
#define FL_PROCESS_REAPER_H

#include <stdbool.h>

/*
 * Reaps the children whose handles were freed, or whose start has failed. The thread lives from the
 * first such child until the end of the process or the library.
 */

/* Takes over a child's pidfd. `killed`: even the end of the reaper waits for the child. */
void fl__reaper_adopt(int pidfd, bool killed);

/* 0 or 1. */
unsigned fl__reaper_threads(void);

/* In a forked child: drops the parent's children. */
void fl__reaper_after_fork(void);

#endif
