/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_ADDRESS_H
#define FAIRLEAD_ADDRESS_H

#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <fairlead/time.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

FL_BEGIN_DECLS

/*
 * The address of a socket, as a value: a host and a port (IPv4, IPv6), or the path or abstract name
 * of a Unix socket. It serves streams and datagrams.
 *
 *     char text[FL_ADDRESS_TEXT_SIZE];
 *     rc = fl_address_ip(&a, "localhost", 7000);         // check
 *     rc = fl_datagram_send_to(d, "hello", 5, &a);       // check; fairlead/datagram.h
 *     rc = fl_stream_peer_of(s, &a);                     // check; fairlead/stream.h
 *     rc = fl_address_text(&a, text, sizeof text);       // check: "127.0.0.1:43210"
 *
 * System calls take the first `size` bytes of `system`, which a program may fill. No function
 * stores an IPv4 address as one of IPv6.
 */
typedef struct fl_address {
	struct sockaddr_storage system;
	socklen_t size; /* 0: no address */
} fl_address;

#define FL_ADDRESS_TEXT_SIZE 128u /* bytes */

/*
 * Stores the address of a host and a port. `host` is a numeric address ("127.0.0.1", "::1",
 * "fe80::1%eth0") or a name. A name stands for the first of its addresses, IPv4 before IPv6;
 * fl_net_resolve() (fairlead/net.h) stores all of them. The lookup of a name blocks the calling
 * fiber. A numeric address needs no wait, and any thread that runs a loop may store it. Returns 0,
 * -ECANCELED, -ENOTSUP, -EAFNOSUPPORT, -EINVAL, -EMFILE, -ENFILE, or:
 *   an error of the table in fairlead/net.h: -ENOENT, -EAGAIN, -EIO, -ENAMETOOLONG, -ENOMEM,
 */
FL_API FL_MUST_CHECK int fl_address_ip_until(fl_address *a, const char *host, uint16_t port, fl_time deadline,
                                             fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_address_ip(fl_address *_a, const char *_host, uint16_t _port)
{
	return fl_address_ip_until(_a, _host, _port, FL_FOREVER, NULL);
}

/*
 * Stores the address of a path, or of an abstract name, which begins with '@'. Any thread may call
 * it. Returns 0, or:
 *   -ENAMETOOLONG  above 107 bytes
 *   -EINVAL        NULL or ""
 */
FL_API FL_MUST_CHECK int fl_address_unix(fl_address *a, const char *path);

/*
 * Stores an address as text: "127.0.0.1:7000", "[::1]:7000", a path, "@name" for an abstract name,
 * or "" for no address, as of an unnamed sender. The text of an address with port 0 is its host
 * alone: "127.0.0.1", "fe80::1%2". Every function that takes a host takes the text of a host.
 * FL_ADDRESS_TEXT_SIZE bytes suffice. Any thread may call it. Returns 0, or:
 *   -ENOSPC  the text is longer than `size` - 1 bytes
 */
FL_API FL_MUST_CHECK int fl_address_text(const fl_address *a, char *text, size_t size);

/* Whether two addresses have one host, port and interface, or one path. Any thread may call it. */
FL_API bool fl_address_is_equal(const fl_address *a, const fl_address *b);

FL_END_DECLS

#endif
