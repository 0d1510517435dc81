/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A fiber calls a function on another thread. The call is a task of the loop's executor for such
 * calls (fl__loop_threads()). The task uses the caller's frame. So the caller waits for the task's
 * end, even if it is cancelled or its deadline has passed.
 */
#include "to_thread.h"
#include "core/base/sys.h"
#include "core/exec/executor.h"
#include "loop.h"
#include <errno.h>
#include <fairlead/future.h>
#include <fairlead/thread.h>

/* There are more threads than CPUs, up to TO_THREAD_MAX, since most calls wait in the system. */
enum { TO_THREAD_MAX = 32, TO_THREAD_EXTRA = 4 };

int fl__loop_threads(fl_loop *l, fl_executor **threads)
{
	if (fl__loop_is_forked(l))
		return -EOWNERDEAD;
	int rc = 0;
	if (!l->threads) {
		const unsigned wanted = fl_cpu_count() + TO_THREAD_EXTRA;
		const fl_executor_config config = {
		    .workers = FL__MIN(wanted, TO_THREAD_MAX),
		    .name = "to-thread",
		};
		rc = fl_thread_executor_create(&l->threads, &config);
	}
	*threads = l->threads;
	return rc;
}

struct to_thread_call {
	fl_fiber_function *function;
	void *arg;
	fl_time deadline;
	fl_cancel_token *cancel;
	bool called;
	int result; /* the result of `function` */
};

static int to_thread_run(fl_task_ctx *ctx, const void *arg, void *result)
{
	struct to_thread_call *call = *(struct to_thread_call *const *)arg;
	(void)ctx;
	(void)result;
	call->called = true;
	call->result = call->function(call->arg);
	return 0;
}

static const fl_task_type to_thread_call_type = FL__TASK_OF_POINTER("fl__to_thread", to_thread_run);

static void to_thread_wait(fl_future *task, const struct to_thread_call *call)
{
	int rc = fl_future_wait_until(task, call->deadline, call->cancel);
	/* if the cancel returns 0, the task will not start */
	if (rc != 0 && fl_future_cancel(task) == -EINPROGRESS)
		rc = fl_future_wait_until(task, FL_FOREVER, FL_SHIELDED);
	(void)rc; /* the task has ended */
}

static int to_thread_submit(fl_loop *l, struct to_thread_call *call)
{
	fl_executor *threads;
	fl_future *task;
	int rc = fl__loop_threads(l, &threads);
	if (rc == 0)
		rc = fl_submit(threads, &to_thread_call_type, &call, &task);
	if (rc != 0)
		return rc;
	to_thread_wait(task, call);
	if (call->called)
		/* -EOWNERDEAD says that `function` has ended its thread */
		rc = fl_future_error(task);
	fl_future_free(task);
	return rc;
}

int fl_to_thread_until(fl_fiber_function *function, void *arg, int *result, fl_time deadline, fl_cancel_token *cancel)
{
	fl_loop *l = fl__loop_needed(true, "fl_to_thread");
	if (!l)
		return -ENOTSUP;
	/* the first call reads files, for the number of CPUs, and makes a thread */
	FL__KEEPS_ERRNO();
	struct to_thread_call call = {.function = function, .arg = arg, .deadline = deadline, .cancel = cancel};
	int rc = fl__is_interrupted(deadline, cancel);
	if (rc == 0)
		rc = to_thread_submit(l, &call);
	if (rc != 0)
		return rc;
	if (!call.called)
		return fl__is_interrupted(deadline, cancel) == -ETIMEDOUT ? -ETIMEDOUT : -ECANCELED;
	if (result)
		*result = call.result;
	return call.result == -ECANCELED ? fl__is_interrupted(deadline, cancel) : 0;
}
