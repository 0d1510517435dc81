/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "debug.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The flight recorder: each thread records its last events in a ring of its own. trace.c records,
 * trace_write.c writes the rings as JSON.
 *
 *     if (fl__trace_is_on())
 *             fl__trace_event(FL__TRACE_GET, f, NULL, f->type->name, 0);
 *
 *   kind      object, arg; code                  recorded by                   in the file
 *   SUBMIT    task, argument                     the submitter, before the     slice "submit N", s
 *                                                task is published
 *   INDEX     task, of its first element   a lazy map, or a map by copy  instant "index"
 *   START     task, ns in the queue              the context that runs it      B "N", f
 *   END       task; -error                       the same, before the end      s, E
 *   POST      task, remote key                   the submitting process        slice "post N", f, s
 *   TAKEN     task, remote key; error            the submitting process       slice "taken N", f, s
 *   GET       task                               the context that got it       slice "get N", f
 *   CANCEL    task                               the context that claims it    slice "cancel", f
 *   WAIT      what for; its kind                 the waiter, before the sleep  B "mutex", ...
 *   WOKEN     its struct fl__wait; -error        the waiter, after it          f, E
 *   WAKE      that struct, the waiter's number   the waker, before the unpark  slice "wake", s
 *   HAND_OFF  lock                               the owner                     instant "hand-off"
 *   STEAL     forked call                        the thief                     instant "steal"
 *   KILL      worker's process number            the parent                    instant "kill"
 *   POLL      loop; 1: begins, 0: ends           the loop's thread             B "poll", E
 *   RUN       the first 16 bytes of the name     the loop's thread, before it  B "NAME", E of the
 *             of fiber `context`; 0: no fiber    switches to that fiber        last; names it
 *
 * task: the address of the future; a worker process and a rank have the remote key in place of it.
 * An arrow is a pair of events, `s` and `f`, in a slice each: SUBMIT or POST to START, POST or
 * CANCEL; END or TAKEN to TAKEN or GET; WAKE to WOKEN. An end without its partner is not written,
 * except of tasks on other ranks, whose partner is in another file.
 *
 * JSON, one event a line, sorted by time; `ts` in us of CLOCK_MONOTONIC, `tid` is the context's
 * number (a fiber's track is its own), `id` is unique in the file:
 *
 *   {"displayTimeUnit":"ns","otherData":{"pid":4711,"rank":-1,"boot":"<boot id>","lost":0},
 *   "traceEvents":[
 *   {"ph":"M","name":"process_name","pid":4711,"args":{"name":"album"}},
 *   {"ph":"M","name":"thread_name","pid":4711,"tid":2,"args":{"name":"fetch-0"}},
 *   {"ph":"X","cat":"task","name":"submit thumb","pid":4711,"tid":1,"ts":7.100,"dur":0.001,
 *    "args":{"task":"0x7f00","arg":"0x55d1"}},
 *   {"ph":"s","cat":"task","name":"start","id":1,"pid":4711,"tid":1,"ts":7.100},
 *   {"ph":"i","s":"t","cat":"task","name":"index",...,"args":{"task":"0x7f00","index":17}},
 *   {"ph":"B","cat":"task","name":"thumb","pid":4711,"tid":2,"ts":8.000,
 *    "args":{"task":"0x7f00","queued":0.900}},
 *   {"ph":"f","bp":"e","cat":"task","name":"start","id":1,"pid":4711,"tid":2,"ts":8.000},
 *   {"ph":"s","cat":"task","name":"end","id":2,"pid":4711,"tid":2,"ts":9.000},
 *   {"ph":"E","pid":4711,"tid":2,"ts":9.000,"args":{"error":0}},
 *   {"ph":"X","cat":"task","name":"get thumb",...,"dur":0.001,"args":{"task":"0x7f00"}},
 *   {"ph":"f","bp":"e","cat":"task","name":"end","id":2,...},
 *   POST, TAKEN as SUBMIT: "name":"post thumb", "taken thumb", f of "start" ("end"), s of it,
 *    "args":{"task":"0x7f00","key":"0x8000126700000003"}; TAKEN has "error":0, too
 *   {"ph":"X","cat":"task","name":"cancel","dur":0.001,...}, f of "start"
 *   {"ph":"B","cat":"wait","name":"queue (to get)",...,"args":{"object":"0x7f10"}},
 *   {"ph":"f","bp":"e","cat":"wake","name":"wake","id":3,...},
 *   {"ph":"E",...,"args":{"error":0}},
 *   {"ph":"X","cat":"wake","name":"wake",...,"dur":0.001,"args":{"woken":5}}, then its s
 *   {"ph":"i","s":"t","cat":"lock","name":"hand-off",...,"args":{"object":"0x7f20"}},
 *   {"ph":"i","s":"t","cat":"task","name":"steal",...,"args":{"object":"0x7f30"}},
 *   {"ph":"i","s":"p","cat":"process","name":"kill",...,"args":{"process":4713}},
 *   {"ph":"B","cat":"loop","name":"poll",...,"args":{"object":"0x7f40"}}, E
 *   {"ph":"B","cat":"fiber","name":"fetch 17",...,"args":{"fiber":9}}, E
 *   ]}
 *
 * Of ranks: "cat":"rank", "id":"0xc000000100020003" (the key), as s or f of "start" or "end".
 */
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

/* Another thread reads it while it changes: fields by relaxed atomics, `mark` as trace.c says. */
struct fl__trace_event {
	int64_t time;
	uint64_t object, arg;
	uint32_t context; /* its number, modulo 2^32 */
	uint8_t name;     /* in the ring's table; 0: none */
	uint8_t code;     /* error, or kind of wait */
	uint16_t mark;    /* kind, and above it the lap; 0: the event is being filled */
};

enum { FL__TRACE_NAMES = 64, FL__TRACE_NAME = 32, FL__TRACE_RINGS = 1024, FL__TRACE_WORKERS = 256 };

/* In memory of its own; that of a worker process is shared with its parent. */
struct fl__trace_ring {
	uint64_t head, first;  /* events ever; the first that is this thread's */
	uint32_t tid, context; /* of the thread */
	char thread[FL__TRACE_NAME];
	uint64_t keys[FL__TRACE_NAMES];
	char names[FL__TRACE_NAMES][FL__TRACE_NAME];
	struct fl__trace_event events[];
};

/* A worker process, perhaps ended. `trace_writing` guards it. */
struct fl__trace_worker {
	struct fl__trace_ring *ring; /* NULL: none */
	int32_t pid;
	uint64_t dropped; /* when, by a count; 0: not */
	char name[FL__TRACE_NAME];
};

struct fl__trace_rings {
	uint32_t mask, log2; /* of the events of each; 0: never switched on */
	int64_t since;       /* earlier events are not written */
	struct fl__trace_ring *of_threads[FL__TRACE_RINGS];
	struct fl__trace_worker workers[FL__TRACE_WORKERS];
};
extern __attribute__((visibility("hidden"))) struct fl__trace_rings fl__trace_rings;

/* Of the `at`-th event of a ring. */
static inline uint16_t fl__trace_mark(unsigned kind, uint64_t at)
{
	return (uint16_t)(kind | at >> fl__trace_rings.log2 << 8);
}

/* Hidden, in debug_words.c; 1: records. Read as fl__debug. */
extern __attribute__((visibility("hidden"))) uint32_t fl__trace;
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

/* Of the signals that print a dump and write a file (debug.c). */
extern struct fl__handler fl__debug_handler, fl__trace_handler;

/* Writes the rings as JSON to the descriptor. 0, -ENOMEM, or the error of a write. */
struct fl__trace_count {
	size_t events;
	unsigned threads, workers; /* worker processes */
};
int fl__trace_write_json(int fd, struct fl__trace_count *count);

/* How many events the rings hold now. */
uint64_t fl__trace_length(void);

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
