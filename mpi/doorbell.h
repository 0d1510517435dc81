/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/*
 * A doorbell is a TCP connection between rank 0 and a worker rank, by which rank 0 wakes a sleeping
 * rank, and each side learns of the other's death. A rank without a doorbell polls. When MPI starts
 * or ends, no other thread calls these functions. At other times the caller holds the engine lock,
 * except for fl__mpi_bell_fd().
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
	int fd; /* rank 0's end, or -1 if rank 0 has not accepted the connection */
};

/*
 * Called by rank 0. Listens for the connections of `size` ranks, with `one_host` only on the
 * loopback address. The caller has set `address->host`; the function sets `address->port`. Returns
 * an array with an entry for each rank, which the caller fills with what the ranks tell, or NULL if
 * there are no doorbells.
 */
struct fl__mpi_bell *fl__mpi_bell_listen(struct fl__mpi_address *address, int size, bool one_host);

/* Called by a worker rank. Connects to rank 0, and returns what the rank tells rank 0. */
struct fl__mpi_bell fl__mpi_bell_connect(const struct fl__mpi_address *address);

/*
 * Called by rank 0. Accepts the connections whose ends are in the array. Waits for at most two
 * seconds.
 */
void fl__mpi_bell_accept(void);

/* Called by a worker rank when rank 0 has not accepted its connection. */
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
 * Reads what the doorbells tell. Returns -1 if no peer has died. Otherwise closes the connection to
 * a dead peer. In rank 0 the result is the number of that rank. In a worker rank it is 0 if rank 0
 * has died, and 1 if rank 0 lives but considers this rank dead.
 */
int fl__mpi_bell_take(void);

/* Called when rank 0 considers the rank dead. Tells the rank so, and closes its connection. */
void fl__mpi_bell_shut(int rank);

/* In rank 0, returns whether a connection is open. */
bool fl__mpi_bell_any(void);
