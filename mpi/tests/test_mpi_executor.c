/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests what the executor over MPI does beyond the contract of all executors. */
#include "fl_mpi_or_skip.h"
#ifdef FL_TEST_MPI
#include "fl_faults.h"
#include "fl_mpi.h"
#include "fl_mpi_gate.h"

#include "../internals.h"

FL_TASK_STATIC(process_id, void, int)
{
	*result = (int)getpid();
	return 0;
}

static int run_process_id(fl_executor *e)
{
	int pid = 0;
	FL_OK(fl_test_run_task(e, &process_id, NULL, &pid));
	return pid;
}

static void *no_memory(size_t size)
{
	return NULL;
}

static void *dump_and_alloc(size_t size)
{
	const int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	FL_CHECK(fd >= 0);
	fl_debug_dump(fd);
	FL_OK(close(fd));
	return fl_test_real_sys.alloc(size);
}

static int no_thread(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *), void *arg)
{
	return -EAGAIN;
}

/*
 * This is the first case, because no fault may be planted while the thread exists that makes the
 * calls of MPI.
 */
FL_TEST(mpi_without_memory_and_threads)
{
	FL_SCOPED(fl_executor) *e = make_over_mpi(NULL, NULL);
	FL_FAULTS();
	fl__sys.thread_create = no_thread;
	FL_RC(process_id_submit(e, NULL), -EAGAIN);
	fl__sys.alloc = no_memory;
	fl_executor *other = NULL;
	FL_RC(fl_mpi_executor_create(&other, NULL, NULL), -ENOMEM);
	assert_null(other);
	/* a dump reads no part of an executor that does not exist yet */
	fl__sys.alloc = dump_and_alloc;
	FL_OK(fl_mpi_executor_create(&other, NULL, NULL));
	fl_executor_free(other);
	FL_OK(fl_test_faults_end());
}

/*
 * tests/run reads the verdicts in the output of all ranks, which the launcher joins. If a line is
 * written in two parts, another rank's line may get between them.
 */
FL_TEST(mpi_verdicts_leave_in_one_write)
{
	static const char line[] = "ok 1 - a verdict\n";
	char packet[64];
	int packets[2]; /* with O_DIRECT a read returns the bytes of one write */
	FL_OK(pipe2(packets, O_DIRECT | O_CLOEXEC));
	const int before = dup(STDOUT_FILENO);
	assert_true(before >= 0 && dup2(packets[1], STDOUT_FILENO) >= 0);
	for (int i = 0; i < 2; i++) /* the first write to a stream may allocate its buffer */
		(void)printf("ok %d - %s\n", 1, "a verdict");
	assert_true(dup2(before, STDOUT_FILENO) >= 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(read(packets[0], packet, sizeof packet), sizeof line - 1);
		assert_memory_equal(packet, line, sizeof line - 1);
	}
	FL_OK(close(before) + close(packets[0]) + close(packets[1]));
}

static void *no_memory_for_a_pool(size_t size)
{
	return size == sizeof(struct fl__thread_pool) ? NULL : fl_test_real_sys.alloc(size);
}

FL_TASK_STATIC(lack_memory, bool, void)
{
	fl__sys.alloc = *arg ? no_memory_for_a_pool : fl_test_real_sys.alloc;
	return 0;
}

static void let_rank_lack_memory(fl_executor *e, bool lack)
{
	FL_OK(fl_test_run_task(e, &lack_memory, &(bool){lack}, NULL));
}

/*
 * A rank that cannot make its executor fails the tasks that come meanwhile, and tries again later.
 */
FL_TEST(mpi_rank_without_memory_for_its_executor)
{
	const fl_executor_config config = {.workers = 1};
	FL_SCOPED(fl_executor) *first = make_over_mpi(&config, NULL);
	FL_SCOPED(fl_future) *f = NULL;
	let_rank_lack_memory(first, true);
	FL_SCOPED(fl_executor) *e = make_over_mpi(&config, NULL);
	int pid = 0;
	FL_OK(process_id_submit(e, &f));
	FL_RC(process_id_get(f, &pid), FL_ETASK);
	FL_RC(fl_future_error(f), -ENOMEM);
	fl_test_contains(fl_future_message(f), "cannot make its own executor");
	let_rank_lack_memory(first, false);
	assert_true(run_process_id(e) > 0);
}

FL_TASK_STATIC(create_in_rank, void, int)
{
	fl_executor *e = NULL;
	*result = fl_mpi_executor_create(&e, NULL, &(fl_mpi_config){.spawn = 1});
	return 0;
}

FL_TEST(mpi_in_a_worker_rank)
{
	FL_SCOPED(fl_executor) *e = make_over_mpi(NULL, NULL);
	int rc = 0;
	FL_OK(fl_test_run_task(e, &create_in_rank, NULL, &rc));
	assert_int_equal(rc, -ENOTSUP);
}

FL_TEST(mpi_ranks_are_counted)
{
	fl_executor_free(make_over_mpi(NULL, NULL)); /* skips the case if there are no ranks */
	assert_int_equal(fl_mpi_ranks(), fl_test_mpi_ranks());
}

struct large {
	char bytes[16400];
};

FL_TASK_STATIC(begin_with_much, struct large, void)
{
	return arg->bytes[0];
}

static int begin(fl_task_ctx *ctx, const void *arg, void *result)
{
	return 0;
}

static const fl_task_type unknown = {.size = sizeof(fl_task_type), .name = "unknown", .run = begin};
static const fl_task_type one = {.size = sizeof(fl_task_type), .name = "of_two", .run = begin};

static int begin_otherwise(fl_task_ctx *ctx, const void *arg, void *result)
{
	return begin(ctx, arg, result);
}

static const fl_task_type other = {.size = sizeof(fl_task_type), .name = "of_two", .run = begin_otherwise};
static fl_task_entry one_entry = {&one, NULL}, other_entry = {&other, NULL};

FL_TEST(mpi_refuses_configs)
{
	FL_SCOPED(fl_executor) *e = make_over_mpi(NULL, NULL), *refused = NULL;
	static struct large much;
	const unsigned most = FL_WORKERS_MAX * (fl_test_mpi_ranks() - 1);
	const fl_mpi_config far = {.prefetch = FL_MPI_PREFETCH_MAX + 1};
	FL_RC(fl_mpi_executor_create(&refused, &(fl_executor_config){.workers = most + 1}, NULL), -EINVAL);
	FL_RC(fl_mpi_executor_create(&refused, &(fl_executor_config){.max_tasks = -1}, NULL), -EINVAL);
	FL_RC(fl_mpi_executor_create(&refused, NULL, &far), -EINVAL);
	FL_RC(fl_mpi_executor_create(&refused, &(fl_executor_config){.initialize = &process_id}, NULL), -EINVAL);
	const fl_executor_config first = {.initialize = &begin_with_much, .initialize_arg = &much};
	FL_RC(fl_mpi_executor_create(&refused, &first, NULL), -E2BIG);
	FL_RC(fl_mpi_executor_create(&refused, &(fl_executor_config){.initialize = &unknown}, NULL), -ENOENT);
	assert_null(refused);
	FL_RC(fl_executor_submit(e, &unknown, NULL, NULL), -ENOENT);
	fl_task_register(&one_entry);
	fl_task_register(&other_entry);
	FL_RC(fl_executor_submit(e, &one, NULL, NULL), -EEXIST);
	FL_RC(fl_mpi_executor_create(&refused, &(fl_executor_config){.initialize = &one}, NULL), -EEXIST);
	fl_task_unregister(&other_entry);
	fl_task_unregister(&one_entry);
	FL_RC(fl_executor_resize(e, 3), -ENOTSUP);
}

FL_TEST(mpi_uses_all_ranks)
{
	enum { MOST = 64 };
	const unsigned ranks = fl_test_mpi_ranks() - 1;
	FL_SCOPED(fl_executor) *e = make_over_mpi(&(fl_executor_config){.workers = ranks}, NULL);
	int pids[MOST];
	assert_true(ranks <= MOST);
	let_go(hold_all(e, ranks), ranks);
	EACH_RANK (i, ranks) {
		pids[i] = run_process_id(e);
		assert_int_not_equal(pids[i], getpid());
		for (unsigned j = 0; j < i; j++)
			assert_int_not_equal(pids[i], pids[j]);
	}
}

/* A task that was sent ahead has started for rank 0, but not for its rank. */
FL_TEST(mpi_prefetched_task_is_asked_and_ends_as_cancelled)
{
	FL_SCOPED(fl_executor) *e = make_over_mpi(&(fl_executor_config){.workers = 1}, &(fl_mpi_config){.prefetch = 1});
	struct gate *gate = new_gate(), *never = new_gate();
	FL_SCOPED(fl_future) *held = NULL, *ahead = NULL, *queued = NULL;
	FL_OK(hold_submit(e, gate, &held));
	FL_OK(hold_submit(e, never, &ahead));
	FL_OK(hold_submit(e, never, &queued));
	FL_OK(fl_shm_event_wait(&gate->entered));
	FL_WAIT_FOR(fl_future_state(ahead) == FL_RUNNING);
	FL_STATE_IS(queued, FL_PENDING);
	FL_OK(fl_future_cancel(queued));
	FL_RC(fl_future_cancel(ahead), -EINPROGRESS);
	FL_OK(fl_future_wait(ahead));
	FL_STATE_IS(ahead, FL_CANCELLED);
	FL_OK(fl_shm_event_set(&gate->open));
	FL_OK(fl_future_wait(held));
	assert_false(fl_shm_event_is_set(&never->entered));
}

/* Tasks that were sent ahead to ranks whose workers are held go to the one rank that is free. */
FL_TEST(mpi_tasks_that_wait_at_a_slow_rank_are_recalled)
{
	enum { AHEAD = 4, MOST = 64 };
	const unsigned ranks = fl_test_mpi_ranks() - 1;
	if (ranks < 2)
		FL_SKIP("it takes two worker ranks");
	FL_SCOPED(fl_executor) *e =
	    make_over_mpi(&(fl_executor_config){.workers = ranks}, &(fl_mpi_config){.prefetch = AHEAD});
	fl_future *ahead[MOST * AHEAD];
	assert_true(ranks <= MOST);
	struct gate *gates = hold_all(e, ranks);
	for (unsigned i = 0; i < ranks * AHEAD; i++)
		FL_OK(process_id_submit(e, &ahead[i]));
	for (unsigned i = 0; i < ranks * AHEAD; i++)
		FL_WAIT_FOR(fl_future_state(ahead[i]) == FL_RUNNING);
	FL_OK(fl_shm_event_set(&gates[0].open));
	int pid = 0, first = 0;
	for (unsigned i = 0; i < ranks * AHEAD; i++) {
		FL_OK(process_id_get(ahead[i], &pid));
		first = i == 0 ? pid : first;
		assert_int_equal(pid, first);
		fl_future_free(ahead[i]);
	}
	let_go(gates, ranks);
}

/* Requests cross the ends of their tasks: each task ends once, as cancelled or not. */
FL_TEST(mpi_cancel_crosses_result)
{
	enum { TASKS = 32 };
	FL_SCOPED(fl_executor) *e = make_over_mpi(&(fl_executor_config){.workers = 4}, &(fl_mpi_config){.prefetch = 4});
	const unsigned rounds = fl_test_scaled(40);
	for (unsigned round = 0; round < rounds; round++) {
		fl_future *f[TASKS];
		FL_EACH (i, f)
			FL_OK(process_id_submit(e, &f[i]));
		for (int i = 0; i < TASKS; i++)
			FL_IGNORE(fl_future_cancel(f[TASKS - 1 - i]));
		FL_EACH (i, f) {
			int pid = 0;
			FL_OK(fl_future_wait(f[i]));
			const bool cancelled = fl_future_state(f[i]) == FL_CANCELLED;
			FL_RC(process_id_get(f[i], &pid), cancelled ? FL_ETASK : 0);
			fl_future_free(f[i]);
		}
	}
}

FL_TASK_STATIC(until_asked, struct gate *, int)
{
	FL_OK(fl_shm_event_set(&(*arg)->entered));
	while (!fl_task_is_cancelled(ctx))
		if (fl_sleep(FL_MS(1)) != 0)
			break;
	*result = 1;
	return 0;
}

/* A request of the user's own token reaches the task without a call into the executor. */
FL_TEST(mpi_token_reaches_what_runs)
{
	FL_SCOPED(fl_executor) *e = make_over_mpi(&(fl_executor_config){.workers = 1}, NULL);
	struct gate *gate = new_gate();
	fl_cancel_token stop = FL_CANCEL_TOKEN_INIT;
	FL_SCOPED(fl_future) *f = NULL;
	int asked = 0;
	FL_OK(until_asked_submit_with(e, gate, &f, &(fl_submit_config){.cancel = &stop}));
	FL_OK(fl_shm_event_wait(&gate->entered));
	fl_cancel_token_request(&stop);
	FL_OK(until_asked_get(f, &asked));
	assert_int_equal(asked, 1);
}

enum { MUCH = 48 << 20 };

struct much {
	unsigned char bytes[MUCH];
};

FL_TASK_STATIC(invert, struct much, struct much)
{
	for (size_t i = 0; i < sizeof arg->bytes; i += 4093)
		result->bytes[i] = (unsigned char)~arg->bytes[i];
	return 0;
}

/* Arguments and results of many MB cross each other on the way. */
FL_TEST(mpi_both_sides_send_large)
{
	enum { TASKS = 4 };
	FL_SCOPED(fl_executor) *e = make_over_mpi(&(fl_executor_config){.workers = 4}, NULL);
	static struct much in;
	fl_future *f[TASKS];
	for (size_t i = 0; i < sizeof in.bytes; i++)
		in.bytes[i] = (unsigned char)(i * 31);
	FL_EACH (i, f)
		FL_OK(fl_executor_submit(e, &invert, &in, &f[i]));
	FL_EACH (i, f) {
		FL_OK(fl_future_wait(f[i]));
		FL_RC(fl_future_error(f[i]), 0);
		const struct much *out = fl_future_result(f[i]);
		for (size_t at = 0; at < sizeof in.bytes; at += 4093)
			assert_int_equal(out->bytes[at], (unsigned char)~in.bytes[at]);
		assert_int_equal(out->bytes[1], 0);
		fl_future_free(f[i]);
	}
}

FL_TASK_STATIC(die, void, void)
{
	(void)raise(SIGKILL);
	return 0;
}

/* A task that crashes in a process of its rank harms neither the rank nor another task. */
FL_TEST(mpi_processes_survive_a_crash)
{
	FL_NEEDS(FL_TEST_PROCESS_POOLS);
	FL_SCOPED(fl_executor) *e =
	    make_over_mpi(&(fl_executor_config){.workers = 2}, &(fl_mpi_config){.processes = true});
	for (int i = 0; i < 4; i++) {
		FL_SCOPED(fl_future) *f = NULL, *g = NULL;
		int pid = 0;
		FL_OK(die_submit(e, &f));
		FL_OK(process_id_submit(e, &g));
		FL_RC(fl_future_get(f, NULL, 0), FL_ETASK);
		FL_RC(fl_future_error(f), -EOWNERDEAD);
		fl_test_contains(fl_future_message(f), "SIGKILL");
		FL_OK(process_id_get(g, &pid));
	}
}

FL_TASK_STATIC(sleep_on, void, void)
{
	for (;;)
		(void)pause();
	return 0;
}

FL_TEST(mpi_processes_are_killed_at_their_deadline)
{
	FL_NEEDS(FL_TEST_PROCESS_POOLS);
	FL_SCOPED(fl_executor) *e = make_over_mpi(&(fl_executor_config){.workers = 1, .grace_period = FL_MS(1)},
	                                          &(fl_mpi_config){.processes = true});
	FL_SCOPED(fl_future) *f = NULL;
	/* Tries again if the deadline has passed before the task began. */
	for (int64_t limit = FL_MS(300); !f || fl_future_state(f) == FL_CANCELLED; limit *= 2) {
		fl_future_free(f);
		FL_OK(sleep_on_submit_with(e, &f, &(fl_submit_config){.deadline = fl_after(limit)}));
		FL_OK(fl_future_wait(f));
	}
	FL_RC(fl_future_get(f, NULL, 0), FL_ETASK);
	FL_RC(fl_future_error(f), -ETIMEDOUT);
}

FL_TASK_STATIC(enter_and_sleep_on, struct gate *, void)
{
	FL_OK(fl_shm_event_set(&(*arg)->entered));
	for (;;)
		(void)pause();
	return 0;
}

FL_TEST(mpi_processes_are_terminated)
{
	FL_NEEDS(FL_TEST_PROCESS_POOLS);
	FL_SCOPED(fl_executor) *e =
	    make_over_mpi(&(fl_executor_config){.workers = 2}, &(fl_mpi_config){.processes = true});
	struct gate *gates = FL_IN_ARENA(struct gate, 2);
	fl_future *f[2], *pending = NULL;
	FL_EACH (i, f)
		FL_OK(enter_and_sleep_on_submit(e, &gates[i], &f[i]));
	for (int i = 0; i < 2; i++)
		FL_OK(fl_shm_event_wait(&gates[i].entered));
	FL_OK(process_id_submit(e, &pending));
	assert_int_equal(fl_executor_terminate(e), 1);
	FL_STATE_IS(pending, FL_CANCELLED);
	FL_EACH (i, f) {
		FL_RC(fl_future_get(f[i], NULL, 0), FL_ETASK);
		FL_RC(fl_future_error(f[i]), -ECANCELED);
		FL_STATE_IS(f[i], FL_DONE);
		fl_future_free(f[i]);
	}
	fl_future_free(pending);
}

/* Executors are made and freed while others run. */
FL_TEST(mpi_executors_come_and_go)
{
	enum { LIVES = 20 };
	FL_SCOPED(fl_executor) *stays = make_over_mpi(&(fl_executor_config){.workers = 2}, NULL);
	struct gate *gate = hold_all(stays, 1);
	for (int i = 0; i < LIVES; i++) {
		FL_SCOPED(fl_executor) *e = make_over_mpi(&(fl_executor_config){.workers = 3}, NULL);
		(void)run_process_id(e);
	}
	let_go(gate, 1);
}

#endif
