/* SPDX-License-Identifier: BSD-2-Clause */
/* Finds the program's own files, and loads modules. */
#include "tool.h"
#include <errno.h>
#include <unistd.h>

/*
 * The build passes the values of its options such as libdir, either absolute or relative to the
 * prefix.
 */
static const struct {
	const char *key, *installed;
} places[] = {
    {"include", STRESS_INCLUDEDIR},
    {"data", STRESS_DATADIR "/fairlead-stress"},
    {"modules", STRESS_LIBDIR "/fairlead-stress"},
    {"archives", STRESS_LIBDIR},
};

/* Finds the folder of the program. Its ".." is the prefix of an installation. */
static bool own_folder(char *to, size_t size)
{
	ssize_t n = readlink("/proc/self/exe", to, size - 1);
	if (n <= 0)
		return complain("cannot find the files of this program: /proc/self/exe: %s; is /proc mounted?",
		                strerror(errno));
	to[n] = '\0';
	char *slash = strrchr(to, '/');
	if (slash)
		*slash = '\0';
	return slash != NULL;
}

/*
 * Returns the place that a file next to the program gives for the key. In a build folder, that file
 * has a line "key=place" for each place.
 */
static char *place_in(const char *path, const char *key)
{
	char line[4096], *found = NULL;
	FILE *file = fopen(path, "re");
	size_t n = strlen(key);
	while (file && !found && fgets(line, sizeof line, file)) {
		line[strcspn(line, "\n")] = '\0';
		if (strncmp(line, key, n) == 0 && line[n] == '=')
			found = strdup(line + n + 1);
	}
	if (file)
		fclose(file);
	return found;
}

char *place_of(const char *key)
{
	char folder[2048], path[2200];
	if (!own_folder(folder, sizeof folder))
		return NULL;
	snprintf(path, sizeof path, "%s/fairlead-stress.dirs", folder);
	char *found = place_in(path, key);
	LAB_EACH (i, places) {
		if (found || strcmp(places[i].key, key) != 0)
			continue;
		bool absolute = places[i].installed[0] == '/';
		if (asprintf(&found, "%s%s%s", absolute ? "" : folder, absolute ? "" : "/../", places[i].installed) < 0)
			return NULL;
	}
	return found;
}

/*
 * Returns the path of the file `name` in the first folder of the place that has it, or NULL if no
 * folder has it. The caller frees the path.
 */
static char *file_in(const char *key, const char *name)
{
	char *folders = place_of(key), *found = NULL, *rest = NULL;
	for (char *folder = folders ? strtok_r(folders, ":", &rest) : NULL; folder && !found;
	     folder = strtok_r(NULL, ":", &rest)) {
		if (asprintf(&found, "%s/%s", folder, name) < 0)
			found = NULL;
		if (found && access(found, R_OK) != 0) {
			free(found);
			found = NULL;
		}
	}
	free(folders);
	return found;
}

char *data_file(const char *name)
{
	return file_in("data", name);
}

bool load_module(const char *path, const char *name)
{
	char *why = lab_load(path);
	if (why && (!strstr(why, "undefined symbol") || !name_undefined(path)))
		complain("cannot load %s: %s", name, why);
	free(why);
	return why == NULL;
}

/* Loads the two modules of one of our own collections. */
static bool load_own(const char *name)
{
	static const char *const kinds[] = {"plain", "model"};
	bool good = true;
	for (int i = 0; i < 2 && good; i++) {
		char file[64];
		snprintf(file, sizeof file, "stress-%s-%s.so", name, kinds[i]);
		char *path = file_in("modules", file);
		if (!path)
			complain("%s is not where it should be", file);
		good = path && load_module(path, path);
		free(path);
	}
	return good;
}

static bool load_theirs(const struct options *o, const char *name)
{
	if (access(name, R_OK) != 0)
		return complain("--load: there is no file '%s' that can be read", name);
	if (matches(name, "*.c"))
		return compile_and_load(o, name);
	/* dlopen() would search a name without a folder among the system's libraries. */
	char *path = realpath(name, NULL);
	bool good = path && load_module(path, name);
	free(path);
	return good;
}

/* Whether all names differ. If two tests had the same name, only one of them would run. */
static bool names_differ(void)
{
	for (const struct lab_test *t = lab_tests(); t && t->next; t = t->next) {
		const struct fl_stress_test *a = t->test, *b = t->next->test;
		if (strcmp(a->name, b->name) != 0 || a->instrumented != b->instrumented)
			continue;
		return complain("the name '%s' is that of two tests: %s:%d and %s:%d", a->name, a->file, a->line,
		                b->file, b->line);
	}
	return true;
}

bool modules_load(const struct options *o)
{
	for (char **file = o->loads; *file; file++) {
		if (!load_theirs(o, *file))
			return false;
	}
	if (o->first)
		return compile_program(o);
	if (!*o->loads && !load_own(o->planted || o->action == DO_SELF_TEST ? "planted" : "cases"))
		return false;
	if (!lab_tests())
		return complain("%s: no FL_STRESS() in it", *o->loads ? *o->loads : "scenarios");
	return names_differ();
}
