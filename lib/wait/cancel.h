/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_WAIT_CANCEL_H
#define FL_WAIT_CANCEL_H

#include "lot.h"

/* The token that `cancel` means for `ctx`: itself, its scope for NULL; NULL for none. */
fl_cancel *fl__cancel_resolve(const fl_cancel *cancel, const struct fl__ctx *ctx);

/* Adds `node` to those that a request wakes; false when the token is requested, also by its deadline. */
bool fl__cancel_arm(fl_cancel *c, struct fl__node *node);

#endif
