/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "core/base/timer_heap.h"
#include "core/wait/lot.h"
#include "fiber.h"
#include "sanitizer_valgrind.h"
#include "stack.h"

/* The members that every wait touches come first, because each cache line costs a miss. */
struct fl__fiber {
	struct fl__flow flow;
	struct fl__sched *sched;
	struct fl__post post;    /* in the run queue or the inbox, never in both */
	struct fl__wait *parked; /* the fiber's wait, valid while SCHED_PARKED */
	struct fl__ctx ctx;
	struct fl__timer timer;
	int parked_rc;
	int result;
	uint32_t ended; /* the bits of fiber.c */
	bool detached;  /* the fiber is freed at its end */
	bool begun;
	bool suspended, resumed; /* set by fl__fiber_suspend() and fl__fiber_resume() */
	int (*function)(void *arg);
	void *arg;
	/* held from the first run to the end; `low` is NULL before, and stale after the end */
	struct fl__stack stack;
	struct fl__slab *slab; /* the slab of the fiber's block */
	char name[32];
};

struct fl__sched {
	/* `apart` keeps what waking threads write on a cache line of its own. */
	struct fl__post *inbox;
	struct fl__host host;
	char apart[64];
	/* the run queue, in the order of the wakes; fl__fiber_resume() adds in front */
	struct fl__post *first, *last;
	size_t runnable;
	size_t left;               /* how many fibers the current fl__sched_turn() may still run */
	struct fl__fiber *running; /* NULL while the thread's own flow runs */
	struct fl__fiber *ended;   /* an ended fiber, which the next flow cleans */
	struct fl__flow main;      /* the thread's own flow, while a fiber runs */
	struct fl__timers timers;
	/* true if another thread ended the last sleep soon after it began, or a spin succeeded */
	bool soon;
	unsigned spun; /* spins in place of sleeps, modulo the range */
	size_t fibers;
	bool watched;            /* true if a fiber has run since enter */
	struct fl__visit *visit; /* a call that the next flow makes, or NULL */
	/*
	 * Called before each switch, unless it is NULL; must not switch. `to` is NULL before a
	 * switch to the thread's own flow.
	 */
	void (*observe)(struct fl__sched *s, struct fl__fiber *to);
	bool tells; /* true if a switch tells the C++ runtime or AddressSanitizer */
	/* The thread's own stack, which AddressSanitizer needs; known from the first switch on. */
	const void *main_low;
	size_t main_size;
	struct fl__exceptions *exceptions; /* the thread's exceptions; NULL without a C++ runtime */
	struct fl__sched_config config;
	struct fl__stack_pool stacks;
};

struct fl__visit {
	void (*function)(void *arg);
	void *arg;
	struct fl__fiber *from; /* NULL for the thread's own flow */
};

/* Not NULL between enter and leave. */
extern _Thread_local struct fl__sched *fl__sched_current FL__INITIAL_EXEC;

extern const struct fl__ctx_ops fl__fiber_parker;

/* Adds the fiber to the end of the run queue. Requires that it is in no list. */
void fl__sched_enqueue(struct fl__sched *s, struct fl__fiber *f);

/* Switches to the next flow. Returns when the fiber runs again, and never if `forever` is true. */
void fl__sched_switch_next(struct fl__sched *s, bool forever);

/*
 * Ends a switch to the calling flow, if `s->tells`: makes the flow's exceptions those of the
 * thread, and tells AddressSanitizer which stack is used.
 */
void fl__sched_arrive(struct fl__sched *s, void *fake_stack, struct fl__exceptions mine);

void fl__sched_after_switch(struct fl__sched *s);

void fl__fiber_prepare(struct fl__fiber *f);

/* Puts the fiber's stack back, and frees the fiber if it is detached. */
void fl__fiber_clean(struct fl__fiber *f);

/*
 * Installs the handler of stack overflows, and gives the thread a signal stack unless it has one.
 * Called before a scheduler's first enter, and before the first run of a fiber after each enter.
 * Returns 0 or -ENOMEM.
 */
int fl__overflow_prepare(void);
