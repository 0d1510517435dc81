/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "core/hooks.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The flight recorder: each thread records its last events in its own ring. trace.c records them,
 * and trace_write.c writes the rings as JSON.
 *
 *     fl__hook_event(FL__TRACE_INDEX, f, index, NULL, 0);
 *
 *   kind      object, arg; code                 recorded by                   in the file
 *   SUBMIT    task, argument                    the submitter, before the     slice "submit N", s
 *                                               task is published
 *   INDEX     task, index of its first element  a lazy map, or a map by copy  instant "index"
 *   START     task, ns in the queue             the context that runs it      B "N", f
 *   END       task; -error                      the same, before the end      s, E
 *   POST      task, remote key                  the submitting process        slice "post N", f, s
 *   TAKEN     task, remote key; -error          the submitting process        slice "taken N", f, s
 *   GET       task                              the context that got it       slice "get N", f
 *   CANCEL    task                              the context that claims it    slice "cancel", f
 *   WAIT      what for; its kind                the waiter, before the sleep  B "mutex", ...
 *   WOKEN     its struct fl__wait; -error       the waiter, after it          f, E
 *   WAKE      that struct, the waiter's number  the waker, before the unpark  slice "wake", s
 *   HAND_OFF  lock                              the owner                     instant "hand-off"
 *   STEAL     forked call                       the thief                     instant "steal"
 *   KILL      worker's process number           the parent                    instant "kill: WHY"
 *   POLL      loop; 1: begins, 0: ends          the loop's thread             B "poll", E
 *   RUN       the first 16 bytes of the name    the loop's thread, before it  B "NAME", E of the
 *             of fiber `context`; 0: no fiber   switches to that fiber        last; names it
 *
 * task: the address of the future; in a worker process and a rank, the remote key instead. An arrow
 * is a pair of events, `s` and `f`, each in a slice: SUBMIT or POST to START, POST or CANCEL; END
 * or TAKEN to TAKEN or GET; WAKE to WOKEN. An end without its partner is not written, except for
 * tasks on other ranks, whose partner is in another file.
 *
 * The JSON has one event per line, sorted by time. `ts` is CLOCK_MONOTONIC in us, `tid` is the
 * context's number (each fiber has its own track), and `id` is unique in the file:
 *
 *   {"displayTimeUnit":"ns","otherData":{"pid":4711,"rank":-1,"boot":"<boot id> <clock>","lost":0},
 *   "traceEvents":[
 *   {"ph":"M","name":"process_name","pid":4711,"args":{"name":"album"}},
 *   {"ph":"M","name":"thread_name","pid":4711,"tid":2,"args":{"name":"fetch-0","lost":0}},
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
 *   {"ph":"B","cat":"wait","name":"the end of thread or fiber",...,"args":{"object":"2"}}, its tid
 *   {"ph":"f","bp":"e","cat":"wake","name":"wake","id":3,...},
 *   {"ph":"E",...,"args":{"error":0}},
 *   {"ph":"X","cat":"wake","name":"wake",...,"dur":0.001,"args":{"woken":5}}, then its s
 *   {"ph":"i","s":"t","cat":"lock","name":"hand-off",...,"args":{"object":"0x7f20"}},
 *   {"ph":"i","s":"t","cat":"task","name":"steal",...,"args":{"object":"0x7f30"}},
 *   {"ph":"i","s":"t","cat":"process","name":"kill: its task ran for too long",...,
 *    "args":{"process":4713}},
 *   {"ph":"B","cat":"loop","name":"poll",...,"args":{"object":"0x7f40"}}, E
 *   {"ph":"B","cat":"fiber","name":"fetch 17",...,"args":{"fiber":9}}, E
 *   ]}
 *
 * For ranks: "cat":"rank", "id":"0xc000000100020003" (the key), as s or f of "start" or "end".
 */

/*
 * Another thread may read an event while it changes, so the fields are relaxed atomics, and `mark`
 * works as the table in trace.c says.
 */
struct fl__trace_event {
	FL__WORD64 int64_t time;
	FL__WORD64 uint64_t object, arg;
	uint32_t context; /* the number of the context, modulo 2^32 */
	uint8_t name;     /* the index in the ring's table of names, or 0 */
	uint8_t code;     /* the error, or the kind of wait */
	uint16_t mark;    /* the lap above the kind; 0 while the event is being filled */
};

enum { FL__TRACE_NAMES = 64, FL__TRACE_NAME = 32, FL__TRACE_RINGS = 1024, FL__TRACE_WORKERS = 256 };

/* A ring in separate memory. A worker process shares the memory of its ring with its parent. */
struct fl__trace_ring {
	FL__WORD64 uint64_t head, first; /* the number of all events so far, and the first of this thread */
	uint32_t tid, context;           /* the numbers of the thread */
	char thread[FL__TRACE_NAME];
	FL__WORD64 uint64_t keys[FL__TRACE_NAMES];
	char names[FL__TRACE_NAMES][FL__TRACE_NAME];
	struct fl__trace_event events[];
};

/* A worker process, which may have ended. fl__trace_rings.lock guards the struct. */
struct fl__trace_worker {
	struct fl__trace_ring *ring; /* NULL while there is none */
	int32_t pid;
	uint64_t dropped; /* 0, or a count that says when it ended */
	char name[FL__TRACE_NAME];
};

struct fl__trace_rings {
	/* a ring holds 2^log2 = mask + 1 events; `mask` is 0 until the recorder is switched on */
	uint32_t mask, log2;
	int64_t since; /* earlier events are not written */
	struct fl__trace_ring *of_threads[FL__TRACE_RINGS];
	uint32_t lock; /* guards the list of worker processes */
	struct fl__trace_worker workers[FL__TRACE_WORKERS];
};
extern FL__HIDDEN struct fl__trace_rings fl__trace_rings;

/* Returns the mark of a ring's event number `at`. */
static inline uint16_t fl__trace_mark(unsigned kind, uint64_t at)
{
	return (uint16_t)(kind | at >> fl__trace_rings.log2 << 8);
}

/* Record WOKEN and RUN. `fiber` is 0 if the loop's thread runs no fiber now. */
struct fl__wait;
void fl__trace_woken(struct fl__wait *wait);
void fl__trace_run(uint64_t fiber, const char *name);

/* Writes a file. May be called in a signal handler. */
void fl__trace_signalled(void);

/* The handlers of the signals that print a dump and write a file (debug.c). */
extern struct fl__handler fl__debug_handler, fl__trace_handler;

/*
 * Writes the rings as JSON to the descriptor. Returns 0, -EBUSY if another thread is changing the
 * list of worker processes, -ENOMEM, or the error of a write.
 */
struct fl__trace_count {
	size_t events;
	unsigned threads, workers; /* `workers` counts worker processes */
};
int fl__trace_write_json(int fd, struct fl__trace_count *count);

/* Returns how many events the rings hold now. Called under fl__trace_rings.lock. */
uint64_t fl__trace_length(void);
