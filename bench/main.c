/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The program fairlead-bench. bench/run is the command for people; it starts this program.
 *
 *     fairlead-bench [--list] [--quick] [--once] [--laps] [--out=FILE] [PATTERN]
 *
 * measures the rows of the cases in cases.c, or lists them.
 *
 *     fairlead-bench --serve CASE IMPLEMENTATION THREADS
 *
 * measures one row when it is asked over a pipe. The program starts itself in this way for rows
 * that need a separate process (remote.h).
 */
#include "remote.h"
#include "shim.h"

#include <err.h>
#include <fairlead.h>
#include <pthread.h>
#include <regex.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* All tables of rows. Before main(), the constructor of each BENCH_ROWS adds its table. */
static bench_table *tables;

void bench_add(bench_table *table)
{
	table->next = tables;
	tables = table;
}

static const bench_row *find(const char *name, const char *implementation)
{
	for (bench_table *t = tables; t; t = t->next)
		for (size_t i = 0; i < t->count; i++)
			if (!strcmp(t->rows[i].name, name) && !strcmp(t->rows[i].implementation, implementation))
				return &t->rows[i];
	return NULL;
}

typedef struct plan {
	bench_entry *entries;
	size_t count;
} plan;

static void plan_add(plan *p, const bench_case *of, const bench_row *row, int threads)
{
	static const char *const roles[] = {"peer", "weaker", "weaker", "floor"};
	p->entries = realloc(p->entries, (p->count + 1) * sizeof *p->entries);
	if (!p->entries)
		bench_fail("out of memory");
	bench_entry *e = &p->entries[p->count++];
	*e = (bench_entry){.of = of, .row = row, .role = roles[row->role], .threads = threads};
	if (!strcmp(row->implementation, "fairlead"))
		e->role = row->implementation;
	snprintf(e->name, sizeof e->name, "%s/%s/threads:%d", of->name, row->implementation, threads);
}

/* Adds a case at one thread count, with all its rows, if the name of any of these rows matches. */
static void plan_case(plan *p, const bench_case *of, int threads, const regex_t *pattern)
{
	size_t before = p->count;
	bool wanted = false;
	plan_add(p, of, find(of->name, "fairlead"), threads);
	for (const bench_table *t = tables; t; t = t->next)
		for (const bench_row *row = t->rows; row < t->rows + t->count; row++)
			if (!strcmp(row->name, of->name) && strcmp(row->implementation, "fairlead") &&
			    (row->role != BENCH_SPINNING || threads <= (int)fl_cpu_count()))
				plan_add(p, of, row, threads);
	for (size_t i = before; i < p->count; i++)
		wanted = wanted || regexec(pattern, p->entries[i].name, 0, NULL, 0) == 0;
	if (!wanted)
		p->count = before;
}

static plan make_plan(const regex_t *pattern)
{
	plan p = {NULL, 0};
	for (const bench_table *t = tables; t; t = t->next)
		for (size_t i = 0; i < t->count; i++) {
			const bench_case *c = bench_cases;
			while (c->name && strcmp(c->name, t->rows[i].name))
				c++;
			if (!c->name)
				bench_fail("%s of %s is not listed in cases.c", t->rows[i].name,
				           t->rows[i].implementation);
		}
	for (const bench_case *c = bench_cases; c->name; c++) {
		if (!find(c->name, "fairlead"))
			bench_fail("%s is listed in cases.c and has no row of Fairlead", c->name);
		for (const int *threads = c->threads; *threads; threads++)
			plan_case(&p, c, *threads, pattern);
	}
	return p;
}

static void print_plan(const plan *p)
{
	for (size_t i = 0; i < p->count; i++) {
		const bench_entry *e = &p->entries[i];
		const char *slash = strchr(e->of->name, '/');
		printf("%s{\"name\": \"%s\", \"family\": \"%.*s\", \"case\": \"%s\", \"threads\": %d, "
		       "\"implementation\": \"%s\", \"role\": \"%s\", \"unit\": \"%s\"}",
		       i ? ",\n" : "[\n", e->name, (int)(slash - e->of->name), e->of->name, slash + 1, e->threads,
		       e->row->implementation, e->role, e->of->unit);
	}
	printf("\n]\n");
}

static void *sleep_forever(void *unused)
{
	for (;;)
		pause();
	return unused;
}

/*
 * A process with only one thread would be faster than any real program: the C library then leaves
 * out its atomic instructions.
 */
static void keep_second_thread(void)
{
	pthread_t thread;
	if (pthread_create(&thread, NULL, sleep_forever, NULL))
		bench_fail("cannot start a thread");
	pthread_detach(thread);
}

static int serve(char **argv)
{
	const bench_row *row = find(argv[0], argv[1]);
	if (!row)
		errx(2, "there is no row %s of %s", argv[0], argv[1]);
	keep_second_thread();
	return bench_alone_serve(row, (int)strtol(argv[2], NULL, 10));
}

int main(int argc, char **argv)
{
#if FL__HAS_PROCESS
	/* a worker process of the process executor begins here, and does not return */
	fl_process_main(argc, argv);
#endif
	/*
	 * In processes of OpenMP's rows (remote.h), OpenMP's threads sleep while they wait. This is
	 * the fastest of the three ways, because otherwise the threads of gcc's runtime spin on the
	 * lock that a producer of tasks needs.
	 */
	(void)setenv("OMP_WAIT_POLICY", "passive", 1);
	if (argc == 5 && !strcmp(argv[1], "--serve"))
		return serve(argv + 2);
	bool list = false;
	bench_options options = {.repetitions = 5};
	const char *out = NULL, *text = NULL;
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--list"))
			list = true;
		else if (!strcmp(argv[i], "--quick"))
			options.quick = true;
		else if (!strcmp(argv[i], "--once"))
			options.repetitions = 1;
		else if (!strcmp(argv[i], "--laps"))
			options.laps = true;
		else if (!strncmp(argv[i], "--out=", 6))
			out = argv[i] + 6;
		else if (argv[i][0] == '-' || text)
			errx(2, "unexpected argument '%s'", argv[i]);
		else
			text = argv[i];
	}
	regex_t pattern;
	if (regcomp(&pattern, text && *text ? text : ".", REG_EXTENDED | REG_NOSUB))
		errx(2, "'%s' is not a regular expression", text);
	plan p = make_plan(&pattern);
	regfree(&pattern);
	if (p.count == 0)
		errx(2, "nothing matches '%s'", text);
	int status = 0;
	if (list) {
		print_plan(&p);
	} else {
		keep_second_thread();
		status = bench_measure(p.entries, p.count, &options, out);
	}
	free(p.entries);
	return status;
}
