/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_LAB_H
#define STRESS_LAB_H

#include <fairlead/stress.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/*
 * What the tool asks of the engine: the tests there are, and the run of one of them in the model. Native and chaos runs are
 * stress/native's.
 */

/* A test, from one module (the tool itself, or a shared object that it loaded). The tool and native run the plain one. */
struct lab_test {
	const struct fl_stress_test *test;
	void (*setup)(void *state); /* NULL: none */
	const struct lab_module *module;
	int (*main)(int argc, char **argv, char **environment); /* of a program; NULL: a scenario */
	struct lab_test *next;
};

/* All that have registered so far, by name, then plain before instrumented. Two of one name and kind: the first counts. */
const struct lab_test *lab_tests(void);
const struct lab_test *lab_test_find(const char *name, bool instrumented);

/*
 * Loads a shared object whose constructors register tests; NULL, or why not (the caller's to free). What it registered is
 * in lab_tests() then.
 */
char *lab_load(const char *path);

enum lab_verdict {
	LAB_PASSED,
	LAB_FORBIDDEN,      /* an outcome that is forbidden, or that no macro lists */
	LAB_CHECK,          /* FL_STRESS_CHECK, assert() */
	LAB_PANIC,          /* the library's */
	LAB_RACE,           /* data race */
	LAB_USE_AFTER_FREE, /* also: outside any block, freed twice */
	LAB_LEAK,
	LAB_DEADLOCK,
	LAB_LOST_WAKEUP, /* all sleep, and one of them on a word that has changed since */
	LAB_LIVELOCK,
	LAB_CRASH,      /* SIGSEGV and its kin */
	LAB_HANG,       /* no step for too long: a call that the model does not see */
	LAB_UNMODELLED, /* a call that the model cannot decide */
	LAB_NONDETERMINISM,
	LAB_MISUSE,           /* of a lock or another object, of a thread, of a key */
	LAB_EXIT_STATUS,      /* a program's, other than 0 */
	LAB_NOT_LINEARIZABLE, /* no order explains the results */
	LAB_DIVERGED          /* a replay that went another way */
};

const char *lab_verdict_name(enum lab_verdict verdict);

enum lab_strategy { LAB_AUTO, LAB_DFS, LAB_RANDOM, LAB_PCT, LAB_REPLAY };

enum { LAB_UNBOUNDED = -1 };

/* Which faults the search may inject. */
enum { LAB_FAULT_SPURIOUS = 1, LAB_FAULT_EINTR = 2, LAB_FAULT_EAGAIN = 4, LAB_FAULT_TIMEOUT = 8, LAB_FAULT_WEAK = 16 };

/* What tells a failure from the others of its test. */
struct lab_failure {
	enum lab_verdict verdict;
	uintptr_t signature; /* of the code */
	uintptr_t address;   /* of the raced memory, or of the locks of a cycle together; 0: none */
};

/* All-zero but for `strategy` is not useful: begin with LAB_CONFIG_DEFAULT. */
struct lab_config {
	enum lab_strategy strategy;
	int preemptions;     /* of DFS: at most so many an execution; LAB_UNBOUNDED with sleep sets */
	int stale;           /* of DFS: loads that see an older value, an execution; LAB_UNBOUNDED */
	int faults;          /* injected in one execution */
	int kills;           /* of processes, in one execution; 0: not crash mode */
	unsigned fault_mask; /* LAB_FAULT_... */
	unsigned depth;      /* of PCT */
	uint64_t seed;
	uint64_t max_executions; /* 0: no limit */
	int64_t time;            /* ns; 0: no limit */
	uint32_t max_steps;      /* of one execution: then it is a livelock */
	const char *replay;      /* of LAB_REPLAY: what a report said */
	bool keep_failing;       /* goes on after a failure and counts outcomes: for litmus tests */
	bool no_shrink;
	const uintptr_t *mutants; /* sites (return addresses) whose order is one step weaker */
	size_t n_mutants;
	const struct lab_failure *known; /* failures that are no news: the search goes on after them */
	size_t n_known;
	bool no_leaks; /* memory that is not freed is no failure */
	unsigned argc; /* of a program */
	char *const *argv;
	unsigned mutant_step;
};

#define LAB_CONFIG_DEFAULT                                                                                             \
	((struct lab_config){.strategy = LAB_AUTO,                                                                     \
	                     .preemptions = 2,                                                                         \
	                     .stale = 2,                                                                               \
	                     .faults = 1,                                                                              \
	                     .fault_mask = LAB_FAULT_SPURIOUS | LAB_FAULT_EINTR | LAB_FAULT_TIMEOUT | LAB_FAULT_WEAK,  \
	                     .depth = 3,                                                                               \
	                     .seed = 1,                                                                                \
	                     .max_steps = 5000})

struct lab_outcome {
	const char *label;
	enum fl_stress_expect expect;
	uint64_t count;
};

/* One step of the minimal failing execution. Texts belong to the result. */
/* What the step of another thread, before this step, has to do with it. */
enum lab_edge {
	LAB_NO_EDGE,
	LAB_READS_FROM,   /* returned the value that it stored */
	LAB_SYNCHRONIZES, /* it happens before this step: a release that was acquired, a wake, a start, a join */
	LAB_WAITS_FOR     /* it took what this step waits for, and has not released it */
};

struct lab_step {
	unsigned thread;      /* index in lab_result.threads */
	const char *what;     /* "load acquire s->flag", "futex wait", "plain write", "start" */
	const char *value;    /* "-> 1", "= 0 (stale: newest is 1)"; may be "" */
	const char *file;     /* may be NULL */
	const char *function; /* may be NULL */
	int line;
	const char *source; /* the line's text, where the file can be read; may be NULL */
	bool preempted;     /* another thread could have gone on, and this one was let run */
	bool stale;
	bool fault;
	bool killed;        /* its process was, in place of this step */
	bool failing;       /* one of the steps that are the failure */
	enum lab_edge edge; /* to the step `from` */
	unsigned from;
};

struct lab_result {
	enum lab_verdict verdict;
	const char *message; /* one line: what, who, where */
	const char *details; /* further lines: other threads, who waits on what; may be "" */
	const char *replay;  /* the string that repeats it; "" when passed */
	struct lab_failure failure;
	uint64_t executions; /* complete ones */
	uint64_t samples;    /* of mode lin: states on real threads */
	unsigned programs;   /* of mode lin */
	unsigned programs_exhausted;
	uint64_t pruned;      /* cut short, since they would repeat another */
	uint64_t steps;       /* of all executions */
	bool exhausted;       /* DFS saw all there is, within its bounds */
	bool proved;          /* and wider bounds would show nothing else */
	const char *strategy; /* in words, with its bounds: "dfs, 2 preemptions, 2 stale reads, 1 fault" */
	unsigned n_outcomes;
	const struct lab_outcome *outcomes;
	unsigned n_threads;
	const char *const *threads; /* names: "main", then the actors, then threads they started */
	unsigned n_steps;
	const struct lab_step *trace; /* of a failure: its minimal form, setup left out */
	unsigned n_waiting;   /* further steps, behind those: what each thread waits for at the end of a deadlock */
	int64_t found_ns;     /* until the failure was first seen */
	int64_t shrunk_ns;    /* what the minimiser took */
	uint64_t hash;        /* of a failure's steps and values: equal when replayed */
	uint64_t kills;       /* of processes, in all executions */
	unsigned kill_steps;  /* distinct ones (site and kind) at which one was killed */
	unsigned kill_missed; /* at which one could have been, and none was */
	uint64_t kill_least;  /* kills at the one that had the fewest */
};

/* Called now and then with what there is so far; returns false to stop. */
typedef bool lab_progress(const struct lab_result *so_far, void *arg);

/* Runs `test` in the model. The process should be this test's alone: what it does may leave anything behind. */
const struct lab_result *lab_model_run(const struct lab_test *test, const struct lab_config *config,
                                       lab_progress *progress, void *arg);

/* The sites (return addresses of atomic calls) that the executions so far have reached. For mutants and coverage. */
struct lab_site {
	uintptr_t pc;
	const char *operation; /* "load", "store", "exchange", "fetch_add", "compare_exchange", "fence" */
	const char *order;     /* as the code asks: "acquire" */
	unsigned weaker;       /* how many ways there are to weaken it by one step (acq_rel: 2) */
	uint64_t hits;
};
size_t lab_sites(const struct lab_site **sites);

/* Where `pc`, a return address, is in the source: false when there is no debugging information. Texts live for ever. */
bool lab_where(uintptr_t pc, const char **file, int *line, const char **function);

/* The innermost function there, though it be inline; NULL: unknown. */
const char *lab_inlined(uintptr_t pc);

/* The module that `pc` lies in, and its offset there; NULL when in none. For naming sites across processes. */
const char *lab_module_of(uintptr_t pc, uintptr_t *offset);

/* Reads litmus programs and prints what DFS finds; stress/litmus has the format. Exit status. */
int lab_litmus(FILE *in, FILE *out);

#endif
