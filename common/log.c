/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/log.h"

#include "common/json.h"
#include "common/units.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <unistd.h>

enum { BURST = 10 }; /* lines of one site; then one a second */

static const char *const names[] = {"debug", "info", "warn", "error"};

static _Atomic int min_level = LOG_LEVEL_INFO;
static _Atomic int out_fd = STDERR_FILENO;
static _Atomic bool as_json;
static struct clock *_Atomic clock_used = &clock_real;
static _Atomic uint64_t counts[LOG_LEVEL_ERROR + 1];

bool log_enabled(enum log_level level) { return (int)level >= min_level; }
void log_set_level(enum log_level level) { min_level = (int)level; }
enum log_level log_get_level(void) { return (enum log_level)min_level; }
const char *log_level_name(enum log_level l) { return names[l]; }
void log_set_json(bool on) { as_json = on; }
void log_set_fd(int fd) { out_fd = fd; }
void log_set_clock(struct clock *c) { clock_used = c; }
uint64_t log_count(enum log_level l) { return counts[l]; }

bool log_level_parse(struct str s, enum log_level *out)
{
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		if (!str_eqc(s, names[i])) continue;
		*out = (enum log_level)i;
		return true;
	}
	return false;
}

/* A token bucket kept as one number: the time at which it is full again. */
static bool allowed(struct log_site *site, struct clock *clock)
{
	int64_t now = clock_mono(clock), full = site->full_at, next;
	do {
		next = (full > now ? full : now) + UNITS_SEC;
		if (next - now > BURST * UNITS_SEC) return false;
	} while (!atomic_compare_exchange_weak(&site->full_at, &full, next));
	return true;
}

static bool plain(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if (c <= ' ' || c == '"' || c == '=' || c == '\\' || c == 0x7f) return false;
	}
	return s.n && str_utf8_valid(s);
}

static void put_str(struct buf *b, struct str s, bool json)
{
	if (!json && plain(s))
		buf_str(b, s);
	else
		json_quote(b, s, false);
}

static void put_key(struct buf *b, const char *key, bool json)
{
	if (b->n > 1) buf_ch(b, json ? ',' : ' ');
	if (json)
		json_quote(b, str_c(key), false);
	else
		buf_c(b, key);
	buf_ch(b, json ? ':' : '=');
}

static void put_field(struct buf *b, const char *key, struct str value, bool json)
{
	put_key(b, key, json);
	put_str(b, value, json);
}

static void put_pair(struct buf *b, const struct log_kv *kv, bool json)
{
	struct buf text = {0};
	put_key(b, kv->key, json);
	switch (kv->kind) {
	case LOG_KV_STR: put_str(b, kv->s, json); break;
	case LOG_KV_I64: buf_i64(b, kv->i); break;
	case LOG_KV_DUR:
		units_dur_go_print(&text, kv->i);
		put_str(b, buf_view(&text), json);
		break;
	}
	buf_free(&text);
}

static void put_head(struct buf *b, enum log_level level, const char *file, int line, struct clock *clock, bool json)
{
	struct buf text = {0};
	const char *slash = strrchr(file, '/');
	units_rfc3339nano_print(&text, clock_wall(clock));
	put_field(b, "ts", buf_view(&text), json);
	put_field(b, "level", str_c(names[level]), json);
	buf_clear(&text);
	buf_printf(&text, "%s:%d", slash ? slash + 1 : file, line);
	put_field(b, "caller", buf_view(&text), json);
	buf_free(&text);
}

void log_at(struct log_site *site, enum log_level level, const char *file, int line, const char *msg, ...)
{
	struct clock *clock = clock_used;
	counts[level]++;
	if (site && level != LOG_LEVEL_DEBUG && !allowed(site, clock)) {
		site->suppressed++;
		return;
	}
	struct buf b = {0};
	bool json = as_json;
	if (json) buf_ch(&b, '{');
	put_head(&b, level, file, line, clock, json);
	put_field(&b, "msg", str_c(msg), json);
	va_list ap;
	va_start(ap, msg);
	for (struct log_kv kv; kv = va_arg(ap, struct log_kv), kv.key;) put_pair(&b, &kv, json);
	va_end(ap);
	int64_t suppressed = site ? atomic_exchange(&site->suppressed, 0) : 0;
	if (suppressed) put_pair(&b, &(struct log_kv){.key = "suppressed", .kind = LOG_KV_I64, .i = suppressed}, json);
	buf_c(&b, json ? "}\n" : "\n");
	ssize_t put;
	do put = write(out_fd, b.p, b.n);
	while (put < 0 && errno == EINTR); /* there is nowhere to report any other failure */
	buf_free(&b);
}
