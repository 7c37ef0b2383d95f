/* SPDX-License-Identifier: GPL-2.0-or-later */
/* client: larchctl's requests to the server named by its options. */
#ifndef LARCH_CLI_CLIENT_H
#define LARCH_CLI_CLIENT_H

#include "cli/cli.h"
#include "common/httpc.h"

/* Appends "&name=value", escaped. */
void client_arg(struct buf *query, const char *name, struct str value);
void client_arg_i64(struct buf *query, const char *name, int64_t value);

/* GET path with the arguments gathered in query. Fails with the server's own text and the URL when the answer
 * is not 2xx (ERR_UNPROCESSABLE), with ERR_TOO_LARGE when it is over CLIENT_ANSWER_MAX. */
#define CLIENT_ANSWER_MAX ((size_t)128 << 20)
bool client_get(struct cli *c, const char *path, struct str query, struct buf *answer, struct err *e);

/* GET whose answer, of any size, goes to take() as it comes; false stops (ERR_CANCELLED). */
bool client_stream(struct cli *c, const char *path, struct str query, bool (*take)(void *ud, struct str bytes), void *ud,
		   struct err *e);

/* The same with another method; what the answer says in the header `want` goes to *value, "" without one. */
bool client_send(struct cli *c, const char *method, const char *path, struct str query, const char *want,
		 struct buf *value, struct err *e);

/* GET path as a WebSocket, its handshake done; the same of answers. Closed by the caller. */
struct httpc_conn *client_websocket(struct cli *c, const char *path, struct str query, struct err *e);

/* POST without a body; the same of answers. */
bool client_post(struct cli *c, const char *path, struct buf *answer, struct err *e);

/* POST to /loki/api/v1/push. When the server cannot be reached, is busy or fails (429, 5xx), tries again
 * five times, over some 15 seconds. */
bool client_push(struct cli *c, const char *content_type, struct str body, struct err *e);

#endif
