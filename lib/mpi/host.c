/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A worker rank: docs/design.md, section 4 ("Inside a rank"). For each executor of rank 0 it has an
 * *inner* executor, on threads or processes. A TASK becomes a *job*.
 *
 * One of two threads leads, that is, receives:
 *
 *   thread            leads                              else
 *   the main thread   at first; and when the runner      looks each millisecond whether the runner
 *                     has run one job for a millisecond  still runs the same job; sleeps when
 *                                                        nothing has run for a while
 *   the runner        from the first executor on         runs a job *inline*, and replies
 *                     threads, but while it runs a job
 *
 * Without a runner the main thread leads, and no job is inline.
 *
 * A job is in these places:
 *
 *   receiving   its argument, announced, is on its way
 *   waiting     in `waiting` of its pool: it may run inline, or in the inner executor
 *   inline      the runner runs it: `host.inlined`
 *   inner       the inner executor has it; counted by `n_inner`
 *   ended       in `host.ended`: put there by a thread of the inner executor; a leader wakes
 *   replying    its result, announced, is on its way
 *
 * Up to the reply the job is also in `jobs` of its pool. In the inner executor it is a task of the
 * type `host_job_type` on threads, and a chunk of its own type on processes.
 *
 * Invariants
 *   1. A pool runs as many jobs at once as it has workers. A job runs inline only if the inner
 *      executor has none. While a job runs inline outside of blocking sections, the inner executor
 *      has fewer jobs than the pool has workers.
 *   2. While the jobs of a pool with several workers are long (HOST_LONG), all are inner: inline,
 *      they would wait for each other.
 *   3. Executors with an initializer, or with regions, have no inline jobs: the runner is none of
 *      their workers.
 *   4. A request to stop the inline job is made without the engine lock, since a request may call
 *      the task's cancel callbacks. `host.requests` keeps the token until the request returns.
 *
 *   word                 guarded by        meaning
 *   host.leader          the engine lock   the thread that leads, or is the next to lead
 *   host.runs            the engine lock   inline jobs up to now
 *   host.lost_runner     the engine lock   a task has ended the runner; no other was tried yet
 *   host.watcher_sleeps  the engine lock   the main thread sleeps until the next inline job
 *   host.ended, .freed   host.lock         what other threads hand over to the leader
 *   the rest             the engine lock
 *
 * The free of an inner executor waits for its workers. So a thread of its own frees it.
 */
#include "host.h"
#include "core/base/panic.h"
#include "core/base/sys.h"
#include "core/exec/executor.h"
#include "core/exec/map.h"
#include "core/sync/context_var.h"
#include "core/wait/cancel.h"
#include "engine.h"
#include "nested.h"
#include "regions.h"
#include <errno.h>
#include <fairlead/process_executor.h>
#include <fairlead/thread.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

struct host_pool {
	struct host_pool *next;
	struct host_pool *next_freed; /* in `host.freed` */
	uint32_t id, slots, workers;
	bool processes;
	bool inlines;                      /* its jobs may run inline */
	bool runs_inline;                  /* a job outside of a blocking section */
	unsigned longs;                    /* above 0: jobs are long */
	fl_executor *inner;                /* NULL: it could not be made yet */
	fl_task_type initialize;           /* without the hook, which is rank 0's */
	struct fl__mpi_received *received; /* NULL: there are no regions */
	struct host_job **jobs;            /* by slot */
	struct host_job *waiting, **waiting_end;
	uint32_t n_inner;
	fl_thread closer;
	bool closing, has_closer;
	char name[32];             /* of a worker, and of the runner during an inline job */
	char text[FL_MESSAGE_MAX]; /* why there is no inner executor */
	struct fl__mpi_head head;  /* OPEN, with its data */
	unsigned char data[];
};

enum { HOST_SMALL = 1280, HOST_FREE_MAX = 256 };

struct host_job {
	struct fl__mpi_transfer transfer; /* of the argument, then of the result */
	struct host_job *next;            /* in `waiting`, `host.ended` or `host.free` */
	struct host_pool *pool;
	uint32_t slot, round, count, done;
	int64_t deadline; /* 0: none */
	int64_t took;     /* nanoseconds, in the inner executor */
	const fl_task_type *type;
	fl_task_type plain;    /* on processes: without hooks, which are rank 0's */
	fl_future *future;     /* inner */
	fl_cancel_token token; /* inline */
	size_t arg_size, result_size;
	unsigned char *arg, *result; /* in `memory`, or NULL; on processes the future's */
	bool stop;                   /* asked to, before it could start */
	bool waits;                  /* in `waiting` */
	bool inner;                  /* `future` may follow its start */
	bool between;                /* stopped on request between two elements */
	struct fl__run frame;        /* of nested tasks, on threads */
	void *memory;                /* NULL: `small` suffices */
	unsigned char small[HOST_SMALL];
};

#define HOST_LONG FL_US(50)
#define HOST_LOOK FL_MS(1)
#define HOST_LINGER FL_MS(10)
/* HOST_POLLS: rounds between two looks at the clock. */
enum { HOST_LONGS = 16, HOST_POLLS = 8 };

static struct {
	struct host_pool *pools;
	bool over;
	size_t n_jobs;
	struct host_job *free; /* linked by `next` */
	unsigned n_free;
	struct fl__types_known types;
	sigset_t signals;               /* of the main thread */
	fl_thread runner, ended_runner; /* joined by the next runner that a task ends */
	bool has_runner, lost_runner;
	unsigned leader; /* FL__MPI_FIRST: the main thread; FL__MPI_SECOND: the runner */
	struct host_job *inlined;
	bool stops; /* the inline job is to be asked to stop */
	bool requests;
	unsigned blocking; /* of the inline job */
	uint64_t runs;
	bool watcher_sleeps;
	fl_mutex lock;
	struct host_job *ended, **ended_end;
	struct host_pool *freed;
	uint32_t handed_over; /* 1: one of the two is not empty; also read unlocked */
} host = {.lock = FL_MUTEX_INIT, .ended_end = &host.ended};

static _Noreturn void host_abort(const char *why)
{
	fl__mpi_abort("rank %d (%s) %s", fl__mpi_world.rank, fl__mpi_world.host, why);
}

static struct host_pool *host_find_pool(uint32_t id)
{
	struct host_pool *p = host.pools;
	while (p && p->id != id)
		p = p->next;
	if (!p)
		host_abort("got a message for an executor that it does not have");
	return p;
}

static void host_send(const struct fl__mpi_head *head, const char *text, const void *data)
{
	if (fl__mpi_send(0, head, text, data) != 0)
		host_abort("has no memory for a message");
}

/* Types. */

/* Returns 0; or an error, and a text. */
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

static int host_run_elements(fl_task_ctx *ctx, struct host_job *job)
{
	return fl__elements_run(job->type, ctx, job->arg, job->result, job->count, &job->done, &job->between);
}

/* A task ends the thread. A nested task would lose its frame: the thread panics. */
__attribute__((cold)) static void host_leave_nested(void *arg)
{
	struct host_job *job = arg;
	if (fl__ctx_get()->front.inside.helper == &job->frame)
		fl__mpi_nested_leave(&job->frame);
}

/* If the thread ends, the inner executor's worker ends the future. */
static int host_run_inner(fl_task_ctx *ctx, struct host_job *job)
{
	const int64_t began = fl_now();
	int rc;
	pthread_cleanup_push(host_leave_nested, job);
	rc = host_run_elements(ctx, job);
	pthread_cleanup_pop(0);
	job->took = fl_now() - began;
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

static const fl_task_type host_job_type = {
    .size = sizeof(fl_task_type),
    .name = "fl__mpi_job",
    .run = host_run_job,
    .arg_size = sizeof(struct host_job *),
    .arg_align = _Alignof(struct host_job *),
};

static void host_free_job(struct host_job *job)
{
	if (job->future)
		fl__chunk_detach_type(job->future); /* `plain` goes */
	fl_future_free(job->future);
	fl__free(job->memory);
	if (host.n_free == HOST_FREE_MAX) {
		fl__free(job);
		return;
	}
	job->next = host.free;
	host.free = job;
	host.n_free++;
}

static void host_sent(struct fl__mpi_transfer *t)
{
	host_free_job((struct host_job *)(void *)t); /* its first member */
}

/* Sends ENDED. Frees the job. */
static void host_reply(struct host_job *job, struct fl__mpi_head *head, const char *text)
{
	head->kind = FL__MPI_ENDED;
	head->pool = job->pool->id;
	head->slot = job->slot;
	head->round = job->round;
	head->text = (uint32_t)strnlen(text, FL_MESSAGE_MAX - 1);
	job->pool->jobs[job->slot] = NULL;
	host.n_jobs--;
	if (job->between)
		head->flags |= FL__MPI_BETWEEN;
	if (head->size > FL__MPI_INLINE)
		head->flags |= FL__MPI_ANNOUNCED;
	host_send(head, text, job->result);
	if (!(head->flags & FL__MPI_ANNOUNCED)) {
		host_free_job(job);
		return;
	}
	job->transfer.done = host_sent;
	fl__mpi_send_data(0, job->result, (size_t)head->size, &job->transfer);
}

static void FL_PRINTF(4, 5) host_refuse(struct host_job *job, int error, uint32_t flags, const char *format, ...)
{
	char text[FL_MESSAGE_MAX];
	struct fl__mpi_head head = {.error = error, .flags = flags};
	va_list args;
	va_start(args, format);
	(void)vsnprintf(text, sizeof text, format, args);
	va_end(args);
	host_reply(job, &head, text);
}

/* On processes. */
static void host_take_chunk(struct host_job *job, struct fl__mpi_head *head)
{
	const struct fl__task_block *block = fl__task_block_of(job->future);
	job->done = head->error == 0 ? job->count : block->done;
	job->result = job->future->result;
	job->between = block->asked == FL__STOP_BETWEEN;
	if (block->asked == FL__STOP_EXPIRED)
		head->flags |= FL__MPI_LATE;
}

static void host_reply_skipped(struct host_job *job)
{
	struct fl__mpi_head head = {.error = -ECANCELED, .flags = FL__MPI_SKIPPED};
	host_reply(job, &head, "");
}

static void host_note_length(struct host_pool *p, int64_t took)
{
	if (took >= HOST_LONG)
		p->longs = HOST_LONGS;
	else if (p->longs > 0)
		p->longs--;
}

static void host_end_job(struct host_job *job)
{
	fl_future *f = job->future;
	struct fl__mpi_head head = {.error = fl_future_error(f)};
	job->pool->n_inner--;
	if (fl_future_get_state(f) == FL_CANCELLED) {
		host_reply_skipped(job);
		return;
	}
	host_note_length(job->pool, job->took);
	if (fl__future_has_expired(f))
		head.error = -ECANCELED; /* the future in rank 0 has the task's own deadline */
	if (job->pool->processes)
		host_take_chunk(job, &head);
	if (head.error != 0 && fl__future_keeps_result(f))
		head.flags |= FL__MPI_KEPT;
	if (head.error == -ENOTRECOVERABLE && fl_executor_is_broken(job->pool->inner))
		head.flags |= FL__MPI_BROKEN;
	head.done = job->done;
	head.size = job->result ? job->result_size : 0;
	host_reply(job, &head, fl_future_message(f));
}

/* Without the engine lock. */
static void host_wake_leader(void)
{
	fl__mpi_wake(FL__MPI_SECOND);
	fl__mpi_wake_lazily(FL__MPI_FIRST); /* if the main thread watches, it sleeps on */
}

/* On a thread of the inner executor, or a leader. */
static void host_on_end(fl_future *f, void *arg)
{
	struct host_job *job = arg;
	(void)f;
	job->next = NULL;
	{
		FL_LOCKED(&host.lock);
		fl__store_relaxed(&host.handed_over, 1); /* relaxed: host_wake_leader() orders it */
		*host.ended_end = job;
		host.ended_end = &job->next;
	}
	host_wake_leader();
}

static void host_start_inner(struct host_job *job)
{
	struct host_pool *p = job->pool;
	const fl_submit_config config = {.deadline = job->deadline, .on_end = host_on_end, .on_end_arg = job};
	int rc;
	job->inner = true;
	if (p->processes)
		rc = fl__submit(p->inner, &job->plain, job->arg, job->count, &job->future, &config, 0);
	else
		rc = fl_submit_with(p->inner, &host_job_type, &job, &job->future, &config);
	if (rc == -ENOTRECOVERABLE) {
		struct fl__mpi_head head = {.error = rc, .flags = FL__MPI_BROKEN};
		host_reply(job, &head, p->inner->why_broken); /* constant since the submit failed */
	} else if (rc != 0) {
		host_refuse(job, rc, 0, "the task cannot start in rank %d (%s): %s", fl__mpi_world.rank,
		            fl__mpi_world.host, fl_error_text(rc));
	} else {
		p->n_inner++;
	}
}

/* Its argument is there. */
static void host_start_job(struct host_job *job)
{
	struct host_pool *p = job->pool;
	if (job->stop) {
		host_reply_skipped(job);
	} else if (!p->inlines) {
		host_start_inner(job);
	} else {
		job->waits = true;
		job->next = NULL;
		*p->waiting_end = job;
		p->waiting_end = &job->next;
	}
}

static struct host_job *host_take_waiting(struct host_pool *p, struct host_job **link)
{
	struct host_job *job = *link;
	*link = job->next;
	if (!*link)
		p->waiting_end = link;
	job->waits = false;
	return job;
}

static void host_cancel_waiting(struct host_job *job)
{
	struct host_job **link = &job->pool->waiting;
	while (*link != job)
		link = &(*link)->next;
	host_reply_skipped(host_take_waiting(job->pool, link));
}

static bool host_goes_inner(const struct host_pool *p)
{
	if (p->runs_inline)
		return p->n_inner + 1 < p->workers;
	return !host.has_runner || host.inlined || p->n_inner > 0 || (p->longs > 0 && p->workers > 1);
}

static void host_start_waiting(void)
{
	for (struct host_pool *p = host.pools; p; p = p->next)
		while (p->waiting && host_goes_inner(p))
			host_start_inner(host_take_waiting(p, &p->waiting));
}

static void host_received(struct fl__mpi_transfer *t)
{
	struct host_job *job = (struct host_job *)(void *)t; /* its first member */
	if (job->type)
		host_start_job(job);
	else
		host_free_job(job); /* it was refused */
}

static size_t host_aligned(size_t size)
{
	return (size + FL_TASK_ALIGN_MAX - 1) & ~(size_t)(FL_TASK_ALIGN_MAX - 1);
}

static unsigned char *host_align(unsigned char *at)
{
	return at + (FL_TASK_ALIGN_MAX - (uintptr_t)at % FL_TASK_ALIGN_MAX) % FL_TASK_ALIGN_MAX; /* cast: the address */
}

/* Zeroed. False: no memory. */
static bool host_make_memory(struct host_job *job)
{
	const size_t arg = host_aligned(job->arg_size),
		     result = job->pool->processes ? 0 : host_aligned(job->result_size);
	unsigned char *at = host_align(job->small);
	if (arg + result + FL_TASK_ALIGN_MAX > HOST_SMALL) {
		job->memory = fl__alloc(1, arg + result + FL_TASK_ALIGN_MAX);
		if (!job->memory)
			return false;
		at = host_align(job->memory);
	} else {
		memset(at, 0, arg + result);
	}
	job->arg = arg > 0 ? at : NULL;
	job->result = result > 0 ? at + arg : NULL;
	return true;
}

/* Zeroes all but `small`. */
static struct host_job *host_new_job(void)
{
	struct host_job *job = host.free;
	if (!job) {
		job = fl__alloc(1, sizeof *job);
		if (!job)
			host_abort("has no memory for a task");
		return job;
	}
	host.free = job->next;
	host.n_free--;
	memset(job, 0, offsetof(struct host_job, small));
	return job;
}

static struct host_job *host_make_job(const struct fl__mpi_head *head)
{
	struct host_pool *p = host_find_pool(head->pool);
	if (head->slot >= p->slots || p->jobs[head->slot])
		host_abort("got a task in a slot that is in use");
	struct host_job *job = host_new_job();
	job->pool = p;
	job->slot = head->slot;
	job->round = head->round;
	job->count = head->count;
	job->arg_size = (size_t)head->size;
	job->deadline = head->rest == FL_FOREVER ? 0 : fl_after(head->rest > 0 ? head->rest : 0);
	p->jobs[head->slot] = job;
	host.n_jobs++;
	return job;
}

/* Drops a refused task's argument. */
static void host_drain(int from, const struct fl__mpi_head *head)
{
	struct host_job *drain = host_new_job();
	drain->memory = fl__alloc(1, (size_t)head->size);
	if (!drain->memory)
		host_abort("has no memory for an argument");
	drain->transfer.done = host_received;
	fl__mpi_recv_data(from, drain->memory, (size_t)head->size, &drain->transfer);
}

/* The inner executor. */

/*
 * After a passing shortage the next task tries again. A task may have changed the signals of the
 * runner, which a new executor would take over.
 */
static int host_create_inner(struct host_pool *p)
{
	struct fl__mpi_open open;
	char why[FL_MESSAGE_MAX];
	sigset_t before;
	memcpy(&open, p->data, sizeof open);
	fl_executor_config config = open.config;
	config.name = open.name;
	if (p->received) {
		config.regions = p->received->regions;
		config.n_regions = p->received->n;
	}
	if (p->head.flags & FL__MPI_INITIALIZED) {
		const fl_task_type *type;
		if (host_type_of(&p->head, &type, why) != 0) {
			(void)snprintf(p->text, sizeof p->text,
			               "the executor is broken: its initializer does not match: %.190s", why);
			return -ENOTRECOVERABLE;
		}
		p->initialize = *type;
		p->initialize.drop_arg = NULL;
		config.initialize = &p->initialize;
		config.initialize_arg = type->arg_size > 0 ? p->data + sizeof open : NULL;
	}
	(void)pthread_sigmask(SIG_SETMASK, &host.signals, &before);
	int rc = p->processes ? fl_process_executor_create(&p->inner, &config)
	                      : fl_thread_executor_create(&p->inner, &config);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc != 0)
		(void)snprintf(p->text, sizeof p->text, "rank %d (%s) cannot make its own executor: %s",
		               fl__mpi_world.rank, fl__mpi_world.host, fl_error_text(rc));
	return rc;
}

/* Returns 0; or an error, flags of ENDED, and a text. */
static int host_prepare_job(struct host_job *job, const struct fl__mpi_head *head, uint32_t *flags, char *text)
{
	const fl_task_type *type;
	int rc = job->pool->inner ? 0 : host_create_inner(job->pool);
	if (rc != 0) {
		*flags = rc == -ENOTRECOVERABLE ? FL__MPI_BROKEN : 0;
		(void)snprintf(text, FL_MESSAGE_MAX, "%s", job->pool->text);
		return rc;
	}
	rc = host_type_of(head, &type, text);
	if (rc != 0) {
		*flags = FL__MPI_MISMATCH;
		return rc;
	}
	job->result_size = job->count * type->result_size;
	if (!host_make_memory(job)) {
		(void)snprintf(text, FL_MESSAGE_MAX, "rank %d (%.48s) has no memory for argument and result",
		               fl__mpi_world.rank, fl__mpi_world.host);
		return -ENOMEM;
	}
	job->type = type;
	if (job->pool->processes) {
		job->plain = *type;
		job->plain.drop_arg = job->plain.drop_result = NULL;
	}
	return 0;
}

static void host_on_task(int from, const struct fl__mpi_head *head, const char *data)
{
	struct host_job *job = host_make_job(head);
	const bool announced = head->flags & FL__MPI_ANNOUNCED;
	char text[FL_MESSAGE_MAX];
	uint32_t flags = 0;
	int rc = host_prepare_job(job, head, &flags, text);
	if (rc != 0 && announced)
		host_drain(from, head);
	if (rc != 0) {
		host_refuse(job, rc, flags, "%s", text);
	} else if (announced) {
		job->transfer.done = host_received;
		fl__mpi_recv_data(from, job->arg, job->arg_size, &job->transfer);
	} else {
		if (job->arg)
			memcpy(job->arg, data, job->arg_size);
		host_start_job(job);
	}
}

static void host_on_stop(const struct fl__mpi_head *head)
{
	const struct host_pool *p = host_find_pool(head->pool);
	struct host_job *job = head->slot < p->slots ? p->jobs[head->slot] : NULL;
	if (!job || job->round != head->round)
		return; /* it has ended */
	if (job->waits) {
		host_cancel_waiting(job);
	} else if (head->kind == FL__MPI_RECALL) {
		const struct fl__mpi_head begun = {
		    .kind = FL__MPI_BEGUN, .pool = head->pool, .slot = head->slot, .round = head->round};
		if (!job->future || fl_future_cancel_pending(job->future) != 0)
			host_send(&begun, "", NULL);
	} else if (job == host.inlined) {
		host.stops = true;
	} else if (job->future) {
		FL_IGNORE(fl_future_cancel(job->future));
	} else {
		job->stop = true;
	}
}

/* The runner. */

/* Releases the engine lock for a while. */
static void host_request_stop(void)
{
	struct host_job *job = host.inlined;
	host.stops = false;
	host.requests = true;
	fl_mutex_unlock(&fl__mpi_lock);
	fl_cancel_token_request(&job->token);
	fl_mutex_lock(&fl__mpi_lock);
	host.requests = false;
}

/* Without the lock. Another job may run while the inline job blocks. */
static void host_on_block(struct fl__run *run, bool begins)
{
	(void)run;
	FL_LOCKED(&fl__mpi_lock);
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
	for (struct host_pool *p = host.pools; p; p = p->next)
		if (p->waiting && !host_goes_inner(p))
			return host_take_waiting(p, &p->waiting);
	return NULL;
}

static const struct fl__worker_ops host_worker_ops = {.block = fl__run_block};

/* Invariant 4. */
static void host_await_requests(void)
{
	while (host.requests) {
		fl_mutex_unlock(&fl__mpi_lock);
		fl__sys.nap();
		fl_mutex_lock(&fl__mpi_lock);
	}
}

static void host_allow_pthread_cancel(bool allow)
{
	int before;
	(void)pthread_setcancelstate(allow ? PTHREAD_CANCEL_ENABLE : PTHREAD_CANCEL_DISABLE, &before);
}

/* Without the lock. */
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
	const int error = fl__task_call(&host_job_type, &job, NULL, task, NULL);
	host_allow_pthread_cancel(false);
	ctx->name = name;
	ctx->worker_ops = NULL;
	ctx->worker = NULL;
	fl_mutex_lock(&fl__mpi_lock);
	host_await_requests();
	return error;
}

/* Replies, unless rank 0 has ended. */
static void host_end_inline(struct fl__mpi_head *head, int64_t took, const char *text)
{
	struct host_job *job = host.inlined;
	host.inlined = NULL;
	host.stops = job->pool->runs_inline = false;
	host.blocking = 0;
	if (host.over)
		return; /* MPI may have ended */
	host_note_length(job->pool, took);
	fl_cancel_token_destroy(&job->token);
	head->done = job->done;
	head->size = job->result ? job->result_size : 0;
	host_reply(job, head, text);
}

static int64_t host_run_inline(struct host_job *job, int64_t began)
{
	fl_task_ctx task = {.token = &job->token};
	struct host_pool *p = job->pool;
	fl__cancel_init(&job->token, FL_SHIELDED, job->deadline != 0 ? job->deadline : FL_FOREVER);
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
	struct fl__mpi_head head = {.error = host_call_inline(job, &task)};
	const int64_t now = fl_now();
	if (head.error != 0 && task.keeps_result)
		head.flags |= FL__MPI_KEPT;
	host_end_inline(&head, now - began, head.error != 0 && task.message ? task.message : "");
	host.leader = FL__MPI_SECOND;
	fl__message_free(fl__task_take_message(&task));
	return now;
}

static bool host_round(void);

/*
 * Up to HOST_TOGETHER replies leave together: a reply waits at most for the time `held`, and for
 * the job that runs. If that job is long, the main thread flushes.
 */
static bool host_run_waiting(void)
{
	enum { HOST_TOGETHER = 16 };
	static const int64_t turn = FL_US(20), held = FL_US(2);
	int64_t now = 0, began = 0, flushed = 0;
	struct host_job *job;
	unsigned n = 0;
	bool some = false;
	while (!host.over && (now - began < turn) && (job = host_next_inline()) != NULL) {
		if (!some)
			now = began = flushed = fl_now();
		some = true;
		now = host_run_inline(job, now);
		if (host.over || (++n < HOST_TOGETHER && now - flushed < held))
			continue;
		fl__mpi_flush();
		flushed = now;
		n = 0;
	}
	return some;
}

/*
 * The inline job ends the runner. In a nested task or a callback, functions of the library lose
 * their frames: then the end panics.
 */
__attribute__((cold)) static void host_runner_exits(void *arg)
{
	struct fl__ctx *ctx = fl__ctx_get();
	struct fl__mpi_head head = {.error = -EOWNERDEAD};
	(void)arg;
	if (fl__is_forked(fl__mpi_world.fork_count))
		return;                  /* a forked child ends with its thread */
	host_leave_nested(host.inlined); /* only this thread writes `inlined` */
	if (ctx->front.inside.helper || ctx->front.inside.calling)
		return;
	ctx->front.scope = NULL;
	fl__values_leave(ctx, NULL);
	ctx->name = "mpi-runner";
	ctx->worker_ops = NULL;
	ctx->worker = NULL;
	fl_mutex_lock(&fl__mpi_lock);
	host_await_requests();
	host_end_inline(&head, 0, "the task's function " FL__ENDS_THREAD);
	host.leader = FL__MPI_FIRST;
	fl_thread before = {NULL};
	if (!host.over) { /* else host_leave() joins the runner */
		before = host.ended_runner;
		host.ended_runner = host.runner;
		host.has_runner = false;
		host.lost_runner = true;
	}
	fl_mutex_unlock(&fl__mpi_lock);
	fl__mpi_wake(FL__MPI_FIRST);
	FL_IGNORE(fl_thread_join_until(&before, NULL, FL_FOREVER, FL_SHIELDED)); /* -EINVAL: it is the first */
}

/*
 * pthread_cancel() acts on the runner only in tasks: elsewhere the runner may hold the engine lock,
 * and calls of MPI are cancellation points.
 */
static int host_run(void *arg)
{
	struct fl__mpi_pace pace = {.sleeper = FL__MPI_SECOND};
	(void)arg;
	host_allow_pthread_cancel(false);
	pthread_cleanup_push(host_runner_exits, NULL);
	fl_mutex_lock(&fl__mpi_lock);
	host.leader = FL__MPI_SECOND;
	while (!host.over) {
		bool some = false;
		for (unsigned polls = 0; polls < HOST_POLLS && !some && !host.over; polls++)
			some = host_round();
		some |= host_run_waiting();
		if (host.over)
			break; /* MPI may have ended */
		fl__mpi_flush();
		const enum fl__mpi_expects expects = host.n_jobs > 0 ? FL__MPI_EXPECTS_ALL : FL__MPI_EXPECTS_TASKS;
		fl_mutex_unlock(&fl__mpi_lock);
		fl__mpi_pause(&pace, some, expects);
		fl_mutex_lock(&fl__mpi_lock);
	}
	fl_mutex_unlock(&fl__mpi_lock);
	pthread_cleanup_pop(0);
	fl__mpi_wake(FL__MPI_FIRST);
	return 0;
}

/* True: there is a runner. It has the caller's signals. */
static bool host_start_runner(void)
{
	const fl_thread_config config = {.name = "mpi-runner"};
	host.lost_runner = false;
	if (!host.has_runner)
		host.has_runner = fl_thread_start(&host.runner, host_run, NULL, &config) == 0;
	return host.has_runner;
}

/* The life of an inner executor. */

static void host_on_open(const struct fl__mpi_head *head, const char *data)
{
	struct fl__mpi_open open;
	if (head->size < sizeof open)
		host_abort("got a damaged message");
	memcpy(&open, data, sizeof open);
	struct host_pool *p = fl__alloc(1, sizeof *p + (size_t)head->size);
	if (p)
		p->jobs = fl__alloc(open.slots, sizeof *p->jobs);
	if (!p || !p->jobs)
		host_abort("has no memory for an executor");
	p->id = head->pool;
	p->slots = open.slots;
	p->workers = open.config.workers;
	(void)snprintf(p->name, sizeof p->name, "%.*s-0", (int)sizeof open.name, open.name);
	p->processes = open.processes;
	p->waiting_end = &p->waiting;
	p->next = host.pools;
	host.pools = p;
	p->received = fl__mpi_receiver_take(p->id);
	p->head = *head;
	memcpy(p->data, data, (size_t)head->size);
	p->inlines = host_create_inner(p) == 0 && !p->processes && !p->received &&
	             !(head->flags & FL__MPI_INITIALIZED) && host_start_runner();
}

/* Rank 0 has cancelled all that has not started. */
static void host_on_terminate(const struct fl__mpi_head *head)
{
	struct host_pool *p = host_find_pool(head->pool);
	while (p->waiting)
		host_cancel_waiting(p->waiting);
	if (p->inner)
		(void)fl_executor_terminate(p->inner);
}

static int host_close(void *arg)
{
	struct host_pool *p = arg;
	fl_executor_free(p->inner);
	fl__mpi_received_free(p->received);
	{
		FL_LOCKED(&host.lock);
		p->next_freed = host.freed;
		host.freed = p;
		fl__store_relaxed(&host.handed_over, 1); /* relaxed: as in host_on_end() */
	}
	host_wake_leader();
	return 0;
}

static void host_on_close(const struct fl__mpi_head *head)
{
	struct host_pool *p = host_find_pool(head->pool);
	const fl_thread_config config = {.name = "mpi-close", .block_signals = true};
	p->closing = true; /* from now on `inner` is the closer's */
	p->has_closer = p->inner && fl_thread_start(&p->closer, host_close, p, &config) == 0;
	if (!p->has_closer)
		(void)host_close(p);
}

static void host_forget(struct host_pool *p)
{
	const struct fl__mpi_head head = {.kind = FL__MPI_CLOSED, .pool = p->id};
	struct host_pool **link = &host.pools;
	if (p->has_closer)
		FL_IGNORE(fl_thread_join(&p->closer, NULL));
	while (*link != p)
		link = &(*link)->next;
	*link = p->next;
	host_send(&head, "", NULL);
	fl__free(p->jobs);
	fl__free(p);
}

/* The rank. */

static void host_handle(int from, const struct fl__mpi_head *head, const char *text, const char *data)
{
	(void)text;
	switch (head->kind) {
	case FL__MPI_OPEN:
		host_on_open(head, data);
		break;
	case FL__MPI_TASK:
		host_on_task(from, head, data);
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
		fl__mpi_receiver_on_bytes(head);
		break;
	case FL__MPI_EXIT:
		host.over = true;
		break;
	default:
		host_abort("got a message of an unknown kind");
	}
}

/* True: there was something. */
static bool host_take_ended(void)
{
	struct host_job *jobs;
	struct host_pool *freed;
	/* relaxed: a thread that adds one wakes the leader afterwards */
	if (fl__load_relaxed(&host.handed_over) == 0)
		return false;
	{
		FL_LOCKED(&host.lock);
		jobs = host.ended;
		freed = host.freed;
		host.ended = NULL;
		host.ended_end = &host.ended;
		host.freed = NULL;
		fl__store_relaxed(&host.handed_over, 0);
	}
	const bool some = jobs || freed;
	for (struct host_job *next; jobs; jobs = next) {
		next = jobs->next;
		host_end_job(jobs);
	}
	for (struct host_pool *next; freed; freed = next) {
		next = freed->next_freed;
		host_forget(freed);
	}
	return some;
}

static void host_ignore(int from, const struct fl__mpi_head *head, const char *text, const char *data)
{
	(void)from;
	(void)head;
	(void)text;
	(void)data;
}

/* True: there was something. */
static bool host_round(void)
{
	bool some = fl__mpi_progress(host_handle);
	if (host.stops && !host.requests)
		host_request_stop();
	some |= host_take_ended();
	some |= fl__mpi_receiver_take_made();
	host_start_waiting();
	return some;
}

/* Tasks get a second to stop. Releases the engine lock. */
static void host_leave(void)
{
	const int64_t until = fl_after(FL_S(1));
	fl__mpi_leave();
	for (struct host_pool *p = host.pools; p; p = p->next)
		if (p->inner && !p->closing)
			(void)fl_executor_cancel(p->inner);
	if (host.inlined && !host.requests)
		host_request_stop();
	/* Receives and sends what was announced. */
	fl__mpi_flush();
	while (fl__mpi_under_way() > 0 && fl_now() < until)
		(void)fl__mpi_progress(host_ignore);
	fl_mutex_unlock(&fl__mpi_lock);
	fl__mpi_wake(FL__MPI_SECOND);
	bool left = host.has_runner && fl_thread_join_until(&host.runner, NULL, until, FL_SHIELDED) != 0;
	for (struct host_pool *p = host.pools; p; p = p->next)
		left |= p->inner && !p->closing && fl_executor_join_until(p->inner, until, FL_SHIELDED) != 0;
	if (left)
		fl__log(FL_LOG_WARNING, "rank %d (%s) ends with a task that does not stop", fl__mpi_world.rank,
		        fl__mpi_world.host);
}

/* The runner leads. Releases the engine lock for a while. */
static void host_watch(bool ran)
{
	static int64_t ran_at;
	const int64_t now = fl_now();
	if (ran || host.inlined)
		ran_at = now;
	host.watcher_sleeps = now - ran_at >= HOST_LINGER;
	const int64_t ns = host.watcher_sleeps ? FL_FOREVER : HOST_LOOK;
	fl_mutex_unlock(&fl__mpi_lock);
	fl__mpi_nap(FL__MPI_FIRST, ns);
	fl_mutex_lock(&fl__mpi_lock);
	host.watcher_sleeps = false;
}

void fl__mpi_host_serve(void)
{
	struct fl__mpi_pace pace = {.sleeper = FL__MPI_FIRST};
	uint64_t seen = 0;
	(void)pthread_sigmask(SIG_SETMASK, NULL, &host.signals);
	fl_mutex_lock(&fl__mpi_lock);
	while (!host.over) {
		const bool ran = host.runs != seen;
		seen = host.runs;
		if (host.leader == FL__MPI_SECOND && host.inlined && !ran) {
			host.leader = FL__MPI_FIRST;
			host.inlined->pool->longs = HOST_LONGS;
		}
		if (host.leader == FL__MPI_SECOND) {
			host_watch(ran);
			pace.found = fl_now(); /* polls at first */
			continue;
		}
		if (host.lost_runner)
			(void)host_start_runner();
		const bool some = host_round();
		fl__mpi_flush();
		const enum fl__mpi_expects expects = host.n_jobs > 0 ? FL__MPI_EXPECTS_ALL : FL__MPI_EXPECTS_TASKS;
		fl_mutex_unlock(&fl__mpi_lock);
		fl__mpi_pause(&pace, some, expects);
		fl_mutex_lock(&fl__mpi_lock);
	}
	host_leave();
}
