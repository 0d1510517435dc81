/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_TOOL_LITMUS_H
#define STRESS_TOOL_LITMUS_H

#include "tool.h"

struct litmus {
	struct lab_litmus found;
	char file[64];
};

struct litmus_list {
	struct litmus *programs;
	size_t n;
};

/*
 * Adds each program of the litmus files that fits the options' patterns. Returns false if there are
 * no files.
 */
bool litmus_check(const struct options *o, struct litmus_list *list);

#endif
