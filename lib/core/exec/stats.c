/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Statistics of executors: counts, and histograms of times.
 *
 * Until its end a task's future.error is its stamp: the time of its submit in units of 512 ns,
 * modulo 2^32 (36 minutes). 0: the task is not measured.
 *
 *   word         meaning                              written by
 *   e->plain     the short way of fl_submit() is      stats_set_sampling(): fork_count opens it,
 *                open                                 UINT32_MAX closes it
 *   sampling     NONE; ONE: the next submit stamps    a worker, of each EVERY-th task: NONE to ONE;
 *                its task; ALL: each does             the submit that stamps: ONE to NONE; a worker
 *                                                     that begins a stamped task: ALL or NONE
 *   types[i]     a type's histograms                  CAS from NULL by the first that measures it;
 *                                                     the last element is for all further types
 *   set.epoch    the time in units of 69 s            CAS by the first add of an epoch, which then
 *                                                     zeroes the set
 *   other counts of a histogram                       relaxed additions
 *
 * ALL is chosen while a worker begins fewer than a task each STATS_RARE ns. All orders are relaxed,
 * but those of types[] and of epochs: the figures order nothing. A lost race costs a sample:
 *   - `plain` may say that the short way is open while `sampling` is ONE. The next arm, EVERY tasks
 *     later, closes it again.
 *   - Workers may disagree about ALL.
 *   - What is added while a set is zeroed may be lost.
 *
 * A bucket is a quarter of a power of two, from 2^8 to 2^41 ns. Quantiles are upper bounds.
 */
#include "stats.h"
#include "../base/sys.h"
#include "executor.h"
#include <string.h>

enum { STATS_UNIT = 9, STATS_EPOCH = 36, STATS_LEAST = 8 }; /* powers of two, in ns */

static const int64_t stats_rare = 50000;

static void stats_set_sampling(fl_executor *e, uint32_t sampling)
{
	const bool open = sampling == FL__STATS_NONE && e->has_short_way;
	fl__store_relaxed(&e->stats.sampling, sampling);
	fl__store_relaxed(&e->plain, open ? e->fork_count : UINT32_MAX);
}

void fl__stats_init(fl_executor *e)
{
	stats_set_sampling(e, FL__STATS_EVERY > 0 ? FL__STATS_ALL : FL__STATS_NONE);
}

FL__COLD void fl__stats_arm(fl_executor *e)
{
	if (fl__load_relaxed(&e->stats.sampling) == FL__STATS_NONE)
		stats_set_sampling(e, FL__STATS_ONE);
}

void fl__stats_stamp(fl_executor *e, fl_future *f)
{
	uint32_t seen = fl__load_relaxed(&e->stats.sampling);
	if (FL__STATS_EVERY == 0 || seen == FL__STATS_NONE)
		return;
	if (seen == FL__STATS_ONE && !fl__cas_relaxed(&e->stats.sampling, &seen, FL__STATS_NONE))
		return;
	if (seen == FL__STATS_ONE && e->has_short_way)
		fl__store_relaxed(&e->plain, e->fork_count);
	f->error = (int)(uint32_t)(fl__sys.now() >> STATS_UNIT);
}

static struct fl__stats_type *stats_add_type(fl_executor *e, struct fl__stats_type **place, const char *name)
{
	struct fl__stats_type *type = fl__alloc_from(e->allocator, 1, sizeof *type), *before = NULL;
	if (!type)
		return NULL;
	const char *colon = strrchr(name, ':'); /* behind the file of a static task */
	const bool is_last = place == &e->stats.types[FL_STATS_TYPES - 1];
	type->key = is_last ? NULL : name;
	(void)strncpy(type->name, is_last ? "other types" : colon ? colon + 1 : name, sizeof type->name - 1);
	/* the struct; pairs with stats_type_of() */
	if (fl__cas_acq_rel(place, &before, type))
		return type;
	fl__free_to(e->allocator, type);
	return is_last || before->key == name ? before : NULL; /* NULL: another type was faster */
}

/* NULL: out of memory. */
static struct fl__stats_type *stats_type_of(fl_executor *e, const char *name)
{
	struct fl__stats_type **place = e->stats.types;
	for (; place < &e->stats.types[FL_STATS_TYPES - 1]; place++) {
		struct fl__stats_type *type = fl__load_acquire(place); /* pairs with stats_add_type() */
		if (!type)
			break;
		if (type->key == name)
			return type;
	}
	struct fl__stats_type *type = fl__load_acquire(place); /* as above: the last */
	return type ? type : stats_add_type(e, place, name);
}

static unsigned stats_bucket(int64_t ns)
{
	if (ns < 1 << STATS_LEAST)
		return 0;
	const unsigned log = 63 - (unsigned)__builtin_clzll((uint64_t)ns);
	const unsigned bucket = 1 + 4 * (log - STATS_LEAST) + ((uint64_t)ns >> (log - 2) & 3);
	return bucket < FL__STATS_BUCKETS ? bucket : FL__STATS_BUCKETS - 1;
}

/* The least time that is above those of the bucket. */
static int64_t stats_bound(unsigned bucket)
{
	return (int64_t)(4 + bucket % 4) << (STATS_LEAST - 2 + bucket / 4);
}

static uint32_t stats_epoch(int64_t now)
{
	return (uint32_t)(now >> STATS_EPOCH) + 1;
}

static struct fl__stats_set *stats_set_of(struct fl__stats_histogram *h, uint32_t epoch)
{
	struct fl__stats_set *set = &h->sets[epoch % 2];
	uint32_t seen = fl__load_acquire(&set->epoch); /* pairs with the CAS */
	/* a reader that sees the epoch may see counts of the one before: see the top */
	if (seen == epoch || !fl__cas_acq_rel(&set->epoch, &seen, epoch))
		return set;
	for (unsigned i = 0; i < FL__STATS_BUCKETS; i++)
		fl__store_relaxed(&set->counts[i], 0);
	fl__store_relaxed(&set->max, 0);
	return set;
}

static void stats_add(struct fl__stats_histogram *h, int64_t ns, uint32_t weight, int64_t now)
{
	struct fl__stats_set *set = stats_set_of(h, stats_epoch(now));
	ns = ns > 0 ? ns : 0;
	fl__add_relaxed(&set->counts[stats_bucket(ns)], weight);
	fl__add_relaxed(&h->n, weight);
	fl__add_relaxed(&h->sum, (uint64_t)ns * weight);
	if (ns > fl__load_relaxed(&set->max))
		fl__store_relaxed(&set->max, ns);
}

FL__COLD void fl__stats_measure(struct fl__stats_task *measured, const struct fl__run *run, struct fl__stats_pace *pace,
                                size_t begun)
{
	fl_executor *e = run->executor;
	const fl_future *f = run->future;
	const int64_t now = fl__sys.now();
	if (run->claim != FL__CLAIM_RUN)
		return;
	const uint32_t waited = (uint32_t)(now >> STATS_UNIT) - (uint32_t)f->error;
	measured->type = stats_type_of(e, f->type->name);
	measured->began = now;
	measured->weight = fl__load_relaxed(&e->stats.sampling) == FL__STATS_ALL ? 1 : FL__STATS_EVERY;
	if (measured->type)
		stats_add(&measured->type->queued, (int64_t)waited << STATS_UNIT, measured->weight, now);
	const bool rare =
	    now - fl__load_relaxed(&pace->at) >= stats_rare * (int64_t)(begun - fl__load_relaxed(&pace->begun));
	const uint32_t sampling = fl__load_relaxed(&e->stats.sampling);
	if (rare != (sampling == FL__STATS_ALL))
		stats_set_sampling(e, rare ? FL__STATS_ALL : FL__STATS_NONE);
	fl__store_relaxed(&pace->at, now);
	fl__store_relaxed(&pace->begun, begun);
}

FL__COLD void fl__stats_measured(const struct fl__stats_task *measured)
{
	const int64_t now = fl__sys.now();
	stats_add(&measured->type->ran, now - measured->began, measured->weight, now);
}

/* Reading. */

struct stats_total {
	uint64_t counts[FL__STATS_BUCKETS], n;
	fl_stats_times times;
};

static void stats_merge(struct stats_total *to, const struct fl__stats_histogram *h, uint32_t epoch)
{
	to->times.n += fl__load_relaxed(&h->n);
	to->times.sum += fl__load_relaxed(&h->sum);
	for (unsigned k = 0; k < 2; k++) {
		const struct fl__stats_set *set = &h->sets[k];
		if (epoch - fl__load_acquire(&set->epoch) > 1) /* pairs with stats_set_of() */
			continue;
		const int64_t max = fl__load_relaxed(&set->max);
		to->times.max = max > to->times.max ? max : to->times.max;
		for (unsigned i = 0; i < FL__STATS_BUCKETS; i++) {
			const uint32_t count = fl__load_relaxed(&set->counts[i]);
			to->counts[i] += count;
			to->n += count;
		}
	}
}

/* The least bound below which so many percent lie. */
static int64_t stats_quantile(const struct stats_total *t, unsigned percent)
{
	uint64_t left = (t->n * percent + 99) / 100;
	unsigned i = 0;
	while (i + 1 < FL__STATS_BUCKETS && t->counts[i] < left)
		left -= t->counts[i++];
	const int64_t bound = stats_bound(i);
	return bound < t->times.max && i + 1 < FL__STATS_BUCKETS ? bound : t->times.max;
}

static fl_stats_times stats_times_of(const struct stats_total *t)
{
	fl_stats_times times = t->times;
	times.p50 = stats_quantile(t, 50);
	times.p99 = stats_quantile(t, 99);
	return times;
}

static fl_stats_times stats_read_one(struct stats_total *all, const struct fl__stats_histogram *h, uint32_t epoch)
{
	struct stats_total one = {0};
	stats_merge(&one, h, epoch);
	stats_merge(all, h, epoch);
	return stats_times_of(&one);
}

void fl__stats_read(const struct fl__stats *s, fl_executor_stats *to)
{
	struct stats_total queued = {0}, ran = {0};
	const uint32_t epoch = stats_epoch(fl__sys.now());
	for (unsigned i = 0; i < FL_STATS_TYPES; i++) {
		const struct fl__stats_type *type = fl__load_acquire(&s->types[i]); /* pairs with stats_add_type() */
		if (!type)
			continue;
		fl_stats_type *place = &to->types[to->n_types++];
		place->name = type->name;
		place->queued = stats_read_one(&queued, &type->queued, epoch);
		place->ran = stats_read_one(&ran, &type->ran, epoch);
	}
	to->queued = stats_times_of(&queued);
	to->ran = stats_times_of(&ran);
}

void fl__stats_fini(fl_executor *e)
{
	for (unsigned i = 0; i < FL_STATS_TYPES; i++)
		fl__free_to(e->allocator, e->stats.types[i]);
}
