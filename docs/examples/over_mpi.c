/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The model `mpi`: tasks in other ranks. A launcher of MPI starts the ranks, so the demo becomes
 * that launcher, which starts the demo once for each rank. All ranks are on this machine. A real
 * run has a hostfile (mpi/guide.md).
 */
#include "demo.h"
#include <errno.h>

#ifdef DEMO_MPIRUN
#include "../../mpi/launch.h"
#include <fairlead/mpi_executor.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int over_mpi_create(fl_executor **e, const fl_executor_config *config)
{
	/* one task ahead, so that no worker waits for a message between two tasks */
	return fl_mpi_executor_create(e, config, &(fl_mpi_config){.prefetch = 1});
}

bool over_mpi_begin(unsigned ranks, int argc, char **argv)
{
	char number[16], self[4096];
	if (fl_mpi_ranks() > 1)
		return true;
	const ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
	const char **args = calloc((size_t)argc + 4, sizeof *args);
	if (args != NULL && length > 0 && fl__mpi_set_launch_environment()) {
		self[length] = '\0';
		(void)snprintf(number, sizeof number, "%u", ranks);
		memcpy(args, (const char *[]){DEMO_MPIRUN, "-n", number, self}, 4 * sizeof *args);
		memcpy(args + 4, argv + 1, (size_t)argc * sizeof *args); /* with the NULL at the end */
		(void)execvp(args[0], (char **)(uintptr_t)args);
	}
	complain("cannot start %s: %s", DEMO_MPIRUN, strerror(errno));
	free(args);
	return false;
}
#else
int over_mpi_create(fl_executor **e, const fl_executor_config *config)
{
	(void)e;
	(void)config;
	return -ENOTSUP;
}

bool over_mpi_begin(unsigned ranks, int argc, char **argv)
{
	(void)ranks;
	(void)argc;
	(void)argv;
	complain("--model mpi: this demo was built without MPI (libopenmpi-dev and openmpi-bin)");
	return false;
}
#endif
