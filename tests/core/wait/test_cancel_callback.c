/* SPDX-License-Identifier: BSD-2-Clause */
#include "fl_child.h"
#include "fl_in_loop.h"
#include "fl_queued.h"

#include "core/queue/queue.h"

static void count_up(void *arg)
{
	(void)fl__add_relaxed((uint32_t *)arg, 1);
}

FL_TEST(cancel_callback_runs_once)
{
	FL_SCOPED(fl_cancel_token) c = FL_CANCEL_TOKEN_INIT;
	fl_cancel_callback cb;
	uint32_t runs = 0;
	assert_true(fl_cancel_token_on_request(&c, &cb, count_up, &runs));
	assert_int_equal(runs, 0);
	fl_cancel_token_request(&c);
	assert_int_equal(runs, 1);
	fl_cancel_token_request(&c);
	assert_int_equal(runs, 1);
	assert_false(fl_cancel_callback_remove(&cb));
	assert_false(fl_cancel_callback_remove(&cb));
}

FL_TEST(cancel_callback_removed_never_runs)
{
	enum { N = 3 };
	fl_cancel_token c = FL_CANCEL_TOKEN_INIT;
	fl_cancel_callback cb[N];
	uint32_t runs[N] = {0};
	FL_EACH (i, cb)
		assert_true(fl_cancel_token_on_request(&c, &cb[i], count_up, &runs[i]));
	assert_true(fl_cancel_callback_remove(&cb[1]));
	assert_true(fl_cancel_callback_remove(&cb[1]));
	fl_cancel_token_request(&c);
	assert_int_equal(runs[0] + runs[2], 2);
	assert_int_equal(runs[1], 0);
	assert_true(fl_cancel_callback_remove(&cb[1]));
	fl_cancel_token_destroy(&c);
}

FL_TEST(cancel_callback_of_a_requested_token_runs_at_once)
{
	fl_cancel_token c = FL_CANCEL_TOKEN_INIT, late;
	fl_cancel_callback cb;
	uint32_t runs = 0;
	fl_cancel_token_request(&c);
	assert_false(fl_cancel_token_on_request(&c, &cb, count_up, &runs));
	assert_int_equal(runs, 1);
	assert_false(fl_cancel_callback_remove(&cb));
	fl_cancel_token_destroy(&c);

	fl_cancel_token_init(&late, FL_SHIELDED, FL_NO_WAIT); /* its time is up */
	assert_false(fl_cancel_token_on_request(&late, &cb, count_up, &runs));
	assert_int_equal(runs, 2);
	fl_cancel_token_request(&late);
	assert_int_equal(runs, 2);
	fl_cancel_token_destroy(&late);
}

FL_TEST(cancel_callback_is_not_run_by_a_deadline)
{
	fl_cancel_token c;
	fl_cancel_callback cb;
	uint32_t runs = 0;
	fl_cancel_token_init(&c, FL_SHIELDED, fl_test_soon());
	const bool registered = fl_cancel_token_on_request(&c, &cb, count_up, &runs);
	FL_WAIT_FOR(fl_cancel_token_is_requested(&c));
	assert_int_equal(runs, !registered);
	fl_cancel_token_request(&c);
	assert_int_equal(runs, 1);
	fl_cancel_token_destroy(&c);
}

FL_TEST(cancel_callback_under_a_scope_or_none)
{
	FL_SCOPED(fl_cancel_token) c = FL_CANCEL_TOKEN_INIT;
	fl_cancel_callback cb, never = FL_CANCEL_CALLBACK_INIT;
	uint32_t runs = 0;
	assert_true(fl_cancel_callback_remove(&never));
	/* No scope: it never runs. */
	assert_true(fl_cancel_token_on_request(NULL, &cb, count_up, &runs));
	assert_true(fl_cancel_callback_remove(&cb));
	FL_CANCEL_SCOPE(&c);
	assert_true(fl_cancel_token_on_request(FL_SHIELDED, &never, count_up, &runs));
	assert_true(fl_cancel_token_on_request(NULL, &cb, count_up, &runs));
	fl_cancel_token_request(&c);
	assert_int_equal(runs, 1);
	assert_true(fl_cancel_callback_remove(&never));
}

FL_TEST(cancel_callback_runs_for_ancestors)
{
	fl_cancel_token root = FL_CANCEL_TOKEN_INIT, child, sibling;
	fl_cancel_callback of_root, of_child, of_sibling;
	uint32_t runs[3] = {0};
	fl_cancel_token_init(&child, &root, FL_FOREVER);
	fl_cancel_token_init(&sibling, &root, FL_FOREVER);
	assert_true(fl_cancel_token_on_request(&root, &of_root, count_up, &runs[0]));
	assert_true(fl_cancel_token_on_request(&child, &of_child, count_up, &runs[1]));
	assert_true(fl_cancel_token_on_request(&sibling, &of_sibling, count_up, &runs[2]));
	fl_cancel_token_request(&child);
	assert_int_equal(runs[1], 1);
	assert_int_equal(runs[0] + runs[2], 0);
	fl_cancel_token_request(&root);
	assert_true(runs[0] == 1 && runs[1] == 1 && runs[2] == 1);
	fl_cancel_token_destroy(&child);
	fl_cancel_token_destroy(&sibling);
	fl_cancel_token_destroy(&root);
}

FL_TEST(cancel_destroy_with_a_callback_panics)
{
	fl_cancel_token c = FL_CANCEL_TOKEN_INIT;
	fl_cancel_callback cb;
	uint32_t runs = 0;
	assert_true(fl_cancel_token_on_request(&c, &cb, count_up, &runs));
	FL_PANICS(fl_cancel_token_destroy(&c));
	assert_string_equal(fl_test_panic.function, "fl_cancel_token_destroy");
	assert_true(fl_cancel_callback_remove(&cb));
	fl_cancel_token_destroy(&c);
	assert_int_equal(c.word_, 0);
}

FL_TEST(cancel_callback_scoped)
{
	FL_SCOPED(fl_cancel_token) c = FL_CANCEL_TOKEN_INIT;
	uint32_t runs = 0;
	{
		FL_SCOPED(fl_cancel_callback) cb = FL_CANCEL_CALLBACK_INIT;
		assert_true(fl_cancel_token_on_request(&c, &cb, count_up, &runs));
	}
	fl_cancel_token_request(&c);
	assert_int_equal(runs, 0);
}

/*
 * What a function may do: remove itself and another, register anew, request other tokens, free its
 * token.
 */
typedef struct family {
	fl_cancel_token *token, other;
	fl_cancel_callback *own, sibling, further;
	uint32_t runs, sibling_runs, further_runs;
	bool sibling_idle;
} family;

static void do_it_all(void *arg)
{
	family *f = arg;
	f->runs++;
	FL_CHECK(!fl_cancel_callback_remove(f->own));
	FL_CHECK(!fl_cancel_callback_remove(f->own));
	f->sibling_idle = fl_cancel_callback_remove(&f->sibling);
	free(f->own);
	fl_cancel_token_destroy(f->token);
	free(f->token);
	FL_CHECK(fl_cancel_token_on_request(&f->other, &f->further, count_up, &f->further_runs));
	fl_cancel_token_request(&f->other);
	FL_CHECK(f->further_runs == 1 && !fl_cancel_callback_remove(&f->further));
}

FL_TEST(cancel_callback_may_do_anything)
{
	family f = {.token = calloc(1, sizeof(fl_cancel_token)), .own = malloc(sizeof(fl_cancel_callback))};
	FL_CHECK(f.token && f.own);
	assert_true(fl_cancel_token_on_request(f.token, &f.sibling, count_up, &f.sibling_runs));
	assert_true(fl_cancel_token_on_request(f.token, f.own, do_it_all, &f));
	fl_cancel_token_request(f.token);
	assert_int_equal(f.runs, 1);
	assert_int_equal(f.sibling_runs, !f.sibling_idle);
	fl_cancel_token_destroy(&f.other);
}

/*
 * A callback that its own function registers anew is a new one, which the end of the current call
 * leaves alone.
 */
typedef struct again {
	fl_cancel_token first, second;
	fl_cancel_callback cb;
	uint32_t runs;
} again;

static void register_again(void *arg)
{
	again *a = arg;
	a->runs++;
	FL_CHECK(!fl_cancel_callback_remove(&a->cb));
	FL_CHECK(fl_cancel_token_on_request(&a->second, &a->cb, count_up, &a->runs));
}

FL_TEST(cancel_callback_may_be_registered_anew)
{
	again a = {.runs = 0};
	assert_true(fl_cancel_token_on_request(&a.first, &a.cb, register_again, &a));
	fl_cancel_token_request(&a.first);
	assert_int_equal(a.runs, 1);
	fl_cancel_token_request(&a.second);
	assert_int_equal(a.runs, 2);
	assert_false(fl_cancel_callback_remove(&a.cb));
}

/* A removal waits for a function that runs on another thread. */
typedef struct slow {
	fl_cancel_token token;
	fl_cancel_callback cb;
	fl_event begun, go;
	uint32_t ended;
} slow;

static void take_long(void *arg)
{
	slow *s = arg;
	fl_event_set(&s->begun);
	FL_OK(fl_event_wait_until(&s->go, FL_FOREVER, FL_SHIELDED));
	s->ended++;
}

static int request(void *arg)
{
	fl_cancel_token_request(arg);
	return 0;
}

FL_CALL(remove_it)
{
	return fl_cancel_callback_remove(object);
}

FL_TEST(cancel_callback_remove_waits_for_one_that_runs)
{
	slow s = {.token = FL_CANCEL_TOKEN_INIT};
	fl_thread *requester;
	fl_test_caller remover;
	assert_true(fl_cancel_token_on_request(&s.token, &s.cb, take_long, &s));
	fl_test_go(&requester, request, &s.token);
	FL_OK(fl_event_wait(&s.begun));
	assert_true(fl_cancel_token_is_requested(&s.token));
	fl_cancel_token_request(&s.token); /* does not wait for it */
	fl_test_call_queued(&remover, remove_it, &s.cb, s.cb.queue_, FL_FOREVER, NULL);
	/*
	 * A queue that gets the token's memory now does not share the wait queue of the remover, or
	 * its puts would wake the remover in place of a consumer.
	 */
	for (int side = 0; side <= FL__JOINERS; side++)
		FL_CHECK((uintptr_t)fl__queue_wait_key((void *)&s.token, side) % 4 != (uintptr_t)s.cb.queue_ % 4);
	fl_event_set(&s.go);
	assert_int_equal(fl_test_call_end(&remover), false);
	assert_int_equal(s.ended, 1);
	fl_test_end(requester);
	fl_cancel_token_destroy(&s.token);
}

FL_TEST(cancel_callback_end_wakes_no_other_waiter)
{
	union {
		fl_cancel_token token;
		fl_sem sem[sizeof(fl_cancel_token) / sizeof(fl_sem)];
		struct {
			uint32_t unused;
			fl_sem sem[2];
		} shifted;
	} memory = {.token = FL_CANCEL_TOKEN_INIT};
	enum { N = sizeof memory.sem / sizeof *memory.sem, ALL = N + 2 };
	slow s = {.ended = 0};
	fl_thread *requester;
	fl_test_caller waiters[2];
	FL_BOTH (shifted) {
		memory.token = (fl_cancel_token)FL_CANCEL_TOKEN_INIT;
		s = (slow){.ended = 0};
		assert_true(fl_cancel_token_on_request(&memory.token, &s.cb, take_long, &s));
		fl_test_go(&requester, request, &memory.token);
		FL_OK(fl_event_wait(&s.begun));
		fl_cancel_token_destroy(&memory.token);
		memset(&memory, 0, sizeof memory);
		fl_sem *sem = shifted ? memory.shifted.sem : memory.sem;
		FL_EACH (i, waiters)
			fl_test_call_queued(&waiters[i], fl_test_acquire, &sem[i], &sem[i], FL_FOREVER, FL_SHIELDED);
		fl_event_set(&s.go);
		fl_test_end(requester);
		for (int i = 0; i < 2; i++) {
			assert_int_equal(fl_test_queued(&sem[i]), 1);
			fl_sem_release(&sem[i]);
			FL_OK(fl_test_call_end(&waiters[i]));
		}
		assert_false(fl_cancel_callback_remove(&s.cb));
	}
}

/* The same for a function that has removed its own callback: its owner still waits for its end. */
static void remove_own_then_take_long(void *arg)
{
	slow *s = arg;
	FL_CHECK(!fl_cancel_callback_remove(&s->cb));
	take_long(arg);
	FL_CHECK(!fl_cancel_callback_remove(&s->cb));
}

static int register_late(void *arg)
{
	slow *s = arg;
	FL_CHECK(!fl_cancel_token_on_request(&s->token, &s->cb, remove_own_then_take_long, s));
	return 0;
}

FL_TEST(cancel_callback_removed_by_itself_is_waited_for)
{
	FL_BOTH (late) {
		slow s = {.token = FL_CANCEL_TOKEN_INIT};
		fl_thread *requester;
		fl_test_caller remover;
		if (late) /* by the registration, since the token is requested */
			fl_cancel_token_request(&s.token);
		else
			FL_CHECK(fl_cancel_token_on_request(&s.token, &s.cb, remove_own_then_take_long, &s));
		fl_test_go(&requester, late ? register_late : request, late ? (void *)&s : &s.token);
		FL_OK(fl_event_wait(&s.begun));
		fl_test_call_queued(&remover, remove_it, &s.cb, s.cb.queue_, FL_FOREVER, NULL);
		fl_event_set(&s.go);
		FL_CHECK(fl_test_call_end(&remover) == false && s.ended == 1);
		fl_test_end(requester);
		FL_CHECK(!fl_cancel_callback_remove(&s.cb));
		fl_cancel_token_destroy(&s.token);
	}
}

/*
 * The function frees its callback, and another callback gets the memory. The removal of the other
 * callback does not wait for the function.
 */
typedef struct reuse {
	fl_cancel_token first, second;
	fl_cancel_callback cb;
	fl_event freed, go;
	uint32_t runs;
} reuse;

static void free_and_take_long(void *arg)
{
	reuse *r = arg;
	FL_CHECK(!fl_cancel_callback_remove(&r->cb));
	fl_event_set(&r->freed);
	FL_OK(fl_event_wait_until(&r->go, FL_FOREVER, FL_SHIELDED));
}

FL_TEST(cancel_callback_in_the_memory_of_another)
{
	reuse r = {.runs = 0};
	fl_thread *requester;
	fl_cancel_token_init(&r.second, &r.first, FL_FOREVER); /* one bucket has the callbacks of both */
	FL_CHECK(fl_cancel_token_on_request(&r.first, &r.cb, free_and_take_long, &r));
	fl_test_go(&requester, request, &r.first);
	FL_OK(fl_event_wait(&r.freed));
	FL_CHECK(!fl_cancel_token_on_request(&r.second, &r.cb, count_up, &r.runs));
	FL_CHECK(!fl_cancel_callback_remove(&r.cb) && r.runs == 1);
	fl_event_set(&r.go);
	fl_test_end(requester);
	fl_cancel_token_destroy(&r.second);
}

/* The same among fibers of one thread: the function waits in one, the removal in another. */
static int request_in_fiber(void *arg)
{
	return request(&((slow *)arg)->token);
}

static int remove_in_fiber(void *arg)
{
	slow *s = arg;
	FL_CHECK(!fl_cancel_callback_remove(&s->cb));
	FL_CHECK(s->ended == 1);
	return 0;
}

static int in_fibers(void *arg)
{
	slow *s = arg;
	FL_CHECK(fl_cancel_token_on_request(&s->token, &s->cb, take_long, s));
	fl_fiber *requester = fl_test_start(request_in_fiber, s), *remover = fl_test_start(remove_in_fiber, s);
	fl_test_settle();
	FL_CHECK(fl_fiber_is_alive(remover));
	fl_event_set(&s->go);
	FL_OK(fl_test_join(remover));
	FL_OK(fl_test_join(requester));
	return 0;
}

FL_TEST(cancel_callback_removed_by_a_fiber)
{
	slow s = {.token = FL_CANCEL_TOKEN_INIT};
	fl_test_in_loop(in_fibers, &s);
	fl_cancel_token_destroy(&s.token);
}

/*
 * The cancel of a fiber, a group and a future runs callbacks without any of their locks: the
 * function may use them.
 */
static fl_group *a_group;

static void use_group(void *arg)
{
	fl_group_cancel(a_group); /* would hang if its lock were held */
	count_up(arg);
}

static int wait_for_ever(void *unused)
{
	return fl_sleep_until(FL_FOREVER, NULL);
}

static int with_group(void *runs)
{
	fl_group g = FL_GROUP_INIT(NULL);
	fl_cancel_callback cb;
	a_group = &g;
	FL_OK(fl_group_start(&g, wait_for_ever, NULL));
	FL_CHECK(fl_cancel_token_on_request(fl_group_token(&g), &cb, use_group, runs));
	fl_group_cancel(&g);
	FL_OK(fl_group_join(&g));
	FL_CHECK(!fl_cancel_callback_remove(&cb));
	return 0;
}

FL_TEST(cancel_callback_of_a_group)
{
	uint32_t runs = 0;
	fl_test_in_loop(with_group, &runs);
	assert_int_equal(runs, 1);
}

static fl_future *a_future;
static fl_event task_runs;

static void use_future(void *arg)
{
	FL_RC(fl_future_cancel(a_future), -EINPROGRESS); /* would hang, too: it waits for the callback */
	count_up(arg);
}

FL_TASK(cancel_callback_task, void, uint32_t)
{
	fl_cancel_callback cb;
	*result = 0;
	(void)fl_cancel_token_on_request(fl_task_token(ctx), &cb, use_future, result);
	fl_event_set(&task_runs);
	int rc = fl_sleep_until(FL_FOREVER, fl_task_token(ctx));
	FL_WAIT_FOR(fl__load_relaxed(result) == 1); /* a request wakes waiters, then calls */
	return rc != -ECANCELED || fl_cancel_callback_remove(&cb) ? -EINVAL : 0;
}

FL_TEST(cancel_callback_of_a_task)
{
	FL_SCOPED(fl_executor) *pool = fl_test_executor(fl_thread_executor_create, NULL);
	FL_OK(cancel_callback_task_submit(pool, &a_future));
	FL_OK(fl_event_wait(&task_runs));
	FL_RC(fl_future_cancel(a_future), -EINPROGRESS);
	assert_int_equal(fl_test_result(a_future), 1);
	fl_future_free(a_future);
}
