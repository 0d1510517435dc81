#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Makes what a release consists of in build/dist, from a clean tree, and checks it: `./dev release [--no-check]`.

- fairlead-VERSION.tar.xz: the files of the commit, no more and no less; two runs give the same bytes;
- fairlead-VERSION-amalgamated.tar.xz: the library as two files, and the core alone as two files;
- fairlead-VERSION.spdx.json: what it consists of, for those who must know (SPDX 2.3);
- SHA256SUMS.

The check unpacks the tarball on a new Debian 12 and 13, where no git is: the README's lines must install it, `./dev test`
and `./dev demo` must pass; the packages are built, checked by lintian, and tried on a system that has nothing else (packaging/build).
The packages of each release of Debian are then in build/dist/SUITE. A check that this machine cannot make is skipped, with a line that says why.
"""
import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(ROOT, "lib"))
import amalgamate as amalgamation  # noqa: E402

SUITES = ["bookworm", "trixie"]
SKIPPED = 77  # the exit status of tests/cross/debian where the machine cannot make such a system
# Name, pkg-config's name, licence, source, how it is related: SPDX's words.
PARTS = [
    ("ck", "ck", "BSD-2-Clause AND Apache-2.0", "https://github.com/concurrencykit/ck", "STATIC_LINK"),
    ("openmpi", "ompi-c", "BSD-3-Clause", "https://www.open-mpi.org", "OPTIONAL_DEPENDENCY_OF"),
    ("cmocka", "cmocka", "Apache-2.0", "https://cmocka.org", "TEST_TOOL_OF"),
    ("benchmark", "benchmark", "Apache-2.0", "https://github.com/google/benchmark", "TEST_TOOL_OF"),
    ("elfutils", "libdw", "LGPL-3.0-or-later OR GPL-2.0-or-later", "https://sourceware.org/elfutils", "TEST_TOOL_OF"),
    ("meson", "", "Apache-2.0", "https://mesonbuild.com", "BUILD_TOOL_OF"),
    ("python3", "", "PSF-2.0", "https://www.python.org", "BUILD_TOOL_OF"),
]
# The README's lines for a bare system come first, where nothing was installed: they print what it
# says.
ON_DEBIAN = r"""cp -r . /tmp/readme
awk '/^```c$/ { inside = 1; next } /^```$/ { if (inside) exit } inside' README.md >/tmp/readme/app.c
awk '/^```sh$/ { inside = 1; next } /^```$/ { if (inside) exit } inside' README.md >/tmp/readme/install.sh
(cd /tmp/readme && sh -ex install.sh) >/tmp/readme/said || { cat /tmp/readme/said; exit 1; }
cat /tmp/readme/said
grep -qF "prints \`$(tail -n 1 /tmp/readme/said)\`" README.md
./dev test
./dev demo
packaging/build"""


def output(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()


def git(*arguments):
    return "\n".join(output("git", "-C", ROOT, *arguments))


def compress(tar, path):
    """One thread: the bytes do not depend on the machine."""
    with open(path, "wb") as file:
        subprocess.run(["xz", "-9", "--threads=1"], input=tar, stdout=file, check=True)


def archive(prefix, path):
    compress(subprocess.run(["git", "-C", ROOT, "-c", "tar.umask=0002", "archive", f"--prefix={prefix}/", "HEAD"],
                            check=True, capture_output=True).stdout, path)


def amalgamate(prefix, moment, path):
    with tempfile.TemporaryDirectory() as folder:
        for name, parts in (("all", "process,loop"), ("core", "core")):
            subprocess.run([os.path.join(ROOT, "lib/amalgamate.py"), "--parts", parts, os.path.join(folder, prefix, name)], check=True)
        compress(subprocess.run(["tar", "--create", "--sort=name", f"--mtime=@{moment}", "--owner=0", "--group=0", "--numeric-owner",
                                 "--mode=u=rwX,go=rX", "--format=ustar", "-C", folder, prefix], check=True, capture_output=True).stdout, path)


def unnamed_parts():
    """What the library, its tests and the laboratory ask pkg-config for, and PARTS lacks."""
    asked = set()
    for folder in ("lib", "mpi", "tests", "laboratory", "stress"):
        with open(os.path.join(ROOT, folder, "meson.build"), encoding="utf-8") as file:
            asked |= set(re.findall(r"dependency\('([^']+)'", file.read()))
    return asked - {part[1] for part in PARTS} - {"threads", "fairlead", "fairlead-mpi"}


def describe(version, commit, moment, tarball, path):
    def package(name, licence, source, more):
        return {"SPDXID": f"SPDXRef-{name}", "name": name, "licenseConcluded": licence, "licenseDeclared": licence,
                "downloadLocation": source, "copyrightText": "NOASSERTION", "filesAnalyzed": False, **more}
    related = [{"spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES", "relatedSpdxElement": "SPDXRef-fairlead"}]
    for name, *_, how in PARTS:
        ends = ("SPDXRef-fairlead", f"SPDXRef-{name}")
        if how.endswith("_OF"):
            ends = ends[::-1]
        related.append({"spdxElementId": ends[0], "relationshipType": how, "relatedSpdxElement": ends[1]})
    document = {
        "spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT", "name": f"fairlead-{version}",
        "documentNamespace": f"https://spdx.org/spdxdocs/fairlead-{version}-{commit}",
        "creationInfo": {"created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment)), "creators": ["Tool: tools/release.py"]},
        "packages": [package("fairlead", "BSD-2-Clause", "NOASSERTION", {"versionInfo": version, "checksums": [
            {"algorithm": "SHA256", "checksumValue": digest(tarball)}]})] +
        [package(name, licence, source, {}) for name, _, licence, source, _ in PARTS],
        "relationships": related,
    }
    with open(path, "w", encoding="utf-8") as file:
        json.dump(document, file, indent=1)
        file.write("\n")


def digest(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def make(folder):
    """The files of the release in a new folder; returns their digests by name, the tarball first."""
    os.makedirs(folder)
    version = amalgamation.version()
    commit, moment = git("rev-parse", "HEAD"), int(git("show", "-s", "--format=%ct", "HEAD"))
    prefix = f"fairlead-{version}"
    tarball = os.path.join(folder, prefix + ".tar.xz")
    archive(prefix, tarball)
    there = {name[len(prefix) + 1:] for name in output("tar", "-tf", tarball) if not name.endswith("/")}
    if wrong := there ^ set(output("git", "-C", ROOT, "ls-tree", "-r", "--name-only", "HEAD")):
        sys.exit(f"release: the commit and the tarball differ by {sorted(wrong)}")
    amalgamate(prefix, moment, os.path.join(folder, prefix + "-amalgamated.tar.xz"))
    describe(version, commit, moment, tarball, os.path.join(folder, prefix + ".spdx.json"))
    names = [prefix + end for end in (".tar.xz", "-amalgamated.tar.xz", ".spdx.json")]
    return {name: digest(os.path.join(folder, name)) for name in names}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--no-check", action="store_true", help="only make the files")
    args = parser.parse_args()
    if git("status", "--porcelain"):
        sys.exit("release: the tree has changes that are not committed: git status")
    if unnamed_parts():
        sys.exit(f"release: PARTS in tools/release.py lacks {unnamed_parts()}")
    folder = os.path.join(ROOT, "build/dist")
    subprocess.run(["rm", "-rf", folder], check=True)
    made = make(folder)
    with tempfile.TemporaryDirectory() as again:
        if make(os.path.join(again, "dist")) != made:
            sys.exit("release: two runs do not give the same bytes")
    with open(os.path.join(folder, "SHA256SUMS"), "w", encoding="utf-8") as file:
        file.writelines(f"{figure}  {name}\n" for name, figure in made.items())
    print(f"release: {folder}: " + ", ".join(made))
    tarball = os.path.join(folder, next(iter(made)))
    checked = []
    for suite in [] if args.no_check else SUITES:
        print(f"release: on {suite}; the output is in build/dist-{suite}.log", flush=True)
        root = os.path.join(ROOT, f"build/dist-{suite}")
        subprocess.run(["rm", "-rf", "--one-file-system", root], check=True)
        with open(root + ".log", "w", encoding="utf-8") as log:
            found = subprocess.run([os.path.join(ROOT, "tests/cross/debian"), "--tarball", tarball, suite, root, "sh", "-e", "-c", ON_DEBIAN],
                                   stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        if found.returncode == SKIPPED:
            print(f"release: skipped on {suite}: " + output("tail", "-n", "1", root + ".log")[0])
            continue
        if found.returncode != 0:
            print("\n".join(output("tail", "-n", "20", root + ".log")))
            sys.exit(f"release: the check on {suite} failed")
        packages = os.path.join(root, "root/fairlead/build/dist")
        shutil.copytree(packages, os.path.join(folder, suite))
        with open(root + ".log", encoding="utf-8", errors="replace") as log:
            for line in log:
                if line.startswith("packaging/build: skipped"):
                    print(f"release: on {suite}: {line}", end="")
        checked.append(suite)
    if checked:
        print("release: the tarball builds, passes its tests and installs on " + " and ".join(checked))


if __name__ == "__main__":
    main()
