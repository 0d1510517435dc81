/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Waits for objects without an owner: conditions, semaphores and queues, by name in the dump, by
 * caller in the profile.
 */
#include "fl_debugging.h"

#include "fl_in_loop.h"
#include "fl_pool.h"

FL_TASK_STATIC(objects_nothing, int, void)
{
	return 0;
}

struct stage {
	fl_mutex lock;
	fl_cond changed;
	fl_sem permits;
	fl_queue *queue;
	bool full;
	fl_cancel_token over;
};

/*
 * The functions with counted waits: the profile must name each of them, not a function of the
 * library or the caller.
 */

FL_FRAME(await_signal, struct stage *s)
{
	FL_LOCKED(&s->lock);
	while (!s->full)
		FL_OK(fl_cond_wait(&s->changed, &s->lock));
	FL_STAYS();
}

FL_FRAME(await_signal_for, struct stage *s)
{
	FL_LOCKED(&s->lock);
	while (!s->full)
		FL_OK(fl_cond_wait_until(&s->changed, &s->lock, fl_after(FL_S(60)), FL_SHIELDED));
	FL_STAYS();
}

FL_FRAME(await_permit, struct stage *s)
{
	FL_OK(fl_sem_acquire(&s->permits));
	FL_STAYS();
}

FL_FRAME(await_permits, struct stage *s)
{
	FL_OK(fl_sem_acquire_n_until(&s->permits, 3, FL_FOREVER, NULL));
	FL_STAYS();
}

FL_FRAME(await_item, struct stage *s)
{
	int item;
	FL_OK(fl_queue_get(s->queue, &item));
	FL_STAYS();
}

FL_FRAME(await_items, struct stage *s)
{
	int items[4];
	FL_CHECK(FL_MOVED(fl_queue_get_many, s->queue, items, 4) > 0);
	FL_STAYS();
}

FL_FRAME(await_choice, struct stage *s)
{
	int item;
	FL_CHECK(FL_SELECT(FL_GET(s->queue, &item)) == 0);
	FL_STAYS();
}

FL_FRAME(await_space, struct stage *s)
{
	const int item = 0;
	FL_OK(fl_queue_put(s->queue, &item));
	FL_STAYS();
}

FL_FRAME(await_spaces, struct stage *s)
{
	const int items[1] = {0}; /* of several it might wait more than once */
	FL_MANY(0, 1, fl_queue_put_many, s->queue, items, 1);
	FL_STAYS();
}

FL_FRAME(await_the_rest, struct stage *s)
{
	FL_OK(fl_queue_join(s->queue));
	FL_STAYS();
}

static void signal_it(struct stage *s)
{
	FL_LOCKED(&s->lock);
	s->full = true;
	fl_cond_signal(&s->changed);
}

static void release_three(struct stage *s)
{
	fl_sem_release_n(&s->permits, 3);
}

static void put_one(struct stage *s)
{
	const int item = 0;
	FL_OK(fl_queue_put(s->queue, &item));
}

static void fill(struct stage *s)
{
	const int item = 0;
	while (fl_queue_try_put(s->queue, &item) == 0)
		;
}

static void drain(struct stage *s)
{
	int item;
	while (fl_queue_try_get(s->queue, &item) == 0)
		;
}

static void put_alone(struct stage *s)
{
	drain(s);
	put_one(s);
}

static void finish_all(struct stage *s)
{
	while (fl_queue_join_until(s->queue, FL_NO_WAIT, FL_SHIELDED) != 0)
		fl_queue_task_done(s->queue);
}

static void nothing(struct stage *s)
{
}

static const struct waiting {
	const char *function, *kind, *use;
	void (*prepare)(struct stage *s);
	void (*wait)(struct stage *s);
	void (*end)(struct stage *s);
} waits[] = {
    {"await_signal+", "condition", "", nothing, await_signal, signal_it},
    {"await_signal_for+", "condition", "", nothing, await_signal_for, signal_it},
    {"await_permit+", "semaphore", "", nothing, await_permit, release_three},
    {"await_permits+", "semaphore", "", nothing, await_permits, release_three},
    {"await_item+", "queue", " (to get)", drain, await_item, put_one},
    {"await_items+", "queue", " (to get)", drain, await_items, put_one},
    {"await_choice+", "queue", " or another (to select)", drain, await_choice, put_one},
    {"await_space+", "queue", " (to put)", fill, await_space, drain},
    {"await_spaces+", "queue", " (to put)", fill, await_spaces, drain},
    {"await_the_rest+", "queue", " (to join)", put_alone, await_the_rest, finish_all},
};
enum { TIMES = 2 };

struct waiter {
	struct stage *stage;
	const struct waiting *how;
};

static int wait_once(void *arg)
{
	const struct waiter *w = arg;
	w->how->wait(w->stage);
	return 0;
}

/* Another stack of the same waits, which the profile counts with those of the first. */
static int wait_deeper(void *arg)
{
	const int rc = wait_once(arg);
	FL_STAYS();
	return rc;
}

/* A thread waits, the dump says for what, and the wait is ended. */
static void wait_and_end(struct stage *s, const struct waiting *how)
{
	fl_thread *t;
	static unsigned deeper;
	s->full = false;
	FL_OK(fl_sem_init(&s->permits, 0));
	how->prepare(s);
	const void *object = *how->kind == 'c'   ? (void *)&s->changed
	                     : *how->kind == 's' ? (void *)&s->permits
	                                         : s->queue;
	FL_OK(fl_thread_start(&t, deeper++ % 2 ? wait_deeper : wait_once, &(struct waiter){s, how},
	                      &(fl_thread_config){.name = "waiter"}));
	/* a dump that is made while the waiter goes to sleep may list it twice, and says so */
	FL_WAIT_FOR(dump_has(" has waited for %s %p%s", how->kind, object, how->use) &&
	            strstr(printed, "waiters: 1\n"));
	fl_test_contains(printed, "waiter (");
	fl_test_contains(printed, how->function);
	assert_null(strstr(printed, "something"));
	how->end(s);
	fl_test_end(t);
}

static void begin(struct stage *s)
{
	*s = (struct stage){.lock = FL_MUTEX_INIT, .changed = FL_COND_INIT, .over = FL_CANCEL_TOKEN_INIT};
	s->queue = FL_TEST_QUEUE(int, .capacity = 2);
}

FL_TEST(debug_dump_names_conditions_semaphores_and_queues)
{
	FL_DEBUGGING(FL_DEBUG_WAITS);
	struct stage s;
	begin(&s);
	FL_EACH (i, waits)
		wait_and_end(&s, &waits[i]);
	fl_queue_free(s.queue);
	HEARD("\n", 0); /* no report of a deadlock */
}

FL_TEST(debug_contention_counts_waits_at_their_callers)
{
	FL_DEBUGGING(FL_DEBUG_CONTENTION | FL_DEBUG_WAITS);
	struct stage s;
	begin(&s);
	FL_EACH (i, waits)
		for (int k = 0; k < TIMES; k++)
			wait_and_end(&s, &waits[i]);
	profile();
	FL_EACH (i, waits) {
		unsigned long long calls = 0, waited = 0;
		char kind[64];
		const char *line = strstr(printed, waits[i].function);
		FL_TEXT(kind, ", %s%s\n", waits[i].kind, waits[i].use);
		/*
		 * The same function locks and unlocks the mutex of the condition: that is a line of
		 * its own.
		 */
		while (line && strstr(line, kind) != strchr(line, ','))
			line = strstr(line + 1, waits[i].function);
		assert_non_null(line);
		while (line[-1] != '\n')
			line--;
		assert_int_equal(sscanf(line, "%llu %llu", &calls, &waited), 2);
		assert_int_equal(calls, TIMES);
		assert_int_equal(waited, TIMES);
	}
	assert_null(strstr(printed, "fl_queue_")); /* as the caller */
	assert_null(strstr(printed, "fl__queue_"));
	fl_queue_free(s.queue);
}

static int to_fiber(void *arg)
{
	int item;
	struct stage *s = arg;
	FL_OK(fl_queue_get(s->queue, &item));
	FL_STAYS();
	return 0;
}

static int free_the_fiber(void *arg)
{
	FL_WAIT_FOR(dump_has("fiber (") && dump_has(" (to get) for "));
	put_one(arg);
	return 0;
}

FL_TEST(debug_dump_names_the_queue_of_a_fiber)
{
	FL_NEEDS(FL_TEST_EVENTFD); /* before there is a thread */
	FL_DEBUGGING(FL_DEBUG_WAITS);
	struct stage s;
	fl_thread *rescue;
	begin(&s);
	fl_test_go(&rescue, free_the_fiber, &s);
	fl_test_fibers_here(to_fiber, &s, 0, 1);
	fl_test_end(rescue);
	fl_queue_free(s.queue);
}

/* After a signal it waits for the mutex, still asleep, and the dump names the owner. */
FL_TEST(debug_dump_of_a_signalled_waiter_names_the_mutex)
{
	FL_DEBUGGING(FL_DEBUG_WAITS);
	struct stage s;
	begin(&s);
	fl_thread *t;
	fl_test_go(&t, wait_once, &(struct waiter){&s, &waits[0]});
	FL_WAIT_FOR(fl__lot_has_waiters_at(&s.changed));
	FL_WAIT_FOR(dump_has("condition %p (mutex %p)", (void *)&s.changed, (void *)&s.lock));
	fl_mutex_lock(&s.lock);
	s.full = true;
	fl_cond_signal(&s.changed);
	assert_false(dump_has("condition %p (mutex %p)", (void *)&s.changed, (void *)&s.lock));
	FL_WAIT_FOR(dump_has("has waited for mutex %p", (void *)&s.lock) && strstr(printed, ", held by main ("));
	fl_mutex_unlock(&s.lock);
	fl_test_end(t);
	fl_queue_free(s.queue);
}

static int give_up(void *arg)
{
	struct stage *s = arg;
	FL_LOCKED(&s->lock);
	FL_RC(fl_cond_wait_until(&s->changed, &s->lock, FL_FOREVER, &s->over), -ECANCELED);
	return 0;
}

/* So does a waiter that has given up. */
FL_TEST(debug_dump_of_a_cancelled_waiter_names_the_mutex)
{
	FL_DEBUGGING(FL_DEBUG_WAITS);
	struct stage s;
	begin(&s);
	fl_thread *t;
	fl_test_go(&t, give_up, &s);
	FL_WAIT_FOR(dump_has("has waited for condition"));
	fl_mutex_lock(&s.lock);
	fl_cancel_token_request(&s.over);
	FL_WAIT_FOR(dump_has("has waited for mutex %p", (void *)&s.lock) && strstr(printed, ", held by main ("));
	fl_mutex_unlock(&s.lock);
	fl_test_end(t);
	fl_cancel_token_destroy(&s.over);
	fl_queue_free(s.queue);
}

FL_FRAME(submit_here, fl_executor *e)
{
	FL_OK(fl_executor_submit(e, &objects_nothing, &(int){0}, NULL)); /* a typed call may be a function of its own */
	FL_STAYS();
}

static int submit_once(void *e)
{
	submit_here(e);
	return 0;
}

/* A submit that waits for room in the backlog. */
FL_TEST(debug_contention_counts_a_submit_at_its_caller)
{
	unsigned long long calls = 0, waited = 0;
	FL_DEBUGGING(FL_DEBUG_CONTENTION | FL_DEBUG_WAITS);
	FL_SCOPED(fl_executor) *e = FL_TEST_EXECUTOR(thread, .workers = 1, .backlog = 1);
	struct held held = hold_worker(e);
	submit_here(e);
	fl_thread *t;
	fl_test_go(&t, submit_once, e);
	FL_WAIT_FOR(dump_has(" has waited for the full backlog of executor "));
	let_go(&held);
	fl_test_end(t);
	FL_OK(fl_executor_join(e));
	profile();
	assert_true(figures("submit_here+", &calls, &waited));
	assert_int_equal(waited, 1);
	fl_test_contains(printed, ", semaphore\n");
}
