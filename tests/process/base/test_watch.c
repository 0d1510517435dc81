/* SPDX-License-Identifier: BSD-2-Clause */
#include "fl_faults.h"
#include "fl_fds.h"
#include "fl_in_loop.h"
#include "fl_queued.h"

#include "process/base/fd_watcher.h"
#include "process/base/packet.h"

typedef struct ends {
	int a, b;
} ends;

static ends make_ends(void)
{
	int sockets[2];
	FL_OK(fl__fd_sys.pair(sockets));
	return (ends){sockets[0], sockets[1]};
}

static void close_ends(const ends *e)
{
	fl__fds_close((const int[]){e->a, e->b}, 2);
}

#define ENDS(e) __attribute__((cleanup(close_ends))) ends e = make_ends()

static void ring(int fd)
{
	FL_OK(fl__packet_send(fd, "x", 1, NULL, 0, FL_NO_WAIT));
}

FL_CALL(wait_readable)
{
	return fl__fd_wait(*(int *)object, POLLIN, deadline, cancel);
}

FL_ALL_NEED(FL_TEST_EVENTFD) /* the watcher does; without it waits check now and then */

FL_TEST(watch_plain_wait)
{
	ENDS(e);
	fl_test_caller c;
	FL_RC(fl__fd_wait(e.a, POLLIN, FL_NO_WAIT, NULL), -ETIMEDOUT);
	fl_time deadline = fl_after(FL_MS(2));
	FL_RC(fl__fd_wait(e.a, POLLIN, deadline, FL_SHIELDED), -ETIMEDOUT);
	assert_true(fl_time_is_past(deadline));
	FL_OK(fl__fd_wait(e.a, POLLOUT, FL_NO_WAIT, NULL));
	fl_test_call_start(&c, wait_readable, &e.a, FL_FOREVER, NULL);
	ring(e.b);
	FL_OK(fl_test_call_end(&c));
	FL_OK(fl__fd_wait(e.a, POLLIN, FL_FOREVER, NULL));
}

/* The wait queue of the object's waiters. */
FL_CALL(wait_any)
{
	return FL_WAIT_ANY_UNTIL(deadline, cancel, FL__ON(fl__on_watched_fd, object));
}

FL_TEST(watch_wakes_a_wait_for_any)
{
	ENDS(e);
	for (int i = 0; i < 3; i++) {
		struct fl__watched_fd w = FL__WATCHED_FD(e.a, POLLIN);
		fl_test_caller c;
		char byte;
		size_t size;
		FL_RC(wait_any(&w, FL_NO_WAIT, NULL), -ETIMEDOUT);
		FL_RC(wait_any(&w, fl_test_soon(), NULL), -ETIMEDOUT);
		fl_test_begin_wait(&c, wait_any, &w);
		assert_true(fl__watched_fd_has_waiter(&w));
		ring(e.b);
		FL_OK(fl_test_call_end(&c));
		assert_false(fl__watched_fd_has_waiter(&w));
		FL_OK(fl__packet_recv(e.a, &byte, 1, &size, NULL, NULL, FL_NO_WAIT));
	}
}

/*
 * Two on one entry, one on another of the same descriptor, and one for another event: each gets its
 * own events.
 */
FL_TEST(watch_many_on_one_descriptor)
{
	ENDS(e);
	static char block[4096];
	struct fl__watched_fd in = FL__WATCHED_FD(e.a, POLLIN), more = FL__WATCHED_FD(e.a, POLLIN),
			      out = FL__WATCHED_FD(e.a, POLLOUT);
	fl_test_caller c[4];
	unsigned n = 0;
	size_t size;
	while (fl__packet_send(e.a, block, sizeof block, NULL, 0, FL_NO_WAIT) == 0)
		n++;
	fl_test_begin_wait(&c[0], wait_any, &in);
	fl_test_call_start(&c[1], wait_any, &in, FL_FOREVER, NULL);
	FL_WAIT_FOR(fl_test_queued(&in) == 2);
	fl_test_begin_wait(&c[2], wait_any, &more);
	fl_test_begin_wait(&c[3], wait_any, &out);
	ring(e.b);
	for (int i = 0; i < 3; i++)
		FL_OK(fl_test_call_end(&c[i]));
	assert_int_equal(fl_test_queued(&out), 1);
	for (unsigned i = 0; i < n; i++)
		FL_OK(fl__packet_recv(e.b, block, sizeof block, &size, NULL, NULL, FL_NO_WAIT));
	FL_OK(fl_test_call_end(&c[3]));
}

enum { MANY = 1000 };
static struct fl__watched_fd many[MANY];

FL_CALL(wait_any_of_many)
{
	fl_on on[MANY];
	FL_EACH (i, on)
		on[i] = (fl_on)FL__ON(fl__on_watched_fd, &many[i]);
	const int rc = fl_wait_any_until(on, MANY, deadline, cancel);
	return rc < 0 ? rc : 0;
}

/* The thread that waits for them sleeps, which ThreadSanitizer does not know. */
__attribute__((no_sanitize("thread"))) static void count_many(unsigned *places, unsigned *others)
{
	*places = *others = 0;
	for (const struct fl__watched_fd *w = &many[0]; w; w = w->next)
		++*places;
	for (const struct fl__watched_fd *w = many[0].others; w; w = w->next)
		++*others;
}

/*
 * An arm and a disarm walked through all waits for the descriptor. Now they walk through the places
 * of a row, of which the descriptor has one.
 */
FL_TEST(watch_of_one_descriptor_by_many_takes_one_place)
{
	ENDS(e);
	fl_test_caller c;
	unsigned places, others;
	FL_EACH (i, many)
		many[i] = (struct fl__watched_fd)FL__WATCHED_FD(e.a, POLLIN);
	fl_test_begin_wait(&c, wait_any_of_many, &many[MANY - 1]);
	count_many(&places, &others);
	assert_int_equal(places, 1);
	assert_int_equal(others, MANY - 1);
	ring(e.b);
	FL_OK(fl_test_call_end(&c));
	FL_EACH (i, many)
		assert_false(fl__watched_fd_has_waiter(&many[i]));
}

FL_TEST(watch_cancel)
{
	ENDS(e);
	fl_cancel_token stop = FL_CANCEL_TOKEN_INIT, past;
	fl_test_cancels(wait_readable, &e.a, &stop);
	FL_RC(fl__fd_wait(e.a, POLLIN, FL_FOREVER, &stop), -ECANCELED);
	fl_cancel_token_init(&past, FL_SHIELDED, fl_test_soon());
	FL_RC(fl__fd_wait(e.a, POLLIN, FL_FOREVER, &past), -ECANCELED);
	FL_CANCEL_SCOPE(&stop);
	FL_RC(fl__fd_wait(e.a, POLLIN, FL_FOREVER, NULL), -ECANCELED);
	FL_RC(fl__fd_wait(e.a, POLLIN, fl_test_soon(), FL_SHIELDED), -ETIMEDOUT);
	ring(e.b);
	/* Ready: success, even in a cancelled scope. */
	FL_OK(fl__fd_wait(e.a, POLLIN, FL_FOREVER, NULL));
}

FL_TEST(watch_hears_of_the_end)
{
	ends e = make_ends();
	struct fl__watched_fd w = FL__WATCHED_FD(e.a, POLLIN);
	fl_test_caller c;
	fl_test_begin_wait(&c, wait_any, &w);
	FL_OK(close(e.b));
	FL_OK(fl_test_call_end(&c));
	FL_OK(close(e.a));
}

/* The number of a descriptor that was watched, and closed, comes again for another file. */
FL_TEST(watch_number_comes_again)
{
	for (unsigned i = 0; i < fl_test_scaled(200); i++) {
		ends e = make_ends();
		struct fl__watched_fd w = FL__WATCHED_FD(e.a, POLLIN);
		int copy = i % 2 ? dup(e.a) : -1; /* so that the kernel does not forget by itself */
		fl_test_caller c;
		fl_test_begin_wait(&c, wait_any, &w);
		ring(e.b);
		FL_OK(fl_test_call_end(&c));
		close_ends(&e);
		if (copy >= 0)
			FL_OK(close(copy));
	}
}

/* ---- fibers, of loops whose pollers are full: they wait by the watcher, too */

FL_TEST_POLLER_CONTROL(refuse_waits)
{
	return events & EPOLLONESHOT ? -ENOSPC : fl_test_real_poller.control(poller, op, fd, events, owner);
}

/* For good, before any thread is there. */
__attribute__((constructor)) static void fill_pollers(void)
{
	fl__poller_sys.control = refuse_waits;
}

typedef struct player {
	int fd, turns;
	bool first;
} player;

static int play(void *arg)
{
	const player *p = arg;
	char byte;
	size_t size;
	for (int i = 0; i < p->turns; i++) {
		if (p->first || i > 0)
			ring(p->fd);
		FL_OK(fl__fd_wait(p->fd, POLLIN, FL_FOREVER, NULL));
		FL_OK(fl__packet_recv(p->fd, &byte, 1, &size, NULL, NULL, FL_NO_WAIT));
	}
	if (!p->first)
		ring(p->fd);
	return 0;
}

/* Two fibers of one thread: a fiber that blocked the thread would wait for itself. */
FL_TEST(watch_suspends_the_fiber_alone)
{
	ENDS(e);
	player p[] = {{e.a, (int)fl_test_scaled(500), true}, {e.b, (int)fl_test_scaled(500), false}};
	fl_test_fibers_here(play, p, sizeof p[0], 2);
}

static int time_out(void *arg)
{
	FL_RC(fl__fd_wait(*(int *)arg, POLLIN, fl_after(FL_MS(2)), NULL), -ETIMEDOUT);
	return 0;
}

FL_TEST(watch_fiber_times_out)
{
	ENDS(e);
	fl_test_in_loop(time_out, &e.a);
}

/* ---- fork */

static void needs_threads_in_children(void)
{
	fl_test_needs_threads_in_children();
}

static void play_in_child(void *unused)
{
	ENDS(e);
	player p[] = {{e.a, 20, true}, {e.b, 20, false}};
	fl_test_fibers_here(play, p, sizeof p[0], 2);
}

FL_TEST(watch_forked_child_has_its_own)
{
	needs_threads_in_children();
	ENDS(e);
	struct fl__watched_fd w = FL__WATCHED_FD(e.a, POLLIN);
	fl_test_caller c;
	/* The watcher runs, and has an entry. */
	fl_test_begin_wait(&c, wait_any, &w);
	FL_IN_CHILD(play_in_child, NULL);
	ring(e.b);
	FL_OK(fl_test_call_end(&c));
}

/* ---- no watcher: in a child, which has none yet */

/* Of sockets; the watcher's own eventfd can be watched. */
static int no_watch(int epoll, int op, int fd, uint32_t events)
{
	int type;
	socklen_t size = sizeof type;
	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0)
		return fl_test_real_fd_sys.epoll_control(epoll, op, fd, events);
	return -ENOMEM;
}

static int wait_both_ways(void *unused)
{
	ENDS(e);
	fl_cancel_token past;
	struct fl__watched_fd w = FL__WATCHED_FD(e.a, POLLIN);
	FL_RC(fl__fd_wait(e.a, POLLIN, fl_after(FL_MS(3)), NULL), -ETIMEDOUT);
	fl_cancel_token_init(&past, FL_SHIELDED, fl_after(FL_MS(3)));
	FL_RC(fl__fd_wait(e.a, POLLIN, FL_FOREVER, &past), -ECANCELED);
	FL_RC(wait_any(&w, fl_after(FL_MS(3)), NULL), -ETIMEDOUT);
	FL_CHECK(!fl__watched_fd_has_waiter(&w));
	ring(e.b);
	FL_OK(fl__fd_wait(e.a, POLLIN, FL_FOREVER, &past));
	FL_OK(wait_any(&w, FL_FOREVER, NULL));
	return 0;
}

static void without_watcher(void *arg)
{
	int (*const event)(void) = fl__process_sys.eventfd;
	FL_FAULTS();
	FL_FD_FAULTS();
	switch (*(const int *)arg) {
	case 0:
		fl__sys.thread_create = fl_test_no_threads;
		break;
	case 1:
		fl__fd_sys.epoll_create = fl_test_no_descriptor;
		break;
	case 2:
		fl__process_sys.eventfd = fl_test_no_descriptor;
		break;
	default:
		fl__fd_sys.epoll_control = no_watch;
	}
	fl_test_in_loop(wait_both_ways, NULL);
	FL_OK(wait_both_ways(NULL));
	ENDS(e);
	player p[] = {{e.a, 10, true}, {e.b, 10, false}};
	fl_test_fibers_here(play, p, sizeof p[0], 2);
	(void)fl_test_faults_end();
	(void)fl_test_fd_faults_end();
	fl__process_sys.eventfd = event;
	play_in_child(NULL); /* and with it, once it can be had */
}

FL_TEST(watch_polls_without_a_watcher)
{
	needs_threads_in_children();
	for (int fault = 0; fault < 4; fault++)
		FL_IN_CHILD(without_watcher, &fault);
}

static int interrupted(struct pollfd *fds, unsigned n, int64_t timeout)
{
	static int turn;
	return ++turn % 3 ? -EINTR : fl_test_real_fd_sys.poll(fds, n, timeout);
}

static int unable(struct pollfd *fds, unsigned n, int64_t timeout)
{
	return -EINVAL;
}

FL_TEST(watch_poll_fails)
{
	ENDS(e);
	FL_FD_FAULTS();
	fl__fd_sys.poll = interrupted;
	FL_RC(fl__fd_poll(e.a, POLLIN), 0);
	FL_RC(fl__fd_wait(e.a, POLLIN, fl_test_soon(), FL_SHIELDED), -ETIMEDOUT);
	fl__fd_sys.poll = unable;
	/* The operation itself reports it. */
	FL_OK(fl__fd_wait(e.a, POLLIN, FL_FOREVER, FL_SHIELDED));
}

/* ---- many */

typedef struct hearer {
	int fd;
	fl_cancel_token *stop;
	unsigned heard;
} hearer;

static int hear(void *arg)
{
	hearer *h = arg;
	char byte;
	size_t size;
	for (;;) {
		int rc = fl__fd_wait(h->fd, POLLIN, FL_FOREVER, h->stop);
		if (rc == -ECANCELED)
			return 0;
		FL_CHECK(rc == 0);
		if (fl__packet_recv(h->fd, &byte, 1, &size, NULL, NULL, FL_NO_WAIT) == 0)
			(void)fl__add_relaxed(&h->heard, 1);
	}
}

static unsigned heard_by(hearer *h, int n)
{
	unsigned sum = 0;
	for (int i = 0; i < n; i++)
		sum += fl__load_relaxed(&h[i].heard);
	return sum;
}

/* Fibers on two threads, four to a descriptor: no ring is lost. */
FL_TEST(watch_loses_no_wake)
{
	enum { PAIRS = 4, SHARE = 4, N = PAIRS * SHARE };
	ends e[PAIRS];
	hearer h[N];
	fl_cancel_token stop = FL_CANCEL_TOKEN_INIT;
	fl_test_fibers threads[2];
	unsigned rings = fl_test_scaled(4000);
	FL_EACH (i, e)
		e[i] = make_ends();
	FL_EACH (i, h)
		h[i] = (hearer){e[i % PAIRS].a, &stop, 0};
	FL_EACH (i, threads)
		fl_test_fibers_begin(&threads[i], hear, &h[i * N / 2], sizeof h[0], N / 2);
	for (unsigned i = 0; i < rings; i++)
		FL_OK(fl__packet_send(e[i % PAIRS].b, "x", 1, NULL, 0, FL_FOREVER));
	FL_WAIT_FOR(heard_by(h, N) == rings);
	fl_cancel_token_request(&stop);
	FL_EACH (i, threads)
		fl_test_fibers_end(&threads[i]);
	FL_EACH (i, e)
		close_ends(&e[i]);
}
