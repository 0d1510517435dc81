/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expects CRASH "in main at process_wild_call.c:9 (main)". A call of a function that does not
 * exist.
 */
int main(void)
{
	volatile long one = 1;
	return ((int (*)(void))one)();
}
