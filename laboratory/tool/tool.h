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

/* Exit statuses; the worst problem decides: see worse_status(). */
enum { STATUS_OK, STATUS_FAILED, STATUS_USAGE, STATUS_HANG, STATUS_CRASH, STATUS_SKIPPED, STATUS_DIVERGED };

enum mode { MODE_NATIVE, MODE_CHAOS, MODE_MODEL, MODE_CRASH, MODE_LIN, MODES };

enum { LOADS_MAX = 256 };

/* The files of results that a CI server or a person reads, each of an option of its name. */
enum format { JUNIT, HTML, SARIF, FORMATS };

/* What the words of the command line are; objects and libraries, and their options, are inputs. */
enum kind { FLAGS, INPUTS, SOURCES, PATTERNS, KINDS };
struct words {
	unsigned n;
	char **at;
};

struct options {
	enum { DO_RUN, DO_LIST, DO_SELF_TEST, DO_LITMUS, DO_MUTANTS, DO_TRAFFIC } action;
	bool modes[MODES];
	int64_t time, hang;
	struct lab_config model;
	bool delays;     /* of chaos */
	unsigned jobs;   /* processes that run at once */
	unsigned copies; /* --oversubscribe */
	int kills;       /* of crash mode */
	unsigned n_loads, n_patterns;
	const char *loads[LOADS_MAX];
	char **patterns;
	struct words words[KINDS];
	const char *first; /* file of a program; NULL: there is no program */
	unsigned n_arguments;
	char **arguments; /* of main() */
	bool planted, fail_fast, verbose, json_only, watch;
	bool pick_modes; /* --mode was given */
	bool picks_std;  /* --std was given */
	const char *json, *results[FORMATS], *litmus, *sites, *explained, *file;
	const char *program; /* as it was called, for the command of a replay */
};

/* -1: continue; else the exit status. */
int options_read(struct options *o, int argc, char **argv);
extern const char options_help[];

/* Prints one line on standard error. Returns false, for a caller that returns false after it. */
__attribute__((format(printf, 1, 2))) bool complain(const char *format, ...);
/* "10s", "1.5m", "200ms", "5" (seconds); false: none of these. */
bool parse_time(const char *text, int64_t *ns);
/* Whether the word fits the glob, which may have @(one|other). */
bool matches(const char *word, const char *glob);
bool parse_number(const char *text, uint64_t least, uint64_t most, uint64_t *n);
/* n zeroed elements and one more; ends the program when out of memory. */
void *zeroed(size_t n, size_t size) __attribute__((malloc, returns_nonnull));
/* The next word of a list with commas, which a NUL ends in place; NULL at its end. */
char *next_word(char **list);
/* Whether any of the patterns (a part of the name, or a glob) fits; true without patterns. */
bool fits(const struct options *o, const char *name);

/* --- modules.c, compile.c --- */

/* Loads the modules that the options name; false after a message if that failed. */
bool modules_load(const struct options *o);
/* Loads one; the message says `name`. */
bool load_module(const char *path, const char *name);
/* The first data folder that has `name`, for the caller to free; NULL: none. */
char *data_file(const char *name);
/*
 * The value of `key` ("include", "archives") in the build or the installation, a list with colons,
 * for the caller to free.
 */
char *place_of(const char *key);
/* Compiles a scenario, instrumented and plain, and loads both. */
bool compile_and_load(const struct options *o, const char *path);
/* Compiles the sources of a program, links it, and loads it. */
bool compile_program(const struct options *o);
extern bool compile_left_unseen; /* code that is not seen; each place was named */
/* Names each symbol that the module lacks; false: none. */
bool name_undefined(const char *path);
void compile_clean(void); /* removes the temporary files */

/* --- job.c: a process for one test in one mode --- */

enum { OUTPUT_KEPT = 4096, PACKED_MAX = 32 << 20 };

struct shared {
	struct native_live live;
	_Atomic uint32_t packed; /* bytes of the packed result, stored last; 0: none yet */
	char bytes[PACKED_MAX];
};

/* A result from another process, with all its memory. */
struct report {
	struct lab_result result;
	struct lab_site *sites;
	size_t n_sites;
	void *memory;
};

struct job {
	const struct lab_test *test;
	enum mode mode;
	unsigned weight;     /* the number of the --jobs that it takes */
	const char *skipped; /* the reason why it does not run; NULL */
	struct lab_config model;
	struct native_config native;
	bool want_sites;
	bool model_only;    /* of mode lin: not on real threads */
	int64_t share;      /* its time, ns */
	int64_t real_share; /* of mode lin: the part of it for real threads */
	int64_t hang;       /* a hang is so long without progress */

	bool started, done;
	pid_t pid;
	struct shared *shared;
	int output; /* of the test */
	char printed[OUTPUT_KEPT + 1];
	size_t n_printed;
	int64_t began, looked, idle; /* when it was checked, and for how long it made no progress */
	int64_t cpu;                 /* CPU time of its process at that check */
	uint64_t progress;
	struct report report;
	double seconds;
	void *user; /* of the function that made the job */
	/* The failed job of the same test, if this one searches further failures; NULL. */
	const struct job *first;
	int64_t most; /* of its share; 0: no limit */
};

const char *mode_name(enum mode mode);
bool in_model(enum mode mode); /* on model threads; for mode lin the first half */
/* Whether its result is one of real threads. */
bool is_real(const struct job *job);
/*
 * Whether the mode applies to the test: crash mode to processes, lin to FL_LIN, which no other mode
 * runs.
 */
bool mode_suits(enum mode mode, const struct lab_test *test);
unsigned actors_of(const struct lab_test *test);
/*
 * A job of `test` with the options' settings, marked as skipped if it cannot run, in a mode of the
 * model; for mode lin only that half.
 */
struct job job_make_model(const struct options *o, const struct lab_test *test, enum mode mode);
void job_free(struct job *job);

enum { PROGRAM_STEPS = 20000 }; /* --steps of a program, by default */

struct pool {
	unsigned slots, used;
	size_t n_running;
	struct job *running[256];
};

void pool_init(struct pool *pool, unsigned slots);
bool pool_has_room(const struct pool *pool, const struct job *job);
void pool_start(struct pool *pool, struct job *job);
/* A job that has ended, with its report; NULL after 200 ms or on an interrupt. */
struct job *pool_wait(struct pool *pool);
void pool_kill(struct pool *pool);
extern volatile sig_atomic_t interrupted;

/* In the child. */
_Noreturn void child_run(struct job *job);
/* Returns the bytes used, or 0 when there is no space. */
size_t pack(char *to, size_t size, const struct lab_result *result, const struct lab_site *sites, size_t n_sites);
bool unpack(const char *from, size_t size, struct report *report);

/*
 * What the threads of the process are doing, and what the process says of its waits; for the caller
 * to free.
 */
char *stuck_report(const struct job *job);

/* --- plan.c: the normal run --- */

struct totals {
	unsigned passed, failed, skipped;
	unsigned modelled, proved; /* of mode model */
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
bool job_failed(const struct job *job);
const char *job_verdict(const struct job *job);
/* The name for JSON: "lost_wakeup". Valid until the next call. */
const char *verdict_key(enum lab_verdict verdict);
const char *job_verdict_key(const struct job *job);
int verdict_status(enum lab_verdict verdict);
int worse_status(int a, int b);

/* The progress line on a terminal; else a line now and then. */
struct status {
	bool terminal, shown;
	int64_t next;
};
void status_init(struct status *status);
bool status_due(struct status *status);
__attribute__((format(printf, 2, 3))) void status_show(struct status *status, const char *format, ...);
void status_clear(struct status *status);

/* --- output --- */

void text_job(FILE *to, const struct options *o, const struct job *job);
void text_trace(FILE *to, const struct lab_result *result, bool all);
void text_list(const struct options *o);
/* The last two parts of a path. */
const char *short_path(const char *path);
/* "12,345,678"; in one of a few static buffers, used in turn. */
const char *grouped(uint64_t n);
/* The command that repeats a failure; for the caller to free. */
char *reproducer(const struct options *o, const struct job *job);
/* What a pass means; for the caller to free. */
char *power_of(const struct job *job);
const char *expect_name(enum fl_stress_expect expect);

void emit_json_string(FILE *to, const char *text);
/* A member of an object behind another one. */
void emit_json_member(FILE *to, const char *key, const char *text);
void emit_xml(FILE *to, const char *text);
/* Writes the results of an action; of a normal run for these four. */
typedef void results_writer(FILE *to, const void *results);
results_writer json_results, junit_results, html_results, sarif_results;
extern const char *const format_names[FORMATS];
/* To the file and to standard output, as --json asks; false after a message if that failed. */
bool write_json(const struct options *o, results_writer *write, const void *results);
/* The same for each file that the options name. */
bool write_results(const struct run *run);
void json_job(FILE *to, const struct options *o, const struct run *run, const struct job *job);

/* --- the other actions; exit statuses --- */

int run_self_test(const struct options *o);
int run_litmus(const struct options *o);
int run_mutants(const struct options *o);
int run_traffic(const struct options *o);

#endif
