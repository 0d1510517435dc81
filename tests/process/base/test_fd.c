/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Waits for foreign descriptors, by threads and by fibers: fairlead/fd.h, and how a fiber of a loop
 * waits through it. Also for processes.
 */
#include "fl_faults.h"
#include "fl_fds.h"
#include "fl_in_loop.h"
#include "fl_process.h"
#include "fl_queued.h"

typedef struct ends {
	int near, far;
} ends;

static ends open_ends(void)
{
	int fds[2];
	FL_OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds));
	return (ends){fds[0], fds[1]};
}

static void close_ends(const ends *e)
{
	FL_OK(close(e->near));
	FL_OK(close(e->far));
}

#define ENDS(e) __attribute__((cleanup(close_ends))) ends e = open_ends()

static void ring(int fd)
{
	FL_CHECK(write(fd, "x", 1) == 1);
}

static void wait_without_descriptors(void *unused)
{
	const struct rlimit none = {0, 0};
	char byte;
	ends e = open_ends();
	FL_OK(setrlimit(RLIMIT_NOFILE, &none));
	FL_RC((int)fl_fd_read_some_until(e.near, &byte, 1, fl_test_soon(), NULL), -ETIMEDOUT);
	_exit(0);
}

/*
 * poll() refuses more descriptors than that limit. The read tried again, and nobody asked for the
 * time.
 */
FL_TEST(fd_read_ends_with_its_deadline_under_a_limit_of_no_descriptors)
{
	FL_IN_CHILD(wait_without_descriptors, NULL);
}

/* The number of the watcher's events. */
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

typedef struct player {
	int fd;
	unsigned rounds;
	bool first;
} player;

static int play(void *arg)
{
	const player *p = arg;
	char byte;
	if (p->first)
		ring(p->fd);
	for (unsigned i = 0; i < p->rounds; i++) {
		FL_OK(fl_fd_wait(p->fd, FL_FD_IN));
		FL_CHECK(read(p->fd, &byte, 1) == 1);
		if (!p->first || i + 1 < p->rounds)
			ring(p->fd);
	}
	return 0;
}

static int play_in_loop(void *unused)
{
	ENDS(e);
	player a = {e.near, fl_test_scaled(500), true}, b = {e.far, fl_test_scaled(500), false};
	fl_fiber *f[] = {fl_test_start(play, &a), fl_test_start(play, &b)};
	FL_OK(fl_test_join(f[0]));
	FL_OK(fl_test_join(f[1]));
	return 0;
}

FL_TEST(fd_wait_is_by_the_loop)
{
	fl__store_relaxed(&watcher_calls, 0);
	unsigned fds = fl_test_fds();
	fl_test_in_loop(play_in_loop, NULL);
	assert_int_equal(fl__load_relaxed(&watcher_calls), 0);
	assert_int_equal(fl_test_fds(), fds);
}

/* What holds for every context. */
static int wait_in_every_way(void *unused)
{
	ENDS(e);
	char byte;
	FL_RC(fl_fd_wait(e.near, 0), -EINVAL);
	FL_RC(fl_fd_wait_until(e.near, 1u << 5, FL_NO_WAIT, NULL), -EINVAL);
	FL_RC(fl_fd_wait_until(-1, FL_FD_IN, FL_NO_WAIT, NULL), -EBADF);
	FL_RC(fl_fd_wait_until(e.near, FL_FD_IN, FL_NO_WAIT, NULL), -ETIMEDOUT);
	fl_time deadline = fl_test_soon();
	FL_CHECK(fl_fd_wait_until(e.near, FL_FD_IN, deadline, NULL) == -ETIMEDOUT && fl_time_is_past(deadline));
	FL_OK(fl_fd_wait(e.near, FL_FD_OUT));
	FL_OK(fl_fd_wait(e.near, FL_FD_IN | FL_FD_OUT));
	FL_RC(fl_fd_wait_until(e.near, FL_FD_IN, FL_FOREVER, fl_test_requested), -ECANCELED);
	FL_CANCELS_IN_SCOPE(fl_fd_wait(e.near, FL_FD_IN));
	ring(e.far);
	/* Ready: success, even with an expired deadline and a cancelled scope. */
	FL_OK(fl_fd_wait_until(e.near, FL_FD_IN, FL_NO_WAIT, NULL));
	FL_OK(fl_fd_wait_until(e.near, FL_FD_IN, FL_FOREVER, fl_test_requested));
	FL_OK(fl_fd_wait(e.near, FL_FD_IN));
	FL_CHECK(read(e.near, &byte, 1) == 1);
	FL_OK(shutdown(e.far, SHUT_WR));
	FL_OK(fl_fd_wait(e.near, FL_FD_IN)); /* the end */
	int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	FL_CHECK(file >= 0 && fl_fd_wait(file, FL_FD_IN) == 0);
	FL_OK(close(file));
	return 0;
}

FL_TEST(fd_wait_in_every_context)
{
	FL_OK(wait_in_every_way(NULL));
	fl_test_in_loop(wait_in_every_way, NULL);
}

/*
 * Two fibers wait for the same descriptor, and a third one reads it as a stream does: the loop has
 * one entry for it.
 */
static int wait_in(void *fd)
{
	return fl_fd_wait(*(int *)fd, FL_FD_IN);
}

FL_LOOP_TEST(fd_wait_by_several_fibers)
{
	ENDS(e);
	fl_fiber *f[] = {fl_test_start(wait_in, &e.near), fl_test_start(wait_in, &e.near),
	                 fl_test_start(wait_in, &e.near)};
	fl_test_look();
	ring(e.far);
	FL_EACH (i, f)
		FL_OK(fl_test_join(f[i]));
}

/* Ended from outside: by its own token, from another thread, while it waits. */
FL_LOOP_TEST(fd_wait_is_cancelled)
{
	ENDS(e);
	fl_thread *t;
	fl_fiber *f = fl_test_start(wait_in, &e.near);
	fl_test_look();
	fl_test_go(&t, fl_test_cancel_fiber, f);
	FL_RC(fl_test_join(f), -ECANCELED);
	fl_test_end(t);
	f = fl_test_start(wait_in, &e.near);
	fl_test_look();
	ring(e.far);
	fl_fiber_cancel(f);
	FL_RC(fl_test_join(f), -ECANCELED); /* the loop had not reported it yet */
}

/* The poller cannot take another one: it is waited for all the same. */
FL_TEST_POLLER_CONTROL(refuse_control)
{
	return op == EPOLL_CTL_ADD ? -ENOSPC : fl_test_real_poller.control(poller, op, fd, events, owner);
}

static int wait_without_room(void *unused)
{
	ENDS(e);
	fl__poller_sys.control = refuse_control;
	fl_fiber *f = fl_test_start(wait_in, &e.near);
	fl_test_look();
	ring(e.far);
	FL_OK(fl_test_join(f));
	return 0;
}

FL_TEST(fd_wait_without_room_in_the_poller)
{
	FL_POLLER_FAULTS();
	fl_test_in_loop(wait_without_room, NULL);
}

/* A fiber waits for a process by its loop, too: the watcher thread is not asked. */
FL_LOOP_TEST(process_is_joined_by_a_fiber)
{
	static const char *const sleep_arguments[] = {"sleep", "1000", NULL}, *const true_arguments[] = {"true", NULL};
	fl_process_status status;
	fl_process *p = PROCESS_STARTED(.program = "true", .argv = true_arguments);
	fl__store_relaxed(&watcher_calls, 0);
	FL_CHECK(fl_process_join_until(p, &status, fl_after(FL_S(60)), NULL) == 0 && status.code == 0);
	fl_process_free(p);
	p = PROCESS_STARTED(.program = "sleep", .argv = sleep_arguments);
	fl__store_relaxed(&watcher_calls, 0);
	FL_RC(fl_process_join_until(p, &status, fl_test_soon(), NULL), -ETIMEDOUT);
	FL_OK(fl_process_kill(p));
	FL_CHECK(fl_process_join(p, &status) == 0 && status.signal == SIGKILL);
	FL_CHECK(fl__load_relaxed(&watcher_calls) == 0);
	fl_process_free(p);
}
