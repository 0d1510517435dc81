/* SPDX-License-Identifier: BSD-2-Clause */
/* The batches of a lazy map: imap.h has the overview. */
#include "../base/atomic.h"
#include "../base/sys.h"
#include "imap.h"
#include <errno.h>

/* The value of `done` after the close. */
static struct fl__batch closed;

/* Memory. */

fl_imap *fl__imap_new(size_t batches)
{
	size_t bytes;
	if (__builtin_mul_overflow(batches, sizeof(struct fl__batch), &bytes) ||
	    __builtin_add_overflow(bytes, sizeof(fl_imap), &bytes))
		return NULL;
	fl_imap *it = fl__alloc(1, bytes);
	if (!it)
		return NULL;
	it->refs = 1;
	for (size_t i = 0; i < batches; i++) {
		it->batches[i].next = it->free;
		it->free = &it->batches[i];
	}
	return it;
}

void fl__imap_release(fl_imap *it)
{
	/* acq_rel: the last release frees what the earlier ones used; pairs with itself */
	if (fl__sub_acq_rel(&it->refs, 1) > 1)
		return;
	fl__free(it->source.memory);
	fl__free(it);
}

static void drop(void (*hook)(void *object), void *first, size_t begin, size_t end, size_t size)
{
	for (size_t i = begin; hook && i < end; i++)
		hook(fl__element(first, i, size));
}

void fl__imap_drop_args(const fl_imap *it, void *first, size_t begin, size_t end)
{
	drop(it->source.make ? it->type->drop_arg : NULL, first, begin, end, it->type->arg_size);
}

static void drop_results(const fl_imap *it, void *first, size_t begin, size_t end)
{
	drop(it->type->drop_result, first, begin, end, it->type->result_size);
}

/* The callback of the futures. Runs on any thread. */
static void on_end(fl_future *f, void *arg)
{
	struct fl__batch *b = arg;
	fl_imap *it = b->it;
	struct fl__batch *seen = fl__load_relaxed(&it->done); /* relaxed: the CAS decides */
	fl__chunk_let_go(f);
	do {
		if (seen == &closed) {
			fl__imap_drop_args(it, f->arg, 0, f->count);
			drop_results(it, f->result, 0, fl__chunk_kept(fl__chunk_end(f, it->type)));
			fl__imap_release(it);
			return;
		}
		b->next_done = seen;
		/* release: `next_done`; pairs with fl__batch_collect() */
	} while (!fl__cas_weak_release(&it->done, &seen, b));
	fl_event_set(&it->bell);
	fl__imap_release(it);
}

/* Does not wait for futures that are just ending: a later callback finds the stack closed. */
void fl__imap_close(fl_imap *it)
{
	/* acquire: as in fl__batch_collect() */
	struct fl__batch *done = it->calls ? fl__swap_acquire(&it->done, &closed) : NULL;
	for (; done; done = done->next_done)
		done->returned = true;
}

/* Lists. */

static void add_first(fl_imap *it, struct fl__batch *b)
{
	b->prev = NULL;
	b->next = it->oldest;
	*(b->next ? &b->next->prev : &it->newest) = b;
	it->oldest = b;
}

static void add_last(fl_imap *it, struct fl__batch *b)
{
	b->next = NULL;
	b->prev = it->newest;
	*(b->prev ? &b->prev->next : &it->oldest) = b;
	it->newest = b;
}

static void take_out(fl_imap *it, struct fl__batch *b)
{
	*(b->prev ? &b->prev->next : &it->oldest) = b->next;
	*(b->next ? &b->next->prev : &it->newest) = b->prev;
}

static void add_ready(fl_imap *it, struct fl__batch *b)
{
	b->next_done = NULL;
	*(it->ready ? &it->ready_last->next_done : &it->ready) = b;
	it->ready_last = b;
}

static struct fl__batch *new_batch(fl_imap *it, size_t index, size_t count)
{
	struct fl__batch *b = it->free;
	it->free = b->next;
	it->used++;
	*b = (struct fl__batch){.it = it, .index = index, .count = count};
	return b;
}

static void free_batch(fl_imap *it, struct fl__batch *b)
{
	b->next = it->free;
	it->free = b;
	it->used--;
}

/* Oldest first. */
void fl__batch_collect(fl_imap *it)
{
	/* acquire: pairs with on_end() */
	struct fl__batch *list = fl__swap_acquire(&it->done, NULL), *before = NULL;
	while (list) {
		struct fl__batch *next = list->next_done;
		list->next_done = before;
		before = list;
		list = next;
	}
	while (before) {
		struct fl__batch *b = before;
		before = b->next_done;
		b->returned = true;
		if (it->unordered)
			add_ready(it, b);
	}
}

struct fl__batch *fl__batch_over(fl_imap *it)
{
	struct fl__batch *b = it->oldest;
	if (it->calls)
		fl__batch_collect(it);
	if (it->unordered)
		return it->ready;
	if (!b || !b->f)
		return b;
	return (it->calls ? b->returned : fl_future_try_wait(b->f) == 0) ? b : NULL;
}

/* Submitting. */

/*
 * Submits a batch. Returns 0, or an error and leaves the batch as it was. -ETIMEDOUT: no room in a
 * bounded backlog, and the submit does not wait.
 */
static int submit(struct fl__batch *b, const void *args, bool beyond)
{
	enum { LONG_AGO = 1 };
	fl_imap *it = b->it;
	const uint32_t count = (uint32_t)b->count;
	const bool waits = it->waiting && !it->oldest && it->waiting_until > 0;
	const fl_submit_config config = {
	    .deadline = fl__deadline_under(it->deadline, it->cancel),
	    .on_end = it->calls ? on_end : NULL,
	    .on_end_arg = b,
	};
	if (it->calls)
		/* relaxed: the caller's own reference keeps `it` alive */
		fl__add_relaxed(&it->refs, 1);
	int rc = beyond ? fl__submit_beyond(it->executor, it->sent, args, count, &b->f, &config)
	                : fl__submit_waiting(it->executor, it->sent, args, count, &b->f, &config,
	                                     waits ? it->waiting_until : LONG_AGO, waits ? it->waiting : FL_SHIELDED);
	if (rc != 0 && it->calls)
		fl__imap_release(it);
	return rc;
}

int fl__batch_submit(fl_imap *it, const void *args, size_t index, size_t count)
{
	struct fl__batch *b = new_batch(it, index, count);
	int rc = submit(b, args, false);
	if (rc == 0)
		add_last(it, b);
	else
		free_batch(it, b);
	return rc;
}

/* The current batch. */

/* Makes a new batch of the elements of `b` after the failed one, which were not begun. */
static void split(fl_imap *it, struct fl__batch *b)
{
	const size_t begin = b->good + 1;
	struct fl__batch *rest = new_batch(it, b->index + begin, b->count - begin);
	const void *args = fl__element(b->f->arg, begin, it->type->arg_size);
	rest->error = it->stopped != 0 ? -ECANCELED : submit(rest, args, true);
	if (rest->error != 0) {
		fl__imap_drop_args(it, b->f->arg, begin, b->count);
		if (it->unordered)
			add_ready(it, rest);
	}
	add_first(it, rest);
	b->count = begin;
}

void fl__batch_begin(fl_imap *it, struct fl__batch *b)
{
	bool late = false;
	take_out(it, b);
	if (it->unordered)
		it->ready = b->next_done;
	it->current = b;
	if (b->f) {
		const struct fl__chunk_end end = fl__chunk_end(b->f, it->type);
		b->good = end.done;
		b->kept = fl__chunk_kept(end);
		b->error = end.error;
		late = end.late;
		if (!it->whole && end.untouched && (late || !end.stopped) && b->good + 1 < b->count)
			split(it, b);
	}
	if (it->stopped && (late || b->error == -ECANCELED))
		/* an element is missing, although all were submitted */
		it->source.end = it->stopped;
}

void fl__batch_retire(fl_imap *it)
{
	struct fl__batch *b = it->current;
	it->current = NULL;
	if (b->f) {
		fl__imap_drop_args(it, b->f->arg, 0, b->count);
		drop_results(it, b->f->result, b->given, b->kept);
	}
	fl_future_free(b->f);
	free_batch(it, b);
}

void fl__batch_forget(fl_imap *it, struct fl__batch *b)
{
	if (b->returned) {
		b->kept = fl__chunk_kept(fl__chunk_end(b->f, it->type));
		it->current = b;
		fl__batch_retire(it);
	} else if (b->f) {
		int rc = fl_future_cancel(b->f);
		(void)rc; /* whatever its state, it ends, and its callback cleans up */
		fl_future_free(b->f);
	}
}
