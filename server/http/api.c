/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/http/api.h"

#include "common/log.h"
#include "common/units.h"
#include "server/http/queries.h"
#include "server/http/shares.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#define TENANT_MAX 150
#define STEPS_MAX  11000

/* ---- tenants ---- */

static bool tenant_char(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c && strchr("!-_.*'()", c));
}

static bool tenant_check(struct str t, struct err *e)
{
	for (size_t i = 0; i < t.n; i++) {
		if (tenant_char((unsigned char)t.p[i])) continue;
		char rune[5] = {0};
		str_rune_put((unsigned char)t.p[i], rune); /* bytes count as Latin-1 characters, as in Loki */
		return err_set(e, ERR_INVALID, "tenant ID '%.*s' contains unsupported character '%s'\n", STR_ARG(t),
			       rune);
	}
	if (t.n > TENANT_MAX) return err_set(e, ERR_INVALID, "tenant ID is too long: max %d characters\n", TENANT_MAX);
	if (str_eqc(t, ".") || str_eqc(t, "..")) return err_set(e, ERR_INVALID, "tenant ID is '.' or '..'\n");
	return true;
}

static int by_text(const void *a, const void *b) { return str_cmp(*(const struct str *)a, *(const struct str *)b); }

/* The tenants that a request is for, as it names them or its user implies them. */
static struct str org_of(const struct api *a, const struct httpd_req *r)
{
	if (!a->auth_enabled) return STR("fake");
	return a->auth ? httpd_noted(r) : httpd_header(r, "X-Scope-OrgID");
}

bool api_guard(void *ctx, struct httpd_req *r, struct err *e)
{
	const struct api *a = ctx;
	struct buf tenants = {0};
	if (!a->auth) return true;
	enum auth_need need = (enum auth_need)httpd_access(r);
	if (need == AUTH_SERVER && !a->auth_enabled) need = AUTH_ADMIN; /* one tenant is all of them */
	struct str org = a->auth_enabled ? httpd_header(r, "X-Scope-OrgID") : STR("fake");
	bool ok = auth_check(a->auth, need, httpd_header(r, "Authorization"), org, &tenants, e);
	if (ok)
		httpd_note(r, buf_view(&tenants));
	else
		log_warn("request refused", kv_str("peer", httpd_peer(r)), kv_c("route", httpd_route_name(r)), kv_err(e));
	buf_free(&tenants);
	return ok;
}

bool api_tenants_parse(const struct api *a, struct str header, struct arena *ar, struct str **tenants, size_t *n,
		       struct err *e)
{
	struct str *v = NULL, rest = header;
	size_t cap = 0;
	*n = 0;
	if (!a->auth_enabled) {
		*ARENA_PUSH(ar, v, *n, cap) = STR("fake");
		*tenants = v;
		return true;
	}
	if (header.n == 0) return err_set(e, ERR_UNAUTH, "no org id\n");
	for (bool more = true; more;) {
		struct str t;
		more = str_cut(&rest, '|', &t);
		struct str meta = t;
		str_cut(&meta, ':', &t); /* what follows is no part of the name */
		if (t.n == 0) return err_set(e, ERR_UNAUTH, "no org id\n");
		if (!tenant_check(t, e)) return false;
		*ARENA_PUSH(ar, v, *n, cap) = t;
	}
	qsort(v, *n, sizeof *v, by_text);
	size_t kept = 1;
	for (size_t i = 1; i < *n; i++)
		if (!str_eq(v[i], v[kept - 1])) v[kept++] = v[i];
	*n = kept;
	*tenants = v;
	if (kept > 1 && !a->multi_tenant) return err_set(e, ERR_INVALID, "multiple org IDs present\n");
	return true;
}

bool api_tenants(const struct api *a, struct httpd_req *r, struct arena *ar, struct str **tenants, size_t *n)
{
	struct err e = ERR_INIT;
	if (api_tenants_parse(a, org_of(a, r), ar, tenants, n, &e)) return true;
	api_fail(r, &e);
	return false;
}

bool api_tenant(const struct api *a, struct httpd_req *r, struct str *tenant)
{
	struct arena ar;
	struct err e = ERR_INIT;
	struct str *v;
	size_t n;
	arena_init(&ar, 0);
	bool ok = api_tenants_parse(a, org_of(a, r), &ar, &v, &n, &e);
	if (ok && n > 1) ok = err_set(&e, ERR_INVALID, "multiple org IDs present\n");
	if (ok) *tenant = v[0];
	arena_free(&ar);
	if (!ok) api_fail(r, &e);
	return ok;
}

/* The tenants of a request by which it is counted, in one form; "": the handler will refuse it. */
static void put_tenants(const struct api *a, const struct httpd_req *r, struct buf *name)
{
	struct arena ar;
	struct err refused = ERR_INIT;
	struct str *v;
	size_t n;
	arena_init(&ar, 0);
	if (api_tenants_parse(a, org_of(a, r), &ar, &v, &n, &refused))
		for (size_t i = 0; i < n; i++) buf_printf(name, "%s%.*s", i ? "|" : "", STR_ARG(v[i]));
	arena_free(&ar);
}

struct budget_share *api_share(void *ctx, struct httpd_req *r)
{
	const struct api *a = ctx;
	struct buf name = {0};
	put_tenants(a, r, &name);
	struct budget_share *s = shares_get(a->shares, buf_view(&name));
	buf_free(&name);
	return s;
}

void api_unshare(void *ctx, struct budget_share *s) { shares_put(((const struct api *)ctx)->shares, s); }

void api_admit(struct httpd_req *r, void *ctx)
{
	const struct api *a = ctx;
	struct buf name = {0};
	put_tenants(a, r, &name);
	queries_add(a->queries, r, buf_view(&name));
	buf_free(&name);
}

/* ---- parameters ---- */

static bool bad_int(const char *fn, struct str s, struct err *e)
{
	struct buf b = {0};
	bool digits = s.n > 0;
	for (size_t i = s.n && (s.p[0] == '-' || s.p[0] == '+'); i < s.n; i++) digits &= s.p[i] >= '0' && s.p[i] <= '9';
	digits = digits && s.n > 18;
	buf_quote(&b, s);
	err_set(e, ERR_INVALID, "strconv.%s: parsing %s: %s", fn, buf_cstr(&b),
		digits ? "value out of range" : "invalid syntax");
	buf_free(&b);
	return false;
}

static bool to_int(const char *fn, struct str s, int64_t *out, struct err *e)
{
	struct str digits = s.n > 1 && s.p[0] == '+' && s.p[1] != '-' ? str_from(s, 1) : s;
	return str_to_i64(digits, out) || bad_int(fn, s, e);
}

bool api_int(struct str text, int64_t *out, struct err *e) { return to_int("Atoi", text, out, e); }

static bool float_seconds(double s, double grain, int64_t *ns)
{
	double whole, frac = modf(s, &whole);
	if (!(fabs(whole) < 9.2e9)) return false;
	*ns = (int64_t)whole * UNITS_SEC + (int64_t)(grain > 0 ? round(frac * grain) / grain * 1e9 : frac * 1e9);
	return true;
}

bool api_time(struct str text, int64_t def, int64_t *out, struct err *e)
{
	double f;
	struct err no_number = ERR_INIT, ignored = ERR_INIT;
	*out = def;
	if (text.n == 0) return true;
	if (str_chr(text, '.') >= 0 && str_to_f64(text, &f) && float_seconds(f, 1000, out)) return true;
	if (!to_int("ParseInt", text, out, &no_number)) {
		if (units_rfc3339(text, out, &ignored)) return true;
		*e = no_number;
		return false;
	}
	if (text.n <= 10 && __builtin_mul_overflow(*out, UNITS_SEC, out)) *out = INT64_MAX; /* after 2262 */
	return true;
}

bool api_duration(struct str text, int64_t *out, struct err *e)
{
	double f;
	struct buf b = {0};
	struct err ignored = ERR_INIT;
	bool number = str_to_f64(text, &f);
	if (number && fabs(f) < 9.2e9) {
		*out = (int64_t)(f * 1e9);
		return true;
	}
	if (!number && units_dur_prom(text, out, &ignored)) return true;
	buf_quote(&b, text);
	err_set(e, ERR_INVALID, "cannot parse %s to a valid duration%s", buf_cstr(&b),
		number ? ". It overflows int64" : "");
	buf_free(&b);
	return false;
}

bool api_limit(struct httpd_req *r, const char *name, uint32_t def, uint32_t *out, struct err *e)
{
	struct str s = api_arg(r, name);
	int64_t v = def;
	if (s.n && !to_int("Atoi", s, &v, e)) return false;
	if (v <= 0) return err_set(e, ERR_INVALID, "limit must be a positive value");
	*out = v > UINT32_MAX ? UINT32_MAX : (uint32_t)v;
	return true;
}

bool api_direction(struct httpd_req *r, bool *forward, struct err *e)
{
	struct str s = api_arg(r, "direction");
	*forward = str_ieq(s, STR("forward"));
	if (*forward || s.n == 0 || str_ieq(s, STR("backward"))) return true;
	return err_set(e, ERR_INVALID, "invalid direction '%.*s'", STR_ARG(s));
}

bool api_bounds(struct httpd_req *r, int64_t now, int64_t *start, int64_t *end, struct err *e)
{
	int64_t since = UNITS_HOUR;
	struct str s = api_arg(r, "since");
	if (s.n && !units_dur_prom(s, &since, e)) return err_wrap(e, "could not parse 'since' parameter");
	if (!api_time(api_arg(r, "end"), now, end, e)) return err_wrap(e, "could not parse 'end' parameter");
	int64_t from = *end < now ? *end : now;
	if (__builtin_sub_overflow(from, since, &from)) from = INT64_MIN;
	if (!api_time(api_arg(r, "start"), from, start, e)) return err_wrap(e, "could not parse 'start' parameter");
	return true;
}

bool api_step(struct httpd_req *r, int64_t start, int64_t end, int64_t *step, struct err *e)
{
	struct str s = api_arg(r, "step");
	int64_t range;
	if (__builtin_sub_overflow(end, start, &range)) range = INT64_MAX;
	int64_t seconds = range / UNITS_SEC / 250;
	*step = (seconds < 1 ? 1 : seconds) * UNITS_SEC;
	if (s.n && !api_duration(s, step, e)) return false;
	if (*step <= 0)
		return err_set(
			e, ERR_INVALID,
			"zero or negative query resolution step widths are not accepted. Try a positive integer");
	if (range / *step > STEPS_MAX)
		return err_set(
			e, ERR_INVALID,
			"exceeded maximum resolution of 11,000 points per time series. Try increasing the value of the "
			"step parameter");
	return true;
}

/* ---- answers ---- */

bool api_extensions(const struct api *a, const struct httpd_req *r)
{
	struct str asked = httpd_header(r, "X-Larch-Extensions");
	return a->logql_extensions || (asked.p && str_ieq(str_trim(asked), STR("on")));
}

void api_fail(struct httpd_req *r, const struct err *e)
{
	httpd_reply_text(r, err_info(e->code)->http_status, str_c(e->msg));
}

void api_json(struct httpd_req *r, struct buf *body) { httpd_reply(r, 200, "application/json; charset=UTF-8", body); }
