/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Makes a process a worker rank, which runs the tasks that rank 0 sends to it, and replies. "Inside
 * a rank" in mpi/README.md gives the reasons. For each executor of rank 0 the rank has a *pool*
 * with an *inner* executor, on threads or processes. A message TASK becomes a *job*.
 *
 * One of two threads leads, that is, receives and sends the messages:
 *
 *   thread            when it leads                      what it does otherwise
 *   the main thread   at first; when the runner has run  looks each millisecond whether the runner
 *                     one job for 1 to 2 ms; when an     still runs the same job; sleeps when
 *                     inline job begins to block         nothing has run for a while
 *   the runner        from the first executor with       runs a job *inline*, and replies
 *                     inline jobs on, except while it
 *                     runs a job that takes long or
 *                     blocks
 *
 * The main thread starts the runner for the first executor that may have inline jobs (invariant 3).
 * If there is no runner, the main thread leads, and no job is inline.
 *
 * A job is in one of these places:
 *
 *   receiving   its argument was announced, and is on its way
 *   waiting     in `waiting` of its pool: it may run inline, or in the inner executor
 *   inline      the runner runs it: `host.inlined`
 *   inner       the inner executor has it; counted by `n_inner`
 *   ended       its future in the inner executor has ended, and the leader is to learn of it; still
 *               counted by `n_inner`
 *   replying    its result was announced, and is on its way
 *
 * Until the reply, the job is also in `jobs` of its pool. In an inner executor on threads it is a
 * task of the type `host_job_type`, under the name of its own type. In an inner executor on
 * processes it is a chunk of its own type.
 *
 * Invariants
 *   1. A pool runs at most as many jobs at once as it has workers. A job begins inline only if the
 *      inner executor has none. While a job runs inline outside blocking sections, the inner
 *      executor gets at most as many jobs as the pool has workers, less one. However, jobs that
 *      began during a blocking section of the inline job may still run when the section is over.
 *   2. While the jobs of a pool with several workers are long (HOST_LONG), all are inner, because
 *      on the runner they would wait for each other.
 *   3. Executors with an initializer, with regions, or on processes have no inline jobs, because
 *      the runner is not one of their workers.
 *   4. The inline job is asked to stop without the engine lock, because this may call the task's
 *      cancel callbacks. `host.requests` keeps the token until the call returns.
 *
 * The engine lock guards all words of `host`.
 *
 *   word            meaning
 *   leader          the thread that leads, or is the next to lead
 *   runs            how many inline jobs have begun
 *   watcher_sleeps  the main thread sleeps until the next inline job, or until the runner ends
 *
 * Arguments with bytes borrow the image in the job. Results with bytes belong to the job, because
 * their type is lent, so that the inner executor does not touch the bytes.
 *
 * Freeing an inner executor waits for its workers, so it happens on a separate thread. Only if that
 * thread cannot be started does the leader free the executor itself.
 */
#include "host.h"
#include "engine.h"
#include "image.h"
#include "internals.h"
#include "nested.h"
#include "regions.h"
#include <errno.h>
#include <fairlead/process_executor.h>
#include <fairlead/thread.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

struct host_pool {
	struct host_pool *next, **link;
	struct fl__mpi_work freed;
	bool inlines;                      /* whether its jobs may run inline */
	bool runs_inline;                  /* one of its jobs runs inline and does not block */
	unsigned longs;                    /* above 0 while its jobs count as long */
	fl_executor *inner;                /* NULL while it cannot be made */
	fl_task_type initialize;           /* without the drop hook, which is for rank 0 */
	struct fl__mpi_received *received; /* NULL if there are no regions */
	struct host_job **jobs;            /* by slot */
	struct host_job *waiting, *last_waiting;
	uint32_t n_inner;
	fl_thread *closer;
	bool closing, has_closer;
	bool cancelled;           /* the inner executor is to be cancelled, not only closed */
	char name[32];            /* of a worker; the runner uses it during an inline job */
	struct fl__mpi_head head; /* of OPEN */
	struct fl__mpi_open open;
	unsigned char arg[]; /* the argument of the initializer */
};

enum { HOST_SMALL = 1280, HOST_FREE_MAX = 256 };

struct host_job {
	/* receives the argument, then ends the inner task, then sends the result */
	struct fl__mpi_work work;
	struct host_job *next, *prev; /* in `waiting`; `host.free` is linked by `next` */
	struct host_pool *pool;
	struct fl__mpi_head head; /* the head of TASK, which becomes that of ENDED */
	uint32_t done;
	fl_time deadline;
	int64_t arrived;
	const fl_task_type *type;
	/*
	 * The type of `future`. Its bytes are lent. On processes it lacks the hooks, which are for
	 * rank 0.
	 */
	fl_task_type plain;
	fl_future *future;     /* of a job that is inner */
	fl_cancel_token token; /* of a job that is inline */
	size_t result_size;
	/* in `data`, or NULL; on processes the future has the result */
	unsigned char *arg, *result;
	bool stop;  /* it was asked to stop before it could start */
	bool waits; /* in `waiting` */
	/* the inner executor has it; `future` may be set after the start */
	bool inner;
	bool between;         /* it has stopped on request between two elements */
	struct fl__run frame; /* for nested tasks, on threads */
	size_t size;          /* of `data` */
	unsigned char data[];
};

#define HOST_LONG FL_US(50)
#define HOST_LOOK FL_MS(1)
#define HOST_LINGER FL_MS(10)
/* HOST_TESTS is how often the runner tests for a message between two readings of the clock. */
enum { HOST_LONGS = 16, HOST_TESTS = 8 };

static struct {
	struct host_pool *pools;
	bool over;
	size_t n_jobs;
	struct host_job *free; /* linked by `next` */
	unsigned n_free;
	struct fl__types_known types;
	sigset_t signals; /* of the main thread */
	fl_thread *runner;
	bool has_runner;
	unsigned leader; /* FL__MPI_FIRST for the main thread, FL__MPI_SECOND for the runner */
	struct host_job *inlined;
	bool stops; /* the leader is to ask the inline job to stop */
	bool requests;
	unsigned blocking; /* how many blocking sections the inline job is in */
	uint64_t runs;
	int64_t now; /* when the first argument of this round arrived, or 0 */
	bool watcher_sleeps;
} host;

static _Noreturn void host_abort(const char *why)
{
	fl__mpi_abort("rank %d (%s) %s", fl__mpi_world.rank, fl__mpi_world.host, why);
}

static struct host_pool *host_find_pool(uint32_t id)
{
	struct host_pool *p = host.pools;
	while (p && p->head.pool != id)
		p = p->next;
	if (!p)
		host_abort("got a message for an executor that it does not have");
	return p;
}

/* Types. */

/* Finds the type of a task. Returns 0; or an error, and a text for rank 0. */
static int host_type_of(const struct fl__mpi_head *head, const fl_task_type **type, char *text)
{
	char build[FL__BUILD_ID_TEXT];
	const struct fl__type_known *k = fl__types_find_id(&host.types, head->task);
	if (!k) {
		(void)snprintf(text, FL_MESSAGE_MAX, "rank %d (%.48s) has none, or several, of that name and version",
		               fl__mpi_world.rank, fl__mpi_world.host);
		return -ENOENT;
	}
	*type = k->type;
	if (k->far_check == head->check)
		return 0;
	struct fl__task_identity identity;
	fl__task_identify(k->type, &identity);
	(void)snprintf(text, FL_MESSAGE_MAX, "that of rank %d (%.48s) of build %s, with %zu and %zu bytes",
	               fl__mpi_world.rank, fl__mpi_world.host, fl__build_id_text(&identity.owner, build),
	               k->type->arg_size, k->type->result_size);
	return -EPROTO;
}

static void host_trace(const struct host_job *job, enum fl__trace_kind kind, uint64_t arg, int error)
{
	fl__hook_event(kind, FL__TRACE_RANK(fl__mpi_world.rank, job->head.round), arg, job->type->name,
	               0 - (unsigned)error);
}

static int host_run_elements(fl_task_ctx *ctx, struct host_job *job)
{
	return fl__elements_run(job->type, ctx, job->arg, job->result, job->head.count, &job->done, &job->between);
}

/* Sets the times of ENDED: rule 3 of wire.h. */
static void host_set_times(struct host_job *job, int64_t began, int64_t ran)
{
	job->head.rest = ran;
	job->head.check = (uint32_t)((began - job->arrived) / FL__MPI_UNIT);
}

/* Runs the job on a thread of the inner executor. */
static int host_run_inner(fl_task_ctx *ctx, struct host_job *job)
{
	const int64_t began = fl__sys.now();
	const int rc = host_run_elements(ctx, job);
	host_set_times(job, began, fl__sys.now() - began);
	return rc;
}

static int host_run_job(fl_task_ctx *ctx, const void *arg, void *result)
{
	(void)result;
	struct host_job *job = *(struct host_job *const *)arg;
	int rc = fl__mpi_nested_enter(&job->frame, ctx);
	if (rc != 0)
		return fl_task_fail(ctx, rc, "rank %d (%s) has no memory for nested tasks", fl__mpi_world.rank,
		                    fl__mpi_world.host);
	rc = job->inner ? host_run_inner(ctx, job) : host_run_elements(ctx, job);
	fl__mpi_nested_leave(&job->frame);
	return rc;
}

static const fl_task_type host_job_type = FL__TASK_OF_POINTER(NULL, host_run_job);

/* Returns a zeroed job with `size` bytes of `data`, or NULL if there is no memory. */
static struct host_job *host_new_job(size_t size)
{
	struct host_job *job = host.free;
	if (!job || size > HOST_SMALL) {
		job = fl__alloc(1, sizeof *job + (size > HOST_SMALL ? size : HOST_SMALL));
		if (!job)
			return NULL;
	} else {
		host.free = job->next;
		host.n_free--;
		memset(job, 0, sizeof *job + size);
	}
	job->size = size;
	job->work.arg = job;
	return job;
}

/* Frees the bytes of the results from element `n` on. */
static void host_free_bytes(const struct host_job *job, uint32_t n)
{
	for (fl_bytes *b; n < job->head.count && (b = fl__element(job->result, n, job->work.each)) != NULL; n++)
		fl_bytes_free(b);
}

static void host_free_job(void *arg)
{
	struct host_job *job = arg;
	host_free_bytes(job, 0);
	if (job->future)
		fl__chunk_detach_type(job->future); /* `plain` ends with the job */
	fl_future_free(job->future);
	if (job->size > HOST_SMALL || host.n_free == HOST_FREE_MAX) {
		fl__free(job);
		return;
	}
	job->next = host.free;
	host.free = job;
	host.n_free++;
}

/* Sends ENDED, which reuses the head of the TASK. Returns true if the result is a transfer. */
static bool host_send_ended(struct fl__mpi_head *head, const char *text, const void *result, struct fl__mpi_work *w)
{
	char why[FL_MESSAGE_MAX];
	head->kind = FL__MPI_ENDED;
	head->text = (uint32_t)strnlen(text, FL_MESSAGE_MAX - 1);
	if (!(head->flags & FL__MPI_IMAGE))
		return fl__mpi_must_send(0, head, text, result, w);
	const int rc = head->size > PTRDIFF_MAX ? -E2BIG : fl__mpi_send(0, head, text, result, w);
	if (rc >= 0)
		return rc > 0;
	head->error = rc;
	head->size = head->flags = 0;
	head->done = head->count; /* if all are done, fl__chunk_end() counts none */
	(void)snprintf(why, sizeof why, "rank %d (%.48s) cannot send the result: %s", fl__mpi_world.rank,
	               fl__mpi_world.host, fl_error_text(rc));
	return host_send_ended(head, why, NULL, NULL);
}

/* Sends ENDED. The job is freed when its result has left. */
static void host_reply(struct host_job *job, const char *text)
{
	job->pool->jobs[job->head.slot] = NULL;
	host.n_jobs--;
	if (job->between)
		job->head.flags |= FL__MPI_BETWEEN;
	job->work.done = host_free_job;
	if (!host_send_ended(&job->head, text, job->result, &job->work))
		host_free_job(job);
}

/* Takes the results and times of a chunk from its future, on processes. */
static void host_take_chunk(struct host_job *job, int error)
{
	const struct fl__task_block *block = fl__task_block_of(job->future);
	job->done = error == 0 ? job->head.count : block->done;
	job->result = job->future->result;
	job->between = block->asked == FL__STOP_BETWEEN;
	if (block->began > 0)
		host_set_times(job, block->began, block->ran);
	if (block->asked == FL__STOP_EXPIRED)
		job->head.flags |= FL__MPI_LATE;
	if (error == -EOWNERDEAD && block->attempts > 0)
		job->head.flags |= FL__MPI_DIED;
}

static void host_reply_skipped(struct host_job *job)
{
	job->head.error = -ECANCELED;
	job->head.flags = FL__MPI_SKIPPED;
	host_reply(job, "");
}

/* Replies for a job that has run. With `kept`, its result counts despite the error. */
static void host_reply_run(struct host_job *job, int error, bool kept, const char *text)
{
	job->head.error = error;
	if (error != 0 && kept)
		job->head.flags |= FL__MPI_KEPT;
	job->head.done = job->done;
	host_free_bytes(job, job->done + kept); /* left behind by a task that ended its thread */
	job->head.size = job->result ? job->result_size : 0;
	if (job->work.each > 0 && job->result) {
		job->head.flags |= FL__MPI_IMAGE;
		/* An error becomes a size above all others, which host_send_ended() notices. */
		job->head.size = (uint64_t)fl__image_size(job->result, job->head.count, job->work.each);
	}
	host_reply(job, text);
}

static void host_note_length(struct host_pool *p, int64_t took)
{
	if (took >= HOST_LONG)
		p->longs = HOST_LONGS;
	else if (p->longs > 0)
		p->longs--;
}

static void host_end_job(void *arg)
{
	struct host_job *job = arg;
	fl_future *f = job->future;
	int error = fl_future_error(f);
	job->pool->n_inner--;
	if (fl_future_state(f) == FL_CANCELLED) {
		host_reply_skipped(job);
		return;
	}
	host_note_length(job->pool, job->head.rest);
	if (fl__future_has_expired(f))
		error = -ECANCELED; /* rank 0's future ends by its own deadline */
	if (job->pool->open.processes)
		host_take_chunk(job, error);
	host_trace(job, FL__TRACE_TAKEN, (uintptr_t)f, error);
	if (error == -ENOTRECOVERABLE && fl_executor_is_broken(job->pool->inner)) {
		job->head.flags |= FL__MPI_BROKEN;
		job->between = true; /* it never ran */
	}
	host_reply_run(job, error, fl__future_keeps_result(f), fl_future_message(f));
}

/* Called by a thread of the inner executor, or by a leader that cancels the job. */
static void host_on_end(fl_future *f, void *arg)
{
	struct host_job *job = arg;
	(void)f;
	job->work.done = host_end_job;
	fl__mpi_hand_over(&job->work);
}

static void host_start_inner(struct host_job *job)
{
	struct host_pool *p = job->pool;
	const fl_submit_config config = {.deadline = job->deadline, .on_end = host_on_end, .on_end_arg = job};
	char text[FL_MESSAGE_MAX];
	int rc;
	job->inner = true;
	job->plain = p->open.processes ? *job->type : host_job_type;
	job->plain.name = job->type->name;
	job->plain.max_attempts = 0; /* rank 0 counts the attempts */
	fl__bytes_lend(&job->plain);
	host_trace(job, FL__TRACE_POST, 0, 0);
	if (p->open.processes) {
		/*
		 * relaxed: a figure. With 0 the inner executor measures this task, like each task,
		 * and rank 0 chooses the tasks whose times it counts.
		 */
		fl__store_relaxed(&p->inner->stats.skip, 0);
		rc = fl__submit(p->inner, &job->plain, job->arg, job->head.count, &job->future, &config, 0);
	} else {
		rc = fl_executor_submit_with(p->inner, &job->plain, &job, &job->future, &config);
	}
	if (rc == 0) {
		p->n_inner++;
		return;
	}
	job->head.error = rc;
	(void)snprintf(text, sizeof text, "the task cannot start in rank %d (%s): %s", fl__mpi_world.rank,
	               fl__mpi_world.host, fl_error_text(rc));
	if (rc == -ENOTRECOVERABLE) {
		job->head.flags = FL__MPI_BROKEN;
		job->between = true;
	}
	/* `why_broken` no longer changes after a submit has failed with this error. */
	host_reply(job, rc == -ENOTRECOVERABLE ? p->inner->why_broken : text);
}

/* Called when the argument of the job is there. */
static void host_start_job(void *arg)
{
	struct host_job *job = arg;
	struct host_pool *p = job->pool;
	if (fl__bytes_declares(job->type->drop_arg) && !fl__image_open(job->arg, job->head.count, job->type->arg_size,
	                                                               job->arg, job->size - FL_TASK_ALIGN_MAX, NULL))
		host_abort("got a damaged argument");
	if (fl__mpi_world.leaving)
		return; /* nothing would ask the task to stop */
	if (host.now == 0)
		host.now = fl__sys.now();
	job->arrived = host.now;
	if (job->stop) {
		host_reply_skipped(job);
	} else if (!p->inlines) {
		host_start_inner(job);
	} else {
		job->waits = true;
		FL__QUEUE_ADD(p->waiting, p->last_waiting, job);
	}
}

static struct host_job *host_take_waiting(struct host_job *job)
{
	FL__QUEUE_REMOVE(job->pool->waiting, job->pool->last_waiting, job);
	job->waits = false;
	return job;
}

static bool host_goes_inner(const struct host_pool *p)
{
	if (p->runs_inline)
		return p->n_inner + 1 < p->open.config.workers;
	return !host.has_runner || host.inlined || p->n_inner > 0 || (p->longs > 0 && p->open.config.workers > 1);
}

static void host_start_waiting(void)
{
	FL__EACH (struct host_pool, p, host.pools)
		while (p->waiting && host_goes_inner(p))
			host_start_inner(host_take_waiting(p->waiting));
}

/* The inner executor. */

/*
 * Makes the inner executor. Returns 0, or an error and a text for rank 0; then the next task tries
 * again. The executor's threads get the signals of the main thread, because a task may have changed
 * those of the runner.
 */
static int host_create_inner(struct host_pool *p, char *text)
{
	char why[FL_MESSAGE_MAX];
	sigset_t before;
	fl_executor_config config = p->open.config;
	config.name = p->open.name;
	if (p->received) {
		config.regions = p->received->regions;
		config.n_regions = p->received->n;
	}
	if (p->head.flags & FL__MPI_INITIALIZED) {
		const fl_task_type *type;
		if (host_type_of(&p->head, &type, why) != 0) {
			(void)snprintf(text, FL_MESSAGE_MAX,
			               "the executor is broken: its initializer does not match: %.190s", why);
			return -ENOTRECOVERABLE;
		}
		p->initialize = *type;
		p->initialize.drop_arg = NULL;
		config.initialize = &p->initialize;
		config.initialize_arg = type->arg_size > 0 ? p->arg : NULL;
	}
	(void)pthread_sigmask(SIG_SETMASK, &host.signals, &before);
	int rc = p->open.processes ? fl_process_executor_create(&p->inner, &config)
	                           : fl_thread_executor_create(&p->inner, &config);
	fl__signals_restore(&before);
	if (rc != 0)
		(void)snprintf(text, FL_MESSAGE_MAX, "rank %d (%s) cannot make its own executor: %s",
		               fl__mpi_world.rank, fl__mpi_world.host, fl_error_text(rc));
	return rc;
}

/*
 * Makes the job of a task. If the task is refused, returns NULL, stores the error and the flags of
 * ENDED in the head, and says why in `text`.
 */
static struct host_job *host_make_job(struct host_pool *p, struct fl__mpi_head *head, char *text)
{
	const fl_task_type *type;
	const size_t arg = FL__ROUND_UP((size_t)head->size, FL_TASK_ALIGN_MAX);
	const bool image = head->flags & FL__MPI_IMAGE;
	const int64_t rest = head->rest;
	head->size = head->flags = 0;
	head->rest = -1;
	head->error = p->inner ? 0 : host_create_inner(p, text);
	if (head->error != 0) {
		head->flags = head->error == -ENOTRECOVERABLE ? FL__MPI_BROKEN : 0;
		return NULL;
	}
	head->error = host_type_of(head, &type, text);
	if (head->error == 0 && image != fl__bytes_declares(type->drop_arg)) {
		head->error = -EPROTO;
		(void)snprintf(text, FL_MESSAGE_MAX, "with or without FL_BYTES_DROP in rank %d", fl__mpi_world.rank);
	}
	if (head->error != 0) {
		head->flags = FL__MPI_MISMATCH;
		return NULL;
	}
	const size_t result_size = head->count * type->result_size,
		     result = p->open.processes ? 0 : FL__ROUND_UP(result_size, FL_TASK_ALIGN_MAX);
	struct host_job *job = host_new_job(FL_TASK_ALIGN_MAX + arg + result);
	if (!job) {
		head->error = -ENOMEM;
		(void)snprintf(text, FL_MESSAGE_MAX, "rank %d (%.48s) has no memory for argument and result",
		               fl__mpi_world.rank, fl__mpi_world.host);
		return NULL;
	}
	job->pool = p;
	job->head = *head;
	job->deadline = fl_after(rest);
	job->type = type;
	job->work.each = fl__bytes_declares(type->drop_result) ? type->result_size : 0;
	unsigned char *const data = fl__align(job->data, FL_TASK_ALIGN_MAX);
	job->arg = arg > 0 ? data : NULL;
	job->result_size = result_size;
	job->result = result > 0 ? data + arg : NULL;
	p->jobs[head->slot] = job;
	host.n_jobs++;
	return job;
}

/* Receives the argument of a refused task, and drops it. */
static void host_drain(const struct fl__mpi_head *task)
{
	struct fl__mpi_work *drain = fl__alloc(1, sizeof *drain + (size_t)task->size);
	if (!drain)
		host_abort("has no memory for an argument");
	*drain = (struct fl__mpi_work){.done = fl__free, .arg = drain};
	(void)fl__mpi_take_data(0, task, NULL, drain + 1, drain);
}

static void host_on_task(const struct fl__mpi_head *task, const char *data)
{
	struct host_pool *p = host_find_pool(task->pool);
	struct fl__mpi_head head = *task;
	char text[FL_MESSAGE_MAX];
	if (task->slot >= p->open.slots || p->jobs[task->slot])
		host_abort("got a task in a slot that is in use");
	struct host_job *job = host_make_job(p, &head, text);
	if (!job) {
		(void)host_send_ended(&head, text, NULL, NULL);
		if (task->flags & FL__MPI_IMAGE)
			(void)fl__mpi_take_data(0, task, NULL, NULL, NULL);
		else if (task->size > FL__MPI_INLINE)
			host_drain(task);
		return;
	}
	job->work.done = host_start_job;
	if (!fl__mpi_take_data(0, task, data, job->arg, &job->work))
		host_start_job(job);
}

static void host_on_stop(const struct fl__mpi_head *head)
{
	const struct host_pool *p = host_find_pool(head->pool);
	struct host_job *job = head->slot < p->open.slots ? p->jobs[head->slot] : NULL;
	if (!job || job->head.round != head->round)
		return; /* it has ended */
	if (job->waits) {
		host_reply_skipped(host_take_waiting(job));
	} else if (head->kind == FL__MPI_RECALL) {
		const struct fl__mpi_head begun = {
		    .kind = FL__MPI_BEGUN, .pool = head->pool, .slot = head->slot, .round = head->round};
		if (!job->future || fl_future_cancel_pending(job->future) != 0)
			fl__mpi_must_send(0, &begun, "", NULL, NULL);
	} else if (job == host.inlined) {
		host.stops = true;
	} else if (job->future) {
		FL_IGNORE(fl_future_cancel(job->future));
	} else {
		job->stop = true;
	}
}

/* The runner. */

/* Asks the inline job to stop. The engine lock is released meanwhile (invariant 4). */
static void host_request_stop(void)
{
	struct host_job *job = host.inlined;
	host.stops = false;
	host.requests = true;
	fl_mutex_unlock(&fl__mpi_lock);
	fl_cancel_token_request(&job->token);
	fl__mutex_hold(&fl__mpi_lock);
	host.requests = false;
}

/*
 * Called when the inline job begins or ends a blocking section, without the engine lock. During the
 * section the main thread leads, and other jobs may run.
 */
static void host_on_block(struct fl__run *run, bool begins)
{
	(void)run;
	FL__HELD(&fl__mpi_lock);
	host.blocking += begins ? 1 : -1u;
	host.inlined->pool->runs_inline = host.blocking == 0;
	if (!begins)
		return;
	host.leader = FL__MPI_FIRST;
	fl__mpi_wake(FL__MPI_FIRST);
}

static const struct fl__executor_ops host_runner_ops = {.kind = "mpi-runner", .block = host_on_block};
static fl_executor host_runner_executor = {.ops = &host_runner_ops};

static struct host_job *host_next_inline(void)
{
	FL__EACH (struct host_pool, p, host.pools)
		if (p->waiting && !host_goes_inner(p))
			return host_take_waiting(p->waiting);
	return NULL;
}

static const struct fl__worker_ops host_worker_ops = {.block = fl__run_block};

/*
 * Waits until no request uses the token of the inline job (invariant 4). The engine lock is
 * released meanwhile.
 */
static void host_await_requests(void)
{
	while (host.requests) {
		fl_mutex_unlock(&fl__mpi_lock);
		fl__sys.nap();
		fl__mutex_hold(&fl__mpi_lock);
	}
}

static void host_allow_pthread_cancel(bool allow)
{
	int before;
	(void)pthread_setcancelstate(allow ? PTHREAD_CANCEL_ENABLE : PTHREAD_CANCEL_DISABLE, &before);
}

/* Runs the job on the runner. The engine lock is released meanwhile. */
static int host_call_inline(struct host_job *job, fl_task_ctx *task)
{
	struct fl__ctx *ctx = fl__ctx_get();
	struct fl__run run = {.executor = &host_runner_executor};
	const char *name = ctx->name;
	fl_mutex_unlock(&fl__mpi_lock);
	ctx->worker = &run;
	ctx->worker_ops = &host_worker_ops;
	ctx->name = job->pool->name;
	host_allow_pthread_cancel(true);
	host_trace(job, FL__TRACE_START, UINT64_MAX, 0);
	/* fl__elements_run() gives the elements the token's scope. */
	const int error = host_run_job(task, &job, NULL);
	host_trace(job, FL__TRACE_END, 0, error);
	host_allow_pthread_cancel(false);
	ctx->name = name;
	ctx->worker_ops = NULL;
	ctx->worker = NULL;
	fl__mutex_hold(&fl__mpi_lock);
	host_await_requests();
	return error;
}

/* Called when the inline job has run. Replies, unless EXIT has come. */
static void host_end_inline(int error, bool kept, const char *text)
{
	struct host_job *job = host.inlined;
	host.inlined = NULL;
	host.stops = job->pool->runs_inline = false;
	host.blocking = 0;
	if (host.over)
		return; /* MPI may have ended */
	host_note_length(job->pool, job->head.rest);
	fl_cancel_token_destroy(&job->token);
	host_reply_run(job, error, kept, text);
}

static int64_t host_run_inline(struct host_job *job, int64_t began)
{
	struct host_pool *p = job->pool;
	fl_task_ctx task = {.token = &job->token, .executor = p->inner};
	fl__cancel_init(&job->token, FL_SHIELDED, job->deadline);
	if (fl_cancel_token_is_requested(&job->token)) {
		fl_cancel_token_destroy(&job->token);
		host_reply_skipped(job);
		return began;
	}
	host.inlined = job;
	host.runs++;
	p->runs_inline = true;
	if (host.watcher_sleeps)
		fl__mpi_wake(FL__MPI_FIRST);
	host.watcher_sleeps = false;
	const int error = host_call_inline(job, &task);
	const int64_t now = fl__sys.now();
	host_set_times(job, began, now - began);
	host_end_inline(error, task.keeps_result, error != 0 && task.message ? task.message : "");
	host.leader = FL__MPI_SECOND;
	fl__message_free(fl__task_take_message(&task));
	return now;
}

/* Pauses after a round of a leader. The engine lock is released meanwhile. */
static void host_pause(struct fl__mpi_pace *pace, bool some)
{
	const enum fl__mpi_expects expects = fl__mpi_under_way() > 0 ? FL__MPI_EXPECTS_DATA
	                                     : host.n_jobs > 0       ? FL__MPI_EXPECTS_ALL
	                                                             : FL__MPI_EXPECTS_TASKS;
	fl_mutex_unlock(&fl__mpi_lock);
	fl__mpi_pause(pace, some, expects);
	fl__mutex_hold(&fl__mpi_lock);
}

static bool host_round(unsigned tests);

/*
 * Runs the waiting jobs one after another for a short while. Several replies are sent together: up
 * to HOST_TOGETHER, or all since the last flush if the time `held` is over when a job ends. During
 * a long job the main thread leads, and flushes the earlier replies. Returns the time when the last
 * job ended, or 0 if there was no job.
 */
static int64_t host_run_waiting(void)
{
	enum { HOST_TOGETHER = 16 };
	static const int64_t turn = FL_US(20), held = FL_US(2);
	int64_t now = 0, began = 0, flushed = 0;
	struct host_job *job;
	unsigned n = 0;
	while (!host.over && (now - began < turn) && (job = host_next_inline()) != NULL) {
		/*
		 * If a single job has just arrived, its time of arrival serves as the present time.
		 */
		if (now == 0)
			now = began = flushed =
			    job->arrived == host.now && !job->pool->waiting ? host.now : fl__sys.now();
		now = host_run_inline(job, now);
		if (host.over || (++n < HOST_TOGETHER && now - flushed < held))
			continue;
		fl__mpi_flush();
		flushed = now;
		n = 0;
	}
	return now;
}

FL__COLD static void host_runner_exits(void *arg)
{
	(void)arg;
	/* In a forked child there is nothing to do, because the child ends with its thread. */
	if (!fl__is_forked(fl__mpi_world.fork_count))
		fl__panic(host.inlined->type->name, host.inlined, "the task " FL__ENDS_THREAD);
}

/* The runner leads until the end of the rank, and runs jobs between its rounds. */
static void host_lead(void)
{
	struct fl__mpi_pace pace = {.sleeper = FL__MPI_SECOND};
	int64_t ran_at = 0;
	host.leader = FL__MPI_SECOND;
	while (!host.over) {
		const bool some = host_round(ran_at > 0 ? 1 : HOST_TESTS);
		ran_at = host_run_waiting();
		if (host.over)
			return; /* MPI may have ended */
		fl__mpi_flush();
		if (ran_at > 0)
			/*
			 * The runner polls at first, because messages may have come while the job
			 * ran.
			 */
			pace.found = ran_at;
		else
			host_pause(&pace, some);
	}
}

/*
 * The runner. pthread_cancel() acts on it only in tasks, because elsewhere the runner may hold the
 * engine lock, and calls of MPI are cancellation points.
 */
static int host_run(void *arg)
{
	(void)arg;
	host_allow_pthread_cancel(false);
	pthread_cleanup_push(host_runner_exits, NULL);
	fl__mutex_hold(&fl__mpi_lock);
	host_lead();
	fl_mutex_unlock(&fl__mpi_lock);
	pthread_cleanup_pop(0);
	fl__mpi_wake(FL__MPI_FIRST);
	return 0;
}

/*
 * Starts the runner, which gets the caller's signals, if there is none. Returns whether there is a
 * runner.
 */
static bool host_start_runner(void)
{
	const fl_thread_config config = {.name = "mpi-runner"};
	if (!host.has_runner)
		host.has_runner = fl_thread_start(&host.runner, host_run, NULL, &config) == 0;
	return host.has_runner;
}

/* The life of an inner executor. */

static void host_on_open(const struct fl__mpi_head *head, const char *data)
{
	char text[FL_MESSAGE_MAX]; /* not used, because the next task tries again */
	if (head->size < sizeof(struct fl__mpi_open))
		host_abort("got a damaged message");
	struct host_pool *p = fl__alloc(1, sizeof *p + (size_t)head->size);
	if (!p)
		host_abort("has no memory for an executor");
	memcpy(&p->open, data, sizeof p->open);
	memcpy(p->arg, data + sizeof p->open, (size_t)head->size - sizeof p->open);
	p->jobs = fl__alloc(p->open.slots, sizeof *p->jobs);
	if (!p->jobs)
		host_abort("has no memory for an executor");
	p->head = *head;
	(void)snprintf(p->name, sizeof p->name, "%.*s-0", (int)sizeof p->open.name, p->open.name);
	FL__LIST_ADD(&host.pools, p);
	p->received = fl__mpi_receiver_take(head->pool);
	p->inlines = host_create_inner(p, text) == 0 && !p->open.processes && !p->received &&
	             !(head->flags & FL__MPI_INITIALIZED) && host_start_runner();
}

/*
 * Kills the tasks of the pool that run in processes, asks the tasks in an inner executor on threads
 * to stop, and ends the waiting ones. Rank 0 has cancelled the tasks that it has not posted. It
 * asks an inline job to stop by STOP.
 */
static void host_on_terminate(const struct fl__mpi_head *head)
{
	struct host_pool *p = host_find_pool(head->pool);
	while (p->waiting)
		host_reply_skipped(host_take_waiting(p->waiting));
	if (p->inner)
		(void)fl_executor_terminate(p->inner);
}

static void host_forget(void *arg)
{
	struct host_pool *p = arg;
	const struct fl__mpi_head head = {.kind = FL__MPI_CLOSED, .pool = p->head.pool};
	if (p->has_closer)
		FL_IGNORE(fl_thread_join(p->closer, NULL));
	FL__LIST_REMOVE(p);
	fl__mpi_must_send(0, &head, "", NULL, NULL);
	fl__free(p->jobs);
	fl__free(p);
}

static int host_close(void *arg)
{
	struct host_pool *p = arg;
	if (p->cancelled && p->inner)
		(void)fl_executor_cancel(p->inner); /* it has no tasks, but perhaps initializers that run */
	fl_executor_free(p->inner);
	fl__mpi_received_free(p->received);
	p->freed = (struct fl__mpi_work){.done = host_forget, .arg = p};
	fl__mpi_hand_over(&p->freed);
	return 0;
}

static void host_on_close(const struct fl__mpi_head *head)
{
	struct host_pool *p = host_find_pool(head->pool);
	const fl_thread_config config = {.name = "mpi-close", .block_signals = true};
	p->cancelled = head->flags & FL__MPI_CANCELLED;
	p->closing = true; /* from now on only the closer uses `inner` */
	p->has_closer = p->inner && fl_thread_start(&p->closer, host_close, p, &config) == 0;
	if (!p->has_closer)
		(void)host_close(p);
}

/* The rank. */

static void host_handle(int from, const struct fl__mpi_head *head, const char *text, const char *data)
{
	(void)from;
	(void)text;
	switch (head->kind) {
	case FL__MPI_OPEN:
		host_on_open(head, data);
		break;
	case FL__MPI_TASK:
		host_on_task(head, data);
		break;
	case FL__MPI_STOP:
	case FL__MPI_RECALL:
		host_on_stop(head);
		break;
	case FL__MPI_TERMINATE:
		host_on_terminate(head);
		break;
	case FL__MPI_CLOSE:
		host_on_close(head);
		break;
	case FL__MPI_REGIONS:
		fl__mpi_receiver_on_regions(head, data);
		break;
	case FL__MPI_BYTES:
		fl__mpi_receiver_on_bytes(head, data);
		break;
	case FL__MPI_EXIT:
		host.over = true;
		break;
	default:
		host_abort("got a message of an unknown kind");
	}
}

/* Receives, and starts jobs. Returns true if there was a message or something has ended. */
static bool host_round(unsigned tests)
{
	host.now = 0;
	bool some = fl__mpi_progress(host_handle, tests);
	if (host.stops && !host.requests)
		host_request_stop();
	host_start_waiting();
	return some;
}

/*
 * Ends the rank. Asks all tasks to stop, and continues the transfers until all have ended, or until
 * nothing has come for FL__MPI_PATIENCE. Then gives the tasks a second. Releases the engine lock.
 */
static void host_leave(void)
{
	fl_time until = fl_after(FL__MPI_PATIENCE);
	fl__mpi_world.leaving = true;
	FL__EACH (struct host_pool, p, host.pools)
		if (p->inner && !p->closing)
			(void)fl_executor_cancel(p->inner);
	if (host.inlined && !host.requests)
		host_request_stop();
	/* Receives and sends the data that were announced. */
	fl__mpi_flush();
	while (fl__mpi_under_way() > 0 && !fl_time_is_past(until))
		if (fl__mpi_progress(NULL, 1))
			until = fl_after(FL__MPI_PATIENCE);
	until = fl_after(FL_S(1));
	fl_mutex_unlock(&fl__mpi_lock);
	fl__mpi_wake(FL__MPI_SECOND);
	bool left = host.has_runner && fl_thread_join_until(host.runner, NULL, until, FL_SHIELDED) != 0;
	FL__EACH (struct host_pool, p, host.pools)
		left |= p->inner && !p->closing && fl_executor_join_until(p->inner, until, FL_SHIELDED) != 0;
	if (left)
		fl__log(FL_LOG_WARNING, "rank %d (%s) ends with a task that does not stop", fl__mpi_world.rank,
		        fl__mpi_world.host);
}

/*
 * Called by the main thread, which watches while the runner leads. The engine lock is released
 * meanwhile.
 */
static void host_watch(bool ran)
{
	static int64_t ran_at;
	const int64_t now = fl__sys.now();
	if (ran || host.inlined)
		ran_at = now;
	host.watcher_sleeps = now - ran_at >= HOST_LINGER;
	const int64_t ns = host.watcher_sleeps ? FL_DURATION_MAX : HOST_LOOK;
	fl_mutex_unlock(&fl__mpi_lock);
	fl__mpi_nap(ns);
	fl__mutex_hold(&fl__mpi_lock);
	host.watcher_sleeps = false;
}

void fl__mpi_host_serve(void)
{
	struct fl__mpi_pace pace = {.sleeper = FL__MPI_FIRST};
	uint64_t seen = 0;
	(void)pthread_sigmask(SIG_SETMASK, NULL, &host.signals);
	fl__mutex_hold(&fl__mpi_lock);
	while (!host.over) {
		const bool ran = host.runs != seen;
		seen = host.runs;
		if (host.leader == FL__MPI_SECOND && host.inlined && !ran) {
			host.leader = FL__MPI_FIRST;
			host.inlined->pool->longs = HOST_LONGS;
		}
		if (host.leader == FL__MPI_SECOND) {
			host_watch(ran);
			pace.found = fl__sys.now(); /* polls at first when it leads again */
			continue;
		}
		const bool some = host_round(1);
		fl__mpi_flush();
		host_pause(&pace, some);
	}
	host_leave();
}
