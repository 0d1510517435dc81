/* SPDX-License-Identifier: BSD-2-Clause */
/* What this process is: the program as its user started it, or once more, for the library. */
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

/* What the environment says is not believed by itself, since whoever runs this program may have set it. */
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
	/* A parent that has gone, or one that we cannot tell: nobody waits for us. To go on as the program would be worse. */
	if (!is_from(parent) || fcntl(FL__SELF_SOCKET, F_SETFD, FD_CLOEXEC) != 0 ||
	    fl__hello_send(FL__SELF_SOCKET) != 0)
		_exit(127);
	if (role == 'z')
		fl__zygote_serve(FL__SELF_SOCKET, parent);
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
	const char *marker = secure_getenv(FL__MARKER); /* NULL where the program has rights that its user has not */
	bool well = marker && sscanf(marker, "%c:%9d%n", &role, &parent, &length) == 2 && !marker[length] &&
	            (role == 'z' || role == 't') && parent > 0;
	if (getenv(FL__MARKER))
		(void)unsetenv(FL__MARKER); /* programs that this one starts are not meant */
	if (well && has_socket())
		serve(role, parent);
	errno = before;
}
