/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "../remote/remote.h"
#include "core/base/list.h"
#include "core/hooks.h"
#include "rings.h"
#include "worker.h"
#include <fairlead/process.h>
#include <fairlead/process_executor.h>

/* Allocated at `head`, freed at `tail` in the same order. Both wrap. */
struct fl__pool_arena {
	uint32_t head, tail;
};

/* When this process posted a task, first saw it started, and asked it to stop. 0: not yet. */
struct fl__task_times {
	int64_t posted, seen, asked; /* they decide when it is killed */
};

struct fl__process_pool_worker {
	struct fl__process_pool_worker *next, *prev;
	struct fl__process_pool *pool;
	struct fl__rings rings;
	struct fl__task_block *blocks[FL__RINGS_DEPTH]; /* NULL: none, or withdrawn */
	struct fl__pool_arena args, results;
	uint32_t bytes_each; /* of earlier results */
	/* The arenas' heads after the slot was filled. */
	uint32_t arg_head[FL__RINGS_DEPTH], result_head[FL__RINGS_DEPTH];
	struct fl__task_times times[FL__RINGS_DEPTH];
	struct fl__trace_ring *trace; /* behind the completion ring; NULL: none */
	fl_process *process;
	int doorbell;      /* an eventfd of its own: a worker that misuses it harms only itself */
	int channel;       /* for results in memfds; not the channel of the start */
	unsigned number;   /* part of its name */
	bool initializing; /* the initializer, its first submission, has not ended */
	bool ready;        /* was seen to be */
	bool retired;      /* gets no more submissions */
	bool exiting;      /* was told to exit */
	/* Slots of withdrawn tasks stay in use: fl__rings_used() may be more. */
	unsigned load;
	uint32_t quota;          /* further tasks that it may get: `max_tasks` */
	int64_t idle_since;      /* the end of its last submission; 0: not yet */
	bool damaged;            /* its completion ring is not read any more */
	const char *kill_reason; /* why this process killed it; NULL: it did not */
	int kill_error;          /* of that kill: the process runs on */
};

struct fl__process_pool {
	union {
		fl_executor base; /* remote's first member */
		struct fl__remote remote;
	};
	struct fl__process_pool_worker *workers, *newest; /* oldest first */
	unsigned submits;
	size_t alive, started, ended, killed; /* workers, for statistics */
	/* The manager. `sleeping`: in epoll, or about to be; `woken`: rung in this sleep. */
	bool sleeping, woken;
	bool napping; /* in a sleep in which no worker rings */
	bool terminated;
	int epoll, doorbell;
	uint32_t sleeps;  /* counts the armed sleeps */
	uint32_t fetches; /* changes when a waiting thread takes completions */
	int64_t wakes_at; /* when the manager's sleep times out */
	/* Starting workers. */
	fl_thread *starter;
	fl_cond start;     /* wakes the starter */
	bool starting;     /* a start is asked for, or under way */
	unsigned failures; /* failed starts in a row */
	bool lasting;      /* no later start can succeed */
	int start_error;   /* the last failed start's */
	char why_failed[FL_MESSAGE_MAX];
	int64_t retry_at;
	int init_error; /* an initializer's error */
	char *init_message;
	int64_t deadline_grace; /* how long a task may run on after its deadline */
	int64_t request_grace;  /* how long a task may run on after a request to stop */
};

#define FL__EACH_WORKER(w, p) FL__EACH (struct fl__process_pool_worker, w, (p)->workers)

static inline struct fl__process_pool *fl__process_pool_of(fl_executor *e)
{
	return (struct fl__process_pool *)(void *)e; /* its first member */
}

/*
 * The pool's calls to processes and doorbells, as in process/base/process_sys.h. fairlead-stress
 * replaces worker processes by threads here.
 */
struct fl__process_pool_sys {
	int (*check_start)(void); /* whether a worker could be started; logs an error */
	int (*start)(fl_process **p, const fl_process_config *config);
	void (*free)(fl_process *p);
	int (*kill)(fl_process *p);
	int (*try_join)(fl_process *p, fl_process_status *status);
	bool (*is_alive)(const fl_process *p);
	int (*sentinel)(const fl_process *p);
	int (*pid)(const fl_process *p);
	const char *(*name)(const fl_process *p);
	void (*ring)(int doorbell); /* fails only if it is readable */
	void (*drain)(int doorbell);
};

extern struct fl__process_pool_sys fl__process_pool_sys;

extern const struct fl__remote_transport fl__process_pool_transport; /* for scenarios */

/* The functions below are called under the executor's lock, unless the comment says otherwise. */

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

static inline void fl__process_pool_trace(const struct fl__process_pool_worker *w, enum fl__trace_kind kind,
                                          const struct fl__task_block *block, int error)
{
	fl__hook_event(kind, (uintptr_t)&block->future,
	               FL__TRACE_REMOTE(fl__process_pool_sys.pid(w->process), block->seq), block->future.type->name,
	               0 - (unsigned)error);
}

/* submissions.c */

/* Of the transport. */
int fl__process_pool_post(fl_executor *e, struct fl__task_block *block);
bool fl__process_pool_recall(struct fl__task_block *block);
void fl__process_pool_stop(struct fl__task_block *block, bool by_token);

/* Queues up to `n` unstarted tasks of the worker again, the newest first. */
void fl__process_pool_recall_newest(struct fl__process_pool_worker *w, uint32_t n);

/* The worker's first submission. Returns as a post. */
int fl__process_pool_post_initializer(struct fl__process_pool_worker *w);

/* Tells the worker to exit. */
void fl__process_pool_post_exit(struct fl__process_pool_worker *w);

/* The task has left the worker. */
void fl__process_pool_vacate(struct fl__process_pool_worker *w, struct fl__task_block *block);

/* Posts queued tasks, also from a busy worker to an idle one, and asks for a worker where one lacks. */
void fl__process_pool_dispatch(struct fl__process_pool *p);
bool fl__process_pool_wants_worker(const struct fl__process_pool *p);

/* completions.c */

/* True: there was a completion. */
bool fl__process_pool_take_all(struct fl__process_pool *p);
bool fl__process_pool_take_from(struct fl__process_pool_worker *w);

/* Of a task that ran when its worker died, the ended elements keep their results. */
void fl__process_pool_take_progress(struct fl__process_pool_worker *w, struct fl__task_block *block);

/* workers.c */

int fl__process_pool_run_starter(void *pool); /* the starter thread, without the lock */
void fl__process_pool_kill_worker(struct fl__process_pool_worker *w, const char *kill_reason);
void fl__process_pool_reap_worker(struct fl__process_pool_worker *w); /* the worker has died */

/* Needs no lock. Works in a forked child, too. */
void fl__process_pool_free_worker(struct fl__process_pool_worker *w);

/*
 * This process has dropped privileges, and may not kill some workers. Their running tasks fail. Each
 * such worker exits after its task, or with this process.
 */
void fl__process_pool_give_up_unkillable(struct fl__process_pool *p);

/*
 * If no worker can be started: fails the queued tasks, or breaks the pool. Releases the lock for a
 * while. True: it did.
 */
bool fl__process_pool_give_up_starting(struct fl__process_pool *p);

/* Whether the manager and the starter may end. Stays true. */
bool fl__process_pool_is_over(const struct fl__process_pool *p);

/* manager.c */
void fl__process_pool_manage(fl_executor *e); /* of the transport */
