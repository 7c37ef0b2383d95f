/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mmdb_write: a writer of small MaxMind databases (https://maxmind.github.io/MaxMind-DB/), for tests: 24-bit records,
 * an IPv6 tree with IPv4 under ::/96, values written one after the other by mmdb_put_*. */
#ifndef LARCH_TESTS_UNIT_PIPELINE_MMDB_WRITE_H
#define LARCH_TESTS_UNIT_PIPELINE_MMDB_WRITE_H

#include "common/buf.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

#define MMDB_NODES 4096

struct mmdb_writer {
	struct buf data;
	uint32_t nodes[MMDB_NODES][2]; /* 0: nothing; else a node, or MMDB_NODES + offset of data */
	uint32_t n;
};

enum { MMDB_STR = 2, MMDB_DOUBLE = 3, MMDB_U16 = 5, MMDB_U32 = 6, MMDB_MAP = 7, MMDB_U64 = 9, MMDB_ARRAY = 11 };

static inline void mmdb_put_head(struct buf *b, unsigned type, size_t size)
{
	unsigned low = size < 29 ? (unsigned)size : 29;
	if (size > 284) abort();
	buf_u8(b, (uint8_t)((type > 7 ? 0 : type) << 5 | low));
	if (type > 7) buf_u8(b, (uint8_t)(type - 7));
	if (low == 29) buf_u8(b, (uint8_t)(size - 29));
}

static inline void mmdb_put_str(struct buf *b, const char *s)
{
	mmdb_put_head(b, MMDB_STR, strlen(s));
	buf_c(b, s);
}

static inline void mmdb_put_uint(struct buf *b, unsigned type, size_t size, uint64_t v)
{
	mmdb_put_head(b, type, size);
	while (size--) buf_u8(b, (uint8_t)(v >> 8 * size));
}

static inline void mmdb_put_double(struct buf *b, double v)
{
	uint64_t bits;
	memcpy(&bits, &v, sizeof bits);
	mmdb_put_uint(b, MMDB_DOUBLE, 8, bits);
}

/* {"a": {"b": …}} up to the value of the last key, which follows. */
static inline void mmdb_put_keys(struct buf *b, const char *const *keys)
{
	for (; *keys; keys++) {
		mmdb_put_head(b, MMDB_MAP, 1);
		mmdb_put_str(b, *keys);
	}
}

/* What is written to data next belongs to the network ("81.2.69.0/24", "2001:db8::/32"). */
static inline void mmdb_network(struct mmdb_writer *w, const char *network)
{
	unsigned char ip[16] = {0};
	char text[64];
	snprintf(text, sizeof text, "%s", network);
	char *slash = strchr(text, '/');
	*slash = '\0';
	bool v6 = strchr(text, ':');
	int bits = atoi(slash + 1) + (v6 ? 0 : 96);
	if (inet_pton(v6 ? AF_INET6 : AF_INET, text, v6 ? ip : ip + 12) != 1) abort();
	if (!w->n) w->n = 1;
	uint32_t at = 0;
	for (int i = 0; i < bits; i++) {
		uint32_t *next = &w->nodes[at][ip[i / 8] >> (7 - i % 8) & 1];
		if (i + 1 == bits)
			*next = MMDB_NODES + (uint32_t)w->data.n;
		else if (!*next)
			*next = w->n++;
		if (w->n >= MMDB_NODES) abort();
		at = *next;
	}
}

static inline void mmdb_put_metadata(struct buf *b, const struct mmdb_writer *w, const char *type)
{
	buf_c(b, "\xab\xcd\xefMaxMind.com");
	mmdb_put_head(b, MMDB_MAP, 9);
	mmdb_put_str(b, "binary_format_major_version");
	mmdb_put_uint(b, MMDB_U16, 1, 2);
	mmdb_put_str(b, "binary_format_minor_version");
	mmdb_put_uint(b, MMDB_U16, 0, 0);
	mmdb_put_str(b, "build_epoch");
	mmdb_put_uint(b, MMDB_U64, 4, 1793534400);
	mmdb_put_str(b, "database_type");
	mmdb_put_str(b, type);
	mmdb_put_str(b, "description");
	mmdb_put_head(b, MMDB_MAP, 0);
	mmdb_put_str(b, "ip_version");
	mmdb_put_uint(b, MMDB_U16, 1, 6);
	mmdb_put_str(b, "languages");
	mmdb_put_head(b, MMDB_ARRAY, 0);
	mmdb_put_str(b, "node_count");
	mmdb_put_uint(b, MMDB_U32, 4, w->n);
	mmdb_put_str(b, "record_size");
	mmdb_put_uint(b, MMDB_U16, 1, 24);
}

/* Writes the file and frees what w holds. */
static inline void mmdb_save(struct mmdb_writer *w, const char *type, const char *path)
{
	struct buf b = {0};
	for (uint32_t i = 0; i < w->n; i++)
		for (int side = 0; side < 2; side++) {
			uint32_t v = w->nodes[i][side];
			v = !v ? w->n : v >= MMDB_NODES ? w->n + 16 + (v - MMDB_NODES) : v;
			for (int k = 2; k >= 0; k--) buf_u8(&b, (uint8_t)(v >> 8 * k));
		}
	for (int i = 0; i < 16; i++) buf_u8(&b, 0);
	buf_str(&b, buf_view(&w->data));
	mmdb_put_metadata(&b, w, type);
	FILE *f = fopen(path, "wb");
	if (!f || fwrite(b.p, 1, b.n, f) != b.n || fclose(f) != 0) abort();
	buf_free(&b);
	buf_free(&w->data);
}

/* A database of all that the geoip stage knows: a city, a country alone, and a network's owner. */
static inline void mmdb_save_example(const char *path)
{
	static struct mmdb_writer w;
	w = (struct mmdb_writer){0};
	struct buf *d = &w.data;
	mmdb_network(&w, "81.2.69.0/24");
	mmdb_put_head(d, MMDB_MAP, 6);
	mmdb_put_str(d, "city");
	mmdb_put_keys(d, (const char *const[]){"names", "en", NULL});
	mmdb_put_str(d, "London");
	mmdb_put_str(d, "country");
	mmdb_put_head(d, MMDB_MAP, 2);
	mmdb_put_str(d, "iso_code");
	mmdb_put_str(d, "GB");
	mmdb_put_str(d, "names");
	mmdb_put_keys(d, (const char *const[]){"en", NULL});
	mmdb_put_str(d, "United Kingdom");
	mmdb_put_str(d, "continent");
	mmdb_put_head(d, MMDB_MAP, 2);
	mmdb_put_str(d, "code");
	mmdb_put_str(d, "EU");
	mmdb_put_str(d, "names");
	mmdb_put_keys(d, (const char *const[]){"en", NULL});
	mmdb_put_str(d, "Europe");
	mmdb_put_str(d, "location");
	mmdb_put_head(d, MMDB_MAP, 3);
	mmdb_put_str(d, "latitude");
	mmdb_put_double(d, 51.5142);
	mmdb_put_str(d, "longitude");
	mmdb_put_double(d, -0.0931);
	mmdb_put_str(d, "time_zone");
	mmdb_put_str(d, "Europe/London");
	mmdb_put_str(d, "postal");
	mmdb_put_keys(d, (const char *const[]){"code", NULL});
	mmdb_put_str(d, "OX1");
	mmdb_put_str(d, "subdivisions");
	mmdb_put_head(d, MMDB_ARRAY, 2);
	mmdb_put_keys(d, (const char *const[]){"iso_code", NULL});
	mmdb_put_str(d, "ENG");
	mmdb_put_head(d, MMDB_MAP, 2);
	mmdb_put_str(d, "iso_code");
	mmdb_put_str(d, "WBK");
	mmdb_put_str(d, "names");
	mmdb_put_keys(d, (const char *const[]){"en", NULL});
	mmdb_put_str(d, "West Berkshire");
	mmdb_network(&w, "2001:218::/32");
	mmdb_put_keys(d, (const char *const[]){"country", "iso_code", NULL});
	mmdb_put_str(d, "JP");
	mmdb_network(&w, "1.128.0.0/11");
	mmdb_put_head(d, MMDB_MAP, 2);
	mmdb_put_str(d, "autonomous_system_number");
	mmdb_put_uint(d, MMDB_U32, 2, 1221);
	mmdb_put_str(d, "autonomous_system_organization");
	mmdb_put_str(d, "Telstra Pty Ltd");
	mmdb_save(&w, "GeoIP2-City", path);
}

#endif
