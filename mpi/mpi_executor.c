/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The executor over MPI in rank 0. Worker ranks run its tasks (host.c); wire.h has the messages
 * between the two. Each executor also has a *manager*, a thread that runs callbacks and drop hooks,
 * so that no user code runs under the engine lock. The executor's lock guards all state of a pool
 * and is held in all functions, unless their comment says otherwise.
 *
 * A *round* receives messages, posts queued tasks, ends tasks, and flushes. It serves all pools of
 * the process. Its leader, which holds the engine lock, is one of:
 *
 *   leader         when                                    rounds
 *   an attender    a thread waits for a task: attend()     until the wait is over, and while
 *                                                          results come
 *   a submitter    a submit finds an idle worker           one, without receives
 *   the MPI        no attender has led since it last       all, with fl__mpi_pause() between them
 *   thread         looked
 *
 * Attenders and submitters only try to lock. If that fails, another leader is at work. The MPI
 * thread naps while attenders lead, and looks at their number of rounds after each nap
 * (MPI_THREAD_NAP). When it finds that nothing has been under way for MPI_THREAD_LINGER, it sleeps
 * until a wake.
 *
 *   word                guarded by        meaning
 *   mpi_thread.ready    mpi_thread.lock   pools that another thread has changed. A thread that
 *                                         adds one tries to lead, or wakes the MPI thread. A
 *                                         leader that fails the next try looks there after its
 *                                         unlock (mpi_settle()).
 *   mpi_thread.rounds   the engine lock   rounds of attenders
 *   mpi_thread.asleep   the engine lock   the MPI thread sleeps until a wake: a leader that has
 *                                         tasks under way clears it, and wakes the thread
 *   mpi_thread.called   atomic            an attender has left before its task had ended: the MPI
 *                                         thread leads, however many rounds there were
 *
 * A task is in one of these places:
 *
 *   place   where                                   entered by
 *   queued  base.queue                              submit
 *   posted  a slot of a worker rank; block->seq;    mpi_pool_post(): its message is in a buffer
 *           counted by `posted`
 *           a recalled task is queued again
 *   ended   `ended`; claimed; counted by            its ENDED has come, with its result; its token
 *           base.foreign                            was requested while it was queued
 *   kept    `kept`; counted by base.foreign         a leader found user code to run
 *
 * Invariants
 *   1. A posted task counts as started: rank 0 does not know whether its rank has begun it. So a
 *      rank gets no more tasks than it has workers, and `prefetch` beyond them. A cancel of a
 *      posted task asks its rank to stop it. If the rank has not begun it, it ends as cancelled.
 *   2. A slot is free when ENDED has come and the argument's transfer has ended: the argument is
 *      sent from the task block, and a result arrives in the task block.
 *   3. Futures end without the executor's lock. The leader ends those without user code, the manager
 *      all others. The callback of a lazy map (fl__imap_on_end()) is no user code.
 *   4. Leaders use a pool from its first submit until each rank with an executor of the pool has
 *      said CLOSED. A join waits for that. An attender uses its future, but not its executor, which
 *      may be freed once the future has ended.
 *   5. A pool with regions has no room for tasks until all ranks have the regions (regions.c).
 *
 * Balance. Tasks beyond the workers of a rank wait there. When another rank has a free worker, and
 * nothing is queued, rank 0 recalls such tasks: those that have waited for MPI_POOL_PATIENCE, the
 * last sent first. A rank that has begun a recalled task runs it to its end. Any other comes back
 * as cancelled, and is queued again.
 *
 * Requests to stop. fl_future_cancel() marks the slot. Any thread may request a user's token,
 * without a call into the executor: a round looks at the tokens of posted tasks, at most every
 * MPI_POOL_WATCH.
 */
#include "../lib/base/panic.h"
#include "../lib/base/sys.h"
#include "../lib/exec/executor.h"
#include "../lib/exec/imap.h"
#include "../lib/exec/registry.h"
#include "../lib/process/main_hook.h"
#include "../lib/sync/thread.h"
#include "../lib/wait/cancel.h"
#include "engine.h"
#include "regions.h"
#include "start.h"
#include <errno.h>
#include <fairlead/mpi_executor.h>
#include <fairlead/thread.h>
#include <pthread.h>
#include <stdio.h>

struct mpi_transfer {
	struct fl__mpi_transfer base; /* first */
	struct mpi_slot *slot;
	bool under_way;
};

/* A slot of a worker rank. */
struct mpi_slot {
	struct mpi_transfer arg, result;
	struct mpi_pool *pool;
	struct fl__task_block *block; /* NULL: free */
	struct mpi_slot *next_free;
	uint32_t round;
	uint16_t rank, number;
	bool ended;        /* ENDED has come; `end` is its head */
	bool watched;      /* the task has a token of the user's */
	bool asked, stops; /* the task is to stop; STOP was not sent yet */
	bool recalled;     /* RECALL was sent, and not answered */
	bool begun;        /* BEGUN has come */
	int64_t posted_at;
	struct fl__mpi_head end;
	char *message;
};

/* What a pool has at one worker rank. */
struct mpi_share {
	struct mpi_slot *slots; /* NULL until the first task */
	struct mpi_slot *free;
	uint32_t workers, n_slots, load, recalled;
	bool opened; /* OPEN was sent */
};

/* The result of a type's lookup in the registry. */
struct mpi_known {
	const fl_task_type *type;
	fl_task_type copy; /* as it was at the lookup: the address may since hold another type */
	uint64_t changes;  /* the registry's count at the lookup: the name may since have moved */
	uint64_t id;
	uint32_t check;
};

enum { MPI_KNOWN_TYPES = 64 };

struct mpi_pool {
	fl_executor base;
	uint32_t id;
	struct mpi_share *shares; /* by rank; that of rank 0 has no slots */
	int cursor;               /* the rank that got the last task */
	size_t posted, room;
	size_t parked;           /* the slots of ranks that have the regions: `room`, when all do */
	unsigned watched, stops; /* slots */
	int64_t watch_at;
	bool lags; /* a rank has tasks that wait, while another has a free worker */
	struct fl__task_block *ended, **ended_end, *kept, **kept_end; /* linked by `next` */
	struct mpi_known known[MPI_KNOWN_TYPES];
	struct mpi_known initializer;
	/* The rounds. */
	struct mpi_pool *next, *next_ready;
	bool ready;           /* in mpi_thread.ready; guarded by its lock */
	bool listed, touched; /* in mpi_thread.pools; has work: the leader's */
	bool terminates;      /* TERMINATE is to be sent */
	bool closing;
	bool forgotten;                /* no leader uses the pool again */
	unsigned open_ranks;           /* OPEN was sent, CLOSED has not come */
	struct fl__mpi_sender *sender; /* of the regions; NULL: there are none */
	bool told;                     /* the ranks were sent the regions */
	/* The manager. */
	fl_thread manager;
	bool running, finished, broke;
	fl_cond work;
	char broken[FL_MESSAGE_MAX]; /* why the pool is to break; "": it is not */
	/* The config. */
	fl_executor_config config;
	unsigned prefetch;
	bool processes;
	char name[24];
};

#define MPI_POOL_WATCH FL_US(200)
#define MPI_POOL_PATIENCE FL_MS(1)

#define MPI_THREAD_NAP FL_US(500)
#define MPI_THREAD_LINGER FL_MS(10)

static struct {
	fl_mutex lock;          /* taken under the executors' locks; guards the first part */
	struct mpi_pool *ready; /* with something to do */
	uint32_t has_ready;     /* 1: there is one; also read without the lock */
	bool running, over;
	fl_thread thread;
	uint32_t pools_made;
	/* The leader's. */
	struct mpi_pool *pools;
	uint64_t rounds;
	bool asleep;
	/* Atomic. */
	uint32_t called;
} mpi_thread = {.lock = FL_MUTEX_INIT};

static struct mpi_pool *mpi_pool_of(fl_executor *e)
{
	return (struct mpi_pool *)(void *)e; /* base is its first member */
}

/* Makes the next round serve the pool. */
static void mpi_pool_make_ready(struct mpi_pool *p)
{
	FL_LOCKED(&mpi_thread.lock);
	if (p->ready || p->forgotten)
		return;
	p->ready = true;
	p->next_ready = mpi_thread.ready;
	mpi_thread.ready = p;
	fl__store_relaxed(&mpi_thread.has_ready, 1); /* relaxed: a thread that leads, or wakes another, orders it */
}

/* Makes the MPI thread serve the pool, if no other leader does before. */
static void mpi_pool_alert(struct mpi_pool *p)
{
	mpi_pool_make_ready(p);
	fl__mpi_wake(FL__MPI_FIRST);
}

/* The end of tasks. */

static void mpi_pool_add_ended(struct mpi_pool *p, struct fl__task_block *block, int error, char *message)
{
	fl__future_set_error(&block->future, error, message);
	block->next = NULL;
	p->base.foreign++;
	*p->ended_end = block;
	p->ended_end = &block->next;
}

static void mpi_pool_end_cancelled(struct mpi_pool *p, struct fl__task_block *block)
{
	if (fl__future_claim_cancel(&block->future)) /* always: no other thread may claim it */
		mpi_pool_add_ended(p, block, -ECANCELED, NULL);
}

static void mpi_pool_end_claimed(struct mpi_pool *p, struct fl__task_block *block, int error, char *message)
{
	if (fl__future_claim_ended(&block->future)) /* always: no other thread may claim it */
		mpi_pool_add_ended(p, block, error, message);
}

/* Ends the slot's task, if ENDED has come and both transfers have ended. */
static void mpi_slot_try_end(struct mpi_slot *s)
{
	if (!s->ended || s->arg.under_way || s->result.under_way)
		return;
	struct mpi_pool *p = s->pool;
	struct mpi_share *share = &p->shares[s->rank];
	struct fl__task_block *block = s->block;
	block->seq = 0;
	block->done = s->end.done;
	if (s->end.flags & FL__MPI_LATE)
		block->asked = FL__STOP_EXPIRED;
	if (s->end.flags & FL__MPI_BETWEEN)
		block->asked = FL__STOP_BETWEEN;
	if (s->end.flags & FL__MPI_KEPT)
		fl__future_keep_result(&block->future);
	if (s->end.flags & FL__MPI_SKIPPED && s->recalled && !s->asked && !p->base.broken)
		fl__task_list_add_first(&p->base.queue, block);
	else if (s->end.flags & FL__MPI_SKIPPED && s->recalled && !s->asked)
		mpi_pool_end_claimed(p, block, -ENOTRECOVERABLE, fl__message_copy(p->base.allocator, p->broken));
	else if (s->end.flags & FL__MPI_SKIPPED)
		mpi_pool_end_cancelled(p, block);
	else
		mpi_pool_end_claimed(p, block, s->end.error, s->message);
	p->watched -= s->watched;
	p->stops -= s->stops;
	p->posted--;
	share->load--;
	share->recalled -= s->recalled;
	s->block = NULL;
	s->message = NULL;
	s->round++;
	s->next_free = share->free;
	share->free = s;
}

static void mpi_pool_request_stop(struct mpi_pool *p, struct mpi_slot *s)
{
	if (s->asked || s->ended)
		return;
	s->asked = s->stops = true;
	s->block->asked = FL__STOP_REQUESTED;
	p->stops++;
	mpi_pool_alert(p);
}

/* The slot of a posted task. */
static struct mpi_slot *mpi_slot_of(const struct mpi_pool *p, const struct fl__task_block *block)
{
	return &p->shares[block->seq >> 16].slots[block->seq & UINT16_MAX];
}

/* Without the lock, by the leader: the argument was sent, or the result has arrived. */
static void mpi_slot_transferred(struct fl__mpi_transfer *t)
{
	struct mpi_transfer *transfer = (struct mpi_transfer *)(void *)t; /* its first member */
	struct mpi_slot *s = transfer->slot;
	FL_LOCKED(&s->pool->base.lock);
	transfer->under_way = false;
	s->pool->touched = true;
	mpi_slot_try_end(s);
}

/* The leader: from the queue to the ranks. */

static int mpi_pool_open(struct mpi_pool *p, int rank)
{
	struct mpi_share *share = &p->shares[rank];
	unsigned char data[FL__MPI_INLINE];
	struct fl__mpi_open open = {
	    .workers = share->workers,
	    .slots = share->n_slots,
	    .processes = p->processes,
	    .max_tasks = p->config.max_tasks,
	    .idle_timeout = p->config.idle_timeout,
	    .task_timeout = p->config.task_timeout,
	    .kill_after = p->config.kill_after,
	};
	struct fl__mpi_head head = {.kind = FL__MPI_OPEN, .pool = p->id, .size = sizeof open};
	memcpy(open.name, p->name, sizeof open.name);
	memcpy(data, &open, sizeof open);
	if (p->base.initialize) {
		const size_t size = p->base.initialize->arg_size;
		head.flags = FL__MPI_INITIALIZED;
		head.task = p->initializer.id;
		head.check = p->initializer.check;
		if (size > 0) /* it fits: fl_mpi_executor_create() */
			memcpy(data + sizeof open, p->base.initialize_arg, size);
		head.size += size;
	}
	if (!share->slots)
		share->slots = fl__alloc_from(p->base.allocator, share->n_slots, sizeof *share->slots);
	if (!share->slots || fl__mpi_send(rank, &head, "", data) != 0)
		return -ENOMEM;
	for (uint32_t i = share->n_slots; i-- > 0;) {
		struct mpi_slot *s = &share->slots[i];
		s->pool = p;
		s->arg = s->result = (struct mpi_transfer){{mpi_slot_transferred, NULL}, s, false};
		s->rank = (uint16_t)rank;
		s->number = (uint16_t)i;
		s->next_free = share->free;
		share->free = s;
	}
	share->opened = true;
	p->open_ranks++;
	return 0;
}

/* The next rank with a free worker; else the next with a free slot; 0: none. */
static int mpi_pool_choose(const struct mpi_pool *p)
{
	int second = 0;
	for (int i = 1, rank = p->cursor; i < fl__mpi_world.size; i++) {
		rank = rank + 1 < fl__mpi_world.size ? rank + 1 : 1;
		const struct mpi_share *share = &p->shares[rank];
		if (share->load < share->workers)
			return rank;
		if (second == 0 && share->load < share->n_slots)
			second = rank;
	}
	return second;
}

/* Sends a task. Returns 0, -ENOMEM. */
static int mpi_pool_post(struct mpi_pool *p, struct fl__task_block *block, int rank)
{
	struct mpi_share *share = &p->shares[rank];
	int rc = share->opened ? 0 : mpi_pool_open(p, rank);
	if (rc != 0)
		return rc;
	fl_future *f = &block->future;
	struct mpi_slot *s = share->free;
	const size_t size = f->count * f->type->arg_size;
	const int64_t deadline = fl_cancel_token_deadline(&f->token);
	struct fl__mpi_head head = {
	    .kind = FL__MPI_TASK,
	    .flags = size > FL__MPI_INLINE ? FL__MPI_ANNOUNCED : 0,
	    .pool = p->id,
	    .slot = s->number,
	    .round = s->round,
	    .check = block->check,
	    .task = block->task,
	    .size = size,
	    .rest = deadline == FL_FOREVER ? FL_FOREVER : deadline - fl_now(),
	    .count = f->count,
	};
	rc = fl__mpi_send(rank, &head, "", f->arg);
	if (rc != 0)
		return rc;
	share->free = s->next_free;
	s->block = block;
	s->arg.under_way = size > FL__MPI_INLINE;
	s->watched = f->token.parent_ != NULL;
	s->ended = s->asked = s->stops = s->recalled = s->begun = false;
	s->posted_at = fl_now();
	if (s->arg.under_way)
		fl__mpi_send_data(rank, f->arg, size, &s->arg.base);
	block->seq = (uint32_t)rank << 16 | s->number;
	block->asked = FL__STOP_NOT_REQUESTED;
	p->cursor = rank;
	p->watched += s->watched;
	p->posted++;
	share->load++;
	return 0;
}

static void mpi_pool_dispatch(struct mpi_pool *p)
{
	struct fl__task_block *block;
	while (p->posted < p->room && !p->base.broken && (block = p->base.queue.head) != NULL) {
		fl__task_list_remove(&p->base.queue, block);
		if (fl_cancel_token_is_requested(&block->future.token)) {
			mpi_pool_end_cancelled(p, block);
			continue;
		}
		int rc = mpi_pool_post(p, block, mpi_pool_choose(p));
		if (rc != 0)
			mpi_pool_end_claimed(
			    p, block, rc, fl__message_copy(p->base.allocator, "no memory to send the task to a rank"));
	}
}

/* The task that was sent last to the rank, if that was long ago; NULL: none waits there. */
static struct mpi_slot *mpi_share_find_waiting(const struct mpi_share *share, int64_t before)
{
	struct mpi_slot *last = NULL;
	if (share->load <= share->workers + share->recalled)
		return NULL;
	for (uint32_t i = 0; i < share->n_slots; i++) {
		struct mpi_slot *s = &share->slots[i];
		const bool may_wait = s->block && !s->recalled && !s->begun && !s->asked && !s->ended;
		if (may_wait && (!last || s->posted_at > last->posted_at))
			last = s;
	}
	return last && last->posted_at <= before ? last : NULL;
}

/* The number of workers without a task, or with one on its way back to them. */
static uint32_t mpi_pool_count_free(const struct mpi_pool *p)
{
	uint32_t n = 0, recalled = 0;
	for (int rank = 1; rank < fl__mpi_world.size; rank++) {
		const struct mpi_share *share = &p->shares[rank];
		n += share->load < share->workers ? share->workers - share->load : 0;
		recalled += share->recalled;
	}
	return n > recalled ? n - recalled : 0;
}

/* Recalls tasks for free workers. */
static void mpi_pool_balance(struct mpi_pool *p)
{
	uint32_t n = p->prefetch > 0 && !p->base.queue.head && p->posted > 0 ? mpi_pool_count_free(p) : 0;
	p->lags = n > 0;
	if (n == 0)
		return;
	const int64_t before = fl_now() - MPI_POOL_PATIENCE;
	for (int rank = 1; rank < fl__mpi_world.size && n > 0; rank++) {
		struct mpi_share *share = &p->shares[rank];
		struct mpi_slot *s;
		while (n > 0 && (s = mpi_share_find_waiting(share, before)) != NULL) {
			const struct fl__mpi_head head = {
			    .kind = FL__MPI_RECALL, .pool = p->id, .slot = s->number, .round = s->round};
			if (fl__mpi_send(rank, &head, "", NULL) != 0)
				return; /* the next round tries again */
			s->recalled = true;
			share->recalled++;
			n--;
		}
	}
	p->lags = n > 0;
}

/* Calls `visit` for each slot with a task. */
static void mpi_pool_visit(struct mpi_pool *p, void (*visit)(struct mpi_pool *p, struct mpi_slot *s))
{
	for (int rank = 1; rank < fl__mpi_world.size; rank++) {
		struct mpi_share *share = &p->shares[rank];
		for (uint32_t i = 0; share->load > 0 && i < share->n_slots; i++)
			if (share->slots[i].block)
				visit(p, &share->slots[i]);
	}
}

static void mpi_slot_watch(struct mpi_pool *p, struct mpi_slot *s)
{
	if (s->watched && fl_cancel_token_is_requested(&s->block->future.token))
		mpi_pool_request_stop(p, s);
}

static void mpi_slot_send_stop(struct mpi_pool *p, struct mpi_slot *s)
{
	const struct fl__mpi_head head = {.kind = FL__MPI_STOP, .pool = p->id, .slot = s->number, .round = s->round};
	/* Without memory now: the next round tries again. */
	if (!s->stops || fl__mpi_send(s->rank, &head, "", NULL) != 0)
		return;
	s->stops = false;
	p->stops--;
}

/* Without memory for a message, the rest of the ranks is asked to stop and no more. */
static void mpi_pool_send_terminate(struct mpi_pool *p)
{
	const struct fl__mpi_head head = {.kind = FL__MPI_TERMINATE, .pool = p->id};
	if (!p->terminates)
		return;
	p->terminates = false;
	for (int rank = 1; rank < fl__mpi_world.size && !p->closing; rank++)
		if (p->shares[rank].load > 0 && fl__mpi_send(rank, &head, "", NULL) != 0)
			return;
}

static void mpi_pool_watch(struct mpi_pool *p)
{
	if ((p->watched > 0 || p->lags) && fl_now() >= p->watch_at) {
		if (p->watched > 0)
			mpi_pool_visit(p, mpi_slot_watch);
		p->watch_at = fl_after(MPI_POOL_WATCH);
	}
	if (p->stops > 0)
		mpi_pool_visit(p, mpi_slot_send_stop);
}

/* When all has ended: tells the ranks to free their executors. */
static void mpi_pool_close(struct mpi_pool *p)
{
	const struct fl__mpi_head head = {.kind = FL__MPI_CLOSE, .pool = p->id};
	if (!p->base.closed || p->base.queue.head || p->posted > 0 || p->closing)
		return;
	fl__mpi_sender_stop(p->sender);
	if (fl__mpi_sender_is_busy(p->sender))
		return;
	p->closing = true;
	for (int rank = 1; rank < fl__mpi_world.size; rank++)
		if (p->shares[rank].opened && fl__mpi_send(rank, &head, "", NULL) != 0)
			fl__mpi_abort("rank 0 has no memory for a message");
}

/* The first task has come: sends the regions to all ranks that have workers. */
static void mpi_pool_send_regions(struct mpi_pool *p)
{
	if (!p->sender || p->told || !p->base.queue.head)
		return;
	p->told = true;
	for (int rank = 1; rank < fl__mpi_world.size; rank++)
		if (p->shares[rank].workers > 0)
			fl__mpi_sender_tell(p->sender, p->id, rank);
}

/* The leader: what comes back. */

/*
 * Ends the tasks in `ended`. Those with user code to run go to the manager. Called without the
 * lock. True: there was one.
 */
static bool mpi_pool_complete(struct mpi_pool *p)
{
	struct fl__task_block *list, *kept = NULL, **kept_end = &kept;
	size_t n = 0;
	{
		FL_LOCKED(&p->base.lock);
		list = p->ended;
		p->ended = NULL;
		p->ended_end = &p->ended;
	}
	if (!list)
		return false;
	for (struct fl__task_block *next; list; list = next) {
		next = list->next;
		if (fl__future_try_finish(&list->future, fl__imap_on_end)) {
			fl_future_free(&list->future); /* the producer's reference */
			n++;
			continue;
		}
		list->next = NULL;
		*kept_end = list;
		kept_end = &list->next;
	}
	FL_LOCKED(&p->base.lock);
	p->base.foreign -= n;
	if (kept) {
		*p->kept_end = kept;
		p->kept_end = kept_end;
		fl_cond_signal(&p->work);
	}
	if (p->base.foreign == 0)
		fl_cond_broadcast(&p->base.gone);
	return true;
}

/* The message of a task that has ended with an error. */
static char *mpi_slot_message(const struct mpi_slot *s, const char *text)
{
	char whole[2 * FL_MESSAGE_MAX], build[FL__BUILD_ID_TEXT];
	struct fl__task_identity identity;
	const fl_task_type *type = s->block->future.type;
	if (!(s->end.flags & FL__MPI_MISMATCH))
		return *text ? fl__message_copy(s->pool->base.allocator, text) : NULL;
	fl__task_identify(type, &identity);
	(void)snprintf(whole, sizeof whole, "task %s here is of build %s, with %zu and %zu bytes, but %s", type->name,
	               fl__build_id_text(&identity.owner, build), type->arg_size, type->result_size, text);
	return fl__message_copy(s->pool->base.allocator, whole);
}

static void mpi_pool_on_ended(struct mpi_pool *p, int from, const struct fl__mpi_head *head, const char *text,
                              const char *data)
{
	struct mpi_share *share = &p->shares[from];
	struct mpi_slot *s = share->slots && head->slot < share->n_slots ? &share->slots[head->slot] : NULL;
	FL_LOCKED(&p->base.lock);
	if (!s || !s->block || s->round != head->round || s->ended)
		fl__mpi_abort("rank %d has ended a task that it does not have", from);
	fl_future *f = &s->block->future;
	const size_t size = f->count * f->type->result_size;
	if (head->size > 0 && head->size != size)
		fl__mpi_abort("rank %d has sent a result of %zu bytes in place of %zu", from, (size_t)head->size, size);
	s->ended = true;
	s->end = *head;
	if (head->error != 0 && !(head->flags & FL__MPI_SKIPPED))
		s->message = mpi_slot_message(s, text);
	if ((head->flags & FL__MPI_BROKEN) && !*p->broken) {
		(void)snprintf(p->broken, sizeof p->broken, "%s", text);
		p->base.broken = true; /* the manager ends what is queued */
		fl_cond_signal(&p->work);
	}
	p->touched = true;
	s->result.under_way = head->flags & FL__MPI_ANNOUNCED;
	if (s->result.under_way)
		fl__mpi_recv_data(from, f->result, size, &s->result.base);
	else if (head->size > 0)
		memcpy(f->result, data, size);
	mpi_slot_try_end(s);
}

static void mpi_pool_on_begun(struct mpi_pool *p, int from, const struct fl__mpi_head *head)
{
	struct mpi_share *share = &p->shares[from];
	struct mpi_slot *s = share->slots && head->slot < share->n_slots ? &share->slots[head->slot] : NULL;
	FL_LOCKED(&p->base.lock);
	if (!s || !s->block || s->round != head->round || !s->recalled)
		fl__mpi_abort("rank %d has begun a task that it does not have", from);
	s->recalled = false;
	s->begun = true;
	share->recalled--;
	p->touched = true;
}

/* Without the lock: a rank has the regions, or cannot get them. */
static void mpi_pool_on_has(struct mpi_pool *p, int from, const struct fl__mpi_head *head, const char *text,
                            const char *data)
{
	struct mpi_share *share = &p->shares[from];
	int rc = fl__mpi_sender_on_has(p->sender, from, head, data); /* it may log */
	p->touched = true;
	if (rc == -EAGAIN)
		return;
	FL_LOCKED(&p->base.lock);
	if (rc == 0) {
		/* Now, so that CLOSE frees the regions. */
		if (mpi_pool_open(p, from) != 0)
			fl__mpi_abort("rank 0 has no memory for a message");
		p->parked += share->n_slots;
		if (fl__mpi_sender_is_complete(p->sender))
			p->room = p->parked;
		return;
	}
	fl__mpi_sender_stop(p->sender);
	if (*p->broken || (p->base.closed && !p->base.queue.head))
		return;
	(void)snprintf(p->broken, sizeof p->broken, "the executor is broken: rank %d (%.63s) %.130s", from,
	               fl__mpi_world.peers[from].host, text);
	p->base.broken = true; /* the manager ends what is queued */
	fl_cond_signal(&p->work);
}

/* Without the lock: the last access of a leader to the pool. */
static void mpi_pool_forget(struct mpi_pool *p)
{
	struct mpi_pool **link = &mpi_thread.pools;
	while (*link != p)
		link = &(*link)->next;
	*link = p->next;
	FL_LOCKED(&p->base.lock);
	{
		FL_LOCKED(&mpi_thread.lock);
		link = &mpi_thread.ready;
		while (*link && *link != p)
			link = &(*link)->next_ready;
		if (*link)
			*link = p->next_ready;
		p->forgotten = true;
	}
	fl_cond_signal(&p->work);
}

/* Under the engine lock alone. */
static void mpi_handle(int from, const struct fl__mpi_head *head, const char *text, const char *data)
{
	struct mpi_pool *p = mpi_thread.pools;
	while (p && p->id != head->pool)
		p = p->next;
	if (!p)
		fl__mpi_abort("rank %d has answered for an executor that rank 0 does not have", from);
	if (head->kind == FL__MPI_ENDED)
		mpi_pool_on_ended(p, from, head, text, data);
	else if (head->kind == FL__MPI_BEGUN)
		mpi_pool_on_begun(p, from, head);
	else if (head->kind == FL__MPI_WANT && p->sender)
		fl__mpi_sender_on_want(p->sender, from, head);
	else if (head->kind == FL__MPI_HAS && p->sender)
		mpi_pool_on_has(p, from, head, text, data);
	else if (head->kind == FL__MPI_CLOSED && --p->open_ranks == 0)
		p->touched = true;
	else if (head->kind != FL__MPI_CLOSED)
		fl__mpi_abort("rank %d has sent a message of an unknown kind", from);
}

/* Rounds. The engine lock is held, and no other. */

/* Does what there is to do for a pool, which may be freed afterwards. True: there was something. */
static bool mpi_pool_serve(struct mpi_pool *p)
{
	const bool due = (p->watched > 0 || p->lags) && fl_now() >= p->watch_at; /* only leaders write them */
	if (!p->touched && !due)
		return false;
	bool some = p->touched;
	{
		FL_LOCKED(&p->base.lock);
		p->touched = false;
		mpi_pool_send_regions(p);
		mpi_pool_dispatch(p);
		mpi_pool_balance(p);
		mpi_pool_watch(p);
		mpi_pool_send_terminate(p);
		mpi_pool_close(p);
	}
	some |= mpi_pool_complete(p);
	if (p->closing && p->open_ranks == 0)
		mpi_pool_forget(p);
	return some;
}

/* Moves pools with something to do to the list of pools. */
static void mpi_take_ready(void)
{
	if (fl__load_relaxed(&mpi_thread.has_ready) == 0) /* relaxed: else mpi_settle() finds it */
		return;
	FL_LOCKED(&mpi_thread.lock);
	for (struct mpi_pool *p = mpi_thread.ready; p; p = p->next_ready) {
		p->ready = false;
		p->touched = true;
		if (p->listed)
			continue;
		p->listed = true;
		p->next = mpi_thread.pools;
		mpi_thread.pools = p;
	}
	mpi_thread.ready = NULL;
	fl__store_relaxed(&mpi_thread.has_ready, 0);
}

/*
 * Tells the worker ranks to end. Transfers under way are ended first, with the ranks, which take
 * part for a second.
 */
static void mpi_leave(void)
{
	const struct fl__mpi_head head = {.kind = FL__MPI_EXIT};
	fl__mpi_leave();
	fl__mpi_sender_leave();
	const int64_t until = fl_after(FL_S(1));
	for (int rank = 1; rank < fl__mpi_world.size; rank++)
		if (fl__mpi_send(rank, &head, "", NULL) != 0)
			fl__mpi_abort("rank 0 has no memory for a message");
	fl__mpi_flush();
	while (fl__mpi_under_way() > 0 && fl_now() < until) {
		(void)fl__mpi_progress(mpi_handle);
		fl__mpi_flush();
	}
	if (fl__mpi_under_way() > 0)
		fl__mpi_abort("rank 0 ends with large arguments or results under way");
}

/* True: there was something to do. */
static bool mpi_round(bool receives)
{
	bool some = receives && fl__mpi_progress(mpi_handle);
	mpi_take_ready();
	for (struct mpi_pool *next, *p = mpi_thread.pools; p; p = next) {
		next = p->next;
		some |= mpi_pool_serve(p);
	}
	fl__mpi_flush();
	return some;
}

/* Whether there is, or will be, something for another round. */
static bool mpi_expects(void)
{
	for (const struct mpi_pool *p = mpi_thread.pools; p; p = p->next)
		if (p->posted > 0 || p->closing || p->touched || fl__mpi_sender_is_busy(p->sender))
			return true;
	return fl__mpi_under_way() > 0;
}

/*
 * Without a lock, by a thread other than the MPI thread: makes a round. `*some`: there was
 * something to do. False: another thread leads.
 */
static bool mpi_try_round(bool receives, bool *some)
{
	int state;
	if (fl_mutex_try_lock(&fl__mpi_lock) != 0)
		return false;
	(void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state); /* MPI's calls are cancellation points */
	*some = mpi_round(receives);
	mpi_thread.rounds += receives;
	const bool wake = mpi_thread.asleep && mpi_expects();
	mpi_thread.asleep &= !wake;
	fl_mutex_unlock(&fl__mpi_lock);
	(void)pthread_setcancelstate(state, &state);
	if (wake)
		fl__mpi_wake(FL__MPI_FIRST);
	return true;
}

static bool mpi_has_ready(void)
{
	FL_LOCKED(&mpi_thread.lock);
	return mpi_thread.ready != NULL;
}

/*
 * After the last round of a thread: serves pools of other threads, which have not led since this
 * thread did.
 */
static void mpi_settle(void)
{
	bool some;
	while (mpi_has_ready() && mpi_try_round(false, &some))
		;
}

/* The MPI thread. */

/* Under the engine lock. Whether attenders have led since the last look at `seen`, and lead on. */
static bool mpi_thread_is_spared(uint64_t *seen)
{
	const bool led = *seen != mpi_thread.rounds;
	/* acquire: pairs with the release in mpi_pool_on_attend() */
	const bool called = fl__swap_acquire(&mpi_thread.called, 0) != 0;
	*seen = mpi_thread.rounds;
	return led && !called;
}

static bool mpi_thread_is_over(void)
{
	FL_LOCKED(&mpi_thread.lock);
	return mpi_thread.over;
}

static int mpi_thread_run(void *arg)
{
	struct fl__mpi_pace pace = {.sleeper = FL__MPI_FIRST};
	uint64_t seen = 0;
	int64_t expected_at = fl_now();
	(void)arg;
	fl_mutex_lock(&fl__mpi_lock);
	while (!mpi_thread_is_over()) {
		const bool spared = mpi_thread_is_spared(&seen);
		const bool some = !spared && mpi_round(true);
		const bool expects = spared || some || mpi_expects();
		if (expects)
			expected_at = fl_now();
		if (spared)
			pace.found = expected_at; /* when this thread leads next, it polls at first */
		mpi_thread.asleep = !expects && fl_now() - expected_at >= MPI_THREAD_LINGER;
		const bool asleep = mpi_thread.asleep;
		fl_mutex_unlock(&fl__mpi_lock);
		if (asleep || (expects && !spared))
			fl__mpi_pause(&pace, some, expects ? FL__MPI_EXPECTS_ALL : FL__MPI_EXPECTS_NOTHING);
		else
			fl__mpi_nap(FL__MPI_FIRST, MPI_THREAD_NAP);
		fl_mutex_lock(&fl__mpi_lock);
	}
	mpi_leave(); /* the lock stays held: no thread leads any more */
	return 0;
}

void fl__mpi_dismiss(void)
{
	bool running;
	{
		FL_LOCKED(&mpi_thread.lock);
		mpi_thread.over = true;
		running = mpi_thread.running;
	}
	fl__mpi_wake(FL__MPI_FIRST);
	if (running) {
		FL_IGNORE(fl_thread_join(&mpi_thread.thread, NULL));
		return;
	}
	fl_mutex_lock(&fl__mpi_lock);
	mpi_leave();
}

/* The manager. */

/* Ends the tasks in `kept`. Releases the lock for a while. */
static void mpi_pool_end_kept(struct mpi_pool *p)
{
	struct fl__task_block *list = p->kept;
	size_t n = 0;
	p->kept = NULL;
	p->kept_end = &p->kept;
	fl_mutex_unlock(&p->base.lock);
	for (struct fl__task_block *next; list; list = next, n++) {
		next = list->next;
		char *message = list->future.message;
		list->future.message = NULL;
		fl__future_finish(&list->future, list->future.error, message);
		fl_future_free(&list->future); /* the producer's reference */
	}
	fl_mutex_lock(&p->base.lock);
	p->base.foreign -= n;
	if (p->base.foreign == 0)
		fl_cond_broadcast(&p->base.gone);
}

static int mpi_pool_manage(void *arg)
{
	struct mpi_pool *p = arg;
	struct fl__run run;
	fl__run_enter(&run, &p->base); /* so that a join by a callback is refused */
	fl_mutex_lock(&p->base.lock);
	for (;;) {
		if (p->kept) {
			mpi_pool_end_kept(p);
		} else if (*p->broken && !p->broke) {
			p->broke = true;
			fl_mutex_unlock(&p->base.lock);
			fl__executor_break(&p->base, p->broken);
			fl_mutex_lock(&p->base.lock);
		} else if (p->forgotten) {
			break;
		} else {
			FL_IGNORE(fl_cond_wait_until(&p->work, &p->base.lock, FL_FOREVER, FL_SHIELDED));
		}
	}
	fl__run_leave(&run);
	p->finished = true;
	fl_cond_broadcast(&p->base.gone);
	fl_mutex_unlock(&p->base.lock); /* the last access */
	return 0;
}

/* The interface. */

static bool mpi_same_type(const fl_task_type *a, const fl_task_type *b)
{
	return a->run == b->run && a->name == b->name && a->version == b->version && a->arg_size == b->arg_size &&
	       a->arg_align == b->arg_align && a->result_size == b->result_size && a->result_align == b->result_align;
}

/* Looks up the identity of `type`. Returns 0, -ENOENT, -EEXIST, -ENOMEM. */
static int mpi_lookup_type(struct mpi_pool *p, const fl_task_type *type, struct mpi_known **known)
{
	struct mpi_known *k = &p->known[((uintptr_t)type >> 5) % MPI_KNOWN_TYPES];
	/* Before the lookup: the count may be too old for what is found, never too new. */
	const uint64_t changes = fl__registry_changes();
	*known = k;
	if (k->type == type && k->changes == changes && mpi_same_type(&k->copy, type))
		return 0;
	const fl_task_type *registered;
	int rc = fl__registry_find(type->name, &registered);
	if (rc != 0)
		return rc;
	if (registered->run != type->run)
		return -ENOENT;
	struct fl__task_identity identity;
	fl__task_identify(registered, &identity);
	*k = (struct mpi_known){type, *type, changes, identity.id, fl__mpi_check(&identity)};
	return 0;
}

/* Starts the MPI thread, if there is none. Returns 0, -EAGAIN, -ENOMEM. */
static int mpi_thread_start(void)
{
	const fl_thread_config config = {.name = "mpi", .block_signals = true};
	FL_LOCKED(&mpi_thread.lock);
	if (mpi_thread.running)
		return 0;
	int rc = fl_thread_start(&mpi_thread.thread, mpi_thread_run, NULL, &config);
	mpi_thread.running = rc == 0;
	return rc == 0 || rc == -ENOMEM ? rc : -EAGAIN;
}

static int mpi_pool_start_threads(struct mpi_pool *p)
{
	char name[32];
	(void)snprintf(name, sizeof name, "%s-manager", p->name);
	const fl_thread_config config = {.name = name};
	int rc = mpi_thread_start();
	if (rc != 0)
		return rc;
	rc = fl__thread_start(&p->manager, mpi_pool_manage, p, &config, p->base.allocator, &p->base.signals);
	p->running = rc == 0;
	return rc == 0 || rc == -ENOMEM ? rc : -EAGAIN;
}

/*
 * Whether a submit makes a round, after the task was queued: a worker is idle, or a message is full.
 * Else the task goes with others in a later round.
 */
static bool mpi_pool_is_due(const struct mpi_pool *p)
{
	enum { TOGETHER = 16 };
	return p->posted < p->base.workers || (p->posted < p->room && p->base.queue.length >= TOGETHER);
}

/* Under the lock. Returns an error, 0, or 1: the caller is to make a round. */
static int mpi_pool_queue(struct mpi_pool *p, struct fl__task_block *block)
{
	struct mpi_known *known;
	FL_LOCKED(&p->base.lock);
	int rc = fl__executor_refuses(&p->base);
	if (rc == 0)
		rc = mpi_lookup_type(p, block->future.type, &known);
	if (rc == 0 && !p->running)
		rc = mpi_pool_start_threads(p);
	if (rc != 0)
		return rc;
	block->task = known->id;
	block->check = known->check;
	fl__task_list_add(&p->base.queue, block);
	mpi_pool_make_ready(p);
	return mpi_pool_is_due(p);
}

/* Without the lock. A round on a fiber could overflow its stack. */
static int mpi_pool_on_submit(fl_executor *e, struct fl__task_block *block)
{
	const int rc = mpi_pool_queue(mpi_pool_of(e), block);
	bool some;
	if (rc < 0)
		return rc;
	if (rc > 0 && fl__ctx_get()->ops == &fl__thread_parker) {
		if (mpi_try_round(false, &some))
			mpi_settle();
	} else if (rc > 0) {
		fl__mpi_wake(FL__MPI_FIRST);
	} else {
		fl__mpi_wake_lazily(FL__MPI_FIRST);
	}
	return 0;
}

static bool mpi_pool_on_withdraw(fl_executor *e, struct fl__task_block *block)
{
	(void)e;
	(void)block;
	return false; /* invariant 1 */
}

static bool mpi_pool_on_has_started(fl_executor *e, const struct fl__task_block *block)
{
	(void)e;
	return block->seq != 0;
}

static void mpi_pool_on_asked(fl_executor *e, struct fl__task_block *block)
{
	struct mpi_pool *p = mpi_pool_of(e);
	if (block->seq != 0)
		mpi_pool_request_stop(p, mpi_slot_of(p, block));
}

static void mpi_slot_recall(struct mpi_pool *p, struct mpi_slot *s)
{
	fl__future_request_stop(&s->block->future);
	mpi_pool_request_stop(p, s);
}

static void mpi_pool_on_recall(fl_executor *e, bool ask)
{
	if (ask)
		mpi_pool_visit(mpi_pool_of(e), mpi_slot_recall);
}

static void mpi_pool_on_terminate(fl_executor *e)
{
	struct mpi_pool *p = mpi_pool_of(e);
	if (!p->running)
		return;
	p->terminates = true;
	mpi_pool_alert(p);
}

static void mpi_pool_on_release(struct fl__task_block *block)
{
	(void)block; /* nothing was added to it */
}

static bool mpi_attend_is_over(fl_future *f, const fl_event *or_event)
{
	return fl_future_try_wait(f) == 0 || (or_event && fl_event_is_set(or_event));
}

static bool mpi_attend_is_given_up(int64_t now, int64_t deadline, const fl_cancel_token *token)
{
	return now >= deadline || (token && fl_cancel_token_is_requested(token));
}

/*
 * Without the lock. Leads while results come, and for PATIENCE after the last. Yields after POLLS
 * rounds without a result, but beside programs that compute it sleeps, as fl__mpi_pause() does.
 */
static void mpi_pool_on_attend(fl_executor *e, fl_future *f, const fl_event *or_event, int64_t deadline,
                               const fl_cancel_token *cancel)
{
	enum { POLLS = 24, LOOK = 16 };
	static const int64_t patience = FL_US(200), longest = FL_MS(10);
	struct fl__ctx *ctx = fl__ctx_get();
	const fl_cancel_token *token = fl__cancel_resolve(cancel, ctx);
	int64_t until = 0, limit = 0;
	(void)e; /* invariant 4 */
	if (ctx->ops != &fl__thread_parker || fl__is_forked(fl__mpi_world.fork_count))
		return; /* a fiber: its thread has others to run */
	for (unsigned polls = 0, rounds = 1;; polls++, rounds++) {
		bool some = false;
		(void)mpi_try_round(true, &some);
		if (mpi_attend_is_over(f, or_event))
			break;
		if (some)
			polls = 0;
		if (polls < POLLS && rounds % LOOK != 0) {
			fl__sys.relax();
			continue;
		}
		const int64_t now = fl__sys.now();
		limit = limit == 0 ? now + longest : limit;
		until = polls <= LOOK ? 0 : until == 0 ? now + patience : until;
		if (now >= limit || (until != 0 && now >= until) || mpi_attend_is_given_up(now, deadline, token))
			break;
		if (polls >= POLLS && fl__yields_are_barred(now))
			fl__sys.nap();
		else if (polls >= POLLS)
			(void)fl__sys.give_way(now);
	}
	mpi_settle();
	if (!mpi_attend_is_over(f, or_event)) {
		fl__store_release(&mpi_thread.called, 1); /* pairs with mpi_thread_is_spared() */
		fl__mpi_wake(FL__MPI_FIRST);
	}
}

static void mpi_pool_on_wake_all(fl_executor *e)
{
	struct mpi_pool *p = mpi_pool_of(e);
	if (p->running)
		mpi_pool_alert(p);
}

static bool mpi_pool_is_busy(const fl_executor *e)
{
	return ((const struct mpi_pool *)(const void *)e)->posted > 0;
}

static bool mpi_pool_has_ended(fl_executor *e)
{
	const struct mpi_pool *p = mpi_pool_of(e);
	return !p->running || (p->finished && fl__executor_is_idle(e));
}

static int mpi_pool_on_join(fl_executor *e, int64_t deadline, fl_cancel_token *cancel)
{
	return fl__executor_join_thread(e, &mpi_pool_of(e)->manager, mpi_pool_has_ended, deadline, cancel);
}

static void mpi_pool_free_shares(struct mpi_pool *p)
{
	for (int rank = 1; p->shares && rank < fl__mpi_world.size; rank++)
		fl__free_to(p->base.allocator, p->shares[rank].slots);
	fl__free_to(p->base.allocator, p->shares);
}

static void mpi_pool_on_destroy(fl_executor *e)
{
	struct mpi_pool *p = mpi_pool_of(e);
	int rc = fl_thread_detach(&p->manager);
	/* -EINVAL: joined or never started. In a forked child: frees the thread's memory. */
	(void)rc;
	mpi_pool_free_shares(p);
	fl__mpi_sender_free(p->sender);
	fl__executor_fini(e); /* `p` lasts as long as its task blocks */
}

static const struct fl__executor_ops mpi_pool_ops = {
    .size = sizeof mpi_pool_ops,
    .kind = "mpi",
    .capabilities = FL_CAP_CONCURRENT | FL_CAP_NESTED,
    .submit = mpi_pool_on_submit,
    .wake_all = mpi_pool_on_wake_all,
    .join = mpi_pool_on_join,
    .is_busy = mpi_pool_is_busy,
    .destroy = mpi_pool_on_destroy,
    .recall = mpi_pool_on_recall,
    .release = mpi_pool_on_release,
    .withdraw = mpi_pool_on_withdraw,
    .has_started = mpi_pool_on_has_started,
    .asked = mpi_pool_on_asked,
    .attend = mpi_pool_on_attend,
    .terminate = mpi_pool_on_terminate,
};

/* Create. */

_Static_assert(FL_MPI_INITIALIZE_MAX + sizeof(struct fl__mpi_open) <= FL__MPI_INLINE, "OPEN has room for it");

/* In the object that every user of the executor is linked with. */
FL__AT_START static void mpi_set_hook(void)
{
	fl__main_hook = fl__mpi_main;
}

unsigned fl_mpi_ranks(void)
{
	return (unsigned)fl__load_relaxed(&fl__mpi_world.size); /* relaxed: the caller orders it with a create */
}

static bool mpi_config_is_valid(const fl_executor_config *config, const fl_mpi_config *mpi)
{
	return mpi->prefetch <= FL_MPI_PREFETCH_MAX && mpi->spawn <= FL_MPI_SPAWN_MAX && config->max_tasks >= 0 &&
	       config->idle_timeout >= 0 && config->task_timeout >= 0 && config->kill_after >= 0;
}

/* Distributes the workers over the ranks. Returns their number. */
static unsigned mpi_pool_distribute(struct mpi_pool *p, unsigned workers)
{
	const unsigned ranks = fl_mpi_ranks() - 1;
	unsigned sum = 0;
	for (unsigned i = 0; i < ranks; i++) {
		struct mpi_share *share = &p->shares[i + 1];
		const uint32_t cpus = fl__mpi_world.peers[i + 1].cpus;
		share->workers = workers > 0 ? workers / ranks + (i < workers % ranks) : cpus;
		if (share->workers > FL_WORKERS_MAX)
			share->workers = FL_WORKERS_MAX;
		share->n_slots = share->workers > 0 ? share->workers + p->prefetch : 0;
		sum += share->workers;
		p->room += share->n_slots;
	}
	return sum;
}

/* Each rank that may use one CPU of many gets a line: launchers bind ranks to single cores. */
static void mpi_warn_of_binding(void)
{
	static bool warned;
	for (int rank = 1; rank < fl__mpi_world.size && !warned; rank++) {
		const struct fl__mpi_hello *peer = &fl__mpi_world.peers[rank];
		if (peer->cpus > 1 || peer->machine_cpus == 1)
			continue;
		warned = true;
		fl__log(FL_LOG_WARNING,
		        "rank %d (%s) may use 1 of %u CPUs: launchers bind ranks unless told otherwise, as with mpirun "
		        "--bind-to none",
		        rank, peer->host, peer->machine_cpus);
	}
}

/* Takes ownership of `p`, also on failure. */
static int mpi_pool_init(struct mpi_pool *p, const fl_executor_config *config, const fl_mpi_config *mpi)
{
	int rc = fl__executor_init(&p->base, &mpi_pool_ops, 1, config, true);
	if (rc != 0) {
		fl__free_to(config->allocator, p);
		return rc;
	}
	p->config = *config;
	p->prefetch = mpi->prefetch;
	p->processes = mpi->processes;
	p->ended_end = &p->ended;
	p->kept_end = &p->kept;
	(void)snprintf(p->name, sizeof p->name, "%s", config->name ? config->name : "worker");
	p->shares = fl__alloc_from(config->allocator, fl_mpi_ranks(), sizeof *p->shares);
	struct mpi_known *known;
	rc = p->shares ? 0 : -ENOMEM;
	if (rc == 0 && config->initialize)
		rc = mpi_lookup_type(p, config->initialize, &known);
	if (rc == 0 && config->initialize)
		p->initializer = *known;
	if (rc == 0 && config->n_regions > 0)
		rc = fl__mpi_sender_create(&p->sender, p->base.regions, config->n_regions, &p->touched);
	if (rc != 0) {
		fl__free_to(config->allocator, p->shares);
		fl__executor_fini(&p->base); /* frees `p` */
		return rc;
	}
	p->base.workers = mpi_pool_distribute(p, config->workers);
	if (p->sender)
		p->room = 0; /* until all ranks have the regions */
	FL_LOCKED(&mpi_thread.lock);
	p->id = ++mpi_thread.pools_made;
	return 0;
}

int fl_mpi_executor_create(fl_executor **made, const fl_executor_config *config, const fl_mpi_config *mpi)
{
	static const fl_executor_config defaults;
	static const fl_mpi_config mpi_defaults;
	if (!config)
		config = &defaults;
	if (!mpi)
		mpi = &mpi_defaults;
	if (!mpi_config_is_valid(config, mpi))
		return -EINVAL;
	if (config->initialize && config->initialize->arg_size > FL_MPI_INITIALIZE_MAX)
		return -E2BIG;
	int rc = fl__mpi_require_ranks(mpi->spawn);
	if (rc != 0)
		return rc;
	if (!fl__executor_may_have(config->workers, FL_WORKERS_MAX * (fl_mpi_ranks() - 1), "fl_mpi_executor_create"))
		return -EINVAL;
	struct mpi_pool *p = fl__alloc_from(config->allocator, 1, sizeof *p);
	if (!p)
		return -ENOMEM;
	rc = mpi_pool_init(p, config, mpi);
	if (rc != 0)
		return rc;
	mpi_warn_of_binding();
	*made = &p->base;
	return 0;
}
