/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_PROCESS_ZYGOTE_H
#define FL_PROCESS_ZYGOTE_H

/* The number of this process's zygote; 0 when it has none. For reports, and tests that do it harm. */
int fl__zygote_pid(void);

#endif
