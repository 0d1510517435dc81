# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=sh disable=SC2154 # root, build, release and packages_* are those of ./dev, which reads this file
# The steps of `./dev check`: each is a function that prints errors and returns whether it passed.

# In the order in which they begin. What a change breaks most often comes first, since --minutes may
# end the last ones.
check_steps="format gcc docs asan packaging tsan posix clang tidy $windows musl seccomp $targets"
check_steps_named="mpi compilers coverage soak abi $lse macos bullseye trixie sid" # only on request: many minutes, and packages of their own
all_features="tests stress examples bench"
check_since= # a commit: only what changed since then
fixed=       # a command before tests/run: addresses that are not randomised

step_title() {
	case $1 in
	format) echo "format" ;;
	tidy) echo "static analysis and warnings of clang" ;;
	gcc) echo "gcc, warnings as errors; scenarios; the demo" ;;
	packaging) echo "packaging, and the documents' examples" ;;
	clang) echo "unit tests built by clang" ;;
	asan) echo "ASan and UBSan; the public interface" ;;
	tsan) echo "TSan" ;;
	seccomp) echo "unit tests with system calls denied" ;;
	aarch64 | armhf) echo "$1, under qemu-user" ;;
	musl) echo "unit tests with musl" ;;
	posix) echo "unit tests of the core without calls of Linux" ;;
	windows) echo "unit tests of the core for Windows, under wine" ;;
	docs) echo "the site and its links" ;;
	coverage) echo "each line of lib is tested, or listed" ;;
	soak) echo "ten minutes of the tests with a time, ASan and TSan" ;;
	abi) echo "the binary interface is that of the release" ;;
	mpi) echo "Open MPI, with and without fault tolerance, and MPICH, plain and under ASan" ;;
	compilers) echo "everything by gcc and by clang" ;;
	lse) echo "aarch64 with LSE, under qemu-user" ;;
	macos) echo "the core compiles and links for macOS" ;;
	bullseye) echo "Debian 11: gcc 10 and clang 11" ;;
	trixie) echo "Debian 13: ./dev test; the demo; MPI" ;;
	sid) echo "Debian sid: everything by gcc and by clang" ;;
	esac
}

packages_of() {
	case $1 in
	format) echo clang-format ;;
	tidy) echo "$packages_all clang clang-tidy" ;;
	gcc) echo "$packages_all ccache" ;;
	packaging) echo "$packages_packaging clang libuv1-dev ccache $packages_windows" ;;
	clang) echo "$packages_all ccache clang" ;;
	asan | tsan | soak | seccomp) echo "$packages_test ccache" ;;
	mpi) echo "$packages_test $packages_mpi ccache" ;;
	aarch64 | lse) echo "$packages_on $packages_aarch64 ccache" ;;
	armhf) echo "$packages_on $packages_armhf ccache" ;;
	musl) echo "$packages_on $packages_musl ccache" ;;
	posix) echo "$packages_test ccache" ;;
	windows) echo "$packages_on $packages_windows ccache" ;;
	docs) echo "$packages_docs" ;;
	coverage) echo "$packages_test ccache clang llvm" ;;
	abi) echo "$packages_build abigail-tools python3" ;;
	compilers) echo "$packages_all ccache clang" ;;
	macos) echo "$packages_build python3" ;;
	bullseye | trixie | sid) echo "debootstrap git" ;;
	esac
}

# unit DIR OPTION...: the unit tests of a build; with --since those that a change can break.
unit() {
	$fixed "$root/tests/run" --build "$@" --only unit ${check_since:+--since "$check_since"}
}

step_format() {
	find "$root/include" "$root/lib" "$root/tests" "$root/docs" "$root/bench" "$root/stress" "$root/mpi" "$root/laboratory" \
		\( -name '*.c' -o -name '*.h' -o -name '*.cc' \) -print0 |
		xargs -0 clang-format --dry-run -Werror
}

# Also clang's own warnings, of all sources.
step_tidy() {
	# shellcheck disable=SC2086 # a list of words
	CC=clang CXX=clang++ configure "$build/tidy" $all_features
	make "$build/tidy" build.ninja
	"$root/tests/tidy.py" "$build/tidy"
}

# all_of KIND DIR: all tests of a kind, of which `./dev test` runs some.
all_of() {
	"$root/tests/run" --build "$2" --only "$1" ${check_since:+--since "$check_since"}
}

# The build of `./dev test`, with all else that there is, and with warnings as errors from now on.
step_gcc() {
	# shellcheck disable=SC2086 # a list of words
	configure "$release" $all_features werror
	make "$release" all stress-programs
	"$root/docs/examples/test_demo.py" "$demo"
	all_of laboratory "$release"
	all_of stress "$release"
}

# In a build of its own, which has nothing else: the cases build what they use.
step_packaging() {
	configure "$build/packaging"
	make "$build/packaging" lib/libfairlead.a
	all_of consumers "$build/packaging"
}

# Step tidy has clang's warnings of everything else.
step_clang() {
	CC='ccache clang' CXX='ccache clang++' configure "$build/clang" tests -- -Dwerror=true -Dmpi=disabled
	make_tests "$build/clang" "$check_since"
	unit "$build/clang"
	"$root/tests/run" --build "$build/clang" --only consumers --cc clang --cxx clang++ ${check_since:+--since "$check_since"} \
		cxx17 gnu99 headers_alone
}

# sanitized DIR OPTION...: builds the unit tests with a sanitizer.
sanitized() {
	dir=$1
	shift
	configure "$dir" tests -- "$@"
	make_tests "$dir" "$check_since"
}

# unit_asan OPTION...: without optimisation, which could remove UBSan's findings, and with the
# coverage for the check of the interface.
unit_asan() {
	sanitized "$build/asan" --buildtype debug -Db_sanitize=address,undefined -Db_coverage=true -Dmpi=disabled
	find "$build/asan" -name '*.gcda' -delete
	ASAN_OPTIONS=detect_stack_use_after_return=1:detect_leaks=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
		unit "$build/asan" "$@"
}

step_asan() {
	unit_asan --timeout 300
	if [ -z "$check_since" ]; then
		"$root/tests/check_api.py" --build "$build/asan"
	else
		"$root/tests/check_api.py"
	fi
}

# unit_tsan OPTION...: TSan waits at the end of each process for races with running threads: 20 ms
# instead of a second. The address space of gcc 12's TSan does not fit a kernel that randomises more
# than 28 bits.
unit_tsan() {
	sanitized "$build/tsan" --buildtype debug -Doptimization=1 -Db_sanitize=thread
	if setarch -R true 2>/dev/null; then
		fixed='setarch -R'
	fi
	TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1:atexit_sleep_ms=20 unit "$build/tsan" "$@"
}

step_tsan() {
	unit_tsan --timeout 300
}

# The tests that last as long as they are told to.
step_soak() {
	export FL_TEST_PEER_SECONDS=600 FL_TEST_INSPECT_SECONDS=600
	check_since=
	unit_asan --timeout 900 shm_peer_overwrites_everything inspect_beside_all_that_it_reads
	unit_tsan --timeout 900 inspect_beside_all_that_it_reads
}

# Old kernels and sandboxes lack system calls. In the build of step gcc, which began long before.
step_seccomp() {
	configure "$release" tests
	make "$release" test-programs
	"$root/tests/run" --build "$release" --denied ${check_since:+--since "$check_since"}
}

step_aarch64() {
	on aarch64 "$check_since" ${check_since:+--since "$check_since"}
}

step_armhf() {
	on armhf "$check_since" ${check_since:+--since "$check_since"}
}

# What is built with LSE must not run without.
step_lse() {
	on lse "$check_since" ${check_since:+--since "$check_since"}
	! "$root/tests/cross/emulate" aarch64 "$build/lse/tests/test_mutex"
}

# Also the scenarios of waits: in the model, too, they run through what replaces a futex.
step_posix() {
	on posix "$check_since" ${check_since:+--since "$check_since"}
	configure "$build/posix" stress
	make "$build/posix" stress-programs
	"$build/posix/laboratory/fairlead-stress" --mode model,native --time 90s 'barrier_*' 'cancel_[!l]*' 'cancel_late_[!f]*' \
		'cond_*' 'event_*' 'latch_*' 'lock_*' 'lot_*' 'sem_handler_*' 'wait_any_*'
}

# All of them: which programs a change can break is known of builds for Linux.
step_windows() {
	if [ -n "$check_since" ] && git -C "$root" diff --quiet "$check_since" -- lib include tests laboratory meson.build; then
		echo "nothing that the core's tests have has changed"
		return
	fi
	on windows ""
}

# Also a static program, which needs no file but itself.
step_musl() {
	on musl "$check_since" ${check_since:+--since "$check_since"}
	folder=$build/sysroot-musl/root
	make "$build/musl" lib/libfairlead.a
	musl-gcc -static -O2 -I"$root/include" -I"$build/musl/include" -idirafter "$folder/include" \
		"$root/tests/consumers/installed/main.c" "$build/musl/lib/libfairlead.a" "$folder/lib/libck.a" \
		-Wl,--gc-sections -o "$build/musl/static"
	"$build/musl/static"
	! readelf -d "$build/musl/static" | grep NEEDED
}

step_docs() {
	if [ -n "$check_since" ] && git -C "$root" diff --quiet "$check_since" -- '*.md' include mpi/include docs bench/results; then
		echo "nothing that the site shows has changed"
		return
	fi
	"$root/dev" docs
}

# By clang, whose counters are in files that the processes map: a process that is killed loses none.
# Parallel loops have a way of their own where membarrier() is denied.
step_coverage() {
	[ -z "$check_since" ] || { echo "only of all tests" && exit 77; }
	counters=$build/coverage/counters
	flags="-fprofile-instr-generate=$counters/%c%m.profraw -fprofile-update=atomic -fcoverage-mapping -mllvm -runtime-counter-relocation"
	CC='ccache clang' CXX='ccache clang++' sanitized "$build/coverage" --buildtype debug -Dmpi=disabled \
		"-Dc_args=$flags" "-Dc_link_args=${flags%% *}"
	rm -rf "$counters"
	mkdir "$counters"
	"$root/tests/run" --build "$build/coverage" --denied parallel || [ $? -eq 77 ]
	for _ in 1 2 3; do # what only a race reaches may need another run
		unit "$build/coverage"
		"$root/tests/check_coverage.py" --build "$build/coverage" && return
	done
	return 1
}

# The description is of x86-64, by Debian 12's abidw.
step_abi() {
	[ "$(uname -m)" = x86_64 ] || { echo "only on x86-64" && exit 77; }
	configure "$build/abi" -- --buildtype debug -Ddefault_library=shared -Dmpi=disabled -Ddocs=disabled
	make "$build/abi"
	"$root/tests/check_abi.py" --build "$build/abi" --planted
}

# over_mpi DIR PACKAGE MESON-ARGUMENT...: the tests over one MPI, with 2 and with 5 ranks. Of Open
# MPI 5 also those with fault tolerance.
over_mpi() {
	dir=$1 package=$2
	shift 2
	configure "$dir" tests -- -Dmpi=enabled "-Dmpi_package=$package" -Dwerror=true "$@"
	make "$dir" mpi-test-programs
	for ranks in 2 5; do
		FL_TEST_MPI_RANKS=$ranks "$root/tests/run" --build "$dir" --only mpi ${check_since:+--since "$check_since"}
		case $package:$(mpirun.openmpi --version) in ompi-c:*"(Open MPI) "[5-9]*)
			FL_TEST_MPI_FT=1 FL_TEST_MPI_RANKS=$ranks "$root/tests/run" --build "$dir" --only mpi ${check_since:+--since "$check_since"} ;;
		esac
	done
}

# The steps clang, asan and tsan build the core as on a machine without MPI.
step_mpi() {
	for package in ompi-c mpich; do
		over_mpi "$build/mpi-$package" $package
		ASAN_OPTIONS=detect_stack_use_after_return=1:detect_leaks=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
			over_mpi "$build/mpi-asan-$package" $package --buildtype debug -Db_sanitize=address,undefined
	done
}

# All that there is, by both compilers, with warnings as errors, and the unit tests of both. By gcc as
# on Ubuntu, whose gcc has these flags by itself.
step_compilers() {
	for compiler in "gcc g++" "clang clang++"; do
		dir=$build/all-${compiler% *}
		hardened=
		[ "$compiler" != "gcc g++" ] || hardened="-D_FORTIFY_SOURCE=3 -fstack-protector-strong -fstack-clash-protection -Wformat"
		# shellcheck disable=SC2086 # a list of words
		CC="ccache ${compiler% *}" CXX="ccache ${compiler#* }" configure "$dir" $all_features -- -Dwerror=true -Dmpi=disabled \
			"-Dc_args=$hardened" "-Dcpp_args=$hardened"
		make "$dir"
		unit "$dir"
	done
}

# Nothing is run: the core, its tests, and a program with the library as two files.
step_macos() {
	sysroot macos "$root/tests/cross/macos"
	"$root/lib/amalgamate.py" --parts core "$build/macos-two"
	for machine in aarch64 x86_64; do
		configure "$build/macos-$machine" tests -- --cross-file "$build/sysroot-macos/$machine.ini" -Dparts=core \
			-Dmpi=disabled -Doptimization=1 -Dwerror=true
		make "$build/macos-$machine" lib/libfairlead.a test-programs
		"$build/sysroot-macos/cc" -target $machine-macos -std=c11 -O2 -Wall -Wextra -Werror -fvisibility=hidden \
			-I"$build/macos-two" "$root/tests/consumers/installed/main.c" "$build/macos-two/fairlead.c" -pthread \
			-o "$build/macos-two/program"
	done
}

# The oldest compilers. Debian 11's meson is too old, so they compile the library as two files.
step_bullseye() {
	# shellcheck disable=SC2016 # for the shell in there
	"$root/tests/cross/debian" bullseye "$build/bullseye" sh -e -c 'apt-get update -q
		apt-get install -q -y --no-install-recommends gcc clang libc6-dev libck-dev python3
		./dev amalgamate /tmp/two
		for cc in gcc clang; do
			$cc --version | head -n 1
			$cc -std=c11 -O2 -Wall -Wextra -Werror -fvisibility=hidden -I/tmp/two tests/consumers/installed/main.c \
				/tmp/two/fairlead.c -lck -ldl -pthread -o /tmp/two/program
			/tmp/two/program
		done'
}

# A newcomer's first two commands, as an ordinary user, and without a warning, as the library as two
# files is; and Open MPI 5. .ci/run begins with the same command as root.
step_trixie() {
	# shellcheck disable=SC2016 # for the shell in there
	"$root/tests/cross/debian" trixie "$build/trixie" sh -e -c 'apt-get update -q
		apt-get install -q -y --no-install-recommends sudo
		id newcomer >/dev/null 2>&1 || useradd --create-home newcomer
		echo "newcomer ALL=(ALL) NOPASSWD: ALL" >/etc/sudoers.d/newcomer
		chown -R newcomer .
		su newcomer -c "FL_WERROR=1 ./dev test && ./dev demo && ./dev amalgamate /tmp/two"
		for level in -O0 -O2 -O3 -Os; do
			gcc -std=c11 $level -Wall -Wextra -Werror -c /tmp/two/fairlead.c -o /dev/null
		done
		./dev check mpi'
}

step_sid() {
	"$root/tests/cross/debian" sid "$build/sid" ./dev check compilers
}

# run_one NAME: runs a step; with --minutes at most until then. 124 or 137: it had no time, or not
# enough.
run_one() {
	if [ -z "${FL_CHECK_END:-}" ]; then
		"$root/dev" check --run "$@"
		return
	fi
	left=$((FL_CHECK_END - $(date +%s)))
	[ $left -gt 0 ] || return 124
	timeout -k 20 $left "$root/dev" check --run "$@"
}

# check_one NAME: runs one step. Prints one line, and the end of the output of a failed step; notes
# its time.
check_one() {
	log_of_step=$build/check-$1.log
	began=$(date +%s)
	set +e
	run_one "$1" ${check_since:+--since "$check_since"} >"$log_of_step" 2>&1 </dev/null
	step_status=$?
	set -e
	took=$(($(date +%s) - began))
	result=FAILED
	case $step_status in
	0) result=ok ;;
	77) result=skipped ;;
	124 | 137) [ "$(date +%s)" -lt "${FL_CHECK_END:-9999999999}" ] || result=unfinished ;;
	esac
	times >"$build/check-$1.times" # of the shell and, in the second line, of its children; not in a pipe, which has none
	cpu=$(awk -F '[ms ]+' 'NR == 2 { printf "%.0f", $1 * 60 + $2 + $3 * 60 + $4 }' "$build/check-$1.times")
	count=$(sed -n -E 's/^(unfinished: )?([0-9]+ passed, [0-9]+ failed)/\2/p' "$log_of_step" | awk -F '[ ,]+' '{ p += $1; f += $3; s += $5 }
		END { if (NR) print "  (" p " passed, " f " failed" (s ? ", " s " skipped" : "") ")" }')
	case $count in # of an unfinished step, too
	'' | *' 0 failed'*) ;;
	*) result=FAILED ;;
	esac
	printf '%-9s %6s s %6s s  %s\n' "$1" "$took" "$cpu" "$result" >"$build/check-$1.cost"
	{
		printf '%-46s%-10s  %s s%s\n' "$(step_title "$1")" $result $took "$count"
		[ $result != FAILED ] || {
			tail -n 60 "$log_of_step" | sed 's/^/    /'
			echo "    all of it: build/check-$1.log"
		}
		[ $result != skipped ] || tail -n 1 "$log_of_step" | sed 's/^/    /'
	} >"$build/check-$1.said"
	cat "$build/check-$1.said"
	[ $result != FAILED ]
}

# check [--since COMMIT] [--minutes N] [STEP...]: runs the steps, two at once, and prints what each
# has cost.
check() {
	part=
	if [ "${1:-}" = --one ] || [ "${1:-}" = --run ]; then # from here: one of the steps, with its report or by itself
		part=$1
		one=$2
		shift 2
	fi
	steps=
	while [ $# -gt 0 ]; do
		case $1 in
		--since)
			[ $# -gt 1 ] || bad_usage "check: --since which commit?"
			check_since=$2
			shift
			;;
		--since=*) check_since=${1#--since=} ;;
		--minutes)
			case ${2:-} in
			'' | *[!0-9]*) bad_usage "check: --minutes how many?" ;;
			esac
			export FL_CHECK_END=$(($(date +%s) + $2 * 60))
			shift
			;;
		*)
			case " $check_steps $check_steps_named " in
			*" $1 "*) steps="$steps $1" ;;
			*) bad_usage "check: no step is called '$1': $check_steps $check_steps_named" ;;
			esac
			;;
		esac
		shift
	done
	case $part in
	--one)
		check_one "$one"
		exit
		;;
	--run)
		"step_$one"
		exit
		;;
	esac
	if [ -n "$check_since" ]; then
		git -C "$root" rev-parse --verify --quiet "$check_since^{commit}" >/dev/null || bad_usage "check: there is no commit '$check_since'"
	fi
	steps=${steps:-$check_steps}
	packages=
	for name in $steps; do
		packages="$packages $(packages_of "$name")"
	done
	# shellcheck disable=SC2086 # a list of words
	need $packages
	mkdir -p "$build"
	rm -f "$build"/check-*.cost "$build"/check-*.said
	CCACHE_BASEDIR=$root CCACHE_NOHASHDIR=1 # objects are the same wherever the clone lies
	export CCACHE_BASEDIR CCACHE_NOHASHDIR
	say "steps:$(printf ' %s' $steps); two at once; the output of each is in build/check-STEP.log"
	check_began=$(date +%s)
	check_status=0
	# shellcheck disable=SC2086 # a list of words
	printf '%s\n' $steps | FL_NO_INSTALL=1 xargs -P 2 -I STEP "$root/dev" check --one STEP ${check_since:+--since "$check_since"} || check_status=1
	printf '\n%-9s %8s %8s\n' step time CPU
	cat "$build"/check-*.cost | sort -k 2 -n -r
	printf '%-9s %6s s\n' all $(($(date +%s) - check_began))
	exit $check_status
}
