/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "../base/fd_watcher.h"
#include "../base/packet.h"
#include "core/sync/mutex.h"
#include <fairlead/pipe.h>
#include <stdint.h>

/*
 * A message is one packet, which begins with a head. The bytes of a large message are in a sealed
 * memfd, which is the packet's first descriptor.
 *
 * A receiver first peeks (MSG_PEEK), so that a message that does not fit stays in the socket, and
 * then takes the message. Both happen under `lock`. However, another process may receive on the
 * same end in between, so that the receiver takes a different message. If this message does not
 * fit, the handle *keeps* it, and returns it next.
 *
 * The peek also duplicates the descriptors, in case the descriptor table is full when the message
 * is taken.
 *
 * A message arrives whole or not at all, even if its sender is killed. There are functions with and
 * without `_fds` in their names, because most messages carry no descriptors, and with a single form
 * every such send or receive would have to pass `NULL, 0` or `NULL, NULL`.
 */
enum {
	FL__PIPE_MAGIC = 0x31504c46, /* "FLP1" */
	FL__PIPE_SMALL = 1,          /* the bytes follow the head */
	FL__PIPE_LARGE = 2,          /* the bytes are in the first descriptor */
	FL__PIPE_INLINE = 64 << 10,
};

struct fl__pipe_head {
	uint32_t magic;
	uint16_t kind;
	uint16_t n_fds; /* the number of descriptors, without a large message's memfd */
	uint64_t size;
	/*
	 * unique among packets on their way, if their senders are in one PID namespace; 0 for a
	 * message without descriptors
	 */
	uint64_t id;
};
_Static_assert(sizeof(struct fl__pipe_head) == 24 && FL_PIPE_FDS_MAX + 1 == FL__PACKET_FDS, "the layout of messages");

/* The first descriptor of a large message has its bytes. */
struct fl__pipe_message {
	struct fl__pipe_head head;
	unsigned n_fds;
	int fds[FL__PACKET_FDS];
};

struct fl_pipe {
	/* `out` is the first member, for fl__on_pipe_space */
	struct fl__watched_fd out, in;
	int fd;
	/* guards receives and all members below */
	fl_mutex lock;
	uint32_t kept;                   /* atomic, because it is also read without the lock */
	struct fl__pipe_message message; /* the message that the handle keeps */
	/*
	 * FL__PIPE_INLINE bytes, for the overflow of a packet, and afterwards for a small message
	 * that is kept
	 */
	char *spill;
};
