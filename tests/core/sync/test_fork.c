/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A forked child uses the library anew, with objects of its own, wherever its parent forked and
 * whatever other threads of the parent were doing. It refuses an executor of its parent.
 */
#include "fl_child.h"
#include "fl_pool.h"
#include "fl_queued.h"

enum { ITEMS = 200 };

/* What the child uses, a family each. A thread of the child is the other side. */

static struct {
	fl_mutex mutex;
	fl_cond cond;
	unsigned count;
} own_condition;

static int count_up(void *unused)
{
	fl_mutex_lock(&own_condition.mutex);
	own_condition.count++;
	fl_cond_signal(&own_condition.cond);
	fl_mutex_unlock(&own_condition.mutex);
	return 0;
}

static void use_mutex_and_condition(void)
{
	fl_thread *t;
	fl_mutex_lock(&own_condition.mutex);
	fl_test_go(&t, count_up, NULL);
	while (own_condition.count == 0)
		FL_OK(fl_cond_wait(&own_condition.cond, &own_condition.mutex));
	fl_mutex_unlock(&own_condition.mutex);
	fl_test_end(t);
	FL_CHECK(fl_thread_enumerate(NULL, NULL) == 0);
}

static fl_rwlock own_rwlock;

static int write_it(void *written)
{
	fl_rwlock_write_lock(&own_rwlock);
	++*(unsigned *)written;
	fl_rwlock_write_unlock(&own_rwlock);
	return 0;
}

static void use_rwlock(void)
{
	unsigned written = 0;
	fl_thread *t;
	fl_rwlock_read_lock(&own_rwlock);
	fl_test_go(&t, write_it, &written);
	FL_WAIT_FOR(fl_test_queued(&own_rwlock) == 1);
	FL_CHECK(written == 0);
	fl_rwlock_read_unlock(&own_rwlock);
	fl_test_end(t);
	FL_CHECK(written == 1);
}

static fl_barrier own_barrier = FL_BARRIER_INIT(2);

static int arrive_often(void *unused)
{
	for (unsigned i = 0; i < ITEMS; i++)
		FL_CHECK(fl_barrier_wait(&own_barrier) >= 0);
	return 0;
}

static void use_barrier(void)
{
	fl_thread *t;
	fl_test_go(&t, arrive_often, NULL);
	FL_OK(arrive_often(NULL));
	fl_test_end(t);
}

static void use_events(void)
{
	fl_event event = FL_EVENT_INIT;
	fl_sem sem = FL_SEM_INIT(0);
	fl_local local = FL_LOCAL_INIT(NULL);
	FL_RC(fl_event_wait_until(&event, fl_test_soon(), NULL), -ETIMEDOUT);
	FL_RC(fl_sem_acquire_until(&sem, fl_test_soon(), NULL), -ETIMEDOUT);
	fl_sem_release(&sem);
	FL_OK(fl_sem_acquire(&sem));
	FL_OK(fl_local_set(&local, &event));
	FL_CHECK(fl_local_get(&local) == &event);
}

static void set_it(void *event)
{
	fl_event_set(event);
}

static void use_tokens(void)
{
	fl_event event = FL_EVENT_INIT;
	fl_cancel_token token = FL_CANCEL_TOKEN_INIT;
	fl_cancel_callback callback;
	FL_CHECK(fl_cancel_token_on_request(&token, &callback, set_it, &event));
	fl_cancel_token_request(&token);
	FL_CHECK(fl_event_is_set(&event));
	FL_CHECK(!fl_cancel_callback_remove(&callback));
	FL_RC(fl_event_wait_until(&(fl_event)FL_EVENT_INIT, FL_FOREVER, &token), -ECANCELED);
	fl_cancel_token_destroy(&token);
}

static void use_timers(void)
{
	fl_event event = FL_EVENT_INIT;
	fl_timer timer = FL_TIMER_INIT;
	FL_OK(fl_timer_start(&timer, FL_NO_WAIT, set_it, &event));
	FL_OK(fl_event_wait(&event));
	FL_OK(fl_timer_join(&timer));
	FL_OK(fl_timer_start(&timer, fl_after(FL_S(3600)), set_it, &event));
	FL_OK(fl_timer_cancel(&timer));
}

static int put_all(void *queue)
{
	for (int i = 0; i < ITEMS; i++)
		FL_OK(fl_queue_put(queue, &i));
	return 0;
}

static void use_queues(void)
{
	static const fl_queue_config configs[] = {
	    {.capacity = 4},
	    {.capacity = 4, .one_producer = true, .one_consumer = true},
	    {.capacity = FL_UNBOUNDED},
	    {.capacity = FL_RENDEZVOUS},
	    {.capacity = 4, .order = FL_LIFO},
	};
	FL_EACH (i, configs) {
		FL_SCOPED(fl_queue) *q = NULL;
		fl_thread *t;
		int item, sum = 0;
		FL_OK(fl_queue_create(&q, sizeof item, &configs[i]));
		fl_test_go(&t, put_all, q);
		for (int n = 0; n < ITEMS; n++) {
			FL_OK(fl_queue_get(q, &item));
			sum += item;
		}
		fl_test_end(t);
		FL_CHECK(sum == ITEMS * (ITEMS - 1) / 2);
	}
}

static int add_numbers(void *sum, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++)
		(void)__atomic_fetch_add((size_t *)sum, i, __ATOMIC_RELAXED);
	return 0;
}

static void use_executor(void)
{
	FL_SCOPED(fl_executor) *e = pool_with(2);
	FL_SCOPED(fl_future) *f = NULL, *next = NULL;
	FL_SCOPED(fl_group) g = FL_GROUP_INIT(e);
	int args[ITEMS], results[ITEMS], one = 0, other = 0;
	size_t sum = 0;
	FL_OK(pool_plus_one_submit(e, 1, &f));
	FL_OK(fl_future_then(f, e, &pool_double, &next));
	FL_OK(pool_double_get(next, &one));
	FL_CHECK(one == 4);
	FL_EACH (i, args)
		args[i] = (int)i;
	FL_OK(pool_double_map(e, args, ITEMS, results, NULL));
	FL_EACH (i, results)
		FL_CHECK(results[i] == 2 * (int)i);
	FL_OK(fl_parallel_for(e, 0, ITEMS, add_numbers, &sum, NULL));
	FL_CHECK(sum == ITEMS * (ITEMS - 1) / 2);
	FL_OK(fl_group_submit(&g, &pool_plus_one, &one, &other));
	FL_OK(fl_group_join(&g));
	FL_CHECK(other == 5);
}

static const struct {
	const char *name;
	void (*use)(void);
} families[] = {
    {"a mutex and a condition", use_mutex_and_condition},
    {"a readers-writer lock", use_rwlock},
    {"a barrier", use_barrier},
    {"events, semaphores and locals", use_events},
    {"cancel tokens", use_tokens},
    {"timers", use_timers},
    {"queues", use_queues},
    {"an executor", use_executor},
};

/* What the parent does meanwhile, all of it until the end. */
static struct {
	fl_mutex mutex;
	fl_sem sem;
	fl_barrier barrier;
	fl_queue *full;
	fl_timer timer;
	fl_executor *e;
	struct held held;
	fl_test_caller callers[4];
} parent = {.barrier = FL_BARRIER_INIT(2)};

FL_CALL(put_one)
{
	return fl_queue_put_until(object, &(int){1}, deadline, cancel);
}

static void parent_begin(void)
{
	fl_mutex_lock(&parent.mutex);
	fl_test_begin_wait(&parent.callers[0], fl_test_lock, &parent.mutex);
	fl_test_begin_wait(&parent.callers[1], fl_test_acquire, &parent.sem);
	fl_test_begin_wait(&parent.callers[2], fl_test_arrive, &parent.barrier);
	FL_OK(fl_queue_create(&parent.full, sizeof(int), &(fl_queue_config){.capacity = 1}));
	FL_OK(fl_queue_put(parent.full, &(int){0}));
	fl_test_call_start(&parent.callers[3], put_one, parent.full, FL_FOREVER, NULL);
	parent.timer = (fl_timer)FL_TIMER_INIT;
	FL_OK(fl_timer_start(&parent.timer, fl_after(FL_S(3600)), set_it, NULL));
	parent.e = pool_with(2);
	parent.held = hold_worker(parent.e);
}

static void parent_end(void)
{
	let_go(&parent.held);
	fl_executor_free(parent.e);
	FL_OK(fl_timer_cancel(&parent.timer));
	FL_OK(fl_queue_get(parent.full, &(int){0}));
	fl_mutex_unlock(&parent.mutex);
	fl_sem_release(&parent.sem);
	FL_RC(fl_barrier_wait(&parent.barrier), 1);
	FL_OK(fl_test_call_end(&parent.callers[0]));
	FL_OK(fl_test_call_end(&parent.callers[1]));
	FL_RC(fl_test_call_end(&parent.callers[2]), 0);
	FL_OK(fl_test_call_end(&parent.callers[3]));
	fl_queue_free(parent.full);
}

static void use_all(void *unused)
{
	FL_RC(pool_nothing_submit(parent.e, NULL), -EOWNERDEAD);
	FL_RC(fl_executor_join(parent.e), -EOWNERDEAD);
	fl_executor_free(parent.e); /* does nothing */
	FL_EACH (i, families)
		families[i].use();
	FL_CHECK(fl_executor_current() == NULL && fl_cancel_scope_current() == NULL);
}

static int fork_here(void *unused)
{
	return fl_test_child(use_all, NULL, NULL, 0);
}

FL_TASK_STATIC(fork_in_task, void, int)
{
	FL_SCOPED(fl_cancel_token) token = FL_CANCEL_TOKEN_INIT;
	FL_CANCEL_SCOPE(&token);
	*result = fork_here(NULL);
	return 0;
}

static void by_the_main_thread(int *status)
{
	*status = fork_here(NULL);
}

static void by_another_thread(int *status)
{
	fl_thread *t;
	fl_test_go(&t, fork_here, NULL);
	FL_OK(fl_thread_join(t, status));
}

static void by_a_task(int *status)
{
	fl_future *f = NULL;
	FL_OK(fork_in_task_submit(parent.e, &f));
	*status = fl_test_result(f);
	fl_future_free(f);
}

static void fork_in_timer(void *status)
{
	*(int *)status = fork_here(NULL);
}

static void by_a_timer(int *status)
{
	fl_timer timer = FL_TIMER_INIT;
	FL_OK(fl_timer_start(&timer, FL_NO_WAIT, fork_in_timer, status));
	FL_OK(fl_timer_join(&timer));
}

static const struct {
	const char *name;
	void (*fork)(int *status);
} places[] = {
    {"by the main thread", by_the_main_thread},
    {"by another thread", by_another_thread},
    {"by a task", by_a_task},
    {"by a timer", by_a_timer},
};

FL_TEST(fork_child_uses_the_library_anew)
{
	fl_test_needs_threads_in_children();
	parent_begin();
	FL_EACH (i, places) {
		int status = -1;
		print_message("forked %s\n", places[i].name);
		places[i].fork(&status);
		FL_OK(status);
	}
	parent_end();
}

/* A thread keeps its locals, as it keeps its thread-local variables. */
static fl_local local;

static void use_locals(void *arg)
{
	FL_CHECK(fl_local_get(&local) == arg);
	fl_local other = FL_LOCAL_INIT(NULL);
	FL_OK(fl_local_set(&other, arg));
	FL_CHECK(fl_local_get(&other) == arg);
}

FL_TEST(fork_keeps_locals)
{
	int value;
	FL_OK(fl_local_set(&local, &value));
	FL_IN_CHILD(use_locals, &value);
	FL_OK(fl_local_set(&local, NULL));
}
