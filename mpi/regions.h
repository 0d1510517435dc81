/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "wire.h"
#include <fairlead/shm.h>
#include <stdbool.h>

/*
 * Any thread may call fl__mpi_sender_new() and fl__mpi_received_free(); the leader calls all
 * others, under the engine lock.
 *
 * Processes with the same number can share memory. 0: unknown.
 */
uint64_t fl__mpi_machine(const char *host);

struct fl__mpi_sender;

/* `*changed` is set when a transfer ends. NULL: no memory. The caller frees it by fl__free(). */
struct fl__mpi_sender *fl__mpi_sender_new(fl_shm *const *regions, unsigned n, bool *changed);

/* The rank answers with HAS. */
void fl__mpi_sender_tell(struct fl__mpi_sender *s, uint32_t pool, int rank);

void fl__mpi_sender_on_want(struct fl__mpi_sender *s, int from, const struct fl__mpi_head *head);

/*
 * Handles HAS. Returns
 *   0          the rank has the regions
 *   -EAGAIN    nothing is to be done
 *   any other  it cannot get them
 */
int fl__mpi_sender_on_has(struct fl__mpi_sender *s, int from, const struct fl__mpi_head *head, const char *data);

/* Another rank becomes the owner for those that wait. `s`: or NULL. */
void fl__mpi_sender_on_death(struct fl__mpi_sender *s, uint32_t pool, int rank);

/* All ranks that were told, and live, have the regions. `s`: or NULL. */
bool fl__mpi_sender_is_complete(const struct fl__mpi_sender *s);

/* A rank has yet to answer, or receives. `s` may be NULL. */
bool fl__mpi_sender_is_busy(const struct fl__mpi_sender *s);

/* Receiving ranks fail; no other begins. `s` may be NULL. */
void fl__mpi_sender_stop(struct fl__mpi_sender *s);

struct fl__mpi_received {
	unsigned n;
	fl_shm *regions[FL_REGIONS_MAX];
};

void fl__mpi_receiver_on_regions(const struct fl__mpi_head *head, const char *data);
void fl__mpi_receiver_on_bytes(const struct fl__mpi_head *head, const char *data);

/* The caller's from now on. NULL: none. */
struct fl__mpi_received *fl__mpi_receiver_take(uint32_t pool);
void fl__mpi_received_free(struct fl__mpi_received *received);
