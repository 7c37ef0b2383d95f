/* SPDX-License-Identifier: GPL-2.0-or-later */
/* systemd's journal through libsystemd, of this machine or of a directory of journal files.
 *
 * Entries carry their own time, so reading one twice sends the same entry and the server drops the copy;
 * the cursor is therefore saved once per batch, for rows that every client has dealt with. A cursor older
 * than max_age, or one that cannot be sought, starts at now - max_age; the cursor's own entry is left out.
 * Damaged places are skipped: the journal is opened anew behind the last entry that could be read. */
#include "agent/source.h"

#include "agent/acks.h"
#include "agent/stats.h"
#include "common/log.h"
#include "common/units.h"

#include <errno.h>
#include <stdlib.h>
#include <systemd/sd-journal.h>

#define BATCH_ENTRIES 256
#define BATCH_BYTES   (1u << 20)
#define FIELD_MAX     (16u << 20)
#define RETRY_NS      (1 * UNITS_SEC)
#define DIR_POLL_NS   (1 * UNITS_SEC) /* journal files may appear later, and a directory may be without inotify */

/* Where to resume once the rows below `row` are dealt with. */
struct mark {
	uint64_t row;
	char *cursor;
};

struct source {
	struct source_env env;
	struct acks acks;
	sd_journal *j;
	struct loop_fd *fd;
	struct loop_timer *timer;
	char *cursor_key;  /* in the positions file */
	char *last_cursor; /* of the last entry read */
	uint64_t last_us;  /* its time */
	struct mark *marks;
	size_t nmarks, cap_marks;
	struct buf text;
};

static bool open_journal(struct source *s, struct err *e);

static void close_journal(struct source *s)
{
	if (s->fd) loop_fd_del(s->fd);
	if (s->j) sd_journal_close(s->j);
	s->fd = NULL;
	s->j = NULL;
}

static void on_timer(void *ud)
{
	struct source *s = ud;
	struct err e = ERR_INIT;

	if (!s->j && !open_journal(s, &e))
		log_warn("the journal cannot be opened and is tried again", kv_c("job", s->env.job->name.p),
			 kv_err(&e));
	if (s->j) {
		sd_journal_process(s->j);
		s->env.ready(s->env.ud);
	}
	loop_timer_set(s->timer, s->j ? DIR_POLL_NS : RETRY_NS);
}

static void on_journal(void *ud, uint32_t events)
{
	struct source *s = ud;

	(void)events;
	sd_journal_process(s->j);
	s->env.ready(s->env.ud);
}

/* ---- where to start ---- */

static uint64_t oldest_us(const struct source *s)
{
	int64_t max_age = s->env.job->journal.max_age;
	int64_t us = (clock_wall(s->env.clock) - max_age) / 1000;

	return max_age > 0 && us > 0 ? (uint64_t)us : 0;
}

static bool add_matches(struct source *s, struct err *e)
{
	struct str rest = s->env.job->journal.matches, word;
	bool more = rest.n > 0;
	int rc = 0;

	while (more && rc >= 0) {
		more = str_cut(&rest, ' ', &word);
		if (word.n) rc = sd_journal_add_match(s->j, word.p, word.n);
	}
	return rc >= 0 || err_set(e, ERR_INVALID, "journal match: %s", strerror(-rc));
}

/* Positions before the entry to read first. */
static int seek(struct source *s, const char *cursor)
{
	uint64_t us = 0;
	int rc;

	if (!cursor) return sd_journal_seek_realtime_usec(s->j, oldest_us(s));
	rc = sd_journal_seek_cursor(s->j, cursor);
	if (rc >= 0) rc = sd_journal_next(s->j);
	if (rc > 0 && sd_journal_get_realtime_usec(s->j, &us) >= 0 && us >= oldest_us(s)) {
		/* The cursor's own entry has been sent; a later one, when that is gone, has not. */
		return sd_journal_test_cursor(s->j, cursor) > 0 ? 0 : sd_journal_previous(s->j);
	}
	if (rc == 0) return 0; /* at the end: only newer ones follow */
	log_warn("the saved journal cursor is too old or unreadable", kv_c("job", s->env.job->name.p));
	return sd_journal_seek_realtime_usec(s->j, oldest_us(s));
}

static bool open_journal(struct source *s, struct err *e)
{
	const struct journal_conf *c = &s->env.job->journal;
	struct str saved = positions_get(s->env.positions, str_c(s->cursor_key));
	char *cursor = s->last_cursor ? mem_strdup(s->last_cursor) : saved.n ? mem_strndup(saved.p, saved.n) : NULL;
	char *path = c->path.n ? mem_strndup(c->path.p, c->path.n) : NULL;
	int rc = path ? sd_journal_open_directory(&s->j, path, 0) : sd_journal_open(&s->j, SD_JOURNAL_LOCAL_ONLY);
	bool ok = rc >= 0 || err_set(e, ERR_IO, "journal%s%s: %s", path ? " " : "", path ? path : "", strerror(-rc));

	free(path);
	if (ok) sd_journal_set_data_threshold(s->j, FIELD_MAX);
	ok = ok && add_matches(s, e);
	if (ok && (rc = seek(s, cursor)) < 0) ok = err_set(e, ERR_IO, "journal: seek: %s", strerror(-rc));
	free(cursor);
	int fd = ok ? sd_journal_get_fd(s->j) : -1; /* none for a directory without inotify: the timer serves */
	if (fd >= 0) s->fd = loop_fd_add(s->env.loop, fd, EPOLLIN, on_journal, s, e);
	if (!ok) close_journal(s);
	return ok;
}

/* Behind the last entry that could be read, in a journal opened anew. */
static void skip_damage(struct source *s, int rc)
{
	struct err e = ERR_INIT;
	char *cursor = s->last_cursor;

	metrics_inc(s->env.metrics, STAT_JOURNAL_SKIPS, 1);
	log_warn("a damaged place of the journal is skipped", kv_c("job", s->env.job->name.p),
		 kv_c("err", strerror(-rc)));
	close_journal(s);
	s->last_cursor = NULL;
	if (open_journal(s, &e) && s->last_us) sd_journal_seek_realtime_usec(s->j, s->last_us + 1);
	s->last_cursor = cursor;
	loop_timer_set(s->timer, RETRY_NS);
}

/* ---- one entry ---- */

static const char *const keywords[] = {"emerg", "alert", "crit", "error", "warning", "notice", "info", "debug"};

static void put_field(struct relabel_set *set, struct str name, struct str value)
{
	struct buf b = {0};

	buf_c(&b, "__journal_");
	for (size_t i = 0; i < name.n; i++)
		buf_ch(&b, name.p[i] >= 'A' && name.p[i] <= 'Z' ? (char)(name.p[i] + 32) : name.p[i]);
	value = arena_str(set->a, value);
	relabel_put(set, arena_str(set->a, buf_view(&b)), value);
	buf_free(&b);
	if (!str_eq(name, STR("PRIORITY"))) return;
	bool known = value.n == 1 && value.p[0] >= '0' && value.p[0] <= '7';
	relabel_put(set, STR("__journal_priority_keyword"), known ? str_c(keywords[value.p[0] - '0']) : value);
}

struct fields {
	struct label *v;
	size_t n, cap;
};

/* All data fields in the arena; of a repeated one the last. */
static int read_fields(struct source *s, struct arena *a, struct fields *f)
{
	const void *data;
	size_t len;
	int rc;

	sd_journal_restart_data(s->j);
	while ((rc = sd_journal_enumerate_data(s->j, &data, &len)) > 0) {
		struct str value = arena_str(a, str_of(data, len)), name;
		if (!str_cut(&value, '=', &name)) continue;
		size_t i = 0;
		while (i < f->n && !str_eq(f->v[i].name, name)) i++;
		if (i == f->n) ARENA_PUSH(a, f->v, f->n, f->cap)->name = name;
		f->v[i].value = value;
	}
	return rc;
}

static struct str json_line(struct source *s, struct arena *a, struct fields *f)
{
	struct json_out o;
	struct str dup;

	labels_sort(f->v, f->n, &dup);
	buf_clear(&s->text);
	json_out_init(&o, &s->text, true);
	json_open(&o, '{');
	for (size_t i = 0; i < f->n; i++) {
		json_key(&o, f->v[i].name);
		json_put_str(&o, f->v[i].value);
	}
	json_close(&o, '}');
	return arena_str(a, buf_view(&s->text));
}

static void lost(struct source *s, const char *why)
{
	struct str reason = str_c(why);

	metrics_add(metrics_get(s->env.metrics, STAT_JOURNAL_ERRORS, &reason), 1);
}

/* Makes an entry of the journal's present one, unless it has no line or is relabelled away. */
static int read_entry(struct source *s, struct batch *b, size_t *bytes)
{
	const struct journal_conf *c = &s->env.job->journal;
	struct relabel_set set = {.a = b->arena};
	struct fields f = {0};
	struct str line = STR_NULL;
	int rc = read_fields(s, b->arena, &f);

	if (rc < 0) return rc;
	for (size_t i = 0; i < f.n; i++) {
		put_field(&set, f.v[i].name, f.v[i].value);
		if (str_eq(f.v[i].name, STR("MESSAGE"))) line = f.v[i].value;
	}
	if (c->json) line = json_line(s, b->arena, &f);
	if (!line.p) return lost(s, "no_message"), 0;
	for (size_t i = 0; i < c->labels.n; i++) relabel_put(&set, c->labels.v[i].name, c->labels.v[i].value);
	if (!relabel_run(s->env.relabel, &set)) return 0;
	relabel_strip(&set);
	if (!set.l.n) return lost(s, "empty_labels"), 0;
	struct entry *e = batch_push(b);
	e->ts = (int64_t)s->last_us * 1000;
	e->line = line;
	e->labels = e->initial = set.l;
	e->origins = ARENA_NEW(b->arena, struct origin);
	e->origins[0] = (struct origin){&s->acks, s->acks.next++};
	e->norigins = 1;
	*bytes += line.n;
	return 0;
}

static void mark(struct source *s)
{
	MEM_GROW(s->marks, s->nmarks, s->cap_marks);
	s->marks[s->nmarks++] = (struct mark){s->acks.next, mem_strdup(s->last_cursor)};
}

static enum pump journal_pump(void *ud, struct batch *b)
{
	struct source *s = ud;
	size_t n = 0, bytes = 0;
	int rc = 0;

	if (!s->j) return PUMP_IDLE;
	while (n < BATCH_ENTRIES && bytes < BATCH_BYTES && (rc = sd_journal_next(s->j)) > 0) {
		char *cursor = NULL;
		rc = sd_journal_get_realtime_usec(s->j, &s->last_us);
		if (rc >= 0) rc = sd_journal_get_cursor(s->j, &cursor);
		if (rc < 0) break;
		free(s->last_cursor);
		s->last_cursor = cursor;
		n++;
		if ((rc = read_entry(s, b, &bytes)) < 0) break;
	}
	if (n) mark(s);
	metrics_inc(s->env.metrics, STAT_JOURNAL_LINES, (double)b->n);
	if (rc < 0) skip_damage(s, rc);
	return rc >= 0 && n && (n == BATCH_ENTRIES || bytes >= BATCH_BYTES) ? PUMP_MORE : PUMP_IDLE;
}

static bool journal_save(void *ud)
{
	struct source *s = ud;
	uint64_t done = acks_slowest(&s->acks);
	size_t n = 0;

	while (n < s->nmarks && s->marks[n].row <= done) n++;
	if (!n) return false;
	positions_put(s->env.positions, str_c(s->cursor_key), str_c(s->marks[n - 1].cursor));
	for (size_t i = 0; i < n; i++) free(s->marks[i].cursor);
	memmove(s->marks, s->marks + n, (s->nmarks - n) * sizeof *s->marks);
	s->nmarks -= n;
	return true;
}

static bool journal_wants(const struct job_conf *job) { return job->has_journal; }
static bool journal_check(const struct job_conf *job, const struct relabel *r, struct err *e)
{
	return (void)job, (void)r, (void)e, true;
}
static bool journal_is_ready(void *ud) { return ((struct source *)ud)->j != NULL; }

static void journal_describe(void *ud, struct json_out *o)
{
	struct source *s = ud;

	json_open(o, '{');
	json_key(o, STR("type"));
	json_put_str(o, STR("journal"));
	json_key(o, STR("ready"));
	json_put_bool(o, s->j != NULL);
	json_key(o, STR("path"));
	json_put_str(o, s->env.job->journal.path);
	json_key(o, STR("cursor"));
	json_put_str(o, s->last_cursor ? str_c(s->last_cursor) : STR(""));
	json_close(o, '}');
}

static void *journal_start(const struct source_env *env, struct err *e)
{
	struct source *s = mem_zalloc(sizeof *s);
	struct buf key = {0};

	s->env = *env;
	acks_init(&s->acks, env->nclients);
	buf_printf(&key, "cursor-%.*s", STR_ARG(env->job->name));
	s->cursor_key = mem_strdup(buf_cstr(&key));
	buf_free(&key);
	s->timer = loop_timer_add(env->loop, DIR_POLL_NS, on_timer, s);
	/* A journal that cannot be opened is this job's trouble alone, and may come right. */
	if (!open_journal(s, e))
		log_error("the journal cannot be opened and is tried again", kv_c("job", env->job->name.p), kv_err(e));
	env->ready(env->ud);
	return s;
}

static void journal_stop(void *ud)
{
	struct source *s = ud;

	close_journal(s);
	loop_timer_del(s->timer);
	for (size_t i = 0; i < s->nmarks; i++) free(s->marks[i].cursor);
	free(s->marks);
	free(s->cursor_key);
	free(s->last_cursor);
	buf_free(&s->text);
	acks_fini(&s->acks);
	free(s);
}

const struct source_type source_journal = {
	.name = "journal",
	.wants = journal_wants,
	.check = journal_check,
	.start = journal_start,
	.pump = journal_pump,
	.save = journal_save,
	.is_ready = journal_is_ready,
	.describe = journal_describe,
	.stop = journal_stop,
};
