/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Measures tasks. Until its end a task's future.error is its stamp: bit 0 if the task stands for
 * EVERY tasks, and the time of its submit in units of 1,024 ns, modulo 36 minutes. 0: the task is
 * not measured.
 *
 *   word         meaning                              written by
 *   e->plain     the short way of fl_submit() is      stats_set_sampling(): fork_count opens it,
 *                open                                 UINT32_MAX closes it
 *   sampling     NONE; ONE: the next submit stamps    fl__stats_arm(): to ONE, or to ALL while tasks
 *                its task; ALL: each submit does      are few; fl__stats_stamp(): ONE to NONE, and
 *                                                     ALL to NONE if two submits are close
 *   types        the histograms of each type, found   CAS from NULL by the first task of the
 *                by its name; the last is for all      type that is measured
 *                further types
 *   set.epoch    the minute that the set counts       CAS by the first add of that minute, which
 *                                                     zeroes the set
 *
 * All accesses are relaxed, except to `types`: figures order nothing. A lost race costs a sample:
 * `plain` may be open while `sampling` is ONE, until the next arm; two adds may miss each other, and
 * adds may be lost while a set is zeroed.
 */
#include "stats.h"
#include "../base/sys.h"
#include "executor.h"
#include <errno.h>
#include <string.h>

static const char stats_others[] = "other types";

enum { STATS_UNIT = 10, STATS_CLOSE = 20000, STATS_FEW = 50000 /* ns for each task */ };

static void stats_set_sampling(fl_executor *e, uint32_t sampling)
{
	const bool open = sampling == FL__STATS_NONE && e->has_short_way;
	fl__store_relaxed(&e->stats.sampling, sampling);
	fl__store_relaxed(&e->plain, open ? e->fork_count : UINT32_MAX);
}

FL__COLD void fl__stats_arm(fl_executor *e, int64_t *since)
{
	const int64_t now = fl__sys.now(), before = fl__load_relaxed(since);
	fl__store_relaxed(since, now);
	stats_set_sampling(e, now - before < FL__STATS_EVERY * STATS_FEW ? FL__STATS_ONE : FL__STATS_ALL);
}

void fl__stats_stamp(fl_executor *e, fl_future *f)
{
	const uint32_t sampling = fl__load_relaxed(&e->stats.sampling);
	if (sampling == FL__STATS_NONE)
		return;
	const int64_t now = fl__sys.now();
	if (sampling == FL__STATS_ONE || now - fl__load_relaxed(&e->stats.stamped) < STATS_CLOSE)
		stats_set_sampling(e, FL__STATS_NONE);
	fl__store_relaxed(&e->stats.stamped, now);
	f->error = (int)((uint32_t)(now >> STATS_UNIT << 1) | (sampling == FL__STATS_ONE));
}

/* NULL: out of memory. */
static struct fl__stats_type *stats_type_of(fl_executor *e, const char *name)
{
	enum { LAST = FL_STATS_TYPES - 1 };
	struct fl__stats_type *made = NULL, *type = NULL;
	name = name ? name : "task";
	const char *colon = strrchr(name, ':'); /* behind the file of a static task */
	name = colon ? colon + 1 : name;
	for (unsigned i = strcmp(name, stats_others) == 0 ? LAST : 0; i < FL_STATS_TYPES; i++) {
		type = fl__load_acquire(&e->stats.types[i]); /* pairs with the CAS */
		if (!type) {
			made = made ? made : fl__alloc_from(e->allocator, 1, sizeof *made);
			if (!made)
				return NULL;
			(void)strncpy(made->name, i == LAST ? stats_others : name, sizeof made->name - 1);
			if (fl__cas_acq_rel(&e->stats.types[i], &type, made)) /* pairs with the load above */
				return made;
		}
		if (strncmp(type->name, name, sizeof type->name - 1) == 0)
			break;
	}
	fl__free_to(e->allocator, made);
	return type;
}

static void stats_add(struct fl__stats_times *t, int64_t ns, uint32_t weight, int64_t now)
{
	const uint32_t epoch = fl__stats_epoch(now);
	struct fl__stats_set *set = &t->sets[epoch % 2];
	uint32_t seen = fl__load_relaxed(&set->epoch);
	if (seen != epoch && fl__cas_relaxed(&set->epoch, &seen, epoch)) {
		for (unsigned i = 0; i < FL__STATS_BUCKETS; i++)
			fl__store_relaxed(&set->counts[i], 0);
		fl__store_relaxed(&set->max, 0);
	}
	/* bucket 0: below 2^LEAST; then four for each power of two */
	const unsigned log = 63 - (unsigned)__builtin_clzll((uint64_t)ns | 1 << FL__STATS_LEAST);
	const unsigned bucket =
	    ns >> FL__STATS_LEAST == 0 ? 0 : 1 + 4 * (log - FL__STATS_LEAST) + (unsigned)(ns >> (log - 2) & 3);
	fl__add_relaxed(&set->counts[bucket < FL__STATS_BUCKETS ? bucket : FL__STATS_BUCKETS - 1], weight);
	fl__add_relaxed(&t->n, weight);
	fl__add_relaxed(&t->sum, (uint64_t)ns * weight);
	if (ns > fl__load_relaxed(&set->max))
		fl__store_relaxed(&set->max, ns);
}

FL__COLD void fl__stats_measure(struct fl__stats_task *measured, fl_executor *e, const fl_future *f)
{
	const int64_t now = fl__sys.now();
	const uint32_t stamp = (uint32_t)f->error;
	const uint32_t waited = (uint32_t)(now >> STATS_UNIT << 1) - (stamp & ~1u);
	struct fl__stats_type *type = stats_type_of(e, f->type->name);
	*measured = (struct fl__stats_task){type, now, stamp & 1 ? FL__STATS_EVERY : 1};
	if (type)
		stats_add(&type->queued, (int64_t)(waited / 2) << STATS_UNIT, measured->weight, now);
}

FL__COLD void fl__stats_measured(const struct fl__stats_task *measured)
{
	const int64_t now = fl__sys.now();
	stats_add(&measured->type->ran, now - measured->began, measured->weight, now);
}

/* Reading. */

/* The least bound below which so many of `n` percent lie. */
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
		to->max = max > to->max ? max : to->max;
		for (unsigned i = 0; i < FL__STATS_BUCKETS; i++) {
			const uint32_t count = fl__load_relaxed(&set->counts[i]);
			counts[i] += count;
			n += count;
		}
	}
	to->p50 = fl__min_deadline(stats_quantile(counts, n, 50), to->max);
	to->p99 = fl__min_deadline(stats_quantile(counts, n, 99), to->max);
}

static void stats_read_types(const fl_executor *e, fl_executor_stats *stats)
{
	const uint32_t epoch = fl__stats_epoch(fl__sys.now());
	for (unsigned i = 0; i < FL_STATS_TYPES; i++) {
		const struct fl__stats_type *type = fl__load_acquire(&e->stats.types[i]); /* pairs with the CAS */
		if (!type)
			continue;
		fl_stats_type *to = &stats->types[stats->n_types++];
		to->name = type->name;
		stats_read_times(&to->queued, &type->queued, epoch);
		stats_read_times(&to->ran, &type->ran, epoch);
	}
}

/* Without the executor's lock, which ThreadSanitizer must not see. */
__attribute__((no_sanitize("thread"))) int fl_executor_get_stats(fl_executor *e, fl_executor_stats *stats)
{
	fl__executor_check(e, "fl_executor_get_stats");
	if (fl__executor_is_forked(e))
		return -EOWNERDEAD;
	if (e->ops->withdraw)
		return -ENOTSUP;
	*stats = (fl_executor_stats){
	    .workers = e->workers,
	    .pending = e->queue.length,
	    .running = e->running_now,
	    .ended = e->ran + e->not_run,
	    .failed = e->failed,
	    .cancelled = e->not_run,
	    .backlog_waits = e->permits.waits,
	    .backlog_refusals = e->permits.refusals,
	};
	stats_read_types(e, stats);
	if (e->ops->count)
		e->ops->count(e, stats);
	return 0;
}
