/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Timers of a loop.
 */
#include "fl_faults.h"
#include "fl_in_loop.h"

static unsigned fired[8];
static unsigned n_fired;

static void note(void *number)
{
	FL_CHECK(n_fired < 8);
	fired[n_fired++] = *(unsigned *)number;
}

static unsigned numbers[] = {0, 1, 2, 3, 4, 5, 6, 7};

/* Turns of the loop until so many have fired. */
static void until_fired(unsigned n)
{
	while (n_fired < n)
		fl_fiber_yield();
	fl_test_look();
	FL_CHECK(n_fired == n);
}

/* Of timers with the same deadline the first started comes first. */
FL_LOOP_TEST(loop_timers_with_one_deadline_fire_in_order)
{
	fl_loop *l = fl_loop_current();
	fl_loop_timer t[8] = {{{0}}};
	static const unsigned expected[] = {4, 6, 0, 2, 5, 7, 3, 1};
	const fl_time due = fl_now(), later = fl_time_add(due, FL_US(300));
	n_fired = 0;
	for (unsigned i = 0; i < 8; i++)
		fl_loop_timer_start(l, &t[i ^ 4], i % 2 == 0 ? due : later, note, &numbers[i ^ 4]);
	fl_loop_timer_start(l, &t[1], later, note, &numbers[1]); /* now it was started last */
	while (n_fired < 8)
		FL_OK(fl_sleep(FL_US(50)));
	FL_CHECK(memcmp(fired, expected, sizeof expected) == 0);
}

/* Not before their time, by a clock that goes when the test says so. */
FL_LOOP_TEST(loop_timers_fire_in_time)
{
	FL_FAULTS();
	fl_test_clock_ours();
	fl_loop *l = fl_loop_current();
	fl_loop_timer t[4] = {{{0}}};
	fl_time now = fl_now();
	n_fired = 0;
	for (int i = 0; i < 3; i++)
		fl_loop_timer_start(l, &t[i], fl_time_add(now, FL_S(3600) * (i + 1)), note, &numbers[i]);
	fl_loop_timer_start(l, &t[3], FL_FOREVER, note, &numbers[3]);
	fl_test_look();
	FL_CHECK(n_fired == 0);
	fl__add_relaxed(&fl_test_ahead, FL_S(3601));
	until_fired(1);
	FL_OK(fl_loop_timer_cancel(l, &t[1]));
	FL_RC(fl_loop_timer_cancel(l, &t[1]), -EALREADY);
	fl__add_relaxed(&fl_test_ahead, FL_S(7200));
	until_fired(2);
	FL_CHECK(fired[0] == 0 && fired[1] == 2);
	fl_loop_timer_start(l, &t[0], fl_time_add(now, FL_S(20000)), note, &numbers[4]);
	fl_loop_timer_start(l, &t[0], fl_time_add(now, FL_S(30000)), note, &numbers[5]); /* the new deadline */
	fl__add_relaxed(&fl_test_ahead, FL_S(10000));
	fl_test_look();
	FL_CHECK(n_fired == 2);
	fl__add_relaxed(&fl_test_ahead, FL_S(10000));
	until_fired(3);
	FL_CHECK(fired[2] == 5);
	fl_loop_timer_start(l, &t[0], fl_time_add(now, FL_S(50000)), note, &numbers[6]);
	/* Never: it is no longer started. */
	fl_loop_timer_start(l, &t[0], FL_FOREVER, note, &numbers[6]);
	fl__add_relaxed(&fl_test_ahead, FL_S(100000));
	fl_test_look();
	FL_CHECK(n_fired == 3);
	fl_loop_timer_cancel(l, &t[3]);
}

/* In callbacks: started again, another one stopped, freed. */
typedef struct self_timer {
	fl_loop_timer t;
	struct self_timer *other;
	unsigned left, count;
} self_timer;

static void start_again(void *arg)
{
	self_timer *s = arg;
	s->count++;
	if (--s->left > 0)
		fl_loop_timer_start(fl_loop_current(), &s->t, FL_NO_WAIT, start_again, s);
}

static void stop_other(void *arg)
{
	self_timer *s = arg;
	s->count++;
	fl_loop_timer_cancel(fl_loop_current(), &s->other->t);
}

static void free_both(void *arg)
{
	self_timer *s = arg;
	fl_loop_timer_cancel(fl_loop_current(), &s->other->t);
	free(s->other);
	free(s);
	n_fired++;
}

static self_timer *make_timer(void)
{
	self_timer *s = calloc(1, sizeof *s);
	FL_CHECK(s != NULL);
	return s;
}

FL_LOOP_TEST(loop_timers_change_in_callbacks)
{
	fl_loop *l = fl_loop_current();
	self_timer again = {.left = 5}, a = {.other = NULL}, b = {.other = &a};
	fl_loop_timer_start(l, &again.t, FL_NO_WAIT, start_again, &again);
	while (again.left > 0)
		fl_fiber_yield();
	FL_CHECK(again.count == 5);

	a.other = &b;
	/* Both are due: the first stops the second. */
	fl_loop_timer_start(l, &a.t, FL_NO_WAIT, stop_other, &a);
	fl_loop_timer_start(l, &b.t, FL_NO_WAIT, stop_other, &b);
	fl_test_look();
	FL_CHECK(a.count == 1 && b.count == 0);

	n_fired = 0;
	self_timer *first = make_timer(), *second = make_timer();
	first->other = second;
	second->other = first;
	fl_loop_timer_start(l, &first->t, FL_NO_WAIT, free_both, first);
	fl_loop_timer_start(l, &second->t, FL_NO_WAIT, free_both, second);
	until_fired(1);
}

/* A timer that is always due holds up no other: it fires once a turn. */
FL_LOOP_TEST(loop_timers_that_are_due_starve_no_fiber)
{
	fl_loop *l = fl_loop_current();
	self_timer hog = {.left = UINT32_MAX};
	fl_loop_timer t = {0};
	n_fired = 0;
	fl_loop_timer_start(l, &hog.t, FL_NO_WAIT, start_again, &hog);
	for (int i = 0; i < 20; i++)
		fl_fiber_yield();
	FL_CHECK(hog.count <= 22);
	fl_loop_timer_start(l, &t, fl_after(FL_US(100)), note, &numbers[1]);
	FL_OK(fl_sleep(FL_US(300)));
	until_fired(1);
	fl_loop_timer_cancel(l, &hog.t);
}

/* A callback may start fibers, and wake them. */
static fl_event woken;

static int wake(void *unused)
{
	fl_event_set(&woken);
	return 0;
}

static void start_fiber(void *unused)
{
	fl_fiber_detach(fl_test_start(wake, unused));
}

FL_LOOP_TEST(loop_timers_start_fibers)
{
	fl_loop_timer t = {0};
	fl_event_init(&woken);
	fl_loop_timer_start(fl_loop_current(), &t, fl_after(FL_US(100)), start_fiber, NULL);
	FL_OK(fl_event_wait(&woken));
}

/*
 * 10,000 against a model: started, moved, stopped and fired at random, while time passes. Each
 * fires once, not before its time, and in order.
 */
enum { MOST = 10000 };

typedef struct model_timer {
	fl_loop_timer t;
	fl_time deadline; /* FL_FOREVER: it is not started */
	unsigned fires;
} model_timer;

static model_timer model[MOST];
static int64_t model_now, last_fired;
static unsigned model_started;

static void fire_model(void *arg)
{
	model_timer *m = arg;
	FL_CHECK(fl_time_is_past(m->deadline));
	FL_CHECK(m->deadline.ns >= last_fired); /* in this turn */
	last_fired = m->deadline.ns;
	m->deadline = FL_FOREVER;
	m->fires++;
	model_started--;
}

static uint64_t random_state;

static uint64_t random_number(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static void change_model(fl_loop *l)
{
	model_timer *m = &model[random_number() % MOST];
	if (random_number() % 4 == 0) {
		model_started -= !fl__is_forever(m->deadline);
		m->deadline = FL_FOREVER;
		fl_loop_timer_cancel(l, &m->t);
		return;
	}
	model_started += fl__is_forever(m->deadline);
	m->deadline = FL__TIME(model_now + FL_S(1) + (int64_t)(random_number() % 1000) * FL_S(1));
	fl_loop_timer_start(l, &m->t, m->deadline, fire_model, m);
}

static void check_model(void)
{
	unsigned started = 0;
	FL_EACH (i, model) {
		started += !fl__is_forever(model[i].deadline);
		FL_CHECK(fl__expiry(model[i].deadline) > model_now);
	}
	FL_CHECK(started == model_started);
}

FL_LOOP_TEST(loop_timers_ten_thousand_against_a_model)
{
	FL_FAULTS();
	fl_test_clock_ours();
	fl_loop *l = fl_loop_current();
	random_state = 88172645463325252u;
	model_now = fl_now().ns;
	memset(model, 0, sizeof model);
	model_started = 0;
	for (unsigned round = 0; round < fl_test_scaled(200); round++) {
		for (int i = 0; i < 500; i++)
			change_model(l);
		int64_t step = FL_S(1) * (int64_t)(random_number() % 40);
		fl__add_relaxed(&fl_test_ahead, step);
		model_now += step;
		last_fired = 0;
		fl_test_look();
		check_model();
	}
	fl__add_relaxed(&fl_test_ahead, FL_S(100000));
	last_fired = 0;
	fl_test_look();
	FL_CHECK(model_started == 0);
	unsigned fires = 0;
	FL_EACH (i, model)
		fires += model[i].fires;
	FL_CHECK(fires > 0);
}

/* Those that are started when the loop is freed are forgotten. */
FL_TEST(loop_timers_are_forgotten_with_the_loop)
{
	fl_loop_timer t = {0};
	n_fired = 0;
	fl_loop *l = fl_test_loop();
	fl_loop_timer_start(l, &t, fl_after(FL_S(3600)), note, &numbers[0]);
	fl_loop_free(l);
	assert_int_equal(n_fired, 0);
}

/* A callback that meets a lock waits for it: the fiber that has it goes on, and gives it back. */
static fl_mutex met;

static void meet_lock(void *number)
{
	fl_mutex_lock(&met);
	note(number);
	fl_mutex_unlock(&met);
}

FL_LOOP_TEST(loop_timers_call_back_into_a_lock)
{
	fl_loop_timer t[2] = {{{0}}};
	n_fired = 0;
	fl_mutex_lock(&met);
	FL_EACH (i, t)
		fl_loop_timer_start(fl_loop_current(), &t[i], FL__TIME(i + 1), meet_lock, &numbers[i]);
	fl_test_look();
	FL_CHECK(n_fired == 0);
	FL_OK(fl_sleep(FL_MS(2)));
	FL_CHECK(n_fired == 0);
	fl_mutex_unlock(&met);
	until_fired(2);
	FL_CHECK(fired[0] == 0 && fired[1] == 1);
}
