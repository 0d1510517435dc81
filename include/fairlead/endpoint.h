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
 * At an endpoint, programs that do not know each other meet, to share a region or talk through
 * pipes.
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
 * A server shares a region (fairlead/shm.h) at the path of a Unix socket, or at an abstract name,
 * which begins with '@'. Then the server and each client have the region, and a pipe
 * (fairlead/pipe.h), which also tells when the other side has ended. If a server is killed, clients
 * keep the region, and a new server can use the path (docs/guide/shared-memory.md).
 *
 * Checks
 *
 * Before the sides meet, they check in this order:
 *
 *   1.  The mode of the file decides which users may connect.
 *   2.  The other side must run as the same effective user, or as one of `users`, but not as an
 *       unknown user of a user namespace (65534).
 *   3.  With a region, both sides must be in the same PID namespace.
 *   4.  The items must be equal: type, version and size. The client checks this.
 *   5.  The client checks the region as fl_shm_attach() does: seals, layout and word size.
 *
 * Hostile peers
 *
 * A hostile peer can change all bytes of the region at any time, with the consequences that
 * fairlead/shm.h describes. Clients cannot delay each other, but can use up descriptors
 * (-ETOOMANYREFS). docs/security.md has the details.
 */
typedef struct fl_endpoint fl_endpoint;

#define FL_ENDPOINT_TYPE_MAX 63u /* bytes of the name of a type */

/* What one side says about itself. */
typedef struct fl_endpoint_config {
	/* The type of what the region and the pipe carry, such as "struct job". NULL means "". */
	const char *item_type;
	/* The version of the items. Change it when items of the same size get another meaning. */
	uint32_t item_version;
	/* The bytes of an item. 0 means items of any size. */
	size_t item_size;
	/* Users as which the other side may run, besides this process's own. */
	const uid_t *users;
	unsigned n_users;
	/* The region that a server shares. It must outlive the endpoint. NULL: only pipes. */
	fl_shm *region;
	/* The mode of a server's file. 0: 0600, or 0666 with `users`. */
	unsigned mode;
	uintptr_t more_[4];
} fl_endpoint_config;

/*
 * Creates an endpoint at `path`. fl_listener_open_unix() (fairlead/net.h) says how the file is made
 * and replaced, and fl_endpoint_free() removes it, unless another file has replaced it. Returns:
 *   0              the endpoint was created
 *   -EADDRINUSE    the path is in use, or just being opened
 *   -ENAMETOOLONG  the path is longer than 107 bytes, or `item_type` than FL_ENDPOINT_TYPE_MAX
 *   -EINVAL, -ENOTSOCK, -ENOENT, -ENOTDIR, -EACCES, -EROFS, other
 *                  the path or the mode cannot be used: see fl_listener_open_unix()
 *   -EMFILE, -ENFILE, -ENOMEM
 *                  see "Codes" in fairlead/defs.h
 */
FL_API FL_MUST_CHECK int fl_endpoint_create(fl_endpoint **o, const char *path, const fl_endpoint_config *config);

/*
 * Closes and frees the endpoint. No context may be in an accept. Clients that were not accepted
 * fail to connect; accepted ones keep regions and pipes. In a forked child, the file stays.
 */
FL_API void fl_endpoint_free(fl_endpoint *o);

/*
 * Waits for the next client, passes the region to it, and stores this side's end of the pipe in
 * `*pipe`, or closes that end if `pipe` is NULL. Skips clients that have ended or that the checks
 * refuse. If a client refuses the server, calls on the pipe return -EPIPE. Blocks the calling
 * context. Several threads and forked children may call it at the same time. Returns 0, -ETIMEDOUT,
 * -ECANCELED, or:
 *   -EMFILE, -ENFILE  too many descriptors. The client waits for the next call
 *   -ENOMEM           out of memory. The client's connect may fail
 *   -ETOOMANYREFS     too many descriptors were sent. The client's connect fails
 */
FL_API FL_MUST_CHECK int fl_endpoint_accept_until(fl_endpoint *o, fl_pipe **pipe, fl_time deadline,
                                                  fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_endpoint_accept(fl_endpoint *_o, fl_pipe **_pipe)
{
	return fl_endpoint_accept_until(_o, _pipe, FL_FOREVER, NULL);
}

/* Returns the endpoint's descriptor, for poll(). POLLIN means that a client waits. */
FL_API int fl_endpoint_fd(const fl_endpoint *o);

/*
 * Connects to the endpoint at `path`, makes the checks, and stores the region in `*region` and this
 * side's end of the pipe in `*pipe`; either may be NULL. Blocks the calling context until the
 * server accepts, but does not wait for the endpoint to appear. Returns 0, -ETIMEDOUT, -ECANCELED,
 * -EMFILE, -ENFILE, -ENOMEM, or:
 *   -ENOENT                 there is no such file
 *   -ECONNREFUSED           there is no server: it has ended, or does not listen yet
 *   -ENOTSOCK, -EPROTOTYPE  the file is not a socket, or the socket is of another kind
 *   -EACCES                 the mode of the file forbids the connect, or one side refuses the
 *                           other's user
 *   -EPROTO                 the server's items have another type, version or size; `region` is not
 *                           NULL, but the server has none; or that region is of another PID
 *                           namespace
 *   -EBADMSG                what has come is not a message of an endpoint
 *   -EPROTONOSUPPORT        the server uses another version of Fairlead
 *   -EPERM, -EBADMSG, -EPROTONOSUPPORT, -EPROTO
 *                           an error of fl_shm_attach() (fairlead/shm.h)
 *   -ECONNRESET             the server has ended, or failed, before it accepted
 *   -ENAMETOOLONG, -EINVAL  the path is NULL, "" or too long, or `item_type` is too long
 *   other                   an error of the system
 *
 * If a check other than that of the mode fails, the log has the reason.
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
