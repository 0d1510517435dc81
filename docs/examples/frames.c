/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * frames: a filter over the frames of a film, on threads and in processes, without a copy.
 *
 * The frames are in a region of shared memory. A task gets the offsets of its frame and of the
 * result: some bytes, for frames of any size. The region is given to the executor, and
 * fl_task_region() finds it, in this process or in another, where its address may differ. FL_SHM_AT
 * makes an address of an offset, or NULL of an invalid offset. The same task runs in every model,
 * and an unordered imap yields the results as they come.
 *
 * Then the job runs once more in processes, and one of them is killed with SIGKILL while it works.
 * Its frame fails, with a message that says why, and is submitted again. The filter reads one frame
 * and writes another, so a half-drawn result does no harm. (For a task type with `.max_attempts =
 * 2` the executor itself runs the task again.) No other frame is affected.
 *
 * The results of the tasks are compared with the frames that this process sees in memory.
 */
#include "frames.h"
#include "album.h"
#include <errno.h>
#include <signal.h>
#include <string.h>

/* The task. It checks its argument: an offset that is not a frame's is an error, not a crash. */
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

static void lose(const struct film *f, size_t number, const char *why)
{
	result_fail(f->result, f->model->name, "frame %zu: %s", number + 1, why);
}

static void keep(struct film *f, size_t number, uint64_t digest)
{
	f->shots[number].drawn = true;
	f->shots[number].digest = digest;
}

/* Without the library, one frame is drawn after another, in plain C. */
static void ink_here(struct film *f, struct progress *progress)
{
	for (size_t i = 0; i < FRAMES; i++) {
		frame_ink(f->shots[i].before, f->shots[i].after);
		keep(f, i, frame_digest(f->shots[i].after));
		progress_step(progress);
	}
}

/* A task that failed. If its worker was killed, the task is run again. */
static void fail(struct film *f, size_t number, const fl_imap *it)
{
	if (f->killed == 0 || f->lost_count == FRAMES || fl_imap_error(it) != -EOWNERDEAD) {
		lose(f, number, fl_imap_message(it));
		return;
	}
	f->lost[f->lost_count++] = number;
	(void)snprintf(f->shots[number].why, FL_MESSAGE_MAX, "%s", fl_imap_message(it));
}

/*
 * Returns the deadline after which workers are killed. It has passed when no result has come for a
 * moment, since the workers are then in the middle of their frames. If the kill came too late, it
 * is repeated.
 */
static fl_time patience(const struct film *f, const struct progress *progress)
{
	if (!f->kills || f->lost_count != 0 || progress->done < FRAMES / 4)
		return FL_FOREVER;
	return fl_after(f->killed == 0 ? FL_MS(1) : FL_MS(50));
}

static void kill_one(struct film *f, fl_executor *pool)
{
	int pid = 0;
	if (fl_process_executor_pids(pool, &pid, 1) != 0 && kill(pid, SIGKILL) == 0)
		f->killed++;
}

/* With the library, the results of the frames come in the order in which they end. */
static int ink_on(fl_executor *pool, struct film *f, const size_t *numbers, size_t n, struct progress *progress)
{
	struct order orders[FRAMES];
	for (size_t i = 0; i < n; i++)
		orders[i] = f->shots[numbers[i]].order;
	FL_SCOPED(fl_imap) *it = NULL;
	int rc = ink_frame_imap(pool, orders, n, &it, &(fl_imap_config){.unordered = true});
	while (rc == 0) {
		size_t i = 0;
		uint64_t digest = 0;
		rc = ink_frame_imap_next_until(it, &i, &digest, patience(f, progress), NULL);
		if (rc == 0) {
			keep(f, numbers[i], digest);
			progress_step(progress);
		} else if (rc == FL_ETASK) {
			fail(f, numbers[i], it);
			rc = 0;
		} else if (rc == -ETIMEDOUT) {
			kill_one(f, pool);
			rc = 0;
		}
	}
	return rc == -ENODATA ? 0 : rc;
}

/* All frames, then the lost ones. */
static int ink_on_all(fl_executor *pool, struct film *f, struct progress *progress)
{
	size_t numbers[FRAMES];
	for (size_t i = 0; i < FRAMES; i++)
		numbers[i] = i;
	int rc = ink_on(pool, f, numbers, FRAMES, progress);
	for (size_t again = 0; rc == 0 && again < f->lost_count;) {
		size_t n = f->lost_count - again;
		rc = ink_on(pool, f, &f->lost[again], n, progress);
		again += n;
	}
	return rc;
}

static int ink_all(struct film *f, unsigned workers, double *seconds)
{
	for (size_t i = 0; i < FRAMES; i++) {
		f->shots[i].drawn = false;
		/* Removes the results of the previous run. */
		memset(f->shots[i].after, 0, sizeof(struct frame));
	}
	FL_SCOPED(fl_executor) *pool = NULL;
	const fl_executor_config config = {.workers = workers, .name = "frames", .regions = &f->region, .n_regions = 1};
	struct progress progress;
	progress_begin(&progress, FRAMES, "frames, %s%s", f->model->name, f->kills ? ", one killed" : "");
	fl_time start = fl_now();
	int rc = f->model->create != NULL ? f->model->create(&pool, &config) : 0;
	if (rc == 0 && pool != NULL)
		rc = ink_on_all(pool, f, &progress);
	else if (rc == 0)
		ink_here(f, &progress);
	*seconds = (double)fl_time_diff(fl_now(), start) / 1e9;
	progress_end();
	if (rc != 0)
		result_fail(f->result, f->model->name, "cannot go on: %s", fl_error_text(rc));
	return rc;
}

/* A digest of all frames, as this process sees them. */
static uint64_t check_frames(const struct film *f)
{
	uint64_t digest = DIGEST_START;
	for (size_t i = 0; i < FRAMES; i++) {
		const struct shot *s = &f->shots[i];
		uint64_t one = s->drawn ? frame_digest(s->after) : 0;
		if (s->drawn && one != s->digest)
			lose(f, i, "what lies in memory is not what its task has drawn");
		digest = digest_add(digest, &one, sizeof one);
	}
	return digest;
}

/* The run in processes, in which one is killed. */
static int run_with_a_loss(struct film *f, const struct run *run)
{
	double seconds = 0;
	f->kills = true;
	int rc = ink_all(f, run->workers, &seconds);
	if (rc != 0)
		return rc;
	bool same = check_frames(f) == run->answer;
	if (!same)
		result_fail(f->result, f->model->name, "the answer is another when a worker is killed");
	result_note(f->result, "Once more, and %u worker%s killed: %.3f s, %s answer.", f->killed,
	            f->killed == 1 ? "" : "s", seconds, same ? "the same" : "ANOTHER");
	for (size_t i = 0; i < f->lost_count; i++)
		result_note(f->result, "Frame %zu was lost, and drawn again: %s.", f->lost[i] + 1,
		            f->shots[f->lost[i]].why);
	f->kills = false; /* no kills in the following models */
	f->killed = 0;
	f->lost_count = 0;
	return 0;
}

int frames_run(void *data, const struct model *model, struct run *run)
{
	struct film *f = data;
	f->model = model;
	int rc = ink_all(f, run->workers, &run->seconds);
	if (rc != 0)
		return rc;
	run->figure = FRAMES / run->seconds;
	run->answer = check_frames(f);
	return model->create == fl_process_executor_create ? run_with_a_loss(f, run) : 0;
}
