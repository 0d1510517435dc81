// SPDX-License-Identifier: BSD-2-Clause
// The same tasks from C++.
#include "tasks.c"
