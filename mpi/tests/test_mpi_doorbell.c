/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tests the start of doorbells, without MPI: rank 0 is the case, and worker ranks are forked
 * children.
 */
#include "fl_mpi_or_skip.h"
#ifdef FL_TEST_MPI
#define FL_TEST_MPI_BY_HAND 1
#include "fl_mpi.h"

#include "../doorbell.h"
#include <arpa/inet.h>
#include <poll.h>

/*
 * Disables pthread_cancel(), like the library's threads that use doorbells, because otherwise
 * support/fl_cancel_points.c would note their calls.
 */
__attribute__((constructor)) static void ignore_pthread_cancel(void)
{
	int before;
	(void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
}

enum { RANKS = 3 };

static struct fl__mpi_bell *bells; /* those of rank 0 */

static struct fl__mpi_address bell_address(void)
{
	struct fl__mpi_address address = {.port = 0};
	FL_OK(gethostname(address.host, sizeof address.host - 1));
	bells = fl__mpi_bell_listen(&address, RANKS, true);
	FL_CHECK(bells && address.port != 0);
	return address;
}

/*
 * Connects as another program would: from that port of 127.0.0.2 or, if it is 0, from any port of
 * 127.0.0.1.
 */
static int stranger(const struct fl__mpi_address *address, in_port_t port)
{
	struct sockaddr_in at = {
	    .sin_family = AF_INET, .sin_port = port, .sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1)};
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	FL_CHECK(fd >= 0 && (port == 0 || bind(fd, (const struct sockaddr *)&at, sizeof at) == 0));
	at.sin_port = htons(address->port);
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	FL_OK(connect(fd, (const struct sockaddr *)&at, sizeof at));
	return fd;
}

/* Starts a worker rank: it connects, writes its end to `told`, and waits for a ring. */
static pid_t start_rank(const struct fl__mpi_address *address, int told)
{
	const pid_t pid = fork();
	FL_CHECK(pid >= 0);
	if (pid > 0)
		return pid;
	(void)alarm(60);
	const struct fl__mpi_bell own = fl__mpi_bell_connect(address);
	if (own.here == 0 || !fl__mpi_bell_is_there() || write(told, &own, sizeof own) != sizeof own)
		_exit(1);
	struct pollfd bell = {.fd = fl__mpi_bell_fd(), .events = POLLIN};
	_exit(poll(&bell, 1, -1) == 1 && fl__mpi_bell_take() == -1 ? 0 : 2);
}

static void expect_exit(pid_t pid)
{
	int status = -1;
	FL_CHECK(waitpid(pid, &status, 0) == pid);
	assert_int_equal(status, 0);
}

/* Returns whether a socket of this machine listens only on the loopback address. */
static bool is_on_loopback(unsigned port)
{
	char line[512], expected[32];
	bool found = false;
	(void)snprintf(expected, sizeof expected, " %08X:%04X 00000000:0000 0A", htonl(INADDR_LOOPBACK), port);
	FILE *sockets = fopen("/proc/net/tcp", "re");
	FL_CHECK(sockets != NULL);
	while (fgets(line, sizeof line, sockets))
		found |= strstr(line, expected) != NULL;
	FL_OK(fclose(sockets));
	return found;
}

/* bug: doorbell_held_up_by_strangers */
FL_TEST(mpi_doorbell_beside_strangers)
{
	enum { BEFORE = 100, ALL = BEFORE + RANKS };
	const struct fl__mpi_address address = bell_address();
	int strangers[ALL], told[2];
	pid_t ranks[RANKS];
	assert_true(is_on_loopback(address.port));
	for (int i = 0; i < BEFORE; i++)
		strangers[i] = stranger(&address, 0);
	FL_OK(shutdown(strangers[0], SHUT_WR));
	FL_OK(pipe2(told, O_CLOEXEC));
	for (int rank = 1; rank < RANKS; rank++) {
		ranks[rank] = start_rank(&address, told[1]);
		assert_int_equal(read(told[0], &bells[rank], sizeof *bells), sizeof *bells);
		strangers[BEFORE + rank] = stranger(&address, (in_port_t)bells[rank].here);
	}
	strangers[BEFORE] = stranger(&address, 0);
	fl__mpi_bell_accept();
	assert_true(bells[0].fd == -1 && bells[1].fd >= 0 && bells[2].fd >= 0);
	for (int rank = 1; rank < RANKS; rank++) {
		fl__mpi_bell_ring(rank);
		expect_exit(ranks[rank]);
		FL_WAIT_FOR(fl__mpi_bell_take() == rank); /* the rank has ended */
	}
	assert_false(is_on_loopback(address.port));
	fl__mpi_bell_close();
	FL_EACH (i, strangers)
		FL_OK(close(strangers[i]));
	fl_test_close_two(told);
}

/* Connects from 127.0.0.1 to rank 0 on that host: from `*port`, or from any port if it is 0. */
static int from_port(const struct fl__mpi_address *address, in_addr_t host, in_port_t *port)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = *port, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof at;
	const int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	FL_OK(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one));
	FL_OK(bind(fd, (const struct sockaddr *)&at, sizeof at));
	FL_OK(getsockname(fd, (struct sockaddr *)&at, &size));
	*port = at.sin_port;
	at.sin_port = htons(address->port);
	at.sin_addr.s_addr = htonl(host);
	FL_OK(connect(fd, (const struct sockaddr *)&at, sizeof at));
	return fd;
}

/* A stranger once had a connection from a rank's port, and now has one to another address. */
FL_TEST(mpi_doorbell_beside_a_stranger_of_the_same_port)
{
	struct fl__mpi_address address = {.port = 0};
	const struct linger reset = {.l_onoff = 1};
	in_port_t port = 0;
	char ring;
	bells = fl__mpi_bell_listen(&address, RANKS, false);
	FL_CHECK(bells && address.port != 0);
	const int dead = from_port(&address, INADDR_LOOPBACK, &port);
	FL_OK(setsockopt(dead, SOL_SOCKET, SO_LINGER, &reset, sizeof reset));
	FL_OK(close(dead));
	const int alive = from_port(&address, INADDR_LOOPBACK + 1, &port),
		  rank = from_port(&address, INADDR_LOOPBACK, &port);
	bells[1].here = (uint64_t)htonl(INADDR_LOOPBACK) << 16 | port;
	bells[1].there = (uint64_t)htonl(INADDR_LOOPBACK) << 16 | htons(address.port);
	fl__mpi_bell_accept();
	assert_true(bells[1].fd >= 0);
	assert_int_equal(fl__mpi_bell_take(), -1);
	fl__mpi_bell_ring(1);
	assert_int_equal(recv(rank, &ring, 1, 0), 1);
	fl__mpi_bell_close();
	FL_OK(close(alive));
	FL_OK(close(rank));
}

/* bug: doorbell_given_up_is_no_death. Rank 0 waits for two seconds in it. */
FL_TEST(mpi_doorbell_that_rank_0_does_not_take)
{
	const struct fl__mpi_address address = bell_address();
	const int other = stranger(&address, 0);
	bells[1].here = 1; /* the connection does not come */
	fl__mpi_bell_accept();
	assert_true(bells[0].fd == -1 && bells[1].fd == -1 && bells[2].fd == -1);
	FL_OK(close(other));
	assert_int_equal(fl__mpi_bell_take(), -1); /* no rank has died */
	fl__mpi_bell_ring(1);                      /* does nothing */
	fl__mpi_bell_close();
}

FL_TEST(mpi_doorbell_is_given_up)
{
	const struct fl__mpi_address address = bell_address();
	struct fl__mpi_address nowhere = address;
	nowhere.port = 1; /* nobody listens there */
	const pid_t pid = fork();
	FL_CHECK(pid >= 0);
	if (pid == 0) {
		FL_CHECK(fl__mpi_bell_connect(&nowhere).here == 0 && !fl__mpi_bell_is_there());
		FL_CHECK(fl__mpi_bell_connect(&address).here != 0 && fl__mpi_bell_is_there());
		fl__mpi_bell_give_up();
		_exit(fl__mpi_bell_is_there() || fl__mpi_bell_take() != -1);
	}
	expect_exit(pid);
	fl__mpi_bell_close();
}

#endif
