/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_TEST_PLUGIN_H
#define FL_TEST_PLUGIN_H

#include <fairlead/error.h>

/*
 * The exports of the plugin, under the name `plugin`. Its copy of the library gets its memory from
 * the host, which counts it. All functions abort the process on an error.
 */
struct plugin {
	/*
	 * The first call. `forks`: the process has one thread; then the fork server is forked from
	 * it.
	 */
	void (*begin)(const fl_allocator *allocator, bool forks);
	void (*use_all)(void);    /* by one thread: everything */
	void (*use_here)(void);   /* by any thread: what leaves something with the thread */
	void (*detach_all)(void); /* detaches executors whose tasks have ended; the unload may follow at once */
	void (*wait_here)(void);  /* by any thread: waits for ever, for shared memory or a pipe */
	bool (*is_waiting)(void); /* whether wait_here() has been called */
	void (*end)(void);        /* the last call: frees what the plugin has */
	void (*run_loop)(void);   /* by any thread, also without begin() and end() */
	void (*catch_quit)(void); /* the same: prints a dump at SIGQUIT, and fails to write a trace */
};

#endif
