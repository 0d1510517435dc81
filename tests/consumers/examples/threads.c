/* SPDX-License-Identifier: BSD-2-Clause */
/* Threads: a function that runs beside the caller, its result, and a join with a deadline. */
#include <errno.h>
#include <fairlead.h>
#include <stdio.h>
#include <string.h>

static int download(void *file) /* 0 or an error: the join hands it over */
{
	if (strcmp(fl_thread_current_name(), "download") != 0)
		return -EPROTO;
	return strcmp(file, "missing") == 0 ? -ENOENT : 0;
}

static int linger(void *event)
{
	return fl_event_wait(event);
}

int main(void)
{
	const char *files[] = {"there", "missing"};
	const int expected[] = {0, -ENOENT};
	fl_thread *t;
	int rc, result;

	for (int i = 0; i < 2; i++) {
		rc = fl_thread_start(&t, download, (void *)files[i], &(fl_thread_config){.name = "download"});
		if (rc)
			return fl_perror(rc, "start");
		rc = fl_thread_join_until(t, &result, fl_after(FL_S(60)), NULL);
		if (rc || result != expected[i])
			return fl_perror(rc ? rc : result, files[i]);
	}

	fl_event go = FL_EVENT_INIT;
	rc = fl_thread_start(&t, linger, &go, NULL);
	if (rc)
		return fl_perror(rc, "start");
	if (fl_thread_join_until(t, &result, fl_after(FL_MS(5)), NULL) != -ETIMEDOUT)
		return fl_perror(-EPROTO, "a thread that waits was joined");
	fl_event_set(&go);
	rc = fl_thread_join(t, &result);
	puts(rc == 0 && result == 0 ? "ok" : "not joined");
	return 0;
}
