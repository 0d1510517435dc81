/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_WAIT_CONTEXT_H
#define FL_WAIT_CONTEXT_H

#include "../base/atomic.h"
#include "../base/sys.h"
#include "../debug/awaited.h"
#include <fairlead/cancel.h>
#include <fairlead/private/context.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The context: what can wait. A thread, a fiber, or a thread of the laboratory's model. Every
 * blocking operation parks the current context, so the same primitive serves all kinds.
 */
struct fl__ctx;
struct fl__locals;
struct fl__sched;
struct fl__wait; /* lot.h: one blocking operation of a context */

enum { FL__WAIT_FDS = 4 };         /* a process's streams, and its end */
enum { FL__DOZE_AFTER = 5000000 }; /* in ns */

struct fl__ctx_ops {
	/*
	 * Waits for the unpark of `wait`, and acquires what the unpark released: 0. -ETIMEDOUT: no
	 * unpark until the deadline; the context may call park again. Called by the context itself.
	 */
	int (*park)(struct fl__wait *wait, int64_t deadline);
	/*
	 * Ends the present or next park of `wait`. Called once, by any thread. The wait and its
	 * context may be gone as soon as the unpark is published; then only their addresses are
	 * used.
	 */
	void (*unpark)(struct fl__wait *wait);
	/*
	 * As unpark(), in a signal handler, which may have interrupted any code of the context's
	 * thread. NULL: the context waits for nothing that a handler releases.
	 */
	void (*unpark_in_handler)(struct fl__wait *wait);
	/* Lets the other contexts of the thread run first. NULL: there are none. */
	void (*yield)(void);
	/*
	 * Waits until one of the descriptors is ready, as poll() defines it, but leaves `revents`
	 * alone: 0, -ETIMEDOUT, -ECANCELED. -ENOSYS: the context cannot wait for one of them. NULL:
	 * the context cannot wait for any. At most FL__WAIT_FDS descriptors.
	 */
	int (*wait_fds)(const struct pollfd *fds, unsigned n, int64_t deadline, fl_cancel_token *cancel);
	/* Of the calling fiber: its scheduler, and the context of its thread. NULL: no fiber. */
	struct fl__sched *(*sched)(void);
	const struct fl__ctx *(*thread)(void);
};

/* How another worker takes the place of one that waits. */
struct fl__worker_ops {
	/*
	 * Called before a sleep that may last until another task has run. True: another worker
	 * replaces this worker, and block() is called again after the sleep, with `begins` false.
	 * `future`: the future, if the sleep waits for only one; else NULL.
	 */
	bool (*block)(struct fl__ctx *ctx, const void *future, bool begins);
	/*
	 * NULL: there are no stand-ins. Called with `begins` by a park that has slept for
	 * FL__DOZE_AFTER, and again at the time that the call returns; FL_FOREVER: no more. After
	 * such a sleep, called without `begins`. The caller waits, perhaps for a lock of the
	 * executor or of the user's allocator: so the function takes no lock and allocates nothing.
	 */
	int64_t (*doze)(const struct fl__wait *wait, bool begins);
};

struct fl__ctx {
	struct fl__ctx_front front;
	const struct fl__ctx_ops *ops;
	uint64_t id; /* never 0, unique in the process */
	/*
	 * The context's own token (struct fl__own_token): waits under it enter no queue. NULL:
	 * none.
	 */
	fl_cancel_token *own;
	/* The current wait under the own token; NULL: none. Waking threads compare it (lot.c). */
	struct fl__wait *waiting;
	struct fl__locals *locals; /* lib/core/sync/local.c */
	/* What the context's waits are part of: see fl__awaits_begin(). */
	struct fl__awaited awaits;
	const char *name;
	bool adopted; /* of a thread that the library did not start */
	/*
	 * The context runs debugging code: its locks are not recorded. Used only by this context.
	 */
	bool debugging;
	/*
	 * Called by a wait for a future before it blocks. Runs the future's task if this context
	 * may. NULL: this context never may. `front.inside.helper` is the struct fl__run that set
	 * `help`.
	 */
	void (*help)(struct fl__ctx *ctx, void *future);
	struct fl__run *worker;                  /* of a worker that another worker may replace; NULL: none */
	const struct fl__worker_ops *worker_ops; /* set with `worker` */
	/* Used by thread_parker.c. */
	uint32_t spin_ns;
	uint8_t polls, spins;
	bool waker_on_this_cpu; /* the thread that ended the last sleep ran on the same CPU */
};

/*
 * fairlead/private/context.h declares fl__ctx_current, the calling thread's current context. NULL:
 * this thread has not called the library yet.
 */

struct fl__ctx *fl__ctx_adopt_thread(void);

/* Makes `ctx` the context of a thread, with a new id. `name` must outlive `ctx`. */
void fl__ctx_init_thread(struct fl__ctx *ctx, const char *name);

static inline struct fl__ctx *fl__ctx_get(void)
{
	struct fl__ctx *ctx = fl__ctx_current;
	return __builtin_expect(ctx != NULL, 1) ? ctx : fl__ctx_adopt_thread();
}

/* Returns the context of the calling thread, also in a fiber; only for comparisons. */
static inline const struct fl__ctx *fl__ctx_thread(void)
{
	const struct fl__ctx *ctx = fl__ctx_get();
	return ctx->ops->thread ? ctx->ops->thread() : ctx;
}

/*
 * Called around a wait that may need other tasks to run: for the end of a future, a thread, an
 * executor or a loop. Not needed for locks and queues. Takes the executor's lock, so the caller
 * must hold no lock.
 *
 *     const bool blocks = fl__ctx_block(ctx, NULL, deadline);
 *     rc = fl_event_wait_until(&t->ended, deadline, cancel);
 *     fl__ctx_unblock(ctx, blocks);
 */
static inline bool fl__ctx_block(struct fl__ctx *ctx, const void *future, int64_t deadline)
{
	return ctx->worker_ops && !fl__is_expired(deadline) && ctx->worker_ops->block(ctx, future, true);
}

static inline void fl__ctx_unblock(struct fl__ctx *ctx, bool blocks)
{
	if (blocks)
		(void)ctx->worker_ops->block(ctx, NULL, false);
}

/*
 * Called before a wait that is made of other waits, for reports: names what the caller waits for.
 * The first call counts. Locks keep their own names. No other code runs until the end of the wait.
 *
 *     const struct fl__awaited outer = fl__awaits_begin(FL__DEBUG_TIMER, t);
 *     rc = fl_cond_wait_until(...);
 *     fl__awaits_end(outer);
 */
static inline struct fl__awaited fl__awaits_begin(enum fl__debug_kind kind, const void *object)
{
	struct fl__ctx *ctx = fl__ctx_get();
	const struct fl__awaited outer = ctx->awaits;
	if (outer.kind == FL__DEBUG_NOTHING)
		ctx->awaits = (struct fl__awaited){object, (uint8_t)kind};
	return outer;
}

static inline void fl__awaits_end(struct fl__awaited outer)
{
	fl__ctx_current->awaits = outer;
}

extern const struct fl__ctx_ops fl__thread_parker;

/*
 * Calls is_ready(what) again and again, for a bounded time that adapts to earlier success
 * (thread_parker.c). Returns true when `is_ready` did. Only for threads, before they sleep.
 */
bool fl__spin(struct fl__ctx *ctx, bool (*is_ready)(const void *what), const void *what, int64_t deadline);

/* The number of forks between the first process and this process. Objects with threads store it. */
extern uint32_t fl__fork_count;

/*
 * Set by a process with one thread, no fiber and no waiter: its parking lot is empty. A child whose
 * parent has set this does not clear the lot, 64 KiB, of which each page costs a page fault.
 */
extern bool fl__forks_empty_lot;

/* Whether this is a forked child of the process with the fork count `count`. */
static inline bool fl__is_forked(uint32_t count)
{
	/* changes only in a child that has one thread */
	return count != fl__load_relaxed(&fl__fork_count);
}

#endif
