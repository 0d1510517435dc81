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
	if (!in) { /* the name of one of our files is enough */
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
	int status = lab_litmus(in, stdout, o->model.strategy == LAB_DFS ? LAB_DFS : LAB_GRAPH);
	if (!standard)
		fclose(in);
	return status;
}

/* --- the model's outcomes of a file --- */

static void chop(char *line)
{
	line[strcspn(line, "#\r\n")] = '\0';
	for (size_t n = strlen(line); n > 0 && line[n - 1] == ' '; n--)
		line[n - 1] = '\0';
}

/*
 * Returns the lines that --litmus prints of the file: each ends with a NUL, and an empty line comes
 * after the last one. The caller frees them.
 */
static char *model_output(FILE *in)
{
	char *lines = NULL;
	size_t size = 0;
	FILE *to = open_memstream(&lines, &size);
	if (to) {
		(void)lab_litmus(in, to, LAB_DFS);
		fclose(to);
	}
	for (size_t i = 0; i < size; i++)
		if (lines[i] == '\n')
			lines[i] = '\0';
	return lines;
}

static const char *line_after(const char *line)
{
	return line + strlen(line) + 1;
}

/*
 * Returns the first outcome of `program` in the model's output, or NULL if the program has not run
 * to its end.
 */
static const char *outcomes_of(const char *output, const char *program, char *problem, size_t size)
{
	char begin[160];
	snprintf(begin, sizeof begin, "P %s ", program);
	for (const char *line = output; line && *line; line = line_after(line)) {
		if (strncmp(line, begin, strlen(begin)) != 0)
			continue;
		const char *error = strstr(line, "error=");
		if (error)
			snprintf(problem, size, "%s", error);
		else if (!strstr(line, "exhausted=1"))
			snprintf(problem, size, "not exhausted");
		return line_after(line);
	}
	snprintf(problem, size, "did not run to its end");
	return NULL;
}

/*
 * Whether an outcome fits the pattern, as "1 0 | 2" fits "1 * | 2". Both have as many numbers, so a
 * star is one number.
 */
static bool is_seen(const char *outcomes, const char *pattern)
{
	for (const char *line = outcomes; line && *line && *line != 'E'; line = line_after(line))
		if (matches(line, pattern))
			return true;
	return false;
}

static struct litmus *add(struct litmus_list *list, const char *name, const char *file)
{
	list->programs = grown(list->programs, list->n, sizeof *list->programs);
	struct litmus *program = &list->programs[list->n++];
	*program = (struct litmus){0};
	snprintf(program->name, sizeof program->name, "%.127s", name);
	snprintf(program->file, sizeof program->file, "%.63s", file);
	return program;
}

/* Checks one line with a verdict in the file against the outcomes. */
static void judge(struct litmus *program, const char *outcomes, const char *line)
{
	static const char allowed[] = "allowed ", forbidden[] = "forbidden ";
	bool wants = strncmp(line, allowed, sizeof allowed - 1) == 0;
	if (!wants && strncmp(line, forbidden, sizeof forbidden - 1) != 0)
		/*
		 * not checked: "allowed-" marks the blind spot, and other lines are the text of the
		 * program
		 */
		return;
	const char *pattern = strchr(line, ' ') + 1;
	program->verdicts++;
	if (!program->problem[0] && is_seen(outcomes, pattern) != wants)
		snprintf(program->problem, sizeof program->problem, "%s %.80s", wants ? "never saw" : "saw", pattern);
}

static void check_file(const struct options *o, struct litmus_list *list, const char *path, const char *file)
{
	char line[512];
	FILE *in = fopen(path, "re");
	char *output = in ? model_output(in) : NULL;
	struct litmus *program = NULL;
	const char *outcomes = NULL;
	if (in)
		rewind(in);
	while (in && fgets(line, sizeof line, in)) {
		chop(line);
		if (strncmp(line, "P ", 2) == 0) {
			program = fits(o, line + 2) || fits(o, file) ? add(list, line + 2, file) : NULL;
			if (program)
				outcomes =
				    outcomes_of(output, program->name, program->problem, sizeof program->problem);
		} else if (program) {
			judge(program, outcomes, line);
		}
	}
	if (in)
		fclose(in);
	free(output);
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
