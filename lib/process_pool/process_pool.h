/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_PROCESS_CREW_H
#define FL_PROCESS_CREW_H

#include "../exec/executor.h"
#include "../wait/lot.h"
#include "rings.h"
#include "worker.h"
#include <fairlead/process.h>
#include <fairlead/process_executor.h>
#include <fairlead/thread.h>

/*
 * The process executor in the parent: a process pool ("crew"). A "member" is the parent's record of
 * a worker process. The "keeper" is the manager thread. lane.h explains orders and replies.
 *
 *   crew.c         the executor's operations: submit, cancel, join, ...
 *   crew_post.c    from the queue to the workers; stealing
 *   crew_take.c    from the workers to the futures; a thread that waits for a future fetches it
 *   crew_member.c  a worker: its memory, its start, its death
 *   crew_keeper.c  the manager thread
 *   crew_stop.c    requests to stop tasks that are posted
 *
 * A task is in one of these places, guarded by the executor's lock:
 *
 *   place   where                                  entered by
 *   queued  base.queue                             submit; withdrawal; death of a worker that had
 *                                                  not started it
 *   posted  a member's slot, counted by `posted`;  post_cell()
 *           cell->member
 *   ended   `ended`, counted by base.foreign;      its reply; death of the worker that ran it;
 *           claimed                                end_unposted()
 *   kept    `kept`, counted by base.foreign        a waiting thread that took it from `ended` and
 *                                                  may not run its callbacks or hooks
 *
 * A waiting thread or the manager empties `ended`. Only the manager empties `kept`. User code runs
 * neither in a submit, nor under the lock, nor on a waiting thread.
 *
 * The manager sleeps in epoll in one of two ways. Before an *armed* sleep, the manager tells all
 * workers, and a worker that ends an order then rings its doorbell. In a *nap* no worker rings, and
 * the manager wakes after a fixed time. The manager naps while waiting threads fetch results.
 */
struct fl__type_known {
	const fl_task_type *type;
	fl_task_type copy; /* as it was at the lookup: the address may since hold another type */
	uint64_t changes;  /* the registry's count at the lookup: the name may since have moved */
	uint64_t id;
	uint32_t check;
};

/* Allocates a lane's arena as a ring: at `head`; frees at `tail` in the same order. Both wrap. */
struct fl__ring {
	uint32_t head, tail;
};

/* The times that decide when an order's task is killed. 0: not yet. */
struct fl__times {
	int64_t posted, seen, asked; /* seen: this process first saw that the task had started */
};

struct fl__member {
	struct fl__crew *crew;
	struct fl__lane lane;
	struct fl__cell *cells[FL__LANE_DEPTH]; /* NULL: none, or withdrawn */
	struct fl__ring args, results;
	/* The rings' heads after the slot was filled. */
	uint32_t arg_head[FL__LANE_DEPTH], result_head[FL__LANE_DEPTH];
	struct fl__times times[FL__LANE_DEPTH];
	fl_process *process;
	int bell; /* an eventfd of its own: a worker that misuses it harms only itself */
	int channel;
	unsigned number;   /* part of its name */
	bool initializing; /* its first order, the initializer, has not ended */
	bool ready;        /* was seen to be */
	bool retired;      /* gets no more orders */
	bool leaving;      /* was told to exit */
	/* Its tasks. The slots of withdrawn orders stay in use, so fl__lane_used() may be more. */
	unsigned load;
	uint32_t quota;     /* orders that it may still get: `max_tasks` */
	int64_t idle_since; /* when its last order ended; 0: not yet */
	bool damaged;       /* its completion ring is not read any more */
	const char *why;    /* why this process killed it; NULL: it did not */
};

enum { FL__KNOWN_TYPES = 64 };

struct fl__crew {
	fl_executor base;
	struct fl__member **members;
	unsigned n_members, room;
	size_t posted;
	struct fl__cell *ended, **ended_end, *kept, **kept_end; /* linked by `next` */
	/* Threads that end tasks from `ended`, and may add some of them to `kept`. */
	unsigned fetchers;
	struct fl__type_known known[FL__KNOWN_TYPES];
	unsigned submits;
	/* The manager. */
	fl_thread keeper;
	bool running, over, joining, joined;
	/* sleeping: in epoll, or about to be. kicked: its doorbell was rung in this sleep. */
	bool sleeping, kicked;
	bool napping; /* in a sleep in which no worker rings */
	bool terminated;
	int epoll, bell;
	uint32_t sleeps;  /* counts the armed sleeps */
	uint32_t helped;  /* changes when a waiting thread takes replies */
	int64_t wakes_at; /* when its sleep times out */
	/* Starting workers. */
	unsigned failures; /* failed starts in a row */
	int64_t retry_at;
	int init_error; /* an initializer's error */
	char *init_message;
	char broken[FL_MESSAGE_MAX]; /* the last failed start, for the message */
	/* The config. */
	fl_executor_config config;
	int64_t deadline_grace; /* so long a task may run on after its deadline */
	int64_t request_grace;  /* so long a task may run on after a request to stop */
	struct fl__type_known initializer;
	char name[24];
};

static inline struct fl__crew *fl__crew_of(fl_executor *e)
{
	return (struct fl__crew *)(void *)e; /* base is its first member */
}

/* The executor's lock is held in all functions below, unless their comment says otherwise. */

/* crew.c: wakes the manager if it sleeps. */
void fl__crew_kick(struct fl__crew *c);

/* Ensures that the manager is awake at `when`. */
void fl__crew_wake_at(struct fl__crew *c, int64_t when);

/* crew_post.c */

/*
 * Looks up the identity of `type`. Returns:
 *
 *   0
 *   -ENOENT   the type is not registered
 *   -EEXIST   another type has its name
 *   -ENOMEM   no memory for the lookup
 */
int fl__crew_know(struct fl__crew *c, const fl_task_type *type, struct fl__type_known **known);

/* Posts queued tasks while workers have room. If none is queued, an idle worker steals. */
void fl__crew_feed(struct fl__crew *c);

/* Posts the initializer to a new worker: 0 or an error. */
int fl__crew_post_initializer(struct fl__member *m);

/* Tells a worker without tasks to exit. */
void fl__crew_dismiss(struct fl__member *m);

/* Withdraws a posted task to the front of the queue. False: the task has started. */
bool fl__crew_withdraw(struct fl__crew *c, struct fl__cell *cell);

/* Withdraws all tasks of a worker that have not started. */
void fl__crew_withdraw_all(struct fl__member *m);

/* Whether another worker should be started. */
bool fl__crew_wants_member(const struct fl__crew *c);

/* crew_take.c */

/* Takes all replies. True: there was one. */
bool fl__crew_harvest(struct fl__crew *c);
bool fl__crew_harvest_from(struct fl__member *m);

/* For a task that ran when its worker died: the elements that had ended keep their results. */
void fl__crew_take_ended(struct fl__member *m, struct fl__cell *cell);

/* Adds a task that is neither queued nor posted to `ended`: as cancelled, or as failed. */
void fl__crew_cancelled(struct fl__crew *c, struct fl__cell *cell);
void fl__crew_fail(struct fl__crew *c, struct fl__cell *cell, int error, const char *format, ...) FL_PRINTF(4, 5);

/*
 * Without the lock: ends the tasks in the list and returns how many. Without `user` no user code
 * runs: tasks that need it go to `*kept`.
 */
size_t fl__crew_end(struct fl__cell *list, bool user, struct fl__cell **kept);

/* Without the lock: the `attend` operation of the executor. */
void fl__crew_attend(fl_executor *e, fl_future *f, int64_t deadline, const fl_cancel_token *cancel);

/* crew_member.c */

/* Starts a worker; may release the lock. 0, or an error and `text`, FL_MESSAGE_MAX bytes. */
int fl__crew_start_member(struct fl__crew *c, char *text);

/* Reaps a worker process that has ended: settles its tasks and frees the member. */
void fl__crew_bury(struct fl__member *m);

/* The number of workers that get orders. */
unsigned fl__crew_serving(const struct fl__crew *c);

/* With no worker left that serves, the executor breaks after so many failed starts in a row. */
enum { FL__CREW_TRIES = 10 };

/* Records that a worker could not be started, or died before it was ready. */
void fl__crew_start_failed(struct fl__crew *c, const char *how);

/* Kills the worker process. `why` is for the message. */
void fl__crew_kill(struct fl__member *m, const char *why);

/* Frees the member and its resources. Needs no lock. Works in a forked child, too. */
void fl__member_free(struct fl__member *m);

/* crew_keeper.c: starts the manager thread: 0, -EAGAIN, -ENOMEM, ... */
int fl__crew_start_keeper(struct fl__crew *c);

/* crew_stop.c */

/*
 * For submit: makes the task's stopper, which passes a request of the task's token on while the
 * task is posted: crew_stop.c. 0 or -ENOMEM.
 */
int fl__stopper_make(struct fl__cell *cell);
void fl__stopper_free(struct fl__cell *cell);

/* Arm: the task was posted. Disarm: the task is posted no longer. */
void fl__stopper_arm(struct fl__cell *cell);
void fl__stopper_disarm(struct fl__cell *cell);

/* Asks the worker to stop the task of `cell`. */
void fl__crew_ask(struct fl__crew *c, struct fl__cell *cell);

/*
 * Passes on new requests to stop. Kills the workers of tasks that run for too long. Returns when to
 * call it again.
 */
int64_t fl__crew_watch_tasks(struct fl__crew *c, int64_t now);

#endif
