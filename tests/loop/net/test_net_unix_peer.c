/* SPDX-License-Identifier: BSD-2-Clause */
/* Unix sockets: the mode of the file, and the credentials of the peer. */
#include "fl_streams.h"

/* ---- the mode of the file */

static unsigned mode_of(const char *path)
{
	struct stat st;
	FL_OK(lstat(path, &st));
	return st.st_mode & 07777;
}

FL_NET_TEST(net_unix_mode)
{
	fl_listener *l = NULL;
	fl_test_path p = fl_test_path_make();
	static const unsigned wanted[] = {0600, 0660, 0666, 0777, 0200};
	for (int mask = 0; mask <= 077; mask += 077) {
		const mode_t before = umask((mode_t)mask);
		FL_EACH (i, wanted) {
			FL_OK(fl_listener_open_unix(&l, p.name, &(fl_listen_config){.mode = wanted[i]}));
			FL_RC(mode_of(p.name), wanted[i]);
			fl_listener_free(l);
		}
		FL_OK(fl_listener_open_unix(&l, p.name, NULL));
		FL_RC(mode_of(p.name), 0777 & ~mask);
		fl_listener_free(l);
		(void)umask(before);
	}
	l = NULL;
	FL_RC(fl_listener_open_unix(&l, p.name, &(fl_listen_config){.mode = 01000}), -EINVAL);
	FL_RC(fl_listener_open_unix(&l, p.name, &(fl_listen_config){.backlog = -1}), -EINVAL);
	FL_RC(fl_listener_open_tcp(&l, "127.0.0.1", 0, &(fl_listen_config){.backlog = -1}), -EINVAL);
	FL_RC(fl_listener_open_unix(&l, fl_test_abstract(), &(fl_listen_config){.mode = 0600}), -EINVAL);
	FL_CHECK(l == NULL && !fl_test_path_is_there(&p));
	fl_test_path_end(&p);
}

static int set_mode_without_listener(const char *path, unsigned mode)
{
	fl_stream *s = NULL;
	FL_RC(fl_stream_connect_unix(&s, path), -ECONNREFUSED);
	return fl_test_real_unix_sys.set_mode(path, mode);
}

/* bug: chmod_after_bind. No process connects while the file still has another mode. */
FL_NET_TEST(chmod_after_bind)
{
	fl_listener *l = NULL;
	fl_test_path p = fl_test_path_make();
	fl__unix_sys.set_mode = set_mode_without_listener;
	FL_OK(fl_listener_open_unix(&l, p.name, &(fl_listen_config){.mode = 0600}));
	fl_listener_free(l);
	fl_test_path_end(&p);
}

static int replaced_by_a_link(const char *path, unsigned mode)
{
	FL_OK(unlink(path));
	FL_OK(symlink("/dev/null", path));
	return fl_test_real_unix_sys.set_mode(path, mode);
}

static int replaced_by_a_file(const char *path, unsigned mode)
{
	int fd;
	FL_CHECK(unlink(path) == 0 && (fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600)) >= 0 && close(fd) == 0);
	return fl_test_real_unix_sys.set_mode(path, mode);
}

static int removed(const char *path, unsigned mode)
{
	FL_OK(unlink(path));
	return fl_test_real_unix_sys.set_mode(path, mode);
}

FL_NET_TEST(net_unix_mode_faults)
{
	const fl_listen_config config = {.mode = 0600};
	fl_listener *l = NULL;
	fl_test_path p = fl_test_path_make();
	fl_test_fails(CALL(set_mode), -EMFILE);
	FL_RC(fl_listener_open_unix(&l, p.name, &config), -EMFILE);
	FL_CHECK(!fl_test_path_is_there(&p));
	fl__unix_sys.set_mode = removed;
	FL_RC(fl_listener_open_unix(&l, p.name, &config), -ENOENT);
	fl__unix_sys.set_mode = replaced_by_a_link; /* the file behind the link keeps its mode */
	FL_RC(fl_listener_open_unix(&l, p.name, &config), -ENOTSOCK);
	FL_OK(unlink(p.name));
	fl__unix_sys.set_mode = replaced_by_a_file;
	FL_RC(fl_listener_open_unix(&l, p.name, &config), -ENOTSOCK);
	FL_CHECK(l == NULL && unlink(p.name) == 0);
	fl_test_no_faults();
	fl_test_path_end(&p);
}

/* A child that belongs to another user connects, and ends with the errno. */
static void connect_as_another_user(void *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	FL_CHECK(fd >= 0 && setuid(65534) == 0);
	_exit(connect(fd, address, sizeof(struct sockaddr_un)) == 0 ? 0 : errno);
}

static int connects_as_another_user(const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	FL_TEXT(a.sun_path, "%s", path);
	const int status = fl_test_child(connect_as_another_user, &a, NULL, 0);
	FL_CHECK(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int other_user(void *unused)
{
	fl_listener *l = NULL;
	fl_peer_credentials peer;
	fl_test_path p = fl_test_path_make();
	FL_OK(chmod(p.folder, 0755));
	FL_OK(fl_listener_open_unix(&l, p.name, &(fl_listen_config){.mode = 0600}));
	FL_RC(connects_as_another_user(p.name), EACCES);
	fl_listener_free(l);
	FL_OK(fl_listener_open_unix(&l, p.name, &(fl_listen_config){.mode = 0666}));
	FL_OK(connects_as_another_user(p.name));
	fl_stream *s = fl_test_accepted(l);
	FL_OK(fl_stream_peer_credentials(s, &peer));
	FL_CHECK(peer.uid == 65534 && peer.gid == getegid() && peer.pid != getpid());
	fl_stream_free(s);
	fl_listener_free(l);
	fl_test_path_end(&p);
	return 0;
}

FL_TEST(net_unix_mode_keeps_other_users_out)
{
	fl_test_need_users();
	fl_test_leaves_nothing(other_user, NULL);
}

/* ---- the peer */

/* Only the option for pidfds fails. */
static int fault;

static int failing_pidfd(int fd, int level, int option, int *value)
{
	return option == SO_DOMAIN ? fl_test_real_net_sys.get_option(fd, level, option, value) : fault;
}

static void has_no_credentials(fl_stream *s)
{
	fl_peer_credentials peer;
	FL_RC(fl_stream_peer_credentials(s, &peer), -ENOTSUP);
	FL_RC(fl_stream_peer_pidfd(s), -ENOTSUP);
	fl_stream_free(s);
}

FL_NET_TEST(stream_peer_credentials)
{
	fl_listener *l = NULL;
	fl_stream *a = NULL, *b = NULL;
	fl_peer_credentials peer;
	int other, ends[2];
	FL_OK(fl_listener_open_unix(&l, fl_test_abstract(), NULL));
	FL_OK(fl_stream_connect_unix(&a, fl_test_abstract()));
	b = fl_test_accepted(l);
	FL_OK(fl_stream_peer_credentials(a, &peer)); /* of the listener */
	FL_CHECK(peer.pid == getpid() && peer.uid == geteuid() && peer.gid == getegid());
	FL_OK(fl_stream_peer_credentials(b, &peer));
	FL_CHECK(peer.pid == getpid() && peer.uid == geteuid() && peer.gid == getegid());
	fl_stream_free(a);
	FL_OK(fl_stream_peer_credentials(b, &peer)); /* also when it has closed */
	FL_CHECK(peer.pid == getpid());
	fl_test_fails(CALL(get_struct), -ENOBUFS);
	FL_RC(fl_stream_peer_credentials(b, &peer), -ENOBUFS);
	fl_test_no_faults();
	fl_stream_free(b);
	fl_listener_free(l);
	has_no_credentials(fl_test_tcp_stream(&other));
	FL_OK(close(other));
	FL_OK(pipe2(ends, O_CLOEXEC));
	has_no_credentials(fl_test_stream_of(ends[0]));
	FL_OK(close(ends[1]));
}

FL_NET_TEST(stream_peer_pidfd_faults)
{
	fl_stream *ends[2];
	FL_OK(fl_stream_pair(ends));
	fl__net_sys.get_option = failing_pidfd;
	static const int of_system[][2] = {{-ENOPROTOOPT, -ENOTSUP}, {-EINVAL, -ESRCH},  {-ENODATA, -ESRCH},
	                                   {-ESRCH, -ESRCH},         {-EMFILE, -EMFILE}, {-ENFILE, -ENFILE}};
	FL_EACH (i, of_system) {
		fault = of_system[i][0];
		FL_RC(fl_stream_peer_pidfd(ends[0]), of_system[i][1]); /* -ENOTSUP, -ESRCH, -EMFILE, -ENFILE */
	}
	fl_test_no_faults();
	fl_stream_free(ends[0]);
	fl_stream_free(ends[1]);
}

/* bug: peer_pid_reused. A pidfd names the process, whatever number it had. */
static int pidfd(void *supported)
{
	fl_stream *s = NULL;
	int ends[2], gate[2];
	char go_on;
	FL_OK(pipe2(gate, O_CLOEXEC));
	fl_test_path p = fl_test_path_make();
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	FL_TEXT(a.sun_path, "%s", p.name);
	ends[0] = fl_test_unix_bound(p.name, SOCK_STREAM, true);
	pid_t pid = fork();
	FL_CHECK(pid >= 0);
	if (pid == 0) {
		int fd = socket(AF_UNIX, SOCK_STREAM, 0);
		(void)close(gate[1]);
		if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof a) != 0)
			_exit(1);
		_exit((int)read(gate[0], &go_on, 1)); /* until the parent closes */
	}
	FL_CHECK((ends[1] = accept4(ends[0], NULL, NULL, SOCK_CLOEXEC)) >= 0);
	s = fl_test_stream_of(ends[1]);
	int fd = fl_stream_peer_pidfd(s);
	*(bool *)supported = fd != -ENOTSUP;
	FL_OK(close(gate[0]));
	if (fd != -ENOTSUP) {
		FL_CHECK(fd >= 0 && fl_test_is_cloexec(fd) && poll(&(struct pollfd){fd, POLLIN, 0}, 1, 0) == 0);
		FL_OK(close(gate[1]));
		FL_OK(fl_fd_wait(fd, FL_FD_IN));
		FL_OK(close(fd));
	} else {
		FL_OK(close(gate[1]));
	}
	fl_test_reap(pid);
	fd = fl_stream_peer_pidfd(s); /* it is reaped */
	FL_CHECK(fd >= 0 || fd == -ESRCH || fd == -ENOTSUP);
	if (fd >= 0)
		FL_OK(close(fd));
	fl_stream_free(s);
	FL_OK(close(ends[0]));
	FL_OK(unlink(p.name));
	fl_test_path_end(&p);
	return 0;
}

FL_TEST(peer_pid_reused)
{
	bool supported = false;
	fl_test_leaves_nothing(pidfd, &supported);
	if (!supported)
		FL_SKIP("the system has no pidfd of a peer");
}
