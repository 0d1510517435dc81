/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which context waits for what. Async-signal-safe: allocates no memory, waits for no lock, and
 * copies a record before it prints it. snprintf() formats only what needs neither in the known C
 * libraries.
 */
#include "../base/sys.h"
#include "../exec/executor.h"
#include "../wait/lot.h"
#include "report.h"
#include <errno.h>
#include <fairlead/group.h>
#include <fairlead/latch.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

/* How many workers of an executor wait within a task. */
struct debug_dump_workers {
	const fl_executor *executor;
	unsigned asleep;
};

enum { DEBUG_DUMP_EXECUTORS = 32 };

struct debug_dump {
	int fd;
	int64_t now;
	bool busy; /* some records could not be read */
	size_t waiters;
	struct debug_dump_workers workers[DEBUG_DUMP_EXECUTORS]; /* up to the first without an executor */
	struct fl__symbols symbols;
};

FL_PRINTF(2, 3) static void debug_dump_print(const struct debug_dump *d, const char *format, ...)
{
	char line[512];
	va_list args;
	va_start(args, format);
	const int n = vsnprintf(line, sizeof line, format, args);
	va_end(args);
	fl__sys.print(d->fd, line, n < (int)sizeof line ? (size_t)n : sizeof line - 1);
}

static void debug_dump_print_stack(struct debug_dump *d, const struct fl__backtrace *stack)
{
	char text[160];
	const char *function;
	const int first = fl__report_first(&d->symbols, stack->at, FL__BACKTRACE_FRAMES);
	for (int i = first; i < FL__BACKTRACE_FRAMES && stack->at[i] != 0; i++) {
		fl__backtrace_describe(&d->symbols, stack->at[i], text, sizeof text, &function);
		debug_dump_print(d, "      #%d %s\n", i - first, text);
	}
}

static bool debug_dump_enter(struct debug_dump *d)
{
	const bool entered = fl__debug_try_enter();
	d->busy |= !entered;
	return entered;
}

/* Copies the n-th holder of `lock`. False: none. */
static bool debug_dump_nth_holder(struct debug_dump *d, const void *lock, size_t n, struct fl__report_step *step)
{
	if (!debug_dump_enter(d))
		return false;
	const struct fl__held *held = fl__held_next(lock, NULL);
	while (held && n-- > 0)
		held = fl__held_next(lock, held);
	if (held)
		*step = fl__report_step(held->holder, NULL);
	fl__debug_unlock();
	return held != NULL;
}

static void debug_dump_print_holders(struct debug_dump *d, const void *lock)
{
	struct fl__report_step step;
	for (size_t n = 0; debug_dump_nth_holder(d, lock, n, &step); n++)
		debug_dump_print(d, "%s%s (%llu)", n == 0 ? ", held by " : ", ", step.name,
		                 (unsigned long long)step.id);
}

/* Copies the n-th record that the context `id` holds. False: none. */
static bool debug_dump_nth_held(struct debug_dump *d, uint64_t id, size_t n, struct fl__report_end *end)
{
	if (!debug_dump_enter(d))
		return false;
	const struct fl__holder *h = fl__holder_find(id);
	const struct fl__held *held = h ? h->held : NULL;
	while (held && n-- > 0)
		held = held->next_of_mine;
	if (held)
		*end = fl__report_held(held);
	fl__debug_unlock();
	return held != NULL;
}

static void debug_dump_print_wait(struct debug_dump *d, const struct fl__holder *h, const char *detail)
{
	char what[FL__REPORT_TEXT], lock[FL__REPORT_OBJECT];
	const struct fl__report_end end = fl__report_wanted(h);
	const bool is_named_by_wait = h->asleep && h->awaited.kind > FL__DEBUG_EVENT;
	if (is_named_by_wait || (!h->lock && !h->joins)) {
		fl__report_awaited(what, sizeof what, &d->symbols, h->awaited);
	} else if (h->cond) {
		char cond[FL__REPORT_OBJECT];
		fl__backtrace_describe_object(&d->symbols, h->cond, cond, sizeof cond);
		fl__backtrace_describe_object(&d->symbols, h->lock, lock, sizeof lock);
		(void)snprintf(what, sizeof what, "condition %s (mutex %s)", cond, lock);
	} else {
		fl__report_lock(what, sizeof what, &d->symbols, &end);
	}
	const long long ms = (d->now - h->since) / FL_MS(1);
	debug_dump_print(d, "  %s (%llu) has waited for %s%s for %lld.%03lld s", h->name, (unsigned long long)h->id,
	                 what, detail, ms / 1000, ms % 1000);
	if (h->lock && !h->cond && !is_named_by_wait)
		debug_dump_print_holders(d, h->lock);
	debug_dump_print(d, "\n");
	debug_dump_print_stack(d, &h->stack);
	d->waiters++;
}

static void debug_dump_print_context(struct debug_dump *d, const struct fl__holder *h, const char *detail)
{
	struct fl__report_end end;
	char what[FL__REPORT_TEXT];
	if (h->lock || h->joins || h->asleep)
		debug_dump_print_wait(d, h, detail);
	for (size_t n = 0; debug_dump_nth_held(d, h->id, n, &end); n++) {
		fl__report_lock(what, sizeof what, &d->symbols, &end);
		debug_dump_print(d, "  %s (%llu) holds %s, taken at\n", h->name, (unsigned long long)h->id, what);
		debug_dump_print_stack(d, &end.stack);
	}
}

/* Under the table's lock. A copy, without `cond` if the signalled waiter waits for its mutex. */
static struct fl__holder debug_dump_copy_of(const struct fl__holder *h)
{
	struct fl__holder copy = *h;
	/* changed under the bucket's lock. A forked child lacks `key`, on the waiter's stack. */
	if (copy.cond && !fl__is_forked(copy.forks) && fl__load_relaxed(copy.key) == copy.lock)
		copy.cond = NULL;
	return copy;
}

/* Under the table's lock. In a forked child the awaited object may not exist. */
static void debug_dump_describe(const struct fl__holder *h, char *text, size_t size)
{
	*text = '\0';
	if (!h->asleep || fl__is_forked(h->forks))
		return;
	/* numbers for a report */
	if (h->awaited.kind == FL__DEBUG_GROUP) {
		const fl_group *g = h->awaited.object;
		(void)snprintf(text, size, " (members that have not ended: %zu)", fl__load_relaxed(&g->count_));
	} else if (h->awaited.kind == FL__DEBUG_LATCH) {
		const fl_latch *l = h->awaited.object;
		(void)snprintf(text, size, " (counts left: %u)", fl__load_relaxed(&l->word_) & FL_LATCH_MAX);
	} else if (h->awaited.kind == FL__DEBUG_FUTURE) {
		const fl_future *f = h->awaited.object;
		(void)snprintf(text, size, " (%s)", f->type->name);
	}
}

/* Under the table's lock. An executor beyond the first DEBUG_DUMP_EXECUTORS has no count. */
static struct debug_dump_workers *debug_dump_workers_of(struct debug_dump *d, const fl_executor *e)
{
	for (struct debug_dump_workers *w = d->workers; w < d->workers + DEBUG_DUMP_EXECUTORS; w++) {
		if (!w->executor)
			w->executor = e;
		if (w->executor == e)
			return w;
	}
	return NULL;
}

/* Called under the table's lock. */
static void debug_dump_count_worker(struct debug_dump *d, const struct fl__holder *h)
{
	if (!h->asleep || !h->worker || h->awaited.kind == FL__DEBUG_TASK || fl__is_forked(h->forks))
		return;
	struct debug_dump_workers *w = debug_dump_workers_of(d, h->worker->executor);
	if (w)
		w->asleep++;
}

static void debug_dump_print_table(struct debug_dump *d)
{
	char detail[96];
	for (size_t i = 0; i < FL__DEBUG_BUCKETS; i++) {
		for (size_t n = 0;; n++) {
			if (!debug_dump_enter(d))
				return;
			const struct fl__holder *there = fl__holder_nth(i, n);
			const struct fl__holder copy = there ? debug_dump_copy_of(there) : (struct fl__holder){0};
			debug_dump_describe(&copy, detail, sizeof detail);
			debug_dump_count_worker(d, &copy);
			fl__debug_unlock();
			if (!there)
				break;
			debug_dump_print_context(d, &copy, detail);
		}
	}
}

/* debug_dump_print_table() has printed it. */
static bool debug_dump_has_wait(struct debug_dump *d, uint64_t id)
{
	if (!debug_dump_enter(d))
		return false;
	const struct fl__holder *h = fl__holder_find(id);
	const bool told = h && (h->lock || h->joins || h->asleep);
	fl__debug_unlock();
	return told;
}

static void debug_dump_print_queues(struct debug_dump *d)
{
	enum { SOME = 8 };
	struct fl__lot_seen seen[SOME];
	int n = 0;
	for (size_t i = 0; n != -ENOENT; i++) {
		for (size_t skip = 0; (n = fl__lot_peek(i, skip, seen, SOME)) > 0; skip += SOME) {
			for (int k = 0; k < n; k++) {
				if (debug_dump_has_wait(d, seen[k].id))
					continue;
				char what[FL__REPORT_TEXT];
				fl__report_awaited(what, sizeof what, &d->symbols, seen[k].awaited);
				debug_dump_print(d, "  %s (%llu) waits for %s\n", seen[k].name,
				                 (unsigned long long)seen[k].id, what);
				d->waiters++;
			}
		}
		d->busy |= n == -EBUSY;
	}
}

/* Without the executor's lock, which ThreadSanitizer must not see. */
__attribute__((no_sanitize("thread"))) static void debug_dump_count(const fl_executor *e, fl_executor_stats *stats)
{
	*stats = (fl_executor_stats){.pending = e->queue.length};
	if (e->ops->count)
		e->ops->count(e, stats);
}

/* Under the table's lock: "0 run, 2 wait, 0 idle, ". */
static void debug_dump_write_workers(struct debug_dump *d, const fl_executor *e, const fl_executor_stats *stats,
                                     char *text, size_t size)
{
	const unsigned awake = stats->threads > stats->idle ? stats->threads - stats->idle : 0;
	const struct debug_dump_workers *w = debug_dump_workers_of(d, e);
	if (w && (fl__debug_word(&fl__debug) & FL_DEBUG_WAITS))
		(void)snprintf(text, size, "%u run, %u wait, %u idle, ", awake > w->asleep ? awake - w->asleep : 0,
		               w->asleep, stats->idle);
	else
		(void)snprintf(text, size, "%u run or wait, %u idle, ", awake, stats->idle);
}

/* A line on the n-th executor, if it has pending tasks. False: there is none. */
static bool debug_dump_write_executor(struct debug_dump *d, size_t n, char *text, size_t size)
{
	fl_executor_stats stats;
	char workers[96] = "";
	*text = '\0';
	if (!debug_dump_enter(d))
		return false;
	const fl_executor *e = fl__debug_executor_nth(n);
	if (e && !fl__executor_is_forked(e)) {
		debug_dump_count(e, &stats);
		if (e->ops->block)
			debug_dump_write_workers(d, e, &stats, workers, sizeof workers);
		if (stats.pending > 0)
			(void)snprintf(text, size, "executor %s (%s): pending tasks: %zu; workers: %sat most %u",
			               e->name, e->ops->kind, stats.pending, workers,
			               fl__load_relaxed(&e->workers)); /* a single number */
	}
	fl__debug_unlock();
	return e != NULL;
}

static void debug_dump_print_executors(struct debug_dump *d)
{
	char text[256];
	for (size_t n = 0; debug_dump_write_executor(d, n, text, sizeof text); n++)
		if (*text)
			debug_dump_print(d, "  %s\n", text);
}

void fl_debug_dump(int fd)
{
	struct debug_dump d = {.fd = fd, .now = fl__sys.now()};
	debug_dump_print(&d, "fairlead: waits of process %ld\n", (long)getpid());
	debug_dump_print_table(&d);
	debug_dump_print_queues(&d);
	debug_dump_print_executors(&d);
	debug_dump_print(&d, "  waiters: %zu%s\n", d.waiters,
	                 d.busy ? "; records that were changing are left out" : "");
	fl__symbols_end(&d.symbols);
}
