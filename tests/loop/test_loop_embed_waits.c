/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The host of a loop waits, between two iterations, for what another thread does. That thread waits
 * behind a fiber of the loop, which cannot run before the next iteration.
 */
#include "fl_in_loop.h"
#include "fl_queued.h"

#include "core/queue/queue.h"
#include "core/sync/rwlock.h"

struct hosted {
	fl_loop *l;
	fl_mutex m;
	fl_rwlock rw;
	fl_sem permits;
	fl_cond changed;
	fl_queue *items, *meetings, *told_queue;
	fl_event told, go_on, holds, set_once;
	fl_sem told_sem;
	fl_shm_sem told_shared;
	fl_pipe *told_pipe[2];
	fl_fiber *f, *holder;
	fl_thread *other, *late;
	bool fiber_has_run, has_told;
};

/* The waits of the host. */

static void await_event(struct hosted *h)
{
	FL_OK(fl_event_wait(&h->told));
}

static void await_permit(struct hosted *h)
{
	FL_OK(fl_sem_acquire(&h->told_sem));
}

static void await_item(struct hosted *h)
{
	int item;
	FL_OK(fl_queue_get(h->told_queue, &item));
}

static void await_end(struct hosted *h)
{
	FL_OK(fl_thread_join(h->other, NULL));
}

static void await_shared_permit(struct hosted *h)
{
	FL_OK(fl_shm_sem_acquire(&h->told_shared));
}

static void await_message(struct hosted *h)
{
	char message;
	size_t size;
	FL_OK(fl_pipe_receive(h->told_pipe[1], &message, sizeof message, &size));
}

static int await_event_in_fiber(void *arg)
{
	return fl_event_wait(&((struct hosted *)arg)->told);
}

/* The host runs another loop. */
static void await_fiber(struct hosted *h)
{
	FL_OK(fl_loop_run(await_event_in_fiber, h));
}

static void await_condition(struct hosted *h)
{
	fl_mutex_lock(&h->m);
	while (!h->has_told)
		FL_OK(fl_cond_wait(&h->changed, &h->m));
	fl_mutex_unlock(&h->m);
}

static void (*const awaits[])(struct hosted *h) = {await_event,         await_permit,  await_item,  await_end,
                                                   await_shared_permit, await_message, await_fiber, await_condition};

static void tell(struct hosted *h)
{
	fl_mutex_lock(&h->m);
	h->has_told = true;
	fl_cond_broadcast(&h->changed);
	fl_mutex_unlock(&h->m);
	fl_sem_release(&h->told_sem);
	FL_OK(fl_shm_sem_release(&h->told_shared));
	FL_OK(fl_pipe_send(h->told_pipe[0], "", 1));
	FL_OK(fl_queue_put(h->told_queue, &(int){1}));
	fl_event_set(&h->told);
}

/* The fiber is first in the queue of the mutex, a thread second. */

static int lock_in_fiber(void *arg)
{
	struct hosted *h = arg;
	FL_LOCKED(&h->m);
	h->fiber_has_run = true;
	return 0;
}

static int lock_and_tell(void *arg)
{
	struct hosted *h = arg;
	fl_mutex_lock(&h->m);
	fl_mutex_unlock(&h->m);
	tell(h);
	return 0;
}

static void turn(struct hosted *h)
{
	fl_time deadline;
	FL_OK(fl_loop_run_once(h->l, &deadline));
}

static void start_fiber(void *arg)
{
	struct hosted *h = arg;
	h->f = fl_test_start(lock_in_fiber, h);
}

static void queue_fiber(struct hosted *h)
{
	FL_OK(fl_loop_post(h->l, start_fiber, h));
	while (fl_test_queued(&h->m) == 0)
		turn(h);
	turn(h);
}

static void queue_both(struct hosted *h)
{
	queue_fiber(h);
	fl_test_go(&h->other, lock_and_tell, h);
	FL_WAIT_FOR(fl_test_queued(&h->m) == 2);
}

static void hosted_begin(struct hosted *h)
{
	*h = (struct hosted){.l = fl_test_loop()};
	h->told_queue = FL_TEST_QUEUE(int, .capacity = 2);
	h->items = FL_TEST_QUEUE(int, .capacity = 1);
	h->meetings = FL_TEST_QUEUE(int, .capacity = FL_RENDEZVOUS);
	FL_OK(fl_pipe_create(&h->told_pipe[0], &h->told_pipe[1], NULL));
	fl_event_init_auto(&h->set_once);
}

/* The host has hosted the loop, and holds the mutex. */
static void hosted_begin_locked(struct hosted *h)
{
	hosted_begin(h);
	turn(h);
	fl_mutex_lock(&h->m);
}

/* The thread goes before the fiber. */
static void host_waits(struct hosted *h)
{
	await_event(h);
	assert_false(h->fiber_has_run);
}

static void end_fiber(struct hosted *h)
{
	while (fl_fiber_is_alive(h->f))
		turn(h);
	FL_OK(fl_fiber_try_join(h->f, NULL));
}

/* The fiber gets its turn, too. */
static void hosted_end(struct hosted *h, void (*await)(struct hosted *h))
{
	if (await != await_end)
		fl_test_end(h->other);
	end_fiber(h);
	assert_true(h->fiber_has_run);
	FL_CHECK(!fl__mutex_is_busy(&h->m));
	fl_queue_free(h->told_queue);
	fl_queue_free(h->items);
	fl_queue_free(h->meetings);
	fl_pipe_free(h->told_pipe[0]);
	fl_pipe_free(h->told_pipe[1]);
	fl_loop_free(h->l);
}

/* The host itself frees the mutex, before its wait or in it. */
FL_TEST(embed_waits_for_a_thread_behind_a_fiber)
{
	FL_EACH (i, awaits) {
		struct hosted h;
		hosted_begin_locked(&h);
		queue_both(&h);
		if (awaits[i] == await_condition) {
			while (!h.has_told)
				FL_OK(fl_cond_wait(&h.changed, &h.m));
			fl_mutex_unlock(&h.m);
		} else {
			fl_mutex_unlock(&h.m);
			awaits[i](&h);
		}
		assert_false(h.fiber_has_run);
		hosted_end(&h, awaits[i]);
	}
}

/* Another thread frees it, when the host sleeps. */
static int hold_until_host_sleeps(void *arg)
{
	struct hosted *h = arg;
	fl_mutex_lock(&h->m);
	fl_event_set(&h->go_on);
	FL_WAIT_FOR(fl_test_queued(&h->told) == 1);
	fl_mutex_unlock(&h->m);
	return 0;
}

FL_TEST(embed_waits_while_another_thread_unlocks)
{
	struct hosted h;
	fl_thread *t;
	hosted_begin(&h);
	turn(&h);
	fl_test_go(&t, hold_until_host_sleeps, &h);
	FL_OK(fl_event_wait(&h.go_on));
	queue_both(&h);
	host_waits(&h);
	fl_test_end(t);
	hosted_end(&h, await_event);
}

/* Another fiber frees it in the last iteration: the first fiber would run in the next one. */
static int hold_in_fiber(void *arg)
{
	struct hosted *h = arg;
	FL_LOCKED(&h->m);
	FL_OK(fl_event_wait(&h->go_on));
	return 0;
}

static void start_holder(void *arg)
{
	struct hosted *h = arg;
	h->holder = fl_test_start(hold_in_fiber, h);
}

FL_TEST(embed_waits_after_a_fiber_has_unlocked)
{
	FL_EACH (i, awaits) {
		struct hosted h;
		hosted_begin(&h);
		FL_OK(fl_loop_post(h.l, start_holder, &h));
		while (fl_test_queued(&h.go_on) == 0)
			turn(&h);
		queue_both(&h);
		fl_event_set(&h.go_on);
		while (fl_fiber_is_alive(h.holder))
			turn(&h);
		awaits[i](&h);
		FL_OK(fl_fiber_try_join(h.holder, NULL));
		hosted_end(&h, awaits[i]);
	}
}

/* Unlocks when another thread waits behind the first in the queue. */
static void unlock_when_another_waits(struct hosted *h)
{
	fl_test_go(&h->late, lock_and_tell, h);
	FL_WAIT_FOR(fl_test_queued(&h->m) == 2);
	fl_mutex_unlock(&h->m);
}

/* A thread comes when the mutex is held by a thread, and the fiber is first in the queue, awake. */
static int lock_until_another_waits(void *arg)
{
	struct hosted *h = arg;
	FL_WAIT_FOR(fl_test_queued(&h->told) == 1);
	fl_mutex_lock(&h->m);
	unlock_when_another_waits(h);
	return 0;
}

FL_TEST(embed_waits_for_a_thread_that_comes_later)
{
	struct hosted h;
	hosted_begin_locked(&h);
	queue_fiber(&h);
	fl_mutex_unlock(&h.m); /* wakes the fiber */
	fl_test_go(&h.other, lock_until_another_waits, &h);
	host_waits(&h);
	fl_test_end(h.late);
	hosted_end(&h, await_event);
}

/* The host has slept before, when a thread went before the fiber, which was awake already. */
static int hold_until_another_waits(void *arg)
{
	struct hosted *h = arg;
	fl_mutex_lock(&h->m);
	fl_event_set(&h->holds);
	unlock_when_another_waits(h); /* perhaps to the fiber, if its turn is over */
	fl_event_set(&h->go_on);
	return 0;
}

/*
 * An unlock after the host's first sleep may have handed the mutex to the fiber, whose turn was
 * over. Then the thread that is to hold it is the second in the queue, and has not started the late
 * one.
 */
static bool waits_behind_the_fiber(struct hosted *h)
{
	return fl_test_queued(&h->m) == 2 && !fl_event_is_set(&h->holds);
}

FL_TEST(embed_waits_a_second_time)
{
	struct hosted h;
	hosted_begin_locked(&h);
	queue_both(&h);
	fl_mutex_unlock(&h.m); /* wakes the fiber */
	await_event(&h);
	fl_test_end(h.other);
	fl_event_reset(&h.told);
	fl_test_go(&h.other, hold_until_another_waits, &h);
	FL_WAIT_FOR(fl_event_is_set(&h.go_on) || waits_behind_the_fiber(&h));
	host_waits(&h);
	fl_test_end(h.late);
	hosted_end(&h, await_event);
}

/*
 * The fiber keeps its place while the host does not sleep in the library, but has done so before.
 */
static int lock_after_the_fiber(void *arg)
{
	struct hosted *h = arg;
	FL_LOCKED(&h->m);
	FL_CHECK(h->fiber_has_run);
	return 0;
}

FL_TEST(embed_waits_end_with_the_wait)
{
	struct hosted h;
	hosted_begin_locked(&h);
	queue_fiber(&h);
	FL_RC(fl_event_wait_until(&h.told, fl_after(1), NULL), -ETIMEDOUT);
	fl_test_go(&h.other, lock_after_the_fiber, &h);
	FL_WAIT_FOR(fl_test_queued(&h.m) == 2);
	fl_mutex_unlock(&h.m);
	while (!h.fiber_has_run)
		turn(&h);
	hosted_end(&h, await_event);
}

/* The thread hosts two loops. A fiber of each waits before the other thread. */
FL_TEST(embed_waits_behind_fibers_of_two_loops)
{
	struct hosted h, first;
	hosted_begin_locked(&h);
	queue_fiber(&h);
	first = h;
	h.l = fl_test_loop();
	FL_OK(fl_loop_post(h.l, start_fiber, &h));
	while (fl_test_queued(&h.m) == 1)
		turn(&h);
	fl_test_go(&h.other, lock_and_tell, &h);
	FL_WAIT_FOR(fl_test_queued(&h.m) == 3);
	fl_mutex_unlock(&h.m);
	host_waits(&h);
	end_fiber(&first);
	fl_loop_free(first.l);
	hosted_end(&h, await_event);
}

/* The thread has freed the loops that it hosted before and after this one. */
FL_TEST(embed_waits_after_other_loops_were_freed)
{
	struct hosted h;
	fl_loop *before = fl_test_loop(), *after = fl_test_loop();
	fl_time deadline;
	hosted_begin(&h);
	FL_OK(fl_loop_run_once(before, &deadline));
	turn(&h);
	fl_mutex_lock(&h.m);
	queue_both(&h);
	FL_OK(fl_loop_run_once(after, &deadline));
	fl_loop_free(before);
	fl_loop_free(after);
	fl_mutex_unlock(&h.m);
	host_waits(&h);
	hosted_end(&h, await_event);
}

/*
 * The other objects: what becomes free while the host sleeps goes to a waiter that can run, before
 * the fiber, which has waited longer.
 */

static int take_lock(void *arg)
{
	struct hosted *h = arg;
	fl_rwlock_write_lock(&h->rw);
	fl_rwlock_write_unlock(&h->rw);
	return 0;
}

static int take_permit(void *arg)
{
	FL_OK(fl_sem_acquire(&((struct hosted *)arg)->permits));
	return 0;
}

static int take_item(void *arg)
{
	int item;
	FL_OK(fl_queue_get(((struct hosted *)arg)->items, &item));
	return 0;
}

static int take_at_meeting(void *arg)
{
	int item;
	FL_OK(fl_queue_get(((struct hosted *)arg)->meetings, &item));
	return 0;
}

static int take_set(void *arg)
{
	FL_OK(fl_event_wait(&((struct hosted *)arg)->set_once));
	return 0;
}

static int take_signal(void *arg)
{
	struct hosted *h = arg;
	FL_LOCKED(&h->m);
	FL_OK(fl_cond_wait(&h->changed, &h->m));
	return 0;
}

static void hold_lock(struct hosted *h)
{
	fl_rwlock_write_lock(&h->rw);
}

static void release_lock(struct hosted *h)
{
	if (fl__rwlock_is_write_locked(&h->rw))
		fl_rwlock_write_unlock(&h->rw);
}

static void release_permit(struct hosted *h)
{
	fl_sem_release(&h->permits);
}

static void release_item(struct hosted *h)
{
	FL_OK(fl_queue_put(h->items, &(int){1}));
}

static void release_at_meeting(struct hosted *h)
{
	FL_OK(fl_queue_put(h->meetings, &(int){1}));
}

static void release_set(struct hosted *h)
{
	fl_event_set(&h->set_once);
}

static void release_signal(struct hosted *h)
{
	FL_LOCKED(&h->m);
	fl_cond_signal(&h->changed);
}

static const struct object {
	int (*take)(void *hosted); /* in the fiber, and on the thread */
	void (*hold)(struct hosted *h), (*release)(struct hosted *h);
	size_t key; /* of the wait queue: the offset of the object, or of the pointer to a queue */
} objects[] = {
    {take_lock, hold_lock, release_lock, offsetof(struct hosted, rw)},
    {take_permit, NULL, release_permit, offsetof(struct hosted, permits)},
    {take_item, NULL, release_item, offsetof(struct hosted, items)},
    {take_at_meeting, NULL, release_at_meeting, offsetof(struct hosted, meetings)},
    {take_set, NULL, release_set, offsetof(struct hosted, set_once)},
    {take_signal, NULL, release_signal, offsetof(struct hosted, changed)},
};
static const struct object *object;

static size_t object_queued(struct hosted *h)
{
	const void *key = (char *)h + object->key;
	if (object->take == take_item || object->take == take_at_meeting)
		key = fl__queue_wait_key(*(fl_queue *const *)key, FL__CONSUMERS);
	return fl_test_queued(key);
}

static int take_and_tell(void *arg)
{
	struct hosted *h = arg;
	object->take(h);
	tell(h);
	return 0;
}

static void start_taker(void *arg)
{
	struct hosted *h = arg;
	h->f = fl_test_start(object->take, h);
}

static int release_when_host_sleeps(void *arg)
{
	struct hosted *h = arg;
	if (object->hold)
		object->hold(h);
	fl_event_set(&h->go_on);
	FL_WAIT_FOR(fl_test_queued(&h->told) == 1);
	object->release(h);
	return 0;
}

FL_TEST(embed_waits_give_what_is_free_to_who_can_run)
{
	FL_EACH (i, objects) {
		struct hosted h;
		fl_thread *t;
		object = &objects[i];
		hosted_begin(&h);
		turn(&h);
		fl_test_go(&t, release_when_host_sleeps, &h);
		FL_OK(fl_event_wait(&h.go_on));
		FL_OK(fl_loop_post(h.l, start_taker, &h));
		while (object_queued(&h) == 0)
			turn(&h);
		fl_test_go(&h.other, take_and_tell, &h);
		FL_WAIT_FOR(object_queued(&h) == 2);
		await_event(&h);
		fl_test_end(t);
		assert_true(fl_fiber_is_alive(h.f));
		object->release(&h);
		h.fiber_has_run = true;
		hosted_end(&h, await_event);
	}
}
