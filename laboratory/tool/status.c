/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The progress line. On a terminal it is overwritten each second; otherwise, a line is printed each
 * 15 s.
 */
#include "tool.h"
#include <stdarg.h>
#include <sys/ioctl.h>
#include <unistd.h>

static int64_t period(const struct status *status)
{
	return status->terminal ? SECOND : 15 * SECOND;
}

void status_init(struct status *status)
{
	*status = (struct status){.terminal = isatty(STDERR_FILENO) == 1};
	status->next = lab_clock_ns() + period(status);
}

void status_show(struct status *status, const char *format, ...)
{
	char line[512];
	va_list args;
	int64_t now = lab_clock_ns();
	if (now < status->next)
		return;
	status->next = now + period(status);
	va_start(args, format);
	vsnprintf(line, sizeof line, format, args);
	va_end(args);
	if (!status->terminal) {
		fprintf(stderr, "%s\n", line);
		return;
	}
	struct winsize window = {0};
	int width = ioctl(STDERR_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col > 1 ? window.ws_col - 1 : 79;
	fprintf(stderr, "\r\033[K%.*s", width, line);
	fflush(stderr);
	status->shown = true;
}

void status_clear(struct status *status)
{
	if (status->shown)
		fputs("\r\033[K", stderr);
	fflush(stderr);
	status->shown = false;
}
