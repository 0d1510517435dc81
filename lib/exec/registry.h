/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_EXEC_REGISTRY_H
#define FL_EXEC_REGISTRY_H

/* Whether an executor may be made: 0, -EEXIST when two different types have one name, -ENOMEM. */
int fl__registry_check(void);

#endif
