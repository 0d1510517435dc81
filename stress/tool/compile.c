/* SPDX-License-Identifier: BSD-2-Clause */
/* --load FILE.c: compiled twice into a folder of its own, instrumented for the model and plain for native runs. */
#include "tool.h"
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* $1 the source, $2 the folder, $3 -I options, $4 folders of our archives; what the user set is split into words. */
static const char script[] =
    "source=$1 folder=$2 includes=$3 archives=$4 model= plain=\n"
    "IFS=:; for place in $archives; do\n"
    "  [ ! -e \"$place/libfairlead-model.a\" ] || model=$place/libfairlead-model.a\n"
    "  [ ! -e \"$place/libfairlead.a\" ] || plain=$place/libfairlead.a\n"
    "done; unset IFS\n"
    "ck=-lck\n"
    "${CC:-cc} -shared -o \"$folder/plain.so\" -lck 2>/dev/null || ck=\n"
    "make() {\n"
    "  kind=$1 archive=$2; shift 2\n"
    "  ${CC:-cc} -std=gnu11 -g -fPIC -pthread -fvisibility=hidden -Wunused-function $includes \"$@\" ${CFLAGS:-} -c "
    "\"$source\" \\\n"
    "    -o \"$folder/$kind.o\" &&\n"
    "  ${CC:-cc} -shared -pthread -Wl,-Bsymbolic -o \"$folder/$kind.so\" \"$folder/$kind.o\" ${LDLIBS:-} \\\n"
    "    ${archive:+\"$archive\" -Wl,--as-needed $ck}\n"
    "}\n"
    "make model \"$model\" -O1 -fsanitize=thread -fno-builtin -fno-omit-frame-pointer && make plain "
    "\"$plain\" -O2\n";

static char folders[LOADS_MAX][64];
static unsigned n_folders;

static bool run_compiler(const char *source, const char *folder, const char *includes, const char *archives)
{
	(void)fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		(void)dup2(STDERR_FILENO, STDOUT_FILENO);
		(void)execlp("sh", "sh", "-c", script, "sh", source, folder, includes, archives, (char *)NULL);
		_exit(127);
	}
	int status = -1;
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

/* "a:b" to "-I a -I b"; folders with blanks in their names do not work here, as nowhere in make. */
static char *include_options(const char *list)
{
	char *options = NULL, *copy = strdup(list), *rest = copy;
	size_t size;
	FILE *to = open_memstream(&options, &size);
	for (char *word; to && copy && (word = strsep(&rest, ":")) != NULL;)
		(void)fprintf(to, "-I %s ", word);
	if (to)
		(void)fclose(to);
	free(copy);
	return options;
}

static bool load_kind(const char *folder, const char *kind, const char *source)
{
	char path[96];
	(void)snprintf(path, sizeof path, "%s/%s.so", folder, kind);
	char *why = lab_load(path);
	if (why)
		complain("cannot load what %s was compiled to: %s", source, why);
	free(why);
	return why == NULL;
}

bool compile_and_load(const char *source)
{
	char *folder = folders[n_folders];
	(void)snprintf(folder, sizeof *folders, "/tmp/fairlead-stress-XXXXXX");
	if (!mkdtemp(folder)) {
		complain("cannot make a folder in /tmp");
		return false;
	}
	n_folders++;
	char *include = place_of("include"), *archives = place_of("archives");
	char *options = include ? include_options(include) : NULL;
	bool good = options && archives && run_compiler(source, folder, options, archives);
	if (!good)
		complain("cannot compile %s", source);
	free(include);
	free(archives);
	free(options);
	return good && load_kind(folder, "plain", source) && load_kind(folder, "model", source);
}

void compile_clean(void)
{
	static const char *const files[] = {"model.o", "model.so", "plain.o", "plain.so"};
	for (unsigned i = 0; i < n_folders; i++) {
		for (size_t f = 0; f < sizeof files / sizeof *files; f++) {
			char path[96];
			(void)snprintf(path, sizeof path, "%s/%s", folders[i], files[f]);
			(void)unlink(path);
		}
		(void)rmdir(folders[i]);
	}
}
