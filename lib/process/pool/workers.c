/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The life of workers: starts, failed starts, kills, deaths. A worker has these flags, which the
 * executor's lock guards. Only `initializing` and `ready` are ever cleared.
 *
 *   flag          meaning                                set by
 *   initializing  its initializer has not ended          fl__process_pool_post_initializer();
 *                                                        cleared when the initializer ends
 *   ready         it has said that it is ready. Before   process_pool_check_ready(), and
 *                 that, its death is a failed start.     fl__memfd_recv(); cleared when the
 *                                                        initializer ends, to be read again
 *   retired       it gets no more tasks. If a task was   its start, if it is one too many, or the
 *                 posted to it before, its death puts    pool is broken, cancelled or terminated; a
 *                 the task back.                         resize; a post that finds it dead; with
 *                                                        `exiting`
 *   exiting       it was told to exit, or leaves by      fl__process_pool_post_exit(), and
 *                 itself                                 process_pool_note_leave()
 *   damaged       its completion ring is not read again  fl__process_pool_take_from()
 *   kill_reason   it was killed, or, with `kill_error`,  fl__process_pool_kill_worker()
 *                 this process may not kill it
 *   large         it was killed because its task had     process_pool_watch_memory()
 *                 passed twice `memory_max`
 *
 * Because a start may wait for an answer, a separate thread, the starter, starts workers, one at a
 * time. The thread that dispatches sets `starting`. When the new worker is in the list, or the
 * start has failed, the starter clears `starting` and wakes the manager, which arms the new
 * doorbell.
 *
 * The death of a worker
 *   1. The fork server reports the end over the channel of the start, which is the sentinel. The
 *      manager, in epoll, sees the event and calls fl__process_pool_reap_worker().
 *   2. The tasks without a completion are settled. A task that has not started is queued again, in
 *      front, or cancelled if the pool was terminated. A task that has started fails, or is queued
 *      again if its type's `max_attempts` allows.
 *   3. The starter thread starts a new worker when tasks need one. A worker that died before it was
 *      ready, or in its initializer, counts as a failed start.
 *
 * Failed starts. The executor tries a failed start again, after a pause that doubles from 1 ms to
 * 128 ms. A worker that ends before it is ready also counts as a failed start. Ten failures in a
 * row take about half a second. If no worker serves after them, the queued tasks fail with the
 * error of the last start, because the executor cannot know when a shortage ends, and a submitter
 * that waits forever cannot react. The next task gets ten new tries.
 *
 * The executor breaks at once when an initializer returns an error, unless a cancel of the executor
 * has asked the initializer to stop. It also breaks when no worker serves and at least ten starts
 * in a row have failed, all with a lasting error, which will not pass with time.
 * process_pool_is_lasting() lists these errors. Any other error counts as passing, because the
 * mistakes differ in cost: if a passing error is taken for a lasting one, the executor is lost, but
 * in the opposite case each batch of tasks costs only half a second. So the list has neither
 * -EPROTO nor -EPERM. The former means that a program ended before its hello, which the dynamic
 * loader also causes when descriptors or memory are short. The latter may pass because a program
 * may give up its privileges only for a while. If a worker ends in its initializer by an exit or a
 * fault, that counts as lasting, so ten such ends in a row break the executor. If it ends by a
 * SIGKILL that this process did not send, that counts as passing, because the kernel sends this
 * signal when memory is short.
 */
#include "../base/process_sys.h"
#include "../shm/shm_region.h"
#include "../shm/shm_sys.h"
#include "../start/attributes.h"
#include "../start/new_process.h"
#include "core/base/atomic.h"
#include "core/base/sys.h"
#include "process_pool.h"
#include <errno.h>
#include <fairlead/error.h>
#include <fairlead/shm.h>
#include <fairlead/time.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>

/* Starts. */

static int process_pool_make_memory(size_t size, int seals, int *fd, void **memory)
{
	int rc = fl__shm_make(size, fd);
	*fd = fl__fd_above_streams(*fd);
	if (rc == 0)
		rc = fl__shm_sys.map(*fd, size, true, memory);
	if (rc == 0)
		rc = fl__shm_sys.keep(*memory, size);
	return rc == 0 ? fl__shm_sys.add_seals(*fd, seals) : rc;
}

void fl__process_pool_free_worker(struct fl__process_pool_worker *w)
{
	fl__process_pool_sys.free(w->process);
	if (w->rings.submissions)
		fl__shm_sys.unmap(w->rings.submissions, sizeof *w->rings.submissions);
	if (w->rings.completions)
		fl__shm_sys.unmap(w->rings.completions, sizeof *w->rings.completions);
	if (w->trace)
		fl__trace_ring_drop(w->trace);
	fl__fd_close(w->channel);
	fl__fd_close(w->doorbell);
	fl__free(w);
}

/* Starts a process. Called without the lock. On an error, *call names the call that has failed. */
static int process_pool_launch(struct fl__process_pool_worker *w, const char **call)
{
	const fl_executor *e = &w->pool->base;
	const struct fl__worker_start start = {.bytes_max = e->bytes_max,
	                                       .memory_max = w->pool->remote.config.memory_max,
	                                       .n_regions = e->n_regions,
	                                       .trace_size =
	                                           fl__hooks_on(FL__HOOKS_TRACE) ? (uint32_t)fl__trace_ring_size() : 0};
	int fds[FL__WORKER_FDS + FL_REGIONS_MAX] = {-1, -1, -1, -1}, ends[2] = {-1, -1};
	void *submissions = NULL, *completions = NULL;
	char name[32];
	*call = "eventfd";
	int rc = w->doorbell = fds[FL__WORKER_DOORBELL] = fl__process_sys.eventfd();
	if (rc >= 0) {
		*call = "socketpair";
		rc = fl__fd_sys.pair(ends);
	}
	if (rc == 0) {
		w->channel = ends[0];
		fds[FL__WORKER_CHANNEL] = ends[1];
		*call = "shared memory";
		rc = process_pool_make_memory(sizeof *w->rings.submissions, FL__SEAL_FUTURE_WRITE | F_SEAL_SEAL,
		                              &fds[FL__WORKER_SUBMISSIONS], &submissions);
	}
	if (rc == 0)
		rc = process_pool_make_memory(fl__completions_size(start.trace_size), F_SEAL_SEAL,
		                              &fds[FL__WORKER_COMPLETIONS], &completions);
	w->rings.submissions = submissions;
	w->rings.completions = completions;
	if (completions && start.trace_size > 0)
		w->trace = fl__completions_trace(completions, start.trace_size);
	if (rc == 0) {
		fl__rings_init(&w->rings, submissions, completions);
		for (unsigned i = 0; i < e->n_regions; i++)
			fds[FL__WORKER_FDS + i] = fl_shm_fd(e->regions[i]);
		(void)snprintf(name, sizeof name, "%s-%u", e->name, w->number);
		*call = "fl_process_start";
		rc = fl__process_pool_sys.start(&w->process,
		                                &(fl_process_config){.task = &fl__worker_task,
		                                                     .arg = &start,
		                                                     .name = name,
		                                                     .daemon = true,
		                                                     .fds = fds,
		                                                     .n_fds = FL__WORKER_FDS + e->n_regions});
	}
	if (rc == 0 && w->trace)
		fl__trace_ring_add(w->trace, fl__process_pool_sys.pid(w->process), name);
	fl__fd_close(ends[1]);
	fl__fd_close(fds[FL__WORKER_SUBMISSIONS]);
	fl__fd_close(fds[FL__WORKER_COMPLETIONS]);
	return rc;
}

/*
 * Returns the lowest number that no worker has. A number above those of a full pool may be shared.
 */
static unsigned process_pool_free_number(const struct fl__process_pool *p)
{
	struct fl__numbers used = {{0}};
	FL__EACH_WORKER (w, p)
		fl__numbers_add(&used, w->number);
	return fl__numbers_add_lowest(&used);
}

/* Returns how many workers get submissions. */
static unsigned process_pool_serving(const struct fl__process_pool *p)
{
	unsigned n = 0;
	FL__EACH_WORKER (w, p)
		n += !w->retired && !w->kill_reason;
	return n;
}

/*
 * Removes a worker's descriptors from the epoll set before they are closed, because copies in a
 * child process would keep them in the set.
 */
static void process_pool_unwatch(struct fl__process_pool_worker *w)
{
	const int epoll = w->pool->epoll;
	(void)fl__fd_sys.epoll_control(epoll, EPOLL_CTL_DEL, w->doorbell, 0);
	(void)fl__fd_sys.epoll_control(epoll, EPOLL_CTL_DEL, fl__process_pool_sys.sentinel(w->process), 0);
}

static int process_pool_add_worker(struct fl__process_pool_worker *w)
{
	struct fl__process_pool *p = w->pool;
	const int sentinel = fl__process_pool_sys.sentinel(w->process);
	int rc = fl__fd_sys.epoll_control(p->epoll, EPOLL_CTL_ADD, w->doorbell, EPOLLIN);
	if (rc == 0)
		rc = fl__fd_sys.epoll_control(p->epoll, EPOLL_CTL_ADD, sentinel, EPOLLIN);
	/* A resize, a cancel or the end of the executor may have come meanwhile. */
	w->retired = process_pool_serving(p) >= p->base.workers || p->base.broken || p->terminated ||
	             fl__cancel_is_requested(&p->base.stop);
	if (rc == 0 && p->base.initialize && !w->retired)
		rc = fl__process_pool_post_initializer(w);
	if (rc != 0) {
		process_pool_unwatch(w);
		return rc;
	}
	FL__QUEUE_ADD(p->workers, p->newest, w);
	p->alive++;
	p->started++;
	return 0;
}

/*
 * Releases the lock for a while. On an error, `text`, which has FL_MESSAGE_MAX bytes, describes
 * it.
 */
static int process_pool_start_worker(struct fl__process_pool *p, char *text)
{
	const char *call;
	struct fl__process_pool_worker *w = fl__alloc(1, sizeof *w);
	if (!w) {
		(void)snprintf(text, FL_MESSAGE_MAX, "no memory for a worker");
		return -ENOMEM;
	}
	w->pool = p;
	w->channel = w->doorbell = -1;
	w->quota = p->remote.config.max_tasks > 0 ? (uint32_t)p->remote.config.max_tasks : UINT32_MAX / 2;
	w->number = process_pool_free_number(p);
	fl_mutex_unlock(&p->base.lock);
	int rc = process_pool_launch(w, &call);
	fl__mutex_hold(&p->base.lock);
	if (rc == 0) {
		call = "epoll_ctl";
		rc = process_pool_add_worker(w);
	}
	if (rc == 0)
		return 0;
	(void)snprintf(text, FL_MESSAGE_MAX, "worker %s-%u cannot be started: %s: %s: %s", p->base.name, w->number,
	               call, fl_error_name(rc), fl_error_text(rc));
	fl__process_pool_free_worker(w);
	return rc;
}

/* Failed starts. */

/*
 * When no worker is left that gets submissions, this many failed starts in a row end the queued
 * tasks.
 */
enum { PROCESS_POOL_START_TRIES = 10 };

/*
 * Returns true if later starts will also fail. Other errors may come from a shortage that passes.
 */
static bool process_pool_is_lasting(int error)
{
	switch (error) {
	case -ENOENT:
	case -ENOTDIR:
	case -EACCES:
	case -ELOOP:
	case -ENOEXEC:
	case -ENOSYS:
	case -ENOTSUP:
		return true;
	default:
		return false;
	}
}

static bool process_pool_any_ready(const struct fl__process_pool *p)
{
	FL__EACH_WORKER (w, p)
		if (w->ready && !w->initializing && !w->retired)
			return true;
	return false;
}

static void process_pool_start_failed(struct fl__process_pool *p, int error, bool lasting, const char *how)
{
	const int64_t first_pause = FL_MS(1);
	p->retry_at = fl__sys.now() + (first_pause << FL__MIN(p->failures, 7));
	/* While another worker is ready, the count stays below PROCESS_POOL_START_TRIES. */
	if (p->failures + 1 < PROCESS_POOL_START_TRIES || !process_pool_any_ready(p))
		p->failures++;
	p->start_error = error;
	p->lasting = lasting && (p->lasting || p->failures == 1);
	(void)snprintf(p->why_failed, sizeof p->why_failed, "%s", how);
}

/* Later tasks get new tries, after the pause. */
bool fl__process_pool_give_up_starting(struct fl__process_pool *p)
{
	const bool tried = p->failures >= PROCESS_POOL_START_TRIES && process_pool_serving(p) == 0 && !p->starting;
	const bool breaks = p->base.broken ? p->base.queue.head != NULL : p->init_error != 0 || (tried && p->lasting);
	if (!breaks && !tried)
		return false;
	char text[FL_MESSAGE_MAX + 64], *message = NULL;
	(void)snprintf(text, sizeof text, "%sno worker can be started: %s", breaks ? "the executor is broken: " : "",
	               p->why_failed);
	const int error = breaks ? p->init_error : p->start_error;
	if (breaks) {
		message = p->init_message;
		p->init_message = NULL;
	}
	p->failures = 0;
	fl_mutex_unlock(&p->base.lock);
	if (!breaks)
		fl__executor_end_queued(&p->base, error, text);
	else if (error != 0)
		fl__executor_initialize_failed(&p->base, error, message);
	else
		fl__executor_break(&p->base, text);
	fl__mutex_hold(&p->base.lock);
	return true;
}

bool fl__process_pool_is_over(const struct fl__process_pool *p)
{
	const struct fl__remote *r = &p->remote;
	return r->base.closed && !r->base.queue.head && !r->posted.head && !r->ended && !r->kept &&
	       r->completers == 0 && !p->workers && !p->starting;
}

/* This thread starts the workers, because a start may wait for up to `answer_timeout`. */
int fl__process_pool_run_starter(void *pool)
{
	struct fl__process_pool *p = pool;
	struct fl__run run;
	fl__rights_fix_place();
	/* so that fl_executor_join() in a log handler is refused */
	fl__run_enter(&run, &p->base);
	fl__mutex_hold(&p->base.lock);
	while (!fl__process_pool_is_over(p)) {
		char text[FL_MESSAGE_MAX];
		if (!p->starting) {
			FL__AWAITS(FL__DEBUG_TASK, &p->base);
			FL_IGNORE(fl_cond_wait_until(&p->start, &p->base.lock, FL_FOREVER, FL_SHIELDED));
			continue;
		}
		const int rc = process_pool_start_worker(p, text);
		if (rc != 0)
			process_pool_start_failed(p, rc, process_pool_is_lasting(rc), text);
		p->starting = false;
		fl__process_pool_dispatch(p);
		fl__process_pool_wake(p);
	}
	fl_mutex_unlock(&p->base.lock);
	fl__run_leave(&run);
	return 0;
}

/* Kills and deaths. */

void fl__process_pool_kill_worker(struct fl__process_pool_worker *w, const char *kill_reason)
{
	if (w->kill_reason)
		return;
	w->kill_reason = w->pool->base.why_killed = kill_reason;
	fl__hook_event(FL__TRACE_KILL, (uint64_t)fl__process_pool_sys.pid(w->process), 0, kill_reason, 0);
	int rc = fl__process_pool_sys.kill(w->process);
	if (rc == 0 || rc == -ESRCH) /* -ESRCH means that the process has ended */
		return;
	w->kill_error = rc;
	fl__process_pool_wake(w->pool);
}

/*
 * Returns the name of a signal; sigabbrev_np() would need glibc 2.32. `text` is for a signal
 * that has no name here.
 */
static const char *process_pool_signal_name(int signal, char text[24])
{
#define NAMED(signal) [signal] = #signal,
	static const char *const names[] = {
	    /* clang-format off */
	    NAMED(SIGHUP) NAMED(SIGINT) NAMED(SIGQUIT) NAMED(SIGILL) NAMED(SIGTRAP) NAMED(SIGABRT)
	    NAMED(SIGBUS) NAMED(SIGFPE) NAMED(SIGKILL) NAMED(SIGUSR1) NAMED(SIGSEGV) NAMED(SIGUSR2)
	    NAMED(SIGPIPE) NAMED(SIGALRM) NAMED(SIGTERM) NAMED(SIGXCPU) NAMED(SIGXFSZ) NAMED(SIGSYS)
	    /* clang-format on */
	};
#undef NAMED
	if (signal > 0 && (size_t)signal < FL__COUNT(names) && names[signal])
		return names[signal];
	(void)snprintf(text, 24, "signal %d", signal);
	return text;
}

/*
 * Returns true if the worker has died at an address at which only this process has memory. Most
 * likely it used a pointer of this process. mincore() fails if nothing is mapped at the page.
 */
static bool process_pool_used_pointer(const struct fl__process_pool_worker *w)
{
	enum { NULL_POINTERS = 1 << 16 };
	const uintptr_t at = (uintptr_t)w->rings.completions->fault;
	unsigned char resident;
	return at >= NULL_POINTERS && mincore((void *)(at & -fl__page_size()), 1, &resident) == 0;
}

static bool process_pool_is_unfit(const struct fl__process_pool_worker *w, int error)
{
	const struct fl__completion_ring *completions = w->rings.completions;
	/* relaxed, both: the values are only for a message */
	return fl__load_relaxed(&completions->state) == FL__WORKER_UNFIT &&
	       fl__load_relaxed(&completions->error) == error;
}

/*
 * Writes, for example, "worker 4711 (name-0) killed by SIGKILL". `rc` and `status` are the
 * results of the worker's join.
 */
static void process_pool_describe_death(const struct fl__process_pool_worker *w, int rc,
                                        const fl_process_status *status, char *text, size_t room)
{
	char number[24];
	int n = snprintf(text, room, "worker %d (%s) ", fl__process_pool_sys.pid(w->process),
	                 fl__process_pool_sys.name(w->process));
	const size_t at = n > 0 && (size_t)n < room ? (size_t)n : 0;
	char *rest = text + at;
	room -= at;
	if (w->kill_error != 0)
		(void)snprintf(rest, room, "cannot be killed: %s: %s", w->kill_reason, fl_error_text(w->kill_error));
	else if (w->kill_reason)
		(void)snprintf(rest, room, "was killed: %s", w->kill_reason);
	else if (rc != 0)
		(void)snprintf(rest, room, "has died, and how is not known: %s", fl_error_text(rc));
	else if (status->signal != 0)
		(void)snprintf(
		    rest, room, "killed by %s%s", process_pool_signal_name(status->signal, number),
		    status->signal == SIGSEGV && process_pool_used_pointer(w)
			? " (it used a pointer of the submitting process, which is not valid there: pass data "
			  "by value, or in a region)"
			: "");
	else
		(void)snprintf(rest, room, "exited with status %d%s", status->code,
		               process_pool_is_unfit(w, -E2BIG) ? ": it has more than memory_max before its first task"
		                                                : "");
}

static void process_pool_settle_started(struct fl__process_pool_worker *w, struct fl__task_block *block,
                                        const char *how)
{
	struct fl__process_pool *p = w->pool;
	block->attempts += block->attempts < UINT16_MAX;
	const bool again = block->attempts < block->future.type->max_attempts && block->attempts < UINT16_MAX;
	const int error = w->kill_error != 0                 ? w->kill_error
	                  : block->asked == FL__STOP_EXPIRED ? -ETIMEDOUT
	                  : w->large                         ? -ENOMEM
	                  : p->terminated                    ? -ECANCELED
	                                                     : -EOWNERDEAD;
	if (again && error == -EOWNERDEAD && !p->base.broken) {
		fl__task_list_add_first(&p->base.queue, block);
		return;
	}
	fl__process_pool_trace(w, FL__TRACE_TAKEN, block, error);
	fl__process_pool_take_progress(w, block);
	fl__remote_end_failed(&p->remote, block, error, "%s", how);
}

/*
 * Returns true if a task of a dead worker counts as started. `next` says that the task was the
 * oldest of the worker. Once more than SUSPICIONS_MOST ready workers have died while a task was
 * their oldest, the task counts as started. Otherwise a task that damages the claim words and ends
 * its worker would be run again forever.
 */
static bool process_pool_counts_as_started(struct fl__process_pool_worker *w, struct fl__task_block *block, bool next)
{
	enum { SUSPICIONS_MOST = 3 };
	if (fl__rings_has_started(&w->rings, block->seq))
		return true;
	block->suspicions += next && w->ready;
	return block->suspicions > SUSPICIONS_MOST;
}

/*
 * Settles the tasks of a dead worker, beginning with the newest, because each task goes to the
 * front of the queue.
 */
static void process_pool_settle_tasks(struct fl__process_pool_worker *w, const char *how)
{
	struct fl__process_pool *p = w->pool;
	for (uint32_t seq = w->rings.next; seq != w->rings.first; seq--) {
		struct fl__task_block *block = w->blocks[(seq - 1) % FL__RINGS_DEPTH];
		if (!block)
			continue;
		const bool started = process_pool_counts_as_started(w, block, seq - 1 == w->rings.first);
		fl__process_pool_vacate(w, block);
		fl__remote_unpost(&p->remote, block);
		if (started)
			process_pool_settle_started(w, block, how);
		else if (p->terminated)
			fl__remote_end_cancelled(&p->remote, block);
		else
			fl__task_list_add_first(&p->base.queue, block);
	}
}

/*
 * A death in the initializer is lasting, unless it comes from a SIGKILL that this process did not
 * send, because the kernel may have sent that signal when memory was short.
 */
void fl__process_pool_reap_worker(struct fl__process_pool_worker *w)
{
	struct fl__process_pool *p = w->pool;
	char how[FL_MESSAGE_MAX];
	fl_process_status status = {0, 0};
	(void)fl__process_pool_take_from(w);
	/*
	 * receives "ready" from the channel, because the word in the worker's memory may be damaged
	 */
	(void)fl__memfd_recv(w->channel, NULL, NULL, &w->ready);
	const int rc = fl__process_pool_sys.try_join(w->process, &status);
	process_pool_describe_death(w, rc, &status, how, sizeof how);
	process_pool_settle_tasks(w, how);
	const bool by_itself = rc == 0 && (w->kill_reason || status.signal != SIGKILL);
	if (!p->terminated && (!w->ready || w->initializing))
		process_pool_start_failed(p, -EOWNERDEAD, w->ready && by_itself, how);
	FL__QUEUE_REMOVE(p->workers, p->newest, w);
	p->alive--;
	p->ended++;
	p->killed += status.signal != 0;
	process_pool_unwatch(w);
	fl__process_pool_free_worker(w);
}

void fl__process_pool_give_up_unkillable(struct fl__process_pool *p)
{
	FL__EACH_SAFE (struct fl__process_pool_worker, w, p->workers) {
		if (w->kill_error == 0)
			continue;
		fl__process_pool_recall_newest(w, FL__RINGS_DEPTH);
		if (!w->damaged && !w->exiting && fl__rings_used(&w->rings) < FL__RINGS_DEPTH)
			fl__process_pool_post_exit(w);
		fl__process_pool_reap_worker(w);
	}
}
