/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects a pass. bug_mysql_3596.c without its bug: the pointer is read once. */
#define FIXED
#include "bug_mysql_3596.c" /* NOLINT(bugprone-suspicious-include) */
