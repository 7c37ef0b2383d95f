/* SPDX-License-Identifier: GPL-2.0-or-later */
/* httpc_impl: what httpc.c and httpc_conn.c share; nobody else includes it. */
#ifndef LARCH_COMMON_HTTPC_IMPL_H
#define LARCH_COMMON_HTTPC_IMPL_H

#include "common/httpc.h"

#include <curl/curl.h>

/* What one exchange needs, asynchronous or not. */
struct httpc_exchange {
	CURL *easy;
	struct curl_slist *headers, *connect_to;
	char *shown_url; /* for error texts: without the password */
	const char *method;
	struct buf body;
	size_t max_body;
	int64_t timeout_ns;
	bool too_large, stopped;
	bool (*take)(void *ud, struct str bytes);
	void *take_ud;
	ssize_t (*body_at)(void *ud, uint64_t off, char *p, size_t n);
	void *body_ud;
	uint64_t sent; /* of the body that body_at gives */
	const char *want[HTTPC_WANT];
	char errbuf[CURL_ERROR_SIZE];
};

/* easy: a kept handle, or NULL. On failure x holds nothing. */
bool httpc_exchange_init(struct httpc_exchange *x, CURL *easy, const struct httpc_opts *o, struct err *e);
void httpc_exchange_fini(struct httpc_exchange *x);
void httpc_describe_failure(const struct httpc_exchange *x, CURLcode rc, struct err *e);

#endif
