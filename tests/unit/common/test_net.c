/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/net.h"

#include "common/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <unistd.h>

static void prints_addresses(void **state)
{
	static const struct {
		const char *host, *text;
		int family;
	} rows[] = {
		{"127.0.0.1", "127.0.0.1:4711", AF_INET},
		{"::1", "[::1]:4711", AF_INET6},
		{"::ffff:10.1.2.3", "10.1.2.3:4711", AF_INET6},
		{"2001:db8::ff00:42:8329", "[2001:db8::ff00:42:8329]:4711", AF_INET6},
	};
	char text[NET_TEXT];

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(4711)};
		struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(4711)};
		bool v4 = rows[i].family == AF_INET;

		assert_int_equal(
			inet_pton(rows[i].family, rows[i].host, v4 ? (void *)&in.sin_addr : (void *)&in6.sin6_addr), 1);
		net_print(v4 ? (void *)&in : (void *)&in6, text);
		assert_string_equal(text, rows[i].text);
	}
	net_print(&(struct sockaddr){.sa_family = AF_UNIX}, text);
	assert_string_equal(text, "");
}

static void listens(void **state)
{
	static const char *const addresses[] = {"", "127.0.0.1", "localhost", "[127.0.0.1]"};

	(void)state;
	for (size_t i = 0; i < sizeof addresses / sizeof *addresses; i++) {
		struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
		struct err e = ERR_INIT;
		int fd = net_listen(addresses[i], 0, &e), client = socket(AF_INET, SOCK_STREAM, 0);

		if (fd < 0) fail_msg("%s: %s", addresses[i], e.msg);
		assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
		to.sin_port = htons(net_port(fd));
		assert_int_equal(connect(client, (struct sockaddr *)&to, sizeof to), 0);
		close(client);
		close(fd);
	}
}

static void says_why_not(void **state)
{
	struct err e = ERR_INIT;
	int fd = net_listen("127.0.0.1", 0, &e);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(net_listen("127.0.0.1", net_port(fd), &e), -1);
	assert_int_equal(e.code, ERR_UNAVAILABLE);
	assert_true(str_ends(str_c(e.msg), STR(": Address already in use")));
	assert_int_equal(net_listen("not a host", 80, &e), -1);
	assert_true(str_starts(str_c(e.msg), STR("cannot listen on not a host:80: ")));
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(prints_addresses),
		cmocka_unit_test(listens),
		cmocka_unit_test(says_why_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
