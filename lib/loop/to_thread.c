/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lets a fiber call a function on another thread. The call is a task of the loop's executor for
 * such calls (fl__loop_threads()). The task uses the caller's frame, so the caller waits for the
 * task's end, even if it is cancelled or its deadline has passed.
 *
 * Lookups of names (net_resolve.c) have an executor of their own, because a lookup that no server
 * answers keeps a thread for half a minute, so a few such lookups would hold up all other calls. A
 * lookup does not use its caller's frame. So if nobody waits for it any more, the end of the loop
 * does not wait for it either: it leaves the executor to the library. However, if a shared object
 * contains the library, the loop waits: otherwise a dlclose() would wait for the lookup while it
 * holds the loader's lock, which the lookup may need.
 */
#include "to_thread.h"
#include "core/base/sys.h"
#include "core/exec/executor.h"
#include "loop.h"
#include <errno.h>
#include <fairlead/future.h>
#include <fairlead/thread.h>
#include <link.h>
#include <sys/auxv.h>

/*
 * There are more threads than CPUs, up to TO_THREAD_MAX, since most calls wait in system calls.
 * Lookups compute nothing, so their number does not depend on the CPUs.
 */
enum { TO_THREAD_MAX = 32, TO_THREAD_EXTRA = 4, TO_THREAD_LOOKUPS = 16 };

int fl__loop_threads(fl_loop *l, enum fl__loop_work work, fl_executor **threads)
{
	int rc = 0;
	if (!l->threads[work]) {
		const bool is_lookup = work == FL__LOOP_LOOKUPS;
		const unsigned wanted = is_lookup ? TO_THREAD_LOOKUPS : fl_cpu_count() + TO_THREAD_EXTRA;
		const fl_executor_config config = {
		    .workers = FL__MIN(wanted, TO_THREAD_MAX),
		    .name = is_lookup ? "lookup" : "to-thread",
		};
		rc = fl_thread_executor_create(&l->threads[work], &config);
	}
	*threads = l->threads[work];
	return rc;
}

/* The beginning of the program or shared object, if the linker defines this symbol. */
extern const ElfW(Ehdr) __ehdr_start __attribute__((weak, visibility("hidden")));

static bool to_thread_is_in_program(void)
{
	const uintptr_t start = (uintptr_t)&__ehdr_start;
	return start != 0 && getauxval(AT_PHDR) == start + __ehdr_start.e_phoff;
}

/* Returns true if the library will free the executor when its lookups have ended. */
static bool to_thread_leave_lookups(const fl_loop *l, fl_executor *lookups)
{
	return l->lookup_left && to_thread_is_in_program() &&
	       fl_executor_wait_idle_until(lookups, FL_NO_WAIT, FL_SHIELDED) == -ETIMEDOUT &&
	       fl_executor_detach(lookups) == 0;
}

void fl__loop_free_threads(fl_loop *l)
{
	fl_executor *lookups = l->threads[FL__LOOP_LOOKUPS];
	fl_executor_free(l->threads[FL__LOOP_CALLS]);
	if (lookups && !to_thread_leave_lookups(l, lookups))
		fl_executor_free(lookups);
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
	/* if fl_future_cancel() returns 0, the task will not start */
	if (rc != 0 && fl_future_cancel(task) == -EINPROGRESS)
		rc = fl_future_wait_until(task, FL_FOREVER, FL_SHIELDED);
	(void)rc; /* the task has ended */
}

static int to_thread_submit(fl_loop *l, struct to_thread_call *call)
{
	fl_executor *threads;
	fl_future *task;
	int rc = fl__loop_threads(l, FL__LOOP_CALLS, &threads);
	if (rc == 0)
		rc = fl_executor_submit(threads, &to_thread_call_type, &call, &task);
	if (rc != 0)
		return rc;
	to_thread_wait(task, call);
	if (call->called)
		rc = fl_future_error(task);
	fl_future_free(task);
	return rc;
}

int fl_blocking_call_until(fl_fiber_function *function, void *arg, int *result, fl_time deadline,
                           fl_cancel_token *cancel)
{
	fl_loop *l = fl__loop_needed(true, "fl_blocking_call");
	if (!l)
		return -ENOTSUP;
	/* the first call reads files to count the CPUs, and makes a thread */
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
