/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expects NOT MODELLED "sends User defined signal 1 by raise()". The signal has a handler, which
 * would run.
 */
#include <signal.h>

static void on_signal(int number)
{
	(void)number;
}

int main(void)
{
	struct sigaction action = {.sa_handler = on_signal};
	return sigaction(SIGUSR1, &action, NULL) || raise(SIGUSR1);
}
