/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_WAIT_CONTEXT_H
#define FL_WAIT_CONTEXT_H

#include "../base/anew.h"
#include "../base/atomic.h"
#include "../base/awaited.h"
#include "../base/sys.h"
#include <fairlead/cancel.h>
#include <fairlead/private/context.h>

/* A context can wait and park. It is a thread, a fiber, or a thread of the laboratory's model. */
struct fl__ctx;
struct fl__locals;
struct pollfd;
struct fl__wait; /* lot.h */

/* A scheduler of fibers, as the parking lot sees it. */
struct fl__host {
	struct fl__ctx *thread;    /* the thread that runs this scheduler, or ran it last; or NULL */
	FL__WORD64 uint64_t awake; /* in which buckets its fibers may be awake: lot.c, "Away" */
	bool away;                 /* its thread sleeps in the library: lot.c, "Away" */
	/*
	 * Links of thread->hosted. The scheduler is in that list between two calls of
	 * fl_loop_run_once(), and while one of its fibers sleeps in FL__BLOCKS_THREAD(). At other
	 * times `link` is NULL.
	 */
	struct fl__host *next, **link;
};

enum { FL__WAIT_FDS = 4 };         /* a process's streams, and its end */
enum { FL__DOZE_AFTER = 5000000 }; /* in ns: doze(), below */

struct fl__ctx_ops {
	/*
	 * Waits for the unpark of `wait`, acquires what the unpark released, and returns 0. Returns
	 * -ETIMEDOUT if the deadline came first; then it may be called again.
	 */
	int (*park)(struct fl__wait *wait, fl_time deadline);
	/*
	 * Ends the current or next park of `wait`. Any thread calls it, at most once for each wait.
	 * It must not park, because the caller may hold an fl__lock(). As soon as the unpark is
	 * published, the memory of wait and context may be freed, so from then on it uses only
	 * their addresses.
	 */
	void (*unpark)(struct fl__wait *wait);
	/*
	 * Does what unpark() does, in a signal handler, which may have interrupted any code of its
	 * thread. NULL if such a context waits for nothing that a handler releases.
	 */
	void (*unpark_in_handler)(struct fl__wait *wait);
	/* Lets the other contexts of the thread run first. NULL if there are none. */
	void (*yield)(void);
	/*
	 * Waits until one of at most FL__WAIT_FDS descriptors is ready, as poll() defines it, but
	 * does not write `revents`. Returns 0, -ETIMEDOUT, -ECANCELED, or -ENOSYS if the context
	 * cannot wait for one of the descriptors. NULL if the context cannot wait for descriptors
	 * at all.
	 */
	int (*wait_fds)(const struct pollfd *fds, unsigned n, fl_time deadline, fl_cancel_token *cancel);
};

/* How another worker replaces a worker that waits. */
struct fl__worker_ops {
	/*
	 * Called, with `begins`, before a sleep that may last until another task has run. Returns
	 * true if it has noted the sleep, so that another worker may replace this one. Then block()
	 * is called again after the sleep, with `begins` false. `future` is the only future that
	 * the sleep waits for, or NULL. The caller has a reference to it.
	 */
	bool (*block)(struct fl__ctx *ctx, const void *future, bool begins);
	/*
	 * Called, with `begins`, by a park that has slept for FL__DOZE_AFTER. Returns when the park
	 * must call it again, or FL__NEVER. After such a sleep the park calls it once without
	 * `begins`. NULL if the executor does not watch waits.
	 *
	 * Because the caller may hold a lock of the executor or of the user's allocator, the
	 * function only tries locks, and does not call the user's allocator.
	 */
	int64_t (*doze)(const struct fl__wait *wait, bool begins);
};

struct fl__ctx {
	struct fl__ctx_front front;
	const struct fl__ctx_ops *ops;
	uint64_t id; /* never 0, unique in the process */
	/* The context's own token (struct fl__own_token), or NULL. */
	fl_cancel_token *own;
	/* The wait that sleeps under the own token, or NULL. Waking threads compare it (lot.c). */
	struct fl__wait *waiting;
	struct fl__locals *locals; /* lib/core/sync/local.c */
	/* What reports say that the context waits for. The outermost fl__awaits_begin() sets it. */
	struct fl__awaited awaits;
	const char *name;
	/*
	 * Whether the context runs code of debugging, whose locks are not recorded. Only the
	 * context reads it.
	 */
	bool debugging;
	uint8_t turn;    /* counts locks, of which debugging measures one in 16 (inspect/debug.c) */
	uint32_t chance; /* the state of the random numbers of queue/select.c */
	/*
	 * Called by a wait for a future before it blocks. Runs the future's task if this context is
	 * allowed to. NULL if the context never is. `front.inside.helper` is the innermost struct
	 * fl__run of the context; in a stolen call (fork_join.c) it is the forker's.
	 */
	void (*help)(struct fl__ctx *ctx, void *future);
	struct fl__run *worker; /* of a worker that can be replaced, otherwise NULL */
	/* What replaces `worker`, or NULL if nothing does at the moment. */
	const struct fl__worker_ops *worker_ops;
	/* The members up to `waker_on_this_cpu` belong to thread_parker.c, which explains them. */
	uint32_t spin_ns;
	uint32_t spun_at; /* when a failed spin began, modulo 2^32; 0 if none did */
	int32_t saved;
	uint8_t polls, spins;
	bool waker_on_this_cpu; /* the thread that ended the last sleep ran on this CPU */
	struct fl__host *host;  /* the scheduler of a fiber; NULL for a thread */
	/*
	 * The loops of a thread whose fibers are away while the thread sleeps in the library
	 * (lot.c, "Away").
	 */
	struct fl__host *hosted;
};

/*
 * The data that each thread has once. The first member is the thread's own context. A thread of the
 * library has its data in its control block, and any other thread gets them from context.c. They
 * are not thread-local variables, because space for these is short (context.c).
 */
enum { FL__FAILURE_MESSAGE = 256 /* FL_MESSAGE_MAX */ };
struct fl__thread_data {
	struct fl__ctx ctx;
	/* The last failure that a get has returned: lib/core/future/failure.c. */
	struct fl__last_failure {
		uint64_t context; /* the id of the context that received it, or 0 */
		size_t index;
		int error;
		char message[FL__FAILURE_MESSAGE];
	} failure;
	/* The rights of a manager thread: lib/process/start/attributes.c. */
	struct fl__thread_place {
		bool fixed, read; /* if `read`, the next members are valid */
		uint64_t namespaces, place;
	} place;
	const void *death_pipe; /* the pipe that a child keeps: lib/process/start/death_pipe.c */
	/*
	 * Ends what belongs to the context, or NULL if there is nothing to end. Called, perhaps
	 * more than once, when a thread ends that the library did not start, or, with `unloads`,
	 * when the library is unloaded earlier.
	 */
	void (*end)(struct fl__ctx *ctx, bool unloads);
	struct fl__thread_data *next_free; /* the link of the free list in context.c */
	unsigned rounds;                   /* how many rounds of destructors have run: context.c */
};

/*
 * Gives a context to the calling thread, which the library did not start. fl__ctx_current is NULL
 * until the thread's first call of the library that needs a context.
 */
struct fl__ctx *fl__ctx_adopt_thread(void);

/* Gives `ctx` a new id. `name` must outlive `ctx`. */
void fl__ctx_init_thread(struct fl__ctx *ctx, const char *name);

static inline struct fl__ctx *fl__ctx_get(void)
{
	struct fl__ctx *ctx = fl__ctx_current;
	return fl__likely(ctx != NULL) ? ctx : fl__ctx_adopt_thread();
}

/* Returns the calling thread's own context, even in a fiber. */
static inline struct fl__ctx *fl__ctx_thread(void)
{
	struct fl__ctx *ctx = fl__ctx_get();
	return ctx->host ? ctx->host->thread : ctx;
}

/* Returns the data of the calling thread, even in a fiber. */
struct fl__thread_data *fl__thread_data(void);

/*
 * Returns the context that a wait of the caller puts to sleep: the current context, or, within
 * FL__BLOCKS_THREAD(), the thread's own.
 */
static inline struct fl__ctx *fl__ctx_of_wait(void)
{
	return fl__unlikely(fl__blocks_thread > 0) ? &fl__thread_data()->ctx : fl__ctx_get();
}

/*
 * fl__ctx_block() and fl__ctx_unblock() are called around a wait that may need other tasks to run:
 * a wait for the end of a future, a thread, a process, a group or an executor; an FL_WAIT_ANY()
 * with one of these objects; a join of a queue; and the sleep of an idle loop. A wait for a lock, a
 * condition or an item of a queue does not call them. Because they take the executor's lock, the
 * caller must not hold a lock.
 *
 *     const bool blocks = fl__ctx_block(ctx, NULL, deadline);
 *     rc = fl_event_wait_until(&t->ended, deadline, cancel);
 *     fl__ctx_unblock(ctx, NULL, blocks);
 *
 * FL__BLOCKS(deadline) is a declaration that calls fl__ctx_block(), and fl__ctx_unblock() at the
 * end of the block.
 */
#define FL__BLOCKS(deadline)                                                                                           \
	__attribute__((cleanup(fl__blocks_end), unused)) const bool FL__UNIQUE(fl__blocks_) =                          \
	    fl__ctx_block(fl__ctx_get(), NULL, deadline)

static inline bool fl__ctx_block(struct fl__ctx *ctx, const void *future, fl_time deadline)
{
	return ctx->worker_ops && !fl__is_expired(deadline) && ctx->worker_ops->block(ctx, future, true);
}

static inline void fl__ctx_unblock(struct fl__ctx *ctx, const void *future, bool blocks)
{
	if (blocks)
		(void)ctx->worker_ops->block(ctx, future, false);
}

static inline void fl__blocks_end(const bool *blocks)
{
	fl__ctx_unblock(fl__ctx_current, NULL, *blocks);
}

/*
 * A declaration for reports. Until the end of the block, waits of the caller for other objects are
 * reported as a wait for this object. If such declarations nest, the outermost one counts. A wait
 * for a lock, or for the end of a context, is reported as itself.
 *
 *     FL__AWAITS(FL__DEBUG_EXECUTOR, e);
 *     return fl_cond_wait_until(...);
 */
#define FL__AWAITS(kind, object)                                                                                       \
	__attribute__((cleanup(fl__awaits_end), unused)) const struct fl__awaited FL__UNIQUE(fl__awaits_) =            \
	    fl__awaits_begin(kind, object)

static inline struct fl__awaited fl__awaits_begin(enum fl__debug_kind kind, const void *object)
{
	struct fl__ctx *ctx = fl__ctx_get();
	const struct fl__awaited outer = ctx->awaits;
	if (outer.kind == FL__DEBUG_NOTHING)
		ctx->awaits = (struct fl__awaited){object, (uint8_t)kind};
	return outer;
}

static inline void fl__awaits_end(const struct fl__awaited *outer)
{
	fl__ctx_current->awaits = *outer;
}

extern const struct fl__ctx_ops fl__thread_parker;

/*
 * Polls is_ready(what) for a bounded time (thread_parker.c), or once if polling is off. Returns
 * true as soon as is_ready() does. Threads call it before they sleep.
 */
bool fl__spin(struct fl__ctx *ctx, bool (*is_ready)(const void *what), const void *what, fl_time deadline);

/*
 * fl_executor_submit() may take its short way if the executor's `short_way` equals this
 * (exec/submit.c).
 */
extern uint32_t fl__short_way FL__HIDDEN;
#define FL__SHORT_WAY_CLOSED UINT32_MAX    /* an executor that does not allow it now */
#define FL__SHORT_WAY_OFF (UINT32_MAX - 1) /* a process that does not allow it now */

static inline void fl__short_way_set(bool open)
{
	/* relaxed: a thread that sees the change late only takes the other way a few more times */
	fl__store_relaxed(&fl__short_way, open ? fl__fork_count : FL__SHORT_WAY_OFF);
}

/*
 * Set, before it forks, by a process with one thread, no fiber and no waiter. Then the child does
 * not clear the parking lot, which is empty and takes 64 KiB, where each page would cost a page
 * fault.
 */
extern bool fl__forks_empty_lot;

#endif
