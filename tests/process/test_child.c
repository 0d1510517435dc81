/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Children that were forked by other means, and processes of the library, waited for in threads and
 * in fibers.
 */
#include "fl_faults.h"
#include "fl_fds.h"
#include "fl_fiber.h"
#include "fl_in_loop.h"
#include "fl_process.h"
#include "fl_queued.h"

#include "process/process_sys.h"
#include <signal.h>
#include <sys/wait.h>

/*
 * A child that ends with `code` when the returned end of a pipe is closed; or waits for a signal,
 * for a negative one.
 */
typedef struct child {
	int pid, end;
} child;

static child start(int code)
{
	int ends[2];
	FL_CHECK(pipe2(ends, O_CLOEXEC) == 0);
	int pid = fork();
	FL_CHECK(pid >= 0);
	if (pid == 0) {
		char byte;
		(void)close(ends[1]);
		(void)alarm(60);
		FL_IGNORE(read(ends[0], &byte, 1));
		if (code < 0)
			for (;;)
				(void)pause();
		_exit(code);
	}
	FL_CHECK(close(ends[0]) == 0);
	return (child){pid, ends[1]};
}

static void let_end(const child *c)
{
	FL_CHECK(close(c->end) == 0);
}

/* Others of the loop run while one waits for a child, and the watcher is not asked. */
static uint32_t watcher_calls;

static int count_watch(int epoll, int op, int fd, uint32_t events)
{
	fl__add_relaxed(&watcher_calls, 1); /* relaxed: a count */
	return fl_test_real_fd_sys.epoll_control(epoll, op, fd, events);
}

/* For good, before any thread is there. */
__attribute__((constructor)) static void count_watches(void)
{
	fl__fd_sys.epoll_control = count_watch;
}

static int wait_child(void *arg)
{
	const child *c = arg;
	fl_process_status status;
	int rc = fl_child_wait(c->pid, &status);
	return rc == 0 ? status.code : rc;
}

static int wait_for_three(void *unused)
{
	child c[3];
	fl_fiber *f[3];
	(void)unused;
	for (int i = 0; i < 3; i++) {
		c[i] = start(10 + i);
		f[i] = fl_test_start(wait_child, &c[i]);
	}
	fl_test_look();
	for (int i = 2; i >= 0; i--) {
		FL_CHECK(fl_fiber_is_alive(f[i]));
		let_end(&c[i]);
		FL_CHECK(fl_test_join(f[i]) == 10 + i);
	}
	return 0;
}

FL_TEST(child_wait_by_fibers_of_a_loop)
{
	fl__store_relaxed(&watcher_calls, 0);
	fl_test_in_loop(wait_for_three, NULL);
	assert_int_equal(fl__load_relaxed(&watcher_calls), 0);
}

/* fl_process_join_until() in a fiber waits by the loop, too. */
static int join_process(void *unused)
{
	static const char *const sleep_arguments[] = {"sleep", "1000", NULL}, *const true_arguments[] = {"true", NULL};
	fl_process *p;
	fl_process_status status;
	(void)unused;
	FL_CHECK(fl_process_start(&p, &(fl_process_config){.program = "true", .argv = true_arguments}) == 0);
	fl__store_relaxed(&watcher_calls, 0);
	FL_CHECK(fl_process_join_until(p, &status, fl_after(FL_S(60)), NULL) == 0 && status.code == 0);
	fl_process_free(p);
	FL_CHECK(fl_process_start(&p, &(fl_process_config){.program = "sleep", .argv = sleep_arguments}) == 0);
	fl__store_relaxed(&watcher_calls, 0);
	FL_CHECK(fl_process_join_until(p, &status, fl_after(FL_MS(1)), NULL) == -ETIMEDOUT);
	FL_CHECK(fl_process_kill(p) == 0);
	FL_CHECK(fl_process_join(p, &status) == 0 && status.signal == SIGKILL);
	FL_CHECK(fl__load_relaxed(&watcher_calls) == 0);
	fl_process_free(p);
	return 0;
}

FL_TEST(child_process_is_joined_by_a_fiber)
{
	fl_test_in_loop(join_process, NULL);
}

static struct fl__process_sys real_os;

__attribute__((constructor)) static void keep_os(void)
{
	real_os = fl__process_sys;
}

static int wait_in_every_way(void *unused)
{
	fl_process_status status = {7, 7};
	fl_cancel_token stop = FL_CANCEL_TOKEN_INIT;
	(void)unused;
	FL_CHECK(fl_child_wait(0, &status) == -EINVAL);
	FL_CHECK(fl_child_wait_until(-1, &status, 0, NULL) == -EINVAL);
	FL_CHECK(fl_child_wait(getppid(), &status) == -ECHILD); /* not a child of this process */
	FL_CHECK(fl_child_wait_until(getppid(), &status, 0, NULL) == -ECHILD);

	child c = start(42);
	FL_CHECK(fl_child_wait_until(c.pid, &status, 0, NULL) == -ETIMEDOUT);
	FL_CHECK(fl_child_wait_until(c.pid, &status, fl_after(FL_MS(3)), NULL) == -ETIMEDOUT);
	fl_cancel_token_request(&stop);
	FL_CHECK(fl_child_wait_until(c.pid, &status, FL_FOREVER, &stop) == -ECANCELED);
	{
		FL_CANCEL_SCOPE(&stop);
		FL_CHECK(fl_child_wait(c.pid, &status) == -ECANCELED);
	}
	let_end(&c);
	FL_CHECK(fl_child_wait(c.pid, &status) == 0 && status.code == 42 && status.signal == 0);
	FL_CHECK(fl_child_wait(c.pid, &status) == -ECHILD); /* it was collected */

	c = start(-1);
	FL_CHECK(kill(c.pid, SIGTERM) == 0);
	FL_CHECK(fl_child_wait_until(c.pid, &status, fl_after(FL_S(60)), NULL) == 0);
	FL_CHECK(status.code == -1 && status.signal == SIGTERM);
	let_end(&c);

	c = start(0);
	let_end(&c);
	siginfo_t info;
	FL_CHECK(waitid(P_PID, (id_t)c.pid, &info, WEXITED | WNOWAIT) == 0); /* it has ended */
	FL_CHECK(fl_child_wait_until(c.pid, NULL, 0, NULL) == 0);
	return 0;
}

static void in_every_context(void)
{
	unsigned fds = fl_test_fds();
	FL_OK(wait_in_every_way(NULL));
	fl_test_in_loop(wait_in_every_way, NULL);
	assert_int_equal(fl_test_fds(), fds);
}

FL_TEST(child_wait_in_every_context)
{
	FL_OK(fl_test_in_fiber(wait_in_every_way, NULL));
	in_every_context();
}

static int no_pidfd(int pid)
{
	(void)pid;
	return -ENOSYS;
}

FL_TEST(child_wait_without_pidfd)
{
	fl__process_sys.pidfd = no_pidfd;
	in_every_context();
	fl__process_sys = real_os;
}

static int fail_with;

static int failing_pidfd(int pid)
{
	(void)pid;
	return fail_with;
}

/* fl_child_wait and fl_child_wait_until return the system's error: the child is unchanged. */
FL_TEST(child_wait_fails_whole)
{
	static const int errors[] = {-EMFILE, -ENFILE, -ENOMEM};
	child c = start(3);
	fl_process_status status;
	fl__process_sys.pidfd = failing_pidfd;
	for (int i = 0; i < 3; i++) {
		fail_with = errors[i];
		FL_RC(fl_child_wait_until(c.pid, &status, FL_FOREVER, NULL), errors[i]);
		FL_RC(fl_child_wait(c.pid, &status), errors[i]);
	}
	fl__process_sys = real_os;
	let_end(&c);
	FL_OK(fl_child_wait(c.pid, &status));
	assert_int_equal(status.code, 3);
}
