/* SPDX-License-Identifier: BSD-2-Clause */
#include "self.h"
#include "../base/panic.h"
#include "../base/sys.h"
#include "fd_sys.h"
#include "identity.h"
#include "manager.h"
#include "os.h"
#include "packet.h"
#include <errno.h>
#include <fairlead/time.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

extern char **environ;

struct hello {
	uint32_t magic, size;
	int32_t pid;
	uint32_t reserved;
	struct fl__build_id program;
	struct fl__registry_digest registry;
};

static int make_hello(struct hello *hello)
{
	memset(hello, 0, sizeof *hello);
	hello->magic = FL__MAGIC_HELLO;
	hello->size = sizeof *hello;
	hello->pid = getpid();
	fl__build_id_of_program(&hello->program);
	return fl__registry_digest(&hello->registry);
}

int fl__hello_send(int socket)
{
	struct hello hello;
	int rc = make_hello(&hello);
	return rc != 0 ? rc : fl__packet_send(socket, &hello, sizeof hello, NULL, 0, FL_FOREVER);
}

static int compare(const struct hello *ours, const struct hello *theirs, const char **problem)
{
	char a[FL__BUILD_ID_TEXT], b[FL__BUILD_ID_TEXT];
	if (memcmp(&ours->program, &theirs->program, sizeof ours->program) != 0) {
		fl__log(FL_LOG_ERROR, "this program has build-id %s, but started once more %s: was it replaced?",
		        fl__build_id_text(&ours->program, a), fl__build_id_text(&theirs->program, b));
		*problem = "it is another program now";
		return -EPROTO;
	}
	if (memcmp(&ours->registry, &theirs->registry, sizeof ours->registry) != 0)
		fl__log(FL_LOG_INFO, "%llu tasks are registered here, in the program started once more %llu, or others",
		        (unsigned long long)ours->registry.tasks, (unsigned long long)theirs->registry.tasks);
	return 0;
}

static int hear_hello(int socket, int pid, int64_t deadline, const char **problem)
{
	struct hello ours, theirs;
	size_t size;
	*problem = "no memory for the names of tasks";
	int rc = make_hello(&ours);
	if (rc != 0)
		return rc;
	*problem = "it does not answer: does it come to its fl_main()?";
	rc = fl__packet_recv(socket, &theirs, sizeof theirs, &size, NULL, NULL, deadline);
	if (rc == -EPIPE)
		rc = -EPROTO; /* the process has ended, or closed the socket */
	if (rc != 0)
		return rc;
	*problem = "it does not speak as this program does";
	if (size != sizeof theirs || theirs.magic != FL__MAGIC_HELLO || theirs.size != sizeof theirs ||
	    theirs.pid != pid)
		return -EPROTO;
	return compare(&ours, &theirs, problem);
}

/* Returns the environment with FL__MARKER in front. List and text are one allocation. */
static char **environment(enum fl__role role)
{
	enum { TEXT = 64 };
	size_t n = 0, kept = 1;
	while (environ && environ[n])
		n++;
	char **list = fl__alloc(1, (n + 2) * sizeof *list + TEXT);
	if (!list)
		return NULL;
	list[0] = (char *)&list[n + 2];
	(void)snprintf(list[0], TEXT, FL__MARKER "=%c:%d", role == FL__ROLE_FORK_SERVER ? 'z' : 't', (int)getpid());
	for (size_t i = 0; i < n; i++)
		if (strncmp(environ[i], FL__MARKER "=", sizeof FL__MARKER) != 0)
			list[kept++] = environ[i];
	return list;
}

void fl__self_end(int pidfd)
{
	(void)fl__os.signal(pidfd, SIGKILL);
	fl__manager_adopt(pidfd, true);
}

int fl__self_setup(struct fl__setup *setup, int socket)
{
	int null = fl__above(fl__os.open("/dev/null", O_RDWR));
	if (null < 0)
		return null;
	bool has_error = fcntl(STDERR_FILENO, F_GETFD) >= 0;
	*setup = (struct fl__setup){.fds = {null, null, has_error ? STDERR_FILENO : null, socket},
	                            .n_fds = FL__SELF_SOCKET + 1,
	                            .through_exec = true,
	                            .stay_blocked = true,
	                            .cwd = -1,
	                            .keep = -1};
	return 0;
}

/* Errors of a path or a file come from the exec: all other steps use open descriptors. */
static bool is_from_exec(int rc)
{
	return rc == -ENOENT || rc == -ENOTDIR || rc == -EACCES || rc == -ELOOP || rc == -ENOEXEC || rc == -ETXTBSY;
}

static int spawn_self(enum fl__role role, bool dies, int socket, int *pid, int *pidfd, const char **problem)
{
	char *argv[] = {program_invocation_name, NULL};
	const char *const paths[] = {fl__os.self, NULL};
	char **env = environment(role);
	*problem = "no memory for its environment";
	if (!env)
		return -ENOMEM;
	*problem = "/dev/null cannot be opened for it";
	struct fl__spawn spawn = {.paths = paths, .argv = argv, .env = env};
	int rc = fl__self_setup(&spawn.setup, socket);
	if (rc == 0) {
		int null = spawn.setup.fds[0]; /* the child changes fds[0] in shared memory */
		spawn.setup.parent = dies ? getpid() : 0;
		rc = fl__manager_spawn(&spawn);
		*problem = is_from_exec(rc) ? "/proc/self/exe, which is this program, cannot be run"
		                            : "the system refused another start of this program";
		fl__close(null);
	}
	fl__free(env);
	*pid = spawn.pid;
	*pidfd = spawn.pidfd;
	return rc;
}

int fl__self_start(enum fl__role role, bool dies, int64_t deadline, int *socket, int *pid, int *pidfd,
                   const char **problem)
{
	int ends[2];
	*problem = "no socket to it";
	int rc = fl__above_pair(ends);
	if (rc != 0)
		return rc;
	rc = spawn_self(role, dies, ends[1], pid, pidfd, problem);
	fl__close(ends[1]);
	if (rc == 0) {
		rc = hear_hello(ends[0], *pid, deadline, problem);
		if (rc != 0)
			fl__self_end(*pidfd);
	}
	if (rc != 0)
		fl__close(ends[0]);
	else
		*socket = ends[0];
	return rc;
}
