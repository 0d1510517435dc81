/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * --load FILE.c: compiles the file twice into a temporary folder, instrumented for the model and
 * plain for native runs. A program is compiled only once, for the model. Code for the model is not
 * optimised, so that the compiler does not delete an access that races.
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
 * the access that races. The compiler does not instrument va_start() and va_copy(). So a header,
 * which comes before the sources, tells of their accesses. With a header, clang's line tables have
 * no checksum for one of their files, of which the assembler would warn.
 */
static const char arguments[] =
    "folder=$1 includes=$2 archives=$3 name=$4 model= plain=; shift 4\n"
    "for list in flags inputs sources; do\n"
    "  words=; while [ \"$1\" != -- ]; do\n"
    "    case $1 in *\\'*) word=$(printf '%s\\n' \"$1\" | sed \"s/'/'\\\\\\\\''/g\") ;; *) word=$1 ;; esac\n"
    "    words=\"$words '$word'\"; shift\n"
    "  done; shift; eval \"$list=\\$words\"\n"
    "done; eval \"set -- $sources\"\n"
    "IFS=:; for place in $archives; do\n"
    "  [ ! -e \"$place/libfairlead-model.a\" ] || model=$place/libfairlead-model.a\n"
    "  [ ! -e \"$place/libfairlead.a\" ] || plain=$place/libfairlead.a\n"
    "done; unset IFS\n"
    "cat >\"$folder/list.h\" <<'END'\n"
    "#pragma GCC system_header\n"
    "#ifdef __cplusplus\n"
    "extern \"C\" {\n"
    "#endif\n"
    "void __tsan_read_range(void *, unsigned long), __tsan_write_range(void *, unsigned long);\n"
    "#ifdef __cplusplus\n"
    "}\n"
    "#endif\n"
    "#ifdef __x86_64__\n"
    "#define __fl_list(list) ((__builtin_va_list *)(list))\n"
    "#else\n"
    "#define __fl_list(list) ((__builtin_va_list *)&(list))\n"
    "#endif\n"
    "#define __builtin_va_start(list, ...) __extension__({ \\\n"
    "__builtin_va_list *__fl_to = __fl_list(list); \\\n"
    "__tsan_write_range(__fl_to, sizeof *__fl_to); \\\n"
    "__builtin_va_start(*__fl_to, ##__VA_ARGS__); })\n"
    "#define __builtin_va_copy(to, from) __extension__({ \\\n"
    "__builtin_va_list *__fl_to = __fl_list(to), *__fl_from = __fl_list(from); \\\n"
    "__tsan_read_range(__fl_from, sizeof *__fl_from); \\\n"
    "__tsan_write_range(__fl_to, sizeof *__fl_to); \\\n"
    "__builtin_va_copy(*__fl_to, *__fl_from); })\n"
    "END\n"
    "find_ck() { ck=-lck; ${CC:-cc} -shared -o \"$folder/plain.so\" -lck 2>/dev/null || ck=; }\n";

/*
 * gcc's -fsanitize=thread leaves out some accesses. This script finds them in gcc's dump of the
 * code (-fdump-tree-optimized), which has a statement a line, with its place:
 *
 *     [x.c:9:6] __builtin___tsan_read4 (&g);
 *     [x.c:9:6] _3 = g;
 *     [x.c:15:6] g = f (1l);
 *     [x.c:38:2] take ([x.c:38:2] __MEM <struct s> (q_49(D)));
 *
 * 1. A statement that is no call: the instrumentation's calls come before it, one for what it reads
 *    and one for what it writes. Where such a call is missing, the access is not seen. gcc leaves
 *    out bit-fields behind a member of variable length, and all of a function with the attribute
 *    no_sanitize_thread. It also leaves out reads of objects that the file declares const. Such a
 *    read counts only if some file of the command, whose assembly the script reads first, has the
 *    object in a section that can be written.
 * 2. A function with the attribute optimize may have lost the access that races. So it is not seen.
 * 3. What the statement of a call itself reads and writes is not seen. This is the structure that
 *    the call returns into memory, a structure in memory that is an argument, and what a built-in
 *    function does that gcc expands (__builtin_memset() of few bytes, and each __builtin_ia32_...()
 *    that gets an address).
 * 4. Another gcc may write the dump in another form, of which the script would miss what matters.
 *    So whatever the script cannot read is not seen either: a line that has no known form, a place
 *    that is left in a line, and functions that the assembly has and the dump lacks. gcc 10 to 14
 *    write nothing of the kind. gcc 14 writes a discriminator behind some places
 *    (`[x.c:9:6 discrim 1]`), and all of them write an unnamed structure over several lines.
 *
 * A scalar that a call returns goes through a register in the dump (`_7 = f ();`), so each other
 * left side is memory. An operand of a call counts as follows:
 *
 * - A global variable, or what a pointer points to, counts. It is named.
 * - A local variable counts if the function lends its address to anything but a destructor, or an
 *   iterator or a duration of the C++ library, which keep no address. It is not named, since it
 *   matters only if another thread uses the stack: the script tells by `lent`, and the engine does
 *   the rest. The headers of the C++ library lend their local variables to no other thread.
 * - <retval> does not count, since the statement of the caller does.
 * - If a C++ function returns by a slot of the caller ([return slot optimization]), the type
 *   decides. A type that is not trivially copyable is made by its constructor in the slot, which
 *   the compiler instruments; only a function of another type has <retval> in its body. So the
 *   statement counts if the function has <retval>, or is not known by its name.
 * - The header of std::thread reads the handle in joinable(), and that of std::error_code is for
 *   errors. They do not count, as the compiled part of the C++ library does not.
 */
static const char calls[] =
    "set -- \"$folder\"/[!p]*.s; for tree in \"$folder\"/*.tree; do [ ! -e \"$tree\" ] || set -- \"$@\" \"$tree\"; "
    "done\n"
    "lent=0; awk '\n"
    "function reduced(text,   depth, c) {\n"
    "  gsub(/->/, \"@\", text); gsub(/operator[-<>=!]+/, \"operator\", text)\n"
    "  while (gsub(/<[^<>]*>/, \"\", text)) ;\n"
    "  sub(/OBJ_TYPE_REF\\(.*\\) \\(/, \"OBJ_TYPE_REF (\", text)\n"
    "  at = index(text, \" (\")\n"
    "  for (c = text ~ /\\)::/ ? length(text) : 1; c > 1; c--)\n"
    "    if (!(depth += (substr(text, c, 1) == \")\") - (substr(text, c, 1) == \"(\"))) { at = c - 1; break }\n"
    "  arguments = substr(text, at + 2); sub(/\\)[^)]*$/, \"\", arguments)\n"
    "  return at ? substr(text, 1, at - 1) : \"\"\n"
    "}\n"
    "function local(x,   name) { name = x; sub(/.*[ *&]/, \"\", name); own[name]; if (x ~ /[*]/) pointer[name] "
    "}\n"
    "function found(what) { if (where !~ /^(std_thread[.]h|system_error):/) all[what, slot] }\n"
    "function memory(x,   base) {\n"
    "  gsub(/->/, \"@\", x); while (gsub(/<[^<>]*>/, \"\", x)) ;\n"
    "  if (x ~ /^([-0-9&{}~]|_Literal|__complex__|COMPLEX_EXPR|Inf|Nan|=RESULT|$)/) return \"\"\n"
    "  if (x ~ /^(\\([^*]|__PHI|__MEM +\\(_[0-9]+\\(D\\)\\))/) return \"\"\n"
    "  sub(/^(__VIEW_CONVERT|__BIT_FIELD_REF|__real|__imag)[ (]+/, \"\", x)\n"
    "  if (x ~ /@|^[(*]/ || x ~ /^__MEM[^&]*$/) return \"*\"\n"
    "  sub(/^__MEM[^&]*&/, \"\", x); match(x, /^[A-Za-z_$][A-Za-z_$#0-9:]*([.][0-9]+(_[0-9]+)?)?/)\n"
    "  if (RLENGTH < 0) return \"*\"\n"
    "  base = x = substr(x, 1, RLENGTH)\n"
    "  return x ~ /^_[0-9]+$/ || !(x in own) && sub(/_[0-9]+$/, \"\", base) && base in own ? \"\" : x\n"
    "}\n"
    "function operand(x, what) {\n"
    "  if (!((x = memory(x)) in own)) { if (x != \"\") found(what) } else if (!library) mine[x, slot] = x\n"
    "}\n"
    "function access(x, told, what,   i, part, symbol) {\n"
    "  x = memory(x); symbol = x\n"
    "  if (split(x, part, \"::\") > 1) {\n"
    "    symbol = \"_ZN\"; for (i = 1; i in part; i++) symbol = symbol length(part[i]) part[i]\n"
    "    symbol = symbol \"E\"\n"
    "  }\n"
    "  if (x == \"\" || x in own || told || library) return x != \"\"\n"
    "  if (x == \"*\" || what == \"write\" || symbol in variable) found(\"the \" what \" at \" where)\n"
    "  return 1\n"
    "}\n"
    "function counts(slot) { return slot == \"\" || slot in by_value || slot ~ /^(_[0-9]+|OBJ_TYPE_REF)$/ }\n"
    "FILENAME ~ /[.]s$/ {\n"
    "  if ($1 ~ /^[.](text|data|bss|section)$/) writable = $1 $2 ~ /data|bss/ && $2 !~ /rodata|[.]rel[.]ro/\n"
    "  if (writable && sub(/:$/, \"\", $1)) variable[$1]\n"
    "  split($2, part, \",\")\n"
    "  if (FNR == 1) n = 0\n"
    "  if ($1 == \".type\" && $3 ~ /^[@%]function/ && $2 !~ /^_ZT[hvc]/) n++\n"
    "  if ($1 == \".ident\" && $2 ~ /GCC:/) functions += n\n"
    "  if ($1 == \".comm\" || $1 == \".set\" && part[2] in variable) variable[part[1]]\n"
    "  next\n"
    "}\n"
    "/^__attribute__.*(no_sanitize [(][^)]*thread|optimize)/ { odd = 1 }\n"
    "FNR == 1 { cxx = FILENAME ~ /[+][+]/; state = held = \"\" }\n"
    "held != \"\" && !/^ *}/ { next }\n"
    "{ $0 = held $0; held = \"\" }\n"
    "/(^|[ (])(struct|union|enum) $/ { held = $0; next }\n"
    "/__GIMPLE/ { state = \"head\"; head = \"\"; next }\n"
    "state == \"head\" {\n"
    "  if ($0 != \"{\" || head !~ /\\) *(const)? *$/) { head = head \" \" $0; next }\n"
    "  state = \"locals\"; split(\"\", own); split(\"\", lent); split(\"\", gone); split(\"\", mine)\n"
    "  n = split(head, part, /[,()]/); split(\"\", pointer); for (i = 1; i <= n; i++) local(part[i])\n"
    "  sub(/^ +/, \"\", head); me = reduced(head); next\n"
    "}\n"
    "/^}/ {\n"
    "  for (m in mine) {\n"
    "    split(m, part, SUBSEP)\n"
    "    if (mine[m] in lent && !(part[2] != \"\" && mine[m] in gone)) lent_slots[part[2]]\n"
    "  }\n"
    "  state = \"\"; odd = 0; next\n"
    "}\n"
    "state == \"locals\" && (/^$/ || /^  __BB/) { state = \"body\"; bodies++ }\n"
    "state == \"locals\" && !/^(  static|    )/ {\n"
    "  sub(/ (\\[value-expr|= ).*/, \"\"); sub(/(\\[[^]]*\\])*;.*/, \"\"); local($0)\n"
    "}\n"
    "state != \"body\" { next }\n"
    "/<retval>/ { by_value[me]; gsub(/<retval>/, \"=RESULT\") }\n"
    "{\n"
    "  gsub(/\"([^\"\\\\]|\\\\.)*\"/, \"0\")\n"
    "  where = match($0, /\\[[^][]*:[0-9]+:[0-9]+( discrim [0-9]+)?\\]/) ? substr($0, RSTART + 1, RLENGTH - 2) : "
    "\"?\"\n"
    "  library = where ~ /\\/c[+][+]\\//; sub(/:[0-9]+( discrim [0-9]+)?$/, \"\", where); sub(/.*\\//, \"\", where)\n"
    "  gsub(/\\[[^][]*:[0-9]+:[0-9]+( discrim [0-9]+)?\\] /, \"\"); sub(/^ +(\\[0:0\\] )?/, \"\")\n"
    "}\n"
    "!/^(.*;( \\[[^;]*)?|GIMPLE_NOP|# DEBUG .*|\\/\\/.*|__BB.*:|[^ ]+:|if .*|else|switch .*|)$/ || /(^|[ "
    "(])\\[[^][]*:[0-9]/ {\n"
    "  slot = \"\"; found(\"what \" me \"() does\" (where == \"?\" ? \"\" : \" at \" where) \", which gcc writes in a "
    "form that is not known,\"); next\n"
    "}\n"
    "odd == 1 && !library && where != \"?\" {\n"
    "  slot = \"\"; found(\"what \" me \"() does at \" where \", compiled with an attribute,\"); odd = 2\n"
    "}\n"
    "/__builtin___tsan/ { reads += /tsan_([a-z]+_)?read/; writes += /tsan_(([a-z]+_)?write|vptr)/; next }\n"
    "{ call = /\\)( \\[static-chain[^;]*)?;( \\[[^;]*)?$/ }\n"
    "call {\n"
    "  sub(/ \\[static-chain[^;]*/, \"\")\n"
    "  by_slot = cxx && /;.*return slot/; slot = \"\"; sub(/;[^;]*$/, \"\"); gsub(/, [0-9]+>/, \">\")\n"
    "  left = match($0, / =(.v.)? /) ? substr($0, 1, RSTART - 1) : \"\"\n"
    "  callee = reduced(left == \"\" ? $0 : substr($0, RSTART + RLENGTH))\n"
    "  call = callee != \"\" && callee !~ /^(\\(|__MEM|__VIEW|_Literal|__PHI|__asm__)/\n"
    "}\n"
    "call {\n"
    "  n = split(arguments, part, \", \")\n"
    "  touches = callee ~ /^__builtin_(mem|str)/ && part[n] ~ /^[0-9]+[ul]*$/ || callee ~ "
    "/^__builtin_aarch64_(ld|st)/\n"
    "  for (i = 1; i <= n && callee ~ /^__builtin_ia32_/ && callee !~ /prefetch|clflush|clwb|fence|env/; i++) {\n"
    "    base = part[i]; sub(/_[0-9]+([(]D[)])?$/, \"\", base)\n"
    "    touches = touches || part[i] ~ /^&/ || base in pointer ||\n"
    "      callee ~ /movnt|maskmov|gather|scatter|lddqu|load|store|save|rstor/\n"
    "  }\n"
    "  if (touches) found(\"what \" callee \"() at \" where \" touches\")\n"
    "  if (callee ~ /^__builtin_ia32_rd(tsc|rand|seed|pmc)/) found(\"the value of \" callee \"() at \" where)\n"
    "  for (i = 1; i <= n; i++) operand(part[i], \"the structure that a call at \" where \" takes\")\n"
    "  if (by_slot) slot = callee\n"
    "  operand(left, \"the structure that a call at \" where \" returns\")\n"
    "  if (callee ~ /::~/) gone[substr(part[1], 2)]\n"
    "  if (callee ~ /^(__gnu_cxx|std::(chrono|this_thread|_[A-Za-z_]*iterator))::|^std::operator|::~/) next\n"
    "}\n"
    "{\n"
    "  n = split($0, part, \"&\")\n"
    "  for (i = 2; i <= n; i++)\n"
    "    if (match(part[i], /^[A-Za-z_$][A-Za-z_$#0-9]*([.][0-9]+)?/)) lent[substr(part[i], 1, RLENGTH)]\n"
    "}\n"
    "!odd && !call && /;( \\[[^;]*)?$/ && !/CLOBBER/ && match($0, / =(.v.)? /) {\n"
    "  slot = \"\"; left = substr($0, 1, RSTART - 1); right = substr($0, RSTART + RLENGTH)\n"
    "  n = access(right, reads, \"read\")\n"
    "  if (access(left, writes, \"write\") || n) reads = writes = 0\n"
    "}\n"
    "END {\n"
    "  for (what in all) { split(what, part, SUBSEP); if (counts(part[2])) print part[1] \" is not seen\" }\n"
    "  if (bodies < functions) print \"what \" functions - bodies \" functions do is not seen: gcc has not written "
    "them down\"\n"
    "  for (slot in lent_slots) if (counts(slot)) exit 9\n"
    "}\n"
    "' \"$@\" >>\"$folder/unseen\" || { [ $? = 9 ] && lent=2 || echo \"what awk could not read is not seen\" "
    ">>\"$folder/unseen\"; }\n";

/*
 * Prints the places of inline assembly in what a script has compiled, by the compiler's marks: gcc
 * gives the line behind the mark, and clang the line before it. Hints to the processor do nothing
 * that is seen, and do not count. clang's -fsanitize=thread leaves out a structure that goes to a
 * call on the stack, long doubles, and vectors of more than 16 bytes or with a mask. In clang's
 * code for x86-64, which begins with `.text`, an argument goes to the stack behind `movq %rsp,
 * REGISTER`, or by `movq REGISTER, N(%rsp)`. Memory that no register of the frame points to may be
 * shared. Which compiler it was, its `.ident` says; of another one nothing is seen. At last come the
 * findings of the script itself and of `calls`. The exit status is 0 if there is nothing, or else SOME
 * and the bits of enum lab_unseen.
 */
static const char places[] =
    "{ awk '\n"
    "/^[ \\t]*(#|\\/\\/) ?(APP|Start of file scope)/ {\n"
    "  inside = 1; place = line ? \"at \" name[file] \":\" line : outside; next\n"
    "}\n"
    "/^[ \\t]*(#|\\/\\/) ?(NO_APP|End of file scope)/ { inside = 0; next }\n"
    "inside && /^# [0-9]+ \"/ {\n"
    "  if ($2 > 0) { split($0, part, \"\\\"\"); place = \"at \" part[2] \":\" $2 }\n"
    "  next\n"
    "}\n"
    "/^[ \\t]*(prefetch[a-z0-9]*[ \\t].*|pause|nop|rep; *nop|yield)?[ \\t]*$/ { next }\n"
    "inside && $1 == \".loc\" { next }\n"
    "inside { sub(/[^ ]*\\//, \"\", place); print \"assembly \" place \" is not seen\" }\n"
    "$1 == \".file\" && split($0, part, \"\\\"\") > 1 { name[$2] = part[4] ? part[4] : part[2] }\n"
    "$1 == \".file\" && $2 ~ /^\"/ { outside = \"outside of functions of \" part[2] }\n"
    "$1 == \".cfi_endproc\" { line = \"\" }\n"
    "$1 == \".loc\" { file = $2; line = $3 }\n"
    "function unseen(what,   of) {\n"
    "  of = name[file]; sub(/.*\\//, \"\", of); print what \" at \" of \":\" line \" is not seen\"\n}\n"
    "FNR == 1 {\n"
    "  clang = gcc = 0; while ((getline text < FILENAME) > 0) if (text ~ /^\t[.]ident\t/) { clang = text ~ /clang/; "
    "gcc = text ~ /\"GCC:/ }\n"
    "  close(FILENAME); if (!clang && !gcc) print \"what a compiler compiles that is neither gcc nor clang is not "
    "seen\"\n"
    "}\n"
    "/^\tcall/ { outgoing = 0 }\n"
    "inside || !clang { next }\n"
    "/^\tmovq\t%rsp, %r[^b]/ { outgoing = 1 }\n"
    "/^\t(f(ld|stp)t|mov[a-z]*)\t/ {\n"
    "  shared = /\t([A-Za-z_][^@]*\\(%rip|-?[0-9]*\\(%r([acd]x|bx|[sd]i|[0-9]+))/\n}\n"
    "/^\tf(ld|stp)t/ && shared { unseen(\"the long double\") }\n"
    "/^\t(v?(p?maskmov|lddqu|p?gather|p?scatter)|f?x(save|rstor))/ || /%[yz]mm|[{]%k/ &&\n"
    "  /[\t ]([A-Za-z_][^, ]*\\(%rip|-?[0-9]*\\(%r([acd]x|bx|[sd]i|[0-9]+))/ {\n"
    "  unseen(\"what \" $1 \" touches\")\n}\n"
    "/^\trd(tsc|rand|seed|pmc)/ { unseen(\"the value of \" $1) }\n"
    "outgoing && shared && /^\tmov.*, %/ || $3 ~ /\\(%rsp\\)$/ && loaded[$2] {\n"
    "  unseen(\"the structure that a call takes\")\n}\n"
    "/^\tmov.*, %/ { loaded[$3 \",\"] = shared }\n"
    "' \"$folder\"/[!p]*.s || echo \"what awk could not read is not seen\"; cat \"$folder/unseen\"; } | sort -u |\n"
    "  sed 's/^/fairlead-stress: /' | grep . && lent=$((lent + 1))\n"
    "exit $((lent ? lent + 64 : 0))\n";
enum { SOME = 64 };

/*
 * Flags of the user that cannot be used: other instrumentation, and what a shared object cannot be
 * linked with.
 */
#define IGNORED                                                                                                        \
	"-fsanitize=* | --coverage | -ftest-coverage | -fprofile-* | -pie | -no-pie | -static | -static-pie | "        \
	"-Wl,-z,defs | -Wl,--no-undefined"

static const char script[] =
    "make() {\n"
    "  kind=$1 archive=$2 own=$3 source=$4\n"
    "  eval \"set -- ${CFLAGS:-} $flags\"\n"
    "  for word; do shift; case $word in " IGNORED ") ;; *) set -- \"$@\" \"$word\" ;; esac; done\n"
    "  IFS=:; for place in $includes; do\n"
    "    set -- -I \"$place\" \"$@\" -idirafter \"$place/fairlead/verifier\"\n"
    "  done; unset IFS\n"
    "  ${CC:-cc} -std=gnu11 -O2 -g -fPIC -pthread -fvisibility=hidden -Wunused-function \"$@\" -fno-lto $own \\\n"
    "    -S \"$source\" -o \"$folder/$kind.s\" && ${CC:-cc} -Wa,--no-warn -c \"$folder/$kind.s\" -o "
    "\"$folder/$kind.o\" || return\n"
    "  eval \"set -- ${LDFLAGS:-} $inputs ${LDLIBS:-}\"\n"
    "  for word; do shift; case $word in " IGNORED ") ;; *) set -- \"$@\" \"$word\" ;; esac; done\n"
    "  ${CC:-cc} -shared -pthread -o \"$folder/$kind.so\" \"$folder/$kind.o\" \"$@\" -Wl,-Bsymbolic \\\n"
    "    ${archive:+\"$archive\" -Wl,--as-needed $ck}\n"
    "}\n"
    "find_ck; tree=-fdump-tree-optimized-lineno-gimple=$folder/c.tree; export CCC_OVERRIDE_OPTIONS=\"#x$tree\"\n"
    "make model \"$model\" \"-O0 -fsanitize=thread -fno-builtin -U_FORTIFY_SOURCE -include $folder/list.h $tree\" "
    "\"$1\" && make plain "
    "\"$plain\" '' \"$1\" || "
    "exit 1\n";

static const char program_script[] =
    "objects= n=0 cxx= more=\n"
    "grep -q fairlead \"$@\" 2>/dev/null </dev/null && find_ck || model=\n"
    "case \"${CFLAGS:-} $flags\" in\n"
    "*-ansi* | *-std=c89* | *-std=c90* | *-std=gnu89* | *-std=gnu90*) implicit= ;;\n"
    "*) implicit=-Werror=implicit-function-declaration ;;\n"
    "esac\n"
    "case $(uname -m) in aarch64) more=-mtls-dialect=trad ;; esac\n"
    "make() {\n"
    "  compiler=$1 language=$2 source=$4; eval \"set -- $3\"\n"
    "  for word; do\n"
    "    shift; case $word in -std=*++*) of=c++ ;; -std=*) of=c ;; " IGNORED ") of= ;; *) of=$language ;; esac\n"
    "    [ \"$of\" != \"$language\" ] || set -- \"$@\" \"$word\"\n"
    "  done\n"
    "  IFS=:; for place in $includes; do\n"
    "    set -- -I \"$place\" \"$@\" -idirafter \"$place/fairlead/verifier\"\n"
    "  done; unset IFS\n"
    "  tree=-fdump-tree-optimized-lineno-gimple=$folder/$n.$language.tree\n"
    "  CCC_OVERRIDE_OPTIONS=\"#x$tree x-Wno-tsan\" $compiler $tree -g \"$@\" -Wno-tsan -O0 -fPIC -pthread "
    "-fsanitize=thread "
    "-fno-builtin -U_FORTIFY_SOURCE -fvisibility=default $more -include \"$folder/list.h\" \\\n"
    "    -fno-lto -S \"$source\" -o \"$folder/$n.s\" && $compiler -Wa,--no-warn -c \"$folder/$n.s\" -o "
    "\"$folder/$n.o\"\n"
    "}\n"
    "for source; do\n"
    "  n=$((n + 1)) objects=\"$objects $folder/$n.o\"\n"
    "  case $source in\n"
    "  *.c) make \"${CC:-cc}\" c \"$implicit ${CFLAGS:-} $flags\" \"$source\" ;;\n"
    "  *)\n"
    "    cxx=1 inline=; grep -q _GLIBCXX_ASSERTIONS \"$source\" || inline=-D_GLIBCXX_ASSERTIONS\n"
    "    make \"${CXX:-c++}\" c++ \"$inline ${CXXFLAGS:-} $flags\" \"$source\"\n"
    "    ;;\n"
    "  esac || exit 1\n"
    "done\n"
    "eval \"set -- ${LDFLAGS:-} $inputs ${LDLIBS:-}\"\n"
    "for word; do shift; case $word in " IGNORED ") ;; *) set -- \"$@\" \"$word\" ;; esac; done\n"
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
    ",--wrap=__cxa_guard_release,--wrap=__cxa_guard_abort,--wrap=_ZNSt13random_device9_M_getvalEv\" || link=${CC:-cc}\n"
    "$link -shared -pthread -o \"$folder/$name.so\" $objects ${model:+\"$model\"} \"$@\" \\\n"
    "  ${model:+-Wl,--as-needed $ck} -Wl,-Bsymbolic -Wl,-z,norelro -Wl,-u,main ${1+-Wl,-Map=\"$folder/map\"} || exit "
    "1\n"
    "[ $# = 0 ] || grep -oE '[^ ()]+[.](a[(][^ ()]*[)]|o$)' \"$folder/map\" | sort -u |\n"
    "while IFS='()' read -r file member rest; do\n"
    "  case ${file##*/} in\n"
    "  libfairlead-model.a | libgcc*.a | libstdc++*.a | libsupc++*.a | libc_nonshared.a) ;;\n"
    "  crt[in].o | *crtbegin*.o | *crtend*.o) ;;\n"
    "  *) case $file in \"$folder\"/*) ;; *) instrumented \"$file\" \"${member:+$member:}\" ;; esac ;;\n"
    "  esac\n"
    "done >>\"$folder/unseen\"\n";

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

static char (*folders)[64];
static unsigned n_folders;

/* Returns the exit status of a script, or -1 if it has none. Its output goes to standard error. */
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

unsigned compile_left_unseen;

static const char **add(const char **to, char *const *words)
{
	while (*words)
		*to++ = *words++;
	*to++ = "--";
	return to;
}

/*
 * Runs the script in a new folder, after `arguments` and before the two scripts that look for what
 * is not seen. Returns the folder, or NULL after it has printed a message.
 */
static const char *compile(const struct options *o, const char *how, const char *name, char *const *sources)
{
	const char **argv = zeroed(o->argc + 12, sizeof *argv);
	folders = grown(folders, n_folders, sizeof *folders);
	char *folder = folders[n_folders];
	snprintf(folder, sizeof *folders, "/tmp/fairlead-stress-XXXXXX");
	if (!mkdtemp(folder)) {
		complain("cannot make a folder in /tmp");
		return NULL;
	}
	n_folders++;
	lab_at_refusal = compile_clean;
	char *include = place_of("include"), *archives = include ? place_of("archives") : NULL;
	char *whole = NULL;
	if (asprintf(&whole, "%s%s%s%s", arguments, how, calls, places) < 0)
		whole = NULL;
	const char *const first[] = {"sh", "-c", whole, "sh", folder, include, archives, name};
	memcpy(argv, first, sizeof first);
	add(add(add(argv + sizeof first / sizeof *first, o->flags), o->inputs), sources);
	const int status = archives ? run_shell(argv) : -1;
	const unsigned unseen = status ? (unsigned)status ^ SOME : 0;
	const bool good = unseen <= (LAB_UNSEEN_NAMED | LAB_UNSEEN_LENT);
	if (good)
		compile_left_unseen |= unseen;
	if (!good)
		complain("cannot compile or link the files of the command");
	free(include);
	free(archives);
	free(whole);
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
	char *const sources[] = {(char *)source, NULL};
	const char *folder = compile(o, script, "", sources);
	return folder && load_kind(folder, "plain", source) && load_kind(folder, "model", source);
}

/* Compiles a program, which is named after its first file. */
bool compile_program(const struct options *o)
{
	char name[256];
	snprintf(name, sizeof name, "%s", basename(o->first));
	*strrchr(name, '.') = '\0';
	const char *folder = compile(o, program_script, name, o->sources);
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
