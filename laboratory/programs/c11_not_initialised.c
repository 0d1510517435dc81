/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects MISUSE "not initialised". A mtx_t has no static initialiser. */
#include <threads.h>

static mtx_t lock;

int main(void)
{
	mtx_lock(&lock);
	mtx_unlock(&lock);
	return 0;
}
