/* SPDX-License-Identifier: BSD-2-Clause */
/* A program with one mutex: what the library adds to it at least. */
#include <fairlead.h>

static fl_mutex mutex = FL_MUTEX_INIT;

int main(void)
{
	fl_mutex_lock(&mutex);
	fl_mutex_unlock(&mutex);
	return 0;
}
