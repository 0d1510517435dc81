/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expects a pass. bug_transmission_bandwidth.c without its bug: the field is stored before the
 * thread begins.
 */
#define FIXED
#include "bug_transmission_bandwidth.c" /* NOLINT(bugprone-suspicious-include) */
