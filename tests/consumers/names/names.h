/* SPDX-License-Identifier: BSD-2-Clause */
/* Names that C programs use most. A program's own objects may have them. */
/* clang-format off */
#define NAMES(X) \
	X(a) X(args) X(at) X(b) X(base) X(begin) X(buf) X(c) X(cancel) X(claim) X(cmd) \
	X(config) X(count) X(d) X(data) X(deadline) X(e) X(end) X(err) X(error) X(event) X(f) \
	X(file) X(flags) X(g) X(group) X(h) X(head) X(i) X(id) X(in) X(it) X(item) X(items) \
	X(j) X(job) X(k) X(key) X(l) X(len) X(list) X(lock) X(loop) X(m) X(map) X(max) X(msg) \
	X(n) X(name) X(next) X(node) X(now) X(o) X(out) X(owner) X(p) X(path) X(pool) X(pos) \
	X(ptr) X(q) X(queue) X(r) X(rc) X(region) X(ret) X(ring) X(s) X(self) X(shape) X(size) \
	X(slot) X(slots) X(start) X(state) X(str) X(sum) X(t) X(tail) X(task) X(test) X(text) \
	X(timer) X(tmp) X(to) X(total) X(u) X(url) X(v) X(val) X(value) X(w) X(work) X(x) X(y) \
	X(z)

/* A task's body has these by contract. It hides variables of these names, and -Wshadow warns. */
#define BODY_NAMES(X) X(ctx) X(arg) X(result)
/* clang-format on */
