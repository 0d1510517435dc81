/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "base/atomic.h"
#include "base/awaited.h"
#include <fairlead/debug.h>
#include <fairlead/time.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The hooks that the primitives call for debugging.
 *
 * The fast path of a lock has no extra branch: its CAS expects fl__debug_free instead of 0. While
 * debugging is on, fl__debug_free has a value that no word has, so the slow path calls the hooks.
 * It leaves a mark in the word, which makes the unlock slow, too. The unlock of many readers, which
 * have no mark, reads fl__debug first.
 *
 *     if (fl__cas_acquire(&m->word_, &(uint32_t){fl__debug_word(&fl__debug_free)}, LOCKED))
 *             return;                                                                  // fast
 *     struct fl__debug_op op;                                                          // slow
 *     fl__debug_locking(&op, m, FL__DEBUG_MUTEX, deadline == FL_FOREVER ? 0 : FL__DEBUG_TRY);
 *     ... fl__debug_waiting(&op); rc = fl__wait_sleep(...) ...
 *     fl__debug_locked(&op, rc == 0);
 */

/*
 * The environment variable by which the library starts this program again (start/reexec.h), as a
 * worker process or a fork server. The new process reads FL_DEBUG and FL_TRACE, too. Its parent has
 * already said what is wrong with them, so FL__LOG_ONCE() says nothing in the new process.
 */
#define FL__REEXEC_VARIABLE "FAIRLEAD_PROCESS"
#define FL__LOG_ONCE(...) (secure_getenv(FL__REEXEC_VARIABLE) ? (void)0 : fl__log(__VA_ARGS__))

struct fl__ctx;
struct fl__trace_ring;

enum { FL__BACKTRACE_FRAMES = 16 };

/* The innermost return addresses, up to the first 0. */
struct fl__backtrace {
	uintptr_t at[FL__BACKTRACE_FRAMES];
};

/* Hidden, so that the compiler addresses the words relative to the code. */
#define FL__DEBUG_WORD extern __attribute__((visibility("hidden"))) uint32_t
FL__DEBUG_WORD fl__debug;         /* FL_DEBUG_ bits */
FL__DEBUG_WORD fl__debug_free;    /* 0 or FL__DEBUG_NEVER */
FL__DEBUG_WORD fl__debug_readers; /* the most readers of fl_rwlock, or 0 */

#define FL__DEBUG_NEVER 0xfffffff7u
#define FL__RWLOCK_MOST (1u << 26)

/* An old value does no harm. Not atomic: compilers would emit a separate load. */
static inline uint32_t fl__debug_word(const uint32_t *word)
{
#if defined(FL__TSAN) || defined(FL__LABORATORY)
	return fl__load_relaxed(word);
#else
	return *word;
#endif
}

static inline bool fl__debug_is_on(void)
{
	return fl__unlikely(fl__debug_word(&fl__debug) != 0);
}

/* How a lock is locked: */
enum {
	FL__DEBUG_READ = 1, /* shared */
	FL__DEBUG_TRY = 2,  /* may give up: causes no deadlock */
};

/* One acquisition, or one wait for an object without a holder. In the caller's frame. */
struct fl__debug_op {
	uint8_t on; /* the modes; 0: no other member is valid */
	uint8_t how;
	uint8_t kind;
	bool measured; /* one of 16 that are measured even without a wait */
	bool waited;
	const void *lock;
	/* The condition that the context waits for, before it locks `lock`. NULL: none. */
	const void *cond;
	/* The key of the waiter's node. NULL once the wait for the condition has ended. */
	const void *const *key;
	int64_t began; /* start of the wait */
	struct fl__backtrace stack;
};

/*
 * A function of a part that only some programs link. Weak: NULL in a program without the part.
 * Hidden: not the function of another copy of the library.
 */
#define FL__IF_LINKED __attribute__((weak, visibility("hidden")))

/*
 * What the hooks call while debugging is on. A program that does not refer to debugging lacks these
 * functions, and only debug.c switches debugging on.
 */
struct fl__wait;
struct fl_executor;
FL__IF_LINKED void fl__debug_locking_on(struct fl__debug_op *op);
FL__IF_LINKED void fl__debug_waiting_on(struct fl__debug_op *op);
FL__IF_LINKED void fl__debug_locked_on(struct fl__debug_op *op, bool locked);
FL__IF_LINKED void fl__debug_unlocking_on(const void *lock, unsigned how);
FL__IF_LINKED void fl__debug_downgraded_on(const void *lock);
FL__IF_LINKED void fl__debug_forget_on(const void *lock, const char *destroy);
FL__IF_LINKED void fl__debug_assert_held_on(const void *lock, const char *function);
FL__IF_LINKED void fl__debug_join_on(const struct fl__ctx *context, bool timed);
FL__IF_LINKED void fl__debug_sleep_on(const struct fl__wait *wait, int64_t deadline);
FL__IF_LINKED void fl__debug_duration_on(void); /* after the line of a report: the stack */
FL__IF_LINKED void fl__debug_run_on(const void *loop, const char *fiber);

static inline bool fl__debug_is_linked(void)
{
	return fl__debug_locking_on != NULL;
}

/* Before an acquisition, with no internal lock of the library held. */
static inline void fl__debug_locking(struct fl__debug_op *op, const void *lock, enum fl__debug_kind kind, unsigned how)
{
	op->on = (uint8_t)fl__debug_word(&fl__debug);
	if (fl__unlikely(op->on != 0)) {
		op->lock = lock;
		op->kind = (uint8_t)kind;
		op->how = (uint8_t)how;
		op->cond = NULL;
		op->key = NULL;
		fl__debug_locking_on(op);
	}
}

/* Before each sleep for the lock, with no internal lock held. */
static inline void fl__debug_waiting(struct fl__debug_op *op)
{
	if (fl__unlikely(op->on != 0))
		fl__debug_waiting_on(op);
}

/* After the acquisition, or, if not `locked`, after giving up. */
static inline void fl__debug_locked(struct fl__debug_op *op, bool locked)
{
	if (fl__unlikely(op->on != 0))
		fl__debug_locked_on(op, locked);
}

/*
 * Before a wait for `cond`, after which the context always locks the mutex. A signal moves the
 * waiter to the mutex's wait queue and changes `*key`.
 */
static inline void fl__debug_waiting_cond(struct fl__debug_op *op, const void *mutex, const void *cond,
                                          const void *const *key)
{
	fl__debug_locking(op, mutex, FL__DEBUG_MUTEX, 0);
	if (fl__unlikely(op->on != 0)) {
		op->cond = cond;
		op->key = key;
		fl__debug_waiting_on(op);
	}
}

/* Before a wait for permits, items or space: any context may end it, so no deadlock is reported. */
static inline void fl__debug_wait_begin(struct fl__debug_op *op, const void *object, enum fl__debug_kind kind)
{
	fl__debug_locking(op, object, kind, FL__DEBUG_TRY);
	fl__debug_waiting(op);
}

/* Called after such a wait, successful or not. */
static inline void fl__debug_wait_end(struct fl__debug_op *op)
{
	fl__debug_locked(op, false);
}

/* Called before an unlock. `how`: FL__DEBUG_READ or 0. */
static inline void fl__debug_unlocking(const void *lock, unsigned how)
{
	if (fl__debug_is_on())
		fl__debug_unlocking_on(lock, how);
}

static inline void fl__debug_downgraded(const void *lock)
{
	if (fl__debug_is_on())
		fl__debug_downgraded_on(lock);
}

/* Forgets a lock that begins or ends. `destroy`: the function of this name found the lock busy. */
static inline void fl__debug_forget(const void *lock, const char *destroy)
{
	if (fl__debug_is_on())
		fl__debug_forget_on(lock, destroy);
}

/* Panics if another context is known to hold the lock, and not this one. */
static inline void fl__debug_assert_held(const void *lock, const char *function)
{
	if (fl__debug_is_on())
		fl__debug_assert_held_on(lock, function);
}

/* Before a join of `context` (`timed`: with a deadline), and with NULL after it. */
static inline void fl__debug_join(const struct fl__ctx *context, bool timed)
{
	if (fl__debug_is_on())
		fl__debug_join_on(context, timed);
}

/*
 * Half of the machine's uptime at the load of the library. fl_after() has returned no earlier
 * deadline here, and hardly in a process that shares memory with this one.
 */
extern __attribute__((visibility("hidden"))) int64_t fl__earliest_deadline;
__attribute__((cold)) void fl__duration_report(int64_t deadline);
extern uint32_t fl__duration_told; /* since the start, or the last switch of debugging */

/*
 * Called with the deadline that a public function got and that fl__debug_sleep() may not see, with
 * no internal lock held. Reports a duration in place of a deadline, once. Deadlines of a few
 * nanoseconds are written on purpose, to try once.
 */
static inline void fl__debug_deadline(int64_t deadline)
{
	if (fl__unlikely(deadline < fl__earliest_deadline) && deadline >= FL_US(1))
		fl__duration_report(deadline);
}

/* Before each sleep of a wait, and with NULL after it. */
static inline void fl__debug_sleep(const struct fl__wait *wait, int64_t deadline)
{
	fl__debug_deadline(deadline);
	if (fl__debug_is_on())
		fl__debug_sleep_on(wait, deadline);
}

/* executors.c: the lock of the table (table.h) and of the list of all executors. */
void fl__debug_relock(void);
void fl__debug_unlock(void);

/* The n-th executor; NULL: none. Under that lock. */
struct fl_executor *fl__debug_executor_nth(size_t n);

/*
 * Lists an executor that can take tasks, and removes it before it ends, also while debugging is
 * off. Weak: linked for the dump and fl_stats_text().
 */
FL__IF_LINKED void fl__debug_executor_on(struct fl_executor *e, bool begins);

static inline void fl__debug_executor(struct fl_executor *e, bool begins)
{
	if (fl__debug_executor_on)
		fl__debug_executor_on(e, begins);
}

/* Called before `loop` switches to the fiber of this name; NULL: to the thread's own flow. */
static inline void fl__debug_run(const void *loop, const char *fiber)
{
	if (fl__debug_is_on())
		fl__debug_run_on(loop, fiber);
}

/* Events of the flight recorder: inspect/trace.h says when each is recorded. */
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

/* 1: the recorder records. Read as fl__debug. */
FL__DEBUG_WORD fl__trace;
extern __attribute__((visibility("hidden"))) int32_t fl__trace_rank; /* -1: none */

static inline bool fl__trace_is_on(void)
{
	return fl__unlikely(fl__debug_word(&fl__trace) != 0); /* a late value does no harm */
}

/* A program without a reference to debugging lacks these functions; its `fl__trace` stays 0. */

/*
 * Records an event of the calling context, and returns its time. Not in a signal handler. `name`:
 * of the task's type, known by its address, or NULL. `object`, `arg`: addresses or numbers. `code`:
 * above.
 */
FL__IF_LINKED int64_t fl__trace_event(enum fl__trace_kind kind, uint64_t object, uint64_t arg, const char *name,
                                      unsigned code);

/* SUBMIT, which stamps the task as statistics do; GET, CANCEL. */
struct fl_future;
FL__IF_LINKED void fl__trace_task(enum fl__trace_kind kind, struct fl_future *f);

/* fl__task_call() of a future's task, between its START and END. */
struct fl_task_type;
struct fl_task_ctx;
FL__IF_LINKED int fl__trace_call(const struct fl_task_type *type, const void *arg, void *result,
                                 struct fl_task_ctx *ctx);

/* HAND_OFF, STEAL, POLL. Makes no ring: the caller may hold a lock of the library. */
FL__IF_LINKED void fl__trace_object(enum fl__trace_kind kind, const void *object, unsigned arg);

/* WAIT, which returns its time; 0: not recorded. WOKEN. WAKE of each waiter that was taken. */
struct fl__wait;
struct fl__node;
FL__IF_LINKED int64_t fl__trace_wait(const struct fl__wait *wait);
FL__IF_LINKED void fl__trace_woken(const struct fl__wait *wait, int64_t since, int rc);
FL__IF_LINKED void fl__trace_wake(const struct fl__node *taken);

/* RUN; 0: no fiber. */
FL__IF_LINKED void fl__trace_run(uint64_t fiber, const char *name);

/*
 * Called where the process ends. Writes a file if FL_TRACE has "exit". Without "exit", and if no
 * file was ever written, it says how many events are lost; but not in a child process that the
 * library started or that the program forked.
 */
FL__IF_LINKED void fl__trace_at_exit(void);

static inline void fl__trace_exit(void)
{
	if (fl__trace_at_exit)
		fl__trace_at_exit();
}

/* Of a task that another process (`number`: its pid), or another rank, runs. */
#define FL__TRACE_REMOTE(number, seq) (UINT64_C(1) << 63 | (uint64_t)(number) << 32 | (uint32_t)(seq))
#define FL__TRACE_RANK(number, seq) (UINT64_C(1) << 62 | FL__TRACE_REMOTE(number, seq))

/*
 * The ring of a worker process: `size` = fl__trace_ring_size() bytes of shared memory, in pages of
 * their own, zeroed before the worker gets them; the mapping is not inherited by fork(). The size
 * is constant once the recorder was on.
 *
 * The parent: fl__trace_ring_add() after the start, with the worker's number and name;
 * fl__trace_ring_drop() when the worker has ended, or if it never began. From then on the recorder
 * owns the mapping: it keeps the last rings for later files. The worker: fl__trace_ring_use(),
 * before its first task, which switches recording on. These allocate nothing.
 */
FL__IF_LINKED size_t fl__trace_ring_size(void);
FL__IF_LINKED void fl__trace_ring_add(struct fl__trace_ring *ring, int32_t pid, const char *name);
FL__IF_LINKED void fl__trace_ring_drop(struct fl__trace_ring *ring);
FL__IF_LINKED void fl__trace_ring_use(struct fl__trace_ring *ring, size_t size);
