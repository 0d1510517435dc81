/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_DOOR_H
#define STRESS_DOOR_H

#include "../../lib/core/base/sys.h"

/*
 * The connection of a module with a copy of the library to the laboratory. door.c is linked into
 * the module, and calls lab_attach() when the module is loaded. A module without the library has no
 * door.
 */
struct lab_door {
	size_t size;         /* the size of this struct */
	struct fl__sys *sys; /* the copy's table of system calls; the model and chaos change it */
	/*
	 * enter() gives the calling thread a context until leave() is called. The context is in
	 * `memory`, of `context_size` bytes.
	 */
	size_t context_size;
	void (*enter)(void *memory, const char *name);
	void (*leave)(void);
	/*
	 * Lists the waiters of the parking lot, each with its key, wait, futex and the name of its
	 * context. Outside of the model, other threads may change the waiters meanwhile, so the
	 * list is racy.
	 */
	void (*waiters)(void (*visit)(const void *key, const void *wait, const uint32_t *futex, const char *name,
	                              void *arg),
	                void *arg);
	/* Makes panics of the copy call `report` instead of the copy's own handler. */
	void (*panics)(void (*report)(const char *function, const void *object, const char *reason));
};

/* Attaches the module that contains `door`. */
void lab_attach(const struct lab_door *door);

struct lab_module;
/* Returns NULL if the module has no copy of the library. */
const struct lab_door *lab_door_of(const struct lab_module *module);

#endif
