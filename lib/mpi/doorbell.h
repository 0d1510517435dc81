/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_MPI_DOORBELL_H
#define FL_MPI_DOORBELL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Doorbells: a TCP connection between rank 0 and each worker rank, beside MPI. Through it rank 0
 * wakes a worker rank that sleeps, and each side learns of the other's death. A rank without one,
 * as behind a firewall, polls. For the MPI thread.
 */
enum { FL__MPI_COOKIE = 16 };

/* How worker ranks reach rank 0: sent to all. */
struct fl__mpi_address {
	unsigned char cookie[FL__MPI_COOKIE];
	uint16_t port; /* 0: there are no doorbells */
	char host[64];
};

/*
 * Rank 0 of `size` ranks: listens; with `one_host`, on the loopback address alone. `address->host`
 * is set.
 */
void fl__mpi_bell_listen(struct fl__mpi_address *address, int size, bool one_host);

/* A worker rank: connects. True: it has. */
bool fl__mpi_bell_connect(const struct fl__mpi_address *address, int rank);

/*
 * Rank 0: takes the connections of `n` ranks, for two seconds in all, and stops to listen. Returns
 * an array by rank: -1: the rank has no doorbell.
 */
const int *fl__mpi_bell_accept(const struct fl__mpi_address *address, int n);

/* A worker rank, whose connection rank 0 has not taken: does without. */
void fl__mpi_bell_give_up(void);

/* Closes all. */
void fl__mpi_bell_close(void);

/* Whether this worker rank has a doorbell. */
bool fl__mpi_bell_is_there(void);

/* Rank 0: wakes a rank that has a doorbell. */
void fl__mpi_bell_ring(int rank);

/* A descriptor that is readable when a doorbell has rung, or a peer has died; -1: none. */
int fl__mpi_bell_fd(void);

/* Takes the rings. Returns the rank that has died; -1: none. */
int fl__mpi_bell_take(void);

#endif
