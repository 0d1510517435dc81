/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A loop that another loop runs, and another loop that this one runs.
 */
#include "fl_faults.h"
#include "fl_fds.h"
#include "fl_in_loop.h"
#include "fl_queued.h"

#include "core/sync/turn.h"

static fl_time turn(fl_loop *l)
{
	fl_time deadline = FL__TRY;
	FL_OK(fl_loop_run_once(l, &deadline));
	assert_null(fl_loop_current());
	return deadline;
}

/* Turns until all its fibers wait. */
static void let_it_wait(fl_loop *l)
{
	while (turn(l).ns == FL_NO_WAIT.ns)
		;
}

static bool is_readable(fl_loop *l)
{
	struct pollfd fd = {.fd = fl_loop_fd(l), .events = POLLIN};
	return poll(&fd, 1, 0) == 1;
}

/* What a host does: turns, and waits by poll() in between, until the condition. */
static void host(fl_loop *l, const bool *over)
{
	while (!*over) {
		fl_time deadline = turn(l), now = fl_now();
		struct pollfd fd = {.fd = fl_loop_fd(l), .events = POLLIN};
		int ms = -1;
		if (*over)
			return;
		if (!fl__is_forever(deadline))
			ms = fl_time_is_past(deadline) ? 0 : (int)((deadline.ns - now.ns + FL_MS(1) - 1) / FL_MS(1));
		assert_true(poll(&fd, 1, ms) >= 0 || errno == EINTR);
	}
}

typedef struct guest {
	fl_event event;
	bool over;
	unsigned steps;
	fl_fiber *f;
	fl_fiber_function *function;
} guest;

static void start_guest(void *arg)
{
	guest *g = arg;
	g->f = fl_test_start(g->function, g);
}

static void begin(fl_loop *l, guest *g, fl_fiber_function *function)
{
	*g = (guest){.event = FL_EVENT_INIT, .function = function};
	FL_OK(fl_loop_post(l, start_guest, g));
}

static int sleep_a_bit(void *arg)
{
	guest *g = arg;
	for (int i = 0; i < 3; i++) {
		FL_OK(fl_sleep(FL_US(200)));
		fl_fiber_yield();
		g->steps++;
	}
	g->over = true;
	return 0;
}

FL_TEST(loop_embed_sleeps_by_its_host)
{
	guest g;
	int result = -1;
	fl_loop *l = fl_test_loop();
	begin(l, &g, sleep_a_bit);
	host(l, &g.over);
	assert_int_equal(g.steps, 3);
	FL_OK(fl_fiber_try_join(g.f, &result)); /* by the host, between turns */
	assert_int_equal(result, 0);
	fl_loop_free(l);
}

static int wait_event(void *arg)
{
	guest *g = arg;
	int rc = fl_event_wait(&g->event);
	g->over = true;
	return rc;
}

static int wait_until_noon(void *arg)
{
	guest *g = arg;
	int rc = fl_event_wait_until(&g->event, FL__TIME(FL_S(2000000000)), NULL);
	g->over = true;
	return rc;
}

FL_TEST(loop_embed_turn_says_when_to_come_again)
{
	guest g;
	fl_loop_timer t = {0};
	bool fired = false;
	fl_loop *l = fl_test_loop();
	assert_true(fl__is_forever(turn(l)));
	assert_false(is_readable(l));
	fl_loop_timer_start(l, &t, FL__TIME(FL_S(3000000000)), fl_test_set_flag, &fired);
	assert_true(turn(l).ns == FL_S(3000000000));
	begin(l, &g, wait_until_noon);
	assert_true(is_readable(l));
	assert_true(turn(l).ns == FL_NO_WAIT.ns); /* the fiber was started, and is runnable */
	assert_true(turn(l).ns == FL_S(2000000000));
	assert_false(is_readable(l));
	assert_true(turn(l).ns == FL_S(2000000000)); /* for no reason: as well */
	fl_event_set(&g.event);
	assert_true(is_readable(l));
	assert_true(turn(l).ns == FL_S(3000000000));
	assert_true(g.over);
	assert_false(is_readable(l));
	fl_loop_timer_start(l, &t, fl_now(), fl_test_set_flag, &fired);
	while (!fired)
		assert_true(turn(l).ns != FL__TRY.ns);
	assert_true(fl__is_forever(turn(l)));
	FL_OK(fl_fiber_try_join(g.f, NULL));
	fl_loop_free(l);
}

/* Another thread wakes a fiber between turns: the host's poll() ends. Many wakes are one ring. */
static int set_event(void *event)
{
	fl_event_set(event);
	return 0;
}

FL_TEST(loop_embed_is_woken_by_threads)
{
	guest g;
	fl_loop *l = fl_test_loop();
	for (unsigned i = 0; i < fl_test_scaled(300); i++) {
		fl_thread *t;
		begin(l, &g, wait_event);
		let_it_wait(l);
		assert_int_equal(fl_test_queued(&g.event), 1);
		fl_test_go(&t, set_event, &g.event);
		host(l, &g.over);
		fl_test_end(t);
		FL_OK(fl_fiber_try_join(g.f, NULL));
	}
	fl_loop_free(l);
}

static int set_events(void *guests)
{
	guest *g = guests;
	for (int i = 0; i < 10; i++)
		fl_event_set(&g[i].event);
	return 0;
}

FL_TEST(loop_embed_many_wakes_are_one_ring)
{
	FL_POLLER_FAULTS();
	guest g[10];
	fl_test_poller_count();
	fl_loop *l = fl_test_loop();
	FL_EACH (i, g)
		begin(l, &g[i], wait_event);
	assert_int_equal(fl_test_polled.rings, 0); /* the loop does not sleep yet */
	let_it_wait(l);
	fl_test_on_thread(set_events, g);
	assert_int_equal(fl_test_polled.rings, 1);
	assert_true(fl__is_forever(turn(l)));
	FL_EACH (i, g) {
		assert_true(g[i].over);
		FL_OK(fl_fiber_try_join(g[i].f, NULL));
	}
	assert_int_equal(fl_test_polled.rings, 1);
	fl_loop_free(l);
}

/* A cancel from the host, which is outside of the loop between turns. */
FL_TEST(loop_embed_is_cancelled_by_its_host)
{
	guest g;
	int result = 0;
	fl_loop *l = fl_test_loop();
	begin(l, &g, wait_event);
	let_it_wait(l);
	FL_RC(fl_fiber_try_join(g.f, NULL), -EAGAIN);
	FL_RC(fl_fiber_join(g.f, NULL), -EDEADLK);
	fl_fiber_cancel(g.f);
	assert_true(is_readable(l));
	host(l, &g.over);
	FL_OK(fl_fiber_try_join(g.f, &result));
	FL_RC(result, -ECANCELED);
	begin(l, &g, wait_event);
	let_it_wait(l);
	fl_loop_cancel(l);
	host(l, &g.over);
	FL_OK(fl_fiber_try_join(g.f, &result));
	FL_RC(result, -ECANCELED);
	fl_loop_free(l);
}

/* In an epoll of others, level-triggered and edge-triggered. */
FL_TEST(loop_embed_in_another_epoll)
{
	const uint32_t kinds[] = {EPOLLIN, EPOLLIN | EPOLLET};
	FL_EACH (i, kinds) {
		guest g;
		fl_thread *t;
		struct epoll_event event = {.events = kinds[i]};
		int outer = epoll_create1(EPOLL_CLOEXEC);
		assert_true(outer >= 0);
		fl_loop *l = fl_test_loop();
		FL_OK(epoll_ctl(outer, EPOLL_CTL_ADD, fl_loop_fd(l), &event));
		begin(l, &g, wait_event);
		let_it_wait(l);
		while (epoll_wait(outer, &event, 1, 0) > 0) /* an edge of the calls, perhaps */
			assert_true(fl__is_forever(turn(l)));
		fl_test_go(&t, set_event, &g.event);
		FL_WAIT_FOR(epoll_wait(outer, &event, 1, 0) == 1);
		let_it_wait(l);
		assert_true(g.over);
		assert_int_equal(epoll_wait(outer, &event, 1, 0), 0);
		fl_test_end(t);
		FL_OK(fl_fiber_try_join(g.f, NULL));
		fl_loop_free(l);
		FL_OK(close(outer));
	}
}

/* Turns, then a run, then turns; and freed while it is armed, with fibers that wait. */
static int wait_for_good(void *arg)
{
	guest *g = arg;
	fl_fiber_detach(fl_fiber_current());
	g->steps++;
	int rc = fl_event_wait(&g->event);
	g->over = true;
	return rc;
}

FL_TEST(loop_embed_and_run)
{
	guest g;
	int number = 9;
	fl_loop *l = fl_test_loop();
	assert_true(fl__is_forever(turn(l)));
	assert_int_equal(fl_loop_run_on(l, fl_test_return_int, &number), 9);
	assert_true(fl__is_forever(turn(l)));
	begin(l, &g, wait_for_good);
	let_it_wait(l);
	assert_true(g.steps == 1 && !g.over);
	fl_loop_free(l); /* cancels it */
	assert_true(g.over);
}

/* A watch of the guest makes the loop's descriptor readable. */
static void read_byte(fl_loop_watch *w, int fd, unsigned events, void *flag)
{
	char byte;
	FL_CHECK(events == FL_FD_IN);
	FL_CHECK(read(fd, &byte, 1) == 1);
	*(bool *)flag = true;
}

FL_TEST(loop_embed_with_watches)
{
	int ends[2];
	bool over = false;
	fl_loop_watch w = {0};
	FL_OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends));
	fl_loop *l = fl_test_loop();
	FL_OK(fl_loop_watch_start(l, &w, ends[0], FL_FD_IN, read_byte, &over));
	assert_true(fl__is_forever(turn(l)));
	assert_false(is_readable(l));
	assert_int_equal(write(ends[1], "x", 1), 1);
	assert_true(is_readable(l));
	host(l, &over);
	fl_loop_watch_cancel(&w);
	fl_loop_free(l);
	fl_test_close_two(ends);
}

/* Two loops on one thread, in turns: a fiber of one wakes a fiber of the other. */
typedef struct pair {
	fl_sem ping, pong;
	unsigned rounds;
	bool over;
} pair;

static void start_ping(void *arg);
static void start_pong(void *arg);

static int play_ping(void *arg)
{
	pair *p = arg;
	for (unsigned i = 0; i < p->rounds; i++) {
		fl_sem_release(&p->ping);
		FL_OK(fl_sem_acquire(&p->pong));
	}
	p->over = true;
	return 0;
}

static int play_pong(void *arg)
{
	pair *p = arg;
	for (unsigned i = 0; i < p->rounds; i++) {
		FL_OK(fl_sem_acquire(&p->ping));
		fl_sem_release(&p->pong);
	}
	return 0;
}

static void start_ping(void *arg)
{
	fl_fiber_detach(fl_test_start(play_ping, arg));
}

static void start_pong(void *arg)
{
	fl_fiber_detach(fl_test_start(play_pong, arg));
}

FL_TEST(loop_embed_two_on_one_thread)
{
	pair p = {FL_SEM_INIT(0), FL_SEM_INIT(0), 200, false};
	fl_loop *a, *b;
	FL_OK(fl_loop_create(&a, NULL));
	FL_OK(fl_loop_create(&b, NULL));
	FL_OK(fl_loop_post(a, start_ping, &p));
	FL_OK(fl_loop_post(b, start_pong, &p));
	while (!p.over) {
		fl_time first = turn(a), second = turn(b);
		struct pollfd fds[] = {{.fd = fl_loop_fd(a), .events = POLLIN},
		                       {.fd = fl_loop_fd(b), .events = POLLIN}};
		if (!p.over && first.ns != FL_NO_WAIT.ns && second.ns != FL_NO_WAIT.ns)
			assert_true(poll(fds, 2, -1) > 0 || errno == EINTR);
	}
	fl_loop_free(a);
	fl_loop_free(b);
}

/*
 * A foreign loop on this one: a descriptor, a time, and its work when either is due. As in curl and
 * libuv.
 */
typedef struct foreign {
	int epoll, event;
	fl_time timeout;
	unsigned events, timeouts;
	fl_loop_timer timer;
	fl_loop_watch watch;
	fl_event over;
} foreign;

static void foreign_turn(foreign *f)
{
	struct epoll_event event;
	uint64_t count;
	while (epoll_wait(f->epoll, &event, 1, 0) == 1) {
		FL_CHECK(read(f->event, &count, sizeof count) == sizeof count);
		f->events += (unsigned)count;
	}
	if (fl_time_is_past(f->timeout)) {
		f->timeouts++;
		f->timeout = fl_after(FL_US(100));
	}
	if (f->events >= 5 && f->timeouts >= 3)
		fl_event_set(&f->over);
}

static void foreign_timer(void *arg)
{
	foreign *f = arg;
	foreign_turn(f);
	fl_loop_timer_start(fl_loop_current(), &f->timer, f->timeout, foreign_timer, f);
}

static void foreign_watch(fl_loop_watch *w, int fd, unsigned events, void *arg)
{
	foreign_turn(arg);
}

static int host_foreign(void *unused)
{
	foreign f = {.epoll = epoll_create1(EPOLL_CLOEXEC),
	             .event = eventfd(0, EFD_CLOEXEC),
	             .over = FL_EVENT_INIT,
	             .timeout = FL_NO_WAIT};
	struct epoll_event event = {.events = EPOLLIN};
	const uint64_t one = 1;
	FL_CHECK(f.epoll >= 0 && f.event >= 0);
	FL_OK(epoll_ctl(f.epoll, EPOLL_CTL_ADD, f.event, &event));
	FL_OK(fl_loop_watch_start(fl_loop_current(), &f.watch, f.epoll, FL_FD_IN, foreign_watch, &f));
	foreign_timer(&f);
	for (int i = 0; i < 5; i++) {
		FL_CHECK(write(f.event, &one, sizeof one) == sizeof one);
		fl_test_look();
	}
	FL_OK(fl_event_wait(&f.over));
	fl_loop_timer_cancel(fl_loop_current(), &f.timer);
	fl_loop_watch_cancel(&f.watch);
	FL_OK(close(f.epoll));
	FL_OK(close(f.event));
	return 0;
}

FL_TEST(loop_embed_hosts_a_foreign_loop)
{
	unsigned fds = fl_test_fds();
	fl_test_in_loop(host_foreign, NULL);
	assert_int_equal(fl_test_fds(), fds);
}

/* What a fiber asks for when the end of its loop cancels it is called, too. */
static int asks_for_a_call_at_its_end(void *called)
{
	FL_RC(fl_sleep(FL_S(3600)), -ECANCELED);
	FL_OK(fl_loop_post(fl_loop_current(), fl_test_set_flag, called));
	return 0;
}

static void start_detached(void *called)
{
	fl_fiber_detach(fl_test_start(asks_for_a_call_at_its_end, called));
}

FL_TEST(loop_embed_free_makes_the_calls_of_its_fibers)
{
	bool called = false;
	fl_time deadline;
	fl_loop *l = fl_test_loop();
	FL_OK(fl_loop_post(l, start_detached, &called));
	for (int i = 0; i < 3; i++)
		FL_OK(fl_loop_run_once(l, &deadline));
	fl_loop_free(l);
	assert_true(called);
}

/* The host locks, between two iterations, what a fiber of its loop waits for. */

static fl_mutex shared;
static unsigned waits;

static int lock_briefly(void *arg)
{
	FL_LOCKED(&shared);
	((guest *)arg)->over = true;
	return 0;
}

/* Locks, and starts the fiber, which then waits for the mutex. */
static void lock_before_the_fiber(fl_loop *l, guest *g)
{
	fl_mutex_lock(&shared);
	begin(l, g, lock_briefly);
	let_it_wait(l);
	fl_test_clock_ours();
}

/* A millisecond after its wake, the fiber is handed the mutex. */
FL_TEST(embed_host_locks_what_was_handed_to_a_fiber)
{
	FL_FAULTS();
	guest g;
	fl_loop *l = fl_test_loop();
	lock_before_the_fiber(l, &g);
	fl_mutex_unlock(&shared);
	fl__store_relaxed(&fl_test_ahead, FL_MS(2));
	for (int i = 0; i < 1000; i++) {
		FL_LOCKED(&shared);
		assert_false(g.over);
	}
	FL_CHECK(fl__mutex_is_busy(&shared)); /* the fiber waits */
	host(l, &g.over);
	FL_OK(fl_fiber_try_join(g.f, NULL));
	FL_CHECK(!fl__mutex_is_busy(&shared));
	fl_loop_free(l);
}

static int hold_until_all_wait(void *held)
{
	FL_LOCKED(&shared);
	fl_event_set(held);
	FL_WAIT_FOR(fl_test_queued(&shared) == waits);
	return 0;
}

static int wait_outside(void *m)
{
	fl_mutex_lock(m);
	fl_mutex_unlock(m);
	return 0;
}

/* The host waits for the mutex behind a fiber, and before it, perhaps, a thread. */
static void check_queue(bool thread)
{
	guest g;
	fl_thread *holder, *other;
	fl_event held = FL_EVENT_INIT;
	fl_loop *l = fl_test_loop();
	waits = thread ? 3 : 2;
	fl_test_go(&holder, hold_until_all_wait, &held);
	FL_OK(fl_event_wait(&held));
	if (thread) {
		fl_test_go(&other, wait_outside, &shared);
		FL_WAIT_FOR(fl_test_queued(&shared) == 1);
	}
	begin(l, &g, lock_briefly);
	let_it_wait(l);
	fl_mutex_lock(&shared);
	assert_false(g.over);
	fl_mutex_unlock(&shared);
	host(l, &g.over);
	FL_OK(fl_fiber_try_join(g.f, NULL));
	FL_OK(fl_thread_join(holder, NULL));
	if (thread)
		FL_OK(fl_thread_join(other, NULL));
	FL_CHECK(!fl__mutex_is_busy(&shared));
	fl_loop_free(l);
}

FL_TEST(embed_host_does_not_wait_behind_a_fiber)
{
	check_queue(false);
	check_queue(true);
}

struct teller {
	guest guest;
	fl_cond cond;
	bool handed, told;
};

/*
 * The host waits. The mutex is free, and the fiber competes for it; or it was handed to the fiber.
 */
static int tell_the_host(void *arg)
{
	struct teller *t = arg;
	enum { HAND = 4 }; /* of lib/core/sync/mutex.c */
	FL_WAIT_FOR(fl_test_queued(&t->cond) == 1);
	if (t->handed)
		FL_WAIT_FOR(fl__load_relaxed(&shared.word_) & HAND);
	else
		fl_mutex_lock(&shared);
	t->told = true;
	fl_cond_signal(&t->cond);
	if (!t->handed)
		fl_mutex_unlock(&shared);
	return 0;
}

/* The next unlock of this thread hands the mutex to the fiber, which was woken a turn before. */
static void let_the_turn_end(void)
{
	fl_mutex_unlock(&shared);
	fl__store_relaxed(&fl_test_ahead, FL_MS(2));
	for (int i = 1; i < FL__CALLS_PER_CHECK; i++) {
		FL_LOCKED(&shared);
	}
	fl_mutex_lock(&shared);
}

static void check_signal(bool handed)
{
	FL_FAULTS();
	fl_thread *other;
	struct teller t = {.handed = handed, .cond = FL_COND_INIT};
	fl_loop *l = fl_test_loop();
	lock_before_the_fiber(l, &t.guest);
	if (handed)
		let_the_turn_end();
	fl_test_go(&other, tell_the_host, &t);
	while (!t.told)
		FL_OK(fl_cond_wait(&t.cond, &shared));
	assert_false(t.guest.over);
	fl_mutex_unlock(&shared);
	FL_OK(fl_thread_join(other, NULL));
	host(l, &t.guest.over);
	FL_OK(fl_fiber_try_join(t.guest.f, NULL));
	FL_CHECK(!fl__mutex_is_busy(&shared));
	fl_loop_free(l);
}

FL_TEST(embed_host_signalled_goes_before_a_fiber)
{
	check_signal(false);
	check_signal(true);
}
