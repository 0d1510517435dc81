/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef BENCH_PROCESS_PAIR_H
#define BENCH_PROCESS_PAIR_H

#include "process.h"
#include "shim.h"

#include <stdint.h>

/*
 * Messages between two processes. A channel `impl_channel` lies in shared memory and goes one way:
 *
 *     void impl_open(impl_channel *c);                    before the fork
 *     void impl_send(impl_channel *c, const void *message, size_t size);
 *     void impl_receive(impl_channel *c, void *message, size_t size);
 *     void impl_close(impl_channel *c);
 *
 * roundtrip: a number of 8 bytes there and its successor back. one_way: the partner sends messages
 * of 64 bytes, as fast as it can. Both check each message.
 */
enum { ONE_WAY_BYTES = 64 };

#define PROCESS_PAIR(impl)                                                                                             \
	struct impl##_pair {                                                                                           \
		BENCH_ALIGNED impl##_channel there;                                                                    \
		BENCH_ALIGNED impl##_channel back;                                                                     \
		uint64_t total;                                                                                        \
		pid_t partner;                                                                                         \
	};                                                                                                             \
	static void impl##_answer(void *shared)                                                                        \
	{                                                                                                              \
		struct impl##_pair *s = shared;                                                                        \
		for (uint64_t i = 0; i < s->total; i++) {                                                              \
			uint64_t value;                                                                                \
			impl##_receive(&s->there, &value, sizeof value);                                               \
			value++;                                                                                       \
			impl##_send(&s->back, &value, sizeof value);                                                   \
		}                                                                                                      \
	}                                                                                                              \
	static void impl##_produce(void *shared)                                                                       \
	{                                                                                                              \
		struct impl##_pair *s = shared;                                                                        \
		uint64_t message[ONE_WAY_BYTES / 8] = {0};                                                             \
		for (uint64_t i = 0; i < s->total; i++) {                                                              \
			message[0] = message[ONE_WAY_BYTES / 8 - 1] = i;                                               \
			impl##_send(&s->there, message, sizeof message);                                               \
		}                                                                                                      \
	}                                                                                                              \
	static struct impl##_pair *impl##_pair_open(uint64_t total, void (*work)(void *shared))                        \
	{                                                                                                              \
		struct impl##_pair *s = bench_share(sizeof *s);                                                        \
		s->total = total;                                                                                      \
		impl##_open(&s->there);                                                                                \
		impl##_open(&s->back);                                                                                 \
		s->partner = bench_partner(work, s);                                                                   \
		return s;                                                                                              \
	}                                                                                                              \
	static void *impl##_roundtrip_setup(int threads, uint64_t total)                                               \
	{                                                                                                              \
		(void)threads;                                                                                         \
		return impl##_pair_open(total, impl##_answer);                                                         \
	}                                                                                                              \
	static void *impl##_one_way_setup(int threads, uint64_t total)                                                 \
	{                                                                                                              \
		(void)threads;                                                                                         \
		return impl##_pair_open(total, impl##_produce);                                                        \
	}                                                                                                              \
	static void impl##_roundtrip(bench_thread *t)                                                                  \
	{                                                                                                              \
		struct impl##_pair *s = t->state;                                                                      \
		for (uint64_t i = 0; i < t->total; i++) {                                                              \
			uint64_t value = i;                                                                            \
			impl##_send(&s->there, &value, sizeof value);                                                  \
			impl##_receive(&s->back, &value, sizeof value);                                                \
			if (value != i + 1)                                                                            \
				bench_fail("%s: a wrong answer", #impl);                                               \
			bench_lap(t);                                                                                  \
		}                                                                                                      \
	}                                                                                                              \
	static void impl##_one_way(bench_thread *t)                                                                    \
	{                                                                                                              \
		struct impl##_pair *s = t->state;                                                                      \
		uint64_t message[ONE_WAY_BYTES / 8];                                                                   \
		for (uint64_t i = 0; i < t->total; i++) {                                                              \
			impl##_receive(&s->there, message, sizeof message);                                            \
			if (message[0] != i || message[ONE_WAY_BYTES / 8 - 1] != i)                                    \
				bench_fail("%s: a wrong message", #impl);                                              \
		}                                                                                                      \
	}                                                                                                              \
	static void impl##_pair_close(void *state, uint64_t total)                                                     \
	{                                                                                                              \
		struct impl##_pair *s = state;                                                                         \
		(void)total;                                                                                           \
		bench_partner_end(s->partner);                                                                         \
		impl##_close(&s->there);                                                                               \
		impl##_close(&s->back);                                                                                \
		bench_unshare(s, sizeof *s);                                                                           \
	}

#define PROCESS_PAIR_ROWS(impl)                                                                                        \
	{"process/roundtrip", #impl, impl##_roundtrip_setup, impl##_roundtrip, impl##_pair_close, 0},                  \
	{                                                                                                              \
		"process/one_way", #impl, impl##_one_way_setup, impl##_one_way, impl##_pair_close, 0                   \
	}

#endif
