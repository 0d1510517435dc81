/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_OFFER_H
#define FAIRLEAD_OFFER_H

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
 * Offer: programs that do not know each other meet at a path. A program offers a region
 * (fairlead/shm.h) there; another program finds it. Both then share the region, and have the two
 * ends of a pipe (fairlead/pipe.h), which also tells each of them when the other one has ended.
 *
 *     #define JOBS .item_type = "struct job", .item_version = 1, .item_size = sizeof(struct job)
 *
 *     rc = fl_shm_set_root(region, job_queue_offset(q));                     // check; one program
 *     rc = fl_offer_create(&offer, path, &(fl_offer_config){JOBS, .region = region});   // check
 *     while ((rc = fl_offer_accept(offer, &pipe)) == 0)         // each find needs an accept
 *             ...                                                // keep `pipe`, or free it
 *
 *     rc = fl_offer_find(path, &(fl_offer_config){JOBS}, &region, &pipe);    // check; the other
 *     rc = job_queue_open(&q, region, fl_shm_root(region));                  // check
 *
 * The path is that of a Unix socket, or an abstract name, which begins with '@'. Threads and fibers
 * may wait in these functions; no loop is needed. Checks, in this order:
 *
 *   1. The file's mode decides which users may connect.
 *   2. Each side checks that the other runs as the same effective user, or as one of `users`. So no
 *      other user can replace the offer, or find it. Within a user namespace, users that it lacks
 *      all have the number 65534, which is refused there.
 *   3. The finder compares the items of both sides: type, version, size.
 *   4. Both sides check that the other is in the same PID namespace, if there is a region: two
 *      containers, which may share the socket's folder, are not. Pipes alone need no such thing.
 *   5. The finder checks the region, as fl_shm_attach() does: seals, layout, word size.
 *
 * What connects is a process that the mode of the file and the folders of the path let in, or, with
 * an abstract name, any process of the network namespace; also one that is allowed, and that an
 * attacker has taken over. A peer can change all bytes of the region at any time, at worst: the
 * functions of this library then return errors or wrong values, and waits last up to their
 * deadlines, but no access leaves the region. It can keep a lock for ever, let two contexts have
 * it, seal the region so that later programs cannot write, and free the region's memory, which then
 * reads as zeros. It cannot shrink the region, and reads nothing of this process but the region and
 * what is sent. Share no region with a program that may not do this; a pipe carries only copies.
 *
 * The offering program reads nothing from the finder: a finder that is silent, sends garbage, or is
 * stopped or killed at any moment delays no other finder. But each finder that has not read the
 * region's descriptor counts against the limit of descriptors (-ETOOMANYREFS). A finder's messages
 * wait in the pipe, which checks them.
 *
 * A program that is killed leaves a socket file behind. The next fl_offer_create() replaces it.
 * Finders that have the region keep it, and can go on to use it. SIGPIPE is never raised.
 *
 * A wait by a thread, under a cancel token, may start a thread of the library, `watcher`
 * (docs/threads.md).
 */
typedef struct fl_offer fl_offer;

#define FL_OFFER_TYPE_MAX 63u /* bytes of the name of a type */

/* The items must be equal on both sides. The other fields are those of one side. */
typedef struct fl_offer_config {
	const char *item_type; /* what the region and the pipe carry: "struct job"; NULL: "" */
	uint32_t item_version; /* a new one when items of the same size get another meaning */
	size_t item_size;      /* 0: of any size */
	const uid_t *users;    /* allowed on the other side, besides this process's effective user */
	unsigned n_users;
	fl_shm *region; /* fl_offer_create() only; must outlive the offer; NULL: only pipes */
	unsigned mode;  /* fl_offer_create() only: of the file; 0: 0600, or 0666 with `users` */
} fl_offer_config;

/*
 * Offers at `path`. The file appears with its mode, whatever the umask, before any process can
 * connect. fl_offer_free() removes the file, unless another one has replaced it. A stale file is
 * replaced, and of several processes that offer at one path at the same time one gets it, as by
 * fl_listen_unix() (fairlead/net.h). Never waits. Returns
 *   0
 *   -EADDRINUSE        a process listens there, or is just opening the path
 *   -ENOTSOCK          the file is no socket
 *   -ENAMETOOLONG      a path above 107 bytes, or a type above FL_OFFER_TYPE_MAX
 *   -EINVAL            the path is NULL or ""; a mode with an abstract name, or above 0777
 *   -ENOENT, -ENOTDIR  the folder does not exist
 *   -EACCES, -EROFS, and other errors of the system for the path
 *   -EMFILE, -ENFILE, -ENOMEM
 */
FL_API FL_MUST_CHECK int fl_offer_create(fl_offer **o, const char *path, const fl_offer_config *config);

/*
 * Closes and frees the offer. NULL does nothing. The find of a program that was not accepted fails;
 * regions and pipes of accepted programs stay. Requires that no context accepts. Never waits. In a
 * forked child it closes only the child's descriptor, and leaves the file.
 */
FL_API void fl_offer_free(fl_offer *o);

/*
 * Waits for the next program that finds the offer, and passes the region to it. Stores this side's
 * end of the pipe in `*pipe`; `pipe` NULL: closes it. Refuses programs of other users and PID
 * namespaces, and skips programs that have ended. The finder may still refuse the offer: then the
 * pipe returns -EPIPE.
 * Blocks the calling context. Observes its cancel scope. Any thread may call it, several may do so
 * at once, also in forked children. Returns
 *   0
 *   -ECANCELED
 *   -EMFILE, -ENFILE  no more descriptors; the program waits for the next call
 *   -ENOMEM           the program's find may fail
 *   -ETOOMANYREFS     too many descriptors of this user were sent and not yet received
 *                     (RLIMIT_NOFILE); the program's find fails
 */
FL_INLINE FL_MUST_CHECK int fl_offer_accept(fl_offer *o, fl_pipe **pipe);

/* As fl_offer_accept(). Also returns -ETIMEDOUT at `deadline`. */
FL_API FL_MUST_CHECK int fl_offer_accept_until(fl_offer *o, fl_pipe **pipe, int64_t deadline, fl_cancel_token *cancel);

/*
 * Returns the descriptor, to poll: POLLIN means that a program waits. `o` keeps it. Never waits.
 */
FL_API int fl_offer_fd(const fl_offer *o);

/*
 * Finds the offer at `path`, makes the checks, attaches the region, and stores it and this side's
 * end of the pipe; NULL for either: not wanted. `config` may be NULL. Logs what was found and what
 * was expected. Blocks the calling context until the other program accepts, but does not wait for
 * the offer to appear: call again after -ENOENT and -ECONNREFUSED. Observes its cancel scope.
 * Returns
 *   0
 *   -ENOENT           there is no such file
 *   -ECONNREFUSED     no process offers there: it has ended, or does not listen yet
 *   -ENOTSOCK         the file is no socket
 *   -EPROTOTYPE       another kind of socket
 *   -EACCES           the mode of the file forbids it, or one of the programs runs as a user that
 *                     the other one does not allow
 *   -EPROTO           the offer is of items of another type, version or size; it has no region, and
 *                     `region` is not NULL; it has a region, and the other program is in another
 *                     PID namespace; or as fl_shm_attach()
 *   -EPROTONOSUPPORT  the other program uses a version of Fairlead with another layout
 *   -EBADMSG          what has come is no offer, or no region
 *   -EPERM            the region is not sealed against shrinking
 *   -ECONNRESET       the other program has ended, or failed, before it accepted
 *   -ECANCELED
 *   -EMFILE, -ENFILE, -ENOMEM
 *   -ENAMETOOLONG     a path above 107 bytes, or a type above FL_OFFER_TYPE_MAX
 *   -EINVAL           the path is NULL or ""
 */
FL_INLINE FL_MUST_CHECK int fl_offer_find(const char *path, const fl_offer_config *config, fl_shm **region,
                                          fl_pipe **pipe);

/* As fl_offer_find(): -ENOENT comes at once. Also returns -ETIMEDOUT at `deadline`. */
FL_API FL_MUST_CHECK int fl_offer_find_until(const char *path, const fl_offer_config *config, fl_shm **region,
                                             fl_pipe **pipe, int64_t deadline, fl_cancel_token *cancel);

FL__SCOPED(fl_offer, fl_offer_free)

/* The inline functions. */

FL_INLINE int fl_offer_accept(fl_offer *_o, fl_pipe **_pipe)
{
	return fl_offer_accept_until(_o, _pipe, FL_FOREVER, NULL);
}

FL_INLINE int fl_offer_find(const char *_path, const fl_offer_config *_config, fl_shm **_region, fl_pipe **_pipe)
{
	return fl_offer_find_until(_path, _config, _region, _pipe, FL_FOREVER, NULL);
}

FL_END_DECLS

#endif
