/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Random programs: small, with values that identify the stores of a location, and locations that
 * threads share.
 */
#ifndef RC11_RANDOM_H
#define RC11_RANDOM_H

#include "program.h"

#include <stdint.h>

typedef struct {
	uint64_t seed;
	int min_threads, max_threads;
	int max_ops; /* of a thread */
} random_options;

/* Program number `number` of a seed: the same on every machine, whichever were made before. */
program random_program(random_options options, int number);

#endif
