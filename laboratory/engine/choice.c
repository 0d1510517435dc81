/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * This file makes the choices of an execution. Each strategy of the search makes them in its own
 * way.
 *
 *   DFS      Takes all choices, depth first. Each execution starts from the beginning, and takes
 *            the next alternative of the last choice that has an untried one (stateless search:
 *            Godefroid 1997). The search has one of two forms. The first has bounds on preemptions
 *            (Musuvathi, Qadeer 2007), stale reads and faults. The second has no bound on
 *            preemptions; it uses source sets (order.c) and sleep sets (Godefroid 1996), which
 *            would lose states under such a bound (Coons, Musuvathi, McKinley 2013).
 *   random   Takes each choice at random, with odds that are drawn anew for each execution. In a
 *            third of the executions, two threads take turns, except where processes are killed and
 *            in mode lin.
 *   PCT      Runs the thread with the highest priority. A thread's priority is drawn at its start,
 *            and lowered at depth - 1 steps (Burckhardt, Kothari, Musuvathi, Nagarakatte 2010).
 *   guide    Takes the choices that lead along an execution graph (steer.c).
 *   replay   Takes the choices of a schedule.
 *
 * For an execution along a graph (LAB_GRAPH), this file makes no choices: steer.c chooses the
 * threads, and graph.c the values.
 */
#include "choice.h"
#include "lin_run.h"
#include "object.h"
#include "steer.h"

struct node {
	uint8_t kind, n, pick, thread;
	lab_set set, todo, done, sleep; /* these four belong to a choice of a thread */
	uint32_t ops;
	struct lab_spent before;
};

enum { NODES = 1 << 16 };

struct lab_schedule lab_taken;
struct lab_token lab_ops[LAB_OPS];
unsigned lab_n_ops;

static enum lab_strategy strategy;
static struct node stacks[2][NODES], *nodes = stacks[0];
static unsigned depth, at, at_program;
/* the node of the last choice of a thread, counted from 1; 0: no choice yet */
static uint32_t chosen;
static const struct lab_schedule *followed;
static uint64_t state; /* the state of the random generator */

enum { KILLS = 8, TOO_LATE = 1 << 30 };
static uint32_t kill_at[KILLS];        /* numbers of the kill points where a process is killed */
static uint32_t last_kill_points = 16; /* how many the last execution without a kill had */

static unsigned odds_switch, odds_stale, odds_fault; /* each out of 256 */
static uint8_t priority[LAB_THREADS];
/*
 * In each execution, at least USUAL_THREADS threads get a new priority. Further threads may keep
 * their priority from an earlier execution.
 */
enum { CHANGES = 8, USUAL_THREADS = 16 };
static uint32_t change_at[CHANGES];
static unsigned n_changes;
static uint32_t longest = 16; /* steps of the longest execution so far */
/*
 * In some random executions of mode model, two threads take turns, because some bugs appear only
 * after many turns. In these executions a switch mostly comes after a write, and goes to the thread
 * with the highest priority.
 */
static bool takes_turns, turn_is_over;
static unsigned odds_turn; /* out of 256 */

uint64_t lab_splitmix(uint64_t *of)
{
	uint64_t z = (*of += 0x9e3779b97f4a7c15u);
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

unsigned lab_draw(unsigned n)
{
	return (unsigned)(((lab_splitmix(&state) >> 32) * n) >> 32);
}

static bool lot(unsigned odds)
{
	return (lab_splitmix(&state) >> 56) < odds;
}

void lab_seed(uint64_t seed, uint64_t execution)
{
	state = seed * 0x2545f4914f6cdd1du + execution;
	(void)lab_splitmix(&state);
	static const uint8_t switches[] = {8, 32, 96, 192}, stales[] = {0, 0, 24, 96}, faults[] = {0, 8, 48};
	odds_switch = switches[lab_draw(4)];
	odds_stale = stales[lab_draw(4)];
	odds_fault = faults[lab_draw(3)];
	static const uint8_t turns[] = {96, 240};
	takes_turns = lab_config.kills == 0 && !lab_running->test->lin && lab_draw(3) == 0;
	if (takes_turns) {
		odds_turn = turns[lab_draw(2)];
		odds_switch = 4;
		odds_stale = 0;
	}
	turn_is_over = false;
	const unsigned threads = lab.n_threads > USUAL_THREADS ? lab.n_threads : USUAL_THREADS;
	for (unsigned i = 0; i < threads; i++)
		priority[i] = (uint8_t)(CHANGES + lab_draw(200));
	n_changes = lab_config.depth > 1 ? lab_config.depth - 1 : 0;
	if (n_changes > CHANGES)
		n_changes = CHANGES;
	for (unsigned i = 0; i < n_changes; i++)
		change_at[i] = lab_draw(longest);
	for (unsigned i = 0; i < KILLS && (int)i < lab_config.kills; i++)
		kill_at[i] = lab_draw(8) == 0 ? TOO_LATE : 1 + lab_draw(last_kill_points);
}

void lab_choices_begin(enum lab_strategy now)
{
	/*
	 * Executions without a bound on preemptions may be long because they are unfair, so their
	 * length does not count.
	 */
	static bool unfair;
	if (!unfair && lab.steps > longest && lab.steps < lab_config.max_steps)
		longest = lab.steps;
	unfair = now == LAB_DFS && lab_config.preemptions == LAB_UNBOUNDED;
	if (lab.kill_points > 0 && lab.killed == 0)
		last_kill_points = lab.kill_points;
	strategy = now;
	lab.steered = now == LAB_GRAPH;
	lab.guided = now == LAB_GUIDE;
	lab.frame = 0;
	at = at_program = 0;
	chosen = 0;
	lab.ordered = now == LAB_DFS && lab_config.preemptions == LAB_UNBOUNDED;
	lab_taken.n = 0;
	lab_taken.overflow = false;
	lab_n_ops = 0;
}

enum { INDEX = 2 * LAB_TOKENS };
/* numbers of the followed tokens, counted from 1, by the hash of their names; 0: empty */
static uint16_t by_name[INDEX];

static unsigned index_of(unsigned kind, unsigned thread, uint32_t ops)
{
	return (ops * LAB_THREADS + thread) * 8 * 0x9e3779b1u + kind;
}

void lab_follow(const struct lab_schedule *schedule)
{
	followed = schedule;
	memset(by_name, 0, sizeof by_name);
	for (unsigned i = 0; i < schedule->n; i++) {
		const struct lab_token *t = &schedule->tokens[i];
		unsigned slot = index_of(t->kind, t->thread, t->ops) % INDEX;
		while (by_name[slot])
			slot = (slot + 1) % INDEX;
		by_name[slot] = (uint16_t)(i + 1);
	}
}

/*
 * A choice is named by its thread, its kind and a count. Kills are counted separately, so that all
 * other choices have the same names with and without kills.
 */
static uint32_t name_of(unsigned kind)
{
	return kind == LAB_PICK_KILL ? lab.self->kills : lab.self->ops;
}

static void take(unsigned kind, unsigned pick)
{
	if (lab_taken.n == LAB_TOKENS) {
		lab_taken.overflow = true;
		return;
	}
	lab_taken.tokens[lab_taken.n++] =
	    (struct lab_token){(uint8_t)kind, (uint8_t)lab.self->id, (uint8_t)pick, name_of(kind)};
}

/* --- replay --- */

static int follow(unsigned kind)
{
	unsigned slot = index_of(kind, lab.self->id, name_of(kind)) % INDEX;
	for (; by_name[slot]; slot = (slot + 1) % INDEX) {
		const struct lab_token *t = &followed->tokens[by_name[slot] - 1];
		if (t->kind == kind && t->thread == lab.self->id && t->ops == name_of(kind))
			return t->pick;
	}
	return -1;
}

/* --- DFS --- */

static struct node *node_again(unsigned kind, unsigned n, lab_set set)
{
	struct node *node = &nodes[at++];
	if (node->kind != kind || node->thread != lab.self->id || node->ops != name_of(kind) || node->n != n ||
	    node->set != set)
		lab_fail(LAB_NONDETERMINISM,
		         "the same choices led elsewhere than before: something that the model does not "
		         "control (time, addresses, random numbers, state kept between executions)");
	return node;
}

static struct node *node_new(unsigned kind, unsigned n, unsigned pick)
{
	if (depth == NODES)
		lab_fail(LAB_STEP_LIMIT, "more than %d choices in one execution", NODES);
	struct node *node = &nodes[depth++];
	at = depth;
	*node = (struct node){.kind = (uint8_t)kind,
	                      .n = (uint8_t)n,
	                      .pick = (uint8_t)pick,
	                      .thread = (uint8_t)lab.self->id,
	                      .ops = name_of(kind),
	                      .before = lab.spent};
	return node;
}

void lab_dfs_use(unsigned which)
{
	static unsigned depths[2], used;
	depths[used] = depth;
	used = which;
	nodes = stacks[which];
	depth = depths[which];
}

void lab_dfs_reset(void)
{
	depth = 0;
}

/* Goes on to the next alternative of a choice between threads. Returns false if none is left. */
static bool next_of_set(struct node *node)
{
	node->done |= lab_bit(node->pick);
	lab_set rest = node->todo & ~(node->done | node->sleep);
	if (!rest)
		return false;
	node->pick = (uint8_t)lab_lowest(rest);
	return true;
}

bool lab_dfs_next(void)
{
	for (; depth > 0; depth--) {
		struct node *node = &nodes[depth - 1];
		if (node->kind == LAB_PICK_THREAD ? next_of_set(node) : ++node->pick < node->n)
			return true;
	}
	return false;
}

/* --- sleep sets: which steps commute --- */

static bool is_write(const struct lab_op *op)
{
	return op->kind != LAB_LOAD && op->kind != LAB_CAS_FAILED;
}

static bool is_sc(const struct lab_op *op)
{
	return op->kind >= LAB_LOAD && op->kind <= LAB_FENCE && op->order == __ATOMIC_SEQ_CST;
}

static bool is_local(const struct lab_op *op)
{
	return op->kind == LAB_START || op->kind == LAB_INPUT || op->kind == LAB_SPAWN || op->kind == LAB_JOIN ||
	       (op->kind == LAB_SYNC && op->order == LAB_SYNC_LEAVE) ||
	       (op->kind == LAB_FENCE && op->order != __ATOMIC_SEQ_CST);
}

/* Whether the step is on a condition and on its mutex, or on the time. */
static bool is_double(const struct lab_op *op)
{
	return op->order == LAB_SYNC_WAIT || op->order == LAB_SYNC_TIME || op->order == LAB_SYNC_SLEEP;
}

/* Whether the step is the end of a wait on several words. */
static bool is_end_of_many(const struct lab_op *op)
{
	return op->kind == LAB_FUTEX_DONE && op->order != 0;
}

/* Returns the last byte of the words that the step accesses. */
static uintptr_t end_of(const struct lab_op *op)
{
	return (op->address | 7) + ((op->size - (op->size > 0u)) & ~7u);
}

static bool is_either(const struct lab_op *a, const struct lab_op *b, unsigned kind)
{
	return a->kind == kind || b->kind == kind;
}

bool lab_commute(const struct lab_op *a, const struct lab_op *b)
{
	/*
	 * A thread that waits in a loop depends on other threads only through what it waits for,
	 * and lab_relax() takes care of that. A relax of size 0 depends on all steps, because such
	 * a thread checks whether other threads have ended.
	 */
	if (is_either(a, b, LAB_RELAX))
		return (a->kind != LAB_RELAX || a->size) && (b->kind != LAB_RELAX || b->size);
	/*
	 * A LAB_CALL step reads which calls have returned. A step of membarrier() changes which
	 * process's globals are in place.
	 */
	if (is_either(a, b, LAB_CALL) || is_either(a, b, LAB_MEMBARRIER) || is_either(a, b, LAB_FUTEX_MANY))
		return false;
	/*
	 * Which threads are woken depends on which threads have died before. A thread also takes
	 * wakes of its other words until its wait on several words ends.
	 */
	if (is_either(a, b, LAB_FUTEX_WAKE) && (lab.killable || is_end_of_many(a) || is_end_of_many(b)))
		return false;
	if (a->kind == LAB_SPAWN && b->kind == LAB_SPAWN)
		return false; /* the step gives the new thread its number */
	if (a->kind == LAB_SYNC && b->kind == LAB_SYNC && (is_double(a) || is_double(b)))
		return false;
	if (is_local(a) || is_local(b) || is_either(a, b, LAB_FUTEX_DONE))
		return true;
	/* An SC fence does not commute with any step that psc orders. */
	if (is_either(a, b, LAB_FENCE))
		return !is_sc(a) || !is_sc(b);
	return a->address > end_of(b) || b->address > end_of(a) || !(is_write(a) || is_write(b));
}

/*
 * Whether the announced steps commute. A blocked thread can run only when its deadline passes, and
 * the passing of time commutes with nothing.
 */
static bool commute(const struct lab_thread *one, const struct lab_thread *two)
{
	return one->state != LAB_BLOCKED && two->state != LAB_BLOCKED && lab_commute(&one->next, &two->next);
}

uint32_t lab_dfs_node(void)
{
	const uint32_t node = chosen;
	chosen = 0;
	return node;
}

bool lab_dfs_is_new(void)
{
	return at == depth;
}

void lab_dfs_try(uint32_t number, lab_set initials, unsigned thread)
{
	struct node *node = &nodes[number - 1];
	if (initials & (node->todo | node->sleep))
		return;
	initials &= node->set;
	node->todo |= lab_in(initials, thread) ? lab_bit(thread) : initials & -initials;
}

/*
 * Returns the threads that a new choice tries in any case; order.c adds others later. If a thread
 * runs before what it waits for has come, it depends on all steps, so it is tried everywhere.
 * Kills, and the calls of mode lin, are not part of the order of steps, so all threads are tried
 * where there are such.
 */
static lab_set todo_of(lab_set set, unsigned pick)
{
	if (lab.killable || lab_running->test->lin || !(set & lab.ready))
		return set;
	/*
	 * A spinning thread that was offered before need not give up here: as long as nothing
	 * changes, giving up later is the same as giving up at once and not being chosen for a
	 * while.
	 */
	set &= ~LAB_THOSE(t, set & lab.spinning, t->offered);
	return lab_bit(pick) | (set & ~lab.ready);
}

/*
 * Chooses in the search without bounds. A thread stays in the sleep set while its step commutes
 * with the steps that are done; order.c removes the thread. The step of a waiting thread commutes
 * with no step.
 */
static unsigned dfs_unbounded(lab_set set, unsigned usual)
{
	lab_order_settle();
	lab_set awake = set & ~lab.sleep;
	if (!awake)
		lab_prune();
	unsigned pick;
	chosen = 0;
	if (!(set & (set - 1))) {
		pick = usual;
	} else if (at < depth) {
		struct node *node = node_again(LAB_PICK_THREAD, 0, set);
		pick = node->pick;
		lab.sleep |= node->done;
		chosen = at;
	} else {
		pick = lab_in(awake, usual) ? usual : lab_lowest(awake);
		struct node *node = node_new(LAB_PICK_THREAD, 0, pick);
		node->set = set;
		node->todo = todo_of(set, pick);
		node->sleep = lab.sleep;
		chosen = at;
	}
	LAB_EACH_OF (t, chosen ? set & lab.spinning : 0)
		t->offered = true;
	lab.sleep &= lab_in(lab.ready, pick) ? lab.ready & ~lab_bit(pick) : 0;
	return pick;
}

/*
 * Returns the threads of `set` that may run in place of the running thread without a preemption.
 * They include ended threads whose robust lists the kernel walks. Such a walk may come late, so it
 * is offered before each step with which it does not commute.
 */
static lab_set unpaid(lab_set set)
{
	if (lab.self->state != LAB_READY || lab.self->ends)
		return set;
	return LAB_THOSE(t, set & lab.ending, !commute(t, lab.self));
}

static unsigned dfs_bounded(lab_set set, unsigned usual)
{
	const lab_set all = set;
	bool costs = lab.self->state == LAB_READY;
	if (costs && lab.spent.preemptions >= lab_config.preemptions)
		set = lab.ending ? unpaid(set) | lab_bit(usual) : lab_bit(usual);
	else if (!costs && lab.spent.preemptions >= lab_config.preemptions && (set & lab.ready))
		set &= ~lab.dozing;
	if (set != all)
		lab_met(LAB_MET_PREEMPTIONS);
	if (!(set & (set - 1)))
		return usual;
	if (at < depth)
		return node_again(LAB_PICK_THREAD, 0, set)->pick;
	struct node *node = node_new(LAB_PICK_THREAD, 0, usual);
	node->set = node->todo = set;
	return usual;
}

/* --- PCT and random --- */

static unsigned highest(lab_set set)
{
	unsigned best = lab_lowest(set);
	LAB_EACH_OF (t, set)
		if (priority[t->id] > priority[best])
			best = t->id;
	return best;
}

static unsigned by_priority(lab_set set, unsigned usual)
{
	for (unsigned i = 0; i < n_changes; i++)
		if (change_at[i] == lab.steps)
			priority[lab.self->id] = (uint8_t)i;
	if (lab.self->state == LAB_READY && usual != lab.self->id)
		priority[lab.self->id] = 0; /* it has run for too long */
	lab_set ready = set & lab.ready;
	lab_set rest = set & ~lab.ready;
	if (rest && lot(odds_fault)) /* a timeout, or the end of a spin */
		return highest(rest);
	return ready ? highest(ready) : lab_in(rest, usual) ? usual : highest(rest);
}

static bool ends_turn(const struct lab_op *op)
{
	return op->kind == LAB_STORE || op->kind == LAB_RMW || op->kind == LAB_SYNC;
}

static unsigned by_turns(lab_set set, unsigned usual)
{
	const lab_set others = set & ~lab_bit(usual), ready = others & lab.ready;
	const unsigned pick =
	    others && lot(turn_is_over ? odds_turn : odds_switch) ? highest(ready ? ready : others) : usual;
	turn_is_over = ends_turn(&lab.threads[pick].next);
	return pick;
}

static unsigned by_lot(lab_set set, unsigned usual)
{
	if (takes_turns)
		return by_turns(set, usual);
	lab_set others = set & ~lab_bit(usual);
	if (!others || !lot(odds_switch))
		return usual;
	unsigned nth = lab_draw(lab_count(others));
	while (nth-- > 0)
		others &= others - 1;
	return lab_lowest(others);
}

/* --- the choice of a thread, and all other choices --- */

unsigned lab_choose_thread(lab_set set, unsigned usual)
{
	unsigned pick = usual;
	switch (strategy) {
	case LAB_DFS:
		pick = lab_config.preemptions == LAB_UNBOUNDED ? dfs_unbounded(set, usual) : dfs_bounded(set, usual);
		break;
	case LAB_PCT:
		pick = by_priority(set, usual);
		break;
	case LAB_GUIDE:
		pick = lab_steer_guide_thread(set, usual);
		break;
	case LAB_REPLAY: {
		int wanted = follow(LAB_PICK_THREAD);
		if (wanted >= 0 && wanted < LAB_THREADS && lab_in(set, (unsigned)wanted))
			pick = (unsigned)wanted;
		break;
	}
	default:
		pick = by_lot(set, usual);
		break;
	}
	if (pick != usual)
		take(LAB_PICK_THREAD, pick);
	if (lab.self->state == LAB_READY && pick != lab.self->id && pick != usual &&
	    !(lab.ending && (unpaid(lab_bit(pick)))))
		lab.spent.preemptions++;
	if (lab.self->state != LAB_READY && pick != usual && lab_in(lab.dozing, pick))
		lab.spent.preemptions++; /* the thread could have slept until the others wait */
	if (lab.ready && lab_in(lab.timed & ~lab.dozing, pick))
		lab.spent.faults++;
	return pick;
}

static unsigned odds_of(enum lab_choice_kind kind)
{
	switch (kind) {
	case LAB_PICK_STALE:
		return odds_stale;
	case LAB_PICK_FAULT:
		return odds_fault;
	case LAB_PICK_OPS:
		return 0;
	case LAB_PICK_WAITER:
		return 64;
	default:
		return 256;
	}
}

static unsigned choose_one(enum lab_choice_kind kind, unsigned n)
{
	if (kind == LAB_PICK_PROGRAM && strategy != LAB_REPLAY)
		return lab_lin_program[at_program++];
	switch (strategy) {
	case LAB_DFS:
		if (kind == LAB_PICK_OPS)
			return 0;
		if (kind == LAB_PICK_STALE && lab_config.stale != LAB_UNBOUNDED &&
		    lab.spent.stale >= lab_config.stale) {
			lab_met(LAB_MET_STALE);
			return 0;
		}
		return at < depth ? node_again(kind, n, 0)->pick : node_new(kind, n, 0)->pick;
	case LAB_GUIDE:
		return lab_steer_guide_choice(kind, n);
	case LAB_REPLAY: {
		int wanted = follow(kind);
		return wanted < 0 || wanted >= (int)n ? 0 : (unsigned)wanted;
	}
	default:
		return lot(odds_of(kind)) ? kind == LAB_PICK_INPUT ? lab_draw(n) : 1 + lab_draw(n - 1) : 0;
	}
}

/*
 * Makes the choice and counts it. The name of a choice must not depend on how much of a bound is
 * left, because a replay would then count differently.
 */
static unsigned choose_named(enum lab_choice_kind kind, unsigned n)
{
	if (kind == LAB_PICK_OPS && lab_n_ops < LAB_OPS)
		lab_ops[lab_n_ops++] =
		    (struct lab_token){LAB_PICK_OPS, (uint8_t)lab.self->id, (uint8_t)(n - 2), lab.self->ops};
	if (n > 255)
		lab_met(LAB_MET_CHOICES);
	unsigned pick = choose_one(kind, n > 255 ? 255 : n);
	if (pick == 0)
		return 0;
	take(kind, pick);
	if (kind == LAB_PICK_STALE)
		lab.spent.stale++;
	return pick;
}

/*
 * Returns how many stores older than the newest a load reads. The search without bounds takes an
 * old value only if the load could not have come before the newest store. Otherwise, the old value
 * is taken in the execution in which the load does come before that store.
 */
unsigned lab_choose_stale(unsigned n, uint32_t newest)
{
	if (n <= 1)
		return 0;
	lab.self->ops++;
	return lab.ordered && !lab_order_known(newest) ? 0 : choose_named(LAB_PICK_STALE, n);
}

unsigned lab_choose(enum lab_choice_kind kind, unsigned n)
{
	if (n <= 1)
		return 0;
	if (lab.steered && kind == LAB_PICK_INPUT)
		return lab_steer_choose(n, 0);
	if (lab.steered)
		lab_steer_refuse("a choice that the graphs do not have");
	lab.self->ops++;
	return choose_named(kind, n);
}

static bool kill_by_lot(bool rare)
{
	for (int i = 0; i < KILLS && i < lab_config.kills; i++)
		if (kill_at[i] == lab.kill_points)
			return true;
	return rare && lot(64);
}

bool lab_choose_kill(bool rare)
{
	bool kills = false;
	lab.self->kills++;
	if (strategy != LAB_REPLAY && lab.spent.kills >= lab_config.kills)
		lab_met(LAB_MET_KILLS);
	else if (strategy == LAB_REPLAY || strategy == LAB_DFS)
		kills = choose_one(LAB_PICK_KILL, 2) > 0;
	else
		kills = kill_by_lot(rare);
	if (!kills)
		return false;
	take(LAB_PICK_KILL, 1);
	lab.spent.kills++;
	return true;
}

bool lab_may_fault(unsigned which)
{
	const bool can = (lab_config.fault_mask & which) != 0;
	if (can && (strategy == LAB_REPLAY || strategy == LAB_GUIDE || lab.spent.faults < lab_config.faults))
		return true;
	if (can || (LAB_CONFIG_DEFAULT.fault_mask & which))
		lab_met(can ? LAB_MET_FAULTS : LAB_MET_NO_FAULT);
	return false;
}

bool lab_fault(unsigned which)
{
	enum { EARLY = 1, FOREVER };
	lab.self->ops++;
	if (lab.steered && lab_may_fault(which))
		lab_steer_refuse("a fault");
	const bool awaits = lab.ordered && which != LAB_FAULT_TIMEOUT; /* a thread that comes late has not waited */
	unsigned pick = FOREVER;
	if (!(awaits && lab_await_again())) {
		if (!lab_may_fault(which))
			return false;
		pick = choose_one(LAB_PICK_FAULT, strategy == LAB_REPLAY ? FOREVER + 1 : EARLY + 1);
	}
	if (pick == 0)
		return false;
	take(LAB_PICK_FAULT, pick);
	if (pick == FOREVER)
		lab_block_forever();
	lab.spent.faults++;
	if (awaits)
		lab_await_early();
	return true;
}
