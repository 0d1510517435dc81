/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_CONFORMANCE_H
#define FL_CONFORMANCE_H

/*
 * The contract of every executor. A row is written once, against the interface, and is a case for each kind:
 *
 *     CONFORMANCE(result_comes_back)                  // executor_result_comes_back_sequential, ..._threads
 *     {
 *             FL_SCOPED(fl_executor) *e = make(kind, 2);
 *             ...
 *     }
 *
 * A new kind is a new line in CONFORMANCE_KINDS. What a kind cannot do by its capability bits is tested too: such rows say
 * what happens with the bit and without it. The suite is in several test_executor_*.c so that each stays short.
 */
#include "fl_child.h"
#include "fl_test.h"

#include "base/atomic.h"

struct conformance_kind {
	const char *name; /* as fl_executor_kind() has it */
	int (*create)(fl_executor **e, const fl_executor_config *config);
	uint32_t capabilities;
};

static const struct conformance_kind conformance_sequential = {
    "sequential",
    fl_sequential_executor_create,
    FL_CAP_BY_REFERENCE | FL_CAP_NESTED,
};

static const struct conformance_kind conformance_threads = {
    "threads",
    fl_thread_executor_create,
    FL_CAP_BY_REFERENCE | FL_CAP_CONCURRENT | FL_CAP_NESTED,
};

#define CONFORMANCE_KINDS(row)                                                                                         \
	CONFORMANCE_CASE(row, sequential)                                                                              \
	CONFORMANCE_CASE(row, threads)

#define CONFORMANCE_CASE(row, kind)                                                                                    \
	FL_TEST(executor_##row##_##kind)                                                                               \
	{                                                                                                              \
		row(&conformance_##kind);                                                                              \
	}

#define CONFORMANCE(row)                                                                                               \
	static void row(const struct conformance_kind *kind);                                                          \
	CONFORMANCE_KINDS(row)                                                                                         \
	static void row(__attribute__((unused)) const struct conformance_kind *kind)

#define CONFORMANCE_FN __attribute__((unused)) static

/* An executor with that many workers. */
CONFORMANCE_FN fl_executor *make(const struct conformance_kind *kind, unsigned workers)
{
	fl_executor *e = NULL;
	FL_OK(kind->create(&e, &(fl_executor_config){.workers = workers}));
	return e;
}

/* Whether submit returns before the task has run: only then is there anything pending or running to be tested. */
CONFORMANCE_FN bool is_concurrent(const fl_executor *e)
{
	return fl_executor_capabilities(e) & FL_CAP_CONCURRENT;
}

/* A counter that any thread may read. */
CONFORMANCE_FN void count(int *counter)
{
	fl__add_release(counter, 1); /* pairs with the acquire in counted() */
}

CONFORMANCE_FN int counted(const int *counter)
{
	return fl__load_acquire(counter); /* pairs with the release in count() */
}

/* A task that holds its worker: it says that it runs, and goes on when it is let go. */
struct gate {
	fl_event entered, open;
};

/* clang-format off */
#define GATE_INIT { FL_EVENT_INIT, FL_EVENT_INIT }
/* clang-format on */

FL_TASK_STATIC(hold, struct gate *, void)
{
	fl_event_set(&(*arg)->entered);
	return fl_event_wait_until(&(*arg)->open, FL_FOREVER, FL_SHIELDED);
}

/* Holds the one worker of `e`, so that what is submitted next stays pending until open_gate(). */
CONFORMANCE_FN fl_future *close_gate(fl_executor *e, struct gate *gate)
{
	fl_future *f = NULL;
	FL_OK(hold_submit(e, gate, &f));
	FL_OK(fl_event_wait_until(&gate->entered, FL_FOREVER, FL_SHIELDED));
	return f;
}

CONFORMANCE_FN void open_gate(struct gate *gate, fl_future *f)
{
	fl_event_set(&gate->open);
	FL_OK(fl_future_wait(f));
	fl_future_free(f);
}

FL_TASK_STATIC(square, int, int)
{
	*result = *arg * *arg;
	return 0;
}

/* Fails with its argument. */
FL_TASK_STATIC(fail_with, int, int)
{
	return fl_task_fail(ctx, *arg, "error %d", *arg);
}

/* Counts that it ran, and that its argument was dropped. */
struct tally {
	int runs, drops, result_drops, error;
};

CONFORMANCE_FN void tally_drop(void *arg)
{
	count(&(*(struct tally **)arg)->drops);
}

CONFORMANCE_FN void tally_drop_result(void *result)
{
	count(&(*(struct tally **)result)->result_drops);
}

FL_TASK_STATIC(tallied, struct tally *, struct tally *, .drop_arg = tally_drop, .drop_result = tally_drop_result)
{
	count(&(*arg)->runs);
	*result = *arg;
	return (*arg)->error;
}

#endif
