/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_SCALING_H
#define STRESS_SCALING_H

#include "../cases/cases.h"

/* A scenario of `./dev stress --traffic`, whose only actor does what follows the name. */
#define TRAFFIC(name, ...)                                                                                             \
	struct name {                                                                                                  \
		char unused;                                                                                           \
	};                                                                                                             \
	FL_STRESS_ACTOR(name, user)                                                                                    \
	{                                                                                                              \
		__VA_ARGS__;                                                                                           \
	}                                                                                                              \
	FL_STRESS(name, user)                                                                                          \
	{                                                                                                              \
		FL_ACCEPTABLE(1, "done");                                                                              \
	}

#endif
