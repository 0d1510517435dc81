/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DEMO_H
#define DEMO_H

/*
 * Declarations for all parts of the demo. A *job* (primes, album, frames) is run once in each
 * *model* (sequential, threads, processes, async), and gives a *result*, which the reports print. A
 * *story* (mandelbrot, crawler, threads, barber, pipeline, survivors) just runs.
 */
#include <fairlead.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct bytes {
	unsigned char *data;
	size_t size;
};

/* The deliberate fault of the album's server, for one file. */
enum fault { FAULT_NONE, FAULT_FAIL, FAULT_MISSING, FAULT_STALL, FAULT_SHORT, FAULT_WRONG };

/* The stages of the pipeline. */
enum { STAGE_DOWNLOAD, STAGE_DECODE, STAGE_THUMBNAIL, STAGE_WRITE, STAGES };
extern const char *const stage_names[STAGES];

struct options {
	const char *job;  /* NULL means primes and album */
	unsigned workers; /* 0 lets the job choose */
	uint64_t limit;   /* of primes */
	unsigned ranks;   /* of primes in the model `mpi`; 0 means without that model */
	char **urls;      /* album: NULL for the demo's own server */
	size_t url_count;
	const char *output;
	enum fault fault;
	unsigned timeout; /* seconds without data */
	unsigned chairs, customers;
	/* The threads of each stage of the pipeline, and the items of each queue. */
	unsigned pictures, threads[STAGES], capacity;
	unsigned slow; /* the slow stage of the pipeline; STAGES means none */
	/* The pixels of mandelbrot, and the iterations after which a point counts as inside. */
	unsigned width, height, iterations;
	double re, im, zoom;     /* of mandelbrot: the point in the middle, and the scale */
	unsigned pages, backlog; /* of the crawler: pages of the site, and tasks that may wait */
	const char *json, *html; /* the files to write; NULL means none */
	bool json_only;          /* JSON, and nothing else, on standard output */
};

/*
 * Fills in `o`. Returns -1 to go on, else the exit status of the program; messages have been
 * printed.
 */
int options_read(struct options *o, int argc, char **argv);
void options_free(struct options *o);

/* Reads a file of URLs, one a line. Returns false after a message if it fails. */
bool urls_read(const char *path, char ***urls, size_t *count);

/*
 * One way to run tasks, given by the function that creates the executor. If the function is NULL,
 * the tasks run in plain C on the calling thread.
 */
struct model {
	const char *name;
	int (*create)(fl_executor **e, const fl_executor_config *config);
	/* This is an event loop: a waiting task lets others run, and computations take turns. */
	bool one_thread;
	bool over_mpi; /* only for a result with `over_mpi` */
};

/* The model `mpi`. */
int over_mpi_create(fl_executor **e, const fl_executor_config *config);

/*
 * Starts this program again with so many ranks, unless it was. Returns true in rank 0; false after
 * a message.
 */
bool over_mpi_begin(unsigned ranks, int argc, char **argv);

struct run {
	const char *model;
	unsigned workers;
	/* The speedup is over the first run of the same job, which is the sequential one. */
	double seconds, speedup;
	double figure; /* of the job: see struct figure */
	uint64_t answer;
	unsigned long peak_rss_kib;
};

/* A figure that a job measures besides its seconds. */
struct figure {
	const char *title, *key; /* for people; in JSON */
	const char *unit;
	int digits; /* behind the decimal point */
};

#define RUNS_MAX 8
#define THUMBNAILS_MAX 12

struct result {
	const char *job;
	const char *question;
	bool over_mpi;               /* also in the model `mpi` */
	bool digest;                 /* the answer is a digest of 16 hexadecimal digits */
	const struct figure *figure; /* NULL means none */
	struct run runs[RUNS_MAX];
	size_t run_count;
	double ideal_seconds; /* the lower bound for all models; 0 means not measured */
	bool failed;          /* the exit status is 1 */
	char **failures;      /* one line each, as printed on standard error */
	size_t failure_count;
	char **notes; /* further lines for the reports */
	size_t note_count;
	struct bytes thumbnails[THUMBNAILS_MAX]; /* PNG files, for the HTML report */
	size_t thumbnail_count;
};

/* Notes a failure in `model` and prints it on standard error. The job goes on. */
void result_fail(struct result *r, const char *model, const char *format, ...) FL_PRINTF(3, 4);

/* Adds a line for the reports; drops it when out of memory. */
void result_note(struct result *r, const char *format, ...) FL_PRINTF(2, 3);
void result_free(struct result *r);

/*
 * Calls `run_job` once for each model, with `run` for its times and answers, and compares the
 * answers. `run_job` returns 0, or calls result_fail() with the reason why it cannot go on.
 */
typedef int run_in_model(void *job, const struct model *model, struct run *run);
void compare_models(struct result *r, unsigned workers, run_in_model *run_job, void *job);

/* The jobs and the stories. Stories return the exit status. */
void primes(const struct options *o, struct result *r);
void album(const struct options *o, struct result *r);
void frames(const struct options *o, struct result *r);
int mandelbrot(const struct options *o);
int crawler(const struct options *o);
int two_threads(const struct options *o);
int sleeping_barber(const struct options *o);
int survivors(const struct options *o);
int pipeline(const struct options *o);

/* The machine, and the peak memory of this process since the last reset. */
struct machine {
	unsigned cpus;
	char model[128];
	char kernel[128];
	unsigned long memory_kib;
};

void machine_read(struct machine *m);
void peak_rss_reset(void);
unsigned long peak_rss_kib(void);

/* Seconds since the boot, of all CPUs together, and the CPU time of this process. */
struct cpu_times {
	double all, busy, mine; /* `busy` has what the hypervisor took, too */
};

/* Returns false where /proc does not tell. */
bool cpu_times_read(struct cpu_times *t);

/* A progress bar on standard error where that is a terminal; a few plain lines where it is not. */
struct progress {
	char label[64];
	size_t total, done; /* total 0: unknown */
};

void progress_quiet(void); /* shows no bars from now on */
void progress_begin(struct progress *p, size_t total, const char *format, ...) FL_PRINTF(3, 4);
void progress_step(struct progress *p);
void progress_to(struct progress *p, size_t done); /* adds `done` steps, or none */
void progress_line(const char *line);              /* prints the caller's bar; only on a terminal */
void progress_end(void);

/*
 * Waits until the group has ended, and calls show(arg) now and then. Ctrl-C cancels the group, but
 * does not end the wait. Call it from the main thread. Results:
 * - 0
 * - -ECANCELED: Ctrl-C
 * - the error of the group
 * The caller's story has printed a message for each error.
 */
int watch_group(const char *story, fl_group *g, fl_signals *signals, void (*show)(void *arg), void *arg);

/*
 * Flushes standard output, and frees the signals; NULL does nothing more. Takes those that are left
 * first: the free would deliver a further Ctrl-C, which would end the program.
 */
void end_signals(fl_signals *signals);

/*
 * Prints "fairlead-demo: ..." and a newline to standard error. Like the bar, from the main thread.
 */
void complain(const char *format, ...) FL_PRINTF(1, 2);

/* Writes 12345678 as "12,345,678". */
void group_digits(char text[32], uint64_t n);

/* The reports. Each returns false if it could not write; report_json also when out of memory. */
bool report_text(FILE *out, const struct machine *m, const struct result *results, size_t n);
bool report_json(FILE *out, const struct machine *m, const struct result *results, size_t n);
bool report_html(FILE *out, const struct machine *m, const struct result *results, size_t n);

#endif
