/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The library without a system call, as on an old kernel (ENOSYS) or in a sandbox (EPERM): it does
 * without, or returns the error that the header names. Each case tries both, in a child with a
 * filter.
 */
#include "fl_child.h"
#include "fl_denied.h"
#include "fl_emulated.h"
#include "fl_shm.h"

struct denial {
	long call;
	int error;
	void (*body)(void);
};

enum { NO_FILTER = 3 };

static void run_denied(void *arg)
{
	const struct denial *d = arg;
	if (fl_denied_filter(d->call, d->error, 0, 0) != 0)
		_exit(NO_FILTER);
	d->body();
}

static void expect(long call, void (*body)(void))
{
	static const int errors[] = {ENOSYS, EPERM};
	FL_EACH (i, errors) {
		struct denial d = {call, errors[i], body};
		const int status = fl_test_child(run_denied, &d, NULL, 0);
		if (WIFEXITED(status) && WEXITSTATUS(status) == NO_FILTER)
			FL_SKIP("this system has no filters of system calls");
		assert_int_equal(status, 0);
	}
}

FL_TASK(denied_exits, int, void)
{
	_exit(*arg);
}

static int exit_code(const fl_process_config *config)
{
	fl_process *p = NULL;
	fl_process_status status;
	FL_OK(fl_process_start(&p, config));
	FL_OK(fl_process_join(p, &status));
	fl_process_free(p);
	return status.code;
}

static int start(const fl_process_config *config)
{
	fl_process *p = NULL;
	const int rc = fl_process_start(&p, config);
	FL_CHECK(rc != 0 && p == NULL);
	return rc;
}

enum { BIG = 1 << 20 };

static void without_memfd(void)
{
	static char bytes[BIG];
	fl_shm *region = NULL;
	FL_CHECK(fl_shm_create(&region, 4096) == -ENOSYS && region == NULL);
	fl_pipe *a = NULL, *b = NULL;
	size_t size;
	FL_OK(fl_pipe_create(&a, &b, NULL));
	FL_RC(fl_pipe_send(a, bytes, BIG), -ENOSYS);
	FL_RC(fl_pipe_try_send(a, bytes, BIG), -ENOSYS);
	FL_OK(fl_pipe_send(a, "x", 1));
	FL_CHECK(fl_pipe_recv(b, bytes, BIG, &size) == 0 && size == 1);
	fl_pipe_free(a);
	fl_pipe_free(b);
	fl_executor *e = NULL;
	fl_future *f = NULL;
	FL_OK(fl_process_executor_create(&e, NULL));
	FL_OK(denied_exits_submit(e, 0, &f));
	FL_CHECK(fl_future_wait(f) == 0 && fl_future_error(f) == -ENOTRECOVERABLE);
	fl_future_free(f);
	fl_executor_free(e);
}

FL_TEST(denied_memfd_create)
{
	FL_NEEDS(FL_TEST_PROCESSES);
	if (!fl_test_children_have_threads())
		FL_SKIP(FL_TEST_CHILDREN_REASON);
	expect(SYS_memfd_create, without_memfd);
}

static int nothing(void *arg)
{
	return 0;
}

static void without_eventfd(void)
{
	fl_loop *l = NULL;
	fl_executor *e = NULL;
	FL_CHECK(fl_loop_create(&l, NULL) == -ENOSYS && l == NULL);
	FL_RC(fl_loop_run(nothing, NULL), -ENOSYS);
	FL_CHECK(fl_loop_executor_create(&e, NULL) == -ENOSYS && e == NULL);
	FL_OK(fl_process_executor_create(&e, NULL));
	FL_RC(denied_exits_submit(e, 0, NULL), -ENOSYS);
	fl_executor_free(e);
	FL_CHECK(exit_code(&(fl_process_config){.program = "true"}) == 0);
	const fl_process_config fork = {.task = &denied_exits, .arg = &(int){5}, .method = FL_PROCESS_FORK};
	FL_CHECK(exit_code(&fork) == 5);
	FL_CHECK(exit_code(&(fl_process_config){.task = &denied_exits, .arg = &(int){6}}) == 6);
}

FL_TEST(denied_eventfd2)
{
	FL_NEEDS(FL_TEST_PIDFD);
	if (!fl_test_forks_alone())
		FL_SKIP(FL_TEST_ALONE_REASON);
	expect(SYS_eventfd2, without_eventfd);
}

/* A start that fails has run nothing: the task would write to the pipe. */
FL_TASK(denied_writes, int, void)
{
	(void)!write(*arg, "x", 1);
	return 0;
}

static void without_pidfd(void)
{
	int ends[2];
	char byte;
	FL_OK(pipe(ends));
	const fl_process_config by_fork = {.task = &denied_writes, .arg = &ends[1], .method = FL_PROCESS_FORK};
	fl_process *p = NULL;
	FL_CHECK(fl_process_start(&p, &by_fork) == -ENOSYS && p == NULL);
	FL_RC(fl_process_preload(), -ENOSYS);
	FL_CHECK(close(ends[1]) == 0 && read(ends[0], &byte, 1) == 0);
	FL_RC(start(&(fl_process_config){.task = &denied_exits, .arg = &(int){0}}), -ENOSYS);
	FL_CHECK(exit_code(&(fl_process_config){.program = "true"}) == 0);
	const fl_process_config exec = {.task = &denied_exits, .arg = &(int){7}, .method = FL_PROCESS_EXEC};
	FL_CHECK(exit_code(&exec) == 7);
}

FL_TEST(denied_pidfd_open)
{
	FL_NEEDS(FL_TEST_EVENTFD);
	if (!fl_test_forks_alone())
		FL_SKIP(FL_TEST_ALONE_REASON);
	expect(SYS_pidfd_open, without_pidfd);
}

static int put_some(void *q)
{
	for (int i = 0; i < 1000; i++)
		FL_OK(fl_queue_put(q, &i));
	fl_queue_close(q);
	return 0;
}

static void without_membarrier(void)
{
	fl_queue *q = NULL;
	fl_thread t;
	int item, expected = 0;
	const fl_queue_config pair = {.capacity = 4, .one_producer = true, .one_consumer = true};
	FL_OK(fl_queue_create(&q, sizeof(int), &pair));
	fl_test_go(&t, put_some, q);
	while (fl_queue_get(q, &item) == 0)
		FL_CHECK(item == expected++);
	FL_CHECK(expected == 1000 && fl_thread_join(&t, NULL) == 0);
	fl_queue_free(q);
	fl_executor *e = NULL;
	FL_OK(fl_thread_executor_create(&e, &(fl_executor_config){.workers = 2}));
	FL_OK(fl_executor_resize(e, 3));
	FL_OK(fl_executor_resize(e, 1));
	fl_executor_free(e);
}

FL_TEST(denied_membarrier)
{
	if (!fl_test_children_have_threads())
		FL_SKIP(FL_TEST_CHILDREN_REASON);
	expect(SYS_membarrier, without_membarrier);
}
