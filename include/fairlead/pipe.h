/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_PIPE_H
#define FAIRLEAD_PIPE_H

#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <fairlead/private/part_process.h>
#include <fairlead/time.h>
#include <fairlead/wait_any.h>

FL_BEGIN_DECLS

/*
 * A pipe carries messages between two ends, which may be in two processes.
 *
 *     FL_SCOPED(fl_pipe) *mine = NULL, *yours = NULL;
 *     int rc = fl_pipe_create(&mine, &yours, NULL);
 *     start_process_with(yours);                                  // then free `yours` here
 *     rc = fl_pipe_send(mine, "hello", 5);
 *     rc = fl_pipe_receive(mine, buffer, sizeof buffer, &size);   // waits for the answer
 *
 * Messages go both ways, unless the pipe is one-way. A message arrives whole or not at all, even if
 * its sender is killed, and once, even if several threads and processes use one end. The messages
 * of one sender arrive in order.
 *
 * The ends
 *
 * A process gets an end by fork(), as a descriptor (fl_pipe_fd(), fl_pipe_from_fd()), or from an
 * endpoint (fairlead/endpoint.h). Free unused ends, because an end is closed only when every
 * process has freed it or ended. The peer then receives what was sent before, and after that
 * -EPIPE. All processes that send descriptors from one end must be in one PID namespace.
 *
 * Limits
 *
 * A message has up to PTRDIFF_MAX bytes and FL_PIPE_FDS_MAX descriptors. If it is larger than 64
 * KiB, or kernel memory is short, its bytes travel in shared memory, for which each side needs a
 * free descriptor. A pipe is full at about 200 KiB or a few hundred messages; with messages above
 * 64 KiB, at a few dozen.
 *
 * Safety
 *
 * A receiver need not trust the sender. If a process is killed while it receives, the message may
 * be lost. After a fork, a handle works in parent and child, unless a thread was receiving with it,
 * or its last receive returned -EMSGSIZE. If several processes share an end, a message that was too
 * large (-EMSGSIZE) stays with the handle that received it, for its next receive, but wakes no call
 * that already waits on it.
 *
 * Memory order: a send happens before the return of the receive that gets the message.
 */
typedef struct fl_pipe fl_pipe;

typedef struct fl_pipe_config {
	bool one_way; /* the first end only receives, and the second end only sends */
	uintptr_t more_[4];
} fl_pipe_config;

#define FL_PIPE_FDS_MAX 252u

/*
 * Creates a pipe with the ends `*a` and `*b`. Their descriptors are close-on-exec. Returns 0,
 * -EMFILE, -ENFILE or -ENOMEM.
 */
FL_API FL_MUST_CHECK int fl_pipe_create(fl_pipe **a, fl_pipe **b, const fl_pipe_config *config);

/*
 * Creates a handle for an end of a pipe from its descriptor `fd`, which it then owns and makes
 * close-on-exec. After an error you still own `fd`. Returns 0, -ENOMEM, or:
 *   -EBADF     `fd` is not open
 *   -ENOTSOCK  `fd` is not a socket
 *   -EINVAL    `fd` is another kind of socket, or is not connected
 */
FL_API FL_MUST_CHECK int fl_pipe_from_fd(fl_pipe **p, int fd);

/*
 * Frees the handle and closes its descriptor. Panics if a context waits for `p` by FL_WAIT_ANY().
 */
FL_API void fl_pipe_free(fl_pipe *p);

/*
 * Returns the handle's descriptor, to pass on, or for poll(): POLLIN means that a receive would not
 * wait.
 */
FL_API int fl_pipe_fd(const fl_pipe *p);

/* Ends sending from this end, for all processes that have it. */
FL_API void fl_pipe_close_write(fl_pipe *p);

/*
 * Sends a message of `size` bytes, which may be 0, and duplicates of `n` descriptors. Blocks the
 * calling context while the pipe is full. Returns 0, -ETIMEDOUT, -ECANCELED, -EMFILE, -ENFILE,
 * -ENOMEM, -ETOOMANYREFS, or:
 *   -EPIPE     the other end is closed, or this end does not send
 *   -EMSGSIZE  `size` is above PTRDIFF_MAX
 *   -EINVAL    `n` is above FL_PIPE_FDS_MAX; `data` or `fds` is NULL, but its length is not 0; or a
 *              descriptor is of a kind that cannot be sent
 *   -EBADF     one of the descriptors is not open
 *   -EFBIG     the bytes need shared memory, and exceed RLIMIT_FSIZE
 *   -ENOSYS    the bytes need shared memory, and memfd_create() is missing or forbidden
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
 * Receives the oldest message into `buffer`, which has `room` bytes, and stores its size in
 * `*size`. Blocks the calling context while there is no message. After an error the contents of
 * `buffer` are unspecified.
 *
 * Set `*n` to the capacity of `fds`. The call stores the message's descriptors there, close-on-exec
 * and yours, and their number in `*n`. Without `fds`, a message with descriptors does not fit.
 * Returns 0, -ETIMEDOUT, -ECANCELED, or:
 *   -EPIPE     no more messages will come: the other end is closed, or this end does not receive
 *   -EMSGSIZE  the message has `*size` bytes and `*n` descriptors, does not fit, and stays
 *   -EBADMSG   a packet was not a message, and was dropped
 *   -EMFILE    too few descriptors are free for the message. It stays, unless another process
 *              receives on this end at the same time: then it is dropped
 *   -ENOMEM    out of memory. The message stays
 *   -EIO       the message's shared memory could not be read, and the message was dropped
 */
FL_API FL_MUST_CHECK int fl_pipe_receive_fds_until(fl_pipe *p, void *buffer, size_t room, size_t *size, int *fds,
                                                   unsigned *n, fl_time deadline, fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_pipe_receive_fds(fl_pipe *_p, void *_buffer, size_t _room, size_t *_size, int *_fds,
                                                unsigned *_n)
{
	return fl_pipe_receive_fds_until(_p, _buffer, _room, _size, _fds, _n, FL_FOREVER, NULL);
}
FL_INLINE FL_MUST_CHECK int fl_pipe_receive_until(fl_pipe *_p, void *_buffer, size_t _room, size_t *_size,
                                                  fl_time _deadline, fl_cancel_token *_cancel)
{
	return fl_pipe_receive_fds_until(_p, _buffer, _room, _size, NULL, NULL, _deadline, _cancel);
}
FL_INLINE FL_MUST_CHECK int fl_pipe_receive(fl_pipe *_p, void *_buffer, size_t _room, size_t *_size)
{
	return fl_pipe_receive_fds_until(_p, _buffer, _room, _size, NULL, NULL, FL_FOREVER, NULL);
}

/*
 * FL_ON_PIPE(p) and FL_ON_PIPE_SPACE(p) are objects for FL_WAIT_ANY(). FL_ON_PIPE(p) is ready while
 * a receive would not wait, and FL_ON_PIPE_SPACE(p) while there is space to send, or the other end
 * is closed.
 */
#define FL_ON_PIPE(p) FL__ON(fl__on_pipe, (p))
FL_API extern const fl_on_type fl__on_pipe;
#define FL_ON_PIPE_SPACE(p) FL__ON(fl__on_pipe_space, (p))
FL_API extern const fl_on_type fl__on_pipe_space;

FL__SCOPED(fl_pipe, fl_pipe_free)

FL_END_DECLS

#endif
