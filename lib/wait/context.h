/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_WAIT_CONTEXT_H
#define FL_WAIT_CONTEXT_H

#include "../base/atomic.h"
#include "../base/sys.h"
#include <fairlead/cancel.h>
#include <fairlead/join.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The execution context: whoever can wait. A thread has one; a fiber and a model thread bring their own, and install it
 * while they run. Everything that blocks asks the current context to park, so that one primitive serves them all.
 */
struct fl__ctx;
struct fl__locals;
struct fl__wait; /* lot.h: one blocking operation of a context */

struct fl__ctx_ops {
	/*
	 * Waits for the unpark of `wait`: 0. At the deadline, without one: -ETIMEDOUT; it may be called again. Called by the
	 * context itself. Acquires what the unpark released.
	 */
	int (*park)(struct fl__wait *wait, int64_t deadline);
	/*
	 * Unparks `wait`, now or when it parks; once. Called by any thread. Wait and context may be gone as soon as this has
	 * published the unpark: nothing of them is read after that but their addresses.
	 */
	void (*unpark)(struct fl__wait *wait);
	/*
	 * The same from a signal handler, which may have interrupted anything on the context's own thread. NULL: for contexts that
	 * wait for nothing which is released there.
	 */
	void (*unpark_in_handler)(struct fl__wait *wait);
	/* Lets the other contexts that share the thread run first. NULL: there are none. */
	void (*yield)(void);
	/*
	 * Waits until `fd` is ready, in the sense of poll(): 0, -ETIMEDOUT, -ECANCELED; -ENOSYS: not by this context's means. NULL:
	 * it has none.
	 */
	int (*wait_fd)(int fd, short events, int64_t deadline, fl_cancel *cancel);
};

struct fl__ctx {
	struct fl__ctx_front front;
	const struct fl__ctx_ops *ops;
	uint64_t id; /* never 0, never used twice in a process */
	/* The token that tells this context itself of a request (cancel.h), so that a wait need not stand in its line; NULL: none. */
	fl_cancel *own;
	struct fl__wait *waiting;  /* under its own token, now; NULL: none. Wakers compare it (lot.c) */
	struct fl__locals *locals; /* lib/sync/local.c */
	uint32_t chance;           /* lib/queue/select.c */
	const char *name;
	bool adopted;   /* of a thread that the library did not start */
	bool debugging; /* it records or reports: what it locks meanwhile is not recorded. Its own */
	/*
	 * Called by a wait for a future before it blocks: runs the task that `future` stands for, if this context may.
	 * NULL: it never may. `front.inside.helper` is whoever installed it.
	 */
	void (*help)(struct fl__ctx *ctx, void *future);
	struct fl__run *worker; /* of a worker that others may stand in for; NULL: it is none */
	/*
	 * Of the same: called around a sleep that may last until another task has run. True when another
	 * worker stands in for this one; then it is called again, with `begins` false. `future`: what is
	 * waited for, if it is that alone.
	 */
	bool (*block)(struct fl__ctx *ctx, const void *future, bool begins);
	/* The thread parker's own. */
	int64_t spin_ns;
	unsigned looks, spins;
	bool beside; /* the thread that ended the last sleep ran on the same CPU */
};

/* The current context of the calling thread, NULL when the thread has not met the library yet, is in fairlead/join.h. */

struct fl__ctx *fl__ctx_adopt_thread(void);

/* Makes `ctx` the context of a thread, with a new id. `name` must outlive it. */
void fl__ctx_init_thread(struct fl__ctx *ctx, const char *name);

static inline struct fl__ctx *fl__ctx_get(void)
{
	struct fl__ctx *ctx = fl__ctx_current;
	return __builtin_expect(ctx != NULL, 1) ? ctx : fl__ctx_adopt_thread();
}

/*
 * Around a wait for the end of what other tasks may have to bring about: of a future, a thread, an
 * executor, a loop. A lock or a queue is no such wait. Never while a lock is held: it takes that of
 * the executor.
 *
 *     const bool blocks = fl__ctx_block(ctx, NULL, deadline);
 *     rc = fl_event_wait_until(&t->ended, deadline, cancel);
 *     fl__ctx_unblock(ctx, blocks);
 */
static inline bool fl__ctx_block(struct fl__ctx *ctx, const void *future, int64_t deadline)
{
	return ctx->block && !fl__is_past(deadline) && ctx->block(ctx, future, true);
}

static inline void fl__ctx_unblock(struct fl__ctx *ctx, bool blocks)
{
	if (blocks)
		(void)ctx->block(ctx, NULL, false);
}

extern const struct fl__ctx_ops fl__thread_parker;

/*
 * Looks at `what` for a bounded time (thread_parker.c) that follows success: true when a look was one. For threads alone,
 * before they sleep.
 */
bool fl__spin(struct fl__ctx *ctx, bool (*look)(const void *what), const void *what, int64_t deadline);

/* Counts the forks between the first process and this one; objects with threads of their own keep what it was. */
extern uint32_t fl__fork_count;

/* Whether this is a forked child of the process in which it was `count`. */
static inline bool fl__is_forked(uint32_t count)
{
	return count !=
	       fl__load_relaxed(&fl__fork_count); /* relaxed: changes in a child alone, before it has threads */
}

#endif
