/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_PROCESS_H
#define FAIRLEAD_PROCESS_H

#include <errno.h>
#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <fairlead/task_type.h>
#include <fairlead/time.h>
#include <fairlead/wait_any.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

FL_BEGIN_DECLS

/*
 * Processes: a task or a program that runs in a process of its own.
 *
 *     int main(int argc, char **argv)
 *     {
 *             fl_main(argc, argv);                                        // the first line: see below
 *             FL_SCOPED(fl_process) *p = NULL;
 *             rc = fl_process_start(&p, &(fl_process_config){.task = &count_primes, .arg = &part});   // check
 *             rc = fl_process_join_until(p, &status, fl_after(FL_S(5)), NULL);
 *
 * How a task gets its process (`method`):
 *
 *   FL_PROCESS_FORK_SERVER  from the fork server: this program once more, started with the first process that needs
 *                      it, with a single thread and none of the caller's state. A start is a fork of it: cheap, and safe
 *                      whatever threads the caller has. Umask, limits, environment are as when the fork server was started.
 *   FL_PROCESS_EXEC    this program once more for each process: slower, nothing shared with earlier ones
 *   FL_PROCESS_FORK    a fork of the caller, which must have a single thread (the library's own that starts programs and fork servers
 *                      does not count): the task sees the caller's memory as it was
 *
 * For the fork server and FL_PROCESS_EXEC this program must answer when it is started once more, by one of the first two; for the
 * fork server alone the third will do:
 *
 *   fl_main(argc, argv);     as the first line of main()
 *   FL_PROCESS_HOOK;         at file scope, for a library that does not own main(): a constructor that does the same
 *   fl_process_preload()     forks the fork server while the process still has a single thread; FL_PROCESS_EXEC has no use for it
 *
 * Without, a start fails with -ENOTSUP (EOPNOTSUPP, as it prints); a process with threads is never forked on the quiet. An environment variable,
 * FAIRLEAD_PROCESS, tells the program what it is; it is not believed in a set-uid program, nor without the socket that comes
 * along with it, and is taken out of the environment at once.
 *
 * A task runs as it would on an executor, and gets a copy of its argument's bytes; neither drop_arg nor drop_result runs.
 * It is known by its name: it must be registered (FL_TASK) here and in the fork server, alike; a task of a library that dlopen()
 * loaded later is known to FL_PROCESS_FORK alone. When it returns, all stdio streams are flushed, and the process ends,
 * without the functions of atexit(): with exit code 0 when the task returned 0, else 1, after one line on standard error
 * that has the process, the task, and its message or error. A task that calls exit() ends with that code. Its getppid() is
 * the fork server, where that made it, else the caller.
 *
 * A process starts with no signal blocked, and the default action for each (in a fork, handlers of
 * SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT stay); in the caller's current
 * directory and process group; with standard input, output and error, the descriptors that were
 * handed over, and no others. All descriptors of the library are close-on-exec. Until its handle is
 * freed a process costs its caller two of them when the fork server makes it (and the fork server one), else
 * one; besides these the library keeps up to seven: for the thread that starts programs, for the
 * fork server, and for threads that wait. Fork server and threads end when the library is unloaded (dlclose;
 * docs/threads.md).
 *
 * A *daemon* dies with the process that started it, whatever becomes of that: also by SIGKILL. Other processes run on.
 *
 * Functions on one handle may be called from several threads, but for fl_process_free(). After fork() the child cannot use its
 * parent's handles: they answer -EOWNERDEAD. A fork server that dies is replaced with the next start; its daemons die with it,
 * the others run on, but how they end is then not known. Whatever the system refuses is also said in the log.
 */
typedef struct fl_process fl_process;

typedef enum fl_process_method { FL_PROCESS_FORK_SERVER, FL_PROCESS_FORK, FL_PROCESS_EXEC } fl_process_method;

/* For in, out and err: that descriptor of the caller, or /dev/null. 0 is the caller's own; a bare number is refused. */
#define FL_PROCESS_FD(fd) ((fd) | 0x40000000)
#define FL_PROCESS_NULL 0x20000000

/* The most descriptors that can be handed over, and the most bytes of a name. */
#define FL_PROCESS_FDS_MAX 240
#define FL_PROCESS_NAME_MAX 63

typedef struct fl_process_config {
	const fl_task_type *task; /* what runs: a task, with its argument, */
	const void *arg;          /* NULL for a task without one, and only for such */
	const char *program;      /* or a program: a path, or a name to be searched in PATH */
	const char *const *argv;  /* its arguments, with its name, up to a NULL; NULL: its name alone */
	const char *const *env;   /* its environment; NULL: the caller's */
	fl_process_method method; /* of a task */
	const char *name;         /* copied, cut at FL_PROCESS_NAME_MAX; NULL: "process-N" */
	bool daemon;              /* dies with the caller */
	const char *cwd;          /* its directory; NULL: the caller's */
	int in, out, err;         /* FL_PROCESS_FD(fd), FL_PROCESS_NULL; 0: the caller's */
	const int *fds;           /* handed over: a task finds them with fl_process_fd(), a program as 3, 4, ... */
	unsigned n_fds;
} fl_process_config;

/* How a process ended: by its exit code, or by a signal. */
typedef struct fl_process_status {
	int code;   /* 0 to 255; -1: by a signal */
	int signal; /* its number; 0: by exit */
} fl_process_status;

/*
 * In a process that the library has started again this serves, and never returns; anywhere else it returns at once. To be
 * called before anything else, above all before a thread is started, or anything is done that should not be done twice.
 */
FL_API void fl_main(int argc, char **argv);

/*
 * FL_PROCESS_HOOK; at file scope: fl_main() in a constructor, for those who do not own main(). It runs after the constructors
 * of FL_TASK of the same program or library; but constructors without a priority in other files may not have run then. For
 * a program and the libraries that it is linked to, never for one that is loaded later: that would be too late.
 */
#define FL_PROCESS_HOOK                                                                                                \
	__attribute__((constructor)) static void fl__process_hook(int argc, char **argv)                               \
	{                                                                                                              \
		fl_main(argc, argv);                                                                                   \
	}                                                                                                              \
	struct fl_process

/*
 * Forks the fork server from the calling process, while that has a single thread; what the process has
 * done so far, task processes will find done. Returns 0, also when there is a fork_server; -EBUSY with
 * more threads than one; -EAGAIN, -ENOMEM, -EMFILE, -ENFILE as the system has it; -ENOSYS: a system
 * without pidfd_open() (Linux 5.3), or a sandbox that forbids it. Never waits for long.
 */
FL_API FL_MUST_CHECK int fl_process_preload(void);

/*
 * Starts a process; `*p` is its handle, to be freed. The start has happened when this returns: a program has been exec'd.
 *
 * Returns 0, or:
 *   -EINVAL      not exactly one of `task` and `program`; what belongs to the other; too many descriptors; no argument
 *                for a task that has one, or one for a task that has none; an unknown method
 *   -EBADF       a descriptor that is not open; for in, out and err also a bare number, without FL_PROCESS_FD()
 *   -ENOENT      no such program, or directory; or a task that is not registered, here or in the fork server
 *   -EPROTO      the fork server is another program, or its task of that name is another
 *   -EEXIST      another task has the name of `task`, here or in the fork server, and the method is not
 *                FL_PROCESS_FORK
 *   -EBUSY       FL_PROCESS_FORK with more threads than one, or on a fiber
 *   -ENOTSUP     neither fl_main() nor the hook; and no preloaded fork server, or FL_PROCESS_EXEC, which it does not serve
 *   -ETIMEDOUT   the fork server, or the program, did not answer within 30 s: it is stopped, or never comes to its fl_main()
 *   -EOWNERDEAD  the fork server died meanwhile; a process that is no daemon may have been started
 *   -ENOSYS      a system call is missing, or a sandbox forbids it: pidfd_open() (Linux 5.3), which
 *                FL_PROCESS_FORK_SERVER and FL_PROCESS_FORK need; eventfd(), which programs,
 *                FL_PROCESS_EXEC and a fork server that is not preloaded need; memfd_create(), for a
 *                task's argument above some KiB
 *   -EAGAIN, -EMFILE, -ENFILE, -ENOMEM, -EACCES, ...   exactly what the system said, for this process or for the fork server
 *
 * Waits for the fork server or the exec to answer, on the calling context; observes no cancel token. Memory order: the process gets
 * what was written before.
 */
FL_API FL_MUST_CHECK int fl_process_start(fl_process **p, const fl_process_config *config);

/*
 * Waits until the process has ended, and stores how in `*status` (may be NULL). May be called again, with the same answer.
 * Blocks the calling context. Observes its cancel scope. Returns 0; -ECANCELED. When it has ended, but how is not known:
 * -EOWNERDEAD since its fork server had died before, -ECHILD since somebody else has collected it (waitpid(), or SIGCHLD is
 * ignored). In a forked child, -EOWNERDEAD at once.
 */
FL_INLINE FL_MUST_CHECK int fl_process_join(fl_process *p, fl_process_status *status);

/* As fl_process_join; never waits: -EBUSY while it runs. */
FL_INLINE FL_MUST_CHECK int fl_process_try_join(fl_process *p, fl_process_status *status);

/* As fl_process_join; also returns -ETIMEDOUT. */
FL_API FL_MUST_CHECK int fl_process_join_until(fl_process *p, fl_process_status *status, int64_t deadline,
                                               fl_cancel_token *cancel);

/*
 * Sends a signal to the process, and never to another that got its number. Returns 0; -ESRCH when it has ended; -EINVAL for
 * what is no signal; -EPERM when it runs as another user; -EOWNERDEAD in a forked child. Never waits.
 */
FL_API FL_MUST_CHECK int fl_process_signal(fl_process *p, int signal);

/* The same with SIGTERM, by which a process ends unless it handles that. Returns 0, -ESRCH, -EPERM, -EOWNERDEAD. */
FL_INLINE FL_MUST_CHECK int fl_process_terminate(fl_process *p);

/* The same with SIGKILL, by which it ends. Returns 0, -ESRCH, -EPERM, -EOWNERDEAD. */
FL_INLINE FL_MUST_CHECK int fl_process_kill(fl_process *p);

/* Whether the process still runs: exactly as long as a try_join would answer -EBUSY. Never waits. */
FL_API bool fl_process_is_alive(fl_process *p);

/* Its number in the system. Never waits. */
FL_API int fl_process_pid(const fl_process *p);

/* Its name, valid until the handle is freed. Never waits. */
FL_API const char *fl_process_name(const fl_process *p);

/*
 * A descriptor that becomes readable, for poll() and epoll, when the process has ended and its status is known, and stays so.
 * It is the handle's: valid until that is freed, not to be read from or closed. When the fork server dies it becomes readable at
 * once for all its processes, although those that are no daemons run on: a join then waits for their end. Never waits.
 */
FL_API int fl_process_sentinel(const fl_process *p);

/*
 * Calls `visit` (may be NULL) for each process that was started here, whose handle is not freed, and that runs, oldest first;
 * returns how many. The list is locked meanwhile: `visit` may use the process, but not start or free one, nor fork, nor wait.
 */
FL_API size_t fl_process_active_children(void (*visit)(fl_process *p, void *arg), void *arg);

/*
 * Gives the handle up; NULL does nothing. A daemon that still runs is killed; another runs on.
 * Either is collected when it ends: no zombie stays, unless the library is unloaded before the
 * process ends. Never waits for the process. Requires that nobody else uses the handle.
 */
FL_API void fl_process_free(fl_process *p);

/* In a process of a task: the name it was started with; elsewhere "main". Static. Never waits. */
FL_API const char *fl_process_current_name(void);

/* In a process of a task: how many descriptors were handed over; elsewhere 0. Never waits. */
FL_API unsigned fl_process_fd_count(void);

/* The descriptor that was handed over as `fds[i]`; the task's own now, close-on-exec. -EBADF: there is none. Never waits. */
FL_API int fl_process_fd(unsigned i);

/* For fl_wait_any: ready when the process has ended, as for fl_process_try_join(). */
#define FL_ON_PROCESS(p) FL__ON(fl__on_process, (p))
FL_API extern const fl_on_type fl__on_process;

static inline void fl__scoped_fl_process(fl_process **_p)
{
	fl_process_free(*_p);
}

/* The inline functions. */

FL_INLINE int fl_process_join(fl_process *_p, fl_process_status *_status)
{
	return fl_process_join_until(_p, _status, FL_FOREVER, NULL);
}

FL_INLINE int fl_process_try_join(fl_process *_p, fl_process_status *_status)
{
	const int _rc = fl_process_join_until(_p, _status, 0, FL_SHIELDED);
	return _rc == -ETIMEDOUT ? -EBUSY : _rc;
}

FL_INLINE int fl_process_terminate(fl_process *_p)
{
	return fl_process_signal(_p, SIGTERM);
}

FL_INLINE int fl_process_kill(fl_process *_p)
{
	return fl_process_signal(_p, SIGKILL);
}

FL_END_DECLS

#endif
