/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_PROCESS_H
#define FAIRLEAD_PROCESS_H

#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <fairlead/private/part_process.h>
#include <fairlead/task_type.h>
#include <fairlead/time.h>
#include <fairlead/wait_any.h>
#include <signal.h>

FL_BEGIN_DECLS

/*
 * Starts a task or a program in a process of its own, and waits for its end.
 *
 *     fl_process_main(argc, argv); // the first line of main()
 *     FL_SCOPED(fl_process) *p = NULL;
 *     fl_process_status status;
 *     const fl_process_config config = {.task = &count_primes, .arg = &part};
 *     int rc = fl_process_start(&p, &config);
 *     if (rc == 0)
 *             rc = fl_process_join_until(p, &status, fl_after(FL_S(5)), NULL);
 *     if (rc == 0)
 *             printf("exit code %d\n", status.code);
 *
 * A task is defined with FL_TASK (fairlead/task.h). The new process gets a copy of its argument.
 * Its result is not sent back: the exit code is 0 if the task returned 0, and otherwise 1. For
 * results, use a process executor, a pipe or shared memory. A program is a file that is executed;
 * fairlead/process_io.h collects its output.
 *
 * Start methods
 *
 * The field `method` of the config says how the process of a task is made:
 *
 *   FL_PROCESS_FORK_SERVER  The default. The fork server, a helper process with a single thread,
 *                           forks the process: fast, and safe however many threads the caller has.
 *                           The fork server is this program, executed again by the first start, or
 *                           forked by fl_process_preload().
 *   FL_PROCESS_EXEC         This program is executed again for each process, which is slower.
 *   FL_PROCESS_FORK         The caller is forked, with its memory. The caller must not be a fiber,
 *                           and its process must have a single thread, not counting the library's
 *                           own thread `watcher` (docs/in-your-process.md).
 *
 * Preparing the program
 *
 * The first two of these methods need one of three preparations, and without it fail with -ENOTSUP:
 *
 *   fl_process_main(argc, argv);
 *                     in the first line of main()
 *   FL_PROCESS_HOOK;  at file scope of a library that does not own main()
 *   fl_process_preload()
 *                     while the process has a single thread; this prepares the fork server only
 *
 * Even so, a start fails with -ENOTSUP if this program cannot be executed again, for example
 * because it is set-uid or there is no /proc. The log says why.
 *
 * The task in the new process
 *
 * The task must be registered here and in the new process, with the same name, version and sizes,
 * and from the same build. A library that dlopen() has loaded is unknown there, except with
 * FL_PROCESS_FORK, or if fl_process_preload() was called after the dlopen(). The hooks drop_arg and
 * drop_result do not run.
 *
 * When the task returns, the process writes a line to standard error if the task has failed,
 * flushes all stdio streams, and exits without the functions of atexit().
 *
 * What a new process inherits
 *
 * A new process has standard input, output and error and the descriptors of `fds`, but no others.
 * docs/in-your-process.md ("Signals") says which signals it blocks and ignores.
 *
 * A process that the fork server forks has the rights of the calling thread, such as its user and
 * namespaces, and its settings, such as CPU affinity and resource limits
 * (docs/decisions/fork-server-rights.md). Its directory is the caller's, or / if that cannot be
 * entered, and its environment is that of the fork server's start. Other processes inherit what
 * fork(2) and execve(2) hand down.
 *
 * The fork server
 *
 * A process has one fork server. If the caller has other rights than the fork server, a start
 * replaces the fork server by executing this program again. However, the start fails with -EPERM or
 * -EACCES as long as a process executor has workers from the old fork server, or you have not freed
 * the handle of another process that it has forked. So drop privileges before you create process
 * executors, or free these first. Programs and FL_PROCESS_EXEC use no fork server.
 *
 * If the fork server dies, so do its daemons. Its other processes run on, but how they end is
 * unknown.
 *
 * Daemons
 *
 * A process started with `daemon` is killed when the process that started it ends, even by SIGKILL,
 * or when the library is unloaded. The processes that the daemon has started live on, unless it
 * leads a `group` and fl_process_free() or fl_process_stop() kills the whole group.
 *
 * The terminal
 *
 * A process shares the caller's process group, so it may read the terminal, and Ctrl-C reaches it.
 * A process that leads a `group` of its own is in the background: SIGTTIN stops it if it reads the
 * terminal, and Ctrl-C does not reach it ("The terminal and Ctrl-C" in
 * docs/guide/other-programs.md). A wait for a process that a signal has stopped goes on.
 *
 * Children
 *
 * Programs, and processes of FL_PROCESS_EXEC and FL_PROCESS_FORK, are children of this process, and
 * their end sends SIGCHLD. All others are children of the fork server (docs/guide/processes.md says
 * what follows in a container). Until its handle is freed, a process costs the caller up to three
 * descriptors, and one for each pipe. Several threads may use one handle at the same time, except
 * as fl_process_take_pipe() and fl_process_free() say.
 */
typedef struct fl_process fl_process;

typedef enum fl_process_method { FL_PROCESS_FORK_SERVER, FL_PROCESS_FORK, FL_PROCESS_EXEC } fl_process_method;

/* The values of `in`, `out` and `err` in fl_process_config. 0 means the caller's stream. */
#define FL_PROCESS_FD(fd) ((fd) | 0x40000000) /* a descriptor of the caller */
#define FL_PROCESS_NULL 0x20000000            /* /dev/null */
#define FL_PROCESS_PIPE 0x10000000            /* a pipe, whose other end is fl_process_pipe() */
#define FL_PROCESS_AS_OUT 0x08000000          /* for `err` only: the same as `out` */

#define FL_PROCESS_FDS_MAX 240
#define FL_PROCESS_NAME_MAX 63

typedef struct fl_process_config {
	/*
	 * The task that the process runs. Set either `task` or `program`; `arg` and `method` only
	 * with `task`; `argv` and `env` only with `program`. The task's name is at most 4,095
	 * bytes, its argument and its result at most FL_TASK_SIZE_MAX each.
	 */
	const fl_task_type *task;
	/*
	 * The argument of the task: NULL if and only if the task takes none. It may contain an
	 * fl_bytes only with FL_PROCESS_FORK.
	 */
	const void *arg;
	/*
	 * A path, relative to `cwd`, or a name to search in the caller's PATH, not in that of
	 * `env`.
	 */
	const char *program;
	/* The program's arguments, its name first and NULL last. NULL means its name alone. */
	const char *const *argv;
	/* The program's environment, with NULL last. NULL means the caller's environment. */
	const char *const *env;
	/* How the process of a task is made ("Start methods" above). */
	fl_process_method method;
	/* The name of the process, cut at FL_PROCESS_NAME_MAX. NULL means "process-N". */
	const char *name;
	/* Whether the process is killed when the caller's process ends. */
	bool daemon;
	/* The current directory. NULL means the caller's. */
	const char *cwd;
	/* FL_PROCESS_FD(fd), FL_PROCESS_NULL, FL_PROCESS_PIPE, ... 0 means the caller's stream. */
	int in, out, err;
	/* More descriptors. A task finds them by fl_process_fd(), a program as 3, 4, and so on. */
	const int *fds;
	unsigned n_fds; /* up to FL_PROCESS_FDS_MAX */
	/*
	 * Whether the process leads a process group, so that fl_process_stop() also stops the
	 * processes that it has started ("The terminal" above).
	 */
	bool group;
	uintptr_t more_[4];
} fl_process_config;

typedef struct fl_process_status {
	int code;   /* the exit code, 0 to 255; -1 if a signal has ended the process */
	int signal; /* the number of that signal; 0 if the process has exited */
} fl_process_status;

/*
 * Call it before all else in main(). In a process that the library has started, or in a worker rank
 * (fairlead/mpi_executor.h), it runs what that process is for, and never returns. Elsewhere it
 * returns at once.
 */
FL_API void fl_process_main(int argc, char **argv);

/*
 * Write FL_PROCESS_HOOK; at file scope. It calls fl_process_main() in a constructor, so a task may
 * run before other constructors have. Each copy of Fairlead needs its own hook.
 *
 * Do not use it in a library that is loaded by dlopen(): a new process does not load that library,
 * so it would run the program's main().
 */
#define FL_PROCESS_HOOK                                                                                                \
	__attribute__((__constructor__)) static void fl__process_hook(int _argc, char **_argv)                         \
	{                                                                                                              \
		fl_process_main(_argc, _argv);                                                                         \
	}                                                                                                              \
	struct fl_process

/*
 * Forks the fork server from this process. Its processes begin with a copy of this process's memory
 * as it is now.
 *
 * If there is a fork server with the caller's rights, the call does nothing; it replaces one with
 * other rights. It flushes all stdio streams, runs the functions of pthread_atfork(), and blocks
 * the calling thread until the fork server has answered. Returns 0, -ENOMEM, -EMFILE, -ENFILE,
 * -ETOOMANYREFS, or:
 *   -EDEADLK    the process has several threads (`watcher` does not count), or the caller is a
 *               fiber
 *   -EPERM      there is a fork server with other rights, which cannot be replaced
 *   -ENOTSUP    the thread has left the PID namespace of its process; or a sandbox forbids
 *               getsockopt()
 *   -ETIMEDOUT  the fork server did not answer within 30 s
 *   -EPROTO     the fork server ended before it answered
 *   -EAGAIN     the system has no process for it now; or the caller's rights changed meanwhile
 *   -ENOSYS     pidfd_open() (Linux 5.3) is missing; or a sandbox forbids it, waitid(),
 *               signalfd4(), ppoll() or fchdir()
 *   other       another error of the system
 */
FL_API FL_MUST_CHECK int fl_process_preload(void);

/*
 * Starts a process, and stores its handle in `*p`. After 0, a program has been executed, unless its
 * process was killed before. After an error, the log (fairlead/error.h) has the reason.
 *
 * The call blocks the calling context until the fork server or the new process has answered. While
 * it executes a program, or this program again, it blocks the calling thread, even in a fiber.
 * Returns 0, -ENOMEM, -EMFILE, -ENFILE, -ETOOMANYREFS, or:
 *   -EINVAL          `config` is NULL, or invalid: see its members
 *   -EBADF           a descriptor is not open; or `in`, `out` or `err` has a value that it cannot
 *                    take
 *   -ENOENT          there is no such program or directory; the task is not registered, here or in
 *                    the new process; or, with FL_PROCESS_FORK and several threads, no /proc
 *   -EPROTO          this program's file was replaced, or it ended without fl_process_main(); or
 *                    the task differs in the new process
 *   -EEXIST          two tasks have the name of `task`, here or in the new process
 *   -EDEADLK         FL_PROCESS_FORK in a process with several threads, or in a fiber
 *   -EPERM, -EACCES  the fork server has other rights than the caller, or may not take on its
 *                    settings, and cannot be replaced
 *   -ENOTSUP         see "Preparing the program" in fairlead/process.h; or a daemon, or the fork
 *                    server, would be the first process of a PID namespace
 *   -ETIMEDOUT       the fork server or the new process did not answer within 30 s
 *   -EOWNERDEAD      the fork server died, but the process may have been started, unless it is a
 *                    daemon; or the new process ended before it answered
 *   -ENOSYS          as in fl_process_preload(); or the argument is above 16 KiB, and a sandbox
 *                    forbids memfd_create()
 *   -EFBIG           the argument is above 16 KiB, and above RLIMIT_FSIZE
 *   -ETXTBSY         the program's file is open for writing, perhaps in a child just forked: try
 *                    again
 *   -ENODEV          an output is FL_PROCESS_NULL, and the system has no /dev/null
 *   -EAGAIN          the system has no process for it now; or the caller's rights changed meanwhile
 *   other            an error of the system, such as -EACCES for a file that may not be executed
 */
FL_API FL_MUST_CHECK int fl_process_start(fl_process **p, const fl_process_config *config);

/*
 * Waits until the process has ended, and stores how it ended in `*status`, which may be NULL.
 * Blocks the calling context, except fl_process_try_join(). You may join a process again. Returns
 * 0, -EAGAIN, -ETIMEDOUT, -ECANCELED, or:
 *   -EOWNERDEAD  the fork server died before the process ended, so its status is not known
 *   -ECHILD      other code has reaped the process, or SIGCHLD is ignored
 *   -ENOSYS      a sandbox forbids waitid(), so the status of a child is not known
 *   -ENOMEM      the process has ended, and there is no memory to receive its status
 */
FL_API FL_MUST_CHECK int fl_process_join_until(fl_process *p, fl_process_status *status, fl_time deadline,
                                               fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_process_join(fl_process *_p, fl_process_status *_status)
{
	return fl_process_join_until(_p, _status, FL_FOREVER, NULL);
}
FL_INLINE FL_MUST_CHECK int fl_process_try_join(fl_process *_p, fl_process_status *_status)
{
	const int _rc = fl_process_join_until(_p, _status, FL_NO_WAIT, FL_SHIELDED);
	return _rc == -ETIMEDOUT ? -EAGAIN : _rc;
}

/*
 * Sends a signal to the process, never to another one that got its number afterwards. Returns 0,
 * or:
 *   -ESRCH   the process has ended
 *   -EINVAL  `signal` is not a signal
 *   -EPERM   the process runs as another user, or a sandbox forbids pidfd_send_signal()
 *   -ENOSYS  pidfd_send_signal() (Linux 5.1) is missing, or a sandbox forbids it
 */
FL_API FL_MUST_CHECK int fl_process_signal(fl_process *p, int signal);

/*
 * Does the same as fl_process_signal() with SIGTERM or, fl_process_kill(), SIGKILL. Returns 0,
 * -ESRCH, -EPERM or -ENOSYS.
 */
FL_INLINE FL_MUST_CHECK int fl_process_terminate(fl_process *_p)
{
	return fl_process_signal(_p, SIGTERM);
}
FL_INLINE FL_MUST_CHECK int fl_process_kill(fl_process *_p)
{
	return fl_process_signal(_p, SIGKILL);
}

/*
 * Stops the process, and joins it. The call sends SIGTERM and SIGCONT, and SIGKILL if the process
 * still runs `grace` ns later. If the process leads a group, the signals go to the whole group, and
 * SIGKILL is sent in any case. Before Linux 6.9 do not stop a group that may have ended: another
 * group may have its number.
 *
 * The call blocks the calling context, and a cancel does not end it. Meanwhile another fiber or
 * thread must read the pipes of the process, which could otherwise block in a write. Returns 0, or:
 *   -EPERM   an error of fl_process_signal(); the process runs on
 *   -ENOSYS  an error of fl_process_signal(), and the process runs on; or one of fl_process_join()
 *   -EOWNERDEAD, -ECHILD, -ENOMEM
 *            an error of fl_process_join(): the status is not known
 */
FL_API FL_MUST_CHECK int fl_process_stop(fl_process *p, fl_duration grace, fl_process_status *status);

/*
 * Returns the handle's end of a pipe of the process: of its standard input (`stream` is 0), output
 * (1) or error (2); or -EBADF if there is no such pipe, or it was closed or taken. The handle owns
 * the descriptor, which is blocking and close-on-exec, for fl_fd_read_some() and fl_fd_write_some()
 * (fairlead/fd.h).
 */
FL_API int fl_process_pipe(const fl_process *p, int stream);

/*
 * Does the same as fl_process_pipe(), but you own the descriptor from now on. No other thread may
 * use the handle's pipes at the same time.
 */
FL_API int fl_process_take_pipe(fl_process *p, int stream);

/* Returns whether the process runs. */
FL_API bool fl_process_is_alive(const fl_process *p);

/* Returns the process id. */
FL_API int fl_process_pid(const fl_process *p);

/* Returns the name of the process, valid until the handle is freed. */
FL_API const char *fl_process_name(const fl_process *p);

/*
 * Returns a descriptor for poll() and epoll, which becomes readable when the process has ended, and
 * is valid until the handle is freed. Do not read or close it.
 */
FL_API int fl_process_sentinel(const fl_process *p);

/*
 * Calls `visit(p, arg)` for each running process that has a handle, the oldest first, and returns
 * their number. `visit` may be NULL, and must not start or free a process, or wait.
 */
FL_API size_t fl_process_active_children(void (*visit)(fl_process *p, void *arg), void *arg);

/*
 * Frees the handle, which no other thread may use, and closes its pipes. A daemon is killed, and
 * with it the group that it leads, as far as the system permits. Any other process runs on, and the
 * library reaps it.
 */
FL_API void fl_process_free(fl_process *p);

/*
 * Returns the name of this process if it was started for a task, and otherwise "main". The string
 * is static.
 */
FL_API const char *fl_process_current_name(void);

/*
 * Returns how many descriptors were passed to this process as `fds`: 0 if it was not started for a
 * task.
 */
FL_API unsigned fl_process_fd_count(void);

/*
 * Returns the descriptor `fds[i]` that was passed to this process, or -EBADF if `i` is too large,
 * or this process was not started for a task. The descriptor belongs to the task, and is
 * close-on-exec.
 */
FL_API int fl_process_fd(unsigned i);

/* FL_ON_PROCESS(p) is an object for FL_WAIT_ANY(), ready when the process has ended. */
#define FL_ON_PROCESS(p) FL__ON(fl__on_process, (p))
FL_API extern const fl_on_type fl__on_process;

FL__SCOPED(fl_process, fl_process_free)

FL_END_DECLS

#endif
