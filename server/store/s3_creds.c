/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/store/s3_creds.h"

#include "common/fs.h"
#include "common/json.h"
#include "common/log.h"
#include "common/units.h"
#include "common/url.h"
#include "server/store/s3_xml.h"

#include <pthread.h>
#include <stdlib.h>

#define FILE_MAX       (1u << 20)
#define ANSWER_MAX     (256u << 10)
#define CALL_TIMEOUT   (5 * UNITS_SEC)
#define EARLY          (5 * UNITS_MIN)  /* before it expires, a key is replaced */
#define FILE_AGE       UNITS_MIN        /* after which a credentials file is read again */
#define RETRY_AFTER    (10 * UNITS_SEC) /* between attempts to replace a key that is still valid */
#define CONTAINER_HOST "http://169.254.170.2"
#define METADATA_HOST  "http://169.254.169.254"

/* What a source found, borrowed from the arena. */
struct found {
	struct str id, secret, token;
	int64_t expires; /* 0: never */
	int64_t again;   /* when to look again; 0: as expires says */
};

enum outcome { ABSENT, FOUND, FAILED };

struct s3_creds {
	struct s3_creds_config c;
	char *id, *secret, *token;
	struct httpc_pool *http;

	pthread_mutex_t mu; /* guards what follows */
	pthread_cond_t fetched;
	bool fetching;
	struct s3_key *key;
	int64_t again; /* when the key is to be replaced */
	int source;    /* that gave the key, -1: none yet */
};

static const char *env(const struct s3_creds *c, const char *name)
{
	const char *v = c->c.env ? c->c.env(name) : getenv(name);
	return v && *v ? v : NULL;
}

/* ---- HTTP and JSON ---- */

static bool call(struct s3_creds *c, const struct httpc_opts *o, struct arena *a, struct str *body, struct err *e)
{
	struct httpc_opts opts = *o;
	struct httpc_result res;
	opts.timeout_ns = CALL_TIMEOUT;
	opts.max_body = ANSWER_MAX;
	opts.no_follow_redirects = true;
	bool ok = httpc_pool_do(c->http, &opts, &res, e);
	if (ok && res.status != 200) {
		struct str said = str_trim(buf_view(&res.body));
		ok = err_set(e, ERR_IO, "%s: HTTP %d %.*s", o->url, res.status, said.n < 500 ? (int)said.n : 500,
			     said.p);
	}
	if (ok) *body = arena_str(a, buf_view(&res.body));
	buf_free(&res.body);
	return ok;
}

/* A flat object, as the container's and the instance's endpoints answer. */
static bool read_json(struct str body, struct arena *a, struct found *f, struct err *e)
{
	struct str expires = STR_NULL;
	const struct {
		const char *name;
		struct str *to;
	} rows[] = {{"AccessKeyId", &f->id},
		    {"SecretAccessKey", &f->secret},
		    {"Token", &f->token},
		    {"Expiration", &expires}};
	struct json j;
	json_init(&j, body, e);
	if (json_next(&j) != JSON_OBJ_OPEN) return err_set(e, ERR_INVALID, "the answer is no JSON object");
	for (enum json_tok t; (t = json_next(&j)) == JSON_KEY;) {
		struct str name = j.text;
		enum json_tok v = json_next(&j);
		for (size_t i = 0; v == JSON_STRING && i < sizeof rows / sizeof *rows; i++) {
			struct buf scratch = {0};
			if (str_eqc(name, rows[i].name)) *rows[i].to = arena_str(a, json_text(&j, &scratch));
			buf_free(&scratch);
		}
		if (!json_skip_rest(&j, v)) return false;
	}
	if (e->code) return false;
	if (!f->id.n || !f->secret.n)
		return err_set(e, ERR_INVALID, "the answer has no AccessKeyId and SecretAccessKey");
	return !expires.n || units_rfc3339(expires, &f->expires, e);
}

/* ---- the sources ---- */

static enum outcome from_config(struct s3_creds *c, struct arena *a, struct found *f, struct err *e)
{
	(void)a, (void)e;
	if (!c->id) return ABSENT;
	*f = (struct found){str_c(c->id), str_c(c->secret), c->token ? str_c(c->token) : STR_NULL, 0, 0};
	return FOUND;
}

static enum outcome from_env(struct s3_creds *c, struct arena *a, struct found *f, struct err *e)
{
	const char *id = env(c, "AWS_ACCESS_KEY_ID"), *secret = env(c, "AWS_SECRET_ACCESS_KEY");
	const char *token = env(c, "AWS_SESSION_TOKEN");
	(void)a;
	if (!id && !secret) return ABSENT;
	if (!id || !secret) {
		err_set(e, ERR_INVALID, "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY go together; one is not set");
		return FAILED;
	}
	*f = (struct found){str_c(id), str_c(secret), token ? str_c(token) : STR_NULL, 0, 0};
	return FOUND;
}

static bool read_file(const char *path, struct arena *a, struct str *out, struct err *e)
{
	struct buf b = {0};
	bool ok = fs_read_file(&fs_real, path, FILE_MAX, &b, e);
	if (ok) *out = arena_str(a, buf_view(&b));
	buf_free(&b);
	return ok;
}

static void arg(struct buf *b, const char *name, const char *value)
{
	buf_printf(b, "%c%s=", str_find(buf_view(b), STR("?")) < 0 ? '?' : '&', name);
	url_encode(b, str_c(value), false);
}

static bool ask_sts(struct s3_creds *c, struct str token, struct arena *a, struct found *f, struct err *e)
{
	const char *base = env(c, "AWS_ENDPOINT_URL_STS"), *session = env(c, "AWS_ROLE_SESSION_NAME");
	struct buf url = {0};
	struct str body = STR_NULL, expires, root;
#define AT "AssumeRoleWithWebIdentityResult/Credentials/"
	const struct s3_xml_field fields[] = {{AT "AccessKeyId", &f->id},
					      {AT "SecretAccessKey", &f->secret},
					      {AT "SessionToken", &f->token},
					      {AT "Expiration", &expires}};
#undef AT
	if (base)
		buf_printf(&url, "%s/", base);
	else
		buf_printf(&url, "https://sts.%s.amazonaws.com/", c->c.region);
	arg(&url, "Action", "AssumeRoleWithWebIdentity");
	arg(&url, "RoleArn", env(c, "AWS_ROLE_ARN"));
	arg(&url, "RoleSessionName", session ? session : "larch");
	arg(&url, "Version", "2011-06-15");
	arg(&url, "WebIdentityToken", arena_cstr(a, str_trim(token)));
	/* The token must not get into an error's text. */
	const char *query = strchr(buf_cstr(&url), '?');
	char *where = mem_strndup(url.p, (size_t)(query - url.p));
	bool ok = call(c, &(struct httpc_opts){.url = where, .body = str_c(query + 1)}, a, &body, e) &&
		  s3_xml_read(body, &(struct s3_xml){fields, 4, NULL, NULL, NULL}, a, &root, e);
	if (ok && (!f->id.n || !f->secret.n)) ok = err_set(e, ERR_INVALID, "%s: the answer has no credentials", where);
	ok = ok && (!expires.n || units_rfc3339(expires, &f->expires, e));
	free(where);
	buf_free(&url);
	return ok;
}

static enum outcome from_web_identity(struct s3_creds *c, struct arena *a, struct found *f, struct err *e)
{
	const char *file = env(c, "AWS_WEB_IDENTITY_TOKEN_FILE");
	struct str token;
	if (!file || !env(c, "AWS_ROLE_ARN")) return ABSENT;
	return read_file(file, a, &token, e) && ask_sts(c, token, a, f, e) ? FOUND : FAILED;
}

/* One section of an INI file. */
static void read_ini(struct str text, struct str section, struct found *f)
{
	const struct {
		const char *name;
		struct str *to;
	} rows[] = {
		{"aws_access_key_id", &f->id}, {"aws_secret_access_key", &f->secret}, {"aws_session_token", &f->token}};
	struct str line, key;
	bool inside = false;
	for (bool more = true; more;) {
		more = str_cut(&text, '\n', &line);
		line = str_trim(line);
		if (!line.n || line.p[0] == '#' || line.p[0] == ';') continue;
		if (line.p[0] == '[') {
			inside = line.p[line.n - 1] == ']' && str_eq(str_trim(str_sub(line, 1, line.n - 1)), section);
			continue;
		}
		if (!inside || !str_cut(&line, '=', &key)) continue;
		for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
			if (str_eqc(str_trim(key), rows[i].name)) *rows[i].to = str_trim(line);
		}
	}
}

static enum outcome from_file(struct s3_creds *c, struct arena *a, struct found *f, struct err *e)
{
	const char *path = env(c, "AWS_SHARED_CREDENTIALS_FILE"), *home = env(c, "HOME"),
		   *profile = env(c, "AWS_PROFILE");
	bool named = path != NULL || profile != NULL;
	struct str text;
	if (!path && !home) return ABSENT;
	if (!path) path = arena_printf(a, "%s/.aws/credentials", home).p;
	if (!read_file(path, a, &text, e)) return e->code == ERR_NOT_FOUND && !named ? ABSENT : FAILED;
	read_ini(text, str_c(profile ? profile : "default"), f);
	f->again = clock_wall(c->c.clock) + FILE_AGE;
	if (f->id.n && f->secret.n) return FOUND;
	if (!named) return ABSENT;
	err_set(e, ERR_INVALID, "%s: profile \"%s\" has no aws_access_key_id and aws_secret_access_key", path,
		profile ? profile : "default");
	return FAILED;
}

/* The token that a container's endpoint asks for, as a header, or NULL. */
static bool container_token(struct s3_creds *c, struct arena *a, const char **header, struct err *e)
{
	const char *file = env(c, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"),
		   *token = env(c, "AWS_CONTAINER_AUTHORIZATION_TOKEN");
	struct str text = token ? str_c(token) : STR_NULL;
	*header = NULL;
	if (file && !read_file(file, a, &text, e)) return false;
	text = str_trim(text);
	if (text.n) *header = arena_printf(a, "Authorization: %.*s", STR_ARG(text)).p;
	return true;
}

static enum outcome from_container(struct s3_creds *c, struct arena *a, struct found *f, struct err *e)
{
	const char *path = env(c, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"),
		   *url = env(c, "AWS_CONTAINER_CREDENTIALS_FULL_URI"), *headers[2] = {NULL};
	struct str body;
	if (!path && !url) return ABSENT;
	if (path) url = arena_printf(a, CONTAINER_HOST "%s", path).p;
	if (!container_token(c, a, &headers[0], e)) return FAILED;
	struct httpc_opts o = {.url = url, .headers = headers, .proxy = ""};
	return call(c, &o, a, &body, e) && read_json(body, a, f, e) ? FOUND : FAILED;
}

/* Where there is no such service the connection fails, which means that there is no key here. */
static enum outcome from_instance(struct s3_creds *c, struct arena *a, struct found *f, struct err *e)
{
	static const char *const ttl[] = {"X-aws-ec2-metadata-token-ttl-seconds: 21600", NULL};
	const char *host = env(c, "AWS_EC2_METADATA_SERVICE_ENDPOINT"), *off = env(c, "AWS_EC2_METADATA_DISABLED");
	struct str token, roles, role, body;
	if (off && strcmp(off, "true") == 0) return ABSENT;
	if (!host) host = METADATA_HOST;
	const char *url = arena_printf(a, "%s/latest/api/token", host).p;
	struct httpc_opts ask = {.method = "PUT",
				 .url = url,
				 .body = STR(""),
				 .headers = ttl,
				 .proxy = "",
				 .connect_timeout_ns = UNITS_SEC};
	if (!call(c, &ask, a, &token, e)) return ABSENT;
	const char *headers[] = {arena_printf(a, "X-aws-ec2-metadata-token: %.*s", STR_ARG(str_trim(token))).p, NULL};
	url = arena_printf(a, "%s/latest/meta-data/iam/security-credentials/", host).p;
	struct httpc_opts o = {.url = url, .headers = headers, .proxy = ""};
	if (!call(c, &o, a, &roles, e)) return FAILED;
	str_cut(&roles, '\n', &role);
	o.url = arena_printf(a, "%s%.*s", url, STR_ARG(str_trim(role))).p;
	return call(c, &o, a, &body, e) && read_json(body, a, f, e) ? FOUND : FAILED;
}

static const struct {
	const char *name;
	enum outcome (*find)(struct s3_creds *, struct arena *, struct found *, struct err *);
} sources[] = {
	{"configuration", from_config},      {"environment", from_env},
	{"web identity", from_web_identity}, {"file", from_file},
	{"container", from_container},       {"instance metadata", from_instance},
};
#define SOURCES ((int)(sizeof sources / sizeof *sources))

/* ---- keys ---- */

static struct s3_key *key_new(const struct found *f)
{
	struct s3_key *k = mem_zalloc(sizeof *k);
	k->id = mem_strndup(f->id.p, f->id.n);
	k->secret = mem_strndup(f->secret.p, f->secret.n);
	k->token = f->token.n ? mem_strndup(f->token.p, f->token.n) : NULL;
	k->expires = f->expires ? f->expires : INT64_MAX;
	k->refs = 1;
	return k;
}

void s3_key_unref(struct s3_key *k)
{
	if (!k || atomic_fetch_sub(&k->refs, 1) != 1) return;
	free((char *)k->id);
	free((char *)k->secret);
	free((char *)k->token);
	free(k);
}

/* Half of a short life, minutes before the end of a long one. */
static int64_t replace_at(const struct found *f, int64_t now)
{
	if (f->again) return f->again;
	if (!f->expires) return INT64_MAX;
	return f->expires - now > 2 * EARLY ? f->expires - EARLY : now + (f->expires - now) / 2;
}

/* Without the lock. *source: where to look, -1: everywhere; becomes where it was found. */
static struct s3_key *fetch(struct s3_creds *c, int *source, int64_t *again, struct err *e)
{
	struct s3_key *k = NULL;
	struct arena a;
	arena_init(&a, 0);
	int first = *source < 0 ? 0 : *source, end = *source < 0 ? SOURCES : *source + 1;
	for (int i = first; i < end && !k; i++) {
		struct found f = {0};
		*e = ERR_INIT;
		enum outcome got = sources[i].find(c, &a, &f, e);
		if (got == FAILED || (got == ABSENT && e->code && *source >= 0)) {
			err_wrap(e, "S3 credentials from %s", sources[i].name);
			e->code = ERR_IO; /* a missing file is no missing object */
			break;
		}
		if (got == ABSENT) {
			*e = ERR_INIT;
			continue;
		}
		k = key_new(&f);
		*again = replace_at(&f, clock_wall(c->c.clock));
		if (*source < 0) log_info("S3 credentials found", kv_c("source", sources[i].name));
		*source = i;
	}
	arena_free(&a);
	return k;
}

static const char no_key[] =
	"no S3 credentials: set access_key_id and secret_access_key beside the bucket's name, or AWS_ACCESS_KEY_ID and "
	"AWS_SECRET_ACCESS_KEY, or provide a credentials file, a web identity or an instance role";

/* With the lock, which is dropped meanwhile. */
static void refresh(struct s3_creds *c, struct err *e)
{
	int source = c->source;
	int64_t again = 0;
	c->fetching = true;
	pthread_mutex_unlock(&c->mu);
	struct s3_key *k = fetch(c, &source, &again, e);
	pthread_mutex_lock(&c->mu);
	c->fetching = false;
	if (k) {
		s3_key_unref(c->key);
		c->key = k;
		c->source = source;
		c->again = again;
	} else {
		c->again = clock_wall(c->c.clock) + RETRY_AFTER;
	}
	pthread_cond_broadcast(&c->fetched);
}

struct s3_key *s3_creds_get(struct s3_creds *c, struct err *e)
{
	struct err failed = ERR_INIT;
	struct s3_key *k = NULL;
	pthread_mutex_lock(&c->mu);
	for (bool asked = false;;) {
		int64_t now = clock_wall(c->c.clock);
		bool valid = c->key && now < c->key->expires;
		if (valid && (now < c->again || c->fetching || asked)) {
			k = c->key;
			atomic_fetch_add(&k->refs, 1);
			break;
		}
		if (c->fetching) {
			pthread_cond_wait(&c->fetched, &c->mu);
			continue;
		}
		if (asked) break;
		refresh(c, &failed);
		asked = true;
	}
	pthread_mutex_unlock(&c->mu);
	if (k && failed.code)
		log_warn("S3 credentials could not be renewed; the old ones serve until they expire", kv_err(&failed));
	if (k) return k;
	*e = failed;
	if (e->code == ERR_NONE) err_set(e, ERR_IO, "%s", no_key);
	return NULL;
}

void s3_creds_reject(struct s3_creds *c, const struct s3_key *k)
{
	pthread_mutex_lock(&c->mu);
	if (c->key == k) c->again = 0;
	pthread_mutex_unlock(&c->mu);
}

struct s3_creds *s3_creds_new(const struct s3_creds_config *config)
{
	struct s3_creds *c = mem_zalloc(sizeof *c);
	c->c = *config;
	c->source = -1;
	c->http = httpc_pool_new(1);
	if (config->id) c->id = mem_strdup(config->id);
	if (config->id) c->secret = mem_strdup(config->secret);
	if (config->token) c->token = mem_strdup(config->token);
	pthread_mutex_init(&c->mu, NULL);
	pthread_cond_init(&c->fetched, NULL);
	return c;
}

void s3_creds_free(struct s3_creds *c)
{
	if (!c) return;
	s3_key_unref(c->key);
	httpc_pool_free(c->http);
	pthread_mutex_destroy(&c->mu);
	pthread_cond_destroy(&c->fetched);
	free(c->id);
	free(c->secret);
	free(c->token);
	free(c);
}
