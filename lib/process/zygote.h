/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_PROCESS_ZYGOTE_H
#define FL_PROCESS_ZYGOTE_H

/* Returns the pid of this process's zygote, or 0. For reports, and tests that stop or kill it. */
int fl__zygote_pid(void);

#endif
