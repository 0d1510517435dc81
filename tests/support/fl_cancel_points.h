/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_CANCEL_POINTS_H
#define FL_CANCEL_POINTS_H

/*
 * fl_cancel_points.c notes which functions call a cancellation point while pthread_cancel() could
 * act.
 */

#include "fl_test.h"

/*
 * musl declares some of the functions differently. nm may not be able to read programs for other
 * machines.
 */
#if defined __x86_64__ && defined __GLIBC__ && !FL_TEST_SANITIZED
#define FL_TEST_CANCEL_POINTS 1
#else
#define FL_TEST_CANCEL_POINTS 0
#endif

/*
 * If this is not 0, in each thread every second call of a function that a signal may interrupt
 * fails with EINTR, and is counted here.
 */
extern int fl_test_interrupts;

/* Returns how many callers are noted. */
unsigned fl_test_cancel_points(void);

#endif
