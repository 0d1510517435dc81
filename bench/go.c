/* SPDX-License-Identifier: BSD-2-Clause */
/* The rows of Go, which another program measures (go.go). */
#include "remote.h"

#include <stdio.h>

static void *go_setup(const bench_setting *with)
{
	char threads[16];
	(void)snprintf(threads, sizeof threads, "%d", with->threads);
	return bench_remote_open(BENCH_COMMAND(BENCH_GO, with->arg, threads));
}

/* Only the first thread of a row asks, since the program has its own. */
static void go_run(bench_thread *t)
{
	if (t->index == 0)
		(void)bench_remote_ask(t->state, t, t->until - bench_now());
}

#define GO_ROW(name, of)                                                                                               \
	{                                                                                                              \
		name, "go", go_setup, go_run, bench_remote_teardown, .arg = of                                         \
	}
#define GO_LOCK(of) GO_ROW("locks/" of, of)
#define GO_QUEUE(of) GO_ROW("queues/" of, "queue")
#define GO_POOL(of) GO_ROW("exec/" of, of)

static const bench_row rows[] = {
    GO_LOCK("mutex_uncontended"),
    GO_LOCK("mutex_empty"),
    GO_LOCK("mutex_100ns"),
    GO_LOCK("mutex_1us"),
    GO_LOCK("rw_100"),
    GO_LOCK("rw_99"),
    GO_LOCK("rw_90"),
    GO_LOCK("rw_90_100ns"),
    GO_QUEUE("uncontended"),
    GO_QUEUE("mpmc_1p1c"),
    GO_QUEUE("mpmc_2p2c"),
    GO_QUEUE("mpmc_4p4c"),
    GO_QUEUE("mpmc_8p8c"),
    GO_POOL("submit_get"),
    GO_POOL("roundtrip"),
    GO_POOL("roundtrip_idle"),
    GO_POOL("roundtrip_10us"),
    GO_POOL("roundtrip_100us"),
    GO_POOL("roundtrip_1000us"),
    GO_POOL("burst"),
    GO_POOL("fork_join"),
};
BENCH_ROWS(rows)
