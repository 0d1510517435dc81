/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_INTERPOSE_H
#define STRESS_INTERPOSE_H

#include "model.h"
#include <dlfcn.h>

/* For functions that replace those of the C library. */
#define PC ((uintptr_t)__builtin_return_address(0))
/* Never inlined: the return address identifies the caller. */
#define EXPORTED __attribute__((visibility("default"), used, noinline))

/* A model thread called it, from a module: the engine's own calls come from the program. */
#define OURS() (__builtin_expect(lab.active, 0) && lab_is_module_code(PC))

/* The C library's own. */
#define REAL(name) ((__typeof__(name) *)dlsym(RTLD_NEXT, #name))

#endif
