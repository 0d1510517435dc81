// SPDX-License-Identifier: BSD-2-Clause
// Runs the rows under Google Benchmark. No other file knows Google Benchmark.
#include "shim.h"
#include "remote.h"

#include <algorithm>
#include <atomic>
#include <benchmark/benchmark.h>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <list>
#include <memory>
#include <pthread.h>
#include <sched.h>
#include <string>
#include <unistd.h>
#include <vector>

namespace
{

// the least time of one repetition; with --quick, a part of it
constexpr int full_ms = 250, quick_least_part = 6;
// with --quick, a fixed number of operations, or a span, is divided by this
constexpr int quick_part = 5;

// A counter: how many operations a run with a span made for each that Google Benchmark knows of.
const char per_run[] = "operations";
// A counter: CPU seconds for each operation, in a process of its own.
const char elsewhere[] = "cpu";

// Keeps the calling thread on the CPU where a case wants it, as long as the object lives.
class Placed
{
      public:
	Placed(bench_place place, int index)
	{
		moved_ = place != BENCH_ANYWHERE;
		if (moved_)
			before_ = bench_pin(place == BENCH_APART ? index : 0);
	}

	~Placed()
	{
		if (moved_)
			sched_setaffinity(0, sizeof before_, &before_);
	}

	Placed(const Placed &) = delete;
	Placed &operator=(const Placed &) = delete;

      private:
	bool moved_;
	cpu_set_t before_;
};

struct alignas(BENCH_LINE) Lane {
	bench_thread thread;
	int64_t start, end;
};

class Bench
{
      public:
	explicit Bench(const bench_entry &entry)
	    : entry_(entry), lanes_(static_cast<size_t>(entry.of->callers ? entry.of->callers : entry.threads))
	{
		pthread_barrier_init(&ended_, nullptr, static_cast<unsigned>(lanes_.size()));
	}

	void add(const bench_options &options)
	{
		const bool quick = options.quick;
		auto *b = benchmark::RegisterBenchmark(entry_.name, [this](benchmark::State &state) { run(state); });
		b->Threads(static_cast<int>(lanes_.size()));
		// Wall time from the first start to the last end; Google Benchmark's own time is a
		// mean over threads.
		b->UseManualTime();
		b->MeasureProcessCPUTime();
		b->Repetitions(options.repetitions);
		if (options.laps)
			laps_ = std::make_unique<bench_laps>();
		span_ = int64_t(1000000) * entry_.of->span_ms / (quick ? quick_part : 1);
		if (span_ > 0)
			b->Iterations(1);
		else if (entry_.row->fixed > 0)
			b->Iterations(static_cast<benchmark::IterationCount>(
			    quick ? (entry_.row->fixed + quick_part - 1) / quick_part : entry_.row->fixed));
		else
			b->MinTime(1e-3 * (entry_.of->least_ms ? entry_.of->least_ms : full_ms) /
			           (quick ? quick_least_part : 1));
	}

      private:
	// Called by each thread of a run. Google Benchmark holds all threads before the first round
	// of the loop, and after its last.
	void run(benchmark::State &state)
	{
		const int index = state.thread_index();
		if (index == 0)
			prepare(static_cast<uint64_t>(state.max_iterations));
		Lane &lane = lanes_[static_cast<size_t>(index)];
		const Placed placed(entry_.of->place, index);
		while (state.KeepRunningBatch(state.max_iterations)) {
			lane.thread = {};
			lane.thread.state = state_;
			lane.thread.index = index;
			lane.thread.threads = static_cast<int>(lanes_.size());
			lane.thread.total = total_;
			if (index == 0 && laps_) {
				*laps_ = {};
				lane.thread.laps = laps_.get();
			}
			gather();
			lane.start = bench_now();
			lane.thread.until = lane.start + span_;
			if (remote_)
				cpu_ = bench_remote_ask(remote_, &lane.thread, span_);
			else
				bench_run(entry_.row, &lane.thread);
			lane.end = bench_now();
			pthread_barrier_wait(&ended_); // so that the CPU time of all threads counts
		}
		state.SetIterationTime(seconds());
		if (index == 0)
			finish(state);
	}

	void prepare(uint64_t iterations)
	{
		if (isatty(STDERR_FILENO))
			std::fprintf(stderr, "\r\033[K%s", entry_.name);
		total_ = iterations * lanes_.size();
		arrived_.store(0);
		if (entry_.of->alone)
			remote_ = bench_alone_open(entry_.row, entry_.threads);
		else {
			const bench_setting with = {entry_.threads, total_, entry_.row->arg};
			state_ = entry_.row->setup(&with);
		}
	}

	// Releases the threads at the same time. The threads at Google Benchmark's own barrier wake
	// one after the other.
	void gather()
	{
		arrived_.fetch_add(1);
		while (arrived_.load() < lanes_.size())
			sched_yield();
	}

	double seconds() const
	{
		int64_t start = INT64_MAX, end = INT64_MIN;
		for (const Lane &lane : lanes_) {
			start = std::min(start, lane.start);
			end = std::max(end, lane.end);
		}
		const int64_t said = lanes_[0].thread.took;
		const double took = static_cast<double>(said > 0 ? said : end - start) * 1e-9;
		return span_ > 0 ? took / static_cast<double>(done()) * static_cast<double>(total_) : took;
	}

	uint64_t done() const
	{
		uint64_t sum = 0;
		for (const Lane &lane : lanes_)
			sum += lane.thread.done;
		return sum;
	}

	void finish(benchmark::State &state)
	{
		uint64_t most = 0, least = UINT64_MAX;
		int64_t longest = 0;
		for (const Lane &lane : lanes_) {
			longest = std::max(longest, lane.thread.longest);
			most = std::max(most, lane.thread.done);
			least = std::min(least, lane.thread.done);
		}
		// Shorter runs say nothing about fairness.
		if (most > 0 && lanes_.size() > 1 && entry_.row->fixed == 0 && entry_.of->least_ms == 0)
			state.counters["unfairness"] =
			    static_cast<double>(most) / static_cast<double>(std::max<uint64_t>(least, 1));
		const bench_thread &first = lanes_[0].thread;
		for (const auto &[name, value] :
		     {std::pair{"p50", first.p50}, {"p99", first.p99}, {"longest", longest}})
			if (value > 0)
				state.counters[name] = static_cast<double>(value);
		if (span_ > 0)
			state.counters[per_run] = static_cast<double>(done()) / static_cast<double>(total_);
		state.SetLabel(entry_.role);
		if (remote_) {
			state.counters[elsewhere] = static_cast<double>(cpu_) * 1e-9 / static_cast<double>(total_);
			bench_remote_close(remote_);
		} else {
			entry_.row->teardown(state_, total_);
		}
		state_ = nullptr;
		remote_ = nullptr;
	}

	const bench_entry &entry_;
	std::vector<Lane> lanes_;
	void *state_ = nullptr;
	bench_remote *remote_ = nullptr; // the process that measures the row, if the row is alone
	int64_t cpu_ = 0;                // ns of CPU time of that process in the run
	int64_t span_ = 0;               // ns of a run; 0: a run is `total_` operations
	uint64_t total_ = 0;
	std::atomic<size_t> arrived_{0};
	pthread_barrier_t ended_;
	std::unique_ptr<bench_laps> laps_; // NULL: the times of single operations are not wanted
};

// Removes what Google Benchmark adds to a name (kind of time, options); the row's own name has all
// that a reader needs. Where a run has a span, the CPU time becomes that of an operation, as
// elsewhere.
benchmark::BenchmarkReporter::Run tidy(benchmark::BenchmarkReporter::Run run)
{
	const std::string name = run.run_name.function_name;
	run.run_name = {};
	run.run_name.function_name = name;
	run.threads = std::atoi(name.c_str() + name.rfind(':') + 1);
	const bool is_time = run.aggregate_unit == benchmark::kTime && run.aggregate_name != "stddev";
	const auto cpu = run.counters.find(elsewhere);
	if (cpu != run.counters.end()) {
		if (is_time)
			run.cpu_accumulated_time = cpu->second.value * static_cast<double>(run.iterations);
		run.counters.erase(cpu);
	}
	const auto operations = run.counters.find(per_run);
	if (operations != run.counters.end()) {
		if (is_time)
			run.cpu_accumulated_time /= operations->second.value;
		run.counters.erase(operations);
	}
	return run;
}

// Writes Google Benchmark's JSON to a file. On standard output it prints a line for each row: the
// median of its repetitions.
class Reporter : public benchmark::JSONReporter
{
      public:
	Reporter(size_t width, const char *out) : width_(static_cast<int>(width)), file_(out ? out : "/dev/null")
	{
		SetOutputStream(&file_);
	}

	void ReportRuns(const std::vector<Run> &runs) override
	{
		std::vector<Run> tidied;
		for (const Run &run : runs) {
			tidied.push_back(tidy(run));
			if (run.aggregate_name == "median")
				print(tidied.back());
		}
		JSONReporter::ReportRuns(tidied);
	}

      private:
	void print(const Run &run) const
	{
		if (isatty(STDERR_FILENO))
			std::fputs("\r\033[K", stderr);
		std::printf("%-*s %11.1f ns  cpu %11.1f ns  %s", width_, run.run_name.function_name.c_str(),
		            run.GetAdjustedRealTime(), run.GetAdjustedCPUTime(), run.report_label.c_str());
		for (const auto &counter : run.counters)
			std::printf("  %s %.4g", counter.first.c_str(), counter.second.value);
		std::printf("\n");
		std::fflush(stdout);
	}

	int width_;
	std::ofstream file_;
};

} // namespace

int bench_measure(const bench_entry *entries, size_t count, const bench_options *options, const char *out)
{
#ifndef __OPTIMIZE__
	std::fputs("fairlead-bench: built without optimisation: these figures mean nothing\n", stderr);
#endif
	std::string name = "fairlead-bench", interleave = "--benchmark_enable_random_interleaving=true";
	char *argv[] = {name.data(), interleave.data(), nullptr};
	int argc = 2;
	benchmark::Initialize(&argc, argv);
	benchmark::AddCustomContext("peers", BENCH_PEERS);
	benchmark::AddCustomContext("compiler", __VERSION__);
	benchmark::AddCustomContext("quick", options->quick ? "true" : "false");

	std::list<Bench> benches;
	size_t width = 0;
	for (size_t i = 0; i < count; i++) {
		benches.emplace_back(entries[i]).add(*options);
		width = std::max(width, std::string(entries[i].name).size());
	}
	Reporter reporter(width, out);
	const size_t ran = benchmark::RunSpecifiedBenchmarks(&reporter);
	benchmark::Shutdown();
	return ran > 0 ? 0 : 1;
}
