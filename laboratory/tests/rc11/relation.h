/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sets of events, and relations between them, as bit matrices. The operators are those of the
 * papers on axiomatic memory models: r1 ; r2 is rel_seq(), r? is rel_maybe(), r+ is rel_plus(), [A]
 * is rel_id(A), and r^-1 is rel_inverse().
 */
#ifndef RC11_RELATION_H
#define RC11_RELATION_H

#include <stdbool.h>
#include <stdint.h>

enum { EVENT_MAX = 32 };

typedef uint32_t event_set; /* bit e is set if event e is in the set */

typedef struct {
	event_set row[EVENT_MAX]; /* bit b of row a is set if (a, b) is in the relation */
} relation;

#define FOR_ROWS(e) for (unsigned e = 0; e < EVENT_MAX; e++)
#define FOR_EVENTS(e, set)                                                                                             \
	for (event_set left_##e = (set), e = lowest(left_##e); left_##e; left_##e &= left_##e - 1, e = lowest(left_##e))

static inline event_set lowest(event_set s)
{
	return s ? (event_set)__builtin_ctz(s) : 0;
}

static inline event_set bit(unsigned e)
{
	return (event_set)1 << e;
}

static inline void rel_add(relation *r, unsigned from, unsigned to)
{
	r->row[from] |= bit(to);
}

static inline relation rel_or(relation r, relation s)
{
	FOR_ROWS (e)
		r.row[e] |= s.row[e];
	return r;
}

static inline relation rel_and(relation r, relation s)
{
	FOR_ROWS (e)
		r.row[e] &= s.row[e];
	return r;
}

static inline relation rel_minus(relation r, relation s)
{
	FOR_ROWS (e)
		r.row[e] &= ~s.row[e];
	return r;
}

/* [A] */
static inline relation rel_id(event_set a)
{
	relation id = {{0}};
	FOR_EVENTS(e, a)
	id.row[e] = bit(e);
	return id;
}

/* r? */
static inline relation rel_maybe(relation r)
{
	FOR_ROWS (e)
		r.row[e] |= bit(e);
	return r;
}

/* [A] ; r ; [B] */
static inline relation rel_between(event_set a, relation r, event_set b)
{
	FOR_ROWS (e)
		r.row[e] = a >> e & 1 ? r.row[e] & b : 0;
	return r;
}

/* r ; s */
static inline relation rel_seq(relation r, relation s)
{
	relation seq = {{0}};
	FOR_ROWS (e)
		FOR_EVENTS(middle, r.row[e])
	seq.row[e] |= s.row[middle];
	return seq;
}

static inline relation rel_inverse(relation r)
{
	relation inverse = {{0}};
	FOR_ROWS (e)
		FOR_EVENTS(to, r.row[e])
	inverse.row[to] |= bit(e);
	return inverse;
}

/* r+ */
static inline relation rel_plus(relation r)
{
	FOR_ROWS (middle)
		if (r.row[middle])
			FOR_ROWS (e)
				if (r.row[e] >> middle & 1)
					r.row[e] |= r.row[middle];
	return r;
}

static inline bool rel_empty(relation r)
{
	event_set any = 0;
	FOR_ROWS (e)
		any |= r.row[e];
	return !any;
}

static inline bool rel_irreflexive(relation r)
{
	event_set reflexive = 0;
	FOR_ROWS (e)
		reflexive |= r.row[e] & bit(e);
	return !reflexive;
}

static inline bool rel_acyclic(relation r)
{
	return rel_irreflexive(rel_plus(r));
}

#endif
