/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_EXEC_EMBEDDED_H
#define FL_EXEC_EMBEDDED_H

#include "cells.h"

/* Tasks in the user's memory (fl_task): cells of FL__CELL_USERS. embedded.c has their states. */

/* Nobody refers to that cell any more. The memory is its user's from then on. */
void fl__embedded_release(struct fl__cell *cell);

#endif
