/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * frames: a filter over the frames of a film, on threads and in processes, without a copy.
 *
 * The frames lie in a region of shared memory. What a task is given is where one lies and where the result is to go, and that
 * is all that crosses: some bytes, whatever the size of a frame. The region is handed to the executor, and fl_task_region()
 * finds it, in this process or in another, where it may be mapped elsewhere; FL_SHM_AT makes an address of an offset, or NULL
 * where that is none of a frame's. The same task runs in every model.
 *
 * Then all is done once more in processes, and one of them is killed, with SIGKILL, while it works. The frame that it had is
 * reported as failed by its future, with the reason, and is submitted again: since the filter reads one frame and writes
 * another, one that was left half-drawn does no harm. (A task type that says so with `.max_attempts = 2` is run again by the
 * executor itself.) The other frames, and the other workers, notice nothing.
 *
 * Every frame that a worker says it has drawn is read by the parent, where it lies, and the digests must agree.
 */
#include "frames.h"
#include "album.h"
#include <errno.h>
#include <fairlead/process_executor.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

/* The task. What it is told is checked, not believed: an offset that is none of a frame's is an error, not a crash. */
FL_TASK(ink_frame, struct order, uint64_t)
{
	const fl_shm *film = fl_task_region(ctx, 0);
	const struct frame *from = FL_SHM_AT(film, struct frame, arg->from);
	struct frame *to = FL_SHM_AT(film, struct frame, arg->to);
	if (from == NULL || to == NULL)
		return fl_task_fail(ctx, -EFAULT, "no frame lies at %#llx or at %#llx", (unsigned long long)arg->from,
		                    (unsigned long long)arg->to);
	frame_ink(from, to);
	*result = frame_digest(to);
	return 0;
}

static size_t number_of(const struct shot *s)
{
	return (size_t)(s - s->film->shots) + 1;
}

static void lose(struct shot *s, const char *why)
{
	result_fail(s->film->result, s->film->model->name, "frame %zu: %s", number_of(s), why);
}

/* Without the library: one frame after the other, in plain C. */
static void ink_here(struct film *f, struct progress *progress)
{
	for (size_t i = 0; i < FRAMES; i++) {
		struct shot *s = &f->shots[i];
		frame_ink(s->before, s->after);
		s->digest = frame_digest(s->after);
		s->drawn = true;
		progress_step(progress);
	}
}

/* On a thread of the executor. */
static void shot_ended(fl_future *future, void *shot)
{
	struct shot *s = shot;
	(void)future;
	int rc = shot_queue_try_put(s->film->ended, s);
	(void)rc; /* 0: there is room for all frames */
}

static int submit(fl_executor *pool, struct shot *s)
{
	return ink_frame_submit_with(pool, s->order, &s->future,
	                             &(fl_submit_config){.on_end = shot_ended, .on_end_arg = s});
}

/* Whether this is the frame of the worker that was killed: then it is on its way again. */
static bool is_submitted_again(fl_executor *pool, struct shot *s, const fl_future *ended)
{
	struct film *f = s->film;
	if (f->killed == 0 || f->lost != NULL || fl_future_error(ended) != -EOWNERDEAD)
		return false;
	f->lost = s;
	(void)snprintf(f->why, sizeof f->why, "%s", fl_future_message(ended));
	return submit(pool, s) == 0;
}

/* Returns whether the frame is done with. */
static bool take(fl_executor *pool, struct shot *s)
{
	FL_SCOPED(fl_future) *ended = s->future;
	int rc = ink_frame_get(ended, &s->digest);
	s->drawn = rc == 0;
	if (rc == FL_ETASK && is_submitted_again(pool, s, ended))
		return false;
	if (rc != 0)
		lose(s, rc == FL_ETASK ? fl_future_message(ended) : fl_error_text(rc));
	return true;
}

/* One of the workers, wherever it happens to be. */
static void kill_one(struct film *f, fl_executor *pool)
{
	int pid = 0;
	if (fl_process_executor_pids(pool, &pid, 1) != 0 && kill(pid, SIGKILL) == 0)
		f->killed = pid;
}

static void ink_on(fl_executor *pool, struct film *f, bool lose_one, struct progress *progress)
{
	size_t left = 0;
	for (size_t i = 0; i < FRAMES; i++) {
		int rc = submit(pool, &f->shots[i]);
		if (rc != 0)
			lose(&f->shots[i], fl_error_text(rc));
		left += rc == 0;
	}
	struct shot *s;
	while (left > 0 && shot_queue_get(f->ended, &s) == 0) {
		if (!take(pool, s))
			continue;
		left--;
		progress_step(progress);
		if (lose_one && left == FRAMES / 2)
			kill_one(f, pool);
	}
}

static int ink_all(struct film *f, unsigned workers, bool lose_one, double *seconds)
{
	for (size_t i = 0; i < FRAMES; i++) {
		f->shots[i].drawn = false;
		memset(f->shots[i].after, 0, sizeof(struct frame)); /* nothing is left of the run before */
	}
	FL_SCOPED(fl_executor) *pool = NULL;
	const fl_executor_config config = {.workers = workers, .name = "frames", .regions = &f->region, .n_regions = 1};
	struct progress progress;
	progress_begin(&progress, FRAMES, "frames, %s%s", f->model->name, lose_one ? ", one killed" : "");
	int64_t start = fl_now();
	int rc = f->model->create != NULL ? f->model->create(&pool, &config) : 0;
	if (rc == 0 && pool != NULL)
		ink_on(pool, f, lose_one, &progress);
	else if (rc == 0)
		ink_here(f, &progress);
	*seconds = (double)(fl_now() - start) / 1e9;
	progress_end();
	if (rc != 0)
		result_fail(f->result, f->model->name, "cannot start: %s", fl_error_text(rc));
	return rc;
}

/* A digest of all frames, as this process sees them. */
static uint64_t check_frames(struct film *f)
{
	uint64_t digest = DIGEST_START;
	for (size_t i = 0; i < FRAMES; i++) {
		struct shot *s = &f->shots[i];
		uint64_t one = s->drawn ? frame_digest(s->after) : 0;
		if (s->drawn && one != s->digest)
			lose(s, "what lies in memory is not what its worker has drawn");
		digest = digest_add(digest, &one, sizeof one);
	}
	return digest;
}

/* Processes once more, and one of them does not live to see the end. */
static int run_with_a_loss(struct film *f, const struct run *run)
{
	double seconds = 0;
	int rc = ink_all(f, run->workers, true, &seconds);
	if (rc != 0)
		return rc;
	if (check_frames(f) != run->answer)
		result_fail(f->result, f->model->name, "the answer is another when a worker was killed");
	if (f->killed == 0)
		result_fail(f->result, f->model->name, "there was no worker to be killed");
	result_note(f->result, "Once more, and one process was killed at work: %.3f s, the same frames.", seconds);
	if (f->lost != NULL)
		result_note(f->result, "Frame %zu: %s; submitted again.", number_of(f->lost), f->why);
	else
		result_note(f->result, "Process %d had no frame in hand just then.", f->killed);
	return 0;
}

int frames_run(void *data, const struct model *model, struct run *run)
{
	struct film *f = data;
	f->model = model;
	int rc = ink_all(f, run->workers, false, &run->seconds);
	if (rc != 0)
		return rc;
	run->figure = FRAMES / run->seconds;
	run->answer = check_frames(f);
	return model->create == fl_process_executor_create ? run_with_a_loss(f, run) : 0;
}
