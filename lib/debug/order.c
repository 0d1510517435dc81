/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The lock order. A is before B if a context held A and waited, or could have waited without end,
 * for B. If that order has a cycle, contexts can each hold one lock of it and wait for the next. So
 * the program can deadlock, even if it never has.
 *
 * An edge is a pair of locks, each held or wanted for exclusive use or for reading. A new edge is
 * stored with both stacks and searched once: from its end back to its beginning, breadth first, so
 * that the report has the shortest cycle. A known edge costs one lookup in a hash table.
 *
 * At each lock of a cycle one context wants what another holds. Two readers block each other only
 * if a third context waits for exclusive use between them. So two readers count only after a
 * context has wanted exclusive use (`written`). The first such context searches the edges again.
 * These rules include the shortest cycle: a context that reads and wants to read again.
 *
 * The search marks each node in two ways, exclusive or reading, since they lead to different edges.
 */
#include "order.h"
#include "../base/sys.h"
#include "report.h"
#include <string.h>

static struct fl__order_node *nodes[FL__DEBUG_BUCKETS];
static struct fl__order_edge *edges[FL__DEBUG_BUCKETS];
static uint64_t searches;

/* An edge by value, since the edge may be gone when the table is locked again. */
struct key {
	const void *from, *to;
	uint8_t held, wanted;
};

static struct fl__order_node *node_find(const void *lock)
{
	struct fl__order_node *node = nodes[fl__debug_bucket((uintptr_t)lock)];
	while (node && node->lock != lock)
		node = node->next;
	return node;
}

static struct fl__order_node *node_get(const void *lock, uint8_t kind)
{
	struct fl__order_node *node = node_find(lock);
	if (node)
		return node;
	struct fl__order_node **bucket = &nodes[fl__debug_bucket((uintptr_t)lock)];
	node = fl__task_block_take();
	node->lock = lock;
	node->kind = kind;
	node->next = *bucket;
	*bucket = node;
	return node;
}

static struct fl__order_edge **edge_bucket(const struct key *k)
{
	return &edges[fl__debug_bucket((uintptr_t)k->from + 31 * (uintptr_t)k->to)];
}

static struct fl__order_edge *edge_find(const struct key *k)
{
	struct fl__order_edge *e = *edge_bucket(k);
	while (e && (e->from->lock != k->from || e->to->lock != k->to || e->held != k->held || e->wanted != k->wanted))
		e = e->next;
	return e;
}

static struct key key_of(const struct fl__order_edge *e)
{
	return (struct key){e->from->lock, e->to->lock, e->held, e->wanted};
}

static void link_edge(struct fl__order_edge *e)
{
	e->next_out = e->from->out;
	e->prev_out = &e->from->out;
	if (e->next_out)
		e->next_out->prev_out = &e->next_out;
	e->from->out = e;
	e->next_in = e->to->in;
	e->prev_in = &e->to->in;
	if (e->next_in)
		e->next_in->prev_in = &e->next_in;
	e->to->in = e;
}

static struct fl__order_edge *edge_add(const struct fl__holder *h, const struct fl__held *held,
                                       const struct fl__debug_op *op, const struct key *k)
{
	struct fl__order_edge *e = fl__task_block_take();
	e->from = node_get(held->lock, held->kind);
	e->to = node_get(op->lock, op->kind);
	e->held = k->held;
	e->wanted = k->wanted;
	e->id = h->id;
	memcpy(e->name, h->name, sizeof e->name);
	e->held_at = held->stack;
	e->wanted_at = op->stack;
	link_edge(e);
	struct fl__order_edge **bucket = edge_bucket(k);
	e->next = *bucket;
	*bucket = e;
	return e;
}

static void edge_drop(struct fl__order_edge *e)
{
	const struct key k = key_of(e);
	struct fl__order_edge **link = edge_bucket(&k);
	while (*link != e)
		link = &(*link)->next;
	*link = e->next;
	*e->prev_out = e->next_out;
	if (e->next_out)
		e->next_out->prev_out = e->prev_out;
	*e->prev_in = e->next_in;
	if (e->next_in)
		e->next_in->prev_in = e->prev_in;
	fl__task_block_give(e);
}

void fl__order_drop(const void *lock)
{
	struct fl__order_node **link = &nodes[fl__debug_bucket((uintptr_t)lock)];
	while (*link && (*link)->lock != lock)
		link = &(*link)->next;
	struct fl__order_node *node = *link;
	if (!node)
		return;
	while (node->out)
		edge_drop(node->out);
	while (node->in)
		edge_drop(node->in);
	*link = node->next;
	fl__task_block_give(node);
}

void fl__order_forget(void)
{
	memset(nodes, 0, sizeof nodes);
	memset(edges, 0, sizeof edges);
}

/* Whether a context that wants the lock in this way waits for one that holds it in that way. */
static bool blocks(const struct fl__order_node *node, uint8_t wanted, uint8_t held)
{
	return !(wanted & held & FL__DEBUG_READ) || node->written;
}

struct search {
	struct fl__order_node *last; /* the queue's end */
	uint8_t last_mode;
};

/*
 * Appends the end of `e` to the search queue, unless visited. `mode`: how the search has reached
 * the beginning of `e`.
 */
static void reach(struct search *s, struct fl__order_edge *e, uint8_t mode)
{
	struct fl__order_node *node = e->to;
	if (node->search[e->wanted] == searches)
		return;
	node->search[e->wanted] = searches;
	node->by[e->wanted] = e;
	node->by_mode[e->wanted] = mode;
	node->then[e->wanted] = NULL;
	if (s->last) {
		s->last->then[s->last_mode] = node;
		s->last->then_mode[s->last_mode] = e->wanted;
	}
	s->last = node;
	s->last_mode = e->wanted;
}

/*
 * Returns an edge that leads back to the beginning of `e`, and in `*mode` how the search reached
 * that edge's beginning. NULL: no cycle.
 */
static struct fl__order_edge *come_back(struct fl__order_edge *e, uint8_t *mode)
{
	*mode = 0;
	if (e->from == e->to)
		return blocks(e->to, e->wanted, e->held) ? e : NULL;
	struct search s = {NULL, 0};
	searches++;
	reach(&s, e, 0);
	struct fl__order_node *node = e->to;
	for (uint8_t m = e->wanted; node;) {
		for (struct fl__order_edge *next = node->out; next; next = next->next_out) {
			if (!blocks(node, m, next->held))
				continue;
			if (next->to == e->from && blocks(e->from, next->wanted, e->held)) {
				*mode = m;
				return next;
			}
			reach(&s, next, m);
		}
		struct fl__order_node *then = node->then[m];
		m = node->then_mode[m];
		node = then;
	}
	return NULL;
}

static void copy_edge(struct fl__report_step *step, const struct fl__order_edge *e)
{
	memcpy(step->name, e->name, sizeof step->name);
	step->id = e->id;
	step->held = (struct fl__report_end){e->from->lock, 0, e->from->kind, e->held, e->held_at};
	step->wanted = (struct fl__report_end){e->to->lock, 0, e->to->kind, e->wanted, e->wanted_at};
}

/*
 * Returns the length of the shortest cycle through `e`, and its edges unless there are more than
 * `max`. 0: no cycle.
 */
static size_t cycle_of(struct fl__order_edge *e, struct fl__report_step *steps, size_t max)
{
	uint8_t mode;
	struct fl__order_edge *const last = come_back(e, &mode);
	if (!last)
		return 0;
	size_t n = 1;
	uint8_t m = mode;
	for (struct fl__order_edge *at = last; at != e; n++) {
		const struct fl__order_node *node = at->from;
		at = node->by[m];
		m = node->by_mode[m];
	}
	if (n > max)
		return n;
	size_t i = n;
	m = mode;
	for (struct fl__order_edge *at = last;;) {
		copy_edge(&steps[--i], at);
		if (at == e)
			return n;
		const struct fl__order_node *node = at->from;
		at = node->by[m];
		m = node->by_mode[m];
	}
}

static void report(const struct key *k)
{
	struct fl__report_step *steps = NULL;
	size_t n = 2, room = 0;
	while (n > room) {
		fl__free(steps);
		room = n;
		steps = fl__alloc(room, sizeof *steps);
		if (!steps) {
			fl__log(FL_LOG_WARNING, "potential deadlock between %p and %p: out of memory to say more",
			        k->from, k->to);
			return;
		}
		fl__debug_relock();
		struct fl__order_edge *e = edge_find(k);
		n = e ? cycle_of(e, steps, room) : 0;
		fl__debug_unlock();
	}
	if (n > 0)
		fl__report_cycle(FL_LOG_WARNING, "potential deadlock: locks are taken in an order that has a cycle",
		                 steps, n);
	fl__free(steps);
}

/* Adds edges until one closes a cycle: returns true. False: all are added. */
static bool add_edges(const struct fl__holder *h, const struct fl__debug_op *op, struct key *found)
{
	for (const struct fl__held *held = h->held; held; held = held->next_of_mine) {
		*found = (struct key){held->lock, op->lock, held->how & FL__DEBUG_READ, op->how & FL__DEBUG_READ};
		if (held->lock == op->lock && !(held->how & op->how & FL__DEBUG_READ))
			continue; /* a certain deadlock, which report_relock() reports */
		if (!edge_find(found) && cycle_of(edge_add(h, held, op, found), NULL, 0) > 0)
			return true;
	}
	return false;
}

/* At the first exclusive use: searches for a cycle that readers alone did not close. */
static bool begin_writing(const struct fl__debug_op *op, struct key *found)
{
	struct fl__order_node *node = node_get(op->lock, op->kind);
	if (node->written)
		return false;
	node->written = true;
	for (struct fl__order_edge *e = node->out; e; e = e->next_out) {
		*found = key_of(e);
		if (e->held == FL__DEBUG_READ && cycle_of(e, NULL, 0) > 0)
			return true;
	}
	return false;
}

/* Locks the table with enough slots for all that the acquisition may add. */
static bool enter(void)
{
	size_t slots = 4;
	while (fl__debug_enter(slots)) {
		const struct fl__holder *h = fl__holder_find(fl__ctx_get()->id);
		const size_t need = 2 * (h ? h->n_held : 0) + 2;
		if (need <= slots)
			return true;
		slots = need;
		fl__debug_leave();
	}
	return false;
}

static bool look(const struct fl__debug_op *op, struct key *found)
{
	if (op->kind == FL__DEBUG_RWLOCK && !(op->how & FL__DEBUG_READ) && begin_writing(op, found))
		return true;
	const struct fl__holder *h = fl__holder_find(fl__ctx_get()->id);
	return h && add_edges(h, op, found);
}

void fl__order_locking(const struct fl__debug_op *op)
{
	struct key found;
	while (enter()) {
		const bool is_cycle = look(op, &found);
		fl__debug_unlock();
		if (is_cycle)
			report(&found);
		fl__debug_done();
		if (!is_cycle)
			return;
	}
}
