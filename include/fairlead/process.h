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
 * A task is a function that was registered with FL_TASK (fairlead/task_type.h). The new process
 * gets a copy of its argument. The result is not sent back: the exit code is 0 if the task returned
 * 0, and otherwise 1. For results, use a process executor (fairlead/process_executor.h), a pipe
 * (fairlead/pipe.h) or shared memory (fairlead/shm.h). A program is a file that is executed;
 * fairlead/process_io.h collects its output.
 *
 * Start methods
 *
 * The field `method` of the config says how the process of a task is made:
 *
 *   FL_PROCESS_FORK_SERVER
 *                    The default. A helper process with a single thread, the fork server, forks the
 *                    process. So a start is cheap, and safe however many threads the caller has.
 *                    The fork server is this program, executed again by the first start that needs
 *                    it, or a copy of this process that fl_process_preload() has forked.
 *   FL_PROCESS_EXEC  This program is executed again for each process. This is slower.
 *   FL_PROCESS_FORK  The caller is forked, with its memory. It must not be a fiber, and its process
 *                    must have a single thread, not counting the library's `watcher`
 *                    (docs/in-your-process.md): otherwise the new process could wait forever for a
 *                    lock that another context holds.
 *
 * Preparing the program
 *
 * The first two of these methods need one of three preparations, and without it fail with -ENOTSUP:
 *
 *   fl_process_main(argc, argv);
 *                     in the first line of main()
 *   FL_PROCESS_HOOK;  at file scope of a library that does not own main(): it makes the same call
 *                     in a constructor
 *   fl_process_preload()
 *                     while the process has a single thread: for the fork server only, which then
 *                     need not execute this program again
 *
 * Even so, a start that has to execute this program again fails with -ENOTSUP if the system has no
 * /proc; if a sandbox forbids getsockopt(); if this program is set-uid, was started by `ld.so
 * PROGRAM`, or runs under Valgrind; or if the calling thread has left the PID namespace of its
 * process. The log says which.
 *
 * The task in the new process
 *
 * The task must be registered here and in the new process, with the same identity: the name, the
 * version, the sizes and alignments of argument and result, and the build-id of the program or
 * library that defines it. A task of a library that dlopen() has loaded is known only to a process
 * of FL_PROCESS_FORK, and to those of a fork server that fl_process_preload() has made after the
 * dlopen(). The hooks drop_arg and drop_result do not run.
 *
 * When the task returns, the process writes one line to standard error if the task has failed,
 * flushes all stdio streams, and exits without the functions of atexit().
 *
 * What a new process inherits
 *
 * - Descriptors: standard input, output and error, those of `fds`, and no others.
 * - Blocked signals: those of the calling thread, except those that fl_signals_create() has
 *   blocked. A task's process never blocks SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP and SIGSYS.
 * - Ignored signals: those that the caller's process ignores. All others have the default action,
 *   except that SIGABRT and those six keep their action in a task's process.
 *
 * A program, and a process of FL_PROCESS_EXEC or FL_PROCESS_FORK, inherits all else that fork(2)
 * and execve(2) hand down. A process that the fork server forks has:
 *
 * - the rights of the calling thread, such as users, capabilities, namespaces, session and cgroup,
 *   and its settings, such as CPU affinity, scheduling, umask and resource limits
 *   (docs/decisions/fork-server-rights.md has the lists);
 * - the directory `cwd`, or the caller's, or / if the caller's cannot be entered;
 * - the environment of the time when the fork server was made;
 * - no pending signals, timers, locks of files and memory, or asynchronous I/O.
 *
 * The fork server
 *
 * A process has one fork server (one for each copy of the library). If the caller has other rights
 * than the fork server, or settings that the fork server may not take on, a start replaces it by
 * executing this program again. fl_process_preload() replaces it by a copy of this process. But as
 * long as a process executor has workers from the fork server, or a handle of another of its
 * processes is left, it cannot be replaced, and the start fails with -EPERM or -EACCES.
 *
 * So drop privileges before you create process executors, or free these first. Programs and
 * FL_PROCESS_EXEC use no fork server, so they can be started at any time.
 *
 * docs/decisions/fork-server-rights.md lists the rights that are not compared.
 *
 * If the fork server dies, so do its daemons. Its other processes run on, but how they end is not
 * known.
 *
 * Daemons
 *
 * A process that was started with `daemon` is killed when the process that started it ends, even by
 * SIGKILL, or when the library is unloaded. (docs/decisions/daemon-death-pipe.md has one
 * exception.) The processes that the daemon has started live on, unless it leads a group (`group`):
 * fl_process_free() and fl_process_stop() kill the whole group, and so does a preloaded fork server
 * when the starter ends.
 *
 * The terminal
 *
 * A process shares the caller's process group, so it may ask on the terminal as sudo and ssh do,
 * and Ctrl-C reaches it as well as the caller. A process that leads a group of its own (`group`) is
 * in the background instead. If it reads the terminal, SIGTTIN stops it, and Ctrl-C does not reach
 * it: take SIGINT yourself (fairlead/signals.h), and stop the process.
 *
 * A process that a signal such as SIGTTIN has stopped has not ended, so a wait for its end goes on,
 * and logs a warning after a second or later. fl_process_stop() also ends a stopped process.
 *
 * Descriptors
 *
 * Until its handle is freed, a process costs the caller one descriptor, or two if the fork server
 * forked it; one more for each pipe; and two more for a daemon that no fork server forked. All of
 * them are close-on-exec.
 *
 * Children
 *
 * Programs, and processes of FL_PROCESS_EXEC and FL_PROCESS_FORK, are children of this process, and
 * their end sends SIGCHLD. If other code reaps one of them, a join returns -ECHILD.
 *
 * All other processes are children of the fork server (getppid()), and RUSAGE_CHILDREN lacks their
 * CPU time. The fork server is an orphan, so its parent is the first process of the PID namespace,
 * or a subreaper (docs/decisions/fork-server-orphan.md). If that is this process, as in a
 * container, `while (wait(NULL) > 0)` also waits for the fork server, so wait for your own children
 * by their pids. If that parent reaps nothing, each fork server leaves a zombie.
 *
 * Threads
 *
 * Several threads may use one handle at the same time, except as fl_process_take_pipe() and
 * fl_process_free() say.
 */
typedef struct fl_process fl_process;

typedef enum fl_process_method { FL_PROCESS_FORK_SERVER, FL_PROCESS_FORK, FL_PROCESS_EXEC } fl_process_method;

/* The values of `in`, `out` and `err` in fl_process_config. 0 means the caller's stream. */
#define FL_PROCESS_FD(fd) ((fd) | 0x40000000) /* a descriptor of the caller */
#define FL_PROCESS_NULL 0x20000000            /* /dev/null; an input is empty even without that file */
#define FL_PROCESS_PIPE 0x10000000            /* a pipe, whose other end is fl_process_pipe() */
#define FL_PROCESS_AS_OUT 0x08000000          /* for `err` only: the same as `out` */

#define FL_PROCESS_FDS_MAX 240
#define FL_PROCESS_NAME_MAX 63

typedef struct fl_process_config {
	/* The task that the process runs. Exactly one of `task` and `program` is set. */
	const fl_task_type *task;
	/* The argument of the task. NULL if and only if the task takes none. */
	const void *arg;
	/*
	 * A path, or a name to search in the caller's PATH, not in that of `env`. A relative path
	 * counts from `cwd`.
	 */
	const char *program;
	/* The program's arguments, its name first and NULL last. NULL means its name alone. */
	const char *const *argv;
	/* The program's environment, with NULL last. NULL means the caller's environment. */
	const char *const *env;
	/* How the process of a task is made. It must be 0 for a program. */
	fl_process_method method;
	/* The name of the process, copied, cut at FL_PROCESS_NAME_MAX. NULL means "process-N". */
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
	 * processes that it has started. See "The terminal" above.
	 */
	bool group;
	uintptr_t more_[4];
} fl_process_config;

typedef struct fl_process_status {
	int code;   /* the exit code, 0 to 255; -1 if a signal has ended the process */
	int signal; /* the number of that signal; 0 if the process has exited */
} fl_process_status;

/*
 * Call it before all else in main(). In a process that the library has started, it runs the fork
 * server or the task, and never returns. In any other process it returns at once, except that it
 * serves worker ranks in a program with the library for MPI (fairlead/mpi_executor.h).
 */
FL_API void fl_process_main(int argc, char **argv);

/*
 * Write FL_PROCESS_HOOK; at file scope. It calls fl_process_main() in a constructor, which runs
 * after the FL_TASK constructors of the same program or library, but perhaps before others. Each
 * copy of Fairlead needs a hook of its own.
 *
 * Do not use it in a library that is loaded by dlopen(). A new process does not load that library,
 * so it would run the program's main().
 */
#define FL_PROCESS_HOOK                                                                                                \
	__attribute__((__constructor__)) static void fl__process_hook(int _argc, char **_argv)                         \
	{                                                                                                              \
		fl_process_main(_argc, _argv);                                                                         \
	}                                                                                                              \
	struct fl_process

/*
 * Forks the fork server from this process. The tasks' processes that it forks later begin with a
 * copy of this process's memory as it is now.
 *
 * It flushes all stdio streams. It does nothing if there is a fork server with the caller's rights,
 * and otherwise replaces it ("The fork server" in fairlead/process.h). It blocks the calling thread
 * until the fork server has answered. The functions of pthread_atfork() run in this process and in
 * the fork server.
 *
 * Returns:
 *   0                 there is a fork server with the caller's rights
 *   -EDEADLK          the process has several threads (`watcher` does not count), or the caller is
 *                     a fiber
 *   -EPERM            there is a fork server with other rights, which cannot be replaced
 *   -ENOTSUP          the thread has left the PID namespace of its process, by unshare() or
 *                     setns(); or a sandbox forbids getsockopt()
 *   -ETIMEDOUT        the fork server did not answer within 30 s
 *   -EPROTO           the fork server ended before it answered
 *   -EAGAIN           the system has no process for it now; or the caller's rights changed during
 *                     the call
 *   -ENOMEM           out of memory
 *   -EMFILE, -ENFILE  too many descriptors
 *   -ETOOMANYREFS     too many descriptors of this user are sent and not received
 *   -ENOSYS           the system has no pidfd_open() (before Linux 5.3); or a sandbox forbids it,
 *                     or waitid(), signalfd4(), ppoll() or fchdir()
 *   other             another error of the system
 */
FL_API FL_MUST_CHECK int fl_process_preload(void);

/*
 * Starts a process, and stores its handle in `*p`. After 0, a program has been executed, unless its
 * process was killed before. The log (fairlead/error.h) has the reason for a failed start.
 *
 * The call blocks the calling context until the fork server or the new process has answered. While
 * it executes a program, or this program again, it blocks the calling thread, even in a fiber.
 *
 * Returns:
 *   0                 the process was started
 *   -EINVAL           `config` is NULL, or faulty: `task` and `program`, or neither; a field for
 *                     tasks with a program, or the reverse; an argument that does not fit the task;
 *                     an fl_bytes without FL_PROCESS_FORK; an unknown method; `n_fds` above
 *                     FL_PROCESS_FDS_MAX, or without `fds`; an argument or result above
 *                     FL_TASK_SIZE_MAX; or a task's name of more than 4,095 bytes
 *   -EBADF            a descriptor is not open; `in`, `out` or `err` lacks FL_PROCESS_FD(); or `in`
 *                     or `out` is FL_PROCESS_AS_OUT
 *   -ENOENT           there is no such program or directory; or the task is not registered, here or
 *                     in the new process; or, with FL_PROCESS_FORK, the process has several threads
 *                     and the system has no /proc
 *   -EPROTO           the file of this program was replaced; or this program ended without a call
 *                     of fl_process_main(); or the task has another identity in the new process
 *   -EEXIST           two tasks have the name of `task`, here or in the new process; not with
 *                     FL_PROCESS_FORK
 *   -EDEADLK          FL_PROCESS_FORK in a process with several threads, or in a fiber
 *   -EPERM, -EACCES   the fork server has other rights than the caller, or may not take on the
 *                     caller's settings, and cannot be replaced ("The fork server" in
 *                     fairlead/process.h)
 *   -ENOTSUP          this program is not prepared for the method, or cannot be executed again
 *                     ("Preparing the program" in fairlead/process.h); or a daemon, or the fork
 *                     server, would be the first process of a PID namespace
 *   -ETIMEDOUT        the fork server or the new process did not answer within 30 s
 *   -EOWNERDEAD       the fork server died, but a process that is not a daemon may have been
 *                     started; or, with the other methods, the new process ended before it answered
 *   -ENOSYS           pidfd_open() (Linux 5.3) is missing or forbidden; or memfd_create() is, and
 *                     the argument is above 16 KiB; or a sandbox forbids one of the calls that
 *                     fl_process_preload() lists
 *   -EFBIG            the argument is above 16 KiB, and above RLIMIT_FSIZE
 *   -ETXTBSY          the program's file is open for writing, perhaps in a child that other code
 *                     has forked and that has not called exec yet: start the program again
 *   -ENODEV           an output is FL_PROCESS_NULL, and the system has no /dev/null
 *   -EAGAIN           the system has no process for it now; or the caller's rights changed while a
 *                     fork server was made
 *   -ENOMEM           out of memory
 *   -EMFILE, -ENFILE  too many descriptors
 *   -ETOOMANYREFS     too many descriptors of this user are sent and not received
 *   other             an error of the system, such as -EACCES of a file that may not be executed
 */
FL_API FL_MUST_CHECK int fl_process_start(fl_process **p, const fl_process_config *config);

/*
 * Waits until the process has ended, and stores in `*status`, unless `status` is NULL, how it
 * ended. It blocks the calling context. You may join a process again.
 *
 * Returns:
 *   0            the process has ended, and `*status` says how
 *   -ETIMEDOUT, -ECANCELED
 *                the deadline passed, or the wait was cancelled; the process runs
 *   -EOWNERDEAD  the fork server died before the process ended, so its status is not known
 *   -ECHILD      other code has reaped the process, by waitpid() or since SIGCHLD is ignored
 *   -ENOSYS      a sandbox forbids waitid(), so the status of a child is not known
 *   -ENOMEM      the process has ended, and there is no memory to receive its status
 */
FL_API FL_MUST_CHECK int fl_process_join_until(fl_process *p, fl_process_status *status, fl_time deadline,
                                               fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_process_join(fl_process *_p, fl_process_status *_status)
{
	return fl_process_join_until(_p, _status, FL_FOREVER, NULL);
}

/*
 * Does the same as fl_process_join() if the process has ended.
 *
 * Returns:
 *   0            the process has ended, and `*status` says how
 *   -EAGAIN      the process runs
 *   -EOWNERDEAD  the status is not known, since the fork server died
 *   other        an error of fl_process_join()
 */
FL_INLINE FL_MUST_CHECK int fl_process_try_join(fl_process *_p, fl_process_status *_status)
{
	const int _rc = fl_process_join_until(_p, _status, FL_NO_WAIT, FL_SHIELDED);
	return _rc == -ETIMEDOUT ? -EAGAIN : _rc;
}

/*
 * Sends a signal to the process, and never to another process that got the number of an ended one.
 *
 * Returns:
 *   0        the signal was sent
 *   -ESRCH   the process has ended
 *   -EINVAL  `signal` is not the number of a signal
 *   -EPERM   the process runs as another user, or a sandbox forbids pidfd_send_signal()
 *   -ENOSYS  a sandbox forbids pidfd_send_signal(), or the system is older than Linux 5.1
 */
FL_API FL_MUST_CHECK int fl_process_signal(fl_process *p, int signal);

/* Does the same as fl_process_signal() with SIGTERM, and returns 0, -ESRCH, -EPERM or -ENOSYS. */
FL_INLINE FL_MUST_CHECK int fl_process_terminate(fl_process *_p)
{
	return fl_process_signal(_p, SIGTERM);
}

/* Does the same as fl_process_signal() with SIGKILL, and returns 0, -ESRCH, -EPERM or -ENOSYS. */
FL_INLINE FL_MUST_CHECK int fl_process_kill(fl_process *_p)
{
	return fl_process_signal(_p, SIGKILL);
}

/*
 * Stops the process, and joins it, as fl_process_join() does.
 *
 * The call sends SIGTERM, and SIGCONT in case the process is stopped. If the process still runs
 * `grace` ns later, it sends SIGKILL. If the process leads a group, the signals go to the whole
 * group, and SIGKILL is sent in any case. Before Linux 6.9 do not stop a group that may have ended,
 * because another group may have got its number.
 *
 * The call blocks the calling context, and a cancel does not end it. Another fiber or thread must
 * read the pipes of the process meanwhile, so that a process that writes before it exits does not
 * block. fl_process_run_until() reads the pipes itself.
 *
 * Returns:
 *   0        the process has ended, and `*status` says how
 *   -EPERM   the process runs as another user, or a sandbox forbids pidfd_send_signal(). The
 *            process runs on
 *   -ENOSYS  a sandbox forbids pidfd_send_signal(), or the system is older than Linux 5.1, and the
 *            process runs on; or a sandbox forbids waitid(), so the status is not known
 *   -EOWNERDEAD, -ECHILD, -ENOMEM
 *            the process has ended, but its status is not known, as fl_process_join() says
 */
FL_API FL_MUST_CHECK int fl_process_stop(fl_process *p, fl_duration grace, fl_process_status *status);

/*
 * Returns the handle's end of a pipe of the process: of its standard input (`stream` is 0), output
 * (1) or error (2). The handle owns the descriptor, which is blocking and close-on-exec. Use it by
 * fl_fd_read_some() and fl_fd_write_some() (fairlead/fd.h).
 *
 * Returns:
 *   >= 0    the descriptor
 *   -EBADF  the stream is not a pipe, or the pipe was closed or taken
 */
FL_API int fl_process_pipe(const fl_process *p, int stream);

/*
 * Returns the handle's end of a pipe, as a descriptor that you own from now on. No other thread may
 * use the handle's pipes at the same time.
 *
 * Returns:
 *   >= 0    the descriptor
 *   -EBADF  the stream is not a pipe, or the pipe was closed or taken
 */
FL_API int fl_process_take_pipe(fl_process *p, int stream);

/* Returns whether the process runs: true as long as fl_process_try_join() returns -EAGAIN. */
FL_API bool fl_process_is_alive(const fl_process *p);

/* Returns the process id. */
FL_API int fl_process_pid(const fl_process *p);

/* Returns the name of the process, which is valid until the handle is freed. */
FL_API const char *fl_process_name(const fl_process *p);

/*
 * Returns a descriptor for poll() and epoll, which becomes readable when the process has ended and
 * its status is known. It is valid until the handle is freed. Do not read or close it.
 */
FL_API int fl_process_sentinel(const fl_process *p);

/*
 * Calls `visit(p, arg)` for each running process that still has a handle, the oldest first, and
 * returns their number. `visit` may be NULL, to count only. It must not start or free a process, or
 * wait.
 */
FL_API size_t fl_process_active_children(void (*visit)(fl_process *p, void *arg), void *arg);

/*
 * Frees the handle and closes its pipes. No other thread may use the handle.
 *
 * A daemon is killed, and with it the group that it leads, as far as the system permits. Any other
 * process runs on, and the library reaps it at its end.
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
 * Returns the descriptor that was `fds[i]` of the config, in a process that was started for a task.
 * It belongs to the task, and is close-on-exec.
 *
 * Returns:
 *   >= 0    the descriptor
 *   -EBADF  `i` is too large, or this process was not started for a task
 */
FL_API int fl_process_fd(unsigned i);

/*
 * FL_ON_PROCESS(p) is an object for FL_WAIT_ANY(). It is ready when the process has ended, so that
 * fl_process_try_join() does not return -EAGAIN.
 */
#define FL_ON_PROCESS(p) FL__ON(fl__on_process, (p))
FL_API extern const fl_on_type fl__on_process;

FL__SCOPED(fl_process, fl_process_free)

FL_END_DECLS

#endif
