/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * service: notes in a database, over HTTP/1.1 (README.md).
 *
 *   service DATABASE [PORT]     port 7080, or PORT; 0: the system chooses. SIGTERM or Ctrl-C ends.
 *
 *   POST /notes                 keeps the body; answers with the note's number
 *   GET  /notes/N?ms=M          note N; waits for it up to M milliseconds
 *   GET  /primes?from=N&to=M    the primes from N to M, one a line
 *
 * All connections belong to the loop's thread. A fiber makes each answer.
 */
#include <fairlead.h>
#include <microhttpd.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HANDLES = 4, NOTE_MAX = 65536, CHUNK = 100000 /* numbers in a part of an answer */ };
static const char tables[] = "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA busy_timeout = 5000;"
			     "CREATE TABLE IF NOT EXISTS notes(id INTEGER PRIMARY KEY, text TEXT NOT NULL)";

struct range {
	unsigned from, to;
};

FL_TASK(list_primes, struct range, fl_bytes)
{
	char line[16];
	int rc = fl_bytes_alloc(result, 0, 1);
	for (unsigned n = arg->from; rc == 0 && n <= arg->to; n++) {
		bool prime = n == 2 || (n > 2 && n % 2 == 1);
		for (unsigned d = 3; prime && d <= n / d; d += 2)
			prime = n % d != 0;
		if (prime)
			rc = fl_bytes_append(result, line, (size_t)snprintf(line, sizeof line, "%u\n", n));
	}
	return rc;
}

/* While the client reads a part of its answer, a request has no fiber, no handle and no task. */
struct request {
	struct MHD_Connection *connection;
	const char *method, *path;
	fl_bytes body, answer; /* `answer`: or its present part */
	uint64_t start;        /* where this part starts in the whole */
	bool more;             /* parts follow */
	long long next;        /* the first number of the next part */
	int status;            /* of HTTP; 0: no answer yet */
	sqlite3 *db;           /* of its query, as the next two */
	const char *sql;
	long long number; /* ?1; ?2 is the body */
};

FL_QUEUE_OF(sqlite3 *, handle_queue)

/* Used by the loop's thread alone. */
static handle_queue *handles; /* that no request uses */
static fl_executor *pool;
static fl_signals *signals;
static struct MHD_Daemon *http;
static fl_loop_timer http_timer;
static bool resumed;    /* a connection, since http_run() */
static size_t requests; /* that have not ended */
static fl_event idle;   /* set when the last has ended */
static fl_event added;  /* set, and reset at once, for each note */
static unsigned long notes_added;
static fl_cancel_token ending = FL_CANCEL_TOKEN_INIT;

static int status_of(int rc)
{
	return rc == 0 ? MHD_HTTP_OK : rc == -ECANCELED ? MHD_HTTP_SERVICE_UNAVAILABLE : MHD_HTTP_INTERNAL_SERVER_ERROR;
}

/* On a thread of the loop: appends the first column of the rows to the answer. */
static int query_run(void *arg)
{
	struct request *r = arg;
	sqlite3_stmt *s = NULL;
	int rc = 0, code = sqlite3_prepare_v2(r->db, r->sql, -1, &s, NULL);
	(void)sqlite3_bind_int64(s, 1, r->number);
	(void)sqlite3_bind_text(s, 2, r->body.data, (int)r->body.size, SQLITE_STATIC);
	while (rc == 0 && (code = sqlite3_step(s)) == SQLITE_ROW)
		rc = fl_bytes_append(&r->answer, sqlite3_column_blob(s, 0), (size_t)sqlite3_column_bytes(s, 0));
	if (rc == 0 && code != SQLITE_DONE)
		rc = fl_perror(-EIO, sqlite3_errmsg(r->db)) ? -EIO : 0;
	(void)sqlite3_finalize(s);
	return rc;
}

/* Waits for a handle on the loop, then for the database on a thread. Returns a status. */
static int query(struct request *r, const char *sql)
{
	int result = 0, rc = handle_queue_get(handles, &r->db);
	if (rc != 0)
		return status_of(rc);
	r->sql = sql;
	rc = fl_blocking_call(query_run, r, &result);
	FL_IGNORE(handle_queue_try_put(handles, r->db)); /* the queue has space for each handle */
	return status_of(rc != 0 ? rc : result);
}

/* An argument of the URL. -1: not a number from 0 to `most`. */
static long long argument(struct request *r, const char *name, long long missing, long long most)
{
	const char *text = MHD_lookup_connection_value(r->connection, MHD_GET_ARGUMENT_KIND, name);
	char *end = NULL;
	const long long n = text ? strtoll(text, &end, 10) : missing;
	return (!text || (end > text && *end == '\0')) && n >= 0 && n <= most ? n : -1;
}

static int add_note(struct request *r)
{
	if (r->body.size == 0)
		return MHD_HTTP_BAD_REQUEST;
	const int status = query(r, "INSERT INTO notes(text) VALUES(?2) RETURNING id || char(10)");
	notes_added++;
	fl_event_set(&added); /* wakes all that wait now */
	fl_event_reset(&added);
	return status == MHD_HTTP_OK ? MHD_HTTP_CREATED : status;
}

static int get_note(struct request *r)
{
	const long long ms = argument(r, "ms", 0, 60000);
	const fl_time until = fl_after(FL_MS(ms));
	char *rest;
	r->number = strtoll(r->path + strlen("/notes/"), &rest, 10);
	if (*rest != '\0')
		return MHD_HTTP_NOT_FOUND;
	for (int rc = 0; ms >= 0;) {
		const unsigned long before = notes_added;
		const int status = query(r, "SELECT text FROM notes WHERE id = ?1");
		if (status != MHD_HTTP_OK || r->answer.size > 0)
			return status;
		while (rc == 0 && notes_added == before)
			rc = fl_event_wait_until(&added, until, &ending);
		if (rc != 0)
			return rc == -ETIMEDOUT ? MHD_HTTP_NOT_FOUND : MHD_HTTP_SERVICE_UNAVAILABLE;
	}
	return MHD_HTTP_BAD_REQUEST;
}

/* The memory that the task has written is what is sent. */
static int primes(struct request *r)
{
	const long long from = r->more ? r->next : argument(r, "from", 1, UINT32_MAX - 1);
	const long long to = argument(r, "to", 100, UINT32_MAX - 1), end = from + CHUNK <= to ? from + CHUNK - 1 : to;
	FL_SCOPED(fl_future) *f = NULL;
	if (from < 0 || to < 0)
		return MHD_HTTP_BAD_REQUEST;
	int rc = list_primes_submit(pool, (struct range){(unsigned)from, (unsigned)end}, &f);
	if (rc == 0 && (rc = list_primes_get(f, &r->answer)) != 0)
		(void)fprintf(stderr, "primes: %s\n", fl_future_message(f));
	r->next = end + 1;
	r->more = rc == 0 && end < to;
	return status_of(rc);
}

static int route(void *arg)
{
	struct request *r = arg;
	if (!strcmp(r->method, "POST"))
		return !strcmp(r->path, "/notes") ? add_note(r) : MHD_HTTP_NOT_FOUND;
	if (!strncmp(r->path, "/notes/", strlen("/notes/")))
		return get_note(r);
	return !strcmp(r->path, "/primes") ? primes(r) : MHD_HTTP_NOT_FOUND;
}

/* Runs the daemon when its epoll is readable, at times that it asks for, and after a resume. */
static void http_run(void *unused)
{
	MHD_UNSIGNED_LONG_LONG ms = 60000;
	resumed = false;
	(void)MHD_run(http);
	(void)MHD_get_timeout(http, &ms);
	fl_loop_timer_start(fl_loop_current(), &http_timer, fl_after(FL_MS((int64_t)ms)), http_run, unused);
}

/* This fiber makes an answer, or its next part. Its waits end after 70 s. */
static int serve(void *arg)
{
	struct request *r = arg;
	FL_IGNORE(fl_timeout_call(route, r, fl_after(FL_S(70)), &r->status));
	MHD_resume_connection(r->connection);
	/* A resume makes the daemon look at all suspended connections: it runs less often. */
	if (!resumed)
		fl_loop_timer_start(fl_loop_current(), &http_timer, fl_after(FL_US(requests / 4)), http_run, NULL);
	resumed = true;
	return 0;
}

/* The connection sleeps until the fiber has run. */
static bool serve_later(struct request *r)
{
	fl_fiber *f = NULL;
	if (fl_fiber_start(&f, serve, r, NULL) != 0)
		return false;
	fl_fiber_detach(f);
	MHD_suspend_connection(r->connection);
	return true;
}

/* Called by the daemon when the socket has space for more of an answer. */
static ssize_t http_send(void *arg, uint64_t position, char *to, size_t space)
{
	struct request *r = arg;
	const size_t at = (size_t)(position - r->start), left = r->answer.size - at, n = left < space ? left : space;
	if (n > 0) {
		memcpy(to, (char *)r->answer.data + at, n);
		return (ssize_t)n;
	}
	fl_bytes_free(&r->answer);
	r->start = position;
	if (r->status == MHD_HTTP_OK && !r->more)
		return MHD_CONTENT_READER_END_OF_STREAM;
	return r->more && serve_later(r) ? 0 : MHD_CONTENT_READER_END_WITH_ERROR;
}

/* Called by the daemon: for a request's head, parts of its body, its end, and after its fiber. */
static enum MHD_Result http_request(void *arg, struct MHD_Connection *connection, const char *path, const char *method,
                                    const char *version, const char *part, size_t *size, void **state)
{
	struct request *r = *state;
	(void)arg, (void)version;
	if (!r) {
		*state = r = calloc(1, sizeof *r);
		if (!r)
			return MHD_NO;
		*r = (struct request){.connection = connection, .method = method, .path = path};
		r->status = strcmp(method, "GET") != 0 && strcmp(method, "POST") != 0 ? MHD_HTTP_METHOD_NOT_ALLOWED : 0;
		requests++;
		return MHD_YES;
	}
	if (*size > 0) {
		if (r->body.size + *size > NOTE_MAX || fl_bytes_append(&r->body, part, *size) != 0)
			r->status = MHD_HTTP_CONTENT_TOO_LARGE;
		*size = 0;
		return MHD_YES;
	}
	if (r->status == 0 && serve_later(r))
		return MHD_YES;
	const unsigned status = r->status ? (unsigned)r->status : MHD_HTTP_SERVICE_UNAVAILABLE;
	const char *reason = status >= MHD_HTTP_BAD_REQUEST ? MHD_get_reason_phrase_for(status) : "";
	FL_IGNORE(fl_bytes_append(&r->answer, reason, strlen(reason)));
	struct MHD_Response *answer =
	    MHD_create_response_from_callback(r->more ? MHD_SIZE_UNKNOWN : r->answer.size, 16384, http_send, r, NULL);
	if (fl_cancel_token_is_requested(&ending))
		(void)MHD_add_response_header(answer, MHD_HTTP_HEADER_CONNECTION, "close");
	const enum MHD_Result queued = MHD_queue_response(connection, status, answer); /* MHD_NO if NULL */
	MHD_destroy_response(answer);
	return queued;
}

static void http_end_request(void *arg, struct MHD_Connection *connection, void **state,
                             enum MHD_RequestTerminationCode how)
{
	struct request *r = *state;
	(void)arg, (void)connection, (void)how;
	if (!r)
		return;
	fl_bytes_free(&r->body);
	fl_bytes_free(&r->answer);
	free(r);
	if (--requests == 0)
		fl_event_set(&idle);
}

/* With `accepts`, accepts all connections that wait. The daemon itself would accept ten a run. */
static void http_ready(fl_loop_watch *w, int fd, unsigned events, void *accepts)
{
	const struct sockaddr unknown = {.sa_family = AF_INET};
	int client;
	(void)w, (void)events;
	while (accepts && (client = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
		(void)MHD_add_connection(http, client, &unknown, sizeof unknown);
	http_run(NULL);
}

static int server(void *port)
{
	const int epoll = MHD_get_daemon_info(http, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
	fl_loop_watch requested = {0}, connected = {0};
	fl_listener *l = NULL;
	int rc = fl_listener_open_tcp(&l, "127.0.0.1", *(uint16_t *)port, NULL);
	const int fd = rc == 0 ? dup(fl_listener_fd(l)) : -1; /* the loop watches the listener's own */
	if (rc == 0)
		rc = fl_loop_watch_start(fl_loop_current(), &connected, fd, FL_FD_IN, http_ready, port);
	if (rc == 0)
		rc = fl_loop_watch_start(fl_loop_current(), &requested, epoll, FL_FD_IN, http_ready, NULL);
	if (rc == 0 && printf("listening on 127.0.0.1:%u\n", (unsigned)fl_listener_port(l)) > 0 && fflush(stdout) == 0)
		rc = fl_signals_wait(signals);
	fl_loop_watch_cancel(&connected);
	fl_listener_free(l);
	(void)close(fd);
	fl_cancel_token_request(&ending); /* the long polls end */
	const fl_time limit = fl_after(FL_S(10));
	while (requests > 0 && fl_event_wait_until(&idle, limit, NULL) == 0)
		fl_event_reset(&idle);
	if (rc > 0)
		printf("signal %d; %zu requests were cut off\n", rc, requests);
	fl_loop_watch_cancel(&requested);
	return rc < 0 ? rc : 0; /* the loop cancels the fibers that are left */
}

int main(int argc, char **argv)
{
	fl_process_main(argc, argv);
	if (argc < 2)
		return fprintf(stderr, "usage: service DATABASE [PORT]\n") > 0 ? 2 : 1;
	uint16_t port = argc > 2 ? (uint16_t)atoi(argv[2]) : 7080;
	int rc = fl_signals_create(&signals, (int[]){SIGINT, SIGTERM}, 2);
	if (rc == 0)
		rc = fl_process_executor_create(&pool, NULL);
	if (rc == 0)
		rc = handle_queue_create(&handles, &(fl_queue_config){.capacity = HANDLES});
	sqlite3 *db;
	for (int i = 0; rc == 0 && i < HANDLES; i++) {
		if (sqlite3_open(argv[1], &db) != SQLITE_OK || sqlite3_exec(db, tables, NULL, NULL, NULL) != SQLITE_OK)
			return fl_perror(-EIO, sqlite3_errmsg(db));
		rc = handle_queue_try_put(handles, db);
	}
	http = MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_TURBO, 0,
	                        NULL, NULL, http_request, NULL, MHD_OPTION_NOTIFY_COMPLETED, http_end_request, NULL,
	                        MHD_OPTION_CONNECTION_LIMIT, (unsigned)sysconf(_SC_OPEN_MAX) - 100,
	                        MHD_OPTION_CONNECTION_TIMEOUT, 30u, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)16384,
	                        MHD_OPTION_END);
	if (rc == 0)
		rc = http ? fl_loop_run(server, &port) : -errno;
	MHD_stop_daemon(http);
	while (handles && handle_queue_try_get(handles, &db) == 0)
		(void)sqlite3_close(db);
	handle_queue_free(handles);
	fl_executor_free(pool);
	fl_signals_free(signals);
	return rc != 0 ? fl_perror(rc, "service") : 0;
}
