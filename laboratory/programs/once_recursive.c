/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects MISUSE "waits for itself". The function of a once calls it again. */
#include <pthread.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void make(void)
{
	pthread_once(&once, make);
}

int main(void)
{
	pthread_once(&once, make);
	return 0;
}
