/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "base/atomic.h"
#include "base/awaited.h"
#include "os/os.h"
#include <fairlead/debug.h>
#include <fairlead/time.h>

/*
 * The points, at which the library tells its clients what happens. The clients are in inspect: the
 * modes of fl_debug_enable(), the flight recorder, and the statistics of executors. No file outside
 * inspect includes one of its headers.
 *
 *   point                  called by, when                             locks of the   a client
 *                                                                      library held   may
 *   locking, waiting,      the slow path of a lock, a condition, a     mutexes        L A P
 *   locked                 semaphore or a queue: before the
 *                          acquisition, before each sleep, and at
 *                          the end
 *   unlocking, downgraded  an unlock and a downgrade, before they      mutexes        -
 *                          take effect
 *   forget, assert_held    init and assertions of locks                none           L A P
 *   destroy                the destroy of locks, conditions and the    none           L A P
 *                          like
 *   ends                   the free, join, detach or close of a        none           P
 *                          handle, first of all
 *   freed, made            a free and an allocation of memory, and     any            -
 *                          the end of a handle whose memory lasts
 *   join                   a join, before and after its wait           none           L A
 *   sleep, woken           each wait, around the sleep of its context  mutexes        L A
 *   wake                   the waking context, before it unparks       mutexes        A
 *   run                    a loop's thread, before it switches to a    none           A
 *                          fiber or to its own flow
 *   submit                 a submit on the long way, before the task   none           A
 *                          is published
 *   begin                  the context that runs a task, if the task   none           M
 *                          is to be measured: in place of
 *                          fl__run_function()
 *   call                   the context that runs a task, while the     none           A
 *                          recorder is on: in place of fl__task_call()
 *   task, event            the context that changes the state of a     an executor's  A
 *                          task or of a worker process
 *   note                   a hand-off, a steal, a poll of a loop       any            -
 *   idle                   a worker of a thread pool, before it        an executor's  -
 *                          sleeps
 *   remote                 the parent, when a task that has run in     an executor's  M
 *                          another process has ended
 *   executor               an executor, when it can take tasks, and    none           -
 *                          before it ends
 *   exit                   a panic, and the end of a process that      any            A
 *                          does not call exit()
 *
 * "mutexes" means some of the library's own mutexes (sync/mutex.h). While debugging is on, locking
 * one of them also calls the points, and a thread may lock one while it holds another.
 *
 *   L  call the program's log handler, which may wait. Meanwhile the client holds none of its own
 *      locks.
 *   A  take memory from fl__sys.map(), but not from an allocator: the caller may hold the
 *      allocator's lock
 *   M  take memory from fl__alloc(), the allocator of the program
 *   P  panic
 *
 * No point fails. A point that is off costs a test of one word, or of a weak function, on a slow
 * path. Only a few fast paths test fl__hooks: the try of a lock and, in a readers-writer lock, the
 * unlock, the downgrade and the read lock of a biased lock. The others have no test:
 *
 *   fast path of       what the client does instead
 *   a mutex            The CAS expects fl__hook_free instead of 0. While debugging is on, no word
 *                      has that value, so each lock takes the slow path. It leaves a mark in the
 *                      word, so that the unlock also takes the slow path.
 *   a readers-writer   A write lock also expects fl__hook_free. fl__hook_readers closes the fast
 *   lock               path of read locks. The word has no mark, so the unlock and the downgrade
 *                      test fl__hooks.
 *   a free of a        The slow path frees the last reference unless the future's word is
 *   future             fl__hook_last, a value that no word has while the ends of handles are
 *                      checked.
 *   task blocks        A free list keeps fl__hook_chain blocks. With 0 a block goes to the pool,
 *                      which keeps it for a while (exec/task_blocks.c).
 *   submits            The short way of fl_executor_submit() compares two words (exec/submit.c).
 *                      The statistics change the executor's word while its next task is to be
 *                      measured, and the recorder changes the process's word.
 *
 *     if (fl__cas_acquire(&m->word_, &(uint32_t){fl__hook_word(&fl__hook_free)}, LOCKED))
 *             return;                                                                  // fast
 *     struct fl__hook_op op;                                                           // slow
 *     fl__hook_locking(&op, m, FL__DEBUG_MUTEX, fl__is_forever(deadline) ? 0 : FL__DEBUG_TRY);
 *     ... fl__hook_waiting(&op); rc = fl__wait_sleep(...) ...
 *     fl__hook_locked(&op, rc == 0);
 *
 * No client registers itself, so no pointer to a client need be published or withdrawn while points
 * run. A client that is switched off may still be called by a thread that read the word before. A
 * static program contains a file of lib/inspect only if it refers to that file: by a function of
 * fairlead/debug.h, by fl_executor_stats(), fl_executor_type_stats(), fl_stats_text() or
 * fl_loop_dump(), or by the linker's `-u fl_debug_enable`. This matters because in a program with
 * one mutex, debugging would be more code than all the rest. The test `consumer_weight` checks that
 * small programs contain no object of inspect, and check_layers.py checks that the objects of the
 * other parts refer to inspect only weakly. (The thread pool also calls fork_join through weak
 * functions.) On x86-64 a fast path needs no further instruction for a point, because an operand in
 * memory replaces an immediate one. On aarch64 locking a mutex needs two further instructions,
 * because a word in memory must be loaded. docs/decisions/hooks.md describes the alternatives.
 */

/*
 * The library sets this environment variable when it starts this program again (start/reexec.h) as
 * a worker process or a fork server. The new process also reads FL_DEBUG and FL_TRACE. Its parent
 * has already said what is wrong with them, so FL__LOG_ONCE() says nothing in the new process.
 */
#define FL__REEXEC_VARIABLE "FAIRLEAD_PROCESS"
#define FL__LOG_ONCE(...) (secure_getenv(FL__REEXEC_VARIABLE) ? (void)0 : fl__log(__VA_ARGS__))

struct fl__ctx;
struct fl__node;
struct fl__run;
struct fl__trace_ring;
struct fl__wait;
struct fl_executor;
struct fl_future;
struct fl_task_ctx;
struct fl_task_type;

/* hidden, so that the compiler addresses the words relative to the code */
#define FL__HOOK_WORD extern FL__HIDDEN uint32_t
FL__HOOK_WORD fl__hooks;        /* the FL_DEBUG_ bits, and FL__HOOKS_TRACE, of the clients that are on */
FL__HOOK_WORD fl__hook_free;    /* 0 or FL__HOOK_NEVER */
FL__HOOK_WORD fl__hook_readers; /* 1 or 0 */
FL__HOOK_WORD fl__hook_last;    /* FL__HOOK_LAST or FL__HOOK_NEVER */
FL__HOOK_WORD fl__hook_chain;   /* FL__HOOK_CHAIN or 0 */

enum {
	FL__HOOKS_DEBUG = FL_DEBUG_LOCKORDER | FL_DEBUG_WAITS | FL_DEBUG_CONTENTION,
	FL__HOOKS_TRACE = 8,
	FL__HOOKS_ALL = FL__HOOKS_DEBUG | FL__HOOKS_TRACE
};

#define FL__HOOK_NEVER 0xfffffff7u
#define FL__HOOK_LAST 516u /* FL__FUTURE_REF | FL__FUTURE_ENDED */
#ifdef FL__TASK_BLOCK_CHAIN
#define FL__HOOK_CHAIN FL__TASK_BLOCK_CHAIN
#else
#define FL__HOOK_CHAIN 32u
#endif

/*
 * Sets whether the ends of handles are checked. A process that AddressSanitizer or Valgrind watches
 * always checks them.
 */
void fl__hook_check(bool checks);

/*
 * Returns a word that a point reads. relaxed: an old value does no harm. Except under
 * ThreadSanitizer and in the laboratory, the load is not even atomic, because compilers would emit
 * a separate load for an atomic one.
 */
static inline uint32_t fl__hook_word(const uint32_t *word)
{
#if defined(FL__TSAN) || defined(FL__LABORATORY)
	return fl__load_relaxed(word);
#else
	return *word;
#endif
}

/* Returns whether one of these clients is on. */
static inline bool fl__hooks_on(uint32_t clients)
{
	return fl__unlikely((fl__hook_word(&fl__hooks) & clients) != 0);
}

/*
 * A point. If one of the clients is on, evaluates the arguments and calls fl__hook_NAME_on().
 * `clients` is the end of a name FL__HOOKS_.
 */
#define FL__HOOK(clients, name, ...)                                                                                   \
	(fl__hooks_on(FL__HOOKS_##clients) ? (void)fl__hook_##name##_on(__VA_ARGS__) : (void)0)

/* Locks. */

enum { FL__BACKTRACE_FRAMES = 16 };

/* The innermost return addresses. The first 0 ends them. */
struct fl__backtrace {
	uintptr_t at[FL__BACKTRACE_FRAMES];
};

/* How a lock is locked: */
enum {
	FL__DEBUG_READ = 1, /* shared */
	FL__DEBUG_TRY = 2,  /* may give up: causes no deadlock */
};

/* One acquisition, or one wait for an object without a holder, in the caller's frame. */
struct fl__hook_op {
	uint8_t on; /* the modes; 0: no other member is valid */
	uint8_t how;
	uint8_t kind;
	bool measured; /* measured even if it does not wait: one acquisition in 16 */
	bool waited;
	const void *lock;
	/* NULL, or the condition that the context waits for before it locks `lock`. */
	const void *cond;
	/* The key of the waiter's node. NULL once the wait for the condition has ended. */
	const void *const *key;
	int64_t began; /* start of the wait */
	struct fl__backtrace stack;
};

FL__IF_LINKED void fl__hook_locking_on(struct fl__hook_op *op);
FL__IF_LINKED void fl__hook_waiting_on(struct fl__hook_op *op);
FL__IF_LINKED void fl__hook_locked_on(struct fl__hook_op *op, bool locked);

/* `how` is FL__DEBUG_READ or 0. */
FL__IF_LINKED void fl__hook_unlocking_on(const void *lock, unsigned how);
#define fl__hook_unlocking(...) FL__HOOK(DEBUG, unlocking, __VA_ARGS__)

FL__IF_LINKED void fl__hook_downgraded_on(const void *lock);
#define fl__hook_downgraded(...) FL__HOOK(DEBUG, downgraded, __VA_ARGS__)

/* Called when a lock is initialized. Forgets the records of an earlier lock at its address. */
FL__IF_LINKED void fl__hook_forget_on(const void *lock);
#define fl__hook_forget(...) FL__HOOK(DEBUG, forget, __VA_ARGS__)

/*
 * Called by a public function that ends `object`, which the records and the wait queue know by the
 * address `key`. Drops the records. If the object is busy, panics, and names a holder and a waiter.
 */
FL__IF_LINKED void fl__hook_destroy_on(const char *function, const void *object, const void *key, bool busy);
#define fl__hook_destroy(...) FL__HOOK(DEBUG, destroy, __func__, __VA_ARGS__)

/*
 * Handles. A public function that frees, joins, detaches or closes a handle first calls
 * fl__hook_ends(), which panics if the handle was ended before. fl__free() calls fl__hook_freed(),
 * and so does a function that ends a handle whose memory may last. fl__alloc() calls
 * fl__hook_made().
 */
FL__IF_LINKED void fl__hook_ends_on(const char *function, const void *handle);
#define fl__hook_ends(...) FL__HOOK(DEBUG, ends, __func__, __VA_ARGS__)
FL__IF_LINKED void fl__hook_freed_on(const void *handle);
#define fl__hook_freed(...) FL__HOOK(DEBUG, freed, __VA_ARGS__)
FL__IF_LINKED void fl__hook_made_on(const void *memory);
#define fl__hook_made(...) FL__HOOK(DEBUG, made, __VA_ARGS__)

/* Panics if the lock is known to be held by another context and not by the caller. */
FL__IF_LINKED void fl__hook_assert_held_on(const void *lock, const char *function);
#define fl__hook_assert_held(...) FL__HOOK(DEBUG, assert_held, __VA_ARGS__)

static inline void fl__hook_locking(struct fl__hook_op *op, const void *lock, enum fl__debug_kind kind, unsigned how)
{
	op->on = (uint8_t)(fl__hook_word(&fl__hooks) & FL__HOOKS_DEBUG);
	if (fl__unlikely(op->on != 0)) {
		op->lock = lock;
		op->kind = (uint8_t)kind;
		op->how = (uint8_t)how;
		op->cond = NULL;
		op->key = NULL;
		fl__hook_locking_on(op);
	}
}

static inline void fl__hook_waiting(struct fl__hook_op *op)
{
	if (fl__unlikely(op->on != 0))
		fl__hook_waiting_on(op);
}

/* Without `locked`, the caller has given up. */
static inline void fl__hook_locked(struct fl__hook_op *op, bool locked)
{
	if (fl__unlikely(op->on != 0))
		fl__hook_locked_on(op, locked);
}

/*
 * Called before a wait for `cond`, after which the context always locks the mutex. A signal may
 * move the waiter to the mutex's wait queue, which changes `*key`.
 */
static inline void fl__hook_waiting_cond(struct fl__hook_op *op, const void *mutex, const void *cond,
                                         const void *const *key)
{
	fl__hook_locking(op, mutex, FL__DEBUG_MUTEX, 0);
	if (fl__unlikely(op->on != 0)) {
		op->cond = cond;
		op->key = key;
		fl__hook_waiting_on(op);
	}
}

/*
 * Called before and after a wait for permits, items or space, whether it succeeds or not. Because
 * any context may end that wait, no deadlock is reported.
 */
#define fl__hook_wait_begin(op, object, kind) (fl__hook_locking(op, object, kind, FL__DEBUG_TRY), fl__hook_waiting(op))
#define fl__hook_wait_end(op) fl__hook_locked(op, false)

/* Waits, wakes and switches. */

/*
 * Called before a join of `context`, and with NULL after it. `timed` says whether it has a
 * deadline.
 */
FL__IF_LINKED void fl__hook_join_on(const struct fl__ctx *context, bool timed);
#define fl__hook_join(...) FL__HOOK(DEBUG, join, __VA_ARGS__)

FL__IF_LINKED void fl__hook_sleep_on(struct fl__wait *wait, fl_time deadline);
#define fl__hook_sleep(...) FL__HOOK(ALL, sleep, __VA_ARGS__)
FL__IF_LINKED void fl__hook_woken_on(struct fl__wait *wait);
static inline void fl__hook_woken(struct fl__wait *wait)
{
	/*
	 * acquire: pairs with the release in debug_set_modes(). If the mode that recorded the wait
	 * was switched off meanwhile, the dump no longer reads the awaited object.
	 */
	if (fl__unlikely((fl__load_acquire(&fl__hooks) & FL__HOOKS_ALL) != 0))
		fl__hook_woken_on(wait);
}

/* `taken` is the first of the nodes that the caller will unpark. */
FL__IF_LINKED void fl__hook_wake_on(const struct fl__node *taken);
#define fl__hook_wake(...) FL__HOOK(TRACE, wake, __VA_ARGS__)

/*
 * Says that the loop's thread will run the fiber with this number and name or, with 0 and "", its
 * own flow.
 */
FL__IF_LINKED void fl__hook_run_on(const void *loop, uint64_t fiber, const char *name);
#define fl__hook_run(...) FL__HOOK(ALL, run, __VA_ARGS__)

/* Events of the recorder. inspect/trace.h says when each is recorded. */

enum fl__trace_kind {
	FL__TRACE_SUBMIT = 1, /* 0: the event is being filled */
	FL__TRACE_START,
	FL__TRACE_END,
	FL__TRACE_POST,
	FL__TRACE_TAKEN,
	FL__TRACE_GET,
	FL__TRACE_CANCEL,
	FL__TRACE_WAIT,
	FL__TRACE_WOKEN,
	FL__TRACE_WAKE,
	FL__TRACE_HAND_OFF,
	FL__TRACE_STEAL,
	FL__TRACE_KILL,
	FL__TRACE_POLL,
	FL__TRACE_RUN,
	FL__TRACE_INDEX,
};

/*
 * Records an event of the calling context, and returns its time. Must not be called in a signal
 * handler. `object` and `arg` are addresses or numbers. `name` is the name of the task's type, for
 * KILL the reason, or NULL. It must be a constant text, because the recorder stores its address.
 * `code` is an error or a kind of wait.
 */
FL__IF_LINKED int64_t fl__hook_event_on(enum fl__trace_kind kind, uint64_t object, uint64_t arg, const char *name,
                                        unsigned code);
#define fl__hook_event(...) FL__HOOK(TRACE, event, __VA_ARGS__)

/*
 * Records GET or CANCEL or, for fl__hook_submit(), SUBMIT, and then stamps the task with the time.
 */
FL__IF_LINKED void fl__hook_task_on(enum fl__trace_kind kind, struct fl_future *f);
#define fl__hook_task(...) FL__HOOK(TRACE, task, __VA_ARGS__)

/*
 * Records HAND_OFF, STEAL or POLL. Because the caller may hold any lock of the library, a thread
 * without a ring gets none here, and its event is not recorded.
 */
FL__IF_LINKED void fl__hook_note_on(enum fl__trace_kind kind, const void *object, unsigned arg);
#define fl__hook_note(...) FL__HOOK(TRACE, note, __VA_ARGS__)

/*
 * Called when the process ends. The recorder writes its file if `writes` is true or FL_TRACE
 * contains "exit". Otherwise, if no file was ever written, it says how many events are lost, except
 * in a child process.
 */
FL__IF_LINKED void fl__hook_exit_on(bool writes);
#define fl__hook_exit(...) FL__HOOK(TRACE, exit, __VA_ARGS__)

/* The object of an event about a task that another process (with this pid) or another rank runs. */
#define FL__TRACE_REMOTE(number, seq) (UINT64_C(1) << 63 | (uint64_t)(number) << 32 | (uint32_t)(seq))
#define FL__TRACE_RANK(number, seq) (UINT64_C(1) << 62 | FL__TRACE_REMOTE(number, seq))
extern FL__HIDDEN int32_t fl__trace_rank; /* -1: none */

/*
 * The ring of a worker process: `size` = fl__trace_ring_size() bytes of shared memory in separate
 * pages, which are zeroed before the worker gets them. The mapping is not inherited. The size is
 * constant once the recorder was on. While the recorder is off there is no ring.
 *
 * The parent calls fl__trace_ring_add() after it has started the worker, with the worker's number
 * and name, and fl__trace_ring_drop() when the worker has ended, or if it never began. From then on
 * the recorder owns the mapping, because it keeps the last rings for later files. Before its first
 * task the worker calls fl__trace_ring_use(), which switches recording on. None of the three
 * functions allocates memory.
 */
FL__IF_LINKED size_t fl__trace_ring_size(void);
FL__IF_LINKED void fl__trace_ring_add(struct fl__trace_ring *ring, int32_t pid, const char *name);
FL__IF_LINKED void fl__trace_ring_drop(struct fl__trace_ring *ring);
FL__IF_LINKED void fl__trace_ring_use(struct fl__trace_ring *ring, size_t size);

/* Tasks. Statistics are on in every program that calls a function of inspect/stats.c. */

/*
 * A submit that finds no free block on the short way counts as this many submits. Usually it
 * refills a free list, which happens once in CHAIN submits, so it counts as half of these.
 */
enum { FL__STATS_REFILL = 16 };

/* The last measurement of a context that runs tasks. */
struct fl__stats_last {
	struct fl__stats_times *times; /* NULL before the first */
	FL__WORD64 int64_t ns;
	size_t begun; /* tasks that the context had begun, including this one */
};

struct fl__stats_context {
	size_t next; /* the context asks for a stamp when it has begun this many tasks */
	struct fl__stats_last queued, ran;
};

/* Stamps the task with the time. */
FL__IF_LINKED void fl__hook_stamp_on(struct fl_executor *e, struct fl_future *f);

/* Runs the task like fl__run_function(), and counts its times. */
FL__IF_LINKED int fl__hook_begin_on(struct fl__run *run, struct fl__stats_context *context, size_t begun,
                                    char **message);

/* Calls the task's function like fl__task_call(), between the events START and END. */
FL__IF_LINKED int fl__hook_call_on(const struct fl_task_type *type, const void *arg, void *result,
                                   struct fl_task_ctx *ctx);

/* Called when there are few tasks. The next submit stamps its task. */
FL__IF_LINKED void fl__hook_idle_on(struct fl_executor *e);
#define fl__hook_idle(e) (fl__stats_are_linked() ? fl__hook_idle_on(e) : (void)0)

/* Called after a stamped task has run in another process. Impossible times are not counted. */
FL__IF_LINKED void fl__hook_remote_on(struct fl_executor *e, const struct fl_future *f, int64_t began, int64_t ran);
#define fl__hook_remote(...) (fl__stats_are_linked() ? fl__hook_remote_on(__VA_ARGS__) : (void)0)

/*
 * Adds an executor that can accept tasks to a list, or removes it before it ends, even while
 * debugging is off. The list is linked for the dump and fl_stats_text().
 */
FL__IF_LINKED void fl__hook_executor_on(struct fl_executor *e, bool begins);
static inline void fl__hook_executor(struct fl_executor *e, bool begins)
{
	if (FL__IS_LINKED(fl__hook_executor_on))
		fl__hook_executor_on(e, begins);
}

static inline bool fl__stats_are_linked(void)
{
#ifdef FL__LABORATORY
	return false; /* fewer steps for a search */
#else
	return FL__IS_LINKED(fl__hook_idle_on);
#endif
}

/* As a number of submits to skip, this means that no task is stamped. */
#define FL__STATS_OFF INT32_MAX

/*
 * Counts `n` submits that are not stamped. Returns false if the next task is to be stamped.
 * relaxed: the count is approximate.
 */
static inline bool fl__stats_skip(int32_t *to_skip, int32_t n)
{
	const int32_t skip = fl__load_relaxed(to_skip);
	if (skip > 0 && skip < FL__STATS_OFF)
		fl__store_relaxed(to_skip, skip - n);
	return skip > 0 || !FL__IS_LINKED(fl__hook_stamp_on);
}

/* `to_skip` is how many more submits of the executor are not stamped. */
static inline void fl__hook_submit(int32_t *to_skip, struct fl_executor *e, struct fl_future *f)
{
	if (fl__hooks_on(FL__HOOKS_TRACE))
		fl__hook_task_on(FL__TRACE_SUBMIT, f);
	else if (!fl__stats_skip(to_skip, 1))
		fl__hook_stamp_on(e, f);
}
