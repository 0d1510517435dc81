/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_THREAD_POOL_THREAD_POOL_H
#define FL_THREAD_POOL_THREAD_POOL_H

#include "../base/atomic.h"
#include "../exec/executor.h"
#include "../fork_join/fork_join.h"
#include "../wait/lot.h"
#include "../wait/wait_queue.h"
#include "backlog.h"
#include <fairlead/blocking.h>
#include <fairlead/thread.h>

/*
 * The thread executor. Its workers take tasks from the backlog, run them, and sleep when there are
 * none.
 *
 *   backlog.h, .c  the tasks that wait
 *   workers.c      how many workers there are: starts, wakes and ends, resizes, blocking sections
 *   serve.c        the loop of a worker: it takes a task and runs it, or searches, and sleeps
 *   sleep.c        how it sleeps, and how long
 *   help.c         what a worker runs in the join of a group
 *   guest.c        how a thread becomes a worker for a parallel loop
 *   thread_pool.c  the executor interface
 *
 * The states of a worker. It is *alive* from its start until it decides to end. Meanwhile it is
 *
 *   asleep    in `sleepers`, for want of a task, or because too many workers are active
 *   blocked   in a blocking section (fl_blocking_begin(), or a wait that counts as one)
 *   active    else. An active worker *searches* after it has found no task, until it has one, looks
 *             for forks of other workers, or sleeps. A worker that is woken, or that was started
 *             without an initializer, searches, too.
 *
 * Six words count workers; the lock is that of the executor:
 *
 *   word      counts                             changed
 *   state     the workers that search, and has   see below
 *             flags
 *   active    active workers                     under the lock
 *   depending active workers that wait for a     under the lock, by the worker
 *             task or a fork of this executor,
 *             which another context runs
 *   blocked   blocked workers                    under the lock
 *   alive     all but guests                     under the lock
 *   guests    active or blocked workers that     under the lock
 *             are threads of callers (below)
 *
 * `state` has these bits (each with the prefix FL__POOL_):
 *
 *   MORE       fewer workers are active than     by fl__pool_count(), under the lock
 *              may be (below)
 *   CROWDED    more workers are active than may  by fl__pool_count(), under the lock
 *              be, or more than FL_WORKERS_MAX
 *              active or blocked: the next one
 *              that looks for a task goes to
 *              sleep
 *   COLD       no worker was started yet         at the creation; cleared under the lock, after the
 *                                                start of the first worker
 *   CLOSED     the executor is closed            under the lock; never cleared
 *   HALTED     no task of the closed executor    under the lock; never cleared
 *              begins any more
 *   FORKS      a fork waits for a worker         fl__pool_wake_for_forks(); cleared by a worker
 *                                                that then looks for forks
 *   the rest   the number of workers that        +1 by a worker without a task; under the lock, for
 *              search, in units of SEARCHES      one that is woken or started. -1 by that worker
 *                                                when it has a task, and under the lock before it
 *                                                sleeps or ends
 *
 * How many may be active: as many as the limit says. If that is more, it is one above `depending`
 * while a worker is blocked, or a task runs that no worker has taken, on the stack of another one or
 * of a thread that is not a worker (foreign, and running_now without the loops of guests). Otherwise
 * the active workers might all depend on such a task, which waits for a task that nobody takes. In
 * all other cases the last of a chain of waits is an active worker, although all may count as
 * depending for a moment, because a woken worker does so until it has the lock.
 *
 * Places. A worker that runs tasks has a place, whose number fl_executor_current_worker() returns.
 * It takes the free place with the lowest number when it is counted as active and CROWDED is not
 * set, and gives it back when it goes to sleep or ends. A blocked worker keeps its place. So there
 * are at most as many places in use as workers that are active or blocked, and while none was ever
 * blocked each number is less than the limit. A worker without a place goes to sleep.
 *
 * Guests. A thread that runs no task and calls a parallel loop becomes a worker until the end of
 * the loop, if fewer workers are active than the limit says: fl__pool_enter(). A guest is counted
 * as active or blocked like any worker, but not as alive: it has no thread of the pool, never
 * searches, and leaves instead of going to sleep. Its loop runs as the task of a submit that runs it.
 *
 * No task is overlooked. While MORE is set and a queue has a task, a worker searches, or a context
 * is about to call fl__pool_notify(), which wakes or starts a worker that searches. Four steps
 * could break this rule, and each is followed by a look:
 *
 *   1. A task comes into a queue. Then the context loads `state`. If MORE is set and no worker
 *      searches, it notifies.
 *   2. The last search ends. Then its worker, if MORE was set, looks at all queues, and notifies if
 *      one has a task. A search that ends with a sleep looks under the lock.
 *   3. MORE is set, because a worker blocks, sleeps or ends, or after a resize. Then the context
 *      looks at all queues, under the lock.
 *   4. A notify wakes nobody, since the time of each sleeper has run out, and none of them has the
 *      lock yet. Then each looks at all queues, under the lock, before it ends.
 *
 * FORKS counts as a task in a queue.
 *
 * A look that follows another context's step 1 finds the task, or the load of step 1 finds what the
 * look follows. For an injector its lock decides: the load is in the section that adds the task,
 * and the look locks each injector after the change of `state`. For a local queue all four accesses
 * are seq_cst: put, load, change of `state`, and look.
 *
 * A worker that has found no task also looks for forks (fork_join.h). It is not counted as
 * searching meanwhile, because a fork may take long. Nor is it during its initializer.
 *
 * Ends. When the executor is closed, no worker is active or blocked, and no queue has a task,
 * nothing more can come: the pool is `over`, and its workers end. A worker that has decided to end
 * leaves in a later section of the lock. Its thread is then joined by the one that leaves next, and
 * that of the last one by the join of the executor. The memory of workers lasts as long as the
 * executor, since thieves read it.
 *
 * A cancel. HALTED is set under the lock. Then the canceller takes all tasks out of the queues, and
 * reads `doing` of each worker. A worker claims a task, stores it in `doing`, and then loads
 * `state`: with HALTED it ends the task without running it. All four accesses are seq_cst, so
 * either the worker sees HALTED, or the canceller sees the task in `doing`. A task that runs within
 * another one, in the join of a group, is not stored there: a request of the outer task's token
 * reaches it (help.c). The canceller makes a reference by fl__future_try_ref(), since the worker
 * may end the task at the same time. The memory behind `doing` stays a task block as long as the
 * executor.
 */

enum {
	FL__POOL_MORE = 1,
	FL__POOL_CROWDED = 2,
	FL__POOL_COLD = 4,
	FL__POOL_CLOSED = 8,
	FL__POOL_HALTED = 16,
	FL__POOL_FORKS = 32,
	FL__POOL_SEARCHES = 64,
};

struct fl__thread_pool;

struct fl__thread_worker {
	struct fl__run run; /* the outermost; must be the first member: fl__pool_block() */
	struct fl__thread_pool *pool;
	fl_thread *thread;
	fl_future *doing; /* the task that it runs, or NULL */
	struct fl__local local;
	struct fl__thread_worker *visited; /* the worker from whose queue it has taken a task in its turn */
	unsigned takes;                    /* how often it has looked for a task */
	unsigned turns;                    /* how often it has begun with the injectors in its turn */
	struct fl__fork_stack *forks;      /* stays for the next thread of this worker */
	/* its tasks that have ended; those of them that did not run; those that failed */
	size_t ended, skipped, failed;
	struct fl__stats_context stats;
	unsigned number;   /* from 0; in the name of its threads; none other has it */
	unsigned place;    /* 1 + the number of its place, or 0; written under the lock, by the worker */
	unsigned blocking; /* depth of blocking sections; only the worker uses it */
	bool sits;         /* a wait counts it as blocked: fl__pool_wait() */
	bool depends;      /* it is counted in `depending` */
	/* 0, or, while it has slept for some time in a wait, 1 + what it waits for (base/awaited.h) */
	uint32_t waits;
	int64_t waits_since;
	struct fl__thread_worker *next, *next_vacant;
};

struct fl__thread_pool {
	fl_executor base;
	struct fl__backlog backlog;
	unsigned char apart[FL__LINE]; /* keeps `state` off words that each submit writes */
	uint32_t state;
	unsigned char apart_too[FL__LINE];
	unsigned active, blocked, alive, depending;
	unsigned guests;       /* active or blocked workers that are threads of callers */
	unsigned most;         /* how many workers may be alive if waits of tasks count as blocked, or 0 */
	uint32_t waiting;      /* active workers whose `waits` is not 0; for reports */
	size_t starts, leaves; /* threads ever started; those that have left */
	bool over, reported;
	int64_t idle_timeout; /* 0 if none was configured */
	size_t stack_size;    /* of a worker; 0: the default */
	struct fl__wait_queue sleepers;
	struct fl__forks forks;
	struct fl__thread_worker *workers, *vacant;
	fl_thread *ended;          /* the last thread that has left, not yet joined */
	struct fl__numbers places; /* those that workers have */
};

/*
 * The lock. A woken worker needs it, and may preempt the waking thread. So a wake only takes the
 * worker off `sleepers`, and fl__pool_unlock() unparks it. An operation that the executor calls
 * with the lock held calls fl__pool_unpark() instead, since the executor unlocks by itself. "Under
 * the lock" means this lock, base.lock.
 */

static inline void fl__pool_lock(struct fl__thread_pool *p) FL_ACQUIRE(p->base.lock)
{
	fl__mutex_hold(&p->base.lock);
}

static inline void fl__pool_unlock(struct fl__thread_pool *p) FL_RELEASE(p->base.lock)
{
	struct fl__lot taken = fl__wait_queue_taken(&p->sleepers);
	fl_mutex_unlock(&p->base.lock);
	fl__lot_unpark(&taken);
}

/* Unparks the woken workers in an operation that the executor calls under the lock. */
static inline void fl__pool_unpark(struct fl__thread_pool *p)
{
	struct fl__lot taken = fl__wait_queue_taken(&p->sleepers);
	fl__lot_unpark(&taken);
}

/* This declaration holds the lock until the end of the block. */
#define FL__POOL_LOCKED(p) FL__LOCK_SCOPE(fl__pool_locked, p)
FL__SCOPED_LOCK(fl__pool_locked, struct fl__thread_pool, fl__pool_lock, fl__pool_unlock, FL_ACQUIRE(_lock->base.lock))

static inline struct fl__thread_pool *fl__pool_of(const fl_executor *e)
{
	return (struct fl__thread_pool *)(uintptr_t)e; /* base is its first member */
}

/* Returns whether a context with this `state` must notify after it has put a task into a queue. */
static inline bool fl__pool_needs_notify(uint32_t state)
{
	return (state & FL__POOL_MORE) && state < FL__POOL_SEARCHES;
}

/* workers.c. Functions without a remark are called under the lock. */

/* Adds to `active` and to the number of workers that search, and computes MORE and CROWDED. */
void fl__pool_count(struct fl__thread_pool *p, int active, int searching);

/* Wakes or starts a worker if one more may be active and none searches. */
void fl__pool_notify_locked(struct fl__thread_pool *p);

/* Called without the lock. */
void fl__pool_notify(struct fl__thread_pool *p);

/* Called without the lock. Returns whether a queue has a task. */
bool fl__pool_has_task(struct fl__thread_pool *p);

/* Returns whether one more worker may be active, none searches, and there is a task or a fork. */
bool fl__pool_needs_search(struct fl__thread_pool *p);

/* Notifies if a search is needed. */
void fl__pool_settle(struct fl__thread_pool *p);

/* Wakes up to `n` workers that are asleep. */
void fl__pool_wake(struct fl__thread_pool *p, size_t n);

/* Starts a worker. Returns 0, -EAGAIN or -ENOMEM. */
int fl__pool_start_worker(struct fl__thread_pool *p);

/* Makes a worker without a thread. Returns NULL if there is no memory. */
struct fl__thread_worker *fl__pool_make_worker(struct fl__thread_pool *p);

/* Counts a worker as active again that a wait has counted as blocked (`sits`). */
void fl__pool_rise(struct fl__thread_worker *w);

/* Starts a worker that sleeps until a wait counts another one as blocked, if there is none. */
void fl__pool_keep_spare(struct fl__thread_pool *p);

int fl__pool_resize(fl_executor *e, unsigned workers);

/* Called without the lock. The operation fl__executor_ops.block. */
void fl__pool_block(struct fl__run *run, bool begins);

/* Take a place, if the worker may have one, or give it back. */
void fl__pool_take_place(struct fl__thread_worker *w);
void fl__pool_give_place(struct fl__thread_worker *w);

/* Called without the lock. Makes the calling context the worker `w`, or no worker if that is NULL. */
void fl__pool_become(struct fl__thread_worker *w);

/* Called without the lock. The operation fl__executor_ops.depend. */
void fl__pool_depend(struct fl__run *run, bool begins);

/* Called without the lock. The operation fl__worker_ops.doze. */
int64_t fl__pool_wait(const struct fl__wait *wait, bool begins);

/* Wakes a worker for forks. Called without the lock; it is the operation fl__forks.wake. */
void fl__pool_wake_for_forks(void *pool);

/* The operation fl__executor_ops.describe_waits. */
void fl__pool_describe_waits(const fl_executor *e, char *text, size_t size);

/* How many tasks wait, among them claimed ones. Also read without locks, for reports. */
__attribute__((no_sanitize("thread"))) size_t fl__pool_length(const struct fl__thread_pool *p);

/*
 * serve.c. Runs the calling worker, which is counted as searching, until it must end. Then it is no
 * longer counted.
 */
void fl__pool_serve(struct fl__thread_worker *w);

/* Runs a task within the one that the worker runs, whose token is above that of the task's group. */
void fl__pool_run_within(struct fl__thread_worker *w, struct fl__task_block *block);

/* Takes a task of any queue, or returns NULL. */
struct fl__task_block *fl__pool_take_any(struct fl__thread_worker *w);

/*
 * sleep.c. Sleeps. Called under the lock, which it releases meanwhile, by a worker that is counted
 * neither as active nor as searching. Returns whether the worker goes on; it is counted then.
 */
bool fl__pool_sleep(struct fl__thread_pool *p) FL_REQUIRES(p->base.lock);

/* help.c. The operation fl__executor_ops.run_newest. */
bool fl__pool_run_newest(fl_executor *e, const struct fl_group *g, bool any);

/* help.c. The operation fl__executor_ops.is_stuck. Called without the lock. */
bool fl__pool_is_stuck(fl_executor *e);

/* Guesses whether there is a task. It is the operation fl__forks.has_task. */
bool fl__pool_seems_to_have_task(const void *pool);

#endif
