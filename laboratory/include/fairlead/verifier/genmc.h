/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Programs that were written for GenMC include <genmc.h>. fairlead-stress has what this header
 * declares. The marks of spins, methods and helping compare-and-swaps are hints for GenMC's search,
 * and do nothing here.
 */
#ifndef GENMC_H
#define GENMC_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The execution counts only if the condition is true. */
void __VERIFIER_assume(bool condition);

/* Each thread gets the same sequence of numbers in each execution, so nothing is proved. */
int __VERIFIER_nondet_int(void);
unsigned __VERIFIER_nondet_uint(void);
long __VERIFIER_nondet_long(void);
unsigned long __VERIFIER_nondet_ulong(void);
bool __VERIFIER_nondet_bool(void);

void __VERIFIER_loop_begin(void);
void __VERIFIER_spin_start(void);
void __VERIFIER_spin_end(bool ends);

void __VERIFIER_annotate_begin(int mask);
void __VERIFIER_annotate_end(int mask);
void __VERIFIER_method_begin(const char *name, int argument);
void __VERIFIER_method_end(const char *name, int result);
#define __VERIFIER_local_write(write) (write)
#define __VERIFIER_final_write(write) (write)
#define __VERIFIER_helped_CAS(cas) ((void)(cas))
#define __VERIFIER_helping_CAS(cas) ((void)(cas))
#define __VERIFIER_speculative_read(read) (read)
#define __VERIFIER_confirming_read(read) (read)
#define __VERIFIER_confirming_CAS(cas) (cas)
#define __VERIFIER_final_CAS(cas) (cas)

/* A thread is joined once. */
typedef long __VERIFIER_thread_t;
int __VERIFIER_thread_create(const void *attributes, void *(*start)(void *), void *arg);
int __VERIFIER_thread_create_symmetric(const void *attributes, void *(*start)(void *), void *arg, long other);
void *__VERIFIER_thread_join(long thread);
#define __VERIFIER_spawn(start, arg) __VERIFIER_thread_create(0, (start), (arg))
#define __VERIFIER_spawn_symmetric(start, arg, other) __VERIFIER_thread_create_symmetric(0, (start), (arg), (other))
#define __VERIFIER_join(thread) __VERIFIER_thread_join(thread)
#define __VERIFIER_join_symmetric(thread) ((void)__VERIFIER_thread_join(thread))

/* The block is left out, since safety does not depend on it. */
int __VERIFIER_opt_begin(void);
#define __VERIFIER_optional(block)                                                                                     \
	do {                                                                                                           \
		if (__VERIFIER_opt_begin()) {                                                                          \
			block;                                                                                         \
			__VERIFIER_assume(0);                                                                          \
		}                                                                                                      \
	} while (0)

/* Hazard pointers. A retired block lives until the execution ends, so nothing is proved. */
typedef struct {
	void *hidden;
} __VERIFIER_hp_t;
void *__VERIFIER_hazptr_alloc(void);
void __VERIFIER_hazptr_free(void *hazard);
void __VERIFIER_hazptr_protect(void *hazard, const void *memory);
void __VERIFIER_hazptr_clear(void *hazard);
void __VERIFIER_hazptr_retire(const void *memory);
#define __VERIFIER_hp_alloc() __VERIFIER_hazptr_alloc()
#define __VERIFIER_hp_free(hazard) __VERIFIER_hazptr_free(hazard)
#define __VERIFIER_hp_clear(hazard) __VERIFIER_hazptr_clear(hazard)
#define __VERIFIER_hp_retire(memory) __VERIFIER_hazptr_retire(memory)
#define __VERIFIER_hp_protect(hazard, from)                                                                            \
	__extension__({                                                                                                \
		void *protected_ = __atomic_load_n((void **)(from), __ATOMIC_ACQUIRE);                                 \
		__VERIFIER_hazptr_protect((hazard), protected_);                                                       \
		protected_;                                                                                            \
	})

#ifdef __cplusplus
}
#endif

#endif
