/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The lazy map.
 *
 * Arguments are taken from their source in chunks (map.h), each of which is a task, and a *batch* as long as it is under way: it is
 * in one of these places, one after the other:
 *
 *   free        in `free`
 *   under way   in `under_way`, in the order of submission; when it is over, it can become
 *   current     its results are given out, one at each call; then it is free
 *
 * One context at a time uses an iteration, and all of it is that context's, but for what callbacks touch: `done`, `bell`, `refs`.
 *
 *   in order     the oldest batch becomes current when its future has ended. Who waits, waits for that future: which runs it on the
 *                spot where a worker waits for its own executor, and fetches results where others would have to be asked for them.
 *   unordered    a callback of the future puts its batch on the stack `done` and rings; who waits takes all of the stack and turns it
 *                round. Before it sleeps it helps with the oldest batch, as above. That is enough for progress: if the oldest
 *                is not run here it runs elsewhere, or is over.
 *
 * Futures have that callback in order, too, when something must be done after their end: when the type has hooks, which run for each
 * element, or is a copy of ours. Exactly one side sees to it. Either the callback gets the batch on the stack, and the iteration takes
 * care; or it finds the stack CLOSED by the free, and does so itself. That one word decides, so nothing is waited for by a free, and
 * each callback holds a reference to the memory.
 *
 * A chunk ends with its first failure. The rest, which nobody has begun, becomes a task again, at the old place. For that there is
 * a batch more than the window needs.
 */
#include "../base/atomic.h"
#include "../base/copy.h"
#include "../base/sys.h"
#include "../wait/context.h"
#include "map.h"
#include <errno.h>
#include <fairlead/event.h>
#include <fairlead/imap.h>
#include <fairlead/wait_any.h>
#include <stdio.h>
#include <string.h>

struct batch {
	struct batch *next, *prev; /* in `under_way`; `next` alone: in `free` */
	struct batch *next_done;   /* in `done`, and then in `ready` */
	fl_imap *it;
	fl_future *f;  /* NULL: it was refused, with `error` */
	size_t index;  /* of its first argument */
	size_t count;  /* arguments */
	size_t given;  /* results, or failures, that were given out */
	size_t good;   /* of a current one: so many have succeeded, from the first */
	int error;     /* and this is what became of the others */
	bool returned; /* its callback was there */
};

/* What stands in `done` when nothing is put there any more. */
static struct batch closed;
#define CLOSED (&closed)

struct fl_imap {
	fl_executor *executor;
	const fl_task_type *type, *sent;
	struct fl__chunk_type room;
	bool unordered, calls, owns; /* calls: futures have the callback; owns: the arguments */
	/* The source. */
	const unsigned char *args;
	size_t n;
	int (*make)(void *state, void *arg);
	void *state;
	void *memory;        /* of a generator's arguments: a chunk of them, */
	unsigned char *made; /* aligned; */
	size_t held;         /* and so many are there, and not submitted */
	size_t chunk, taken; /* taken: arguments that were submitted */
	int end;             /* why no more are taken; 0: there are more */
	bool stopped;        /* by `deadline` or `cancel` */
	int64_t deadline;    /* FL_FOREVER: none */
	fl_cancel *cancel;   /* NULL: none */
	/* Batches. */
	struct batch *free, *oldest, *newest, *current;
	struct batch *ready, *ready_last; /* unordered: those under way that are over */
	size_t used, most;                /* batches that are not free; in the window */
	/* The last failure. */
	int error;
	char message[FL_MESSAGE_MAX];
	/* For the callbacks. */
	uint32_t refs;
	struct batch *done;
	fl_event bell;
	struct batch batches[];
};

/* Memory. */

static void release(fl_imap *it)
{
	/* acq_rel: the last one frees what the others used; pairs with itself */
	if (fl__sub_acq_rel(&it->refs, 1) > 1)
		return;
	fl__free(it->memory);
	fl__free(it);
}

static void drop(void (*hook)(void *object), void *first, size_t begin, size_t end, size_t size)
{
	for (size_t i = begin; hook && i < end; i++)
		hook(fl__element(first, i, size));
}

static void drop_args(const fl_imap *it, void *first, size_t begin, size_t end)
{
	drop(it->owns ? it->type->drop_arg : NULL, first, begin, end, it->type->arg_size);
}

static void drop_results(const fl_imap *it, void *first, size_t begin, size_t end)
{
	drop(it->type->drop_result, first, begin, end, it->type->result_size);
}

/* The end of a future; on any thread. */

static void on_end(fl_future *f, void *arg)
{
	struct batch *b = arg;
	fl_imap *it = b->it;
	struct batch *seen = fl__load_relaxed(&it->done); /* relaxed: the CAS decides */
	fl__chunk_let_go(f);
	do {
		if (seen == CLOSED) {
			drop_args(it, f->arg, 0, fl__cell_of(f)->count);
			drop_results(it, f->result, 0, fl__chunk_end(f, it->type).done);
			release(it);
			return;
		}
		b->next_done = seen;
	} while (!fl__cas_weak_release(&it->done, &seen, b)); /* release: `next_done`; pairs with collect() */
	fl_event_set(&it->bell);
	release(it);
}

/* Lists. */

static void add_first(fl_imap *it, struct batch *b)
{
	b->prev = NULL;
	b->next = it->oldest;
	*(b->next ? &b->next->prev : &it->newest) = b;
	it->oldest = b;
}

static void add_last(fl_imap *it, struct batch *b)
{
	b->next = NULL;
	b->prev = it->newest;
	*(b->prev ? &b->prev->next : &it->oldest) = b;
	it->newest = b;
}

static void take_out(fl_imap *it, struct batch *b)
{
	*(b->prev ? &b->prev->next : &it->oldest) = b->next;
	*(b->next ? &b->next->prev : &it->newest) = b->prev;
}

static void add_ready(fl_imap *it, struct batch *b)
{
	b->next_done = NULL;
	*(it->ready ? &it->ready_last->next_done : &it->ready) = b;
	it->ready_last = b;
}

static struct batch *new_batch(fl_imap *it, size_t index, size_t count)
{
	struct batch *b = it->free;
	it->free = b->next;
	it->used++;
	*b = (struct batch){.it = it, .index = index, .count = count};
	return b;
}

static void free_batch(fl_imap *it, struct batch *b)
{
	b->next = it->free;
	it->free = b;
	it->used--;
}

/* Takes what the callbacks have brought, oldest first. Acquires what the tasks wrote. */
static void collect(fl_imap *it)
{
	struct batch *list = fl__swap_acquire(&it->done, NULL), *before = NULL; /* pairs with on_end() */
	while (list) {
		struct batch *next = list->next_done;
		list->next_done = before;
		before = list;
		list = next;
	}
	while (before) {
		struct batch *b = before;
		before = b->next_done;
		b->returned = true;
		if (it->unordered)
			add_ready(it, b);
	}
}

/* A batch that is over and whose turn it is; NULL: none. */
static struct batch *find_over(fl_imap *it)
{
	struct batch *b = it->oldest;
	if (it->calls)
		collect(it);
	if (it->unordered)
		return it->ready;
	if (!b || !b->f)
		return b;
	return (it->calls ? b->returned : fl_future_try_wait(b->f) == 0) ? b : NULL;
}

/* Submitting. */

/* Submits a batch: 0, or an error, and it is as it was. */
static int submit(struct batch *b, const void *args)
{
	fl_imap *it = b->it;
	const fl_submit_config config = {
	    .deadline = it->deadline == FL_FOREVER ? 0 : it->deadline,
	    .on_end = it->calls ? on_end : NULL,
	    .on_end_arg = b,
	};
	if (it->calls)
		fl__add_relaxed(&it->refs, 1); /* relaxed: the caller's own reference keeps it alive */
	int rc = fl__submit(it->executor, it->sent, args, (uint32_t)b->count, &b->f, &config);
	if (rc != 0 && it->calls)
		release(it);
	return rc;
}

/* Has as many arguments ready as the next chunk is to have, if there are: how many. */
static size_t gather(fl_imap *it)
{
	if (!it->make)
		it->held = it->n - it->taken < it->chunk ? it->n - it->taken : it->chunk;
	while (it->make && it->held < it->chunk && it->end == 0) {
		int rc = it->make(it->state, fl__element(it->made, it->held, it->type->arg_size));
		if (rc > 0)
			it->held++;
		else
			it->end = rc < 0 ? rc : -ENODATA;
	}
	return it->held;
}

static void forget_held(fl_imap *it)
{
	if (it->make)
		drop_args(it, it->made, 0, it->held);
	it->held = 0;
}

/* Submits the next chunk, if there is one: 0, or an error, and it can be tried again. */
static int submit_next(fl_imap *it)
{
	const size_t count = it->end == 0 ? gather(it) : it->held;
	if (count == 0)
		return 0;
	struct batch *b = new_batch(it, it->taken, count);
	int rc = submit(b, it->make ? it->made : fl__element(it->args, it->taken, it->type->arg_size));
	if (rc != 0) {
		free_batch(it, b);
		return rc;
	}
	add_last(it, b);
	it->taken += count;
	it->held = 0;
	if (!it->make && it->taken == it->n)
		it->end = -ENODATA;
	return 0;
}

/* Ends the iteration if its time or token says so. */
static void stop_if_due(fl_imap *it)
{
	const bool requested = it->cancel && fl_cancel_requested(it->cancel);
	bool in_time = false; /* something was still to come */
	if (it->stopped || !(requested || fl__is_past(it->deadline)))
		return;
	it->stopped = true;
	forget_held(it);
	for (struct batch *b = it->oldest; b; b = b->next)
		if (b->f && fl_future_cancel(b->f) != -EALREADY)
			in_time = true;
	if (in_time || it->end == 0)
		it->end = requested ? -ECANCELED : -ETIMEDOUT;
}

/*
 * Submits one chunk if there is room, and more as long as no result is there to be given out: who has a slow generator
 * need not wait for more than one.
 */
static int fill(fl_imap *it)
{
	int rc = 0;
	stop_if_due(it);
	do {
		if (it->used >= it->most || (it->end != 0 && it->held == 0))
			break;
		rc = submit_next(it);
	} while (rc == 0 && !find_over(it));
	return rc;
}

/* Giving out. */

/* What comes in `b` after the element that failed has not been begun: it is a batch of its own now. */
static void split(fl_imap *it, struct batch *b)
{
	const size_t begin = b->good + 1;
	struct batch *rest = new_batch(it, b->index + begin, b->count - begin);
	rest->error = it->stopped ? -ECANCELED : submit(rest, fl__element(b->f->arg, begin, it->type->arg_size));
	if (rest->error != 0) {
		drop_args(it, b->f->arg, begin, b->count);
		if (it->unordered)
			add_ready(it, rest);
	}
	add_first(it, rest);
	b->count = begin;
}

static void make_current(fl_imap *it, struct batch *b)
{
	take_out(it, b);
	if (it->unordered)
		it->ready = b->next_done;
	it->current = b;
	if (!b->f)
		return;
	const struct fl__chunk_end end = fl__chunk_end(b->f, it->type);
	b->good = end.done;
	b->error = end.error;
	if (end.untouched && !end.stopped && b->good + 1 < b->count)
		split(it, b);
}

/* The current batch has served; or is not wanted any more. */
static void retire(fl_imap *it)
{
	struct batch *b = it->current;
	it->current = NULL;
	if (b->f) {
		drop_args(it, b->f->arg, 0, b->count);
		drop_results(it, b->f->result, b->given, b->good);
	}
	fl_future_free(b->f);
	free_batch(it, b);
}

static void note_failure(fl_imap *it, const struct batch *b)
{
	const char *message =
	    b->f ? fl_future_message(b->f) : "it was not submitted again after one before it had failed";
	it->error = b->error;
	(void)snprintf(it->message, sizeof it->message, "%s", message);
}

static int give(fl_imap *it, size_t *index, void *result)
{
	struct batch *b = it->current;
	const size_t i = b->given++, size = it->type->result_size;
	const bool good = i < b->good;
	if (index)
		*index = b->index + i;
	if (!good)
		note_failure(it, b);
	else if (size > 0)
		fl__copy(result, fl__element(b->f->result, i, size), size);
	if (b->given == b->count)
		retire(it);
	return good ? 0 : FL_ETASK;
}

/* Waiting. */

/* Has the context run the task itself, as in a wait for the future. */
static void help(fl_future *f, int64_t deadline, const fl_cancel *cancel)
{
	struct fl__ctx *ctx = fl__ctx_get();
	if (ctx->help && !fl__is_past(deadline) && !fl_cancel_requested(cancel))
		ctx->help(ctx, f);
}

/* Waits for the thing; or for the iteration's token. As fl_wait_any_until(). */
static int await_on(const fl_imap *it, fl_on on, int64_t deadline, fl_cancel *cancel)
{
	fl_on things[2] = {on};
	if (!it->cancel || it->stopped)
		return fl_wait_any_until(things, 1, deadline, cancel);
	things[1] = (fl_on)FL_ON_CANCEL(it->cancel);
	return fl_wait_any_until(things, 2, deadline, cancel);
}

static int await_oldest(fl_imap *it, int64_t deadline, fl_cancel *cancel)
{
	struct batch *b = it->oldest;
	if (!it->cancel || it->stopped) {
		int rc = fl_future_wait_until(b->f, deadline, cancel);
		if (rc != 0)
			return rc;
	} else {
		help(b->f, deadline, cancel);
		if (b->f->home->attend)
			b->f->home->attend(b->f, deadline, cancel);
		int rc = await_on(it, (fl_on)FL_ON_FUTURE(b->f), deadline, cancel);
		if (rc != 0)
			return rc < 0 ? rc : 0;
	}
	while (it->calls && !b->returned) { /* it comes at once */
		fl_event_reset(&it->bell);
		collect(it);
		if (!b->returned)
			(void)!fl_event_wait_until(&it->bell, FL_FOREVER, FL_SHIELDED);
	}
	return 0;
}

static int await_any(fl_imap *it, int64_t deadline, fl_cancel *cancel)
{
	fl_event_reset(&it->bell);
	if (find_over(it))
		return 0;
	help(it->oldest->f, deadline, cancel);
	int rc = await_on(it, (fl_on)FL_ON_EVENT(&it->bell), deadline, cancel);
	return rc < 0 ? rc : 0;
}

/* Makes a batch current, which may take time: 0; or why there is none. */
static int take(fl_imap *it, int64_t deadline, fl_cancel *cancel)
{
	for (;;) {
		int rc = fill(it);
		struct batch *b = find_over(it);
		if (b) {
			make_current(it, b);
			return 0;
		}
		if (!it->oldest)
			return rc != 0 ? rc : it->end;
		const int64_t limit = it->stopped ? deadline : fl__min_deadline(deadline, it->deadline);
		rc = it->unordered ? await_any(it, limit, cancel) : await_oldest(it, limit, cancel);
		if (rc != 0 && (rc != -ETIMEDOUT || fl__is_past(deadline)))
			return rc;
	}
}

int fl_imap_next_until(fl_imap *it, size_t *index, void *result, int64_t deadline, fl_cancel *cancel)
{
	int rc = it->current ? 0 : take(it, deadline, cancel);
	return rc == 0 ? give(it, index, result) : rc;
}

int fl_imap_next(fl_imap *it, size_t *index, void *result)
{
	return fl_imap_next_until(it, index, result, FL_FOREVER, NULL);
}

int fl_imap_try_next(fl_imap *it, size_t *index, void *result)
{
	int rc = fl_imap_next_until(it, index, result, 0, FL_SHIELDED);
	return rc == -ETIMEDOUT && it->oldest ? -EAGAIN : rc;
}

int fl_imap_error(const fl_imap *it)
{
	return it->error;
}

const char *fl_imap_message(const fl_imap *it)
{
	return it->message;
}

/* Life. */

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* So many batches make up the window. */
static size_t batches_of(const fl_executor *e, const fl_task_type *type, size_t n, size_t chunk, size_t window)
{
	size_t most = window ? window / chunk : fl__chunk_window(e, type, chunk);
	if (!(e->ops->capabilities & FL_CAP_CONCURRENT))
		most = 1; /* a submit runs the task: not before it is asked for */
	most = least(most, n / chunk + (n % chunk != 0));
	return most ? most : 1;
}

static fl_imap *new_imap(size_t batches)
{
	size_t bytes;
	if (__builtin_mul_overflow(batches, sizeof(struct batch), &bytes) ||
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

/* Room for a generator's arguments. */
static int make_room(fl_imap *it)
{
	const size_t alignment = it->type->arg_align > 1 ? it->type->arg_align : 1;
	if (!it->make || it->type->arg_size == 0)
		return 0;
	it->memory = fl__alloc(1, it->chunk * it->type->arg_size + alignment - 1);
	if (!it->memory)
		return -ENOMEM;
	const uintptr_t address = (uintptr_t)it->memory;
	it->made = (unsigned char *)it->memory + (alignment - address % alignment) % alignment;
	return 0;
}

static int begin(fl_imap *it)
{
	int rc = make_room(it);
	if (rc == 0)
		rc = fill(it);
	return it->oldest ? 0 : rc; /* what has begun goes on with less */
}

int fl_imap_create(fl_imap **made, fl_executor *e, const fl_task_type *type, const void *args, size_t n,
                   const fl_imap_config *config)
{
	static const fl_imap_config defaults;
	if (!config)
		config = &defaults;
	if (config->next && (args || n > 0))
		return -EINVAL;
	const size_t length = config->next ? SIZE_MAX : n;
	size_t chunk = least(config->chunk ? config->chunk : 1, fl__chunk_most(type));
	chunk = least(chunk, config->window ? config->window : SIZE_MAX);
	const size_t most = batches_of(e, type, length, chunk, config->window);
	fl_imap *it = new_imap(most < SIZE_MAX ? most + 1 : most);
	if (!it)
		return -ENOMEM;
	it->executor = e;
	it->type = type;
	it->sent = fl__chunk_type(&it->room, e, type, chunk);
	it->unordered = config->unordered;
	it->calls = config->unordered || it->sent != type;
	it->owns = config->next != NULL;
	it->end = length == 0 ? -ENODATA : 0;
	it->args = args;
	it->n = n;
	it->make = config->next;
	it->state = config->state;
	it->chunk = chunk;
	it->most = most;
	it->deadline = config->deadline ? config->deadline : FL_FOREVER;
	it->cancel = config->cancel == FL_SHIELDED ? NULL : config->cancel;
	int rc = begin(it);
	if (rc != 0)
		fl_imap_free(it);
	else
		*made = it;
	return rc;
}

/* Of a batch under way that nobody wants any more. */
static void forget(fl_imap *it, struct batch *b)
{
	if (b->returned) {
		b->good = fl__chunk_end(b->f, it->type).done;
		it->current = b;
		retire(it);
	} else if (b->f) {
		int rc = fl_future_cancel(b->f);
		(void)rc; /* whatever it is doing, it will end, and is its callback's */
		fl_future_free(b->f);
	}
}

void fl_imap_free(fl_imap *it)
{
	if (!it)
		return;
	/* acquire: as in collect(), for the last time. From here on callbacks take care of what is under way. */
	struct batch *done = it->calls ? fl__swap_acquire(&it->done, CLOSED) : NULL, *next;
	for (; done; done = done->next_done)
		done->returned = true;
	forget_held(it);
	if (it->current)
		retire(it);
	for (struct batch *b = it->oldest; b; b = next) {
		next = b->next;
		forget(it, b);
	}
	release(it);
}
