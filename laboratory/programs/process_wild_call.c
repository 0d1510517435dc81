/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expects CRASH "in main at process_wild_call.c:8 (main)".
 * A call of a function that is not there.
 */
int main(int n)
{
	return ((int (*)(void))(long)n)();
}
