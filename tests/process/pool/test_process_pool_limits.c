/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tasks that run for too long, or do not stop when they are asked to; and a changing number of
 * workers.
 */
#include "fl_debugging.h"

#include "fl_process_pool.h"
#include "fl_queued.h"

#include "process/pool/process_pool.h"

/*
 * The clock of all these processes can be moved forward. So the case decides when a task runs for
 * too long, independent of a slow machine. A manager that sleeps until a deadline checks the clock
 * now and then; one that sleeps for ever does not.
 */
static int64_t *ahead;  /* in the arena: at its very beginning */
static int64_t stopped; /* not 0: in this process the clock stands there, plus `ahead` */
static unsigned looks;  /* sleeps until some time */
static int64_t (*real_now)(void);
static int (*real_watch_wait)(int epoll, struct epoll_event *events, int n, int ms);
static int (*real_futex_wait)(const uint32_t *word, uint32_t expected, int64_t deadline);
static int (*real_shared_wait)(const uint32_t *word, uint32_t expected, int64_t deadline);

static int64_t now_ahead(void)
{
	const int64_t at = fl__load_relaxed(&stopped);           /* relaxed: a number */
	return (at ? at : real_now()) + fl__load_relaxed(ahead); /* relaxed: a number */
}

/* The system's deadline for one of ours, so that a short sleep stays short. */
static int64_t of_the_system(int64_t deadline)
{
	/* Relaxed: a number. */
	return deadline == FL__NEVER ? deadline : deadline - fl__load_relaxed(ahead);
}

FL_TEST_FUTEX_WAIT(futex_wait_ahead)
{
	return real_futex_wait(word, expected, of_the_system(deadline));
}

FL_TEST_FUTEX_WAIT(shared_wait_ahead)
{
	return real_shared_wait(word, expected, of_the_system(deadline));
}

static int watch_wait_in_steps(int epoll, struct epoll_event *events, int n, int ms)
{
	enum { STEP = 5 };
	if (ms <= STEP)
		return real_watch_wait(epoll, events, n, ms);
	fl__add_relaxed(&looks, 1); /* relaxed: a number */
	return real_watch_wait(epoll, events, n, STEP);
}

__attribute__((constructor)) static void clock_begin(void)
{
	ahead = (int64_t *)(void *)fl_test_arena; /* cast: its first object */
	/* Otherwise another process has made it. */
	FL_CHECK(fl_test_arena_used > 0 || FL_IN_ARENA(int64_t, 1) == ahead);
	real_now = fl__sys.now;
	real_watch_wait = fl__fd_sys.epoll_wait;
	real_futex_wait = fl__sys.futex_wait;
	real_shared_wait = fl__sys.shared_wait;
	fl__process_sys.answer_timeout = FL_S(1000000); /* a start has time, also while the clock is put forward */
	fl__sys.now = now_ahead;
	fl__sys.futex_wait = futex_wait_ahead;
	fl__sys.shared_wait = shared_wait_ahead;
	fl__fd_sys.epoll_wait = watch_wait_in_steps;
}

static void put_forward(int64_t time)
{
	fl__add_relaxed(ahead, time); /* relaxed: a number */
}

/* After a task with a deadline was posted: the manager has read the current clock. */
static void manager_looks(void)
{
	const unsigned before = fl__load_relaxed(&looks); /* relaxed: a number */
	FL_WAIT_FOR(fl__load_relaxed(&looks) - before >= 2);
}

static void clock_back(const int *unused)
{
	fl__store_relaxed(&stopped, 0); /* relaxed: a number */
	fl__store_relaxed(ahead, 0);    /* relaxed: a number */
}

/* Before the executor: until that is freed the clock does not go back. */
#define CLOCK_AHEAD() __attribute__((cleanup(clock_back), unused)) const int clock_is_ahead = 0

static const int64_t limit = FL_S(100); /* nothing takes so long by itself */

/*
 * The config of a task, a map or a lazy map: it ends then by its own deadline, or by that of the
 * token `timer`.
 */
#define ENDS_AT_THE_LIMIT(config, timer, by_token)                                                                     \
	do {                                                                                                           \
		if (by_token)                                                                                          \
			fl_cancel_token_init(&(timer), FL_SHIELDED, fl_after(limit));                                  \
		else                                                                                                   \
			(config).deadline = fl_after(limit);                                                           \
		(config).cancel = (by_token) ? &(timer) : NULL;                                                        \
	} while (0)

/* Never ends by itself, and does not hear. */
FL_TASK(process_pool_hangs, struct process_pool_gate *, int)
{
	process_pool_enter(*arg);
	fl_test_rest();
}

FL_TASK(process_pool_hangs_again, struct process_pool_gate *, int, .max_attempts = 2)
{
	process_pool_enter(*arg);
	for (;;)
		sched_yield();
	return 0;
}

/* Ends as soon as it is asked. */
FL_TASK(process_pool_listens, struct process_pool_gate *, int)
{
	process_pool_enter(*arg);
	while (!fl_task_is_cancelled(ctx))
		sched_yield();
	return 0;
}

static const char too_long[] = "was killed: its task ran for too long";
static const char past_deadline[] = "was killed: it ran a task past its deadline";

FL_CALL(wait_for)
{
	return fl_future_wait_until(object, deadline, cancel);
}

static fl_executor *with_timeout(unsigned workers)
{
	return FL_TEST_EXECUTOR(process, .workers = workers, .task_timeout = limit);
}

/* A task that hangs on a worker. */
static fl_future *hang(fl_executor *e, struct process_pool_gate *gate, const fl_submit_config *config)
{
	fl_future *f = NULL;
	FL_OK(process_pool_hangs_submit_with(e, gate, &f, config));
	(void)process_pool_await(gate);
	return f;
}

/* Without a waiter, unless the case waits: the manager thread alone handles it, or not. */
static void comes_to_its_end(fl_future *f, bool waited_for)
{
	if (waited_for)
		FL_OK(fl_future_wait(f));
	else
		FL_WAIT_FOR(process_pool_ended(f));
}

/* The same, and its time is up. */
static void comes_to_its_limit(fl_future *f, bool waited_for)
{
	fl_test_caller waiter;
	if (waited_for)
		fl_test_call_queued(&waiter, wait_for, f, &f->state, FL_FOREVER, NULL);
	put_forward(limit);
	if (waited_for)
		FL_OK(fl_test_call_end(&waiter));
	else
		FL_WAIT_FOR(process_pool_ended(f));
}

FL_TEST(process_pool_kills_a_task_that_takes_too_long)
{
	CLOCK_AHEAD();
	FL_SCOPED(fl_executor) *e = with_timeout(2);
	for (int round = 0; round < 6; round++) {
		enum { TASKS = 20 };
		struct process_pool_gate *gate = process_pool_gate();
		int *runs = process_pool_counters(TASKS), pid;
		fl_future *hanging = hang(e, gate, NULL), *f[TASKS];
		PROCESS_POOL_COUNT_ALL(e, runs, f);
		char worker[64];
		FL_TEXT(worker, "worker %d (", process_pool_await(gate));
		/* Before the deadline of those that run just then. */
		FL_EACH (i, f)
			FL_OK(process_pool_counts_get(f[i], &pid));
		assert_false(process_pool_ended(hanging));
		comes_to_its_limit(hanging, round % 2);
		fl_test_contains(fl_future_message(hanging), worker);
		process_pool_fails(hanging, -EOWNERDEAD, too_long);
		FL_EACH (i, f) {
			assert_int_equal(process_pool_counted(&runs[i]), 1);
			fl_future_free(f[i]);
		}
		FL_WAIT_FOR(process_pool_is_gone(gate->pid));
	}
}

static int may_not_kill(fl_process *p)
{
	return -EPERM;
}

static void may_kill(const struct fl__process_pool_sys *real)
{
	fl__process_pool_sys = *real;
}

#define MAY_NOT_KILL()                                                                                                 \
	__attribute__((cleanup(may_kill), unused)) const struct fl__process_pool_sys may_kill_later =                  \
	    fl__process_pool_sys;                                                                                      \
	fl__process_pool_sys.kill = may_not_kill

/*
 * As after a setuid() of this process: the future ends, and the tasks behind run on another worker.
 */
FL_TEST(process_pool_worker_that_may_not_be_killed)
{
	enum { TASKS = 3 };
	CLOCK_AHEAD();
	MAY_NOT_KILL();
	FL_SCOPED(fl_executor) *e = with_timeout(1);
	FL_BOTH (terminate) {
		struct process_pool_gate *gate = process_pool_gate();
		int *runs = process_pool_counters(TASKS), pid;
		fl_future *hanging = hang(e, gate, NULL), *f[TASKS];
		PROCESS_POOL_COUNT_ALL(e, runs, f);
		if (terminate)
			fl_executor_terminate(e);
		else
			put_forward(limit);
		process_pool_fails(hanging, -EPERM,
		                   terminate ? "cannot be killed: its executor was terminated"
		                             : "cannot be killed: its task ran for too long");
		FL_EACH (i, f) {
			FL_RC(process_pool_counts_get(f[i], &pid), terminate ? FL_ETASK : 0);
			FL_RC(fl_future_error(f[i]), terminate ? -ECANCELED : 0);
			assert_int_equal(process_pool_counted(&runs[i]), terminate ? 0 : 1);
			fl_future_free(f[i]);
		}
		FL_WAIT_FOR(process_pool_is_gone(gate->pid)); /* by fl_process_free(), which may kill */
	}
}

FL_TEST(process_pool_dump_says_why_a_worker_was_killed)
{
	int pid;
	CLOCK_AHEAD();
	FL_SCOPED(fl_executor) *e = with_timeout(1);
	fl_future *killed = hang(e, process_pool_gate(), NULL), *behind;
	comes_to_its_limit(killed, true);
	fl_future *hanging = hang(e, process_pool_gate(), NULL);
	FL_OK(process_pool_counts_submit(e, process_pool_counters(1), &behind));
	FL_WAIT_FOR(
	    dump_has("(processes): pending tasks: 1; workers: 1 run or wait, 0 idle, at most 1; started 2, killed 1, "
	             "the last by this process: its task ran for too long\n"));
	comes_to_its_limit(hanging, true);
	FL_OK(process_pool_counts_get(behind, &pid));
	fl_future_free(behind);
	fl_future_free(hanging);
	fl_future_free(killed);
}

static void overrun_as_another_user(void *arg)
{
	struct process_pool_gate *gate = arg;
	fl_executor *e = with_timeout(1);
	fl_future *f = hang(e, gate, NULL);
	FL_OK(setresgid(61234, 61234, 61234));
	FL_OK(setresuid(61234, 61234, 61234));
	put_forward(limit);
	FL_OK(fl_future_wait(f));
	FL_RC(fl_future_error(f), -EPERM);
	fl_test_contains(fl_future_message(f), "cannot be killed: its task ran for too long");
	fl_future_free(f);
	fl_executor_free(e);
}

FL_TEST(process_pool_kill_that_is_not_permitted)
{
	CLOCK_AHEAD();
	process_needs_root();
	FL_IN_CHILD(overrun_as_another_user, process_pool_gate());
}

/* All workers hang at once, and again: the timeout is for each try. */
FL_TEST(process_pool_timeout_is_for_each_try)
{
	enum { WORKERS = 3 };
	CLOCK_AHEAD();
	FL_SCOPED(fl_executor) *e = with_timeout(WORKERS);
	struct process_pool_gate *gates = FL_IN_ARENA(struct process_pool_gate, WORKERS);
	fl_future *f[WORKERS];
	FL_EACH (i, f)
		FL_OK(process_pool_hangs_again_submit(e, &gates[i], &f[i]));
	for (int attempt = 1; attempt <= 2; attempt++) {
		for (int i = 0; i < WORKERS; i++)
			FL_WAIT_FOR(process_pool_counted(&gates[i].runs) == attempt);
		manager_looks();
		FL_EACH (i, f)
			assert_false(process_pool_ended(f[i]));
		put_forward(limit);
	}
	FL_EACH (i, f) {
		process_pool_fails(f[i], -EOWNERDEAD, too_long);
		assert_int_equal(process_pool_counted(&gates[i].runs), 2);
	}
	process_pool_works(e);
}

/* It begins when the task does: what waits behind others is not late. */
FL_TEST(process_pool_timeout_is_not_for_the_queue)
{
	enum { TASKS = 12 };
	CLOCK_AHEAD();
	FL_SCOPED(fl_executor) *e = with_timeout(1);
	struct process_pool_gate *gates = FL_IN_ARENA(struct process_pool_gate, TASKS);
	fl_future *f[TASKS];
	FL_EACH (i, f)
		FL_OK(process_pool_held_submit(e, &gates[i], &f[i]));
	FL_EACH (i, f) {
		(void)process_pool_await(&gates[i]);
		put_forward(limit / 2);
		manager_looks();
		process_pool_let_go(&gates[i], f[i]);
	}
}

/*
 * Its worker is stopped before it claims the task, for longer than the timeout: it is killed
 * because of the next step.
 */
FL_TEST(process_pool_timeout_of_a_task_that_begins_late)
{
	CLOCK_AHEAD();
	FL_SCOPED(fl_executor) *e = with_timeout(1);
	struct process_pool_gate *gate = process_pool_gate();
	const int pid = process_pool_pid(e);
	process_stop(pid);
	fl_future *f = FL_SUBMITTED(process_pool_hangs, e, gate);
	put_forward(3 * limit);
	manager_looks();
	assert_false(process_pool_ended(f));
	FL_OK(kill(pid, SIGCONT));
	assert_int_equal(process_pool_await(gate), pid);
	manager_looks();
	assert_false(process_pool_ended(f));
	put_forward(limit);
	FL_WAIT_FOR(process_pool_ended(f));
	process_pool_fails(f, -EOWNERDEAD, too_long);
}

/* A worker that is stopped in the middle of a task, with another task behind it. */
FL_TEST(process_pool_timeout_of_a_worker_that_is_stopped)
{
	CLOCK_AHEAD();
	FL_SCOPED(fl_executor) *e = with_timeout(1);
	struct process_pool_gate *gate = process_pool_gate();
	fl_future *f = process_pool_hold(e, gate);
	int nine = 0;
	FL_SCOPED(fl_future) *behind = FL_SUBMITTED(process_pool_square, e, 3);
	FL_OK(kill(gate->pid, SIGSTOP));
	put_forward(limit);
	process_pool_fails(f, -EOWNERDEAD, too_long);
	FL_OK(process_pool_square_get(behind, &nine));
	assert_int_equal(nine, 9);
}

/* grace_period. */

static fl_executor *with_grace(int64_t grace)
{
	return FL_TEST_EXECUTOR(process, .workers = 1, .grace_period = grace);
}

FL_TEST(process_pool_kills_what_is_deaf_to_its_deadline)
{
	CLOCK_AHEAD();
	FL_SCOPED(fl_executor) *e = with_grace(FL_MS(5));
	for (int round = 0; round < 6; round++) {
		struct process_pool_gate *gate = process_pool_gate();
		fl_future *f = hang(e, gate, &(fl_submit_config){.deadline = fl_after(limit)});
		comes_to_its_limit(f, round % 2);
		process_pool_fails(f, -ETIMEDOUT, past_deadline);
		process_pool_works(e);
	}
}

/*
 * Without a `grace_period`, and without a waiter: by a deadline of the task's own, or of its token.
 * A task that is tried again when its worker dies is not tried again when its time is up.
 */
FL_TEST(process_pool_kills_at_a_deadline_by_default)
{
	CLOCK_AHEAD();
	for (int way = 0; way < 4; way++) {
		const bool by_token = way % 2;
		FL_SCOPED(fl_executor) *e = process_pool_with(1);
		FL_SCOPED(fl_cancel_token) timer = FL_CANCEL_TOKEN_INIT;
		struct process_pool_gate *gate = process_pool_gate();
		fl_future *f = NULL;
		fl_submit_config config = {0};
		ENDS_AT_THE_LIMIT(config, timer, by_token);
		FL_OK(fl_executor_submit_with(e, way < 2 ? &process_pool_hangs : &process_pool_hangs_again, &gate, &f,
		                              &config));
		(void)process_pool_await(gate);
		put_forward(limit + FL_MS(100));
		FL_OK(fl_executor_join(e));
		process_pool_fails(f, -ETIMEDOUT, past_deadline);
		assert_int_equal(process_pool_counted(&gate->runs), 1);
	}
}

/*
 * A request alone kills no worker, nor does a deadline with an endless `grace_period`. A terminate
 * does; the task has then run past its deadline.
 */
FL_TEST(process_pool_asks_and_waits)
{
	CLOCK_AHEAD();
	for (int way = 0; way < 3; way++) {
		const bool by_deadline = way > 0;
		FL_SCOPED(fl_executor) *e = with_grace(by_deadline ? FL_DURATION_MAX : 0);
		struct process_pool_gate *gate = process_pool_gate();
		fl_future *f = NULL;
		const fl_submit_config config = {.deadline = by_deadline ? fl_after(limit) : FL_FOREVER};
		FL_OK(process_pool_held_submit_with(e, gate, &f, &config));
		(void)process_pool_await(gate);
		put_forward(by_deadline ? 10 * limit : 0);
		FL_RC(fl_future_cancel(f), -EINPROGRESS);
		FL_RC(fl_future_wait_until(f, fl_after(FL_MS(30)), NULL), -ETIMEDOUT);
		if (way < 2) {
			process_pool_let_go(gate, f);
			assert_int_equal(process_pool_pid(e), gate->pid);
			continue;
		}
		(void)fl_executor_terminate(e);
		process_pool_fails(f, -ETIMEDOUT, "terminated");
	}
}

/* Maps. */

struct process_pool_item {
	struct process_pool_gate *gate; /* NULL: it ends */
	int number;
};

FL_TASK(process_pool_maybe_hangs, struct process_pool_item, int)
{
	*result = arg->number;
	if (!arg->gate)
		return 0;
	process_pool_enter(arg->gate);
	fl_test_rest();
}

enum { ITEMS = 12, HANGING = 4 };

static struct process_pool_gate *make_items(struct process_pool_item *items)
{
	struct process_pool_gate *gate = process_pool_gate();
	for (int i = 0; i < ITEMS; i++)
		items[i] = (struct process_pool_item){i == HANGING ? gate : NULL, i + 1};
	return gate;
}

static int pass_deadline(void *gate)
{
	(void)process_pool_await(gate);
	put_forward(limit + FL_MS(100));
	return 0;
}

/* By its own deadline, and by that of a token. */
FL_TEST(process_pool_map_ends_at_its_deadline)
{
	FL_BOTH (by_token) {
		CLOCK_AHEAD();
		FL_SCOPED(fl_executor) *e = process_pool_with(1);
		FL_SCOPED(fl_cancel_token) timer = FL_CANCEL_TOKEN_INIT;
		struct process_pool_item items[ITEMS];
		int results[ITEMS];
		fl_thread *other;
		struct process_pool_gate *gate = make_items(items);
		fl_map_config config = {.chunk = 3};
		FL_EACH (i, results)
			results[i] = -77;
		ENDS_AT_THE_LIMIT(config, timer, by_token);
		fl_test_go(&other, pass_deadline, gate);
		FL_RC(process_pool_maybe_hangs_map(e, items, ITEMS, results, &config),
		      by_token ? -ECANCELED : -ETIMEDOUT);
		fl_test_end(other);
		FL_EACH (i, results)
			assert_int_equal(results[i], i < HANGING ? (int)i + 1 : i == HANGING ? 0 : -77);
	}
}

/* One element was killed; those behind it were not begun. */
static void expect_killed(fl_imap *it, int end)
{
	size_t index = 0;
	int result, rc, killed = 0;
	while ((rc = process_pool_maybe_hangs_imap_next(it, &index, &result)) == 0 || rc == FL_ETASK) {
		const int error = rc == 0 ? 0 : fl_imap_error(it);
		assert_true(rc == FL_ETASK || result == (int)index + 1);
		FL_RC(error, index < HANGING ? 0 : -ETIMEDOUT);
		killed += index == HANGING && strstr(fl_imap_message(it), past_deadline);
	}
	FL_RC(rc, end);
	assert_int_equal(killed, 1);
}

static void imap_past_deadline(bool by_token, size_t chunk)
{
	CLOCK_AHEAD();
	FL_SCOPED(fl_executor) *e = process_pool_with(1);
	FL_SCOPED(fl_cancel_token) timer = FL_CANCEL_TOKEN_INIT;
	FL_SCOPED(fl_imap) *it = NULL;
	struct process_pool_item items[ITEMS];
	fl_thread *other;
	struct process_pool_gate *gate = make_items(items);
	fl_imap_config config = {.chunk = chunk};
	ENDS_AT_THE_LIMIT(config, timer, by_token);
	fl_test_go(&other, pass_deadline, gate);
	FL_OK(process_pool_maybe_hangs_imap(e, items, ITEMS, &it, &config));
	expect_killed(it, by_token ? -ECANCELED : -ETIMEDOUT);
	fl_test_end(other);
}

FL_TEST(process_pool_imap_ends_at_its_deadline)
{
	for (size_t chunk = 1; chunk <= 5; chunk += 2) {
		imap_past_deadline(false, chunk);
		imap_past_deadline(true, chunk);
	}
}

/* Tasks on one worker, each submitted by the callback of the one before. */
struct endless {
	fl_executor *e;
	const struct fl__rings *rings; /* of that worker */
	int n;
	bool over;
};

/*
 * On the manager thread: returns when the manager has work again. The clock goes on only here, so
 * that the manager is never late, and does not sleep.
 */
static void submit_next(fl_future *f, void *arg)
{
	struct endless *tasks = arg;
	struct fl__completion completion;
	if (fl__load_relaxed(&tasks->over)) /* relaxed: a flag by itself */
		return;
	put_forward(++tasks->n == 3 ? limit + FL_MS(100) : FL_US(10));
	FL_OK(process_pool_square_submit_with(tasks->e, 1, NULL,
	                                      &(fl_submit_config){.on_end = submit_next, .on_end_arg = tasks}));
	FL_WAIT_FOR(fl__rings_peek(tasks->rings, &completion) != FL__RINGS_NONE);
}

/* The manager always finds work, and never sleeps. */
FL_TEST(process_pool_busy_manager_kills_at_a_deadline)
{
	CLOCK_AHEAD();
	FL_SCOPED(fl_executor) *e = process_pool_with(2);
	struct process_pool_gate *gate = process_pool_gate();
	fl_future *hanging = hang(e, gate, &(fl_submit_config){.deadline = fl_after(limit)});
	process_pool_works(e); /* on the other worker */
	const struct fl__process_pool_worker *w = fl__process_pool_of(e)->workers;
	struct endless tasks = {.e = e, .rings = w->load == 0 ? &w->rings : &w->next->rings};
	fl__store_relaxed(&stopped, real_now()); /* relaxed: a number */
	FL_OK(process_pool_square_submit_with(e, 1, NULL,
	                                      &(fl_submit_config){.on_end = submit_next, .on_end_arg = &tasks}));
	FL_WAIT_FOR(process_pool_ended(hanging));
	fl__store_relaxed(&tasks.over, true); /* relaxed, as above */
	fl__store_relaxed(&stopped, 0);       /* relaxed: a number */
	process_pool_fails(hanging, -ETIMEDOUT, past_deadline);
	FL_OK(fl_executor_join(e));
}

/* By its future, by a token, which also cancels a task behind it, and by the executor. */
FL_TEST(process_pool_kills_what_is_deaf_to_a_cancel)
{
	enum { BY_FUTURE, BY_TOKEN, BY_EXECUTOR, WAYS };
	for (int round = 0; round < 4 * WAYS; round++) {
		const int way = round % WAYS;
		FL_SCOPED(fl_executor) *e = with_grace(FL_MS(5));
		FL_SCOPED(fl_cancel_token) stop = FL_CANCEL_TOKEN_INIT;
		const fl_submit_config config = {.cancel = &stop};
		fl_future *f = hang(e, process_pool_gate(), &config), *behind = NULL;
		if (way == BY_FUTURE) {
			FL_RC(fl_future_cancel(f), -EINPROGRESS);
		} else if (way == BY_TOKEN) {
			FL_OK(process_pool_square_submit_with(e, 2, &behind, &config));
			fl_cancel_token_request(&stop);
		} else {
			FL_OK(fl_executor_cancel(e));
		}
		comes_to_its_end(f, round / WAYS % 2);
		process_pool_fails(f, -EOWNERDEAD, too_long);
		if (behind)
			process_pool_is_cancelled(behind);
		if (way != BY_EXECUTOR)
			process_pool_works(e);
		FL_OK(fl_executor_join(e));
	}
}

/* Opens the gate when it is asked to stop, and does not stop. */
FL_TASK_STATIC(process_pool_hangs_as_it_begins, struct process_pool_gate *, void)
{
	process_pool_enter(*arg);
	while (!fl_task_is_cancelled(ctx))
		FL_IGNORE(fl_sleep_until(fl_after(FL_MS(1)), FL_SHIELDED));
	process_pool_open(*arg);
	fl_test_rest();
}

static fl_executor *with_deaf_initializer(struct process_pool_gate *gate, int64_t grace)
{
	return FL_TEST_EXECUTOR(process, .workers = 1, .initialize = &process_pool_hangs_as_it_begins,
	                        .initialize_arg = &gate, .grace_period = grace);
}

/* livekit/agents #5868: the tasks that wait for an initializer which hangs are told. */
FL_TEST(process_pool_deadlines_behind_an_initializer_that_hangs)
{
	enum { TASKS = 3 * FL__RINGS_DEPTH };
	CLOCK_AHEAD();
	struct process_pool_gate *gate = process_pool_gate();
	FL_SCOPED(fl_executor) *e = with_deaf_initializer(gate, 0);
	const fl_submit_config config = {.deadline = fl_after(limit)};
	fl_future *f[TASKS];
	FL_EACH (i, f)
		FL_OK(process_pool_square_submit_with(e, 2, &f[i], &config));
	(void)process_pool_await(gate);
	put_forward(limit + FL_MS(100));
	FL_EACH (i, f) {
		FL_OK(fl_future_wait(f[i]));
		FL_STATE_IS(f[i], FL_CANCELLED);
		FL_RC(fl_future_error(f[i]), -ETIMEDOUT);
		fl_future_free(f[i]);
	}
	assert_int_equal(fl_executor_terminate(e), 0);
	FL_OK(fl_executor_join(e));
	assert_int_equal(process_pool_counted(&gate->runs), 1);
}

/* It hears the request, and does not obey: `grace_period` ends it. */
FL_TEST(process_pool_kills_an_initializer_that_is_deaf_to_a_cancel)
{
	CLOCK_AHEAD();
	struct process_pool_gate *gate = process_pool_gate();
	FL_SCOPED(fl_executor) *e = with_deaf_initializer(gate, limit);
	fl_future *f = FL_SUBMITTED(process_pool_square, e, 2);
	const int pid = process_pool_await(gate);
	assert_int_equal(fl_executor_cancel(e), 1);
	process_pool_is_cancelled(f);
	FL_OK(fl_shm_event_wait_until(&gate->open, FL_FOREVER, FL_SHIELDED));
	assert_false(process_pool_is_gone(pid));
	put_forward(limit);
	FL_OK(fl_executor_join(e));
	assert_true(process_pool_is_gone(pid));
	assert_false(fl_executor_is_broken(e));
}

/* A worker that obeys is not killed, and continues with the next task. */
FL_TEST(process_pool_does_not_kill_a_task_that_stops)
{
	CLOCK_AHEAD();
	FL_SCOPED(fl_executor) *e = with_grace(limit);
	const int pid = process_pool_pid(e);
	int unused;
	for (int round = 0; round < 30; round++) {
		FL_SCOPED(fl_cancel_token) stop = FL_CANCEL_TOKEN_INIT;
		FL_SCOPED(fl_future) *f = NULL;
		struct process_pool_gate *gate = process_pool_gate();
		const fl_submit_config by_deadline = {.deadline = fl_after(limit)}, by_token = {.cancel = &stop};
		FL_OK(process_pool_listens_submit_with(e, gate, &f,
		                                       round % 3 == 0   ? &by_deadline
		                                       : round % 3 == 1 ? &by_token
		                                                        : NULL));
		(void)process_pool_await(gate);
		if (round % 3 == 0)
			put_forward(limit);
		else if (round % 3 == 1)
			fl_cancel_token_request(&stop);
		else if (round % 3 == 2)
			FL_RC(fl_future_cancel(f), -EINPROGRESS);
		FL_OK(process_pool_listens_get(f, &unused));
		assert_int_equal(process_pool_pid(e), pid); /* and it is not asked to stop */
	}
}

/* The number of workers. */

PROCESS_POOL_TEST(process_pool_resize_results, 2)
{
	FL_RC(fl_executor_resize(e, 0), -EINVAL);
	FL_RC(fl_executor_resize(e, FL_WORKERS_MAX + 1), -EINVAL);
	assert_int_equal(fl_executor_workers(e), 2);
	FL_OK(fl_executor_resize(e, 5));
	assert_int_equal(fl_executor_workers(e), 5);
	assert_int_equal(process_pool_size(e), 0); /* when they are needed */
	fl_executor_close(e);
	FL_RC(fl_executor_resize(e, 3), -EPIPE);
}

PROCESS_POOL_TEST(process_pool_resize_up_and_down, 1)
{
	enum { MOST = 5 };
	struct process_pool_gate *gates[MOST];
	fl_future *held[MOST], *waiting = NULL;
	gates[0] = process_pool_gate();
	held[0] = process_pool_hold(e, gates[0]);
	for (int i = 1; i < MOST; i++) { /* pending tasks already go to new workers */
		gates[i] = process_pool_gate();
		FL_OK(process_pool_held_submit(e, gates[i], &held[i]));
	}
	FL_OK(fl_executor_resize(e, MOST));
	for (int i = 1; i < MOST; i++)
		(void)process_pool_await(gates[i]);
	assert_int_equal(process_pool_size(e), MOST);
	FL_OK(process_pool_square_submit(e, 7, &waiting));
	FL_OK(fl_executor_resize(e, 2));
	assert_int_equal(process_pool_size(e), MOST); /* they may end what they run */
	FL_EACH (i, gates)
		process_pool_let_go(gates[i], held[i]);
	FL_WAIT_FOR(process_pool_size(e) == 2);
	FL_OK(fl_future_wait(waiting));
	FL_OK(fl_future_error(waiting));
	fl_future_free(waiting);
	/* Two, and no more. */
	struct process_pool_gate *two[3] = {process_pool_gate(), process_pool_gate(), process_pool_gate()};
	fl_future *f[3] = {process_pool_hold(e, two[0]), process_pool_hold(e, two[1]), NULL};
	FL_OK(process_pool_held_submit(e, two[2], &f[2]));
	FL_WAIT_FOR(process_pool_size(e) == 2);
	assert_int_equal(process_pool_counted(&two[2]->runs), 0);
	FL_EACH (i, two)
		process_pool_let_go(two[i], f[i]);
}

PROCESS_POOL_TEST(process_pool_resize_under_load, 1)
{
	enum { AT_ONCE = 50 };
	const unsigned tasks = fl_test_scaled(5000);
	int *runs = process_pool_counters(tasks), pid;
	fl_future *f[AT_ONCE] = {NULL};
	for (unsigned i = 0; i < tasks + AT_ONCE; i++) {
		fl_future **here = &f[i % AT_ONCE];
		if (i >= AT_ONCE) {
			FL_OK(process_pool_counts_get(*here, &pid));
			assert_int_equal(process_pool_counted(&runs[i - AT_ONCE]), 1);
			fl_future_free(*here);
		}
		if (i < tasks)
			FL_OK(process_pool_counts_submit(e, &runs[i], here));
		if (i % 37 == 0)
			FL_OK(fl_executor_resize(e, 1 + i / 37 % 4));
	}
	FL_OK(fl_executor_resize(e, 1));
	FL_WAIT_FOR(process_pool_size(e) <= 1);
}
