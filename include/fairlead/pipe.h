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
 * Pipe: messages between two ends, which may be in two processes, both ways unless it is one-way.
 *
 *     FL_SCOPED(fl_pipe) *mine = NULL, *yours = NULL;
 *     rc = fl_pipe_create(&mine, &yours, NULL);               // check
 *     ...                                                     // pass `yours` to a process, free it
 *     rc = fl_pipe_send(mine, "hello", 5);                    // -EPIPE: no receiver is left
 *     rc = fl_pipe_recv(mine, buffer, sizeof buffer, &size);  // -EPIPE: closed and empty
 *
 * A message arrives whole or not at all, even if its sender is killed, and once, even if several
 * threads and processes use one end. Messages of one sender arrive in its order.
 *
 * A process gets an end by fork(), as a descriptor (fl_pipe_fd(), fl_pipe_from_fd()), or from an
 * endpoint (fairlead/endpoint.h). An end is closed when all processes that have it have freed it or
 * ended: free unused ends. After the close of one end, the other end still receives what was sent
 * before, then -EPIPE. The processes that send descriptors from one end are in one PID namespace;
 * the two ends may be in two.
 *
 * A message has up to PTRDIFF_MAX bytes and FL_PIPE_FDS_MAX descriptors. Above 64 KiB the bytes
 * travel in shared memory of their own, and the call needs one free descriptor on each side. A pipe
 * is full at some 200 KiB, or some hundreds of messages; of messages above 64 KiB, at some dozens.
 *
 * A receiver need not trust the sender: a packet that is no message is dropped (-EBADMSG). A
 * process that is killed in a receive may take the message with it. SIGPIPE is never raised.
 *
 * In a forked child both handles work; a receive that the parent was making goes on in the parent
 * only. Memory order: a receive sees what was written before the send of its message.
 */
typedef struct fl_pipe fl_pipe;

typedef struct fl_pipe_config {
	bool one_way; /* the first end receives, the second one sends (as Python's Pipe(False)) */
	uintptr_t more_[4];
} fl_pipe_config;

#define FL_PIPE_FDS_MAX 252u

/* Creates a pipe and its two ends, close-on-exec. Returns 0, -EMFILE, -ENFILE, -ENOMEM. */
FL_API FL_MUST_CHECK int fl_pipe_create(fl_pipe **a, fl_pipe **b, const fl_pipe_config *config);

/*
 * Creates a handle of an end of a pipe, which owns its descriptor `fd`, and makes it close-on-exec.
 * After an error the caller still owns `fd`. Returns 0, -EBADF, -ENOTSOCK, -ENOMEM, or:
 *   -EINVAL  another kind of socket, or not connected
 */
FL_API FL_MUST_CHECK int fl_pipe_from_fd(fl_pipe **p, int fd);

/* Frees the handle and closes its descriptor. Panics if a context waits on it by FL_WAIT_ANY(). */
FL_API void fl_pipe_free(fl_pipe *p);

/*
 * The descriptor of `p`, which keeps owning it: to pass on, or to poll. POLLIN: a message can be
 * received, or no more will come.
 */
FL_API int fl_pipe_fd(const fl_pipe *p);

/* Ends sending from this end, for all processes. The peer receives what was sent, then -EPIPE. */
FL_API void fl_pipe_close_send(fl_pipe *p);

/*
 * Sends a message of `size` bytes, which may be 0, with `n` descriptors, which the caller keeps; or
 * without descriptors. Blocks the calling context while the pipe is full. After an error nothing
 * was sent. Returns 0, -ECANCELED, -EMFILE, -ENFILE, -ENOMEM, -ETOOMANYREFS, or:
 *   -EPIPE         the other end is closed, or this end does not send
 *   -EMSGSIZE      above PTRDIFF_MAX
 *   -EINVAL        `n` is above FL_PIPE_FDS_MAX; `data` is NULL, and `size` is not 0; or `fds` is
 *                  NULL, and `n` is not 0
 *   -EBADF         one of the descriptors is not open
 *   -EFBIG         above 64 KiB, and above RLIMIT_FSIZE
 *   -ENOSYS        above 64 KiB, and memfd_create() is missing or forbidden
 */
FL_API FL_MUST_CHECK int fl_pipe_send_fds_until(fl_pipe *p, const void *data, size_t size, const int *fds, unsigned n,
                                                fl_time deadline, fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_pipe_send_fds(fl_pipe *_p, const void *_data, size_t _size, const int *_fds, unsigned _n)
{
	return fl_pipe_send_fds_until(_p, _data, _size, _fds, _n, FL_FOREVER, NULL);
}
FL_INLINE FL_MUST_CHECK int fl_pipe_send_until(fl_pipe *_p, const void *_data, size_t _size, fl_time _deadline,
                                               fl_cancel_token *_cancel)
{
	return fl_pipe_send_fds_until(_p, _data, _size, NULL, 0, _deadline, _cancel);
}
FL_INLINE FL_MUST_CHECK int fl_pipe_send(fl_pipe *_p, const void *_data, size_t _size)
{
	return fl_pipe_send_fds_until(_p, _data, _size, NULL, 0, FL_FOREVER, NULL);
}

/*
 * As fl_pipe_send(). Never waits. Also returns:
 *   -EAGAIN  the pipe is full
 *   -EPIPE   the other end is closed, or this end does not send
 */
FL_INLINE FL_MUST_CHECK int fl_pipe_try_send(fl_pipe *_p, const void *_data, size_t _size)
{
	return fl_pipe_send_fds_until(_p, _data, _size, NULL, 0, FL__TRY, FL_SHIELDED);
}

/*
 * Receives the oldest message into `buffer`, which has `room` bytes, and stores its size in
 * `*size`; with descriptors, which then belong to the caller and are close-on-exec, or without.
 * `*n` is the capacity of `fds`, then the number of descriptors. Blocks the calling context while
 * there is no message. After an error the contents of `buffer` are unspecified. Returns 0,
 * -ECANCELED, or:
 *   -EPIPE     all messages were received, and no more will come: the other end is closed, or this
 *              end does not receive
 *   -EMSGSIZE  the message does not fit, and stays. It has `*size` bytes and `*n` descriptors;
 *              fl_pipe_recv() has room for none. If several processes share this end, the handle
 *              may have taken the message: this handle returns it next, and calls that wait on the
 *              handle are not woken for it
 *   -EBADMSG   a packet that was no message; it was dropped
 *   -EMFILE    this process has too few free descriptors (the bytes of a message above 64 KiB count
 *              as one). The message stays; it is dropped only if another process receives on this
 *              end at the same time
 *   -ENOMEM    the message stays
 *   -EIO       the memory with the bytes could not be read; the message was dropped
 */
FL_API FL_MUST_CHECK int fl_pipe_recv_fds_until(fl_pipe *p, void *buffer, size_t room, size_t *size, int *fds,
                                                unsigned *n, fl_time deadline, fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_pipe_recv_fds(fl_pipe *_p, void *_buffer, size_t _room, size_t *_size, int *_fds,
                                             unsigned *_n)
{
	return fl_pipe_recv_fds_until(_p, _buffer, _room, _size, _fds, _n, FL_FOREVER, NULL);
}
FL_INLINE FL_MUST_CHECK int fl_pipe_recv_until(fl_pipe *_p, void *_buffer, size_t _room, size_t *_size,
                                               fl_time _deadline, fl_cancel_token *_cancel)
{
	return fl_pipe_recv_fds_until(_p, _buffer, _room, _size, NULL, NULL, _deadline, _cancel);
}
FL_INLINE FL_MUST_CHECK int fl_pipe_recv(fl_pipe *_p, void *_buffer, size_t _room, size_t *_size)
{
	return fl_pipe_recv_fds_until(_p, _buffer, _room, _size, NULL, NULL, FL_FOREVER, NULL);
}

/*
 * As fl_pipe_recv(): -EMSGSIZE. Never waits. Also returns:
 *   -EAGAIN  there is no message
 *   -EPIPE   no more messages will come: the other end is closed, or this end does not receive
 */
FL_INLINE FL_MUST_CHECK int fl_pipe_try_recv(fl_pipe *_p, void *_buffer, size_t _room, size_t *_size)
{
	return fl_pipe_recv_fds_until(_p, _buffer, _room, _size, NULL, NULL, FL__TRY, FL_SHIELDED);
}

/* For FL_WAIT_ANY(): ready while a receive would not wait. */
#define FL_ON_PIPE(p) FL__ON(fl__on_pipe, (p))
FL_API extern const fl_on_type fl__on_pipe;

/* For FL_WAIT_ANY(): ready while there is space to send, or the other end is closed. */
#define FL_ON_PIPE_SPACE(p) FL__ON(fl__on_pipe_space, (p))
FL_API extern const fl_on_type fl__on_pipe_space;

FL__SCOPED(fl_pipe, fl_pipe_free)

FL_END_DECLS

#endif
