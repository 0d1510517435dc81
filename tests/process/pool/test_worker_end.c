/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The worker of a process executor: how its tasks are stopped, how it ends, and with what it cannot
 * begin.
 */
#include "fl_worker.h"

FL_TASK(worker_sleeps, void, int)
{
	fl__store_release(result, 1); /* the test sees it at once: it is in memory that both have */
	return fl_sleep_until(FL_FOREVER, NULL);
}

FL_TASK(worker_tells_its_deadline, void, fl_time)
{
	*result = fl_cancel_token_deadline(fl_task_token(ctx));
	return 0;
}

static uint32_t stream_is_locked;

FL_TASK(worker_requests_itself, void, void)
{
	fl_cancel_token_request(fl_task_token(ctx));
	return 0;
}

FL_TASK(worker_leaves_a_child, void, void)
{
	static fl_cancel_token child;
	fl_cancel_token_init(&child, fl_task_token(ctx), FL_FOREVER);
	return 0;
}

FL_TASK(worker_dies, int, void)
{
	/* Not NULL, which a sanitizer would report itself. */
	static uintptr_t volatile nowhere = 64;
	if (*arg == SIGSEGV) {
		(void)signal(SIGSEGV, SIG_DFL); /* a sanitizer has a handler, which exits */
		*(volatile int *)nowhere = 1;   /* cast: an address that is none */
	}
	_exit(*arg);
}

FL_TASK(worker_writes_its_argument, int, void)
{
	(void)signal(SIGSEGV, SIG_DFL);      /* as above */
	*(volatile int *)(uintptr_t)arg = 1; /* cast: away with const */
	return 0;
}

static void *keep_locked(void *stream)
{
	flockfile(stream);
	fl__store_release(&stream_is_locked, 1); /* pairs with the load of worker_leaves_a_lock */
	fl_test_rest();
	return NULL;
}

/* A thread that outlives the task keeps stdout, or stdin, for ever. */
FL_TASK(worker_leaves_a_lock, bool, void)
{
	pthread_t thread;
	FL_OK(pthread_create(&thread, NULL, keep_locked, *arg ? stdout : stdin));
	while (!fl__load_acquire(&stream_is_locked))
		fl__sys.yield();
	return 0;
}

/* Stopping. */

static void wait_until_inside(struct parent *p, uint32_t seq)
{
	const char *inside = small_result(p, seq);
	FL_WAIT_FOR(fl__load_acquire(inside) != 0); /* pairs with the task's store */
}

FL_TEST(worker_stops_when_asked)
{
	PARENT(p);
	for (int round = 0; round < 100; round++) {
		memset(small_result(&p, p.rings.next), 0, FL__RINGS_SMALL);
		const uint32_t seq = order(&p, &worker_sleeps, NULL, 1);
		const uint32_t next = order(&p, &worker_doubles, &(int){1}, 1);
		if (round % 2 == 0)
			wait_until_inside(&p, seq);
		fl__rings_request_stop(&p.rings, seq);
		struct fl__completion reply = await(&p);
		if (round % 2 == 0 || reply.flags != FL__COMPLETION_SKIPPED)
			assert_int_equal(reply.error, -ECANCELED);
		assert_succeeds(&p, 1); /* the request was not for this one */
		assert_int_equal(*(int *)small_result(&p, next), 2);
	}
}

FL_TEST(worker_skips_what_was_asked_before)
{
	PARENT(p);
	const uint32_t first = order(&p, &worker_sleeps, NULL, 1);
	const uint32_t second = order(&p, &worker_inverts_large, &zeros, 1);
	wait_until_inside(&p, first);
	fl__rings_request_stop(&p.rings, second);
	fl__rings_request_stop(&p.rings, first);
	assert_int_equal(await(&p).error, -ECANCELED);
	assert_skipped(&p);
	/* Its argument is not left. */
	assert_int_equal(fl__fd_waiting(p.fds[FL__WORKER_CHANNEL]), 0);
	const uint32_t third = order(&p, &worker_inverts_large, &zeros, 1);
	assert_succeeds(&p, 1);
	FL_OK(munmap(receive_result(&p, third, sizeof zeros), sizeof zeros));
	assert_nothing_received(&p);
}

FL_TEST(worker_deadlines)
{
	PARENT(p);
	const fl_time deadlines[] = {{1}, fl_now(), fl_after(FL_MS(20)), fl_after(FL_S(3600)), {1}};
	FL_EACH (i, deadlines) {
		const fl_task_type *type = i == 2 ? &worker_sleeps : &worker_doubles;
		p.rings.submissions->deadline[slot_of(p.rings.next)] = deadlines[i];
		draft(&p, type, &(int){1}, 1)->flags |= FL__SUBMISSION_DEADLINE;
		(void)post(&p);
	}
	/* The earlier deadline was not for this one. */
	(void)order(&p, &worker_doubles, &(int){1}, 1);
	assert_skipped(&p);
	assert_skipped(&p);
	struct fl__completion reply = await(&p); /* while it slept, or before */
	assert_true(reply.error == -ECANCELED || reply.flags == FL__COMPLETION_SKIPPED);
	assert_succeeds(&p, 1);
	assert_skipped(&p);
	assert_succeeds(&p, 1);
}

FL_TEST(worker_deadlines_are_of_one_order)
{
	PARENT(p);
	const fl_time deadline = fl_after(FL_S(3600));
	p.rings.submissions->deadline[slot_of(p.rings.next)] = deadline;
	draft(&p, &worker_tells_its_deadline, NULL, 1)->flags |= FL__SUBMISSION_DEADLINE;
	const uint32_t timed = post(&p), next = order(&p, &worker_tells_its_deadline, NULL, 1);
	assert_succeeds(&p, 1);
	assert_succeeds(&p, 1);
	assert_int_equal(((fl_time *)small_result(&p, timed))->ns, deadline.ns);
	assert_int_equal(((fl_time *)small_result(&p, next))->ns, 0);
}

/* A token that a task has used up is not the next one's. */
FL_TEST(worker_tasks_have_fresh_tokens)
{
	PARENT(p);
	const int args[2] = {1, 2};
	(void)order(&p, &worker_requests_itself, NULL, 1);
	(void)order(&p, &worker_doubles, args, 2);
	assert_succeeds(&p, 1);
	assert_succeeds(&p, 2);
}

/* Ending. */

static fl_process_status end_of(struct parent *p)
{
	fl_process_status status = {77, 77};
	FL_OK(fl_process_join(p->process, &status));
	return status;
}

/* bug: locked_stream_keeps_a_worker */
FL_TEST(worker_leaves_while_a_thread_keeps_a_stream)
{
	if (FL_TEST_SANITIZED)
		FL_SKIP("a sanitizer's exit waits for the stream");
	FL_BOTH (out) {
		PARENT(p);
		(void)order(&p, &worker_leaves_a_lock, &(bool){out != 0}, 1);
		*fl__rings_next_entry(&p.rings) = (struct fl__submission){.flags = FL__SUBMISSION_EXIT};
		(void)post(&p);
		FL_OK(await(&p).error);
		assert_int_equal(end_of(&p).code, 0);
	}
}

FL_TEST(worker_leaves_when_its_initializer_fails)
{
	PARENT(p);
	draft(&p, &worker_doubles, &(int){1}, 1)->flags |= FL__SUBMISSION_INITIALIZE;
	(void)post(&p);
	draft(&p, &worker_doubles, &(int){-1}, 1)->flags |= FL__SUBMISSION_INITIALIZE;
	(void)post(&p);
	const uint32_t queued = order(&p, &worker_doubles, &(int){5}, 1);
	assert_int_equal(end_of(&p).code, 0);
	assert_succeeds(&p, 1);
	assert_fails(&p, -ERANGE, "-1 is negative");
	assert_false(fl__rings_has_started(&p.rings, queued));
}

FL_TEST(worker_dies_alone)
{
	const struct {
		const fl_task_type *type;
		int arg, signal, code;
	} rows[] = {{&worker_dies, SIGSEGV, SIGSEGV, -1},
	            {&worker_dies, 3, 0, 3},
	            {&worker_writes_its_argument, 0, SIGSEGV, -1},
	            {&worker_leaves_a_child, 0, SIGABRT, -1}};
	PARENT(other);
	FL_EACH (i, rows) {
		PARENT(p);
		(void)order(&p, &worker_doubles, &(int){4}, 1);
		const uint32_t fatal = order(&p, rows[i].type, &rows[i].arg, 1);
		const uint32_t queued = order(&p, &worker_doubles, &(int){5}, 1);
		fl_process_status status = end_of(&p);
		assert_int_equal(status.signal, rows[i].signal);
		assert_int_equal(status.code, rows[i].code);
		assert_succeeds(&p, 1);
		struct fl__completion reply;
		assert_int_equal(fl__rings_peek(&p.rings, &reply), FL__RINGS_NONE);
		assert_true(fl__rings_has_started(&p.rings, fatal));
		assert_false(fl__rings_has_started(&p.rings, queued));
		assert_int_equal(int_of(&other, &worker_doubles, 6), 12);
	}
}

/* What it cannot begin with. */

static void assert_unfit(struct parent *p, int error)
{
	parent_start(p);
	assert_int_equal(end_of(p).code, 1);
	assert_int_equal(fl__load_acquire(&p->rings.completions->state), FL__WORKER_UNFIT);
	assert_int_equal(p->rings.completions->error, error);
	parent_end(p);
}

FL_TEST(worker_unfit_memory)
{
	enum { TOO_SMALL, TOO_LARGE, MAGIC, SIZE, NO_REGION };
	static const struct {
		long more; /* bytes of the memory */
		int error;
	} rows[] = {[TOO_SMALL] = {-4096, -EBADMSG},
	            [TOO_LARGE] = {4096, -EBADMSG},
	            [MAGIC] = {0, -EPROTO},
	            [SIZE] = {0, -EPROTO},
	            [NO_REGION] = {0, -EPERM}};
	FL_EACH (i, rows) {
		struct parent p;
		parent_make(&p, sizeof(struct fl__submission_ring) + (size_t)rows[i].more,
		            sizeof(struct fl__completion_ring));
		p.rings.submissions->magic += i == MAGIC;
		p.rings.submissions->size += i == SIZE;
		if (i == NO_REGION)
			p.fds[p.n_fds++] = p.fds[FL__WORKER_SUBMISSIONS];
		assert_unfit(&p, rows[i].error);
	}
}

FL_TEST(worker_unfit_replies)
{
	FL_BOTH (no_doorbell) {
		struct parent p;
		parent_make(&p, sizeof(struct fl__submission_ring),
		            sizeof(struct fl__completion_ring) - (no_doorbell ? 0 : 4096));
		p.n_fds -= no_doorbell;
		parent_start(&p);
		assert_int_equal(end_of(&p).code, 1);
		parent_end(&p);
	}
}
