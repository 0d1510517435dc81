/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * C11 atomics: what atomic accesses and fences do in the model. The rules are those of the memory
 * model RC11 (Lahav, Vafeiadis, Kang, Hur, Dreyer: Repairing Sequential Consistency in C/C++11,
 * PLDI 2017). The engine executes accesses under these rules in the way of relacy (Vyukov) and of
 * CDSChecker (Norris, Demsky 2013). Two kinds of executions leave the accesses to other files:
 * steer.c makes those of an execution along a graph (`lab.steered`), and traffic.c makes those of
 * an execution that counts traffic.
 *
 * RC11 describes an execution by its events, which are accesses and fences, and by relations
 * between them. "SC" stands for memory_order_seq_cst.
 *
 *   sb    sequenced before: the order of the events of one thread
 *   rf    reads from: leads from a store to each load that reads its value
 *   mo    modification order: the order of all stores to one location
 *   hb    happens before: leads from an event to another if there is a path of edges of sb, and of
 *         edges from a release to an acquire that reads from it
 *   psc   partial SC: the order in which RC11 puts SC accesses and SC fences. It is the union of
 *         the paper's psc_base (of SC accesses and SC fences) and psc_F (of SC fences alone)
 *
 * The model executes one event after the other. Each store that it executes becomes the last one in
 * the modification order of its location. So the order of execution agrees with sb, rf, mo and psc.
 * The model shows exactly those outcomes of RC11 that some execution produces in which these four
 * relations together have no cycle. RC11 also allows outcomes that fit no single order of
 * execution. An example is the litmus test 2+2W: two threads store to the same two locations, in
 * opposite orders, and in both locations the first store of a thread comes last in mo. The model
 * does not show such an outcome. check_order() finds out whether there may be one.
 *
 * A load may read the newest store or an older one. readable() goes back from the newest store to
 * older ones. It stops at the first store for which one of these conditions holds. The load may
 * read that store and all newer ones. A load in a spin that has given up (lab_spins()) reads the
 * newest store alone.
 *
 * - The store happens before the load, or a read of the store happens before the load. (coherence)
 * - The load is SC, and the store is SC or happens before an SC fence that was executed. (psc_base)
 * - An SC fence that happens before the load knows the store or a read of it. The fence knows all
 *   that happens before earlier SC fences (view.seen), and all SC stores that were executed before
 *   it (view.fence). (psc_F, psc_base)
 *
 * Two limits of the model stop readable() earlier. A location keeps only its last LAB_HISTORY
 * stores. And a thread reads the same store at most LAB_PATIENCE times after a newer store has come
 * (location.h).
 *
 * Release sequences are those of RC11. A sequence begins with a store, its head, and continues with
 * later stores of the same thread to the location, and with RMWs (read-modify-writes) that read
 * from a store of the sequence. An acquire that reads from any of these stores synchronizes with
 * the head, if the head is a release. Otherwise it synchronizes with the last release fence before
 * the head in the thread of the head, if there is one. In C++20 the later stores of the thread are
 * no longer part of the sequence (lab_config.rmw_sequences).
 */
#include "steer.h"
#include "traffic.h"
#include <stdatomic.h>

lab_value lab_peek(uintptr_t address, unsigned size)
{
	switch (size) {
	case 1:
		return *(const volatile uint8_t *)address;
	case 2:
		return *(const volatile uint16_t *)address;
	case 4:
		return *(const volatile uint32_t *)address;
	default:
		return *(const volatile uint64_t *)address;
	}
}

void lab_poke(uintptr_t address, unsigned size, lab_value value)
{
	lab_globals_written(address, size);
	switch (size) {
	case 1:
		*(volatile uint8_t *)address = (uint8_t)value;
		break;
	case 2:
		*(volatile uint16_t *)address = (uint16_t)value;
		break;
	case 4:
		*(volatile uint32_t *)address = (uint32_t)value;
		break;
	default:
		*(volatile uint64_t *)address = (uint64_t)value;
		break;
	}
}

static lab_value truncated(lab_value value, unsigned size)
{
	return value & (((lab_value)1 << 8 * size) - 1);
}

/*
 * Returns the order that is one step weaker. For an acquire-release order there are two such
 * orders: without acquire, and without release.
 */
static int weaker(int order, unsigned way)
{
	switch (order) {
	case __ATOMIC_SEQ_CST:
		return __ATOMIC_ACQ_REL;
	case __ATOMIC_ACQ_REL:
		return way == 0 ? __ATOMIC_RELEASE : __ATOMIC_ACQUIRE;
	default:
		return __ATOMIC_RELAXED;
	}
}

static bool is_mutant(uintptr_t pc)
{
	for (size_t i = 0; i < lab_config.n_mutants; i++)
		if (lab_config.mutants[i] == pc)
			return true;
	return false;
}

/* Returns the order of the mutant, if there is one here. With --model sc, the order is SC. */
static int weakened(int order, uintptr_t pc)
{
	if (__builtin_expect(is_mutant(pc), 0))
		return weaker(order, lab_config.mutant_step);
	return lab_config.sc ? __ATOMIC_SEQ_CST : order;
}

/* as_load() and as_store() remove the half of an order that does not apply to a load or a store. */
static int as_load(int order)
{
	return order == __ATOMIC_ACQ_REL ? __ATOMIC_ACQUIRE : order == __ATOMIC_RELEASE ? __ATOMIC_RELAXED : order;
}

static int as_store(int order)
{
	return order == __ATOMIC_ACQ_REL ? __ATOMIC_RELEASE : order == __ATOMIC_ACQUIRE ? __ATOMIC_RELAXED : order;
}

/* --- whether a modification order is missed --- */

/*
 * The search executes the stores of a location in their modification order. So it misses each
 * execution whose edges of sb, rf, mo and psc have a cycle, because no order of execution agrees
 * with all these edges. check_order(), must_stop() and lab_futex_seen() report LAB_MET_ORDER where
 * such an execution may exist. They do so for every missed execution, for the following reason.
 *
 * Take an execution with a cycle, and consider its prefixes. With each event, a prefix contains all
 * events from which a path of sb and rf leads to that event. Take a smallest prefix that has a
 * cycle. RC11 forbids cycles of sb and rf alone, so this prefix has an event e from which neither
 * sb nor rf leads to another of its events. Without e the prefix is smaller, so it has no cycle,
 * and the search executes it. Then e is the next step of its thread. The cycle leads through e, so
 * both of these statements hold:
 *
 * - The cycle has an edge from e to an event b that was executed before e. Either e is a write that
 *   comes before the store b in mo, or e is a read of a store that is older than b.
 * - A path of sb, rf, mo and psc leads from b to e. (Without a path, the search also executes e
 *   before b.)
 *
 * If the path from b to e is in happens-before, coherence forbids an edge from e to b. If the path
 * and the edge from e to b are both in psc, the axiom that psc has no cycle forbids them. In both
 * cases RC11 does not have the execution. Otherwise e, which is executed after b, finds b in
 * `before` (struct lab_known), or finds it in `order` where psc does not forbid the edge from e to
 * b. Then LAB_MET_ORDER is reported. `before` may also contain events from which no path leads to
 * e. In that case the search reports LAB_MET_ORDER although it has missed nothing, and claims no
 * proof.
 *
 * In mo an RMW directly follows the store that it reads. Several RMWs may follow each other in this
 * way, after a store that is not an RMW. A write that comes before one of these RMWs in mo also
 * comes before that store. Therefore it is enough to compare a write with stores that are not RMWs.
 *
 * A release store happens before a load that acquires it, by the edge of rf alone. That path does
 * not begin with an edge of sb. So the store is in `hb` of the reader, but not in `order`, because
 * psc_base wants an edge of sb on both sides. write_message() leaves it out. The litmus test
 * IRIW+acq-sc shows the difference.
 */

static void met_before(unsigned thread, uint32_t clock)
{
	if (clock <= lab.self->view.at[thread].before)
		lab_met(LAB_MET_ORDER);
}

/*
 * Returns whether the store, or a read of it, happens before the next step of the running thread.
 */
static bool is_coherent(const struct lab_written *store)
{
	const struct lab_view *view = &lab.self->view;
	if (store->clock <= view->at[store->thread].hb)
		return true;
	for (unsigned i = 0; i < store->width; i++)
		if (store->by[i].read_at != 0 && store->by[i].read_at <= view->at[i].hb)
			return true;
	return false;
}

/*
 * Called before a write of the running thread, or before a compare-and-swap that fails. Reports
 * LAB_MET_ORDER if the write, or the write that the compare-and-swap might have done, could come in
 * mo before a store that was executed earlier.
 */
static void check_order(struct lab_location *location, bool sc)
{
	const struct lab_view *view = &lab.self->view;
	for (unsigned back = 0; back < lab_kept(location); back++) {
		const struct lab_written *store = lab_written_at(location, back);
		const struct lab_known *known = &view->at[store->thread];
		if (is_coherent(store))
			return;
		if (store->rmw)
			continue;
		if (store->clock <= known->order && store->clock > known->seen && !(sc && store->sc))
			lab_met(LAB_MET_ORDER);
		met_before(store->thread, store->clock);
	}
	for (unsigned i = 0; i < location->width; i++) {
		const struct lab_known *known = &view->at[i];
		if (location->by[i].dropped > known->hb && (known->before > known->hb || known->order > known->hb))
			lab_met(LAB_MET_ORDER);
	}
}

/*
 * Adds an edge of rf or mo from the store to the next step of the running thread: from now on, the
 * events that lead to the store also lead to what the thread does next.
 */
static void follow(const struct lab_written *store)
{
	struct lab_view *view = &lab.self->view;
	if (store->clock <= view->at[store->thread].hb)
		return;
	for (unsigned i = 0; i < store->width; i++)
		lab_raise(&view->at[i].before, store->by[i].before);
}

/*
 * Stores in `store->by[].before` the events from which a path leads to this store of the running
 * thread. follow() hands them on.
 */
static void lead(struct lab_written *store)
{
	const struct lab_view *view = &lab.self->view;
	for (unsigned i = 0; i < lab.n_threads; i++) {
		const struct lab_known *known = &view->at[i];
		uint32_t *before = &store->by[i].before;
		*before = known->before;
		lab_raise(before, known->seen);
		lab_raise(before, known->order);
	}
}

/*
 * Called for an SC access of the running thread to the location. Adds the edges of psc that lead to
 * this access from earlier SC accesses and SC fences, and notes what leads from this access to
 * later ones.
 */
static void order_sc(struct lab_location *location, bool write)
{
	struct lab_view *view = &lab.self->view;
	for (unsigned i = 0; i < lab.n_threads; i++) {
		struct lab_known *known = &view->at[i];
		struct lab_accesses *by = &location->by[i];
		lab_raise(&known->order, write ? by->sc_order : 0);
		lab_raise(&known->order, lab.sc_fenced.at[i]);
		lab_raise(&known->before, write ? by->sc_before : 0);
		lab_raise(&known->before, lab.sc_before.at[i]);
		lab_raise(&by->sc_order, known->order);
		lab_raise(&by->sc_before, known->before);
		lab_raise(&by->sc_before, known->hb > known->order ? known->hb : 0);
		lab_raise(&lab.sc_order.at[i], known->order);
		lab_raise(&lab.sc_before.at[i], known->before);
	}
}

/* --- loads --- */

/* Returns whether the running thread must not read a store that is older than this one. */
static bool must_stop(const struct lab_written *store, bool sc)
{
	const struct lab_view *view = &lab.self->view;
	if (is_coherent(store))
		return true;
	/*
	 * The remaining reasons come from psc. They hold only because the SC operations were
	 * executed in this order.
	 */
	if (store->clock <= view->at[store->thread].seen || (store->sc && (sc || store->step < view->fence)) ||
	    (sc && store->clock <= lab.sc_fenced.at[store->thread])) {
		met_before(store->thread, store->clock);
		return true;
	}
	for (unsigned i = 0; i < store->width; i++) {
		if (store->by[i].read_at != 0 && store->by[i].read_at <= view->at[i].seen) {
			met_before(i, store->by[i].read_at);
			return true;
		}
	}
	return false;
}

/* Returns how many stores the running thread may read, from the newest on. */
static unsigned readable(struct lab_location *location, bool sc)
{
	const unsigned kept = lab_kept(location);
	/*
	 * `here` is true if this execution has to report its limits. It is false if other
	 * executions of the search run this load before the newest store. Those executions read the
	 * older stores, and report their limits (lab_choose_stale()).
	 */
	const bool here = !lab.ordered || lab_order_known(lab_newest(location)->step);
	for (unsigned n = 1; n < location->count; n++) {
		if (must_stop(lab_written_at(location, n - 1), sc))
			return n;
		if (n == kept) {
			if (here)
				lab_met(LAB_MET_HISTORY);
			break;
		}
		const struct lab_written *older = lab_written_at(location, n);
		if (lab_missed(older, lab.self->id) >= LAB_PATIENCE) {
			if (here && lab.proving && older->by[lab.self->id].state != lab_state())
				lab_met(LAB_MET_PATIENCE);
			return n;
		}
	}
	return kept;
}

/*
 * The queue of a futex's sleepers is treated like a location. A call that finds sleepers, or adds
 * one, orders no memory, but the search executes it after the calls that have changed this queue.
 * The kernel's load of the word reads the newest store here. An outcome in which it reads an older
 * store is shown by another execution, in which the call comes earlier.
 */
static struct lab_location *futex_location(uintptr_t word)
{
	return lab_location_at(lab_cell(word), word, 4);
}

/* The running thread reads the store, so it reads no older one later. */
static void note_read(struct lab_written *store)
{
	lab_written_widen(store);
	if (store->by[lab.self->id].read_at == 0)
		store->by[lab.self->id].read_at = lab_clock_of(lab.self);
}

void lab_futex_seen(uintptr_t word, bool loads)
{
	if (lab_config.traffic)
		return;
	struct lab_location *location = futex_location(word);
	for (unsigned n = 1; loads && n < lab_kept(location); n++) {
		const struct lab_written *store = lab_written_at(location, n - 1);
		if (must_stop(store, false))
			break;
		met_before(store->thread, store->clock);
	}
	if (loads) {
		follow(lab_newest(location));
		note_read(lab_newest(location));
	}
	for (unsigned i = 0; i < location->width; i++)
		lab_raise(&lab.self->view.at[i].before, location->by[i].slept);
}

void lab_futex_changed(uintptr_t word)
{
	if (lab_config.traffic)
		return;
	struct lab_location *location = futex_location(word);
	for (unsigned i = 0; i < location->width; i++)
		lab_raise(&location->by[i].slept, lab_known_most(&lab.self->view.at[i]));
}

static void read_store(struct lab_location *location, struct lab_written *store, int order, uintptr_t pc)
{
	struct lab_thread *self = lab.self;
	note_read(store);
	location->by[self->id].read = lab_clock_of(self);
	location->by[self->id].read_pc = pc;
	lab_looked(location->address, store->step);
	lab_view_join(lab_is_acquire(order) ? &self->view : &self->acquired, &store->message);
	follow(store);
	if (order == __ATOMIC_SEQ_CST) {
		if (store->sc)
			lab_raise(&self->view.at[store->thread].order, store->clock);
		order_sc(location, false);
	}
}

/*
 * Called when the running thread has read a store that is not the newest. Counts that for
 * LAB_PATIENCE.
 */
static void miss(struct lab_written *store)
{
	struct lab_reads *by = &store->by[lab.self->id];
	by->missed++;
	if (lab.proving)
		by->state = lab_state();
}

/*
 * Makes the message of a store of the running thread. A store's message is what a reader learns if
 * it acquires. If the store is that of an RMW, it continues the release sequence of the store that
 * the RMW has read, and `head` is that store's message. Otherwise `head` is NULL.
 */
static void write_message(struct lab_location *location, struct lab_written *store, int order,
                          const struct lab_view *head)
{
	struct lab_thread *self = lab.self;
	struct lab_view **released = &location->by[self->id].released;
	if (lab_is_release(order)) {
		lab_view_copy(&store->message, &self->view);
		if (!*released)
			*released = lab_view_new();
		lab_view_copy(*released, &self->view);
	} else {
		lab_view_copy(&store->message, &self->released);
		if (*released && !lab_config.rmw_sequences)
			lab_view_join(&store->message, *released);
	}
	if (head)
		lab_view_join(&store->message, head);
	if (self->id < store->message.width && store->message.at[self->id].order == store->clock)
		store->message.at[self->id].order--; /* the store itself does not count */
}

static void write_store(struct lab_location *location, lab_value value, int order, const struct lab_view *head,
                        uintptr_t pc)
{
	struct lab_thread *self = lab.self;
	if (location->size == 8 && lab_is_tls((uintptr_t)value) && !lab_is_list(location->address))
		lab_fail(LAB_UNMODELLED,
		         "%s publishes the address of a thread-local variable: the model has those of all threads at "
		         "one address",
		         self->name);
	struct lab_view copy; /* the ring may overwrite the store that was read */
	if (head) {
		lab_view_copy(&copy, head);
		head = &copy;
	}
	if (lab_newest(location)->value != value)
		lab_moved_on();
	if (!(order == __ATOMIC_SEQ_CST && lab_newest(location)->sc))
		follow(lab_newest(location));
	if (order == __ATOMIC_SEQ_CST)
		order_sc(location, true);
	struct lab_written *store = lab_location_push(location);
	store->rmw = head != NULL;
	self->effects++;
	lead(store);
	store->value = value;
	store->thread = (uint8_t)self->id;
	store->clock = lab_clock_of(self);
	store->step = lab.steps;
	store->sc = order == __ATOMIC_SEQ_CST;
	write_message(location, store, order, head);
	location->by[self->id].wrote = store->clock;
	location->by[self->id].wrote_pc = pc;
	lab_poke(location->address, location->size, value);
	lab_changed(location->address);
}

static struct lab_op op_of(enum lab_op_kind kind, uintptr_t address, unsigned size, int order, uintptr_t pc)
{
	return (struct lab_op){(uint8_t)kind, (uint8_t)size, (uint8_t)order, address, pc};
}

static struct lab_location *access_of(uintptr_t address, unsigned size, bool write, uintptr_t pc)
{
	lab_heap_check(address, size, write, pc);
	struct lab_cell *cell = lab_cell(address);
	lab_race_atomic(cell, address, size, write, pc);
	struct lab_location *location = lab_location_at(cell, address, size);
	/*
	 * At the address of a thread-local variable, each thread has its own object, so stores of
	 * other threads are ignored.
	 */
	if (lab_is_tls(address))
		lab_location_forget(location);
	return location;
}

/*
 * If the address is in a robust list, makes the access, stores the current value in `*value`, and
 * returns true. Otherwise returns false. A robust list is accessed only by its thread and, when the
 * thread ends, by the kernel. So no step of another thread can come in between, but the end of the
 * thread can.
 */
static bool in_list(const struct lab_op *op, lab_value *value)
{
	if (__builtin_expect(!lab.processes, 1) || !lab_is_list(op->address))
		return false;
	lab_kill_point(*op, LAB_AT_STEP);
	if (op->kind == LAB_STORE)
		lab_poke(op->address, op->size, *value);
	*value = lab_peek(op->address, op->size);
	lab_hash((uint64_t)*value);
	struct lab_event *event = lab_event(*op);
	event->value = event->other = *value;
	return true;
}

/* Reads the store that is `back` stores older than the newest. A silent read is no event. */
static lab_value read_at(struct lab_location *location, unsigned back, const struct lab_op *op, bool silent, bool fault)
{
	struct lab_written *store = lab_written_at(location, back);
	read_store(location, store, op->order, op->pc);
	if (back > 0)
		miss(store);
	lab_hash((uint64_t)store->value);
	if (!silent) {
		struct lab_event *event = lab_event(*op);
		event->value = store->value;
		event->other = lab_newest(location)->value;
		event->stale = back;
		event->from = store->step;
		event->fault = fault;
	}
	return store->value;
}

lab_value lab_atomic_load(uintptr_t address, unsigned size, int order, uintptr_t pc)
{
	struct lab_op op = op_of(LAB_LOAD, address, size, order, pc);
	lab_value own;
	if (lab_config.traffic)
		return lab_traffic_atomic(op, NULL, 0);
	lab_site_reached(pc, "load", as_load(order));
	op.order = (uint8_t)as_load(weakened(order, pc));
	if (in_list(&op, &own))
		return own;
	bool spins = !lab.steered && lab_spins(address, pc);
	if (!spins)
		lab_point(op);
	struct lab_location *location = access_of(address, size, false, pc);
	if (lab.steered) {
		(void)lab_steer_atomic(location, &op, (struct lab_graph_event){.kind = LAB_GRAPH_READ}, &own);
		return own;
	}
	unsigned n = spins ? 1 : readable(location, op.order == __ATOMIC_SEQ_CST);
	unsigned back = n > 1 ? lab_choose_stale(n, lab_newest(location)->step) : 0;
	return read_at(location, back, &op, spins, false);
}

static void store_at(struct lab_location *location, lab_value value, const struct lab_op *op)
{
	check_order(location, op->order == __ATOMIC_SEQ_CST);
	write_store(location, value, op->order, NULL, op->pc);
	lab_hash((uint64_t)value);
	lab_event(*op)->value = value;
}

void lab_atomic_store(uintptr_t address, unsigned size, lab_value value, int order, uintptr_t pc)
{
	struct lab_op op = op_of(LAB_STORE, address, size, order, pc);
	if (lab_config.traffic) {
		(void)lab_traffic_atomic(op, lab_update_set, value);
		return;
	}
	lab_site_reached(pc, "store", as_store(order));
	op.order = (uint8_t)as_store(weakened(order, pc));
	lab_heap_published(value);
	if (in_list(&op, &value))
		return;
	lab_point(op);
	struct lab_location *location = access_of(address, size, true, pc);
	if (lab.steered) {
		(void)lab_steer_atomic(
		    location, &op,
		    (struct lab_graph_event){.kind = LAB_GRAPH_WRITE, .value = (uint64_t)truncated(value, size)}, NULL);
		return;
	}
	store_at(location, truncated(value, size), &op);
}

static lab_value rmw_at(struct lab_location *location, lab_update *update, lab_value operand, const struct lab_op *op)
{
	struct lab_written *newest = lab_newest(location);
	lab_value old = newest->value;
	const uint32_t from = newest->step;
	check_order(location, op->order == __ATOMIC_SEQ_CST);
	read_store(location, newest, op->order, op->pc);
	lab_value value = truncated(update(old, operand), location->size);
	write_store(location, value, op->order, &newest->message, op->pc);
	lab_hash((uint64_t)old);
	struct lab_event *event = lab_event(*op);
	event->other = old;
	event->value = value;
	event->from = from;
	return old;
}

lab_value lab_atomic_rmw(uintptr_t address, unsigned size, lab_update *update, lab_value operand, int order,
                         uintptr_t pc)
{
	struct lab_op op = op_of(LAB_RMW, address, size, order, pc);
	if (lab_config.traffic)
		return lab_traffic_atomic(op, update, operand);
	lab_site_reached(pc, "read-modify-write", order);
	op.order = (uint8_t)weakened(order, pc);
	lab_heap_published(operand);
	lab_point(op);
	struct lab_location *location = access_of(address, size, true, pc);
	if (!lab.steered)
		return rmw_at(location, update, operand, &op);
	lab_value old;
	(void)lab_steer_atomic(
	    location, &op,
	    (struct lab_graph_event){.kind = LAB_GRAPH_UPDATE, .update = update, .operand = (uint64_t)operand}, &old);
	return old;
}

lab_value lab_kernel_rmw(uintptr_t address, lab_update *update, lab_value operand)
{
	const struct lab_op op = op_of(LAB_OWNER_DIED, address, 4, __ATOMIC_ACQ_REL, 0);
	return rmw_at(access_of(address, 4, true, 0), update, operand, &op);
}

/*
 * Looks at the newest `n` stores, which the running thread may read. For each of them whose value
 * differs from the expected one, writes the store's distance from the newest store to `back`.
 * Returns how many such stores there are. A compare-and-swap that reads one of them fails.
 */
static unsigned failing(struct lab_location *location, unsigned n, lab_value expected, unsigned back[LAB_HISTORY])
{
	unsigned count = 0;
	for (unsigned i = 0; i < n; i++)
		if (lab_written_at(location, i)->value != expected)
			back[count++] = i;
	return count;
}

lab_value lab_update_set(lab_value old, lab_value operand)
{
	(void)old;
	return operand;
}

/* Returns the size of the largest word that begins at the address and ends within `left` bytes. */
static unsigned word_at(uintptr_t address, size_t left)
{
	unsigned size = 8;
	while (address % size != 0 || size > left)
		size /= 2;
	return size;
}

union wide_value {
	char bytes[UINT8_MAX];
	lab_value pair;
};

/*
 * Returns whether the access writes. Stores the present value in `*found`, and the value after the
 * access in `*next`.
 */
static bool wide_writes(const struct lab_op *op, const struct lab_wide *w, union wide_value *found,
                        union wide_value *next)
{
	memcpy(found, (const void *)op->address, op->size);
	const bool writes = w->desired && (!w->expected || memcmp(found, w->expected, op->size) == 0);
	memcpy(next, writes ? w->desired : found, op->size);
	if (writes && w->update)
		next->pair = w->update(found->pair, next->pair);
	return writes;
}

/*
 * Makes the access outside of the model. The processor's own instruction changes sixteen bytes,
 * because a scenario may also access one of the two words by itself.
 */
#ifdef __x86_64__
__attribute__((target("cx16"), noinline)) /* clang would lose the instruction where it inlines */
#endif
static bool
wide_really(const struct lab_op *op, const struct lab_wide *w, union wide_value *found)
{
	static atomic_flag busy = ATOMIC_FLAG_INIT;
	lab_value *pair = (lab_value *)op->address;
	union wide_value next;
	bool writes;
	while (atomic_flag_test_and_set(&busy))
		;
	do
		writes = wide_writes(op, w, found, &next);
	while (op->size == sizeof *pair && !__sync_bool_compare_and_swap(pair, found->pair, next.pair));
	if (writes && op->size != sizeof *pair)
		memcpy(pair, &next, op->size);
	atomic_flag_clear(&busy);
	return writes;
}

/*
 * Makes the access in the model. A wide object consists of several words, each with its own
 * history, so that an access to one word and an access to the whole object see each other's values.
 * The words change in one step: a thread that acquires one of the new values has seen the others,
 * too. An access reads the newest value of each word; older ones are not tried (LAB_MET_WIDE).
 */
static bool wide_modelled(struct lab_op op, const struct lab_wide *w, union wide_value *found)
{
	union wide_value next;
	const uintptr_t object = op.address;
	const size_t size = op.size;
	if (lab.steered)
		lab_steer_refuse("an atomic access of more than eight bytes");
	lab_site_reached(op.pc, w->expected ? "compare-exchange" : w->desired ? "store" : "load", op.order);
	op.order = (uint8_t)weakened(op.order, op.pc);
	lab_point(op);
	const bool writes = wide_writes(&op, w, found, &next) && !(w->weak && lab_fault(LAB_FAULT_WEAK));
	if (w->expected && !writes) {
		op.kind = LAB_CAS_FAILED;
		op.order = (uint8_t)w->failure;
		lab_order_became(&op);
	}
	for (size_t at = 0; at < size; at += op.size) {
		lab_value value = 0;
		op.address = object + at;
		op.size = (uint8_t)word_at(op.address, size - at);
		struct lab_location *word = access_of(op.address, op.size, writes, op.pc);
		if ((op.kind == LAB_LOAD || w->expected) && readable(word, w->failure == __ATOMIC_SEQ_CST) > 1)
			lab_met(LAB_MET_WIDE);
		memcpy(&value, next.bytes + at, op.size);
		if (!writes) {
			(void)read_at(word, 0, &op, false, false);
			continue;
		}
		if (op.kind == LAB_STORE)
			store_at(word, value, &op);
		else
			(void)rmw_at(word, lab_update_set, value, &op);
		lab_heap_published(value);
		struct lab_view *message = &lab_newest(word)->message;
		lab_view_widen(message, lab.n_threads);
		message->at[lab.self->id].seen = lab_clock_of(lab.self);
	}
	return writes;
}

bool lab_atomic_wide(const volatile void *object, size_t size, int order, struct lab_wide w, uintptr_t pc)
{
	const enum lab_op_kind kind = !w.desired ? LAB_LOAD : w.found ? LAB_RMW : LAB_STORE;
	const struct lab_op op = op_of(kind, (uintptr_t)object, (unsigned)size, order, pc);
	const bool model = lab.active && !lab_config.traffic;
	union wide_value found;
	if (lab_config.sc)
		w.failure = __ATOMIC_SEQ_CST;
	if (size > sizeof found.bytes)
		lab_fail(LAB_UNMODELLED, "an atomic object of %zu bytes, which is a limit of the laboratory", size);
	if (lab.active && w.desired)
		lab_reads(w.desired, size, pc);
	if (lab.active && w.expected)
		lab_reads(w.expected, size, pc);
	if (lab.active && !model)
		(void)lab_traffic_atomic(op, NULL, 0);
	const bool writes = model ? wide_modelled(op, &w, &found) : wide_really(&op, &w, &found);
	if (w.found && !(w.expected && writes)) {
		if (lab.active)
			lab_writes(w.found, size, pc);
		memcpy(w.found, &found, size);
	}
	return writes;
}

/*
 * A compare-and-swap that fails is a load. The value that it has read, which may be an old one,
 * differs from the expected value. A weak compare-and-swap may also have read the newest value,
 * equal to the expected one, and have failed spuriously.
 */
bool lab_atomic_cas(uintptr_t address, unsigned size, lab_value *expected, lab_value desired, int order, int failure,
                    bool weak, uintptr_t pc)
{
	struct lab_op op = op_of(LAB_RMW, address, size, order, pc);
	if (lab_config.traffic)
		return lab_traffic_cas(op, expected, desired);
	lab_site_reached(pc, "compare-exchange", order);
	order = weakened(order, pc);
	/* A mutant that drops the release keeps the acquire of a failure. */
	if (lab_is_acquire(failure) && lab_config.mutant_step == 0)
		failure = weakened(failure, pc);
	failure = lab_config.sc ? __ATOMIC_SEQ_CST : as_load(failure);
	lab_heap_published(desired);
	/*
	 * The step is announced with the strongest order that it may have, because the search
	 * decides by the announced step with which other steps it commutes.
	 */
	op.order = (uint8_t)(failure == __ATOMIC_SEQ_CST ? failure : order);
	lab_point(op);
	op.order = (uint8_t)order;
	struct lab_location *location = access_of(address, size, false, pc);
	lab_value wanted = truncated(*expected, size);
	if (lab.steered)
		return lab_steer_atomic(location, &op,
		                        (struct lab_graph_event){.kind = LAB_GRAPH_SWAP,
		                                                 .failure = (uint8_t)failure,
		                                                 .expected = (uint64_t)wanted,
		                                                 .update = lab_update_set,
		                                                 .operand = (uint64_t)truncated(desired, size),
		                                                 .weak = weak && lab_may_fault(LAB_FAULT_WEAK)},
		                        expected);
	bool can = lab_newest(location)->value == wanted;
	unsigned back[LAB_HISTORY] = {0};
	unsigned n = failing(location, readable(location, failure == __ATOMIC_SEQ_CST), wanted, back);
	unsigned pick = can + n > 1 ? lab_choose_stale(can + n, lab_newest(location)->step) : 0;
	if (can && pick == 0 && !(weak && lab_fault(LAB_FAULT_WEAK))) {
		lab_race_atomic(lab_cell(address), address, size, true, pc);
		(void)rmw_at(location, lab_update_set, desired, &op);
		return true;
	}
	check_order(location, order == __ATOMIC_SEQ_CST);
	unsigned distance = can && pick == 0 ? 0 : back[pick - can];
	op.kind = LAB_CAS_FAILED;
	op.order = (uint8_t)failure;
	lab_order_became(&op);
	*expected = read_at(location, distance, &op, false, can && pick == 0);
	return false;
}

static void fence_of(struct lab_thread *t, int order)
{
	if (lab_is_acquire(order))
		lab_view_join(&t->view, &t->acquired);
	if (order == __ATOMIC_SEQ_CST) {
		for (unsigned i = 0; i < lab.n_threads; i++) {
			struct lab_known *known = &t->view.at[i];
			uint32_t *fenced = &lab.sc_fenced.at[i];
			lab_raise(&known->seen, *fenced);
			lab_raise(fenced, known->hb);
			lab_raise(&known->order, known->seen);
			lab_raise(&known->order, lab.sc_order.at[i]);
			lab_raise(&known->before, lab.sc_before.at[i]);
			lab_raise(&lab.sc_before.at[i], known->before);
		}
		t->view.fence = lab.steps;
	}
	if (lab_is_release(order))
		lab_view_copy(&t->released, &t->view);
}

void lab_atomic_fence(int order, uintptr_t pc)
{
	if (lab_config.traffic) {
		(void)lab_traffic_atomic((struct lab_op){.kind = LAB_FENCE, .order = (uint8_t)order}, NULL, 0);
		return;
	}
	if (order != __ATOMIC_RELAXED)
		lab_site_reached(pc, "fence", order);
	if (is_mutant(pc) || lab_config.sc)
		return; /* the mutant drops the fence; where all accesses are SC, it adds nothing */
	struct lab_op op = {LAB_FENCE, 0, (uint8_t)order, 0, pc};
	lab_point(op);
	if (lab.steered) {
		lab_steer_fence(order);
		return;
	}
	fence_of(lab.self, order);
	(void)lab_event(op);
}

/*
 * Executes a full fence for each thread of the process, at the point that the thread has reached.
 * The fences of threads that can run come one after another, with steps of other threads in
 * between. A thread that sleeps or has ended has passed a fence in the kernel. The caller's own
 * fences are the first and the last.
 */
void lab_membarrier(uintptr_t pc)
{
	if (lab_config.traffic) {
		lab_traffic_membarrier();
		return;
	}
	lab_site_reached(pc, "fence", __ATOMIC_SEQ_CST);
	if (is_mutant(pc))
		return; /* the mutant drops it, as it does a fence */
	struct lab_thread *self = lab.self;
	struct lab_op op = {LAB_MEMBARRIER, 0, __ATOMIC_SEQ_CST, 0, pc};
	lab_point(op);
	(void)lab_event(op);
	lab_met(LAB_MET_MEMBARRIER);
	fence_of(self, __ATOMIC_SEQ_CST);
	LAB_EACH_THREAD (t) {
		if (t == self || t->process != self->process || t->state == LAB_UNBORN)
			continue;
		if (t->state == LAB_READY || t->state == LAB_SPINNING)
			lab_point(op);
		fence_of(t, __ATOMIC_SEQ_CST);
	}
	fence_of(self, __ATOMIC_SEQ_CST);
}

uint32_t lab_newest_step(uintptr_t address)
{
	struct lab_location *location = lab_location_find(address);
	return location ? lab_newest(location)->step : 0;
}
