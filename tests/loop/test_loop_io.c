/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The base of streams: descriptors that fibers read and write, registered once
 * (lib/loop/net/fd_io.h).
 */
#include "fl_faults.h"
#include "fl_fds.h"
#include "fl_in_loop.h"
#include "fl_poller.h"

#include "loop/net/fd_io.h"

typedef struct ends {
	struct fl__io io;
	int fds[2]; /* [0] is in io */
	int rc;
	bool done;
} ends;

static void open_ends(ends *e)
{
	*e = (ends){.rc = 1};
	FL_OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, e->fds));
	FL_OK(fl__io_open(&e->io, fl_loop_current(), e->fds[0]));
}

static void close_ends(ends *e)
{
	FL_CHECK(fl__io_close(&e->io) == e->fds[0]);
	FL_OK(close(e->fds[0]));
	if (e->fds[1] >= 0)
		FL_OK(close(e->fds[1]));
}

/* Reads as a stream does: what there is; 0 at the end. */
static ssize_t receive(ends *e, void *buffer, size_t size, int64_t deadline)
{
	for (;;) {
		ssize_t n = recv(e->fds[0], buffer, size, 0);
		if (n >= 0 && (size_t)n < size && n > 0)
			fl__io_partly_drained(&e->io);
		if (n >= 0)
			return n;
		FL_CHECK(errno == EAGAIN);
		fl__io_drained(&e->io, FL__IO_IN);
		int rc = fl__io_wait(&e->io, FL__IO_IN, deadline, NULL);
		if (rc != 0)
			return rc;
	}
}

static int read_three(void *arg)
{
	ends *e = arg;
	char buffer[8];
	for (int i = 0; i < 3; i++)
		FL_CHECK(receive(e, buffer, sizeof buffer, FL_FOREVER) == 1 && buffer[0] == 'a' + i);
	FL_CHECK(receive(e, buffer, sizeof buffer, FL_FOREVER) == 0);
	e->done = true;
	return 0;
}

FL_TEST_WITH(loop_io_reads_by_edges, fl_test_body_in_loop, void)
{
	ends e;
	open_ends(&e);
	fl_fiber *f = fl_test_start(read_three, &e);
	for (const char *c = "abc"; *c; c++) {
		fl_test_look();
		FL_CHECK(write(e.fds[1], c, 1) == 1);
	}
	fl_test_look();
	FL_CHECK(!e.done);
	FL_OK(close(e.fds[1]));
	e.fds[1] = -1;
	FL_CHECK(fl_test_join(f) == 0 && e.done);
	close_ends(&e);
}

/* The end comes in one edge with the last bytes: a reader that takes them in parts finds it. */
FL_TEST_WITH(loop_io_hears_of_the_end, fl_test_body_in_loop, void)
{
	ends e;
	char buffer[8];
	open_ends(&e);
	FL_CHECK(fl__io_ready(&e.io, FL__IO_IN)); /* unknown: it is worth an attempt */
	FL_CHECK(recv(e.fds[0], buffer, sizeof buffer, 0) == -1);
	fl__io_drained(&e.io, FL__IO_IN);
	FL_CHECK(write(e.fds[1], "xyz", 3) == 3 && shutdown(e.fds[1], SHUT_WR) == 0);
	FL_CHECK(receive(&e, buffer, sizeof buffer, FL_FOREVER) == 3);
	FL_CHECK(receive(&e, buffer, sizeof buffer, fl_after(FL_S(60))) == 0);
	FL_CHECK(receive(&e, buffer, sizeof buffer, fl_after(FL_S(60))) == 0);
	close_ends(&e);
}

static int wait_in(void *arg)
{
	ends *e = arg;
	e->rc = fl__io_wait(&e->io, FL__IO_IN, FL_FOREVER, NULL);
	e->done = true;
	return 0;
}

static void drain(ends *e)
{
	char byte;
	while (recv(e->fds[0], &byte, 1, 0) == 1)
		;
	fl__io_drained(&e->io, FL__IO_IN);
}

FL_TEST_WITH(loop_io_waits_end, fl_test_body_in_loop, void)
{
	ends e;
	static char block[4096];
	open_ends(&e);
	drain(&e);
	FL_RC(fl__io_wait(&e.io, FL__IO_IN, 0, NULL), -ETIMEDOUT);
	FL_RC(fl__io_wait(&e.io, FL__IO_IN, fl_after(FL_US(100)), NULL), -ETIMEDOUT);
	fl_fiber *f = fl_test_start(wait_in, &e);
	fl_test_look();
	/* The other direction is independent. */
	FL_OK(fl__io_wait(&e.io, FL__IO_OUT, FL_FOREVER, NULL));
	fl_fiber_cancel(f);
	FL_CHECK(fl_test_join(f) == 0 && e.rc == -ECANCELED);

	/*
	 * Cancelled, then ready, before it has run: it was cancelled, and the state of the
	 * descriptor is right.
	 */
	e.done = false;
	f = fl_test_start(wait_in, &e);
	fl_test_look();
	FL_CHECK(write(e.fds[1], "x", 1) == 1);
	fl_fiber_cancel(f);
	FL_CHECK(fl_test_join(f) == 0 && e.rc == -ECANCELED);
	fl_test_look();
	FL_CHECK(fl__io_ready(&e.io, FL__IO_IN));

	/* No room, then room. */
	while (send(e.fds[0], block, sizeof block, 0) > 0)
		;
	fl__io_drained(&e.io, FL__IO_OUT);
	FL_RC(fl__io_wait(&e.io, FL__IO_OUT, fl_after(FL_US(100)), NULL), -ETIMEDOUT);
	while (recv(e.fds[1], block, sizeof block, 0) > 0)
		;
	FL_OK(fl__io_wait(&e.io, FL__IO_OUT, FL_FOREVER, NULL));
	close_ends(&e);
}

typedef struct outside {
	struct fl__io *io;
	int rc;
	bool done;
} outside;

static void wait_outside(void *arg)
{
	outside *o = arg;
	FL_OK(fl__io_check(o->io, false)); /* a callback may call, and not wait */
	o->rc = fl__io_check(o->io, true);
	o->done = true;
}

static int no_control(int poller, int op, int fd, uint32_t events, void *owner)
{
	return -ENOMEM;
}

FL_TEST_WITH(loop_io_answers, fl_test_body_in_loop, void)
{
	ends e;
	struct fl__io other;
	fl_loop *l = fl_loop_current();
	fl_loop_timer t = {0};
	open_ends(&e);
	FL_RC(fl__io_open(&other, l, e.fds[0]), -EEXIST);
	FL_RC(fl__io_open(&other, l, -1), -EBADF);
	drain(&e);
	outside o = {&e.io, 1, false};
	fl_loop_timer_start(l, &t, 0, wait_outside, &o);
	while (!o.done)
		fl_fiber_yield();
	FL_CHECK(o.rc == -EINVAL);
	o.done = false;
	FL_OK(fl_loop_post(l, wait_outside, &o));
	while (!o.done)
		fl_fiber_yield();
	FL_CHECK(o.rc == -EINVAL);
	fl__io_drained(&e.io, FL__IO_OUT);
	{
		FL_POLLER_FAULTS();
		fl__poller_sys.control = no_control;
		FL_RC(fl__io_open(&other, l, e.fds[1]), -ENOMEM);
		FL_RC(fl__io_wait(&e.io, FL__IO_OUT, FL_FOREVER, NULL), -ENOMEM);
	}
	FL_OK(fl__io_wait(&e.io, FL__IO_OUT, FL_FOREVER, NULL));
	close_ends(&e);
}

/* A ping-pong over a socket makes no epoll_ctl(). */
static int echo(void *arg)
{
	ends *e = arg;
	char byte;
	while (receive(e, &byte, 1, FL_FOREVER) == 1)
		FL_CHECK(send(e->fds[0], &byte, 1, 0) == 1);
	return 0;
}

static int ping(void *unused)
{
	ends e, mine;
	char byte = 'x';
	open_ends(&e);
	mine = (ends){.fds = {e.fds[1], -1}};
	FL_OK(fl__io_open(&mine.io, fl_loop_current(), mine.fds[0]));
	fl_fiber *f = fl_test_start(echo, &e);
	fl_test_poller_count();
	for (unsigned i = 0; i < fl_test_scaled(1000); i++) {
		FL_CHECK(send(mine.fds[0], &byte, 1, 0) == 1);
		FL_CHECK(receive(&mine, &byte, 1, FL_FOREVER) == 1);
	}
	FL_CHECK(fl_test_polled.controls == 0);
	(void)fl__io_close(&mine.io);
	FL_OK(close(mine.fds[0]));
	e.fds[1] = -1;
	FL_OK(fl_test_join(f));
	close_ends(&e);
	return 0;
}

FL_TEST(loop_io_waits_without_epoll_ctl)
{
	FL_POLLER_FAULTS();
	unsigned fds = fl_test_fds();
	fl_test_in_loop(ping, NULL);
	assert_int_equal(fl_test_fds(), fds);
}
