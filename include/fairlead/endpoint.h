/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_ENDPOINT_H
#define FAIRLEAD_ENDPOINT_H

#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <fairlead/pipe.h>
#include <fairlead/shm.h>
#include <fairlead/time.h>
#include <sys/types.h>

FL_BEGIN_DECLS

/*
 * An endpoint lets programs that do not know each other meet at a path, and share a region or talk
 * through pipes.
 *
 *     #define JOBS .item_type = "struct job", .item_version = 1, .item_size = sizeof(struct job)
 *
 *     fl_endpoint_config config = {JOBS, .region = region};          // the server
 *     int rc = fl_shm_set_root(region, job_queue_offset(q));
 *     if (rc == 0)
 *             rc = fl_endpoint_create(&endpoint, path, &config);
 *     while (rc == 0 && (rc = fl_endpoint_accept(endpoint, &pipe)) == 0)
 *             keep_or_free(pipe);                                    // one client for each accept
 *
 *     rc = fl_endpoint_connect(&region, &pipe, path, &(fl_endpoint_config){JOBS}); // a client
 *     if (rc == 0)
 *             rc = job_queue_attach(&q, region, fl_shm_root(region));
 *
 * A server shares a region (fairlead/shm.h) at the path, and clients connect. Then the server and
 * the client have the region, and each of them has one end of a pipe (fairlead/pipe.h). The pipe
 * also tells each side when the other side has ended. The path is that of a Unix socket, or an
 * abstract name, which begins with '@'. Threads and fibers may wait in these functions. No loop is
 * needed.
 *
 * Checks
 *
 * Before the sides meet, they make these checks, in this order:
 *
 *   1.  The mode of the file decides which users may connect.
 *   2.  Each side checks that the other side runs as the same effective user, or as one of `users`.
 *       Within a user namespace, and without /proc, the user 65534 is refused, which stands for
 *       users that the namespace lacks.
 *   3.  With a region, both sides check that the other side is in the same PID namespace.
 *   4.  The client compares the items of both sides: type, version and size.
 *   5.  The client checks the region as fl_shm_attach() does: seals, layout and word size.
 *
 * Hostile peers
 *
 * A hostile peer can change all bytes of the region at any time. It can keep a lock for ever, let
 * two contexts own a lock, seal the region so that later programs cannot write, and free its
 * memory, which then reads as zeros. The functions of this library then return errors or wrong
 * values, and waits last up to their deadlines, but no access leaves the region. The peer cannot
 * shrink the region. It reads nothing of this process except the region and what is sent. A pipe
 * carries only copies.
 *
 * The server reads nothing from a client, so no client delays another. But each client that has not
 * read the region's descriptor counts against the limit of descriptors (-ETOOMANYREFS).
 *
 * The end of a server
 *
 * If a server is killed, its socket file stays, and the next fl_endpoint_create() replaces it.
 * Clients that have the region keep it. SIGPIPE is never raised.
 */
typedef struct fl_endpoint fl_endpoint;

#define FL_ENDPOINT_TYPE_MAX 63u /* bytes of the name of a type */

/*
 * What one side says about itself. The item fields must be equal on both sides. All other fields
 * concern one side alone.
 */
typedef struct fl_endpoint_config {
	/* The type of what the region and the pipe carry, such as "struct job". NULL means "". */
	const char *item_type;
	/* The version of the items. Change it when items of the same size get another meaning. */
	uint32_t item_version;
	/* The bytes of an item. 0 means items of any size. */
	size_t item_size;
	/* The users that the other side may run as, besides this process's effective user. */
	const uid_t *users;
	unsigned n_users;
	/*
	 * The region that a server shares. It must outlive the endpoint. With NULL the server gives
	 * its clients only pipes.
	 */
	fl_shm *region;
	/* The mode of a server's file. 0 means 0600, or 0666 with `users`. */
	unsigned mode;
	uintptr_t more_[4];
} fl_endpoint_config;

/*
 * Creates an endpoint at `path`, and stores it in `*o`.
 *
 * The file has its mode, whatever the umask is, before any process can connect. fl_endpoint_free()
 * removes the file, unless another file has replaced it. A stale file is replaced. The call never
 * waits.
 *
 * Returns:
 *   0                  the endpoint was created
 *   -EADDRINUSE        a process listens there, has a socket of another kind there, or is just
 *                      opening the path
 *   -ENOTSOCK          the file is no socket
 *   -ENAMETOOLONG      the path is longer than 107 bytes, or the name of the type longer than
 *                      FL_ENDPOINT_TYPE_MAX
 *   -EINVAL            the path is NULL or ""; or `mode` is above 0777, or is not 0 for an abstract
 *                      name
 *   -ENOENT, -ENOTDIR  the folder does not exist
 *   -EACCES, -EROFS    the user may not write in the folder, or nobody may
 *   -EMFILE, -ENFILE   the process, or the system, has too many descriptors
 *   -ENOMEM            there is no memory
 *   other              an error of the system for the path
 *
 * If several processes call this for one path at the same time, one of them gets the path, as with
 * fl_listener_open_unix() (fairlead/net.h).
 */
FL_API FL_MUST_CHECK int fl_endpoint_create(fl_endpoint **o, const char *path, const fl_endpoint_config *config);

/*
 * Closes and frees the endpoint. `o` may be NULL. The call never waits.
 *
 * The connect of a client that was not accepted fails. Regions and pipes of accepted clients stay.
 * The call requires that no context accepts. In a forked child it closes only the child's
 * descriptor, and leaves the file.
 */
FL_API void fl_endpoint_free(fl_endpoint *o);

/*
 * Waits for the next client, passes the region to it, and stores this side's end of the pipe in
 * `*pipe`.
 *
 * If `pipe` is NULL, the end of the pipe is closed. Clients that the checks refuse, or that have
 * ended, are skipped. A client may refuse the server, too: then the pipe returns -EPIPE, since its
 * other end is closed. The call blocks the calling context. Several threads may call it at the same
 * time, also in forked children.
 *
 * Returns:
 *   0                 a client was accepted
 *   -ETIMEDOUT        the deadline passed
 *   -ECANCELED        the wait was cancelled
 *   -EMFILE, -ENFILE  the process, or the system, has too many descriptors. The client waits for
 *                     the next call; if its user is 65534, its connect may fail
 *   -ENOMEM           there is no memory. The client's connect may fail
 *   -ETOOMANYREFS     too many descriptors of this user were sent and not yet received. The
 *                     client's connect fails
 */
FL_API FL_MUST_CHECK int fl_endpoint_accept_until(fl_endpoint *o, fl_pipe **pipe, fl_time deadline,
                                                  fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_endpoint_accept(fl_endpoint *_o, fl_pipe **_pipe)
{
	return fl_endpoint_accept_until(_o, _pipe, FL_FOREVER, NULL);
}

/*
 * Returns the descriptor of the endpoint, for poll(): POLLIN means that a client waits. The
 * endpoint owns it.
 */
FL_API int fl_endpoint_fd(const fl_endpoint *o);

/*
 * Connects to the endpoint at `path`, makes the checks, attaches the region, and stores it in
 * `*region`, and this side's end of the pipe in `*pipe`.
 *
 * `region` or `pipe` may be NULL if it is not wanted. The call blocks the calling context until the
 * server accepts. It does not wait for the endpoint to appear.
 *
 * Returns:
 *   0                 the client is connected
 *   -ETIMEDOUT        the deadline passed
 *   -ECANCELED        the wait was cancelled
 *   -ENOENT           there is no such file
 *   -ECONNREFUSED     there is no server: it has ended, or does not listen yet
 *   -ENOTSOCK         the file is no socket
 *   -EPROTOTYPE       the socket is of another kind
 *   -EACCES           the mode of the file forbids the connect, or one side does not allow the user
 *                     of the other side
 *   -EPROTO           the server has items of another type, version or size; it has no region, and
 *                     `region` is not NULL; it has a region, and is in another PID namespace; or
 *                     fl_shm_attach() returned -EPROTO
 *   -EPROTONOSUPPORT  the server uses a version of Fairlead with another layout
 *   -EBADMSG          what has come is no message of an endpoint, or no region
 *   -EPERM            the region is not sealed against shrinking
 *   -ECONNRESET       the server has ended, or failed, before it accepted
 *   -ENAMETOOLONG     the path is longer than 107 bytes, or the name of the type longer than
 *                     FL_ENDPOINT_TYPE_MAX
 *   -EINVAL           the path is NULL or ""
 *   -EMFILE, -ENFILE  the process, or the system, has too many descriptors
 *   -ENOMEM           there is no memory
 *   other             another error of the system, such as one for the path
 *
 * If a check of "Checks" fails, other than that of the mode, the log has the reason.
 */
FL_API FL_MUST_CHECK int fl_endpoint_connect_until(fl_shm **region, fl_pipe **pipe, const char *path,
                                                   const fl_endpoint_config *config, fl_time deadline,
                                                   fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_endpoint_connect(fl_shm **_region, fl_pipe **_pipe, const char *_path,
                                                const fl_endpoint_config *_config)
{
	return fl_endpoint_connect_until(_region, _pipe, _path, _config, FL_FOREVER, NULL);
}

FL__SCOPED(fl_endpoint, fl_endpoint_free)

FL_END_DECLS

#endif
