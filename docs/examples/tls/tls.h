/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TLS_H
#define TLS_H

#include <fairlead.h>
#include <openssl/ssl.h>

/*
 * TLS over a stream. OpenSSL never sees the descriptor: it reads what the peer has sent from one
 * memory BIO, and puts what must be sent into another. The functions below move these bytes, and
 * wait for them as a fiber waits for a stream.
 *
 * One fiber uses a connection at a time. Each function blocks the calling fiber, observes its
 * cancel scope, and returns an error of the stream (-ETIMEDOUT, -ECANCELED, -ECONNRESET, ...),
 * or -EPROTO for an error of TLS, which `problem` then describes. After an error other than
 * -ETIMEDOUT of a read, the connection can only be closed.
 */
typedef struct tls {
	fl_stream *stream; /* the caller's */
	SSL *ssl;
	BIO *in, *out;     /* the SSL's: received, and to be sent */
	bool ended;        /* the stream has ended */
	char problem[128]; /* of the last -EPROTO */
} tls;

/*
 * `host`: the name that the peer's certificate must have; NULL: this is the server. 0 or -ENOMEM.
 */
int tls_open(tls *t, SSL_CTX *context, fl_stream *stream, const char *host);

/* Frees all but the stream. Never waits. */
void tls_close(tls *t);

/* -EPROTO includes a certificate that is not good. */
int tls_handshake(tls *t, fl_time deadline);

/* 1 to `size` bytes; 0: the peer has ended its side as TLS demands. */
ssize_t tls_read(tls *t, void *buffer, size_t size, fl_time deadline);

/* All bytes. */
int tls_write(tls *t, const void *data, size_t size, fl_time deadline);

/* Tells the peer that no more bytes follow, and waits until the peer has said the same. */
int tls_shutdown(tls *t, fl_time deadline);

/* The text of an error, for people. */
const char *tls_error_text(const tls *t, int rc);

#endif
