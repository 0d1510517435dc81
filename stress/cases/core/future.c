/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenarios of futures. A context that sees that a future has ended also sees what its task wrote.
 * The last reference frees the future.
 */
#include "futures.h"

/*
 * A get sees the result. The last reference, whichever it is, frees the memory after the last
 * access.
 */
struct future_get {
	fl_future *f;
	atomic_int freed;
	int got;
};

FL_STRESS_SETUP(future_get)
{
	s->f = make_future(&s->freed, 2);
}

FL_STRESS_ACTOR(future_get, producer)
{
	(void)produce(s->f, 7, 0);
}

FL_STRESS_ACTOR(future_get, consumer)
{
	OK(fl_future_get(s->f, &s->got, sizeof s->got));
	fl_future_free(s->f);
}

FL_STRESS(future_get, producer, consumer)
{
	FL_FORBIDDEN(LOOK(&s->freed) != 1, "not freed once");
	FL_ACCEPTABLE(s->got == 7, "got it");
}

/* Whichever way a context sees that the future has ended, it also sees what the task wrote. */
struct future_look {
	fl_future *f;
	atomic_int freed;
	int way, seen;
	bool ended;
};

FL_STRESS_SETUP(future_look)
{
	s->f = make_future(&s->freed, 3);
	s->way = (int)fl_stress_choose(5);
}

static bool look(struct future_look *s)
{
	const int *result;
	switch (s->way) {
	case 0:
		return fl_future_state(s->f) == FL_DONE;
	case 1:
		result = fl_future_result(s->f);
		return result && *result == 7;
	case 2:
		return fl_future_try_wait(s->f) == 0;
	case 3:
		return fl_future_try_get(s->f, &s->seen, sizeof s->seen) == 0;
	default:
		return fl_future_cancel(s->f) == -EALREADY;
	}
}

FL_STRESS_ACTOR(future_look, producer)
{
	(void)produce(s->f, 7, 0);
	fl_future_free(s->f); /* a reference of its own: the canceller may free the producer's */
}

FL_STRESS_ACTOR(future_look, looker)
{
	s->ended = look(s);
	if (s->ended)
		FL_STRESS_CHECK(*(int *)s->f->result == 7 && block_of(s->f)->drops == 1);
	fl_future_free(s->f);
}

FL_STRESS(future_look, producer, looker)
{
	FL_FORBIDDEN(LOOK(&s->freed) != 1, "not freed once");
	FL_ACCEPTABLE(s->ended, "ended");
	FL_ACCEPTABLE(!s->ended, "too early");
}

/* The message of a failure is complete when the failure is seen. */
struct future_message {
	fl_future *f;
	atomic_int freed;
	char first;
};

FL_STRESS_SETUP(future_message)
{
	s->f = make_future(&s->freed, 2);
}

FL_STRESS_ACTOR(future_message, producer)
{
	if (fl__future_claim(s->f) != FL__CLAIM_RUN)
		return;
	fl__future_finish(s->f, -EIO, fl__message_format("w"));
	fl_future_free(s->f);
}

FL_STRESS_ACTOR(future_message, looker)
{
	s->first = fl_future_message(s->f)[0];
	if (s->first)
		FL_STRESS_CHECK(fl_future_error(s->f) == -EIO);
	fl_future_free(s->f);
}

FL_STRESS(future_message, producer, looker)
{
	FL_FORBIDDEN(LOOK(&s->freed) != 1, "not freed once");
	FL_ACCEPTABLE(s->first == 'w', "its message");
	FL_ACCEPTABLE(s->first == '\0', "too early");
}

/* A task that has run elsewhere. */

/* Returns a future without hooks, so that only callbacks are the user's code. */
static fl_future *make_plain_future(atomic_int *freed, uint32_t refs)
{
	static const fl_task_type plain = {
	    .size = sizeof plain, .name = "plain", .result_size = sizeof(int), .result_align = _Alignof(int)};
	fl_future *f = make_future(freed, refs);
	f->type = &plain;
	return f;
}

static void set_result(fl_future *f)
{
	*(int *)f->result = 7;
	f->error = 0;
}

/*
 * A context that must not run the user's code either ends a future itself, or leaves this to a
 * context that may run such code. Each callback runs once.
 */
struct future_try_finish {
	fl_future *f;
	atomic_int freed;
	bool kept;
	int calls; /* plain: one context comes after another */
};

static _Thread_local bool may_run_none;

static void check_and_count(fl_future *f, void *arg)
{
	FL_STRESS_CHECK(!may_run_none && *(const int *)fl_future_result(f) == 7);
	++*(int *)arg;
}

FL_STRESS_SETUP(future_try_finish)
{
	s->f = make_plain_future(&s->freed, 2);
}

FL_STRESS_ACTOR(future_try_finish, fetcher)
{
	FL_STRESS_CHECK(fl__future_claim_ended(s->f));
	set_result(s->f);
	may_run_none = true;
	s->kept = !fl__future_try_finish(s->f, NULL);
	may_run_none = false;
	if (s->kept)
		fl__future_finish(s->f, s->f->error, s->f->message);
	fl_future_free(s->f);
}

FL_STRESS_ACTOR(future_try_finish, listener)
{
	OK(fl_future_on_end(s->f, check_and_count, &s->calls));
	OK(fl_future_wait(s->f));
	fl_future_free(s->f);
}

FL_STRESS(future_try_finish, fetcher, listener)
{
	FL_FORBIDDEN(LOOK(&s->freed) != 1, "not freed once");
	FL_FORBIDDEN(s->calls != 1, "not called once");
	FL_ACCEPTABLE(s->kept, "kept for another");
	FL_ACCEPTABLE(!s->kept, "ended at once");
}
