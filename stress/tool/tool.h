/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_TOOL_H
#define STRESS_TOOL_H

#include "../engine/lab.h"
#include "../native/native.h"
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

/* The program fairlead-stress: options, modules, one process a test and mode, and what is said of them. */

#define MS INT64_C(1000000)
#define SECOND INT64_C(1000000000)

/* Exit statuses; the largest problem decides: see worse_status(). */
enum { STATUS_OK, STATUS_FAILED, STATUS_USAGE, STATUS_HANG, STATUS_CRASH, STATUS_SKIPPED, STATUS_DIVERGED };

enum mode { MODE_NATIVE, MODE_CHAOS, MODE_MODEL, MODE_CRASH, MODE_LIN, MODES };

enum { LOADS_MAX = 256, SOURCES_MAX = 64 };

struct options {
	enum { DO_RUN, DO_LIST, DO_SELF_TEST, DO_LITMUS, DO_MUTANTS } action;
	bool modes[MODES];
	int64_t time, hang;
	struct lab_config model;
	bool delays;     /* of chaos */
	unsigned jobs;   /* processes at once */
	unsigned copies; /* --oversubscribe */
	int kills;       /* of crash mode */
	unsigned n_loads, n_patterns;
	const char *loads[LOADS_MAX];
	char **patterns;
	unsigned n_sources, n_arguments; /* of a program: what it is made of, and what main() is given */
	char *sources[SOURCES_MAX], **arguments;
	bool planted, fail_fast, verbose, json_only;
	bool pick_modes; /* --mode was given */
	const char *json, *junit, *html, *litmus, *sites, *explained, *file;
	const char *program; /* as it was called, for reproducers */
};

/* -1: go on; else the exit status. */
int options_read(struct options *o, int argc, char **argv);
extern const char options_help[];

/* One line on standard error. */
__attribute__((format(printf, 1, 2))) void complain(const char *format, ...);
/* "10s", "1.5m", "200ms", "5" (seconds); false: neither. */
bool parse_time(const char *text, int64_t *ns);
bool parse_number(const char *text, uint64_t least, uint64_t most, uint64_t *n);
/* n zeroed elements and one more; ends the program when there is no memory. */
void *zeroed(size_t n, size_t size) __attribute__((malloc, returns_nonnull));
/* The next word of a list with commas, ended by NUL in place; NULL at its end. */
char *next_word(char **list);
/* Whether any of the patterns, a part or a glob, fits; true when there is none. */
bool fits(const struct options *o, const char *name);

/* --- modules.c, compile.c --- */

/* Loads what the options ask for; false when something did not work, and it has been said. */
bool modules_load(const struct options *o);
/* The first of the data folders that has `name`, to be freed; NULL. */
char *data_file(const char *name);
/* What the build or the installation says about `key` ("include", "archives"), a list with colons, to be freed. */
char *place_of(const char *key);
/* Compiles a scenario twice, instrumented and plain, and loads both. */
bool compile_and_load(const char *path);
/* Compiles the sources of a program, and loads it. */
bool compile_program(const struct options *o);
bool is_source(const char *name); /* by its ending */
void compile_clean(void);         /* removes what it left */

/* --- job.c: a process of its own for one test in one mode --- */

enum { OUTPUT_KEPT = 4096, PACKED_MAX = 32 << 20 };

struct shared {
	struct native_live live;
	_Atomic uint32_t packed; /* bytes of the packed result, last; 0: none yet */
	char bytes[PACKED_MAX];
};

struct site {
	uintptr_t pc;
	char *operation, *order;
	unsigned weaker;
	uint64_t hits;
};

/* A result from another process, with all that it points to. */
struct report {
	struct lab_result result;
	struct site *sites;
	size_t n_sites;
	void *memory;
};

struct job {
	const struct lab_test *test;
	enum mode mode;
	unsigned weight;     /* how many of the --jobs it takes */
	const char *skipped; /* why it does not run at all; NULL */
	struct lab_config model;
	struct native_config native;
	bool want_sites;
	bool model_only;    /* of mode lin: not on real threads */
	int64_t share;      /* its time, ns */
	int64_t real_share; /* of mode lin: what of it real threads may take */
	int64_t hang;       /* no progress for so long is a hang */

	bool started, done;
	pid_t pid;
	struct shared *shared;
	int output; /* what it prints */
	char printed[OUTPUT_KEPT + 1];
	size_t n_printed;
	int64_t began, looked, idle; /* when it was looked at, and for how long without progress */
	uint64_t progress;
	struct report report;
	double seconds;
	void *user; /* of whoever made the job */
	const struct job
	    *first;   /* the failed job of the same test of which this one seeks further failures; NULL: none */
	int64_t most; /* of its share; 0: no limit */
};

const char *mode_name(enum mode mode);
bool in_model(enum mode mode); /* on model threads; of mode lin the first half */
/* Whether its result is one of real threads. */
bool is_real(const struct job *job);
/* Whether the test is one for the mode: crash mode is for processes, lin for FL_LIN, which is for no other. */
bool mode_suits(enum mode mode, const struct lab_test *test);
unsigned actors_of(const struct lab_test *test);
/* A job of `test` with the options' settings; what cannot run is marked as skipped. */
struct job job_make(const struct options *o, const struct lab_test *test, enum mode mode);
/* The same for a mode of the model; of mode lin that half alone. */
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
/* Bytes used, or 0 when there is no room. */
size_t pack(char *to, size_t size, const struct lab_result *result, const struct lab_site *sites, size_t n_sites);
bool unpack(const char *from, size_t size, struct report *report);

/* What the threads of the process are doing, and what it says itself of its waiters; to be freed. */
char *stuck_report(const struct job *job);

/* --- plan.c: the normal run --- */

struct totals {
	unsigned passed, failed, skipped;
	int status;
};

struct run {
	const struct options *options;
	struct job *jobs;
	size_t n_jobs;
	struct totals totals;
	double seconds;
};

int run_tests(const struct options *o);
bool job_failed(const struct job *job);
const char *job_verdict(const struct job *job);
/* As JSON and names have it: "lost_wakeup". Valid until the next call. */
const char *verdict_key(enum lab_verdict verdict);
const char *job_verdict_key(const struct job *job);
int verdict_status(enum lab_verdict verdict);
int worse_status(int a, int b);

/* The line that is overwritten, on a terminal; else a line now and then. */
struct status {
	bool terminal, shown;
	int64_t next;
};
void status_init(struct status *status);
bool status_due(struct status *status);
__attribute__((format(printf, 2, 3))) void status_show(struct status *status, const char *format, ...);
void status_clear(struct status *status);

/* --- what is printed --- */

void text_job(FILE *to, const struct options *o, const struct job *job);
void text_outcomes(FILE *to, const struct lab_result *result);
void text_trace(FILE *to, const struct lab_result *result, bool all);
void text_list(const struct options *o);
/* The last two parts of a path: they say enough. */
const char *short_path(const char *path);
/* "12,345,678"; in one of a few buffers that take turns. */
const char *grouped(uint64_t n);
/* The command that repeats a failure; to be freed. */
char *reproducer(const struct options *o, const struct job *job);
/* How sure a pass is; to be freed. */
char *power_of(const struct job *job);
/* Of crash mode, how many steps a process was killed at; NULL: of no use. To be freed. */
char *kills_of(const struct job *job);
const char *expect_name(enum fl_stress_expect expect);

void emit_json_string(FILE *to, const char *text);
void emit_xml(FILE *to, const char *text);
bool write_json(FILE *to, const struct run *run);
/* The files that the options name; false when one could not be written. */
bool write_files(const struct run *run);
void junit_write(FILE *to, const struct run *run);
void html_write(FILE *to, const struct run *run);
void json_job(FILE *to, const struct options *o, const struct run *run, const struct job *job);

/* --- the other actions; exit statuses --- */

int run_self_test(const struct options *o);
int run_litmus(const struct options *o);
int run_mutants(const struct options *o);

#endif
