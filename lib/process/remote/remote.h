/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "../base/identity.h"
#include "core/exec/executor.h"

/*
 * The core of executors whose tasks run in other processes. The core decides: which task is posted
 * next, whether a task may be taken back, and how its future ends. A *transport* carries: it takes a
 * task to a worker that it chooses, and reports the end. Transports are rings (pool/process_pool.c)
 * and messages to ranks (mpi/mpi_executor.c). remote.c has the states and the invariants.
 *
 * A transport calls the core when a task was submitted (fl__remote_queue()), when workers may have
 * room (fl__remote_dispatch()), when a task has left its worker (fl__remote_unpost(), then an end or
 * the queue), and when futures may end (fl__remote_complete()).
 *
 * The executor's lock guards all state. It is held in each function and each operation of a
 * transport, unless the comment says otherwise.
 */
struct fl__remote_transport {
	bool far; /* workers may be on other hosts: `far_check` compares tasks */
	/* In the first submit, before the manager starts. Returns 0, or an error. */
	int (*start)(fl_executor *e);
	/*
	 * Chooses a worker, posts to it, and sets block->worker. The task is still in base.queue.
	 * Returns
	 *   0
	 *   -EAGAIN   no worker has room now
	 *   other     the task can reach no worker
	 */
	int (*post)(fl_executor *e, struct fl__task_block *block);
	/* Whether a worker has begun with the task. */
	bool (*has_started)(const struct fl__task_block *block);
	/* Takes a posted task back. False: it counts as started. */
	bool (*recall)(struct fl__task_block *block);
	/*
	 * Asks the worker to stop a posted task. `by_token`: called by an unpark, on any thread,
	 * usually without the executor's lock. Must not park. Also wakes the manager or the leader.
	 */
	void (*stop)(struct fl__task_block *block, bool by_token);
	/*
	 * Without the lock, on a waiting thread: takes what workers have posted, and posts queued
	 * tasks. True: there was something. Does nothing if another thread has the lock for it.
	 */
	bool (*poll)(fl_executor *e);
	/* Without the lock: the waiting thread polls no longer. `over`: its wait is over. */
	void (*leave)(fl_executor *e, bool over);
	void (*wake)(fl_executor *e); /* wakes the manager */
	/* The manager thread. Returns when the executor is over. Releases the lock for a while. */
	void (*manage)(fl_executor *e);
};

struct fl__remote {
	fl_executor base; /* first */
	const struct fl__remote_transport *transport;
	fl_executor_config config;
	struct fl__types_known types;
	struct fl__type_known initializer;
	struct fl__task_list posted;                                  /* in the order of their posts */
	struct fl__task_block *ended, **ended_end, *kept, **kept_end; /* linked by `next` */
	/* threads that may add tasks to `kept` */
	unsigned completers;
	fl_thread *manager;
	bool running, finished; /* the manager */
};

static inline struct fl__remote *fl__remote_of(fl_executor *e)
{
	return (struct fl__remote *)(void *)e; /* its first member */
}

/* Needs no lock. */
bool fl__remote_config_is_valid(const fl_executor_config *config);

/*
 * Initializes zeroed memory, and owns it, also on failure. Returns 0,
 * -ENOMEM, -EINVAL; and for the initializer -ENOENT, -EEXIST. Needs no lock.
 */
int fl__remote_init(struct fl__remote *r, const struct fl__executor_ops *ops,
                    const struct fl__remote_transport *transport, unsigned workers, const fl_executor_config *config);

/* Without the lock. `r` lasts as long as its task blocks. */
void fl__remote_fini(struct fl__remote *r);

/* For a submit; the first one starts the manager. Returns 0, or why not. */
int fl__remote_queue(struct fl__remote *r, struct fl__task_block *block);

void fl__remote_dispatch(struct fl__remote *r);

/* A thread "NAME-role". Returns as fl__thread_start(). */
int fl__remote_start_thread(struct fl__remote *r, fl_thread **t, const char *role, fl_thread_function *function,
                            void *arg);

/* The caller queues the task, or ends it by one of the next functions. */
void fl__remote_unpost(struct fl__remote *r, struct fl__task_block *block);

/* End a task that is neither queued nor posted. Its future ends in fl__remote_complete(). */
void fl__remote_end(struct fl__remote *r, struct fl__task_block *block, int error, char *message);
void fl__remote_end_cancelled(struct fl__remote *r, struct fl__task_block *block);
void fl__remote_end_failed(struct fl__remote *r, struct fl__task_block *block, int error, const char *format, ...)
    FL_PRINTF(4, 5);

/*
 * Ends the futures of ended tasks. Threads other than the manager leave it the tasks that need user
 * code. Releases the lock for a while. True: there was a task.
 */
bool fl__remote_complete(struct fl__remote *r, bool is_manager);

/*
 * While a task is posted, its stopper passes on a request of its token.
 *   make    for a submit: 0, or -ENOMEM
 *   arm     after post()
 *   disarm  before block->worker or block->seq changes
 *   free    needs no lock
 */
int fl__stopper_make(struct fl__task_block *block);
void fl__stopper_free(struct fl__task_block *block);
void fl__stopper_arm(struct fl__task_block *block);
void fl__stopper_disarm(struct fl__task_block *block);

void fl__remote_on_recall(fl_executor *e, bool request);
bool fl__remote_on_withdraw(fl_executor *e, struct fl__task_block *block);
void fl__remote_on_asked(fl_executor *e, struct fl__task_block *block);
extern const struct fl__future_ops fl__remote_future_ops;
bool fl__remote_is_busy(const fl_executor *e);
int fl__remote_on_join(fl_executor *e, fl_time deadline, fl_cancel_token *cancel);

#define FL__REMOTE_OPS                                                                                                 \
	.capabilities = FL_CAP_CONCURRENT | FL_CAP_NESTED, .recall = fl__remote_on_recall,                             \
	.future_ops = &fl__remote_future_ops, .withdraw = fl__remote_on_withdraw, .is_busy = fl__remote_is_busy,       \
	.join = fl__remote_on_join
