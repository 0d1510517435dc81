/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Switches debugging on and off, and does for each mode what an acquisition or a release of a lock
 * requires.
 *
 * Rules
 *   1. The modes change under the table's lock. In the same critical section the table forgets the
 *      waits, if FL_DEBUG_WAITS is now off, or everything, if all modes are off. A wait is recorded
 *      only if the mode is on under that lock. So a thread whose wait has ended, and which sees
 *      that the mode is off, has no record left to remove. The dump also reads awaited objects
 *      under that lock. Therefore the thread may free the object as soon as an acquire load has
 *      shown it the change.
 *   2. For the other words of the switch, relaxed stores suffice. A thread that sees their change
 *      late only causes the table to lack a holder, or to contain a stale one, until all modes are
 *      off.
 */
#include "core/base/anew.h"
#include "core/base/sys.h"
#include "core/base/unload.h"
#include "core/hooks.h"
#include "core/os/handlers.h"
#include "core/wait/lock.h"
#include "report.h"
#include "trace.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DEBUG_RECORDS_HOLDERS = FL_DEBUG_LOCKORDER | FL_DEBUG_WAITS };

uint32_t fl__debug_switch_lock;
static int debug_signal = SIGQUIT; /* 0: none. Changed only before main(). */

static void debug_set_words(unsigned modes)
{
	/* relaxed, both: rule 2 */
	fl__store_relaxed(&fl__hook_free, modes ? FL__HOOK_NEVER : 0);
	fl__store_relaxed(&fl__hook_readers, modes ? 0 : 1);
	fl__hook_check(modes != 0);
}

/*
 * Called under fl__debug_switch_lock, so that the addition changes only the bits of the modes.
 * Returns the previous modes.
 */
static unsigned debug_set_modes(unsigned modes)
{
	const unsigned before = fl__load_relaxed(&fl__hooks) & FL__HOOKS_DEBUG;
	void *unused = NULL;
	fl__debug_relock();
	fl__table_was_used |= modes != 0;
	/* release: pairs with the acquires in fl__hook_woken() and waits_enter() (rule 1) */
	fl__add_release(&fl__hooks, modes - before);
	debug_set_words(modes);
	if (modes == 0) {
		unused = fl__table_forget();
		fl__handles_forget();
	} else if (!(modes & FL_DEBUG_WAITS)) {
		fl__waits_forget();
	}
	fl__debug_unlock();
	fl__table_unmap(unused);
	return before;
}

unsigned fl__debug_switch(unsigned modes)
{
	FL__LOCKED(&fl__debug_switch_lock);
	return debug_set_modes(modes);
}

/*
 * A signal handler and its struct. Each copy of the library that has installed its handler acts on
 * the signal.
 */
#define DEBUG_HANDLER(handler, act)                                                                                    \
	static void debug_on_##handler(int signal, siginfo_t *info, void *context);                                    \
	struct fl__handler handler = {                                                                                 \
	    .own = {.sa_sigaction = debug_on_##handler, .sa_flags = FL__HANDLER | SA_RESTART}};                        \
	static void debug_on_##handler(int signal, siginfo_t *info, void *context)                                     \
	{                                                                                                              \
		FL__KEEPS_ERRNO();                                                                                     \
		if (info)                                                                                              \
			(act);                                                                                         \
		fl__handler_pass(&(handler), signal, info, context);                                                   \
	}
DEBUG_HANDLER(fl__debug_handler, fl_debug_dump(STDERR_FILENO))
DEBUG_HANDLER(fl__trace_handler, fl__trace_signalled())

bool fl__debug_catch(struct fl__handler *h, int signal)
{
	struct sigaction now;
	if (h->signal != signal)
		fl__handler_set(h, false);
	h->signal = signal;
	if (signal == 0)
		return true;
	if (sigaction(signal, NULL, &now) != 0)
		return false;
	if (now.sa_handler != SIG_DFL && (now.sa_flags & FL__HANDLER) != FL__HANDLER)
		return true;
	fl__handler_set(h, true);
	return h->installed;
}

int fl_debug_enable(unsigned modes)
{
	bool caught;
	if (modes & ~(unsigned)FL__HOOKS_DEBUG)
		return -EINVAL;
	if (modes != 0) {
		struct fl__backtrace first;
		/* This initializes the unwinder, which may need memory. */
		fl__backtrace_take(&first, 0);
		fl__backtrace_learn_modules();
	}
	{
		FL__LOCKED(&fl__debug_switch_lock);
		(void)debug_set_modes(modes);
		caught = fl__debug_catch(&fl__debug_handler, modes & FL_DEBUG_WAITS ? debug_signal : 0);
	}
	if (!caught)
		FL__LOG_ONCE(FL_LOG_WARNING, "FL_DEBUG: signal %d cannot be caught", debug_signal);
	return 0;
}

/*
 * Returns the current context's next record of the lock after `last`, or the newest if `last` is
 * NULL. Searches the records of the context and those of the lock in parallel, because either list
 * may be long. Both lists have the newest record first.
 */
static struct fl__held *debug_own_next(const void *lock, const struct fl__held *last)
{
	const struct fl__holder *me = last ? last->holder : fl__holder_find(fl__ctx_get()->id);
	struct fl__held *held = last ? last->next_of_mine : me ? me->held : NULL;
	struct fl__held *of_lock = held && held->lock != lock ? fl__held_next(lock, last) : NULL;
	while (held && held->lock != lock) {
		if (!of_lock || of_lock->holder == me)
			return of_lock;
		held = held->next_of_mine;
		fl__table_steps++;
		of_lock = fl__held_next(lock, of_lock);
	}
	return held;
}

/*
 * Reports a deadlock if the context already holds the lock and not both acquisitions are for
 * reading.
 */
static void debug_report_relock(const struct fl__hook_op *op)
{
	struct fl__report_step step;
	if (!fl__held_is_known(op->lock) || !fl__debug_enter(0))
		return;
	const struct fl__held *held = debug_own_next(op->lock, NULL);
	const bool is_deadlock = held && !(held->how & op->how & FL__DEBUG_READ);
	if (is_deadlock)
		step = fl__report_step(held->holder, held);
	fl__debug_unlock();
	if (is_deadlock) {
		step.wanted = (struct fl__report_end){op->lock, 0, op->kind, op->how & FL__DEBUG_READ, op->stack};
		fl__report_one(FL_LOG_ERROR, "deadlock: a context waits for a lock that it holds", &step);
	}
	fl__debug_done();
}

void fl__hook_locking_on(struct fl__hook_op *op)
{
	op->waited = false;
	op->measured = (op->on & FL_DEBUG_CONTENTION) && fl__ctx_get()->turn++ % FL__CONTENTION_SAMPLED == 0;
	op->stack.at[0] = 0;
	if ((op->on & DEBUG_RECORDS_HOLDERS) || op->measured)
		fl__backtrace_take(&op->stack, 1);
	if (op->how & FL__DEBUG_TRY)
		return;
	if (op->on & DEBUG_RECORDS_HOLDERS)
		debug_report_relock(op);
	if (op->on & FL_DEBUG_LOCKORDER)
		fl__order_locking(op);
}

void fl__hook_waiting_on(struct fl__hook_op *op)
{
	if (op->waited) {
		if (!op->key)
			return;
		/* The wait for the mutex begins. */
		op->key = NULL;
	}
	if (op->on & FL_DEBUG_WAITS)
		fl__waits_begin(op);
	if (!op->waited)
		op->began = fl__sys.now();
	op->waited = true;
}

/*
 * Returns the record that an unlock ends: a record of the current context or, if there is none, the
 * oldest one, because any context may unlock.
 */
static struct fl__held *debug_record_to_end(const void *lock, unsigned how)
{
	struct fl__held *held = NULL, *oldest = NULL;
	while ((held = debug_own_next(lock, held)) != NULL)
		if (!((held->how ^ how) & FL__DEBUG_READ))
			return held;
	while ((held = fl__held_next(lock, held)) != NULL)
		if (!((held->how ^ how) & FL__DEBUG_READ))
			oldest = held;
	return oldest;
}

static void debug_end_record(struct fl__held *held)
{
	struct fl__holder *h = held->holder;
	if (held->site)
		fl__contention_unlocking(held, fl__sys.now());
	fl__held_remove(held);
	fl__holder_settle(h);
}

void fl__hook_locked_on(struct fl__hook_op *op, bool locked)
{
	const bool is_measured = (op->on & FL_DEBUG_CONTENTION) && (op->measured || op->waited);
	if (!(op->on & DEBUG_RECORDS_HOLDERS) && !is_measured)
		return;
	const int64_t now = is_measured ? fl__sys.now() : 0;
	if (op->stack.at[0] == 0)
		fl__backtrace_take(&op->stack, 1);
	if (!fl__debug_enter(3))
		return;
	struct fl__holder *h = fl__holder_mine();
	struct fl__held *held = locked ? fl__held_add(h, op) : NULL;
	fl__waits_end(h);
	if (is_measured)
		fl__contention_locked(op, held, now);
	fl__holder_settle(h);
	fl__debug_leave();
}

void fl__hook_unlocking_on(const void *lock, unsigned how)
{
	if (!fl__held_is_known(lock) || !fl__debug_enter(0))
		return;
	struct fl__held *held = debug_record_to_end(lock, how);
	if (held)
		debug_end_record(held);
	fl__debug_leave();
}

void fl__hook_downgraded_on(const void *lock)
{
	if (!fl__held_is_known(lock) || !fl__debug_enter(0))
		return;
	struct fl__held *held = debug_record_to_end(lock, 0);
	if (held)
		held->how |= FL__DEBUG_READ;
	fl__debug_leave();
}

void fl__hook_forget_on(const void *lock)
{
	if (!fl__debug_enter(0))
		return;
	for (struct fl__held *held; (held = fl__held_next(lock, NULL)) != NULL;)
		debug_end_record(held);
	fl__order_drop(lock);
	fl__debug_leave();
}

/*
 * Reports the first holder of a lock, and where it acquired the lock. With `others`, reports
 * nothing if the caller is a holder. Returns what it has reported, with id 0 if that is nothing.
 */
static struct fl__report_step debug_report_holder(const void *lock, const char *title, bool others)
{
	struct fl__report_step step = {0};
	if (!fl__debug_enter(0))
		return step;
	const struct fl__held *held = fl__held_next(lock, NULL);
	if (held && !(others && debug_own_next(lock, NULL)))
		step = fl__report_step(held->holder, held);
	fl__debug_unlock();
	if (step.id != 0)
		fl__report_one(FL_LOG_ERROR, title, &step);
	fl__debug_done();
	return step;
}

/* Stores the name of the first waiter in `name`; if there is none, leaves `name` unchanged. */
static void debug_name_waiter(const void *key, char *name)
{
	FL__LOT(lot, key);
	const struct fl__node *first = fl__lot_first(&lot);
	if (first)
		(void)strncpy(name, first->wait->ctx->name, FL__DEBUG_NAME - 1);
}

void fl__hook_destroy_on(const char *function, const void *object, const void *key, bool busy)
{
	char waiter[FL__DEBUG_NAME] = "", reason[128];
	if (!busy) {
		fl__hook_forget_on(key);
		return;
	}
	const struct fl__report_step holder = debug_report_holder(key, "a held lock is destroyed", false);
	debug_name_waiter(key, waiter);
	(void)snprintf(reason, sizeof reason, "in use%s%s%s%s", *holder.name ? ", held by " : "", holder.name,
	               *waiter ? ", awaited by " : "", waiter);
	fl__panic(function, object, reason);
}

void fl__hook_assert_held_on(const void *lock, const char *function)
{
	if (fl__held_is_known(lock) && debug_report_holder(lock, "another context holds the lock", true).id != 0)
		fl__panic(function, lock, "held by another context");
}

/* Frees the records, and removes the signal handler. */
FL__AT_UNLOAD static void debug_unload(void)
{
	if (fl__is_unloaded())
		(void)!fl_debug_enable(0);
}

bool fl__debug_parse_number(const char *text, unsigned long most, unsigned long *n)
{
	char *end;
	*n = strtoul(text, &end, 10);
	return *text >= '0' && *text <= '9' && (*end == ',' || *end == '\0') && *n <= most;
}

bool fl__debug_parse_signal(const char *text, int *signal)
{
	unsigned long n;
	sigset_t others;
	(void)sigfillset(&others);
	fl__signals_unblock_faults(&others);
	if (!fl__debug_parse_number(text, (unsigned long)SIGRTMAX, &n) ||
	    (n != 0 && ((int)n == SIGCHLD || !sigismember(&others, (int)n))))
		return false;
	*signal = (int)n;
	return true;
}

static unsigned debug_parse_modes(const char *text)
{
	static const struct {
		const char *name;
		unsigned mode;
	} names[] = {{"lockorder", FL_DEBUG_LOCKORDER}, {"waits", FL_DEBUG_WAITS}, {"contention", FL_DEBUG_CONTENTION}};
	unsigned modes = 0;
	while (*text) {
		const size_t length = strcspn(text, ",");
		bool known = length == 0;
		for (size_t i = 0; i < FL__COUNT(names); i++) {
			if (strlen(names[i].name) != length || strncmp(names[i].name, text, length) != 0)
				continue;
			modes |= names[i].mode;
			known = true;
		}
		if (strncmp(text, "signal=", 7) == 0)
			known = fl__debug_parse_signal(text + 7, &debug_signal);
		if (!known)
			FL__LOG_ONCE(FL_LOG_WARNING,
			             "FL_DEBUG: \"%.*s\" is none of lockorder, waits, contention, signal=N",
			             (int)length, text);
		text += length + (text[length] == ',');
	}
	return modes;
}

FL__AT_START static void debug_read_environment(void)
{
	/* a signal handler may make a dump while debugging is off */
	fl__backtrace_learn_modules();
	/* returns NULL in a program that has more rights than its user */
	const char *text = secure_getenv("FL_DEBUG");
	if (text)
		(void)!fl_debug_enable(debug_parse_modes(text));
}

/* Another thread may have been in the middle of a switch at the fork. */
static void debug_make_anew(void)
{
	/* relaxed: the child has one thread */
	debug_set_words(fl__load_relaxed(&fl__hooks) & FL__HOOKS_DEBUG);
}

FL__MAKES_ANEW(debug_make_anew)
