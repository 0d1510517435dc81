/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Queues in shared memory between processes that wait for each other: close, join, wait for any of
 * several.
 */
#include "fl_faults.h"
#include "fl_queued.h"
#include "fl_shm_child.h"

/* What another process does with a queue, and what it got. In the region, for all to see. */
struct report {
	int rc, item;
	unsigned n;
};

struct work {
	fl_shm_queue *q;
	struct report *report;
	unsigned n;
};

static struct work work_on(fl_shm *region, fl_shm_queue *q)
{
	struct report *report = fl_shm_block_alloc(region, sizeof *report);
	FL_CHECK(report != NULL);
	return (struct work){q, report, 0};
}

static int get_one(void *arg)
{
	const struct work *w = arg;
	w->report->rc = fl_shm_queue_get(w->q, &w->report->item);
	return 0;
}

static int put_one(void *arg)
{
	const struct work *w = arg;
	w->report->rc = fl_shm_queue_put(w->q, &(int){99});
	return 0;
}

static int get_some(void *arg)
{
	const struct work *w = arg;
	int items[4];
	w->report->n = (unsigned)FL_MOVED(shm_get_many, w->q, items, 4);
	return 0;
}

static int put_some(void *arg)
{
	const struct work *w = arg;
	w->report->n = (unsigned)FL_MOVED(shm_put_many, w->q, (const int[]){1, 2, 3, 4, 5}, 5);
	return 0;
}

static int join_it(void *arg)
{
	const struct work *w = arg;
	w->report->rc = fl_shm_queue_join(w->q);
	return 0;
}

FL_TEST(shm_queue_a_put_wakes_a_getter_elsewhere)
{
	SHM_ITEMS(region, q, sizeof(int), 4);
	struct work w = work_on(region, q);
	pid_t getter = fl_test_fork(get_one, &w);
	FL_WAIT_FOR(is_awaited(&ring_in(region, q)->items));
	SHM_PUTS(q, 7);
	fl_test_reap(getter);
	FL_OK(w.report->rc);
	assert_int_equal(w.report->item, 7);
}

FL_TEST(shm_queue_a_get_wakes_a_putter_elsewhere)
{
	SHM_ITEMS(region, q, sizeof(int), 1);
	struct work w = work_on(region, q);
	int got;
	SHM_PUTS(q, 7);
	pid_t putter = fl_test_fork(put_one, &w);
	FL_WAIT_FOR(is_awaited(&ring_in(region, q)->space));
	FL_OK(fl_shm_queue_get(q, &got));
	fl_test_reap(putter);
	FL_OK(w.report->rc);
	FL_OK(fl_shm_queue_get(q, &got));
	assert_int_equal(got, 99);
}

FL_TEST(shm_queue_many_wait_for_each_other)
{
	SHM_ITEMS(region, q, sizeof(int), 2);
	struct work w = work_on(region, q);
	int got[8];
	size_t n;
	pid_t putter = fl_test_fork(put_some, &w);
	for (int i = 0; i < 5; i += (int)n) {
		n = FL_MOVED(shm_get_many, q, got + i, 8);
		assert_true(n >= 1 && n <= 2);
	}
	for (int i = 0; i < 5; i++)
		assert_int_equal(got[i], i + 1);
	fl_test_reap(putter);
	assert_int_equal(w.report->n, 5);
	pid_t getter = fl_test_fork(get_some, &w);
	FL_WAIT_FOR(is_awaited(&ring_in(region, q)->items));
	FL_MANY(0, 2, shm_put_many, q, got, 2);
	fl_test_reap(getter);
	FL_IN_RANGE(w.report->n, 1, 2);
}

FL_TEST(shm_queue_close_now_drops)
{
	SHM_ITEMS(region, q, sizeof(int), 4);
	int got = 5;
	size_t dropped = 77;
	for (int i = 0; i < 4; i++)
		FL_OK(fl_shm_queue_put(q, &i));
	FL_OK(fl_shm_queue_get(q, &got));
	FL_OK(fl_shm_queue_close(q));
	FL_OK(fl_shm_queue_close_now(q, &dropped));
	assert_int_equal(dropped, 3);
	FL_OK(fl_shm_queue_close_now(q, &dropped));
	assert_int_equal(dropped, 0);
	FL_OK(fl_shm_queue_close(q)); /* changes nothing */
	assert_int_equal(fl_shm_queue_length(q), 0);
	FL_RC(fl_shm_queue_get(q, &got), -EPIPE);
	FL_RC(fl_shm_queue_put(q, &got), -EPIPE);
	FL_RC(fl_shm_queue_join_until(q, FL_NO_WAIT, NULL), -ETIMEDOUT); /* what was got before is not done */
	FL_OK(fl_shm_queue_task_done(q));
	FL_RC(fl_shm_queue_task_done(q), -EINVAL);
	FL_OK(fl_shm_queue_join(q));
}

FL_TEST(shm_queue_join_waits_for_what_was_put)
{
	SHM_ITEMS(region, q, sizeof(int), 4);
	int got;
	FL_OK(fl_shm_queue_join(q));
	FL_RC(fl_shm_queue_task_done(q), -EINVAL);
	SHM_PUTS(q, 1);
	SHM_PUTS(q, 2);
	FL_RC(fl_shm_queue_task_done(q), -EINVAL); /* it was not got */
	FL_RC(fl_shm_queue_join_until(q, fl_after(FL_US(50)), NULL), -ETIMEDOUT);
	FL_RC(fl_shm_queue_join_until(q, FL_FOREVER, fl_test_requested), -ECANCELED);
	FL_CANCELS_IN_SCOPE(fl_shm_queue_join(q));
	struct work w = work_on(region, q);
	pid_t joiner = fl_test_fork(join_it, &w);
	FL_OK(fl_shm_queue_get(q, &got));
	FL_OK(fl_shm_queue_get(q, &got));
	FL_OK(fl_shm_queue_task_done(q));
	FL_WAIT_FOR(is_awaited(&ring_in(region, q)->done));
	assert_int_equal(waitpid(joiner, NULL, WNOHANG), 0);
	FL_OK(fl_shm_queue_task_done(q));
	fl_test_reap(joiner);
	FL_OK(w.report->rc);
	FL_OK(fl_shm_queue_join_until(q, FL_NO_WAIT, NULL));
}

FL_TEST(shm_queue_close_now_ends_a_join)
{
	SHM_ITEMS(region, q, sizeof(int), 4);
	struct work w = work_on(region, q);
	SHM_PUTS(q, 1);
	pid_t joiner = fl_test_fork(join_it, &w);
	FL_WAIT_FOR(is_awaited(&ring_in(region, q)->done));
	FL_OK(fl_shm_queue_close_now(q, NULL));
	fl_test_reap(joiner);
	FL_OK(w.report->rc);
}

/* Producers and consumers in separate processes: each item once, those of one producer in order. */
enum { PRODUCERS = 2, CONSUMERS = 3 };
struct crowd {
	fl_shm_queue *q;
	uint8_t *seen; /* of each item, how often */
	unsigned n;    /* of each producer */
	unsigned me;
};

static int produce(void *arg)
{
	const struct crowd *c = arg;
	for (unsigned i = 0; i < c->n; i++)
		FL_OK(fl_shm_queue_put(c->q, &(uint64_t){(uint64_t)c->me << 32 | i}));
	return 0;
}

static int consume(void *arg)
{
	const struct crowd *c = arg;
	int64_t last[PRODUCERS] = {-1, -1};
	uint64_t items[3];
	size_t n;
	while ((n = FL_MOVED(shm_get_many, c->q, items, 3)) > 0)
		for (size_t i = 0; i < n; i++) {
			unsigned producer = (unsigned)(items[i] >> 32);
			int64_t number = (int64_t)(uint32_t)items[i];
			FL_CHECK(producer < PRODUCERS && number < (int64_t)c->n && number > last[producer]);
			last[producer] = number;
			fl__add_relaxed(&c->seen[producer * c->n + (unsigned)number], 1);
			FL_OK(fl_shm_queue_task_done(c->q));
		}
	return 0;
}

FL_TEST(shm_queue_of_many_processes)
{
	FL_SCOPED(fl_shm) *region = region_of(1 << 18);
	FL_SCOPED(fl_shm_queue) *q = items_in(region, sizeof(uint64_t), 7);
	struct crowd c = {q, NULL, fl_test_scaled(30000), 0};
	c.seen = fl_shm_block_alloc(region, (size_t)c.n * PRODUCERS);
	assert_non_null(c.seen);
	pid_t producers[PRODUCERS], consumers[CONSUMERS];
	FL_EACH (i, consumers)
		consumers[i] = fl_test_fork(consume, &c);
	for (c.me = 0; c.me < PRODUCERS; c.me++)
		producers[c.me] = fl_test_fork(produce, &c);
	FL_EACH (i, producers)
		fl_test_reap(producers[i]);
	FL_OK(fl_shm_queue_join(q));
	FL_OK(fl_shm_queue_close(q));
	FL_EACH (i, consumers)
		fl_test_reap(consumers[i]);
	for (size_t i = 0; i < (size_t)c.n * PRODUCERS; i++)
		assert_int_equal(c.seen[i], 1);
}

/* Waiting for any of several, of this process and of shared memory. */

FL_TEST(shm_queue_wait_any)
{
	FL_SCOPED(fl_shm) *region = region_of(8192);
	FL_SCOPED(fl_shm_queue) *q = items_in(region, sizeof(int), 1), *other = items_in(region, sizeof(int), 1);
	fl_event event = FL_EVENT_INIT;
	int got;
	assert_int_equal(FL_WAIT_ANY_UNTIL(FL_NO_WAIT, NULL, FL_ON_SHM_QUEUE(q), FL_ON_EVENT(&event)), -ETIMEDOUT);
	assert_int_equal(FL_WAIT_ANY_UNTIL(FL_NO_WAIT, NULL, FL_ON_SHM_QUEUE(q), FL_ON_SHM_QUEUE_SPACE(q)), 1);
	SHM_PUTS(q, 1);
	assert_int_equal(FL_WAIT_ANY_UNTIL(FL_NO_WAIT, NULL, FL_ON_SHM_QUEUE_SPACE(q), FL_ON_SHM_QUEUE(q)), 1);
	assert_int_equal(FL_WAIT_ANY_UNTIL(fl_test_soon(), NULL, FL_ON_SHM_QUEUE_SPACE(q), FL_ON_SHM_QUEUE(other)),
	                 -ETIMEDOUT);
	struct work w = work_on(region, other);
	pid_t putter = fl_test_fork(put_one, &w);
	assert_int_equal(FL_WAIT_ANY(FL_ON_EVENT(&event), FL_ON_SHM_QUEUE_SPACE(q), FL_ON_SHM_QUEUE(other)), 2);
	fl_test_reap(putter);
	w.q = q;
	pid_t getter = fl_test_fork(get_one, &w);
	assert_int_equal(FL_WAIT_ANY(FL_ON_EVENT(&event), FL_ON_SHM_QUEUE_SPACE(q)), 1);
	fl_test_reap(getter);
	FL_OK(fl_shm_queue_get(other, &got));
	FL_OK(fl_shm_queue_close(other));
	assert_int_equal(FL_WAIT_ANY(FL_ON_EVENT(&event), FL_ON_SHM_QUEUE(other)), 1);
	assert_int_equal(FL_WAIT_ANY(FL_ON_EVENT(&event), FL_ON_SHM_QUEUE_SPACE(other)), 1);
}

FL_TEST(shm_queue_wait_any_with_frames)
{
	SHM_FRAMES(region, q, 10);
	char got[8];
	size_t size;
	/* Three bytes are left, and an empty frame takes four. */
	FL_OK(fl_shm_queue_put_frame(q, "abc", 3));
	assert_int_equal(FL_WAIT_ANY_UNTIL(FL_NO_WAIT, NULL, FL_ON_SHM_QUEUE_SPACE(q)), -ETIMEDOUT);
	assert_int_equal(FL_WAIT_ANY_UNTIL(FL_NO_WAIT, NULL, FL_ON_SHM_QUEUE(q)), 0);
	FL_OK(fl_shm_queue_get_frame(q, got, 8, &size));
	FL_OK(fl_shm_queue_put_frame(q, "ab", 2));
	assert_int_equal(FL_WAIT_ANY_UNTIL(FL_NO_WAIT, NULL, FL_ON_SHM_QUEUE_SPACE(q)), 0);
	FL_OK(fl_shm_queue_put_frame(q, "", 0));
}

FL_CALL(put_with_token)
{
	return fl_shm_queue_put_until(object, &(int){1}, deadline, cancel);
}

/*
 * A thread that waits with a token uses the bridge, and sees both the token and the other process's
 * get.
 */
FL_TEST(shm_queue_cancel_ends_a_wait)
{
	SHM_ITEMS(region, q, sizeof(int), 1);
	struct fl__shm_ring *r = ring_in(region, q);
	fl_cancel_token stop = FL_CANCEL_TOKEN_INIT;
	int got;
	SHM_PUTS(q, 1);
	for (int i = 0; i < 2; i++) {
		fl_test_caller c;
		fl_test_call_start(&c, put_with_token, q, FL_FOREVER, &stop);
		FL_WAIT_FOR(is_awaited(&r->space));
		if (i == 0)
			FL_OK(fl_shm_queue_get(q, &got));
		else
			fl_cancel_token_request(&stop);
		FL_RC(fl_test_call_end(&c), i == 0 ? 0 : -ECANCELED);
	}
}

/*
 * A stopped process inside: a try, and a wait with a deadline, return; so does a wait, after ten
 * seconds.
 */
static int stop_inside(void *arg)
{
	struct fl__shm_ring *r = arg;
	struct fl__shm_held held;
	FL_OK(fl__shm_enter(&r->lock, &held, FL_FOREVER));
	FL_OK(raise(SIGSTOP));
	fl__shm_leave(&r->lock, &held);
	return 0;
}

FL_TEST_FUTEX_WAIT(clock_wait_shared)
{
	fl__add_relaxed(&fl_test_ahead, FL_S(11)); /* no process comes in this time */
	return deadline <= fl_test_clock_now() ? -ETIMEDOUT : fl_test_real_sys.shared_wait(word, expected, deadline);
}

FL_TEST(shm_queue_try_blocks_on_stalled_peer)
{
	SHM_ITEMS(region, q, sizeof(int), 4), *frames = frames_in(region, 64);
	fl_shm_queue *queues[] = {q, frames};
	FL_EACH (i, queues) {
		struct fl__shm_ring *r = ring_in(region, queues[i]);
		int status, got = 0;
		size_t size;
		pid_t stopped = fl_test_fork(stop_inside, r);
		FL_CHECK(waitpid(stopped, &status, WUNTRACED) == stopped && WIFSTOPPED(status));
		if (i == 0) {
			FL_RC(fl_shm_queue_try_put(q, &(int){1}), -ETIMEDOUT);
			FL_RC(fl_shm_queue_try_get(q, &got), -ETIMEDOUT);
			FL_MANY(-ETIMEDOUT, 0, shm_try_put_many, q, &got, 1);
			FL_MANY(-ETIMEDOUT, 0, shm_try_get_many, q, &got, 1);
			FL_RC(fl_shm_queue_get_until(q, &got, FL_NO_WAIT, NULL), -ETIMEDOUT);
			FL_RC(fl_shm_queue_put_until(q, &got, fl_after(FL_US(1)), NULL), -ETIMEDOUT);
		} else {
			FL_RC(fl_shm_queue_put_frame_until(frames, &got, 1, FL_NO_WAIT, FL_SHIELDED), -ETIMEDOUT);
			FL_RC(fl_shm_queue_get_frame_until(frames, &got, 1, &size, FL_NO_WAIT, FL_SHIELDED),
			      -ETIMEDOUT);
		}
		FL_RC(fl_shm_queue_join_until(queues[i], FL_NO_WAIT, NULL), -ETIMEDOUT);
		{
			FL_FAULTS_UNBRIDGED();
			fl_test_clock_ours();
			fl__sys.shared_wait = clock_wait_shared;
			FL_RC(fl_shm_queue_close(queues[i]), -ETIMEDOUT);
			FL_RC(fl_shm_queue_close_now(queues[i], NULL), -ETIMEDOUT);
			FL_RC(fl_shm_queue_task_done(queues[i]), -ETIMEDOUT);
		}
		assert_int_equal(fl_shm_queue_length(queues[i]), 0);
		assert_int_equal(ring_in(region, queues[i])->closed, 0); /* open */
		FL_OK(kill(stopped, SIGCONT));
		fl_test_reap(stopped);
		FL_OK(fl_shm_queue_close(queues[i]));
	}
}
