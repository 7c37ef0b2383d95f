/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/auth.h"

#include "common/base64.h"
#include "common/conf.h"
#include "common/digest.h"

#include <pthread.h>
#include <stdlib.h>

#define FILE_MAX   (16u << 20) /* bytes */
#define SECRET_MAX 4096        /* bytes of an Authorization header */

enum { ROLE_PUSH = 1, ROLE_READ = 2, ROLE_ADMIN = 4 };

struct user {
	struct str name, secret_sha256;
	struct conf_strs tenants, roles;
	unsigned char digest[DIGEST_SHA256];
	unsigned can; /* ROLE_… */
};

struct users {
	struct arena arena;
	struct conf_list list; /* struct user */
};

struct auth {
	const char *file;
	struct fs *fs;
	uint64_t sum; /* of the file's bytes as read last */
	pthread_rwlock_t lock;
	struct users *users; /* guarded by lock */
};

/* ---- the file ---- */

static bool check_user(void *obj, const struct yaml *at, struct err *e);

#define ROW(k, key_, doc_)                                                                                             \
	{                                                                                                              \
		.key = #key_, .kind = CONF_##k, .off = offsetof(struct user, key_), .doc = doc_                        \
	}
static const struct conf_field user_fields[] = {
	ROW(STR, name, "What Basic authorization calls the user, and the log."),
	ROW(STR, secret_sha256, "SHA-256 of the secret, 64 hex digits; `larchctl secret` makes both."),
	ROW(STR_LIST, tenants, "Tenants the user may act for; \"*\": all."),
	ROW(STR_LIST, roles, "push, read, admin."),
	{0},
};
#undef ROW
static const struct conf_table user_table = {"users entry", sizeof(struct user), user_fields, .check = check_user};
static const struct conf_field file_fields[] = {
	{.key = "users",
	 .kind = CONF_LIST,
	 .off = offsetof(struct users, list),
	 .sub = &user_table,
	 .doc = "Who may use the server."},
	{0},
};
static const struct conf_table file_table = {"the users", sizeof(struct users), file_fields};

static bool hex_digest(struct str s, unsigned char out[DIGEST_SHA256])
{
	if (s.n != 2 * DIGEST_SHA256) return false;
	for (size_t i = 0; i < s.n; i++) {
		int c = s.p[i] | 0x20, v = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
		if (v < 0) return false;
		out[i / 2] = (unsigned char)(i % 2 ? out[i / 2] | v : v << 4);
	}
	return true;
}

static unsigned role_of(struct str name)
{
	static const struct {
		const char *name;
		unsigned role;
	} roles[] = {{"push", ROLE_PUSH}, {"read", ROLE_READ}, {"admin", ROLE_PUSH | ROLE_READ | ROLE_ADMIN}};
	for (size_t i = 0; i < sizeof roles / sizeof *roles; i++)
		if (str_eqc(name, roles[i].name)) return roles[i].role;
	return 0;
}

static bool check_user(void *obj, const struct yaml *at, struct err *e)
{
	struct user *u = obj;
	const char *says = NULL;
	if (!u->name.n)
		says = "needs a name";
	else if (!hex_digest(u->secret_sha256, u->digest))
		says = "needs secret_sha256, 64 hex digits; `larchctl secret` makes a secret and its digest";
	else if (!u->tenants.n)
		says = "needs tenants; [\"*\"] is all of them";
	else if (!u->roles.n)
		says = "needs roles: push, read, admin";
	for (size_t i = 0; i < u->roles.n && !says; i++) {
		u->can |= role_of(u->roles.v[i]);
		if (!role_of(u->roles.v[i])) says = "has a role that is none of push, read, admin";
	}
	return !says || err_at(e, ERR_INVALID, at->line, at->col, "user \"%.*s\" %s", STR_ARG(u->name), says);
}

static void users_free(struct users *u)
{
	if (!u) return;
	arena_free(&u->arena);
	free(u);
}

static bool names_are_unique(const struct users *u, struct err *e)
{
	const struct user *v = u->list.v;
	for (size_t i = 0; i < u->list.n; i++)
		for (size_t k = 0; k < i; k++)
			if (str_eq(v[i].name, v[k].name))
				return err_set(e, ERR_INVALID, "two users are called \"%.*s\"", STR_ARG(v[i].name));
	return true;
}

static struct users *parse_users(const char *file, struct str text, struct err *e)
{
	struct users *u = mem_zalloc(sizeof *u);
	arena_init(&u->arena, 0);
	struct conf_ctx ctx = {.arena = &u->arena, .file = file};
	struct yaml *root = yaml_parse(&u->arena, arena_str(&u->arena, text), e);
	bool ok = root ? conf_decode(&file_table, root, u, &ctx, e) && names_are_unique(u, e)
		       : err_wrap(e, "%s:%d:%d", file, e->line, e->col);
	if (ok) return u;
	err_wrap(e, "larch.auth_file");
	users_free(u);
	return NULL;
}

static struct users *read_users(const struct auth *a, uint64_t *sum, struct err *e)
{
	struct buf bytes = {0};
	struct users *u = NULL;
	if (fs_read_file(a->fs, a->file, FILE_MAX, &bytes, e)) {
		*sum = str_hash(buf_view(&bytes));
		u = parse_users(a->file, buf_view(&bytes), e);
	} else {
		err_wrap(e, "larch.auth_file");
	}
	buf_free(&bytes);
	return u;
}

/* ---- checking ---- */

static bool equal_digests(const unsigned char *a, const unsigned char *b)
{
	volatile unsigned char differ = 0;
	for (size_t i = 0; i < DIGEST_SHA256; i++) differ |= a[i] ^ b[i];
	return differ == 0;
}

/* The user whose secret it is and, unless .p is NULL, whose name. */
static const struct user *find_user(const struct users *u, struct str name, struct str secret)
{
	const struct user *v = u->list.v, *found = NULL;
	unsigned char digest[DIGEST_SHA256];
	digest_sha256(secret, digest);
	for (size_t i = 0; i < u->list.n; i++) {
		bool same = equal_digests(v[i].digest, digest);
		if (same && (!name.p || str_eq(v[i].name, name))) found = &v[i];
	}
	return found;
}

static const struct user *authenticate(const struct users *u, struct str header)
{
	struct str scheme, rest = header, name;
	struct buf plain = {0};
	const struct user *found = NULL;
	size_t bad;
	if (!header.p || header.n > SECRET_MAX || !str_cut(&rest, ' ', &scheme)) return NULL;
	rest = str_trim(rest);
	if (str_ieq(scheme, STR("Bearer"))) {
		found = find_user(u, STR_NULL, rest);
	} else if (str_ieq(scheme, STR("Basic")) && base64_decode(&plain, rest, &bad)) {
		struct str secret = buf_view(&plain);
		if (str_cut(&secret, ':', &name)) found = find_user(u, name, secret);
	}
	buf_free(&plain);
	return found;
}

static bool has_tenant(const struct user *u, struct str tenant)
{
	for (size_t i = 0; i < u->tenants.n; i++)
		if (str_eqc(u->tenants.v[i], "*") || str_eq(u->tenants.v[i], tenant)) return true;
	return false;
}

static bool may(const struct user *u, enum auth_need need, struct err *e)
{
	static const struct {
		unsigned roles;
		const char *name;
	} needs[] = {
		[AUTH_SERVER] = {ROLE_ADMIN, "admin"},
		[AUTH_ADMIN] = {ROLE_ADMIN, "admin"},
		[AUTH_KNOWN] = {ROLE_PUSH | ROLE_READ | ROLE_ADMIN, "any"},
		[AUTH_PUSH] = {ROLE_PUSH, "push"},
		[AUTH_READ] = {ROLE_READ, "read"},
	};
	if (!(u->can & needs[need].roles))
		return err_set(e, ERR_FORBIDDEN, "user \"%.*s\" lacks the role %s\n", STR_ARG(u->name),
			       needs[need].name);
	return need != AUTH_SERVER || has_tenant(u, STR("*")) ||
	       err_set(e, ERR_FORBIDDEN,
		       "user \"%.*s\" may not act for all tenants (\"*\"), which this concerns\n", STR_ARG(u->name));
}

/* Each tenant that the header names must be the user's. Without a header: his only one. */
static bool may_act_for(const struct user *u, struct str org, struct buf *tenants, struct err *e)
{
	struct str rest = org, one, name;
	if (!org.p) {
		if (u->tenants.n == 1 && !str_eqc(u->tenants.v[0], "*")) buf_str(tenants, u->tenants.v[0]);
		return true;
	}
	for (bool more = true; more;) {
		more = str_cut(&rest, '|', &one);
		str_cut(&one, ':', &name); /* what follows is no part of the name */
		if (!has_tenant(u, name))
			return err_set(e, ERR_FORBIDDEN, "user \"%.*s\" may not act for tenant \"%.*s\"\n",
				       STR_ARG(u->name), STR_ARG(name));
	}
	buf_str(tenants, org);
	return true;
}

bool auth_check(struct auth *a, enum auth_need need, struct str authorization, struct str org, struct buf *tenants,
		struct err *e)
{
	if (need == AUTH_PUBLIC) {
		buf_str(tenants, org);
		return true;
	}
	pthread_rwlock_rdlock(&a->lock);
	const struct user *u = authenticate(a->users, authorization);
	bool ok =
		u ? may(u, need, e) && may_act_for(u, org, tenants, e)
		  : err_set(e, ERR_UNAUTH,
			    "%s credentials: send Authorization: Bearer SECRET, or Basic with the secret as password\n",
			    authorization.p ? "unknown" : "no");
	pthread_rwlock_unlock(&a->lock);
	return ok;
}

/* ---- start and end ---- */

static struct auth *auth_with(const char *file, struct fs *fs, struct users *u, uint64_t sum)
{
	struct auth *a = mem_zalloc(sizeof *a);
	*a = (struct auth){.file = file, .fs = fs, .sum = sum, .users = u};
	pthread_rwlock_init(&a->lock, NULL);
	return a;
}

struct auth *auth_new(const char *file, struct fs *fs, struct err *e)
{
	uint64_t sum = 0;
	struct users *u = read_users(&(struct auth){.file = file, .fs = fs}, &sum, e);
	return u ? auth_with(file, fs, u, sum) : NULL;
}

struct auth *auth_parse(const char *file, struct str text, struct err *e)
{
	struct users *u = parse_users(file, text, e);
	return u ? auth_with(file, NULL, u, 0) : NULL;
}

void auth_free(struct auth *a)
{
	if (!a) return;
	users_free(a->users);
	pthread_rwlock_destroy(&a->lock);
	free(a);
}

bool auth_reload(struct auth *a, bool *changed, struct err *e)
{
	uint64_t sum;
	struct users *fresh = read_users(a, &sum, e), *gone = fresh;
	*changed = fresh && sum != a->sum;
	if (*changed) {
		a->sum = sum;
		pthread_rwlock_wrlock(&a->lock);
		gone = a->users;
		a->users = fresh;
		pthread_rwlock_unlock(&a->lock);
	}
	users_free(gone);
	return fresh != NULL;
}
