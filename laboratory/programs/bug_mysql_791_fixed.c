/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expects a pass. bug_mysql_791.c without its bug: the log is closed and opened under the lock that
 * writers take.
 */
#define FIXED
#include "bug_mysql_791.c" /* NOLINT(bugprone-suspicious-include) */
