/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Random programs: small, with values that identify the stores of a location, and locations that
 * threads share.
 */
#ifndef RC11_RANDOM_H
#define RC11_RANDOM_H

#include "program.h"

#include <stdint.h>

/*
 * Program number `number` of a seed, with two or three threads of at most `max_ops` operations: the
 * same on every machine, whichever were made before. `histories`: one in ten has a long history, of
 * up to OP_MAX operations a thread.
 */
program random_program(uint64_t seed, int number, int max_ops, bool histories);

#endif
