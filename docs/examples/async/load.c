/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * load: many connections at once, with a task for each on either side.
 *
 *   load [--connections N] [--seconds S] [--size BYTES]     N (10000) clients, S (5) seconds
 *   load --idle [--connections N]                           idle connections: the memory of each
 *   load --port PORT ...                                    uses a running echo server
 *
 * The server is a process of its own (fl_process), so that the memory of its tasks can be told from
 * the memory of the clients. The memory of a connection is the growth of the server's resident
 * memory since before the first connection, divided by the number of connections. The kernel's
 * memory for a socket is not included.
 */
#include <errno.h>
#include <fairlead.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* The number of clients that connect at once: the system queues a few thousand. */
#define AT_A_TIME 256u
#define SPARE 64u /* descriptors beside those of the connections */
#define PATIENCE FL_S(60)

struct load {
	unsigned connections, seconds, size, port;
	bool idle;
	fl_process *server; /* NULL if this program has not started it */
	char *request;
	fl_sem connecting;
	fl_latch connected;
	fl_event go;
	fl_time end;
	uint64_t requests, longest;
};

/*
 * Returns the limit of descriptors, raised to `wanted` if possible; only root may exceed the hard
 * limit.
 */
static uint64_t raise_limit(uint64_t wanted)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return 0;
	if (limit.rlim_cur < wanted) {
		struct rlimit more = {wanted, limit.rlim_max < wanted ? wanted : limit.rlim_max};
		if (setrlimit(RLIMIT_NOFILE, &more) != 0) {
			more = (struct rlimit){limit.rlim_max, limit.rlim_max};
			(void)setrlimit(RLIMIT_NOFILE, &more);
		}
	}
	return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : 0;
}

/*
 * Resident bytes of `pid`; 0: unknown. /proc/PID/statm would be faster, but is wrong by some
 * hundred pages.
 */
static uint64_t resident(int pid)
{
	char path[64], line[256];
	unsigned long long kib = 0;
	(void)snprintf(path, sizeof path, "/proc/%d/smaps_rollup", pid);
	FILE *f = fopen(path, "re");
	while (f != NULL && fgets(line, sizeof line, f) != NULL && sscanf(line, "Rss: %llu", &kib) != 1)
		;
	if (f != NULL)
		(void)fclose(f);
	return kib * 1024;
}

/*
 * The server. The stack of a waiting task stays in memory, so its frames are small: with the frames
 * of the wait they fit into one page.
 */
static int echo(void *client)
{
	FL_SCOPED(fl_stream) *s = client;
	char buffer[512];
	ssize_t n;
	int rc = 0;
	while (rc == 0 && (n = fl_stream_read_some(s, buffer, sizeof buffer)) > 0)
		rc = fl_stream_write(s, buffer, (size_t)n);
	return 0;
}

static int serve(void *pipe)
{
	FL_SCOPED(fl_listener) *l = NULL;
	FL_SCOPED(fl_group) clients = FL_GROUP_INIT(NULL);
	int rc = fl_listener_open_tcp(&l, "127.0.0.1", 0, NULL);
	unsigned port = rc == 0 ? fl_listener_port(l) : 0;
	if (rc == 0)
		rc = fl_pipe_send(pipe, &port, sizeof port);
	while (rc == 0) {
		fl_stream *s = NULL;
		rc = fl_listener_accept(l, &s);
		if (rc == 0)
			rc = fl_group_start(&clients, echo, s);
		if (rc != 0)
			fl_stream_free(s);
	}
	fl_group_cancel(&clients);
	if (fl_group_join(&clients) != 0)
		rc = fl_group_error(&clients);
	return rc;
}

FL_TASK_STATIC(server, unsigned, void)
{
	FL_SCOPED(fl_pipe) *pipe = NULL;
	(void)raise_limit(*arg + SPARE);
	int rc = fl_pipe_from_fd(&pipe, fl_process_fd(0));
	if (rc == 0)
		rc = fl_loop_run(serve, pipe);
	return rc == 0 ? 0 : fl_task_fail(ctx, rc, "the server: %s", fl_error_text(rc));
}

static int start_server(struct load *o)
{
	FL_SCOPED(fl_pipe) *ours = NULL, *theirs = NULL;
	int rc = fl_pipe_create(&ours, &theirs, NULL);
	if (rc != 0)
		return rc;
	int fd = fl_pipe_fd(theirs);
	size_t size;
	rc = fl_process_start(
	    &o->server,
	    &(fl_process_config){
		.task = &server, .arg = &o->connections, .name = "server", .daemon = true, .fds = &fd, .n_fds = 1});
	fl_pipe_free(theirs);
	theirs = NULL;
	return rc == 0 ? fl_pipe_receive_until(ours, &o->port, sizeof o->port, &size, fl_after(PATIENCE), NULL) : rc;
}

/* The clients. */

static int ask(const struct load *o, fl_stream *s, char *reply)
{
	int rc = fl_stream_write(s, o->request, o->size);
	ssize_t n = rc == 0 ? fl_stream_read_exactly(s, reply, o->size) : rc;
	if (n < 0)
		return (int)n;
	return (size_t)n == o->size && memcmp(reply, o->request, o->size) == 0 ? 0 : -EPROTO;
}

static int connect_to(struct load *o, fl_stream **s)
{
	int rc = fl_sem_acquire(&o->connecting);
	if (rc != 0)
		return rc;
	rc = fl_stream_connect_tcp_until(s, "127.0.0.1", (uint16_t)o->port, fl_after(PATIENCE), NULL);
	fl_sem_release(&o->connecting);
	return rc;
}

static int ask_on(struct load *o, fl_stream *s, char *reply)
{
	int rc = 0;
	for (fl_time now = fl_now(), begun; rc == 0 && fl_time_diff(now, o->end) < 0; o->requests++) {
		begun = now;
		rc = ask(o, s, reply);
		now = fl_now();
		const uint64_t took = (uint64_t)fl_time_diff(now, begun);
		if (took > o->longest)
			o->longest = took;
	}
	return rc;
}

static int client(void *arg)
{
	struct load *o = arg;
	FL_SCOPED(fl_stream) *s = NULL;
	char *reply = malloc(o->size);
	int rc = reply != NULL ? connect_to(o, &s) : -ENOMEM;
	if (rc == 0)
		/* So the server's task exists, has worked, and waits again. */
		rc = ask(o, s, reply);
	if (rc == 0) {
		fl_latch_count_down(&o->connected, 1);
		rc = fl_event_wait(&o->go);
	}
	if (rc == 0)
		rc = ask_on(o, s, reply);
	free(reply);
	return rc;
}

struct memory {
	uint64_t here, there;
};

static struct memory memory_now(const struct load *o)
{
	return (struct memory){resident((int)getpid()), o->server != NULL ? resident(fl_process_pid(o->server)) : 0};
}

static void report_memory(const struct load *o, struct memory before, struct memory after)
{
	printf("%u connections, each with a task on either side\n", o->connections);
	if (before.there != 0 && after.there >= before.there)
		printf("resident memory a task: %llu bytes in the server, ",
		       (unsigned long long)((after.there - before.there) / o->connections));
	else
		printf("resident memory a task: ");
	printf("%llu bytes here\n", (unsigned long long)((after.here - before.here) / o->connections));
}

static void report_requests(const struct load *o, double seconds)
{
	printf("%llu requests of %u bytes in %.2f s: %.0f a second; the slowest took %.1f ms\n",
	       (unsigned long long)o->requests, o->size, seconds, (double)o->requests / seconds,
	       (double)o->longest / 1e6);
}

/* Runs all clients; returns their first error. */
static int run_clients(struct load *o, struct memory before)
{
	FL_SCOPED(fl_group) clients = FL_GROUP_INIT(NULL);
	int rc = 0;
	for (unsigned i = 0; i < o->connections && rc == 0; i++)
		rc = fl_group_start(&clients, client, o);
	/*
	 * Wait until all are connected; if one fails, the group is cancelled, and its error is the
	 * reason.
	 */
	if (rc == 0)
		rc = fl_latch_wait_until(&o->connected, FL_FOREVER, fl_group_token(&clients));
	if (rc == 0)
		report_memory(o, before, memory_now(o));
	fl_time start = fl_now();
	o->end = rc == 0 && !o->idle ? fl_time_add(start, FL_S(o->seconds)) : start;
	fl_event_set(&o->go);
	if (fl_group_join(&clients) != 0)
		rc = fl_group_error(&clients);
	if (rc == 0 && !o->idle)
		report_requests(o, (double)fl_time_diff(fl_now(), start) / 1e9);
	return rc;
}

static int prepare(struct load *o)
{
	int rc = fl_sem_init(&o->connecting, AT_A_TIME);
	return rc == 0 ? fl_latch_init(&o->connected, o->connections) : rc;
}

static int run(void *arg)
{
	struct load *o = arg;
	struct load first = {
	    .connections = 1, .size = o->size, .port = o->port, .request = o->request, .end = FL_NO_WAIT};
	int rc = prepare(&first);
	fl_event_set(&first.go);
	if (rc == 0)
		rc = client(&first); /* warm-up: the memory of the first client does not count */
	return rc == 0 ? run_clients(o, memory_now(o)) : rc;
}

static int run_load(struct load *o)
{
	uint64_t wanted = (uint64_t)o->connections + SPARE, have = raise_limit(wanted);
	if (have < wanted) {
		fprintf(stderr,
		        "load: %u connections need %llu descriptors, and no more than %llu are allowed (ulimit -Hn); "
		        "fewer: --connections %llu\n",
		        o->connections, (unsigned long long)wanted, (unsigned long long)have,
		        (unsigned long long)(have > SPARE ? have - SPARE : 0));
		return EXIT_FAILURE;
	}
	o->request = malloc(o->size);
	int rc = o->request != NULL ? prepare(o) : -ENOMEM;
	if (rc == 0) {
		memset(o->request, 'x', o->size);
		o->request[o->size - 1] = '\n'; /* for servers that expect a line */
		rc = o->port == 0 ? start_server(o) : 0;
	}
	if (rc == 0)
		rc = fl_loop_run(run, o);
	fl_process_free(o->server); /* a daemon: ends here */
	free(o->request);
	return rc == 0 ? EXIT_SUCCESS : fl_perror(rc, "load");
}

static bool number(const char *text, unsigned most, unsigned *n)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);
	*n = (unsigned)value;
	return text[0] >= '0' && text[0] <= '9' && *end == '\0' && value >= 1 && value <= most;
}

int main(int argc, char **argv)
{
	fl_process_main(argc, argv); /* the server's process begins here */
	static const struct option options[] = {{"connections", required_argument, NULL, 'c'},
	                                        {"seconds", required_argument, NULL, 's'},
	                                        {"size", required_argument, NULL, 'b'},
	                                        {"port", required_argument, NULL, 'p'},
	                                        {"idle", no_argument, NULL, 'i'},
	                                        {0}};
	struct load o = {.connections = 10000, .seconds = 5, .size = 64};
	int option;
	bool good = true;
	while (good && (option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'i')
			o.idle = true;
		else
			good = option == 'c'   ? number(optarg, 1000000, &o.connections)
			       : option == 's' ? number(optarg, 3600, &o.seconds)
			       : option == 'b' ? number(optarg, 1 << 20, &o.size)
			       : option == 'p' ? number(optarg, 65535, &o.port)
			                       : false;
	}
	if (!good || optind < argc) {
		fprintf(stderr, "usage: load [--connections N] [--seconds S] [--size BYTES] [--idle] [--port PORT]\n");
		return 2;
	}
	return run_load(&o);
}
