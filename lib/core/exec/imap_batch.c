/* SPDX-License-Identifier: BSD-2-Clause */
/* The batches of a lazy map: submit, end, clean-up. imap.h explains their states. */
#include "../base/atomic.h"
#include "../base/list.h"
#include "../base/sys.h"
#include "../hooks.h"
#include "imap.h"
#include <fairlead/cancel.h>

/* `done` points to this after fl__imap_close(). */
static struct fl__imap_batch imap_closed;

void fl__imap_release(fl_imap *it)
{
	/* acq_rel: pairs with itself, since the last release frees what the earlier ones used */
	if (fl__sub_acq_rel(&it->refs, 1) > 1)
		return;
	fl__free(it->source.memory);
	fl__free(it);
}

static void imap_drop(void (*hook)(void *object), void *first, size_t begin, size_t end, size_t size)
{
	for (size_t i = begin; hook && i < end; i++)
		fl__drop(hook, fl__element(first, i, size));
}

void fl__imap_drop_args(const fl_imap *it, void *first, size_t begin, size_t end)
{
	imap_drop(it->source.make ? it->type->drop_arg : NULL, first, begin, end, it->type->arg_size);
}

static void imap_drop_results(const fl_imap *it, void *first, size_t begin, size_t end)
{
	imap_drop(it->type->drop_result, first, begin, end, it->type->result_size);
}

/* The callback of a batch's future. It may run on any thread. */
static void imap_on_end(fl_future *f, void *arg)
{
	struct fl__imap_batch *b = arg;
	fl_imap *it = b->it;
	struct fl__imap_batch *seen = fl__load_relaxed(&it->done); /* relaxed: a stale value makes the CAS below fail */
	fl__chunk_detach_type(f);
	do {
		if (seen == &imap_closed) {
			fl__imap_drop_args(it, f->arg, 0, f->count);
			imap_drop_results(it, f->result, 0, fl__chunk_kept(fl__chunk_end(f, it->type)));
			fl__imap_release(it);
			return;
		}
		b->next_done = seen;
		/*
		 * release: pairs with the acquires in fl__imap_collect() and fl__imap_close(), for
		 * `next_done`
		 */
	} while (!fl__cas_weak_release(&it->done, &seen, b));
	fl_event_set(&it->batch_ended);
	fl__imap_release(it);
}

/* The callback for futures whose type has no drop hooks. */
void fl__imap_on_end(fl_future *f, void *arg)
{
	imap_on_end(f, arg);
}

void fl__imap_close(fl_imap *it)
{
	/* acquire: pairs with imap_on_end() */
	struct fl__imap_batch *done = it->calls ? fl__swap_acquire(&it->done, &imap_closed) : NULL;
	for (; done; done = done->next_done)
		done->returned = true;
}

/* Reverses `done`, a LIFO, so that batches are delivered in the order of their ends. */
void fl__imap_collect(fl_imap *it)
{
	/* acquire: pairs with imap_on_end() */
	struct fl__imap_batch *list = fl__swap_acquire(&it->done, NULL), *before = NULL;
	while (list) {
		struct fl__imap_batch *next = list->next_done;
		list->next_done = before;
		before = list;
		list = next;
	}
	while (before) {
		struct fl__imap_batch *b = before;
		before = b->next_done;
		b->returned = true;
		if (it->unordered)
			FL__APPEND(it->ready, it->ready_last, b, next_done);
	}
}

struct fl__imap_batch *fl__imap_next_ended(fl_imap *it)
{
	struct fl__imap_batch *b = it->oldest;
	if (it->calls)
		fl__imap_collect(it);
	if (it->unordered)
		return it->ready;
	return b && (it->calls ? b->returned : fl_future_try_wait(b->f) == 0) ? b : NULL;
}

/* Submits the arguments of a batch. Returns -ETIMEDOUT if the backlog is full. */
static int imap_batch_submit(struct fl__imap_batch *b, const void *args)
{
	static const struct fl__patience none = {FL_NO_WAIT, FL_SHIELDED};
	fl_imap *it = b->it;
	const uint32_t count = (uint32_t)b->count;
	const struct fl__patience *patience = it->patience && !it->oldest ? it->patience : &none;
	const fl_submit_config config = {
	    .deadline = fl__earlier(it->deadline, fl_cancel_token_deadline(it->cancel)),
	    .on_end = !it->calls                     ? NULL
	              : fl__type_has_hooks(it->type) ? imap_on_end
	                                             : fl__imap_on_end,
	    .on_end_arg = b,
	};
	if (it->calls)
		/* relaxed: the caller's reference keeps `it` alive */
		fl__add_relaxed(&it->refs, 1);
	int rc = fl__submit_waiting(it->executor, it->sent, args, count, &b->f, &config, 0, patience);
	if (rc != 0 && it->calls)
		fl__imap_release(it);
	if (rc == 0)
		fl__hook_event(FL__TRACE_INDEX, (uintptr_t)b->f, b->index, NULL, 0);
	return rc;
}

int fl__imap_batch_add(fl_imap *it, const void *args, size_t index, size_t count)
{
	struct fl__imap_batch *b = it->free, *next = b->next;
	*b = (struct fl__imap_batch){.it = it, .index = index, .count = count};
	const int rc = imap_batch_submit(b, args);
	if (rc != 0) {
		b->next = next;
		return rc;
	}
	it->free = next;
	it->used++;
	FL__QUEUE_ADD(it->oldest, it->newest, b);
	return 0;
}

void fl__imap_batch_make_current(fl_imap *it, struct fl__imap_batch *b)
{
	FL__QUEUE_REMOVE(it->oldest, it->newest, b);
	if (it->unordered)
		it->ready = b->next_done;
	it->current = b;
	b->end = fl__chunk_end(b->f, it->type);
	if (it->stopped && (b->end.stopped || b->end.error == -ECANCELED))
		/* the iteration ends for the reason for which it was stopped */
		it->source.end = it->stopped;
}

void fl__imap_batch_retire(fl_imap *it)
{
	struct fl__imap_batch *b = it->current;
	it->current = NULL;
	fl__imap_drop_args(it, b->f->arg, 0, b->count);
	imap_drop_results(it, b->f->result, b->given, fl__chunk_kept(b->end));
	fl_future_free(b->f);
	b->next = it->free;
	it->free = b;
	it->used--;
}

void fl__imap_batch_abandon(fl_imap *it, struct fl__imap_batch *b)
{
	if (b->returned) {
		b->end = fl__chunk_end(b->f, it->type);
		it->current = b;
		fl__imap_batch_retire(it);
	} else {
		FL_IGNORE(fl_future_cancel(b->f)); /* its callback, if it has one, cleans up */
		fl_future_free(b->f);
	}
}
