/* SPDX-License-Identifier: BSD-2-Clause */
/* Maps in the bounded backlog of a thread executor: what they wait for, and what ends that. */
#include "fl_pool.h"
#include "fl_queued.h"

#include "core/exec/executor.h"

FL_TASK(full_plus_one, int, int)
{
	*result = *arg + 1;
	return 0;
}

static fl_executor *bounded(unsigned workers)
{
	return pool_of(&(fl_executor_config){.workers = workers, .backlog = 1});
}

/* An executor with a held worker and a full backlog of one. */
struct full {
	fl_executor *e;
	struct held held;
};

static void fill(struct full *full)
{
	full->held = hold_worker(full->e);
	FL_OK(full_plus_one_submit(full->e, 1, NULL));
}

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
	fl_executor_stats stats;
	FL_OK(fl_executor_get_stats(busy.e, &stats));
	return stats.pending == 1 && fl_test_queued(&busy.e->permits.free) == n;
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
	FL_SCOPED(fl_executor) *e = bounded(WORKERS);
	struct held held[WORKERS - 1];
	int in[ELEMENTS] = {0, 1, 2, 3, 4, 5}, out[ELEMENTS] = {0};
	fl_thread t;
	busy = (struct busy){.e = e};
	hold_workers(e, held, WORKERS - 1);
	fl_test_go(&t, submit_last, NULL);
	FL_OK(full_plus_one_late_map(e, in, ELEMENTS, out, &(fl_map_config){.chunk = 1}));
	for (int i = 0; i < ELEMENTS; i++)
		assert_int_equal(out[i], i + 1);
	fl_event_set(&busy.last.open);
	let_all_go(held, WORKERS - 1);
	fl_test_end(&t);
}

FL_TEST(full_map_shielded_is_not_cancelled_by_the_scope)
{
	struct full full = {.e = bounded(1)};
	int in = 1, out = 0;
	fill(&full);
	{
		FL_CANCEL_SCOPE(fl_test_requested);
		FL_RC(full_plus_one_map(full.e, &in, 1, &out,
		                        &(fl_map_config){.cancel = FL_SHIELDED, .deadline = fl_after(FL_MS(1))}),
		      -ETIMEDOUT);
		FL_RC(full_plus_one_map(full.e, &in, 1, &out, NULL), -ECANCELED);
	}
	let_go(&full.held);
	fl_executor_free(full.e);
}

/*
 * An iteration: three elements came from a generator, two at a time, and two results were given out
 * before all is full.
 */
struct three {
	struct full full;
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
	*t = (struct three){.full.e = bounded(1), .stop = FL_CANCEL_TOKEN_INIT};
	FL_OK(fl_imap_create(
	    &t->it, t->full.e, &full_plus_one, NULL, 0,
	    &(fl_imap_config){.next = make_three, .state = t, .chunk = 2, .window = 2, .cancel = &t->stop}));
	for (int i = 0; i < 2; i++)
		FL_OK(fl_imap_next(t->it, NULL, &out));
	fill(&t->full);
}

static void end_three(struct three *t)
{
	let_go(&t->full.held);
	fl_imap_free(t->it);
	fl_executor_free(t->full.e);
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
	fl_event_set(&t.full.held.gate->open);
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
	for (int waits = 0; waits < 2; waits++) {
		struct three t;
		fl_thread thread;
		int rc = 0, out;
		begin_three(&t);
		if (waits) {
			fl_test_go(&thread, await_next, &t);
			FL_WAIT_FOR(seam_sleepers() == 1);
		}
		fl_cancel_token_request(&t.stop);
		if (waits) {
			FL_OK(fl_thread_join(&thread, &rc));
			FL_RC(rc, -ECANCELED);
		}
		/* The third was generated, and not given out. */
		FL_RC(fl_imap_next(t.it, NULL, &out), -ECANCELED);
		end_three(&t);
	}
}
