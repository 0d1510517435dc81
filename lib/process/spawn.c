/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The child shares the parent's memory until its exec: no page table is copied. The child reports
 * an error over a pipe that the exec closes. Another thread's forked child may inherit the pipe,
 * and hold it open for long. So the parent does not wait for the end of the pipe: when clone()
 * returns, the child has called exec or has ended. Where an emulator or a tool copies the memory,
 * the parent waits with a deadline.
 *
 * Meanwhile the calling thread blocks all signals: no handler of the program may run in the child.
 *
 * A hidden process is the child of an intermediate (docs/design.md says why). A socket pair joins
 * the calling thread and the intermediate. The child reports an error over it, then the
 * intermediate confines itself, and sends the child's pid or an error. The calling thread opens a
 * pidfd of the child, and sends a word. Then the intermediate waits for the child's end.
 */
#include "spawn.h"
#include "../base/sys.h"
#include "death_pipe.h"
#include "fd_watcher.h"
#include "packet.h"
#include "process_start.h"
#include "process_sys.h"
#include "reaper.h"
#include <errno.h>
#include <fairlead/time.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SPAWN_STACK_SIZE = 64 << 10 };

/* Tries each path, as execvp() does. */
FL__RAW static int spawn_exec_first(const struct fl__spawn *spawn)
{
	int rc = -ENOENT;
	bool denied = false;
	for (const char *const *path = spawn->paths; *path; path++) {
		rc = fl__raw(SYS_execve, (long)*path, (long)spawn->argv, (long)spawn->env, 0);
		if (rc == -EACCES)
			denied = true;
		else if (rc != -ENOENT && rc != -ENOTDIR)
			return rc;
	}
	return denied ? -EACCES : rc;
}

FL__RAW static int spawn_run_child(void *arg)
{
	struct fl__spawn *spawn = arg;
	spawn->shared = true;
	int rc = fl__new_process_setup(&spawn->setup);
	if (rc == 0)
		rc = spawn_exec_first(spawn);
	(void)fl__raw(SYS_write, spawn->setup.keep, (long)&rc, sizeof rc, 0);
	for (;;)
		(void)fl__raw(SYS_exit_group, 127, 0, 0, 0);
	return 0;
}

/*
 * Returns the child's error; 0 after an exec; or -ETIMEDOUT: a child with a copy of the memory has
 * neither reported an error nor called exec in time.
 */
static int spawn_exec_result(const struct fl__spawn *spawn, int pipe)
{
	int rc = 0;
	ssize_t n;
	if (fl__fd_wait(pipe, POLLIN, spawn->shared ? 0 : fl_after(fl__process_sys.answer_timeout), FL_SHIELDED) != 0)
		return spawn->shared ? 0 : -ETIMEDOUT;
	do
		n = read(pipe, &rc, sizeof rc);
	while (n < 0 && errno == EINTR);
	return n == (ssize_t)sizeof rc ? rc : 0;
}

/* Kills and reaps the child unless it has a pidfd and has called exec. */
static int spawn_finish(struct fl__spawn *spawn, int pipe)
{
	fl_process_status status;
	spawn->pidfd = fl__fd_above_streams(spawn->pidfd);
	int rc = spawn->pidfd < 0 ? spawn->pidfd : spawn_exec_result(spawn, pipe);
	if (rc != 0) {
		(void)kill(spawn->pid, SIGKILL);
		(void)fl__process_sys.reap_by_pid(&spawn->pid, &status, true);
		fl__fd_close(spawn->pidfd);
	}
	return rc;
}

static int spawn_clone(struct fl__spawn *spawn)
{
	sigset_t all, before;
	char *stack = fl__sys.map(SPAWN_STACK_SIZE);
	if (!stack)
		return -ENOMEM;
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	fl__death_pipe_keep(spawn->setup.death_pipe); /* where clone() is a fork */
	int pid = fl__process_sys.clone(spawn_run_child, stack + SPAWN_STACK_SIZE, spawn, &spawn->pidfd);
	fl__death_pipe_keep(NULL);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	fl__sys.unmap(stack, SPAWN_STACK_SIZE);
	return pid;
}

/* Hidden processes. */

/* The intermediate runs on the upper half of its stack. The lower half is for its child. */
enum { SPAWN_INTERMEDIATE_STACK_SIZE = 2 * SPAWN_STACK_SIZE };

FL__RAW static int spawn_make_program(struct fl__spawn *spawn)
{
	const int pid = clone(spawn_run_child, (char *)spawn->intermediate.stack + SPAWN_STACK_SIZE,
	                      CLONE_VM | CLONE_VFORK | SIGCHLD, spawn);
	return pid > 0 ? pid : -errno;
}

FL__RAW static bool spawn_wait_for(int pid, int flags)
{
	return syscall(SYS_waitid, P_PID, pid, NULL, WEXITED | flags, NULL) == 0;
}

/*
 * The intermediate keeps its rights when this process drops them, and this process can write the
 * intermediate's memory. So the kernel kills the intermediate at any other system call. It has one
 * descriptor, the socket, and closes that. Returns false where a filter cannot be installed.
 */
FL__RAW static bool spawn_confine(void)
{
#define SPAWN_ALLOW(call)                                                                                              \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (call), 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
	static struct sock_filter code[] = {
#if defined(__x86_64__) || defined(__i386__) /* elsewhere a process of one ABI cannot make calls of another */
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
#ifdef __x86_64__
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
#else
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_I386, 1, 0),
#endif
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
#endif
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		SPAWN_ALLOW(SYS_write),
		SPAWN_ALLOW(SYS_read),
		SPAWN_ALLOW(SYS_close),
		SPAWN_ALLOW(SYS_waitid),
		SPAWN_ALLOW(SYS_exit_group),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	};
	const struct sock_fprog filter = {sizeof code / sizeof *code, code};
	return syscall(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       syscall(SYS_prctl, PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0) == 0;
}

/*
 * Returns only in a forked process. If the memory is shared, so is the calling thread's errno. So
 * no call may fail once the calling thread knows of the child, nor is `arg` valid then.
 */
FL__RAW static int spawn_run_intermediate(void *arg)
{
	enum { SIGNAL_SET_SIZE = 8 };
	static const unsigned long by_default[8];
	struct fl__spawn *spawn = arg;
	const int socket = spawn->setup.keep;
	if (spawn->setup.parent)
		spawn->setup.parent = fl__raw(SYS_getpid, 0, 0, 0, 0);
	/* where SIGCHLD is ignored, the wait would fail */
	(void)fl__raw(SYS_rt_sigaction, SIGCHLD, (long)by_default, 0, SIGNAL_SET_SIZE);
	const int pid = spawn->paths ? spawn_make_program(spawn) : fl__process_sys.fork();
	if (pid == 0)
		return 0;
	int word = pid;
	const bool can_wait = pid > 0 && spawn_wait_for(pid, WNOHANG | WNOWAIT); /* else a sandbox forbids it */
	fl__new_process_close_others(0, socket);
	(void)fl__raw(SYS_chdir, (long)"/", 0, 0, 0);
	(void)fl__raw(SYS_prctl, PR_SET_NAME, (long)"fairlead-parent", 0, 0);
	if (pid > 0 && !(can_wait && spawn_confine())) {
		(void)fl__raw(SYS_kill, pid, SIGKILL, 0, 0);
		word = -EINVAL;
	}
	(void)fl__raw(SYS_write, socket, (long)&word, sizeof word, 0);
	(void)fl__raw(SYS_read, socket, (long)&word, sizeof word, 0);
	(void)fl__raw(SYS_close, socket, 0, 0, 0);
	if (can_wait)
		(void)spawn_wait_for(pid, 0);
	for (;;)
		(void)fl__raw(SYS_exit_group, 0, 0, 0, 0);
	return 0;
}

void fl__intermediate_free(void *stack)
{
	if (stack)
		fl__sys.unmap(stack, SPAWN_INTERMEDIATE_STACK_SIZE);
}

/*
 * Returns the child's pid after its exec, or an error. If the intermediate is killed, its end of
 * the socket may stay open in another forked child.
 */
static int spawn_hidden_result(const struct fl__spawn *spawn, int socket)
{
	struct pollfd fds[] = {{.fd = socket, .events = POLLIN}, {.fd = spawn->intermediate.pidfd, .events = POLLIN}};
	int rc = 0;
	while (fl__fd_sys.poll(fds, 2, -1) == -EINTR)
		;
	return fds[0].revents && read(socket, &rc, sizeof rc) == (ssize_t)sizeof rc ? rc : -EAGAIN;
}

/*
 * The intermediate reaps its child when it is told to: until then the child's pid names no other
 * process.
 */
static int spawn_finish_hidden(struct fl__spawn *spawn, int socket)
{
	int rc = spawn->pid = spawn_hidden_result(spawn, socket);
	if (rc > 0) {
		spawn->pidfd = fl__fd_above_streams(fl__process_sys.pidfd(rc));
		if (spawn->pidfd < 0) {
			(void)kill(rc, SIGKILL);
			rc = spawn->pidfd;
		}
	}
	(void)!fl__packet_try_send(socket, &(struct iovec){&rc, sizeof rc}, 1, NULL, 0);
	if (rc < 0) {
		fl_process_status status;
		(void)fl__process_sys.reap(spawn->intermediate.pidfd, &status, true);
		fl__fd_close(spawn->intermediate.pidfd);
	}
	return rc;
}

static int spawn_make_intermediate(struct fl__spawn *spawn)
{
	char *stack = spawn->intermediate.stack;
	if (stack)
		return fl__process_sys.clone_hidden(spawn_run_intermediate, stack + SPAWN_INTERMEDIATE_STACK_SIZE,
		                                    spawn, &spawn->intermediate.pidfd);
	int pid = fl__process_sys.fork_hidden(&spawn->intermediate.pidfd);
	return pid == 0 ? spawn_run_intermediate(spawn) : pid;
}

/*
 * Returns the pid; 0 in a forked process; or an error: -EINVAL: there can be no intermediate, or no
 * confined one.
 */
static int spawn_hidden(struct fl__spawn *spawn)
{
	sigset_t all, before;
	int sockets[2], state;
	int rc = fl__packet_pair_above_streams(sockets);
	if (rc != 0)
		return rc;
	spawn->setup.keep = sockets[1];
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	(void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	rc = spawn_make_intermediate(spawn);
	fl__fd_close(sockets[1]);
	if (rc > 0) {
		spawn->intermediate.pidfd = fl__fd_above_streams(spawn->intermediate.pidfd);
		rc = spawn_finish_hidden(spawn, sockets[0]);
	}
	fl__fd_close(sockets[0]);
	(void)pthread_setcancelstate(state, &state);
	if (rc != 0)
		(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return rc;
}

int fl__spawn_hidden(struct fl__spawn *spawn)
{
	const struct fl__spawn visible = *spawn; /* a child in shared memory changes `setup` */
	spawn->intermediate.stack = fl__sys.map(SPAWN_INTERMEDIATE_STACK_SIZE);
	if (!spawn->intermediate.stack)
		return -ENOMEM;
	int rc = spawn_hidden(spawn);
	if (rc > 0)
		return 0;
	fl__intermediate_free(spawn->intermediate.stack);
	if (rc != -EINVAL)
		return rc;
	*spawn = visible;
	rc = fl__spawn(spawn);
	spawn->intermediate.pidfd = spawn->pidfd;
	return rc;
}

int fl__fork_hidden(struct fl__spawn *spawn)
{
	(void)fflush(NULL);
	fl__reaper_hold();
	int rc = spawn_hidden(spawn);
	if (rc != 0)
		fl__reaper_release();
	if (rc != -EINVAL)
		return rc;
	rc = fl__process_fork(&spawn->pidfd);
	spawn->intermediate.pidfd = spawn->pidfd;
	return rc;
}

int fl__spawn(struct fl__spawn *spawn)
{
	int pipe[2];
	int rc = fl__process_sys.pipe(pipe);
	if (rc != 0)
		return rc;
	spawn->setup.keep = pipe[1];
	spawn->shared = false;
	spawn->pid = spawn_clone(spawn);
	fl__fd_close(pipe[1]); /* not setup.keep, which the child has changed */
	rc = spawn->pid > 0 ? spawn_finish(spawn, pipe[0]) : spawn->pid;
	fl__fd_close(pipe[0]);
	return rc;
}
