/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_ADDRESS_H
#define FAIRLEAD_ADDRESS_H

#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <fairlead/private/part_loop.h>
#include <fairlead/time.h>
#include <sys/socket.h>

FL_BEGIN_DECLS

/*
 * The address of a socket, as a value, for streams and datagrams. It is a host and a port (IPv4 or
 * IPv6), or the path or abstract name of a Unix socket.
 *
 *     char text[FL_ADDRESS_TEXT_SIZE];
 *     rc = fl_address_ip(&a, "localhost", 7000);         // check
 *     rc = fl_datagram_send_to(d, "hello", 5, &a);       // check; fairlead/datagram.h
 *     rc = fl_stream_peer_address(s, &a);                // check; fairlead/stream.h
 *     rc = fl_address_text(&a, text, sizeof text);       // check: "127.0.0.1:43210"
 *
 * System calls take the first `size` bytes of `system`, and you may fill these members yourself.
 */
typedef struct fl_address {
	struct sockaddr_storage system;
	socklen_t size; /* 0 means no address */
} fl_address;

#define FL_ADDRESS_TEXT_SIZE 128u /* bytes */

/*
 * Stores the address of a host and a port in `*a`. A numeric address ("Hosts" in fairlead/net.h)
 * only needs a loop on the thread. The lookup of a name blocks the calling fiber. The call stores
 * the first of the name's addresses, IPv4 before IPv6; fl_net_resolve() (fairlead/net.h) stores
 * all. Returns 0, -ETIMEDOUT, -ECANCELED, or:
 *   -ENOTSUP  the thread runs no loop; or `host` is a name, and the caller is not a fiber
 *   -ENOENT, -EAGAIN, -EIO, -ENAMETOOLONG, -EAFNOSUPPORT, -EINVAL, -ENOMEM, -EMFILE, -ENFILE, other
 *             see "Results of a lookup" in fairlead/net.h
 */
FL_API FL_MUST_CHECK int fl_address_ip_until(fl_address *a, const char *host, uint16_t port, fl_time deadline,
                                             fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_address_ip(fl_address *_a, const char *_host, uint16_t _port)
{
	return fl_address_ip_until(_a, _host, _port, FL_FOREVER, NULL);
}

/*
 * Stores the address of a Unix socket in `*a`: a path, or an abstract name, which begins with '@'.
 * Returns 0, or:
 *   -ENAMETOOLONG  the path has more than 107 bytes
 *   -EINVAL        the path is NULL or ""
 */
FL_API FL_MUST_CHECK int fl_address_unix(fl_address *a, const char *path);

/*
 * Stores an address as text in the `size` bytes at `text`; FL_ADDRESS_TEXT_SIZE suffice.
 *
 * The text is "127.0.0.1:7000", "[::1]:7000", a path, or "@name" for an abstract name. With port 0
 * it is the host only, as functions that take a host accept it. If the `size` of the address is 0,
 * as for an unnamed sender, the text is "". Returns 0, or -ENOSPC if the text is longer than `size`
 * - 1 bytes.
 */
FL_API FL_MUST_CHECK int fl_address_text(const fl_address *a, char *text, size_t size);

/* Returns whether two addresses have the same host, port and interface, or the same path. */
FL_API bool fl_address_is_equal(const fl_address *a, const fl_address *b);

FL_END_DECLS

#endif
