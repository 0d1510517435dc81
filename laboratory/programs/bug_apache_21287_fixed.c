/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects a pass. bug_apache_21287.c without its bug: the decrement and the look are one step. */
#define FIXED
#include "bug_apache_21287.c" /* NOLINT(bugprone-suspicious-include) */
