/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Standard input (-stdin): lines as they come, without positions. Empty lines are left out, \r and \n are
 * trimmed; the end of input ends the program once everything is sent. Reading stops with the rest while a
 * client's queue is full, so the writer of a pipe waits. */
#include "agent/source.h"

#include "common/log.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define READ_SIZE 65536
#define LINE_MAX  (16u << 20)

struct source {
	struct source_env env;
	struct labels labels;
	struct arena arena;
	struct loop_fd *fd; /* NULL: a regular file, which is always readable */
	struct buf text;    /* the part of a line that is there, and what the last batch borrows */
	size_t used;        /* of text: handed out */
	int64_t last;
	bool eof, ended;
};

static void on_input(void *ud, uint32_t events)
{
	struct source *s = ud;

	(void)events;
	loop_fd_mod(s->fd, 0); /* until pump has read */
	s->env.ready(s->env.ud);
}

static void emit(struct source *s, struct batch *b, struct str line)
{
	while (line.n && (line.p[line.n - 1] == '\r' || line.p[line.n - 1] == '\n')) line.n--;
	if (!line.n) return;
	int64_t now = clock_wall(s->env.clock);
	s->last = now > s->last ? now : s->last + 1;
	struct entry *e = batch_push(b);
	e->ts = e->read_ts = s->last;
	e->line = line;
	e->labels = e->initial = s->labels;
}

/* A line over the limit is handed out in pieces rather than kept in memory. */
static void emit_lines(struct source *s, struct batch *b)
{
	const char *p = s->text.p, *end = s->text.p + s->text.n, *nl;

	while (p < end && (nl = memchr(p, '\n', (size_t)(end - p)))) {
		emit(s, b, str_of(p, (size_t)(nl - p)));
		p = nl + 1;
	}
	if (p < end && (s->eof || (size_t)(end - p) > LINE_MAX)) {
		emit(s, b, str_of(p, (size_t)(end - p)));
		p = end;
	}
	s->used = p ? (size_t)(p - s->text.p) : 0;
}

static enum pump stdin_pump(void *ud, struct batch *b)
{
	struct source *s = ud;

	if (s->ended) return PUMP_IDLE;
	memmove(s->text.p, s->text.p + s->used, s->text.n - s->used);
	s->text.n -= s->used;
	s->used = 0;
	buf_reserve(&s->text, READ_SIZE);
	ssize_t n = read(STDIN_FILENO, s->text.p + s->text.n, READ_SIZE);
	if (n > 0) s->text.n += (size_t)n;
	s->eof = n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
	if (n < 0 && s->eof) log_error("standard input cannot be read", kv_c("err", strerror(errno)));
	emit_lines(s, b);
	if (s->eof) {
		s->ended = true;
		s->env.finished(s->env.ud);
		return PUMP_IDLE;
	}
	if (!s->fd) return PUMP_MORE;
	loop_fd_mod(s->fd, EPOLLIN);
	return PUMP_IDLE;
}

static bool stdin_wants(const struct job_conf *job) { return job->is_stdin; }
static bool stdin_check(const struct job_conf *job, const struct relabel *r, struct err *e)
{
	return (void)job, (void)r, (void)e, true;
}

static void *stdin_start(const struct source_env *env, struct err *e)
{
	struct source *s = mem_zalloc(sizeof *s);
	const struct static_conf *v = env->job->statics.v;
	struct relabel_set set = {.a = &s->arena};
	struct err fe = ERR_INIT;

	(void)e;
	s->env = *env;
	arena_init(&s->arena, 0);
	for (size_t i = 0; i < env->job->statics.n; i++)
		for (size_t k = 0; k < v[i].labels.n; k++)
			relabel_put(&set, v[i].labels.v[k].name, v[i].labels.v[k].value);
	relabel_strip(&set);
	s->labels = set.l;
	buf_reserve(&s->text, READ_SIZE);
	s->fd = loop_fd_add(env->loop, STDIN_FILENO, EPOLLIN, on_input, s, &fe);
	if (!s->fd) env->ready(env->ud);
	return s;
}

static bool stdin_save(void *ud) { return (void)ud, false; }
static bool stdin_is_ready(void *ud) { return (void)ud, true; }

static void stdin_describe(void *ud, struct json_out *o)
{
	struct source *s = ud;

	json_open(o, '{');
	json_key(o, STR("type"));
	json_put_str(o, STR("stdin"));
	json_key(o, STR("ready"));
	json_put_bool(o, !s->ended);
	json_key(o, STR("labels"));
	json_open(o, '{');
	for (size_t i = 0; i < s->labels.n; i++) {
		json_key(o, s->labels.v[i].name);
		json_put_str(o, s->labels.v[i].value);
	}
	json_close(o, '}');
	json_close(o, '}');
}

static void stdin_stop(void *ud)
{
	struct source *s = ud;

	if (s->fd) loop_fd_del(s->fd);
	buf_free(&s->text);
	arena_free(&s->arena);
	free(s);
}

const struct source_type source_stdin = {
	.name = "stdin",
	.once = true,
	.wants = stdin_wants,
	.check = stdin_check,
	.start = stdin_start,
	.pump = stdin_pump,
	.save = stdin_save,
	.is_ready = stdin_is_ready,
	.describe = stdin_describe,
	.stop = stdin_stop,
};
