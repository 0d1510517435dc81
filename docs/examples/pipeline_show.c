/* SPDX-License-Identifier: BSD-2-Clause */
/* The output of the pipeline: a progress line, and a table. */
#include "pipeline.h"

#define WIDTH 12
#define CELLS 4 /* of a queue, at most */

static const char full[] = "############", empty[] = "............";

/*
 * " [##..] decode": a stage, and the fill of the queue before it; one cell an item if the queue is
 * small.
 */
static size_t draw_stage(char *to, size_t size, const struct stage *s, unsigned capacity)
{
	if (capacity == 0)
		return (size_t)snprintf(to, size, " -> %s", s->name);
	size_t length = picture_queue_length(s->in);
	size_t cells = capacity < CELLS ? capacity : CELLS, filled = (length * cells + capacity - 1) / capacity;
	return (size_t)snprintf(to, size, " [%.*s%.*s] %s", (int)filled, full, (int)(cells - filled), empty, s->name);
}

void pipeline_show(struct pipeline *p)
{
	size_t finished;
	{
		FL_LOCKED(&p->lock);
		finished = p->stages[STAGE_WRITE].done + p->bad;
	}
	char line[160];
	int filled = (int)(finished * WIDTH / p->count);
	size_t at =
	    (size_t)snprintf(line, sizeof line, "[%.*s%.*s] %zu of %zu  %s", filled, full, WIDTH - filled, empty,
	                     finished, p->count, p->stages[1].in != NULL ? stage_names[0] : "one after the other");
	for (unsigned i = 1; i < STAGES && p->stages[i].in != NULL; i++)
		at += draw_stage(line + at, sizeof line - at, &p->stages[i], p->capacity);
	progress_line(line);
}

/* "held back": the seconds that the threads of a stage waited for the next stage, in total. */
void pipeline_print(const struct pipeline *p)
{
	printf("%-12s %8s %9s %10s   %s\n", "stage", "threads", "pictures", "held back", "in the queue behind it");
	for (const struct stage *s = p->stages; s < p->stages + STAGES; s++) {
		printf("%-12s %8u %9zu %8.2f s", s->name, s->threads, s->done, (double)s->held / 1e9);
		if (s < p->stages + STAGES - 1 && p->capacity != 0)
			printf("   at most %zu of %u", s->fullest, p->capacity);
		else if (s < p->stages + STAGES - 1)
			printf("   handed over");
		printf("%s\n", s->slow ? "   (slow)" : "");
	}
	printf("in memory at a time: at most %zu pictures; room for %zu, in threads and queues\n", p->most_alive,
	       pipeline_bound(p));
}
