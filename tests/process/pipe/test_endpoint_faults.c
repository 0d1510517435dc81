/* SPDX-License-Identifier: BSD-2-Clause */
/* Endpoints when a system call fails, memory is short, or a process is killed: nothing leaks. */
#include "fl_shm_child.h"
#include "fl_streams.h"

#include "process/base/packet.h"

FL_SHM_QUEUE_OF(uint64_t, number_queue)
FL_ALL_NEED(FL_TEST_MEMFD)

static int bare_connect(const char *path)
{
	struct sockaddr_un a;
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), size = fl__unix_address(&a, path);
	FL_CHECK(fd >= 0 && size > 0 && connect(fd, (struct sockaddr *)&a, (socklen_t)size) == 0);
	return fd;
}

static void no_faults(void)
{
	(void)fl_test_net_faults_end();
}

/* An error of the system, and what the library says of it. */
struct fault {
	int system, library;
};

static const struct fault of_socket[] = {{-EMFILE, -EMFILE}, {-ENFILE, -ENFILE}, {-ENOBUFS, -ENOMEM}};

FL_TEST(endpoint_create_faults)
{
	FL_NET_FAULTS();
	fl_endpoint *o = NULL;
	FL_TEST_PATH(p);
	FL_TEST_FDS_STAY();
	FL_EACH (i, of_socket) {
		fl_test_fails(CALL(socket), of_socket[i].system);
		FL_RC(fl_endpoint_create(&o, p.name, NULL), of_socket[i].library); /* -EMFILE, -ENFILE, -ENOMEM */
	}
	static const int of_bind[] = {-EACCES, -EROFS};
	FL_EACH (i, of_bind) {
		fl_test_fails(CALL(bind), of_bind[i]);
		FL_RC(fl_endpoint_create(&o, p.name, NULL), of_bind[i]); /* -EACCES, -EROFS */
	}
	fl_test_fails(CALL(set_mode), -EROFS);
	FL_RC(fl_endpoint_create(&o, p.name, NULL), -EROFS);
	assert_false(fl_test_path_is_there(&p));
	fl_test_fails(CALL(listen), -ENOBUFS);
	FL_RC(fl_endpoint_create(&o, p.name, NULL), -ENOMEM);
	assert_false(fl_test_path_is_there(&p));
	assert_null(o);
}

FL_TEST(endpoint_accept_faults)
{
	FL_NET_FAULTS();
	FL_TEST_PATH(p);
	FL_TEST_FDS_STAY();
	fl_endpoint *o = NULL;
	fl_pipe *pipe = NULL;
	char byte;
	FL_OK(fl_endpoint_create(&o, p.name, NULL));
	int fd = bare_connect(p.name);
	static const struct fault of_accept[] = {
	    {-EMFILE, -EMFILE}, {-ENFILE, -ENFILE}, {-ENOBUFS, -ENOMEM}, {-ENOMEM, -ENOMEM}};
	FL_EACH (i, of_accept) {
		fl_test_fails(CALL(accept), of_accept[i].system);
		FL_RC(fl_endpoint_accept(o, &pipe), of_accept[i].library); /* -EMFILE, -ENFILE, -ENOMEM */
	}
	no_faults();
	FL_OK(fl_endpoint_accept(o, &pipe)); /* it still waits */
	fl_pipe_free(pipe);
	FL_OK(close(fd));
	/* between the accept and the hello: the client gets the end */
	pipe = NULL;
	fl_test_fails(CALL(get_struct), -ENOBUFS);
	fd = bare_connect(p.name);
	FL_RC(fl_endpoint_accept(o, &pipe), -ENOMEM);
	assert_int_equal(recv(fd, &byte, 1, 0), 0);
	FL_OK(close(fd));
	no_faults();
	static const struct fault of_send[] = {
	    {-ETOOMANYREFS, -ETOOMANYREFS}, {-ENOBUFS, -ENOMEM}, {-EAGAIN, -ENOMEM}, {-EPIPE, -ETIMEDOUT}};
	FL_EACH (i, of_send)
		FL_BOTH (with_pipe) {
			fl_test_fails(CALL(sendmsg), of_send[i].system);
			fd = bare_connect(p.name);
			/* fl_endpoint_accept(): -ETOOMANYREFS */
			FL_RC(fl_endpoint_accept_until(o, with_pipe ? &pipe : NULL, FL_NO_WAIT, NULL),
			      of_send[i].library);
			assert_int_equal(recv(fd, &byte, 1, 0), 0);
			FL_OK(close(fd));
		}
	assert_null(pipe);
	fl_endpoint_free(o);
}

FL_TEST(endpoint_without_memory)
{
	FL_FAULTS();
	FL_TEST_PATH(p);
	const uid_t users[] = {1, 2};
	fl_endpoint *o = NULL;
	fl_pipe *pipe = NULL;
	FL_SCOPED(fl_shm) *region = region_of(4096);
	const fl_endpoint_config config = {.users = users, .n_users = 2, .region = region};
	unsigned before = fl_test_fds(), needed;
	int rc = -ENOMEM;
	fl_test_blocks = 0;
	fl__sys.alloc = fl_test_few_allocs;
	fl__sys.free = fl_test_counting_free;
	for (needed = 0; rc == -ENOMEM; needed++) {
		assert_true(needed < 10);
		fl_test_allocs_left = needed;
		rc = fl_endpoint_create(&o, p.name, &config); /* -ENOMEM */
	}
	FL_OK(rc);
	assert_true(needed > 2);
	int fd = bare_connect(p.name);
	fl_test_allocs_left = 0;
	FL_RC(fl_endpoint_accept(o, &pipe), -ENOMEM);
	assert_true(pipe == NULL && close(fd) == 0);
	fl_endpoint_free(o);
	assert_int_equal(fl_test_blocks, 0);
	fl__sys = fl_test_real_sys;
	assert_int_equal(fl_test_fds(), before);
}

FL_TEST(endpoint_find_faults)
{
	FL_FAULTS();
	FL_NET_FAULTS();
	FL_TEST_PATH(p);
	FL_SCOPED(fl_shm) *region = region_of(4096);
	FL_SCOPED(fl_endpoint) *o = NULL;
	fl_shm *found = NULL;
	fl_pipe *pipe = NULL;
	FL_OK(fl_endpoint_create(&o, p.name, &(fl_endpoint_config){.region = region}));
	FL_EACH (i, of_socket) {
		fl_test_fails(CALL(socket), of_socket[i].system);
		/* -EMFILE, -ENFILE, -ENOMEM */
		FL_RC(fl_endpoint_connect(&found, &pipe, p.name, NULL), of_socket[i].library);
	}
	static const int of_connect[] = {-EACCES, -ECONNREFUSED, -ENOENT};
	FL_EACH (i, of_connect) {
		fl_test_fails(CALL(connect), of_connect[i]);
		FL_RC(fl_endpoint_connect(&found, &pipe, p.name, NULL), of_connect[i]);
	}
	fl_test_fails(CALL(connect), -EAGAIN); /* the backlog is full */
	FL_RC(fl_endpoint_connect_until(&found, &pipe, p.name, NULL, fl_test_soon(), NULL), -ETIMEDOUT);
	no_faults();
	fl_test_fails(CALL(get_struct), -ENOBUFS);
	FL_RC(fl_endpoint_connect(&found, &pipe, p.name, NULL), -ENOMEM);
	no_faults();
	fl_test_fails(CALL(recvmsg), -ENOMEM);
	FL_RC(fl_endpoint_connect(&found, &pipe, p.name, NULL), -ENOMEM);
	no_faults();
}

/* The endpoint is in a child, so that this process can be short of anything. */
struct server {
	const char *path;
	fl_shm *region;
	bool dies; /* as soon as a client has come */
	int ready[2];
};

static int serve(void *arg)
{
	const struct server *s = arg;
	fl_endpoint *o = NULL;
	FL_OK(fl_endpoint_create(&o, s->path, &(fl_endpoint_config){.region = s->region}));
	FL_CHECK(write(s->ready[1], "x", 1) == 1);
	if (s->dies) {
		(void)poll(&(struct pollfd){fl_endpoint_fd(o), POLLIN, 0}, 1, -1);
		(void)raise(SIGKILL);
	}
	while (fl_endpoint_accept(o, NULL) == 0)
		;
	return 2;
}

/* A server, whose endpoint is there. */
static pid_t start_server(struct server s)
{
	char byte;
	FL_OK(pipe2(s.ready, O_CLOEXEC));
	pid_t pid = fl_test_fork(serve, &s);
	FL_CHECK(close(s.ready[1]) == 0 && read(s.ready[0], &byte, 1) == 1 && close(s.ready[0]) == 0);
	return pid;
}

FL_TEST(endpoint_find_without_memory)
{
	FL_FAULTS();
	FL_TEST_PATH(p);
	FL_SCOPED(fl_shm) *region = region_of(4096);
	fl_shm *found = NULL;
	fl_pipe *pipe = NULL;
	pid_t pid = start_server((struct server){p.name, .region = region});
	unsigned before = fl_test_fds(), needed;
	int rc = -ENOMEM;
	fl_test_blocks = 0;
	fl__sys.free = fl_test_counting_free;
	fl__sys.alloc = fl_test_few_allocs;
	for (needed = 0; rc == -ENOMEM; needed++) {
		assert_true(needed < 10);
		fl_test_allocs_left = needed;
		rc = fl_endpoint_connect(&found, &pipe, p.name, NULL); /* -ENOMEM */
		if (rc != 0)
			assert_true(!found && !pipe && fl_test_blocks == 0 && fl_test_fds() == before);
	}
	FL_OK(rc);
	assert_true(needed > 2);
	fl_shm_free(found);
	fl_pipe_free(pipe);
	fl__sys = fl_test_real_sys;
	for (unsigned more = 0; more < 3; more++) { /* the socket, the hello's descriptor, the region's own */
		rlim_t limit = fl_test_limit_fds(more);
		rc = fl_endpoint_connect(&found, &pipe, p.name, NULL);
		fl_test_unlimit_fds(limit);
		FL_RC(rc, -EMFILE);
		assert_int_equal(fl_test_fds(), before);
	}
	fl_test_kill(pid);
	FL_OK(unlink(p.name));
}

/* ---- processes that are killed */

FL_TEST(endpoint_after_a_kill)
{
	FL_TEST_PATH(p);
	FL_SCOPED(fl_shm) *region = region_of(4096);
	char byte;
	size_t size;
	unsigned before = fl_test_fds();
	for (int i = 0; i < 5; i++) {
		FL_SCOPED(fl_shm) *found = NULL;
		FL_SCOPED(fl_pipe) *pipe = NULL;
		/* replaces the file of the one before */
		pid_t pid = start_server((struct server){p.name, .region = region});
		FL_OK(fl_endpoint_connect(&found, &pipe, p.name, NULL));
		fl_test_kill(pid);
		/* accepted without a pipe: the end is there at once, or after the kill */
		FL_RC(fl_pipe_receive(pipe, &byte, 1, &size), -EPIPE);
		void *block = fl_shm_block_alloc(found, 64); /* the region goes on */
		assert_non_null(block);
		fl_shm_block_free(found, block);
		assert_true(fl_test_path_is_there(&p));
		FL_RC(fl_endpoint_connect(NULL, NULL, p.name, NULL), -ECONNREFUSED);
	}
	assert_int_equal(fl_test_fds(), before);
	FL_OK(unlink(p.name));
}

/* A client that waits for an accept when the server is killed. */
FL_TEST(endpoint_killed_before_the_accept)
{
	FL_TEST_PATH(p);
	pid_t pid = start_server((struct server){p.name, .dies = true});
	FL_RC(fl_endpoint_connect(NULL, NULL, p.name, NULL), -ECONNRESET);
	assert_true(WIFSIGNALED(fl_test_status(pid)));
	FL_OK(unlink(p.name));
}

static int accept_inherited(void *o)
{
	int rc = fl_endpoint_accept(o, NULL);
	fl_endpoint_free(o);
	return rc == 0 ? 0 : 1;
}

/* A forked child leaves the file, and may accept. */
FL_TEST(endpoint_in_a_forked_child)
{
	FL_TEST_PATH(p);
	fl_endpoint *o = NULL;
	FL_OK(fl_endpoint_create(&o, p.name, NULL));
	int fd = bare_connect(p.name);
	fl_test_reap(fl_test_fork(accept_inherited, o));
	assert_true(fl_test_path_is_there(&p) && close(fd) == 0);
	fl_endpoint_free(o);
	assert_false(fl_test_path_is_there(&p));
}

/* Puts 1, 2, 3, ... from the number that the pipe brings; never ends. */
static int write_numbers(void *path)
{
	fl_shm *region = NULL;
	fl_pipe *pipe = NULL;
	number_queue *q = NULL;
	uint64_t next = 0;
	size_t size;
	int rc =
	    fl_endpoint_connect(&region, &pipe, path, &(fl_endpoint_config){.item_type = "number", .item_size = 8});
	if (rc == 0)
		rc = number_queue_attach(&q, region, fl_shm_root(region));
	if (rc == 0)
		rc = fl_pipe_receive(pipe, &next, sizeof next, &size);
	while (rc == 0)
		rc = number_queue_put(q, next++);
	return 1;
}

/* The writer is killed while it writes, again and again: no number is lost, doubled or torn. */
FL_TEST(endpoint_writer_is_killed)
{
	enum { KILLS = 20, BETWEEN = 2000 };
	FL_TEST_NEEDS_DEATHS();
	FL_TEST_PATH(p);
	FL_SCOPED(fl_shm) *region = region_of(1 << 20);
	FL_SCOPED(number_queue) *q = NULL;
	FL_SCOPED(fl_endpoint) *o = NULL;
	uint64_t next = 0, number = 0;
	char byte;
	size_t size;
	FL_OK(number_queue_create(&q, region, &(fl_shm_queue_config){.capacity = 100}));
	FL_OK(fl_shm_set_root(region, number_queue_offset(q)));
	FL_OK(fl_endpoint_create(&o, p.name,
	                         &(fl_endpoint_config){.item_type = "number", .item_size = 8, .region = region}));
	FL_TEST_FDS_STAY();
	for (int i = 0; i < KILLS; i++) {
		FL_SCOPED(fl_pipe) *pipe = NULL;
		pid_t pid = fl_test_fork(write_numbers, p.name);
		FL_OK(fl_endpoint_accept(o, &pipe));
		FL_OK(fl_pipe_send(pipe, &next, sizeof next));
		for (int k = 0; k < BETWEEN; k++) {
			FL_OK(number_queue_get(q, &number));
			assert_int_equal(number, next);
			next++;
		}
		FL_OK(kill(pid, SIGKILL));
		FL_RC(fl_pipe_receive(pipe, &byte, 1, &size), -EPIPE); /* tells the death */
		while (number_queue_try_get(q, &number) == 0) {
			assert_int_equal(number, next);
			next++;
		}
		assert_true(WIFSIGNALED(fl_test_status(pid)));
	}
}
