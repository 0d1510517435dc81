/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "../base/identity.h"
#include "core/exec/executor.h"

/*
 * The core of executors whose tasks run in other processes. The core decides which task is posted
 * next, whether a task may be taken back, and how its future ends. A *transport* takes a task to a
 * worker that it chooses, and reports the end. The transports are rings (pool/process_pool.c) and
 * messages to ranks (mpi/mpi_executor.c). remote.c has the states and the invariants.
 *
 * A transport calls the core on four occasions: fl__remote_queue() when a task was submitted;
 * fl__remote_dispatch() when workers may be able to take tasks; fl__remote_unpost() when a task has
 * left its worker, after which it ends the task or queues it; and fl__remote_complete() when
 * futures may end.
 *
 * The executor's lock guards all state. It is held in each function and each operation of a
 * transport, unless the comment says otherwise.
 *
 * This table says what each function of the two transports does. The struct below has the contracts
 * of the functions.
 *
 *   function     rings                          MPI                       called by
 *   start        opens epoll, starts the        starts the MPI thread     the first submit
 *                starter
 *   post         fills a slot of the            sends TASK to the next    dispatch
 *                submission ring of the least   rank with a free worker
 *                busy worker
 *   has_started  reads the claim word           a posted task counts as   the state of a future
 *                                               started
 *   recall       the CAS on the claim word      never succeeds: it would  cancel, the executor's
 *                                               take a round trip         end, a steal, a resize;
 *                                                                         the manager's watch of
 *                                                                         tasks; the end of a
 *                                                                         worker that may not
 *                                                                         be killed
 *   stop         writes stop[], wakes the       marks the slot; the next  cancel, the executor's
 *                listener                       round sends STOP          end, the manager's watch
 *                                                                         of tasks; a stopper, on
 *                                                                         any thread, where it
 *                                                                         must not park
 *   poll         takes completions              leads one round           a waiting thread
 *   leave        the workers ring from now on   the MPI thread leads      a waiting thread,
 *                                                                         after its last poll
 *   wake         rings the manager's doorbell   signals its condition     a thread that leaves
 *                                                                         work to the manager
 *   manage       has workers started, reaps     runs user code, breaks    the manager thread
 *                them, takes completions        the executor
 *
 * Four things are not shared, because the logic of the two transports differs. The first is
 * balance: the pool takes tasks back at once, so a steal is a loop of CAS. Over MPI, rank 0 sends a
 * request, whose answer may be "the task has begun", so it must wait, and count the tasks that it
 * has asked for. The second is killing a task at its deadline: a pool kills its workers itself;
 * over MPI the executor of each rank does so. The third is where the manager sleeps: in epoll with
 * the doorbells of processes, or on a condition. The fourth is the worker's side: worker.c serves
 * one ring on one thread; mpi/host.c serves many executors, with a thread that runs short tasks
 * itself. Both look up types with the same cache. mpi/host.c runs elements as a chunk on threads
 * does; worker.c has its own loop, which stores the progress so that it survives the worker.
 *
 * The futures of both transports have their own table of operations, so that the other kinds of
 * executors need not ask where a task runs. A cancel first asks the executor to give the task back
 * (`withdraw`). A task is posted by the thread that dispatches: a submitter, a waiting thread, the
 * manager, the starter, a thread that resizes the executor, or the MPI thread. It is ended by the
 * thread that receives its end, or that reaps its worker. If the task cannot reach any worker, the
 * thread that dispatches ends it.
 */
struct fl__remote_transport {
	/* true if workers may be on other hosts; then task types are compared by `far_check` */
	bool far;
	/*
	 * Called in the first submit, before the manager starts. If this function fails, or the
	 * manager cannot be started, the next submit calls it again. Returns 0, or an error.
	 */
	int (*start)(fl_executor *e);
	/*
	 * Chooses a worker, posts the task to it, and sets block->worker. The task is still in
	 * base.queue. Returns
	 *   0
	 *   -EAGAIN   no worker can take a task now
	 *   other     the task cannot reach any worker
	 */
	int (*post)(fl_executor *e, struct fl__task_block *block);
	/* Returns whether a worker has begun the task. */
	bool (*has_started)(const struct fl__task_block *block);
	/* Takes a posted task back. Returns false if the task counts as started. */
	bool (*recall)(struct fl__task_block *block);
	/*
	 * Asks the worker to stop a posted task. Also wakes the manager or the leader if that would
	 * otherwise act too late. With `by_token` it is called by an unpark, on any thread, usually
	 * without the executor's lock; then it must not park.
	 */
	void (*stop)(struct fl__task_block *block, bool by_token);
	/*
	 * Called without the lock, on a waiting thread. Takes what workers have returned, and posts
	 * queued tasks. Returns true if there was something. Does nothing if another thread has the
	 * executor's lock, or leads a round.
	 */
	bool (*poll)(fl_executor *e);
	/*
	 * Called without the lock, when the waiting thread no longer polls. `over` says that its
	 * wait is over.
	 */
	void (*leave)(fl_executor *e, bool over);
	void (*wake)(fl_executor *e); /* wakes the manager thread */
	/*
	 * The function of the manager thread. It returns when the executor is over, and releases
	 * the lock for a while.
	 */
	void (*manage)(fl_executor *e);
};

struct fl__remote {
	fl_executor base; /* the first member */
	const struct fl__remote_transport *transport;
	fl_executor_config config;
	struct fl__types_known types;
	struct fl__type_known initializer;
	/* in the order of their posts */
	struct fl__task_list posted;
	/* linked by `next` */
	struct fl__task_block *ended, **ended_end, *kept, **kept_end;
	/* threads that may add tasks to `kept` */
	unsigned completers;
	fl_thread *manager;
	bool running, finished; /* the state of the manager */
};

static inline struct fl__remote *fl__remote_of(fl_executor *e)
{
	/* the executor is the first member */
	return (struct fl__remote *)(void *)e;
}

/* Returns whether the config is valid. Needs no lock. */
bool fl__remote_config_is_valid(const fl_executor_config *config);

/*
 * Initializes zeroed memory. Takes over the memory, and frees it if it fails. The caller has
 * checked the config by fl__remote_config_is_valid(), and needs no lock. Returns
 *
 *   0        the executor is initialized
 *   -ENOMEM  there is no memory
 *   -EINVAL  the config has too many regions, or an initializer with a result, with bytes, or with
 *            an argument that does not fit its task type
 *   -ENOENT  the task type of the initializer is not registered
 *   -EEXIST  different task types have the name of the initializer
 */
int fl__remote_init(struct fl__remote *r, const struct fl__executor_ops *ops,
                    const struct fl__remote_transport *transport, unsigned workers, const fl_executor_config *config);

/* Called without the lock. `r` lasts as long as its task blocks. */
void fl__remote_fini(struct fl__remote *r);

/* Queues a task for a submit. The first one also starts the manager. Returns 0, or an error. */
int fl__remote_queue(struct fl__remote *r, struct fl__task_block *block);

void fl__remote_dispatch(struct fl__remote *r);

/* Starts a thread "NAME-role". Returns the results of fl__thread_start(). */
int fl__remote_start_thread(struct fl__remote *r, fl_thread **t, const char *role, fl_thread_function *function,
                            void *arg);

/*
 * Takes a posted task out of `posted`. The caller then queues the task, or ends it by one of the
 * next functions.
 */
void fl__remote_unpost(struct fl__remote *r, struct fl__task_block *block);

/*
 * The next three functions end a task that is neither queued nor posted. Its future ends in
 * fl__remote_complete().
 */
void fl__remote_end(struct fl__remote *r, struct fl__task_block *block, int error, char *message);
void fl__remote_end_cancelled(struct fl__remote *r, struct fl__task_block *block);
void fl__remote_end_failed(struct fl__remote *r, struct fl__task_block *block, int error, const char *format, ...)
    FL_PRINTF(4, 5);

/*
 * Ends the futures of ended tasks. Tasks that need user code are ended by the manager only; other
 * threads leave these tasks to it. If there is a task, releases the lock for a while, and returns
 * true.
 */
bool fl__remote_complete(struct fl__remote *r, bool is_manager);

/*
 * While its task is posted, a stopper forwards a cancel of the task's token.
 *   make    called by a submit; returns 0, or -ENOMEM
 *   arm     called after post()
 *   disarm  called before block->worker or block->seq changes
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
