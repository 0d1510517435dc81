/* SPDX-License-Identifier: BSD-2-Clause */
#include "../base/sys.h"
#include "fd_watcher.h"
#include "process_sys.h"
#include <errno.h>
#include <fairlead/child.h>
#include <fairlead/time.h>

/* From reap()'s result. 0: the child was reaped. -EBUSY: the child runs. Or an error of reap(). */
static int child_result(int collected)
{
	if (collected < 0)
		return collected;
	return collected == 1 ? 0 : -EBUSY;
}

static int child_wait_by_pidfd(int pidfd, fl_process_status *status, int64_t deadline, fl_cancel_token *cancel)
{
	for (;;) {
		int rc = child_result(fl__process_sys.reap(pidfd, status, false));
		if (rc != -EBUSY)
			return rc;
		int waited = fl__fd_wait(pidfd, POLLIN, deadline, cancel);
		if (waited == 0)
			continue;
		/* the child may have ended during the wait */
		rc = child_result(fl__process_sys.reap(pidfd, status, false));
		return rc == -EBUSY ? waited : rc;
	}
}

/* Polls, on a system without pidfds. */
static int child_poll_by_pid(int pid, fl_process_status *status, int64_t deadline, fl_cancel_token *cancel)
{
	static const int64_t step = FL_MS(1);
	for (;;) {
		int number = pid, rc = child_result(fl__process_sys.reap_by_pid(&number, status, false));
		if (rc != -EBUSY)
			return rc;
		if (fl__is_expired(deadline))
			return -ETIMEDOUT;
		rc = fl_sleep_until(fl__min_deadline(fl_after(step), deadline), cancel);
		if (rc != 0)
			return rc;
	}
}

int fl_child_wait_until(int pid, fl_process_status *status, int64_t deadline, fl_cancel_token *cancel)
{
	fl_process_status unused;
	if (!status)
		status = &unused;
	if (pid <= 0)
		return -EINVAL;
	int pidfd = fl__process_sys.pidfd(pid);
	if (pidfd == -ESRCH)
		return -ECHILD;
	if (pidfd == -ENOSYS)
		return child_poll_by_pid(pid, status, deadline, cancel);
	if (pidfd < 0)
		return pidfd;
	const struct fl__awaited outer = fl__awaits_begin(FL__DEBUG_PROCESS, (void *)(uintptr_t)pid);
	int rc = child_wait_by_pidfd(pidfd, status, deadline, cancel);
	fl__awaits_end(outer);
	fl__fd_close(pidfd);
	return rc;
}
