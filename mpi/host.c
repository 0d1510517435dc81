/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A worker rank: its main thread is its MPI thread. For each executor of rank 0 the rank has an
 * executor of its own, an *inner* one, on threads or processes. A message of rank 0 becomes a
 * *job*, which runs as a task of the inner executor. Nested tasks run at once, on the stack of the
 * task that submits them (nested.c).
 *
 * On threads, a job is a task of the type `host_job_type`, whose function runs the job's elements.
 * On processes, the job's type is submitted itself, as a chunk: process executors run chunks.
 *
 * A job is in these places:
 *
 *   receiving   its argument, announced, is on its way
 *   running     the inner executor has it
 *   ended       in `host.ended`: put there by a thread of the inner executor; the MPI thread wakes
 *   replying    its result, announced, is on its way
 *
 * Up to the reply it is also in `jobs` of its pool, where a request to stop finds it.
 *
 * The free of an inner executor waits for its threads or processes. So a thread of its own frees
 * it, and the MPI thread serves on.
 */
#include "host.h"
#include "../lib/base/panic.h"
#include "../lib/base/sys.h"
#include "../lib/exec/executor.h"
#include "../lib/exec/map.h"
#include "../lib/exec/registry.h"
#include "engine.h"
#include "nested.h"
#include <errno.h>
#include <fairlead/process_executor.h>
#include <fairlead/thread.h>
#include <stdarg.h>
#include <stdio.h>

struct host_pool {
	struct host_pool *next;
	struct host_pool *next_freed; /* in `host.freed` */
	uint32_t id, slots;
	bool processes;
	fl_executor *inner;     /* NULL: it could not be made */
	struct host_job **jobs; /* by slot */
	fl_thread closer;
	bool closing, has_closer;
	int error; /* without `inner` */
	char text[FL_MESSAGE_MAX];
};

struct host_job {
	struct fl__mpi_transfer transfer; /* of the argument, then of the result */
	struct host_job *next;            /* in `host.ended` */
	struct host_pool *pool;
	uint32_t slot, round, count, done;
	int64_t deadline;
	const fl_task_type *type;
	fl_task_type plain; /* on processes: the same without hooks, which are rank 0's */
	fl_future *future;
	size_t arg_size, result_size; /* of all elements */
	unsigned char *arg, *result;  /* in `memory`, or NULL; on processes the result is the future's */
	bool stop;                    /* asked to, before it could start */
	void *memory;
};

struct host_known {
	uint64_t id, changes;
	const fl_task_type *type; /* NULL: none yet */
	uint32_t check;
	struct fl__build_id owner;
};

enum { HOST_KNOWN_TYPES = 64 };

static struct {
	struct host_pool *pools; /* the MPI thread's */
	bool over;
	size_t n_jobs;
	struct host_known known[HOST_KNOWN_TYPES];
	fl_mutex lock; /* guards the rest */
	struct host_job *ended, **ended_end;
	struct host_pool *freed;
} host = {.lock = FL_MUTEX_INIT, .ended_end = &host.ended};

static struct host_pool *host_find_pool(uint32_t id)
{
	struct host_pool *p = host.pools;
	while (p && p->id != id)
		p = p->next;
	if (!p)
		fl__mpi_abort("rank %d got a message for an executor that it does not have", fl__mpi_world.rank);
	return p;
}

static const char *host_name(void)
{
	static char name[64];
	if (!*name && gethostname(name, sizeof name - 1) != 0)
		(void)snprintf(name, sizeof name, "unknown host");
	return name;
}

static void host_send(const struct fl__mpi_head *head, const char *text, const void *data)
{
	if (fl__mpi_send(0, head, text, data) != 0)
		fl__mpi_abort("rank %d has no memory for a message", fl__mpi_world.rank);
}

/* Types. */

static const struct host_known *host_find_type(uint64_t id)
{
	struct host_known *k = &host.known[id % HOST_KNOWN_TYPES];
	const uint64_t changes = fl__registry_changes(); /* before the lookup: never too new */
	if (k->type && k->id == id && k->changes == changes)
		return k;
	const fl_task_type *type = fl__task_find_id(id);
	if (!type)
		return NULL;
	struct fl__task_identity identity;
	fl__task_identify(type, &identity);
	*k = (struct host_known){id, changes, type, 0, identity.owner};
	k->check = fl__mpi_check(&identity);
	return k;
}

/* Stores the type that a message names. Returns 0; or an error, and a text. */
static int host_type_of(const struct fl__mpi_head *head, const fl_task_type **type, char *text)
{
	char build[FL__BUILD_ID_TEXT];
	const struct host_known *k = host_find_type(head->task);
	if (!k) {
		(void)snprintf(text, FL_MESSAGE_MAX, "rank %d (%.48s) has none, or several, of that name and version",
		               fl__mpi_world.rank, host_name());
		return -ENOENT;
	}
	*type = k->type;
	if (k->check == head->check)
		return 0;
	(void)snprintf(text, FL_MESSAGE_MAX, "that of rank %d (%.48s) of build %s, with %zu and %zu bytes",
	               fl__mpi_world.rank, host_name(), fl__build_id_text(&k->owner, build), k->type->arg_size,
	               k->type->result_size);
	return -EPROTO;
}

/* The task of a job on threads. */

static int host_run_elements(fl_task_ctx *ctx, struct host_job *job)
{
	const fl_task_type *type = job->type;
	int error = 0;
	while (error == 0 && job->done < job->count) {
		if (job->done > 0 && fl_task_is_cancelled(ctx))
			return -ECANCELED;
		const unsigned char *from = job->arg ? job->arg + job->done * type->arg_size : NULL;
		unsigned char *to = job->result ? job->result + job->done * type->result_size : NULL;
		error = fl__task_run(type, from, to, ctx);
		if (error == 0) {
			fl__task_forget_failure(ctx); /* this element's: the next has its own */
			job->done++;
		}
	}
	return error;
}

static int host_run_job(fl_task_ctx *ctx, const void *arg, void *result)
{
	(void)result;
	struct fl__run frame;
	int rc = fl__mpi_nested_enter(&frame);
	if (rc != 0)
		return fl_task_fail(ctx, rc, "rank %d (%s) has no memory for nested tasks", fl__mpi_world.rank,
		                    host_name());
	rc = host_run_elements(ctx, *(struct host_job *const *)arg);
	fl__mpi_nested_leave(&frame);
	return rc;
}

static const fl_task_type host_job_type = {
    .size = sizeof(fl_task_type),
    .name = "fl__mpi_job",
    .run = host_run_job,
    .arg_size = sizeof(struct host_job *),
    .arg_align = _Alignof(struct host_job *),
};

/* The end of a job. */

static void host_free_job(struct host_job *job)
{
	if (job->future)
		fl__chunk_detach_type(job->future); /* `plain` goes */
	fl_future_free(job->future);
	fl__free(job->memory);
	fl__free(job);
}

static void host_sent(struct fl__mpi_transfer *t)
{
	host_free_job((struct host_job *)(void *)t); /* its first member */
}

/* Sends the end of a job: with its result if it has one, and the text. Frees the job. */
static void host_reply(struct host_job *job, struct fl__mpi_head *head, const char *text)
{
	head->kind = FL__MPI_ENDED;
	head->pool = job->pool->id;
	head->slot = job->slot;
	head->round = job->round;
	head->text = (uint32_t)strnlen(text, FL_MESSAGE_MAX - 1);
	job->pool->jobs[job->slot] = NULL;
	host.n_jobs--;
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

/* On processes: what the future of a chunk tells. */
static void host_take_chunk(struct host_job *job, struct fl__mpi_head *head)
{
	const struct fl__task_block *block = fl__task_block_of(job->future);
	job->done = head->error == 0 ? job->count : block->done;
	job->result = job->future->result;
	if (block->asked == FL__STOP_EXPIRED)
		head->flags |= FL__MPI_LATE;
}

static void host_end_job(struct host_job *job)
{
	fl_future *f = job->future;
	struct fl__mpi_head head = {.error = fl_future_error(f)};
	if (fl_future_get_state(f) == FL_CANCELLED) {
		head.flags = FL__MPI_SKIPPED;
		host_reply(job, &head, "");
		return;
	}
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

/* Called by a thread of the inner executor, or by the MPI thread. */
static void host_on_end(fl_future *f, void *arg)
{
	struct host_job *job = arg;
	(void)f;
	job->next = NULL;
	{
		FL_LOCKED(&host.lock);
		*host.ended_end = job;
		host.ended_end = &job->next;
	}
	fl__mpi_wake(FL__MPI_FIRST);
}

/* The start of a job. */

static void host_start_job(struct host_job *job)
{
	struct host_pool *p = job->pool;
	const fl_submit_config config = {.deadline = job->deadline, .on_end = host_on_end, .on_end_arg = job};
	int rc;
	if (p->processes)
		rc = fl__submit(p->inner, &job->plain, job->arg, job->count, &job->future, &config, 0);
	else
		rc = fl_submit_with(p->inner, &host_job_type, &job, &job->future, &config);
	if (rc == -ENOTRECOVERABLE) {
		struct fl__mpi_head head = {.error = rc, .flags = FL__MPI_BROKEN};
		host_reply(job, &head, "the executor is broken");
	} else if (rc != 0) {
		host_refuse(job, rc, 0, "the task cannot start in rank %d (%s): %s", fl__mpi_world.rank, host_name(),
		            fl_error_text(rc));
	} else if (job->stop) {
		FL_IGNORE(fl_future_cancel(job->future));
	}
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

/* Makes memory for argument and result, zeroed. False: there is none. */
static bool host_make_memory(struct host_job *job)
{
	const size_t arg = host_aligned(job->arg_size),
		     result = job->pool->processes ? 0 : host_aligned(job->result_size);
	if (arg + result == 0)
		return true;
	job->memory = fl__alloc(1, arg + result + FL_TASK_ALIGN_MAX);
	if (!job->memory)
		return false;
	/* cast: the next aligned address */
	unsigned char *at = (unsigned char *)job->memory +
	                    (FL_TASK_ALIGN_MAX - (uintptr_t)job->memory % FL_TASK_ALIGN_MAX) % FL_TASK_ALIGN_MAX;
	job->arg = arg > 0 ? at : NULL;
	job->result = result > 0 ? at + arg : NULL;
	return true;
}

/* A job of that message, in `jobs`. */
static struct host_job *host_make_job(const struct fl__mpi_head *head)
{
	struct host_pool *p = host_find_pool(head->pool);
	struct host_job *job = fl__alloc(1, sizeof *job);
	if (!job)
		fl__mpi_abort("rank %d (%s) has no memory for a task", fl__mpi_world.rank, host_name());
	if (head->slot >= p->slots || p->jobs[head->slot])
		fl__mpi_abort("rank %d (%s) got a task in a slot that is in use", fl__mpi_world.rank, host_name());
	*job = (struct host_job){
	    .pool = p, .slot = head->slot, .round = head->round, .count = head->count, .arg_size = (size_t)head->size};
	job->deadline = head->rest == FL_FOREVER ? 0 : fl_after(head->rest > 0 ? head->rest : 0); /* 0: none */
	p->jobs[head->slot] = job;
	host.n_jobs++;
	return job;
}

/* Receives and drops the argument of a task that was refused. */
static void host_drain(int from, const struct fl__mpi_head *head)
{
	struct host_job *drain = fl__alloc(1, sizeof *drain);
	if (drain)
		drain->memory = fl__alloc(1, (size_t)head->size);
	if (!drain || !drain->memory)
		fl__mpi_abort("rank %d (%s) has no memory for an argument of %zu bytes", fl__mpi_world.rank,
		              host_name(), (size_t)head->size);
	drain->transfer.done = host_received;
	fl__mpi_recv_data(from, drain->memory, (size_t)head->size, &drain->transfer);
}

/* Finds the type, and makes the memory. Returns 0; or an error, flags of ENDED, and a text. */
static int host_prepare_job(struct host_job *job, const struct fl__mpi_head *head, uint32_t *flags, char *text)
{
	const fl_task_type *type;
	if (!job->pool->inner) {
		*flags = FL__MPI_BROKEN;
		(void)snprintf(text, FL_MESSAGE_MAX, "%s", job->pool->text);
		return -ENOTRECOVERABLE;
	}
	int rc = host_type_of(head, &type, text);
	if (rc != 0) {
		*flags = FL__MPI_MISMATCH;
		return rc;
	}
	job->result_size = job->count * type->result_size;
	if (!host_make_memory(job)) {
		(void)snprintf(text, FL_MESSAGE_MAX, "rank %d (%.48s) has no memory for argument and result",
		               fl__mpi_world.rank, host_name());
		return -ENOMEM;
	}
	job->type = type;
	job->plain = *type;
	job->plain.drop_arg = job->plain.drop_result = NULL;
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
	if (head->kind == FL__MPI_RECALL) {
		const struct fl__mpi_head begun = {
		    .kind = FL__MPI_BEGUN, .pool = head->pool, .slot = head->slot, .round = head->round};
		if (!job->future || fl_future_cancel_pending(job->future) != 0)
			host_send(&begun, "", NULL);
		return;
	}
	if (job->future)
		FL_IGNORE(fl_future_cancel(job->future));
	else
		job->stop = true;
}

/* The life of an inner executor. */

static int host_create_inner(struct host_pool *p, const struct fl__mpi_head *head, const struct fl__mpi_open *open,
                             const void *initialize_arg)
{
	fl_executor_config config = {
	    .workers = open->workers,
	    .name = open->name,
	    .idle_timeout = open->idle_timeout,
	    .max_tasks = open->max_tasks,
	    .task_timeout = open->task_timeout,
	    .kill_after = open->kill_after,
	};
	char why[FL_MESSAGE_MAX];
	if (head->flags & FL__MPI_INITIALIZED) {
		int rc = host_type_of(head, &config.initialize, why);
		if (rc != 0) {
			(void)snprintf(p->text, sizeof p->text,
			               "the executor is broken: its initializer does not match: %.190s", why);
			return rc;
		}
		config.initialize_arg = config.initialize->arg_size > 0 ? initialize_arg : NULL;
	}
	int rc = p->processes ? fl_process_executor_create(&p->inner, &config)
	                      : fl_thread_executor_create(&p->inner, &config);
	if (rc != 0)
		(void)snprintf(p->text, sizeof p->text, "the executor is broken: rank %d (%s) cannot make its own: %s",
		               fl__mpi_world.rank, host_name(), fl_error_text(rc));
	return rc;
}

static void host_on_open(const struct fl__mpi_head *head, const char *data)
{
	struct fl__mpi_open open;
	_Alignas(max_align_t) unsigned char initialize_arg[FL__MPI_INLINE];
	if (head->size < sizeof open)
		fl__mpi_abort("rank %d got a damaged message", fl__mpi_world.rank);
	memcpy(&open, data, sizeof open);
	memcpy(initialize_arg, data + sizeof open, (size_t)head->size - sizeof open);
	struct host_pool *p = fl__alloc(1, sizeof *p);
	if (p)
		p->jobs = fl__alloc(open.slots, sizeof *p->jobs);
	if (!p || !p->jobs)
		fl__mpi_abort("rank %d (%s) has no memory for an executor", fl__mpi_world.rank, host_name());
	p->id = head->pool;
	p->slots = open.slots;
	p->processes = open.processes;
	p->next = host.pools;
	host.pools = p;
	p->error = host_create_inner(p, head, &open, initialize_arg);
}

/* Rank 0 is closed, and all that has not started there is cancelled. */
static void host_on_terminate(const struct fl__mpi_head *head)
{
	const struct host_pool *p = host_find_pool(head->pool);
	if (p->inner)
		(void)fl_executor_terminate(p->inner);
}

static int host_close(void *arg)
{
	struct host_pool *p = arg;
	fl_executor_free(p->inner);
	{
		FL_LOCKED(&host.lock);
		p->next_freed = host.freed;
		host.freed = p;
	}
	fl__mpi_wake(FL__MPI_FIRST);
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
	case FL__MPI_EXIT:
		host.over = true;
		break;
	default:
		fl__mpi_abort("rank %d got a message of an unknown kind", fl__mpi_world.rank);
	}
}

/* Handles what threads of the rank have handed over. True: there was something. */
static bool host_take_ended(void)
{
	struct host_job *jobs;
	struct host_pool *freed;
	{
		FL_LOCKED(&host.lock);
		jobs = host.ended;
		freed = host.freed;
		host.ended = NULL;
		host.ended_end = &host.ended;
		host.freed = NULL;
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

/* Rank 0 has ended. Tasks under way are asked to stop, and get a second to do so. */
static void host_leave(void)
{
	const int64_t until = fl_after(FL_S(1));
	fl__mpi_leave();
	for (struct host_pool *p = host.pools; p; p = p->next)
		if (p->inner && !p->closing)
			(void)fl_executor_cancel(p->inner);
	/* What rank 0 has announced is received, and what was announced to it is sent. */
	while (fl__mpi_under_way() > 0 && fl_now() < until)
		(void)fl__mpi_progress(host_ignore);
	for (struct host_pool *p = host.pools; p; p = p->next)
		if (p->inner && !p->closing && fl_executor_join_until(p->inner, until, FL_SHIELDED) != 0)
			fl__log(FL_LOG_WARNING, "rank %d (%s) ends with a task that does not stop", fl__mpi_world.rank,
			        host_name());
}

void fl__mpi_host_serve(void)
{
	struct fl__mpi_pace pace = {.sleeper = FL__MPI_FIRST};
	fl_mutex_lock(&fl__mpi_lock);
	while (!host.over) {
		bool some = fl__mpi_progress(host_handle);
		some |= host_take_ended();
		fl__mpi_flush();
		const enum fl__mpi_expects expects = host.n_jobs > 0 ? FL__MPI_EXPECTS_ALL : FL__MPI_EXPECTS_TASKS;
		fl_mutex_unlock(&fl__mpi_lock);
		fl__mpi_pause(&pace, some, expects);
		fl_mutex_lock(&fl__mpi_lock);
	}
	host_leave();
}
