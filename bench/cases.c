/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The cases and their peers. These lists are fixed: no peer is left out because a package is
 * missing (the build fails) or because its row is (the program refuses to start). bench/README.md
 * says what each name stands for.
 */
#include "shim.h"

/* clang-format off */
const bench_case bench_cases[] = {
	{
		.name = "locks/mutex_uncontended", .unit = "ns/op", .threads = {1}, .least_ms = 100,
		.peers = {"pthread", "nsync", "abseil", "tbb", "glib"},
		.spinning = {"tbb_spin", "ck_fas", "ck_ticket", "ck_mcs"},
		.floor = {"cas"},
	},
	{
		.name = "locks/mutex_empty", .unit = "ns/op", .threads = {2, 4, 8, 16}, .least_ms = 100,
		.peers = {"pthread", "nsync", "abseil", "tbb", "glib"},
		.spinning = {"tbb_spin", "ck_fas", "ck_ticket", "ck_mcs"},
	},
	{
		.name = "locks/mutex_100ns", .unit = "ns/op", .threads = {1, 2, 4, 8, 16}, .least_ms = 100,
		.peers = {"pthread", "nsync", "abseil", "tbb", "glib"},
		.spinning = {"tbb_spin", "ck_fas", "ck_ticket", "ck_mcs"},
	},
	{
		.name = "locks/mutex_1us", .unit = "ns/op", .threads = {1, 2, 4, 8, 16}, .least_ms = 100,
		.peers = {"pthread", "nsync", "abseil", "tbb", "glib"},
		.spinning = {"tbb_spin", "ck_fas", "ck_ticket", "ck_mcs"},
	},
	{
		.name = "locks/mutex_fair_empty", .unit = "ns/op", .threads = {16}, .span_ms = 1000,
		.peers = {"pthread", "nsync", "abseil", "tbb", "glib"},
	},
	{
		.name = "locks/mutex_fair_100ns", .unit = "ns/op", .threads = {4, 16}, .span_ms = 1000,
		.peers = {"pthread", "nsync", "abseil", "tbb", "glib"},
	},
	{
		.name = "locks/mutex_fair_1us", .unit = "ns/op", .threads = {16}, .span_ms = 1000,
		.peers = {"pthread", "nsync", "abseil", "tbb", "glib"},
	},
	{
		.name = "locks/mutex_handoff_anywhere", .unit = "ns/round trip", .threads = {2}, .least_ms = 100,
		.peers = {"pthread", "nsync", "abseil", "tbb", "glib"},
		.floor = {"futex"},
	},
	{
		.name = "locks/mutex_handoff_apart", .unit = "ns/round trip", .threads = {2}, .least_ms = 100, .place = BENCH_APART,
		.peers = {"pthread", "nsync", "abseil", "tbb", "glib"},
		.floor = {"spin", "futex"},
	},
	{
		.name = "locks/mutex_handoff_together", .unit = "ns/round trip", .threads = {2}, .least_ms = 100, .place = BENCH_TOGETHER,
		.peers = {"pthread", "nsync", "abseil", "tbb", "glib"},
		.floor = {"yield", "futex"},
	},
	{
		.name = "locks/sem_uncontended", .unit = "ns/op", .threads = {1}, .least_ms = 100,
		.peers = {"sem_t", "pthread", "nsync", "abseil", "std"},
		.floor = {"atomic"},
	},
	{
		.name = "locks/sem_2permits", .unit = "ns/op", .threads = {4, 16}, .least_ms = 100,
		.peers = {"sem_t", "pthread", "nsync", "abseil", "std"},
	},
	{
		.name = "locks/sem_timeout_100us", .unit = "ns/wait", .threads = {1}, .least_ms = 100,
		.peers = {"sem_t", "pthread"},
	},
	{
		.name = "locks/sem_pingpong_anywhere", .unit = "ns/round trip", .threads = {2}, .least_ms = 100,
		.peers = {"sem_t", "pthread", "nsync", "abseil", "std"},
		.floor = {"futex"},
	},
	{
		.name = "locks/sem_pingpong_apart", .unit = "ns/round trip", .threads = {2}, .least_ms = 100, .place = BENCH_APART,
		.peers = {"sem_t", "pthread", "nsync", "abseil", "std"},
		.floor = {"spin", "futex"},
	},
	{
		.name = "locks/sem_pingpong_together", .unit = "ns/round trip", .threads = {2}, .least_ms = 100, .place = BENCH_TOGETHER,
		.peers = {"sem_t", "pthread", "nsync", "abseil", "std"},
		.floor = {"yield", "futex"},
	},
	{
		.name = "locks/event_pingpong_anywhere", .unit = "ns/round trip", .threads = {2}, .least_ms = 100,
		.peers = {"pthread", "nsync", "abseil", "glib", "std"},
		.floor = {"futex"},
	},
	{
		.name = "locks/event_pingpong_apart", .unit = "ns/round trip", .threads = {2}, .least_ms = 100, .place = BENCH_APART,
		.peers = {"pthread", "nsync", "abseil", "glib", "std"},
		.floor = {"spin", "futex"},
	},
	{
		.name = "locks/event_pingpong_together", .unit = "ns/round trip", .threads = {2}, .least_ms = 100, .place = BENCH_TOGETHER,
		.peers = {"pthread", "nsync", "abseil", "glib", "std"},
		.floor = {"yield", "futex"},
	},
	{
		.name = "locks/cond_pingpong_anywhere", .unit = "ns/round trip", .threads = {2}, .least_ms = 100,
		.peers = {"pthread", "nsync", "abseil", "glib"},
		.floor = {"futex"},
	},
	{
		.name = "locks/cond_pingpong_apart", .unit = "ns/round trip", .threads = {2}, .least_ms = 100, .place = BENCH_APART,
		.peers = {"pthread", "nsync", "abseil", "glib"},
		.floor = {"spin", "futex"},
	},
	{
		.name = "locks/cond_pingpong_together", .unit = "ns/round trip", .threads = {2}, .least_ms = 100, .place = BENCH_TOGETHER,
		.peers = {"pthread", "nsync", "abseil", "glib"},
		.floor = {"yield", "futex"},
	},
	{
		.name = "locks/cond_broadcast", .unit = "ns/round", .threads = {16}, .least_ms = 100,
		.peers = {"pthread", "nsync", "abseil", "glib"},
	},
	{
		.name = "locks/rw_read", .unit = "ns/op", .threads = {1}, .least_ms = 100,
		.peers = {"pthread", "nsync", "abseil", "tbb", "glib", "boost"},
		.spinning = {"tbb_spin", "ck_rwlock", "ck_pflock"},
	},
	{
		.name = "locks/rw_write", .unit = "ns/op", .threads = {1}, .least_ms = 100,
		.peers = {"pthread", "nsync", "abseil", "tbb", "glib", "boost"},
		.spinning = {"tbb_spin", "ck_rwlock", "ck_pflock"},
	},
	{
		.name = "locks/rw_99", .unit = "ns/op", .threads = {1, 2, 4, 16}, .least_ms = 100,
		.peers = {"pthread", "nsync", "abseil", "tbb", "glib", "boost"},
		.spinning = {"tbb_spin", "ck_rwlock", "ck_pflock"},
	},
	{
		.name = "locks/rw_90", .unit = "ns/op", .threads = {1, 2, 4, 16}, .least_ms = 100,
		.peers = {"pthread", "nsync", "abseil", "tbb", "glib", "boost"},
		.spinning = {"tbb_spin", "ck_rwlock", "ck_pflock"},
	},
	{
		.name = "locks/rw_90_100ns", .unit = "ns/op", .threads = {1, 2, 4, 16}, .least_ms = 100,
		.peers = {"pthread", "nsync", "abseil", "tbb", "glib", "boost"},
		.spinning = {"tbb_spin", "ck_rwlock", "ck_pflock"},
	},
	{
		.name = "locks/barrier", .unit = "ns/round", .threads = {2, 4, 16}, .least_ms = 100,
		.peers = {"pthread", "std", "boost"},
	},
	{
		.name = "queues/uncontended", .unit = "ns/item", .threads = {1}, .least_ms = 100,
		.peers = {"pthread", "plain", "nsync", "ck_ring_sem", "boost", "tbb"},
		.weaker = {"boost_lockfree", "glib", "moodycamel"},
		.floor = {"fl_mpmc"},
	},
	{
		.name = "queues/mpmc_1p1c", .unit = "ns/item", .threads = {2}, .least_ms = 100,
		.peers = {"pthread", "plain", "nsync", "ck_ring_sem", "boost", "tbb"},
		.weaker = {"boost_lockfree", "glib", "moodycamel"},
		.floor = {"fl_mpmc"},
	},
	{
		.name = "queues/mpmc_2p2c", .unit = "ns/item", .threads = {4}, .least_ms = 100,
		.peers = {"pthread", "plain", "nsync", "ck_ring_sem", "boost", "tbb"},
		.weaker = {"boost_lockfree", "glib", "moodycamel"},
		.floor = {"fl_mpmc"},
	},
	{
		.name = "queues/mpmc_4p4c", .unit = "ns/item", .threads = {8}, .least_ms = 100,
		.peers = {"pthread", "plain", "nsync", "ck_ring_sem", "boost", "tbb"},
		.weaker = {"boost_lockfree", "glib", "moodycamel"},
		.floor = {"fl_mpmc"},
	},
	{
		.name = "queues/mpmc_8p8c", .unit = "ns/item", .threads = {16}, .least_ms = 100,
		.peers = {"pthread", "plain", "nsync", "ck_ring_sem", "boost", "tbb"},
		.weaker = {"boost_lockfree", "glib", "moodycamel"},
		.floor = {"fl_mpmc"},
	},
	{
		.name = "queues/roundtrip_anywhere", .unit = "ns/round trip", .threads = {2}, .least_ms = 100,
		.peers = {"pthread", "nsync", "ck_ring_sem", "boost", "tbb"},
		.weaker = {"glib", "moodycamel"},
		.floor = {"futex"},
	},
	{
		.name = "queues/roundtrip_apart", .unit = "ns/round trip", .threads = {2}, .least_ms = 100, .place = BENCH_APART,
		.peers = {"pthread", "nsync", "ck_ring_sem", "boost", "tbb"},
		.weaker = {"glib", "moodycamel"},
		.floor = {"spin", "futex"},
	},
	{
		.name = "queues/roundtrip_together", .unit = "ns/round trip", .threads = {2}, .least_ms = 100, .place = BENCH_TOGETHER,
		.peers = {"pthread", "nsync", "ck_ring_sem", "boost", "tbb"},
		.weaker = {"glib", "moodycamel"},
		.floor = {"yield", "futex"},
	},
	{
		.name = "queues/mpmc_64", .unit = "ns/item", .threads = {2, 4, 8, 16}, .least_ms = 100,
		.peers = {"pthread", "nsync", "ck_ring_sem", "boost", "tbb"},
		.weaker = {"glib", "moodycamel"},
	},
	{
		.name = "queues/mpmc_many", .unit = "ns/item", .threads = {2, 4, 8, 16}, .least_ms = 100,
		.peers = {"pthread", "nsync", "ck_ring_sem", "boost", "tbb"},
		.weaker = {"glib", "moodycamel"},
	},
	{
		.name = "queues/mpmc_many_64", .unit = "ns/item", .threads = {2, 4, 8, 16}, .least_ms = 100,
		.peers = {"pthread", "nsync", "ck_ring_sem", "boost", "tbb"},
		.weaker = {"glib", "moodycamel"},
	},
	{
		.name = "queues/lifo", .unit = "ns/item", .threads = {1, 2, 4, 8, 16}, .least_ms = 100,
		.peers = {"pthread", "nsync", "std"},
		.weaker = {"boost_lockfree"},
	},
	{
		.name = "queues/priority", .unit = "ns/item", .threads = {1, 2, 4, 8, 16}, .least_ms = 100,
		.peers = {"pthread", "nsync", "std"},
		.weaker = {"boost", "tbb"},
	},
	{
		.name = "queues/pair_uncontended", .unit = "ns/item", .threads = {1},
		.peers = {"pthread", "nsync"},
		.floor = {"fl_spsc"},
	},
	{
		.name = "queues/pair_1p1c", .unit = "ns/item", .threads = {2},
		.peers = {"pthread", "nsync"},
		.floor = {"fl_spsc"},
	},
	{
		.name = "queues/spsc_uncontended", .unit = "ns/item", .threads = {1}, .least_ms = 100,
		.peers = {"boost", "ck_ring"},
	},
	{
		.name = "queues/spsc_1p1c", .unit = "ns/item", .threads = {2}, .least_ms = 100,
		.peers = {"boost", "ck_ring"},
	},
	{
		.name = "queues/ring_uncontended", .unit = "ns/item", .threads = {1}, .least_ms = 100,
		.peers = {"boost", "ck_ring", "tbb"},
		.weaker = {"moodycamel"},
	},
	{
		.name = "queues/ring_1p1c", .unit = "ns/item", .threads = {2}, .least_ms = 100,
		.peers = {"boost", "ck_ring", "tbb"},
		.weaker = {"moodycamel"},
	},
	{
		.name = "queues/ring_2p2c", .unit = "ns/item", .threads = {4}, .least_ms = 100,
		.peers = {"boost", "ck_ring", "tbb"},
		.weaker = {"moodycamel"},
	},
	{
		.name = "queues/ring_4p4c", .unit = "ns/item", .threads = {8}, .least_ms = 100,
		.peers = {"boost", "ck_ring", "tbb"},
		.weaker = {"moodycamel"},
	},
	{
		.name = "queues/ring_8p8c", .unit = "ns/item", .threads = {16}, .least_ms = 100,
		.peers = {"boost", "ck_ring", "tbb"},
		.weaker = {"moodycamel"},
	},
	{
		.name = "queues/ring_64", .unit = "ns/item", .threads = {2, 4, 8, 16}, .least_ms = 100,
		.peers = {"boost", "ck_ring", "tbb"},
		.weaker = {"moodycamel"},
	},
	{
		.name = "queues/ring_many", .unit = "ns/item", .threads = {2, 4, 8, 16}, .least_ms = 100,
		.peers = {"boost", "ck_ring", "tbb"},
		.weaker = {"moodycamel"},
	},
	{
		.name = "queues/ring_many_64", .unit = "ns/item", .threads = {2, 4, 8, 16}, .least_ms = 100,
		.peers = {"boost", "ck_ring", "tbb"},
		.weaker = {"moodycamel"},
	},
	{
		.name = "queues/unbounded", .unit = "ns/item", .threads = {2, 4, 8, 16},
		.peers = {"tbb", "glib"},
		.weaker = {"moodycamel", "urcu", "ck_fifo"},
	},
	{
		.name = "queues/unbounded_64", .unit = "ns/item", .threads = {2, 4, 8, 16},
		.peers = {"tbb", "glib"},
		.weaker = {"moodycamel", "urcu", "ck_fifo"},
	},
	{
		.name = "queues/unbounded_many", .unit = "ns/item", .threads = {2, 4, 8, 16},
		.peers = {"tbb", "glib"},
		.weaker = {"moodycamel", "urcu", "ck_fifo"},
	},
	{
		.name = "queues/unbounded_many_64", .unit = "ns/item", .threads = {2, 4, 8, 16},
		.peers = {"tbb", "glib"},
		.weaker = {"moodycamel", "urcu", "ck_fifo"},
	},
	{
		.name = "queues/unbounded_blocking", .unit = "ns/item", .threads = {2, 4, 8, 16},
		.peers = {"tbb", "glib", "boost"},
		.weaker = {"moodycamel"},
	},
	{
		.name = "queues/mpsc", .unit = "ns/item", .threads = {2, 5, 9, 17},
		.peers = {"tbb", "glib"},
		.weaker = {"moodycamel", "urcu", "ck_fifo"},
	},
	{
		.name = "exec/submit_get", .unit = "ns/task", .threads = {2}, .callers = 1, .alone = true,
		.peers = {"pthread", "boost", "boost_asio", "glib", "libuv", "tbb"},
		.weaker = {"std_async"},
	},
	{
		.name = "exec/roundtrip", .unit = "ns/task", .threads = {2}, .callers = 1, .alone = true,
		.peers = {"pthread", "boost", "boost_asio", "glib", "libuv", "tbb"},
		.weaker = {"std_async"},
	},
	{
		.name = "exec/roundtrip_idle", .unit = "ns/task", .threads = {2}, .callers = 1, .alone = true, .span_ms = 1000,
		.peers = {"pthread", "boost", "boost_asio", "glib", "libuv", "tbb"},
		.weaker = {"std_async"},
	},
	{
		.name = "exec/roundtrip_100us", .unit = "ns/task", .threads = {2}, .callers = 1, .alone = true, .span_ms = 1000,
		.peers = {"pthread", "boost", "boost_asio", "glib", "libuv", "tbb"},
		.weaker = {"std_async"},
	},
	{
		.name = "exec/burst", .unit = "ns/task", .threads = {2}, .callers = 1, .alone = true,
		.peers = {"pthread", "boost", "boost_asio", "glib", "libuv", "tbb", "libgomp", "libomp"},
	},
	{
		.name = "exec/group", .unit = "ns/task", .threads = {2}, .callers = 1, .alone = true,
		.peers = {"tbb", "libgomp", "libomp"},
	},
	{
		.name = "exec/fork_join", .unit = "ns/call", .threads = {1, 2}, .callers = 1, .alone = true, .span_ms = 500,
		.peers = {"libgomp", "libomp", "tbb"},
		.floor = {"serial"},
	},
	{
		.name = "exec/parallel_even", .unit = "ns/element", .threads = {2}, .callers = 1, .alone = true, .span_ms = 500,
		.peers = {"libgomp", "libomp", "tbb"},
		.floor = {"serial"},
	},
	{
		.name = "exec/parallel_uneven", .unit = "ns/row", .threads = {2}, .callers = 1, .alone = true, .span_ms = 500,
		.peers = {"libgomp", "libomp", "tbb"},
		.floor = {"serial"},
	},
	{
		.name = "exec/in_flight", .unit = "ns/task", .threads = {4, 16}, .callers = 1, .alone = true,
		.peers = {"pthread", "boost", "boost_asio", "glib", "libuv", "tbb"},
	},
	{
		.name = "exec/idle_cpu", .unit = "us of CPU/s", .threads = {2}, .callers = 1, .alone = true, .span_ms = 1000,
		.peers = {"pthread", "boost", "boost_asio", "glib", "libuv", "tbb"},
	},
	{
		.name = "exec/memory_task", .unit = "bytes/task", .threads = {2}, .callers = 1, .alone = true,
		.peers = {"pthread", "boost", "boost_asio", "glib", "libuv", "tbb"},
	},
	{
		.name = "process/mutex_uncontended", .unit = "ns/op", .threads = {1},
		.peers = {"pthread_robust"}, .weaker = {"pthread_shared"},
		.floor = {"cas"},
	},
	{
		.name = "process/mutex_contended", .unit = "ns/op", .threads = {1},
		.peers = {"pthread_robust"}, .weaker = {"pthread_shared"},
	},
	{
		.name = "process/sem_pingpong", .unit = "ns/round trip", .threads = {1},
		.peers = {"sem_t", "pthread"},
		.floor = {"futex"},
	},
	{
		.name = "process/cond_pingpong", .unit = "ns/round trip", .threads = {1},
		.peers = {"pthread_robust"}, .weaker = {"pthread_shared"},
		.floor = {"futex"},
	},
	{
		.name = "process/roundtrip", .unit = "ns/round trip", .threads = {1},
		.peers = {"posix_mq", "pipe", "unix"}, .weaker = {"pthread"},
		.floor = {"ring"},
	},
	{
		.name = "process/one_way", .unit = "ns/message", .threads = {1},
		.peers = {"posix_mq", "pipe", "unix"}, .weaker = {"pthread"},
		.floor = {"ring"},
	},
	{
		.name = "process/tasks_chunk1", .unit = "ns/task", .threads = {2}, .callers = 1,
		.peers = {"python_ppe", "fork"},
		.floor = {"rings", "rings_deep"},
	},
	{
		.name = "process/map_chunk1", .unit = "ns/element", .threads = {2}, .callers = 1,
		.peers = {"python_pool", "python_ppe"},
		.floor = {"rings", "rings_deep"},
	},
	{
		.name = "process/map_chunk64", .unit = "ns/element", .threads = {2}, .callers = 1,
		.peers = {"python_pool", "python_ppe"},
		.floor = {"rings", "rings_deep"},
	},
	{
		.name = "process/task_roundtrip", .unit = "ns/task", .threads = {1},
		.peers = {"python_ppe"},
		.floor = {"line", "futex"},
	},
	{
		.name = "process/task_64mib", .unit = "ns/task", .threads = {1},
		.peers = {"python_shm", "python_pickled"},
		.floor = {"noop"},
	},
	{
		.name = "process/result_64mib", .unit = "ns/task", .threads = {1},
		.peers = {"python_pickled"}, .weaker = {"python_shm"},
		.floor = {"copy"},
	},
	{
		.name = "process/program", .unit = "ns/program", .threads = {1},
		.floor = {"without"},
	},
	{
		.name = "process/start_first", .unit = "ns/start", .threads = {2}, .callers = 1,
		.peers = {"python_fork", "python_ppe", "python_pool", "python_forkserver"},
	},
	{
		.name = "process/start_again", .unit = "ns/start", .threads = {2}, .callers = 1,
		.peers = {"python_fork", "python_ppe", "python_pool", "python_forkserver"},
	},
	{
		.name = "process/start_stop", .unit = "ns/start", .threads = {2}, .callers = 1,
		.peers = {"python_fork", "python_ppe", "python_pool", "python_forkserver"},
	},
	{
		.name = "process/kill_to_failed", .unit = "ns/kill", .threads = {1},
		.weaker = {"python_ppe"},
	},
	{
		.name = "process/kill_to_served", .unit = "ns/kill", .threads = {1},
		.weaker = {"python_ppe", "python_pool"},
	},
	{
		.name = "process/program_start", .unit = "ns/start", .threads = {1},
		.peers = {"posix_spawn", "glib", "python_asyncio"},
	},
	{
		.name = "process/program_100mb", .unit = "ns/transfer", .threads = {1},
		.peers = {"glib", "python_asyncio"},
	},
	{
		.name = "fiber/switch", .unit = "ns/switch", .threads = {1},
		.peers = {"boost_context", "ucontext"},
		.weaker = {"plain"},
	},
	{
		.name = "fiber/yield", .unit = "ns/yield", .threads = {1},
		.peers = {"boost_fiber"},
	},
	{
		.name = "fiber/spawn_join", .unit = "ns/fiber", .threads = {1},
		.peers = {"boost_fiber"},
	},
	{
		.name = "fiber/channel", .unit = "ns/round trip", .threads = {1},
		.peers = {"boost_fiber"},
	},
	{
		.name = "loop/spawn_join", .unit = "ns/task", .threads = {1},
		.peers = {"boost_fiber", "python_asyncio"},
	},
	{
		.name = "loop/group_20000", .unit = "ns/task", .threads = {1},
		.peers = {"boost_fiber", "python_asyncio"},
	},
	{
		.name = "loop/pingpong", .unit = "ns/round trip", .threads = {1},
		.peers = {"boost_fiber", "boost_unbuffered", "python_asyncio"},
	},
	{
		.name = "loop/cancel", .unit = "ns/task", .threads = {1},
		.peers = {"python_asyncio"},
	},
	{
		.name = "loop/timer", .unit = "ns/restart", .threads = {1},
		.peers = {"libuv", "python_asyncio"},
	},
	{
		.name = "loop/turn", .unit = "ns/turn", .threads = {1}, .least_ms = 100,
		.peers = {"libuv"},
	},
	{
		.name = "loop/call_roundtrip", .unit = "ns/round trip", .threads = {2}, .least_ms = 100, .place = BENCH_APART,
		.peers = {"libuv"},
	},
	{
		.name = "loop/sem_roundtrip", .unit = "ns/round trip", .threads = {2}, .least_ms = 100, .place = BENCH_APART,
		.peers = {"libuv"},
	},
	{
		.name = "loop/echo_1", .unit = "ns/request", .threads = {1},
		.peers = {"libuv", "libuv_try", "boost_asio", "python_asyncio"},
		.floor = {"epoll_level", "epoll_edge"},
	},
	{
		.name = "loop/echo_100", .unit = "ns/request", .threads = {1},
		.peers = {"libuv", "libuv_try", "boost_asio", "python_asyncio"},
		.floor = {"epoll_level", "epoll_edge"},
	},
	{
		.name = "loop/echo_1000", .unit = "ns/request", .threads = {1},
		.peers = {"libuv", "libuv_try", "boost_asio", "python_asyncio"},
		.floor = {"epoll_level", "epoll_edge"},
	},
	{
		.name = "loop/echo_100_cpu", .unit = "ns of CPU/request", .threads = {1},
		.peers = {"libuv", "libuv_try", "boost_asio", "python_asyncio"},
		.floor = {"epoll_level", "epoll_edge"},
	},
	{
		.name = "loop/udp_1", .unit = "ns/request", .threads = {1},
		.peers = {"libuv", "libuv_try"}, .weaker = {"fairlead_many"},
		.floor = {"epoll_level"},
	},
	{
		.name = "loop/udp_100", .unit = "ns/request", .threads = {1},
		.peers = {"libuv", "libuv_try"}, .weaker = {"fairlead_many"},
		.floor = {"epoll_level"},
	},
	{
		.name = "loop/unix_datagram_1", .unit = "ns/request", .threads = {1},
		.peers = {"libuv", "libuv_try"}, .weaker = {"fairlead_many"},
		.floor = {"epoll_level"},
	},
	{
		.name = "loop/unix_datagram_8", .unit = "ns/request", .threads = {1},
		.peers = {"libuv", "libuv_try"}, .weaker = {"fairlead_many"},
		.floor = {"epoll_level"},
	},
	{
		.name = "loop/memory_task", .unit = "bytes/task", .threads = {1},
		.peers = {"boost_fiber", "python_asyncio"},
		.weaker = {"boost_unguarded"},
	},
	{
		.name = "loop/memory_stream", .unit = "bytes/connection", .threads = {1},
		.peers = {"python_streams"},
		.weaker = {"libuv", "boost_asio", "python_asyncio"},
		.floor = {"epoll_edge"},
	},
	{
		.name = "stress/model_random", .unit = "ns/execution", .threads = {1},
		.weaker = {"pthread"},
	},
	{
		.name = "stress/model_dfs", .unit = "ns/execution", .threads = {1},
		.weaker = {"pthread"},
	},
	{.name = NULL},
};
/* clang-format on */
