/* SPDX-License-Identifier: BSD-2-Clause */
/* Addresses as values: their text, and when two are equal. */
#include "fl_datagrams.h"

static void is_text(const fl_address *a, const char *expected)
{
	char text[FL_ADDRESS_TEXT_SIZE];
	const size_t n = strlen(expected);
	FL_CHECK(fl_test_is_address(a, expected));
	FL_OK(fl_address_text(a, text, n + 1));
	FL_RC(fl_address_text(a, text, n), -ENOSPC);
	FL_RC(fl_address_text(a, text, 0), -ENOSPC);
}

FL_NET_TEST(address_text)
{
	static const struct {
		const char *host, *text;
	} all[] = {
	    {"127.0.0.1", "127.0.0.1:7000"},
	    {"::1", "[::1]:7000"},
	    {"::ffff:10.1.2.3", "10.1.2.3:7000"}, /* one form */
	    {"fe80::1%lo", "[fe80::1%1]:7000"},
	};
	fl_address a, b;
	FL_EACH (i, all) {
		FL_OK(fl_address_ip_until(&a, all[i].host, 7000, FL_NO_WAIT, NULL));
		is_text(&a, all[i].text);
		b = fl_test_udp_address(all[i].host, 7000);
		FL_CHECK(fl_address_is_equal(&a, &b));
		b = fl_test_udp_address(all[i].host, 7001);
		FL_CHECK(!fl_address_is_equal(&a, &b));
	}
	/* a port of 0 is left out: the text is that of a host */
	a = fl_test_udp_address("127.0.0.1", 0);
	is_text(&a, "127.0.0.1");
	a = fl_test_udp_address("fe80::1%lo", 0);
	is_text(&a, "fe80::1%1");
	b = fl_test_udp_address("fe80::1%1", 0);
	FL_CHECK(fl_address_is_equal(&a, &b));
	FL_OK(fl_address_unix(&a, "/tmp/path"));
	is_text(&a, "/tmp/path");
	FL_OK(fl_address_unix(&b, "@name"));
	is_text(&b, "@name");
	FL_CHECK(!fl_address_is_equal(&a, &b) && fl_address_is_equal(&b, &b));
	a = fl_test_udp_address("127.0.0.1", 1);
	b = fl_test_udp_address("127.0.0.2", 1);
	FL_CHECK(!fl_address_is_equal(&a, &b));
	a = fl_test_udp_address("fe80::1%lo", 1);
	b = fl_test_udp_address("fe80::1", 1);
	FL_CHECK(!fl_address_is_equal(&a, &b));
	b.size = 0;
	is_text(&b, "");
	FL_CHECK(!fl_address_is_equal(&a, &b));
	a.size = 0;
	FL_CHECK(fl_address_is_equal(&a, &b));
}

/* Of one size, and of different families. */
FL_NET_TEST(address_unix)
{
	fl_address a = {.size = 0}, b;
	char path[sizeof(struct sockaddr_in6) - 2];
	b = fl_test_udp_address("::1", 1);
	memset(path, 'x', sizeof path - 1);
	path[sizeof path - 1] = '\0';
	FL_OK(fl_address_unix(&a, path));
	FL_RC(a.size, b.size);
	FL_CHECK(!fl_address_is_equal(&a, &b));
	char longest[110];
	memset(longest, 'x', 109);
	longest[109] = '\0';
	longest[108] = '\0';
	FL_RC(fl_address_unix(&a, longest), -ENAMETOOLONG);
	longest[107] = '\0';
	FL_OK(fl_address_unix(&a, longest));
	is_text(&a, longest);
	FL_RC(fl_address_unix(&a, ""), -EINVAL);
	FL_RC(fl_address_unix(&a, NULL), -EINVAL);
}

static void expect_address(const void *address, size_t length, const char *expected)
{
	fl_address a;
	fl__address_set(&a, address, (socklen_t)length);
	FL_CHECK(fl_test_is_address(&a, expected));
}

FL_TEST(address_text_of_each_family)
{
	struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_port = htons(80), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	struct sockaddr_un u = {.sun_family = AF_UNIX, .sun_path = "/tmp/x"};
	struct sockaddr other = {.sa_family = AF_APPLETALK};
	const size_t before = offsetof(struct sockaddr_un, sun_path);
	expect_address(&a, sizeof a, "[::1]:80");
	a.sin6_scope_id = 3;
	expect_address(&a, sizeof a, "[::1%3]:80");
	expect_address(&u, before + 7, "/tmp/x");
	expect_address(&u, before + 4, "/tmp");
	expect_address(&u, before, "");
	memcpy(u.sun_path, "\0name", 5);
	expect_address(&u, before + 5, "@name");
	expect_address(&other, sizeof other, "");
	char longest[sizeof u.sun_path + 2];
	memset(longest, 'x', sizeof longest);
	memset(u.sun_path, 'x', sizeof u.sun_path);
	longest[sizeof u.sun_path] = '\0';
	expect_address(&u, sizeof u, longest);
}
