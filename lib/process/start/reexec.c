/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Starts this program again: by an exec or, for fl_process_preload(), by a fork. After an exec,
 * fl_process_main() makes the new process a fork server or the process of one task.
 * docs/decisions/fork-server-orphan.md says why a fork server is an orphan.
 */
#include "reexec.h"
#include "../base/fd_watcher.h"
#include "../base/identity.h"
#include "../base/packet.h"
#include "../base/process_sys.h"
#include "../base/reaper.h"
#include "core/base/panic.h"
#include "core/base/sanitizer.h"
#include "core/base/sys.h"
#include "fork_server.h"
#include "main_hook.h"
#include "request.h"
#include "spawn.h"
#include <errno.h>
#include <fairlead/cancel.h>
#include <fairlead/time.h>
#include <fcntl.h>
#include <link.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

struct reexec_hello {
	uint32_t magic;
	int32_t pid;
	/* the error of sending the pidfd; -ENOTSUP if the execution gave the program rights */
	int32_t error;
	struct fl__build_id program;
};

/*
 * Sends the hello with this process's pidfd, which the process that starts an orphan cannot get
 * otherwise.
 */
static int reexec_send_hello(int socket)
{
	struct reexec_hello hello = {.magic = FL__MAGIC_HELLO, .pid = getpid()};
	const int pidfd = fl__process_sys.pidfd(hello.pid);
	fl__build_id_of_program(&hello.program);
	hello.error = fl__packet_send(socket, &hello, sizeof hello, &pidfd, pidfd >= 0 ? 1 : 0, FL_FOREVER);
	fl__fd_close(pidfd);
	return hello.error == 0 ? 0 : fl__packet_send(socket, &hello, sizeof hello, NULL, 0, FL_FOREVER);
}

/* Receives the hello. Before it, `pid` of an orphan is -1. */
static int reexec_receive_hello(struct fl__reexec *x)
{
	struct reexec_hello theirs;
	struct fl__build_id ours;
	char a[FL__BUILD_ID_TEXT], b[FL__BUILD_ID_TEXT];
	size_t size;
	int fd = -1;
	unsigned n_fds = 1;
	fl__build_id_of_program(&ours);
	x->problem = "the new process does not answer: does it reach fl_process_main()?";
	int rc = fl__packet_recv(x->socket, &theirs, sizeof theirs, &size, &fd, &n_fds, x->deadline);
	if (rc == -EPIPE)
		rc = -EPROTO; /* -EPIPE says that the process has ended, or closed the socket */
	if (rc != 0)
		return rc;
	const bool orphan = x->pid < 0;
	if (orphan)
		x->pidfd = fl__fd_above_streams(fd);
	else
		fl__fd_close(fd);
	x->problem = "the new process sent no valid hello";
	if (size != sizeof theirs || theirs.magic != FL__MAGIC_HELLO || (!orphan && theirs.pid != x->pid))
		return -EPROTO;
	x->pid = theirs.pid;
	x->problem = theirs.error != -ENOTSUP
	                 ? "the new process cannot send its descriptor"
	                 : "this program gets more rights when it is executed (set-uid, set-gid or capabilities of its "
	                   "file); fl_process_preload() needs no execution";
	if (theirs.error != 0)
		return theirs.error;
	x->problem = "the system has no pidfd_open(), or forbids it";
	if (x->pidfd < 0)
		return -ENOSYS;
	x->problem = "the file of this program was replaced";
	if (memcmp(&ours, &theirs.program, sizeof ours) == 0)
		return 0;
	fl__log(FL_LOG_ERROR, "this program has build-id %s, but its file has %s: was the file replaced?",
	        fl__build_id_text(&ours, a), fl__build_id_text(&theirs.program, b));
	return -EPROTO;
}

/* Makes the environment. FL__REEXEC_VARIABLE comes first. List and text are one allocation. */
static char **reexec_environment(enum fl__reexec_role role)
{
	enum { TEXT = 64 };
	size_t n = 0, kept = 1;
	struct fl__copy_place own = {NULL, 0};
	(void)dl_iterate_phdr(fl__copy_find, &own);
	while (environ && environ[n])
		n++;
	const size_t text = TEXT + strlen(own.file);
	char **list = fl__alloc(1, (n + 2) * sizeof *list + text);
	if (!list)
		return NULL;
	list[0] = (char *)&list[n + 2];
	(void)snprintf(list[0], text, FL__REEXEC_VARIABLE "=%c:%d:%zx:%s", (char)role, (int)getpid(), own.offset,
	               own.file);
	for (size_t i = 0; i < n; i++)
		if (strncmp(environ[i], FL__REEXEC_VARIABLE "=", sizeof FL__REEXEC_VARIABLE) != 0)
			list[kept++] = environ[i];
	return list;
}

/*
 * Fills `setup` for this program: no input and no output, the caller's standard error, and
 * `socket`. The caller closes `fds[0]`, unless it calls fl__new_process_setup() itself.
 */
static int reexec_setup(struct fl__setup *setup, int socket)
{
	int null = fl__null_open();
	if (null < 0)
		return null;
	bool has_error = fcntl(STDERR_FILENO, F_GETFD) >= 0;
	*setup = (struct fl__setup){.fds = {null, null, has_error ? STDERR_FILENO : null, socket},
	                            .n_fds = FL__REEXEC_SOCKET + 1,
	                            .through_exec = true,
	                            .stay_blocked = true,
	                            .cwd = -1,
	                            .keep = -1};
	return 0;
}

static int reexec_spawn(struct fl__reexec *x, int socket)
{
	char *argv[] = {program_invocation_name, NULL};
	const char *const paths[] = {fl__process_sys.program, NULL};
	char **env = reexec_environment(x->role);
	x->problem = "no memory for the environment";
	if (!env)
		return -ENOMEM;
	x->problem = "no descriptor for an empty input";
	struct fl__spawn spawn = {
	    .paths = paths, .argv = argv, .env = env, .orphan = x->role == FL__REEXEC_FORK_SERVER};
	int rc = reexec_setup(&spawn.setup, socket);
	if (rc == 0) {
		/* a copy, because the child changes fds[0] in shared memory */
		int null = spawn.setup.fds[0];
		spawn.setup.death_pipe = x->death_pipe;
		rc = fl__spawn(&spawn);
		x->problem = "this program, /proc/self/exe, cannot be executed again";
		fl__fd_close(null);
	}
	fl__free(env);
	x->pid = spawn.pid;
	x->pidfd = spawn.pidfd;
	return rc;
}

static bool reexec_is_from(int parent)
{
	struct ucred maker = {0, 0, 0};
	return fl__net_sys.get_struct(FL__REEXEC_SOCKET, SOL_SOCKET, SO_PEERCRED, &maker, sizeof maker) == 0 &&
	       maker.pid == parent && maker.uid == geteuid();
}

static _Noreturn void reexec_serve(char role, int parent)
{
	(void)fl__signals_block(false);
	/* If the parent is unknown or dead, exiting is better than running the program. */
	if (!reexec_is_from(parent) || fcntl(FL__REEXEC_SOCKET, F_SETFD, FD_CLOEXEC) != 0 ||
	    reexec_send_hello(FL__REEXEC_SOCKET) != 0)
		_exit(127);
	if (role == FL__REEXEC_FORK_SERVER)
		fl__fork_server_serve(parent);
	fl__new_process_serve(FL__REEXEC_SOCKET);
}

static _Noreturn void reexec_fork_again(int socket, int parent)
{
	struct fl__setup setup;
	const int pid = fl__process_sys.fork();
	if (pid != 0)
		_exit(pid < 0 ? -pid : 0);
	if (reexec_setup(&setup, socket) != 0)
		_exit(127);
	setup.keep_handlers = true;
	if (fl__new_process_setup(&setup) != 0)
		_exit(127);
	reexec_serve(FL__REEXEC_FORK_SERVER, parent);
}

/*
 * Removes the pending SIGCHLD of the reaped child `pid`, which is blocked. Queues it again if it is
 * another child's signal, or was merged with one. Looks for the other child only after the removal,
 * because a signal that comes later stays pending.
 */
static void reexec_discard_signal(int pid)
{
	FL__UNCANCELLED();
	sigset_t child;
	siginfo_t taken, other = {0};
	(void)sigemptyset(&child);
	(void)sigaddset(&child, SIGCHLD);
	if (sigtimedwait(&child, &taken, &(struct timespec){0}) == SIGCHLD) {
		(void)waitid(P_ALL, 0, &other, WEXITED | WSTOPPED | WCONTINUED | WNOHANG | WNOWAIT);
		if (other.si_pid != 0 || taken.si_pid != pid)
			(void)syscall(SYS_rt_sigqueueinfo, getpid(), SIGCHLD, other.si_pid != 0 ? &other : &taken);
	}
}

static int reexec_fork(int socket, fl_time deadline)
{
	int pidfd, parent = getpid();
	fl_process_status status = {0, 0};
	FL__SIGNALS_BLOCKED(true);
	const int pid = fl__process_fork(&pidfd);
	int rc = pid;
	if (pid == 0)
		reexec_fork_again(socket, parent);
	if (pid > 0) {
		rc = fl__fd_wait(pidfd, POLLIN, deadline, FL_SHIELDED);
		(void)fl__process_sys.signal(pidfd, SIGKILL);
		(void)fl__process_reap(pidfd, &status, true);
		fl__fd_close(pidfd);
		reexec_discard_signal(pid);
	}
	return rc != 0 ? rc : status.signal ? -EAGAIN : -status.code;
}

/* Runs while the new process begins. */
static int reexec_check_rights(struct fl__reexec *x)
{
	struct fl__rights now;
	if (!x->rights)
		return 0;
	x->problem = "the rights of the calling thread have changed during the start of the fork server";
	const int rc = fl__rights_read(&now);
	return rc == 0 && fl__rights_difference(&now, x->rights) ? -EAGAIN : rc;
}

/*
 * Kills the new process. The reaper reaps a child. An orphan without a pidfd is ended by its death
 * pipe, or ends when it cannot send its hello.
 */
static void reexec_kill(int pidfd)
{
	if (pidfd < 0)
		return;
	(void)fl__process_sys.signal(pidfd, SIGKILL);
	fl__reaper_adopt(pidfd, true);
}

int fl__reexec_start(struct fl__reexec *x)
{
	int sockets[2];
	x->pid = x->pidfd = -1;
	x->problem = "the socket to the new process cannot be created";
	int rc = fl__fd_sys.pair(sockets);
	if (rc != 0)
		return rc;
	x->socket = sockets[0];
	/* makes the kernel say which user has sent a packet */
	/* fails only in a sandbox, where a fork server then refuses each request */
	(void)fl__net_sys.set_option(sockets[1], SOL_SOCKET, SO_PASSCRED, 1);
	x->problem = "getsockopt() is forbidden, by which the new process finds its socket";
	rc = fl__net_sys.get_option(sockets[1], SOL_SOCKET, SO_TYPE, &(int){0}) == 0 ? 0 : -ENOTSUP;
	if (rc == 0) {
		x->problem = "fork() failed";
		rc = x->role == FL__REEXEC_PRELOADED ? reexec_fork(sockets[1], x->deadline)
		                                     : reexec_spawn(x, sockets[1]);
	}
	fl__fd_close(sockets[1]);
	const bool made = rc == 0;
	if (rc == 0)
		rc = reexec_check_rights(x);
	if (rc == 0)
		rc = reexec_receive_hello(x);
	if (rc != 0) {
		fl__fd_close(x->socket);
		reexec_kill(made ? x->pidfd : -1);
	}
	return rc;
}

static int reexec_start_task(struct fl__start *start)
{
	struct fl__reexec x = {.role = FL__REEXEC_TASK,
	                       .death_pipe = start->setup.death_pipe,
	                       .deadline = fl_after(fl__process_sys.answer_timeout)};
	start->problem = FL__REEXEC_PROBLEM;
	int rc = fl__reexec_check("FL_PROCESS_EXEC", "; fl_process_preload() does not serve this method");
	if (rc != 0)
		return rc;
	rc = fl__reexec_start(&x);
	if (rc != 0) {
		start->problem = x.problem;
		return rc;
	}
	start->child->pid = x.pid;
	start->child->pidfd = x.pidfd;
	rc = fl__request_send(x.socket, -1, start, x.deadline);
	if (rc == 0)
		rc = fl__reply_receive(x.socket, start, x.deadline, NULL);
	fl__fd_close(x.socket);
	if (rc != 0)
		reexec_kill(x.pidfd);
	return rc == -EPIPE ? -EOWNERDEAD : rc;
}

const struct fl__start_method fl__start_exec = {
    .by_request = true,
    .start = reexec_start_task,
    .look = fl__start_look_at_child,
    .forget = fl__start_forget_child,
};

void (*fl__main_hook)(int argc, char **argv);
static bool reexec_main_was_called;
/*
 * True if fl_process_main() found the marker without its socket, and so returned to main(). Perhaps
 * a constructor of this program has closed the socket. Then this process was started to serve, and
 * if it could start a process in turn, the starts would never end.
 */
static bool reexec_lost_socket;

static int reexec_find_interpreter(struct dl_phdr_info *module, size_t size, void *found)
{
	(void)size;
	for (unsigned i = 0; i < module->dlpi_phnum; i++)
		if (module->dlpi_phdr[i].p_type == PT_INTERP)
			*(bool *)found = true;
	return 1; /* the first module is the program */
}

/*
 * Returns true for a program that runs as `ld.so PROGRAM`, where /proc/self/exe is the loader. Then
 * the kernel has loaded no interpreter (AT_BASE), although the program names one.
 */
static bool reexec_is_behind_loader(void)
{
	bool found = false;
	(void)dl_iterate_phdr(reexec_find_interpreter, &found);
	return found && getauxval(AT_BASE) == 0;
}

bool fl__has_left_pid_namespace(void)
{
	char own[64], childrens[64];
	FL__KEEPS_ERRNO();
	const ssize_t n = readlink("/proc/thread-self/ns/pid", own, sizeof own);
	const ssize_t m = readlink("/proc/thread-self/ns/pid_for_children", childrens, sizeof childrens);
	return n > 0 && (n != m || memcmp(own, childrens, (size_t)n) != 0);
}

/*
 * Returns what is missing to execute this program again, as a text to follow "needs", or NULL if
 * nothing is missing.
 */
static const char *reexec_missing(void)
{
	enum { RUNNING_ON_VALGRIND = 0x1001 };
	if (!reexec_main_was_called)
		return "fl_process_main() as the first line of main(), or FL_PROCESS_HOOK at file scope";
	if (reexec_lost_socket)
		return "descriptor 3 as it was when the program began, or no variable " FL__REEXEC_VARIABLE
		       " from its user: it is set, and descriptor 3 is no socket in fl_process_main()";
	if (reexec_is_behind_loader())
		return "this program to be started by its own name, not as an argument of the loader (ld.so PROGRAM)";
	if (fl__valgrind(RUNNING_ON_VALGRIND, 0, 0))
		return "a run without Valgrind, whose own program /proc/self/exe is";
	if (fl__has_left_pid_namespace())
		return "a thread that has not left the PID namespace of its process (unshare(), setns())";
	/*
	 * After the main thread has ended, this process has no /proc/self/exe, but a new process
	 * has one.
	 */
	return fl__file_exists(AT_FDCWD, fl__process_sys.program) || fl__main_thread_has_ended()
	           ? NULL
	           : "/proc/self/exe: is /proc mounted?";
}

int fl__reexec_check(const char *method, const char *or_else)
{
	const char *missing = reexec_missing();
	if (missing)
		fl__log(FL_LOG_ERROR, "%s needs %s%s", method, missing, or_else);
	return missing ? -ENOTSUP : 0;
}

/*
 * The program's user may have set the variable, so the socket is checked. If the kernel does not
 * tell what the descriptor is, main() must not run.
 */
static bool reexec_has_socket(void)
{
	int type = 0;
	const int rc = fl__net_sys.get_option(FL__REEXEC_SOCKET, SOL_SOCKET, SO_TYPE, &type);
	if (rc != 0 && rc != -EBADF && rc != -ENOTSOCK)
		_exit(127);
	return rc == 0 && type == SOCK_SEQPACKET;
}

/*
 * Called in a program that gets rights when it is executed. Its parent's user may lack these
 * rights, so it does not serve the parent. It does not return to main() either, which would start
 * the next process.
 */
static _Noreturn void reexec_refuse(void)
{
	const struct reexec_hello hello = {.magic = FL__MAGIC_HELLO, .pid = getpid(), .error = -ENOTSUP};
	(void)!fl__packet_send(FL__REEXEC_SOCKET, &hello, sizeof hello, NULL, 0, FL_NO_WAIT);
	_exit(127);
}

void fl_process_main(int argc, char **argv)
{
	FL__KEEPS_ERRNO();
	reexec_main_was_called = true;
	char role = 0;
	int parent = 0, length = 0;
	struct fl__copy_place copy = {NULL, 0};
	const bool marked = getenv(FL__REEXEC_VARIABLE) != NULL;
	if (marked && reexec_has_socket()) {
		/* returns NULL if the program has more rights than its user */
		const char *marker = secure_getenv(FL__REEXEC_VARIABLE);
		if (!marker)
			reexec_refuse();
		/* reexec_serve() ends the process unless `parent` has made the socket */
		(void)sscanf(marker, "%c:%9d:%zx:%n", &role, &parent, &copy.offset, &length);
		copy.file = marker + length;
		/*
		 * fl_process_main() of the named copy will serve. If no copy is at that place, this
		 * one serves, because main() must not run a second time.
		 */
		if (dl_iterate_phdr(fl__copy_find, &copy))
			return;
	}
	reexec_lost_socket = marked && !copy.file;
	(void)unsetenv(FL__REEXEC_VARIABLE); /* the variable is not for this program's children */
	if (copy.file)
		reexec_serve(role, parent);
	if (fl__main_hook)
		fl__main_hook(argc, argv);
}
