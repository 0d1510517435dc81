/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expects a pass. bug_mozilla_61369.c without its bug: the thread waits until the record is there.
 */
#define FIXED
#include "bug_mozilla_61369.c" /* NOLINT(bugprone-suspicious-include) */
