/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The executor over MPI in rank 0. It is a transport of the remote core
 * (lib/process/remote/remote.c describes the states of a task), whose messages (wire.h) take the
 * tasks to the worker ranks. A posted task occupies a *slot* of its rank. "How it works" in
 * mpi/README.md gives the reasons.
 *
 * A *round* receives messages, posts queued tasks, ends tasks, and flushes, for all executors over
 * MPI, which are called pools here. The leader of a round, which holds the engine lock, is one of:
 *
 *   leader           when                           rounds
 *   a poller         a thread waits for a task      as remote_on_advance() polls
 *   a submitter      any submit, on a thread        one of its pool, without receives; others
 *                                                   of all pools in mpi_settle()
 *   the MPI thread   no poller has led since the    all, with fl__mpi_pause() between them
 *                    MPI thread's last check
 *
 * Pollers and submitters only try to lock the engine lock. While pollers lead, the MPI thread naps
 * (MPI_THREAD_NAP). When nothing has been under way for MPI_THREAD_LINGER, it sleeps until a wake.
 *
 *   word                guarded by        meaning
 *   mpi_thread.ready    mpi_thread.lock   pools that another thread has changed. A thread that
 *                                         adds one tries to lead, or wakes the MPI thread. Each
 *                                         leader looks for such pools when it has released the
 *                                         engine lock; if there are some, a further round
 *                                         serves them.
 *   mpi_thread.rounds   the engine lock   how many rounds pollers have led
 *   mpi_thread.asleep   the engine lock   the MPI thread sleeps until a wake: a leader that has
 *                                         tasks under way clears it, and wakes the thread
 *   mpi_thread.called   atomic            a poller has left before its wait was over: the MPI
 *                                         thread leads
 *
 * In the comments below, *the lock* is the lock of the pool's executor.
 *
 * Invariants
 *   1. A posted task counts as started. Therefore a rank gets at most `prefetch` tasks more than it
 *      has workers.
 *   2. A slot is added to `ended` of its pool, once, when ENDED has come or the rank has died, and
 *      both transfers of the slot have ended. The task must not end earlier, because the argument
 *      is sent from the task block and its bytes, and a result arrives in the task block or in
 *      `image`. The round that adds the slot ends the task; if fl__mpi_look_for_deaths() has added
 *      it, the next round does. Then the slot is free. mpi_share_reap() empties the list before it
 *      adds slots.
 *   3. Leaders use a pool from its first submit until each rank with an executor of the pool has
 *      said CLOSED or has died. A join waits for that.
 *   4. A pool posts no task until all living ranks have its regions (regions.c).
 *   5. The share of a dead rank has no workers, and none of its slots is used again. A task that is
 *      still in a slot of that share ends when its transfers have ended, with a message about the
 *      death, or is queued again (max_attempts). A pool that no leader knows yet learns of a death
 *      when it would open the rank.
 *   6. `open_ranks` counts the shares that are `open`.
 */
#include "engine.h"
#include "image.h"
#include "internals.h"
#include "regions.h"
#include "start.h"
#include <errno.h>
#include <fairlead/mpi_executor.h>
#include <fairlead/thread.h>
#include <stdarg.h>
#include <stdio.h>

struct mpi_slot {
	struct mpi_share *share;
	struct fl__mpi_work transfer; /* of the argument, and of the result */
	unsigned under_way;           /* how many of the two transfers are under way */
	fl_bytes image;               /* the image of a result with bytes */
	struct fl__task_block *block; /* NULL if the slot is free */
	struct mpi_slot *next;        /* in `free` of the share, or in `ended` of the pool */
	uint32_t round;
	uint32_t number;
	bool ended;     /* ENDED has come, and `end` is its head; or the rank has died */
	uint32_t stops; /* atomic; 1 if STOP is to be sent */
	bool recalled;  /* RECALL was sent, and has no answer yet */
	bool begun;     /* BEGUN has come */
	int64_t posted_at;
	struct fl__mpi_head end;
	char *message;
};

struct mpi_share {
	struct mpi_pool *pool;
	struct mpi_slot *slots; /* NULL until OPEN is sent */
	struct mpi_slot *free;
	uint32_t workers, n_slots, load, recalled;
	uint32_t newer; /* how many of the rank's tasks mpi_pool_balance() has passed */
	uint16_t rank;
	bool open; /* OPEN was sent, CLOSED has not come, and the rank lives */
};

struct mpi_pool {
	union {
		fl_executor base; /* remote's first member */
		struct fl__remote remote;
	};
	uint32_t id;
	struct mpi_share *shares; /* by rank; rank 0's has no slots */
	int cursor;               /* the rank that got the last task */
	int64_t now;              /* the time of this round's first post, or 0 */
	size_t room;
	uint32_t stops; /* atomic; 1 if a slot has `stops` */
	int64_t balance_at;
	bool lags; /* a worker is free, so tasks may move to it at `balance_at` */
	/* What the rounds use. */
	struct mpi_pool *next, **link, *next_ready;
	/* the pool is in mpi_thread.ready; guarded by mpi_thread.lock */
	bool ready;
	/* for leaders: the pool is in mpi_thread.pools; the pool has work */
	bool listed, touched;
	struct mpi_slot *ended, *last_ended; /* for leaders: what mpi_pool_work() is to end */
	bool terminates;                     /* TERMINATE is to be sent */
	bool closing;
	bool forgotten; /* no leader uses the pool again */
	unsigned open_ranks;
	/* how many ranks were opened, and how many of them have died */
	unsigned opened, died;
	struct fl__mpi_sender *sender; /* NULL if there are no regions */
	bool told;                     /* the ranks were told of the regions */
	/* What the manager uses. */
	bool broke;
	fl_cond work;
	char broken[FL_MESSAGE_MAX]; /* why the pool is to break, or "" */
	fl_mpi_config mpi;
};

#define MPI_POOL_LOOK FL_US(200)
#define MPI_POOL_PATIENCE FL_MS(1)

#define MPI_THREAD_NAP FL_US(500)
#define MPI_THREAD_LINGER FL_MS(10)

static struct {
	/* an fl__lock(), because mpi_on_stop() must not park; guards the next two */
	uint32_t lock;
	struct mpi_pool *ready; /* pools with something to do; also read unlocked */
	uint32_t pools_made;
	fl_mutex start_lock; /* taken under the lock of an executor; guards the next two */
	bool running;
	fl_thread *thread;
	/* The next four are the leader's. */
	struct mpi_pool *pools;
	uint64_t rounds;
	uint32_t posts; /* of all pools */
	bool asleep;
	/* The next two are atomic. */
	uint32_t called, over;
} mpi_thread = {.start_lock = FL_MUTEX_INIT};

static struct mpi_pool *mpi_pool_of(fl_executor *e)
{
	return (struct mpi_pool *)(void *)e; /* its first member */
}

static void mpi_pool_make_ready(struct mpi_pool *p)
{
	{
		FL__LOCKED(&mpi_thread.lock);
		if (!p->ready && !p->forgotten) {
			p->ready = true;
			p->next_ready = mpi_thread.ready;
			/* relaxed: the fence below orders it, or a wake does */
			fl__store_relaxed(&mpi_thread.ready, p);
		}
	}
	/*
	 * seq_cst: pairs with the fence in mpi_has_ready(). After the fence the caller tries the
	 * engine lock, or wakes the MPI thread.
	 */
	fl__fence_seq_cst();
}

/* Marks the pool as changed, and wakes the MPI thread to serve it. Needs no lock. */
static void mpi_pool_alert(struct mpi_pool *p)
{
	mpi_pool_make_ready(p);
	fl__mpi_wake(FL__MPI_FIRST);
}

/* Makes the manager break the executor and end the queued tasks. The lock is held. */
FL_PRINTF(3, 4) static void mpi_pool_break(struct mpi_pool *p, int error, const char *format, ...)
{
	va_list args;
	if (*p->broken)
		return;
	va_start(args, format);
	(void)vsnprintf(p->broken, sizeof p->broken, format, args);
	va_end(args);
	p->base.broken = error;
	fl_cond_signal(&p->work);
}

/*
 * Makes handles that share the memory of the result's image. If there are several, no handle may
 * change its size there, so `room` is 0.
 */
static void mpi_slot_take_image(struct mpi_slot *s)
{
	const fl_future *f = &s->block->future;
	const size_t each = f->type->result_size;
	memcpy(f->result, s->image.data, f->count * each);
	if (!fl__image_open(f->result, f->count, each, s->image.data, (size_t)s->end.size, s->image.owner_))
		fl__mpi_abort("rank %d has sent a damaged result", s->share->rank);
	s->image.owner_->room = f->count == 1 ? ((const fl_bytes *)f->result)->size : 0;
	fl_bytes_free(&s->image);
}

static void mpi_slot_trace(const struct mpi_slot *s, enum fl__trace_kind kind, int error)
{
	const fl_future *f = &s->block->future;
	fl__hook_event(kind, (uintptr_t)f, FL__TRACE_RANK(s->share->rank, s->round), f->type->name,
	               0 - (unsigned)error);
}

/*
 * Returns whether the slot's task, which was skipped or whose worker process or rank has died, is
 * queued again. It is if it was skipped because of a recall or has an attempt left, unless it was
 * asked to stop.
 */
static bool mpi_slot_runs_again(const struct mpi_slot *s)
{
	struct fl__task_block *block = s->block;
	if (fl_cancel_token_is_requested(&block->future.token))
		return false;
	if (s->end.flags & FL__MPI_SKIPPED)
		return s->recalled;
	return ++block->attempts < block->future.type->max_attempts && block->attempts < UINT16_MAX;
}

static void mpi_slot_end(struct mpi_slot *s)
{
	struct mpi_share *share = s->share;
	struct mpi_pool *p = share->pool;
	struct fl__task_block *block = s->block;
	const bool skipped = s->end.flags & FL__MPI_SKIPPED;
	const bool again = (s->end.flags & (FL__MPI_SKIPPED | FL__MPI_DIED)) && mpi_slot_runs_again(s);
	if (s->image.data && (again || !(s->end.flags & FL__MPI_IMAGE)))
		fl_bytes_free(&s->image);
	else if (s->image.data)
		mpi_slot_take_image(s);
	fl__remote_unpost(&p->remote, block);
	block->done = s->end.done;
	block->began = s->posted_at + (int64_t)s->end.check * FL__MPI_UNIT;
	block->ran = s->end.rest; /* -1 if it was not timed: rule 3 of wire.h */
	if (!skipped)
		mpi_slot_trace(s, FL__TRACE_TAKEN, s->end.error);
	if (s->end.flags & FL__MPI_LATE)
		block->asked = FL__STOP_EXPIRED;
	if (s->end.flags & FL__MPI_BETWEEN)
		block->asked = FL__STOP_BETWEEN;
	if (s->end.flags & FL__MPI_KEPT)
		fl__future_keep_result(&block->future);
	if (again) {
		fl__message_free(s->message);
		if (p->base.broken == 0) {
			fl__task_list_add_first(&p->base.queue, block);
		} else {
			block->asked = FL__STOP_BETWEEN; /* it does not run again: fl__chunk_end() */
			fl__remote_end_failed(&p->remote, block, p->base.broken, "%s", p->broken);
		}
	} else if (skipped)
		fl__remote_end_cancelled(&p->remote, block);
	else
		fl__remote_end(&p->remote, block, s->end.error, s->message);
	share->load--;
	share->recalled -= s->recalled;
	s->block = NULL;
	s->message = NULL;
	s->next = share->free;
	share->free = s;
}

/* Ends the tasks of the slots in `ended`. The lock is held. */
static void mpi_pool_end_slots(struct mpi_pool *p)
{
	struct mpi_slot *ended = p->ended;
	p->ended = NULL;
	FL__EACH_SAFE (struct mpi_slot, s, ended)
		mpi_slot_end(s);
}

/*
 * Adds the slot to `ended` if ENDED has come and both transfers have ended (invariant 2). The lock
 * need not be held.
 */
static void mpi_slot_try_end(struct mpi_slot *s)
{
	struct mpi_pool *p = s->share->pool;
	p->touched = true;
	if (!s->ended || s->under_way > 0)
		return;
	FL__APPEND(p->ended, p->last_ended, s, next);
}

/* Called by the leader, without the lock, when a transfer has ended. */
static void mpi_slot_transferred(void *arg)
{
	struct mpi_slot *s = arg;
	s->under_way--;
	mpi_slot_try_end(s);
}

static void mpi_share_close(struct mpi_share *share)
{
	share->pool->open_ranks -= share->open;
	share->open = false;
	share->pool->touched = true;
}

/*
 * Gives the workers of a dead rank to a rank that has none. Returns false if there is no such rank,
 * the pool closes, or ranks have been told of regions.
 */
static bool mpi_share_hand_on(const struct mpi_share *share)
{
	struct mpi_pool *p = share->pool;
	/* Regions are not copied once tasks may write to them. */
	if (p->closing || p->told)
		return false;
	FL__EACH_RANK (rank) {
		struct mpi_share *other = &p->shares[rank];
		if (other->workers > 0 || fl__mpi_is_dead(rank))
			continue;
		other->workers = share->workers;
		other->n_slots = share->n_slots;
		return true;
	}
	return false;
}

/* Called when the rank is dead. Ends its tasks, or queues them again. */
FL__COLD static void mpi_share_reap(struct mpi_share *share)
{
	struct mpi_pool *p = share->pool;
	const struct fl__mpi_hello *about = &fl__mpi_world.peers[share->rank];
	mpi_pool_end_slots(p);
	const uint32_t n_slots = share->n_slots;
	if (!mpi_share_hand_on(share)) {
		p->room -= n_slots;
		/* relaxed: the number publishes nothing */
		fl__store_relaxed(&p->base.workers, p->base.workers - (p->room > 0 ? share->workers : 0));
	}
	if (p->room == 0)
		mpi_pool_break(p, -EOWNERDEAD,
		               "all worker ranks of the executor have died, the last was rank %d (%s, process %d)",
		               share->rank, about->host, about->pid);
	share->workers = share->n_slots = 0;
	p->died += share->open;
	mpi_share_close(share);
	fl__mpi_sender_on_death(p->sender, p->id, share->rank);
	for (struct mpi_slot *s = share->slots; s && s < share->slots + n_slots; s++) {
		if (!s->block)
			continue;
		fl__message_free(s->message);
		s->message =
		    fl__message_format("rank %d (%s, process %d) has died", share->rank, about->host, about->pid);
		s->ended = true;
		/* If all elements are `done`, fl__chunk_end() counts none. */
		s->end = (struct fl__mpi_head){
		    .flags = FL__MPI_DIED, .error = -EOWNERDEAD, .rest = -1, .done = s->block->future.count};
		mpi_slot_try_end(s);
	}
}

static int mpi_share_open(struct mpi_share *share)
{
	struct mpi_pool *p = share->pool;
	if (fl__mpi_is_dead(share->rank)) {
		mpi_share_reap(share);
		return -EPIPE;
	}
	unsigned char data[FL__MPI_INLINE];
	const fl_executor_config *config = &p->remote.config;
	struct fl__mpi_open open = {
	    .config = {.workers = share->workers,
	               .max_tasks = config->max_tasks,
	               .memory_max = config->memory_max,
	               .idle_timeout = config->idle_timeout,
	               .task_timeout = config->task_timeout,
	               .grace_period = config->grace_period,
	               .bytes_max = config->bytes_max},
	    .slots = share->n_slots,
	    .processes = p->mpi.processes,
	};
	struct fl__mpi_head head = {.kind = FL__MPI_OPEN, .pool = p->id, .size = sizeof open};
	memcpy(open.name, p->base.name, sizeof open.name);
	memcpy(data, &open, sizeof open);
	if (p->base.initialize) {
		const size_t size = p->base.initialize->arg_size;
		head.flags = FL__MPI_INITIALIZED;
		head.task = p->remote.initializer.id;
		head.check = p->remote.initializer.far_check;
		if (size > 0) /* fl_mpi_executor_create() has checked that it fits */
			memcpy(data + sizeof open, p->base.initialize_arg, size);
		head.size += size;
	}
	struct mpi_slot *slots = fl__alloc(share->n_slots, sizeof *slots);
	if (!slots || fl__mpi_send(share->rank, &head, "", data, NULL) != 0) {
		fl__free(slots);
		return -ENOMEM;
	}
	share->slots = slots;
	for (uint32_t i = share->n_slots; i-- > 0;) {
		struct mpi_slot *s = &slots[i];
		s->share = share;
		s->transfer = (struct fl__mpi_work){.done = mpi_slot_transferred, .arg = s};
		s->number = i;
		s->next = share->free;
		share->free = s;
	}
	share->open = true;
	p->open_ranks++;
	p->opened++;
	return 0;
}

/*
 * Returns a rank with a free worker or, if there is none, one with a free slot. Returns NULL if
 * there is neither, or if ranks do not have the regions yet.
 */
static struct mpi_share *mpi_pool_choose(struct mpi_pool *p)
{
	struct mpi_share *second = NULL;
	if (p->remote.posted.length >= p->room || !fl__mpi_sender_is_complete(p->sender))
		return NULL;
	for (int i = 1, rank = p->cursor; i < fl__mpi_world.size; i++) {
		rank = rank + 1 < fl__mpi_world.size ? rank + 1 : 1;
		struct mpi_share *share = &p->shares[rank];
		if (share->load < share->workers)
			return share;
		if (!second && share->load < share->n_slots)
			second = share;
	}
	return second;
}

static int mpi_on_post(fl_executor *e, struct fl__task_block *block)
{
	struct mpi_pool *p = mpi_pool_of(e);
	struct mpi_share *share;
	int rc;
	do {
		share = mpi_pool_choose(p);
		rc = !share ? -EAGAIN : share->slots ? 0 : mpi_share_open(share);
	} while (rc == -EPIPE); /* that rank has died, so tries another one */
	if (rc != 0)
		return rc;
	fl_future *f = &block->future;
	struct mpi_slot *s = share->free;
	const size_t each = f->type->arg_size;
	const bool bytes = fl__bytes_declares(f->type->drop_arg);
	const int64_t size = bytes ? fl__image_size(f->arg, f->count, each) : (int64_t)(f->count * each);
	if (size < 0)
		return -E2BIG;
	const fl_time deadline = fl_cancel_token_deadline(&f->token);
	struct fl__mpi_head head = {
	    .kind = FL__MPI_TASK,
	    .flags = bytes ? FL__MPI_IMAGE : 0,
	    .pool = p->id,
	    .slot = s->number,
	    .round = ++mpi_thread.posts,
	    .check = block->check,
	    .task = block->task,
	    .size = (uint64_t)size,
	    .rest = fl_time_diff(deadline, fl_now()),
	    .count = f->count,
	};
	s->transfer.each = each;
	rc = fl__mpi_send(share->rank, &head, "", f->arg, &s->transfer);
	if (rc < 0)
		return rc;
	share->free = s->next;
	s->block = block;
	s->round = head.round;
	s->ended = s->recalled = s->begun = false;
	fl__store_relaxed(&s->stops, 0); /* relaxed: no thread knows the task yet */
	/* mpi_pool_balance() needs the time, and so do the statistics of a stamped task. */
	if (p->now == 0 && (p->mpi.prefetch > 0 || f->error != 0))
		p->now = fl__sys.now();
	s->posted_at = p->now;
	s->under_way = (unsigned)rc;
	block->worker = s;
	mpi_slot_trace(s, FL__TRACE_POST, 0);
	p->cursor = share->rank;
	share->load++;
	return 0;
}

static int mpi_slot_send(const struct mpi_slot *s, uint32_t kind)
{
	const struct fl__mpi_head head = {
	    .kind = kind, .pool = s->share->pool->id, .slot = s->number, .round = s->round};
	return fl__mpi_send(s->share->rank, &head, "", NULL, NULL);
}

static bool mpi_on_recall(struct fl__task_block *block)
{
	(void)block;
	return false; /* invariant 1 */
}

/* Makes the next round send STOP. Any thread may call it, without the lock. */
static void mpi_on_stop(struct fl__task_block *block, bool by_token)
{
	struct mpi_slot *s = block->worker;
	struct mpi_pool *p = s->share->pool;
	(void)by_token;
	fl__store_relaxed(&s->stops, 1); /* relaxed: the next store publishes it */
	/* release: pairs with the acquire in mpi_pool_send_stops(), for `stops` of the slot */
	fl__store_release(&p->stops, 1);
	mpi_pool_alert(p);
}

/*
 * Returns how many workers have no task, except those for which a task is on its way back. Also
 * resets `newer` for mpi_slot_waits().
 */
static uint32_t mpi_pool_count_free(struct mpi_pool *p)
{
	uint32_t n = 0, recalled = 0;
	FL__EACH_RANK (rank) {
		struct mpi_share *share = &p->shares[rank];
		n += share->load < share->workers ? share->workers - share->load : 0;
		recalled += share->recalled;
		share->newer = 0;
	}
	return n > recalled ? n - recalled : 0;
}

/*
 * Returns whether the task waits at its rank, as far as rank 0 knows, because the rank has at least
 * as many older tasks as workers. Must be called for the rank's latest task first, because `newer`
 * counts the calls.
 */
static bool mpi_slot_waits(const struct mpi_slot *s)
{
	struct mpi_share *share = s->share;
	return share->newer++ + share->workers < share->load && !s->recalled && !s->begun && !s->ended;
}

static void mpi_pool_balance(struct mpi_pool *p)
{
	const struct fl__task_list *posted = &p->remote.posted;
	uint32_t n = p->mpi.prefetch > 0 && !p->base.queue.head && posted->head ? mpi_pool_count_free(p) : 0;
	const int64_t before = n > 0 ? fl__sys.now() - MPI_POOL_PATIENCE : 0;
	for (struct fl__task_block *block = posted->tail; block && n > 0; block = block->prev) {
		struct mpi_slot *s = block->worker;
		if (!mpi_slot_waits(s) || s->posted_at > before)
			continue;
		if (mpi_slot_send(s, FL__MPI_RECALL) != 0)
			break; /* there is no memory: the next round tries again */
		s->recalled = true;
		s->share->recalled++;
		n--;
	}
	p->lags = n > 0;
	if (p->lags)
		p->balance_at = fl__sys.now() + MPI_POOL_LOOK;
}

static void mpi_pool_send_stops(struct mpi_pool *p)
{
	/*
	 * relaxed: a stale 0 does no harm, because mpi_on_stop() causes another round. acquire:
	 * pairs with the release in mpi_on_stop().
	 */
	if (fl__load_relaxed(&p->stops) == 0 || fl__swap_acquire(&p->stops, 0) == 0)
		return;
	FL__EACH (struct fl__task_block, block, p->remote.posted.head) {
		struct mpi_slot *s = block->worker;
		/* relaxed: the word of the pool orders it */
		if (fl__swap_relaxed(&s->stops, 0) == 0 || mpi_slot_send(s, FL__MPI_STOP) == 0)
			continue;
		mpi_on_stop(block, false); /* there is no memory: the next round tries again */
		return;
	}
}

/*
 * Lets the ranks kill the tasks that run in processes. If there is no memory for the message to a
 * rank, the tasks of this rank and of later ones are not killed, but they were asked to stop.
 */
static void mpi_pool_send_terminate(struct mpi_pool *p)
{
	const struct fl__mpi_head head = {.kind = FL__MPI_TERMINATE, .pool = p->id};
	if (!p->terminates)
		return;
	p->terminates = false;
	FL__EACH_RANK (rank)
		if (p->shares[rank].load > 0 && fl__mpi_send(rank, &head, "", NULL, NULL) != 0)
			return;
}

/* Closes the pool when all of its tasks have ended. */
static void mpi_pool_close(struct mpi_pool *p)
{
	if (!p->base.closed || p->base.queue.head || p->remote.posted.head || p->closing)
		return;
	fl__mpi_sender_stop(p->sender);
	if (fl__mpi_sender_is_busy(p->sender))
		return;
	p->closing = true;
	const struct fl__mpi_head head = {.kind = FL__MPI_CLOSE,
	                                  .flags = fl_cancel_token_is_requested(&p->base.stop) ? FL__MPI_CANCELLED : 0,
	                                  .pool = p->id};
	FL__EACH_RANK (rank)
		if (p->shares[rank].open)
			fl__mpi_must_send(rank, &head, "", NULL, NULL);
}

/* Tells the ranks about the regions when the first task is queued. */
static void mpi_pool_send_regions(struct mpi_pool *p)
{
	if (!p->sender || p->told || !p->base.queue.head)
		return;
	FL__EACH_RANK (rank)
		if (fl__mpi_is_dead(rank))
			mpi_share_reap(&p->shares[rank]);
	p->told = true;
	FL__EACH_RANK (rank)
		if (p->shares[rank].workers > 0)
			fl__mpi_sender_tell(p->sender, p->id, rank);
}

static char *mpi_slot_message(const struct mpi_slot *s, const char *text)
{
	char build[FL__BUILD_ID_TEXT];
	struct fl__task_identity identity;
	const fl_task_type *type = s->block->future.type;
	if (!(s->end.flags & FL__MPI_MISMATCH))
		return *text ? fl__message_format("%s", text) : NULL;
	fl__task_identify(type, &identity);
	return fl__message_format("task %s here is of build %s, with %zu and %zu bytes, but %s", type->name,
	                          fl__build_id_text(&identity.owner, build), type->arg_size, type->result_size, text);
}

static struct mpi_slot *mpi_pool_find_slot(struct mpi_pool *p, int from, const struct fl__mpi_head *head)
{
	const struct mpi_share *share = &p->shares[from];
	struct mpi_slot *s = share->slots && head->slot < share->n_slots ? &share->slots[head->slot] : NULL;
	if (!s || !s->block || s->round != head->round || s->ended)
		fl__mpi_abort("rank %d has told of a task that it does not have", from);
	return s;
}

/* Handles ENDED. The lock is not held. */
static void mpi_pool_on_ended(struct mpi_pool *p, int from, const struct fl__mpi_head *head, const char *text,
                              const char *data)
{
	struct mpi_slot *s = mpi_pool_find_slot(p, from, head);
	fl_future *f = &s->block->future;
	const size_t size = f->count * f->type->result_size;
	const bool bytes = head->flags & FL__MPI_IMAGE;
	if (head->size > 0 &&
	    (bytes != fl__bytes_declares(f->type->drop_result) || (bytes ? head->size < size : head->size != size)))
		fl__mpi_abort("rank %d has sent a result of %zu bytes in place of %zu", from, (size_t)head->size, size);
	s->ended = true;
	s->end = *head;
	if (bytes && (fl__mpi_world.leaving ||
	              fl__bytes_new(&s->image, 0, (struct fl__bytes){.room = (size_t)head->size}) != 0)) {
		s->end.flags = 0;
		s->end.error = -ENOMEM;
		s->end.done = f->count; /* fl__chunk_end() then counts none */
		text = "rank 0 has no memory for the result";
	}
	if (s->end.error != 0 && !(s->end.flags & FL__MPI_SKIPPED))
		s->message = mpi_slot_message(s, text);
	if (head->flags & FL__MPI_BROKEN) {
		FL__HELD(&p->base.lock);
		mpi_pool_break(p, -ENOTRECOVERABLE, "%s", text);
	}
	s->under_way += fl__mpi_take_data(from, head, data, bytes ? s->image.data : f->result, &s->transfer);
	mpi_slot_try_end(s);
}

static void mpi_pool_on_begun(struct mpi_pool *p, int from, const struct fl__mpi_head *head)
{
	FL__HELD(&p->base.lock);
	struct mpi_slot *s = mpi_pool_find_slot(p, from, head);
	if (!s->recalled)
		fl__mpi_abort("rank %d has answered a recall that rank 0 did not send", from);
	p->touched = true;
	s->recalled = false;
	s->begun = true;
	s->share->recalled--;
}

/* Handles HAS. The lock is not held. */
static void mpi_pool_on_has(struct mpi_pool *p, int from, const struct fl__mpi_head *head, const char *text,
                            const char *data)
{
	int rc = fl__mpi_sender_on_has(p->sender, from, head, data); /* it may log */
	p->touched = true;
	if (rc == -EAGAIN)
		return;
	FL__HELD(&p->base.lock);
	if (rc == 0) {
		/*
		 * The rank's executor is opened now, not with its first task, so that CLOSE frees
		 * the regions.
		 */
		if (mpi_share_open(&p->shares[from]) != 0)
			fl__mpi_abort("rank 0 has no memory for a message");
		return;
	}
	fl__mpi_sender_stop(p->sender);
	if (!p->base.closed || p->base.queue.head)
		mpi_pool_break(p, -ENOTRECOVERABLE, "the executor is broken: rank %d (%.63s) %.130s", from,
		               fl__mpi_world.peers[from].host, text);
}

static void mpi_pool_touch(struct mpi_pool *p)
{
	p->touched = true;
	if (p->listed)
		return;
	p->listed = true;
	FL__LIST_ADD(&mpi_thread.pools, p);
}

/* Makes mpi_thread.ready empty. The caller holds the engine lock and mpi_thread.lock. */
static void mpi_take_ready(void)
{
	for (struct mpi_pool *p = mpi_thread.ready; p; p = p->next_ready) {
		p->ready = false;
		mpi_pool_touch(p);
	}
	fl__store_relaxed(&mpi_thread.ready, NULL); /* relaxed: the caller holds mpi_thread.lock */
}

/* Called when no leader uses the pool again, so that its manager may end. The lock is not held. */
static void mpi_pool_forget(struct mpi_pool *p)
{
	FL__HELD(&p->base.lock);
	fl__lock(&mpi_thread.lock);
	mpi_take_ready();
	p->forgotten = true;
	fl__unlock(&mpi_thread.lock);
	FL__LIST_REMOVE(p);
	fl_cond_signal(&p->work);
}

/* Handles a message. The lock is not held. */
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
	else if (head->kind == FL__MPI_CLOSED)
		mpi_share_close(&p->shares[from]);
	else
		fl__mpi_abort("rank %d has sent a message of an unknown kind", from);
}

void fl__mpi_on_death(int rank)
{
	FL__EACH (struct mpi_pool, p, mpi_thread.pools) {
		FL__HELD(&p->base.lock);
		mpi_share_reap(&p->shares[rank]);
	}
}

/* Rounds. The engine lock is held, and no other. */

/*
 * Does the pool's work in a round. The lock is held, but released for a while. Returns true if a
 * task has ended.
 */
static bool mpi_pool_work(struct mpi_pool *p)
{
	p->touched = false;
	p->now = 0;
	mpi_pool_end_slots(p);
	mpi_pool_send_regions(p);
	fl__remote_dispatch(&p->remote);
	mpi_pool_balance(p);
	mpi_pool_send_stops(p);
	mpi_pool_send_terminate(p);
	mpi_pool_close(p);
	return fl__remote_complete(&p->remote, false);
}

/* Serves the pool if it has work, and returns whether it had. The pool may be freed afterwards. */
static bool mpi_pool_serve(struct mpi_pool *p)
{
	/* only leaders write these words */
	const bool due = p->lags && fl__sys.now() >= p->balance_at;
	if (!p->touched && !due)
		return false;
	bool some = p->touched;
	{
		FL__HELD(&p->base.lock);
		some |= mpi_pool_work(p);
	}
	if (p->closing && p->open_ranks == 0)
		mpi_pool_forget(p);
	return some;
}

/*
 * Tells the ranks to end, and continues the transfers until all have ended, or until nothing has
 * come for FL__MPI_PATIENCE. Meanwhile the ranks do the same.
 */
static void mpi_leave(void)
{
	const struct fl__mpi_head head = {.kind = FL__MPI_EXIT};
	fl__mpi_world.leaving = true;
	fl_time until = fl_after(FL__MPI_PATIENCE);
	FL__EACH_RANK (rank)
		if (!fl__mpi_is_dead(rank))
			fl__mpi_must_send(rank, &head, "", NULL, NULL);
	fl__mpi_flush();
	while (fl__mpi_under_way() > 0 && !fl_time_is_past(until)) {
		if (fl__mpi_progress(mpi_handle, 1))
			until = fl_after(FL__MPI_PATIENCE);
		fl__mpi_flush();
	}
	/*
	 * With fault tolerance the end does not need these transfers, because MPI may keep those
	 * with dead ranks.
	 */
	if (fl__mpi_under_way() > 0 && !fl__mpi_world.survives)
		fl__mpi_abort("rank 0 ends with large arguments or results under way");
}

/*
 * Leads one round, and returns whether there was work. If `tests` is above 0, receives like
 * fl__mpi_progress(); if it is 0, receives nothing.
 */
static bool mpi_round(unsigned tests)
{
	bool some = tests > 0 && fl__mpi_progress(mpi_handle, tests);
	/* relaxed: if the value is stale, mpi_settle() finds the pool */
	if (fl__load_relaxed(&mpi_thread.ready)) {
		FL__LOCKED(&mpi_thread.lock);
		mpi_take_ready();
	}
	FL__EACH_SAFE (struct mpi_pool, p, mpi_thread.pools) {
		some |= mpi_pool_serve(p);
	}
	fl__mpi_flush();
	return some;
}

static bool mpi_expects(void)
{
	FL__EACH (const struct mpi_pool, p, mpi_thread.pools)
		if (p->remote.posted.head || p->closing || p->touched || fl__mpi_sender_is_busy(p->sender))
			return true;
	return fl__mpi_under_way() > 0;
}

/* Called when a poller or submitter stops leading. Releases the engine lock. */
static void mpi_stop_leading(void)
{
	const bool wake = mpi_thread.asleep && mpi_expects();
	mpi_thread.asleep &= !wake;
	fl_mutex_unlock(&fl__mpi_lock);
	if (wake)
		fl__mpi_wake(FL__MPI_FIRST);
}

/*
 * Leads a round if no other thread leads, and sets `*some` to whether there was work. Returns false
 * if another thread leads. Not for the MPI thread. No lock is held.
 */
static bool mpi_try_round(unsigned tests, bool *some)
{
	if (fl_mutex_try_lock(&fl__mpi_lock) != 0)
		return false;
	FL__UNCANCELLED(); /* MPI's calls are cancellation points */
	*some = mpi_round(tests);
	mpi_thread.rounds += tests > 0;
	mpi_stop_leading();
	return true;
}

static bool mpi_has_ready(void)
{
	/*
	 * seq_cst: pairs with the fence in mpi_pool_make_ready(). Either this thread sees the pool,
	 * or the thread that has added the pool sees this thread's unlock.
	 */
	fl__fence_seq_cst();
	/* relaxed: mpi_take_ready() looks again under the lock */
	return fl__load_relaxed(&mpi_thread.ready) != NULL;
}

/*
 * Called by a leader after its last round. Serves the pools that other threads have added
 * meanwhile.
 */
static void mpi_settle(void)
{
	bool some;
	while (mpi_has_ready() && mpi_try_round(0, &some))
		;
}

/*
 * Returns whether pollers have led since the last call, so that the MPI thread may nap. The engine
 * lock is held.
 */
static bool mpi_thread_is_spared(uint64_t *seen)
{
	const bool led = *seen != mpi_thread.rounds;
	/* acquire: pairs with the release in mpi_on_leave() */
	const bool called = fl__swap_acquire(&mpi_thread.called, 0) != 0;
	*seen = mpi_thread.rounds;
	return led && !called;
}

static int mpi_thread_run(void *arg)
{
	struct fl__mpi_pace pace = {.sleeper = FL__MPI_FIRST};
	uint64_t seen = 0;
	int64_t expected_at = fl__sys.now();
	(void)arg;
	FL__UNCANCELLED();
	fl__mutex_hold(&fl__mpi_lock);
	while (fl__load_relaxed(&mpi_thread.over) == 0) { /* relaxed: a wake follows the store */
		const bool spared = mpi_thread_is_spared(&seen);
		const bool some = !spared && mpi_round(1);
		const bool expects = spared || some || mpi_expects();
		if (expects)
			expected_at = fl__sys.now();
		if (spared)
			pace.found = expected_at; /* polls at first */
		mpi_thread.asleep = !expects && fl__sys.now() - expected_at >= MPI_THREAD_LINGER;
		const bool asleep = mpi_thread.asleep, moves = fl__mpi_under_way() > 0;
		fl_mutex_unlock(&fl__mpi_lock);
		/* If a pool is ready, a thread that could not lead relies on the next round. */
		const bool rests = !mpi_has_ready();
		if (rests && (asleep || (expects && !spared)))
			fl__mpi_pause(&pace, some,
			              moves     ? FL__MPI_EXPECTS_DATA
			              : expects ? FL__MPI_EXPECTS_ALL
			                        : FL__MPI_EXPECTS_NOTHING);
		else if (rests)
			fl__mpi_nap(MPI_THREAD_NAP);
		fl__mutex_hold(&fl__mpi_lock);
	}
	mpi_leave(); /* the lock stays held, so that no thread leads any more */
	return 0;
}

void fl__mpi_dismiss(void)
{
	bool running;
	fl__store_relaxed(&mpi_thread.over, 1); /* relaxed: the wake below orders it */
	{
		FL__HELD(&mpi_thread.start_lock);
		running = mpi_thread.running;
	}
	fl__mpi_wake(FL__MPI_FIRST);
	if (running) {
		FL_IGNORE(fl_thread_join(mpi_thread.thread, NULL));
		return;
	}
	fl__mutex_hold(&fl__mpi_lock);
	mpi_leave();
}

/* The manager. */

static void mpi_on_manage(fl_executor *e)
{
	struct mpi_pool *p = mpi_pool_of(e);
	while (fl__remote_complete(&p->remote, true) || (*p->broken && !p->broke) || !p->forgotten) {
		if (*p->broken && !p->broke) {
			p->broke = true;
			fl_mutex_unlock(&p->base.lock);
			fl__executor_break(&p->base, p->broken);
			fl__mutex_hold(&p->base.lock);
		} else if (!p->remote.kept && !p->forgotten) {
			FL__AWAITS(FL__DEBUG_TASK, &p->base);
			FL_IGNORE(fl_cond_wait_until(&p->work, &p->base.lock, FL_FOREVER, FL_SHIELDED));
		}
	}
}

static void mpi_on_wake(fl_executor *e)
{
	fl_cond_signal(&mpi_pool_of(e)->work);
}

static int mpi_on_start(fl_executor *e)
{
	const fl_thread_config config = {.name = "mpi", .block_signals = true};
	(void)e;
	FL__HELD(&mpi_thread.start_lock);
	if (mpi_thread.running)
		return 0;
	int rc = fl_thread_start(&mpi_thread.thread, mpi_thread_run, NULL, &config);
	mpi_thread.running = rc == 0;
	return rc;
}

static bool mpi_on_poll(fl_executor *e)
{
	enum { TESTS = 4 };
	bool some = false;
	(void)e;
	(void)mpi_try_round(TESTS, &some);
	return some;
}

static void mpi_on_leave(fl_executor *e, bool over)
{
	(void)e;
	mpi_settle();
	if (over)
		return;
	/* release: pairs with the acquire in mpi_thread_is_spared() */
	fl__store_release(&mpi_thread.called, 1);
	fl__mpi_wake(FL__MPI_FIRST);
}

static bool mpi_on_has_started(const struct fl__task_block *block)
{
	return block->worker != NULL;
}

static const struct fl__remote_transport mpi_transport = {
    .far = true,
    .start = mpi_on_start,
    .post = mpi_on_post,
    .has_started = mpi_on_has_started,
    .recall = mpi_on_recall,
    .stop = mpi_on_stop,
    .poll = mpi_on_poll,
    .leave = mpi_on_leave,
    .wake = mpi_on_wake,
    .manage = mpi_on_manage,
};

/* Returns whether queued tasks are to be posted now: a worker is idle, or they fill a message. */
static bool mpi_pool_is_due(const struct mpi_pool *p)
{
	enum { TOGETHER = 16 };
	const size_t posted = p->remote.posted.length;
	return posted < p->base.workers || (posted < p->room && p->base.queue.length >= TOGETHER);
}

/*
 * Queues the task. Returns an error, 0 if the task may wait, or 1 if tasks must be posted now. If
 * the caller leads (`leads`), they have already been posted. The lock is not held.
 */
static int mpi_pool_queue(struct mpi_pool *p, struct fl__task_block *block, bool leads)
{
	FL__HELD(&p->base.lock);
	int rc = fl__remote_queue(&p->remote, block);
	if (rc != 0)
		return rc;
	const bool due = mpi_pool_is_due(p);
	if (leads)
		mpi_pool_touch(p);
	else
		mpi_pool_make_ready(p);
	if (leads && due)
		(void)mpi_pool_work(p);
	return due;
}

/*
 * Submits as the leader, and then stops leading. Returns the result of mpi_pool_queue(). The lock
 * is not held.
 */
static int mpi_pool_lead_submit(struct mpi_pool *p, struct fl__task_block *block)
{
	FL__UNCANCELLED(); /* MPI's calls are cancellation points */
	const int rc = mpi_pool_queue(p, block, true);
	fl__mpi_flush();
	mpi_stop_leading();
	mpi_settle();
	return rc;
}

/* The lock is not held. A fiber does not lead, because calls of MPI could overflow its stack. */
static int mpi_pool_on_submit(fl_executor *e, struct fl__task_block *block)
{
	struct mpi_pool *p = mpi_pool_of(e);
	const bool thread = fl__ctx_get()->ops == &fl__thread_parker,
		   leads = thread && fl_mutex_try_lock(&fl__mpi_lock) == 0;
	const int rc = leads ? mpi_pool_lead_submit(p, block) : mpi_pool_queue(p, block, false);
	bool some;
	if (rc < 0)
		return rc;
	if (rc == 0)
		fl__mpi_wake_lazily(FL__MPI_FIRST);
	else if (!thread)
		fl__mpi_wake(FL__MPI_FIRST);
	else if (!leads && mpi_try_round(0, &some))
		mpi_settle();
	return 0;
}

static void mpi_pool_on_closed(fl_executor *e)
{
	struct mpi_pool *p = mpi_pool_of(e);
	if (p->remote.running)
		mpi_pool_alert(p);
}

static void mpi_pool_on_terminate(fl_executor *e)
{
	mpi_pool_of(e)->terminates = true;
	mpi_pool_on_closed(e);
}

/* Also called without the lock. A rank counts as a thread. */
static void mpi_pool_on_count(const fl_executor *e, fl_stats_executor *stats)
{
	const struct mpi_pool *p = (const void *)e; /* its first member */
	stats->running = p->remote.posted.length;
	stats->threads = p->open_ranks;
	stats->workers_started = p->opened;
	stats->workers_ended = p->opened - p->open_ranks;
	stats->workers_killed = p->died;
	FL__EACH_RANK (rank)
		stats->idle += p->shares[rank].open && p->shares[rank].load == 0;
}

static void mpi_pool_on_destroy(fl_executor *e)
{
	struct mpi_pool *p = mpi_pool_of(e);
	struct mpi_share *const shares = p->shares;
	fl__free(p->sender);
	/*
	 * This call frees `p`, unless task blocks are left: then the last one does. If the creation
	 * has failed, reports have read the shares until now.
	 */
	fl__remote_fini(&p->remote);
	FL__EACH_RANK (rank)
		fl__free(shares[rank].slots);
	fl__free(shares);
}

static const struct fl__executor_ops mpi_pool_ops = {
    FL__REMOTE_OPS,
    .kind = "mpi",
    .submit = mpi_pool_on_submit,
    .on_closed = mpi_pool_on_closed,
    .destroy = mpi_pool_on_destroy,
    .terminate = mpi_pool_on_terminate,
    .count = mpi_pool_on_count,
};

/* Create. */

_Static_assert(FL_MPI_INITIALIZE_MAX + sizeof(struct fl__mpi_open) <= FL__MPI_INLINE, "OPEN has room for it");

/* In this file, because every program with such an executor links it. */
FL__AT_START static void mpi_set_hook(void)
{
	fl__main_hook = fl__mpi_main;
}

unsigned fl_mpi_ranks(void)
{
	/* relaxed: the caller orders `size` after the creation; `deaths` is a single number */
	return (unsigned)(fl__load_relaxed(&fl__mpi_world.size) - fl__load_relaxed(&fl__mpi_world.deaths));
}

static unsigned mpi_pool_distribute(struct mpi_pool *p, unsigned workers)
{
	const unsigned ranks = fl_mpi_ranks() - 1;
	unsigned sum = 0, i = 0;
	FL__EACH_RANK (rank) {
		struct mpi_share *share = &p->shares[rank];
		share->pool = p;
		share->rank = (uint16_t)rank;
		/* 0 if the rank is dead */
		const uint32_t cpus = fl__load_relaxed(&fl__mpi_world.peers[rank].cpus);
		if (cpus == 0 || i == ranks)
			continue;
		share->workers = workers > 0 ? workers / ranks + (i < workers % ranks) : cpus;
		i++;
		if (share->workers > FL_WORKERS_MAX)
			share->workers = FL_WORKERS_MAX;
		share->n_slots = share->workers > 0 ? share->workers + p->mpi.prefetch : 0;
		sum += share->workers;
		p->room += share->n_slots;
	}
	return sum;
}

/* Warns once if a rank may use only one CPU of several. */
static void mpi_warn_of_binding(void)
{
	static bool warned;
	FL__EACH_RANK (rank) {
		const struct fl__mpi_hello *peer = &fl__mpi_world.peers[rank];
		if (warned || peer->cpus != 1 || peer->machine_cpus == 1)
			continue;
		warned = true;
		fl__log(FL_LOG_WARNING,
		        "rank %d (%s) may use 1 of %u CPUs: launchers bind ranks unless told otherwise, as with mpirun "
		        "--bind-to none",
		        rank, peer->host, peer->machine_cpus);
	}
}

/*
 * On failure `p` has been freed. The shares are complete before fl__remote_init(), because reports
 * read them from then on.
 */
static int mpi_pool_init(struct mpi_pool *p, const fl_executor_config *config, const fl_mpi_config *mpi)
{
	struct mpi_share *const shares = fl__alloc((size_t)fl__mpi_world.size, sizeof *shares);
	p->mpi = *mpi;
	p->shares = shares;
	const unsigned workers = shares ? mpi_pool_distribute(p, config->workers) : 0;
	int rc = !shares ? -ENOMEM : workers == 0 ? -EOWNERDEAD : 0;
	if (rc == -EOWNERDEAD)
		fl__log(FL_LOG_ERROR, "no executor over MPI: all worker ranks have died");
	if (rc == 0)
		rc = fl__remote_init(&p->remote, &mpi_pool_ops, &mpi_transport, workers, config);
	else
		fl__free(p);
	if (rc != 0) {
		fl__free(shares);
		return rc;
	}
	if (config->n_regions > 0)
		p->sender = fl__mpi_sender_new(p->base.regions, config->n_regions, &p->touched);
	if (config->n_regions > 0 && !p->sender) {
		mpi_pool_on_destroy(&p->base);
		return -ENOMEM;
	}
	FL__LOCKED(&mpi_thread.lock);
	p->id = ++mpi_thread.pools_made;
	return 0;
}

int fl_mpi_executor_create(fl_executor **made, const fl_executor_config *config, const fl_mpi_config *mpi)
{
	config = FL__OR_DEFAULTS(config);
	mpi = FL__OR_DEFAULTS(mpi);
	if (mpi->prefetch > FL_MPI_PREFETCH_MAX || mpi->spawn > FL_MPI_SPAWN_MAX ||
	    !fl__remote_config_is_valid(config) || (config->memory_max > 0 && !mpi->processes))
		return -EINVAL;
	if (config->initialize && config->initialize->arg_size > FL_MPI_INITIALIZE_MAX)
		return -E2BIG;
	int rc = fl__mpi_require_ranks(mpi->spawn);
	if (rc != 0)
		return rc;
	/* the calls of MPI could overflow the stack of a fiber */
	if (fl__ctx_get()->ops == &fl__thread_parker)
		fl__mpi_look_for_deaths();
	if (!fl__executor_may_have(config->workers, FL_WORKERS_MAX * ((unsigned)fl__mpi_world.size - 1),
	                           "fl_mpi_executor_create"))
		return -EINVAL;
	struct mpi_pool *p = fl__alloc(1, sizeof *p);
	if (!p)
		return -ENOMEM;
	rc = mpi_pool_init(p, config, mpi);
	if (rc != 0)
		return rc;
	mpi_warn_of_binding();
	*made = &p->base;
	return 0;
}
