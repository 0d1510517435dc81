/* SPDX-License-Identifier: BSD-2-Clause */
/* The ready-made specifications of <fairlead/stress_lin.h>. */
#include "lin.h"
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORTED __attribute__((visibility("default")))

void lin_say(struct lin_text *t, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	int n = vsnprintf(t->to + t->used, t->size - t->used, format, args);
	va_end(args);
	t->used = n > 0 && t->used + (size_t)n < t->size ? t->used + (size_t)n : t->size - 1;
}

enum { ITEMS = 128 };

struct queue {
	int64_t limit;
	uint32_t n, closed;
	int32_t items[ITEMS]; /* the items, in the order in which they were put */
};

static void queue_init(void *state, int64_t limit)
{
	struct queue *q = state;
	q->limit = limit;
}

static bool queue_equal(const void *one, const void *two)
{
	const struct queue *a = one, *b = two;
	return a->n == b->n && a->closed == b->closed && memcmp(a->items, b->items, a->n * sizeof a->items[0]) == 0;
}

static uint64_t queue_hash(const void *state)
{
	const struct queue *q = state;
	uint64_t h = q->n * 2 + q->closed;
	for (uint32_t i = 0; i < q->n; i++)
		h = (h ^ (uint32_t)q->items[i]) * UINT64_C(0x100000001b3);
	return h;
}

static void queue_text(const void *state, char *to, size_t size)
{
	const struct queue *q = state;
	struct lin_text t = {to, size, 0};
	lin_say(&t, "[");
	for (uint32_t i = 0; i < q->n; i++)
		lin_say(&t, "%s%" PRId32, i ? " " : "", q->items[i]);
	lin_say(&t, "]%s", q->closed ? " closed" : "");
}

static int64_t space_of(const struct queue *q)
{
	return q->limit > 0 ? q->limit - (int64_t)q->n : ITEMS;
}

static void append(struct queue *q, int64_t item)
{
	if (q->n == ITEMS) {
		fprintf(stderr, "fairlead-stress: a queue of more than %d items: use fewer calls\n", ITEMS);
		abort();
	}
	q->items[q->n++] = (int32_t)item;
}

/* Whether the call may have that result. A call that has not returned may have any. */
static bool has_result(const struct fl_lin_call *c, int64_t result)
{
	return !c->returned || c->result == result;
}

/*
 * Whether a put or a get may fail here with this error, which says that the call had no effect.
 * Only calls for one item fail because there is no room or no item, or because the queue is closed.
 */
static bool is_refused(const struct queue *q, const struct fl_lin_call *c)
{
	const bool puts = c->kind == FL_LIN_PUT, gets = c->kind == FL_LIN_GET;
	const bool none = puts ? space_of(q) <= 0 : gets && !q->n;
	switch (c->result) {
	case -EPIPE:
		return q->closed && (puts || none);
	case -EAGAIN:
	case -ETIMEDOUT:
		return none && !q->closed;
	case -EBUSY:
		return c->overlaps && (puts || gets || c->kind == FL_LIN_PUT_MANY || c->kind == FL_LIN_GET_MANY);
	default:
		return false;
	}
}

static bool put(struct queue *q, const struct fl_lin_call *c)
{
	if (q->closed || space_of(q) <= 0 || !has_result(c, 0))
		return false;
	append(q, c->arg);
	return true;
}

/*
 * Whether a call that could move `most` items may have moved `n`. It may have moved fewer while
 * another call is under way, but not none.
 */
static bool is_enough(const struct fl_lin_call *c, int64_t n, int64_t most)
{
	return n == most || (c->overlaps != 0 && n > 0 && n < most);
}

static bool put_many(struct queue *q, const struct fl_lin_call *c)
{
	int64_t asked = FL_LIN_KEY(c->arg) + 1, space = q->closed ? 0 : space_of(q), n = asked < space ? asked : space;
	if (c->returned && !is_enough(c, c->result, n))
		return false;
	if (c->returned)
		n = c->result;
	for (unsigned i = 0; i < n; i++)
		append(q, fl_lin_item(c->arg, i));
	return true;
}

/* Returns the index of the item that comes out next. */
typedef uint32_t next_of(const struct queue *q);

static int32_t take(struct queue *q, next_of *next)
{
	uint32_t at = next(q);
	int32_t item = q->items[at];
	memmove(&q->items[at], &q->items[at + 1], (--q->n - at) * sizeof q->items[0]);
	return item;
}

static bool get(struct queue *q, const struct fl_lin_call *c, next_of *next)
{
	return q->n && has_result(c, take(q, next));
}

static bool get_many(struct queue *q, const struct fl_lin_call *c, next_of *next)
{
	int64_t asked = FL_LIN_KEY(c->arg) + 1, items[5];
	unsigned n = (unsigned)(asked < q->n ? asked : q->n);
	if (c->returned) {
		/* fl_lin_items() says how many items the result has */
		const unsigned got = (unsigned)c->result & 15;
		if (!is_enough(c, got, n))
			return false;
		n = got;
	}
	for (unsigned i = 0; i < n && i < 5; i++)
		items[i] = take(q, next);
	return n <= 5 && has_result(c, fl_lin_items(n, items));
}

static bool queue_apply(struct queue *q, const struct fl_lin_call *c, next_of *next)
{
	uint32_t before = q->n;
	if (c->returned && c->result < 0)
		return is_refused(q, c);
	switch (c->kind) {
	case FL_LIN_PUT:
		return put(q, c);
	case FL_LIN_PUT_MANY:
		return put_many(q, c);
	case FL_LIN_GET:
		return get(q, c, next);
	case FL_LIN_GET_MANY:
		return get_many(q, c, next);
	case FL_LIN_CLOSE:
		q->closed = 1;
		return has_result(c, 0);
	case FL_LIN_CLOSE_NOW:
		q->closed = 1;
		q->n = 0;
		return has_result(c, before);
	case FL_LIN_LENGTH:
		return has_result(c, before);
	default:
		return false;
	}
}

static uint32_t first(const struct queue *q)
{
	(void)q;
	return 0;
}

static uint32_t last(const struct queue *q)
{
	return q->n - 1;
}

static uint32_t smallest(const struct queue *q)
{
	uint32_t best = 0;
	for (uint32_t i = 1; i < q->n; i++)
		if (FL_LIN_KEY(q->items[i]) < FL_LIN_KEY(q->items[best]))
			best = i;
	return best;
}

#define QUEUE(what, next)                                                                                              \
	static bool what##_apply(void *state, const struct fl_lin_call *call)                                          \
	{                                                                                                              \
		return queue_apply(state, call, (next));                                                               \
	}                                                                                                              \
	EXPORTED const struct fl_lin_spec fl_lin_##what = {                                                            \
	    .name = #what,                                                                                             \
	    .size = sizeof(struct queue),                                                                              \
	    .apply = what##_apply,                                                                                     \
	    .init = queue_init,                                                                                        \
	    .text = queue_text,                                                                                        \
	    .equal = queue_equal,                                                                                      \
	    .hash = queue_hash,                                                                                        \
	};

QUEUE(fifo, first)
QUEUE(lifo, last)
QUEUE(priority, smallest)

/* --- a set of numbers; each number is a part of its own --- */

static bool set_apply(void *state, const struct fl_lin_call *c)
{
	uint64_t *set = state, bit = UINT64_C(1) << (c->arg & 63);
	bool had = *set & bit;
	switch (c->kind) {
	case FL_LIN_ADD:
		*set |= bit;
		return has_result(c, !had);
	case FL_LIN_REMOVE:
		*set &= ~bit;
		return has_result(c, had);
	case FL_LIN_HAS:
		return has_result(c, had);
	default:
		return false;
	}
}

static bool set_part(const struct fl_lin_call *c, int64_t *key)
{
	*key = c->arg;
	return true;
}

static void set_text(const void *state, char *to, size_t size)
{
	uint64_t set;
	memcpy(&set, state, sizeof set);
	struct lin_text t = {to, size, 0};
	lin_say(&t, "{");
	for (const char *comma = ""; set; set &= set - 1, comma = " ")
		lin_say(&t, "%s%d", comma, __builtin_ctzll(set));
	lin_say(&t, "}");
}

EXPORTED const struct fl_lin_spec fl_lin_set = {
    .name = "set", .size = sizeof(uint64_t), .apply = set_apply, .part = set_part, .text = set_text};

/* --- a value --- */

static bool word_apply(void *state, const struct fl_lin_call *c)
{
	int64_t *value = state, before = *value;
	switch (c->kind) {
	case FL_LIN_READ:
		return has_result(c, before);
	case FL_LIN_WRITE:
		*value = c->arg;
		return has_result(c, 0);
	case FL_LIN_SWAP:
		*value = c->arg;
		return has_result(c, before);
	case FL_LIN_ADD:
		*value += c->arg;
		return has_result(c, before);
	default:
		return false;
	}
}

static void word_text(const void *state, char *to, size_t size)
{
	int64_t value;
	memcpy(&value, state, sizeof value);
	snprintf(to, size, "%" PRId64, value);
}

#define WORD(what)                                                                                                     \
	{                                                                                                              \
		.name = #what, .size = sizeof(int64_t), .apply = word_apply, .text = word_text                         \
	}
EXPORTED const struct fl_lin_spec fl_lin_word = WORD(word), fl_lin_counter = WORD(counter);
