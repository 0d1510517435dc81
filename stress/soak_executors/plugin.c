/* SPDX-License-Identifier: BSD-2-Clause */
/* A turn with a plugin (plugin/plugin.c) that has its own copy of the library. */
#include "activities.h"
#include <dlfcn.h>
#include <libgen.h>

/* Returns the path of the plugin, which is in the folder of this program. */
static const char *path_of_plugin(void)
{
	static char path[PATH_MAX + 32];
	if (path[0])
		return path;
	char self[PATH_MAX];
	const ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	if (n < 0)
		fail("/proc/self/exe cannot be read");
	self[n] = 0;
	snprintf(path, sizeof path, "%s/soak-plugin.so", dirname(self));
	return path;
}

void plugin_turn(uint64_t *state)
{
	(void)state;
	void *plugin = dlopen(path_of_plugin(), RTLD_NOW | RTLD_LOCAL);
	if (!plugin)
		fail("%s", dlerror());
	int (*use_everything)(void);
	void *symbol = dlsym(plugin, "use_everything");
	if (!symbol)
		fail("%s", dlerror());
	memcpy(&use_everything, &symbol, sizeof use_everything); /* ISO C has no cast for it */
	check("the plugin", use_everything());
	if (dlclose(plugin) != 0)
		fail("%s", dlerror());
}
