/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Process handles. The fork server reports over a process's channel how that process ended. The handle
 * only peeks at the report: fl_process_sentinel() returns the channel, which must stay readable. A
 * child of this process has no channel: the handle reaps the child.
 *
 *   state    meaning                            left for
 *   RUNS     no end is known                    ENDED; ORPHAN: the channel ended without a report
 *   ORPHAN   the fork server has died; only the      ENDED, with -EOWNERDEAD
 *            pidfd shows when the process ends
 *   ENDED    `rc` and `status` are final
 *
 * `lock` of a handle guards its state. `list_lock` guards the list of all handles of this process.
 * Lock order: `list_lock`, then `lock`.
 */
#include "../base/panic.h"
#include "../base/sys.h"
#include "../exec/registry.h"
#include "fd_sys.h"
#include "launch.h"
#include "manager.h"
#include "os.h"
#include "packet.h"
#include "request.h"
#include "watch.h"
#include <errno.h>
#include <fairlead/error.h>
#include <fairlead/mutex.h>
#include <fairlead/time.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum state { RUNS, ORPHAN, ENDED };

struct fl_process {
	struct fl_process *next, *prev; /* in the list, oldest first */
	fl_mutex lock;
	enum state state;
	int rc;
	fl_process_status status;
	int pid, pidfd;
	int channel; /* -1: a child of this process */
	bool daemon;
	uint32_t forks; /* fl__process_forks in the process that made the handle */
	struct fl__watched on_channel, on_pidfd;
	char name[FL_PROCESS_NAME_MAX + 1];
};

uint32_t fl__process_forks;

static fl_mutex list_lock = FL_MUTEX_INIT;
static struct fl_process *oldest, *newest;
static unsigned started; /* for default names */

static bool is_ours(const fl_process *p)
{
	return p->forks == fl__process_forks;
}

/* Starting. */

static const char *wrong_with_program(const fl_process_config *config)
{
	return config->arg                                ? "a program takes `argv`, not `arg`"
	       : config->method != FL_PROCESS_FORK_SERVER ? "a `method` is for a task, not for a program"
	                                                  : NULL;
}

static const char *wrong_with_task(const fl_process_config *config, char *text, size_t room)
{
	const fl_task_type *type = config->task;
	if (config->argv || config->env)
		return "`argv` and `env` are for a program, not for a task";
	if (config->method > FL_PROCESS_EXEC)
		return "an unknown method";
	if (type->arg_size > FL_TASK_SIZE_MAX || type->result_size > FL_TASK_SIZE_MAX || strlen(type->name) >= 4096)
		return "the task's argument, result or name is too large";
	if (type->arg_size == 0 && config->arg)
		return "an argument, but the task takes none";
	if (type->arg_size == 0 || config->arg)
		return NULL;
	(void)snprintf(text, room, "no argument, but the task takes %zu bytes", (size_t)type->arg_size);
	return text;
}

/* Returns the first mistake in `config`, or NULL. */
static const char *wrong_with(const fl_process_config *config, char *text, size_t room)
{
	if (!config)
		return "no configuration";
	if (!config->task && !config->program)
		return "neither a task nor a program";
	if (config->task && config->program)
		return "both a task and a program";
	if (config->n_fds > FL_PROCESS_FDS_MAX)
		return "more descriptors than FL_PROCESS_FDS_MAX";
	if (config->n_fds && !config->fds)
		return "`n_fds` without `fds`";
	return config->program ? wrong_with_program(config) : wrong_with_task(config, text, room);
}

static int check(struct fl__launch *launch)
{
	launch->problem = wrong_with(launch->config, launch->text, sizeof launch->text);
	return launch->problem ? -EINVAL : 0;
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static int open_stream(struct fl__launch *launch, unsigned i, int how)
{
	int *fd = &launch->setup.fds[i];
	if (how == 0) {
		*fd = is_open((int)i) ? (int)i : -1;
		return 0;
	}
	if (how == FL_PROCESS_NULL) {
		if (launch->own[0] < 0)
			launch->own[0] = fl__above(fl__os.open("/dev/null", O_RDWR));
		*fd = launch->own[0];
		return *fd < 0 ? *fd : 0;
	}
	if (how < FL_PROCESS_FD(0)) {
		launch->problem = "in, out and err take FL_PROCESS_FD(fd) or FL_PROCESS_NULL, not a bare number";
		return -EBADF;
	}
	*fd = how & ~FL_PROCESS_FD(0);
	return is_open(*fd) ? 0 : -EBADF;
}

static int open_fds(struct fl__launch *launch)
{
	const fl_process_config *config = launch->config;
	const int how[FL__STREAMS] = {config->in, config->out, config->err};
	launch->problem = "a descriptor that it is to get";
	int rc = 0;
	for (unsigned i = 0; rc == 0 && i < FL__STREAMS; i++)
		rc = open_stream(launch, i, how[i]);
	for (unsigned i = 0; rc == 0 && i < config->n_fds; i++) {
		launch->setup.fds[FL__STREAMS + i] = config->fds[i];
		rc = is_open(config->fds[i]) ? 0 : -EBADF;
	}
	return rc;
}

/* A program or a fork inherits the directory. Any other new process may be elsewhere. */
static int open_directory(struct fl__launch *launch)
{
	const fl_process_config *config = launch->config;
	bool inherits = config->program || config->method == FL_PROCESS_FORK;
	if (!config->cwd && inherits)
		return 0;
	launch->problem = "its directory";
	launch->own[1] = fl__above(fl__os.open(config->cwd ? config->cwd : ".", O_PATH | O_DIRECTORY));
	launch->setup.cwd = launch->own[1];
	return launch->own[1] < 0 ? launch->own[1] : 0;
}

/* The new process finds its task by name: the name must stand for the same task here. */
static int check_task(struct fl__launch *launch)
{
	const fl_process_config *config = launch->config;
	const fl_task_type *found;
	if (config->method == FL_PROCESS_FORK)
		return 0; /* a fork has the task's address */
	int rc = fl__registry_find(config->task->name, &found);
	launch->problem = rc == -EEXIST   ? "another task has the name of its task"
	                  : rc == -ENOMEM ? "no memory for the names of tasks"
	                                  : "its task is not registered";
	return rc == 0 && found->run != config->task->run ? -ENOENT : rc;
}

static int start(struct fl__launch *launch)
{
	const fl_process_config *config = launch->config;
	int rc = check(launch);
	if (rc != 0)
		return rc;
	launch->setup.n_fds = FL__STREAMS + config->n_fds;
	rc = open_fds(launch);
	if (rc == 0)
		rc = open_directory(launch);
	if (rc == 0 && config->task)
		rc = check_task(launch);
	if (rc != 0)
		return rc;
	if (config->program)
		return fl__start_program(launch);
	return config->method == FL_PROCESS_FORK   ? fl__start_by_fork(launch)
	       : config->method == FL_PROCESS_EXEC ? fl__start_by_exec(launch)
	                                           : fl__start_by_fork_server(launch);
}

static void enlist(fl_process *p)
{
	FL_LOCKED(&list_lock);
	p->prev = newest;
	if (newest)
		newest->next = p;
	else
		oldest = p;
	newest = p;
}

static void delist(fl_process *p)
{
	FL_LOCKED(&list_lock);
	*(p->prev ? &p->prev->next : &oldest) = p->next;
	*(p->next ? &p->next->prev : &newest) = p->prev;
}

static void give_name(fl_process *p, const fl_process_config *config)
{
	FL_LOCKED(&list_lock);
	started++;
	if (config && config->name)
		(void)snprintf(p->name, sizeof p->name, "%s", config->name);
	else
		(void)snprintf(p->name, sizeof p->name, "process-%u", started);
}

static void begin(fl_process *p, const struct fl__launch *launch)
{
	p->pid = launch->pid;
	p->pidfd = launch->pidfd;
	p->channel = launch->channel;
	p->daemon = launch->config->daemon;
	p->forks = fl__process_forks;
	p->on_pidfd = (struct fl__watched)FL__WATCHED(p->pidfd, POLLIN);
	p->on_channel = (struct fl__watched)FL__WATCHED(p->channel, POLLIN);
	enlist(p);
}

static const char *label(const fl_process_config *config)
{
	return !config ? "nothing" : config->task ? config->task->name : config->program ? config->program : "nothing";
}

/* For -EMFILE: names the process that reached its limit. */
static const char *where(const struct fl__launch *launch, int rc)
{
	if (rc != -EMFILE)
		return "";
	return launch->where ? launch->where : ", in this process";
}

int fl_process_start(fl_process **handle, const fl_process_config *config)
{
	fl_process *p = fl__alloc(1, sizeof *p);
	if (!p)
		return -ENOMEM;
	give_name(p, config);
	struct fl__launch launch = {.config = config,
	                            .name = p->name,
	                            .setup = {.cwd = -1, .keep = -1},
	                            .own = {-1, -1},
	                            .pidfd = -1,
	                            .channel = -1};
	if (config)
		launch.setup.parent = config->daemon ? getpid() : 0;
	int rc = start(&launch);
	for (unsigned i = 0; i < 2; i++)
		fl__close(launch.own[i]);
	if (rc < 0) {
		fl__log(FL_LOG_ERROR, "cannot start process %s for %s: %s: %s%s", p->name, label(config),
		        launch.problem, fl_error_text(rc), where(&launch, rc));
		fl__free(p);
		return rc;
	}
	begin(p, &launch);
	*handle = p;
	return 0;
}

/* How a process ended. */

static bool is_ready(int fd)
{
	short seen;
	return fl__fd_sys.poll(fd, POLLIN, &seen, 0) != 0;
}

static void end(fl_process *p, int rc, fl_process_status status)
{
	p->state = ENDED;
	p->rc = rc;
	p->status = status;
}

static const fl_process_status unknown = {-1, 0};

static void ask_child(fl_process *p)
{
	fl_process_status status;
	int rc = fl__os.collect(p->pidfd, &status, false);
	if (rc == 1)
		end(p, 0, status);
	else if (rc < 0 && is_ready(p->pidfd))
		end(p, rc, unknown);
}

static void ask_channel(fl_process *p)
{
	struct fl__end last;
	struct iovec part = {&last, sizeof last};
	struct fl__packet packet = {.parts = &part, .n_parts = 1};
	int rc = fl__packet_try_recv(p->channel, &packet, MSG_PEEK);
	if (rc == -EAGAIN || rc == -ENOMEM)
		return;
	if (rc == 0 && packet.size == sizeof last && last.magic == FL__MAGIC_END && last.size == sizeof last)
		end(p, 0, (fl_process_status){last.code, last.signal});
	else
		p->state = ORPHAN;
}

/* Updates the state, under the handle's lock. */
static void look(fl_process *p)
{
	if (p->state == RUNS && p->channel < 0)
		ask_child(p);
	else if (p->state == RUNS)
		ask_channel(p);
	if (p->state == ORPHAN && is_ready(p->pidfd))
		end(p, -EOWNERDEAD, unknown);
}

/* Returns -EBUSY while the process runs. */
static int result(fl_process *p, fl_process_status *status)
{
	FL_LOCKED(&p->lock);
	if (p->state != ENDED && !is_ours(p))
		return -EOWNERDEAD;
	look(p);
	if (p->state != ENDED)
		return -EBUSY;
	if (p->rc == 0 && status)
		*status = p->status;
	return p->rc;
}

/* Returns what a join waits for. */
static struct fl__watched *watched(fl_process *p)
{
	FL_LOCKED(&p->lock);
	return p->channel < 0 || p->state == ORPHAN ? &p->on_pidfd : &p->on_channel;
}

static int wait_until(fl_process *p, int64_t deadline, fl_cancel_token *cancel)
{
	struct fl__ctx *ctx = fl__ctx_get();
	const bool blocks = fl__ctx_block(ctx, NULL, deadline);
	const int rc = fl__fd_wait(watched(p)->fd, POLLIN, deadline, cancel);
	fl__ctx_unblock(ctx, blocks);
	return rc;
}

int fl_process_join_until(fl_process *p, fl_process_status *status, int64_t deadline, fl_cancel_token *cancel)
{
	for (;;) {
		int rc = result(p, status);
		if (rc != -EBUSY)
			return rc;
		int waited = wait_until(p, deadline, cancel);
		if (waited == 0)
			continue;
		/* the process may have ended during the wait */
		rc = result(p, status);
		return rc == -EBUSY ? waited : rc;
	}
}

bool fl_process_is_alive(fl_process *p)
{
	return result(p, NULL) == -EBUSY;
}

int fl_process_signal(fl_process *p, int signal)
{
	int rc = result(p, NULL);
	if (!is_ours(p))
		return -EOWNERDEAD;
	if (signal <= 0)
		return -EINVAL;
	return rc == -EBUSY ? fl__os.signal(p->pidfd, signal) : -ESRCH;
}

int fl_process_pid(const fl_process *p)
{
	return p->pid;
}

const char *fl_process_name(const fl_process *p)
{
	return p->name;
}

int fl_process_sentinel(const fl_process *p)
{
	return p->channel < 0 ? p->pidfd : p->channel;
}

size_t fl_process_active_children(void (*visit)(fl_process *p, void *arg), void *arg)
{
	size_t n = 0;
	FL_LOCKED(&list_lock);
	for (fl_process *p = oldest; p; p = p->next) {
		if (!fl_process_is_alive(p))
			continue;
		if (visit)
			visit(p, arg);
		n++;
	}
	return n;
}

void fl_process_free(fl_process *p)
{
	if (!p)
		return;
	if (is_ours(p)) {
		bool runs = fl_process_is_alive(p);
		delist(p);
		if (runs && p->daemon)
			(void)fl__os.signal(p->pidfd, SIGKILL);
		if (runs && p->channel < 0) {
			fl__manager_adopt(p->pidfd, p->daemon);
			p->pidfd = -1;
		}
	}
	if (is_ours(p) || !fl__process_swept()) {
		fl__close(p->pidfd);
		fl__close(p->channel);
	}
	fl__free(p);
}

/* For fl_wait_any. A node's key says which of the two wait queues holds the node. */

static bool on_ready(void *object)
{
	return !fl_process_is_alive(object);
}

static bool on_arm(void *object, struct fl__node *node)
{
	fl_process *p = object;
	return is_ours(p) && fl__watched_arm(watched(p), node);
}

static void on_disarm(void *object, struct fl__node *node)
{
	fl_process *p = object;
	fl__watched_disarm(node->key == &p->on_pidfd ? &p->on_pidfd : &p->on_channel, node);
}

const fl_on_type fl__on_process = {on_ready, on_arm, on_disarm, NULL, true};

/* A forked child has no processes. A lock may belong to a thread that is not in the child. */
static void after_fork_in_child(void)
{
	fl__process_forks++;
	fl_mutex_init(&list_lock);
	oldest = newest = NULL;
	fl__fork_server_after_fork();
	fl__manager_after_fork();
}

FL__AT_START static void watch_forks(void)
{
	(void)pthread_atfork(NULL, NULL, after_fork_in_child); /* fails only without memory */
}
