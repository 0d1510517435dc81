/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The lock order. A comes before B if a context that held A has locked B without a deadline. If
 * that order has a cycle, the program can deadlock.
 *
 * An edge leads from a held to a wanted lock, each for exclusive use or for reading. A new edge is
 * searched once: from its end, breadth first, for a path back to its beginning, so that the report
 * shows the shortest cycle.
 *
 * At each lock of a cycle, one context wants the lock and another holds it. Two readers block each
 * other only if a third context waits for exclusive use between them. So two readers count only
 * after some context has wanted exclusive use (`written`), and the first such context searches the
 * edges again. A search may reach a node twice, for exclusive use and for reading, because
 * different edges follow.
 */
#include "core/base/list.h"
#include "report.h"
#include <string.h>

static struct fl__order_node *order_nodes[FL__DEBUG_BUCKETS];
static struct fl__order_edge *order_edges[FL__DEBUG_BUCKETS];
static uint64_t order_searches;

/* Identifies an edge by value, because the edge may be gone when the table is locked again. */
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

static struct fl__order_node *order_get_node(const void *lock)
{
	struct fl__order_node *node = order_find_node(lock);
	if (node)
		return node;
	node = fl__table_take_slot();
	node->lock = lock;
	FL__LIST_ADD(&order_nodes[fl__debug_bucket((uintptr_t)lock)], node);
	return node;
}

static struct fl__order_edge **order_edge_bucket(const struct order_key *k)
{
	return &order_edges[fl__debug_bucket((uintptr_t)k->from + 31 * (uintptr_t)k->to)];
}

static struct fl__order_edge *order_find_edge(const struct order_key *k)
{
	struct fl__order_edge *e = *order_edge_bucket(k);
	while (e && (e->from->lock != k->from || e->to->lock != k->to || e->step.held.how != k->held ||
	             e->step.wanted.how != k->wanted))
		e = e->next;
	return e;
}

static struct order_key order_key_of(const struct fl__order_edge *e)
{
	return (struct order_key){e->from->lock, e->to->lock, e->step.held.how, e->step.wanted.how};
}

static struct fl__order_edge *order_add_edge(const struct fl__holder *h, const struct fl__held *held,
                                             const struct fl__hook_op *op, const struct order_key *k)
{
	struct fl__order_edge *e = fl__table_take_slot();
	e->from = order_get_node(held->lock);
	e->to = order_get_node(op->lock);
	e->searched = e->from->written;
	e->step = fl__report_step(h, held);
	e->step.wanted = (struct fl__report_end){op->lock, 0, op->kind, k->wanted, op->stack};
	FL__LIST_ADD_BY(next_out, link_out, &e->from->out, e);
	FL__LIST_ADD_BY(next_in, link_in, &e->to->in, e);
	FL__LIST_ADD(order_edge_bucket(k), e);
	return e;
}

static void order_remove_edge(struct fl__order_edge *e)
{
	FL__LIST_REMOVE(e);
	FL__LIST_REMOVE_BY(next_out, link_out, e);
	FL__LIST_REMOVE_BY(next_in, link_in, e);
	fl__table_give_slot(e);
}

void fl__order_drop(const void *lock)
{
	struct fl__order_node *node = order_find_node(lock);
	if (!node)
		return;
	while (node->out)
		order_remove_edge(node->out);
	while (node->in)
		order_remove_edge(node->in);
	FL__LIST_REMOVE(node);
	fl__table_give_slot(node);
}

void fl__order_forget(void)
{
	memset(order_nodes, 0, sizeof order_nodes);
	memset(order_edges, 0, sizeof order_edges);
}

/*
 * Returns whether a context that wants the lock as `wanted` waits for one that holds it as `held`.
 */
static bool order_blocks(const struct fl__order_node *node, uint8_t wanted, uint8_t held)
{
	return !(wanted & held & FL__DEBUG_READ) || node->written;
}

/*
 * Searches from the end of `e` for its beginning. Returns the last edge of the shortest cycle
 * through `e`, whose edges are linked by `by`, or NULL if there is no cycle.
 */
static struct fl__order_edge *order_search_back(struct fl__order_edge *e)
{
	const uint8_t held = e->step.held.how;
	struct fl__order_edge *last = e;
	if (e->from == e->to)
		return order_blocks(e->to, e->step.wanted.how, held) ? e : NULL;
	e->to->search[e->step.wanted.how] = ++order_searches;
	e->then = NULL;
	for (struct fl__order_edge *at = e; at; at = at->then) {
		for (struct fl__order_edge *next = at->to->out; next; next = next->next_out) {
			uint64_t *const search = &next->to->search[next->step.wanted.how];
			if (!order_blocks(at->to, at->step.wanted.how, next->step.held.how))
				continue;
			const bool closes = next->to == e->from && order_blocks(e->from, next->step.wanted.how, held);
			if (!closes && *search == order_searches)
				continue;
			next->by = at;
			if (closes)
				return next;
			*search = order_searches;
			next->then = NULL;
			last->then = next;
			last = next;
		}
	}
	return NULL;
}

/*
 * Returns the length of the shortest cycle through `e`, or 0 if there is none. Stores its steps
 * unless there are more than `max`.
 */
static size_t order_cycle_of(struct fl__order_edge *e, struct fl__report_step *steps, size_t max)
{
	const struct fl__order_edge *last = order_search_back(e);
	if (!last)
		return 0;
	size_t n = 1;
	for (const struct fl__order_edge *at = last; at != e; at = at->by)
		n++;
	if (n > max)
		return n;
	for (size_t i = n; i > 0; last = last->by)
		steps[--i] = last->step;
	return n;
}

static size_t order_find(const void *key, struct fl__report_step *steps, size_t max)
{
	struct fl__order_edge *e = order_find_edge(key);
	return e ? order_cycle_of(e, steps, max) : 0;
}

/*
 * Adds the edges of an acquisition. Returns true at the first edge that closes a cycle, and false
 * after all edges are added.
 */
static bool order_add_edges(const struct fl__holder *h, const struct fl__hook_op *op, struct order_key *found)
{
	for (const struct fl__held *held = h->held; held; held = held->next_of_mine) {
		*found = (struct order_key){held->lock, op->lock, held->how & FL__DEBUG_READ, op->how & FL__DEBUG_READ};
		if (held->lock == op->lock && !(held->how & op->how & FL__DEBUG_READ))
			continue; /* a deadlock that debug_report_relock() reports */
		if (!order_find_edge(found) && order_cycle_of(order_add_edge(h, held, op, found), NULL, 0) > 0)
			return true;
	}
	return false;
}

/*
 * Called whenever a readers-writer lock is locked for exclusive use. Does nothing once all edges
 * from the lock were searched again. Returns true at each cycle that did not exist among readers
 * alone.
 */
static bool order_begin_writing(const struct fl__hook_op *op, struct order_key *found)
{
	struct fl__order_node *node = order_get_node(op->lock);
	if (node->searched)
		return false;
	node->written = true;
	for (struct fl__order_edge *e = node->out; e; e = e->next_out) {
		if (e->step.held.how != FL__DEBUG_READ || e->searched)
			continue;
		e->searched = true;
		*found = order_key_of(e);
		if (order_cycle_of(e, NULL, 0) > 0)
			return true;
	}
	node->searched = true;
	return false;
}

/* Locks the table with enough slots for everything that the acquisition may add. */
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

static bool order_find_cycle(const struct fl__hook_op *op, struct order_key *found)
{
	if (op->kind == FL__DEBUG_RWLOCK && !(op->how & FL__DEBUG_READ) && order_begin_writing(op, found))
		return true;
	const struct fl__holder *h = fl__holder_find(fl__ctx_get()->id);
	return h && order_add_edges(h, op, found);
}

void fl__order_locking(const struct fl__hook_op *op)
{
	struct order_key found;
	while (order_enter()) {
		const bool is_cycle = order_find_cycle(op, &found);
		fl__debug_unlock();
		if (is_cycle)
			fl__report_cycle(FL_LOG_WARNING,
			                 "potential deadlock: locks are taken in an order that has a cycle", order_find,
			                 &found);
		fl__debug_done();
		if (!is_cycle)
			return;
	}
}
