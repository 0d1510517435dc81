/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "../base/identity.h"
#include "attributes.h"
#include "start.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FL__MAGIC_HELLO = 0x464c4831, FL__MAGIC_START, FL__MAGIC_REPLY, FL__MAGIC_END, FL__MAGIC_GO };

/* Each message is a packet, and begins with its number. */

/* The report of an end, the last message on a channel. */
struct fl__end_report {
	uint32_t magic;
	int32_t code, signal;
};

/* Lets a process of a fork server begin its task. */
struct fl__go {
	uint32_t magic;
	struct fl__mask_and_ignored more;
};

/*
 * The request to run a task in a process, and the reply. A receiver checks every size, count and
 * index.
 *
 * The descriptors come in this order: the new process's channel, if the request goes to a fork
 * server; its directory, unless it keeps the directory; its open streams; the descriptors that are
 * passed on; and the argument, if it is too large for the packet. A request to a fork server
 * contains the calling thread's settings.
 */
enum {
	FL__REQUEST_DAEMON = 1,
	FL__REQUEST_GROUP = 2,
	FL__REQUEST_CHANNEL = 4, /* a channel is among the descriptors */
	FL__REQUEST_MEMORY = 8,  /* the argument is a descriptor */
	FL__REQUEST_STREAM = 16, /* shifted by 0, 1 or 2: that stream is open */
	FL__REQUEST_DIRECTORY = 128,
	FL__REQUEST_FLAGS = 255,

	FL__REQUEST_INLINE = 16 << 10, /* the largest argument in a packet */
	FL__REQUEST_ROOM = FL__REQUEST_INLINE + (8 << 10),
	FL__REQUEST_FDS = FL__SETUP_FDS + 3,
};

/* Sends a request. `channel` is -1 if there is none. */
int fl__request_send(int socket, int channel, struct fl__start *start, fl_time deadline);

/* What a process is to run, from a request or in a forked child. */
struct fl__request {
	const fl_task_type *type;
	const char *name;
	const void *arg; /* not aligned; valid while the request's bytes are */
	int memory;      /* a memfd instead of `arg`, or -1 */
	bool daemon;
	int channel;
	struct fl__setup setup;
	/*
	 * The settings to take on, valid while the request's bytes are. NULL if they are
	 * inherited.
	 */
	const struct fl__settings *settings;
	const struct fl__settings *inherited; /* what the process has without them */
};

struct fl__start_reply {
	uint32_t magic;
	int32_t error;
	int32_t pid;       /* the pid of the fork server's process, with its pidfd */
	uint32_t has_task; /* 1 if the task exists there */
	uint32_t refused;  /* 1 if the fork server may not take on the settings */
	struct fl__task_identity theirs;
};

/*
 * Reads a request. The caller closes `fds`, even after an error. Returns
 *   0
 *   -EBADMSG         the bytes are not a request
 *   -EMFILE          there are too few descriptors, or too many
 *   -ENOENT          there is no such task
 *   -EPROTO          the task has another identity, which is stored in `reply`
 *   -EEXIST          different types have its name
 */
int fl__request_read(struct fl__request *request, struct fl__start_reply *reply, const void *data, size_t size,
                     const int *fds, unsigned n_fds);

/*
 * Waits for the reply. Returns 0, the error in the reply, or an error of the wait. After a reply,
 * stores its descriptor, or -1, in `*pidfd`, which may be NULL.
 */
int fl__reply_receive(int channel, struct fl__start *start, fl_time deadline, int *pidfd);
