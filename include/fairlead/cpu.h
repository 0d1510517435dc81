/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_CPU_H
#define FAIRLEAD_CPU_H

#include <fairlead/defs.h>

FL_BEGIN_DECLS

/*
 * Returns how many CPUs the calling thread may use, at least 1: those in its affinity mask, or
 * fewer if a control group (version 1 or 2) has a lower quota, rounded up. Each call reads files,
 * which may take a while.
 */
FL_API unsigned fl_cpu_count(void);

FL_END_DECLS

#endif
