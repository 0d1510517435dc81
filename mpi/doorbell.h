/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/*
 * A doorbell is a TCP connection between rank 0 and a worker rank: rank 0 wakes a sleeping rank,
 * and each side learns of the other's death. A rank without a doorbell polls. All calls are under
 * the engine lock, except fl__mpi_bell_fd().
 */
struct fl__mpi_address {
	uint16_t port; /* 0: there are no doorbells */
	char host[64];
	uint64_t machine; /* fl__mpi_machine() */
};

/* A rank's connection. */
struct fl__mpi_bell {
	uint64_t here, there; /* address and port of the rank's end, and of rank 0's; 0: none */
	int fd;               /* rank 0's end; -1: rank 0 has not taken the connection */
};

/*
 * Rank 0 of `size` ranks; with `one_host`, on the loopback address alone. `address->host` is set,
 * and the function sets the port. Returns an array for the connections by rank; NULL: there are no
 * doorbells.
 */
struct fl__mpi_bell *fl__mpi_bell_listen(struct fl__mpi_address *address, int size, bool one_host);

/* A worker rank. */
struct fl__mpi_bell fl__mpi_bell_connect(const struct fl__mpi_address *address);

/* Rank 0: takes the connections that stand in the array. Waits for two seconds at most. */
void fl__mpi_bell_accept(void);

/* Rank 0 has not taken this rank's connection. */
void fl__mpi_bell_give_up(void);

void fl__mpi_bell_close(void);

bool fl__mpi_bell_is_there(void);

void fl__mpi_bell_ring(int rank);

/* Readable when a doorbell has rung, or a peer has died; -1: none. */
int fl__mpi_bell_fd(void);

/*
 * Returns the rank that has died, and closes its connection; -1: none. 1 on a worker rank: rank 0
 * takes it for dead.
 */
int fl__mpi_bell_take(void);

/* Rank 0 takes the rank for dead. */
void fl__mpi_bell_shut(int rank);

/* Rank 0: whether a connection is open. */
bool fl__mpi_bell_any(void);
