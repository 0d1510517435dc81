/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_MPI_DOORBELL_H
#define FL_MPI_DOORBELL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A doorbell is a TCP connection between rank 0 and a worker rank: rank 0 wakes a sleeping rank,
 * and each side learns of the other's death. A rank without a doorbell polls. All calls are under
 * the engine lock, except fl__mpi_bell_fd().
 */
enum { FL__MPI_COOKIE = 16 };

struct fl__mpi_address {
	unsigned char cookie[FL__MPI_COOKIE];
	uint16_t port; /* 0: there are no doorbells */
	char host[64];
};

/*
 * Rank 0 of `size` ranks; with `one_host`, on the loopback address alone. `address->host` is set.
 */
void fl__mpi_bell_listen(struct fl__mpi_address *address, int size, bool one_host);

/* A worker rank. False: it has no doorbell. */
bool fl__mpi_bell_connect(const struct fl__mpi_address *address, int rank);

/* Rank 0: waits two seconds at most. Returns the connections by rank; -1: no doorbell. */
const int *fl__mpi_bell_accept(const struct fl__mpi_address *address, int n);

/* Rank 0 has not taken this rank's connection. */
void fl__mpi_bell_give_up(void);

/* Closes all. */
void fl__mpi_bell_close(void);

bool fl__mpi_bell_is_there(void);

void fl__mpi_bell_ring(int rank);

/* Readable when a doorbell has rung, or a peer has died; -1: none. */
int fl__mpi_bell_fd(void);

/* Returns the rank that has died; -1: none. */
int fl__mpi_bell_take(void);

#endif
