/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* Serves on the main thread until EXIT. */
void fl__mpi_host_serve(void);
