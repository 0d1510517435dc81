/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_PROCESS_REQUEST_H
#define FL_PROCESS_REQUEST_H

#include "identity.h"
#include "launch.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The request to run a task in a process, and its reply. Both carry their size; whoever receives one checks every size, count
 * and index in it before he uses them. No pointer goes over a socket: a task is its name and identity.
 *
 * Descriptors with a request, in this order: the channel of the process (to a zygote); its directory; the streams that are
 * open; those handed over; the argument, when it is too large for the packet.
 */
enum {
	FL__REQUEST_DAEMON = 1,
	FL__REQUEST_CHANNEL = 2, /* comes along */
	FL__REQUEST_CWD = 4,     /* comes along */
	FL__REQUEST_MEMORY = 8,  /* the argument is in a descriptor of its own */
	FL__REQUEST_STREAM = 16, /* << 0, 1, 2: that stream is open, and comes along */
	FL__REQUEST_FLAGS = 127,

	FL__REQUEST_INLINE = 16 << 10, /* the largest argument in a packet */
	FL__REQUEST_ROOM = FL__REQUEST_INLINE + (8 << 10),
	FL__REQUEST_FDS = FL__SETUP_FDS + 3,
};

/* Sends it: 0 or a negative errno, as fl__packet_send(). `channel`: -1 for none. */
int fl__request_send(int socket, int channel, struct fl__launch *launch, int64_t deadline);

/* A sealed descriptor with these bytes in it, or a negative errno. */
int fl__memory_of(const void *bytes, size_t size);

/* A request that was received, or its like in a forked child: everything that is needed to run the task. */
struct fl__request {
	const fl_task_type *type;
	const char *name;
	const void *arg; /* not aligned; valid as long as what was received */
	int memory;      /* or a descriptor of it; -1 */
	bool daemon;
	int channel;
	struct fl__setup setup;
};

struct fl__start_reply {
	uint32_t magic, size;
	int32_t error;                   /* 0, or what failed, as a negative errno */
	int32_t pid;                     /* of the process; its pidfd comes along, from a zygote */
	uint32_t has_task, reserved;     /* whether there is a task of that name */
	struct fl__task_identity theirs; /* its identity there */
};

/*
 * Reads what was received; `fds` are the caller's to close, also after an error. 0; -EBADMSG (not a request); -EMFILE (fewer
 * descriptors than it speaks of); -ENOENT, -EPROTO (no such task, or another): then `reply` tells of it.
 */
int fl__request_read(struct fl__request *request, struct fl__start_reply *reply, const void *data, size_t size,
                     const int *fds, unsigned n_fds);

/* Waits for the reply to a request: 0, or its error, or the wait's. `*pidfd` (may be NULL): came along, or is -1. */
int fl__reply_take(int channel, struct fl__launch *launch, int64_t deadline, int *pidfd);

/*
 * Runs the task of `request` in this process, which was made for it, and ends. `ready` (may be NULL) is called once all is set
 * up, or with the error; `fd` is what was to be kept.
 */
_Noreturn void fl__task_process(struct fl__request *request, void (*ready)(int fd, int rc));

/* Makes fl_process_fd() and fl_process_current_name() answer. */
void fl__process_is(const char *name, unsigned n_fds);

/* Whether the descriptors of the parent's handles were closed here. */
bool fl__process_swept(void);

#endif
