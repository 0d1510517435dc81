/* SPDX-License-Identifier: BSD-2-Clause */
/* Maps in the bounded backlog of a thread executor: what they wait for, and what ends that. */
#include "fl_pool.h"
#include "fl_queued.h"

#include "core/exec/executor.h"

/*
 * All workers but one are held. That one does the whole map, and takes a task that waits for the
 * map's caller; the caller in turn must wait for space for runners, none of which is needed any
 * more.
 */
enum { WORKERS = 6, ELEMENTS = 6 };

struct busy {
	fl_executor *e;
	fl_event begun;
	struct gate last;
};

static struct busy busy;

/* So many wait for room, behind one task in the backlog. */
static bool stand_in_line(unsigned n)
{
	return stats_of(busy.e).pending == 1 && fl_test_queued(&busy.e->permits.free) == n;
}

FL_TASK(full_plus_one_late, int, int)
{
	if (*arg == 0) {
		/* The mapping thread, with its second runner in the backlog. */
		FL_WAIT_FOR(stand_in_line(1));
		fl_event_set(&busy.begun);
		FL_WAIT_FOR(stand_in_line(2));
	}
	*result = *arg + 1;
	return 0;
}

static int submit_last(void *unused)
{
	FL_OK(fl_event_wait(&busy.begun));
	return hold_submit(busy.e, &busy.last, NULL);
}

FL_TEST(full_map_needs_no_room_for_what_is_done)
{
	FL_SCOPED(fl_executor) *e = bounded(WORKERS, 1, FL_FULL_WAIT);
	struct held held[WORKERS - 1];
	int in[ELEMENTS], out[ELEMENTS] = {0};
	fl_thread *t;
	fl_test_number(in, ELEMENTS);
	busy = (struct busy){.e = e};
	hold_workers(e, held, WORKERS - 1);
	fl_test_go(&t, submit_last, NULL);
	FL_OK(full_plus_one_late_map(e, in, ELEMENTS, out, &(fl_map_config){.chunk = 1}));
	FL_EACH (i, out)
		assert_int_equal(out[i], i + 1);
	fl_event_set(&busy.last.open);
	let_all_go(held, WORKERS - 1);
	fl_test_end(t);
}

/*
 * Elements that wait for each other end only if all workers run some, although a single task fills
 * the backlog.
 */
static fl_latch together;

FL_TASK(full_meet, int, int)
{
	*result = *arg;
	fl_latch_count_down(&together, 1);
	return fl_latch_wait(&together);
}

FL_TEST(full_map_uses_all_workers)
{
	FL_SCOPED(fl_executor) *e = bounded(WORKERS, 1, FL_FULL_WAIT);
	int in[WORKERS] = {0}, out[WORKERS];
	FL_OK(fl_latch_init(&together, WORKERS));
	FL_OK(full_meet_map(e, in, WORKERS, out, &(fl_map_config){.chunk = 1}));
}

/*
 * An iteration: three elements came from a generator, two at a time, and two results were given out
 * before all is full.
 */
struct three {
	fl_executor *e;
	struct held held; /* while it is held, the backlog of one is full */
	fl_imap *it;
	fl_cancel_token stop;
	int made;
};

static int make_three(void *state, void *arg)
{
	struct three *t = state;
	if (t->made == 3)
		return 0;
	*(int *)arg = ++t->made;
	return 1;
}

static void begin_three(struct three *t)
{
	int out;
	*t = (struct three){.e = bounded(1, 1, FL_FULL_WAIT), .stop = FL_CANCEL_TOKEN_INIT};
	FL_OK(pool_plus_one_imap(
	    t->e, NULL, 0, &t->it,
	    &(fl_imap_config){.next = make_three, .state = t, .chunk = 2, .window = 2, .cancel = &t->stop}));
	for (int i = 0; i < 2; i++)
		FL_OK(fl_imap_next(t->it, NULL, &out));
	t->held = hold_worker(t->e);
	FL_OK(pool_plus_one_submit(t->e, 1, NULL));
}

static void end_three(struct three *t)
{
	let_go(&t->held);
	fl_imap_free(t->it);
	fl_executor_free(t->e);
	fl_cancel_token_destroy(&t->stop);
}

FL_TEST(full_imap_waits_for_room_until_its_call_is_cancelled)
{
	struct three t;
	int out = 0;
	begin_three(&t);
	FL_RC(fl_imap_try_next(t.it, NULL, &out), -EAGAIN);
	FL_RC(fl_imap_next_until(t.it, NULL, &out, FL_FOREVER, fl_test_requested), -ECANCELED);
	{
		FL_CANCEL_SCOPE(fl_test_requested);
		FL_RC(fl_imap_next(t.it, NULL, &out), -ECANCELED);
		FL_RC(fl_imap_next_until(t.it, NULL, &out, fl_after(FL_MS(1)), FL_SHIELDED), -ETIMEDOUT);
	}
	fl_event_set(&t.held.gate->open);
	FL_OK(fl_imap_next(t.it, NULL, &out)); /* nothing was lost */
	assert_int_equal(out, 4);
	FL_RC(fl_imap_next(t.it, NULL, &out), -ENODATA);
	end_three(&t);
}

static int await_next(void *three)
{
	struct three *t = three;
	int out;
	return fl_imap_next(t->it, NULL, &out);
}

FL_TEST(full_imap_waits_for_room_until_it_is_stopped)
{
	FL_BOTH (waits) {
		struct three t;
		fl_thread *thread;
		int rc = 0, out;
		begin_three(&t);
		if (waits) {
			fl_test_go(&thread, await_next, &t);
			FL_WAIT_FOR(seam_sleepers() == 1);
		}
		fl_cancel_token_request(&t.stop);
		if (waits) {
			FL_OK(fl_thread_join(thread, &rc));
			FL_RC(rc, -ECANCELED);
		}
		/* The third was generated, and not given out. */
		FL_RC(fl_imap_next(t.it, NULL, &out), -ECANCELED);
		end_three(&t);
	}
}
