/* SPDX-License-Identifier: BSD-2-Clause */
/* Unix sockets: their paths, and what was left behind at them; and connecting to them. */
#include "fl_streams.h"

/* ---- listening */

static void reach_path(fl_listener *l, const char *path)
{
	fl_stream *a = NULL, *b = NULL;
	FL_OK(fl_stream_connect_unix(&a, path));
	FL_OK(fl_listener_accept(l, &b));
	fl_test_talk(a, b);
	fl_stream_free(a);
	fl_stream_free(b);
}

FL_NET_TEST(net_unix_listen)
{
	fl_listener *l = NULL;
	const char *name = fl_test_abstract();
	fl_test_path p = fl_test_path_make();
	FL_OK(fl_listener_open_unix(&l, p.name, NULL));
	FL_CHECK(fl_test_path_is_there(&p) && fl_test_is_cloexec(fl_listener_fd(l)) && fl_listener_port(l) == 0);
	reach_path(l, p.name);
	fl_listener_free(l);
	FL_CHECK(!fl_test_path_is_there(&p));
	fl_test_path_end(&p);
	FL_OK(fl_listener_open_unix(&l, name, NULL));
	struct sockaddr_un a = {0};
	socklen_t size = sizeof a;
	FL_OK(getsockname(fl_listener_fd(l), (struct sockaddr *)&a, &size));
	/* Without the NUL. */
	FL_CHECK(size == offsetof(struct sockaddr_un, sun_path) + strlen(name));
	FL_CHECK(a.sun_path[0] == '\0' && memcmp(a.sun_path + 1, name + 1, strlen(name) - 1) == 0);
	reach_path(l, name);
	fl_listener *other = NULL;
	FL_RC(fl_listener_open_unix(&other, name, NULL), -EADDRINUSE);
	fl_listener_free(l);
	FL_OK(fl_listener_open_unix(&l, name, NULL));
	fl_listener_free(l);
}

/* The longest path that fits, and one byte more. */
FL_NET_TEST(net_unix_path_too_long)
{
	struct sockaddr_un a;
	char path[sizeof a.sun_path + 1];
	fl_listener *l = NULL;
	fl_stream *s = NULL;
	fl_test_path p = fl_test_path_make();
	size_t n = strlen(p.folder);
	memset(path, 'x', sizeof path);
	memcpy(path, p.folder, n);
	path[n] = '/';
	path[sizeof a.sun_path] = '\0';
	FL_RC(fl_listener_open_unix(&l, path, NULL), -ENAMETOOLONG);
	FL_RC(fl_stream_connect_unix(&s, path), -ENAMETOOLONG);
	path[sizeof a.sun_path - 1] = '\0';
	FL_OK(fl_listener_open_unix(&l, path, NULL));
	reach_path(l, path);
	fl_listener_free(l);
	FL_RC(fl_listener_open_unix(&l, "", NULL), -EINVAL);
	FL_RC(fl_listener_open_unix(&l, NULL, NULL), -EINVAL);
	fl_test_path_end(&p);
}

FL_NET_TEST(net_unix_left_behind)
{
	fl_listener *l = NULL, *other = NULL;
	fl_test_path p = fl_test_path_make();
	FL_OK(close(fl_test_unix_bound(p.name, SOCK_STREAM, true))); /* a process that was killed leaves this */
	FL_CHECK(fl_test_path_is_there(&p));
	FL_OK(fl_listener_open_unix(&l, p.name, NULL));
	reach_path(l, p.name);
	FL_RC(fl_listener_open_unix(&other, p.name, NULL), -EADDRINUSE); /* there is a listener */
	fl_stream *s = fl_test_accepted(l);                              /* the check has connected */
	char got;
	FL_RC(fl_stream_read_some(s, &got, 1), 0);
	fl_stream_free(s);
	fl_listener_free(l);
	FL_CHECK(!fl_test_path_is_there(&p));
	fl_test_path_end(&p);
}

static fl_listener *listener;

static int listen_at(const char *path)
{
	return fl_listener_open_unix(&listener, path, NULL);
}

static void end_listener(void)
{
	fl_listener_free(listener);
	listener = NULL;
}

FL_NET_TEST(net_unix_leaves_the_files_of_others)
{
	fl_test_unix_leaves_others(listen_at, end_listener, SOCK_STREAM); /* fl_listener_open_unix: -ENOTDIR, -ENOENT */
}

/* At a path where a socket is, which cannot be found out about, or not removed. */
FL_NET_TEST(net_unix_left_behind_faults)
{
	fl_listener *l = NULL;
	fl_test_path p = fl_test_path_make();
	FL_OK(close(fl_test_unix_bound(p.name, SOCK_STREAM, false)));
	fl_test_fails(CALL(unlink), -EACCES);
	FL_RC(fl_listener_open_unix(&l, p.name, NULL), -EACCES);
	static const int of_connect[][2] = {{-EACCES, -EACCES}, {-EAGAIN, -EADDRINUSE}, {-EPROTOTYPE, -EADDRINUSE}};
	FL_EACH (i, of_connect) {
		fl_test_fails(CALL(connect), of_connect[i][0]);
		FL_RC(fl_listener_open_unix(&l, p.name, NULL), of_connect[i][1]);
	}
	fl_test_fails_by((struct fl_test_fault){.calls = CALL(socket), .error = -EMFILE, .only = 2});
	FL_RC(fl_listener_open_unix(&l, p.name, NULL), -EMFILE);
	fl_test_fails(CALL(socket_file), -EACCES);
	FL_RC(fl_listener_open_unix(&l, p.name, NULL), -EACCES);
	fl_test_fails(CALL(socket_file), -ENOENT); /* it was removed already: but another file is there now */
	FL_RC(fl_listener_open_unix(&l, p.name, NULL), -EADDRINUSE);
	fl_test_no_faults();
	FL_CHECK(fl_test_path_is_there(&p));
	FL_OK(fl_listener_open_unix(&l, p.name, NULL));
	fl_test_fails(CALL(unlink), -EACCES);
	fl_listener_free(l);
	fl_test_no_faults();
	FL_OK(fl_listener_open_unix(&l, p.name, NULL)); /* which it has left behind */
	fl_listener_free(l);
	fl_test_path_end(&p);
}

/* ---- several processes open one path */

static const char *opened_path;

/* Between bind() and listen() of a socket, a second one is to be opened at its path. */
static int listen_after_another(int fd, int backlog)
{
	fl_listener *l = NULL;
	fl__net_sys.listen = fl_test_real_net_sys.listen;
	FL_RC(fl_listener_open_unix(&l, opened_path, NULL), -EADDRINUSE);
	return fl_test_real_net_sys.listen(fd, backlog);
}

/* bug: stale_race. A socket that does not listen yet is not taken for a stale file. */
FL_NET_TEST(stale_race)
{
	fl_test_path p = fl_test_path_make();
	opened_path = p.name;
	FL_BOTH (stale) {
		fl_listener *l = NULL;
		if (stale)
			FL_OK(close(fl_test_unix_bound(p.name, SOCK_STREAM, true)));
		fl__net_sys.listen = listen_after_another;
		FL_OK(fl_listener_open_unix(&l, p.name, NULL));
		reach_path(l, p.name);
		fl_listener_free(l);
	}
	fl_test_path_end(&p);
}

static int inherited;

/* As a child that was forked just now: it has the descriptor of the lock, too. */
static int lock_and_fork(const char *path)
{
	int fd = fl_test_real_unix_sys.lock(path);
	FL_CHECK(fd >= 0);
	inherited = dup(fd);
	return fd;
}

/*
 * The lock's file that a killed process left behind, or whose descriptor a child has, bars nothing.
 */
FL_NET_TEST(net_unix_lock_files)
{
	fl_listener *l = NULL;
	char name[64];
	fl_test_path p = fl_test_path_make();
	FL_TEXT(name, "%s.lock", p.name);
	int left = open(name, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	FL_CHECK(left >= 0 && close(left) == 0);
	fl__unix_sys.lock = lock_and_fork;
	FL_OK(fl_listener_open_unix(&l, p.name, NULL));
	FL_CHECK(access(name, F_OK) < 0 && errno == ENOENT);
	fl_listener_free(l);
	fl_test_no_faults();
	FL_OK(fl_listener_open_unix(&l, p.name, NULL));
	fl_listener_free(l);
	FL_OK(close(inherited));
	fl_test_path_end(&p);
}

/*
 * Without descriptors there is no lock, and no socket; where a file cannot be locked, none is
 * needed.
 */
FL_NET_TEST(net_unix_lock_faults)
{
	static const int results[][2] = {{-EMFILE, -EMFILE}, {-ENOMEM, -ENOMEM}, {-EWOULDBLOCK, -EADDRINUSE},
	                                 {-ENOLCK, 0},       {-EACCES, 0},       {-ELOOP, 0}};
	fl_test_path p = fl_test_path_make();
	FL_EACH (i, results) {
		fl_listener *l = NULL;
		fl_test_fails(CALL(lock), results[i][0]);
		FL_RC(fl_listener_open_unix(&l, p.name, NULL), results[i][1]);
		fl_listener_free(l);
	}
	fl_test_path_end(&p);
}

/* ---- connecting */

FL_NET_TEST(net_unix_connect_errors)
{
	char name[128];
	fl_stream *s = NULL;
	fl_test_path p = fl_test_path_make();
	FL_RC(fl_stream_connect_unix(&s, p.name), -ENOENT);
	FL_RC(fl_stream_connect_unix(&s, p.folder), -ENOTSOCK);
	FL_RC(fl_stream_connect_unix(&s, fl_test_abstract()), -ECONNREFUSED);
	FL_RC(fl_stream_connect_unix(&s, ""), -EINVAL);
	FL_RC(fl_stream_connect_unix(&s, NULL), -EINVAL);
	memset(name, 'x', sizeof name);
	name[108] = '\0';
	FL_RC(fl_stream_connect_unix(&s, name), -ENAMETOOLONG);
	name[107] = '\0';
	FL_RC(fl_stream_connect_unix(&s, name), -ENOENT);
	int fd = fl_test_unix_bound(p.name, SOCK_DGRAM, false);
	FL_RC(fl_stream_connect_unix(&s, p.name), -EPROTOTYPE);
	FL_OK(close(fd));
	FL_RC(fl_stream_connect_unix(&s, p.name), -ECONNREFUSED);
	FL_CHECK(s == NULL && unlink(p.name) == 0);
	fl_test_path_end(&p);
}

static int connect_full(void *stream)
{
	return fl_stream_connect_unix(stream, fl_test_abstract());
}

/* A listener that has as many connections as it keeps. */
FL_NET_TEST(net_unix_connect_to_a_full_listener)
{
	fl_listener *l = NULL;
	fl_stream *first[2], *s = NULL;
	FL_OK(fl_listener_open_unix(&l, fl_test_abstract(), &(fl_listen_config){.backlog = 1}));
	FL_EACH (i, first)
		FL_OK(fl_stream_connect_unix(&first[i], fl_test_abstract()));
	FL_RC(fl_stream_connect_unix_until(&s, fl_test_abstract(), FL_NO_WAIT, NULL), -ETIMEDOUT);
	FL_RC(fl_stream_connect_unix_until(&s, fl_test_abstract(), fl_after(FL_MS(5)), NULL), -ETIMEDOUT);
	fl_fiber *f = fl_test_start(connect_full, &s);
	fl_test_settle();
	FL_CHECK(fl_fiber_is_alive(f));
	fl_fiber_cancel(f);
	FL_RC(fl_test_join(f), -ECANCELED); /* fl_stream_connect_unix() */
	FL_RC(fl_stream_connect_unix_until(&s, fl_test_abstract(), FL_FOREVER, fl_test_requested), -ECANCELED);
	f = fl_test_start(connect_full, &s);
	fl_test_settle();
	FL_CHECK(fl_fiber_is_alive(f));
	fl_stream *taken = fl_test_accepted(l);
	FL_OK(fl_test_join(f));
	FL_EACH (i, first) {
		fl_stream_free(taken);
		fl_stream_free(first[i]);
		taken = fl_test_accepted(l);
	}
	fl_test_talk(s, taken);
	fl_stream_free(s);
	fl_stream_free(taken);
	fl_listener_free(l);
}

static int connect_until(void *deadline)
{
	fl_stream *s = NULL;
	return fl_stream_connect_unix_until(&s, fl_test_abstract(), *(const fl_time *)deadline, NULL);
}

/* A caller that asks again and again does not oversleep: the clock stops at the deadline. */
FL_NET_TEST(net_unix_connect_in_time)
{
	fl_time deadline;
	fl_listener *l = NULL;
	fl_stream *first[2];
	fl_test_stop_clock();
	deadline = fl_after(FL_US(1));
	FL_OK(fl_listener_open_unix(&l, fl_test_abstract(), &(fl_listen_config){.backlog = 1}));
	FL_EACH (i, first)
		FL_OK(fl_stream_connect_unix(&first[i], fl_test_abstract()));
	fl_fiber *f = fl_test_start(connect_until, &deadline);
	fl_test_settle();
	FL_CHECK(fl_fiber_is_alive(f));
	fl__store_relaxed(&fl_test_ahead, FL_US(1)); /* relaxed: as above */
	FL_RC(fl_test_join(f), -ETIMEDOUT);
	fl_test_start_clock();
	fl_stream_free(first[0]);
	fl_stream_free(first[1]);
	fl_listener_free(l);
}
