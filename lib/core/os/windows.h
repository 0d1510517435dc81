/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * The names of POSIX that the core uses and that mingw-w64 lacks. Windows has neither fork() nor
 * signals that a thread could block, so what is registered for them is never called.
 */
#include <errno.h>
#include <fcntl.h>
#include <io.h>
#include <process.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/types.h>

/* Signals. No signal can be caught, and nobody waits for signal 0. */
#define sigset_t _sigset_t
typedef struct siginfo siginfo_t;
struct sigaction {
	void (*sa_handler)(int signal);
	void (*sa_sigaction)(int signal, siginfo_t *info, void *context);
	int sa_flags;
};
enum { SA_SIGINFO = 1, SA_NOCLDSTOP = 2, SA_NOCLDWAIT = 4, SA_RESTART = 8, SIGQUIT = 0, SIGCHLD = -1, SIGRTMAX = 0 };
#define sigaction(signal, now, before) ((void)(now), (void)(before), -1)
#define sigfillset(signals) (*(signals) = 0)
#define sigismember(signals, signal) ((void)(signals), 0)

#undef pthread_atfork
#define pthread_atfork(before, in_parent, in_child) ((void)(before), (void)(in_parent), (void)(in_child), 0)

/*
 * In winpthreads, pthread_exit() runs no cleanup handlers, but it runs the destructors of keys
 * while the thread's frames are still there. So the library's cleanup handlers are a list in a key.
 */
struct fl__cleanup {
	void (*function)(void *arg);
	void *arg;
	struct fl__cleanup *next;
};
extern pthread_key_t fl__cleanups;
#undef pthread_cleanup_push
#undef pthread_cleanup_pop
#define pthread_cleanup_push(f, a)                                                                                     \
	{                                                                                                              \
		struct fl__cleanup _cleanup = {(f), (a), pthread_getspecific(fl__cleanups)};                           \
		(void)pthread_setspecific(fl__cleanups, &_cleanup)
#define pthread_cleanup_pop(execute)                                                                                   \
	(void)pthread_setspecific(fl__cleanups, _cleanup.next);                                                        \
	if (execute)                                                                                                   \
		_cleanup.function(_cleanup.arg);                                                                       \
	}

struct pollfd; /* no context waits for one here */

/* Files. */
#define O_CLOEXEC (_O_NOINHERIT | _O_BINARY)
#define secure_getenv getenv
#define program_invocation_short_name fl__windows_program()
const char *fl__windows_program(void);

#define PTHREAD_STACK_MIN 65536
#define FL__HIDDEN /* a DLL exports what it names */

/*
 * Errors of POSIX that mingw-w64 lacks, with numbers that no other error has. The core never
 * returns them.
 */
#define EDQUOT 1001
#define EMULTIHOP 1002
#define ESTALE 1003
#define ETOOMANYREFS 1004
/* The result is a constant string, like that of musl's strerror(). */
#define strerror(number) ((number) < _sys_nerr ? _sys_errlist[number] : "Unknown error")
