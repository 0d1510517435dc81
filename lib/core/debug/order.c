/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The lock order. A is before B if a context held A and locked B without a deadline. If that order
 * has a cycle, the program can deadlock, even if it never has.
 *
 * An edge is a pair of locks, each held or wanted for exclusive use or for reading. A new edge is
 * stored with both stacks and searched once, back to its beginning, breadth first, so that the
 * report has the shortest cycle. A known edge costs one lookup in a hash table.
 *
 * At each lock of a cycle, one context wants the lock and another holds it. Two readers block each
 * other only if a third context waits for exclusive use between them. So two readers count only
 * after a context has wanted exclusive use (`written`); the first such context searches the edges
 * again. The shortest such cycle is a context that reads and wants to read again. A search may
 * reach a node twice, for exclusive use and for reading, since different edges follow.
 */
#include "../base/sys.h"
#include "report.h"
#include <string.h>

static struct fl__order_node *order_nodes[FL__DEBUG_BUCKETS];
static struct fl__order_edge *order_edges[FL__DEBUG_BUCKETS];
static uint64_t order_searches;

/* By value, since the edge may be gone when the table is locked again. */
struct order_key {
	const void *from, *to;
	uint8_t held, wanted;
};

static struct fl__order_node *order_find_node(const void *lock)
{
	struct fl__order_node *node = order_nodes[fl__debug_bucket((uintptr_t)lock)];
	while (node && node->lock != lock)
		node = node->next;
	return node;
}

static struct fl__order_node *order_get_node(const void *lock, uint8_t kind)
{
	struct fl__order_node *node = order_find_node(lock);
	if (node)
		return node;
	struct fl__order_node **bucket = &order_nodes[fl__debug_bucket((uintptr_t)lock)];
	node = fl__table_take_slot();
	node->lock = lock;
	node->kind = kind;
	node->next = *bucket;
	*bucket = node;
	return node;
}

static struct fl__order_edge **order_edge_bucket(const struct order_key *k)
{
	return &order_edges[fl__debug_bucket((uintptr_t)k->from + 31 * (uintptr_t)k->to)];
}

static struct fl__order_edge *order_find_edge(const struct order_key *k)
{
	struct fl__order_edge *e = *order_edge_bucket(k);
	while (e && (e->from->lock != k->from || e->to->lock != k->to || e->held != k->held || e->wanted != k->wanted))
		e = e->next;
	return e;
}

static struct order_key order_key_of(const struct fl__order_edge *e)
{
	return (struct order_key){e->from->lock, e->to->lock, e->held, e->wanted};
}

static void order_link_edge(struct fl__order_edge *e)
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

static struct fl__order_edge *order_add_edge(const struct fl__holder *h, const struct fl__held *held,
                                             const struct fl__debug_op *op, const struct order_key *k)
{
	struct fl__order_edge *e = fl__table_take_slot();
	e->from = order_get_node(held->lock, held->kind);
	e->to = order_get_node(op->lock, op->kind);
	e->held = k->held;
	e->wanted = k->wanted;
	e->searched = e->from->written;
	e->id = h->id;
	memcpy(e->name, h->name, sizeof e->name);
	e->held_at = held->stack;
	e->wanted_at = op->stack;
	order_link_edge(e);
	struct fl__order_edge **bucket = order_edge_bucket(k);
	e->next = *bucket;
	*bucket = e;
	return e;
}

static void order_remove_edge(struct fl__order_edge *e)
{
	const struct order_key k = order_key_of(e);
	struct fl__order_edge **link = order_edge_bucket(&k);
	while (*link != e)
		link = &(*link)->next;
	*link = e->next;
	*e->prev_out = e->next_out;
	if (e->next_out)
		e->next_out->prev_out = e->prev_out;
	*e->prev_in = e->next_in;
	if (e->next_in)
		e->next_in->prev_in = e->prev_in;
	fl__table_give_slot(e);
}

void fl__order_drop(const void *lock)
{
	struct fl__order_node **link = &order_nodes[fl__debug_bucket((uintptr_t)lock)];
	while (*link && (*link)->lock != lock)
		link = &(*link)->next;
	struct fl__order_node *node = *link;
	if (!node)
		return;
	while (node->out)
		order_remove_edge(node->out);
	while (node->in)
		order_remove_edge(node->in);
	*link = node->next;
	fl__table_give_slot(node);
}

void fl__order_forget(void)
{
	memset(order_nodes, 0, sizeof order_nodes);
	memset(order_edges, 0, sizeof order_edges);
}

/* Whether a context that wants the lock as `wanted` waits for one that holds it as `held`. */
static bool order_blocks(const struct fl__order_node *node, uint8_t wanted, uint8_t held)
{
	return !(wanted & held & FL__DEBUG_READ) || node->written;
}

struct order_search {
	struct fl__order_node *last; /* the queue's end */
	uint8_t last_mode;
};

/* Unless visited. `mode`: how the search has reached the beginning of `e`. */
static void order_reach(struct order_search *s, struct fl__order_edge *e, uint8_t mode)
{
	struct fl__order_node *node = e->to;
	if (node->search[e->wanted] == order_searches)
		return;
	node->search[e->wanted] = order_searches;
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
 * An edge that leads back to the beginning of `e`, and in `*mode` how the search reached its
 * beginning. NULL: no cycle.
 */
static struct fl__order_edge *order_search_back(struct fl__order_edge *e, uint8_t *mode)
{
	*mode = 0;
	if (e->from == e->to)
		return order_blocks(e->to, e->wanted, e->held) ? e : NULL;
	struct order_search s = {NULL, 0};
	order_searches++;
	order_reach(&s, e, 0);
	struct fl__order_node *node = e->to;
	for (uint8_t m = e->wanted; node;) {
		for (struct fl__order_edge *next = node->out; next; next = next->next_out) {
			if (!order_blocks(node, m, next->held))
				continue;
			if (next->to == e->from && order_blocks(e->from, next->wanted, e->held)) {
				*mode = m;
				return next;
			}
			order_reach(&s, next, m);
		}
		struct fl__order_node *then = node->then[m];
		m = node->then_mode[m];
		node = then;
	}
	return NULL;
}

static void order_copy_edge(struct fl__report_step *step, const struct fl__order_edge *e)
{
	memcpy(step->name, e->name, sizeof step->name);
	step->id = e->id;
	step->held = (struct fl__report_end){e->from->lock, 0, e->from->kind, e->held, e->held_at};
	step->wanted = (struct fl__report_end){e->to->lock, 0, e->to->kind, e->wanted, e->wanted_at};
}

/*
 * The length of the shortest cycle through `e`, and its edges unless there are more than `max`. 0:
 * none.
 */
static size_t order_cycle_of(struct fl__order_edge *e, struct fl__report_step *steps, size_t max)
{
	uint8_t mode;
	struct fl__order_edge *const last = order_search_back(e, &mode);
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
		order_copy_edge(&steps[--i], at);
		if (at == e)
			return n;
		const struct fl__order_node *node = at->from;
		at = node->by[m];
		m = node->by_mode[m];
	}
}

static void order_report(const struct order_key *k)
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
		struct fl__order_edge *e = order_find_edge(k);
		n = e ? order_cycle_of(e, steps, room) : 0;
		fl__debug_unlock();
	}
	if (n > 0)
		fl__report_cycle(FL_LOG_WARNING, "potential deadlock: locks are taken in an order that has a cycle",
		                 steps, n);
	fl__free(steps);
}

/* True: an edge closes a cycle. False: all are added. */
static bool order_add_edges(const struct fl__holder *h, const struct fl__debug_op *op, struct order_key *found)
{
	for (const struct fl__held *held = h->held; held; held = held->next_of_mine) {
		*found = (struct order_key){held->lock, op->lock, held->how & FL__DEBUG_READ, op->how & FL__DEBUG_READ};
		if (held->lock == op->lock && !(held->how & op->how & FL__DEBUG_READ))
			continue; /* an upgrade, or a deadlock that debug_report_relock() reports */
		if (!order_find_edge(found) && order_cycle_of(order_add_edge(h, held, op, found), NULL, 0) > 0)
			return true;
	}
	return false;
}

/* At the first exclusive use: returns true at each cycle that readers alone did not close. */
static bool order_begin_writing(const struct fl__debug_op *op, struct order_key *found)
{
	struct fl__order_node *node = order_get_node(op->lock, op->kind);
	if (node->searched)
		return false;
	node->written = true;
	for (struct fl__order_edge *e = node->out; e; e = e->next_out) {
		if (e->held != FL__DEBUG_READ || e->searched)
			continue;
		e->searched = true;
		*found = order_key_of(e);
		if (order_cycle_of(e, NULL, 0) > 0)
			return true;
	}
	node->searched = true;
	return false;
}

/* Locks the table with enough slots for all that the acquisition may add. */
static bool order_enter(void)
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

static bool order_find_cycle(const struct fl__debug_op *op, struct order_key *found)
{
	if (op->kind == FL__DEBUG_RWLOCK && !(op->how & FL__DEBUG_READ) && order_begin_writing(op, found))
		return true;
	const struct fl__holder *h = fl__holder_find(fl__ctx_get()->id);
	return h && order_add_edges(h, op, found);
}

void fl__order_locking(const struct fl__debug_op *op)
{
	struct order_key found;
	while (order_enter()) {
		const bool is_cycle = order_find_cycle(op, &found);
		fl__debug_unlock();
		if (is_cycle)
			order_report(&found);
		fl__debug_done();
		if (!is_cycle)
			return;
	}
}
