/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_CONFORMANCE_H
#define FL_CONFORMANCE_H

/*
 * The contract of every executor. A row is written once, against the interface, and becomes a case
 * for each kind of executor:
 *
 *     CONFORMANCE_ON(result_comes_back, 2)    // executor_result_comes_back_sequential, ..._threads
 *     {
 *             ... e, which has two workers ...
 *     }
 *
 * To add a kind, add a line to CONFORMANCE_KINDS. Capability bits are tested both ways: such rows
 * say what happens with the bit and without it. The suite is split over several test_executor_*.c
 * so that each file stays short.
 *
 * Tasks may run in another process. Therefore the data of a task's argument are in the arena
 * (fl_arena.h), which is shared and has the same address everywhere. Counters are atomics, and
 * events are those of fairlead/shm_event.h. A task that needs its executor calls
 * fl_executor_current(). Callbacks and drop hooks run in this process, and may use anything.
 */
#include "fl_arena.h"

struct conformance_kind {
	const char *name; /* as fl_executor_kind() returns it */
	fl_test_create *create;
	uint32_t capabilities;
	bool one_thread;             /* one thread runs all workers */
	bool serial;                 /* its tasks run one at a time, on a worker of another executor */
	unsigned workers_by_default; /* 0: the CPUs */
	unsigned workers_at_most;    /* 0: it has none */
	unsigned needs;              /* system calls: FL_NEEDS() */
	bool small_stack;            /* tasks that wait for each other share the stack of a fiber */
	bool over_ranks;             /* its workers belong to other ranks */
	bool dies_as_a_whole;        /* a worker that dies ends the program */
};

#ifdef CONFORMANCE_MPI
#include "fl_mpi.h" /* has the kind, and what its programs need */
#else
#include "core/exec/executor.h"

static const struct conformance_kind conformance_sequential = {
    "sequential",
    fl_sequential_executor_create,
    FL_CAP_BY_REFERENCE | FL_CAP_NESTED,
};

static const struct conformance_kind conformance_threads = {
    "threads",
    fl_thread_executor_create,
    FL_CAP_BY_REFERENCE | FL_CAP_CONCURRENT | FL_CAP_NESTED,
    .workers_at_most = FL_WORKERS_MAX,
};

/*
 * On a slow machine a task that is asked to stop at its deadline may take longer than
 * `grace_period`.
 */
__attribute__((unused)) static int create_patient_processes(fl_executor **e, const fl_executor_config *config)
{
	fl_executor_config patient = {0};
	if (config)
		patient = *config;
	patient.grace_period = FL_DURATION_MAX;
	return fl_process_executor_create(e, &patient);
}

static const struct conformance_kind conformance_processes = {
    "processes",
    create_patient_processes,
    FL_CAP_CONCURRENT | FL_CAP_NESTED,
    .workers_at_most = FL_WORKERS_MAX,
    .needs = FL_TEST_PROCESS_POOLS,
};

static const struct conformance_kind conformance_loop = {
    "loop",
    fl_loop_executor_create,
    FL_CAP_BY_REFERENCE | FL_CAP_CONCURRENT | FL_CAP_NESTED,
    .one_thread = true,
    .workers_by_default = FL_LOOP_EXECUTOR_DEFAULT,
    .workers_at_most = FL_LOOP_EXECUTOR_MAX,
    .needs = FL_TEST_EVENTFD,
};

/* A serial executor frees its target, so that a row need not know of it. */
static const struct fl__executor_ops *serial_ops;

static void destroy_serial_and_target(fl_executor *e)
{
	fl_executor *target = (fl_executor *)(uintptr_t)e->runner;
	serial_ops->destroy(e);
	fl_executor_free(target);
}

static int create_serial_over(fl_test_create *create_target, fl_executor **e, const fl_executor_config *config)
{
	static struct fl__executor_ops ops;
	fl_executor_config plain = {.workers = config ? config->workers : 0, .name = config ? config->name : NULL};
	fl_executor *target = NULL;
	int rc = create_target(&target, &plain);
	if (rc == 0 && (rc = fl_serial_executor_create(e, target, config)) != 0)
		fl_executor_free(target);
	if (rc == 0 && !serial_ops) {
		serial_ops = (*e)->ops;
		ops = *serial_ops;
		ops.destroy = destroy_serial_and_target;
	}
	if (rc == 0)
		(*e)->ops = &ops;
	return rc;
}

static int create_serial_over_threads(fl_executor **e, const fl_executor_config *config)
{
	return create_serial_over(fl_thread_executor_create, e, config);
}

static int create_serial_over_loop(fl_executor **e, const fl_executor_config *config)
{
	return create_serial_over(fl_loop_executor_create, e, config);
}

static const struct conformance_kind conformance_serial_threads = {
    "serial",
    create_serial_over_threads,
    FL_CAP_BY_REFERENCE | FL_CAP_CONCURRENT | FL_CAP_NESTED,
    .one_thread = true,
    .serial = true,
    .workers_at_most = FL_WORKERS_MAX, /* its target's */
};

static const struct conformance_kind conformance_serial_loop = {
    "serial",
    create_serial_over_loop,
    FL_CAP_BY_REFERENCE | FL_CAP_CONCURRENT | FL_CAP_NESTED,
    .one_thread = true,
    .serial = true,
    .small_stack = true,
    .workers_at_most = FL_LOOP_EXECUTOR_MAX,
    .needs = FL_TEST_EVENTFD,
};

#define CONFORMANCE_KINDS(each, row)                                                                                   \
	each(row, sequential) each(row, threads) each(row, processes) each(row, loop) each(row, serial_threads)        \
	    each(row, serial_loop)

#endif

#define CONFORMANCE_CASE(row, kind)                                                                                    \
	FL_TEST(executor_##row##_##kind)                                                                               \
	{                                                                                                              \
		FL_NEEDS(conformance_##kind.needs);                                                                    \
		row(&conformance_##kind);                                                                              \
	}

#define CONFORMANCE(row)                                                                                               \
	static void row(const struct conformance_kind *kind);                                                          \
	CONFORMANCE_KINDS(CONFORMANCE_CASE, row)                                                                       \
	static void row(__attribute__((unused)) const struct conformance_kind *kind)

/* All kinds. A number means the same in every process; an address does not. */
#define CONFORMANCE_ENTRY(unused, kind) &conformance_##kind,
__attribute__((unused)) static const struct conformance_kind *const conformance_kinds[] = {
    CONFORMANCE_KINDS(CONFORMANCE_ENTRY, )};
#define CONFORMANCE_KINDS_N (sizeof conformance_kinds / sizeof conformance_kinds[0])

#define CONFORMANCE_FN __attribute__((unused)) static

CONFORMANCE_FN fl_executor *make_of(const struct conformance_kind *kind, const fl_executor_config *config)
{
	fl_executor *e = NULL;
	FL_NEEDS(kind->needs);
	FL_OK(kind->create(&e, config));
	return e;
}

/* Makes an executor with that many workers. */
CONFORMANCE_FN fl_executor *make(const struct conformance_kind *kind, unsigned workers)
{
	return make_of(kind, &(fl_executor_config){.workers = workers});
}

/* Defines a row with an executor `e` of that many workers. */
#define CONFORMANCE_ON(row, workers)                                                                                   \
	static void row##_on(const struct conformance_kind *kind, fl_executor *e);                                     \
	CONFORMANCE(row)                                                                                               \
	{                                                                                                              \
		FL_SCOPED(fl_executor) *e = make(kind, (workers));                                                     \
		row##_on(kind, e);                                                                                     \
	}                                                                                                              \
	static void row##_on(__attribute__((unused)) const struct conformance_kind *kind, fl_executor *e)

/* Defines such a row for the kinds that have the capability. */
#define CONFORMANCE_ABLE(row, workers, capability)                                                                     \
	static void row##_able(const struct conformance_kind *kind, fl_executor *e);                                   \
	CONFORMANCE(row)                                                                                               \
	{                                                                                                              \
		if (!(kind->capabilities & (capability)))                                                              \
			return;                                                                                        \
		FL_SCOPED(fl_executor) *e = make(kind, (workers));                                                     \
		row##_able(kind, e);                                                                                   \
	}                                                                                                              \
	static void row##_able(__attribute__((unused)) const struct conformance_kind *kind, fl_executor *e)

/* Defines a row with an executor `e` of that many workers, and a group `g` of its tasks. */
#define CONFORMANCE_GROUP(row, workers)                                                                                \
	static void row##_of(const struct conformance_kind *kind, fl_executor *e, fl_group *g);                        \
	CONFORMANCE_ON(row, workers)                                                                                   \
	{                                                                                                              \
		FL_SCOPED(fl_group) g = FL_GROUP_INIT(e);                                                              \
		row##_of(kind, e, &g);                                                                                 \
	}                                                                                                              \
	static void row##_of(__attribute__((unused)) const struct conformance_kind *kind,                              \
	                     __attribute__((unused)) fl_executor *e, fl_group *g)

/* Defines a row with executors of 1, 2, ... workers, one after another. */
#define CONFORMANCE_UP_TO(row, most)                                                                                   \
	static void row##_with(const struct conformance_kind *kind, fl_executor *e);                                   \
	CONFORMANCE(row)                                                                                               \
	{                                                                                                              \
		for (unsigned workers = 1; workers <= (most); workers++) {                                             \
			FL_SCOPED(fl_executor) *e = make(kind, workers);                                               \
			row##_with(kind, e);                                                                           \
		}                                                                                                      \
	}                                                                                                              \
	static void row##_with(__attribute__((unused)) const struct conformance_kind *kind, fl_executor *e)

/* Whether submit returns before the task has run. Only then can a task be pending or running. */
CONFORMANCE_FN bool is_concurrent(const fl_executor *e)
{
	return fl_executor_capabilities(e) & FL_CAP_CONCURRENT;
}

/* Returns how many of `workers` tasks run at once. */
CONFORMANCE_FN unsigned at_once(const struct conformance_kind *kind, unsigned workers)
{
	return kind->serial || !(kind->capabilities & FL_CAP_CONCURRENT) ? 1 : workers;
}

/* Whether tasks see the memory of their submitter, so that they may use pointers into it. */
CONFORMANCE_FN bool is_by_reference(const fl_executor *e)
{
	return fl_executor_capabilities(e) & FL_CAP_BY_REFERENCE;
}

/*
 * Returns a number for the worker of the calling task. It differs for each worker, thread or
 * process.
 */
CONFORMANCE_FN uint64_t worker_id(void)
{
	return (uint64_t)getpid() << 32 | (uint32_t)fl_thread_current_id();
}

/* The workers of the executors of that name, whether they are threads or processes. */
struct roll {
	const char *name;
	int all, alive; /* all: including those that have ended but are not joined */
	int highest;    /* the highest of their numbers; -1: there is none */
};

CONFORMANCE_FN void enrol(struct roll *roll, const char *name, bool alive)
{
	size_t length = strlen(roll->name);
	int number;
	if (strncmp(name, roll->name, length) != 0 || sscanf(name + length, "-%d", &number) != 1)
		return;
	roll->all++;
	roll->alive += alive;
	roll->highest = number > roll->highest ? number : roll->highest;
}

CONFORMANCE_FN void enrol_thread(const fl_thread_info *info, void *roll)
{
	enrol(roll, info->name, info->alive);
}

CONFORMANCE_FN void enrol_process(fl_process *p, void *roll)
{
	enrol(roll, fl_process_name(p), true);
}

CONFORMANCE_FN struct roll workers_called(const char *name)
{
	struct roll roll = {.name = name, .highest = -1};
	(void)fl_thread_enumerate(enrol_thread, &roll);
	(void)fl_process_active_children(enrol_process, &roll);
	return roll;
}

/* A counter that any thread and process may read. */
CONFORMANCE_FN void count(int *counter)
{
	fl__add_release(counter, 1); /* pairs with the acquire in counted() */
}

CONFORMANCE_FN int counted(const int *counter)
{
	return fl__load_acquire(counter); /* pairs with the release in count() */
}

CONFORMANCE_FN int *new_counter(void)
{
	return FL_IN_ARENA(int, 1);
}

CONFORMANCE_FN void set_event(fl_shm_event *event)
{
	FL_OK(fl_shm_event_set(event));
}

/* Waits whatever the scope is, and aborts if the wait fails. */
CONFORMANCE_FN void await_event(fl_shm_event *event)
{
	FL_OK(fl_shm_event_wait_until(event, FL_FOREVER, FL_SHIELDED));
}

/*
 * For a task: waits until the event is set, or the task is asked to stop. It waits in slices,
 * because if a worker sleeps for some milliseconds, another worker runs what is pending.
 */
CONFORMANCE_FN int await_in_slices(const fl_shm_event *event)
{
	int rc = 0;
	while (rc == 0 && !fl_shm_event_is_set(event))
		rc = fl_sleep(FL_MS(1));
	return rc;
}

/* A task that holds its worker: the task reports that it runs, and returns when it is released. */
struct gate {
	fl_shm_event entered, open;
};

CONFORMANCE_FN struct gate *new_gate(void)
{
	return FL_IN_ARENA(struct gate, 1);
}

FL_TASK_STATIC(hold, struct gate *, void)
{
	set_event(&(*arg)->entered);
	return fl_shm_event_wait_until(&(*arg)->open, FL_FOREVER, FL_SHIELDED);
}

FL_TASK_STATIC(tick, void, void)
{
	return 0;
}

/* As an initializer it breaks its executor. */
FL_TASK_STATIC(fail_to_start, void, void)
{
	return -ENOENT;
}

/* Does what `hold` does. Its result says whether it was asked to stop meanwhile. */
FL_TASK_STATIC(tell_whether_asked, struct gate *, int)
{
	const int rc = hold.run(ctx, arg, NULL);
	*result = fl_task_is_cancelled(ctx);
	return rc;
}

/* A held worker, so that later tasks stay pending. `f` is NULL if a submit runs its task itself. */
struct held {
	struct gate *gate;
	fl_future *f;
};

/* Callbacks that hold the thread that ends their task, and a thread that cancels one. */
CONFORMANCE_FN void hold_in_callback(fl_future *f, void *arg)
{
	struct gate *gate = arg;
	set_event(&gate->entered);
	await_event(&gate->open);
}

CONFORMANCE_FN int cancel_future(void *f)
{
	return fl_future_cancel(f);
}

CONFORMANCE_FN int join_it(void *e)
{
	return fl_executor_join(e);
}

CONFORMANCE_FN struct held hold_worker(fl_executor *e)
{
	struct held held = {.gate = new_gate()};
	if (!is_concurrent(e))
		return held;
	FL_OK(hold_submit(e, held.gate, &held.f));
	await_event(&held.gate->entered);
	return held;
}

CONFORMANCE_FN void let_go(const struct held *held)
{
	if (!held->f)
		return;
	set_event(&held->gate->open);
	FL_OK(fl_future_wait(held->f));
	fl_future_free(held->f);
}

FL_TASK_STATIC(square, int, int)
{
	*result = *arg * *arg;
	return 0;
}

/* Lets that executor compute the square of 3. */
CONFORMANCE_FN int nine_of(fl_executor *e)
{
	return fl_test_result_of(e, &square, &(int){3});
}

CONFORMANCE_FN void expect_squares(const int *results, int n)
{
	for (int i = 0; i < n; i++)
		assert_int_equal(results[i], i * i);
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

CONFORMANCE_FN struct tally *new_tally(void)
{
	return FL_IN_ARENA(struct tally, 1);
}

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

/* Submits that many tasks without futures. */
CONFORMANCE_FN void submit_tallied(fl_executor *e, struct tally *tally, int n)
{
	for (int i = 0; i < n; i++)
		FL_OK(tallied_submit(e, tally, NULL));
}

CONFORMANCE_FN void expect_tally(const struct tally *tally, int runs, int drops)
{
	assert_int_equal(counted(&tally->runs), runs);
	assert_int_equal(counted(&tally->drops), drops);
}

CONFORMANCE_FN void expect_result_drops(const struct tally *tally, int drops)
{
	assert_int_equal(counted(&tally->result_drops), drops);
}

#endif
