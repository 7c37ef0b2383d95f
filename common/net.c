/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/net.h"

#include "common/str.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <unistd.h>

#define KEEPALIVE_IDLE_S 60

/* -1: errno says why. */
static int listen_at(const struct addrinfo *a, bool both_families)
{
	const int on = 1, v6only = !both_families, idle_s = KEEPALIVE_IDLE_S;
	int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0) return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	/* Accepted sockets inherit these: a peer that vanished without a word is noticed, too. */
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
	if (a->ai_family == AF_INET6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only, sizeof v6only);
	if (bind(fd, a->ai_addr, a->ai_addrlen) || listen(fd, SOMAXCONN)) {
		int keep = errno;

		close(fd);
		errno = keep;
		return -1;
	}
	return fd;
}

struct refusal {
	const char *why; /* NULL: none yet */
	bool taken;      /* somebody else has the port */
};

/* The first address of that family that takes a listener; host NULL: every address. -1: *r says why. */
static int listen_family(const char *host, uint16_t port, int family, struct refusal *r)
{
	struct addrinfo hints = {.ai_family = family, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE},
			*found = NULL;
	char service[8];
	int fd = -1, rc;

	snprintf(service, sizeof service, "%u", port);
	rc = getaddrinfo(host, service, &hints, &found);
	if (rc) {
		if (!r->why) r->why = gai_strerror(rc);
		return -1;
	}
	for (struct addrinfo *a = found; a && fd < 0; a = a->ai_next) {
		fd = listen_at(a, !host);
		if (fd < 0) r->taken = errno == EADDRINUSE, r->why = strerrordesc_np(errno);
	}
	freeaddrinfo(found);
	return fd;
}

int net_listen(const char *address, uint16_t port, struct err *e)
{
	struct str name = str_c(address ? address : "");
	char host[NI_MAXHOST];
	struct refusal r = {0};
	int fd;

	if (name.n > 2 && name.p[0] == '[' && name.p[name.n - 1] == ']') name = str_sub(name, 1, name.n - 1);
	snprintf(host, sizeof host, "%.*s", STR_ARG(name));
	if (name.n) {
		fd = listen_family(host, port, AF_INET, &r);
		if (fd < 0) fd = listen_family(host, port, AF_INET6, &r);
	} else {
		fd = listen_family(NULL, port, AF_INET6, &r);
		if (fd < 0) fd = listen_family(NULL, port, AF_INET, &r);
	}
	if (fd < 0)
		err_set(e, r.taken ? ERR_UNAVAILABLE : ERR_IO, "cannot listen on %s:%u: %s", address ? address : "",
			port, r.why ? r.why : "no address");
	return fd;
}

uint16_t net_port(int fd)
{
	struct sockaddr_storage a = {0};
	socklen_t n = sizeof a;

	getsockname(fd, (struct sockaddr *)&a, &n);
	return ntohs(a.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&a)->sin6_port
					     : ((struct sockaddr_in *)&a)->sin_port);
}

void net_print(const struct sockaddr *a, char out[NET_TEXT])
{
	const struct sockaddr_in6 *in6 = (const void *)a;
	const struct sockaddr_in *in = (const void *)a;
	char host[INET6_ADDRSTRLEN] = "";

	out[0] = 0;
	if (a->sa_family == AF_INET) {
		inet_ntop(AF_INET, &in->sin_addr, host, sizeof host);
		snprintf(out, NET_TEXT, "%s:%u", host, ntohs(in->sin_port));
	} else if (a->sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
		inet_ntop(AF_INET, &in6->sin6_addr.s6_addr[12], host, sizeof host);
		snprintf(out, NET_TEXT, "%s:%u", host, ntohs(in6->sin6_port));
	} else if (a->sa_family == AF_INET6) {
		inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof host);
		snprintf(out, NET_TEXT, "[%s]:%u", host, ntohs(in6->sin6_port));
	}
}
