/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_PLANTED_H
#define STRESS_PLANTED_H

#include <fairlead/stress.h>
#include <stdatomic.h>
#include <stdlib.h>

/*
 * Wrong algorithms, each small, in C11 without the library. The suffix of a test's name is the
 * verdict that the laboratory must give. A comment says what is wrong, and the fix;
 * stress/cases/fixed*.c has those marked (fixed) in their right form, where they must pass.
 */
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
