/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_BRIDGES_H
#define FL_BRIDGES_H

/*
 * Faults for cases of shared memory. The library's bridges (lib/process/shm/shm_bridge.h) outlive their
 * last wait by seconds, and read the table of system calls in that time. FL_FAULTS_UNBRIDGED() is
 * FL_FAULTS() without a bridge when the table changes: none of an earlier case, and, at the end of
 * the block, none of this case.
 */
#include "fl_faults.h"

#include "core/sync/helper.h"

static inline int fl_test_bridges_end(void)
{
	fl__helpers_end();
	return 0;
}

static inline void fl_test_bridges_close(const int *unused)
{
	(void)fl_test_bridges_end();
}

#define FL_FAULTS_UNBRIDGED()                                                                                          \
	(void)fl_test_bridges_end();                                                                                   \
	FL_FAULTS();                                                                                                   \
	__attribute__((cleanup(fl_test_bridges_close), unused)) const int FL__UNIQUE(fl_test_bridges_) = 0

#endif
