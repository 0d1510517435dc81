/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef BENCH_LOOP_PROBE_H
#define BENCH_LOOP_PROBE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { PROBE_BUFFER = 1024 }; /* of each read; what it got is written back */

/* A server says its port when it listens, and never returns; an idle() starts `n` tasks that wait, and says its bytes. */
void probe_listening(int port);
int64_t probe_resident(void);

/* Says why on standard error and ends the program, unless `good`. */
void probe_check(int good, const char *what);

void asio_echo(void);
int64_t boost_idle(size_t n);
int64_t boost_unguarded_idle(size_t n);

#ifdef __cplusplus
}
#endif

#endif
