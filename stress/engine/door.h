/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_DOOR_H
#define STRESS_DOOR_H

#include "../../lib/base/sys.h"
#include <stddef.h>

/*
 * A module that carries a copy of the library opens its doors to the laboratory: door.c, linked into the module, calls
 * lab_attach() when it is loaded. A module without the library has none, and needs none.
 */
struct lab_door {
	size_t size;         /* of this struct */
	struct fl__sys *sys; /* the copy's table, to be replaced */
	/* Gives the calling thread a context of its own in `memory`, of `context_size` bytes, until leave(). */
	size_t context_size;
	void (*enter)(void *memory, const char *name);
	void (*leave)(void);
	/* Who stands in the lot: the key, the park word of the wait, and its context's name. Racy but for the model. */
	void (*waiters)(void (*visit)(const void *key, const uint32_t *park_word, const char *name, void *arg),
	                void *arg);
	/* Has the copy's panics reported to `report`, in place of its own handler. */
	void (*panics)(void (*report)(const char *function, const void *object, const char *reason));
};

/* The module is the one that `door` itself lies in. */
void lab_attach(const struct lab_door *door);

struct lab_module;
/* NULL when the module has no copy of the library. */
const struct lab_door *lab_door_of(const struct lab_module *module);

#endif
