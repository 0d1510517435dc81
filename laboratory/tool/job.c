/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Starts the processes of the tests, waits for them, kills those that hang, and collects their
 * results.
 */
#include "tool.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { TICK_MS = 200 };

volatile sig_atomic_t interrupted;

static void on_interrupt(int signal)
{
	(void)signal;
	interrupted = 1;
}

static void on_child(int signal)
{
	(void)signal; /* the signal only interrupts the poll */
}

void pool_init(struct pool *pool, unsigned slots)
{
	const unsigned most = sizeof pool->running / sizeof *pool->running;
	*pool = (struct pool){.slots = slots < most ? slots : most};
	struct sigaction interrupt = {.sa_handler = on_interrupt, .sa_flags = SA_RESETHAND};
	(void)sigaction(SIGINT, &interrupt, NULL);
	(void)sigaction(SIGTERM, &interrupt, NULL);
	struct sigaction child = {.sa_handler = on_child};
	(void)sigaction(SIGCHLD, &child, NULL);
	sigset_t mask; /* SIGCHLD is delivered only in ppoll() */
	(void)sigemptyset(&mask);
	(void)sigaddset(&mask, SIGCHLD);
	(void)sigprocmask(SIG_BLOCK, &mask, NULL);
}

/*
 * Returns whether the pool has enough free slots for the job. A job that needs more slots than the
 * whole pool has runs alone.
 */
bool pool_has_room(const struct pool *pool, const struct job *job)
{
	return pool->used == 0 || pool->used + job->weight <= pool->slots;
}

static void give_up(const char *what)
{
	complain("%s: %s", what, strerror(errno));
	exit(STATUS_FAILED);
}

void pool_start(struct pool *pool, struct job *job)
{
	int ends[2];
	job->shared =
	    mmap(NULL, sizeof *job->shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (job->shared == MAP_FAILED || pipe2(ends, O_CLOEXEC) != 0)
		give_up("cannot begin a test");
	fflush(NULL);
	job->pid = fork();
	if (job->pid < 0)
		give_up("cannot begin a test");
	if (job->pid == 0) {
		job->output = ends[1];
		child_run(job);
	}
	/*
	 * The child also makes this call, so that the group exists as soon as either process has
	 * run.
	 */
	(void)setpgid(job->pid, job->pid);
	(void)close(ends[1]);
	job->output = ends[0];
	(void)fcntl(job->output, F_SETFL, O_NONBLOCK);
	job->began = job->looked = lab_clock_ns();
	job->idle = job->cpu = job->spent = 0;
	pool->running[pool->n_running++] = job;
	pool->used += job->weight;
}

/* Reads what the test has printed, and keeps the end of it. */
static void drain(struct job *job)
{
	char chunk[4096];
	for (ssize_t n; (n = read(job->output, chunk, sizeof chunk)) > 0;) {
		size_t more = (size_t)n < OUTPUT_KEPT ? (size_t)n : OUTPUT_KEPT;
		size_t keep = job->n_printed + more > OUTPUT_KEPT ? OUTPUT_KEPT - more : job->n_printed;
		memmove(job->printed, job->printed + job->n_printed - keep, keep);
		memcpy(job->printed + keep, chunk + (size_t)n - more, more);
		job->n_printed = keep + more;
		job->printed[job->n_printed] = '\0';
	}
}

static uint64_t progress_of(const struct job *job)
{
	const struct native_live *live = &job->shared->live;
	uint64_t sum = atomic_load(&live->samples) + atomic_load(&live->beats);
	for (unsigned i = 0; i < live->n_actors && i < NATIVE_THREADS; i++)
		sum += atomic_load_explicit(&live->actors[i].at, memory_order_relaxed);
	return sum;
}

/* Makes a text that lives as long as the report. */
__attribute__((format(printf, 2, 3))) static void say(struct job *job, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	char *text = NULL;
	if (vasprintf(&text, format, args) >= 0)
		job->report.result.message = text;
	va_end(args);
}

/* Makes a result for a process that has left no result. */
static void report_anew(struct job *job, enum lab_verdict verdict)
{
	job->report = (struct report){.result = {.verdict = verdict,
	                                         .message = "",
	                                         .details = "",
	                                         .replay = "",
	                                         .strategy = "",
	                                         .executions = atomic_load(&job->shared->live.samples),
	                                         .found_ns = lab_clock_ns() - job->began}};
}

/* Returns whether assert() has printed the last line of the output. */
static bool is_assertion(struct job *job)
{
	char *end = job->printed + job->n_printed;
	while (end > job->printed && end[-1] == '\n')
		*--end = '\0';
	const char *line = strrchr(job->printed, '\n');
	line = line ? line + 1 : job->printed;
	if (!strstr(line, "Assertion `"))
		return false;
	report_anew(job, LAB_CHECK);
	say(job, "%s", line);
	return true;
}

static void report_crash(struct job *job, int status)
{
	const struct native_live *live = &job->shared->live;
	const char *file = NULL, *function = NULL;
	int line = 0;
	if (atomic_load(&live->signal) == SIGABRT && is_assertion(job))
		return;
	report_anew(job, LAB_CRASH);
	if (!WIFSIGNALED(status)) {
		say(job, "the process ended with status %d in the middle of the test", WEXITSTATUS(status));
	} else if (atomic_load(&live->signal) == 0) {
		say(job, "killed by SIG%s", sigabbrev_np(WTERMSIG(status)));
	} else if (live->pc && live->signal != SIGABRT && lab_where(live->pc + 1, &file, &line, &function)) {
		say(job, "SIG%s in %.31s at %s:%d (%s), address %#zx", sigabbrev_np(live->signal), live->crashed,
		    file ? file : "?", line, function ? function : "?", (size_t)live->address);
	} else {
		say(job, "SIG%s in %.31s", sigabbrev_np(live->signal), live->crashed);
	}
}

static void end(struct pool *pool, struct job *job, int status)
{
	drain(job);
	(void)close(job->output);
	job->seconds = (double)(lab_clock_ns() - job->began) / 1e9;
	(void)kill(-job->pid, SIGKILL); /* ends the processes that it may have left behind */
	uint32_t packed = atomic_load(&job->shared->packed);
	if (packed == 0 || packed > PACKED_MAX || !unpack(job->shared->bytes, packed, &job->report))
		report_crash(job, status);
	(void)munmap(job->shared, sizeof *job->shared);
	job->shared = NULL;
	job->done = true;
	for (size_t i = 0; i < pool->n_running; i++) {
		if (pool->running[i] == job)
			pool->running[i] = pool->running[--pool->n_running];
	}
	pool->used -= job->weight;
}

/* Ends a process that hangs. The report says what its threads were doing. */
static void end_hung(struct pool *pool, struct job *job, const char *what, int64_t ns)
{
	char *details = stuck_report(job);
	(void)kill(-job->pid, SIGKILL);
	(void)waitpid(job->pid, NULL, 0);
	atomic_store(&job->shared->packed, 0);
	uint64_t samples = atomic_load(&job->shared->live.samples);
	end(pool, job, 0);
	job->report.result.verdict = LAB_HANG;
	job->report.result.details = details;
	say(job, "%s for %.1f s, after %s %s", what, (double)ns / 1e9, grouped(samples),
	    in_model(job->mode) ? "executions" : "samples");
}

/*
 * Returns whether the job only computes, so that each of its steps takes CPU time. Jobs of the mode
 * lin also have a part on real threads, which may sleep.
 */
static bool is_cpu_alone(const struct job *job)
{
	return in_model(job->mode) && job->mode != MODE_LIN;
}

/* Returns the CPU time that the job's process has used. */
static int64_t cpu_of(const struct job *job)
{
	clockid_t clock;
	struct timespec t;
	return clock_getcpuclockid(job->pid, &clock) == 0 && clock_gettime(clock, &t) == 0
	           ? t.tv_sec * SECOND + t.tv_nsec
	           : job->cpu;
}

/*
 * Whether the job hangs. Time in which this process itself did not run does not count. In the
 * model, a step takes only CPU time, so CPU time counts there, and also a tenth of the real time,
 * in case the process sleeps. On real threads, real time counts only while all of them sleep,
 * because on a busy machine a thread may wait long for a CPU. Otherwise CPU time counts there, too.
 */
static bool hangs(struct job *job)
{
	int64_t now = lab_clock_ns(), since = now - job->looked, cpu = cpu_of(job), used = cpu - job->cpu;
	uint64_t progress = progress_of(job);
	job->looked = now;
	job->cpu = cpu;
	since = since < 2 * TICK_MS * MS ? since : 2 * TICK_MS * MS;
	if (is_cpu_alone(job))
		since = used > since / 10 ? used : since / 10;
	else if (used < since && stuck_could_run(job))
		since = used;
	job->spent += since;
	job->idle = progress != job->progress ? 0 : job->idle + since;
	job->progress = progress;
	return job->idle > job->hang;
}

static struct job *look_at_all(struct pool *pool)
{
	for (size_t i = 0; i < pool->n_running; i++) {
		struct job *job = pool->running[i];
		int status;
		drain(job);
		if (waitpid(job->pid, &status, WNOHANG) == job->pid) {
			end(pool, job, status);
			return job;
		}
		if (hangs(job)) {
			end_hung(pool, job, "no progress", job->hang);
			return job;
		}
		const int64_t over = (is_cpu_alone(job) ? job->cpu : job->spent) - job->share;
		if (over > 4 * job->hang + job->share) {
			end_hung(pool, job, "it goes on, but its end is late", over);
			return job;
		}
	}
	return NULL;
}

struct job *pool_wait(struct pool *pool)
{
	struct job *job = look_at_all(pool);
	if (job)
		return job;
	struct pollfd outputs[sizeof pool->running / sizeof *pool->running];
	for (size_t i = 0; i < pool->n_running; i++)
		outputs[i] = (struct pollfd){.fd = pool->running[i]->output, .events = POLLIN};
	struct timespec tick = {0, TICK_MS * MS};
	sigset_t none;
	(void)sigemptyset(&none);
	/*
	 * The output of a running process may be closed. This would end the poll again and again,
	 * so there is a pause.
	 */
	if (ppoll(outputs, pool->n_running, &tick, &none) > 0) {
		for (size_t i = 0; i < pool->n_running; i++) {
			struct timespec bit = {0, 10 * MS};
			if (outputs[i].revents == POLLHUP)
				(void)ppoll(NULL, 0, &bit, &none);
		}
	}
	return look_at_all(pool);
}

void pool_kill(struct pool *pool)
{
	while (pool->n_running > 0) {
		struct job *job = pool->running[pool->n_running - 1];
		(void)kill(-job->pid, SIGKILL);
		(void)kill(job->pid, SIGKILL); /* the process may not have its group yet */
		(void)waitpid(job->pid, NULL, 0);
		end(pool, job, 0);
		job->done = false;
	}
}

/*
 * Frees the report of a job, for callers that have jobs by the thousand. A text that say() has made
 * stays until the process ends.
 */
void job_free(struct job *job)
{
	free(job->report.memory);
	free((void *)job->report.result.outcomes);
	free((void *)job->report.result.threads);
	free((void *)job->report.result.trace);
	free(job->report.sites);
	job->report = (struct report){0};
}
