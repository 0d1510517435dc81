/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef BENCH_PROCESS_H
#define BENCH_PROCESS_H

#include <stddef.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Two processes that share memory. One of them measures. The other process is its partner: setup
 * forks it, it does its half of the work, and then it ends. The partner must not allocate memory,
 * because it is forked from a process with threads.
 */

/* Zeroed memory that a partner shares, aligned to a page; never NULL. */
void *bench_share(size_t size);
void bench_unshare(void *memory, size_t size);

/* Starts a partner that runs `work`. */
pid_t bench_partner(void (*work)(void *shared), void *shared);

/* A channel of process_queue.c that is a pipe of the kernel. */
typedef struct pipe_channel {
	int in, out;
} pipe_channel;
void pipe_open(pipe_channel *c);
void pipe_send(pipe_channel *c, const void *message, size_t size);
void pipe_receive(pipe_channel *c, void *message, size_t size);
void pipe_close(pipe_channel *c);

/* Waits until the partner ends, and calls bench_fail() if it failed. */
void bench_partner_end(pid_t partner);

#ifdef __cplusplus
}
#endif

#endif
