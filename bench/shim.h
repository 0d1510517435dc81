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
 * The times of single operations, in runs that are to tell them (--busy); else the clock is not
 * read for each. Between begin() and end(), or between two end()s, lies one operation.
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
 * What a bench sees of Google Benchmark: it says what to measure, never how.
 *
 * cases.c lists each case: its thread counts and its unit. A bench source implements a case in
 * rows, one for each implementation, and registers them with BENCH_ROWS. A case without a row of
 * Fairlead, and a row without a case, are errors at the start.
 *
 * One run of a row: setup once; then `run` on each thread, all released together; wall time from
 * the first start to the last end, divided by `total`, is the result; then teardown, which checks
 * what was done and calls bench_fail if it is wrong. What `run` says it `took` stands in for that
 * wall time: for what another program measures, or for a part of each round.
 */
typedef struct bench_thread {
	void *state;    /* what setup returned, shared by the threads of the run */
	int index;      /* of this thread: 0 ... threads - 1 */
	int threads;    /* that call `run` */
	uint64_t total; /* operations that all threads do together; a multiple of `threads` */
	uint64_t done;  /* where threads take as many as they get: `run` sets how many this one got; else 0 */
	int64_t took;   /* where one thread runs, and measures by itself: `run` sets the ns of all operations; else 0 */
	int64_t p99;    /* where single operations count: `run` sets the 99th percentile of their ns; else 0 */
	int64_t p50;    /* the median; set behind `run`, from its laps */
	bench_laps *laps; /* of the thread with index 0, where single operations are to be told; else NULL */
	int64_t until;    /* in a case with a span: when `run` is to end; it sets `done` */
	int64_t longest;  /* where waits count: `run` sets the ns of this thread's longest; else 0 */
} bench_thread;

/*
 * By `run`, where an operation is one round trip: one has ended. The first one begins with the run.
 */
static inline void bench_lap(bench_thread *t)
{
	if (__builtin_expect(t->laps != NULL, 0))
		bench_lap_end(t->laps);
}

/* A loop over the operations of a run: i = 0 ... total - 1. */
#define BENCH_EACH(i, t) for (uint64_t i = 0; i < (t)->total; i++)

/* What setup is given. */
typedef struct bench_setting {
	int threads; /* of the case */
	uint64_t total;
	const void *arg; /* of the row */
} bench_setting;

typedef enum bench_role {
	BENCH_PEER,     /* a peer with equal guarantees, or Fairlead's own row */
	BENCH_WEAKER,   /* promises less */
	BENCH_SPINNING, /* weaker too; never sleeps, so it runs only with threads <= CPUs */
	BENCH_FLOOR,    /* what the hardware asks for */
} bench_role;

typedef struct bench_row {
	const char *name;           /* "family/case" */
	const char *implementation; /* "fairlead", "pthread", ... */
	void *(*setup)(const bench_setting *with);
	void (*run)(bench_thread *t);
	void (*teardown)(void *state, uint64_t total);
	uint64_t fixed; /* operations a thread in each run, a fifth with --quick; 0: as many as the time allows */
	bench_role role;
	const void *arg; /* of setup */
} bench_row;

/* Runs a row on one of its threads: `run`, and the percentiles from its laps. */
void bench_run(const bench_row *row, bench_thread *t);

/* Where the threads of a run may be. */
typedef enum bench_place {
	BENCH_ANYWHERE,
	BENCH_APART,    /* each on a CPU of its own, as far as they go */
	BENCH_TOGETHER, /* all on one CPU */
} bench_place;

typedef struct bench_case {
	const char *name; /* "family/case" */
	const char *unit; /* of the result, less is better: "ns/item" */
	int threads[6];   /* each is a row of the table; ends with 0 */
	int callers;      /* 0: all of them call `run`; else so many, and `threads` are the workers of a pool */
	int span_ms; /* 0: a run is so many operations; else it takes so long, a fifth with --quick, and `total` says nothing */
	int least_ms;      /* that a run takes; 0: 250. A sixth with --quick */
	bench_place place; /* of the threads */
	bool alone; /* each run of a row is in a process of its own (remote.h); `callers` is 1, setup's total is 0 */
} bench_case;

/* All cases, ends with a NULL name: cases.c. */
extern const bench_case bench_cases[];

typedef struct bench_table {
	const bench_row *rows;
	size_t count;
	struct bench_table *next;
} bench_table;

void bench_add(bench_table *table);

/* Registers a static array of rows. Once in a source file. */
#define BENCH_ROWS(array)                                                                                              \
	static bench_table bench_table_ = {(array), sizeof(array) / sizeof(array)[0], NULL};                           \
	__attribute__((constructor)) static void bench_register_(void)                                                 \
	{                                                                                                              \
		bench_add(&bench_table_);                                                                              \
	}

typedef struct bench_options {
	bool quick;      /* short runs */
	bool laps;       /* single operations are told, of the rows that have any */
	int repetitions; /* of each row */
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
 * Measures `count` entries, the repetitions interleaved: a line each on standard output, and Google
 * Benchmark's JSON in the file `out` unless that is NULL. Returns the exit status.
 */
int bench_measure(const bench_entry *entries, size_t count, const bench_options *options, const char *out);

/*
 * A peer that sleeps at once also has a row `..._yield`. In that row a waiting thread first yields
 * the CPU this many times, and looks again after each yield. A program can do so with three lines,
 * and on an idle machine it then waits much less.
 */
enum { BENCH_YIELDS = 200 };

/* Two cache lines: adjacent ones are fetched together. */
#define BENCH_LINE 128
#define BENCH_ALIGNED __attribute__((aligned(BENCH_LINE)))

/* Zeroed memory, aligned to BENCH_LINE, for free(). Never NULL. */
void *bench_alloc(size_t size);

/*
 * A teardown of such memory; a setup that returns the row's `arg`, and a teardown that does
 * nothing.
 */
void bench_free(void *state, uint64_t total);
void *bench_setup_arg(const bench_setting *with);
void bench_no_teardown(void *state, uint64_t total);

/* Says why on standard error and aborts: a wrong result has no speed. */
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
 * Keeps the calling thread on one of the CPUs that it may use. Returns all of them, for
 * sched_setaffinity().
 */
cpu_set_t bench_pin(int index);

/* As many descriptors as the hard limit has. */
void bench_allow_files(void);

/* CLOCK_MONOTONIC in nanoseconds. */
int64_t bench_now(void);

/* Sleeps for so many microseconds, without the slack of 50 us that Linux gives to timers. */
void bench_sleep(unsigned us);

/* Resident bytes of a process. */
int64_t bench_resident(int pid);

/* How many rounds of bench_work() take 100 ns; measured once, the same for all. */
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
