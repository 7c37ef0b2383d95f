/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pipeline/mmdb.h"

#ifdef LARCH_MAXMINDDB

#include <arpa/inet.h>
#include <errno.h>
#include <maxminddb.h>
#include <stdlib.h>
#include <sys/stat.h>

struct mmdb {
	MMDB_s m;
};

struct mmdb *mmdb_open(const char *path, struct err *e)
{
	struct stat st;
	if (stat(path, &st) != 0) return err_errno(e, "%s", path), NULL;
	if (!S_ISREG(st.st_mode)) return err_set(e, ERR_INVALID, "%s is not a regular file", path), NULL;
	struct mmdb *db = mem_zalloc(sizeof *db);
	int status = MMDB_open(path, MMDB_MODE_MMAP, &db->m);
	if (status == MMDB_SUCCESS) return db;
	err_set(e, ERR_INVALID, "%s: %s", path,
		status == MMDB_IO_ERROR || status == MMDB_FILE_OPEN_ERROR ? strerror(errno) : MMDB_strerror(status));
	free(db);
	return NULL;
}

void mmdb_close(struct mmdb *db)
{
	if (!db) return;
	MMDB_close(&db->m);
	free(db);
}

/* IPv4 addresses written as IPv6 ones are IPv4 addresses. */
static bool parse_address(struct str s, struct sockaddr_storage *out)
{
	char text[INET6_ADDRSTRLEN];
	struct sockaddr_in *v4 = (struct sockaddr_in *)out;
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
	if (!s.n || s.n >= sizeof text) return false;
	memcpy(text, s.p, s.n);
	text[s.n] = '\0';
	*out = (struct sockaddr_storage){.ss_family = AF_INET};
	if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) return true;
	if (inet_pton(AF_INET6, text, &v6.sin6_addr) != 1) return false;
	if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr))
		memcpy(&v4->sin_addr, v6.sin6_addr.s6_addr + 12, sizeof v4->sin_addr);
	else
		memcpy(out, &v6, sizeof v6);
	return true;
}

bool mmdb_find(const struct mmdb *db, struct str address, struct mmdb_record *out)
{
	struct sockaddr_storage sa;
	int status;
	if (!parse_address(address, &sa)) return false;
	MMDB_lookup_result_s found = MMDB_lookup_sockaddr(&db->m, (const struct sockaddr *)&sa, &status);
	if (status != MMDB_SUCCESS || !found.found_entry) return false;
	*out = (struct mmdb_record){db, found.entry.offset};
	return true;
}

static struct jval scalar(const MMDB_entry_data_s *d)
{
	switch (d->type) {
	case MMDB_DATA_TYPE_UTF8_STRING:
		return (struct jval){.kind = JVAL_STR, .s = str_of(d->utf8_string, d->data_size)};
	case MMDB_DATA_TYPE_BYTES:
		return (struct jval){.kind = JVAL_STR, .s = str_of((const char *)d->bytes, d->data_size)};
	case MMDB_DATA_TYPE_DOUBLE: return (struct jval){.kind = JVAL_NUM, .num = d->double_value};
	case MMDB_DATA_TYPE_FLOAT: return (struct jval){.kind = JVAL_NUM, .num = (double)d->float_value};
	case MMDB_DATA_TYPE_UINT16: return (struct jval){.kind = JVAL_NUM, .num = d->uint16};
	case MMDB_DATA_TYPE_UINT32: return (struct jval){.kind = JVAL_NUM, .num = d->uint32};
	case MMDB_DATA_TYPE_INT32: return (struct jval){.kind = JVAL_NUM, .num = d->int32};
	case MMDB_DATA_TYPE_UINT64: return (struct jval){.kind = JVAL_NUM, .num = (double)d->uint64};
	case MMDB_DATA_TYPE_BOOLEAN: return (struct jval){.kind = JVAL_BOOL, .b = d->boolean};
	default: return jval_null;
	}
}

static MMDB_entry_s entry_of(const struct mmdb_record *r) { return (MMDB_entry_s){&r->db->m, r->at}; }

const struct jval *mmdb_get(const struct mmdb_record *r, struct arena *a, const char *const *path)
{
	MMDB_entry_s entry = entry_of(r);
	MMDB_entry_data_s d;
	if (MMDB_aget_value(&entry, &d, path) != MMDB_SUCCESS || !d.has_data) return NULL;
	struct jval *v = ARENA_NEW(a, struct jval);
	*v = scalar(&d);
	return v->kind == JVAL_NULL ? NULL : v;
}

/* Reads one value from a flat list in which a container is followed by what is in it. The library has bounded its
 * depth. */
static const struct jval *read(struct arena *a, const MMDB_entry_data_list_s **at)
{
	const MMDB_entry_data_s *d = &(*at)->entry_data;
	struct jval *v = ARENA_NEW(a, struct jval);
	*at = (*at)->next;
	if (d->type == MMDB_DATA_TYPE_MAP) {
		*v = (struct jval){.kind = JVAL_OBJ};
		v->obj.v = arena_alloc(a, d->data_size * sizeof *v->obj.v);
		for (uint32_t i = 0; i < d->data_size && *at; i++) {
			struct str name = str_of((*at)->entry_data.utf8_string, (*at)->entry_data.data_size);
			*at = (*at)->next;
			if (*at) v->obj.v[v->obj.n++] = (struct jmember){name, read(a, at)};
		}
	} else if (d->type == MMDB_DATA_TYPE_ARRAY) {
		*v = (struct jval){.kind = JVAL_ARR};
		v->arr.v = arena_alloc(a, d->data_size * sizeof(const struct jval *));
		for (uint32_t i = 0; i < d->data_size && *at; i++) v->arr.v[v->arr.n++] = read(a, at);
	} else {
		*v = scalar(d);
	}
	return v;
}

const struct jval *mmdb_tree(const struct mmdb_record *r, struct arena *a)
{
	MMDB_entry_s entry = entry_of(r);
	MMDB_entry_data_list_s *list = NULL;
	const struct jval *v = NULL;
	if (MMDB_get_entry_data_list(&entry, &list) == MMDB_SUCCESS && list) {
		const MMDB_entry_data_list_s *at = list;
		v = read(a, &at);
	}
	MMDB_free_entry_data_list(list);
	return v;
}

#else

struct mmdb *mmdb_open(const char *path, struct err *e)
{
	err_set(e, ERR_INVALID,
		"%s cannot be read: this program was built without libmaxminddb; install libmaxminddb-dev and build "
		"again",
		path);
	return NULL;
}

void mmdb_close(struct mmdb *db) { (void)db; }

bool mmdb_find(const struct mmdb *db, struct str address, struct mmdb_record *out)
{
	(void)db, (void)address, (void)out;
	return false;
}

const struct jval *mmdb_get(const struct mmdb_record *r, struct arena *a, const char *const *path)
{
	(void)r, (void)a, (void)path;
	return NULL;
}

const struct jval *mmdb_tree(const struct mmdb_record *r, struct arena *a)
{
	(void)r, (void)a;
	return NULL;
}

#endif
