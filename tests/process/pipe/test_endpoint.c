/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Programs that meet at a path. The honest side is the library's; the hostile one is a bare socket,
 * in the same thread where the library does not wait for it.
 */
#include "fl_emulated.h"
#include "fl_net_faults.h"

#include "process/packet.h"
#include "process/shm/shm_sys.h"
#include <poll.h>

FL_SHM_QUEUE_OF(uint64_t, number_queue)
FL_ALL_NEED(FL_TEST_MEMFD | FL_TEST_EVENTFD)

#define NUMBERS .item_type = "number", .item_version = 3, .item_size = sizeof(uint64_t)

static char logged[1024];

static void keep_log(fl_log_level level, const char *message)
{
	(void)snprintf(logged, sizeof logged, "%s", message);
}

/* A region with a queue as its root. */
static fl_shm *region_with_queue(number_queue **q)
{
	fl_shm *region = NULL;
	FL_OK(fl_shm_create(&region, 1 << 16));
	FL_OK(number_queue_create(q, region, &(fl_shm_queue_config){.capacity = 128}));
	FL_OK(fl_shm_set_root(region, number_queue_offset(*q)));
	return region;
}

static int find_numbers(const char *path, fl_shm **region, fl_pipe **pipe)
{
	return fl_endpoint_connect(path, &(fl_endpoint_config){NUMBERS}, region, pipe);
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
	fl_shm *region = NULL;
	fl_pipe *pipe = NULL;
	number_queue *q = NULL;
	uint64_t number = 0;
	FL_CHECK(find_numbers(path, &region, &pipe) == 0 && fl_shm_is_writable(region));
	FL_OK(number_queue_open(&q, region, fl_shm_root(region)));
	FL_OK(number_queue_get(q, &number));
	FL_OK(fl_pipe_send(pipe, &number, sizeof number));
	number_queue_free(q);
	fl_pipe_free(pipe);
	fl_shm_free(region);
	return 0;
}

static void endpoint_and_ask(const char *path, int (*start)(const char *path), void (*join)(void))
{
	number_queue *q = NULL;
	fl_endpoint *o = NULL;
	fl_pipe *pipe = NULL;
	uint64_t number = 0;
	size_t size;
	fl_shm *region = region_with_queue(&q);
	FL_OK(fl_endpoint_create(&o, path, &(fl_endpoint_config){NUMBERS, .region = region}));
	FL_CHECK(fl_endpoint_fd(o) >= 0 && fl_test_is_cloexec(fl_endpoint_fd(o)));
	for (uint64_t i = 1; i <= 3; i++) {
		FL_OK(start(path));
		FL_OK(fl_endpoint_accept(o, &pipe));
		FL_OK(number_queue_put(q, i * 1000));
		FL_CHECK(fl_pipe_recv(pipe, &number, sizeof number, &size) == 0 && size == sizeof number);
		FL_CHECK(number == i * 1000);
		FL_RC(fl_pipe_recv(pipe, &number, sizeof number, &size), -EPIPE); /* it has ended */
		fl_pipe_free(pipe);
		join();
	}
	fl_endpoint_free(o);
	number_queue_free(q);
	fl_shm_free(region);
}

static fl_thread client_thread;

static int start_thread(const char *path)
{
	return fl_thread_start(&client_thread, find_and_answer, (void *)(uintptr_t)path, NULL);
}

static void join_thread(void)
{
	fl_test_end(&client_thread);
}

FL_TEST(endpoint_is_found_by_threads)
{
	fl_test_path p = fl_test_path_make();
	unsigned before = fl_test_fds();
	endpoint_and_ask(p.name, start_thread, join_thread);
	assert_false(fl_test_path_is_there(&p));
	endpoint_and_ask(fl_test_abstract(), start_thread, join_thread);
	assert_int_equal(fl_test_fds(), before);
	fl_test_path_end(&p);
}

static int accept_one(void *o)
{
	return fl_endpoint_accept(o, NULL);
}

/* The first endpoint and its handles are gone; the item that nothing has read is still there. */
FL_TEST(endpoint_of_a_region_that_was_found)
{
	number_queue *q = NULL;
	fl_endpoint *o = NULL;
	fl_pipe *pipe = NULL;
	uint64_t number = 0;
	size_t size;
	fl_test_path p = fl_test_path_make();
	fl_shm *region = region_with_queue(&q), *found = NULL;
	FL_OK(number_queue_put(q, 7));
	FL_OK(fl_endpoint_create(&o, p.name, &(fl_endpoint_config){NUMBERS, .region = region}));
	fl_test_go(&client_thread, accept_one, o);
	FL_OK(find_numbers(p.name, &found, NULL));
	join_thread();
	fl_endpoint_free(o);
	number_queue_free(q);
	fl_shm_free(region);
	FL_OK(fl_endpoint_create(&o, p.name, &(fl_endpoint_config){NUMBERS, .region = found}));
	FL_OK(start_thread(p.name));
	FL_OK(fl_endpoint_accept(o, &pipe));
	FL_OK(fl_pipe_recv(pipe, &number, sizeof number, &size));
	assert_int_equal(number, 7);
	join_thread();
	fl_pipe_free(pipe);
	fl_endpoint_free(o);
	fl_shm_free(found);
	fl_test_path_end(&p);
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
	fl_test_path p = fl_test_path_make();
	unsigned before = fl_test_fds();
	FL_OK(fl_loop_run(in_fibers, p.name));
	assert_int_equal(fl_test_fds(), before);
	fl_test_path_end(&p);
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
	s.region = region_with_queue(&s.q);
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
	fl_shm *region = NULL;
	fl_pipe *pipe = NULL;
	c->rc = fl_endpoint_connect(c->path, c->config, c->region ? &region : NULL, c->pipe ? &pipe : NULL);
	FL_CHECK((region != NULL) == (c->rc == 0 && c->region) && (pipe != NULL) == (c->rc == 0 && c->pipe));
	fl_shm_free(region);
	fl_pipe_free(pipe);
	fl__store_release(&c->ended, 1); /* release: pairs with the acquire of the caller */
	return 0;
}

/* The result of a fl_endpoint_connect() while the endpoint is accepted by this thread. */
static int find_result(const struct stand *s, const fl_endpoint_config *config, bool region, bool pipe)
{
	struct find_call c = {s->path.name, config, region, pipe, 0, 0};
	fl_thread t;
	fl_test_go(&t, find_in_thread, &c);
	while (!fl__load_acquire(&c.ended)) { /* acquire: as above */
		int accepted = fl_endpoint_accept_until(s->endpoint, NULL, fl_after(FL_MS(1)), NULL);
		FL_CHECK(accepted == 0 || accepted == -ETIMEDOUT);
	}
	fl_test_end(&t);
	return c.rc;
}

FL_TEST(endpoint_compares_items)
{
	struct stand s = stand_begin();
	char long_type[FL_ENDPOINT_TYPE_MAX + 2];
	(void)fl_set_log_handler(keep_log);
	FL_RC(find_result(&s, &(fl_endpoint_config){NUMBERS}, true, true), 0); /* fl_endpoint_connect_until() */
	FL_RC(find_result(&s, &(fl_endpoint_config){NUMBERS}, true, false), 0);
	FL_RC(find_result(&s, &(fl_endpoint_config){NUMBERS}, false, true), 0);
	FL_RC(find_result(&s, &(fl_endpoint_config){NUMBERS}, false, false), 0);
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
	assert_non_null(strstr(logged, s.path.name));
	assert_non_null(strstr(logged, "items \"number\", version 3, of 8 bytes"));
	assert_non_null(strstr(logged, "expected \"number\", version 4, of 8 bytes"));
	memset(long_type, 'x', sizeof long_type);
	long_type[FL_ENDPOINT_TYPE_MAX + 1] = '\0';
	fl_endpoint *o = NULL;
	FL_RC(fl_endpoint_create(&o, fl_test_abstract(), &(fl_endpoint_config){.item_type = long_type}), -ENAMETOOLONG);
	FL_RC(find_result(&s, &(fl_endpoint_config){.item_type = long_type}, true, true), -ENAMETOOLONG);
	long_type[FL_ENDPOINT_TYPE_MAX] = '\0';
	FL_OK(fl_endpoint_create(&o, fl_test_abstract(), &(fl_endpoint_config){.item_type = long_type}));
	fl_endpoint_free(o);
	fl_endpoint_free(NULL);
	(void)fl_set_log_handler(NULL);
	stand_end(&s);
}

FL_TEST(endpoint_without_a_region)
{
	fl_test_path p = fl_test_path_make();
	struct stand s = {.path = p};
	(void)fl_set_log_handler(keep_log);
	FL_OK(fl_endpoint_create(&s.endpoint, p.name, NULL));
	FL_OK(find_result(&s, NULL, false, true));
	FL_RC(find_result(&s, NULL, true, true), -EPROTO); /* fl_endpoint_connect() */
	assert_non_null(strstr(logged, "no region"));
	(void)fl_set_log_handler(NULL);
	fl_endpoint_free(s.endpoint);
	fl_test_path_end(&p);
}

/* A region that its maker has sealed is read-only for clients. */
FL_TEST(endpoint_of_a_sealed_region)
{
	struct stand s = stand_begin();
	struct find_call c = {.path = s.path.name};
	fl_shm *region = NULL;
	int rc, fd = bare_connect(c.path);
	FL_OK(fl_shm_seal(s.region));
	FL_OK(fl_endpoint_accept(s.endpoint, NULL));
	int came[FL__PACKET_FDS];
	char hello[256];
	struct fl__packet packet = {.parts = &(struct iovec){hello, sizeof hello}, .n_parts = 1, .fds = came};
	FL_OK(fl__packet_try_recv(fd, &packet, 0));
	assert_int_equal(packet.n_fds, 1);
	rc = fl_shm_attach(&region, came[0]);
	FL_OK(rc);
	assert_false(fl_shm_is_writable(region));
	fl_shm_free(region);
	FL_OK(close(came[0]));
	FL_OK(close(fd));
	stand_end(&s);
}

/* ---- paths */

FL_TEST(endpoint_paths)
{
	fl_endpoint *o = NULL, *other = NULL;
	char below[64], long_path[200];
	fl_shm *region = NULL;
	fl_test_path p = fl_test_path_make();
	(void)snprintf(below, sizeof below, "%s/x", p.name);
	memset(long_path, 'x', sizeof long_path);
	long_path[108] = '\0';
	FL_RC(fl_endpoint_create(&o, NULL, NULL), -EINVAL);
	FL_RC(fl_endpoint_create(&o, "", NULL), -EINVAL);
	FL_RC(fl_endpoint_create(&o, long_path, NULL), -ENAMETOOLONG);
	FL_RC(fl_endpoint_create(&o, below, NULL), -ENOENT);
	FL_RC(fl_endpoint_create(&o, p.name, &(fl_endpoint_config){.mode = 01000}), -EINVAL);
	FL_RC(fl_endpoint_create(&o, fl_test_abstract(), &(fl_endpoint_config){.mode = 0600}), -EINVAL);
	FL_RC(fl_endpoint_connect(NULL, NULL, &region, NULL), -EINVAL);
	FL_RC(fl_endpoint_connect("", NULL, &region, NULL), -EINVAL);
	FL_RC(fl_endpoint_connect(long_path, NULL, &region, NULL), -ENAMETOOLONG);
	FL_RC(fl_endpoint_connect(p.name, NULL, &region, NULL), -ENOENT);
	int file = open(p.name, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(file >= 0 && close(file) == 0);
	FL_RC(fl_endpoint_create(&o, p.name, NULL), -ENOTSOCK);
	FL_RC(fl_endpoint_create(&o, below, NULL), -ENOTDIR);
	FL_RC(fl_endpoint_connect(p.name, NULL, &region, NULL), -ENOTSOCK);
	FL_OK(unlink(p.name));
	int listener = bare_listener(SOCK_STREAM, p.name);
	FL_RC(fl_endpoint_create(&o, p.name, NULL), -EADDRINUSE);
	FL_RC(fl_endpoint_connect(p.name, NULL, &region, NULL), -EPROTOTYPE);
	FL_OK(close(listener));
	FL_RC(fl_endpoint_connect(p.name, NULL, &region, NULL), -ECONNREFUSED);
	FL_OK(fl_endpoint_create(&o, p.name, NULL)); /* replaces the stale file */
	FL_RC(fl_endpoint_create(&other, p.name, NULL), -EADDRINUSE);
	FL_RC(fl_endpoint_accept_until(o, NULL, 0, NULL), -ETIMEDOUT); /* the check of the other endpoint */
	fl_endpoint_free(o);
	assert_null(other);
	assert_null(region);
	fl_test_path_end(&p);
}

static unsigned mode_of(const char *path)
{
	struct stat st;
	FL_OK(lstat(path, &st));
	return st.st_mode & 07777;
}

FL_TEST(endpoint_mode)
{
	fl_endpoint *o = NULL;
	const uid_t users[] = {12345};
	fl_test_path p = fl_test_path_make();
	const mode_t before = umask(077);
	FL_OK(fl_endpoint_create(&o, p.name, NULL));
	assert_int_equal(mode_of(p.name), 0600);
	fl_endpoint_free(o);
	FL_OK(fl_endpoint_create(&o, p.name, &(fl_endpoint_config){.users = users, .n_users = 1}));
	assert_int_equal(mode_of(p.name), 0666);
	fl_endpoint_free(o);
	FL_OK(fl_endpoint_create(&o, p.name, &(fl_endpoint_config){.mode = 0660}));
	assert_int_equal(mode_of(p.name), 0660);
	fl_endpoint_free(o);
	(void)umask(before);
	fl_test_path_end(&p);
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

FL_TEST(endpoint_to_hostile_clients)
{
	enum { N = 16 };
	struct stand s = stand_begin();
	int fds[N];
	fl_pipe *pipes[N] = {NULL};
	unsigned accepted = 0;
	char bytes[512];
	size_t size;
	for (int i = 0; i < N; i++)
		hostile_client(s.path.name, i % 4, &fds[i]);
	FL_OK(find_result(&s, &(fl_endpoint_config){NUMBERS}, true, true)); /* behind all of them */
	for (int i = 0; i < N; i++)
		if (fds[i] >= 0)
			FL_OK(close(fds[i]));
	for (int i = 0; i < N; i++)
		hostile_client(s.path.name, i % 4, &fds[i]);
	while (accepted < N - N / 4) /* the rest has gone */
		FL_OK(fl_endpoint_accept(s.endpoint, &pipes[accepted++]));
	FL_RC(fl_endpoint_accept_until(s.endpoint, &pipes[0], 0, NULL), -ETIMEDOUT);
	for (unsigned i = 0; i < accepted; i++) {
		int rc = fl_pipe_try_recv(pipes[i], bytes, sizeof bytes, &size);
		assert_true(rc == -EAGAIN || rc == -EBADMSG);
		fl_pipe_free(pipes[i]);
	}
	for (int i = 0; i < N; i++)
		if (fds[i] >= 0)
			FL_OK(close(fds[i]));
	stand_end(&s);
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
	struct stand s = stand_begin();
	struct crowd c = {s.path.name, s.endpoint, false};
	FL_OK(fl_loop_run(crowd_in_a_loop, &c));
	stand_end(&s);
}

/* ---- hostile servers */

/* As in lib/process/pipe/endpoint.c. */
struct hello {
	uint32_t magic, version, item_version, refused;
	uint64_t item_size;
	char item_type[64];
};

static struct hello good_hello(void)
{
	return (struct hello){0x6f6c66, 1, 3, 0, sizeof(uint64_t), "number"};
}

struct fake {
	int listener;
	const void *bytes;
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
	if (f->bytes) /* the client may have gone: it looks at the user first */
		FL_CHECK(fl__passed_fds_send(fd, &m, MSG_NOSIGNAL) == (ssize_t)f->size || errno == EPIPE);
	FL_OK(close(fd));
	return 0;
}

static int find_fake(const char *path, struct fake f)
{
	fl_shm *region = NULL;
	fl_pipe *pipe = NULL;
	fl_thread t;
	int ended = -1;
	f.listener = bare_listener(SOCK_SEQPACKET, path);
	fl_test_go(&t, fake_endpoint, &f);
	int rc = find_numbers(path, &region, &pipe);
	FL_CHECK((rc == 0) == (region != NULL) && (rc == 0) == (pipe != NULL));
	fl_shm_free(region);
	fl_pipe_free(pipe);
	FL_CHECK(fl_thread_join(&t, &ended) == 0 && ended == 0);
	FL_OK(close(f.listener));
	FL_OK(unlink(path));
	return rc;
}

FL_TEST(endpoint_by_a_hostile_program)
{
	fl_test_path p = fl_test_path_make();
	number_queue *q = NULL;
	fl_shm *region = region_with_queue(&q);
	int memory = memfd_create("unsealed", MFD_CLOEXEC | MFD_ALLOW_SEALING), file = open("/dev/null", O_RDWR);
	int many[FL__PACKET_FDS];
	struct hello h = good_hello();
	struct {
		struct hello hello;
		char more[8];
	} longer = {.hello = good_hello()};
	const int fd = fl_shm_fd(region);
	assert_true(memory >= 0 && file >= 0 && ftruncate(memory, 1 << 20) == 0);
	for (unsigned i = 0; i < FL__PACKET_FDS; i++)
		many[i] = fd;
	unsigned before = fl_test_fds();
	(void)fl_set_log_handler(keep_log);
	FL_OK(find_fake(p.name, (struct fake){.bytes = &h, .size = sizeof h, .fds = &fd, .n_fds = 1}));
	/* nothing, an empty packet, too little, too much, another beginning */
	FL_RC(find_fake(p.name, (struct fake){.bytes = NULL}), -ECONNRESET); /* fl_endpoint_connect() */
	FL_RC(find_fake(p.name, (struct fake){.bytes = &h, .size = 0, .fds = &fd, .n_fds = 1}), -EBADMSG);
	FL_RC(find_fake(p.name, (struct fake){.bytes = &h, .size = 4, .fds = &fd, .n_fds = 1}), -EBADMSG);
	FL_RC(find_fake(p.name, (struct fake){.bytes = &h, .size = sizeof h - 1, .fds = &fd, .n_fds = 1}), -EBADMSG);
	FL_RC(find_fake(p.name, (struct fake){.bytes = &longer, .size = sizeof longer}), -EBADMSG);
	h.magic++;
	FL_RC(find_fake(p.name, (struct fake){.bytes = &h, .size = sizeof h, .fds = &fd, .n_fds = 1}), -EBADMSG);
	/* another version, whatever follows */
	h = good_hello();
	h.version++;
	FL_RC(find_fake(p.name, (struct fake){.bytes = &h, .size = 8, .fds = &fd, .n_fds = 1}), -EPROTONOSUPPORT);
	/* refused */
	h = good_hello();
	h.refused = 1;
	FL_RC(find_fake(p.name, (struct fake){.bytes = &h, .size = sizeof h}), -EACCES);
	h.refused = 2;
	FL_RC(find_fake(p.name, (struct fake){.bytes = &h, .size = sizeof h}), -EPROTO);
	assert_non_null(strstr(logged, "PID namespace"));
	/* a name that would change the terminal, and has no end */
	h = good_hello();
	memset(h.item_type, '\033', sizeof h.item_type);
	FL_RC(find_fake(p.name, (struct fake){.bytes = &h, .size = sizeof h, .fds = &fd, .n_fds = 1}), -EPROTO);
	assert_true(strstr(logged, "??????") && !strchr(logged, '\033'));
	/* too many descriptors, none, and of other files */
	h = good_hello();
	FL_RC(find_fake(p.name, (struct fake){.bytes = &h, .size = sizeof h, .fds = many, .n_fds = 2}), -EBADMSG);
	FL_RC(find_fake(p.name, (struct fake){.bytes = &h, .size = sizeof h, .fds = many, .n_fds = FL__PACKET_FDS}),
	      -EBADMSG);
	FL_RC(find_fake(p.name, (struct fake){.bytes = &h, .size = sizeof h}), -EPROTO);
	FL_RC(find_fake(p.name, (struct fake){.bytes = &h, .size = sizeof h, .fds = &file, .n_fds = 1}), -EPERM);
	FL_RC(find_fake(p.name, (struct fake){.bytes = &h, .size = sizeof h, .fds = &memory, .n_fds = 1}), -EPERM);
	assert_int_equal(fcntl(memory, F_ADD_SEALS, F_SEAL_SHRINK), 0);
	FL_RC(find_fake(p.name, (struct fake){.bytes = &h, .size = sizeof h, .fds = &memory, .n_fds = 1}), -EBADMSG);
	/* a descriptor limit */
	rlim_t limit = fl_test_limit_fds(4); /* the two sockets of the fake, that of the client */
	int rc = find_fake(p.name, (struct fake){.bytes = &h, .size = sizeof h, .fds = many, .n_fds = 8});
	fl_test_unlimit_fds(limit);
	FL_RC(rc, -EMFILE); /* fl_endpoint_connect() */
	(void)fl_set_log_handler(NULL);
	assert_int_equal(fl_test_fds(), before);
	assert_true(close(memory) == 0 && close(file) == 0);
	number_queue_free(q);
	fl_shm_free(region);
	fl_test_path_end(&p);
}

/* bug: region_shrinks. Memory that its owner can truncate is refused. */
FL_TEST(region_shrinks)
{
	fl_test_path p = fl_test_path_make();
	struct hello h = good_hello();
	int memory = memfd_create("unsealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	assert_true(memory >= 0 && ftruncate(memory, 1 << 20) == 0);
	(void)fl_set_log_handler(keep_log);
	FL_RC(find_fake(p.name, (struct fake){.bytes = &h, .size = sizeof h, .fds = &memory, .n_fds = 1}), -EPERM);
	(void)fl_set_log_handler(NULL);
	FL_OK(close(memory));
	fl_test_path_end(&p);
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
	fl_test_path p = fl_test_path_make();
	int listener = bare_listener(SOCK_SEQPACKET, p.name);
	unsigned before = fl_test_fds();
	FL_RC(fl_endpoint_connect_until(p.name, NULL, NULL, NULL, 0, NULL), -ETIMEDOUT);
	FL_RC(fl_endpoint_connect_until(p.name, NULL, NULL, NULL, fl_after(FL_MS(1)), NULL), -ETIMEDOUT);
	FL_OK(fl_loop_run(cancel_the_client, p.name));
	assert_int_equal(fl_test_fds(), before);
	FL_OK(close(listener));
	FL_OK(unlink(p.name));
	/* an endpoint that ends without an accept */
	struct stand s = stand_begin();
	int fd = bare_connect(s.path.name);
	char byte;
	stand_end(&(struct stand){s.path, s.region, s.q, s.endpoint, s.fds + 1});
	assert_true(recv(fd, &byte, 1, 0) <= 0 && close(fd) == 0);
	/* the last part: a wait with a token starts a thread, which keeps descriptors */
	s = stand_begin();
	FL_RC(fl_endpoint_accept_until(s.endpoint, NULL, FL_FOREVER, fl_test_requested), -ECANCELED);
	FL_RC(fl_endpoint_accept_until(s.endpoint, NULL, fl_after(FL_MS(1)), NULL), -ETIMEDOUT);
	fl_endpoint_free(s.endpoint);
	number_queue_free(s.q);
	fl_shm_free(s.region);
	fl_test_path_end(&s.path);
	fl_test_path_end(&p);
}

/* ---- other users */

static int peer_of_user_12345(int fd, int level, int option, void *value, socklen_t size)
{
	int rc = fl_test_real_net_sys.get_struct(fd, level, option, value, size);
	FL_CHECK(option == SO_PEERCRED);
	((struct ucred *)value)->uid = 12345;
	return rc;
}

FL_TEST(endpoint_of_another_user)
{
	FL_NET_FAULTS();
	const uid_t other[] = {1, 12345};
	fl_test_path p = fl_test_path_make();
	struct hello h = good_hello(), answer;
	fl_endpoint *o = NULL;
	unsigned before = fl_test_fds();
	/* the client looks at the user first, and takes nothing from another one */
	(void)fl_set_log_handler(keep_log);
	fl__net_sys.get_struct = peer_of_user_12345;
	FL_RC(find_fake(p.name, (struct fake){.bytes = &h, .size = sizeof h}), -EACCES);
	assert_non_null(strstr(logged, "runs as user 12345, expected"));
	int listener = bare_listener(SOCK_SEQPACKET, p.name);
	const fl_endpoint_config allowed = {NUMBERS, .users = other, .n_users = 2};
	FL_RC(fl_endpoint_connect_until(p.name, &allowed, NULL, NULL, 0, NULL), -ETIMEDOUT); /* goes on */
	assert_true(close(listener) == 0 && unlink(p.name) == 0);
	(void)fl_set_log_handler(NULL);
	/* the endpoint tells a refused client so, and sends nothing else */
	FL_OK(fl_endpoint_create(&o, p.name, &(fl_endpoint_config){NUMBERS}));
	int fd = bare_connect(p.name);
	FL_RC(fl_endpoint_accept_until(o, NULL, 0, NULL), -ETIMEDOUT);
	assert_int_equal(recv(fd, &answer, sizeof answer, 0), sizeof answer);
	assert_true(answer.refused == 1 && answer.item_version == 0 && answer.item_type[0] == '\0');
	assert_int_equal(recv(fd, &answer, sizeof answer, 0), 0);
	FL_OK(close(fd));
	fl_endpoint_free(o);
	FL_OK(fl_endpoint_create(&o, p.name, &allowed));
	fd = bare_connect(p.name);
	FL_OK(fl_endpoint_accept(o, NULL));
	FL_OK(close(fd));
	fl_endpoint_free(o);
	assert_int_equal(fl_test_fds(), before);
	fl_test_path_end(&p);
}

/* Clients that come and go do not extend the deadline, though the descriptor stays ready. */
FL_TEST(endpoint_deadline_beside_clients)
{
	fl_test_path p = fl_test_path_make();
	fl_endpoint *o = NULL;
	FL_OK(fl_endpoint_create(&o, p.name, &(fl_endpoint_config){NUMBERS}));
	for (int i = 0; i < 2; i++)
		FL_OK(close(bare_connect(p.name)));
	FL_RC(fl_endpoint_accept_until(o, NULL, 0, NULL), -ETIMEDOUT);
	assert_int_equal(poll(&(struct pollfd){fl_endpoint_fd(o), POLLIN, 0}, 1, 0), 1); /* the second */
	fl_endpoint_free(o);
	fl_test_path_end(&p);
}

/* Finds as another user; the exit status says the error. */
static int find_as_another_user(const char *path, const fl_endpoint_config *config, fl_endpoint *o)
{
	int status = -1;
	pid_t pid = fork();
	FL_CHECK(pid >= 0);
	if (pid == 0) {
		(void)alarm(60);
		if (setuid(65534) != 0)
			_exit(255);
		(void)fl_set_log_handler(keep_log);
		_exit(-fl_endpoint_connect(path, config, NULL, NULL));
	}
	while (o && waitpid(pid, &status, WNOHANG) == 0) {
		int rc = fl_endpoint_accept_until(o, NULL, fl_after(FL_MS(1)), NULL);
		FL_CHECK(rc == 0 || rc == -ETIMEDOUT);
	}
	if (!o)
		FL_CHECK(waitpid(pid, &status, 0) == pid);
	FL_CHECK(WIFEXITED(status));
	return -WEXITSTATUS(status);
}

FL_TEST(endpoint_to_another_user)
{
	if (!fl_test_has_users())
		FL_SKIP(FL_TEST_USERS_REASON);
	const uid_t nobody = 65534, me = geteuid();
	const fl_endpoint_config from_me = {.users = &me, .n_users = 1};
	fl_endpoint *o = NULL;
	fl_test_path p = fl_test_path_make();
	FL_OK(chmod(p.folder, 0755));
	FL_OK(fl_endpoint_create(&o, p.name, NULL));
	FL_RC(find_as_another_user(p.name, &from_me, NULL), -EACCES); /* the mode; fl_endpoint_connect() */
	fl_endpoint_free(o);
	FL_OK(fl_endpoint_create(&o, p.name, &(fl_endpoint_config){.mode = 0666}));
	FL_RC(find_as_another_user(p.name, &from_me, o), -EACCES); /* the endpoint does not allow it */
	fl_endpoint_free(o);
	FL_OK(fl_endpoint_create(&o, p.name, &(fl_endpoint_config){.users = &nobody, .n_users = 1}));
	FL_RC(find_as_another_user(p.name, NULL, o), -EACCES); /* the client does not allow it */
	FL_OK(find_as_another_user(p.name, &from_me, o));
	fl_endpoint_free(o);
	fl_test_path_end(&p);
}

/* ---- namespaces */

/* What fork() starts after it is process 1 of a PID namespace. */
static void try_pid_namespace(void)
{
	if (unshare(CLONE_NEWPID) != 0)
		_exit(1);
}

/* Finds in a PID namespace of its own; the exit status says the error. */
static void find_in_a_namespace(const char *path, bool wants_region)
{
	fl_shm *region = NULL;
	(void)alarm(60);
	if (unshare(CLONE_NEWPID) != 0)
		_exit(255);
	const pid_t pid = fork();
	if (pid == 0) {
		(void)fl_set_log_handler(keep_log);
		const int rc = fl_endpoint_connect(path, NULL, wants_region ? &region : NULL, NULL);
		_exit(rc == -EPROTO && !strstr(logged, "PID namespace") ? 254 : -rc);
	}
	int status = -1;
	FL_CHECK(pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status));
	_exit(WEXITSTATUS(status));
}

static int finds_from_a_namespace(fl_endpoint *o, const char *path, bool wants_region)
{
	int status = -1;
	const pid_t pid = fork();
	FL_CHECK(pid >= 0);
	if (pid == 0)
		find_in_a_namespace(path, wants_region);
	while (waitpid(pid, &status, WNOHANG) == 0) {
		const int rc = fl_endpoint_accept_until(o, NULL, fl_after(FL_MS(1)), NULL);
		FL_CHECK(rc == 0 || rc == -ETIMEDOUT);
	}
	FL_CHECK(WIFEXITED(status));
	return -WEXITSTATUS(status);
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
	for (int known = 0; known < 2; known++) {
		fl__shm_sys.pid_namespace = known ? real.pid_namespace : unknown_namespace; /* no /proc */
		FL_OK(fl_shm_create(&region, 1 << 16));
		FL_OK(fl_endpoint_create(&o, path, &(fl_endpoint_config){.region = region}));
		FL_RC(finds_from_a_namespace(o, path, true), -EPROTO);
		fl_endpoint_free(o);
		fl_shm_free(region);
	}
	fl__shm_sys = real;
	FL_OK(fl_endpoint_create(&o, path, NULL));
	FL_OK(finds_from_a_namespace(o, path, false));
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
	struct hello answer;
	fl_endpoint *o = NULL;
	fl_shm *region = NULL;
	const char *path = fl_test_abstract();
	FL_OK(fl_shm_create(&region, 1 << 16));
	FL_OK(fl_endpoint_create(&o, path, &(fl_endpoint_config){NUMBERS, .region = region}));
	fl__net_sys.get_struct = peer_without_a_number;
	const int fd = bare_connect(path);
	FL_RC(fl_endpoint_accept_until(o, NULL, 0, NULL), -ETIMEDOUT);
	assert_int_equal(recv(fd, &answer, sizeof answer, 0), sizeof answer);
	assert_true(answer.refused == 2 && answer.item_type[0] == '\0');
	FL_OK(close(fd));
	fl_endpoint_free(o);
	fl_shm_free(region);
}

/* In a user namespace in which this user has the number 65534, as has each user that it lacks. */
static void endpoint_as_unmapped(const char *path)
{
	fl_endpoint *o = NULL;
	if (unshare(CLONE_NEWUSER) != 0)
		_exit(77);
	const int map = open("/proc/self/uid_map", O_WRONLY | O_CLOEXEC);
	if (map < 0 || write(map, "65534 0 1", 9) != 9)
		_exit(77);
	FL_CHECK(geteuid() == 65534 && close(map) == 0);
	FL_OK(fl_endpoint_create(&o, path, NULL));
	FL_IGNORE(fl_endpoint_accept_until(o, NULL, fl_after(FL_S(60)), NULL));
	_exit(0);
}

/* bug: unmapped_user_is_taken_for_this_one */
FL_TEST(endpoint_in_a_user_namespace)
{
	if (!fl_test_has_users())
		FL_SKIP(FL_TEST_USERS_REASON);
	const uid_t root = 0;
	const fl_endpoint_config from_root = {.users = &root, .n_users = 1};
	const char *path = fl_test_abstract();
	int status = 0, rc = -ECONNREFUSED;
	const pid_t pid = fork();
	FL_CHECK(pid >= 0);
	if (pid == 0)
		endpoint_as_unmapped(path);
	while (rc == -ECONNREFUSED && waitpid(pid, &status, WNOHANG) == 0)
		rc = find_as_another_user(path, &from_root, NULL);
	FL_CHECK(kill(pid, SIGKILL) == 0 || errno == ESRCH);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		FL_SKIP("no user namespaces");
	(void)waitpid(pid, NULL, 0);
	FL_RC(rc, -EACCES);
}
