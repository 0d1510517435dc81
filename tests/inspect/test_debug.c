/* SPDX-License-Identifier: BSD-2-Clause */
/* The order of locks, and other reports on owners. */
#include "fl_debugging.h"

#include "fl_faults.h"

#include "core/base/panic.h"

/* A frame that locks. */
#define LOCKS_IN(name)                                                                                                 \
	FL_FRAME(name, fl_mutex *m)                                                                                    \
	{                                                                                                              \
		lock_here(m);                                                                                          \
		FL_STAYS();                                                                                            \
	}

LOCKS_IN(hold_first)
LOCKS_IN(want_second)
LOCKS_IN(hold_second)
LOCKS_IN(want_first)

/* `second` is locked under `first`. */
static void nest(fl_mutex *first, fl_mutex *second)
{
	fl_mutex_lock(first);
	fl_mutex_lock(second);
	fl_mutex_unlock(first);
	fl_mutex_unlock(second);
}

static void unlock_both(fl_mutex *pair)
{
	fl_mutex_unlock(&pair[0]);
	fl_mutex_unlock(&pair[1]);
}

static int forth(void *pair)
{
	fl_mutex *m = pair;
	hold_first(&m[0]);
	want_second(&m[1]);
	unlock_both(m);
	return 0;
}

static int back(void *pair)
{
	fl_mutex *m = pair;
	hold_second(&m[1]);
	want_first(&m[0]);
	unlock_both(m);
	return 0;
}

static void run_and_join(fl_thread_function *function, void *arg, const char *name)
{
	fl_thread *t;
	FL_OK(fl_thread_start(&t, function, arg, &(fl_thread_config){.name = name}));
	fl_test_end(t);
}

FL_TEST(debug_enable_takes_modes)
{
	FL_DEBUGGING(FL_DEBUG_LOCKORDER);
	assert_int_equal(fl__hook_word(&fl__hooks), FL_DEBUG_LOCKORDER);
	FL_RC(fl_debug_enable(8), -EINVAL);
	assert_int_equal(fl__hook_word(&fl__hooks), FL_DEBUG_LOCKORDER);
	FL_OK(fl_debug_enable(FL_DEBUG_WAITS | FL_DEBUG_CONTENTION));
	assert_int_equal(fl__hook_word(&fl__hooks), FL_DEBUG_WAITS | FL_DEBUG_CONTENTION);
	FL_OK(fl_debug_enable(0));
	assert_int_equal(fl__hook_word(&fl__hooks), 0);
}

FL_TEST(debug_inversion_is_reported_with_four_stacks)
{
	FL_DEBUGGING(FL_DEBUG_LOCKORDER);
	fl_mutex pair[2] = {FL_MUTEX_INIT};
	FL_OK(forth(pair));
	HEARD("\n", 0);
	FL_OK(back(pair));
	HEARD("potential deadlock", 1);
	HEARD("2 of 2", 1);
	HEARD("hold_first", 1);
	HEARD("want_second", 1);
	HEARD("hold_second", 1);
	HEARD("want_first", 1);
	FL_OK(forth(pair));
	FL_OK(back(pair));
	HEARD("potential deadlock", 1); /* once */
}

static fl_mutex debug_pair[2];

FL_TEST(debug_inversion_of_static_locks_names_them)
{
	char wants[128];
	FL_DEBUGGING(FL_DEBUG_LOCKORDER);
	FL_OK(forth(debug_pair));
	FL_OK(back(debug_pair));
	FL_TEXT(wants, " wants mutex debug_pair+%#x at %p at\n", (unsigned)sizeof(fl_mutex), (void *)&debug_pair[1]);
	HEARD("potential deadlock", 1);
	HEARD(" holds mutex debug_pair at ", 1);
	HEARD(wants, 1);
}

FL_TEST(debug_inversion_across_threads_names_both)
{
	FL_DEBUGGING(FL_DEBUG_LOCKORDER);
	fl_mutex pair[2] = {FL_MUTEX_INIT};
	run_and_join(forth, pair, "forth-goer");
	run_and_join(back, pair, "back-goer");
	HEARD("potential deadlock", 1);
	HEARD("forth-goer", 2);
	HEARD("back-goer", 2);
}

FL_TEST(debug_longer_cycles_are_reported)
{
	FL_DEBUGGING(FL_DEBUG_LOCKORDER);
	enum { LOCKS = 7 };
	fl_mutex m[LOCKS] = {FL_MUTEX_INIT};
	FL_EACH (i, m) {
		nest(&m[i], &m[(i + 1) % LOCKS]);
		HEARD("potential deadlock", i == LOCKS - 1);
	}
	HEARD("7 of 7", 1);
}

FL_TEST(debug_each_cycle_is_reported)
{
	FL_DEBUGGING(FL_DEBUG_LOCKORDER);
	fl_mutex pairs[3][2] = {{FL_MUTEX_INIT}};
	for (int i = 0; i < 3; i++) {
		FL_OK(forth(pairs[i]));
		FL_OK(back(pairs[i]));
	}
	HEARD("potential deadlock", 3);
}

FL_TEST(debug_holds_any_number_of_locks)
{
	FL_DEBUGGING(FL_DEBUG_LOCKORDER);
	enum { LOCKS = 150 };
	static fl_mutex m[LOCKS];
	FL_EACH (i, m)
		fl_mutex_lock(&m[i]);
	FL_EACH (i, m)
		fl_mutex_unlock(&m[i]);
	HEARD("\n", 0);
	nest(&m[LOCKS - 1], &m[0]);
	HEARD("potential deadlock", 1);
}

FL_TEST(debug_hierarchy_is_quiet)
{
	FL_DEBUGGING(FL_DEBUG_LOCKORDER);
	fl_mutex root = FL_MUTEX_INIT, child[20] = {FL_MUTEX_INIT}, leaf = FL_MUTEX_INIT, top = FL_MUTEX_INIT;
	for (int round = 0; round < 2; round++)
		FL_EACH (i, child)
			nest(&root, &child[i]);
	FL_EACH (i, child)
		nest(&child[i], &leaf);
	nest(&top, &root); /* many ways lead from here to the leaf */
	HEARD("\n", 0);
}

FL_TEST(debug_hand_over_hand_is_quiet)
{
	FL_DEBUGGING(FL_DEBUG_LOCKORDER);
	fl_mutex list[30] = {FL_MUTEX_INIT};
	for (int round = 0; round < 3; round++) {
		fl_mutex_lock(&list[0]);
		for (int i = 1; i < 30; i++) {
			fl_mutex_lock(&list[i]);
			fl_mutex_unlock(&list[i - 1]);
		}
		fl_mutex_unlock(&list[29]);
	}
	HEARD("\n", 0);
}

/*
 * Tries and waits with a deadline cannot wait for ever. A lock acquired in this way counts as held
 * like any other.
 */
FL_TEST(debug_try_is_no_cause)
{
	FL_DEBUGGING(FL_DEBUG_LOCKORDER | FL_DEBUG_WAITS);
	fl_mutex m[2] = {FL_MUTEX_INIT};
	FL_OK(forth(m));
	fl_mutex_lock(&m[1]);
	FL_OK(fl_mutex_try_lock(&m[0]));
	unlock_both(m);
	fl_mutex_lock(&m[1]);
	FL_OK(fl_mutex_lock_until(&m[0], fl_after(FL_S(60)), FL_SHIELDED));
	unlock_both(m);
	FL_RC((fl_mutex_lock(&m[0]), fl_mutex_try_lock(&m[0])), -EAGAIN);
	fl_mutex_unlock(&m[0]);
	HEARD("\n", 0);
	FL_OK(fl_mutex_try_lock(&m[1]));
	fl_mutex_lock(&m[0]);
	unlock_both(m);
	HEARD("potential deadlock", 1);
}

struct box {
	fl_mutex lock, inner;
	fl_cond changed;
	bool full, waits;
};

static int fill(void *arg)
{
	struct box *b = arg;
	fl_mutex_lock(&b->inner);
	/* The waiter would hold `lock` and then want `inner`, if it held it. */
	fl_mutex_lock(&b->lock);
	b->full = true;
	fl_cond_signal(&b->changed);
	fl_mutex_unlock(&b->lock);
	fl_mutex_unlock(&b->inner);
	return 0;
}

FL_TEST(debug_condition_wait_holds_nothing)
{
	FL_DEBUGGING(FL_DEBUG_LOCKORDER | FL_DEBUG_WAITS);
	struct box b = {FL_MUTEX_INIT, FL_MUTEX_INIT, FL_COND_INIT, false, false};
	fl_thread *t;
	fl_mutex_lock(&b.lock);
	fl_test_go(&t, fill, &b);
	while (!b.full)
		FL_OK(fl_cond_wait(&b.changed, &b.lock));
	fl_mutex_unlock(&b.lock);
	fl_test_end(t);
	HEARD("\n", 0);
}

FL_TEST(debug_reused_memory_is_another_lock)
{
	FL_DEBUGGING(FL_DEBUG_LOCKORDER);
	fl_mutex m[2] = {FL_MUTEX_INIT};
	FL_OK(forth(m));
	fl_mutex_destroy(&m[0]);
	FL_OK(back(m));
	fl_mutex_init(&m[1]);
	FL_OK(forth(m));
	HEARD("\n", 0);
	FL_OK(back(m));
	HEARD("potential deadlock", 1);
}

FL_TEST(debug_rmutex_counts_once)
{
	FL_DEBUGGING(FL_DEBUG_LOCKORDER | FL_DEBUG_WAITS);
	fl_rmutex a = FL_RMUTEX_INIT;
	fl_mutex b = FL_MUTEX_INIT;
	fl_rmutex_lock(&a);
	fl_mutex_lock(&b);
	fl_rmutex_lock(&a);
	fl_rmutex_unlock(&a);
	fl_mutex_unlock(&b);
	fl_rmutex_unlock(&a);
	HEARD("\n", 0);
	fl_mutex_lock(&b);
	fl_rmutex_lock(&a);
	fl_rmutex_unlock(&a);
	fl_mutex_unlock(&b);
	HEARD("potential deadlock", 1);
	fl_rmutex_init(&a);
}

FL_TEST(debug_relock_by_the_owner_is_reported)
{
	FL_DEBUGGING(FL_DEBUG_WAITS);
	fl_mutex m = FL_MUTEX_INIT;
	hold_first(&m);
	FL_RC(fl_mutex_lock_until(&m, FL_FOREVER, fl_test_requested), -ECANCELED);
	HEARD("deadlock: a context waits for a lock that it holds", 1);
	HEARD("hold_first", 1);
	HEARD("main (1) wants mutex", 1);
	fl_mutex_unlock(&m);
}

static int unlock_it(void *m)
{
	fl_mutex_unlock(m);
	return 0;
}

static int lock_it(void *m)
{
	lock_here(m);
	return 0;
}

/* This is no error; the context that locked it no longer counts as the holder. */
FL_TEST(debug_another_context_may_unlock)
{
	FL_DEBUGGING(FL_DEBUG_LOCKORDER | FL_DEBUG_WAITS);
	fl_mutex m[2] = {FL_MUTEX_INIT};
	fl_mutex_lock(&m[0]);
	run_and_join(unlock_it, &m[0], NULL);
	fl_mutex_lock(&m[1]); /* with nothing held: no edge */
	fl_mutex_unlock(&m[1]);
	FL_OK(back(m));
	HEARD("\n", 0);
	run_and_join(lock_it, &m[0], "gone");
	FL_PANICS(fl_mutex_destroy(&m[0]));
	HEARD("gone (", 1);
	fl_mutex_unlock(&m[0]);
}

FL_TEST(debug_locks_from_before_have_no_owner)
{
	fl_mutex m[2] = {FL_MUTEX_INIT};
	fl_mutex_lock(&m[0]);
	FL_DEBUGGING(FL_DEBUG_LOCKORDER | FL_DEBUG_WAITS | FL_DEBUG_CONTENTION);
	fl_mutex_lock(&m[1]);
	FL_PANICS(fl_mutex_destroy(&m[0]));
	unlock_both(m);
	FL_OK(back(m));
	HEARD("\n", 0);
	fl_mutex_lock(&m[0]);
	FL_OK(fl_debug_enable(0));
	fl_mutex_unlock(&m[0]); /* not reported */
	FL_OK(fl_debug_enable(FL_DEBUG_LOCKORDER | FL_DEBUG_WAITS));
	FL_OK(fl_mutex_lock_until(&m[0], FL_FOREVER, FL_SHIELDED));
	fl_mutex_unlock(&m[0]);
	HEARD("\n", 0);
}

FL_TEST(debug_without_memory_ends_with_one_warning)
{
	FL_FAULTS();
	FL_DEBUGGING(FL_DEBUG_LOCKORDER | FL_DEBUG_WAITS | FL_DEBUG_CONTENTION);
	fl_mutex pair[2] = {FL_MUTEX_INIT};
	fl__sys.map = fl_test_no_memory;
	FL_OK(forth(pair));
	FL_OK(back(pair));
	HEARD("out of memory", 1);
	assert_int_equal(fl__hook_word(&fl__hooks), 0);
	fl__sys.map = fl_test_real_sys.map;
	FL_OK(fl_debug_enable(FL_DEBUG_LOCKORDER));
	FL_OK(forth(pair));
	fl__sys.map = fl_test_no_memory;
	FL_OK(back(pair)); /* the table suffices, but the report does not fit */
	HEARD("out of memory to say more", 1);
}

/*
 * A thread that frees a handle may see that debugging is on, and record the handle when it is off.
 * Then a new handle gets the memory.
 */
FL_TEST(debug_knows_no_handle_that_was_recorded_after_its_end)
{
	fl_promise *p;
	fl_future *f;
	FL_DEBUGGING(FL_DEBUG_WAITS);
	FL_OK(fl_debug_enable(0));
	FL_OK(fl_promise_create(&p, 0, NULL, &f));
	fl__hook_freed_on(p); /* that thread */
	FL_OK(fl_debug_enable(FL_DEBUG_WAITS));
	fl_promise_free(p);
	fl_future_free(f);
}

static uint32_t switching_ends;

static int switch_until_the_end(void *unused)
{
	while (!fl__load_relaxed(&switching_ends)) { /* relaxed: publishes nothing */
		FL_OK(fl_debug_enable(FL_DEBUG_WAITS));
		FL_OK(fl_debug_enable(0));
	}
	return 0;
}

static void switch_off(void *unused)
{
	FL_OK(fl_debug_enable(0));
}

FL_TEST(debug_is_switched_in_children_of_a_switching_process)
{
	fl_thread *t;
	fl_test_go(&t, switch_until_the_end, NULL);
	for (int i = 0; i < 100; i++)
		FL_IN_CHILD(switch_off, NULL);
	fl__store_relaxed(&switching_ends, 1); /* relaxed: publishes nothing */
	fl_test_end(t);
}

static void words_fit(void *unused)
{
	FL_RC(fl__hook_word(&fl__hooks) & FL__HOOKS_DEBUG, 0);
	FL_RC(fl__hook_word(&fl__hook_free), 0);
	FL_RC(fl__hook_word(&fl__hook_readers), 1);
}

/* Another thread has switched debugging off, and has not come to the other words. */
FL_TEST(debug_words_fit_in_a_child_of_a_switching_process)
{
	FL_OK(fl_debug_enable(FL_DEBUG_WAITS));
	const uint32_t on = fl__and_relaxed(&fl__hooks, ~(uint32_t)FL__HOOKS_DEBUG) & FL__HOOKS_DEBUG;
	FL_IN_CHILD(words_fit, NULL);
	fl__or_relaxed(&fl__hooks, on);
	FL_OK(fl_debug_enable(0));
}

/*
 * An allocator may take any lock, and a hook may run while the allocator holds it. So debugging
 * never calls the allocator: here each call of it is counted.
 */
static unsigned allocations;

static void *counted_alloc(size_t size)
{
	allocations++;
	return fl_test_real_sys.alloc(size);
}

static void use_each_lock(void)
{
	fl_mutex m = FL_MUTEX_INIT;
	fl_rmutex r = FL_RMUTEX_INIT;
	fl_rwlock l = FL_RWLOCK_INIT;
	fl_cond c = FL_COND_INIT;
	fl_sem s = FL_SEM_INIT(0);
	fl_event e = FL_EVENT_INIT;
	fl_latch latch = FL_LATCH_INIT(1);
	const fl_time soon = fl_test_soon();
	FL_LOCKED(&m);
	fl_rmutex_lock(&r);
	fl_rwlock_read_lock(&l);
	FL_RC(fl_rwlock_write_lock_until(&l, soon, NULL), -ETIMEDOUT);
	fl_rwlock_read_unlock(&l);
	fl_rwlock_write_lock(&l);
	FL_RC(fl_cond_wait_until(&c, &m, soon, NULL), -ETIMEDOUT);
	FL_RC(fl_sem_acquire_until(&s, soon, NULL), -ETIMEDOUT);
	FL_RC(fl_event_wait_until(&e, soon, NULL), -ETIMEDOUT);
	FL_RC(fl_latch_wait_until(&latch, soon, NULL), -ETIMEDOUT);
	FL_RC(fl_mutex_lock_until(&m, soon, NULL), -ETIMEDOUT); /* a deadlock, which is reported */
	fl_rwlock_write_unlock(&l);
	fl_rmutex_unlock(&r);
}

FL_TEST(debug_never_calls_the_allocator)
{
	FL_FAULTS();
	const unsigned all = FL_DEBUG_LOCKORDER | FL_DEBUG_WAITS | FL_DEBUG_CONTENTION;
	fl__sys.alloc = counted_alloc;
	for (unsigned modes = 0; modes <= all; modes++) {
		FL_DEBUGGING(modes);
		fl_mutex m[100] = {FL_MUTEX_INIT};
		for (int i = 0; i < 99; i++)
			nest(&m[i], &m[i + 1]);
		nest(&m[99], &m[0]);
		HEARD("100 of 100", modes & FL_DEBUG_LOCKORDER ? 1 : 0);
		use_each_lock();
		profile();
		FL_OK(fl_debug_enable(0));
		FL_RC((int)allocations, 0);
	}
}

/* An allocator with a lock of its own, in each mode. */
static fl_mutex arena_lock = FL_MUTEX_INIT;
static bool in_arena;

static void *arena_alloc(size_t size, void *unused)
{
	FL_LOCKED(&arena_lock);
	FL_CHECK(!in_arena);
	in_arena = true;
	void *memory = malloc(size);
	in_arena = false;
	return memory;
}

static void arena_free(void *memory, void *unused)
{
	FL_LOCKED(&arena_lock);
	FL_CHECK(!in_arena);
	free(memory);
}

FL_TEST(debug_allocator_may_lock)
{
	static const fl_allocator arena = {arena_alloc, arena_free, NULL};
	for (unsigned modes = 0; modes <= 7; modes++) {
		FL_DEBUGGING(modes);
		fl_allocator_set(&arena);
		for (int i = 0; i < 20; i++) { /* of 16 locks one is measured without a wait */
			FL_SCOPED(fl_queue) *q = FL_TEST_QUEUE_OF(sizeof(int), NULL);
		}
		FL_OK(fl_debug_enable(0));
		fl_allocator_set(NULL);
	}
}

/* What a log handler does is not told to the handler, which may hold a lock. */
static fl_mutex handler_lock = FL_MUTEX_INIT;
static unsigned in_handler, handled;

FL_TEST_LOG_HANDLER(locking_handler)
{
	FL_CHECK(in_handler++ == 0);
	FL_LOCKED(&handler_lock);
	handled++;
	in_handler--;
}

static void log_without_memory(void *modes)
{
	FL_OK(fl_debug_enable(*(const unsigned *)modes));
	fl__sys.map = fl_test_no_memory;
	fl__log(FL_LOG_WARNING, "first");
	fl__sys.map = fl_test_real_sys.map;
	FL_OK(fl_debug_enable(0));
	fl__log(FL_LOG_WARNING, "second");
}

FL_TEST(debug_log_handler_may_lock)
{
	FL_FAULTS();
	char said[256];
	for (unsigned modes = 1; modes <= 3; modes++) {
		FL_DEBUGGING(0);
		handled = 0;
		(void)fl_log_set_handler(locking_handler);
		fl_test_stderr(log_without_memory, &modes, said, sizeof said);
		FL_RC((int)handled, 2);
		assert_string_equal(said, "fairlead: warning: debugging is switched off: out of memory\n");
	}
}
