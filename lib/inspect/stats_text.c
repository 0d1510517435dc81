/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writes the statistics of all executors as a text for Prometheus. Counts are copied in one
 * critical section under the lock of the list of executors, and written later, when an executor may
 * have ended. The label `number` distinguishes executors with the same name.
 */
#include "core/base/sys.h"
#include "stats.h"
#include "table.h"
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* A byte is escaped as two backslashes, an x and two digits. */
enum { TEXT_ESCAPED = 5, TEXT_LABELS = 400, TEXT_LINE = 5000 };

struct text_executor {
	char labels[TEXT_LABELS], name[sizeof((fl_executor *)NULL)->name];
	const char *kind;
	uint64_t number;
	char names[FL__STATS_TYPES][sizeof((struct fl__stats_type *)NULL)->name];
	fl_stats_executor stats;
	fl_stats_type types[FL__STATS_TYPES];
	unsigned n_types;
};

struct text {
	fl_bytes bytes;
	int rc;
	size_t n;
	struct text_executor *of;
};

FL_PRINTF(2, 3) static void text_print(struct text *t, const char *format, ...)
{
	char line[TEXT_LINE];
	va_list args;
	va_start(args, format);
	const int size = vsnprintf(line, sizeof line, format, args);
	va_end(args);
	if (t->rc == 0)
		t->rc = fl_bytes_append(&t->bytes, line, (size_t)size);
}

/*
 * Writes the name as ASCII, because a truncated name may be invalid UTF-8, which Prometheus
 * refuses.
 */
static const char *text_escape(char *to, const char *name)
{
	size_t at = 0;
	for (; *name; name++) {
		const unsigned char c = (unsigned char)*name;
		const char *format = c == '"' || c == '\\' ? "\\%c" : c < ' ' || c > '~' ? "\\\\x%02x" : "%c";
		at += (size_t)snprintf(to + at, TEXT_ESCAPED + 1, format, c);
	}
	to[at] = '\0';
	return to;
}

/* Called under the list's lock. */
static void text_copy(struct text_executor *to, fl_executor *e)
{
	FL_IGNORE(fl_executor_stats(e, &to->stats)); /* 0: the list has no executor of a parent */
	to->kind = e->ops->kind;
	to->number = e->number;
	memcpy(to->name, e->name, sizeof to->name);
	to->n_types = 0;
	for (unsigned i = 0; i < FL__STATS_TYPES; i++) {
		fl_stats_type *type = &to->types[to->n_types];
		if (fl__stats_read_type(e, i, type))
			type->name = memcpy(to->names[to->n_types++], type->name, sizeof to->names[0]);
	}
}

static void text_copy_all(struct text *t)
{
	size_t room;
	do {
		room = t->n;
		fl__free(t->of);
		t->of = fl__alloc(room + 1, sizeof *t->of);
		if (!t->of) {
			*t = (struct text){.rc = -ENOMEM};
			return;
		}
		fl__debug_relock();
		t->n = 0;
		for (fl_executor *e = fl__debug_executor_nth(0); e; e = e->next_listed, t->n++)
			if (t->n < room)
				text_copy(&t->of[t->n], e);
		fl__debug_unlock();
	} while (t->n > room);
	for (struct text_executor *to = t->of; to < t->of + t->n; to++) {
		char name[TEXT_ESCAPED * sizeof to->name];
		(void)snprintf(to->labels, sizeof to->labels, "executor=\"%s\",kind=\"%s\",number=\"%" PRIu64 "\"",
		               text_escape(name, to->name), to->kind, to->number);
	}
}

static void text_print_head(struct text *t, const char *name, const char *help, const char *type)
{
	text_print(t, "# HELP fairlead_%s %s\n# TYPE fairlead_%s %s\n", name, help, name, type);
}

static void text_print_counts(struct text *t)
{
#define ROW(member, name, help)                                                                                        \
	{                                                                                                              \
		name, help, offsetof(fl_stats_executor, member)                                                        \
	}
	static const struct {
		const char *name, *help;
		size_t at;
	} rows[] = {
	    ROW(workers, "workers_limit", "The most workers."),
	    ROW(threads, "workers", "Existing workers."),
	    ROW(idle, "workers_idle", "Workers without a task."),
	    ROW(blocked, "workers_blocked", "Workers in a blocking section."),
	    ROW(waiting, "workers_waiting", "Workers asleep in a wait of a task for 5 ms or more."),
	    ROW(pending, "tasks_pending", "Tasks that were submitted and have not started."),
	    ROW(running, "tasks_running", "Tasks that have started and not ended."),
	    ROW(ended, "tasks_ended_total", "Tasks that have ended, also those that failed or were cancelled."),
	    ROW(failed, "tasks_failed_total", "Tasks that have run and returned an error."),
	    ROW(cancelled, "tasks_cancelled_total", "Tasks that have ended without a run."),
	    ROW(workers_started, "workers_started_total", "Workers that were started."),
	    ROW(workers_ended, "workers_ended_total", "Workers that have ended."),
	    ROW(workers_killed, "workers_killed_total", "Worker processes that a signal has ended."),
	    ROW(stolen, "forks_stolen_total", "Parts of parallel loops and calls that another worker ran."),
	    ROW(backlog_waits, "backlog_waits_total", "Submits that have waited for a full backlog."),
	    ROW(backlog_refusals, "backlog_refusals_total", "Submits that a full backlog has refused."),
	};
	for (size_t r = 0; r < FL__COUNT(rows); r++) {
		const char *type = rows[r].at < offsetof(fl_stats_executor, ended) ? "gauge" : "counter";
		text_print_head(t, rows[r].name, rows[r].help, type);
		for (size_t i = t->n; i-- > 0;) {
			const void *at = (const char *)&t->of[i].stats + rows[r].at;
			const bool is_short = rows[r].at < offsetof(fl_stats_executor, pending);
			text_print(t, "fairlead_%s{%s} %zu\n", rows[r].name, t->of[i].labels,
			           is_short ? *(const unsigned *)at : *(const size_t *)at);
		}
	}
}

/* Formats seconds with a decimal point in any locale. */
#define TEXT_SECONDS PRIu64 ".%09" PRIu64
#define TEXT_OF(ns) (uint64_t)(ns) / FL_S(1), (uint64_t)(ns) % FL_S(1)

static void text_print_times(struct text *t, const char *name, const char *help, size_t at)
{
	text_print_head(t, name, help, "summary");
	for (size_t i = t->n; i-- > 0;)
		for (unsigned k = 0; k < t->of[i].n_types; k++) {
			const fl_stats_type *type = &t->of[i].types[k];
			const fl_stats_times *times = (const void *)((const char *)type + at);
			char task[TEXT_ESCAPED * sizeof t->of->names[0]],
			    of[sizeof ",task=\"\"" + TEXT_LABELS + sizeof task];
			(void)snprintf(of, sizeof of, "%s,task=\"%s\"", t->of[i].labels, text_escape(task, type->name));
			text_print(t,
			           "fairlead_%s{%s,quantile=\"0.5\"} %" TEXT_SECONDS "\n"
			           "fairlead_%s{%s,quantile=\"0.99\"} %" TEXT_SECONDS "\n"
			           "fairlead_%s{%s,quantile=\"1\"} %" TEXT_SECONDS "\n"
			           "fairlead_%s_sum{%s} %" TEXT_SECONDS "\nfairlead_%s_count{%s} %" PRIu64 "\n",
			           name, of, TEXT_OF(times->p50), name, of, TEXT_OF(times->p99), name, of,
			           TEXT_OF(times->max), name, of, TEXT_OF(times->sum), name, of, times->n);
		}
}

int fl_stats_text(fl_bytes *bytes)
{
	struct text t = {.rc = 0};
	text_copy_all(&t);
	text_print_counts(&t);
	text_print_times(&t, "task_queue_seconds", "From the submit of a task to its start.",
	                 offsetof(fl_stats_type, queued));
	text_print_times(&t, "task_run_seconds", "From the start of a task to its end.", offsetof(fl_stats_type, ran));
	if (t.rc == 0)
		t.rc = fl_bytes_append(bytes, t.bytes.data, t.bytes.size);
	fl_bytes_free(&t.bytes);
	fl__free(t.of);
	return t.rc;
}
