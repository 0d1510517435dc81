/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Prints which context waits for what. The dump is async-signal-safe: it allocates no memory, waits
 * for no lock, and copies each record before printing it. Its calls of snprintf() use only formats
 * that need neither memory nor a lock in the known C libraries.
 */
#include "core/base/sys.h"
#include "core/exec/executor.h"
#include "core/exec/group.h"
#include "core/wait/lot.h"
#include "report.h"
#include <errno.h>
#include <fairlead/group.h>
#include <fairlead/time.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What the dump has found out about a wait under the table's lock. */
struct debug_dump_detail {
	char text[96];     /* the state of the object */
	char holders[256]; /* ", held by bob (3), alice (1)", or "" */
	/* the thread that holds the object, the process that is the object, or 0 */
	unsigned other;
};

struct debug_dump {
	int fd;
	int64_t now;
	bool busy; /* true if some records could not be read */
	size_t waiters;
	struct fl__symbols symbols;
};

FL_PRINTF(2, 3) static void debug_dump_print(const struct debug_dump *d, const char *format, ...)
{
	char line[512];
	va_list args;
	va_start(args, format);
	const int n = vsnprintf(line, sizeof line, format, args);
	va_end(args);
	(void)fl__sys.print(d->fd, line, n < (int)sizeof line ? (size_t)n : sizeof line - 1);
}

static void debug_dump_print_seconds(const struct debug_dump *d, const char *before, int64_t ns, const char *after)
{
	const long long ms = ns / FL_MS(1);
	debug_dump_print(d, "%s%lld.%03lld s%s", before, ms / 1000, ms % 1000, after);
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

/* Copies the n-th record of a lock that the context `id` holds. Returns false if there is none. */
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

/* Prints ", held by thread 2851 of process 2850 (counter-1)" or, for a process, " (counter-1)". */
static void debug_dump_print_other(const struct debug_dump *d, unsigned id, bool holds)
{
	char path[32], text[256] = "Name:\t";
	(void)snprintf(path, sizeof path, "/proc/%u/status", id);
	const int file = FL__RETRY(FL__SYS_RESULT(open(path, O_RDONLY | O_CLOEXEC)));
	if (file >= 0) {
		(void)!FL__RETRY(FL__SYS_RESULT(read(file, text, sizeof text - 1)));
		(void)close(file);
	}
	const char *name = text + strlen("Name:\t"), *process = strstr(text, "\nTgid:");
	if (holds)
		debug_dump_print(d, ", held by thread %u", id);
	if (!process)
		debug_dump_print(d, fl__sys.thread_exists && !fl__sys.thread_exists(id) ? ", which has ended"
		                                                                        : ", process unknown");
	else if (holds)
		debug_dump_print(d, " of process %ld", strtol(process + strlen("\nTgid:"), NULL, 10));
	if (process)
		debug_dump_print(d, " (%.*s)", (int)strcspn(name, "\n"), name);
}

static void debug_dump_print_wait(struct debug_dump *d, const struct fl__holder *h,
                                  const struct debug_dump_detail *detail)
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
	debug_dump_print(d, "  %s (%llu) has waited for %s%s", h->name, (unsigned long long)h->id, what, detail->text);
	debug_dump_print_seconds(d, " for ", d->now - h->since, "");
	const int64_t left = fl_time_diff(h->deadline, FL__TIME(d->now));
	/*
	 * a wait for a process repeatedly checks whether it is stopped; its deadline is that of the
	 * next check
	 */
	const bool has_deadline = h->asleep && h->awaited.kind != FL__DEBUG_PROCESS && !fl__is_forever(h->deadline);
	if (has_deadline && left < 0)
		debug_dump_print_seconds(d, ", was due ", -left, " ago");
	else if (has_deadline)
		debug_dump_print_seconds(d, ", at most ", left, " more");
	if (detail->other != 0)
		debug_dump_print_other(d, detail->other, h->awaited.kind == FL__DEBUG_SHM_LOCK);
	debug_dump_print(d, "%s\n", detail->holders);
	debug_dump_print_stack(d, &h->stack);
	d->waiters++;
}

static void debug_dump_print_context(struct debug_dump *d, const struct fl__holder *h,
                                     const struct debug_dump_detail *detail)
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

/*
 * Called under the table's lock. Returns a copy, without `cond` if the waiter was signalled and
 * already waits for its mutex.
 */
static struct fl__holder debug_dump_copy_of(const struct fl__holder *h)
{
	struct fl__holder copy = *h;
	/* relaxed: the key changes under the bucket's lock, and the answer is for display */
	if (copy.cond && fl__load_relaxed(copy.key) == copy.lock)
		copy.cond = NULL;
	return copy;
}

/*
 * Called under the table's lock. Reads an object only if it lasts until the waiter has removed its
 * record. A latch need not, because a woken waiter may free it before another waiter runs.
 */
static void debug_dump_describe(const struct fl__holder *h, struct debug_dump_detail *detail)
{
	char *text = detail->text, *const holders = detail->holders;
	const size_t size = sizeof detail->text;
	size_t at = 0;
	*detail = (struct debug_dump_detail){.other = 0};
	for (const struct fl__held *held = h->lock && !h->cond ? fl__held_next(h->lock, NULL) : NULL;
	     held && at < sizeof detail->holders; held = fl__held_next(h->lock, held))
		at += (size_t)snprintf(holders + at, sizeof detail->holders - at, "%s%s (%llu)",
		                       at == 0 ? ", held by " : ", ", held->holder->name,
		                       (unsigned long long)held->holder->id);
	if (!h->asleep)
		return;
	/* the numbers are for a report */
	const void *object = h->awaited.object;
	if (h->awaited.kind == FL__DEBUG_GROUP)
		(void)snprintf(text, size, " (members that have not ended: %zu)", fl__group_left(object));
	else if (h->awaited.kind == FL__DEBUG_FUTURE)
		(void)snprintf(text, size, " (%s)", ((const fl_future *)object)->type->name);
	else if (h->awaited.kind == FL__DEBUG_SHM_LOCK)
		detail->other = fl__load_relaxed((const uint32_t *)object) & FL__THREAD_IDS;
	else if (h->awaited.kind == FL__DEBUG_PROCESS)
		detail->other = (unsigned)(uintptr_t)object;
}

static void debug_dump_print_table(struct debug_dump *d)
{
	struct debug_dump_detail detail;
	for (size_t i = 0; i < FL__DEBUG_BUCKETS; i++) {
		for (size_t n = 0;; n++) {
			if (!debug_dump_enter(d))
				return;
			const struct fl__holder *there = fl__holder_nth(i, n);
			const struct fl__holder copy = there ? debug_dump_copy_of(there) : (struct fl__holder){0};
			debug_dump_describe(&copy, &detail);
			fl__debug_unlock();
			if (!there)
				break;
			debug_dump_print_context(d, &copy, &detail);
		}
	}
}

/* Returns true if debug_dump_print_table() has printed the wait of this context. */
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
		d->busy |= n == -EAGAIN;
	}
}

/* Reads without the executor's lock, which ThreadSanitizer must not see. */
__attribute__((no_sanitize("thread"))) static void debug_dump_count(const fl_executor *e, fl_stats_executor *stats)
{
	*stats = (fl_stats_executor){.pending = e->queue.length};
	if (e->ops->count)
		e->ops->count(e, stats);
}

/*
 * Writes a line about the n-th executor if it has pending tasks. Returns false if there is no n-th
 * executor or the list of executors cannot be read now.
 */
static bool debug_dump_write_executor(struct debug_dump *d, size_t n, char *text, size_t size)
{
	fl_stats_executor stats = {0};
	char waits[128], workers[192] = "", killed[128] = "";
	*text = '\0';
	if (!debug_dump_enter(d))
		return false;
	const fl_executor *e = fl__debug_executor_nth(n);
	if (e)
		debug_dump_count(e, &stats);
	const unsigned awake = stats.threads - FL__MIN(stats.idle, stats.threads);
	const unsigned waiting = FL__MIN(stats.waiting, awake);
	if (stats.threads > 0 && e->ops->describe_waits) {
		e->ops->describe_waits(e, waits, sizeof waits);
		(void)snprintf(workers, sizeof workers, "%u run, %u wait%s, %u idle, ", awake - waiting, waiting, waits,
		               stats.idle);
	} else if (stats.threads > 0) {
		(void)snprintf(workers, sizeof workers, "%u run or wait, %u idle, ", awake, stats.idle);
	}
	if (stats.workers_killed > 0)
		(void)snprintf(killed, sizeof killed, "; started %zu, killed %zu%s%s", stats.workers_started,
		               stats.workers_killed, e->why_killed ? ", the last by this process: " : "",
		               e->why_killed ? e->why_killed : "");
	if (stats.pending > 0)
		(void)snprintf(text, size, "executor %s (%s): pending tasks: %zu; workers: %sat most %u%s%s", e->name,
		               /* relaxed: the number stands for itself */
		               e->ops->kind, stats.pending, workers, fl__load_relaxed(&e->workers),
		               awake > 0 && stats.waiting + stats.blocked >= awake ? "; STARVED: all wait" : "",
		               killed);
	fl__debug_unlock();
	return e != NULL;
}

static void debug_dump_print_executors(struct debug_dump *d)
{
	char text[480];
	for (size_t n = 0; debug_dump_write_executor(d, n, text, sizeof text); n++)
		if (*text)
			debug_dump_print(d, "  %s\n", text);
}

static void debug_dump_print_runs(struct debug_dump *d)
{
	for (size_t i = 0; i < FL__DEBUG_BUCKETS && debug_dump_enter(d); i++) {
		const struct fl__debug_run run = fl__debug_runs[i];
		fl__debug_unlock();
		if (run.since == 0)
			continue;
		debug_dump_print(d, "  fiber %s has had the thread of its loop", run.fiber);
		debug_dump_print_seconds(d, " for ", d->now - run.since, "\n");
	}
}

void fl_debug_dump(int fd)
{
	FL__UNCANCELLED();
	struct debug_dump d = {.fd = fd, .now = fl__sys.now()};
	debug_dump_print(&d, "fairlead: waits of process %ld\n", (long)getpid());
	debug_dump_print_table(&d);
	debug_dump_print_queues(&d);
	debug_dump_print_executors(&d);
	debug_dump_print_runs(&d);
	debug_dump_print(&d, "  waiters: %zu%s\n", d.waiters,
	                 d.busy ? "; records that were changing are left out" : "");
	fl__symbols_end(&d.symbols);
}
