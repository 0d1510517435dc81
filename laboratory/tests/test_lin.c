/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tests the laboratory's check against a sequential specification: with histories whose answer is
 * obvious, and with small random histories that are compared with all permutations.
 */
#include "fl_test.h"

#include "../engine/lin.h"

static struct lin_history h;

/* --- histories by hand: calls with their times --- */

static void begin(void)
{
	memset(&h, 0, sizeof h);
}

/*
 * Adds a call of `thread` from one time to another; `to` is 0 if the call has not returned. No time
 * is used twice, and times begin with 1.
 */
static void call(int thread, unsigned from, unsigned to, int kind, int64_t arg, int64_t result)
{
	h.calls[h.n++] = (struct lin_call){.call = {.kind = kind, .arg = arg, .result = result, .returned = to > 0},
	                                   .name = "call",
	                                   .thread = (uint8_t)thread,
	                                   .began = from,
	                                   .returned = to};
}

/* Adds a call of `thread` that begins after all earlier calls have returned, and returns. */
static void then(int thread, int kind, int64_t arg, int64_t result)
{
	const unsigned from = 2 * h.n + 1;
	call(thread, from, from + 1, kind, arg, result);
}

static void put(int thread, int64_t item)
{
	then(thread, FL_LIN_PUT, item, 0);
}

static void get(int thread, int64_t result)
{
	then(thread, FL_LIN_GET, 0, result);
}

/* Changes the result of a call. */
static void answers(unsigned i, int64_t result)
{
	h.calls[i].call.result = result;
}

static void order_by_time(struct lin_history *history)
{
	LIN_EACH (i, history) {
		history->calls[i].before = 0;
		LIN_EACH (k, history)
			if (history->calls[k].returned > 0 && history->calls[k].returned < history->calls[i].began)
				history->calls[i].before |= LIN_BIT(k);
	}
	lin_overlaps(history);
}

/* Checks a fifo with that limit, by the `before` of each call. */
static enum lin_verdict checked(int64_t limit)
{
	lin_overlaps(&h);
	return lin_check(&h, &fl_lin_fifo, limit);
}

static bool is_explained(const struct fl_lin_spec *spec, int64_t limit)
{
	order_by_time(&h);
	enum lin_verdict verdict = lin_check(&h, spec, limit);
	assert_int_not_equal(verdict, LIN_TOO_MUCH);
	return verdict == LIN_EXPLAINED;
}

/* Asserts that fl_lin_`spec` explains the history, or that it does not. */
#define EXPLAINED(spec, limit) assert_true(is_explained(&fl_lin_##spec, limit))
#define UNEXPLAINED(spec, limit) assert_false(is_explained(&fl_lin_##spec, limit))

FL_TEST(lin_fifo_in_order)
{
	begin();
	EXPLAINED(fifo, 0); /* an empty history */
	put(1, 11);
	put(1, 12);
	get(2, 11);
	get(2, 12);
	get(2, -EAGAIN);
	EXPLAINED(fifo, 0);
	answers(2, 12);
	answers(3, 11);
	UNEXPLAINED(fifo, 0);
	EXPLAINED(lifo, 0);
}

FL_TEST(lin_empty_and_full_at_some_moment_of_the_call)
{
	begin();
	call(1, 1, 4, FL_LIN_PUT, 11, 0);
	call(2, 2, 3, FL_LIN_GET, 0, -EAGAIN);
	EXPLAINED(fifo, 0);
	h.calls[0].returned = 1;
	h.calls[0].began = 0;
	UNEXPLAINED(fifo, 0); /* false_empty */
	begin();
	put(1, 11);
	then(1, FL_LIN_PUT, 12, -EAGAIN);
	EXPLAINED(fifo, 1);
	UNEXPLAINED(fifo, 2);
	UNEXPLAINED(fifo, 0);
	get(1, 11);
	then(1, FL_LIN_PUT, 13, -ETIMEDOUT); /* false_full_after_own_pop */
	UNEXPLAINED(fifo, 1);
}

FL_TEST(lin_closed_queues_drain)
{
	begin();
	put(1, 11);
	then(1, FL_LIN_CLOSE, 0, 0);
	then(2, FL_LIN_PUT, 21, -EPIPE);
	get(2, 11);
	get(2, -EPIPE);
	EXPLAINED(fifo, 0);
	answers(4, -EAGAIN); /* a queue that is closed and empty does not answer "empty" */
	UNEXPLAINED(fifo, 0);
	answers(4, -EPIPE);
	answers(3, -EPIPE); /* but an item is left */
	UNEXPLAINED(fifo, 0);
	h.calls[1].call.kind = FL_LIN_CLOSE_NOW;
	UNEXPLAINED(fifo, 0); /* but it dropped one */
	answers(1, 1);
	EXPLAINED(fifo, 0);
}

FL_TEST(lin_busy_needs_another_under_way)
{
	begin();
	put(1, 11);
	get(2, -EBUSY);
	UNEXPLAINED(fifo, 0);
	h.calls[0].returned = 5;
	EXPLAINED(fifo, 0);
	h.calls[0].returned = 0; /* it never returned, so it is under way for ever */
	h.calls[0].call.returned = false;
	EXPLAINED(fifo, 0);
	assert_int_equal(h.calls[1].call.overlaps, 1u << FL_LIN_PUT);
}

FL_TEST(lin_pending_calls_took_effect_or_not)
{
	begin();
	call(1, 1, 0, FL_LIN_PUT, 11, 0);
	call(2, 2, 3, FL_LIN_GET, 0, 11);
	EXPLAINED(fifo, 0);
	answers(1, -EAGAIN);
	EXPLAINED(fifo, 0);
	get(2, 11); /* the put may take effect late */
	EXPLAINED(fifo, 0);
	get(2, 11); /* but only once */
	UNEXPLAINED(fifo, 0);
	begin();
	put(1, 11);
	put(1, 12);
	call(2, 5, 0, FL_LIN_GET, 0, 0); /* the killed thread may have got one */
	get(1, 12);
	EXPLAINED(fifo, 0);
	h.calls[2].began = 9; /* but not before it began */
	UNEXPLAINED(fifo, 0);
}

FL_TEST(lin_many_at_once)
{
	const int64_t got[] = {11, 111};
	begin();
	then(1, FL_LIN_PUT_MANY, 2 << 8 | 11, 2);
	then(1, FL_LIN_LENGTH, 0, 2);
	then(2, FL_LIN_GET_MANY, 2 << 8 | 21, fl_lin_items(2, got));
	then(2, FL_LIN_GET_MANY, 2 << 8 | 22, 0);
	EXPLAINED(fifo, 2);
	UNEXPLAINED(fifo, 3); /* there was space for all three */
	UNEXPLAINED(lifo, 2);
}

FL_TEST(lin_priority_is_stable)
{
	begin();
	put(1, 2 << 8 | 11);
	put(1, 1 << 8 | 12);
	put(1, 1 << 8 | 13);
	get(1, 1 << 8 | 12);
	get(1, 1 << 8 | 13);
	get(1, 2 << 8 | 11);
	EXPLAINED(priority, 0);
	answers(3, 1 << 8 | 13);
	answers(4, 1 << 8 | 12);
	UNEXPLAINED(priority, 0);
}

FL_TEST(lin_set_word_and_counter)
{
	begin();
	call(1, 1, 3, FL_LIN_ADD, 5, 1);
	call(2, 2, 4, FL_LIN_ADD, 5, 0);
	then(2, FL_LIN_HAS, 6, 0);
	then(1, FL_LIN_REMOVE, 5, 1);
	then(1, FL_LIN_HAS, 5, 0);
	EXPLAINED(set, 0);
	answers(1, 1); /* but two threads added it */
	UNEXPLAINED(set, 0);
	begin();
	call(1, 1, 4, FL_LIN_WRITE, 7, 0);
	call(2, 2, 3, FL_LIN_READ, 0, 7);
	then(2, FL_LIN_SWAP, 8, 7);
	then(1, FL_LIN_READ, 0, 8);
	EXPLAINED(word, 0);
	then(2, FL_LIN_READ, 0, 7); /* but it went back */
	UNEXPLAINED(word, 0);
	begin();
	call(1, 1, 3, FL_LIN_ADD, 2, 3);
	call(2, 2, 4, FL_LIN_ADD, 3, 0);
	then(1, FL_LIN_READ, 0, 5);
	EXPLAINED(counter, 0);
	answers(0, 0); /* a lost update */
	UNEXPLAINED(counter, 0);
}

/*
 * The order is happens-before, which needs no time at all: the two threads know nothing of each
 * other.
 */
FL_TEST(lin_unknown_call_may_come_later)
{
	begin();
	put(1, 11);
	get(2, -EAGAIN);
	assert_int_equal(checked(0), LIN_EXPLAINED);
	get(2, 11);
	put(2, 21);
	h.calls[2].before = LIN_BIT(1);
	h.calls[3].before = LIN_BIT(1) | LIN_BIT(2);
	assert_int_equal(checked(0), LIN_EXPLAINED);
	/* The item was put by a thread that knew that it had been got. */
	h.calls[0].before = LIN_BIT(1) | LIN_BIT(2);
	assert_int_equal(checked(0), LIN_UNEXPLAINED);
}

/*
 * Because of store buffering, the producer does not see the free space yet, and the consumer does
 * not see the item.
 */
FL_TEST(lin_refusals_apart)
{
	static struct lin_history found;
	begin();
	put(0, 1);
	call(1, 3, 5, FL_LIN_PUT, 11, 0);
	call(1, 6, 9, FL_LIN_PUT, 12, -EAGAIN);
	call(2, 4, 7, FL_LIN_GET, 0, 1);
	call(2, 8, 10, FL_LIN_GET, 0, -EAGAIN);
	order_by_time(&h);
	h.calls[4].before &= ~LIN_BIT(1);
	h.calls[2].before &= ~LIN_BIT(3);
	assert_int_equal(checked(2), LIN_UNEXPLAINED);
	assert_int_equal(lin_check_apart(&h, &fl_lin_fifo, 2, &found), LIN_EXPLAINED);
	h.calls[4].before |= LIN_BIT(1); /* It knew of the item, so that refusal alone is wrong. */
	assert_int_equal(lin_check_apart(&h, &fl_lin_fifo, 2, &found), LIN_UNEXPLAINED);
	assert_int_equal(found.n, 4);
}

/* --- against all permutations --- */

static uint64_t random_state = 88172645463325252u;

static unsigned draw(unsigned n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (unsigned)((random_state >> 33) % n);
}

/* Tries every order of every set of calls that contains all calls that have returned. */
static bool is_explained_by_force(const struct fl_lin_spec *spec, uint64_t done, const void *state)
{
	uint64_t left = 0;
	LIN_EACH (i, &h)
		if (!(done & LIN_BIT(i)) && h.calls[i].call.returned)
			left |= LIN_BIT(i);
	if (!left)
		return true;
	void *next = malloc(spec->size);
	bool found = false;
	FL_CHECK(next);
	for (unsigned i = 0; i < h.n && !found; i++) {
		bool free_to_go = !(done & LIN_BIT(i));
		LIN_EACH (k, &h)
			if ((h.calls[i].before & LIN_BIT(k)) && !(done & LIN_BIT(k)))
				free_to_go = false;
		memcpy(next, state, spec->size);
		found = free_to_go && spec->apply(next, &h.calls[i].call) &&
		        is_explained_by_force(spec, done | LIN_BIT(i), next);
	}
	free(next);
	return found;
}

static bool by_force(const struct fl_lin_spec *spec, int64_t limit)
{
	void *state = calloc(1, spec->size);
	FL_CHECK(state);
	if (spec->init)
		spec->init(state, limit);
	bool explained = is_explained_by_force(spec, 0, state);
	free(state);
	return explained;
}

/* Draws up to six calls on three threads, at random times. */
static void draw_times(void)
{
	unsigned when[12] = {0}, n = 2 + draw(5);
	begin();
	for (unsigned i = 0; i < 2 * n; i++)
		when[i] = i + 1;
	for (unsigned i = 2 * n; i-- > 1;) {
		unsigned k = draw(i + 1), t = when[i];
		when[i] = when[k];
		when[k] = t;
	}
	for (unsigned i = 0; i < n; i++) {
		unsigned a = when[2 * i], b = when[2 * i + 1];
		call((int)(1 + draw(3)), a < b ? a : b, draw(8) == 0 ? 0 : a < b ? b : a, 0, 0, 0);
	}
}

static void draw_fifo(void)
{
	LIN_EACH (i, &h) {
		struct fl_lin_call *c = &h.calls[i].call;
		static const int64_t refusals[] = {-EAGAIN, -EPIPE, -EBUSY};
		c->kind = draw(8) == 0 ? FL_LIN_CLOSE : draw(2) ? FL_LIN_PUT : FL_LIN_GET;
		c->arg = 1 + i;
		c->result = c->kind == FL_LIN_CLOSE ? 0
		            : draw(4) == 0          ? refusals[draw(3)]
		            : c->kind == FL_LIN_GET ? 1 + draw(h.n)
		                                    : 0;
	}
}

static void draw_set(void)
{
	LIN_EACH (i, &h) {
		struct fl_lin_call *c = &h.calls[i].call;
		c->kind = FL_LIN_ADD + (int)draw(3);
		c->arg = draw(2);
		c->result = draw(2);
	}
}

/*
 * Compares the check by parts, the check without parts, and the check by brute force. Enough of the
 * histories have an explanation, and enough have none.
 */
static void expect_agreement(const struct fl_lin_spec *spec, void (*draw_calls)(void))
{
	enum { ALL = 20000 };
	struct fl_lin_spec whole = *spec;
	unsigned explained = 0;
	whole.part = NULL;
	for (unsigned i = 0; i < ALL; i++) {
		draw_times();
		draw_calls();
		int64_t limit = draw(3);
		bool found = is_explained(spec, limit);
		assert_int_equal(found, is_explained(&whole, limit));
		assert_int_equal(found, by_force(&whole, limit));
		explained += found;
	}
	assert_true(explained > ALL / 20 && explained < ALL - ALL / 20);
}

FL_TEST(lin_agrees_with_brute_force)
{
	expect_agreement(&fl_lin_fifo, draw_fifo);
	expect_agreement(&fl_lin_lifo, draw_fifo);
	expect_agreement(&fl_lin_set, draw_set);
}

/* What lin_core() leaves has no explanation, and each of its results is needed for that. */
FL_TEST(lin_core_is_minimal)
{
	unsigned cores = 0;
	for (unsigned i = 0; i < 5000; i++) {
		draw_times();
		draw_fifo();
		if (is_explained(&fl_lin_fifo, 1))
			continue;
		uint64_t core = lin_core(&h, &fl_lin_fifo, 1);
		assert_int_not_equal(core, 0);
		assert_int_equal(lin_check(&h, &fl_lin_fifo, 1), LIN_UNEXPLAINED);
		LIN_EACH (k, &h) {
			assert_int_equal(h.calls[k].call.returned, core >> k & 1);
			if (!h.calls[k].call.returned)
				continue;
			h.calls[k].call.returned = false;
			assert_int_equal(lin_check(&h, &fl_lin_fifo, 1), LIN_EXPLAINED);
			h.calls[k].call.returned = true;
		}
		cores++;
	}
	assert_true(cores > 1000);
}

/* --- limits --- */

FL_TEST(lin_as_many_calls_as_there_are_bits)
{
	begin();
	/* all puts at the same time, then the gets */
	for (unsigned i = 0; i < LIN_CALLS / 2; i++) {
		call(1, 1 + i, 100 + i, FL_LIN_PUT, 1 + i, 0);
		call(2, 201 + 2 * i, 202 + 2 * i, FL_LIN_GET, 0, 1 + i);
	}
	assert_int_equal(h.n, LIN_CALLS);
	EXPLAINED(fifo, 0);
}

/*
 * Sixty writes at the same time, and a read of a value that was not written. Every set of writes is
 * a separate state.
 */
FL_TEST(lin_too_much_is_said)
{
	begin();
	for (unsigned i = 0; i < 60; i++)
		call(1, 1 + i, 100 + i, FL_LIN_ADD, INT64_C(1) << i % 40, -1);
	LIN_EACH (i, &h)
		h.calls[i].call.returned = false; /* so that any result is allowed */
	call(2, 200, 201, FL_LIN_READ, 0, -5);
	order_by_time(&h);
	assert_int_equal(lin_check(&h, &fl_lin_counter, 0), LIN_TOO_MUCH);
	begin(); /* the check works again */
	then(1, FL_LIN_READ, 0, 0);
	EXPLAINED(counter, 0);
}

/* --- in words --- */

#ifdef __GLIBC__
#define EAGAIN_NAME "EAGAIN"
#else
#define EAGAIN_NAME "11" /* musl has no names of errors */
#endif

FL_TEST(lin_tells_why)
{
	char why[256], columns[1024];
	begin();
	put(0, 1);
	call(1, 3, 6, FL_LIN_PUT, 11, 0);
	call(2, 4, 5, FL_LIN_GET, 0, -EAGAIN);
	UNEXPLAINED(fifo, 2);
	lin_tell(&h, &fl_lin_fifo, 2, why, sizeof why, columns, sizeof columns);
	assert_string_equal(why, "no order explains call() -> -" EAGAIN_NAME
	                         " of t2: where it may come, the fifo is [1 11] or [1]");
	assert_non_null(strstr(columns, "call(1) -> 0 *\n"));
	assert_non_null(strstr(columns, "call() -> -" EAGAIN_NAME " *\n"));
	/* the result of t1 has no mark, since it does not matter */
	assert_non_null(strstr(columns, "-> 0\n"));
}
