/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The worker process. Its main thread runs the submissions. A task's own submits run at once, on
 * the executor `nested`.
 *
 * Requests to stop. A second thread, the listener, sleeps on `stop_requests`. If the current
 * submission is asked to stop, the listener cancels `token`, which serves all submissions. `lock`
 * guards `token` and `current`, which change together. The main thread makes a submission current
 * under the lock, and only then checks whether it is asked to stop:
 *
 * - If the listener checked before that, its unlock made the request visible to the main thread.
 * - If the listener checks later, it finds the submission current.
 *
 * A request that comes after the submission's end cancels a token that worker_begin() will replace.
 *
 * Memory. A worker whose memory has passed `memory_max` leaves: it takes no further submission,
 * says so in its ring, and exits. It looks after a submission, but at most once in `worker_look`,
 * because a look makes three system calls. In that time a process gets at most about 10 MiB of new
 * memory, because the kernel must zero it. A long submission is always followed by a look. The
 * clock, which needs no system call, is read between the completion and the next submission, so no
 * caller waits for it.
 *
 * If a worker uses too much memory before its first task, so would the next worker. Therefore it
 * does not leave but is unfit, or its initializer fails.
 *
 * The worker trusts its parent, but checks every offset before use, so that a bug of Fairlead
 * yields a message.
 */
#include "worker.h"
#include "../base/identity.h"
#include "../base/memfd.h"
#include "../base/packet.h"
#include "../base/process_sys.h"
#include "../remote/nested.h"
#include "../shm/shm_region.h"
#include "../shm/shm_sys.h"
#include "../start/new_process.h"
#include "core/base/atomic.h"
#include "core/base/sys.h"
#include "core/exec/executor.h"
#include "core/hooks.h"
#include "core/sync/thread.h"
#include "core/wait/cancel.h"
#include <errno.h>
#include <fairlead/task.h>
#include <fairlead/thread.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct worker_self {
	struct fl__worker_rings rings;
	int channel, doorbell;
	unsigned n_regions;
	fl_shm *regions[FL_REGIONS_MAX];
	fl_executor *nested;
	int pid;
	struct fl__run frame;
	struct fl__types_known types;
	sigset_t signals; /* the signals that its threads block */
	fl_mutex lock;
	uint32_t current; /* the submission that `token` serves */
	uint64_t memory_max;
	int64_t looked; /* when the worker last looked at its memory */
	fl_cancel_token token;
} worker_self; /* static, because the listener may use it after the task has returned */

struct worker_job {
	const struct fl__submission *submission;
	const fl_task_type *type;
	size_t arg_size, result_size, mapped;
	const char *arg; /* NULL if the argument has size 0 */
	char *result;
	/* mapped memory if there is a memfd, otherwise NULL */
	void *arg_memory, *result_memory;
	uint32_t flags, done;
};

static unsigned worker_slot(const struct worker_self *w)
{
	return w->rings.next % FL__RINGS_DEPTH;
}

static int FL_PRINTF(4, 5)
    worker_set_message(struct worker_self *w, struct worker_job *job, int error, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	(void)vsnprintf(w->rings.completions->message[worker_slot(w)], FL__RINGS_MESSAGE, format, args);
	va_end(args);
	job->flags |= FL__COMPLETION_MESSAGE;
	return error;
}

static int worker_fail(struct worker_self *w, struct worker_job *job, int error, const char *what)
{
	return worker_set_message(w, job, error, "%s: %s", what, fl_error_text(error));
}

/* Types. */

static int worker_find_type(struct worker_self *w, struct worker_job *job)
{
	const struct fl__submission *submission = job->submission;
	const struct fl__type_known *k = fl__types_find_id(&w->types, submission->task);
	if (!k)
		return worker_set_message(
		    w, job, -ENOENT, "the task (id %016llx) is not registered in the worker, or another has its name",
		    (unsigned long long)submission->task);
	if (k->check != submission->check)
		return worker_set_message(w, job, -EPROTO, "task %s of the worker is of another version or build",
		                          k->type->name);
	job->type = k->type;
	uint64_t arg_size = (uint64_t)submission->count * k->type->arg_size;
	uint64_t result_size = (uint64_t)submission->count * k->type->result_size;
	if (arg_size > FL_TASK_SIZE_MAX || result_size > FL_TASK_SIZE_MAX)
		return worker_set_message(w, job, -EPROTO, "a submission of %u tasks %s is too large",
		                          submission->count, k->type->name);
	job->arg_size = (size_t)arg_size;
	job->result_size = (size_t)result_size;
	return 0;
}

static bool worker_is_in_arena(uint32_t at, size_t size)
{
	return at <= FL__RINGS_ARENA && size <= FL__RINGS_ARENA - at && at % FL__BYTES_UNIT == 0;
}

/*
 * Receives the memfd of the argument, which the parent has sent before. Closes memfds of earlier
 * submissions.
 */
static int worker_recv_arg(const struct worker_self *w, uint64_t *size)
{
	bool unused = false;
	return fl__memfd_recv(w->channel, &w->rings.next, size, &unused);
}

static int worker_take_arg_memfd(const struct worker_self *w, struct worker_job *job)
{
	uint64_t size;
	const int fd = worker_recv_arg(w, &size);
	if (fd < 0)
		return fd;
	job->mapped = fl__bytes_declares(job->type->drop_arg) ? (size_t)size : job->arg_size;
	const int rc = size == job->mapped ? fl__sealed_map(fd, job->mapped, &job->arg_memory) : -EBADMSG;
	fl__fd_close(fd);
	return rc;
}

static void worker_drop_arg(void *worker, const struct fl__submission *submission)
{
	const struct worker_self *w = worker;
	uint64_t size;
	if (submission->flags & FL__SUBMISSION_ARG_MEMFD)
		fl__fd_close(worker_recv_arg(w, &size));
}

/* Copies the arguments to separate memory, because the handles are changed. */
static int worker_read_bytes(struct worker_self *w, struct worker_job *job)
{
	static _Alignas(FL_TASK_ALIGN_MAX) char args[FL__RINGS_INLINE_MOST];
	const uint32_t at = job->submission->arg + (uint32_t)fl__room_begin(job->arg_size, job->type->arg_align);
	const struct fl__bytes_part room = {w->rings.submissions->arena + at, FL__RINGS_ARENA - at},
				    memfd = {job->arg_memory, job->mapped};
	memcpy(args, job->arg, job->arg_size);
	job->arg = args;
	const int rc = fl__bytes_read_args(args, job->submission->count, job->type->arg_size, room, memfd);
	return rc == 0 ? 0 : worker_fail(w, job, rc, "the argument's bytes are outside of it");
}

static int worker_take_arg(struct worker_self *w, struct worker_job *job)
{
	const struct fl__submission *submission = job->submission;
	const bool bytes = fl__bytes_declares(job->type->drop_arg);
	const enum fl__place place = fl__place_of(job->arg_size, job->type->arg_align);
	if (bytes ? submission->flags & FL__SUBMISSION_ARG_MEMFD : place == FL__PLACE_MEMFD) {
		const int rc = worker_take_arg_memfd(w, job);
		if (rc != 0)
			return worker_fail(w, job, rc, "the argument does not arrive");
	}
	if (!worker_is_in_arena(submission->arg, fl__room_begin(job->arg_size, job->type->arg_align)))
		return worker_fail(w, job, -EPROTO, "the argument is outside of its arena");
	if (job->arg_size > 0)
		job->arg = place == FL__PLACE_SLOT    ? (const char *)submission->small
		           : place == FL__PLACE_ARENA ? (const char *)w->rings.submissions->arena + submission->arg
		                                      : job->arg_memory;
	return bytes && job->arg ? worker_read_bytes(w, job) : 0;
}

static int worker_make_result(struct worker_self *w, struct worker_job *job)
{
	const struct fl__submission *submission = job->submission;
	const enum fl__place place = fl__place_of(job->result_size, job->type->result_align);
	const size_t begin = fl__room_begin(job->result_size, job->type->result_align);
	const bool bytes = fl__bytes_declares(job->type->drop_result);
	const size_t room = (size_t)submission->room * FL__BYTES_UNIT;
	unsigned char *const arena = w->rings.completions->arena + submission->result;
	if (!worker_is_in_arena(submission->result, begin + room))
		return worker_fail(w, job, -EPROTO, "the result is to be outside of its arena");
	if (place == FL__PLACE_MEMFD || bytes)
		fl__bytes_begin(w->channel, w->rings.next, arena + begin, room);
	if (place == FL__PLACE_MEMFD) {
		const int rc = fl__bytes_map(job->result_size, &job->result_memory);
		job->result = job->result_memory;
		return rc == 0 ? 0 : worker_fail(w, job, rc, "no memory for the result");
	}
	if (job->result_size == 0)
		return 0;
	if (place == FL__PLACE_SLOT) {
		struct fl__completion *completion = &w->rings.completions->entry[worker_slot(w)];
		/* with a constant size, the compiler replaces memset() by stores */
		if (!bytes)
			memset(completion->small, 0, sizeof completion->small);
		job->result = (char *)completion->small;
		return 0;
	}
	job->result = (char *)arena;
	if (!bytes)
		memset(arena, 0, job->result_size);
	return 0;
}

/* Unmaps the memory of a job, finishes the bytes of its results, and returns its error. */
static int worker_finish_job(struct worker_self *w, struct worker_job *job, int error)
{
	if (job->arg_memory)
		fl__shm_sys.unmap(job->arg_memory, job->mapped);
	if (job->result_memory)
		/* the seal would fail while the memory is mapped */
		fl__shm_sys.unmap(job->result_memory, job->result_size);
	bool sent = false;
	const bool sends =
	    job->result_memory && (error == 0 || job->submission->count > 1 || (job->flags & FL__COMPLETION_KEPT));
	const int rc = fl__bytes_finish(sends, &sent);
	if (sent && !sends)
		job->flags |= FL__COMPLETION_MEMFD;
	if (rc == 0)
		return error;
	job->flags &= ~(uint32_t)FL__COMPLETION_KEPT;
	job->done = 0; /* an element without its result does not count */
	return error != 0 ? error : worker_fail(w, job, rc, "the result cannot be sent");
}

/* Memory. */

/* A look takes about 5 us. */
static const int64_t worker_look = FL_MS(2);

static bool worker_is_too_large(struct worker_self *w, int64_t now)
{
	w->looked = now;
	return fl__process_memory(w->pid) > w->memory_max;
}

/* Called between two submissions. Returns true if the worker is to leave. */
static bool worker_has_outgrown(struct worker_self *w)
{
	if (w->memory_max == 0)
		return false;
	const int64_t now = fl__sys.now();
	return now >= w->looked + worker_look && worker_is_too_large(w, now);
}

/* Running. */

static int worker_run_element(struct worker_self *w, struct worker_job *job)
{
	const fl_task_type *type = job->type;
	const char *arg = job->arg ? job->arg + job->done * type->arg_size : NULL;
	char *result = job->result ? job->result + job->done * type->result_size : NULL;
	const bool bytes = fl__bytes_declares(type->drop_result);
	fl_task_ctx ctx = {.token = &w->token, .executor = w->nested};
	int error = fl__task_call(type, arg, bytes ? fl__bytes_run(type->result_size) : result, &ctx);
	if (bytes) {
		const int rc = fl__bytes_publish(result, type->result_size, error == 0 || ctx.keeps_result);
		ctx.keeps_result &= rc == 0;
		if (rc != 0 && error == 0)
			error = worker_fail(w, job, rc,
			                    rc == -EBUSY ? "the task has kept a handle of its result's memory"
			                                 : "the result cannot be sent");
	}
	if (ctx.message && error != 0)
		(void)worker_set_message(w, job, error, "%s", ctx.message);
	if (ctx.keeps_result && error != 0)
		job->flags |= FL__COMPLETION_KEPT;
	fl__message_free(ctx.message);
	if (w->token.child_)
		fl_cancel_token_destroy(&w->token);
	return error;
}

static int worker_run_elements(struct worker_self *w, struct worker_job *job)
{
	int error = 0;
	while (error == 0 && job->done < job->submission->count) {
		if (job->done > 0 && fl_cancel_token_is_requested(&w->token)) {
			job->flags |= FL__COMPLETION_BETWEEN;
			return -ECANCELED;
		}
		error = worker_run_element(w, job);
		if (error == 0 && ++job->done < job->submission->count)
			fl__rings_set_progress(&w->rings, job->done);
	}
	return error;
}

/*
 * Writes what stdio has buffered, because a later kill would lose it. Does not wait for a thread
 * that has locked `stdout`.
 */
static void worker_flush_output(void)
{
	if (__fpending(stdout) == 0 || ftrylockfile(stdout) != 0)
		return;
	(void)FL__SYS_RESULT(fflush(stdout));
	funlockfile(stdout);
}

/* Makes the submission current. Returns false if it is asked to stop, or past its deadline. */
static bool worker_begin(struct worker_self *w, const struct fl__submission *submission)
{
	fl_time deadline =
	    submission->flags & FL__SUBMISSION_DEADLINE ? w->rings.submissions->deadline[worker_slot(w)] : FL_FOREVER;
	FL__HELD(&w->lock);
	w->current = w->rings.next;
	/* A token without a deadline that was not cancelled can be used again. */
	if (!fl__is_forever(deadline) || !fl__is_forever(w->token.deadline_) ||
	    fl_cancel_token_is_requested(&w->token)) {
		fl_cancel_token_destroy(&w->token);
		fl__cancel_init(&w->token, FL_SHIELDED, deadline);
	}
	return !fl__rings_stop_requested(&w->rings) && !fl__is_expired(deadline);
}

/* Runs a submission. Returns false if the worker must exit. */
static bool worker_run_submission(struct worker_self *w, const struct fl__submission *submission)
{
	const bool initializes = submission->flags & FL__SUBMISSION_INITIALIZE;
	if (!worker_begin(w, submission)) {
		worker_drop_arg(w, submission);
		fl__rings_complete(&w->rings, 0, FL__COMPLETION_SKIPPED, 0);
		return true;
	}
	struct worker_job job = {.submission = submission};
	int error = worker_find_type(w, &job);
	if (error != 0)
		worker_drop_arg(w, submission);
	else
		error = worker_take_arg(w, &job);
	if (error == 0)
		error = worker_make_result(w, &job);
	if (error == 0) {
		struct fl__completion *completion = &w->rings.completions->entry[worker_slot(w)];
		const int64_t began = submission->flags & FL__SUBMISSION_TIMED ? fl__sys.now() : 0;
		/* relaxed: the number does not publish other data */
		fl__store_relaxed(&completion->began, began);
		const uint64_t key = FL__TRACE_REMOTE(w->pid, w->rings.next);
		if (!initializes)
			fl__hook_event(FL__TRACE_START, key, UINT64_MAX, job.type->name, 0);
		error = worker_run_elements(w, &job);
		if (!initializes)
			fl__hook_event(FL__TRACE_END, key, 0, job.type->name, 0 - (unsigned)error);
		if (began > 0)
			completion->ran =
			    (uint32_t)fl__min_deadline((fl__sys.now() - began) / FL__RINGS_RAN_UNIT, UINT32_MAX);
		worker_flush_output();
	}
	if (error == 0 && initializes && w->memory_max > 0 && worker_is_too_large(w, fl__sys.now()))
		error = worker_set_message(
		    w, &job, -E2BIG, "the worker then has more than memory_max, %" PRIu64 " bytes", w->memory_max);
	error = worker_finish_job(w, &job, error);
	fl__rings_complete(&w->rings, error, job.flags, job.done);
	/* After a failed initializer no other submission runs in this process. */
	return error == 0 || !initializes;
}

static void worker_forward_stop(struct worker_self *w)
{
	struct fl__cancel_calls calls = {NULL, NULL};
	fl__mutex_hold(&w->lock);
	const struct fl__worker_rings at = {.submissions = w->rings.submissions, .next = w->current};
	if (fl__rings_stop_requested(&at))
		fl__cancel_request_begin(&w->token, &calls);
	fl_mutex_unlock(&w->lock);
	fl__cancel_call(&calls);
}

static int worker_listen(void *arg)
{
	struct worker_self *w = arg;
	for (;;) {
		/* acquire: pairs with the release in fl__rings_request_stop() */
		uint32_t stop_requests = fl__load_acquire(&w->rings.submissions->stop_requests);
		worker_forward_stop(w);
		fl__rings_await_stop_request(&w->rings, stop_requests);
	}
	return 0; /* never reached: the thread ends with the process */
}

/* Beginning. */

static bool worker_has_doorbell(const struct worker_self *w)
{
	struct stat info;
	return fstat(w->doorbell, &info) == 0 && (info.st_mode & S_IFMT) == 0;
}

/* Rings the doorbell. Exits if a task has closed it. */
static void worker_ring(void *arg)
{
	const struct worker_self *w = arg;
	const uint64_t one = 1;
	if (!worker_has_doorbell(w))
		_exit(1);
	const ssize_t n = FL__RETRY(FL__SYS_RESULT(write(w->doorbell, &one, sizeof one)));
	if (n < 0 && n != -EAGAIN) /* EAGAIN: the doorbell is already ringing */
		_exit(1);
}

/* Maps a file after checking its size, so that no access raises SIGBUS. */
static int worker_map(int fd, size_t size, bool writable, void **memory)
{
	uint64_t there;
	int rc = fl__shm_sys.size(fd, &there);
	if (rc != 0)
		return rc;
	return there == size ? fl__shm_sys.map(fd, size, writable, memory) : -EBADMSG;
}

static int worker_map_rings(struct worker_self *w, size_t trace_size, const char **problem)
{
	void *submissions, *completions;
	*problem = "its completion ring cannot be mapped";
	int rc =
	    worker_map(fl_process_fd(FL__WORKER_COMPLETIONS), fl__completions_size(trace_size), true, &completions);
	if (rc != 0)
		return rc;
	w->rings.completions = completions;
	if (trace_size > 0)
		fl__trace_ring_use(fl__completions_trace(completions, trace_size), trace_size);
	*problem = "its submission ring cannot be mapped";
	rc = worker_map(fl_process_fd(FL__WORKER_SUBMISSIONS), sizeof(struct fl__submission_ring), false, &submissions);
	if (rc != 0)
		return rc;
	fl__worker_rings_init(&w->rings, submissions, completions);
	w->rings.ring = worker_ring;
	w->rings.revoked = worker_drop_arg;
	w->rings.arg = w;
	*problem = "its submission ring is of another version";
	return w->rings.submissions->magic == FL__RINGS_MAGIC &&
	               w->rings.submissions->size == sizeof(struct fl__submission_ring)
	           ? 0
	           : -EPROTO;
}

static int worker_attach_regions(struct worker_self *w, uint32_t n, const char **problem)
{
	*problem = "a region cannot be attached";
	for (w->n_regions = 0; w->n_regions < n; w->n_regions++) {
		int rc = fl_shm_attach(&w->regions[w->n_regions], fl_process_fd(FL__WORKER_FDS + w->n_regions));
		if (rc != 0)
			return rc;
	}
	return 0;
}

static void worker_on_signal(int signal)
{
	(void)signal;
}

/*
 * Notes the address of an access to memory that is not mapped. The fault then recurs, with the
 * default action. Other faults are not noted, nor are faults of a task's child processes.
 */
static void worker_on_fault(int signal, siginfo_t *info, void *unused)
{
	(void)unused;
	if (info->si_code == SEGV_MAPERR && worker_self.pid == getpid() && worker_self.rings.completions)
		worker_self.rings.completions->fault = (uintptr_t)info->si_addr;
	/* a signal that was sent, for example by kill(), does not recur by itself */
	if (info->si_code <= 0)
		(void)raise(signal);
}

/*
 * Returns true for SIGTSTP, and for a signal whose default action ends the process, except SIGKILL,
 * SIGABRT and the signals of faults.
 */
static bool worker_survives(int signal)
{
	static const int others[] = {SIGSEGV, SIGBUS,  SIGFPE,  SIGILL, SIGTRAP,  SIGSYS,  SIGABRT, SIGKILL,
	                             SIGSTOP, SIGCHLD, SIGCONT, SIGURG, SIGWINCH, SIGTTIN, SIGTTOU};
	for (size_t i = 0; i < FL__COUNT(others); i++)
		if (signal == others[i])
			return false;
	return true;
}

/*
 * Ctrl-C and service managers signal the workers together with their parent, which decides what
 * becomes of the workers. So the signals get an empty handler. They are neither blocked nor ignored
 * by SIG_IGN, because a program that a task executes would inherit that. A signal that already has
 * a handler, or that the parent ignores, is left unchanged. A fault ends the worker; for some
 * faults, worker_on_fault() notes the address first.
 */
static void worker_discard_signals(void)
{
	const struct sigaction discard = {.sa_handler = worker_on_signal, .sa_flags = SA_RESTART};
	const struct sigaction note = {.sa_sigaction = worker_on_fault,
	                               .sa_flags = SA_SIGINFO | SA_RESETHAND | SA_ONSTACK};
	struct sigaction before;
	for (int signal = 1; signal < NSIG; signal++)
		if ((signal == SIGSEGV || worker_survives(signal)) &&
		    sigaction(signal, signal == SIGSEGV ? &note : &discard, &before) == 0 &&
		    before.sa_handler != SIG_DFL)
			(void)sigaction(signal, &before, NULL);
}

static int worker_start_listener(struct worker_self *w, const char **problem)
{
	fl_thread *listener;
	*problem = "no thread to listen for requests";
	w->current = w->rings.next;
	int rc = fl__thread_start(&listener, worker_listen, w, &(fl_thread_config){.name = "listener"}, &w->signals);
	if (rc == 0)
		fl_thread_detach(listener);
	return rc;
}

static int worker_init(struct worker_self *w, const struct fl__worker_start *start, const char **problem)
{
	*problem = "it was not handed what it needs";
	if (start->n_regions > FL_REGIONS_MAX || fl_process_fd_count() != FL__WORKER_FDS + start->n_regions)
		return -EBADMSG;
	w->pid = getpid();
	w->memory_max = start->memory_max;
	w->channel = fl_process_fd(FL__WORKER_CHANNEL);
	w->doorbell = fl_process_fd(FL__WORKER_DOORBELL);
	int rc = worker_map_rings(w, start->trace_size, problem);
	if (rc == 0)
		rc = worker_attach_regions(w, start->n_regions, problem);
	fl__bytes_init();
	const fl_executor_config config = {
	    .regions = w->regions, .n_regions = w->n_regions, .bytes_max = (size_t)start->bytes_max};
	if (rc == 0) {
		*problem = "its executor for nested tasks cannot be made";
		rc = fl__nested_make(&w->nested, &config);
	}
	if (rc == 0 && w->memory_max > 0 && worker_is_too_large(w, fl__sys.now())) {
		*problem = "it has more than memory_max before its first task";
		rc = -E2BIG;
	}
	return rc != 0 ? rc : worker_start_listener(w, problem);
}

/* Hides the descriptors of the start, so that tasks do not find them. */
static void worker_hide_start(const struct worker_self *w)
{
	for (unsigned i = 0; i < fl_process_fd_count(); i++) {
		int fd = fl_process_fd(i);
		if (fd != w->channel && fd != w->doorbell)
			fl__fd_close(fd);
	}
	fl__ctx_get()->name = fl_process_current_name();
	fl__process_set_identity(fl_process_current_name(), 0);
}

/*
 * Called when a task ends the main thread by pthread_exit(), because otherwise the process would
 * live on.
 */
static void worker_exit(void *unused)
{
	(void)unused;
	_exit(1);
}

/*
 * Not inlined, because pthread_cleanup_push() calls setjmp(), which prevents the compiler from
 * keeping variables of the function in registers.
 */
static FL__NOINLINE void worker_run_submissions(struct worker_self *w)
{
	while (!worker_has_outgrown(w)) {
		fl__nested_reopen(w->nested);
		const struct fl__submission *submission = fl__rings_take(&w->rings);
		if ((submission->flags & FL__SUBMISSION_EXIT) || !worker_run_submission(w, submission))
			return;
	}
	fl__rings_leave(&w->rings);
}

static void worker_serve(struct worker_self *w)
{
	fl__run_enter(&w->frame, w->nested);
	w->frame.active = true; /* only tasks ask for the current executor here */
	pthread_cleanup_push(worker_exit, NULL);
	worker_run_submissions(w);
	pthread_cleanup_pop(0);
	fl__run_leave(&w->frame);
}

FL__TASK_DEFINE(fl__worker_task, "fl__process_worker", struct fl__worker_start, void, )
{
	struct worker_self *w = &worker_self;
	const char *problem;
	fl__signals_of_thread(&w->signals);
	(void)pthread_sigmask(SIG_SETMASK, &w->signals, NULL);
	worker_discard_signals();
	int rc = worker_init(w, arg, &problem);
	struct fl__completion_ring *completions = w->rings.completions;
	if (rc != 0 && completions)
		completions->error = rc;
	/* release: publishes `error` for tests and debuggers; the parent reads only `state` */
	if (completions)
		fl__store_release(&completions->state, rc == 0 ? FL__WORKER_READY : FL__WORKER_UNFIT);
	if (rc != 0)
		return fl_task_fail(ctx, rc, "%s: %s", problem, fl_error_text(rc));
	const struct fl__memfd_packet ready = {FL__READY_MAGIC, 0, 0};
	/* The first packet always fits into the socket. */
	(void)!fl__packet_send(w->channel, &ready, sizeof ready, NULL, 0, FL_NO_WAIT);
	worker_hide_start(w);
	worker_serve(w);
	/* Frees nothing, because threads that tasks have started may use the state. */
	return 0;
}
