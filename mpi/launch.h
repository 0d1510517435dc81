/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

/*
 * Sets the environment of `mpirun` for a program that starts all of its ranks on this machine: the
 * demo and the tests. The variables are those of Open MPI's launcher. Version 4 reads those that
 * begin with OMPI_. In version 5 the launcher (PRRTE) reads those that begin with PRTE_, and the
 * ranks read those that begin with OMPI_MCA_. MPICH needs none.
 */
struct fl__mpi_variable {
	const char *name, *value;
};

/* Allow more ranks than CPUs. */
static const struct fl__mpi_variable fl__mpi_oversubscribe[] = {
    {"OMPI_MCA_rmaps_base_oversubscribe", "1"},
    {"PRTE_MCA_rmaps_default_mapping_policy", ":oversubscribe"},
    {NULL, NULL},
};

/*
 * Allow root's ranks, as in containers, and bind no rank to a single CPU. The component `netlink`
 * of version 5 finds no path from a machine with an IPv6 address to itself, but `weighted` does.
 */
static const struct fl__mpi_variable fl__mpi_one_machine[] = {
    {"OMPI_ALLOW_RUN_AS_ROOT", "1"},
    {"OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1"},
    {"OMPI_MCA_hwloc_base_binding_policy", "none"},
    {"OMPI_MCA_reachable", "weighted"},
    {"PRTE_ALLOW_RUN_AS_ROOT", "1"},
    {"PRTE_ALLOW_RUN_AS_ROOT_CONFIRM", "1"},
    {"PRTE_MCA_hwloc_default_binding_policy", "none"},
    {NULL, NULL},
};

/* Returns false if there is no memory. No other thread may read the environment meanwhile. */
static inline bool fl__mpi_set_launch_environment(void)
{
	bool all = true;
	for (const struct fl__mpi_variable *v = fl__mpi_oversubscribe; v->name; v++)
		all &= setenv(v->name, v->value, 1) == 0;
	for (const struct fl__mpi_variable *v = fl__mpi_one_machine; v->name; v++)
		all &= setenv(v->name, v->value, 1) == 0;
	return all;
}
