/* SPDX-License-Identifier: BSD-2-Clause */
#define STEALS true
#include "take.c"
