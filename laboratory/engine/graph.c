/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The search by execution graphs; this file works on the graphs only. A graph is a list of events
 * in the order in which they were added. A run replays a graph, and then extends it to the end. It
 * always adds the next event of the lowest thread that can go on, and always in the free way: a
 * read reads the last write of its location, and a write becomes the last write. Each other way to
 * add the event is pushed as a graph of its own, for a later run. So there is one run for each
 * complete or blocked graph.
 *
 *   rf       Each read has the number of the event that it reads. After a revisit, this may be the
 *            number of a later event.
 *   mo       Each write has a place among the writes of its location. The initial value has the
 *            place 0. An update (a read-modify-write) is one event, and its place directly follows
 *            that of the write that it reads.
 *   past     This is happens-before, as vector clocks. `message` is what an acquiring reader learns.
 *   prefix   This is (po | rf)+, as vector clocks: the events without which an event cannot exist.
 *
 * Consistency. A new event is the last in its prefix order. So coherence restricts it only by what
 * lies before it: a read or a write must not come before a write that the thread knows of, nor
 * before a write that a known read has read (graph_floor()). Atomicity: no write comes between an
 * update and the write that it reads. psc needs a search for cycles; only SC events and SC fences
 * can be in such a cycle. Except for waits for futexes, the free way is always consistent, because
 * such an event has no successor in any of the orders.
 *
 * Revisits. When a write w is added, earlier reads r of its location that are not in its prefix may
 * read it, too. Of the events after r, the new graph keeps those in the prefix of w. All other
 * events after r, and r itself, must be exactly as a free extension of the remaining events would
 * have added them (graph_is_free()). If the same revisit leads from several graphs to one result,
 * only one of these graphs meets that condition and makes the revisit. Therefore each graph comes
 * once.
 *
 * Waits for futexes need another search for cycles (graph_sort()). If a comparison, or the update
 * of a queue that is one step with it, is not consistent in the free way, the event must wait.
 *
 * Locks. A lock is in the graph only when it is held: a free extension waits for it. So when the
 * write of a lock revisits another lock, the graph loses the other lock, whose thread then waits.
 * The revisiting lock becomes `unusual`: no free extension adds it there, because the thread of the
 * other lock would have gone first.
 */
#include "graph.h"

enum { LOCATIONS = 4096, MOST_SC = 128, NONE = LAB_GRAPH_NONE };

typedef struct lab_graph_event graph_event;
typedef struct lab_graph_clock graph_clock;

struct graph {
	/*
	 * An estimate of which part of all runs the graph leads to. Each pushed graph gets half of
	 * what is left.
	 */
	double share;
	/*
	 * `fresh` is the number of an update that got its write by a revisit, and has not made its
	 * own revisits yet. It is NONE if there is no such update.
	 */
	uint32_t n, fresh;
	graph_event e[LAB_GRAPH_EVENTS];
};

/* NOLINTBEGIN(bugprone-macro-parentheses): a declared name takes no parentheses */
#define GRAPH_EACH(event, graph)                                                                                       \
	for (__typeof__(&(graph)->e[0]) event = (graph)->e; (event) < (graph)->e + (graph)->n; (event)++)
/* NOLINTEND(bugprone-macro-parentheses) */

enum { PUSHED = 1 << 30, HEAD = offsetof(struct graph, e) }; /* bytes */

static struct graph now, cut, began; /* `began` is `now` as it was before its run. */
static struct {
	graph_clock past, prefix;
	/* The messages that the thread's reads have read. An acquire fence needs them. */
	graph_clock acquired;
	graph_clock released; /* The past of the thread's last release fence. */
	uint16_t n;           /* How many events of the thread are done. */
	uint16_t planned;     /* How many events of the thread the graph has. */
} of[LAB_GRAPH_THREADS];
/* The past without the event itself, and without what the event acquires. */
static graph_clock before[LAB_GRAPH_EVENTS];
static graph_clock past[LAB_GRAPH_EVENTS], prefix[LAB_GRAPH_EVENTS], message[LAB_GRAPH_EVENTS];
static uint16_t number_at[LAB_GRAPH_THREADS][LAB_GRAPH_EVENTS];
static uint32_t n_done;
static uint64_t initial[LOCATIONS];

static unsigned char *pushed;
static size_t n_pushed, room_pushed, below; /* `below` is where the bytes of `began` begin. */
static bool is_full, is_bounded;
static unsigned most_faults;

static void clock_join(graph_clock *to, const graph_clock *from)
{
	for (unsigned i = 0; i < LAB_GRAPH_THREADS; i++)
		to->at[i] = to->at[i] < from->at[i] ? from->at[i] : to->at[i];
}

static bool clock_has(const graph_clock *c, const graph_event *e)
{
	return e->index < c->at[e->thread];
}

static int order_of(const graph_event *e)
{
	return e->kind == LAB_GRAPH_SWAP && !e->writes ? e->failure : e->order;
}

/* Returns the place, in modification order, of the write that a read reads. */
static unsigned source_of(const struct graph *g, const graph_event *e)
{
	return e->rf == NONE ? 0 : g->e[e->rf].mo;
}

static unsigned place_of(const struct graph *g, const graph_event *e)
{
	return e->writes ? e->mo : source_of(g, e);
}

/* --- the stack of graphs --- */

void lab_graphs_give(const void *from, size_t more)
{
	if (n_pushed + more > PUSHED) {
		is_full = true;
		return;
	}
	if (n_pushed + more > room_pushed) {
		room_pushed = 2 * (n_pushed + more);
		pushed = lab_needed(realloc(pushed, room_pushed));
	}
	memcpy(pushed + n_pushed, from, more);
	n_pushed += more;
}

/* Pushes a graph on the stack: its events, and behind them its head. */
static void graph_keep(const struct graph *g)
{
	lab_graphs_give(g->e, g->n * sizeof *g->e);
	lab_graphs_give(g, HEAD);
}

static void graph_push(struct graph *g)
{
	g->share = now.share /= 2;
	graph_keep(g);
}

/* Copies the head of the graph that ends at `end`. Returns where that graph begins. */
static size_t graph_before(size_t end, struct graph *head)
{
	memcpy(head, pushed + end - HEAD, HEAD);
	return end - HEAD - head->n * sizeof *head->e;
}

void lab_graph_reset(unsigned faults)
{
	n_pushed = 0;
	is_full = is_bounded = false;
	most_faults = faults;
	now.n = 0;
	now.fresh = NONE;
	now.share = 2;
	graph_push(&now);
}

bool lab_graph_next(void)
{
	if (n_pushed == 0)
		return false;
	below = n_pushed = graph_before(n_pushed, &now);
	memcpy(now.e, pushed + n_pushed, now.n * sizeof *now.e);
	memcpy(&began, &now, offsetof(struct graph, e[now.n]));
	memset(of, 0, sizeof of);
	n_done = 0;
	for (unsigned i = 0; i < now.n; i++) {
		number_at[now.e[i].thread][now.e[i].index] = (uint16_t)i;
		of[now.e[i].thread].planned++;
	}
	return true;
}

void lab_graph_undo(void)
{
	n_pushed = below;
	graph_keep(&began);
}

size_t lab_graphs_left(double *explored)
{
	static struct graph head;
	size_t n = 0;
	double share = 1;
	for (size_t at = n_pushed; at > 0; n++) {
		at = graph_before(at, &head);
		share -= head.share;
	}
	if (explored)
		*explored = share;
	return n;
}

size_t lab_graphs_take(void *to, size_t n)
{
	static struct graph head;
	const size_t end = n_pushed;
	for (; n > 0; n--)
		n_pushed = graph_before(n_pushed, &head);
	memcpy(to, pushed + n_pushed, end - n_pushed);
	return end - n_pushed;
}

bool lab_graph_is_bounded(void)
{
	return is_bounded;
}

bool lab_graph_is_full(void)
{
	return is_full || now.n == LAB_GRAPH_EVENTS;
}

/* --- clocks --- */

/*
 * Returns the message that the event gets if it reads the write `from`. Usually this is the message
 * of that write. However, a reader of a readers-writer lock gets the message of the last unlock by
 * a writer, and the steps of waits and signals get nothing.
 */
static const graph_clock *message_to(const graph_event *e, unsigned from)
{
	static const graph_clock nothing;
	while (e->shares && from != NONE && now.e[from].shares)
		from = now.e[from].rf;
	return from == NONE ? &nothing : &message[from];
}

/* Computes the clocks of the event, which is the next one of its thread. */
static void event_clocks(unsigned i)
{
	const graph_event *e = &now.e[i];
	const unsigned t = e->thread;
	before[i] = past[i] = of[t].past;
	prefix[i] = of[t].prefix;
	past[i].at[t] = prefix[i].at[t] = e->index + 1;
	if (e->rf != NONE)
		clock_join(&prefix[i], &prefix[e->rf]);
	if (lab_is_acquire(order_of(e)))
		clock_join(&past[i], message_to(e, e->rf));
	if (e->kind == LAB_GRAPH_FENCE && lab_is_acquire(e->order))
		clock_join(&past[i], &of[t].acquired);
	if (!e->writes)
		return;
	if (lab_is_release(e->order)) {
		message[i] = past[i];
	} else {
		message[i] = e->hidden ? *message_to(e, NONE) : of[t].released;
		for (unsigned k = e->index; k-- > 0 && !lab_config.rmw_sequences;) {
			const unsigned head = number_at[t][k];
			const graph_event *h = &now.e[head];
			if (h->writes && h->location == e->location && lab_is_release(h->order)) {
				clock_join(&message[i], &past[head]);
				break;
			}
		}
	}
	if (e->rf != NONE)
		clock_join(&message[i], &message[e->rf]);
}

/* The event is done: its thread knows it now. */
static void event_done(unsigned i)
{
	const graph_event *e = &now.e[i];
	const unsigned t = e->thread;
	of[t].past = past[i];
	of[t].prefix = prefix[i];
	if (!e->hidden)
		clock_join(&of[t].acquired, message_to(e, e->rf));
	if (e->kind == LAB_GRAPH_FENCE && lab_is_release(e->order))
		of[t].released = past[i];
	number_at[t][of[t].n++] = (uint16_t)i;
	n_done++;
}

/* --- modification order --- */

static unsigned mo_count(const struct graph *g, unsigned location)
{
	unsigned n = 0;
	GRAPH_EACH (e, g)
		n += e->writes && e->location == location;
	return n;
}

static void mo_shift(struct graph *g, unsigned location, unsigned from, int by)
{
	GRAPH_EACH (e, g)
		if (e->writes && e->location == location && e->mo >= from)
			e->mo = (uint16_t)((int)e->mo + by);
}

/* Makes the event a write at this place. */
static void mo_insert(struct graph *g, graph_event *e, unsigned place)
{
	mo_shift(g, e->location, place, 1);
	e->writes = true;
	e->mo = (uint16_t)place;
}

static void mo_remove(struct graph *g, graph_event *e)
{
	e->writes = false;
	mo_shift(g, e->location, e->mo + 1u, -1);
}

/* Whether an update has this place. Then no write may be put directly before it. */
static bool is_glued(const struct graph *g, unsigned location, unsigned place)
{
	GRAPH_EACH (e, g)
		if (e->writes && e->reads && e->location == location && e->mo == place)
			return true;
	return false;
}

/* Returns the place of the newest write that is in `known`, or was read by an event in `known`. */
static unsigned graph_floor(const struct graph *g, unsigned location, const graph_clock *known)
{
	unsigned floor = 0;
	GRAPH_EACH (e, g) {
		if (e->location != location || !clock_has(known, e))
			continue;
		const unsigned place = place_of(g, e);
		floor = place > floor ? place : floor;
	}
	return floor;
}

/* --- SC --- */

static const struct graph *sc_graph;
static const graph_clock *sc_past[LAB_GRAPH_EVENTS];
static uint16_t sc_next[LAB_GRAPH_EVENTS], sc_last[LAB_GRAPH_EVENTS];

static bool hb(unsigned x, unsigned y)
{
	return x != y && clock_has(sc_past[y], &sc_graph->e[x]);
}

static bool same_location(const graph_event *x, const graph_event *y)
{
	return x->location == y->location && x->location != NONE;
}

/*
 * For each event, finds the next (sc_next) and the last (sc_last) event of its thread on another
 * location.
 */
static void sc_prepare(void)
{
	uint16_t last[LAB_GRAPH_THREADS], follower[LAB_GRAPH_EVENTS];
	memset(last, 0xff, sizeof last);
	memset(follower, 0xff, sizeof follower[0] * sc_graph->n);
	for (unsigned i = 0; i < sc_graph->n; i++) {
		const graph_event *e = &sc_graph->e[i];
		const unsigned p = last[e->thread];
		sc_last[i] = (uint16_t)(p != NONE && same_location(&sc_graph->e[p], e) ? sc_last[p] : p);
		if (p != NONE)
			follower[p] = (uint16_t)i;
		last[e->thread] = (uint16_t)i;
	}
	for (unsigned i = sc_graph->n; i-- > 0;) {
		const unsigned f = follower[i];
		sc_next[i] = (uint16_t)(f != NONE && same_location(&sc_graph->e[f], &sc_graph->e[i]) ? sc_next[f] : f);
	}
}

/* Whether x comes before y in scb = po | po_other ; hb ; po_other | hb_loc | mo | rb. */
static bool sc_before(unsigned x, unsigned y)
{
	const graph_event *a = &sc_graph->e[x], *b = &sc_graph->e[y];
	if (a->thread == b->thread)
		return a->index < b->index;
	if (sc_next[x] != NONE && sc_last[y] != NONE && hb(sc_next[x], sc_last[y]))
		return true;
	return same_location(a, b) && (hb(x, y) || (b->writes && ((a->writes && a->mo < b->mo) ||
	                                                          (a->reads && source_of(sc_graph, a) < b->mo))));
}

/*
 * Whether hb ; eco ; hb leads from one fence to another. For eco, a write has an even place, and a
 * read has the odd place after that of the write that it reads. It is enough to compare, for each
 * location, the first place after `x` with the last one before `y`.
 */
static bool is_eco_between(unsigned x, unsigned y)
{
	static uint32_t turn, seen[LOCATIONS];
	static uint16_t least[LOCATIONS];
	turn++;
	for (unsigned i = 0; i < sc_graph->n; i++) {
		const graph_event *e = &sc_graph->e[i];
		if (e->location == NONE || !hb(x, i))
			continue;
		const unsigned from = e->reads ? 2 * source_of(sc_graph, e) + 1 : 2u * e->mo;
		if (seen[e->location] != turn || from < least[e->location])
			least[e->location] = (uint16_t)from;
		seen[e->location] = turn;
	}
	for (unsigned j = 0; j < sc_graph->n; j++) {
		const graph_event *e = &sc_graph->e[j];
		if (e->location == NONE || seen[e->location] != turn || !hb(j, y))
			continue;
		const unsigned to = e->writes ? 2u * e->mo : 2 * source_of(sc_graph, e) + 1;
		if (least[e->location] < to)
			return true;
	}
	return false;
}

/* Whether psc leads from one SC event to another. Between two fences, psc is hb | hb ; eco ; hb. */
static bool is_psc(unsigned x, unsigned y)
{
	const graph_event *e = sc_graph->e;
	const bool from_fence = e[x].kind == LAB_GRAPH_FENCE, to_fence = e[y].kind == LAB_GRAPH_FENCE;
	if (!from_fence && !to_fence)
		return sc_before(x, y);
	if (from_fence && to_fence)
		return hb(x, y) || is_eco_between(x, y);
	for (unsigned i = 0; i < sc_graph->n; i++) {
		if (!to_fence && (i == x || hb(x, i)) && i != y && sc_before(i, y))
			return true;
		if (!from_fence && (i == y || hb(i, y)) && i != x && sc_before(x, i))
			return true;
	}
	return false;
}

/* --- orders of all events --- */

static bool is_sc(const graph_event *e)
{
	return e->kind != LAB_GRAPH_CHOICE && order_of(e) == __ATOMIC_SEQ_CST;
}

/* Whether all that must come before the event has been done: see graph_sort(). */
static bool is_next(const struct graph *g, unsigned i, const bool *done, bool all)
{
	const graph_event *e = &g->e[i];
	bool first = true, compared = all;
	if (e->rf != NONE && !done[e->rf])
		return false;
	for (unsigned k = 0; k < g->n; k++) {
		const graph_event *x = &g->e[k];
		const bool compares = x->kind == LAB_GRAPH_COMPARE, same = same_location(x, e),
			   own = x->thread == e->thread;
		compared |= compares && same;
		if (done[k] || k == i)
			continue;
		first &= !(same && e->writes && (x->writes || compares) && place_of(g, x) < e->mo);
		if ((own && k < i) ||
		    (all && (clock_has(&prefix[i], x) || (sc_graph && is_sc(x) && is_sc(e) && is_psc(k, i)))))
			return false;
		/* The update that is one step with this comparison must also be possible. */
		if (own && e->kind == LAB_GRAPH_COMPARE && x->kind == LAB_GRAPH_ENQUEUE && x->index == e->index + 2 &&
		    x->rf != NONE && !done[x->rf])
			return false;
	}
	return first || !compared;
}

/*
 * Sorts the events, and returns how many of them have a place in the order. The order contains po,
 * rf, and mo of the words that waits for futexes compare, and in this order each wait compares the
 * newest value. If `all`, the order also contains the starts and joins of threads, mo and psc, and
 * only events that are done are sorted.
 */
static unsigned graph_sort(const struct graph *g, bool all, uint16_t *order)
{
	bool done[LAB_GRAPH_EVENTS] = {0};
	unsigned n = 0, old;
	for (unsigned i = 0; i < g->n; i++)
		done[i] = all && g->e[i].index >= of[g->e[i].thread].n;
	do {
		old = n;
		for (unsigned i = 0; i < g->n; i++) {
			if (done[i] || !is_next(g, i, done, all))
				continue;
			done[i] = true;
			order[n++] = (uint16_t)i;
		}
	} while (n > old);
	return n;
}

/* Whether each wait for a futex has compared the newest value, in some order of all events. */
static bool are_newest(const struct graph *g)
{
	uint16_t order[LAB_GRAPH_EVENTS];
	GRAPH_EACH (e, g)
		if (e->kind == LAB_GRAPH_COMPARE)
			return graph_sort(g, false, order) == g->n;
	return true;
}

/*
 * Whether psc has no cycle, and waits compare the newest values. `old` gives the number that each
 * event has in `now`; `old` is NULL if the graph is `now`. For the event `revisited`, `its_past` is
 * used instead of its own past; `revisited` is NONE if there is no such event.
 */
static bool is_consistent(const struct graph *g, const uint16_t *old, unsigned revisited, const graph_clock *its_past)
{
	uint16_t sc[MOST_SC];
	lab_value to[MOST_SC]; /* A bit for each of the events. */
	unsigned n = 0;
	for (unsigned i = 0; i < g->n && n < MOST_SC; i++)
		if (is_sc(&g->e[i]))
			sc[n++] = (uint16_t)i;
	if (n == MOST_SC)
		is_full = true;
	if (!are_newest(g))
		return false;
	if (n < 2)
		return true;
	sc_graph = g;
	for (unsigned i = 0; i < g->n; i++)
		sc_past[i] = i == revisited ? its_past : &past[old ? old[i] : i];
	sc_prepare();
	for (unsigned i = 0; i < n; i++) {
		to[i] = 0;
		for (unsigned j = 0; j < n; j++)
			if (i != j && is_psc(sc[i], sc[j]))
				to[i] |= (lab_value)1 << j;
	}
	for (unsigned k = 0; k < n; k++)
		for (unsigned i = 0; i < n; i++)
			if (to[i] >> k & 1)
				to[i] |= to[k];
	for (unsigned i = 0; i < n; i++)
		if (to[i] >> i & 1)
			return false;
	return true;
}

static bool now_is_consistent(void)
{
	return is_consistent(&now, NULL, NONE, NULL);
}

/* --- new events --- */

/* Returns the value that a read reads. */
static uint64_t value_read(const struct graph *g, const graph_event *e)
{
	return e->rf == NONE ? initial[e->location] : g->e[e->rf].value;
}

static bool is_expected(const graph_event *e, uint64_t value)
{
	return (value == e->expected) != e->differs;
}

/* Decides, by the value that the event reads, whether it writes and what. */
static void event_decide(const struct graph *g, graph_event *e)
{
	const uint64_t old = value_read(g, e);
	e->writes = e->kind == LAB_GRAPH_UPDATE || e->kind == LAB_GRAPH_SIGNAL || e->kind == LAB_GRAPH_ENQUEUE ||
	            ((e->kind == LAB_GRAPH_SWAP || e->kind == LAB_GRAPH_LOCK) && is_expected(e, old));
	if (!e->writes)
		return;
	const lab_value value = e->update(old, e->kind == LAB_GRAPH_SIGNAL ? e->pick : e->operand);
	e->value = e->size >= 8 ? (uint64_t)value : (uint64_t)value & ((UINT64_C(1) << 8 * e->size) - 1);
}

/*
 * Whether a free extension of the events before `i` and the prefix of the write `w` would have
 * added the event `i` exactly as it is.
 */
static bool graph_is_free(unsigned i, unsigned w)
{
	const graph_event *e = &now.e[i];
	if (e->unusual)
		return false;
	if (e->location == NONE || e->kind == LAB_GRAPH_WOKEN)
		return true;
	const unsigned place = place_of(&now, e);
	for (unsigned j = 0; j < now.n; j++) {
		const graph_event *x = &now.e[j];
		if (x->location != e->location)
			continue;
		if (j < i && x->reads && x->rf == i)
			return false;
		if (x->writes && x->mo > place && j != w && (j < i || clock_has(&prefix[w], x)))
			return false;
	}
	return true;
}

/*
 * Lets a signal take the next choice of waiters, once it is known what the signal reads. The number
 * of waiters stays the same. Returns false if the event has taken all choices.
 */
static bool next_pick(const struct graph *g, graph_event *e)
{
	const unsigned least = e->pick & -e->pick, more = e->pick + least;
	if (e->kind != LAB_GRAPH_SIGNAL || least == 0)
		return false;
	/* The next larger number with the same number of bits. */
	const unsigned next = more | ((more ^ e->pick) / least) >> 2;
	e->pick = (uint16_t)next;
	return next >> lab_graph_waiters(value_read(g, e)) == 0;
}

/* Whether one more weak compare-and-swap may fail spuriously. */
static bool may_fail(const struct graph *g)
{
	unsigned faults = 0;
	GRAPH_EACH (e, g)
		faults += e->weak && e->unusual && !e->writes;
	is_bounded |= faults >= most_faults;
	return faults < most_faults;
}

/*
 * Pushes the graph `cut`, once for each place of the write `a`. The read `b` reads `a`, and also
 * updates it if `b->writes`. `b` is NULL if the read has left the graph.
 */
static void push_places(graph_event *a, graph_event *b, unsigned floor, const uint16_t *old, unsigned w)
{
	const bool updates = b && b->writes;
	graph_clock its_past;
	cut.fresh = NONE;
	if (b) {
		its_past = before[old[b - cut.e]];
		its_past.at[b->thread] = (uint16_t)(b->index + 1);
		if (lab_is_acquire(order_of(b)))
			clock_join(&its_past, message_to(b, w));
		cut.fresh = updates ? (uint32_t)(b - cut.e) : NONE;
		b->writes = false;
	}
	mo_remove(&cut, a);
	const unsigned last = a->reads ? a->mo : mo_count(&cut, a->location) + 1;
	for (unsigned place = floor + 1; place <= last; place++) {
		/* An update has only one place: directly after the write that it reads. */
		if ((a->reads && place < last) || is_glued(&cut, a->location, place))
			continue;
		mo_insert(&cut, a, place);
		if (updates)
			mo_insert(&cut, b, place + 1);
		if (is_consistent(&cut, old, b ? (unsigned)(b - cut.e) : NONE, &its_past))
			graph_push(&cut);
		if (updates)
			mo_remove(&cut, b);
		mo_remove(&cut, a);
	}
	mo_insert(&cut, a, last);
}

/* Pushes the graphs in which the read `r` reads the write `w`. */
static void graph_revisit(unsigned w, unsigned r)
{
	static uint16_t old[LAB_GRAPH_EVENTS], new[LAB_GRAPH_EVENTS];
	const graph_event *read = &now.e[r], *write = &now.e[w];
	const bool leaves = read->kind == LAB_GRAPH_LOCK && !is_expected(read, write->value);
	unsigned n = 0;
	cut.n = now.n;
	memcpy(cut.e, now.e, now.n * sizeof *now.e);
	for (unsigned i = 0; i < now.n; i++) {
		graph_event *e = &cut.e[i];
		const bool goes = i > r && i != w && !clock_has(&prefix[w], e);
		/* Each write that leaves the graph, and the write of `read`, gives up its place. */
		if (e->writes && (goes || i == r))
			mo_remove(&cut, e);
		if (goes || (leaves && i == r))
			continue;
		old[n] = (uint16_t)i;
		new[i] = (uint16_t)n;
		cut.e[n++] = *e;
	}
	cut.n = n;
	graph_event *a = &cut.e[new[w]], *b = leaves ? NULL : &cut.e[new[r]];
	GRAPH_EACH (e, &cut)
		if (e->reads && e->rf != NONE && e != b)
			e->rf = new[e->rf];
	a->unusual |= leaves;
	unsigned floor = graph_floor(&cut, a->location, &before[w]);
	if (!b) {
		push_places(a, NULL, floor, old, w);
		return;
	}
	const unsigned least = graph_floor(&cut, a->location, &before[r]);
	floor = least > floor ? least : floor;
	b->rf = new[w];
	event_decide(&cut, b);
	const bool fails = b->writes && b->weak && may_fail(&cut);
	push_places(a, b, floor, old, w);
	if (fails) {
		b->unusual = true;
		b->writes = false;
		push_places(a, b, floor, old, w);
	}
	while (next_pick(&cut, b)) {
		b->unusual = true;
		event_decide(&cut, b);
		push_places(a, b, floor, old, w);
	}
}

/* Whether the event is a read that may read the write `w` instead. */
static bool may_revisit(unsigned w, unsigned i)
{
	return now.e[i].reads && now.e[i].kind != LAB_GRAPH_WOKEN && now.e[i].location == now.e[w].location;
}

/* Pushes all graphs in which an earlier read reads the new write. */
static void graph_revisits(unsigned w)
{
	unsigned first = now.n;
	for (unsigned i = 0; i < now.n && first == now.n; i++)
		if (may_revisit(w, i) && i != w && !clock_has(&prefix[w], &now.e[i]))
			first = i;
	for (unsigned i = now.n; i-- > first;) {
		if (i == w || clock_has(&prefix[w], &now.e[i]))
			continue;
		if (!graph_is_free(i, w))
			return;
		if (may_revisit(w, i))
			graph_revisit(w, i);
	}
}

/* Pushes the other ways in which the new event may write at its place. */
static void add_picks(unsigned i, bool taken)
{
	graph_event *e = &now.e[i];
	const graph_event usual = *e;
	while (next_pick(&now, e)) {
		e->unusual = true;
		event_decide(&now, e);
		if (!taken && now_is_consistent())
			graph_push(&now);
		graph_revisits(i);
	}
	*e = usual;
}

/* Adds a read. Returns false if the event has to wait. */
static bool add_read(unsigned i)
{
	graph_event *e = &now.e[i];
	uint16_t by_place[LAB_GRAPH_EVENTS];
	const unsigned last = mo_count(&now, e->location);
	/* NONE stands for the initial value. */
	memset(by_place, 0xff, (last + 1) * sizeof by_place[0]);
	for (unsigned k = 0; k < i; k++)
		if (now.e[k].writes && now.e[k].location == e->location)
			by_place[now.e[k].mo] = (uint16_t)k;
	e->reads = true;
	for (unsigned place = graph_floor(&now, e->location, &of[e->thread].past); place <= last; place++) {
		e->rf = by_place[place];
		event_decide(&now, e);
		if (e->kind == LAB_GRAPH_LOCK && !e->writes)
			continue;
		const bool writes = e->writes, taken = writes && is_glued(&now, e->location, place + 1);
		if (writes && e->weak && may_fail(&now)) {
			e->writes = false;
			e->unusual = true;
			event_clocks(i);
			if (now_is_consistent())
				graph_push(&now);
			e->unusual = false;
			e->writes = true;
		}
		event_clocks(i);
		if (place < last) {
			const uint8_t kind = e->kind;
			/* An update that has not written yet. */
			e->kind = writes ? LAB_GRAPH_UPDATE : kind;
			e->writes = false;
			const bool reads = now_is_consistent();
			e->kind = kind;
			if (!reads)
				continue;
			if (writes)
				mo_insert(&now, e, place + 1);
			if (!taken && (!writes || now_is_consistent()))
				graph_push(&now);
		} else if (writes) {
			mo_insert(&now, e, place + 1);
		}
		/* All other events are always consistent if they come last. */
		if (place == last && e->kind >= LAB_GRAPH_COMPARE && !now_is_consistent())
			return false;
		if (writes)
			graph_revisits(i);
		add_picks(i, taken);
		if (place == last)
			return true;
		if (writes)
			mo_remove(&now, e);
	}
	return false;
}

static void add_write(unsigned i)
{
	graph_event *e = &now.e[i];
	const unsigned last = mo_count(&now, e->location) + 1;
	e->writes = true;
	event_clocks(i);
	e->writes = false;
	for (unsigned place = graph_floor(&now, e->location, &of[e->thread].past) + 1; place < last; place++) {
		if (is_glued(&now, e->location, place))
			continue;
		mo_insert(&now, e, place);
		if (now_is_consistent())
			graph_push(&now);
		mo_remove(&now, e);
	}
	mo_insert(&now, e, last);
	graph_revisits(i);
}

unsigned lab_graph_add(const struct lab_graph_event *new)
{
	const unsigned i = now.n++;
	graph_event *e = &now.e[i];
	*e = *new;
	e->index = of[e->thread].n;
	e->rf = NONE;
	e->mo = 0;
	e->reads = e->writes = e->unusual = false;
	now.fresh = NONE;
	switch (e->kind) {
	case LAB_GRAPH_FENCE:
		event_clocks(i);
		break;
	case LAB_GRAPH_CHOICE:
		event_clocks(i);
		e->unusual = true;
		for (e->value = e->operand - 1; e->value > 0; e->value--)
			graph_push(&now);
		e->unusual = false;
		break;
	case LAB_GRAPH_WRITE:
		add_write(i);
		break;
	case LAB_GRAPH_WOKEN:
		e->reads = true;
		e->rf = new->rf;
		event_clocks(i);
		break;
	default:
		if (!add_read(i)) {
			now.n--;
			return NONE;
		}
	}
	event_done(i);
	of[e->thread].planned = of[e->thread].n;
	return i;
}

/* --- the run --- */

const struct lab_graph_event *lab_graph_planned(unsigned thread)
{
	return of[thread].n < of[thread].planned ? &now.e[number_at[thread][of[thread].n]] : NULL;
}

bool lab_graph_may(unsigned thread)
{
	const graph_event *e = lab_graph_planned(thread);
	return !e->reads || e->rf == NONE || now.e[e->rf].index < of[now.e[e->rf].thread].n;
}

bool lab_graph_is_replayed(void)
{
	return n_done == now.n;
}

unsigned lab_graph_replay(unsigned thread)
{
	const unsigned i = number_at[thread][of[thread].n];
	event_clocks(i);
	event_done(i);
	if (n_done == now.n && now.fresh != NONE)
		graph_revisits(now.fresh);
	return i;
}

const struct lab_graph_event *lab_graph_event(unsigned i)
{
	return &now.e[i];
}

const struct lab_graph_clock *lab_graph_past(unsigned i)
{
	return &past[i];
}

unsigned lab_graph_number(unsigned thread, unsigned index)
{
	return number_at[thread][index];
}

unsigned lab_graph_count(unsigned thread)
{
	return of[thread].n;
}

uint64_t lab_graph_read(unsigned i)
{
	return value_read(&now, &now.e[i]);
}

/*
 * Whether one of the first `n` events of the graph is a write that is newer than the event `i`, or,
 * if `i` only reads, newer than what `i` reads. An update that writes the value that it reads does
 * not count, because it changes nothing for a loop.
 */
static bool has_newer(unsigned i, unsigned n)
{
	const graph_event *e = &now.e[i];
	for (const graph_event *x = now.e; x < now.e + n; x++)
		if (x->writes && x->location == e->location && x->mo > place_of(&now, e) &&
		    !(x->reads && x->value == value_read(&now, x)))
			return true;
	return false;
}

bool lab_graph_is_newest(unsigned i)
{
	return !now.e[i].unusual && !has_newer(i, now.n);
}

bool lab_graph_is_outdated(unsigned i)
{
	const graph_event *e = &now.e[i];
	return (e->kind == LAB_GRAPH_READ || (e->kind == LAB_GRAPH_SWAP && !e->writes)) &&
	       (e->unusual || has_newer(i, i));
}

void lab_graph_initial(unsigned location, uint64_t value)
{
	initial[location] = value;
}

void lab_graph_start(unsigned parent, unsigned child)
{
	of[child].past = of[parent].past;
	of[child].prefix = of[parent].prefix;
}

void lab_graph_join(unsigned thread, unsigned ended)
{
	clock_join(&of[thread].past, &of[ended].past);
	clock_join(&of[thread].prefix, &of[ended].prefix);
}

void lab_graph_cause(unsigned thread, unsigned event)
{
	clock_join(&of[thread].prefix, &prefix[event]);
}

unsigned lab_graph_order(uint16_t order[LAB_GRAPH_EVENTS])
{
	sc_graph = NULL;
	(void)now_is_consistent();
	const unsigned n = graph_sort(&now, true, order);
	return n == n_done ? n : 0;
}
