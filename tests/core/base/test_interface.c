/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What programs have compiled in: the size of each public struct on 64-bit machines, and the value
 * of each enumerator. A change breaks programs that are built already (docs/platforms.md).
 * `./dev check abi` finds what these lists lack.
 */
#include "fl_test.h"

static void expect(const char *name, size_t now, size_t released)
{
	if (now != released)
		print_error("%s: %zu in place of %zu\n", name, now, released);
	assert_int_equal(now, released);
}

#define SIZE(type, size) expect(#type, sizeof(type), size)
#define VALUE(name, value) expect(#name, name, value)

FL_TEST(interface_structs_have_their_size)
{
	if (sizeof(void *) != 8)
		FL_SKIP("not a 64-bit machine");
	SIZE(fl_barrier, 40);
	SIZE(fl_bytes, 32);
	SIZE(fl_cancel_token, 64);
	SIZE(fl_cancel_callback, 64);
	SIZE(fl_time, 8);
	SIZE(fl_timeout, 88);
	SIZE(fl_cond, 8);
	SIZE(fl_address, 136);
	SIZE(fl_datagram_config, 48);
	SIZE(fl_datagram_message, 168);
	SIZE(fl_endpoint_config, 88);
	SIZE(fl_panic_info, 24);
	SIZE(fl_allocator, 24);
	SIZE(fl_event, 4);
	SIZE(fl_executor_config, 152);
	SIZE(fl_submit_config, 56);
	SIZE(fl_map_error, 272);
	SIZE(fl_map_config, 64);
	SIZE(fl_stats_times, 40);
	SIZE(fl_stats_type, 88);
	SIZE(fl_stats_executor, 112);
	SIZE(fl_fiber_config, 40);
	SIZE(fl_group, 424);
	SIZE(fl_imap_config, 88);
	SIZE(fl_latch, 4);
	SIZE(fl_loop_config, 40);
	SIZE(fl_loop_timer, 56);
	SIZE(fl_loop_watch, 64);
	SIZE(fl_loop_debug_config, 40);
	SIZE(fl_mutex, 4);
	SIZE(fl_listen_config, 48);
	SIZE(fl_once, 4);
	SIZE(fl_parallel_config, 64);
	SIZE(fl_reduction, 32);
	SIZE(fl_pipe_config, 40);
	SIZE(fl_mpmc, 448);
	SIZE(fl_spsc, 448);
	SIZE(fl_process_config, 136);
	SIZE(fl_process_status, 8);
	SIZE(fl_process_io, 88);
	SIZE(fl_queue_config, 88);
	SIZE(fl_stats_queue, 40);
	SIZE(fl_rmutex, 16);
	SIZE(fl_rwlock, 8);
	SIZE(fl_select_case, 160);
	SIZE(fl_sem, 8);
	SIZE(fl_shm_barrier, 104);
	SIZE(fl_shm_cond, 16);
	SIZE(fl_shm_event, 96);
	SIZE(fl_shm_mutex, 48);
	SIZE(fl_shm_queue_config, 56);
	SIZE(fl_shm_sem, 96);
	SIZE(fl_shm_value, 48);
	SIZE(fl_shm_array, 24);
	SIZE(fl_peer_credentials, 12);
	SIZE(fl_task_type, 80);
	SIZE(fl_task_entry, 16);
	SIZE(fl_thread_config, 56);
	SIZE(fl_thread_info, 24);
	SIZE(fl_local, 16);
	SIZE(fl_timer, 80);
	SIZE(fl_on_type, 40);
	SIZE(fl_on, 160);
}

FL_TEST(interface_enumerators_have_their_value)
{
	VALUE(FL_LOG_ERROR, 0);
	VALUE(FL_LOG_WARNING, 1);
	VALUE(FL_LOG_INFO, 2);
	VALUE(FL_FULL_WAIT, 0);
	VALUE(FL_FULL_REFUSE, 1);
	VALUE(FL_FULL_RUN, 2);
	VALUE(FL_CAP_BY_REFERENCE, 1);
	VALUE(FL_CAP_CONCURRENT, 2);
	VALUE(FL_CAP_NESTED, 4);
	VALUE(FL_FD_IN, 1);
	VALUE(FL_FD_OUT, 2);
	VALUE(FL_FD_ERR, 4);
	VALUE(FL_PENDING, 0);
	VALUE(FL_RUNNING, 1);
	VALUE(FL_DONE, 2);
	VALUE(FL_CANCELLED, 3);
	VALUE(FL_PROCESS_FORK_SERVER, 0);
	VALUE(FL_PROCESS_FORK, 1);
	VALUE(FL_PROCESS_EXEC, 2);
	VALUE(FL_FIFO, 0);
	VALUE(FL_LIFO, 1);
	VALUE(FL_PRIORITY, 2);
	VALUE(FL_WAIT_FOR_SPACE, 0);
	VALUE(FL_OVERWRITE, 1);
}
