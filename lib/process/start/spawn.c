/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Starts a process by clone() and exec. The child shares the parent's memory until its exec, and
 * reports an error over a pipe that the exec closes. The parent does not wait for the end of the
 * pipe, because another thread's forked child may hold the pipe open, and because when clone()
 * returns, the child has called exec or has ended. If an emulator or a tool copies the memory, the
 * parent waits with a deadline.
 *
 * The calling thread blocks all signals until clone() returns, because no handler of the program
 * may run in the child.
 *
 * Until shortly before its exec, a child holds all descriptors of this process open. If meanwhile
 * another thread closed one of them and started a program, that program could still find a file
 * open for writing (ETXTBSY), a file locked, or a port in use. Therefore `spawn_lock` lets only one
 * child at a time be on the way to its exec, so that what a thread closed before its start is
 * closed when its program begins. Because an exec may hang, for example if this process serves the
 * program's file system, a start waits for the lock no longer than for an answer, and then
 * continues without it. A start blocks its thread, even in a fiber, as clone() does.
 *
 * If an orphan's parent is killed before it has set `done`, the orphan may still use the memory.
 * Then the calling thread also waits for the end of the pipe, with a deadline
 * (docs/decisions/fork-server-orphan.md).
 */
#include "spawn.h"
#include "../base/fd_watcher.h"
#include "../base/process_sys.h"
#include "core/base/anew.h"
#include "core/base/sys.h"
#include "core/sync/mutex.h"
#include "death_pipe.h"
#include <errno.h>
#include <fairlead/time.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

enum { SPAWN_STACK_SIZE = 64 << 10 };

static fl_mutex spawn_lock = FL_MUTEX_INIT;

static void spawn_make_anew(void)
{
	fl_mutex_init(&spawn_lock);
}

FL__MAKES_ANEW(spawn_make_anew)

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
	spawn->failed = true;
	for (;;)
		(void)fl__raw(SYS_exit_group, 127, 0, 0, 0);
	return 0;
}

FL__RAW static int spawn_run_parent(void *arg)
{
	struct fl__spawn *spawn = arg;
	spawn->shared = true;
	if (clone(spawn_run_child, spawn->stack + SPAWN_STACK_SIZE / 2, CLONE_VM | CLONE_VFORK | SIGCHLD, spawn) < 0) {
		const int rc = -errno;
		(void)fl__raw(SYS_write, spawn->setup.keep, (long)&rc, sizeof rc, 0);
	}
	/* reaps the child, which would otherwise be a zombie of the caller if that gets orphans */
	if (spawn->failed)
		(void)fl__raw(SYS_wait4, -1, 0, 0, 0);
	spawn->done = true;
	for (;;)
		(void)fl__raw(SYS_exit_group, 0, 0, 0, 0);
	return 0;
}

/* Returns the child's error, or 0 at the end of the pipe. */
static int spawn_read_error(int pipe)
{
	int rc = 0;
	const ssize_t n = FL__RETRY(FL__SYS_RESULT(read(pipe, &rc, sizeof rc)));
	return n == (ssize_t)sizeof rc ? rc : 0;
}

/* Returns true if the orphan's parent was killed, and the orphan may still use this memory. */
static bool spawn_is_lost(const struct fl__spawn *spawn)
{
	return spawn->shared && spawn->orphan && !spawn->done;
}

/*
 * Returns the child's error; or 0 after an exec, or if the child was killed before it; or
 * -ETIMEDOUT if a lost orphan, or a child with a copy of the memory, has not answered in time.
 */
static int spawn_exec_result(const struct fl__spawn *spawn, int pipe)
{
	const bool ready = spawn->shared && !spawn_is_lost(spawn);
	const fl_time deadline = ready ? FL_NO_WAIT : fl_after(fl__process_sys.answer_timeout);
	if (fl__fd_wait(pipe, POLLIN, deadline, FL_SHIELDED) != 0)
		return ready ? 0 : -ETIMEDOUT;
	return spawn_read_error(pipe);
}

/*
 * Kills and reaps a child without a pidfd, and a child that has not called exec, unless it is an
 * orphan.
 */
static int spawn_finish(struct fl__spawn *spawn, int pipe)
{
	if (spawn->orphan)
		return spawn_exec_result(spawn, pipe);
	spawn->pidfd = fl__fd_above_streams(spawn->pidfd);
	int rc = spawn->pidfd < 0 ? spawn->pidfd : spawn_exec_result(spawn, pipe);
	if (rc != 0) {
		(void)kill(spawn->pid, SIGKILL);
		(void)fl__process_reap_by_pid(&spawn->pid, NULL, true);
		fl__fd_close(spawn->pidfd);
	}
	return rc;
}

static int spawn_clone(struct fl__spawn *spawn)
{
	FL__SIGNALS_BLOCKED(true);
	/* matters if clone() is a fork */
	fl__death_pipe_keep(spawn->setup.death_pipe);
	int pid = fl__process_sys.clone(spawn->orphan ? spawn_run_parent : spawn_run_child,
	                                spawn->stack + SPAWN_STACK_SIZE, spawn, spawn->orphan ? NULL : &spawn->pidfd);
	fl__death_pipe_keep(NULL);
	return pid;
}

int fl__spawn(struct fl__spawn *spawn)
{
	int pipe[2];
	FL__BLOCKS_THREAD();
	int rc = fl__process_sys.pipe(pipe);
	if (rc != 0)
		return rc;
	const int alone = fl_mutex_lock_until(&spawn_lock, fl_after(fl__process_sys.answer_timeout), FL_SHIELDED);
	spawn->setup.keep = pipe[1];
	spawn->shared = spawn->done = spawn->failed = false;
	spawn->pidfd = -1;
	spawn->stack = fl__sys.map(SPAWN_STACK_SIZE);
	rc = spawn->stack ? spawn_clone(spawn) : -ENOMEM;
	spawn->pid = spawn->orphan ? -1 : rc;
	/* closes by the local number, because the child has changed setup.keep */
	fl__fd_close(pipe[1]);
	if (rc > 0)
		rc = spawn_finish(spawn, pipe[0]);
	fl__fd_close(pipe[0]);
	/* a lost orphan may use the stack until the end of its death pipe kills it */
	if (spawn->stack && !(rc == -ETIMEDOUT && spawn_is_lost(spawn)))
		fl__sys.unmap(spawn->stack, SPAWN_STACK_SIZE);
	if (alone == 0)
		fl_mutex_unlock(&spawn_lock);
	return rc;
}
