/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Searches for an order that explains a history (Herlihy and Wing 1990): a total order of its calls
 * that keeps "before" and gives each call its result, according to a specification.
 *
 * A history is a set of at most 64 calls with a partial order. It is not a set of intervals of one
 * clock: under C11, "that call had returned" has a meaning only for a thread that knows it. So
 * "before" is happens-before from the return of one call to the begin of another one (lin.c). The
 * check only needs a partial order.
 *
 *   search      The search is depth first. A call may be the next one if all its predecessors are
 *               done (Wing, Gong 1993). What remains of the search depends only on the set of calls
 *               that are done and on the state, so each pair of set and state is visited once (Lowe
 *               2017). The set is a word of 64 bits, and the state is bytes.
 *   parts       If the specification has keys, the calls of each key form a separate object. A
 *               history is explained if each of these parts is explained (Herlihy, Wing: locality;
 *               Horn, Kroening 2015, Athalye's porcupine). If any call has no key, the history is
 *               not split into parts.
 *   pending     A call that has not returned may take effect at any time after it began, or never.
 *               The search ends when all returned calls are done. It tries pending calls with any
 *               result.
 *   busy        A result may be legal only while another call is under way. Two calls may have been
 *               under way at the same time if neither comes before the other. `overlaps` of a call
 *               has the kinds of all calls that may have been under way at the same time.
 *
 * Weakening is sound. An explanation stays valid if a result is forgotten (the call becomes
 * pending), or an edge of "before". So if a history without some of its results has no explanation,
 * the remaining results are enough to show the error. lin_core() forgets as many results as it can.
 */
#include "lin.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct look {
	uint64_t done;
	uint32_t slot, next; /* links in the list of one hash slot; numbers count from 1 */
	bool can;            /* an order explains the rest from here */
};

/*
 * The pairs that were visited. The memory lives as long as the process, and each check uses it
 * again.
 */
struct seen {
	struct look *looks;
	uint8_t *states;
	uint32_t *slots;
	unsigned n, room, n_slots;
	size_t bytes; /* size of a state */
};

struct search {
	const struct fl_lin_spec *spec;
	struct lin_history part; /* the calls; a pending call comes before no other call */
	uint64_t returned;
	uint8_t *stack; /* the state at each depth */
	bool full;      /* the limit of states was reached */
	/* These two are for lin_states(). */
	int absent;     /* the call that is left out; -1: none is */
	uint64_t after; /* the calls that come after it */
	void (*place)(struct search *s, const void *state);
	void *arg;
};

static struct seen seen;

static void *grown(void *memory, size_t size)
{
	void *more = realloc(memory, size > 0 ? size : 1);
	if (!more)
		abort();
	return more;
}

static uint64_t mix(uint64_t h, uint64_t value)
{
	h = (h ^ value) * UINT64_C(0x9e3779b97f4a7c15);
	return h ^ (h >> 32);
}

static uint64_t hash_of(const struct fl_lin_spec *spec, uint64_t done, const void *state)
{
	uint64_t h = mix(0, done);
	if (spec->hash)
		return mix(h, spec->hash(state));
	const uint8_t *bytes = state;
	size_t i = 0;
	for (; i + 8 <= spec->size; i += 8) {
		uint64_t word;
		memcpy(&word, bytes + i, 8);
		h = mix(h, word);
	}
	for (; i < spec->size; i++)
		h = mix(h, bytes[i]);
	return h;
}

static bool is_same(const struct fl_lin_spec *spec, const void *a, const void *b)
{
	return spec->equal ? spec->equal(a, b) : memcmp(a, b, spec->size) == 0;
}

static void forget_all(size_t state_size)
{
	for (unsigned i = 0; i < seen.n; i++)
		seen.slots[seen.looks[i].slot] = 0;
	seen.n = 0;
	seen.bytes = state_size;
}

static void put_in_slot(uint32_t number, uint64_t hash)
{
	struct look *look = &seen.looks[number - 1];
	look->slot = (uint32_t)hash & (seen.n_slots - 1);
	look->next = seen.slots[look->slot];
	seen.slots[look->slot] = number;
}

static void grow(const struct fl_lin_spec *spec)
{
	seen.room = seen.room ? 2 * seen.room : 64;
	seen.looks = grown(seen.looks, seen.room * sizeof *seen.looks);
	seen.n_slots = 2 * seen.room;
	seen.slots = grown(seen.slots, seen.n_slots * sizeof *seen.slots);
	memset(seen.slots, 0, seen.n_slots * sizeof *seen.slots);
	for (uint32_t i = 0; i < seen.n; i++)
		put_in_slot(i + 1, hash_of(spec, seen.looks[i].done, seen.states + i * seen.bytes));
}

/*
 * Returns the number under which that pair was visited. `*fresh` says whether this is its first
 * visit. Returns 0 if the visit would be new and LIN_LOOKS pairs have been visited.
 */
static uint32_t look_at(const struct fl_lin_spec *spec, uint64_t done, const void *state, bool *fresh)
{
	static size_t room_states;
	if (seen.n == seen.room)
		grow(spec);
	uint64_t hash = hash_of(spec, done, state);
	*fresh = false;
	for (uint32_t i = seen.slots[(uint32_t)hash & (seen.n_slots - 1)]; i; i = seen.looks[i - 1].next)
		if (seen.looks[i - 1].done == done && is_same(spec, seen.states + (i - 1) * seen.bytes, state))
			return i;
	if (seen.n == LIN_LOOKS)
		return 0;
	if ((seen.n + 1) * seen.bytes > room_states)
		seen.states = grown(seen.states, room_states = 2 * (seen.n + 32) * seen.bytes);
	memcpy(seen.states + seen.n * seen.bytes, state, seen.bytes);
	seen.looks[seen.n] = (struct look){.done = done};
	put_in_slot(++seen.n, hash);
	*fresh = true;
	return seen.n;
}

/* --- the search --- */

static bool may_come(const struct search *s, unsigned i, uint64_t done)
{
	return !(done & LIN_BIT(i)) && (int)i != s->absent && (s->part.calls[i].before & ~done) == 0;
}

/* Whether the call that is left out might come here. */
static bool has_place(const struct search *s, uint64_t done)
{
	return (s->part.calls[s->absent].before & ~done) == 0 && (s->after & done) == 0;
}

/*
 * Whether an order explains the remaining calls. If the places of a call are wanted, all orders are
 * searched; otherwise the first order is enough.
 */
static bool explain(struct search *s, unsigned depth, uint64_t done)
{
	uint8_t *state = s->stack + depth * s->spec->size, *next = state + s->spec->size;
	bool fresh;
	uint32_t look = look_at(s->spec, done, state, &fresh);
	s->full = s->full || look == 0;
	if (!fresh)
		return look > 0 && seen.looks[look - 1].can;
	bool can = (s->returned & ~done) == 0;
	for (unsigned i = 0; i < s->part.n && !(can && !s->place) && !s->full; i++) {
		if (!may_come(s, i, done))
			continue;
		memcpy(next, state, s->spec->size);
		if (s->spec->apply(next, &s->part.calls[i].call) && explain(s, depth + 1, done | LIN_BIT(i)))
			can = true;
	}
	if (can && s->place && has_place(s, done))
		s->place(s, state);
	seen.looks[look - 1].can = can;
	return can;
}

static void begin(struct search *s, const struct fl_lin_spec *spec, int64_t limit)
{
	static size_t room;
	static uint8_t *stack;
	size_t need = (LIN_CALLS + 2) * spec->size + 8;
	if (need > room || !stack)
		stack = grown(stack, room = need);
	s->stack = stack;
	s->spec = spec;
	memset(s->stack, 0, spec->size);
	if (spec->init)
		spec->init(s->stack, limit);
	forget_all(spec->size);
}

/* Returns the set of calls under their new numbers. */
static uint64_t renumbered(uint64_t calls, const uint8_t *number)
{
	uint64_t to = 0;
	for (; calls; calls &= calls - 1)
		to |= LIN_BIT(number[__builtin_ctzll(calls)]);
	return to;
}

/* Copies the calls whose bits are set in `wanted`, and gives them new numbers. */
static void keep_those(const struct lin_history *h, uint64_t wanted, struct lin_history *to)
{
	uint8_t number[LIN_CALLS] = {0};
	to->n = 0;
	LIN_EACH (i, h) {
		if (!(wanted & LIN_BIT(i)))
			continue;
		number[i] = (uint8_t)to->n;
		to->calls[to->n++] = h->calls[i];
	}
	LIN_EACH (i, to)
		to->calls[i].before = renumbered(to->calls[i].before & wanted, number);
}

static void take(struct search *s, const struct lin_history *h, uint64_t wanted)
{
	keep_those(h, wanted, &s->part);
	s->returned = 0;
	s->absent = -1;
	s->full = false;
	LIN_EACH (i, &s->part)
		s->returned |= s->part.calls[i].call.returned ? LIN_BIT(i) : 0;
	LIN_EACH (i, &s->part)
		s->part.calls[i].before &= s->returned;
}

static uint64_t all_of(const struct lin_history *h)
{
	return h->n == LIN_CALLS ? UINT64_MAX : LIN_BIT(h->n) - 1;
}

/*
 * Returns the calls of `rest` that have the key of the call `which`. If some call of `rest` has no
 * key, all calls of `rest` are one part.
 */
static uint64_t part_of(const struct lin_history *h, const struct fl_lin_spec *spec, uint64_t rest, unsigned which)
{
	int64_t wanted, key;
	uint64_t part = 0;
	if (!spec->part || !spec->part(&h->calls[which].call, &wanted))
		return rest;
	for (uint64_t r = rest; r; r &= r - 1) {
		unsigned i = (unsigned)__builtin_ctzll(r);
		if (!spec->part(&h->calls[i].call, &key))
			return rest;
		part |= key == wanted ? LIN_BIT(i) : 0;
	}
	return part;
}

enum lin_verdict lin_check(const struct lin_history *h, const struct fl_lin_spec *spec, int64_t limit)
{
	struct search s = {0};
	for (uint64_t rest = all_of(h), part; rest; rest &= ~part) {
		part = part_of(h, spec, rest, (unsigned)__builtin_ctzll(rest));
		take(&s, h, part);
		begin(&s, spec, limit);
		bool explained = explain(&s, 0, 0);
		if (s.full && !explained)
			return LIN_TOO_MUCH;
		if (!explained)
			return LIN_UNEXPLAINED;
	}
	return LIN_EXPLAINED;
}

/* --- refusals --- */

static bool is_refused(const struct lin_call *c)
{
	int64_t r = c->call.result;
	return c->call.returned && (r == -EAGAIN || r == -EBUSY || r == -ETIMEDOUT);
}

enum lin_verdict lin_check_apart(const struct lin_history *h, const struct fl_lin_spec *spec, int64_t limit,
                                 struct lin_history *found)
{
	uint64_t refused = 0;
	LIN_EACH (i, h)
		refused |= is_refused(&h->calls[i]) ? LIN_BIT(i) : 0;
	for (uint64_t rest = refused;; rest &= rest - 1) {
		keep_those(h, (all_of(h) & ~refused) | (rest & -rest), found);
		enum lin_verdict verdict = lin_check(found, spec, limit);
		if (verdict != LIN_EXPLAINED || !(rest & (rest - 1)))
			return verdict;
	}
}

/* --- a history that no order explains --- */

uint64_t lin_core(struct lin_history *h, const struct fl_lin_spec *spec, int64_t limit)
{
	uint64_t core = 0;
	LIN_EACH (i, h) {
		if (!h->calls[i].call.returned)
			continue;
		h->calls[i].call.returned = false;
		if (lin_check(h, spec, limit) == LIN_UNEXPLAINED)
			continue;
		h->calls[i].call.returned = true;
		core |= LIN_BIT(i);
	}
	return core;
}

struct places {
	char *texts;
	size_t size;
	unsigned n, most;
};

static void keep_place(struct search *s, const void *state)
{
	struct places *p = s->arg;
	char text[256] = "";
	s->spec->text(state, text, sizeof text);
	for (unsigned i = 0; i < p->n && i < p->most; i++)
		if (strncmp(p->texts + i * p->size, text, p->size - 1) == 0)
			return;
	if (p->n < p->most) {
		strncpy(p->texts + p->n * p->size, text, p->size - 1);
		p->texts[(p->n + 1) * p->size - 1] = '\0';
	}
	p->n++;
}

unsigned lin_states(const struct lin_history *h, unsigned which, const struct fl_lin_spec *spec, int64_t limit,
                    char *texts, size_t size, unsigned most)
{
	struct search s = {0};
	struct places places = {texts, size, 0, most};
	if (!spec->text)
		return 0;
	const uint64_t part = part_of(h, spec, all_of(h), which);
	take(&s, h, part);
	s.absent = __builtin_popcountll(part & (LIN_BIT(which) - 1));
	s.returned &= ~LIN_BIT(s.absent);
	LIN_EACH (i, &s.part) {
		uint64_t *before = &s.part.calls[i].before;
		if (*before & LIN_BIT(s.absent))
			s.after |= LIN_BIT(i);
		/*
		 * The predecessors of the call precede these calls, too, since the order is closed.
		 */
		*before &= ~LIN_BIT(s.absent);
	}
	s.place = keep_place;
	s.arg = &places;
	begin(&s, spec, limit);
	return explain(&s, 0, 0) ? places.n : 0;
}

void lin_overlaps(struct lin_history *h)
{
	LIN_EACH (i, h) {
		struct lin_call *a = &h->calls[i];
		a->call.overlaps = 0;
		LIN_EACH (k, h) {
			const struct lin_call *b = &h->calls[k];
			if (i != k && !(a->before & LIN_BIT(k)) && !(b->before & LIN_BIT(i)))
				a->call.overlaps |= UINT32_C(1) << (b->call.kind & 31);
		}
	}
}
