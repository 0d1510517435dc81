/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expects DEADLOCK "main sleeps for ever". A poll without descriptors and without a timeout never
 * returns.
 */
#include <poll.h>
#include <stddef.h>

int main(void)
{
	return poll(NULL, 0, -1);
}
