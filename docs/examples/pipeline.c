/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * This is a pipeline. Pictures are downloaded, decoded, made small and written. Each stage has its
 * own threads, and there are bounded queues between the stages:
 *
 *   list -> download -> [..] -> decode -> [..] -> thumbnail -> [..] -> write
 *
 * Back-pressure: the queue before a slow stage fills, and the previous stage waits in its put; then
 * the queue before that stage fills, and so on, up to the download. So memory is bounded, however
 * slow a stage is: pipeline_bound().
 *
 * The pipeline ends stage by stage. The last thread that leaves a stage closes the queue behind it.
 * The next stage gets the remaining items, then -EPIPE, and leaves in turn.
 *
 * A bad picture is removed where the error is found, with the reason; the others go on.
 *
 * A failed stage, or Ctrl-C: pipeline_stop() ends all waits by the token `stop`, and closes all
 * queues at once. Their drop callback frees the items in the queues; a thread frees the item that
 * it works on.
 */
#include "pipeline.h"
#include <errno.h>
#include <stdlib.h>

#define SLOW FL_MS(50)
#define LOOK FL_MS(50) /* the time between two updates of the progress line */

void pipeline_stop(struct pipeline *p, const char *what, const char *why)
{
	{
		FL_LOCKED(&p->lock);
		if (p->failure[0] == '\0')
			(void)snprintf(p->failure, sizeof p->failure, "%s: %s", what, why);
	}
	fl_cancel_token_request(&p->stop);
	for (unsigned i = 0; i < STAGES; i++)
		if (p->stages[i].in != NULL)
			/* The number of dropped items does not matter. */
			(void)picture_queue_close_now(p->stages[i].in);
}

/* Notes that `s` has failed, and why. */
static void stage_fail(struct stage *s, struct picture *p, const char *why)
{
	char what[NAME_BYTES + 16];
	if (s->vital) {
		(void)snprintf(what, sizeof what, "%s: %s", p->file.name, s->name);
		pipeline_stop(s->pipeline, what, why);
		return;
	}
	(void)snprintf(p->failure, sizeof p->failure, "%s: %s", s->name, why);
	FL_LOCKED(&s->pipeline->lock);
	s->pipeline->bad++;
}

/* Returns whether `s` has done its part. If not, notes it, unless the pipeline was stopped. */
static bool stage_work(struct stage *s, struct picture *p)
{
	char why[FL_MESSAGE_MAX] = "";
	if ((!s->slow || fl_sleep(SLOW) == 0) && s->step(p, why, sizeof why)) {
		FL_LOCKED(&s->pipeline->lock);
		s->done++;
		return true;
	}
	if (!fl_cancel_token_is_requested(NULL))
		stage_fail(s, p, why);
	return false;
}

/*
 * Passes the picture to the next stage. Waits while its queue is full: that is the back-pressure.
 * Returns false if the pipeline was stopped.
 */
static bool stage_pass(struct stage *s, struct picture *p)
{
	if (s->out == NULL)
		return false;
	fl_time start = fl_now();
	int rc = picture_queue_put(s->out, p);
	size_t length = picture_queue_length(s->out);
	FL_LOCKED(&s->pipeline->lock);
	s->held += fl_time_diff(fl_now(), start);
	if (length > s->fullest)
		s->fullest = length;
	return rc == 0;
}

/* Counts a thread that leaves. The last one closes the queue behind the stage. */
static void stage_leave(struct stage *s)
{
	bool last;
	{
		FL_LOCKED(&s->pipeline->lock);
		last = --s->running == 0;
	}
	if (last && s->out != NULL)
		picture_queue_close(s->out);
}

/* A thread owns the picture that it has got, until it has put it. */
static int stage_thread(void *arg)
{
	struct stage *s = arg;
	FL_CANCEL_SCOPE(&s->pipeline->stop); /* a request ends every wait of this thread */
	struct picture *p;
	while (picture_queue_get(s->in, &p) == 0)
		if (!stage_work(s, p) || !stage_pass(s, p))
			picture_release(p);
	stage_leave(s);
	return 0; /* the failure is noted */
}

static void drop(void *item, void *unused)
{
	(void)unused;
	picture_release(*(struct picture **)item);
}

/* The list, and a queue between every two stages. */
static int make_queues(struct pipeline *p)
{
	/* The first queue holds all pictures, since it is filled before the first get. */
	int rc = picture_queue_create(&p->stages[0].in, &(fl_queue_config){.capacity = p->count});
	const fl_queue_config between = {.capacity = p->capacity != 0 ? p->capacity : FL_RENDEZVOUS, .drop = drop};
	for (unsigned i = 1; rc == 0 && i < STAGES; i++) {
		rc = picture_queue_create(&p->stages[i].in, &between);
		p->stages[i - 1].out = p->stages[i].in;
	}
	for (size_t i = 0; rc == 0 && i < p->count; i++)
		rc = picture_queue_put(p->stages[0].in, &p->pictures[i]);
	if (rc == 0)
		picture_queue_close(p->stages[0].in);
	return rc;
}

static void free_queues(struct pipeline *p)
{
	for (unsigned i = 0; i < STAGES; i++) {
		picture_queue_free(p->stages[i].in);
		p->stages[i].in = p->stages[i].out = NULL;
	}
}

/* Waits for all threads, and shows their progress; Ctrl-C stops them. */
static void join_all(struct pipeline *p, fl_thread **threads, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int rc;
		while ((rc = fl_thread_join_until(threads[i], NULL, fl_after(LOOK), FL_SHIELDED)) == -ETIMEDOUT) {
			if (fl_signals_try_wait(p->signals) > 0)
				pipeline_stop(p, "pipeline", "interrupted");
			pipeline_show(p);
		}
		if (rc != 0)
			pipeline_stop(p, "cannot join a thread", fl_error_text(rc));
	}
	progress_end();
}

static void run_threads(struct pipeline *p, fl_thread **threads)
{
	size_t started = 0;
	for (struct stage *s = p->stages; s < p->stages + STAGES; s++)
		s->running = s->threads; /* before the first one can leave */
	for (struct stage *s = p->stages; s < p->stages + STAGES; s++) {
		const fl_thread_config config = {.name = s->name};
		for (unsigned i = 0; i < s->threads; i++) {
			int rc = fl_thread_start(&threads[started], stage_thread, s, &config);
			if (rc == 0) {
				started++;
			} else {
				pipeline_stop(p, "cannot start a thread", fl_error_text(rc));
				stage_leave(s);
			}
		}
	}
	join_all(p, threads, started);
}

bool pipeline_run(struct pipeline *p)
{
	size_t n = 0;
	for (unsigned i = 0; i < STAGES; i++)
		n += p->stages[i].threads;
	fl_thread **threads = calloc(n, sizeof *threads);
	int rc = threads != NULL ? make_queues(p) : -ENOMEM;
	if (rc == 0)
		run_threads(p, threads);
	else
		pipeline_stop(p, "cannot make the queues", fl_error_text(rc));
	free_queues(p);
	free(threads);
	return p->failure[0] == '\0';
}

static int all_in_turn(void *arg)
{
	struct pipeline *p = arg;
	FL_CANCEL_SCOPE(&p->stop);
	for (size_t i = 0; i < p->count && !fl_cancel_token_is_requested(NULL); i++) {
		unsigned s = 0;
		while (s < STAGES && stage_work(&p->stages[s], &p->pictures[i]))
			s++;
		picture_release(&p->pictures[i]);
	}
	return 0;
}

bool pipeline_run_sequential(struct pipeline *p)
{
	fl_thread *thread;
	int rc = fl_thread_start(&thread, all_in_turn, p, NULL);
	if (rc == 0)
		join_all(p, &thread, 1);
	else
		pipeline_stop(p, "cannot start a thread", fl_error_text(rc));
	return p->failure[0] == '\0';
}
