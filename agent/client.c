/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/client.h"

#include "agent/acks.h"
#include "agent/request.h"
#include "agent/stats.h"
#include "common/codec.h"
#include "common/fs.h"
#include "common/log.h"
#include "common/version.h"

#include <stdlib.h>
#include <strings.h>

#define SECRET_MAX     65536
#define TENANTS_MAX    1000 /* being filled at once */
#define TENANTS_KEPT   64   /* remembered between batches */
#define BATCHES_FILLED 4    /* batch sizes that all tenants' batches may have together before they are sealed */
#define TENANT_LEN_MAX 150  /* as Loki has it */
#define MAX_HEADERS    64
#define STATUS_RATE    429

struct parcel {
	struct parcel *next;
	struct str body;   /* own; compressed */
	struct str tenant; /* own */
	struct runs runs;
	size_t entries, bytes, cost;
	int64_t attempts;
};

/* The batch of one tenant that is being filled. */
struct filling {
	struct str tenant; /* own */
	struct request *r;
	int64_t since; /* mono ns of its first entry */
};

struct client {
	const struct client_conf *conf;
	struct client_env env;
	size_t index;
	char *name, *host, *url;
	struct map by_tenant; /* struct filling */
	struct parcel *head, **tail;
	size_t queued; /* cost of the parcels */
	size_t filled; /* bytes of the batches being filled */
	bool was_full;
	struct httpc_call *call;
	struct loop_timer *wait_timer, *retry_timer;
	int64_t next_seal; /* mono ns the timer is set for; INT64_MAX: unset */
	bool backing_off;
	struct buf body, packed; /* scratch of sealing */
	const char *headers[MAX_HEADERS];
	size_t nheaders;
	struct metrics_series *encoded, *sent_bytes, *sent_entries, *queue_bytes;
};

static void kick(struct client *c);
static void on_wait(void *ud);
static void on_retry(void *ud);

/* ---- start ---- */

static char *host_of(struct str url)
{
	ssize_t at = str_find(url, STR("://"));
	struct str rest = str_from(url, (size_t)at + 3);
	ssize_t end = str_chr(rest, '/'), user;

	if (end >= 0) rest.n = (size_t)end;
	user = str_rchr(rest, '@');
	if (user >= 0) rest = str_from(rest, (size_t)user + 1);
	return mem_strndup(rest.p, rest.n);
}

static bool reserved_header(struct str name)
{
	return str_ieq(name, STR("User-Agent")) || str_ieq(name, STR("Content-Type")) ||
	       str_ieq(name, STR("X-Scope-OrgID"));
}

/* Headers that every request has; the tenant's and the credentials come with each. */
static bool fixed_headers(struct client *c, struct err *e)
{
	const struct labels *h = &c->conf->headers;
	struct buf b = {0};

	c->headers[c->nheaders++] = mem_strdup("Content-Type: application/x-protobuf");
	for (size_t i = 0; i < h->n; i++) {
		if (reserved_header(h->v[i].name)) {
			log_warn("a client's header cannot be overridden", kv_c("client", c->name),
				 kv_str("header", h->v[i].name));
			continue;
		}
		if (c->nheaders + 3 >= MAX_HEADERS) {
			buf_free(&b);
			return err_set(e, ERR_INVALID, "client %s has more than %d headers", c->name, MAX_HEADERS - 4);
		}
		buf_clear(&b);
		buf_printf(&b, "%.*s: %.*s", STR_ARG(h->v[i].name), STR_ARG(h->v[i].value));
		c->headers[c->nheaders++] = mem_strdup(buf_cstr(&b));
	}
	buf_free(&b);
	return true;
}

struct client *client_new(const struct client_conf *conf, size_t index, const struct client_env *env, struct err *e)
{
	struct client *c = mem_zalloc(sizeof *c);

	*c = (struct client){.conf = conf, .env = *env, .index = index, .tail = &c->head, .next_seal = INT64_MAX};
	c->name = mem_strndup(conf->name.p, conf->name.n);
	c->url = mem_strndup(conf->url.p, conf->url.n);
	c->host = host_of(conf->url);
	c->wait_timer = loop_timer_add(env->loop, -1, on_wait, c);
	c->retry_timer = loop_timer_add(env->loop, -1, on_retry, c);
	struct str host = str_c(c->host);
	c->encoded = metrics_get(env->metrics, STAT_ENCODED_BYTES, &host);
	c->sent_bytes = metrics_get(env->metrics, STAT_SENT_BYTES, &host);
	c->sent_entries = metrics_get(env->metrics, STAT_SENT_ENTRIES, &host);
	c->queue_bytes = metrics_get(env->metrics, STAT_QUEUE_BYTES, &host);
	if (fixed_headers(c, e)) return c;
	client_free(c);
	return NULL;
}

static void parcel_free(struct parcel *p)
{
	free((char *)p->body.p);
	free((char *)p->tenant.p);
	free(p->runs.v);
	free(p);
}

void client_free(struct client *c)
{
	if (!c) return;
	if (c->call) httpc_cancel(c->call);
	loop_timer_del(c->wait_timer);
	loop_timer_del(c->retry_timer);
	for (struct parcel *p = c->head, *next; p; p = next) {
		next = p->next;
		parcel_free(p);
	}
	for (struct map_slot *s = NULL; (s = map_next(&c->by_tenant, s));) {
		struct filling *f = s->val;
		request_free(f->r);
		free((char *)f->tenant.p);
		free(f);
	}
	map_free(&c->by_tenant);
	buf_free(&c->body);
	buf_free(&c->packed);
	for (size_t i = 0; i < c->nheaders; i++) free((char *)c->headers[i]);
	free(c->name);
	free(c->host);
	free(c->url);
	free(c);
}

const char *client_name(const struct client *c) { return c->name; }
const char *client_host(const struct client *c) { return c->host; }
size_t client_queued(const struct client *c) { return c->queued + c->filled; }
bool client_full(const struct client *c) { return c->queued >= c->env.queue_bytes; }

/* ---- counting ---- */

static void count(struct client *c, size_t row, struct str tenant, const char *reason, double v)
{
	const struct str values[] = {str_c(c->host), tenant, reason ? str_c(reason) : STR("")};

	metrics_add(metrics_get(c->env.metrics, row, values), v);
}

static void count_dropped(struct client *c, struct str tenant, const char *reason, size_t entries, size_t bytes)
{
	count(c, STAT_DROPPED_ENTRIES, tenant, reason, (double)entries);
	count(c, STAT_DROPPED_BYTES, tenant, reason, (double)bytes);
}

/* ---- filling ---- */

static void seal(struct client *c, struct filling *f);

/* Forgets tenants that nothing is being filled for: their names may come out of log lines. */
static void sweep_tenants(struct client *c)
{
	struct filling **idle = mem_alloc((c->by_tenant.n + 1) * sizeof *idle);
	size_t n = 0;

	for (struct map_slot *s = NULL; (s = map_next(&c->by_tenant, s));)
		if (!request_entries(((struct filling *)s->val)->r)) idle[n++] = s->val;
	for (size_t i = 0; i < n; i++) {
		map_del(&c->by_tenant, idle[i]->tenant);
		request_free(idle[i]->r);
		free((char *)idle[i]->tenant.p);
		free(idle[i]);
	}
	free(idle);
}

static struct filling *filling_of(struct client *c, struct str tenant)
{
	struct filling *f = map_get(&c->by_tenant, tenant);

	if (f) return f;
	if (c->by_tenant.n >= TENANTS_MAX) {
		client_flush(c);
		sweep_tenants(c);
	}
	f = mem_zalloc(sizeof *f);
	f->tenant = mem_str(tenant);
	f->r = request_new(&c->conf->external_labels);
	map_put(&c->by_tenant, f->tenant, f);
	return f;
}

static void seal(struct client *c, struct filling *f)
{
	struct parcel *p = mem_zalloc(sizeof *p);
	struct err e = ERR_INIT;

	p->entries = request_entries(f->r);
	p->bytes = request_bytes(f->r);
	c->filled -= p->bytes;
	p->tenant = mem_str(f->tenant);
	buf_clear(&c->body);
	buf_clear(&c->packed);
	request_seal(f->r, &c->body, &p->runs);
	if (!codec_compress(CODEC_SNAPPY, 0, buf_view(&c->body), &c->packed, &e)) {
		/* Only out of reach of snappy's 32-bit lengths; a batch is far smaller. */
		log_error("a batch could not be compressed", kv_c("client", c->name), kv_err(&e));
		buf_clear(&c->packed);
	}
	p->body = mem_str(buf_view(&c->packed));
	p->cost = p->body.n + p->runs.n * sizeof *p->runs.v + sizeof *p;
	c->queued += p->cost;
	*c->tail = p;
	c->tail = &p->next;
	metrics_add(c->encoded, (double)p->body.n);
	metrics_set(c->queue_bytes, (double)client_queued(c));
	c->was_full |= client_full(c);
}

/* One timer serves every tenant: it is set for the oldest batch. */
static void arm(struct client *c, int64_t at)
{
	if (at >= c->next_seal) return;
	c->next_seal = at;
	int64_t wait = at - clock_mono(c->env.clock);
	loop_timer_set(c->wait_timer, wait > 0 ? wait : 0);
}

static void on_wait(void *ud)
{
	struct client *c = ud;
	int64_t now = clock_mono(c->env.clock);

	c->next_seal = INT64_MAX;
	for (struct map_slot *s = NULL; (s = map_next(&c->by_tenant, s));) {
		struct filling *f = s->val;
		if (!request_entries(f->r)) continue;
		if (now - f->since >= c->conf->batch_wait)
			seal(c, f);
		else
			arm(c, f->since + c->conf->batch_wait);
	}
	if (c->by_tenant.n > TENANTS_KEPT) sweep_tenants(c);
	kick(c);
}

void client_flush(struct client *c)
{
	for (struct map_slot *s = NULL; (s = map_next(&c->by_tenant, s));) {
		struct filling *f = s->val;
		if (request_entries(f->r)) seal(c, f);
	}
	kick(c);
}

/* Rows of an entry that goes no further here are dealt with. */
static void settle(struct client *c, const struct entry *e)
{
	for (uint32_t i = 0; i < e->norigins; i++)
		acks_done(e->origins[i].src, c->index, e->origins[i].seq, e->origins[i].seq + 1);
}

/* A line that is read again after a restart, and that this client has acknowledged before. */
static bool known(const struct client *c, const struct entry *e)
{
	const struct origin *o = e->norigins ? &e->origins[e->norigins - 1] : NULL;

	return o && o->seq < acks_prefix(o->src, c->index);
}

/* It goes into a header, and may come out of a log line. */
static bool tenant_ok(struct client *c, struct str tenant, struct str line)
{
	bool ok = tenant.n <= TENANT_LEN_MAX;

	for (size_t i = 0; ok && i < tenant.n; i++) ok = (unsigned char)tenant.p[i] >= ' ' && tenant.p[i] != 0x7f;
	if (!ok) count_dropped(c, STR(""), "invalid_tenant", 1, line.n);
	return ok;
}

static bool fit_line(struct client *c, struct str tenant, struct str *line)
{
	if (!c->env.max_line_size || line->n <= c->env.max_line_size) return true;
	if (!c->env.truncate) {
		count_dropped(c, tenant, "line_too_long", 1, line->n);
		return false;
	}
	count(c, STAT_MUTATED_ENTRIES, tenant, "line_too_long", 1);
	count(c, STAT_MUTATED_BYTES, tenant, "line_too_long", (double)(line->n - c->env.max_line_size));
	line->n = c->env.max_line_size;
	return true;
}

void client_begin(struct client *c)
{
	for (struct map_slot *s = NULL; (s = map_next(&c->by_tenant, s));)
		request_forget(((struct filling *)s->val)->r);
}

void client_add(struct client *c, const struct entry *e)
{
	struct str line = e->line, tenant = labels_get(&e->labels, STR("__tenant_id__"));
	size_t size;

	if (known(c, e)) {
		settle(c, e);
		return;
	}
	if (!tenant.n) tenant = labels_get(&c->conf->external_labels, STR("__tenant_id__"));
	if (!tenant.n) tenant = c->conf->tenant_id;
	if (!tenant_ok(c, tenant, line) || !fit_line(c, tenant, &line)) {
		settle(c, e);
		return;
	}
	struct filling *f = filling_of(c, tenant);
	size = line.n;
	for (size_t i = 0; i < e->meta.n; i++) size += e->meta.v[i].name.n + e->meta.v[i].value.n;
	if (request_entries(f->r) && request_bytes(f->r) + size > (size_t)c->conf->batch_size) {
		seal(c, f);
		kick(c);
	}
	if (!request_entries(f->r)) {
		f->since = clock_mono(c->env.clock);
		arm(c, f->since + c->conf->batch_wait);
	}
	if (!request_add(f->r, e, line, c->env.max_streams)) {
		count_dropped(c, tenant, "stream_limited", 1, line.n);
		settle(c, e);
		return;
	}
	c->filled += size;
	/* Many tenants with a little each must not hold more than one with much. */
	if (c->filled > BATCHES_FILLED * (size_t)c->conf->batch_size) client_flush(c);
}

/* ---- sending ---- */

static void pop(struct client *c)
{
	struct parcel *p = c->head;

	for (size_t i = 0; i < p->runs.n; i++)
		acks_done(p->runs.v[i].src, c->index, p->runs.v[i].from, p->runs.v[i].to);
	c->head = p->next;
	if (!c->head) c->tail = &c->head;
	c->queued -= p->cost;
	parcel_free(p);
	metrics_set(c->queue_bytes, (double)client_queued(c));
	if (c->was_full && !client_full(c)) {
		c->was_full = false;
		c->env.room(c->env.ud);
	}
}

/* The first line of a server's answer, which may be a whole page; else what went wrong on the way. */
static struct log_kv answer_kv(const struct httpc_result *res)
{
	struct str body = str_trim(buf_view(&res->body)), first;

	if (!res->ok) return kv_err(&res->err);
	str_cut(&body, '\n', &first);
	return kv_str("answer", first);
}

static void give_up(struct client *c, const char *reason, const struct httpc_result *res)
{
	struct parcel *p = c->head;

	log_error("a batch was given up", kv_c("client", c->name), kv_str("tenant", p->tenant),
		  kv_i("status", res->ok ? res->status : -1), kv_c("reason", reason),
		  kv_i("entries", (int64_t)p->entries), kv_i("attempts", p->attempts), answer_kv(res));
	count_dropped(c, p->tenant, reason, p->entries, p->bytes);
	pop(c);
}

/* Uniform in [d, 2d), where d doubles from min_period to max_period. */
static int64_t pause_ns(struct client *c, int64_t attempts)
{
	int64_t d = c->conf->backoff.min > 0 ? c->conf->backoff.min : 1, max = c->conf->backoff.max;

	for (int64_t i = 1; i < attempts && d < max; i++) d = d > max / 2 ? max : d * 2;
	return d + (int64_t)(clock_rnd(c->env.clock) % (uint64_t)d);
}

static void retry(struct client *c, const struct httpc_result *res)
{
	struct parcel *p = c->head;
	int64_t pause = pause_ns(c, p->attempts);

	log_warn("a push failed and is tried again", kv_c("client", c->name), kv_str("tenant", p->tenant),
		 kv_i("status", res->ok ? res->status : -1), kv_i("attempt", p->attempts), kv_dur("pause", pause),
		 answer_kv(res));
	count(c, STAT_BATCH_RETRIES, p->tenant, NULL, 1);
	c->backing_off = true;
	loop_timer_set(c->retry_timer, pause);
}

static void on_retry(void *ud)
{
	struct client *c = ud;

	c->backing_off = false;
	kick(c);
}

static void observe(struct client *c, const struct httpc_result *res)
{
	char status[16];
	struct buf b = {0};

	buf_i64(&b, res->ok ? res->status : -1);
	memcpy(status, b.p, b.n);
	const struct str values[] = {str_of(status, b.n), str_c(c->host)};
	metrics_observe(metrics_get(c->env.metrics, STAT_REQUEST_SECONDS, values), (double)res->elapsed_ns / 1e9);
	buf_free(&b);
}

static void on_answer(void *ud, struct httpc_result *res)
{
	struct client *c = ud;
	struct parcel *p = c->head;
	bool limited = res->ok && res->status == STATUS_RATE;

	c->call = NULL;
	if (!res->ok && res->err.code == ERR_CANCELLED) return;
	observe(c, res);
	if (res->ok && res->status / 100 == 2) {
		metrics_add(c->sent_bytes, (double)p->body.n);
		metrics_add(c->sent_entries, (double)p->entries);
		pop(c);
	} else if (res->ok && !limited && res->status / 100 != 5) {
		give_up(c, "ingester_error", res);
	} else if (limited && c->conf->drop_rate_limited) {
		give_up(c, "rate_limited", res);
	} else if (c->conf->backoff.max_retries && p->attempts >= c->conf->backoff.max_retries) {
		give_up(c, limited ? "rate_limited" : "ingester_error", res);
	} else {
		retry(c, res);
	}
	kick(c);
}

/* A secret from its file (read anew, blanks trimmed) or from the configuration. NULL: neither; *ok false: unreadable.
 */
static const char *secret(struct arena *a, struct str value, struct str file, bool *ok, struct err *e)
{
	struct buf b = {0};
	const char *out = NULL;

	if (!file.n) return value.n ? arena_cstr(a, value) : NULL;
	if (fs_read_file(&fs_real, arena_cstr(a, file), SECRET_MAX, &b, e))
		out = arena_cstr(a, str_trim(buf_view(&b)));
	else
		*ok = false;
	buf_free(&b);
	return out;
}

static const char *optional(struct arena *a, struct str s) { return s.n ? arena_cstr(a, s) : NULL; }

static bool fill_opts(struct client *c, struct arena *a, struct httpc_opts *o, struct err *e)
{
	const struct client_conf *f = c->conf;
	size_t n = c->nheaders;
	bool ok = true;

	*o = (struct httpc_opts){.method = "POST",
				 .url = c->url,
				 .body = c->head->body,
				 .headers = c->headers,
				 .timeout_ns = f->timeout,
				 .max_body = 1 << 20,
				 .user_agent = "larch-agent/" LARCH_VERSION,
				 .insecure_skip_verify = f->tls.insecure_skip_verify,
				 .no_follow_redirects = !f->follow_redirects};
	o->user = secret(a, f->basic.username, f->basic.username_file, &ok, e);
	o->password = secret(a, f->basic.password, f->basic.password_file, &ok, e);
	o->bearer = secret(a, f->bearer_token, f->bearer_token_file, &ok, e);
	if (f->has_authorization) {
		const char *cred = secret(a, f->authorization.credentials, f->authorization.credentials_file, &ok, e);
		c->headers[n++] =
			arena_printf(a, "Authorization: %.*s %s", STR_ARG(f->authorization.type), cred ? cred : "").p;
	}
	if (c->head->tenant.n) c->headers[n++] = arena_printf(a, "X-Scope-OrgID: %.*s", STR_ARG(c->head->tenant)).p;
	c->headers[n] = NULL;
	o->ca_file = optional(a, f->tls.ca_file);
	o->cert_file = optional(a, f->tls.cert_file);
	o->key_file = optional(a, f->tls.key_file);
	o->server_name = optional(a, f->tls.server_name);
	o->proxy = f->proxy_url.n ? arena_cstr(a, f->proxy_url) : ""; /* "": not the environment's either */
	return ok;
}

static void kick(struct client *c)
{
	struct httpc_opts o;
	struct arena a;

	if (c->call || c->backing_off || !c->head) return;
	struct httpc_result failed = {.err = ERR_INIT};
	if (c->head->attempts++ == 0) c->env.before_send(c->env.ud);
	arena_init(&a, 0);
	if (fill_opts(c, &a, &o, &failed.err)) c->call = httpc_send(c->env.http, &o, on_answer, c, &failed.err);
	arena_free(&a);
	if (!c->call) on_answer(c, &failed);
}

bool client_idle(const struct client *c)
{
	if (c->head) return false;
	for (struct map_slot *s = NULL; (s = map_next(&c->by_tenant, s));)
		if (request_entries(((struct filling *)s->val)->r)) return false;
	return true;
}
