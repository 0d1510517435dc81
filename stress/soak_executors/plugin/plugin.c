/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A plugin that is loaded, used and unloaded. It has its own copy of the library, and uses those
 * parts of it that start threads and processes.
 */
#include <errno.h>
#include <fairlead.h>

FL_TASK_STATIC(double_it, int, int)
{
	*result = 2 * *arg;
	return 0;
}

static int use_executor(fl_executor *e)
{
	int numbers[16], doubles[16] = {0};
	for (int i = 0; i < 16; i++)
		numbers[i] = i;
	int rc = double_it_map(e, numbers, 16, doubles, NULL);
	for (int i = 0; i < 16 && rc == 0; i++)
		rc = doubles[i] == 2 * i ? 0 : -ERANGE;
	return rc;
}

static int use_threads(void)
{
	FL_SCOPED(fl_executor) *e = NULL;
	int rc = fl_thread_executor_create(&e, &(fl_executor_config){.workers = 2});
	return rc == 0 ? use_executor(e) : rc;
}

static int use_program(void)
{
	fl_process *p = NULL;
	fl_process_status status = {1, 0};
	int rc = fl_process_start(&p, &(fl_process_config){.program = "true"});
	if (rc == 0)
		rc = fl_process_join(p, &status);
	fl_process_free(p);
	return rc == 0 ? status.code : rc;
}

static int sleep_a_little(void *unused)
{
	(void)unused;
	return fl_sleep_until(fl_after(FL_US(10)), NULL);
}

static int use_loop(void)
{
	return fl_loop_run(sleep_a_little, NULL);
}

static int use_shared_memory(void)
{
	FL_SCOPED(fl_shm) *region = NULL;
	int rc = fl_shm_create(&region, 4096);
	if (rc != 0)
		return rc;
	fl_shm_event *event = fl_shm_block_alloc(region, sizeof *event);
	if (!event)
		return -ENOMEM;
	fl_shm_event_init(event);
	fl_event never = FL_EVENT_INIT;
	fl_on on[] = {FL_ON_EVENT(&never), FL_ON_SHM_EVENT(event)};
	rc = fl_wait_any_until(on, 2, fl_after(FL_US(10)), NULL);
	return rc == -ETIMEDOUT ? 0 : rc == 0 ? -ERANGE : rc;
}

__attribute__((visibility("default"))) int use_everything(void);

int use_everything(void)
{
	int rc = use_threads();
	if (rc == 0)
		rc = use_program();
	if (rc == 0)
		rc = use_loop();
	return rc == 0 ? use_shared_memory() : rc;
}
