/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects NOT MODELLED "by kill()". SIGKILL has an effect, which no action changes. */
#include <signal.h>
#include <unistd.h>

int main(void)
{
	return kill(getpid(), SIGKILL);
}
