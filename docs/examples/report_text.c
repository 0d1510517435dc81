/* SPDX-License-Identifier: BSD-2-Clause */
/* The results as a table and a bar chart for the terminal. */
#include "demo.h"
#include <langinfo.h>
#include <string.h>

#define BAR_WIDTH 48

void group_digits(char text[32], uint64_t n)
{
	char digits[24];
	int length = snprintf(digits, sizeof digits, "%llu", (unsigned long long)n);
	char *to = text;
	for (int i = 0; i < length; i++) {
		if (i > 0 && (length - i) % 3 == 0)
			*to++ = ',';
		*to++ = digits[i];
	}
	*to = '\0';
}

static void print_answer(FILE *out, const struct result *r)
{
	char text[32];
	const struct run *first = &r->runs[0];
	bool same = true;
	for (size_t i = 1; i < r->run_count; i++)
		same = same && r->runs[i].answer == first->answer;
	if (r->digest)
		(void)snprintf(text, sizeof text, "%016llx", (unsigned long long)first->answer);
	else
		group_digits(text, first->answer);
	(void)fprintf(out, "answer: %s%s%s\n\n", r->digest ? "digest " : "", text,
	              !same              ? " - NOT THE SAME IN EVERY MODEL"
	              : r->run_count > 1 ? ", the same in every model"
	                                 : "");
}

static void print_table(FILE *out, const struct result *r)
{
	(void)fprintf(out, "  %-12s %7s %9s %8s %9s", "model", "workers", "seconds", "speedup", "peak MiB");
	if (r->figure != NULL)
		(void)fprintf(out, "  %10s", r->figure->title);
	(void)fputc('\n', out);
	for (size_t i = 0; i < r->run_count; i++) {
		const struct run *run = &r->runs[i];
		(void)fprintf(out, "  %-12s %7u %9.3f %7.2fx %9.1f", run->model, run->workers, run->seconds,
		              run->speedup, (double)run->peak_rss_kib / 1024);
		if (r->figure != NULL)
			(void)fprintf(out, "  %*.*f%s", 10 - (int)strlen(r->figure->unit), r->figure->digits,
			              run->figure, r->figure->unit);
		(void)fputc('\n', out);
	}
}

/* A bar with eighths of a block, where the terminal has them. */
static void print_bar(FILE *out, double share, bool unicode)
{
	static const char *const eighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
	int n = (int)(share * BAR_WIDTH * 8 + 0.5);
	if (n < 8)
		n = 8;
	for (int i = 0; i < n / 8; i++)
		(void)fputs(unicode ? "█" : "#", out);
	if (unicode)
		(void)fputs(eighths[n % 8], out);
}

static void print_chart(FILE *out, const struct result *r)
{
	bool unicode = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
	double longest = 0;
	for (size_t i = 0; i < r->run_count; i++)
		longest = r->runs[i].seconds > longest ? r->runs[i].seconds : longest;
	(void)fputc('\n', out);
	for (size_t i = 0; i < r->run_count; i++) {
		(void)fprintf(out, "  %-12s ", r->runs[i].model);
		print_bar(out, longest > 0 ? r->runs[i].seconds / longest : 1, unicode);
		(void)fprintf(out, " %.2f s\n", r->runs[i].seconds);
	}
}

/* Prints each note with a dash, in lines of a readable width. */
static void print_notes(FILE *out, const struct result *r)
{
	for (size_t i = 0; i < r->note_count; i++)
		(void)fprintf(out, "%s  %s\n", i == 0 ? "\n" : "", r->notes[i]);
}

bool report_text(FILE *out, const struct machine *m, const struct result *results, size_t n)
{
	(void)fprintf(out, "%u CPU%s (%s), Linux %s, %.1f GiB\n", m->cpus, m->cpus == 1 ? "" : "s", m->model, m->kernel,
	              (double)m->memory_kib / (1024 * 1024));
	for (size_t i = 0; i < n; i++) {
		const struct result *r = &results[i];
		(void)fprintf(out, "\n%s: %s\n", r->job, r->question);
		if (r->run_count != 0) {
			print_answer(out, r);
			print_table(out, r);
			print_chart(out, r);
		}
		if (r->run_count == 0)
			(void)fputs("  did not run\n", out);
		print_notes(out, r);
		if (r->failure_count != 0)
			(void)fprintf(out, "\n  %zu failure%s:\n", r->failure_count, r->failure_count == 1 ? "" : "s");
		for (size_t k = 0; k < r->failure_count; k++)
			(void)fprintf(out, "  - %s\n", r->failures[k]);
	}
	return !ferror(out);
}
