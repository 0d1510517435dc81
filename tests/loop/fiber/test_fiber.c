/* SPDX-License-Identifier: BSD-2-Clause */
#include "fl_backtrace.h"
#include "fl_child.h"
#include "fl_faults.h"
#include "fl_fiber.h"
#include "fl_order.h"
#include "fl_queued.h"

static int return_number(void *arg)
{
	return *(int *)arg;
}

/* A fiber that notes its letter at each of its turns. */
typedef struct writer {
	char letter;
	int turns;
} writer;

static int write_turns(void *arg)
{
	const writer *w = arg;
	for (int i = 0; i < w->turns; i++) {
		note(w->letter);
		fl__fiber_yield();
	}
	return 0;
}

FL_TEST(fiber_turn_runs_each_once)
{
	writer w[] = {{'a', 2}, {'b', 3}};
	struct fl__sched *s = fl_test_sched();
	note_nothing();
	assert_int_equal(fl__sched_next_deadline(s), FL_FOREVER);
	struct fl__fiber *a = fl_test_fiber(s, write_turns, &w[0]);
	struct fl__fiber *b = fl_test_fiber(s, write_turns, &w[1]);
	FL_OK(fl__sched_enter(s));
	NOTED("");
	assert_true(fl__sched_turn(s, 0));
	NOTED("ab");
	fl__sched_sleep(s, FL_FOREVER); /* not while a fiber is runnable */
	assert_true(fl__sched_turn(s, 0));
	NOTED("abab");
	assert_true(fl__sched_turn(s, 0));
	NOTED("ababb");
	assert_false(fl__sched_turn(s, 0));
	assert_int_equal(s->fibers, 0);
	assert_false(fl__sched_turn(s, 0));
	fl__sched_leave(s);
	fl_test_fiber_end(a);
	fl_test_fiber_end(b);
	fl__sched_destroy(s);
}

#ifdef HAS_ROUNDING
static int keep_rounding(void *arg)
{
	for (unsigned i = *(unsigned *)arg; i < 10; i++) {
		fl_test_round(i % 4);
		fl__fiber_yield();
		FL_CHECK(fl_test_rounding() == i % 4);
	}
	fl_test_round(0);
	return 0;
}

FL_TEST(fiber_rounding_is_its_own)
{
	unsigned numbers[] = {0, 1, 2};
	fl_test_fibers_here(keep_rounding, numbers, sizeof numbers[0], 3);
	assert_int_equal(fl_test_rounding(), 0);
}
#endif

static int wait_event(void *event)
{
	return fl_event_wait(event);
}

FL_TEST(fiber_scheduler_with_fibers_is_not_destroyed)
{
	int number = 0;
	struct fl__sched *s = fl_test_sched();
	struct fl__fiber *f = fl_test_fiber(s, return_number, &number);
	FL_PANICS_OF("fl__sched_destroy", s, fl__sched_destroy(s));
	fl_test_run(s);
	FL_PANICS(fl__sched_destroy(s));
	fl_test_fiber_end(f);
	fl__sched_destroy(s);
}

/* Each fiber starts two and joins them: 2^depth - 1 of them. */
typedef struct tree {
	struct fl__sched *s;
	unsigned depth, count;
} tree;

static int grow_tree(void *arg)
{
	tree *t = arg;
	t->count = 1;
	if (t->depth == 0)
		return 0;
	tree left = {t->s, t->depth - 1, 0}, right = left;
	struct fl__fiber *a = fl_test_fiber(t->s, grow_tree, &left);
	struct fl__fiber *b = fl_test_fiber(t->s, grow_tree, &right);
	fl_test_fiber_end(b);
	fl_test_fiber_end(a);
	t->count += left.count + right.count;
	return 0;
}

FL_TEST(fiber_trees_of_thousands)
{
	const unsigned depth = FL_TEST_SANITIZED ? 8 : 11;
	tree t = {fl_test_sched(), depth, 0};
	struct fl__fiber *root = fl_test_fiber(t.s, grow_tree, &t);
	fl_test_run(t.s);
	fl_test_fiber_end(root);
	assert_int_equal(t.count, (2u << depth) - 1);
	fl__sched_destroy(t.s);
}

/* Suspend and resume. */
typedef struct resumer {
	struct fl__fiber *f;
	unsigned reached;
} resumer;

static int suspend_thrice(void *arg)
{
	resumer *r = arg;
	for (int i = 0; i < 3; i++) {
		r->reached++;
		fl__fiber_suspend();
	}
	fl__fiber_resume(fl__fiber_self());
	fl__fiber_resume(fl__fiber_self());
	fl__fiber_suspend();
	r->reached++;
	fl__fiber_suspend(); /* the two counted as one */
	return 0;
}

static int resume_yielding(void *arg)
{
	resumer *r = arg;
	for (unsigned i = 1; i <= 4; i++) {
		while (r->reached != i)
			fl__fiber_yield();
		for (int n = 0; n < 3; n++)
			fl__fiber_yield();
		FL_CHECK(r->reached == i); /* it is suspended until the resume */
		fl__fiber_resume(r->f);
	}
	return 0;
}

FL_TEST(fiber_resume_by_a_fiber)
{
	resumer r = {NULL, 0};
	struct fl__sched *s = fl_test_sched();
	r.f = fl_test_fiber(s, suspend_thrice, &r);
	struct fl__fiber *other = fl_test_fiber(s, resume_yielding, &r);
	fl_test_run(s);
	fl_test_fiber_end(r.f);
	fl_test_fiber_end(other);
	fl__sched_destroy(s);
}

/* A fiber that always yields holds up neither wakes from other threads nor deadlines. */
typedef struct hog {
	fl_event wake;
	uint32_t over;
} hog;

static int yield_until_over(void *arg)
{
	hog *h = arg;
	while (fl__load_relaxed(&h->over) < 2)
		fl__fiber_yield();
	return 0;
}

static int be_woken(void *arg)
{
	hog *h = arg;
	FL_OK(fl_event_wait(&h->wake));
	fl__add_relaxed(&h->over, 1);
	return 0;
}

static int be_late(void *arg)
{
	hog *h = arg;
	FL_OK(fl_sleep(FL_MS(1)));
	fl__add_relaxed(&h->over, 1);
	return 0;
}

static int set_when_awaited(void *event)
{
	FL_WAIT_FOR(fl_test_queued(event) == 1);
	fl_event_set(event);
	return 0;
}

FL_TEST(fiber_that_yields_starves_no_other)
{
	hog h = {FL_EVENT_INIT, 0};
	struct fl__sched *s = fl_test_sched();
	int (*const functions[])(void *) = {yield_until_over, be_woken, be_late, yield_until_over};
	struct fl__fiber *f[4];
	FL_EACH (i, f)
		f[i] = fl_test_fiber(s, functions[i], &h);
	fl_thread t;
	fl_test_go(&t, set_when_awaited, &h.wake);
	fl_test_run(s);
	fl_test_end(&t);
	FL_EACH (i, f)
		fl_test_fiber_end(f[i]);
	fl__sched_destroy(s);
}

/* Which threads may run a scheduler. */
static int run_again(void *arg)
{
	FL_RC(fl__sched_run(arg), -EBUSY);
	struct fl__sched *other = fl_test_sched();
	FL_RC(fl__sched_run(other), -EBUSY);
	fl__sched_destroy(other);
	return 0;
}

static int run_elsewhere(void *arg)
{
	FL_RC(fl__sched_run(arg), -EBUSY);
	return 0;
}

static void run_in_child(void *arg)
{
	FL_RC(fl__sched_run(arg), -EOWNERDEAD);
}

FL_TEST(fiber_schedulers_run_on_one_thread)
{
	struct fl__sched *s = fl_test_sched();
	struct fl__fiber *f = fl_test_fiber(s, run_again, s);
	FL_OK(fl_test_child(run_in_child, s, NULL, 0));
	fl_test_run(s);
	fl_test_fiber_end(f);
	fl_test_run(s); /* nothing to do, and well */
	fl_thread t;
	fl_test_go(&t, run_elsewhere, s);
	fl_test_end(&t);
	fl__sched_destroy(s);
}

static void yield_in_child(void *arg)
{
	(void)fl_set_panic_handler(NULL);
	fl__fiber_yield();
}

static int fork_and_yield(void *arg)
{
	fl_test_child_dies(yield_in_child, NULL, SIGABRT, "a fiber that forked waits in the child");
	return 0;
}

FL_TEST(fiber_that_forked_does_not_wait_in_the_child)
{
	FL_OK(fl_test_in_fiber(fork_and_yield, NULL));
}

static void *without_a_signal_stack(void *unused)
{
	FL_FAULTS();
	struct fl__sched *s = fl_test_sched();
	stack_t none = {.ss_flags = SS_DISABLE}, before;
	FL_OK(sigaltstack(&none, &before)); /* of a sanitizer */
	fl__sys.map = fl_test_no_memory;
	FL_RC(fl__sched_run(s), -ENOMEM);
	FL_CHECK(fl_test_faults_end() == 0);
	FL_OK(fl__sched_run(s));
	FL_OK(sigaltstack(&before, NULL));
	fl__sched_destroy(s);
	return unused;
}

FL_TEST(fiber_run_fails_for_lack_of_a_signal_stack)
{
	(void)fl_test_foreign(without_a_signal_stack, NULL);
}

/* A loop of its own way to sleep. */
typedef struct own_loop {
	fl_sem sem;
	fl_event *event;
	unsigned sleeps, wakes;
} own_loop;

static int own_sleep(struct fl__sched *s, int64_t deadline)
{
	own_loop *loop = s->config.user;
	if (fl__add_relaxed(&loop->sleeps, 1) == 0)
		return -EINTR;
	return fl_sem_acquire_until(&loop->sem, deadline, FL_SHIELDED);
}

static void own_wake(struct fl__sched *s)
{
	own_loop *loop = s->config.user;
	fl__add_relaxed(&loop->wakes, 1);
	fl_sem_release(&loop->sem);
}

static const struct fl__sched_ops own_ops = {own_sleep, own_wake};

static int set_when_it_sleeps_again(void *arg)
{
	own_loop *loop = arg;
	FL_WAIT_FOR(fl__load_relaxed(&loop->sleeps) >= 2); /* relaxed: a number by itself */
	fl_event_set(loop->event);
	return 0;
}

FL_TEST(fiber_scheduler_sleeps_as_it_is_told)
{
	fl_event event = FL_EVENT_INIT;
	own_loop loop = {FL_SEM_INIT(0), &event, 0, 0};
	hog h = {FL_EVENT_INIT, 0};
	struct fl__sched *s = NULL;
	FL_OK(fl__sched_create(&s, &(struct fl__sched_config){.ops = &own_ops, .user = &loop}));
	struct fl__fiber *f = fl_test_fiber(s, wait_event, &event), *late = fl_test_fiber(s, be_late, &h);
	fl_thread t;
	fl_test_go(&t, set_when_it_sleeps_again, &loop);
	fl_test_run(s);
	fl_test_end(&t);
	fl_test_fiber_end(f);
	fl_test_fiber_end(late);
	FL_IN_RANGE(fl__load_relaxed(&loop.wakes), 0, 1); /* 0: it was not asleep just then */
	fl__sched_destroy(s);
}

FL_TEST(fiber_scheduler_sleeps_until_the_deadline)
{
	struct fl__sched *s = fl_test_sched();
	FL_OK(fl__sched_enter(s));
	int64_t deadline = fl_after(FL_MS(2));
	fl__sched_sleep(s, deadline);
	assert_true(fl_now() >= deadline);
	fl__sched_leave(s);
	fl__sched_destroy(s);
}

/* backtrace() in a fiber ends: see fl_fiber_switch.h for where. */
static int take_backtrace(void *arg)
{
	void *frames[64];
	return backtrace(frames, 64);
}

FL_TEST(fiber_backtrace_ends)
{
	if (take_backtrace(NULL) < 2)
		FL_SKIP("no unwind information on this machine");
	FL_IN_RANGE(fl_test_in_fiber(take_backtrace, NULL), 2, 10);
}
