/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * --load FILE.c: compiles the file twice into a temporary folder, instrumented for the model and
 * plain for native runs. A program is compiled once, for the model. Code for the model is not
 * optimised, so that the compiler deletes no access that races.
 */
#include "tool.h"
#include <dirent.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * Of each script: $1 the folder, $2 folders of headers, $3 of our archives, $4 the name of the
 * program; the rest are the sources, here one. The user's variables are read as a shell reads them.
 */
static const char script[] =
    "folder=$1 includes=$2 archives=$3 source=$5 model= plain=\n"
    "IFS=:; for place in $archives; do\n"
    "  [ ! -e \"$place/libfairlead-model.a\" ] || model=$place/libfairlead-model.a\n"
    "  [ ! -e \"$place/libfairlead.a\" ] || plain=$place/libfairlead.a\n"
    "done; unset IFS\n"
    "ck=-lck\n"
    "${CC:-cc} -shared -o \"$folder/plain.so\" -lck 2>/dev/null || ck=\n"
    "make() {\n"
    "  kind=$1 archive=$2; shift 2\n"
    "  eval \"set -- \\\"\\$@\\\" ${CFLAGS:-}\"\n"
    "  IFS=:; for place in $includes; do set -- -I \"$place\" \"$@\"; done; unset IFS\n"
    "  ${CC:-cc} -std=gnu11 -g -fPIC -pthread -fvisibility=hidden -Wunused-function \"$@\" -fno-lto \\\n"
    "    -S \"$source\" -o \"$folder/$kind.s\" && ${CC:-cc} -c \"$folder/$kind.s\" -o \"$folder/$kind.o\" &&\n"
    "  ${CC:-cc} -shared -pthread -Wl,-Bsymbolic -o \"$folder/$kind.so\" \"$folder/$kind.o\" ${LDLIBS:-} \\\n"
    "    ${archive:+\"$archive\" -Wl,--as-needed $ck}\n"
    "}\n"
    "make model \"$model\" -O0 -fsanitize=thread -fno-builtin && make plain "
    "\"$plain\" -O2\n";

static const char program_script[] =
    "folder=$1 includes=$2 archives=$3 name=$4 model= objects= n=0 link=${CC:-cc} more=; shift 4\n"
    "IFS=:; for place in $archives; do\n"
    "  [ ! -e \"$place/libfairlead-model.a\" ] || model=$place/libfairlead-model.a\n"
    "done; unset IFS\n"
    "ck=-lck\n"
    "if grep -q fairlead \"$@\"; then ${CC:-cc} -shared -o \"$folder/$name.so\" -lck 2>/dev/null || ck=; else model=; "
    "fi\n"
    "case $(uname -m) in aarch64) more=-mtls-dialect=trad ;; esac\n"
    "make() {\n"
    "  compiler=$1 flags=$2 source=$3; eval \"set -- $flags\"\n"
    "  IFS=:; for place in $includes; do set -- -I \"$place\" \"$@\"; done; unset IFS\n"
    "  $compiler -g -O0 \"$@\" -fPIC -pthread -fsanitize=thread -fno-builtin -U_FORTIFY_SOURCE $more \\\n"
    "    -fno-lto -S \"$source\" -o \"$folder/$n.s\" && $compiler -c \"$folder/$n.s\" -o \"$object\"\n"
    "}\n"
    "wraps=-Wl,--wrap=__cxa_guard_acquire,--wrap=__cxa_guard_release,--wrap=__cxa_guard_abort\n"
    "for source; do\n"
    "  n=$((n + 1)) object=$folder/$n.o\n"
    "  case $source in *.c) make \"${CC:-cc}\" \"-Werror=implicit-function-declaration ${CFLAGS:-}\" \"$source\" ;;\n"
    "  *) link=\"${CXX:-c++} -static-libstdc++ $wraps\" && make \"${CXX:-c++}\" \"${CXXFLAGS:-}\" \"$source\" ;; esac "
    "|| exit "
    "1\n"
    "  objects=\"$objects $object\"\n"
    "done\n"
    "$link -shared -pthread -Wl,-Bsymbolic -Wl,-z,norelro -o \"$folder/$name.so\" $objects ${LDLIBS:-} \\\n"
    "  ${model:+\"$model\" -Wl,--as-needed $ck}\n";

/*
 * The places of inline assembly in what a script has compiled, by the compiler's marks: gcc gives
 * the line behind the mark, clang before it. Hints to the processor do nothing that is seen.
 */
static const char assembly_script[] =
    "cd \"$1\" && awk '\n"
    "/^[ \\t]*(#|\\/\\/) ?(APP|Start of file scope)/ { inside = 1; place = line ? \"at \" name[file] \":\" line : "
    "outside; next }\n"
    "/^[ \\t]*(#|\\/\\/) ?(NO_APP|End of file scope)/ { inside = 0; next }\n"
    "inside && /^# [0-9]+ \"/ { if ($2 > 0) { split($0, part, \"\\\"\"); place = \"at \" part[2] \":\" $2 } next }\n"
    "/^[ \\t]*(prefetch[a-z0-9]*[ \\t].*|pause|nop|rep; *nop|yield)?[ \\t]*$/ { next }\n"
    "inside && $1 == \".loc\" { next }\n"
    "inside { sub(/[^ ]*\\//, \"\", place); print place }\n"
    "$1 == \".file\" && split($0, part, \"\\\"\") > 1 { name[$2] = part[4] ? part[4] : part[2] }\n"
    "$1 == \".file\" && $2 ~ /^\"/ { outside = \"outside of functions of \" part[2] }\n"
    "$1 == \".cfi_endproc\" { line = \"\" }\n"
    "$1 == \".loc\" { file = $2; line = $3 }\n"
    "' [!p]*.s | sort -u\n";

static char folders[LOADS_MAX][64];
static unsigned n_folders;

static bool run_shell(char *const argv[])
{
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		(void)dup2(STDERR_FILENO, STDOUT_FILENO);
		(void)execvp("sh", argv);
		_exit(127);
	}
	int status = -1;
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

static unsigned n_assembly;

bool compile_saw_assembly(void)
{
	return n_assembly > 0;
}

static void name_assembly(const char *folder)
{
	char command[sizeof assembly_script + 128], place[256];
	snprintf(command, sizeof command, "set -- %s; %s", folder, assembly_script);
	FILE *from = popen(command, "r"); // NOLINT(cert-env33-c)
	while (from && fgets(place, sizeof place, from)) {
		n_assembly++;
		complain("assembly %.*s is not seen", (int)strcspn(place, "\n"), place);
	}
	if (from)
		pclose(from);
}

/* Runs the script in a new folder, and returns the folder; NULL after a message. */
static const char *compile(const char *how, const char *name, const char *const *sources, unsigned n)
{
	char *folder = folders[n_folders];
	const char *argv[SOURCES_MAX + 9] = {"sh", "-c", how, "sh", folder};
	snprintf(folder, sizeof *folders, "/tmp/fairlead-stress-XXXXXX");
	if (!mkdtemp(folder)) {
		complain("cannot make a folder in /tmp");
		return NULL;
	}
	n_folders++;
	lab_at_refusal = compile_clean;
	char *include = place_of("include"), *archives = include ? place_of("archives") : NULL;
	argv[5] = include;
	argv[6] = archives;
	argv[7] = name;
	memcpy(argv + 8, sources, n * sizeof *sources);
	const bool good = include && archives && run_shell((char *const *)argv);
	if (good)
		name_assembly(folder);
	else
		complain("cannot compile %s", sources[0]);
	free(include);
	free(archives);
	return good ? folder : NULL;
}

static bool load_kind(const char *folder, const char *kind, const char *source)
{
	char path[400];
	snprintf(path, sizeof path, "%s/%s.so", folder, kind);
	char *why = lab_load(path);
	if (why)
		complain("cannot load what %s was compiled to: %s", source, why);
	free(why);
	return why == NULL;
}

bool compile_and_load(const char *source)
{
	const char *folder = compile(script, "", &source, 1);
	return folder && load_kind(folder, "plain", source) && load_kind(folder, "model", source);
}

bool is_source(const char *name)
{
	static const char *const endings[] = {".c", ".cc", ".cpp", ".cxx"};
	const char *dot = strrchr(name, '.');
	LAB_EACH (i, endings)
		if (dot && strcmp(dot, endings[i]) == 0)
			return true;
	return false;
}

/* A program has the name of its first source. */
bool compile_program(const struct options *o)
{
	const char *first = o->sources[0], *slash = strrchr(first, '/');
	char name[256];
	for (unsigned i = 0; i < o->n_sources; i++) {
		if (access(o->sources[i], R_OK) != 0)
			return complain("there is no file '%s' that can be read", o->sources[i]);
	}
	snprintf(name, sizeof name, "%s", slash ? slash + 1 : first);
	*strrchr(name, '.') = '\0';
	const char *folder = compile(program_script, name, (const char *const *)o->sources, o->n_sources);
	if (!folder || !load_kind(folder, name, first))
		return false;
	if (!lab_tests())
		complain("%s: no main() in it; scenarios with FL_STRESS() are given by --load", first);
	return lab_tests() != NULL;
}

void compile_clean(void)
{
	for (unsigned i = 0; i < n_folders; i++) {
		DIR *folder = opendir(folders[i]);
		for (const struct dirent *d; folder && (d = readdir(folder)) != NULL;) // NOLINT(concurrency-mt-unsafe)
			(void)unlinkat(dirfd(folder), d->d_name, 0);
		if (folder)
			closedir(folder);
		(void)rmdir(folders[i]);
	}
}
