/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Kills processes, as SIGKILL does. A process may be killed in place of each of its steps that
 * other processes can see: atomic accesses and plain writes to shared memory and to its threads'
 * robust lists, waits and wakes of futexes there, SC fences, membarrier(), going to sleep, and
 * running after a wake. A kill may also cut a copy short (lab_cut()). All threads of the process
 * end at the kill. Then the kernel walks their robust lists (Linux: kernel/futex/core.c,
 * exit_robust_list()). The walk consists of steps, and steps of other threads may come before the
 * walk and between its steps. Therefore an early kill with a late walk has the effect of a late
 * kill, and it is enough to kill a thread while it runs.
 */
#include "choice.h"
#include "layout.h"

enum { TID = 0x3fffffff, LIMIT = 2048 };
#define DIED 0x40000000u
#define WAITERS 0x80000000u

/* --- robust lists --- */

struct fl__robust_list *lab_robust_list(unsigned thread)
{
	return (struct fl__robust_list *)(LAB_LISTS + thread * LAB_LIST_SIZE);
}

void lab_robust_reset(unsigned thread)
{
	struct fl__robust_list *list = lab_robust_list(thread);
	/* in the C library, the lock word is this many bytes before the node */
	*list = (struct fl__robust_list){list, sizeof(void *) == 8 ? -32 : -20, NULL};
}

bool lab_is_list(uintptr_t address)
{
	return address - LAB_LISTS < LAB_LISTS_END - LAB_LISTS;
}

struct entry {
	uintptr_t node;
	bool pi; /* the lock inherits priorities, so the kernel does not wake a waiter here */
};

static struct entry entry_of(void *pointer)
{
	return (struct entry){(uintptr_t)pointer & ~(uintptr_t)1, (uintptr_t)pointer & 1};
}

/* Whether only the process of the ending thread has this memory. */
static bool is_own(uintptr_t address)
{
	return lab_is_tls(address) || lab_is_global(address);
}

/*
 * Fetches the next node. Returns false if its address is neither in shared memory nor in memory of
 * the process; the kernel would fault there.
 */
static bool fetch(uintptr_t node, struct entry *next)
{
	if (!lab_heap_has(node, sizeof(void *)) && !is_own(node))
		return false;
	*next = entry_of(*(void **)node);
	return true;
}

static lab_value died(lab_value old, lab_value operand)
{
	(void)operand;
	return (old & WAITERS) | DIED;
}

/* Does what handle_futex_death() does. */
static bool owner_died(uintptr_t word, bool pi, bool pending)
{
	if (is_own(word)) /* a node between two locks: the word is 0 */
		return true;
	if (word % 4 != 0 || !lab_heap_has(word, 4))
		return false;
	lab_point((struct lab_op){LAB_OWNER_DIED, 4, __ATOMIC_ACQ_REL, word, 0});
	uint32_t value = (uint32_t)lab_peek(word, 4), owner = value & TID;
	bool wakes = !pi && (value & WAITERS);
	/*
	 * If `owner` is 0, the thread died after it had unlocked but before it woke a waiter, or
	 * after it was woken but before it acquired the lock. In both cases another waiter is
	 * woken.
	 */
	if (pending && !pi && owner == 0)
		wakes = true;
	else if (owner == lab.self->id + 1)
		(void)lab_kernel_rmw(word, died, 0);
	else
		wakes = false;
	if (wakes)
		(void)lab_futex_wake(word, 1, 0);
	return true;
}

void lab_exit_walk(void)
{
	struct lab_thread *self = lab.self;
	const struct fl__robust_list *list = lab_robust_list(self->id);
	const uintptr_t end = (uintptr_t)list, offset = (uintptr_t)list->offset;
	struct entry at = entry_of(list->first), pending = entry_of(list->pending), next = {end, false};
	self->ends = true;
	if (at.node == end && !pending.node)
		return;
	lab.ending |= lab_bit(self->id);
	for (int left = LIMIT; at.node != end && left > 0; left--) {
		/* read before the lock is released, when the node may change */
		bool good = fetch(at.node, &next);
		if (at.node != pending.node && !owner_died(at.node + offset, at.pi, false))
			return;
		if (!good)
			return;
		at = next;
	}
	if (pending.node)
		(void)owner_died(pending.node + offset, pending.pi, true);
}

/* --- kill points --- */

struct kill_site {
	uintptr_t pc;
	unsigned kind;
	uint64_t passed, offered, kills; /* offered: how often kills were left */
};

enum { SITES_LOG2 = 12, SITES = 1 << SITES_LOG2 };
static struct kill_site sites[SITES];
static unsigned n_sites;

void lab_kills_reset(void)
{
	memset(sites, 0, sizeof sites);
	n_sites = 0;
}

static struct kill_site *site_of(uintptr_t pc, unsigned kind)
{
	uint32_t at = (uint32_t)(((pc ^ kind) * 0x9e3779b97f4a7c15u) >> (64 - SITES_LOG2));
	while (sites[at].passed > 0 && (sites[at].pc != pc || sites[at].kind != kind))
		at = (at + 1) % SITES;
	struct kill_site *site = &sites[at];
	if (site->passed == 0) {
		if (++n_sites == SITES - SITES / 4)
			lab_fail(LAB_UNMODELLED,
			         "more than %u steps at which a process can be killed, which is a limit of the "
			         "laboratory",
			         n_sites - 1);
		site->pc = pc;
		site->kind = kind;
	}
	site->passed++;
	return site;
}

void lab_kills_count(struct lab_result *result)
{
	result->kills = result->kill_least = 0;
	result->kill_steps = result->kill_missed = 0;
	for (unsigned i = 0; i < SITES; i++) {
		const struct kill_site *site = &sites[i];
		result->kills += site->kills;
		result->kill_missed += site->offered > 0 && site->kills == 0;
		if (site->kills == 0)
			continue;
		if (result->kill_steps++ == 0 || site->kills < result->kill_least)
			result->kill_least = site->kills;
	}
}

/* Whether another process, or the kernel, can see the step. */
static bool is_visible(const struct lab_op *op)
{
	switch (op->kind) {
	case LAB_LOAD:
	case LAB_STORE:
	case LAB_RMW:
	case LAB_PLAIN:
	case LAB_FUTEX_WAIT:
	case LAB_FUTEX_WAKE:
		return lab_is_shared(op->address) || lab_is_list(op->address);
	case LAB_FENCE:
		return op->order == __ATOMIC_SEQ_CST;
	default:
		return op->kind == LAB_FUTEX_MANY || op->kind == LAB_MEMBARRIER;
	}
}

static bool chosen(const struct lab_op *op, enum lab_death how)
{
	struct kill_site *site = site_of(op->pc, (unsigned)op->kind << 2 | how);
	lab.kill_points++;
	site->offered += lab.spent.kills < lab_config.kills;
	if (!lab_choose_kill(site->kills == 0))
		return false;
	site->kills++;
	return true;
}

static bool can_die(void)
{
	return lab.killable && lab.self->process != 0 && !lab.self->ends;
}

_Noreturn void lab_die(struct lab_op op, enum lab_death how)
{
	const uint8_t process = lab.self->process;
	struct lab_event *event = lab_event(op);
	event->value = (lab_value)how;
	event->other = op.kind;
	event->op.kind = LAB_KILLED;
	lab_hash(LAB_KILLED);
	lab.killed |= lab_bit(process);
	lab_tls_save(lab.self->id); /* the kernel's walk reads nodes there */
	LAB_EACH_THREAD (t) {
		if (t->process != process || t->state == LAB_DONE || t->ends)
			continue;
		/*
		 * The next step of the thread is now a different one. Steps of other processes
		 * commute with a death.
		 */
		lab.sleep &= ~lab_bit(t->id);
		lab_bury(t);
	}
	lab_rest();
}

void lab_kill_point(struct lab_op op, enum lab_death how)
{
	if (can_die() && (how != LAB_AT_STEP || is_visible(&op)) && chosen(&op, how))
		lab_die(op, how);
}

/* A copy may be cut off after its first word, in the middle, and before its last word. */
size_t lab_cut(uintptr_t to, size_t size, uintptr_t pc)
{
	enum { WORD = 8 };
	if (size <= WORD || !lab_is_shared(to) || !can_die())
		return 0;
	const size_t places[] = {WORD, size / 2 / WORD * WORD, (size - 1) / WORD * WORD};
	const struct lab_op op = {LAB_PLAIN, WORD, true, to, pc};
	size_t last = 0;
	LAB_EACH (i, places) {
		if (places[i] > last && chosen(&op, LAB_IN_COPY))
			return places[i];
		last = places[i] > last ? places[i] : last;
	}
	return 0;
}
