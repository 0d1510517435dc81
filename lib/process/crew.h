/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_PROCESS_CREW_H
#define FL_PROCESS_CREW_H

#include "../exec/executor.h"
#include "../wait/lot.h"
#include "lane.h"
#include "worker.h"
#include <fairlead/process.h>
#include <fairlead/process_executor.h>
#include <fairlead/thread.h>

/*
 * The process executor, in its own process: a crew, whose members are the workers.
 *
 *   crew.c         the executor interface: submit, cancel, join, ...
 *   crew_post.c    orders: from the queue to the members; stealing
 *   crew_take.c    replies: from the members to the futures; who waits for a future fetches it
 *   crew_member.c  a member: its memory, its start, its death
 *   crew_keeper.c  the keeper: the thread that does what nobody who waits does
 *   crew_stop.c    requests to stop, for what has started
 *
 * A task is in one of these places, guarded by the executor's lock:
 *
 *   queued   in base.queue                                                submit; taken back; its worker died before its start
 *   posted   in a member's slot, counted by `posted`; cell->member        post
 *   ended    in the list `ended`, counted by base.foreign; claimed        its reply was taken, or its worker died with it
 *   kept     in the list `kept`, counted likewise: callbacks or hooks     whoever took it from `ended` may not run them
 *
 * `ended` is emptied by whoever waits or by the keeper, `kept` by the keeper alone. No code of the user's runs in a submit,
 * under the lock, or on a thread that waits.
 *
 * The keeper sleeps in epoll in one of two ways. *Armed*, it has told the members, and whoever ends an order rings. *Napping*, it
 * looks again after a while, and nobody rings: so it sleeps while others fetch their results themselves.
 */
struct fl__type_known {
	const fl_task_type *type;
	fl_task_type copy; /* what it was when it was looked up: the address may have another use by now */
	uint64_t changes;  /* of the registry, then: its name may be another type's, too, by now */
	uint64_t id;
	uint32_t check;
};

/* Room in an arena of a lane: taken at `head`, given back at `tail`, in the same order. Both go round. */
struct fl__ring {
	uint32_t head, tail;
};

/* Of an order whose task may have to be killed; 0: not yet. */
struct fl__times {
	int64_t posted, seen, asked; /* seen: to have started */
};

struct fl__member {
	struct fl__crew *crew;
	struct fl__lane lane;
	struct fl__cell *cells[FL__LANE_DEPTH]; /* NULL: none, or taken back */
	struct fl__ring args, results;
	uint32_t arg_head[FL__LANE_DEPTH], result_head[FL__LANE_DEPTH]; /* of the rings, when the slot was filled */
	struct fl__times times[FL__LANE_DEPTH];
	fl_process *process;
	int bell; /* an eventfd of its own: what it does to it is no other's matter */
	int channel;
	unsigned number;    /* for its name */
	bool initializing;  /* its first order, the initializer, has not ended */
	bool ready;         /* it was seen to be */
	bool retired;       /* gets no more orders */
	bool leaving;       /* was told to leave */
	unsigned load;      /* tasks that it has; more slots may be in use, by what was taken back */
	uint32_t quota;     /* orders that it may still get */
	int64_t idle_since; /* when it had ended everything; guarded like all */
	bool damaged;       /* its replies are not looked at any more */
	const char *why;    /* why it was killed; NULL: not by us */
};

enum { FL__KNOWN_TYPES = 64 };

struct fl__crew {
	fl_executor base;
	struct fl__member **members;
	unsigned n_members, room;
	size_t posted;
	struct fl__cell *ended, **ended_end, *kept, **kept_end; /* linked by `next` */
	unsigned fetchers; /* who has taken from `ended`, and may put some of it into `kept` */
	struct fl__type_known known[FL__KNOWN_TYPES];
	unsigned submits;
	/* The keeper. */
	fl_thread keeper;
	bool running, over, joining, joined;
	bool sleeping, kicked; /* in epoll, or about to; and was rung */
	bool napping;          /* it sleeps, and nobody rings */
	bool terminated;
	int epoll, bell;
	uint32_t sleeps;  /* its armed sleeps, counted */
	uint32_t helped;  /* changes when others take replies */
	int64_t wakes_at; /* when it looks again by itself */
	/* Starting members. */
	unsigned failures; /* in a row */
	int64_t retry_at;
	int init_error; /* of an initializer */
	char *init_message;
	char broken[FL_MESSAGE_MAX]; /* why no member can be started, as it was last; "": one can */
	/* The config. */
	fl_executor_config config;
	int64_t deadline_grace; /* so long a task may run on after its deadline */
	int64_t request_grace;  /* and so long after a request to stop */
	struct fl__type_known initializer;
	char name[24];
};

static inline struct fl__crew *fl__crew_of(fl_executor *e)
{
	return (struct fl__crew *)(void *)e; /* base is its first member */
}

/* What follows is called under the executor's lock, unless it says otherwise. */

/* crew.c: wakes the keeper, if it sleeps. */
void fl__crew_kick(struct fl__crew *c);

/* So that the keeper is awake at `when`. */
void fl__crew_wake_at(struct fl__crew *c, int64_t when);

/* crew_post.c */

/*
 * The identity of a type, if its name stands for it. Returns:
 *
 *   0
 *   -ENOENT   it is not registered
 *   -EEXIST   another type has its name
 *   -ENOMEM   no memory to look
 */
int fl__crew_know(struct fl__crew *c, const fl_task_type *type, struct fl__type_known **known);

/* Posts what is queued, as far as there is room; then lets idle members steal. */
void fl__crew_feed(struct fl__crew *c);

/* Posts the initializer to a new member: 0 or an error. */
int fl__crew_post_initializer(struct fl__member *m);

/* Tells a member that has nothing to do to leave. */
void fl__crew_dismiss(struct fl__member *m);

/* Takes back a task that is posted, to the front of the queue: false when it has started. */
bool fl__crew_withdraw(struct fl__crew *c, struct fl__cell *cell);

/* Takes back all of a member's that have not started. */
void fl__crew_withdraw_all(struct fl__member *m);

/* Whether another member should be started. */
bool fl__crew_wants_member(const struct fl__crew *c);

/* crew_take.c */

/* Takes all replies: true when there were some. */
bool fl__crew_harvest(struct fl__crew *c);
bool fl__crew_harvest_from(struct fl__member *m);

/* Of a task that was running when its worker died: the elements that had ended keep their results. */
void fl__crew_take_ended(struct fl__member *m, struct fl__cell *cell);

/* Puts a task that is neither queued nor posted among the ended: as cancelled, or as failed. */
void fl__crew_cancelled(struct fl__crew *c, struct fl__cell *cell);
void fl__crew_fail(struct fl__crew *c, struct fl__cell *cell, int error, const char *format, ...) FL_PRINTF(4, 5);

/* Ends the tasks in the list, without the lock. `user`: may run code of the user's; else those that need it are put in `*kept`. */
size_t fl__crew_end(struct fl__cell *list, bool user, struct fl__cell **kept);

/* Without the lock: attend(), for the interface. */
void fl__crew_attend(fl_executor *e, fl_future *f, int64_t deadline, const fl_cancel *cancel);

/* crew_member.c */

/* Starts a member; gives up the lock meanwhile. 0, or an error, with `text` (of FL_MESSAGE_MAX bytes). */
int fl__crew_start_member(struct fl__crew *c, char *text);

/* The member has ended: settles its tasks, and frees it. */
void fl__crew_bury(struct fl__member *m);

/* How many members get orders. */
unsigned fl__crew_serving(const struct fl__crew *c);

/* Failures to start in a row, while nobody serves, after which nobody ever will. */
enum { FL__CREW_TRIES = 10 };

/* Notes that a member could not be started, or ended before it was ready. */
void fl__crew_start_failed(struct fl__crew *c, const char *how);

/* Kills it; `why` for the message. */
void fl__crew_kill(struct fl__member *m, const char *why);

/* Gives up everything of it, also in a forked child, without the lock. */
void fl__member_free(struct fl__member *m);

/* crew_keeper.c: starts the keeper: 0, -EAGAIN, -ENOMEM, ... */
int fl__crew_start_keeper(struct fl__crew *c);

/* crew_stop.c */

/* For submit: has worker and keeper told when the task's token is requested, while the task is posted. 0 or -ENOMEM. */
int fl__stopper_make(struct fl__cell *cell);
void fl__stopper_free(struct fl__cell *cell);

/* The cell is posted, or no longer. */
void fl__stopper_arm(struct fl__cell *cell);
void fl__stopper_disarm(struct fl__cell *cell);

/* Tells a worker to stop what it runs for `cell`. */
void fl__crew_ask(struct fl__crew *c, struct fl__cell *cell);

/* Tells of all requests that nobody was told of yet; kills who runs for too long. Returns when it is to be called again. */
int64_t fl__crew_watch_tasks(struct fl__crew *c, int64_t now);

#endif
