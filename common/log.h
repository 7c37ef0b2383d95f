/* SPDX-License-Identifier: GPL-2.0-or-later */
/* log: the program's own log on stderr, logfmt (`ts=… level=info caller=file.c:12 msg="…" key=value`) or JSON.
 *
 * Lines are written with one write(2). Each call site is rate-limited (10 lines, then 1 per second, with
 * a `suppressed=N` on the next); debug is not, nor is what log_each() writes. Thread-safe. Counts lines per level for /metrics. */
#ifndef LARCH_COMMON_LOG_H
#define LARCH_COMMON_LOG_H

#include "common/clock.h"
#include "common/err.h"
#include "common/str.h"

/* Named so that <syslog.h>, which sd-journal.h includes, does not redefine them. */
enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };

struct log_kv {
	const char *key;
	enum { LOG_KV_STR, LOG_KV_I64, LOG_KV_DUR } kind;
	struct str s;
	int64_t i;
};

static inline struct log_kv kv_str(const char *k, struct str v)
{
	return (struct log_kv){.key = k, .kind = LOG_KV_STR, .s = v};
}
static inline struct log_kv kv_c(const char *k, const char *v) { return kv_str(k, str_c(v)); }
static inline struct log_kv kv_i(const char *k, int64_t v)
{
	return (struct log_kv){.key = k, .kind = LOG_KV_I64, .i = v};
}
static inline struct log_kv kv_dur(const char *k, int64_t ns)
{
	return (struct log_kv){.key = k, .kind = LOG_KV_DUR, .i = ns};
}
static inline struct log_kv kv_err(const struct err *e) { return kv_c("err", e->msg); }

struct log_site {
	_Atomic int64_t full_at; /* monotonic ns */
	_Atomic int64_t suppressed;
};

/* log_info("flushed", kv_c("tenant", t), kv_i("rows", n)); */
#define log_debug(...) log_site_(LOG_LEVEL_DEBUG, __VA_ARGS__)
#define log_info(...)  log_site_(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_warn(...)  log_site_(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_error(...) log_site_(LOG_LEVEL_ERROR, __VA_ARGS__)
/* For what is a record rather than news: one line of level info for every time. */
#define log_each(...)                                                                                                  \
	do {                                                                                                           \
		if (log_enabled(LOG_LEVEL_INFO))                                                                       \
			log_at(NULL, LOG_LEVEL_INFO, __FILE__, __LINE__, __VA_ARGS__, (struct log_kv){0});             \
	} while (0)
#define log_site_(level, ...)                                                                                          \
	do {                                                                                                           \
		static struct log_site site_;                                                                          \
		if (log_enabled(level)) log_at(&site_, level, __FILE__, __LINE__, __VA_ARGS__, (struct log_kv){0});    \
	} while (0)

/* Pairs follow until one without a key. site NULL: not limited. */
void log_at(struct log_site *site, enum log_level level, const char *file, int line, const char *msg, ...);
bool log_enabled(enum log_level level);
void log_set_level(enum log_level level);
enum log_level log_get_level(void);
bool log_level_parse(struct str s, enum log_level *out); /* debug info warn error */
const char *log_level_name(enum log_level l);
void log_set_json(bool on);
void log_set_fd(int fd);              /* for tests; default 2 */
void log_set_clock(struct clock *c);  /* for tests; default clock_real */
uint64_t log_count(enum log_level l); /* lines asked for so far, suppressed ones included */

#endif
