/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tls_echo: a server that sends back what it receives, over TLS, to any number of clients.
 *
 *   tls_echo PORT FILE [MILLISECONDS]      PORT 0: the system chooses
 *
 * Makes a key and a certificate for "localhost", signed by itself, and writes the certificate to
 * FILE, which clients need (tls_client.c; openssl s_client -connect localhost:PORT -CAfile FILE).
 * A real server has both from files: SSL_CTX_use_certificate_chain_file() and
 * SSL_CTX_use_PrivateKey_file(). Each wait for a client ends after MILLISECONDS (10,000): for the
 * whole handshake, for the next bytes, for the end. Prints how each connection ended.
 */
#include "tls.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

struct server {
	SSL_CTX *context;
	uint16_t port;
	int64_t timeout;
};

static struct server server;

/* Echoes until the client ends its side. */
static int echo(tls *t)
{
	char bytes[1024];
	int rc = tls_handshake(t, fl_after(server.timeout));
	while (rc == 0) {
		const ssize_t n = tls_read(t, bytes, sizeof bytes, fl_after(server.timeout));
		if (n <= 0) {
			rc = (int)n;
			break;
		}
		rc = tls_write(t, bytes, (size_t)n, fl_after(server.timeout));
	}
	return rc != 0 ? rc : tls_shutdown(t, fl_after(server.timeout));
}

static int serve(void *client)
{
	FL_SCOPED(fl_stream) *s = client; /* closed when this function returns */
	char name[FL_ADDRESS_TEXT_SIZE] = "a client";
	fl_address peer;
	tls t;
	if (fl_stream_peer_address(s, &peer) == 0)
		(void)!fl_address_text(&peer, name, sizeof name);
	int rc = tls_open(&t, server.context, s, NULL);
	if (rc == 0) {
		rc = echo(&t);
		printf("%s: %s\n", name, rc == 0 ? "closed" : tls_error_text(&t, rc));
		(void)fflush(stdout);
		tls_close(&t);
	}
	return 0; /* an error of one client does not stop the server */
}

static bool for_now(int rc)
{
	return rc == -EMFILE || rc == -ENFILE || rc == -ENOMEM || rc == -ENOSPC;
}

static int listen_and_serve(void *arg)
{
	(void)arg;
	FL_SCOPED(fl_listener) *l = NULL;
	int rc = fl_listener_open_tcp(&l, "127.0.0.1", server.port, NULL);
	if (rc != 0)
		return rc;
	printf("listening on 127.0.0.1:%u\n", (unsigned)fl_listener_port(l));
	(void)fflush(stdout);
	FL_SCOPED(fl_group) clients = FL_GROUP_INIT(NULL);
	while (rc == 0) {
		fl_stream *s = NULL;
		rc = fl_listener_accept(l, &s);
		if (rc == 0)
			rc = fl_group_start(&clients, serve, s);
		if (rc != 0)
			fl_stream_free(s);
		if (for_now(rc))
			rc = fl_sleep(FL_MS(100));
	}
	fl_group_cancel(&clients);
	if (fl_group_join(&clients) != 0)
		rc = fl_group_error(&clients);
	return rc;
}

static bool add_extension(X509 *certificate, int kind, const char *value)
{
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, kind, value);
	const bool added = e && X509_add_ext(certificate, e, -1) == 1;
	X509_EXTENSION_free(e);
	return added;
}

/* A certificate for "localhost", valid for a day. */
static X509 *make_certificate(EVP_PKEY *key)
{
	X509 *c = X509_new();
	X509_NAME *name = c ? X509_get_subject_name(c) : NULL;
	if (c && X509_set_version(c, X509_VERSION_3) && ASN1_INTEGER_set(X509_get_serialNumber(c), 1) &&
	    X509_gmtime_adj(X509_getm_notBefore(c), -60) && X509_gmtime_adj(X509_getm_notAfter(c), 86400) &&
	    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"localhost", -1, -1, 0) &&
	    X509_set_issuer_name(c, name) && X509_set_pubkey(c, key) &&
	    add_extension(c, NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1") && X509_sign(c, key, EVP_sha256()))
		return c;
	X509_free(c);
	return NULL;
}

static bool write_certificate(const char *path, X509 *certificate)
{
	FILE *file = fopen(path, "w");
	const bool written = file && PEM_write_X509(file, certificate) == 1;
	return file && fclose(file) == 0 && written;
}

static bool prepare(const char *path)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *certificate = key ? make_certificate(key) : NULL;
	server.context = SSL_CTX_new(TLS_server_method());
	const bool ready = certificate && server.context &&
	                   SSL_CTX_set_min_proto_version(server.context, TLS1_2_VERSION) == 1 &&
	                   SSL_CTX_use_certificate(server.context, certificate) == 1 &&
	                   SSL_CTX_use_PrivateKey(server.context, key) == 1 && write_certificate(path, certificate);
	X509_free(certificate);
	EVP_PKEY_free(key);
	return ready;
}

int main(int argc, char **argv)
{
	if (argc < 3) {
		(void)fprintf(stderr, "usage: tls_echo PORT FILE [MILLISECONDS]\n");
		return 2;
	}
	server.port = (uint16_t)atoi(argv[1]);
	server.timeout = FL_MS(argc > 3 ? atoi(argv[3]) : 10000);
	if (!prepare(argv[2])) {
		(void)fprintf(stderr, "tls_echo: no certificate can be made and written to %s\n", argv[2]);
		return 1;
	}
	int rc = fl_loop_run(listen_and_serve, NULL);
	SSL_CTX_free(server.context);
	return rc == 0 ? 0 : fl_perror(rc, "tls_echo");
}
