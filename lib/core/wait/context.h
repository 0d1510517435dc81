/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_WAIT_CONTEXT_H
#define FL_WAIT_CONTEXT_H

#include "../base/atomic.h"
#include "../base/awaited.h"
#include "../base/sys.h"
#include <fairlead/cancel.h>
#include <fairlead/private/context.h>

/* The context: what can wait and park: a thread, a fiber, or a thread of the laboratory's model. */
struct fl__ctx;
struct fl__locals;
struct pollfd;
struct fl__wait; /* lot.h */

/* A scheduler of fibers, as the parking lot sees it. */
struct fl__host {
	struct fl__ctx *thread; /* has run this scheduler, or NULL */
	uint64_t awake;         /* lot.c */
	bool away;              /* lot.c */
	/* In thread->hosted, between two calls of fl_loop_run_once(). `link` NULL: not there. */
	struct fl__host *next, **link;
};

enum { FL__WAIT_FDS = 4 };         /* a process's streams, and its end */
enum { FL__DOZE_AFTER = 5000000 }; /* in ns */

struct fl__ctx_ops {
	/* Waits for the unpark of `wait`, which it acquires: 0. -ETIMEDOUT: may be called again. */
	int (*park)(struct fl__wait *wait, fl_time deadline);
	/*
	 * Ends the present or next park of `wait`. Called once, by any thread. Must not park, since
	 * the caller may hold an fl__lock(). Once the unpark is published, wait and context may be
	 * gone; only their addresses are used.
	 */
	void (*unpark)(struct fl__wait *wait);
	/*
	 * As unpark(), in a signal handler, which may have interrupted any code of the thread.
	 * NULL: the context waits for nothing that a handler releases.
	 */
	void (*unpark_in_handler)(struct fl__wait *wait);
	/* Lets the thread's other contexts run first. NULL: there are none. */
	void (*yield)(void);
	/*
	 * Waits until a descriptor is ready, as poll() defines it, but leaves `revents` alone: 0,
	 * -ETIMEDOUT, -ECANCELED. -ENOSYS: the context cannot wait for one of them. NULL: for none.
	 * At most FL__WAIT_FDS descriptors.
	 */
	int (*wait_fds)(const struct pollfd *fds, unsigned n, fl_time deadline, fl_cancel_token *cancel);
};

/* How another worker replaces a worker that waits. */
struct fl__worker_ops {
	/*
	 * Called before a sleep that may last until another task has run. True: another worker
	 * replaces this worker, and block() is called again after the sleep, with `begins` false.
	 * `future`: the only one that the sleep waits for, or NULL.
	 */
	bool (*block)(struct fl__ctx *ctx, const void *future, bool begins);
	/*
	 * NULL: there are no stand-ins. Called with `begins` by a park that has slept for
	 * FL__DOZE_AFTER, and again at the time that the call returns; FL__NEVER: no more. After
	 * such a sleep, called without `begins`. The caller may hold a lock of the executor or of
	 * the user's allocator. So the function takes no lock of the library and calls no allocator
	 * of the user. It may start a thread by pthread_create() and join one that ends.
	 */
	int64_t (*doze)(const struct fl__wait *wait, bool begins);
};

struct fl__ctx {
	struct fl__ctx_front front;
	const struct fl__ctx_ops *ops;
	uint64_t id; /* never 0, unique in the process */
	/* The context's own token (struct fl__own_token); NULL: none. */
	fl_cancel_token *own;
	/* The wait under the own token; NULL: none. Waking threads compare it (lot.c). */
	struct fl__wait *waiting;
	struct fl__locals *locals; /* lib/core/sync/local.c */
	/* See fl__awaits_begin(). */
	struct fl__awaited awaits;
	const char *name;
	/* Runs debugging code: its locks are not recorded. Used only by this context. */
	bool debugging;
	uint8_t turn;    /* lib/inspect/contention.c */
	uint32_t chance; /* lib/core/queue/select.c */
	/*
	 * Called by a wait for a future before it blocks. Runs the future's task if this context
	 * may; NULL: never. `front.inside.helper` is the innermost struct fl__run of the context;
	 * in a stolen call (fork_join.c) it is the forker's.
	 */
	void (*help)(struct fl__ctx *ctx, void *future);
	struct fl__run *worker;                  /* of a replaceable worker; NULL: none */
	const struct fl__worker_ops *worker_ops; /* of `worker`; NULL: it has no stand-ins now */
	/* Used by thread_parker.c. */
	uint32_t spin_ns;
	uint32_t spun_at; /* begin of a failed spin, modulo 2^32; 0: none */
	int32_t saved;
	uint8_t polls, spins;
	bool waker_on_this_cpu; /* of the thread that ended the last sleep */
	struct fl__host *host;  /* of a fiber; NULL: it is a thread */
	/* Of a thread: its loops between two calls of fl_loop_run_once(), whose fibers cannot run. */
	struct fl__host *hosted;
};

/*
 * What a thread has once. Each thread's own context is the first member of one: a thread of the
 * library has it in its control block, any other thread gets one from context.c.
 *
 * Thread-local variables are for what a fast path reads. With glibc all libraries that dlopen()
 * loads share 1,664 bytes for these, and each plugin may contain a copy of this library
 * (docs/vendoring.md).
 */
enum { FL__FAILURE_MESSAGE = 256 /* FL_MESSAGE_MAX */ };
struct fl__thread_data {
	struct fl__ctx ctx;
	int64_t loop_begun; /* lib/core/fork_join/parallel.c */
	/* The last failure that a get has returned: lib/core/future/failure.c. */
	struct fl__last_failure {
		uint64_t context; /* the id of the context that received it; 0: none */
		size_t index;
		int error;
		char message[FL__FAILURE_MESSAGE];
	} failure;
	/* The rights of a manager thread: lib/process/start/attributes.c. */
	struct fl__thread_place {
		bool fixed, read; /* `read`: the next fields are valid */
		uint64_t namespaces, place;
	} place;
	const void *death_pipe; /* that a child keeps: lib/process/start/death_pipe.c */
	/*
	 * Called at the end of a thread that the library did not start, more than once: ends what
	 * the context has. `unloads`: the thread runs on without the library. NULL: there is
	 * nothing.
	 */
	void (*end)(struct fl__ctx *ctx, bool unloads);
	struct fl__thread_data *next_free; /* context.c */
	unsigned rounds;                   /* context.c */
};

/* fl__ctx_current is NULL until the thread's first call of the library. */

struct fl__ctx *fl__ctx_adopt_thread(void);

/* Gives `ctx` a new id. `name` must outlive `ctx`. */
void fl__ctx_init_thread(struct fl__ctx *ctx, const char *name);

static inline struct fl__ctx *fl__ctx_get(void)
{
	struct fl__ctx *ctx = fl__ctx_current;
	return fl__likely(ctx != NULL) ? ctx : fl__ctx_adopt_thread();
}

/* The context of the calling thread, also in a fiber. */
static inline struct fl__ctx *fl__ctx_thread(void)
{
	struct fl__ctx *ctx = fl__ctx_get();
	return ctx->host ? ctx->host->thread : ctx;
}

/* Of the calling thread, also in a fiber. */
struct fl__thread_data *fl__thread_data(void);

/* The context that waits for the caller: in FL__BLOCKS_THREAD() the thread's own. */
static inline struct fl__ctx *fl__ctx_of_wait(void)
{
	return fl__unlikely(fl__blocks_thread > 0) ? &fl__thread_data()->ctx : fl__ctx_get();
}

/*
 * Called around a wait that may need other tasks to run: for the end of a future, a thread, a
 * process, a group or an executor, a join of a queue, and an idle loop. Not for locks, conditions
 * and items of queues. Takes the executor's lock: the caller must hold none.
 *
 *     const bool blocks = fl__ctx_block(ctx, NULL, deadline);
 *     rc = fl_event_wait_until(&t->ended, deadline, cancel);
 *     fl__ctx_unblock(ctx, blocks);
 *
 * FL__BLOCKS(deadline) is a declaration that does so until the end of the block.
 */
#define FL__BLOCKS(deadline)                                                                                           \
	__attribute__((cleanup(fl__blocks_end), unused)) const bool FL__UNIQUE(fl__blocks_) =                          \
	    fl__ctx_block(fl__ctx_get(), NULL, deadline)

static inline bool fl__ctx_block(struct fl__ctx *ctx, const void *future, fl_time deadline)
{
	return ctx->worker_ops && !fl__is_expired(deadline) && ctx->worker_ops->block(ctx, future, true);
}

static inline void fl__ctx_unblock(struct fl__ctx *ctx, bool blocks)
{
	if (blocks)
		(void)ctx->worker_ops->block(ctx, NULL, false);
}

static inline void fl__blocks_end(const bool *blocks)
{
	fl__ctx_unblock(fl__ctx_current, *blocks);
}

/*
 * A declaration, for reports: names what the caller waits for until the end of the block, by waits
 * of other objects. The outermost counts. Locks keep their own names.
 *
 *     FL__AWAITS(FL__DEBUG_TIMER, t);
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
 * Polls is_ready(what) for a bounded time (thread_parker.c); true when it did. For threads, before
 * they sleep.
 */
bool fl__spin(struct fl__ctx *ctx, bool (*is_ready)(const void *what), const void *what, fl_time deadline);

/*
 * The forks between the first process and this one. Objects with threads store it. It changes only
 * in a child that has one thread, so no access races.
 */
extern uint32_t fl__fork_count FL__HIDDEN;

/* What an executor's `short_way` is where fl_submit() may go its short way: exec/submit.c. */
extern uint32_t fl__short_way FL__HIDDEN;
#define FL__SHORT_WAY_CLOSED UINT32_MAX    /* of an executor */
#define FL__SHORT_WAY_OFF (UINT32_MAX - 1) /* of the process */

/*
 * Set by a process with one thread, no fiber and no waiter. Its child does not clear the empty
 * parking lot, 64 KiB, of which each page costs a page fault.
 */
extern bool fl__forks_empty_lot;

/* Whether this is a forked child of the process with that fork count. */
static inline bool fl__is_forked(uint32_t count)
{
	return count != fl__fork_count;
}

#endif
