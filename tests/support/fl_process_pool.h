/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_TEST_PROCESS_POOL_H
#define FL_TEST_PROCESS_POOL_H

/*
 * For the tests of the process executor. Its tasks run in other processes, so data that they share
 * with a case are in the arena (fl_arena.h). Only one source file of a program may include this
 * header, because everything here is static.
 *
 *     FL_SCOPED(fl_executor) *e = process_pool_with(2);
 *     struct process_pool_gate *gate = process_pool_gate();
 *     fl_future *held = process_pool_hold(e, gate);           // a worker runs it
 *     ...
 *     process_pool_let_go(gate, held);
 */
#include "fl_arena.h"
#include "fl_fds.h"
#include "fl_process.h"
#include "process/pool/rings.h"
#include <inttypes.h>

FL_ALL_NEED(FL_TEST_PROCESS_POOLS)

#define PROCESS_POOL_FN __attribute__((unused)) static

PROCESS_POOL_FN fl_executor *process_pool_with(unsigned workers)
{
	return FL_TEST_EXECUTOR(process, .workers = workers);
}

/* Counters in the arena. */
PROCESS_POOL_FN int *process_pool_counters(size_t n)
{
	return FL_IN_ARENA(int, n);
}

PROCESS_POOL_FN void process_pool_count(int *counter)
{
	fl__add_release(counter, 1); /* pairs with the acquire in process_pool_counted() */
}

PROCESS_POOL_FN int process_pool_counted(const int *counter)
{
	return fl__load_acquire(counter); /* pairs with the release in process_pool_count() */
}

/* Tasks that most files need. */

FL_TASK_STATIC(process_pool_square, int, int)
{
	*result = *arg * *arg;
	return 0;
}

FL_TASK_STATIC(process_pool_getpid, void, int)
{
	*result = getpid();
	return 0;
}

/* Counts its starts, and notes the worker. */
FL_TASK_STATIC(process_pool_counts, int *, int)
{
	process_pool_count(*arg);
	*result = getpid();
	return 0;
}

/* Submits a task for each of the futures, which counts its starts at the same place of `runs`. */
#define PROCESS_POOL_COUNT_ALL(e, runs, futures)                                                                       \
	FL_EACH (i_, futures)                                                                                          \
	FL_OK(process_pool_counts_submit((e), &(runs)[i_], &(futures)[i_]))

/* Runs a task, which must succeed; `arg` and `result` are NULL for a task that has none. */
PROCESS_POOL_FN void process_pool_call(fl_executor *e, const fl_task_type *type, const void *arg, void *result)
{
	FL_SCOPED(fl_future) *f = NULL;
	FL_OK(fl_executor_submit(e, type, arg, &f));
	FL_OK(fl_future_get(f, result, type->result_size));
}

/* Returns the process id of the worker that runs a task now. */
PROCESS_POOL_FN int process_pool_pid(fl_executor *e)
{
	int pid = 0;
	process_pool_call(e, &process_pool_getpid, NULL, &pid);
	return pid;
}

/* Checks that the executor still serves tasks. */
PROCESS_POOL_FN void process_pool_works(fl_executor *e)
{
	int nine = 0;
	process_pool_call(e, &process_pool_square, &(int){3}, &nine);
	assert_int_equal(nine, 9);
}

PROCESS_POOL_FN unsigned process_pool_size(fl_executor *e)
{
	return (unsigned)fl_process_executor_pids(e, NULL, 0);
}

/* A task that holds its worker until it is released. */
struct process_pool_gate {
	fl_shm_event entered, open;
	int pid;  /* of the worker */
	int runs; /* how often it was started */
};

PROCESS_POOL_FN struct process_pool_gate *process_pool_gate(void)
{
	return FL_IN_ARENA(struct process_pool_gate, 1);
}

PROCESS_POOL_FN void process_pool_enter(struct process_pool_gate *gate)
{
	fl__store_relaxed(&gate->pid, getpid()); /* relaxed: the event publishes it */
	process_pool_count(&gate->runs);
	FL_OK(fl_shm_event_set(&gate->entered));
}

FL_TASK_STATIC(process_pool_held, struct process_pool_gate *, int)
{
	process_pool_enter(*arg);
	*result = getpid();
	return fl_shm_event_wait_until(&(*arg)->open, FL_FOREVER, FL_SHIELDED);
}

/* Waits until a worker has come to the gate, and returns its process id. */
PROCESS_POOL_FN int process_pool_await(struct process_pool_gate *gate)
{
	FL_OK(fl_shm_event_wait_until(&gate->entered, FL_FOREVER, FL_SHIELDED));
	return fl__load_relaxed(&gate->pid); /* relaxed: ordered by the event */
}

PROCESS_POOL_FN fl_future *process_pool_hold(fl_executor *e, struct process_pool_gate *gate)
{
	fl_future *f = FL_SUBMITTED(process_pool_held, e, gate);
	(void)process_pool_await(gate);
	return f;
}

PROCESS_POOL_FN void process_pool_open(struct process_pool_gate *gate)
{
	FL_OK(fl_shm_event_set(&gate->open));
}

PROCESS_POOL_FN void process_pool_let_go(struct process_pool_gate *gate, fl_future *held)
{
	process_pool_open(gate);
	FL_OK(fl_future_wait(held));
	FL_OK(fl_future_error(held));
	fl_future_free(held);
}

/* How tasks ended. */

PROCESS_POOL_FN bool process_pool_ended(fl_future *f)
{
	return fl_future_try_wait(f) == 0;
}

/*
 * Waits for the task, which must fail with that error and a message with that text (may be NULL);
 * frees the future.
 */
PROCESS_POOL_FN void process_pool_fails(fl_future *f, int error, const char *text)
{
	FL_OK(fl_future_wait(f));
	if (fl_future_error(f) != error || (text && !strstr(fl_future_message(f), text)))
		print_error("expected '%s', but: %s\n", text ? text : "", fl_future_message(f));
	FL_RC(fl_future_error(f), error);
	FL_STATE_IS(f, FL_DONE);
	assert_null(fl_future_result(f));
	if (text)
		fl_test_contains(fl_future_message(f), text);
	fl_future_free(f);
}

/* Checks that the task has been cancelled, or is just being cancelled. */
PROCESS_POOL_FN void process_pool_is_cancelled(fl_future *f)
{
	FL_OK(fl_future_wait(f));
	FL_STATE_IS(f, FL_CANCELLED);
	FL_RC(fl_future_error(f), -ECANCELED);
	fl_future_free(f);
}

/* Processes and what they hold. */

PROCESS_POOL_FN bool process_pool_is_gone(int pid)
{
	char state = process_state(pid);
	return state == 0 || state == 'X';
}

/* What executors must leave as it was. */
struct process_pool_census {
	size_t fds, children;
	unsigned rings;
};

PROCESS_POOL_FN struct process_pool_census process_pool_census(void)
{
	return (struct process_pool_census){fl_test_fds(), process_children_of(fl__fork_server_pid()),
	                                    fl_test_mappings()};
}

/* Makes sure that the lasting resources, such as the fork server, exist. */
PROCESS_POOL_FN struct process_pool_census process_pool_begin(void)
{
	fl_executor *e = process_pool_with(1);
	process_pool_works(e);
	fl_executor_free(e);
	FL_WAIT_FOR(process_children_of(fl__fork_server_pid()) == 0);
	return process_pool_census();
}

/*
 * Fewer descriptors are not a leak: an earlier descriptor may have belonged to a dead fork server,
 * and the manager had not closed it yet.
 */
PROCESS_POOL_FN bool process_pool_is_as_before(const struct process_pool_census *before)
{
	const struct process_pool_census now = process_pool_census();
	return now.fds <= before->fds && now.children == before->children && now.rings == before->rings;
}

/* Other threads reap zombies and close descriptors, when they come to it. */
PROCESS_POOL_FN void process_pool_same(const struct process_pool_census *before)
{
	const int64_t end = fl_test_wait_begin();
	while (!process_pool_is_as_before(before) && fl_now().ns / FL_S(1) < end)
		sched_yield();
	const struct process_pool_census now = process_pool_census();
	if (!process_pool_is_as_before(before))
		print_error("descriptors %zu -> %zu, children %zu -> %zu, mappings %u -> %u\n", before->fds, now.fds,
		            before->children, now.children, before->rings, now.rings);
	assert_true(process_pool_is_as_before(before));
}

/* Checks that nothing is left of the executors that the rest of the block makes. */
#define PROCESS_POOL_LEAVES_NOTHING()                                                                                  \
	__attribute__((cleanup(process_pool_same), unused)) const struct process_pool_census process_pool_before =     \
	    process_pool_begin()

/* Defines a case with an executor `e` of that many workers, which must leave nothing behind. */
#define PROCESS_POOL_TEST(name, workers)                                                                               \
	static void name##_in(fl_executor *e);                                                                         \
	FL_TEST(name)                                                                                                  \
	{                                                                                                              \
		PROCESS_POOL_LEAVES_NOTHING();                                                                         \
		FL_SCOPED(fl_executor) *e = process_pool_with(workers);                                                \
		name##_in(e);                                                                                          \
	}                                                                                                              \
	static void name##_in(fl_executor *e)

/*
 * For tasks that play a hostile worker: the address of the memory that their process shares with
 * the executor.
 */

/* The mapping is found by its size and its rights as /proc/self/maps shows them. */
static inline void *find_memory(const char *rights, size_t size)
{
	char line[512], is[8];
	uintptr_t from, to;
	void *found = NULL;
	FILE *maps = fopen("/proc/self/maps", "re");
	FL_CHECK(maps != NULL);
	while (!found && fgets(line, sizeof line, maps))
		if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %7s", &from, &to, is) == 3 && to - from == size &&
		    strcmp(is, rights) == 0 && strstr(line, "memfd:fairlead"))
			found = (void *)from; /* cast: an address that was read */
	(void)fclose(maps);
	FL_CHECK(found != NULL);
	return found;
}

/*
 * Returns the number of the submission that this worker runs, or 0 if there is none. `reply`, which
 * may be NULL, gets its completion.
 */
static inline uint32_t order_under_way(struct fl__completion **reply)
{
	const struct fl__submission_ring *orders = find_memory("r--s", sizeof *orders);
	struct fl__completion_ring *replies = find_memory("rw-s", sizeof *replies);
	for (unsigned i = 0; i < FL__RINGS_DEPTH; i++) {
		const uint32_t seq = orders->entry[i].seq;
		if (replies->claim[i] != (seq << 2 | 1) || replies->entry[i].done == seq)
			continue;
		if (reply)
			*reply = &replies->entry[i];
		return seq;
	}
	return 0;
}

#endif
