/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An endpoint is a path through which a server gives clients a region and a pipe, or only a pipe.
 * The two programs connect by a packet socket. The server sends one packet, the hello, with the
 * region's descriptor, and never reads. The client makes all comparisons. Afterwards the connection
 * serves as the pipe.
 *
 * Why this design. Unrelated programs can meet without a name server, a file with contents, or
 * shm_open(). The kernel frees everything with the last process, except for the socket's file, and
 * the next server replaces a stale one. The server keeps the file `path.lock` locked from before
 * bind() until the socket listens, because otherwise another process could take the socket's file
 * for stale (docs/decisions/endpoint-socket-file.md). Because the server never reads, a client that
 * is silent or stopped, or sends garbage or descriptors, cannot hold up other clients, and the
 * server needs no deadline for a connection. What a client sends later arrives as through any pipe.
 * The connection also tells each side when the other side has ended.
 *
 * The checks, in their order:
 *
 *      check                                              by      error
 *   1  the mode of the file: that of the config, or else  kernel  -EACCES
 *      0600, or 0666 with a list of users. It is set
 *      between bind and listen, while no process can
 *      connect
 *   2  SO_PEERCRED of the socket: the same effective      both    -EACCES
 *      user, or one of the list. It comes before the
 *      packet, so that nothing from another user is
 *      read, and nothing is sent to that user except a
 *      refusal
 *   3  the packet: magic, version of the message, size,   client  -EBADMSG, -EPROTONOSUPPORT,
 *      at most one descriptor                                     -EMFILE
 *   4  with a region: SO_PEERCRED has a number for the    both    -EPROTO
 *      other process, so that it is in this PID
 *      namespace or below
 *   5  type, version and size of the items; that there    client  -EPROTO; the log names both sides
 *      is a region, if the client wants one
 *   6  the region, as each attach checks it: sealed       client  -EPERM, -EBADMSG,
 *      against shrinking, magic, layout, word size,               -EPROTONOSUPPORT, -EPROTO
 *      PID namespace of its maker, place of a lock's
 *      word, size of the file
 *
 * SO_PEERCRED names the user who called connect() or listen(). So another user may take an abstract
 * name, or a path in a folder in which others may write, but then the client sees that user. The
 * process number is used only for the log, because numbers are reused. However, the number 0 says
 * that the other process is in a namespace that cannot be seen from here.
 *
 * PID namespaces. The word of a lock contains the owner's thread number, because the kernel's
 * robust list requires it. In different namespaces two threads may have the same number, so an
 * owner could look like the caller, or like a dead thread. So the region's head contains the number
 * of its maker's namespace (the inode of /proc/thread-self/ns/pid), and every attach compares it,
 * however the process got the descriptor. That needs /proc on both sides. An endpoint also asks the
 * socket, which does not need /proc: if two processes are in different namespaces, at least one of
 * them does not see the other. A child that is forked into a new namespace has the mapping without
 * an attach; the program must avoid that.
 *
 * User namespaces. Every user that is not mapped into a namespace has the number 65534 there. If
 * this process also has that number, all unmapped users look like its own. Therefore the number
 * counts only if the namespace maps all users.
 */
#include "../base/fd_watcher.h"
#include "../base/packet.h"
#include "../base/process_sys.h"
#include "core/base/panic.h"
#include "core/base/sys.h"
#include "core/hooks.h"
#include "core/wait/context.h"
#include "fd/net_sys.h"
#include "fd/unix_file.h"
#include <errno.h>
#include <fairlead/endpoint.h>
#include <fairlead/error.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { ENDPOINT_MAGIC = 0x6f6c66 /* "flo" */, ENDPOINT_VERSION = 1 };
enum { ENDPOINT_REFUSES_USER = 1, ENDPOINT_REFUSES_NAMESPACE = 2 };

/* `magic` and `version` keep their places in all versions. */
struct endpoint_hello {
	uint32_t magic, version;
	uint32_t item_version;
	/* ENDPOINT_REFUSES_..., or 0. In a refusal the item fields are zero. */
	uint32_t refused;
	uint64_t item_size;
	char item_type[FL_ENDPOINT_TYPE_MAX + 1];
};
_Static_assert(sizeof(struct endpoint_hello) == 88, "struct endpoint_hello has no gaps");

struct fl_endpoint {
	int fd;
	uint32_t fork; /* fl__fork_count of the process that removes the file */
	struct fl__unix_file file;
	struct endpoint_hello hello;
	fl_shm *region;
	uid_t *users;
	unsigned n_users;
};

/* Both sides. */

static int endpoint_describe(struct endpoint_hello *hello, const fl_endpoint_config *config)
{
	*hello = (struct endpoint_hello){.magic = ENDPOINT_MAGIC, .version = ENDPOINT_VERSION};
	const size_t length = config->item_type ? strnlen(config->item_type, sizeof hello->item_type) : 0;
	if (length > FL_ENDPOINT_TYPE_MAX)
		return -ENAMETOOLONG;
	if (length > 0)
		memcpy(hello->item_type, config->item_type, length);
	hello->item_version = config->item_version;
	hello->item_size = config->item_size;
	return 0;
}

/*
 * Checks whether a user's number proves who the user is. In a user namespace that does not map all
 * users, every unmapped user has the number ENDPOINT_UNMAPPED (the default of
 * /proc/sys/kernel/overflowuid), so this number proves nothing there.
 */
static int endpoint_check_user(uid_t user)
{
	enum { ENDPOINT_UNMAPPED = 65534 };
	unsigned inside = 0, outside = 0, n = 0;
	if (user != ENDPOINT_UNMAPPED)
		return 0;
	FL__UNCANCELLED();
	FILE *map = fopen("/proc/thread-self/uid_map", "re");
	if (!map)
		return errno == ENOENT ? -EACCES : -errno; /* there is no /proc */
	const int fields = fscanf(map, "%u %u %u", &inside, &outside, &n);
	(void)fclose(map);
	return fields == 3 && n == UINT32_MAX ? 0 : -EACCES;
}

/* Returns 0; or -EACCES if the user of the other side is not allowed; or an error of the system. */
static int endpoint_check_peer(int fd, const uid_t *users, unsigned n, struct ucred *peer)
{
	const int rc = fl__net_sys.get_struct(fd, SOL_SOCKET, SO_PEERCRED, peer, sizeof *peer);
	if (rc != 0)
		return fl__net_error(rc);
	bool allowed = peer->uid == geteuid();
	for (unsigned i = 0; i < n && !allowed; i++)
		allowed = peer->uid == users[i];
	return allowed ? endpoint_check_user(peer->uid) : -EACCES;
}

/* The server. */

static int endpoint_new(fl_endpoint **made, const fl_endpoint_config *config)
{
	fl_endpoint *o = fl__alloc(1, sizeof *o);
	if (!o)
		return -ENOMEM;
	*made = o;
	o->fd = -1;
	o->fork = fl__fork_count;
	int rc = endpoint_describe(&o->hello, config);
	if (rc != 0)
		return rc;
	o->region = config->region;
	if (config->n_users == 0)
		return 0;
	o->users = fl__alloc(config->n_users, sizeof *o->users);
	if (!o->users)
		return -ENOMEM;
	memcpy(o->users, config->users, config->n_users * sizeof *o->users);
	o->n_users = config->n_users;
	return 0;
}

int fl_endpoint_create(fl_endpoint **made, const char *path, const fl_endpoint_config *config)
{
	config = FL__OR_DEFAULTS(config);
	unsigned mode = config->mode;
	fl_endpoint *o = NULL;
	if (mode == 0 && path && path[0] != '@')
		mode = config->n_users > 0 ? 0666 : 0600;
	int rc = endpoint_new(&o, config);
	if (rc == 0)
		rc = o->fd = fl__unix_open(&o->file, SOCK_SEQPACKET, path, mode, INT_MAX);
	if (rc < 0) {
		fl_endpoint_free(o);
		return rc;
	}
	*made = o;
	return 0;
}

void fl_endpoint_free(fl_endpoint *o)
{
	if (!o)
		return;
	fl__hook_ends(o);
	if (!fl__is_forked(o->fork))
		fl__unix_file_remove(&o->file);
	fl__fd_close(o->fd);
	fl__free(o->users);
	fl__free(o);
}

int fl_endpoint_fd(const fl_endpoint *o)
{
	return o->fd;
}

/* Returns 0; or -EPIPE if the client has ended; or another error of the system. */
static int endpoint_send_hello(int fd, const struct endpoint_hello *hello, const fl_shm *region)
{
	const struct iovec part = {(void *)(uintptr_t)hello, sizeof *hello};
	const int region_fd = region ? fl_shm_fd(region) : -1;
	const int rc = fl__packet_try_send(fd, &part, 1, &region_fd, region != NULL);
	/* the socket is empty, so -EAGAIN means that its buffer is too small */
	return rc == -EAGAIN ? -ENOMEM : fl__net_error(rc);
}

/*
 * Takes over `fd`. Returns 0; or -EPIPE if the client has ended or was refused; or another
 * error.
 */
static int endpoint_welcome(const fl_endpoint *o, int fd, fl_pipe **pipe)
{
	struct endpoint_hello refusal = {
	    .magic = ENDPOINT_MAGIC, .version = ENDPOINT_VERSION, .refused = ENDPOINT_REFUSES_USER};
	struct ucred peer;
	fl_pipe *made = NULL;
	int rc = endpoint_check_peer(fd, o->users, o->n_users, &peer);
	if (rc == 0 && o->region && peer.pid == 0) {
		refusal.refused = ENDPOINT_REFUSES_NAMESPACE;
		rc = -EACCES;
	}
	if (rc == -EACCES) {
		FL_IGNORE(endpoint_send_hello(fd, &refusal, NULL));
		rc = -EPIPE;
	}
	if (rc == 0 && pipe)
		rc = fl_pipe_from_fd(&made, fd);
	if (rc == 0)
		rc = endpoint_send_hello(fd, &o->hello, o->region);
	if (rc == 0 && pipe)
		*pipe = made;
	else if (made)
		fl_pipe_free(made);
	else
		fl__fd_close(fd);
	return rc;
}

/*
 * Returns 1 if it accepted a program; 0 if none is waiting, or if the program has ended or was
 * refused; or an error.
 */
static int endpoint_try_accept(const fl_endpoint *o, fl_pipe **pipe)
{
	const int fd = fl__net_sys.accept(o->fd, NULL, NULL);
	if (fd < 0)
		return fd == -EAGAIN || fd == -EINTR || fd == -ECONNABORTED ? 0 : fl__net_error(fd);
	const int rc = endpoint_welcome(o, fd, pipe);
	return rc == 0 ? 1 : rc == -EPIPE ? 0 : rc;
}

int fl_endpoint_accept_until(fl_endpoint *o, fl_pipe **pipe, fl_time deadline, fl_cancel_token *cancel)
{
	for (;;) {
		/* lets other fibers run, even if clients keep coming */
		FL_IGNORE(fl_sleep_until(FL_NO_WAIT, FL_SHIELDED));
		int rc = endpoint_try_accept(o, pipe);
		if (rc != 0)
			return rc > 0 ? 0 : rc;
		/* while there are clients, the wait would succeed even after the deadline */
		if (fl__is_expired(deadline))
			return -ETIMEDOUT;
		FL__AWAITS(FL__DEBUG_ENDPOINT, o);
		rc = fl__fd_wait(o->fd, POLLIN, deadline, cancel);
		if (rc != 0)
			return rc;
	}
}

/* The client. */

struct endpoint_found {
	struct endpoint_hello hello;
	size_t size;   /* the size of the hello */
	int region_fd; /* -1 if there is none */
};

static int endpoint_refuse(const char *path, int rc, const char *why)
{
	fl__log(FL_LOG_ERROR, "fl_endpoint_connect: %s: %s: %s", path, fl_error_name(rc), why);
	return rc;
}

/* Receives the first packet, with at most one descriptor. */
static int endpoint_receive(int fd, struct endpoint_found *found, fl_time deadline, fl_cancel_token *cancel)
{
	int came[FL__PACKET_FDS];
	struct iovec part = {&found->hello, sizeof found->hello};
	struct fl__packet packet = {.parts = &part, .n_parts = 1, .fds = came};
	const int rc = FL__CALL_OR_WAIT(fl__packet_try_recv(fd, &packet, 0), fl__fd_wait(fd, POLLIN, deadline, cancel));
	if (rc != 0)
		return rc == -EPIPE ? -ECONNRESET : rc;
	if (packet.lost || packet.n_fds > 1) {
		fl__fds_close(came, packet.n_fds);
		return packet.lost ? -EMFILE : -EBADMSG;
	}
	found->size = packet.cut ? SIZE_MAX : packet.size;
	if (packet.n_fds == 1)
		found->region_fd = came[0];
	return 0;
}

/* The text comes from another program, and may contain anything. */
static void endpoint_make_printable(char *text, size_t size)
{
	text[size - 1] = '\0';
	for (; *text; text++)
		if (*text < ' ' || *text > '~')
			*text = '?';
}

static int endpoint_compare(const char *path, int pid, struct endpoint_found *found,
                            const struct endpoint_hello *expected, bool needs_region)
{
	struct endpoint_hello *h = &found->hello;
	if (h->magic != ENDPOINT_MAGIC || found->size < offsetof(struct endpoint_hello, item_version))
		return endpoint_refuse(path, -EBADMSG, "what is there is no endpoint");
	if (h->version != ENDPOINT_VERSION)
		return endpoint_refuse(path, -EPROTONOSUPPORT, "the other program uses another version of Fairlead");
	if (found->size != sizeof *h)
		return endpoint_refuse(path, -EBADMSG, "the endpoint is incomplete or too long");
	if (h->refused == ENDPOINT_REFUSES_NAMESPACE || (needs_region && pid == 0))
		return endpoint_refuse(path, -EPROTO,
		                       "the other program is in another PID namespace: no locks can be shared");
	if (h->refused)
		return endpoint_refuse(path, -EACCES, "the other program does not allow this user");
	if (memcmp(h->item_type, expected->item_type, sizeof h->item_type) != 0 ||
	    h->item_version != expected->item_version || h->item_size != expected->item_size) {
		endpoint_make_printable(h->item_type, sizeof h->item_type);
		fl__log(FL_LOG_ERROR,
		        "fl_endpoint_connect: %s: EPROTO: process %d has items \"%s\", version %" PRIu32 ", of %" PRIu64
		        " bytes, expected \"%s\", version %" PRIu32 ", of %" PRIu64 " bytes",
		        path, pid, h->item_type, h->item_version, h->item_size, expected->item_type,
		        expected->item_version, expected->item_size);
		return -EPROTO;
	}
	if (needs_region && found->region_fd < 0)
		return endpoint_refuse(path, -EPROTO, "the endpoint has no region, expected one");
	return 0;
}

static int endpoint_check_server(const char *path, int fd, const fl_endpoint_config *config, struct ucred *peer)
{
	int rc = endpoint_check_peer(fd, config->users, config->n_users, peer);
	if (rc == -EACCES)
		fl__log(FL_LOG_ERROR, "fl_endpoint_connect: %s: EACCES: process %d runs as user %u, expected %u%s",
		        path, (int)peer->pid, (unsigned)peer->uid, (unsigned)geteuid(),
		        config->n_users > 0 ? " or another allowed one" : "");
	return rc;
}

static int endpoint_inspect(const char *path, int fd, const fl_endpoint_config *config, fl_shm **region,
                            fl_time deadline, fl_cancel_token *cancel)
{
	struct endpoint_hello expected;
	struct endpoint_found found = {.region_fd = -1};
	struct ucred peer;
	int rc = endpoint_describe(&expected, config);
	if (rc == 0)
		rc = endpoint_check_server(path, fd, config, &peer);
	if (rc == 0)
		rc = endpoint_receive(fd, &found, deadline, cancel);
	if (rc == 0)
		rc = endpoint_compare(path, (int)peer.pid, &found, &expected, region != NULL);
	if (rc == 0 && region)
		rc = fl_shm_attach(region, found.region_fd);
	fl__fd_close(found.region_fd);
	return rc;
}

int fl_endpoint_connect_until(fl_shm **region, fl_pipe **pipe, const char *path, const fl_endpoint_config *config,
                              fl_time deadline, fl_cancel_token *cancel)
{
	config = FL__OR_DEFAULTS(config);
	fl_shm *attached = NULL;
	const int fd = fl__unix_connect(SOCK_SEQPACKET, path, deadline, cancel);
	if (fd < 0)
		return fd;
	int rc = endpoint_inspect(path, fd, config, region ? &attached : NULL, deadline, cancel);
	if (rc == 0 && pipe)
		rc = fl_pipe_from_fd(pipe, fd);
	if (rc != 0 || !pipe)
		fl__fd_close(fd);
	if (rc != 0)
		fl_shm_free(attached);
	else if (region)
		*region = attached;
	return rc;
}
