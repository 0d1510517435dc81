# SPDX-License-Identifier: BSD-2-Clause
"""The demo's crawler: it finds all pages, whatever the bound on what waits, and holds to it."""
import re
import signal

import demo_kit


def run(demo, *arguments, **options):
    return demo_kit.run(demo, "crawler", *arguments, **options)


def numbers(out):
    pages, waited, backlog, at_once = map(int, re.search(
        r"^(\d+) pages with .*\nat most (\d+) waited, of (\d+) that may; (\d+) were fetched at once", out).groups())
    assert waited <= backlog, out
    return pages, at_once


def crawler_finds_all_whatever_may_wait(demo):
    answers = set()
    for workers, backlog in (1, 1), (2, 3), (8, 16), (30, 1000):
        done = run(demo, "--pages", "40", "--workers", str(workers), "--backlog", str(backlog))
        pages, at_once = numbers(done.stdout)
        assert pages == 40 and not done.stderr and "\033" not in done.stdout, done
        # a full backlog makes the submitter fetch the page; a backlog for all pages never does
        assert at_once == 0 if backlog == 1000 else at_once > 0, done
        answers.add(re.search(r"^answer ([0-9a-f]{16})$", done.stdout, re.M)[1])
    assert len(answers) == 1, answers


def crawler_names_a_bad_page_and_goes_on(demo):
    for fault, why in ("missing", "404"), ("fail", "500"), ("short", "closed"), ("wrong", "otherwise"), ("stall", "stalled"):
        done = run(demo, "--pages", "40", "--fault", fault, "--timeout", "3", status=1)
        said = done.stderr.splitlines()
        assert len(said) == 1 and re.match(rf"fairlead-demo: page 7: .*{why}", said[0]), done
        assert numbers(done.stdout)[0] == 39, done


def crawler_interrupted(demo):
    """While the server does not answer for a page, and others are still to be found."""
    for end in signal.SIGINT, signal.SIGTERM:
        # a second thread exists: signals are blocked, and the crawl begins soon
        out, err = demo_kit.stopped(demo, "crawler", "--pages", "4000", "--workers", "1", "--fault", "stall", "--timeout", "3600",
                                    signal=end, begun=lambda child: demo_kit.has_thread(child, "crawler-0"))
        assert err == "fairlead-demo: crawler: interrupted\n" and not out, (out, err)


def crawler_bad_usage(demo):
    for arguments in ("--pages", "0"), ("--pages", "4001"), ("--backlog", "0"), ("--backlog", "x"), ("--output", "x"):
        done = run(demo, *arguments, status=2)
        assert done.stderr.startswith(f"fairlead-demo: {arguments[0]}") and done.stderr.count("\n") == 1, done
    assert "--backlog N" in run(demo, "-h").stdout


CASES = (crawler_finds_all_whatever_may_wait, crawler_names_a_bad_page_and_goes_on, crawler_interrupted, crawler_bad_usage)
