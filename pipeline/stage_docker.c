/* SPDX-License-Identifier: GPL-2.0-or-later */
/* docker: lines of Docker's json-file driver, {"log":"…\n","stream":"stdout","time":"…"}: the stream becomes a label,
 * the time the entry's, log its line. What is no such object passes. In Alloy an object without log does, too. */
#include "pipeline/container.h"

struct state {
	struct pipeline *stages; /* Promtail */
	struct container alloy;
};

static const char promtail_stages[] =
	"[{json: {expressions: {output: log, stream: stream, timestamp: time}}}, {labels: {stream: }}, "
	"{timestamp: {source: timestamp, format: RFC3339Nano}}, {output: {source: output}}]";

static bool make(struct stage *s, const struct yaml *body, struct err *e)
{
	struct state *st = s->state = ARENA_NEW(s->arena, struct state);
	(void)body;
	if (stage_is_alloy(s)) {
		container_init(&st->alloy);
		return true;
	}
	const struct yaml *n = yaml_parse(s->arena, str_c(promtail_stages), e);
	st->stages = n ? pipeline_nested(s, n, e) : NULL;
	return st->stages;
}

static void fini(struct stage *s)
{
	struct state *st = s->state;
	pipeline_free(st->stages);
	container_fini(&st->alloy);
}

static void plan(struct stage *s, struct reads *r)
{
	const struct state *st = s->state;
	if (st->stages) pipeline_plan(st->stages, r);
}

/* The text of a member; "" if it is null or not there. False: it is something else. */
static bool member(const struct jval *object, const char *name, struct str *out)
{
	const struct jval *v = jval_get(object, str_c(name));
	*out = v && v->kind == JVAL_STR ? v->s : STR("");
	return !v || v->kind == JVAL_STR || v->kind == JVAL_NULL;
}

static bool parse(struct arena *a, struct str line, struct container_line *l)
{
	struct err why = ERR_INIT;
	const struct jval *v = jval_parse(a, line, &why);
	return v && v->kind == JVAL_OBJ && member(v, "log", &l->text) && member(v, "stream", &l->stream) &&
	       member(v, "time", &l->time) && l->text.n;
}

static void run_alloy(struct container *c, struct batch *b)
{
	container_begin(c);
	for (size_t i = 0; i < b->n; i++) {
		struct container_line l;
		if (!parse(b->arena, b->v[i].line, &l)) continue;
		stage_set(b, &b->v[i], STR("output"), l.text);
		stage_set(b, &b->v[i], STR("stream"), l.stream);
		stage_set(b, &b->v[i], STR("timestamp"), l.time);
		container_apply(c, b, &b->v[i], &l);
	}
}

static void run(struct stage *s, struct batch *b)
{
	struct state *st = s->state;
	if (st->stages)
		pipeline_run_nested(st->stages, b);
	else
		run_alloy(&st->alloy, b);
}

const struct stage_type stage_docker = {
	.name = "docker",
	.doc = "Reads the log format of Docker's json-file driver.",
	.make = make,
	.fini = fini,
	.plan = plan,
	.run = run,
};
