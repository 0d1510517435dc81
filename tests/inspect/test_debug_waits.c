/* SPDX-License-Identifier: BSD-2-Clause */
/* Deadlocks that happen, across threads and fibers. A token ends the waits once that was said. */
#include "core/sync/reader_bias.h"
#include "fl_debugging.h"

#include "fl_in_loop.h"

enum { SEATS = 3 };

struct table {
	fl_mutex forks[SEATS];
	fl_cancel_token over;
	uint32_t seated;
};

struct seat {
	struct table *table;
	int number;
};

FL_FRAME(take_left, fl_mutex *fork)
{
	lock_here(fork);
	FL_STAYS();
}

static __attribute__((noinline)) int take_right(fl_mutex *fork, fl_cancel_token *over)
{
	const int rc = fl_mutex_lock_until(fork, FL_FOREVER, over);
	FL_STAYS();
	return rc;
}

static int dine(void *arg)
{
	const struct seat *s = arg;
	struct table *t = s->table;
	take_left(&t->forks[s->number]);
	(void)fl__add_relaxed(&t->seated, 1); /* relaxed: a count */
	while (fl__load_relaxed(&t->seated) < SEATS)
		/* Lets the other fibers begin to wait. */
		FL_OK(fl_sleep_until(FL_NO_WAIT, FL_SHIELDED));
	const int rc = take_right(&t->forks[(s->number + 1) % SEATS], &t->over);
	if (rc == 0)
		fl_mutex_unlock(&t->forks[(s->number + 1) % SEATS]);
	fl_mutex_unlock(&t->forks[s->number]);
	return 0;
}

/* When the deadlock was reported, all contexts are told to stop. */
static int free_them(void *table)
{
	FL_WAIT_FOR(heard("3 of 3") > 0 && heard("wants mutex") == SEATS);
	fl_cancel_token_request(&((struct table *)table)->over);
	return 0;
}

static void expect_the_report(void)
{
	HEARD("deadlock: each of these waits for the next", 1);
	HEARD("take_left", SEATS);
	HEARD("take_right", SEATS);
	HEARD("holds mutex", SEATS);
}

FL_TEST(debug_waits_reports_philosophers)
{
	FL_DEBUGGING(FL_DEBUG_WAITS);
	struct table table = {.over = FL_CANCEL_TOKEN_INIT};
	struct seat seats[SEATS];
	fl_thread *threads[SEATS], *rescue;
	FL_EACH (i, seats) {
		seats[i] = (struct seat){&table, i};
		fl_test_go(&threads[i], dine, &seats[i]);
	}
	fl_test_go(&rescue, free_them, &table);
	FL_END_ALL(threads);
	fl_test_end(rescue);
	expect_the_report();
	fl_cancel_token_destroy(&table.over);
}

FL_TEST(debug_waits_reports_philosophers_that_are_fibers)
{
	FL_NEEDS(FL_TEST_EVENTFD); /* before there is a thread */
	FL_DEBUGGING(FL_DEBUG_WAITS);
	struct table table = {.over = FL_CANCEL_TOKEN_INIT};
	struct seat seats[SEATS];
	fl_thread *rescue;
	FL_EACH (i, seats)
		seats[i] = (struct seat){&table, i};
	fl_test_go(&rescue, free_them, &table);
	fl_test_fibers_here(dine, seats, sizeof *seats, SEATS);
	fl_test_end(rescue);
	expect_the_report();
	HEARD("fiber (", 2 * SEATS);
	fl_cancel_token_destroy(&table.over);
}

struct pair {
	fl_mutex lock;
	fl_cancel_token over;
};

static int want_it(void *arg)
{
	struct pair *p = arg;
	(void)take_right(&p->lock, &p->over);
	return 0;
}

static int free_the_pair(void *arg)
{
	FL_WAIT_FOR(heard("2 of 2") > 0 && heard("wants mutex") + heard("wants the end") == 2);
	fl_cancel_token_request(&((struct pair *)arg)->over);
	return 0;
}

FL_TEST(debug_waits_reports_join_under_the_lock)
{
	FL_DEBUGGING(FL_DEBUG_WAITS);
	struct pair p = {FL_MUTEX_INIT, FL_CANCEL_TOKEN_INIT};
	fl_thread *t, *rescue;
	take_left(&p.lock);
	FL_OK(fl_thread_start(&t, want_it, &p, &(fl_thread_config){.name = "joined"}));
	fl_test_go(&rescue, free_the_pair, &p);
	FL_OK(fl_thread_join_until(t, NULL, FL_FOREVER, FL_SHIELDED));
	fl_mutex_unlock(&p.lock);
	fl_test_end(rescue);
	HEARD("deadlock: each of these waits", 1);
	HEARD("wants the end of joined (", 1);
	fl_cancel_token_destroy(&p.over);
}

static int join_in_fiber(void *arg)
{
	struct pair *p = arg;
	take_left(&p->lock);
	FL_OK(fl_test_join(fl_test_start(want_it, p)));
	fl_mutex_unlock(&p->lock);
	return 0;
}

FL_TEST(debug_waits_reports_join_of_a_fiber)
{
	FL_NEEDS(FL_TEST_EVENTFD); /* before there is a thread */
	FL_DEBUGGING(FL_DEBUG_WAITS);
	struct pair p = {FL_MUTEX_INIT, FL_CANCEL_TOKEN_INIT};
	fl_thread *rescue;
	fl_test_go(&rescue, free_the_pair, &p);
	fl_test_in_loop(join_in_fiber, &p);
	fl_test_end(rescue);
	HEARD("deadlock: each of these waits", 1);
	fl_cancel_token_destroy(&p.over);
}

struct cross {
	fl_mutex a, b;
	fl_barrier both;
};

static int hold_b_want_a(void *arg)
{
	struct cross *c = arg;
	fl_mutex_lock(&c->b);
	FL_CHECK(fl_barrier_wait(&c->both) >= 0);
	fl_mutex_lock(&c->a);
	fl_mutex_unlock(&c->a);
	fl_mutex_unlock(&c->b);
	return 0;
}

/* A wait with a deadline ends the cycle: no deadlock, and no report of one. */
FL_TEST(debug_waits_with_an_end_are_quiet)
{
	FL_DEBUGGING(FL_DEBUG_WAITS);
	struct cross c = {FL_MUTEX_INIT, FL_MUTEX_INIT, FL_BARRIER_INIT(2)};
	fl_thread *t;
	fl_mutex_lock(&c.a);
	fl_test_go(&t, hold_b_want_a, &c);
	assert_true(fl_barrier_wait(&c.both) >= 0);
	FL_RC(fl_mutex_lock_until(&c.b, fl_after(FL_MS(2)), FL_SHIELDED), -ETIMEDOUT);
	fl_mutex_unlock(&c.a);
	fl_test_end(t);
	HEARD("\n", 0);
}

/* A reader waits for the earlier readers of a lock if a writer waits, too. */

struct shared {
	fl_rwlock l;
	fl_mutex m;
	fl_event reads;
	fl_cancel_token over;
};

static int read_and_want(void *arg)
{
	struct shared *s = arg;
	fl_rwlock_read_lock(&s->l);
	fl_event_set(&s->reads);
	FL_RC(fl_mutex_lock_until(&s->m, FL_FOREVER, &s->over), -ECANCELED);
	fl_rwlock_read_unlock(&s->l);
	return 0;
}

static int want_to_write(void *arg)
{
	struct shared *s = arg;
	FL_RC(fl_rwlock_write_lock_until(&s->l, FL_FOREVER, &s->over), -ECANCELED);
	return 0;
}

static int end_the_wait(void *arg)
{
	FL_WAIT_FOR(heard("2 of 2") > 0);
	fl_cancel_token_request(&((struct shared *)arg)->over);
	return 0;
}

static void check_readers_around_a_writer(uint32_t word)
{
	FL_DEBUGGING(FL_DEBUG_WAITS);
	fl_thread *threads[3];
	fl_thread_function *const functions[] = {read_and_want, want_to_write, end_the_wait};
	struct shared s = {.l = {word, 0}, .over = FL_CANCEL_TOKEN_INIT};
	fl_mutex_lock(&s.m);
	FL_EACH (i, threads) {
		fl_test_go(&threads[i], functions[i], &s);
		FL_OK(fl_event_wait(&s.reads));
	}
	FL_WAIT_FOR(dump_has(" has waited for mutex") && dump_has(" has waited for reader-writer lock"));
	HEARD("deadlock", 0);
	/* admitted as long as the writer's turn has not come, and when the writer gave up first */
	while (!fl_cancel_token_is_requested(&s.over))
		if (fl_rwlock_read_lock_until(&s.l, FL_FOREVER, &s.over) == 0)
			fl_rwlock_read_unlock(&s.l);
	fl_mutex_unlock(&s.m);
	FL_END_ALL(threads);
	HEARD("deadlock: each of these waits for the next", 1);
	HEARD("(to read)", 2);
	fl_cancel_token_destroy(&s.over);
}

FL_TEST(debug_waits_reports_readers_around_a_writer)
{
	check_readers_around_a_writer(0);
	check_readers_around_a_writer(FL__BIAS + FL__BIAS_UNITS);
}

struct scene {
	fl_mutex lock;
	fl_event go;
	uint32_t ready;
};

static int hold_and_wait(void *arg)
{
	struct scene *s = arg;
	take_left(&s->lock);
	fl__store_release(&s->ready, 1); /* pairs with stage() */
	FL_OK(fl_event_wait(&s->go));
	fl_mutex_unlock(&s->lock);
	return 0;
}

static int want_lock(void *arg)
{
	struct scene *s = arg;
	take_left(&s->lock);
	fl_mutex_unlock(&s->lock);
	return 0;
}

FL_TEST(debug_dump_names_waiters_and_owners)
{
	FL_DEBUGGING(FL_DEBUG_WAITS);
	struct scene s = {FL_MUTEX_INIT, FL_EVENT_INIT, 0};
	fl_thread *holder, *waiter;
	FL_OK(fl_thread_start(&holder, hold_and_wait, &s, &(fl_thread_config){.name = "holder"}));
	FL_WAIT_FOR(fl__load_acquire(&s.ready));
	FL_OK(fl_thread_start(&waiter, want_lock, &s, &(fl_thread_config){.name = "waiter"}));
	/* a dump that meets a change leaves out records, and says so */
	FL_WAIT_FOR(dump_has(", held by holder (") && strstr(printed, "fl_event_wait") &&
	            strstr(printed, "waiters: 2\n"));
	fl_test_contains(printed, "waiter (");
	fl_test_contains(printed, "holds mutex");
	fl_test_contains(printed, "take_left");
	fl_event_set(&s.go);
	fl_test_end(holder);
	fl_test_end(waiter);
	FL_WAIT_FOR(dump_has("waiters: 0"));
}

static struct scene debug_scene;

static int await_the_scene(void *arg)
{
	fl_mutex_lock(&debug_scene.lock);
	FL_OK(fl_event_wait(&debug_scene.go));
	fl_mutex_unlock(&debug_scene.lock);
	return 0;
}

/* Static objects have names, as static functions have. */
FL_TEST(debug_dump_names_static_objects)
{
	char holds[128];
	FL_DEBUGGING(FL_DEBUG_WAITS);
	fl_thread *threads[2];
	FL_EACH (i, threads)
		fl_test_go(&threads[i], await_the_scene, NULL);
	FL_TEXT(holds, " holds mutex debug_scene at %p, taken at", (void *)&debug_scene.lock);
	FL_WAIT_FOR(dump_has(" has waited for mutex debug_scene at %p for ", (void *)&debug_scene.lock) &&
	            strstr(printed, holds));
	fl_event_set(&debug_scene.go);
	FL_END_ALL(threads);
	fl_event_reset(&debug_scene.go);
}
