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
 * The engine's interface for the tool: it lists tests, and runs one of them in the model.
 * laboratory/native has native and chaos runs. The headers of the C library here are those that
 * nearly all files of the three folders need.
 */

/*
 * A test of one module. The module is the tool itself, or a loaded shared object. The model uses
 * the instrumented test of a name; the tool and native runs use the plain one.
 */
struct lab_test {
	const struct fl_stress_test *test;
	void (*setup)(void *state); /* NULL: the test has no setup */
	const struct lab_module *module;
	/* main() of a program; NULL: a scenario */
	int (*main)(int argc, char **argv, char **environment);
	struct lab_test *next;
};

/*
 * Returns the list of all registered tests, by name; of one name, plain ones come before
 * instrumented ones. Of two with one name and kind, only the first counts.
 */
const struct lab_test *lab_tests(void);
#define LAB_EACH_TEST(t) for (const struct lab_test *t = lab_tests(); t; t = t->next)
const struct lab_test *lab_test_find(const char *name, bool instrumented);

/*
 * Loads a shared object whose constructors register tests. lab_tests() then has them. Returns NULL,
 * or the reason of the failure, which the caller frees.
 */
char *lab_load(const char *path);
/* called before the process ends because a constructor starts a thread */
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
	/* all threads sleep, and the word on which one of them sleeps has changed since */
	LAB_LOST_WAKEUP,
	LAB_LIVELOCK,
	LAB_STEP_LIMIT, /* the execution has more than max_steps steps */
	LAB_CRASH,      /* SIGSEGV and other fatal signals */
	LAB_HANG,       /* no step for too long: a call that blocks, unseen by the model */
	LAB_UNMODELLED, /* a call that the model cannot decide */
	LAB_NONDETERMINISM,
	LAB_MISUSE,           /* wrong use of a lock or another object, of a thread, of a key */
	LAB_EXIT_STATUS,      /* a program has ended with another status than 0 */
	LAB_NOT_LINEARIZABLE, /* no order explains the results */
	LAB_DIVERGED          /* a replay left its schedule */
};

const char *lab_verdict_name(enum lab_verdict verdict);

/*
 * Where the search cut behaviours off. If a search has ended without any of these limits, it has
 * seen every execution of the model. lab_met() records a limit where it is met.
 */
enum lab_limit {
	/* The bounds of the search: */
	LAB_MET_PREEMPTIONS,
	LAB_MET_STALE,
	LAB_MET_FAULTS,
	LAB_MET_KILLS,
	/* The limits of the model: */
	LAB_MET_HISTORY,  /* a store that could have been read is no longer kept */
	LAB_MET_PATIENCE, /* an old value could have been read once more */
	/* modifications, or SC operations, may have an order that was not tried */
	LAB_MET_ORDER,
	LAB_MET_WIDE,       /* an old value of more than eight bytes was not tried */
	LAB_MET_SIZES,      /* accesses of two sizes to one place are stronger here than in C11 */
	LAB_MET_UNSEEN,     /* code without instrumentation wrote an atomic object */
	LAB_MET_SPIN,       /* turns of a spin that no other thread could interrupt */
	LAB_MET_FAIRNESS,   /* a thread ran because it had waited for too long */
	LAB_MET_STEPS,      /* an execution could have been longer */
	LAB_MET_CHOICES,    /* the alternatives of one choice beyond the 255th were not tried */
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

/* Returns the limit in words: "a thread could have been preempted more often". */
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

/* What distinguishes a failure from other failures of its test. */
struct lab_failure {
	enum lab_verdict verdict;
	uintptr_t signature; /* of the code that failed */
	uintptr_t address;   /* of the memory of a race, or of all locks of a cycle; 0: none */
};

/* An all-zero config is not usable: begin with LAB_CONFIG_DEFAULT. */
struct lab_config {
	enum lab_strategy strategy;
	/* for DFS: the most of an execution; LAB_UNBOUNDED: with source sets and sleep sets */
	int preemptions;
	/* for DFS: the most loads of older values of an execution; or LAB_UNBOUNDED */
	int stale;
	int faults; /* the most that are injected in an execution */
	/* the most processes killed in an execution; 0: the mode is not crash */
	int kills;
	unsigned fault_mask; /* LAB_FAULT_... */
	unsigned depth;      /* for PCT */
	uint64_t seed;
	uint64_t max_executions; /* 0: no limit */
	unsigned jobs;           /* the most processes that search at the same time; 0: one */
	int64_t time;            /* ns; 0: no limit */
	uint32_t max_steps;      /* the most steps of an execution */
	const char *replay;      /* for LAB_REPLAY: the string of a report */
	/* the search goes on after a failure, and counts outcomes: for litmus tests */
	bool keep_failing;
	bool no_shrink;
	bool shallow; /* for LAB_AUTO: the bounds do not become wider */
	/* The sites (return addresses) whose order is one step weaker. */
	const uintptr_t *mutants;
	size_t n_mutants;
	/* failures that are known: the search goes on after them */
	const struct lab_failure *known;
	size_t n_known;
	bool no_leaks; /* leaks are no failures */
	/* the module has assembly, or an object that was compiled without instrumentation */
	bool unseen;
	/*
	 * As in C++20: after a release store, only RMWs continue its release sequence. Later stores
	 * of the same thread do not.
	 */
	bool rmw_sequences;
	bool traffic;  /* run one execution, and count its traffic (traffic.c) */
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

/* The relation of an earlier step of another thread to a step. */
enum lab_edge {
	LAB_NO_EDGE,
	LAB_READS_FROM, /* the step stored the value that this step returned */
	/*
	 * The earlier step happens before this one: a release that was acquired, a wake, a start, a
	 * join.
	 */
	LAB_SYNCHRONIZES,
	LAB_WAITS_FOR /* the step acquired what this step waits for, and has not released it */
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
	bool preempted;     /* another thread could have gone on, and this one ran in its place */
	bool stale;
	bool fault;
	bool killed;        /* its process was killed in place of this step */
	bool failing;       /* the step is one of those of the failure */
	enum lab_edge edge; /* to the step `from` */
	unsigned from;
};

struct lab_result {
	enum lab_verdict verdict;
	const char *skipped; /* the reason why this search cannot run this test, or NULL */
	const char *message; /* one line: the failure, its threads, its place */
	const char *details; /* further lines: what other threads wait for; may be "" */
	const char *replay;  /* the string that repeats the failure; "" for a pass */
	struct lab_failure failure;
	uint64_t executions; /* complete executions, random ones included */
	uint64_t samples;    /* for mode lin: how many states there were on real threads */
	unsigned programs;   /* for mode lin: how many programs of operations */
	unsigned programs_exhausted;
	uint64_t pruned; /* executions that were cut short, since they would repeat others */
	uint64_t steps;  /* steps of all executions together */
	/* DFS has seen all executions within its bounds, complete and cut ones. */
	bool exhausted;
	uint64_t complete, blocked;
	unsigned limits; /* the limits that these executions met: bits of enum lab_limit */
	/* exhausted, and no limit was met: the search has seen every execution of the model */
	bool proved;
	/*
	 * The search in words, with its bounds: "dfs with at most 2 preemptions, 2 stale reads, 1
	 * fault".
	 */
	const char *strategy;
	unsigned n_outcomes;
	const struct lab_outcome *outcomes;
	unsigned n_threads;
	/* their names: "main", then the actors, then the threads that they started */
	const char *const *threads;
	unsigned n_steps;
	/* the steps of a failure in its minimal form, without the setup */
	const struct lab_step *trace;
	/*
	 * How many further steps lie behind those: what each thread waits for at the end of a
	 * deadlock.
	 */
	unsigned n_waiting;
	int64_t found_ns;    /* time until the failure was first seen */
	int64_t shrunk_ns;   /* the time that shrinking took */
	uint64_t hash;       /* of the steps and values of a failure; equal when it is replayed */
	uint64_t kills;      /* how many processes were killed, in all executions */
	unsigned kill_steps; /* how many distinct steps (site and kind) had a kill */
	/* how many distinct steps had none, although a kill was possible there */
	unsigned kill_missed;
	uint64_t kill_least; /* how often the step with the fewest kills was killed */
};

/* Called now and then with the result so far. Returns false to stop the run. */
typedef bool lab_progress(const struct lab_result *so_far, void *arg);

/*
 * Runs `test` in the model. A process should run only one test, since a test may leave anything
 * behind.
 */
const struct lab_result *lab_model_run(const struct lab_test *test, const struct lab_config *config,
                                       lab_progress *progress, void *arg);

/*
 * After an execution with lab_config.traffic: prints the time, the locked instructions, the misses
 * and the system calls of an operation in a line, and then the lines of memory with the most
 * misses. With `threads`, it also prints the counts of each thread.
 */
void lab_traffic_print(FILE *to, bool threads);

/*
 * The sites (return addresses of atomic calls) that the executions have reached. Mutants and
 * coverage use them.
 */
struct lab_site {
	uintptr_t pc;
	/* "load", "store", "exchange", "fetch_add", "compare_exchange", "fence". */
	const char *operation;
	const char *order; /* the order in the code: "acquire" */
	unsigned weaker;   /* how many orders are one step weaker (2 for acq_rel) */
	uint64_t hits;
};
size_t lab_sites(const struct lab_site **sites);

/*
 * Finds the source of `pc`, a return address. Returns false if there is no debugging information.
 * The texts are never freed.
 */
bool lab_where(uintptr_t pc, const char **file, int *line, const char **function);

/* Returns the innermost function at `pc`, inlined or not; NULL: unknown. */
const char *lab_inlined(uintptr_t pc);

/*
 * Returns the module of `pc`, and its offset there; NULL: no module has it. This names sites across
 * processes.
 */
const char *lab_module_of(uintptr_t pc, uintptr_t *offset);

/*
 * Reads litmus programs, and prints what LAB_GRAPH or LAB_DFS finds. laboratory/litmus/README.md
 * has the format. Returns the exit status.
 */
int lab_litmus(FILE *in, FILE *out, enum lab_strategy strategy);

#endif
