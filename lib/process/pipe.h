/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_PROCESS_PIPE_H
#define FL_PROCESS_PIPE_H

#include "packet.h"
#include "watch.h"
#include <fairlead/mutex.h>
#include <fairlead/pipe.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Pipes: a message is one packet, which begins with a head. The bytes of a large message stand in a sealed memfd, the first
 * of the packet's descriptors. So the kernel's queue is the only state that ends share: nothing in user memory can be left
 * half-way by who is killed.
 *
 * Receiving looks first (MSG_PEEK), so that a message without room stays, and then takes. Threads of one process are kept
 * apart by `lock`. Another process that receives on the same end may come between the look and the take. Then what is taken
 * is another message, which may find no room; it is *kept* in the handle, for which there is always memory (`spill`, mapped
 * when the handle is made and touched only here), and is the next that this handle receives.
 *
 * The look also fetches the descriptors, as duplicates: what the process's table has no room for is found while the message
 * can still stay. Where the table is filled up between look and take, the duplicates serve.
 *
 * After a fork the lock may be held by a thread that is not there, and a kept message is the parent's: see
 * fl__pipe_meet_fork().
 */
enum {
	FL__PIPE_MAGIC = 0x31504c46, /* "FLP1" */
	FL__PIPE_SMALL = 1,          /* the bytes follow the head */
	FL__PIPE_LARGE = 2,          /* they are in the first descriptor */
	FL__PIPE_INLINE = 64 << 10,  /* the most of a small one */
};

/* What a packet begins with. */
struct fl__pipe_head {
	uint32_t magic;
	uint16_t kind;
	uint16_t n_fds; /* without the one of a large message's bytes */
	uint64_t size;
	uint64_t id; /* of a packet with descriptors: tells it from others that are on their way */
};
_Static_assert(sizeof(struct fl__pipe_head) == 24 && FL_PIPE_FDS_MAX + 1 == FL__PACKET_FDS, "what travels");

struct fl_pipe {
	struct fl__watched in, out;
	int fd;
	uint32_t generation; /* of the process: fl__pipe_meet_fork() */
	fl_mutex lock;       /* of receivers, and of all below */
	uint32_t kept;       /* whether a message is; atomic, for a look without the lock */
	struct fl__pipe_head kept_head;
	unsigned kept_n;
	int kept_fds[FL__PACKET_FDS];
	/* FL__PIPE_INLINE bytes: what of a packet is behind the caller's room; then the bytes of the kept message. */
	char *spill;
};

/*
 * Of whoever looks at what is kept, or locks: in a forked child nobody holds the lock, and what is kept is the parent's to
 * receive.
 */
void fl__pipe_meet_fork(fl_pipe *p);

#endif
