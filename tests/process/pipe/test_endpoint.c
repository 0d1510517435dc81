/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Programs that meet at a path. The honest side is the library's; the hostile one is a bare socket,
 * in the same thread where the library does not wait for it.
 */
#include "fl_process.h"
#include "fl_shm_child.h"
#include "fl_streams.h"

#include "process/base/packet.h"
#include "process/shm/shm_sys.h"

FL_SHM_QUEUE_OF(uint64_t, number_queue)
FL_ALL_NEED(FL_TEST_MEMFD | FL_TEST_EVENTFD)

#define NUMBERS .item_type = "number", .item_version = 3, .item_size = sizeof(uint64_t)

/* A region with a queue as its root. */
static number_queue *queue_in_region(fl_shm **region)
{
	number_queue *q = NULL;
	*region = region_of(1 << 16);
	FL_OK(number_queue_create(&q, *region, &(fl_shm_queue_config){.capacity = 128}));
	FL_OK(fl_shm_set_root(*region, number_queue_offset(q)));
	return q;
}

static int find_numbers(const char *path, fl_shm **region, fl_pipe **pipe)
{
	return fl_endpoint_connect(region, pipe, path, &(fl_endpoint_config){NUMBERS});
}

/* A socket that connects, or listens, without the library. */
static int bare_socket(int type, const char *path, struct sockaddr_un *a, socklen_t *size)
{
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0), n = fl__unix_address(a, path);
	FL_CHECK(fd >= 0 && n > 0);
	*size = (socklen_t)n;
	return fd;
}

static int bare_connect(const char *path)
{
	struct sockaddr_un a;
	socklen_t size;
	int fd = bare_socket(SOCK_SEQPACKET, path, &a, &size);
	FL_OK(connect(fd, (struct sockaddr *)&a, size));
	return fd;
}

static int bare_listener(int type, const char *path)
{
	struct sockaddr_un a;
	socklen_t size;
	int fd = bare_socket(type, path, &a, &size);
	FL_OK(bind(fd, (struct sockaddr *)&a, size));
	FL_OK(listen(fd, 16));
	return fd;
}

/* ---- the meeting */

/* A thread or a fiber that finds, and sends back through the pipe what it gets from the queue. */
static int find_and_answer(void *path)
{
	FL_SCOPED(fl_shm) *region = NULL;
	FL_SCOPED(fl_pipe) *pipe = NULL;
	FL_SCOPED(number_queue) *q = NULL;
	uint64_t number = 0;
	FL_CHECK(find_numbers(path, &region, &pipe) == 0 && fl_shm_is_writable(region));
	FL_OK(number_queue_attach(&q, region, fl_shm_root(region)));
	FL_OK(number_queue_get(q, &number));
	FL_OK(fl_pipe_send(pipe, &number, sizeof number));
	return 0;
}

static void endpoint_and_ask(const char *path, int (*start)(const char *path), void (*join)(void))
{
	FL_SCOPED(fl_shm) *region = NULL;
	FL_SCOPED(number_queue) *q = queue_in_region(&region);
	FL_SCOPED(fl_endpoint) *o = NULL;
	uint64_t number = 0;
	size_t size;
	FL_OK(fl_endpoint_create(&o, path, &(fl_endpoint_config){NUMBERS, .region = region}));
	FL_CHECK(fl_endpoint_fd(o) >= 0 && fl_test_is_cloexec(fl_endpoint_fd(o)));
	for (uint64_t i = 1; i <= 3; i++) {
		FL_SCOPED(fl_pipe) *pipe = NULL;
		FL_OK(start(path));
		FL_OK(fl_endpoint_accept(o, &pipe));
		FL_OK(number_queue_put(q, i * 1000));
		FL_CHECK(fl_pipe_receive(pipe, &number, sizeof number, &size) == 0 && size == sizeof number);
		FL_CHECK(number == i * 1000);
		FL_RC(fl_pipe_receive(pipe, &number, sizeof number, &size), -EPIPE); /* it has ended */
		join();
	}
}

static fl_thread *client_thread;

static int start_thread(const char *path)
{
	return fl_thread_start(&client_thread, find_and_answer, (void *)(uintptr_t)path, NULL);
}

static void join_thread(void)
{
	fl_test_end(client_thread);
}

FL_TEST(endpoint_is_found_by_threads)
{
	FL_TEST_PATH(p);
	FL_TEST_FDS_STAY();
	endpoint_and_ask(p.name, start_thread, join_thread);
	assert_false(fl_test_path_is_there(&p));
	endpoint_and_ask(fl_test_abstract(), start_thread, join_thread);
}

static int accept_one(void *o)
{
	return fl_endpoint_accept(o, NULL);
}

/* The first endpoint and its handles are gone; the item that nothing has read is still there. */
FL_TEST(endpoint_of_a_region_that_was_found)
{
	FL_TEST_PATH(p);
	FL_SCOPED(fl_shm) *found = NULL;
	FL_SCOPED(fl_endpoint) *again = NULL;
	FL_SCOPED(fl_pipe) *pipe = NULL;
	fl_endpoint *o = NULL;
	fl_shm *region = NULL;
	number_queue *q = queue_in_region(&region);
	uint64_t number = 0;
	size_t size;
	FL_OK(number_queue_put(q, 7));
	FL_OK(fl_endpoint_create(&o, p.name, &(fl_endpoint_config){NUMBERS, .region = region}));
	fl_test_go(&client_thread, accept_one, o);
	FL_OK(find_numbers(p.name, &found, NULL));
	join_thread();
	fl_endpoint_free(o);
	number_queue_free(q);
	fl_shm_free(region);
	FL_OK(fl_endpoint_create(&again, p.name, &(fl_endpoint_config){NUMBERS, .region = found}));
	FL_OK(start_thread(p.name));
	FL_OK(fl_endpoint_accept(again, &pipe));
	FL_OK(fl_pipe_receive(pipe, &number, sizeof number, &size));
	assert_int_equal(number, 7);
	join_thread();
}

static fl_fiber *client_fiber;

static int start_fiber(const char *path)
{
	return fl_fiber_start(&client_fiber, find_and_answer, (void *)(uintptr_t)path, NULL);
}

static void join_fiber(void)
{
	FL_OK(fl_test_join(client_fiber));
}

static int in_fibers(void *path)
{
	endpoint_and_ask(path, start_fiber, join_fiber);
	return 0;
}

FL_TEST(endpoint_is_found_by_fibers)
{
	FL_TEST_PATH(p);
	FL_TEST_FDS_STAY();
	FL_OK(fl_loop_run(in_fibers, p.name));
}

/* ---- an endpoint and clients by hand: each case has one */

struct stand {
	fl_test_path path;
	fl_shm *region;
	number_queue *q;
	fl_endpoint *endpoint;
	unsigned fds;
};

static struct stand stand_begin(void)
{
	struct stand s = {.path = fl_test_path_make()};
	FL_OK(fl_sleep(0));
	s.fds = fl_test_fds();
	s.q = queue_in_region(&s.region);
	FL_OK(fl_endpoint_create(&s.endpoint, s.path.name, &(fl_endpoint_config){NUMBERS, .region = s.region}));
	return s;
}

static void stand_end(struct stand *s)
{
	fl_endpoint_free(s->endpoint);
	number_queue_free(s->q);
	fl_shm_free(s->region);
	FL_CHECK(!fl_test_path_is_there(&s->path) && fl_test_fds() == s->fds);
	fl_test_path_end(&s->path);
}

#define STAND(s) __attribute__((cleanup(stand_end))) struct stand s = stand_begin()

/* Clients that run to their end while this thread accepts; one after another. */
struct find_call {
	const char *path;
	const fl_endpoint_config *config;
	bool region, pipe;
	int rc;
	uint32_t ended; /* atomic */
};

static int find_in_thread(void *arg)
{
	struct find_call *c = arg;
	FL_SCOPED(fl_shm) *region = NULL;
	FL_SCOPED(fl_pipe) *pipe = NULL;
	c->rc = fl_endpoint_connect(c->region ? &region : NULL, c->pipe ? &pipe : NULL, c->path, c->config);
	FL_CHECK((region != NULL) == (c->rc == 0 && c->region) && (pipe != NULL) == (c->rc == 0 && c->pipe));
	fl__store_release(&c->ended, 1); /* release: pairs with the acquire of the caller */
	return 0;
}

static void accept_briefly(fl_endpoint *o)
{
	int rc = fl_endpoint_accept_until(o, NULL, fl_test_soon(), NULL);
	FL_OK_OR(rc, -ETIMEDOUT);
}

/* The result of a fl_endpoint_connect() while the endpoint is accepted by this thread. */
static int find_result(const struct stand *s, const fl_endpoint_config *config, bool region, bool pipe)
{
	struct find_call c = {s->path.name, config, region, pipe, 0, 0};
	fl_thread *t;
	fl_test_go(&t, find_in_thread, &c);
	while (!fl__load_acquire(&c.ended)) /* acquire: as above */
		accept_briefly(s->endpoint);
	fl_test_end(t);
	return c.rc;
}

FL_TEST(endpoint_compares_items)
{
	STAND(s);
	char long_type[FL_ENDPOINT_TYPE_MAX + 2];
	PROCESS_LOG();
	for (int wants = 0; wants < 4; wants++) /* fl_endpoint_connect_until() */
		FL_OK(find_result(&s, &(fl_endpoint_config){NUMBERS}, wants & 1, wants & 2));
	const fl_endpoint_config wrong[] = {
	    {.item_type = "numbers", .item_version = 3, .item_size = sizeof(uint64_t)},
	    {.item_type = "numbe", .item_version = 3, .item_size = sizeof(uint64_t)},
	    {.item_type = "number", .item_version = 4, .item_size = sizeof(uint64_t)},
	    {.item_type = "number", .item_version = 3, .item_size = sizeof(uint32_t)},
	    {.item_version = 3, .item_size = sizeof(uint64_t)},
	};
	FL_EACH (i, wrong)
		FL_RC(find_result(&s, &wrong[i], true, true), -EPROTO); /* fl_endpoint_connect() */
	FL_RC(find_result(&s, NULL, true, true), -EPROTO);
	FL_RC(find_result(&s, &wrong[2], true, true), -EPROTO);
	process_log_has(s.path.name);
	process_log_has("items \"number\", version 3, of 8 bytes");
	process_log_has("expected \"number\", version 4, of 8 bytes");
	memset(long_type, 'x', sizeof long_type);
	long_type[FL_ENDPOINT_TYPE_MAX + 1] = '\0';
	FL_SCOPED(fl_endpoint) *o = NULL;
	FL_RC(fl_endpoint_create(&o, fl_test_abstract(), &(fl_endpoint_config){.item_type = long_type}), -ENAMETOOLONG);
	FL_RC(find_result(&s, &(fl_endpoint_config){.item_type = long_type}, true, true), -ENAMETOOLONG);
	long_type[FL_ENDPOINT_TYPE_MAX] = '\0';
	FL_OK(fl_endpoint_create(&o, fl_test_abstract(), &(fl_endpoint_config){.item_type = long_type}));
	fl_endpoint_free(NULL);
}

FL_TEST(endpoint_without_a_region)
{
	STAND(s);
	PROCESS_LOG();
	fl_endpoint_free(s.endpoint);
	FL_OK(fl_endpoint_create(&s.endpoint, s.path.name, NULL));
	FL_OK(find_result(&s, NULL, false, true));
	FL_RC(find_result(&s, NULL, true, true), -EPROTO); /* fl_endpoint_connect() */
	process_log_has("no region");
}

/* A region that its maker has sealed is read-only for clients. */
FL_TEST(endpoint_of_a_sealed_region)
{
	STAND(s);
	FL_SCOPED(fl_shm) *region = NULL;
	int fd = bare_connect(s.path.name);
	FL_OK(fl_shm_seal(s.region));
	FL_OK(fl_endpoint_accept(s.endpoint, NULL));
	int came[FL__PACKET_FDS];
	char hello[256];
	struct fl__packet packet = {.parts = &(struct iovec){hello, sizeof hello}, .n_parts = 1, .fds = came};
	FL_OK(fl__packet_try_recv(fd, &packet, 0));
	assert_int_equal(packet.n_fds, 1);
	FL_OK(fl_shm_attach(&region, came[0]));
	assert_false(fl_shm_is_writable(region));
	FL_OK(close(came[0]));
	FL_OK(close(fd));
}

/* ---- paths */

FL_TEST(endpoint_paths)
{
	FL_TEST_PATH(p);
	FL_SCOPED(fl_endpoint) *o = NULL, *other = NULL;
	char below[64], long_path[200];
	fl_shm *region = NULL;
	FL_TEXT(below, "%s/x", p.name);
	memset(long_path, 'x', sizeof long_path);
	long_path[108] = '\0';
	FL_RC(fl_endpoint_create(&o, NULL, NULL), -EINVAL);
	FL_RC(fl_endpoint_create(&o, "", NULL), -EINVAL);
	FL_RC(fl_endpoint_create(&o, long_path, NULL), -ENAMETOOLONG);
	FL_RC(fl_endpoint_create(&o, below, NULL), -ENOENT);
	FL_RC(fl_endpoint_create(&o, p.name, &(fl_endpoint_config){.mode = 01000}), -EINVAL);
	FL_RC(fl_endpoint_create(&o, fl_test_abstract(), &(fl_endpoint_config){.mode = 0600}), -EINVAL);
	FL_RC(fl_endpoint_connect(&region, NULL, NULL, NULL), -EINVAL);
	FL_RC(fl_endpoint_connect(&region, NULL, "", NULL), -EINVAL);
	FL_RC(fl_endpoint_connect(&region, NULL, long_path, NULL), -ENAMETOOLONG);
	FL_RC(fl_endpoint_connect(&region, NULL, p.name, NULL), -ENOENT);
	int file = open(p.name, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(file >= 0 && close(file) == 0);
	FL_RC(fl_endpoint_create(&o, p.name, NULL), -ENOTSOCK);
	FL_RC(fl_endpoint_create(&o, below, NULL), -ENOTDIR);
	FL_RC(fl_endpoint_connect(&region, NULL, p.name, NULL), -ENOTSOCK);
	FL_OK(unlink(p.name));
	int listener = bare_listener(SOCK_STREAM, p.name);
	FL_RC(fl_endpoint_create(&o, p.name, NULL), -EADDRINUSE);
	FL_RC(fl_endpoint_connect(&region, NULL, p.name, NULL), -EPROTOTYPE);
	FL_OK(close(listener));
	FL_RC(fl_endpoint_connect(&region, NULL, p.name, NULL), -ECONNREFUSED);
	FL_OK(fl_endpoint_create(&o, p.name, NULL)); /* replaces the stale file */
	FL_RC(fl_endpoint_create(&other, p.name, NULL), -EADDRINUSE);
	FL_RC(fl_endpoint_accept_until(o, NULL, FL_NO_WAIT, NULL), -ETIMEDOUT); /* the check of the other endpoint */
	assert_null(other);
	assert_null(region);
}

FL_TEST(endpoint_mode)
{
	const uid_t users[] = {12345};
	const struct {
		fl_endpoint_config config;
		mode_t mode;
	} rows[] = {{{.mode = 0}, 0600}, {{.users = users, .n_users = 1}, 0666}, {{.mode = 0660}, 0660}};
	FL_TEST_PATH(p);
	const mode_t before = umask(077);
	FL_EACH (i, rows) {
		FL_SCOPED(fl_endpoint) *o = NULL;
		struct stat st;
		FL_OK(fl_endpoint_create(&o, p.name, &rows[i].config));
		FL_OK(lstat(p.name, &st));
		assert_int_equal(st.st_mode & 07777, rows[i].mode);
	}
	(void)umask(before);
}

/* ---- hostile clients */

/* Connects, and never receives: silent, with garbage, with descriptors, or gone at once. */
static void hostile_client(const char *path, int kind, int *fd)
{
	static const char garbage[300] = "garbage";
	const int fds[] = {0, 0, 0};
	*fd = bare_connect(path);
	if (kind == 1)
		FL_CHECK(send(*fd, garbage, sizeof garbage, MSG_NOSIGNAL) == (ssize_t)sizeof garbage);
	if (kind == 2)
		FL_OK(fl__packet_try_send(*fd, &(struct iovec){(void *)(uintptr_t)garbage, 1}, 1, fds, 3));
	if (kind == 3) {
		FL_OK(close(*fd));
		*fd = -1;
	}
}

static void come(const char *path, int *fds, int n)
{
	for (int i = 0; i < n; i++)
		hostile_client(path, i % 4, &fds[i]);
}

static void leave(const int *fds, int n)
{
	for (int i = 0; i < n; i++)
		if (fds[i] >= 0)
			FL_OK(close(fds[i]));
}

FL_TEST(endpoint_to_hostile_clients)
{
	enum { N = 16 };
	STAND(s);
	int fds[N];
	fl_pipe *pipes[N] = {NULL};
	unsigned accepted = 0;
	char bytes[512];
	size_t size;
	come(s.path.name, fds, N);
	FL_OK(find_result(&s, &(fl_endpoint_config){NUMBERS}, true, true)); /* behind all of them */
	leave(fds, N);
	come(s.path.name, fds, N);
	while (accepted < N - N / 4) /* the rest has gone */
		FL_OK(fl_endpoint_accept(s.endpoint, &pipes[accepted++]));
	FL_RC(fl_endpoint_accept_until(s.endpoint, &pipes[0], FL_NO_WAIT, NULL), -ETIMEDOUT);
	for (unsigned i = 0; i < accepted; i++) {
		int rc = fl_pipe_receive_until(pipes[i], bytes, sizeof bytes, &size, FL_NO_WAIT, FL_SHIELDED);
		assert_true(rc == -ETIMEDOUT || rc == -EBADMSG);
		fl_pipe_free(pipes[i]);
	}
	leave(fds, N);
}

/* A client that comes again and again holds up no other fiber, and a cancel ends the wait. */
struct crowd {
	const char *path;
	fl_endpoint *endpoint;
	bool over;
};

static int accept_crowd(void *arg)
{
	struct crowd *c = arg;
	int rc;
	while ((rc = fl_endpoint_accept(c->endpoint, NULL)) == 0)
		FL_CHECK(close(bare_connect(c->path)) == 0 && close(bare_connect(c->path)) == 0);
	c->over = true;
	return rc;
}

static int crowd_in_a_loop(void *arg)
{
	struct crowd *c = arg;
	int fd = bare_connect(c->path);
	fl_fiber *f = fl_test_start(accept_crowd, c);
	for (int i = 0; i < 100; i++)
		fl_fiber_yield();
	FL_CHECK(!c->over);
	fl_fiber_cancel(f);
	FL_RC(fl_test_join(f), -ECANCELED); /* fl_endpoint_accept() */
	FL_OK(close(fd));
	return 0;
}

FL_TEST(endpoint_to_a_crowd)
{
	STAND(s);
	struct crowd c = {s.path.name, s.endpoint, false};
	FL_OK(fl_loop_run(crowd_in_a_loop, &c));
}

/* ---- hostile servers */

/* As in lib/process/pipe/endpoint.c. */
struct hello {
	uint32_t magic, version, item_version, refused;
	uint64_t item_size;
	char item_type[64];
};

static const struct hello good = {0x6f6c66, 1, 3, 0, sizeof(uint64_t), "number"};

/* What a server sends to its one client. */
struct fake {
	int listener;
	const void *bytes; /* NULL: nothing */
	size_t size;
	const int *fds;
	unsigned n_fds;
};

/* Makes no call of the library but for the packet: tables may be replaced in the other thread. */
static int fake_endpoint(void *arg)
{
	const struct fake *f = arg;
	int fd = accept4(f->listener, NULL, NULL, SOCK_CLOEXEC);
	struct iovec part = {(void *)(uintptr_t)f->bytes, f->size};
	union fl__passed_fds control;
	struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1};
	if (f->n_fds > 0)
		fl__passed_fds_put(&m, &control, f->fds, f->n_fds);
	FL_CHECK(fd >= 0);
	if (f->bytes) { /* the client may have gone: it looks at the user first */
		const ssize_t sent = fl__passed_fds_send(fd, &m, MSG_NOSIGNAL);
		FL_CHECK(sent == (ssize_t)f->size || sent == -EPIPE);
	}
	FL_OK(close(fd));
	return 0;
}

/* The result of a client of such a server. */
static int find_fake(const char *path, const void *bytes, size_t size, const int *fds, unsigned n_fds)
{
	FL_SCOPED(fl_shm) *region = NULL;
	FL_SCOPED(fl_pipe) *pipe = NULL;
	struct fake f = {bare_listener(SOCK_SEQPACKET, path), bytes, size, fds, n_fds};
	fl_thread *t;
	fl_test_go(&t, fake_endpoint, &f);
	int rc = find_numbers(path, &region, &pipe);
	FL_CHECK((rc == 0) == (region != NULL) && (rc == 0) == (pipe != NULL));
	fl_test_end(t);
	FL_OK(close(f.listener));
	FL_OK(unlink(path));
	return rc;
}

static int find_hello(const char *path, struct hello h, const int *fds, unsigned n_fds)
{
	return find_fake(path, &h, sizeof h, fds, n_fds);
}

static int unsealed_memory(void)
{
	int fd = memfd_create("unsealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	FL_CHECK(fd >= 0 && ftruncate(fd, 1 << 20) == 0);
	return fd;
}

FL_TEST(endpoint_by_a_hostile_program)
{
	FL_TEST_PATH(p);
	FL_SCOPED(fl_shm) *region = NULL;
	FL_SCOPED(number_queue) *q = queue_in_region(&region);
	int memory = unsealed_memory(), file = open("/dev/null", O_RDWR), many[FL__PACKET_FDS];
	struct hello h = good;
	struct {
		struct hello hello;
		char more[8];
	} longer = {.hello = good};
	const int fd = fl_shm_fd(region);
	assert_true(file >= 0);
	FL_EACH (i, many)
		many[i] = fd;
	unsigned before = fl_test_fds();
	PROCESS_LOG();
	FL_OK(find_hello(p.name, good, &fd, 1));
	/* nothing, an empty packet, too little, too much, another beginning */
	FL_RC(find_fake(p.name, NULL, 0, NULL, 0), -ECONNRESET); /* fl_endpoint_connect() */
	static const size_t sizes[] = {0, 4, sizeof(struct hello) - 1};
	FL_EACH (i, sizes)
		FL_RC(find_fake(p.name, &good, sizes[i], &fd, 1), -EBADMSG);
	FL_RC(find_fake(p.name, &longer, sizeof longer, NULL, 0), -EBADMSG);
	h.magic++;
	FL_RC(find_hello(p.name, h, &fd, 1), -EBADMSG);
	/* another version, whatever follows */
	h = good;
	h.version++;
	FL_RC(find_fake(p.name, &h, 8, &fd, 1), -EPROTONOSUPPORT);
	/* refused */
	h = good;
	h.refused = 1;
	FL_RC(find_hello(p.name, h, NULL, 0), -EACCES);
	h.refused = 2;
	FL_RC(find_hello(p.name, h, NULL, 0), -EPROTO);
	process_log_has("PID namespace");
	/* a name that would change the terminal, and has no end */
	h = good;
	memset(h.item_type, '\033', sizeof h.item_type);
	FL_RC(find_hello(p.name, h, &fd, 1), -EPROTO);
	assert_true(strstr(process_log, "??????") && !strchr(process_log, '\033'));
	/* too many descriptors, none, and of other files */
	FL_RC(find_hello(p.name, good, many, 2), -EBADMSG);
	FL_RC(find_hello(p.name, good, many, FL__PACKET_FDS), -EBADMSG);
	FL_RC(find_hello(p.name, good, NULL, 0), -EPROTO);
	FL_RC(find_hello(p.name, good, &file, 1), -EPERM);
	FL_OK(fcntl(memory, F_ADD_SEALS, F_SEAL_SHRINK));
	FL_RC(find_hello(p.name, good, &memory, 1), -EBADMSG);
	/* a descriptor limit */
	rlim_t limit = fl_test_limit_fds(4); /* the two sockets of the fake, that of the client */
	int rc = find_hello(p.name, good, many, 8);
	fl_test_unlimit_fds(limit);
	FL_RC(rc, -EMFILE); /* fl_endpoint_connect() */
	assert_int_equal(fl_test_fds(), before);
	FL_OK(close(memory));
	FL_OK(close(file));
}

/* bug: region_shrinks. Memory that its owner can truncate is refused. */
FL_TEST(region_shrinks)
{
	FL_TEST_PATH(p);
	int memory = unsealed_memory();
	PROCESS_LOG();
	FL_RC(find_hello(p.name, good, &memory, 1), -EPERM);
	FL_OK(close(memory));
}

/* A program that never accepts. */
static int find_silent(void *path)
{
	return find_numbers(path, NULL, NULL); /* -ECANCELED */
}

static int cancel_the_client(void *path)
{
	fl_fiber *f = fl_test_start(find_silent, path);
	fl_test_settle();
	FL_CHECK(fl_fiber_is_alive(f));
	fl_fiber_cancel(f);
	FL_RC(fl_test_join(f), -ECANCELED); /* fl_endpoint_connect() */
	return 0;
}

FL_TEST(endpoint_by_a_silent_program)
{
	FL_TEST_PATH(p);
	unsigned before = fl_test_fds();
	int listener = bare_listener(SOCK_SEQPACKET, p.name);
	FL_RC(fl_endpoint_connect_until(NULL, NULL, p.name, NULL, FL_NO_WAIT, NULL), -ETIMEDOUT);
	FL_RC(fl_endpoint_connect_until(NULL, NULL, p.name, NULL, fl_test_soon(), NULL), -ETIMEDOUT);
	FL_OK(fl_loop_run(cancel_the_client, p.name));
	FL_OK(close(listener));
	FL_OK(unlink(p.name));
	/* an endpoint that ends without an accept */
	FL_SCOPED(fl_endpoint) *o = NULL;
	fl_endpoint *ended = NULL;
	char byte;
	FL_OK(fl_endpoint_create(&ended, p.name, NULL));
	int fd = bare_connect(p.name);
	fl_endpoint_free(ended);
	assert_true(recv(fd, &byte, 1, 0) <= 0 && close(fd) == 0);
	assert_int_equal(fl_test_fds(), before);
	assert_false(fl_test_path_is_there(&p));
	/* the last part: a wait with a token starts a thread, which keeps descriptors */
	FL_OK(fl_endpoint_create(&o, p.name, NULL));
	FL_RC(fl_endpoint_accept_until(o, NULL, FL_FOREVER, fl_test_requested), -ECANCELED);
	FL_RC(fl_endpoint_accept_until(o, NULL, fl_test_soon(), NULL), -ETIMEDOUT);
}

/* ---- other users */

static uid_t peer_user;

static int peer_of_that_user(int fd, int level, int option, void *value, socklen_t size)
{
	int rc = fl_test_real_net_sys.get_struct(fd, level, option, value, size);
	FL_CHECK(option == SO_PEERCRED);
	((struct ucred *)value)->uid = peer_user;
	return rc;
}

FL_TEST(endpoint_of_another_user)
{
	FL_NET_FAULTS();
	const uid_t other[] = {1, 12345};
	FL_TEST_PATH(p);
	struct hello answer;
	fl_endpoint *o = NULL;
	FL_TEST_FDS_STAY();
	/* the client looks at the user first, and takes nothing from another one */
	PROCESS_LOG();
	peer_user = 12345;
	fl__net_sys.get_struct = peer_of_that_user;
	FL_RC(find_hello(p.name, good, NULL, 0), -EACCES);
	process_log_has("runs as user 12345, expected");
	int listener = bare_listener(SOCK_SEQPACKET, p.name);
	const fl_endpoint_config allowed = {NUMBERS, .users = other, .n_users = 2};
	FL_RC(fl_endpoint_connect_until(NULL, NULL, p.name, &allowed, FL_NO_WAIT, NULL), -ETIMEDOUT); /* goes on */
	FL_OK(close(listener));
	FL_OK(unlink(p.name));
	/* the endpoint tells a refused client so, and sends nothing else */
	FL_OK(fl_endpoint_create(&o, p.name, &(fl_endpoint_config){NUMBERS}));
	int fd = bare_connect(p.name);
	FL_RC(fl_endpoint_accept_until(o, NULL, FL_NO_WAIT, NULL), -ETIMEDOUT);
	assert_int_equal(recv(fd, &answer, sizeof answer, 0), sizeof answer);
	assert_true(answer.refused == 1 && answer.item_version == 0 && answer.item_type[0] == '\0');
	assert_int_equal(recv(fd, &answer, sizeof answer, 0), 0);
	FL_OK(close(fd));
	fl_endpoint_free(o);
	FL_OK(fl_endpoint_create(&o, p.name, &allowed));
	fd = bare_connect(p.name);
	FL_OK(fl_endpoint_accept(o, NULL));
	FL_OK(close(fd));
	/* whether 65534 proves a user is in a file of /proc */
	peer_user = 65534;
	const rlim_t limit = fl_test_limit_fds(1); /* the client's socket */
	const int rc =
	    fl_endpoint_connect(NULL, NULL, p.name, &(fl_endpoint_config){.users = &peer_user, .n_users = 1});
	fl_test_unlimit_fds(limit);
	FL_RC(rc, -EMFILE);
	fl_endpoint_free(o);
}

/* Clients that come and go do not extend the deadline, though the descriptor stays ready. */
FL_TEST(endpoint_deadline_beside_clients)
{
	FL_TEST_PATH(p);
	FL_SCOPED(fl_endpoint) *o = NULL;
	FL_OK(fl_endpoint_create(&o, p.name, &(fl_endpoint_config){NUMBERS}));
	for (int i = 0; i < 2; i++)
		FL_OK(close(bare_connect(p.name)));
	FL_RC(fl_endpoint_accept_until(o, NULL, FL_NO_WAIT, NULL), -ETIMEDOUT);
	assert_int_equal(poll(&(struct pollfd){fl_endpoint_fd(o), POLLIN, 0}, 1, 0), 1); /* the second */
}

/* A client in a process of its own, whose exit status says the error. */
struct other_client {
	const char *path;
	const fl_endpoint_config *config;
	bool wants_region;
};

static int find_as_nobody(void *arg)
{
	const struct other_client *c = arg;
	if (setuid(65534) != 0)
		return 255;
	PROCESS_LOG();
	return -fl_endpoint_connect(NULL, NULL, c->path, c->config);
}

/* The client's error; meanwhile the endpoint, if there is one here, accepts. */
static int error_of(int (*find)(void *client), struct other_client client, fl_endpoint *o)
{
	int status = -1;
	const pid_t pid = fl_test_fork(find, &client);
	while (o && waitpid(pid, &status, WNOHANG) == 0)
		accept_briefly(o);
	if (!o)
		status = fl_test_status(pid);
	FL_CHECK(WIFEXITED(status));
	return -WEXITSTATUS(status);
}

FL_TEST(endpoint_to_another_user)
{
	/* in a namespace without all users, as a rootless container, 65534 proves no user */
	if (!fl_test_has_users() || system("grep -qw 4294967295 /proc/self/uid_map") != 0)
		FL_SKIP(FL_TEST_USERS_REASON);
	const uid_t nobody = 65534, me = geteuid();
	const fl_endpoint_config from_me = {.users = &me, .n_users = 1};
	fl_endpoint *o = NULL;
	FL_TEST_PATH(p);
	FL_OK(chmod(p.folder, 0755));
	FL_OK(fl_endpoint_create(&o, p.name, NULL));
	/* the mode; fl_endpoint_connect() */
	FL_RC(error_of(find_as_nobody, (struct other_client){p.name, &from_me, false}, NULL), -EACCES);
	fl_endpoint_free(o);
	FL_OK(fl_endpoint_create(&o, p.name, &(fl_endpoint_config){.mode = 0666}));
	/* the endpoint does not allow it */
	FL_RC(error_of(find_as_nobody, (struct other_client){p.name, &from_me, false}, o), -EACCES);
	fl_endpoint_free(o);
	FL_OK(fl_endpoint_create(&o, p.name, &(fl_endpoint_config){.users = &nobody, .n_users = 1}));
	/* the client does not allow it */
	FL_RC(error_of(find_as_nobody, (struct other_client){p.name, NULL, false}, o), -EACCES);
	FL_OK(error_of(find_as_nobody, (struct other_client){p.name, &from_me, false}, o));
	fl_endpoint_free(o);
}

/* ---- namespaces */

/* What fork() starts after it is process 1 of a PID namespace. */
static void try_pid_namespace(void)
{
	if (unshare(CLONE_NEWPID) != 0)
		_exit(1);
}

/* In a PID namespace of its own. */
static int find_from_inside(void *arg)
{
	const struct other_client *c = arg;
	fl_shm *region = NULL;
	PROCESS_LOG();
	const int rc = fl_endpoint_connect(c->wants_region ? &region : NULL, NULL, c->path, NULL);
	return rc == -EPROTO && !strstr(process_log, "PID namespace") ? 254 : -rc;
}

static int find_in_a_namespace(void *client)
{
	if (unshare(CLONE_NEWPID) != 0)
		return 255;
	const int status = fl_test_status(fl_test_fork(find_from_inside, client));
	FL_CHECK(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static uint64_t unknown_namespace(void)
{
	return 0;
}

/* bug: locks_across_pid_namespaces. Pipes need no common namespace. */
FL_TEST(endpoint_to_another_pid_namespace)
{
	if (!fl_test_try(try_pid_namespace))
		FL_SKIP("not root, or no PID namespaces");
	const struct fl__shm_sys real = fl__shm_sys;
	fl_endpoint *o = NULL;
	fl_shm *region = NULL;
	const char *path = fl_test_abstract();
	FL_BOTH (known) {
		fl__shm_sys.pid_namespace = known ? real.pid_namespace : unknown_namespace; /* no /proc */
		region = region_of(1 << 16);
		FL_OK(fl_endpoint_create(&o, path, &(fl_endpoint_config){.region = region}));
		FL_RC(error_of(find_in_a_namespace, (struct other_client){path, NULL, true}, o), -EPROTO);
		fl_endpoint_free(o);
		fl_shm_free(region);
	}
	fl__shm_sys = real;
	FL_OK(fl_endpoint_create(&o, path, NULL));
	FL_OK(error_of(find_in_a_namespace, (struct other_client){path, NULL, false}, o));
	fl_endpoint_free(o);
}

/* To the server, the client of a namespace that it does not see has the number 0. */
static int peer_without_a_number(int fd, int level, int option, void *value, socklen_t size)
{
	const int rc = fl_test_real_net_sys.get_struct(fd, level, option, value, size);
	((struct ucred *)value)->pid = 0;
	return rc;
}

/* bug: locks_across_pid_namespaces */
FL_TEST(endpoint_refuses_a_client_of_an_unseen_namespace)
{
	FL_NET_FAULTS();
	FL_SCOPED(fl_shm) *region = region_of(1 << 16);
	FL_SCOPED(fl_endpoint) *o = NULL;
	struct hello answer;
	const char *path = fl_test_abstract();
	FL_OK(fl_endpoint_create(&o, path, &(fl_endpoint_config){NUMBERS, .region = region}));
	fl__net_sys.get_struct = peer_without_a_number;
	const int fd = bare_connect(path);
	FL_RC(fl_endpoint_accept_until(o, NULL, FL_NO_WAIT, NULL), -ETIMEDOUT);
	assert_int_equal(recv(fd, &answer, sizeof answer, 0), sizeof answer);
	assert_true(answer.refused == 2 && answer.item_type[0] == '\0');
	FL_OK(close(fd));
}

/* In a user namespace in which this user has the number 65534, as has each user that it lacks. */
static int endpoint_as_unmapped(void *path)
{
	fl_endpoint *o = NULL;
	if (unshare(CLONE_NEWUSER) != 0)
		return 77;
	const int map = open("/proc/self/uid_map", O_WRONLY | O_CLOEXEC);
	if (map < 0 || write(map, "65534 0 1", 9) != 9)
		return 77;
	FL_CHECK(geteuid() == 65534 && close(map) == 0);
	FL_OK(fl_endpoint_create(&o, path, NULL));
	FL_IGNORE(fl_endpoint_accept_until(o, NULL, fl_after(FL_S(60)), NULL));
	return 0;
}

/* bug: unmapped_user_is_taken_for_this_one */
FL_TEST(endpoint_in_a_user_namespace)
{
	fl_test_need_users();
	const uid_t root = 0;
	const fl_endpoint_config from_root = {.users = &root, .n_users = 1};
	const char *path = fl_test_abstract();
	int status = 0, rc = -ECONNREFUSED;
	const pid_t pid = fl_test_fork(endpoint_as_unmapped, (void *)(uintptr_t)path);
	while (rc == -ECONNREFUSED && waitpid(pid, &status, WNOHANG) == 0)
		rc = error_of(find_as_nobody, (struct other_client){path, &from_root, false}, NULL);
	FL_CHECK(kill(pid, SIGKILL) == 0 || errno == ESRCH);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		FL_SKIP("no user namespaces");
	(void)waitpid(pid, NULL, 0);
	FL_RC(rc, -EACCES);
}
