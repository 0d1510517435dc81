/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_FIBER_SCHED_H
#define FL_FIBER_SCHED_H

#include "../wait/lot.h"
#include "fiber.h"
#include "stack.h"
#include "timers.h"
#include "tools.h"

/*
 * Lives at the top of its stack, in the page that an idle fiber has touched anyway. What each wait touches comes first, since with
 * many fibers each line of it comes from far away.
 */
struct fl__fiber {
	struct fl__flow flow;
	struct fl__sched *sched;
	struct fl__fiber *next;  /* in the run queue or the inbox, never in both */
	struct fl__wait *parked; /* what it is parked for; valid while that is PARKED: sched.c */
	struct fl__ctx ctx;
	struct fl__timer timer;
	struct fl__wait pause; /* fl__fiber_suspend() */
	int parked_rc;
	int result;
	uint32_t ended; /* fiber.c */
	bool detached;
	bool begun; /* it has run */
	int (*function)(void *arg);
	void *arg;
	struct fl__stack stack;
	char name[32];
};

struct fl__sched {
	struct fl__fiber
	    *inbox; /* sched.c. Written by wakers, so not on a line with what the thread writes all the time */
	char apart[64];
	struct fl__fiber *first; /* the run queue: in order of their wakes */
	struct fl__fiber *last;
	size_t runnable;           /* in the queue */
	size_t left;               /* that may still run in this turn */
	struct fl__fiber *running; /* NULL: the thread's own flow */
	struct fl__fiber *ended;   /* detached, and just left for ever: whoever runs next frees it */
	struct fl__flow main;      /* the thread's own flow, while a fiber runs */
	struct fl__ctx *thread;    /* that runs it, or has run it; NULL: it has not run */
	struct fl__timers timers;
	struct fl__wait sleep; /* the thread's, in fl__sched_sleep() */
	bool soon;             /* another thread soon ended the last of those, or a look in its place */
	unsigned spun;         /* such looks, modulo its range */
	size_t fibers;         /* that have not ended */
	uint32_t fork_count;
	void *signal_stack;      /* overflow.c: ours, once it has run; else NULL */
	bool watched;            /* overflows are found on this thread: a fiber has run since it was entered */
	bool signal_stacked;     /* ours is the thread's now */
	struct fl__visit *visit; /* of whoever is switched to next; NULL: it just runs */
	void (*observe)(struct fl__sched *s, struct fl__fiber *from, struct fl__fiber *to);
	struct fl__sched_config config;
	struct fl__stack_pool stacks;
};

/* A call on another fiber's stack: fl__fiber_visit(). */
struct fl__visit {
	void (*function)(void *arg);
	void *arg;
	struct fl__fiber *from; /* NULL: the thread's own flow */
};

/* Between enter and leave. */
extern _Thread_local struct fl__sched *fl__sched_current __attribute__((tls_model("initial-exec")));

extern const struct fl__ctx_ops fl__fiber_parker;

/* Puts a fiber that is in no list at the end of the run queue. By its thread. */
void fl__sched_ready(struct fl__sched *s, struct fl__fiber *f);

/* Leaves the running fiber for the next one; returns when it runs again; if `forever`, never. */
void fl__sched_next(struct fl__sched *s, bool forever);

/* After a switch to here: gives back what the flow that was left does not need any more. */
void fl__sched_arrived(struct fl__sched *s);

/*
 * Has overflows of the fibers' stacks found on this thread, see overflow.c: prepare(), 0 or -ENOMEM;
 * watch(), once before a fiber runs; unwatch(), at the end.
 */
int fl__overflow_prepare(struct fl__sched *s);
void fl__overflow_watch(struct fl__sched *s);
void fl__overflow_unwatch(struct fl__sched *s);
void fl__overflow_end(struct fl__sched *s); /* frees what it has */

#endif
