/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tasks in the caller's memory never allocate. Nothing here waits for shared words: their helper
 * threads would read the table of system calls.
 */
#include "conformance.h"
#include "fl_faults.h"

static int allocations, forbidden;
static size_t allocated; /* bytes ever; atomic */

static void *our_alloc(size_t size)
{
	count(&allocations);
	fl__add_relaxed(&allocated, size);
	return counted(&forbidden) ? NULL : fl_test_real_sys.alloc(size);
}

static void bump_times(fl_executor *e, fl_intrusive_task *task, int times)
{
	int ran = 0, *arg = &ran;
	for (int i = 0; i < times; i++) {
		FL_OK(bump_intrusive_submit(e, task, &arg));
		FL_OK(fl_intrusive_task_join(task));
	}
	assert_int_equal(counted(&ran), times);
}

/*
 * With a worker running, no allocation at all: neither to submit, nor to wait and join. (A loop
 * starts a fiber for each task, if it can.)
 */
CONFORMANCE(intrusive_takes_no_memory)
{
	FL_FAULTS();
	fl__store_release(&forbidden, 0);
	fl__sys.alloc = our_alloc;
	FL_SCOPED(fl_executor) *e = make(kind, 1);
	if (!is_by_reference(e))
		return;
	fl_intrusive_task task = FL_INTRUSIVE_TASK_INIT;
	bump_times(e, &task, 1);
	const int before = counted(&allocations);
	bump_times(e, &task, (int)fl_test_scaled(20000));
	if (!kind->one_thread)
		assert_int_equal(counted(&allocations), before);
	fl__store_release(&forbidden, 1);
	bump_times(e, &task, 1000);
	fl__store_release(&forbidden, 0);
}

/* Without a worker there must be memory for one; and that is said. */
FL_TEST(intrusive_first_worker_needs_memory)
{
	FL_FAULTS();
	fl__store_release(&forbidden, 0);
	fl__sys.alloc = our_alloc;
	FL_SCOPED(fl_executor) *e = make(&conformance_threads, 1);
	fl_intrusive_task task = FL_INTRUSIVE_TASK_INIT;
	fl__store_release(&forbidden, 1);
	FL_RC(tick_intrusive_submit(e, &task), -EAGAIN);
	FL_OK(fl_intrusive_task_try_join(&task));
	fl__store_release(&forbidden, 0);
	bump_times(e, &task, 1);
}

/*
 * Removed tasks do not accumulate before the others: memory is bounded while the only worker is
 * busy. And they do not count as pending.
 */
FL_TEST(intrusive_cancelled_among_others_keeps_no_dead)
{
	FL_FAULTS();
	fl__store_release(&forbidden, 0);
	fl__sys.alloc = our_alloc;
	FL_SCOPED(fl_executor) *e = make(&conformance_threads, 1);
	struct held held = hold_worker(e);
	fl_executor_stats stats;
	size_t before = 0;
	for (int round = 0; round < 12; round++) {
		fl_intrusive_task task = FL_INTRUSIVE_TASK_INIT;
		if (round == 4)
			before = fl__load_relaxed(&allocated);
		for (int i = 0; i < 15000; i++) {
			fl_future *f = NULL;
			FL_OK(tick_submit(e, &f));
			FL_OK(fl_future_cancel(f));
			fl_future_free(f);
		}
		FL_OK(tick_intrusive_submit(e, &task));
		FL_OK(fl_future_cancel(fl_intrusive_task_future(&task)));
		FL_OK(fl_intrusive_task_join(&task));
		FL_OK(fl_executor_get_stats(e, &stats));
		assert_int_equal(stats.pending, 0);
	}
	assert_int_equal(fl__load_relaxed(&allocated), before);
	let_go(&held);
}
