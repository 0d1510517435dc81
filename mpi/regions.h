/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "wire.h"
#include <fairlead/shm.h>
#include <stdbool.h>

/*
 * How the ranks get the regions of an executor: the sender in rank 0, and the receiver in each
 * worker rank. regions.c describes the protocol. Any thread may call fl__mpi_machine(),
 * fl__mpi_sender_new() and fl__mpi_received_free(). All other functions are called by the leader,
 * under the engine lock.
 *
 * fl__mpi_machine() returns a number for the machine of the calling process, or 0 if the machine
 * cannot be identified. Processes with the same number can share memory, as far as the system
 * permits.
 */
uint64_t fl__mpi_machine(const char *host);

struct fl__mpi_sender;

/*
 * Makes the sender of an executor's regions, which sets `*changed` when a transfer ends. The caller
 * frees it by fl__free(). Returns NULL if there is no memory.
 */
struct fl__mpi_sender *fl__mpi_sender_new(fl_shm *const *regions, unsigned n, bool *changed);

/*
 * Tells the rank about the regions, at once or when the owner of its machine has them. The rank
 * answers with HAS.
 */
void fl__mpi_sender_tell(struct fl__mpi_sender *s, uint32_t pool, int rank);

void fl__mpi_sender_on_want(struct fl__mpi_sender *s, int from, const struct fl__mpi_head *head);

/*
 * Handles HAS of a rank. Returns
 *   0          the rank has the regions
 *   -EAGAIN    nothing is to be done
 *   any other  the rank cannot get the regions: this error
 */
int fl__mpi_sender_on_has(struct fl__mpi_sender *s, int from, const struct fl__mpi_head *head, const char *data);

/*
 * Called when a rank has died. Another rank becomes the owner for the ranks that wait for the dead
 * rank's memory. `s` may be NULL.
 */
void fl__mpi_sender_on_death(struct fl__mpi_sender *s, uint32_t pool, int rank);

/*
 * Returns whether all living ranks that fl__mpi_sender_tell() was called for have the regions. Also
 * returns true before the first such call, and if `s` is NULL.
 */
bool fl__mpi_sender_is_complete(const struct fl__mpi_sender *s);

/* Returns whether a rank has yet to answer or a transfer is under way. `s` may be NULL. */
bool fl__mpi_sender_is_busy(const struct fl__mpi_sender *s);

/*
 * Stops the sender. From then on a rank that asks for more bytes gets an error, and no rank that
 * waits is told. `s` may be NULL.
 */
void fl__mpi_sender_stop(struct fl__mpi_sender *s);

struct fl__mpi_received {
	unsigned n;
	fl_shm *regions[FL_REGIONS_MAX];
};

void fl__mpi_receiver_on_regions(const struct fl__mpi_head *head, const char *data);
void fl__mpi_receiver_on_bytes(const struct fl__mpi_head *head, const char *data);

/*
 * Returns the regions that the rank has received for that executor, or NULL if there are none. From
 * now on they belong to the caller.
 */
struct fl__mpi_received *fl__mpi_receiver_take(uint32_t pool);
void fl__mpi_received_free(struct fl__mpi_received *received);
