/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/*
 * A doorbell is a TCP connection between rank 0 and a worker rank. By it rank 0 wakes a sleeping
 * rank, and each side learns of the death of the other. A rank without a doorbell polls. The start
 * and the end of MPI call these functions while no other thread does. At other times the caller
 * holds the engine lock, except for fl__mpi_bell_fd().
 */
struct fl__mpi_address {
	uint16_t port; /* where rank 0 listens; 0 if there are no doorbells */
	char host[64];
	uint64_t machine; /* a result of fl__mpi_machine(): rank 0's */
};

/* The connection of one rank. */
struct fl__mpi_bell {
	/*
	 * The address and port of the rank's end, and of rank 0's end. Both are 0 without a
	 * connection.
	 */
	uint64_t here, there;
	int fd; /* rank 0's end, or -1 if rank 0 has not taken the connection */
};

/*
 * Rank 0 calls it, and listens for the connections of `size` ranks: with `one_host` on the loopback
 * address alone. The caller has set `address->host`; the function sets `address->port`. Returns an
 * array with an entry for each rank, which the caller fills with what the ranks tell. Returns NULL
 * if there are no doorbells.
 */
struct fl__mpi_bell *fl__mpi_bell_listen(struct fl__mpi_address *address, int size, bool one_host);

/* A worker rank calls it, and connects to rank 0. The result says what the rank tells rank 0. */
struct fl__mpi_bell fl__mpi_bell_connect(const struct fl__mpi_address *address);

/*
 * Rank 0 calls it, and takes the connections whose ends are in the array. Waits for two seconds at
 * most.
 */
void fl__mpi_bell_accept(void);

/* A worker rank calls it when rank 0 has not taken its connection. */
void fl__mpi_bell_give_up(void);

void fl__mpi_bell_close(void);

bool fl__mpi_bell_is_there(void);

void fl__mpi_bell_ring(int rank);

/*
 * Returns a descriptor that is readable when a doorbell has rung or a peer has died, or -1 if there
 * is none. Needs no lock.
 */
int fl__mpi_bell_fd(void);

/*
 * Takes what the doorbells tell. Returns -1 if no peer has died. Otherwise closes the connection to
 * a peer that has died. Rank 0 gets the number of that rank. A worker rank gets 0 if rank 0 has
 * died, and 1 if rank 0 lives but takes this rank for dead.
 */
int fl__mpi_bell_take(void);

/* Rank 0 takes the rank for dead: tells it so, and closes its connection. */
void fl__mpi_bell_shut(int rank);

/* In rank 0, returns whether a connection is open. */
bool fl__mpi_bell_any(void);
