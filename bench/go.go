// SPDX-License-Identifier: BSD-2-Clause

// Measures Go for the rows `go`: fairlead-bench starts `fairlead-bench-go CASE THREADS` and asks it
// over a pipe (remote.h). The workloads are those of locks_mutex.c, rwlocks.h, queues.h, pools.h and
// exec_fork.c. Where these have threads, Go has goroutines, on all CPUs. Where these have a pool and
// the thread that submits, Go has at most as many CPUs as they have threads.
package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// What a run is asked for, as in bench_thread of shim.h, and what it answers.
type question struct {
	total uint64
	span  time.Duration
	laps  bool
}

type answer struct {
	took     time.Duration
	p99, p50 time.Duration
	done     uint64
}

func check(good bool, what string) {
	if !good {
		fmt.Fprintln(os.Stderr, "fairlead-bench-go:", what)
		os.Exit(1)
	}
}

// Arithmetic of a known length, as bench_work() of shim.h.
func work(x uint64, rounds int) uint64 {
	for ; rounds > 0; rounds-- {
		x = x*6364136223846793005 + 1442695040888963407
	}
	return x
}

var sink uint64

// Returns how many rounds of work take 100 ns.
func calibrate() int {
	const rounds, tries = 10000, 50
	best := time.Hour
	for i := 0; i < tries; i++ {
		start := time.Now()
		sink = work(sink, rounds)
		if took := time.Since(start); took < best {
			best = took
		}
	}
	return int(100 * rounds / best.Nanoseconds())
}

// Runs `threads` goroutines, which begin together, and returns the time from the first start to the
// last end.
func together(threads int, run func(index int)) time.Duration {
	var arrived int32
	var ended sync.WaitGroup
	starts, ends := make([]time.Time, threads), make([]time.Time, threads)
	ended.Add(threads)
	for i := 0; i < threads; i++ {
		go func(index int) {
			defer ended.Done()
			atomic.AddInt32(&arrived, 1)
			for atomic.LoadInt32(&arrived) < int32(threads) {
				runtime.Gosched()
			}
			starts[index] = time.Now()
			run(index)
			ends[index] = time.Now()
		}(i)
	}
	ended.Wait()
	start, end := starts[0], ends[0]
	for i := range starts {
		if starts[i].Before(start) {
			start = starts[i]
		}
		if ends[i].After(end) {
			end = ends[i]
		}
	}
	return end.Sub(start)
}

// The threads take their operations from one budget, which the mutex guards.
func mutex(threads, rounds int) func(question) answer {
	return func(q question) answer {
		var s struct {
			count, total, work uint64
			_                  [128]byte
			sync.Mutex
		}
		s.total = q.total
		took := together(threads, func(int) {
			for over := false; !over; {
				s.Lock()
				over = s.count == s.total
				if !over {
					s.count++
					if rounds > 0 {
						s.work = work(s.work, rounds)
					}
				}
				s.Unlock()
			}
		})
		check(s.count == q.total, "a lock lost a count")
		return answer{took: took, done: q.total}
	}
}

// One of `every` operations is a write. The threads take operations by the hundred.
func rw(threads int, every uint64, rounds int) func(question) answer {
	const batch = 100
	return func(q question) answer {
		var s struct {
			one, two uint64
			_        [128]byte
			taken    uint64
			_        [128]byte
			sync.RWMutex
		}
		took := together(threads, func(int) {
			var used uint64
			for {
				first := atomic.AddUint64(&s.taken, batch) - batch
				if first >= q.total {
					break
				}
				for i := first; i < first+batch && i < q.total; i++ {
					if i%every == 0 {
						s.Lock()
						s.one++
						s.two++
						used = work(used, rounds)
						s.Unlock()
					} else {
						s.RLock()
						check(s.one == s.two, "a reader saw a writer's half")
						used = work(used, rounds)
						s.RUnlock()
					}
					used = work(used, int(2+i%3)*rounds)
				}
			}
			atomic.AddUint64(&sink, used)
		})
		check(s.one == (q.total+every-1)/every, "a write was lost")
		return answer{took: took}
	}
}

// Half of the threads put items into a channel of 1,024, and half get them. A single thread puts and
// gets in turn.
func queue(threads int) func(question) answer {
	return func(q question) answer {
		items := make(chan uint64, 1024)
		producers := (threads + 1) / 2
		share := q.total / uint64(producers)
		var sum uint64
		took := together(threads, func(index int) {
			var got uint64
			last := make([]uint64, producers)
			for i := uint64(1); i <= share; i++ {
				if index < producers {
					items <- uint64(index)<<48 | i
				}
				if index >= producers || threads == 1 {
					item := <-items
					producer, number := item>>48, item&0xffffffffffff
					check(number > last[producer], "a channel gave an item out of order")
					last[producer] = number
					got += item
				}
			}
			atomic.AddUint64(&sum, got)
		})
		for i := uint64(0); i < uint64(producers); i++ {
			sum -= share*(i<<48) + share*(share+1)/2
		}
		check(sum == 0, "a channel lost or doubled items")
		return answer{took: took}
	}
}

const poolBatch = 10000

// Tasks are goroutines, and a channel of one item takes the place of a future.
type tasks []chan uint64

func (t tasks) batch(first, n uint64) {
	for i := uint64(0); i < n; i++ {
		result := make(chan uint64, 1)
		t[i] = result
		go func(arg uint64) { result <- arg }(first + i)
	}
	for i := uint64(0); i < n; i++ {
		check(<-t[i] == first+i, "a task returned a wrong result")
	}
}

func submitGet(q question) answer {
	t := make(tasks, poolBatch)
	start := time.Now()
	for first := uint64(0); first < q.total; first += poolBatch {
		n := q.total - first
		if n > poolBatch {
			n = poolBatch
		}
		t.batch(first, n)
	}
	return answer{took: time.Since(start)}
}

// Of the times of single operations.
func percentiles(laps []time.Duration, a answer) answer {
	if len(laps) > 0 {
		sort.Slice(laps, func(i, j int) bool { return laps[i] < laps[j] })
		a.p50, a.p99 = laps[len(laps)/2], laps[len(laps)*99/100]
	}
	return a
}

func roundtrip(q question) answer {
	t := make(tasks, 1)
	var laps []time.Duration
	begin := time.Now()
	for i, start := uint64(0), begin; i < q.total; i++ {
		t.batch(i, 1)
		if q.laps {
			end := time.Now()
			laps = append(laps, end.Sub(start))
			start = end
		}
	}
	return percentiles(laps, answer{took: time.Since(begin)})
}

// The same with a pause before each task.
func paused(pause time.Duration) func(question) answer {
	return func(q question) answer {
		t := make(tasks, 1)
		var laps []time.Duration
		var a answer
		for until := time.Now().Add(q.span); time.Now().Before(until); a.done++ {
			time.Sleep(pause)
			start := time.Now()
			t.batch(a.done, 1)
			took := time.Since(start)
			if q.laps {
				laps = append(laps, took)
			}
			a.took += took
		}
		return percentiles(laps, a)
	}
}

// 10,000 tasks without a result, then one wait for all.
func burst(q question) answer {
	var all sync.WaitGroup
	results := make([]uint64, poolBatch)
	start := time.Now()
	for first := uint64(0); first < q.total; first += poolBatch {
		for i := uint64(0); i < poolBatch && first+i < q.total; i++ {
			all.Add(1)
			go func(result *uint64, arg uint64) {
				*result = arg
				all.Done()
			}(&results[i], first+i)
		}
		all.Wait()
	}
	return answer{took: time.Since(start)}
}

// Each call with an argument of 2 and more starts one half as a goroutine, and makes the other.
func fib(n int) uint64 {
	if n < 2 {
		return uint64(n)
	}
	half := make(chan uint64, 1)
	go func() { half <- fib(n - 1) }()
	other := fib(n - 2)
	return other + <-half
}

func forkJoin(q question) answer {
	const n, result, calls = 30, 832040, 2692537
	var a answer
	start := time.Now()
	for {
		check(fib(n) == result, "fib(30) is wrong")
		a.done += calls
		a.took = time.Since(start)
		if a.took >= q.span {
			return a
		}
	}
}

func atMost(cpus int) {
	if runtime.GOMAXPROCS(0) > cpus {
		runtime.GOMAXPROCS(cpus)
	}
}

func choose(name string, threads int) func(question) answer {
	switch name {
	case "mutex_uncontended", "mutex_empty":
		return mutex(threads, 0)
	case "mutex_100ns":
		return mutex(threads, calibrate())
	case "mutex_1us":
		return mutex(threads, 10*calibrate())
	case "rw_100":
		return rw(threads, 1<<30, 0)
	case "rw_99":
		return rw(threads, 100, 0)
	case "rw_90":
		return rw(threads, 10, 0)
	case "rw_90_100ns":
		return rw(threads, 10, calibrate())
	case "queue":
		return queue(threads)
	case "fork_join":
		atMost(threads)
		return forkJoin
	}
	atMost(threads + 1)
	switch name {
	case "submit_get":
		return submitGet
	case "roundtrip":
		return roundtrip
	case "roundtrip_idle":
		return paused(3 * time.Millisecond)
	case "roundtrip_10us":
		return paused(10 * time.Microsecond)
	case "roundtrip_100us":
		return paused(100 * time.Microsecond)
	case "roundtrip_1000us":
		return paused(time.Millisecond)
	case "burst":
		return burst
	}
	check(false, "there is no case "+name)
	return nil
}

func cpuTime() int64 {
	var used syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &used)
	return used.Utime.Nano() + used.Stime.Nano()
}

func main() {
	check(len(os.Args) == 3, "usage: fairlead-bench-go CASE THREADS")
	threads, err := strconv.Atoi(os.Args[2])
	check(err == nil && threads > 0, "the number of threads is wrong")
	run := choose(os.Args[1], threads)
	run(question{total: poolBatch, span: time.Millisecond})
	fmt.Println("ready")
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		var q question
		var laps int
		_, err := fmt.Sscan(strings.TrimSpace(lines.Text()), &q.total, &q.span, &laps)
		check(err == nil, "a bad question: "+lines.Text())
		q.laps = laps != 0
		before := cpuTime()
		a := run(q)
		fmt.Println(a.took.Nanoseconds(), a.p99.Nanoseconds(), a.p50.Nanoseconds(), a.done, cpuTime()-before)
	}
}
