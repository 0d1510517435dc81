/* SPDX-License-Identifier: BSD-2-Clause */
/* What happens in a new process: the setup by system calls only, and then the run of its task. */
#include "new_process.h"
#include "../base/memfd.h"
#include "../base/packet.h"
#include "../base/process_sys.h"
#include "core/base/error.h"
#include "core/base/sys.h"
#include "core/exec/executor.h"
#include "death_pipe.h"
#include "request.h"
#include <fairlead/time.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

/*
 * Makes the kernel kill this process when an end of the death pipe is closed. If the parent has
 * already ended, closing this process's copies kills this process. The kernel refuses SIGKILL from
 * a descriptor to the first process of a PID namespace.
 */
FL__RAW static int new_process_watch_death_pipe(const struct fl__death_pipe *d)
{
	const int self = fl__raw(SYS_getpid, 0, 0, 0, 0);
	int rc = self == 1 ? -ENOTSUP : 0;
	for (int i = 0; rc == 0 && i < 2; i++) {
		rc = fl__raw(SYS_fcntl, d->ends[i], F_SETSIG, SIGKILL, 0);
		if (rc == 0)
			rc = fl__raw(SYS_fcntl, d->ends[i], F_SETOWN, self, 0);
		if (rc == 0)
			rc = fl__raw(SYS_fcntl, d->ends[i], F_SETFL, O_ASYNC, 0);
	}
	return rc;
}

/*
 * Makes this process die with its parent, and exits if the parent has ended meanwhile. The pid 0
 * means a living parent outside the PID namespace.
 */
FL__RAW static int new_process_die_with(int parent)
{
	int rc = fl__raw(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0);
	const int now = fl__raw(SYS_getppid, 0, 0, 0, 0);
	if (rc == 0 && now != parent && now != 0)
		for (;;)
			(void)fl__raw(SYS_exit_group, 127, 0, 0, 0);
	return rc;
}

/* Moves a descriptor up, because new_process_place_fd() must not overwrite a descriptor in use. */
FL__RAW static int new_process_move_fd_up(int *fd, unsigned floor)
{
	if (*fd < 0)
		return 0;
	int rc = fl__raw(SYS_fcntl, *fd, F_DUPFD_CLOEXEC, (long)floor, 0);
	if (rc < 0)
		return rc;
	*fd = rc;
	return 0;
}

FL__RAW static int new_process_place_fd(const struct fl__setup *setup, unsigned i)
{
	if (setup->fds[i] < 0) {
		(void)fl__raw(SYS_close, (long)i, 0, 0, 0);
		return 0;
	}
	bool open = i < FL__STREAMS || setup->through_exec;
	int rc = fl__raw(SYS_dup3, setup->fds[i], (long)i, open ? 0 : O_CLOEXEC, 0);
	return rc < 0 ? rc : 0;
}

FL__RAW static int new_process_move_fds(struct fl__setup *setup)
{
	int rc = new_process_move_fd_up(&setup->keep, setup->n_fds);
	for (unsigned i = 0; rc == 0 && i < setup->n_fds; i++)
		rc = new_process_move_fd_up(&setup->fds[i], setup->n_fds);
	for (unsigned i = 0; rc == 0 && i < setup->n_fds; i++)
		rc = new_process_place_fd(setup, i);
	return rc;
}

FL__RAW static bool new_process_closes(const struct fl__setup *setup, long fd)
{
	return fd >= (long)setup->n_fds && fd != setup->keep;
}

/* Returns the number that a name of the folder of descriptors stands for, or -1 for "." and "..". */
FL__RAW static long new_process_read_number(const char *name)
{
	long number = *name ? 0 : -1;
	for (; number >= 0 && *name; name++)
		number = *name >= '0' && *name <= '9' ? number * 10 + (*name - '0') : -1;
	return number;
}

/* The kernel's struct linux_dirent64, which musl's headers lack. */
struct new_process_entry {
	uint64_t inode;
	int64_t next;
	uint16_t size; /* of this entry */
	uint8_t type;
	char name[];
};

/*
 * Closes the descriptors that /proc/self/fd lists. Closing one while the folder is read is safe,
 * because the kernel lists them by number. Returns 0, or an error after which some may be open.
 */
FL__RAW static int new_process_close_listed(const struct fl__setup *setup)
{
	_Alignas(uint64_t) char entries[1024];
	const int folder = fl__raw(SYS_openat, AT_FDCWD, (long)"/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	if (folder < 0)
		return folder;
	int size;
	while ((size = fl__raw(SYS_getdents64, folder, (long)entries, sizeof entries, 0)) > 0)
		for (const char *at = entries; at < entries + size;) {
			const struct new_process_entry *entry = (const void *)at;
			const long fd = new_process_read_number(entry->name);
			if (fd != folder && new_process_closes(setup, fd))
				(void)fl__raw(SYS_close, fd, 0, 0, 0);
			at += entry->size;
		}
	(void)fl__raw(SYS_close, folder, 0, 0, 0);
	return size;
}

/*
 * Tries each number below the soft limit, which may be a billion. A descriptor that is not below
 * the limit, because the limit was lowered after it was opened, stays open.
 */
FL__RAW static void new_process_close_each(const struct fl__setup *setup)
{
	struct rlimit limit = {0, 0};
	(void)fl__raw(SYS_prlimit64, 0, RLIMIT_NOFILE, 0, (long)&limit);
	for (long fd = 0; fd < (long)limit.rlim_cur; fd++)
		if (new_process_closes(setup, fd))
			(void)fl__raw(SYS_close, fd, 0, 0, 0);
}

/* Closes the descriptors from `first` to `last`. */
FL__RAW static int new_process_close_range(long first, long last)
{
	enum { CLOSE_RANGE = 436 }; /* on all architectures except Alpha, MIPS and x32 */
	return first > last ? 0 : fl__raw(CLOSE_RANGE, first, last, 0, 0);
}

/*
 * An emulator or a seccomp filter may lack close_range(). Then the time is proportional to the
 * number of open descriptors. It is proportional to their limit only without /proc, or if no
 * descriptor is free for the folder; but then all below the limit are open.
 */
FL__RAW static void new_process_close_others(const struct fl__setup *setup)
{
	const long first = (long)setup->n_fds, keep = setup->keep;
	const bool closed = new_process_close_range(first, keep - 1) == 0 &&
	                    new_process_close_range(keep < first ? first : keep + 1, 0x7fffffff) == 0;
	if (!closed && new_process_close_listed(setup) != 0)
		new_process_close_each(setup);
}

FL__RAW static bool new_process_is_fault(int signal)
{
	return signal == SIGSEGV || signal == SIGBUS || signal == SIGFPE || signal == SIGILL || signal == SIGTRAP ||
	       signal == SIGSYS || signal == SIGABRT;
}

enum { NEW_PROCESS_SIGNALS = 64, NEW_PROCESS_SET_SIZE = 8 };

/* In the kernel's layout zeros are the default action, and 1 in the first word is SIG_IGN. */
struct new_process_action {
	unsigned long words[8];
};

/* A signal's action is the default if the signal is in neither set. */
struct new_process_actions {
	uint64_t ignored, caught;
};

/* Returns how a line begins, as 8 bytes: the end of the line before it, and its name. */
FL__RAW static uint64_t new_process_line(const char *start)
{
	uint64_t line = '\n';
	while (*start)
		line = line << 8 | (uint8_t)*start++;
	return line;
}

/*
 * Reads both sets from /proc, because 64 system calls, one for each signal, take 60 us on some
 * virtual machines. Returns false without /proc, or if it lacks the lines.
 */
FL__RAW static bool new_process_read_actions(struct new_process_actions *actions)
{
	char text[2048];
	const uint64_t ignored = new_process_line("SigIgn:"), caught = new_process_line("SigCgt:");
	uint64_t last = 0, *set = NULL; /* the last 8 bytes; the set whose digits follow */
	unsigned found = 0;
	int size;
	const int fd = fl__raw(SYS_openat, AT_FDCWD, (long)"/proc/self/status", O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0)
		return false;
	while (found < 2 && (size = fl__raw(SYS_read, fd, (long)text, sizeof text, 0)) > 0)
		for (const char *c = text; c < text + size; c++) {
			last = last << 8 | (uint8_t)*c;
			if (last == ignored || last == caught) {
				set = last == ignored ? &actions->ignored : &actions->caught;
			} else if (set && *c == '\n') {
				set = NULL;
				found++;
			} else if (set && *c != '\t') {
				*set = *set << 4 | (uint64_t)(*c >= 'a' ? *c - 'a' + 10 : *c - '0');
			}
		}
	(void)fl__raw(SYS_close, fd, 0, 0, 0);
	return found == 2;
}

FL__RAW static struct new_process_actions new_process_get_actions(void)
{
	struct new_process_actions actions = {0, 0};
	if (new_process_read_actions(&actions))
		return actions;
	actions = (struct new_process_actions){0, 0};
	for (int signal = 1; signal <= NEW_PROCESS_SIGNALS; signal++) {
		struct new_process_action now = {{0}};
		(void)fl__raw(SYS_rt_sigaction, signal, 0, (long)&now, NEW_PROCESS_SET_SIZE);
		const uint64_t bit = UINT64_C(1) << (signal - 1);
		actions.ignored |= now.words[0] == 1 ? bit : 0;
		actions.caught |= now.words[0] > 1 ? bit : 0;
	}
	return actions;
}

uint64_t fl__signals_ignored(void)
{
	FL__KEEPS_ERRNO();
	return new_process_get_actions().ignored;
}

/* The C library's two real-time signals are reset only before an exec. */
FL__RAW void fl__new_process_reset_signals(const struct fl__setup *setup)
{
	enum { LIBRARY_FIRST = 32, LIBRARY_LAST = 34 };
	static const struct new_process_action none, ignore = {{1}};
	struct new_process_actions now = {0, 0};
	uint64_t faults = 0;
	if (!setup->has_defaults) {
		now = new_process_get_actions();
		now.caught |= UINT64_C(1) << (SIGCHLD - 1); /* the default action may have SA_NOCLDWAIT */
	}
	const uint64_t ignored = setup->keep_ignored ? now.ignored : setup->signals.ignored;
	for (int signal = 1; signal <= NEW_PROCESS_SIGNALS; signal++) {
		const uint64_t bit = UINT64_C(1) << (signal - 1);
		const bool is_fault = new_process_is_fault(signal);
		const bool library = signal >= LIBRARY_FIRST && signal < LIBRARY_LAST;
		faults |= is_fault ? bit : 0;
		if (((now.caught | (now.ignored ^ ignored)) & bit) && !(setup->keep_handlers && (is_fault || library)))
			(void)fl__raw(SYS_rt_sigaction, signal, (long)(ignored & bit ? &ignore : &none), 0,
			              NEW_PROCESS_SET_SIZE);
	}
	if (setup->stay_blocked)
		(void)fl__raw(SYS_rt_sigprocmask, SIG_UNBLOCK, (long)&faults, 0, NEW_PROCESS_SET_SIZE);
	else
		(void)fl__raw(SYS_rt_sigprocmask, SIG_SETMASK, (long)&setup->signals.blocked, 0, NEW_PROCESS_SET_SIZE);
}

FL__RAW int fl__new_process_setup(struct fl__setup *setup)
{
	int rc = setup->parent       ? new_process_die_with(setup->parent)
	         : setup->death_pipe ? new_process_watch_death_pipe(setup->death_pipe)
	                             : 0;
	if (rc == 0 && setup->cwd >= 0)
		rc = fl__raw(SYS_fchdir, setup->cwd, 0, 0, 0);
	if (rc == 0 && setup->group)
		rc = fl__raw(SYS_setpgid, 0, 0, 0, 0);
	if (rc == 0)
		rc = new_process_move_fds(setup);
	if (rc != 0)
		return rc;
	new_process_close_others(setup);
	fl__new_process_reset_signals(setup);
	return 0;
}

/* The task. */

static char new_process_name[FL_PROCESS_NAME_MAX + 1] = "main";
static unsigned new_process_fds;

const char *fl_process_current_name(void)
{
	return new_process_name;
}

unsigned fl_process_fd_count(void)
{
	return new_process_fds;
}

int fl_process_fd(unsigned i)
{
	return i < new_process_fds ? (int)(FL__STREAMS + i) : -EBADF;
}

void fl__process_set_identity(const char *name, unsigned n_fds)
{
	const size_t size = strnlen(name, FL_PROCESS_NAME_MAX);
	memmove(new_process_name, name, size);
	new_process_name[size] = '\0';
	new_process_fds = n_fds;
	(void)prctl(PR_SET_NAME, new_process_name, 0, 0, 0); /* for ps */
}

/* Returns zeroed memory with the largest alignment of a task, which is never freed. */
static void *new_process_aligned(size_t size)
{
	void *memory = fl__alloc(1, size + FL_TASK_ALIGN_MAX);
	return memory ? fl__align(memory, FL_TASK_ALIGN_MAX) : NULL;
}

static int new_process_take_arg(const struct fl__request *request, void **arg)
{
	size_t size = request->type->arg_size;
	*arg = NULL;
	if (size == 0)
		return 0;
	if (request->memory < 0) {
		*arg = new_process_aligned(size);
		if (!*arg)
			return -ENOMEM;
		memcpy(*arg, request->arg, size);
		return 0;
	}
	return fl__sealed_map(request->memory, size, arg);
}

static void new_process_print_failure(const fl_task_type *type, int error, const char *message)
{
	char number[64];
	if (message)
		fprintf(stderr, "%s: task %s: %s\n", new_process_name, type->name, message);
	else
		fprintf(stderr, "%s: task %s: %s (%s)\n", new_process_name, type->name,
		        fl__error_describe(error, number), fl_error_name(error));
}

/*
 * Called when a task's function ends the thread, because otherwise the process would live on, or
 * exit with 0.
 */
static void new_process_exits(void *type)
{
	FL__UNCANCELLED();
	new_process_print_failure(type, -EOWNERDEAD, "the task's function " FL__ENDS_THREAD);
	fl__flush_streams();
	_exit(1);
}

static int new_process_run(const fl_task_type *type, const void *arg, void *result)
{
	int error;
	fl_cancel_token token = FL_CANCEL_TOKEN_INIT;
	fl_task_ctx ctx = {.token = &token};
	int state;
	(void)pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &state);
	pthread_cleanup_push(new_process_exits, (void *)(uintptr_t)type);
	error = fl__task_call(type, arg, result, &ctx);
	pthread_cleanup_pop(0);
	/* the task may have left a request to cancel the thread */
	(void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	if (error != 0)
		new_process_print_failure(type, error, ctx.message);
	return error;
}

static bool new_process_lock_stream(FILE *stream, fl_time deadline)
{
	while (ftrylockfile(stream) != 0) {
		if (fl__is_expired(deadline))
			return false;
		FL_IGNORE(fl_sleep_until(fl_after(FL_MS(1)), FL_SHIELDED));
	}
	return true;
}

void fl__flush_streams(void)
{
	enum { STREAMS = 3 };
	FILE *const streams[STREAMS] = {stdin, stdout, stderr};
	const fl_time end = fl_after(FL_S(1));
	unsigned n = 0;
	FL__UNCANCELLED();
	while (n < STREAMS && new_process_lock_stream(streams[n], end))
		n++;
	if (n == STREAMS)
		(void)fflush(NULL);
	while (n > 0)
		funlockfile(streams[--n]);
}

void fl__new_process_rehearse(void)
{
	struct fl__clock clock;
	pthread_cleanup_push(new_process_exits, NULL);
	fl__clock_read(&clock);
	fl__flush_streams();
	pthread_cleanup_pop(0);
}

void fl__new_process_run_task(struct fl__request *request, void (*ready)(int fd, int rc))
{
	FL__UNCANCELLED();
	void *arg, *result = NULL;
	int rc = new_process_take_arg(request, &arg);
	if (rc == 0 && request->type->result_size > 0) {
		result = new_process_aligned(request->type->result_size);
		rc = result ? 0 : -ENOMEM;
	}
	fl__clock_follow(&request->setup.clock);
	if (rc == 0)
		rc = fl__new_process_setup(&request->setup);
	if (rc == 0 && request->settings)
		rc = fl__settings_limit(request->inherited, request->settings);
	fl__process_set_identity(request->name, request->setup.n_fds - FL__STREAMS);
	ready(request->setup.keep, rc);
	if (rc != 0)
		fprintf(stderr, "%s: cannot begin the task: %s\n", new_process_name, fl_error_text(rc));
	if (rc == 0)
		rc = new_process_run(request->type, arg, result);
	fl__flush_streams();
	fl__hook_exit(false);
	_exit(rc == 0 ? 0 : 1);
}

static struct fl__start_reply new_process_answer = {.magic = FL__MAGIC_REPLY};

void fl__new_process_reply(int socket, int rc)
{
	new_process_answer.error = rc;
	if (fl__packet_send(socket, &new_process_answer, sizeof new_process_answer, NULL, 0, FL_NO_WAIT) != 0 ||
	    rc != 0)
		_exit(127);
	fl__fd_close(socket);
}

_Noreturn void fl__new_process_serve(int socket)
{
	static _Alignas(16) char data[FL__REQUEST_ROOM];
	int fds[FL__PACKET_FDS];
	unsigned n_fds = FL__PACKET_FDS;
	struct fl__request request;
	size_t size = 0;
	int rc = fl__packet_recv(socket, data, sizeof data, &size, fds, &n_fds, FL_FOREVER);
	if (rc != 0 && rc != -EMFILE)
		_exit(0); /* the parent has ended, or given up */
	if (rc == 0)
		rc = fl__request_read(&request, &new_process_answer, data, size, fds, n_fds);
	if (rc != 0)
		fl__new_process_reply(socket, rc);
	request.setup.keep = socket;
	request.setup.keep_handlers = true;
	/* setup.death_pipe stays NULL: a daemon's was set up before the exec */
	fl__new_process_run_task(&request, fl__new_process_reply);
}
