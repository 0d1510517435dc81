/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Measures tasks. Until a task ends, its future.error is its stamp, because that word has no other
 * use until then. The stamp is the time of the submit, in the form of fl__stats_time(), or 0 if the
 * task was not stamped.
 *
 * While there are few submits, or bursts of at most BURST, each submit stamps its task, which costs
 * a thread less than 1 % of its time. Otherwise a submit stamps its task only when a context that
 * runs tasks has begun about EVERY tasks since the last stamped one, or when about EVERY submits
 * have taken the long way. A refill of a free list counts as several submits, because tasks may be
 * submitted long before they begin. The distance varies with the clock, so that all types are
 * measured if tasks of several types alternate.
 *
 * Each measured task is counted with a weight: the number of tasks, including itself, that the same
 * context begins before the next measured one. It is counted once when it is measured, and for the
 * other tasks when the next one is measured. So the sum of the weights is the number of tasks up to
 * the last measured one. The time in the backlog and the run time have separate weights, because
 * the time in the backlog is measured only for stamped tasks. After a task that took long
 * (STATS_CALM), the context also measures the run of its next task, so that the run of a long task
 * is counted only once.
 *
 *   word         meaning                              written by
 *   short_way    of the executor: submit.c            fl__executor_set_short_way()
 *   skip         submits of the long way until one    fl__hook_idle_on(): 0; fl__hook_stamp_on();
 *                stamps its task                      each submit of the long way, and each refill
 *   calm         the bucket of stats_is_calm()        fl__hook_stamp_on()
 *   types        the histograms of each type, found   CAS from NULL by the first task of the
 *                by its name; the last is for all     type that is measured
 *                further types
 *   set.epoch    the minute that the set counts       CAS by the first add of that minute, which
 *                                                     zeroes the set
 *
 * All accesses are relaxed, because figures order nothing, except those to `types` and to the
 * `times` of a context, which publish histograms. A lost race costs a sample: until the next
 * fl__hook_idle_on() or fl__hook_stamp_on(), the short way may be open while `skip` is 0 or closed
 * while it is not; and adds may be lost while a set is zeroed.
 *
 * Why this design. Only the worker writes its counts of tasks. The reader adds them up without a
 * lock, and stops nothing. To count or stamp each submit would cost too much, so the fast path of a
 * submit has no instruction for the statistics.
 *
 * Times are counted in four buckets for each power of two, for this minute and the last one, so
 * that quantiles describe the present, not the last week. Tasks with the same name are one type. A
 * reader gets one type per call, by its index, so that the number of types, 16, is not part of the
 * interface. docs/decisions/statistics-weights.md gives the reasons for the weights.
 */
#include "stats.h"
#include "core/base/sys.h"
#include <errno.h>
#include <string.h>

static const char stats_others[] = "other types";

enum { STATS_CALM = 20000 /* ns for each stamp */, STATS_BURST = 64, STATS_APART = 8 };

void fl__hook_idle_on(fl_executor *e)
{
	fl__store_relaxed(&e->stats.skip, 0);
	fl__executor_set_short_way(e, false);
}

/*
 * Returns whether submits are calm, which a leaky bucket of BURST stamps decides. A flood fills the
 * bucket no further.
 */
static bool stats_is_calm(struct fl__stats *stats, int64_t now)
{
	enum { MOST = STATS_BURST * STATS_CALM };
	const int64_t before = fl__min_deadline(fl__load_relaxed(&stats->calm), now + MOST);
	const int64_t calm = FL__MAX(before, now - MOST) + STATS_CALM;
	fl__store_relaxed(&stats->calm, calm);
	return calm <= now;
}

/* Returns a distance between half of EVERY and one and a half. */
static int32_t stats_distance(int64_t now)
{
	const uint64_t mixed = (uint64_t)now * 0x9e3779b97f4a7c15u;
	return FL__STATS_EVERY / 2 + (int32_t)((mixed >> 32) % FL__STATS_EVERY);
}

void fl__hook_stamp_on(fl_executor *e, fl_future *f)
{
	const int64_t now = fl__sys.now();
	/*
	 * The short way is open, so this submit took the long way because of a refill. Refills come
	 * at equal distances, so a later submit stamps its task instead.
	 */
	if (fl__executor_has_short_way(e)) {
		fl__store_relaxed(&e->stats.skip, 1 + stats_distance(now) % STATS_APART);
		fl__executor_set_short_way(e, false);
		return;
	}
	if (!stats_is_calm(&e->stats, now)) {
		fl__store_relaxed(&e->stats.skip, stats_distance(now));
		fl__executor_set_short_way(e, true);
	}
	f->error = (int)(fl__stats_time(now) | 1);
}

/* Returns the histograms of a type, or NULL if there is no memory. */
static struct fl__stats_type *stats_type_of(fl_executor *e, const char *name)
{
	enum { LAST = FL__STATS_TYPES - 1 };
	struct fl__stats_type *made = NULL, *type = NULL;
	name = fl__stats_name(name);
	for (unsigned i = strcmp(name, stats_others) == 0 ? LAST : 0; i < FL__STATS_TYPES; i++) {
		/* acquire: pairs with the release of the CAS below */
		type = fl__load_acquire(&e->stats.types[i]);
		if (!type) {
			made = made ? made : fl__alloc(1, sizeof *made);
			if (!made)
				return NULL;
			(void)strncpy(made->name, i == LAST ? stats_others : name, sizeof made->name - 1);
			/* release: pairs with the acquire loads of types[] */
			if (fl__cas_acq_rel(&e->stats.types[i], &type, made))
				return made;
			/* acquire: a CAS that fails does not acquire */
			type = fl__load_acquire(&e->stats.types[i]);
		}
		if (strncmp(type->name, name, sizeof type->name - 1) == 0)
			break;
	}
	fl__free(made);
	return type;
}

static void stats_add(struct fl__stats_times *t, int64_t ns, size_t weight, int64_t now)
{
	const uint32_t epoch = fl__stats_epoch(now);
	struct fl__stats_set *set = &t->sets[epoch % 2];
	uint32_t seen = fl__load_relaxed(&set->epoch);
	if (seen != epoch && fl__cas_relaxed(&set->epoch, &seen, epoch)) {
		for (unsigned i = 0; i < FL__STATS_BUCKETS; i++)
			fl__store_relaxed(&set->counts[i], 0);
		fl__store_relaxed(&set->max, 0);
	}
	/* Bucket 0 is for times below 2^LEAST; after it come four buckets for each power of two. */
	const unsigned log = 63 - (unsigned)__builtin_clzll((uint64_t)ns | 1 << FL__STATS_LEAST);
	const unsigned bucket =
	    ns >> FL__STATS_LEAST == 0 ? 0 : 1 + 4 * (log - FL__STATS_LEAST) + (unsigned)(ns >> (log - 2) & 3);
	fl__add_relaxed(&set->counts[FL__MIN(bucket, FL__STATS_BUCKETS - 1)], (uint32_t)weight);
	fl__add_relaxed(&t->n, (uint64_t)weight);
	fl__add_relaxed(&t->sum, (uint64_t)ns * weight);
	if (ns > fl__load_relaxed(&set->max))
		fl__store_relaxed(&set->max, ns);
}

/*
 * Adds the measurement of a task that began after `begun` others, and adds the last measurement
 * again for each task in between.
 */
static void stats_count(struct fl__stats_last *last, struct fl__stats_times *times, int64_t ns, size_t begun,
                        int64_t now)
{
	/*
	 * acquire: pairs with the release below, because another context may have made the
	 * histograms
	 */
	struct fl__stats_times *before = fl__load_acquire(&last->times);
	const ptrdiff_t between = (ptrdiff_t)(begun - fl__load_relaxed(&last->begun));
	if (before && between > 0)
		stats_add(before, fl__load_relaxed(&last->ns), (size_t)between, now);
	stats_add(times, ns, 1, now);
	/* if negative, the last measurement was by another context, or of a task inside this one */
	if (between < 0)
		return;
	fl__store_release(&last->times, times); /* release: pairs with the acquire above */
	fl__store_relaxed(&last->ns, ns);
	fl__store_relaxed(&last->begun, begun + 1);
}

FL__COLD int fl__hook_begin_on(struct fl__run *run, struct fl__stats_context *context, size_t begun, char **message)
{
	enum { STARVED = 4 * FL__STATS_EVERY };
	fl_executor *e = run->executor;
	const fl_future *f = run->future;
	const bool stamped = f->error != 0;
	const bool few = begun - fl__load_relaxed(&context->ran.begun) >= STARVED ||
	                 fl__load_relaxed(&context->ran.ns) >= STATS_CALM;
	if (!stamped) {
		fl__hook_idle_on(e);
		fl__store_relaxed(&context->next, begun + FL__STATS_EVERY);
	}
	struct fl__stats_type *type = stamped || few ? stats_type_of(e, f->type->name) : NULL;
	if (!type)
		return fl__run_function(run, message);
	const int64_t began = fl__sys.now();
	if (stamped) {
		stats_count(&context->queued, &type->queued, fl__stats_waited(f, began), begun, began);
		fl__store_relaxed(&context->next, begun + (size_t)stats_distance(began));
	}
	const int error = fl__run_function(run, message);
	const int64_t now = fl__sys.now();
	stats_count(&context->ran, &type->ran, now - began, begun, now);
	if (now - began >= STATS_CALM) { /* few tasks, so this one does not stand for others */
		fl__hook_idle_on(e);
		fl__store_relaxed(&context->next, begun + 1);
	}
	return error;
}

FL__COLD void fl__hook_remote_on(fl_executor *e, const fl_future *f, int64_t began, int64_t ran)
{
	const int64_t now = fl__sys.now();
	const bool possible = began > 0 && ran >= 0 && ran <= now - began;
	struct fl__stats_type *type = possible ? stats_type_of(e, f->type->name) : NULL;
	if (!type)
		return;
	stats_count(&e->stats.frame.queued, &type->queued, fl__stats_waited(f, began), e->ran - 1, now);
	stats_count(&e->stats.frame.ran, &type->ran, ran, e->ran - 1, now);
}

/* Reading. */

/* Returns the smallest bound below which `percent` percent of the `n` times lie. */
static int64_t stats_quantile(const uint64_t *counts, uint64_t n, unsigned percent)
{
	uint64_t left = (n * percent + 99) / 100;
	unsigned i = 0;
	while (i + 1 < FL__STATS_BUCKETS && counts[i] < left)
		left -= counts[i++];
	/* four buckets for each power of two; the last has no bound */
	return i + 1 < FL__STATS_BUCKETS ? (int64_t)(4 + i % 4) << (FL__STATS_LEAST - 2 + i / 4) : INT64_MAX;
}

static void stats_read_times(fl_stats_times *to, const struct fl__stats_times *t, uint32_t epoch)
{
	uint64_t counts[FL__STATS_BUCKETS] = {0}, n = 0;
	to->n = fl__load_relaxed(&t->n);
	to->sum = fl__load_relaxed(&t->sum);
	for (unsigned k = 0; k < 2; k++) {
		const struct fl__stats_set *set = &t->sets[k];
		if (epoch - fl__load_relaxed(&set->epoch) > 1)
			continue;
		const int64_t max = fl__load_relaxed(&set->max);
		to->max = FL__MAX(max, to->max);
		for (unsigned i = 0; i < FL__STATS_BUCKETS; i++) {
			const uint32_t count = fl__load_relaxed(&set->counts[i]);
			counts[i] += count;
			n += count;
		}
	}
	to->p50 = fl__min_deadline(stats_quantile(counts, n, 50), to->max);
	to->p99 = fl__min_deadline(stats_quantile(counts, n, 99), to->max);
}

bool fl__stats_read_type(const fl_executor *e, unsigned i, fl_stats_type *to)
{
	const uint32_t epoch = fl__stats_epoch(fl__sys.now());
	/* acquire: pairs with the release of the CAS in stats_type_of() */
	const struct fl__stats_type *type = fl__load_acquire(&e->stats.types[i]);
	if (!type)
		return false;
	*to = (fl_stats_type){.name = type->name};
	stats_read_times(&to->queued, &type->queued, epoch);
	stats_read_times(&to->ran, &type->ran, epoch);
	return true;
}

int fl_executor_type_stats(const fl_executor *e, size_t index, fl_stats_type *stats)
{
	const int rc = fl__executor_enter(e, "fl_executor_type_stats");
	if (rc != 0)
		return rc;
	for (unsigned i = 0; i < FL__STATS_TYPES; i++)
		/* relaxed: fl__stats_read_type() acquires */
		if (fl__load_relaxed(&e->stats.types[i]) && index-- == 0) {
			/* always true: a type that was seen stays */
			FL_IGNORE(fl__stats_read_type(e, i, stats));
			return 0;
		}
	return -ENOENT;
}

/* Reads without the executor's lock, which ThreadSanitizer must not see. */
__attribute__((no_sanitize("thread"))) int fl_executor_stats(const fl_executor *e, fl_stats_executor *stats)
{
	const int rc = fl__executor_enter(e, "fl_executor_stats");
	if (rc != 0)
		return rc;
	*stats = (fl_stats_executor){
	    .workers = e->workers,
	    .pending = e->queue.length,
	    .running = e->running_now,
	    .ended = e->ran + e->not_run,
	    .failed = e->failed,
	    .cancelled = e->not_run,
	    .backlog_waits = e->permits.waits,
	    .backlog_refusals = e->permits.refusals,
	};
	if (e->ops->count)
		e->ops->count(FL__MUTABLE(e), stats);
	return 0;
}
