/* SPDX-License-Identifier: BSD-2-Clause */
/* Requests to run a task in a process, and their replies (request.h). */
#include "request.h"
#include "../base/memfd.h"
#include "../base/packet.h"
#include "../base/process_sys.h"
#include "core/base/panic.h"
#include "core/base/sys.h"
#include "core/exec/registry.h"
#include <errno.h>
#include <string.h>

struct request_message {
	uint32_t magic, flags;
	uint32_t name_size, task_size; /* with their final zero bytes */
	struct fl__task_identity task;
	struct fl__settings settings; /* all zero if the request does not go to a fork server */
	struct fl__signal_sets signals;
	struct fl__clock clock;
	char text[]; /* the name of the process, the name of the task, and the argument */
};

struct request_fds {
	int list[FL__REQUEST_FDS];
	unsigned n;
	uint32_t flags;
};

static void request_add_fd(struct request_fds *fds, int fd, uint32_t flag)
{
	if (fd < 0)
		return;
	fds->list[fds->n++] = fd;
	fds->flags |= flag;
}

static struct request_message *request_compose(const struct fl__start *start, size_t inline_size, size_t *size)
{
	const fl_task_type *type = start->config->task;
	size_t name = strlen(start->name) + 1, task = strlen(type->name) + 1;
	*size = sizeof(struct request_message) + name + task + inline_size;
	struct request_message *m = fl__alloc(1, *size);
	if (!m)
		return NULL;
	m->magic = FL__MAGIC_START;
	m->name_size = (uint32_t)name;
	m->task_size = (uint32_t)task;
	fl__task_identify(type, &m->task);
	if (start->settings)
		m->settings = *start->settings;
	m->signals = start->setup.signals;
	m->clock = start->setup.clock;
	memcpy(m->text, start->name, name);
	memcpy(m->text + name, type->name, task);
	if (inline_size > 0)
		memcpy(m->text + name + task, start->config->arg, inline_size);
	return m;
}

int fl__request_send(int socket, int channel, struct fl__start *start, fl_time deadline)
{
	const size_t arg_size = start->config->task->arg_size;
	const bool large = arg_size > FL__REQUEST_INLINE;
	size_t size;
	start->problem = "no memory for the argument";
	struct request_message *m = request_compose(start, large ? 0 : arg_size, &size);
	if (!m)
		return -ENOMEM;
	struct request_fds fds = {.flags = (start->config->daemon ? FL__REQUEST_DAEMON : 0) |
	                                   (start->config->group ? FL__REQUEST_GROUP : 0)};
	request_add_fd(&fds, channel, FL__REQUEST_CHANNEL);
	request_add_fd(&fds, start->setup.cwd, FL__REQUEST_DIRECTORY);
	for (unsigned i = 0; i < start->setup.n_fds; i++)
		request_add_fd(&fds, start->setup.fds[i], i < FL__STREAMS ? FL__REQUEST_STREAM << i : 0);
	int memory = large ? fl__sealed_memory(start->config->arg, arg_size) : -1;
	int rc = large && memory < 0 ? memory : 0;
	request_add_fd(&fds, memory, FL__REQUEST_MEMORY);
	m->flags = fds.flags;
	if (rc == 0) {
		start->problem = "the request cannot be sent";
		rc = fl__packet_send(socket, m, size, fds.list, fds.n, deadline);
	}
	fl__fd_close(memory);
	fl__free(m);
	return rc;
}

/* Reading. */

/* Returns true if the last byte of the text is its only zero. */
static bool request_is_text(const char *text, size_t size)
{
	return size > 0 && memchr(text, 0, size) == text + size - 1;
}

static bool request_is_request(const struct request_message *m, size_t size)
{
	if (size < sizeof *m || m->magic != FL__MAGIC_START || (m->flags & ~FL__REQUEST_FLAGS))
		return false;
	size_t rest = size - sizeof *m;
	if (m->name_size > rest || m->task_size > rest - m->name_size)
		return false;
	rest -= (size_t)m->name_size + m->task_size;
	size_t expected = (m->flags & FL__REQUEST_MEMORY) ? 0 : m->task.arg_size;
	return rest == expected && request_is_text(m->text, m->name_size) &&
	       request_is_text(m->text + m->name_size, m->task_size);
}

static int request_find_task(struct fl__request *request, struct fl__start_reply *reply,
                             const struct request_message *m)
{
	const fl_task_type *type;
	int rc = fl__registry_find(m->text + m->name_size, &type);
	if (rc != 0)
		return rc;
	reply->has_task = 1;
	fl__task_identify(type, &reply->theirs);
	if (memcmp(&reply->theirs, &m->task, sizeof m->task) != 0)
		return -EPROTO;
	request->type = type;
	return 0;
}

int fl__request_read(struct fl__request *request, struct fl__start_reply *reply, const void *data, size_t size,
                     const int *fds, unsigned n_fds)
{
	const struct request_message *m = data;
	*reply = (struct fl__start_reply){.magic = FL__MAGIC_REPLY};
	*request = (struct fl__request){.channel = -1, .memory = -1};
	if (!request_is_request(m, size))
		return -EBADMSG;
	const uint32_t with_fds = m->flags & ~(uint32_t)(FL__REQUEST_DAEMON | FL__REQUEST_GROUP);
	const unsigned own = (unsigned)__builtin_popcount(with_fds);
	if (n_fds < own || n_fds - own > FL_PROCESS_FDS_MAX)
		return -EMFILE;
	request->channel = (m->flags & FL__REQUEST_CHANNEL) ? *fds++ : -1;
	request->setup.cwd = (m->flags & FL__REQUEST_DIRECTORY) ? *fds++ : -1;
	request->setup.n_fds = FL__STREAMS + n_fds - own;
	for (unsigned i = 0; i < request->setup.n_fds; i++) {
		bool open = i >= FL__STREAMS || (m->flags & (FL__REQUEST_STREAM << i));
		request->setup.fds[i] = open ? *fds++ : -1;
	}
	request->memory = (m->flags & FL__REQUEST_MEMORY) ? *fds++ : -1;
	request->daemon = m->flags & FL__REQUEST_DAEMON;
	request->setup.group = m->flags & FL__REQUEST_GROUP;
	request->setup.signals = m->signals;
	request->setup.clock = m->clock;
	request->name = m->text;
	request->arg = m->text + m->name_size + m->task_size;
	request->setup.keep = -1;
	request->settings = request->channel >= 0 ? &m->settings : NULL;
	return request_find_task(request, reply, m);
}

/* The reply. */

static void request_log_task(const struct fl__start *start, const struct fl__start_reply *reply)
{
	char a[FL__BUILD_ID_TEXT], b[FL__BUILD_ID_TEXT];
	struct fl__task_identity ours;
	const struct fl__task_identity *theirs = &reply->theirs;
	const char *task = start->config->task->name;
	fl__task_identify(start->config->task, &ours);
	if (!reply->has_task)
		fl__log(FL_LOG_ERROR, "task %s is registered here (build-id %s), but not in the program executed again",
		        task, fl__build_id_text(&ours.owner, a));
	else
		fl__log(FL_LOG_ERROR,
		        "task %s: build-id %s here, %s in the program executed again; version %u here, %u there; "
		        "argument of %zu bytes aligned to %u here, %zu to %u there; result of %zu to %u, %zu to %u",
		        task, fl__build_id_text(&ours.owner, a), fl__build_id_text(&theirs->owner, b), ours.version,
		        theirs->version, (size_t)ours.arg_size, ours.arg_align, (size_t)theirs->arg_size,
		        theirs->arg_align, (size_t)ours.result_size, ours.result_align, (size_t)theirs->result_size,
		        theirs->result_align);
}

int fl__reply_receive(int channel, struct fl__start *start, fl_time deadline, int *pidfd)
{
	struct fl__start_reply reply;
	size_t size = 0;
	unsigned n_fds = pidfd ? 1 : 0;
	start->problem = "no reply";
	int rc = fl__packet_recv(channel, &reply, sizeof reply, &size, pidfd, pidfd ? &n_fds : NULL, deadline);
	if (rc == -EMFILE && size == sizeof reply && reply.magic == FL__MAGIC_REPLY)
		start->child->pid = reply.pid;
	if (rc != 0)
		return rc == -EPIPE ? -EOWNERDEAD : rc;
	if (pidfd)
		*pidfd = n_fds > 0 ? fl__fd_above_streams(*pidfd) : -1;
	start->problem = "the reply is malformed";
	if (size != sizeof reply || reply.magic != FL__MAGIC_REPLY)
		return -EPROTO;
	rc = reply.error;
	start->problem = "the process cannot be created";
	start->where = pidfd ? ", in the fork server" : ", in the new process";
	if (rc == -EEXIST)
		start->problem = "another task is registered under the task's name";
	if (rc == -ENOENT || rc == -EPROTO) {
		start->problem = "the task is unknown there, or differs";
		request_log_task(start, &reply);
	}
	if (reply.refused)
		start->problem = "the fork server may not take on the scheduling, priorities or limits of the caller";
	start->refused = reply.refused != 0;
	if (pidfd)
		start->child->pid = reply.pid;
	return rc;
}
