/* SPDX-License-Identifier: BSD-2-Clause */
/* The chunks and halves of parallel loops on a thread executor. */
#include "fl_faults.h"
#include "fl_test.h"

#include <fairlead/barrier.h>
#include <fairlead/parallel.h>

/* On the thread of a loop only the elements take time. */
static _Thread_local int64_t loop_time;

static int64_t loop_now(void)
{
	return loop_time != 0 ? loop_time : fl_test_real_sys.now();
}

enum { N = 1000000, JUMP = 700000, FIRST_CALLS = 12 };

struct work {
	int64_t cost[2]; /* of an element before JUMP and after, in ns */
	size_t calls[2];
	int64_t shortest[2], longest[2]; /* of the calls after the first ones */
};

static int work(void *state, size_t from, size_t to)
{
	struct work *w = state;
	const int part = to > JUMP;
	const int64_t took = w->cost[part] * (int64_t)(to - from);
	loop_time += took;
	if (++w->calls[part] <= FIRST_CALLS || to == N)
		return 0;
	w->shortest[part] = FL__MIN(w->shortest[part], took);
	w->longest[part] = FL__MAX(w->longest[part], took);
	return 0;
}

FL_TASK_STATIC(run_work, struct work *, void)
{
	loop_time = 1;
	const int rc = fl_parallel_for(fl_executor_current(), 0, N, work, *arg, NULL);
	loop_time = 0;
	return rc;
}

/* Also after the elements have become cheaper or dearer. */
FL_TEST(parallel_for_chunks_take_tens_of_microseconds)
{
	FL_FAULTS();
	fl__sys.now = loop_now;
	FL_SCOPED(fl_executor) *e = NULL;
	FL_OK(fl_thread_executor_create(&e, &(fl_executor_config){.workers = 1}));
	const int64_t costs[] = {1, 30, 3000};
	FL_EACH (i, costs)
		FL_EACH (k, costs) {
			struct work w = {.cost = {costs[i], costs[k]}, .shortest = {FL_S(1), FL_S(1)}}, *arg = &w;
			FL_OK(fl_test_run_task(e, &run_work, &arg, NULL));
			FL_EACH (part, w.calls) {
				assert_true(w.calls[part] > FIRST_CALLS);
				assert_in_range(w.shortest[part], FL_US(9), FL_US(80));
				assert_in_range(w.longest[part], FL_US(9), FL_US(80));
			}
		}
}

/* Of two workers, each begins its loops with the same half, and the two with different halves. */
enum { LOOPS = 100 };
static _Thread_local const size_t *own_loop; /* the first number that its own thread got; 2: none */

static int note_first(void *first, size_t from, size_t to)
{
	size_t *const number = first;
	if (number == own_loop && *number == 2)
		*number = from;
	return 0;
}

FL_TASK_STATIC(run_loops, fl_barrier *, int)
{
	FL_CHECK(fl_barrier_wait(*arg) >= 0); /* so two workers run the two tasks */
	*result = 0;
	for (int i = 0; i < LOOPS; i++) {
		size_t first = 2;
		own_loop = &first;
		FL_OK(fl_parallel_for(fl_executor_current(), 0, 2, note_first, &first,
		                      &(fl_parallel_config){.grain = 1}));
		own_loop = NULL;
		FL_CHECK(first < 2);
		*result += (int)first;
	}
	return 0;
}

FL_TEST(parallel_for_keeps_its_halves)
{
	fl_barrier both = FL_BARRIER_INIT(2), *arg = &both;
	fl_future *f[2];
	FL_SCOPED(fl_executor) *e = NULL;
	FL_OK(fl_thread_executor_create(&e, &(fl_executor_config){.workers = 2}));
	FL_EACH (i, f)
		FL_OK(run_loops_submit(e, arg, &f[i]));
	const int first = fl_test_result(f[0]), second = fl_test_result(f[1]);
	assert_true((first == 0 && second == LOOPS) || (first == LOOPS && second == 0));
	fl_test_futures_free(f, 2);
}
