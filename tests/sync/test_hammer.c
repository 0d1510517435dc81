/* SPDX-License-Identifier: BSD-2-Clause */
#include "fl_test.h"
#include "hammer.h"

/*
 * A thousand threads on a few primitives; fewer steps under ThreadSanitizer, which makes each step
 * expensive.
 */
FL_TEST(hammer_locks)
{
	hammer_strike(1000, fl_test_scaled(400), 1);
}
