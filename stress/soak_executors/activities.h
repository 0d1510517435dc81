/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_SOAK_EXECUTORS_ACTIVITIES_H
#define STRESS_SOAK_EXECUTORS_ACTIVITIES_H

/*
 * The soak of executors and plugins. Each activity is a function that takes one turn: it makes what
 * it needs, uses it, checks the results, and frees everything. main.c runs all activities at the
 * same time, each on its own thread. Between the parts of the run it compares the resources of the
 * process: threads, descriptors, children, memory.
 */
#include "../kill/tools.h"
#include <fairlead.h>

/* Fails unless `rc` is 0. */
void check(const char *what, int rc);

void crash_turn(uint64_t *state); /* a map on processes with an element that crashes */
/* tasks on processes that are killed at their deadline */
void deadline_turn(uint64_t *state);
void resize_turn(uint64_t *state); /* a thread executor that is resized under load */
/* consumers of a queue that are cancelled by their tokens */
void consumers_turn(uint64_t *state);
/* A plugin with its own copy of the library is loaded, used and unloaded. */
void plugin_turn(uint64_t *state);

#endif
