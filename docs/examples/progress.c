/* SPDX-License-Identifier: BSD-2-Clause */
/* The demo's messages on standard error: progress and errors. From the main thread. */
#include "demo.h"
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#define WIDTH 32

static bool quiet;
static bool bar_shown; /* a bar without a newline is on the terminal */

static bool on_terminal(void)
{
	return isatty(STDERR_FILENO) == 1;
}

static void wipe_bar(void)
{
	if (bar_shown)
		(void)fputs("\r\033[K", stderr);
	bar_shown = false;
}

static void show_bar(const struct progress *p)
{
	static const char full[] = "################################", empty[] = "................................";
	(void)fprintf(stderr, "\r\033[K%-22s ", p->label);
	if (p->total != 0) {
		int filled = (int)(p->done * WIDTH / p->total);
		(void)fprintf(stderr, "[%.*s%.*s] %zu of %zu", filled, full, WIDTH - filled, empty, p->done, p->total);
	}
	(void)fflush(stderr);
	bar_shown = true;
}

void progress_quiet(void)
{
	quiet = true;
}

void progress_begin(struct progress *p, size_t total, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	(void)vsnprintf(p->label, sizeof p->label, format, args);
	va_end(args);
	p->total = total;
	p->done = 0;
	if (quiet)
		return;
	if (on_terminal())
		show_bar(p);
	else
		(void)fprintf(stderr, "%s ...\n", p->label);
}

void progress_step(struct progress *p)
{
	progress_to(p, p->done + 1);
}

/* In a pipe, prints a line for the first half and one for the whole. */
void progress_to(struct progress *p, size_t done)
{
	size_t before = p->done;
	p->done = done;
	if (quiet || done == before)
		return;
	if (on_terminal())
		show_bar(p);
	else if ((before < p->total / 2 && done >= p->total / 2) || done == p->total)
		(void)fprintf(stderr, "%s: %zu of %zu\n", p->label, p->done, p->total);
}

void progress_line(const char *line)
{
	if (quiet || !on_terminal())
		return;
	(void)fprintf(stderr, "\r%s\033[K", line);
	(void)fflush(stderr);
	bar_shown = true;
}

void progress_end(void)
{
	wipe_bar();
	(void)fflush(stderr);
}

void complain(const char *format, ...)
{
	wipe_bar();
	va_list args;
	va_start(args, format);
	(void)fputs("fairlead-demo: ", stderr);
	(void)vfprintf(stderr, format, args);
	(void)fputc('\n', stderr);
	va_end(args);
}
