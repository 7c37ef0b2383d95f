/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a handler asks of its request. */
#include "common/httpd_impl.h"

const char *httpd_method(const struct httpd_req *r) { return r->method; }
struct str httpd_body(const struct httpd_req *r) { return buf_view(&r->body); }
struct str httpd_peer(const struct httpd_req *r) { return str_c(r->from); }
const _Atomic bool *httpd_cancel_flag(const struct httpd_req *r) { return &r->cancelled; }
uint64_t httpd_id(const struct httpd_req *r) { return r->id; }
const char *httpd_route_name(const struct httpd_req *r) { return r->route->name; }
unsigned char httpd_access(const struct httpd_req *r) { return r->route->access; }
void httpd_note(struct httpd_req *r, struct str text) { r->note = arena_str(&r->mem, text); }
struct str httpd_noted(const struct httpd_req *r) { return r->note; }

bool httpd_cancel(struct httpd_req *r, uint64_t id)
{
	struct httpd *h = r->h;
	bool found = false;

	pthread_mutex_lock(&h->lock);
	for (struct peer *p = h->peers; p && !found; p = p->next) {
		found = p->req && p->req->id == id && p->req->state == REQ_RUNNING;
		if (found) atomic_store(&p->req->cancelled, true);
	}
	pthread_mutex_unlock(&h->lock);
	return found;
}

struct str httpd_param(const struct httpd_req *r, const char *name)
{
	return route_param(r->route->path, &r->path, name);
}

struct str httpd_arg(const struct httpd_req *r, const char *name)
{
	size_t i = 0;

	return url_args_next(&r->args, str_c(name), &i);
}

size_t httpd_args(const struct httpd_req *r, const char *name, struct str *out, size_t max)
{
	struct str v;
	size_t i = 0, n = 0;

	while ((v = url_args_next(&r->args, str_c(name), &i)).p) {
		if (n < max) out[n] = v;
		n++;
	}
	return n;
}

struct str httpd_header(const struct httpd_req *r, const char *name)
{
	const char *v = NULL;
	size_t n = 0;

	if (!MHD_lookup_connection_value_n(r->conn, MHD_HEADER_KIND, name, strlen(name), &v, &n)) return STR_NULL;
	return v ? str_of(v, n) : STR("");
}
