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
 *             fl_main(argc, argv);                            // the first line: see below
 *             FL_SCOPED(fl_process) *p = NULL;
 *             const fl_process_config config = {.task = &count_primes, .arg = &part};
 *             rc = fl_process_start(&p, &config);             // check
 *             rc = fl_process_join_until(p, &status, fl_after(FL_S(5)), NULL);
 *
 * Start methods (`method`) of a task:
 *   FL_PROCESS_FORK_SERVER  The fork server forks the process: this program, executed again by the
 *                           first start that needs it, with one thread; or forked by
 *                           fl_process_preload(). A start is cheap, and safe however many threads
 *                           the caller has.
 *   FL_PROCESS_EXEC         This program is executed again for each process. Slower.
 *   FL_PROCESS_FORK         The caller is forked, with its memory. It must have a single thread,
 *                           beside the library's thread `watcher`, and must not be a fiber.
 *
 * This program must be prepared:
 *   fl_main(argc, argv);     the first line of main(): for the fork server and FL_PROCESS_EXEC
 *   FL_PROCESS_HOOK;         at file scope: the same by a constructor, for a library
 *   fl_process_preload()     for the fork server only, while the process has a single thread
 *
 * Otherwise a start fails with -ENOTSUP; also without /proc, if getsockopt() is forbidden, if this
 * program was started by `ld.so PROGRAM` or runs under Valgrind, and, without fl_process_preload(),
 * if its execution gives rights (set-uid). No constructor may close descriptor 3 of a new process,
 * by which it is found. FL_PROCESS_FORK and programs need no preparation.
 *
 * A task gets a copy of the bytes of its argument. Neither drop_arg nor drop_result runs. The task
 * must be registered (FL_TASK) here and in the new process, with the same identity. A task of a
 * library that dlopen() has loaded is known to FL_PROCESS_FORK only.
 *
 * When the task returns, the process flushes all stdio streams and exits, without the functions of
 * atexit(). The exit code is 0 if the task returned 0, else 1, after one line on standard error.
 * getppid() is the fork server if that forked the process, else the caller.
 *
 * A new process has
 *   - the signals blocked that the calling thread blocks, but not those that fl_signals_create()
 *     has blocked. A task's process does not block SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP and
 *     SIGSYS;
 *   - the signals ignored that the caller's process ignores at the start, and the default action
 *     for the others. In a task's process the handlers of those six and of SIGABRT stay;
 *   - standard input, output and error, the descriptors of `fds`, and no others;
 *   - attributes of the thread that calls fl_process_start(), at the time of the call. A program,
 *     and a process of FL_PROCESS_EXEC or FL_PROCESS_FORK, is a child of that thread, and has all
 *     that fork(2) and execve(2) hand down. This is the list for the fork server:
 *
 *       users, groups, capabilities, securebits,    the caller's, as execve(2) leaves them (with
 *       no_new_privs, seccomp filters, label of     fl_process_preload(): unchanged). If the fork
 *       the security module (SELinux, AppArmor)     server was made with other ones, it is replaced
 *       session keyring                             (below), or the start fails with -EPERM.
 *       root directory
 *       namespaces
 *       session, process group
 *       cgroup, oom_score_adj, NUMA policy
 *       CPU affinity, scheduling policy and         the caller's. The fork server takes them on. If
 *       priority, nice, I/O priority, timer slack,  the system forbids that, the fork server is
 *       personality, umask, resource limits         replaced, or the start fails (-EPERM, -EACCES).
 *       current directory                           the caller's, or `cwd`. If the caller's cannot
 *                                                   be entered (the user may not, or its file
 *                                                   system is gone): / (FL_PROCESS_EXEC: it stays)
 *       environment                                 that of the time when the fork server was made
 *       pending signals, timers, locks of files     none
 *       and memory, asynchronous I/O
 *
 *     There is one fork server for each copy of the library in a process. A start replaces it by
 *     this program, executed again by the calling thread, if no worker of a process executor and no
 *     handle of another process of the fork server is left. fl_process_preload() replaces it in the
 *     same case, by a copy of this process. So a service that drops its privileges creates its
 *     process executors afterwards. If it had others before, it frees them first: a pool keeps the
 *     workers that it has, with their rights, and until the last of them has ended, no worker with
 *     other rights can be started.
 *     Programs and FL_PROCESS_EXEC need no fork server, and are not refused.
 *
 *     Without /proc a fork server cannot be compared in seccomp filters, labels, ambient and
 *     bounding capabilities, cgroup, oom_score_adj, and namespaces other than the mount namespace;
 *     and the umask is its own. A landlock domain is never compared.
 *
 * A *daemon* is killed when the process that started it ends, SIGKILL included, or when the library
 * is unloaded. A child by clone() that neither calls exec nor runs the functions of
 * pthread_atfork() keeps it alive. The kernel kills the daemon alone, not the processes that it has
 * started. If it leads a group (`group`), fl_process_free(), fl_process_stop() and a preloaded fork
 * server kill the whole group.
 *
 * Ctrl-C does not reach a process that leads a group (`group`): take SIGINT by fairlead/signals.h,
 * and stop the process. SIGTTIN stops it when it reads the terminal: set `in` to FL_PROCESS_NULL or
 * FL_PROCESS_PIPE.
 *
 * Descriptors: all those of the library are close-on-exec. Until its handle is freed, a process
 * costs the caller one descriptor, two if the fork server made it, and one for each pipe; a daemon
 * that no fork server made costs two more. A child that outlives its handle costs one until it
 * ends. The library keeps up to six more, for its thread `watcher` (docs/threads.md) and for the
 * fork server.
 *
 * Children: programs, and processes of FL_PROCESS_EXEC and FL_PROCESS_FORK, are children of this
 * process: their end sends SIGCHLD, and if wait() or waitpid(-1) gets one, a join returns -ECHILD.
 * Other processes are children of the fork server, which is an orphan: a child of the first process
 * of the PID namespace, or of a subreaper. So
 *   - where that process reaps nothing, each fork server leaves a zombie;
 *   - if this process is that process, `while (wait(NULL) > 0)` also waits for the fork server. The
 *     fork server ends with the last process executor and the last handle of its processes: the
 *     last free ends and reaps it. The next start makes another. Until then, and at any time after
 *     fl_process_preload(), wait for your own children by their pids;
 *   - RUSAGE_CHILDREN and time(1) lack the CPU time of the fork server and of its processes;
 *   - pkill -P does not find these processes, which are no descendants of this process, and Yama's
 *     ptrace_scope=1 forbids this process to trace them;
 *   - systemd may take the fork server for the main process of a Type=forking unit without PIDFile.
 *
 * Several threads may use one handle, apart from fl_process_take_pipe() and
 * fl_process_close_pipe(). In a forked child the parent's handles return -EOWNERDEAD. If the fork
 * server dies, its daemons die with it. Its other processes run on, but how they end is not known.
 * The log has the reason for each failed start.
 */
typedef struct fl_process fl_process;

typedef enum fl_process_method { FL_PROCESS_FORK_SERVER, FL_PROCESS_FORK, FL_PROCESS_EXEC } fl_process_method;

/* For `in`, `out` and `err`; 0: the caller's stream. */
#define FL_PROCESS_FD(fd) ((fd) | 0x40000000) /* a descriptor of the caller */
#define FL_PROCESS_NULL 0x20000000            /* /dev/null; without that, an input still ends */
#define FL_PROCESS_PIPE 0x10000000            /* a pipe; its other end: fl_process_pipe() */
#define FL_PROCESS_AS_OUT 0x08000000          /* for `err` only: the same as `out` */

#define FL_PROCESS_FDS_MAX 240
#define FL_PROCESS_NAME_MAX 63

typedef struct fl_process_config {
	const fl_task_type *task; /* NULL: see `program` */
	const void *arg;          /* NULL if and only if the task takes none */
	const char *program;      /* a path, or a name to be searched in the caller's PATH, not in that of
	                             `env`; NULL: see `task` */
	const char *const *argv;  /* its arguments, its name first, NULL last; NULL: its name */
	const char *const *env;   /* the program's environment; NULL: the caller's */
	fl_process_method method; /* of a task; must be 0 for a program */
	const char *name;         /* copied, cut at FL_PROCESS_NAME_MAX; NULL: "process-N" */
	bool daemon;              /* killed when the caller ends */
	const char *cwd;          /* the current directory; NULL: the caller's */
	int in, out, err;         /* FL_PROCESS_FD(fd), FL_PROCESS_NULL, ...; 0: the caller's */
	const int *fds;           /* passed on: to a task as fl_process_fd(), to a program as 3, 4, ... */
	unsigned n_fds;
	bool group; /* leads a process group, for fl_process_stop(); Ctrl-C does not reach it */
	uintptr_t more_[4];
} fl_process_config;

typedef struct fl_process_status {
	int code;   /* 0 to 255; -1: by a signal */
	int signal; /* its number; 0: by exit */
} fl_process_status;

/*
 * Runs the fork server or the task in a process that the library made, and never returns. Else
 * returns at once. Call it before all else in main().
 */
FL_API void fl_main(int argc, char **argv);

/*
 * FL_PROCESS_HOOK; at file scope calls fl_main() in a constructor, after the FL_TASK constructors
 * of the same program or library. Other constructors may run later. Not in dlopen()ed libraries: a
 * new process does not load them, so that the program's main() would run there a second time. A
 * library with a copy of Fairlead in it has a hook of its own: each copy serves its own tasks.
 */
#define FL_PROCESS_HOOK                                                                                                \
	__attribute__((__constructor__)) static void fl__process_hook(int _argc, char **_argv)                         \
	{                                                                                                              \
		fl_main(_argc, _argv);                                                                                 \
	}                                                                                                              \
	struct fl_process

/*
 * Forks the fork server from this process: the processes of tasks then begin with a copy of the
 * state of this moment. Flushes all stdio streams. Does nothing if there is a fork server with the
 * caller's rights. A fork server with other rights is replaced, if no worker of a process executor
 * and no handle of its processes is left.
 * Functions of pthread_atfork() run for two forks, one in the other: for a moment there are two
 * copies of this process, which both count for RLIMIT_NPROC. Blocks the calling thread until the
 * fork server has answered. Returns 0, or:
 *   -EDEADLK  the process has several threads, apart from `watcher`, or the caller is a fiber: the
 *             forked process could wait for ever for a lock that another context holds
 *   -EPERM    the fork server has other rights than the caller, and a worker of a process executor
 *             or the handle of one of its processes is left
 *   -ENOTSUP  the thread has left the PID namespace of its process (unshare(), setns())
 *   -ETIMEDOUT, -EPROTO
 *             the fork server did not answer within 30 s, or ended
 *   -EAGAIN, -ENOMEM, -EMFILE, -ENFILE, -ETOOMANYREFS
 *             from the system
 *   -ENOSYS   no pidfd_open(): a system before Linux 5.3, or a sandbox that forbids it, or
 *             waitid(), signalfd4(), ppoll() or fchdir(): the log says which
 */
FL_API FL_MUST_CHECK int fl_process_preload(void);

/*
 * Starts a process. When the call returns, a program has been exec'd. Returns 0, -ETOOMANYREFS, or:
 *   -EINVAL      not exactly one of `task` and `program`; a field that belongs to the other; an
 *                argument that does not fit the task; an unknown method; too many descriptors, or
 *                their number without `fds`; no `config`; a task with an argument, result or name
 *                that is too large
 *   -EBADF       a descriptor that is not open; for in, out and err also a number without
 *                FL_PROCESS_FD()
 *   -ENOENT      no such program, or directory; or the task is not registered, here or in the new
 *                process
 *   -EPROTO      the file of this program was replaced; or this program ended without a call of
 *                fl_main(); or the task has another identity in the new process
 *   -EEXIST      two tasks have the name of `task`, here or in the new process, and the method is
 *                not FL_PROCESS_FORK
 *   -EDEADLK     FL_PROCESS_FORK in a process with several threads, or on a fiber: the new process
 *                could wait for ever for a lock that another context holds
 *   -EPERM, -EACCES   the fork server has other rights than the caller, or may not take on the
 *                caller's settings, and cannot be replaced: a worker of a process executor or the
 *                handle of one of its processes is left, or this program cannot be executed again
 *   -ENOTSUP     this program is not prepared for the method, or cannot be executed (above); or a
 *                daemon, or the fork server, would be the first process of a PID namespace
 *   -ETIMEDOUT   the fork server or the new process did not answer within 30 s
 *   -EOWNERDEAD  the fork server died during the call; a process that is no daemon may have been
 *                started. With FL_PROCESS_EXEC and _FORK: the new process ended before it replied
 *   -ENOSYS      pidfd_open() (Linux 5.3) or, for an argument above 16 KiB, memfd_create() is
 *                missing or forbidden; or a sandbox forbids a call that the fork server needs
 *                (fl_process_preload())
 *   -EFBIG       an argument above 16 KiB, and above RLIMIT_FSIZE
 *   -ETXTBSY     the program's file is open for writing. Descriptors that a thread closes before the
 *                call are closed for the program, too, whatever other threads start through this
 *                library. A child that other code has forked, or another copy of the library, holds
 *                them until it calls exec: then start the program again
 *   -ENODEV      FL_PROCESS_NULL as an output, and the system has no /dev/null
 *   -EAGAIN, -EMFILE, -ENFILE, -ENOMEM, -EACCES, ...   from the system
 *
 * Blocks the calling context until the fork server or the new process has answered; an exec blocks
 * the thread. Memory order: the process sees what was written before the call, in the memory of
 * which it has a copy.
 */
FL_API FL_MUST_CHECK int fl_process_start(fl_process **p, const fl_process_config *config);

/*
 * Waits until the process has ended, and stores how in `*status` (may be NULL). May be called
 * again. Blocks the calling context. Returns 0, -ECANCELED, or:
 *   -EOWNERDEAD  the fork server died before, so the status is not known; or in a forked child
 *   -ECHILD      other code has reaped the process (waitpid(), or SIGCHLD is ignored)
 *   -ENOSYS      a sandbox forbids waitid(), so the status of a child is not known
 */
FL_API FL_MUST_CHECK int fl_process_join_until(fl_process *p, fl_process_status *status, fl_time deadline,
                                               fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_process_join(fl_process *_p, fl_process_status *_status)
{
	return fl_process_join_until(_p, _status, FL_FOREVER, NULL);
}

/* As fl_process_join(). Never waits: returns -EAGAIN while the process runs. */
FL_INLINE FL_MUST_CHECK int fl_process_try_join(fl_process *_p, fl_process_status *_status)
{
	const int _rc = fl_process_join_until(_p, _status, FL_NO_WAIT, FL_SHIELDED);
	return _rc == -ETIMEDOUT ? -EAGAIN : _rc;
}

/*
 * Sends a signal to the process, never to another that got its number. Returns 0, or:
 *   -ESRCH       the process has ended
 *   -EINVAL      not the number of a signal
 *   -EPERM       the process runs as another user
 *   -EOWNERDEAD  in a forked child: the process is one of the parent's
 *   -EPERM, -ENOSYS   a sandbox forbids pidfd_send_signal(), or the system is older than Linux 5.1
 */
FL_API FL_MUST_CHECK int fl_process_signal(fl_process *p, int signal);

/* Sends SIGTERM, as fl_process_signal(): 0, -ESRCH, -EPERM, -ENOSYS, -EOWNERDEAD. */
FL_INLINE FL_MUST_CHECK int fl_process_terminate(fl_process *_p)
{
	return fl_process_signal(_p, SIGTERM);
}

/* Sends SIGKILL, as fl_process_signal(): 0, -ESRCH, -EPERM, -ENOSYS, -EOWNERDEAD. */
FL_INLINE FL_MUST_CHECK int fl_process_kill(fl_process *_p)
{
	return fl_process_signal(_p, SIGKILL);
}

/*
 * Stops the process: sends SIGTERM, and SIGCONT in case it is stopped. If it still runs `grace` ns
 * later, sends SIGKILL. Joins it, as fl_process_join(). If the process leads a group, the signals
 * go to the whole group, and the SIGKILL is sent in any case. Before Linux 6.9 the group is
 * signalled by its number: do not stop a group that may have ended. `status` may be NULL. Blocks
 * the calling context, also after a cancel.
 *
 * Another fiber or thread must read the pipes during the call: a full pipe (64 KiB) keeps the
 * process from ending within its grace. fl_process_run_until() reads them by itself. Returns 0, or:
 *   -EPERM  the process runs as another user
 *   -EPERM, -ENOSYS
 *           as fl_process_signal(); the process runs on
 *   -EOWNERDEAD, -ECHILD
 *           as fl_process_join()
 */
FL_API FL_MUST_CHECK int fl_process_stop(fl_process *p, fl_duration grace, fl_process_status *status);

/*
 * The handle's end of a pipe: of standard input (`stream` 0), output (1) or error (2). Blocking and
 * close-on-exec; the handle owns it. For fl_fd_read_some() and fl_fd_write_some(). Requires that no
 * other thread closes or takes the pipe. -EBADF: there is no such pipe, or not any more.
 */
FL_API int fl_process_pipe(const fl_process *p, int stream);

/* As fl_process_pipe(), but the descriptor is the caller's now. */
FL_API int fl_process_take_pipe(fl_process *p, int stream);

/* Closes a pipe, if there is one. */
FL_API void fl_process_close_pipe(fl_process *p, int stream);

/* True while the process runs: while fl_process_try_join() returns -EAGAIN. */
FL_API bool fl_process_is_alive(const fl_process *p);

/* The process id. */
FL_API int fl_process_pid(const fl_process *p);

/* The name, valid until the handle is freed. */
FL_API const char *fl_process_name(const fl_process *p);

/*
 * A descriptor that is readable, for poll() and epoll, once the process has ended and its status is
 * known. Do not read or close it; it is valid until the handle is freed. If the fork server dies,
 * the descriptors of all its processes become readable, although those that are no daemons run on;
 * a join waits.
 */
FL_API int fl_process_sentinel(const fl_process *p);

/*
 * Calls `visit` (may be NULL) for each running process that still has a handle, oldest first.
 * Returns their number. `visit` must not start or free a process, fork, or wait.
 */
FL_API size_t fl_process_active_children(void (*visit)(fl_process *p, void *arg), void *arg);

/*
 * Frees the handle and closes its pipes. Kills the process if it is a daemon that runs, and with it
 * the group that it leads, as far as the system permits; any other process runs on, and the
 * library, unless it is unloaded, reaps it. Requires that no other thread uses the handle.
 */
FL_API void fl_process_free(fl_process *p);

/* The name of this process, if it was started for a task; else "main". Static. */
FL_API const char *fl_process_current_name(void);

/* How many descriptors were passed on as `fds`; 0 outside of a process of a task. */
FL_API unsigned fl_process_fd_count(void);

/*
 * Returns, in a process of a task, the descriptor that was `fds[i]`. It belongs to the task, and is
 * close-on-exec. -EBADF: there is none.
 */
FL_API int fl_process_fd(unsigned i);

/* For FL_WAIT_ANY(): ready when the process has ended, as for fl_process_try_join(). */
#define FL_ON_PROCESS(p) FL__ON(fl__on_process, (p))
FL_API extern const fl_on_type fl__on_process;

FL__SCOPED(fl_process, fl_process_free)

FL_END_DECLS

#endif
