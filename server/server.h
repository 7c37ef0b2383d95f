/* SPDX-License-Identifier: GPL-2.0-or-later */
/* server: wires every room of larch-server. The only place, with main.c, that sees them all.
 *
 * Owns store, ingest, engine, distributor, HTTP server and metrics; they know nothing of each other but
 * what they are handed. server_start() returns when the port is open; the log may still be replaying. */
#ifndef LARCH_SERVER_SERVER_H
#define LARCH_SERVER_SERVER_H

#include "server/config.h"

struct server;

struct server *server_start(const struct config *c, struct err *e); /* c must outlive it */
void server_reload(struct server *s); /* reads the files of runtime_config and larch.auth_file again */
uint16_t server_port(const struct server *s);
/* Answers what runs, stops taking more, makes everything durable. Frees. */
void server_stop(struct server *s);

#endif
