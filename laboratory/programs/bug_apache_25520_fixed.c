/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects a pass. bug_apache_25520.c without its bug: the buffer has a lock. */
#define FIXED
#include "bug_apache_25520.c" /* NOLINT(bugprone-suspicious-include) */
