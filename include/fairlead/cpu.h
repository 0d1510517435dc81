/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_CPU_H
#define FAIRLEAD_CPU_H

#include <fairlead/defs.h>

FL_BEGIN_DECLS

/*
 * The CPUs that this process may use: those of its affinity mask, or the quota of its control group (version 1 or 2,
 * rounded up) where that is less. At least 1. Read anew at each call, from files: not for a hot path. Never waits.
 */
FL_API unsigned fl_cpu_count(void);

FL_END_DECLS

#endif
