/* SPDX-License-Identifier: GPL-2.0-or-later */
/* net: listening TCP sockets from configured addresses, and addresses as text. Stateless; any thread;
 * net_listen may wait for the resolver. */
#ifndef LARCH_COMMON_NET_H
#define LARCH_COMMON_NET_H

#include "common/err.h"

#include <stdint.h>
#include <sys/socket.h>

#define NET_TEXT 64 /* enough for "[v6 address]:port" */

/* A non-blocking listening socket; -1: failed, ERR_UNAVAILABLE when the port is taken. address: "" is every address of both families where the kernel
 * has both; an IPv4 or IPv6 address (brackets allowed); or a host name, of whose addresses one is taken, IPv4
 * preferred, as Go does. port 0: any. Accepted sockets have TCP keep-alive on. */
int net_listen(const char *address, uint16_t port, struct err *e);
uint16_t net_port(int fd); /* the local port of a bound socket */
/* "127.0.0.1:80", "[::1]:80"; an IPv4 address mapped into IPv6 prints as IPv4; other families as "". */
void net_print(const struct sockaddr *a, char out[NET_TEXT]);

#endif
