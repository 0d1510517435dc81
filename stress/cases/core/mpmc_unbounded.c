/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenarios of the unbounded queue for many producers and consumers. Each item comes out once, in
 * order, with what came before its put. A segment is freed once, when no other thread uses it; the
 * model sees each use after the free.
 */
#include "chains.h"

/* Two threads put, and two get. What they do not get is still there. */
struct unbounded_conservation {
	chain *q;
	int got[2];
};

FL_STRESS_SETUP(unbounded_conservation)
{
	s->q = unbounded_of(1 + fl_stress_choose(2), 0);
}

FL_STRESS_ACTOR(unbounded_conservation, put_one)
{
	OK(chain_try_put(s->q, &(int){1}));
}

FL_STRESS_ACTOR(unbounded_conservation, put_two)
{
	OK(chain_try_put(s->q, &(int){2}));
}

static void take_any(struct unbounded_conservation *s, int i)
{
	s->got[i] = unbounded_take(s->q);
}

TWO_ACTORS(unbounded_conservation, take_any)

FL_STRESS(unbounded_conservation, put_one, put_two, one, two)
{
	int left = unbounded_end(s->q, 2);
	FL_FORBIDDEN(s->got[0] + s->got[1] + left != 3, "lost, doubled, or counted wrongly");
	FL_ACCEPTABLE(left == 0, "both taken");
	FL_ACCEPTABLE(left > 0, "not all found");
}

/*
 * false_empty_after_own_push, and aba_recycle: a thread that has put an item finds one, since no
 * thread gets more than it has put. A segment is removed, kept as the spare, and reused, while
 * another thread is before its step on it. Both threads may have used the queue before, so that
 * then only the queue's own steps order them.
 */
struct unbounded_own_push {
	chain *q;
	bool again;
};

FL_STRESS_SETUP(unbounded_own_push)
{
	s->again = fl_stress_choose(2);
	s->q = unbounded_of(s->again ? 1 + fl_stress_choose(2) : 1, 0);
}

static void put_then_take(struct unbounded_own_push *s, unsigned times)
{
	if (s->again)
		(void)chain_length(s->q);
	for (; times > 0; times--) {
		OK(chain_try_put(s->q, &(int){1}));
		FL_STRESS_CHECK(unbounded_take(s->q) != 0);
	}
}

FL_STRESS_ACTOR(unbounded_own_push, one)
{
	put_then_take(s, 1);
}

FL_STRESS_ACTOR(unbounded_own_push, two)
{
	put_then_take(s, s->again ? 1 : fl_stress_ops(3));
}

FL_STRESS(unbounded_own_push, one, two)
{
	(void)unbounded_end(s->q, 0);
	FL_ACCEPTABLE(1, "each found one");
}

/*
 * block_reuse_ordering, reclaim_stall: one thread gets from segments that another thread passes,
 * retires and reuses. The model sees a segment that its old and its new user use at once.
 */
struct unbounded_reuse {
	chain *q;
	int got[4];
};

FL_STRESS_SETUP(unbounded_reuse)
{
	s->q = unbounded_of(1, 2);
}

FL_STRESS_ACTOR(unbounded_reuse, slow)
{
	s->got[0] = unbounded_take(s->q);
}

FL_STRESS_ACTOR(unbounded_reuse, fast)
{
	for (int i = 1; i < 4; i++) {
		s->got[i] = unbounded_take(s->q);
		OK(chain_try_put(s->q, &(int){2 + i}));
	}
}

FL_STRESS(unbounded_reuse, slow, fast)
{
	int sum = unbounded_end(s->q, 5);
	for (int i = 0; i < 4; i++)
		sum += s->got[i];
	FL_ACCEPTABLE(sum == 15, "each once");
}

/*
 * A thread has appended a reused segment, and has not moved the tail yet. Another thread moves it
 * and puts, and a third one counts. They know the segment only by its address, and must see it as
 * it was appended.
 */
struct unbounded_append {
	chain *q;
	int got;
	uint64_t puts, length;
};

FL_STRESS_SETUP(unbounded_append)
{
	s->q = unbounded_of(2, 3);
}

FL_STRESS_ACTOR(unbounded_append, fast)
{
	for (int i = 0; i < 3; i++)
		s->got += unbounded_take(s->q);
	OK(chain_try_put(s->q, &(int){4}));
	OK(chain_try_put(s->q, &(int){5}));
}

FL_STRESS_ACTOR(unbounded_append, late)
{
	OK(chain_try_put(s->q, &(int){6}));
}

FL_STRESS_ACTOR(unbounded_append, looker)
{
	s->puts = fl__unbounded_puts(s->q);
	s->length = chain_length(s->q);
}

FL_STRESS(unbounded_append, fast, late, looker)
{
	int sum = unbounded_end(s->q, 6) + s->got;
	FL_FORBIDDEN(s->puts < 3 || s->puts > 6 || s->length > 6, "counted what was not there");
	FL_ACCEPTABLE(sum == 21, "each once");
}

/*
 * A thread ends, and releases its hazard pointers and its record. Another thread reuses both at
 * once.
 */
struct unbounded_thread_ends {
	chain *q;
	int got[3];
};

FL_STRESS_SETUP(unbounded_thread_ends)
{
	s->q = unbounded_of(1, 3);
}

FL_STRESS_ACTOR(unbounded_thread_ends, one)
{
	s->got[0] = unbounded_take(s->q);
	fl__hazards_end();
}

FL_STRESS_ACTOR(unbounded_thread_ends, two)
{
	s->got[1] = unbounded_take(s->q);
	fl__hazards_end();
	s->got[2] = unbounded_take(s->q);
	fl__hazards_end();
}

FL_STRESS(unbounded_thread_ends, one, two)
{
	int sum = unbounded_end(s->q, 3) + s->got[0] + s->got[1] + s->got[2];
	FL_ACCEPTABLE(sum == 6, "each once");
}

/*
 * Two threads retire segments while a pass is due, while it is not, or beside a thread that was
 * stopped in its pass. Whichever of them makes the passes, the next few segments free what nothing
 * protects.
 */
struct unbounded_owed {
	chain *q;
	int got[2];
};

FL_STRESS_SETUP(unbounded_owed)
{
	static const ptrdiff_t owed[] = {-64, 0, 128};
	s->q = unbounded_of(1, 4);
	s->q->owed = owed[fl_stress_choose(3)];
}

static void take_two(struct unbounded_owed *s, int i)
{
	s->got[i] = unbounded_take(s->q);
	s->got[i] += unbounded_take(s->q);
	fl__hazards_end();
}

TWO_ACTORS(unbounded_owed, take_two)

FL_STRESS(unbounded_owed, one, two)
{
	int left = 0;
	for (int i = 0; i < 4; i++) {
		OK(chain_try_put(s->q, &(int){1}));
		FL_STRESS_CHECK(unbounded_take(s->q) == 1);
	}
	for (struct fl__segment *segment = s->q->retired; segment; segment = segment->next_retired)
		left++;
	chain_free(s->q);
	FL_FORBIDDEN(s->got[0] + s->got[1] != 10, "lost or doubled");
	FL_FORBIDDEN(left > 1, "not freed");
	FL_ACCEPTABLE(1, "each once");
}

/*
 * A consumer has poisoned the slot of the first of several items. The items take the slots behind
 * it, in order.
 */
struct unbounded_many_poisoned {
	chain *q;
	int got[4];
};

FL_STRESS_SETUP(unbounded_many_poisoned)
{
	s->q = unbounded_of(4, 0);
}

FL_STRESS_ACTOR(unbounded_many_poisoned, producer)
{
	int items[2] = {1, 2};
	FL_STRESS_CHECK(MOVED(chain_try_put_many, s->q, items, 2) == 2);
}

FL_STRESS_ACTOR(unbounded_many_poisoned, consumer)
{
	s->got[0] = unbounded_take(s->q);
}

FL_STRESS(unbounded_many_poisoned, producer, consumer)
{
	for (int i = s->got[0] ? 1 : 0; i < 4; i++)
		s->got[i] = unbounded_take(s->q);
	chain_free(s->q);
	FL_ACCEPTABLE(s->got[0] == 1 && s->got[1] == 2 && s->got[2] == 0, "each once, in order");
}

/*
 * closed_with_outstanding_reservation: an item is accepted if and only if it is got, by a consumer
 * that gets until the end, in a queue for one consumer or for many. The last slot of the segment
 * may have been drawn, or not.
 */
struct unbounded_close {
	chain *q;
	int got, rc, many;
};

FL_STRESS_SETUP(unbounded_close)
{
	const bool one_consumer = fl_stress_choose(2);
	s->q = chain_of(one_consumer, 1 + fl_stress_choose(2), (int)fl_stress_choose(2));
	(void)unbounded_take(s->q);
	fl__hazards_end();
}

FL_STRESS_ACTOR(unbounded_close, producer)
{
	s->rc = chain_try_put(s->q, &(int64_t){4});
	int two[4] = {8, 16, 16}; /* 8 and 16: as ints, and as the lower halves of int64_t */
	s->many = (int)MOVED(chain_try_put_many, s->q, two, 2);
}

FL_STRESS_ACTOR(unbounded_close, closer)
{
	chain_close(s->q);
}

FL_STRESS_ACTOR(unbounded_close, consumer)
{
	int64_t item = 0;
	int rc, sum = 0;
	while ((rc = chain_try_get(s->q, &item)) != -EPIPE) {
		if (rc == 0)
			sum += (int)item;
		else
			fl_stress_relax();
	}
	s->got = sum;
}

FL_STRESS(unbounded_close, producer, closer, consumer)
{
	bool over = chain_is_closed(s->q) && chain_try_put(s->q, &(int64_t){0}) == -EPIPE;
	int left = unbounded_take(s->q);
	chain_free(s->q);
	FL_FORBIDDEN(!over || left != 0, "accepted after the end");
	FL_FORBIDDEN(s->rc != 0 && s->rc != -EPIPE, "wrong result");
	int put = (s->rc == 0 ? 4 : 0) + (s->many > 0 ? 8 : 0) + (s->many > 1 ? 16 : 0);
	FL_FORBIDDEN(put != s->got, "accepted and not got, or got and not accepted");
	FL_FORBIDDEN(s->rc != 0 && s->many != 0, "accepted after a refusal");
	FL_ACCEPTABLE(put == 0, "closed before");
	FL_ACCEPTABLE(put == 28, "closed after");
	FL_ACCEPTABLE(1, "closed in between");
}
