/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sensor: finds the queue that recorder.c offers at a path, and puts readings into it.
 *
 *   sensor PATH [COUNT]       so many readings; without end
 */
#include "reading.h"
#include <errno.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
	FL_SCOPED(fl_shm) *region = NULL;
	FL_SCOPED(reading_queue) *readings = NULL; /* freed before the region */
	FL_SCOPED(fl_pipe) *recorder = NULL;
	uint64_t next = 0, count = argc > 2 ? strtoull(argv[2], NULL, 10) : UINT64_MAX;
	size_t size;
	if (argc < 2)
		return fl_perror(-EINVAL, "sensor PATH [COUNT]");
	int rc =
	    fl_offer_find_until(argv[1], &(fl_offer_config){READINGS}, &region, &recorder, fl_after(FL_S(10)), NULL);
	if (rc == 0)
		rc = reading_queue_open(&readings, region, fl_shm_root(region));
	if (rc == 0) /* the recorder's next number */
		rc = fl_pipe_recv_until(recorder, &next, sizeof next, &size, fl_after(FL_S(10)), NULL);
	for (uint64_t i = 0; rc == 0 && i < count; i++, next++) {
		/* -ETIMEDOUT: the recorder has ended, or reads no more */
		struct reading one = {next, value_of(next)};
		rc = reading_queue_put_until(readings, one, fl_after(FL_S(10)), NULL);
	}
	return rc == 0 ? EXIT_SUCCESS : fl_perror(rc, "sensor");
}
