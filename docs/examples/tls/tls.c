/* SPDX-License-Identifier: BSD-2-Clause */
#include "tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdio.h>

int tls_open(tls *t, SSL_CTX *context, fl_stream *stream, const char *host)
{
	*t = (tls){.stream = stream, .ssl = SSL_new(context), .in = BIO_new(BIO_s_mem()), .out = BIO_new(BIO_s_mem())};
	if (!t->ssl || !t->in || !t->out) {
		BIO_free(t->in);
		BIO_free(t->out);
		SSL_free(t->ssl);
		return -ENOMEM;
	}
	SSL_set_bio(t->ssl, t->in, t->out);
	if (!host) {
		SSL_set_accept_state(t->ssl);
		return 0;
	}
	SSL_set_connect_state(t->ssl);
	if (SSL_set1_host(t->ssl, host) == 1 && SSL_set_tlsext_host_name(t->ssl, host) == 1)
		return 0;
	tls_close(t);
	return -ENOMEM;
}

void tls_close(tls *t)
{
	SSL_free(t->ssl); /* and both BIOs */
}

/* Sends what OpenSSL has put into its output. */
static int tls_send(tls *t, fl_time deadline)
{
	char *bytes;
	const long n = BIO_get_mem_data(t->out, &bytes);
	const int rc = n > 0 ? fl_stream_write_until(t->stream, bytes, (size_t)n, deadline, NULL) : 0;
	(void)BIO_reset(t->out);
	return rc;
}

/* Waits for bytes of the peer, and puts them into OpenSSL's input. */
static int tls_receive(tls *t, fl_time deadline)
{
	char bytes[4096];
	const ssize_t n = fl_stream_read_some_until(t->stream, bytes, sizeof bytes, deadline, NULL);
	if (n < 0)
		return (int)n;
	if (n > 0)
		return BIO_write(t->in, bytes, (int)n) == n ? 0 : -ENOMEM;
	t->ended = true;
	BIO_set_mem_eof_return(t->in, 0); /* else an empty BIO asks for more for ever */
	return 0;
}

/*
 * Before any wait: OpenSSL keeps its errors by thread, and other fibers of the thread use OpenSSL,
 * too.
 */
static void tls_explain(tls *t)
{
	const long verified = SSL_get_verify_result(t->ssl);
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());
	if (verified != X509_V_OK)
		reason = X509_verify_cert_error_string(verified);
	else if (t->ended)
		reason = "the peer ended the connection without a close of TLS";
	(void)snprintf(t->problem, sizeof t->problem, "%s", reason ? reason : "unknown error of TLS");
}

enum tls_call { TLS_HANDSHAKE, TLS_READ, TLS_WRITE, TLS_SHUTDOWN };

static int tls_call(tls *t, enum tls_call call, void *bytes, size_t size, size_t *done)
{
	int result = 0;
	ERR_clear_error();
	switch (call) {
	case TLS_HANDSHAKE:
		return SSL_do_handshake(t->ssl);
	case TLS_READ:
		return SSL_read_ex(t->ssl, bytes, size, done);
	case TLS_WRITE:
		return SSL_write_ex(t->ssl, bytes, size, done);
	case TLS_SHUTDOWN:
		result = SSL_shutdown(t->ssl);
		return result == 0 ? SSL_shutdown(t->ssl) : result; /* 0: sent; now the peer's turn */
	}
	return result;
}

/* Repeats a call until it needs nothing of the peer any more. `*done` stays 0 at the end. */
static int tls_run(tls *t, enum tls_call call, void *bytes, size_t size, size_t *done, fl_time deadline)
{
	for (;;) {
		const int result = tls_call(t, call, bytes, size, done);
		const int error = result > 0 ? SSL_ERROR_NONE : SSL_get_error(t->ssl, result);
		const bool over = error == SSL_ERROR_NONE || error == SSL_ERROR_ZERO_RETURN;
		if (!over && error != SSL_ERROR_WANT_READ)
			tls_explain(t);
		int rc = tls_send(t, deadline); /* after a failure, too: the peer gets an alert */
		if (!over && error != SSL_ERROR_WANT_READ)
			return -EPROTO;
		if (rc == 0 && !over)
			rc = tls_receive(t, deadline);
		if (rc != 0 || over)
			return rc;
	}
}

int tls_handshake(tls *t, fl_time deadline)
{
	return tls_run(t, TLS_HANDSHAKE, NULL, 0, NULL, deadline);
}

ssize_t tls_read(tls *t, void *buffer, size_t size, fl_time deadline)
{
	size_t done = 0;
	const int rc = tls_run(t, TLS_READ, buffer, size, &done, deadline);
	return rc != 0 ? rc : (ssize_t)done;
}

int tls_write(tls *t, const void *data, size_t size, fl_time deadline)
{
	size_t done = 0;
	return size == 0 ? 0 : tls_run(t, TLS_WRITE, (void *)(uintptr_t)data, size, &done, deadline);
}

int tls_shutdown(tls *t, fl_time deadline)
{
	return tls_run(t, TLS_SHUTDOWN, NULL, 0, NULL, deadline);
}

const char *tls_error_text(const tls *t, int rc)
{
	return rc == -EPROTO ? t->problem : fl_error_text(rc);
}
