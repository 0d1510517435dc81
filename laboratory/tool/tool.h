/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_TOOL_H
#define STRESS_TOOL_H

#include "../native/native.h"
#include <signal.h>
#include <sys/types.h>

/*
 * The program fairlead-stress: options, modules, one process for each test and mode, and their
 * reports.
 */

#define MS INT64_C(1000000)
#define SECOND INT64_C(1000000000)

/* The exit statuses. The worst problem decides: worse_status(). */
enum { STATUS_OK, STATUS_FAILED, STATUS_USAGE, STATUS_HANG, STATUS_CRASH, STATUS_SKIPPED, STATUS_DIVERGED };

enum mode { MODE_NATIVE, MODE_CHAOS, MODE_MODEL, MODE_CRASH, MODE_LIN, MODES };

/*
 * The files of results that a CI server or a person reads. Each belongs to an option of its name.
 */
enum format { JUNIT, HTML, SARIF, FORMATS };

struct options {
	enum { DO_RUN, DO_LIST, DO_SELF_TEST, DO_LITMUS, DO_MUTANTS, DO_TRAFFIC } action;
	bool modes[MODES];
	int64_t time, hang;
	struct lab_config model;
	bool delays;     /* for chaos */
	unsigned jobs;   /* how many processes run at the same time */
	unsigned copies; /* --oversubscribe */
	int kills;       /* for mode crash */
	unsigned argc;   /* no list of words has more */
	/* Lists of words, each with a NULL at its end. Objects, libraries and their options are inputs. */
	char **flags, **inputs, **sources, **loads, **patterns;
	char **arguments;  /* those of main() */
	const char *first; /* the first file of a program; NULL: there is no program */
	bool planted, fail_fast, verbose, json_only, watch;
	bool pick_modes; /* --mode was given */
	bool picks_std;  /* --std was given */
	const char *json, *results[FORMATS], *litmus, *sites, *explained, *file;
	const char *program; /* how fairlead-stress was called, for the command of a replay */
};

/* Returns -1 if the program goes on, else the exit status. */
int options_read(struct options *o, int argc, char **argv);
extern const char options_help[];

/* Prints one line on standard error. Returns false, for a caller that returns false after it. */
__attribute__((format(printf, 1, 2))) bool complain(const char *format, ...);
/* Reads "10s", "1.5m", "200ms" or "5" (seconds). Returns false for anything else. */
bool parse_time(const char *text, int64_t *ns);
/* Whether the word fits the glob, which may have @(one|other). */
bool matches(const char *word, const char *glob);
bool parse_number(const char *text, uint64_t least, uint64_t most, uint64_t *n);
/* Returns n zeroed elements and one more. Ends the program if there is no memory. */
void *zeroed(size_t n, size_t size) __attribute__((malloc, returns_nonnull));
/*
 * Returns the array of n elements, perhaps at another address, with space for one element more.
 * Ends the program if there is no memory.
 */
void *grown(void *array, size_t n, size_t size) __attribute__((returns_nonnull));
/*
 * Returns whether one of the patterns (a part of the name, or a glob) fits, or there are no
 * patterns.
 */
bool fits(const struct options *o, const char *name);

/* --- modules.c, compile.c --- */

/* Loads the modules that the options name. Returns false, after a message, if that failed. */
bool modules_load(const struct options *o);
/* Loads a module, which the message calls `name`. */
bool load_module(const char *path, const char *name);
/*
 * Returns the path of the file `name` in the first data folder that has it, or NULL if no folder
 * has it. The caller frees the path.
 */
char *data_file(const char *name);
/*
 * Returns the value of `key` ("include", "archives") in the build or the installation: a list with
 * colons, which the caller frees.
 */
char *place_of(const char *key);
/* Compiles a scenario, instrumented and plain, and loads both. */
bool compile_and_load(const struct options *o, const char *path);
/* Compiles the sources of a program, links it, and loads it. */
bool compile_program(const struct options *o);
/* what the model does not see of what was compiled: bits of enum lab_unseen */
extern unsigned compile_left_unseen;
/* Names each symbol that the module lacks. Returns false if there is none. */
bool name_undefined(const char *path);
void compile_clean(void); /* removes the temporary files */

/* --- job.c: a process for one test in one mode --- */

enum { OUTPUT_KEPT = 4096, PACKED_MAX = 32 << 20 };

struct shared {
	struct native_live live;
	/* how many bytes the packed result has, stored last; 0: there is none yet */
	_Atomic uint32_t packed;
	char bytes[PACKED_MAX];
};

/* A result that came from another process, with all its memory. */
struct report {
	struct lab_result result;
	struct lab_site *sites;
	size_t n_sites;
	void *memory;
};

struct job {
	const struct lab_test *test;
	enum mode mode;
	unsigned weight;     /* how many of --jobs it takes */
	const char *skipped; /* the reason why it does not run; NULL: it runs */
	struct lab_config model;
	struct native_config native;
	bool want_sites;
	bool model_only; /* for mode lin: it does not run on real threads */
	int64_t share;   /* its share of the time, in ns */
	int64_t hang;    /* it hangs if it makes no progress for so long */

	bool done;
	pid_t pid;
	struct shared *shared;
	int output; /* the test's output */
	char printed[OUTPUT_KEPT + 1];
	size_t n_printed;
	/* when it began, when it was last checked, and for how long it had then made no progress */
	int64_t began, looked, idle;
	int64_t cpu;   /* the CPU time that its process had used at the last check */
	int64_t spent; /* the time that counts, of which `idle` is the last part: see hangs() */
	uint64_t progress;
	struct report report;
	double seconds;
	void *user; /* for the function that made the job */
	/* The failed job of the same test, if this job searches for further failures; NULL. */
	const struct job *first;
	int64_t most; /* the most of its share; 0: no limit */
};

extern const char *const mode_names[];
bool in_model(enum mode mode); /* on model threads; so is the first half of mode lin */
/* Whether the result of the job is one of real threads. */
bool is_real(const struct job *job);
/*
 * Whether the mode applies to the test. Mode crash is for tests with processes. Mode lin is for
 * FL_LIN, which no other mode runs. A program runs in mode model alone.
 */
bool mode_suits(enum mode mode, const struct lab_test *test);
unsigned actors_of(const struct lab_test *test);
/*
 * Returns a job of `test` in a mode of the model, with the options' settings. The job is marked as
 * skipped if it cannot run. For mode lin, it is only the half in the model.
 */
struct job job_make_model(const struct options *o, const struct lab_test *test, enum mode mode);
void job_free(struct job *job);

enum { PROGRAM_STEPS = 20000 }; /* the default of --steps for a program */

struct pool {
	unsigned slots, used;
	size_t n_running;
	struct job *running[256];
};

void pool_init(struct pool *pool, unsigned slots);
bool pool_has_room(const struct pool *pool, const struct job *job);
void pool_start(struct pool *pool, struct job *job);
/*
 * Returns a job that has ended, with its report. Returns NULL if none has ended: after 200 ms, on
 * an interrupt, or when a process has printed something.
 */
struct job *pool_wait(struct pool *pool);
void pool_kill(struct pool *pool);
extern volatile sig_atomic_t interrupted;

/* called in the child */
_Noreturn void child_run(struct job *job);
/* Packs a result. Returns how many bytes it takes, or 0 if there is no space. */
size_t pack(char *to, size_t size, const struct lab_result *result, const struct lab_site *sites, size_t n_sites);
bool unpack(const char *from, size_t size, struct report *report);

/*
 * Returns what the threads of the process are doing, and what the process says of its waits; the
 * caller frees it.
 */
char *stuck_report(const struct job *job);
/* Returns whether a thread of the job's process runs, or waits for a CPU. */
bool stuck_could_run(const struct job *job);

/* --- plan.c: the normal run --- */

struct totals {
	unsigned passed, failed, skipped;
	unsigned modelled, proved; /* both count tests in mode model */
	int status;
};

struct run {
	const struct options *options;
	struct job *jobs;
	size_t n_jobs;
	struct totals totals;
	double seconds;
};

#define EACH_JOB(j, run) for (const struct job *j = (run)->jobs; j < (run)->jobs + (run)->n_jobs; j++)

int run_tests(const struct options *o);
/*
 * Writes the results that a normal run is asked for: one test, which failed since it was not built.
 */
void report_not_built(const struct options *o);
bool job_failed(const struct job *job);
const char *job_verdict(const struct job *job);
/* Returns the form of a verdict's name for JSON: "lost_wakeup". It is valid until the next call. */
const char *verdict_key(const char *name);
const char *job_verdict_key(const struct job *job);
int verdict_status(enum lab_verdict verdict);
int worse_status(int a, int b);

/* The progress line on a terminal; elsewhere, a line now and then. */
struct status {
	bool terminal, shown;
	int64_t next;
};
void status_init(struct status *status);
/* Shows the line if the one before was shown long enough ago. */
__attribute__((format(printf, 2, 3))) void status_show(struct status *status, const char *format, ...);
void status_clear(struct status *status);

/* --- output --- */

void text_job(FILE *to, const struct options *o, const struct job *job);
void text_trace(FILE *to, const struct lab_result *result, bool all);
void text_list(const struct options *o);
/* Returns the last two parts of a path. */
const char *short_path(const char *path);
/* Returns "12,345,678", in one of a few static buffers that are used in turn. */
const char *grouped(uint64_t n);
/* Returns the command that repeats a failure. It is valid until the next call. */
const char *reproducer(const struct options *o, const struct job *job);
/* Returns the folder of this process, from which the files of that command are named. */
const char *folder(void);
/* Returns what a pass means. It is valid until the next call. */
const char *power_of(const struct job *job);
extern const char *const expect_names[]; /* of enum fl_stress_expect */

/*
 * emit_json() and emit_xml() print as fprintf() does, except that %s writes its text as a JSON
 * string with its quotes, or as text of XML. NULL is an empty text. They know %s, %d, %u, %lu, %zu,
 * %lx, %f and %g.
 */
__attribute__((format(printf, 2, 3))) void emit_json(FILE *to, const char *format, ...);
__attribute__((format(printf, 2, 3))) void emit_xml(FILE *to, const char *format, ...);
/* Writes the results of an action. For a normal run, there are these four writers. */
typedef void results_writer(FILE *to, const void *results);
results_writer json_results, junit_results, html_results, sarif_results;
extern const char *const format_names[FORMATS];
extern const char *const edge_names[]; /* of enum lab_edge, for JSON and HTML */
/*
 * Writes to the file and to standard output, as --json asks. Returns false, after a message, if
 * that failed.
 */
bool write_json(const struct options *o, results_writer *write, const void *results);
/*
 * Writes each file of results that the options name. Returns false, after a message, if that
 * failed.
 */
bool write_results(const struct run *run);
void json_job(FILE *to, const struct options *o, const struct run *run, const struct job *job);

/* --- the other actions, which return exit statuses --- */

int run_self_test(const struct options *o);
int run_litmus(const struct options *o);
int run_mutants(const struct options *o);
int run_traffic(const struct options *o);

#endif
