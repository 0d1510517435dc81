/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef BENCH_ALONE_H
#define BENCH_ALONE_H

#include "remote.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Rows that are measured in a process of their own, which is this program once more: where the
 * processor time or the memory of the whole process is what counts, where a runtime can be set up
 * once only, and where what one row leaves behind, such as threads that still spin, would take time
 * from the next.
 */

/*
 * Starts the process, which sets the row up; ends with bench_remote_close(), after the row's
 * teardown.
 */
bench_remote *bench_alone_open(const bench_row *row, int threads);

/*
 * Lets it run t->total operations, or for `span` ns unless that is 0; fills in `t`. Returns the ns
 * of CPU time that it used.
 */
int64_t bench_alone_run(bench_remote *r, bench_thread *t, int64_t span);

/* The other side: answers until its input ends. Returns the exit status. */
int bench_alone_serve(const bench_row *row, int threads);

#ifdef __cplusplus
}
#endif

#endif
