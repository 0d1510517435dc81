/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The library without a system call, as on an old kernel (ENOSYS) or in a sandbox (EPERM): it does
 * without, or returns the error that the header names. Each case tries both, in a child with a
 * filter.
 */
#include "fl_denials.h"
#include "fl_shm.h"

static struct {
	long call;
	void (*body)(void);
} denied;

static void run_denied(void *error)
{
	fl_test_deny(denied.call, error);
	denied.body();
}

static void expect(long call, void (*body)(void))
{
	denied.call = call;
	denied.body = body;
	FL_WITHOUT(run_denied, ENOSYS, EPERM);
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
	FL_RC(fl_pipe_send_until(a, bytes, BIG, FL_NO_WAIT, FL_SHIELDED), -ENOSYS);
	FL_OK(fl_pipe_send(a, "x", 1));
	FL_CHECK(fl_pipe_receive(b, bytes, BIG, &size) == 0 && size == 1);
	fl_pipe_free(a);
	fl_pipe_free(b);
	fl_executor *e = fl_test_executor(fl_process_executor_create, NULL);
	fl_future *f = FL_SUBMITTED(denied_exits, e, 0);
	FL_CHECK(fl_future_wait(f) == 0 && fl_future_error(f) == -ENOTRECOVERABLE);
	fl_future_free(f);
	fl_executor_free(e);
}

FL_TEST(denied_memfd_create)
{
	FL_NEEDS(FL_TEST_PROCESSES);
	fl_test_needs_threads_in_children();
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
	e = fl_test_executor(fl_process_executor_create, NULL);
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
	fl_thread *t;
	int item, expected = 0;
	const fl_queue_config pair = {.capacity = 4, .one_producer = true, .one_consumer = true};
	fl_queue *q = FL_TEST_QUEUE_OF(sizeof(int), &pair);
	fl_test_go(&t, put_some, q);
	while (fl_queue_get(q, &item) == 0)
		FL_CHECK(item == expected++);
	FL_CHECK(expected == 1000 && fl_thread_join(t, NULL) == 0);
	fl_queue_free(q);
	fl_executor *e = FL_TEST_EXECUTOR(thread, .workers = 2);
	FL_OK(fl_executor_resize(e, 3));
	FL_OK(fl_executor_resize(e, 1));
	fl_executor_free(e);
}

FL_TEST(denied_membarrier)
{
	fl_test_needs_threads_in_children();
	expect(SYS_membarrier, without_membarrier);
}

/*
 * Calls that the library does without. Sandboxes forbid the older ones, and do not know the younger
 * ones: their answer is often -EPERM. Each is denied in turn to a program that uses all parts.
 */

static const struct fl_denied_call dispensable[] = {
    {"preadv2", SYS_preadv2},
    {"pwritev2", SYS_pwritev2},
    {"membarrier", SYS_membarrier},
    {"epoll_pwait2", SYS_epoll_pwait2},
    {"futex_waitv", SYS_futex_waitv},
    {"close_range", SYS_close_range},
    {"faccessat", SYS_faccessat},
    {"faccessat2", SYS_faccessat2},
    {"statx", SYS_statx},
    {"keyctl", SYS_keyctl},
    {"sched_getattr", SYS_sched_getattr},
    {"get_mempolicy", SYS_get_mempolicy},
    {"personality", SYS_personality},
    {"ioprio_get", SYS_ioprio_get},
    {"getrandom", SYS_getrandom},
    {"getcpu", SYS_getcpu},
    {"get_robust_list", SYS_get_robust_list},
    {"unshare", SYS_unshare},
    {"capget", SYS_capget},
    {"pidfd_send_signal", SYS_pidfd_send_signal},
    {"getpriority", SYS_getpriority},
    {"setpriority", SYS_setpriority},
    {"ioprio_set", SYS_ioprio_set},
    {"sched_setattr", SYS_sched_setattr},
#if !FL_TEST_SANITIZED /* the sanitizers' own starts of threads need them */
    {"sched_getaffinity", SYS_sched_getaffinity},
    {"sigaltstack", SYS_sigaltstack},
#endif
    {"sched_yield", SYS_sched_yield},
    {"set_robust_list", SYS_set_robust_list},
    {"rt_sigqueueinfo", SYS_rt_sigqueueinfo},
    {"rt_sigpending", SYS_rt_sigpending},
    {"readlinkat", SYS_readlinkat},
    {"umask", SYS_umask},
    {"madvise", SYS_madvise},
};

FL_TASK(denied_doubles, int, int)
{
	*result = 2 * *arg;
	return 0;
}

static void use_executor(fl_test_create *create)
{
	int numbers[8] = {0, 1, 2, 3, 4, 5, 6, 7}, doubled[8];
	FL_SCOPED(fl_executor) *e = NULL;
	FL_OK(create(&e, &(fl_executor_config){.workers = 2}));
	FL_OK(denied_doubles_map(e, numbers, 8, doubled, NULL));
	FL_EACH (i, doubled)
		FL_CHECK(doubled[i] == 2 * numbers[i]);
}

static int set_event(void *event)
{
	return fl_shm_event_set(event);
}

static void use_shared_memory(void)
{
	fl_shm *region;
	fl_pipe *a, *b;
	fl_thread *setter;
	char text[2];
	size_t size;
	FL_OK(fl_shm_create(&region, 1 << 16));
	struct {
		fl_shm_event never, set;
		fl_shm_mutex mutex;
	} *shared = fl_shm_block_alloc(region, sizeof *shared);
	FL_CHECK(shared != NULL);
	fl_shm_event_init(&shared->never);
	fl_shm_event_init(&shared->set);
	fl_shm_mutex_init(&shared->mutex);
	FL_OK(fl_shm_mutex_lock(&shared->mutex));
	fl_test_go(&setter, set_event, &shared->set);
	FL_CHECK(FL_WAIT_ANY(FL_ON_SHM_EVENT(&shared->never), FL_ON_SHM_EVENT(&shared->set)) == 1);
	FL_OK(fl_thread_join(setter, NULL));
	fl_shm_mutex_unlock(&shared->mutex);
	fl_shm_free(region);
	FL_OK(fl_pipe_create(&a, &b, NULL));
	FL_OK(fl_pipe_send(a, "x", 1));
	FL_CHECK(fl_pipe_receive(b, text, sizeof text, &size) == 0 && size == 1);
	fl_pipe_free(a);
	fl_pipe_free(b);
}

static int use_streams(void *unused)
{
	fl_stream *ends[2];
	char text[2];
	FL_OK(fl_stream_pair(ends));
	FL_OK(fl_stream_write(ends[0], "x", 1));
	FL_CHECK(fl_stream_read_some(ends[1], text, 1) == 1 && text[0] == 'x');
	FL_OK(fl_sleep(FL_MS(1)));
	fl_stream_free(ends[0]);
	fl_stream_free(ends[1]);
	return 0;
}

static void use_descriptors(void)
{
	int ends[2];
	char text[2];
	FL_OK(pipe(ends));
	FL_CHECK(fl_fd_write_some(ends[1], "x", 1) == 1 && fl_fd_read_some(ends[0], text, sizeof text) == 1);
	FL_CHECK(fl_fd_wait_until(ends[0], FL_FD_IN, fl_after(FL_US(100)), NULL) == -ETIMEDOUT);
	FL_OK(close(ends[0]) + close(ends[1]));
}

static void use_processes(void)
{
	FL_SCOPED(fl_process_io) io = {.input = "in", .input_size = 2};
	const fl_process_config exec = {.task = &denied_exits, .arg = &(int){5}, .method = FL_PROCESS_EXEC};
	fl_process_status status;
	FL_OK(fl_process_run(&(fl_process_config){.program = "cat"}, &io, &status));
	FL_CHECK(status.code == 0 && io.out_size == 2 && memcmp(io.out, "in", 2) == 0);
	FL_CHECK(exit_code(&exec) == 5);
	use_executor(fl_process_executor_create);
}

static void use_all(void)
{
	without_membarrier(); /* a queue of one producer and one consumer, and a resize */
	use_executor(fl_thread_executor_create);
	use_executor(fl_loop_executor_create);
	use_shared_memory();
	use_descriptors();
	FL_OK(fl_loop_run(use_streams, NULL));
	use_processes();
}

FL_TEST(denied_calls_that_the_library_does_without)
{
	FL_NEEDS(FL_TEST_PROCESS_POOLS);
	FL_NEEDS(FL_TEST_EVENTFD);
	fl_test_needs_threads_in_children();
	FL_EACH (i, dispensable) {
		print_message("%s\n", dispensable[i].name);
		expect(dispensable[i].number, use_all);
	}
}

/* Calls without which a fork server could not say what it lacks: the start names them. */
static const struct fl_denied_call needed_by_fork_server[] = {
    {"waitid", SYS_waitid},
    {"signalfd4", SYS_signalfd4},
    {"ppoll", SYS_ppoll},
    {"fchdir", SYS_fchdir},
};

static const char *denied_name;
static bool told_name;

FL_TEST_LOG_HANDLER(note_name)
{
	if (strstr(message, denied_name))
		told_name = true;
}

static void without_fork_server(void)
{
	fl_future *f = NULL;
	told_name = false;
	(void)fl_log_set_handler(note_name);
	FL_RC(start(&(fl_process_config){.task = &denied_exits, .arg = &(int){0}}), -ENOSYS);
	FL_CHECK(told_name);
	told_name = false;
	FL_SCOPED(fl_executor) *e = fl_test_executor(fl_process_executor_create, NULL);
	FL_OK(denied_exits_submit(e, 0, &f));
	FL_OK(fl_future_wait(f));
	FL_RC(fl_future_error(f), -ENOTRECOVERABLE);
	FL_CHECK(told_name);
	fl_future_free(f);
}

FL_TEST(denied_calls_that_a_fork_server_needs)
{
	FL_NEEDS(FL_TEST_PROCESS_POOLS);
	fl_test_needs_threads_in_children();
	FL_EACH (i, needed_by_fork_server) {
		denied_name = needed_by_fork_server[i].name;
		expect(needed_by_fork_server[i].number, without_fork_server);
	}
}

/* Calls for which there is no substitute, and whose error is the result. */

static void without_waitid(void)
{
	fl_process *p = NULL;
	FL_OK(fl_process_start(&p, &(fl_process_config){.program = "true"}));
	FL_RC(fl_process_join(p, NULL), -ENOSYS);
	fl_process_free(p);
}

static void without_signalfd(void)
{
	fl_signals *s = NULL;
	const int rc = fl_signals_create(&s, &(int){SIGUSR1}, 1);
#ifdef __GLIBC__
	FL_CHECK(rc == -ENOSYS && s == NULL);
#else
	FL_CHECK(rc == -ENOSYS ? s == NULL : rc == 0); /* musl's signalfd() makes an older call then */
	fl_signals_free(s);
#endif
}

static void without_epoll(void)
{
	fl_loop *l = NULL;
	FL_CHECK(fl_loop_create(&l, NULL) == -ENOSYS && l == NULL);
	FL_RC(fl_loop_run(nothing, NULL), -ENOSYS);
}

static void without_fallocate(void)
{
	fl_shm *region = NULL;
	FL_CHECK(fl_shm_create(&region, 4096) == -ENOSYS && region == NULL);
}

FL_TEST(denied_calls_without_a_substitute)
{
	FL_NEEDS(FL_TEST_PROCESS_POOLS);
	FL_NEEDS(FL_TEST_EVENTFD);
	fl_test_needs_threads_in_children();
	expect(SYS_waitid, without_waitid);
	expect(SYS_signalfd4, without_signalfd);
	expect(SYS_epoll_create1, without_epoll);
	expect(SYS_fallocate, without_fallocate);
}

/* glibc takes ENOSYS of clone3() for an old kernel, and another error for an answer. */
static void without_threads(void *error)
{
	fl_thread *t;
	fl_test_deny(SYS_clone3, error);
	const int rc = fl_thread_start(&t, nothing, NULL, NULL);
	if (rc == 0) /* a C library that makes another call */
		FL_OK(fl_thread_join(t, NULL));
	else
		FL_RC(rc, -EAGAIN);
}

FL_TEST(denied_clone3_says_that_there_are_no_more_threads)
{
	fl_test_needs_threads_in_children();
	FL_WITHOUT(without_threads, EPERM);
}
