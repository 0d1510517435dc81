/* SPDX-License-Identifier: BSD-2-Clause */
/* Queues: a typed one, with deadline, bulk and close. */
#include <errno.h>
#include <fairlead.h>
#include <stdio.h>

struct job {
	int number;
	double weight;
};
FL_QUEUE_OF(struct job, job_queue) /* job_queue_put(q, job) is type-checked */

struct worker {
	job_queue *q;
	int done;
};

static int work(void *arg)
{
	struct worker *w = arg;
	struct job job;
	int rc;
	while ((rc = job_queue_get(w->q, &job)) == 0) {
		w->done++;
		job_queue_task_done(w->q);
	}
	return rc == -EPIPE ? 0 : rc; /* closed, and nothing is left */
}

int main(void)
{
	FL_SCOPED(job_queue) *q = NULL;
	int rc = job_queue_create(&q, &(fl_queue_config){.capacity = 128, .order = FL_FIFO});
	if (rc)
		return fl_perror(rc, "queue");

	struct job job = {0}, jobs[32];
	rc = job_queue_get_until(q, &job, fl_after(FL_MS(10)), NULL);
	if (rc != -ETIMEDOUT)
		return fl_perror(rc, "get from an empty queue");
	for (int i = 0; i < 20; i++)
		if ((rc = job_queue_put(q, (struct job){.number = i})) != 0) /* blocks while full */
			return fl_perror(rc, "put");
	size_t n;
	rc = job_queue_get_many(q, jobs, 8, &n);
	if (rc)
		return fl_perror(rc, "get many");
	for (size_t i = 0; i < n; i++)
		job_queue_task_done(q);

	struct worker w = {.q = q};
	fl_thread *worker;
	rc = fl_thread_start(&worker, work, &w, NULL);
	if (rc)
		return fl_perror(rc, "worker");
	rc = job_queue_join(q); /* until every job is dealt with */
	if (rc)
		return fl_perror(rc, "join");
	job_queue_close(q);
	if ((rc = job_queue_put(q, job)) != -EPIPE) /* closed; job untouched */
		return fl_perror(rc, "put into a closed queue");
	int result;
	rc = fl_thread_join(worker, &result);
	if (rc || result)
		return fl_perror(rc ? rc : result, "worker");
	puts(n == 8 && jobs[7].number == 7 && w.done == 12 ? "ok" : "jobs were lost");
	return 0;
}
