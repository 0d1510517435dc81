/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Takes the completions that workers have written to their rings, and ends the tasks. The head of
 * rings.c says what the parent trusts in a completion ring.
 */
#include "../base/memfd.h"
#include "../base/process_sys.h"
#include "core/base/atomic.h"
#include "core/base/sys.h"
#include "process_pool.h"
#include <errno.h>
#include <fairlead/error.h>
#include <string.h>

static int process_pool_map_result(struct fl__process_pool_worker *w, struct fl__task_block *block, size_t size)
{
	void *memory;
	uint64_t unused;
	const int fd = fl__memfd_recv(w->channel, &block->seq, &unused, &w->ready);
	if (fd < 0)
		return fd;
	const int rc = fl__sealed_map(fd, size, &memory);
	fl__fd_close(fd);
	if (rc != 0)
		return rc;
	block->future.result = memory;
	block->mapped = size;
	return 0;
}

/* Copies the result to the block. Returns false if the result is a memfd. */
static bool process_pool_copy_result(const struct fl__process_pool_worker *w, struct fl__task_block *block, size_t size,
                                     size_t n)
{
	const struct fl__completion_ring *completions = w->rings.completions;
	const unsigned slot = block->seq % FL__RINGS_DEPTH;
	switch (fl__place_of(size, block->future.type->result_align)) {
	case FL__PLACE_SLOT:
		fl__copy(block->future.result, completions->entry[slot].small, n);
		return true;
	case FL__PLACE_ARENA:
		memcpy(block->future.result, completions->arena + w->rings.submissions->entry[slot].result, n);
		return true;
	default:
		return false;
	}
}

static int process_pool_take_result(struct fl__process_pool_worker *w, struct fl__task_block *block,
                                    const struct fl__completion *completion)
{
	const size_t size = block->future.count * block->future.type->result_size;
	const bool kept = completion->error != 0 && (completion->flags & FL__COMPLETION_KEPT);
	if (size == 0 || process_pool_copy_result(w, block, size, size))
		return fl__bytes_declares(block->future.type->drop_result)
		           ? fl__bytes_take_results(w, block, completion->count + kept,
		                                    completion->flags & FL__COMPLETION_MEMFD)
		           : 0;
	/* A failed submission may have no result, unless the failed element kept one. */
	return completion->error != 0 && completion->count == 0 && !kept ? 0 : process_pool_map_result(w, block, size);
}

void fl__process_pool_take_progress(struct fl__process_pool_worker *w, struct fl__task_block *block)
{
	const uint32_t count = block->future.count;
	const size_t each = block->future.type->result_size;
	/*
	 * A worker that has damaged its memory or cleared its claim word is not trusted. If all
	 * elements of a failed task are done, fl__chunk_end() counts none.
	 */
	const bool believed = !w->damaged && fl__rings_has_started(&w->rings, block->seq);
	block->done = believed ? fl__rings_progress(&w->rings, block->seq, count) : count;
	/* The result is not a memfd, because fl__chunk_limit() limits its size. */
	if (each == 0 || block->done == 0 || block->done >= count)
		return;
	(void)process_pool_copy_result(w, block, count * each, block->done * each);
	if (fl__bytes_declares(block->future.type->drop_result) &&
	    fl__bytes_take_results(w, block, block->done, false) != 0)
		block->done = count;
}

static char *process_pool_take_message(const struct fl__process_pool_worker *w, unsigned slot, uint32_t flags)
{
	if (!(flags & FL__COMPLETION_MESSAGE))
		return NULL;
	return fl__message_format("%.*s", FL__RINGS_MESSAGE - 1, (const char *)w->rings.completions->message[slot]);
}
_Static_assert(FL__RINGS_MESSAGE == FL_MESSAGE_MAX, "a message fits");

/*
 * Ends a task by its completion. Returns false if no intact worker would write such a completion.
 */
static bool process_pool_take_completion(struct fl__process_pool_worker *w, struct fl__task_block *block,
                                         const struct fl__completion *completion)
{
	struct fl__remote *r = &w->pool->remote;
	const unsigned slot = block->seq % FL__RINGS_DEPTH;
	const bool skipped = completion->flags & FL__COMPLETION_SKIPPED;
	const bool failed = completion->error != 0;
	__builtin_prefetch(w->rings.completions->arena + w->rings.submissions->entry[slot].result);
	if (!skipped && (failed ? completion->count >= block->future.count : completion->count != block->future.count))
		return false;
	fl__process_pool_vacate(w, block);
	fl__remote_unpost(r, block);
	if (skipped) {
		fl__remote_end_cancelled(r, block);
		return true;
	}
	fl__process_pool_trace(w, FL__TRACE_TAKEN, block, completion->error);
	block->done = completion->count;
	if (completion->began >= w->times[slot].posted) { /* otherwise it was not timed */
		block->began = completion->began;
		block->ran = (int64_t)completion->ran * FL__RINGS_RAN_UNIT;
	}
	if (completion->flags & FL__COMPLETION_BETWEEN)
		block->asked = FL__STOP_BETWEEN;
	int rc = process_pool_take_result(w, block, completion);
	if (rc != 0) {
		block->done = block->future.count; /* no element counts */
		fl__remote_end_failed(r, block, rc, "the result does not arrive: %s", fl_error_text(rc));
		return true;
	}
	if (failed && (completion->flags & FL__COMPLETION_KEPT))
		fl__future_keep_result(&block->future);
	fl__remote_end(r, block, completion->error,
	               failed ? process_pool_take_message(w, slot, completion->flags) : NULL);
	return true;
}

static void process_pool_take_initializer(struct fl__process_pool_worker *w, const struct fl__completion *completion)
{
	struct fl__process_pool *p = w->pool;
	w->initializing = false;
	w->ready = false; /* then process_pool_check_ready() runs again */
	/*
	 * A cancel may have stopped the initializer. The worker ends after an error, but then no
	 * task is left for it.
	 */
	if (completion->error == 0 || p->init_error != 0 || fl__cancel_is_requested(&p->base.stop))
		return;
	p->init_error = completion->error;
	p->init_message = process_pool_take_message(w, w->rings.first % FL__RINGS_DEPTH, completion->flags);
	fl__process_pool_wake(p);
}

static void process_pool_check_ready(struct fl__process_pool_worker *w)
{
	/* relaxed: the word does not publish other data */
	const uint32_t state = fl__load_relaxed(&w->rings.completions->state);
	w->ready = state == FL__WORKER_READY || state == FL__WORKER_LEAVES;
	if (!w->ready || w->initializing)
		return;
	w->pool->failures = 0;
	w->pool->retry_at = 0;
}

/*
 * If the worker leaves by itself, takes back the tasks that it has not started, so that they
 * neither wait for its exit nor are suspected of it by process_pool_counts_as_started().
 */
static bool process_pool_note_leave(struct fl__process_pool_worker *w)
{
	/* relaxed: the word does not publish other data */
	if (w->exiting || fl__load_relaxed(&w->rings.completions->state) != FL__WORKER_LEAVES)
		return false;
	w->retired = w->exiting = true;
	fl__process_pool_recall_newest(w, FL__RINGS_DEPTH);
	return true;
}

bool fl__process_pool_take_from(struct fl__process_pool_worker *w)
{
	struct fl__completion completion;
	enum fl__rings_peeked peeked;
	bool some = process_pool_note_leave(w);
	if (!w->ready)
		process_pool_check_ready(w);
	while (!w->damaged && (peeked = fl__rings_peek(&w->rings, &completion)) != FL__RINGS_NONE) {
		const unsigned slot = w->rings.first % FL__RINGS_DEPTH;
		struct fl__task_block *block = w->blocks[slot];
		if (peeked == FL__RINGS_DAMAGED || (block && !process_pool_take_completion(w, block, &completion))) {
			w->damaged = true;
			fl__process_pool_kill_worker(w, "it had damaged the memory that it shares");
			break;
		}
		if (!block && w->initializing)
			process_pool_take_initializer(w, &completion);
		w->args.tail = w->arg_head[slot];
		w->results.tail = w->result_head[slot];
		fl__rings_release(&w->rings);
		some = true;
	}
	if (!some || fl__rings_used(&w->rings) > 0)
		return some;
	const int64_t timeout = w->pool->remote.config.idle_timeout;
	if (timeout > 0) {
		w->idle_since = fl__sys.now();
		fl__process_pool_wake_at(w->pool, fl__later(w->idle_since, timeout));
	}
	if ((w->retired || w->quota == 0) && !w->exiting)
		fl__process_pool_post_exit(w);
	return true;
}

bool fl__process_pool_take_all(struct fl__process_pool *p)
{
	bool some = false;
	FL__EACH_WORKER (w, p)
		some |= fl__process_pool_take_from(w);
	return some;
}
