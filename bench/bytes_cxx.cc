// SPDX-License-Identifier: BSD-2-Clause
// Boost.Interprocess (bytes.h). The results are in a managed segment, in which the caller reads
// them, and two semaphores say when. The row counts as weaker: what a process holds when it dies, a
// mutex or memory, is lost for both processes.
#include "bytes.h"

#include <boost/interprocess/managed_shared_memory.hpp>
#include <boost/interprocess/sync/interprocess_semaphore.hpp>
#include <cstring>
#include <string>
#include <unistd.h>

namespace
{
namespace ipc = boost::interprocess;

// Both processes have the segment at the same address, since the partner is forked after it was
// made.
struct Segment : ipc::managed_shared_memory {
	Segment(const std::string &name, size_t size) : ipc::managed_shared_memory(ipc::create_only, name.c_str(), size)
	{
		ipc::shared_memory_object::remove(name.c_str());
	}

	using Semaphore = ipc::interprocess_semaphore;
	Semaphore &ask = *construct<Semaphore>(ipc::anonymous_instance)(0);
	Semaphore &answer = *construct<Semaphore>(ipc::anonymous_instance)(0);
};

Segment &of(const bytes_pair *p)
{
	return *static_cast<Segment *>(p->own);
}

void open(bytes_pair *p)
{
	p->own = new Segment("fairlead-bench-" + std::to_string(getpid()), p->size + (1 << 16));
}

void give(bytes_pair *p, uint64_t i)
{
	of(p).ask.wait();
	void *bytes = of(p).allocate(p->size);
	p->answered = reinterpret_cast<uintptr_t>(std::memset(bytes, static_cast<int>(i), p->size));
	of(p).answer.post();
}

void *take(bytes_pair *p, uint64_t)
{
	of(p).ask.post();
	of(p).answer.wait();
	return reinterpret_cast<void *>(p->answered);
}

void put_back(bytes_pair *p, void *bytes)
{
	of(p).deallocate(bytes);
}

void close(bytes_pair *p)
{
	delete &of(p);
}

const bytes_way small = {64, take, put_back, open, close, give, nullptr},
		middle = {64 << 10, take, put_back, open, close, give, nullptr},
		large = {64 << 20, take, put_back, open, close, give, nullptr};

const bench_row rows[] = {
    BYTES_ROW("process/result_64", "boost", BENCH_WEAKER, &small),
    BYTES_ROW("process/result_64kib", "boost", BENCH_WEAKER, &middle),
    BYTES_ROW("process/result_64mib", "boost", BENCH_WEAKER, &large),
};
} // namespace

BENCH_ROWS(rows)
