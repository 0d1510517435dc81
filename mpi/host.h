/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * Makes this process a worker rank. The main thread calls it, and it returns when rank 0 has sent
 * EXIT.
 */
void fl__mpi_host_serve(void);
