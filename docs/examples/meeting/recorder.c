/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * recorder: shares a queue of readings at a path, and records what sensors put into it.
 *
 *   recorder PATH [SENSORS]       until so many sensors have ended, one after another (2)
 *
 * Start sensor.c with the same path, in another terminal, and kill it with SIGKILL: no reading is
 * lost, and none is half-written. The next sensor goes on. If you kill the recorder, the next one
 * replaces the file that the first has left.
 */
#include "reading.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* Takes what is in the queue. `*next` is the number of the next reading. */
static int take(reading_queue *readings, uint64_t *next)
{
	for (struct reading one;; (*next)++) {
		int rc = reading_queue_try_get(readings, &one);
		if (rc == -EAGAIN || rc == -ETIMEDOUT)
			return 0; /* empty, or a sensor is stopped within a put */
		if (rc == 0 && (one.number != *next || one.value != value_of(one.number)))
			rc = -EBADMSG; /* lost, doubled or half-written */
		if (rc != 0)
			return rc;
		if (one.number % 1000 == 1) {
			printf("reading %llu\n", (unsigned long long)one.number);
			(void)fflush(stdout);
		}
	}
}

/* Records until the sensor has ended: then its end of the pipe is closed, however it has ended. */
static int record(reading_queue *readings, uint64_t *next, fl_pipe *sensor)
{
	char byte;
	size_t size;
	int rc = fl_pipe_send(sensor, next, sizeof *next);
	while (rc == 0) {
		const int ready = FL_WAIT_ANY(FL_ON_SHM_QUEUE(reading_queue_untyped(readings)), FL_ON_PIPE(sensor));
		rc = ready < 0 ? ready : take(readings, next);
		if (rc == 0 && ready == 1)
			rc = fl_pipe_receive(sensor, &byte, 1, &size);
	}
	return rc == -EPIPE ? take(readings, next) : rc; /* what the sensor had put before its end */
}

int main(int argc, char **argv)
{
	FL_SCOPED(fl_shm) *region = NULL;
	FL_SCOPED(reading_queue) *readings = NULL; /* freed before the region */
	FL_SCOPED(fl_endpoint) *endpoint = NULL;
	uint64_t next = 1;
	if (argc < 2)
		return fl_perror(-EINVAL, "recorder PATH [SENSORS]");
	int rc = fl_shm_create(&region, 1 << 20);
	if (rc == 0)
		rc = reading_queue_create(&readings, region, &(fl_shm_queue_config){.capacity = 1000});
	if (rc == 0)
		rc = fl_shm_set_root(region, reading_queue_offset(readings));
	if (rc == 0)
		rc = fl_endpoint_create(&endpoint, argv[1], &(fl_endpoint_config){READINGS, .region = region});
	const int sensors = argc > 2 ? atoi(argv[2]) : 2;
	if (rc == 0)
		printf("serves at %s\n", argv[1]);
	(void)fflush(stdout);
	for (int i = 1; rc == 0 && i <= sensors; i++) {
		FL_SCOPED(fl_pipe) *sensor = NULL;
		rc = fl_endpoint_accept(endpoint, &sensor);
		if (rc == 0)
			rc = record(readings, &next, sensor);
		if (rc == 0)
			printf("sensor %d has ended; %llu readings, none lost\n", i, (unsigned long long)(next - 1));
		(void)fflush(stdout);
	}
	return rc == 0 ? EXIT_SUCCESS : fl_perror(rc, "recorder");
}
