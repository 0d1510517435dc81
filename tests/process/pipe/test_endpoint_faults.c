/* SPDX-License-Identifier: BSD-2-Clause */
/* Endpoints when a system call fails, memory is short, or a process is killed: nothing leaks. */
#include "fl_emulated.h"
#include "fl_net_faults.h"
#include "fl_shm_child.h"

#include "process/packet.h"

FL_SHM_QUEUE_OF(uint64_t, number_queue)
FL_ALL_NEED(FL_TEST_MEMFD)

static int bare_connect(const char *path)
{
	struct sockaddr_un a;
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), size = fl__unix_address(&a, path);
	FL_CHECK(fd >= 0 && size > 0 && connect(fd, (struct sockaddr *)&a, (socklen_t)size) == 0);
	return fd;
}

static int fault;

static ssize_t failing_send(int socket, const struct msghdr *message)
{
	return fault;
}

static ssize_t failing_receive(int socket, struct msghdr *message, int flags)
{
	return fault;
}

static void no_faults(void)
{
	(void)fl_test_net_faults_end();
}

FL_TEST(endpoint_create_faults)
{
	FL_NET_FAULTS();
	fl_endpoint *o = NULL;
	fl_test_path p = fl_test_path_make();
	unsigned before = fl_test_fds();
	static const int of_socket[][2] = {{-EMFILE, -EMFILE}, {-ENFILE, -ENFILE}, {-ENOBUFS, -ENOMEM}};
	FL_EACH (i, of_socket) {
		fl_test_fails(CALL(socket), of_socket[i][0]);
		FL_RC(fl_endpoint_create(&o, p.name, NULL), of_socket[i][1]); /* -EMFILE, -ENFILE, -ENOMEM */
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
	assert_int_equal(fl_test_fds(), before);
	fl_test_path_end(&p);
}

FL_TEST(endpoint_accept_faults)
{
	FL_NET_FAULTS();
	fl_endpoint *o = NULL;
	fl_pipe *pipe = NULL;
	char byte;
	fl_test_path p = fl_test_path_make();
	unsigned before = fl_test_fds();
	FL_OK(fl_endpoint_create(&o, p.name, NULL));
	int fd = bare_connect(p.name);
	static const int of_accept[][2] = {
	    {-EMFILE, -EMFILE}, {-ENFILE, -ENFILE}, {-ENOBUFS, -ENOMEM}, {-ENOMEM, -ENOMEM}};
	FL_EACH (i, of_accept) {
		fl_test_fails(CALL(accept), of_accept[i][0]);
		FL_RC(fl_endpoint_accept(o, &pipe), of_accept[i][1]); /* -EMFILE, -ENFILE, -ENOMEM */
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
	fl__net_sys.sendmsg = failing_send;
	static const int of_send[][2] = {
	    {-ETOOMANYREFS, -ETOOMANYREFS}, {-ENOBUFS, -ENOMEM}, {-EAGAIN, -ENOMEM}, {-EPIPE, -ETIMEDOUT}};
	for (size_t i = 0; i < 2 * sizeof of_send / sizeof *of_send; i++) {
		fault = of_send[i / 2][0];
		fd = bare_connect(p.name);
		/* fl_endpoint_accept(): -ETOOMANYREFS */
		FL_RC(fl_endpoint_accept_until(o, i % 2 ? &pipe : NULL, 0, NULL), of_send[i / 2][1]);
		assert_int_equal(recv(fd, &byte, 1, 0), 0);
		FL_OK(close(fd));
	}
	assert_null(pipe);
	fl_endpoint_free(o);
	assert_int_equal(fl_test_fds(), before);
	fl_test_path_end(&p);
}

static unsigned allocations_left;

static void *few_allocations(size_t size)
{
	return allocations_left-- > 0 ? fl_test_counting_alloc(size) : NULL;
}

FL_TEST(endpoint_without_memory)
{
	FL_FAULTS();
	fl_test_path p = fl_test_path_make();
	const uid_t users[] = {1, 2};
	fl_endpoint *o = NULL;
	fl_pipe *pipe = NULL;
	fl_shm *region = NULL;
	FL_OK(fl_shm_create(&region, 4096));
	const fl_endpoint_config config = {.users = users, .n_users = 2, .region = region};
	unsigned before = fl_test_fds(), needed;
	int rc = -ENOMEM;
	fl_test_blocks = 0;
	fl__sys.alloc = few_allocations;
	fl__sys.free = fl_test_counting_free;
	for (needed = 0; rc == -ENOMEM; needed++) {
		assert_true(needed < 10);
		allocations_left = needed;
		rc = fl_endpoint_create(&o, p.name, &config); /* -ENOMEM */
	}
	FL_OK(rc);
	assert_true(needed > 2);
	int fd = bare_connect(p.name);
	allocations_left = 0;
	FL_RC(fl_endpoint_accept(o, &pipe), -ENOMEM);
	assert_true(pipe == NULL && close(fd) == 0);
	fl_endpoint_free(o);
	assert_int_equal(fl_test_blocks, 0);
	fl__sys = fl_test_real_sys;
	fl_shm_free(region);
	assert_int_equal(fl_test_fds(), before - 1);
	fl_test_path_end(&p);
}

FL_TEST(endpoint_find_faults)
{
	FL_FAULTS();
	FL_NET_FAULTS();
	fl_endpoint *o = NULL;
	fl_test_path p = fl_test_path_make();
	fl_shm *region = NULL, *found = NULL;
	fl_pipe *pipe = NULL;
	FL_OK(fl_shm_create(&region, 4096));
	static const int of_socket[][2] = {{-EMFILE, -EMFILE}, {-ENFILE, -ENFILE}, {-ENOBUFS, -ENOMEM}};
	FL_OK(fl_endpoint_create(&o, p.name, &(fl_endpoint_config){.region = region}));
	FL_EACH (i, of_socket) {
		fl_test_fails(CALL(socket), of_socket[i][0]);
		FL_RC(fl_endpoint_connect(p.name, NULL, &found, &pipe),
		      of_socket[i][1]); /* -EMFILE, -ENFILE, -ENOMEM */
	}
	static const int of_connect[] = {-EACCES, -ECONNREFUSED, -ENOENT};
	FL_EACH (i, of_connect) {
		fl_test_fails(CALL(connect), of_connect[i]);
		FL_RC(fl_endpoint_connect(p.name, NULL, &found, &pipe), of_connect[i]);
	}
	fl_test_fails(CALL(connect), -EAGAIN); /* the backlog is full */
	FL_RC(fl_endpoint_connect_until(p.name, NULL, &found, &pipe, fl_after(FL_MS(1)), NULL), -ETIMEDOUT);
	no_faults();
	fl_test_fails(CALL(get_struct), -ENOBUFS);
	FL_RC(fl_endpoint_connect(p.name, NULL, &found, &pipe), -ENOMEM);
	no_faults();
	fl__net_sys.recvmsg = failing_receive;
	fault = -ENOMEM;
	FL_RC(fl_endpoint_connect(p.name, NULL, &found, &pipe), -ENOMEM);
	no_faults();
	fl_endpoint_free(o);
	fl_shm_free(region);
	fl_test_path_end(&p);
}

/* The endpoint is in a child, so that this process can be short of anything. */
static pid_t server_child(const char *path, fl_shm *region)
{
	int ready[2];
	char byte;
	FL_OK(pipe2(ready, O_CLOEXEC));
	pid_t pid = fork();
	FL_CHECK(pid >= 0);
	if (pid == 0) {
		fl_endpoint *o = NULL;
		(void)alarm(60);
		if (fl_endpoint_create(&o, path, &(fl_endpoint_config){.region = region}) != 0 ||
		    write(ready[1], "x", 1) != 1)
			_exit(1);
		while (fl_endpoint_accept(o, NULL) == 0)
			;
		_exit(2);
	}
	FL_CHECK(close(ready[1]) == 0 && read(ready[0], &byte, 1) == 1 && close(ready[0]) == 0);
	return pid;
}

static void kill_child(pid_t pid)
{
	FL_CHECK(kill(pid, SIGKILL) == 0 && waitpid(pid, NULL, 0) == pid);
}

FL_TEST(endpoint_find_without_memory)
{
	FL_FAULTS();
	fl_test_path p = fl_test_path_make();
	fl_shm *region = NULL, *found = NULL;
	fl_pipe *pipe = NULL;
	FL_OK(fl_shm_create(&region, 4096));
	pid_t pid = server_child(p.name, region);
	unsigned before = fl_test_fds(), needed;
	int rc = -ENOMEM;
	fl_test_blocks = 0;
	fl__sys.free = fl_test_counting_free;
	fl__sys.alloc = few_allocations;
	for (needed = 0; rc == -ENOMEM; needed++) {
		assert_true(needed < 10);
		allocations_left = needed;
		rc = fl_endpoint_connect(p.name, NULL, &found, &pipe); /* -ENOMEM */
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
		rc = fl_endpoint_connect(p.name, NULL, &found, &pipe);
		fl_test_unlimit_fds(limit);
		FL_RC(rc, -EMFILE);
		assert_int_equal(fl_test_fds(), before);
	}
	kill_child(pid);
	fl_shm_free(region);
	FL_OK(unlink(p.name));
	fl_test_path_end(&p);
}

/* ---- processes that are killed */

FL_TEST(endpoint_after_a_kill)
{
	fl_test_path p = fl_test_path_make();
	fl_shm *found = NULL;
	fl_pipe *pipe = NULL;
	fl_shm *region = NULL;
	char byte;
	size_t size;
	FL_OK(fl_shm_create(&region, 4096));
	unsigned before = fl_test_fds();
	for (int i = 0; i < 5; i++) {
		pid_t pid = server_child(p.name, region); /* replaces the file of the one before */
		FL_OK(fl_endpoint_connect(p.name, NULL, &found, &pipe));
		kill_child(pid);
		/* accepted without a pipe: the end is there at once, or after the kill */
		FL_RC(fl_pipe_recv(pipe, &byte, 1, &size), -EPIPE);
		void *block = fl_shm_alloc(found, 64); /* the region goes on */
		assert_non_null(block);
		fl_shm_free_block(found, block);
		fl_shm_free(found);
		fl_pipe_free(pipe);
		assert_true(fl_test_path_is_there(&p));
		FL_RC(fl_endpoint_connect(p.name, NULL, NULL, NULL), -ECONNREFUSED);
	}
	assert_int_equal(fl_test_fds(), before);
	FL_OK(unlink(p.name));
	fl_shm_free(region);
	fl_test_path_end(&p);
}

/* A client that waits for an accept when the server is killed. */
FL_TEST(endpoint_killed_before_the_accept)
{
	fl_test_path p = fl_test_path_make();
	int ready[2];
	char byte;
	FL_OK(pipe2(ready, O_CLOEXEC));
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		fl_endpoint *o = NULL;
		struct pollfd one;
		(void)alarm(60);
		if (fl_endpoint_create(&o, p.name, NULL) != 0 || write(ready[1], "x", 1) != 1)
			_exit(1);
		one = (struct pollfd){fl_endpoint_fd(o), POLLIN, 0};
		(void)poll(&one, 1, -1); /* the client has come */
		(void)kill(getpid(), SIGKILL);
	}
	assert_true(close(ready[1]) == 0 && read(ready[0], &byte, 1) == 1 && close(ready[0]) == 0);
	FL_RC(fl_endpoint_connect(p.name, NULL, NULL, NULL), -ECONNRESET);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	FL_OK(unlink(p.name));
	fl_test_path_end(&p);
}

/* A forked child leaves the file, and may accept. */
FL_TEST(endpoint_in_a_forked_child)
{
	fl_test_path p = fl_test_path_make();
	fl_endpoint *o = NULL;
	int status = -1;
	FL_OK(fl_endpoint_create(&o, p.name, NULL));
	int fd = bare_connect(p.name);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		int rc = fl_endpoint_accept(o, NULL);
		fl_endpoint_free(o);
		_exit(rc == 0 ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	assert_true(fl_test_path_is_there(&p) && close(fd) == 0);
	fl_endpoint_free(o);
	assert_false(fl_test_path_is_there(&p));
	fl_test_path_end(&p);
}

/* Puts 1, 2, 3, ... from the number that the pipe brings; never ends. */
static void write_numbers(const char *path)
{
	fl_shm *region = NULL;
	fl_pipe *pipe = NULL;
	number_queue *q = NULL;
	uint64_t next = 0;
	size_t size;
	(void)alarm(60);
	int rc =
	    fl_endpoint_connect(path, &(fl_endpoint_config){.item_type = "number", .item_size = 8}, &region, &pipe);
	if (rc == 0)
		rc = number_queue_open(&q, region, fl_shm_root(region));
	if (rc == 0)
		rc = fl_pipe_recv(pipe, &next, sizeof next, &size);
	while (rc == 0)
		rc = number_queue_put(q, next++);
	_exit(1);
}

/* The writer is killed while it writes, again and again: no number is lost, doubled or torn. */
FL_TEST(endpoint_writer_is_killed)
{
	enum { KILLS = 20, BETWEEN = 2000 };
	fl_test_path p = fl_test_path_make();
	fl_shm *region = NULL;
	number_queue *q = NULL;
	fl_endpoint *o = NULL;
	fl_pipe *pipe = NULL;
	uint64_t next = 0, number = 0;
	char byte;
	size_t size;
	FL_TEST_NEEDS_DEATHS();
	FL_OK(fl_shm_create(&region, 1 << 20));
	FL_OK(number_queue_create(&q, region, &(fl_shm_queue_config){.capacity = 100}));
	FL_OK(fl_shm_set_root(region, number_queue_offset(q)));
	FL_OK(fl_endpoint_create(&o, p.name,
	                         &(fl_endpoint_config){.item_type = "number", .item_size = 8, .region = region}));
	unsigned before = fl_test_fds();
	for (int i = 0; i < KILLS; i++) {
		pid_t pid = fork();
		assert_true(pid >= 0);
		if (pid == 0)
			write_numbers(p.name);
		FL_OK(fl_endpoint_accept(o, &pipe));
		FL_OK(fl_pipe_send(pipe, &next, sizeof next));
		for (int k = 0; k < BETWEEN; k++) {
			FL_OK(number_queue_get(q, &number));
			assert_int_equal(number, next);
			next++;
		}
		FL_OK(kill(pid, SIGKILL));
		FL_RC(fl_pipe_recv(pipe, &byte, 1, &size), -EPIPE); /* tells the death */
		fl_pipe_free(pipe);
		while (number_queue_try_get(q, &number) == 0) {
			assert_int_equal(number, next);
			next++;
		}
		assert_int_equal(waitpid(pid, NULL, 0), pid);
	}
	assert_int_equal(fl_test_fds(), before);
	fl_endpoint_free(o);
	number_queue_free(q);
	fl_shm_free(region);
	fl_test_path_end(&p);
}
