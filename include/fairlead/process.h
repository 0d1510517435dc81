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
 *     int main(int argc, char **argv)
 *     {
 *             fl_process_main(argc, argv); // the first line of main()
 *             FL_SCOPED(fl_process) *p = NULL;
 *             fl_process_status status;
 *             const fl_process_config config = {.task = &count_primes, .arg = &part};
 *             int rc = fl_process_start(&p, &config);
 *             if (rc == 0)
 *                     rc = fl_process_join_until(p, &status, fl_after(FL_S(5)), NULL);
 *             if (rc == 0)
 *                     printf("exit code %d\n", status.code);
 *             return rc != 0;
 *     }
 *
 * A task is a function that was registered with FL_TASK (fairlead/task_type.h). The new process
 * gets a copy of the bytes of the task's argument. Its result is not sent back: the exit code says
 * whether the task returned 0. To get results, use a process executor
 * (fairlead/process_executor.h), a pipe (fairlead/pipe.h) or shared memory (fairlead/shm.h). A
 * program is a file that is executed.
 *
 * Start methods
 *
 * The field `method` of the config says how the process of a task is made. A program needs no
 * method.
 *
 *   FL_PROCESS_FORK_SERVER
 *                    The default. The fork server forks the process. The fork server is a helper
 *                    process with a single thread: either this program, executed again by the first
 *                    start that needs it, or a copy of this process, forked by
 *                    fl_process_preload(). A start is cheap, and it is safe however many threads
 *                    the caller has.
 *   FL_PROCESS_EXEC  This program is executed again for each process. This is slower.
 *   FL_PROCESS_FORK  The caller is forked, with its memory. The caller must not be a fiber, and its
 *                    process must have a single thread; the library's thread `watcher`
 *                    (docs/in-your-process.md) does not count.
 *
 * Preparing the program
 *
 * A program must be prepared for the methods FL_PROCESS_FORK_SERVER and FL_PROCESS_EXEC, in one of
 * three ways:
 *
 *   fl_process_main(argc, argv);
 *                     Call it in the first line of main(). It serves both methods.
 *   FL_PROCESS_HOOK;  Write it at file scope. It makes the same call in a constructor, for a
 *                     library that does not own main(). It serves both methods.
 *   fl_process_preload()
 *                     Call it while the process has a single thread. It serves the fork server
 *                     only.
 *
 * In a program that is not prepared, a start by FL_PROCESS_FORK_SERVER or FL_PROCESS_EXEC fails
 * with -ENOTSUP. FL_PROCESS_FORK and the start of a program need no preparation.
 *
 * A start that has to execute this program again fails with -ENOTSUP in seven more cases. (A fork
 * server that fl_process_preload() has made needs no execution.)
 *
 * - The system has no /proc.
 * - A sandbox forbids getsockopt(). Then fl_process_preload() fails, too.
 * - This program was started by `ld.so PROGRAM`.
 * - This program runs under Valgrind.
 * - The calling thread has left the PID namespace of its process, by unshare() or setns().
 * - Executing this program gives it further rights: it is a set-uid program, for example.
 * - This process was begun with the variable FAIRLEAD_PROCESS in its environment, and
 *   fl_process_main() has found no socket at descriptor 3: the user has set the variable, or a
 *   constructor of the program has closed the descriptor of a process that the library started.
 *
 * A new process finds its instructions at descriptor 3. No constructor of the program may close it.
 *
 * The task in the new process
 *
 * The task must be registered here and in the new process, with the same identity: the name, the
 * version, the sizes and alignments of argument and result, and the build-id of the program or
 * library that defines the task. A task of a library that dlopen() has loaded is known only to a
 * process of FL_PROCESS_FORK, and to the processes of a fork server that fl_process_preload() has
 * made after the dlopen(). The hooks drop_arg and drop_result of the task's type do not run.
 *
 * When the task returns, the process flushes all stdio streams and exits, without the functions of
 * atexit(). It flushes none if another of its threads keeps standard input, output or error locked
 * for a second. The exit code is 0 if the task returned 0. Otherwise it is 1, and the process
 * writes one line to standard error. getppid() is the fork server if the fork server forked the
 * process; otherwise it is the caller.
 *
 * What a new process inherits
 *
 * - Blocked signals: those that the calling thread blocks, except those that fl_signals_create()
 *   has blocked. A task's process never blocks SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP and SIGSYS.
 * - Ignored signals: those that the caller's process ignores at the start. All other signals have
 *   the default action. There is one exception: in a task's process, SIGABRT and the six signals
 *   that it never blocks have the action that they have in the process from which it was forked,
 *   or, after an execution of this program, the action that a constructor of the program has set.
 * - Descriptors: standard input, output and error, the descriptors of `fds`, and no others.
 * - Attributes of the thread that calls fl_process_start(), at the time of the call.
 *
 * A program, and a process of FL_PROCESS_EXEC or FL_PROCESS_FORK, is a child of the calling thread:
 * it inherits the attributes that fork(2) and execve(2) hand down. A process that the fork server
 * forks has these attributes:
 *
 * - The caller's rights: users, groups, capabilities, securebits, no_new_privs, seccomp filters,
 *   label of the security module (SELinux, AppArmor), session keyring, root directory, namespaces,
 *   session, process group, cgroup, oom_score_adj and NUMA policy. If this program was executed
 *   again as the fork server, the rights are what execve(2) leaves of them. If fl_process_preload()
 *   made the fork server, they are unchanged. If the fork server was made with other rights than
 *   the caller has now, it is replaced ("The fork server", below), or the start fails with -EPERM.
 * - The caller's settings: CPU affinity, scheduling policy and priority, nice, I/O priority, timer
 *   slack, personality, umask and resource limits. The fork server takes them on for the start. If
 *   the system forbids that, the fork server is replaced, or the start fails with -EPERM or
 *   -EACCES.
 * - The current directory `cwd`, or the caller's. If the caller's directory cannot be entered,
 *   since the user may not enter it or its file system is gone, the new process is in /. (With
 *   FL_PROCESS_EXEC it stays in the caller's directory.)
 * - The environment of the time when the fork server was made.
 * - No pending signals, timers, locks of files and memory, or asynchronous I/O.
 *
 * The fork server
 *
 * Each copy of the library in a process has one fork server. A start that finds a fork server with
 * other rights than the caller replaces it: the calling thread executes this program again.
 * fl_process_preload() replaces it by a copy of this process. A fork server cannot be replaced
 * while a process executor has a worker that the fork server forked, or while a handle of another
 * of its processes has not been freed.
 *
 * So a service that drops its privileges should create its process executors afterwards. If it has
 * created some before, it frees them first: a pool keeps its workers, and they keep their rights.
 * Until the last of them has ended, no worker with other rights can be started. Programs and
 * FL_PROCESS_EXEC use no fork server, so they can be started at any time.
 *
 * Without /proc some rights of a fork server cannot be compared: seccomp filters, labels, ambient
 * and bounding capabilities, the ids of setfsuid() and setfsgid(), cgroup, oom_score_adj, and all
 * namespaces except the mount namespace. Without /proc the processes of the fork server also have
 * the umask of the fork server. A landlock domain is never compared.
 *
 * If the fork server dies, its daemons die with it. Its other processes run on, but how they end is
 * not known.
 *
 * Daemons
 *
 * A process that was started with `daemon` is killed when the process that started it ends, even by
 * SIGKILL, or when the library is unloaded. The kernel kills the daemon alone, not the processes
 * that the daemon has started. If the daemon leads a group (`group`), fl_process_free() and
 * fl_process_stop() kill the whole group. So does a preloaded fork server when the process that
 * started the daemon ends. In one case a daemon lives longer than its starter. If the starter has
 * made a child by clone() without running the functions of pthread_atfork(), the child keeps the
 * daemon alive until it calls exec or ends.
 *
 * The terminal
 *
 * A process shares the caller's process group, so it may ask on the terminal as sudo and ssh do,
 * and Ctrl-C reaches it as well as the caller. A process that leads a group of its own (`group`) is
 * in the background of the terminal instead. Ctrl-C does not reach it: take SIGINT by
 * fairlead/signals.h, and stop the process. And if it reads the terminal, SIGTTIN stops it.
 *
 * A process that a signal has stopped (SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU) has not ended, so all
 * waits for its end go on until SIGCONT continues it. fl_process_join(), fl_process_communicate()
 * and fl_process_run() log a warning about it: they look after a second, and then each time that
 * the wait has lasted about twice as long. (They need /proc for that.) FL_ON_PROCESS() and the
 * sentinel tell nothing of it. fl_process_stop() also ends a stopped process.
 *
 * Descriptors
 *
 * All descriptors of the library are close-on-exec. Until its handle is freed, a process costs the
 * caller these descriptors: one, or two if the fork server forked the process; one more for each
 * pipe; and two more for a daemon that no fork server forked. A child of this process that still
 * runs when its handle is freed costs one descriptor until it ends. The library keeps up to six
 * more, for its thread `watcher` (docs/in-your-process.md) and for the fork server.
 *
 * Children
 *
 * Programs, and processes of FL_PROCESS_EXEC and FL_PROCESS_FORK, are children of this process.
 * Their end sends SIGCHLD. If wait() or waitpid(-1) of the program reaps one of them, a join of its
 * handle returns -ECHILD.
 *
 * All other processes are children of the fork server. The fork server is an orphan: it is a child
 * of the first process of the PID namespace, or of a subreaper. This has consequences:
 *
 * - If that first process or subreaper reaps nothing, each fork server leaves a zombie.
 * - If this process is that first process or subreaper, `while (wait(NULL) > 0)` also waits for the
 *   fork server. A fork server that a start has made exists as long as there is a process executor
 *   or a handle of one of its processes. When the last of them is freed, the fork server is ended
 *   and reaped, and the next start makes another one. A fork server that fl_process_preload() has
 *   made stays. While a fork server exists, wait for your own children by their pids.
 * - RUSAGE_CHILDREN and time(1) lack the CPU time of the fork server and of its processes.
 * - pkill -P does not find the processes of the fork server, which are no descendants of this
 *   process. Yama's ptrace_scope=1 forbids this process to trace them.
 * - systemd may take the fork server for the main process of a unit with Type=forking and without
 *   PIDFile.
 *
 * Threads
 *
 * Several threads may use one handle at the same time, with two exceptions. While a thread is in
 * fl_process_take_pipe(), no other thread may use the pipes of the handle. While a thread is in
 * fl_process_free(), no other thread may use the handle. The library's log (fairlead/error.h) has
 * the reason for a failed start.
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
	 * The program is a path, or a name to search in the caller's PATH, not in that of `env`. A
	 * relative path counts from `cwd`.
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
	/* Whether the process is killed when the process of the caller ends. */
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
	 * processes that it has started. A process that leads a group cannot read the terminal, and
	 * Ctrl-C does not reach it.
	 */
	bool group;
	uintptr_t more_[4];
} fl_process_config;

typedef struct fl_process_status {
	int code;   /* the exit code, 0 to 255; -1 if a signal has ended the process */
	int signal; /* the number of that signal; 0 if the process has exited */
} fl_process_status;

/*
 * Runs the fork server or the task, in a process that the library has started for it, and never
 * returns there. In any other process it returns at once. There is one exception: in a program that
 * is linked with the library for MPI, it also serves worker ranks (fairlead/mpi_executor.h).
 *
 * Call it before all else in main().
 */
FL_API void fl_process_main(int argc, char **argv);

/*
 * Write FL_PROCESS_HOOK; at file scope. It calls fl_process_main() in a constructor.
 *
 * The constructor runs after the FL_TASK constructors of the same program or library. Other
 * constructors may run later. A library with a copy of Fairlead in it has a hook of its own, since
 * each copy of Fairlead serves its own tasks.
 *
 * Do not use FL_PROCESS_HOOK in a library that is loaded by dlopen(). A new process does not load
 * that library, so the new process would run the program's main().
 */
#define FL_PROCESS_HOOK                                                                                                \
	__attribute__((__constructor__)) static void fl__process_hook(int _argc, char **_argv)                         \
	{                                                                                                              \
		fl_process_main(_argc, _argv);                                                                         \
	}                                                                                                              \
	struct fl_process

/*
 * Forks the fork server from this process. The processes of tasks that it forks later begin with a
 * copy of this process's memory as it is now.
 *
 * The call flushes all stdio streams. It does nothing if there is a fork server with the caller's
 * rights. It replaces a fork server with other rights, if no worker of a process executor and no
 * handle of its processes is left.
 *
 * The call blocks the calling thread until the fork server has answered.
 *
 * Returns:
 *   0                 there is a fork server with the caller's rights
 *   -EDEADLK          the process has several threads, not counting `watcher`, or the caller is a
 *                     fiber: the forked process could wait for ever for a lock that another context
 *                     holds
 *   -EPERM            there is a fork server with other rights than the caller, and a worker of a
 *                     process executor or the handle of one of its processes is left
 *   -ENOTSUP          the thread has left the PID namespace of its process, by unshare() or
 *                     setns(); or a sandbox forbids getsockopt()
 *   -ETIMEDOUT        the fork server did not answer within 30 s
 *   -EPROTO           the fork server ended before it answered
 *   -EAGAIN           the system has no process for it now; or the rights of the calling thread
 *                     changed during the call
 *   -ENOMEM           there is no memory
 *   -EMFILE, -ENFILE  the process, or the system, has too many descriptors
 *   -ETOOMANYREFS     too many descriptors of this user were sent and not yet received
 *   -ENOSYS           the system has no pidfd_open() (before Linux 5.3); or a sandbox forbids it,
 *                     or waitid(), signalfd4(), ppoll() or fchdir(): the log says which
 *   other             another error of the system
 *
 * The functions of pthread_atfork() run for two forks, since the process that is forked first forks
 * the fork server. For a moment there are two copies of this process, and both count for
 * RLIMIT_NPROC.
 */
FL_API FL_MUST_CHECK int fl_process_preload(void);

/*
 * Starts a process, and stores its handle in `*p`. When the call returns 0, a program has been
 * executed, unless its process was killed before.
 *
 * The call blocks the calling context until the fork server or the new process has answered. While
 * a program is executed, or this program for FL_PROCESS_EXEC or for a new fork server, the call
 * blocks the calling thread, also when the caller is a fiber.
 *
 * Returns:
 *   0                 the process was started
 *   -EINVAL           `config` is NULL, or has one of these faults: both `task` and `program`, or
 *                     neither; a field for tasks beside a program, or a field for programs beside a
 *                     task; an argument that does not fit the task; a task with an fl_bytes, unless
 *                     the method is FL_PROCESS_FORK; an unknown method; more than
 *                     FL_PROCESS_FDS_MAX descriptors, or a number of descriptors without `fds`; or
 *                     a task whose argument or result is above FL_TASK_SIZE_MAX, or whose name has
 *                     more than 4,095 bytes
 *   -EBADF            a descriptor is not open; or `in`, `out` or `err` is a number without
 *                     FL_PROCESS_FD(); or `in` or `out` is FL_PROCESS_AS_OUT
 *   -ENOENT           there is no such program or directory; or the task is not registered, here or
 *                     in the new process; or the method is FL_PROCESS_FORK, the process has several
 *                     threads, and the system has no /proc
 *   -EPROTO           the file of this program was replaced; or this program ended without a call
 *                     of fl_process_main(); or the task has another identity in the new process
 *   -EEXIST           two tasks have the name of `task`, here or in the new process, and the method
 *                     is not FL_PROCESS_FORK
 *   -EDEADLK          the method is FL_PROCESS_FORK, and the process has several threads or the
 *                     caller is a fiber: the new process could wait for ever for a lock that
 *                     another context holds
 *   -EPERM, -EACCES   the fork server has other rights than the caller, or may not take on the
 *                     caller's settings, and cannot be replaced: a worker of a process executor or
 *                     the handle of one of its processes is left, another start that uses it has
 *                     not ended within 30 s, or this program cannot be executed again
 *   -ENOTSUP          this program is not prepared for the method, or cannot be executed again
 *                     ("Preparing the program" in fairlead/process.h); or a daemon, or the fork
 *                     server, would be the first process of a PID namespace
 *   -ETIMEDOUT        the fork server or the new process did not answer within 30 s
 *   -EOWNERDEAD       the fork server died during the call. A process that is no daemon may have
 *                     been started all the same. With FL_PROCESS_EXEC and FL_PROCESS_FORK: the new
 *                     process ended before it answered
 *   -ENOSYS           pidfd_open() (Linux 5.3) is missing or forbidden; or memfd_create() is, and
 *                     the argument is above 16 KiB; or a sandbox forbids one of the calls that the
 *                     fork server needs, which fl_process_preload() lists
 *   -EFBIG            the argument is above 16 KiB, and above RLIMIT_FSIZE
 *   -ETXTBSY          the program's file is open for writing, in this or in another process
 *   -ENODEV           an output is FL_PROCESS_NULL, and the system has no /dev/null
 *   -EAGAIN           the system has no process for it now; or the rights of the calling thread
 *                     changed while the call made a fork server
 *   -ENOMEM           there is no memory
 *   -EMFILE, -ENFILE  the process, or the system, has too many descriptors
 *   -ETOOMANYREFS     too many descriptors of this user were sent and not yet received
 *   other             an error of the system, such as -EACCES of a file that may not be executed
 *
 * If you write a program's file and then start the program, close the file first. Other threads may
 * start processes through this library while the file is open: these processes do not keep it open.
 * But a child that other code, or another copy of the library, has forked holds the file open until
 * the child calls exec, and the start returns -ETXTBSY. Then start the program again.
 *
 * Memory order: what was written before the call happens before the process begins, as far as the
 * process has a copy of that memory.
 */
FL_API FL_MUST_CHECK int fl_process_start(fl_process **p, const fl_process_config *config);

/*
 * Waits until the process has ended, and stores in `*status`, which may be NULL, how it ended.
 *
 * The call blocks the calling context. The call may be repeated after the process was joined.
 *
 * Returns:
 *   0            the process has ended, and `*status` says how
 *   -ETIMEDOUT   the deadline passed, and the process runs
 *   -ECANCELED   the wait was cancelled, and the process runs
 *   -EOWNERDEAD  the fork server died before the process ended, so the status of the process is not
 *                known
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
 * The call never waits.
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
 * Sends a signal to the process.
 *
 * The call never waits. The signal never goes to another process that got the number of an ended
 * one.
 *
 * Returns:
 *   0        the signal was sent
 *   -ESRCH   the process has ended
 *   -EINVAL  `signal` is not the number of a signal
 *   -EPERM   the process runs as another user, or a sandbox forbids pidfd_send_signal()
 *   -ENOSYS  a sandbox forbids pidfd_send_signal(), or the system is older than Linux 5.1
 */
FL_API FL_MUST_CHECK int fl_process_signal(fl_process *p, int signal);

/*
 * Sends SIGTERM to the process, by fl_process_signal().
 *
 * The call never waits.
 *
 * Returns:
 *   0        the signal was sent
 *   -ESRCH   the process has ended
 *   -EPERM   the process runs as another user, or a sandbox forbids pidfd_send_signal()
 *   -ENOSYS  a sandbox forbids pidfd_send_signal(), or the system is older than Linux 5.1
 */
FL_INLINE FL_MUST_CHECK int fl_process_terminate(fl_process *_p)
{
	return fl_process_signal(_p, SIGTERM);
}

/*
 * Sends SIGKILL to the process, by fl_process_signal().
 *
 * The call never waits.
 *
 * Returns:
 *   0        the signal was sent
 *   -ESRCH   the process has ended
 *   -EPERM   the process runs as another user, or a sandbox forbids pidfd_send_signal()
 *   -ENOSYS  a sandbox forbids pidfd_send_signal(), or the system is older than Linux 5.1
 */
FL_INLINE FL_MUST_CHECK int fl_process_kill(fl_process *_p)
{
	return fl_process_signal(_p, SIGKILL);
}

/*
 * Stops the process, waits for its end, and stores in `*status`, which may be NULL, how it ended.
 *
 * The call sends SIGTERM, then SIGCONT in case the process is stopped. If the process still runs
 * `grace` ns later, it sends SIGKILL. If the process leads a group, the signals go to the whole
 * group, and SIGKILL is sent in any case.
 *
 * The call blocks the calling context. The wait is not cancelled. Another fiber or thread must read
 * the pipes of the process during the call: a process that handles SIGTERM, and then writes into a
 * full pipe (64 KiB), does not end within its grace. fl_process_run_until() reads the pipes itself.
 *
 * Returns:
 *   0            the process has ended, and `*status` says how
 *   -EPERM       the process runs as another user, or a sandbox forbids pidfd_send_signal(). The
 *                process runs on
 *   -ENOSYS      a sandbox forbids pidfd_send_signal(), or the system is older than Linux 5.1, and
 *                the process runs on; or a sandbox forbids waitid(), so the status is not known
 *   -EOWNERDEAD  the fork server died before the process ended, so the status of the process is not
 *                known
 *   -ECHILD      other code has reaped the process
 *   -ENOMEM      the process has ended, and there is no memory to receive its status
 *
 * Before Linux 6.9 a group is signalled by its number. When the group has ended, another group may
 * get the number, and the signals would reach that group. So on an older system, do not stop a
 * group that may have ended.
 */
FL_API FL_MUST_CHECK int fl_process_stop(fl_process *p, fl_duration grace, fl_process_status *status);

/*
 * Returns the handle's end of a pipe of the process: of its standard input (`stream` is 0), output
 * (1) or error (2).
 *
 * The call never waits. The descriptor is blocking and close-on-exec. The handle owns it. Read and
 * write it by fl_fd_read_some() and fl_fd_write_some() (fairlead/fd.h). The call requires that no
 * other thread closes or takes the pipe at the same time.
 *
 * Returns:
 *   >= 0    the descriptor
 *   -EBADF  the stream is no pipe, or the pipe was closed or taken
 */
FL_API int fl_process_pipe(const fl_process *p, int stream);

/*
 * Returns the handle's end of a pipe, as a descriptor that the caller owns from now on.
 *
 * The call never waits. It requires that no other thread uses the handle's pipes at the same time.
 *
 * Returns:
 *   >= 0    the descriptor
 *   -EBADF  the stream is no pipe, or the pipe was closed or taken
 */
FL_API int fl_process_take_pipe(fl_process *p, int stream);

/*
 * Returns true while the process runs: as long as fl_process_try_join() returns -EAGAIN. It never
 * waits.
 */
FL_API bool fl_process_is_alive(const fl_process *p);

/* Returns the process id. */
FL_API int fl_process_pid(const fl_process *p);

/* Returns the name of the process. The string is valid until the handle is freed. */
FL_API const char *fl_process_name(const fl_process *p);

/*
 * Returns a descriptor that becomes readable when the process has ended and its status is known.
 * Use the descriptor for poll() and epoll.
 *
 * Do not read or close the descriptor. It is valid until the handle is freed. If the fork server
 * dies, the descriptors of all its processes become readable, although processes that are no
 * daemons run on. A join of a process that runs on still waits for the end of that process.
 */
FL_API int fl_process_sentinel(const fl_process *p);

/*
 * Calls `visit(p, arg)` for each running process that still has a handle, the oldest first, and
 * returns their number.
 *
 * `visit` may be NULL, to count only. `visit` must not start or free a process, or wait.
 */
FL_API size_t fl_process_active_children(void (*visit)(fl_process *p, void *arg), void *arg);

/*
 * Frees the handle and closes its pipes.
 *
 * A daemon that runs is killed, and with it the group that it leads, as far as the system permits.
 * Any other process runs on, and the library reaps it at its end, unless the library is unloaded
 * before, or lacks the memory to remember the process (the log then has a warning). The call
 * requires that no other thread uses the handle. `p` may be NULL.
 */
FL_API void fl_process_free(fl_process *p);

/*
 * Returns the name of this process if it was started for a task; otherwise "main". A process that
 * the task has forked has the same name. The string is static.
 */
FL_API const char *fl_process_current_name(void);

/*
 * Returns how many descriptors were passed to this process as `fds`. In a process that was not
 * started for a task it returns 0. A process that the task has forked has copies of the
 * descriptors, and the same number of them.
 */
FL_API unsigned fl_process_fd_count(void);

/*
 * Returns the descriptor that was `fds[i]` of the config, in a process that was started for a task.
 *
 * The descriptor belongs to the task, and is close-on-exec.
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
