/* SPDX-License-Identifier: BSD-2-Clause */
/* A plugin with its own copy of the library: of the core, or, with ALL_PARTS, of all parts. */
#include <fairlead.h>
#include <fairlead/debug.h>
#include <stdio.h>

FL_TASK(add_one, int, int)
{
	*result = *arg + 1;
	return *arg < 0 ? fl_task_fail(ctx, -EDOM, "%d is negative", *arg) : 0;
}

static int use_the_core(void)
{
	FL_SCOPED(fl_executor) *e = NULL;
	FL_SCOPED(fl_queue) *q = NULL;
	fl_rwlock l = FL_RWLOCK_INIT;
	const int in[] = {1, 2}, negative = -1;
	int out[] = {0, 0}, item = 3;
	int rc = fl_thread_executor_create(&e, NULL);
	if (rc == 0)
		rc = add_one_map(e, in, 2, out, NULL);
	if (rc == 0 && add_one_map(e, &negative, 1, out + 1, NULL) != FL_ETASK)
		rc = -EDOM;
	if (rc == 0)
		rc = fl_queue_create(&q, sizeof item, &(fl_queue_config){.capacity = FL_UNBOUNDED});
	if (rc == 0 && FL_SELECT(FL_PUT(q, &item), FL_GET(q, &item)) < 0)
		rc = -EPIPE;
	fl_rwlock_read_lock(&l);
	fl_rwlock_read_unlock(&l);
	return rc ? rc : out[0] - 2;
}

#ifdef ALL_PARTS
static int sleep_a_little(void *unused)
{
	(void)unused;
	return fl_sleep(FL_US(1));
}

static int use_all(void)
{
	FL_SCOPED(fl_shm) *region = NULL;
	static volatile bool never;
	FL_SCOPED(fl_executor) *e = NULL;
	int rc = never ? fl_process_executor_create(&e, NULL) : 0;
	if (rc == 0)
		rc = fl_loop_run(sleep_a_little, NULL);
	if (rc == 0)
		rc = fl_shm_create(&region, 65536);
	fl_shm_mutex *m = rc == 0 ? fl_shm_block_alloc(region, sizeof *m) : NULL;
	if (!m)
		return rc ? rc : -ENOMEM;
	rc = fl_shm_mutex_lock(m);
	if (rc == 0)
		fl_shm_mutex_unlock(m);
	return rc;
}
#else
#define use_all() 0
#endif

int run(void);
__attribute__((visibility("default"))) int run(void)
{
	int rc = fl_debug_enable(FL_DEBUG_LOCKORDER);
	if (rc == 0)
		rc = use_the_core();
	if (rc == 0)
		rc = use_all();
	if (rc != 0)
		printf("%s\n", fl_error_name(rc));
	return rc;
}
