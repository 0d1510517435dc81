/* SPDX-License-Identifier: BSD-2-Clause */
/* The start of doorbells, without MPI: rank 0 is the case, and worker ranks are forked children. */
#include "fl_mpi_or_skip.h"
#ifdef FL_TEST_MPI
#define FL_TEST_MPI_BY_HAND 1
#include "fl_mpi.h"

#include "../../lib/mpi/doorbell.h"
#include <arpa/inet.h>
#include <poll.h>

enum { RANKS = 3 };

static struct fl__mpi_address bell_address(void)
{
	struct fl__mpi_address address = {.port = 0};
	FL_OK(gethostname(address.host, sizeof address.host - 1));
	fl__mpi_bell_listen(&address, RANKS, true);
	FL_CHECK(address.port != 0);
	return address;
}

/* A connection of another program, which sends `size` bytes. */
static int stranger(const struct fl__mpi_address *address, const void *bytes, size_t size)
{
	const struct sockaddr_in at = {
	    .sin_family = AF_INET, .sin_port = htons(address->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	FL_CHECK(fd >= 0 && connect(fd, (const struct sockaddr *)&at, sizeof at) == 0);
	FL_CHECK(size == 0 || send(fd, bytes, size, MSG_NOSIGNAL) == (ssize_t)size);
	return fd;
}

/* A worker rank: connects, writes a byte to `told`, and waits for a ring. */
static pid_t start_rank(const struct fl__mpi_address *address, int rank, int told)
{
	const pid_t pid = fork();
	FL_CHECK(pid >= 0);
	if (pid > 0)
		return pid;
	(void)alarm(60);
	if (!fl__mpi_bell_connect(address, rank) || !fl__mpi_bell_is_there() || write(told, "", 1) != 1)
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

/* Whether a socket of this machine listens on the loopback address alone. */
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
	enum { SILENT = 200, WRONG = 5, ALL = SILENT + WRONG };
	struct {
		unsigned char cookie[FL__MPI_COOKIE];
		int32_t rank;
	} greeting = {.rank = 1};
	const struct fl__mpi_address address = bell_address();
	int strangers[ALL], told[2];
	pid_t ranks[RANKS];
	char byte;
	assert_true(is_on_loopback(address.port));
	for (int i = 0; i < SILENT; i++)
		strangers[i] = stranger(&address, NULL, 0);
	strangers[SILENT] = stranger(&address, &greeting, sizeof greeting);
	strangers[SILENT + 1] = stranger(&address, &greeting, sizeof greeting - 1);
	memcpy(greeting.cookie, address.cookie, sizeof greeting.cookie);
	greeting.rank = 0;
	strangers[SILENT + 2] = stranger(&address, &greeting, sizeof greeting);
	greeting.rank = RANKS;
	strangers[SILENT + 3] = stranger(&address, &greeting, sizeof greeting);
	strangers[SILENT + 4] = stranger(&address, NULL, 0);
	FL_OK(shutdown(strangers[SILENT + 4], SHUT_WR));
	FL_OK(pipe2(told, O_CLOEXEC));
	for (int rank = 1; rank < RANKS; rank++)
		ranks[rank] = start_rank(&address, rank, told[1]);
	for (int rank = 1; rank < RANKS; rank++)
		assert_int_equal(read(told[0], &byte, 1), 1);
	const int *taken = fl__mpi_bell_accept(&address, RANKS - 1);
	assert_true(taken[0] == -1 && taken[1] >= 0 && taken[2] >= 0);
	for (int rank = 1; rank < RANKS; rank++) {
		fl__mpi_bell_ring(rank);
		expect_exit(ranks[rank]);
		FL_WAIT_FOR(fl__mpi_bell_take() == rank); /* it has ended */
	}
	assert_false(is_on_loopback(address.port));
	fl__mpi_bell_close();
	for (int i = 0; i < ALL; i++)
		FL_OK(close(strangers[i]));
	assert_true(close(told[0]) == 0 && close(told[1]) == 0);
}

/* bug: doorbell_given_up_is_no_death. Rank 0 waits for two seconds. */
FL_TEST(mpi_doorbell_that_rank_0_does_not_take)
{
	const struct fl__mpi_address address = bell_address();
	const int late = stranger(&address, NULL, 0);
	const int *taken = fl__mpi_bell_accept(&address, 1);
	assert_true(taken[0] == -1 && taken[1] == -1 && taken[2] == -1);
	FL_OK(close(late));
	assert_int_equal(fl__mpi_bell_take(), -1); /* no rank has died */
	fl__mpi_bell_ring(1);                      /* does nothing */
	fl__mpi_bell_close();
}

FL_TEST(mpi_doorbell_is_given_up)
{
	const struct fl__mpi_address address = bell_address();
	const struct fl__mpi_address nowhere = {.port = 0};
	const pid_t pid = fork();
	FL_CHECK(pid >= 0);
	if (pid == 0) {
		FL_CHECK(!fl__mpi_bell_connect(&nowhere, 1) && !fl__mpi_bell_is_there());
		FL_CHECK(fl__mpi_bell_connect(&address, 1) && fl__mpi_bell_is_there());
		fl__mpi_bell_give_up();
		_exit(fl__mpi_bell_is_there() || fl__mpi_bell_take() != -1);
	}
	expect_exit(pid);
	fl__mpi_bell_close();
}

#endif
