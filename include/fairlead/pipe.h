/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_PIPE_H
#define FAIRLEAD_PIPE_H

#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <fairlead/time.h>
#include <fairlead/wait_any.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

FL_BEGIN_DECLS

/*
 * Pipe: messages between two ends, which may be in two processes. Both ends send and receive, unless it is one-way.
 *
 *     FL_SCOPED(fl_pipe) *mine = NULL, *yours = NULL;
 *     rc = fl_pipe_create(&mine, &yours, NULL);               // check; then hand `yours` to another process, and free it
 *     rc = fl_pipe_send(mine, "hello", 5);                    // -EPIPE: nobody can receive it
 *     rc = fl_pipe_recv(mine, buffer, sizeof buffer, &size);  // -EPIPE: closed, and everything was received
 *
 * A message arrives whole or not at all, also when its sender is killed half-way, and once, also when several threads and
 * processes send and receive on one end. Messages of one sender arrive in its order. A process gets an end by fork(), as a
 * descriptor (fl_pipe_fd() passed on over exec, or with a message), and fl_pipe_from_fd(). An end is closed when every process
 * that had it has freed it, or has ended, by SIGKILL too. What was sent before can still be received; then it is the end.
 * So free what you do not use: an end that a process forgets keeps the pipe open.
 *
 * A message may carry descriptors. Limits: PTRDIFF_MAX bytes, and FL_PIPE_FDS_MAX descriptors, a message. Above 64 KiB the
 * bytes travel in memory of their own, and the call needs one free descriptor on either side. A sender waits while the pipe is
 * full: that is some 200 KiB, or some hundreds of messages, on their way; of those above 64 KiB, whose bytes do not count,
 * several dozens.
 *
 * Who receives need not trust who sends: what is no message, or not of the size that it claims, is -EBADMSG, and dropped. A
 * process that is killed while it receives takes that message with it. Memory order: a receive sees what was written before
 * the send of its message. SIGPIPE is never raised. In a forked child both handles work on; a receive that its parent was
 * making does not.
 */
typedef struct fl_pipe fl_pipe;

typedef struct fl_pipe_config {
	bool one_way; /* the first end receives, the second one sends (as Python's Pipe(False)) */
} fl_pipe_config;

#define FL_PIPE_FDS_MAX 252u

/*
 * Makes a pipe and its two ends. `config` may be NULL. All descriptors are close-on-exec. Never waits.
 * Returns 0, -EMFILE or -ENFILE (no descriptors left), -ENOMEM.
 */
FL_API FL_MUST_CHECK int fl_pipe_create(fl_pipe **a, fl_pipe **b, const fl_pipe_config *config);

/*
 * Makes an end of the descriptor of one, which now belongs to `*p` and becomes close-on-exec; on error it stays the caller's.
 * Never waits. Returns 0, -EBADF, -ENOTSOCK, -EINVAL (another kind of socket, or not connected), -ENOMEM.
 */
FL_API FL_MUST_CHECK int fl_pipe_from_fd(fl_pipe **p, int fd);

/* Frees this process's `p` and closes its descriptor; NULL does nothing. Panics when somebody waits on it. Never waits. */
FL_API void fl_pipe_free(fl_pipe *p);

/* The descriptor of `p`, which keeps it: to hand over, or to poll (POLLIN: something can be received, or it is the end). */
FL_API int fl_pipe_fd(const fl_pipe *p);

/* Nothing more is sent from this end, by any process: the other one receives what is there, then the end. Never waits. */
FL_API void fl_pipe_close_send(fl_pipe *p);

/*
 * Sends a message of `size` bytes; 0 is one, too. Blocks the calling context while the pipe is full. Observes its cancel
 * scope. On any error nothing was sent. Returns
 *   0
 *   -EPIPE        nobody can receive it: the other end is closed, or this one does not send
 *   -ECANCELED
 *   -EMSGSIZE     above PTRDIFF_MAX
 *   -EINVAL       `data` is NULL, and `size` is not 0
 *   -EMFILE, -ENFILE, -ENOMEM
 *   -ENOSYS       above 64 KiB, on a system without memfd_create(), or in a sandbox that forbids it
 *   -ETOOMANYREFS of this user's descriptors too many are on their way (RLIMIT_NOFILE): try again when some were received
 */
FL_INLINE FL_MUST_CHECK int fl_pipe_send(fl_pipe *p, const void *data, size_t size);

/* As fl_pipe_send, but when the pipe is full returns -EAGAIN; also -EPIPE. Never waits. */
FL_INLINE FL_MUST_CHECK int fl_pipe_try_send(fl_pipe *p, const void *data, size_t size);

/* As fl_pipe_send; also returns -ETIMEDOUT, and -ECANCELED for `cancel`. */
FL_INLINE FL_MUST_CHECK int fl_pipe_send_until(fl_pipe *p, const void *data, size_t size, int64_t deadline,
                                               fl_cancel_token *cancel);

/*
 * As fl_pipe_send, with `n` descriptors; the caller keeps his own. Also returns -EINVAL (above FL_PIPE_FDS_MAX, or `fds` is
 * NULL and `n` is not 0), -EBADF (not all of them are open).
 */
FL_INLINE FL_MUST_CHECK int fl_pipe_send_fds(fl_pipe *p, const void *data, size_t size, const int *fds, unsigned n);

/* As fl_pipe_send_fds, but when the pipe is full returns -EAGAIN. Never waits. */
FL_INLINE FL_MUST_CHECK int fl_pipe_try_send_fds(fl_pipe *p, const void *data, size_t size, const int *fds, unsigned n);

/* As fl_pipe_send_fds; also returns -ETIMEDOUT, -ECANCELED. */
FL_API FL_MUST_CHECK int fl_pipe_send_fds_until(fl_pipe *p, const void *data, size_t size, const int *fds, unsigned n,
                                                int64_t deadline, fl_cancel_token *cancel);

/*
 * Receives the oldest message into `buffer`, of `room` bytes, and its size into `*size`. Blocks the calling context while
 * there is none. Observes its cancel scope. On any error the contents of `buffer` are unspecified. Returns
 *   0
 *   -EPIPE      everything was received, and nothing more will come: the other end is closed, or this one does not receive
 *   -ECANCELED
 *   -EMSGSIZE   the message stays. It has `*size` bytes; if that is not above `room`, it carries descriptors: receive it with
 *               fl_pipe_recv_fds. Where processes share this end it may have come out already; then it is the next one that
 *               this handle receives, and calls that wait on the handle at that moment are not woken for it
 *   -EBADMSG    what came was no message, and was dropped
 *   -EMFILE     the message stays: this process has no room for its descriptors (its bytes, above 64 KiB, are one). Dropped
 *               only when at the same time another process receives on this end
 *   -ENOMEM     the message stays
 *   -EIO        the memory in which its bytes came could not be read; it was dropped
 */
FL_INLINE FL_MUST_CHECK int fl_pipe_recv(fl_pipe *p, void *buffer, size_t room, size_t *size);

/* As fl_pipe_recv, but when there is no message returns -EAGAIN; also -EPIPE, -EMSGSIZE. Never waits. */
FL_INLINE FL_MUST_CHECK int fl_pipe_try_recv(fl_pipe *p, void *buffer, size_t room, size_t *size);

/* As fl_pipe_recv; also returns -ETIMEDOUT, and -ECANCELED for `cancel`. */
FL_INLINE FL_MUST_CHECK int fl_pipe_recv_until(fl_pipe *p, void *buffer, size_t room, size_t *size, int64_t deadline,
                                               fl_cancel_token *cancel);

/*
 * As fl_pipe_recv, with the message's descriptors, which are the caller's then, and close-on-exec. `*n` is the room in `fds`,
 * and becomes their number; on -EMSGSIZE, when bytes or descriptors find no room, both numbers say what the message has.
 */
FL_INLINE FL_MUST_CHECK int fl_pipe_recv_fds(fl_pipe *p, void *buffer, size_t room, size_t *size, int *fds,
                                             unsigned *n);

/* As fl_pipe_recv_fds, but when there is no message returns -EAGAIN. Never waits. */
FL_INLINE FL_MUST_CHECK int fl_pipe_try_recv_fds(fl_pipe *p, void *buffer, size_t room, size_t *size, int *fds,
                                                 unsigned *n);

/* As fl_pipe_recv_fds; also returns -ETIMEDOUT, -ECANCELED. */
FL_API FL_MUST_CHECK int fl_pipe_recv_fds_until(fl_pipe *p, void *buffer, size_t room, size_t *size, int *fds,
                                                unsigned *n, int64_t deadline, fl_cancel_token *cancel);

/* For fl_wait_any: ready while a message is there, or the end is reached. */
#define FL_ON_PIPE(p) FL__ON(fl__on_pipe, (p))
FL_API extern const fl_on_type fl__on_pipe;

/* For fl_wait_any: ready while there is space to send, or nobody can receive. */
#define FL_ON_PIPE_SPACE(p) FL__ON(fl__on_pipe_space, (p))
FL_API extern const fl_on_type fl__on_pipe_space;

static inline void fl__scoped_fl_pipe(fl_pipe **_p)
{
	fl_pipe_free(*_p);
}

/* The inline functions. */

FL_INLINE int fl_pipe_send(fl_pipe *_p, const void *_data, size_t _size)
{
	return fl_pipe_send_fds_until(_p, _data, _size, NULL, 0, FL_FOREVER, NULL);
}

FL_INLINE int fl_pipe_try_send(fl_pipe *_p, const void *_data, size_t _size)
{
	return fl_pipe_send_fds_until(_p, _data, _size, NULL, 0, FL__TRY, FL_SHIELDED);
}

FL_INLINE int fl_pipe_send_until(fl_pipe *_p, const void *_data, size_t _size, int64_t _deadline,
                                 fl_cancel_token *_cancel)
{
	return fl_pipe_send_fds_until(_p, _data, _size, NULL, 0, _deadline, _cancel);
}

FL_INLINE int fl_pipe_send_fds(fl_pipe *_p, const void *_data, size_t _size, const int *_fds, unsigned _n)
{
	return fl_pipe_send_fds_until(_p, _data, _size, _fds, _n, FL_FOREVER, NULL);
}

FL_INLINE int fl_pipe_try_send_fds(fl_pipe *_p, const void *_data, size_t _size, const int *_fds, unsigned _n)
{
	return fl_pipe_send_fds_until(_p, _data, _size, _fds, _n, FL__TRY, FL_SHIELDED);
}

FL_INLINE int fl_pipe_recv(fl_pipe *_p, void *_buffer, size_t _room, size_t *_size)
{
	return fl_pipe_recv_fds_until(_p, _buffer, _room, _size, NULL, NULL, FL_FOREVER, NULL);
}

FL_INLINE int fl_pipe_try_recv(fl_pipe *_p, void *_buffer, size_t _room, size_t *_size)
{
	return fl_pipe_recv_fds_until(_p, _buffer, _room, _size, NULL, NULL, FL__TRY, FL_SHIELDED);
}

FL_INLINE int fl_pipe_recv_until(fl_pipe *_p, void *_buffer, size_t _room, size_t *_size, int64_t _deadline,
                                 fl_cancel_token *_cancel)
{
	return fl_pipe_recv_fds_until(_p, _buffer, _room, _size, NULL, NULL, _deadline, _cancel);
}

FL_INLINE int fl_pipe_recv_fds(fl_pipe *_p, void *_buffer, size_t _room, size_t *_size, int *_fds, unsigned *_n)
{
	return fl_pipe_recv_fds_until(_p, _buffer, _room, _size, _fds, _n, FL_FOREVER, NULL);
}

FL_INLINE int fl_pipe_try_recv_fds(fl_pipe *_p, void *_buffer, size_t _room, size_t *_size, int *_fds, unsigned *_n)
{
	return fl_pipe_recv_fds_until(_p, _buffer, _room, _size, _fds, _n, FL__TRY, FL_SHIELDED);
}

FL_END_DECLS

#endif
