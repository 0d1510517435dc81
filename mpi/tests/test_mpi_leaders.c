/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tests which thread makes the calls of MPI: in rank 0, callers that wait; in worker ranks, the
 * runner, which runs short tasks itself, and the main thread.
 */
#include "fl_mpi_or_skip.h"
#ifdef FL_TEST_MPI
#include "fl_mpi.h"
#include "fl_mpi_gate.h"

#include "../internals.h"
#include <mpi.h>
#include <pthread.h>
#include <signal.h>

static fl_executor *make(unsigned workers_a_rank, unsigned prefetch)
{
	const fl_executor_config config = {.workers = workers_a_rank * (fl_mpi_ranks() - 1)};
	return make_over_mpi(&config, &(fl_mpi_config){.prefetch = prefetch});
}

FL_TASK_STATIC(open_gate, struct gate *, void)
{
	return fl_shm_event_set(&(*arg)->open);
}

FL_TASK_STATIC(add_one, int, int)
{
	*result = *arg + 1;
	return 0;
}

/* Runs only short tasks, so that the next tasks run inline in the ranks. */
static void run_short_tasks(fl_executor *e)
{
	for (int i = 0; i < 64; i++) {
		int result = 0;
		FL_OK(fl_test_run_task(e, &add_one, &(int){i}, &result));
		assert_int_equal(result, i + 1);
	}
}

/*
 * Open MPI's function sets whether a test that finds nothing yields, and returns the previous
 * setting.
 */
extern bool opal_progress_set_yield_when_idle(bool yields) __attribute__((weak));

FL_TASK_STATIC(yields, int, bool)
{
	(void)arg;
	*result = opal_progress_set_yield_when_idle && opal_progress_set_yield_when_idle(false);
	return 0;
}

/* If there are more ranks than CPUs, MPI would yield under the engine lock. */
FL_TEST(mpi_does_not_yield_under_the_lock)
{
	FL_SCOPED(fl_executor) *e = make(1, 0);
	bool result = true;
	FL_OK(fl_test_run_task(e, &yields, &(int){0}, &result));
	assert_false(result);
	assert_false(opal_progress_set_yield_when_idle && opal_progress_set_yield_when_idle(false));
}

/* Makes the job behave like one with more ranks than CPUs. Called before the launch. */
__attribute__((constructor(101))) static void let_ranks_yield(void)
{
	FL_OK(setenv("OMPI_MCA_mpi_yield_when_idle", "1", 1));
}

/* The end of MPI waits for other ranks, and yields. */
int MPI_Finalize(void)
{
	FL_CHECK(!opal_progress_set_yield_when_idle || opal_progress_set_yield_when_idle(true));
	return PMPI_Finalize();
}

/*
 * While `floods` is set, each round of rank 0 finds one message, whose answer is a send that MPI
 * ends later. `untested` counts such sends since the last test of them.
 */

enum { FLOOD = 4096, SMALL_SENDS = 256 /* MPI ends such sends at once */, UNTESTED_MOST = 64 };
static bool floods;
static unsigned untested, most_untested;

struct flood {
	uint32_t *begun;
	char more[SMALL_SENDS];
};

FL_TASK_STATIC(flood, struct flood, void)
{
	__atomic_fetch_add(arg->begun, 1, __ATOMIC_SEQ_CST);
	return 0;
}

static struct flood drop;
static bool found;

int MPI_Isend(const void *from, int n, MPI_Datatype type, int to, int tag, MPI_Comm comm, MPI_Request *request)
{
	found = false;
	if (n > SMALL_SENDS && ++untested > most_untested)
		most_untested = untested;
	return PMPI_Isend(from, n, type, to, tag, comm, request);
}

int MPI_Test(MPI_Request *request, int *flag, MPI_Status *status)
{
	int rc = MPI_SUCCESS;
	*flag = 0;
	found = floods && !found;
	if (floods && !found)
		return rc;
	do
		rc = PMPI_Test(request, flag, status);
	while (found && !*flag && __atomic_load_n(drop.begun, __ATOMIC_SEQ_CST) < FLOOD / 2);
	return rc;
}

int MPI_Testany(int n, MPI_Request requests[], int *at, int *flag, MPI_Status *status)
{
	untested = 0;
	return PMPI_Testany(n, requests, at, flag, status);
}

FL_TEST(mpi_transfers_are_tested_beside_a_flood)
{
	FL_SCOPED(fl_executor) *e = make(1, 4);
	static fl_future *f[FLOOD];
	drop.begun = FL_IN_ARENA(uint32_t, 1);
	struct gate *gates = hold_all(e, fl_mpi_ranks() - 1);
	FL_EACH (i, f)
		FL_OK(flood_submit(e, drop, &f[i]));
	floods = true;
	let_go(gates, fl_mpi_ranks() - 1);
	FL_EACH (i, f)
		FL_OK(fl_future_wait(f[i]));
	floods = false;
	assert_in_range(most_untested, 1, UNTESTED_MOST);
	fl_test_futures_free(f, FLOOD);
}

/* Callers of rank 0 lead. */

FL_TEST(mpi_wait_ends_at_its_deadline)
{
	FL_SCOPED(fl_executor) *e = make(1, 0);
	struct gate *gate = new_gate();
	FL_SCOPED(fl_future) *f = NULL;
	int cancelled = -1;
	run_short_tasks(e);
	FL_OK(hold_submit(e, gate, &f));
	FL_RC(fl_future_wait_until(f, FL_NO_WAIT, NULL), -ETIMEDOUT);
	FL_RC(fl_future_wait_until(f, fl_after(FL_US(50)), NULL), -ETIMEDOUT);
	FL_RC(fl_future_wait_until(f, fl_after(FL_MS(5)), NULL), -ETIMEDOUT);
	FL_OK(fl_shm_event_wait(&gate->entered));
	FL_OK(fl_shm_event_set(&gate->open));
	FL_OK(hold_get(f, &cancelled));
	assert_int_equal(cancelled, 0);
}

struct waiter {
	fl_thread *thread;
	fl_future *f;
	fl_cancel_token cancel;
};

static int wait_for_future(void *arg)
{
	struct waiter *w = arg;
	return fl_future_wait_until(w->f, FL_FOREVER, &w->cancel);
}

FL_TEST(mpi_wait_is_cancelled)
{
	enum { WAITERS = 4 };
	FL_SCOPED(fl_executor) *e = make(1, 0);
	struct gate *gate = new_gate();
	FL_SCOPED(fl_future) *f = NULL;
	struct waiter waiters[WAITERS];
	FL_OK(hold_submit(e, gate, &f));
	FL_EACH (i, waiters) {
		waiters[i].f = f;
		fl_cancel_token_init(&waiters[i].cancel, FL_SHIELDED, FL_FOREVER);
		if (i == 0)
			fl_cancel_token_request(&waiters[i].cancel); /* before it waits */
		fl_test_go(&waiters[i].thread, wait_for_future, &waiters[i]);
	}
	FL_OK(fl_shm_event_wait(&gate->entered));
	for (int i = 0; i + 1 < WAITERS; i++)
		fl_cancel_token_request(&waiters[i].cancel);
	FL_EACH (i, waiters) {
		int rc = 0;
		if (i + 1 == WAITERS)
			FL_OK(fl_shm_event_set(&gate->open));
		FL_OK(fl_thread_join(waiters[i].thread, &rc));
		FL_RC(rc, i + 1 == WAITERS ? 0 : -ECANCELED);
		fl_cancel_token_destroy(&waiters[i].cancel);
	}
}

struct caller {
	fl_thread *thread;
	fl_executor *e;
	int first, n;
};

static int call(void *arg)
{
	const struct caller *c = arg;
	int wrong = 0;
	for (int i = c->first; i < c->first + c->n; i++) {
		int result = 0;
		FL_OK(fl_test_run_task(c->e, &add_one, &(int){i}, &result));
		wrong += result != i + 1;
	}
	return wrong;
}

/* Each caller leads at times, and ends the tasks of the others. */
FL_TEST(mpi_callers_wait_at_once)
{
	enum { CALLERS = 4 };
	const int n = (int)fl_test_scaled(300);
	FL_SCOPED(fl_executor) *one = make(1, 0), *other = make(2, 4);
	struct caller callers[CALLERS];
	for (int i = 0; i < CALLERS; i++) {
		callers[i] = (struct caller){.e = i % 2 == 0 ? one : other, .first = i * n, .n = n};
		fl_test_go(&callers[i].thread, call, &callers[i]);
	}
	FL_EACH (i, callers) {
		int wrong = -1;
		FL_OK(fl_thread_join(callers[i].thread, &wrong));
		assert_int_equal(wrong, 0);
	}
}

static void count(fl_future *f, void *arg)
{
	(void)fl__add_release((uint32_t *)arg, 1);
}

/* No thread waits for a future, so the MPI thread takes over. */
FL_TEST(mpi_tasks_end_without_a_caller)
{
	enum { TASKS = 200 };
	FL_SCOPED(fl_executor) *e = make(1, 2);
	static uint32_t ended;
	const fl_submit_config config = {.on_end = count, .on_end_arg = &ended};
	fl_future *f[TASKS];
	/* This thread makes the calls of MPI here, so the MPI thread naps. */
	run_short_tasks(e);
	FL_EACH (i, f)
		FL_OK(add_one_submit_with(e, i, &f[i], &config));
	FL_OK(fl_future_wait(f[0])); /* it returns while the others are under way */
	FL_WAIT_FOR(fl__load_acquire(&ended) == TASKS);
	FL_EACH (i, f) {
		int result = 0;
		FL_OK(add_one_get(f[i], &result));
		assert_int_equal(result, i + 1);
		fl_future_free(f[i]);
	}
}

/* Worker ranks lead. */

/* Each rank has a task on its runner and one on another worker, at the same time. */
FL_TEST(mpi_long_inline_task_does_not_hold_up_another)
{
	enum { A_RANK = 3 };
	FL_SCOPED(fl_executor) *e = make(A_RANK, 0);
	const unsigned n = A_RANK * (fl_mpi_ranks() - 1);
	run_short_tasks(e);
	let_go(hold_all(e, n), n);
	run_short_tasks(e);
}

FL_TASK_STATIC(spin_until_asked, struct gate *, int)
{
	FL_OK(fl_shm_event_set(&(*arg)->entered));
	while (!fl_task_is_cancelled(ctx))
		;
	*result = 1;
	return 0;
}

FL_TASK_STATIC(sleep_until_asked, struct gate *, int)
{
	FL_OK(fl_shm_event_set(&(*arg)->entered));
	*result = fl_sleep(FL_S(600));
	return 0;
}

FL_TEST(mpi_stop_reaches_an_inline_task)
{
	FL_SCOPED(fl_executor) *e = make(1, 0);
	struct gate *gates = FL_IN_ARENA(struct gate, 2);
	FL_SCOPED(fl_future) *spins = NULL, *sleeps = NULL;
	int result = 0;
	run_short_tasks(e);
	FL_OK(spin_until_asked_submit(e, &gates[0], &spins));
	FL_OK(fl_shm_event_wait(&gates[0].entered));
	FL_RC(fl_future_cancel(spins), -EINPROGRESS);
	FL_OK(spin_until_asked_get(spins, &result));
	assert_int_equal(result, 1);
	run_short_tasks(e);
	FL_OK(sleep_until_asked_submit(e, &gates[1], &sleeps));
	FL_OK(fl_shm_event_wait(&gates[1].entered));
	FL_RC(fl_future_cancel(sleeps), -EINPROGRESS);
	FL_OK(sleep_until_asked_get(sleeps, &result));
	assert_int_equal(result, -ECANCELED);
}

/* A stop that crosses the end of its task finds another task inline, or none. */
FL_TEST(mpi_stop_crosses_the_end_of_an_inline_task)
{
	FL_SCOPED(fl_executor) *e = make(1, 1);
	const int rounds = (int)fl_test_scaled(300);
	for (int i = 0; i < rounds; i++) {
		FL_SCOPED(fl_future) *f = NULL, *next = NULL;
		int result = 0;
		FL_OK(add_one_submit(e, i, &f));
		FL_OK(add_one_submit(e, i, &next));
		FL_IGNORE(fl_future_cancel(f));
		FL_OK(fl_future_wait(f));
		FL_OK(add_one_get(next, &result));
		assert_int_equal(result, i + 1);
	}
}

FL_TEST(mpi_deadline_reaches_an_inline_task)
{
	FL_SCOPED(fl_executor) *e = make(1, 0);
	struct gate *gate = new_gate();
	FL_SCOPED(fl_future) *f = NULL;
	int result = 0;
	run_short_tasks(e);
	FL_OK(sleep_until_asked_submit_with(e, gate, &f, &(fl_submit_config){.deadline = fl_after(FL_MS(300))}));
	FL_OK(fl_future_wait(f));
	if (fl_future_state(f) == FL_DONE) { /* otherwise the deadline has passed on the way */
		FL_OK(sleep_until_asked_get(f, &result));
		assert_true(result == -ECANCELED || result == -ETIMEDOUT);
	}
}

/* Changes whether the runner blocks SIGUSR1. The result is whether it did before. */
FL_TASK_STATIC(mask_signal, int, int)
{
	sigset_t signals, before;
	(void)sigemptyset(&signals);
	(void)sigaddset(&signals, SIGUSR1);
	const int rc = pthread_sigmask(*arg, &signals, &before);
	*result = sigismember(&before, SIGUSR1);
	return -rc;
}

FL_TASK_STATIC(prepare_nothing, void, void)
{
	return 0;
}

static void mask_in_each_rank(fl_executor *e, int how, int expected)
{
	for (unsigned i = 1; i < fl_mpi_ranks(); i++) {
		int before = -1;
		FL_OK(fl_test_run_task(e, &mask_signal, &(int){how}, &before));
		assert_int_equal(before, expected);
	}
}

/* Tasks of an executor with an initializer run on separate threads, not on the runner. */
FL_TEST(mpi_inline_task_changes_no_signals_of_new_executors)
{
	FL_SCOPED(fl_executor) *e = make(1, 0);
	const fl_executor_config config = {.workers = fl_mpi_ranks() - 1, .initialize = &prepare_nothing};
	run_short_tasks(e);
	mask_in_each_rank(e, SIG_BLOCK, 0);
	fl_executor *other = make_over_mpi(&config, NULL);
	mask_in_each_rank(other, SIG_UNBLOCK, 0);
	fl_executor_free(other);
	mask_in_each_rank(e, SIG_UNBLOCK, 1);
}

/* The inline task waits for what another task of its rank does. */
FL_TEST(mpi_inline_task_waits_for_another_task)
{
	FL_SCOPED(fl_executor) *e = make(2, 0);
	const int rounds = (int)fl_test_scaled(20);
	struct gate *gates = FL_IN_ARENA(struct gate, (size_t)rounds);
	for (int i = 0; i < rounds; i++) {
		FL_SCOPED(fl_future) *waits = NULL, *opens = NULL;
		int cancelled = -1;
		FL_OK(hold_submit(e, &gates[i], &waits));
		FL_OK(open_gate_submit(e, &gates[i], &opens));
		FL_OK(hold_get(waits, &cancelled));
		FL_OK(fl_future_wait(opens));
	}
}

FL_TASK_STATIC(hold_in_section, struct gate *, void)
{
	FL_OK(fl_shm_event_set(&(*arg)->entered));
	fl_blocking_begin();
	FL_OK(fl_shm_event_wait_until(&(*arg)->open, FL_FOREVER, FL_SHIELDED));
	fl_blocking_end();
	return 0;
}

/* While the inline task is in a blocking section, tasks that were sent ahead to its rank run. */
FL_TEST(mpi_inline_task_in_a_blocking_section_is_replaced)
{
	enum { MOST = 64 };
	FL_SCOPED(fl_executor) *e = make(1, 1);
	const unsigned n = fl_mpi_ranks() - 1;
	struct gate *gates = FL_IN_ARENA(struct gate, n);
	fl_future *blocked[MOST], *opens[MOST];
	assert_true(n <= MOST);
	run_short_tasks(e);
	for (unsigned i = 0; i < n; i++)
		FL_OK(hold_in_section_submit(e, &gates[i], &blocked[i]));
	for (unsigned i = 0; i < n; i++)
		FL_OK(fl_shm_event_wait(&gates[i].entered));
	for (unsigned i = 0; i < n; i++)
		FL_OK(open_gate_submit(e, &gates[i], &opens[i]));
	for (unsigned i = 0; i < n; i++) {
		FL_OK(fl_future_wait(blocked[i]));
		FL_OK(fl_future_wait(opens[i]));
		fl_future_free(blocked[i]);
		fl_future_free(opens[i]);
	}
	run_short_tasks(e);
}

struct census {
	uint32_t running, most;
};

struct stay {
	struct census *census; /* the rank's, found by its number modulo the length of the array */
	int64_t ns;
};

enum { CENSUSES = 16 };

FL_TASK_STATIC(stay, struct stay, void)
{
	struct census *c = &arg->census[(unsigned)getpid() % CENSUSES];
	const uint32_t running = fl__add_acquire(&c->running, 1) + 1;
	uint32_t most = fl__load_relaxed(&c->most);
	while (running > most && !fl__cas_weak_relaxed(&c->most, &most, running))
		;
	for (const fl_time until = fl_after(arg->ns); !fl_time_is_past(until);)
		;
	(void)fl__sub_acq_rel(&c->running, 1);
	return 0;
}

/*
 * Short tasks and long ones alternate: they run on the runner or on workers, and move between both.
 */
FL_TEST(mpi_rank_runs_as_many_tasks_as_it_has_workers)
{
	enum { A_RANK = 2, TASKS = 400 };
	FL_SCOPED(fl_executor) *e = make(A_RANK, 6);
	struct census *censuses = FL_IN_ARENA(struct census, CENSUSES);
	const unsigned ranks = fl_mpi_ranks() - 1;
	fl_future *f[TASKS];
	FL_EACH (i, f) {
		const struct stay how = {censuses, i % 16 < 4 ? FL_US(100) : i % 32 == 9 ? FL_MS(3) : 0};
		FL_OK(stay_submit(e, how, &f[i]));
	}
	FL_EACH (i, f) {
		FL_OK(fl_future_wait(f[i]));
		FL_RC(fl_future_error(f[i]), 0);
		fl_future_free(f[i]);
	}
	for (int i = 0; i < CENSUSES; i++) /* two ranks may share one */
		assert_true(censuses[i].most <= A_RANK * ranks);
	if (ranks == 1)
		for (int i = 0; i < CENSUSES; i++)
			assert_true(censuses[i].most <= A_RANK);
}

#endif
