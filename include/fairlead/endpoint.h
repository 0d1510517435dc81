/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_ENDPOINT_H
#define FAIRLEAD_ENDPOINT_H

#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <fairlead/pipe.h>
#include <fairlead/shm.h>
#include <fairlead/time.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

FL_BEGIN_DECLS

/*
 * Endpoint: programs that do not know each other meet at a path. A server shares a region
 * (fairlead/shm.h) there, and a client connects. Both have the region, and the two ends of a pipe
 * (fairlead/pipe.h), which also tells each of them when the other one has ended.
 *
 *     #define JOBS .item_type = "struct job", .item_version = 1, .item_size = sizeof(struct job)
 *
 *     rc = fl_shm_set_root(region, job_queue_offset(q));        // check; the server
 *     rc = fl_endpoint_create(&endpoint, path, &(fl_endpoint_config){JOBS, .region = region});
 *     while ((rc = fl_endpoint_accept(endpoint, &pipe)) == 0)    // each connect needs an accept
 *             ...                                                // keep `pipe`, or free it
 *
 *     rc = fl_endpoint_connect(path, &(fl_endpoint_config){JOBS}, &region, &pipe);  // the client
 *     rc = job_queue_open(&q, region, fl_shm_root(region));      // check
 *
 * The path is that of a Unix socket, or an abstract name, which begins with '@'. Threads and fibers
 * may wait in these functions; no loop is needed. Checks, in this order:
 *   1. The file's mode decides which users may connect.
 *   2. Each side checks that the other runs as the same effective user, or as one of `users`.
 *      Within a user namespace, 65534 is refused (users that it lacks).
 *   3. The client compares the items of both sides: type, version, size.
 *   4. With a region, both sides check that the other is in the same PID namespace.
 *   5. The client checks the region, as fl_shm_attach() does: seals, layout, word size.
 *
 * A hostile peer can change all bytes of the region at any time, keep a lock for ever, let two
 * contexts have it, seal the region so that later programs cannot write, and free its memory, which
 * then reads as zeros. The functions of this library then return errors or wrong values, and waits
 * last up to their deadlines, but no access leaves the region. The peer cannot shrink the region,
 * and reads nothing of this process but the region and what is sent. A pipe carries only copies.
 *
 * The server reads nothing from a client, so no client delays another; but each client that has not
 * read the region's descriptor counts against the limit of descriptors (-ETOOMANYREFS).
 *
 * The next fl_endpoint_create() replaces the socket file of a killed server. Clients that have the
 * region keep it. SIGPIPE is never raised.
 */
typedef struct fl_endpoint fl_endpoint;

#define FL_ENDPOINT_TYPE_MAX 63u /* bytes of the name of a type */

/* The items must be equal on both sides. The other fields are those of one side. */
typedef struct fl_endpoint_config {
	const char *item_type; /* what the region and the pipe carry: "struct job"; NULL: "" */
	uint32_t item_version; /* a new one when items of the same size get another meaning */
	size_t item_size;      /* 0: of any size */
	const uid_t *users;    /* allowed on the other side, besides this process's effective user */
	unsigned n_users;
	fl_shm *region; /* of a server; must outlive the endpoint; NULL: only pipes */
	unsigned mode;  /* of a server: the file's; 0: 0600, or 0666 with `users` */
	uintptr_t more_[4];
} fl_endpoint_config;

/*
 * Creates an endpoint at `path`. The file appears with its mode, whatever the umask, before any
 * process can connect. fl_endpoint_free() removes the file, unless another one has replaced it. A
 * stale file is replaced. Of several processes that use one path at the same time one gets it, as
 * by fl_listener_open_unix() (fairlead/net.h). Returns 0, -EMFILE, -ENFILE, -ENOMEM, or:
 *   -EADDRINUSE        a process listens there, or is just opening the path
 *   -ENOTSOCK          the file is no socket
 *   -ENAMETOOLONG      a path above 107 bytes, or a type above FL_ENDPOINT_TYPE_MAX
 *   -EINVAL            the path is NULL or ""; a mode with an abstract name, or above 0777
 *   -ENOENT, -ENOTDIR  the folder does not exist
 *   -EACCES, -EROFS, and other errors of the system for the path
 */
FL_API FL_MUST_CHECK int fl_endpoint_create(fl_endpoint **o, const char *path, const fl_endpoint_config *config);

/*
 * Closes and frees the endpoint. The connect of a client that was not accepted fails; regions and
 * pipes of accepted clients stay. Requires that no context accepts. In a forked child it closes
 * only the child's descriptor, and leaves the file.
 */
FL_API void fl_endpoint_free(fl_endpoint *o);

/*
 * Waits for the next client, and passes the region to it. Stores this side's end of the pipe in
 * `*pipe`; `pipe` NULL: closes it. Skips clients that the checks refuse or that have ended. If the
 * client refuses, the pipe returns -EPIPE. Blocks the calling context. Several threads may call it,
 * also in forked children. Returns 0, -ECANCELED, or:
 *   -EMFILE, -ENFILE  no more descriptors; the client waits for the next call; if its user is
 *                     65534, its connect may fail
 *   -ENOMEM           the client's connect may fail
 *   -ETOOMANYREFS     the client's connect fails
 */
FL_API FL_MUST_CHECK int fl_endpoint_accept_until(fl_endpoint *o, fl_pipe **pipe, fl_time deadline,
                                                  fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_endpoint_accept(fl_endpoint *_o, fl_pipe **_pipe)
{
	return fl_endpoint_accept_until(_o, _pipe, FL_FOREVER, NULL);
}

/* Returns the descriptor, to poll: POLLIN means that a client waits. `o` keeps it. */
FL_API int fl_endpoint_fd(const fl_endpoint *o);

/*
 * Connects to the endpoint at `path`, makes the checks, attaches the region, and stores it and this
 * side's end of the pipe; NULL for either: not wanted. A refusal is logged. Blocks the calling
 * context until the server accepts, but does not wait for the endpoint to appear. Returns 0,
 * -ECANCELED, -EMFILE, -ENFILE, -ENOMEM, or:
 *   -ENOENT           there is no such file
 *   -ECONNREFUSED     no server: it has ended, or does not listen yet
 *   -ENOTSOCK         the file is no socket
 *   -EPROTOTYPE       another kind of socket
 *   -EACCES           the mode of the file, or a user that one side does not allow
 *   -EPROTO           the server has items of another type, version or size; it has no region, and
 *                     `region` is not NULL; it has a region, and is in another PID namespace; or as
 *                     fl_shm_attach()
 *   -EPROTONOSUPPORT  the server uses a version of Fairlead with another layout
 *   -EBADMSG          what has come is no message of an endpoint, or no region
 *   -EPERM            the region is not sealed against shrinking
 *   -ECONNRESET       the server has ended, or failed, before it accepted
 *   -ENAMETOOLONG     a path above 107 bytes, or a type above FL_ENDPOINT_TYPE_MAX
 *   -EINVAL           the path is NULL or ""
 */
FL_API FL_MUST_CHECK int fl_endpoint_connect_until(const char *path, const fl_endpoint_config *config, fl_shm **region,
                                                   fl_pipe **pipe, fl_time deadline, fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_endpoint_connect(const char *_path, const fl_endpoint_config *_config, fl_shm **_region,
                                                fl_pipe **_pipe)
{
	return fl_endpoint_connect_until(_path, _config, _region, _pipe, FL_FOREVER, NULL);
}

FL__SCOPED(fl_endpoint, fl_endpoint_free)

FL_END_DECLS

#endif
