/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Litmus programs: --litmus prints what the model finds, and the self-test compares that with the
 * verdicts in the files.
 */
#include "litmus.h"
#include <dirent.h>

int run_litmus(const struct options *o)
{
	bool standard = strcmp(o->litmus, "-") == 0;
	char *path = NULL;
	FILE *in = standard ? stdin : fopen(o->litmus, "re");
	if (!in) { /* for our own files, the name is enough */
		char name[256];
		snprintf(name, sizeof name, "litmus/%.200s%s", o->litmus, strchr(o->litmus, '.') ? "" : ".litmus");
		path = data_file(name);
		in = path ? fopen(path, "re") : NULL;
		free(path);
	}
	if (!in) {
		complain("--litmus: there is no file '%s' that can be read", o->litmus);
		return STATUS_USAGE;
	}
	struct lab_litmus found = {.line = 0};
	int more;
	do
		more = lab_litmus(&found, in, stdout, o->model.strategy == LAB_DFS ? LAB_DFS : LAB_GRAPH);
	while (more > 0);
	if (!standard)
		fclose(in);
	if (more < 0) {
		complain("litmus: %s", found.problem);
		return STATUS_USAGE;
	}
	return STATUS_OK;
}

static void check_file(const struct options *o, struct litmus_list *list, const char *path, const char *file)
{
	FILE *in = fopen(path, "re");
	struct litmus program = {.found.line = 0};
	snprintf(program.file, sizeof program.file, "%.63s", file);
	for (int more = in != NULL; more > 0;) {
		more = lab_litmus(&program.found, in, NULL, LAB_DFS);
		if (more != 0 && (fits(o, program.found.name) || fits(o, file))) {
			list->programs = grown(list->programs, list->n, sizeof *list->programs);
			list->programs[list->n++] = program;
		}
	}
	if (in)
		fclose(in);
}

static int is_litmus(const struct dirent *d)
{
	return matches(d->d_name, "*.litmus");
}

bool litmus_check(const struct options *o, struct litmus_list *list)
{
	struct dirent **files = NULL;
	char *folder = data_file("litmus");
	int n = folder ? scandir(folder, &files, is_litmus, alphasort) : 0;
	for (int i = 0; i < n; i++) {
		char *path = NULL;
		if (!interrupted && asprintf(&path, "%s/%s", folder, files[i]->d_name) >= 0)
			check_file(o, list, path, files[i]->d_name);
		free(path);
		free(files[i]);
	}
	free(files);
	free(folder);
	return n > 0;
}
