/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/discovery.h"

#include "common/buf.h"

#include <stdlib.h>
#include <unistd.h>

/* What a target's __host__ must be: $HOSTNAME, else the kernel's name. */
static struct str this_host(struct arena *a)
{
	char name[256] = "";
	const char *env = getenv("HOSTNAME");

	if (env && *env) return str_c(env);
	gethostname(name, sizeof name - 1);
	return arena_str(a, str_c(name));
}

static const char *absolute(struct arena *a, struct str path)
{
	char cwd[4096];

	if (path.p[0] == '/' || !getcwd(cwd, sizeof cwd)) return arena_cstr(a, path);
	return arena_printf(a, "%s/%.*s", cwd, STR_ARG(path)).p;
}

static bool exists(const struct discovery *d, const struct target *t)
{
	for (size_t i = 0; i < d->n; i++) {
		const struct target *o = &d->v[i];
		if (!o->dropped && strcmp(o->pattern, t->pattern) == 0 && labels_eq(&o->labels, &t->labels))
			return true;
	}
	return false;
}

static uint64_t identity(struct str job, const struct labels *l)
{
	struct buf b = {0};

	buf_lpstr(&b, job);
	buf_le64(&b, labels_hash(l));
	uint64_t hash = str_hash(buf_view(&b));
	buf_free(&b);
	return hash;
}

static bool add(struct discovery *d, struct str job, const struct static_conf *conf, struct str address,
		const struct relabel *r, struct err *e)
{
	struct target t = {0};
	struct relabel_set s = {.a = &d->arena};
	struct err pe = ERR_INIT;

	for (size_t i = 0; i < conf->labels.n; i++) relabel_put(&s, conf->labels.v[i].name, conf->labels.v[i].value);
	relabel_put(&s, STR("__address__"), address);
	t.discovered = labels_copy(&d->arena, &s.l);
	bool kept = relabel_run(r, &s);
	struct str host = relabel_get(&s, STR("__host__")), path = relabel_get(&s, STR("__path__"));
	struct str exclude = relabel_get(&s, STR("__path_exclude__"));
	relabel_strip(&s);
	t.labels = s.l;
	t.hash = identity(job, &t.labels);
	t.pattern = path.n ? absolute(&d->arena, path) : "";
	if (!kept)
		t.dropped = "dropped";
	else if (host.n && !str_eq(host, this_host(&d->arena)))
		t.dropped = "wrong_host";
	else if (!path.n)
		t.dropped = "no_path";
	else if (exists(d, &t))
		t.dropped = "exists";
	if (!t.dropped) {
		t.path = glob_new(str_c(t.pattern), &pe);
		if (t.path && exclude.n) t.exclude = glob_new(str_c(absolute(&d->arena, exclude)), &pe);
		if (!t.path || (exclude.n && !t.exclude)) {
			glob_free(t.path);
			return err_at(e, ERR_INVALID, conf->line, 1, "%s: %s", t.path ? "__path_exclude__" : "__path__",
				      pe.msg);
		}
	}
	*ARENA_PUSH(&d->arena, d->v, d->n, d->cap) = t;
	return true;
}

bool discovery_init(struct discovery *d, const struct job_conf *job, const struct relabel *r, struct err *e)
{
	const struct static_conf *v = job->statics.v;
	struct str localhost = STR("localhost");

	*d = (struct discovery){0};
	arena_init(&d->arena, 0);
	for (size_t i = 0; i < job->statics.n; i++) {
		const struct str *addr = v[i].targets.n ? v[i].targets.v : &localhost;
		size_t n = v[i].targets.n ? v[i].targets.n : 1;
		for (size_t k = 0; k < n; k++) {
			if (add(d, job->name, &v[i], addr[k], r, e)) continue;
			discovery_fini(d);
			return false;
		}
	}
	return true;
}

void discovery_fini(struct discovery *d)
{
	for (size_t i = 0; i < d->n; i++) {
		glob_free(d->v[i].path);
		glob_free(d->v[i].exclude);
	}
	arena_free(&d->arena);
	*d = (struct discovery){0};
}
