/* SPDX-License-Identifier: BSD-2-Clause */
#include "random.h"

/*
 * splitmix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", OOPSLA 2014).
 */
static uint64_t next_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

static int below(uint64_t *state, int limit)
{
	return (int)(next_random(state) % (unsigned)limit);
}

static bool percent(uint64_t *state, int chance)
{
	return below(state, 100) < chance;
}

/* Orders come in families, or hardly two operations of a program would ever synchronize. */
typedef enum { ANY_ORDER, MESSAGES, MOSTLY_SC, RELAXED_AND_FENCES, FAMILIES } family;

typedef struct {
	uint64_t state;
	family family;
	int locations;
	int stores[LOCATION_MAX]; /* how many the program has: they are numbered */
} maker;

/* Relaxed, SC, or the order that synchronizes, each as often as the family has it. */
static mem_order pick(maker *m, mem_order synchronizing)
{
	static const struct {
		int relaxed, sc;
	} shares[FAMILIES] = {
	    [ANY_ORDER] = {33, 33}, [MESSAGES] = {15, 5}, [MOSTLY_SC] = {5, 80}, [RELAXED_AND_FENCES] = {80, 10}};
	int at = below(&m->state, 100);
	if (at < shares[m->family].relaxed)
		return RLX;
	return at < shares[m->family].relaxed + shares[m->family].sc ? SC : synchronizing;
}

static mem_order order_of(maker *m, char kind)
{
	static const mem_order any[] = {ACQ, REL, AR, SC};
	switch (kind) {
	case 'R':
		return pick(m, ACQ);
	case 'W':
		return pick(m, REL);
	case 'F':
		return percent(&m->state, 50) ? SC : any[below(&m->state, 4)];
	default:
		return pick(m, any[below(&m->state, 3)]);
	}
}

static operation fence(maker *m)
{
	return (operation){.kind = 'F', .location = -1, .order = order_of(m, 'F')};
}

/* One of `kinds`, each as often as it occurs there. */
static operation access_to(maker *m, int location, const char *kinds)
{
	operation op = {.kind = kinds[below(&m->state, (int)strlen(kinds))], .location = location};
	op.order = order_of(m, op.kind);
	if (op.kind == 'C') {
		op.expected = below(&m->state, m->stores[location] + 2);
		op.failure = order_of(m, 'R');
	}
	if (op.kind == 'A')
		op.value = percent(&m->state, 70) ? 1 : 10;
	else if (op_writes(&op))
		op.value = percent(&m->state, 90) ? m->stores[location] + 1 : below(&m->state, 3);
	if (op_writes(&op))
		m->stores[location]++;
	return op;
}

static void append(thread_ops *t, operation op)
{
	t->op[t->count++] = op;
}

static bool fence_here(maker *m, const thread_ops *t)
{
	return t->count && t->op[t->count - 1].kind != 'F' &&
	       percent(&m->state, m->family == RELAXED_AND_FENCES ? 65 : 10);
}

/*
 * Random operations in each thread, one after another, more often to the previous location than
 * not.
 */
static void make_any(maker *m, program *p, int max_ops)
{
	m->locations = percent(&m->state, 10) ? 1 : percent(&m->state, 65) ? 2 : 3;
	FOR_THREADS (t, p) {
		int wanted = 1 + below(&m->state, max_ops), location = below(&m->state, m->locations);
		while (p->thread[t].count < wanted) {
			if (p->thread[t].count + 1 < wanted && fence_here(m, &p->thread[t]))
				append(&p->thread[t], fence(m));
			append(&p->thread[t], access_to(m, location, "WWWWWWRRRRRRXAACC"));
			if (percent(&m->state, 75))
				location = (location + 1 + below(&m->state, m->locations)) % m->locations;
		}
	}
}

/* Up to two further operations. */
static void make_more(maker *m, program *p, int max_ops)
{
	for (int more = below(&m->state, 3); more > 0; more--) {
		thread_ops *t = &p->thread[below(&m->state, p->thread_count)];
		if (t->count < max_ops)
			append(t, access_to(m, below(&m->state, m->locations), "WRRRAC"));
	}
}

/*
 * A ring, like SB, MP, IRIW, Z6 and most named shapes: each thread goes from the last location of
 * the previous thread to a new one, the last thread to the first location; or it only stores. Then
 * some further operations.
 */
static void make_ring(maker *m, program *p, int max_ops)
{
	int location = 0, singles = p->thread_count > 2 ? below(&m->state, p->thread_count - 1) : 0;
	m->locations = p->thread_count - singles;
	FOR_THREADS (t, p) {
		int left = p->thread_count - t;
		if (singles && below(&m->state, left) < singles) {
			singles--;
			append(&p->thread[t], access_to(m, location, "WWWWX"));
			continue;
		}
		append(&p->thread[t], access_to(m, location, "WWWWWRRRRX"));
		if (fence_here(m, &p->thread[t]))
			append(&p->thread[t], fence(m));
		location = (location + 1) % m->locations;
		append(&p->thread[t], access_to(m, location, "WWWWRRRRRRRC"));
	}
	make_more(m, p, max_ops);
}

/* As 2+2W: two threads store to both locations. */
static void make_writers(maker *m, program *p, int max_ops)
{
	m->locations = 2;
	FOR_THREADS (t, p) {
		const char *kinds = t < 2 ? "WWWWWWX" : "WRRRRC";
		int location = below(&m->state, 2);
		append(&p->thread[t], access_to(m, location, kinds));
		if (fence_here(m, &p->thread[t]))
			append(&p->thread[t], fence(m));
		append(&p->thread[t], access_to(m, !location, kinds));
	}
	make_more(m, p, max_ops);
}

/*
 * One thread stores OP_MAX times and the other thread stores, too; or one thread loads so often
 * what the other stores.
 */
static void make_history(maker *m, program *p)
{
	bool stores = percent(&m->state, 50);
	m->locations = 1;
	p->thread_count = 2;
	append(&p->thread[0], access_to(m, 0, "W"));
	for (int more = below(&m->state, 3); more > 0; more--)
		append(&p->thread[0], access_to(m, 0, stores ? "WRR" : "WWR"));
	while (p->thread[1].count < OP_MAX)
		append(&p->thread[1], access_to(m, 0, stores ? "W" : "R"));
}

static program attempt(maker *m, int max_ops, bool histories)
{
	program p = {.thread_count = 2 + below(&m->state, 2)};
	m->family = (family[]){ANY_ORDER, MESSAGES, MOSTLY_SC, MOSTLY_SC, RELAXED_AND_FENCES}[below(&m->state, 5)];
	if (histories && percent(&m->state, 10))
		make_history(m, &p);
	else if (percent(&m->state, 10))
		make_writers(m, &p, max_ops);
	else if (percent(&m->state, 65))
		make_ring(m, &p, max_ops);
	else
		make_any(m, &p, max_ops);
	return p;
}

/*
 * Whether at least two threads use each location, one of which writes it; and the program is small.
 */
static bool interesting(const program *p)
{
	bool named = false;
	FOR_LOCATIONS (l) {
		int threads = 0, writes = 0;
		FOR_THREADS (t, p) {
			bool here = false;
			FOR_OPERATIONS_OF (op, &p->thread[t]) {
				here |= op->location == l;
				writes += op->location == l && op_writes(op);
			}
			threads += here;
		}
		named |= threads > 0;
		if (threads == 1 || (threads && !writes))
			return false;
	}
	return named && program_events(p) <= EVENT_LIMIT;
}

program random_program(uint64_t seed, int number, int max_ops, bool histories)
{
	uint64_t mixed = seed * 0x2545f4914f6cdd1d + (uint64_t)number;
	maker m = {.state = next_random(&mixed)};
	program p;
	do {
		m = (maker){.state = m.state};
		p = attempt(&m, max_ops, histories);
	} while (!interesting(&p));
	snprintf(p.name, sizeof p.name, "random-%llu-%d", (unsigned long long)seed, number);
	return p;
}
