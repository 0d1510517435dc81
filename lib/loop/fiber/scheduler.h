/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "core/base/timer_heap.h"
#include "core/wait/lot.h"
#include "fiber.h"
#include "sanitizer_valgrind.h"
#include "stack.h"

/* What each wait touches comes first: each cache line is a miss. */
struct fl__fiber {
	struct fl__flow flow;
	struct fl__sched *sched;
	struct fl__post post;    /* in the run queue or the inbox, never both */
	struct fl__wait *parked; /* its wait, valid while SCHED_PARKED */
	struct fl__ctx ctx;
	struct fl__timer timer;
	int parked_rc;
	int result;
	uint32_t ended; /* fiber.c */
	bool detached;  /* it is freed at its end */
	bool begun;
	bool suspended, resumed; /* fl__fiber_suspend() */
	int (*function)(void *arg);
	void *arg;
	struct fl__stack stack; /* from the first run to the end; low NULL: none */
	struct fl__slab *slab;  /* of the fiber's block */
	char name[32];
};

struct fl__sched {
	/* `apart` keeps what waking threads write off the other lines. */
	struct fl__post *inbox;
	struct fl__host host;
	char apart[64];
	struct fl__post *first, *last; /* the run queue, in the order of the wakes */
	size_t runnable;
	size_t left;
	struct fl__fiber *running; /* NULL: the thread's own flow */
	struct fl__fiber *ended;   /* the next flow cleans it */
	struct fl__flow main;      /* the thread's own, while a fiber runs */
	struct fl__timers timers;
	/* another thread soon ended the last sleep, or the spin succeeded */
	bool soon;
	unsigned spun; /* spins in place of sleeps, modulo the range */
	size_t fibers;
	uint32_t fork_count;
	bool watched;            /* a fiber has run since enter */
	struct fl__visit *visit; /* a call that the next flow makes; NULL: none */
	/* Before each switch; must not switch. `to` NULL: the thread's own flow. NULL: none */
	void (*observe)(struct fl__sched *s, struct fl__fiber *to);
	bool tells; /* a switch tells the C++ runtime or AddressSanitizer */
	/* For AddressSanitizer: the thread's own stack, from the first switch on. */
	const void *main_low;
	size_t main_size;
	struct fl__exceptions *exceptions; /* of the thread; NULL: no C++ runtime */
	struct fl__sched_config config;
	struct fl__stack_pool stacks;
};

struct fl__visit {
	void (*function)(void *arg);
	void *arg;
	struct fl__fiber *from; /* NULL: the thread's own flow */
};

/* Not NULL between enter and leave. */
extern _Thread_local struct fl__sched *fl__sched_current FL__INITIAL_EXEC;

extern const struct fl__ctx_ops fl__fiber_parker;

/* Requires that the fiber is in no list. */
void fl__sched_enqueue(struct fl__sched *s, struct fl__fiber *f);

/* Returns when the fiber runs again; never if `forever`. */
void fl__sched_switch_next(struct fl__sched *s, bool forever);

/*
 * The end of a switch to the calling flow, if `s->tells`: its exceptions become the thread's, and
 * AddressSanitizer learns where it runs.
 */
void fl__sched_arrive(struct fl__sched *s, void *fake_stack, struct fl__exceptions mine);

void fl__sched_after_switch(struct fl__sched *s);

void fl__fiber_prepare(struct fl__fiber *f);

/* Puts its stack back, and frees the fiber if it is detached. */
void fl__fiber_clean(struct fl__fiber *f);

/*
 * Installs the handler of stack overflows, and gives the thread a signal stack unless it has one.
 * Called before a scheduler's first enter, and before the first run of a fiber after each enter.
 * Returns 0, -ENOMEM.
 */
int fl__overflow_prepare(void);
