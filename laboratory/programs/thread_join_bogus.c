/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects MISUSE "does not exist". A pthread_t that was never set is joined. */
#include <pthread.h>

static pthread_t other;

int main(void)
{
	pthread_join(other, NULL);
	return 0;
}
