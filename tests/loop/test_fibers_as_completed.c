/* SPDX-License-Identifier: BSD-2-Clause */
/* Waiting for several fibers: asyncio's wait and as_completed. */
#include "fl_completed.h"
#include "fl_faults.h"
#include "fl_members.h"

enum { N = 4 };

/* Fibers that end when they are told to. */
typedef struct crowd {
	fl_event gates[N];
	child c[N];
	fl_fiber *f[N];
} crowd;

static void crowd_start(crowd *w)
{
	memset(w, 0, sizeof *w);
	for (int i = 0; i < N; i++) {
		w->c[i].start = &w->gates[i];
		w->f[i] = fl_test_start(runs, &w->c[i]);
	}
	fl_test_settle();
}

static void crowd_join(crowd *w)
{
	for (int i = 0; i < N; i++) {
		fl_event_set(&w->gates[i]);
		FL_CHECK(fl_test_join(w->f[i]) == 0 && !w->c[i].cancelled);
	}
}

/* Waits for the crowd, in a fiber. */
typedef struct watcher {
	crowd *w;
	fl_wait_mode what;
	int rc;
} watcher;

static int watches(void *arg)
{
	watcher *t = arg;
	t->rc = fl_fibers_wait(t->w->f, N, t->what);
	return 0;
}

FL_TEST_WITH(fibers_wait_for_all_or_the_first, fl_test_body_in_loop, void)
{
	crowd w;
	watcher all = {&w, FL_ALL_ENDED, 77}, first = {&w, FL_FIRST_ENDED, 77}, error = {&w, FL_FIRST_ERROR, 77};
	crowd_start(&w);
	fl_fiber *f[] = {fl_test_start(watches, &all), fl_test_start(watches, &first), fl_test_start(watches, &error)};
	fl_test_settle();
	FL_CHECK(all.rc == 77 && first.rc == 77 && error.rc == 77);
	fl_event_set(&w.gates[2]);
	fl_test_settle();
	FL_CHECK(all.rc == 77 && first.rc == 1 && error.rc == 77);
	for (int i = 0; i < N; i++)
		fl_event_set(&w.gates[i]);
	fl_test_settle();
	/* Without an error, until all have ended. */
	FL_CHECK(all.rc == N && first.rc == 1 && error.rc == N);
	FL_EACH (i, f)
		FL_OK(fl_test_join(f[i]));
	FL_RC(fl_fibers_wait(w.f, N, FL_ALL_ENDED), N);
	FL_RC(fl_fibers_wait(w.f, N, FL_FIRST_ENDED), N);
	crowd_join(&w);
}

FL_TEST_WITH(fibers_wait_for_the_first_error, fl_test_body_in_loop, void)
{
	fl_event gate = FL_EVENT_INIT;
	int ends = 0;
	fl_fiber *f[] = {fl_test_start(returns, RC(0)), fl_test_start(until_cancelled, &ends),
	                 fl_test_start(waits_for, &gate), fl_test_start(returns, RC(-EIO))};
	FL_RC(fl_fibers_wait(f, 4, FL_FIRST_ERROR), 2);
	FL_RC(fl_fibers_wait(f, 4, FL_FIRST_ERROR), 2);
	/* An error is no end of all. */
	FL_RC(fl_fibers_wait_until(f, 4, FL_ALL_ENDED, 0, NULL), -ETIMEDOUT);
	FL_RC(fl_test_join(f[3]), -EIO);
	/* a cancel is answered, and no error */
	fl_fiber_cancel(f[1]);
	fl_fiber *setter = fl_test_start(sets_later, &gate);
	FL_CHECK(fl_fibers_wait(f, 3, FL_FIRST_ERROR) == 3 && ends == 1);
	FL_OK(fl_test_join(setter));
	FL_OK(fl_test_join(f[0]));
	FL_RC(fl_test_join(f[1]), -ECANCELED);
	FL_OK(fl_test_join(f[2]));
}

FL_TEST_WITH(fibers_wait_answers, fl_test_body_in_loop, void)
{
	crowd w;
	crowd_start(&w);
	FL_RC(fl_fibers_wait_until(w.f, N, FL_ALL_ENDED, 0, NULL), -ETIMEDOUT);
	FL_RC(fl_fibers_wait_until(w.f, N, FL_FIRST_ENDED, fl_after(FL_MS(1)), NULL), -ETIMEDOUT);
	FL_RC(fl_fibers_wait_until(w.f, N, FL_FIRST_ERROR, FL_FOREVER, fl_test_requested), -ECANCELED);
	{
		FL_CANCEL_SCOPE(fl_test_requested);
		FL_RC(fl_fibers_wait(w.f, N, FL_ALL_ENDED), -ECANCELED);
		fl_event_set(&w.gates[1]);
		fl_test_settle();
		/* A wait that is over already returns at once. */
		FL_RC(fl_fibers_wait(w.f, N, FL_FIRST_ENDED), 1);
	}
	for (int i = 0; i < N; i++)
		FL_CHECK(fl_fiber_is_alive(w.f[i]) == (i != 1)); /* no fiber was cancelled */
	FL_RC(fl_fibers_wait_until(w.f, N, (fl_wait_mode)3, 0, NULL), -EINVAL);
	FL_RC(fl_fibers_wait(w.f, N, (fl_wait_mode)-1), -EINVAL);
	FL_RC(fl_fibers_wait(w.f, (size_t)INT_MAX + 1, FL_ALL_ENDED), -EINVAL);
	FL_RC(fl_fibers_wait_until(w.f, SIZE_MAX, FL_ALL_ENDED, 0, NULL), -EINVAL);
	{
		FL_FAULTS();
		fl__sys.alloc = fl_test_no_memory;
		FL_RC(fl_fibers_wait(w.f, N, FL_ALL_ENDED), -ENOMEM);
		FL_RC(fl_fibers_wait_until(w.f, N, FL_ALL_ENDED, 0, NULL), -ENOMEM);
		FL_RC(fl_fibers_wait(w.f, N, FL_FIRST_ENDED), 1);
	}
	crowd_join(&w);
}

FL_TEST(fibers_wait_for_none)
{
	for (int what = FL_ALL_ENDED; what <= FL_FIRST_ERROR; what++) {
		FL_OK(fl_fibers_wait(NULL, 0, (fl_wait_mode)what));
		FL_OK(fl_fibers_wait_until(NULL, 0, (fl_wait_mode)what, 0, NULL));
	}
}

static void waits_in_a_callback(void *arg)
{
	crowd *w = arg;
	FL_RC(fl_fibers_wait(w->f, N, FL_ALL_ENDED), -EDEADLK);
	FL_RC(fl_fibers_wait_until(w->f, N, FL_FIRST_ENDED, FL_FOREVER, NULL), 1);
}

FL_TEST_WITH(fibers_wait_where_it_cannot, fl_test_body_in_loop, void)
{
	crowd w;
	fl_as_completed *done = NULL;
	fl_fiber *self = fl_fiber_current();
	FL_RC(fl_fibers_wait(&self, 1, FL_ALL_ENDED), -EDEADLK);
	FL_RC(fl_fibers_wait_until(&self, 1, FL_FIRST_ENDED, FL_FOREVER, NULL), -EDEADLK);
	FL_CHECK(fl_fibers_as_completed_create(&done, &self, 1) == -EDEADLK && done == NULL);
	crowd_start(&w);
	fl_event_set(&w.gates[0]);
	fl_test_settle();
	fl_test_in_callback(waits_in_a_callback, &w);
	crowd_join(&w);
}

/* Fibers of a loop that is between two turns, seen by a fiber of another. */

static fl_fiber *elsewhere;

static void starts_elsewhere(void *gate)
{
	elsewhere = fl_test_start(waits_for, gate);
}

static int looks_elsewhere(void *unused)
{
	size_t i;
	FL_SCOPED(fl_as_completed) *done = NULL;
	FL_RC(fl_fibers_wait(&elsewhere, 1, FL_FIRST_ENDED), -EDEADLK);
	FL_OK(fl_fibers_as_completed_create(&done, &elsewhere, 1));
	FL_RC(fl_as_completed_try_next(done, &i), -EAGAIN);
	FL_RC(fl_as_completed_next(done, &i), -EDEADLK);
	return 0;
}

FL_TEST(fibers_wait_for_another_loops)
{
	fl_event gate = FL_EVENT_INIT;
	int64_t deadline;
	elsewhere = NULL;
	fl_loop *l = fl_test_loop();
	FL_OK(fl_loop_post(l, starts_elsewhere, &gate));
	while (!elsewhere)
		FL_OK(fl_loop_run_once(l, &deadline));
	fl_test_in_loop(looks_elsewhere, NULL);
	fl_event_set(&gate);
	while (fl_fiber_is_alive(elsewhere))
		FL_OK(fl_loop_run_once(l, &deadline));
	assert_int_equal(fl_fibers_wait(&elsewhere, 1, FL_ALL_ENDED), 1);
	FL_OK(fl_fiber_try_join(elsewhere, NULL));
	fl_loop_free(l);
}

/* One of them is joined, another detached, while a fiber waits. */
FL_TEST_WITH(fibers_wait_for_some_that_others_take, fl_test_body_in_loop, void)
{
	crowd w;
	watcher all = {&w, FL_ALL_ENDED, 77};
	crowd_start(&w);
	fl_fiber *f = fl_test_start(watches, &all);
	fl_test_settle();
	fl_event_set(&w.gates[0]);
	FL_OK(fl_test_join(w.f[0]));
	fl_fiber_detach(w.f[1]);
	fl_event_set(&w.gates[2]);
	fl_test_settle();
	FL_CHECK(all.rc == 77);
	fl_fiber_detach(w.f[3]); /* the last */
	fl_test_settle();
	FL_CHECK(all.rc == N && fl_test_join(f) == 0 && fl_test_join(w.f[2]) == 0);
	fl_event_set(&w.gates[1]);
	fl_event_set(&w.gates[3]);
	fl_test_settle();
	FL_CHECK(w.c[1].ended && w.c[3].ended);
}

FL_TEST_WITH(fibers_wait_for_the_same_twice, fl_test_body_in_loop, void)
{
	fl_event gate = FL_EVENT_INIT;
	fl_fiber *f = fl_test_start(waits_for, &gate), *both[] = {f, f};
	fl_fiber *setter = fl_test_start(sets_later, &gate);
	FL_RC(fl_fibers_wait(both, 2, FL_ALL_ENDED), 2);
	FL_OK(fl_test_join(f));
	FL_OK(fl_test_join(setter));
}

/* One after another. */

static struct {
	fl_event *gates;
	fl_fiber **f;
	size_t n;
} things;

static void things_begin(size_t n)
{
	things.gates = calloc(n, sizeof *things.gates);
	things.f = calloc(n, sizeof(fl_fiber *));
	things.n = n;
	FL_CHECK(things.gates && things.f);
	for (size_t i = 0; i < n; i++)
		things.f[i] = fl_test_start(waits_for, &things.gates[i]);
	fl_test_settle();
}

static void things_end(size_t i)
{
	fl_event_set(&things.gates[i]);
	fl_test_settle();
}

static int things_create(fl_as_completed **c, const size_t *which, size_t n)
{
	fl_fiber **of = calloc(n + 1, sizeof(fl_fiber *));
	FL_CHECK(of != NULL);
	for (size_t i = 0; i < n; i++)
		of[i] = things.f[which ? which[i] : i];
	const int rc = fl_fibers_as_completed_create(c, of, n);
	free(of);
	return rc;
}

/* It has ended completely: a join does not wait. */
static void things_join(size_t i)
{
	FL_OK(fl_fiber_try_join(things.f[i], NULL));
	things.f[i] = NULL;
}

static void things_finish(void)
{
	for (size_t i = 0; i < things.n; i++) {
		fl_event_set(&things.gates[i]);
		if (things.f[i])
			FL_OK(fl_test_join(things.f[i]));
	}
	free(things.gates);
	free(things.f);
}

/* Fibers that are joined in the end, and as the iteration returns them. */
static const completed_kind kinds[] = {
    {things_begin, things_end, things_create, NULL, things_finish},
    {things_begin, things_end, things_create, things_join, things_finish},
};

FL_TEST_WITH(fibers_completed_in_order, fl_test_body_in_loop, void)
{
	FL_EACH (i, kinds)
		completed_in_order(&kinds[i]);
}

FL_TEST_WITH(fibers_completed_of_none, fl_test_body_in_loop, void)
{
	completed_of_none(&kinds[0]);
}

FL_TEST_WITH(fibers_completed_returns_a_duplicate_once, fl_test_body_in_loop, void)
{
	FL_EACH (i, kinds)
		completed_with_duplicates(&kinds[i]);
}

FL_TEST_WITH(fibers_completed_in_time, fl_test_body_in_loop, void)
{
	FL_EACH (i, kinds)
		completed_in_time(&kinds[i]);
}

FL_TEST_WITH(fibers_completed_of_many, fl_test_body_in_loop, void)
{
	completed_of_many(&kinds[1], fl_test_scaled(10000));
}

FL_TEST_WITH(completed_without_memory, fl_test_body_in_loop, void)
{
	fl_fiber *f = fl_test_start(returns, RC(0));
	fl_as_completed *done = NULL;
	{
		FL_FAULTS();
		fl__sys.alloc = fl_test_no_memory;
		FL_RC(fl_fibers_as_completed_create(&done, &f, 1), -ENOMEM);
	}
	FL_CHECK(fl_test_join(f) == 0 && done == NULL);
}

typedef struct consumer {
	fl_as_completed *done;
	size_t index;
	int rc;
} consumer;

static int consumes(void *arg)
{
	consumer *t = arg;
	t->rc = fl_as_completed_next(t->done, &t->index);
	return 0;
}

static void asks_in_a_callback(void *arg)
{
	consumer *t = arg;
	FL_RC(fl_as_completed_try_next(t->done, &t->index), -EAGAIN);
	FL_RC(fl_as_completed_next(t->done, &t->index), -EDEADLK);
	FL_RC(fl_as_completed_next_until(t->done, &t->index, FL_FOREVER, NULL), -EDEADLK);
}

FL_TEST_WITH(completed_misused, fl_test_body_in_loop, void)
{
	crowd w;
	consumer t = {.rc = 77};
	crowd_start(&w);
	FL_OK(fl_fibers_as_completed_create(&t.done, w.f, N));
	fl_test_in_callback(asks_in_a_callback, &t);
	fl_fiber *f = fl_test_start(consumes, &t);
	fl_test_settle();
	FL_PANICS_OF("fl_as_completed_next", t.done, FL_OK(fl_as_completed_next(t.done, &t.index)));
	FL_PANICS_OF("fl_as_completed_free", t.done, fl_as_completed_free(t.done));
	FL_CHECK(strstr(fl_test_panic.reason, "FL_SHIELDED") != NULL);
	fl_event_set(&w.gates[3]);
	FL_CHECK(fl_test_join(f) == 0 && t.rc == 0 && t.index == 3);
	fl_as_completed_free(t.done);
	crowd_join(&w);
}

/* Other fibers join and detach the ones that it would hand out; the last one during a wait. */
FL_TEST_WITH(completed_when_others_take_some, fl_test_body_in_loop, void)
{
	crowd w;
	consumer t = {.rc = 77};
	fl_as_completed *second;
	size_t i;
	crowd_start(&w);
	FL_OK(fl_fibers_as_completed_create(&t.done, w.f, N));
	FL_OK(fl_fibers_as_completed_create(&second, w.f, N));
	fl_event_set(&w.gates[0]);
	fl_event_set(&w.gates[2]);
	fl_test_settle();
	FL_CHECK(fl_as_completed_next(second, &i) == 0 && i == 0);
	FL_OK(fl_test_join(w.f[0]));
	FL_CHECK(fl_as_completed_next(t.done, &i) == 0 && i == 2);
	FL_OK(fl_test_join(w.f[2]));
	fl_as_completed_free(second);
	fl_fiber *f = fl_test_start(consumes, &t);
	fl_test_settle();
	fl_fiber_detach(w.f[1]);
	fl_test_settle();
	FL_CHECK(fl_fiber_is_alive(f)); /* it was woken, and waits again */
	fl_fiber_detach(w.f[3]);
	FL_CHECK(fl_test_join(f) == 0 && t.rc == -ENODATA);
	fl_as_completed_free(t.done);
	fl_event_set(&w.gates[1]);
	fl_event_set(&w.gates[3]);
	fl_test_settle();
	FL_CHECK(w.c[1].ended && w.c[3].ended);
}

/* A cancel and an end in one turn: the end is not lost. */
FL_TEST_WITH(completed_next_cancelled_as_one_ends, fl_test_body_in_loop, void)
{
	for (int order = 0; order < 2; order++) {
		crowd w;
		consumer t = {.rc = 77};
		crowd_start(&w);
		FL_OK(fl_fibers_as_completed_create(&t.done, w.f, N));
		fl_fiber *f = fl_test_start(consumes, &t);
		fl_test_settle();
		if (order == 0)
			fl_fiber_cancel(f);
		fl_event_set(&w.gates[2]);
		while (fl_fiber_is_alive(w.f[2]))
			fl_fiber_yield();
		if (order == 1)
			fl_fiber_cancel(f);
		FL_CHECK(fl_test_join(f) == 0 && t.rc == (order == 0 ? -ECANCELED : 0));
		size_t i = t.index;
		FL_CHECK(order == 1 || fl_as_completed_try_next(t.done, &i) == 0);
		FL_CHECK(i == 2 && fl_as_completed_try_next(t.done, &i) == -EAGAIN);
		fl_as_completed_free(t.done);
		crowd_join(&w);
	}
}

/* A fiber that is handed out has ended completely: a join does not wait. */
FL_TEST_WITH(completed_after_the_locals_ended, fl_test_body_in_loop, void)
{
	fl_fiber *f = fl_test_start(sets_a_local, NULL);
	FL_SCOPED(fl_as_completed) *done = NULL;
	size_t i;
	destroyed = 0;
	FL_OK(fl_fibers_as_completed_create(&done, &f, 1));
	FL_OK(fl_as_completed_next(done, &i));
	FL_CHECK(destroyed == 1 && fl_fiber_try_join(f, NULL) == 0);
}

/*
 * A child of a group is freed at its end, even while a fiber waits for it; the next fiber has its
 * memory.
 */
typedef struct known {
	fl_fiber *f;
	fl_event gate;
} known;

static int makes_itself_known(void *arg)
{
	known *k = arg;
	k->f = fl_fiber_current();
	return fl_event_wait(&k->gate);
}

FL_TEST_WITH(completed_of_a_child_of_a_group, fl_test_body_in_loop, void)
{
	fl_group g = FL_GROUP_INIT(NULL);
	fl_event later = FL_EVENT_INIT;
	known k = {NULL, FL_EVENT_INIT};
	FL_SCOPED(fl_as_completed) *of_next = NULL;
	size_t i;
	FL_OK(fl_group_start(&g, makes_itself_known, &k));
	fl_test_settle();
	fl_fiber *next;
	{
		FL_SCOPED(fl_as_completed) *done = NULL;
		FL_OK(fl_fibers_as_completed_create(&done, &k.f, 1));
		fl_event_set(&k.gate);
		FL_OK(fl_group_join(&g));
		next = fl_test_start(waits_for, &later);
		FL_CHECK(next == k.f);
		FL_OK(fl_fibers_as_completed_create(&of_next, &next, 1));
		FL_RC(fl_as_completed_try_next(done, &i), -ENODATA);
	}
	fl_event_set(&later);
	FL_CHECK(fl_as_completed_next_until(of_next, &i, fl_after(FL_S(60)), NULL) == 0 && i == 0);
	FL_OK(fl_test_join(next));
}
