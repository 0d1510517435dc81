/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_LAB_H
#define STRESS_LAB_H

#include <fairlead/stress.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Each index of an array. */
#define LAB_EACH(i, array) for (size_t i = 0; i < sizeof(array) / sizeof((array)[0]); i++)

/* Returns the memory; where there is none, the process ends. */
static inline void *lab_needed(void *memory)
{
	if (!memory)
		abort();
	return memory;
}

/*
 * The engine's interface for the tool: lists tests, and runs one of them in the model.
 * laboratory/native has native and chaos runs. The headers of the C library here are those that nearly
 * all files of the three need.
 */

/*
 * A test of one module (the tool itself, or a loaded shared object). The tool and native runs use
 * the plain one.
 */
struct lab_test {
	const struct fl_stress_test *test;
	void (*setup)(void *state); /* NULL: none */
	const struct lab_module *module;
	int (*main)(int argc, char **argv, char **environment); /* of a program; NULL: a scenario */
	struct lab_test *next;
};

/*
 * All registered tests, by name, then plain before instrumented. Of two with one name and kind the
 * first counts.
 */
const struct lab_test *lab_tests(void);
#define LAB_EACH_TEST(t) for (const struct lab_test *t = lab_tests(); t; t = t->next)
const struct lab_test *lab_test_find(const char *name, bool instrumented);

/*
 * Loads a shared object with constructors that register tests; lab_tests() then has them. Returns
 * NULL, or the reason of the failure (the caller's to free).
 */
char *lab_load(const char *path);
extern void (*lab_at_refusal)(void); /* called before the process ends because of a constructor */

int64_t lab_clock_ns(void);             /* the real clock */
uint64_t lab_splitmix(uint64_t *state); /* the next number of the generator splitmix64 */

enum lab_verdict {
	LAB_PASSED,
	LAB_FORBIDDEN,      /* a forbidden or unlisted outcome */
	LAB_CHECK,          /* FL_STRESS_CHECK, assert() */
	LAB_PANIC,          /* the library's */
	LAB_RACE,           /* data race */
	LAB_USE_AFTER_FREE, /* also: outside any block, freed twice */
	LAB_LEAK,
	LAB_DEADLOCK,
	LAB_LOST_WAKEUP, /* all sleep, and the word of one of them has changed since */
	LAB_LIVELOCK,
	LAB_STEP_LIMIT, /* an execution of more than max_steps steps */
	LAB_CRASH,      /* SIGSEGV and its kin */
	LAB_HANG,       /* no step for too long: an unseen blocking call */
	LAB_UNMODELLED, /* a call that the model cannot decide */
	LAB_NONDETERMINISM,
	LAB_MISUSE,           /* of a lock or another object, of a thread, of a key */
	LAB_EXIT_STATUS,      /* a program's, other than 0 */
	LAB_NOT_LINEARIZABLE, /* no order explains the results */
	LAB_DIVERGED          /* a replay left its schedule */
};

const char *lab_verdict_name(enum lab_verdict verdict);

/*
 * Where the search cut behaviours off. A search that has ended without any of these has seen every
 * execution of the model. Each is recorded by lab_met() where it is met.
 */
enum lab_limit {
	/* Bounds of the search: */
	LAB_MET_PREEMPTIONS,
	LAB_MET_STALE,
	LAB_MET_FAULTS,
	LAB_MET_KILLS,
	/* Limits of the model: */
	LAB_MET_HISTORY,    /* a store that could have been read is no longer kept */
	LAB_MET_PATIENCE,   /* an old value that could have been read once more */
	LAB_MET_ORDER,      /* modifications, or SC operations, may have another order */
	LAB_MET_WIDE,       /* an old value of more than eight bytes */
	LAB_MET_SIZES,      /* accesses of two sizes to one place */
	LAB_MET_UNSEEN,     /* a write of an atomic object by code without instrumentation */
	LAB_MET_SPIN,       /* turns of a spin that no other thread interrupted */
	LAB_MET_FAIRNESS,   /* a thread that waited too long ran */
	LAB_MET_STEPS,      /* a longer execution */
	LAB_MET_CHOICES,    /* alternatives of one choice beyond the 255th */
	LAB_MET_RECORDS,    /* an access with which a later one could have raced was forgotten */
	LAB_MET_MEMBARRIER, /* another order of the fences of one membarrier() */
	LAB_MET_NO_FAULT,   /* a fault of a kind that the user has switched off */
	LAB_MET_DESCRIPTOR, /* a change of a descriptor, or of events, before or after a call looks at it */
	LAB_MET_FILES,      /* two threads use a file, in any order */
	LAB_MET_RETIRED,    /* a use of memory that was retired, without a hazard pointer */
	LAB_MET_LAST,       /* another thread could have ended last, and run atexit()'s functions */
	LAB_MET_INPUT,      /* other times, processors, random numbers */
	LAB_MET_ASSEMBLY,   /* what assembly does, and objects that were compiled without instrumentation */
	LAB_MET_NO_END,     /* each execution stopped at a false assumption */
	LAB_LIMITS
};
enum { LAB_BOUNDS = (1 << LAB_MET_HISTORY) - 1 };

/* "a thread could have been preempted more often" */
const char *lab_limit_text(enum lab_limit limit);

enum lab_strategy { LAB_AUTO, LAB_DFS, LAB_RANDOM, LAB_PCT, LAB_REPLAY, LAB_GRAPH, LAB_GUIDE };

enum { LAB_UNBOUNDED = -1 };

/* Which faults the search may inject. */
enum {
	LAB_FAULT_SPURIOUS = 1,
	LAB_FAULT_EINTR = 2,
	LAB_FAULT_EAGAIN = 4,
	LAB_FAULT_TIMEOUT = 8,
	LAB_FAULT_WEAK = 16,
	LAB_FAULT_PARTIAL = 32
};

/* Distinguishes a failure from other failures of its test. */
struct lab_failure {
	enum lab_verdict verdict;
	uintptr_t signature; /* of the code */
	uintptr_t address;   /* of the raced memory, or of all locks of a cycle; 0: none */
};

/* An all-zero config is not usable: begin with LAB_CONFIG_DEFAULT. */
struct lab_config {
	enum lab_strategy strategy;
	int preemptions;     /* of DFS: the most of an execution; LAB_UNBOUNDED: sleep sets */
	int stale;           /* of DFS: the most loads of older values; LAB_UNBOUNDED */
	int faults;          /* the most that are injected in an execution */
	int kills;           /* processes killed in an execution, at most; 0: not crash mode */
	unsigned fault_mask; /* LAB_FAULT_... */
	unsigned depth;      /* of PCT */
	uint64_t seed;
	uint64_t max_executions; /* 0: no limit */
	unsigned jobs;           /* processes that search at once, at most; 0: one */
	int64_t time;            /* ns; 0: no limit */
	uint32_t max_steps;      /* of one execution */
	const char *replay;      /* of LAB_REPLAY: the string of a report */
	bool keep_failing;       /* goes on after a failure and counts outcomes: for litmus tests */
	bool no_shrink;
	bool shallow; /* of LAB_AUTO: the bounds do not become wider */
	/* Sites (return addresses) with an order that is one step weaker. */
	const uintptr_t *mutants;
	size_t n_mutants;
	const struct lab_failure *known; /* known failures: the search goes on after them */
	size_t n_known;
	bool no_leaks; /* leaks are no failures */
	bool unseen;   /* the module has assembly, or an object without instrumentation */
	/* C++20: a store of the thread of a release store does not continue its release sequence. */
	bool rmw_sequences;
	bool traffic;  /* one execution, whose traffic is counted (traffic.c) */
	unsigned argc; /* of a program */
	char *const *argv;
	unsigned mutant_step;
};

#define LAB_CONFIG_DEFAULT                                                                                             \
	((struct lab_config){.strategy = LAB_AUTO,                                                                     \
	                     .preemptions = 2,                                                                         \
	                     .stale = 2,                                                                               \
	                     .faults = 1,                                                                              \
	                     .fault_mask = LAB_FAULT_SPURIOUS | LAB_FAULT_EINTR | LAB_FAULT_TIMEOUT | LAB_FAULT_WEAK | \
	                                   LAB_FAULT_PARTIAL,                                                          \
	                     .depth = 3,                                                                               \
	                     .seed = 1,                                                                                \
	                     .max_steps = 5000})

enum { LAB_OUTCOMES = 64 };

struct lab_outcome {
	const char *label;
	enum fl_stress_expect expect;
	uint64_t count;
};

/* One step of the minimal failing execution. Texts belong to the result. */
/* The relation of an earlier step of another thread to this step. */
enum lab_edge {
	LAB_NO_EDGE,
	LAB_READS_FROM, /* the step stored the value that this step returned */
	/*
	 * The step happens before this one: a release that was acquired, a wake, a start, a join.
	 */
	LAB_SYNCHRONIZES,
	LAB_WAITS_FOR /* the step acquired what this step waits for, and has not released it */
};

struct lab_step {
	unsigned thread;      /* index in lab_result.threads */
	const char *what;     /* "load acquire s->flag", "futex wait", "plain write", "start" */
	const char *value;    /* "-> 1", "= 0 (stale: newest is 1)"; may be "" */
	const char *file;     /* may be NULL */
	const char *function; /* may be NULL */
	int line;
	const char *source; /* the text of the line, if the file can be read; may be NULL */
	bool preempted;     /* another thread could have continued, and this one ran instead */
	bool stale;
	bool fault;
	bool killed;        /* its process was killed in place of this step */
	bool failing;       /* one of the steps of the failure */
	enum lab_edge edge; /* to the step `from` */
	unsigned from;
};

struct lab_result {
	enum lab_verdict verdict;
	const char *skipped; /* why this search cannot run this test; NULL */
	const char *message; /* one line: the failure, its threads, its place */
	const char *details; /* further lines: the waits of other threads; may be "" */
	const char *replay;  /* the string that repeats the failure; "" for a pass */
	struct lab_failure failure;
	uint64_t executions; /* complete ones, random ones too */
	uint64_t samples;    /* of mode lin: states on real threads */
	unsigned programs;   /* of mode lin */
	unsigned programs_exhausted;
	uint64_t pruned; /* cut short as repetitions of others */
	uint64_t steps;  /* of all executions */
	/* DFS has seen all executions within its bounds: so many complete and pruned ones. */
	bool exhausted;
	uint64_t complete, blocked;
	unsigned limits; /* that these executions met: bits of enum lab_limit */
	bool proved;     /* exhausted, and no limit was met: every execution of the model */
	/* In words, with its bounds: "dfs with at most 2 preemptions, 2 stale reads, 1 fault". */
	const char *strategy;
	unsigned n_outcomes;
	const struct lab_outcome *outcomes;
	unsigned n_threads;
	const char *const *threads; /* names: "main", then the actors, then threads they started */
	unsigned n_steps;
	const struct lab_step *trace; /* of a failure: its minimal form, without the setup */
	/* Further steps behind those: the wait of each thread at the end of a deadlock. */
	unsigned n_waiting;
	int64_t found_ns;     /* time until the failure was first seen */
	int64_t shrunk_ns;    /* time of the minimiser */
	uint64_t hash;        /* of the steps and values of a failure: equal when replayed */
	uint64_t kills;       /* of processes, in all executions */
	unsigned kill_steps;  /* distinct steps (site and kind) with a kill */
	unsigned kill_missed; /* distinct steps without a kill, where a kill was possible */
	uint64_t kill_least;  /* kills at the step with the fewest kills */
};

/* Called now and then with the result so far; returns false to stop. */
typedef bool lab_progress(const struct lab_result *so_far, void *arg);

/*
 * Runs `test` in the model. The process should run only this test, since a test may leave anything
 * behind.
 */
const struct lab_result *lab_model_run(const struct lab_test *test, const struct lab_config *config,
                                       lab_progress *progress, void *arg);

/*
 * After an execution with lab_config.traffic: prints a line of the time, the locked instructions,
 * the misses and the system calls of an operation, and the lines with the most misses. `threads`:
 * also the counts of each thread.
 */
void lab_traffic_print(FILE *to, bool threads);

/*
 * The sites (return addresses of atomic calls) that the executions have reached. For mutants and
 * coverage.
 */
struct lab_site {
	uintptr_t pc;
	/* "load", "store", "exchange", "fetch_add", "compare_exchange", "fence". */
	const char *operation;
	const char *order; /* the order in the code: "acquire" */
	unsigned weaker;   /* number of orders that are one step weaker (acq_rel: 2) */
	uint64_t hits;
};
size_t lab_sites(const struct lab_site **sites);

/*
 * Finds the source of `pc`, a return address; false: no debugging information. The texts are never
 * freed.
 */
bool lab_where(uintptr_t pc, const char **file, int *line, const char **function);

/* The innermost function at `pc`, inline or not; NULL: unknown. */
const char *lab_inlined(uintptr_t pc);

/* The module of `pc`, and its offset there; NULL: none. Names sites across processes. */
const char *lab_module_of(uintptr_t pc, uintptr_t *offset);

/*
 * Reads litmus programs and prints what LAB_GRAPH or LAB_DFS finds; laboratory/litmus/README.md has the
 * format. Returns the exit status.
 */
int lab_litmus(FILE *in, FILE *out, enum lab_strategy strategy);

#endif
