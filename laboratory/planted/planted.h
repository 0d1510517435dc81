/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_PLANTED_H
#define STRESS_PLANTED_H

#include <fairlead/stress.h>
#include <stdatomic.h>
#include <stdlib.h>

/*
 * Small wrong algorithms, in C11 without the library. The suffix of a test's name is the verdict
 * that the laboratory must give. A comment says what is wrong and how it is fixed.
 *
 * stress/cases/laboratory/fixed.c includes some of the files with FIXED. Then BUG() is the fix, and
 * the test `bug` is called `fixed_bug` and must pass. A test without a fix is not compiled there.
 */
#ifdef FIXED
#define NAME(bug, verdict) fixed_##bug
#define BUG(wrong, right) right
#else
#define NAME(bug, verdict) bug##__##verdict
#define BUG(wrong, right) wrong
#endif

/* FL_STRESS_SETUP and the others, for a test whose name is a macro. */
#define SETUP(test) FL_STRESS_SETUP(test)
#define ACTOR(test, actor) FL_STRESS_ACTOR(test, actor)
#define TEST(test, ...) FL_STRESS(test, __VA_ARGS__)
#define TEST_PROCESSES(test, ...) FL_STRESS_PROCESSES(test, __VA_ARGS__)

/* Defines a test whose failure is not an outcome, so that every outcome is accepted. */
#define TEST_OF_NO_OUTCOME(test, ...)                                                                                  \
	TEST(test, __VA_ARGS__)                                                                                        \
	{                                                                                                              \
		FL_ACCEPTABLE(1, "any");                                                                               \
	}

/* Defines two actors, `one` and `two`, which call a function with the state and 0 or 1. */
#define ONE_AND_TWO(test, function)                                                                                    \
	ACTOR(test, one)                                                                                               \
	{                                                                                                              \
		function(s, 0);                                                                                        \
	}                                                                                                              \
	ACTOR(test, two)                                                                                               \
	{                                                                                                              \
		function(s, 1);                                                                                        \
	}

enum { RLX = memory_order_relaxed, ACQ = memory_order_acquire, REL = memory_order_release };
enum { ACQ_REL = memory_order_acq_rel, SEQ = memory_order_seq_cst };

#define LOAD(p, order) atomic_load_explicit((p), (memory_order)(order))
#define STORE(p, v, order) atomic_store_explicit((p), (v), (memory_order)(order))
#define ADD(p, v, order) atomic_fetch_add_explicit((p), (v), (memory_order)(order))
#define SWAP(p, v, order) atomic_exchange_explicit((p), (v), (memory_order)(order))
#define CAS(p, expected, v, order)                                                                                     \
	atomic_compare_exchange_strong_explicit((p), (expected), (v), (memory_order)(order), memory_order_relaxed)

#define SLEEP(word, expected) ((void)fl_stress_futex_wait((word), (expected), INT64_MAX))
#define WAKE(word, n) ((void)fl_stress_futex_wake((word), (n)))

#endif
