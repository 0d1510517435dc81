/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Measures where contexts wait. A site is the innermost frames of a stack, and the kind of the
 * object. fl_debug_contention() merges sites that differ only in their outer frames or in their
 * frames inside the library. Of the acquisitions that do not wait, each context measures one in
 * FL__CONTENTION_SAMPLED, and counts it as that many.
 */
#include "core/base/list.h"
#include "core/base/sys.h"
#include "report.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CONTENTION_TEXT = 256 };

static struct fl__site *contention_sites[FL__DEBUG_BUCKETS];
static size_t contention_n_sites;

static struct fl__site *contention_site_of(const struct fl__backtrace *stack, uint8_t kind)
{
	uintptr_t hash = kind, at[FL__SITE_FRAMES] = {0};
	for (int i = 0; i < FL__SITE_FRAMES && stack->at[i] != 0; i++) {
		at[i] = stack->at[i];
		hash = hash * 31 + at[i];
	}
	struct fl__site **bucket = &contention_sites[fl__debug_bucket(hash)];
	struct fl__site *site = *bucket;
	while (site && (site->kind != kind || memcmp(site->at, at, sizeof at) != 0))
		site = site->next;
	if (site)
		return site;
	site = fl__table_take_slot();
	memcpy(site->at, at, sizeof at);
	site->kind = kind;
	site->next = *bucket;
	*bucket = site;
	contention_n_sites++;
	return site;
}

static void contention_add(struct fl__site_time *to, int64_t sum, int64_t most)
{
	to->sum += sum;
	if (to->most < most)
		to->most = most;
}

void fl__contention_locked(const struct fl__hook_op *op, struct fl__held *held, int64_t now)
{
	struct fl__site *site = contention_site_of(&op->stack, op->cond ? FL__DEBUG_COND : op->kind);
	const uint32_t weight = op->waited ? 1 : FL__CONTENTION_SAMPLED;
	if (op->waited) {
		site->waits++;
		contention_add(&site->waited, now - op->began, now - op->began);
	}
	site->times += weight;
	if (held) {
		held->site = site;
		held->since = now;
		held->weight = weight;
	}
}

void fl__contention_unlocking(const struct fl__held *held, int64_t now)
{
	contention_add(&held->site->held, (now - held->since) * held->weight, now - held->since);
}

void fl__contention_forget(void)
{
	memset(contention_sites, 0, sizeof contention_sites);
	contention_n_sites = 0;
}

/* Orders sites by the caller's return address, which contention_merge() stores in at[0]. */
static int contention_by_place(const void *a, const void *b)
{
	const struct fl__site *x = a, *y = b;
	if (x->at[0] != y->at[0])
		return x->at[0] < y->at[0] ? -1 : 1;
	return (int)x->kind - (int)y->kind;
}

static int contention_by_wait(const void *a, const void *b)
{
	const struct fl__site *x = a, *y = b;
	if (x->waited.sum != y->waited.sum)
		return x->waited.sum > y->waited.sum ? -1 : 1;
	return x->held.sum > y->held.sum ? -1 : x->held.sum < y->held.sum;
}

static size_t contention_merge(struct fl__site *all, size_t n, struct fl__symbols *symbols)
{
	for (size_t i = 0; i < n; i++)
		all[i].at[0] = all[i].at[fl__report_caller(symbols, all[i].at, FL__SITE_FRAMES)];
	qsort(all, n, sizeof *all, contention_by_place);
	size_t kept = 0;
	for (size_t i = 0; i < n; i++) {
		if (kept == 0 || contention_by_place(&all[kept - 1], &all[i]) != 0) {
			all[kept++] = all[i];
			continue;
		}
		struct fl__site *to = &all[kept - 1];
		to->times += all[i].times;
		to->waits += all[i].waits;
		contention_add(&to->waited, all[i].waited.sum, all[i].waited.most);
		contention_add(&to->held, all[i].held.sum, all[i].held.most);
	}
	qsort(all, kept, sizeof *all, contention_by_wait);
	return kept;
}

/*
 * Returns a copy of all sites, which the caller unmaps. Returns NULL if there is no memory or no
 * site.
 */
static struct fl__site *contention_copy_all(size_t *n)
{
	for (size_t room = 0;; room = *n) {
		struct fl__site *all = room > 0 ? fl__sys.map(room * sizeof *all) : NULL;
		if (room > 0 && !all)
			return NULL;
		fl__debug_relock();
		*n = contention_n_sites;
		for (size_t i = 0, k = 0; all && *n == room && i < FL__DEBUG_BUCKETS; i++)
			FL__EACH (const struct fl__site, s, contention_sites[i])
				all[k++] = *s;
		fl__debug_unlock();
		if (*n == room)
			return all;
		if (all)
			fl__sys.unmap(all, room * sizeof *all);
	}
}

static void contention_print_site(int fd, struct fl__symbols *symbols, const struct fl__site *s)
{
	char line[CONTENTION_TEXT], place[128], kind[32];
	const char *function;
	fl__backtrace_describe(symbols, s->at[0], place, sizeof place, &function);
	fl__awaited_write(kind, sizeof kind, s->kind, NULL);
	const int length =
	    snprintf(line, sizeof line, "%10llu %8llu %12.3f %10.3f %12.3f %10.3f  %s, %s\n",
	             (unsigned long long)s->times, (unsigned long long)s->waits, (double)s->waited.sum / 1e6,
	             (double)s->waited.most / 1e6, (double)s->held.sum / 1e6, (double)s->held.most / 1e6, place, kind);
	(void)fl__sys.print(fd, line, length < CONTENTION_TEXT ? (size_t)length : CONTENTION_TEXT - 1);
}

void fl_debug_contention(int fd)
{
	static const char head[] =
	    "fairlead: contention, times in ms\n"
	    "     calls    waits       waited    longest         held    longest  where, for what\n";
	size_t n;
	struct fl__site *all = contention_copy_all(&n);
	struct fl__symbols symbols = {0};
	fl__backtrace_learn_modules();
	(void)fl__sys.print(fd, head, sizeof head - 1);
	if (all) {
		const size_t kept = contention_merge(all, n, &symbols);
		for (size_t i = 0; i < kept; i++)
			contention_print_site(fd, &symbols, &all[i]);
		fl__sys.unmap(all, n * sizeof *all);
	}
	fl__symbols_end(&symbols);
}

__attribute__((destructor)) static void contention_print_at_exit(void)
{
	enum { STANDARD_ERROR = 2 };
	if (fl__hook_word(&fl__hooks) & FL_DEBUG_CONTENTION)
		fl_debug_contention(STANDARD_ERROR);
}
