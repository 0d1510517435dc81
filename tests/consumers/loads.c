/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Loads each shared object that is named, and calls its run(): a host of plugins. Prints what
 * fails.
 */
#include <dlfcn.h>
#include <stdio.h>

int main(int argc, char **argv)
{
	int bad = 0;
	for (int i = 1; i < argc; i++) {
		void *loaded = dlopen(argv[i], RTLD_NOW | RTLD_LOCAL);
		int (*run)(void) = NULL;
		if (loaded)
			*(void **)&run = dlsym(loaded, "run");
		if (!run)
			puts(dlerror());
		bad |= !run || run() != 0;
	}
	return bad;
}
