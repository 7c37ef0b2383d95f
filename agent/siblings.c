/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/siblings.h"

#include "common/buf.h"
#include "common/fs.h"

#include <stdlib.h>

/* A separator and then numbers, dates and times only: ".1", "-20240131", "_2024-01-31T12:00:00Z". */
static bool is_count(struct str s)
{
	bool digit = false;

	if (s.n < 2 || !strchr(".-_", s.p[0])) return false;
	for (size_t i = 1; i < s.n; i++) {
		if (!s.p[i] || !strchr("0123456789.-_:TZ", s.p[i])) return false;
		digit |= s.p[i] >= '0' && s.p[i] <= '9';
	}
	return digit;
}

bool sibling_name(struct str base, struct str name)
{
	ssize_t dot = str_rchr(base, '.');
	struct str stem = dot > 0 ? str_sub(base, 0, (size_t)dot) : base, ext = str_from(base, stem.n);

	if (str_starts(name, base)) {
		struct str rest = str_from(name, base.n);
		if (is_count(rest) || str_eq(rest, STR(".old")) || str_eq(rest, STR(".bak")) || str_eq(rest, STR("~")))
			return true;
	}
	return ext.n && name.n > base.n && str_starts(name, stem) && str_ends(name, ext) &&
	       is_count(str_sub(name, stem.n, name.n - ext.n));
}

static int by_age(const void *a, const void *b)
{
	const struct timespec *x = &((const struct sibling *)a)->st.st_mtim,
			      *y = &((const struct sibling *)b)->st.st_mtim;

	if (x->tv_sec != y->tv_sec) return x->tv_sec < y->tv_sec ? -1 : 1;
	return (x->tv_nsec > y->tv_nsec) - (x->tv_nsec < y->tv_nsec);
}

void siblings_list(struct siblings *s, const char *path, bool all)
{
	const char *base = strrchr(path, '/') + 1;
	char *dir = base - path > 1 ? mem_strndup(path, (size_t)(base - path - 1)) : mem_strdup("/");
	struct fs_list names;
	struct err e = ERR_INIT;
	struct buf b = {0};

	*s = (struct siblings){0};
	if (fs_list(dir, &names, &e)) {
		for (size_t i = 0; i < names.n; i++) {
			struct sibling one = {0};
			if (!all && !sibling_name(str_c(base), str_c(names.v[i]))) continue;
			fs_path(&b, dir, names.v[i]);
			if (stat(buf_cstr(&b), &one.st) != 0 || !S_ISREG(one.st.st_mode)) continue;
			one.path = mem_strdup(buf_cstr(&b));
			MEM_GROW(s->v, s->n, s->cap);
			s->v[s->n++] = one;
		}
		fs_list_free(&names);
	}
	if (s->n) qsort(s->v, s->n, sizeof *s->v, by_age);
	buf_free(&b);
	free(dir);
}

void siblings_free(struct siblings *s)
{
	for (size_t i = 0; i < s->n; i++) free(s->v[i].path);
	free(s->v);
	*s = (struct siblings){0};
}
