/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * Makes this process a worker rank. Called by the main thread. Returns when rank 0 has sent EXIT.
 */
void fl__mpi_host_serve(void);
