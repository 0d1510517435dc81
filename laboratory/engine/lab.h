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

/* Runs a loop with each index of an array. */
#define LAB_EACH(i, array) for (size_t i = 0; i < sizeof(array) / sizeof((array)[0]); i++)

/* Returns `memory`. If it is NULL, since there was no memory, the process aborts. */
static inline void *lab_needed(void *memory)
{
	if (!memory)
		abort();
	return memory;
}

/*
 * Returns the array, which has n elements, with room for one more. `*room` is the number of
 * elements for which it has room. The array may move; it may be NULL while `*room` is 0.
 */
static inline void *lab_grown(void *array, size_t n, size_t *room, size_t size)
{
	if (n < *room)
		return array;
	*room = *room ? 2 * *room : 256;
	return lab_needed(realloc(array, *room * size));
}

/*
 * The engine's interface for the tool, which lists tests and runs one of them in the model. Native
 * and chaos runs are in laboratory/native. This header includes those headers of the C library that
 * nearly all files of the three folders need.
 */

/*
 * A test of one module. The module is the tool itself, or a loaded shared object. If a test exists
 * both with and without instrumentation, the model runs the instrumented one, and the tool and
 * native runs use the other.
 */
struct lab_test {
	const struct fl_stress_test *test;
	void (*setup)(void *state); /* NULL if the test has no setup */
	const struct lab_module *module;
	/* The function main() of a program. It is NULL for a scenario. */
	int (*main)(int argc, char **argv, char **environment);
	/* the functions in the program's .fini_array */
	void (*const *destructors)(void);
	size_t n_destructors;
	struct lab_test *next;
};

/*
 * Returns the list of all registered tests, in the order of their names. Of tests with the same
 * name, those without instrumentation come first. If two tests have the same name and kind, only
 * the first one counts.
 */
const struct lab_test *lab_tests(void);
#define LAB_EACH_TEST(t) for (const struct lab_test *t = lab_tests(); t; t = t->next)
const struct lab_test *lab_test_find(const char *name, bool instrumented);

/*
 * Loads a shared object whose constructors register tests. lab_tests() then includes these tests.
 * Returns NULL, or the reason of the failure, which the caller frees.
 */
char *lab_load(const char *path);
/* Called if a constructor starts a thread, before the process ends for that reason. */
extern void (*lab_at_refusal)(void);

int64_t lab_clock_ns(void);             /* the real clock */
uint64_t lab_splitmix(uint64_t *state); /* the next number of the generator splitmix64 */

enum lab_verdict {
	LAB_PASSED,
	LAB_FORBIDDEN,      /* a forbidden or unlisted outcome */
	LAB_CHECK,          /* FL_STRESS_CHECK, assert() */
	LAB_PANIC,          /* a panic of the library */
	LAB_RACE,           /* a data race */
	LAB_USE_AFTER_FREE, /* also an access outside of any block, and a second free */
	LAB_LEAK,
	LAB_DEADLOCK,
	/* All threads sleep, and the word on which one of them sleeps has changed since. */
	LAB_LOST_WAKEUP,
	LAB_LIVELOCK,
	LAB_STEP_LIMIT, /* the execution has more than max_steps steps */
	LAB_CRASH,      /* SIGSEGV and other fatal signals */
	LAB_HANG,       /* no step for too long: the model does not see a blocking call */
	LAB_UNMODELLED, /* a call that the model cannot decide */
	LAB_NONDETERMINISM,
	LAB_MISUSE,           /* wrong use of a lock or another object, of a thread, of a key */
	LAB_EXIT_STATUS,      /* a program has ended with another status than 0 */
	LAB_NOT_LINEARIZABLE, /* no order of the calls explains the results */
	LAB_DIVERGED,         /* a replay left its schedule */
	LAB_NOT_BUILT         /* no execution: the files of the command make no test */
};

const char *lab_verdict_name(enum lab_verdict verdict);

/*
 * The limits that may make a search miss executions. lab_met() records a limit when the search
 * meets it. A search that has ended without meeting any of these limits has seen every execution of
 * the model.
 */
enum lab_limit {
	/* The bounds of the search: */
	LAB_MET_PREEMPTIONS,
	LAB_MET_STALE,
	LAB_MET_FAULTS,
	LAB_MET_KILLS,
	/* The limits of the model: */
	LAB_MET_HISTORY,  /* a store that could have been read is no longer kept */
	LAB_MET_PATIENCE, /* an old value could have been read one more time */
	/* Modifications, or SC operations, may have an order that was not tried. */
	LAB_MET_ORDER,
	LAB_MET_WIDE,       /* an old value of more than eight bytes was not tried */
	LAB_MET_SIZES,      /* accesses of two sizes to one place are stronger here than in C11 */
	LAB_MET_UNSEEN,     /* code without instrumentation wrote an atomic object */
	LAB_MET_SPIN,       /* no other thread could run between some turns of a bounded spin */
	LAB_MET_FAIRNESS,   /* a thread ran because it had waited for too long */
	LAB_MET_STEPS,      /* an execution could have been longer */
	LAB_MET_CHOICES,    /* the alternatives of one choice beyond the 255th were not tried */
	LAB_MET_RECORDS,    /* an access with which a later one could have raced was forgotten */
	LAB_MET_MEMBARRIER, /* the fences of one membarrier() could have come in another order */
	LAB_MET_NO_FAULT,   /* a fault could have happened that the user has switched off */
	/*
	 * A descriptor, or its events, could have changed before a call looked at it instead of
	 * after, or the other way round.
	 */
	LAB_MET_DESCRIPTOR,
	LAB_MET_KERNEL,   /* the kernel could have moved bytes at another time */
	LAB_MET_RETIRED,  /* retired memory could have been used without a hazard pointer */
	LAB_MET_LAST,     /* another thread could have ended last, and run atexit()'s functions */
	LAB_MET_INPUT,    /* a time, a processor or a random number could have been another */
	LAB_MET_ASSEMBLY, /* LAB_UNSEEN_NAMED */
	LAB_MET_LENT,     /* LAB_UNSEEN_LENT, and a thread used the stack of another */
	LAB_MET_CALL,     /* a function of the C library may have touched more than is known */
	LAB_MET_NO_END,   /* each execution stopped at a false assumption */
	LAB_LIMITS
};
enum { LAB_BOUNDS = (1 << LAB_MET_HISTORY) - 1 };

/*
 * Returns the limit in words: "a thread could have been preempted more often". `partial` is the
 * function of LAB_MET_CALL.
 */
const char *lab_limit_text(enum lab_limit limit, const char *partial);

enum lab_unseen {
	/*
	 * There is assembly, an object without instrumentation, or the like. The user was told
	 * about each place.
	 */
	LAB_UNSEEN_NAMED = 1,
	/*
	 * A call statement reads or writes a local variable whose address the function passes to
	 * others.
	 */
	LAB_UNSEEN_LENT = 2,
};

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

/* What distinguishes a failure from other failures of its test. */
struct lab_failure {
	enum lab_verdict verdict;
	uintptr_t signature; /* distinguishes the code that failed from other code */
	uintptr_t address;   /* of the memory of a race, or of all locks of a cycle; 0 if neither */
};

/* An all-zero config is not usable: begin with LAB_CONFIG_DEFAULT. */
struct lab_config {
	enum lab_strategy strategy;
	/*
	 * For DFS, the most preemptions in an execution. LAB_UNBOUNDED means any number, by a
	 * search with source sets and sleep sets.
	 */
	int preemptions;
	/* For DFS, the most loads of older values in an execution, or LAB_UNBOUNDED. */
	int stale;
	int faults; /* the most faults that are injected in an execution */
	/* The most processes that are killed in an execution. In modes other than crash it is 0. */
	int kills;
	unsigned fault_mask; /* LAB_FAULT_... */
	unsigned depth;      /* for PCT */
	uint64_t seed;
	uint64_t max_executions; /* 0 means no limit */
	unsigned jobs;           /* the most processes that search at the same time; 0 means one */
	int64_t time;            /* in nanoseconds; 0 means no limit */
	uint32_t max_steps;      /* the most steps of an execution */
	const char *replay;      /* for LAB_REPLAY: the string of a report */
	bool no_shrink;
	bool shallow; /* whether LAB_AUTO keeps its first bounds */
	/* The sites (return addresses) whose order is one step weaker. */
	const uintptr_t *mutants;
	size_t n_mutants;
	/* Known failures. The search goes on after them. */
	const struct lab_failure *known;
	size_t n_known;
	bool no_leaks;   /* whether a leak is no failure */
	bool sc;         /* whether each atomic access and each fence is as if it were SC */
	bool one_cpu;    /* whether a signal fence is a fence for the other threads, too */
	bool safety;     /* whether threads that wait for ever are no failure */
	unsigned unseen; /* what the engine does not see of the module: bits of enum lab_unseen */
	/*
	 * Whether only read-modify-writes continue the release sequence of a release store, as in
	 * C++20. In C11 later stores of the same thread continue it, too.
	 */
	bool rmw_sequences;
	bool traffic;  /* whether to run one execution only, and to count its traffic (traffic.c) */
	unsigned argc; /* the arguments of a program */
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

/*
 * lab_outcomes() returns the outcomes that tests have stated, and lab_outcome_of() the outcome with
 * that label, which may be new. On real threads, only the thread that checks outcomes makes new
 * ones. A thread that gives up may read them at any time, whatever the checking thread is doing.
 */
const struct lab_outcome *lab_outcomes(unsigned *n);
struct lab_outcome *lab_outcome_of(enum fl_stress_expect expect, const char *label);

/* How a step depends on an earlier step of another thread. */
enum lab_edge {
	LAB_NO_EDGE,
	LAB_READS_FROM, /* the earlier step stored the value that this step returned */
	/*
	 * The earlier step happens before this one: a release that was acquired, a wake, a start, a
	 * join.
	 */
	LAB_SYNCHRONIZES,
	/*
	 * The earlier step acquired what this step waits for, and its thread has not released it.
	 */
	LAB_WAITS_FOR
};

/* A step of the minimal failing execution. Its texts belong to the result. */
struct lab_step {
	unsigned thread;      /* an index in lab_result.threads */
	const char *what;     /* "load acquire s->flag", "futex wait", "plain write", "start" */
	const char *value;    /* "-> 1", "= 0 (stale: newest is 1)"; may be "" */
	const char *file;     /* may be NULL */
	const char *function; /* may be NULL */
	int line;
	const char *source; /* the text of the line; NULL if the file cannot be read */
	bool preempted;     /* another thread could have gone on, and this one ran instead */
	bool stale;
	bool fault;
	bool killed;        /* the process was killed instead of making this step */
	bool failing;       /* the step is a part of the failure */
	enum lab_edge edge; /* how this step depends on the step with the index `from` */
	unsigned from;
};

struct lab_result {
	enum lab_verdict verdict;
	const char *skipped; /* the reason why this search cannot run this test, or NULL */
	const char *message; /* a line with the failure, its threads and its place */
	const char *details; /* further lines, which say what other threads wait for; may be "" */
	const char *replay;  /* the string that repeats the failure; "" for a pass */
	struct lab_failure failure;
	uint64_t executions; /* complete executions, random ones included */
	uint64_t samples;    /* in the mode lin, how many states there were on real threads */
	unsigned programs;   /* in the mode lin, how many programs of operations were run */
	unsigned programs_exhausted;
	uint64_t pruned; /* executions that were cut short, since they would repeat others */
	uint64_t steps;  /* steps of all executions together */
	/* Whether DFS has seen all executions within its bounds, complete ones and pruned ones. */
	bool exhausted;
	/*
	 * How many executions DFS has seen. The blocked and the outdated ones were pruned. An
	 * outdated execution is a run along a graph that was ended at once, because one of its
	 * threads can only wait after it has read an old value.
	 */
	uint64_t complete, blocked, outdated;
	unsigned limits; /* the limits that these executions met: bits of enum lab_limit */
	/* the function of LAB_MET_CALL that was called first */
	const char *partial;
	/*
	 * Whether the search has seen every execution of the model: it is `exhausted`, and no limit
	 * was met.
	 */
	bool proved;
	/*
	 * The search and its bounds in words, such as "dfs with at most 2 preemptions, 2 stale
	 * reads, 1 fault".
	 */
	const char *strategy;
	unsigned n_outcomes;
	const struct lab_outcome *outcomes;
	unsigned n_threads;
	/* The names of the threads: "main", then the actors, then the threads that they started. */
	const char *const *threads;
	unsigned n_steps;
	/* The steps of a failure in its minimal form, without the setup. */
	const struct lab_step *trace;
	/*
	 * How many more steps follow the first `n_steps` in `trace`. They tell what each thread
	 * waits for at the end of a deadlock.
	 */
	unsigned n_waiting;
	int64_t found_ns;    /* the time until the failure was first seen */
	int64_t shrunk_ns;   /* the time that shrinking took */
	uint64_t hash;       /* of the steps and values of a failure; a replay has the same hash */
	uint64_t kills;      /* how many processes were killed, in all executions */
	unsigned kill_steps; /* how many distinct steps (site and kind) had a kill */
	/* How many distinct steps had no kill, although a kill was possible there. */
	unsigned kill_missed;
	uint64_t kill_least; /* the number of kills at the step that was killed least often */
};

/* Called now and then with the result so far. Returns false to stop the run. */
typedef bool lab_progress(const struct lab_result *so_far, void *arg);

/*
 * Runs `test` in the model. A process should run only one test, because a test may leave anything
 * behind.
 */
const struct lab_result *lab_model_run(const struct lab_test *test, const struct lab_config *config,
                                       lab_progress *progress, void *arg);

/*
 * Prints the traffic of the last execution, which must have run with lab_config.traffic. One line
 * has the time, the locked instructions, the misses and the system calls of an operation. The lines
 * of memory with the most misses follow. With `threads` it also prints the counts of each thread.
 */
void lab_traffic_print(FILE *to, bool threads);

/*
 * A site (the return address of an atomic call) that an execution has reached. Mutants and coverage
 * use the sites.
 */
struct lab_site {
	uintptr_t pc;
	/* This is "load", "store", "read-modify-write", "compare-exchange" or "fence". */
	const char *operation;
	const char *order; /* the order in the code, such as "acquire" */
	unsigned weaker;   /* how many orders are one step weaker: 2 for acq_rel */
};
size_t lab_sites(const struct lab_site **sites);

/*
 * Finds the source of `pc`, a return address. Returns false if there is no debugging information.
 * The texts are never freed.
 */
bool lab_where(uintptr_t pc, const char **file, int *line, const char **function);

/* Returns the name of the innermost function at `pc`, inlined or not, or NULL if it is unknown. */
const char *lab_inlined(uintptr_t pc);

/*
 * Returns the name of the module that contains `pc`, and stores the offset of `pc` in the module.
 * Returns NULL if no module contains `pc`. Name and offset together identify a site in any process.
 */
const char *lab_module_of(uintptr_t pc, uintptr_t *offset);

struct lab_litmus {
	char name[128];
	char problem[160]; /* what is wrong; "": the program is as its verdicts say */
	unsigned verdicts, line;
};

/*
 * Reads the next litmus program, and runs it with LAB_GRAPH or LAB_DFS. laboratory/litmus/README.md
 * has the format. If `out` is not NULL, it prints there what it finds. `found` must be all zeroes
 * before the first program. Returns 1, or 0 if there is no further program, or -1 if a line is not
 * understood; `problem` then names the line.
 */
int lab_litmus(struct lab_litmus *found, FILE *in, FILE *out, enum lab_strategy strategy);

#endif
