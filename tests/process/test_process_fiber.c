/* SPDX-License-Identifier: BSD-2-Clause */
/* A fiber waits for a process. */
#include "fl_fds.h"
#include "fl_in_loop.h"
#include "fl_process.h"

#include <signal.h>

/* The fiber waits by its loop: the watcher thread is not asked. */
static uint32_t watcher_calls;

static int count_watch(int epoll, int op, int fd, uint32_t events)
{
	fl__add_relaxed(&watcher_calls, 1); /* relaxed: a count */
	return fl_test_real_fd_sys.epoll_control(epoll, op, fd, events);
}

/* For good, before any thread is there. */
__attribute__((constructor)) static void count_watches(void)
{
	fl__fd_sys.epoll_control = count_watch;
}

FL_TEST_WITH(process_is_joined_by_a_fiber, fl_test_body_in_loop, void)
{
	static const char *const sleep_arguments[] = {"sleep", "1000", NULL}, *const true_arguments[] = {"true", NULL};
	fl_process_status status;
	fl_process *p = process_started(&(fl_process_config){.program = "true", .argv = true_arguments});
	fl__store_relaxed(&watcher_calls, 0);
	FL_CHECK(fl_process_join_until(p, &status, fl_after(FL_S(60)), NULL) == 0 && status.code == 0);
	fl_process_free(p);
	FL_OK(fl_process_start(&p, &(fl_process_config){.program = "sleep", .argv = sleep_arguments}));
	fl__store_relaxed(&watcher_calls, 0);
	FL_RC(fl_process_join_until(p, &status, fl_after(FL_MS(1)), NULL), -ETIMEDOUT);
	FL_OK(fl_process_kill(p));
	FL_CHECK(fl_process_join(p, &status) == 0 && status.signal == SIGKILL);
	FL_CHECK(fl__load_relaxed(&watcher_calls) == 0);
	fl_process_free(p);
}
