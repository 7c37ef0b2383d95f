/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fake_httpd: common/httpd.h's requests without sockets, for tests of handlers. Included by one file of a
 * program. A request is what the test fills in; the answer is kept in it. */
#ifndef LARCH_TESTS_FAKE_HTTPD_H
#define LARCH_TESTS_FAKE_HTTPD_H

#include "common/httpd.h"

#include <stdio.h>
#include <stdlib.h>

struct httpd_req {
	const char *args;     /* "a=1&b=2": split at & and =, not decoded */
	const char *org;      /* X-Scope-OrgID; NULL: none */
	const char *encoding; /* X-Loki-Response-Encoding-Flags */
	const char *name;     /* {name} of the path */
	uint64_t id;
	void (*run)(struct httpd_req *r);
	_Atomic bool cancelled;
	int status;
	char ctype[64];
	struct buf body;
	unsigned replies;
};

size_t httpd_args(const struct httpd_req *r, const char *name, struct str *out, size_t max)
{
	struct str rest = str_c(r->args), part;
	size_t n = 0;
	for (bool more = r->args != NULL; more;) {
		more = str_cut(&rest, '&', &part);
		struct str key, value = part;
		if (!str_cut(&value, '=', &key) || !str_eqc(key, name)) continue;
		if (n < max) out[n] = value;
		n++;
	}
	return n;
}

struct str httpd_arg(const struct httpd_req *r, const char *name)
{
	struct str v = STR_NULL;
	httpd_args(r, name, &v, 1);
	return v;
}

struct str httpd_param(const struct httpd_req *r, const char *name)
{
	return strcmp(name, "name") == 0 ? str_c(r->name) : STR_NULL;
}

struct str httpd_header(const struct httpd_req *r, const char *name)
{
	if (strcmp(name, "X-Scope-OrgID") == 0) return str_c(r->org);
	return strcmp(name, "X-Loki-Response-Encoding-Flags") == 0 ? str_c(r->encoding) : STR_NULL;
}

const _Atomic bool *httpd_cancel_flag(const struct httpd_req *r) { return &r->cancelled; }

uint64_t httpd_id(const struct httpd_req *r) { return r->id; }
void httpd_run(struct httpd_req *r) { r->run(r); }
unsigned char httpd_access(const struct httpd_req *r) { return (unsigned char)r->id; }
void httpd_note(struct httpd_req *r, struct str text)
{
	(void)r;
	(void)text;
}
struct str httpd_noted(const struct httpd_req *r)
{
	(void)r;
	return STR_NULL;
}
const char *httpd_route_name(const struct httpd_req *r) { return r->name; }
struct str httpd_peer(const struct httpd_req *r) { return str_c(r->name); }

/* Whoever asks is the one that is cancelled. */
bool httpd_cancel(struct httpd_req *r, uint64_t id)
{
	return !atomic_exchange(&r->cancelled, true) && id;
}

void httpd_reply(struct httpd_req *r, int status, const char *ctype, struct buf *body)
{
	r->replies++;
	r->status = status;
	snprintf(r->ctype, sizeof r->ctype, "%s", ctype ? ctype : "");
	buf_free(&r->body);
	if (!body) return;
	r->body = *body;
	*body = (struct buf){0};
}

void httpd_reply_text(struct httpd_req *r, int status, struct str text)
{
	struct buf b = {0};
	buf_str(&b, text);
	httpd_reply(r, status, "text/plain; charset=utf-8", &b);
}

#endif
