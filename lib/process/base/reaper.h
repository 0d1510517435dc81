/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include <stdbool.h>

/* Reaps the children whose handles were freed, or whose start has failed. */

/*
 * Takes over a child's pidfd. `killed` says that SIGKILL was sent to the child. Then the end of the
 * library waits until the child has ended, unless there was no memory for its record.
 */
void fl__reaper_adopt(int pidfd, bool killed);

/* Called by the watcher thread when `pidfd` is ready. Reaps the child, if there is one. */
void fl__reaper_reap(int pidfd);
