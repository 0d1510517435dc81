/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The server of the album's pictures, when no URLs are given, and of the crawler's pages:
 * libmicrohttpd on the loopback interface.
 *
 * It simulates a server far away: each answer takes a tenth of a second. No thread of the server
 * sleeps for a request. The request is suspended and put into a queue with the time at which it is
 * due; one thread resumes the requests. All delays are equal, so the order of the queue is the
 * order of the due times.
 */
#include "album.h"
#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>

#define LATENCY FL_MS(100)
#define WAITING_MAX 4096

struct request {
	struct MHD_Connection *connection;
	fl_time due;
};
FL_QUEUE_OF(struct request, request_queue)

struct server {
	struct MHD_Daemon *daemon;
	struct MHD_Response **responses, *sorry;
	const struct bytes *documents;
	size_t count;
	const char *type;
	unsigned char *wrong; /* the faulty document, with one byte changed */
	enum fault fault;
	request_queue *late;    /* answered when they are due */
	request_queue *stalled; /* answered when the server stops */
	fl_thread *waker;
	bool waker_runs;
};

static int wake_in_time(void *arg)
{
	struct server *s = arg;
	struct request r;
	while (request_queue_get(s->late, &r) == 0) {
		if (fl_sleep_until(r.due, FL_SHIELDED) != 0)
			return -EINTR; /* no caller requests that */
		MHD_resume_connection(r.connection);
	}
	return 0;
}

/*
 * Suspends first, then enqueues: in the opposite order the request could be resumed before it is
 * suspended.
 */
static void hold(struct server *s, struct MHD_Connection *connection, unsigned number)
{
	bool stall = s->fault == FAULT_STALL && number == ALBUM_FAULTY;
	struct request r = {connection, fl_after(LATENCY)};
	MHD_suspend_connection(connection);
	if (request_queue_try_put(stall ? s->stalled : s->late, r) != 0)
		/* Too many requests, or the server stops: answer at once. */
		MHD_resume_connection(connection);
}

/* Sends half of the document, then breaks the connection. */
static ssize_t half(void *user, uint64_t position, char *to, size_t room)
{
	const struct bytes *document = user;
	if (position >= document->size / 2)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	size_t left = document->size / 2 - (size_t)position;
	size_t size = left < room ? left : room;
	memcpy(to, document->data + position, size);
	return (ssize_t)size;
}

/* Each request gets its own response: libmicrohttpd notes in it where it broke. */
static enum MHD_Result reply_short(struct MHD_Connection *connection, const struct bytes *document)
{
	void *user = (void *)(uintptr_t)document;
	struct MHD_Response *response = MHD_create_response_from_callback(document->size, 65536, half, user, NULL);
	if (response == NULL)
		return MHD_NO; /* closes the connection */
	enum MHD_Result result = MHD_queue_response(connection, MHD_HTTP_OK, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result reply(struct server *s, struct MHD_Connection *connection, unsigned number)
{
	enum fault fault = number == ALBUM_FAULTY ? s->fault : FAULT_NONE;
	if (number < 1 || number > s->count || fault == FAULT_MISSING)
		return MHD_queue_response(connection, MHD_HTTP_NOT_FOUND, s->sorry);
	if (fault == FAULT_FAIL)
		return MHD_queue_response(connection, MHD_HTTP_INTERNAL_SERVER_ERROR, s->sorry);
	if (fault == FAULT_SHORT)
		return reply_short(connection, &s->documents[number - 1]);
	return MHD_queue_response(connection, MHD_HTTP_OK, s->responses[number - 1]);
}

/*
 * Called once for the head of a request, again for its body, which is empty, and again when it is
 * resumed.
 */
static enum MHD_Result handle(void *user, struct MHD_Connection *connection, const char *url, const char *method,
                              const char *version, const char *upload, size_t *upload_size, void **state)
{
	static char head_seen, woken; /* only their addresses count */
	(void)method, (void)version, (void)upload, (void)upload_size;
	unsigned number = 0;
	if (sscanf(url, "/%*[a-z]-%u", &number) != 1)
		number = 0;
	if (*state == NULL) {
		*state = &head_seen;
	} else if (*state == &head_seen) {
		*state = &woken;
		hold(user, connection, number);
	} else {
		return reply(user, connection, number);
	}
	return MHD_YES;
}

static struct MHD_Response *response_to(struct server *s, const struct bytes *document, unsigned number)
{
	void *data = document->data;
	if (s->fault == FAULT_WRONG && number == ALBUM_FAULTY) {
		s->wrong = malloc(document->size);
		if (s->wrong == NULL)
			return NULL;
		memcpy(s->wrong, document->data, document->size);
		s->wrong[document->size / 2] ^= 1;
		data = s->wrong;
	}
	return MHD_create_response_from_buffer(document->size, data, MHD_RESPMEM_PERSISTENT);
}

static bool make_responses(struct server *s)
{
	static char sorry[] = "the demo's server does not have this\n";
	s->sorry = MHD_create_response_from_buffer(sizeof sorry - 1, sorry, MHD_RESPMEM_PERSISTENT);
	s->responses = calloc(s->count, sizeof(struct MHD_Response *));
	if (s->sorry == NULL || s->responses == NULL)
		return false;
	for (size_t i = 0; i < s->count; i++) {
		s->responses[i] = response_to(s, &s->documents[i], (unsigned)i + 1);
		if (s->responses[i] == NULL ||
		    MHD_add_response_header(s->responses[i], MHD_HTTP_HEADER_CONTENT_TYPE, s->type) != MHD_YES)
			return false;
	}
	return true;
}

static int start(struct server *s)
{
	fl_queue_config config = {.capacity = WAITING_MAX};
	int rc = request_queue_create(&s->late, &config);
	if (rc == 0)
		rc = request_queue_create(&s->stalled, &config);
	if (rc == 0)
		rc = fl_thread_start(&s->waker, wake_in_time, s, &(fl_thread_config){.name = "server-waker"});
	if (rc != 0)
		return rc;
	s->waker_runs = true;

	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	s->daemon = MHD_start_daemon(MHD_USE_AUTO | MHD_USE_INTERNAL_POLLING_THREAD | MHD_ALLOW_SUSPEND_RESUME, 0, NULL,
	                             NULL, handle, s, MHD_OPTION_SOCK_ADDR, &address, MHD_OPTION_END);
	if (s->daemon == NULL)
		return errno != 0 ? -errno : -EIO;
	return server_port(s) != 0 ? 0 : -EIO;
}

int server_start(struct server **made, const struct bytes *documents, size_t count, const char *type, enum fault fault)
{
	struct server *s = calloc(1, sizeof *s);
	if (s == NULL)
		return -ENOMEM;
	s->fault = fault;
	s->documents = documents;
	s->count = count;
	s->type = type;
	int rc = make_responses(s) ? start(s) : -ENOMEM;
	if (rc == 0)
		*made = s;
	else
		server_stop(s);
	return rc;
}

/* The port that the system has chosen. */
unsigned server_port(const struct server *s)
{
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_BIND_PORT);
	return info != NULL ? info->port : 0;
}

/* Every suspended request must be resumed before the daemon stops: a rule of libmicrohttpd. */
void server_stop(struct server *s)
{
	if (s == NULL)
		return;
	if (s->waker_runs) {
		request_queue_close(s->late);
		request_queue_close(s->stalled);
		int rc = fl_thread_join(s->waker, NULL);
		if (rc != 0)
			complain("cannot join the server's thread: %s", fl_error_text(rc));
		struct request r;
		while (request_queue_try_get(s->stalled, &r) == 0)
			MHD_resume_connection(r.connection);
	}
	if (s->daemon != NULL)
		MHD_stop_daemon(s->daemon);
	for (size_t i = 0; s->responses != NULL && i < s->count; i++)
		if (s->responses[i] != NULL)
			MHD_destroy_response(s->responses[i]);
	if (s->sorry != NULL)
		MHD_destroy_response(s->sorry);
	request_queue_free(s->late);
	request_queue_free(s->stalled);
	free(s->responses);
	free(s->wrong);
	free(s);
}
