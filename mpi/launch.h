/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

/*
 * For programs that start their ranks on this machine: variables of Open MPI's launcher. Version 4
 * reads OMPI_..., version 5 (PRRTE) PRTE_.... MPICH needs none.
 */
struct fl__mpi_variable {
	const char *name, *value;
};

/* More ranks than CPUs. */
static const struct fl__mpi_variable fl__mpi_oversubscribe[] = {
    {"OMPI_MCA_rmaps_base_oversubscribe", "1"},
    {"PRTE_MCA_rmaps_default_mapping_policy", ":oversubscribe"},
    {NULL, NULL},
};

/*
 * Ranks of root, as in containers; not bound to a CPU each. `netlink` of version 5 finds no path
 * from a machine with an IPv6 address to itself.
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

/* False: no memory. Unsafe beside threads that read the environment. */
static inline bool fl__mpi_set_launch_environment(void)
{
	bool all = true;
	for (const struct fl__mpi_variable *v = fl__mpi_oversubscribe; v->name; v++)
		all &= setenv(v->name, v->value, 1) == 0;
	for (const struct fl__mpi_variable *v = fl__mpi_one_machine; v->name; v++)
		all &= setenv(v->name, v->value, 1) == 0;
	return all;
}
