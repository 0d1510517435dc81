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
 * The arguments of each script: $1 is the folder, $2 folders of headers, $3 the folder of our
 * archives, $4 the name of the program. Then come the options for the compiler, what the linker
 * gets, and the sources, each list with `--` behind it. The user's variables are read as a shell
 * reads them. No optimisation of the user's reaches code for the model, since a compiler may delete
 * the access that races.
 */
#define ARGUMENTS                                                                                                      \
	"folder=$1 includes=$2 archives=$3 name=$4 model= plain=; shift 4\n"                                           \
	"for list in flags inputs sources; do\n"                                                                       \
	"  words=; while [ \"$1\" != -- ]; do\n"                                                                       \
	"    case $1 in *\\'*) word=$(printf '%s\\n' \"$1\" | sed \"s/'/'\\\\\\\\''/g\") ;; *) word=$1 ;; esac\n"      \
	"    words=\"$words '$word'\"; shift\n"                                                                        \
	"  done; shift; eval \"$list=\\$words\"\n"                                                                     \
	"done; eval \"set -- $sources\"\n"                                                                             \
	"IFS=:; for place in $archives; do\n"                                                                          \
	"  [ ! -e \"$place/libfairlead-model.a\" ] || model=$place/libfairlead-model.a\n"                              \
	"  [ ! -e \"$place/libfairlead.a\" ] || plain=$place/libfairlead.a\n"                                          \
	"done; unset IFS\n"                                                                                            \
	"find_ck() { ck=-lck; ${CC:-cc} -shared -o \"$folder/plain.so\" -lck 2>/dev/null || ck=; }\n"

/*
 * Prints the places of inline assembly in what a script has compiled, by the compiler's marks: gcc
 * gives the line behind the mark, and clang the line before it. Hints to the processor do nothing
 * that is seen, and do not count. Then it prints what the script has found itself. The exit status
 * is UNSEEN if there is any.
 */
#define PLACES                                                                                                         \
	"awk '\n"                                                                                                      \
	"/^[ \\t]*(#|\\/\\/) ?(APP|Start of file scope)/ {\n"                                                          \
	"  inside = 1; place = line ? \"at \" name[file] \":\" line : outside; next\n"                                 \
	"}\n"                                                                                                          \
	"/^[ \\t]*(#|\\/\\/) ?(NO_APP|End of file scope)/ { inside = 0; next }\n"                                      \
	"inside && /^# [0-9]+ \"/ {\n"                                                                                 \
	"  if ($2 > 0) { split($0, part, \"\\\"\"); place = \"at \" part[2] \":\" $2 }\n"                              \
	"  next\n"                                                                                                     \
	"}\n"                                                                                                          \
	"/^[ \\t]*(prefetch[a-z0-9]*[ \\t].*|pause|nop|rep; *nop|yield)?[ \\t]*$/ { next }\n"                          \
	"inside && $1 == \".loc\" { next }\n"                                                                          \
	"inside { sub(/[^ ]*\\//, \"\", place); print \"assembly \" place \" is not seen\" }\n"                        \
	"$1 == \".file\" && split($0, part, \"\\\"\") > 1 { name[$2] = part[4] ? part[4] : part[2] }\n"                \
	"$1 == \".file\" && $2 ~ /^\"/ { outside = \"outside of functions of \" part[2] }\n"                           \
	"$1 == \".cfi_endproc\" { line = \"\" }\n"                                                                     \
	"$1 == \".loc\" { file = $2; line = $3 }\n"                                                                    \
	"' \"$folder\"/[!p]*.s 2>/dev/null | sort -u | cat - \"$folder/unseen\" 2>/dev/null |\n"                       \
	"  sed 's/^/fairlead-stress: /' | grep . && exit 3 || exit 0\n"
enum { UNSEEN = 3 };

static const char script[] = ARGUMENTS
    "make() {\n"
    "  kind=$1 archive=$2 own=$3 source=$4\n"
    "  eval \"set -- ${CFLAGS:-} $flags\"\n"
    "  for word; do shift; case $word in -fsanitize=*) ;; *) set -- \"$@\" \"$word\" ;; esac; done\n"
    "  IFS=:; for place in $includes; do set -- -I \"$place\" \"$@\"; done; unset IFS\n"
    "  ${CC:-cc} -std=gnu11 -O2 -g -fPIC -pthread -fvisibility=hidden -Wunused-function \"$@\" -fno-lto $own \\\n"
    "    -S \"$source\" -o \"$folder/$kind.s\" && ${CC:-cc} -c \"$folder/$kind.s\" -o \"$folder/$kind.o\" || return\n"
    "  eval \"set -- ${LDFLAGS:-} $inputs ${LDLIBS:-}\"\n"
    "  for word; do shift; case $word in -fsanitize=*) ;; *) set -- \"$@\" \"$word\" ;; esac; done\n"
    "  ${CC:-cc} -shared -pthread -o \"$folder/$kind.so\" \"$folder/$kind.o\" \"$@\" -Wl,-Bsymbolic \\\n"
    "    ${archive:+\"$archive\" -Wl,--as-needed $ck}\n"
    "}\n"
    "find_ck; make model \"$model\" '-O0 -fsanitize=thread -fno-builtin' \"$1\" && make plain \"$plain\" '' \"$1\" || "
    "exit 1\n" PLACES;

static const char program_script[] = ARGUMENTS
    "objects= n=0 cxx= more=\n"
    "grep -q fairlead \"$@\" 2>/dev/null </dev/null && find_ck || model=\n"
    "case $(uname -m) in aarch64) more=-mtls-dialect=trad ;; esac\n"
    "make() {\n"
    "  compiler=$1 language=$2 source=$4; eval \"set -- $3\"\n"
    "  for word; do\n"
    "    shift; case $word in -std=*++*) of=c++ ;; -std=*) of=c ;; -fsanitize=*) of= ;; *) of=$language ;; esac\n"
    "    [ \"$of\" != \"$language\" ] || set -- \"$@\" \"$word\"\n"
    "  done\n"
    "  IFS=:; for place in $includes; do set -- -I \"$place\" \"$@\"; done; unset IFS\n"
    "  $compiler -g \"$@\" -O0 -fPIC -pthread -fsanitize=thread -fno-builtin -U_FORTIFY_SOURCE $more \\\n"
    "    -fno-lto -S \"$source\" -o \"$folder/$n.s\" && $compiler -c \"$folder/$n.s\" -o \"$folder/$n.o\"\n"
    "}\n"
    "for source; do\n"
    "  n=$((n + 1)) objects=\"$objects $folder/$n.o\"\n"
    "  case $source in\n"
    "  *.c) make \"${CC:-cc}\" c \"-Werror=implicit-function-declaration ${CFLAGS:-} $flags\" \"$source\" ;;\n"
    "  *) cxx=1; make \"${CXX:-c++}\" c++ \"${CXXFLAGS:-} $flags\" \"$source\" ;;\n"
    "  esac || exit 1\n"
    "done\n"
    "eval \"set -- ${LDFLAGS:-} $inputs ${LDLIBS:-}\"\n"
    "for word; do shift; case $word in -fsanitize=*) ;; *) set -- \"$@\" \"$word\" ;; esac; done\n"
    "instrumented() {\n"
    "  nm \"$1\" | awk -v \"member=$2\" '/:$/ { other = $0 != member } !other && /__tsan_init/ { found = 1 }\n"
    "    END { exit !found }' || echo \"what $1${2:+(${2%:})} does is not seen: it was compiled without "
    "-fsanitize=thread\"\n"
    "}\n"
    "for file; do case $file in *.o)\n"
    "  nm \"$file\" | grep -q __gxx_personality && cxx=1\n"
    "  instrumented \"$file\" ''\n"
    "esac; done >\"$folder/unseen\"\n"
    "[ -n \"$cxx\" ] && link=\"${CXX:-c++} -static-libstdc++ -Wl,--wrap=__cxa_guard_acquire"
    ",--wrap=__cxa_guard_release,--wrap=__cxa_guard_abort\" || link=${CC:-cc}\n"
    "$link -shared -pthread -o \"$folder/$name.so\" $objects ${model:+\"$model\"} \"$@\" \\\n"
    "  ${model:+-Wl,--as-needed $ck} -Wl,-Bsymbolic -Wl,-z,norelro ${1+-Wl,-Map=\"$folder/map\"} || exit 1\n"
    "[ $# = 0 ] || grep -o '[^ ()]*[.]a([^ ()]*)' \"$folder/map\" | sort -u |\n"
    "while IFS='()' read -r file member rest; do\n"
    "  case ${file##*/} in\n"
    "  libfairlead-model.a | libgcc*.a | libstdc++*.a | libsupc++*.a | libc_nonshared.a) ;;\n"
    "  *) instrumented \"$file\" \"$member:\" ;;\n"
    "  esac\n"
    "done >>\"$folder/unseen\"\n" PLACES;

/*
 * Prints the symbols that the module $1 needs, and that neither this program nor a library of the
 * module defines. With each comes the symbol of this program whose name is nearest. The exit status
 * is 0 if there is any.
 */
static const char undefined_script[] =
    "{ nm -D --defined-only \"/proc/$PPID/exe\" | sed 's/.* //'\n"
    "  LC_ALL=C ldd -r \"$1\" 2>&1 | sed -n 's/^undefined symbol: \\([^ \\t,@]*\\).*/? \\1/p' | sort -u; } | awk '\n"
    "function distance(a, b,   i, j, old, up, row) {\n"
    "  for (j = 0; j <= length(b); j++) row[j] = j\n"
    "  for (i = 1; i <= length(a); i++) {\n"
    "    old = row[0]; row[0] = i\n"
    "    for (j = 1; j <= length(b); j++) {\n"
    "      up = row[j]\n"
    "      row[j] = old + (substr(a, i, 1) != substr(b, j, 1))\n"
    "      if (up + 1 < row[j]) row[j] = up + 1\n"
    "      if (row[j - 1] + 1 < row[j]) row[j] = row[j - 1] + 1\n"
    "      old = up\n"
    "    }\n"
    "  }\n"
    "  return row[length(b)]\n"
    "}\n"
    "$1 != \"?\" { known[$1]; next }\n"
    "!($2 in known) {\n"
    "  least = length($2) / 3; nearest = \"\"\n"
    "  for (name in known) {\n"
    "    off = length(name) - length($2)\n"
    "    if (off >= -least && off <= least && (off = distance($2, name)) < least) { least = off; nearest = name }\n"
    "  }\n"
    "  print $2 (nearest ? \" (the nearest that there is: \" nearest \")\" : \"\")\n"
    "}' | { c++filt 2>/dev/null || cat; } | sed 's/^/fairlead-stress: no file or library of the command defines /' |\n"
    "  grep .\n";

static char folders[LOADS_MAX][64];
static unsigned n_folders;

/* Returns the exit status of a script; -1: it has none. Its output goes to standard error. */
static int run_shell(const char *const argv[])
{
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		(void)dup2(STDERR_FILENO, STDOUT_FILENO);
		(void)execvp("sh", (char *const *)argv);
		_exit(127);
	}
	int status = -1;
	return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

bool name_undefined(const char *path)
{
	const char *const argv[] = {"sh", "-c", undefined_script, "sh", path, NULL};
	return run_shell(argv) == 0;
}

bool compile_left_unseen;

static const char **add(const char **to, const struct words *words)
{
	memcpy(to, words->at, words->n * sizeof *to);
	to[words->n] = "--";
	return to + words->n + 1;
}

/* Runs the script in a new folder, and returns the folder; NULL after a message. */
static const char *compile(const struct options *o, const char *how, const char *name, const struct words *sources)
{
	char *folder = folders[n_folders];
	const struct words *flags = &o->words[FLAGS], *inputs = &o->words[INPUTS];
	const char **argv = zeroed(flags->n + inputs->n + sources->n + 11, sizeof *argv);
	snprintf(folder, sizeof *folders, "/tmp/fairlead-stress-XXXXXX");
	if (!mkdtemp(folder)) {
		complain("cannot make a folder in /tmp");
		return NULL;
	}
	n_folders++;
	lab_at_refusal = compile_clean;
	char *include = place_of("include"), *archives = include ? place_of("archives") : NULL;
	const char *const first[] = {"sh", "-c", how, "sh", folder, include, archives, name};
	memcpy(argv, first, sizeof first);
	add(add(add(argv + sizeof first / sizeof *first, flags), inputs), sources);
	const int status = archives ? run_shell(argv) : -1;
	compile_left_unseen = compile_left_unseen || status == UNSEEN;
	const bool good = status == 0 || status == UNSEEN;
	if (!good)
		complain("cannot compile or link %s", o->first ? o->first : sources->at[0]);
	free(include);
	free(archives);
	free(argv);
	return good ? folder : NULL;
}

static bool load_kind(const char *folder, const char *kind, const char *source)
{
	char path[400];
	snprintf(path, sizeof path, "%s/%s.so", folder, kind);
	return load_module(path, source);
}

bool compile_and_load(const struct options *o, const char *source)
{
	const struct words sources = {1, (char **)&source};
	const char *folder = compile(o, script, "", &sources);
	return folder && load_kind(folder, "plain", source) && load_kind(folder, "model", source);
}

/* Compiles a program, which has the name of its first file. */
bool compile_program(const struct options *o)
{
	char name[256];
	snprintf(name, sizeof name, "%s", basename(o->first));
	*strrchr(name, '.') = '\0';
	const char *folder = compile(o, program_script, name, &o->words[SOURCES]);
	if (!folder || !load_kind(folder, name, o->first))
		return false;
	if (!lab_tests())
		complain("%s: no main() in it; scenarios with FL_STRESS() are given by --load", o->first);
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
