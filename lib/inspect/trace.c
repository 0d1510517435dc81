/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Records events, and switches the recorder on and off. To record an event takes one reading of the
 * clock, but no lock and no memory. Only a thread's first event may need memory, for the thread's
 * ring.
 *
 *   word            meaning                              written by
 *   fl__hooks       the bit FL__HOOKS_TRACE is set       trace_set_words(), which switches the
 *                   while the recorder is on             recorder on and off
 *   fl__short_way   FL__SHORT_WAY_OFF while the          trace_set_words(); a child, while
 *                   recorder is on (exec/submit.c)       the recorder is off
 *   of_threads[i]   a ring, or NULL                      the thread that got `i` from `used`; a
 *                                                        child empties the table, and puts
 *                                                        the ring of its thread into it
 *   used            how many entries of of_threads are   a thread with a new ring: an addition,
 *                   given to a thread; may count beyond  which gives it the entry; a child
 *                   the end                              stores 0
 *   ring->tid       the id of the thread that records    the thread that takes the ring: a store in
 *                                                        a new ring, or a CAS from the id of a
 *                                                        thread that has ended; a child
 *   ring->first     the number of the first event of     the thread that takes over the ring of an
 *                   the thread that records              ended thread; a child
 *   ring->head      the number of all events so far      the thread that records, before it fills
 *                                                        the slot
 *   event.mark      0 while the slot is being filled;    the thread that records: 0 before the
 *                   otherwise the kind and the lap       other fields, and the mark after them
 *                                                        (release). A reader (trace_write.c) reads
 *                                                        the mark before and after the others
 *   ring->keys[k]   a hash of the address of the name    the thread that records, after the text;
 *                   whose text is in names[k]; 0 if      the mark of the event publishes both. The
 *                   names[k] is free. The table uses     thread that takes over the ring stores 0,
 *                   open addressing                      and so does a child
 *   trace_writing   1 while a thread writes a file, or   trace_try_claim(): CAS; trace_unclaim(): a
 *                   changes the settings                 store; a child stores 0
 *   rings.lock      guards the list of worker            a thread that changes the list:
 *                   processes                            fl__lock(); a thread that writes a file,
 *                                                        while it copies the rings: fl__try_lock(),
 *                                                        because it may be in a signal
 *                                                        handler; a child stores 0
 *
 * Invariants
 *   1. One thread writes the events of a ring. Events before `first` are another thread's.
 *   2. A signal handler that records an event may interrupt trace_record(). If `head` is already
 *      stored, the handler takes the next slot. Otherwise the handler takes the same slot, and the
 *      interrupted call then overwrites the whole event. If the handler has recorded further events
 *      in that case, the next calls overwrite them in the same way.
 *   3. A reader trusts nothing in another process's ring: it masks indices and escapes names.
 *
 * A thread that needs a ring looks for the ring of an ended thread in only TRACE_LOOKS entries,
 * each of which takes a system call, so the cost of starting a thread does not grow with the number
 * of threads. Each search continues where the last one stopped. Therefore it is rare that a search
 * finds nothing, so that a new ring is made, unless most threads with a ring are alive.
 */
#include "trace.h"
#include "core/base/anew.h"
#include "core/base/sys.h"
#include "core/base/unload.h"
#include "core/exec/executor.h"
#include "core/os/handlers.h"
#include "core/wait/lock.h"
#include "core/wait/lot.h"
#include "report.h"
#include "stats.h"
#include <errno.h>
#include <fairlead/time.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	TRACE_LOG2 = 13,
	TRACE_LOG2_LEAST = 6,
	TRACE_LOG2_MOST = 20,
	TRACE_KEPT = 64,
	TRACE_LOOKS = 16,
	TRACE_SLOW_FILES = 10,
	TRACE_PREFIX = 200,
	TRACE_PATH = TRACE_PREFIX + 40
};

struct trace_settings {
	FL__WORD64 int64_t slow; /* longer waits and times in the queue are reported; 0: none is */
	bool at_exit;            /* whether the process writes a file when it ends */
	unsigned log2;
	int signal;
	char prefix[TRACE_PREFIX];
};

struct fl__trace_rings fl__trace_rings;

/*
 * trace_writing guards the variables from here to trace_out, except that all threads read
 * trace_now.slow, and that the exit of the process reads trace_now.at_exit and trace_quiet.
 */
static uint32_t trace_writing;
static struct trace_settings trace_now;
static unsigned trace_files, trace_slow_files;
/*
 * If true, the exit of the process prints nothing, because a file was written, or the process is a
 * forked child or a worker process.
 */
static bool trace_quiet;
/* when the last file for `slow` was written */
static int64_t trace_slow_last;

/* Memory for the file that is being written, because a fiber's stack is small. */
static struct {
	struct fl__trace_count count;
	struct fl__symbols symbols;
	char path[TRACE_PATH], object[FL__REPORT_TEXT], line[TRACE_PATH + FL__REPORT_TEXT + 128];
} trace_out;

/*
 * The ring of the calling thread. TRACE_NO_RING means that the thread is making its ring, or that
 * it gets none, because there was no memory or no free entry in the table.
 */
#define TRACE_NO_RING ((struct fl__trace_ring *)1)
static __thread struct fl__trace_ring *trace_ring FL__INITIAL_EXEC;
static uint32_t trace_rings_used;           /* `used` in the table above */
static struct fl__trace_ring *trace_shared; /* the ring of a worker process's main thread */

/* Rings. */

size_t fl__trace_ring_size(void)
{
	const size_t events = ((size_t)fl__trace_rings.mask + 1) * sizeof(struct fl__trace_event);
	return FL__ROUND_UP(sizeof(struct fl__trace_ring) + events, fl__page_size());
}

/* A reader may see a mixture of two names. */
static void trace_copy_name(char *to, const char *from)
{
	for (unsigned i = 0; i + 1 < FL__TRACE_NAME; i++) {
		fl__store_relaxed(&to[i], *from);
		from += *from != '\0';
	}
}

static bool trace_try_claim(void)
{
	uint32_t free = 0;
	/* acquire: pairs with the release in trace_unclaim(), for the settings */
	return fl__cas_acquire(&trace_writing, &free, 1);
}

/*
 * Waits while a file is written. A signal handler must not call it, because it may have interrupted
 * the holder.
 */
static void trace_claim(void)
{
	for (unsigned round = 0; !trace_try_claim(); round++)
		fl__back_off(round);
}

static void trace_unclaim(void)
{
	/* release: pairs with the acquire in trace_try_claim() */
	fl__store_release(&trace_writing, 0);
}

/*
 * Returns a free entry. If there is none, unmaps the ring of the worker process that ended first,
 * and returns its entry. If no worker process has ended, returns NULL.
 */
static struct fl__trace_worker *trace_worker_place(void)
{
	struct fl__trace_worker *first = NULL;
	for (struct fl__trace_worker *w = fl__trace_rings.workers; w < fl__trace_rings.workers + FL__TRACE_WORKERS;
	     w++) {
		if (!w->ring)
			return w;
		if (w->dropped != 0 && (!first || w->dropped < first->dropped))
			first = w;
	}
	if (first)
		fl__sys.unmap(first->ring, fl__trace_ring_size());
	return first;
}

void fl__trace_ring_add(struct fl__trace_ring *ring, int32_t pid, const char *name)
{
	FL__LOCKED(&fl__trace_rings.lock);
	struct fl__trace_worker *w = trace_worker_place();
	if (w) {
		*w = (struct fl__trace_worker){.ring = ring, .pid = pid};
		trace_copy_name(w->name, name);
	}
}

void fl__trace_ring_drop(struct fl__trace_ring *ring)
{
	static uint64_t drops;
	bool known = false;
	fl__lock(&fl__trace_rings.lock);
	for (struct fl__trace_worker *w = fl__trace_rings.workers; w < fl__trace_rings.workers + FL__TRACE_WORKERS; w++)
		if (w->ring == ring) {
			w->dropped = ++drops;
			known = true;
		}
	(void)fl__unlock(&fl__trace_rings.lock);
	if (!known)
		fl__sys.unmap(ring, fl__trace_ring_size());
}

static bool trace_ring_put(struct fl__trace_ring *ring)
{
	/* relaxed: the store below publishes the ring */
	const uint32_t at = fl__add_relaxed(&trace_rings_used, 1);
	if (at >= FL__TRACE_RINGS)
		return false;
	/* release: pairs with the acquire loads of the table, and publishes the ring */
	fl__store_release(&fl__trace_rings.of_threads[at], ring);
	return true;
}

/* Prepares a ring for a thread that takes it over, or for the thread of a forked child. */
static void trace_restart(struct fl__trace_ring *ring)
{
	fl__store_relaxed(&ring->first, fl__load_relaxed(&ring->head));
	for (unsigned i = 0; i < FL__TRACE_NAMES; i++)
		fl__store_relaxed(&ring->keys[i], 0);
}

/*
 * If at least TRACE_KEPT rings are in use, looks at `looks` of them, and takes over the first one
 * whose thread has ended. Returns NULL if there is none.
 */
static struct fl__trace_ring *trace_ring_of_ended(uint32_t tid, unsigned looks)
{
	/* the search continues where the last one stopped, so that rings are taken over in turn */
	static uint32_t next;
	const uint32_t used = FL__MIN(fl__load_relaxed(&trace_rings_used), (uint32_t)FL__TRACE_RINGS);
	if (used < TRACE_KEPT)
		return NULL;
	for (unsigned i = 0; i < FL__MIN(looks, used); i++) {
		const uint32_t at = fl__add_relaxed(&next, 1) % used;
		/* acquire: pairs with the release that puts a ring into the table */
		struct fl__trace_ring *ring = fl__load_acquire(&fl__trace_rings.of_threads[at]);
		uint32_t ended = ring ? fl__load_relaxed(&ring->tid) : 0;
		/*
		 * relaxed: the system says that the thread has ended, so what it wrote is visible
		 */
		if (!ring || fl__sys.thread_exists(ended) || !fl__cas_relaxed(&ring->tid, &ended, tid))
			continue;
		trace_restart(ring);
		return ring;
	}
	return NULL;
}

/* Makes a ring. Returns NULL if there is no memory or the table is full. */
static struct fl__trace_ring *trace_ring_new(uint32_t tid)
{
	/* relaxed: trace_ring_put() decides */
	const bool is_full = fl__load_relaxed(&trace_rings_used) >= FL__TRACE_RINGS;
	struct fl__trace_ring *ring = is_full ? NULL : fl__sys.map(fl__trace_ring_size());
	if (!ring)
		return NULL;
	ring->tid = tid;
	if (trace_ring_put(ring))
		return ring;
	fl__sys.unmap(ring, fl__trace_ring_size());
	return NULL;
}

/*
 * Called for the first event of a thread. Looks at `looks` rings of other threads. If the thread
 * gets no ring, returns NULL, and the first such thread prints a warning on standard error. Takes
 * no lock.
 */
FL__COLD static struct fl__trace_ring *trace_begin_thread(unsigned looks)
{
	static const char text[] = "fairlead: warning: trace: a thread is not recorded: out of memory, or of rings\n";
	static uint32_t told;
	const struct fl__ctx *ctx = fl__ctx_thread();
	if (trace_ring == TRACE_NO_RING)
		return NULL;
	FL__KEEPS_ERRNO();
	/* acquire: pairs with the release in trace_set_words(), for what trace_begin() has set */
	(void)fl__load_acquire(&fl__hooks);
	trace_ring = TRACE_NO_RING;
	const uint32_t tid = fl__sys.thread_id();
	struct fl__trace_ring *ring = trace_ring_of_ended(tid, looks);
	if (!ring)
		ring = trace_ring_new(tid);
	if (!ring) {
		if (fl__swap_relaxed(&told, 1) == 0)
			(void)fl__sys.print(STDERR_FILENO, text, sizeof text - 1);
		return NULL;
	}
	fl__store_relaxed(&ring->context, (uint32_t)ctx->id);
	trace_copy_name(ring->thread, ctx->name);
	trace_ring = ring;
	return ring;
}

/* Returns the index of a name in the ring's table, or 0 if the table is full. */
static uint8_t trace_name(struct fl__trace_ring *ring, const char *name)
{
	_Static_assert(FL__TRACE_NAMES == 1 << 6, "the upper 6 bits");
	const uint64_t key = (uintptr_t)name * 0x9e3779b97f4a7c15u | 1;
	const char *text = fl__stats_name(name);
	unsigned at = (unsigned)(key >> (64 - 6));
	for (unsigned n = 0; n < FL__TRACE_NAMES; n++, at = (at + 1) % FL__TRACE_NAMES) {
		/* The text is also compared, because the memory of a name may be reused. */
		/* relaxed: this thread has written it */
		const uint64_t known = fl__load_relaxed(&ring->keys[at]);
		if (known == key && strncmp(ring->names[at], text, FL__TRACE_NAME - 1) == 0)
			return (uint8_t)at;
		if (known == 0 && at > 0) {
			trace_copy_name(ring->names[at], text);
			/* relaxed: the release store of the event's mark publishes it */
			fl__store_relaxed(&ring->keys[at], key);
			return (uint8_t)at;
		}
	}
	return 0;
}

static void trace_record(const struct fl__trace_event *e, const char *name, enum fl__trace_kind kind)
{
	struct fl__trace_ring *ring = trace_ring;
	if (fl__unlikely((uintptr_t)ring <= (uintptr_t)TRACE_NO_RING) && !(ring = trace_begin_thread(TRACE_LOOKS)))
		return;
	/* relaxed: this thread has written it, or a thread that has ended */
	const uint64_t at = fl__load_relaxed(&ring->head);
	struct fl__trace_event *slot = &ring->events[at & fl__trace_rings.mask];
	fl__store_relaxed(&ring->head, at + 1);
	fl__store_relaxed(&slot->mark, 0);
	/* release fence: a reader that sees a field stored below also sees the mark 0 */
	fl__fence_release();
	fl__store_relaxed(&slot->time, e->time);
	fl__store_relaxed(&slot->object, e->object);
	fl__store_relaxed(&slot->arg, e->arg);
	fl__store_relaxed(&slot->context, e->context);
	fl__store_relaxed(&slot->name, name ? trace_name(ring, name) : 0);
	fl__store_relaxed(&slot->code, e->code);
	/* release: pairs with the acquire of the reader in trace_write.c */
	fl__store_release(&slot->mark, fl__trace_mark(kind, at));
}

int64_t fl__hook_event_on(enum fl__trace_kind kind, uint64_t object, uint64_t arg, const char *name, unsigned code)
{
	const struct fl__trace_event e = {.time = fl__sys.now(),
	                                  .object = object,
	                                  .arg = arg,
	                                  .context = (uint32_t)fl__ctx_get()->id,
	                                  .code = (uint8_t)code};
	trace_record(&e, name, kind);
	return e.time;
}

/* Files. */

static int trace_open_new(void)
{
	enum { ATTEMPTS = 1000 };
	int fd = -EEXIST;
	char rank[16] = "";
	if (fl__trace_rank >= 0)
		(void)snprintf(rank, sizeof rank, "-r%d", (int)fl__trace_rank);
	for (int n = 0; fd == -EEXIST && n < ATTEMPTS; n++) {
		(void)snprintf(trace_out.path, sizeof trace_out.path, "%s%s-%ld-%u.json", trace_now.prefix, rank,
		               (long)getpid(), ++trace_files);
		fd = FL__RETRY(FL__SYS_RESULT(open(trace_out.path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666)));
	}
	return fd;
}

/*
 * Writes a file. The caller has claimed `trace_writing`. If `path` is NULL, creates a new file, and
 * stores its name in trace_out.
 */
static int trace_write(const char *path)
{
	FL__UNCANCELLED();
	if (fl__trace_rings.mask == 0)
		return -ENODATA;
	const int fd =
	    path ? FL__RETRY(FL__SYS_RESULT(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666))) : trace_open_new();
	if (fd < 0)
		return fd;
	int rc = fl__trace_write_json(fd, &trace_out.count);
	const int closed = FL__SYS_RESULT(close(fd));
	if (rc == 0 && closed != -EINTR) /* EINTR: the descriptor is closed; close() must not be repeated */
		rc = closed;
	trace_quiet |= rc == 0;
	if (rc != 0 && !path)
		(void)FL__SYS_RESULT(unlink(trace_out.path));
	return rc;
}

int fl_trace_write(const char *path)
{
	if (!trace_try_claim())
		return -EBUSY;
	const int rc = trace_write(path);
	trace_unclaim();
	return rc;
}

/*
 * Prints a text on standard error. Does not log it, because a log handler may wait, or lock what
 * the caller holds.
 */
FL_PRINTF(1, 2) static void trace_say(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	const int n = vsnprintf(trace_out.line, sizeof trace_out.line, format, args);
	va_end(args);
	(void)fl__sys.print(STDERR_FILENO, trace_out.line, (size_t)FL__MIN(n, (int)sizeof trace_out.line - 1));
}

void fl__trace_signalled(void)
{
	if (!fl__hooks_on(FL__HOOKS_TRACE) || !trace_try_claim())
		return;
	const int rc = trace_write(NULL);
	if (rc == 0)
		trace_say("fairlead: trace: %s, %zu events of %u threads and %u worker processes\n", trace_out.path,
		          trace_out.count.events, trace_out.count.threads, trace_out.count.workers);
	else
		trace_say("fairlead: trace: %s cannot be written: error %d\n", trace_out.path, -rc);
	trace_unclaim();
}

void fl__hook_exit_on(bool writes)
{
	/* if trace_shared is set, this is a worker process, and its parent writes the ring */
	if (writes || (trace_now.at_exit && !trace_shared)) {
		fl__trace_signalled();
		return;
	}
	/* if another thread is writing a file, the events are not lost */
	if (trace_quiet || trace_shared || !trace_try_claim())
		return;
	if (fl__try_lock(&fl__trace_rings.lock)) {
		const uint64_t n = fl__trace_length();
		(void)fl__unlock(&fl__trace_rings.lock);
		trace_say("fairlead: trace: %llu events recorded, none written: FL_TRACE=ring,exit writes them at the "
		          "end of the process; before, a signal does, or fl_trace_write()\n",
		          (unsigned long long)n);
	}
	trace_unclaim();
}

static bool trace_is_slow(int64_t ns)
{
	const int64_t slow = fl__load_relaxed(&trace_now.slow);
	return slow > 0 && ns > slow;
}

/*
 * Writes a file because something took too long: if `awaited` is not NULL, a wait of the calling
 * context for `awaited`; otherwise a task with the name `task` in the queue. Writes no file if the
 * last one was written less than `slow` ago, because that file shows the beginning of the time;
 * while another file is being written; and after TRACE_SLOW_FILES files. Needs little stack.
 */
FL__COLD static void trace_slow(int64_t now, int64_t ns, const struct fl__awaited *awaited, const char *task)
{
	const struct fl__ctx *ctx = fl__ctx_get();
	if (!trace_try_claim())
		return;
	if (trace_slow_files < TRACE_SLOW_FILES && now - trace_now.slow > trace_slow_last) {
		trace_slow_files++;
		trace_slow_last = fl__sys.now();
		if (awaited)
			fl__report_awaited(trace_out.object, sizeof trace_out.object, &trace_out.symbols, *awaited);
		const int rc = trace_write(NULL);
		if (rc != 0)
			(void)snprintf(trace_out.path, sizeof trace_out.path, "error %d", -rc);
		trace_say("fairlead: warning: %s (%llu) %s%s for %lld.%03lld s; trace: %s\n", ctx->name,
		          (unsigned long long)ctx->id,
		          awaited ? "has waited for " : "starts a task that was in the queue: ",
		          awaited ? trace_out.object : fl__stats_name(task), (long long)(ns / FL_S(1)),
		          (long long)(ns / FL_MS(1) % 1000), trace_out.path);
		fl__symbols_end(&trace_out.symbols);
	}
	trace_unclaim();
}

/* Returns the argument if it is as large as a pointer, otherwise its address. */
static uint64_t trace_arg(const fl_future *f)
{
	if (!f->arg || f->count != 1 || f->type->arg_size != sizeof(void *))
		return (uintptr_t)f->arg;
	uintptr_t arg;
	memcpy(&arg, f->arg, sizeof arg);
	return arg;
}

/* Returns the error as a byte. */
static uint8_t trace_error(int error)
{
	const unsigned positive = error < 0 ? -(unsigned)error : (unsigned)error;
	return (uint8_t)FL__MIN(positive, UINT8_MAX);
}

static const char *trace_type(const fl_task_type *type)
{
	return type->name ? type->name : "task";
}

void fl__hook_task_on(enum fl__trace_kind kind, fl_future *f)
{
	const bool submits = kind == FL__TRACE_SUBMIT;
	const char *name = kind == FL__TRACE_CANCEL ? NULL : trace_type(f->type);
	const int64_t now = fl__hook_event_on(kind, (uintptr_t)f, submits ? trace_arg(f) : 0, name, 0);
	if (submits)
		f->error = (int)fl__stats_time(now);
}

int fl__hook_call_on(const fl_task_type *type, const void *arg, void *result, fl_task_ctx *ctx)
{
	const fl_future *f = fl__future_of_token(ctx->token);
	const int64_t now = fl__sys.now(), waited = f->error == 0 ? -1 : fl__stats_waited(f, now);
	const struct fl__trace_event e = {.time = now,
	                                  .object = (uintptr_t)f,
	                                  .arg = (uint64_t)waited, /* -1 if unknown */
	                                  .context = (uint32_t)fl__ctx_get()->id};
	trace_record(&e, trace_type(type), FL__TRACE_START);
	if (trace_is_slow(waited))
		trace_slow(now, waited, NULL, type->name);
	const int error = fl__task_call(type, arg, result, ctx);
	fl__hook_event_on(FL__TRACE_END, (uintptr_t)f, 0, NULL, trace_error(error));
	return error;
}

void fl__hook_note_on(enum fl__trace_kind kind, const void *object, unsigned arg)
{
	if ((uintptr_t)trace_ring > (uintptr_t)TRACE_NO_RING)
		fl__hook_event_on(kind, (uintptr_t)object, arg, NULL, 0);
}

/* Returns whether waits of this kind are normally long. */
static bool trace_is_idle(uint8_t kind)
{
	return kind == FL__DEBUG_TASK || kind == FL__DEBUG_SLEEP || kind == FL__DEBUG_TIMER || kind == FL__DEBUG_DUE ||
	       kind == FL__DEBUG_DESCRIPTOR || kind == FL__DEBUG_CONNECTION;
}

void fl__trace_woken(struct fl__wait *wait)
{
	const struct fl__awaited awaited = fl__wait_awaited(wait);
	const int64_t now = fl__hook_event_on(FL__TRACE_WOKEN, (uintptr_t)wait, 0, NULL, trace_error(wait->result));
	const int64_t waited = now - wait->since;
	wait->since = 0;
	if (!trace_is_idle(awaited.kind) && trace_is_slow(waited))
		trace_slow(now, waited, &awaited, NULL);
}

void fl__hook_wake_on(const struct fl__node *taken)
{
	for (; taken; taken = taken->then)
		fl__hook_event_on(FL__TRACE_WAKE, (uintptr_t)taken->wait, taken->wait->ctx->id, NULL, 0);
}

void fl__trace_run(uint64_t fiber, const char *name)
{
	struct fl__trace_event e = {.time = fl__sys.now(), .context = (uint32_t)fiber};
	char text[2 * sizeof e.object + 1] = "";
	(void)strncpy(text, name, sizeof text - 1);
	memcpy(&e.object, text, sizeof e.object);
	memcpy(&e.arg, text + sizeof e.object, sizeof e.arg);
	trace_record(&e, NULL, FL__TRACE_RUN);
}

/* The switch. */

static void trace_set_words(bool on)
{
	/* release: pairs with the acquire in trace_begin_thread() */
	if (on)
		fl__or_release(&fl__hooks, FL__HOOKS_TRACE);
	else
		fl__and_relaxed(&fl__hooks, ~(uint32_t)FL__HOOKS_TRACE);
	fl__short_way_set(!on);
}

/*
 * Sets the number of events of each ring, unless the recorder was switched on before. The number is
 * the largest power of two that fits into the pages of a ring of 2^`log2` events, so that
 * fl__trace_ring_use() computes the same number from the size of a ring. If the recorder is off,
 * also sets `since`.
 */
static void trace_begin(unsigned log2)
{
	if (fl__trace_rings.mask == 0) {
		const size_t head = sizeof(struct fl__trace_ring);
		const size_t size = FL__ROUND_UP(head + (sizeof(struct fl__trace_event) << log2), fl__page_size());
		fl__trace_rings.log2 = 63 - (unsigned)__builtin_clzll((size - head) / sizeof(struct fl__trace_event));
		fl__trace_rings.mask = (1u << fl__trace_rings.log2) - 1;
	}
	if (!fl__hooks_on(FL__HOOKS_TRACE))
		fl__trace_rings.since = fl__sys.now();
}

void fl__trace_ring_use(struct fl__trace_ring *ring, size_t size)
{
	const size_t events = (size - sizeof *ring) / sizeof(struct fl__trace_event);
	trace_begin(63 - (unsigned)__builtin_clzll(events));
	if (size != fl__trace_ring_size())
		return; /* FL_TRACE differs in this process */
	ring->context = (uint32_t)fl__ctx_thread()->id;
	trace_ring = trace_shared = ring;
	trace_set_words(true);
}

/* Parses a time such as "100ms", up to a comma or the end. Returns whether it is valid. */
static bool trace_parse_time(const char *text, int64_t *ns)
{
	static const struct {
		const char *name;
		int64_t ns;
	} units[] = {{"ns", 1}, {"us", FL_US(1)}, {"ms", FL_MS(1)}, {"s", FL_S(1)}};
	char *end;
	const unsigned long long n = strtoull(text, &end, 10);
	const size_t length = strcspn(end, ",");
	for (size_t i = 0; i < FL__COUNT(units); i++)
		if (*text >= '0' && *text <= '9' && strlen(units[i].name) == length &&
		    strncmp(end, units[i].name, length) == 0 && n <= (unsigned long long)(INT64_MAX / units[i].ns)) {
			*ns = (int64_t)n * units[i].ns;
			return true;
		}
	return false;
}

/* Parses one setting, "name=value" or "exit". Returns false if it is unknown. */
static bool trace_parse_one(const char *text, size_t length, struct trace_settings *s)
{
	unsigned long n;
	if (length == 4 && strncmp(text, "exit", 4) == 0)
		return s->at_exit = true;
	if (strncmp(text, "slow=", 5) == 0)
		return trace_parse_time(text + 5, &s->slow);
	if (strncmp(text, "file=", 5) == 0 && length > 5 && length - 5 < sizeof s->prefix) {
		memset(s->prefix, 0, sizeof s->prefix);
		memcpy(s->prefix, text + 5, length - 5);
		return true;
	}
	if (strncmp(text, "signal=", 7) == 0 && fl__debug_parse_signal(text + 7, &s->signal))
		return true;
	if (strncmp(text, "events=", 7) == 0 && fl__debug_parse_number(text + 7, 1 << TRACE_LOG2_MOST, &n)) {
		s->log2 = TRACE_LOG2_LEAST;
		while (1u << s->log2 < n)
			s->log2++;
		return true;
	}
	return length == 0;
}

static int trace_parse(const char *text, struct trace_settings *s)
{
	const char *next = strncmp(text, "ring", 4) == 0 && (text[4] == ',' || !text[4]) ? text + 4 : text;
	bool known = next > text;
	while (known && *next) {
		next++;
		const size_t length = strcspn(next, ",");
		known = trace_parse_one(next, length, s);
		next += known ? length : 0;
	}
	if (!known)
		FL__LOG_ONCE(FL_LOG_ERROR,
		             "FL_TRACE: \"%s\" is not ring[,exit][,slow=TIME][,events=N][,file=PREFIX][,signal=N]",
		             next);
	return known ? 0 : -EINVAL;
}

/* Switches the recorder and its signal. Returns false if the system refuses the signal. */
static bool trace_switch(bool on, int signal)
{
	FL__LOCKED(&fl__debug_switch_lock);
	trace_set_words(on);
	return fl__debug_catch(&fl__trace_handler, signal);
}

int fl_trace_enable(const char *settings)
{
	struct trace_settings s = {.log2 = TRACE_LOG2, .signal = SIGQUIT, .prefix = "fairlead"};
	int rc = 0;
	bool caught = true;
	if (!settings || !*settings) {
		(void)trace_switch(false, 0);
		return 0;
	}
	rc = trace_parse(settings, &s);
	if (rc != 0)
		return rc;
	trace_claim();
	trace_begin(s.log2);
	if (trace_ring == TRACE_NO_RING)
		trace_ring = NULL; /* so that the thread tries again to make a ring */
	if (!trace_ring && !trace_begin_thread(FL__TRACE_RINGS)) {
		rc = -ENOMEM;
		if (trace_rings_used == 0)
			fl__trace_rings.mask = 0;
	} else {
		fl__store_relaxed(&trace_now.slow, s.slow);
		trace_now.at_exit = s.at_exit;
		memcpy(trace_now.prefix, s.prefix, sizeof s.prefix);
		caught = trace_switch(true, s.signal);
	}
	trace_unclaim();
	if (!caught)
		FL__LOG_ONCE(FL_LOG_WARNING, "FL_TRACE: signal %d cannot be caught", s.signal);
	return rc;
}

FL__AT_START static void trace_read_environment(void)
{
	/* returns NULL in a program that has more rights than its user */
	const char *text = secure_getenv("FL_TRACE");
	trace_quiet = secure_getenv(FL__REEXEC_VARIABLE);
	if (text && fl_trace_enable(text) == -ENOMEM)
		fl__log(FL_LOG_WARNING, "FL_TRACE: out of memory");
}

/* The child continues in the ring of its thread. The other rings belong to the parent. */
static void trace_make_anew(void)
{
	struct fl__trace_ring *mine = trace_ring;
	fl__store_relaxed(&trace_writing, 0);
	fl__store_relaxed(&fl__trace_rings.lock, 0);
	trace_files = trace_slow_files = 0;
	trace_quiet = true;
	/* the child may be in another time namespace, whose clock may be behind */
	fl__trace_rings.since = trace_slow_last = 0;
	memset(fl__trace_rings.of_threads, 0, sizeof fl__trace_rings.of_threads);
	trace_rings_used = 0;
	/* the child does not inherit the mappings */
	memset(fl__trace_rings.workers, 0, sizeof fl__trace_rings.workers);
	if (mine == trace_shared || (uintptr_t)mine <= (uintptr_t)TRACE_NO_RING) {
		trace_ring = NULL; /* the first event makes a new ring */
		return;
	}
	trace_restart(mine);
	mine->tid = fl__sys.thread_id();
	(void)trace_ring_put(mine);
}

FL__MAKES_ANEW(trace_make_anew)

FL__AT_UNLOAD static void trace_unload(void)
{
	fl__hook_exit(false);
	(void)trace_switch(false, 0);
	if (!fl__is_unloaded())
		return;
	for (unsigned i = 0; i < FL__TRACE_RINGS; i++) {
		if (fl__trace_rings.of_threads[i])
			fl__sys.unmap(fl__trace_rings.of_threads[i], fl__trace_ring_size());
	}
}
