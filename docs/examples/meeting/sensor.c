/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sensor: connects to the endpoint of recorder.c, and puts readings into it.
 *
 *   sensor PATH [COUNT]       so many readings; without end
 *
 * Waits up to 10 s for a recorder, and ends with EPIPE when the queue is full and the recorder has
 * ended.
 */
#include "reading.h"
#include <errno.h>
#include <stdlib.h>

/* A connect does not wait for an endpoint to appear, so it is repeated. */
static int find(const char *path, fl_shm **region, fl_pipe **recorder)
{
	const fl_time end = fl_after(FL_S(10));
	for (;;) {
		int rc = fl_endpoint_connect_until(region, recorder, path, &(fl_endpoint_config){READINGS}, end, NULL);
		if ((rc != -ENOENT && rc != -ECONNREFUSED) || fl_time_is_past(end))
			return rc; /* those two: no recorder has started; it has ended, and left its file */
		rc = fl_sleep(FL_MS(100));
		if (rc != 0)
			return rc;
	}
}

/* Waits for space. -EPIPE: the recorder, which sends no second message, has ended. */
static int put(reading_queue *readings, struct reading one, fl_pipe *recorder)
{
	int rc;
	while ((rc = reading_queue_try_put(readings, one)) == -EAGAIN || rc == -ETIMEDOUT) {
		rc = FL_WAIT_ANY(FL_ON_SHM_QUEUE_SPACE(reading_queue_untyped(readings)), FL_ON_PIPE(recorder));
		if (rc != 0)
			return rc == 1 ? -EPIPE : rc;
	}
	return rc;
}

int main(int argc, char **argv)
{
	FL_SCOPED(fl_shm) *region = NULL;
	FL_SCOPED(reading_queue) *readings = NULL; /* freed before the region */
	FL_SCOPED(fl_pipe) *recorder = NULL;
	uint64_t next = 0, count = argc > 2 ? strtoull(argv[2], NULL, 10) : UINT64_MAX;
	size_t size;
	if (argc < 2)
		return fl_perror(-EINVAL, "sensor PATH [COUNT]");
	int rc = find(argv[1], &region, &recorder);
	if (rc == 0)
		rc = reading_queue_attach(&readings, region, fl_shm_root(region));
	if (rc == 0) /* the recorder's next number */
		rc = fl_pipe_receive_until(recorder, &next, sizeof next, &size, fl_after(FL_S(10)), NULL);
	for (uint64_t i = 0; rc == 0 && i < count; i++, next++)
		rc = put(readings, (struct reading){next, value_of(next)}, recorder);
	return rc == 0 ? EXIT_SUCCESS : fl_perror(rc, "sensor");
}
