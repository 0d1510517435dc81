/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writes the rings as JSON (trace.h). The writer is async-signal-safe, because it maps memory for a
 * copy of all events, and waits for no lock. It makes two passes over the events of all rings, in
 * the order of time. The first pass finds the two ends of each arrow, and the ends of slices whose
 * beginning is lost. The second pass prints.
 *
 * An event that changes while it is copied is left out. The times in a ring are made to differ by
 * at least 2 ns, so that slices of 1 ns nest.
 */
#include "core/base/sys.h"
#include "core/wait/lock.h"
#include "report.h"
#include "trace.h"
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/*
 * The kinds of arrows. trace_kinds says whether an arrow's key is in `arg` instead of `object`.
 * TRACE_DEPTH is not an arrow, but the space of the tracks in the hash table.
 */
enum { TRACE_NO_ARROW, TRACE_TO_START, TRACE_TO_END, TRACE_TO_WOKEN, TRACE_DEPTH };
static const char *const trace_arrows[] = {"", "start", "end", "wake"};

static const struct trace_kind {
	char phase; /* the phase of JSON */
	uint8_t in, out;
	bool in_arg, out_arg;
	const char *category, *verb;
	/* the names of these fields: NULL if the field is not written; '#' marks a number */
	const char *object, *arg, *code;
} trace_kinds[] = {
    [FL__TRACE_SUBMIT] = {'X', .out = TRACE_TO_START, .category = "task", .verb = "submit ", .object = "task",
                          .arg = "arg"},
    [FL__TRACE_START] = {'B', .in = TRACE_TO_START, .category = "task", .verb = "", .object = "task"},
    [FL__TRACE_END] = {'E', .out = TRACE_TO_END, .code = "#error"},
    [FL__TRACE_POST] = {'X', TRACE_TO_START, TRACE_TO_START, .out_arg = true, .category = "task", .verb = "post ",
                        .object = "task", .arg = "key"},
    [FL__TRACE_TAKEN] = {'X', TRACE_TO_END, TRACE_TO_END, .in_arg = true, .category = "task", .verb = "taken ",
                         .object = "task", .arg = "key", .code = "#error"},
    [FL__TRACE_GET] = {'X', .in = TRACE_TO_END, .category = "task", .verb = "get ", .object = "task"},
    [FL__TRACE_CANCEL] = {'X', .in = TRACE_TO_START, .category = "task", .verb = "cancel", .object = "task"},
    [FL__TRACE_WAIT] = {'B', .category = "wait", .verb = ""},
    [FL__TRACE_WOKEN] = {'E', .in = TRACE_TO_WOKEN, .code = "#error"},
    [FL__TRACE_WAKE] = {'X', .out = TRACE_TO_WOKEN, .category = "wake", .verb = "wake", .arg = "#woken"},
    [FL__TRACE_HAND_OFF] = {'i', .category = "lock", .verb = "hand-off", .object = "object"},
    [FL__TRACE_STEAL] = {'i', .category = "task", .verb = "steal", .object = "object"},
    [FL__TRACE_KILL] = {'i', .category = "process", .verb = "kill: ", .object = "#process"},
    [FL__TRACE_POLL] = {'B', .category = "loop", .verb = "poll", .object = "object"},
    [FL__TRACE_RUN] = {'B', .category = "fiber"},
    [FL__TRACE_INDEX] = {'i', .category = "task", .verb = "index", .object = "task", .arg = "#index"},
};

#define TRACE_RANK_ARROW UINT32_MAX

struct trace_copy {
	/* here the mark is only the kind, or 0 if the event is not written */
	struct fl__trace_event e;
	uint32_t in, out, again; /* the numbers of the arrows, or 0 */
};

/* The events of one ring. */
struct trace_part {
	struct trace_copy *first, *next, *end;
	char thread[FL__TRACE_NAME], process[FL__TRACE_NAME]; /* `process` is valid if `is_worker` is true */
	char names[FL__TRACE_NAMES][FL__TRACE_NAME];
	int32_t pid;
	uint32_t context; /* the number of the thread's context */
	bool is_worker;   /* true if the ring belongs to a worker process */
	bool runs;        /* true while a slice of a fiber is open */
	uint64_t lost;
};

/* An entry of a hash table: the beginning of an arrow whose end is not found yet, or a track. */
struct trace_open {
	uint64_t key;
	int32_t pid;
	uint32_t space;          /* 0 while the entry is free */
	struct trace_copy *from; /* for a track: the last RUN of the fiber */
	uint32_t n;              /* the track's open slices, or whether the arrow is `again` */
};

struct trace_writer {
	int fd, rc;
	int64_t now;
	uint64_t lost;
	struct trace_open *table;
	size_t mask; /* the number of slots of the table, less 1 */
	uint32_t arrows;
	unsigned n_parts;
	size_t used;
	struct fl__symbols symbols;
	struct trace_part parts[FL__TRACE_RINGS + FL__TRACE_WORKERS];
	/* a heap of the parts with events left, by the time of their next event */
	struct trace_part *heap[FL__TRACE_RINGS + FL__TRACE_WORKERS];
	unsigned n_heap;
	char text[1 << 16];
};

/* Printing. */

static void trace_flush(struct trace_writer *w)
{
	if (w->rc == 0)
		w->rc = fl__sys.print(w->fd, w->text, w->used);
	w->used = 0;
}

FL_PRINTF(2, 3) static void trace_print(struct trace_writer *w, const char *format, ...)
{
	enum { MOST = 1024 };
	va_list args;
	if (sizeof w->text - w->used < MOST)
		trace_flush(w);
	va_start(args, format);
	const int n = vsnprintf(w->text + w->used, MOST, format, args);
	va_end(args);
	w->used += (size_t)FL__MIN(n, MOST - 1);
}

/* Writes the text as the inside of a JSON string. A worker process may have left any byte. */
static void trace_escape(char *to, const char *text, size_t size)
{
	for (; size > 0 && *text; size--, text++) {
		if (*text == '"' || *text == '\\')
			*to++ = '\\';
		*to++ = *text < ' ' || *text > '~' ? '?' : *text;
	}
	*to = '\0';
}

/* Prints the beginning of an event on the track of `context`. The caller adds the rest, and '}'. */
static void trace_print_head(struct trace_writer *w, const struct trace_part *p, char phase, uint32_t context,
                             int64_t time)
{
	trace_print(w, ",\n{\"ph\":\"%c\",\"pid\":%d,\"tid\":%u,\"ts\":%lld.%03lld", phase, (int)p->pid, context,
	            (long long)time / 1000, (long long)time % 1000);
}

/*
 * Prints the beginning or (if not `begins`) the end of the arrow `id` at the event. `key` is used
 * for an arrow from or to another rank.
 */
static void trace_print_arrow(struct trace_writer *w, const struct trace_part *p, const struct trace_copy *c,
                              bool begins, unsigned arrow, uint32_t id, uint64_t key)
{
	if (id == 0)
		return;
	trace_print_head(w, p, begins ? 's' : 'f', c->e.context, c->e.time - (trace_kinds[c->e.mark].phase == 'E'));
	trace_print(w, ",\"name\":\"%s\"%s", trace_arrows[arrow], begins ? "" : ",\"bp\":\"e\"");
	if (id == TRACE_RANK_ARROW)
		trace_print(w, ",\"cat\":\"rank\",\"id\":\"%#llx\"}", (unsigned long long)key);
	else
		trace_print(w, ",\"cat\":\"%s\",\"id\":%u}", arrow == TRACE_TO_WOKEN ? "wake" : "task", id);
}

static uint64_t trace_key(const struct trace_copy *c, bool in_arg)
{
	return in_arg ? c->e.arg : c->e.object;
}

static void trace_print_arrows(struct trace_writer *w, const struct trace_part *p, const struct trace_copy *c)
{
	const struct trace_kind *k = &trace_kinds[c->e.mark];
	trace_print_arrow(w, p, c, false, k->in, c->in, trace_key(c, k->in_arg));
	trace_print_arrow(w, p, c, true, k->out, c->out, trace_key(c, k->out_arg));
	trace_print_arrow(w, p, c, true, TRACE_TO_START, c->again, 0);
}

static void trace_print_number(struct trace_writer *w, const char **comma, const char *name, uint64_t n)
{
	if (!name)
		return;
	trace_print(w, *name == '#' ? "%s\"%s\":%llu" : "%s\"%s\":\"%#llx\"", *comma, name + (*name == '#'),
	            (unsigned long long)n);
	*comma = ",";
}

static void trace_print_name(struct trace_writer *w, int32_t pid, uint32_t tid, const char *text, uint64_t lost,
                             bool fiber)
{
	char name[2 * FL__TRACE_NAME];
	trace_escape(name, text, FL__TRACE_NAME - 1);
	trace_print(w, ",\n{\"ph\":\"M\",\"name\":\"thread_name\",\"pid\":%d,\"tid\":%u,\"args\":{\"name\":\"%s\"",
	            (int)pid, tid, name);
	trace_print(w, fiber ? ",\"fiber\":1}}" : ",\"lost\":%llu}}", (unsigned long long)lost);
}

static void trace_print_process(struct trace_writer *w, const char *comma, int32_t pid, const char *text)
{
	char name[2 * FL__TRACE_NAME];
	trace_escape(name, text, FL__TRACE_NAME - 1);
	trace_print(w, "%s\n{\"ph\":\"M\",\"name\":\"process_name\",\"pid\":%d,\"args\":{\"name\":\"%s\"}}", comma,
	            (int)pid, name);
}

/* Prints a wait as "wait", or as "idle" if a worker waits for a task. */
static void trace_print_wait(struct trace_writer *w, bool own, const struct fl__trace_event *e)
{
	const uint8_t kind = e->code < FL__DEBUG_KINDS ? e->code : FL__DEBUG_NOTHING;
	const void *object = (const void *)(uintptr_t)e->object;
	char text[FL__REPORT_OBJECT], name[2 * FL__REPORT_OBJECT];
	fl__awaited_write(text, sizeof text, kind, NULL);
	trace_print(w, ",\"cat\":\"%s\",\"name\":\"%s\"", kind == FL__DEBUG_TASK ? "idle" : "wait", text);
	if (own && !fl__awaited_is_number(kind))
		fl__backtrace_describe_object(&w->symbols, object, text, sizeof text);
	else
		(void)snprintf(text, sizeof text, fl__awaited_is_number(kind) ? "%llu" : "%#llx",
		               (unsigned long long)e->object);
	trace_escape(name, text, sizeof text);
	trace_print(w, object ? ",\"args\":{\"object\":\"%s\"}}" : "}", name);
}

/* Prints that the scheduler switches to a fiber or, if `context` is 0, to none. */
static void trace_print_run(struct trace_writer *w, struct trace_part *p, const struct fl__trace_event *e, bool named)
{
	char text[2 * sizeof(uint64_t) + 1] = "", name[2 * sizeof text];
	memcpy(text, &e->object, sizeof e->object);
	memcpy(text + sizeof e->object, &e->arg, sizeof e->arg);
	if (p->runs) {
		trace_print_head(w, p, 'E', p->context, e->time - 1);
		trace_print(w, "}");
	}
	p->runs = e->context != 0;
	if (!p->runs)
		return;
	if (!named)
		trace_print_name(w, p->pid, e->context, text, 0, true);
	trace_escape(name, text, sizeof text);
	trace_print_head(w, p, 'B', p->context, e->time);
	trace_print(w, ",\"cat\":\"fiber\",\"name\":\"%s\",\"args\":{\"fiber\":%u}}", name, e->context);
}

static void trace_print_event(struct trace_writer *w, struct trace_part *p, const struct trace_copy *c)
{
	const struct fl__trace_event *e = &c->e;
	const struct trace_kind *k = &trace_kinds[e->mark];
	const bool ends = k->phase == 'E' || (e->mark == FL__TRACE_POLL && e->arg == 0);
	const char *comma = "";
	char name[2 * FL__TRACE_NAME];
	if (e->mark == FL__TRACE_RUN) {
		trace_print_run(w, p, e, c->in != 0);
		return;
	}
	if (ends)
		trace_print_arrows(w, p, c);
	trace_print_head(w, p, ends ? 'E' : k->phase, e->context, e->time);
	if (e->mark == FL__TRACE_WAIT) {
		trace_print_wait(w, !p->is_worker, e);
		return;
	}
	if (!ends) {
		const bool has_name = !*k->verb || strchr(k->verb, ' ');
		trace_escape(name, has_name ? p->names[e->name % FL__TRACE_NAMES] : "", FL__TRACE_NAME - 1);
		trace_print(w, ",\"cat\":\"%s\",\"name\":\"%s%s\"%s", k->category, k->verb, name,
		            k->phase == 'X'   ? ",\"dur\":0.001"
		            : k->phase == 'i' ? ",\"s\":\"t\""
		                              : "");
	}
	trace_print(w, ",\"args\":{");
	trace_print_number(w, &comma, ends ? NULL : k->object, e->object);
	trace_print_number(w, &comma, k->arg, e->arg);
	trace_print_number(w, &comma, k->code, e->code);
	if (e->mark == FL__TRACE_START && e->arg != UINT64_MAX)
		trace_print(w, ",\"queued\":%llu.%03llu", (unsigned long long)e->arg / 1000,
		            (unsigned long long)e->arg % 1000);
	trace_print(w, "}}");
	if (!ends)
		trace_print_arrows(w, p, c);
}

/*
 * Prints the beginning of the file, with the boot id and the number of the clock. Files have the
 * same values if their times come from the same clock.
 */
static void trace_print_begin(struct trace_writer *w)
{
	char boot[37] = "";
	const int fd = FL__RETRY(FL__SYS_RESULT(open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC)));
	if (fd >= 0) {
		const ssize_t n = FL__RETRY(FL__SYS_RESULT(read(fd, boot, sizeof boot - 1)));
		boot[n > 0 ? n : 0] = '\0';
		(void)close(fd);
	}
	trace_print(
	    w,
	    "{\"displayTimeUnit\":\"ns\",\"otherData\":{\"pid\":%ld,\"rank\":%d,\"boot\":\"%s %llu\",\"lost\":%llu},\n"
	    "\"traceEvents\":[",
	    (long)getpid(), (int)fl__load_relaxed(&fl__trace_rank), boot,
	    (unsigned long long)(fl__sys.clock_number ? fl__sys.clock_number() : 0), (unsigned long long)w->lost);
	trace_print_process(w, "", (int32_t)getpid(), program_invocation_short_name);
}

/* Matching. */

static struct trace_open *trace_open_of(struct trace_writer *w, uint32_t space, int32_t pid, uint64_t key)
{
	if (key >> 63)
		pid = 0; /* a remote key is the same in all processes */
	size_t at = ((key ^ (uint64_t)pid << 40) + space) * 0x9e3779b97f4a7c15u >> 20;
	struct trace_open *o = &w->table[at & w->mask];
	while (o->space != 0 && (o->space != space || o->key != key || o->pid != pid))
		o = &w->table[++at & w->mask];
	o->space = space;
	o->key = key;
	o->pid = pid;
	return o;
}

/*
 * Returns whether START can belong to SUBMIT. It need not, because events between them may have
 * been overwritten.
 */
static bool trace_is_pair(const struct trace_copy *from, const struct trace_copy *to)
{
	const int64_t waited = to->e.time - from->e.time;
	const bool is_timed = to->e.mark == FL__TRACE_START && from->e.mark == FL__TRACE_SUBMIT;
	return !is_timed || (uint64_t)(waited - (int64_t)to->e.arg + FL_US(5)) < FL_US(10);
}

static uint32_t trace_end_arrow(struct trace_writer *w, struct trace_copy *c, uint32_t space, int32_t pid, uint64_t key)
{
	if (key >> 62 == 3)
		return TRACE_RANK_ARROW;
	struct trace_open *o = trace_open_of(w, space, pid, key);
	if (!o->from || !trace_is_pair(o->from, c))
		return 0;
	*(o->n ? &o->from->again : &o->from->out) = ++w->arrows;
	o->from = NULL;
	return w->arrows;
}

static void trace_begin_arrow(struct trace_writer *w, struct trace_copy *c, uint32_t space, int32_t pid, uint64_t key,
                              bool again)
{
	struct trace_open *o = trace_open_of(w, space, pid, key);
	o->from = c;
	o->n = again;
}

static void trace_match(struct trace_writer *w, const struct trace_part *p, struct trace_copy *c)
{
	const struct fl__trace_event *e = &c->e;
	const struct trace_kind *k = &trace_kinds[e->mark];
	const bool is_poll = e->mark == FL__TRACE_POLL;
	if (k->phase == 'B' || k->phase == 'E') {
		struct trace_open *depth = trace_open_of(w, TRACE_DEPTH, p->pid, e->context);
		if (e->mark == FL__TRACE_RUN) {
			c->in = depth->from != NULL;
			depth->from = c;
			return;
		}
		const bool begins = is_poll ? e->arg != 0 : k->phase == 'B';
		if (!begins && depth->n == 0) {
			c->e.mark = 0;
			return;
		}
		depth->n += begins ? 1 : UINT32_MAX; /* adding UINT32_MAX subtracts 1 */
	}
	const uint64_t in = trace_key(c, k->in_arg), out = trace_key(c, k->out_arg);
	/* a later GET at this address belongs to the new task; a wait that gave up was not woken */
	if (e->mark == FL__TRACE_SUBMIT)
		trace_open_of(w, TRACE_TO_END, p->pid, e->object)->from = NULL;
	if (e->mark == FL__TRACE_WOKEN && e->code != 0)
		trace_open_of(w, TRACE_TO_WOKEN, p->pid, e->object)->from = NULL;
	if (k->in && in)
		c->in = trace_end_arrow(w, c, k->in, p->pid, in);
	if (k->out && out >> 62 == 3)
		c->out = TRACE_RANK_ARROW;
	else if (k->out && out)
		trace_begin_arrow(w, c, k->out, p->pid, out, false);
	if (e->mark == FL__TRACE_POST)
		trace_begin_arrow(w, c, TRACE_TO_START, p->pid, e->object, true);
}

static bool trace_is_earlier(const struct trace_part *a, const struct trace_part *b)
{
	const int64_t x = a->next->e.time, y = b->next->e.time;
	return x < y || (x == y && a < b);
}

/* Moves a part down the heap to where its next event belongs. */
static void trace_sink(struct trace_writer *w, unsigned at)
{
	struct trace_part *const moved = w->heap[at];
	for (unsigned child; (child = 2 * at + 1) < w->n_heap; at = child) {
		if (child + 1 < w->n_heap && trace_is_earlier(w->heap[child + 1], w->heap[child]))
			child++;
		if (!trace_is_earlier(w->heap[child], moved))
			break;
		w->heap[at] = w->heap[child];
	}
	w->heap[at] = moved;
}

/* Begins a pass over all events. */
static void trace_rewind(struct trace_writer *w)
{
	w->n_heap = 0;
	for (struct trace_part *p = w->parts; p < w->parts + w->n_parts; p++) {
		p->next = p->first;
		if (p->first < p->end)
			w->heap[w->n_heap++] = p;
	}
	for (unsigned i = w->n_heap / 2; i-- > 0;)
		trace_sink(w, i);
}

/* Returns the earliest event that is left, or NULL. */
static struct trace_copy *trace_next(struct trace_writer *w, struct trace_part **part)
{
	if (w->n_heap == 0)
		return NULL;
	struct trace_part *p = *part = w->heap[0];
	struct trace_copy *c = p->next++;
	if (p->next == p->end)
		w->heap[0] = w->heap[--w->n_heap];
	if (w->n_heap > 0)
		trace_sink(w, 0);
	return c;
}

/* The copy. */

static bool trace_copy_event(const struct trace_writer *w, struct trace_copy *to, struct fl__trace_ring *ring,
                             uint64_t at)
{
	struct fl__trace_event *from = &ring->events[at & fl__trace_rings.mask];
	/* acquire: pairs with the release in trace_record() */
	const uint16_t mark = fl__load_acquire(&from->mark);
	const unsigned kind = mark & 255;
	*to = (struct trace_copy){.e = {.time = fl__load_relaxed(&from->time),
	                                .object = fl__load_relaxed(&from->object),
	                                .arg = fl__load_relaxed(&from->arg),
	                                .context = fl__load_relaxed(&from->context),
	                                .name = fl__load_relaxed(&from->name),
	                                .code = fl__load_relaxed(&from->code),
	                                .mark = (uint16_t)kind}};
	/*
	 * acquire fence: if a field belongs to a later event, the mark read below has also changed
	 */
	fl__fence_acquire();
	return kind > 0 && kind < FL__COUNT(trace_kinds) && mark == fl__trace_mark(kind, at) &&
	       fl__load_relaxed(&from->mark) == mark && to->e.time >= fl__trace_rings.since && to->e.time <= w->now;
}

static uint64_t trace_ring_length(const struct fl__trace_ring *ring)
{
	const uint64_t n = fl__load_relaxed(&ring->head) - fl__load_relaxed(&ring->first);
	return FL__MIN(n, (uint64_t)fl__trace_rings.mask + 1);
}

/* Copies the events of the ring to `to`, but not beyond `end`. Returns the place after the last. */
static struct trace_copy *trace_copy_ring(struct trace_writer *w, struct fl__trace_ring *ring,
                                          const struct fl__trace_worker *worker, struct trace_copy *to,
                                          const struct trace_copy *end)
{
	struct trace_part *p = &w->parts[w->n_parts++];
	/* relaxed: each is read only once, because the thread goes on recording */
	const uint64_t head = fl__load_relaxed(&ring->head), ever = head - fl__load_relaxed(&ring->first);
	const uint64_t n = FL__MIN(ever, (uint64_t)fl__trace_rings.mask + 1);
	const uint32_t tid = fl__load_relaxed(&ring->tid);
	int64_t last = 0;
	*p = (struct trace_part){.is_worker = worker, .first = to, .next = to};
	if (worker)
		memcpy(p->process, worker->name, sizeof p->process);
	for (unsigned i = 0; i < FL__TRACE_NAME; i++)
		p->thread[i] = fl__load_relaxed(&ring->thread[i]);
	p->pid = worker ? worker->pid : (int32_t)getpid();
	p->context = fl__load_relaxed(&ring->context);
	p->lost = ever - n;
	w->lost += p->lost;
	for (uint64_t at = head - n; at != head && to != end; at++) {
		if (!trace_copy_event(w, to, ring, at))
			continue;
		to->e.time = last = FL__MAX(to->e.time, last + 2);
		to++;
	}
	for (unsigned i = 0; i < FL__TRACE_NAMES; i++)
		for (unsigned k = 0; k < FL__TRACE_NAME; k++)
			p->names[i][k] = fl__load_relaxed(&ring->names[i][k]);
	(void)strcpy(p->names[0], "?"); /* the table of names was full */
	/*
	 * acquire fence: if another thread has taken over the ring during the copy, tid has also
	 * changed, and the copy is dropped, because names may be those of the other thread
	 */
	fl__fence_acquire();
	p->end = fl__load_relaxed(&ring->tid) == tid ? to : p->first;
	return p->end;
}

static struct fl__trace_ring *trace_ring_at(unsigned i)
{
	/* acquire: pairs with the release that puts a ring into the table */
	return i < FL__TRACE_RINGS ? fl__load_acquire(&fl__trace_rings.of_threads[i])
	                           : fl__trace_rings.workers[i - FL__TRACE_RINGS].ring;
}

static void trace_copy_rings(struct trace_writer *w, struct trace_copy *to, const struct trace_copy *end)
{
	for (unsigned i = 0; i < FL__COUNT(w->parts); i++) {
		struct fl__trace_ring *ring = trace_ring_at(i);
		const struct fl__trace_worker *worker =
		    i < FL__TRACE_RINGS ? NULL : &fl__trace_rings.workers[i - FL__TRACE_RINGS];
		if (ring)
			to = trace_copy_ring(w, ring, worker, to, end);
	}
}

static void trace_print_all(struct trace_writer *w, struct fl__trace_count *count)
{
	struct trace_part *p;
	struct trace_copy *c;
	trace_rewind(w);
	while ((c = trace_next(w, &p)) != NULL)
		trace_match(w, p, c);
	trace_print_begin(w);
	*count = (struct fl__trace_count){0};
	for (p = w->parts; p < w->parts + w->n_parts; p++) {
		count->events += (size_t)(p->end - p->first);
		*(p->is_worker ? &count->workers : &count->threads) += 1;
		if (p->is_worker)
			trace_print_process(w, ",", p->pid, p->process);
		trace_print_name(w, p->pid, p->context, p->is_worker ? "main" : p->thread, p->lost, false);
	}
	trace_rewind(w);
	while ((c = trace_next(w, &p)) != NULL)
		if (c->e.mark != 0)
			trace_print_event(w, p, c);
	trace_print(w, "\n]}\n");
	trace_flush(w);
}

uint64_t fl__trace_length(void)
{
	uint64_t n = 0;
	for (unsigned i = 0; i < FL__TRACE_RINGS + FL__TRACE_WORKERS; i++)
		n += trace_ring_at(i) ? trace_ring_length(trace_ring_at(i)) : 0;
	return n;
}

/*
 * Other threads record while this one writes. Events later than `now` are not written, so the
 * memory suffices for all others: each was counted, except at most one per thread, whose time was
 * read before `now` but which was counted too late.
 */
int fl__trace_write_json(int fd, struct fl__trace_count *count)
{
	struct trace_writer *w;
	if (!fl__try_lock(&fl__trace_rings.lock))
		return -EBUSY;
	const int64_t now = fl__sys.now();
	const uint64_t n = fl__trace_length() + FL__COUNT(w->parts);
	size_t slots = 8;
	while (slots < 6 * n) /* an event needs at most three entries of the table */
		slots *= 2;
	const size_t size =
	    sizeof(struct trace_writer) + n * sizeof(struct trace_copy) + slots * sizeof(struct trace_open);
	w = fl__sys.map(size);
	if (w) {
		w->fd = fd;
		w->now = now;
		w->table = (void *)(w + 1);
		w->mask = slots - 1;
		struct trace_copy *const copies = (void *)(w->table + slots);
		trace_copy_rings(w, copies, copies + n);
	}
	(void)fl__unlock(&fl__trace_rings.lock);
	if (!w)
		return -ENOMEM;
	/* only now, so that the file keeps its contents if there is no memory */
	(void)FL__RETRY(FL__SYS_RESULT(ftruncate(fd, 0)));
	trace_print_all(w, count);
	const int rc = w->rc;
	fl__symbols_end(&w->symbols);
	fl__sys.unmap(w, size);
	return rc;
}
