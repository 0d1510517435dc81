/* SPDX-License-Identifier: BSD-2-Clause */
/* fl_main(): when the library starts this program again, it becomes a fork server or runs a task. */
#include "launch.h"
#include "os.h"
#include "self.h"
#include "server.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static bool called;

bool fl__may_start_again(void)
{
	return called;
}

/* The environment alone proves nothing: the user who runs this program may have set it. */
static bool has_socket(void)
{
	int type = 0;
	socklen_t size = sizeof type;
	return getsockopt(FL__SELF_SOCKET, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_SEQPACKET;
}

static bool is_from(int parent)
{
	struct ucred maker = {0, 0, 0};
	socklen_t size = sizeof maker;
	return getsockopt(FL__SELF_SOCKET, SOL_SOCKET, SO_PEERCRED, &maker, &size) == 0 && size == sizeof maker &&
	       maker.pid == parent && maker.uid == geteuid() && getppid() == parent;
}

static _Noreturn void serve(char role, int parent)
{
	sigset_t all;
	(void)sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, NULL);
	/* Without a known, live parent no process waits. To run as the program would be worse. */
	if (!is_from(parent) || fcntl(FL__SELF_SOCKET, F_SETFD, FD_CLOEXEC) != 0 ||
	    fl__hello_send(FL__SELF_SOCKET) != 0)
		_exit(127);
	if (role == 'z')
		fl__fork_server_serve(FL__SELF_SOCKET, parent);
	fl__task_serve(FL__SELF_SOCKET, parent);
}

void fl_main(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	int before = errno;
	called = true;
	char role = 0;
	int parent = 0, length = 0;
	/* NULL if the program has more rights than its user */
	const char *marker = secure_getenv(FL__MARKER);
	bool well = marker && sscanf(marker, "%c:%9d%n", &role, &parent, &length) == 2 && !marker[length] &&
	            (role == 'z' || role == 't') && parent > 0;
	if (getenv(FL__MARKER))
		(void)unsetenv(FL__MARKER); /* not for programs that this one starts */
	if (well && has_socket())
		serve(role, parent);
	errno = before;
}
