/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef BENCH_SHIM_H
#define BENCH_SHIM_H

#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * What a bench sees of Google Benchmark: rows, cases, the threads of a run, and common tools. A
 * bench only says what to measure, never how.
 */

/*
 * The times of single operations. They are measured only on request (--laps, which bench/run passes
 * with --busy and --cpu-quota); otherwise the clock is not read for each operation. One operation
 * lies between bench_lap_begin() and bench_lap_end(), and between two calls of bench_lap_end().
 */
enum { BENCH_LAP_CLASSES = 60 * 32 };
typedef struct bench_laps {
	int64_t last;
	uint64_t total;
	uint64_t counts[BENCH_LAP_CLASSES];
} bench_laps;

void bench_lap_begin(bench_laps *laps);
void bench_lap_end(bench_laps *laps);

/*
 * cases.c lists each case, with its thread counts and its unit. A bench source implements a case in
 * rows, one for each implementation, and registers them with BENCH_ROWS. A case without a row of
 * Fairlead, and a row without a case, are errors at the start.
 *
 * One run of a row calls `setup` once. Then each thread calls `run`; all threads are released
 * together. The wall time from the first start to the last end, divided by `total`, is the result.
 * Then `teardown` checks what was done, and calls bench_fail() if it is wrong. If `run` sets
 * `took`, this replaces the wall time, because another program has measured the time, or only a
 * part of each round counts.
 */
typedef struct bench_thread {
	void *state;    /* what setup returned; the threads of the run share it */
	int index;      /* number of this thread: 0 ... threads - 1 */
	int threads;    /* how many threads call `run` */
	uint64_t total; /* operations that all threads make together; a multiple of `threads` */
	/*
	 * `run` sets how many operations this thread got, if threads take as many as they can;
	 * otherwise 0
	 */
	uint64_t done;
	/*
	 * `run` sets the ns of all operations, if one thread runs and measures itself; otherwise 0
	 */
	int64_t took;
	/*
	 * `run` sets the 99th percentile of the ns of single operations, if these count; otherwise
	 * 0
	 */
	int64_t p99;
	int64_t p50; /* the median of the ns; set after `run`, from its laps */
	/*
	 * of the thread with index 0, if the times of single operations are wanted; otherwise NULL
	 */
	bench_laps *laps;
	int64_t until; /* when `run` is to end, in a case with a span; `run` then sets `done` */
	/* `run` sets the ns of this thread's longest wait, where waits count; else 0 */
	int64_t longest;
} bench_thread;

/*
 * Called by `run` at the end of each operation, if an operation is one round trip. The first
 * operation begins with the run.
 */
static inline void bench_lap(bench_thread *t)
{
	if (__builtin_expect(t->laps != NULL, 0))
		bench_lap_end(t->laps);
}

/* A loop over the operations of a run: i = 0 ... total - 1. */
#define BENCH_EACH(i, t) for (uint64_t i = 0; i < (t)->total; i++)

/* The arguments of setup. */
typedef struct bench_setting {
	int threads; /* of the entry */
	uint64_t total;
	const void *arg; /* of the row */
} bench_setting;

typedef enum bench_role {
	BENCH_PEER,   /* a peer with equal guarantees; also for Fairlead's own row */
	BENCH_WEAKER, /* promises less than Fairlead */
	/* also promises less; its threads never sleep, so it runs only with threads <= CPUs */
	BENCH_SPINNING,
	BENCH_FLOOR, /* the least that the hardware requires */
} bench_role;

typedef struct bench_row {
	const char *name;           /* "family/case" */
	const char *implementation; /* "fairlead", "pthread", ... */
	void *(*setup)(const bench_setting *with);
	void (*run)(bench_thread *t);
	void (*teardown)(void *state, uint64_t total);
	/*
	 * operations of each thread in a run, a fifth with --quick; 0: as many as the time allows
	 */
	uint64_t fixed;
	bench_role role;
	const void *arg; /* given to setup */
} bench_row;

/* Runs a row on one of its threads: calls `run`, and computes the percentiles from its laps. */
void bench_run(const bench_row *row, bench_thread *t);

/* The CPUs on which the threads of a run may be. */
typedef enum bench_place {
	BENCH_ANYWHERE,
	BENCH_APART,    /* each on a CPU of its own, as long as there are enough */
	BENCH_TOGETHER, /* all on one CPU */
} bench_place;

typedef struct bench_case {
	const char *name; /* "family/case" */
	const char *unit; /* unit of the result, of which less is better: "ns/item" */
	int threads[6];   /* each is a row of the table; the list ends with 0 */
	/* 0: all threads call `run`; else so many do, and `threads` are the workers of a pool */
	int callers;
	/*
	 * 0: a run has a number of operations; otherwise the time of a run, a fifth of it with
	 * --quick, and `total` means nothing
	 */
	int span_ms;
	int least_ms;      /* the least time of a run; 0: 250 ms; a sixth of it with --quick */
	bench_place place; /* of the threads */
	/*
	 * each run of a row is in a process of its own (remote.h); `callers` is 1, and setup's
	 * total is 0
	 */
	bool alone;
} bench_case;

/* All cases (cases.c). The last one has no name. */
extern const bench_case bench_cases[];

typedef struct bench_table {
	const bench_row *rows;
	size_t count;
	struct bench_table *next;
} bench_table;

void bench_add(bench_table *table);

/* Registers a static array of rows. A source file uses this once. */
#define BENCH_ROWS(array)                                                                                              \
	static bench_table bench_table_ = {(array), sizeof(array) / sizeof(array)[0], NULL};                           \
	__attribute__((constructor)) static void bench_register_(void)                                                 \
	{                                                                                                              \
		bench_add(&bench_table_);                                                                              \
	}

typedef struct bench_options {
	bool quick;      /* short runs */
	bool laps;       /* the times of single operations are wanted, of the rows that have them */
	int repetitions; /* how often each row is measured */
} bench_options;

/* A row at one thread count, as main.c plans it and shim.cc runs it. */
typedef struct bench_entry {
	const bench_case *of;
	const bench_row *row;
	const char *role; /* "fairlead", "peer", "weaker", "floor" */
	int threads;
	char name[128]; /* "family/case/implementation/threads:N" */
} bench_entry;

/*
 * Measures `count` entries; the repetitions of different entries alternate. Prints a line for each
 * on standard output, and writes Google Benchmark's JSON to the file `out` unless that is NULL.
 * Returns the exit status.
 */
int bench_measure(const bench_entry *entries, size_t count, const bench_options *options, const char *out);

/*
 * A peer that sleeps at once also has a row `..._yield`. In this row a waiting thread first yields
 * the CPU this many times, and looks again after each yield. A program can do this in three lines,
 * and then waits much less on an idle machine.
 */
enum { BENCH_YIELDS = 200 };

/* Two cache lines, since processors fetch adjacent lines together. */
#define BENCH_LINE 128
#define BENCH_ALIGNED __attribute__((aligned(BENCH_LINE)))

/* Returns zeroed memory, aligned to BENCH_LINE, which free() frees. Never returns NULL. */
void *bench_alloc(size_t size);

/*
 * A teardown that frees such memory; a setup that returns the row's `arg`; and a teardown that does
 * nothing.
 */
void bench_free(void *state, uint64_t total);
void *bench_setup_arg(const bench_setting *with);
void bench_no_teardown(void *state, uint64_t total);

/* Says why on standard error, and aborts, because the speed of a wrong result means nothing. */
__attribute__((noreturn, format(printf, 1, 2))) void bench_fail(const char *format, ...);

/* Calls bench_fail() with `what` and errno, unless `good`. */
void bench_must(bool good, const char *what);

/* Calls bench_fail() with the text of `call` and what it returned, unless that is 0. */
#define BENCH_OK(call) bench_ok((call), #call)
void bench_failed_call(int rc, const char *call);
static inline void bench_ok(int rc, const char *call)
{
	if (rc != 0)
		bench_failed_call(rc, call);
}

/* Calls bench_fail() with both counts, unless they are equal. */
void bench_counted(const char *what, uint64_t counted, uint64_t of);

/*
 * Keeps the calling thread on one of the CPUs that it may use. Returns the CPUs that it could use
 * before, for sched_setaffinity().
 */
cpu_set_t bench_pin(int index);

/* Raises the limit of open descriptors to the hard limit. */
void bench_allow_files(void);

/* CLOCK_MONOTONIC in nanoseconds. */
int64_t bench_now(void);

/* Sleeps for that many microseconds, without the slack of 50 us that Linux adds to timers. */
void bench_sleep(unsigned us);

/* Returns the resident bytes of a process. */
int64_t bench_resident(int pid);

/*
 * Returns how many rounds of bench_work() take 100 ns. This is measured once, and is the same for
 * all rows.
 */
unsigned bench_rounds(void);

static inline uint64_t bench_work(uint64_t x, unsigned rounds)
{
	for (unsigned i = 0; i < rounds; i++)
		x = x * 6364136223846793005u + 1442695040888963407u;
	return x;
}

#ifdef __cplusplus
}
#endif

#endif
