/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "../remote/remote.h"
#include "core/base/list.h"
#include "core/hooks.h"
#include "rings.h"
#include "worker.h"
#include <fairlead/process.h>
#include <fairlead/process_executor.h>

/*
 * The part of a ring's arena that is in use, from `tail` to `head`. Memory is allocated at `head`,
 * and freed at `tail` in the same order. Both numbers wrap.
 */
struct fl__pool_arena {
	uint32_t head, tail;
};

/*
 * The times when this process posted a task, first saw it started, and asked it to stop; each is
 * 0 before. `posted` is also 0 if the task has no timeout and is not measured for statistics.
 */
struct fl__task_times {
	/* these times decide when the task is killed */
	int64_t posted, seen, asked;
};

struct fl__process_pool_worker {
	struct fl__process_pool_worker *next, *prev;
	struct fl__process_pool *pool;
	struct fl__rings rings;
	/* NULL if there is no task, or the task was withdrawn */
	struct fl__task_block *blocks[FL__RINGS_DEPTH];
	struct fl__pool_arena args, results;
	uint32_t bytes_each; /* the bytes of an element's result, as earlier results had them */
	/* The heads of the two arenas after the slot was filled. */
	uint32_t arg_head[FL__RINGS_DEPTH], result_head[FL__RINGS_DEPTH];
	struct fl__task_times times[FL__RINGS_DEPTH];
	struct fl__trace_ring *trace; /* the ring behind the completion ring, or NULL */
	fl_process *process;
	/* a separate eventfd, so that a worker that misuses it harms only itself */
	int doorbell;
	/* a socket for memfds and for "ready" (worker.h); it is not the channel of the start */
	int channel;
	unsigned number; /* the part of the worker's name that differs */
	/* the initializer, which is the worker's first submission, has not ended */
	bool initializing;
	bool ready;   /* this process has seen that the worker is ready */
	bool retired; /* the worker gets no more tasks */
	bool exiting; /* the worker was told to exit, or leaves */
	/*
	 * The number of tasks that the worker has. fl__rings_used() may be larger, because the
	 * slots of withdrawn tasks stay in use.
	 */
	unsigned load;
	/* how many further tasks the worker may get: `max_tasks` */
	uint32_t quota;
	uint32_t looked_at;      /* its oldest submission at the last look at its memory */
	int64_t idle_since;      /* when it became idle, or was first seen idle; 0 before */
	bool large;              /* it was killed for the memory of its task */
	bool damaged;            /* true when the completion ring is not read any more */
	const char *kill_reason; /* why this process killed the worker, or NULL */
	/* the error of that kill if it failed, so that the process runs on */
	int kill_error;
};

struct fl__process_pool {
	union {
		fl_executor base; /* the first member of `remote` */
		struct fl__remote remote;
	};
	/* the oldest is the first in the list */
	struct fl__process_pool_worker *workers, *newest;
	unsigned submits;
	size_t alive, started, ended, killed; /* numbers of workers, for statistics */
	/*
	 * The manager. `sleeping` is true while it is in epoll, or about to be. `woken` is true
	 * after fl__process_pool_wake() has rung the pool's doorbell in this sleep.
	 */
	bool sleeping, woken;
	bool napping; /* in a sleep in which no worker rings */
	bool terminated;
	int epoll, doorbell;
	uint32_t sleeps;  /* the number of armed sleeps so far */
	uint32_t fetches; /* changes when a waiting thread takes completions */
	int64_t wakes_at; /* when the manager's sleep times out */
	/*
	 * when the manager next looks at the workers' memory; FL__NEVER if the last look found no
	 * tasks
	 */
	int64_t look_at;
	/* Starting workers. */
	fl_thread *starter;
	fl_cond start;     /* signalled when `starting` is set, or the starter shall end */
	bool starting;     /* a start is requested, or is being made */
	unsigned failures; /* failed starts in a row */
	bool lasting;      /* each of these failures had an error that will not pass */
	int start_error;   /* the error of the last failed start */
	char why_failed[FL_MESSAGE_MAX];
	int64_t retry_at;
	int init_error; /* the error of an initializer */
	char *init_message;
	int64_t deadline_grace; /* how long a task may run on after its deadline */
	int64_t request_grace;  /* how long a task may run on after a request to stop */
};

#define FL__EACH_WORKER(w, p) FL__EACH (struct fl__process_pool_worker, w, (p)->workers)

static inline struct fl__process_pool *fl__process_pool_of(fl_executor *e)
{
	/* the executor is the pool's first member */
	return (struct fl__process_pool *)(void *)e;
}

/*
 * The pool's calls to processes and doorbells, as a table that continues the one in
 * process/base/process_sys.h. In a scenario of the laboratory, threads stand in for worker
 * processes here.
 */
struct fl__process_pool_sys {
	/* returns 0 if a worker could be started; otherwise logs and returns an error */
	int (*check_start)(void);
	int (*start)(fl_process **p, const fl_process_config *config);
	void (*free)(fl_process *p);
	int (*kill)(fl_process *p);
	int (*try_join)(fl_process *p, fl_process_status *status);
	bool (*is_alive)(const fl_process *p);
	int (*sentinel)(const fl_process *p);
	int (*pid)(const fl_process *p);
	const char *(*name)(const fl_process *p);
	uint64_t (*memory)(int pid);
	void (*ring)(int doorbell); /* can fail only while the doorbell is readable */
	void (*drain)(int doorbell);
};

extern struct fl__process_pool_sys fl__process_pool_sys;

extern const struct fl__remote_transport fl__process_pool_transport; /* for scenarios */

/*
 * The functions below are called under the executor's lock, unless the comment says otherwise.
 * However, fl__process_pool_stop() with `by_token` is usually called without the lock.
 */

static inline void fl__process_pool_wake(struct fl__process_pool *p)
{
	if (!p->sleeping || p->woken)
		return;
	p->woken = true;
	fl__process_pool_sys.ring(p->doorbell);
}

static inline void fl__process_pool_wake_at(struct fl__process_pool *p, int64_t when)
{
	if (when < p->wakes_at)
		fl__process_pool_wake(p);
}

/* Called after a post. If no look is planned, makes the manager look at the workers' memory. */
static inline void fl__process_pool_plan_look(struct fl__process_pool *p)
{
	if (p->look_at != FL__NEVER)
		return;
	p->look_at = 0;
	fl__process_pool_wake(p);
}

static inline void fl__process_pool_trace(const struct fl__process_pool_worker *w, enum fl__trace_kind kind,
                                          const struct fl__task_block *block, int error)
{
	fl__hook_event(kind, (uintptr_t)&block->future,
	               FL__TRACE_REMOTE(fl__process_pool_sys.pid(w->process), block->seq), block->future.type->name,
	               0 - (unsigned)error);
}

/* submissions.c */

/* Operations of the transport. */
int fl__process_pool_post(fl_executor *e, struct fl__task_block *block);
bool fl__process_pool_recall(struct fl__task_block *block);
void fl__process_pool_stop(struct fl__task_block *block, bool by_token);

/* Queues up to `n` unstarted tasks of the worker again, the newest first. */
void fl__process_pool_recall_newest(struct fl__process_pool_worker *w, uint32_t n);

/* Posts the worker's first submission, the initializer. Returns the results of post(). */
int fl__process_pool_post_initializer(struct fl__process_pool_worker *w);

/* Tells the worker to exit. */
void fl__process_pool_post_exit(struct fl__process_pool_worker *w);

/* Called when a task has left the worker. */
void fl__process_pool_vacate(struct fl__process_pool_worker *w, struct fl__task_block *block);

/*
 * Posts queued tasks, and moves tasks from a busy worker to an idle one. Asks for a start if a
 * worker is missing.
 */
void fl__process_pool_dispatch(struct fl__process_pool *p);
bool fl__process_pool_wants_worker(const struct fl__process_pool *p);

/* completions.c */

/* Takes all completions. Returns true if there was one. */
bool fl__process_pool_take_all(struct fl__process_pool *p);
bool fl__process_pool_take_from(struct fl__process_pool_worker *w);

/*
 * Called for a task that ran when its worker died. The elements that have ended keep their
 * results.
 */
void fl__process_pool_take_progress(struct fl__process_pool_worker *w, struct fl__task_block *block);

/* workers.c */

/* the function of the starter thread; called without the lock */
int fl__process_pool_run_starter(void *pool);
void fl__process_pool_kill_worker(struct fl__process_pool_worker *w, const char *kill_reason);
/* called when the worker has died, or when this process may not kill it */
void fl__process_pool_reap_worker(struct fl__process_pool_worker *w);

/* Frees a worker. It needs no lock. */
void fl__process_pool_free_worker(struct fl__process_pool_worker *w);

/*
 * Gives up the workers that this process has tried to kill but may not kill, for example because it
 * has dropped privileges. Their running tasks fail. Each of these workers exits after its task, or
 * with this process.
 */
void fl__process_pool_give_up_unkillable(struct fl__process_pool *p);

/*
 * If no worker can be started, fails the queued tasks, or breaks the pool. Returns true if it has
 * failed tasks or broken the pool; then it has released the lock for a while.
 */
bool fl__process_pool_give_up_starting(struct fl__process_pool *p);

/* Returns true if the manager and the starter may end. Once true, the answer stays true. */
bool fl__process_pool_is_over(const struct fl__process_pool *p);

/* manager.c */
void fl__process_pool_manage(fl_executor *e); /* an operation of the transport */
